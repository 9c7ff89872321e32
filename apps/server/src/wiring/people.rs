//! Who may connect: credentials and users, from settings and storage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::{
    AccessConfig, AccessPorts, AccessService, AccessTokens, ConfiguredKey, ConfiguredSecret,
    UserPorts, UserService,
};
use majordomo_application::ports::{Clock, IdGenerator};
use majordomo_application::usage::Budgets;
use majordomo_domain::UserId;
use majordomo_infrastructure_system::{
    Argon2PasswordHasher, FileMasterTokenStore, FileSigningKeyStore,
};
use majordomo_settings::{SecuritySettings, Settings, UserUuid};

use super::storage::Storage;
use crate::startup::StartError;

/// The services of who is asking.
pub(super) async fn people(
    settings: &Settings,
    data_dir: &Path,
    storage: &Storage,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    app_tokens: Arc<AccessTokens>,
    budgets: Arc<Budgets>,
) -> Result<(Arc<AccessService>, Arc<UserService>), StartError> {
    // One for both: it bounds how many hashes are at work.
    let hasher = Arc::new(Argon2PasswordHasher::per_core());
    let ports = AccessPorts {
        keys: storage.api_keys.clone(),
        users: storage.users.clone(),
        audit: storage.audit.clone(),
        master_token: Arc::new(FileMasterTokenStore::new(data_dir)),
        signing_key: Arc::new(FileSigningKeyStore::new(data_dir)),
        hasher: hasher.clone(),
        clock,
        ids,
    };
    let config = AccessConfig {
        session_token_ttl: hours(settings.security.session_token_ttl_hours),
        login_token_ttl: hours(settings.security.login_token_ttl_hours),
        configured_keys: configured_keys(&settings.security),
    };
    let access = AccessService::open(ports, config).await?;
    let access = access.with_app_tokens(app_tokens).with_budgets(budgets);
    let access = Arc::new(access);
    let ports = UserPorts {
        users: storage.users.clone(),
        hasher,
    };
    let users = UserService::new(access.clone(), ports);
    Ok((access, Arc::new(users)))
}

fn hours(hours: u32) -> Duration {
    Duration::from_secs(u64::from(hours) * 3600)
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
