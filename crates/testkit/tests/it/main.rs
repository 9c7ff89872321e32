//! The in-memory store against the contract suites, and the other doubles against their ports.

mod contract;
