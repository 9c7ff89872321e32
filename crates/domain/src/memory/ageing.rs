//! How memories fade.

use super::{Importance, Memory};
use crate::Timestamp;

/// What is left of an importance after a day without being found.
pub const DECAY_PER_DAY: f64 = 0.95;
/// A memory less important than this is forgotten.
pub const FORGOTTEN_BELOW: f64 = 0.1;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

impl Memory {
    /// This memory as it is at `now`: for every whole day since it last faded its importance is multiplied by
    /// [`DECAY_PER_DAY`], and more slowly the more often it was found (the exponent is divided by `1 + ln(1 + count)`).
    /// `None` when nothing changes: within a day nothing fades twice.
    #[must_use]
    pub fn faded(&self, now: Timestamp) -> Option<Self> {
        let elapsed = now.as_micros().saturating_sub(self.decayed_at.as_micros());
        let days = elapsed.div_euclid(MICROS_PER_DAY);
        if days < 1 {
            return None;
        }
        let protection = 1.0 + as_f64(self.access_count).ln_1p();
        let days_f64 = f64::from(i32::try_from(days).unwrap_or(i32::MAX));
        let importance = self.importance.get() * DECAY_PER_DAY.powf(days_f64 / protection);
        let faded_until = self.decayed_at.as_micros() + days * MICROS_PER_DAY;
        Some(Self {
            importance: Importance(importance.clamp(0.0, 1.0)),
            decayed_at: Timestamp::from_micros(faded_until),
            ..self.clone()
        })
    }

    /// Whether it matters so little that it is to be forgotten.
    pub fn is_forgotten(&self) -> bool {
        self.importance.get() < FORGOTTEN_BELOW
    }
}

/// A count as a number to calculate with; counts above four billion are all the same.
fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
