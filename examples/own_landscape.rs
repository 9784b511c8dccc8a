//! A loss of one's own: four formulas, and the lock step of SGD and SGDM on it with paired statistics.
//!
//! Run with `cargo run --release --example own_landscape`.

use slowsde::clocks::{FastTime, Steps};
use slowsde::ensemble::{Control, Dynamics, Ensemble, InitialMomentum, Plan, TestFunction};
use slowsde::landscape::Formula;
use slowsde::oracle::{EntryLaw, Factor, FactorNoise, Oracle};
use slowsde::random::StreamKey;
use slowsde::real::Real;
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::sync::Arc;

/// L(x) = ¼x⁴.
struct Quartic;

impl Formula for Quartic {
    fn dimension(&self) -> usize {
        1
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        R::constant(0.25) * x[0].square().square()
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        g[0] = x[0].square() * x[0];
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        h[0] = R::constant(3.0) * x[0].square();
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        out[0] = R::constant(6.0) * x[0] * m[0];
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (alpha, horizon) = (0.5, 2.0);
    println!("     η    E x²(SGD)   E x²(SGDM) − E x²(SGD) ± standard error");
    for k in 4..10 {
        let eta = f64::from(-k).exp2();
        let family = ScheduleFamily {
            learning_rate: Shape::Constant(1.0),
            momentum: Shape::Constant(0.5),
            alpha,
        };
        let schedule = Schedule::new(&family, eta, Horizon::Fast(FastTime(horizon)))?;
        let end: Steps = schedule.steps();
        let schedule = Arc::new(schedule);
        let process = |kind| Dynamics::Discrete {
            schedule: schedule.clone(),
            kind,
        };
        let ensemble = Ensemble {
            oracle: Oracle {
                landscape: Arc::new(Quartic),
                noise: Arc::new(FactorNoise::new(
                    Factor::Isotropic(1.0),
                    EntryLaw::Gaussian,
                    1,
                )),
            },
            sigma: eta.powf(-0.5),
            eta,
            x0: vec![1.0],
            m0: InitialMomentum::Zero,
            processes: vec![process(RateKind::SgdAveraged), process(RateKind::Sgdm)],
            active: vec![true; 2],
            save: vec![end],
            region: None,
            slow: None,
            key: StreamKey {
                seed: 1,
                cell: k as u64,
            },
        };
        let plan = Plan {
            functions: vec![TestFunction::Square(0)],
            monitored: vec![],
            pairs: vec![(1, 0)],
            paths: None,
        };
        let total = ensemble.run(&plan, 0..100_000, 1024, &Control::default())?;
        let difference = &total.pairs[0][0];
        println!(
            "{eta:8.5}  {:9.5}   {:+.5} ± {:.5}",
            total.panel[0][0].mean[0],
            difference.mean[0],
            difference.standard_error(0)
        );
    }
    Ok(())
}
