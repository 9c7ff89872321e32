//! What tools do to memories on behalf of a user: as the user's own acts, but each in the audit log as a call.

use majordomo_domain::{MemoryId, Scope};

use super::drafts::NewMemory;
use super::error::MemoryError;
use super::service::{MemoryService, StoredMemory};
use crate::ports::ToolContext;

impl MemoryService {
    /// As [`create`](Self::create), by a call of the tool `tool`: the audit log says so.
    pub async fn create_by_call(
        &self,
        context: &ToolContext,
        tool: &str,
        new: NewMemory,
    ) -> Result<StoredMemory, MemoryError> {
        let record = context.record(tool, self.clock.now());
        self.store(&context.caller, new, Some(record)).await
    }

    /// As [`delete`](Self::delete), by a call of the tool `tool`: the audit log says so.
    pub async fn delete_by_call(
        &self,
        context: &ToolContext,
        tool: &str,
        id: &MemoryId,
    ) -> Result<(), MemoryError> {
        let caller = &context.caller;
        caller.require_change(Scope::Memory)?;
        let record = context.record(tool, self.clock.now()).with("memory", id);
        match self
            .remove(caller, std::slice::from_ref(id), record)
            .await?
        {
            0 => Err(MemoryError::NotFound),
            _ => Ok(()),
        }
    }
}
