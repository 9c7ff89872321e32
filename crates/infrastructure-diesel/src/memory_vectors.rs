//! The vectors of memories.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{
    Durability, MemoryVector, MemoryVectors, RepositoryError, VectorSpace,
};
use majordomo_domain::{MemoryId, UserId};

use super::error::{Outcome, corrupt, to_stored};
use super::schema::{memories, memory_vectors};
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
fn decode(bytes: &[u8], dimension: u32) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<NUMBER>();
    let whole = rest.is_empty() && u32::try_from(numbers.len()) == Ok(dimension);
    whole.then(|| {
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    })
}

/// Stores a vector for a memory that is locked meanwhile: without it there is none.
async fn store(
    conn: &mut Conn,
    owner: &UserId,
    space: &VectorSpace,
    vectors: &[MemoryVector],
) -> Outcome<()> {
    for vector in vectors {
        // An update first, which waits for who rewrites the memory and lets nobody do so before the end.
        let current = diesel::update(memories::table.find(vector.memory.as_str()))
            .filter(memories::owner.eq(owner.as_str()))
            .filter(memories::revision.eq(to_stored(vector.revision)))
            .set(memories::owner.eq(memories::owner))
            .execute(conn)
            .await?;
        if current == 0 {
            continue;
        }
        let row = (
            memory_vectors::memory_id.eq(vector.memory.as_str()),
            memory_vectors::owner.eq(owner.as_str()),
            memory_vectors::model.eq(backend::encode_text(&space.model)),
            memory_vectors::dimension.eq(i64::from(space.dimension)),
            memory_vectors::vector.eq(encode(&vector.vector)),
        );
        diesel::delete(memory_vectors::table.find(vector.memory.as_str()))
            .execute(conn)
            .await?;
        diesel::insert_into(memory_vectors::table)
            .values(row)
            .execute(conn)
            .await?;
    }
    Ok(())
}

async fn list(
    conn: &mut Conn,
    owner: &UserId,
    space: &VectorSpace,
    after: &str,
    limit: u32,
) -> Outcome<Vec<(MemoryId, Vec<f32>)>> {
    let rows: Vec<(String, Vec<u8>)> = memory_vectors::table
        .filter(memory_vectors::owner.eq(owner.as_str()))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)))
        .filter(memory_vectors::memory_id.gt(after))
        .order(memory_vectors::memory_id)
        .limit(i64::from(limit))
        .select((memory_vectors::memory_id, memory_vectors::vector))
        .load(conn)
        .await?;
    let vectors: Result<_, RepositoryError> = rows
        .into_iter()
        .map(|(id, bytes)| {
            let bad = |column| corrupt("memory_vectors", column, &id);
            let vector = decode(&bytes, space.dimension).ok_or_else(|| bad("vector"))?;
            let id = MemoryId::parse(id.as_str()).map_err(|_| bad("memory_id"))?;
            Ok((id, vector))
        })
        .collect();
    Ok(vectors?)
}

async fn missing(
    conn: &mut Conn,
    space: &VectorSpace,
    after: &str,
    limit: u32,
) -> Outcome<Vec<(UserId, MemoryId)>> {
    let present = memory_vectors::table
        .filter(memory_vectors::memory_id.eq(memories::id))
        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)));
    let rows: Vec<(String, String)> = memories::table
        .filter(memories::id.gt(after))
        .filter(diesel::dsl::not(diesel::dsl::exists(present)))
        .order(memories::id)
        .limit(i64::from(limit))
        .select((memories::owner, memories::id))
        .load(conn)
        .await?;
    let ids: Result<_, RepositoryError> = rows
        .into_iter()
        .map(|(owner, id)| {
            let bad = |column| corrupt("memories", column, &id);
            Ok((
                UserId::parse(owner).map_err(|_| bad("owner"))?,
                MemoryId::parse(id.as_str()).map_err(|_| bad("id"))?,
            ))
        })
        .collect();
    Ok(ids?)
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

/// Where a page begins; ids are never empty.
fn start(after: Option<&MemoryId>) -> String {
    after.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

#[async_trait]
impl MemoryVectors for DieselMemoryVectors {
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[MemoryVector],
    ) -> Result<(), RepositoryError> {
        let input = (owner.clone(), space.clone(), vectors.to_vec());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, space, vectors)| Box::pin(store(conn, owner, space, vectors)),
            )
            .await
    }

    async fn list(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        after: Option<&MemoryId>,
        limit: u32,
    ) -> Result<Vec<(MemoryId, Vec<f32>)>, RepositoryError> {
        let input = (owner.clone(), space.clone(), start(after), limit);
        self.db
            .read(input, |conn, (owner, space, after, limit)| {
                Box::pin(list(conn, owner, space, after, *limit))
            })
            .await
    }

    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&MemoryId>,
        limit: u32,
    ) -> Result<Vec<(UserId, MemoryId)>, RepositoryError> {
        let input = (space.clone(), start(after), limit);
        self.db
            .read(input, |conn, (space, after, limit)| {
                Box::pin(missing(conn, space, after, *limit))
            })
            .await
    }

    async fn count(&self, owner: &UserId, space: &VectorSpace) -> Result<u64, RepositoryError> {
        self.db
            .read((owner.clone(), space.clone()), |conn, (owner, space)| {
                Box::pin(async move {
                    let count: i64 = memory_vectors::table
                        .filter(memory_vectors::owner.eq(owner.as_str()))
                        .filter(memory_vectors::model.eq(backend::encode_text(&space.model)))
                        .filter(memory_vectors::dimension.eq(i64::from(space.dimension)))
                        .count()
                        .get_result(conn)
                        .await?;
                    Ok(u64::try_from(count).unwrap_or_default())
                })
            })
            .await
    }
}
