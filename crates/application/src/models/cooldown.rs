//! Which models to leave alone for a while after they failed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use majordomo_domain::{ModelRef, Timestamp};

use crate::ports::{ModelError, ModelErrorKind};

/// Pause after a provider could not be reached, when there is another to ask.
const UNAVAILABLE: Duration = Duration::from_secs(10);
/// Pause after a provider refused our key, when there is another to ask.
const AUTH: Duration = Duration::from_mins(1);
/// Pause after too many requests, when the provider names none.
const RATE_LIMITED: Duration = Duration::from_secs(5);
/// Longest pause honoured; a provider that asks for more is asked again after this.
const LONGEST: Duration = Duration::from_hours(1);

/// How a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ask it.
    Ready,
    /// It failed a moment ago: ask it only when no other is left.
    Shaky,
    /// Its provider named a time before which it must not be asked.
    Barred(Duration),
}

/// Remembers failures per provider and model; each provider has one key.
#[derive(Default)]
pub(super) struct Cooldowns(Mutex<HashMap<ModelRef, Cooldown>>);

struct Cooldown {
    until: Timestamp,
    barred: bool,
}

impl Cooldowns {
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn note(&self, model: &ModelRef, error: &ModelError, now: Timestamp) {
        let (pause, barred) = match &error.kind {
            ModelErrorKind::RateLimited { retry_after } => {
                (retry_after.unwrap_or(RATE_LIMITED).min(LONGEST), true)
            }
            ModelErrorKind::Unavailable | ModelErrorKind::Timeout | ModelErrorKind::Malformed => {
                (UNAVAILABLE, false)
            }
            ModelErrorKind::Auth => (AUTH, false),
            _ => return,
        };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, cooldown| now < cooldown.until);
        map.insert(
            model.clone(),
            Cooldown {
                until: now.plus(pause),
                barred,
            },
        );
    }

    pub(super) fn clear(&self, model: &ModelRef) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !map.is_empty() {
            map.remove(model);
        }
    }

    pub(super) fn standing(&self, model: &ModelRef, now: Timestamp) -> Standing {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get(model) {
            Some(cooldown) if now < cooldown.until && cooldown.barred => {
                Standing::Barred(cooldown.until.since(now))
            }
            Some(cooldown) if now < cooldown.until => Standing::Shaky,
            _ => Standing::Ready,
        }
    }
}
