//! What the agent can do besides talking.

mod calculator;
mod current_time;
mod memory;
mod registry;
mod search_sessions;

pub use calculator::Calculator;
pub use current_time::CurrentTime;
pub use memory::{Forget, Recall, Remember};
pub use registry::ToolRegistry;
pub use search_sessions::SearchSessions;
