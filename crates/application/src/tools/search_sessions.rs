//! Lets the model search the user's own past conversations.

use std::sync::Arc;

use async_trait::async_trait;
use majordomo_domain::{Scope, SessionTitle};
use serde_json::{Value, json};

use crate::memory::quoted;
use crate::ports::{SearchQuery, SessionRepository, Tool, ToolContext, ToolError, ToolSpec};

/// Hits returned at most.
const MAX_HITS: u32 = 20;
/// Hits returned when the model names no number.
const DEFAULT_HITS: u32 = 5;
/// Characters shown of a hit.
const SHOWN: usize = 200;

/// Full-text search over the caller's sessions.
pub struct SearchSessions {
    spec: ToolSpec,
    sessions: Arc<dyn SessionRepository>,
}

impl SearchSessions {
    /// A tool over the stored sessions.
    pub fn new(sessions: Arc<dyn SessionRepository>) -> Self {
        let spec = ToolSpec {
            name: "search_sessions".to_owned(),
            description: "Searches the user's earlier conversations for messages that hold all of the given words."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "query": { "type": "string", "description": "The words to look for." },
                    "limit": { "type": "integer", "minimum": 1, "maximum": MAX_HITS },
                },
                "required": ["query"],
                "additionalProperties": false,
            }),
        };
        Self { spec, sessions }
    }
}

#[async_trait]
impl Tool for SearchSessions {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn is_recollection(&self) -> bool {
        true
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<String, ToolError> {
        context
            .caller
            .require(Scope::Sessions)
            .map_err(|denied| ToolError::Failed(denied.to_string()))?;
        let text = arguments
            .get("query")
            .and_then(Value::as_str)
            .ok_or_else(|| ToolError::Arguments("query must be a text".to_owned()))?;
        let limit = arguments
            .get("limit")
            .and_then(Value::as_u64)
            .and_then(|limit| u32::try_from(limit).ok());
        let limit = limit.unwrap_or(DEFAULT_HITS).clamp(1, MAX_HITS);
        let query = SearchQuery {
            text: text.to_owned(),
            // The message that is being answered is left out.
            limit: limit + 1,
        };
        let hits = self
            .sessions
            .search(&context.caller.user, &query)
            .await
            .map_err(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "search_sessions failed"
                );
                ToolError::Failed("the search is unavailable".to_owned())
            })?;
        let earlier = hits.iter().filter(|hit| hit.message != context.message);
        let lines: Vec<String> = earlier
            .zip(0..limit)
            .map(|(hit, _)| {
                format!(
                    "[{}] {} in \"{}\" ({}): {}",
                    hit.created_at,
                    hit.role.as_str(),
                    quoted(&hit.title, SessionTitle::MAX_CHARS),
                    hit.session,
                    quoted(&hit.snippet, SHOWN)
                )
            })
            .collect();
        if lines.is_empty() {
            return Ok("Nothing found.".to_owned());
        }
        Ok(lines.join("\n"))
    }
}
