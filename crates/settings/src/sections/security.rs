//! `[security]`: who may connect, and how often.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::catalogue::{Kind, SettingValue, section};
use crate::error::SettingsError;
use crate::secret::Secret;
use crate::validate::check_range;

section! {
    /// Who may connect, and how often.
    pub struct SecuritySettings {
        /// Whether clients on this machine need no credential. It only takes effect where every listener is on
        /// loopback and there is neither a `public_url` nor a trusted proxy.
        localhost_auth_bypass: bool = true;
        /// Hours after which a session token expires.
        session_token_ttl_hours: u32 = 24;
        /// Hours after which a user who signed in with a password must do so again, unless they use the server meanwhile.
        login_token_ttl_hours: u32 = 168;
        /// Whether requests are limited at all: the one switch for all limits below.
        rate_limit_enabled: bool = true;
        /// Requests per minute and address on the `/v1` routes.
        rate_limit_rpm: NonZeroU32 = per(120);
        /// Requests per second and address on the `/api/v1` routes, on average.
        rate_limit_api_per_sec: NonZeroU32 = per(10);
        /// Requests at once and per address on the `/api/v1` routes.
        rate_limit_api_burst: NonZeroU32 = per(30);
        /// Login attempts per second and address, on average.
        rate_limit_login_per_sec: NonZeroU32 = per(1);
        /// Login attempts at once and per address.
        rate_limit_login_burst: NonZeroU32 = per(5);
        /// WebSocket connections opened per second and address, on average.
        rate_limit_ws_per_sec: NonZeroU32 = per(2);
        /// WebSocket connections opened at once and per address.
        rate_limit_ws_burst: NonZeroU32 = per(5);
        /// Requests per minute and API key on the `/api/v1` routes.
        rate_limit_key_rpm: NonZeroU32 = per(60);
        /// API keys in plain text, each with the UUID of its user. Prefer `api_keys`, which holds hashes.
        api_key_users: ApiKeyUsers = ApiKeyUsers::default(),
            example "{ \"sk-...\" = \"018f4e6e-0000-7000-8000-000000000001\" }";
        /// Hashed API keys.
        api_keys: Vec<ApiKeySettings> = Vec::new();
    }
}

section! {
    /// One hashed API key.
    pub struct ApiKeySettings {
        /// Argon2id hash of the key in PHC string form.
        hash: Secret = Secret::default() => required, example "\"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\"";
        /// UUID of the user that the key stands for.
        user_id: UserUuid = UserUuid::default() => required, example "\"018f4e6e-0000-7000-8000-000000000001\"";
        /// What it may do; never administer. Empty: everything else.
        scopes: Vec<String> = Vec::new();
        /// When it stops working, as RFC 3339. Not set: never.
        expires_at: Option<String> = None, example "\"2027-01-31T00:00:00Z\"";
        /// Where its requests must come from, as addresses or CIDR ranges. Empty: anywhere.
        allowed_addresses: Vec<String> = Vec::new();
        /// The models it may ask, as `provider/model`, `provider/*` or `model`. Empty: all.
        allowed_models: Vec<String> = Vec::new();
        /// Requests per minute of all limited keys of its user together. Not set: as other requests.
        requests_per_minute: Option<NonZeroU32> = None, example "60";
    }
}

/// A default limit. All of them are positive constants, which the saturation never touches.
const fn per(limit: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(limit.saturating_sub(1))
}

impl SecuritySettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range(
            "security.session_token_ttl_hours",
            self.session_token_ttl_hours,
            1..=87_600,
            "",
        )?;
        check_range(
            "security.login_token_ttl_hours",
            self.login_token_ttl_hours,
            1..=87_600,
            "",
        )?;
        check_range(
            "security.api_key_users",
            self.api_key_users.0.len(),
            0..=10_000,
            " keys",
        )?;
        check_range(
            "security.api_keys",
            self.api_keys.len(),
            0..=10_000,
            " keys",
        )?;
        for (index, key) in self.api_keys.iter().enumerate() {
            if !is_argon2id_phc(key.hash.expose()) {
                let problem =
                    "expected an Argon2id hash such as `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`";
                return Err(SettingsError::invalid(
                    format!("security.api_keys[{index}].hash"),
                    problem,
                ));
            }
        }
        Ok(())
    }
}

/// Whether the text has the form `$argon2id$v=19$m=M,t=T,p=P$SALT$HASH` (the PHC string format).
fn is_argon2id_phc(text: &str) -> bool {
    let base64 = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/')
    };
    let parameters = |part: &str| {
        let mut given = part.split(',').map(|pair| pair.split_once('='));
        ["m", "t", "p"].iter().all(|name| {
            matches!(given.next(), Some(Some((key, value))) if key == *name && value.parse::<u32>().is_ok_and(|n| n > 0))
        }) && given.next().is_none()
    };
    let mut parts = text.split('$');
    parts.next() == Some("")
        && parts.next() == Some("argon2id")
        && parts.next() == Some("v=19")
        && parts.next().is_some_and(parameters)
        && parts.next().is_some_and(base64)
        && parts.next().is_some_and(base64)
        && parts.next().is_none()
}

/// The UUID of a user in its usual form, `8-4-4-4-12` lower-case hexadecimal digits (RFC 9562).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUuid(String);

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID such as \"018f4e6e-0000-7000-8000-000000000001\"")]
pub struct UserUuidError;

impl UserUuid {
    /// The UUID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for UserUuid {
    /// The nil UUID, which stands for nobody.
    fn default() -> Self {
        Self("00000000-0000-0000-0000-000000000000".to_owned())
    }
}

impl fmt::Display for UserUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserUuid {
    type Err = UserUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        let hexadecimal = groups
            .iter()
            .all(|group| group.chars().all(|c| c.is_ascii_hexdigit()));
        if lengths == [8, 4, 4, 4, 12] && hexadecimal {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(UserUuidError)
    }
}

impl<'de> Deserialize<'de> for UserUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl SettingValue for UserUuid {
    const KIND: Kind = Kind::Text;

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.0.clone()))
    }
}

/// Plain API keys, each with its user.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyUsers(Vec<(Secret, UserUuid)>);

impl ApiKeyUsers {
    /// The keys with their users.
    pub fn iter(&self) -> impl Iterator<Item = (&Secret, &UserUuid)> {
        self.0.iter().map(|(key, user)| (key, user))
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for ApiKeyUsers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The table is read as a whole first: an error inside it would name its entry, and the name is the secret.
        let table = toml::Table::deserialize(deserializer)
            .map_err(|_| D::Error::custom("expected a table"))?;
        let mut users = Vec::with_capacity(table.len());
        for (index, (key, user)) in table.into_iter().enumerate() {
            let user = user
                .as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| {
                    D::Error::custom(format!(
                        "the user of entry {} in alphabetical order: {UserUuidError}",
                        index + 1
                    ))
                })?;
            if key.trim().is_empty() {
                return Err(D::Error::custom("a key must not be empty"));
            }
            users.push((Secret::new(key), user));
        }
        Ok(Self(users))
    }
}

impl SettingValue for ApiKeyUsers {
    const KIND: Kind = Kind::TextTable;

    fn to_toml(&self) -> Option<toml::Value> {
        None
    }
}
