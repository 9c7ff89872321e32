//! The models that providers told us they have.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::ports::ModelInfo;

/// What each provider listed when it was last asked.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<String, Vec<String>>>);

impl Lists {
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn remember(&self, provider: &str, models: &[ModelInfo]) {
        let names = models.iter().map(|info| info.id.clone()).collect();
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.insert(provider.to_owned(), names);
    }

    /// Whether the provider is known not to have this model, in any of its variants: `llama3:8b` is one of `llama3`.
    pub(super) fn lack(&self, provider: &str, model: &str) -> bool {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(provider).is_some_and(|names| {
            !names.is_empty() && names.iter().all(|name| family(name) != family(model))
        })
    }
}

/// A model's name without what says which variant of it is meant.
fn family(model: &str) -> &str {
    model.split_once(':').map_or(model, |(family, _)| family)
}
