//! Who is asking.

use std::sync::{Arc, LazyLock};

use majordomo_domain::{
    AuditRecord, CredentialKind, KeyLimits, ModelRef, RequestSource, Scope, Scopes, Timestamp,
    UserId, UserRole,
};
use thiserror::Error;

use crate::error::{ErrorKind, ServiceError};

/// Who is asking, and what the credential shown allows. Every service method takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows are seen.
    pub user: UserId,
    /// The user's role.
    pub role: UserRole,
    /// What may be done: what both the credential and the role allow.
    pub scopes: Scopes,
    /// What was shown.
    pub credential: CredentialKind,
    /// Where the request comes from, for the audit log: the web kernel says so, all others leave it empty.
    pub source: RequestSource,
    /// What limits the key that was shown, where one with limits was shown.
    pub limits: Arc<KeyLimits>,
}

/// The credential does not allow this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.words())]
pub struct ScopeDenied {
    /// The scope that was asked for.
    pub scope: Scope,
    /// Whether the scope is there, but the user's role changes nothing.
    pub read_only: bool,
    /// What was shown.
    pub credential: CredentialKind,
}

impl ScopeDenied {
    fn words(&self) -> String {
        if self.read_only {
            "This user may not change anything".to_owned()
        } else {
            format!("{} missing required scope: {}", self.who(), self.scope)
        }
    }

    fn who(&self) -> &'static str {
        match self.credential {
            CredentialKind::ApiKey(_) | CredentialKind::ConfiguredKey => "API key",
            CredentialKind::OAuthToken(_) => "OAuth token",
            CredentialKind::SessionToken => "Session token",
            CredentialKind::Login => "User",
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
        if self.read_only {
            "read_only"
        } else {
            "missing_scope"
        }
    }
    fn public_message(&self) -> String {
        self.to_string()
    }
}

impl Caller {
    /// A user by one of their credentials: what may be done is what both the credential and the role allow.
    pub fn new(user: UserId, role: UserRole, scopes: Scopes, credential: CredentialKind) -> Self {
        Self {
            user,
            role,
            scopes: scopes.intersect(role.scopes()),
            credential,
            source: RequestSource::default(),
            limits: no_limits(),
        }
    }

    /// The same caller, whose request comes from `source`.
    #[must_use]
    pub fn asking_from(mut self, source: RequestSource) -> Self {
        self.source = source;
        self
    }

    /// The same caller within the limits of a key.
    #[must_use]
    pub fn within(mut self, limits: Arc<KeyLimits>) -> Self {
        self.limits = limits;
        self
    }

    /// Whether `model` may be asked. What may not be asked does not exist for this caller.
    pub fn may_ask(&self, model: &ModelRef) -> bool {
        self.limits.allows_model(model)
    }

    /// The operator, with every scope.
    pub fn operator(credential: CredentialKind) -> Self {
        Self::new(
            UserId::operator(),
            UserRole::Owner,
            Scopes::full(),
            credential,
        )
    }

    /// Fails unless `scope` is allowed: what every method that only reads begins with.
    pub fn require(&self, scope: Scope) -> Result<(), ScopeDenied> {
        if self.scopes.allows(scope) {
            Ok(())
        } else {
            Err(self.denied(scope))
        }
    }

    /// Fails unless `scope` is allowed and the user's role may change things: what every method that changes something
    /// begins with.
    pub fn require_change(&self, scope: Scope) -> Result<(), ScopeDenied> {
        self.require(scope)?;
        if self.role.may_change() {
            Ok(())
        } else {
            Err(ScopeDenied {
                read_only: true,
                ..self.denied(scope)
            })
        }
    }

    /// What the audit log says of an act of this caller that succeeds at `at`.
    pub fn record(&self, action: &'static str, at: Timestamp) -> AuditRecord {
        AuditRecord::of_user(action, &self.user, &self.credential, self.source, at)
    }

    /// The refusal of what `scope` stands for.
    pub(crate) fn denied(&self, scope: Scope) -> ScopeDenied {
        ScopeDenied {
            scope,
            read_only: false,
            credential: self.credential.clone(),
        }
    }
}

/// One value for all who have no limits: callers are made for every request.
fn no_limits() -> Arc<KeyLimits> {
    static NONE: LazyLock<Arc<KeyLimits>> = LazyLock::new(Arc::default);
    Arc::clone(&NONE)
}
