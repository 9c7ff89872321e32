//! An accepted turn, and the whole answer for callers that wait for it.

use majordomo_domain::{
    MemoryId, MessageId, Outcome, RunEventKind, RunId, RunStatus, SessionId, Timestamp,
};

use tokio::sync::oneshot;

use super::error::ChatError;
use crate::runs::RunStream;

/// An accepted turn: its message is stored, or will be with its answer; its run goes on whether or not anyone watches.
pub struct Turn {
    /// The run that answers.
    pub run: RunId,
    /// The session it speaks in.
    pub session: SessionId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Answered when its message is stored, where that is still to be waited for.
    pub(super) stored: Option<oneshot::Receiver<()>>,
    pub(super) stream: RunStream,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The run that answered.
    pub run: RunId,
    /// The session it spoke in.
    pub session: SessionId,
    /// When its message was accepted.
    pub created_at: Timestamp,
    /// The stored answer; a run's id stands in where nothing was stored (slash commands).
    pub message: MessageId,
    /// The answer.
    pub text: String,
    /// The memories that the prompt quoted.
    pub recalled: Vec<MemoryId>,
    /// How the run ended.
    pub outcome: Outcome,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl Turn {
    /// The events of the run, each as it comes.
    pub fn into_events(self) -> RunStream {
        self.stream.watching()
    }

    /// Waits for the whole answer. A turn that fails without a word is an error; one that breaks off is not: its
    /// outcome tells.
    pub async fn into_reply(mut self) -> Result<Reply, ChatError> {
        let (mut text, mut recalled) = (String::new(), Vec::new());
        loop {
            let batch = self.stream.next_batch().await?;
            if batch.is_empty() {
                return Err(ChatError::ShuttingDown);
            }
            for event in batch {
                match &event.kind {
                    RunEventKind::Text(piece) => text.push_str(piece),
                    RunEventKind::Recalled(memories) => recalled.clone_from(memories),
                    RunEventKind::Finished(outcome) => {
                        let reply = self.reply(text, outcome.clone(), event.at)?;
                        return Ok(Reply { recalled, ..reply });
                    }
                    _ => {}
                }
            }
        }
    }

    fn reply(
        self,
        text: String,
        outcome: Outcome,
        finished_at: Timestamp,
    ) -> Result<Reply, ChatError> {
        if outcome.status != RunStatus::Completed && text.is_empty() {
            return Err(ChatError::of(&outcome));
        }
        let message = match &outcome.message {
            Some(message) => message.clone(),
            None => MessageId::parse(self.run.as_str()).map_err(|_| ChatError::RunNotFound)?,
        };
        Ok(Reply {
            run: self.run,
            session: self.session,
            created_at: self.created_at,
            message,
            text,
            recalled: Vec::new(),
            outcome,
            finished_at,
        })
    }
}
