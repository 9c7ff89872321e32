//! Services from settings and storage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::{
    AccessConfig, AccessPorts, AccessService, ConfiguredKey, ConfiguredSecret,
};
use majordomo_application::chat::{AgentConfig, ChatPorts, ChatService, SessionService};
use majordomo_application::models::{CompletionService, InferenceMetrics, ModelRegistry};
use majordomo_application::operations::HealthService;
use majordomo_application::ports::{Clock, IdGenerator, SessionRepository, Tool};
use majordomo_application::tools::{Calculator, CurrentTime, SearchSessions, ToolRegistry};
use majordomo_domain::UserId;
use majordomo_infrastructure_system::{
    Argon2PasswordHasher, FileMasterTokenStore, Process, RandomIds, SystemClock,
};
use majordomo_presentation_http::Services;
use majordomo_settings::{SecuritySettings, Settings, UserUuid};

use super::storage::Storage;
use crate::startup::StartError;

/// Turns accepted and not ended, for each that may be at work.
const ACCEPTED_PER_RUNNING: usize = 16;

/// All use cases over one storage.
pub(crate) async fn services(
    settings: &Settings,
    data_dir: &Path,
    storage: &Storage,
    models: Arc<ModelRegistry>,
) -> Result<Services, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGenerator> = Arc::new(RandomIds::new()?);
    let ports = AccessPorts {
        keys: storage.api_keys.clone(),
        master_token: Arc::new(FileMasterTokenStore::new(data_dir)),
        hasher: Arc::new(Argon2PasswordHasher::per_core()),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let hours = u64::from(settings.security.session_token_ttl_hours);
    let config = AccessConfig {
        session_token_ttl: Duration::from_secs(hours * 3600),
        configured_keys: configured_keys(&settings.security),
    };
    let access = Arc::new(AccessService::open(ports, config).await?);
    let inference = Arc::new(InferenceMetrics::default());
    let ports = ChatPorts {
        sessions: storage.sessions.clone(),
        journal: storage.journal.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let tools = tools(settings, clock.clone(), storage.sessions.clone());
    let chat = ChatService::new(
        ports,
        models.clone(),
        tools,
        inference.clone(),
        agent(settings),
    );
    let health = HealthService::new(models.clone(), storage.health.clone(), clock)
        .with_process(Arc::new(Process::started()))
        .with_environment(settings.server.environment.as_str());
    Ok(Services {
        completions: Arc::new(CompletionService::new(models.clone(), inference.clone())),
        sessions: Arc::new(SessionService::new(
            storage.sessions.clone(),
            ids,
            chat.clone(),
        )),
        health: Arc::new(health),
        access,
        chat,
        models,
        inference,
    })
}

fn tools(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    sessions: Arc<dyn SessionRepository>,
) -> Arc<ToolRegistry> {
    let tools: Vec<Arc<dyn Tool>> = vec![
        Arc::new(CurrentTime::new(clock)),
        Arc::new(Calculator::default()),
        Arc::new(SearchSessions::new(sessions)),
    ];
    Arc::new(ToolRegistry::new(
        tools,
        Duration::from_secs(settings.agent.tool_timeout_secs),
    ))
}

fn agent(settings: &Settings) -> AgentConfig {
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

fn configured_keys(security: &SecuritySettings) -> Vec<ConfiguredKey> {
    // Every UUID in its usual form is an identifier.
    let user = |uuid: &UserUuid| UserId::parse(uuid.as_str()).ok();
    let plain = security.api_key_users.iter().filter_map(|(key, uuid)| {
        Some(ConfiguredKey {
            user: user(uuid)?,
            secret: ConfiguredSecret::Plain(key.expose().to_owned()),
        })
    });
    let hashed = security.api_keys.iter().filter_map(|key| {
        Some(ConfiguredKey {
            user: user(&key.user_id)?,
            secret: ConfiguredSecret::Hash(key.hash.expose().to_owned()),
        })
    });
    plain.chain(hashed).collect()
}
