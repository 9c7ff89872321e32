//! Who else on this machine may read a file.

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

/// How `path` stands to other users of the machine.
pub fn file_mode(path: &Path) -> FileMode {
    match std::fs::metadata(path) {
        Ok(metadata) => mode_of(&metadata),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileMode::Absent,
        Err(_) => FileMode::Unknown,
    }
}

#[cfg(unix)]
#[expect(
    clippy::verbose_bit_mask,
    reason = "the bits of the group and the others, as chmod writes them"
)]
fn mode_of(metadata: &std::fs::Metadata) -> FileMode {
    use std::os::unix::fs::PermissionsExt as _;

    match metadata.permissions().mode() & 0o7777 {
        mode if mode & 0o077 == 0 => FileMode::Private,
        mode => FileMode::Shared(mode),
    }
}

#[cfg(not(unix))]
fn mode_of(_: &std::fs::Metadata) -> FileMode {
    FileMode::Unknown
}
