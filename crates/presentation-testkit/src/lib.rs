//! What the tests of every dialect stand on: all use cases over storage in memory, behind the web kernel.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::{
    AccessConfig, AccessPorts, AccessService, ConfiguredKey, ConfiguredRights, ConfiguredSecret,
    UserPorts, UserService,
};
use majordomo_application::chat::{AgentConfig, ChatPorts, ChatService, SessionService};
use majordomo_application::embeddings::{EmbeddingService, OwnEmbedder};
use majordomo_application::models::{
    CompletionService, InferenceMetrics, ModelRegistry, Provider, RegistryConfig,
};
use majordomo_application::operations::HealthService;
use majordomo_application::ports::Tool;
use majordomo_application::tools::ToolRegistry;
use majordomo_domain::ModelRef;
use majordomo_presentation_http::address::TrustedProxies;
use majordomo_presentation_http::auth::LocalBypass;
use majordomo_presentation_http::kernel::DEFAULT_BODY_LIMIT;
use majordomo_presentation_http::origin::AllowedOrigins;
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{Core, KernelParts, Mounts, Services};
use majordomo_testkit::audit::{audit_service, self_audit_service};
use majordomo_testkit::builders::user;
use majordomo_testkit::memory::memory_service;
use majordomo_testkit::oauth::{oauth, oauth_config};
use majordomo_testkit::settings::{SimpleSettingsLayers, settings_service};
use majordomo_testkit::usage::usage_service;
use majordomo_testkit::{
    FailingStore, FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, ScriptedModel, SequentialIds, Stores,
};

/// What differs from one dialect's tests to another's.
pub struct Setup {
    /// The master token.
    pub master_token: &'static str,
    /// Keys of the configuration: the secret and its user.
    pub keys: &'static [(&'static str, &'static str)],
    /// The models.
    pub registry: RegistryConfig,
    /// The server's own embedder.
    pub embedder: Option<OwnEmbedder>,
    /// The agent's tools.
    pub tools: Vec<Arc<dyn Tool>>,
    /// How the agent works.
    pub agent: AgentConfig,
}

/// All use cases, and what tests look at and turn.
pub struct Backstage {
    /// The use cases.
    pub services: Services,
    /// Where everything is stored; fails when told to.
    pub store: Arc<FailingStore>,
    /// Stands still unless it is moved.
    pub clock: Arc<FixedClock>,
}

/// A provider named `mock` with one scripted model.
pub fn scripted(model: &ScriptedModel, models: &[&str]) -> RegistryConfig {
    RegistryConfig {
        providers: vec![Provider {
            name: "mock".to_owned(),
            model: Arc::new(model.clone()),
            models: models.iter().map(|&name| name.to_owned()).collect(),
            context_tokens: Some(8192),
        }],
        default: ModelRef::new("mock", models.first().copied().unwrap_or("scripted")),
        fallback: Vec::new(),
    }
}

/// An agent that takes a few turns at once.
pub fn agent() -> AgentConfig {
    AgentConfig {
        system_prompt: "Be brief.".to_owned(),
        max_steps: 4,
        loop_breaker: true,
        temperature: None,
        max_tokens: None,
        context_tokens: 8192,
        turn_timeout: Duration::from_secs(30),
        max_concurrent_runs: 8,
        max_accepted_runs: 16,
        queue_per_session: 4,
    }
}

/// The kernel without limits, bypass or proxies, which serves `mounts`.
pub fn kernel_parts(backstage: &Backstage, mounts: Mounts) -> KernelParts {
    KernelParts {
        core: Core::new(tokio::runtime::Handle::current()),
        access: backstage.services.access.clone(),
        clock: backstage.clock.clone(),
        mounts,
        rate_limits: RateLimitConfig {
            enabled: false,
            ..RateLimitConfig::default()
        },
        bypass: LocalBypass::closed(),
        trusted_proxies: TrustedProxies::default(),
        allowed_origins: AllowedOrigins::default(),
        public_https: false,
        body_limit: DEFAULT_BODY_LIMIT,
    }
}

impl Setup {
    /// Puts the use cases together.
    pub async fn open(self) -> Backstage {
        let memory = Arc::new(InMemoryStore::new());
        let store = Arc::new(FailingStore::around(&Stores::of(memory)));
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SequentialIds::new());
        let (oauth, app_tokens) = oauth(
            store.clone(),
            clock.clone(),
            Arc::new(SequentialIds::new()),
            oauth_config(),
        );
        let access = access(self.master_token, self.keys, &store, &clock, &ids).await;
        let inference = Arc::new(InferenceMetrics::default());
        let usage = usage_service(store.clone(), inference.clone(), clock.clone()).await;
        let budgets = usage.budgets().clone();
        let access = Arc::new(access.with_app_tokens(app_tokens).with_budgets(budgets));
        let models = Arc::new(ModelRegistry::new(self.registry, clock.clone()));
        let ports = ChatPorts {
            sessions: store.clone(),
            journal: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let tools = Arc::new(ToolRegistry::new(self.tools, Duration::from_secs(5)));
        let accounting = usage.accounting().clone();
        let chat = ChatService::new(
            ports,
            models.clone(),
            tools,
            accounting.clone(),
            self.agent.clone(),
        );
        let layers = SimpleSettingsLayers::over(self.agent);
        let services = Services {
            memory: memory_service(store.clone(), clock.clone()),
            audit: audit_service(store.clone(), clock.clone()),
            self_audit: self_audit_service(&store, clock.clone()),
            settings: settings_service(
                store.clone(),
                clock.clone(),
                layers,
                models.clone(),
                chat.clone(),
            )
            .await,
            usage,
            oauth,
            users: users(&access, &store),
            access,
            sessions: Arc::new(SessionService::new(
                store.clone(),
                store.clone(),
                ids,
                chat.clone(),
            )),
            chat,
            embeddings: Arc::new(EmbeddingService::new(
                models.clone(),
                self.embedder,
                accounting.clone(),
            )),
            completions: Arc::new(CompletionService::new(models.clone(), accounting)),
            health: Arc::new(HealthService::new(
                models.clone(),
                store.clone(),
                clock.clone(),
            )),
            models,
            inference,
        };
        Backstage {
            services,
            store,
            clock,
        }
    }
}

async fn access(
    master_token: &str,
    keys: &[(&str, &str)],
    store: &Arc<FailingStore>,
    clock: &Arc<FixedClock>,
    ids: &Arc<SequentialIds>,
) -> AccessService {
    let ports = AccessPorts {
        keys: store.clone(),
        users: store.clone(),
        audit: store.clone(),
        signing_key: Arc::new(InMemorySigningKeyStore::default()),
        master_token: Arc::new(InMemoryMasterTokenStore::holding(master_token)),
        hasher: Arc::new(PlainPasswordHasher),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let config = AccessConfig {
        session_token_ttl: Duration::from_hours(24),
        login_token_ttl: Duration::from_hours(2),
        configured_keys: keys
            .iter()
            .map(|(secret, owner)| ConfiguredKey {
                secret: ConfiguredSecret::Plain((*secret).to_owned()),
                rights: ConfiguredRights::of(user(owner)),
            })
            .collect(),
    };
    let opened = AccessService::open(ports, config).await;
    opened.unwrap_or_else(|error| panic!("access cannot be opened: {error}"))
}

fn users(access: &Arc<AccessService>, store: &Arc<FailingStore>) -> Arc<UserService> {
    let ports = UserPorts {
        users: store.clone(),
        hasher: Arc::new(PlainPasswordHasher),
    };
    Arc::new(UserService::new(access.clone(), ports))
}
