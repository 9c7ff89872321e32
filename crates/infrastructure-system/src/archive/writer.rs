//! Writes archives.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use majordomo_application::hex::hex;
use majordomo_application::ports::{CopyStep, TablePart};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::ArchiveError;
use super::format::{
    CONTENTS, Contents, EntryText, FILES, FORMAT, MANIFEST, Manifest, Summary, TABLES,
};

/// Fast, and half the size of no compression at all for text.
const COMPRESSION: i32 = 3;

/// What is said about an archive in its manifest.
#[derive(Debug, Clone)]
pub struct ArchiveHead {
    /// When it is made, in seconds since the Unix epoch.
    pub created_at: i64,
    /// Version of the program that makes it.
    pub program: String,
    /// Kind of the database.
    pub database: String,
}

/// A file that goes into an archive.
pub struct ArchiveFile {
    /// Its name in the data folder.
    pub name: String,
    /// What it holds; may be secret.
    pub bytes: Vec<u8>,
}

/// Writes a database and files into a new archive, readable by its user only. It has its name only when it is whole and
/// on the disk; a file of that name is replaced only when `replace` says so. Blocks until the copy ends.
pub fn write_archive(
    path: &Path,
    replace: bool,
    head: ArchiveHead,
    files: &[ArchiveFile],
    from: mpsc::Receiver<CopyStep>,
) -> Result<Summary, ArchiveError> {
    let failed = |source| ArchiveError::Write {
        path: path.to_owned(),
        source,
    };
    if !replace && path.exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    // Made with mode 0600, and removed when it is dropped before it has its name.
    let file = NamedTempFile::new_in(folder).map_err(failed)?;
    let (file, summary) = fill(file, head, files, from).map_err(|failure| match failure {
        Failure::Io(source) => failed(source),
        Failure::Incomplete => ArchiveError::Incomplete,
    })?;
    file.as_file().sync_all().map_err(failed)?;
    let named = if replace {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    named.map_err(|error| failed(error.error))?;
    Ok(summary)
}

/// Why an archive could not be filled.
enum Failure {
    Io(io::Error),
    Incomplete,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn fill(
    file: NamedTempFile,
    head: ArchiveHead,
    files: &[ArchiveFile],
    mut from: mpsc::Receiver<CopyStep>,
) -> Result<(NamedTempFile, Summary), Failure> {
    let Some(CopyStep::Schema(schema)) = from.blocking_recv() else {
        return Err(Failure::Incomplete);
    };
    let manifest = Manifest {
        format: FORMAT,
        created_at: head.created_at,
        program: head.program,
        database: head.database,
        migrations: schema.migrations,
        tables: schema.tables.into_iter().map(Into::into).collect(),
    };
    let mut compressed = zstd::Encoder::new(BufWriter::new(file), COMPRESSION)?;
    compressed.include_checksum(true)?;
    let mut entries = Entries {
        tar: tar::Builder::new(compressed),
        contents: Contents::default(),
        created_at: u64::try_from(head.created_at).unwrap_or_default(),
    };
    entries.add_json(MANIFEST, &manifest)?;
    let mut parts = 0_u64;
    loop {
        match from.blocking_recv() {
            Some(CopyStep::Part(part)) => {
                parts += 1;
                entries.add_part(parts, &part)?;
            }
            Some(CopyStep::Complete) => break,
            Some(CopyStep::Schema(_)) | None => return Err(Failure::Incomplete),
        }
    }
    for file in files {
        entries.add(&format!("{FILES}{}", file.name), &file.bytes)?;
    }
    let summary = Summary::of(&manifest, &entries.contents);
    let contents = std::mem::take(&mut entries.contents);
    entries.add_json(CONTENTS, &contents)?;
    let compressed = entries.tar.into_inner()?;
    let file = compressed.finish()?.into_inner().map_err(io::Error::from)?;
    Ok((file, summary))
}

/// The entries written so far.
struct Entries<W: Write> {
    tar: tar::Builder<W>,
    contents: Contents,
    created_at: u64,
}

impl<W: Write> Entries<W> {
    fn add_part(&mut self, number: u64, part: &TablePart) -> io::Result<()> {
        let name = format!("{TABLES}{}/{number:06}.jsonl", part.table);
        *self.contents.rows.entry(part.table.clone()).or_default() += part.rows;
        self.add(&name, &part.lines)
    }

    fn add_json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.add(name, &serde_json::to_vec_pretty(value)?)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.created_at);
        self.tar.append_data(&mut header, name, bytes)?;
        self.contents.entries.push(EntryText {
            name: name.to_owned(),
            bytes: length,
            sha256: hex(&Sha256::digest(bytes)),
        });
        Ok(())
    }
}
