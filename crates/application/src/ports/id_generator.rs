//! Identifiers and secrets as a port, so that tests are exact.

use majordomo_domain::{ApiKeyId, MemoryId, MessageId, RunId, SessionId, UserId};

/// Makes identifiers and secrets.
pub trait IdGenerator: Send + Sync {
    /// A session id: a time-ordered `UUIDv7`.
    fn session_id(&self) -> SessionId;
    /// A short session id: 12 hexadecimal digits, as PocketPaw's REST clients see them.
    fn short_session_id(&self) -> SessionId;
    /// A message id: a time-ordered `UUIDv7`.
    fn message_id(&self) -> MessageId;
    /// A run id: a time-ordered `UUIDv7`.
    fn run_id(&self) -> RunId;
    /// An API key id: 16 hexadecimal digits.
    fn api_key_id(&self) -> ApiKeyId;
    /// A user id: a time-ordered `UUIDv7`.
    fn user_id(&self) -> UserId;
    /// A memory id: a time-ordered `UUIDv7`.
    fn memory_id(&self) -> MemoryId;
    /// 256 bits from the system's random source. MUST be unpredictable outside tests.
    fn secret(&self) -> [u8; 32];
}
