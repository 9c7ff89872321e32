//! How looking after users fails.

use std::time::Duration;

use thiserror::Error;

use super::error::AccessError;
use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::RepositoryError;

/// The code of the refusal to change a password without knowing it.
pub const WRONG_CURRENT_PASSWORD: &str = "wrong_current_password";

/// How looking after users fails.
#[derive(Debug, Error)]
pub enum UserError {
    /// The name or the password is wrong, or the user may not sign in. Which of them is not told.
    #[error("wrong name or password")]
    WrongPassword,
    /// What was given as the caller's current password is none, or no longer is.
    #[error("wrong current password")]
    WrongCurrentPassword,
    /// Too many attempts.
    #[error("too many attempts to sign in")]
    Throttled(Duration),
    /// The owner is registered already.
    #[error("the owner is registered already")]
    AlreadyRegistered,
    /// The caller may not register the owner: only who is at this machine, or holds the master token, may.
    #[error("the owner cannot be registered from here")]
    RegistrationRefused,
    /// Another user has this name.
    #[error("the name is taken")]
    NameTaken,
    /// There are as many users as there may be.
    #[error("too many users")]
    TooMany,
    /// There is no such user.
    #[error("no such user")]
    NotFound,
    /// The owner stays the owner.
    #[error("the owner cannot be changed so")]
    Owner,
    /// A field of the request is wrong.
    #[error("invalid field")]
    Invalid(FieldError),
    /// The credential does not allow this, or could not be made.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] RepositoryError),
}

impl From<ScopeDenied> for UserError {
    fn from(denied: ScopeDenied) -> Self {
        Self::Access(denied.into())
    }
}

impl ServiceError for UserError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongPassword => ErrorKind::Unauthenticated,
            Self::WrongCurrentPassword => {
                ErrorKind::Invalid(vec![FieldError::new("current_password", "is wrong")])
            }
            Self::Throttled(wait) => ErrorKind::RateLimited { retry_after: *wait },
            Self::AlreadyRegistered | Self::RegistrationRefused | Self::Owner => {
                ErrorKind::Forbidden
            }
            Self::NameTaken | Self::TooMany => ErrorKind::Conflict,
            Self::NotFound => ErrorKind::NotFound,
            Self::Invalid(field) => ErrorKind::Invalid(vec![field.clone()]),
            Self::Access(error) => error.kind(),
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::WrongCurrentPassword => WRONG_CURRENT_PASSWORD,
            Self::Throttled(_) => "too_many_attempts",
            Self::AlreadyRegistered => "already_registered",
            Self::RegistrationRefused => "registration_refused",
            Self::NameTaken => "name_taken",
            Self::TooMany => "too_many_users",
            Self::NotFound => "user_not_found",
            Self::Owner => "owner_unchangeable",
            Self::Invalid(_) => "invalid_field",
            Self::Access(error) => error.code(),
            Self::Storage(_) => "storage",
        }
    }

    fn public_message(&self) -> String {
        let words = match self {
            Self::WrongPassword => "Invalid username or password",
            Self::WrongCurrentPassword => "The current password is wrong",
            Self::Throttled(_) => "Too many attempts to sign in. Try again later.",
            Self::AlreadyRegistered => "User already exists. This is a single-user system.",
            Self::RegistrationRefused => {
                "Register on the server's own machine, or run: majordomo users add NAME --role owner"
            }
            Self::NameTaken => "This username is taken",
            Self::TooMany => "There are too many users",
            Self::NotFound => "User not found",
            Self::Owner => "The owner stays the owner and cannot be disabled",
            Self::Invalid(field) => return format!("{} {}", field.field, field.error),
            Self::Access(error) => return error.public_message(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable",
            Self::Storage(_) => INTERNAL_MESSAGE,
        };
        words.to_owned()
    }
}
