//! Settings by owner and name.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::settings_repository::{
    Resealed, SettingChange, SettingValue, StoredSetting, StoredValue,
};
use majordomo_application::ports::{Durability, RepositoryError, SettingsRepository};
use majordomo_domain::{AuditRecord, Timestamp, UserId};
use serde_json::Value;

use super::audit;
use super::error::{Outcome, corrupt};
use super::schema::settings;
use crate::backend::{self, Conn, Database};

/// A row of `settings`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = settings)]
struct SettingRow {
    owner: String,
    name: String,
    value: String,
    sealed: bool,
    updated_at: i64,
}

impl TryFrom<SettingRow> for StoredSetting {
    type Error = RepositoryError;

    fn try_from(row: SettingRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("settings", column, format!("{}/{}", row.owner, row.name));
        let value = if row.sealed {
            StoredValue::Sealed(row.value)
        } else {
            let value = decode(&backend::decode_text(row.value)).ok_or_else(|| bad("value"))?;
            StoredValue::Plain(value)
        };
        Ok(Self {
            owner: UserId::parse(row.owner.as_str()).map_err(|_| bad("owner"))?,
            name: row.name,
            value,
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

/// A value as JSON.
fn encode(value: &SettingValue) -> Value {
    match value {
        SettingValue::Flag(flag) => Value::from(*flag),
        SettingValue::Integer(number) => Value::from(*number),
        SettingValue::Number(number) => Value::from(*number),
        SettingValue::Text(text) => Value::from(text.as_str()),
        SettingValue::List(items) => Value::from(items.as_slice()),
    }
}

/// The inverse of [`encode`].
fn decode(text: &str) -> Option<SettingValue> {
    Some(match serde_json::from_str(text).ok()? {
        Value::Bool(flag) => SettingValue::Flag(flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => SettingValue::Integer(number),
            None => SettingValue::Number(number.as_f64()?),
        },
        Value::String(text) => SettingValue::Text(text),
        Value::Array(items) => SettingValue::List(
            items
                .into_iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        ),
        Value::Null | Value::Object(_) => return None,
    })
}

impl SettingRow {
    fn new(owner: &UserId, name: &str, value: &StoredValue, at: Timestamp) -> Self {
        let (value, sealed) = match value {
            StoredValue::Plain(value) => (
                backend::encode_text(&encode(value).to_string()).into_owned(),
                false,
            ),
            StoredValue::Sealed(text) => (text.clone(), true),
        };
        Self {
            owner: owner.as_str().to_owned(),
            name: name.to_owned(),
            value,
            sealed,
            updated_at: at.as_micros(),
        }
    }
}

async fn insert(conn: &mut Conn, setting: &StoredSetting) -> Outcome<()> {
    let row = SettingRow::new(
        &setting.owner,
        &setting.name,
        &setting.value,
        setting.updated_at,
    );
    let inserted = diesel::insert_into(settings::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    if inserted == 0 {
        return Err(RepositoryError::Conflict.into());
    }
    Ok(())
}

async fn change(conn: &mut Conn, changes: &[SettingChange], at: Timestamp) -> Outcome<()> {
    for change in changes {
        let owner = &change.owner;
        let Some(value) = &change.value else {
            diesel::delete(settings::table.find((owner.as_str(), change.name.as_str())))
                .execute(conn)
                .await?;
            continue;
        };
        let row = SettingRow::new(owner, &change.name, value, at);
        diesel::insert_into(settings::table)
            .values(&row)
            .on_conflict((settings::owner, settings::name))
            .do_update()
            .set(&row)
            .execute(conn)
            .await?;
    }
    Ok(())
}

async fn reseal(conn: &mut Conn, changes: &[Resealed]) -> Outcome<()> {
    for change in changes {
        let row = settings::table.find((change.owner.as_str(), change.name.as_str()));
        let replaced = diesel::update(row)
            .filter(settings::sealed.eq(true))
            .filter(settings::value.eq(&change.from))
            .set(settings::value.eq(&change.to))
            .execute(conn)
            .await?;
        if replaced == 0 {
            return Err(RepositoryError::Conflict.into());
        }
    }
    Ok(())
}

fn from_rows(rows: Vec<SettingRow>) -> Outcome<Vec<StoredSetting>> {
    let settings: Result<_, RepositoryError> =
        rows.into_iter().map(StoredSetting::try_from).collect();
    Ok(settings?)
}

/// Stores settings in a database.
pub struct DieselSettingsRepository {
    db: Arc<Database>,
}

impl DieselSettingsRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl SettingsRepository for DieselSettingsRepository {
    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.db
            .read((owner.clone(), limit), |conn, (owner, limit)| {
                Box::pin(async move {
                    let rows: Vec<SettingRow> = settings::table
                        .filter(settings::owner.eq(owner.as_str()))
                        .order(settings::name)
                        .limit(i64::from(*limit))
                        .select(SettingRow::as_select())
                        .load(conn)
                        .await?;
                    from_rows(rows)
                })
            })
            .await
    }

    async fn named(&self, name: &str, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.db
            .read((name.to_owned(), limit), |conn, (name, limit)| {
                Box::pin(async move {
                    let rows: Vec<SettingRow> = settings::table
                        .filter(settings::name.eq(name.as_str()))
                        .order(settings::owner)
                        .limit(i64::from(*limit))
                        .select(SettingRow::as_select())
                        .load(conn)
                        .await?;
                    from_rows(rows)
                })
            })
            .await
    }

    async fn change(
        &self,
        changes: &[SettingChange],
        at: Timestamp,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (changes.to_vec(), at, audit.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (changes, at, record)| {
                Box::pin(async move {
                    change(conn, changes, *at).await?;
                    audit::append(conn, record).await
                })
            })
            .await
    }

    async fn insert(
        &self,
        setting: &StoredSetting,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (setting.clone(), audit.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (setting, record)| {
                Box::pin(async move {
                    insert(conn, setting).await?;
                    audit::append(conn, record).await
                })
            })
            .await
    }

    async fn sealed(&self, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.db
            .read(limit, |conn, limit| {
                Box::pin(async move {
                    let rows: Vec<SettingRow> = settings::table
                        .filter(settings::sealed.eq(true))
                        .order((settings::owner, settings::name))
                        .limit(i64::from(*limit))
                        .select(SettingRow::as_select())
                        .load(conn)
                        .await?;
                    from_rows(rows)
                })
            })
            .await
    }

    async fn reseal(
        &self,
        changes: &[Resealed],
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (changes.to_vec(), audit.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (changes, record)| {
                Box::pin(async move {
                    reseal(conn, changes).await?;
                    audit::append(conn, record).await
                })
            })
            .await
    }
}
