//! What was refused, counted before it is written: a flood of wrong credentials becomes a few entries with counts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::{AuditRecord, RequestSource, Timestamp};

/// How long alike refusals are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// Most kinds of refusals told apart within a window; all others share one count. With two entries for each kind, an
/// attacker who has all addresses of the world writes 65 entries per minute at most.
const MAX_KINDS: usize = 32;

/// What is alike: the act, who tried it and from where.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    action: &'static str,
    network: Option<IpAddr>,
    actor: Option<String>,
    key: Option<String>,
}

/// Refusals of one kind within the window.
#[derive(Debug)]
struct Tally {
    latest: AuditRecord,
    unwritten: u64,
    /// Whether this window has an entry of the kind already: the next one waits for the window's end.
    written: bool,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Timestamp>,
    kinds: HashMap<Kind, Tally>,
    others: u64,
}

/// Counts refusals. The first of a kind is due at once, the others of the same minute together at its end.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<State>);

impl Refusals {
    /// Counts one. Cheap, and bounded whatever happens.
    pub fn note(&self, record: AuditRecord) {
        let mut state = self.state();
        state.since.get_or_insert(record.at);
        state.add(record);
    }

    /// The records that are due at `now`; they are forgotten here.
    pub fn due(&self, now: Timestamp) -> Vec<AuditRecord> {
        let mut state = self.state();
        let over = state.since.is_some_and(|since| now.since(since) >= WINDOW);
        state.take(now, over)
    }

    /// All that is not written yet, due or not.
    pub fn rest(&self, now: Timestamp) -> Vec<AuditRecord> {
        self.state().take(now, true)
    }

    /// Counts again what could not be written.
    pub fn put_back(&self, record: AuditRecord) {
        self.note(record);
    }

    /// A test that panicked while it held the lock has failed already, and a count is never half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, record: AuditRecord) {
        let kind = Kind {
            action: record.action,
            network: record.source.address.map(network),
            actor: record.actor.as_ref().map(ToString::to_string),
            key: record.key.clone(),
        };
        if let Some(tally) = self.kinds.get_mut(&kind) {
            tally.unwritten = tally.unwritten.saturating_add(record.count);
            tally.latest = record;
        } else if self.kinds.len() < MAX_KINDS {
            let tally = Tally {
                unwritten: record.count,
                latest: record,
                written: false,
            };
            self.kinds.insert(kind, tally);
        } else {
            self.others = self.others.saturating_add(record.count);
        }
    }

    fn take(&mut self, now: Timestamp, over: bool) -> Vec<AuditRecord> {
        let mut due: Vec<AuditRecord> = Vec::new();
        for tally in self.kinds.values_mut() {
            if tally.unwritten > 0 && (over || !tally.written) {
                due.push(AuditRecord {
                    count: tally.unwritten,
                    ..tally.latest.clone()
                });
                tally.unwritten = 0;
                tally.written = true;
            }
        }
        due.sort_by_key(|record| record.at);
        if over {
            if self.others > 0 {
                let source = RequestSource::default();
                let mut others = AuditRecord::of_stranger("refusals.others", source, now);
                others.count = self.others;
                due.push(others);
            }
            *self = Self::default();
        }
        due
    }
}

/// Whoever has one IPv6 address has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, secs: i64) -> AuditRecord {
        let source = RequestSource {
            address: Some(address.parse().unwrap()),
            request: None,
        };
        AuditRecord::of_stranger("credential.refuse", source, Timestamp::from_secs(secs))
    }

    fn counts(records: &[AuditRecord]) -> Vec<(&'static str, u64)> {
        records.iter().map(|r| (r.action, r.count)).collect()
    }

    #[test]
    fn the_first_is_due_at_once_and_the_others_with_the_window() {
        let refusals = Refusals::default();
        refusals.note(refused("192.0.2.1", 0));
        assert_eq!(
            counts(&refusals.due(Timestamp::from_secs(1))),
            [("credential.refuse", 1)]
        );
        for _ in 0..500 {
            refusals.note(refused("192.0.2.1", 2));
        }
        assert!(refusals.due(Timestamp::from_secs(3)).is_empty());
        let later = refusals.due(Timestamp::from_secs(61));
        assert_eq!(counts(&later), [("credential.refuse", 500)]);
        assert!(refusals.due(Timestamp::from_secs(200)).is_empty());
    }

    #[test]
    fn a_flood_from_everywhere_stays_small() {
        let refusals = Refusals::default();
        let mut written = Vec::new();
        for number in 0..100_000u32 {
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            refusals.note(refused(&address, 0));
            if number % 100 == 0 {
                written.extend(refusals.due(Timestamp::from_secs(1)));
            }
        }
        written.extend(refusals.due(Timestamp::from_secs(60)));
        assert!(written.len() <= 2 * MAX_KINDS + 1, "{}", written.len());
        assert_eq!(written.iter().map(|r| r.count).sum::<u64>(), 100_000);
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let refusals = Refusals::default();
        refusals.note(refused("2001:db8::1", 0));
        refusals.note(refused("2001:db8::2", 0));
        refusals.note(refused("2001:db8:0:1::1", 0));
        let counted = counts(&refusals.rest(Timestamp::EPOCH));
        assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 3);
        assert_eq!(counted.len(), 2);
    }

    #[test]
    fn what_could_not_be_written_is_counted_again() {
        let refusals = Refusals::default();
        refusals.note(refused("192.0.2.1", 0));
        refusals.note(refused("192.0.2.1", 0));
        for record in refusals.due(Timestamp::EPOCH) {
            refusals.put_back(record);
        }
        assert_eq!(
            counts(&refusals.rest(Timestamp::EPOCH)),
            [("credential.refuse", 2)]
        );
    }
}
