//! Who may connect: credentials and users, from settings and storage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::{
    AccessConfig, AccessPorts, AccessService, AccessTokens, ConfiguredKey, ConfiguredRights,
    ConfiguredSecret, UserPorts, UserService,
};
use majordomo_application::ports::{Clock, IdGenerator};
use majordomo_application::usage::Budgets;
use majordomo_domain::{AddressRange, KeyLimits, Scope, Scopes, Timestamp, UserId};
use majordomo_infrastructure_system::{
    Argon2PasswordHasher, FileMasterTokenStore, FileSigningKeyStore,
};
use majordomo_settings::{ApiKeySettings, SecuritySettings, Settings, UserUuid};
use thiserror::Error;

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
        configured_keys: configured_keys(&settings.security)?,
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

/// A key of the configuration file that cannot be one.
#[derive(Debug, Error)]
#[error("security.api_keys[{index}].{key}: {problem}")]
pub struct KeyConfigError {
    index: usize,
    key: &'static str,
    problem: String,
}

fn configured_keys(security: &SecuritySettings) -> Result<Vec<ConfiguredKey>, KeyConfigError> {
    // Every UUID in its usual form is an identifier.
    let user = |uuid: &UserUuid| UserId::parse(uuid.as_str()).ok();
    let plain = security.api_key_users.iter().filter_map(|(key, uuid)| {
        Some(Ok(ConfiguredKey {
            secret: ConfiguredSecret::Plain(key.expose().to_owned()),
            rights: ConfiguredRights::of(user(uuid)?),
        }))
    });
    let hashed = security.api_keys.iter().enumerate();
    let hashed = hashed.filter_map(|(index, key)| {
        let rights = ConfiguredRights::of(user(&key.user_id)?);
        Some(limited(index, key, rights).map(|rights| ConfiguredKey {
            secret: ConfiguredSecret::Hash(key.hash.expose().to_owned()),
            rights,
        }))
    });
    plain.chain(hashed).collect()
}

/// `rights` within what the settings say of the key.
fn limited(
    index: usize,
    settings: &ApiKeySettings,
    rights: ConfiguredRights,
) -> Result<ConfiguredRights, KeyConfigError> {
    let wrong = |key, problem: String| KeyConfigError {
        index,
        key,
        problem,
    };
    let scope = |name: &String| match Scope::parse(name) {
        Some(Scope::Admin) => Err(wrong(
            "scopes",
            "a configured key never administers".to_owned(),
        )),
        Some(scope) => Ok(scope),
        None => Err(wrong("scopes", format!("there is no scope `{name}`"))),
    };
    let scopes: Scopes = settings
        .scopes
        .iter()
        .map(scope)
        .collect::<Result<_, _>>()?;
    let expires_at = settings.expires_at.as_deref().map(|text| {
        let time = Timestamp::parse_rfc3339(text);
        time.ok_or_else(|| {
            wrong(
                "expires_at",
                "expected a time such as 2027-01-31T00:00:00Z".to_owned(),
            )
        })
    });
    let range = |text: &String| {
        let range = text.parse::<AddressRange>();
        range.map_err(|error| wrong("allowed_addresses", format!("`{text}` {error}")))
    };
    let addresses: Result<_, _> = settings.allowed_addresses.iter().map(range).collect();
    if settings
        .allowed_models
        .iter()
        .any(|name| name.trim().is_empty())
    {
        return Err(wrong(
            "allowed_models",
            "a name must not be empty".to_owned(),
        ));
    }
    Ok(ConfiguredRights {
        scopes: if settings.scopes.is_empty() {
            rights.scopes
        } else {
            scopes
        },
        expires_at: expires_at.transpose()?,
        limits: Arc::new(KeyLimits {
            addresses: addresses?,
            models: settings.allowed_models.clone(),
            requests_per_minute: settings.requests_per_minute,
        }),
        ..rights
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &ApiKeySettings) -> Result<ConfiguredRights, KeyConfigError> {
        let user = UserId::parse("u1").unwrap();
        limited(3, settings, ConfiguredRights::of(user))
    }

    #[test]
    fn the_limits_of_a_configured_key_are_read() {
        let settings = ApiKeySettings {
            scopes: vec!["chat".to_owned()],
            expires_at: Some("2027-01-31T00:00:00Z".to_owned()),
            allowed_addresses: vec!["192.0.2.0/24".to_owned()],
            ..ApiKeySettings::default()
        };
        let rights = read(&settings).unwrap();
        assert_eq!(rights.scopes, Scopes::from_iter([Scope::Chat]));
        assert!(rights.expires_at.is_some() && !rights.limits.allows_address(None));
        let free = read(&ApiKeySettings::default()).unwrap();
        assert!(free.scopes.allows(Scope::Automation) && free.expires_at.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let list = |text: &str| vec![text.to_owned()];
        let key = ApiKeySettings::default;
        for (settings, said) in [
            (
                ApiKeySettings {
                    scopes: list("everything"),
                    ..key()
                },
                "security.api_keys[3].scopes: there is no scope `everything`",
            ),
            (
                ApiKeySettings {
                    scopes: list("admin"),
                    ..key()
                },
                "security.api_keys[3].scopes: a configured key never administers",
            ),
            (
                ApiKeySettings {
                    expires_at: Some("soon".to_owned()),
                    ..key()
                },
                "security.api_keys[3].expires_at: ",
            ),
            (
                ApiKeySettings {
                    allowed_addresses: list("nowhere"),
                    ..key()
                },
                "security.api_keys[3].allowed_addresses: `nowhere` ",
            ),
            (
                ApiKeySettings {
                    allowed_models: list(" "),
                    ..key()
                },
                "security.api_keys[3].allowed_models: ",
            ),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
