//! The vectors of memories and messages.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{
    Durability, MemoryVectors, NearVector, NewVector, RememberedId, RememberedKind,
    RepositoryError, StoredVector, VectorCounts, VectorSpace,
};
use majordomo_domain::{MemoryId, MessageId, Role, UserId};

use super::error::{Outcome, corrupt, to_stored};
use super::memories::advance;
use super::schema::{memories, memory_vectors, messages};
use crate::backend::{self, Conn, Database};

/// Bytes of one number of a vector.
const NUMBER: usize = 4;

fn encode(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// The inverse of [`encode`]; `None` unless there are `dimension` numbers.
pub(crate) fn decode(bytes: &[u8], dimension: u32) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<NUMBER>();
    let whole = rest.is_empty() && u32::try_from(numbers.len()) == Ok(dimension);
    whole.then(|| {
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    })
}

/// A vector as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = memory_vectors)]
struct VectorRow {
    revision: i64,
    memory_id: Option<String>,
    message_id: Option<String>,
    vector: Vec<u8>,
}

impl VectorRow {
    fn read(self, dimension: u32) -> Result<StoredVector, RepositoryError> {
        let bad = |column| corrupt("memory_vectors", column, self.revision);
        let (memory_id, message_id) = (self.memory_id.as_deref(), self.message_id.as_deref());
        Ok(StoredVector {
            of: remembered(memory_id, message_id, self.revision)?,
            stored: u64::try_from(self.revision).map_err(|_| bad("revision"))?,
            vector: decode(&self.vector, dimension).ok_or_else(|| bad("vector"))?,
        })
    }
}

fn memory(id: &str) -> Option<RememberedId> {
    MemoryId::parse(id).ok().map(RememberedId::Memory)
}

fn turn(id: &str) -> Option<RememberedId> {
    MessageId::parse(id).ok().map(RememberedId::Turn)
}

/// Whether the owner has this, at the revision that was embedded.
async fn is_current(conn: &mut Conn, owner: &UserId, vector: &NewVector) -> Outcome<bool> {
    let found = match &vector.of {
        RememberedId::Memory(id) => {
            let own = memories::table
                .filter(memories::id.eq(id.as_str()))
                .filter(memories::owner.eq(owner.as_str()))
                .filter(memories::revision.eq(to_stored(vector.revision)));
            diesel::select(exists(own)).get_result(conn).await?
        }
        RememberedId::Turn(id) => {
            let own = messages::table
                .filter(messages::id.eq(id.as_str()))
                .filter(messages::owner.eq(owner.as_str()));
            diesel::select(exists(own)).get_result(conn).await?
        }
    };
    Ok(found)
}

/// Stores vectors while no memory of the owner can change. A message that goes meanwhile makes all of it fail.
async fn store(
    conn: &mut Conn,
    owner: &UserId,
    space: &VectorSpace,
    vectors: &[NewVector],
) -> Outcome<()> {
    let amount = i64::try_from(vectors.len()).unwrap_or(i64::MAX);
    let (revision, _) = advance(conn, owner, amount, 0).await?;
    let mut stored = Vec::with_capacity(vectors.len());
    for (revision, vector) in (revision + 1..).zip(vectors) {
        if !is_current(conn, owner, vector).await? {
            continue;
        }
        let (memory_id, message_id) = match &vector.of {
            RememberedId::Memory(id) => (Some(id.as_str()), None),
            RememberedId::Turn(id) => (None, Some(id.as_str())),
        };
        let old = diesel::delete(memory_vectors::table);
        match &vector.of {
            RememberedId::Memory(id) => {
                let of = memory_vectors::memory_id.eq(id.as_str());
                old.filter(of).execute(conn).await?
            }
            RememberedId::Turn(id) => {
                let of = memory_vectors::message_id.eq(id.as_str());
                old.filter(of).execute(conn).await?
            }
        };
        diesel::insert_into(memory_vectors::table)
            .values((
                memory_vectors::owner.eq(owner.as_str()),
                memory_vectors::revision.eq(revision),
                memory_vectors::memory_id.eq(memory_id),
                memory_vectors::message_id.eq(message_id),
                memory_vectors::model.eq(backend::encode_text(&space.model)),
                memory_vectors::dimension.eq(i64::from(space.dimension)),
                memory_vectors::vector.eq(encode(&vector.vector)),
            ))
            .execute(conn)
            .await?;
        stored.push((revision, vector.vector.as_slice()));
    }
    backend::index_vectors(conn, owner.as_str(), &stored).await
}

/// Whose vector a row is of: of a memory or of a message.
fn remembered(
    memory_id: Option<&str>,
    message_id: Option<&str>,
    revision: i64,
) -> Result<RememberedId, RepositoryError> {
    let bad = |column| corrupt("memory_vectors", column, revision);
    match (memory_id, message_id) {
        (Some(id), None) => memory(id).ok_or_else(|| bad("memory_id")),
        (None, Some(id)) => turn(id).ok_or_else(|| bad("message_id")),
        _ => Err(bad("memory_id")),
    }
}

/// A vector that is near, by its revision; whose it is: a memory's or a message's; and the cosine.
pub(crate) type NearRow = (i64, Option<String>, Option<String>, f64);

async fn nearest(
    conn: &mut Conn,
    owner: &UserId,
    space: &VectorSpace,
    question: &[f32],
    turns: bool,
    limit: u32,
) -> Outcome<Option<Vec<NearVector>>> {
    let nearest =
        backend::nearest_vectors(conn, owner.as_str(), space, question, turns, limit).await?;
    let Some(rows) = nearest else {
        return Ok(None);
    };
    let near = rows
        .into_iter()
        .map(|(revision, memory_id, message_id, similarity)| {
            Ok(NearVector {
                of: remembered(memory_id.as_deref(), message_id.as_deref(), revision)?,
                similarity: to_f32(similarity),
            })
        });
    let near: Result<Vec<_>, RepositoryError> = near.collect();
    Ok(Some(near?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "similarities need no more than seven digits"
)]
const fn to_f32(similarity: f64) -> f32 {
    similarity as f32
}

async fn changes(
    conn: &mut Conn,
    owner: &UserId,
    space: &VectorSpace,
    kind: RememberedKind,
    after: u64,
    limit: u32,
) -> Outcome<Vec<StoredVector>> {
    let query = memory_vectors::table.into_boxed();
    let query = match kind {
        RememberedKind::Memory => query.filter(memory_vectors::memory_id.is_not_null()),
        RememberedKind::Turn => query.filter(memory_vectors::message_id.is_not_null()),
    };
    let rows: Vec<VectorRow> = query
        .filter(memory_vectors::owner.eq(owner.as_str()))
        .filter(memory_vectors::revision.gt(to_stored(after)))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)))
        .order(memory_vectors::revision)
        .limit(i64::from(limit))
        .select(VectorRow::as_select())
        .load(conn)
        .await?;
    let vectors: Result<Vec<_>, _> = rows
        .into_iter()
        .map(|row| row.read(space.dimension))
        .collect();
    Ok(vectors?)
}

/// What follows `after` of one kind, by owner and id.
type Rows = Vec<(String, String)>;

async fn missing_memories(
    conn: &mut Conn,
    space: &VectorSpace,
    after: &str,
    limit: u32,
) -> Outcome<Rows> {
    let present = memory_vectors::table
        .filter(memory_vectors::memory_id.eq(memories::id.nullable()))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)));
    Ok(memories::table
        .filter(memories::id.gt(after))
        .filter(not(exists(present)))
        .order(memories::id)
        .limit(i64::from(limit))
        .select((memories::owner, memories::id))
        .load(conn)
        .await?)
}

async fn missing_turns(
    conn: &mut Conn,
    space: &VectorSpace,
    after: &str,
    limit: u32,
) -> Outcome<Rows> {
    let present = memory_vectors::table
        .filter(memory_vectors::message_id.eq(messages::id.nullable()))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)));
    Ok(messages::table
        .filter(messages::id.gt(after))
        .filter(messages::role.ne(Role::System.as_str()))
        .filter(messages::text.ne(""))
        .filter(not(exists(present)))
        .order(messages::id)
        .limit(i64::from(limit))
        .select((messages::owner, messages::id))
        .load(conn)
        .await?)
}

fn owned(
    rows: Rows,
    table: &'static str,
    id: fn(&str) -> Option<RememberedId>,
) -> Result<Vec<(UserId, RememberedId)>, RepositoryError> {
    let read = rows.into_iter().map(|(owner, text)| {
        let of = id(&text).ok_or_else(|| corrupt(table, "id", &text))?;
        let owner = UserId::parse(owner).map_err(|_| corrupt(table, "owner", &text))?;
        Ok((owner, of))
    });
    read.collect()
}

async fn missing(
    conn: &mut Conn,
    space: &VectorSpace,
    after: Option<&RememberedId>,
    limit: u32,
) -> Outcome<Vec<(UserId, RememberedId)>> {
    // Ids are never empty.
    let (memories_after, turns_after) = match after {
        None => (Some(""), ""),
        Some(RememberedId::Memory(id)) => (Some(id.as_str()), ""),
        Some(RememberedId::Turn(id)) => (None, id.as_str()),
    };
    let mut found = Vec::new();
    if let Some(after) = memories_after {
        let rows = missing_memories(conn, space, after, limit).await?;
        found = owned(rows, "memories", memory)?;
    }
    let rest = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
    if rest > 0 {
        let rows = missing_turns(conn, space, turns_after, rest).await?;
        found.extend(owned(rows, "messages", turn)?);
    }
    Ok(found)
}

async fn count(conn: &mut Conn, owner: &UserId, space: &VectorSpace) -> Outcome<VectorCounts> {
    let (memories, turns): (i64, i64) = memory_vectors::table
        .filter(memory_vectors::owner.eq(owner.as_str()))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)))
        .select((
            diesel::dsl::count(memory_vectors::memory_id),
            diesel::dsl::count(memory_vectors::message_id),
        ))
        .first(conn)
        .await?;
    Ok(VectorCounts {
        memories: u64::try_from(memories).unwrap_or_default(),
        turns: u64::try_from(turns).unwrap_or_default(),
    })
}

async fn embeddable(conn: &mut Conn, owner: &UserId) -> Outcome<VectorCounts> {
    let memories: i64 = memories::table
        .filter(memories::owner.eq(owner.as_str()))
        .count()
        .get_result(conn)
        .await?;
    let turns: i64 = messages::table
        .filter(messages::owner.eq(owner.as_str()))
        .filter(messages::role.ne(Role::System.as_str()))
        .filter(messages::text.ne(""))
        .count()
        .get_result(conn)
        .await?;
    Ok(VectorCounts {
        memories: u64::try_from(memories).unwrap_or_default(),
        turns: u64::try_from(turns).unwrap_or_default(),
    })
}

/// Stores vectors in a database.
pub struct DieselMemoryVectors {
    db: Arc<Database>,
}

impl DieselMemoryVectors {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl MemoryVectors for DieselMemoryVectors {
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[NewVector],
    ) -> Result<(), RepositoryError> {
        if vectors.is_empty() {
            return Ok(());
        }
        let input = (owner.clone(), space.clone(), vectors.to_vec());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, space, vectors)| Box::pin(store(conn, owner, space, vectors)),
            )
            .await
    }

    async fn changes(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        kind: RememberedKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredVector>, RepositoryError> {
        let input = (owner.clone(), space.clone(), kind, after, limit);
        self.db
            .read(input, |conn, (owner, space, kind, after, limit)| {
                Box::pin(changes(conn, owner, space, *kind, *after, *limit))
            })
            .await
    }

    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&RememberedId>,
        limit: u32,
    ) -> Result<Vec<(UserId, RememberedId)>, RepositoryError> {
        let input = (space.clone(), after.cloned(), limit);
        self.db
            .read(input, |conn, (space, after, limit)| {
                Box::pin(missing(conn, space, after.as_ref(), *limit))
            })
            .await
    }

    async fn nearest(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        question: &[f32],
        turns: bool,
        limit: u32,
    ) -> Result<Option<Vec<NearVector>>, RepositoryError> {
        let input = (
            owner.clone(),
            space.clone(),
            question.to_vec(),
            turns,
            limit,
        );
        self.db
            .read(input, |conn, (owner, space, question, turns, limit)| {
                Box::pin(nearest(conn, owner, space, question, *turns, *limit))
            })
            .await
    }

    async fn count(
        &self,
        owner: &UserId,
        space: &VectorSpace,
    ) -> Result<VectorCounts, RepositoryError> {
        self.db
            .read((owner.clone(), space.clone()), |conn, (owner, space)| {
                Box::pin(count(conn, owner, space))
            })
            .await
    }

    async fn embeddable(&self, owner: &UserId) -> Result<VectorCounts, RepositoryError> {
        self.db
            .read(owner.clone(), |conn, owner| {
                Box::pin(embeddable(conn, owner))
            })
            .await
    }
}
