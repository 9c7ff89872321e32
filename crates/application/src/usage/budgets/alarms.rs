//! Who is told when a budget is nearly or wholly used up, and how often that was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use majordomo_domain::{Spend, UserId, WindowUse};

use super::windows::LimitedWindow;
use super::{BudgetStatus, Budgets};
use crate::events::{EventBus, SystemEventKind};

/// What became of budgets since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetCounts {
    /// Budgets that reached the share at which is warned.
    pub warnings: u64,
    /// Budgets of which nothing was left.
    pub exhaustions: u64,
    /// Calls that were refused because of a budget.
    pub refusals: u64,
}

#[derive(Default)]
pub(super) struct Alarms {
    events: OnceLock<Arc<EventBus>>,
    warnings: AtomicU64,
    exhaustions: AtomicU64,
    refusals: AtomicU64,
}

impl Budgets {
    /// Tells users of their budgets through `events`, too, from now on; a second call changes nothing.
    pub fn tell_through(&self, events: Arc<EventBus>) {
        let _ = self.alarms.events.set(events);
    }

    /// What became of budgets so far.
    pub fn counts(&self) -> BudgetCounts {
        let alarms = &self.alarms;
        BudgetCounts {
            warnings: alarms.warnings.load(Ordering::Relaxed),
            exhaustions: alarms.exhaustions.load(Ordering::Relaxed),
            refusals: alarms.refusals.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_refusal(&self) {
        self.alarms.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells of the budgets that `spent` has brought to one of the two marks: every mark is passed by one call only, so
    /// each is told once in a period.
    pub(super) fn watch(
        &self,
        user: &UserId,
        windows: Vec<LimitedWindow>,
        used: &[WindowUse],
        spent: Spend,
    ) {
        for (window, used) in windows.into_iter().zip(used) {
            let before = used.spent.minus(spent);
            let reaches = |percent| {
                !window.limit.is_reached(before, percent)
                    && window.limit.is_reached(used.spent, percent)
            };
            let (warns, ends) = (reaches(self.config.warn_percent), reaches(100));
            if !warns && !ends {
                continue;
            }
            let status = self.status(window, *used, false);
            if warns {
                self.alarms.warnings.fetch_add(1, Ordering::Relaxed);
            }
            if ends {
                self.alarms.exhaustions.fetch_add(1, Ordering::Relaxed);
            }
            self.tell(user, status);
        }
    }

    fn tell(&self, user: &UserId, status: BudgetStatus) {
        tracing::warn!(
            subject = %status.window.window.subject,
            period = %status.window.window.period,
            exhausted = status.is_exhausted,
            "a budget is nearly or wholly used up"
        );
        if let Some(events) = self.alarms.events.get() {
            events.publish(user, SystemEventKind::Budget(Arc::new(status)));
        }
    }
}
