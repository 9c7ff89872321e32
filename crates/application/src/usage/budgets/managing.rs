//! Setting budgets, and telling how far they are used up.

use std::sync::PoisonError;

use majordomo_domain::{
    Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, CredentialKind, Scope,
};

use super::windows::LimitedWindow;
use super::{BudgetStatus, Budgets, MAX_BUDGETS, SetLimits};
use crate::caller::Caller;
use crate::error::FieldError;
use crate::usage::{Payer, UsageError};

impl Budgets {
    /// What limits the caller, and how far it is used up.
    pub async fn own(&self, caller: &Caller) -> Result<Vec<BudgetStatus>, UsageError> {
        caller.require(Scope::Metrics)?;
        self.statuses(self.applying(&Payer::of(caller))).await
    }

    /// As [`own`](Self::own); administrators see every budget that was set besides.
    pub async fn visible(&self, caller: &Caller) -> Result<Vec<BudgetStatus>, UsageError> {
        caller.require(Scope::Metrics)?;
        let mut windows = Vec::new();
        if caller.require(Scope::Admin).is_ok() {
            let now = self.clock.now();
            let budgets = self.repository.list(MAX_BUDGETS).await?.into_iter();
            windows.extend(budgets.map(|budget| {
                let window = BudgetWindow {
                    starts_at: budget.period.start(now),
                    subject: budget.subject,
                    period: budget.period,
                };
                let limit = budget.limit;
                (LimitedWindow { window, limit }, false)
            }));
        }
        for own in self.applying(&Payer::of(caller)) {
            if !windows
                .iter()
                .any(|(shown, _)| shown.window == own.0.window)
            {
                windows.push(own);
            }
        }
        self.statuses(windows).await
    }

    async fn statuses(
        &self,
        windows: Vec<(LimitedWindow, bool)>,
    ) -> Result<Vec<BudgetStatus>, UsageError> {
        let plain: Vec<_> = windows
            .iter()
            .map(|(limited, _)| limited.window.clone())
            .collect();
        let used = self.used(&plain).await?;
        let pairs = windows.into_iter().zip(used);
        Ok(pairs
            .map(|((window, is_default), used)| self.status(window, used, is_default))
            .collect())
    }

    /// Sets a budget. It holds for calls that begin from now on, and counts what was spent in the current period
    /// already where the subject had a budget before.
    pub async fn set_limit(
        &self,
        caller: &Caller,
        subject: BudgetSubject,
        period: BudgetPeriod,
        limit: BudgetLimit,
    ) -> Result<(), UsageError> {
        self.require_free(caller)?;
        let key = (subject.clone(), period);
        let (known, count) = {
            let set = self.set();
            (set.contains_key(&key), set.len())
        };
        if !known && count >= usize::try_from(MAX_BUDGETS).unwrap_or(usize::MAX) {
            let problem = format!("there are {MAX_BUDGETS} budgets already");
            return Err(UsageError::Invalid(FieldError::new("subject", problem)));
        }
        let now = self.clock.now();
        let act = caller
            .record("budget.set", now)
            .on("budget", &subject)
            .with("period", period)
            .with("max_micro_usd", shown(limit.cost.map(|cost| cost.0)))
            .with("max_tokens", shown(limit.tokens));
        let budget = Budget {
            subject,
            period,
            limit,
            set_at: now,
        };
        self.repository.set(&budget, &act).await?;
        self.change(|set| {
            set.insert(key, limit);
        });
        Ok(())
    }

    /// Removes a budget; the default of the settings holds again.
    pub async fn remove_limit(
        &self,
        caller: &Caller,
        subject: &BudgetSubject,
        period: BudgetPeriod,
    ) -> Result<(), UsageError> {
        self.require_free(caller)?;
        let act = caller
            .record("budget.remove", self.clock.now())
            .on("budget", subject)
            .with("period", period);
        if !self.repository.remove(subject, period, &act).await? {
            return Err(UsageError::BudgetNotFound);
        }
        self.change(|set| {
            set.remove(&(subject.clone(), period));
        });
        Ok(())
    }

    /// An administrator; not by a key that has a budget, which could lift its own.
    fn require_free(&self, caller: &Caller) -> Result<(), UsageError> {
        caller.require_change(Scope::Admin)?;
        match &caller.credential {
            CredentialKind::ApiKey(key) if self.limits_key(key) => {
                Err(caller.denied(Scope::Admin).into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SetLimits)) {
        change(&mut self.set.write().unwrap_or_else(PoisonError::into_inner));
        self.look_for_any();
    }
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
