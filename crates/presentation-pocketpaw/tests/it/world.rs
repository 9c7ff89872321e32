//! A server in memory: every service real, storage and model scripted, the clock standing still at 2026-02-02T02:40:00Z.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use majordomo_application::Caller;
use majordomo_application::access::CreateApiKey;
use majordomo_application::chat::AgentConfig;
use majordomo_application::tools::Calculator;
use majordomo_domain::CredentialKind;
use majordomo_presentation_http::auth::{LocalBypass, LocalBypassConfig};
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{Kernel, KernelLayer, KernelParts, LimitClass, Mounts, Services};
use majordomo_presentation_pocketpaw::{DIALECT, configure, mount};
use majordomo_presentation_testkit::{Backstage, Setup, kernel_parts, scripted};
use majordomo_testkit::{FailingStore, FixedClock, Script, ScriptedModel};
use paperclip::actix::OpenApiExt as _;
use serde_json::Value;

/// The operator's token.
pub(crate) const MASTER: &str = "master-token";
/// A key of another user, `bob`, with every scope but `admin`.
pub(crate) const BOB: &str = "bobs-configured-key";

/// A server in memory.
pub(crate) struct World {
    pub(crate) model: ScriptedModel,
    pub(crate) storage: Arc<FailingStore>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) services: Services,
    pub(crate) kernel: Arc<Kernel>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The answer, when it has this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

fn agent() -> AgentConfig {
    AgentConfig {
        system_prompt: "Be brief.".to_owned(),
        max_steps: 4,
        loop_breaker: true,
        temperature: None,
        max_tokens: None,
        context_tokens: 8_000,
        turn_timeout: Duration::from_secs(20),
        max_concurrent_runs: 8,
        max_accepted_runs: 32,
        queue_per_session: 2,
    }
}

impl World {
    /// A server whose model plays `scripts`.
    pub(crate) async fn playing(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::limited(
            scripts,
            RateLimitConfig {
                enabled: false,
                ..RateLimitConfig::default()
            },
        )
        .await
    }

    /// As [`playing`](Self::playing), with limits.
    pub(crate) async fn limited(
        scripts: impl IntoIterator<Item = Script>,
        rate_limits: RateLimitConfig,
    ) -> Self {
        let model = ScriptedModel::playing(scripts);
        let setup = Setup {
            master_token: MASTER,
            keys: &[(BOB, "bob")],
            registry: scripted(&model, &["scripted"]),
            embedder: None,
            tools: vec![Arc::new(Calculator::default())],
            agent: agent(),
        };
        let backstage = setup.open().await;
        let listeners: [SocketAddr; 1] = ["127.0.0.1:8888".parse().unwrap()];
        let mounts = mount(Mounts::new(&DIALECT, LimitClass::Api));
        let kernel = Kernel::new(KernelParts {
            rate_limits,
            bypass: LocalBypass::new(LocalBypassConfig {
                enabled: true,
                listeners: &listeners,
                has_public_url: false,
                has_trusted_proxies: false,
            }),
            ..kernel_parts(&backstage, mounts)
        });
        let Backstage {
            services,
            store: storage,
            clock,
        } = backstage;
        Self {
            model,
            storage,
            clock,
            services,
            kernel,
        }
    }

    /// The application, as a server would build it.
    pub(crate) async fn app(
        &self,
    ) -> impl Service<
        actix_http::Request,
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
    > {
        test::init_service(
            App::new()
                .app_data(web::Data::from(Arc::clone(&self.kernel)))
                .app_data(web::Data::new(self.services.clone()))
                .wrap(KernelLayer::new(Arc::clone(&self.kernel)))
                .wrap_api()
                .configure(configure)
                .build(),
        )
        .await
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn send(&self, request: TestRequest) -> Answer {
        let app = self.app().await;
        let answer = test::call_service(&app, request.to_request()).await;
        let (_, answer) = answer.into_parts();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = actix_web::body::to_bytes(answer.into_body()).await;
        let bytes = bytes.unwrap_or_else(|_| panic!("the body breaks off"));
        Answer {
            status,
            headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// As the operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(bearer(TestRequest::get().uri(path), MASTER))
            .await
    }

    /// As the operator, with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = TestRequest::post().uri(path).set_json(body);
        self.send(bearer(request, MASTER)).await
    }

    /// As the operator, without a body.
    pub(crate) async fn post_empty(&self, path: &str) -> Answer {
        self.send(bearer(TestRequest::post().uri(path), MASTER))
            .await
    }

    /// As the operator.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(bearer(TestRequest::delete().uri(path), MASTER))
            .await
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

/// The request with a bearer token.
pub(crate) fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}
