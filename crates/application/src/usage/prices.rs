//! What a token of each model costs.

use std::collections::HashMap;

use majordomo_domain::{MicroUsd, ModelRef, Usage};

/// Dollars per million tokens are kept as whole numbers of 10^-12 dollars per token.
const PER_MICRO: u128 = 1_000_000;

/// What a model costs. Made of dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    input: u64,
    cached_input: u64,
    output: u64,
}

impl Price {
    /// A price in dollars per million tokens; cached input costs as much as other input where nothing is said.
    pub fn per_million(input: f64, cached_input: Option<f64>, output: f64) -> Self {
        Self {
            input: stored(input),
            cached_input: stored(cached_input.unwrap_or(input)),
            output: stored(output),
        }
    }

    fn cost(self, usage: Usage) -> MicroUsd {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input),
            (usage.output_tokens, self.output),
        ];
        let sum: u128 = parts
            .into_iter()
            .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
            .sum();
        MicroUsd(u64::try_from(sum.div_ceil(PER_MICRO)).unwrap_or(u64::MAX))
    }
}

/// Negative prices and those that are no number cost nothing; settings refuse them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and prices are far below its end"
)]
fn stored(usd_per_million: f64) -> u64 {
    (usd_per_million * 1_000_000.0).round() as u64
}

/// The prices of all models, in one version. A model without a price costs nothing; budgets in money refuse it.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    version: String,
    /// By `provider/model`.
    models: HashMap<ModelRef, Price>,
    /// By provider, for models without a price of their own.
    providers: HashMap<String, Price>,
    /// For all others.
    others: Option<Price>,
}

impl PriceTable {
    /// Prices by `provider/model`, by `provider/*` for all other models of a provider, or by `*` for all others. The
    /// last of several for one name holds. Other names without a slash are left out; settings refuse them.
    pub fn new(
        version: impl Into<String>,
        prices: impl IntoIterator<Item = (String, Price)>,
    ) -> Self {
        let mut table = Self {
            version: version.into(),
            ..Self::default()
        };
        for (name, price) in prices {
            if name == "*" {
                table.others = Some(price);
                continue;
            }
            match ModelRef::parse(&name) {
                Some(model) if model.model == "*" => {
                    table.providers.insert(model.provider, price);
                }
                Some(model) => {
                    table.models.insert(model, price);
                }
                None => {}
            }
        }
        table
    }

    /// What `usage` of `model` costs, rounded up, and the version of this table; nothing and no version for a model
    /// without a price.
    pub fn cost(&self, model: &ModelRef, usage: Usage) -> (MicroUsd, Option<&str>) {
        self.price(model).map_or((MicroUsd(0), None), |price| {
            (price.cost(usage), Some(&self.version))
        })
    }

    /// Whether the model has a price, be it nothing.
    pub fn has(&self, model: &ModelRef) -> bool {
        self.price(model).is_some()
    }

    fn price(&self, model: &ModelRef) -> Option<Price> {
        let own = self.models.get(model);
        let price = own.or_else(|| self.providers.get(&model.provider));
        price.copied().or(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input_tokens: u64, cached_input_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
        }
    }

    #[test]
    fn cached_tokens_have_their_own_price_and_fractions_are_rounded_up() {
        let prices = [
            (
                "openai/gpt".to_owned(),
                Price::per_million(2.5, Some(1.25), 10.0),
            ),
            ("openai/*".to_owned(), Price::per_million(0.075, None, 0.3)),
        ];
        let table = PriceTable::new("2026-11", prices);
        let gpt = ModelRef::new("openai", "gpt");
        // 600 x 2.5 + 400 x 1.25 + 100 x 10
        let cost = table.cost(&gpt, usage(1000, 400, 100));
        assert_eq!(cost, (MicroUsd(3000), Some("2026-11")));
        let other = ModelRef::new("openai", "mini");
        assert_eq!(table.cost(&other, usage(1, 0, 0)).0, MicroUsd(1));
        assert_eq!(table.cost(&other, usage(1000, 1000, 10)).0, MicroUsd(78));
        let free = ModelRef::new("ollama", "llama");
        assert_eq!(table.cost(&free, usage(1000, 0, 1000)), (MicroUsd(0), None));
    }

    #[test]
    fn a_price_may_be_for_all_others() {
        let prices = [
            ("builtin/*".to_owned(), Price::default()),
            ("*".to_owned(), Price::per_million(1.0, None, 1.0)),
        ];
        let table = PriceTable::new("1", prices);
        let cost = |provider: &str| table.cost(&ModelRef::new(provider, "m"), usage(3, 0, 0));
        assert_eq!(cost("builtin"), (MicroUsd(0), Some("1")));
        assert_eq!(cost("else"), (MicroUsd(3), Some("1")));
        assert!(table.has(&ModelRef::new("x", "y")));
        assert!(!PriceTable::default().has(&ModelRef::new("x", "y")));
    }

    #[test]
    fn absurd_counts_saturate() {
        let table = PriceTable::new(
            "1",
            [("a/b".to_owned(), Price::per_million(1e9, None, 1e9))],
        );
        let model = ModelRef::new("a", "b");
        let cost = table.cost(&model, usage(u64::MAX, u64::MAX, u64::MAX)).0;
        assert_eq!(cost, MicroUsd(u64::MAX));
    }
}
