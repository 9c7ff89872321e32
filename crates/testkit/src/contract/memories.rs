//! What [`MemoryRepository`](majordomo_application::ports::MemoryRepository),
//! [`MemoryVectors`](majordomo_application::ports::MemoryVectors) and
//! [`TurnRepository`](majordomo_application::ports::TurnRepository) must do.

use std::sync::Arc;

use majordomo_application::Caller;
use majordomo_application::memory::{MemoryChange, MemoryImport, MemoryPorts, MemoryService};
use majordomo_application::ports::{
    AuditFilter, MemoryFilter, MemoryInsert, MemoryOrder, NewVector,
};
use majordomo_domain::{
    CredentialKind, Importance, Memory, MemoryAuthor, MemoryId, MemoryKind, MemorySource,
    MessageId, UserId,
};

use super::memory_vectors::{memories_with_vector, space, vector};
use super::{Stores, assert_conflict};
use crate::builders::{
    answer, at, memory, message_id, record, remembering, run_id, session_id, turn, user,
};
use crate::{FixedClock, SequentialIds};

const MOST: u64 = 1_000;

pub(super) async fn insert(stores: &Stores, owner: &str, memories: &[Memory]) {
    let inserted = stores
        .memories
        .insert(&user(owner), memories, MOST, None)
        .await;
    assert_eq!(inserted.unwrap(), MemoryInsert::Stored);
}

/// Stores two memories and reads them.
pub(super) async fn one_and_two(stores: &Stores, owner: &UserId) -> Vec<Memory> {
    let of = owner.as_str();
    let both = [memory(of, 1, "one"), memory(of, 2, "two")];
    insert(stores, of, &both).await;
    stores.memories.changes(owner, 0, 10).await.unwrap()
}

async fn all(stores: &Stores, owner: &str, order: MemoryOrder) -> Vec<Memory> {
    let filter = MemoryFilter {
        kind: None,
        order,
        limit: 100,
        offset: 0,
    };
    let (page, total) = stores.memories.list(&user(owner), filter).await.unwrap();
    assert_eq!(u64::try_from(page.len()).unwrap(), total);
    page
}

fn ids(memories: &[Memory]) -> Vec<&str> {
    memories.iter().map(|memory| memory.id.as_str()).collect()
}

fn with_importance(memory: Memory, importance: f64) -> Memory {
    Memory {
        importance: Importance::new(importance).unwrap(),
        ..memory
    }
}

/// Every field of a memory reads back, whatever characters it holds.
pub async fn a_memory_reads_back(stores: Stores) {
    let mut full = Memory {
        kind: MemoryKind::ToolResult,
        importance: Importance::new(0.123_456_789).unwrap(),
        tags: vec!["tea \"green\"".to_owned(), "ü\0\u{10FFFE}".to_owned()],
        sources: vec![
            MemorySource {
                author: MemoryAuthor::Import,
                session: Some(session_id("s")),
                message: Some(message_id("m")),
                run: Some(run_id("r")),
            },
            MemorySource::of(MemoryAuthor::Tool),
        ],
        access_count: 7,
        ..memory("ann", 1, "Grüße\0\n🦀 \u{10FFFE}")
    };
    insert(&stores, "ann", std::slice::from_ref(&full)).await;
    full.revision = 1;
    let found = stores
        .memories
        .find(&user("ann"), std::slice::from_ref(&full.id))
        .await;
    assert_eq!(found.unwrap(), [full]);
}

/// A taken id is a conflict, and nothing of the batch is stored.
pub async fn a_taken_memory_id_is_a_conflict(stores: Stores) {
    insert(&stores, "ann", &[memory("ann", 1, "one")]).await;
    let batch = [memory("ann", 2, "two"), memory("ann", 1, "one")];
    assert_conflict(
        stores
            .memories
            .insert(&user("ann"), &batch, MOST, None)
            .await,
    );
    assert_eq!(
        ids(&all(&stores, "ann", MemoryOrder::Newest).await),
        ["memory-ann-1"]
    );
}

/// No owner stores more than the limit; what is forgotten makes room.
pub async fn a_full_memory_stores_nothing(stores: Stores) {
    let owner = user("ann");
    insert(
        &stores,
        "ann",
        &[memory("ann", 1, "one"), memory("ann", 2, "two")],
    )
    .await;
    let more = [memory("ann", 3, "three"), memory("ann", 4, "four")];
    let full = stores
        .memories
        .insert(&owner, &more, 3, None)
        .await
        .unwrap();
    assert_eq!(full, MemoryInsert::Full);
    assert_eq!(all(&stores, "ann", MemoryOrder::Newest).await.len(), 2);
    let first = memory("ann", 1, "").id;
    let deleted = stores
        .memories
        .delete(&owner, &[first], None, &record("memory.delete"))
        .await;
    assert_eq!(deleted.unwrap(), 1);
    let stored = stores
        .memories
        .insert(&owner, &more, 3, None)
        .await
        .unwrap();
    assert_eq!(stored, MemoryInsert::Stored);
}

/// Another owner's memories cannot be seen, changed, forgotten or embedded.
pub async fn another_owners_memory_does_not_exist(stores: Stores) {
    let (ann, bob) = (user("ann"), user("bob"));
    insert(&stores, "ann", &[memory("ann", 1, "secret")]).await;
    let mut hers = all(&stores, "ann", MemoryOrder::Newest).await;
    let id = hers[0].id.clone();
    let one = [id.clone()];
    assert_eq!(stores.memories.find(&bob, &one).await.unwrap(), []);
    assert_eq!(all(&stores, "bob", MemoryOrder::Importance).await, []);
    assert_eq!(stores.memories.changes(&bob, 0, 10).await.unwrap(), []);
    assert_eq!(stores.memories.counts(&bob).await.unwrap(), []);
    stores.memories.touch(&bob, &one, at(9)).await.unwrap();
    "changed".clone_into(&mut hers[0].content);
    let replaced = stores
        .memories
        .replace(&bob, &hers, true, None)
        .await
        .unwrap();
    assert_eq!(replaced, 0);
    let deleted = stores
        .memories
        .delete(&bob, &one, None, &record("memory.delete"))
        .await;
    assert_eq!(deleted.unwrap(), 0);
    let space = space("a", 2);
    let vector = vector(&hers[0], &[1.0, 0.0]);
    stores
        .memory_vectors
        .store(&bob, &space, &[vector])
        .await
        .unwrap();
    assert_eq!(memories_with_vector(&stores, "bob", &space).await, 0);
    assert_eq!(memories_with_vector(&stores, "ann", &space).await, 0);
    let found = stores.memories.find(&ann, &one).await.unwrap();
    assert_eq!(
        (found[0].content.as_str(), found[0].access_count),
        ("secret", 0)
    );
}

/// Lists are in the order asked for, of one kind where one is asked for, in pages.
pub async fn memories_are_listed_in_order(stores: Stores) {
    let fact = Memory {
        kind: MemoryKind::Fact,
        ..with_importance(memory("ann", 1, "one"), 0.9)
    };
    let batch = [
        fact,
        memory("ann", 2, "two"),
        with_importance(memory("ann", 3, "three"), 0.7),
    ];
    insert(&stores, "ann", &batch).await;
    let (one, two, three) = ("memory-ann-1", "memory-ann-2", "memory-ann-3");
    assert_eq!(
        ids(&all(&stores, "ann", MemoryOrder::Importance).await),
        [one, three, two]
    );
    assert_eq!(
        ids(&all(&stores, "ann", MemoryOrder::Newest).await),
        [three, two, one]
    );
    let filter = MemoryFilter {
        kind: Some(MemoryKind::Context),
        order: MemoryOrder::Importance,
        limit: 1,
        offset: 1,
    };
    let (page, total) = stores.memories.list(&user("ann"), filter).await.unwrap();
    assert_eq!((ids(&page), total), (vec![two], 2));
    let mut counts = stores.memories.counts(&user("ann")).await.unwrap();
    counts.sort();
    assert_eq!(counts, [(MemoryKind::Fact, 1), (MemoryKind::Context, 2)]);
}

/// A change replaces what it may, gives a new revision, and is refused where another one came first.
pub async fn a_memory_is_replaced_once(stores: Stores) {
    let owner = user("ann");
    let stored = one_and_two(&stores, &owner).await;
    assert_eq!(ids(&stored), ["memory-ann-1", "memory-ann-2"]);
    stores
        .memories
        .touch(&owner, &[stored[0].id.clone()], at(50))
        .await
        .unwrap();
    let changed = Memory {
        content: "changed".to_owned(),
        summary: "c".to_owned(),
        tags: vec!["new".to_owned()],
        updated_at: at(60),
        decayed_at: at(61),
        ..with_importance(stored[0].clone(), 0.25)
    };
    let replace = || {
        stores
            .memories
            .replace(&owner, std::slice::from_ref(&changed), true, None)
    };
    assert_eq!(replace().await.unwrap(), 1);
    assert_eq!(replace().await.unwrap(), 0);
    let last = stored[1].revision;
    let mut news = stores.memories.changes(&owner, last, 10).await.unwrap();
    assert_eq!(news.len(), 1);
    assert!(news[0].revision > last);
    news[0].revision = changed.revision;
    let touched = Memory {
        accessed_at: at(50),
        access_count: 1,
        ..changed
    };
    assert_eq!(news, [touched]);
}

/// Concurrent changes of one owner get revisions of their own.
pub async fn revisions_are_never_shared(stores: Stores) {
    let owner = user("ann");
    let inserts = (1..=8).map(|number| {
        let (memories, owner) = (stores.memories.clone(), owner.clone());
        let batch = [memory("ann", number, "a"), memory("ann", number + 100, "b")];
        tokio::spawn(async move { memories.insert(&owner, &batch, MOST, None).await })
    });
    for insert in inserts.collect::<Vec<_>>() {
        insert.await.unwrap().unwrap();
    }
    let changes = stores.memories.changes(&owner, 0, 100).await.unwrap();
    let revisions: Vec<u64> = changes.iter().map(|memory| memory.revision).collect();
    assert_eq!(revisions, (1..=16).collect::<Vec<u64>>());
}

/// What is forgotten is gone with its vector, and recorded; forgetting nothing is not.
pub async fn a_forgotten_memory_is_gone(stores: Stores) {
    let owner = user("ann");
    insert(
        &stores,
        "ann",
        &[memory("ann", 1, "one"), memory("ann", 2, "two")],
    )
    .await;
    let stored = all(&stores, "ann", MemoryOrder::Newest).await;
    let space = space("a", 2);
    let vectors: Vec<NewVector> = stored.iter().map(|m| vector(m, &[1.0, 0.0])).collect();
    stores
        .memory_vectors
        .store(&owner, &space, &vectors)
        .await
        .unwrap();
    let gone = [stored[0].id.clone(), MemoryId::parse("unknown").unwrap()];
    let record = record("memory.delete");
    let delete = || stores.memories.delete(&owner, &gone, None, &record);
    assert_eq!(delete().await.unwrap(), 1);
    assert_eq!(delete().await.unwrap(), 0);
    assert_eq!(
        ids(&all(&stores, "ann", MemoryOrder::Newest).await),
        ["memory-ann-1"]
    );
    assert_eq!(memories_with_vector(&stores, "ann", &space).await, 1);
    let entries = stores
        .audit
        .list(&AuditFilter {
            limit: 10,
            ..AuditFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(entries.len(), 1);
}

/// What was changed after a revision stays, where what is forgotten was read at that one.
pub async fn a_memory_that_was_changed_is_not_forgotten(stores: Stores) {
    let owner = user("ann");
    let read = one_and_two(&stores, &owner).await;
    let (until, first) = (read[1].revision, &read[..1]);
    let replaced = stores.memories.replace(&owner, first, false, None).await;
    assert_eq!(replaced.unwrap(), 1);
    let both = [read[0].id.clone(), read[1].id.clone()];
    let record = record("memory.delete");
    let deleted = stores
        .memories
        .delete(&owner, &both, Some(until), &record)
        .await;
    assert_eq!(deleted.unwrap(), 1);
    assert_eq!(
        ids(&all(&stores, "ann", MemoryOrder::Newest).await),
        ["memory-ann-1"]
    );
}

/// A service over the storage, as one request sees it.
fn service(stores: &Stores) -> Arc<MemoryService> {
    let memory = MemoryService::new(MemoryPorts {
        memories: stores.memories.clone(),
        turns: stores.turns.clone(),
        audit_log: stores.audit.clone(),
        clock: Arc::new(FixedClock::default()),
        ids: Arc::new(SequentialIds::new()),
    });
    Arc::new(memory)
}

/// Whoever imports the same memories at the same time stores each once, and is not refused.
pub async fn concurrent_imports_store_each_memory_once(stores: Stores) {
    let memory = service(&stores);
    let caller = Caller::operator(CredentialKind::MasterToken);
    let batch: Vec<MemoryImport> = (0..50)
        .map(|number| remembering(&format!("memory {number}")).into())
        .collect();
    let imports = (0..6).map(|_| {
        let (memory, caller, batch) = (memory.clone(), caller.clone(), batch.clone());
        tokio::spawn(async move { memory.import(&caller, batch).await })
    });
    let mut stored = 0;
    for import in imports.collect::<Vec<_>>() {
        let imported = import.await.unwrap().unwrap();
        assert_eq!(imported.ids.len(), 50);
        stored += imported.stored;
    }
    assert_eq!(stored, 50);
}

/// Of eight who change one memory at the same time none is refused.
pub async fn concurrent_changes_of_one_memory_are_all_made(stores: Stores) {
    let memory = service(&stores);
    let caller = Caller::operator(CredentialKind::MasterToken);
    let stored = memory.create(&caller, remembering("likes tea"));
    let id = stored.await.unwrap().memory.id;
    let changes = (0..8).map(|number| {
        let (memory, caller, id) = (memory.clone(), caller.clone(), id.clone());
        let change = MemoryChange {
            tags: Some(vec![format!("t{number}")]),
            ..MemoryChange::default()
        };
        tokio::spawn(async move { memory.update(&caller, &id, change).await })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap().unwrap();
    }
}

/// What is stored or replaced is recorded with it; what is not stored leaves no record.
pub async fn changes_of_memories_are_recorded_with_them(stores: Stores) {
    let owner = user("ann");
    let acts = async || {
        let filter = AuditFilter {
            limit: 100,
            ..AuditFilter::default()
        };
        stores.audit.list(&filter).await.unwrap().len()
    };
    let act = record("tool.call");
    let one = [memory("ann", 1, "one")];
    let insert = async |memories: &[Memory], most| {
        let memories = stores.memories.insert(&owner, memories, most, Some(&act));
        memories.await
    };
    assert_eq!(insert(&one, 1).await.unwrap(), MemoryInsert::Stored);
    assert_eq!(acts().await, 1);
    let another = [memory("ann", 2, "two")];
    assert_eq!(insert(&another, 1).await.unwrap(), MemoryInsert::Full);
    assert_conflict(insert(&one, MOST).await);
    assert_eq!(acts().await, 1);
    let stored = stores.memories.changes(&owner, 0, 10).await.unwrap();
    for replaced in [1, 0] {
        // The second time its revision has passed.
        let again = stores.memories.replace(&owner, &stored, true, Some(&act));
        assert_eq!(again.await.unwrap(), replaced);
        assert_eq!(acts().await, 2);
    }
}

/// Messages are read as turns: by session and position, newer sessions only, the owner's only.
pub async fn messages_are_turns(stores: Stores) {
    let (ann, bob) = (user("ann"), user("bob"));
    for (owner, session, number, text) in [
        ("ann", "old", 1, "first"),
        ("ann", "late", 2, "second"),
        ("bob", "old", 3, "his"),
    ] {
        let turn = turn(owner, session, number, text);
        stores.journal.accept(turn.clone()).await.unwrap();
        stores.journal.finish(answer(&turn, "yes")).await.unwrap();
    }
    let marks = stores.turns.sessions(&ann, at(0), 10).await.unwrap();
    let names: Vec<_> = marks
        .iter()
        .map(|m| (m.session.as_str(), m.last_seq))
        .collect();
    assert_eq!(names, [("old", 2), ("late", 2)]);
    let late = stores
        .turns
        .sessions(&ann, marks[1].changed_at, 10)
        .await
        .unwrap();
    assert_eq!(late, marks[1..]);
    let old = session_id("old");
    let turns = stores.turns.turns(&ann, &old, 0, 10).await.unwrap();
    let texts: Vec<_> = turns.iter().map(|t| (t.seq, t.text.as_str())).collect();
    assert_eq!(texts, [(1, "first"), (2, "yes")]);
    assert!(
        turns
            .iter()
            .all(|turn| turn.run == Some(run_id("run-ann-old-1")))
    );
    assert_eq!(
        stores.turns.turns(&ann, &old, 1, 10).await.unwrap(),
        turns[1..]
    );
    assert_eq!(
        stores.turns.turns(&ann, &old, 0, 1).await.unwrap(),
        turns[..1]
    );
    let ids: Vec<MessageId> = turns.iter().map(|turn| turn.message.clone()).collect();
    assert_eq!(
        stores.turns.find(&ann, &ids[..1]).await.unwrap(),
        turns[..1]
    );
    assert_eq!(stores.turns.find(&bob, &ids).await.unwrap(), []);
}
