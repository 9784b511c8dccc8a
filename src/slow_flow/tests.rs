use super::*;
use crate::landscape::{
    Activation, DataOptions, DataSet, DesignLaw, DiagonalNetwork, Formula, Hyperbola,
    MatrixSensing, Quadratic, Sphere, Steepness, TwoLayerNetwork, Valley,
};
use crate::oracle::{EntryLaw, Factor, FactorNoise, Innovation, LabelNoise, Noise};
use crate::real::{Lanes, Real};
use std::sync::Arc;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// v = √c (y, x) ξ: Σ = c∇²L on the hyperbola.
struct HyperbolaLabels(f64);

impl Noise for HyperbolaLabels {
    fn innovation(&self) -> Innovation {
        Innovation::Gaussian { entries: 1 }
    }
    fn noise(&self, sigma: f64, x: &[Lanes], z: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        self.diffuse(sigma, x, z, v, scratch);
    }
    fn brownian(&self) -> usize {
        1
    }
    fn diffuse(&self, sigma: f64, x: &[Lanes], z: &[Lanes], v: &mut [Lanes], _: &mut [Lanes]) {
        let groups = v.chunks_exact_mut(2).zip(x.chunks_exact(2)).zip(z);
        for ((v, x), &z) in groups {
            let z = Lanes::splat(sigma * self.0.sqrt()) * z;
            (v[0], v[1]) = (z * x[1], z * x[0]);
        }
    }
}

fn labels_on_hyperbola(c: f64) -> Oracle {
    Oracle {
        landscape: Arc::new(Hyperbola),
        noise: Arc::new(HyperbolaLabels(c)),
    }
}

fn with_labels(landscape: impl Landscape + 'static) -> Result<Oracle, &'static str> {
    let landscape: Arc<dyn Landscape> = Arc::new(landscape);
    let noise = LabelNoise::new(landscape.clone(), 1.0, EntryLaw::Gaussian);
    Ok(Oracle {
        landscape,
        noise: Arc::new(noise.ok_or("no label noise")?),
    })
}

fn isotropic(landscape: impl Landscape + 'static) -> Oracle {
    let d = landscape.dimension();
    Oracle {
        landscape: Arc::new(landscape),
        noise: Arc::new(FactorNoise::new(
            Factor::Isotropic(1.0),
            EntryLaw::Gaussian,
            d,
        )),
    }
}

fn on_hyperbola(s: f64) -> DVector<f64> {
    DVector::from_column_slice(&[s.exp(), (-s).exp()])
}

/// sinh 2s(t) = e^{−ct} sinh 2s_0 (theory: Sec. 6, closed form 5), and what the tolerance promises at every time.
#[test]
fn hyperbola_against_its_closed_form() -> Outcome {
    let (c, s0) = (0.7, 1.1f64);
    let oracle = labels_on_hyperbola(c);
    // Off Γ: the flow starts at Φ(x_0).
    let start = DVector::from_column_slice(&[2.0 * s0.exp(), 0.5]);
    let sinh = (start[0].powi(2) - start[1].powi(2)) / 2.0;
    let times: Vec<f64> = (0..=40).map(|k| 0.1 * f64::from(k)).collect();
    let mut steps = vec![];
    for tolerance in [1e-4, 1e-6, 1e-8, 1e-10] {
        let flow = SlowFlow::new(&oracle, &|_| 1.0, tolerance).integrate(&start, &times)?;
        assert_eq!(flow.points.len(), times.len());
        let mut worst = 0.0f64;
        for (t, x) in times.iter().zip(&flow.points) {
            let want = on_hyperbola(0.5 * (sinh * (-c * t).exp()).asinh());
            worst = worst.max((x - want).norm());
            assert!((x[0] * x[1] - 1.0).abs() < 1e-13, "off Γ at {t}");
        }
        println!("{tolerance:e}: error {worst:e}, {} steps", flow.steps);
        let size = 1.0 + flow.points[0].norm();
        // The flow contracts: local errors do not grow along it.
        assert!(worst <= 2.0 * tolerance * size + 1e-12, "{worst:e}");
        assert!(flow.error_estimate <= tolerance * size);
        steps.push(flow.steps as f64);
    }
    // Errors per unit of time are of order h⁴: √10 times the steps for a hundredth of the error.
    for pair in steps.windows(2) {
        assert!(pair[1] / pair[0] < 4.5, "{steps:?}");
    }
    Ok(())
}

/// One step of length h: local error of order six; half-way points of order five.
#[test]
fn order_of_convergence() -> Outcome {
    let oracle = labels_on_hyperbola(1.0);
    let errors = |h: f64| -> Result<[f64; 2], &'static str> {
        let mut field = Field::new(&oracle, &on_hyperbola(0.9));
        let start = field.state(on_hyperbola(0.9)).map_err(|_| "no state")?;
        let step = field.step(&start, h).map_err(|_| "no step")?;
        let middle = field.between(&start, &step, 0.5).map_err(|_| "no middle")?;
        let exact = |t: f64| 0.5 * (1.8f64.sinh() * (-t).exp()).asinh();
        Ok([
            (step.end.x[0].ln() - exact(h)).abs(),
            (middle[0].ln() - exact(0.5 * h)).abs(),
        ])
    };
    let (coarse, fine) = (errors(0.2)?, errors(0.1)?);
    let slopes: Vec<f64> = (0..2).map(|i| (coarse[i] / fine[i]).log2()).collect();
    assert!(slopes[0] > 5.5 && slopes[1] > 4.5, "{slopes:?}: {fine:?}");
    Ok(())
}

/// λ is a change of time, jumps and zeros included: the same points at equal ∫λ².
#[test]
fn schedules_change_the_time() -> Outcome {
    let (c, s0) = (0.7, 1.1f64);
    let oracle = labels_on_hyperbola(c);
    let cosine = |t: f64| 0.5 * (1.0 + (std::f64::consts::PI * t / 2.0).cos());
    // ∫₀ᵗ ¼(1 + cos)² = 3t/8 + sin(πt/2)/π + sin(πt)/(8π).
    let pi = std::f64::consts::PI;
    let cosine_clock = |t: f64| 0.375 * t + (pi * t / 2.0).sin() / pi + (pi * t).sin() / (8.0 * pi);
    let stairs = |t: f64| if t < 1.0 / 3.0 { 1.0 } else { 0.1 };
    let stairs_clock = |t: f64| t.min(1.0 / 3.0) + 0.01 * (t - 1.0 / 3.0).max(0.0);
    type Shape<'a> = (&'a dyn Fn(f64) -> f64, &'a dyn Fn(f64) -> f64);
    let shapes: [Shape; 3] = [
        (&cosine, &cosine_clock),
        (&stairs, &stairs_clock),
        (&|_| 0.0, &|_| 0.0),
    ];
    let times = [0.0, 0.2, 0.2, 0.9, 2.0];
    for (lambda, clock) in shapes {
        let flow = SlowFlow::new(&oracle, lambda, 1e-9).integrate(&on_hyperbola(s0), &times)?;
        assert_eq!(flow.points.len(), times.len());
        for (&t, x) in times.iter().zip(&flow.points) {
            let want = 0.5 * ((2.0 * s0).sinh() * (-c * clock(t)).exp()).asinh();
            assert!((x - on_hyperbola(want)).norm() < 1e-8, "{t}: {x}");
        }
    }
    Ok(())
}

/// Noise across the valley only, B = diag(0, 1), with walls 1 + u²: u̇ = −¼(log a)′ = −½u/(1 + u²).
#[test]
fn valley_under_normal_noise() -> Outcome {
    let valley = Valley::new(Steepness::Quadratic)?;
    let noise = FactorNoise::new(Factor::Diagonal(vec![0.0, 1.0]), EntryLaw::Gaussian, 2);
    let oracle = Oracle {
        landscape: Arc::new(valley),
        noise: Arc::new(noise),
    };
    let start = DVector::from_column_slice(&[1.3, 0.0]);
    let flow = SlowFlow::new(&oracle, &|_| 1.0, 1e-9).integrate(&start, &[0.5, 3.0])?;
    // ½u² + ln u + ½t is constant.
    let conserved = |u: f64, t: f64| 0.5 * u * u + u.ln() + 0.5 * t;
    for (t, x) in [0.5, 3.0].iter().zip(&flow.points) {
        let change = conserved(x[0], *t) - conserved(1.3, 0.0);
        assert!(change.abs() < 1e-8 && x[1] == 0.0, "{x}: {change:e}");
    }
    Ok(())
}

/// The same loss without its residuals: the other way to the drift.
struct Opaque<F>(F);

impl<F: Formula> Formula for Opaque<F> {
    fn dimension(&self) -> usize {
        Formula::dimension(&self.0)
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        self.0.value(x)
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        self.0.gradient(x, g);
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        self.0.hessian(x, h);
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        self.0.third_contraction(x, m, out);
    }
    fn finite_sum(&self) -> Option<&dyn crate::landscape::FiniteSum> {
        Formula::finite_sum(&self.0)
    }
}

/// Label noise of the same covariance that does not say so.
struct Anonymous(LabelNoise);

impl Noise for Anonymous {
    fn innovation(&self) -> Innovation {
        self.0.innovation()
    }
    fn noise(&self, sigma: f64, x: &[Lanes], z: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        self.0.noise(sigma, x, z, v, scratch);
    }
    fn brownian(&self) -> usize {
        self.0.brownian()
    }
    fn diffuse(&self, sigma: f64, x: &[Lanes], z: &[Lanes], v: &mut [Lanes], w: &mut [Lanes]) {
        self.0.diffuse(sigma, x, z, v, w);
    }
}

/// Three ways to the drift: residuals and a known share of the Hessian, residuals and any factor, Hessian and any factor.
fn compare_ways<F: Formula + Clone + 'static>(model: F, x: Vec<f64>, horizon: f64) -> Outcome {
    let x = DVector::from_vec(x);
    let times = [0.3 * horizon, horizon];
    let plain = with_labels(model.clone())?;
    let anonymous = |landscape: Arc<dyn Landscape>| -> Result<Oracle, &'static str> {
        let noise = LabelNoise::new(landscape.clone(), 1.0, EntryLaw::Gaussian);
        Ok(Oracle {
            landscape,
            noise: Arc::new(Anonymous(noise.ok_or("no label noise")?)),
        })
    };
    let general = anonymous(Arc::new(model.clone()))?;
    let opaque = anonymous(Arc::new(Opaque(model)))?;
    let flow = |o: &Oracle| SlowFlow::new(o, &|_| 1.0, 1e-8).integrate(&x, &times);
    let (first, second, third) = (flow(&plain)?, flow(&general)?, flow(&opaque)?);
    println!("{} {} {} steps", first.steps, second.steps, third.steps);
    for k in 0..times.len() {
        let size = 1.0 + first.points[k].norm();
        for other in [&second, &third] {
            let distance = (&first.points[k] - &other.points[k]).norm();
            assert!(distance < 2e-7 * size, "{distance:e}");
        }
    }
    let moved = (&first.points[1] - &first.points[0]).norm();
    assert!(moved > 1e-3, "nothing happened: {moved}");
    Ok(())
}

#[test]
fn all_ways_to_the_drift_agree() -> Outcome {
    let (network, _) = DiagonalNetwork::sparse(6, 3, 1, DesignLaw::Gaussian, 8)?;
    let x = (0..12).map(|i| 0.8 + 0.3 * f64::from(i).sin()).collect();
    compare_ways(network, x, 0.5)?;
    // d > 24: tangent spaces by the Gram matrix.
    let (network, _) = DiagonalNetwork::sparse(15, 6, 2, DesignLaw::Gaussian, 8)?;
    let x = (0..30).map(|i| 0.6 + 0.3 * f64::from(i).sin()).collect();
    compare_ways(network, x, 1.0)?;
    let (sensing, _) = MatrixSensing::gaussian(4, 2, 2, 4, 3)?;
    let x = (0..8).map(|i| 0.5 + 0.6 * f64::from(i * i).sin()).collect();
    compare_ways(sensing, x, 0.05)?;
    let inputs = DMatrix::from_fn(5, 2, |i, j| (1.0 + 1.7 * i as f64 + 2.9 * j as f64).sin());
    let targets = (0..5).map(|i| f64::from(i).cos()).collect();
    let network = TwoLayerNetwork::new(&inputs, targets, 4, Activation::Tanh)?;
    let x = network.model().random_parameters(1.0, 3);
    compare_ways(network, x, 1.0)
}

/// tr H falls all the way, and θ approaches the sparse truth (theory: Sec. 6, closed form 7).
#[test]
fn diagonal_network_becomes_sparse() -> Outcome {
    let (network, _) = DiagonalNetwork::sparse(40, 20, 2, DesignLaw::Gaussian, 5)?;
    let oracle = with_labels(network.clone())?;
    let times: Vec<f64> = (0..=30).map(f64::from).collect();
    let start = DVector::from_element(80, 0.5);
    let flow = SlowFlow::new(&oracle, &|_| 1.0, 1e-6).integrate(&start, &times)?;
    let trace: Vec<f64> = flow
        .points
        .iter()
        .map(|x| network.trace_hessian(x.as_slice()))
        .collect();
    assert!(trace.windows(2).all(|w| w[1] < w[0]), "{trace:?}");
    let recovery = |x: &DVector<f64>| network.recovery_error(x.as_slice()).ok_or("no truth");
    let (first, last) = (recovery(&flow.points[0])?, recovery(&flow.points[30])?);
    println!(
        "tr H {} → {}, recovery {first} → {last}, {} steps",
        trace[0], trace[30], flow.steps
    );
    assert!(last < 0.2 * first, "{first} → {last}");
    Ok(())
}

/// Real data, d = 96: cheap, on Γ, and downhill.
#[test]
fn two_layer_network_on_diabetes() -> Outcome {
    let path = format!("{}/scenarios/data/diabetes.csv", env!("CARGO_MANIFEST_DIR"));
    let options = DataOptions {
        target: "progression".into(),
        standardize: true,
        standardize_target: true,
        rows: Some(12),
        ..DataOptions::default()
    };
    let network = DataSet::read(path, options)?.into_two_layer_network(8, Activation::Tanh)?;
    let start = DVector::from_vec(network.model().random_parameters(1.0, 3));
    let oracle = with_labels(network.clone())?;
    let flow = SlowFlow::new(&oracle, &|_| 1.0, 1e-5).integrate(&start, &[0.0, 1.0, 2.0, 4.0])?;
    let finer = SlowFlow::new(&oracle, &|_| 1.0, 1e-8).integrate(&start, &[0.0, 1.0, 2.0, 4.0])?;
    let trace = |x: &DVector<f64>| network.trace_hessian(x.as_slice());
    for (x, fine) in flow.points.iter().zip(&finer.points) {
        // Residuals at the rounding of outputs of order one.
        assert!(network.value(x.as_slice()) < 1e-27);
        assert!((x - fine).norm() < 1e-3 * fine.norm());
    }
    assert!(flow.points.windows(2).all(|w| trace(&w[1]) < trace(&w[0])));
    assert!(flow.drift_evaluations < 1000, "{}", flow.drift_evaluations);
    Ok(())
}

fn refused(oracle: &Oracle, start: &[f64], times: &[f64]) -> String {
    let start = DVector::from_column_slice(start);
    match SlowFlow::new(oracle, &|_| 1.0, 1e-6).integrate(&start, times) {
        Ok(flow) => format!("accepted: {flow:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn failures_say_what_to_do() -> Outcome {
    let hyperbola = labels_on_hyperbola(1.0);
    for (times, text) in [
        (
            vec![0.5, 0.2],
            "time 2 (counted from 1) is 0.2: give finite times",
        ),
        (vec![-1.0], "time 1 (counted from 1) is -1: give"),
        (vec![f64::NAN], "is NaN"),
    ] {
        let message = refused(&hyperbola, &[2.0, 0.5], &times);
        assert!(
            message.starts_with("time") && message.contains(text),
            "{message}"
        );
    }
    let bad = |t: f64| if t > 0.5 { f64::NAN } else { 1.0 };
    let x = on_hyperbola(0.3);
    let error = SlowFlow::new(&hyperbola, &bad, 1e-6).integrate(&x, &[1.0]);
    assert!(matches!(error, Err(SlowFlowError::Shape { time, .. }) if time > 0.5));

    let message = refused(&hyperbola, &[1.0, -1.0], &[1.0]);
    assert!(
        message.starts_with("the start cannot be projected") && message.contains("saddle"),
        "{message}"
    );
    let message = refused(&hyperbola, &[1.0], &[1.0]);
    assert!(message.contains("give 2 numbers"), "{message}");

    let message = refused(&isotropic(Sphere::new(3)?), &[1.0, 0.2, 0.1], &[1.0]);
    assert!(
        message.starts_with("the noise moves along the manifold: its tangential share is 8.165e-1 at slow time 0.000e0")
            && message.contains("simulate the slow SDE"),
        "{message}"
    );

    let error = SlowFlow::new(&hyperbola, &|_| 1.0, 1e-10)
        .with_max_steps(3)
        .integrate(&on_hyperbola(1.5), &[2.0]);
    let message = error.map_or_else(|e| e.to_string(), |_| "accepted".into());
    assert!(
        message.contains("in 3 steps: loosen the tolerance"),
        "{message}"
    );
    // A flat direction that is no minimum any more.
    let plane = Quadratic::from_spectrum(&[1.0, 0.0])?;
    assert!(refused(&isotropic(plane), &[0.3, 0.4], &[1.0]).starts_with("the noise moves"));
    Ok(())
}

/// L = ½u²v²: at u = 0 the rank drops, and noise across the valley drives u there, u̇ = −1/(2u).
struct Fading;

impl Formula for Fading {
    fn dimension(&self) -> usize {
        2
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        R::constant(0.5) * (x[0] * x[1]).square()
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        (g[0], g[1]) = (x[0] * x[1] * x[1], x[0] * x[0] * x[1]);
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let off = R::constant(2.0) * x[0] * x[1];
        h.copy_from_slice(&[x[1] * x[1], off, off, x[0] * x[0]]);
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let (two, off) = (R::constant(2.0), m[1] + m[2]);
        out[0] = two * (x[1] * off + x[0] * m[3]);
        out[1] = two * (x[1] * m[0] + x[0] * off);
    }
}

#[test]
fn the_end_of_the_manifold_is_named() -> Outcome {
    let noise = FactorNoise::new(Factor::Diagonal(vec![0.0, 1.0]), EntryLaw::Gaussian, 2);
    let oracle = Oracle {
        landscape: Arc::new(Fading),
        noise: Arc::new(noise),
    };
    // u² = u_0² − t: the flow ends at t = 1, in any number of steps.
    let message = refused(&oracle, &[1.0, 0.0], &[2.0]);
    println!("{message}");
    assert!(
        message.contains("stop earlier") && message.contains("time 1.000e0"),
        "{message}"
    );
    Ok(())
}

#[test]
fn a_dropping_rank_is_named() -> Outcome {
    // Two residuals with nearly parallel gradients.
    let j = DMatrix::from_column_slice(3, 2, &[1.0, 0.0, 0.0, 1.0, 1e-9, 0.0]);
    assert!(gram(&j).is_none());
    let error = dependent(&j).at(0.5);
    assert!(
        matches!(error, SlowFlowError::RankDropped { smallest, largest, .. } if smallest < 1e-12 && largest > 0.9)
    );
    assert!(
        error
            .to_string()
            .contains("rank drops at slow time 5.000e-1")
    );
    let error = Failure::OffManifold { gradient_norm: 0.3 }
        .at(0.25)
        .to_string();
    assert!(
        error.contains("does not lead back") && error.contains("tighten"),
        "{error}"
    );
    Ok(())
}
