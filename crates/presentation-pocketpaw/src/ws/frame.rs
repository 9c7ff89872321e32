//! What the server says besides the frames of runs.

use majordomo_domain::{Message, SessionId};
use serde::Serialize;

use crate::health::{HealthError, HealthResponse};
use crate::wire::wire_id;

/// One frame.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Frame {
    ConnectionInfo {
        content: &'static str,
        id: String,
    },
    SessionHistory {
        session_id: String,
        messages: Vec<HistoryMessage>,
    },
    NewSession {
        id: String,
    },
    Settings {
        content: Settings,
    },
    HealthUpdate {
        data: HealthResponse,
    },
    HealthErrors {
        errors: Vec<HealthError>,
    },
    Notification {
        content: String,
    },
    Error {
        content: String,
    },
    StreamEnd {},
    Pong {},
}

impl Frame {
    pub(super) fn connection_info(session: &SessionId) -> Self {
        Self::ConnectionInfo {
            content: "Connected to PocketPaw",
            id: wire_id(session),
        }
    }

    pub(super) fn error(words: impl Into<String>) -> Self {
        Self::Error {
            content: words.into(),
        }
    }

    /// The frame's text.
    pub(super) fn text(&self) -> String {
        to_json(self)
    }
}

/// A frame as text.
pub(super) fn to_json<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        tracing::error!(cause = %error, "a frame could not be written as JSON");
        r#"{"type":"error","content":"Internal error"}"#.to_owned()
    })
}

/// What was said.
#[derive(Debug, Serialize)]
pub(super) struct HistoryMessage {
    role: &'static str,
    content: String,
}

impl From<Message> for HistoryMessage {
    fn from(message: Message) -> Self {
        Self {
            role: message.role.as_str(),
            content: message.text,
        }
    }
}

/// What the agent is, in the dashboard's words. Keys are configured on the server and never told of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the dashboard reads one field for each key"
)]
pub(super) struct Settings {
    agent_backend: &'static str,
    agent_active: bool,
    agent_status: AgentStatus,
    model: String,
    version: &'static str,
    has_anthropic_key: bool,
    has_openai_key: bool,
    has_openai_compatible_key: bool,
    has_google_api_key: bool,
    has_litellm_key: bool,
    has_tavily_key: bool,
    has_brave_key: bool,
    has_parallel_key: bool,
    has_elevenlabs_key: bool,
    has_sarvam_key: bool,
    #[serde(rename = "hasGoogleOAuthId")]
    has_google_oauth_id: bool,
    #[serde(rename = "hasGoogleOAuthSecret")]
    has_google_oauth_secret: bool,
    has_spotify_client_id: bool,
    has_spotify_client_secret: bool,
}

#[derive(Debug, Serialize)]
struct AgentStatus {
    status: &'static str,
    backend: &'static str,
}

/// The name of the agent's engine in frames.
pub(super) const BACKEND: &str = "majordomo";

impl Settings {
    pub(super) fn new(model: String) -> Self {
        Self {
            agent_backend: BACKEND,
            agent_active: true,
            agent_status: AgentStatus {
                status: "running",
                backend: BACKEND,
            },
            model,
            version: env!("CARGO_PKG_VERSION"),
            has_anthropic_key: false,
            has_openai_key: false,
            has_openai_compatible_key: false,
            has_google_api_key: false,
            has_litellm_key: false,
            has_tavily_key: false,
            has_brave_key: false,
            has_parallel_key: false,
            has_elevenlabs_key: false,
            has_sarvam_key: false,
            has_google_oauth_id: false,
            has_google_oauth_secret: false,
            has_spotify_client_id: false,
            has_spotify_client_secret: false,
        }
    }
}
