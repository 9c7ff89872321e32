//! Apps that act for users, from settings and storage.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::access::AccessTokens;
use majordomo_application::oauth::{Connections, OAuthConfig, OAuthPorts, OAuthService};
use majordomo_application::ports::{Clock, IdGenerator};
use majordomo_domain::{ClientId, OAuthClient, RedirectUri, Scope};
use majordomo_settings::{OAuthClientSettings, Settings};
use thiserror::Error;

use super::storage::Storage;

/// An app's settings are wrong.
#[derive(Debug, Error)]
#[error("oauth.clients[{index}].{key}: {problem}")]
pub struct OAuthConfigError {
    index: usize,
    key: &'static str,
    problem: String,
}

/// The service of grants and tokens.
pub(super) fn oauth(
    settings: &Settings,
    storage: &Storage,
    access_tokens: Arc<AccessTokens>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
) -> Result<Arc<OAuthService>, OAuthConfigError> {
    let oauth = &settings.oauth;
    let url = settings.server.public_url.as_deref();
    let clients = oauth.clients.iter().enumerate();
    let clients: Result<Vec<_>, _> = clients.map(|(index, one)| client(index, one)).collect();
    let config = OAuthConfig {
        issuer: url.map(|url| url.trim_end_matches('/').to_owned()),
        clients: clients?,
        access_token_ttl: Duration::from_secs(oauth.access_token_ttl_secs),
        refresh_token_ttl: Duration::from_hours(24 * u64::from(oauth.refresh_token_ttl_days)),
        registered_clients: oauth
            .dynamic_registration
            .then_some(oauth.max_registered_clients),
        connections: Connections {
            google_client_id: oauth.google_client_id.clone(),
            spotify_client_id: oauth.spotify_client_id.clone(),
        },
    };
    let ports = OAuthPorts {
        oauth: storage.oauth.clone(),
        access_tokens,
        clock,
        ids,
    };
    Ok(Arc::new(OAuthService::new(ports, config)))
}

fn client(index: usize, settings: &OAuthClientSettings) -> Result<OAuthClient, OAuthConfigError> {
    let wrong = |key, problem: String| OAuthConfigError {
        index,
        key,
        problem,
    };
    let scope = |name: &String| {
        Scope::parse(name).ok_or_else(|| wrong("scopes", format!("there is no scope `{name}`")))
    };
    let uri = |uri: &String| {
        RedirectUri::parse(uri.as_str())
            .map_err(|error| wrong("redirect_uris", format!("{uri} {error}")))
    };
    let redirect_uris: Result<Vec<_>, _> = settings.redirect_uris.iter().map(uri).collect();
    Ok(OAuthClient {
        id: ClientId::parse(settings.id.as_str())
            .map_err(|error| wrong("id", error.to_string()))?,
        name: settings.name.clone(),
        redirect_uris: redirect_uris?,
        scopes: if settings.scopes.is_empty() {
            let all = Scope::ALL.into_iter();
            all.filter(|scope| *scope != Scope::Admin).collect()
        } else {
            settings
                .scopes
                .iter()
                .map(scope)
                .collect::<Result<_, _>>()?
        },
        registered_at: None,
    })
}
