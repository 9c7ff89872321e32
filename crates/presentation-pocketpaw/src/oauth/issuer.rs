//! The address by which this server calls itself towards apps (RFC 8414 section 2, RFC 9207).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use majordomo_application::oauth::OAuthService;
use majordomo_presentation_http::origin::requested_authority;
use majordomo_presentation_http::{ApiError, ErrorClass, Kernel, RequestContext};

/// The public address, or, where none is configured, the one the client has used.
pub(super) fn issuer(
    oauth: &OAuthService,
    kernel: &Kernel,
    context: RequestContext,
    request: &HttpRequest,
) -> Result<String, ApiError> {
    if let Some(issuer) = oauth.issuer() {
        return Ok(issuer.to_owned());
    }
    let authority = requested_authority(request.headers(), request.uri());
    let plain = |text: &&str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
    };
    let authority = authority.filter(plain).ok_or_else(|| {
        ApiError::new(
            ErrorClass::Malformed,
            "bad_request",
            "The request has no usable Host",
        )
        .with_status(StatusCode::BAD_REQUEST)
    })?;
    let scheme = if context.https { "https" } else { "http" };
    let base = kernel.mounts().base().as_str();
    Ok(format!("{scheme}://{authority}{base}"))
}
