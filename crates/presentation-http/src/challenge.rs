//! What a refused client is told about how to get a token (RFC 9728 section 5.1).

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use crate::kernel::Kernel;
use crate::origin::requested_authority;
use crate::request::RequestContext;

/// The address under which the client has found this server, without a `/` at the end; `None` when its `Host` is no
/// plain name or address.
pub fn address_used(
    kernel: &Kernel,
    context: &RequestContext,
    request: &HttpRequest,
) -> Option<String> {
    let authority = requested_authority(request.headers(), request.uri())?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if authority.is_empty() || !authority.bytes().all(plain) {
        return None;
    }
    let scheme = if context.https { "https" } else { "http" };
    let base = kernel.mounts().base().as_str();
    Some(format!("{scheme}://{authority}{base}"))
}

/// `Bearer`, with the address of the metadata that leads to the authorization server.
pub(crate) fn challenge(
    kernel: &Kernel,
    context: &RequestContext,
    request: &HttpRequest,
) -> Option<HeaderValue> {
    let address = address_used(kernel, context, request)?;
    HeaderValue::from_str(&format!(
        "Bearer resource_metadata=\"{address}/.well-known/oauth-protected-resource\""
    ))
    .ok()
}
