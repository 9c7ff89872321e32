//! OAuth over any storage.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::AccessTokens;
use majordomo_application::oauth::{Connections, OAuthConfig, OAuthPorts, OAuthService};
use majordomo_application::ports::{Clock, IdGenerator, OAuthRepository};

/// Tokens of an hour, grants of thirty days, at most three apps that registered themselves.
pub fn oauth_config() -> OAuthConfig {
    OAuthConfig {
        issuer: None,
        clients: Vec::new(),
        access_token_ttl: Duration::from_hours(1),
        refresh_token_ttl: Duration::from_hours(720),
        registered_clients: Some(3),
        connections: Connections::default(),
    }
}

/// The service, and where its access tokens are looked up: for
/// [`AccessService::with_app_tokens`](majordomo_application::access::AccessService::with_app_tokens).
pub fn oauth(
    storage: Arc<dyn OAuthRepository>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    config: OAuthConfig,
) -> (Arc<OAuthService>, Arc<AccessTokens>) {
    let access_tokens = Arc::new(AccessTokens::new(storage.clone()));
    let ports = OAuthPorts {
        oauth: storage,
        access_tokens: access_tokens.clone(),
        clock,
        ids,
    };
    (Arc::new(OAuthService::new(ports, config)), access_tokens)
}
