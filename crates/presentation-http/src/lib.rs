//! The web kernel that every dialect of Majordomo stands on: who is asking, how failures are told, request ids, rate
//! limits, event streams, typed requests and answers, and the OpenAPI documents made of them.
//!
//! An application is put together like this:
//!
//! ```ignore
//! let kernel = Kernel::new(parts);
//! App::new()
//!     .app_data(web::Data::from(kernel.clone()))
//!     .wrap(KernelLayer::new(kernel.clone()))
//!     .wrap_api()
//!     .configure(dialect::configure)
//!     .build()
//! ```

pub mod address;
pub mod auth;
pub mod base_path;
mod challenge;
pub mod core;
pub mod dialect;
pub mod docs_pages;
pub mod error;
mod head;
mod headers;
pub mod http_metrics;
pub mod kernel;
mod middleware;
pub mod openapi;
pub mod origin;
pub mod rate_limit;
mod refusals;
pub mod request;
pub mod run_events;
mod services;
pub mod session_id;
pub mod sse;

pub use auth::Authenticated;
pub use challenge::address_used;
pub use core::Core;
pub use dialect::{Dialect, ErrorView, Mounts, SpokenDialect};
pub use error::{ApiError, ErrorClass, FieldIssue, Location};
pub use kernel::{Kernel, KernelParts};
pub use middleware::{KernelFuture, KernelLayer, KernelService};
pub use rate_limit::LimitClass;
pub use request::RequestContext;
pub use run_events::{ResumeAt, ResumeFrom, RunPosition};
pub use services::Services;
