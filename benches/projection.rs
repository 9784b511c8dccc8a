//! Φ in lanes and for one dense point, beside the gradients that it evaluates: compare the rows of one run.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use nalgebra::{DMatrix, DVector};
use slowsde::landscape::{Formula, Hyperbola, Landscape};
use slowsde::projection::{Batch, Covariance, Outcome, Projector, Settings, Tangent, Tolerance};
use slowsde::real::{LANES, Lanes, Real};
use std::hint::black_box;
use std::time::Duration;

const GROUPS: usize = 64;

/// Points (eˢ, e⁻ˢ) + `distance`·(unit vector), s between −1 and 1.
fn points(distance: f64) -> Vec<Lanes> {
    let at = |k: usize| {
        let s = (k as f64 * 0.7).sin();
        let angle = k as f64 * 2.4;
        [
            s.exp() + distance * angle.cos(),
            (-s).exp() + distance * angle.sin(),
        ]
    };
    let mut x = vec![];
    for j in 0..GROUPS {
        for i in 0..2 {
            x.push(Lanes::new(std::array::from_fn(|l| at(j * LANES + l)[i])));
        }
    }
    x
}

/// L = (1/2n) Σ (⟨aᵢ, u⊙u − w⊙w⟩ − yᵢ)²: a diagonal network with n samples, d = 2p.
struct Network {
    a: Vec<f64>,
    y: Vec<f64>,
    p: usize,
}

impl Network {
    fn new(n: usize, p: usize) -> Network {
        Network {
            a: (0..n * p)
                .map(|k| (k as f64 * k as f64 * 0.37).sin() * 1.4)
                .collect(),
            y: (0..n).map(|i| (i as f64 * 1.9).cos()).collect(),
            p,
        }
    }
}

impl Formula for Network {
    fn dimension(&self) -> usize {
        2 * self.p
    }
    fn value<R: Real>(&self, _: &[R]) -> R {
        R::constant(0.0)
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let (p, share) = (self.p, R::constant(1.0 / self.y.len() as f64));
        let (u, w) = x.split_at(p);
        g.fill(R::constant(0.0));
        let (gu, gw) = g.split_at_mut(p);
        for (row, &y) in self.a.chunks_exact(p).zip(&self.y) {
            let mut r = R::constant(-y);
            for j in 0..p {
                r = R::constant(row[j]).mul_add(u[j] * u[j] - w[j] * w[j], r);
            }
            let r = r * share;
            for (g, &a) in gu.iter_mut().zip(row) {
                *g = R::constant(a).mul_add(r, *g);
            }
        }
        for j in 0..p {
            let s = R::constant(2.0) * gu[j];
            gu[j] = s * u[j];
            gw[j] = -s * w[j];
        }
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let (p, d) = (self.p, 2 * self.p);
        let share = R::constant(1.0 / self.y.len() as f64);
        let two = R::constant(2.0);
        h.fill(R::constant(0.0));
        for (row, &y) in self.a.chunks_exact(p).zip(&self.y) {
            let mut r = R::constant(-y);
            let slope = |j: usize| {
                let c = two * R::constant(row[j % p]) * x[j];
                if j < p { c } else { -c }
            };
            for j in 0..p {
                r = R::constant(row[j]).mul_add(x[j] * x[j] - x[p + j] * x[p + j], r);
            }
            for i in 0..d {
                let s = slope(i) * share;
                for (j, h) in h[i * d..(i + 1) * d].iter_mut().enumerate() {
                    *h = s.mul_add(slope(j), *h);
                }
                let bend = two * r * share * R::constant(row[i % p]);
                let entry = &mut h[i * d + i];
                *entry = if i < p { *entry + bend } else { *entry - bend };
            }
        }
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let (p, d) = (self.p, 2 * self.p);
        let share = R::constant(1.0 / self.y.len() as f64);
        let two = R::constant(2.0);
        out.fill(R::constant(0.0));
        let sign = |j: usize| R::constant(if j < p { 1.0 } else { -1.0 });
        for row in self.a.chunks_exact(p) {
            let slope = |j: usize| two * sign(j) * R::constant(row[j % p]) * x[j];
            let bend = |j: usize| two * sign(j) * R::constant(row[j % p]);
            let mut trace = R::constant(0.0);
            for j in 0..d {
                trace = trace + m[j * d + j] * bend(j);
            }
            for i in 0..d {
                let mut ms = R::constant(0.0);
                for j in 0..d {
                    ms = m[i * d + j].mul_add(slope(j), ms);
                }
                out[i] = out[i] + share * (two * bend(i) * ms + slope(i) * trace);
            }
        }
    }
}

fn lanes(c: &mut Criterion) {
    let mut group = c.benchmark_group("hyperbola, 512 paths in lanes");
    group.throughput(Throughput::Elements((GROUPS * LANES) as u64));
    group.measurement_time(Duration::from_millis(800));
    group.warm_up_time(Duration::from_millis(200));
    group.sample_size(20);
    let mut outcomes = vec![[Outcome::Landed; LANES]; GROUPS];
    for (name, tolerance) in [("1e-8", Tolerance::default()), ("1e-11", Tolerance::TIGHT)] {
        let mut batch = Batch::new(Settings {
            tolerance,
            ..Settings::default()
        });
        for distance in [0.005, 0.05, 0.3, 1.0] {
            let start = points(distance);
            let tally = batch.project(&Hyperbola, &mut start.clone(), &mut outcomes);
            println!("tolerance {name}, distance {distance}: {tally:?}");
            group.bench_function(format!("tolerance {name}, distance {distance}"), |b| {
                b.iter_batched_ref(
                    || start.clone(),
                    |x| batch.project(&Hyperbola, x, &mut outcomes),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    let x = points(0.05);
    let mut g = x.clone();
    let landscape: &dyn Landscape = &Hyperbola;
    group.bench_function("one gradient, group by group", |b| {
        b.iter(|| {
            for (x, g) in x.chunks_exact(2).zip(g.chunks_exact_mut(2)) {
                black_box(landscape).gradients(x, g);
            }
        });
    });
    group.finish();
}

fn dense(c: &mut Criterion) {
    network(c, 20);
    network(c, 40);
}

fn network(c: &mut Criterion, n: usize) {
    let mut group = c.benchmark_group(format!("diagonal network, d = 100, n = {n}"));
    group.measurement_time(Duration::from_millis(800));
    group.warm_up_time(Duration::from_millis(200));
    group.sample_size(10);
    let network = Network::new(n, 50);
    let x = DVector::from_fn(100, |i, _| 0.8 + 0.5 * (i as f64 * 1.3).sin());
    for (name, tolerance) in [("1e-8", Tolerance::default()), ("1e-11", Tolerance::TIGHT)] {
        let settings = Settings {
            tolerance,
            ..Settings::default()
        };
        let projector = Projector::new(&network, settings);
        let landing = projector.land(&x);
        let far = match &landing {
            Ok(l) => {
                println!(
                    "tolerance {name}: {} steps, {} gradients, {} Hessians, flow time {:.1}, residual {:.1e}, estimate {:.1e}",
                    l.steps,
                    l.gradient_evaluations,
                    l.hessian_evaluations,
                    l.flow_time,
                    l.residual,
                    l.error_estimate
                );
                l.point.clone()
            }
            Err(e) => {
                println!("{e}");
                continue;
            }
        };
        group.bench_function(format!("far, tolerance {name}"), |b| {
            b.iter(|| projector.land(black_box(&x)));
        });
        let near = far + DVector::from_fn(100, |i, _| 5e-3 * (i as f64 * 2.9).cos());
        if let Ok(l) = projector.land(&near) {
            println!(
                "near: {} steps, {} gradients, {} Hessians",
                l.steps, l.gradient_evaluations, l.hessian_evaluations
            );
        }
        group.bench_function(format!("near, tolerance {name}"), |b| {
            b.iter(|| projector.land(black_box(&near)));
        });
    }
    let mut g = vec![0.0; 100];
    group.bench_function("one gradient", |b| {
        b.iter(|| network.gradient_at(black_box(x.as_slice()), &mut g));
    });
    let mut h = vec![0.0; 100 * 100];
    group.bench_function("one Hessian", |b| {
        b.iter(|| network.hessian_at(black_box(x.as_slice()), &mut h));
    });
    if let Ok((_, tangent)) = Projector::new(&network, Settings::default()).tangent(&x) {
        let point = tangent.point().clone();
        group.bench_function("tangent space", |b| {
            b.iter(|| Tangent::new(&network, &point))
        });
        let b2 = DMatrix::<f64>::identity(100, 100);
        group.bench_function("second derivative", |b| {
            b.iter(|| tangent.second_derivative(&network, Covariance::Factor(&b2)));
        });
    }
    group.finish();
}

criterion_group!(benches, lanes, dense);
criterion_main!(benches);
