//! Why a command did not succeed: one or more problems, each a sentence for the person at the terminal.

use std::fmt;

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The problems that a command found; never empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(Vec<String>);

impl Failure {
    /// A failure of one problem.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    /// Success when there are no problems.
    pub(crate) fn from_problems(problems: Vec<String>) -> Outcome {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}
