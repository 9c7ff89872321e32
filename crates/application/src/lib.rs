//! The use cases of Majordomo and the ports they need. No web server, no database, no JSON formats in here: embed this
//! crate with adapters of your own.

pub mod access;
pub mod caller;
pub mod error;
pub mod ports;

pub use caller::{Caller, ScopeDenied};
pub use error::{ErrorKind, FieldError, ServiceError};
