//! Credentials and what they allow.

use std::fmt;

use crate::{ApiKeyId, Timestamp, UserId};

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
    /// Nothing: a request from this machine under the rules of the localhost bypass.
    Localhost,
    /// The command line, working on the data directory itself.
    CommandLine,
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
}

impl ApiKey {
    /// Whether the key opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
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
    fn names_round_trip() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("root"), None);
    }
}
