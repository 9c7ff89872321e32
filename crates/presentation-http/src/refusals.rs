//! Tells the audit log what was refused: wrong credentials, missing scopes, too many logins.

use actix_web::HttpRequest;
use majordomo_application::access::WRONG_CURRENT_PASSWORD;
use majordomo_domain::{AuditOutcome, AuditRecord, RequestSource};

use crate::auth::presented;
use crate::error::{ApiError, ErrorClass};
use crate::kernel::Kernel;
use crate::rate_limit::LimitClass;
use crate::request::RequestContext;

/// Counts `error` for the audit log, where it is one that matters to security. A request that shows no credential at
/// all is none: everybody's first request looks like that.
pub(crate) fn note(
    kernel: &Kernel,
    request: &HttpRequest,
    context: &RequestContext,
    error: &ApiError,
) {
    let login = context.limit == LimitClass::Login;
    let action = match error.class() {
        ErrorClass::Unauthenticated if error.code() == "missing_credential" => return,
        ErrorClass::Unauthenticated if login => "login.refuse",
        ErrorClass::Unauthenticated => "credential.refuse",
        ErrorClass::Forbidden => "scope.deny",
        ErrorClass::RateLimited if login => "login.throttle",
        ErrorClass::Invalid if error.code() == WRONG_CURRENT_PASSWORD => "login.refuse",
        _ => return,
    };
    let source = context.source();
    let record = asking(kernel, request, action, source)
        .ended(AuditOutcome::Denied)
        .with("method", request.method())
        .with("path", request.path())
        .with("code", error.code());
    kernel.refusals().note(record);
}

/// A record of who asks, as far as that is known without waiting: whoever was let in a moment ago is.
fn asking(
    kernel: &Kernel,
    request: &HttpRequest,
    action: &'static str,
    source: RequestSource,
) -> AuditRecord {
    let now = kernel.clock().now();
    match kernel
        .access()
        .authenticate_now(&presented(kernel, request), source)
    {
        Some(caller) => caller.record(action, now),
        None => AuditRecord::of_stranger(action, source, now),
    }
}
