//! Histograms that choose their own bins: widths are powers of two, edges multiples of the width.
//!
//! A finer histogram of this kind coarsens into a wider one exactly, so disjoint parts of an ensemble merge without a
//! common range agreed on beforehand, and memory is bounded whatever the data.

use serde::{Deserialize, Serialize};

/// Bins that are kept; the final width leaves at least half of them in use.
const BINS: usize = 512;

/// Bins start this many octaves below the first value: 2⁻⁴⁰ relative resolution for data that hardly vary.
const FINEST: i32 = 40;

/// Bins over which two histograms are compared.
const COMMON_BINS: i64 = 4096;

/// Counts in bins of width 2^exponent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DyadicHistogram {
    exponent: i32,
    /// Index ⌊x/2^exponent⌋ of the first bin.
    first: i64,
    counts: Vec<u64>,
}

/// Distances between two empirical laws F and G on the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distances {
    /// sup |F − G| over the edges of the bins: a lower bound of the supremum over all points.
    pub kolmogorov_smirnov: f64,
    /// An upper bound of that supremum: no more than the mass of a bin above.
    pub kolmogorov_smirnov_at_most: f64,
    /// Wasserstein-1: ∫|F − G|, up to a bin width.
    pub wasserstein: f64,
    /// The square of the energy distance (Székely and Rizzo 2013): 2E|X − Y| − E|X − X'| − E|Y − Y'| = 2∫(F − G)², up to four bin
    /// widths.
    pub energy: f64,
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

    /// The mean of (x − center)², each x in the middle of its bin; `None` without data.
    pub fn mean_square_about(&self, center: f64) -> Option<f64> {
        let total = self.total();
        let (origin, width, counts) = self.bins();
        let square = |(i, &count): (usize, &u64)| {
            count as f64 * (origin + width * (i as f64 + 0.5) - center).powi(2)
        };
        let sum: f64 = counts.iter().enumerate().map(square).sum();
        (total > 0).then(|| sum / total as f64)
    }

    /// These counts without those of a part that was merged into them.
    pub fn without(&self, part: &DyadicHistogram) -> DyadicHistogram {
        let mut rest = self.clone();
        let shift = (self.exponent - part.exponent).clamp(0, 63);
        for (i, &count) in part.counts.iter().enumerate() {
            let index = ((part.first + i as i64) >> shift) - self.first;
            if let Some(c) = usize::try_from(index)
                .ok()
                .and_then(|i| rest.counts.get_mut(i))
            {
                *c = c.saturating_sub(count);
            }
        }
        rest
    }

    /// Distances of the two empirical laws, from their distribution functions at the edges of common bins. `None` where one of
    /// them is empty.
    pub fn distances(&self, other: &DyadicHistogram) -> Option<Distances> {
        let (n, m) = (self.total(), other.total());
        if n == 0 || m == 0 {
            return None;
        }
        let mut exponent = self.exponent.max(other.exponent);
        let range = |exponent: i32| {
            let ends = |h: &DyadicHistogram| {
                let shift = (exponent - h.exponent).clamp(0, 63);
                let last = h.first + h.counts.len() as i64 - 1;
                (h.first >> shift, last >> shift)
            };
            let ((a, b), (c, d)) = (ends(self), ends(other));
            (a.min(c), b.max(d))
        };
        while range(exponent).1.saturating_sub(range(exponent).0) >= COMMON_BINS {
            exponent += 1;
        }
        let (low, high) = range(exponent);
        let mut masses = vec![[0.0; 2]; (high - low) as usize + 1];
        for (side, (h, n)) in [(self, n), (other, m)].into_iter().enumerate() {
            let (share, shift) = (1.0 / n as f64, (exponent - h.exponent).clamp(0, 63));
            for (i, &count) in h.counts.iter().enumerate() {
                let index = ((h.first + i as i64) >> shift) - low;
                masses[index as usize][side] += share * count as f64;
            }
        }
        // F − G at the edges. Inside a bin it can rise by no more than the mass of F there, and fall by no more than that of G.
        let (mut difference, mut largest, mut most) = (0.0f64, 0.0f64, 0.0f64);
        let (mut area, mut squares) = (0.0, 0.0);
        for [f, g] in masses {
            most = most.max(difference + f).max(g - difference);
            difference += f - g;
            largest = largest.max(difference.abs());
            area += difference.abs();
            squares += difference * difference;
        }
        let width = f64::from(exponent).exp2();
        Some(Distances {
            kolmogorov_smirnov: largest,
            kolmogorov_smirnov_at_most: most.min(1.0),
            wasserstein: area * width,
            energy: 2.0 * squares * width,
        })
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

        /// The distances against their definitions on the sorted samples; a part taken out leaves the rest.
        #[test]
        fn distances_are_those_of_the_samples(
            a in prop::collection::vec(-3f64..3.0, 1..200),
            b in prop::collection::vec(-2f64..5.0, 1..200),
        ) {
            let (p, q) = (of(&a), of(&b));
            let Distances { kolmogorov_smirnov: ks, kolmogorov_smirnov_at_most: most, wasserstein: w, energy } =
                p.distances(&q).unwrap();
            let share = |v: &[f64], x: f64| v.iter().filter(|y| **y <= x).count() as f64 / v.len() as f64;
            let exact = a.iter().chain(&b).map(|&x| (share(&a, x) - share(&b, x)).abs()).fold(0.0, f64::max);
            prop_assert!(ks <= exact + 1e-12 && exact <= most + 1e-12, "{} ≤ {} ≤ {}", ks, exact, most);
            let mut all = [a.clone(), b.clone()].concat();
            all.sort_by(f64::total_cmp);
            let area: f64 = all.windows(2).map(|w| (w[1] - w[0]) * (share(&a, w[0]) - share(&b, w[0])).abs()).sum();
            let width = p.bins().1.max(q.bins().1);
            prop_assert!((w - area).abs() <= 2.0 * width, "{} against {}", w, area);
            let center = 0.7;
            let square = a.iter().map(|x| (x - center) * (x - center)).sum::<f64>() / a.len() as f64;
            let root = p.mean_square_about(center).unwrap().sqrt();
            prop_assert!((root - square.sqrt()).abs() <= p.bins().1);
            // Energy by its definition, over all pairs.
            let apart = |v: &[f64], w: &[f64]| {
                let sum: f64 = v.iter().flat_map(|x| w.iter().map(move |y| (x - y).abs())).sum();
                sum / (v.len() * w.len()) as f64
            };
            let by_pairs = 2.0 * apart(&a, &b) - apart(&a, &a) - apart(&b, &b);
            prop_assert!((energy - by_pairs).abs() <= 4.0 * width, "{} against {}", energy, by_pairs);
            prop_assert!(energy <= 2.0 * ks * w * (1.0 + 1e-12));
            let back = q.distances(&p).unwrap();
            for (there, back) in [(ks, back.kolmogorov_smirnov), (most, back.kolmogorov_smirnov_at_most), (w, back.wasserstein), (energy, back.energy)] {
                prop_assert!((there - back).abs() <= 1e-12 * there.max(1.0));
            }
            let same = p.distances(&p).unwrap();
            prop_assert_eq!((same.kolmogorov_smirnov, same.wasserstein, same.energy), (0.0, 0.0, 0.0));
            let mut whole = p.clone();
            whole.merge(&q);
            let rest = whole.without(&q);
            prop_assert_eq!(rest.total(), p.total());
            prop_assert_eq!(rest.distances(&p).map(|d| d.kolmogorov_smirnov), Some(0.0));
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
