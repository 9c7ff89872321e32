//! Notices an agent that goes in circles.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use majordomo_domain::{ToolCall, ToolOutput};

/// How often the same call may give the same result in a row.
const REPEATS: usize = 3;
/// How often two calls may alternate with the same results.
const ALTERNATIONS: usize = 3;

/// Remembers the latest tool calls with their results.
#[derive(Default)]
pub(super) struct LoopBreaker {
    recent: Vec<u64>,
}

impl LoopBreaker {
    /// Notes a call; `true` when the agent goes in circles.
    pub(super) fn note(&mut self, call: &ToolCall, output: &ToolOutput) -> bool {
        let mut hasher = DefaultHasher::new();
        (&call.name, &call.arguments, &output.content).hash(&mut hasher);
        self.recent.push(hasher.finish());
        let longest = REPEATS.max(2 * ALTERNATIONS);
        if self.recent.len() > longest {
            self.recent.remove(0);
        }
        self.ends_with_period(1, REPEATS) || self.ends_with_period(2, 2 * ALTERNATIONS)
    }

    /// Whether the last `length` calls repeat with the given period.
    fn ends_with_period(&self, period: usize, length: usize) -> bool {
        let Some(start) = self.recent.len().checked_sub(length) else {
            return false;
        };
        let (_, tail) = self.recent.split_at(start);
        tail.iter()
            .zip(tail.iter().skip(period))
            .all(|(earlier, later)| earlier == later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_circle(calls: &[(&str, &str)]) -> Option<usize> {
        let mut breaker = LoopBreaker::default();
        calls.iter().position(|(arguments, result)| {
            let call = ToolCall {
                id: "1".into(),
                name: "t".into(),
                arguments: (*arguments).into(),
            };
            let output = ToolOutput {
                call_id: "1".into(),
                name: "t".into(),
                content: (*result).into(),
                is_error: false,
            };
            breaker.note(&call, &output)
        })
    }

    #[test]
    fn circles_are_noticed_and_progress_is_not() {
        assert_eq!(first_circle(&[("a", "1"), ("a", "1"), ("a", "1")]), Some(2));
        assert_eq!(
            first_circle(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]),
            None
        );
        assert_eq!(
            first_circle(&[
                ("x", "0"),
                ("a", "1"),
                ("b", "2"),
                ("a", "1"),
                ("b", "2"),
                ("a", "1"),
                ("b", "2")
            ]),
            Some(6)
        );
        assert_eq!(
            first_circle(&[
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
                ("a", "1"),
                ("b", "2"),
                ("c", "3")
            ]),
            None
        );
    }
}
