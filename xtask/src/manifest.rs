//! As much of a `Cargo.toml` as the architecture check needs, read line by line.

/// One `key = value` of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The table it stands in, without brackets: `dependencies`.
    pub(crate) table: String,
    /// `serde.workspace`.
    pub(crate) key: String,
    /// The text right of the equals sign, on one line.
    pub(crate) value: String,
}

/// Which kind of build a dependency takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[dependencies]` and `[build-dependencies]`: it ships.
    Shipped,
    /// `[dev-dependencies]`: tests only.
    Development,
}

/// One dependency of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The name on the left.
    pub(crate) name: String,
    /// Where it is used.
    pub(crate) kind: Kind,
    /// Whether version and source come from the workspace and nothing here adds its own.
    pub(crate) inherited: bool,
}

/// The settings of a manifest, in order.
pub(crate) fn settings(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut table = String::new();
    for line in logical_lines(text) {
        if line.starts_with('[') {
            line.trim_matches(['[', ']', ' ']).clone_into(&mut table);
        } else if let Some((key, value)) = line.split_once('=') {
            settings.push(Setting {
                table: table.clone(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            });
        }
    }
    settings
}

/// The value of `key` in `table`.
pub(crate) fn value<'a>(settings: &'a [Setting], table: &str, key: &str) -> Option<&'a str> {
    settings
        .iter()
        .find(|setting| setting.table == table && setting.key == key)
        .map(|setting| setting.value.as_str())
}

/// The dependencies of all kinds and platforms.
pub(crate) fn dependencies(settings: &[Setting]) -> Vec<Dependency> {
    settings.iter().filter_map(dependency).collect()
}

fn dependency(setting: &Setting) -> Option<Dependency> {
    let (before, own_table) = match setting.table.rsplit_once("dependencies.") {
        Some((before, name)) => (before, Some(name)),
        None => (setting.table.strip_suffix("dependencies")?, None),
    };
    let kind = if before.ends_with("dev-") {
        Kind::Development
    } else {
        Kind::Shipped
    };
    let value: String = setting.value.split_whitespace().collect();
    let (name, inherited) = match (own_table, setting.key.split_once('.')) {
        // The long form, `[dependencies.x]`: one line per key, which this reader cannot judge as a whole.
        (Some(name), _) => (name, false),
        (None, Some((name, key))) => (name, key == "workspace" && value == "true"),
        (None, None) => (setting.key.as_str(), inherits(&value)),
    };
    Some(Dependency {
        name: name.trim_matches('"').to_owned(),
        kind,
        inherited,
    })
}

/// Whether an inline table, without spaces, takes everything but features from the workspace.
fn inherits(value: &str) -> bool {
    let own_source = ["version=", "path=", "git=", "registry="];
    value.starts_with('{')
        && value.contains("workspace=true")
        && !own_source.iter().any(|key| value.contains(key))
}

/// Lines without comments, with values that span several lines joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        open.push_str(without_comment(line).trim());
        let unclosed = open.matches(['[', '{']).count() > open.matches([']', '}']).count();
        if !unclosed {
            let line = std::mem::take(&mut open);
            if !line.is_empty() {
                lines.push(line);
            }
        }
    }
    lines
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == '#' && !quoted
    });
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::{Kind, dependencies, settings, value};

    const MANIFEST: &str = r#"
[package]
name = "majordomo-example" # "quoted" comment
version.workspace = true

[lints]
workspace = true

[dependencies]
serde.workspace = true
diesel = { workspace = true, features = [
    "sqlite", # bundled
    "chrono",
] }
pinned = "1"
local = { path = "../local" }
mixed = { workspace = true, version = "2" }

[target.'cfg(unix)'.dev-dependencies]
tempfile.workspace = true

[dependencies.long]
version = "3"
"#;

    #[test]
    fn values_are_found_by_table_and_key() {
        let settings = settings(MANIFEST);
        assert_eq!(
            value(&settings, "package", "name"),
            Some("\"majordomo-example\"")
        );
        assert_eq!(value(&settings, "lints", "workspace"), Some("true"));
        assert_eq!(value(&settings, "package", "workspace"), None);
    }

    #[test]
    fn dependencies_have_kind_and_origin() {
        let found: Vec<(String, Kind, bool)> = dependencies(&settings(MANIFEST))
            .into_iter()
            .map(|dependency| (dependency.name, dependency.kind, dependency.inherited))
            .collect();
        let expected = [
            ("serde", Kind::Shipped, true),
            ("diesel", Kind::Shipped, true),
            ("pinned", Kind::Shipped, false),
            ("local", Kind::Shipped, false),
            ("mixed", Kind::Shipped, false),
            ("tempfile", Kind::Development, true),
            ("long", Kind::Shipped, false),
        ]
        .map(|(name, kind, inherited)| (name.to_owned(), kind, inherited));
        assert_eq!(found, expected);
    }
}
