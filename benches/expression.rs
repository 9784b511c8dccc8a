//! The coupled step of SGD and SGDM from expressions against the built-in landscapes, with the same noise.
//!
//! One thread; a path-step moves SGD *and* SGDM once. Compare the rows of one group; the goal is 2.5 times the built-in landscape.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slowsde::clocks::Steps;
use slowsde::ensemble::{
    Control, Dynamics, Ensemble, InitialMomentum, LawPlan, Plan, TestFunction, Watch,
};
use slowsde::expression::Scope;
use slowsde::landscape::{
    DoubleWell, Expression, Hyperbola, Landscape, Quadratic, Sphere, Steepness, Valley,
};
use slowsde::oracle::{EntryLaw, Factor, FactorNoise, Oracle};
use slowsde::random::StreamKey;
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::sync::Arc;

const STEPS: u64 = 500;
const PATHS: u64 = 2048;
const ETA: f64 = 1e-3;

fn ensemble(landscape: Arc<dyn Landscape>) -> (Ensemble, Plan) {
    let family = ScheduleFamily {
        learning_rate: Shape::Constant(1.0),
        momentum: Shape::Constant(0.1),
        alpha: 0.0,
    };
    let horizon = Horizon::Fast(Steps(STEPS).fast(ETA));
    let schedule = Arc::new(Schedule::new(&family, ETA, horizon).expect("a valid schedule"));
    let process = |kind| Dynamics::Discrete {
        schedule: schedule.clone(),
        kind,
    };
    let d = landscape.dimension();
    let noise = FactorNoise::new(Factor::Isotropic(0.1), EntryLaw::Gaussian, d);
    let ensemble = Ensemble {
        oracle: Oracle {
            landscape,
            noise: Arc::new(noise),
        },
        sigma: 1.0,
        eta: ETA,
        x0: vec![0.5; d],
        m0: InitialMomentum::Zero,
        processes: vec![process(RateKind::SgdAveraged), process(RateKind::Sgdm)],
        active: vec![true; 2],
        save: vec![Steps(STEPS)],
        region: None,
        slow: None,
        watch: Watch::default(),
        key: StreamKey { seed: 1, cell: 0 },
    };
    let plan = Plan {
        functions: vec![TestFunction::Coordinate(0)],
        monitored: vec![],
        pairs: vec![(0, 1)],
        laws: LawPlan::default(),
        paths: None,
    };
    (ensemble, plan)
}

fn loss(parameters: &[&str], text: &str) -> Arc<dyn Landscape> {
    let scope = Scope::new(parameters).expect("valid parameters");
    Arc::new(Expression::of_loss(text, &scope).expect("a valid loss"))
}

fn steps(c: &mut Criterion) {
    let exponential = Steepness::Exponential { kappa: 0.5 };
    let valley = Valley::new(exponential).expect("a valid valley");
    let sphere = Sphere::new(20).expect("a valid sphere");
    let well = DoubleWell::new(20, 1.0).expect("a valid double well");
    let spectrum: Vec<f64> = (1..=20).map(f64::from).collect();
    let quadratic = Quadratic::from_spectrum(&spectrum).expect("a valid quadratic");
    let weighted: Vec<String> = (1..=20).map(|i| format!("{i}*w[{i}]^2")).collect();
    let weighted = format!("0.5*({})", weighted.join(" + "));
    let w = &["w[1..20]"][..];
    /// A name, the built-in loss, and the same as an expression.
    type Case = (&'static str, Arc<dyn Landscape>, Arc<dyn Landscape>);
    let cases: [Case; 5] = [
        (
            "hyperbola",
            Arc::new(Hyperbola),
            loss(&["x", "y"], "0.5*(x*y - 1)^2"),
        ),
        (
            "valley",
            Arc::new(valley),
            loss(&["u", "v"], "0.5*exp(0.5*u^2)*v^2"),
        ),
        (
            "sphere, d = 20",
            Arc::new(sphere),
            loss(w, "0.25*(norm2(w) - 1)^2"),
        ),
        (
            "double well, d = 20",
            Arc::new(well),
            loss(w, "0.25*(w[1]^2 - 1)^2 + 0.5*norm2(w[2..20])"),
        ),
        ("quadratic, d = 20", Arc::new(quadratic), loss(w, &weighted)),
    ];
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    for (name, built_in, expression) in cases {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(PATHS * STEPS));
        group.sample_size(10);
        for (kind, landscape) in [("built-in", built_in), ("expression", expression)] {
            let (problem, plan) = ensemble(landscape);
            let control = Control::default();
            group.bench_function(kind, |b| {
                b.iter(|| pool.install(|| problem.run(&plan, 0..PATHS, 64, &control)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
