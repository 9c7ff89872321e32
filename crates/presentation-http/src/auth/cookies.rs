//! The cookies that logins set.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};

/// The cookie that holds a session token or a key.
pub const SESSION_COOKIE: &str = "pocketpaw_session";
/// The cookie that holds a user's login token.
pub const LOGIN_COOKIE: &str = "token";

/// The value of a `Set-Cookie` header: a cookie that no script reads. Browsers send the login cookie to pages of this
/// server only when these ask for it; the session cookie also when a link of another site leads here.
pub fn set_cookie(name: &'static str, value: &str, lifetime: Duration, https: bool) -> String {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    build(name, value, CookieDuration::seconds(seconds), https)
}

/// The value of a `Set-Cookie` header that removes the cookie.
pub fn remove_cookie(name: &'static str, https: bool) -> String {
    build(name, "", CookieDuration::ZERO, https)
}

fn build(name: &'static str, value: &str, max_age: CookieDuration, https: bool) -> String {
    let same_site = if name == LOGIN_COOKIE {
        SameSite::Strict
    } else {
        SameSite::Lax
    };
    Cookie::build(name, value)
        .http_only(true)
        .same_site(same_site)
        .path("/")
        .max_age(max_age)
        .secure(https)
        .finish()
        .to_string()
}
