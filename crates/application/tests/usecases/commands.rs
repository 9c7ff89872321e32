//! Slash commands: answered without a model, stored nowhere.

use majordomo_testkit::Script;

use crate::support::{World, alice, caller, say, session};

async fn tell(world: &World, text: &str) -> (String, String) {
    let reply = world
        .chat
        .send(&alice(), say("s", text))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    (reply.text, reply.session.to_string())
}

#[tokio::test]
async fn every_command_does_what_help_says() {
    let world = World::playing([Script::answer("Hello"), Script::answer("Hi")]);
    tell(&world, "a first message").await;
    assert!(
        tell(&world, "/help")
            .await
            .0
            .contains("/resume <number or id>: go on in another session")
    );
    assert!(tell(&world, "!tools").await.0.contains("calculator"));
    assert!(
        tell(&world, "/status")
            .await
            .0
            .contains("Messages: 2\nModel: mock/model\nState: idle")
    );
    assert_eq!(
        tell(&world, "/rename Trip").await.0,
        "This session is now called \"Trip\"."
    );
    assert!(
        tell(&world, "/sessions")
            .await
            .0
            .contains("1. Trip (this one), 2 messages [s]")
    );
    assert_eq!(
        tell(&world, "/model mock/other").await.0,
        "This session's model is now mock/other."
    );
    tell(&world, "again").await;
    assert_eq!(world.model.requests()[1].model, "other");
    assert_eq!(
        tell(&world, "/model default").await.0,
        "This session's model is now mock/model."
    );
    assert_eq!(
        tell(&world, "/kill").await.0,
        "No active stream for this session"
    );
    let (_, begun) = tell(&world, "/new").await;
    assert_ne!(begun, "s");
    assert_eq!(
        tell(&world, "/resume 1").await,
        ("Going on in \"Trip\".".to_owned(), "s".to_owned())
    );
    assert_eq!(tell(&world, "/resume nowhere").await.0, "Session not found");
    assert_eq!(
        tell(&world, "/clear").await.0,
        "This session's messages are forgotten."
    );
    assert!(
        world
            .sessions
            .history(&alice(), &session("s"), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(tell(&world, "/delete").await.0, "This session is deleted.");
    assert!(world.sessions.get(&alice(), &session("s")).await.is_err());
    assert_eq!(
        world.model.requests().len(),
        2,
        "no command reached the model"
    );
}

#[tokio::test]
async fn what_is_chosen_before_the_first_message_is_kept() {
    let world = World::playing([Script::answer("Hello")]);
    assert_eq!(
        tell(&world, "/model mock/other").await.0,
        "This session's model is now mock/other."
    );
    tell(&world, "a first message").await;
    assert_eq!(world.model.requests()[0].model, "other");
    let title = async || {
        let session = world.sessions.get(&alice(), &session("s")).await.unwrap();
        session.title.as_str().to_owned()
    };
    assert_eq!(title().await, "a first message");

    let world = World::playing([Script::answer("Hello")]);
    tell(&world, "/rename Trip").await;
    tell(&world, "a first message").await;
    let stored = world.sessions.get(&alice(), &session("s")).await.unwrap();
    assert_eq!(stored.title.as_str(), "Trip");
}

#[tokio::test]
async fn where_nothing_is_there_is_nothing_to_clear_or_delete() {
    let world = World::playing([]);
    for (command, answer) in [
        ("/clear", "There is nothing to clear."),
        ("/delete", "There is nothing to delete."),
        ("/rename", "/rename <title>: give this session a title"),
    ] {
        assert_eq!(tell(&world, command).await.0, answer);
        assert!(world.sessions.get(&alice(), &session("s")).await.is_err());
    }
}

#[tokio::test]
async fn commands_see_the_callers_sessions_only() {
    let world = World::playing([Script::answer("Hello")]);
    tell(&world, "secret plans").await;
    for text in ["/sessions", "/resume s", "/rename mine", "/status"] {
        let turn = world
            .chat
            .send(&caller("bob"), say("s", text))
            .await
            .unwrap();
        let answer = turn.into_reply().await.unwrap().text;
        assert!(!answer.contains("secret"), "{text}: {answer}");
    }
    assert_eq!(
        world
            .sessions
            .get(&alice(), &session("s"))
            .await
            .unwrap()
            .title
            .as_str(),
        "secret plans"
    );
}
