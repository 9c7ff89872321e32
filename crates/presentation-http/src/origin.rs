//! Which web pages may speak to this server.

use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

/// Origins of the desktop client's web view, on the platforms it runs on.
const DESKTOP: [&str; 3] = [
    "tauri://localhost",
    "https://tauri.localhost",
    "http://tauri.localhost",
];

/// Whether `host` names this machine, without a port: the three names that a browser resolves to it and nothing else.
fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

/// Splits `name:port`; the port may be missing. `None` when it is not a number.
fn without_port(authority: &str) -> Option<&str> {
    let end_of_name = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority.get(end_of_name..)?.find(':') {
        None => Some(authority),
        Some(colon) => {
            let (name, port) = authority.split_at_checked(end_of_name + colon)?;
            let digits = port.strip_prefix(':')?;
            (digits.parse::<u16>().is_ok() && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .then_some(name)
        }
    }
}

/// Whether an authority such as `localhost:8888` names this machine.
pub fn is_loopback_authority(authority: &str) -> bool {
    without_port(authority).is_some_and(is_loopback_name)
}

/// Whether `origin` is a page of this machine: `http://localhost:1420`, `tauri://localhost`.
pub fn is_local_origin(origin: &str) -> bool {
    DESKTOP.contains(&origin)
        || origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(is_loopback_authority)
}

/// The authority the client asked for: the one `Host` line, which an absolute request target must agree with.
pub fn requested_authority<'a>(headers: &'a HeaderMap, target: &'a Uri) -> Option<&'a str> {
    let mut hosts = headers.get_all(HOST);
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?,
        _ => return None,
    };
    match target.authority() {
        Some(authority) if authority.as_str() != host => None,
        _ => Some(host),
    }
}

/// Which other web pages may read answers and open sockets, besides those of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// The server's own, where it is known under a public address.
    own: Option<String>,
    others: Vec<String>,
}

impl AllowedOrigins {
    /// These, as browsers write them: `https://app.example.org`, without a trailing slash.
    pub fn new(origins: Vec<String>) -> Self {
        Self {
            own: None,
            others: origins
                .into_iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
        }
    }

    /// And the server's own public one: a proxy may not pass on the `Host` its pages know.
    #[must_use]
    pub fn with_own(self, origin: Option<String>) -> Self {
        Self {
            own: origin.map(|origin| origin.to_ascii_lowercase()),
            ..self
        }
    }

    /// The server's own public origin.
    pub fn own(&self) -> Option<&str> {
        self.own.as_deref()
    }

    fn lists(&self, origin: &str) -> bool {
        self.own
            .iter()
            .chain(&self.others)
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Whether a page of `origin` may read answers.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        origin
            .to_str()
            .is_ok_and(|origin| is_local_origin(origin) || self.lists(origin))
    }

    /// Whether a WebSocket may be opened: browsers always send the page's origin and do not ask for leave, so it must be
    /// the server's own, or allowed. Programs send none. An origin of this machine counts only when this machine was
    /// asked, so that a page on a visitor's machine cannot use the visitor's cookie for a public server.
    pub fn allows_socket(&self, headers: &HeaderMap, target: &Uri) -> bool {
        let mut origins = headers.get_all(ORIGIN);
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return true,
            (Some(origin), None) => origin,
            (Some(_), Some(_)) => return false,
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        if DESKTOP.contains(&origin) || self.lists(origin) {
            return true;
        }
        let Some(host) = requested_authority(headers, target) else {
            return false;
        };
        let same_host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        same_host || (is_loopback_authority(host) && is_local_origin(origin))
    }
}
