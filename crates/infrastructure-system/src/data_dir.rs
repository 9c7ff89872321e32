//! The data directory: made at the first start, private to the operating-system user.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::file_modes::{FileMode, mode_of};

/// Why the data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// It does not exist and cannot be made.
    #[error("the data directory {} cannot be created", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Something else has its name.
    #[error("the data directory {} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// No file can be written there: read-only file system, another owner, full disk.
    #[error("the data directory {} cannot be written to", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Makes the directory (and missing parents) with mode 0700 where it does not exist, and tries to write a file in it.
///
/// The mode of a directory that exists is left alone, as it may be shared on purpose; one that others can read is
/// logged as a warning.
pub fn prepare_data_dir(path: &Path) -> Result<(), DataDirError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => warn_if_shared(path, &metadata),
        Ok(_) => {
            return Err(DataDirError::NotADirectory {
                path: path.to_owned(),
            });
        }
        Err(_) => create_private(path).map_err(|source| DataDirError::Create {
            path: path.to_owned(),
            source,
        })?,
    }
    // The file is gone again when its handle is dropped.
    tempfile::tempfile_in(path)
        .map(drop)
        .map_err(|source| DataDirError::NotWritable {
            path: path.to_owned(),
            source,
        })
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn warn_if_shared(path: &Path, metadata: &fs::Metadata) {
    if let FileMode::Shared(mode) = mode_of(metadata) {
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "other users can look into the data directory; chmod 0700 is advised");
    }
}
