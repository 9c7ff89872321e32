//! The audit log: what is recorded, who may see it, what archiving keeps.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::audit::chain::{Anchor, ChainCheck, ORIGIN};
use majordomo_application::audit::{AuditError, AuditQuery, AuditService, Refusals, archive};
use majordomo_application::ports::{
    ApiKeyRepository as _, AuditLog as _, Clock as _, SecurityCheck as _,
};
use majordomo_application::self_audit::{AuditChainCheck, BackupCheck, KeyCheck, SelfAuditError};
use majordomo_domain::{
    ApiKey, AuditHash, AuditRecord, CredentialKind, RequestSource, Scope, Scopes, Timestamp,
};
use majordomo_testkit::audit::{InMemoryAuditVault, self_audit_service};
use majordomo_testkit::builders::api_key;
use majordomo_testkit::{FailingStore, FixedClock, InMemoryStore, Script, Stores};

use crate::support::{World, alice, caller, drain, say, session};

struct Log {
    store: Arc<InMemoryStore>,
    vault: Arc<InMemoryAuditVault>,
    clock: Arc<FixedClock>,
    audit: Arc<AuditService>,
}

fn log() -> Log {
    let store = Arc::new(InMemoryStore::new());
    let vault = Arc::new(InMemoryAuditVault::default());
    let clock = Arc::new(FixedClock::default());
    Log {
        audit: Arc::new(AuditService::new(
            store.clone(),
            vault.clone(),
            clock.clone(),
        )),
        store,
        vault,
        clock,
    }
}

fn operator() -> Caller {
    Caller::operator(CredentialKind::MasterToken)
}

/// A caller without the scope `admin`.
fn chatting() -> Caller {
    Caller {
        scopes: Scopes::from_iter([Scope::Chat, Scope::Sessions]),
        ..caller("bob")
    }
}

impl Log {
    async fn append(&self, count: usize) {
        for _ in 0..count {
            let record = alice().record("test.act", self.clock.now());
            self.store.append(&record).await.unwrap();
        }
    }

    async fn is_intact(&self) -> bool {
        let report = self.audit.verify(&operator(), &[]).await;
        report.unwrap().is_intact()
    }
}

#[tokio::test]
async fn only_administrators_see_and_archive_the_log() {
    let log = log();
    log.append(2).await;
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    let denied = log.audit.list(&chatting(), query.clone()).await;
    assert!(matches!(denied, Err(AuditError::Denied(_))));
    let denied = log.audit.archive(&chatting()).await;
    assert!(matches!(denied, Err(AuditError::Denied(_))));
    assert!(log.audit.page(&chatting(), 0).await.is_err());
    assert!(log.audit.verify(&chatting(), &[]).await.is_err());
    assert_eq!(log.audit.list(&operator(), query).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_archive_and_what_follows_are_one_chain() {
    let log = log();
    log.append(3).await;
    let archived = log.audit.archive(&operator()).await.unwrap().unwrap();
    assert_eq!(archived.entries, 3);
    log.append(1).await;
    let second = log.audit.archive(&operator()).await.unwrap().unwrap();
    // The record of the first archiving, and the act after it.
    assert_eq!(second.entries, 2);
    assert!(log.is_intact().await);

    let chain = log.store.chain().await.unwrap();
    assert_eq!(chain.base_seq, 5);
    let mut check = ChainCheck::after(0, ORIGIN);
    for line in log.vault.archived_lines() {
        check.follow(&archive::read_line(&line).unwrap());
    }
    let report = check.finish(None);
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.last_seq, report.last_hash), (5, chain.base_hash));
}

#[tokio::test]
async fn an_empty_log_has_nothing_to_archive() {
    let log = log();
    assert_eq!(log.audit.archive(&operator()).await.unwrap(), None);
    assert!(log.store.audit_entries().is_empty());
}

#[tokio::test]
async fn lines_of_an_archive_read_back_exactly() {
    let log = log();
    let source = RequestSource::default();
    let record =
        AuditRecord::of_stranger("login.refuse", source, Timestamp::from_micros(1_234_567))
            .with("quoted", "\"ü\" \\ 💻")
            .on("user", "läptöp");
    log.store.append(&record).await.unwrap();
    let [entry] = log.store.audit_entries().try_into().unwrap();
    assert_eq!(
        archive::read_line(&archive::line(&entry)),
        Some(entry.clone())
    );
    let odd = majordomo_domain::AuditEntry {
        details: "{ \"b\": 1, \"a\": 2 }".to_owned(),
        ..entry
    };
    assert_eq!(archive::read_line(&archive::line(&odd)), Some(odd));
    assert_eq!(archive::read_line("{\"seq\": 1}"), None);
}

#[tokio::test]
async fn a_changed_entry_is_named() {
    let log = log();
    log.append(4).await;
    assert!(log.is_intact().await);
    log.store.tamper_with_audit(|entries| {
        entries[1].target = "session:other".to_owned();
    });
    let report = log.audit.verify(&operator(), &[]).await.unwrap();
    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["entry 2 is not what was written after entry 1"]);
}

#[tokio::test]
async fn a_log_made_anew_is_found_by_an_anchor() {
    let log = log();
    log.append(3).await;
    let report = log.audit.verify(&operator(), &[]).await.unwrap();
    let anchor = Anchor {
        seq: report.last_seq,
        hash: report.last_hash,
        at: Timestamp::EPOCH,
    };
    log.append(1).await;
    let later = log.audit.verify(&operator(), &[anchor]).await.unwrap();
    assert!(later.is_intact(), "{later:?}");
    let other = Anchor {
        hash: AuditHash::default(),
        ..anchor
    };
    let forked = log.audit.verify(&operator(), &[other]).await.unwrap();
    assert!(!forked.is_intact());
    let beyond = Anchor { seq: 9, ..anchor };
    let cut = log.audit.verify(&operator(), &[beyond]).await.unwrap();
    assert!(!cut.is_intact());
}

#[tokio::test]
async fn the_check_of_the_log_says_what_is_wrong() {
    let log = log();
    log.append(3).await;
    let check = AuditChainCheck(log.audit.clone());
    assert!(check.examine().await.iter().all(|result| result.passed));
    log.store
        .tamper_with_audit(|entries| drop(entries.remove(1)));
    let [result] = check.examine().await.try_into().unwrap();
    assert!(!result.passed && result.remedy.is_some());
    assert!(result.message.contains("entry 2 is missing"), "{result:?}");
}

#[tokio::test]
async fn refusals_that_cannot_be_written_are_kept() {
    let memory = Arc::new(InMemoryStore::new());
    let store = Arc::new(FailingStore::around(&Stores::of(memory.clone())));
    let clock = Arc::new(FixedClock::default());
    let vault = Arc::new(InMemoryAuditVault::default());
    let audit = AuditService::new(store.clone(), vault, clock.clone());
    let refusals = Refusals::default();
    let source = RequestSource::default();
    refusals.note(AuditRecord::of_stranger(
        "login.refuse",
        source,
        clock.now(),
    ));
    store.set_down(true);
    audit.write_refusals(&refusals, false).await;
    store.set_down(false);
    assert!(memory.audit_entries().is_empty());
    audit.write_refusals(&refusals, true).await;
    let [entry] = memory.audit_entries().try_into().unwrap();
    assert_eq!(
        (entry.action.as_str(), entry.outcome.as_str()),
        ("login.refuse", "denied")
    );
}

#[tokio::test]
async fn a_deleted_and_an_exported_session_are_recorded() {
    let world = World::playing([Script::answer("hi")]);
    let turn = world.chat.send(&alice(), say("trip", "hello")).await;
    drain(turn.unwrap().into_events()).await;
    world
        .sessions
        .export(&alice(), &session("trip"))
        .await
        .unwrap();
    world
        .sessions
        .delete(&alice(), &session("trip"))
        .await
        .unwrap();
    // What is not there is neither deleted nor recorded.
    assert!(
        world
            .sessions
            .delete(&alice(), &session("trip"))
            .await
            .is_err()
    );
    let entries = world.store.audit_entries();
    let told: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.action.as_str(), entry.target.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("session.export", "session:trip"),
            ("session.delete", "session:trip")
        ]
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.actor.as_deref() == Some("alice"))
    );
}

#[tokio::test]
async fn a_day_has_one_report_of_its_own_accord() {
    let store = Arc::new(InMemoryStore::new());
    let clock = Arc::new(FixedClock::default());
    let self_audit = self_audit_service(&store, clock);
    let first = self_audit.run_daily().await.unwrap().unwrap();
    assert_eq!((first.passed(), first.issues()), (1, 1));
    assert_eq!(self_audit.run_daily().await.unwrap(), None);
    let listed = self_audit.reports(&operator()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&first));
    let found = self_audit.report(&operator(), &first.date()).await.unwrap();
    assert_eq!(found, first);
    for date in ["1999-01-01", "../config", "2026-02-0a", ""] {
        let missing = self_audit.report(&operator(), date).await;
        assert!(matches!(missing, Err(SelfAuditError::NotFound)), "{date}");
    }
    let denied = self_audit.run(&chatting()).await;
    assert!(matches!(denied, Err(SelfAuditError::Denied(_))));
    let [entry] = store.audit_entries().try_into().unwrap();
    assert_eq!(entry.action, "self_audit.run");
    assert_eq!(entry.credential, "system");
}

#[tokio::test]
async fn keys_are_old_or_unused_or_neither() {
    const DAY: i64 = 24 * 3600;

    let store = Arc::new(InMemoryStore::new());
    let clock = Arc::new(FixedClock::default());
    let check = KeyCheck {
        keys: store.clone(),
        clock: clock.clone(),
    };
    let ago = |days: i64| Timestamp::from_micros(clock.now().as_micros() - days * DAY * 1_000_000);
    assert!(check.examine().await.iter().all(|result| result.passed));
    let keys = [
        ApiKey {
            created_at: ago(400),
            last_used_at: Some(ago(1)),
            expires_at: None,
            ..api_key("ann", 1)
        },
        ApiKey {
            created_at: ago(100),
            last_used_at: None,
            expires_at: Some(ago(-5)),
            ..api_key("ann", 2)
        },
        // One that has ended harms nobody.
        ApiKey {
            created_at: ago(900),
            last_used_at: None,
            expires_at: Some(ago(3)),
            ..api_key("ann", 3)
        },
    ];
    for (number, key) in keys.iter().enumerate() {
        let act = alice().record("api_key.create", clock.now());
        let digest = [u8::try_from(number).unwrap(); 32];
        store.insert(key, &digest, &[], &act).await.unwrap();
    }
    let [old, unused] = check.examine().await.try_into().unwrap();
    for result in [&old, &unused] {
        assert!(!result.passed && result.remedy.is_some(), "{result:?}");
        assert!(result.message.starts_with("1 API key(s)"), "{result:?}");
    }
    assert!(old.message.contains(&keys[0].name), "{old:?}");
    assert!(unused.message.contains(&keys[1].name), "{unused:?}");
}

#[tokio::test]
async fn a_backup_is_missing_old_or_recent() {
    let log = log();
    let clock = log.clock.clone();
    let check = BackupCheck {
        audit: log.audit.clone(),
        clock: clock.clone(),
    };
    let examine = async || {
        let [result] = check.examine().await.try_into().unwrap();
        result
    };
    let missing = examine().await;
    assert!(!missing.passed && missing.remedy.is_some(), "{missing:?}");
    let made = operator().record(BackupCheck::ACTION, clock.now());
    log.store.append(&made).await.unwrap();
    assert!(examine().await.passed);
    clock.advance(Duration::from_hours(24 * 8));
    assert!(!examine().await.passed);
}
