//! Headers every answer has: security headers and those of cross-origin requests.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};

use crate::base_path::BasePath;
use crate::origin::AllowedOrigins;

/// Set unless the handler has set its own.
const SECURITY: [(HeaderName, HeaderValue); 7] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::X_XSS_PROTECTION,
        HeaderValue::from_static("1; mode=block"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate"),
    ),
];

/// One year, as HSTS preload lists ask for at least.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What pages of other origins may read besides the simple headers.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, \
     X-Refreshed-Token, Content-Disposition",
);

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS");

/// How long a browser may remember a preflight's answer, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// Sets what is not set.
pub(crate) fn secure(headers: &mut HeaderMap, https: bool) {
    for (name, value) in &SECURITY {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
}

/// Keeps this server's cookies from others that are shown beside it under the same host.
pub(crate) fn keep_cookies_under(headers: &mut HeaderMap, base: &BasePath) {
    const EVERYWHERE: &str = "; Path=/";
    if base.as_str().is_empty() || !headers.contains_key(header::SET_COOKIE) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
    for cookie in cookies {
        let moved = cookie.to_str().ok().and_then(|text| {
            let (before, after) = text.split_once(EVERYWHERE)?;
            let whole = after.is_empty() || after.starts_with(';');
            whole.then(|| format!("{before}; Path={}{after}", base.cookie_path()))
        });
        let moved = moved.and_then(|text| HeaderValue::from_str(&text).ok());
        headers.append(header::SET_COOKIE, moved.unwrap_or(cookie));
    }
}

/// Lets a page of `origin` read the answer.
pub(crate) fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

/// Whether a browser asks what it may send, before it sends it.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight. It needs no credential: browsers send none.
pub(crate) fn answer_preflight(headers: &HeaderMap, origins: &AllowedOrigins) -> HttpResponse {
    let allowed = headers
        .get(header::ORIGIN)
        .is_some_and(|origin| origins.allows(origin));
    if !allowed {
        return HttpResponse::build(StatusCode::BAD_REQUEST).body("Disallowed CORS origin");
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE));
    if let Some(requested) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, requested.clone()));
    }
    response.body("OK")
}
