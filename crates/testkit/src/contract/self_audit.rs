//! What [`SelfAuditRepository`](majordomo_application::ports::SelfAuditRepository) must do.

use majordomo_application::ports::KeyUse;
use majordomo_domain::{
    ApiKey, AuditRecord, CheckSeverity, SecurityCheckResult, SelfAuditReport, Timestamp,
};

use super::Stores;
use crate::builders::{api_key, at, user};

const DAY: i64 = 24 * 3600;

fn report(day: i64, words: &str) -> SelfAuditReport {
    SelfAuditReport {
        at: at(day * DAY),
        results: vec![
            SecurityCheckResult::passed("First", words),
            SecurityCheckResult::failed("Second", CheckSeverity::Critical, "läptöp \"💻\"", "mend"),
        ],
    }
}

async fn put(stores: &Stores, report: &SelfAuditReport, oldest: &str) {
    let act = AuditRecord::of_system("self_audit.run", report.at).on("report", report.date());
    let before = stores.audit.chain().await.unwrap().last_seq;
    let stored = stores.self_audit.put(report, oldest, &act).await;
    stored.unwrap();
    let [entry] = stores
        .audit
        .page(before, 10)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(
        (entry.action.as_str(), entry.target),
        ("self_audit.run", act.target)
    );
}

/// Nothing of a report is lost, and a day without one has none.
pub async fn a_report_reads_back(stores: Stores) {
    let full = SelfAuditReport {
        at: Timestamp::from_micros(at(0).as_micros() + 123_457),
        ..report(0, "words")
    };
    put(&stores, &full, "2026-01-01").await;
    assert_eq!(full.date(), "2026-02-02");
    let found = stores.self_audit.find("2026-02-02").await.unwrap();
    assert_eq!(found, Some(full));
    assert_eq!(stores.self_audit.find("2026-02-03").await.unwrap(), None);
}

/// A later report of the same day takes the place of the earlier one; old days are forgotten.
pub async fn a_day_has_one_report_and_old_ones_go(stores: Stores) {
    for (day, oldest) in [(0, "2026-01-01"), (1, "2026-01-01"), (2, "2026-02-03")] {
        put(&stores, &report(day, "first"), oldest).await;
    }
    let again = report(2, "again");
    put(&stores, &again, "2026-02-03").await;
    let listed = stores.self_audit.list(10).await.unwrap();
    assert_eq!(listed, [again.clone(), report(1, "first")]);
    assert_eq!(stores.self_audit.list(1).await.unwrap(), [again]);
}

/// Keys of every owner are told, revoked ones are not.
pub async fn keys_in_use_are_told(stores: Stores) {
    let made = |key: &ApiKey| AuditRecord::of_system("api_key.create", key.created_at);
    let keys = [
        ApiKey {
            expires_at: Some(at(500)),
            last_used_at: Some(at(50)),
            ..api_key("bob", 1)
        },
        api_key("alice", 2),
        api_key("alice", 3),
    ];
    for (number, key) in (1..).zip(&keys) {
        let inserted = stores
            .api_keys
            .insert(key, &[number; 32], &[], &made(key))
            .await;
        inserted.unwrap();
    }
    let [_, _, last] = &keys;
    let revoked = stores
        .api_keys
        .revoke(&user("alice"), &last.id, at(9), &made(last))
        .await;
    assert!(revoked.unwrap());
    let told = stores.self_audit.keys_in_use(10).await.unwrap();
    let expected: Vec<KeyUse> = keys.iter().take(2).map(key_use).collect();
    assert_eq!(told, expected);
    let oldest = stores.self_audit.keys_in_use(1).await.unwrap();
    assert_eq!(oldest.first(), expected.first());
}

fn key_use(key: &ApiKey) -> KeyUse {
    KeyUse {
        name: key.name.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}
