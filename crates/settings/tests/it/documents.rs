//! The committed example file and reference say exactly what the structs say. `UPDATE_GOLDEN=1` rewrites them.

use std::path::PathBuf;

use majordomo_settings::{Settings, SettingsError};

use crate::Case;

const REFERENCE_BEGIN: &str = "<!-- generated: settings -->\n";
const REFERENCE_END: &str = "<!-- end of generated: settings -->\n";

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn assert_committed(path: &str, expected: &str) {
    let path = repository(path);
    let updating = std::env::vars_os().any(|(name, value)| name == "UPDATE_GOLDEN" && value == "1");
    if updating {
        std::fs::write(&path, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == expected,
        "{} is out of date: run this test with UPDATE_GOLDEN=1",
        path.display()
    );
}

#[test]
fn the_example_file_is_up_to_date() {
    assert_committed("config.toml.example", &Settings::example());
}

#[test]
fn the_reference_is_up_to_date() {
    let path = "docs/configuration.md";
    let committed = std::fs::read_to_string(repository(path)).unwrap();
    let (before, rest) = committed.split_once(REFERENCE_BEGIN).unwrap();
    let (_, after) = rest.split_once(REFERENCE_END).unwrap();
    let reference = Settings::reference();
    assert_committed(
        path,
        &format!("{before}{REFERENCE_BEGIN}\n{reference}{REFERENCE_END}{after}"),
    );
}

#[test]
fn the_example_as_it_is_changes_nothing() {
    let settings = Case::file(Settings::example()).load().unwrap();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings::default())
    );
}

#[test]
fn the_defaults_of_the_example_are_the_defaults() {
    let mut uncommented = 0;
    let text: Vec<String> = Settings::example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => {
                uncommented += 1;
                rest.to_owned()
            }
            _ => line.to_owned(),
        })
        .collect();
    assert!(uncommented > 25, "only {uncommented} defaults");
    let settings = Case::file(text.join("\n")).load().unwrap();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings::default())
    );
}

/// Alternatives exclude each other, so each example is tried alone, in its table with what that table requires.
#[test]
fn every_example_is_valid() {
    let example = Settings::example();
    let mut section = String::new();
    let mut required = String::new();
    let mut tried = 0;
    let mut tables = 0;
    for line in example.lines() {
        if line.starts_with('[') {
            (section, required) = (format!("{line}\n"), String::new());
        }
        let Some(assignment) = line.strip_prefix("# Example: ") else {
            continue;
        };
        if assignment.starts_with("[[") {
            (section, required) = (format!("{assignment}\n"), String::new());
            continue;
        }
        let key = assignment.split(' ').next().unwrap();
        if let Some(needed) = needed_in(section.trim()).filter(|needed| needed.contains(&key)) {
            required.push_str(assignment);
            required.push('\n');
            if needed.last() == Some(&key) {
                Case::file(format!("{section}{required}")).load().unwrap();
                tables += 1;
            }
            continue;
        }
        let case = Case::file("").env("OPENAI_API_KEY", "key");
        let assignment = if key.ends_with("_file") {
            case.write("secret", "sqlite://secret.db");
            format!("{key} = {:?}", case.path("secret"))
        } else {
            assignment.to_owned()
        };
        case.write("config.toml", format!("{section}{required}{assignment}"));
        case.load()
            .unwrap_or_else(|error| panic!("{assignment}: {error}"));
        tried += 1;
    }
    assert!(tried > 15, "only {tried} examples");
    assert_eq!(tables, 4, "tables with their required keys only");
}

/// The keys without which an entry of a list of tables is invalid, in the order of the documentation.
fn needed_in(table: &str) -> Option<&'static [&'static str]> {
    match table {
        "[[models.providers]]" => Some(&["name", "kind"]),
        "[[security.api_keys]]" => Some(&["hash", "user_id"]),
        "[[prices.models]]" => Some(&["model", "input", "output"]),
        "[[oauth.clients]]" => Some(&["id", "name", "redirect_uris"]),
        _ => None,
    }
}

/// Walks the structs through serde: each one lists its keys when it meets one that it does not know.
#[test]
fn every_key_is_documented() {
    let example = Settings::example();
    let expected = |file: &str| -> Vec<String> {
        let message = Case::file(file).load().unwrap_err();
        let (_, keys) = message
            .split_once("expected one of ")
            .or_else(|| message.split_once("expected "))
            .unwrap();
        keys.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let documented = |key: &str| {
        [
            format!("#{key} = "),
            format!("# Example: {key} = "),
            format!("# Example: [[models.{key}]]"),
            format!("# Example: [[security.{key}]]"),
            format!("# Example: [[prices.{key}]]"),
            format!("# Example: [[oauth.{key}]]"),
        ]
        .iter()
        .any(|form| example.lines().any(|line| line.starts_with(form.as_str())))
    };
    let sections = expected("unknown = 1");
    assert_eq!(sections.len(), 11);
    let mut tables: Vec<String> = sections
        .iter()
        .map(|section| format!("[{section}]\n"))
        .collect();
    tables.push("[[models.providers]]\nname = \"a\"\nkind = \"openai\"\n".to_owned());
    tables.push("[[security.api_keys]]\n".to_owned());
    tables.push("[[prices.models]]\n".to_owned());
    tables.push("[[oauth.clients]]\n".to_owned());
    for table in tables {
        for key in expected(&format!("{table}unknown = 1")) {
            assert!(documented(&key), "{key} of {table}");
        }
    }
}

#[test]
fn errors_can_cross_threads() {
    fn check<T: std::error::Error + Send + Sync + 'static>() {}
    check::<SettingsError>();
}
