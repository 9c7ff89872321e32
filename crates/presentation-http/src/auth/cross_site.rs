//! Which requests a foreign web page may have caused. Browsers send cookies along with requests that pages of other
//! sites make, so a request that changes something and shows nothing but a cookie must come from a page of this server.
//!
//! The rule is the one of OWASP's "Fetch Metadata" and of Go's `http.CrossOriginProtection`: believe `Sec-Fetch-Site`
//! where the browser sends it, else compare `Origin` with `Host`; a request with neither comes from no browser.

use actix_web::http::Method;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::origin::AllowedOrigins;

/// Where a request comes from, in the browser's words.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request that shows only a cookie may do what it asks for.
pub(super) fn may_use_cookie(
    method: &Method,
    headers: &HeaderMap,
    target: &Uri,
    allowed: &AllowedOrigins,
) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => true,
        // The server's own origin, one that was allowed, or no browser.
        Some(_) | None => allowed.allows_socket(headers, target) && is_plausible(headers),
    }
}

/// Whether the two headers agree: a browser that says `cross-site` also says from where.
fn is_plausible(headers: &HeaderMap) -> bool {
    !headers.contains_key(FETCH_SITE) || headers.contains_key(actix_web::http::header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HOST, HeaderValue, ORIGIN};

    use super::*;

    fn may(method: &Method, pairs: &[(HeaderName, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("agent.example.org"));
        for (name, value) in pairs {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        let allowed = AllowedOrigins::new(vec!["https://app.example.org".to_owned()]);
        may_use_cookie(method, &headers, &Uri::from_static("/api/x"), &allowed)
    }

    #[test]
    fn reading_is_always_allowed() {
        assert!(may(&Method::GET, &[(FETCH_SITE, "cross-site")]));
    }

    #[test]
    fn changes_come_from_the_servers_own_pages_or_allowed_ones() {
        for allowed in [
            &[(FETCH_SITE, "same-origin")][..],
            &[(FETCH_SITE, "none")],
            &[(ORIGIN, "https://agent.example.org")],
            &[
                (FETCH_SITE, "same-site"),
                (ORIGIN, "https://app.example.org"),
            ],
            &[],
        ] {
            assert!(may(&Method::POST, allowed), "{allowed:?}");
        }
        for refused in [
            &[(FETCH_SITE, "cross-site")][..],
            &[(FETCH_SITE, "same-site")],
            &[(FETCH_SITE, "cross-site"), (ORIGIN, "https://evil.example")],
            &[(ORIGIN, "https://evil.example")],
            &[(ORIGIN, "null")],
            &[(ORIGIN, "https://agent.example.org.evil.example")],
            &[(ORIGIN, "http://localhost:3000")],
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert!(!may(&method, refused), "{method} {refused:?}");
            }
        }
    }
}
