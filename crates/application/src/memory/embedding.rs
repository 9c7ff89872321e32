//! What is remembered becomes vectors, in the background, and questions do when they are asked.
//!
//! The tables say what is still to be embedded: a sweep goes through everything that has no vector of the present space,
//! at the start, after every failure and now and then. Between sweeps whoever stores something tells what it was. So
//! nothing waits for an embedder, and nothing is missed because one was away, or the process died.

mod work;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use majordomo_domain::UserId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ports::{
    CheckState, Clock, Embedder, EmbeddingRole, HealthCategory, HealthCheck, HealthCheckInfo,
    MemoryRepository, MemoryVectors, ModelError, ModelErrorKind, RememberedId, RepositoryError,
    Severity, TurnRepository, VectorCounts, VectorSpace,
};

/// How long a search waits for the vector of its question.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a chat turn does.
const TURN_PATIENCE: Duration = Duration::from_millis(3);
/// How long questions are not embedded after that failed or took too long.
const REST: Duration = Duration::from_secs(5);
/// Characters of a text that are embedded. Most models read less.
const MAX_CHARS: usize = 8_000;
/// Characters of a question that are embedded.
const MAX_QUESTION: usize = 2_000;
/// What was told and is not embedded yet, at most; what is beyond is found by the next sweep.
const MAX_TOLD: usize = 4_096;

/// What embedding needs.
pub struct EmbeddingPorts {
    /// The model.
    pub embedder: Arc<dyn Embedder>,
    /// Where vectors are stored.
    pub vectors: Arc<dyn MemoryVectors>,
    /// The memories.
    pub memories: Arc<dyn MemoryRepository>,
    /// Stored messages.
    pub turns: Arc<dyn TurnRepository>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How far embedding has come for one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingProgress {
    /// The embedding model.
    pub model: String,
    /// Numbers in its vectors, once it has answered.
    pub dimension: Option<u32>,
    /// What has a vector.
    pub embedded: VectorCounts,
    /// What there is to be embedded, this included.
    pub embeddable: VectorCounts,
    /// Why nothing is embedded at present, in words fit for users.
    pub failure: Option<String>,
}

/// Where embedding stands, for whoever looks after the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingState {
    /// The embedding model.
    pub model: String,
    /// Numbers in its vectors, once it has answered.
    pub dimension: Option<u32>,
    /// Whether there may be something that has no vector yet.
    pub is_behind: bool,
    /// Why nothing is embedded at present, in words fit for users.
    pub failure: Option<String>,
}

/// Embeds what is remembered and what is asked.
pub struct Embedding {
    ports: EmbeddingPorts,
    state: Mutex<State>,
    /// Something was told.
    told: Notify,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    /// Known once the embedder has answered.
    space: Option<VectorSpace>,
    told: VecDeque<(UserId, RememberedId)>,
    sweep: Sweep,
    is_working: bool,
    failure: Option<String>,
    /// Until when questions are not embedded, in microseconds since the epoch.
    resting_until: i64,
    /// Whether the last question that a turn asked came too late.
    is_slow: bool,
}

/// Going through everything that has no vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Sweep {
    /// Due, from the beginning.
    #[default]
    Due,
    /// What is behind this is to come.
    Behind(RememberedId),
    /// Done; what comes later is told.
    Done,
}

impl Embedding {
    /// Nothing is embedded before [`start`](Self::start).
    pub fn new(ports: EmbeddingPorts) -> Arc<Self> {
        Arc::new(Self {
            ports,
            state: Mutex::default(),
            told: Notify::new(),
            stop: CancellationToken::new(),
            task: Mutex::default(),
        })
    }

    /// Begins to embed in the background.
    pub fn start(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            *task = Some(tokio::spawn(Arc::clone(self).run()));
        }
    }

    /// Ends what [`start`](Self::start) began. What is not embedded yet will be after the next start.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // A panic was reported where it happened.
            let _ = task.await;
        }
    }

    /// Where it stands.
    pub fn state(&self) -> EmbeddingState {
        let state = self.lock();
        EmbeddingState {
            model: self.ports.embedder.model().to_owned(),
            dimension: state.space.as_ref().map(|space| space.dimension),
            is_behind: state.is_working || state.sweep != Sweep::Done || !state.told.is_empty(),
            failure: state.failure.clone(),
        }
    }

    /// How far it has come for this owner.
    pub(super) async fn progress(
        &self,
        owner: &UserId,
    ) -> Result<EmbeddingProgress, RepositoryError> {
        let (space, failure) = {
            let state = self.lock();
            (state.space.clone(), state.failure.clone())
        };
        let embedded = match &space {
            Some(space) => self.vectors().count(owner, space).await?,
            None => VectorCounts::default(),
        };
        Ok(EmbeddingProgress {
            model: self.ports.embedder.model().to_owned(),
            dimension: space.map(|space| space.dimension),
            embedded,
            embeddable: self.vectors().embeddable(owner).await?,
            failure,
        })
    }

    /// Where vectors are stored.
    pub(super) fn vectors(&self) -> &dyn MemoryVectors {
        self.ports.vectors.as_ref()
    }

    /// The space of the vectors that the embedder makes now; `None` before its first answer.
    pub(super) fn space(&self) -> Option<VectorSpace> {
        self.lock().space.clone()
    }

    /// Says that these were stored or rewritten.
    pub(crate) fn tell(&self, owner: &UserId, stored: impl IntoIterator<Item = RememberedId>) {
        let mut state = self.lock();
        for id in stored {
            if state.told.len() >= MAX_TOLD {
                state.sweep = Sweep::Due;
                break;
            }
            state.told.push_back((owner.clone(), id));
        }
        drop(state);
        self.told.notify_one();
    }

    /// The vector of a question, if it comes within 300 milliseconds.
    pub(super) async fn question(&self, text: &str) -> Option<Vec<f32>> {
        let now = self.ports.clock.now().as_micros();
        if self.lock().resting_until > now {
            return None;
        }
        let asked = tokio::time::timeout(PATIENCE, self.embed_question(text)).await;
        let took = self.ports.clock.now().as_micros().saturating_sub(now);
        let problem = match asked {
            Ok(Ok(vector)) => {
                self.lock().is_slow =
                    u128::try_from(took).is_ok_and(|took| took > TURN_PATIENCE.as_micros());
                return Some(vector);
            }
            Ok(Err(error)) => error,
            Err(_) => ModelError::new(ModelErrorKind::Timeout, "The embedder takes too long"),
        };
        let rest = i64::try_from(rest_after(&problem).as_micros()).unwrap_or(i64::MAX);
        self.lock().resting_until = now.saturating_add(rest);
        let error: &dyn std::error::Error = &problem;
        tracing::warn!(error, "a search goes without the question's vector");
        None
    }

    /// The vector of what was said in a turn, if it comes within three milliseconds. An embedder that was too slow is not
    /// asked again before a search has found it quick.
    pub(super) async fn question_of_turn(&self, text: &str) -> Option<Vec<f32>> {
        let now = self.ports.clock.now().as_micros();
        {
            let state = self.lock();
            if state.is_slow || state.resting_until > now {
                return None;
            }
        }
        let asked = tokio::time::timeout(TURN_PATIENCE, self.embed_question(text)).await;
        if let Ok(vector) = asked {
            return vector.ok();
        }
        self.lock().is_slow = true;
        None
    }

    async fn embed_question(&self, text: &str) -> Result<Vec<f32>, ModelError> {
        let text = vec![beginning(text, MAX_QUESTION).to_owned()];
        let answer = self
            .ports
            .embedder
            .embed(&text, EmbeddingRole::Query)
            .await?;
        let vector = answer.vectors.into_iter().next().unwrap_or_default();
        self.learn(&vector)?;
        Ok(vector)
    }

    /// Takes the space of an answer for the present one.
    fn learn(&self, vector: &[f32]) -> Result<(), ModelError> {
        let dimension = u32::try_from(vector.len()).unwrap_or_default();
        if dimension == 0 {
            let what = "The embedder answers without a vector";
            return Err(ModelError::new(ModelErrorKind::Malformed, what));
        }
        let mut state = self.lock();
        if state
            .space
            .as_ref()
            .is_some_and(|space| space.dimension == dimension)
        {
            return Ok(());
        }
        let model = self.ports.embedder.model().to_owned();
        tracing::info!(model, dimension, "embedding into vectors of this space");
        state.space = Some(VectorSpace { model, dimension });
        state.sweep = Sweep::Due;
        drop(state);
        self.told.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a text, at most so many characters.
fn beginning(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// How long to leave an embedder alone.
fn rest_after(error: &ModelError) -> Duration {
    error.retry_after().unwrap_or(REST)
}

#[async_trait]
impl HealthCheck for Embedding {
    fn about(&self) -> HealthCheckInfo {
        HealthCheckInfo {
            id: "embedder",
            name: "Embedding model",
            category: HealthCategory::Connectivity,
            severity: Severity::Warning,
            fix_hint: "Check [memory] and the provider of the embedding model",
        }
    }

    async fn run(&self) -> CheckState {
        match self.lock().failure.clone() {
            Some(failure) => CheckState::Issue(
                Severity::Warning,
                format!("Memories are found by their words only: {failure}"),
            ),
            None => CheckState::Healthy,
        }
    }
}
