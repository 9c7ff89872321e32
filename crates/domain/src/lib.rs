//! The words of Majordomo: entities, value objects, typed ids and pure policy.
//!
//! Nothing here performs IO, knows JSON, or needs an async runtime. Every other crate speaks in these types.

pub mod access;
pub mod address;
pub mod audit;
pub mod ids;
pub mod memory;
pub mod message;
pub mod model;
pub mod oauth;
pub mod run;
pub mod self_audit;
pub mod session;
pub mod time;
pub mod usage;
pub mod user;

pub use access::{ApiKey, CredentialKind, KeyLimits, Scope, Scopes};
pub use address::{AddressRange, InvalidAddressRange};
pub use audit::{
    AuditChain, AuditEntry, AuditHash, AuditOutcome, AuditRecord, RequestId, RequestSource,
};
pub use ids::{
    ApiKeyId, ClientId, GrantId, InvalidId, MemoryId, MessageId, RunId, SessionId, UserId,
};
pub use memory::{
    Importance, Memory, MemoryAuthor, MemoryKind, MemorySource, MemoryTrust, MemoryTurn,
};
pub use message::{Image, ImageSource, Message, MessageStatus, Role};
pub use model::{ModelRef, Usage};
pub use oauth::{
    AuthorizationCode, CodeChallenge, OAuthClient, OAuthGrant, OAuthToken, OAuthTokenKind,
    RedirectUri,
};
pub use run::{
    Hop, Outcome, Run, RunEvent, RunEventKind, RunKind, RunOptions, RunStatus, ToolCall, ToolOutput,
};
pub use self_audit::{CheckSeverity, SecurityCheckResult, SelfAuditReport};
pub use session::{Channel, Session, SessionTitle, TitleError};
pub use time::Timestamp;
pub use usage::{
    Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, MicroUsd, Spend, UsageRecord,
    UsageSum, WindowUse,
};
pub use user::{InvalidUsername, USERNAME_LEN, User, UserRole, Username};
