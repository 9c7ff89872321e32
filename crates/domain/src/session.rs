//! Sessions: a conversation and what a list of conversations shows of it.

use thiserror::Error;

use crate::{SessionId, Timestamp, UserId};

/// Where a session was begun. Shown in lists; decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// PocketPaw's REST or WebSocket clients.
    WebSocket,
    /// PiSovereign's or OpenAI's HTTP clients.
    Api,
    /// The command line.
    Cli,
    /// Another system, whose export was imported.
    Import,
}

impl Channel {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Api => "api",
            Self::Cli => "cli",
            Self::Import => "import",
        }
    }

    /// The inverse of [`Channel::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::WebSocket, Self::Api, Self::Cli, Self::Import]
            .into_iter()
            .find(|c| c.as_str() == name)
    }
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Unique per owner.
    pub id: SessionId,
    /// Who may see it.
    pub owner: UserId,
    /// What lists show.
    pub title: SessionTitle,
    /// Where it was begun.
    pub channel: Channel,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When its last message was stored or, imported from another system, said.
    pub updated_at: Timestamp,
    /// Number of stored messages.
    pub message_count: u64,
    /// The model chosen for this session with `/model`, when one was.
    pub model: Option<String>,
}

impl Session {
    /// A session without messages.
    pub fn begin(id: SessionId, owner: UserId, channel: Channel, now: Timestamp) -> Self {
        Self {
            id,
            owner,
            title: SessionTitle::untitled(),
            channel,
            created_at: now,
            updated_at: now,
            message_count: 0,
            model: None,
        }
    }
}

/// A session's title: derived from the first message until the user chooses one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTitle {
    text: String,
    chosen: bool,
}

/// Why a text is no title.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TitleError {
    /// Nothing but white space.
    #[error("must not be blank")]
    Blank,
    /// Longer than [`SessionTitle::MAX_CHARS`].
    #[error("must not be longer than {max} characters, has {actual}", max = SessionTitle::MAX_CHARS)]
    TooLong {
        /// The text's length in characters.
        actual: usize,
    },
}

impl SessionTitle {
    /// Longest title a user may choose, in characters.
    pub const MAX_CHARS: usize = 200;
    /// Longest derived title, in characters.
    pub const DERIVED_CHARS: usize = 80;

    /// The title of a session without messages.
    pub fn untitled() -> Self {
        Self {
            text: "New Chat".to_owned(),
            chosen: false,
        }
    }

    /// A title derived from the first user message: its first line, cut to 80 characters.
    pub fn derive(message: &str) -> Self {
        let line = message
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        if line.is_empty() {
            return Self::untitled();
        }
        Self {
            text: line.chars().take(Self::DERIVED_CHARS).collect(),
            chosen: false,
        }
    }

    /// A title the user chose. It is never replaced by a derived one.
    pub fn choose(text: &str) -> Result<Self, TitleError> {
        let text = text.trim();
        let actual = text.chars().count();
        if actual == 0 {
            return Err(TitleError::Blank);
        }
        if actual > Self::MAX_CHARS {
            return Err(TitleError::TooLong { actual });
        }
        Ok(Self {
            text: text.to_owned(),
            chosen: true,
        })
    }

    /// A title as it was stored.
    pub fn stored(text: String, chosen: bool) -> Self {
        Self { text, chosen }
    }

    /// The title's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the user chose it.
    pub const fn is_chosen(&self) -> bool {
        self.chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_title_is_the_first_line_cut_on_a_character() {
        assert_eq!(SessionTitle::derive("\n  Hello\nworld").as_str(), "Hello");
        assert_eq!(
            SessionTitle::derive(&"ü".repeat(100))
                .as_str()
                .chars()
                .count(),
            80
        );
        assert_eq!(SessionTitle::derive("  \n "), SessionTitle::untitled());
    }

    #[test]
    fn a_chosen_title_has_bounds() {
        assert_eq!(SessionTitle::choose("  "), Err(TitleError::Blank));
        assert_eq!(
            SessionTitle::choose(&"x".repeat(201)),
            Err(TitleError::TooLong { actual: 201 })
        );
        assert!(SessionTitle::choose(" Trip ").unwrap().is_chosen());
    }

    proptest::proptest! {
        #[test]
        fn titles_have_bounds_whatever_they_are_made_of(text in "(?s).{0,300}") {
            let derived = SessionTitle::derive(&text);
            proptest::prop_assert!(derived.as_str().chars().count() <= SessionTitle::DERIVED_CHARS);
            proptest::prop_assert!(!derived.as_str().is_empty() && !derived.as_str().contains('\n'));
            if let Ok(chosen) = SessionTitle::choose(&text) {
                proptest::prop_assert!(chosen.as_str().chars().count() <= SessionTitle::MAX_CHARS);
                proptest::prop_assert!(!chosen.as_str().trim().is_empty());
            }
        }
    }
}
