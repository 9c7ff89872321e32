//! Slow hashes of configured keys and passwords.

use async_trait::async_trait;

/// Verifies secrets against Argon2 hashes.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes `secret` into a PHC string (`$argon2id$...`). MUST NOT block the async threads.
    async fn hash(&self, secret: String) -> Option<String>;
    /// Whether `secret` is what the PHC string was made of; `false` for a malformed string.
    /// MUST NOT block the async threads, and MUST bound how many verifications run at once.
    async fn verify(&self, hash: String, secret: String) -> bool;
}
