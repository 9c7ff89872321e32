//! Setting aside what a call may cost, and settling it afterwards.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{BudgetWindow, Spend, UserId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Budgets, is_used_up};
use crate::ports::{LimitedWindow, RepositoryError, WindowFull};
use crate::usage::accounting::{Payer, PlannedCall};
use crate::usage::error::BudgetError;
use crate::usage::prices::PriceTable;

/// Longest wait for calls under way near a limit.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between tries to count what a call has cost.
const SETTLE_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(3),
    Duration::from_secs(15),
];
/// Answers are not cut shorter than this many tokens for the sake of a budget: the call is refused instead.
const LEAST_OUTPUT: u64 = 256;

/// What was set aside for a call; dropping it gives it back.
pub(in crate::usage) struct Hold {
    budgets: Arc<Budgets>,
    user: UserId,
    windows: Vec<LimitedWindow>,
    estimate: Spend,
    output_tokens: u64,
    open: bool,
}

/// What is asked of storage.
#[derive(Clone)]
struct Wanted {
    user: UserId,
    windows: Vec<LimitedWindow>,
    estimate: Spend,
    output_tokens: u64,
}

impl Budgets {
    /// Whether `payer` may ask for anything at all. Looks only: nothing is set aside.
    pub(in crate::usage) async fn check(
        self: &Arc<Self>,
        payer: &Payer,
    ) -> Result<(), BudgetError> {
        let windows = self.windows(payer);
        if windows.is_empty() {
            return Ok(());
        }
        let budgets = self.clone();
        let looking = self.runtime.spawn(async move {
            let used = budgets.repository.used(&plain(&windows)).await;
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

    /// Sets aside what `call` may cost by `prices`; `None` when no budget applies. Where the whole answer does not fit
    /// what is left, a shorter one is set aside. Waits a while for calls under way near a limit.
    pub(in crate::usage) async fn reserve(
        self: &Arc<Self>,
        call: &PlannedCall,
        prices: &PriceTable,
    ) -> Result<Option<Hold>, BudgetError> {
        let windows = self.windows(&call.payer);
        if windows.is_empty() {
            return Ok(None);
        }
        if windows.iter().any(|limited| limited.limit.cost.is_some())
            && let Some(model) = call.models().find(|model| !prices.has(model))
        {
            self.count_refusal();
            let model = model.to_string();
            return Err(BudgetError::Unpriced { model });
        }
        let asked = call.max_output_tokens;
        let output_tokens = asked.unwrap_or(self.config.max_output_tokens);
        let mut wanted = Wanted {
            user: call.payer.user.clone(),
            windows,
            estimate: call.spend(prices, output_tokens),
            output_tokens,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let full = match answer(self.try_reserve(wanted.clone())).await? {
                Ok(hold) => return Ok(Some(hold)),
                Err(full) => full,
            };
            let fits = |estimate| full.window.limit.allows(full.used.spent.plus(estimate));
            if fits(wanted.estimate) {
                if timeout_at(deadline, settled).await.is_err() {
                    self.count_refusal();
                    return Err(BudgetError::Reserved);
                }
                continue;
            }
            while !fits(wanted.estimate) {
                wanted.output_tokens /= 2;
                if wanted.output_tokens < LEAST_OUTPUT {
                    return Err(self.exhausted(&full));
                }
                wanted.estimate = call.spend(prices, wanted.output_tokens);
            }
        }
    }

    /// On a task of its own: when the caller leaves meanwhile, what was set aside is given back.
    fn try_reserve(
        self: &Arc<Self>,
        wanted: Wanted,
    ) -> JoinHandle<Result<Result<Hold, WindowFull>, RepositoryError>> {
        let budgets = self.clone();
        self.runtime.spawn(async move {
            let repository = budgets.repository.clone();
            let reserved = repository.reserve(&wanted.windows, wanted.estimate).await?;
            Ok(reserved.map(|()| Hold {
                budgets,
                user: wanted.user,
                windows: wanted.windows,
                estimate: wanted.estimate,
                output_tokens: wanted.output_tokens,
                open: true,
            }))
        })
    }

    fn exhausted(&self, full: &WindowFull) -> BudgetError {
        self.count_refusal();
        let (now, window) = (self.clock.now(), &full.window.window);
        let resets_at = window.period.end(window.starts_at);
        BudgetError::Exhausted {
            subject: window.subject.kind(),
            period: window.period,
            resets_at,
            retry_after: resets_at.since(now).max(Duration::from_secs(1)),
        }
    }
}

impl Hold {
    /// Tokens set aside for each answer: the most it may have.
    pub(in crate::usage) const fn output_tokens(&self) -> u64 {
        self.output_tokens
    }

    /// Counts what the call has cost, whether or not anyone waits for it.
    pub(in crate::usage) fn settle(mut self, spent: Spend) -> JoinHandle<()> {
        self.end(spent)
    }

    fn end(&mut self, spent: Spend) -> JoinHandle<()> {
        self.open = false;
        let (budgets, windows) = (self.budgets.clone(), std::mem::take(&mut self.windows));
        let (user, estimate) = (self.user.clone(), self.estimate);
        self.budgets.runtime.spawn(async move {
            let mut pauses = SETTLE_PAUSES.into_iter();
            let plain = plain(&windows);
            loop {
                let error = match budgets.repository.settle(&plain, estimate, spent).await {
                    Ok(used) => {
                        budgets.watch(&user, windows, &used, spent);
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
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.open {
            self.end(Spend::default());
        }
    }
}

fn plain(windows: &[LimitedWindow]) -> Vec<BudgetWindow> {
    let windows = windows.iter().map(|limited| limited.window.clone());
    windows.collect()
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
