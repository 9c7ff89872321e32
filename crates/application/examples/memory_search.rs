//! Measures one search in very many memories of one user, and how many of the nearest vectors it finds.
//!
//! `memory_search [MEMORIES [QUESTIONS]]`: 1,000,000 memories and 200 questions where nothing is named. The memories are
//! made, not stored: twelve words each whose frequencies fall as Zipf's law says, and a vector of 384 numbers near one of
//! many centres, so that there are many near ones for each question. What is exact is computed from the vectors as they
//! were made.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "a measurement that goes wrong ends with its cause"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use majordomo_application::Caller;
use majordomo_application::memory::{
    Embedding, EmbeddingPorts, Found, MemoryPorts, MemorySearch, MemoryService,
};
use majordomo_application::ports::{
    Embedder, EmbeddingRole, Embeddings, MemoryFilter, MemoryInsert, MemoryRepository,
    MemoryVectors, ModelError, NearVector, NewVector, RememberedId, RememberedKind,
    RepositoryError, SessionMark, StoredVector, TurnRepository, VectorCounts, VectorSpace,
};
use majordomo_domain::{
    AuditRecord, CredentialKind, Memory, MemoryId, MemoryKind, MemoryTurn, MessageId, Scope,
    Scopes, SessionId, Timestamp, UserId, UserRole,
};
use majordomo_testkit::builders::{memory, user};
use majordomo_testkit::{FixedClock, InMemoryStore, SequentialIds};

const MEMORIES: usize = 1_000_000;
const QUESTIONS: usize = 200;
const DIMENSION: usize = 384;
/// Memories around one centre, on average.
const PER_CENTRE: usize = 200;
/// How far from its centre a memory is, against the centre's length: the cosine between two of one centre is about 0.4.
const SPREAD: f32 = 1.2;
/// Different words.
const WORDS: usize = 50_000;
/// The nearest vectors that are to be found.
const NEAREST: usize = 10;

/// Numbers that look random and are the same every time (`SplitMix64`; Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Nearly normal, of variance 1.
    fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.share()).sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    /// A word; the second is half as frequent as the first, the third a third.
    fn word(&mut self) -> String {
        let rank = (WORDS as f32).powf(self.share()) as usize;
        format!("w{}", rank * 7919 % 1_000_003)
    }
}

/// What is remembered, without a database.
struct Made {
    owner: UserId,
    texts: Vec<String>,
    vectors: Vec<f32>,
    questions: Vec<(String, Vec<f32>)>,
}

impl Made {
    fn new(memories: usize, questions: usize) -> Self {
        let mut random = Random(20_261_121);
        let centres: Vec<f32> = (0..memories.div_ceil(PER_CENTRE) * DIMENSION)
            .map(|_| random.normal())
            .collect();
        let near = |random: &mut Random| {
            let centre = random.next() as usize % (centres.len() / DIMENSION);
            let centre = &centres[centre * DIMENSION..][..DIMENSION];
            let vector: Vec<f32> = centre
                .iter()
                .map(|n| n + SPREAD * random.normal())
                .collect();
            let length = dot(&vector, &vector).sqrt();
            vector.into_iter().map(|n| n / length).collect::<Vec<f32>>()
        };
        let (mut texts, mut vectors) = (Vec::new(), Vec::with_capacity(memories * DIMENSION));
        for _ in 0..memories {
            let words: Vec<String> = (0..12).map(|_| random.word()).collect();
            texts.push(words.join(" "));
            vectors.extend(near(&mut random));
        }
        let questions = (0..questions).map(|_| {
            let about = &texts[random.next() as usize % texts.len()];
            let words: Vec<&str> = about.split(' ').step_by(3).collect();
            (words.join(" "), near(&mut random))
        });
        let questions = questions.collect();
        let owner = user("owner");
        Self {
            owner,
            texts,
            vectors,
            questions,
        }
    }

    fn memory(&self, number: usize) -> Memory {
        Memory {
            id: MemoryId::parse(format!("m{number:08}")).unwrap(),
            revision: number as u64 + 1,
            created_at: Timestamp::EPOCH,
            ..memory("owner", 1, &self.texts[number])
        }
    }

    /// The memories whose vectors are the nearest, computed from all of them.
    fn exactly_nearest(&self, question: &[f32]) -> Vec<MemoryId> {
        let vectors = self.vectors.chunks_exact(DIMENSION);
        let mut nearest: Vec<(f32, usize)> = vectors
            .map(|vector| dot(vector, question))
            .zip(0..)
            .collect();
        nearest.select_nth_unstable_by(NEAREST, |a, b| b.0.total_cmp(&a.0));
        let nearest = nearest.iter().take(NEAREST);
        nearest.map(|(_, number)| self.memory(*number).id).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let ((a, _), (b, _)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[async_trait]
impl MemoryRepository for Made {
    async fn insert(
        &self,
        _: &UserId,
        _: &[Memory],
        _: u64,
        _: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError> {
        Ok(MemoryInsert::Full)
    }

    async fn find(&self, _: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError> {
        let number = |id: &MemoryId| id.as_str().split_at(1).1.parse().unwrap();
        Ok(ids.iter().map(|id| self.memory(number(id))).collect())
    }

    async fn list(
        &self,
        _: &UserId,
        _: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        Ok((Vec::new(), 0))
    }

    async fn changes(
        &self,
        _: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        let numbers = (after as usize..self.texts.len()).take(limit as usize);
        Ok(numbers.map(|number| self.memory(number)).collect())
    }

    async fn replace(
        &self,
        _: &UserId,
        _: &[Memory],
        _: bool,
        _: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError> {
        Ok(0)
    }

    async fn touch(&self, _: &UserId, _: &[MemoryId], _: Timestamp) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn delete(
        &self,
        _: &UserId,
        _: &[MemoryId],
        _: Option<u64>,
        _: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        Ok(0)
    }

    async fn counts(&self, _: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl MemoryVectors for Made {
    async fn store(
        &self,
        _: &UserId,
        _: &VectorSpace,
        _: &[NewVector],
    ) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn changes(
        &self,
        _: &UserId,
        _: &VectorSpace,
        kind: RememberedKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredVector>, RepositoryError> {
        if kind == RememberedKind::Turn {
            return Ok(Vec::new());
        }
        let numbers = (after as usize..self.texts.len()).take(limit as usize);
        let stored = numbers.map(|number| StoredVector {
            of: RememberedId::Memory(self.memory(number).id),
            stored: number as u64 + 1,
            vector: self.vectors[number * DIMENSION..][..DIMENSION].to_vec(),
        });
        Ok(stored.collect())
    }

    async fn missing(
        &self,
        _: &VectorSpace,
        _: Option<&RememberedId>,
        _: u32,
    ) -> Result<Vec<(UserId, RememberedId)>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn nearest(
        &self,
        _: &UserId,
        _: &VectorSpace,
        _: &[f32],
        _: bool,
        _: u32,
    ) -> Result<Option<Vec<NearVector>>, RepositoryError> {
        Ok(None)
    }

    async fn count(&self, _: &UserId, _: &VectorSpace) -> Result<VectorCounts, RepositoryError> {
        Ok(VectorCounts::default())
    }

    async fn embeddable(&self, _: &UserId) -> Result<VectorCounts, RepositoryError> {
        Ok(VectorCounts::default())
    }
}

#[async_trait]
impl TurnRepository for Made {
    async fn sessions(
        &self,
        _: &UserId,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<SessionMark>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn turns(
        &self,
        _: &UserId,
        _: &SessionId,
        _: u64,
        _: u32,
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn existing(
        &self,
        _: &UserId,
        _: &[SessionId],
    ) -> Result<Vec<SessionId>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn find(&self, _: &UserId, _: &[MessageId]) -> Result<Vec<MemoryTurn>, RepositoryError> {
        Ok(Vec::new())
    }
}

/// Knows the vectors of the questions.
#[async_trait]
impl Embedder for Made {
    fn model(&self) -> &'static str {
        "made"
    }

    async fn embed(&self, texts: &[String], _: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let vector = |text: &String| {
            let question = self.questions.iter().find(|question| question.0 == *text);
            question.map_or(vec![1.0; DIMENSION], |question| question.1.clone())
        };
        Ok(Embeddings {
            vectors: texts.iter().map(vector).collect(),
            input_tokens: None,
        })
    }

    fn max_batch(&self) -> usize {
        1
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|number| number.parse().unwrap());
    let (memories, questions) = (arguments.next(), arguments.next());
    let made = Arc::new(Made::new(
        memories.unwrap_or(MEMORIES),
        questions.unwrap_or(QUESTIONS),
    ));
    let clock = Arc::new(FixedClock::default());
    let service = MemoryService::new(MemoryPorts {
        memories: made.clone(),
        turns: made.clone(),
        audit_log: Arc::new(InMemoryStore::new()),
        clock: clock.clone(),
        ids: Arc::new(SequentialIds::new()),
    });
    let service = service.with_embedding(Embedding::new(EmbeddingPorts {
        embedder: made.clone(),
        vectors: made.clone(),
        memories: made.clone(),
        turns: made.clone(),
        clock,
    }));
    let role = UserRole::Member;
    let scopes = Scopes::from_iter([Scope::Memory]);
    let caller = Caller::new(made.owner.clone(), role, scopes, CredentialKind::Login);
    let ask = async |text: &str| {
        let (text, limit, turns) = (text.to_owned(), 100, true);
        let search = MemorySearch { text, limit, turns };
        let begun = Instant::now();
        let hits = service.search(&caller, &search).await.unwrap();
        (hits, begun.elapsed())
    };
    let (_, built) = ask("first question").await;
    let (mut times, mut right) = (Vec::new(), 0);
    for (text, vector) in &made.questions {
        let (hits, took) = ask(text).await;
        times.push(took);
        let exact = made.exactly_nearest(vector);
        let near = hits.iter().filter(|hit| {
            let is_near = hit
                .meaning_rank
                .is_some_and(|rank| usize::from(rank) <= NEAREST);
            matches!(&hit.found, Found::Memory(memory) if is_near && exact.contains(&memory.id))
        });
        right += near.count();
    }
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let percent = |percent: usize| milliseconds(times[(times.len() - 1) * percent / 100]);
    let recall = right as f64 / (NEAREST * made.questions.len()) as f64;
    println!(
        "one search in {} memories with vectors of {DIMENSION} numbers: p50 {:.2} ms, p99 {:.2} ms; recall@{NEAREST} of the \
         nearest vectors {recall:.4}; index built in {:.1} s",
        made.texts.len(),
        percent(50),
        percent(99),
        built.as_secs_f64(),
    );
}
