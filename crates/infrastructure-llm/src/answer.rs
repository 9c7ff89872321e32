//! From bytes to deltas: what is common to the answers of all protocols.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;
use majordomo_application::ports::{FinishReason, ModelDelta, ModelError, ModelStream};
use majordomo_domain::Usage;
use uuid::Uuid;

use crate::failure::Failures;
use crate::framing::{FrameTooLong, Framing};
use crate::http::GuardedBody;

/// Most tool calls in one answer.
const MAX_TOOL_CALLS: usize = 128;

/// Reads the frames of one answer.
pub(crate) trait AnswerDecoder: Send {
    /// Takes the next frame. Not called again once the answer is complete.
    fn frame(&mut self, frame: &[u8], deltas: &mut Deltas) -> Result<(), ModelError>;
    /// The bytes have ended: completes the deltas, or says that the answer broke off.
    fn end(&mut self, deltas: &mut Deltas) -> Result<(), ModelError>;
}

/// The deltas that are ready, in order.
#[derive(Default)]
pub(crate) struct Deltas {
    ready: VecDeque<ModelDelta>,
    tool_calls: usize,
    usage: Option<Usage>,
    finished: bool,
}

impl Deltas {
    pub(crate) fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(ModelDelta::Text(text));
        }
    }

    pub(crate) fn reasoning(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(ModelDelta::Reasoning(text));
        }
    }

    /// Begins the next tool call and returns its index. Makes up an id where the provider gives none.
    pub(crate) fn tool_call(
        &mut self,
        id: Option<String>,
        name: String,
        failures: &Failures,
    ) -> Result<usize, ModelError> {
        if name.is_empty() {
            return Err(failures.malformed("a tool call has no name"));
        }
        if self.tool_calls == MAX_TOOL_CALLS {
            return Err(failures.malformed("the answer calls too many tools"));
        }
        let index = self.tool_calls;
        self.tool_calls += 1;
        let id = id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| format!("call_{}", Uuid::new_v4().simple()));
        self.ready
            .push_back(ModelDelta::ToolCallStarted { index, id, name });
        Ok(index)
    }

    pub(crate) fn arguments(&mut self, index: usize, fragment: String) {
        if !fragment.is_empty() {
            self.ready
                .push_back(ModelDelta::ToolCallArguments { index, fragment });
        }
    }

    /// Notes the tokens used so far; says so only when they changed.
    pub(crate) fn usage(&mut self, usage: Usage) {
        if self.usage != Some(usage) {
            self.usage = Some(usage);
            self.ready.push_back(ModelDelta::Usage(usage));
        }
    }

    /// Ends the answer. A provider that stops after tool calls wants them answered, whatever it calls that.
    pub(crate) fn finish(&mut self, reason: FinishReason) {
        let reason = match reason {
            FinishReason::Stop if self.tool_calls > 0 => FinishReason::ToolCalls,
            other => other,
        };
        self.finished = true;
        self.ready.push_back(ModelDelta::Finish(reason));
    }
}

/// Reads one streamed answer of a provider from its raw bytes, in whatever pieces they come.
pub struct AnswerParser {
    framing: Framing,
    decoder: Box<dyn AnswerDecoder>,
    deltas: Deltas,
    failures: Failures,
}

impl AnswerParser {
    pub(crate) fn new(
        framing: Framing,
        decoder: impl AnswerDecoder + 'static,
        failures: Failures,
    ) -> Self {
        Self {
            framing,
            decoder: Box::new(decoder),
            deltas: Deltas::default(),
            failures,
        }
    }

    /// Takes the next bytes. Deltas that were complete before an error are still there to be taken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let Self {
            framing,
            decoder,
            deltas,
            ..
        } = self;
        framing
            .push(bytes, |frame| feed(&mut **decoder, frame, deltas))
            .map_err(|error| error.into_model_error(&self.failures))
    }

    /// The bytes have ended. Fails when the answer is not whole.
    pub fn finish(&mut self) -> Result<(), ModelError> {
        let Self {
            framing,
            decoder,
            deltas,
            ..
        } = self;
        framing
            .finish(|frame| feed(&mut **decoder, frame, deltas))
            .map_err(|error| error.into_model_error(&self.failures))?;
        if deltas.finished {
            return Ok(());
        }
        decoder.end(deltas)
    }

    /// The next delta that is ready.
    pub fn next_delta(&mut self) -> Option<ModelDelta> {
        self.deltas.ready.pop_front()
    }

    /// Whether the answer is whole; the remaining bytes do not matter.
    pub const fn is_complete(&self) -> bool {
        self.deltas.finished
    }
}

fn feed(
    decoder: &mut dyn AnswerDecoder,
    frame: &[u8],
    deltas: &mut Deltas,
) -> Result<(), FrameError> {
    if deltas.finished {
        return Ok(());
    }
    decoder.frame(frame, deltas).map_err(FrameError::Decoder)
}

enum FrameError {
    TooLong,
    Decoder(ModelError),
}

impl From<FrameTooLong> for FrameError {
    fn from(FrameTooLong: FrameTooLong) -> Self {
        Self::TooLong
    }
}

impl FrameError {
    fn into_model_error(self, failures: &Failures) -> ModelError {
        match self {
            Self::TooLong => failures.malformed("a part of the answer is too long"),
            Self::Decoder(error) => error,
        }
    }
}

/// A body read through a parser.
struct AnswerStream {
    body: Option<GuardedBody>,
    parser: AnswerParser,
    failed: Option<ModelError>,
}

/// The deltas of the answer in `body`.
pub(crate) fn answer_stream(body: GuardedBody, parser: AnswerParser) -> ModelStream {
    Box::pin(AnswerStream {
        body: Some(body),
        parser,
        failed: None,
    })
}

impl Stream for AnswerStream {
    type Item = Result<ModelDelta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(delta) = this.parser.next_delta() {
                return Poll::Ready(Some(Ok(delta)));
            }
            if let Some(error) = this.failed.take() {
                this.body = None;
                return Poll::Ready(Some(Err(error)));
            }
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            let outcome = match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => this.parser.push(&bytes),
                Some(Err(error)) => Err(error),
                None => {
                    this.body = None;
                    this.parser.finish()
                }
            };
            this.failed = outcome.err();
            if this.parser.is_complete() && this.failed.is_none() {
                // Read to the end where it is there already, so that the connection can be used again.
                if let Some(body) = &mut this.body {
                    let _ = body.poll_next_unpin(cx);
                }
                this.body = None;
            }
        }
    }
}
