//! What is remembered of acts that matter to security: who did what to what, from where, and how it ended.
//!
//! An [`AuditRecord`] is what a use case says of an act. Storage makes an [`AuditEntry`] of it: the record with its
//! place and its link in a chain of hashes, in which no entry can be changed, removed or moved unseen.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use crate::{CredentialKind, Timestamp, UserId};

/// Longest target or detail of a record, in characters; longer ones are cut.
pub const MAX_AUDIT_TEXT: usize = 200;
/// Most details of a record; further ones are left out.
pub const MAX_AUDIT_DETAILS: usize = 12;
/// What a hash in the chain is: SHA-256.
pub type AuditHash = [u8; 32];

/// The id of a request, as logs and answers show it: a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

/// Where a request comes from; empty for acts that no request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestSource {
    /// The client's address, seen through trusted proxies.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request: Option<RequestId>,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    /// It was done.
    Success,
    /// It was refused.
    Denied,
    /// It was allowed and could not be done.
    Failed,
}

impl AuditOutcome {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`AuditOutcome::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Denied, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// An act that matters to security. Made where the act is decided and stored in the transaction of the act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; `None` when nobody was recognised, or the server acts by itself.
    pub actor: Option<UserId>,
    /// What was shown: [`CredentialKind::name`], `none` or `system`.
    pub credential: &'static str,
    /// Which key was shown, where it was one with an id.
    pub key: Option<String>,
    /// What was done, as `area.verb`: `api_key.create`.
    pub action: &'static str,
    /// What it was done to, as `kind:id`; empty for the server as a whole.
    pub target: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Where the request came from.
    pub source: RequestSource,
    /// How many alike acts this record stands for, at least 1.
    pub count: u64,
    /// A few more facts. Never a secret.
    pub details: BTreeMap<&'static str, String>,
}

impl AuditRecord {
    /// A successful act of the server itself, such as a daily check.
    pub fn of_system(action: &'static str, at: Timestamp) -> Self {
        Self {
            at,
            actor: None,
            credential: "system",
            key: None,
            action,
            target: String::new(),
            outcome: AuditOutcome::Success,
            source: RequestSource::default(),
            count: 1,
            details: BTreeMap::new(),
        }
    }

    /// A refused act of somebody who was not recognised.
    pub fn of_stranger(action: &'static str, source: RequestSource, at: Timestamp) -> Self {
        Self {
            credential: "none",
            outcome: AuditOutcome::Denied,
            source,
            ..Self::of_system(action, at)
        }
    }

    /// A successful act of `actor`, who showed `credential`.
    pub fn of_user(
        action: &'static str,
        actor: &UserId,
        credential: &CredentialKind,
        source: RequestSource,
        at: Timestamp,
    ) -> Self {
        Self {
            actor: Some(actor.clone()),
            credential: credential.name(),
            key: credential.key_id().map(str::to_owned),
            source,
            ..Self::of_system(action, at)
        }
    }

    /// The same act, done to the object `kind:id`.
    #[must_use]
    pub fn on(mut self, kind: &str, id: impl fmt::Display) -> Self {
        self.target = presentable(&format!("{kind}:{id}"));
        self
    }

    /// The same act with another end.
    #[must_use]
    pub fn ended(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same act with one more fact, cut to [`MAX_AUDIT_TEXT`]. Words that look like credentials are left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        if self.details.len() < MAX_AUDIT_DETAILS {
            self.details.insert(name, presentable(&value.to_string()));
        }
        self
    }
}

/// How the credentials of this server and of model providers begin.
const SECRET_PREFIXES: [&str; 9] = [
    "pp_", "px_", "ck_", "sk-", "ppat_", "pprt_", "pc_", "eyJ", "$argon2",
];
/// A word with such a beginning and more characters than this is a secret; shorter ones are shown prefixes of keys.
const SHOWN_OF_SECRET: usize = 16;

/// Text of one line and bounded length, without what looks like a credential.
fn presentable(text: &str) -> String {
    let mut shown = String::new();
    let mut word = String::new();
    for c in text.chars().take(MAX_AUDIT_TEXT * 2) {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '+' | '/' | '~') {
            word.push(c);
        } else {
            show(&mut shown, &word);
            word.clear();
            shown.push(if c.is_control() { ' ' } else { c });
        }
    }
    show(&mut shown, &word);
    shown.chars().take(MAX_AUDIT_TEXT).collect()
}

/// Adds a word, or a note that there was a secret.
fn show(shown: &mut String, word: &str) {
    let is_secret = word.len() > SHOWN_OF_SECRET
        && SECRET_PREFIXES
            .iter()
            .any(|prefix| word.starts_with(prefix));
    shown.push_str(if is_secret { "[redacted]" } else { word });
}

/// A stored record. Its texts are kept as they are stored, whatever they are: an entry that somebody has tampered with
/// must be shown, not hidden by an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The place in the log, from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Option<String>,
    /// What was shown.
    pub credential: String,
    /// Which key was shown.
    pub key: Option<String>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// The client's address.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
    /// How many alike acts this entry stands for.
    pub count: u64,
    /// More facts, as the text of a JSON object.
    pub details: String,
    /// The hash of this entry and of the one before it.
    pub hash: Vec<u8>,
}

/// Both ends of the stored chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditChain {
    /// The place before the first stored entry: 0, or that of the last archived one.
    pub base_seq: u64,
    /// The hash at that place; all zero at 0.
    pub base_hash: AuditHash,
    /// The place of the last entry.
    pub last_seq: u64,
    /// Its hash.
    pub last_hash: AuditHash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_reads_like_a_uuid() {
        let id = RequestId(0x0198_c0de_1234_7abc_8def_0123_4567_89ab);
        assert_eq!(id.to_string(), "0198c0de-1234-7abc-8def-0123456789ab");
    }

    #[test]
    fn a_record_is_bounded_and_of_one_line() {
        let record = AuditRecord::of_system("test.act", Timestamp::EPOCH)
            .on("session", "a\nb")
            .with("long", "x".repeat(5_000));
        assert_eq!(record.target, "session:a b");
        assert_eq!(record.details["long"].chars().count(), MAX_AUDIT_TEXT);
    }

    #[test]
    fn what_looks_like_a_credential_is_left_out() {
        let secret = format!("pp_{}", "A".repeat(43));
        for text in [
            secret.clone(),
            format!("key={secret}"),
            format!("(\"{secret}\")"),
        ] {
            let record = AuditRecord::of_system("test.act", Timestamp::EPOCH)
                .on("key", &text)
                .with("value", &text);
            assert!(!format!("{record:?}").contains(&secret), "{record:?}");
        }
        let shown = AuditRecord::of_system("test.act", Timestamp::EPOCH).with("p", "pp_abcdefghi");
        assert_eq!(shown.details["p"], "pp_abcdefghi");
    }
}
