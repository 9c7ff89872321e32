//! What a turn has brought about so far.

use std::collections::HashSet;

use majordomo_domain::{MemoryId, ModelRef, Timestamp, ToolOutput, Usage};

use crate::models::estimate_tokens_of_length;
use crate::ports::EndedCall;
use crate::tools::ToolRegistry;
use crate::usage::{Ending, ModelCall};

/// What has been said so far in a turn.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) model: Option<ModelRef>,
    pub(super) usage: Usage,
    /// Bytes the model has written, whatever they were.
    pub(super) written: usize,
    /// Names of the tool calls so far.
    pub(super) call_ids: HashSet<String>,
    /// The model call under way.
    pub(super) open: Option<OpenCall>,
    /// Those that have ended and are not stored yet.
    pub(super) calls: Vec<EndedCall>,
    /// The memories that the prompt quotes.
    pub(super) recalled: Vec<MemoryId>,
    /// What tools told of earlier, an entry for each line.
    pub(super) told: Vec<String>,
}

/// A model call under way, and what the draft held before it.
pub(super) struct OpenCall {
    pub(super) call: ModelCall,
    pub(super) usage: Usage,
    pub(super) written: usize,
}

impl Draft {
    /// Notes which of these outputs of tools repeat what was said or remembered before.
    pub(super) fn note_told(&mut self, tools: &ToolRegistry, outputs: &[ToolOutput]) {
        for output in outputs.iter().filter(|output| !output.is_error) {
            let tool = tools.find(&output.name);
            if tool.is_some_and(|tool| tool.is_recollection()) {
                self.told.extend(output.content.lines().map(str::to_owned));
            }
        }
    }

    /// Ends the call under way, where there is one. Where its provider told no tokens, the ledger's estimate counts.
    pub(super) fn close(&mut self, ending: Ending, at: Timestamp) {
        let Some(open) = self.open.take() else {
            return;
        };
        let told = self.usage.minus(open.usage);
        let written = estimate_tokens_of_length(self.written - open.written);
        let ended = open.call.end(ending, told, written, at);
        if let Some(ended) = &ended {
            self.usage = open.usage.plus(ended.record.usage);
        }
        self.calls.extend(ended);
    }
}
