//! The program: settings, wiring, start and stop, and the command line. The only place that sees every crate.

pub mod cli;
mod client;
mod instance;
mod startup;
mod telemetry;
mod wiring;

pub use startup::{Application, StartError};
