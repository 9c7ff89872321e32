//! Holds spending to budgets: what a call may cost is set aside before it and settled after it.

mod keys;
mod managing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use majordomo_domain::{
    BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, Spend, Timestamp, WindowUse,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::accounting::Payer;
use super::error::BudgetError;
use crate::ports::{BudgetRepository, Clock, LimitedWindow, RepositoryError, WindowFull};

/// Budgets that may be set.
const MAX_BUDGETS: u32 = 10_000;
/// How long windows are kept: longer than any period.
const KEPT: Duration = Duration::from_hours(24 * 62);
/// Longest wait for calls under way near a limit.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between tries to count what a call has cost.
const SETTLE_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(3),
    Duration::from_secs(15),
];

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
    /// Tokens an answer is assumed to have where nobody says how many it may have.
    pub assumed_output_tokens: u64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            user: PeriodLimits::default(),
            key: PeriodLimits::default(),
            session: PeriodLimits::default(),
            warn_percent: 80,
            assumed_output_tokens: 1024,
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

/// What is told of a budget: once when the share is reached at which is warned, once when nothing is left.
pub type Alarm = Box<dyn Fn(&BudgetStatus) + Send + Sync>;

type SetLimits = HashMap<(BudgetSubject, BudgetPeriod), BudgetLimit>;

/// Holds spending to budgets. Storage is used on one runtime, from wherever calls come; a caller to whom no budget
/// applies costs no storage at all.
pub struct Budgets {
    repository: Arc<dyn BudgetRepository>,
    clock: Arc<dyn Clock>,
    config: BudgetConfig,
    set: RwLock<SetLimits>,
    /// Whether anything may be limited at all.
    any: AtomicBool,
    runtime: Handle,
    settled: Notify,
    alarm: RwLock<Option<Alarm>>,
}

/// What was set aside for a call; dropping it gives it back.
pub(super) struct Hold {
    budgets: Arc<Budgets>,
    windows: Vec<LimitedWindow>,
    estimate: Spend,
    open: bool,
}

impl Budgets {
    /// Reads the budgets that were set and gives up what a process that died had set aside. Storage is used on the
    /// current runtime from now on. This process must be the only one that uses the storage.
    pub async fn open(
        repository: Arc<dyn BudgetRepository>,
        clock: Arc<dyn Clock>,
        config: BudgetConfig,
    ) -> Result<Arc<Self>, RepositoryError> {
        let kept_since = clock.now().as_micros() - i64::try_from(KEPT.as_micros()).unwrap_or(0);
        repository
            .release_all(Timestamp::from_micros(kept_since))
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
            settled: Notify::new(),
            alarm: RwLock::new(None),
        };
        budgets.look_for_any();
        Ok(Arc::new(budgets))
    }

    /// Says whom to tell when a budget is nearly or wholly used up, besides the log.
    pub fn on_alarm(&self, alarm: Alarm) {
        *self.alarm.write().unwrap_or_else(PoisonError::into_inner) = Some(alarm);
    }

    /// Whether anybody is limited.
    pub(super) fn limits_anything(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Tokens an answer is assumed to have where nobody says how many it may have.
    pub(super) fn assumed_output_tokens(&self) -> u64 {
        self.config.assumed_output_tokens
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

    /// Whether `payer` may ask for anything at all. Looks only: nothing is set aside.
    pub(super) async fn check(self: &Arc<Self>, payer: &Payer) -> Result<(), BudgetError> {
        let windows = self.windows(payer);
        if windows.is_empty() {
            return Ok(());
        }
        let budgets = self.clone();
        let looking = self.runtime.spawn(async move {
            let plain: Vec<_> = windows
                .iter()
                .map(|limited| limited.window.clone())
                .collect();
            let used = budgets.repository.used(&plain).await;
            used.map(|used| {
                let pairs = windows.into_iter().zip(used);
                pairs
                    .map(|(window, used)| WindowFull { window, used })
                    .find(|full| is_used_up(full.window.limit, full.used))
            })
        });
        match answer(looking).await? {
            Some(full) => Err(self.exhausted(&full)),
            None => Ok(()),
        }
    }

    /// Sets `estimate` aside; `None` when no budget applies. Waits a while for calls under way near a limit.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        payer: &Payer,
        estimate: impl FnOnce() -> Spend,
    ) -> Result<Option<Hold>, BudgetError> {
        let windows = self.windows(payer);
        if windows.is_empty() {
            return Ok(None);
        }
        let estimate = estimate();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let full = match answer(self.try_reserve(windows.clone(), estimate)).await? {
                Ok(hold) => return Ok(Some(hold)),
                Err(full) => full,
            };
            if !full.window.limit.allows(full.used.spent.plus(estimate)) {
                return Err(self.exhausted(&full));
            }
            if timeout_at(deadline, settled).await.is_err() {
                return Err(BudgetError::Reserved);
            }
        }
    }

    /// On a task of its own: when the caller leaves meanwhile, what was set aside is given back.
    fn try_reserve(
        self: &Arc<Self>,
        windows: Vec<LimitedWindow>,
        estimate: Spend,
    ) -> JoinHandle<Result<Result<Hold, WindowFull>, RepositoryError>> {
        let budgets = self.clone();
        self.runtime.spawn(async move {
            let reserved = budgets.repository.reserve(&windows, estimate).await?;
            Ok(reserved.map(|()| Hold {
                budgets,
                windows,
                estimate,
                open: true,
            }))
        })
    }

    fn exhausted(&self, full: &WindowFull) -> BudgetError {
        let (now, window) = (self.clock.now(), &full.window.window);
        let resets_at = window.period.end(window.starts_at);
        BudgetError::Exhausted {
            subject: window.subject.kind(),
            period: window.period,
            resets_at,
            retry_after: resets_at.since(now).max(Duration::from_secs(1)),
        }
    }

    fn settle(
        self: &Arc<Self>,
        windows: Vec<LimitedWindow>,
        estimate: Spend,
        spent: Spend,
    ) -> JoinHandle<()> {
        let budgets = self.clone();
        self.runtime.spawn(async move {
            let plain: Vec<_> = windows
                .iter()
                .map(|limited| limited.window.clone())
                .collect();
            let mut pauses = SETTLE_PAUSES.into_iter();
            loop {
                let error = match budgets.repository.settle(&plain, estimate, spent).await {
                    Ok(used) => {
                        budgets.watch(windows, &used, spent);
                        break;
                    }
                    Err(error) => error,
                };
                let Some(pause) = pauses.next() else {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, ?spent, "what a model call cost was not counted");
                    break;
                };
                sleep(pause).await;
            }
            budgets.settled.notify_waiters();
        })
    }

    /// Warns of limits that `spent` has brought within reach.
    fn watch(&self, windows: Vec<LimitedWindow>, used: &[WindowUse], spent: Spend) {
        let percent = self.config.warn_percent;
        for (window, used) in windows.into_iter().zip(used) {
            let before = used.spent.minus(spent);
            let reaches = |percent| {
                !window.limit.is_reached(before, percent)
                    && window.limit.is_reached(used.spent, percent)
            };
            if !reaches(percent) && !reaches(100) {
                continue;
            }
            let status = self.status(window, *used, false);
            tracing::warn!(
                subject = %status.window.window.subject,
                period = %status.window.window.period,
                exhausted = status.is_exhausted,
                "a budget is nearly or wholly used up"
            );
            let alarm = self.alarm.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(alarm) = &*alarm {
                alarm(&status);
            }
        }
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

impl Hold {
    /// Counts what the call has cost, whether or not anyone waits for it.
    pub(super) fn settle(mut self, spent: Spend) -> JoinHandle<()> {
        self.open = false;
        let windows = std::mem::take(&mut self.windows);
        self.budgets.settle(windows, self.estimate, spent)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.open {
            let windows = std::mem::take(&mut self.windows);
            self.budgets
                .settle(windows, self.estimate, Spend::default());
        }
    }
}

/// Whether not even the smallest call fits.
fn is_used_up(limit: BudgetLimit, used: WindowUse) -> bool {
    limit.cost.is_some_and(|most| used.spent.cost >= most)
        || limit.tokens.is_some_and(|most| used.spent.tokens >= most)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> BudgetError {
    tracing::error!(error, "budgets cannot be checked");
    BudgetError::Unavailable
}

/// What the task found out. Where it fails nothing may be spent.
async fn answer<T>(task: JoinHandle<Result<T, RepositoryError>>) -> Result<T, BudgetError> {
    match task.await {
        Ok(found) => found.map_err(|error| unavailable(&error)),
        Err(error) => Err(unavailable(&error)),
    }
}
