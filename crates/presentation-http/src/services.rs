//! The use cases that handlers call. Given to the application as `app_data(web::Data::new(services))`.

use std::sync::Arc;

use majordomo_application::access::{AccessService, UserService};
use majordomo_application::audit::AuditService;
use majordomo_application::chat::{ChatService, SessionService};
use majordomo_application::embeddings::EmbeddingService;
use majordomo_application::memory::MemoryService;
use majordomo_application::models::{CompletionService, InferenceMetrics, ModelRegistry};
use majordomo_application::oauth::OAuthService;
use majordomo_application::operations::HealthService;
use majordomo_application::self_audit::SelfAuditService;
use majordomo_application::settings::SettingsService;
use majordomo_application::usage::UsageService;

/// The use cases that handlers call, always through [`Core`](crate::Core).
#[derive(Clone)]
pub struct Services {
    /// Who is asking.
    pub access: Arc<AccessService>,
    /// Users: registering, signing in, looking after them.
    pub users: Arc<UserService>,
    /// Apps that act for users.
    pub oauth: Arc<OAuthService>,
    /// What happened that matters to security.
    pub audit: Arc<AuditService>,
    /// How safely the server is set up.
    pub self_audit: Arc<SelfAuditService>,
    /// Talking to the agent.
    pub chat: Arc<ChatService>,
    /// The caller's sessions.
    pub sessions: Arc<SessionService>,
    /// What is remembered.
    pub memory: Arc<MemoryService>,
    /// The models on offer.
    pub models: Arc<ModelRegistry>,
    /// Asking a named model without a session.
    pub completions: Arc<CompletionService>,
    /// Vectors of texts.
    pub embeddings: Arc<EmbeddingService>,
    /// What model calls used, and what may be spent.
    pub usage: Arc<UsageService>,
    /// Counters of model calls.
    pub inference: Arc<InferenceMetrics>,
    /// Settings that are changed while the server runs.
    pub settings: Arc<SettingsService>,
    /// Whether the parts this server needs answer.
    pub health: Arc<HealthService>,
}
