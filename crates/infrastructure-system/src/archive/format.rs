//! The JSON texts of an archive.

use std::collections::BTreeMap;

use majordomo_application::ports::{Column, ColumnKind, DatabaseSchema, Table};
use serde::{Deserialize, Serialize};

/// The version of the format. It grows when an older program could misread what a newer one wrote.
pub(super) const FORMAT: u32 = 1;

/// Name of the first entry.
pub(super) const MANIFEST: &str = "manifest.json";
/// Name of the last entry.
pub(super) const CONTENTS: &str = "contents.json";
/// Where tables are.
pub(super) const TABLES: &str = "tables/";
/// Where files are.
pub(super) const FILES: &str = "files/";

/// What is to come.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Seconds since the Unix epoch.
    pub(super) created_at: i64,
    /// Version of the program.
    pub(super) program: String,
    /// Kind of the database it was made from.
    pub(super) database: String,
    pub(super) migrations: Vec<String>,
    pub(super) tables: Vec<TableText>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TableText {
    name: String,
    columns: Vec<ColumnText>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ColumnText {
    name: String,
    kind: KindText,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindText {
    Text,
    Integer,
    Real,
    Boolean,
    Bytes,
}

impl From<ColumnKind> for KindText {
    fn from(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Real => Self::Real,
            ColumnKind::Boolean => Self::Boolean,
            ColumnKind::Bytes => Self::Bytes,
        }
    }
}

impl From<KindText> for ColumnKind {
    fn from(kind: KindText) -> Self {
        match kind {
            KindText::Text => Self::Text,
            KindText::Integer => Self::Integer,
            KindText::Real => Self::Real,
            KindText::Boolean => Self::Boolean,
            KindText::Bytes => Self::Bytes,
        }
    }
}

impl From<Table> for TableText {
    fn from(table: Table) -> Self {
        let columns = table.columns.into_iter().map(|column| ColumnText {
            name: column.name,
            kind: column.kind.into(),
        });
        Self {
            name: table.name,
            columns: columns.collect(),
        }
    }
}

impl From<TableText> for Table {
    fn from(table: TableText) -> Self {
        let columns = table.columns.into_iter().map(|column| Column {
            name: column.name,
            kind: column.kind.into(),
        });
        Self {
            name: table.name,
            columns: columns.collect(),
        }
    }
}

impl Manifest {
    /// The schema of the copied database; takes the tables out.
    pub(super) fn schema(&mut self) -> DatabaseSchema {
        let tables = std::mem::take(&mut self.tables);
        DatabaseSchema {
            migrations: self.migrations.clone(),
            tables: tables.into_iter().map(Table::from).collect(),
        }
    }
}

/// An entry as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryText {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub(super) sha256: String,
}

/// What has come.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) entries: Vec<EntryText>,
    /// Rows of each table.
    pub(super) rows: BTreeMap<String, u64>,
}

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When it was made, in seconds since the Unix epoch.
    pub created_at: i64,
    /// Version of the program that made it.
    pub program: String,
    /// Kind of the database it was made from.
    pub database: String,
    /// Version of the newest migration; empty when there is none.
    pub schema: String,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Names of the files.
    pub files: Vec<String>,
}

impl Summary {
    pub(super) fn of(manifest: &Manifest, contents: &Contents) -> Self {
        let names = contents.entries.iter();
        Self {
            created_at: manifest.created_at,
            program: manifest.program.clone(),
            database: manifest.database.clone(),
            schema: manifest
                .migrations
                .iter()
                .max()
                .cloned()
                .unwrap_or_default(),
            rows: contents.rows.clone(),
            files: names
                .filter_map(|entry| entry.name.strip_prefix(FILES))
                .map(str::to_owned)
                .collect(),
        }
    }
}
