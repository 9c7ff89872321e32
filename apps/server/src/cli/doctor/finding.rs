//! What the doctor finds, and how it is told.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::context::CliError;
use crate::cli::output::Output;

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Hint,
    Bad,
    /// Bad, and with such a configuration nothing starts.
    Misconfigured,
}

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) state: State,
    pub(super) says: String,
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn good(subject: &'static str, says: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Good,
            says: says.into(),
            remedy: None,
        }
    }

    pub(super) fn hint(
        subject: &'static str,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            state: State::Hint,
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn bad(
        subject: &'static str,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            state: State::Bad,
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn misconfigured(
        subject: &'static str,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Misconfigured,
            ..Self::bad(subject, says, remedy)
        }
    }
}

/// Tells everything; fails when something is to be mended.
pub(super) fn report(findings: &[Finding], output: &Output) -> Result<(), CliError> {
    let data = json!({ "findings": findings.iter().map(to_json).collect::<Vec<_>>() });
    output.data(&data, |_| findings.iter().map(to_text).collect())?;
    let count = |state| findings.iter().filter(|one| one.state == state).count();
    if count(State::Misconfigured) > 0 {
        return Err(CliError::Misconfigured);
    }
    match count(State::Bad) {
        0 => Ok(()),
        bad => Err(CliError::Other(format!("{bad} thing(s) to mend"))),
    }
}

fn to_json(finding: &Finding) -> Value {
    let state = match finding.state {
        State::Good => "ok",
        State::Hint => "hint",
        State::Bad | State::Misconfigured => "error",
    };
    json!({ "subject": finding.subject, "state": state, "message": finding.says, "remedy": finding.remedy })
}

fn to_text(finding: &Finding) -> String {
    let mark = match finding.state {
        State::Good => "ok   ",
        State::Hint => "hint ",
        State::Bad | State::Misconfigured => "ERROR",
    };
    let mut text = format!("{mark} {:<10} {}\n", finding.subject, finding.says);
    if let Some(remedy) = &finding.remedy {
        let _ = writeln!(text, "      {:<10} -> {remedy}", "");
    }
    text
}
