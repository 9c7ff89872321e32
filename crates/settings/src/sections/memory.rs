//! `[memory]`: what is remembered, and how it is found again.

use std::path::Path;

use super::models::{ModelsSettings, ProviderKind};
use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

/// What stands before the directory of a model that this process runs itself.
const LOCAL: &str = "local:";

section! {
    /// What is remembered, and how it is found again.
    pub struct MemorySettings {
        /// The embedding model by which memories of like meaning are found: `NAME/MODEL`, the name of a provider and its
        /// name of the model, or `local:DIRECTORY`, a sentence-transformer on this machine, for servers built with the
        /// feature `local-embeddings`. What is remembered is sent to it. Not set: memories are found by their words.
        embedder: Option<String> = None, example "\"local:/srv/models/all-MiniLM-L6-v2\"";
        /// Numbers in a vector, for models of providers that can be asked for fewer. Not set: the model's own.
        embedder_dimensions: Option<u32> = None, example "512";
        /// Most texts in one request to the embedding model; providers may allow fewer.
        embedder_batch: usize = 64;
        /// Seconds to wait for the answer to one request to the embedding model.
        embedder_timeout_secs: u64 = 30;
        /// Megabytes of vectors of one user that the server holds in memory; 0 for none. PostgreSQL with pgvector compares the
        /// vectors of users who have more. With any other database what is beyond is found by its words.
        vector_memory_mb: usize = 1_300;
        /// Whether memories that answer a message enter the prompt of its turn. Tools find them all the same.
        recall: bool = true;
        /// Most tokens of a prompt that they may take; never more than a sixteenth of it.
        recall_tokens: u64 = 1_000;
        /// Most memories of one user; more are refused.
        max_per_user: u64 = 2_000_000;
        /// Whether a model reads every answered message in the background and stores what it tells of the user. It costs
        /// the user one more model call for each message.
        extract_facts: bool = false;
        /// The model that does so, as `models.default`. Not set: the default model.
        extraction_model: Option<String> = None, example "\"openai/gpt-5-mini\"";
    }
}

/// Where the embedding model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedderChoice<'a> {
    /// At a provider.
    Provider {
        /// The provider's name.
        provider: &'a str,
        /// The provider's name of the model.
        model: &'a str,
    },
    /// In a directory of this machine.
    Local(&'a Path),
}

impl MemorySettings {
    /// The model that extracts facts, where one does: `default` unless another one is named.
    pub fn extracts_with<'a>(&'a self, default: &'a str) -> Option<&'a str> {
        let model = self.extraction_model.as_deref().unwrap_or(default);
        self.extract_facts.then_some(model)
    }

    /// Where the embedding model is, where one is configured. The settings must be valid.
    pub fn embedder_choice(&self) -> Option<EmbedderChoice<'_>> {
        let embedder = self.embedder.as_deref()?;
        if let Some(directory) = embedder.strip_prefix(LOCAL) {
            return Some(EmbedderChoice::Local(Path::new(directory)));
        }
        let (provider, model) = embedder.split_once('/')?;
        Some(EmbedderChoice::Provider { provider, model })
    }

    /// Checks what the types cannot.
    pub(crate) fn validate(&self, models: &ModelsSettings) -> Result<(), SettingsError> {
        if let Some(embedder) = &self.embedder {
            check_embedder(embedder, models)?;
        }
        if let Some(dimensions) = self.embedder_dimensions {
            let key = "memory.embedder_dimensions";
            check_range(key, dimensions, 1..=65_536, "")?;
            if matches!(self.embedder_choice(), Some(EmbedderChoice::Local(_))) {
                let problem = "the vectors of a local model have the length that they have";
                return Err(SettingsError::invalid(key, problem));
            }
        }
        check_range(
            "memory.recall_tokens",
            self.recall_tokens,
            16..=1_000_000,
            "",
        )?;
        check_range("memory.max_per_user", self.max_per_user, 1..=2_000_000, "")?;
        check_range(
            "memory.vector_memory_mb",
            self.vector_memory_mb,
            0..=1_000_000,
            "",
        )?;
        check_range("memory.embedder_batch", self.embedder_batch, 1..=2048, "")?;
        check_range(
            "memory.embedder_timeout_secs",
            self.embedder_timeout_secs,
            1..=3600,
            "",
        )
    }
}

/// Refuses what is neither a model of a provider that can embed nor a directory.
fn check_embedder(embedder: &str, models: &ModelsSettings) -> Result<(), SettingsError> {
    let wrong = |problem: String| Err(SettingsError::invalid("memory.embedder", problem));
    if let Some(directory) = embedder.strip_prefix(LOCAL) {
        return if directory.trim().is_empty() {
            wrong("expected a directory after `local:`".to_owned())
        } else {
            Ok(())
        };
    }
    let Some((name, model)) = embedder.split_once('/') else {
        return wrong("expected `NAME/MODEL` or `local:DIRECTORY`".to_owned());
    };
    if name.is_empty() || model.trim().is_empty() {
        return wrong("expected `NAME/MODEL` or `local:DIRECTORY`".to_owned());
    }
    let Some(provider) = models.providers.iter().find(|known| known.name == name) else {
        return wrong(format!("no provider is called `{name}`"));
    };
    if provider.kind == ProviderKind::Anthropic {
        return wrong(format!("the provider `{name}` has no embedding models"));
    }
    Ok(())
}
