//! Credentials: every way of showing who is asking resolves to the same [`Caller`](crate::Caller).

mod callers;
mod configured_keys;
mod digest;
mod directory;
mod error;
mod key_cache;
mod key_request;
mod keys;
mod login_token;
mod oauth_tokens;
mod pairing;
mod service;
mod session_token;
mod throttle;
mod user_error;
mod users;

pub use configured_keys::{ConfiguredKey, ConfiguredRights, ConfiguredSecret};
pub(crate) use digest::base64_url;
pub use digest::sha256;
pub use directory::Standing;
pub use error::AccessError;
pub use keys::{CreateApiKey, IssuedApiKey, KeyPrefix};
pub use oauth_tokens::AccessTokens;
pub use service::{AccessConfig, AccessPorts, AccessService, IssuedToken, LoggedIn, Presented};
pub use user_error::{UserError, WRONG_CURRENT_PASSWORD};
pub use users::{AddUser, SignIn, SignedIn, UserPorts, UserService};
