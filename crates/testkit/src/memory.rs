//! The memory of a test.

use std::sync::Arc;

use majordomo_application::memory::{MemoryPorts, MemoryService};
use majordomo_application::ports::{AuditLog, Clock, MemoryRepository, TurnRepository};

use crate::SequentialIds;

/// Memory over `store`.
pub fn memory_service<S>(store: Arc<S>, clock: Arc<dyn Clock>) -> Arc<MemoryService>
where
    S: MemoryRepository + TurnRepository + AuditLog + 'static,
{
    Arc::new(MemoryService::new(MemoryPorts {
        memories: store.clone(),
        turns: store.clone(),
        audit_log: store,
        clock,
        ids: Arc::new(SequentialIds::new()),
    }))
}
