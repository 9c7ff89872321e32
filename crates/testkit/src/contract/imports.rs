//! What storing conversations of other systems must do.

use majordomo_application::ports::{ImportedConversation, SearchQuery};
use majordomo_domain::{Channel, Message, MessageId, Role, Session, SessionTitle, Timestamp};

use super::Stores;
use crate::builders::{answer, at, message, message_id, session, session_id, turn, user};

/// An identifier made of what is said.
fn name(owner: &str, id: &str, text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let text: String = text.chars().map(plain).collect();
    format!("{owner}-{id}-{text}")
}

/// A conversation whose messages are said one second apart, the first at `at(0)`.
fn conversation(owner: &str, id: &str, texts: &[&str]) -> ImportedConversation {
    let session = Session {
        title: SessionTitle::stored("Old talk".to_owned(), true),
        channel: Channel::Import,
        ..session(owner, id)
    };
    let messages = (0..).zip(texts).map(|(second, text)| Message {
        role: if second % 2 == 0 {
            Role::User
        } else {
            Role::Assistant
        },
        created_at: at(second),
        ..message(&session, &name(owner, id, text), text)
    });
    ImportedConversation {
        messages: messages.collect(),
        session,
    }
}

async fn import(stores: &Stores, conversation: &ImportedConversation, now: Timestamp) -> usize {
    let stored = stores.sessions.import(conversation, now).await.unwrap();
    stored.len()
}

async fn stored(stores: &Stores, owner: &str, id: &str) -> (Session, Vec<Message>) {
    let (owner, id) = (user(owner), session_id(id));
    let session = stores.sessions.find(&owner, &id).await.unwrap();
    (session.unwrap(), stores.all_messages(&owner, &id).await)
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.text.as_str())
        .collect()
}

/// Session and messages read back with their times; positions begin at 1.
pub async fn an_imported_conversation_reads_back(stores: Stores) {
    let talk = conversation("ann", "old", &["Grüße\0 🦀", "hello"]);
    assert_eq!(import(&stores, &talk, at(1_000)).await, 2);
    let (session, messages) = stored(&stores, "ann", "old").await;
    let expected = Session {
        message_count: 2,
        updated_at: at(1),
        ..talk.session
    };
    assert_eq!(session, expected);
    let expected: Vec<Message> = (1..)
        .zip(talk.messages)
        .map(|(seq, message)| Message { seq, ..message })
        .collect();
    assert_eq!(messages, expected);
}

/// A session without messages is there, and stays what it is when it is begun again.
pub async fn importing_nothing_begins_a_session(stores: Stores) {
    let empty = conversation("ann", "empty", &[]);
    for later in [0, 5] {
        assert_eq!(import(&stores, &empty, at(later)).await, 0);
        let (session, messages) = stored(&stores, "ann", "empty").await;
        assert_eq!((session, messages), (empty.session.clone(), Vec::new()));
    }
    let talk = conversation("ann", "talk", &["one"]);
    import(&stores, &talk, at(1)).await;
    let before = stored(&stores, "ann", "talk").await;
    import(&stores, &conversation("ann", "talk", &[]), at(9)).await;
    assert_eq!(stored(&stores, "ann", "talk").await, before);
}

/// What is there stays, also its title; what is new comes behind it. A message given twice is stored once.
pub async fn importing_again_adds_only_what_is_new(stores: Stores) {
    let talk = conversation("ann", "old", &["one", "two"]);
    assert_eq!(import(&stores, &talk, at(1_000)).await, 2);
    assert_eq!(import(&stores, &talk, at(2_000)).await, 0);
    let chosen = SessionTitle::choose("Mine").unwrap();
    let (ann, id) = (user("ann"), session_id("old"));
    assert!(stores.sessions.rename(&ann, &id, &chosen).await.unwrap());
    let more = conversation("ann", "old", &["one", "between", "two", "three", "three"]);
    assert_eq!(import(&stores, &more, at(3_000)).await, 2);
    let (session, messages) = stored(&stores, "ann", "old").await;
    assert_eq!(texts(&messages), ["one", "two", "between", "three"]);
    assert_eq!((session.title.as_str(), session.message_count), ("Mine", 4));
    assert_eq!(session.updated_at, at(3));
}

/// A session that was continued here keeps what was said, and its last activity.
pub async fn an_import_goes_behind_what_was_said_here(stores: Stores) {
    import(
        &stores,
        &conversation("ann", "old", &["one", "two"]),
        at(50),
    )
    .await;
    let said = turn("ann", "old", 100, "here");
    stores.journal.accept(said.clone()).await.unwrap();
    stores.journal.finish(answer(&said, "yes")).await.unwrap();
    let active = stored(&stores, "ann", "old").await.0.updated_at;
    let more = conversation("ann", "old", &["one", "two", "three"]);
    assert_eq!(import(&stores, &more, at(200)).await, 1);
    let (session, messages) = stored(&stores, "ann", "old").await;
    assert_eq!(texts(&messages), ["one", "two", "here", "yes", "three"]);
    let positions: Vec<u64> = messages.iter().map(|message| message.seq).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    assert_eq!((session.updated_at, session.message_count), (active, 5));
}

/// Two owners may import conversations of one name.
pub async fn imports_of_two_owners_do_not_meet(stores: Stores) {
    import(&stores, &conversation("ann", "old", &["hers"]), at(50)).await;
    import(
        &stores,
        &conversation("bob", "old", &["his", "own"]),
        at(50),
    )
    .await;
    assert_eq!(texts(&stored(&stores, "ann", "old").await.1), ["hers"]);
    assert_eq!(
        texts(&stored(&stores, "bob", "old").await.1),
        ["his", "own"]
    );
    let ids = [session_id("old"), session_id("none")];
    let of = async |owner| stores.turns.existing(&user(owner), &ids).await.unwrap();
    assert_eq!(of("ann").await, [session_id("old")]);
    assert_eq!(of("eve").await, []);
}

/// Full-text search and memory see what was imported, of its owner only.
pub async fn what_is_imported_is_found(stores: Stores) {
    let talk = conversation("ann", "old", &["a kingfisher dives", "indeed"]);
    import(&stores, &talk, at(50)).await;
    let query = SearchQuery {
        text: "kingfisher".to_owned(),
        limit: 5,
    };
    for (owner, hits) in [("ann", 1), ("bob", 0)] {
        let found = stores.sessions.search(&user(owner), &query).await.unwrap();
        assert_eq!(found.len(), hits);
        let ids = [message_id("ann-old-indeed")];
        let found = stores.turns.find(&user(owner), &ids).await.unwrap();
        assert_eq!(found.len(), hits);
    }
}

/// However old what was said is, the session is among those that changed since before its import; once.
pub async fn what_is_imported_counts_as_changed(stores: Stores) {
    let said = turn("ann", "recent", 500, "hello");
    stores.journal.accept(said).await.unwrap();
    let marks = async |since| {
        let marks = stores.turns.sessions(&user("ann"), since, 10).await;
        let marks = marks.unwrap().into_iter();
        let marks = marks.map(|mark| (mark.session.into_string(), mark.last_seq, mark.changed_at));
        marks.collect::<Vec<_>>()
    };
    let recent = ("recent".to_owned(), 1, at(500));
    assert_eq!(marks(at(400)).await, std::slice::from_ref(&recent));
    let talk = conversation("ann", "old", &["one", "two"]);
    import(&stores, &talk, at(600)).await;
    let old = ("old".to_owned(), 2, at(600));
    assert_eq!(marks(at(400)).await, [recent, old.clone()]);
    assert_eq!(marks(at(550)).await, [old]);
    import(&stores, &talk, at(900)).await;
    assert_eq!(marks(at(700)).await, [], "nothing was new");
}

/// Whoever imports the same conversation at the same time stores it once.
pub async fn concurrent_imports_store_each_message_once(stores: Stores) {
    let talk = conversation("ann", "old", &["one", "two", "three", "four"]);
    let import = || stores.sessions.import(&talk, at(50));
    let (a, b, c, d) = tokio::join!(import(), import(), import(), import());
    let mut each: Vec<MessageId> = [a, b, c, d].into_iter().flat_map(Result::unwrap).collect();
    each.sort();
    let mut all: Vec<MessageId> = talk.messages.iter().map(|one| one.id.clone()).collect();
    all.sort();
    assert_eq!(each, all);
    let (session, messages) = stored(&stores, "ann", "old").await;
    assert_eq!(texts(&messages), ["one", "two", "three", "four"]);
    assert_eq!(session.message_count, 4);
}
