//! Memories.

mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{
    Durability, MemoryFilter, MemoryInsert, MemoryOrder, MemoryRepository, RepositoryError,
};
use majordomo_domain::{AuditRecord, Memory, MemoryId, MemoryKind, Timestamp, UserId};

use super::audit;
use super::cached::{Cached, padded};
use super::error::{Outcome, corrupt, to_stored};
use super::schema::{memories, memory_owners, memory_vectors};
use crate::backend::{Conn, Database};
use rows::{MemoryRow, NewMemoryRow, from_rows};

/// Moves the owner's revision on by `revisions` and the count by `added`, and returns both as they were before. Comes
/// first in every change, so that changes of one owner wait for each other.
pub(super) async fn advance(
    conn: &mut Conn,
    owner: &UserId,
    revisions: i64,
    added: i64,
) -> Outcome<(i64, i64)> {
    diesel::insert_into(memory_owners::table)
        .values((
            memory_owners::owner.eq(owner.as_str()),
            memory_owners::last_revision.eq(revisions),
            memory_owners::memories.eq(added),
        ))
        .on_conflict(memory_owners::owner)
        .do_update()
        .set((
            memory_owners::last_revision.eq(memory_owners::last_revision + revisions),
            memory_owners::memories.eq(memory_owners::memories + added),
        ))
        .execute(conn)
        .await?;
    let (revision, count): (i64, i64) = memory_owners::table
        .find(owner.as_str())
        .select((memory_owners::last_revision, memory_owners::memories))
        .first(conn)
        .await?;
    Ok((revision - revisions, count - added))
}

fn amount(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

async fn insert(
    conn: &mut Conn,
    owner: &UserId,
    new: &[Memory],
    most: u64,
    record: Option<&AuditRecord>,
) -> Outcome<MemoryInsert> {
    let added = amount(new.len());
    let (revision, count) = advance(conn, owner, added, added).await?;
    if count.saturating_add(added) > to_stored(most) {
        advance(conn, owner, 0, -added).await?;
        return Ok(MemoryInsert::Full);
    }
    for (revision, memory) in (revision + 1..).zip(new) {
        let row = NewMemoryRow::new(owner, memory, revision)?;
        diesel::insert_into(memories::table)
            .values(row)
            .execute(conn)
            .await?;
    }
    if let Some(record) = record {
        audit::append(conn, record).await?;
    }
    Ok(MemoryInsert::Stored)
}

async fn replace(
    conn: &mut Conn,
    owner: &UserId,
    changed: &[Memory],
    rewritten: bool,
    record: Option<&AuditRecord>,
) -> Outcome<u64> {
    let (revision, _) = advance(conn, owner, amount(changed.len()), 0).await?;
    let mut replaced = 0;
    for (revision, memory) in (revision + 1..).zip(changed) {
        let row = NewMemoryRow::new(owner, memory, revision)?;
        let found = Cached(
            diesel::update(memories::table.find(memory.id.as_str()))
                .filter(memories::owner.eq(owner.as_str()))
                .filter(memories::revision.eq(to_stored(memory.revision)))
                .set(row.changes()),
        )
        .execute(conn)
        .await?;
        if found > 0 && rewritten {
            diesel::delete(memory_vectors::table)
                .filter(memory_vectors::memory_id.eq(memory.id.as_str()))
                .execute(conn)
                .await?;
        }
        replaced += u64::try_from(found).unwrap_or_default();
    }
    if let Some(record) = record.filter(|_| replaced > 0) {
        audit::append(conn, record).await?;
    }
    Ok(replaced)
}

async fn delete(
    conn: &mut Conn,
    owner: &UserId,
    ids: &[MemoryId],
    until: Option<u64>,
    record: &AuditRecord,
) -> Outcome<u64> {
    let until = until.map_or(i64::MAX, to_stored);
    advance(conn, owner, 0, 0).await?;
    let mut deleted = 0;
    for id in ids {
        let own = memories::table
            .filter(memories::id.eq(id.as_str()))
            .filter(memories::owner.eq(owner.as_str()))
            .filter(memories::revision.le(until));
        deleted += diesel::delete(own).execute(conn).await?;
    }
    advance(conn, owner, 0, -amount(deleted)).await?;
    if deleted > 0 {
        audit::append(conn, record).await?;
    }
    Ok(u64::try_from(deleted).unwrap_or_default())
}

async fn list(
    conn: &mut Conn,
    owner: &UserId,
    filter: MemoryFilter,
) -> Outcome<(Vec<Memory>, u64)> {
    let own = || {
        let own = memories::table
            .filter(memories::owner.eq(owner.as_str().to_owned()))
            .into_boxed();
        match filter.kind {
            Some(kind) => own.filter(memories::kind.eq(kind.as_str())),
            None => own,
        }
    };
    let page = match filter.order {
        MemoryOrder::Importance => own().order((
            memories::importance.desc(),
            memories::accessed_at.desc(),
            memories::id.asc(),
        )),
        MemoryOrder::Newest => own().order((memories::created_at.desc(), memories::id.asc())),
    };
    let rows: Vec<MemoryRow> = page
        .limit(i64::from(filter.limit))
        .offset(i64::from(filter.offset))
        .select(MemoryRow::as_select())
        .load(conn)
        .await?;
    let total: i64 = own().count().get_result(conn).await?;
    Ok((from_rows(rows)?, u64::try_from(total).unwrap_or_default()))
}

async fn counts(conn: &mut Conn, owner: &UserId) -> Outcome<Vec<(MemoryKind, u64)>> {
    let rows: Vec<(String, i64)> = memories::table
        .filter(memories::owner.eq(owner.as_str()))
        .group_by(memories::kind)
        .select((memories::kind, count_star()))
        .load(conn)
        .await?;
    let counts: Result<Vec<_>, RepositoryError> = rows
        .into_iter()
        .map(|(kind, count)| {
            let kind = MemoryKind::parse(&kind).ok_or_else(|| corrupt("memories", "kind", kind))?;
            Ok((kind, u64::try_from(count).unwrap_or_default()))
        })
        .collect();
    Ok(counts?)
}

/// Stores memories in a database.
pub struct DieselMemoryRepository {
    db: Arc<Database>,
}

impl DieselMemoryRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl MemoryRepository for DieselMemoryRepository {
    async fn insert(
        &self,
        owner: &UserId,
        memories: &[Memory],
        most: u64,
        record: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError> {
        if memories.is_empty() {
            return Ok(MemoryInsert::Stored);
        }
        let input = (owner.clone(), memories.to_vec(), most, record.cloned());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, new, most, record)| {
                    Box::pin(insert(conn, owner, new, *most, record.as_ref()))
                },
            )
            .await
    }

    async fn find(&self, owner: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.db
            .read((owner.clone(), ids.to_vec()), |conn, (owner, ids)| {
                Box::pin(async move {
                    // The owner is compared here: SQLite would read all that the owner has instead of these.
                    let ids = padded(ids.iter().map(MemoryId::as_str));
                    let named = memories::table
                        .filter(memories::id.eq_any(ids))
                        .select(MemoryRow::as_select());
                    let mut rows: Vec<MemoryRow> = Cached(named).load(conn).await?;
                    rows.retain(|row| row.owner == owner.as_str());
                    from_rows(rows)
                })
            })
            .await
    }

    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        self.db
            .read((owner.clone(), filter), |conn, (owner, filter)| {
                Box::pin(list(conn, owner, *filter))
            })
            .await
    }

    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        let input = (owner.clone(), after, limit);
        self.db
            .read(input, |conn, (owner, after, limit)| {
                Box::pin(async move {
                    let rows: Vec<MemoryRow> = memories::table
                        .filter(memories::owner.eq(owner.as_str()))
                        .filter(memories::revision.gt(to_stored(*after)))
                        .order(memories::revision)
                        .limit(i64::from(*limit))
                        .select(MemoryRow::as_select())
                        .load(conn)
                        .await?;
                    from_rows(rows)
                })
            })
            .await
    }

    async fn replace(
        &self,
        owner: &UserId,
        memories: &[Memory],
        rewritten: bool,
        record: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError> {
        if memories.is_empty() {
            return Ok(0);
        }
        let input = (owner.clone(), memories.to_vec(), rewritten, record.cloned());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, changed, new, record)| {
                    Box::pin(replace(conn, owner, changed, *new, record.as_ref()))
                },
            )
            .await
    }

    async fn touch(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        at: Timestamp,
    ) -> Result<(), RepositoryError> {
        let input = (owner.clone(), ids.to_vec(), at);
        self.db
            .write(Durability::Written, input, |conn, (owner, ids, at)| {
                Box::pin(async move {
                    for id in ids {
                        Cached(
                            diesel::update(memories::table.find(id.as_str()))
                                .filter(memories::owner.eq(owner.as_str()))
                                .set((
                                    memories::accessed_at.eq(at.as_micros()),
                                    memories::access_count.eq(memories::access_count + 1),
                                )),
                        )
                        .execute(conn)
                        .await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn delete(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        until: Option<u64>,
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let input = (owner.clone(), ids.to_vec(), until, record.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, ids, until, record)| {
                    Box::pin(delete(conn, owner, ids, *until, record))
                },
            )
            .await
    }

    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        self.db
            .read(owner.clone(), |conn, owner| Box::pin(counts(conn, owner)))
            .await
    }
}
