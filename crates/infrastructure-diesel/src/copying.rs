//! Copies a whole database: every row as a JSON array that the database itself makes and reads, so that each kind of
//! value is converted in one place, the backend's `catalog`.
//!
//! Tables and columns are read from the database: a new table needs nothing here.

use diesel::connection::{DefaultLoadingMode, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::Text;
use majordomo_application::ports::{CopyError, CopyStep, DatabaseSchema, Table, TablePart};
use tokio::sync::mpsc;

use crate::catalog::{self, Blocking};

/// Bytes of rows that travel together; a longer row travels alone.
const PART: usize = 1024 * 1024;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Sends everything. The connection must stand in a transaction that sees one moment.
pub(crate) fn export(
    conn: &mut Blocking,
    migrations: Vec<String>,
    to: &mpsc::Sender<CopyStep>,
) -> Result<(), CopyError> {
    let tables = catalog::tables(conn)?;
    let schema = DatabaseSchema {
        migrations,
        tables: tables.clone(),
    };
    send(to, CopyStep::Schema(schema))?;
    for table in &tables {
        export_table(conn, table, to)?;
    }
    send(to, CopyStep::Complete)
}

fn export_table(
    conn: &mut Blocking,
    table: &Table,
    to: &mpsc::Sender<CopyStep>,
) -> Result<(), CopyError> {
    let empty = || TablePart {
        table: table.name.clone(),
        rows: 0,
        lines: Vec::new(),
    };
    let mut part = empty();
    let rows = diesel::sql_query(catalog::select(table))
        .load_iter::<Row, DefaultLoadingMode>(conn)
        .map_err(failed)?;
    for row in rows {
        let line = catalog::decode_line(table, row.map_err(failed)?.line)?;
        if !part.lines.is_empty() && part.lines.len() + line.len() > PART {
            send(to, CopyStep::Part(std::mem::replace(&mut part, empty())))?;
        }
        part.lines.extend_from_slice(line.as_bytes());
        part.lines.push(b'\n');
        part.rows += 1;
    }
    if part.rows > 0 {
        send(to, CopyStep::Part(part))?;
    }
    Ok(())
}

fn send(to: &mpsc::Sender<CopyStep>, step: CopyStep) -> Result<(), CopyError> {
    to.blocking_send(step).map_err(|_| CopyError::Incomplete)
}

/// The first step of every copy.
pub(crate) fn receive_schema(
    from: &mut mpsc::Receiver<CopyStep>,
) -> Result<DatabaseSchema, CopyError> {
    match from.blocking_recv() {
        Some(CopyStep::Schema(schema)) => Ok(schema),
        _ => Err(CopyError::Incomplete),
    }
}

/// Puts the rows of a copy into tables that its migrations have made. What the migrations themselves put there goes.
/// The connection must be in a transaction that does not check foreign keys.
pub(crate) fn load(
    conn: &mut Blocking,
    copied: &DatabaseSchema,
    from: &mut mpsc::Receiver<CopyStep>,
) -> Result<(), CopyError> {
    let known = catalog::tables(conn)?;
    for table in &copied.tables {
        check_fits(table, &known)?;
    }
    for table in &known {
        diesel::sql_query(catalog::clear(table))
            .execute(conn)
            .map_err(failed)?;
    }
    loop {
        match from.blocking_recv() {
            Some(CopyStep::Part(part)) => insert(conn, copied, &part)?,
            Some(CopyStep::Complete) => return Ok(()),
            Some(CopyStep::Schema(_)) | None => return Err(CopyError::Incomplete),
        }
    }
}

/// Names from a copy become part of statements only after they were found in the database itself.
fn check_fits(table: &Table, known: &[Table]) -> Result<(), CopyError> {
    let mismatch = |what: String| Err(CopyError::Mismatch(what));
    let Some(target) = known.iter().find(|target| target.name == table.name) else {
        return mismatch(format!("there is no table `{}`", table.name));
    };
    for column in &table.columns {
        if !target.columns.contains(column) {
            let name = format!("{}.{}", table.name, column.name);
            return mismatch(format!("there is no such column `{name}`"));
        }
    }
    Ok(())
}

fn insert(conn: &mut Blocking, copied: &DatabaseSchema, part: &TablePart) -> Result<(), CopyError> {
    let table = copied.tables.iter().find(|table| table.name == part.table);
    let table = table
        .ok_or_else(|| CopyError::Mismatch(format!("the table `{}` is not listed", part.table)))?;
    let rows = std::str::from_utf8(&part.lines)
        .map_err(|_| CopyError::Mismatch("a row is not UTF-8".to_owned()))?;
    let mut array = String::with_capacity(rows.len() + 2);
    for line in rows.lines() {
        array.push(if array.is_empty() { '[' } else { ',' });
        array.push_str(&catalog::encode_line(table, line)?);
    }
    array.push(']');
    let inserted = diesel::sql_query(catalog::insert(table))
        .bind::<Text, _>(&array)
        .execute(conn)
        .map_err(failed)?;
    if u64::try_from(inserted).ok() != Some(part.rows) {
        let name = &part.table;
        return Err(CopyError::Mismatch(format!(
            "a part of `{name}` has {inserted} rows where {} are stated",
            part.rows
        )));
    }
    Ok(())
}

/// Runs `work` in a transaction, of which nothing stays on an error.
pub(crate) fn in_transaction<T>(
    conn: &mut Blocking,
    work: impl FnOnce(&mut Blocking) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    type Manager = <Blocking as Connection>::TransactionManager;
    Manager::begin_transaction(conn).map_err(failed)?;
    match work(conn) {
        Ok(value) => {
            Manager::commit_transaction(conn).map_err(failed)?;
            Ok(value)
        }
        Err(error) => {
            // The connection is not used again: with it ends what could not be rolled back.
            let _ = Manager::rollback_transaction(conn);
            Err(error)
        }
    }
}

/// The columns' names for a statement, quoted.
pub(crate) fn column_list(table: &Table) -> String {
    let quoted: Vec<String> = table.columns.iter().map(|c| quote(&c.name)).collect();
    quoted.join(", ")
}

/// A name for a statement.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A failure of the database.
pub(crate) fn failed(error: diesel::result::Error) -> CopyError {
    CopyError::Database(Box::new(error))
}
