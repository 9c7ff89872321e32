//! Runs and their journals. Everything that takes time is a run; a run is its list of events.

use crate::{MemoryId, MessageId, RunId, SessionId, Timestamp, Usage, UserId};

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// One message to the agent and its answer.
    ChatTurn,
}

impl RunKind {
    /// The stable name used in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatTurn => "chat_turn",
        }
    }

    /// The inverse of [`RunKind::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        (name == Self::ChatTurn.as_str()).then_some(Self::ChatTurn)
    }
}

/// Where a run stands. `Queued` and `Running` are the only states that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Accepted, waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Ended well.
    Completed,
    /// Ended because the user said so.
    Stopped,
    /// Ended because the process died or shut down.
    Interrupted,
    /// Ended with an error.
    Failed,
}

impl RunStatus {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`RunStatus::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Completed,
            Self::Stopped,
            Self::Interrupted,
            Self::Failed,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }

    /// Whether nothing more can happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What the caller asked for beyond the message itself. Kept with the run, so that it can be resumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunOptions {
    /// The model, as the caller named it; the session's or the configured one when `None`.
    pub model: Option<String>,
    /// Instructions in place of the configured ones.
    pub system_prompt: Option<String>,
    /// Sampling temperature, `0.0..=2.0`.
    pub temperature: Option<f64>,
    /// Most tokens to write per model call.
    pub max_tokens: Option<u32>,
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Unique on the server.
    pub id: RunId,
    /// Who may see it.
    pub owner: UserId,
    /// What it does.
    pub kind: RunKind,
    /// The session it speaks in.
    pub session: SessionId,
    /// The user message it answers.
    pub message: MessageId,
    /// What the caller asked for.
    pub options: RunOptions,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEvent {
    /// Position in the journal, from 1, without gaps: the id a client resumes with.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: RunEventKind,
}

/// What happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEventKind {
    /// Work began. Always the first event.
    Started,
    /// A model was asked and did not answer, or was left alone because it had not before; the next one follows.
    Hop(Hop),
    /// Memories that entered the prompt, by their ids.
    Recalled(Vec<MemoryId>),
    /// A piece of the answer.
    Text(String),
    /// A piece of the model's reasoning.
    Reasoning(String),
    /// The model asked for a tool; written before the tool runs.
    ToolCalled(ToolCall),
    /// The tool answered; written before the model sees it.
    ToolReturned(ToolOutput),
    /// Work ended. Always the last event.
    Finished(Outcome),
}

impl RunEventKind {
    /// Whether the event shows something of the answer: a run that has shown nothing may begin again unnoticed.
    pub const fn is_shown(&self) -> bool {
        !matches!(self, Self::Started | Self::Hop(_) | Self::Recalled(_))
    }
}

/// A model that was passed over: its call failed before it produced output, or was not made because of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The model, `provider/model`.
    pub model: String,
    /// The error's stable code.
    pub code: String,
    /// The error in words fit for the user.
    pub message: String,
}

/// A tool the model wants called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call within its run.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: a JSON document as the model wrote it.
    pub arguments: String,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolOutput {
    /// The call it answers.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// Text for the model.
    pub content: String,
    /// Whether the call failed.
    pub is_error: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// A final status.
    pub status: RunStatus,
    /// The stored answer, where there is one.
    pub message: Option<MessageId>,
    /// The model that wrote the answer, `provider/model`.
    pub model: Option<String>,
    /// Tokens of all model calls of the run.
    pub usage: Usage,
    /// Why the model stopped, or the error's code: `stop`, `length`, `max_steps`, `loop`, `unavailable` ...
    pub reason: String,
    /// The error in words fit for the user, when the run failed.
    pub error: Option<String>,
}
