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

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// A family with one sample.
    pub(super) fn single(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.labelled(kind, name, help, [("", value)]);
    }

    /// A family with a sample for each set of labels, written `{name="value"}`.
    pub(super) fn labelled<'a, V: Display>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'a str, V)>,
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
            self.sample(&bucket, &format!("{{le=\"{bound}\"}}"), least);
        }
        let count = count.max(least);
        self.sample(&bucket, "{le=\"+Inf\"}", count);
        self.sample(&format!("{name}_sum"), "", sum);
        self.sample(&format!("{name}_count"), "", count);
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}
