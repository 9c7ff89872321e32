//! A request as it is passed on: the caller's, byte for byte, but for the model's name and the length of answers.

use std::ops::Range;

use bytes::Bytes;
use majordomo_application::models::OutputLimit;

/// A request to pass on.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) body: Bytes,
    /// Where the model's name stands, and the name to put there, where it is another.
    pub(crate) name: Option<(Range<usize>, String)>,
    /// What the request says of the length of answers.
    pub(crate) limits: Vec<Limit>,
}

/// The most tokens of an answer, as a request says.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// `None` for what is no number of tokens: the provider decides what it makes of that.
    pub(crate) tokens: Option<u64>,
    /// Where it stands in the body.
    pub(crate) span: Range<usize>,
}

impl Passing {
    /// The body; where a limit to the length of answers is given, no number in it exceeds that.
    pub(crate) fn body(self, limit: Option<OutputLimit>) -> Bytes {
        let mut changes: Vec<(Range<usize>, String)> = self.name.into_iter().collect();
        if let Some(limit) = limit {
            for told in &self.limits {
                let tokens = told
                    .tokens
                    .map_or(limit.tokens, |told| told.min(limit.tokens));
                changes.push((told.span.clone(), tokens.to_string()));
            }
            if self.limits.is_empty() {
                let brace = self.body.iter().position(|byte| *byte == b'{');
                let start = brace.map_or(0, |brace| brace + 1);
                // The model's name follows, so the object is not empty.
                let field = format!("\"{}\":{},", limit.name, limit.tokens);
                changes.push((start..start, field));
            }
        }
        if changes.is_empty() {
            return self.body;
        }
        splice(&self.body, changes)
    }
}

/// `body` with other texts in place of parts that do not overlap.
fn splice(body: &[u8], mut changes: Vec<(Range<usize>, String)>) -> Bytes {
    changes.sort_by_key(|(span, _)| span.start);
    let added: usize = changes.iter().map(|(_, text)| text.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for (span, text) in changes {
        spliced.extend_from_slice(body.get(done..span.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        done = span.end;
    }
    spliced.extend_from_slice(body.get(done..).unwrap_or_default());
    Bytes::from(spliced)
}
