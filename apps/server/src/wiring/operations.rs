//! Health, errors and the machine from settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::events::SystemEventKind;
use majordomo_application::models::ModelRegistry;
use majordomo_application::operations::{DisabledErrorLog, HealthService, HealthStatus};
use majordomo_application::ports::{ErrorLog, HealthCheck};
use majordomo_infrastructure_system::{
    DataFolderCheck, DiskSpaceCheck, ERROR_LOG_FILE, FileErrorLog, Machine, Process, SystemClock,
};
use majordomo_presentation_http::Services;
use majordomo_settings::Settings;

use super::storage::Storage;

/// How often the server looks at its own health.
const HEARTBEAT: Duration = Duration::from_mins(5);

/// The log of the latest errors in the data folder; none where it cannot be read, for the server works without.
pub(crate) fn error_log(data_dir: &Path) -> Arc<dyn ErrorLog> {
    match FileErrorLog::open(data_dir.join(ERROR_LOG_FILE), Arc::new(SystemClock)) {
        Ok(log) => Arc::new(log),
        Err(_) => Arc::new(DisabledErrorLog),
    }
}

/// What looks at the server's health.
pub(super) fn health(
    settings: &Settings,
    data_dir: &Path,
    storage: &Storage,
    memory: Vec<Arc<dyn HealthCheck>>,
    models: Arc<ModelRegistry>,
    errors: Arc<dyn ErrorLog>,
) -> HealthService {
    let checks: [Arc<dyn HealthCheck>; 2] = [
        Arc::new(DiskSpaceCheck::new(data_dir)),
        Arc::new(DataFolderCheck::new(data_dir)),
    ];
    HealthService::new(models, storage.health.clone(), Arc::new(SystemClock))
        .with_process(Arc::new(Process::started()))
        .with_machine(Arc::new(Machine::storing_in(data_dir)))
        .with_errors(errors, storage.audit.clone())
        .with_checks(checks)
        .with_checks(memory)
        .with_environment(settings.server.environment.as_str())
}

/// Looks at the server's health from time to time, for as long as the runtime lives, and tells everyone who listens when
/// it is another one than before.
pub(crate) fn watch_health(services: &Services) {
    let (health, chat) = (services.health.clone(), services.chat.clone());
    tokio::spawn(async move {
        let mut known = HealthStatus::Healthy;
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let status = health.check_recent().await.status();
            if status != known {
                known = status;
                tracing::info!(status = status.as_str(), "the server's health has changed");
                let kind = SystemEventKind::Health(status);
                chat.event_bus().broadcast(&kind);
            }
        }
    });
}
