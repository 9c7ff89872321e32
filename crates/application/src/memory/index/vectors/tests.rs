//! What the vectors of an index find.

use super::*;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    /// Between -1 and 1.
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.next()).collect()
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn nearest(vectors: &Vectors, question: &[f32], most: usize) -> Vec<(u32, f32)> {
    vectors
        .question(question)
        .map(|question| vectors.nearest(&question, most, |_| true))
        .unwrap_or_default()
}

fn entries(found: &[(u32, f32)]) -> Vec<u32> {
    found.iter().map(|(entry, _)| *entry).collect()
}

#[test]
fn similarities_are_those_of_the_vectors_themselves() {
    for dimension in [1, 3, 64, 384, 1000] {
        let mut numbers = Numbers(7);
        let stored: Vec<Vec<f32>> = (0..50).map(|_| numbers.vector(dimension)).collect();
        let mut vectors = Vectors::within(usize::MAX);
        for (vector, entry) in stored.iter().zip(100..) {
            assert!(vectors.add(entry, vector).is_some());
        }
        let question = numbers.vector(dimension);
        let found = nearest(&vectors, &question, 50);
        assert_eq!(found.len(), 50);
        assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
        for (entry, similarity) in found {
            let exact = cosine(&stored[usize::try_from(entry - 100).unwrap()], &question);
            assert!((similarity - exact).abs() < 0.001, "{similarity} {exact}");
        }
    }
}

#[test]
fn of_many_vectors_the_nearest_are_found_by_their_signs() {
    let (many, dimension, asked) = (ALL_COMPARED + 5_000, 64, 5);
    let mut numbers = Numbers(11);
    let centres: Vec<Vec<f32>> = (0..100).map(|_| numbers.vector(dimension)).collect();
    let mut near = |number: usize| -> Vec<f32> {
        let centre = &centres[number % centres.len()];
        centre.iter().map(|n| n + 0.8 * numbers.next()).collect()
    };
    let stored: Vec<Vec<f32>> = (0..many).map(&mut near).collect();
    let mut vectors = Vectors::within(usize::MAX);
    for (vector, entry) in stored.iter().zip(0..) {
        vectors.add(entry, vector);
    }
    let mut right = 0;
    for number in 0..asked {
        let question = near(number);
        let mut exact: Vec<(u32, f32)> = (0..)
            .zip(&stored)
            .map(|(entry, vector)| (entry, cosine(vector, &question)))
            .collect();
        exact.sort_by(|a, b| b.1.total_cmp(&a.1));
        let exact = entries(&exact[..10]);
        let found = entries(&nearest(&vectors, &question, 10));
        right += found.iter().filter(|entry| exact.contains(entry)).count();
    }
    assert!(right >= asked * 10 * 98 / 100, "{right}");
}

#[test]
fn what_was_removed_is_not_found_and_the_last_takes_its_slot() {
    let mut vectors = Vectors::within(usize::MAX);
    for entry in 0..3_u8 {
        let vector = [f32::from(entry) + 0.5, 1.0, -1.0];
        assert_eq!(vectors.add(entry.into(), &vector), Some(entry.into()));
    }
    assert_eq!(vectors.remove(0), Some(2));
    assert_eq!(vectors.remove(7), None);
    let question = [2.5, 1.0, -1.0];
    assert_eq!(entries(&nearest(&vectors, &question, 9)), [2, 1]);
    vectors.give(0, 8);
    assert_eq!(entries(&nearest(&vectors, &question, 1)), [8]);
    assert_eq!(vectors.remove(1), None);
    assert_eq!(vectors.remove(0), None);
    assert_eq!(nearest(&vectors, &question, 1), []);
    assert_eq!(vectors.bytes(), 0);
    // An empty list takes vectors of any length.
    assert_eq!(vectors.add(5, &[1.0, 0.0]), Some(0));
    assert_eq!(entries(&nearest(&vectors, &[1.0, 1.0], 1)), [5]);
}

#[test]
fn vectors_that_cannot_be_compared_are_left_out() {
    let mut vectors = Vectors::within(usize::MAX);
    assert_eq!(vectors.add(1, &[0.0, 0.0]), None);
    assert_eq!(vectors.add(1, &[f32::INFINITY, 0.0]), None);
    assert_eq!(vectors.add(1, &[f32::NAN, 1.0]), None);
    assert_eq!(vectors.add(1, &[]), None);
    assert_eq!(vectors.add(1, &[1.0, 0.0]), Some(0));
    assert_eq!(vectors.add(2, &[1.0, 0.0, 0.0]), None);
    assert_eq!(nearest(&vectors, &[1.0], 1), []);
    assert_eq!(nearest(&vectors, &[0.0, 0.0], 1), []);
}

#[test]
fn only_wanted_entries_are_found() {
    let mut vectors = Vectors::within(usize::MAX);
    for entry in 0..10_u8 {
        vectors.add(entry.into(), &[1.0, f32::from(entry)]);
    }
    let question = vectors.question(&[1.0, 0.0]).unwrap();
    let odd = vectors.nearest(&question, 2, |entry| entry % 2 == 1);
    assert_eq!(entries(&odd), [1, 3]);
}

#[test]
fn signs_are_compared_alike_whatever_the_length() {
    for dimension in [5, 64, 200, 256, 384, 512, 768, 1024, 1536, 3072] {
        let mut numbers = Numbers(3);
        let stored: Vec<Vec<f32>> = (0..10).map(|_| numbers.vector(dimension)).collect();
        let mut vectors = Vectors::within(usize::MAX);
        for (vector, entry) in stored.iter().zip(0..) {
            vectors.add(entry, vector);
        }
        let asked = numbers.vector(dimension);
        let question = vectors.question(&asked).unwrap();
        let differ = |vector: &Vec<f32>| {
            let pairs = vector.iter().zip(&asked);
            let differ = pairs.filter(|(a, b)| (**a > 0.0) != (**b > 0.0));
            u32::try_from(differ.count()).unwrap()
        };
        let expected: Vec<u32> = stored.iter().map(differ).collect();
        assert_eq!(vectors.differences(&question.signs), expected);
    }
}
