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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ask it.
    Ready,
    /// It failed a moment ago: ask it only when no other is left.
    Shaky(ModelError),
    /// Its provider named a time before which it must not be asked: this long from now.
    Barred(Duration, ModelError),
}

/// Remembers failures per provider and model; each provider has one key.
#[derive(Default)]
pub(super) struct Cooldowns(Mutex<HashMap<ModelRef, Cooldown>>);

struct Cooldown {
    until: Timestamp,
    kind: ModelErrorKind,
}

impl Cooldown {
    fn standing(&self, model: &ModelRef, now: Timestamp) -> Standing {
        let left = self.until.since(now);
        let kind = match &self.kind {
            ModelErrorKind::RateLimited { .. } => ModelErrorKind::RateLimited {
                retry_after: Some(left),
            },
            ModelErrorKind::Overloaded { .. } => ModelErrorKind::Overloaded { retry_after: left },
            other => {
                let words = format!("{model} failed a moment ago");
                return Standing::Shaky(ModelError::new(other.clone(), words));
            }
        };
        let words = format!("{model} asked for a pause");
        Standing::Barred(left, ModelError::new(kind, words))
    }
}

impl Cooldowns {
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn note(&self, model: &ModelRef, error: &ModelError, now: Timestamp) {
        let pause = match &error.kind {
            ModelErrorKind::RateLimited { retry_after } => retry_after.unwrap_or(RATE_LIMITED),
            ModelErrorKind::Overloaded { retry_after } => *retry_after,
            ModelErrorKind::Unavailable | ModelErrorKind::Timeout | ModelErrorKind::Malformed => {
                UNAVAILABLE
            }
            ModelErrorKind::Auth => AUTH,
            _ => return,
        };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, cooldown| now < cooldown.until);
        map.insert(
            model.clone(),
            Cooldown {
                until: now.plus(pause.min(LONGEST)),
                kind: error.kind.clone(),
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
            Some(cooldown) if now < cooldown.until => cooldown.standing(model, now),
            _ => Standing::Ready,
        }
    }
}
