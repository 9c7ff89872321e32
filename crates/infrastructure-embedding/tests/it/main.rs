//! A model in this process, against an independent reckoning of the same network. The model is tiny, its weights are made
//! up; it is written by the tests into a folder of their own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a failed step fails the test; clippy does not count helpers of integration tests as tests"
)]

mod directories;
mod embedding;
mod real;
mod reckoning;
mod tiny;
