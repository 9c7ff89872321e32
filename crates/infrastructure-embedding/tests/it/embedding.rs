//! What the embedder answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::ports::{Embedder as _, EmbeddingRole, Embeddings, ModelErrorKind};
use majordomo_infrastructure_embedding::{LocalEmbedder, LocalEmbedderConfig};
use serde_json::json;

use crate::reckoning;
use crate::tiny::{MAX_TOKENS, Model};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[track_caller]
fn assert_near(vector: &[f32], expected: &[f64]) {
    assert_eq!(vector.len(), expected.len());
    for (number, expected) in vector.iter().zip(expected) {
        let difference = (f64::from(*number) - expected).abs();
        assert!(difference < 1e-5, "{vector:?} is not {expected:?}");
    }
}

/// `[CLS] the cat sleep ##s [SEP]` and others.
const THE_CAT_SLEEPS: [usize; 6] = [2, 4, 5, 6, 7, 3];
const A_MAT: [usize; 4] = [2, 9, 10, 3];
const UNKNOWN: [usize; 3] = [2, 1, 3];
const NOTHING: [usize; 2] = [2, 3];

#[tokio::test]
async fn vectors_are_what_an_independent_reckoning_says_alone_and_among_others() {
    let model = Model::write(7);
    let embedder = model.open();
    let mean = |ids: &[usize]| reckoning::mean(&reckoning::states(&model.weights, ids));
    let together = texts(&["a mat", "The cat SLEEPS", "dog", ""]);
    let answer = embedder.embed(&together, EmbeddingRole::Document).await;
    let answer = answer.expect("vectors");
    assert_near(&answer.vectors[0], &mean(&A_MAT));
    assert_near(&answer.vectors[1], &mean(&THE_CAT_SLEEPS));
    assert_near(&answer.vectors[2], &mean(&UNKNOWN));
    assert_near(&answer.vectors[3], &mean(&NOTHING));
    assert_eq!(answer.input_tokens, Some(4 + 6 + 3 + 2));
    let alone = embedder
        .embed(&texts(&["a mat"]), EmbeddingRole::Query)
        .await;
    assert_near(&alone.expect("vectors").vectors[0], &mean(&A_MAT));
}

#[tokio::test]
async fn the_first_token_may_stand_for_the_text() {
    let model = Model::write(8);
    model.pool("pooling_mode_cls_token");
    let embedder = model.open();
    let answer = embedder
        .embed(
            &texts(&["a mat", "The cat sleeps"]),
            EmbeddingRole::Document,
        )
        .await
        .expect("vectors");
    for (vector, ids) in answer.vectors.iter().zip([&A_MAT[..], &THE_CAT_SLEEPS]) {
        let states = reckoning::states(&model.weights, ids);
        assert_near(vector, &reckoning::unit(&states[0]));
    }
}

#[tokio::test]
async fn long_texts_are_cut() {
    let model = Model::write(9);
    let embedder = model.open();
    let fitting = "the ".repeat(MAX_TOKENS - 2);
    let long = "the ".repeat(5_000);
    let other = format!("{fitting} cat");
    let answer = embedder
        .embed(&texts(&[&fitting, &long, &other]), EmbeddingRole::Document)
        .await
        .expect("vectors");
    assert_eq!(answer.vectors[0], answer.vectors[1]);
    assert_eq!(answer.vectors[0], answer.vectors[2]);
    let most = u64::try_from(3 * MAX_TOKENS).expect("a count");
    assert_eq!(answer.input_tokens, Some(most));
}

#[tokio::test]
async fn what_the_model_wants_told_before_a_text_is_told() {
    let model = Model::write(10);
    let prompts = json!({"prompts": {"query": "query: ", "passage": "search"}});
    model.put("config_sentence_transformers.json", &prompts);
    let embedder = model.open();
    let one = texts(&["cat"]);
    let answer = embedder.embed(&one, EmbeddingRole::Query).await;
    let mean = |ids: &[usize]| reckoning::mean(&reckoning::states(&model.weights, ids));
    assert_near(
        &answer.expect("vectors").vectors[0],
        &mean(&[2, 12, 13, 5, 3]),
    );
    let answer = embedder.embed(&one, EmbeddingRole::Document).await;
    // `searchcat` is no word of the vocabulary.
    assert_near(&answer.expect("vectors").vectors[0], &mean(&UNKNOWN));
}

#[tokio::test]
async fn a_model_is_told_from_others_by_what_is_in_its_files() {
    let (one, same, other) = (Model::write(1), Model::write(1), Model::write(2));
    let pooled = Model::write(1);
    pooled.pool("pooling_mode_cls_token");
    let name = |model: &Model| model.open().model().to_owned();
    assert_eq!(name(&one), name(&same));
    let names = BTreeSet::from([name(&one), name(&other), name(&pooled)]);
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let (name, fingerprint) = name.split_once('@').expect("a fingerprint");
        assert_eq!((name, fingerprint.len()), ("builtin/tiny", 12));
    }
    assert_eq!(LocalEmbedder::name_of("/srv/models/mini".as_ref()), "mini");
    assert_eq!(LocalEmbedder::name_of("/".as_ref()), "model");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_are_answered_each_with_its_own() {
    let model = Model::write(3);
    let embedder = Arc::new(model.open());
    let words = ["the", "cat", "sleep", "on", "a", "mat", "search", "query"];
    let calls: Vec<_> = (0..80)
        .map(|call| {
            let (embedder, word) = (embedder.clone(), words[call % words.len()]);
            let role = if call % 3 == 0 {
                EmbeddingRole::Query
            } else {
                EmbeddingRole::Document
            };
            tokio::spawn(async move { (word, embedder.embed(&texts(&[word]), role).await) })
        })
        .collect();
    for call in calls {
        let (word, answer) = call.await.expect("a call");
        let id = crate::tiny::WORDS.iter().position(|known| *known == word);
        let states = reckoning::states(&model.weights, &[2, id.expect("a word"), 3]);
        assert_near(
            &answer.expect("vectors").vectors[0],
            &reckoning::mean(&states),
        );
    }
}

#[tokio::test]
async fn a_call_is_bounded_in_texts_and_in_time() {
    let model = Model::write(4);
    let embedder = |max_batch, timeout| {
        LocalEmbedder::open(LocalEmbedderConfig {
            directory: model.folder.path().to_owned(),
            name: "tiny".to_owned(),
            threads: 1,
            max_batch,
            timeout,
        })
        .expect("a model")
    };
    let small = embedder(2, Duration::from_secs(30));
    assert_eq!(small.max_batch(), 2);
    let role = EmbeddingRole::Document;
    let three = small.embed(&texts(&["a", "b", "c"]), role).await;
    assert_eq!(three.expect_err("too many").kind, ModelErrorKind::Invalid);
    assert_eq!(small.embed(&[], role).await, Ok(Embeddings::default()));
    let hasty = embedder(100_000, Duration::from_millis(1));
    let many = vec!["the cat sleeps on a mat".to_owned(); 20_000];
    let error = hasty.embed(&many, role).await.expect_err("too late");
    assert_eq!(error.kind, ModelErrorKind::Timeout);
    assert_eq!(error.message, "tiny: the model takes too long");
}

#[tokio::test]
async fn tokens_that_the_weights_do_not_know_are_an_error_of_that_call_only() {
    let model = Model::write(5);
    let mut tokenizer = crate::tiny::tokenizer();
    tokenizer["model"]["vocab"]["extra"] = json!(99);
    model.put("tokenizer.json", &tokenizer);
    let embedder = model.open();
    let role = EmbeddingRole::Document;
    let error = embedder.embed(&texts(&["extra"]), role).await;
    let error = error.expect_err("an error");
    assert_eq!(error.kind, ModelErrorKind::Malformed);
    assert!(error.message.contains("the model does not"), "{error}");
    assert!(embedder.embed(&texts(&["the"]), role).await.is_ok());
}
