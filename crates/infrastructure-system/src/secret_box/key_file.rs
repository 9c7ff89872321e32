//! Secret keys in a file that only the operating-system user can read.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::{MalformedSecretKey, SecretKeys};
use crate::file_modes::{FileMode, flush_directory, mode_of};

/// Name of the keys' file in the data directory.
pub const SECRET_KEY_FILE: &str = "secret.key";
/// Most bytes of the file that are read.
const MAX_FILE_LEN: u64 = 4096;

/// Why the file of the secret keys cannot be used. Never holds a key.
#[derive(Debug, Error)]
pub enum SecretKeyFileError {
    /// The file system refuses.
    #[error("{} cannot be {act}: {source}", path.display())]
    Io {
        /// The file or its directory.
        path: PathBuf,
        /// What was tried.
        act: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// Something else has the file's name.
    #[error("{} is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("{} can be read by other users (mode {mode:04o}): chmod 0600 it, and consider new keys", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is no list of keys.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        source: MalformedSecretKey,
    },
}

/// Keeps secret keys in `secret.key` in the data directory, one a line, the one that seals first, with mode 0600. A file
/// that others can read is refused.
#[derive(Debug, Clone)]
pub struct SecretKeyFile {
    path: PathBuf,
}

impl SecretKeyFile {
    /// The file in this data directory, which must exist.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(SECRET_KEY_FILE),
        }
    }

    /// Where the keys are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys, or `None` where there is no file.
    pub fn load(&self) -> Result<Option<SecretKeys>, SecretKeyFileError> {
        let path = self.path.as_path();
        // Looked at before it is opened: opening a named pipe would wait for a writer.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(SecretKeyFileError::NotAFile {
                    path: path.to_owned(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io_error("inspected", error)),
        }
        let file = File::open(path).map_err(|error| self.io_error("opened", error))?;
        self.check_private(&file)?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_LEN)
            .read_to_string(&mut text)
            .map_err(|error| self.io_error("read", error))?;
        let keys = SecretKeys::parse(&text).map_err(|source| SecretKeyFileError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        Ok(Some(keys))
    }

    /// Replaces the file: after a crash at any moment it holds the former keys or these, whole.
    pub fn store(&self, keys: &SecretKeys) -> Result<(), SecretKeyFileError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        // Made with mode 0600, and removed on an early return.
        let mut file = tempfile::Builder::new()
            .prefix(".secret.key.")
            .tempfile_in(directory)
            .map_err(|error| self.io_error("written", error))?;
        file.write_all(keys.to_text().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(|error| self.io_error("written", error))?;
        file.persist(&self.path)
            .map_err(|error| self.io_error("replaced", error.error))?;
        flush_directory(directory).map_err(|error| self.io_error("flushed", error))
    }

    fn io_error(&self, act: &'static str, source: io::Error) -> SecretKeyFileError {
        SecretKeyFileError::Io {
            path: self.path.clone(),
            act,
            source,
        }
    }

    fn check_private(&self, file: &File) -> Result<(), SecretKeyFileError> {
        let metadata = file
            .metadata()
            .map_err(|error| self.io_error("inspected", error))?;
        match mode_of(&metadata) {
            FileMode::Shared(mode) => Err(SecretKeyFileError::NotPrivate {
                path: self.path.clone(),
                mode,
            }),
            FileMode::Private | FileMode::Absent | FileMode::Unknown => Ok(()),
        }
    }
}
