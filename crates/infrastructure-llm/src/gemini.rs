//! Google's Gemini protocol (`generateContent`, `batchEmbedContents`).

mod decoder;
mod embeddings;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use majordomo_application::ports::{
    ChatModel, EmbeddingProvider, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream,
};
use serde::Deserialize;
use url::Url;

use crate::answer::{AnswerParser, answer_stream};
use crate::config::{ProviderConfig, ProviderConfigError};
use crate::framing::Framing;
use crate::http::{HttpClient, KeyHeader, after, uri};

/// A provider that speaks Google's Gemini protocol.
pub struct GeminiChatModel {
    http: Arc<HttpClient>,
    models: Uri,
}

impl GeminiChatModel {
    /// Google's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://generativelanguage.googleapis.com/v1beta";

    /// An adapter for the provider. Fails on an address or key that cannot be used.
    pub fn new(config: &ProviderConfig) -> Result<Self, ProviderConfigError> {
        let http = HttpClient::new(config, &KeyHeader::Named("x-goog-api-key"))?;
        let http = Arc::new(http);
        // The largest page there is.
        let models = http.uri("models?pageSize=1000");
        let models = models.ok_or_else(|| ProviderConfigError::BaseUrl {
            name: config.name.clone(),
        })?;
        Ok(Self { http, models })
    }

    /// A parser for the raw bytes of one streamed answer of this provider.
    pub fn answer_parser(&self) -> AnswerParser {
        let failures = self.http.failures().clone();
        let decoder = decoder::GeminiDecoder::new(failures.clone());
        AnswerParser::new(Framing::events(), decoder, failures)
    }

    /// Where `model` streams.
    fn stream_uri(&self, model: &str) -> Option<Uri> {
        let mut url = self.method_url(model, "streamGenerateContent")?;
        url.set_query(Some("alt=sse"));
        uri(&url)
    }

    /// Where `model` is asked for `method`. Its name is part of the path, so it must be one: `gemini-...`, `models/...`
    /// or `tunedModels/...`.
    fn method_url(&self, model: &str, method: &str) -> Option<Url> {
        let (collection, name) = collection_and_name(model)?;
        let mut url = self.http.base_url().clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .push(collection)
            .push(&format!("{name}:{method}"));
        Some(url)
    }
}

/// What a model's name consists of, if it is one.
fn collection_and_name(model: &str) -> Option<(&str, &str)> {
    let (collection, name) = model.split_once('/').unwrap_or(("models", model));
    let known = !name.is_empty() && matches!(collection, "models" | "tunedModels");
    known.then_some((collection, name))
}

#[async_trait]
impl ChatModel for GeminiChatModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let uri = self.stream_uri(&request.model).ok_or_else(|| {
            let failures = self.http.failures();
            failures.error(ModelErrorKind::Invalid, "this is no name of a model")
        })?;
        let body = request::GenerateBody::new(&request);
        let body = self.http.post_for_stream(&uri, &body).await?;
        Ok(answer_stream(body, self.answer_parser()))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        let until = after(self.http.connect_timeout());
        let list: ModelList = self.http.get_json(&self.models, until).await?;
        let chat_models = list.models.into_iter().filter(Model::can_chat);
        Ok(chat_models
            .map(|model| ModelInfo {
                id: match model.name.strip_prefix("models/") {
                    Some(id) => id.to_owned(),
                    None => model.name,
                },
                parameters: None,
                context_length: model.input_token_limit,
            })
            .collect())
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self)
    }
}

#[derive(Deserialize)]
struct ModelList {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    name: String,
    input_token_limit: Option<u64>,
    supported_generation_methods: Option<Vec<String>>,
}

impl Model {
    /// Embedding models are listed too.
    fn can_chat(&self) -> bool {
        self.supported_generation_methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|method| method == "generateContent"))
    }
}
