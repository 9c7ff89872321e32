//! A whole session as a file: JSON or Markdown.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use majordomo_application::Caller;
use majordomo_domain::{Message, Role, Session, Timestamp};
use majordomo_presentation_http::openapi::{Markdown, Media, OneOf, Raw, Reply};
use majordomo_presentation_http::{ApiError, ErrorClass, Kernel, Services};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dto::MessageResponse;
use super::named;
use crate::fails::Fails;
use crate::wire::{wire_id, wire_time};

/// Characters of the session's id in the file's name.
const NAMED_BY: usize = 20;

/// What an export answers.
pub(crate) type ExportReply = Fails<Fails<OneOf<Raw<ExportResponse>, Media<Markdown>>, 400>, 404>;

/// How the file is to be written.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ExportParams {
    /// `json` (when missing) or `md`.
    #[schemars(with = "Option<ExportFormat>")]
    pub(crate) format: Option<String>,
}

/// How a file is written, for the document.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
#[expect(
    dead_code,
    reason = "only described; what is sent is read as text, to answer with this dialect's words"
)]
pub(crate) enum ExportFormat {
    Json,
    Md,
}

/// A whole session.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportResponse {
    /// The version of this form.
    export_version: &'static str,
    /// When it was written.
    exported_at: String,
    /// Names the session.
    session_id: String,
    /// How many messages follow.
    message_count: usize,
    /// All messages, oldest first.
    messages: Vec<MessageResponse>,
}

/// Writes a session as a file.
pub(crate) async fn export(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    text: &str,
    format: Option<String>,
) -> Result<ExportReply, ApiError> {
    let markdown = match format.as_deref() {
        None | Some("json") => false,
        Some("md") => true,
        Some(_) => return Err(bad_request("Format must be 'json' or 'md'")),
    };
    let not_found = |error: ApiError| match error.class() {
        ErrorClass::NotFound => error.with_message(format!("Session not found: {text}")),
        _ => error,
    };
    let id = named(text).map_err(not_found)?;
    let sessions = Arc::clone(&services.sessions);
    let (session, messages) = kernel
        .core()
        .run(async move { sessions.export(&caller, &id).await })
        .await
        .map_err(not_found)?;
    let now = kernel.clock().now();
    let file = if markdown {
        let file = Media::new(as_markdown(&session, &messages, now));
        OneOf::Second(file.with_header(attachment(&session, "md")))
    } else {
        let disposition = attachment(&session, "json");
        let file = as_json(&session, messages, now);
        OneOf::First(Raw::from(Reply(file)).with_header(disposition))
    };
    Ok(Fails(Fails(file)))
}

/// A request that lacks something, in the words clients know.
pub(crate) fn bad_request(words: &str) -> ApiError {
    ApiError::new(ErrorClass::Invalid, "invalid_field", words).with_status(StatusCode::BAD_REQUEST)
}

fn attachment(session: &Session, extension: &str) -> (&'static str, String) {
    let name: String = wire_id(&session.id).chars().take(NAMED_BY).collect();
    let value = format!("attachment; filename=\"pocketpaw-session-{name}.{extension}\"");
    (CONTENT_DISPOSITION.as_str(), value)
}

fn as_json(session: &Session, messages: Vec<Message>, now: Timestamp) -> ExportResponse {
    ExportResponse {
        export_version: "1.0",
        exported_at: wire_time(now),
        session_id: wire_id(&session.id),
        message_count: messages.len(),
        messages: messages.into_iter().map(Into::into).collect(),
    }
}

fn as_markdown(session: &Session, messages: &[Message], now: Timestamp) -> String {
    let mut text = format!(
        "# Conversation Export\n**Session**: `{}` | **Messages**: {} | **Exported**: {}\n\n---",
        wire_id(&session.id),
        messages.len(),
        now.to_utc().format("%Y-%m-%d %H:%M"),
    );
    for message in messages {
        let who = match message.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::System => "System",
        };
        let when = message.created_at.to_utc().format("%H:%M");
        // Writing into a string cannot fail.
        let _ = write!(text, "\n\n**{who}** ({when}):\n{}\n\n---", message.text);
    }
    text
}
