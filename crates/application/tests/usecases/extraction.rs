//! Facts that a model finds in what users say.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::memory::{Extraction, MemoryService};
use majordomo_application::models::{CompletionService, InferenceMetrics};
use majordomo_application::ports::{MemoryFilter, MemoryOrder, ModelMessage};
use majordomo_domain::{
    CredentialKind, Memory, MemoryAuthor, MemoryKind, Scope, Scopes, UserId, UserRole,
};
use majordomo_testkit::{Gate, Script};

use crate::recall::chatting;
use crate::support::{World, alice, drain, say};

const VIOLIN: &str = r#"{"facts": [{"content": "Alice plays the violin.", "importance": 0.8}]}"#;

/// A chat world whose turns are read by the model that answers.
fn learning(scripts: impl IntoIterator<Item = Script>) -> (World, Arc<MemoryService>) {
    let (world, memory) = chatting(scripts);
    let metrics = Arc::new(InferenceMetrics::default());
    let completions = Arc::new(CompletionService::new(world.models.clone(), metrics));
    let model = "mock/model".to_owned();
    let extraction = Extraction::start(memory.clone(), completions, model);
    world.chat.learn_with(extraction);
    (world, memory)
}

async fn chat(world: &World, caller: &Caller, text: &str) {
    let turn = world.chat.send(caller, say("talk", text)).await.unwrap();
    drain(turn.into_events()).await;
}

async fn memories(memory: &MemoryService) -> Vec<Memory> {
    let filter = MemoryFilter {
        kind: None,
        order: MemoryOrder::Newest,
        limit: 100,
        offset: 0,
    };
    memory.list(&alice(), filter).await.unwrap().memories
}

/// Waits until the model was asked so many times and what it said has been dealt with.
async fn asked(world: &World, times: usize) {
    let waiting = async {
        while world.model.requests().len() < times {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    waited.unwrap();
}

#[tokio::test]
async fn what_a_user_tells_is_remembered_with_its_source() {
    let (world, memory) = learning([Script::answer("How nice"), Script::answer(VIOLIN)]);
    chat(&world, &alice(), "I have played the violin for ten years").await;
    asked(&world, 2).await;
    let found = memories(&memory).await;
    let [fact] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(fact.content, "Alice plays the violin.");
    assert_eq!(fact.kind, MemoryKind::Fact);
    let [source] = fact.sources.as_slice() else {
        panic!("{:?}", fact.sources);
    };
    assert_eq!(source.author, MemoryAuthor::Agent);
    assert!(source.session.is_some() && source.message.is_some() && source.run.is_some());

    let requests = world.model.requests();
    let ModelMessage::User { text, .. } = &requests[1].messages[1] else {
        panic!("{:?}", requests[1]);
    };
    assert!(text.contains("for ten years") && text.contains("How nice"));
}

#[tokio::test]
async fn what_was_recalled_is_not_extracted_again() {
    let (world, memory) = learning([
        Script::answer("How nice"),
        Script::answer(VIOLIN),
        Script::answer("The violin"),
        Script::answer(
            r#"{"facts": [{"content": "Alice plays violin"}, {"content": "Alice moved to Oslo."}]}"#,
        ),
    ]);
    chat(&world, &alice(), "I have played the violin for ten years").await;
    asked(&world, 2).await;
    chat(
        &world,
        &alice(),
        "What instrument does Alice play? I moved to Oslo",
    )
    .await;
    chat(&world, &alice(), "short").await;
    asked(&world, 4).await;
    let mut contents: Vec<String> = memories(&memory)
        .await
        .into_iter()
        .map(|memory| memory.content)
        .collect();
    contents.sort();
    assert_eq!(
        contents,
        ["Alice moved to Oslo.", "Alice plays the violin."]
    );
}

/// Neither memories nor earlier messages are learnt again when a tool told of them; what is said now is.
#[tokio::test]
async fn what_tools_recalled_is_not_extracted_again() {
    for (tool, query) in [
        ("recall", "orchestra Berta Oslo"),
        ("search_sessions", "Berta"),
    ] {
        let arguments = format!(r#"{{"query": "{query}"}}"#);
        let facts = r#"{"facts": [{"content": "The sister Berta moved to Oslo in March"}, {"content": "Dan was born today"}]}"#;
        let (world, memory) = learning([
            Script::answer("I see"),
            Script::answer(r#"{"facts": []}"#),
            Script::tool_call("c1", tool, &arguments),
            Script::answer("She lives in Oslo"),
            Script::answer(facts),
        ]);
        chat(&world, &alice(), "My sister Berta moved to Oslo in March").await;
        asked(&world, 2).await;
        let new = "What do you know of my family? Berta has a son, Dan was born today";
        chat(&world, &alice(), new).await;
        asked(&world, 5).await;
        let contents: Vec<String> = memories(&memory)
            .await
            .into_iter()
            .map(|memory| memory.content)
            .collect();
        assert_eq!(contents, ["Dan was born today"], "{tool}");
        let requests = world.model.requests();
        let ModelMessage::User { text, .. } = &requests[4].messages[1] else {
            panic!("{:?}", requests[4]);
        };
        let told: serde_json::Value = serde_json::from_str(text).unwrap();
        let told = told["remembered"].to_string();
        assert!(
            told.contains("moved to Oslo") && !told.contains("Dan"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_is_learnt_from_it() {
    let gate = Gate::closed();
    let slow = Script::new().wait(&gate).text(VIOLIN).finish();
    let (world, memory) = learning([Script::answer("How nice"), slow]);
    chat(&world, &alice(), "I have played the violin for ten years").await;
    assert_eq!(memories(&memory).await.len(), 0);
    gate.open();
    asked(&world, 2).await;
    assert_eq!(memories(&memory).await.len(), 1);
}

#[tokio::test]
async fn nonsense_is_left_and_a_turn_tells_five_facts_at_most() {
    let many: Vec<String> = ["tea", "chess", "rain", "Rome", "jazz", "snow", "bread"]
        .iter()
        .map(|thing| format!(r#"{{"content": "Alice adores {thing}", "type": "preference"}}"#))
        .collect();
    let many = format!(r#"{{"facts": [{}]}}"#, many.join(","));
    let (world, memory) = learning([
        Script::answer("Well"),
        Script::answer("I cannot do that"),
        Script::answer("Well"),
        Script::answer(&many),
    ]);
    chat(&world, &alice(), "tell me something about the sea").await;
    asked(&world, 2).await;
    assert_eq!(memories(&memory).await.len(), 0);
    chat(&world, &alice(), "I adore tea, chess, rain and Rome").await;
    asked(&world, 4).await;
    assert_eq!(memories(&memory).await.len(), 5);
}

#[tokio::test]
async fn a_caller_who_may_not_remember_is_not_read() {
    let (world, memory) = learning([Script::answer("How nice"), Script::answer(VIOLIN)]);
    let chatter = Caller::new(
        UserId::parse("alice").unwrap(),
        UserRole::Member,
        [Scope::Chat].into_iter().collect::<Scopes>(),
        CredentialKind::MasterToken,
    );
    chat(&world, &chatter, "I have played the violin for ten years").await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.model.requests().len(), 1);
    assert_eq!(memories(&memory).await.len(), 0);
}
