//! The books of a test: everything is counted, nothing is limited until a test says so.

use std::sync::Arc;

use majordomo_application::models::InferenceMetrics;
use majordomo_application::ports::{BudgetRepository, Clock, UsageLedger};
use majordomo_application::usage::{
    Accounting, BudgetConfig, Budgets, PriceTable, UsageService, UsageSpool,
};

/// Books over `store`. Must be called on the runtime of the test.
///
/// # Panics
/// When the store fails.
pub async fn usage_service<S>(
    store: Arc<S>,
    metrics: Arc<InferenceMetrics>,
    clock: Arc<dyn Clock>,
) -> Arc<UsageService>
where
    S: UsageLedger + BudgetRepository + 'static,
{
    let opened = Budgets::open(store.clone(), clock.clone(), BudgetConfig::default()).await;
    let budgets = opened.unwrap_or_else(|error| panic!("the budgets cannot be read: {error}"));
    let accounting = Accounting::new(
        metrics,
        PriceTable::default(),
        budgets.clone(),
        UsageSpool::start(store.clone()),
        clock.clone(),
    );
    Arc::new(UsageService::new(store, budgets, accounting, clock))
}
