//! Asks exactly the model a caller names, without a session: the conversation and the tools are the caller's own, and no
//! other model is asked instead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use majordomo_domain::{ModelRef, Scope, Usage};
use thiserror::Error;
use tokio::time::Instant;

use super::error::ModelsError;
use super::metrics::InferenceMetrics;
use super::registry::ModelRegistry;
use crate::caller::{Caller, ScopeDenied};
use crate::error::{ErrorKind, ServiceError};
use crate::ports::{ModelDelta, ModelError, ModelRequest, ModelStream, RelayBody, RelayResponse};

/// How asking a named model fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompletionError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// There is no such model, or it does not answer.
    #[error(transparent)]
    Models(#[from] ModelsError),
}

impl From<ModelError> for CompletionError {
    fn from(error: ModelError) -> Self {
        Self::Models(error.into())
    }
}

impl ServiceError for CompletionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            // The model is the object that is asked for here, not a field of another.
            Self::Models(ModelsError::UnknownModel(_)) => ErrorKind::NotFound,
            Self::Models(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Models(error) => error.code(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Models(error) => error.public_message(),
        }
    }
}

/// A model that was named, and how it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedModel {
    /// Where it is.
    pub model: ModelRef,
    /// Whether its provider takes the caller's request as it is: [`CompletionService::relay`]; else
    /// [`CompletionService::ask`].
    pub relays: bool,
}

/// Asks models for callers who bring the whole conversation.
pub struct CompletionService {
    models: Arc<ModelRegistry>,
    metrics: Arc<InferenceMetrics>,
}

impl CompletionService {
    /// A service over the configured models.
    pub fn new(models: Arc<ModelRegistry>, metrics: Arc<InferenceMetrics>) -> Self {
        Self { models, metrics }
    }

    /// Finds the model a caller names, as [`ModelRegistry::resolve`] does. Needs no waiting.
    pub fn find(&self, caller: &Caller, name: &str) -> Result<NamedModel, CompletionError> {
        caller.require(Scope::Chat)?;
        let model = self.models.resolve(Some(name))?;
        let provider = self.models.provider(&model.provider);
        let relays = provider.is_some_and(|provider| provider.model.relay().is_some());
        Ok(NamedModel { model, relays })
    }

    /// Passes a chat-completions request on, byte for byte. `body` must name the model as its provider does; `stream`
    /// says whether it asks for a stream. Dropping the answer cancels the upstream request. Tokens are not counted: the
    /// answer is not read.
    pub async fn relay(
        &self,
        caller: &Caller,
        model: &ModelRef,
        body: bytes::Bytes,
        stream: bool,
    ) -> Result<RelayResponse, CompletionError> {
        caller.require(Scope::Chat)?;
        let provider = self.models.provider(&model.provider);
        let relay = provider
            .and_then(|provider| provider.model.relay())
            .ok_or_else(|| ModelsError::UnknownModel(model.to_string()))?;
        let call = self.begin(model);
        match relay.relay(body, stream).await {
            Err(error) => {
                call.end(Err(&error));
                Err(error.into())
            }
            Ok(RelayResponse {
                content_type,
                body: RelayBody::Stream(pieces),
            }) => Ok(RelayResponse {
                content_type,
                body: RelayBody::Stream(Recorded::new(pieces, call, |_, _| false).boxed()),
            }),
            Ok(whole) => {
                call.end(Ok(()));
                Ok(whole)
            }
        }
    }

    /// Asks a model and waits for the first piece of its answer, so that a refusal is an error and not a broken stream.
    /// Dropping the answer cancels the upstream request.
    pub async fn ask(
        &self,
        caller: &Caller,
        model: &ModelRef,
        request: ModelRequest,
    ) -> Result<ModelStream, CompletionError> {
        caller.require(Scope::Chat)?;
        let call = self.begin(model);
        match self.models.begin(model, request).await {
            Ok(deltas) => Ok(Recorded::new(deltas, call, note_delta).boxed()),
            Err(error) => {
                call.end(Err(&error));
                Err(error.into())
            }
        }
    }

    fn begin(&self, model: &ModelRef) -> Call {
        Call {
            models: Arc::clone(&self.models),
            metrics: Arc::clone(&self.metrics),
            model: model.clone(),
            begun: Instant::now(),
            usage: Usage::default(),
        }
    }
}

/// Notes what an answer cost; `true` once it is whole.
fn note_delta(delta: &ModelDelta, usage: &mut Usage) -> bool {
    if let ModelDelta::Usage(latest) = delta {
        *usage = *latest;
    }
    matches!(delta, ModelDelta::Finish(_))
}

/// A call under way. One that its caller gives up is not counted: it says nothing about the model.
struct Call {
    models: Arc<ModelRegistry>,
    metrics: Arc<InferenceMetrics>,
    model: ModelRef,
    begun: Instant,
    usage: Usage,
}

impl Call {
    fn end(self, result: Result<(), &ModelError>) {
        self.metrics
            .record(result.is_ok(), self.usage, self.begun.elapsed());
        self.models.note(&self.model, result);
    }
}

/// An answer that notes how its call ended.
struct Recorded<T> {
    pieces: BoxStream<'static, Result<T, ModelError>>,
    call: Option<Call>,
    observe: fn(&T, &mut Usage) -> bool,
}

impl<T> Recorded<T> {
    fn new(
        pieces: BoxStream<'static, Result<T, ModelError>>,
        call: Call,
        observe: fn(&T, &mut Usage) -> bool,
    ) -> Self {
        Self {
            pieces,
            call: Some(call),
            observe,
        }
    }

    fn end(&mut self, result: Result<(), &ModelError>) {
        if let Some(call) = self.call.take() {
            call.end(result);
        }
    }
}

impl<T> Stream for Recorded<T> {
    type Item = Result<T, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let item = std::task::ready!(this.pieces.poll_next_unpin(context));
        match &item {
            Some(Ok(piece)) => {
                let whole = this
                    .call
                    .as_mut()
                    .is_some_and(|call| (this.observe)(piece, &mut call.usage));
                if whole {
                    this.end(Ok(()));
                }
            }
            Some(Err(error)) => this.end(Err(error)),
            None => this.end(Ok(())),
        }
        Poll::Ready(item)
    }
}
