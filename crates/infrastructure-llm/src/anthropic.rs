//! Anthropic's Messages protocol.

mod decoder;
mod request;

use async_trait::async_trait;
use http::Uri;
use majordomo_application::ports::{ChatModel, ModelError, ModelInfo, ModelRequest, ModelStream};
use serde::Deserialize;

use crate::answer::{AnswerParser, answer_stream};
use crate::config::{ProviderConfig, ProviderConfigError};
use crate::framing::Framing;
use crate::http::{HttpClient, KeyHeader, after};

/// The protocol's version, sent with every request.
const PROTOCOL_VERSION: &str = "2023-06-01";

/// A provider that speaks Anthropic's Messages protocol.
pub struct AnthropicChatModel {
    http: HttpClient,
    messages: Uri,
    models: Uri,
}

impl AnthropicChatModel {
    /// Anthropic's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://api.anthropic.com/v1";

    /// An adapter for the provider. Fails on an address or key that cannot be used.
    pub fn new(config: &ProviderConfig) -> Result<Self, ProviderConfigError> {
        let http = HttpClient::new(config, &KeyHeader::Named("x-api-key"))?
            .with_header("anthropic-version", PROTOCOL_VERSION);
        let uri = |path| {
            http.uri(path).ok_or_else(|| ProviderConfigError::BaseUrl {
                name: config.name.clone(),
            })
        };
        Ok(Self {
            messages: uri("messages")?,
            // The largest page there is.
            models: uri("models?limit=1000")?,
            http,
        })
    }

    /// A parser for the raw bytes of one streamed answer of this provider.
    pub fn answer_parser(&self) -> AnswerParser {
        let failures = self.http.failures().clone();
        let decoder = decoder::AnthropicDecoder::new(failures.clone());
        AnswerParser::new(Framing::events(), decoder, failures)
    }
}

#[async_trait]
impl ChatModel for AnthropicChatModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let body = request::MessagesBody::new(&request);
        let body = self.http.post_for_stream(&self.messages, &body).await?;
        Ok(answer_stream(body, self.answer_parser()))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        let until = after(self.http.connect_timeout());
        let list: ModelList = self.http.get_json(&self.models, until).await?;
        Ok(list
            .data
            .into_iter()
            .map(|model| ModelInfo {
                id: model.id,
                parameters: None,
                context_length: model.max_input_tokens,
            })
            .collect())
    }
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    max_input_tokens: Option<u64>,
}
