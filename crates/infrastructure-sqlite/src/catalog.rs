//! The tables of a SQLite file, and how their rows become JSON and come back.

use std::borrow::Cow;

use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use majordomo_application::ports::{Column, ColumnKind, CopyError, Table};

use crate::repositories::{column_list, failed, quote};

/// The connection that copies.
pub(crate) type Blocking = SqliteConnection;

/// A column by this name numbers rows for the storage itself and is not copied.
const OWN_COLUMN: &str = "row_id";

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    column_type: String,
}

/// The tables that hold data: search indexes and what serves them, and the record of migrations, are left out.
pub(crate) fn tables(conn: &mut Blocking) -> Result<Vec<Table>, CopyError> {
    let rows: Vec<ColumnRow> = diesel::sql_query(
        "SELECT t.name AS table_name, c.name AS column_name, c.type AS column_type \
         FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c \
         WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND t.name <> '__diesel_schema_migrations' ORDER BY t.name, c.cid",
    )
    .load(conn)
    .map_err(failed)?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        if row.column_name == OWN_COLUMN {
            continue;
        }
        let column = Column {
            kind: kind(&row)?,
            name: row.column_name,
        };
        match tables.last_mut() {
            Some(table) if table.name == row.table_name => table.columns.push(column),
            _ => tables.push(Table {
                name: row.table_name,
                columns: vec![column],
            }),
        }
    }
    Ok(tables)
}

fn kind(column: &ColumnRow) -> Result<ColumnKind, CopyError> {
    match column.column_type.to_ascii_uppercase().as_str() {
        "TEXT" => Ok(ColumnKind::Text),
        "BIGINT" | "INTEGER" | "SMALLINT" => Ok(ColumnKind::Integer),
        "DOUBLE" | "DOUBLE PRECISION" | "REAL" => Ok(ColumnKind::Real),
        "BOOLEAN" => Ok(ColumnKind::Boolean),
        "BLOB" => Ok(ColumnKind::Bytes),
        other => Err(CopyError::Mismatch(format!(
            "{}.{} has the type `{other}`, which cannot be copied",
            column.table_name, column.column_name
        ))),
    }
}

/// Reads a table's rows, each as one JSON array named `line`, in the order in which they lie in the file.
pub(crate) fn select(table: &Table) -> String {
    let values: Vec<String> = table.columns.iter().map(to_json).collect();
    format!(
        "SELECT json_array({}) AS line FROM {} NOT INDEXED",
        values.join(", "),
        quote(&table.name)
    )
}

fn to_json(column: &Column) -> String {
    let name = quote(&column.name);
    match column.kind {
        ColumnKind::Text | ColumnKind::Integer => name,
        // SQLite's own way of writing numbers drops digits.
        ColumnKind::Real => {
            format!("json(CASE WHEN {name} IS NOT NULL THEN printf('%!.17g', {name}) END)")
        }
        ColumnKind::Boolean => {
            format!("json(CASE {name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END)")
        }
        ColumnKind::Bytes => format!("CASE WHEN {name} IS NOT NULL THEN lower(hex({name})) END"),
    }
}

/// Removes all rows.
pub(crate) fn clear(table: &Table) -> String {
    format!("DELETE FROM {}", quote(&table.name))
}

/// Inserts the rows of one JSON array of arrays.
pub(crate) fn insert(table: &Table) -> String {
    let value = |(index, column): (usize, &Column)| {
        let value = format!("json_extract(value, '$[{index}]')");
        match column.kind {
            ColumnKind::Bytes => format!("unhex({value})"),
            _ => value,
        }
    };
    let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM json_each(?)",
        quote(&table.name),
        column_list(table),
        values.join(", ")
    )
}

/// A row as it travels: SQLite keeps every character.
#[expect(
    clippy::unnecessary_wraps,
    reason = "PostgreSQL has to read the row, which may fail"
)]
pub(crate) fn decode_line(_: &Table, line: String) -> Result<String, CopyError> {
    Ok(line)
}

/// The inverse of [`decode_line`].
#[expect(
    clippy::unnecessary_wraps,
    reason = "PostgreSQL has to read the row, which may fail"
)]
pub(crate) fn encode_line<'a>(_: &Table, line: &'a str) -> Result<Cow<'a, str>, CopyError> {
    Ok(Cow::Borrowed(line))
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Whether every reference leads to a row.
pub(crate) fn check_references(conn: &mut Blocking) -> Result<(), CopyError> {
    let broken: Count = diesel::sql_query("SELECT count(*) AS count FROM pragma_foreign_key_check")
        .get_result(conn)
        .map_err(failed)?;
    if broken.count > 0 {
        let count = broken.count;
        return Err(CopyError::Mismatch(format!(
            "{count} rows refer to rows that are missing"
        )));
    }
    Ok(())
}
