//! What is stored only to be drawn: a few whole paths, clouds of many, the loss around them, and Γ.

use super::Scenario;
use super::system::System;
use crate::clocks::Steps;
use crate::ensemble::{Block, BlockView, Departure, Departures, Dynamics, Observer, TestFunction};
use crate::landscape::{Landscape, broadcast};
use crate::projection::{ERROR, Projector, STAGES, Tangent, combine};
use crate::real::{LANES, Lanes};
use crate::report::result::{Clouds, ContourGrid, Fall, Regime, SamplePaths};
use nalgebra::DVector;
use rayon::prelude::*;

/// Whole paths that are drawn, and at most how many points of each.
const SAMPLE_PATHS: u64 = 4;
const SAMPLE_POINTS: u64 = 400;

/// Paths and frames of a cloud: in Regime II it is animated, in Regime I only its density is drawn.
const SLOW_CLOUD: (u64, u64) = (256, 48);
const FAST_CLOUD: (u64, u64) = (1024, 8);
/// Steps across the window in which Γ is traced.
const TRACE_STEPS: f64 = 200.0;

/// The fall onto Γ: points a decade of time and at most, and the share of the first distance at which it is over.
const FALL_POINTS_A_DECADE: usize = 24;
const FALL_POINTS: usize = 10 * FALL_POINTS_A_DECADE;
const FALLEN: f64 = 1e-4;
/// Error of a step of the flow relative to 1 + ‖x‖, and steps between two points after which it is given up.
const FLOW_ERROR: f64 = 1e-8;
const FLOW_STEPS: usize = 100_000;

/// The first coordinates of a few paths: `positions[process][path][time]`.
type Positions = Vec<Vec<Vec<Vec<f64>>>>;

/// The ends of the finite values.
fn window(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    (low <= high).then_some((low, high))
}

/// −∇L(x).
fn slope_at(landscape: &dyn Landscape, x: &[f64], slope: &mut [f64]) {
    landscape.gradient_at(x, slope);
    slope.iter_mut().for_each(|s| *s = -*s);
}

/// φ̇ = −∇L(φ) by adaptive Dormand–Prince steps.
struct GradientFlow<'a> {
    landscape: &'a dyn Landscape,
    step: f64,
    slopes: Vec<f64>,
    ahead: Vec<f64>,
    error: Vec<f64>,
}

impl<'a> GradientFlow<'a> {
    fn new(landscape: &'a dyn Landscape, x: &[f64]) -> GradientFlow<'a> {
        let d = x.len();
        let mut flow = GradientFlow {
            landscape,
            step: 0.0,
            slopes: vec![0.0; 7 * d],
            ahead: vec![0.0; d],
            error: vec![0.0; d],
        };
        slope_at(landscape, x, &mut flow.slopes[..d]);
        let size = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        flow.step = 1e-3 * (1.0 + size(x)) / size(&flow.slopes[..d]).max(1e-3);
        flow
    }

    /// x ← φ(x, time); `None` where that takes too many steps.
    fn advance(&mut self, x: &mut [f64], time: f64) -> Option<()> {
        let d = x.len();
        let mut left = time;
        for _ in 0..FLOW_STEPS {
            let h = self.step.min(left);
            slope_at(self.landscape, x, &mut self.slopes[..d]);
            for (i, row) in STAGES.iter().enumerate() {
                combine(x, h, row, &self.slopes, &mut self.ahead);
                let slope = &mut self.slopes[(i + 1) * d..(i + 2) * d];
                slope_at(self.landscape, &self.ahead, slope);
            }
            let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
            let allowed = FLOW_ERROR * (1.0 + square(x).sqrt());
            for (i, e) in self.error.iter_mut().enumerate() {
                *e = h
                    * (0..7)
                        .map(|j| ERROR[j] * self.slopes[j * d + i])
                        .sum::<f64>();
            }
            let ratio = square(&self.error).sqrt() / allowed;
            if ratio <= 1.0 {
                x.copy_from_slice(&self.ahead);
                left -= h;
                if left <= 0.0 {
                    return Some(());
                }
            }
            let growth = 0.9 * ratio.max(1e-10).powf(-0.2);
            self.step = h * if ratio.is_nan() {
                0.1
            } else {
                growth.clamp(0.1, 5.0)
            };
        }
        None
    }
}

/// Keeps those of the first paths of a block.
struct Recorder {
    paths: usize,
    positions: Positions,
}

impl Observer for Recorder {
    fn observe(&mut self, _save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        for (process, paths) in self.positions.iter_mut().enumerate() {
            let state = view.state(process);
            paths.resize(self.paths, vec![]);
            for (i, path) in paths.iter_mut().enumerate() {
                let group = &state[i / LANES * d..(i / LANES + 1) * d];
                path.push(
                    group
                        .iter()
                        .take(2)
                        .map(|x| x.to_array()[i % LANES])
                        .collect(),
                );
            }
        }
    }

    fn finish(&mut self, _view: &BlockView<'_>) {}
}

impl Scenario {
    /// L on a grid around the sample paths, in Regime II around the clouds as well, in two dimensions.
    pub(super) fn contours(
        &self,
        paths: &[Vec<Vec<Vec<f64>>>],
        clouds: &Option<Clouds>,
    ) -> Option<ContourGrid> {
        if self.x0.len() != 2 {
            return None;
        }
        let clouds = clouds.iter().filter(|_| self.regime == Regime::Slow);
        let clouds = clouds.flat_map(|c| &c.positions);
        let points: Vec<&Vec<f64>> = paths.iter().chain(clouds).flatten().flatten().collect();
        let axis = |i: usize| -> Option<Vec<f64>> {
            let (low, high) = window(points.iter().map(|p| p[i]))?;
            let pad = 0.12 * (high - low).max(1e-3);
            let n = 121;
            let step = (high - low + 2.0 * pad) / (n - 1) as f64;
            Some((0..n).map(|k| low - pad + step * k as f64).collect())
        };
        let (x, y) = (axis(0)?, axis(1)?);
        let value = |point: [f64; 2]| {
            let mut out = [Lanes::ZERO];
            self.oracle.landscape.values(&broadcast(&point), &mut out);
            out[0].to_array()[0]
        };
        let values = y
            .iter()
            .map(|&b| x.iter().map(|&a| value([a, b])).collect())
            .collect();
        Some(ContourGrid { x, y, values })
    }

    /// Runs the paths first, …, first + count − 1 of the ensemble once more, at most one block of them, and looks at the
    /// iterates themselves at the given number of evenly spaced steps: the steps, and `positions[process][path][time]`.
    fn record(
        &self,
        system: &System,
        first: u64,
        count: u64,
        points: u64,
    ) -> (Vec<f64>, Positions) {
        let mut ensemble = system.ensemble.clone();
        let steps = ensemble.save.last().map_or(0, |k| k.0);
        let mut period = 1;
        if let Some(slow) = &mut ensemble.slow {
            slow.landed = false;
            (slow.early, slow.departures) = (vec![], Departures::default());
            period = slow.grid.period();
        }
        // Whole periods, from the start to the end.
        let periods = steps / period;
        let points = points.min(periods).max(1);
        let at = |i: u64| Steps((2 * i * periods + points) / (2 * points) * period);
        ensemble.save = (0..=points).map(at).collect();
        let times = ensemble
            .save
            .iter()
            .map(|&k| self.time(k, system.eta))
            .collect();
        // The coupled trajectory has weights for the old save steps only, a prescribed curve its points: they are left out.
        let drawn =
            |p: &Dynamics| !matches!(p, Dynamics::Coupled { .. } | Dynamics::Prescribed { .. });
        ensemble.processes.retain(drawn);
        ensemble.active = vec![true; ensemble.processes.len()];
        let mut block = Block::new(&ensemble);
        let count = count.min(block.paths());
        let mut recorder = Recorder {
            paths: count as usize,
            positions: vec![vec![]; ensemble.processes.len()],
        };
        block.run(&ensemble, first, count, &mut recorder);
        let mut recorded = recorder.positions.into_iter();
        let positions = system.processes.iter().map(|local| {
            local
                .filter(|&l| drawn(&system.ensemble.processes[l]))
                .and_then(|_| recorded.next())
                .unwrap_or_default()
        });
        (times, positions.collect())
    }

    /// The first paths with many save times.
    pub(super) fn sample_paths(&self, system: &System) -> SamplePaths {
        let (times, positions) = self.record(system, 0, SAMPLE_PATHS, SAMPLE_POINTS);
        SamplePaths {
            eta: system.eta,
            times,
            positions,
        }
    }

    /// Many paths with few save times, and Γ around them.
    pub(super) fn clouds(&self, system: &System) -> Clouds {
        let (paths, frames) = match self.regime {
            Regime::Fast => FAST_CLOUD,
            Regime::Slow => SLOW_CLOUD,
        };
        let block = system.ensemble.block_paths();
        let blocks = paths.div_ceil(block);
        let parts: Vec<_> = (0..blocks)
            .into_par_iter()
            .map(|b| self.record(system, b * block, block, frames))
            .collect();
        let times = parts.first().map_or(vec![], |p| p.0.clone());
        let processes = 0..system.processes.len();
        let positions: Positions = processes
            .map(|process| {
                let all = || parts.iter().flat_map(|p| &p.1[process]);
                if all().next().is_none() {
                    return vec![];
                }
                // Figures need five digits.
                let widest = window(all().flatten().flatten().copied()).map_or(1.0, |(l, h)| h - l);
                let digits = (5.0 - widest.log10().floor()).clamp(5.0, 12.0);
                let unit = 10f64.powi(digits as i32);
                let rounded = |x: f64| (unit * x).round() / unit;
                let at = |j: usize| -> Vec<Vec<f64>> {
                    let points = all().take(paths as usize).map(|p| &p[j]);
                    points
                        .map(|p| p.iter().map(|&x| rounded(x)).collect())
                        .collect()
                };
                (0..times.len()).map(at).collect()
            })
            .collect();
        let axis = |i: usize| window(positions.iter().flatten().flatten().map(|p| p[i]));
        let manifold = match (axis(0), axis(1), &self.landing) {
            (Some(x), Some(y), Some(landing)) => self.trace(landing, [x, y]),
            _ => vec![],
        };
        Clouds {
            eta: system.eta,
            times,
            positions,
            manifold,
        }
    }

    /// How the gradient flow falls onto Γ, where distances to it are asked for and x_0 is off it.
    pub(super) fn fall(&self) -> Option<Fall> {
        let asked = |h: &TestFunction| h.departure().is_some_and(Departure::shows_distance);
        let landing = self.landing.as_ref()?;
        if self.starts_on_manifold() || !self.run.functions.iter().any(asked) {
            return None;
        }
        let rate = self
            .learning_rate
            .limit(0.0, self.run.horizon)
            .unwrap_or(1.0);
        let distance = |x: &[f64]| {
            let pairs = x.iter().zip(landing);
            pairs.map(|(x, p)| (x - p).powi(2)).sum::<f64>().sqrt()
        };
        let start = distance(&self.x0);
        let mut fall = Fall {
            times: vec![],
            distances: vec![],
        };
        let (mut x, mut time) = (self.x0.clone(), 0.0);
        let smallest = self.run.etas.last().copied().unwrap_or(1.0);
        let mut flow = GradientFlow::new(&*self.oracle.landscape, &x);
        for i in 0..FALL_POINTS {
            let next = smallest * 10f64.powf(i as f64 / FALL_POINTS_A_DECADE as f64);
            flow.advance(&mut x, rate * (next - time))?;
            time = next;
            fall.times.push(time);
            fall.distances.push(distance(&x));
            if distance(&x) < FALLEN * start {
                break;
            }
        }
        Some(fall)
    }

    /// The connected part of a one-dimensional Γ through a point, as far as a window and a margin around it reach.
    fn trace(&self, start: &[f64], window: [(f64, f64); 2]) -> Vec<Vec<Vec<f64>>> {
        let landscape = &*self.oracle.landscape;
        let projector = Projector::new(landscape, self.projection());
        let size = window.iter().map(|(l, h)| h - l).fold(1e-3, f64::max);
        let inside = |p: &DVector<f64>| {
            let margin = 0.15 * size;
            window
                .iter()
                .zip(p.iter())
                .all(|((l, h), x)| *x >= l - margin && *x <= h + margin)
        };
        let start = DVector::from_column_slice(start);
        let step = size / TRACE_STEPS;
        let walk = |sign: f64| -> (Vec<DVector<f64>>, bool) {
            let mut points = vec![];
            let (mut p, mut before): (_, Option<DVector<f64>>) = (start.clone(), None);
            for i in 0..(20.0 * TRACE_STEPS) as usize {
                let Some(direction) = Tangent::new(landscape, &p)
                    .ok()
                    .filter(|t| t.rank() == 1)
                    .map(|t| t.basis().column(0).into_owned())
                else {
                    break;
                };
                let along = before.as_ref().map_or(sign, |b| b.dot(&direction).signum());
                let direction = direction * along;
                let Ok(landing) = projector.land(&(&p + &direction * step)) else {
                    break;
                };
                p = landing.point;
                before = Some(direction);
                if !inside(&p) {
                    break;
                }
                points.push(p.clone());
                if i > 3 && (&p - &start).norm() < 0.6 * step {
                    return (points, true);
                }
            }
            (points, false)
        };
        let (forward, closed) = walk(1.0);
        let mut line: Vec<DVector<f64>> = vec![];
        if !closed {
            line.extend(walk(-1.0).0.into_iter().rev());
        }
        line.push(start.clone());
        line.extend(forward);
        vec![line.iter().map(|p| p.as_slice().to_vec()).collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::Sphere;

    /// On L = ¼(‖x‖²−1)² the flow is radial, r² = 1/(1 + (r₀⁻²−1)e^{−2t}): from inside and outside, over short and long times, to the
    /// tolerance of all steps together.
    #[test]
    fn the_flow_falls_as_in_closed_form() -> Result<(), Box<dyn std::error::Error>> {
        let sphere = Sphere::new(2)?;
        for start in [[0.3, -0.4], [1.8, 2.4]] {
            let square: f64 = start.iter().map(|x| x * x).sum();
            let mut x = start.to_vec();
            let mut flow = GradientFlow::new(&sphere, &x);
            let mut time = 0.0;
            for step in [1e-4, 1e-2, 0.3, 1.0, 4.0, 20.0] {
                flow.advance(&mut x, step).ok_or("given up")?;
                time += step;
                let r2 = 1.0 / (1.0 + (1.0 / square - 1.0) * (-2.0f64 * time).exp());
                let share = (r2 / square).sqrt();
                for (x, start) in x.iter().zip(start) {
                    assert!((x - share * start).abs() < 1e-6, "{time}: {x}");
                }
            }
        }
        Ok(())
    }
}
