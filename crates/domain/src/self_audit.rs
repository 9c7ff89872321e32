//! What a server finds when it examines how safely it is set up.

use crate::Timestamp;

/// How much a failed check matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckSeverity {
    /// Good to know.
    Info,
    /// Weakens the server.
    Warning,
    /// Lets others in, or hides what they did.
    Critical,
}

impl CheckSeverity {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The inverse of [`CheckSeverity::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical]
            .into_iter()
            .find(|severity| severity.as_str() == name)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityCheckResult {
    /// What was looked at, in two or three words.
    pub check: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// How much it matters when it is not.
    pub severity: CheckSeverity,
    /// What was found, in one sentence.
    pub message: String,
    /// How to mend it; `None` when there is nothing to mend.
    pub remedy: Option<String>,
}

impl SecurityCheckResult {
    /// It is as it should be.
    pub fn passed(check: &str, message: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            passed: true,
            severity: CheckSeverity::Info,
            message: message.into(),
            remedy: None,
        }
    }

    /// It is not, and this is how to mend it.
    pub fn failed(
        check: &str,
        severity: CheckSeverity,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check: check.to_owned(),
            passed: false,
            severity,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// All that was looked at, at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfAuditReport {
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub results: Vec<SecurityCheckResult>,
}

impl SelfAuditReport {
    /// The day of the report in UTC, as `YYYY-MM-DD`: its name.
    pub fn date(&self) -> String {
        date_of(self.at)
    }

    /// Checks that passed.
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|result| result.passed).count()
    }

    /// Checks that did not.
    pub fn issues(&self) -> usize {
        self.results.len().saturating_sub(self.passed())
    }
}

/// The day of `at` in UTC, as `YYYY-MM-DD`.
pub fn date_of(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d").to_string()
}
