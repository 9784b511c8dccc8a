//! The slow processes of a block, and Φ of the others.

use super::Block;
use crate::ensemble::{Dynamics, Ensemble, SlowRegime, SlowScheme};
use crate::projection::{Batch, Outcome, Settings};
use crate::real::{LANES, Lanes};

/// Rounds and tolerance of the nearest-point iteration; each round gains a factor of distance times curvature of Γ.
const NEAREST_ITERATIONS: usize = 40;
const NEAREST_TOLERANCE: f64 = 1e-9;

/// What states are projected onto Γ for, each to its own tolerance.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Step,
    Look,
    Difference,
}

/// Where states are projected onto Γ: the first path of the block, the step, the process, and what for.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub first: u64,
    pub step: u64,
    pub process: usize,
    pub of: Use,
}

/// Working memory of the slow processes.
pub(super) struct SlowWork {
    /// Whether any slow process is active, and whether it shares the optimizers' Brownian path.
    running: bool,
    shared: bool,
    /// Φ in slow steps, and at the looks.
    batch: Batch,
    pub looks: Batch,
    outcomes: Vec<[Outcome; LANES]>,
    /// Sums of innovations over the current fine and coarse slow step.
    fine: Vec<Lanes>,
    coarse: Vec<Lanes>,
    /// One unit vector, the columns of B, a drift, and where a nearest point is sought: one group each.
    unit: Vec<Lanes>,
    columns: Vec<Lanes>,
    drift: Vec<Lanes>,
    target: Vec<Lanes>,
}

impl SlowWork {
    /// Working memory for the blocks of an ensemble; empty in Regime I.
    pub(super) fn new(ensemble: &Ensemble) -> SlowWork {
        let (d, groups) = (ensemble.dimension(), ensemble.groups());
        let r = ensemble.oracle.noise.brownian();
        let lanes = |n: usize| vec![Lanes::ZERO; if ensemble.slow.is_some() { n } else { 0 }];
        let batch = |f: &dyn Fn(&SlowRegime) -> Settings| {
            Batch::new(ensemble.slow.as_ref().map(f).unwrap_or_default())
        };
        SlowWork {
            running: false,
            shared: ensemble.oracle.shares_brownian_path(),
            batch: batch(&|s| s.step_projection(ensemble.eta)),
            looks: batch(&|s| s.projection.clone()),
            outcomes: vec![[Outcome::Landed; LANES]; groups],
            fine: lanes(r * groups),
            coarse: lanes(r * groups),
            unit: lanes(r),
            columns: lanes(r * d),
            drift: lanes(d),
            target: lanes(d * groups),
        }
    }

    /// No innovations yet.
    pub(super) fn restart(&mut self, ensemble: &Ensemble) {
        let mut processes = ensemble.processes.iter().zip(&ensemble.active);
        self.running =
            processes.any(|(p, &active)| active && matches!(p, Dynamics::SlowSde { .. }));
        self.fine.fill(Lanes::ZERO);
        self.coarse.fill(Lanes::ZERO);
    }
}

impl Block {
    /// What step k means to the slow processes: its innovations are added up, and every n-th step they advance.
    #[inline]
    pub(super) fn slow_step(&mut self, ensemble: &Ensemble, slow: &SlowRegime, first: u64, k: u64) {
        if !self.slow.running {
            return;
        }
        let r = ensemble.oracle.noise.brownian();
        let shared = self.slow.shared;
        let grid = slow.grid;
        if grid.substeps > 1 {
            self.bridge(r, grid.substeps, shared);
            let share = Lanes::splat(1.0 / grid.substeps as f64);
            let row = r * self.groups;
            for s in 0..grid.substeps {
                let increments = &self.increments[s * row..(s + 1) * row];
                let sums = self.slow.fine.iter_mut().zip(&mut self.slow.coarse);
                for ((fine, coarse), &w) in sums.zip(increments) {
                    *fine = share * w;
                    *coarse += share * w;
                }
                let at = k as f64 + s as f64 / grid.substeps as f64;
                self.advance_slow(ensemble, slow, first, k, at, false);
                if s % 2 == 1 {
                    let at = k as f64 + (s - 1) as f64 / grid.substeps as f64;
                    self.advance_slow(ensemble, slow, first, k, at, true);
                    self.slow.coarse.fill(Lanes::ZERO);
                }
            }
            return;
        }
        if shared {
            for (sum, &xi) in self.slow.fine.iter_mut().zip(&self.xi) {
                *sum += xi;
            }
        }
        if !(k + 1).is_multiple_of(grid.stride) {
            return;
        }
        if !shared {
            let root = Lanes::splat((grid.stride as f64).sqrt());
            let groups = self.slow.fine.chunks_exact_mut(r.max(1));
            for (rng, sums) in self.brownian.iter_mut().zip(groups) {
                rng.normals(sums);
                sums.iter_mut().for_each(|s| *s *= root);
            }
        }
        for (coarse, &fine) in self.slow.coarse.iter_mut().zip(&self.slow.fine) {
            *coarse += fine;
        }
        self.advance_slow(
            ensemble,
            slow,
            first,
            k,
            (k + 1 - grid.stride) as f64,
            false,
        );
        self.slow.fine.fill(Lanes::ZERO);
        if (k + 1).is_multiple_of(2 * grid.stride) {
            let at = (k + 1 - 2 * grid.stride) as f64;
            self.advance_slow(ensemble, slow, first, k, at, true);
            self.slow.coarse.fill(Lanes::ZERO);
        }
    }

    /// One slow step of every slow process at the fine or the coarse step; `at` is the optimizer step at which it begins.
    fn advance_slow(
        &mut self,
        ensemble: &Ensemble,
        slow: &SlowRegime,
        first: u64,
        k: u64,
        at: f64,
        coarse: bool,
    ) {
        let d = ensemble.dimension();
        let (noise, landscape) = (&*ensemble.oracle.noise, &*ensemble.oracle.landscape);
        let eta = ensemble.eta;
        let sigma = slow.clock.noise_scale(ensemble.sigma, eta);
        let step = slow.grid.step(slow.clock.unit(eta)) * if coarse { 2.0 } else { 1.0 };
        for index in 0..self.tracks.len() {
            let Dynamics::SlowSde { lambda, scheme } = &ensemble.processes[index] else {
                continue;
            };
            if !ensemble.active[index] {
                continue;
            }
            let rate = lambda(slow.clock.at(at, eta).0);
            let track = &mut self.tracks[index];
            let mut x = std::mem::take(if coarse {
                &mut track.coarse
            } else {
                &mut track.x
            });
            let work = &mut self.slow;
            let sums = if coarse { &work.coarse } else { &work.fine };
            noise.diffuse(
                ensemble.sigma,
                &x,
                sums,
                &mut self.sde_noise,
                &mut self.scratch,
            );
            let scale = Lanes::splat(-rate * eta);
            self.sde_noise.iter_mut().for_each(|v| *v *= scale);
            let drift = match scheme {
                SlowScheme::EulerMaruyama => rate * rate,
                SlowScheme::LinearRate => rate,
                _ => 0.0,
            };
            if matches!(
                scheme,
                SlowScheme::EulerMaruyama | SlowScheme::LinearRate | SlowScheme::WithoutDrift
            ) {
                let pairs = x.chunks_exact(d).zip(self.sde_noise.chunks_exact_mut(d));
                for (x, v) in pairs {
                    work.batch.tangential(landscape, x, v);
                    if drift == 0.0 {
                        continue;
                    }
                    for (i, column) in work.columns.chunks_exact_mut(d).enumerate() {
                        work.unit.fill(Lanes::ZERO);
                        work.unit[i] = Lanes::ONE;
                        noise.diffuse(sigma, x, &work.unit, column, &mut self.scratch);
                    }
                    work.batch
                        .drift(landscape, x, &work.columns, &mut work.drift);
                    for (v, &b) in v.iter_mut().zip(&work.drift) {
                        *v = b.mul_add(Lanes::splat(drift * step), *v);
                    }
                }
            }
            // Stopped paths rest on Γ: where they would have gone must not cost them their projection.
            let stopped = &self.tracks[index].stopped;
            for (v, &stopped) in self.sde_noise.chunks_exact_mut(d).zip(stopped) {
                v.iter_mut()
                    .for_each(|v| *v = stopped.select(Lanes::ZERO, *v));
            }
            for (x, &v) in x.iter_mut().zip(&self.sde_noise) {
                *x += v;
            }
            if *scheme == SlowScheme::Nearest {
                work.target.copy_from_slice(&x);
            }
            let place = Place {
                first,
                step: k + 1,
                process: index,
                of: Use::Step,
            };
            self.land(ensemble, slow, place, &mut x);
            if *scheme == SlowScheme::Nearest {
                self.nearest(ensemble, slow, place, &mut x);
            }
            let track = &mut self.tracks[index];
            *if coarse {
                &mut track.coarse
            } else {
                &mut track.x
            } = x;
        }
    }

    /// x ← Φ(x); paths on which this fails are taken out, and rest at Φ(x_0).
    pub(super) fn land(
        &mut self,
        ensemble: &Ensemble,
        slow: &SlowRegime,
        at: Place,
        x: &mut [Lanes],
    ) {
        let d = ensemble.dimension();
        let landscape = &*ensemble.oracle.landscape;
        let rest = |alive: &[Lanes], x: &mut [Lanes]| {
            for (x, alive) in x.chunks_exact_mut(d).zip(alive) {
                for (x, &landing) in x.iter_mut().zip(&slow.landing) {
                    *x = alive.select(*x, Lanes::splat(landing));
                }
            }
        };
        rest(&self.alive, x);
        let work = &mut self.slow;
        let batch = match at.of {
            Use::Step => &mut work.batch,
            Use::Look => &mut work.looks,
            Use::Difference => &mut self.departures.batch,
        };
        let tally = batch.project(landscape, x, &mut work.outcomes);
        if tally.failed == 0 {
            return;
        }
        let failures = &mut self.tracks[at.process].failures;
        for (j, outcomes) in self.slow.outcomes.iter().enumerate() {
            for (lane, _) in outcomes
                .iter()
                .enumerate()
                .filter(|(_, o)| **o != Outcome::Landed)
            {
                failures.unprojected += 1;
                failures.record(at.first + (j * LANES + lane) as u64, at.step);
                self.alive[j].as_mut_array()[lane] = 0.0;
            }
        }
        rest(&self.alive, x);
    }

    /// For the control: on entry the state plus its noise is `x` before landing — kept in the target — and x = Φ of it; on exit x
    /// is the point of Γ nearest to it, by iterating p ← Φ(p + P(target − p)).
    fn nearest(&mut self, ensemble: &Ensemble, slow: &SlowRegime, at: Place, x: &mut [Lanes]) {
        let d = ensemble.dimension();
        for _ in 0..NEAREST_ITERATIONS {
            let mut farthest = 0.0f64;
            for (j, x) in x.chunks_exact_mut(d).enumerate() {
                let target = &self.slow.target[j * d..(j + 1) * d];
                let drift = &mut self.slow.drift;
                for (v, (&x, &target)) in drift.iter_mut().zip(x.iter().zip(target)) {
                    *v = self.alive[j].select(target - x, Lanes::ZERO);
                }
                self.slow
                    .batch
                    .tangential(&*ensemble.oracle.landscape, x, drift);
                for (x, &v) in x.iter_mut().zip(drift.iter()) {
                    farthest = v.abs().to_array().into_iter().fold(farthest, f64::max);
                    *x += v;
                }
            }
            self.land(ensemble, slow, at, x);
            if farthest < NEAREST_TOLERANCE {
                break;
            }
        }
    }

    /// What observers see of a process in Regime II: Φ(x_k), for the SDE at both its steps, or the point of a prescribed curve.
    pub(super) fn show(&mut self, ensemble: &Ensemble, first: u64, save: usize, step: u64) {
        let d = ensemble.dimension();
        for (track, process) in self.tracks.iter_mut().zip(&ensemble.processes) {
            if let Dynamics::Prescribed { states } = process
                && let Some(state) = states.get(save)
            {
                for x in track.x.chunks_exact_mut(d) {
                    for (x, &value) in x.iter_mut().zip(state) {
                        *x = Lanes::splat(value);
                    }
                }
            }
        }
        let Some(slow) = &ensemble.slow else { return };
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            if track.landed.is_empty() || !ensemble.active[index] {
                continue;
            }
            let mut landed = std::mem::take(&mut track.landed);
            let mut coarse = std::mem::take(&mut track.landed_coarse);
            landed.copy_from_slice(&track.x);
            let place = Place {
                first,
                step,
                process: index,
                of: Use::Look,
            };
            self.land(ensemble, slow, place, &mut landed);
            if !coarse.is_empty() {
                coarse.copy_from_slice(&self.tracks[index].coarse);
                self.land(ensemble, slow, place, &mut coarse);
            }
            let track = &mut self.tracks[index];
            (track.landed, track.landed_coarse) = (landed, coarse);
        }
    }
}
