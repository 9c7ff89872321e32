//! Ollama's own protocol (`/api/chat`, `/api/embed`), which tells more than its OpenAI-compatible one.

mod decoder;
mod embeddings;
mod models;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use majordomo_application::ports::{
    ChatModel, EmbeddingProvider, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream,
};

use crate::answer::{AnswerParser, answer_stream};
use crate::config::{ProviderConfig, ProviderConfigError};
use crate::framing::Framing;
use crate::http::{HttpClient, KeyHeader};

/// An Ollama server.
pub struct OllamaChatModel {
    http: Arc<HttpClient>,
    chat: Uri,
    embed: Uri,
    tags: Uri,
    show: Uri,
}

impl OllamaChatModel {
    /// Where Ollama listens by default.
    pub const DEFAULT_BASE_URL: &'static str = "http://localhost:11434";

    /// An adapter for the server. Fails on an address or key that cannot be used.
    pub fn new(config: &ProviderConfig) -> Result<Self, ProviderConfigError> {
        let http = Arc::new(HttpClient::new(config, &KeyHeader::Bearer)?);
        let uri = |path| {
            http.uri(path).ok_or_else(|| ProviderConfigError::BaseUrl {
                name: config.name.clone(),
            })
        };
        Ok(Self {
            chat: uri("api/chat")?,
            embed: uri("api/embed")?,
            tags: uri("api/tags")?,
            show: uri("api/show")?,
            http,
        })
    }

    /// A parser for the raw bytes of one streamed answer of this server.
    pub fn answer_parser(&self) -> AnswerParser {
        let failures = self.http.failures().clone();
        let decoder = decoder::OllamaDecoder::new(failures.clone());
        AnswerParser::new(Framing::lines(), decoder, failures)
    }
}

#[async_trait]
impl ChatModel for OllamaChatModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let body = request::ChatBody::new(&request).map_err(|request::ImageByAddress| {
            let what = "only pictures sent as data can be read, not addresses of pictures";
            self.http.failures().error(ModelErrorKind::Invalid, what)
        })?;
        let body = self.http.post_for_stream(&self.chat, &body).await?;
        Ok(answer_stream(body, self.answer_parser()))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        self.list_models().await
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self)
    }
}
