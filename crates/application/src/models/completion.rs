//! Asks exactly the model a caller names, without a session: the conversation and the tools are the caller's own, and no
//! other model is asked instead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use majordomo_domain::{ModelRef, Scope};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::closing::until_closing;
use super::error::ModelsError;
use super::registry::ModelRegistry;
use super::tokens::{estimate_prompt_tokens, estimate_tokens_of_length, estimate_tool_tokens};
use super::told::ToldUsage;
use crate::caller::{Caller, ScopeDenied};
use crate::error::{ErrorKind, ServiceError};
use crate::ports::{ModelDelta, ModelError, ModelRequest, ModelStream, RelayBody, RelayResponse};
use crate::usage::{Accounting, BudgetError, Ending, ModelCall, Payer, PlannedCall};

/// How asking a named model fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompletionError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// There is no such model, or it does not answer.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// Some budget does not allow this.
    #[error(transparent)]
    Budget(#[from] BudgetError),
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
            Self::Models(error) if error.is_unknown_model() => ErrorKind::NotFound,
            Self::Models(error) => error.kind(),
            Self::Budget(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Models(error) => error.code(),
            Self::Budget(error) => error.code(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Models(error) => error.public_message(),
            Self::Budget(error) => error.public_message(),
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

/// A chat-completions request to pass on, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub struct PassedRequest {
    /// Its length in bytes.
    pub length: usize,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// The most tokens of an answer, where it says so.
    pub max_tokens: Option<u64>,
    /// How many answers it asks for.
    pub answers: u64,
}

/// What a request that is passed on must say of the length of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The name under which the model wants to be told, where the request names none.
    pub name: &'static str,
    /// The most tokens of an answer.
    pub tokens: u64,
}

/// Asks models for callers who bring the whole conversation.
pub struct CompletionService {
    models: Arc<ModelRegistry>,
    accounting: Accounting,
    closing: CancellationToken,
}

impl CompletionService {
    /// A service over the configured models.
    pub fn new(models: Arc<ModelRegistry>, accounting: impl Into<Accounting>) -> Self {
        Self {
            models,
            accounting: accounting.into(),
            closing: CancellationToken::new(),
        }
    }

    /// Ends all answers that come in pieces, with an error that says why: nobody could go on with them afterwards.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Finds the model a caller names, as [`ModelRegistry::resolve`] does. Needs no waiting.
    pub fn find(&self, caller: &Caller, name: &str) -> Result<NamedModel, CompletionError> {
        caller.require(Scope::Chat)?;
        let model = self.models.resolve_for(caller, Some(name))?;
        let provider = self.models.provider(&model.provider);
        let relays = provider.is_some_and(|provider| provider.model.relay().is_some());
        Ok(NamedModel { model, relays })
    }

    /// Passes a chat-completions request on. `body` makes its body, which must name the model as its provider does and,
    /// where a limit is given, hold every answer to it; else it should be the caller's, byte for byte. Dropping the
    /// answer cancels the upstream request. Tokens are counted as the provider tells them in passing, and estimated where
    /// it does not.
    pub async fn relay(
        &self,
        caller: &Caller,
        model: &ModelRef,
        request: PassedRequest,
        body: impl FnOnce(Option<OutputLimit>) -> bytes::Bytes,
    ) -> Result<RelayResponse, CompletionError> {
        caller.require_change(Scope::Chat)?;
        must_ask(caller, model)?;
        let provider = self.models.provider(&model.provider);
        let relay = provider
            .as_ref()
            .and_then(|provider| provider.model.relay())
            .ok_or_else(|| ModelsError::UnknownModel(model.to_string()))?;
        let prompt = estimate_tokens_of_length(request.length);
        let mut planned = PlannedCall::new(Payer::of(caller), model.clone(), prompt);
        planned.max_output_tokens = request.max_tokens;
        planned.answers = request.answers;
        let mut call = self.begin(planned).await?;
        let limit = call.max_output_tokens();
        let limit = limit.filter(|_| limit != request.max_tokens);
        let body = body(limit.map(|tokens| OutputLimit {
            name: relay.output_limit_name(&model.model),
            tokens,
        }));
        match relay.relay(body, request.stream).await {
            Err(error) => {
                call.end(Err(&error));
                Err(error.into())
            }
            Ok(RelayResponse {
                content_type,
                body: RelayBody::Stream(pieces),
            }) => Ok(RelayResponse {
                content_type,
                body: RelayBody::Stream(
                    Recorded::new(self.closed(pieces), call, note_piece).boxed(),
                ),
            }),
            Ok(RelayResponse {
                content_type,
                body: RelayBody::Whole(whole),
            }) => {
                call.answer.note_bytes(&whole);
                call.end(Ok(()));
                Ok(RelayResponse {
                    content_type,
                    body: RelayBody::Whole(whole),
                })
            }
        }
    }

    /// Asks a model and waits for the first piece of its answer, so that a refusal is an error and not a broken stream.
    /// Dropping the answer cancels the upstream request.
    pub async fn ask(
        &self,
        caller: &Caller,
        model: &ModelRef,
        mut request: ModelRequest,
    ) -> Result<ModelStream, CompletionError> {
        caller.require_change(Scope::Chat)?;
        must_ask(caller, model)?;
        let prompt =
            estimate_prompt_tokens(&request.messages) + estimate_tool_tokens(&request.tools);
        let mut planned = PlannedCall::new(Payer::of(caller), model.clone(), prompt);
        planned.max_output_tokens = request.max_tokens.map(u64::from);
        let call = self.begin(planned).await?;
        let most = call.max_output_tokens();
        request.max_tokens = most.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        match self.models.begin(model, request).await {
            Ok(deltas) => Ok(Recorded::new(self.closed(deltas), call, note_delta).boxed()),
            Err(error) => {
                call.end(Err(&error));
                Err(error.into())
            }
        }
    }

    fn closed<T: Send + 'static>(
        &self,
        pieces: BoxStream<'static, Result<T, ModelError>>,
    ) -> BoxStream<'static, Result<T, ModelError>> {
        until_closing(pieces, self.closing.clone())
    }

    async fn begin(&self, planned: PlannedCall) -> Result<Call, BudgetError> {
        let model = planned.model.clone();
        Ok(Call {
            counted: Some(self.accounting.begin(planned).await?),
            models: Arc::clone(&self.models),
            model,
            answer: ToldUsage::default(),
        })
    }
}

/// Notes what an answer cost; `true` once it is whole.
fn note_delta(delta: &ModelDelta, answer: &mut ToldUsage) -> bool {
    answer.note_delta(delta);
    matches!(delta, ModelDelta::Finish(_))
}

/// Notes what a relayed answer tells in passing; only its end says that it is whole.
fn note_piece(piece: &bytes::Bytes, answer: &mut ToldUsage) -> bool {
    answer.note_piece(piece);
    false
}

/// Fails unless the caller's key may ask the model: one that it may not does not exist for it.
pub(crate) fn must_ask(caller: &Caller, model: &ModelRef) -> Result<(), ModelsError> {
    if caller.may_ask(model) {
        Ok(())
    } else {
        Err(ModelsError::UnknownModel(model.to_string()))
    }
}

/// A call under way. One that its caller gives up is paid for, but says nothing about the model.
struct Call {
    counted: Option<ModelCall>,
    models: Arc<ModelRegistry>,
    model: ModelRef,
    answer: ToldUsage,
}

impl Call {
    fn max_output_tokens(&self) -> Option<u64> {
        self.counted.as_ref()?.max_output_tokens()
    }

    fn end(mut self, result: Result<(), &ModelError>) {
        self.count(if result.is_ok() {
            Ending::Succeeded
        } else {
            Ending::Failed
        });
        self.models.note(&self.model, result);
    }

    fn count(&mut self, ending: Ending) {
        if let Some(counted) = self.counted.take() {
            counted.end_alone(ending, self.answer.told(), self.answer.written());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.count(Ending::GivenUp);
    }
}

/// An answer that notes how its call ended.
struct Recorded<T> {
    pieces: BoxStream<'static, Result<T, ModelError>>,
    call: Option<Call>,
    observe: fn(&T, &mut ToldUsage) -> bool,
}

impl<T> Recorded<T> {
    fn new(
        pieces: BoxStream<'static, Result<T, ModelError>>,
        call: Call,
        observe: fn(&T, &mut ToldUsage) -> bool,
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
                    .is_some_and(|call| (this.observe)(piece, &mut call.answer));
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
