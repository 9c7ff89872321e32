//! Storage of runs, their events, and the messages they exchange.

use async_trait::async_trait;
use majordomo_domain::{
    Message, MessageId, Run, RunEvent, RunId, RunStatus, Session, SessionId, Timestamp, UserId,
};

use super::{EndedCall, RepositoryError};

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process: the write has left it. Enough for pieces of an answer still being written.
    Written,
    /// The death of the machine: the write has reached the disk, and all that was written before it. What is acknowledged to a
    /// client is this.
    Flushed,
}

/// A message to the agent and the run that will answer it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTurn {
    /// Stored if the owner has no session with this id; ignored otherwise.
    pub session: Session,
    /// The user's message; its `seq` is assigned by the store.
    pub message: Message,
    /// The run, `Queued` or `Running`.
    pub run: Run,
    /// First events of the journal; empty for a queued run.
    pub events: Vec<RunEvent>,
    /// What it must survive before it is acknowledged.
    pub durability: Durability,
}

/// A stored turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The session as it is now, this message counted.
    pub session: Session,
    /// The user message's position.
    pub seq: u64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The run.
    pub run: RunId,
    /// A final status.
    pub status: RunStatus,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The journal's last events.
    pub events: Vec<RunEvent>,
    /// The assistant's message, where there is one; its `seq` is assigned by the store.
    pub message: Option<Message>,
    /// The model calls of the run that are not in the ledger yet.
    pub calls: Vec<EndedCall>,
}

/// The append-only journal of runs. What it acknowledges is durable as asked. Events carry their own `seq`, from 1
/// without gaps; the journal MUST give back exactly the events it was given, with their boundaries.
#[async_trait]
pub trait RunJournal: Send + Sync {
    /// Stores a turn in one transaction, as durable as it asks: the session if new, the message at the session's next position,
    /// the run and its first events; the session's count, activity, and (from its first user message, unless chosen)
    /// its title follow. MUST return `Conflict` when the run or message id is taken.
    async fn accept(&self, turn: NewTurn) -> Result<Accepted, RepositoryError>;
    /// Stores the turn that begins a session, with its end: what [`accept`](Self::accept) and [`finish`](Self::finish) do, in one
    /// transaction, `Flushed`. All events are the answer's. MUST return `Conflict` when the id of the session, the run or a
    /// message is taken.
    async fn record(&self, turn: NewTurn, answer: Answer) -> Result<(), RepositoryError>;
    /// Marks a queued run as running with its first events, `Written`.
    async fn start(&self, run: &RunId, events: Vec<RunEvent>) -> Result<(), RepositoryError>;
    /// Appends events. Appending an event with a `seq` that is taken MUST fail with `Conflict`.
    async fn append(
        &self,
        run: &RunId,
        events: Vec<RunEvent>,
        durability: Durability,
    ) -> Result<(), RepositoryError>;
    /// Ends a run in one transaction, `Flushed`: last events, status, the answer at the session's next
    /// position, the calls in the ledger and in their windows.
    /// When the session has been deleted meanwhile only the calls are stored and it is no error. Ending a run that has ended MUST change nothing.
    async fn finish(&self, answer: Answer) -> Result<(), RepositoryError>;
    /// The owner's run, or `None`.
    async fn find(&self, owner: &UserId, run: &RunId) -> Result<Option<Run>, RepositoryError>;
    /// The run that wrote or received this message of the owner's, or the session's latest run when `message` is
    /// `None`.
    async fn find_in_session(
        &self,
        owner: &UserId,
        session: &SessionId,
        message: Option<&MessageId>,
    ) -> Result<Option<Run>, RepositoryError>;
    /// The run's events with a `seq` above `after`, in order, at most `limit`.
    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, RepositoryError>;
    /// Every run that is not in a final state, oldest first, over all owners: for recovery at start.
    /// A row that cannot be read is logged and left out.
    async fn unfinished(&self) -> Result<Vec<Run>, RepositoryError>;
}
