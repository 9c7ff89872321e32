//! The app that every server knows.

use majordomo_domain::{ClientId, OAuthClient, RedirectUri, Scopes};

/// What the desktop app calls itself.
pub const DESKTOP_CLIENT: &str = "pocketpaw-desktop";

/// Where the desktop app's answers may be sent: its private scheme, its development server, and any port of the user's
/// own machine.
const DESKTOP_REDIRECTS: [&str; 3] = [
    "tauri://oauth-callback",
    "http://localhost:1420/oauth-callback",
    "http://localhost/",
];

/// The desktop app.
pub fn desktop_client() -> Option<OAuthClient> {
    let uris: Result<Vec<_>, _> = DESKTOP_REDIRECTS
        .map(RedirectUri::parse)
        .into_iter()
        .collect();
    Some(OAuthClient {
        id: ClientId::parse(DESKTOP_CLIENT).ok()?,
        name: "PocketPaw Desktop".to_owned(),
        redirect_uris: uris.ok()?,
        scopes: Scopes::full(),
        registered_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_app_is_known_with_its_addresses() {
        let client = desktop_client().unwrap();
        for uri in [
            "tauri://oauth-callback",
            "http://localhost:1420/oauth-callback",
            "http://127.0.0.1:49152",
        ] {
            assert!(
                client.allows_redirect(&RedirectUri::parse(uri).unwrap()),
                "{uri}"
            );
        }
        let evil = RedirectUri::parse("https://evil.example/cb").unwrap();
        assert!(!client.allows_redirect(&evil));
    }
}
