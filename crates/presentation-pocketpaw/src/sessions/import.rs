//! Conversations of other systems become sessions.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::chat::{ImportedSession, NewConversation, NewMessage};
use majordomo_domain::Role;
use majordomo_presentation_http::openapi::{Body, Reply};
use majordomo_presentation_http::session_id::{ID_PATTERN, session_id};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::{check_length, fault, parse_time, wire_id};

/// Longest name of a message, in characters.
const MAX_NAME: usize = 200;

/// Conversations to store.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ImportSessionsRequest {
    /// Each is stored by itself: all of it or nothing.
    #[schemars(length(max = 100))]
    conversations: Vec<ConversationRequest>,
}

/// A conversation of another system.
#[derive(Debug, Deserialize, JsonSchema)]
struct ConversationRequest {
    /// The session it becomes, or is added to.
    #[schemars(regex(pattern = ID_PATTERN))]
    id: String,
    /// What lists show; made of the first message where there is none. Cut after 200 characters.
    title: Option<String>,
    /// When it was begun, in RFC 3339; with its first message where nothing is said.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    created_at: Option<String>,
    /// What was said, in order.
    #[schemars(length(max = 1000))]
    messages: Vec<MessageRequest>,
}

/// A message of another system.
#[derive(Debug, Deserialize, JsonSchema)]
struct MessageRequest {
    /// What the other system calls it: within one conversation the same name is the same message.
    #[schemars(length(min = 1, max = 200))]
    id: String,
    /// `user`, `assistant` or `system`.
    #[schemars(with = "Speaker")]
    role: String,
    /// What was said.
    #[schemars(length(min = 1, max = 1_000_000), regex(pattern = r"\S"))]
    content: String,
    /// When, in RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
}

/// Who speaks, in requests.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what is read as text")]
enum Speaker {
    User,
    Assistant,
    System,
}

/// What became of the conversations.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImportedSessionsResponse {
    /// In order.
    sessions: Vec<ImportedSessionResponse>,
}

/// What became of a conversation.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportedSessionResponse {
    /// Names the session.
    id: String,
    /// Messages that are new.
    stored: u64,
    /// Messages that were there already.
    known: u64,
}

impl From<ImportedSession> for ImportedSessionResponse {
    fn from(imported: ImportedSession) -> Self {
        Self {
            id: wire_id(&imported.session),
            stored: imported.stored,
            known: imported.known,
        }
    }
}

fn time(field: &str, text: &str) -> Result<majordomo_domain::Timestamp, ApiError> {
    let words = "Input should be a valid datetime";
    parse_time(text).ok_or_else(|| fault(Location::Body, field, "datetime_parsing", words))
}

impl TryFrom<MessageRequest> for NewMessage {
    type Error = ApiError;

    fn try_from(request: MessageRequest) -> Result<Self, ApiError> {
        check_length("id", &request.id, MAX_NAME)?;
        let role = Role::parse(&request.role).ok_or_else(|| {
            let words = "Input should be 'user', 'assistant' or 'system'";
            fault(Location::Body, "role", "enum", words)
        })?;
        Ok(Self {
            name: request.id,
            role,
            text: request.content,
            created_at: time("timestamp", &request.timestamp)?,
        })
    }
}

impl TryFrom<ConversationRequest> for NewConversation {
    type Error = ApiError;

    fn try_from(request: ConversationRequest) -> Result<Self, ApiError> {
        let created_at = request.created_at.map(|at| time("created_at", &at));
        let messages: Result<_, ApiError> = request
            .messages
            .into_iter()
            .map(TryInto::try_into)
            .collect();
        Ok(Self {
            session: session_id(Location::Body, "id", &request.id)?,
            title: request.title,
            created_at: created_at.transpose()?,
            messages: messages?,
        })
    }
}

/// POST /api/v1/sessions/import: stores conversations of other systems
///
/// At most 100 conversations at once, of at most 1000 messages each; more of one conversation in further requests.
/// Importing again adds only messages that are not there.
#[api_v2_operation(tags(Sessions), operation_id = "import_sessions")]
pub(crate) async fn import_sessions(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ImportSessionsRequest>,
) -> Result<Reply<ImportedSessionsResponse>, ApiError> {
    let conversations: Result<_, ApiError> = body
        .0
        .conversations
        .into_iter()
        .map(TryInto::try_into)
        .collect();
    let (conversations, sessions) = (conversations?, Arc::clone(&services.sessions));
    let imported = kernel
        .core()
        .run(async move { sessions.import(&caller, conversations).await })
        .await?;
    Ok(Reply(ImportedSessionsResponse {
        sessions: imported.into_iter().map(Into::into).collect(),
    }))
}
