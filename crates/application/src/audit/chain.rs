//! The chain of hashes: how an entry is linked to the one before it, and how a chain is checked.
//!
//! The hash of an entry is SHA-256 over the hash of the entry before it and over every field of the entry, each with
//! its length. So a changed, added, removed or moved entry no longer fits, unless all entries after it are made anew;
//! that is found by comparing with a head that is kept elsewhere.

use majordomo_domain::{AuditChain, AuditEntry, AuditHash, AuditRecord, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What the first entry is linked to.
pub const ORIGIN: AuditHash = [0; 32];
/// Says what is hashed, so that a hash of something else never fits.
const DOMAIN: &[u8] = b"majordomo audit entry\0";
/// Most faults that a check tells apart.
const MAX_FAULTS: usize = 100;

/// The entry that `record` becomes at place `seq`, after an entry with the hash `previous`.
pub fn entry(record: &AuditRecord, seq: u64, previous: &AuditHash) -> AuditEntry {
    let details: Map<String, Value> = record
        .details
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
        .collect();
    let mut entry = AuditEntry {
        seq,
        at: record.at,
        actor: record.actor.as_ref().map(ToString::to_string),
        credential: record.credential.to_owned(),
        key: record.key.clone(),
        action: record.action.to_owned(),
        target: record.target.clone(),
        outcome: record.outcome.as_str().to_owned(),
        address: record.source.address.map(|address| address.to_string()),
        request: record.source.request.map(|request| request.to_string()),
        count: record.count.max(1),
        details: Value::Object(details).to_string(),
        hash: Vec::new(),
    };
    entry.hash = link(previous, &entry).to_vec();
    entry
}

/// The hash of `entry` after an entry with the hash `previous`. Its own stored hash is not read.
pub fn link(previous: &AuditHash, entry: &AuditEntry) -> AuditHash {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(previous);
    hasher.update(entry.seq.to_be_bytes());
    hasher.update(entry.at.as_micros().to_be_bytes());
    hasher.update(entry.count.to_be_bytes());
    let texts = [
        entry.actor.as_deref(),
        Some(&entry.credential),
        entry.key.as_deref(),
        Some(&entry.action),
        Some(&entry.target),
        Some(&entry.outcome),
        entry.address.as_deref(),
        entry.request.as_deref(),
        Some(&entry.details),
    ];
    for text in texts {
        match text {
            None => hasher.update([0]),
            Some(text) => {
                hasher.update([1]);
                hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(text.as_bytes());
            }
        }
    }
    hasher.finalize().into()
}

/// What does not fit in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainFault {
    /// Entries are missing, or stand in another place.
    #[error("entry {expected} is missing: entry {found} follows")]
    Missing {
        /// The place that should come next.
        expected: u64,
        /// The place that does.
        found: u64,
    },
    /// The entry, or the one before it, is not what was written.
    #[error("entry {seq} is not what was written after entry {}", seq.saturating_sub(1))]
    Changed {
        /// Its place.
        seq: u64,
    },
    /// The last entries are missing.
    #[error("the last entry is {found}, but entry {expected} was written")]
    Truncated {
        /// The place of the last entry, as it was noted.
        expected: u64,
        /// The place of the last entry that is there.
        found: u64,
    },
    /// There are more entries than were noted as written.
    #[error("entry {found} is there, but entry {expected} is noted as the last one")]
    Beyond {
        /// The place of the last entry, as it was noted.
        expected: u64,
        /// The place of the last entry that is there.
        found: u64,
    },
    /// An entry differs from what was noted elsewhere: the chain was made anew.
    #[error("entry {seq} is not the one noted in {place}")]
    Forked {
        /// Its place.
        seq: u64,
        /// Where it was noted.
        place: &'static str,
    },
}

/// A place in the chain and the hash there, noted where the log itself is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The place.
    pub seq: u64,
    /// The hash of the entry at that place.
    pub hash: AuditHash,
    /// When it was noted; the epoch where nobody knows.
    pub at: Timestamp,
}

/// Checks a chain, entry after entry.
#[derive(Debug)]
pub struct ChainCheck {
    seq: u64,
    hash: AuditHash,
    checked: u64,
    faults: Vec<ChainFault>,
    anchors: Vec<(Anchor, &'static str)>,
}

impl ChainCheck {
    /// A check of what follows the entry `seq` with this hash.
    pub fn after(seq: u64, hash: AuditHash) -> Self {
        Self {
            seq,
            hash,
            checked: 0,
            faults: Vec::new(),
            anchors: Vec::new(),
        }
    }

    /// Has the chain compared with what was noted in `place`. Anchors before the chain's beginning say nothing of it.
    pub fn expect(&mut self, anchor: Anchor, place: &'static str) {
        if anchor.seq > self.seq {
            self.anchors.push((anchor, place));
        } else if anchor.seq == self.seq && anchor.hash != self.hash {
            self.fault(ChainFault::Forked {
                seq: anchor.seq,
                place,
            });
        }
    }

    /// Checks the next entry. After a fault the check goes on from what is stored, so that every fault is told once.
    pub fn follow(&mut self, entry: &AuditEntry) {
        let expected = self.seq.saturating_add(1);
        if entry.seq != expected {
            self.fault(ChainFault::Missing {
                expected,
                found: entry.seq,
            });
        } else if link(&self.hash, entry).as_slice() != entry.hash.as_slice() {
            self.fault(ChainFault::Changed { seq: entry.seq });
        }
        self.checked += 1;
        self.seq = entry.seq;
        self.hash = AuditHash::try_from(entry.hash.as_slice()).unwrap_or(ORIGIN);
        let forked: Vec<ChainFault> = self
            .anchors
            .iter()
            .filter(|(anchor, _)| anchor.seq == self.seq && anchor.hash != self.hash)
            .map(|(anchor, place)| ChainFault::Forked {
                seq: anchor.seq,
                place,
            })
            .collect();
        for fault in forked {
            self.fault(fault);
        }
    }

    /// Ends the check: the last entry must be the one at the chain's `last` end, and no anchor may lie beyond it.
    pub fn finish(mut self, chain: Option<&AuditChain>) -> ChainReport {
        if let Some(chain) = chain {
            let (expected, found) = (chain.last_seq, self.seq);
            match found.cmp(&expected) {
                std::cmp::Ordering::Less => self.fault(ChainFault::Truncated { expected, found }),
                std::cmp::Ordering::Greater => self.fault(ChainFault::Beyond { expected, found }),
                std::cmp::Ordering::Equal if self.hash != chain.last_hash => {
                    self.fault(ChainFault::Forked {
                        seq: found,
                        place: "the database's own note of the last entry",
                    });
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        let furthest = self.anchors.iter().map(|(anchor, _)| anchor.seq).max();
        if let Some(expected) = furthest.filter(|seq| *seq > self.seq) {
            let found = self.seq;
            self.fault(ChainFault::Truncated { expected, found });
        }
        ChainReport {
            checked: self.checked,
            last_seq: self.seq,
            last_hash: self.hash,
            faults: self.faults,
        }
    }

    fn fault(&mut self, fault: ChainFault) {
        if self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Entries checked.
    pub checked: u64,
    /// The place of the last one.
    pub last_seq: u64,
    /// Its hash.
    pub last_hash: AuditHash,
    /// What does not fit; at most 100.
    pub faults: Vec<ChainFault>,
}

impl ChainReport {
    /// Whether everything fits.
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}
