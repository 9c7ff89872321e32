//! Where a request may carry its credential.

use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

use super::cookies::{LOGIN_COOKIE, SESSION_COOKIE};

/// What credentials of a WebSocket subprotocol begin with; other items name protocols. A master or session token is not
/// taken from there: the header may be logged by proxies.
const SUBPROTOCOL_PREFIXES: [&str; 5] = ["pp_", "ppat_", "px_", "ck_", "sk-"];

/// A credential, and how it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The secret.
    pub token: String,
    /// Whether a cookie brought it: then the browser sent it, whoever asked the browser.
    pub by_cookie: bool,
}

/// The first credential of: `?token=` or `?apiKey=`, `Authorization`, `X-API-Key`, the session cookie, the login
/// cookie, the WebSocket subprotocols. An empty one counts as none. A header that cannot be read counts as a wrong
/// credential, not as none.
pub fn find(headers: &HeaderMap, query: &str) -> Option<Credential> {
    let plain = |token: String| Credential {
        token,
        by_cookie: false,
    };
    let by_cookie = |token: &str| Credential {
        token: token.to_owned(),
        by_cookie: true,
    };
    query_token(query)
        .or_else(|| authorization(headers).map(str::to_owned))
        .or_else(|| header_text(headers, "x-api-key").map(str::to_owned))
        .map(plain)
        .or_else(|| cookie(headers, SESSION_COOKIE).map(by_cookie))
        .or_else(|| cookie(headers, LOGIN_COOKIE).map(by_cookie))
        .or_else(|| subprotocol(headers).map(str::to_owned).map(plain))
}

/// The secret of what [`find`] finds.
pub fn find_credential(headers: &HeaderMap, query: &str) -> Option<String> {
    find(headers, query).map(|credential| credential.token)
}

/// The token of `Authorization: Bearer`, where it must stand there and nowhere else.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// No credential looks like this, so it is refused wherever it is checked.
const UNREADABLE: &str = "\u{fffd}";

fn query_token(query: &str) -> Option<String> {
    if query.is_empty() {
        return None;
    }
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| matches!(name.as_ref(), "token" | "apiKey") && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// The bearer token; any other scheme is a credential too, and a wrong one.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    let value = header_text(headers, AUTHORIZATION.as_str())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim();
            (!token.is_empty()).then_some(token)
        }
        None if value.eq_ignore_ascii_case("bearer") => None,
        _ => Some(UNREADABLE),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?;
    let text = value.to_str().unwrap_or(UNREADABLE).trim();
    (!text.is_empty()).then_some(text)
}

fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value.trim_matches('"'))
}

fn subprotocol(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .find(|item| {
            SUBPROTOCOL_PREFIXES
                .iter()
                .any(|prefix| item.starts_with(prefix))
        })
}
