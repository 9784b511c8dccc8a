//! Regime II: what the slow SDE costs beside the optimizers that it limits, and the slow flow beside the SGD run that it
//! predicts. Compare the rows of one run; all on one thread.
//!
//! `lock_step`: SGD, SGDM (α = ½) and the slow SDE at two step sizes on ½(xy − 1)², η = 0.01, T = 1, 512 paths; throughput in
//! path-steps (10⁴ a path). `hand_written` is the same for this loss alone: eight lanes in registers, Φ in closed form.
//! `two_layer_network` (336 parameters, 30 samples): the slow flow over T = 5 against 100 SGD steps of eight paths, of which
//! T/η² are needed: 82 000 at η = 2⁻⁷.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nalgebra::DVector;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use slowsde::clocks::{SlowClock, SlowTime, Steps};
use slowsde::ensemble::{
    Control, Dynamics, Ensemble, InitialMomentum, LawPlan, Plan, SlowGrid, SlowRegime, SlowScheme,
    TestFunction, Watch,
};
use slowsde::landscape::Hyperbola;
use slowsde::oracle::{EntryLaw, Factor, FactorNoise, Oracle};
use slowsde::projection::{Projector, Settings, Tolerance};
use slowsde::random::{LaneRng, Purpose, StreamKey};
use slowsde::real::Lanes;
use slowsde::scenario::{Overrides, Profile, Scenario};
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use slowsde::slow_flow::SlowFlow;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ETA: f64 = 0.01;
const STEPS: u64 = 10_000;
const PATHS: u64 = 512;
/// Optimizer steps in a fine slow step of 0.005.
const STRIDE: u64 = 50;
const START: [f64; 2] = [2.0, 0.5];

fn ensemble(slow_sde: bool) -> (Ensemble, Plan) {
    let family = ScheduleFamily {
        learning_rate: Shape::Constant(1.0),
        momentum: Shape::Constant(1.0),
        alpha: 0.5,
    };
    let horizon = Horizon::Slow(SlowTime(1.0), SlowClock::REGIME_II);
    let schedule = Arc::new(Schedule::new(&family, ETA, horizon).expect("a valid schedule"));
    let process = |kind| Dynamics::Discrete {
        schedule: schedule.clone(),
        kind,
    };
    let mut processes = vec![process(RateKind::SgdPlain), process(RateKind::Sgdm)];
    if slow_sde {
        processes.push(Dynamics::SlowSde {
            lambda: Arc::new(|_| 1.0),
            scheme: SlowScheme::Projected,
        });
    }
    let ensemble = Ensemble {
        oracle: Oracle {
            landscape: Arc::new(Hyperbola),
            noise: Arc::new(FactorNoise::new(
                Factor::Isotropic(1.0),
                EntryLaw::Gaussian,
                2,
            )),
        },
        sigma: 1.0,
        eta: ETA,
        x0: START.to_vec(),
        m0: InitialMomentum::Zero,
        active: vec![true; processes.len()],
        processes,
        save: vec![Steps(STEPS)],
        region: None,
        slow: Some(SlowRegime {
            clock: SlowClock::REGIME_II,
            grid: SlowGrid {
                stride: STRIDE,
                substeps: 1,
            },
            landing: START.to_vec(),
            projection: Settings {
                tolerance: Tolerance::both(1e-6),
                ..Settings::default()
            },
            landed: true,
            early: vec![],
            departures: Default::default(),
        }),
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

/// SGD, SGDM and the slow SDE at two step sizes on eight paths, for this loss alone.
fn hand_written(seed: u64) -> Lanes {
    let mut rng = LaneRng::new(StreamKey { seed, cell: 0 }, Purpose::Innovation, 0);
    let splat = Lanes::splat;
    let (eta, beta) = (splat(-ETA), splat(1.0 - ETA.sqrt()));
    let gain = Lanes::ONE - beta;
    let start = || [splat(START[0]), splat(START[1])];
    let (mut z, mut x, mut fine, mut coarse) = (start(), start(), start(), start());
    let mut m = [Lanes::ZERO; 2];
    let gradient = |p: &[Lanes; 2], a: Lanes, b: Lanes| {
        let e = p[0].mul_add(p[1], -Lanes::ONE);
        [e.mul_add(p[1], a), e.mul_add(p[0], b)]
    };
    // s = ½ asinh(½(x² − y²)), Φ = (eˢ, e⁻ˢ).
    let project = |p: &mut [Lanes; 2]| {
        let q = splat(0.5) * (p[0] + p[1]) * (p[0] - p[1]);
        let e = (q + q.mul_add(q, Lanes::ONE).sqrt()).sqrt();
        *p = [e, Lanes::ONE / e];
    };
    let mut sums = [[Lanes::ZERO; 2]; 2];
    for k in 1..=STEPS {
        let (a, b) = rng.normal_pair();
        let g = gradient(&z, a, b);
        z = [eta.mul_add(g[0], z[0]), eta.mul_add(g[1], z[1])];
        let g = gradient(&x, a, b);
        m = [
            beta.mul_add(m[0], gain * g[0]),
            beta.mul_add(m[1], gain * g[1]),
        ];
        x = [eta.mul_add(m[0], x[0]), eta.mul_add(m[1], x[1])];
        for sum in &mut sums {
            *sum = [sum[0] + a, sum[1] + b];
        }
        let steps = [(&mut fine, STRIDE), (&mut coarse, 2 * STRIDE)];
        for ((p, stride), sum) in steps.into_iter().zip(&mut sums) {
            if k % stride == 0 {
                *p = [eta.mul_add(sum[0], p[0]), eta.mul_add(sum[1], p[1])];
                project(p);
                *sum = [Lanes::ZERO; 2];
            }
        }
    }
    z[0] + x[0] + fine[0] + coarse[0]
}

/// The same, one path at a time with a ziggurat, Φ in closed form.
fn scalar(seed: u64) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut z, mut x, mut fine, mut coarse) = (START, START, START, START);
    let (mut m, beta) = ([0.0f64; 2], 1.0 - ETA.sqrt());
    let mut sums = [[0.0f64; 2]; 2];
    for k in 1..=STEPS {
        let v: [f64; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let e = z[0] * z[1] - 1.0;
        z = [
            z[0] - ETA * (e * z[1] + v[0]),
            z[1] - ETA * (e * z[0] + v[1]),
        ];
        let e = x[0] * x[1] - 1.0;
        let g = [e * x[1] + v[0], e * x[0] + v[1]];
        m = std::array::from_fn(|i| beta * m[i] + (1.0 - beta) * g[i]);
        x = std::array::from_fn(|i| x[i] - ETA * m[i]);
        for sum in &mut sums {
            *sum = [sum[0] + v[0], sum[1] + v[1]];
        }
        let steps = [(&mut fine, STRIDE), (&mut coarse, 2 * STRIDE)];
        for ((p, stride), sum) in steps.into_iter().zip(&mut sums) {
            if k % stride == 0 {
                let q = [p[0] - ETA * sum[0], p[1] - ETA * sum[1]];
                let s = 0.5 * (0.5 * (q[0] * q[0] - q[1] * q[1])).asinh();
                *p = [s.exp(), (-s).exp()];
                *sum = [0.0; 2];
            }
        }
    }
    z[0] + x[0] + fine[0] + coarse[0]
}

fn lock_step(c: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread pool");
    let mut group = c.benchmark_group("lock_step");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(PATHS * STEPS));
    for (name, slow_sde) in [("sgd_sgdm", false), ("sgd_sgdm_slow_sde", true)] {
        let (ensemble, plan) = ensemble(slow_sde);
        let control = Control::default();
        group.bench_function(name, |b| {
            b.iter(|| pool.install(|| ensemble.run(&plan, 0..PATHS, 64, &control)));
        });
    }
    group.bench_function("hand_written", |b| {
        b.iter(|| {
            (0..PATHS / 8)
                .map(hand_written)
                .fold(Lanes::ZERO, |a, v| a + v)
        });
    });
    group.throughput(Throughput::Elements(PATHS / 16 * STEPS));
    group.bench_function("scalar", |b| {
        b.iter(|| (0..PATHS / 16).map(scalar).sum::<f64>());
    });
    group.finish();
}

fn two_layer_network(c: &mut Criterion) {
    let text = include_str!("../scenarios/slow_two_layer_network.toml");
    let overrides = Overrides {
        assignments: vec![
            "landscape.two_layer_network.rows=30".to_string(),
            "run.eta_max=0.01".to_string(),
        ],
        seed: None,
    };
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
    let scenario = Scenario::parse(text, "bench", "bench", folder, Profile::Quick, &overrides)
        .expect("a valid scenario");
    let start = DVector::from_column_slice(&scenario.x0);
    let landing = Projector::new(&*scenario.oracle.landscape, Settings::default())
        .land(&start)
        .expect("a start that can be projected")
        .point;
    let mut group = c.benchmark_group("two_layer_network");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.bench_function("slow_flow_to_5", |b| {
        let rate = |_: f64| 1.0;
        let flow = SlowFlow::new(&scenario.oracle, &rate, 1e-6);
        b.iter(|| flow.integrate(black_box(&landing), &[5.0]).expect("a flow"));
    });
    let noise = &scenario.oracle.noise;
    let d = landing.len();
    let mut x: Vec<Lanes> = landing.iter().map(|&v| Lanes::splat(v)).collect();
    let mut rng = [LaneRng::new(
        StreamKey { seed: 1, cell: 0 },
        Purpose::Innovation,
        0,
    )];
    let mut xi = vec![Lanes::ZERO; noise.innovation().entries()];
    let (mut g, mut scratch) = (
        vec![Lanes::ZERO; d],
        vec![Lanes::ZERO; 2 * d + noise.scratch()],
    );
    group.bench_function("sgd_100_steps", |b| {
        b.iter(|| {
            for _ in 0..100 {
                noise.innovation().draw(&mut rng, &mut xi);
                let landscape = &*scenario.oracle.landscape;
                noise.gradient(landscape, 1.0, &x, &xi, &mut g, &mut scratch);
                for (x, &g) in x.iter_mut().zip(&g) {
                    *x = Lanes::splat(-0.01).mul_add(g, *x);
                }
            }
            black_box(x[0])
        });
    });
    group.finish();
}

criterion_group!(benches, lock_step, two_layer_network);
criterion_main!(benches);
