//! Which paths speak this dialect, and how often clients may ask for them.

use majordomo_presentation_http::{LimitClass, Mounts};

use crate::error::DIALECT;

/// Mounts the dialect. `/api` is shared with another dialect, so only paths of this one are named.
pub fn mount(mounts: Mounts) -> Mounts {
    mounts.at("/api/search", &DIALECT, LimitClass::Api)
}
