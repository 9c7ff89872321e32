//! Typed identifiers. All are opaque text; the type keeps a session id from being used as a run id.

use std::fmt;

use thiserror::Error;

/// Longest accepted identifier, in bytes.
pub const MAX_ID_LEN: usize = 128;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_LEN`] bytes.
    #[error("must not be longer than {MAX_ID_LEN} characters")]
    TooLong,
    /// The text holds a character outside `A-Z a-z 0-9 . _ : - @`.
    #[error("may only hold letters, digits and . _ : - @")]
    Character,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_LEN {
        return Err(InvalidId::TooLong);
    }
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-' | b'@');
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidId::Character)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads an identifier: 1..=128 characters of `A-Z a-z 0-9 . _ : - @`.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Gives up the type for its text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

id! {
    /// A user: the owner of rows. The operator of a server, who holds its master token, is [`UserId::operator`].
    UserId
}
id! {
    /// A session: one conversation. Unique per owner, not across owners.
    SessionId
}
id! {
    /// A message of a session.
    MessageId
}
id! {
    /// A run: one unit of work with a journal.
    RunId
}
id! {
    /// An API key's public identifier (never the key itself).
    ApiKeyId
}

id! {
    /// An app that may ask for access: its `client_id`.
    ClientId
}
id! {
    /// What a user allowed an app: the public identifier of the grant.
    GrantId
}

id! {
    /// A memory: something the agent was told to keep, or keeps by itself.
    MemoryId
}

impl UserId {
    /// The operator: who holds the master token or connects from the same machine.
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_accept_what_the_three_systems_use() {
        for text in [
            "conv-123",
            "websocket_0123456789ab",
            "550e8400-e29b-41d4-a716-446655440000",
            "webhook:1",
        ] {
            assert_eq!(SessionId::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn ids_refuse_what_could_be_a_path_or_markup() {
        assert_eq!(SessionId::parse(""), Err(InvalidId::Empty));
        assert_eq!(SessionId::parse("a/b"), Err(InvalidId::Character));
        assert_eq!(SessionId::parse("<a>"), Err(InvalidId::Character));
        assert_eq!(SessionId::parse("ä"), Err(InvalidId::Character));
        assert_eq!(SessionId::parse("x".repeat(129)), Err(InvalidId::TooLong));
    }
}
