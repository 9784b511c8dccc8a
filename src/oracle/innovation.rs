//! Innovations: the random numbers of one step, drawn before any process looks at them.

use crate::random::LaneRng;
use crate::real::Lanes;

/// What is drawn once per path and step; all entries are independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Innovation {
    /// Standard normals.
    Gaussian {
        /// Number of entries.
        entries: usize,
    },
    /// Signs ±1 with equal probability.
    Rademacher {
        /// Number of entries.
        entries: usize,
    },
    /// Student's t divided by its standard deviation √(ν/(ν−2)).
    Student {
        /// Number of entries.
        entries: usize,
        /// Degrees of freedom ν > 2.
        freedom: f64,
    },
    /// Sample numbers, uniform on 0, …, n − 1, with replacement, stored as floating point.
    Samples {
        /// Batch size B.
        entries: usize,
        /// Number of samples n.
        samples: usize,
    },
}

impl Innovation {
    /// Numbers per path and step.
    pub fn entries(self) -> usize {
        match self {
            Innovation::Gaussian { entries }
            | Innovation::Rademacher { entries }
            | Innovation::Student { entries, .. }
            | Innovation::Samples { entries, .. } => entries,
        }
    }

    /// Two independent draws, one after the other.
    pub fn twice(self) -> Innovation {
        let mut both = self;
        match &mut both {
            Innovation::Gaussian { entries }
            | Innovation::Rademacher { entries }
            | Innovation::Student { entries, .. }
            | Innovation::Samples { entries, .. } => *entries *= 2,
        }
        both
    }

    /// Draws for every lane group: `out` holds `entries` numbers per generator, group by group.
    #[inline]
    pub fn draw(self, rngs: &mut [LaneRng], out: &mut [Lanes]) {
        let entries = self.entries();
        if entries == 0 {
            return;
        }
        let groups = rngs.iter_mut().zip(out.chunks_exact_mut(entries));
        match self {
            // Two is the commonest size and the one where the loop over pairs costs; the pair goes straight through.
            Innovation::Gaussian { entries: 2 } => {
                for (rng, out) in groups {
                    let (a, b) = rng.normal_pair();
                    out[0] = a;
                    out[1] = b;
                }
            }
            Innovation::Gaussian { .. } => groups.for_each(|(rng, out)| rng.normals(out)),
            Innovation::Rademacher { .. } => groups.for_each(|(rng, out)| rng.signs(out)),
            Innovation::Student { freedom, .. } => {
                groups
                    .for_each(|(rng, out)| out.iter_mut().for_each(|v| *v = student(rng, freedom)));
            }
            Innovation::Samples { samples, .. } => {
                // u < 1 is a multiple of 2⁻⁵²; the bias of ⌊un⌋ is below n·2⁻⁵².
                let n = Lanes::splat(samples as f64);
                for (rng, out) in groups {
                    for v in out {
                        *v = (rng.uniform() * n).floor();
                    }
                }
            }
        }
    }
}

/// Standardised Student's t by Bailey's polar method (Math. Comp. 62, 1994): √(ν(u^{−2/ν} − 1)) cos φ with u uniform and
/// φ a uniform angle has the t distribution with ν degrees of freedom.
#[inline(always)]
fn student(rng: &mut LaneRng, freedom: f64) -> Lanes {
    // normal_pair gives √(−2 ln u)(cos φ, sin φ): ln u = −(a² + b²)/2.
    let (a, b) = rng.normal_pair();
    let square = a * a + b * b;
    let nu = Lanes::splat(freedom);
    let radius_square = (nu - Lanes::splat(2.0)) * ((square / nu).exp_m1());
    // cos φ = a/√(a² + b²); at the centre (u = 1) the ratio of radii tends to √((ν−2)/ν).
    let safe = square.max(Lanes::splat(f64::MIN_POSITIVE));
    let ratio = (radius_square / safe).sqrt();
    ratio * a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, StreamKey};
    use statrs::distribution::{ContinuousCDF, StudentsT};

    fn sample(innovation: Innovation, n: usize) -> Vec<f64> {
        let key = StreamKey { seed: 3, cell: 0 };
        let mut rngs = [LaneRng::new(key, Purpose::Innovation, 0)];
        let mut out = vec![Lanes::ZERO; innovation.entries()];
        let mut all = vec![];
        while all.len() < n {
            innovation.draw(&mut rngs, &mut out);
            all.extend(out.iter().flat_map(|v| v.to_array()));
        }
        all
    }

    /// Kolmogorov–Smirnov against statrs' t distribution, false-alarm level 1e-6 (critical value 2.69/√n).
    #[test]
    fn student_has_its_law() {
        for freedom in [2.5, 4.0, 11.0] {
            let mut x = sample(
                Innovation::Student {
                    entries: 3,
                    freedom,
                },
                200_000,
            );
            let scale = (freedom / (freedom - 2.0)).sqrt();
            let law = StudentsT::new(0.0, 1.0, freedom).unwrap();
            x.sort_by(f64::total_cmp);
            let n = x.len() as f64;
            let d = x
                .iter()
                .enumerate()
                .map(|(i, v)| (law.cdf(v * scale) - (i as f64 + 0.5) / n).abs())
                .fold(0.0, f64::max);
            assert!(
                d * n.sqrt() < 2.69 + 0.5 / n.sqrt(),
                "ν = {freedom}: D√n = {}",
                d * n.sqrt()
            );
        }
    }

    /// χ² over the cells, level 1e-6 by the Wilson–Hilferty bound at 10 degrees of freedom (χ² < 46).
    #[test]
    fn samples_are_uniform() {
        let x = sample(
            Innovation::Samples {
                entries: 4,
                samples: 11,
            },
            110_000,
        );
        let mut counts = [0.0; 11];
        x.iter().for_each(|&i| counts[i as usize] += 1.0);
        let expected = x.len() as f64 / 11.0;
        let chi: f64 = counts
            .iter()
            .map(|c| (c - expected) * (c - expected) / expected)
            .sum();
        assert!(chi < 46.0, "χ² = {chi}");
    }
}
