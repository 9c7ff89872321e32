//! What others do to memories while one of them is changed.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::memory::{
    MemoryChange, MemoryImport, MemoryPorts, MemoryService, NewMemory,
};
use majordomo_application::ports::MemoryFilter;
use majordomo_domain::{CredentialKind, Memory, MemoryId, Scope, Scopes, UserRole};
use majordomo_testkit::builders::{remembering, user};
use majordomo_testkit::contract::Stores;
use majordomo_testkit::{FailingStore, FixedClock, InMemoryStore, SequentialIds};

/// One storage with two services over it, as two requests see it; `store` stands between the first one and the storage.
struct World {
    store: Arc<FailingStore>,
    clock: Arc<FixedClock>,
    memory: MemoryService,
    other: Arc<MemoryService>,
}

fn world() -> World {
    let stores = Stores::of(Arc::new(InMemoryStore::new()));
    let store = Arc::new(FailingStore::around(&stores));
    let (clock, ids) = (
        Arc::new(FixedClock::default()),
        Arc::new(SequentialIds::new()),
    );
    let service = |memories| {
        MemoryService::new(MemoryPorts {
            memories,
            turns: stores.turns.clone(),
            audit_log: stores.audit.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        })
    };
    World {
        memory: service(store.clone()),
        other: Arc::new(service(stores.memories.clone())),
        store,
        clock,
    }
}

fn ann() -> Caller {
    let scopes = Scopes::from_iter([Scope::Memory]);
    Caller::new(user("ann"), UserRole::Member, scopes, CredentialKind::Login)
}

fn tagged(tag: &str) -> MemoryChange {
    MemoryChange {
        tags: Some(vec![tag.to_owned()]),
        ..MemoryChange::default()
    }
}

fn says(content: &str) -> MemoryChange {
    MemoryChange {
        content: Some(content.to_owned()),
        ..MemoryChange::default()
    }
}

impl World {
    async fn remember(&self, new: NewMemory) -> MemoryId {
        self.other.create(&ann(), new).await.unwrap().memory.id
    }

    /// Lets somebody else change a memory before the next call of a method of storage.
    fn change_before(&self, method: &'static str, id: &MemoryId, change: MemoryChange) {
        let (other, id) = (self.other.clone(), id.clone());
        self.store.meanwhile(method, async move {
            other.update(&ann(), &id, change).await.unwrap();
        });
    }

    async fn all(&self) -> Vec<Memory> {
        let page = self.other.list(&ann(), MemoryFilter::default()).await;
        page.unwrap().memories
    }
}

#[tokio::test]
async fn what_another_import_stores_meanwhile_is_known() {
    let world = world();
    let batch = |texts: &[&str]| -> Vec<MemoryImport> {
        texts.iter().map(|text| remembering(text).into()).collect()
    };
    let (other, same) = (world.other.clone(), batch(&["one", "two"]));
    world.store.meanwhile("memories.insert", async move {
        other.import(&ann(), same).await.unwrap();
    });
    let batch = batch(&["one", "two", "three"]);
    let imported = world.memory.import(&ann(), batch).await.unwrap();
    assert_eq!((imported.stored, imported.ids.len()), (1, 3));
    assert_eq!(world.all().await.len(), 3);
}

#[tokio::test]
async fn a_memory_that_is_changed_meanwhile_is_changed_all_the_same() {
    let world = world();
    let id = world.remember(remembering("likes tea")).await;
    for _ in 0..3 {
        world.change_before("memories.replace", &id, says("likes coffee"));
    }
    let changed = world.memory.update(&ann(), &id, tagged("drink")).await;
    let changed = changed.unwrap();
    assert_eq!(
        (changed.content.as_str(), changed.tags),
        ("likes coffee", vec!["drink".to_owned()])
    );
}

#[tokio::test]
async fn what_is_merged_into_a_memory_that_is_changed_or_forgotten_meanwhile_is_kept() {
    let world = world();
    let text = "The dentist of the family is in the Rose street in Berlin";
    let id = world.remember(remembering(text)).await;
    world.change_before("memories.replace", &id, tagged("health"));
    let stored = world
        .memory
        .create(&ann(), remembering(text))
        .await
        .unwrap();
    assert!(stored.merged);
    assert_eq!(stored.memory.tags, ["health"]);
    let other = world.other.clone();
    world.store.meanwhile("memories.replace", async move {
        other.delete(&ann(), &id).await.unwrap();
    });
    let stored = world
        .memory
        .create(&ann(), remembering(text))
        .await
        .unwrap();
    assert!(!stored.merged);
    assert_eq!(world.all().await.len(), 1);
}

#[tokio::test]
async fn what_is_changed_meanwhile_is_not_forgotten_by_fading() {
    let world = world();
    let weak = |text| NewMemory {
        importance: Some(0.1),
        ..remembering(text)
    };
    world.remember(weak("A dog barked")).await;
    let id = world.remember(weak("The sky is blue")).await;
    world.clock.advance(Duration::from_hours(25));
    world.change_before("memories.delete", &id, says("The sky is green"));
    let decayed = world.memory.decay(&ann()).await.unwrap();
    assert_eq!((decayed.processed, decayed.removed), (2, 1));
    let kept = world.all().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].content, "The sky is green");
}
