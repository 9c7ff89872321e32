//! An embedder that needs no model: a bag of words, hashed.
//!
//! Texts that share words have vectors near each other; word order and case do not matter. The vectors have the length 1,
//! or 0 for a text without words, and are the same in every process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_application::ports::{
    Embedder, EmbeddingRole, Embeddings, ModelError, ModelErrorKind,
};

use crate::Gate;

/// One call of the embedder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingCall {
    /// The texts.
    pub texts: Vec<String>,
    /// What they are.
    pub role: EmbeddingRole,
}

/// Embeds by hashing words, records what it was asked, and fails or waits when it is told to.
pub struct HashingEmbedder {
    model: String,
    dimension: usize,
    max_batch: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failure: Option<ModelError>,
    gate: Option<Gate>,
    calls: Vec<EmbeddingCall>,
}

impl HashingEmbedder {
    /// An embedder of this name with vectors of `dimension` numbers and batches of at most 16 texts.
    pub fn new(model: &str, dimension: usize) -> Self {
        Self {
            model: model.to_owned(),
            dimension,
            max_batch: 16,
            state: Mutex::default(),
        }
    }

    /// The same with batches of at most so many texts.
    #[must_use]
    pub fn with_max_batch(mut self, max_batch: usize) -> Self {
        self.max_batch = max_batch;
        self
    }

    /// From now on every call fails so, until [`recover`](Self::recover).
    pub fn fail_with(&self, kind: ModelErrorKind) {
        let error = ModelError::new(kind, "the embedder is told to fail");
        self.state().failure = Some(error);
    }

    /// From now on calls succeed.
    pub fn recover(&self) {
        self.state().failure = None;
    }

    /// From now on every call waits until the gate is open.
    pub fn wait_for(&self, gate: &Gate) {
        self.state().gate = Some(gate.clone());
    }

    /// The calls so far, failed ones too.
    pub fn calls(&self) -> Vec<EmbeddingCall> {
        self.state().calls.clone()
    }

    /// The vector of a text.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; self.dimension];
        let lower = text.to_lowercase();
        for word in lower.split(|c: char| !c.is_alphanumeric()) {
            if word.is_empty() {
                continue;
            }
            // Two places for each word make it unlikely that two words have all of them in common.
            for seed in [FNV_OFFSET, !FNV_OFFSET] {
                let hash = fnv(seed, word);
                let at = usize::try_from(hash >> 1).unwrap_or_default() % self.dimension.max(1);
                if let Some(number) = vector.get_mut(at) {
                    *number += if hash & 1 == 0 { 1.0 } else { -1.0 };
                }
            }
        }
        let length = vector.iter().map(|n| n * n).sum::<f32>().sqrt();
        if length > 0.0 {
            for number in &mut vector {
                *number /= length;
            }
        }
        vector
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Embedder for HashingEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let (failure, gate) = {
            let mut state = self.state();
            let texts = texts.to_vec();
            state.calls.push(EmbeddingCall { texts, role });
            (state.failure.clone(), state.gate.clone())
        };
        if let Some(gate) = gate {
            gate.passed().await;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if texts.len() > self.max_batch {
            let what = "more texts than a batch may have";
            return Err(ModelError::new(ModelErrorKind::Invalid, what));
        }
        let words: usize = texts.iter().map(|t| t.split_whitespace().count()).sum();
        Ok(Embeddings {
            vectors: texts.iter().map(|text| self.vector(text)).collect(),
            input_tokens: u64::try_from(words).ok(),
        })
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with a finishing step that spreads the low bits.
fn fnv(seed: u64, word: &str) -> u64 {
    let hash = word.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}
