//! Storage of budgets and of what has been spent of them.

use async_trait::async_trait;
use majordomo_domain::{
    AuditRecord, Budget, BudgetPeriod, BudgetSubject, BudgetWindow, Spend, Timestamp,
};

use super::RepositoryError;

/// Budgets, and the windows in which spending is counted.
#[async_trait]
pub trait BudgetRepository: Send + Sync {
    /// The budgets that were set, `limit` of them at most, in the order of their subjects.
    async fn list(&self, limit: u32) -> Result<Vec<Budget>, RepositoryError>;
    /// Sets a budget, replacing the one of the same subject and period; the record of it is stored in the same
    /// transaction.
    async fn set(&self, budget: &Budget, act: &AuditRecord) -> Result<(), RepositoryError>;
    /// Removes a budget; `false`, and nothing stored, when there is none.
    async fn remove(
        &self,
        subject: &BudgetSubject,
        period: BudgetPeriod,
        act: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// What the calls stored in the ledger have spent in each window, in the order of `windows`.
    async fn spent(&self, windows: &[BudgetWindow]) -> Result<Vec<Spend>, RepositoryError>;
    /// Forgets windows that began before `before`.
    async fn forget_windows(&self, before: Timestamp) -> Result<(), RepositoryError>;
}
