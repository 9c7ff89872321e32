//! PostgreSQL storage on a private cluster: the contract of the ports, and what only this backend does. Without an
//! installed server every test says so and is skipped.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod audit;
mod connections;
mod contract;
mod copying;
