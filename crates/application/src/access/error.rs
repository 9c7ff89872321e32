//! How access fails.

use majordomo_domain::Scope;
use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::{MasterTokenError, RepositoryError, SigningKeyError};

/// How access fails.
#[derive(Debug, Error)]
pub enum AccessError {
    /// No credential was shown, and none may be left out.
    #[error("no credential")]
    Missing,
    /// The credential opens nothing: wrong, expired or revoked.
    #[error("wrong credential")]
    Wrong,
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// The key is not let in from where the request comes from.
    #[error("the key is not let in from this address")]
    AddressRefused,
    /// The caller has as many keys as one may have.
    #[error("too many keys")]
    TooManyKeys,
    /// A scope that does not exist was asked for.
    #[error("unknown scopes")]
    UnknownScopes(Vec<String>),
    /// A key may not be given more than its maker has.
    #[error("scope beyond the maker's")]
    BeyondOwn(Scope),
    /// A key that is limited beyond its scopes makes and replaces no keys: the others would not have its limits.
    #[error("the key that asks is limited")]
    LimitedMaker,
    /// A field of the request is wrong.
    #[error("invalid field")]
    Invalid(FieldError),
    /// The caller has no such active key.
    #[error("no such key")]
    KeyNotFound,
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] RepositoryError),
    /// The master token could not be kept.
    #[error("the master token could not be kept")]
    MasterToken(#[from] MasterTokenError),
    /// The key that signs login tokens could not be used.
    #[error("the signing key could not be used")]
    SigningKey(#[from] SigningKeyError),
    /// A secret could not be hashed.
    #[error("hashing failed")]
    Hashing,
}

impl ServiceError for AccessError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing | Self::Wrong => ErrorKind::Unauthenticated,
            Self::Denied(denied) => denied.kind(),
            Self::UnknownScopes(_) => {
                ErrorKind::Invalid(vec![FieldError::new("scopes", self.public_message())])
            }
            Self::BeyondOwn(_) | Self::AddressRefused | Self::LimitedMaker => ErrorKind::Forbidden,
            Self::TooManyKeys => ErrorKind::Conflict,
            Self::Invalid(field) => ErrorKind::Invalid(vec![field.clone()]),
            Self::KeyNotFound => ErrorKind::NotFound,
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) | Self::MasterToken(_) | Self::SigningKey(_) | Self::Hashing => {
                ErrorKind::Internal
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing_credential",
            Self::Wrong => "invalid_credential",
            Self::Denied(denied) => denied.code(),
            Self::UnknownScopes(_) => "invalid_scopes",
            Self::BeyondOwn(_) => "scope_beyond_own",
            Self::AddressRefused => "address_refused",
            Self::LimitedMaker => "limited_key",
            Self::TooManyKeys => "too_many_keys",
            Self::Invalid(_) => "invalid_field",
            Self::KeyNotFound => "api_key_not_found",
            Self::Storage(_) => "storage",
            Self::MasterToken(_) | Self::SigningKey(_) | Self::Hashing => "internal",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Missing => "Missing credential".to_owned(),
            Self::Wrong => "Invalid credential".to_owned(),
            Self::Denied(denied) => denied.public_message(),
            Self::UnknownScopes(names) => format!("Invalid scopes: {}", names.join(", ")),
            Self::BeyondOwn(scope) => {
                format!("A key cannot be given a scope its maker lacks: {scope}")
            }
            Self::Invalid(field) => format!("{} {}", field.field, field.error),
            Self::AddressRefused => "This key is not let in from this address".to_owned(),
            Self::LimitedMaker => {
                "A key that is limited beyond its scopes makes and replaces no keys".to_owned()
            }
            Self::TooManyKeys => {
                "There are too many keys; revoke those that are not used".to_owned()
            }
            Self::KeyNotFound => "API key not found or already revoked".to_owned(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) | Self::MasterToken(_) | Self::SigningKey(_) | Self::Hashing => {
                INTERNAL_MESSAGE.to_owned()
            }
        }
    }
}
