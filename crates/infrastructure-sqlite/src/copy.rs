//! Copies of a whole SQLite file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel_async::SimpleAsyncConnection;
use futures_util::FutureExt;
use majordomo_application::ports::{CopyError, CopyStep, DatabaseCopy};
use tokio::sync::mpsc;

use crate::backend::Conn;
use crate::catalog;
use crate::database::{self, Role};
use crate::indexing;
use crate::lock::private_file;
use crate::migrations;
use crate::repositories::{export, failed, in_transaction, load, receive_schema};
use crate::store::{SqliteConfig, SqliteStore, StoreError};

/// Copies the database file. The server that owns it may be at work while it is read; nobody may be while it is filled.
pub struct SqliteCopy {
    config: SqliteConfig,
}

impl SqliteCopy {
    /// Of this file.
    pub const fn new(config: SqliteConfig) -> Self {
        Self { config }
    }
}

#[async_trait]
impl DatabaseCopy for SqliteCopy {
    async fn export(&self, to: mpsc::Sender<CopyStep>) -> Result<(), CopyError> {
        let path = self.config.path.clone();
        blocking(move || read(&path, &to)).await
    }

    async fn import(
        &self,
        mut from: mpsc::Receiver<CopyStep>,
        replace: bool,
    ) -> Result<(), CopyError> {
        let config = self.config.clone();
        blocking(move || write(&config, &mut from, replace)).await
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<(), CopyError> + Send + 'static,
) -> Result<(), CopyError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(CopyError::Database(Box::new(error))))
}

/// A read transaction sees the file as it was when the transaction began, whatever is written meanwhile. What is written
/// stays in the write-ahead log until the transaction ends.
fn read(path: &Path, to: &mpsc::Sender<CopyStep>) -> Result<(), CopyError> {
    if !path.exists() {
        let reason = format!("there is no database at {}", path.display());
        return Err(CopyError::Unavailable(reason));
    }
    let mut connection = connect(path, Role::Inspector)?;
    in_transaction(&mut connection, |connection| {
        let migrations = migrations::applied(connection).map_err(unavailable)?;
        migrations::check_known(&migrations).map_err(unavailable)?;
        export(connection, migrations, to)
    })
}

/// Fills a new file beside the database, which then takes its place.
fn write(
    config: &SqliteConfig,
    from: &mut mpsc::Receiver<CopyStep>,
    replace: bool,
) -> Result<(), CopyError> {
    let path = &config.path;
    let _lock = SqliteStore::lock(config).map_err(unavailable)?;
    let occupied = fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
    if occupied && !replace {
        return Err(CopyError::Occupied);
    }
    let temporary = beside(path, ".restoring");
    remove_with_companions(&temporary).map_err(|error| io_failed(&temporary, &error))?;
    let filled = fill(&temporary, from).and_then(|()| {
        File::open(&temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| take_place(&temporary, path))
            .map_err(|error| io_failed(path, &error))
    });
    if filled.is_err() {
        let _ = remove_with_companions(&temporary);
    }
    filled
}

fn fill(path: &Path, from: &mut mpsc::Receiver<CopyStep>) -> Result<(), CopyError> {
    let schema = receive_schema(from)?;
    migrations::check_known(&schema.migrations).map_err(unavailable)?;
    private_file(path).map_err(|error| io_failed(path, &error))?;
    let mut connection = connect(path, Role::Writer)?;
    // Until the file has taken its place it need not survive anything.
    connection
        .batch_execute(
            "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; \
             PRAGMA foreign_keys = OFF;",
        )
        .map_err(failed)?;
    migrations::apply_only(&mut connection, &schema.migrations).map_err(unavailable)?;
    in_transaction(&mut connection, |connection| {
        load(connection, &schema, from)?;
        catalog::check_references(connection)
    })?;
    connection
        .batch_execute("PRAGMA foreign_keys = ON;")
        .map_err(failed)?;
    migrations::apply_missing(&mut connection).map_err(unavailable)?;
    index(connection)
}

/// Makes all messages findable.
fn index(connection: SqliteConnection) -> Result<(), CopyError> {
    let mut conn = Conn::new(connection);
    let work = async {
        conn.batch_execute("BEGIN").await?;
        while indexing::index_batch(&mut conn).await? > 0 {}
        conn.batch_execute("COMMIT").await?;
        crate::repositories::Outcome::Ok(())
    };
    // Statements run inline: the future is ready when it is first polled.
    match work.now_or_never() {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => {
            let error = crate::backend::classify(error);
            Err(CopyError::Database(Box::new(error)))
        }
        None => Err(CopyError::Incomplete),
    }
}

/// Renames `temporary` to `path`. What was there is kept as `<path>.before-restore.bak`.
fn take_place(temporary: &Path, path: &Path) -> io::Result<()> {
    if path.exists() {
        // Its write-ahead log would be taken for the new file's: what is in it goes into the old file.
        if let Ok(mut old) = database::connect(path, Role::Writer) {
            let _ =
                old.batch_execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;");
        }
        let kept = beside(path, ".before-restore.bak");
        remove_with_companions(&kept)?;
        // Only a damaged database still has a log now.
        for companion in COMPANIONS {
            let log = beside(path, companion);
            if log.exists() {
                fs::rename(&log, beside(&kept, companion))?;
            }
        }
        fs::hard_link(path, &kept).or_else(|_| fs::copy(path, &kept).map(drop))?;
    }
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// What SQLite keeps beside a file, by the ends of the names.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

fn remove_with_companions(path: &Path) -> io::Result<()> {
    for end in COMPANIONS.into_iter().chain([""]) {
        match fs::remove_file(beside(path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn connect(path: &Path, role: Role) -> Result<SqliteConnection, CopyError> {
    database::connect(path, role).map_err(|reason| {
        CopyError::Unavailable(format!(
            "the database {} cannot be opened: {reason}",
            path.display()
        ))
    })
}

fn unavailable(error: StoreError) -> CopyError {
    match error {
        StoreError::NewerSchema { versions } => CopyError::NewerSchema { versions },
        other => CopyError::Unavailable(other.to_string()),
    }
}

fn io_failed(path: &Path, error: &io::Error) -> CopyError {
    CopyError::Unavailable(format!("{} cannot be written: {error}", path.display()))
}
