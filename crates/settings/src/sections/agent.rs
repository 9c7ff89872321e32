//! `[agent]`: how a chat turn is run.

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

/// What the model is told about itself where nothing else is configured.
const DEFAULT_SYSTEM_PROMPT: &str = "You are Majordomo, a helpful assistant. Answer in the language of the user, \
be concise, use the tools you are given where they help, and say so when you do not know something.";

section! {
    /// How a chat turn is run.
    pub struct AgentSettings {
        /// Most model calls in one turn, before it ends with what there is.
        max_steps: u32 = 16;
        /// What every conversation begins with, unseen by the user.
        system_prompt: String = DEFAULT_SYSTEM_PROMPT.to_owned();
        /// Most turns that run at once in this process; more of them wait.
        max_concurrent_runs: usize = 64;
        /// Most messages that wait in one session while a turn runs; more are refused.
        queue_per_session: usize = 16;
        /// Sampling temperature, 0 to 2. Not set: the model's own default.
        temperature: Option<f64> = None, example "0.7";
        /// Most tokens in one answer. Not set: the model's own default.
        max_tokens: Option<u32> = None, example "2048";
        /// Tokens of the context window where neither the provider nor its settings say; the newest messages that
        /// fit are sent.
        context_tokens: u32 = 32_768;
        /// Whether a turn ends when it calls the same tools with the same results again and again.
        loop_breaker: bool = true;
        /// Seconds after which a turn is ended.
        turn_timeout_secs: u64 = 600;
        /// Seconds after which a tool call is ended.
        tool_timeout_secs: u64 = 60;
    }
}

impl AgentSettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range("agent.max_steps", self.max_steps, 1..=1000, "")?;
        check_range(
            "agent.max_concurrent_runs",
            self.max_concurrent_runs,
            1..=100_000,
            "",
        )?;
        check_range(
            "agent.queue_per_session",
            self.queue_per_session,
            0..=10_000,
            "",
        )?;
        if let Some(temperature) = self.temperature {
            check_range("agent.temperature", temperature, 0.0..=2.0, "")?;
        }
        if let Some(max_tokens) = self.max_tokens {
            check_range("agent.max_tokens", max_tokens, 1..=10_000_000, "")?;
        }
        check_range(
            "agent.context_tokens",
            self.context_tokens,
            256..=100_000_000,
            "",
        )?;
        check_range(
            "agent.turn_timeout_secs",
            self.turn_timeout_secs,
            1..=86_400,
            "",
        )?;
        check_range(
            "agent.tool_timeout_secs",
            self.tool_timeout_secs,
            1..=86_400,
            "",
        )
    }
}
