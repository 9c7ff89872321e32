//! What each user may do at most, looked up a moment ago.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{Timestamp, User, UserId, UserRole};

use super::key_cache::KeyCache;
use crate::ports::{RepositoryError, UserRepository};

/// How long a looked-up user is trusted before they are looked up again: how late a replica learns of a change.
const LIFETIME: Duration = Duration::from_secs(5);
/// Users remembered at most.
const CAPACITY: usize = 10_000;

/// What matters of a user when one of their credentials is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What they may do at most.
    pub role: UserRole,
    /// Whether their credentials open anything.
    pub enabled: bool,
    /// Which of their tokens still work.
    pub token_version: u32,
}

/// Looks users up, and remembers them for a while.
pub(super) struct Directory {
    users: Arc<dyn UserRepository>,
    cache: KeyCache<Option<Standing>, UserId>,
}

impl Directory {
    pub(super) fn new(users: Arc<dyn UserRepository>) -> Self {
        Self {
            users,
            cache: KeyCache::new(CAPACITY, LIFETIME),
        }
    }

    /// The user's standing, where this process has just looked it up; `Some(None)` for a user who does not exist.
    #[expect(
        clippy::option_option,
        reason = "not looked up, looked up and absent, and present are three answers"
    )]
    pub(super) fn known(&self, id: &UserId, now: Timestamp) -> Option<Option<Standing>> {
        self.cache.get(id, now)
    }

    /// The user's standing. The operator has one before anyone is registered.
    pub(super) async fn standing(
        &self,
        id: &UserId,
        now: Timestamp,
    ) -> Result<Option<Standing>, RepositoryError> {
        let epoch = self.cache.epoch();
        if let Some(known) = self.known(id, now) {
            return Ok(known);
        }
        let found = self.users.find(id).await?;
        let standing = match found {
            Some(user) => Some(Standing {
                role: user.role,
                enabled: user.enabled,
                token_version: user.token_version,
            }),
            None if *id == UserId::operator() => Some(Standing {
                role: UserRole::Owner,
                enabled: true,
                token_version: 0,
            }),
            None => None,
        };
        self.cache.put_in(epoch, id.clone(), standing, now);
        Ok(standing)
    }

    /// The user's record.
    pub(super) async fn find(&self, id: &UserId) -> Result<Option<User>, RepositoryError> {
        self.users.find(id).await
    }

    /// Forgets everyone: after a change nothing older may linger.
    pub(super) fn forget(&self) {
        self.cache.clear();
    }
}
