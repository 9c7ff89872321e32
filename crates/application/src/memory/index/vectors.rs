//! The vectors of entries, compared with the one of a question.
//!
//! Every number is kept in 12 bits of 16, which is half of a stored vector and changes a similarity by less than it tells
//! (8 bits lose one of fifty of the ten nearest). Where there are many vectors, their signs choose which ones are compared:
//! counting different signs reads a sixteenth of the memory that comparing does.

use super::{NONE, best};

/// Numbers are kept as whole ones between this and its negative, in proportion to the largest of their vector.
const LEVELS: f32 = 2047.0;
/// So many products of two such numbers can be summed up in 32 bits.
const SUMMED: usize = 256;
/// Signs that one word holds.
const SIGNS: usize = 64;
/// Of up to so many vectors every one is compared: one after the other that is as quick as comparing some here and there.
const ALL_COMPARED: usize = 100_000;
/// Of more, one of this many, and not fewer than these.
const COMPARED_SHARE: usize = 50;
const LEAST_COMPARED: usize = 10_000;

/// The vectors of an index, of one length each. A vector's position is its slot.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    /// Bytes that they may take.
    room: usize,
    /// Whether a vector was left out for lack of room.
    is_partial: bool,
    /// Numbers in a vector; 0 while there is none.
    dimension: usize,
    codes: Vec<i16>,
    signs: Vec<u64>,
    /// Per slot: what a whole number stands for, and whose vector it is.
    scales: Vec<f32>,
    entries: Vec<u32>,
}

/// A vector of length 1 as it is compared.
#[derive(Debug)]
pub(super) struct Code {
    numbers: Vec<i16>,
    signs: Vec<u64>,
    scale: f32,
}

impl Code {
    /// `None` for a vector without direction.
    fn of(vector: &[f32]) -> Option<Self> {
        let length = vector.iter().map(|number| number * number).sum::<f32>();
        let length = length.sqrt();
        let largest = vector.iter().fold(0.0_f32, |most, n| most.max(n.abs()));
        if !(length.is_finite() && length > 0.0 && largest > 0.0) {
            return None;
        }
        let mut signs = vec![0; vector.len().div_ceil(SIGNS)];
        for (word, numbers) in signs.iter_mut().zip(vector.chunks(SIGNS)) {
            for (bit, number) in numbers.iter().enumerate() {
                *word |= u64::from(*number > 0.0) << bit;
            }
        }
        Some(Self {
            numbers: vector
                .iter()
                .map(|number| whole(number / largest * LEVELS))
                .collect(),
            signs,
            scale: largest / LEVELS / length,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "no number is larger than LEVELS"
)]
const fn whole(number: f32) -> i16 {
    number.round() as i16
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "similarities need no more than seven digits"
)]
const fn approximate(sum: i32) -> f32 {
    sum as f32
}

/// The sum of the products of two lists of whole numbers.
fn product(a: &[i16], b: &[i16]) -> f32 {
    let parts = a.chunks(SUMMED).zip(b.chunks(SUMMED));
    let sum = |(a, b): (&[i16], &[i16])| -> i32 {
        let products = a.iter().zip(b);
        products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    parts.map(|part| approximate(sum(part))).sum()
}

/// How many signs differ, for each vector of `WORDS` words.
fn differences<const WORDS: usize>(all: &[u64], one: &[u64]) -> Vec<u32> {
    let one: [u64; WORDS] = std::array::from_fn(|at| one.get(at).copied().unwrap_or_default());
    let (all, _) = all.as_chunks::<WORDS>();
    let differ = |signs: &[u64; WORDS]| {
        let words = signs.iter().zip(&one);
        words.map(|(a, b)| (a ^ b).count_ones()).sum()
    };
    all.iter().map(differ).collect()
}

impl Vectors {
    /// None yet, and `room` bytes for them.
    pub(super) fn within(room: usize) -> Self {
        Self {
            room,
            is_partial: room == 0,
            ..Self::default()
        }
    }

    /// Whether a vector was left out for lack of room.
    pub(super) const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Bytes they take.
    pub(super) fn bytes(&self) -> usize {
        let signs = self.dimension.div_ceil(SIGNS) * size_of::<u64>();
        let one = self.dimension * size_of::<i16>() + signs + size_of::<f32>() + size_of::<u32>();
        one * self.entries.len()
    }

    /// Keeps the vector of an entry that has none, and gives its slot. `None`, and nothing is kept, where it has no
    /// direction or another length than the others, or there is no room for it.
    pub(super) fn add(&mut self, entry: u32, vector: &[f32]) -> Option<u32> {
        if self.entries.is_empty() {
            self.dimension = vector.len();
        }
        if vector.len() != self.dimension {
            return None;
        }
        if self.bytes() >= self.room {
            self.is_partial = true;
            return None;
        }
        let code = Code::of(vector)?;
        let slot = u32::try_from(self.entries.len()).ok()?;
        self.codes.extend(code.numbers);
        self.signs.extend(code.signs);
        self.scales.push(code.scale);
        self.entries.push(entry);
        Some(slot)
    }

    /// Says whose vector the one at `slot` is from now on.
    pub(super) fn give(&mut self, slot: u32, entry: u32) {
        if let Some(of) = super::at_mut(&mut self.entries, slot) {
            *of = entry;
        }
    }

    /// Lets go of the vector at `slot`. The entry whose vector now lies there, if any.
    pub(super) fn remove(&mut self, slot: u32) -> Option<u32> {
        let at = usize::try_from(slot).ok()?;
        if at >= self.entries.len() {
            return None;
        }
        self.entries.swap_remove(at);
        self.scales.swap_remove(at);
        move_last(&mut self.codes, at, self.dimension);
        move_last(&mut self.signs, at, self.dimension.div_ceil(SIGNS));
        self.entries.get(at).copied()
    }

    /// A question's vector, to be compared with these; `None` where it cannot be.
    pub(super) fn question(&self, vector: &[f32]) -> Option<Code> {
        let fits = vector.len() == self.dimension && !self.entries.is_empty();
        fits.then(|| Code::of(vector)).flatten()
    }

    /// The `most` entries among the wanted ones whose vectors are the nearest to a question's, the nearest first, each
    /// with the cosine of the angle between them.
    pub(super) fn nearest(
        &self,
        question: &Code,
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<(u32, f32)> {
        let entry = |slot: u32| super::at(&self.entries, slot).copied();
        let similarity = |slot: u32| self.similarity(slot, question).unwrap_or_default();
        let slots = self.candidates(&question.signs).into_iter();
        let slots: Vec<u32> = slots
            .filter(|slot| entry(*slot).is_some_and(&wanted))
            .collect();
        let nearest = best(&slots, most, |slot| similarity(*slot)).into_iter();
        let nearest = nearest.filter_map(|slot| Some((entry(slot)?, similarity(slot))));
        nearest.collect()
    }

    /// The cosine of the angle between the vector at `slot` and a question's.
    pub(super) fn similarity(&self, slot: u32, question: &Code) -> Option<f32> {
        let scale = super::at(&self.scales, slot)?;
        let from = usize::try_from(slot).ok()?.checked_mul(self.dimension)?;
        let numbers = self.codes.get(from..from.checked_add(self.dimension)?)?;
        Some(product(numbers, &question.numbers) * scale * question.scale)
    }

    /// The slots that are worth comparing.
    fn candidates(&self, signs: &[u64]) -> Vec<u32> {
        let slots = 0..u32::try_from(self.entries.len()).unwrap_or(NONE);
        if self.entries.len() <= ALL_COMPARED {
            return slots.collect();
        }
        let most = LEAST_COMPARED.max(self.entries.len() / COMPARED_SHARE);
        let differences = self.differences(signs);
        // How many vectors have so many different signs.
        let mut counts = vec![0_usize; self.dimension + 1];
        for different in &differences {
            if let Some(count) = super::at_mut(&mut counts, *different) {
                *count += 1;
            }
        }
        let mut total = 0;
        let enough = counts.iter().position(|count| {
            total += count;
            total >= most
        });
        let limit = enough.and_then(|limit| u32::try_from(limit).ok());
        let near = slots.zip(differences);
        let near = near.filter(|(_, different)| limit.is_none_or(|limit| *different <= limit));
        near.map(|(slot, _)| slot).collect()
    }

    fn differences(&self, signs: &[u64]) -> Vec<u32> {
        // The usual lengths are known when this is compiled, which makes it several times faster.
        match signs.len() {
            4 => differences::<4>(&self.signs, signs),
            6 => differences::<6>(&self.signs, signs),
            8 => differences::<8>(&self.signs, signs),
            12 => differences::<12>(&self.signs, signs),
            16 => differences::<16>(&self.signs, signs),
            24 => differences::<24>(&self.signs, signs),
            48 => differences::<48>(&self.signs, signs),
            words => {
                let differ = |one: &[u64]| {
                    let pairs = one.iter().zip(signs);
                    pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
                };
                self.signs.chunks_exact(words.max(1)).map(differ).collect()
            }
        }
    }
}

/// Puts the last of the parts that a list is made of, each `length` long, in the place of the one at `part`.
fn move_last<T: Copy>(list: &mut Vec<T>, part: usize, length: usize) {
    let rest = list.len().saturating_sub(length);
    let to = part * length;
    if to < rest {
        list.copy_within(rest.., to);
    }
    list.truncate(rest);
}

#[cfg(test)]
mod tests;
