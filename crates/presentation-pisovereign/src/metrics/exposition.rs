//! Writes Prometheus' text format, version 0.0.4: every family once, its help and type before its samples.

use std::fmt::{Display, Write as _};

/// The kinds of families used here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A page of metrics in the making.
#[derive(Default)]
pub(super) struct Page(String);

/// Names and values that tell samples of a family apart.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.0.push_str("# HELP ");
        self.0.push_str(name);
        self.0.push(' ');
        self.escaped(help, false);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.escaped(text, true);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn escaped(&mut self, text: &str, quoted: bool) {
        for character in text.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '"' if quoted => self.0.push_str("\\\""),
                other => self.0.push(other),
            }
        }
    }

    /// A family with one sample.
    pub(super) fn single(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.labelled(kind, name, help, [(&[][..], value)]);
    }

    /// A family with a sample for each set of labels.
    pub(super) fn labelled<'a, V: Display>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, help, kind);
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    /// A histogram of upper bounds with cumulative counts, the sum of all values, and their count. Counters are read one
    /// after the other while others write, so counts are evened out: none is below the one before.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl IntoIterator<Item = (u64, u64)>,
        sum: impl Display,
        count: u64,
    ) {
        self.head(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        let mut least = 0;
        for (bound, count) in buckets {
            least = least.max(count);
            self.sample(&bucket, &[("le", &bound.to_string())], least);
        }
        let count = count.max(least);
        self.sample(&bucket, &[("le", "+Inf")], count);
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], count);
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_the_format_asks() {
        let mut page = Page::default();
        let samples = [(&[("a", "x"), ("b", "say \"\\\n\"")][..], 1)];
        page.labelled(Kind::Gauge, "odd", "a \"help\"\nwith \\", samples);
        assert_eq!(
            page.finish(),
            "# HELP odd a \"help\"\\nwith \\\\\n# TYPE odd gauge\nodd{a=\"x\",b=\"say \\\"\\\\\\n\\\"\"} 1\n"
        );
    }
}
