//! The answer to a request for vectors, in OpenAI's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use majordomo_application::ports::Embeddings;
use schemars::JsonSchema;
use serde::Serialize;

use super::request::EncodingFormat;

/// The vectors.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbeddingList<'a> {
    /// Always `list`.
    object: &'static str,
    /// One for each text, in their order.
    data: Vec<EmbeddedText<'a>>,
    /// The model as it was named.
    model: &'a str,
    /// What was read.
    usage: EmbeddingUsage,
}

/// One vector.
#[derive(Debug, Serialize, JsonSchema)]
struct EmbeddedText<'a> {
    /// Always `embedding`.
    object: &'static str,
    /// The text's place in the request, from 0.
    index: usize,
    /// The vector.
    embedding: Vector<'a>,
}

/// A vector: numbers, or base64 of little-endian 32-bit floats.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

/// What was read.
#[derive(Debug, Serialize, JsonSchema)]
struct EmbeddingUsage {
    /// Tokens of the texts; estimated where the model does not tell.
    prompt_tokens: u64,
    /// The same.
    total_tokens: u64,
}

impl<'a> EmbeddingList<'a> {
    /// The answer of `model`; `estimate`: the tokens read, where they are not told.
    pub(super) fn new(
        model: &'a str,
        embeddings: &'a Embeddings,
        estimate: u64,
        format: EncodingFormat,
    ) -> Self {
        let data = embeddings.vectors.iter().enumerate();
        let data = data.map(|(index, vector)| EmbeddedText {
            object: "embedding",
            index,
            embedding: match format {
                EncodingFormat::Float => Vector::Float(vector),
                EncodingFormat::Base64 => Vector::Base64(base64_of(vector)),
            },
        });
        let tokens = embeddings.input_tokens.unwrap_or(estimate);
        Self {
            object: "list",
            data: data.collect(),
            model,
            usage: EmbeddingUsage {
                prompt_tokens: tokens,
                total_tokens: tokens,
            },
        }
    }

    pub(super) fn into_json(self) -> Bytes {
        // Texts and finite numbers: this cannot fail.
        Bytes::from(serde_json::to_vec(&self).unwrap_or_default())
    }
}

fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
