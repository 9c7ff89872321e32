//! `[prices]`: what models cost.

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

/// Dearest price, in dollars per million tokens.
const MAX_PRICE: f64 = 1_000_000.0;

section! {
    /// What models cost, for the usage ledger and for budgets in dollars. A model without a price costs nothing, and is
    /// not asked where a budget in dollars applies; the built-in assistant is free unless it has a price.
    pub struct PricesSettings {
        /// Names this state of the table; stored with every call, so that it can be told later which prices it had.
        version: String = "1".to_owned();
        /// The prices.
        models: Vec<PriceSettings> = Vec::new();
    }
}

section! {
    /// The price of a model, in US dollars per million tokens.
    pub struct PriceSettings {
        /// The model as `NAME/MODEL`, `NAME/*` for all models of a provider that have no price of their own, or `*` for
        /// all other models.
        model: String = String::new() => required, example "\"openai/gpt-4o\"";
        /// Tokens read.
        input: f64 = 0.0 => required, example "2.5";
        /// Tokens written.
        output: f64 = 0.0 => required, example "10.0";
        /// Tokens read that the provider had cached. Not set: as much as other tokens read.
        cached_input: Option<f64> = None, example "1.25";
    }
}

impl PricesSettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range("prices.version", self.version.len(), 1..=64, " characters")?;
        check_range("prices.models", self.models.len(), 0..=10_000, " prices")?;
        for (index, price) in self.models.iter().enumerate() {
            let key = format!("prices.models[{index}]");
            price.validate(&key)?;
            let earlier = self.models.iter().take(index);
            if earlier.into_iter().any(|other| other.model == price.model) {
                let problem = format!("`{}` has a price already", price.model);
                return Err(SettingsError::invalid(format!("{key}.model"), problem));
            }
        }
        Ok(())
    }
}

impl PriceSettings {
    fn validate(&self, key: &str) -> Result<(), SettingsError> {
        let named = self.model.split_once('/');
        let is_name =
            named.is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
        if self.model != "*" && !is_name {
            let problem = "expected `NAME/MODEL`, `NAME/*` or `*`";
            return Err(SettingsError::invalid(format!("{key}.model"), problem));
        }
        let prices = [
            ("input", Some(self.input)),
            ("cached_input", self.cached_input),
            ("output", Some(self.output)),
        ];
        for (name, price) in prices {
            if let Some(price) = price {
                check_range(&format!("{key}.{name}"), price, 0.0..=MAX_PRICE, " dollars")?;
            }
        }
        Ok(())
    }
}
