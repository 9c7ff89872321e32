//! Gemini's `batchEmbedContents`.

use std::sync::Arc;

use majordomo_application::ports::{
    Embedder, EmbeddingModel, EmbeddingProvider, EmbeddingRole, Embeddings, ModelError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{GeminiChatModel, collection_and_name};
use crate::embeddings::{EmbeddingProtocol, Question, RemoteEmbedder};
use crate::failure::Failures;
use crate::http::uri;

/// How Gemini embeds.
struct GeminiEmbeddings;

impl EmbeddingProvider for GeminiChatModel {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        let url = self.method_url(&model.name, "batchEmbedContents");
        let uri = url.as_ref().and_then(uri);
        Arc::new(RemoteEmbedder::<GeminiEmbeddings>::new(
            &self.http, uri, model,
        ))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    requests: Vec<Request<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    /// Each part of a batch names the model again, with its collection.
    model: String,
    content: Content<'a>,
    task_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

impl EmbeddingProtocol for GeminiEmbeddings {
    /// Google's limit.
    const MAX_BATCH: usize = 100;

    fn request<'a>(question: &'a Question<'a>) -> impl Serialize + Send + 'a {
        let (collection, name) =
            collection_and_name(question.model).unwrap_or(("models", question.model));
        let requests = question.texts.iter().map(|text| Request {
            model: format!("{collection}/{name}"),
            content: Content {
                parts: [Part { text }],
            },
            task_type: match question.role {
                EmbeddingRole::Document => "RETRIEVAL_DOCUMENT",
                EmbeddingRole::Query => "RETRIEVAL_QUERY",
            },
            output_dimensionality: question.dimensions,
        });
        Body {
            requests: requests.collect(),
        }
    }

    fn read(body: &[u8], failures: &Failures) -> Result<Embeddings, ModelError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| failures.undecodable(&error))?;
        if let Some(error) = answer.error {
            return Err(failures.in_band(error));
        }
        let vectors = answer.embeddings.into_iter().map(|item| item.values);
        Ok(Embeddings {
            vectors: vectors.collect(),
            input_tokens: answer
                .usage_metadata
                .and_then(|usage| usage.prompt_token_count),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Item>,
    usage_metadata: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<u64>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    values: Vec<f32>,
}
