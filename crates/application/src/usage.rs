//! What model calls cost: every call is counted here, priced, kept in the ledger, and held to budgets.
//!
//! [`Accounting`] is the one place that model calls pass: before a call it sets aside what the call may cost, after it
//! the counters, the ledger and the budgets learn what it did cost.

mod accounting;
mod budgets;
mod error;
mod prices;
mod report;
mod spool;

pub use accounting::{Accounting, Ending, ModelCall, Payer, PlannedCall};
pub use budgets::{BudgetConfig, BudgetCounts, BudgetStatus, Budgets, LimitedWindow, PeriodLimits};
pub use error::{BudgetError, UsageError};
pub use prices::{Price, PriceTable};
pub use report::{UsageReport, UsageService};
pub use spool::UsageSpool;
