//! Vectors of texts: which model, what it costs, what it may be asked, and how too long texts are cut.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use majordomo_application::Caller;
use majordomo_application::embeddings::{
    EmbeddingError, EmbeddingService, FittingEmbedder, NamedEmbedder, OwnEmbedder, ProvidedEmbedder,
};
use majordomo_application::error::{ErrorKind, ServiceError};
use majordomo_application::models::{InferenceMetrics, ModelRegistry, Provider, RegistryConfig};
use majordomo_application::ports::{
    ChatModel, Embedder, EmbeddingModel, EmbeddingProvider, EmbeddingRelay, EmbeddingRole,
    Embeddings, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream,
};
use majordomo_domain::{KeyLimits, ModelRef};
use majordomo_testkit::{FixedClock, HashingEmbedder, ScriptedModel};

use crate::support::alice;

/// A provider of embeddings: hashes, or passes on.
struct Hashing {
    relays: bool,
    asked: Mutex<Vec<EmbeddingModel>>,
    passed: Mutex<Vec<Bytes>>,
}

impl Hashing {
    fn new(relays: bool) -> Arc<Self> {
        Arc::new(Self {
            relays,
            asked: Mutex::default(),
            passed: Mutex::default(),
        })
    }
}

#[async_trait]
impl ChatModel for Hashing {
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        Err(ModelError::new(ModelErrorKind::Invalid, "no chat"))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        Ok(Vec::new())
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self)
    }
}

impl EmbeddingProvider for Hashing {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        let dimension = model.dimensions.map_or(4, |d| usize::try_from(d).unwrap());
        self.asked.lock().unwrap().push(model.clone());
        let embedder = HashingEmbedder::new(&model.name, dimension);
        Arc::new(embedder.with_max_batch(model.max_batch.min(3)))
    }

    fn embedding_relay(&self) -> Option<&dyn EmbeddingRelay> {
        self.relays.then_some(self)
    }
}

#[async_trait]
impl EmbeddingRelay for Hashing {
    async fn relay_embeddings(&self, body: Bytes) -> Result<Bytes, ModelError> {
        self.passed.lock().unwrap().push(body.clone());
        if body == "down" {
            return Err(ModelError::new(ModelErrorKind::Unavailable, "down"));
        }
        let answer = r#"{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}"#;
        Ok(Bytes::from_static(answer.as_bytes()))
    }
}

struct World {
    relaying: Arc<Hashing>,
    other: Arc<Hashing>,
    models: Arc<ModelRegistry>,
    inference: Arc<InferenceMetrics>,
    service: EmbeddingService,
}

fn provider(name: &str, model: Arc<dyn ChatModel>, models: &[&str]) -> Provider {
    Provider {
        name: name.to_owned(),
        model,
        models: models.iter().map(|&model| model.to_owned()).collect(),
        context_tokens: None,
    }
}

fn config(relaying: &Arc<Hashing>, other: &Arc<Hashing>) -> RegistryConfig {
    RegistryConfig {
        providers: vec![
            provider("chat", Arc::new(ScriptedModel::new()), &["talker"]),
            provider("relay", relaying.clone(), &["small"]),
            provider("other", other.clone(), &["listed"]),
        ],
        default: ModelRef::new("chat", "talker"),
        fallback: Vec::new(),
    }
}

fn world(own: Option<&Arc<HashingEmbedder>>) -> World {
    let (relaying, other) = (Hashing::new(true), Hashing::new(false));
    let clock = Arc::new(FixedClock::default());
    let models = Arc::new(ModelRegistry::new(config(&relaying, &other), clock));
    let own = own.map(|embedder| OwnEmbedder {
        model: ModelRef::new("builtin", "mini"),
        embedder: embedder.clone(),
    });
    let inference = Arc::new(InferenceMetrics::default());
    World {
        service: EmbeddingService::new(models.clone(), own, inference.clone()),
        relaying,
        other,
        models,
        inference,
    }
}

/// Alice with a key that may ask one model.
fn limited_to(model: &str) -> Caller {
    let limits = KeyLimits {
        models: vec![model.to_owned()],
        ..KeyLimits::default()
    };
    alice().within(Arc::new(limits))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn named(provider: &str, model: &str, relays: bool) -> NamedEmbedder {
    NamedEmbedder {
        model: ModelRef::new(provider, model),
        relays,
    }
}

#[tokio::test]
async fn a_model_is_found_by_its_provider_or_its_bare_name() {
    let own = Arc::new(HashingEmbedder::new("own", 4));
    let world = world(Some(&own));
    let find = |name: &str| world.service.find(&alice(), name);
    assert_eq!(find("relay/small"), Ok(named("relay", "small", true)));
    assert_eq!(find("small"), Ok(named("relay", "small", true)));
    assert_eq!(find("listed"), Ok(named("other", "listed", false)));
    assert_eq!(find("mini"), Ok(named("builtin", "mini", false)));
    assert_eq!(find(" builtin/mini "), Ok(named("builtin", "mini", false)));
    assert_eq!(
        world.service.offered(&alice()),
        Ok(Some(ModelRef::new("builtin", "mini")))
    );
    // The default provider has no embedding models.
    for name in [
        "",
        "unheard-of",
        "chat/talker",
        "builtin/other",
        "nobody/m",
        "relay/not-offered",
    ] {
        let error = find(name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
        assert_eq!(error.code(), "model_not_found");
    }
}

#[tokio::test]
async fn a_key_that_may_not_ask_a_model_does_not_see_it() {
    let own = Arc::new(HashingEmbedder::new("own", 4));
    let world = world(Some(&own));
    let limited = limited_to("other/listed");
    assert_eq!(world.service.offered(&limited), Ok(None));
    assert!(world.service.find(&limited, "other/listed").is_ok());
    for name in ["builtin/mini", "mini", "relay/small"] {
        let error = world.service.find(&limited, name).expect_err(name);
        assert_eq!(error.code(), "model_not_found");
    }
    let model = ModelRef::new("builtin", "mini");
    let one = texts(&["one"]);
    let embedded = world.service.embed(&limited, &model, &one, None).await;
    assert_eq!(embedded.expect_err("hidden").code(), "model_not_found");
    let small = ModelRef::new("relay", "small");
    let passed = world.service.relay(&limited, &small, Bytes::new(), 1).await;
    assert_eq!(passed.expect_err("hidden").code(), "model_not_found");
    assert_eq!(own.calls(), []);
    assert_eq!(world.relaying.passed.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn many_texts_are_embedded_in_batches_and_counted() {
    let world = world(None);
    let model = ModelRef::new("other", "listed");
    let many = texts(&["a b", "c", "d", "e f g", "h", "i", "j"]);
    let answer = world.service.embed(&alice(), &model, &many, Some(8)).await;
    let answer = answer.expect("vectors");
    let expected = HashingEmbedder::new("listed", 8);
    let expected: Vec<_> = many.iter().map(|text| expected.vector(text)).collect();
    assert_eq!(answer.vectors, expected);
    assert_eq!(answer.input_tokens, Some(10));
    let counts = world.inference.read();
    assert_eq!((counts.succeeded, counts.input_tokens), (1, 10));
    let asked = world.other.asked.lock().unwrap();
    assert_eq!(
        (asked[0].name.as_str(), asked[0].dimensions),
        ("listed", Some(8))
    );
}

#[tokio::test]
async fn the_servers_own_embedder_has_vectors_of_one_length() {
    let own = Arc::new(HashingEmbedder::new("own", 4));
    let world = world(Some(&own));
    let model = ModelRef::new("builtin", "mini");
    let one = texts(&["one"]);
    let alice = alice();
    let embed = |dimensions| world.service.embed(&alice, &model, &one, dimensions);
    assert_eq!(embed(Some(4)).await.expect("vectors").vectors[0].len(), 4);
    let error = embed(Some(5)).await.expect_err("another length");
    assert_eq!(error, EmbeddingError::Dimensions(4));
    let ErrorKind::Invalid(fields) = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(fields[0].field, "dimensions");
    own.fail_with(ModelErrorKind::ContextTooLong);
    let error = embed(None).await.expect_err("too long");
    let ErrorKind::Invalid(fields) = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(fields[0].field, "input");
    own.fail_with(ModelErrorKind::Unavailable);
    let error = embed(None).await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_request_is_passed_on_as_it_is_and_counted_as_told() {
    let world = world(None);
    let model = ModelRef::new("relay", "small");
    let body = Bytes::from_static(b"{ anything }");
    let answer = world.service.relay(&alice(), &model, body.clone(), 3).await;
    assert!(answer.expect("an answer").starts_with(b"{\"data\""));
    assert_eq!(*world.relaying.passed.lock().unwrap(), [body]);
    assert_eq!(world.inference.read().input_tokens, 9);
    let down = Bytes::from_static(b"down");
    let failed = world.service.relay(&alice(), &model, down, 3).await;
    assert_eq!(failed.expect_err("down").kind(), ErrorKind::Unavailable);
    let counts = world.inference.read();
    assert_eq!((counts.succeeded, counts.failed), (1, 1));
    assert_eq!(counts.input_tokens, 9);
    let listed = ModelRef::new("other", "listed");
    let unable = world
        .service
        .relay(&alice(), &listed, Bytes::new(), 3)
        .await;
    assert_eq!(unable.expect_err("no relay").code(), "model_not_found");
}

#[tokio::test]
async fn a_providers_model_is_asked_through_what_is_configured_now() {
    let world = world(None);
    let mut model = EmbeddingModel::new("m");
    model.dimensions = Some(2);
    let embedder = ProvidedEmbedder::new(world.models.clone(), "other", model.clone());
    assert_eq!((embedder.model(), embedder.max_batch()), ("other/m", 3));
    let one = texts(&["one"]);
    let answer = embedder.embed(&one, EmbeddingRole::Query).await;
    assert_eq!(answer.expect("vectors").vectors[0].len(), 2);
    let other = Hashing::new(false);
    world.models.replace(config(&world.relaying, &other));
    embedder
        .embed(&one, EmbeddingRole::Query)
        .await
        .expect("vectors");
    assert_eq!(*other.asked.lock().unwrap(), [model]);
    let mut none = config(&world.relaying, &other);
    none.providers.truncate(2);
    world.models.replace(none);
    let error = embedder.embed(&one, EmbeddingRole::Query).await;
    assert_eq!(error.expect_err("gone").kind, ModelErrorKind::Unavailable);
    assert_eq!(embedder.max_batch(), 1);
}

/// A model that reads texts of so many characters.
struct Reading {
    most: usize,
    read: Mutex<Vec<Vec<usize>>>,
}

#[async_trait]
impl Embedder for Reading {
    fn model(&self) -> &'static str {
        "reading"
    }

    async fn embed(&self, texts: &[String], _: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.chars().count()).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        self.read.lock().unwrap().push(lengths);
        if longest > self.most {
            return Err(ModelError::new(ModelErrorKind::ContextTooLong, "too long"));
        }
        Ok(Embeddings {
            vectors: vec![vec![1.0]; texts.len()],
            input_tokens: None,
        })
    }

    fn max_batch(&self) -> usize {
        7
    }
}

#[tokio::test]
async fn long_texts_are_cut_to_what_the_model_reads_and_it_is_asked_in_vain_once() {
    let reading = Arc::new(Reading {
        most: 2_500,
        read: Mutex::default(),
    });
    let fitting = FittingEmbedder::new(reading.clone());
    assert_eq!((fitting.model(), fitting.max_batch()), ("reading", 7));
    let long = texts(&["short", &"ü".repeat(10_000)]);
    let role = EmbeddingRole::Document;
    fitting.embed(&long, role).await.expect("vectors");
    fitting.embed(&long, role).await.expect("vectors");
    let read = reading.read.lock().unwrap().clone();
    assert_eq!(read, [[5, 8_000], [5, 4_000], [5, 2_000], [5, 2_000]]);
}

#[tokio::test]
async fn a_text_is_not_cut_to_nothing_and_other_failures_are_not_tried_again() {
    let reading = Arc::new(Reading {
        most: 10,
        read: Mutex::default(),
    });
    let fitting = FittingEmbedder::new(reading.clone());
    let role = EmbeddingRole::Document;
    let short = texts(&[&"x".repeat(400)]);
    let error = fitting.embed(&short, role).await.expect_err("too long");
    assert_eq!(error.kind, ModelErrorKind::ContextTooLong);
    assert_eq!(*reading.read.lock().unwrap(), [[400]]);
    let hashing = Arc::new(HashingEmbedder::new("m", 2));
    hashing.fail_with(ModelErrorKind::Unavailable);
    let fitting = FittingEmbedder::new(hashing.clone());
    let error = fitting.embed(&short, role).await.expect_err("down");
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    assert_eq!(hashing.calls().len(), 1);
}
