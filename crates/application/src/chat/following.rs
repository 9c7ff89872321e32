//! What connections that stay open need to know: which session is theirs, what runs in it, when the service ends.

use majordomo_domain::{Scope, SessionId};

use super::error::ChatError;
use super::service::ChatService;
use crate::caller::Caller;
use crate::runs::RunStream;

impl ChatService {
    /// An id under which a conversation can begin. Nothing is stored until its first message.
    pub fn reserve_session(&self, caller: &Caller) -> Result<SessionId, ChatError> {
        caller.require_change(Scope::Chat)?;
        Ok(self.ids.session_id())
    }

    /// The runs of one of the caller's sessions that run or wait in this process, oldest first, each from its first
    /// event on.
    pub fn unfinished(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Vec<RunStream>, ChatError> {
        caller.require(Scope::Chat)?;
        let mut logs: Vec<_> = self
            .live()
            .values()
            .filter(|log| log.run().owner == caller.user && log.run().session == *session)
            .cloned()
            .collect();
        logs.sort_by(|a, b| {
            let (a, b) = (a.run(), b.run());
            (a.created_at, &a.id).cmp(&(b.created_at, &b.id))
        });
        Ok(logs
            .into_iter()
            .map(|log| RunStream::live(log, self.journal.clone(), 0, true))
            .collect())
    }

    /// Returns when the service begins to shut down: from then on it accepts nothing more.
    pub async fn shutting_down(&self) {
        self.shutdown.cancelled().await;
    }
}
