//! What happens on the server, told to those it concerns while they listen: a bounded ring of events for each user.

mod bus;
mod ring;

use std::sync::Arc;

use majordomo_domain::{Run, RunEvent, Timestamp};

use crate::operations::HealthStatus;
use crate::usage::BudgetStatus;

pub use bus::EventBus;
pub use ring::EventStream;

/// Something that happened, as the clients of one user are told.
#[derive(Debug, Clone)]
pub struct SystemEvent {
    /// The id a client resumes with. Grows from event to event of one user, over restarts of the server too: it is the
    /// time in microseconds, or one more than the id before.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: SystemEventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum SystemEventKind {
    /// Something happened in one of the user's runs. Of pieces of text or reasoning only the first in a row is told.
    Run {
        /// The run, as it was accepted.
        run: Arc<Run>,
        /// What happened in it.
        event: Arc<RunEvent>,
    },
    /// The server's health is another one than before.
    Health(HealthStatus),
    /// A budget of the user, of one of the user's keys or sessions, is nearly or wholly used up.
    Budget(Arc<BudgetStatus>),
}
