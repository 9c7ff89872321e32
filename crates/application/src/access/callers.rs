//! Who a credential makes of whoever shows it: nobody, where something has ended it.

use std::sync::Arc;

use majordomo_domain::{ApiKey, CredentialKind, OAuthToken, Scopes, Timestamp, UserId, UserRole};

use super::configured_keys::ConfiguredRights;
use super::directory::Standing;
use crate::caller::Caller;

/// What a key of the configuration file may do: what the user may, within its own limits, but never administer. A user
/// whom only the configuration names is a program.
pub(super) fn configured_caller(
    rights: &ConfiguredRights,
    standing: Option<Standing>,
    now: Timestamp,
) -> Option<Caller> {
    if rights.expires_at.is_some_and(|end| end <= now) {
        return None;
    }
    let role = match standing {
        None => UserRole::Service,
        Some(standing) if standing.enabled => standing.role,
        Some(_) => return None,
    };
    let scopes: Scopes = rights.scopes.intersect(UserRole::Service.scopes());
    let credential = CredentialKind::ConfiguredKey;
    let caller = Caller::new(rights.user.clone(), role, scopes, credential);
    Some(caller.within(Arc::clone(&rights.limits)))
}

/// What an API key may do: nothing when its owner may nothing.
pub(super) fn key_caller(key: ApiKey, standing: Option<Standing>) -> Option<Caller> {
    let standing = standing.filter(|standing| standing.enabled)?;
    let credential = CredentialKind::ApiKey(key.id);
    let caller = Caller::new(key.owner, standing.role, key.scopes, credential);
    Some(caller.within(key.limits))
}

/// What an app may do with its access token: nothing when the user who granted it may nothing.
pub(super) fn app_caller(token: OAuthToken, standing: Option<Standing>) -> Option<Caller> {
    let standing = standing.filter(|standing| standing.enabled)?;
    let credential = CredentialKind::OAuthToken(token.grant.id);
    let owner = token.grant.owner;
    Some(Caller::new(owner, standing.role, token.scopes, credential))
}

/// What a user who signed in may do, unless something has ended the token since.
pub(super) fn login_caller(user: UserId, standing: Standing, version: u32) -> Option<Caller> {
    (standing.enabled && standing.token_version == version).then(|| {
        let role = standing.role;
        Caller::new(user, role, role.scopes(), CredentialKind::Login)
    })
}

#[cfg(test)]
mod tests {
    use majordomo_domain::{KeyLimits, ModelRef, Scope};

    use super::*;

    fn rights() -> ConfiguredRights {
        ConfiguredRights::of(UserId::parse("u1").unwrap())
    }

    #[test]
    fn a_configured_key_is_held_to_its_scopes_limits_and_end() {
        let now = Timestamp::from_secs(100);
        let limited = ConfiguredRights {
            scopes: [Scope::Chat].into_iter().collect(),
            expires_at: Some(Timestamp::from_secs(101)),
            limits: Arc::new(KeyLimits {
                models: vec!["mock/*".to_owned()],
                ..KeyLimits::default()
            }),
            ..rights()
        };
        let caller = configured_caller(&limited, None, now).unwrap();
        assert!(caller.require(Scope::Chat).is_ok());
        assert!(caller.require(Scope::Sessions).is_err());
        assert!(!caller.may_ask(&ModelRef::new("paid", "large")));
        let later = Timestamp::from_secs(101);
        assert!(configured_caller(&limited, None, later).is_none());
        let admin = ConfiguredRights {
            scopes: [Scope::Admin].into_iter().collect(),
            ..rights()
        };
        for free in [rights(), admin] {
            let free = configured_caller(&free, None, later).unwrap();
            assert!(free.require(Scope::Sessions).is_ok());
            assert!(free.require(Scope::Admin).is_err(), "it never administers");
        }
    }

    #[test]
    fn a_configured_key_ends_with_its_user() {
        let standing = |enabled| Standing {
            role: UserRole::Viewer,
            enabled,
            token_version: 0,
        };
        let now = Timestamp::from_secs(0);
        assert!(configured_caller(&rights(), Some(standing(false)), now).is_none());
        let viewer = configured_caller(&rights(), Some(standing(true)), now).unwrap();
        assert!(viewer.require_change(Scope::Chat).is_err());
    }
}
