//! A part of the examination of how safely the server is set up.

use async_trait::async_trait;
use majordomo_domain::SecurityCheckResult;

/// Looks at one thing, or at a few that belong together. A check that cannot look MUST say so in a result that has not
/// passed.
#[async_trait]
pub trait SecurityCheck: Send + Sync {
    /// What is found. Bounded in time by the caller; dropping the future MUST stop the work.
    async fn examine(&self) -> Vec<SecurityCheckResult>;
}
