//! Memories: what the agent keeps beyond a conversation, where it comes from, how it fades and how two become one.

mod ageing;
mod merging;

use thiserror::Error;

use crate::{MemoryId, MessageId, Role, RunId, SessionId, Timestamp, UserId};

pub use ageing::{DECAY_PER_DAY, FORGOTTEN_BELOW};
pub use merging::{ADDITION, MAX_SOURCES, MERGED_FROM};

/// Longest content, in characters.
pub const MAX_CONTENT_CHARS: usize = 10_000;
/// Longest summary, in characters.
pub const MAX_SUMMARY_CHARS: usize = 200;
/// Most tags.
pub const MAX_TAGS: usize = 20;
/// Longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 50;

/// What kind of thing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryKind {
    /// Something that is so.
    Fact,
    /// What the user likes or wants.
    Preference,
    /// What a tool found out.
    ToolResult,
    /// What the user put right.
    Correction,
    /// What was said.
    Context,
}

impl MemoryKind {
    /// Every kind, in the order statistics show them.
    pub const ALL: [Self; 5] = [
        Self::Fact,
        Self::Preference,
        Self::ToolResult,
        Self::Correction,
        Self::Context,
    ];

    /// The stable name used in storage and in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Preference => "preference",
            Self::ToolResult => "tool_result",
            Self::Correction => "correction",
            Self::Context => "context",
        }
    }

    /// The name people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fact => "Fact",
            Self::Preference => "Preference",
            Self::ToolResult => "Tool Result",
            Self::Correction => "Correction",
            Self::Context => "Context",
        }
    }

    /// The inverse of [`MemoryKind::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How much a memory matters: 0 (nothing) to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Importance(f64);

/// A number is no importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between 0.0 and 1.0")]
pub struct InvalidImportance;

impl Importance {
    /// What a memory has when nothing is said.
    pub const DEFAULT: Self = Self(0.5);

    /// Reads a number between 0 and 1.
    pub fn new(value: f64) -> Result<Self, InvalidImportance> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidImportance)
        }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The larger of two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

/// Who put something into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryAuthor {
    /// The user, by an API or the command line.
    User,
    /// The agent, by its own decision.
    Agent,
    /// A tool's output.
    Tool,
    /// A file that was imported.
    Import,
}

impl MemoryAuthor {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Import => "import",
        }
    }

    /// The inverse of [`MemoryAuthor::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Agent, Self::Tool, Self::Import]
            .into_iter()
            .find(|author| author.as_str() == name)
    }

    /// How far what comes from this author may be believed.
    pub const fn trust(self) -> MemoryTrust {
        match self {
            Self::User => MemoryTrust::Trusted,
            Self::Agent | Self::Tool | Self::Import => MemoryTrust::Untrusted,
        }
    }
}

/// How far a memory may be believed. Whatever it is, a memory is data and never an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryTrust {
    /// The user said it.
    Trusted,
    /// It comes from a model, a tool or a file, which others may have written.
    Untrusted,
}

impl MemoryTrust {
    /// The stable name used on the wire and in prompts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }
}

/// Where a memory, or a part of it, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySource {
    /// Who put it in.
    pub author: MemoryAuthor,
    /// The conversation it comes from. It may be gone by now.
    pub session: Option<SessionId>,
    /// The message it comes from.
    pub message: Option<MessageId>,
    /// The run it comes from.
    pub run: Option<RunId>,
}

impl MemorySource {
    /// From nothing but its author.
    pub const fn of(author: MemoryAuthor) -> Self {
        Self {
            author,
            session: None,
            message: None,
            run: None,
        }
    }
}

/// Something that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Unique on the server.
    pub id: MemoryId,
    /// Who may see it.
    pub owner: UserId,
    /// All of it; at most [`MAX_CONTENT_CHARS`].
    pub content: String,
    /// It in one line; at most [`MAX_SUMMARY_CHARS`].
    pub summary: String,
    /// What kind of thing it is.
    pub kind: MemoryKind,
    /// How much it matters now.
    pub importance: Importance,
    /// Words to sort it by: at most [`MAX_TAGS`], none twice.
    pub tags: Vec<String>,
    /// Where it comes from: first what it began with, then what was merged into it. At least one, at most
    /// [`MAX_SOURCES`].
    pub sources: Vec<MemorySource>,
    /// When it happened or was said; when it was stored, where nothing else is known.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last found.
    pub accessed_at: Timestamp,
    /// How often it was found.
    pub access_count: u64,
    /// Up to when its importance has faded.
    pub decayed_at: Timestamp,
    /// Grows with each change of any of the owner's memories; given by storage, 0 before.
    pub revision: u64,
}

impl Memory {
    /// What it began with.
    pub fn source(&self) -> Option<&MemorySource> {
        self.sources.first()
    }

    /// When it was last changed or found.
    pub fn used_at(&self) -> Timestamp {
        self.updated_at.max(self.accessed_at)
    }

    /// How far it may be believed: as far as the least believable of its sources.
    pub fn trust(&self) -> MemoryTrust {
        let trusted = |source: &MemorySource| source.author.trust() == MemoryTrust::Trusted;
        if !self.sources.is_empty() && self.sources.iter().all(trusted) {
            MemoryTrust::Trusted
        } else {
            MemoryTrust::Untrusted
        }
    }

    /// The summary of a content that came without one: its first line with text, cut on a character.
    pub fn summarize(content: &str) -> String {
        let line = content
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        if line.chars().count() <= MAX_SUMMARY_CHARS {
            return line.to_owned();
        }
        let mut summary: String = line.chars().take(MAX_SUMMARY_CHARS - 1).collect();
        summary.push('…');
        summary
    }
}

/// A stored message as memory sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryTurn {
    /// The message.
    pub message: MessageId,
    /// The conversation.
    pub session: SessionId,
    /// Position in the conversation.
    pub seq: u64,
    /// Who speaks.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// When.
    pub created_at: Timestamp,
    /// The run it belongs to; `None` for what was imported.
    pub run: Option<RunId>,
}

impl MemoryTurn {
    /// Where it comes from: an imported message is not what the user or the agent said here.
    pub fn source(&self) -> MemorySource {
        let author = match (&self.run, self.role) {
            (None, _) => MemoryAuthor::Import,
            (Some(_), Role::User) => MemoryAuthor::User,
            (Some(_), _) => MemoryAuthor::Agent,
        };
        MemorySource {
            author,
            session: Some(self.session.clone()),
            message: Some(self.message.clone()),
            run: self.run.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
