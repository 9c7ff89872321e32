//! Backups: the database in one archive, with the files of the data folder that belong to it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use majordomo_application::Caller;
use majordomo_application::hex::hex;
use majordomo_application::ports::{
    AuditVault as _, AuditVaultError, Clock as _, CopyError, RepositoryError,
};
use majordomo_application::self_audit::BackupCheck;
use majordomo_application::settings::SettingsSecrets;
use majordomo_domain::{AuditRecord, CredentialKind};
use majordomo_infrastructure_system::archive::{
    ArchiveError, ArchiveFile, ArchiveHead, RestoredFile, Summary, read_archive, verify_archive,
    write_archive,
};
use majordomo_infrastructure_system::{
    AUDIT_HEAD_FILE, DataDirError, FileAuditVault, MASTER_TOKEN_FILE, SECRET_KEY_FILE,
    SIGNING_KEY_FILE, SystemClock, XChaChaSecretBox, is_audit_archive, prepare_data_dir,
};
use majordomo_settings::{Layers, Settings};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use super::settings::secret_keys;
use super::storage::{StorageError, audit_log_beside, database_copy, pending_migrations, storage};

/// Files that open what is sealed, or the server itself. They go into an archive only when that is asked for.
const KEY_FILES: [&str; 3] = [SECRET_KEY_FILE, MASTER_TOKEN_FILE, SIGNING_KEY_FILE];
/// Steps of a copy that wait for the other side, a megabyte each.
const STEPS_AHEAD: usize = 4;
/// What is added to the name of a file that a restore replaces.
const REPLACED: &str = ".before-restore.bak";

/// Why a backup cannot be made or restored.
#[derive(Debug, Error)]
pub(crate) enum CopiesError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The database.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The database cannot be opened afterwards.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A file of the data folder cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The note of the last audit entry cannot be read.
    #[error(transparent)]
    Vault(#[from] AuditVaultError),
    /// What was done is not recorded.
    #[error("it is done, but the audit log cannot be written")]
    Record(#[source] RepositoryError),
    /// A thread broke.
    #[error("the work broke off")]
    Broken(#[from] JoinError),
}

/// What to back up, and where to.
pub(crate) struct BackupPlan {
    /// The archive.
    pub(crate) path: PathBuf,
    /// Whether a file of that name is replaced.
    pub(crate) replace: bool,
    /// Whether the keys go with it.
    pub(crate) with_keys: bool,
}

/// What was backed up.
pub(crate) struct Backup {
    pub(crate) summary: Summary,
    /// Whether it stands in the audit log: not in one that a migration has yet to make.
    pub(crate) recorded: bool,
}

/// Copies the database as it is at one moment, while a server may run, and records it.
pub(crate) async fn back_up(
    settings: &Settings,
    data_dir: &Path,
    plan: BackupPlan,
) -> Result<Backup, CopiesError> {
    let (kind, copy) = database_copy(settings, data_dir);
    let now = SystemClock.now();
    let head = ArchiveHead {
        created_at: now.as_secs(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        database: kind.to_owned(),
    };
    let BackupPlan {
        path,
        replace,
        with_keys,
    } = plan;
    let file = path.clone();
    // Before the database: an archive that is made in between is missing here, and its entries are still there.
    let files = kept_files(data_dir, with_keys)?;
    let (sender, receiver) = mpsc::channel(STEPS_AHEAD);
    let writing =
        tokio::task::spawn_blocking(move || write_archive(&file, replace, head, &files, receiver));
    let exported = copy.export(sender).await;
    let summary = both(exported, writing.await?)?;
    let recorded = pending_migrations(settings, data_dir).await?.is_empty();
    if recorded {
        let record = operator(BackupCheck::ACTION)
            .on("file", path.display())
            .with("rows", summary.rows.values().sum::<u64>())
            .with("with_keys", with_keys);
        append(settings, data_dir, &record).await?;
    }
    Ok(Backup { summary, recorded })
}

/// What was restored.
pub(crate) struct Restored {
    pub(crate) summary: Summary,
    /// Names of the files that were written.
    pub(crate) files: Vec<String>,
    /// Why the server will not start with the keys that are there, if so.
    pub(crate) sealed: Option<String>,
}

/// Fills the database with an archive, once all of it was found whole, and records it. The server must be stopped.
pub(crate) async fn restore(
    settings: &Settings,
    layers: &Layers,
    data_dir: &Path,
    path: PathBuf,
    replace: bool,
) -> Result<Restored, CopiesError> {
    let file = path.clone();
    let summary = tokio::task::spawn_blocking(move || verify_archive(&file)).await??;
    prepare_data_dir(data_dir)?;
    let (_, copy) = database_copy(settings, data_dir);
    let (sender, receiver) = mpsc::channel(STEPS_AHEAD);
    let file = path.clone();
    let reading = tokio::task::spawn_blocking(move || read_archive(&file, &sender));
    let imported = copy.import(receiver, replace).await;
    let files = both(imported, reading.await?)?;
    let files = put_files(data_dir, &files)?;

    // The note is of the log that was there before. The record keeps what it said.
    let before = FileAuditVault::new(data_dir)
        .head()
        .await
        .unwrap_or_default();
    set_aside(&data_dir.join(AUDIT_HEAD_FILE))?;
    let mut record = operator("backup.restore")
        .on("file", path.display())
        .with("made_at", summary.created_at)
        .with("made_by", &summary.program);
    if let Some(head) = before {
        record = record.with("replaced_log", format!("{}:{}", head.seq, hex(&head.hash)));
    }
    let storage = storage(settings, data_dir).await?;
    let appended = storage.audit.append(&record).await;
    appended.map_err(CopiesError::Record)?;
    let sealed = match secret_keys(layers, data_dir, storage.settings.as_ref()).await {
        Err(error) => Some(crate::startup::with_causes(&error)),
        Ok(keys) => {
            let sealing = Arc::new(XChaChaSecretBox::new(keys));
            let secrets = SettingsSecrets::new(storage.settings, sealing);
            let checked = secrets.check().await.err();
            checked.map(|error| crate::startup::with_causes(&error))
        }
    };
    Ok(Restored {
        summary,
        files,
        sealed,
    })
}

/// The result of two sides of a copy. A side that failed makes the other one end early, which then is no news.
fn both<T>(
    copied: Result<(), CopyError>,
    filed: Result<T, ArchiveError>,
) -> Result<T, CopiesError> {
    match (copied, filed) {
        (Ok(()), Ok(value)) => Ok(value),
        (Err(CopyError::Incomplete) | Ok(()), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
    }
}

/// An act of whoever works on the data folder itself.
fn operator(action: &'static str) -> AuditRecord {
    Caller::operator(CredentialKind::CommandLine).record(action, SystemClock.now())
}

async fn append(
    settings: &Settings,
    data_dir: &Path,
    record: &AuditRecord,
) -> Result<(), CopiesError> {
    let log = audit_log_beside(settings, data_dir).await?;
    log.append(record).await.map_err(CopiesError::Record)
}

/// The archives of the audit log and, where asked for, the keys.
fn kept_files(data_dir: &Path, with_keys: bool) -> Result<Vec<ArchiveFile>, CopiesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CopiesError::File { path, source }
    };
    let entries = match fs::read_dir(data_dir) {
        // The database may be elsewhere, and this program not have been started here yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(data_dir))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(data_dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_audit_archive(&name) || (with_keys && KEY_FILES.contains(&name.as_str())) {
            let path = entry.path();
            let bytes = fs::read(&path).map_err(failed(&path))?;
            files.push(ArchiveFile { name, bytes });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Writes the files that belong into a data folder, whatever else an archive holds, and names them. A key that is
/// replaced is kept under another name; an archive of the audit log that is there already is left alone.
fn put_files(data_dir: &Path, files: &[RestoredFile]) -> Result<Vec<String>, CopiesError> {
    let mut written = Vec::new();
    for RestoredFile { name, bytes } in files {
        let path = data_dir.join(name);
        let key = KEY_FILES.contains(&name.as_str());
        let wanted = key || (is_audit_archive(name) && !path.exists());
        if !wanted || fs::read(&path).is_ok_and(|present| present == *bytes) {
            continue;
        }
        if key {
            set_aside(&path)?;
        }
        put_file(data_dir, &path, bytes).map_err(|source| CopiesError::File { path, source })?;
        written.push(name.clone());
    }
    Ok(written)
}

/// Writes a private file, whole or not at all.
fn put_file(data_dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Made with mode 0600, and removed on an early return.
    let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(data_dir)?.sync_all()
}

/// Renames a file that is to be replaced, if it is there.
fn set_aside(path: &Path) -> Result<(), CopiesError> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(REPLACED);
    match fs::rename(path, kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CopiesError::File {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}
