//! The error rates of verdicts over many seeds: `calibration.json`.

use super::result::{Comparison, Verdict};
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// Version of the layout of `calibration.json`.
pub const SCHEMA: u32 = 1;

/// A negative control has to be refuted this often.
pub const POWER: f64 = 0.95;

/// Level of the intervals of rates.
const LEVEL: f64 = 0.95;

/// The rates of a study.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of slowsde that wrote the file.
    pub version: String,
    /// `smoke`, `quick` or `full`.
    pub profile: String,
    /// Seeds 1 to this were asked for.
    pub seeds: u64,
    /// Seeds that were completed.
    pub completed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Whether all comparisons hold.
    pub holds: bool,
    /// One entry a comparison.
    pub comparisons: Vec<ComparisonRates>,
}

/// How often a comparison came to which verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparisonRates {
    /// The scenario.
    pub scenario: String,
    /// e.g. `sgdm~sgd α=0.5`.
    pub comparison: String,
    /// The truth, as the scenario expects it.
    pub expected: Verdict,
    /// Coverage that the scenario states for all its intervals together.
    pub level: f64,
    /// Seeds with the verdict "consistent".
    pub consistent: u64,
    /// Seeds with the verdict "refuted".
    pub refuted: u64,
    /// Seeds with the verdict "inconclusive".
    pub inconclusive: u64,
    /// Seeds whose interval of the widest limit contains 0.
    pub covered: u64,
    /// Seeds whose verdict contradicts the expected one.
    pub contradicting: Vec<u64>,
    /// The rate of refutations, with its exact interval.
    pub refutation_rate: Rate,
    /// Whether false refutations are not more frequent than stated, or a control is refuted often enough.
    pub holds: bool,
}

/// A share k/n with its Clopper–Pearson interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// k/n.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Level.
    pub level: f64,
}

impl Rate {
    /// k of n, 0 ≤ k ≤ n; the interval is \[0, 1\] for n = 0.
    pub fn new(k: u64, n: u64) -> Rate {
        let tail = 0.5 * (1.0 - LEVEL);
        // The shapes are positive: Beta exists.
        let quantile = |a: u64, b: u64, p: f64| {
            Beta::new(a as f64, b as f64).map_or(f64::NAN, |beta| beta.inverse_cdf(p))
        };
        Rate {
            value: k as f64 / n.max(1) as f64,
            lower: match k {
                0 => 0.0,
                k => quantile(k, n - k + 1, tail),
            },
            upper: match n - k {
                0 => 1.0,
                rest => quantile(k + 1, rest, 1.0 - tail),
            },
            level: LEVEL,
        }
    }
}

impl ComparisonRates {
    /// Nothing counted yet.
    pub fn new(scenario: &str, expected: Verdict, level: f64) -> ComparisonRates {
        ComparisonRates {
            scenario: scenario.to_string(),
            comparison: String::new(),
            expected,
            level,
            consistent: 0,
            refuted: 0,
            inconclusive: 0,
            covered: 0,
            contradicting: vec![],
            refutation_rate: Rate::new(0, 0),
            holds: true,
        }
    }

    /// Counts the outcome of one seed.
    pub fn count(&mut self, seed: u64, outcome: &Comparison) {
        self.comparison.clone_from(&outcome.id);
        *match outcome.verdict {
            Verdict::Consistent => &mut self.consistent,
            Verdict::Refuted => &mut self.refuted,
            Verdict::Inconclusive => &mut self.inconclusive,
        } += 1;
        if outcome.limit.lower <= 0.0 && 0.0 <= outcome.limit.upper {
            self.covered += 1;
        }
        let contradicts = |verdict: Verdict| {
            matches!(
                (self.expected, verdict),
                (Verdict::Consistent, Verdict::Refuted) | (Verdict::Refuted, Verdict::Consistent)
            )
        };
        if contradicts(outcome.verdict) {
            self.contradicting.push(seed);
        }
        self.refutation_rate = Rate::new(self.refuted, self.seeds());
        self.holds = match self.expected {
            Verdict::Consistent => self.refutation_rate.lower <= 1.0 - self.level,
            Verdict::Refuted => self.refutation_rate.value >= POWER,
            Verdict::Inconclusive => true,
        };
    }

    /// Seeds that were counted.
    pub fn seeds(&self) -> u64 {
        self.consistent + self.refuted + self.inconclusive
    }
}

impl Calibration {
    /// The study of `completed` of `seeds` seeds.
    pub fn new(
        profile: &str,
        seeds: u64,
        completed: u64,
        seconds: f64,
        comparisons: Vec<ComparisonRates>,
    ) -> Calibration {
        Calibration {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_string(),
            profile: profile.to_string(),
            seeds,
            completed,
            seconds,
            holds: comparisons.iter().all(|c| c.holds),
            comparisons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clopper and Pearson's interval by its definition: at the ends the binomial tails are 2.5 %.
    #[test]
    fn intervals_of_rates_are_exact() {
        let tail = |k: u64, n: u64, p: f64| -> f64 {
            // P(X ≥ k).
            let mut term = (1.0 - p).powi(n as i32);
            let mut below = 0.0;
            for i in 0..k {
                below += term;
                term *= (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p);
            }
            1.0 - below
        };
        for (k, n) in [(1, 20), (3, 300), (19, 20), (150, 300)] {
            let rate = Rate::new(k, n);
            assert!((tail(k, n, rate.lower) - 0.025).abs() < 1e-9, "{rate:?}");
            assert!((1.0 - tail(k + 1, n, rate.upper) - 0.025).abs() < 1e-9);
        }
        assert_eq!(
            (Rate::new(0, 300).lower, Rate::new(300, 300).upper),
            (0.0, 1.0)
        );
        // The rule of three.
        assert!((Rate::new(0, 300).upper - 0.0122).abs() < 1e-4);
        let nothing = Rate::new(0, 0);
        assert_eq!((nothing.lower, nothing.upper), (0.0, 1.0));
    }
}
