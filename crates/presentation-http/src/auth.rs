//! Who is asking: the extractor that every protected handler takes.

mod bypass;
mod credential;

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use majordomo_application::Caller;
use majordomo_application::access::Presented;
use majordomo_domain::CredentialKind;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;

pub use bypass::{BypassRefusal, LocalBypass, LocalBypassConfig, forwarding_header};
pub use credential::{SESSION_COOKIE, bearer_token, find_credential};

use crate::error::{ApiError, ErrorClass};
use crate::kernel::Kernel;
use crate::openapi::PROTECTED;
use crate::request::RequestContext;

/// The caller of a protected operation; without a right credential the handler is not called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated(pub Caller);

/// What `request` shows of who asks: a credential, or, where there is none at all, the leave of the localhost bypass.
pub fn presented(kernel: &Kernel, request: &HttpRequest) -> Presented {
    let headers = request.headers();
    if let Some(token) = find_credential(headers, request.query_string()) {
        return Presented::Token(token);
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    match kernel.bypass().check(peer, headers, request.uri()) {
        Ok(()) => Presented::Localhost,
        Err(_) => Presented::Nothing,
    }
}

/// Resolves what `request` shows; what [`Authenticated`] does, for handlers that answer a refusal in their own way.
pub async fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    Authenticated::extract(request).await.map(|caller| caller.0)
}

fn within_key_limit(
    kernel: &Kernel,
    request: &HttpRequest,
    caller: Caller,
) -> Result<Authenticated, ApiError> {
    if let CredentialKind::ApiKey(key) = &caller.credential {
        let class = request
            .extensions()
            .get::<RequestContext>()
            .map(|context| context.limit);
        if let Some(class) = class {
            kernel.limits().check_api_key(class, key)?;
        }
    }
    Ok(Authenticated(caller))
}

/// Resolved at once for what this process has just seen, on the core otherwise.
pub enum Authenticating {
    /// The answer.
    Now(Ready<Result<Authenticated, ApiError>>),
    /// The answer is being looked up.
    Later(Pin<Box<dyn Future<Output = Result<Authenticated, ApiError>>>>),
}

impl Future for Authenticating {
    type Output = Result<Authenticated, ApiError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => Pin::new(answer).poll(context),
            Self::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

impl FromRequest for Authenticated {
    type Error = ApiError;
    type Future = Authenticating;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(kernel) = request.app_data::<web::Data<Kernel>>() else {
            return Authenticating::Now(ready(Err(ApiError::of(ErrorClass::Internal))));
        };
        let presented = presented(kernel, request);
        if let Some(caller) = kernel.access().authenticate_now(&presented) {
            return Authenticating::Now(ready(within_key_limit(kernel, request, caller)));
        }
        if presented == Presented::Nothing {
            return Authenticating::Now(ready(Err(
                majordomo_application::access::AccessError::Missing.into(),
            )));
        }
        let (kernel, request) = (kernel.clone(), request.clone());
        Authenticating::Later(Box::pin(async move {
            let access = Arc::clone(kernel.access());
            let caller = kernel
                .core()
                .run(async move { access.authenticate(presented).await })
                .await?;
            within_key_limit(&kernel, &request, caller)
        }))
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
