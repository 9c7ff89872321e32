//! The tables of a database, and how their rows become JSON and come back.

use std::borrow::Cow;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use majordomo_application::ports::{Column, ColumnKind, CopyError, Table};
use serde_json::Value;

use crate::backend::{decode_text, encode_text};
pub(crate) use crate::migrations::Blocking;
use crate::repositories::{column_list, failed, quote};

/// A column by this name numbers rows for the storage itself and is not copied.
const OWN_COLUMN: &str = "row_id";
/// Rows that have a time are read in its order, so that they lie in the same order in their next database.
const TIME_COLUMN: &str = "created_at";
/// How JSON writes the one character that stands otherwise in stored text.
const JSON_NUL: &str = "\\u0000";
/// Columns whose text the program writes as JSON, which has its own way of writing every character: no escapes there.
const JSON_COLUMNS: [&str; 3] = ["images", "options", "payload"];
/// The first character of the escapes of stored text.
const ESCAPE: char = '\u{10FFFE}';

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    column_type: String,
}

/// The tables that hold data: the indexes of messages and of vectors and the record of migrations are left out.
pub(crate) fn tables(conn: &mut Blocking) -> Result<Vec<Table>, CopyError> {
    let rows: Vec<ColumnRow> = diesel::sql_query(
        "SELECT c.relname::text AS table_name, a.attname::text AS column_name, \
         format_type(a.atttypid, NULL) AS column_type \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
         AND c.relname NOT IN ('__diesel_schema_migrations', 'message_search', 'memory_vector_index') \
         AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
         ORDER BY c.relname COLLATE \"C\", a.attnum",
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
    match column.column_type.as_str() {
        "text" => Ok(ColumnKind::Text),
        "bigint" | "integer" | "smallint" => Ok(ColumnKind::Integer),
        "double precision" | "real" => Ok(ColumnKind::Real),
        "boolean" => Ok(ColumnKind::Boolean),
        "bytea" => Ok(ColumnKind::Bytes),
        other => Err(CopyError::Mismatch(format!(
            "{}.{} has the type `{other}`, which cannot be copied",
            column.table_name, column.column_name
        ))),
    }
}

/// Reads a table's rows, each as one JSON array named `line`, the oldest first where they have a time.
pub(crate) fn select(table: &Table) -> String {
    let value = |column: &Column| {
        let name = quote(&column.name);
        match column.kind {
            ColumnKind::Bytes => format!("encode({name}, 'hex')"),
            _ => name,
        }
    };
    let values: Vec<String> = table.columns.iter().map(value).collect();
    let time = table.columns.iter().find(|c| c.name == TIME_COLUMN);
    // The first column is the key or begins it.
    let order: Vec<String> = time
        .into_iter()
        .chain(table.columns.first())
        .map(|column| quote(&column.name))
        .collect();
    format!(
        "SELECT json_build_array({})::text AS line FROM {} ORDER BY {}",
        values.join(", "),
        quote(&table.name),
        order.join(", ")
    )
}

/// Removes all rows.
pub(crate) fn clear(table: &Table) -> String {
    format!("DELETE FROM {}", quote(&table.name))
}

/// Inserts the rows of one JSON array of arrays.
pub(crate) fn insert(table: &Table) -> String {
    let value = |(index, column): (usize, &Column)| {
        let text = format!("(line->>{index})");
        match column.kind {
            ColumnKind::Text => text,
            ColumnKind::Integer => format!("{text}::bigint"),
            ColumnKind::Real => format!("{text}::double precision"),
            ColumnKind::Boolean => format!("{text}::boolean"),
            ColumnKind::Bytes => format!("decode({text}, 'hex')"),
        }
    };
    let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM jsonb_array_elements($1::jsonb) AS line",
        quote(&table.name),
        column_list(table),
        values.join(", ")
    )
}

/// A row as it travels, of one as it is stored: text travels without the escapes.
pub(crate) fn decode_line(table: &Table, line: String) -> Result<String, CopyError> {
    if !line.contains(ESCAPE) {
        return Ok(line);
    }
    convert(table, &line, |text| decode_text(std::mem::take(text)))
}

/// The inverse of [`decode_line`].
pub(crate) fn encode_line<'a>(table: &Table, line: &'a str) -> Result<Cow<'a, str>, CopyError> {
    if !line.contains(JSON_NUL) && !line.contains(ESCAPE) {
        return Ok(Cow::Borrowed(line));
    }
    convert(table, line, |text| encode_text(text).into_owned()).map(Cow::Owned)
}

/// Changes the texts of a row that are stored with escapes.
fn convert(
    table: &Table,
    line: &str,
    change: impl Fn(&mut String) -> String,
) -> Result<String, CopyError> {
    let malformed = |_| CopyError::Mismatch("a row is not JSON".to_owned());
    let mut values: Vec<Value> = serde_json::from_str(line).map_err(malformed)?;
    for (column, value) in table.columns.iter().zip(&mut values) {
        if let Value::String(text) = value
            && !JSON_COLUMNS.contains(&column.name.as_str())
        {
            *text = change(text);
        }
    }
    Ok(Value::Array(values).to_string())
}

/// The foreign keys of a schema, which wait outside while rows come in whatever order.
pub(crate) struct ForeignKeys(Vec<ForeignKey>);

#[derive(QueryableByName)]
struct ForeignKey {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    key_name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

impl ForeignKeys {
    /// Takes them off.
    pub(crate) fn take_off(conn: &mut Blocking) -> Result<Self, CopyError> {
        let keys: Vec<ForeignKey> = diesel::sql_query(
            "SELECT conrelid::regclass::text AS table_name, quote_ident(conname) AS key_name, \
             pg_get_constraintdef(oid) AS definition FROM pg_constraint \
             WHERE contype = 'f' AND connamespace = current_schema()::regnamespace",
        )
        .load(conn)
        .map_err(failed)?;
        for key in &keys {
            let statement = format!(
                "ALTER TABLE {} DROP CONSTRAINT {}",
                key.table_name, key.key_name
            );
            diesel::sql_query(statement).execute(conn).map_err(failed)?;
        }
        Ok(Self(keys))
    }

    /// Puts them on again; every reference must lead to a row.
    pub(crate) fn put_on(self, conn: &mut Blocking) -> Result<(), CopyError> {
        for key in self.0 {
            let statement = format!(
                "ALTER TABLE {} ADD CONSTRAINT {} {}",
                key.table_name, key.key_name, key.definition
            );
            diesel::sql_query(statement).execute(conn).map_err(failed)?;
        }
        Ok(())
    }
}

/// Whether a table holds a row.
pub(crate) fn is_occupied(conn: &mut Blocking) -> Result<bool, CopyError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    for table in tables(conn)? {
        let statement = format!(
            "SELECT EXISTS (SELECT 1 FROM {}) AS found",
            quote(&table.name)
        );
        let row: Found = diesel::sql_query(statement)
            .get_result(conn)
            .map_err(failed)?;
        if row.found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets the counters of numbered columns go on after the numbers that were copied.
pub(crate) fn advance_counters(conn: &mut Blocking) -> Result<(), CopyError> {
    #[derive(QueryableByName)]
    struct Counter {
        #[diesel(sql_type = Text)]
        statement: String,
    }
    let counters: Vec<Counter> = diesel::sql_query(
        "SELECT format('SELECT setval(%L, (SELECT coalesce(max(%I), 0) + 1 FROM %s), false)', \
         pg_get_serial_sequence(c.oid::regclass::text, a.attname), a.attname, c.oid::regclass) AS statement \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
         AND a.attnum > 0 AND NOT a.attisdropped \
         AND pg_get_serial_sequence(c.oid::regclass::text, a.attname) IS NOT NULL",
    )
    .load(conn)
    .map_err(failed)?;
    for counter in counters {
        diesel::sql_query(counter.statement)
            .execute(conn)
            .map_err(failed)?;
    }
    Ok(())
}
