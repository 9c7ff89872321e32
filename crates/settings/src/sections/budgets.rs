//! `[budgets]`: how much may be spent where nothing else was set.

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

/// Largest budget in dollars.
const MAX_USD: f64 = 1_000_000_000.0;
/// Largest budget in tokens.
const MAX_TOKENS: u64 = 1_000_000_000_000_000;

section! {
    /// How much each user, API key and session may spend in a day and in a month (UTC), in US dollars by `[prices]`
    /// and in tokens. `majordomo budgets set` sets others for single ones. Not set: no limit.
    pub struct BudgetsSettings {
        /// Dollars each user may spend in a day.
        user_daily_usd: Option<f64> = None, example "5.0";
        /// Dollars each user may spend in a month.
        user_monthly_usd: Option<f64> = None, example "50.0";
        /// Tokens each user may use in a day.
        user_daily_tokens: Option<u64> = None, example "1000000";
        /// Tokens each user may use in a month.
        user_monthly_tokens: Option<u64> = None, example "10000000";
        /// Dollars that may be spent with each API key in a day.
        key_daily_usd: Option<f64> = None, example "5.0";
        /// Dollars that may be spent with each API key in a month.
        key_monthly_usd: Option<f64> = None, example "50.0";
        /// Tokens that may be used with each API key in a day.
        key_daily_tokens: Option<u64> = None, example "1000000";
        /// Tokens that may be used with each API key in a month.
        key_monthly_tokens: Option<u64> = None, example "10000000";
        /// Dollars that may be spent in each session in a day.
        session_daily_usd: Option<f64> = None, example "1.0";
        /// Dollars that may be spent in each session in a month.
        session_monthly_usd: Option<f64> = None, example "10.0";
        /// Tokens that may be used in each session in a day.
        session_daily_tokens: Option<u64> = None, example "200000";
        /// Tokens that may be used in each session in a month.
        session_monthly_tokens: Option<u64> = None, example "2000000";
        /// The share of a budget in percent at which is warned.
        warn_at_percent: u32 = 80;
        /// Most tokens of an answer where a budget applies and neither the request nor `agent.max_tokens` says how many
        /// it may have. Where less is left of a budget, answers are cut shorter still.
        max_output_tokens: u32 = 4096;
    }
}

impl BudgetsSettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let dollars = [
            ("user_daily_usd", self.user_daily_usd),
            ("user_monthly_usd", self.user_monthly_usd),
            ("key_daily_usd", self.key_daily_usd),
            ("key_monthly_usd", self.key_monthly_usd),
            ("session_daily_usd", self.session_daily_usd),
            ("session_monthly_usd", self.session_monthly_usd),
        ];
        for (name, most) in dollars {
            if let Some(most) = most {
                check_range(&format!("budgets.{name}"), most, 0.0..=MAX_USD, " dollars")?;
            }
        }
        let tokens = [
            ("user_daily_tokens", self.user_daily_tokens),
            ("user_monthly_tokens", self.user_monthly_tokens),
            ("key_daily_tokens", self.key_daily_tokens),
            ("key_monthly_tokens", self.key_monthly_tokens),
            ("session_daily_tokens", self.session_daily_tokens),
            ("session_monthly_tokens", self.session_monthly_tokens),
        ];
        for (name, most) in tokens {
            if let Some(most) = most {
                check_range(&format!("budgets.{name}"), most, 0..=MAX_TOKENS, " tokens")?;
            }
        }
        check_range("budgets.warn_at_percent", self.warn_at_percent, 1..=100, "")?;
        check_range(
            "budgets.max_output_tokens",
            self.max_output_tokens,
            1..=10_000_000,
            "",
        )
    }
}
