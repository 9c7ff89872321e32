//! The master token in a file that only the operating-system user can read.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use majordomo_application::ports::{MasterTokenError, MasterTokenStore};
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::file_modes::{FileMode, flush_directory, make_private, mode_of};

/// Name of the token's file in the data directory; `PocketPaw`'s clients read it under this name.
pub const MASTER_TOKEN_FILE: &str = "access_token";
/// Longest master token, in characters.
pub const MAX_MASTER_TOKEN_LEN: usize = 512;
/// Most bytes of the file that are read: a token and the blanks around it.
const MAX_FILE_LEN: u64 = 4096;

/// Why the file cannot be used. Never holds the token.
#[derive(Debug, Error)]
pub enum MasterTokenFileError {
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
    /// The text is no token.
    #[error("{} must hold one token of 1 to {MAX_MASTER_TOKEN_LEN} visible ASCII characters", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Keeps the master token in `access_token` in the data directory, with mode 0600.
///
/// A file that group or others may read is tightened to 0600, with a warning in the log, before it is used; where
/// that is not possible the token is not loaded. Blanks around the token are ignored.
#[derive(Debug, Clone)]
pub struct FileMasterTokenStore {
    path: PathBuf,
}

impl FileMasterTokenStore {
    /// The store in this data directory, which must exist.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(MASTER_TOKEN_FILE),
        }
    }

    /// Where the token is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn run<T: Send + 'static>(
        &self,
        act: &'static str,
        work: impl FnOnce(&Path) -> Result<T, MasterTokenFileError> + Send + 'static,
    ) -> Result<T, MasterTokenError> {
        let path = self.path.clone();
        let result = spawn_blocking(move || work(&path)).await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(MasterTokenError {
                act,
                source: error.into(),
            }),
            Err(error) => Err(MasterTokenError {
                act,
                source: error.into(),
            }),
        }
    }
}

#[async_trait]
impl MasterTokenStore for FileMasterTokenStore {
    async fn load(&self) -> Result<Option<String>, MasterTokenError> {
        self.run("read", load).await
    }

    async fn store(&self, token: &str) -> Result<(), MasterTokenError> {
        let token = token.to_owned();
        self.run("written", move |path| store(path, &token)).await
    }
}

pub(crate) fn load(path: &Path) -> Result<Option<String>, MasterTokenFileError> {
    // Looked at before it is opened: opening a named pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => {
            return Err(MasterTokenFileError::NotAFile {
                path: path.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "inspected")(error)),
    }
    let file = File::open(path).map_err(io_error(path, "opened"))?;
    tighten(&file, path).map_err(io_error(path, "made private (mode 0600)"))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN)
        .read_to_end(&mut bytes)
        .map_err(io_error(path, "read"))?;
    let token = str::from_utf8(&bytes).unwrap_or_default().trim();
    check(path, token)?;
    Ok(Some(token.to_owned()))
}

/// Writes a private temporary file beside `path`, flushes it, renames it and flushes the directory: after a crash at
/// any moment the file holds the former token or this one, whole.
pub(crate) fn store(path: &Path, token: &str) -> Result<(), MasterTokenFileError> {
    check(path, token)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    // Made with mode 0600, and removed on an early return.
    let mut file = tempfile::Builder::new()
        .prefix(".access_token.")
        .tempfile_in(directory)
        .map_err(io_error(directory, "written to"))?;
    file.write_all(token.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(io_error(path, "written"))?;
    file.persist(path)
        .map_err(|error| io_error(path, "replaced")(error.error))?;
    flush_directory(directory).map_err(io_error(directory, "flushed"))
}

fn check(path: &Path, token: &str) -> Result<(), MasterTokenFileError> {
    let sized = (1..=MAX_MASTER_TOKEN_LEN).contains(&token.len());
    if sized && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(MasterTokenFileError::Malformed {
            path: path.to_owned(),
        })
    }
}

fn io_error(path: &Path, act: &'static str) -> impl FnOnce(io::Error) -> MasterTokenFileError {
    let path = path.to_owned();
    move |source| MasterTokenFileError::Io { path, act, source }
}

/// Tightens a file that others could read.
fn tighten(file: &File, path: &Path) -> io::Result<()> {
    if let FileMode::Shared(mode) = mode_of(&file.metadata()?) {
        make_private(file)?;
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "other users could read this secret; its file is 0600 now, consider a new one");
    }
    Ok(())
}
