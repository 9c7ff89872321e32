//! Black-box tests: the real program on a free port, spoken to as its clients do.
//!
//! `harness` starts servers, a scripted model and everything else from outside; each other module holds the tests of one
//! door or one promise. The environment variable `MAJORDOMO_TEST_BINARY` names a program to test instead of the one that
//! cargo builds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what is not as expected fails the test; clippy does not count helpers of integration tests as tests"
)]

mod harness;

mod audit;
mod backups;
mod cli;
mod configured_keys;
mod credentials;
mod cross_door;
mod disk;
mod documents;

mod hostile_input;
mod isolation;
mod kill;
mod logins;
mod meaning;
mod memory;
mod model_connections;
mod oauth;
mod openai;
mod operations;
mod people;
mod pisovereign;
mod pixcode;
mod pocketpaw;
mod postgres;
mod proxies;
mod rate_limits;
mod resume;
mod schemathesis;
mod sdk;
mod secrets;
mod settings;
mod shutdown;
mod slow_readers;
mod spending;
mod startup;
mod telemetry;
mod upstream;
mod websocket;
