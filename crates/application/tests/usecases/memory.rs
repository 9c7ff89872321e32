//! Remembering, finding, fading.

mod turns;

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::memory::{
    Decayed, Found, MAX_IMPORT, MemoryChange, MemoryError, MemoryHit, MemoryLimits, MemoryPorts,
    MemorySearch, MemoryService, NewMemory, SealedMemories,
};
use majordomo_application::ports::{
    AuditFilter, AuditLog, ImportedConversation, MemoryFilter, MemoryRepository, RunJournal as _,
    SecretBox, SecretError, SecretPlace, SessionRepository,
};
use majordomo_application::{Caller, ErrorKind, ServiceError as _};
use majordomo_domain::{
    CredentialKind, MemoryAuthor, MemoryKind, MemorySource, Message, Scope, Scopes, UserRole,
};
use majordomo_testkit::builders::{
    answer, at, erasure, message, remembering, session, session_id, turn, user,
};
use majordomo_testkit::{FixedClock, InMemoryStore, SequentialIds};

struct World {
    store: Arc<InMemoryStore>,
    clock: Arc<FixedClock>,
    memory: MemoryService,
}

/// Seals by turning letters around; enough to see what is stored.
struct Reversing;

impl SecretBox for Reversing {
    fn seal(&self, place: SecretPlace<'_>, secret: &str) -> Result<String, SecretError> {
        let reversed: String = secret.chars().rev().collect();
        Ok(format!(
            "{}|{}|{reversed}",
            place.column,
            place.row.join("/")
        ))
    }

    fn open(&self, place: SecretPlace<'_>, sealed: &str) -> Result<String, SecretError> {
        let start = format!("{}|{}|", place.column, place.row.join("/"));
        let reversed = sealed.strip_prefix(&start).ok_or(SecretError::Tampered)?;
        Ok(reversed.chars().rev().collect())
    }

    fn is_current(&self, _: &str) -> bool {
        true
    }
}

fn world() -> World {
    let store = Arc::new(InMemoryStore::new());
    let clock = Arc::new(FixedClock::default());
    let memory = MemoryService::new(MemoryPorts {
        memories: Arc::new(SealedMemories::new(store.clone(), Arc::new(Reversing))),
        turns: store.clone(),
        audit_log: store.clone(),
        clock: clock.clone(),
        ids: Arc::new(SequentialIds::new()),
    });
    World {
        store,
        clock,
        memory,
    }
}

fn caller(name: &str) -> Caller {
    let (role, scopes) = (UserRole::Member, Scopes::from_iter([Scope::Memory]));
    Caller::new(user(name), role, scopes, CredentialKind::Login)
}

impl World {
    async fn search(&self, name: &str, text: &str) -> Vec<MemoryHit> {
        let search = MemorySearch {
            text: text.to_owned(),
            limit: 5,
            turns: true,
        };
        self.memory.search(&caller(name), &search).await.unwrap()
    }

    async fn texts(&self, name: &str, text: &str) -> Vec<String> {
        let hits = self.search(name, text).await;
        hits.into_iter()
            .map(|hit| match hit.found {
                Found::Memory(memory) => memory.content,
                Found::Turn(turn) => turn.text,
            })
            .collect()
    }
}

#[tokio::test]
async fn what_is_remembered_is_found_by_its_owner_only() {
    let world = world();
    let ann = caller("ann");
    let stored = world
        .memory
        .create(&ann, remembering("Ann hikes in the Alps"))
        .await
        .unwrap();
    assert!(!stored.merged);
    assert_eq!(
        world.texts("ann", "where does she hike?").await,
        ["Ann hikes in the Alps"]
    );
    assert_eq!(world.texts("bob", "where does she hike?").await, [""; 0]);
    let bob = caller("bob");
    let id = &stored.memory.id;
    for refused in [
        world.memory.get(&bob, id).await.map(drop),
        world.memory.delete(&bob, id).await,
        world
            .memory
            .update(&bob, id, MemoryChange::default())
            .await
            .map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    }
    world.memory.delete(&ann, id).await.unwrap();
    assert_eq!(world.texts("ann", "hike").await, [""; 0]);
}

#[tokio::test]
async fn content_and_summary_are_sealed_at_rest() {
    let world = world();
    let stored = world
        .memory
        .create(&caller("ann"), remembering("secret plan"))
        .await
        .unwrap();
    let raw = MemoryRepository::find(&*world.store, &user("ann"), &[stored.memory.id])
        .await
        .unwrap();
    for text in [&raw[0].content, &raw[0].summary] {
        assert!(
            !text.contains("secret") && text.ends_with("nalp terces"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_is_said_twice_is_one_memory() {
    let world = world();
    let ann = caller("ann");
    let text = "The dentist of the family is in the Rose street in Berlin";
    let first = world.memory.create(&ann, remembering(text)).await.unwrap();
    let again = world.memory.create(&ann, remembering(text)).await.unwrap();
    assert!(again.merged);
    assert_eq!(
        (&again.memory.id, again.memory.content.as_str()),
        (&first.memory.id, text)
    );
    let more = format!("{text} today");
    let merged = world.memory.create(&ann, remembering(&more)).await.unwrap();
    assert_eq!(
        merged.memory.content,
        format!("{text}\n\nAdditional context: {more}")
    );
    let preference = NewMemory {
        kind: MemoryKind::Preference,
        ..remembering(text)
    };
    assert!(!world.memory.create(&ann, preference).await.unwrap().merged);
    assert!(
        !world
            .memory
            .create(&caller("bob"), remembering(text))
            .await
            .unwrap()
            .merged
    );
    assert!(
        !world
            .memory
            .create(&ann, remembering("The dentist is ill"))
            .await
            .unwrap()
            .merged
    );
}

#[tokio::test]
async fn importing_again_stores_nothing_new() {
    let world = world();
    let ann = caller("ann");
    let said = |text: &str| NewMemory {
        source: MemorySource {
            session: Some(session_id("talk")),
            ..MemorySource::of(MemoryAuthor::Import)
        },
        ..remembering(text)
    };
    let batch = vec![said("Yes").into(), said("No").into(), said("Yes").into()];
    let first = world.memory.import(&ann, batch.clone()).await.unwrap();
    let again = world.memory.import(&ann, batch).await.unwrap();
    assert_eq!((first.stored, again.stored, first.ids.len()), (3, 0, 3));
    assert_eq!(first.ids, again.ids);
    let too_many = vec![said("x").into(); MAX_IMPORT + 1];
    let refused = world.memory.import(&ann, too_many).await;
    assert!(matches!(refused, Err(MemoryError::Invalid(_))));
}

#[tokio::test]
async fn every_page_of_an_export_is_recorded() {
    let world = world();
    let ann = caller("ann");
    world
        .memory
        .create(&ann, remembering("likes tea"))
        .await
        .unwrap();
    for after in [0, 1, 7] {
        world.memory.export(&ann, after, 10).await.unwrap();
    }
    let filter = AuditFilter {
        limit: 10,
        ..AuditFilter::default()
    };
    let acts = AuditLog::list(&*world.store, &filter).await.unwrap();
    let exports = acts.iter().filter(|act| act.action == "memory.export");
    let mut pages: Vec<&str> = exports.map(|act| act.details.as_str()).collect();
    pages.sort_unstable();
    assert_eq!(
        pages,
        [r#"{"after":"0"}"#, r#"{"after":"1"}"#, r#"{"after":"7"}"#]
    );
}

#[tokio::test]
async fn a_memory_that_cannot_be_opened_holds_up_no_other() {
    let world = world();
    let ann = caller("ann");
    let texts = ["Herons wade", "Owls call", "Wrens sing"];
    for text in texts {
        let stored = world.memory.create(&ann, remembering(text)).await.unwrap();
        if text == "Owls call" {
            let (owner, id) = (user("ann"), stored.memory.id);
            let raw = MemoryRepository::find(&*world.store, &owner, &[id]).await;
            let mut raw = raw.unwrap();
            raw[0].content = "damaged".to_owned();
            world
                .store
                .replace(&owner, &raw, false, None)
                .await
                .unwrap();
        }
    }
    assert_eq!(world.texts("ann", "herons").await, ["Herons wade"]);
    assert_eq!(world.texts("ann", "wrens").await, ["Wrens sing"]);
    let all = world.memory.list(&ann, MemoryFilter::default()).await;
    assert_eq!(all.unwrap().memories.len(), 2);
    let stored = world.memory.create(&ann, remembering("Geese fly")).await;
    assert!(!stored.unwrap().merged);
}

#[tokio::test]
async fn what_begins_alike_is_told_apart_and_the_same_is_found_again() {
    let world = world();
    let ann = caller("ann");
    let head: Vec<String> = (0..60).map(|word| format!("common{word}")).collect();
    let log = |number: usize| {
        let own: Vec<String> = (0..60).map(|word| format!("own{number}x{word}")).collect();
        remembering(&format!("{} {}", head.join(" "), own.join(" ")))
    };
    for merged in [false, true] {
        for number in 0..20 {
            let stored = world.memory.create(&ann, log(number)).await.unwrap();
            assert_eq!(stored.merged, merged, "{number}");
        }
    }
}

#[tokio::test]
async fn fading_happens_once_a_day_and_ends_in_forgetting() {
    let world = world();
    let ann = caller("ann");
    world
        .memory
        .create(&ann, remembering("The sky is blue"))
        .await
        .unwrap();
    let weak = NewMemory {
        importance: Some(0.1),
        ..remembering("A dog barked")
    };
    world.memory.create(&ann, weak).await.unwrap();
    world.clock.advance(Duration::from_hours(25));
    let first = world.memory.decay(&ann).await.unwrap();
    let expected = Decayed {
        processed: 2,
        decayed: 1,
        removed: 1,
    };
    assert_eq!(first, expected);
    let second = world.memory.decay(&ann).await.unwrap();
    assert_eq!(
        (second.processed, second.decayed, second.removed),
        (1, 0, 0)
    );
    let page = world
        .memory
        .list(&ann, MemoryFilter::default())
        .await
        .unwrap();
    assert_eq!(
        (page.total, page.memories[0].content.as_str()),
        (1, "The sky is blue")
    );
}

/// A memory of what was said in passing.
fn in_passing(content: &str) -> NewMemory {
    NewMemory {
        kind: MemoryKind::Context,
        ..remembering(content)
    }
}

#[tokio::test]
async fn pruning_forgets_only_what_was_said_in_passing_and_not_used_for_long() {
    let world = world();
    let ann = caller("ann");
    let day = Duration::from_hours(24);
    let create = async |new| world.memory.create(&ann, new).await.unwrap().memory.id;
    create(in_passing("old chatter")).await;
    create(remembering("old passport number")).await;
    let changed = create(in_passing("old plan")).await;
    let found = create(in_passing("old umbrella")).await;
    world.clock.advance(2 * day);
    let change = MemoryChange {
        tags: Some(vec!["kept".to_owned()]),
        ..MemoryChange::default()
    };
    world.memory.update(&ann, &changed, change).await.unwrap();
    let search = MemorySearch {
        text: "umbrella".to_owned(),
        limit: 1,
        turns: false,
    };
    world.memory.search(&ann, &search).await.unwrap();
    world.memory.close().await;
    let found = world.memory.get(&ann, &found).await.unwrap();
    assert_eq!(found.access_count, 1);
    create(NewMemory {
        created_at: Some(at(-1_000_000)),
        ..in_passing("old words of a new file")
    })
    .await;
    assert_eq!(world.memory.prune(&ann, day).await.unwrap(), 1);
    let mut left = world.texts("ann", "old").await;
    left.sort();
    let expected = [
        "old passport number",
        "old plan",
        "old umbrella",
        "old words of a new file",
    ];
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_changed_memory_is_found_by_its_new_words() {
    let world = world();
    let ann = caller("ann");
    let stored = world
        .memory
        .create(&ann, remembering("likes tea"))
        .await
        .unwrap();
    let change = MemoryChange {
        content: Some("likes coffee".to_owned()),
        tags: Some(vec!["drink".to_owned(), "drink".to_owned()]),
    };
    let changed = world
        .memory
        .update(&ann, &stored.memory.id, change)
        .await
        .unwrap();
    assert_eq!(
        (changed.summary.as_str(), changed.tags.len()),
        ("likes coffee", 1)
    );
    assert_eq!(world.texts("ann", "tea").await.len(), 0);
    assert_eq!(world.texts("ann", "coffee").await, ["likes coffee"]);
}

#[tokio::test]
async fn wrong_input_is_named_and_scopes_are_needed() {
    let world = world();
    let wrong = NewMemory {
        importance: Some(1.5),
        tags: vec!["x".repeat(51)],
        ..remembering(" ")
    };
    let refused = world
        .memory
        .create(&caller("ann"), wrong)
        .await
        .unwrap_err();
    let ErrorKind::Invalid(fields) = refused.kind() else {
        panic!("{refused:?}");
    };
    let names: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["content", "importance", "tags"]);
    let scopes = Scopes::from_iter([Scope::Chat]);
    let chatter = Caller::new(user("ann"), UserRole::Member, scopes, CredentialKind::Login);
    let viewer = Caller::new(
        user("ann"),
        UserRole::Viewer,
        Scopes::full(),
        CredentialKind::Login,
    );
    for refused in [
        world
            .memory
            .create(&chatter, remembering("x"))
            .await
            .map(drop),
        world.memory.stats(&chatter).await.map(drop),
        world
            .memory
            .create(&viewer, remembering("x"))
            .await
            .map(drop),
        world.memory.decay(&viewer).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    }
    assert!(world.memory.stats(&viewer).await.is_ok());
}

#[tokio::test]
async fn no_more_is_remembered_and_recalled_than_the_limits_say() {
    let store = Arc::new(InMemoryStore::new());
    let service = |limits| {
        let ports = MemoryPorts {
            memories: store.clone(),
            turns: store.clone(),
            audit_log: store.clone(),
            clock: Arc::new(FixedClock::default()),
            ids: Arc::new(SequentialIds::new()),
        };
        Arc::new(MemoryService::new(ports).within(limits))
    };
    let usual = MemoryLimits::default();
    let two = service(MemoryLimits {
        memories: 2,
        ..usual
    });
    let ann = caller("ann");
    two.create(&ann, remembering("Ann drinks green tea"))
        .await
        .unwrap();
    two.create(&ann, remembering("Green tea helps Ann to wake up"))
        .await
        .unwrap();
    let full = two.create(&ann, remembering("A third thing")).await;
    assert!(matches!(full, Err(MemoryError::Full)), "{full:?}");
    // Others have limits of their own.
    let bob = caller("bob");
    two.create(&bob, remembering("A third thing"))
        .await
        .unwrap();
    let recalled = async |recall_tokens: u64| {
        let service = service(MemoryLimits {
            recall_tokens,
            ..usual
        });
        let recollection = service.recall(&ann, "green tea for Ann", 100_000).await;
        recollection.map_or(0, |recollection| recollection.memories.len())
    };
    assert_eq!(recalled(1_000).await, 2);
    assert_eq!(recalled(24).await, 1);
    assert_eq!(recalled(4).await, 0);
}
