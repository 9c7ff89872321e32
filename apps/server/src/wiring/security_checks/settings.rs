//! What the settings open to others.

use async_trait::async_trait;
use majordomo_application::ports::SecurityCheck;
use majordomo_domain::SecurityCheckResult;
use majordomo_settings::Settings;

use super::{critical, is_weak, passed, warning};

/// What the settings open to others.
pub(crate) struct SettingsCheck {
    pub(super) results: Vec<SecurityCheckResult>,
}

impl SettingsCheck {
    /// Looks at the settings the server runs with; they hold secrets, so they are not kept.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            results: vec![
                exposure(settings),
                bypass(settings),
                proxies(settings),
                https(settings),
                origins(settings),
                rate_limits(settings),
                configured_keys(settings),
                token_lifetime(settings),
            ],
        }
    }
}

#[async_trait]
impl SecurityCheck for SettingsCheck {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        self.results.clone()
    }
}

fn listens_beyond(settings: &Settings) -> bool {
    let listen = &settings.server.listen;
    listen
        .iter()
        .any(|address| !address.ip().to_canonical().is_loopback())
}

fn exposure(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Network exposure";
    let server = &settings.server;
    if !listens_beyond(settings) {
        return passed(CHECK, "Listens on this machine only");
    }
    if server.public_url.is_none() || server.trusted_proxies.is_empty() {
        return critical(
            CHECK,
            "Listens beyond this machine without a reverse proxy that adds TLS: credentials can be read on the way",
            "Put a reverse proxy in front, listen on 127.0.0.1, and set server.public_url and server.trusted_proxies",
        );
    }
    warning(
        CHECK,
        "Listens beyond this machine: who reaches the port passes by the reverse proxy",
        "Listen on 127.0.0.1, or let a firewall admit the proxy only",
    )
}

fn bypass(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Bypass permissions";
    let server = &settings.server;
    if !settings.security.localhost_auth_bypass {
        return passed(CHECK, "Every client needs a credential");
    }
    if listens_beyond(settings) || server.public_url.is_some() || !server.trusted_proxies.is_empty()
    {
        return warning(
            CHECK,
            "The localhost bypass is switched on, but without effect in this set-up",
            "Set security.localhost_auth_bypass = false, so that no later change opens the server",
        );
    }
    passed(
        CHECK,
        "Programs of this machine need no credential, and nothing else reaches the server",
    )
}

fn proxies(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Reverse proxy";
    let server = &settings.server;
    let everybody = server
        .trusted_proxies
        .iter()
        .any(|network| network.get().prefix_len() == 0);
    if everybody {
        return critical(
            CHECK,
            "Every address is a trusted proxy: clients can claim any address",
            "Name the proxy's own address in server.trusted_proxies",
        );
    }
    if server.public_url.is_some() && server.trusted_proxies.is_empty() {
        return warning(
            CHECK,
            "public_url is set but no trusted proxy: all clients share the proxy's address and its limits",
            "Set server.trusted_proxies to the proxy's address",
        );
    }
    passed(CHECK, "Only the proxies named are believed")
}

fn https(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "HTTPS";
    match &settings.server.public_url {
        Some(url) if !url.starts_with("https:") => critical(
            CHECK,
            "public_url is not an https address: credentials can be read on the way",
            "Let the reverse proxy add TLS, and set server.public_url to its https address",
        ),
        Some(_) => passed(CHECK, "The public address is an https address"),
        None => passed(CHECK, "There is no public address"),
    }
}

fn origins(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Web origins";
    let plain: Vec<&str> = settings
        .server
        .allowed_origins
        .iter()
        .map(String::as_str)
        .filter(|origin| {
            *origin == "*"
                || *origin == "null"
                || (origin.starts_with("http:")
                    && !origin.contains("//localhost")
                    && !origin.contains("//127.0.0.1"))
        })
        .collect();
    if plain.is_empty() {
        passed(
            CHECK,
            "No web page may call the server over an open connection",
        )
    } else {
        warning(
            CHECK,
            format!(
                "Pages that anybody on the way can change may call the server: {}",
                plain.join(", ")
            ),
            "Use https origins in server.allowed_origins",
        )
    }
}

fn rate_limits(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Rate limits";
    if settings.security.rate_limit_enabled {
        passed(CHECK, "Requests and logins are limited")
    } else {
        critical(
            CHECK,
            "Requests and logins are not limited: credentials can be tried without end",
            "Set security.rate_limit_enabled = true",
        )
    }
}

fn configured_keys(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Weak secrets";
    let weak = settings
        .security
        .api_key_users
        .iter()
        .filter(|(key, _)| is_weak(key.expose()))
        .count();
    if weak == 0 {
        passed(CHECK, "No configured API key can be guessed")
    } else {
        critical(
            CHECK,
            format!("{weak} API key(s) of security.api_key_users can be guessed"),
            "Use keys of 32 random characters or more: `openssl rand -hex 24`",
        )
    }
}

fn token_lifetime(settings: &Settings) -> SecurityCheckResult {
    const CHECK: &str = "Session lifetime";
    let hours = settings.security.session_token_ttl_hours;
    if hours <= 24 * 31 {
        passed(CHECK, format!("Session tokens end after {hours} hours"))
    } else {
        warning(
            CHECK,
            format!("Session tokens work for {hours} hours"),
            "Set security.session_token_ttl_hours to a month or less",
        )
    }
}
