//! Histograms that choose their own bins: widths are powers of two, edges multiples of the width.
//!
//! A finer histogram of this kind coarsens into a wider one exactly, so disjoint parts of an ensemble merge without a
//! common range agreed on beforehand, and memory is bounded whatever the data.

use serde::{Deserialize, Serialize};

/// Bins that are kept; the final width leaves at least half of them in use.
const BINS: usize = 512;

/// Bins start this many octaves below the first value: 2⁻⁴⁰ relative resolution for data that hardly vary.
const FINEST: i32 = 40;

/// Counts in bins of width 2^exponent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DyadicHistogram {
    exponent: i32,
    /// Index ⌊x/2^exponent⌋ of the first bin.
    first: i64,
    counts: Vec<u64>,
}

impl DyadicHistogram {
    /// Adds one number; not-a-number and infinities are ignored.
    pub fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        if self.counts.is_empty() {
            // Exponent of the first value; a bounded range keeps the indices in i64.
            self.exponent = x.abs().clamp(1e-270, 1e300).log2().floor() as i32 - FINEST;
            self.first = self.index(x);
            // All the room that it will ever need: no allocation later, and memory that does not depend on the data.
            self.counts.reserve_exact(BINS);
            self.counts.push(0);
        }
        let mut index = self.index(x);
        while !self.reach(index, index) {
            self.coarsen();
            index = self.index(x);
        }
        self.counts[(index - self.first) as usize] += 1;
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &DyadicHistogram) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        while self.exponent < other.exponent {
            self.coarsen();
        }
        loop {
            let shift = self.exponent - other.exponent;
            let low = other.first >> shift.min(63);
            let high = (other.first + other.counts.len() as i64 - 1) >> shift.min(63);
            if self.reach(low, high) {
                for (i, &count) in other.counts.iter().enumerate() {
                    let index = (other.first + i as i64) >> shift.min(63);
                    self.counts[(index - self.first) as usize] += count;
                }
                return;
            }
            self.coarsen();
        }
    }

    /// Number of values.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Left edge of the first bin, bin width, and counts.
    pub fn bins(&self) -> (f64, f64, &[u64]) {
        let width = f64::from(self.exponent).exp2();
        (self.first as f64 * width, width, &self.counts)
    }

    /// The p-quantile, linear inside its bin; `None` without data.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let target = p.clamp(0.0, 1.0) * total as f64;
        let (origin, width, counts) = self.bins();
        let mut below = 0.0;
        for (i, &count) in counts.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && below + count >= target {
                return Some(origin + width * (i as f64 + (target - below) / count));
            }
            below += count;
        }
        Some(origin + width * counts.len() as f64)
    }

    fn index(&self, x: f64) -> i64 {
        (x * f64::from(-self.exponent).exp2())
            .floor()
            .clamp(-9e18, 9e18) as i64
    }

    /// Extends the window to the bins from `low` to `high` if they fit.
    fn reach(&mut self, low: i64, high: i64) -> bool {
        let last = self.first.saturating_add(self.counts.len() as i64 - 1);
        let (start, end) = (self.first.min(low), last.max(high));
        if end.saturating_sub(start) >= BINS as i64 {
            return false;
        }
        let front = (self.first - start) as usize;
        if front > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, front));
            self.first = start;
        }
        self.counts.resize((end - start) as usize + 1, 0);
        true
    }

    /// Doubles the bin width.
    fn coarsen(&mut self) {
        let first = self.first >> 1;
        for i in 0..self.counts.len() {
            // The new bin is never behind the old one: i/2 ≤ i.
            let to = (((self.first + i as i64) >> 1) - first) as usize;
            let count = std::mem::take(&mut self.counts[i]);
            self.counts[to] += count;
        }
        let last = (self.first + self.counts.len() as i64 - 1) >> 1;
        self.counts.truncate((last - first) as usize + 1);
        self.exponent += 1;
        self.first = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> DyadicHistogram {
        let mut h = DyadicHistogram::default();
        values.iter().for_each(|&x| h.add(x));
        h
    }

    proptest! {
        /// Merging parts counts the same as adding everything, every value lies in its bin, memory stays bounded.
        #[test]
        fn parts_merge_to_the_whole(a in prop::collection::vec(-1e3f64..1e3, 1..300), b in prop::collection::vec(-5.0f64..1e6, 1..300)) {
            let mut parts = of(&a);
            parts.merge(&of(&b));
            let whole = of(&[a.clone(), b.clone()].concat());
            prop_assert_eq!(&parts, &whole);
            prop_assert_eq!(whole.total() as usize, a.len() + b.len());
            prop_assert!(whole.counts.len() <= BINS);
            let mut sorted = [a, b].concat();
            sorted.sort_by(f64::total_cmp);
            for p in [0.05, 0.5, 0.95] {
                let exact = sorted[((p * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
                let q = whole.quantile(p).unwrap();
                prop_assert!((q - exact).abs() <= whole.bins().1 * 1.0001, "{} against {}", q, exact);
            }
        }

        #[test]
        fn any_bits_are_survived(bits in prop::collection::vec(any::<u64>(), 0..100)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
            let h = of(&values);
            prop_assert_eq!(h.total() as usize, values.iter().filter(|x| x.is_finite()).count());
            prop_assert!(h.counts.len() <= BINS);
        }
    }
}
