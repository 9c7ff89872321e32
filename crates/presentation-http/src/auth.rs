//! Who is asking: the extractor that every protected handler takes.

mod bypass;
mod cookies;
mod credential;
mod cross_site;
mod renewal;
mod verdict;

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use majordomo_application::Caller;
use majordomo_application::access::{AccessError, Presented};
use majordomo_domain::{ApiKeyId, CredentialKind, RequestSource};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;

pub use bypass::{
    BypassRefusal, LocalBypass, LocalBypassConfig, forwarding_header, is_forwarding_header,
};
pub use cookies::{LOGIN_COOKIE, SESSION_COOKIE, remove_cookie, set_cookie};
pub use credential::{Credential, bearer_token, find, find_credential};
pub(crate) use renewal::Renewal;
pub use renewal::replace_login;
pub(crate) use verdict::Verdict;

use crate::error::{ApiError, ErrorClass};
use crate::kernel::Kernel;
use crate::openapi::PROTECTED;
use crate::request::RequestContext;
use verdict::{Admitted, Shown};

/// The caller of a protected operation; without a right credential the handler is not called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated(pub Caller);

/// What `request` shows of who asks: a credential, or, where there is none at all, the leave of the localhost bypass.
pub fn presented(kernel: &Kernel, request: &HttpRequest) -> Presented {
    let credential = find(request.headers(), request.query_string());
    presented_with(kernel, request, credential)
}

fn presented_with(
    kernel: &Kernel,
    request: &HttpRequest,
    credential: Option<Credential>,
) -> Presented {
    if let Some(credential) = credential {
        return Presented::Token(credential.token);
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    match kernel
        .bypass()
        .check(peer, request.headers(), request.uri())
    {
        Ok(()) => Presented::Localhost,
        Err(_) => Presented::Nothing,
    }
}

/// Where `request` comes from, as the kernel has found.
pub fn source(request: &HttpRequest) -> RequestSource {
    request
        .extensions()
        .get::<RequestContext>()
        .map(RequestContext::source)
        .unwrap_or_default()
}

/// Resolves what `request` shows; what [`Authenticated`] does, for handlers that answer a refusal in their own way.
pub async fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    match judge(request)? {
        Judged::Admitted(admitted) => Ok(admitted.into_caller(request)),
        Judged::LookingUp(verdict) => verdict.caller_of(request.clone()).await,
    }
}

/// Who sets the server up: whoever shows a right credential, or, showing none, asks from this machine.
pub async fn authenticate_setup(kernel: &Kernel, request: &HttpRequest) -> Option<Caller> {
    if find(request.headers(), request.query_string()).is_some() {
        return authenticate(request).await.ok();
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    let local = kernel
        .bypass()
        .check_local(peer, request.headers(), request.uri());
    local.ok()?;
    Some(Caller::operator(CredentialKind::Localhost).asking_from(source(request)))
}

/// The key whose requests are counted. Configured keys have no ids: those of one user that are limited count together.
fn counted_as(caller: &Caller) -> Option<ApiKeyId> {
    match &caller.credential {
        CredentialKind::ApiKey(key) => Some(key.clone()),
        CredentialKind::ConfiguredKey if caller.limits.requests_per_minute.is_some() => {
            ApiKeyId::parse(format!("configured:{}", caller.user)).ok()
        }
        _ => None,
    }
}

/// Counts a request of `caller` on their key.
fn within_key_limit(
    kernel: &Kernel,
    context: &RequestContext,
    caller: &Caller,
) -> Result<(), ApiError> {
    let Some(key) = counted_as(caller) else {
        return Ok(());
    };
    let own = caller.limits.requests_per_minute;
    kernel.limits().check_api_key(context.limit, &key, own)
}

/// A request of a foreign page, or one that seems to be.
fn cross_site() -> ApiError {
    let words = "This request comes from another site; show a token instead of a cookie";
    ApiError::new(ErrorClass::Forbidden, "cross_site", words)
}

/// What can be said at once of who asks.
enum Judged {
    /// This process has just seen them.
    Admitted(Admitted),
    /// It has to be looked up on the core.
    LookingUp(Verdict),
}

fn judge(request: &HttpRequest) -> Result<Judged, ApiError> {
    let kernel = request.app_data::<web::Data<Kernel>>();
    let context = request.extensions().get::<RequestContext>().copied();
    let (Some(kernel), Some(context)) = (kernel, context) else {
        return Err(ApiError::of(ErrorClass::Internal));
    };
    let credential = find(request.headers(), request.query_string());
    let by_cookie = credential.as_ref().is_some_and(|shown| shown.by_cookie);
    if by_cookie
        && !cross_site::may_use_cookie(
            request.method(),
            request.headers(),
            request.uri(),
            kernel.allowed_origins(),
        )
    {
        return Err(cross_site());
    }
    let shown = Shown {
        presented: presented_with(kernel, request, credential),
        by_cookie,
    };
    if let Some(caller) = kernel
        .access()
        .authenticate_now(&shown.presented, context.source())
    {
        within_key_limit(kernel, &context, &caller)?;
        let renewal = renewal::due(kernel, &context, &shown, &caller);
        return Ok(Judged::Admitted(Admitted { caller, renewal }));
    }
    if shown.presented == Presented::Nothing {
        return Err(AccessError::Missing.into());
    }
    let verdict = Verdict::begin(kernel.clone(), context, shown);
    Ok(Judged::LookingUp(verdict))
}

/// Resolved at once for what this process has just seen, on the core otherwise.
pub enum Authenticating {
    /// The answer.
    Now(Ready<Result<Authenticated, ApiError>>),
    /// The answer is being looked up.
    Later(LocalBoxFuture<'static, Result<Caller, ApiError>>),
}

impl Future for Authenticating {
    type Output = Result<Authenticated, ApiError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => Pin::new(answer).poll(context),
            Self::Later(answer) => answer.as_mut().poll(context).map_ok(Authenticated),
        }
    }
}

/// Handlers take it before everything that reads the request: extractors are asked in order.
impl FromRequest for Authenticated {
    type Error = ApiError;
    type Future = Authenticating;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let now = match judge(request) {
            Ok(Judged::Admitted(admitted)) => Ok(Self(admitted.into_caller(request))),
            Ok(Judged::LookingUp(verdict)) => {
                verdict.hold_back(payload);
                request.extensions_mut().insert(verdict.clone());
                return Authenticating::Later(verdict.caller_of(request.clone()).boxed_local());
            }
            Err(error) => Err(error),
        };
        Authenticating::Now(ready(now))
    }
}

impl Apiv2Schema for Authenticated {}

impl OperationModifier for Authenticated {
    fn update_security(operation: &mut DefaultOperationRaw) {
        operation
            .security
            .push([(PROTECTED.to_owned(), Vec::new())].into());
    }
}
