//! Talking to the agent: sessions, turns, and what runs between a question and its answer.

mod admission;
mod commands;
mod context;
mod draft;
mod end;
mod error;
mod failures;
mod following;
mod identity;
mod loop_breaker;
mod mending;
mod permits;
mod queue;
mod recovery;
mod reply;
mod request;
mod service;
mod sessions;
mod step;
mod traces;
mod turn;

pub use admission::TurnedAway;
pub use error::ChatError;
pub(crate) use failures::Failure;
pub use identity::AgentIdentity;
pub use reply::{Reply, Turn};
pub use request::{SendMessage, WhenBusy};
pub use service::{AgentConfig, ChatLoad, ChatPorts, ChatService, UserLimits};
pub use sessions::{
    ImportedSession, MAX_MESSAGE_CHARS, MAX_MESSAGES, NewConversation, NewMessage, PreviewPage,
    SessionPage, SessionService,
};
pub use traces::TRACE_TARGET;
