//! What an adapter must know about its provider.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// A provider's API key. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// Wraps a key; surrounding white space, as files and variables tend to have, is dropped.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKey(***)")
    }
}

/// One provider: where it is, how to be let in, how long to wait.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The provider's configured name; begins every error message.
    pub name: String,
    /// `http` or `https` address without credentials, query or fragment; the protocol's paths are appended to it.
    pub base_url: String,
    /// The key, where the provider wants one.
    pub api_key: Option<ProviderKey>,
    /// Longest wait for a connection; also the longest a listing of models may take.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read.
    pub idle_timeout: Duration,
    /// Longest time for a whole answer.
    pub total_timeout: Duration,
}

impl ProviderConfig {
    /// A provider without a key that connects within 10 s, is silent for at most 120 s and done after 600 s.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            api_key: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(2),
            total_timeout: Duration::from_mins(10),
        }
    }

    /// The same provider with a key.
    #[must_use]
    pub fn with_api_key(mut self, key: ProviderKey) -> Self {
        self.api_key = Some(key);
        self
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address with credentials is refused later on; until then it must not be printed either.
        let base_url = if self.base_url.contains('@') {
            "***"
        } else {
            &self.base_url
        };
        f.debug_struct("ProviderConfig")
            .field("name", &self.name)
            .field("base_url", &base_url)
            .field("api_key", &self.api_key)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("total_timeout", &self.total_timeout)
            .finish()
    }
}

/// Why an adapter cannot be made from its configuration. Never holds the value that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProviderConfigError {
    /// The address is not one of `http` or `https` with a host and no query or fragment.
    #[error("provider {name}: base_url must be an http or https address without query or fragment")]
    BaseUrl {
        /// The provider's configured name.
        name: String,
    },
    /// The address holds a user name or password.
    #[error("provider {name}: base_url must not hold credentials; use api_key")]
    CredentialsInUrl {
        /// The provider's configured name.
        name: String,
    },
    /// The key holds characters that no HTTP header can carry, or is empty.
    #[error("provider {name}: api_key is empty or holds characters that a header cannot carry")]
    ApiKey {
        /// The provider's configured name.
        name: String,
    },
    /// The system offers no trust roots, or TLS cannot be set up otherwise.
    #[error(
        "provider {name}: TLS cannot be set up ({reason}); install the system's CA certificates or set SSL_CERT_FILE"
    )]
    Tls {
        /// The provider's configured name.
        name: String,
        /// What the TLS library says.
        reason: String,
    },
}
