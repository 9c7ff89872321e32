//! What an answer gives a client to go on with: a fresh login token for one past half of its life, and a cookie for a
//! pairing token, which works only once.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use actix_web::{HttpMessage as _, HttpRequest};
use majordomo_application::Caller;
use majordomo_application::access::{IssuedToken, LoggedIn, Presented};

use super::cookies::{LOGIN_COOKIE, SESSION_COOKIE, set_cookie};
use super::credential::find;
use super::verdict::Shown;
use crate::error::ApiError;
use crate::kernel::Kernel;
use crate::request::RequestContext;

/// The header with a fresh login token, as Pixcode's clients know it.
pub(crate) const REFRESHED_TOKEN: HeaderName = HeaderName::from_static("x-refreshed-token");

/// What the answer to a request gives the client.
#[derive(Clone)]
pub(crate) struct Renewal {
    token: Option<String>,
    cookie: Option<String>,
}

impl Renewal {
    /// Writes the headers, where the handler has not set a cookie of its own.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let value = |text: String| HeaderValue::try_from(text).ok();
        if let Some(token) = self.token.and_then(value) {
            headers.insert(REFRESHED_TOKEN, token);
        }
        if let Some(cookie) = self.cookie.and_then(value)
            && !headers.contains_key(SET_COOKIE)
        {
            headers.insert(SET_COOKIE, cookie);
        }
    }
}

/// A fresh login token for the answer, where the caller needs one.
pub(super) fn due(
    kernel: &Kernel,
    context: &RequestContext,
    shown: &Shown,
    caller: &Caller,
) -> Option<Renewal> {
    let issued = kernel.access().renew_login(&shown.presented, caller)?;
    Some(fresh_login(issued, shown.by_cookie, context.https))
}

/// Gives the client a login token in place of the one it has shown, the way it has shown that: in the header
/// `X-Refreshed-Token`, and as a cookie where it was one.
pub fn replace_login(request: &HttpRequest, issued: IssuedToken) {
    let shown = find(request.headers(), request.query_string());
    let by_cookie = shown.is_some_and(|shown| shown.by_cookie);
    let https = request
        .extensions()
        .get::<RequestContext>()
        .is_some_and(|context| context.https);
    let renewal = fresh_login(issued, by_cookie, https);
    request.extensions_mut().insert(renewal);
}

fn fresh_login(issued: IssuedToken, by_cookie: bool, https: bool) -> Renewal {
    let cookie =
        by_cookie.then(|| set_cookie(LOGIN_COOKIE, &issued.secret, issued.lifetime, https));
    Renewal {
        token: Some(issued.secret),
        cookie,
    }
}

/// Exchanges a pairing token for what it stands for, and for its cookie. `None` for everything else.
pub(super) async fn redeem(
    kernel: &Kernel,
    context: &RequestContext,
    presented: &Presented,
) -> Result<Option<(Presented, Renewal)>, ApiError> {
    let Presented::Token(token) = presented else {
        return Ok(None);
    };
    if !kernel.access().is_pairing(token) {
        return Ok(None);
    }
    let (access, token, source) = (Arc::clone(kernel.access()), token.clone(), context.source());
    let redeemed = kernel
        .core()
        .run(async move { access.redeem(&token, source).await })
        .await?;
    let (name, issued) = match redeemed {
        LoggedIn::Session(issued) => (SESSION_COOKIE, issued),
        LoggedIn::User(issued) => (LOGIN_COOKIE, issued),
    };
    let cookie = set_cookie(name, &issued.secret, issued.lifetime, context.https);
    let renewal = Renewal {
        token: None,
        cookie: Some(cookie),
    };
    Ok(Some((Presented::Token(issued.secret), renewal)))
}
