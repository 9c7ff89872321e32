//! Where the key is kept that signs the tokens of users.

use std::error::Error as StdError;

use async_trait::async_trait;
use thiserror::Error;

/// A key for HMAC-SHA256.
pub type SigningKey = [u8; 32];

/// Why the signing key cannot be read or written. Never holds the key.
#[derive(Debug, Error)]
#[error("the key that signs login tokens cannot be used")]
pub struct SigningKeyError(#[source] pub Box<dyn StdError + Send + Sync>);

/// Keeps the signing key, readable by the operating-system user only.
#[async_trait]
pub trait SigningKeyStore: Send + Sync {
    /// The stored key; before the first start `fresh`, which MUST then be stored durably, for nobody else to read.
    async fn load_or_store(&self, fresh: SigningKey) -> Result<SigningKey, SigningKeyError>;
}
