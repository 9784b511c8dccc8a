//! Sums over batches of paths: what is known of the joint law of all means of an ensemble, without keeping a path.

use super::block::BlockView;
use crate::real::{LANES, Lanes};
use serde::{Deserialize, Serialize};

/// Registers of batches.
const SLOTS: usize = 8;

/// Batches: path p is in batch p mod 64.
pub const BATCHES: usize = SLOTS * LANES;

/// Sums of several variables over each batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchSums {
    /// Paths in each batch; empty where nothing was added.
    pub n: Vec<f64>,
    /// `sums[variable · BATCHES + batch]`.
    pub sums: Vec<f64>,
}

impl BatchSums {
    /// Adds the paths of a block that still count.
    pub(super) fn add(&mut self, values: &[Vec<Lanes>], view: &BlockView<'_>) {
        self.n.resize(BATCHES, 0.0);
        self.sums.resize(values.len() * BATCHES, 0.0);
        let first = view.first as usize / LANES;
        for (group, alive) in view.alive.iter().enumerate() {
            let place = (first + group) % SLOTS * LANES;
            let add = |sums: &mut [f64], x: Lanes| {
                let x = alive.select(x, Lanes::ZERO).to_array();
                let sums = sums[place..place + LANES].iter_mut();
                sums.zip(x).for_each(|(s, x)| *s += x);
            };
            add(&mut self.n, Lanes::ONE);
            for (sums, values) in self.sums.chunks_exact_mut(BATCHES).zip(values) {
                add(sums, values[group]);
            }
        }
    }

    /// Adds disjoint paths.
    pub fn merge(&mut self, other: &BatchSums) {
        if self.n.is_empty() {
            self.clone_from(other);
            return;
        }
        let sides = [(&mut self.n, &other.n), (&mut self.sums, &other.sums)];
        for (a, b) in sides {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
    }

    /// What each batch contributes to the error of the mean of `variable`: (B/(B−1))^{1/2} (n_b/n)(mean_b − mean), of which B
    /// batches hold paths. The sum of squares estimates the mean's variance, that of products of two variables their covariance.
    ///
    /// Empty with fewer than `fewest` batches that hold paths.
    pub fn influence(&self, variable: usize, fewest: usize) -> Vec<f64> {
        let filled = self.n.iter().filter(|n| **n > 0.0).count();
        if filled < fewest.max(2) {
            return vec![];
        }
        let sums = &self.sums[variable * BATCHES..(variable + 1) * BATCHES];
        let n: f64 = self.n.iter().sum();
        let mean = sums.iter().sum::<f64>() / n;
        let factor = (filled as f64 / (filled - 1) as f64).sqrt() / n;
        let batches = sums.iter().zip(&self.n);
        batches.map(|(s, n)| factor * (s - n * mean)).collect()
    }
}
