//! What a user's model calls have used and cost.

use std::sync::Arc;

use majordomo_domain::{MicroUsd, Scope, Timestamp, Usage, UsageRecord, UsageSum};

use super::accounting::Accounting;
use super::budgets::Budgets;
use super::error::UsageError;
use crate::caller::Caller;
use crate::ports::{Clock, UsageLedger};

/// Models told of at most.
const MAX_MODELS: u32 = 1_000;
/// Calls told of at most.
const MAX_RECENT: u32 = 1_000;

/// A user's calls, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// All tokens.
    pub usage: Usage,
    /// All costs.
    pub cost: MicroUsd,
    /// How many calls.
    pub calls: u64,
    /// The sums of each model, most calls first.
    pub models: Vec<UsageSum>,
}

/// Tells users what their model calls used. Nobody sees those of others.
pub struct UsageService {
    ledger: Arc<dyn UsageLedger>,
    budgets: Arc<Budgets>,
    accounting: Accounting,
    clock: Arc<dyn Clock>,
}

impl UsageService {
    /// Reads `ledger`, which `accounting` fills, and `budgets`, to which it holds calls.
    pub fn new(
        ledger: Arc<dyn UsageLedger>,
        budgets: Arc<Budgets>,
        accounting: Accounting,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger,
            budgets,
            accounting,
            clock,
        }
    }

    /// What may be spent.
    pub fn budgets(&self) -> &Arc<Budgets> {
        &self.budgets
    }

    /// Where calls are counted.
    pub fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    /// The caller's calls since `since`, added up.
    pub async fn report(
        &self,
        caller: &Caller,
        since: Option<Timestamp>,
    ) -> Result<UsageReport, UsageError> {
        caller.require(Scope::Metrics)?;
        self.accounting.flush().await;
        let models = self.ledger.sums(&caller.user, since, MAX_MODELS).await?;
        let mut report = UsageReport {
            usage: Usage::default(),
            cost: MicroUsd(0),
            calls: 0,
            models: Vec::new(),
        };
        for sum in &models {
            report.usage = report.usage.plus(sum.usage);
            report.cost = MicroUsd(report.cost.0.saturating_add(sum.cost.0));
            report.calls = report.calls.saturating_add(sum.calls);
        }
        report.models = models;
        Ok(report)
    }

    /// The caller's latest calls, newest first.
    pub async fn recent(
        &self,
        caller: &Caller,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, UsageError> {
        caller.require(Scope::Metrics)?;
        self.accounting.flush().await;
        let limit = limit.min(MAX_RECENT);
        Ok(self.ledger.recent(&caller.user, limit).await?)
    }

    /// Forgets the caller's calls. Budgets remember what was spent of them.
    pub async fn clear(&self, caller: &Caller) -> Result<(), UsageError> {
        caller.require_change(Scope::Metrics)?;
        self.accounting.flush().await;
        let act = caller.record("usage.clear", self.clock.now());
        self.ledger.clear(&caller.user, &act).await?;
        Ok(())
    }

    /// Stores what waits to be stored: for the end of the process.
    pub async fn close(&self) {
        self.accounting.flush().await;
    }
}
