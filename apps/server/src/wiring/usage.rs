//! Prices, budgets and the ledger of model calls from settings and storage.

use std::iter;
use std::sync::Arc;

use majordomo_application::chat::UserLimits;
use majordomo_application::models::InferenceMetrics;
use majordomo_application::ports::{Clock, RepositoryError};
use majordomo_application::usage::{
    Accounting, BudgetConfig, Budgets, PeriodLimits, Price, PriceTable, UsageService, UsageSpool,
};
use majordomo_domain::{BudgetLimit, MicroUsd};
use majordomo_settings::{BudgetsSettings, LimitsSettings, PricesSettings, Settings};

use super::models::BUILTIN_PROVIDER;
use super::storage::Storage;

/// The books. Storage is used on the current runtime from now on.
pub(super) async fn usage(
    settings: &Settings,
    storage: &Storage,
    inference: Arc<InferenceMetrics>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<UsageService>, RepositoryError> {
    let config = budgets(&settings.budgets);
    let budgets = Budgets::open(storage.budgets.clone(), clock.clone(), config).await?;
    let accounting = Accounting::new(
        inference,
        prices(&settings.prices),
        budgets.clone(),
        UsageSpool::start(storage.usage.clone()),
        clock.clone(),
    );
    Ok(Arc::new(UsageService::new(
        storage.usage.clone(),
        budgets,
        accounting,
        clock,
    )))
}

/// The configured prices. The built-in assistant is free where nothing else is said of it.
fn prices(settings: &PricesSettings) -> PriceTable {
    let free = (format!("{BUILTIN_PROVIDER}/*"), Price::default());
    let prices = settings.models.iter().map(|price| {
        let per_million = Price::per_million(price.input, price.cached_input, price.output);
        (price.model.clone(), per_million)
    });
    PriceTable::new(settings.version.as_str(), iter::once(free).chain(prices))
}

fn budgets(settings: &BudgetsSettings) -> BudgetConfig {
    let limit = |usd: Option<f64>, tokens| BudgetLimit {
        cost: usd.and_then(MicroUsd::from_usd),
        tokens,
    };
    BudgetConfig {
        user: PeriodLimits {
            day: limit(settings.user_daily_usd, settings.user_daily_tokens),
            month: limit(settings.user_monthly_usd, settings.user_monthly_tokens),
        },
        key: PeriodLimits {
            day: limit(settings.key_daily_usd, settings.key_daily_tokens),
            month: limit(settings.key_monthly_usd, settings.key_monthly_tokens),
        },
        session: PeriodLimits {
            day: limit(settings.session_daily_usd, settings.session_daily_tokens),
            month: limit(
                settings.session_monthly_usd,
                settings.session_monthly_tokens,
            ),
        },
        warn_percent: u8::try_from(settings.warn_at_percent).unwrap_or(100),
        max_output_tokens: u64::from(settings.max_output_tokens),
    }
}

/// How much of the agent one user may take, of `concurrent` turns at work and `accepted` in all.
pub(super) fn user_limits(
    settings: &LimitsSettings,
    concurrent: usize,
    accepted: usize,
) -> UserLimits {
    let share = accepted.saturating_mul(3).div_ceil(4);
    UserLimits {
        max_concurrent_runs: settings.runs_per_user.unwrap_or(concurrent),
        max_accepted_runs: settings.accepted_runs_per_user.unwrap_or(share),
    }
}
