//! What the agent does for the caller right now.

use std::time::Duration;

use actix_web::web::Data;
use futures_util::stream;
use majordomo_application::events::EventStream;
use majordomo_application::operations::{ActivityState, HealthStatus, SessionActivity};
use majordomo_application::{Caller, ScopeDenied};
use majordomo_presentation_http::openapi::{Reply, Sse};
use majordomo_presentation_http::sse::Frame;
use majordomo_presentation_http::{ApiError, Authenticated, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use crate::events::EventPosition;
use crate::wire::wire_id;

/// Shortest time from one snapshot to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What the agent does for the caller.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AgentStatusResponse {
    /// All sessions together.
    global: GlobalStatus,
    /// The sessions in which it works, and those in which it has failed a moment ago.
    sessions: Vec<SessionStatus>,
}

/// All sessions together.
#[derive(Debug, Serialize, JsonSchema)]
struct GlobalStatus {
    /// `idle`, `active`, or `degraded` when the server's health is not good.
    state: &'static str,
    /// The caller's sessions in which the agent works.
    active_sessions: usize,
    /// Runs the server works on at the same time at most.
    max_concurrent: usize,
    /// How long the server has run, in seconds.
    uptime_seconds: u64,
}

/// A session in which the agent works.
#[derive(Debug, Serialize, JsonSchema)]
struct SessionStatus {
    /// Names the session as events do.
    session_key: String,
    /// Names the session as routes do.
    session_id: String,
    /// Where it is held; always `websocket`.
    channel: &'static str,
    /// Always null.
    title: Option<String>,
    /// `thinking`, `tool_running` or `streaming`; `error` for a minute after a turn has failed.
    state: &'static str,
    /// The tool that runs.
    tool_name: Option<String>,
    /// Time since the message was accepted, in seconds.
    duration_seconds: u64,
    /// Null: it is known when the answer is whole.
    token_usage: Option<TokenUsage>,
    /// Why the turn failed; null unless the state is `error`.
    error_message: Option<String>,
}

/// Tokens of a run.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenUsage {
    /// Read.
    input: u64,
    /// Written.
    output: u64,
}

impl From<SessionActivity> for SessionStatus {
    fn from(activity: SessionActivity) -> Self {
        let (state, tool_name, error_message) = match activity.state {
            ActivityState::Thinking => ("thinking", None, None),
            ActivityState::UsingTool { tool } => ("tool_running", Some(tool), None),
            ActivityState::Streaming => ("streaming", None, None),
            ActivityState::Failed { words } => ("error", None, Some(words)),
        };
        Self {
            session_key: format!("websocket:{}", activity.session),
            session_id: wire_id(&activity.session),
            channel: "websocket",
            title: None,
            state,
            tool_name,
            duration_seconds: activity.running_for.as_secs(),
            token_usage: None,
            error_message,
        }
    }
}

fn status(services: &Services, caller: &Caller) -> Result<AgentStatusResponse, ScopeDenied> {
    let activity = services.chat.activity(caller)?;
    let health = services.health.latest_status();
    let working =
        |session: &&SessionActivity| !matches!(session.state, ActivityState::Failed { .. });
    let active_sessions = activity.sessions.iter().filter(working).count();
    let state = if health.is_some_and(|health| health != HealthStatus::Healthy) {
        "degraded"
    } else if active_sessions == 0 {
        "idle"
    } else {
        "active"
    };
    Ok(AgentStatusResponse {
        global: GlobalStatus {
            state,
            active_sessions,
            max_concurrent: activity.max_concurrent,
            uptime_seconds: services.health.uptime().as_secs(),
        },
        sessions: activity.sessions.into_iter().map(Into::into).collect(),
    })
}

/// GET /api/v1/agent/status: what the agent does for the caller right now
#[api_v2_operation(tags(Events), operation_id = "agent_status")]
pub(crate) async fn agent_status(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
) -> Result<Reply<AgentStatusResponse>, ApiError> {
    Ok(Reply(status(&services, &caller)?))
}

/// A stream of snapshots.
struct Watch {
    events: EventStream,
    services: Data<Services>,
    caller: Caller,
    begun: bool,
}

impl Watch {
    /// The next snapshot; `None` when the server shuts down.
    async fn next(&mut self) -> Option<Frame> {
        if self.begun {
            // What happens within the pause is told together.
            sleep(PAUSE).await;
            if self.events.next_batch().await.is_empty() {
                return None;
            }
        }
        self.begun = true;
        let status = status(&self.services, &self.caller).ok()?;
        let frame = Frame::json(&status).event("status");
        Some(frame.id(self.events.position()))
    }
}

/// GET /api/v1/agent/status/stream: what the agent does for the caller, whenever that changes
///
/// Every frame, named `status`, tells everything; so does the first one after a client has come back.
#[api_v2_operation(tags(Events), operation_id = "stream_agent_status")]
pub(crate) async fn stream_agent_status(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
    _after: EventPosition,
) -> Result<Sse<AgentStatusResponse>, ApiError> {
    let watch = Watch {
        // Listens before the first look, so that no change is missed between the two.
        events: services.chat.listen(&caller, None)?,
        services,
        caller,
        begun: false,
    };
    let frames = stream::unfold(watch, |mut watch| async move {
        let frame = watch.next().await?;
        Some((frame, watch))
    });
    Ok(Sse::new(frames))
}
