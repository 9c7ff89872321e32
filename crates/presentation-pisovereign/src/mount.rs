//! Which paths speak this dialect, and how often clients may ask for them.

use majordomo_presentation_http::{LimitClass, Mounts};

use crate::error::DIALECT;

/// Probes, metrics and documents, which need no credential: they are asked by machines, at their own pace.
const UNLIMITED: [&str; 6] = [
    "/api-docs",
    "/health",
    "/metrics",
    "/ready",
    "/redoc",
    "/swagger-ui",
];

/// Mounts the dialect. `/v1` is shared: other dialects mount their paths below it themselves.
pub fn mount(mounts: Mounts) -> Mounts {
    UNLIMITED
        .into_iter()
        .fold(mounts, |mounts, path| {
            mounts.at(path, &DIALECT, LimitClass::Unlimited)
        })
        .at("/v1", &DIALECT, LimitClass::PerMinute)
}
