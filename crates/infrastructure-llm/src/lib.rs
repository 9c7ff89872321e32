//! Language models behind the `ChatModel` port: one module per wire protocol, plus the built-in assistant that needs no
//! model at all.
//!
//! How an answer travels: [`http`] sends the request and guards the reading with timeouts, [`framing`] cuts the bytes
//! into frames wherever the network split them, the protocol's decoder turns frames into deltas, and [`answer`] drives
//! the three as one stream. Dropping the stream closes the upstream connection.
//!
//! The embedding models of the same providers are behind the `Embedder` port: [`embeddings`] asks and checks, the
//! protocol's module words the request and reads the answer.

mod answer;
mod anthropic;
mod arguments;
mod assistant;
mod config;
mod embeddings;
mod failure;
mod framing;
mod gemini;
mod http;
mod ollama;
mod openai;

pub use answer::AnswerParser;
pub use anthropic::AnthropicChatModel;
pub use assistant::BuiltinAssistant;
pub use config::{ProviderConfig, ProviderConfigError, ProviderKey};
pub use gemini::GeminiChatModel;
pub use ollama::OllamaChatModel;
pub use openai::OpenAiChatModel;
