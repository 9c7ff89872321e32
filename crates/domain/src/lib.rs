//! The words of Majordomo: entities, value objects, typed ids and pure policy.
//!
//! Nothing here performs IO, knows JSON, or needs an async runtime. Every other crate speaks in these types.

pub mod access;
pub mod ids;
pub mod message;
pub mod model;
pub mod run;
pub mod session;
pub mod time;

pub use access::{ApiKey, CredentialKind, Scope, Scopes};
pub use ids::{ApiKeyId, InvalidId, MessageId, RunId, SessionId, UserId};
pub use message::{Image, ImageSource, Message, MessageStatus, Role};
pub use model::{ModelRef, Usage};
pub use run::{
    Hop, Outcome, Run, RunEvent, RunEventKind, RunKind, RunOptions, RunStatus, ToolCall, ToolOutput,
};
pub use session::{Channel, Session, SessionTitle, TitleError};
pub use time::Timestamp;
