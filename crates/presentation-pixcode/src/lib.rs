//! The dialect of Pixcode's clients: routes below `/api`.
//!
//! [`configure`] registers paths relative to `/api`, so that they can share that scope with the dashboard routes of
//! another dialect: actix scopes do not fall through. `/health`, which Pixcode's clients ask too, is PiSovereign's.

mod api_keys;
mod auth;
mod docs;
mod error;
mod fails;
mod mount;
mod notification_preferences;
mod routes;
mod search;

pub use docs::document;
pub use error::{DIALECT, Pixcode};
pub use mount::mount;
pub use routes::configure;
