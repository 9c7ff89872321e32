//! Where the answer to an authorization request is sent.

use thiserror::Error;

/// Longest accepted redirect URI, in bytes.
pub const MAX_REDIRECT_URI_LEN: usize = 2000;

/// Why a text is no redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidRedirectUri {
    /// Empty, or longer than [`MAX_REDIRECT_URI_LEN`].
    #[error("must have 1 to {MAX_REDIRECT_URI_LEN} characters")]
    Length,
    /// A character that has no place in a URI, or a fragment.
    #[error("must be an absolute URI without a fragment")]
    Character,
    /// No scheme, or one that runs or shows what it is given.
    #[error("has a scheme that is not accepted")]
    Scheme,
    /// A web address whose host cannot be told for sure, or that holds a name or password.
    #[error("has a host that is not accepted")]
    Host,
}

/// Schemes that make a browser run, show or open what follows instead of passing it to an app.
const REFUSED_SCHEMES: [&str; 12] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "vbscript",
    "ws",
    "wss",
];

/// An absolute URI that answers may be sent to: a web address, or the private scheme of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri(String);

/// A web address in its parts.
struct WebAddress<'a> {
    secure: bool,
    host: &'a str,
    /// Path and query; an empty path is `/`.
    rest: &'a str,
}

impl RedirectUri {
    /// Reads a redirect URI. Nothing is normalised: what is compared is what was written.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidRedirectUri> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_REDIRECT_URI_LEN {
            return Err(InvalidRedirectUri::Length);
        }
        // The characters of RFC 3986 section 2, without `#`; not among them: controls, blanks, quotes, `\`, `<`, `>`.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
        if !text.bytes().all(allowed) {
            return Err(InvalidRedirectUri::Character);
        }
        let (scheme, _) = text.split_once(':').ok_or(InvalidRedirectUri::Scheme)?;
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')
            });
        if !well_formed || REFUSED_SCHEMES.contains(&scheme) {
            return Err(InvalidRedirectUri::Scheme);
        }
        let uri = Self(text);
        if uri.is_web() && uri.web_address().is_none() {
            return Err(InvalidRedirectUri::Host);
        }
        Ok(uri)
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, in small letters.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// Whether it is a web address, not an app's private scheme.
    pub fn is_web(&self) -> bool {
        matches!(self.scheme(), "http" | "https")
    }

    /// Whether it leads to a program on the user's own machine.
    pub fn is_loopback(&self) -> bool {
        self.web_address()
            .is_some_and(|web| !web.secure && is_loopback_host(web.host))
    }

    /// The host of a web address.
    pub fn host(&self) -> Option<&str> {
        self.web_address().map(|web| web.host)
    }

    /// Scheme, host and port of a web address, as a browser writes an origin.
    pub fn origin(&self) -> Option<&str> {
        self.web_address()?;
        let authority_at = self.scheme().len() + "://".len();
        let rest = self.0.get(authority_at..)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        self.0.get(..authority_at + end)
    }

    /// Whether a client that registered this URI may be answered at `requested`: only the very same URI, but for a
    /// program on the user's machine, which cannot know its port beforehand (RFC 8252 section 7.3): there any port and
    /// any of the machine's own names will do.
    pub fn matches(&self, requested: &Self) -> bool {
        if self == requested {
            return true;
        }
        match (self.web_address(), requested.web_address()) {
            (Some(registered), Some(requested)) => {
                !registered.secure
                    && !requested.secure
                    && is_loopback_host(registered.host)
                    && is_loopback_host(requested.host)
                    && path_of(registered.rest) == path_of(requested.rest)
            }
            _ => false,
        }
    }

    /// The URI with parameters added to its query. `encoded` must be form-encoded.
    pub fn with_query(&self, encoded: &str) -> String {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{separator}{encoded}", self.0)
    }

    fn web_address(&self) -> Option<WebAddress<'_>> {
        let (secure, rest) = if let Some(rest) = self.0.strip_prefix("http://") {
            (false, rest)
        } else {
            (true, self.0.strip_prefix("https://")?)
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let host = host_of(authority)?;
        Some(WebAddress { secure, host, rest })
    }
}

/// The path and query, with an empty path written as browsers do.
fn path_of(rest: &str) -> &str {
    if rest.is_empty() { "/" } else { rest }
}

/// The host of `host` or `host:port`; `None` for anything else, names and passwords included.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end)?;
    let port_ok = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        });
    let host_ok = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    (port_ok && host_ok).then_some(host)
}

fn is_loopback_host(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[test]
    fn what_apps_use_is_accepted() {
        for text in [
            "tauri://oauth-callback",
            "http://localhost/",
            "http://localhost",
            "http://127.0.0.1:51004/callback?x=1",
            "http://[::1]:80/",
            "https://app.example.org/cb",
            "com.example.app:/oauth2redirect",
        ] {
            assert_eq!(uri(text).as_str(), text);
        }
    }

    #[test]
    fn what_could_deceive_is_refused() {
        for text in [
            "",
            "/relative",
            "//evil.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "HTTP://localhost/",
            "http://localhost:1@evil.example/",
            "http://localhost\\@evil.example/",
            "http://evil.example\\.localhost/",
            "http:///path",
            "http:localhost/",
            "http://localhost:99999/",
            "http://localhost:+80/",
            "http://[::1/",
            "http://[localhost]/",
            "http://localhost/#fragment",
            "http://localhost/ x",
            "http://localhost/\r\nSet-Cookie: a=b",
            "http://local\u{130}host/",
            "http://a b/",
            "tauri://\"><script>",
        ] {
            assert!(RedirectUri::parse(text).is_err(), "{text}");
        }
        assert!(RedirectUri::parse("x".repeat(3000)).is_err());
    }

    #[test]
    fn only_the_very_same_uri_matches() {
        let registered = uri("https://app.example.org/cb");
        assert!(registered.matches(&uri("https://app.example.org/cb")));
        for other in [
            "https://app.example.org/cb/",
            "https://app.example.org/cb?x=1",
            "https://app.example.org:8443/cb",
            "https://app.example.org.evil.example/cb",
            "http://app.example.org/cb",
            "https://app.example.org/CB",
            "https://app.example.org/cb/../x",
        ] {
            assert!(!registered.matches(&uri(other)), "{other}");
        }
        let private = uri("tauri://oauth-callback");
        assert!(!private.matches(&uri("tauri://oauth-callback/")));
    }

    #[test]
    fn a_program_on_the_users_machine_has_any_port() {
        let registered = uri("http://localhost/");
        for requested in [
            "http://localhost",
            "http://localhost:54321/",
            "http://127.0.0.1:1",
            "http://[::1]:54321/",
        ] {
            assert!(registered.matches(&uri(requested)), "{requested}");
        }
        for requested in [
            "https://localhost:54321/",
            "http://localhost:54321/other",
            "http://localhost:54321/?x=1",
            "http://localhost.evil.example/",
            "http://127.0.0.2/",
            "http://evil.example/",
        ] {
            assert!(!registered.matches(&uri(requested)), "{requested}");
        }
        assert!(!uri("http://app.example.org/").matches(&uri("http://app.example.org:81/")));
    }

    #[test]
    fn parts_are_told() {
        let web = uri("http://localhost:54321/cb?x=1");
        assert_eq!(web.origin(), Some("http://localhost:54321"));
        assert_eq!(web.host(), Some("localhost"));
        assert!(web.is_loopback());
        assert_eq!(
            web.with_query("code=1"),
            "http://localhost:54321/cb?x=1&code=1"
        );
        let app = uri("tauri://oauth-callback");
        assert_eq!((app.origin(), app.scheme()), (None, "tauri"));
        assert_eq!(app.with_query("code=1"), "tauri://oauth-callback?code=1");
    }
}
