//! Session ids as clients write them.

use majordomo_domain::SessionId;

use crate::error::{ApiError, ErrorClass, FieldIssue, Location};

/// What PocketPaw's clients put before a session's id.
const CHANNEL_PREFIXES: [&str; 2] = ["websocket_", "websocket:"];

/// What identifiers look like, for documents.
pub const ID_PATTERN: &str = "^[A-Za-z0-9._:@-]{1,128}$";

/// Reads a session id that stands in `field`; the same session may be named with or without PocketPaw's prefix.
pub fn session_id(location: Location, field: &str, text: &str) -> Result<SessionId, ApiError> {
    let bare = CHANNEL_PREFIXES
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .filter(|bare| !bare.is_empty())
        .unwrap_or(text);
    SessionId::parse(bare).map_err(|error| {
        let issue =
            FieldIssue::new(location, field, "invalid_value", error.to_string()).with_input(text);
        ApiError::invalid(ErrorClass::Invalid, vec![issue])
    })
}
