//! Accepts messages to the agent, runs their turns, and lets callers watch and stop them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use majordomo_domain::{
    Channel, Message, MessageStatus, Role, Run, RunEvent, RunEventKind, RunId, RunKind, RunStatus,
    Scope, Session, SessionId, UserId,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::admission::{Admission, Crowded, Slot, TurnedAway};
use super::commands;
use super::error::ChatError;
use super::failures::{Failure, Failures};
use super::identity::AgentIdentity;
use super::mending::Unended;
use super::permits::TurnPermits;
use super::queue::{PendingTurn, SessionQueue, SessionQueues};
use super::reply::{Reply, Turn};
use super::request::{SendMessage, WhenBusy, validate, without_nul};
use crate::caller::Caller;
use crate::events::EventBus;
use crate::memory::{Extraction, MemoryService};
use crate::models::{ModelRegistry, estimate_tool_tokens};
use crate::ports::{
    Clock, Durability, IdGenerator, NewTurn, RepositoryError, RunJournal, SessionRepository,
};
use crate::runs::{RunLog, RunStream, Unstored};
use crate::tools::ToolRegistry;
use crate::usage::{Accounting, Payer};

/// What chatting needs.
pub struct ChatPorts {
    /// Sessions and their messages.
    pub sessions: Arc<dyn SessionRepository>,
    /// Runs and their events.
    pub journal: Arc<dyn RunJournal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdGenerator>,
}

/// How the agent works.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Instructions to the model.
    pub system_prompt: String,
    /// Model calls per turn at most.
    pub max_steps: u32,
    /// Whether a turn that goes in circles is ended.
    pub loop_breaker: bool,
    /// Sampling temperature when the caller names none.
    pub temperature: Option<f64>,
    /// Most tokens per model call when the caller names none.
    pub max_tokens: Option<u32>,
    /// Context window in tokens of models for which none is configured.
    pub context_tokens: u64,
    /// Longest turn.
    pub turn_timeout: Duration,
    /// Turns at work at the same time.
    pub max_concurrent_runs: usize,
    /// Turns accepted and not ended, over all sessions.
    pub max_accepted_runs: usize,
    /// Turns that wait in one session.
    pub queue_per_session: usize,
}

/// How much of the agent one user may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLimits {
    /// Turns of one user at work at the same time.
    pub max_concurrent_runs: usize,
    /// Turns of one user accepted and not ended.
    pub max_accepted_runs: usize,
}

/// How busy the agent is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChatLoad {
    /// Turns at work.
    pub running: usize,
    /// Turns whose session is free for them, that wait for others to end.
    pub waiting: usize,
    /// Turns accepted and not ended: those two, and those that wait for their session.
    pub accepted: usize,
    /// Turns that were not accepted.
    pub turned_away: TurnedAway,
}

/// When a message is stored. One that begins a session nobody knows of yet has no history to read and nobody to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storing {
    /// Before its turn begins.
    First(Durability),
    /// While the model is asked: it begins a session, and its sender is told at once.
    Meanwhile,
    /// With the answer when that comes soon: it begins a session, and its sender is told with the answer.
    WithAnswer,
}

/// The agent's ears and mouth. Messages must be sent on the runtime that is to carry their turns.
pub struct ChatService {
    pub(super) sessions: Arc<dyn SessionRepository>,
    pub(super) journal: Arc<dyn RunJournal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdGenerator>,
    pub(super) models: Arc<ModelRegistry>,
    pub(super) tools: Arc<ToolRegistry>,
    pub(super) accounting: Accounting,
    /// What the tools on offer cost in each request.
    pub(super) tool_tokens: u64,
    config: ArcSwap<AgentConfig>,
    identity: ArcSwap<AgentIdentity>,
    pub(super) queues: SessionQueues,
    pub(super) permits: Arc<TurnPermits>,
    pub(super) shutdown: CancellationToken,
    pub(super) unended: Unended,
    admission: Arc<Admission>,
    live: Mutex<HashMap<RunId, Arc<RunLog>>>,
    failures: Failures,
    /// What turns recall from, where they do.
    pub(super) memory: OnceLock<Arc<MemoryService>>,
    /// What reads the turns that have been answered, where anything does.
    pub(super) extraction: OnceLock<Arc<Extraction>>,
    events: Arc<EventBus>,
}

impl ChatService {
    /// A service in which nothing runs.
    pub fn new(
        ports: ChatPorts,
        models: Arc<ModelRegistry>,
        tools: Arc<ToolRegistry>,
        accounting: impl Into<Accounting>,
        config: AgentConfig,
    ) -> Arc<Self> {
        let admission = Admission::new(config.max_accepted_runs);
        let permits = TurnPermits::new(config.max_concurrent_runs.max(1));
        let events = Arc::new(EventBus::new(ports.clock.clone()));
        Arc::new(Self {
            sessions: ports.sessions,
            journal: ports.journal,
            clock: ports.clock,
            ids: ports.ids,
            models,
            tool_tokens: estimate_tool_tokens(tools.specs()),
            tools,
            accounting: accounting.into(),
            permits,
            config: ArcSwap::from_pointee(config),
            identity: ArcSwap::default(),
            queues: SessionQueues::default(),
            shutdown: CancellationToken::new(),
            unended: Unended::default(),
            admission,
            live: Mutex::new(HashMap::new()),
            failures: Failures::default(),
            memory: OnceLock::new(),
            extraction: OnceLock::new(),
            events,
        })
    }

    /// Accepts a message. When this returns the message is stored and will be answered, whether or not the caller stays.
    pub async fn send(
        self: &Arc<Self>,
        caller: &Caller,
        request: SendMessage,
    ) -> Result<Turn, ChatError> {
        self.take(caller, request, Durability::Flushed).await
    }

    /// Accepts a message and waits for the whole answer, with which it is acknowledged. An answer is stored when it is given.
    pub async fn ask(
        self: &Arc<Self>,
        caller: &Caller,
        request: SendMessage,
    ) -> Result<Reply, ChatError> {
        // Storing the answer takes the message to the disk, too.
        let turn = self.take(caller, request, Durability::Written).await?;
        turn.into_reply().await
    }

    async fn take(
        self: &Arc<Self>,
        caller: &Caller,
        request: SendMessage,
        durability: Durability,
    ) -> Result<Turn, ChatError> {
        caller.require_change(Scope::Chat)?;
        validate(&request)?;
        if let Some(name) = request.options.model.as_deref() {
            self.models.resolve_for(caller, Some(name))?;
        }
        let session = match &request.session {
            Some(session) => session.clone(),
            None if request.channel == Channel::WebSocket => self.ids.short_session_id(),
            None => self.ids.session_id(),
        };
        if let Some(command) = commands::parse(&request.text) {
            return self
                .run_command(caller, session, request.channel, command)
                .await;
        }
        if self.shutdown.is_cancelled() {
            return Err(ChatError::ShuttingDown);
        }
        let storing = match durability {
            _ if request.session.is_some() => Storing::First(durability),
            // No model is to be paid for what cannot be stored.
            _ if self.unended.any() => Storing::First(durability),
            Durability::Written => Storing::WithAnswer,
            Durability::Flushed => Storing::Meanwhile,
        };
        let slot = self
            .admission
            .admit(&caller.user)
            .map_err(|crowded| match crowded {
                Crowded::User => ChatError::UserQueueFull,
                Crowded::Server => ChatError::Overloaded,
            })?;
        let payer = || Payer::of(caller).in_session(&session);
        self.accounting.check(payer).await?;
        // A task of its own: what is being stored will be answered even when the caller leaves now.
        let (reply, accepted) = oneshot::channel();
        let (service, caller) = (self.clone(), caller.clone());
        let request_span = Span::current();
        tokio::spawn(async move {
            let queue = service.queues.get_or_create(&caller.user, &session);
            let accepted = service.accept(caller, session, request, storing, slot, &queue);
            let accepted = accepted.instrument(request_span).await;
            let (turn, first) = accepted.map_or_else(|e| (Err(e), None), |(t, f)| (Ok(t), f));
            // The caller may have gone meanwhile.
            let _ = reply.send(turn);
            if let Some(first) = first {
                service.work(queue, first).await;
            }
        });
        let mut turn = accepted.await.unwrap_or_else(|_| {
            let source = "the task that accepts a message died".into();
            Err(ChatError::Storage(RepositoryError::Other(source)))
        })?;
        if let Some(stored) = turn.stored.take() {
            stored.await.map_err(|_| {
                let source = "the message was not stored".into();
                ChatError::Storage(RepositoryError::Unavailable(source))
            })?;
        }
        Ok(turn)
    }

    /// Stores a message and lets its turn enter its session. Also gives the turn to work on, when that may begin now.
    async fn accept(
        self: &Arc<Self>,
        caller: Caller,
        session: SessionId,
        request: SendMessage,
        storing: Storing,
        slot: Slot,
        queue: &Arc<SessionQueue>,
    ) -> Result<(Turn, Option<PendingTurn>), ChatError> {
        let _accepting = queue.accepting.lock().await;
        let replaces = request.when_busy == WhenBusy::Replace;
        if !replaces && queue.waiting() >= self.config().queue_per_session {
            self.admission.note_full_session();
            return Err(ChatError::SessionQueueFull);
        }
        let new_turn = self.new_turn(&caller, session, request, queue.is_busy(), storing);
        let log = RunLog::new(new_turn.run.clone(), 0, self.events.clone());
        let mut turn = PendingTurn {
            run: new_turn.run.clone(),
            caller,
            message: Message {
                seq: 1,
                ..new_turn.message.clone()
            },
            session_model: None,
            span: tracing::info_span!("run", id = %new_turn.run.id),
            log,
            stop: CancellationToken::new(),
            unstored: None,
            last_seq: 0,
            slot: Some(slot),
        };
        let mut stored = None;
        match storing {
            Storing::First(_) => self.store(new_turn, &mut turn).await?,
            Storing::WithAnswer => turn.unstored = Some(Unstored::held(new_turn)),
            Storing::Meanwhile => {
                let (unstored, told) = Unstored::announced(new_turn);
                turn.unstored = Some(unstored);
                stored = Some(told);
            }
        }
        if replaces {
            queue.stop();
        }
        let (shown, first) = self.enter(turn, queue);
        Ok((Turn { stored, ..shown }, first))
    }

    /// Stores a message before its turn begins.
    async fn store(
        self: &Arc<Self>,
        new_turn: NewTurn,
        turn: &mut PendingTurn,
    ) -> Result<(), ChatError> {
        let events = new_turn.events.clone();
        let accepted = self.journal.accept(new_turn).await.inspect_err(|_| {
            // It may have been stored all the same.
            self.end_later(turn.run.clone());
        })?;
        turn.message.seq = accepted.seq;
        turn.session_model = accepted.session.model;
        turn.last_seq = events.last().map_or(0, |event| event.seq);
        turn.log.publish(events);
        Ok(())
    }

    fn new_turn(
        &self,
        caller: &Caller,
        session: SessionId,
        request: SendMessage,
        busy: bool,
        storing: Storing,
    ) -> NewTurn {
        let now = self.clock.now();
        let (run_id, message_id) = (self.ids.run_id(), self.ids.message_id());
        let message = Message {
            id: message_id.clone(),
            owner: caller.user.clone(),
            session: session.clone(),
            seq: 0,
            role: Role::User,
            text: without_nul(request.text),
            images: request.images,
            status: MessageStatus::Complete,
            created_at: now,
            run: Some(run_id.clone()),
            model: None,
            usage: None,
        };
        let run = Run {
            id: run_id,
            owner: caller.user.clone(),
            kind: RunKind::ChatTurn,
            session: session.clone(),
            message: message_id,
            options: request.options,
            status: if busy {
                RunStatus::Queued
            } else {
                RunStatus::Running
            },
            created_at: now,
            finished_at: None,
        };
        let started = RunEvent {
            seq: 1,
            at: now,
            kind: RunEventKind::Started,
        };
        let (durability, events) = match storing {
            Storing::First(durability) if busy => (durability, Vec::new()),
            Storing::First(durability) => (durability, vec![started]),
            // These come with those that follow.
            Storing::Meanwhile | Storing::WithAnswer => (Durability::Flushed, Vec::new()),
        };
        let session = Session::begin(session, caller.user.clone(), request.channel, now);
        NewTurn {
            session,
            message,
            run,
            events,
            durability,
        }
    }

    /// Lets an accepted turn be watched and stopped. Gives it back when its session is free for it.
    pub(super) fn enter(
        &self,
        turn: PendingTurn,
        queue: &SessionQueue,
    ) -> (Turn, Option<PendingTurn>) {
        let (run, log) = (turn.run.clone(), turn.log.clone());
        self.live().insert(run.id.clone(), log.clone());
        let shown = Turn {
            run: run.id,
            session: run.session,
            created_at: run.created_at,
            stored: None,
            stream: RunStream::live(log, self.journal.clone(), 0, false),
        };
        (shown, queue.enter(turn))
    }

    /// Runs a session's turns one after the other until none waits.
    pub(super) async fn work(self: &Arc<Self>, queue: Arc<SessionQueue>, first: PendingTurn) {
        let mut next = Some(first);
        while let Some(mut turn) = next {
            let (log, slot) = (turn.log.clone(), turn.slot.take());
            let span = turn.span.clone();
            let work = self.run_turn(turn).instrument(span);
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            if let Err(reason) = ended.unwrap_or(Err("internal")) {
                log.abandon(self.clock.now(), reason);
                self.end_later(log.run().clone());
            }
            log.close();
            self.live().remove(&log.run().id);
            drop(slot);
            next = queue.next();
        }
    }

    /// The events of one of the caller's runs above `after`, as they come.
    pub async fn watch(
        &self,
        caller: &Caller,
        run: &RunId,
        after: u64,
    ) -> Result<RunStream, ChatError> {
        caller.require(Scope::Chat)?;
        let live = self.live().get(run).cloned();
        if let Some(log) = live.filter(|log| log.run().owner == caller.user) {
            return Ok(RunStream::live(log, self.journal.clone(), after, true));
        }
        let run = self
            .journal
            .find(&caller.user, run)
            .await?
            .ok_or(ChatError::RunNotFound)?;
        let (journal, shutdown) = (self.journal.clone(), self.shutdown.clone());
        Ok(RunStream::stored(journal, run, after, shutdown))
    }

    /// The latest run of one of the caller's sessions.
    pub async fn latest_run(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<Run>, ChatError> {
        caller.require(Scope::Chat)?;
        Ok(self
            .journal
            .find_in_session(&caller.user, session, None)
            .await?)
    }

    /// How the agent works now. A turn that has begun may take this up with its next step.
    pub(super) fn config(&self) -> Arc<AgentConfig> {
        self.config.load_full()
    }

    /// Lets the agent work another way. How many turns may be at work or accepted is only taken from the first
    /// configuration.
    pub fn reconfigure(&self, config: AgentConfig) {
        self.config.store(Arc::new(config));
    }

    /// Lets turns recall what is remembered, from now on. Only the first memory given counts.
    pub fn remember_with(&self, memory: Arc<MemoryService>) {
        self.memory.get_or_init(|| memory);
    }

    /// Lets facts be extracted from turns, from now on. Only the first extraction given counts.
    pub fn learn_with(&self, extraction: Arc<Extraction>) {
        self.extraction.get_or_init(|| extraction);
    }

    /// Lets the agent be somebody else.
    pub fn set_identity(&self, identity: AgentIdentity) {
        self.identity.store(Arc::new(identity));
    }

    /// The agent's instructions where a turn of this user has none of its own.
    pub fn system_prompt(&self, user: &UserId) -> String {
        let identity = self.identity.load();
        identity.prompt(&self.config.load().system_prompt, user)
    }

    /// Stops what runs and waits in one of the caller's sessions. The partial answer is kept.
    pub fn stop(&self, caller: &Caller, session: &SessionId) -> Result<(), ChatError> {
        caller.require_change(Scope::Chat)?;
        if self.stop_session(&caller.user, session) {
            Ok(())
        } else {
            Err(ChatError::NothingRunning)
        }
    }

    /// Does `work` on a session while nothing is accepted in it, after stopping what runs and waits there.
    pub(super) async fn while_stopped<T>(
        &self,
        owner: &UserId,
        session: &SessionId,
        work: impl Future<Output = T>,
    ) -> T {
        let queue = self.queues.get_or_create(owner, session);
        let _accepting = queue.accepting.lock().await;
        queue.stop();
        work.await
    }

    fn stop_session(&self, owner: &UserId, session: &SessionId) -> bool {
        self.queues
            .get(owner, session)
            .is_some_and(|queue| queue.stop())
    }

    /// What happens, told to the users it concerns.
    pub fn event_bus(&self) -> &Arc<EventBus> {
        &self.events
    }

    /// Time.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Turns at work at the same time at most.
    pub(crate) fn max_concurrent_runs(&self) -> usize {
        self.config.load().max_concurrent_runs
    }

    /// Limits the turns of each user. Holds from now on; turns that were accepted stay.
    pub fn limit_users(&self, limits: UserLimits) {
        self.permits.limit_users(limits.max_concurrent_runs);
        self.admission.limit_users(limits.max_accepted_runs);
    }

    /// How busy the agent is.
    pub fn load(&self) -> ChatLoad {
        let (running, waiting) = self.permits.counts();
        ChatLoad {
            running,
            waiting,
            accepted: self.admission.len(),
            turned_away: self.admission.turned_away(),
        }
    }

    /// Sessions in which something runs.
    pub fn active_sessions(&self) -> usize {
        self.queues.len()
    }

    /// Remembers for a while that a turn failed.
    pub(super) fn note_failure(&self, run: Run, words: String) {
        let at = self.clock.now();
        self.failures.note(Failure { run, words, at });
    }

    /// The user's turns that failed within the last minute: the latest of each session.
    pub(crate) fn failed_lately(&self, user: &UserId) -> Vec<Failure> {
        self.failures.of(user, self.clock.now())
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<RunId, Arc<RunLog>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
