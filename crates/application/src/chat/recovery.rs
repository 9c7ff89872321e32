//! What becomes of runs that outlived their process, and of those that are to survive this one.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{
    CredentialKind, Message, MessageStatus, Outcome, Role, Run, RunEvent, RunEventKind, RunStatus,
    Usage,
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

impl ChatService {
    /// Takes care of every run that the last process left unfinished: turns of which nothing was shown yet run again
    /// from their message, the others end as interrupted with the text they had. Returns how many there were.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, RepositoryError> {
        let runs = self.journal.unfinished().await?;
        let count = runs.len();
        for run in runs {
            self.recover_run(run).await?;
        }
        Ok(count)
    }

    async fn recover_run(self: &Arc<Self>, run: Run) -> Result<(), RepositoryError> {
        let (mut text, mut shown, mut last_seq) = (String::new(), false, 0);
        loop {
            let events = self.journal.events(&run.id, last_seq, PAGE).await?;
            let Some(last) = events.last() else { break };
            last_seq = last.seq;
            for event in events {
                match event.kind {
                    RunEventKind::Text(piece) => {
                        text.push_str(&piece);
                        shown = true;
                    }
                    RunEventKind::Started | RunEventKind::Hop(_) => {}
                    _ => shown = true,
                }
            }
        }
        if !shown && let Some(turn) = self.turn_again(&run, last_seq).await? {
            let queue = self.queues.get_or_create(&run.owner, &run.session);
            self.count_recovered();
            drop(self.enqueue(turn, &queue));
            return Ok(());
        }
        self.interrupt(run, text, last_seq).await
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
        let scopes = Self::recovery_scopes();
        Ok(Some(PendingTurn {
            caller: Caller {
                user: run.owner.clone(),
                scopes,
                credential: CredentialKind::CommandLine,
            },
            message,
            session_model: session.model,
            log: RunLog::new(run.clone(), last_seq),
            run: run.clone(),
            stop: CancellationToken::new(),
            last_seq,
        }))
    }

    async fn interrupt(
        &self,
        run: Run,
        text: String,
        last_seq: u64,
    ) -> Result<(), RepositoryError> {
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
            })
            .await
    }

    /// Accepts nothing more and ends what runs as interrupted, keeping the text; turns that wait stay queued. Returns
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
            self.queues.stop_all();
        }
    }
}
