//! Setting aside what a call may cost, and settling it afterwards.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{BudgetWindow, Spend, UserId, WindowUse};
use tokio::time::{Instant, timeout_at};

use super::windows::{LimitedWindow, Unknown, WindowFull};
use super::{Budgets, is_used_up};
use crate::ports::RepositoryError;
use crate::usage::accounting::{Payer, PlannedCall};
use crate::usage::error::BudgetError;
use crate::usage::prices::PriceTable;

/// Longest wait for calls under way near a limit.
const PATIENCE: Duration = Duration::from_secs(10);
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
        let used = self.used(&plain(&windows)).await;
        let used = used.map_err(|error| unavailable(&error))?;
        let pairs = windows.into_iter().zip(used);
        let full = pairs
            .map(|(window, used)| WindowFull { window, used })
            .find(|full| is_used_up(full.window.limit, full.used));
        match full {
            Some(full) => Err(self.exhausted(&full)),
            None => Ok(()),
        }
    }

    /// How far each window is used, in their order.
    pub(super) async fn used(
        &self,
        windows: &[BudgetWindow],
    ) -> Result<Vec<WindowUse>, RepositoryError> {
        loop {
            match self.windows.used(windows) {
                Ok(used) => return Ok(used),
                Err(unknown) => self.learn(unknown).await?,
            }
        }
    }

    /// Reads windows from storage, on the runtime where storage is used.
    async fn learn(&self, unknown: Unknown) -> Result<(), RepositoryError> {
        let (repository, windows) = (self.repository.clone(), unknown.windows.clone());
        let reading = self
            .runtime
            .spawn(async move { repository.spent(&windows).await });
        let spent = reading
            .await
            .map_err(|error| RepositoryError::Other(error.into()))??;
        self.windows.learn(unknown, spent);
        Ok(())
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
        let mut hold = Hold {
            budgets: self.clone(),
            user: call.payer.user.clone(),
            windows,
            estimate: call.spend(prices, output_tokens),
            output_tokens,
            open: false,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let full = match self.windows.reserve(&hold.windows, hold.estimate) {
                Ok(None) => {
                    hold.open = true;
                    return Ok(Some(hold));
                }
                Ok(Some(full)) => full,
                Err(unknown) => {
                    let learnt = self.learn(unknown).await;
                    learnt.map_err(|error| unavailable(&error))?;
                    continue;
                }
            };
            let fits = |estimate| full.window.limit.allows(full.used.spent.plus(estimate));
            if fits(hold.estimate) {
                if timeout_at(deadline, settled).await.is_err() {
                    self.count_refusal();
                    return Err(BudgetError::Reserved);
                }
                continue;
            }
            while !fits(hold.estimate) {
                hold.output_tokens /= 2;
                if hold.output_tokens < LEAST_OUTPUT {
                    return Err(self.exhausted(&full));
                }
                hold.estimate = call.spend(prices, hold.output_tokens);
            }
        }
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

    /// Counts what the call has cost, and names the windows it counts in.
    pub(in crate::usage) fn settle(mut self, spent: Spend) -> Vec<BudgetWindow> {
        let windows = plain(&self.windows);
        self.end(spent);
        windows
    }

    fn end(&mut self, spent: Spend) {
        self.open = false;
        let (budgets, windows) = (&self.budgets, std::mem::take(&mut self.windows));
        let used = budgets.windows.settle(&windows, self.estimate, spent);
        budgets.watch(&self.user, windows, &used, spent);
        budgets.settled.notify_waiters();
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
