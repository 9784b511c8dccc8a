//! The lock step of Regime II against its definitions in plain numbers, one path at a time, and on a landscape where the slow
//! SDE is its own Brownian path.

use super::*;
use nalgebra::{DMatrix, DVector};
use slowsde::clocks::Steps;
use slowsde::projection::{Projector, Tangent};
use slowsde::random::{Purpose, normals_scalar};

/// Φ on the hyperbola at tolerance 1e-11, checked against its closed form.
fn land(x: &DVector<f64>) -> DVector<f64> {
    let settings = Settings {
        tolerance: Tolerance::TIGHT,
        ..Settings::default()
    };
    let point = Projector::new(&Hyperbola, settings).land(x).unwrap().point;
    let exact = Landscape::exact_projection(&Hyperbola, x).unwrap();
    assert!((&point - exact).norm() < 1e-9);
    point
}

const SCHEMES: [SlowScheme; 4] = [
    SlowScheme::Projected,
    SlowScheme::EulerMaruyama,
    SlowScheme::WithoutDrift,
    SlowScheme::LinearRate,
];

/// One slow step: λ at its beginning, its length, and B(x) = s√(1 + ‖x‖²)I with s scaled by σ.
struct Slow {
    lambda: f64,
    eta: f64,
    h: f64,
    s: f64,
}

impl Slow {
    /// X after the step, whose innovations add up to `sum`.
    fn advance(&self, scheme: SlowScheme, x: &DVector<f64>, sum: &DVector<f64>) -> DVector<f64> {
        let &Slow { lambda, eta, h, s } = self;
        let b = DMatrix::identity(2, 2) * (s * (1.0 + x.norm_squared()).sqrt());
        let tangent = Tangent::new(&Hyperbola, x).unwrap();
        // W = −η Σ ξ_k.
        let w = -eta * sum;
        let full = lambda * (&b * &w);
        let along = tangent.slow_coefficients(&Hyperbola, lambda, &b);
        let step = match scheme {
            SlowScheme::Projected => full,
            SlowScheme::EulerMaruyama => &along.diffusion * &w + along.drift * h,
            SlowScheme::WithoutDrift => &along.diffusion * &w,
            SlowScheme::LinearRate => &along.diffusion * &w + along.drift * (h / lambda),
            SlowScheme::Nearest => unreachable!(),
        };
        land(&(x + step))
    }
}

/// SGD, SGDM and the slow schemes on the hyperbola, with a moving λ, σ ≠ 1, noise that grows and a start off Γ. Φ is known to
/// 1e-10(1 + ‖Φ‖) at its tight tolerance (as its own tests say), and these errors add up over 20 slow steps with ‖Φ‖ < 4.
#[test]
fn paths_agree_with_a_scalar_reference() {
    let (eta, sigma, s, horizon): (f64, f64, f64, f64) = (0.05, 0.9, 0.4, 0.2);
    let (stride, steps) = (4u64, 80u64);
    let lambda = Shape::cosine(1.0, 0.4).unwrap();
    let rate = {
        let lambda = lambda.clone();
        move |t: f64| lambda.limit(t, horizon).unwrap()
    };
    let schedule = slow_schedule(lambda.clone(), Shape::Constant(1.0), 0.5, eta, horizon);
    let mut processes = vec![
        process(&schedule, RateKind::SgdPlain),
        process(&schedule, RateKind::Sgdm),
    ];
    for scheme in SCHEMES {
        let rate = rate.clone();
        processes.push(Dynamics::SlowSde {
            lambda: Arc::new(rate),
            scheme,
        });
    }
    let saves: Vec<u64> = (0..=steps / (2 * stride)).map(|i| 2 * stride * i).collect();
    let x0 = [2.2, 0.7];
    let mut e = slow_ensemble(
        Hyperbola,
        gaussian(Factor::Growing(s), 2),
        eta,
        &x0,
        every(stride),
        processes,
        &saves,
    );
    e.sigma = sigma;
    if let Some(slow) = &mut e.slow {
        slow.projection.tolerance = Tolerance::TIGHT;
    }
    let all = states(&e, 40);
    let slow_step = |from: u64, steps: u64| Slow {
        lambda: rate(from as f64 * eta * eta),
        eta,
        h: eta * eta * steps as f64,
        s: sigma * s,
    };
    for path in [0usize, 5, 13, 38] {
        let mut rng = e.key.scalar(Purpose::Innovation, path as u64);
        let start = DVector::from_column_slice(&x0);
        let (mut z, mut x, mut m) = (start.clone(), start.clone(), DVector::zeros(2));
        let mut fine = vec![land(&start); SCHEMES.len()];
        let mut coarse = fine.clone();
        let (mut sum, mut wide) = (DVector::zeros(2), DVector::zeros(2));
        let check = |k: u64,
                     z: &DVector<f64>,
                     x: &DVector<f64>,
                     fine: &[DVector<f64>],
                     coarse: &[DVector<f64>]| {
            let save = (k / (2 * stride)) as usize;
            let near = |name: &str, list: &[Vec<Vec<f64>>], p: usize, want: &DVector<f64>| {
                let got = DVector::from_column_slice(States::of(list, p, save, path, 2));
                let error = (got - want).norm();
                assert!(error < 1e-8, "{name} {p}, path {path}, step {k}: {error:e}");
            };
            near("optimizer", &all.fine, 0, &land(z));
            near("optimizer", &all.fine, 1, &land(x));
            for (p, (f, c)) in fine.iter().zip(coarse).enumerate() {
                near("fine", &all.fine, 2 + p, f);
                near("coarse", &all.coarse, 2 + p, c);
            }
        };
        check(0, &z, &x, &fine, &coarse);
        for k in 0..steps {
            let mut xi = [0.0; 2];
            normals_scalar(&mut rng, &mut xi);
            let xi = DVector::from_column_slice(&xi);
            let gradient = |p: &DVector<f64>| {
                let r = p[0] * p[1] - 1.0;
                let noise = sigma * s * (1.0 + p.norm_squared()).sqrt();
                DVector::from_column_slice(&[r * p[1], r * p[0]]) + noise * &xi
            };
            let (gz, gx) = (gradient(&z), gradient(&x));
            let step = schedule.learning_rate(Steps(k));
            assert!((step - eta * rate(k as f64 * eta * eta)).abs() < 1e-12);
            let gain = eta.sqrt();
            z -= step * gz;
            m = (1.0 - gain) * m + gain * gx;
            x -= step * &m;
            sum += &xi;
            wide += &xi;
            let done = k + 1;
            if done.is_multiple_of(stride) {
                let step = slow_step(done - stride, stride);
                for (f, scheme) in fine.iter_mut().zip(SCHEMES) {
                    *f = step.advance(scheme, f, &sum);
                }
                sum.fill(0.0);
            }
            if done.is_multiple_of(2 * stride) {
                let step = slow_step(done - 2 * stride, 2 * stride);
                for (c, scheme) in coarse.iter_mut().zip(SCHEMES) {
                    *c = step.advance(scheme, c, &wide);
                }
                wide.fill(0.0);
                check(done, &z, &x, &fine, &coarse);
            }
        }
    }
}

/// The nearest point of the unit circle is x/‖x‖ — its Φ too — but on an ellipse it is not: there x − p is normal at p.
#[test]
fn the_control_goes_to_the_nearest_point() {
    let eta = 0.1;
    let axes = [1.0, 1.6];
    let ellipse = Ellipse::new(&axes).unwrap();
    let e = slow_ensemble(
        ellipse,
        isotropic(1.0, 2),
        eta,
        &[1.0, 0.0],
        every(1),
        vec![slow_sde(SlowScheme::Nearest)],
        &[0, 2],
    );
    let all = states(&e, 8);
    for path in 0..8 {
        let mut rng = e.key.scalar(Purpose::Innovation, path as u64);
        let mut w = DVector::zeros(2);
        for _ in 0..2 {
            let mut xi = [0.0; 2];
            normals_scalar(&mut rng, &mut xi);
            w -= eta * DVector::from_column_slice(&xi);
        }
        // The coarse step is a single one over both innovations.
        let target = DVector::from_column_slice(&[1.0, 0.0]) + w;
        let p = States::of(&all.coarse, 0, 1, path, 2);
        let on = (p[0] / axes[0]).powi(2) + (p[1] / axes[1]).powi(2) - 1.0;
        let normal = [p[0] / axes[0].powi(2), p[1] / axes[1].powi(2)];
        let cross = (target[0] - p[0]) * normal[1] - (target[1] - p[1]) * normal[0];
        assert!(
            on.abs() < 1e-8 && cross.abs() < 1e-8,
            "path {path}: {p:?} for {target}"
        );
        let angle = |t: f64| [axes[0] * t.cos(), axes[1] * t.sin()];
        let far = |q: [f64; 2]| (target[0] - q[0]).hypot(target[1] - q[1]);
        let least = (0..100_000)
            .map(|i| far(angle(1e-5 * std::f64::consts::TAU * i as f64)))
            .fold(f64::INFINITY, f64::min);
        assert!(far([p[0], p[1]]) < least + 1e-8, "path {path}");
    }
}

/// On the flat valley (κ = 0) the slow SDE is X = x_0 + sW and SGD is x_0 − ηs Σ ξ: the same numbers at every step, whatever the
/// scheme and whether slow steps cover many innovations or an innovation is bridged by many slow steps.
#[test]
fn on_a_flat_valley_the_slow_sde_is_its_brownian_path() {
    let flat = Valley::new(Steepness::Exponential { kappa: 0.0 }).unwrap();
    let (eta, s) = (0.1, 0.7);
    let grids = [
        every(1),
        every(3),
        every(12),
        bridged(2),
        bridged(4),
        bridged(10),
    ];
    for grid in grids {
        let saves: Vec<u64> = (0..=48 / grid.period())
            .map(|i| i * grid.period())
            .collect();
        let processes = vec![
            sgd(eta, 0.48),
            slow_sde(SlowScheme::Projected),
            slow_sde(SlowScheme::EulerMaruyama),
        ];
        let e = slow_ensemble(
            flat,
            isotropic(s, 2),
            eta,
            &[0.3, 0.0],
            grid,
            processes,
            &saves,
        );
        let all = states(&e, 1);
        for save in 0..saves.len() {
            let x = |list: &[Vec<Vec<f64>>], p: usize| -> Vec<f64> {
                list[p][save].iter().step_by(2).copied().collect()
            };
            let optimizer = x(&all.fine, 0);
            for p in 1..3 {
                for slow in [x(&all.fine, p), x(&all.coarse, p)] {
                    for (a, b) in optimizer.iter().zip(&slow) {
                        // A few hundred roundings of numbers of size one, and 1e-8 in Φ at every landing.
                        assert!(
                            (a - b).abs() < 1e-7,
                            "{grid:?}, process {p}, step {}: {a} against {b}",
                            saves[save]
                        );
                    }
                }
            }
            // Scalar reference for the sign of W.
            let mut rng = e.key.scalar(Purpose::Innovation, 3);
            let mut u = 0.3;
            for _ in 0..saves[save] {
                let mut xi = [0.0; 2];
                normals_scalar(&mut rng, &mut xi);
                u -= eta * s * xi[0];
            }
            assert!((optimizer[3] - u).abs() < 1e-7);
        }
    }
}

fn bridged(substeps: usize) -> SlowGrid {
    SlowGrid {
        stride: 1,
        substeps,
    }
}

/// Between two innovations the path is a Brownian bridge: with noise across the valley only, scheme (ii) multiplies U by
/// exp(−½κ ΔV²) each slow step, so that U tells the sum Q of the squared increments. For r independent increments of variance
/// η²/r in each of n steps, Q has mean nη² and variance 2nη⁴/r. Mean and variance of Q over 4096 paths within 4 standard errors
/// (level 6e-5 each, 12 of them); the variance of a sample variance of sums of m squares is (2 + 12/m)/N times its square.
#[test]
fn bridges_have_brownian_increments() {
    let (eta, kappa, steps) = (0.2, 0.8, 8u64);
    let valley = Valley::new(Steepness::Exponential { kappa }).unwrap();
    for r in [2, 4, 8] {
        let noise = gaussian(Factor::Diagonal(vec![0.0, 1.0]), 2);
        let e = slow_ensemble(
            valley,
            noise,
            eta,
            &[1.0, 0.0],
            bridged(r),
            vec![slow_sde(SlowScheme::Projected)],
            &[0, steps],
        );
        let all = states(&e, 4096);
        for (list, r) in [(&all.fine, r), (&all.coarse, r / 2)] {
            let unit = steps as f64 * eta * eta;
            let squares: Vec<f64> = list[0][1]
                .iter()
                .step_by(2)
                .map(|u| -2.0 / kappa * u.ln() / unit)
                .collect();
            let (m, error) = mean(squares.iter().copied());
            assert!(
                (m - 1.0).abs() <= 4.0 * error,
                "r = {r}: mean {m} ± {error}"
            );
            let count = steps as f64 * r as f64;
            let (variance, _) = mean(squares.iter().map(|q| (q - 1.0).powi(2)));
            let want = 2.0 / count;
            let error = want * ((2.0 + 12.0 / count) / squares.len() as f64).sqrt();
            assert!(
                (variance - want).abs() <= 4.0 * error,
                "r = {r}: variance {variance} instead of {want} ± {error}"
            );
        }
    }
}
