//! The agent's run as chunks. A pure function of the run and its event, so that a replay is the same, byte by byte.

use majordomo_application::chat::ChatError;
use majordomo_domain::{Outcome, Run, RunEvent, RunEventKind, RunStatus};
use majordomo_presentation_http::ApiError;
use majordomo_presentation_http::sse::Frame;

use super::response::{ChunkHead, DONE, Delta, finish_reason};
use crate::error::{failure_json, refine};
use crate::{AGENT, AGENT_PREFIX};

/// The id of the answer that is a run.
pub(super) fn completion_id(run: &str) -> String {
    format!("chatcmpl-{run}")
}

/// The name of the agent, as a request for this model would name it.
pub(super) fn agent_name(model: Option<&str>) -> String {
    model.map_or_else(
        || AGENT.to_owned(),
        |model| format!("{AGENT_PREFIX}{model}"),
    )
}

/// The frames for one event. Only text and reasoning are shown: the agent's tools are its own business.
pub(super) fn render(run: &Run, event: &RunEvent, include_usage: bool) -> Vec<Frame> {
    let id = completion_id(run.id.as_str());
    let model = agent_name(run.options.model.as_deref());
    let head = ChunkHead {
        id: &id,
        created: run.created_at.as_secs(),
        model: &model,
        include_usage,
    };
    let one = |delta| vec![Frame::json(&head.delta(delta, None))];
    match &event.kind {
        RunEventKind::Started => one(Delta::first()),
        RunEventKind::Text(text) => one(Delta::text(text)),
        RunEventKind::Reasoning(text) => one(Delta::reasoning(text)),
        RunEventKind::Hop(_)
        | RunEventKind::Recalled(_)
        | RunEventKind::ToolCalled(_)
        | RunEventKind::ToolReturned(_) => Vec::new(),
        RunEventKind::Finished(outcome) => last_frames(&head, outcome),
    }
}

fn last_frames(head: &ChunkHead<'_>, outcome: &Outcome) -> Vec<Frame> {
    if let Some(failure) = failure(outcome) {
        return vec![Frame::data(failure_json(&failure.into_api_error()))];
    }
    let reason = Some(finish_reason(&outcome.reason));
    let last = Frame::json(&head.delta(Delta::default(), reason));
    let usage = head.usage(outcome.usage).map(|chunk| Frame::json(&chunk));
    let done = Frame::data(DONE);
    [Some(last), usage, Some(done)]
        .into_iter()
        .flatten()
        .collect()
}

/// The frames for a client that has `after` already. All frames of one event bear its number, so a client that has the
/// first frame of the last event may lack the others: it gets them.
pub(super) fn render_after(
    run: &Run,
    event: &RunEvent,
    include_usage: bool,
    after: u64,
) -> Vec<Frame> {
    let mut frames = render(run, event, include_usage);
    if event.seq == after && !frames.is_empty() {
        frames.remove(0);
    }
    frames
}

/// Why a run has no whole answer.
pub(super) struct Failure<'a> {
    outcome: &'a Outcome,
}

/// `None` for an answer that is whole, or that the user cut short.
pub(super) fn failure(outcome: &Outcome) -> Option<Failure<'_>> {
    let whole = matches!(outcome.status, RunStatus::Completed | RunStatus::Stopped);
    (!whole).then_some(Failure { outcome })
}

impl Failure<'_> {
    pub(super) fn into_api_error(self) -> ApiError {
        let message = self.outcome.error.clone();
        refine(ApiError::from(ChatError::TurnFailed {
            reason: self.outcome.reason.clone(),
            message: message.unwrap_or_else(|| "The answer broke off".to_owned()),
        }))
    }
}
