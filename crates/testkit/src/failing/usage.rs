//! The ledger and the budgets of a failing store.

use async_trait::async_trait;
use majordomo_application::ports::{BudgetRepository, EndedCall, RepositoryError, UsageLedger};
use majordomo_domain::{
    AuditRecord, Budget, BudgetPeriod, BudgetSubject, BudgetWindow, Spend, Timestamp, UsageRecord,
    UsageSum, UserId,
};

use super::FailingStore;

#[async_trait]
impl UsageLedger for FailingStore {
    async fn append(&self, calls: &[EndedCall]) -> Result<(), RepositoryError> {
        self.call("usage.append", self.usage.append(calls)).await
    }

    async fn sums(
        &self,
        owner: &UserId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<UsageSum>, RepositoryError> {
        self.call("usage.sums", self.usage.sums(owner, since, limit))
            .await
    }

    async fn recent(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, RepositoryError> {
        self.call("usage.recent", self.usage.recent(owner, limit))
            .await
    }

    async fn clear(&self, owner: &UserId, act: &AuditRecord) -> Result<u64, RepositoryError> {
        self.call("usage.clear", self.usage.clear(owner, act)).await
    }
}

#[async_trait]
impl BudgetRepository for FailingStore {
    async fn list(&self, limit: u32) -> Result<Vec<Budget>, RepositoryError> {
        self.call("budgets.list", self.budgets.list(limit)).await
    }

    async fn set(&self, budget: &Budget, act: &AuditRecord) -> Result<(), RepositoryError> {
        self.call("budgets.set", self.budgets.set(budget, act))
            .await
    }

    async fn remove(
        &self,
        subject: &BudgetSubject,
        period: BudgetPeriod,
        act: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call("budgets.remove", self.budgets.remove(subject, period, act))
            .await
    }

    async fn spent(&self, windows: &[BudgetWindow]) -> Result<Vec<Spend>, RepositoryError> {
        self.call("budgets.spent", self.budgets.spent(windows))
            .await
    }

    async fn forget_windows(&self, before: Timestamp) -> Result<(), RepositoryError> {
        let forget = self.budgets.forget_windows(before);
        self.call("budgets.forget_windows", forget).await
    }
}
