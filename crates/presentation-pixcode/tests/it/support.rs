//! A server whose storage holds a few conversations.

use std::sync::Arc;
use std::time::Duration;

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
use majordomo_application::ports::RunJournal as _;
use majordomo_application::tools::ToolRegistry;
use majordomo_domain::{CredentialKind, ModelRef, Scope};
use majordomo_presentation_http::address::TrustedProxies;
use majordomo_presentation_http::auth::LocalBypass;
use majordomo_presentation_http::kernel::DEFAULT_BODY_LIMIT;
use majordomo_presentation_http::origin::AllowedOrigins;
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{
    Core, Kernel, KernelLayer, KernelParts, LimitClass, Mounts, Services,
};
use majordomo_presentation_pixcode::{DIALECT, configure, mount};
use majordomo_testkit::audit::{audit_service, self_audit_service};
use majordomo_testkit::builders::{answer, turn, user};
use majordomo_testkit::oauth::{oauth, oauth_config};
use majordomo_testkit::settings::{SimpleSettingsLayers, settings_service};
use majordomo_testkit::usage::usage_service;
use majordomo_testkit::{
    FailingStore, FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, ScriptedModel, SequentialIds, Stores,
};
use paperclip::actix::OpenApiExt as _;
use serde_json::Value;

/// A key whose owner is `alice`.
pub(crate) const ALICE: &str = "px_alice";
/// A key whose owner is `bob`.
pub(crate) const BOB: &str = "px_bob";

/// A server, and what its tests hold on to.
pub(crate) struct Site {
    kernel: Arc<Kernel>,
    services: Services,
    pub(crate) store: Arc<FailingStore>,
}

fn agent() -> AgentConfig {
    AgentConfig {
        system_prompt: String::new(),
        max_steps: 1,
        loop_breaker: true,
        temperature: None,
        max_tokens: None,
        context_tokens: 8192,
        turn_timeout: Duration::from_secs(1),
        max_concurrent_runs: 1,
        max_accepted_runs: 1,
        queue_per_session: 1,
    }
}

fn configured(secret: &str, owner: &str) -> ConfiguredKey {
    ConfiguredKey {
        user: user(owner),
        secret: ConfiguredSecret::Plain(secret.to_owned()),
    }
}

impl Site {
    /// Storage is empty.
    pub(crate) async fn new() -> Self {
        let store = Arc::new(FailingStore::around(&Stores::of(Arc::new(
            InMemoryStore::new(),
        ))));
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SequentialIds::new());
        let access = AccessPorts {
            keys: store.clone(),
            users: store.clone(),
            audit: store.clone(),
            signing_key: Arc::new(InMemorySigningKeyStore::default()),
            master_token: Arc::new(InMemoryMasterTokenStore::holding("master")),
            hasher: Arc::new(PlainPasswordHasher),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let access_config = AccessConfig {
            session_token_ttl: Duration::from_hours(1),
            login_token_ttl: Duration::from_hours(2),
            configured_keys: vec![configured(ALICE, "alice"), configured(BOB, "bob")],
        };
        let access = Arc::new(AccessService::open(access, access_config).await.unwrap());
        let registry = RegistryConfig {
            providers: vec![Provider {
                name: "mock".to_owned(),
                model: Arc::new(ScriptedModel::new()),
                models: Vec::new(),
                context_tokens: None,
            }],
            default: ModelRef::new("mock", "scripted"),
            fallback: Vec::new(),
        };
        let models = Arc::new(ModelRegistry::new(registry, clock.clone()));
        let inference = Arc::new(InferenceMetrics::default());
        let ports = ChatPorts {
            sessions: store.clone(),
            journal: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let tools = Arc::new(ToolRegistry::new(Vec::new(), Duration::from_secs(1)));
        let chat = ChatService::new(ports, models.clone(), tools, inference.clone(), agent());
        let settings = settings_service(
            store.clone(),
            clock.clone(),
            SimpleSettingsLayers::over(agent()),
            models.clone(),
            chat.clone(),
        )
        .await;
        let usage = usage_service(store.clone(), inference.clone(), clock.clone()).await;
        let services = Services {
            audit: audit_service(store.clone(), clock.clone()),
            self_audit: self_audit_service(&store, clock.clone()),
            usage,
            oauth: oauth(
                store.clone(),
                clock.clone(),
                Arc::new(SequentialIds::new()),
                oauth_config(),
            )
            .0,
            users: Arc::new(UserService::new(
                access.clone(),
                UserPorts {
                    users: store.clone(),
                    hasher: Arc::new(PlainPasswordHasher),
                },
            )),
            access: access.clone(),
            sessions: Arc::new(SessionService::new(
                store.clone(),
                store.clone(),
                ids,
                chat.clone(),
            )),
            chat,
            completions: Arc::new(CompletionService::new(models.clone(), inference.clone())),
            health: Arc::new(HealthService::new(
                models.clone(),
                store.clone(),
                clock.clone(),
            )),
            models,
            settings,
            inference,
        };
        let kernel = Kernel::new(KernelParts {
            core: Core::new(tokio::runtime::Handle::current()),
            access,
            clock,
            mounts: mount(Mounts::new(&DIALECT, LimitClass::Api)),
            rate_limits: RateLimitConfig {
                enabled: false,
                ..RateLimitConfig::default()
            },
            bypass: LocalBypass::closed(),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
            public_https: false,
            body_limit: DEFAULT_BODY_LIMIT,
        });
        Self {
            kernel,
            services,
            store,
        }
    }

    /// The owner's `number`th question in a session, and its answer.
    pub(crate) async fn said(&self, owner: &str, session: &str, number: u32, text: [&str; 2]) {
        let turn = turn(owner, session, number, text[0]);
        self.store.accept(turn.clone()).await.unwrap();
        self.store.finish(answer(&turn, text[1])).await.unwrap();
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
            .service(paperclip::actix::web::scope("/api").configure(configure))
            .build();
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = test::read_body(response).await;
        Answer {
            status,
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// What alice's search answers.
    pub(crate) async fn search(&self, query: &str) -> Answer {
        self.ask(bearer(get(&search_uri(query)), ALICE)).await
    }
}

pub(crate) fn search_uri(query: &str) -> String {
    format!("/api/search/conversations?{query}")
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

pub(crate) fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

/// A failure that a route tells.
pub(crate) fn failure(code: &str, message: &str) -> Value {
    serde_json::json!({ "success": false, "error": message, "code": code, "message": message })
}

/// A failure that no route tells.
pub(crate) fn unhandled(code: &str, message: &str) -> Value {
    serde_json::json!({ "success": false, "error": { "code": code, "message": message } })
}
