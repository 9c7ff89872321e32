//! What sessions and messages look like to clients.

use std::collections::HashSet;

use majordomo_application::ports::SearchHit;
use majordomo_domain::{Image, ImageSource, Message, MessageStatus, Session, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::UsageResponse;
use crate::wire::{wire_id, wire_time};

/// Longest preview, in characters.
const MAX_PREVIEW: usize = 120;

/// How many.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LimitParams {
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    pub(crate) limit: Option<i64>,
}

/// How many, for routes that take what is out of bounds as the nearest bound.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LenientLimitParams {
    /// At most so many.
    pub(crate) limit: Option<i64>,
}

/// What to look for, and how many, likewise.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LenientSearchParams {
    /// Words; nothing is found without any.
    #[serde(default)]
    pub(crate) q: String,
    /// At most so many sessions.
    pub(crate) limit: Option<i64>,
}

/// What to look for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SearchParams {
    /// Words; nothing is found without any.
    #[serde(default)]
    pub(crate) q: String,
    /// At most so many sessions.
    #[schemars(range(min = 1, max = 200))]
    pub(crate) limit: Option<i64>,
}

/// A session's new title.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RenameRequest {
    /// The title.
    #[schemars(length(min = 1, max = 200))]
    pub(crate) title: String,
}

/// A session that can begin.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CreatedSessionResponse {
    /// Names the session.
    id: String,
    /// What lists show.
    title: &'static str,
}

impl From<SessionId> for CreatedSessionResponse {
    fn from(id: SessionId) -> Self {
        Self {
            id: wire_id(&id),
            title: "New Chat",
        }
    }
}

/// Sessions, last active first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(crate) struct SessionListResponse<T> {
    /// As many as were asked for.
    pub(crate) sessions: Vec<T>,
    /// How many there are in all.
    pub(crate) total: u64,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionItem {
    /// Names the session.
    id: String,
    /// The chosen title, or the beginning of the first message.
    title: String,
    /// Where it was begun.
    channel: &'static str,
    /// When its last message was stored.
    last_activity: String,
    /// How many messages it has.
    message_count: u64,
}

impl From<Session> for SessionItem {
    fn from(session: Session) -> Self {
        Self {
            id: wire_id(&session.id),
            title: session.title.as_str().to_owned(),
            channel: session.channel.as_str(),
            last_activity: wire_time(session.updated_at),
            message_count: session.message_count,
        }
    }
}

/// A session as the dashboard lists it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DashboardSession {
    /// What every list shows.
    #[serde(flatten)]
    session: SessionItem,
    /// When it was begun.
    created: String,
    /// The beginning of its newest message.
    preview: String,
    /// The title, where the user chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_title: Option<String>,
}

impl From<(Session, String)> for DashboardSession {
    fn from((session, preview): (Session, String)) -> Self {
        let title = &session.title;
        Self {
            created: wire_time(session.created_at),
            preview: preview.chars().take(MAX_PREVIEW).collect(),
            user_title: title.is_chosen().then(|| title.as_str().to_owned()),
            session: session.into(),
        }
    }
}

/// Sessions in which something was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SearchResponse {
    /// Best first, each once.
    sessions: Vec<FoundSession>,
}

/// A session in which something was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundSession {
    /// Names the session.
    id: String,
    /// Its title.
    title: String,
    /// Where it was begun.
    channel: String,
    /// The words around the best match.
    #[serde(rename = "match")]
    matched: String,
    /// Who said it.
    match_role: &'static str,
    /// When its last message was stored.
    last_activity: String,
}

impl SearchResponse {
    /// The best hit of each session, of at most `limit` sessions.
    pub(crate) fn of(hits: Vec<SearchHit>, limit: u32) -> Self {
        let mut seen = HashSet::new();
        let sessions = hits
            .into_iter()
            .filter(|hit| seen.insert(hit.session.clone()))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|hit| FoundSession {
                id: wire_id(&hit.session),
                title: hit.title,
                channel: hit.channel,
                matched: hit.snippet,
                match_role: hit.role.as_str(),
                last_activity: wire_time(hit.last_activity),
            })
            .collect();
        Self { sessions }
    }
}

/// A message.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessageResponse {
    /// Names the message.
    id: String,
    /// `user`, `assistant` or `system`.
    pub(crate) role: &'static str,
    /// What was said.
    pub(crate) content: String,
    /// When it was stored.
    timestamp: String,
    /// What else is known of it.
    metadata: MessageMetadata,
    /// Its pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    media: Vec<MediaResponse>,
}

/// What else is known of a message.
#[derive(Debug, Serialize, JsonSchema)]
struct MessageMetadata {
    /// `stopped` or `interrupted` when the answer is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// The model that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// What it cost in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageResponse>,
}

/// A picture of a message; its bytes are not repeated.
#[derive(Debug, Serialize, JsonSchema)]
struct MediaResponse {
    /// Always `image`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where it is, when it was sent as an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What it is, when it was sent as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
}

impl From<Image> for MediaResponse {
    fn from(image: Image) -> Self {
        let (url, mime_type) = match image.source {
            ImageSource::Url(url) => (Some(url), None),
            ImageSource::Base64 { media_type, .. } => (None, Some(media_type)),
        };
        Self {
            kind: "image",
            url,
            mime_type,
        }
    }
}

impl From<Message> for MessageResponse {
    fn from(message: Message) -> Self {
        let whole = message.status == MessageStatus::Complete;
        Self {
            id: message.id.into_string(),
            role: message.role.as_str(),
            content: message.text,
            timestamp: wire_time(message.created_at),
            metadata: MessageMetadata {
                status: (!whole).then(|| message.status.as_str()),
                model: message.model,
                usage: message.usage.map(Into::into),
            },
            media: message.images.into_iter().map(Into::into).collect(),
        }
    }
}
