//! Ollama's `/api/embed`.

use std::sync::Arc;

use majordomo_application::ports::{
    Embedder, EmbeddingModel, EmbeddingProvider, Embeddings, ModelError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OllamaChatModel;
use crate::embeddings::{EmbeddingProtocol, Question, RemoteEmbedder};
use crate::failure::Failures;

/// How Ollama embeds.
struct OllamaEmbeddings;

impl EmbeddingProvider for OllamaChatModel {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        let url = Some(self.embed.clone());
        Arc::new(RemoteEmbedder::<OllamaEmbeddings>::new(
            &self.http, url, model,
        ))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [String],
    /// Long texts are cut rather than refused.
    truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

impl EmbeddingProtocol for OllamaEmbeddings {
    /// Ollama has no limit; more at a time are no faster.
    const MAX_BATCH: usize = 1024;

    fn request<'a>(question: &'a Question<'a>) -> impl Serialize + Send + 'a {
        Body {
            model: question.model,
            input: question.texts,
            truncate: true,
            dimensions: question.dimensions,
        }
    }

    fn read(body: &[u8], failures: &Failures) -> Result<Embeddings, ModelError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| failures.undecodable(&error))?;
        if let Some(error) = answer.error {
            return Err(failures.in_band(error));
        }
        Ok(Embeddings {
            vectors: answer.embeddings,
            input_tokens: answer.prompt_eval_count,
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
    error: Option<Value>,
}
