//! The dialect over real services with ports in memory: exact answers and failures.

#![expect(clippy::unwrap_used, reason = "what is not as expected fails the test")]

mod documents;
mod notification_preferences;
mod people;
mod search;
mod support;
