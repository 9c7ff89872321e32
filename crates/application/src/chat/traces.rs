//! Spans of the agent's work under the names of OpenTelemetry's semantic conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>). What is said is in none of them. Nobody pays for them while
//! nobody collects them.

use majordomo_domain::{ModelRef, Run, ToolCall, ToolOutput, Usage};
use tracing::field::Empty;
use tracing::{Span, debug_span};

use crate::ports::FinishReason;

/// The target of these spans, for filters.
pub const TRACE_TARGET: &str = "majordomo::gen_ai";

/// A turn.
pub(super) fn turn(run: &Run) -> Span {
    debug_span!(
        target: TRACE_TARGET,
        "invoke_agent",
        otel.name = "invoke_agent majordomo",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "majordomo",
        gen_ai.conversation.id = %run.session,
        majordomo.run.id = %run.id,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        "error.type" = Empty,
    )
}

/// Notes what a turn took and, when it did not end well, why.
pub(super) fn turn_ended(span: &Span, usage: Usage, failure: Option<&str>) {
    span.record("gen_ai.usage.input_tokens", usage.input_tokens);
    span.record("gen_ai.usage.output_tokens", usage.output_tokens);
    if let Some(reason) = failure {
        span.record("error.type", reason);
    }
}

/// A question to a model.
pub(super) fn model_call(run: &Run, model: &ModelRef) -> Span {
    debug_span!(
        target: TRACE_TARGET,
        "chat",
        otel.name = %format_args!("chat {}", model.model),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = %model.provider,
        gen_ai.request.model = %model.model,
        gen_ai.conversation.id = %run.session,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        "error.type" = Empty,
    )
}

/// Notes how a model answered. Another one may have answered than the one that was asked first.
pub(super) fn model_answered(
    span: &Span,
    model: Option<&ModelRef>,
    usage: Usage,
    answer: Result<FinishReason, &str>,
) {
    if span.is_disabled() {
        return;
    }
    if let Some(model) = model {
        span.record("gen_ai.response.model", model.model.as_str());
    }
    span.record("gen_ai.usage.input_tokens", usage.input_tokens);
    span.record("gen_ai.usage.output_tokens", usage.output_tokens);
    let cached = usage.cached_input_tokens;
    span.record("gen_ai.usage.cache_read.input_tokens", cached);
    match answer {
        Ok(reason) => span.record("gen_ai.response.finish_reasons", reason.as_str()),
        Err(reason) => span.record("error.type", reason),
    };
}

/// A call of a tool.
pub(super) fn tool_call(call: &ToolCall) -> Span {
    debug_span!(
        target: TRACE_TARGET,
        "execute_tool",
        otel.name = %format_args!("execute_tool {}", call.name),
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = %call.name,
        gen_ai.tool.call.id = %call.id,
        "gen_ai.tool.type" = "function",
        "error.type" = Empty,
    )
}

/// Notes whether a tool failed.
pub(super) fn tool_returned(span: &Span, output: &ToolOutput) {
    if output.is_error {
        span.record("error.type", "tool_error");
    }
}
