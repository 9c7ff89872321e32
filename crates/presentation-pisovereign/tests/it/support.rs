//! A server with a scripted model and storage in memory.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use majordomo_application::Caller;
use majordomo_application::access::CreateApiKey;
use majordomo_application::operations::HealthService;
use majordomo_application::ports::{ModelInfo, ProcessMeter, ProcessUsage};
use majordomo_domain::{CredentialKind, Scope};
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{Kernel, KernelLayer, KernelParts, LimitClass, Mounts, Services};
use majordomo_presentation_pisovereign::{DIALECT, configure, mount};
use majordomo_presentation_testkit::{Backstage, Setup, agent, kernel_parts, scripted};
use majordomo_testkit::{FailingStore, FixedClock, ScriptedModel};
use paperclip::actix::OpenApiExt as _;
use serde_json::Value;

/// The id that every request of these tests carries.
pub(crate) const REQUEST_ID: &str = "550e8400-e29b-41d4-a716-446655440000";
/// A key of the configuration, whose owner is `alice`.
pub(crate) const ALICE: &str = "sk-alice";
/// A key of the configuration, whose owner is `bob`.
pub(crate) const BOB: &str = "sk-bob";

/// A process with 64 MiB and a byte, and two seconds of work behind it.
struct Meter;

impl ProcessMeter for Meter {
    fn read(&self) -> ProcessUsage {
        ProcessUsage {
            resident_bytes: Some(64 * 1024 * 1024 + 1),
            cpu_time: Some(Duration::from_secs(2)),
        }
    }

    fn is_in_container(&self) -> bool {
        true
    }
}

/// A server, and what its tests hold on to.
pub(crate) struct Site {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) services: Services,
    pub(crate) model: ScriptedModel,
    pub(crate) store: Arc<FailingStore>,
    pub(crate) clock: Arc<FixedClock>,
}

impl Site {
    /// Rate limits are off.
    pub(crate) async fn new() -> Self {
        let off = RateLimitConfig {
            enabled: false,
            ..RateLimitConfig::default()
        };
        Self::limited(off).await
    }

    pub(crate) async fn limited(rate_limits: RateLimitConfig) -> Self {
        let model = ScriptedModel::new();
        model.offer(Ok(vec![ModelInfo {
            id: "small".to_owned(),
            parameters: Some("1.5B".to_owned()),
            context_length: Some(4096),
        }]));
        let setup = Setup {
            master_token: "master",
            keys: &[(ALICE, "alice"), (BOB, "bob")],
            registry: scripted(&model, &["small", "large"]),
            embedder: None,
            tools: Vec::new(),
            agent: agent(),
        };
        let mut backstage = setup.open().await;
        let (models, store) = (backstage.services.models.clone(), backstage.store.clone());
        let health = HealthService::new(models, store, backstage.clock.clone());
        backstage.services.health = Arc::new(health.with_process(Arc::new(Meter)));
        let mounts = mount(Mounts::new(&DIALECT, LimitClass::PerMinute));
        let kernel = Kernel::new(KernelParts {
            rate_limits,
            ..kernel_parts(&backstage, mounts)
        });
        let Backstage {
            services,
            store,
            clock,
        } = backstage;
        Self {
            kernel,
            services,
            model,
            store,
            clock,
        }
    }

    /// A key with these scopes, owned by the operator.
    pub(crate) async fn key_with(&self, scopes: &[Scope]) -> String {
        let key = CreateApiKey {
            name: "test".to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at: None,
            ..CreateApiKey::default()
        };
        let operator = Caller::operator(CredentialKind::CommandLine);
        let issued = self.services.access.create_key(&operator, key).await;
        issued.unwrap().secret
    }

    /// The answer to a request, its body read to the end.
    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        let app = App::new()
            .app_data(web::Data::from(self.kernel.clone()))
            .app_data(web::Data::new(self.services.clone()))
            .wrap(KernelLayer::new(self.kernel.clone()))
            .wrap_api()
            .configure(configure)
            .build();
        let app = test::init_service(app).await;
        let request = request
            .insert_header(("x-request-id", REQUEST_ID))
            .to_request();
        let response = test::call_service(&app, request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = test::read_body(response).await;
        Answer {
            status,
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// What alice's `/v1/chat` says.
    pub(crate) async fn chat(&self, body: Value) -> Answer {
        self.ask(bearer(post("/v1/chat", body), ALICE)).await
    }

    /// What alice's `/v1/chat/stream` says.
    pub(crate) async fn stream(&self, body: Value) -> Answer {
        self.ask(bearer(post("/v1/chat/stream", body), ALICE)).await
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Fails unless the answer is this.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.json()), (status, body));
    }
}

pub(crate) fn get(uri: &str) -> TestRequest {
    TestRequest::get().uri(uri)
}

pub(crate) fn post(uri: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(uri).set_json(body)
}

pub(crate) fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

/// The envelope of a failure without wrong fields.
pub(crate) fn failure(code: &str, message: &str) -> Value {
    serde_json::json!({ "error": {
        "code": code, "message": message, "details": {}, "request_id": REQUEST_ID
    } })
}

/// The envelope of a failure with wrong fields.
pub(crate) fn wrong_fields(fields: &[(&str, &str)]) -> Value {
    let fields: Vec<Value> = fields
        .iter()
        .map(|(field, error)| serde_json::json!({ "field": field, "error": error }))
        .collect();
    serde_json::json!({ "error": {
        "code": "VALIDATION_ERROR",
        "message": "Request validation failed",
        "details": { "fields": fields },
        "request_id": REQUEST_ID
    } })
}
