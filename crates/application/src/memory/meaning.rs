//! What a question means: its vector, and what is near to it where the process does not hold all vectors.

use std::time::Duration;

use majordomo_domain::UserId;

use super::embedding::Embedding;
use super::index::{Meaning, RankingQuery};
use super::indexes::OwnerIndex;
use super::service::MemoryService;
use crate::ports::{NearVector, RepositoryError};

/// How long a search waits for storage to compare vectors.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a chat turn does.
const TURN_PATIENCE: Duration = Duration::from_millis(2);

impl MemoryService {
    /// What the question of a search means.
    pub(super) async fn meaning(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        vector: Option<Vec<f32>>,
        query: &RankingQuery<'_>,
    ) -> Meaning {
        self.meaning_within(PATIENCE, owner, index, vector, query)
            .await
    }

    /// What was said in a turn means. Storage that was too slow for a turn is not asked again by turns before a search
    /// has found it quick.
    pub(super) async fn meaning_of_turn(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        vector: Option<Vec<f32>>,
        query: &RankingQuery<'_>,
    ) -> Meaning {
        match vector {
            Some(vector) if index.is_slow() => Meaning::Vector(vector),
            vector => {
                self.meaning_within(TURN_PATIENCE, owner, index, vector, query)
                    .await
            }
        }
    }

    async fn meaning_within(
        &self,
        patience: Duration,
        owner: &UserId,
        index: &OwnerIndex,
        vector: Option<Vec<f32>>,
        query: &RankingQuery<'_>,
    ) -> Meaning {
        let (Some(vector), Some(embedding)) = (vector, &self.embedding) else {
            return Meaning::Unknown;
        };
        if !index.lacks_vectors() {
            return Meaning::Vector(vector);
        }
        // It is slow until it has answered: a turn that gives up on all of its memory ends this, too.
        index.note_slowness(true);
        let began = self.clock.now();
        let asked = nearest(embedding, owner, &vector, query);
        let answer = tokio::time::timeout(patience, asked).await;
        let took = self.clock.now().as_micros() - began.as_micros();
        let is_quick = u128::try_from(took).is_ok_and(|t| t <= TURN_PATIENCE.as_micros());
        index.note_slowness(answer.is_err() || !is_quick);
        match answer {
            Ok(Ok(Some(nearest))) => return Meaning::Nearest(nearest),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the vectors in storage cannot be compared");
            }
            Err(_) => {
                tracing::warn!(?patience, "comparing the vectors in storage takes too long");
            }
        }
        Meaning::Vector(vector)
    }
}

/// `None` where storage cannot tell, and before the embedder has answered once.
async fn nearest(
    embedding: &Embedding,
    owner: &UserId,
    question: &[f32],
    query: &RankingQuery<'_>,
) -> Result<Option<Vec<NearVector>>, RepositoryError> {
    let Some(space) = embedding.space() else {
        return Ok(None);
    };
    let limit = u32::try_from(query.nearest()).unwrap_or(u32::MAX);
    let vectors = embedding.vectors();
    vectors
        .nearest(owner, &space, question, query.turns, limit)
        .await
}
