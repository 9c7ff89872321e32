//! The network reckoned anew, number by number and in double precision, from the paper alone.

use crate::tiny::{HEADS, LAYERS, SIZE, Weights};

/// The states of all tokens after the last layer.
pub(crate) fn states(weights: &Weights, ids: &[usize]) -> Vec<Vec<f64>> {
    let net = Net(weights);
    let mut states: Vec<Vec<f64>> = ids
        .iter()
        .enumerate()
        .map(|(place, &id)| {
            let word = net.row("embeddings.word_embeddings.weight", id);
            let position = net.row("embeddings.position_embeddings.weight", place);
            let kind = net.row("embeddings.token_type_embeddings.weight", 0);
            let sum: Vec<f64> = (0..SIZE).map(|i| word[i] + position[i] + kind[i]).collect();
            net.norm("embeddings.LayerNorm", &sum)
        })
        .collect();
    for layer in 0..LAYERS {
        let layer = format!("encoder.layer.{layer}");
        let attended = net.attention(&format!("{layer}.attention"), &states);
        states = attended
            .iter()
            .map(|state| {
                let wide = net.linear(&format!("{layer}.intermediate.dense"), state);
                let wide: Vec<f64> = wide.into_iter().map(gelu).collect();
                let narrow = net.linear(&format!("{layer}.output.dense"), &wide);
                net.norm(&format!("{layer}.output.LayerNorm"), &add(&narrow, state))
            })
            .collect();
    }
    states
}

/// The mean, made 1 long.
pub(crate) fn mean(states: &[Vec<f64>]) -> Vec<f64> {
    let sum = states
        .iter()
        .fold(vec![0.0; SIZE], |sum, state| add(&sum, state));
    unit(&sum)
}

/// The same vector with the length 1.
pub(crate) fn unit(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|n| n * n).sum::<f64>().sqrt();
    vector.iter().map(|n| n / length).collect()
}

struct Net<'a>(&'a Weights);

impl Net<'_> {
    fn row(&self, name: &str, at: usize) -> Vec<f64> {
        let (shape, numbers) = &self.0[name];
        let width = *shape.last().expect("a shape");
        let row = &numbers[at * width..(at + 1) * width];
        row.iter().map(|&n| f64::from(n)).collect()
    }

    fn linear(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let weight = format!("{name}.weight");
        let bias = self.row(&format!("{name}.bias"), 0);
        let rows = self.0[&weight].0[0];
        (0..rows)
            .map(|row| dot(&self.row(&weight, row), input) + bias[row])
            .collect()
    }

    fn norm(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let mean = input.iter().sum::<f64>() / input.len() as f64;
        let variance = input.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / input.len() as f64;
        let (weight, bias) = (
            self.row(&format!("{name}.weight"), 0),
            self.row(&format!("{name}.bias"), 0),
        );
        (0..input.len())
            .map(|i| (input[i] - mean) / (variance + 1e-12).sqrt() * weight[i] + bias[i])
            .collect()
    }

    fn attention(&self, name: &str, states: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let project = |part: &str| -> Vec<Vec<f64>> {
            let part = format!("{name}.self.{part}");
            states
                .iter()
                .map(|state| self.linear(&part, state))
                .collect()
        };
        let (queries, keys, values) = (project("query"), project("key"), project("value"));
        let width = SIZE / HEADS;
        let attended = |at: usize| -> Vec<f64> {
            (0..HEADS)
                .flat_map(|head| {
                    let part = head * width..(head + 1) * width;
                    let scores = keys.iter().map(|key| {
                        dot(&queries[at][part.clone()], &key[part.clone()]) / (width as f64).sqrt()
                    });
                    let shares: Vec<f64> = scores.map(f64::exp).collect();
                    let all: f64 = shares.iter().sum();
                    let values = &values;
                    part.map(move |i| {
                        let weighted = shares.iter().zip(values).map(|(s, v)| s / all * v[i]);
                        weighted.sum::<f64>()
                    })
                })
                .collect()
        };
        (0..states.len())
            .map(|at| {
                let joined = self.linear(&format!("{name}.output.dense"), &attended(at));
                self.norm(
                    &format!("{name}.output.LayerNorm"),
                    &add(&joined, &states[at]),
                )
            })
            .collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// x times the normal distribution's share below x; the error function by its series, whose terms fall below 1e-17.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -z * z / n;
        sum += term / (2.0 * n + 1.0);
    }
    x * 0.5 * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * sum)
}
