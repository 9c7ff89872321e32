//! The clock of the operating system.

use std::time::{SystemTime, UNIX_EPOCH};

use majordomo_application::ports::Clock;
use majordomo_domain::Timestamp;

/// Tells the time by the system's clock, which an operator or NTP may set back.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter behind the Clock port"
    )]
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as the epoch, one beyond the year 294246 as the last microsecond.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::EPOCH.plus(since_epoch)
    }
}
