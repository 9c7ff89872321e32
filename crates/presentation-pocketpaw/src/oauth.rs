//! OAuth 2.1 for apps, under `/api/v1/oauth`, with its metadata under `/.well-known`; and, under `/api/oauth`, the
//! unrelated connecting of this server to services of others.
//!
//! What the specifications of OAuth say about an answer's form goes before what this dialect usually does: failures are
//! `{"error", "error_description"}`, with this dialect's `detail` besides. Request bodies are forms, as RFC 6749 wants
//! them, or JSON, as the desktop app sends them.

pub(crate) mod authorize;
pub(crate) mod connect;
pub(crate) mod grants;
pub(crate) mod metadata;
pub(crate) mod register;
pub(crate) mod token;

mod answers;
mod form;
mod issuer;
mod page;
mod sign_in;

pub(crate) use issuer::issuer;
pub(crate) use sign_in::sign_in;
