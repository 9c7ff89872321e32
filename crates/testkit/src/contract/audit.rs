//! What [`AuditLog`](majordomo_application::ports::AuditLog) must do.

use std::net::IpAddr;

use futures_util::future::join_all;
use majordomo_application::audit::chain::{self, ChainCheck};
use majordomo_application::ports::AuditFilter;
use majordomo_domain::{
    ApiKeyId, AuditChain, AuditEntry, AuditHash, AuditOutcome, AuditRecord, CredentialKind,
    RequestId, RequestSource,
};

use super::Stores;
use crate::builders::{at, user};

fn record(number: i64) -> AuditRecord {
    AuditRecord::of_user(
        "session.delete",
        &user("alice"),
        &CredentialKind::MasterToken,
        RequestSource::default(),
        at(number),
    )
    .on("session", format!("s{number}"))
}

async fn append(stores: &Stores, records: impl IntoIterator<Item = AuditRecord>) {
    for record in records {
        stores.audit.append(&record).await.unwrap();
    }
}

async fn all(stores: &Stores) -> Vec<AuditEntry> {
    stores.audit.page(0, 1_000).await.unwrap()
}

async fn chain_of(stores: &Stores) -> AuditChain {
    stores.audit.chain().await.unwrap()
}

fn hash(entry: &AuditEntry) -> AuditHash {
    AuditHash::try_from(entry.hash.as_slice()).unwrap()
}

fn assert_intact(chain: &AuditChain, entries: &[AuditEntry]) {
    let mut check = ChainCheck::after(chain.base_seq, chain.base_hash);
    for entry in entries {
        check.follow(entry);
    }
    let report = check.finish(Some(chain));
    assert_eq!(report.faults, []);
}

fn any() -> AuditFilter {
    AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    }
}

async fn places(stores: &Stores, filter: AuditFilter) -> Vec<u64> {
    let entries = stores.audit.list(&filter).await.unwrap();
    entries.iter().map(|entry| entry.seq).collect()
}

/// Nothing was written yet.
pub async fn an_empty_log_has_both_ends_at_zero(stores: Stores) {
    let chain = chain_of(&stores).await;
    assert_eq!((chain.base_seq, chain.last_seq), (0, 0));
    assert_eq!(
        (chain.base_hash, chain.last_hash),
        (chain::ORIGIN, chain::ORIGIN)
    );
    assert_eq!(all(&stores).await, []);
    assert_eq!(places(&stores, any()).await, Vec::<u64>::new());
}

/// Nothing of a record is lost.
pub async fn a_record_reads_back(stores: Stores) {
    let source = RequestSource {
        address: Some("2001:db8::1".parse::<IpAddr>().unwrap()),
        request: Some(RequestId(7)),
    };
    let key = CredentialKind::ApiKey(ApiKeyId::parse("key-1").unwrap());
    let mut full = AuditRecord::of_user("api_key.create", &user("alice"), &key, source, at(1))
        .on("api_key", "Läptöp 💻 \u{10FFFE}")
        .ended(AuditOutcome::Failed)
        .with("name", "\"quoted\" \\ ü \u{10FFFE}");
    full.count = 3;
    let system = AuditRecord::of_system("self_audit.run", at(2));
    append(&stores, [full.clone(), system.clone()]).await;
    let first = chain::entry(&full, 1, &chain::ORIGIN);
    let second = chain::entry(&system, 2, &hash(&first));
    assert_eq!(first.address.as_deref(), Some("2001:db8::1"));
    assert_eq!(all(&stores).await, [first, second]);
}

/// Every entry has the next place and holds the hash of the one before.
pub async fn entries_are_linked_without_gaps(stores: Stores) {
    append(&stores, (1..=5).map(record)).await;
    let (entries, chain) = (all(&stores).await, chain_of(&stores).await);
    let found: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(found, [1, 2, 3, 4, 5]);
    assert_eq!(chain.last_seq, 5);
    assert_intact(&chain, &entries);
}

/// Who appends at the same time neither loses an entry nor forks the chain.
pub async fn concurrent_records_make_one_chain(stores: Stores) {
    let records: Vec<AuditRecord> = (1..=40).map(record).collect();
    let appended = join_all(records.iter().map(|record| stores.audit.append(record))).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    let (entries, chain) = (all(&stores).await, chain_of(&stores).await);
    assert_eq!(entries.len(), 40);
    assert_intact(&chain, &entries);
}

/// Every condition of a filter holds.
pub async fn lists_are_filtered_and_newest_first(stores: Stores) {
    let bob = AuditRecord {
        actor: Some(user("bob")),
        ..record(3)
    };
    let other = AuditRecord {
        action: "session.clear",
        ..record(4)
    };
    append(&stores, [record(1), record(2), bob, other]).await;
    assert_eq!(places(&stores, any()).await, [4, 3, 2, 1]);
    let cases = [
        (
            AuditFilter {
                actor: Some(user("bob")),
                ..any()
            },
            vec![3],
        ),
        (
            AuditFilter {
                action: Some("session.clear".to_owned()),
                ..any()
            },
            vec![4],
        ),
        (
            AuditFilter {
                from: Some(at(2)),
                to: Some(at(4)),
                ..any()
            },
            vec![3, 2],
        ),
        (
            AuditFilter {
                before: Some(3),
                ..any()
            },
            vec![2, 1],
        ),
        (AuditFilter { limit: 2, ..any() }, vec![4, 3]),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            places(&stores, filter.clone()).await,
            expected,
            "{filter:?}"
        );
    }
}

/// A page begins after a place and holds no more than asked for.
pub async fn pages_are_oldest_first(stores: Stores) {
    append(&stores, (1..=5).map(record)).await;
    let page = stores.audit.page(2, 2).await.unwrap();
    let found: Vec<u64> = page.iter().map(|entry| entry.seq).collect();
    assert_eq!(found, [3, 4]);
    assert_eq!(stores.audit.page(5, 2).await.unwrap(), []);
}

/// Archived entries are taken away, and the rest is still linked to them.
pub async fn archived_entries_go_and_the_chain_goes_on(stores: Stores) {
    append(&stores, (1..=4).map(record)).await;
    let third = all(&stores).await.remove(2);
    let archive = AuditRecord::of_system("audit.archive", at(9));
    let removed = stores
        .audit
        .remove_archived(3, &hash(&third), &archive)
        .await;
    assert!(removed.unwrap());
    let (entries, chain) = (all(&stores).await, chain_of(&stores).await);
    let found: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(found, [4, 5]);
    assert_eq!((chain.base_seq, chain.base_hash), (3, hash(&third)));
    let last = entries.last().map(|entry| entry.action.as_str());
    assert_eq!(last, Some("audit.archive"));
    assert_intact(&chain, &entries);
}

/// An entry that is not the archived one keeps everything where it is.
pub async fn archiving_needs_the_right_hash(stores: Stores) {
    append(&stores, (1..=2).map(record)).await;
    let archive = AuditRecord::of_system("audit.archive", at(9));
    for (last, hash) in [(2, [7; 32]), (9, [0; 32])] {
        let removed = stores.audit.remove_archived(last, &hash, &archive).await;
        assert!(!removed.unwrap());
    }
    assert_eq!(all(&stores).await.len(), 2);
    assert_eq!(chain_of(&stores).await.last_seq, 2);
}
