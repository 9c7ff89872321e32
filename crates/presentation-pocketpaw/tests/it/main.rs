//! The dialect through its front door: real services over memory, a scripted model, exact answers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as expected fails the test"
)]

mod agent_status;
mod api_keys;
mod audit;
mod auth;
mod chat;
mod dashboard;
mod events;
mod health;
mod identity;
mod memory;
mod oauth;
mod proxy;
mod qr;
mod refusals;
mod session_imports;
mod sessions;
mod settings;
mod streams;
mod system;
mod usage;
mod users;
mod world;
mod ws;
