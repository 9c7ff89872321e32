//! What a run's events look like in the stream.

use majordomo_application::ServiceError as _;
use majordomo_domain::{MemoryId, Outcome, Run, RunEvent, RunEventKind};
use majordomo_presentation_http::sse::Frame;
use schemars::JsonSchema;
use serde::Serialize;

use super::dto::{Tokens, failure_of, model_of};
use crate::error::code_of_kind;

/// What an event of the stream holds.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum StreamPayload<'a> {
    /// `recalled`: the prompt quotes memories. Before the answer; left out where there are none.
    Recalled {
        /// Their ids.
        memories: Vec<&'a str>,
    },
    /// `message`: a piece of the answer.
    Message {
        /// The piece.
        delta: &'a str,
    },
    /// `done`: the answer is whole. The last event.
    Done {
        /// What it took.
        tokens: Tokens,
        /// The conversation it belongs to.
        conversation_id: &'a str,
        /// The stored answer's id.
        id: &'a str,
        /// The model that wrote it.
        model: &'a str,
    },
    /// `error`: the answer broke off. The last event.
    Error {
        /// A stable name: `SERVICE_UNAVAILABLE`.
        code: &'static str,
        /// What went wrong, in words.
        message: String,
        /// Names the failed run, the same in every replay.
        request_id: &'a str,
    },
}

/// The frame of an event: the same whenever the event is shown.
pub(crate) fn render(run: &Run, event: &RunEvent) -> Option<Frame> {
    match &event.kind {
        RunEventKind::Text(delta) => {
            Some(Frame::json(&StreamPayload::Message { delta }).event("message"))
        }
        RunEventKind::Finished(outcome) => Some(last(run, outcome)),
        RunEventKind::Recalled(memories) => {
            let memories = memories.iter().map(MemoryId::as_str).collect();
            Some(Frame::json(&StreamPayload::Recalled { memories }).event("recalled"))
        }
        RunEventKind::Started
        | RunEventKind::Hop(_)
        | RunEventKind::Reasoning(_)
        | RunEventKind::ToolCalled(_)
        | RunEventKind::ToolReturned(_) => None,
    }
}

fn last(run: &Run, outcome: &Outcome) -> Frame {
    if let Some(error) = failure_of(outcome) {
        let payload = StreamPayload::Error {
            code: code_of_kind(&error.kind()),
            message: error.public_message(),
            request_id: run.id.as_str(),
        };
        return Frame::json(&payload).event("error");
    }
    let payload = StreamPayload::Done {
        tokens: outcome.usage.into(),
        conversation_id: run.session.as_str(),
        id: outcome
            .message
            .as_ref()
            .map_or(run.id.as_str(), |message| message.as_str()),
        model: model_of(outcome),
    };
    Frame::json(&payload).event("done")
}
