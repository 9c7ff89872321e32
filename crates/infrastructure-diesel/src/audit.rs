//! The audit log: entries in a chain of hashes.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::audit::chain;
use majordomo_application::ports::{AuditFilter, AuditLog, Durability, RepositoryError};
use majordomo_domain::{AuditChain, AuditEntry, AuditHash, AuditRecord, Timestamp};

use super::error::{Outcome, corrupt, to_stored};
use super::schema::{audit_chain, audit_entries};
use crate::backend::{self, Conn, Database};

/// The only row of `audit_chain`.
const CHAIN: i64 = 1;

/// Appends `record` within the transaction of its act. Call it last: the row it locks is shared by all who append, and
/// a lock that everybody takes last can be part of no circle.
pub(super) async fn append(conn: &mut Conn, record: &AuditRecord) -> Outcome<()> {
    let row = audit_chain::table.find(CHAIN);
    // An update first: it waits for others who append, and sees what they wrote.
    diesel::update(row)
        .set(audit_chain::last_seq.eq(audit_chain::last_seq + 1))
        .execute(conn)
        .await?;
    let (seq, previous): (i64, Vec<u8>) = row
        .select((audit_chain::last_seq, audit_chain::last_hash))
        .first(conn)
        .await?;
    let entry = chain::entry(record, seq.cast_unsigned(), &hash(&previous, "last_hash")?);
    diesel::insert_into(audit_entries::table)
        .values((
            audit_entries::seq.eq(seq),
            audit_entries::created_at.eq(entry.at.as_micros()),
            audit_entries::actor.eq(entry.actor),
            audit_entries::credential.eq(entry.credential),
            audit_entries::key_id.eq(entry.key),
            audit_entries::action.eq(entry.action),
            audit_entries::target.eq(backend::encode_text(&entry.target)),
            audit_entries::outcome.eq(entry.outcome),
            audit_entries::address.eq(entry.address),
            audit_entries::request_id.eq(entry.request),
            audit_entries::occurrences.eq(entry.count.cast_signed()),
            audit_entries::details.eq(backend::encode_text(&entry.details)),
            audit_entries::hash.eq(&entry.hash),
        ))
        .execute(conn)
        .await?;
    diesel::update(row)
        .set(audit_chain::last_hash.eq(&entry.hash))
        .execute(conn)
        .await?;
    Ok(())
}

fn hash(stored: &[u8], column: &'static str) -> Result<AuditHash, RepositoryError> {
    AuditHash::try_from(stored).map_err(|_| corrupt("audit_chain", column, CHAIN))
}

/// A row of `audit_entries`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_entries)]
struct EntryRow {
    seq: i64,
    created_at: i64,
    actor: Option<String>,
    credential: String,
    key_id: Option<String>,
    action: String,
    target: String,
    outcome: String,
    address: Option<String>,
    request_id: Option<String>,
    occurrences: i64,
    details: String,
    hash: Vec<u8>,
}

impl From<EntryRow> for AuditEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            seq: row.seq.cast_unsigned(),
            at: Timestamp::from_micros(row.created_at),
            actor: row.actor,
            credential: row.credential,
            key: row.key_id,
            action: row.action,
            target: backend::decode_text(row.target),
            outcome: row.outcome,
            address: row.address,
            request: row.request_id,
            count: row.occurrences.cast_unsigned(),
            details: backend::decode_text(row.details),
            hash: row.hash,
        }
    }
}

/// A row of `audit_chain` without its constant key.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_chain)]
struct ChainRow {
    base_seq: i64,
    base_hash: Vec<u8>,
    last_seq: i64,
    last_hash: Vec<u8>,
}

async fn list(conn: &mut Conn, filter: &AuditFilter) -> Outcome<Vec<AuditEntry>> {
    let mut query = audit_entries::table
        .select(EntryRow::as_select())
        .order(audit_entries::seq.desc())
        .limit(i64::from(filter.limit))
        .into_boxed();
    if let Some(actor) = &filter.actor {
        query = query.filter(audit_entries::actor.eq(actor.as_str()));
    }
    if let Some(action) = &filter.action {
        query = query.filter(audit_entries::action.eq(action));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_entries::created_at.ge(from.as_micros()));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_entries::created_at.lt(to.as_micros()));
    }
    if let Some(before) = filter.before {
        query = query.filter(audit_entries::seq.lt(to_stored(before)));
    }
    let rows: Vec<EntryRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(AuditEntry::from).collect())
}

async fn page(conn: &mut Conn, after: u64, limit: u32) -> Outcome<Vec<AuditEntry>> {
    let rows: Vec<EntryRow> = audit_entries::table
        .filter(audit_entries::seq.gt(to_stored(after)))
        .order(audit_entries::seq.asc())
        .limit(i64::from(limit))
        .select(EntryRow::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(AuditEntry::from).collect())
}

async fn read_chain(conn: &mut Conn) -> Outcome<AuditChain> {
    let row: ChainRow = audit_chain::table
        .find(CHAIN)
        .select(ChainRow::as_select())
        .first(conn)
        .await?;
    Ok(AuditChain {
        base_seq: row.base_seq.cast_unsigned(),
        base_hash: hash(&row.base_hash, "base_hash")?,
        last_seq: row.last_seq.cast_unsigned(),
        last_hash: hash(&row.last_hash, "last_hash")?,
    })
}

async fn remove_archived(
    conn: &mut Conn,
    last: u64,
    hash: &AuditHash,
    record: &AuditRecord,
) -> Outcome<bool> {
    let last = to_stored(last);
    let stored: Option<Vec<u8>> = audit_entries::table
        .find(last)
        .select(audit_entries::hash)
        .first(conn)
        .await
        .optional()?;
    if stored.as_deref() != Some(hash.as_slice()) {
        return Ok(false);
    }
    diesel::delete(audit_entries::table.filter(audit_entries::seq.le(last)))
        .execute(conn)
        .await?;
    diesel::update(audit_chain::table.find(CHAIN))
        .set((
            audit_chain::base_seq.eq(last),
            audit_chain::base_hash.eq(hash.as_slice()),
        ))
        .execute(conn)
        .await?;
    append(conn, record).await?;
    Ok(true)
}

/// Stores the audit log in a database.
pub struct DieselAuditLog {
    db: Arc<Database>,
}

impl DieselAuditLog {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl AuditLog for DieselAuditLog {
    async fn append(&self, record: &AuditRecord) -> Result<(), RepositoryError> {
        self.db
            .write(Durability::Flushed, record.clone(), |conn, record| {
                Box::pin(append(conn, record))
            })
            .await
    }

    async fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, RepositoryError> {
        self.db
            .read(filter.clone(), |conn, filter| Box::pin(list(conn, filter)))
            .await
    }

    async fn page(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, RepositoryError> {
        self.db
            .read((after, limit), |conn, (after, limit)| {
                Box::pin(page(conn, *after, *limit))
            })
            .await
    }

    async fn chain(&self) -> Result<AuditChain, RepositoryError> {
        self.db
            .read((), |conn, ()| Box::pin(read_chain(conn)))
            .await
    }

    async fn remove_archived(
        &self,
        last: u64,
        hash: &AuditHash,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.db
            .write(
                Durability::Flushed,
                (last, *hash, record.clone()),
                |conn, (last, hash, record)| Box::pin(remove_archived(conn, *last, hash, record)),
            )
            .await
    }
}
