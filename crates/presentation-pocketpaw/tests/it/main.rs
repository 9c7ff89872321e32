//! The dialect through its front door: real services over memory, a scripted model, exact answers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as expected fails the test"
)]

mod api_keys;
mod auth;
mod chat;
mod dashboard;
mod refusals;
mod sessions;
mod streams;
mod system;
mod world;
mod ws;
