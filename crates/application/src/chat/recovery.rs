//! What becomes of runs that outlived their process, and of those that are to survive this one.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{
    CredentialKind, Message, MessageStatus, Outcome, Role, Run, RunEvent, RunEventKind, RunId,
    RunStatus, Scope, Usage, UserRole,
};
use tokio_util::sync::CancellationToken;

use super::queue::PendingTurn;
use super::service::ChatService;
use crate::caller::Caller;
use crate::ports::{Answer, MessageWindow, RepositoryError};
use crate::runs::RunLog;

/// Events read at once.
const PAGE: u32 = 1000;
/// How often shutdown looks whether everything has ended.
const POLL: Duration = Duration::from_millis(10);

/// What a run's journal tells of it.
#[derive(Default)]
pub(super) struct Past {
    text: String,
    /// Whether anything was shown to a client that running it again would show twice.
    shown: bool,
    last_seq: u64,
}

impl ChatService {
    /// Takes care of every run that the last process left unfinished: turns of which nothing was shown yet run again
    /// from their message, the others end as interrupted with the text they had. Returns how many there were. Runs that
    /// this process has accepted already are left alone; a damaged run is logged and left as it is.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, RepositoryError> {
        let mut count = 0;
        for run in self.journal.unfinished().await? {
            if self.live().contains_key(&run.id) {
                continue;
            }
            let id = run.id.clone();
            match self.recover_run(run).await {
                Ok(()) => count += 1,
                // One damaged run must not keep the server from starting.
                Err(RepositoryError::Corrupt {
                    table,
                    column,
                    id: row,
                }) => {
                    tracing::error!(run = %id, table, column, row, "a damaged run is left as it is");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    async fn recover_run(self: &Arc<Self>, run: Run) -> Result<(), RepositoryError> {
        let past = self.past(&run.id).await?;
        if !past.shown
            && let Some(turn) = self.turn_again(&run, past.last_seq).await?
        {
            let queue = self.queues.get_or_create(&run.owner, &run.session);
            let (_, first) = self.enter(turn, &queue);
            if let Some(first) = first {
                let service = self.clone();
                tokio::spawn(async move { service.work(queue, first).await });
            }
            return Ok(());
        }
        self.interrupt(run, past).await
    }

    /// What a run's journal holds.
    pub(super) async fn past(&self, run: &RunId) -> Result<Past, RepositoryError> {
        let mut past = Past::default();
        loop {
            let events = self.journal.events(run, past.last_seq, PAGE).await?;
            let Some(last) = events.last() else {
                return Ok(past);
            };
            past.last_seq = last.seq;
            for event in events {
                past.shown |= event.kind.is_shown();
                if let RunEventKind::Text(piece) = event.kind {
                    past.text.push_str(&piece);
                }
            }
        }
    }

    /// The turn of a run, from its stored message.
    async fn turn_again(
        &self,
        run: &Run,
        last_seq: u64,
    ) -> Result<Option<PendingTurn>, RepositoryError> {
        let Some(session) = self.sessions.find(&run.owner, &run.session).await? else {
            return Ok(None);
        };
        let window = MessageWindow::newest(PAGE);
        let messages = self
            .sessions
            .messages(&run.owner, &run.session, window)
            .await?;
        let Some(message) = messages
            .into_iter()
            .find(|message| message.id == run.message)
        else {
            return Ok(None);
        };
        // What the credential allowed beyond chatting is not stored, so nothing more is assumed.
        let scopes = [Scope::Chat].into_iter().collect();
        Ok(Some(PendingTurn {
            caller: Caller::new(
                run.owner.clone(),
                UserRole::Member,
                scopes,
                CredentialKind::CommandLine,
            ),
            message,
            session_model: session.model,
            log: RunLog::new(run.clone(), last_seq, self.event_bus().clone()),
            span: tracing::info_span!("run", id = %run.id),
            run: run.clone(),
            stop: CancellationToken::new(),
            unstored: None,
            last_seq,
            slot: None,
        }))
    }

    /// Ends a run that nobody works on, with the text its journal holds.
    pub(super) async fn interrupt(&self, run: Run, past: Past) -> Result<(), RepositoryError> {
        let Past { text, last_seq, .. } = past;
        let now = self.clock.now();
        let message = (!text.is_empty()).then(|| Message {
            id: self.ids.message_id(),
            owner: run.owner.clone(),
            session: run.session.clone(),
            seq: 0,
            role: Role::Assistant,
            text,
            images: Vec::new(),
            status: MessageStatus::Interrupted,
            created_at: now,
            run: Some(run.id.clone()),
            model: None,
            usage: None,
        });
        let outcome = Outcome {
            status: RunStatus::Interrupted,
            message: message.as_ref().map(|message| message.id.clone()),
            model: None,
            usage: Usage::default(),
            reason: "interrupted".to_owned(),
            error: Some("The answer was interrupted".to_owned()),
        };
        let last = RunEvent {
            seq: last_seq + 1,
            at: now,
            kind: RunEventKind::Finished(outcome),
        };
        let status = RunStatus::Interrupted;
        self.journal
            .finish(Answer {
                run: run.id,
                status,
                finished_at: now,
                events: vec![last],
                message,
                calls: Vec::new(),
            })
            .await
    }

    /// Accepts nothing more and ends what runs as interrupted, keeping the text; turns that wait or have shown nothing stay for the next
    /// start. Returns
    /// when all have ended or `patience` is over.
    pub async fn shut_down(&self, patience: Duration) {
        self.shutdown.cancel();
        let all_ended = async {
            while !self.queues.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(patience, all_ended).await.is_err() {
            tracing::warn!("some runs did not end in time; the next start ends them");
        }
        self.event_bus().close();
    }
}
