//! OpenAI's protocol of chat completions and embeddings, spoken by OpenAI, `OpenRouter`, Groq, `DeepSeek`, Mistral, vLLM, llama.cpp, LM
//! Studio and many others.

mod decoder;
mod embeddings;
mod relay;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use majordomo_application::ports::{
    ChatModel, CompletionRelay, EmbeddingProvider, ModelError, ModelInfo, ModelRequest, ModelStream,
};
use serde::Deserialize;

use crate::answer::{AnswerParser, answer_stream};
use crate::config::{ProviderConfig, ProviderConfigError};
use crate::framing::Framing;
use crate::http::{HttpClient, KeyHeader, after};

pub(crate) use request::Tool;

/// Most models listed.
const MAX_MODELS: usize = 1000;

/// A provider that speaks OpenAI's chat-completions protocol.
pub struct OpenAiChatModel {
    http: Arc<HttpClient>,
    completions: Uri,
    embeddings: Uri,
    models: Uri,
}

impl OpenAiChatModel {
    /// OpenAI's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://api.openai.com/v1";

    /// An adapter for the provider. Fails on an address or key that cannot be used.
    pub fn new(config: &ProviderConfig) -> Result<Self, ProviderConfigError> {
        let http = Arc::new(HttpClient::new(config, &KeyHeader::Bearer)?);
        let uri = |path| {
            http.uri(path).ok_or_else(|| ProviderConfigError::BaseUrl {
                name: config.name.clone(),
            })
        };
        Ok(Self {
            completions: uri("chat/completions")?,
            embeddings: uri("embeddings")?,
            models: uri("models")?,
            http,
        })
    }

    /// A parser for the raw bytes of one streamed answer of this provider.
    pub fn answer_parser(&self) -> AnswerParser {
        let failures = self.http.failures().clone();
        let decoder = decoder::OpenAiDecoder::new(failures.clone());
        AnswerParser::new(Framing::events(), decoder, failures)
    }
}

#[async_trait]
impl ChatModel for OpenAiChatModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let body = request::CompletionBody::new(&request);
        let body = self.http.post_for_stream(&self.completions, &body).await?;
        Ok(answer_stream(body, self.answer_parser()))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        let until = after(self.http.connect_timeout());
        let list: ModelList = self.http.get_json(&self.models, until).await?;
        let models = list.data.into_iter().take(MAX_MODELS);
        Ok(models
            .map(|model| ModelInfo {
                context_length: model
                    .context_length
                    .or(model.max_model_len)
                    .or(model.context_window),
                id: model.id,
                parameters: None,
            })
            .collect())
    }

    fn relay(&self) -> Option<&dyn CompletionRelay> {
        Some(self)
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self)
    }
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

/// OpenAI tells the id alone; `OpenRouter`, vLLM and Groq tell the context window too, each under another name.
#[derive(Deserialize)]
struct Model {
    id: String,
    context_length: Option<u64>,
    max_model_len: Option<u64>,
    context_window: Option<u64>,
}
