//! Secrets at rest: sealed before they are stored, opened when they are used.

use std::fmt;

use thiserror::Error;

/// A secret in the clear. It has no `Display` and no `PartialEq`; `Debug` prints `[redacted]`.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where a sealed text is stored. It is bound to this place: moved to another row or column it cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretPlace<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The values of the row's key.
    pub row: &'a [&'a str],
}

/// Why a secret cannot be sealed or opened. Never holds the secret or the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The text is no sealed secret.
    #[error("what is stored is not a sealed secret")]
    Malformed,
    /// It was sealed with a key that this server does not have.
    #[error("it was sealed with the secret key {key_id}, which this server does not have")]
    UnknownKey {
        /// Names the key; says nothing of it.
        key_id: String,
    },
    /// The key is there, but the text was changed or moved from another place.
    #[error("it was changed, or moved from another place, after it was sealed")]
    Tampered,
    /// It is not what is sealed here: no text.
    #[error("what was sealed is not text")]
    NotText,
    /// It cannot be sealed.
    #[error("the secret cannot be sealed")]
    Unsealable,
}

/// Seals secrets for storage and opens them again. There is no way around it: what cannot be opened is an error, never
/// taken as plain text.
pub trait SecretBox: Send + Sync {
    /// Seals a text for a place, with the current key. The same text sealed twice MUST look different.
    fn seal(&self, place: SecretPlace<'_>, secret: &str) -> Result<String, SecretError>;

    /// Opens what [`seal`](Self::seal) made for the same place, with the current or an earlier key.
    fn open(&self, place: SecretPlace<'_>, sealed: &str) -> Result<String, SecretError>;

    /// Whether it was sealed with the current key.
    fn is_current(&self, sealed: &str) -> bool;
}
