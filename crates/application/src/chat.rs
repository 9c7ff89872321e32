//! Talking to the agent: sessions, turns, and what runs between a question and its answer.

mod commands;
mod context;
mod error;
mod following;
mod loop_breaker;
mod mending;
mod queue;
mod recovery;
mod reply;
mod service;
mod sessions;
mod turn;

pub use error::ChatError;
pub use reply::{Reply, Turn};
pub use service::{AgentConfig, ChatPorts, ChatService, SendMessage, WhenBusy};
pub use sessions::{PreviewPage, SessionPage, SessionService};
