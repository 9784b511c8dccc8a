//! Highest-density regions of a sample by Gaussian kernels: in the plane with contours, on a line with intervals.
//!
//! The bandwidth is that of the normal reference rule (Silverman 1986), n^(−1/(d+4)) (4/(d+2))^(1/(d+4)) standard deviations, in the
//! plane along the principal directions of the sample, or a part of it (down to a quarter) that gives the sample a greater likelihood,
//! every point left out of its own density (Duin 1976): two heaps are not run together. The region of mass p is where the density is above the p-quantile from the
//! top of its values at the sample (Hyndman 1996), each without its own kernel: it holds the share p of the sample whatever the
//! smoothing does to the height of the density.

use super::contours::{self, Line};
use crate::report::result::ContourGrid;

/// Fewer points have no contours.
const FEWEST: usize = 50;
/// Parts of the normal reference bandwidth that are tried.
const PARTS: [f64; 5] = [1.0, 0.71, 0.5, 0.35, 0.25];
/// Nodes of the grid per bandwidth, and bandwidths after which a kernel is 0.
const FINE: f64 = 4.0;
const REACH: f64 = 4.0;
/// Standard deviations from the mean that the grid holds at most.
const FARTHEST: f64 = 8.0;
/// Of two coordinates this much of the variance of either must be left when the other is known.
const LEAST: f64 = 1e-6;

/// A density over the plane.
#[derive(Clone, Debug)]
pub struct Density {
    mean: [f64; 2],
    /// Cholesky factor of the covariance: l₁₁, l₂₁, l₂₂.
    factor: [f64; 3],
    /// The density of L⁻¹(x − mean).
    grid: ContourGrid,
    /// Its values at the sample, each without its own kernel, in falling order.
    heights: Vec<f64>,
}

/// A density on a line.
#[derive(Clone, Debug)]
pub struct LineDensity {
    axis: Grid,
    values: Vec<f64>,
    heights: Vec<f64>,
}

/// Nodes at even distances.
#[derive(Clone, Copy, Debug)]
struct Grid {
    first: f64,
    step: f64,
    count: usize,
}

impl Grid {
    /// Holds `values` and their kernels of standard deviation `bandwidth`.
    fn new(values: impl Iterator<Item = f64>, bandwidth: f64) -> Self {
        let (low, high) = values.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
        let room = REACH * bandwidth;
        let (low, high) = (low.max(-FARTHEST) - room, high.min(FARTHEST) + room);
        let step = bandwidth / FINE;
        Self {
            first: low,
            step,
            count: ((high - low) / step).ceil() as usize + 1,
        }
    }

    fn at(self, index: usize) -> f64 {
        self.first + self.step * index as f64
    }

    fn nodes(self) -> Vec<f64> {
        (0..self.count).map(|k| self.at(k)).collect()
    }

    /// The node below a value, and how far it is to the next; none outside.
    fn locate(self, value: f64) -> Option<(usize, f64)> {
        let place = (value - self.first) / self.step;
        let below = place.floor();
        (below >= 0.0 && below + 1.0 < self.count as f64).then_some((below as usize, place - below))
    }
}

/// The kernel at 0, 1, 2 … steps.
fn taps(bandwidth: f64, step: f64) -> Vec<f64> {
    let norm = 1.0 / (bandwidth * std::f64::consts::TAU.sqrt());
    let count = (REACH * bandwidth / step) as usize;
    (0..=count)
        .map(|k| norm * (-0.5 * (k as f64 * step / bandwidth).powi(2)).exp())
        .collect()
}

/// The sum of kernels around weights at nodes.
fn smoothed(weights: &[f64], taps: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; weights.len()];
    for (at, &weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        for (distance, tap) in taps.iter().enumerate() {
            if let Some(value) = out.get_mut(at + distance) {
                *value += weight * tap;
            }
            if distance > 0 && distance <= at {
                out[at - distance] += weight * tap;
            }
        }
    }
    out
}

/// What a point between two nodes adds to the interpolated density at itself, per axis.
fn own(taps: &[f64], share: f64) -> f64 {
    let apart = 2.0 * share * (1.0 - share);
    (1.0 - apart) * taps[0] + apart * taps.get(1).copied().unwrap_or(0.0)
}

/// The estimate, and its values at the sample without a point's own kernel, at the bandwidth of the greatest likelihood.
fn likeliest<T>(reference: f64, estimate: impl Fn(f64) -> (T, Vec<f64>)) -> Option<(T, Vec<f64>)> {
    let likelihood = |heights: &[f64]| -> f64 {
        let logs = heights.iter().map(|h| h.max(f64::MIN_POSITIVE).ln());
        logs.sum()
    };
    PARTS
        .into_iter()
        .map(|part| estimate(part * reference))
        .map(|(t, heights)| (likelihood(&heights), t, heights))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, t, heights)| (t, falling(heights)))
}

/// The value below which the density leaves the region of this mass.
fn level(heights: &[f64], mass: f64) -> Option<f64> {
    let count = (mass * heights.len() as f64).ceil() as usize;
    let level = *heights.get(count.clamp(1, heights.len().max(1)) - 1)?;
    (level > 0.0).then_some(level)
}

fn falling(mut heights: Vec<f64>) -> Vec<f64> {
    heights.sort_by(|a, b| b.total_cmp(a));
    heights
}

impl Density {
    /// The density of a sample; none of fewer than 50 points, or of points on a line.
    pub fn new(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len() as f64;
        if points.len() < FEWEST || points.iter().any(|p| !(p.0.is_finite() && p.1.is_finite())) {
            return None;
        }
        let mean = [0, 1].map(|k| points.iter().map(|p| pick(p, k)).sum::<f64>() / n);
        let covariance = |i: usize, j: usize| {
            let products = points
                .iter()
                .map(|p| (pick(p, i) - mean[i]) * (pick(p, j) - mean[j]));
            products.sum::<f64>() / (n - 1.0)
        };
        let (a, b, c) = (covariance(0, 0), covariance(0, 1), covariance(1, 1));
        let left = c - b * b / a;
        if !(a > 0.0 && left > LEAST * c && left.is_finite()) {
            return None;
        }
        let factor = [a.sqrt(), b / a.sqrt(), left.sqrt()];
        let whitened: Vec<[f64; 2]> = points
            .iter()
            .map(|p| {
                let first = (p.0 - mean[0]) / factor[0];
                [first, (p.1 - mean[1] - factor[1] * first) / factor[2]]
            })
            .collect();
        let (grid, heights) = likeliest(n.powf(-1.0 / 6.0), |h| Self::estimate(&whitened, h))?;
        Some(Self {
            mean,
            factor,
            grid,
            heights,
        })
    }

    /// The density of whitened points, and its value at each without its own kernel.
    fn estimate(whitened: &[[f64; 2]], bandwidth: f64) -> (ContourGrid, Vec<f64>) {
        let n = whitened.len() as f64;
        let axes = [0, 1].map(|k| Grid::new(whitened.iter().map(|z| z[k]), bandwidth));
        let [across, up] = axes;
        let taps = taps(bandwidth, across.step);
        let located: Vec<_> = whitened
            .iter()
            .map(|z| across.locate(z[0]).zip(up.locate(z[1])))
            .collect();
        // Every point is shared out to the four nodes around it.
        let mut rows = vec![vec![0.0; across.count]; up.count];
        for &((ix, u), (iy, v)) in located.iter().flatten() {
            for (row, weight) in [(iy, (1.0 - v) / n), (iy + 1, v / n)] {
                rows[row][ix] += weight * (1.0 - u);
                rows[row][ix + 1] += weight * u;
            }
        }
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| smoothed(row, &taps)).collect();
        let mut values = vec![vec![0.0; across.count]; up.count];
        for ix in 0..across.count {
            let column: Vec<f64> = rows.iter().map(|row| row[ix]).collect();
            for (row, value) in values.iter_mut().zip(smoothed(&column, &taps)) {
                row[ix] = value;
            }
        }
        let heights = located.iter().map(|place| {
            place.map_or(0.0, |((ix, u), (iy, v))| {
                let along = |row: &[f64]| (1.0 - u) * row[ix] + u * row[ix + 1];
                let here = (1.0 - v) * along(&values[iy]) + v * along(&values[iy + 1]);
                here - own(&taps, u) * own(&taps, v) / n
            })
        });
        let heights = heights.collect();
        let grid = ContourGrid {
            x: across.nodes(),
            y: up.nodes(),
            values,
        };
        (grid, heights)
    }

    /// The lines around the smallest region that holds this share of the sample.
    pub fn region(&self, mass: f64) -> Vec<Line> {
        let Some(level) = level(&self.heights, mass) else {
            return Vec::new();
        };
        let [a, b, c] = self.factor;
        let place = |(x, y): (f64, f64)| (self.mean[0] + a * x, self.mean[1] + b * x + c * y);
        contours::lines(&self.grid, level)
            .into_iter()
            .map(|line| line.into_iter().map(place).collect())
            .collect()
    }
}

fn pick(point: &(f64, f64), coordinate: usize) -> f64 {
    [point.0, point.1][coordinate]
}

impl LineDensity {
    /// The density of a sample; none of fewer than 50 numbers, or of equal ones.
    pub fn new(numbers: &[f64]) -> Option<Self> {
        let n = numbers.len() as f64;
        if numbers.len() < FEWEST || numbers.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mean = numbers.iter().sum::<f64>() / n;
        let square = numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let deviation = (square / (n - 1.0)).sqrt();
        let size = numbers.iter().map(|v| v.abs()).fold(0.0, f64::max);
        if !(deviation > 1e-9 * size && deviation.is_finite()) {
            return None;
        }
        let whitened: Vec<f64> = numbers.iter().map(|v| (v - mean) / deviation).collect();
        let reference = (4.0 / (3.0 * n)).powf(0.2);
        let ((axis, values), heights) = likeliest(reference, |h| Self::estimate(&whitened, h))?;
        let axis = Grid {
            first: mean + deviation * axis.first,
            step: deviation * axis.step,
            ..axis
        };
        Some(Self {
            axis,
            values,
            heights,
        })
    }

    fn estimate(whitened: &[f64], bandwidth: f64) -> ((Grid, Vec<f64>), Vec<f64>) {
        let n = whitened.len() as f64;
        let axis = Grid::new(whitened.iter().copied(), bandwidth);
        let taps = taps(bandwidth, axis.step);
        let located: Vec<_> = whitened.iter().map(|&z| axis.locate(z)).collect();
        let mut weights = vec![0.0; axis.count];
        for &(at, share) in located.iter().flatten() {
            weights[at] += (1.0 - share) / n;
            weights[at + 1] += share / n;
        }
        let values = smoothed(&weights, &taps);
        let heights = located.iter().map(|place| {
            place.map_or(0.0, |(at, share)| {
                let here = (1.0 - share) * values[at] + share * values[at + 1];
                here - own(&taps, share) / n
            })
        });
        let heights = heights.collect();
        ((axis, values), heights)
    }

    /// The intervals of the smallest region that holds this share of the sample.
    pub fn region(&self, mass: f64) -> Vec<(f64, f64)> {
        let Some(level) = level(&self.heights, mass) else {
            return Vec::new();
        };
        let mut intervals = Vec::new();
        let mut open = None;
        for (at, pair) in self.values.windows(2).enumerate() {
            let crossing =
                || self.axis.at(at) + self.axis.step * (level - pair[0]) / (pair[1] - pair[0]);
            match (pair[0] >= level, pair[1] >= level) {
                (false, true) => open = Some(crossing()),
                (true, false) => intervals.extend(open.take().map(|from| (from, crossing()))),
                _ => {}
            }
        }
        intervals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use statrs::distribution::{ContinuousCDF, Normal};

    const SEED: u64 = 20_240_517;

    /// Standard normal pairs.
    fn pairs(seed: u64, n: usize) -> Vec<(f64, f64)> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = || StandardNormal.sample(&mut rng);
        (0..n).map(|_| (normal(), normal())).collect()
    }

    /// Whether a point is inside an odd number of closed lines.
    fn inside(lines: &[Line], (x, y): (f64, f64)) -> bool {
        let crossed = lines.iter().flat_map(|l| l.windows(2)).filter(|pair| {
            let ((a, b), (c, d)) = (pair[0], pair[1]);
            (b > y) != (d > y) && x < a + (y - b) * (c - a) / (d - b)
        });
        crossed.count() % 2 == 1
    }

    /// x = 3 + 0.2 z₁, y = −1 + 0.5 z₁ + 0.4 z₂.
    fn sheared((z, w): (f64, f64)) -> (f64, f64) {
        (3.0 + 0.2 * z, -1.0 + 0.5 * z + 0.4 * w)
    }

    #[test]
    fn contours_of_a_gaussian_are_its_ellipses() {
        let n = 6000;
        let sample: Vec<_> = pairs(SEED, n).into_iter().map(sheared).collect();
        let density = Density::new(&sample).expect("a density");
        let fresh = pairs(SEED + 1, 40_000);
        for mass in [0.5, 0.9] {
            let lines = density.region(mass);
            // P(|z| < r) = 1 − exp(−r²/2).
            let radius = (-2.0 * f64::ln(1.0 - mass)).sqrt();
            let longest = lines.iter().max_by_key(|l| l.len()).expect("a line");
            assert_eq!(longest.first(), longest.last());
            let radii: Vec<f64> = longest
                .iter()
                .map(|&(x, y)| {
                    let z = (x - 3.0) / 0.2;
                    z.hypot((y + 1.0 - 0.5 * z) / 0.4)
                })
                .collect();
            // A kernel density of relative standard error e is off by e/r in the radius; five of them, at every point.
            let bandwidth = (n as f64).powf(-1.0 / 6.0);
            let height = (1.0 - mass) / std::f64::consts::TAU;
            let noise =
                (2.0 * std::f64::consts::TAU * n as f64 * bandwidth.powi(2) * height).sqrt();
            for r in &radii {
                assert!(
                    (r - radius).abs() < 5.0 / noise / radius,
                    "{mass}: {r} {radius}"
                );
            }
            let mean = radii.iter().sum::<f64>() / radii.len() as f64;
            assert!(
                (mean / radius - 1.0).abs() < 0.03,
                "{mass}: {mean} {radius}"
            );
            // A sample of its own: five standard errors of a share of 6000.
            let held = fresh
                .iter()
                .filter(|&&p| inside(&lines, sheared(p)))
                .count();
            let share = held as f64 / fresh.len() as f64;
            let error = (mass * (1.0 - mass) / n as f64).sqrt();
            assert!((share - mass).abs() < 5.0 * error, "{mass}: {share}");
        }
    }

    #[test]
    fn contours_go_along_with_a_linear_map() {
        let sample = pairs(SEED, 400);
        let mapped: Vec<_> = sample.iter().copied().map(sheared).collect();
        let [plain, mapped] = [&sample, &mapped].map(|s| Density::new(s).expect("a density"));
        let (plain, mapped) = (plain.region(0.9), mapped.region(0.9));
        let all = plain.iter().flatten().copied().map(sheared);
        assert_eq!(all.clone().count(), mapped.iter().flatten().count());
        for (a, b) in all.zip(mapped.iter().flatten()) {
            assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9);
        }
    }

    #[test]
    fn two_heaps_have_two_contours() {
        let heaps = pairs(SEED, 2000).into_iter().enumerate();
        let sample: Vec<_> = heaps
            .map(|(k, (x, y))| (0.3 * x + [-2.0, 2.0][k % 2], 0.3 * y))
            .collect();
        let lines = Density::new(&sample).expect("a density").region(0.5);
        assert_eq!(lines.len(), 2);
        assert!(!inside(&lines, (0.0, 0.0)) && inside(&lines, (2.0, 0.0)));
    }

    #[test]
    fn an_interval_of_a_gaussian_is_between_its_quantiles() {
        let n = 6000;
        let sample: Vec<f64> = pairs(SEED, n).iter().map(|p| 7.0 - 0.1 * p.0).collect();
        let density = LineDensity::new(&sample).expect("a density");
        let normal = Normal::new(7.0, 0.1).expect("a law");
        for mass in [0.5, 0.9] {
            let region = density.region(mass);
            let [(low, high)] = region[..] else {
                panic!("{region:?}")
            };
            let covered = normal.cdf(high) - normal.cdf(low);
            let error = (mass * (1.0 - mass) / n as f64).sqrt();
            assert!((covered - mass).abs() < 5.0 * error, "{mass}: {covered}");
            assert!((0.5 * (low + high) - 7.0).abs() < 0.03, "{low} {high}");
        }
    }

    #[test]
    fn samples_without_a_density_have_none() {
        let line: Vec<_> = (0..200)
            .map(|k| (f64::from(k), 2.0 * f64::from(k)))
            .collect();
        assert!(Density::new(&line).is_none());
        assert!(Density::new(&[(1.0, 2.0); 200]).is_none());
        assert!(Density::new(&pairs(SEED, 20)).is_none());
        let mut broken = pairs(SEED, 200);
        broken[7].0 = f64::NAN;
        assert!(Density::new(&broken).is_none());
        assert!(LineDensity::new(&[0.3; 100]).is_none());
        assert!(LineDensity::new(&[f64::INFINITY; 100]).is_none());
        broken[7].0 = 1e300;
        assert!(Density::new(&broken).is_none_or(|d| d.region(0.9).len() < 100));
    }
}
