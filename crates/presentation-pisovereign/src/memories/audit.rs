//! What is wrong with memories, as clients read it.

use std::time::Duration;

use majordomo_application::memory::{Finding, Findings, MemoryAudit, MemoryAuditQuery};
use majordomo_presentation_http::{ApiError, Location};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dto::{limit, wrong};

/// Findings named of each sort when no number is named, and at most.
const NAMED: u32 = 50;
const MAX_NAMED: i64 = 500;
/// Days after which a memory is stale when none are named, and at most.
const STALE: u64 = 180;
const MAX_STALE: u64 = 36_500;

/// What to look for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AuditParams {
    /// So many findings of each sort are named at most; 50 where left out. All are counted.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// What was neither changed nor found for so many days is stale; 180 where left out.
    #[schemars(range(min = 1, max = 36_500))]
    stale_days: Option<i64>,
}

impl AuditParams {
    pub(crate) fn into_query(self) -> Result<MemoryAuditQuery, ApiError> {
        let days = self.stale_days.map_or(Ok(STALE), u64::try_from);
        let days = days.ok().filter(|days| (1..=MAX_STALE).contains(days));
        let days = days.ok_or_else(|| {
            let words = format!("must be between 1 and {MAX_STALE}");
            wrong(Location::Query, "stale_days", words)
        })?;
        Ok(MemoryAuditQuery {
            stale_after: Duration::from_hours(24 * days),
            limit: limit(self.limit, NAMED, MAX_NAMED)?,
        })
    }
}

/// What is wrong with memories.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryAuditResponse {
    /// Memories examined.
    examined: u64,
    /// Whether these are all of them, and each was compared with every other.
    whole: bool,
    /// They say what an older memory of their type says.
    duplicates: FindingsResponse,
    /// They say nearly what an older memory of their type says.
    near_duplicates: FindingsResponse,
    /// They were neither changed nor found for long.
    stale: FindingsResponse,
    /// Every conversation and message they came from is gone.
    orphaned: FindingsResponse,
}

/// Findings of one sort.
#[derive(Serialize, JsonSchema)]
struct FindingsResponse {
    /// How many there are.
    count: u64,
    /// The first of them.
    memories: Vec<FindingResponse>,
}

/// A memory that something is wrong with.
#[derive(Serialize, JsonSchema)]
struct FindingResponse {
    id: String,
    summary: String,
    /// When it was last changed or found.
    used_at: String,
    /// The older memory it is like.
    #[serde(skip_serializing_if = "Option::is_none")]
    like: Option<String>,
    /// The share of the words of both that both have, 0.0 to 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    likeness: Option<f64>,
}

impl From<Finding> for FindingResponse {
    fn from(finding: Finding) -> Self {
        let rounded = |share: f64| (share * 10_000.0).round() / 10_000.0;
        Self {
            id: finding.id.into_string(),
            summary: finding.summary,
            used_at: finding.used_at.to_rfc3339(),
            likeness: finding.like.as_ref().map(|like| rounded(like.share)),
            like: finding.like.map(|like| like.id.into_string()),
        }
    }
}

impl From<Findings> for FindingsResponse {
    fn from(findings: Findings) -> Self {
        Self {
            count: findings.count,
            memories: findings.named.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<MemoryAudit> for MemoryAuditResponse {
    fn from(audit: MemoryAudit) -> Self {
        Self {
            examined: audit.examined,
            whole: audit.whole,
            duplicates: audit.duplicates.into(),
            near_duplicates: audit.near_duplicates.into(),
            stale: audit.stale.into(),
            orphaned: audit.orphaned.into(),
        }
    }
}
