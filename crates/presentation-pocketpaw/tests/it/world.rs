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
use majordomo_application::access::{
    AccessConfig, AccessPorts, AccessService, ConfiguredKey, ConfiguredSecret, CreateApiKey,
    UserPorts, UserService,
};
use majordomo_application::chat::{AgentConfig, ChatPorts, ChatService, SessionService};
use majordomo_application::models::{
    CompletionService, InferenceMetrics, ModelRegistry, Provider, RegistryConfig,
};
use majordomo_application::operations::HealthService;
use majordomo_application::tools::{Calculator, ToolRegistry};
use majordomo_domain::{CredentialKind, ModelRef, UserId};
use majordomo_presentation_http::address::TrustedProxies;
use majordomo_presentation_http::auth::{LocalBypass, LocalBypassConfig};
use majordomo_presentation_http::kernel::DEFAULT_BODY_LIMIT;
use majordomo_presentation_http::origin::AllowedOrigins;
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{
    Core, Kernel, KernelLayer, KernelParts, LimitClass, Mounts, Services,
};
use majordomo_presentation_pocketpaw::{DIALECT, configure, mount};
use majordomo_testkit::audit::{audit_service, self_audit_service};
use majordomo_testkit::oauth::{oauth, oauth_config};
use majordomo_testkit::settings::{SimpleSettingsLayers, settings_service};
use majordomo_testkit::usage::usage_service;
use majordomo_testkit::{
    FailingStore, FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, Script, ScriptedModel, SequentialIds, Stores,
};
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
        let storage = Arc::new(FailingStore::around(&Stores::of(Arc::new(
            InMemoryStore::new(),
        ))));
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SequentialIds::new());
        let services = services(&model, &storage, &clock, &ids).await;
        let listeners: [SocketAddr; 1] = ["127.0.0.1:8888".parse().unwrap()];
        let kernel = Kernel::new(KernelParts {
            core: Core::new(tokio::runtime::Handle::current()),
            access: services.access.clone(),
            clock: clock.clone(),
            mounts: mount(Mounts::new(&DIALECT, LimitClass::Api)),
            rate_limits,
            bypass: LocalBypass::new(LocalBypassConfig {
                enabled: true,
                listeners: &listeners,
                has_public_url: false,
                has_trusted_proxies: false,
            }),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
            public_https: false,
            body_limit: DEFAULT_BODY_LIMIT,
        });
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

async fn services(
    model: &ScriptedModel,
    storage: &Arc<FailingStore>,
    clock: &Arc<FixedClock>,
    ids: &Arc<SequentialIds>,
) -> Services {
    let (oauth, app_tokens) = oauth(
        storage.clone(),
        clock.clone(),
        Arc::new(SequentialIds::new()),
        oauth_config(),
    );
    let access = AccessService::open(
        AccessPorts {
            keys: storage.clone(),
            users: storage.clone(),
            audit: storage.clone(),
            signing_key: Arc::new(InMemorySigningKeyStore::default()),
            master_token: Arc::new(InMemoryMasterTokenStore::holding(MASTER)),
            hasher: Arc::new(PlainPasswordHasher),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        AccessConfig {
            session_token_ttl: Duration::from_hours(24),
            login_token_ttl: Duration::from_hours(2),
            configured_keys: vec![ConfiguredKey {
                user: UserId::parse("bob").unwrap(),
                secret: ConfiguredSecret::Plain(BOB.to_owned()),
            }],
        },
    )
    .await
    .unwrap();
    let access = Arc::new(access.with_app_tokens(app_tokens));
    let models = Arc::new(ModelRegistry::new(
        RegistryConfig {
            providers: vec![Provider {
                name: "mock".to_owned(),
                model: Arc::new(model.clone()),
                models: vec!["scripted".to_owned()],
                context_tokens: None,
            }],
            default: ModelRef::new("mock", "scripted"),
            fallback: Vec::new(),
        },
        clock.clone(),
    ));
    let inference = Arc::new(InferenceMetrics::default());
    let tools = vec![Arc::new(Calculator::default()) as Arc<_>];
    let usage = usage_service(storage.clone(), inference.clone(), clock.clone()).await;
    let chat = ChatService::new(
        ChatPorts {
            sessions: storage.clone(),
            journal: storage.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        models.clone(),
        Arc::new(ToolRegistry::new(tools, Duration::from_secs(5))),
        usage.accounting().clone(),
        agent(),
    );
    let settings = settings_service(
        storage.clone(),
        clock.clone(),
        SimpleSettingsLayers::over(agent()),
        models.clone(),
        chat.clone(),
    )
    .await;
    Services {
        audit: audit_service(storage.clone(), clock.clone()),
        self_audit: self_audit_service(storage, clock.clone()),
        usage,
        oauth,
        users: Arc::new(UserService::new(
            access.clone(),
            UserPorts {
                users: storage.clone(),
                hasher: Arc::new(PlainPasswordHasher),
            },
        )),
        access,
        sessions: Arc::new(SessionService::new(
            storage.clone(),
            storage.clone(),
            ids.clone(),
            chat.clone(),
        )),
        chat,
        completions: Arc::new(CompletionService::new(models.clone(), inference.clone())),
        health: Arc::new(HealthService::new(
            models.clone(),
            storage.clone(),
            clock.clone(),
        )),
        models,
        settings,
        inference,
    }
}
