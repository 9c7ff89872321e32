//! Who is asking.

use majordomo_domain::{CredentialKind, Scope, Scopes, UserId};
use thiserror::Error;

use crate::error::{ErrorKind, ServiceError};

/// Who is asking, and what the credential shown allows. Every service method takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows are seen.
    pub user: UserId,
    /// What may be done.
    pub scopes: Scopes,
    /// What was shown.
    pub credential: CredentialKind,
}

/// The credential does not allow this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{who} missing required scope: {scope}", who = self.who())]
pub struct ScopeDenied {
    /// The scope that is missing.
    pub scope: Scope,
    /// What was shown.
    pub credential: CredentialKind,
}

impl ScopeDenied {
    fn who(&self) -> &'static str {
        match self.credential {
            CredentialKind::ApiKey(_) | CredentialKind::ConfiguredKey => "API key",
            CredentialKind::SessionToken => "Session token",
            CredentialKind::MasterToken
            | CredentialKind::Localhost
            | CredentialKind::CommandLine => "Caller",
        }
    }
}

impl ServiceError for ScopeDenied {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Forbidden
    }
    fn code(&self) -> &'static str {
        "missing_scope"
    }
    fn public_message(&self) -> String {
        self.to_string()
    }
}

impl Caller {
    /// The operator, with every scope.
    pub fn operator(credential: CredentialKind) -> Self {
        Self {
            user: UserId::operator(),
            scopes: Scopes::full(),
            credential,
        }
    }

    /// Fails unless `scope` is allowed.
    pub fn require(&self, scope: Scope) -> Result<(), ScopeDenied> {
        if self.scopes.allows(scope) {
            Ok(())
        } else {
            Err(ScopeDenied {
                scope,
                credential: self.credential.clone(),
            })
        }
    }
}
