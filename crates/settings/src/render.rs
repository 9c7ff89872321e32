//! Prints the example file and the reference from the same descriptions that define the settings.

use std::fmt::Write as _;

use crate::Settings;
use crate::catalogue::{Field, Kind};

/// What the example file begins with.
const EXAMPLE_HEADER: &str = "\
# Settings of Majordomo. Copy this file to `config.toml` in the data folder, or name it with `--config`.
#
# A line that begins with `#key =` shows the default: remove the `#` and change the value.
# A line that begins with `# Example:` shows a value for a key that is not set by default.
# Every key can also be set by an environment variable: `server.listen` is `MAJORDOMO__SERVER__LISTEN`.
";

impl Settings {
    /// The content of `config.toml.example`: every key with its description and its default.
    pub fn example() -> String {
        let mut text = EXAMPLE_HEADER.to_owned();
        for section in Self::FIELDS {
            if let Kind::Section(fields) = section.kind {
                let _ = writeln!(text, "\n{}[{}]", comment(section, ""), section.name);
                for field in fields {
                    text.push('\n');
                    text.push_str(&example_field(section.name, field));
                }
            }
        }
        text
    }

    /// The tables of `docs/configuration.md`: every key with its type, default and meaning, in Markdown.
    pub fn reference() -> String {
        let mut text = String::new();
        for section in Self::FIELDS {
            if let Kind::Section(fields) = section.kind {
                reference_section(&mut text, &format!("[{}]", section.name), section, fields);
                for field in fields {
                    if let Kind::List(Kind::Section(inner)) = field.kind {
                        let title = format!("[[{}.{}]]", section.name, field.name);
                        reference_section(&mut text, &title, field, inner);
                    }
                }
            }
        }
        text
    }
}

/// The description of a field as TOML comment lines.
fn comment(field: &Field, indent: &str) -> String {
    field.doc.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "#{indent}{line}");
        text
    })
}

/// A field with its default or example, all commented out.
fn example_field(section: &str, field: &Field) -> String {
    let mut text = comment(field, "");
    if let Kind::List(Kind::Section(inner)) = field.kind {
        let _ = writeln!(text, "# Example: [[{section}.{}]]", field.name);
        for field in *inner {
            text.push_str(&comment(field, "   "));
            let _ = writeln!(text, "# Example: {}", assignment(field));
        }
        return text;
    }
    let lead = if (field.default)().is_some() {
        "#"
    } else {
        "# Example: "
    };
    let _ = writeln!(text, "{lead}{}", assignment(field));
    text
}

/// `key = value`, with the example where there is one and the default otherwise.
fn assignment(field: &Field) -> String {
    let value = match field.example {
        Some(example) => example.to_owned(),
        None => (field.default)()
            .map(|value| value.to_string())
            .unwrap_or_default(),
    };
    format!("{} = {value}", field.name)
}

/// One Markdown table.
fn reference_section(text: &mut String, title: &str, about: &Field, fields: &[Field]) {
    let _ = writeln!(text, "## `{title}`\n\n{}\n", prose(about));
    let _ = writeln!(
        text,
        "| key | type | default | meaning |\n|---|---|---|---|"
    );
    for field in fields {
        let default = match (field.required, (field.default)()) {
            (true, _) => "required".to_owned(),
            (false, Some(value)) => format!("`{value}`"),
            (false, None) => "-".to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} |",
            field.name,
            field.kind.label(),
            prose(field)
        );
    }
    text.push('\n');
}

/// The description of a field as one paragraph.
fn prose(field: &Field) -> String {
    field
        .doc
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
