//! OAuth 2.1 for apps: a user lets an app act for them, and the app gets tokens of its own instead of the user's
//! credential.
//!
//! 1. The app sends the user's browser here with an [`AuthorizeRequest`]; [`OAuthService::target`] says whether its
//!    answer may be sent where it asks, [`OAuthService::question`] what the user is asked.
//! 2. The user agrees ([`OAuthService::allow`]): a grant is stored, and the app gets a code.
//! 3. The app shows that the code is its own (PKCE, RFC 7636) and gets tokens: [`OAuthService::exchange`].
//! 4. It exchanges its refresh token, each one once: [`OAuthService::refresh`].
//!
//! A code or refresh token that comes twice has been stolen from somebody, so its grant ends, and all tokens with it
//! (RFC 9700 section 4.14.2).

mod clients;
mod connections;
mod consent;
mod error;
mod pkce;
mod registration;
mod scopes;
mod service;

pub use clients::{DESKTOP_CLIENT, desktop_client};
pub use connections::{ConnectionRequest, Connections};
pub use error::OAuthError;
pub use registration::{MAX_CLIENT_NAME, RegisterClient};
pub use scopes::DEFAULT_SCOPE;
pub use service::{
    AuthorizeRequest, AuthorizeTarget, ConsentQuestion, ExchangeCode, IssuedTokens, OAuthConfig,
    OAuthPorts, OAuthService, RefreshTokens,
};
