//! The audit log: read, and moved into an archive.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::audit::{Archived, AuditQuery};
use majordomo_domain::{AuditEntry, Timestamp, UserId};
use majordomo_presentation_http::openapi::{Params, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use majordomo_presentation_http::session_id::ID_PATTERN;

use crate::wire::{fault, limit, parse_time, wire_time};

/// Entries given when nothing is asked for.
const LISTED: u32 = 100;
/// Entries given at once at most.
const MAX_LISTED: u32 = 1_000;

/// Which entries are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AuditParams {
    /// How many entries at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<i64>,
    /// Only what this user did.
    #[schemars(regex(pattern = ID_PATTERN))]
    actor: Option<String>,
    /// Only this act, as entries name it.
    action: Option<String>,
    /// Only from this time on, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    date_from: Option<String>,
    /// Only before this time, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    date_to: Option<String>,
}

/// What happened.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditEntryResponse {
    /// Names the entry: its place in the log.
    id: String,
    /// When it happened.
    timestamp: String,
    /// `info` for what was done, `warning` for what was refused or failed.
    severity: &'static str,
    /// Who did it: a user's id, `anonymous`, or `system` for the server itself.
    actor: String,
    /// What was done: `api_key_created`.
    action: String,
    /// What it was done to, as `kind:id`.
    target: String,
    /// `success`, `block` or `error`.
    status: &'static str,
    /// More facts: `credential`, `key`, `address`, `request_id`, `count` and those of the act.
    context: Map<String, Value>,
}

/// It worked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ArchivedResponse {
    /// Always true.
    ok: bool,
    /// The file that holds the entries now; null when there was none.
    archived_to: Option<String>,
}

/// Acts that clients know under names of their own; all others are told with `_` in the place of `.`.
const NAMES: [(&str, &str); 11] = [
    ("api_key.create", "api_key_created"),
    ("api_key.revoke", "api_key_revoked"),
    ("api_key.rotate", "api_key_rotated"),
    ("audit.archive", "audit_log_rotated"),
    ("login.end", "logout"),
    ("login.success", "login_success"),
    ("login.refuse", "login_failed"),
    ("login.throttle", "brute_force_blocked"),
    ("pairing.create", "qr_code_generated"),
    ("token.regenerate", "token_regenerated"),
    ("tool.call", "tool_use"),
];

fn wire_action(action: &str) -> String {
    NAMES.iter().find(|(own, _)| *own == action).map_or_else(
        || action.replace('.', "_"),
        |(_, clients)| (*clients).to_owned(),
    )
}

/// The own name of what a client asks for. No verb has a `_`: the last one stands in the place of the `.`.
fn own_action(asked: String) -> String {
    if let Some((own, _)) = NAMES.iter().find(|(_, clients)| *clients == asked) {
        return (*own).to_owned();
    }
    match asked.rsplit_once('_') {
        Some((area, verb)) if !asked.contains('.') => format!("{area}.{verb}"),
        _ => asked,
    }
}

impl From<AuditEntry> for AuditEntryResponse {
    fn from(entry: AuditEntry) -> Self {
        let mut context: Map<String, Value> =
            serde_json::from_str(&entry.details).unwrap_or_default();
        let facts = [
            ("credential", Some(entry.credential.clone())),
            ("key", entry.key),
            ("address", entry.address),
            ("request_id", entry.request),
        ];
        for (name, fact) in facts {
            if let Some(fact) = fact {
                context.insert(name.to_owned(), fact.into());
            }
        }
        if entry.count != 1 {
            context.insert("count".to_owned(), entry.count.into());
        }
        let (severity, status) = match entry.outcome.as_str() {
            "success" => ("info", "success"),
            "denied" => ("warning", "block"),
            _ => ("warning", "error"),
        };
        let nobody = if entry.credential == "system" {
            "system"
        } else {
            "anonymous"
        };
        Self {
            id: entry.seq.to_string(),
            timestamp: wire_time(entry.at),
            severity,
            actor: entry.actor.unwrap_or_else(|| nobody.to_owned()),
            action: wire_action(&entry.action),
            target: entry.target,
            status,
            context,
        }
    }
}

fn time(field: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        parse_time(&text).ok_or_else(|| {
            let words = "Input should be a time such as 2026-02-07T10:30:00Z";
            fault(Location::Query, field, "datetime_parsing", words)
        })
    })
    .transpose()
}

impl TryFrom<AuditParams> for AuditQuery {
    type Error = ApiError;

    fn try_from(params: AuditParams) -> Result<Self, ApiError> {
        let actor = params
            .actor
            .map(UserId::parse)
            .transpose()
            .map_err(|error| {
                let words = format!("A user's id {error}");
                fault(Location::Query, "actor", "value_error", words)
            })?;
        Ok(Self {
            actor,
            action: params.action.map(own_action),
            from: time("date_from", params.date_from)?,
            to: time("date_to", params.date_to)?,
            limit: limit(params.limit, LISTED, MAX_LISTED)?,
        })
    }
}

type EntriesReply = Reply<Vec<AuditEntryResponse>>;

async fn list(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
    params: AuditParams,
) -> Result<EntriesReply, ApiError> {
    let query = AuditQuery::try_from(params)?;
    let audit = Arc::clone(&services.audit);
    let entries = kernel
        .core()
        .run(async move { audit.list(&caller, query).await })
        .await?;
    Ok(Reply(entries.into_iter().map(Into::into).collect()))
}

async fn archive(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
) -> Result<Reply<ArchivedResponse>, ApiError> {
    let audit = Arc::clone(&services.audit);
    let archived = kernel
        .core()
        .run(async move { audit.archive(&caller).await })
        .await?;
    Ok(Reply(ArchivedResponse {
        ok: true,
        archived_to: archived.map(|Archived { place, .. }| place),
    }))
}

/// GET /api/v1/audit: what happened that matters to security, newest first
#[api_v2_operation(tags(Audit), operation_id = "list_audit_entries")]
pub(crate) async fn list_audit_entries(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<AuditParams>,
) -> Result<EntriesReply, ApiError> {
    list(&kernel, &services, caller, params.0).await
}

/// DELETE /api/v1/audit: moves all entries into an archive; nothing is lost
#[api_v2_operation(tags(Audit), operation_id = "archive_audit_entries")]
pub(crate) async fn archive_audit_entries(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<ArchivedResponse>, ApiError> {
    archive(&kernel, &services, caller).await
}

/// GET /api/audit: what happened that matters to security, newest first
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_list_audit_entries")]
pub(crate) async fn dashboard_list_audit_entries(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<AuditParams>,
) -> Result<EntriesReply, ApiError> {
    list(&kernel, &services, caller, params.0).await
}

/// DELETE /api/audit: moves all entries into an archive; nothing is lost
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_archive_audit_entries")]
pub(crate) async fn dashboard_archive_audit_entries(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<ArchivedResponse>, ApiError> {
    archive(&kernel, &services, caller).await
}
