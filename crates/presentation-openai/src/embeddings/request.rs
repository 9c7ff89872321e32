//! The body of a request for vectors, as OpenAI's reference words it. Parameters that are not named here are passed over.

use majordomo_presentation_http::ApiError;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::invalid_parameter;

/// Most texts of one request: OpenAI's own limit.
const MAX_TEXTS: usize = 2048;
/// Most numbers in a vector that may be asked for.
const MAX_DIMENSIONS: u32 = 65_536;

/// What is asked. Models whose provider speaks this protocol itself get every parameter, also those not listed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EmbeddingRequest {
    /// The model: `<provider>/<model>` or a bare model name.
    #[expect(
        dead_code,
        reason = "documents the field; the head of the request has read it"
    )]
    #[schemars(regex(pattern = r"\S"))]
    model: String,
    /// A text, or up to 2048 texts. Lists of tokens only for providers that speak this protocol themselves.
    input: Input,
    /// How the vectors are written.
    encoding_format: Option<EncodingFormat>,
    /// Numbers wanted in a vector, for models that can give fewer.
    #[schemars(range(min = 1, max = 65_536_u32))]
    dimensions: Option<u32>,
    /// Who speaks; not used.
    #[expect(dead_code, reason = "documents the field")]
    user: Option<String>,
}

/// What is to be embedded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(#[expect(dead_code, reason = "refused unread")] Vec<u32>),
    TokenLists(#[expect(dead_code, reason = "refused unread")] Vec<Vec<u32>>),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EncodingFormat {
    /// As lists of numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

impl EmbeddingRequest {
    /// How the vectors are written.
    pub(super) fn format(&self) -> EncodingFormat {
        self.encoding_format.unwrap_or_default()
    }

    /// The numbers wanted in a vector.
    pub(super) fn dimensions(&self) -> Result<Option<u32>, ApiError> {
        match self.dimensions {
            Some(dimensions) if !(1..=MAX_DIMENSIONS).contains(&dimensions) => {
                let error = format!("must lie between 1 and {MAX_DIMENSIONS}");
                Err(invalid_parameter("dimensions", "invalid_value", &error))
            }
            dimensions => Ok(dimensions),
        }
    }

    /// The texts, at least one, none of them empty.
    pub(super) fn texts(self) -> Result<Vec<String>, ApiError> {
        let wrong =
            |field: &str, error: &str| Err(invalid_parameter(field, "invalid_value", error));
        let texts = match self.input {
            Input::Text(text) if text.is_empty() => {
                return wrong("input", "must not be an empty text");
            }
            Input::Text(text) => vec![text],
            Input::Texts(texts) => texts,
            Input::Tokens(_) | Input::TokenLists(_) => {
                return wrong("input", "this model reads texts, not lists of tokens");
            }
        };
        if texts.is_empty() || texts.len() > MAX_TEXTS {
            return wrong("input", &format!("expected 1 to {MAX_TEXTS} texts"));
        }
        match texts.iter().position(String::is_empty) {
            Some(place) => wrong(&format!("input.{place}"), "must not be an empty text"),
            None => Ok(texts),
        }
    }
}
