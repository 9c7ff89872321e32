//! The work in the background.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{MemoryId, MessageId, UserId};
use thiserror::Error;

use super::{Embedding, MAX_CHARS, Sweep, beginning};
use crate::ports::{
    EmbeddingRole, ModelError, ModelErrorKind, NewVector, RememberedId, RepositoryError,
    VectorSpace,
};

/// Between failures, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What other processes stored, or nobody told, is found after this.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// What is looked at in one step.
const STEP: u32 = 256;
/// Longest answer of an embedder, whatever limit it has of its own.
const ANSWER: Duration = Duration::from_mins(2);
/// Texts in a row that the embedder refuses before it is asked whether it takes any.
const MAX_REFUSED: u32 = 16;
/// A text that every embedder takes.
const HARMLESS: &str = "memory";

/// Why there is nothing to do but wait.
#[derive(Debug, Error)]
enum Failure {
    #[error("the embedder fails")]
    Embedder(#[from] ModelError),
    #[error("the storage fails")]
    Storage(#[from] RepositoryError),
}

impl Failure {
    fn public_message(&self) -> String {
        match self {
            Self::Embedder(error) => error.to_string(),
            Self::Storage(_) => "The storage fails".to_owned(),
        }
    }

    /// How long the embedder asks to be left alone.
    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Embedder(error) => error.retry_after(),
            Self::Storage(_) => None,
        }
    }
}

/// What to do next.
enum Step {
    /// Embed these.
    Told(Vec<(UserId, RememberedId)>),
    /// Look at what comes behind this.
    Sweep(Option<RememberedId>),
    Wait,
}

/// A text to be embedded.
struct Item {
    owner: UserId,
    id: RememberedId,
    revision: u64,
    text: String,
}

impl Embedding {
    /// Embeds what has no vector, until it is stopped.
    pub(super) async fn run(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            self.lock().is_working = true;
            let done = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                done = self.work() => done,
            };
            self.note(done.as_ref().err());
            let (wait, woken) = match &done {
                Ok(()) => (SWEEP_EVERY, true),
                Err(failure) => (failure.retry_after().unwrap_or_default().max(pause), false),
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => self.lock().sweep = Sweep::Due,
                () = self.told.notified(), if woken => {}
            }
            pause = match done {
                Ok(()) => FIRST_PAUSE,
                Err(_) => (pause * 2).min(LONGEST_PAUSE),
            };
        }
    }

    /// Notes how the last work ended; says so when it is another end than before.
    fn note(&self, failure: Option<&Failure>) {
        let mut state = self.lock();
        state.is_working = false;
        let before = state.failure.take();
        match failure {
            None if before.is_some() => tracing::info!("what is remembered is embedded again"),
            None => {}
            Some(failure) => {
                // What was told is among what a sweep finds.
                state.told.clear();
                state.sweep = Sweep::Due;
                state.failure = Some(failure.public_message());
                if before.is_none() {
                    let error: &dyn std::error::Error = failure;
                    tracing::warn!(error, "what is remembered is not embedded for now");
                }
            }
        }
    }

    /// Embeds until nothing is left.
    async fn work(&self) -> Result<(), Failure> {
        let mut space = self.known_space().await?;
        loop {
            match self.next_step() {
                Step::Told(ids) => self.embed(&space, ids).await?,
                Step::Sweep(after) => {
                    let vectors = self.vectors();
                    let missing = vectors.missing(&space, after.as_ref(), STEP).await?;
                    let last = missing.last().map(|(_, id)| id.clone());
                    self.embed(&space, missing).await?;
                    self.swept(after, last);
                }
                Step::Wait => return Ok(()),
            }
            space = self.known_space().await?;
        }
    }

    fn next_step(&self) -> Step {
        let mut state = self.lock();
        if !state.told.is_empty() {
            let most = usize::try_from(STEP).unwrap_or(usize::MAX);
            let many = state.told.len().min(most);
            return Step::Told(state.told.drain(..many).collect());
        }
        match &state.sweep {
            Sweep::Due => Step::Sweep(None),
            Sweep::Behind(id) => Step::Sweep(Some(id.clone())),
            Sweep::Done => Step::Wait,
        }
    }

    /// Goes on with the sweep that was at `from`, unless another one became due.
    fn swept(&self, from: Option<RememberedId>, last: Option<RememberedId>) {
        let mut state = self.lock();
        let at = from.map_or(Sweep::Due, Sweep::Behind);
        if state.sweep == at {
            state.sweep = last.map_or(Sweep::Done, Sweep::Behind);
        }
    }

    /// The present space; the embedder is asked where it has not said anything yet.
    async fn known_space(&self) -> Result<VectorSpace, Failure> {
        loop {
            if let Some(space) = self.space() {
                return Ok(space);
            }
            let vectors = self.ask(&[HARMLESS.to_owned()]).await?;
            self.learn(vectors.first().map_or(&[], Vec::as_slice))?;
        }
    }

    /// The vectors of texts.
    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let answer = self.ports.embedder.embed(texts, EmbeddingRole::Document);
        let answer = tokio::time::timeout(ANSWER, answer).await;
        let answer = answer.map_err(|_| {
            ModelError::new(ModelErrorKind::Timeout, "The embedder takes too long")
        })??;
        if answer.vectors.len() == texts.len() {
            return Ok(answer.vectors);
        }
        let what = "The embedder answers with another number of vectors";
        Err(ModelError::new(ModelErrorKind::Malformed, what))
    }

    /// Embeds these and stores their vectors. What is gone, says nothing or cannot be embedded is left out.
    async fn embed(
        &self,
        space: &VectorSpace,
        ids: Vec<(UserId, RememberedId)>,
    ) -> Result<(), Failure> {
        let mut by_owner: BTreeMap<UserId, Vec<RememberedId>> = BTreeMap::new();
        for (owner, id) in ids {
            by_owner.entry(owner).or_default().push(id);
        }
        let mut texts = Vec::new();
        for (owner, mut ids) in by_owner {
            ids.sort();
            ids.dedup();
            self.read(&owner, &ids, &mut texts).await?;
        }
        let mut refused = 0;
        for batch in texts.chunks(self.ports.embedder.max_batch().max(1)) {
            self.embed_batch(space, batch, &mut refused).await?;
        }
        Ok(())
    }

    /// Reads the texts of what exists.
    async fn read(
        &self,
        owner: &UserId,
        ids: &[RememberedId],
        texts: &mut Vec<Item>,
    ) -> Result<(), RepositoryError> {
        let (mut memories, mut turns): (Vec<MemoryId>, Vec<MessageId>) = Default::default();
        for id in ids {
            match id {
                RememberedId::Memory(id) => memories.push(id.clone()),
                RememberedId::Turn(id) => turns.push(id.clone()),
            }
        }
        let mut add = |id, revision, text: &str| {
            if !text.trim().is_empty() {
                let (owner, text) = (owner.clone(), beginning(text, MAX_CHARS).to_owned());
                texts.push(Item {
                    owner,
                    id,
                    revision,
                    text,
                });
            }
        };
        if !memories.is_empty() {
            for memory in self.ports.memories.find(owner, &memories).await? {
                add(
                    RememberedId::Memory(memory.id),
                    memory.revision,
                    &memory.content,
                );
            }
        }
        if !turns.is_empty() {
            for turn in self.ports.turns.find(owner, &turns).await? {
                add(RememberedId::Turn(turn.message), 0, &turn.text);
            }
        }
        Ok(())
    }

    /// Embeds a batch. One that the embedder refuses is taken apart, so that only what it refuses stays without a vector.
    async fn embed_batch(
        &self,
        space: &VectorSpace,
        batch: &[Item],
        refused: &mut u32,
    ) -> Result<(), Failure> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let texts: Vec<String> = part.iter().map(|text| text.text.clone()).collect();
            match self.ask(&texts).await {
                Ok(vectors) => {
                    *refused = 0;
                    self.store(space, part, vectors).await?;
                }
                Err(error) if is_about_texts(&error) => {
                    if *refused >= MAX_REFUSED {
                        // Is it these texts, or all?
                        self.ask(&[HARMLESS.to_owned()]).await?;
                        *refused = 0;
                    }
                    if let [one] = part {
                        *refused += 1;
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, id = ?one.id, "a text is not embedded");
                    } else {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn store(
        &self,
        space: &VectorSpace,
        texts: &[Item],
        vectors: Vec<Vec<f32>>,
    ) -> Result<(), Failure> {
        for vector in &vectors {
            self.learn(vector)?;
        }
        if self.space().as_ref() != Some(space) {
            // The embedder has become another one, and a sweep of its space is due.
            return Ok(());
        }
        let mut new: BTreeMap<&UserId, Vec<NewVector>> = BTreeMap::new();
        for (text, vector) in texts.iter().zip(vectors) {
            new.entry(&text.owner).or_default().push(NewVector {
                of: text.id.clone(),
                revision: text.revision,
                vector,
            });
        }
        for (owner, vectors) in new {
            self.vectors().store(owner, space, &vectors).await?;
        }
        Ok(())
    }
}

/// Whether other texts may be embedded all the same.
const fn is_about_texts(error: &ModelError) -> bool {
    matches!(
        error.kind,
        ModelErrorKind::ContextTooLong
            | ModelErrorKind::Refused
            | ModelErrorKind::Invalid
            | ModelErrorKind::Malformed
    )
}
