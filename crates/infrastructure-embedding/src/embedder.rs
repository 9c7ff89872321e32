//! The embedder: threads of its own and short queues before them, so that neither chats nor each other wait for sums.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use majordomo_application::ports::{
    Embedder, EmbeddingRole, Embeddings, ModelError, ModelErrorKind,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::directory::ModelDirectoryError;
use crate::sentences::{LoadError, SentenceModel};

/// Calls that wait in a queue before callers wait for room in it.
const QUEUE: usize = 8;

/// Which model, and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEmbedderConfig {
    /// Where `config.json`, `tokenizer.json`, `model.safetensors` and `1_Pooling/config.json` are.
    pub directory: PathBuf,
    /// What the model is called.
    pub name: String,
    /// Threads that do the sums, at least 1.
    pub threads: usize,
    /// The most texts of one call, at least 1.
    pub max_batch: usize,
    /// Longest wait for a call, the queue included.
    pub timeout: Duration,
}

/// Why a model cannot be run.
#[derive(Debug, Error)]
pub enum LocalEmbedderError {
    /// Its files are of no use.
    #[error(transparent)]
    Directory(#[from] ModelDirectoryError),
    /// The system gives no threads.
    #[error("no threads for an embedding model: {0}")]
    Threads(String),
}

impl From<LoadError> for LocalEmbedderError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Directory(error) => Self::Directory(error),
            LoadError::Threads(error) => Self::Threads(error),
        }
    }
}

/// A question on its way to a thread.
struct Job {
    texts: Vec<String>,
    role: EmbeddingRole,
    answer: oneshot::Sender<Result<Embeddings, ModelError>>,
}

/// A sentence-transformer in this process. Questions and documents have a queue and a thread each: a search does not wait
/// for an import.
pub struct LocalEmbedder {
    called: String,
    name: String,
    max_batch: usize,
    timeout: Duration,
    documents: mpsc::Sender<Job>,
    queries: mpsc::Sender<Job>,
}

impl LocalEmbedder {
    /// Loads a model and starts its threads, which end with the embedder. Reads large files: not for async threads.
    pub fn open(config: LocalEmbedderConfig) -> Result<Self, LocalEmbedderError> {
        let model = SentenceModel::load(&config.directory, config.threads.max(1))?;
        let model = Arc::new(model);
        Ok(Self {
            called: format!("{}@{}", config.name, model.fingerprint),
            documents: start("embedding-documents", &config.name, &model)?,
            queries: start("embedding-queries", &config.name, &model)?,
            name: config.name,
            max_batch: config.max_batch.max(1),
            timeout: config.timeout,
        })
    }

    /// What a model in this directory is called: the directory's name.
    pub fn name_of(directory: &Path) -> String {
        let name = directory.file_name().map(|name| name.to_string_lossy());
        name.filter(|name| !name.is_empty())
            .map_or_else(|| "model".to_owned(), Cow::into_owned)
    }

    fn error(&self, kind: ModelErrorKind, what: &str) -> ModelError {
        ModelError::new(kind, format!("{}: {what}", self.name))
    }

    async fn ask(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let queue = match role {
            EmbeddingRole::Document => &self.documents,
            EmbeddingRole::Query => &self.queries,
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            texts: texts.to_vec(),
            role,
            answer,
        };
        let gone = || self.error(ModelErrorKind::Unavailable, "the model has stopped");
        queue.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    /// The name with a fingerprint of the files behind `@`: another model in the same directory has another name.
    fn model(&self) -> &str {
        &self.called
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        if texts.is_empty() {
            return Ok(Embeddings::default());
        }
        if texts.len() > self.max_batch {
            let what = "more texts than one call may have";
            return Err(self.error(ModelErrorKind::Invalid, what));
        }
        // Dropping the question on the way tells the thread that nobody waits any more.
        match timeout(self.timeout, self.ask(texts, role)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.error(ModelErrorKind::Timeout, "the model takes too long")),
        }
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
}

/// Starts a thread that answers what comes through the queue, until nobody can ask any more.
fn start(
    thread: &str,
    name: &str,
    model: &Arc<SentenceModel>,
) -> Result<mpsc::Sender<Job>, LocalEmbedderError> {
    let (sender, mut jobs) = mpsc::channel::<Job>(QUEUE);
    let (model, name) = (model.clone(), name.to_owned());
    let work = move || {
        while let Some(job) = jobs.blocking_recv() {
            answer(&model, &name, job);
        }
    };
    thread::Builder::new()
        .name(thread.to_owned())
        .spawn(work)
        .map_err(|error| LocalEmbedderError::Threads(error.to_string()))?;
    Ok(sender)
}

/// Answers one question. What the libraries do wrong is an error of this call only.
fn answer(model: &SentenceModel, name: &str, job: Job) {
    let Job {
        texts,
        role,
        answer,
    } = job;
    let is_wanted = || !answer.is_closed();
    let embedded = catch_unwind(AssertUnwindSafe(|| model.embed(&texts, role, is_wanted)));
    let result = match embedded {
        Ok(Ok(None)) => return,
        Ok(Ok(Some(sentences))) => Ok(Embeddings {
            vectors: sentences.vectors,
            input_tokens: Some(sentences.tokens),
        }),
        Ok(Err(error)) => {
            let words = error.to_string();
            let words = words.lines().next().unwrap_or_default();
            Err(format!("{name}: {words}"))
        }
        Err(_) => Err(format!("{name}: the model broke down")),
    };
    let result = result.map_err(|words| ModelError::new(ModelErrorKind::Malformed, words));
    // Nobody may wait any more.
    let _ = answer.send(result);
}
