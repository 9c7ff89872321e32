//! The tools on offer, by name.

use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{ToolCall, ToolOutput};

use crate::ports::{Tool, ToolContext, ToolError, ToolSpec};

/// Longest tool output given to the model and kept in the journal, in bytes.
const MAX_OUTPUT: usize = 64 * 1024;

/// The tools on offer.
pub struct ToolRegistry {
    tools: Vec<Arc<dyn Tool>>,
    specs: Arc<[ToolSpec]>,
    timeout: Duration,
}

impl ToolRegistry {
    /// A registry; every call is cut off after `timeout`.
    pub fn new(tools: Vec<Arc<dyn Tool>>, timeout: Duration) -> Self {
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        Self {
            tools,
            specs,
            timeout,
        }
    }

    /// What models are told of the tools.
    pub const fn specs(&self) -> &Arc<[ToolSpec]> {
        &self.specs
    }

    /// The tool of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.spec().name == name)
    }

    /// Calls a tool. Whatever goes wrong becomes words for the model.
    pub async fn call(&self, context: &ToolContext, call: &ToolCall) -> ToolOutput {
        let (content, is_error) = match self.try_call(context, call).await {
            Ok(content) => (truncate(content), false),
            Err(error) => (error.to_string(), true),
        };
        ToolOutput {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content,
            is_error,
        }
    }

    async fn try_call(&self, context: &ToolContext, call: &ToolCall) -> Result<String, ToolError> {
        let tool = self
            .find(&call.name)
            .ok_or_else(|| ToolError::Failed(format!("there is no tool named {}", call.name)))?;
        let arguments = if call.arguments.trim().is_empty() {
            "{}"
        } else {
            call.arguments.as_str()
        };
        let arguments = serde_json::from_str(arguments)
            .map_err(|error| ToolError::Arguments(error.to_string()))?;
        tokio::time::timeout(self.timeout, tool.call(context, arguments))
            .await
            .unwrap_or_else(|_| {
                Err(ToolError::Failed(format!(
                    "no result within {} s",
                    self.timeout.as_secs()
                )))
            })
    }
}

fn truncate(mut text: String) -> String {
    if text.len() > MAX_OUTPUT {
        let cut = (0..=MAX_OUTPUT)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(cut);
        text.push_str("\n[cut]");
    }
    text
}
