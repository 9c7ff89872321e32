//! The audit log's files.

use majordomo_application::audit::chain::Anchor;
use majordomo_application::ports::AuditVault as _;
use majordomo_domain::Timestamp;
use majordomo_infrastructure_system::{AUDIT_HEAD_FILE, FileAuditVault, FileMode, file_mode};

fn anchor(seq: u64) -> Anchor {
    Anchor {
        seq,
        hash: [0xab; 32],
        at: Timestamp::from_secs(1_770_000_000),
    }
}

#[tokio::test]
async fn the_note_reads_back_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FileAuditVault::new(folder.path());
    assert_eq!(vault.head().await.unwrap(), None);
    for seq in [1, u64::MAX] {
        vault.note_head(&anchor(seq)).await.unwrap();
        assert_eq!(vault.head().await.unwrap(), Some(anchor(seq)));
    }
    let path = folder.path().join(AUDIT_HEAD_FILE);
    assert_eq!(file_mode(&path), FileMode::Private);
}

#[tokio::test]
async fn a_damaged_note_is_no_note() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FileAuditVault::new(folder.path());
    for text in ["", "1", "1 abc 2026-02-02T02:40:00Z", "x y z"] {
        std::fs::write(folder.path().join(AUDIT_HEAD_FILE), text).unwrap();
        assert!(vault.head().await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn archives_grow_and_stay_private() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FileAuditVault::new(folder.path());
    let name = "audit-20260202T024000000000Z.jsonl";
    vault.append_archive(name, "one\n").await.unwrap();
    let place = vault.append_archive(name, "two\n").await.unwrap();
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "one\ntwo\n");
    assert_eq!(file_mode(std::path::Path::new(&place)), FileMode::Private);
    for name in ["../audit-x.jsonl", "audit-/x.jsonl", "config.toml"] {
        assert!(vault.append_archive(name, "x").await.is_err(), "{name}");
    }
}
