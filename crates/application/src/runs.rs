//! Live runs: what is written to a run's journal reaches everyone who watches it.

mod log;
mod stream;
mod unstored;
mod writer;

pub use log::RunLog;
pub(crate) use log::weight;
pub use stream::RunStream;
pub(crate) use unstored::Unstored;
pub(crate) use writer::JournalWriter;
