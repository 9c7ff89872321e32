//! An index of one owner's memories and turns, in memory: words and where they stand.
//!
//! It holds no texts, only stems. It is built from storage when it is first needed and lives in memory only, so that
//! what is sealed on the disk stands nowhere in the clear.

mod fusion;
mod ranking;
mod sessions;
mod vectors;

use std::collections::HashMap;
use std::sync::Mutex;

use majordomo_domain::{SessionId, Timestamp};

use super::words;
use crate::ports::RememberedId;
pub(crate) use fusion::{FoundEntry, Meaning};
pub(crate) use ranking::RankingQuery;
use ranking::best;
use vectors::Vectors;

/// No entry, no session, no word.
const NONE: u32 = u32::MAX;
/// What an entry takes beside its vector, in bytes, as measured.
pub(crate) const ENTRY_BYTES: usize = 400;
/// Length of the beginning that related words share, in bytes.
const PREFIX: usize = 5;

/// What is put into the index.
#[derive(Debug)]
pub(crate) struct NewEntry<'a> {
    pub(crate) id: RememberedId,
    pub(crate) text: &'a str,
    /// The conversation it belongs to: what was said before and after tells what it is about.
    pub(crate) session: Option<&'a SessionId>,
    pub(crate) created_at: Timestamp,
    /// 0 to 1.
    pub(crate) importance: f64,
}

/// A word in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Occurrence {
    word: u32,
    count: u16,
}

/// An entry that holds a word.
#[derive(Debug, Clone, Copy)]
struct Posting {
    entry: u32,
    count: u16,
}

#[derive(Debug)]
struct Entry {
    id: RememberedId,
    words: Box<[Occurrence]>,
    /// Words, each as often as it stands there.
    length: f32,
    speaker: u32,
    /// Where its vector lies.
    vector: u32,
    created_at: Timestamp,
    importance: f32,
    tells_time: bool,
}

/// Where an entry stands in its conversation: what finding reads most, apart from the rest.
#[derive(Debug, Clone, Copy)]
struct Place {
    session: u32,
    /// Neighbours in the session.
    previous: u32,
    next: u32,
    /// Words of the entry and, by their weights, of its neighbours.
    window: f32,
    is_question: bool,
    is_removed: bool,
}

#[derive(Debug)]
struct Word {
    stem: Box<str>,
    postings: Vec<Posting>,
}

#[derive(Debug)]
struct SessionWords {
    length: f32,
    newest: u32,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    entries: Vec<Entry>,
    /// One for each entry.
    places: Vec<Place>,
    by_id: HashMap<RememberedId, u32>,
    words: Vec<Word>,
    by_stem: HashMap<Box<str>, u32>,
    by_prefix: HashMap<[u8; PREFIX], Vec<u32>>,
    sessions: Vec<SessionWords>,
    by_session: HashMap<Box<str>, u32>,
    removed: usize,
    total_length: f64,
    sessions_length: f32,
    vectors: Vectors,
    /// Lists of past questions, for the next ones.
    spare: Mutex<Vec<ranking::Sums>>,
}

/// The position of what is added next to a list. No list comes near this many.
fn next_position<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(NONE)
}

fn at<T>(list: &[T], position: u32) -> Option<&T> {
    list.get(usize::try_from(position).ok()?)
}

fn at_mut<T>(list: &mut [T], position: u32) -> Option<&mut T> {
    list.get_mut(usize::try_from(position).ok()?)
}

impl MemoryIndex {
    /// Entries that can be found.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.removed
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES + self.vectors.bytes()
    }

    /// Whether so much was removed that building it anew is worth it.
    pub(crate) fn is_worn(&self) -> bool {
        self.removed > 1000 && self.removed > self.len()
    }

    /// Whether this can be found.
    pub(crate) fn contains(&self, id: &RememberedId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Puts an entry in, in place of the one with the same id. Entries of a session come in the order of the
    /// conversation; one that says the same as before keeps its place there.
    pub(crate) fn put(&mut self, new: NewEntry<'_>) {
        let stems = words::stems(new.text);
        let length = u16::try_from(stems.len()).map_or(f32::from(u16::MAX), f32::from);
        let tells_time = stems.iter().any(|stem| words::is_time(stem));
        let words = self.count_words(stems);
        let known = self.by_id.get(&new.id).copied().unwrap_or(NONE);
        if let Some(entry) = at_mut(&mut self.entries, known).filter(|e| e.words == words) {
            entry.importance = to_f32(new.importance);
            return;
        }
        let position = next_position(&self.entries);
        // Until the text is embedded anew, its vector is the one that it had.
        let vector = at_mut(&mut self.entries, known)
            .map_or(NONE, |entry| std::mem::replace(&mut entry.vector, NONE));
        self.vectors.give(vector, position);
        self.remove(&new.id);
        self.post(&words, position);
        let (session, previous) = self.join_session(new.session, position, length);
        let earlier = at_mut(&mut self.places, previous).map_or(NONE, |place| {
            place.next = position;
            place.previous
        });
        let speaker = words::speaker(new.text).map_or(NONE, |stem| self.word(stem));
        self.total_length += f64::from(length);
        self.by_id.insert(new.id.clone(), position);
        self.entries.push(Entry {
            id: new.id,
            words,
            length,
            speaker,
            vector,
            created_at: new.created_at,
            importance: to_f32(new.importance),
            tells_time,
        });
        self.places.push(Place {
            session,
            previous,
            next: NONE,
            window: length,
            is_question: new.text.trim_end().ends_with('?'),
            is_removed: false,
        });
        for changed in [position, previous, earlier] {
            let window = self.window_length(changed);
            if let Some(place) = at_mut(&mut self.places, changed) {
                place.window = window;
            }
        }
    }

    /// Takes an entry out, where it is there.
    pub(crate) fn remove(&mut self, id: &RememberedId) {
        let Some(position) = self.by_id.remove(id) else {
            return;
        };
        if let Some(place) = at_mut(&mut self.places, position) {
            place.is_removed = true;
            self.removed += 1;
        }
        if let Some(entry) = at_mut(&mut self.entries, position) {
            let vector = std::mem::replace(&mut entry.vector, NONE);
            self.remove_vector(vector);
        }
    }

    /// Gives an entry a vector, in place of the one that it had; nothing where there is no such entry.
    pub(crate) fn put_vector(&mut self, id: &RememberedId, vector: &[f32]) {
        let Some(position) = self.by_id.get(id).copied() else {
            return;
        };
        let Some(entry) = at_mut(&mut self.entries, position) else {
            return;
        };
        let old = std::mem::replace(&mut entry.vector, NONE);
        self.remove_vector(old);
        let slot = self.vectors.add(position, vector).unwrap_or(NONE);
        if let Some(entry) = at_mut(&mut self.entries, position) {
            entry.vector = slot;
        }
    }

    /// Takes all vectors out, so that those of another space can come in: about `room` bytes of them.
    pub(crate) fn clear_vectors(&mut self, room: usize) {
        self.vectors = Vectors::within(room);
        for entry in &mut self.entries {
            entry.vector = NONE;
        }
    }

    /// Whether a vector was left out for lack of room.
    pub(crate) const fn lacks_vectors(&self) -> bool {
        self.vectors.is_partial()
    }

    fn remove_vector(&mut self, slot: u32) {
        if let Some(moved) = self.vectors.remove(slot)
            && let Some(entry) = at_mut(&mut self.entries, moved)
        {
            entry.vector = slot;
        }
    }

    /// Counts words, each once, by their numbers.
    fn count_words(&mut self, stems: Vec<String>) -> Box<[Occurrence]> {
        let mut numbers: Vec<u32> = stems.into_iter().map(|stem| self.word(stem)).collect();
        numbers.sort_unstable();
        let counted = numbers.chunk_by(|a, b| a == b).filter_map(|same| {
            Some(Occurrence {
                word: *same.first()?,
                count: u16::try_from(same.len()).unwrap_or(u16::MAX),
            })
        });
        counted.collect()
    }

    /// Notes that the entry at `position` holds these words.
    fn post(&mut self, words: &[Occurrence], position: u32) {
        for occurrence in words {
            if let Some(word) = at_mut(&mut self.words, occurrence.word) {
                word.postings.push(Posting {
                    entry: position,
                    count: occurrence.count,
                });
            }
        }
    }

    /// The number of a word, which is new or known.
    fn word(&mut self, stem: String) -> u32 {
        if let Some(number) = self.by_stem.get(stem.as_str()) {
            return *number;
        }
        let number = next_position(&self.words);
        let stem = stem.into_boxed_str();
        if let Some(prefix) = prefix(&stem) {
            self.by_prefix.entry(prefix).or_default().push(number);
        }
        self.words.push(Word {
            stem: stem.clone(),
            postings: Vec::new(),
        });
        self.by_stem.insert(stem, number);
        number
    }

    /// Makes the entry at `position` the newest of its session; returns the session and who was the newest.
    fn join_session(
        &mut self,
        session: Option<&SessionId>,
        position: u32,
        length: f32,
    ) -> (u32, u32) {
        let Some(id) = session else {
            return (NONE, NONE);
        };
        let known = self.by_session.get(id.as_str()).copied();
        let number = known.unwrap_or_else(|| {
            let number = next_position(&self.sessions);
            self.by_session.insert(id.as_str().into(), number);
            self.sessions.push(SessionWords {
                length: 0.0,
                newest: NONE,
            });
            number
        });
        let Some(session) = at_mut(&mut self.sessions, number) else {
            return (NONE, NONE);
        };
        session.length += length;
        self.sessions_length += length;
        (number, std::mem::replace(&mut session.newest, position))
    }
}

/// The beginning of a word of letters that related words share.
fn prefix(stem: &str) -> Option<[u8; PREFIX]> {
    stem.as_bytes().first_chunk::<PREFIX>().copied()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "weights need no more than seven digits"
)]
const fn to_f32(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests;
