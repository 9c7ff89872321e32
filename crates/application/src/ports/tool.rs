//! What an agent can do besides talking.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, MessageId, RunId, SessionId, Timestamp};
use thiserror::Error;

use super::ToolSpec;
use crate::Caller;

/// Who calls a tool, and from where.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// On whose behalf the tool acts: it sees what this caller may see.
    pub caller: Caller,
    /// The session the call was made in.
    pub session: SessionId,
    /// The message that is being answered.
    pub message: MessageId,
    /// The run that answers it.
    pub run: RunId,
}

impl ToolContext {
    /// What the audit log says of a call of `tool` at `at` that changes something. It MUST be stored in the transaction
    /// of that change.
    pub fn record(&self, tool: &str, at: Timestamp) -> AuditRecord {
        let record = self.caller.record("tool.call", at).on("tool", tool);
        record.with("session", &self.session)
    }
}

/// Why a tool has no result. The words go to the model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToolError {
    /// The arguments do not fit the tool's schema.
    #[error("invalid arguments: {0}")]
    Arguments(String),
    /// The tool could not do it.
    #[error("{0}")]
    Failed(String),
}

/// A tool.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name, description and JSON Schema of the arguments.
    fn spec(&self) -> &ToolSpec;
    /// Whether calls of this tool may run at the same time as others of the same step.
    fn is_parallel(&self) -> bool {
        true
    }
    /// Whether what it returns was said or remembered before: nothing is learnt from it anew.
    fn is_recollection(&self) -> bool {
        false
    }
    /// Whether a call may be repeated when it is unknown whether it was made (after a crash).
    fn is_idempotent(&self) -> bool;
    /// Calls the tool. Dropping the future MUST stop the work.
    async fn call(
        &self,
        context: &ToolContext,
        arguments: serde_json::Value,
    ) -> Result<String, ToolError>;
}
