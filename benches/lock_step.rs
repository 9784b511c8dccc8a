//! The coupled step of SGD and SGDM on ½(xy − 1)² with Gaussian noise: engine against hand-written kernels.
//!
//! All times are for the same number of path-steps (a path-step moves SGD *and* SGDM once), on one thread unless the name
//! says otherwise; compare the rows of one run. `hand_written` keeps the whole state of eight paths in registers, draws with
//! eight xoshiro256++ lanes and a Box–Muller transform on the vector logarithm, sine and cosine of the `wide` crate.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use slowsde::clocks::Steps;
use slowsde::ensemble::{
    Control, Dynamics, Ensemble, InitialMomentum, LawPlan, Plan, TestFunction, Watch,
};
use slowsde::landscape::Hyperbola;
use slowsde::oracle::{EntryLaw, Factor, FactorNoise, Oracle};
use slowsde::random::StreamKey;
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::hint::black_box;
use std::sync::Arc;
use wide::{f64x8, u64x8};

const STEPS: u64 = 1000;
const PATHS: u64 = 4096;
const ETA: f64 = 1e-3;
const BETA: f64 = 0.9;

fn ensemble(steps: u64) -> (Ensemble, Plan) {
    let family = ScheduleFamily {
        learning_rate: Shape::Constant(1.0),
        momentum: Shape::Constant(1.0 - BETA),
        alpha: 0.0,
    };
    let horizon = Horizon::Fast(Steps(steps).fast(ETA));
    let schedule = Arc::new(Schedule::new(&family, ETA, horizon).expect("a valid schedule"));
    let process = |kind| Dynamics::Discrete {
        schedule: schedule.clone(),
        kind,
    };
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
        x0: vec![2.0, 0.5],
        m0: InitialMomentum::Zero,
        processes: vec![process(RateKind::SgdAveraged), process(RateKind::Sgdm)],
        active: vec![true; 2],
        save: vec![Steps(steps)],
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

#[inline(always)]
fn rotate<const K: u32>(x: u64x8) -> u64x8 {
    (x << K) | (x >> (64 - K))
}

/// Eight paths in registers.
fn hand_written(seed: u64) -> f64x8 {
    let mut seeder = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut s: [u64x8; 4] =
        std::array::from_fn(|_| u64x8::from(std::array::from_fn::<u64, 8, _>(|_| seeder.random())));
    let mut next = || {
        let result = rotate::<23>(s[0] + s[3]) + s[0];
        let t = s[1] << 17u32;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate::<45>(s[3]);
        bytemuck::cast::<u64x8, f64x8>((result >> 12u32) | u64x8::splat(0x3ff0_0000_0000_0000))
    };
    let (mut zx, mut zy) = (f64x8::splat(2.0), f64x8::splat(0.5));
    let (mut x, mut y) = (zx, zy);
    let (mut mx, mut my) = (f64x8::ZERO, f64x8::ZERO);
    let (eta, beta, gain) = (
        f64x8::splat(-ETA),
        f64x8::splat(BETA),
        f64x8::splat(1.0 - BETA),
    );
    for _ in 0..STEPS {
        let u = f64x8::splat(2.0) - next();
        let r = (f64x8::splat(-2.0) * u.ln()).sqrt();
        let (sin, cos) = ((next() - f64x8::ONE) * f64x8::splat(std::f64::consts::TAU)).sin_cos();
        let (a, b) = (r * cos, r * sin);
        let e = zx.mul_add(zy, -f64x8::ONE);
        let (gx, gy) = (e.mul_add(zy, a), e.mul_add(zx, b));
        zx = eta.mul_add(gx, zx);
        zy = eta.mul_add(gy, zy);
        let e = x.mul_add(y, -f64x8::ONE);
        let (gx, gy) = (e.mul_add(y, a), e.mul_add(x, b));
        mx = beta.mul_add(mx, gain * gx);
        my = beta.mul_add(my, gain * gy);
        x = eta.mul_add(mx, x);
        y = eta.mul_add(my, y);
    }
    zx + zy + x + y
}

/// One path at a time with a ziggurat: what plain Rust does.
fn scalar(seed: u64) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut zx, mut zy) = (2.0f64, 0.5f64);
    let (mut x, mut y) = (zx, zy);
    let (mut mx, mut my) = (0.0, 0.0);
    for _ in 0..STEPS {
        let a: f64 = rng.sample(StandardNormal);
        let b: f64 = rng.sample(StandardNormal);
        let e = zx * zy - 1.0;
        let (gx, gy) = (e * zy + a, e * zx + b);
        zx -= ETA * gx;
        zy -= ETA * gy;
        let e = x * y - 1.0;
        let (gx, gy) = (e * y + a, e * x + b);
        mx = BETA * mx + (1.0 - BETA) * gx;
        my = BETA * my + (1.0 - BETA) * gy;
        x -= ETA * mx;
        y -= ETA * my;
    }
    zx + zy + x + y
}

fn lock_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("sgd+sgdm on the hyperbola");
    group.throughput(Throughput::Elements(PATHS * STEPS));
    group.sample_size(20);
    let (problem, plan) = ensemble(STEPS);
    let control = Control::default();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let Ok(pool) = pool else { continue };
        group.bench_function(format!("engine, {threads} thread(s)"), |b| {
            b.iter(|| pool.install(|| problem.run(&plan, 0..PATHS, 64, &control)));
        });
    }
    group.bench_function("hand_written f64x8", |b| {
        b.iter(|| {
            (0..PATHS / 8)
                .map(|i| hand_written(black_box(i)))
                .fold(f64x8::ZERO, |a, b| a + b)
        });
    });
    group.bench_function("scalar ziggurat", |b| {
        b.iter(|| (0..PATHS).map(|i| scalar(black_box(i))).sum::<f64>());
    });
    group.finish();
}

criterion_group!(benches, lock_step);
criterion_main!(benches);
