//! How OAuth fails, in the words of its specifications.

use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::RepositoryError;

/// How OAuth fails.
#[derive(Debug, Error)]
pub enum OAuthError {
    /// The app is unknown, or its answer may not be sent where it asks: nothing is sent anywhere.
    #[error("unknown client or redirect URI")]
    UnknownTarget,
    /// A parameter is missing or wrong.
    #[error("invalid request: {0}")]
    InvalidRequest(&'static str),
    /// Only codes are given.
    #[error("unsupported response type")]
    UnsupportedResponseType,
    /// Only codes and refresh tokens are exchanged.
    #[error("unsupported grant type")]
    UnsupportedGrantType,
    /// A scope does not exist, is not the app's to ask for, or not the user's to give.
    #[error("invalid scope")]
    InvalidScope,
    /// The user refused.
    #[error("refused by the user")]
    AccessDenied,
    /// The code or refresh token is wrong, used, expired or somebody else's.
    #[error("invalid grant: {0}")]
    InvalidGrant(&'static str),
    /// The app is not the one it says.
    #[error("unknown client")]
    InvalidClient,
    /// The consent page's answer does not belong to a page that this user was shown.
    #[error("the consent token does not hold")]
    ConsentToken,
    /// Only a user can agree; keys and apps cannot, or access would outlive them.
    #[error("this credential cannot agree for its user")]
    NotInPerson,
    /// Apps may not register themselves here.
    #[error("registration is switched off")]
    RegistrationClosed,
    /// As many apps are registered as may be.
    #[error("too many registered clients")]
    RegistrationFull,
    /// An app wants answers sent where they may not be sent.
    #[error("invalid redirect URI: {0}")]
    InvalidRedirectUri(String),
    /// An app says something about itself that is not accepted.
    #[error("invalid client metadata: {0}")]
    InvalidClientMetadata(&'static str),
    /// There is no such service to connect to.
    #[error("unknown service")]
    UnknownService(String),
    /// This server is not known at the service.
    #[error("not configured at {0}")]
    NotConnectable(&'static str),
    /// The user has no such running grant.
    #[error("no such grant")]
    GrantNotFound,
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] RepositoryError),
}

impl OAuthError {
    /// The error's name on the wire (RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591 section 3.2.2); `None` for failures
    /// that are not OAuth's own.
    pub fn wire_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownTarget | Self::InvalidRequest(_) => "invalid_request",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied | Self::RegistrationClosed => "access_denied",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::RegistrationFull => "temporarily_unavailable",
            Self::InvalidRedirectUri(_) => "invalid_redirect_uri",
            Self::InvalidClientMetadata(_) => "invalid_client_metadata",
            Self::ConsentToken
            | Self::NotInPerson
            | Self::UnknownService(_)
            | Self::NotConnectable(_)
            | Self::GrantNotFound
            | Self::Denied(_)
            | Self::Storage(_) => return None,
        })
    }

    /// Whether the app is told, at the address it asked for, instead of the user.
    pub const fn is_for_the_app(&self) -> bool {
        matches!(
            self,
            Self::InvalidRequest(_)
                | Self::UnsupportedResponseType
                | Self::InvalidScope
                | Self::AccessDenied
        )
    }
}

impl ServiceError for OAuthError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTarget
            | Self::InvalidRequest(_)
            | Self::UnsupportedResponseType
            | Self::UnsupportedGrantType
            | Self::InvalidScope
            | Self::InvalidGrant(_)
            | Self::InvalidClient
            | Self::InvalidRedirectUri(_)
            | Self::UnknownService(_)
            | Self::NotConnectable(_)
            | Self::InvalidClientMetadata(_) => {
                ErrorKind::Invalid(vec![FieldError::new("", self.public_message())])
            }
            Self::AccessDenied
            | Self::ConsentToken
            | Self::NotInPerson
            | Self::RegistrationClosed => ErrorKind::Forbidden,
            Self::GrantNotFound => ErrorKind::NotFound,
            Self::Denied(denied) => denied.kind(),
            Self::RegistrationFull | Self::Storage(RepositoryError::Unavailable(_)) => {
                ErrorKind::Unavailable
            }
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ConsentToken => "invalid_consent_token",
            Self::NotInPerson => "not_in_person",
            Self::UnknownService(_) => "unknown_service",
            Self::NotConnectable(_) => "not_configured",
            Self::GrantNotFound => "grant_not_found",
            Self::Denied(denied) => denied.code(),
            Self::Storage(_) => "storage",
            other => other.wire_name().unwrap_or("oauth"),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::UnknownTarget => "Invalid authorization request".to_owned(),
            Self::InvalidRequest(words)
            | Self::InvalidGrant(words)
            | Self::InvalidClientMetadata(words) => (*words).to_owned(),
            Self::UnsupportedResponseType => "response_type must be code".to_owned(),
            Self::UnsupportedGrantType => {
                "grant_type must be authorization_code or refresh_token".to_owned()
            }
            Self::InvalidScope => "invalid_scope".to_owned(),
            Self::AccessDenied => "The user refused".to_owned(),
            Self::InvalidClient => "client_mismatch".to_owned(),
            Self::ConsentToken => {
                "This page has expired or was not made for you. Start again from the app."
                    .to_owned()
            }
            Self::NotInPerson => "An API key or app cannot grant access. Sign in first.".to_owned(),
            Self::RegistrationClosed => "Apps may not register themselves here".to_owned(),
            Self::RegistrationFull => "Too many apps have registered".to_owned(),
            Self::InvalidRedirectUri(words) => words.clone(),
            Self::UnknownService(service) => format!("Unknown service: {service}"),
            Self::NotConnectable(provider) => {
                format!("{provider} Client ID not configured. Set it in Settings first.")
            }
            Self::GrantNotFound => "Grant not found or already revoked".to_owned(),
            Self::Denied(denied) => denied.public_message(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}
