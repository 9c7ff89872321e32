//! Which of many texts are nearly the same, without comparing each with each.
//!
//! Two sets of words that share at least the share `t` of all their words also share one of the rarest
//! `n - ceil(t * n) + 1` words of either, where `n` is its size. So only texts that share a rare word are compared
//! (prefix filtering; Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning, 2006). It
//! finds all there are.

use majordomo_domain::MemoryKind;
use majordomo_domain::memory::MERGED_FROM;

/// Texts looked at for being like another at most: seconds of work.
const MAX_COMPARED: u64 = 50_000_000;

/// A text to compare.
#[derive(Debug)]
pub(super) struct Entry {
    /// Only texts of one kind are compared.
    pub(super) kind: MemoryKind,
    /// The numbers of its different words, from 0 without gaps over all texts; nothing is compared with none.
    pub(super) words: Vec<u32>,
}

/// Two texts that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    /// The place of the later one.
    pub(super) newer: usize,
    /// The place of that of the earlier ones which is most like it.
    pub(super) older: usize,
    /// The share of the words of both that both have.
    pub(super) share: f64,
}

/// What comparing found.
#[derive(Debug, PartialEq)]
pub(super) struct Comparison {
    /// One pair for each text that is like an earlier one, in the order of the later.
    pub(super) alike: Vec<Pair>,
    /// Whether every text was compared with all that could be like it.
    pub(super) whole: bool,
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The least words a text must share with one of `size` words to be like it.
fn least(size: usize) -> usize {
    (0..=size)
        .rev()
        .take_while(|shared| number(*shared) >= MERGED_FROM * number(size))
        .last()
        .unwrap_or(size)
}

/// Renumbers the words of all texts by how rare they are, rarest first, and sorts each text by that.
fn by_rarity(entries: &mut [Entry], vocabulary: usize) {
    let mut frequency = vec![0_u32; vocabulary];
    let place = |word: u32| usize::try_from(word).unwrap_or(usize::MAX);
    for word in entries.iter().flat_map(|entry| &entry.words) {
        if let Some(count) = frequency.get_mut(place(*word)) {
            *count += 1;
        }
    }
    let mut order: Vec<u32> = (0..).take(vocabulary).collect();
    order.sort_by_key(|word| frequency.get(place(*word)).copied());
    let mut rank = vec![0_u32; vocabulary];
    for (position, word) in (0_u32..).zip(order) {
        if let Some(rank) = rank.get_mut(place(word)) {
            *rank = position;
        }
    }
    for entry in entries {
        for word in &mut entry.words {
            *word = rank.get(place(*word)).copied().unwrap_or(*word);
        }
        entry.words.sort_unstable();
    }
}

/// How many words two sorted lists share.
fn shared(mut one: &[u32], mut other: &[u32]) -> usize {
    let mut count = 0;
    while let (Some((a, rest_a)), Some((b, rest_b))) = (one.split_first(), other.split_first()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => one = rest_a,
            std::cmp::Ordering::Greater => other = rest_b,
            std::cmp::Ordering::Equal => {
                count += 1;
                (one, other) = (rest_a, rest_b);
            }
        }
    }
    count
}

/// Finds the texts that are like an earlier one; `vocabulary` is the number of all different words.
pub(super) fn compare(mut entries: Vec<Entry>, vocabulary: usize) -> Comparison {
    by_rarity(&mut entries, vocabulary);
    let mut smallest_first: Vec<usize> = (0..entries.len()).collect();
    smallest_first.sort_by_key(|place| entries.get(*place).map(|entry| entry.words.len()));
    let mut best: Vec<Option<Pair>> = vec![None; entries.len()];
    // Which texts have a word among their rarest.
    let mut having: Vec<Vec<usize>> = vec![Vec::new(); vocabulary];
    // The text each was last compared with.
    let mut met = vec![usize::MAX; entries.len()];
    let (mut compared, mut whole) = (0_u64, true);
    for place in smallest_first {
        let Some(entry) = entries.get(place).filter(|entry| !entry.words.is_empty()) else {
            continue;
        };
        let size = entry.words.len();
        let least = least(size);
        for word in entry.words.iter().take(size - least + 1) {
            let Some(having) = usize::try_from(*word)
                .ok()
                .and_then(|word| having.get_mut(word))
            else {
                continue;
            };
            for other in having.iter().copied() {
                if compared >= MAX_COMPARED {
                    whole = false;
                    break;
                }
                compared += 1;
                let fresh = met
                    .get_mut(other)
                    .is_some_and(|met| std::mem::replace(met, place) != place);
                let Some(candidate) = entries.get(other).filter(|_| fresh) else {
                    continue;
                };
                if candidate.kind != entry.kind || candidate.words.len() < least {
                    continue;
                }
                let both = shared(&entry.words, &candidate.words);
                let share = number(both) / number(size + candidate.words.len() - both);
                if share >= MERGED_FROM {
                    note(&mut best, place, other, share);
                }
            }
            having.push(place);
        }
    }
    Comparison {
        alike: best.into_iter().flatten().collect(),
        whole,
    }
}

/// Keeps for the later of two texts the earlier one that is most like it; of equally alike ones the earliest.
fn note(best: &mut [Option<Pair>], one: usize, other: usize, share: f64) {
    let (newer, older) = (one.max(other), one.min(other));
    let Some(best) = best.get_mut(newer) else {
        return;
    };
    let better =
        best.is_none_or(|best| share > best.share || (share >= best.share && older < best.older));
    if better {
        *best = Some(Pair {
            newer,
            older,
            share,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn entries(sets: &[BTreeSet<u32>]) -> Vec<Entry> {
        let entry = |words: &BTreeSet<u32>| Entry {
            kind: MemoryKind::Fact,
            words: words.iter().copied().collect(),
        };
        sets.iter().map(entry).collect()
    }

    /// The same by comparing each with each.
    fn one_by_one(sets: &[BTreeSet<u32>]) -> Vec<Pair> {
        let mut best = vec![None; sets.len()];
        for (newer, new) in sets.iter().enumerate() {
            for (older, old) in sets.iter().enumerate().take(newer) {
                let both = new.intersection(old).count();
                let all = new.union(old).count();
                if all > 0 && number(both) / number(all) >= MERGED_FROM {
                    note(&mut best, newer, older, number(both) / number(all));
                }
            }
        }
        best.into_iter().flatten().collect()
    }

    proptest! {
        #[test]
        fn it_finds_what_comparing_each_with_each_finds(
            base in proptest::collection::btree_set(0_u32..40, 0..25),
            changes in proptest::collection::vec(proptest::collection::btree_set(0_u32..60, 0..4), 0..12),
        ) {
            let sets: Vec<BTreeSet<u32>> = changes.iter().map(|change| base.symmetric_difference(change).copied().collect()).collect();
            let found = compare(entries(&sets), 60);
            prop_assert!(found.whole);
            prop_assert_eq!(found.alike, one_by_one(&sets));
        }
    }

    #[test]
    fn kinds_are_kept_apart() {
        let mut both = entries(&[(0..9).collect(), (0..9).collect()]);
        both[1].kind = MemoryKind::Preference;
        assert_eq!(compare(both, 9).alike, []);
    }
}
