//! The ledger of model calls.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{Durability, EndedCall, RepositoryError, UsageLedger};
use majordomo_domain::{
    ApiKeyId, AuditRecord, MicroUsd, ModelRef, RunId, SessionId, Timestamp, Usage, UsageRecord,
    UsageSum, UserId,
};

use super::error::{Outcome, corrupt, to_stored};
use super::schema::usage_records;
use super::{audit, budgets};
use crate::backend::{self, Conn, Database};

/// A row as it is written; the database numbers it.
#[derive(Insertable)]
#[diesel(table_name = usage_records, treat_none_as_default_value = false)]
struct NewUsageRow<'a> {
    owner: &'a str,
    key_id: Option<Cow<'a, str>>,
    session_id: Option<Cow<'a, str>>,
    run_id: Option<Cow<'a, str>>,
    provider: Cow<'a, str>,
    model: Cow<'a, str>,
    input_tokens: i64,
    output_tokens: i64,
    cached_input_tokens: i64,
    estimated: bool,
    cost: i64,
    price_version: Option<Cow<'a, str>>,
    created_at: i64,
}

/// Stores calls, one row each, and counts them in their windows.
pub(super) async fn insert(conn: &mut Conn, calls: &[EndedCall]) -> Outcome<()> {
    for EndedCall { record: call, .. } in calls {
        let row = NewUsageRow {
            owner: call.owner.as_str(),
            key_id: call.key.as_ref().map(|key| key.as_str().into()),
            session_id: call.session.as_ref().map(|session| session.as_str().into()),
            run_id: call.run.as_ref().map(|run| run.as_str().into()),
            provider: backend::encode_text(&call.model.provider),
            model: backend::encode_text(&call.model.model),
            input_tokens: to_stored(call.usage.input_tokens),
            output_tokens: to_stored(call.usage.output_tokens),
            cached_input_tokens: to_stored(call.usage.cached_input_tokens),
            estimated: call.estimated,
            cost: to_stored(call.cost.0),
            price_version: call.price_version.as_deref().map(backend::encode_text),
            created_at: call.at.as_micros(),
        };
        diesel::insert_into(usage_records::table)
            .values(row)
            .execute(conn)
            .await?;
    }
    budgets::count(conn, calls).await
}

/// A row as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = usage_records)]
struct UsageRow {
    row_id: i64,
    owner: String,
    key_id: Option<String>,
    session_id: Option<String>,
    run_id: Option<String>,
    provider: String,
    model: String,
    input_tokens: i64,
    output_tokens: i64,
    cached_input_tokens: i64,
    estimated: bool,
    cost: i64,
    price_version: Option<String>,
    created_at: i64,
}

fn model(provider: String, model: String) -> ModelRef {
    ModelRef::new(backend::decode_text(provider), backend::decode_text(model))
}

/// Only what was counted is stored, so no stored number is negative.
fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

impl TryFrom<UsageRow> for UsageRecord {
    type Error = RepositoryError;

    fn try_from(row: UsageRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("usage_records", column, row.row_id);
        Ok(Self {
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            key: row
                .key_id
                .map(ApiKeyId::parse)
                .transpose()
                .map_err(|_| bad("key_id"))?,
            session: row
                .session_id
                .map(SessionId::parse)
                .transpose()
                .map_err(|_| bad("session_id"))?,
            run: row
                .run_id
                .map(RunId::parse)
                .transpose()
                .map_err(|_| bad("run_id"))?,
            model: model(row.provider, row.model),
            usage: Usage {
                input_tokens: count(row.input_tokens),
                output_tokens: count(row.output_tokens),
                cached_input_tokens: count(row.cached_input_tokens),
            },
            estimated: row.estimated,
            cost: MicroUsd(count(row.cost)),
            price_version: row.price_version.map(backend::decode_text),
            at: Timestamp::from_micros(row.created_at),
        })
    }
}

/// `provider, model, input, output, cached, cost, calls`.
type SumRow = (String, String, i64, i64, i64, i64, i64);

async fn sums(
    conn: &mut Conn,
    owner: &UserId,
    since: Option<Timestamp>,
    limit: u32,
) -> Outcome<Vec<UsageSum>> {
    let since = since.map_or(i64::MIN, Timestamp::as_micros);
    // PostgreSQL adds BIGINTs up to a NUMERIC.
    let rows: Vec<SumRow> = usage_records::table
        .filter(usage_records::owner.eq(owner.as_str()))
        .filter(usage_records::created_at.ge(since))
        .group_by((usage_records::provider, usage_records::model))
        .select((
            usage_records::provider,
            usage_records::model,
            sql::<BigInt>("CAST(SUM(input_tokens) AS BIGINT)"),
            sql::<BigInt>("CAST(SUM(output_tokens) AS BIGINT)"),
            sql::<BigInt>("CAST(SUM(cached_input_tokens) AS BIGINT)"),
            sql::<BigInt>("CAST(SUM(cost) AS BIGINT)"),
            count_star(),
        ))
        .order((
            count_star().desc(),
            usage_records::provider.asc(),
            usage_records::model.asc(),
        ))
        .limit(i64::from(limit))
        .load(conn)
        .await?;
    let sum = |(provider, name, input, output, cached, cost, calls)| UsageSum {
        model: model(provider, name),
        usage: Usage {
            input_tokens: count(input),
            output_tokens: count(output),
            cached_input_tokens: count(cached),
        },
        cost: MicroUsd(count(cost)),
        calls: count(calls),
    };
    Ok(rows.into_iter().map(sum).collect())
}

async fn recent(conn: &mut Conn, owner: &UserId, limit: u32) -> Outcome<Vec<UsageRecord>> {
    let rows: Vec<UsageRow> = usage_records::table
        .filter(usage_records::owner.eq(owner.as_str()))
        .order((
            usage_records::created_at.desc(),
            usage_records::row_id.desc(),
        ))
        .limit(i64::from(limit))
        .select(UsageRow::as_select())
        .load(conn)
        .await?;
    let calls: Result<_, RepositoryError> = rows.into_iter().map(UsageRecord::try_from).collect();
    Ok(calls?)
}

/// The ledger in a database.
pub struct DieselUsageLedger {
    db: Arc<Database>,
}

impl DieselUsageLedger {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl UsageLedger for DieselUsageLedger {
    async fn append(&self, calls: &[EndedCall]) -> Result<(), RepositoryError> {
        self.db
            .write(Durability::Written, calls.to_vec(), |conn, calls| {
                Box::pin(insert(conn, calls))
            })
            .await
    }

    async fn sums(
        &self,
        owner: &UserId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<UsageSum>, RepositoryError> {
        self.db
            .read(
                (owner.clone(), since, limit),
                |conn, (owner, since, limit)| Box::pin(sums(conn, owner, *since, *limit)),
            )
            .await
    }

    async fn recent(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, RepositoryError> {
        self.db
            .read((owner.clone(), limit), |conn, (owner, limit)| {
                Box::pin(recent(conn, owner, *limit))
            })
            .await
    }

    async fn clear(&self, owner: &UserId, act: &AuditRecord) -> Result<u64, RepositoryError> {
        let input = (owner.clone(), act.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (owner, act)| {
                Box::pin(async move {
                    let of_owner =
                        usage_records::table.filter(usage_records::owner.eq(owner.as_str()));
                    let cleared = diesel::delete(of_owner).execute(conn).await?;
                    audit::append(conn, act).await?;
                    Ok(u64::try_from(cleared).unwrap_or(u64::MAX))
                })
            })
            .await
    }
}
