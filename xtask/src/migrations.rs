//! `migrations`: both databases have the same migrations, each with a way up and a way down.

use std::collections::BTreeSet;

use crate::failure::{Failure, Outcome};
use crate::report;
use crate::tree;

/// One folder of migrations per database.
const TREES: [&str; 2] = ["migrations/sqlite", "migrations/postgres"];

/// The shape of a migration's timestamp; `0` stands for a digit.
const TIMESTAMP: &str = "0000-00-00-000000";

/// Checks both trees.
pub(crate) fn run() -> Outcome {
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for folder in TREES {
        let found = migrations_in(folder)?;
        problems.extend(name_problems(folder, &found));
        for name in &found {
            problems.extend(script_problems(&format!("{folder}/{name}"))?);
        }
        names.push(found);
    }
    if let [sqlite, postgres] = names.as_slice() {
        problems.extend(pairing_problems(sqlite, postgres));
    }
    Failure::from_problems(problems)?;
    let count = names.first().map_or(0, BTreeSet::len);
    report::line(format_args!("migrations: {count} on both databases"));
    Ok(())
}

fn migrations_in(folder: &str) -> Outcome<BTreeSet<String>> {
    Ok(tree::entries(folder)?
        .into_iter()
        .filter(|entry| entry.is_folder)
        .map(|entry| entry.name)
        .collect())
}

fn script_problems(migration: &str) -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for script in ["up.sql", "down.sql"] {
        let path = format!("{migration}/{script}");
        if !tree::root().join(&path).is_file() {
            problems.push(format!("{path}: is missing"));
        } else if !has_statement(&tree::read(&path)?) {
            problems.push(format!("{path}: holds no statement"));
        }
    }
    Ok(problems)
}

/// Whether anything but blank lines and line comments is there.
fn has_statement(sql: &str) -> bool {
    sql.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with("--"))
}

/// Problems with the names in one tree. A database knows an applied migration by its timestamp alone.
fn name_problems(folder: &str, names: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    if names.is_empty() {
        problems.push(format!("{folder}: holds no migration"));
    }
    let mut timestamps = BTreeSet::new();
    for name in names {
        match timestamp(name) {
            None => problems.push(format!(
                "{folder}/{name}: is not named <YYYY-MM-DD-HHMMSS>_<snake_case>"
            )),
            Some(timestamp) => {
                if !timestamps.insert(timestamp) {
                    problems.push(format!("{folder}/{name}: {timestamp} is taken"));
                }
            }
        }
    }
    problems
}

/// The timestamp of a well-formed name.
fn timestamp(name: &str) -> Option<&str> {
    let (timestamp, title) = name.split_once('_')?;
    let shaped = timestamp.len() == TIMESTAMP.len()
        && timestamp
            .chars()
            .zip(TIMESTAMP.chars())
            .all(|(found, shape)| match shape {
                '0' => found.is_ascii_digit(),
                _ => found == shape,
            });
    let snake = title.starts_with(|first: char| first.is_ascii_lowercase())
        && title
            .chars()
            .all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_');
    (shaped && snake).then_some(timestamp)
}

fn pairing_problems(sqlite: &BTreeSet<String>, postgres: &BTreeSet<String>) -> Vec<String> {
    let only =
        |name: &String, database: &str| format!("migration {name}: exists for {database} only");
    let sqlite_only = sqlite.difference(postgres).map(|name| only(name, "SQLite"));
    let postgres_only = postgres
        .difference(sqlite)
        .map(|name| only(name, "PostgreSQL"));
    sqlite_only.chain(postgres_only).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{has_statement, name_problems, pairing_problems, timestamp};

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_are_a_timestamp_and_a_snake_case_title() {
        assert_eq!(
            timestamp("2026-11-21-093000_create_sessions"),
            Some("2026-11-21-093000")
        );
        for wrong in [
            "2026-11-21-0930_create_sessions",
            "2026-11-21_create_sessions",
            "2026-11-21-093000",
            "2026-11-21-093000_",
            "2026-11-21-093000_Create",
            "2026-11-21-093000_create-sessions",
            "V1__create_sessions",
        ] {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn timestamps_are_unique_and_trees_are_not_empty() {
        assert_eq!(
            name_problems("tree", &names(&[])),
            ["tree: holds no migration"]
        );
        assert_eq!(
            name_problems(
                "tree",
                &names(&["2026-11-21-093000_a", "2026-11-21-093000_b"])
            ),
            ["tree/2026-11-21-093000_b: 2026-11-21-093000 is taken"]
        );
    }

    #[test]
    fn each_migration_exists_on_both_databases() {
        let problems = pairing_problems(&names(&["a", "b"]), &names(&["b", "c"]));
        assert_eq!(
            problems,
            [
                "migration a: exists for SQLite only",
                "migration c: exists for PostgreSQL only"
            ]
        );
        assert!(pairing_problems(&names(&["a"]), &names(&["a"])).is_empty());
    }

    #[test]
    fn comments_are_no_statement() {
        assert!(!has_statement("-- nothing to undo\n\n"));
        assert!(has_statement("-- why\nDROP TABLE sessions;\n"));
    }
}
