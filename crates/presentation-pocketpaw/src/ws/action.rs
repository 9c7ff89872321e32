//! What clients say, in both protocols.

use majordomo_domain::{RunId, SessionId};
use majordomo_presentation_http::openapi::plain_words;
use majordomo_presentation_http::run_events::RunPosition;
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{ApiError, ErrorClass, Location};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::render::Style;
use crate::chat::media::MediaItem;
use crate::health::LenientErrorParams;

/// Longest part of an unknown action's name that is repeated to the client, in characters.
const MAX_NAME: usize = 64;

/// What a connection is to do.
#[derive(Debug)]
pub(super) enum Action {
    /// The connection begins.
    Open {
        /// Whether the client asks for what was said in the session.
        history: bool,
        /// The run to go on with.
        position: Option<RunPosition>,
    },
    /// A message to the agent.
    Chat(Chat),
    /// Stop what runs in a session, the current one when none is named.
    Stop(Option<SessionId>),
    /// Go on in another session.
    SwitchSession(SessionId),
    /// Go on in a session without messages.
    NewSession,
    /// Show a run's events after a place.
    Resume(RunPosition, Style),
    /// Tell about the agent.
    GetSettings,
    /// Tell whether everything works.
    GetHealth,
    /// Tell the latest errors of the server.
    GetHealthErrors(LenientErrorParams),
    /// Answer that the connection works.
    Ping,
    /// The credential was checked when the connection began.
    Authenticate,
    /// Not on this server.
    Unavailable(String),
}

/// A message to the agent.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) text: String,
    pub(super) session: Option<SessionId>,
    pub(super) media: Vec<MediaItem>,
    pub(super) style: Style,
}

/// How every frame of a client begins.
#[derive(Deserialize)]
struct Envelope {
    action: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ChatFields {
    message: Option<String>,
    content: Option<String>,
    session_id: Option<String>,
    media: Option<Vec<MediaItem>>,
}

#[derive(Deserialize)]
struct SessionFields {
    session_id: Option<String>,
}

#[derive(Deserialize)]
struct ResumeFields {
    run_id: String,
    #[serde(default)]
    after: u64,
}

impl Action {
    /// Reads a client's frame.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        // The reader of structs would take a list for one, too.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(unreadable());
        }
        let Envelope { action, kind } = serde_json::from_str(text).map_err(|_| unreadable())?;
        let documented = action.is_none();
        let style = if documented {
            Style::Documented
        } else {
            Style::Dashboard
        };
        let name = action.or(kind).ok_or_else(unreadable)?;
        Ok(match name.as_str() {
            "chat" => Self::Chat(Chat::parse(text, style)?),
            "message" => Self::Chat(Chat::parse(text, Style::Documented)?),
            "stop" => Self::Stop(named_session(text)?),
            "switch_session" => Self::SwitchSession(
                named_session(text)?.ok_or_else(|| invalid("session_id is missing"))?,
            ),
            "new_session" => Self::NewSession,
            "resume" => {
                let fields: ResumeFields = fields(text)?;
                let run = RunId::parse(fields.run_id)
                    .map_err(|error| invalid(&format!("run_id {error}")))?;
                let after = fields.after;
                Self::Resume(RunPosition { run, after }, style)
            }
            "get_settings" => Self::GetSettings,
            "get_health" | "run_health_check" => Self::GetHealth,
            "get_health_errors" => Self::GetHealthErrors(fields(text)?),
            "ping" => Self::Ping,
            "authenticate" => Self::Authenticate,
            _ => Self::Unavailable(name.chars().take(MAX_NAME).collect()),
        })
    }
}

impl Chat {
    fn parse(text: &str, style: Style) -> Result<Self, ApiError> {
        let fields: ChatFields = fields(text)?;
        Ok(Self {
            text: fields.message.or(fields.content).unwrap_or_default(),
            session: fields.session_id.as_deref().map_or(Ok(None), session)?,
            media: fields.media.unwrap_or_default(),
            style,
        })
    }
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        let words = plain_words(&error.to_string());
        invalid(&format!("The frame does not fit: {words}"))
    })
}

fn named_session(text: &str) -> Result<Option<SessionId>, ApiError> {
    let fields: SessionFields = fields(text)?;
    fields.session_id.as_deref().map_or(Ok(None), session)
}

/// An empty id names no session.
fn session(text: &str) -> Result<Option<SessionId>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    session_id(Location::Body, "session_id", text)
        .map(Some)
        .map_err(|_| invalid("session_id is not the id of a session"))
}

fn unreadable() -> ApiError {
    ApiError::of(ErrorClass::Malformed)
        .with_message("Expected a JSON object with an action or a type")
}

fn invalid(words: &str) -> ApiError {
    ApiError::of(ErrorClass::Invalid).with_message(words)
}
