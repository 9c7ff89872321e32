//! People and machines who use the server, and what their role allows.

use std::fmt;

use thiserror::Error;

use crate::{Scope, Scopes, Timestamp, UserId};

/// What a user may do at most. A credential of theirs never allows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserRole {
    /// Owns the server: everything. There is exactly one, [`UserId::operator`].
    Owner,
    /// Administers the server and its users, but not the owner.
    Admin,
    /// Uses the server.
    Member,
    /// Sees what is theirs and changes nothing.
    Viewer,
    /// A program: uses the server by API keys and has no password.
    Service,
}

impl UserRole {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Admin,
        Self::Member,
        Self::Viewer,
        Self::Service,
    ];

    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Service => "service",
        }
    }

    /// The inverse of [`UserRole::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What a user of this role may do at most.
    pub fn scopes(self) -> Scopes {
        let all = Scope::ALL.into_iter();
        match self {
            Self::Owner | Self::Admin => Scopes::full(),
            Self::Member | Self::Service => all.filter(|scope| *scope != Scope::Admin).collect(),
            Self::Viewer => all
                .filter(|scope| {
                    !matches!(
                        scope,
                        Scope::Admin | Scope::SettingsWrite | Scope::FilesWrite
                    )
                })
                .collect(),
        }
    }

    /// Whether a user of this role may change anything at all.
    pub const fn may_change(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    /// Whether a user of this role signs in with a password.
    pub const fn has_password(self) -> bool {
        !matches!(self, Self::Service)
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Shortest and longest username, in characters.
pub const USERNAME_LEN: std::ops::RangeInclusive<usize> = 3..=64;

/// Why a text is no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidUsername {
    /// Fewer than 3 or more than 64 characters.
    #[error("must have 3 to 64 characters")]
    Length,
    /// A character outside `A-Z a-z 0-9 . _ - @ +`.
    #[error("may only hold letters, digits and . _ - @ +")]
    Character,
}

/// The name a user signs in with. Spelled as its user likes; two names that differ in case only are the same name.
#[derive(Debug, Clone)]
pub struct Username(String);

impl Username {
    /// Reads a name: 3..=64 characters of `A-Z a-z 0-9 . _ - @ +`, so that no two names look alike.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        if !USERNAME_LEN.contains(&text.chars().count()) {
            return Err(InvalidUsername::Length);
        }
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+');
        if text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUsername::Character)
        }
    }

    /// The name as its user spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form by which names are compared and unique.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Username {}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's record. The hash of the password is kept apart from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Whose rows are theirs.
    pub id: UserId,
    /// What they sign in with.
    pub username: Username,
    /// What they may do at most.
    pub role: UserRole,
    /// Whether their credentials open anything.
    pub enabled: bool,
    /// Counts what ends every token of the user: a new password, being disabled. Tokens of an older count are refused.
    pub token_version: u32,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When they last signed in with their password.
    pub last_login_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_round_trip() {
        for role in UserRole::ALL {
            assert_eq!(UserRole::parse(role.as_str()), Some(role));
        }
        assert_eq!(UserRole::parse("root"), None);
    }

    #[test]
    fn only_owner_and_admin_administer() {
        for role in UserRole::ALL {
            let administers = matches!(role, UserRole::Owner | UserRole::Admin);
            assert_eq!(role.scopes().allows(Scope::Admin), administers, "{role}");
        }
        assert!(!UserRole::Viewer.may_change());
    }

    #[test]
    fn usernames_are_compared_without_case_and_refused_when_they_could_deceive() {
        assert_eq!(Username::parse("Alice"), Username::parse("alice"));
        assert_eq!(Username::parse("al").err(), Some(InvalidUsername::Length));
        for deceiving in ["al ice", "алиса", "a\u{200b}lice", "ali/ce"] {
            assert_eq!(
                Username::parse(deceiving).err(),
                Some(InvalidUsername::Character),
                "{deceiving}"
            );
        }
    }
}
