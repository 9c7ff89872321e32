//! A published model, where `TEST_SENTENCE_TRANSFORMER` names the directory of `all-MiniLM-L6-v2`.

use std::time::{Duration, Instant};

use majordomo_application::ports::{Embedder as _, EmbeddingRole};
use majordomo_infrastructure_embedding::{LocalEmbedder, LocalEmbedderConfig};

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn a_published_model_finds_what_is_meant() {
    let Some(directory) = std::env::var_os("TEST_SENTENCE_TRANSFORMER") else {
        return;
    };
    let embedder = LocalEmbedder::open(LocalEmbedderConfig {
        directory: directory.into(),
        name: "mini".to_owned(),
        threads: 2,
        max_batch: 64,
        timeout: Duration::from_mins(2),
    })
    .expect("a model");
    let texts = [
        "That is a happy person",
        "That is a very happy person",
        "Today is a sunny day",
    ];
    let texts = texts.map(str::to_owned);
    let begun = Instant::now();
    let answer = embedder.embed(&texts, EmbeddingRole::Document).await;
    let answer = answer.expect("vectors");
    println!(
        "{} tokens in {:?}",
        answer.input_tokens.expect("tokens"),
        begun.elapsed()
    );
    let [person, very, day] = &answer.vectors[..] else {
        panic!("three vectors");
    };
    assert_eq!(person.len(), 384);
    println!(
        "{:?} {} {}",
        &person[..4],
        cosine(person, very),
        cosine(person, day)
    );
    // What the makers of the model publish for these sentences: 0.943 and 0.257.
    assert!((cosine(person, very) - 0.943).abs() < 0.002);
    assert!((cosine(person, day) - 0.257).abs() < 0.002);
}
