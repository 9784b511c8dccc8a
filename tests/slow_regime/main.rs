//! Regime II against independent evidence: a scalar reference, closed forms, exact recursions, published distances.

#[path = "../common/mod.rs"]
mod common;

mod alpha_two;
mod between;
mod bookkeeping;
mod crossing;
mod departures;
mod lanes;
mod laws;
mod paths;
mod twin;

use common::*;
use slowsde::clocks::{SlowClock, SlowTime};
use slowsde::ensemble::*;
use slowsde::landscape::*;
use slowsde::oracle::{Factor, Noise};
use slowsde::projection::{Settings, Tolerance};
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::sync::Arc;

/// η_k = ηλ and 1 − β_k = η^α μ on the clock kη², up to T.
fn slow_schedule(lambda: Shape, mu: Shape, alpha: f64, eta: f64, t: f64) -> Arc<Schedule> {
    let family = ScheduleFamily {
        learning_rate: lambda,
        momentum: mu,
        alpha,
    };
    Arc::new(
        Schedule::new(
            &family,
            eta,
            Horizon::Slow(SlowTime(t), SlowClock::REGIME_II),
        )
        .unwrap(),
    )
}

/// SGD at λ = 1.
fn sgd(eta: f64, t: f64) -> Dynamics {
    let one = Shape::Constant(1.0);
    process(
        &slow_schedule(one.clone(), one, 0.0, eta, t),
        RateKind::SgdPlain,
    )
}

/// SGDM at λ = 1 with 1 − β = η^α.
fn sgdm(alpha: f64, eta: f64, t: f64) -> Dynamics {
    let one = Shape::Constant(1.0);
    process(
        &slow_schedule(one.clone(), one, alpha, eta, t),
        RateKind::Sgdm,
    )
}

/// The slow SDE at λ = 1.
fn slow_sde(scheme: SlowScheme) -> Dynamics {
    Dynamics::SlowSde {
        lambda: Arc::new(|_| 1.0),
        scheme,
    }
}

/// An ensemble of Regime II with σ = 1 that starts at `x0` and is looked at at the given steps.
fn slow_ensemble(
    landscape: impl Landscape + 'static,
    noise: Arc<dyn Noise>,
    eta: f64,
    x0: &[f64],
    grid: SlowGrid,
    processes: Vec<Dynamics>,
    save: &[u64],
) -> Ensemble {
    let start = nalgebra::DVector::from_column_slice(x0);
    let landing = landscape.exact_projection(&start).unwrap();
    Ensemble {
        slow: Some(SlowRegime {
            clock: SlowClock::REGIME_II,
            grid,
            landing: landing.as_slice().to_vec(),
            projection: Settings {
                tolerance: Tolerance::both(1e-8),
                ..Settings::default()
            },
            landed: true,
            early: vec![],
            departures: Default::default(),
        }),
        ..ensemble(Arc::new(landscape), noise, 1.0, eta, x0, processes, save)
    }
}

/// Σ = s²I.
fn isotropic(s: f64, d: usize) -> Arc<dyn Noise> {
    gaussian(Factor::Isotropic(s), d)
}

/// `stride` optimizer steps in a fine slow step.
fn every(stride: u64) -> SlowGrid {
    SlowGrid {
        stride,
        substeps: 1,
    }
}

/// The grid whose fine step is `h` exactly.
fn stepped(h: f64, eta: f64) -> SlowGrid {
    let ratio = h / (eta * eta);
    let grid = if ratio > 0.999 {
        every(ratio.round() as u64)
    } else {
        SlowGrid {
            stride: 1,
            substeps: (1.0 / ratio).round() as usize,
        }
    };
    assert!(
        (grid.step(eta * eta) - h).abs() < 1e-9 * h,
        "{grid:?} at η = {eta}"
    );
    grid
}

/// States of single paths: `fine[process][save]` and `coarse[process][save]` hold one point after the other, path by path.
#[derive(Clone, Default)]
struct States {
    fine: Vec<Vec<Vec<f64>>>,
    coarse: Vec<Vec<Vec<f64>>>,
    alive: Vec<Vec<bool>>,
}

impl Observer for States {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        let (n, saves) = (view.ensemble.processes.len(), view.ensemble.save.len());
        for list in [&mut self.fine, &mut self.coarse] {
            list.resize(n, vec![vec![]; saves]);
        }
        let points = |x: &[slowsde::real::Lanes]| -> Vec<f64> {
            let group = |g: &[slowsde::real::Lanes]| {
                (0..8).flat_map(|l| lane_of(g, l)).collect::<Vec<f64>>()
            };
            x.chunks_exact(d).flat_map(group).collect()
        };
        for p in 0..n {
            self.fine[p][save].extend(points(view.state(p)));
            self.coarse[p][save].extend(points(view.coarse(p)));
        }
        self.alive.resize(saves, vec![]);
        let bits = |m: &slowsde::real::Lanes| {
            let bits = m.to_bitmask();
            (0..8).map(move |l| (bits >> l) & 1 == 1)
        };
        self.alive[save].extend(view.alive.iter().flat_map(bits));
    }
    fn finish(&mut self, _view: &BlockView<'_>) {}
}

/// The states of at least `paths` paths.
fn states(e: &Ensemble, paths: u64) -> States {
    let mut states = States::default();
    let mut block = Block::new(e);
    for first in (0..paths).step_by(block.paths() as usize) {
        block.run(e, first, block.paths(), &mut states);
    }
    states
}

impl States {
    /// Coordinates of one path.
    fn of(list: &[Vec<Vec<f64>>], process: usize, save: usize, path: usize, d: usize) -> &[f64] {
        &list[process][save][path * d..(path + 1) * d]
    }
}

/// Mean and its standard error.
fn mean(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut n, mut m, mut squares) = (0.0, 0.0, 0.0);
    for v in values {
        n += 1.0;
        let e = v - m;
        m += e / n;
        squares += e * (v - m);
    }
    (m, (squares / (n - 1.0) / n).sqrt())
}
