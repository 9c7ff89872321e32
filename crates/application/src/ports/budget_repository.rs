//! Storage of budgets and of what has been spent of them.

use async_trait::async_trait;
use majordomo_domain::{
    AuditRecord, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, Spend, Timestamp,
    WindowUse,
};

use super::RepositoryError;

/// A window and what may be spent in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedWindow {
    /// What spending is counted in.
    pub window: BudgetWindow,
    /// The most that may be spent in it.
    pub limit: BudgetLimit,
}

/// Why nothing was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFull {
    /// The window in the way.
    pub window: LimitedWindow,
    /// How far it has been used.
    pub used: WindowUse,
}

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
    /// Sets `estimate` aside in every window, or in none when one of them does not
    /// [admit](WindowUse::admits) it. MUST be atomic against every other reservation and settlement, `Written`.
    async fn reserve(
        &self,
        windows: &[LimitedWindow],
        estimate: Spend,
    ) -> Result<Result<(), WindowFull>, RepositoryError>;
    /// Ends a call for which `estimate` was set aside: `spent` takes its place in every window, `Written`. Gives how far
    /// each is used now, in the order of `windows`.
    async fn settle(
        &self,
        windows: &[BudgetWindow],
        estimate: Spend,
        spent: Spend,
    ) -> Result<Vec<WindowUse>, RepositoryError>;
    /// How far each window has been used, in the order of `windows`.
    async fn used(&self, windows: &[BudgetWindow]) -> Result<Vec<WindowUse>, RepositoryError>;
    /// Gives up everything that is set aside, for calls which ended with their process, and forgets windows that began
    /// before `before`. For the start of the only process that uses this storage.
    async fn release_all(&self, before: Timestamp) -> Result<(), RepositoryError>;
}
