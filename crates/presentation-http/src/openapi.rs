//! From handlers to OpenAPI 3.1: paperclip records paths, operations and parameters, schemars supplies the schemas, and
//! this module joins them into one document for each dialect.
//!
//! Handlers take [`Body`], [`Params`], [`PathParams`] and return `Result<Reply<T>, ApiError>` (or [`Sse`], [`Media`],
//! [`OneOf`], ...) under `#[api_v2_operation]`; all of them are documented by their types.

pub mod collector;
mod document;
mod input;
mod output;

pub use collector::{Description, describe};
pub use document::{DocumentInfo, SecurityDoc};
pub use input::{
    Body, BodyLimit, OptionalBody, Params, PathParams, place_of, plain_words, with_plain_integers,
};
pub use output::{
    Html, Markdown, Media, MediaKind, NoContent, OctetStream, OneOf, PlainText, Png, Raw, Reply,
    Sse, Svg, Upgrade,
};

/// Marks an operation that wants a credential; each document replaces it by its own schemes.
pub(crate) const PROTECTED: &str = "credential";
