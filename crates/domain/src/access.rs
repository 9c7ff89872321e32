//! Credentials and what they allow.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::{AddressRange, ApiKeyId, GrantId, ModelRef, Timestamp, UserId};

/// One thing a credential may do. The names are PocketPaw's, which its clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// Talk to the agent and to models.
    Chat,
    /// Read and change sessions.
    Sessions,
    /// Read settings.
    SettingsRead,
    /// Change settings.
    SettingsWrite,
    /// Configure messaging channels.
    Channels,
    /// Read and change memories.
    Memory,
    /// Everything an operator may do.
    Admin,
    /// Install and read kits.
    Kits,
    /// Read files.
    FilesRead,
    /// Change files.
    FilesWrite,
    /// Read usage and system metrics.
    Metrics,
    /// Install and run skills.
    Skills,
    /// Reminders, intentions and webhooks.
    Automation,
}

impl Scope {
    /// Every scope, in the order they are documented.
    pub const ALL: [Self; 13] = [
        Self::Chat,
        Self::Sessions,
        Self::SettingsRead,
        Self::SettingsWrite,
        Self::Channels,
        Self::Memory,
        Self::Admin,
        Self::Kits,
        Self::FilesRead,
        Self::FilesWrite,
        Self::Metrics,
        Self::Skills,
        Self::Automation,
    ];

    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Sessions => "sessions",
            Self::SettingsRead => "settings:read",
            Self::SettingsWrite => "settings:write",
            Self::Channels => "channels",
            Self::Memory => "memory",
            Self::Admin => "admin",
            Self::Kits => "kits",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::Metrics => "metrics",
            Self::Skills => "skills",
            Self::Automation => "automation",
        }
    }

    /// The inverse of [`Scope::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. `admin` implies every other.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// No scope at all.
    pub const NONE: Self = Self(0);

    /// Every scope: what the master token, its session tokens and the local bypass have.
    pub fn full() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is allowed.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether every scope of `other` is allowed.
    pub fn covers(self, other: Self) -> bool {
        other.iter().all(|scope| self.allows(scope))
    }

    /// What both sets allow. `admin` implies every other here too.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Scope::ALL
            .into_iter()
            .filter(|scope| self.allows(*scope) && other.allows(*scope))
            .collect()
    }

    /// The scopes named in the set, without those only implied.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Scope::as_str))
            .finish()
    }
}

/// What a caller showed to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKind {
    /// The master token of the data directory.
    MasterToken,
    /// A token or cookie exchanged for the master token.
    SessionToken,
    /// An API key made on this server.
    ApiKey(ApiKeyId),
    /// An API key of the configuration file.
    ConfiguredKey,
    /// The access token of an app, made of what a user granted it.
    OAuthToken(GrantId),
    /// The token or cookie of a user who signed in with a password.
    Login,
    /// Nothing: a request from this machine under the rules of the localhost bypass.
    Localhost,
    /// The command line, working on the data directory itself.
    CommandLine,
}

impl CredentialKind {
    /// The stable name used in the audit log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MasterToken => "master_token",
            Self::SessionToken => "session_token",
            Self::ApiKey(_) => "api_key",
            Self::ConfiguredKey => "configured_key",
            Self::OAuthToken(_) => "oauth_token",
            Self::Login => "login",
            Self::Localhost => "localhost",
            Self::CommandLine => "command_line",
        }
    }

    /// Which key was shown, where it is one with an id.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            Self::ApiKey(id) => Some(id.as_str()),
            Self::OAuthToken(id) => Some(id.as_str()),
            Self::MasterToken
            | Self::SessionToken
            | Self::ConfiguredKey
            | Self::Login
            | Self::Localhost
            | Self::CommandLine => None,
        }
    }
}

/// An API key's record. The key itself is shown once and only its SHA-256 digest is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Public identifier.
    pub id: ApiKeyId,
    /// Whose rows the key opens.
    pub owner: UserId,
    /// What the user calls it, 1..=100 characters.
    pub name: String,
    /// The key's first characters, to recognise it by.
    pub prefix: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether it is switched on; one that is off can be switched on again.
    pub enabled: bool,
    /// What limits it beyond its scopes.
    pub limits: Arc<KeyLimits>,
}

impl ApiKey {
    /// Whether the key opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.enabled && self.is_alive(now)
    }

    /// Whether the key is neither revoked nor expired at `now`. It may be switched off.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What limits a key beyond its scopes. The default limits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Where its requests must come from; anywhere when empty.
    pub addresses: Vec<AddressRange>,
    /// The models it may ask, as `provider/model`, `provider/*` or `model`; all when empty.
    pub models: Vec<String>,
    /// How many requests it may send a minute; the server's default when missing.
    pub requests_per_minute: Option<NonZeroU32>,
}

impl KeyLimits {
    /// Whether a request from `address` is let in. Where the address is not known only an unlimited key is.
    pub fn allows_address(&self, address: Option<IpAddr>) -> bool {
        self.addresses.is_empty()
            || address
                .is_some_and(|address| self.addresses.iter().any(|range| range.contains(address)))
    }

    /// Whether `model` may be asked.
    pub fn allows_model(&self, model: &ModelRef) -> bool {
        self.models.is_empty()
            || self
                .models
                .iter()
                .any(|allowed| match allowed.split_once('/') {
                    Some((provider, "*")) => provider == model.provider,
                    Some((provider, name)) => provider == model.provider && name == model.model,
                    None => *allowed == model.model,
                } || *allowed == model.model)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn admin_implies_every_scope_and_nothing_else_does() {
        let admin = Scopes::from_iter([Scope::Admin]);
        let chat = Scopes::from_iter([Scope::Chat]);
        assert!(Scope::ALL.into_iter().all(|scope| admin.allows(scope)));
        assert!(
            chat.allows(Scope::Chat) && !chat.allows(Scope::Sessions) && !chat.allows(Scope::Admin)
        );
        assert!(admin.covers(chat) && !chat.covers(admin));
    }

    #[test]
    fn a_key_asks_the_models_it_names() {
        let key = |models: &[&str]| KeyLimits {
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            ..KeyLimits::default()
        };
        let model = ModelRef::new("mock", "org/small");
        for allowing in [
            &[][..],
            &["mock/*"],
            &["mock/org/small"],
            &["org/small"],
            &["x", "mock/*"],
        ] {
            assert!(key(allowing).allows_model(&model), "{allowing:?}");
        }
        for refusing in ["other/*", "mock/org", "small", "mock/org/smaller", "*"] {
            assert!(!key(&[refusing]).allows_model(&model), "{refusing}");
        }
    }

    #[test]
    fn a_key_with_addresses_is_refused_where_the_address_is_not_known() {
        let limits = KeyLimits {
            addresses: vec!["192.0.2.0/24".parse().unwrap()],
            ..KeyLimits::default()
        };
        assert!(limits.allows_address(Some([192, 0, 2, 1].into())));
        assert!(!limits.allows_address(Some([192, 0, 3, 1].into())));
        assert!(!limits.allows_address(None));
        assert!(KeyLimits::default().allows_address(None));
    }

    fn any_scopes() -> impl Strategy<Value = Scopes> {
        proptest::collection::vec(proptest::sample::select(Scope::ALL.to_vec()), 0..6)
            .prop_map(Scopes::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_is_allowed_by_an_intersection_that_both_do_not_allow(a in any_scopes(), b in any_scopes()) {
            let both = a.intersect(b);
            for scope in Scope::ALL {
                prop_assert_eq!(both.allows(scope), a.allows(scope) && b.allows(scope), "{}", scope);
            }
            prop_assert!(a.covers(both) && b.covers(both));
            prop_assert_eq!(both, b.intersect(a));
            prop_assert_eq!(a.intersect(Scopes::full()).iter().all(|s| a.allows(s)), true);
        }

        #[test]
        fn covering_is_allowing_every_scope(a in any_scopes(), b in any_scopes()) {
            let every = Scope::ALL.into_iter().all(|s| !b.allows(s) || a.allows(s));
            prop_assert_eq!(a.covers(b), every);
        }
    }

    #[test]
    fn names_round_trip() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("root"), None);
    }
}
