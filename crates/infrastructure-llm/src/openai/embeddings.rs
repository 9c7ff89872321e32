//! OpenAI's `/embeddings`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use majordomo_application::ports::{
    Embedder, EmbeddingModel, EmbeddingProvider, EmbeddingRelay, Embeddings, ModelError,
};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::OpenAiChatModel;
use crate::embeddings::{EmbeddingProtocol, Question, RemoteEmbedder};
use crate::failure::Failures;

/// How OpenAI and those like it embed.
struct OpenAiEmbeddings;

impl EmbeddingProvider for OpenAiChatModel {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        let url = Some(self.embeddings.clone());
        Arc::new(RemoteEmbedder::<OpenAiEmbeddings>::new(
            &self.http, url, model,
        ))
    }

    fn embedding_relay(&self) -> Option<&dyn EmbeddingRelay> {
        Some(self)
    }
}

#[async_trait]
impl EmbeddingRelay for OpenAiChatModel {
    async fn relay_embeddings(&self, body: Bytes) -> Result<Bytes, ModelError> {
        let limit = self.http.total_timeout();
        self.http.post_within(&self.embeddings, body, limit).await
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [String],
    /// A third of the bytes of decimal numbers. Servers that do not know it answer with numbers, which are read too.
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

impl EmbeddingProtocol for OpenAiEmbeddings {
    /// OpenAI's own limit.
    const MAX_BATCH: usize = 2048;

    fn request<'a>(question: &'a Question<'a>) -> impl Serialize + Send + 'a {
        Body {
            model: question.model,
            input: question.texts,
            encoding_format: "base64",
            dimensions: question.dimensions,
        }
    }

    fn read(body: &[u8], failures: &Failures) -> Result<Embeddings, ModelError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| failures.undecodable(&error))?;
        if let Some(error) = answer.error {
            return Err(failures.in_band(error));
        }
        let vectors = in_order(answer.data)
            .ok_or_else(|| failures.malformed("the vectors are not numbered one by one"))?;
        Ok(Embeddings {
            vectors,
            input_tokens: answer.usage.and_then(|usage| usage.prompt_tokens),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Item>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vector,
}

/// The vectors by their indexes; where one has none, by its place. `None` unless each index from 0 on is there once.
fn in_order(items: Vec<Item>) -> Option<Vec<Vec<f32>>> {
    let mut vectors: Vec<Option<Vec<f32>>> = items.iter().map(|_| None).collect();
    for (place, item) in items.into_iter().enumerate() {
        let slot = vectors.get_mut(item.index.unwrap_or(place))?;
        if slot.replace(item.embedding.0).is_some() {
            return None;
        }
    }
    vectors.into_iter().collect()
}

/// A list of numbers, or the base64 of little-endian 32-bit floats.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers or base64")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vector, A::Error> {
        let mut vector = Vec::new();
        while let Some(number) = numbers.next_element()? {
            vector.push(number);
        }
        Ok(Vector(vector))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = STANDARD.decode(text).map_err(|_| E::custom("no base64"))?;
        let (numbers, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(E::custom("no whole floats"));
        }
        Ok(Vector(
            numbers
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
        ))
    }
}
