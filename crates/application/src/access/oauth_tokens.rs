//! The access tokens of apps, looked up when they are shown.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{OAuthToken, OAuthTokenKind, Timestamp};

use super::key_cache::KeyCache;
use crate::ports::api_key_repository::Digest;
use crate::ports::{OAuthRepository, RepositoryError};

/// How long a looked-up token is trusted before it is looked up again: how late another process learns that its grant
/// has ended. This process learns it at once.
const LIFETIME: Duration = Duration::from_secs(5);
/// Looked-up tokens remembered at most.
const CAPACITY: usize = 10_000;

/// Knows which access tokens work.
pub struct AccessTokens {
    oauth: Arc<dyn OAuthRepository>,
    cache: KeyCache<OAuthToken>,
}

impl AccessTokens {
    /// What access tokens begin with.
    pub const PREFIX: &str = "ppat_";

    /// Over a storage.
    pub fn new(oauth: Arc<dyn OAuthRepository>) -> Self {
        Self {
            oauth,
            cache: KeyCache::new(CAPACITY, LIFETIME),
        }
    }

    /// A token that was looked up a moment ago and works.
    pub(super) fn known(&self, digest: &Digest, now: Timestamp) -> Option<OAuthToken> {
        let token = self.cache.get(digest, now)?;
        token.is_active(now).then_some(token)
    }

    /// The access token with this digest, if it works.
    pub(super) async fn find(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<OAuthToken>, RepositoryError> {
        if let Some(token) = self.known(digest, now) {
            return Ok(Some(token));
        }
        let epoch = self.cache.epoch();
        let found = self.oauth.find_token(digest).await?;
        let token =
            found.filter(|token| token.kind == OAuthTokenKind::Access && token.is_active(now));
        if let Some(token) = &token {
            self.cache.put_in(epoch, *digest, token.clone(), now);
        }
        Ok(token)
    }

    /// Forgets what was looked up: a grant may have ended.
    pub(crate) fn forget(&self) {
        self.cache.clear();
    }
}
