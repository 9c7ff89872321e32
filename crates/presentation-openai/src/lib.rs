//! OpenAI's API: chat completions, embeddings and models, as the official `openai` packages speak it.
//!
//! Prefix `/v1`; credentials as `Authorization: Bearer` (or whatever else the kernel accepts); failures as
//! `{"error":{"message","type","param","code"}}`. Source of truth: OpenAI's public API reference and what its SDKs send and
//! expect.
//!
//! The name of a model decides what answers:
//! - `majordomo`, or `majordomo/<provider>/<model>`: the agent with its own tools, in a stored session;
//! - `<provider>/<model>`, or a bare model: that model, with nothing in between. A provider that speaks this protocol
//!   itself gets the request byte for byte; for others it is translated.

mod body;
mod completions;
mod embeddings;
mod error;
mod head;
mod models;
mod passing;
mod routes;
mod shape;

pub use error::{DIALECT, OpenAi};
pub use routes::{configure, document};

/// The model name that means the agent.
pub(crate) const AGENT: &str = "majordomo";

/// What the agent's models are named with: `majordomo/<provider>/<model>`.
pub(crate) const AGENT_PREFIX: &str = "majordomo/";
