//! Files of the data folder: who else on this machine may read them, and what makes them last.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// How a file stands to other users of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// Only its owner may read and change it.
    Private,
    /// Others may, with this mode.
    Shared(u32),
    /// There is no such file.
    Absent,
    /// It cannot be inspected, or the system has no modes.
    Unknown,
}

/// Lets only its owner read and change a file.
#[cfg(unix)]
pub(crate) fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(crate) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Lets what was renamed in a directory survive the death of the machine.
#[cfg(unix)]
pub(crate) fn flush_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
pub(crate) fn flush_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// How `path` stands to other users of the machine.
pub fn file_mode(path: &Path) -> FileMode {
    match fs::metadata(path) {
        Ok(metadata) => mode_of(&metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileMode::Absent,
        Err(_) => FileMode::Unknown,
    }
}

#[cfg(unix)]
#[expect(
    clippy::verbose_bit_mask,
    reason = "the bits of the group and the others, as chmod writes them"
)]
pub(crate) fn mode_of(metadata: &fs::Metadata) -> FileMode {
    use std::os::unix::fs::PermissionsExt as _;

    match metadata.permissions().mode() & 0o7777 {
        mode if mode & 0o077 == 0 => FileMode::Private,
        mode => FileMode::Shared(mode),
    }
}

#[cfg(not(unix))]
pub(crate) fn mode_of(_: &fs::Metadata) -> FileMode {
    FileMode::Unknown
}
