//! The use cases that handlers call. Given to the application as `app_data(web::Data::new(services))`.

use std::sync::Arc;

use majordomo_application::access::AccessService;
use majordomo_application::chat::{ChatService, SessionService};
use majordomo_application::models::{CompletionService, InferenceMetrics, ModelRegistry};
use majordomo_application::operations::HealthService;

/// The use cases that handlers call, always through [`Core`](crate::Core).
#[derive(Clone)]
pub struct Services {
    /// Who is asking.
    pub access: Arc<AccessService>,
    /// Talking to the agent.
    pub chat: Arc<ChatService>,
    /// The caller's sessions.
    pub sessions: Arc<SessionService>,
    /// The models on offer.
    pub models: Arc<ModelRegistry>,
    /// Asking a named model without a session.
    pub completions: Arc<CompletionService>,
    /// Counters of model calls.
    pub inference: Arc<InferenceMetrics>,
    /// Whether the parts this server needs answer.
    pub health: Arc<HealthService>,
}
