//! Text that must not be shown: keys, hashes, and addresses that contain a password.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::catalogue::{Kind, SettingValue};
use crate::error::SettingsError;

/// Longest secret that is read from a file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A secret text. It has no `Display`, no `Serialize` and no `PartialEq`; `Debug` prints `[redacted]`.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads the secret in a file, without surrounding white space. `key` is the setting that names the file.
    pub(crate) fn read_file(key: &str, path: &Path) -> Result<Self, SettingsError> {
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| {
                let path = path.display();
                SettingsError::invalid(key, format!("cannot read {path}: {error}"))
            })?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(SettingsError::invalid(
                key,
                format!("the file is longer than {MAX_FILE_BYTES} bytes"),
            ));
        }
        match text.trim() {
            "" => Err(SettingsError::invalid(
                key,
                format!("{} is empty", path.display()),
            )),
            secret => Ok(Self::new(secret)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual message would quote the value that has the wrong type.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("expected text"))
    }
}

impl SettingValue for Secret {
    const KIND: Kind = Kind::Text;

    fn to_toml(&self) -> Option<toml::Value> {
        None
    }
}
