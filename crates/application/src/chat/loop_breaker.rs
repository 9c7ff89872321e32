//! Notices an agent that goes in circles.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use majordomo_domain::{ToolCall, ToolOutput};

/// How often the same step may be taken in a row.
const REPEATS: usize = 3;
/// How often two steps may alternate.
const ALTERNATIONS: usize = 3;

/// Remembers the latest steps: the tool calls of each with their results. Calls that were made at the same time are one
/// step, for the model had seen none of their results when it asked for them.
#[derive(Default)]
pub(super) struct LoopBreaker {
    recent: Vec<u64>,
}

impl LoopBreaker {
    /// Notes a step; `true` when the agent goes in circles.
    pub(super) fn note(&mut self, calls: &[ToolCall], outputs: &[ToolOutput]) -> bool {
        let mut hasher = DefaultHasher::new();
        for (call, output) in calls.iter().zip(outputs) {
            (&call.name, &call.arguments, &output.content).hash(&mut hasher);
        }
        self.recent.push(hasher.finish());
        let longest = REPEATS.max(2 * ALTERNATIONS);
        if self.recent.len() > longest {
            self.recent.remove(0);
        }
        self.ends_with_period(1, REPEATS) || self.ends_with_period(2, 2 * ALTERNATIONS)
    }

    /// Whether the last `length` steps repeat with the given period.
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

    /// A step of these calls, each its arguments and its result.
    fn note(breaker: &mut LoopBreaker, step: &[(&str, &str)]) -> bool {
        let call = |(arguments, _): &(&str, &str)| ToolCall {
            id: "1".into(),
            name: "t".into(),
            arguments: (*arguments).into(),
        };
        let output = |(_, result): &(&str, &str)| ToolOutput {
            call_id: "1".into(),
            name: "t".into(),
            content: (*result).into(),
            is_error: false,
        };
        let calls: Vec<_> = step.iter().map(call).collect();
        let outputs: Vec<_> = step.iter().map(output).collect();
        breaker.note(&calls, &outputs)
    }

    fn first_circle(calls: &[(&str, &str)]) -> Option<usize> {
        let mut breaker = LoopBreaker::default();
        calls.iter().position(|call| note(&mut breaker, &[*call]))
    }

    #[test]
    fn calls_made_together_are_one_step() {
        let mut breaker = LoopBreaker::default();
        assert!(!note(&mut breaker, &[("a", "1"), ("a", "1"), ("a", "1")]));
        let mut breaker = LoopBreaker::default();
        let step = [("a", "1"), ("b", "2"), ("c", "3")];
        assert!(!note(&mut breaker, &step) && !note(&mut breaker, &step));
        assert!(note(&mut breaker, &step));
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
