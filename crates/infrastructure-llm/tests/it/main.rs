//! The adapters against a local server that replays raw wire bytes.

#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod assistant;
#[cfg(test)]
mod config;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod ollama;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod support;
