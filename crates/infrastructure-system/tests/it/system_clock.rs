//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use majordomo_application::ports::Clock as _;
use majordomo_infrastructure_system::SystemClock;

#[expect(
    clippy::disallowed_methods,
    reason = "compares the adapter with the source it reads"
)]
fn system_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since_epoch.as_micros().try_into().unwrap()
}

#[test]
fn tells_the_systems_time_to_the_microsecond() {
    let before = system_micros();
    let now = SystemClock.now().as_micros();
    let after = system_micros();
    assert!(
        before <= now && now <= after,
        "{before} <= {now} <= {after}"
    );
}
