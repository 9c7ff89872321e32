//! The models that an Ollama server has.

use futures_util::{StreamExt, stream};
use majordomo_application::ports::{ModelError, ModelInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::OllamaChatModel;
use crate::http::after;

/// Most models listed.
const MAX_MODELS: usize = 1000;
/// Most models that are asked for their context window.
const MAX_DETAILED: usize = 50;
/// How many are asked at a time.
const CONCURRENCY: usize = 8;

impl OllamaChatModel {
    /// Lists the models and asks the first ones for their context windows; one that does not answer within the connect
    /// timeout is listed without.
    pub(super) async fn list_models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        let until = after(self.http.connect_timeout());
        let list: Tags = self.http.get_json(&self.tags, until).await?;
        let models = list.models.into_iter().take(MAX_MODELS).enumerate();
        let infos = models.map(|(position, tag)| async move {
            let context_length = if position < MAX_DETAILED {
                self.context_length(&tag.name, until).await
            } else {
                None
            };
            ModelInfo {
                id: tag.name,
                parameters: tag
                    .details
                    .and_then(|details| details.parameter_size)
                    .filter(|size| !size.is_empty()),
                context_length,
            }
        });
        Ok(stream::iter(infos).buffered(CONCURRENCY).collect().await)
    }

    async fn context_length(&self, model: &str, until: Instant) -> Option<u64> {
        let shown: Shown = self
            .http
            .post_json(&self.show, &Show { model }, until)
            .await
            .ok()?;
        // The key begins with the architecture: `llama.context_length`.
        let mut info = shown.model_info?.into_iter();
        info.find_map(|(key, value)| key.ends_with(".context_length").then(|| value.as_u64())?)
    }
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    parameter_size: Option<String>,
}

#[derive(Serialize)]
struct Show<'a> {
    model: &'a str,
}

#[derive(Deserialize)]
struct Shown {
    model_info: Option<Map<String, Value>>,
}
