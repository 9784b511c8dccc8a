//! Peak memory grows neither with the number of paths nor with the number of steps. One test, alone in its process: the
//! peak is a property of the process.

mod common;

use common::*;
use slowsde::ensemble::Ensemble;
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

/// High-water mark of the resident set in KiB, where the system tells.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn peak_memory_is_flat() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    let plan = plan(&["x[1]", "x[2]^2", "loss"], &[(0, 1)]);
    let measure = |steps: u64, paths: u64| {
        pool.install(|| run(&hyperbola(steps), &plan, paths));
        peak()
    };
    // From 10⁴ to 10⁶ paths, and from 10³ to 10⁶ steps, each against its own start. How many chunks are alive at once
    // varies with the scheduler by a tenth of this small process; ten short runs show the small problem's true peak.
    for [small, large] in [
        [(20, 10_000), (20, 1_000_000)],
        [(1000, 128), (1_000_000, 128)],
    ] {
        let base = (0..10)
            .map(|_| measure(small.0, small.1))
            .fold(None, |_, peak| peak);
        let (Some(base), Some(now)) = (base, measure(large.0, large.1)) else {
            return;
        };
        assert!(
            now <= 1.1 * base,
            "{large:?} steps and paths: {now} KiB, {small:?}: {base} KiB"
        );
    }
}
