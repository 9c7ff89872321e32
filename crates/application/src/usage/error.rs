//! How spending is refused, and how asking about it fails.

use std::time::Duration;

use majordomo_domain::{BudgetPeriod, Timestamp};
use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::RepositoryError;

/// When to come back after calls under way took what was left.
const RESERVED_RETRY: Duration = Duration::from_secs(2);

/// Why a model must not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// What is left of a budget is too little for the call.
    #[error("a budget is used up")]
    Exhausted {
        /// Whose budget: `user`, `key` or `session`.
        subject: &'static str,
        /// Which one.
        period: BudgetPeriod,
        /// When it begins anew.
        resets_at: Timestamp,
        /// How long that is from now.
        retry_after: Duration,
    },
    /// Calls under way may use up what is left of a budget.
    #[error("calls under way may use up a budget")]
    Reserved,
    /// A budget in money applies, and nobody knows what the call would cost.
    #[error("a model has no price")]
    Unpriced {
        /// The model, as `provider/model`.
        model: String,
    },
    /// Budgets cannot be looked up; the cause was logged.
    #[error("budgets cannot be checked")]
    Unavailable,
}

impl ServiceError for BudgetError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Exhausted { retry_after, .. } => ErrorKind::RateLimited {
                retry_after: *retry_after,
            },
            Self::Reserved => ErrorKind::RateLimited {
                retry_after: RESERVED_RETRY,
            },
            Self::Unpriced { .. } => ErrorKind::Forbidden,
            Self::Unavailable => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Exhausted { .. } => "budget_exceeded",
            Self::Reserved => "budget_reserved",
            Self::Unpriced { .. } => "model_unpriced",
            Self::Unavailable => "budget_unavailable",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Exhausted {
                subject,
                period,
                resets_at,
                ..
            } => {
                let whose = match *subject {
                    "key" => "this API key",
                    "session" => "this session",
                    _ => "this user",
                };
                let which = match period {
                    BudgetPeriod::Day => "daily",
                    BudgetPeriod::Month => "monthly",
                };
                format!(
                    "The {which} budget of {whose} does not allow this request; it begins anew at {resets_at}"
                )
            }
            Self::Reserved => {
                "Other requests may use up the rest of the budget; try again when they have ended"
                    .to_owned()
            }
            Self::Unpriced { model } => {
                format!("`{model}` has no price, so a budget in dollars does not allow it")
            }
            Self::Unavailable => "Budgets cannot be checked at the moment".to_owned(),
        }
    }
}

/// How asking about usage and budgets fails.
#[derive(Debug, Error)]
pub enum UsageError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// A field of the request is wrong.
    #[error("invalid field")]
    Invalid(FieldError),
    /// There is no such budget.
    #[error("no such budget")]
    BudgetNotFound,
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] RepositoryError),
}

impl ServiceError for UsageError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::Invalid(field) => ErrorKind::Invalid(vec![field.clone()]),
            Self::BudgetNotFound => ErrorKind::NotFound,
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Invalid(_) => "invalid_field",
            Self::BudgetNotFound => "budget_not_found",
            Self::Storage(_) => "storage",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Invalid(field) => field.error.clone(),
            Self::BudgetNotFound => "Budget not found".to_owned(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}
