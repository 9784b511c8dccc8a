//! A loss of one's own in Rust: one closure, and every derivative that the theory needs follows from it.
//!
//! The loss is a network of one tanh unit on a few samples, a sum of squares; the noise is Gaussian and grows with the parameters.
//! SGD and SGDM run on one stream of noise; the difference of their expectations must vanish as η → 0 (Theorem 4.5).
//!
//! Run with `cargo run --release --example own_landscape`; `cargo test --example own_landscape` runs its checks.

use slowsde::clocks::{FastTime, Steps};
use slowsde::ensemble::{
    Control, Dynamics, Ensemble, InitialMomentum, LawPlan, Plan, TestFunction, Watch,
};
use slowsde::landscape::{Expression, Landscape, check_derivatives};
use slowsde::oracle::{EntryLaw, ExpressionNoise, Oracle};
use slowsde::random::StreamKey;
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::error::Error;
use std::sync::Arc;

/// Inputs and targets.
const SAMPLES: [(f64, f64); 4] = [(-1.0, -0.6), (0.0, 0.1), (0.5, 0.4), (2.0, 0.9)];
const START: [f64; 2] = [1.5, 0.5];

/// L(a, w) = (1/2n) Σ (a tanh(w zᵢ) − yᵢ)².
fn loss() -> Result<Expression, Box<dyn Error>> {
    Ok(Expression::residuals_from_fn(2, |x| {
        let (a, w) = (x[0], x[1]);
        SAMPLES.map(|(z, y)| a * (w * z).tanh() - y).to_vec()
    })?)
}

/// B(x) = 0.2 √(1 + ‖x‖²) I.
fn noise() -> Result<ExpressionNoise, Box<dyn Error>> {
    Ok(ExpressionNoise::from_fn(2, EntryLaw::Gaussian, |x| {
        let size = 0.2 * (1.0 + x[0].square() + x[1].square()).sqrt();
        vec![vec![size, 0.0.into()], vec![0.0.into(), size]]
    })?)
}

/// The derivatives against differences, and the gradient against its formula.
fn check(loss: &Expression) -> Result<(), Box<dyn Error>> {
    check_derivatives(loss, &START)?;
    let [a, w] = START;
    let (mut found, mut expected) = ([0.0; 2], [0.0; 2]);
    loss.gradient_at(&START, &mut found);
    for (z, y) in SAMPLES {
        let (h, share) = ((w * z).tanh(), 1.0 / SAMPLES.len() as f64);
        expected[0] += share * (a * h - y) * h;
        expected[1] += share * (a * h - y) * a * (1.0 - h * h) * z;
    }
    for (found, expected) in found.iter().zip(expected) {
        if (found - expected).abs() > 1e-14 {
            return Err(format!("∇L: {found} is not {expected}").into());
        }
    }
    Ok(())
}

/// E h(SGDM) − E h(SGD) for h = ‖x‖² at the end of two units of fast time, with its standard error.
fn difference(loss: &Expression, eta: f64) -> Result<(f64, f64), Box<dyn Error>> {
    let family = ScheduleFamily {
        learning_rate: Shape::Constant(1.0),
        momentum: Shape::Constant(0.5),
        alpha: 0.5,
    };
    let schedule = Arc::new(Schedule::new(&family, eta, Horizon::Fast(FastTime(2.0)))?);
    let end: Steps = schedule.steps();
    let process = |kind| Dynamics::Discrete {
        schedule: schedule.clone(),
        kind,
    };
    let ensemble = Ensemble {
        oracle: Oracle {
            landscape: Arc::new(loss.clone()),
            noise: Arc::new(noise()?),
        },
        sigma: eta.powf(-0.5),
        eta,
        x0: START.to_vec(),
        m0: InitialMomentum::Zero,
        processes: vec![process(RateKind::SgdAveraged), process(RateKind::Sgdm)],
        active: vec![true; 2],
        save: vec![end],
        region: None,
        slow: None,
        watch: Watch::default(),
        key: StreamKey { seed: 1, cell: 0 },
    };
    let plan = Plan {
        functions: vec![TestFunction::SquaredNorm],
        monitored: vec![],
        pairs: vec![(1, 0)],
        laws: LawPlan::default(),
        paths: None,
    };
    let total = ensemble.run(&plan, 0..16_384, 1024, &Control::default())?;
    let difference = &total.pairs[0][0];
    Ok((difference.mean[0], difference.standard_error(0)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let loss = loss()?;
    check(&loss)?;
    println!("     η    E‖x‖²(SGDM) − E‖x‖²(SGD) ± standard error   / η^(1/4)");
    let mut ladder = vec![];
    for k in [4, 6, 8] {
        let eta = f64::from(-k).exp2();
        let (mean, error) = difference(&loss, eta)?;
        println!(
            "{eta:8.5}  {mean:+.5} ± {error:.5}                          {:+.5}",
            mean / eta.powf(0.25)
        );
        ladder.push((mean.abs(), error));
    }
    // Theorem 4.5 with α = 1/2: |difference| ≤ C η^(1/4). η falls by 16 along the ladder, so the difference falls by 2,
    // up to the noise of sampling.
    if let [(first, _), .., (last, error)] = ladder[..]
        && last > first / 2.0 + 4.0 * error
    {
        return Err("SGDM keeps away from SGD as η → 0".into());
    }
    println!("SGDM follows SGD: the difference falls at least as fast as η^(1/4).");
    Ok(())
}

#[test]
fn the_example_holds() -> Result<(), Box<dyn Error>> {
    main()
}
