//! Connecting this server to services of others: where a user is sent to agree.

use majordomo_domain::Scope;

use super::error::OAuthError;
use super::service::OAuthService;
use crate::caller::Caller;

/// Under which names this server is known at other services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connections {
    /// The client id at Google.
    pub google_client_id: Option<String>,
    /// The client id at Spotify.
    pub spotify_client_id: Option<String>,
}

/// Where a user is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRequest {
    /// The other service's authorization endpoint.
    pub endpoint: &'static str,
    /// What is asked there, besides where the answer goes.
    pub parameters: Vec<(&'static str, String)>,
}

/// What is asked of Google for each of its services.
const GOOGLE: [(&str, &str); 4] = [
    (
        "google_gmail",
        "https://www.googleapis.com/auth/gmail.modify",
    ),
    (
        "google_calendar",
        "https://www.googleapis.com/auth/calendar",
    ),
    ("google_drive", "https://www.googleapis.com/auth/drive"),
    ("google_docs", "https://www.googleapis.com/auth/documents"),
];

/// What is asked of Spotify.
const SPOTIFY: &str = "user-read-playback-state user-modify-playback-state user-read-currently-playing \
                       playlist-read-private";

impl OAuthService {
    /// Where the caller is sent to connect `service`.
    pub fn connect(&self, caller: &Caller, service: &str) -> Result<ConnectionRequest, OAuthError> {
        caller.require_change(Scope::SettingsWrite)?;
        let connections = self.connections();
        let google = GOOGLE.iter().find(|(name, _)| *name == service);
        let (endpoint, provider, client, scope) = match google {
            Some((_, scope)) => (
                "https://accounts.google.com/o/oauth2/v2/auth",
                "google",
                connections.google_client_id,
                *scope,
            ),
            None if service == "spotify" => (
                "https://accounts.spotify.com/authorize",
                "spotify",
                connections.spotify_client_id,
                SPOTIFY,
            ),
            None => {
                let service = service.chars().take(100).collect();
                return Err(OAuthError::UnknownService(service));
            }
        };
        let client = client.ok_or(OAuthError::NotConnectable(match google {
            Some(_) => "Google OAuth",
            None => "Spotify",
        }))?;
        let mut parameters = vec![
            ("client_id", client),
            ("response_type", "code".to_owned()),
            ("scope", scope.to_owned()),
            ("state", format!("{provider}:{service}")),
        ];
        if google.is_some() {
            parameters.push(("access_type", "offline".to_owned()));
            parameters.push(("prompt", "consent".to_owned()));
        }
        Ok(ConnectionRequest {
            endpoint,
            parameters,
        })
    }
}
