//! What the hashing embedder promises.

use majordomo_application::ports::{Embedder as _, EmbeddingRole, ModelErrorKind};
use majordomo_testkit::HashingEmbedder;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn texts_that_share_words_are_near_and_others_are_not() {
    let embedder = HashingEmbedder::new("bag", 64);
    let texts = [
        "The cat sleeps",
        "sleeps the CAT!",
        "the cat eats",
        "Zürich Börse",
        "",
    ];
    let texts = texts.map(str::to_owned);
    let answer = embedder
        .embed(&texts, EmbeddingRole::Document)
        .await
        .expect("vectors");
    let [same, again, near, far, nothing] = &answer.vectors[..] else {
        panic!("one vector for each text");
    };
    assert_eq!(same, again);
    assert!((cosine(same, same) - 1.0).abs() < 1e-5);
    assert!(cosine(same, near) > 0.5 && cosine(same, near) < 0.9);
    assert!(cosine(same, far).abs() < 0.4);
    assert_eq!(*nothing, vec![0.0; 64]);
    assert_eq!(answer.input_tokens, Some(11));
}

#[tokio::test]
async fn it_fails_as_it_is_told_to_and_recovers() {
    let embedder = HashingEmbedder::new("bag", 8).with_max_batch(1);
    let one = ["one".to_owned()];
    embedder.fail_with(ModelErrorKind::Unavailable);
    let error = embedder.embed(&one, EmbeddingRole::Query).await;
    assert_eq!(
        error.expect_err("a failure").kind,
        ModelErrorKind::Unavailable
    );
    embedder.recover();
    assert!(embedder.embed(&one, EmbeddingRole::Query).await.is_ok());
    let two = ["one".to_owned(), "two".to_owned()];
    let error = embedder.embed(&two, EmbeddingRole::Document).await;
    assert_eq!(error.expect_err("too many").kind, ModelErrorKind::Invalid);
    let roles: Vec<_> = embedder.calls().iter().map(|call| call.role).collect();
    let expected = [
        EmbeddingRole::Query,
        EmbeddingRole::Query,
        EmbeddingRole::Document,
    ];
    assert_eq!(roles, expected);
}
