//! Holds spending to budgets: what a call may cost is set aside before it and settled after it.

mod alarms;
mod holding;
mod keys;
mod managing;
mod windows;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use majordomo_domain::{
    BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, Timestamp, WindowUse,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::accounting::Payer;
use crate::ports::{BudgetRepository, Clock, RepositoryError};
use alarms::Alarms;
pub use alarms::BudgetCounts;
pub(super) use holding::Hold;
pub use windows::LimitedWindow;
use windows::Windows;

/// Budgets that may be set.
const MAX_BUDGETS: u32 = 10_000;
/// How long windows are kept: longer than any period.
const KEPT: Duration = Duration::from_hours(24 * 62);
/// The limits of both periods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeriodLimits {
    /// For each day.
    pub day: BudgetLimit,
    /// For each month.
    pub month: BudgetLimit,
}

impl PeriodLimits {
    const fn of(self, period: BudgetPeriod) -> BudgetLimit {
        match period {
            BudgetPeriod::Day => self.day,
            BudgetPeriod::Month => self.month,
        }
    }

    const fn is_none(self) -> bool {
        self.day.is_none() && self.month.is_none()
    }
}

/// What holds for everybody for whom nothing else was set.
#[derive(Debug, Clone)]
pub struct BudgetConfig {
    /// For each user.
    pub user: PeriodLimits,
    /// For each API key.
    pub key: PeriodLimits,
    /// For each session.
    pub session: PeriodLimits,
    /// The share of a limit in percent at which is warned.
    pub warn_percent: u8,
    /// Most tokens of an answer where nobody says how many it may have.
    pub max_output_tokens: u64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            user: PeriodLimits::default(),
            key: PeriodLimits::default(),
            session: PeriodLimits::default(),
            warn_percent: 80,
            max_output_tokens: 4096,
        }
    }
}

/// A limit and how far it is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Whose spending is limited, how, and in which period.
    pub window: LimitedWindow,
    /// When the period ends.
    pub ends_at: Timestamp,
    /// How far it is used.
    pub used: WindowUse,
    /// Whether it is the default of the settings.
    pub is_default: bool,
    /// Whether the share was reached at which is warned.
    pub is_warned: bool,
    /// Whether nothing is left.
    pub is_exhausted: bool,
}

type SetLimits = HashMap<(BudgetSubject, BudgetPeriod), BudgetLimit>;

/// Holds spending to budgets. What is set aside is known to this process only, and so it is free again when the process
/// dies; what ended calls have spent is stored with them in the ledger. Storage is read on one runtime, from wherever calls
/// come, once for each window.
pub struct Budgets {
    repository: Arc<dyn BudgetRepository>,
    clock: Arc<dyn Clock>,
    config: BudgetConfig,
    set: RwLock<SetLimits>,
    /// Whether anything may be limited at all.
    any: AtomicBool,
    runtime: Handle,
    windows: Windows,
    settled: Notify,
    alarms: Alarms,
}

impl Budgets {
    /// Reads the budgets that were set and forgets old windows. Storage is used on the current runtime from now on. This
    /// process must be the only one that makes calls over the storage.
    pub async fn open(
        repository: Arc<dyn BudgetRepository>,
        clock: Arc<dyn Clock>,
        config: BudgetConfig,
    ) -> Result<Arc<Self>, RepositoryError> {
        let kept_since = clock.now().as_micros() - i64::try_from(KEPT.as_micros()).unwrap_or(0);
        repository
            .forget_windows(Timestamp::from_micros(kept_since))
            .await?;
        let set: SetLimits = repository
            .list(MAX_BUDGETS)
            .await?
            .into_iter()
            .map(|budget| ((budget.subject, budget.period), budget.limit))
            .collect();
        let budgets = Self {
            repository,
            clock,
            config,
            any: AtomicBool::new(false),
            set: RwLock::new(set),
            runtime: Handle::current(),
            windows: Windows::default(),
            settled: Notify::new(),
            alarms: Alarms::default(),
        };
        budgets.look_for_any();
        Ok(Arc::new(budgets))
    }

    /// Whether anybody is limited.
    pub(super) fn limits_anything(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn look_for_any(&self) {
        let config = &self.config;
        let defaults = [config.user, config.key, config.session];
        let any = defaults.into_iter().any(|limits| !limits.is_none()) || !self.set().is_empty();
        self.any.store(any, Ordering::Release);
    }

    fn set(&self) -> std::sync::RwLockReadGuard<'_, SetLimits> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What limits `payer` now, each with whether it is a default.
    fn applying(&self, payer: &Payer) -> Vec<(LimitedWindow, bool)> {
        if !self.limits_anything() {
            return Vec::new();
        }
        let key = payer.key.clone().map(BudgetSubject::Key);
        let session = payer.session.clone();
        let session = session.map(|session| BudgetSubject::Session(payer.user.clone(), session));
        let subjects = [
            Some((BudgetSubject::User(payer.user.clone()), self.config.user)),
            key.map(|key| (key, self.config.key)),
            session.map(|session| (session, self.config.session)),
        ];
        let (now, set) = (self.clock.now(), self.set());
        let mut windows = Vec::new();
        for (subject, defaults) in subjects.into_iter().flatten() {
            for period in BudgetPeriod::ALL {
                let chosen = set.get(&(subject.clone(), period)).copied();
                let limit = chosen.unwrap_or(defaults.of(period));
                if !limit.is_none() {
                    let window = BudgetWindow {
                        subject: subject.clone(),
                        period,
                        starts_at: period.start(now),
                    };
                    windows.push((LimitedWindow { window, limit }, chosen.is_none()));
                }
            }
        }
        windows
    }

    fn windows(&self, payer: &Payer) -> Vec<LimitedWindow> {
        let applying = self.applying(payer).into_iter();
        applying.map(|(window, _)| window).collect()
    }

    fn status(&self, window: LimitedWindow, used: WindowUse, is_default: bool) -> BudgetStatus {
        BudgetStatus {
            ends_at: window.window.period.end(window.window.starts_at),
            is_warned: window
                .limit
                .is_reached(used.spent, self.config.warn_percent),
            is_exhausted: is_used_up(window.limit, used),
            window,
            used,
            is_default,
        }
    }
}

/// Whether not even the smallest call fits.
fn is_used_up(limit: BudgetLimit, used: WindowUse) -> bool {
    limit.cost.is_some_and(|most| used.spent.cost >= most)
        || limit.tokens.is_some_and(|most| used.spent.tokens >= most)
}
