//! Embeds for callers: the model they name, counted and limited like every model call.

use std::sync::Arc;

use bytes::Bytes;
use majordomo_domain::{ModelRef, Scope, Usage};

use super::error::EmbeddingError;
use crate::caller::{Caller, ScopeDenied};
use crate::models::{ModelRegistry, ModelsError, ToldUsage, estimate_tokens, must_ask};
use crate::ports::{Embedder, EmbeddingModel, EmbeddingRole, Embeddings, ModelError};
use crate::usage::{Accounting, Ending, ModelCall, Payer, PlannedCall};

/// The embedder that the server uses itself.
#[derive(Clone)]
pub struct OwnEmbedder {
    /// How callers name it.
    pub model: ModelRef,
    /// The embedder.
    pub embedder: Arc<dyn Embedder>,
}

/// An embedding model that was named, and how it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEmbedder {
    /// Where it is.
    pub model: ModelRef,
    /// Whether its provider takes the caller's request as it is: [`EmbeddingService::relay`]; else
    /// [`EmbeddingService::embed`].
    pub relays: bool,
}

/// Embeds texts for callers.
pub struct EmbeddingService {
    models: Arc<ModelRegistry>,
    own: Option<OwnEmbedder>,
    accounting: Accounting,
}

impl EmbeddingService {
    /// A service over the configured providers, and the server's own embedder where there is one.
    pub fn new(
        models: Arc<ModelRegistry>,
        own: Option<OwnEmbedder>,
        accounting: impl Into<Accounting>,
    ) -> Self {
        Self {
            models,
            own,
            accounting: accounting.into(),
        }
    }

    /// The server's own embedder, for callers who may ask it.
    pub fn offered(&self, caller: &Caller) -> Result<Option<ModelRef>, ScopeDenied> {
        caller.require(Scope::Chat)?;
        let own = self.own.as_ref().map(|own| own.model.clone());
        Ok(own.filter(|model| caller.may_ask(model)))
    }

    /// Finds the embedding model a caller names: the server's own, by `provider/model` or by its bare name; else as
    /// [`ModelRegistry::resolve`] does, if that provider has embedding models. Whether it has this one, it tells when it
    /// is asked. Needs no waiting.
    pub fn find(&self, caller: &Caller, name: &str) -> Result<NamedEmbedder, EmbeddingError> {
        caller.require_change(Scope::Chat)?;
        let name = name.trim();
        let own = self.own.as_ref().map(|own| &own.model);
        let own = own.filter(|model| model.model == name || model.to_string() == name);
        let model = match own {
            Some(model) if caller.may_ask(model) => model.clone(),
            Some(_) => return Err(unknown(name)),
            None => self.models.resolve_for(caller, Some(name))?,
        };
        let provider = self.models.provider(&model.provider);
        let embeddings = provider.as_ref().and_then(|found| found.model.embeddings());
        match embeddings {
            Some(embeddings) => Ok(NamedEmbedder {
                model,
                relays: embeddings.embedding_relay().is_some(),
            }),
            None if own.is_some() => Ok(NamedEmbedder {
                model,
                relays: false,
            }),
            None => Err(unknown(name)),
        }
    }

    /// Passes an embeddings request on, which must name the model as its provider does. `prompt_tokens` estimates its
    /// tokens, for where the provider does not tell them.
    pub async fn relay(
        &self,
        caller: &Caller,
        model: &ModelRef,
        request: Bytes,
        prompt_tokens: u64,
    ) -> Result<Bytes, EmbeddingError> {
        caller.require_change(Scope::Chat)?;
        must_ask(caller, model)?;
        let provider = self.models.provider(&model.provider);
        let relay = provider
            .as_ref()
            .and_then(|provider| provider.model.embeddings())
            .and_then(|embeddings| embeddings.embedding_relay())
            .ok_or_else(|| unknown(&model.to_string()))?;
        let call = self.begin(caller, model, prompt_tokens).await?;
        match relay.relay_embeddings(request).await {
            Ok(answer) => {
                let mut told = ToldUsage::default();
                told.note_bytes(&answer);
                end(call, Ok(()), told.told().input_tokens);
                Ok(answer)
            }
            Err(error) => {
                end(call, Err(&error), 0);
                Err(error.into())
            }
        }
    }

    /// Embeds texts as documents, in as many batches as the model needs. `dimensions`: the numbers wanted in a vector,
    /// where not the model's own.
    pub async fn embed(
        &self,
        caller: &Caller,
        model: &ModelRef,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings, EmbeddingError> {
        caller.require_change(Scope::Chat)?;
        must_ask(caller, model)?;
        let embedder = self
            .embedder(model, dimensions)
            .ok_or_else(|| unknown(&model.to_string()))?;
        let prompt_tokens = texts.iter().map(|text| estimate_tokens(text)).sum();
        let call = self.begin(caller, model, prompt_tokens).await?;
        let mut all = Embeddings::default();
        for batch in texts.chunks(embedder.max_batch().max(1)) {
            match embedder.embed(batch, EmbeddingRole::Document).await {
                Ok(answer) => join(&mut all, answer),
                Err(error) => {
                    end(call, Err(&error), all.input_tokens.unwrap_or_default());
                    return Err(error.into());
                }
            }
        }
        end(call, Ok(()), all.input_tokens.unwrap_or_default());
        let length = all.vectors.first().map_or(0, Vec::len);
        match dimensions {
            Some(wanted) if usize::try_from(wanted) != Ok(length) => {
                Err(EmbeddingError::Dimensions(length))
            }
            _ => Ok(all),
        }
    }

    /// The model's own length of vectors is told by the model: no embedder but the server's own refuses another.
    fn embedder(&self, model: &ModelRef, dimensions: Option<u32>) -> Option<Arc<dyn Embedder>> {
        let provider = self.models.provider(&model.provider);
        let embeddings = provider.as_ref().and_then(|found| found.model.embeddings());
        if let Some(embeddings) = embeddings {
            let mut model = EmbeddingModel::new(&model.model);
            model.dimensions = dimensions;
            return Some(embeddings.embedder(model));
        }
        let own = self.own.as_ref().filter(|own| own.model == *model);
        own.map(|own| own.embedder.clone())
    }

    async fn begin(
        &self,
        caller: &Caller,
        model: &ModelRef,
        prompt_tokens: u64,
    ) -> Result<ModelCall, EmbeddingError> {
        let mut planned = PlannedCall::new(Payer::of(caller), model.clone(), prompt_tokens);
        // Nothing is written.
        planned.max_output_tokens = Some(0);
        Ok(self.accounting.begin(planned).await?)
    }
}

/// Adds what a later batch brought. Tokens are only known where every batch told them.
fn join(all: &mut Embeddings, answer: Embeddings) {
    all.input_tokens = if all.vectors.is_empty() {
        answer.input_tokens
    } else {
        all.input_tokens
            .zip(answer.input_tokens)
            .map(|(earlier, more)| earlier + more)
    };
    all.vectors.extend(answer.vectors);
}

/// Ends a call; with no tokens told they are estimated.
fn end(call: ModelCall, result: Result<(), &ModelError>, input_tokens: u64) {
    let told = Usage {
        input_tokens,
        ..Usage::default()
    };
    let ending = match result {
        Ok(()) => Ending::Succeeded,
        Err(_) => Ending::Failed,
    };
    call.end_alone(ending, told, 0);
}

fn unknown(name: &str) -> EmbeddingError {
    ModelsError::UnknownModel(name.to_owned()).into()
}
