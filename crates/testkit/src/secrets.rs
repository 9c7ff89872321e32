//! Where secrets would be kept and hashed, without files and without slow hashes.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use majordomo_application::ports::{
    MasterTokenError, MasterTokenStore, PasswordHasher, SigningKey, SigningKeyError,
    SigningKeyStore,
};

/// Keeps the master token in memory. Has no `Debug`, so that no test prints it.
#[derive(Default)]
pub struct InMemoryMasterTokenStore(Mutex<Option<String>>);

impl InMemoryMasterTokenStore {
    /// A store before the first start.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds `token`.
    pub fn holding(token: impl Into<String>) -> Self {
        Self(Mutex::new(Some(token.into())))
    }
}

#[async_trait]
impl MasterTokenStore for InMemoryMasterTokenStore {
    async fn load(&self) -> Result<Option<String>, MasterTokenError> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(token.clone())
    }

    async fn store(&self, token: &str) -> Result<(), MasterTokenError> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *stored = Some(token.to_owned());
        Ok(())
    }
}

/// Keeps the signing key in memory. Has no `Debug`, so that no test prints it.
#[derive(Default)]
pub struct InMemorySigningKeyStore(Mutex<Option<SigningKey>>);

#[async_trait]
impl SigningKeyStore for InMemorySigningKeyStore {
    async fn load_or_store(&self, fresh: SigningKey) -> Result<SigningKey, SigningKeyError> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(*stored.get_or_insert(fresh))
    }
}

/// What a hash of [`PlainPasswordHasher`] begins with.
const PLAIN: &str = "$plain$";

/// "Hashes" a secret as `$plain$<secret>`: instant and readable, for tests only.
#[derive(Debug, Default, Clone, Copy)]
pub struct PlainPasswordHasher;

#[async_trait]
impl PasswordHasher for PlainPasswordHasher {
    async fn hash(&self, secret: String) -> Option<String> {
        Some(format!("{PLAIN}{secret}"))
    }

    async fn verify(&self, hash: String, secret: String) -> bool {
        hash.strip_prefix(PLAIN) == Some(secret.as_str())
    }
}
