//! Budgets, and the windows in which spending is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{BudgetRepository, Durability, EndedCall, RepositoryError};
use majordomo_domain::{
    ApiKeyId, AuditRecord, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow,
    MicroUsd, Spend, Timestamp,
};

use super::audit;
use super::cached::Cached;
use super::error::{Outcome, corrupt, to_stored};
use super::schema::{budget_windows, budgets};
use crate::backend::{Conn, Database};

/// A row of `budgets`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = budgets, treat_none_as_default_value = false)]
struct BudgetRow {
    subject: String,
    period: String,
    max_cost: Option<i64>,
    max_tokens: Option<i64>,
    set_at: i64,
}

impl From<&Budget> for BudgetRow {
    fn from(budget: &Budget) -> Self {
        Self {
            subject: budget.subject.to_string(),
            period: budget.period.as_str().to_owned(),
            max_cost: budget.limit.cost.map(|cost| to_stored(cost.0)),
            max_tokens: budget.limit.tokens.map(to_stored),
            set_at: budget.set_at.as_micros(),
        }
    }
}

impl TryFrom<BudgetRow> for Budget {
    type Error = RepositoryError;

    fn try_from(row: BudgetRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("budgets", column, format!("{}/{}", row.subject, row.period));
        let limit = |stored: Option<i64>, column| match stored.map(u64::try_from) {
            None => Ok(None),
            Some(Ok(most)) => Ok(Some(most)),
            Some(Err(_)) => Err(bad(column)),
        };
        Ok(Self {
            subject: BudgetSubject::parse(&row.subject).ok_or_else(|| bad("subject"))?,
            period: BudgetPeriod::parse(&row.period).ok_or_else(|| bad("period"))?,
            limit: BudgetLimit {
                cost: limit(row.max_cost, "max_cost")?.map(MicroUsd),
                tokens: limit(row.max_tokens, "max_tokens")?,
            },
            set_at: Timestamp::from_micros(row.set_at),
        })
    }
}

/// Adds what calls have used to their windows.
pub(super) async fn count(conn: &mut Conn, calls: &[EndedCall]) -> Outcome<()> {
    // In one order everywhere: two that want the same rows never wait for one another in a circle.
    let mut sums: BTreeMap<&BudgetWindow, Spend> = BTreeMap::new();
    for call in calls {
        for window in &call.windows {
            let sum = sums.entry(window).or_default();
            *sum = sum.plus(call.record.spend());
        }
    }
    for (window, spent) in sums {
        add(conn, window, spent).await?;
    }
    Ok(())
}

/// Adds to what was spent in a window, which is begun where it is new.
async fn add(conn: &mut Conn, window: &BudgetWindow, spent: Spend) -> Outcome<()> {
    let row = (
        budget_windows::subject.eq(window.subject.to_string()),
        budget_windows::period.eq(window.period.as_str()),
        budget_windows::starts_at.eq(window.starts_at.as_micros()),
        budget_windows::spent_cost.eq(to_stored(spent.cost.0)),
        budget_windows::spent_tokens.eq(to_stored(spent.tokens)),
    );
    let add = diesel::insert_into(budget_windows::table)
        .values(row)
        .on_conflict((
            budget_windows::subject,
            budget_windows::period,
            budget_windows::starts_at,
        ))
        .do_update()
        .set((
            budget_windows::spent_cost
                .eq(budget_windows::spent_cost + excluded(budget_windows::spent_cost)),
            budget_windows::spent_tokens
                .eq(budget_windows::spent_tokens + excluded(budget_windows::spent_tokens)),
        ));
    Cached(add).execute(conn).await?;
    Ok(())
}

async fn spent(conn: &mut Conn, window: &BudgetWindow) -> Outcome<Spend> {
    let row: Option<(i64, i64)> = budget_windows::table
        .find((
            window.subject.to_string(),
            window.period.as_str(),
            window.starts_at.as_micros(),
        ))
        .select((budget_windows::spent_cost, budget_windows::spent_tokens))
        .first(conn)
        .await
        .optional()?;
    // Only what was counted is stored, so no stored number is negative.
    let count = |stored: i64| u64::try_from(stored).unwrap_or_default();
    let spent = row.map(|(cost, tokens)| Spend {
        cost: MicroUsd(count(cost)),
        tokens: count(tokens),
    });
    Ok(spent.unwrap_or_default())
}

/// Sets a budget for a subject that has none.
pub(super) async fn insert(conn: &mut Conn, budget: &Budget) -> Outcome<()> {
    diesel::insert_into(budgets::table)
        .values(BudgetRow::from(budget))
        .execute(conn)
        .await?;
    Ok(())
}

/// What was set for one API key also holds for its successor, and what it has spent counts on.
pub(super) async fn inherit(conn: &mut Conn, from: &ApiKeyId, to: &ApiKeyId) -> Outcome<()> {
    let subject = |key: &ApiKeyId| BudgetSubject::Key(key.clone()).to_string();
    let (from, to) = (subject(from), subject(to));
    let mut limits: Vec<BudgetRow> = budgets::table
        .filter(budgets::subject.eq(&from))
        .select(BudgetRow::as_select())
        .load(conn)
        .await?;
    for row in &mut limits {
        row.subject.clone_from(&to);
    }
    for row in limits {
        diesel::insert_into(budgets::table)
            .values(row)
            .execute(conn)
            .await?;
    }
    let spent: Vec<(String, i64, i64, i64)> = budget_windows::table
        .filter(budget_windows::subject.eq(&from))
        .select((
            budget_windows::period,
            budget_windows::starts_at,
            budget_windows::spent_cost,
            budget_windows::spent_tokens,
        ))
        .load(conn)
        .await?;
    for (period, starts_at, cost, tokens) in spent {
        diesel::insert_into(budget_windows::table)
            .values((
                budget_windows::subject.eq(&to),
                budget_windows::period.eq(period),
                budget_windows::starts_at.eq(starts_at),
                budget_windows::spent_cost.eq(cost),
                budget_windows::spent_tokens.eq(tokens),
            ))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Budgets in a database.
pub struct DieselBudgetRepository {
    db: Arc<Database>,
}

impl DieselBudgetRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl BudgetRepository for DieselBudgetRepository {
    async fn list(&self, limit: u32) -> Result<Vec<Budget>, RepositoryError> {
        self.db
            .read(limit, |conn, limit| {
                Box::pin(async move {
                    let rows: Vec<BudgetRow> = budgets::table
                        .order((budgets::subject.asc(), budgets::period.asc()))
                        .limit(i64::from(*limit))
                        .select(BudgetRow::as_select())
                        .load(conn)
                        .await?;
                    let budgets: Result<_, RepositoryError> =
                        rows.into_iter().map(Budget::try_from).collect();
                    Ok(budgets?)
                })
            })
            .await
    }

    async fn set(&self, budget: &Budget, act: &AuditRecord) -> Result<(), RepositoryError> {
        let input = (budget.clone(), act.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (budget, act)| {
                Box::pin(async move {
                    diesel::insert_into(budgets::table)
                        .values(BudgetRow::from(budget))
                        .on_conflict((budgets::subject, budgets::period))
                        .do_update()
                        .set((
                            budgets::max_cost.eq(excluded(budgets::max_cost)),
                            budgets::max_tokens.eq(excluded(budgets::max_tokens)),
                            budgets::set_at.eq(excluded(budgets::set_at)),
                        ))
                        .execute(conn)
                        .await?;
                    audit::append(conn, act).await
                })
            })
            .await
    }

    async fn remove(
        &self,
        subject: &BudgetSubject,
        period: BudgetPeriod,
        act: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (subject.to_string(), period, act.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (subject, period, act)| {
                    Box::pin(async move {
                        let row = budgets::table.find((subject, period.as_str()));
                        let removed = diesel::delete(row).execute(conn).await? > 0;
                        if removed {
                            audit::append(conn, act).await?;
                        }
                        Ok(removed)
                    })
                },
            )
            .await
    }

    async fn spent(&self, windows: &[BudgetWindow]) -> Result<Vec<Spend>, RepositoryError> {
        self.db
            .read(windows.to_vec(), |conn, windows| {
                Box::pin(async move {
                    let mut all = Vec::with_capacity(windows.len());
                    for window in windows {
                        all.push(spent(conn, window).await?);
                    }
                    Ok(all)
                })
            })
            .await
    }

    async fn forget_windows(&self, before: Timestamp) -> Result<(), RepositoryError> {
        self.db
            .write(Durability::Flushed, before.as_micros(), |conn, before| {
                Box::pin(async move {
                    let old = budget_windows::table.filter(budget_windows::starts_at.lt(*before));
                    diesel::delete(old).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}
