//! Two loads in turns.

use std::time::Duration;

use super::Bench;
use super::load::{self, Load, Request};
use super::running::Running;
use crate::failure::Outcome;
use crate::report;

/// How long each load runs before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long each load of a round runs.
const TIME: Duration = Duration::from_secs(3);
/// Rounds of one comparison; their median counts.
const ROUNDS: u32 = 5;

/// What is compared.
pub(crate) struct Comparison<'a> {
    /// For the person who waits.
    pub(crate) name: &'a str,
    pub(crate) reference: &'a Request,
    pub(crate) measured: &'a Request,
    /// Connections, each with one request at a time.
    pub(crate) connections: u32,
}

/// One run of each.
pub(crate) struct Round {
    pub(crate) reference: Load,
    pub(crate) measured: Load,
    /// Processor time of the server for each request measured, in microseconds.
    pub(crate) processor_micros: f64,
}

/// All rounds of a comparison.
pub(crate) struct Rounds(Vec<Round>);

impl Rounds {
    /// The median of what each round says.
    pub(crate) fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.0.iter().map(value).collect())
    }
}

/// Runs the two loads in turns; which one begins changes from round to round.
pub(crate) fn run(bench: &Bench, server: &Running, what: &Comparison<'_>) -> Outcome<Rounds> {
    let send = |request: &Request, time: Duration| {
        load::run(&bench.programs.load, request, what.connections, time)
    };
    let measure = |time: Duration| -> Outcome<(Load, f64)> {
        let before = server.processor_seconds()?;
        let load = send(what.measured, time)?;
        let used = server.processor_seconds()? - before;
        let micros = used * 1e6 / load.requests.max(1.0);
        Ok((load, micros))
    };
    report::note(format_args!("==> {}", what.name));
    send(what.reference, WARM_UP)?;
    send(what.measured, WARM_UP)?;
    let time = bench.duration(TIME);
    let mut rounds = Vec::new();
    for round in 0..bench.repetitions(ROUNDS) {
        let (reference, (measured, processor_micros)) = if round % 2 == 0 {
            (send(what.reference, time)?, measure(time)?)
        } else {
            let measured = measure(time)?;
            (send(what.reference, time)?, measured)
        };
        rounds.push(Round {
            reference,
            measured,
            processor_micros,
        });
    }
    Ok(Rounds(rounds))
}

/// The middle one, or the mean of the two in the middle; 0 for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or_default();
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|below| values.get(below));
    f64::midpoint(lower.copied().unwrap_or(upper), upper)
}

/// The value that `percent` of all do not exceed; 0 for none.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{median, percentile};

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(values.clone(), 99) - 198.0).abs() < f64::EPSILON);
        assert!((percentile(values, 100) - 200.0).abs() < f64::EPSILON);
        assert!((percentile(vec![5.0], 99) - 5.0).abs() < f64::EPSILON);
        assert!(percentile(Vec::new(), 99).abs() < f64::EPSILON);
    }
}
