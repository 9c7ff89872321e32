//! What an answer tells of the tokens it cost, read in passing.

use std::collections::VecDeque;

use bytes::Bytes;
use majordomo_domain::Usage;
use memchr::{memchr_iter, memmem};
use serde_json::Value;

use super::tokens::estimate_tokens_of_length;
use crate::ports::ModelDelta;

/// How much of the end of a relayed answer is kept: providers tell of tokens in its last events.
const TAIL: usize = 4 * 1024;
/// What stands before the tokens in OpenAI's answers.
const USAGE: &[u8] = b"\"usage\"";

/// Watches an answer go by.
#[derive(Debug, Default)]
pub(crate) struct ToldUsage {
    told: Usage,
    /// Estimated tokens written so far.
    written: u64,
    /// Bytes of text whose tokens are not in `written` yet.
    text: usize,
    /// The last pieces of a relayed stream; they share the stream's memory.
    tail: VecDeque<Bytes>,
    tail_len: usize,
}

impl ToldUsage {
    pub(super) fn note_delta(&mut self, delta: &ModelDelta) {
        match delta {
            ModelDelta::Usage(latest) => self.told = *latest,
            ModelDelta::Text(text) | ModelDelta::Reasoning(text) => self.text += text.len(),
            ModelDelta::ToolCallStarted { name, .. } => self.text += name.len(),
            ModelDelta::ToolCallArguments { fragment, .. } => self.text += fragment.len(),
            ModelDelta::Finish(_) => {}
        }
    }

    /// Notes a piece of a relayed stream. Each event holds about one token.
    pub(super) fn note_piece(&mut self, piece: &Bytes) {
        let lines = memchr_iter(b'\n', piece).count();
        self.written += u64::try_from(lines / 2).unwrap_or_default();
        self.tail_len += piece.len();
        self.tail.push_back(piece.clone());
        while let Some(first) = self.tail.front()
            && self.tail_len - first.len() >= TAIL
        {
            self.tail_len -= first.len();
            self.tail.pop_front();
        }
    }

    /// Notes a whole relayed answer.
    pub(crate) fn note_bytes(&mut self, whole: &Bytes) {
        self.told = find_usage(whole).unwrap_or_default();
        self.text = whole.len();
    }

    /// What the provider told.
    pub(crate) fn told(&self) -> Usage {
        if self.tail.is_empty() || self.told != Usage::default() {
            return self.told;
        }
        let mut tail = Vec::with_capacity(self.tail_len);
        for piece in &self.tail {
            tail.extend_from_slice(piece);
        }
        find_usage(&tail).unwrap_or_default()
    }

    /// An estimate of the tokens written.
    pub(super) fn written(&self) -> u64 {
        self.written + estimate_tokens_of_length(self.text)
    }
}

/// The last `usage` object of an answer in OpenAI's form.
fn find_usage(answer: &[u8]) -> Option<Usage> {
    let mut end = answer.len();
    loop {
        let before = answer.get(..end)?;
        let place = memmem::rfind(before, USAGE)?;
        let after = answer.get(place + USAGE.len()..)?;
        if let Some(usage) = read_usage(after) {
            return Some(usage);
        }
        end = place;
    }
}

/// Reads `: {...}`; what follows the object does not matter.
fn read_usage(text: &[u8]) -> Option<Usage> {
    let object = text.trim_ascii_start().strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(object).into_iter::<Value>();
    let usage = values.next()?.ok()?;
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: count("/prompt_tokens")?,
        output_tokens: count("/completion_tokens").unwrap_or_default(),
        cached_input_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#""usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 8}}"#;

    fn usage() -> Usage {
        Usage {
            input_tokens: 12,
            output_tokens: 5,
            cached_input_tokens: 8,
        }
    }

    #[test]
    fn a_whole_answer_tells_its_usage_at_its_end() {
        let answer = format!(r#"{{"choices":[{{"text":"\"usage\": 1"}}],{TOLD},"id":"x"}}"#);
        let mut told = ToldUsage::default();
        told.note_bytes(&Bytes::from(answer));
        assert_eq!(told.told(), usage());
    }

    #[test]
    fn a_stream_tells_its_usage_in_whichever_pieces_it_comes() {
        let stream = format!(
            "data: {{\"usage\":null}}\n\n{}data: {{\"choices\":[],{TOLD}}}\n\ndata: [DONE]\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".repeat(200)
        );
        for size in [1, 7, 1000, 100_000] {
            let mut told = ToldUsage::default();
            for piece in stream.as_bytes().chunks(size) {
                told.note_piece(&Bytes::copy_from_slice(piece));
            }
            assert_eq!(told.told(), usage(), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_told_is_estimated() {
        let mut told = ToldUsage::default();
        for _ in 0..20 {
            told.note_piece(&Bytes::from_static(b"data: {\"choices\":[]}\n\n"));
        }
        assert_eq!((told.told(), told.written()), (Usage::default(), 20));
        let mut told = ToldUsage::default();
        told.note_delta(&ModelDelta::Text("12345678".to_owned()));
        assert_eq!((told.told(), told.written()), (Usage::default(), 2));
    }
}
