//! One thing whose health is looked at.

use async_trait::async_trait;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCategory {
    /// Settings and files of the installation.
    Config,
    /// Other programs and services.
    Connectivity,
    /// Disks and databases.
    Storage,
}

impl HealthCategory {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Connectivity => "connectivity",
            Self::Storage => "storage",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work; the rest does.
    Warning,
    /// The server cannot do its work.
    Critical,
}

impl Severity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheckInfo {
    /// A stable name: `disk_space`.
    pub id: &'static str,
    /// What it looks at, for people.
    pub name: &'static str,
    /// The same in one of a few words.
    pub category: HealthCategory,
    /// How bad it is when the check does not come to an end.
    pub severity: Severity,
    /// What helps when it fails.
    pub fix_hint: &'static str,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckState {
    /// All is well.
    Healthy,
    /// There is nothing to look at. Not a fault.
    NotConfigured,
    /// Something is wrong, in words fit for every user of the server.
    Issue(Severity, String),
}

/// Looks at one thing.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// What it looks at.
    fn about(&self) -> HealthCheckInfo;
    /// Looks. MUST NOT block the thread; it is dropped when it takes too long.
    async fn run(&self) -> CheckState;
}
