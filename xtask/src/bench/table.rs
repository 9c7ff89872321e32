//! The result: a row for each bar, as Markdown and as JSON.

use std::fmt::Write;

use super::machine::Machine;
use super::options::Group;

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Percent,
    Milliseconds,
    /// Of 1024 × 1024 bytes.
    Megabytes,
    /// Of 1024 bytes.
    Kilobytes,
}

/// One measurement against its bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) group: Group,
    pub(crate) name: String,
    pub(crate) bar: Bar,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    /// What else was measured, in words.
    pub(crate) detail: String,
}

impl Bar {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
            Self::Below(bar) => value < bar,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "≥",
            Self::AtMost(_) => "≤",
            Self::Below(_) => "<",
        }
    }

    const fn value(self) -> f64 {
        match self {
            Self::AtLeast(bar) | Self::AtMost(bar) | Self::Below(bar) => bar,
        }
    }
}

impl Unit {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::Kilobytes => "KB",
        }
    }

    fn show(self, value: f64) -> String {
        let digits = match self {
            Self::Milliseconds if value.abs() < 10.0 => 3,
            _ => 1,
        };
        format!("{value:.digits$} {}", self.symbol())
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        if self.bar.is_met_by(self.value) {
            "met"
        } else {
            "MISSED"
        }
    }
}

/// The result for people.
pub(crate) fn text(machine: &Machine, rows: &[Row], quick: bool) -> String {
    let mut text = String::new();
    for (name, value) in machine {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<10} {value}");
    }
    if quick {
        text.push_str("\nA quick run: its numbers are rough.\n");
    }
    text.push_str("\n| what | bar | measured | verdict | in detail |\n|---|---|---|---|---|");
    for row in rows {
        let _ = write!(
            text,
            "\n| {} | {} {} {} | {} | {} | {} |",
            row.name,
            row.bar.sign(),
            row.bar.value(),
            row.unit.symbol(),
            row.unit.show(row.value),
            row.verdict(),
            row.detail,
        );
    }
    text
}

/// The result for programs: `{"machine":{..},"quick":..,"rows":[{..}]}`.
pub(crate) fn json(machine: &Machine, rows: &[Row], quick: bool) -> String {
    let machine: Vec<String> = machine
        .iter()
        .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
        .collect();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{{\"group\":{},\"name\":{},\"comparison\":{},\"bar\":{},\"unit\":{},\"value\":{:.4},\
                 \"met\":{},\"detail\":{}}}",
                quoted(row.group.name()),
                quoted(&row.name),
                quoted(row.bar.sign()),
                row.bar.value(),
                quoted(row.unit.symbol()),
                row.value,
                row.bar.is_met_by(row.value),
                quoted(&row.detail),
            )
        })
        .collect();
    format!(
        "{{\"machine\":{{{}}},\"quick\":{quick},\"rows\":[\n{}\n]}}\n",
        machine.join(","),
        rows.join(",\n"),
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Bar, Group, Row, Unit, json, quoted, text};

    fn row(bar: Bar, unit: Unit, value: f64) -> Row {
        Row {
            group: Group::Chat,
            name: "path".to_owned(),
            bar,
            unit,
            value,
            detail: "said \"so\"".to_owned(),
        }
    }

    #[test]
    fn a_bar_itself_is_met_unless_it_has_to_be_undercut() {
        assert!(Bar::AtLeast(35.0).is_met_by(35.0) && !Bar::AtLeast(35.0).is_met_by(34.9));
        assert!(Bar::AtMost(25.0).is_met_by(25.0) && !Bar::AtMost(25.0).is_met_by(25.1));
        assert!(Bar::Below(10.0).is_met_by(9.9) && !Bar::Below(10.0).is_met_by(10.0));
    }

    #[test]
    fn a_value_that_could_not_be_computed_meets_nothing() {
        for bar in [Bar::AtLeast(1.0), Bar::AtMost(1.0), Bar::Below(1.0)] {
            assert!(!bar.is_met_by(f64::NAN));
        }
    }

    #[test]
    fn the_table_shows_bar_value_and_verdict() {
        let rows = [
            row(Bar::AtLeast(35.0), Unit::Percent, 41.26),
            row(Bar::AtMost(0.15), Unit::Milliseconds, 0.2),
        ];
        let text = text(&vec![("cores", "2".to_owned())], &rows, false);
        assert!(text.starts_with("cores      2\n"), "{text}");
        assert!(
            text.contains("| path | ≥ 35 % | 41.3 % | met | said \"so\" |"),
            "{text}"
        );
        assert!(
            text.ends_with("| path | ≤ 0.15 ms | 0.200 ms | MISSED | said \"so\" |"),
            "{text}"
        );
    }

    #[test]
    fn the_json_is_escaped() {
        let rows = [row(Bar::Below(10.0), Unit::Milliseconds, 9.5)];
        let json = json(&vec![("rustc", "1".to_owned())], &rows, true);
        let expected = concat!(
            r#"{"machine":{"rustc":"1"},"quick":true,"rows":["#,
            "\n",
            r#"{"group":"chat","name":"path","comparison":"<","bar":10,"unit":"ms","value":9.5000,"met":true,"detail":"said \"so\""}"#,
            "\n]}\n"
        );
        assert_eq!(json, expected);
        assert_eq!(quoted("a\\b\n"), r#""a\\b\u000a""#);
    }
}
