//! The services over in-memory ports.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::chat::{
    AgentConfig, ChatPorts, ChatService, SendMessage, SessionService, WhenBusy,
};
use majordomo_application::models::{InferenceMetrics, ModelRegistry, Provider, RegistryConfig};
use majordomo_application::ports::{RunJournal, SessionRepository, Tool};
use majordomo_application::runs::RunStream;
use majordomo_application::tools::{Calculator, CurrentTime, SearchSessions, ToolRegistry};
use majordomo_application::usage::Accounting;
use majordomo_domain::{
    Channel, CredentialKind, ModelRef, RunEvent, RunEventKind, RunOptions, Scopes, SessionId,
    UserId, UserRole,
};
use majordomo_testkit::{
    FailingStore, FixedClock, InMemoryStore, Script, ScriptedModel, SequentialIds, Stores,
};

/// Services, and what stands behind them.
pub(crate) struct World {
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) journal: Arc<dyn RunJournal>,
    pub(crate) model: Arc<ScriptedModel>,
    pub(crate) models: Arc<ModelRegistry>,
    pub(crate) chat: Arc<ChatService>,
    pub(crate) sessions: SessionService,
}

/// How the world differs from the usual one.
pub(crate) struct Options {
    pub(crate) journal: Option<Arc<dyn RunJournal>>,
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) ids: Arc<SequentialIds>,
    pub(crate) fallback: Vec<(ModelRef, Arc<ScriptedModel>)>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) config: AgentConfig,
    pub(crate) accounting: Option<Accounting>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            journal: None,
            store: Arc::default(),
            ids: Arc::default(),
            fallback: Vec::new(),
            tools: Vec::new(),
            config: config(),
            accounting: None,
        }
    }
}

pub(crate) fn config() -> AgentConfig {
    AgentConfig {
        system_prompt: "You are a test.".to_owned(),
        max_steps: 4,
        loop_breaker: true,
        temperature: None,
        max_tokens: None,
        context_tokens: 1000,
        turn_timeout: Duration::from_secs(30),
        max_concurrent_runs: 8,
        max_accepted_runs: 16,
        queue_per_session: 2,
    }
}

impl World {
    pub(crate) fn playing(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::with(scripts, Options::default())
    }

    pub(crate) fn with(scripts: impl IntoIterator<Item = Script>, options: Options) -> Self {
        let store = options.store;
        let journal = options.journal.unwrap_or_else(|| store.clone());
        let model = Arc::new(ScriptedModel::playing(scripts));
        let clock = Arc::new(FixedClock::default());
        let ids = options.ids;
        let provider = |name: &str, model: Arc<ScriptedModel>| Provider {
            name: name.to_owned(),
            model,
            models: Vec::new(),
            context_tokens: None,
        };
        let mut providers = vec![provider("mock", model.clone())];
        let fallback = options
            .fallback
            .iter()
            .map(|(reference, _)| reference.clone())
            .collect();
        providers.extend(
            options
                .fallback
                .into_iter()
                .map(|(reference, model)| provider(&reference.provider, model)),
        );
        let config = RegistryConfig {
            providers,
            default: ModelRef::new("mock", "model"),
            fallback,
        };
        let registry = Arc::new(ModelRegistry::new(config, clock.clone()));
        let mut tools: Vec<Arc<dyn Tool>> = vec![
            Arc::new(CurrentTime::new(clock.clone())),
            Arc::new(Calculator::default()),
            Arc::new(SearchSessions::new(store.clone())),
        ];
        tools.extend(options.tools);
        let ports = ChatPorts {
            sessions: store.clone(),
            journal: journal.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let tools = Arc::new(ToolRegistry::new(tools, Duration::from_secs(5)));
        let accounting = options
            .accounting
            .unwrap_or_else(|| Arc::new(InferenceMetrics::default()).into());
        let chat = ChatService::new(ports, registry.clone(), tools, accounting, options.config);
        let sessions = SessionService::new(
            store.clone() as Arc<dyn SessionRepository>,
            store.clone(),
            ids,
            chat.clone(),
        );
        Self {
            store,
            journal,
            model,
            models: registry,
            chat,
            sessions,
        }
    }
}

/// A world whose journal can be made to fail.
pub(crate) struct Shaky {
    pub(crate) world: World,
    pub(crate) journal: Arc<FailingStore>,
}

pub(crate) fn shaky(scripts: impl IntoIterator<Item = Script>, config: AgentConfig) -> Shaky {
    let store: Arc<InMemoryStore> = Arc::default();
    let journal = Arc::new(FailingStore::around(&Stores::of(store.clone())));
    let options = Options {
        store,
        journal: Some(journal.clone()),
        config,
        ..Options::default()
    };
    let world = World::with(scripts, options);
    Shaky { world, journal }
}

pub(crate) fn alice() -> Caller {
    caller("alice")
}

pub(crate) fn caller(name: &str) -> Caller {
    Caller::new(
        UserId::parse(name).unwrap(),
        UserRole::Owner,
        Scopes::full(),
        CredentialKind::MasterToken,
    )
}

pub(crate) fn session(id: &str) -> SessionId {
    SessionId::parse(id).unwrap()
}

/// A message to a session.
pub(crate) fn say(id: &str, text: &str) -> SendMessage {
    SendMessage {
        session: Some(session(id)),
        channel: Channel::Api,
        text: text.to_owned(),
        images: Vec::new(),
        options: RunOptions::default(),
        when_busy: WhenBusy::Queue,
    }
}

/// All events of a run to its end.
pub(crate) async fn drain(mut stream: RunStream) -> Vec<RunEvent> {
    let mut events = Vec::new();
    loop {
        let batch = stream.next_batch().await.unwrap();
        if batch.is_empty() {
            return events;
        }
        events.extend(batch.iter().map(|event| event.as_ref().clone()));
    }
}

/// The text pieces among events.
pub(crate) fn pieces(events: &[RunEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            RunEventKind::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}
