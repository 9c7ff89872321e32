//! An application with this dialect, a provider that relays, and a scripted one on which the agent runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use majordomo_application::Caller;
use majordomo_application::access::CreateApiKey;
use majordomo_application::chat::AgentConfig;
use majordomo_application::embeddings::OwnEmbedder;
use majordomo_application::models::{Provider, RegistryConfig};
use majordomo_application::ports::{
    ChatModel, CompletionRelay, Embedder, EmbeddingModel, EmbeddingProvider, EmbeddingRelay,
    ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream, RelayBody, RelayResponse,
};
use majordomo_application::tools::Calculator;
use majordomo_domain::{CredentialKind, ModelRef};
use majordomo_presentation_http::{Kernel, KernelLayer, LimitClass, Mounts, Services};
use majordomo_presentation_openai::{DIALECT, configure};
use majordomo_presentation_testkit::{Setup, kernel_parts};
use majordomo_testkit::{FailingStore, HashingEmbedder, ScriptedModel};
use paperclip::actix::OpenApiExt as _;
use serde_json::Value;

pub(crate) const MASTER: &str = "master-token";
pub(crate) const BOB: &str = "bobs-configured-key";
/// Names the requests of tests, so that answers are exact.
pub(crate) const REQUEST_ID: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

/// What a [`FakeRelay`] answers.
pub(crate) enum Relayed {
    Whole(&'static str),
    Stream(Vec<Result<&'static str, ModelError>>),
    /// These pieces, then silence.
    Hang(Vec<&'static str>),
    Typed(&'static str, &'static str),
    Error(ModelError),
}

#[derive(Default)]
pub(crate) struct FakeRelay {
    pub(crate) answers: Mutex<Vec<Relayed>>,
    pub(crate) asked: Mutex<Vec<(Bytes, bool)>>,
    pub(crate) cancelled: Arc<Mutex<usize>>,
}

struct CountDrop(Arc<Mutex<usize>>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

#[async_trait]
impl CompletionRelay for FakeRelay {
    async fn relay(&self, body: Bytes, stream: bool) -> Result<RelayResponse, ModelError> {
        self.asked.lock().unwrap().push((body, stream));
        let answer = self.answers.lock().unwrap().remove(0);
        let (content_type, body) = match answer {
            Relayed::Error(error) => return Err(error),
            Relayed::Whole(text) => ("application/json", RelayBody::Whole(Bytes::from(text))),
            Relayed::Typed(content_type, text) => {
                let pieces = stream::iter([Ok(Bytes::from(text))]).boxed();
                (content_type, RelayBody::Stream(pieces))
            }
            Relayed::Stream(pieces) => {
                let pieces = pieces.into_iter().map(|piece| piece.map(Bytes::from));
                let pieces: BoxStream<'static, _> =
                    stream::iter(pieces.collect::<Vec<_>>()).boxed();
                ("text/event-stream", RelayBody::Stream(pieces))
            }
            Relayed::Hang(pieces) => {
                let watch = CountDrop(Arc::clone(&self.cancelled));
                let pieces = stream::iter(pieces.into_iter().map(|text| Ok(Bytes::from(text))));
                let silence = stream::once(async move {
                    let _watch = watch;
                    std::future::pending().await
                });
                let pieces = pieces.chain(silence).boxed();
                ("text/event-stream", RelayBody::Stream(pieces))
            }
        };
        Ok(RelayResponse {
            content_type: content_type.to_owned(),
            body,
        })
    }
}

/// A provider that relays.
pub(crate) struct RelayingModel(pub(crate) Arc<FakeRelay>);

#[async_trait]
impl ChatModel for RelayingModel {
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        Err(ModelError::new(
            ModelErrorKind::Invalid,
            "only relays in tests",
        ))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        Ok(Vec::new())
    }

    fn relay(&self) -> Option<&dyn CompletionRelay> {
        Some(self.0.as_ref())
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self.0.as_ref())
    }
}

impl EmbeddingProvider for FakeRelay {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        Arc::new(HashingEmbedder::new(&model.name, 4))
    }

    fn embedding_relay(&self) -> Option<&dyn EmbeddingRelay> {
        Some(self)
    }
}

#[async_trait]
impl EmbeddingRelay for FakeRelay {
    async fn relay_embeddings(&self, body: Bytes) -> Result<Bytes, ModelError> {
        self.asked.lock().unwrap().push((body, false));
        match self.answers.lock().unwrap().remove(0) {
            Relayed::Whole(text) => Ok(Bytes::from(text)),
            Relayed::Error(error) => Err(error),
            _ => panic!("vectors come whole"),
        }
    }
}

/// A provider whose vectors are asked for in another protocol.
struct Vectors;

#[async_trait]
impl ChatModel for Vectors {
    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        Err(ModelError::new(ModelErrorKind::Invalid, "only vectors"))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        Ok(Vec::new())
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        Some(self)
    }
}

impl EmbeddingProvider for Vectors {
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder> {
        let dimension = model.dimensions.map_or(4, |d| usize::try_from(d).unwrap());
        Arc::new(HashingEmbedder::new(&model.name, dimension))
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body broke off.
    pub(crate) broken: bool,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The events of a stream, each an id and its payload; a payload that is no JSON becomes a text.
    pub(crate) fn events(&self) -> Vec<(Option<String>, Value)> {
        self.text()
            .split_terminator("\n\n")
            .map(|event| {
                let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let data = line("data: ").unwrap();
                let data = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
                (line("id: ").map(str::to_owned), data)
            })
            .collect()
    }
}

pub(crate) struct World {
    pub(crate) relay: Arc<FakeRelay>,
    pub(crate) model: ScriptedModel,
    /// The server's own embedding model, `builtin/mini`.
    pub(crate) embedder: Arc<HashingEmbedder>,
    pub(crate) services: Services,
    pub(crate) store: Arc<FailingStore>,
    kernel: Arc<Kernel>,
}

impl World {
    pub(crate) async fn new(model: ScriptedModel) -> Self {
        let relay = Arc::new(FakeRelay::default());
        let embedder = Arc::new(HashingEmbedder::new("mini", 3));
        let own = OwnEmbedder {
            model: ModelRef::new("builtin", "mini"),
            embedder: embedder.clone(),
        };
        let setup = Setup {
            master_token: MASTER,
            keys: &[(BOB, "bob")],
            registry: registry(&relay, &model),
            embedder: Some(own),
            tools: vec![Arc::new(Calculator::default())],
            agent: agent(),
        };
        let backstage = setup.open().await;
        let mounts = Mounts::new(DIALECT, LimitClass::Unlimited);
        Self {
            relay,
            model,
            embedder,
            kernel: Kernel::new(kernel_parts(&backstage, mounts)),
            services: backstage.services,
            store: backstage.store,
        }
    }

    /// A world whose relay gives these answers.
    pub(crate) async fn relaying(answers: Vec<Relayed>) -> Self {
        let world = Self::new(ScriptedModel::new()).await;
        *world.relay.answers.lock().unwrap() = answers;
        world
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: TestRequest) -> Answered {
        let app = init_service(
            App::new()
                .app_data(web::Data::from(self.kernel.clone()))
                .app_data(web::Data::new(self.services.clone()))
                .wrap(KernelLayer::new(self.kernel.clone()))
                .wrap_api()
                .configure(configure)
                .build(),
        )
        .await;
        let request = request.insert_header(("x-request-id", REQUEST_ID));
        let response = call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Box::pin(response.into_body());
        let (mut bytes, mut broken) = (BytesMut::new(), false);
        let next = async || std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await;
        read(next, &mut bytes, &mut broken).await;
        Answered {
            status,
            headers,
            body: bytes.freeze(),
            broken,
        }
    }

    /// As the operator.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(as_caller(TestRequest::get().uri(path), MASTER))
            .await
    }

    /// As the operator.
    pub(crate) async fn complete(&self, body: &Value) -> Answered {
        self.send(completion(body, MASTER)).await
    }

    /// A key of the operator's with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        let request = CreateApiKey {
            name: "test".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
            ..CreateApiKey::default()
        };
        let operator = Caller::operator(CredentialKind::MasterToken);
        let issued = self.services.access.create_key(&operator, request).await;
        issued.unwrap().secret
    }
}

async fn read<E>(
    mut next: impl AsyncFnMut() -> Option<Result<Bytes, E>>,
    bytes: &mut BytesMut,
    broken: &mut bool,
) {
    let patience = Duration::from_secs(10);
    loop {
        match tokio::time::timeout(patience, next()).await.unwrap() {
            Some(Ok(piece)) => {
                assert!(!piece.is_empty(), "an empty chunk would end the body");
                bytes.extend_from_slice(&piece);
            }
            Some(Err(_)) => {
                *broken = true;
                return;
            }
            None => return,
        }
    }
}

fn registry(relay: &Arc<FakeRelay>, model: &ScriptedModel) -> RegistryConfig {
    let providers = vec![
        Provider {
            name: "scripted".to_owned(),
            model: Arc::new(model.clone()),
            models: vec!["scripted".to_owned()],
            context_tokens: None,
        },
        Provider {
            name: "mock".to_owned(),
            model: Arc::new(RelayingModel(relay.clone())),
            models: vec!["gpt-x".to_owned(), "org/deep".to_owned()],
            context_tokens: None,
        },
        Provider {
            name: "vectors".to_owned(),
            model: Arc::new(Vectors),
            models: Vec::new(),
            context_tokens: None,
        },
        Provider {
            name: "builtin".to_owned(),
            model: Arc::new(ScriptedModel::new()),
            models: vec!["assistant".to_owned()],
            context_tokens: None,
        },
    ];
    RegistryConfig {
        providers,
        default: ModelRef::new("scripted", "scripted"),
        fallback: Vec::new(),
    }
}

fn agent() -> AgentConfig {
    AgentConfig {
        system_prompt: "You are helpful.".to_owned(),
        max_steps: 5,
        loop_breaker: true,
        temperature: None,
        max_tokens: None,
        context_tokens: 100_000,
        turn_timeout: Duration::from_secs(30),
        max_concurrent_runs: 8,
        max_accepted_runs: 64,
        queue_per_session: 8,
    }
}

pub(crate) fn as_caller(request: TestRequest, credential: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {credential}")))
}

/// A request for a completion.
pub(crate) fn completion(body: &Value, credential: &str) -> TestRequest {
    raw_completion(body.to_string(), credential)
}

/// A request for a completion with any body.
pub(crate) fn raw_completion(body: impl Into<Bytes>, credential: &str) -> TestRequest {
    as_caller(TestRequest::post().uri("/v1/chat/completions"), credential)
        .insert_header(("content-type", "application/json"))
        .set_payload(body.into())
}

/// A request for vectors.
pub(crate) fn embedding(body: impl Into<Bytes>, credential: &str) -> TestRequest {
    as_caller(TestRequest::post().uri("/v1/embeddings"), credential)
        .insert_header(("content-type", "application/json"))
        .set_payload(body.into())
}
