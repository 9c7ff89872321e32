//! Reads archives. Nothing in them is believed: names, lengths and numbers are checked against limits and each other.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use majordomo_application::hex::hex;
use majordomo_application::ports::{CopyStep, TablePart};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::ArchiveError;
use super::format::{
    CONTENTS, Contents, EntryText, FILES, FORMAT, MANIFEST, Manifest, Summary, TABLES,
};

/// Longest entry. Rows travel a megabyte at a time, or alone where one is longer.
const MAX_ENTRY: u64 = 256 * 1024 * 1024;
/// Entries at most: a terabyte of rows.
const MAX_ENTRIES: usize = 1_000_000;
/// Logarithm of the most memory the decompressor may take: 128 MiB, what every Zstandard reader accepts.
const WINDOW_LOG: u32 = 27;

/// A file of an archive.
pub struct RestoredFile {
    /// Its name in the data folder.
    pub name: String,
    /// What it holds; may be secret.
    pub bytes: Vec<u8>,
}

/// Reads all of an archive and says what it holds. An archive that passes is whole and unchanged since it was written
/// (by accident: who can write the file can also write its checksums).
pub fn verify_archive(path: &Path) -> Result<Summary, ArchiveError> {
    read(path, |_| Ok(())).map(|(summary, _)| summary)
}

/// Reads an archive again, sends the database's rows, and gives its files. `Complete` is sent only when all of it was
/// found whole. Blocks until the copy ends.
pub fn read_archive(
    path: &Path,
    to: &mpsc::Sender<CopyStep>,
) -> Result<Vec<RestoredFile>, ArchiveError> {
    let send = |step| to.blocking_send(step).map_err(|_| ArchiveError::Incomplete);
    let (_, files) = read(path, send)?;
    send(CopyStep::Complete)?;
    Ok(files)
}

type Bytes = zstd::Decoder<'static, BufReader<File>>;

fn read(
    path: &Path,
    send: impl FnMut(CopyStep) -> Result<(), ArchiveError>,
) -> Result<(Summary, Vec<RestoredFile>), ArchiveError> {
    let failed = |source| ArchiveError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut decompressed = zstd::Decoder::new(file).map_err(failed)?;
    decompressed.window_log_max(WINDOW_LOG).map_err(failed)?;
    let mut tar = tar::Archive::new(decompressed);
    let mut reading = Reading {
        path,
        entries: tar.entries().map_err(failed)?,
        seen: Contents::default(),
        tables: HashSet::new(),
        files: Vec::new(),
        send,
    };
    let summary = reading.all()?;
    let files = reading.files;
    // What follows the last entry holds the checksum of the compression.
    io::copy(&mut tar.into_inner().take(MAX_ENTRY), &mut io::sink()).map_err(failed)?;
    Ok((summary, files))
}

/// How far an archive has been read.
struct Reading<'a, S> {
    path: &'a Path,
    entries: tar::Entries<'a, Bytes>,
    /// What has come so far.
    seen: Contents,
    /// Names of the tables that may come.
    tables: HashSet<String>,
    files: Vec<RestoredFile>,
    send: S,
}

impl<S: FnMut(CopyStep) -> Result<(), ArchiveError>> Reading<'_, S> {
    fn all(&mut self) -> Result<Summary, ArchiveError> {
        let (entry, bytes) = self.next()?;
        if entry.name != MANIFEST {
            return Err(damaged("it does not begin with a manifest"));
        }
        let mut manifest = manifest(&bytes)?;
        let schema = manifest.schema();
        self.tables = schema
            .tables
            .iter()
            .map(|table| table.name.clone())
            .collect();
        self.seen.entries.push(entry);
        (self.send)(CopyStep::Schema(schema))?;
        loop {
            let (entry, bytes) = self.next()?;
            if entry.name == CONTENTS {
                let contents: Contents = parse(&bytes, CONTENTS)?;
                if contents != self.seen {
                    return Err(damaged("it does not hold what it lists"));
                }
                return Ok(Summary::of(&manifest, &contents));
            }
            self.take(&entry.name, bytes)?;
            self.seen.entries.push(entry);
        }
    }

    /// An entry between the first and the last.
    fn take(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        if let Some(name) = name.strip_prefix(FILES) {
            self.files.push(RestoredFile {
                name: name.to_owned(),
                bytes,
            });
            return Ok(());
        }
        let table = name
            .strip_prefix(TABLES)
            .and_then(|rest| rest.split_once('/'))
            .map(|(table, _)| table)
            .filter(|table| self.tables.contains(*table))
            .ok_or_else(|| damaged(&format!("`{name}` does not belong there")))?;
        let rows = bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        *self.seen.rows.entry(table.to_owned()).or_default() += rows;
        (self.send)(CopyStep::Part(TablePart {
            table: table.to_owned(),
            rows,
            lines: bytes,
        }))
    }

    /// The next entry. Its name is only ever compared, never used as a path.
    fn next(&mut self) -> Result<(EntryText, Vec<u8>), ArchiveError> {
        let failed = |source| ArchiveError::Read {
            path: self.path.to_owned(),
            source,
        };
        if self.seen.entries.len() >= MAX_ENTRIES {
            return Err(damaged("it has too many entries"));
        }
        let mut entry = self
            .entries
            .next()
            .ok_or_else(|| damaged("it was cut short"))?
            .map_err(failed)?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| damaged("a name is not UTF-8"))?;
        let length = entry.size();
        if length > MAX_ENTRY {
            return Err(damaged(&format!("`{name}` is too long")));
        }
        // Grows with what is there, whatever length is stated.
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != length {
            return Err(damaged("it was cut short"));
        }
        let entry = EntryText {
            sha256: hex(&Sha256::digest(&bytes)),
            bytes: length,
            name,
        };
        Ok((entry, bytes))
    }
}

/// A manifest of a format that this program knows.
fn manifest(bytes: &[u8]) -> Result<Manifest, ArchiveError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let Version { format } = parse(bytes, MANIFEST)?;
    if format > FORMAT {
        return Err(ArchiveError::NewerFormat {
            found: format,
            known: FORMAT,
        });
    }
    parse(bytes, MANIFEST)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(&format!("`{name}`: {error}")))
}

fn damaged(what: &str) -> ArchiveError {
    ArchiveError::Damaged(what.to_owned())
}
