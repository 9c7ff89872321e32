//! Changing the audit log behind the program's back, in any SQL database, and whether that is found.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a case fails by panicking, like any test"
)]

use std::sync::Arc;

use majordomo_application::Caller;
use majordomo_application::audit::AuditService;
use majordomo_application::audit::chain::ChainReport;
use majordomo_application::ports::AuditLog;
use majordomo_domain::{ApiKeyId, AuditRecord, CredentialKind, RequestId, RequestSource};

use crate::FixedClock;
use crate::audit::InMemoryAuditVault;
use crate::builders::{at, user};

/// What somebody who can write to the database may try, each with a name. All of it is found by what is stored alone.
const TRICKS: [(&str, &str); 19] = [
    (
        "time",
        "UPDATE audit_entries SET created_at = created_at + 1 WHERE seq = 3",
    ),
    (
        "actor",
        "UPDATE audit_entries SET actor = 'mallory' WHERE seq = 3",
    ),
    (
        "no actor",
        "UPDATE audit_entries SET actor = NULL WHERE seq = 3",
    ),
    (
        "credential",
        "UPDATE audit_entries SET credential = 'localhost' WHERE seq = 3",
    ),
    (
        "key",
        "UPDATE audit_entries SET key_id = 'other' WHERE seq = 3",
    ),
    (
        "action",
        "UPDATE audit_entries SET action = 'other.act' WHERE seq = 3",
    ),
    (
        "target",
        "UPDATE audit_entries SET target = 'session:other' WHERE seq = 3",
    ),
    (
        "outcome",
        "UPDATE audit_entries SET outcome = 'denied' WHERE seq = 3",
    ),
    (
        "address",
        "UPDATE audit_entries SET address = '192.0.2.99' WHERE seq = 3",
    ),
    (
        "request",
        "UPDATE audit_entries SET request_id = NULL WHERE seq = 3",
    ),
    (
        "count",
        "UPDATE audit_entries SET occurrences = 2 WHERE seq = 3",
    ),
    (
        "details",
        "UPDATE audit_entries SET details = '{}' WHERE seq = 3",
    ),
    (
        "hash",
        "UPDATE audit_entries SET hash = (SELECT last_hash FROM audit_chain) WHERE seq = 3",
    ),
    (
        "order",
        "UPDATE audit_entries SET seq = -1 WHERE seq = 3; UPDATE audit_entries SET seq = 3 WHERE seq = 4; \
         UPDATE audit_entries SET seq = 4 WHERE seq = -1",
    ),
    ("first entry", "DELETE FROM audit_entries WHERE seq = 1"),
    ("middle entry", "DELETE FROM audit_entries WHERE seq = 3"),
    ("last entry", "DELETE FROM audit_entries WHERE seq = 6"),
    (
        "added entry",
        "INSERT INTO audit_entries SELECT 7, created_at, actor, credential, key_id, action, target, outcome, address, \
         request_id, occurrences, details, hash FROM audit_entries WHERE seq = 6",
    ),
    (
        "beginning",
        "DELETE FROM audit_entries WHERE seq <= 2; UPDATE audit_chain SET base_seq = 2",
    ),
];

/// The last entry and every note of it in the database, gone without a trace.
const CUT: &str = "DELETE FROM audit_entries WHERE seq = 6; UPDATE audit_chain SET last_seq = 5, \
     last_hash = (SELECT hash FROM audit_entries WHERE seq = 5)";

fn record(number: i64) -> AuditRecord {
    let source = RequestSource {
        address: Some([192, 0, 2, 1].into()),
        request: Some(RequestId(u128::from(number.unsigned_abs()))),
    };
    let key = CredentialKind::ApiKey(ApiKeyId::parse("key-1").unwrap());
    AuditRecord::of_user("session.delete", &user("alice"), &key, source, at(number))
        .on("session", number)
        .with("title", "a trip")
}

async fn verify(audit: &AuditService) -> ChainReport {
    let operator = Caller::operator(CredentialKind::CommandLine);
    audit.verify(&operator, &[]).await.unwrap()
}

/// Every trick is found, and nothing is found where there is none. `execute` runs SQL statements on the database.
pub async fn tampering_is_found(log: Arc<dyn AuditLog>, execute: impl AsyncFn(&str)) {
    for number in 1..=6 {
        log.append(&record(number)).await.unwrap();
    }
    let vault = Arc::new(InMemoryAuditVault::default());
    let clock = Arc::new(FixedClock::default());
    let audit = AuditService::new(log, vault.clone(), clock);
    execute(
        "CREATE TABLE kept_entries AS SELECT * FROM audit_entries; \
         CREATE TABLE kept_chain AS SELECT * FROM audit_chain",
    )
    .await;
    let mend = "DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept_entries; \
         DELETE FROM audit_chain; INSERT INTO audit_chain SELECT * FROM kept_chain";
    for (name, trick) in TRICKS {
        let before = verify(&audit).await;
        assert!(before.is_intact() && before.checked == 6, "{before:?}");
        execute(trick).await;
        let found = verify(&audit).await;
        assert!(!found.is_intact(), "{name} was not found: {found:?}");
        execute(mend).await;
    }
    audit.note_head().await.unwrap();
    execute(CUT).await;
    assert!(!verify(&audit).await.is_intact(), "the note is compared");
    // A log that does not hold the noted entry does not make its own note.
    audit.note_head().await.unwrap();
    assert!(!verify(&audit).await.is_intact(), "the note is kept");
    vault.forget_head();
    assert!(verify(&audit).await.is_intact(), "only the note could tell");
}
