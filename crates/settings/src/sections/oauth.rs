//! `[oauth]`: apps that act for users.

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

section! {
    /// Apps that act for users (OAuth 2.1).
    pub struct OAuthSettings {
        /// Seconds an app's access token works.
        access_token_ttl_secs: u64 = 3600;
        /// Days an app's access lasts that it does not use: the life of a refresh token.
        refresh_token_ttl_days: u32 = 30;
        /// Whether apps may register themselves (RFC 7591). Anybody who reaches the server can then put a name on a
        /// consent page; nobody gets access without a user's consent.
        dynamic_registration: bool = false;
        /// Registered apps kept at most. Those that no user let in go after a day.
        max_registered_clients: u32 = 100;
        /// Client id at Google, for connecting Google services. Not set: they cannot be connected.
        google_client_id: Option<String> = None, example "\"123.apps.googleusercontent.com\"";
        /// Client id at Spotify, for connecting Spotify. Not set: it cannot be connected.
        spotify_client_id: Option<String> = None, example "\"0123456789abcdef\"";
        /// Apps known beforehand, besides the desktop app `pocketpaw-desktop`.
        clients: Vec<OAuthClientSettings> = Vec::new();
    }
}

section! {
    /// An app that is known beforehand. It has no secret: it proves itself by PKCE.
    pub struct OAuthClientSettings {
        /// What it calls itself: its `client_id`.
        id: String = String::new() => required, example "\"my-app\"";
        /// What users read on the consent page.
        name: String = String::new() => required, example "\"My app\"";
        /// Where its answers may be sent, each compared as it is written; `http://localhost/PATH` stands for any port.
        redirect_uris: Vec<String> = Vec::new() => required, example "[\"https://app.example.org/callback\"]";
        /// What it may ask for at most. Empty: everything but `admin`.
        scopes: Vec<String> = Vec::new();
    }
}

impl OAuthSettings {
    /// Checks what the types cannot. Redirect addresses and scopes are read, and refused, where the server starts.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let ttl = self.access_token_ttl_secs;
        check_range("oauth.access_token_ttl_secs", ttl, 60..=86_400, "")?;
        let days = self.refresh_token_ttl_days;
        check_range("oauth.refresh_token_ttl_days", days, 1..=365, "")?;
        let most = self.max_registered_clients;
        check_range("oauth.max_registered_clients", most, 1..=10_000, "")?;
        for (index, client) in self.clients.iter().enumerate() {
            let key = |field: &str| format!("oauth.clients[{index}].{field}");
            let earlier = self.clients.iter().take(index);
            if client.id == "pocketpaw-desktop" || earlier.clone().any(|one| one.id == client.id) {
                return Err(SettingsError::invalid(
                    key("id"),
                    format!("`{}` is taken", client.id),
                ));
            }
            if client.name.trim().is_empty() {
                return Err(SettingsError::invalid(key("name"), "must not be empty"));
            }
            let uris = client.redirect_uris.len();
            check_range(&key("redirect_uris"), uris, 1..=20, " addresses")?;
        }
        Ok(())
    }
}
