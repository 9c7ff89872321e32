//! One answer of a model within a turn, read as it comes.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use majordomo_domain::{RunEventKind, ToolCall};

use super::draft::Draft;
use super::end::End;
use super::request::without_nul;
use crate::ports::{FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelStream};
use crate::runs::JournalWriter;

/// Most that a model may write in a turn, in bytes over all steps, reasoning and tool calls included: one that never
/// stops must not fill the memory.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Tool calls of one step at most.
const MAX_CALLS: usize = 64;
/// One answer of a model.
#[derive(Default)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
}

/// Reads one model answer to its end; `broke` is told when the model fails meanwhile. While a piece of the journal is being
/// written the next deltas are read already.
pub(super) async fn read_step(
    mut stream: ModelStream,
    writer: &mut JournalWriter,
    draft: &mut Draft,
    broke: impl Fn(&ModelError),
) -> Result<(Step, FinishReason), End> {
    let mut step = Step::default();
    let before = draft.usage;
    loop {
        let delta = tokio::select! {
            biased;
            delta = stream.next(), if !writer.is_full() => delta,
            written = writer.progress(), if !writer.is_idle() => { written?; continue; }
        };
        let broke_off =
            || ModelError::new(ModelErrorKind::Malformed, "The model's answer broke off");
        match delta
            .unwrap_or_else(|| Err(broke_off()))
            .inspect_err(&broke)?
        {
            ModelDelta::Text(text) => {
                let text = without_nul(text);
                draft.written += text.len();
                if step.text.is_empty() && !draft.text.is_empty() {
                    push_text(writer, draft, "\n\n".to_owned());
                }
                step.text.push_str(&text);
                push_text(writer, draft, text);
            }
            ModelDelta::Reasoning(text) => {
                draft.written += text.len();
                writer.push(RunEventKind::Reasoning(text));
            }
            ModelDelta::ToolCallStarted { id, name, .. } => {
                if step.calls.len() == MAX_CALLS {
                    return Err(End::failed(
                        "malformed",
                        "The model asked for too many tools at once",
                    ));
                }
                draft.written += id.len() + name.len();
                step.calls.push(ToolCall {
                    id,
                    name,
                    arguments: String::new(),
                });
            }
            ModelDelta::ToolCallArguments { index, fragment } => {
                if let Some(call) = step.calls.get_mut(index) {
                    draft.written += fragment.len();
                    call.arguments.push_str(&fragment);
                }
            }
            ModelDelta::Usage(usage) => draft.usage = before.plus(usage),
            ModelDelta::Finish(reason) => {
                make_ids_unique(&mut step.calls, &mut draft.call_ids);
                return Ok((step, reason));
            }
        }
        if draft.written > MAX_ANSWER {
            return Ok((Step::default(), FinishReason::Length));
        }
    }
}

/// Adds to the answer.
pub(super) fn push_text(writer: &mut JournalWriter, draft: &mut Draft, text: String) {
    draft.text.push_str(&text);
    writer.push(RunEventKind::Text(text));
}

/// Some providers number the calls of every answer anew, or name none: within a run names must differ.
fn make_ids_unique(calls: &mut [ToolCall], taken: &mut HashSet<String>) {
    for call in calls {
        let mut number = taken.len();
        while call.id.is_empty() || taken.contains(&call.id) {
            call.id = format!("call_{number}");
            number += 1;
        }
        taken.insert(call.id.clone());
    }
}
