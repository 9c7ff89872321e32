//! Which paths speak this dialect, and how often clients may ask for them.

use majordomo_presentation_http::{LimitClass, Mounts};

use crate::error::DIALECT;

/// Mounts the dialect. `/api` is shared with another dialect, so only paths of this one are named.
pub fn mount(mounts: Mounts) -> Mounts {
    const PATHS: [(&str, LimitClass); 6] = [
        ("/api/auth/register", LimitClass::Login),
        ("/api/auth/status", LimitClass::Api),
        ("/api/auth/user", LimitClass::Api),
        ("/api/search", LimitClass::Api),
        ("/api/settings/api-keys", LimitClass::Api),
        ("/api/settings/notification-preferences", LimitClass::Api),
    ];
    PATHS.into_iter().fold(mounts, |mounts, (path, limit)| {
        mounts.at(path, &DIALECT, limit)
    })
}
