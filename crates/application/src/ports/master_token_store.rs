//! Where the master token is kept.

use std::error::Error as StdError;

use async_trait::async_trait;
use thiserror::Error;

/// Why the master token cannot be read or written.
#[derive(Debug, Error)]
#[error("the master token cannot be {act}")]
pub struct MasterTokenError {
    /// `read` or `written`.
    pub act: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

/// Keeps the master token, readable by the operating-system user only.
#[async_trait]
pub trait MasterTokenStore: Send + Sync {
    /// The stored token, or `None` before the first start.
    async fn load(&self) -> Result<Option<String>, MasterTokenError>;
    /// Replaces the token. MUST be atomic and durable before it returns.
    async fn store(&self, token: &str) -> Result<(), MasterTokenError>;
}
