//! Peak memory grows neither with the number of paths nor with the number of steps, in both regimes. One test, alone in its
//! process: the peak is a property of the process.

mod common;

use common::*;
use slowsde::clocks::{SlowClock, Steps};
use slowsde::ensemble::{
    Departure, Departures, Dynamics, Ensemble, LawPlan, PathPlan, Plan, SlowGrid, SlowRegime,
    SlowScheme, TestFunction,
};
use slowsde::landscape::Hyperbola;
use slowsde::oracle::Factor;
use slowsde::schedule::{RateKind, Shape};
use std::sync::Arc;

fn hyperbola(steps: u64) -> Ensemble {
    let horizon = 1.0;
    let eta = horizon / steps as f64;
    let moving = schedule(
        Shape::cosine(1.0, 0.5).unwrap(),
        Shape::constant(0.5).unwrap(),
        0.0,
        eta,
        horizon,
    );
    ensemble(
        Arc::new(Hyperbola),
        gaussian(Factor::Isotropic(0.5), 2),
        1.0,
        eta,
        &[1.5, 0.5],
        vec![
            process(&moving, RateKind::SgdAveraged),
            process(&moving, RateKind::Sgdm),
        ],
        &[1, steps / 4, steps / 2, steps],
    )
}

/// Of raw iterates: with differences of Φ, and with the look before.
const DEPARTURES: [&str; 3] = ["fluctuation2", "projected_gradient2", "projected_velocity2"];

fn departure(name: &str) -> Option<Departure> {
    name.parse::<TestFunction>().ok()?.departure()
}

/// Regime II with everything that it keeps: both schemes of the slow SDE, Φ(x_k) and departures from it, and the statistics of whole
/// paths.
fn slow_hyperbola(steps: u64) -> Ensemble {
    let scheme = |scheme| Dynamics::SlowSde {
        lambda: Arc::new(|_| 1.0),
        scheme,
    };
    let mut e = hyperbola(steps);
    e.eta = (0.1 / steps as f64).sqrt();
    let s = constant(0.5, 0.0, e.eta, steps as f64 * e.eta);
    e.processes = vec![
        process(&s, RateKind::SgdPlain),
        process(&s, RateKind::Sgdm),
        scheme(SlowScheme::Projected),
        scheme(SlowScheme::EulerMaruyama),
    ];
    e.active = vec![true; 4];
    e.save = (0..=4).map(|i| Steps(i * steps / 4)).collect();
    let x0 = [2.0, 0.5];
    e.x0 = x0.to_vec();
    e.slow = Some(SlowRegime {
        clock: SlowClock::REGIME_II,
        grid: SlowGrid {
            stride: steps / 8,
            substeps: 1,
        },
        landing: x0.to_vec(),
        projection: Default::default(),
        landed: true,
        early: vec![],
        departures: Departures {
            functions: DEPARTURES.iter().filter_map(|h| departure(h)).collect(),
            times: (0..=4).map(|i| 0.025 * f64::from(i)).collect(),
            rates: vec![1.0; 5],
        },
    });
    e
}

/// High-water mark of the resident set in KiB, where the system tells.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What is run, and by how many KiB its statistics may still grow.
struct Regime<'a> {
    make: fn(u64) -> Ensemble,
    plan: &'a Plan,
    threads: usize,
    filling: f64,
}

/// Sets the high-water mark back to the present size, where the system can: what ran before does not hide what runs next.
fn forget_the_peak() {
    // Without it the test is weaker, but still one.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[test]
fn peak_memory_is_flat() {
    let fast = plan(&["x[1]", "x[2]^2", "loss"], &[(0, 1)]);
    let laws = LawPlan {
        saves: vec![2, 4],
        projected: vec![2, 4],
        directions: vec![vec![0.6, 0.8]],
    };
    let paths = PathPlan { common: vec![2, 4] };
    let slow = Plan {
        laws,
        paths: Some(paths),
        ..plan(
            &[&["x[1]", "trace_hessian"][..], &DEPARTURES].concat(),
            &[(0, 2), (1, 2), (3, 2)],
        )
    };
    let measure = |regime: &Regime, (steps, paths): (u64, u64)| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(regime.threads);
        let pool = threads.build().unwrap();
        pool.install(|| run(&(regime.make)(steps), regime.plan, paths));
        peak()
    };
    // How many chunks are alive at once varies with the scheduler by a tenth of this small process; ten short runs show the
    // small problem's true peak. With the many statistics of Regime II it varies by more: one thread. And while 10³ paths come
    // in, bins of histograms are still filling up: 512 of 8 bytes in 5·4 histograms of looks and in the 2·4·2 of 16 batches.
    let fast = Regime {
        make: hyperbola,
        plan: &fast,
        threads: 2,
        filling: 0.0,
    };
    let slow = Regime {
        make: slow_hyperbola,
        plan: &slow,
        threads: 1,
        filling: 4.0 * (20.0 + 16.0 * 16.0),
    };
    // From few to many paths, and from few to many steps, each against its own start.
    for (regime, small, large) in [
        (&fast, (20, 10_000), (20, 1_000_000)),
        (&fast, (1000, 128), (1_000_000, 128)),
        (&slow, (16, 1000), (16, 100_000)),
        (&slow, (1000, 128), (300_000, 128)),
    ] {
        forget_the_peak();
        let base = (0..10)
            .map(|_| measure(regime, small))
            .fold(None, |_, peak| peak);
        let (Some(base), Some(now)) = (base, measure(regime, large)) else {
            return;
        };
        assert!(
            now <= 1.1 * base + regime.filling,
            "{large:?} steps and paths: {now} KiB, {small:?}: {base} KiB"
        );
    }
}
