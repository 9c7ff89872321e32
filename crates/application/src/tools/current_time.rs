//! Tells the model what time it is.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::FixedOffset;
use serde_json::{Value, json};

use crate::ports::{Clock, Tool, ToolContext, ToolError, ToolSpec};

/// The time and date, in UTC or at a fixed offset from it.
pub struct CurrentTime {
    spec: ToolSpec,
    clock: Arc<dyn Clock>,
}

impl CurrentTime {
    /// A tool over a clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let spec = ToolSpec {
            name: "current_time".to_owned(),
            description: "The current date, time and weekday.".to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "utc_offset": {
                        "type": "string",
                        "description": "Offset from UTC as +HH:MM or -HH:MM; UTC when left out.",
                        "pattern": "^[+-][0-9]{2}:[0-9]{2}$",
                    },
                },
                "additionalProperties": false,
            }),
        };
        Self { spec, clock }
    }
}

#[async_trait]
impl Tool for CurrentTime {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    async fn call(&self, _: &ToolContext, arguments: Value) -> Result<String, ToolError> {
        let offset = match arguments.get("utc_offset").and_then(Value::as_str) {
            None => FixedOffset::east_opt(0),
            Some(text) => text.parse::<FixedOffset>().ok(),
        };
        let offset = offset
            .ok_or_else(|| ToolError::Arguments("utc_offset must look like +02:00".to_owned()))?;
        let now = self.clock.now().to_utc().with_timezone(&offset);
        Ok(now.format("%A, %Y-%m-%dT%H:%M:%S%:z").to_string())
    }
}
