//! The ledger of model calls and the budgets in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use majordomo_application::ports::{BudgetRepository, EndedCall, RepositoryError, UsageLedger};
use majordomo_domain::{
    ApiKeyId, AuditRecord, Budget, BudgetPeriod, BudgetSubject, BudgetWindow, MicroUsd, Spend,
    Timestamp, Usage, UsageRecord, UsageSum, UserId,
};

use super::{InMemoryStore, count};

/// What is spent and what may be.
#[derive(Default)]
pub(super) struct Books {
    pub(super) calls: Vec<UsageRecord>,
    pub(super) budgets: BTreeMap<(String, BudgetPeriod), Budget>,
    pub(super) windows: BTreeMap<BudgetWindow, Spend>,
}

impl Books {
    /// Stores calls and counts them in their windows.
    pub(super) fn append(&mut self, calls: impl IntoIterator<Item = EndedCall>) {
        for EndedCall { record, windows } in calls {
            for window in windows {
                let spent = self.windows.entry(window).or_default();
                *spent = spent.plus(record.spend());
            }
            self.calls.push(record);
        }
    }

    /// Sets budgets, replacing those of the same subjects and periods.
    pub(super) fn set_all(&mut self, budgets: &[Budget]) {
        for budget in budgets {
            let key = (budget.subject.to_string(), budget.period);
            self.budgets.insert(key, budget.clone());
        }
    }

    /// What was set for one API key also holds for its successor, and what it has spent counts on.
    pub(super) fn inherit(&mut self, from: &ApiKeyId, to: &ApiKeyId) {
        let (from, to) = (
            BudgetSubject::Key(from.clone()),
            BudgetSubject::Key(to.clone()),
        );
        let budgets = self.budgets.values().filter(|one| one.subject == from);
        let inherited: Vec<Budget> = budgets
            .map(|budget| Budget {
                subject: to.clone(),
                ..budget.clone()
            })
            .collect();
        self.set_all(&inherited);
        let windows = self.windows.iter().filter(|(one, _)| one.subject == from);
        let counted: Vec<_> = windows
            .map(|(window, spent)| {
                let window = BudgetWindow {
                    subject: to.clone(),
                    ..window.clone()
                };
                (window, *spent)
            })
            .collect();
        self.windows.extend(counted);
    }
}

#[async_trait]
impl UsageLedger for InMemoryStore {
    async fn append(&self, calls: &[EndedCall]) -> Result<(), RepositoryError> {
        self.state().books.append(calls.iter().cloned());
        Ok(())
    }

    async fn sums(
        &self,
        owner: &UserId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<UsageSum>, RepositoryError> {
        let state = self.state();
        let calls = state
            .books
            .calls
            .iter()
            .filter(|call| call.owner == *owner && since.is_none_or(|since| call.at >= since));
        let mut sums: BTreeMap<(String, String), UsageSum> = BTreeMap::new();
        for call in calls {
            let key = (call.model.provider.clone(), call.model.model.clone());
            let sum = sums.entry(key).or_insert_with(|| UsageSum {
                model: call.model.clone(),
                usage: Usage::default(),
                cost: MicroUsd(0),
                calls: 0,
            });
            sum.usage = sum.usage.plus(call.usage);
            sum.cost = MicroUsd(sum.cost.0 + call.cost.0);
            sum.calls += 1;
        }
        let mut sums: Vec<UsageSum> = sums.into_values().collect();
        sums.sort_by_key(|sum| std::cmp::Reverse(sum.calls));
        sums.truncate(count(limit));
        Ok(sums)
    }

    async fn recent(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, RepositoryError> {
        let state = self.state();
        let calls = state.books.calls.iter().rev();
        let mut calls: Vec<UsageRecord> =
            calls.filter(|call| call.owner == *owner).cloned().collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.at));
        calls.truncate(count(limit));
        Ok(calls)
    }

    async fn clear(&self, owner: &UserId, act: &AuditRecord) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let before = state.books.calls.len();
        state.books.calls.retain(|call| call.owner != *owner);
        let cleared = before - state.books.calls.len();
        state.append_audit(act);
        Ok(u64::try_from(cleared).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl BudgetRepository for InMemoryStore {
    async fn list(&self, limit: u32) -> Result<Vec<Budget>, RepositoryError> {
        let state = self.state();
        let budgets = state.books.budgets.values().take(count(limit));
        Ok(budgets.cloned().collect())
    }

    async fn set(&self, budget: &Budget, act: &AuditRecord) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let key = (budget.subject.to_string(), budget.period);
        state.books.budgets.insert(key, budget.clone());
        state.append_audit(act);
        Ok(())
    }

    async fn remove(
        &self,
        subject: &BudgetSubject,
        period: BudgetPeriod,
        act: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let key = (subject.to_string(), period);
        let removed = state.books.budgets.remove(&key).is_some();
        if removed {
            state.append_audit(act);
        }
        Ok(removed)
    }

    async fn spent(&self, windows: &[BudgetWindow]) -> Result<Vec<Spend>, RepositoryError> {
        let state = self.state();
        let spent = windows
            .iter()
            .map(|window| state.books.windows.get(window).copied());
        Ok(spent.map(Option::unwrap_or_default).collect())
    }

    async fn forget_windows(&self, before: Timestamp) -> Result<(), RepositoryError> {
        let windows = &mut self.state().books.windows;
        windows.retain(|window, _| window.starts_at >= before);
        Ok(())
    }
}
