//! The address by which this server calls itself towards apps (RFC 8414 section 2, RFC 9207).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use majordomo_application::oauth::OAuthService;
use majordomo_presentation_http::{ApiError, ErrorClass, Kernel, RequestContext, address_used};

/// The public address, or, where none is configured, the one the client has used.
pub(crate) fn issuer(
    oauth: &OAuthService,
    kernel: &Kernel,
    context: RequestContext,
    request: &HttpRequest,
) -> Result<String, ApiError> {
    let known = oauth.issuer().map(str::to_owned);
    known
        .or_else(|| address_used(kernel, &context, request))
        .ok_or_else(|| {
            let words = "The request has no usable Host";
            ApiError::new(ErrorClass::Malformed, "bad_request", words)
                .with_status(StatusCode::BAD_REQUEST)
        })
}
