//! What is kept of the audit log beside the database: archives, and a note of the last entry.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use majordomo_application::audit::chain::Anchor;
use majordomo_application::hex::{from_hex, hex};
use majordomo_application::ports::{AuditVault, AuditVaultError};
use majordomo_domain::Timestamp;
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::file_modes::flush_directory;

/// Name of the note in the data directory: the place, the hash and the time of the last entry, in one line.
pub const AUDIT_HEAD_FILE: &str = "audit-head";

/// Why a file cannot be used.
#[derive(Debug, Error)]
enum VaultFileError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The note is no note.
    #[error("{} does not hold `PLACE HASH TIME`", path.display())]
    Malformed { path: PathBuf },
    /// The name has another form than archives have.
    #[error("{name} is no name of an archive")]
    Name { name: String },
}

/// Keeps archives and the note in the data directory, readable by the operating-system user only.
#[derive(Debug, Clone)]
pub struct FileAuditVault {
    directory: PathBuf,
}

impl FileAuditVault {
    /// The vault in this data directory, which must exist.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            directory: data_dir.to_owned(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        act: &'static str,
        work: impl FnOnce(&Path) -> Result<T, VaultFileError> + Send + 'static,
    ) -> Result<T, AuditVaultError> {
        let directory = self.directory.clone();
        let failed = |source| AuditVaultError { act, source };
        spawn_blocking(move || work(&directory))
            .await
            .map_err(|error| failed(error.into()))?
            .map_err(|error| failed(error.into()))
    }
}

#[async_trait]
impl AuditVault for FileAuditVault {
    async fn append_archive(&self, name: &str, lines: &str) -> Result<String, AuditVaultError> {
        let (name, lines) = (name.to_owned(), lines.to_owned());
        self.run("written", move |directory| append(directory, &name, &lines))
            .await
    }

    async fn note_head(&self, head: &Anchor) -> Result<(), AuditVaultError> {
        let head = *head;
        self.run("written", move |directory| note(directory, &head))
            .await
    }

    async fn head(&self) -> Result<Option<Anchor>, AuditVaultError> {
        self.run("read", |directory| read(&directory.join(AUDIT_HEAD_FILE)))
            .await
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> VaultFileError {
    let path = path.to_owned();
    move |source| VaultFileError::Io { path, source }
}

/// Whether a file of this name is an archive of the audit log. Letters, digits and `-.` only: a name never leaves the
/// directory.
pub fn is_audit_archive(name: &str) -> bool {
    let middle = name
        .strip_prefix("audit-")
        .and_then(|rest| rest.strip_suffix(".jsonl"));
    middle.is_some_and(|middle| {
        middle
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    })
}

fn append(directory: &Path, name: &str, lines: &str) -> Result<String, VaultFileError> {
    if !is_audit_archive(name) {
        return Err(VaultFileError::Name {
            name: name.to_owned(),
        });
    }
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(io_error(&path))?;
    file.write_all(lines.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io_error(&path))?;
    flush_directory(directory).map_err(io_error(directory))?;
    Ok(path.display().to_string())
}

fn note(directory: &Path, head: &Anchor) -> Result<(), VaultFileError> {
    let path = directory.join(AUDIT_HEAD_FILE);
    // Made with mode 0600, and removed on an early return.
    let mut file = tempfile::Builder::new()
        .prefix(".audit-head.")
        .tempfile_in(directory)
        .map_err(io_error(directory))?;
    writeln!(
        file,
        "{} {} {}",
        head.seq,
        hex(&head.hash),
        head.at.to_rfc3339()
    )
    .and_then(|()| file.as_file().sync_all())
    .map_err(io_error(&path))?;
    file.persist(&path)
        .map_err(|error| io_error(&path)(error.error))?;
    flush_directory(directory).map_err(io_error(directory))
}

fn read(path: &Path) -> Result<Option<Anchor>, VaultFileError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path)(error)),
        Ok(text) => parse(&text)
            .map(Some)
            .ok_or_else(|| VaultFileError::Malformed {
                path: path.to_owned(),
            }),
    }
}

fn parse(text: &str) -> Option<Anchor> {
    let mut words = text.split_whitespace();
    let anchor = Anchor {
        seq: words.next()?.parse().ok()?,
        hash: from_hex(words.next()?)?.try_into().ok()?,
        at: Timestamp::parse_rfc3339(words.next()?)?,
    };
    words.next().is_none().then_some(anchor)
}
