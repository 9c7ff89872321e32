//! Asking a provider for vectors, whatever its protocol, and checking what it answers.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use majordomo_application::ports::{
    Embedder, EmbeddingModel, EmbeddingRole, Embeddings, ModelError, ModelErrorKind,
};
use serde::Serialize;

use crate::failure::Failures;
use crate::http::HttpClient;

/// What is asked.
pub(crate) struct Question<'a> {
    /// The model's name at its provider.
    pub(crate) model: &'a str,
    /// The texts, at least one.
    pub(crate) texts: &'a [String],
    /// What the texts are.
    pub(crate) role: EmbeddingRole,
    /// Numbers wanted in a vector.
    pub(crate) dimensions: Option<u32>,
}

/// How a protocol words questions and answers.
pub(crate) trait EmbeddingProtocol: Send + Sync + 'static {
    /// The most texts of one request.
    const MAX_BATCH: usize;

    /// The body of the request.
    fn request<'a>(question: &'a Question<'a>) -> impl Serialize + Send + 'a;

    /// Reads the body of an answer; the vectors come in the order of the texts and are checked by the caller.
    fn read(body: &[u8], failures: &Failures) -> Result<Embeddings, ModelError>;
}

/// An embedding model of a provider that speaks `P`.
pub(crate) struct RemoteEmbedder<P> {
    http: Arc<HttpClient>,
    url: Option<Uri>,
    called: String,
    model: EmbeddingModel,
    protocol: PhantomData<P>,
}

impl<P: EmbeddingProtocol> RemoteEmbedder<P> {
    /// `model`, asked at `url`; none where no model can have this name.
    pub(crate) fn new(http: &Arc<HttpClient>, url: Option<Uri>, model: EmbeddingModel) -> Self {
        Self {
            http: http.clone(),
            url,
            called: format!("{}/{}", http.failures().provider(), model.name),
            model,
            protocol: PhantomData,
        }
    }
}

#[async_trait]
impl<P: EmbeddingProtocol> Embedder for RemoteEmbedder<P> {
    fn model(&self) -> &str {
        &self.called
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        if texts.is_empty() {
            return Ok(Embeddings::default());
        }
        let failures = self.http.failures();
        let invalid = |what: &str| failures.error(ModelErrorKind::Invalid, what);
        if texts.len() > self.max_batch() {
            return Err(invalid("more texts than one request may have"));
        }
        let url = self
            .url
            .as_ref()
            .ok_or_else(|| invalid("this is no name of a model"))?;
        let body = self.http.encode(&P::request(&Question {
            model: &self.model.name,
            texts,
            role,
            dimensions: self.model.dimensions,
        }))?;
        let answer = self.http.post_within(url, body, self.model.timeout).await?;
        let embeddings = P::read(&answer, failures)?;
        check(&embeddings.vectors, texts.len(), self.model.dimensions)
            .map_err(|what| failures.malformed(what))?;
        Ok(embeddings)
    }

    fn max_batch(&self) -> usize {
        self.model.max_batch.clamp(1, P::MAX_BATCH)
    }
}

/// Says what is wrong with the vectors of `texts` texts.
fn check(vectors: &[Vec<f32>], texts: usize, dimensions: Option<u32>) -> Result<(), String> {
    if vectors.len() != texts {
        return Err(format!("{} vectors for {texts} texts", vectors.len()));
    }
    let length = vectors.first().map_or(0, Vec::len);
    if length == 0 || vectors.iter().any(|vector| vector.len() != length) {
        return Err("vectors of different lengths, or without numbers".to_owned());
    }
    if let Some(wanted) = dimensions
        && usize::try_from(wanted) != Ok(length)
    {
        return Err(format!(
            "vectors of {length} numbers, though {wanted} were asked for"
        ));
    }
    if vectors.iter().flatten().any(|number| !number.is_finite()) {
        return Err("a vector with something that is no number".to_owned());
    }
    Ok(())
}
