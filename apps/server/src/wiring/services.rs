//! Services from settings and storage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::AccessTokens;
use majordomo_application::chat::{AgentConfig, ChatPorts, ChatService, SessionService};
use majordomo_application::embeddings::EmbeddingService;
use majordomo_application::memory::{Extraction, MemoryService};
use majordomo_application::models::{CompletionService, InferenceMetrics, ModelRegistry};
use majordomo_application::ports::{Clock, ErrorLog, IdGenerator, SessionRepository, Tool};
use majordomo_application::tools::{
    Calculator, CurrentTime, Forget, Recall, Remember, SearchSessions, ToolRegistry,
};
use majordomo_application::usage::UsageService;
use majordomo_infrastructure_system::{RandomIds, SystemClock};
use majordomo_presentation_http::Services;
use majordomo_settings::Settings;

use super::operations::health;
use super::people::people;
use super::settings::LiveSettings;
use super::storage::Storage;
use super::usage::user_limits;
use crate::startup::StartError;

/// Turns accepted and not ended, for each that may be at work.
const ACCEPTED_PER_RUNNING: usize = 16;

/// All use cases over one storage.
pub(crate) async fn services(
    settings: &Settings,
    data_dir: &Path,
    storage: &Storage,
    models: Arc<ModelRegistry>,
    errors: Arc<dyn ErrorLog>,
    live: LiveSettings,
) -> Result<Services, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGenerator> = Arc::new(RandomIds::new()?);
    let app_tokens = Arc::new(AccessTokens::new(storage.oauth.clone()));
    let oauth = super::oauth::oauth(
        settings,
        storage,
        app_tokens.clone(),
        clock.clone(),
        ids.clone(),
    )?;
    let inference = Arc::new(InferenceMetrics::default());
    let usage = super::usage::usage(settings, storage, inference.clone(), clock.clone())
        .await
        .map_err(StartError::Usage)?;
    let (access, users) = people(
        settings,
        data_dir,
        storage,
        clock.clone(),
        ids.clone(),
        app_tokens,
        usage.budgets().clone(),
    )
    .await?;
    let embedder = super::embedder::embedder(&settings.memory, &models).await?;
    let own = embedder.as_ref();
    let (memory, checks) =
        super::memory::memory(settings, storage, &live, own, &clock, ids.clone()).await?;
    let ports = ChatPorts {
        sessions: storage.sessions.clone(),
        journal: storage.journal.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let tools = tools(settings, clock.clone(), storage.sessions.clone(), &memory);
    let chat = chat(settings, ports, models.clone(), tools, &usage);
    if settings.memory.recall {
        chat.remember_with(memory.clone());
    }
    let accounting = usage.accounting();
    let completions = CompletionService::new(models.clone(), accounting.clone());
    let completions = Arc::new(completions);
    let default = models.default_model().to_string();
    if let Some(model) = settings.memory.extracts_with(&default) {
        let (memory, completions) = (memory.clone(), completions.clone());
        chat.learn_with(Extraction::start(memory, completions, model.to_owned()));
    }
    let health = health(settings, data_dir, storage, checks, models.clone(), errors);
    let audit = super::audit::audit(storage.audit.clone(), data_dir);
    let self_audit = super::audit::self_audit(settings, data_dir, storage, &audit);
    Ok(Services {
        audit,
        memory,
        self_audit,
        completions,
        embeddings: Arc::new(EmbeddingService::new(
            models.clone(),
            embedder,
            accounting.clone(),
        )),
        sessions: Arc::new(SessionService::new(
            storage.sessions.clone(),
            storage.audit.clone(),
            ids,
            chat.clone(),
        )),
        settings: live
            .service(models.clone(), chat.clone(), oauth.clone())
            .await?,
        health: Arc::new(health),
        usage,
        access,
        users,
        oauth,
        chat,
        models,
        inference,
    })
}

fn chat(
    settings: &Settings,
    ports: ChatPorts,
    models: Arc<ModelRegistry>,
    tools: Arc<ToolRegistry>,
    usage: &UsageService,
) -> Arc<ChatService> {
    let agent = agent(settings);
    let (concurrent, accepted) = (agent.max_concurrent_runs, agent.max_accepted_runs);
    let chat = ChatService::new(ports, models, tools, usage.accounting().clone(), agent);
    usage.budgets().tell_through(chat.event_bus().clone());
    chat.limit_users(user_limits(&settings.limits, concurrent, accepted));
    chat
}

fn tools(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    sessions: Arc<dyn SessionRepository>,
    memory: &Arc<MemoryService>,
) -> Arc<ToolRegistry> {
    let tools: Vec<Arc<dyn Tool>> = vec![
        Arc::new(CurrentTime::new(clock)),
        Arc::new(Calculator::default()),
        Arc::new(SearchSessions::new(sessions)),
        Arc::new(Remember::new(memory.clone())),
        Arc::new(Recall::new(memory.clone())),
        Arc::new(Forget::new(memory.clone())),
    ];
    Arc::new(ToolRegistry::new(
        tools,
        Duration::from_secs(settings.agent.tool_timeout_secs),
    ))
}

pub(super) fn agent(settings: &Settings) -> AgentConfig {
    let agent = &settings.agent;
    AgentConfig {
        system_prompt: agent.system_prompt.clone(),
        max_steps: agent.max_steps,
        loop_breaker: agent.loop_breaker,
        temperature: agent.temperature,
        max_tokens: agent.max_tokens,
        context_tokens: u64::from(agent.context_tokens),
        turn_timeout: Duration::from_secs(agent.turn_timeout_secs),
        max_concurrent_runs: agent.max_concurrent_runs,
        max_accepted_runs: agent
            .max_concurrent_runs
            .saturating_mul(ACCEPTED_PER_RUNNING),
        queue_per_session: agent.queue_per_session,
    }
}
