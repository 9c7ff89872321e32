//! Reports of the server's examination of itself.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{Durability, KeyUse, RepositoryError, SelfAuditRepository};
use majordomo_domain::{
    AuditRecord, CheckSeverity, SecurityCheckResult, SelfAuditReport, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::audit;
use super::error::{Outcome, corrupt};
use super::schema::{api_keys, self_audit_reports};
use crate::backend::{self, Conn, Database};

/// A check as it is stored in a report.
#[derive(Serialize, Deserialize)]
struct StoredCheck {
    check: String,
    passed: bool,
    severity: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl From<&SecurityCheckResult> for StoredCheck {
    fn from(result: &SecurityCheckResult) -> Self {
        Self {
            check: result.check.clone(),
            passed: result.passed,
            severity: result.severity.as_str().to_owned(),
            message: result.message.clone(),
            remedy: result.remedy.clone(),
        }
    }
}

/// A row of `self_audit_reports`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = self_audit_reports)]
struct ReportRow {
    date: String,
    created_at: i64,
    checks: String,
}

impl TryFrom<ReportRow> for SelfAuditReport {
    type Error = RepositoryError;

    fn try_from(row: ReportRow) -> Result<Self, RepositoryError> {
        let bad = || corrupt("self_audit_reports", "checks", &row.date);
        let checks: Vec<StoredCheck> =
            serde_json::from_str(&backend::decode_text(row.checks)).map_err(|_| bad())?;
        let results: Option<Vec<SecurityCheckResult>> = checks
            .into_iter()
            .map(|check| {
                Some(SecurityCheckResult {
                    severity: CheckSeverity::parse(&check.severity)?,
                    check: check.check,
                    passed: check.passed,
                    message: check.message,
                    remedy: check.remedy,
                })
            })
            .collect();
        Ok(Self {
            at: Timestamp::from_micros(row.created_at),
            results: results.ok_or_else(bad)?,
        })
    }
}

async fn put(conn: &mut Conn, report: &SelfAuditReport, oldest: &str) -> Outcome<()> {
    let checks: Vec<StoredCheck> = report.results.iter().map(StoredCheck::from).collect();
    let checks =
        serde_json::to_string(&checks).map_err(|error| RepositoryError::Other(Box::new(error)))?;
    diesel::insert_into(self_audit_reports::table)
        .values((
            self_audit_reports::date.eq(report.date()),
            self_audit_reports::created_at.eq(report.at.as_micros()),
            self_audit_reports::checks.eq(backend::encode_text(&checks)),
        ))
        .on_conflict(self_audit_reports::date)
        .do_update()
        .set((
            self_audit_reports::created_at.eq(excluded(self_audit_reports::created_at)),
            self_audit_reports::checks.eq(excluded(self_audit_reports::checks)),
        ))
        .execute(conn)
        .await?;
    diesel::delete(self_audit_reports::table.filter(self_audit_reports::date.lt(oldest)))
        .execute(conn)
        .await?;
    Ok(())
}

async fn list(conn: &mut Conn, limit: u32) -> Outcome<Vec<SelfAuditReport>> {
    let rows: Vec<ReportRow> = self_audit_reports::table
        .order(self_audit_reports::date.desc())
        .limit(i64::from(limit))
        .select(ReportRow::as_select())
        .load(conn)
        .await?;
    let reports: Result<_, RepositoryError> =
        rows.into_iter().map(SelfAuditReport::try_from).collect();
    Ok(reports?)
}

/// Name, and when made, ending and last used.
type KeyColumns = (String, i64, Option<i64>, Option<i64>);

async fn keys_in_use(conn: &mut Conn, limit: u32) -> Outcome<Vec<KeyUse>> {
    let rows: Vec<KeyColumns> = api_keys::table
        .filter(api_keys::revoked_at.is_null())
        .order((api_keys::created_at.asc(), api_keys::id.asc()))
        .limit(i64::from(limit))
        .select((
            api_keys::name,
            api_keys::created_at,
            api_keys::expires_at,
            api_keys::last_used_at,
        ))
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(name, created_at, expires_at, last_used_at)| KeyUse {
            name: backend::decode_text(name),
            created_at: Timestamp::from_micros(created_at),
            expires_at: expires_at.map(Timestamp::from_micros),
            last_used_at: last_used_at.map(Timestamp::from_micros),
        })
        .collect())
}

/// Stores reports in a database.
pub struct DieselSelfAuditRepository {
    db: Arc<Database>,
}

impl DieselSelfAuditRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl SelfAuditRepository for DieselSelfAuditRepository {
    async fn put(
        &self,
        report: &SelfAuditReport,
        oldest: &str,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (report.clone(), oldest.to_owned(), audit.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (report, oldest, record)| {
                    Box::pin(async move {
                        put(conn, report, oldest).await?;
                        audit::append(conn, record).await
                    })
                },
            )
            .await
    }

    async fn find(&self, date: &str) -> Result<Option<SelfAuditReport>, RepositoryError> {
        self.db
            .read(date.to_owned(), |conn, date| {
                Box::pin(async move {
                    let row: Option<ReportRow> = self_audit_reports::table
                        .find(date)
                        .select(ReportRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(SelfAuditReport::try_from).transpose()?)
                })
            })
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<SelfAuditReport>, RepositoryError> {
        self.db
            .read(limit, |conn, limit| Box::pin(list(conn, *limit)))
            .await
    }

    async fn keys_in_use(&self, limit: u32) -> Result<Vec<KeyUse>, RepositoryError> {
        self.db
            .read(limit, |conn, limit| Box::pin(keys_in_use(conn, *limit)))
            .await
    }
}
