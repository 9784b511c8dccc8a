//! Laws of the slow SDE in closed form (theory, Sec. 6), its schemes at finite step, and SGD and SGDM extrapolated to η → 0.

use super::*;
use slowsde::oracle::{EntryLaw, LabelNoise};

/// Checks E f of both schemes at both steps against exact recursions, within 4 standard errors; returns per optimizer its
/// E f − E f(X_T) and the standard error: the paired difference from scheme (ii) on the same path, plus that scheme's own error,
/// which is known exactly.
fn biases(
    what: &str,
    all: &States,
    d: usize,
    f: &dyn Fn(&[f64]) -> f64,
    schemes: &[(usize, f64, f64)],
    limit: f64,
) -> Vec<(f64, f64)> {
    let values = |list: &[Vec<Vec<f64>>], p: usize| -> Vec<f64> {
        list[p][1].chunks_exact(d).map(f).collect()
    };
    for &(p, fine, coarse) in schemes {
        for (step, list, want) in [("fine", &all.fine, fine), ("coarse", &all.coarse, coarse)] {
            let (m, error) = mean(values(list, p).into_iter());
            assert!(
                (m - want).abs() <= 4.0 * error,
                "{what}: process {p}, {step} step: {m} ± {error} instead of {want}"
            );
        }
    }
    let (slow, exact, _) = schemes[0];
    let reference = values(&all.fine, slow);
    (0..2)
        .map(|p| {
            let pairs = values(&all.fine, p).into_iter().zip(&reference);
            let (m, error) = mean(pairs.map(|(a, b)| a - b));
            (m + exact - limit, error)
        })
        .collect()
}

/// The biases at 4η, 2η and η vanish as η → 0. Richardson's R(η) = 2b(η) − b(2η) removes the power η; if the next one is p ≥ 2 for
/// SGD and p ≥ 3/2 = 2 − α for SGDM, then R(η) − R(2η) is 2^p − 1 > 1 times what R(η) still holds of it, and bounds it. Allowed is
/// that change and 4 standard errors (level 6e-5), together less than `sharp`.
fn vanish(what: &str, biases: &[Vec<(f64, f64)>], sharp: f64) {
    for (p, name) in ["SGD", "SGDM"].into_iter().enumerate() {
        let ladder: Vec<(f64, f64)> = biases.iter().map(|b| b[p]).collect();
        let [coarse, middle, fine] = ladder[..] else {
            panic!("three rungs");
        };
        let limit = 2.0 * fine.0 - middle.0;
        let change = limit - (2.0 * middle.0 - coarse.0);
        let error = (2.0 * fine.1).hypot(middle.1);
        let allowed = change.abs() + 4.0 * error;
        assert!(
            limit.abs() <= allowed && allowed < sharp,
            "{what} of {name}: {ladder:?} → {limit} ± {error}, change {change}"
        );
    }
}

fn optimizers_and_schemes(eta: f64, t: f64) -> Vec<Dynamics> {
    let schemes = [SlowScheme::Projected, SlowScheme::EulerMaruyama].map(slow_sde);
    [vec![sgd(eta, t), sgdm(0.5, eta, t)], schemes.to_vec()].concat()
}

/// Closed form 4: on the valley ½e^{κu²}v² with Σ = I the slow SDE is Ornstein–Uhlenbeck. Its schemes are affine recursions with
/// exact moments: (i) u ← u(1 − ½κh) + √h a; (ii) u ← (u + √h a)e^{−½κhb²}, and E e^{−½κhb²} = (1 + κh)^{−½}.
#[test]
fn the_valley_is_an_ornstein_uhlenbeck_process() {
    let (kappa, u0, horizon): (f64, f64, f64) = (0.5, 1.0, 1.0);
    let valley = Valley::new(Steepness::Exponential { kappa }).unwrap();
    let (mut means, mut squares) = (vec![], vec![]);
    let decay = kappa * horizon;
    let limit = u0 * (-0.5 * decay).exp();
    let spread = -(-decay).exp_m1() / kappa;
    for (cell, eta) in [0.05, 0.025, 0.0125].into_iter().enumerate() {
        let steps = f64::round(horizon / (eta * eta)) as u64;
        let h = 0.02;
        let processes = optimizers_and_schemes(eta, horizon);
        let mut e = slow_ensemble(
            valley,
            isotropic(1.0, 2),
            eta,
            &[u0, 0.0],
            stepped(h, eta),
            processes,
            &[0, steps],
        );
        e.key.cell = cell as u64;
        let all = states(&e, 8192);
        assert!(all.alive[1].iter().all(|a| *a), "lost paths at η = {eta}");
        let projected = |h: f64| {
            let n = (horizon / h).round() as i32;
            let square = (0..n).fold(u0 * u0, |q, _| (q + h) / (1.0 + 2.0 * kappa * h).sqrt());
            (u0 * (1.0 + kappa * h).powf(-0.5 * f64::from(n)), square)
        };
        let euler = |h: f64| {
            let n = (horizon / h).round() as i32;
            let factor = 1.0 - 0.5 * kappa * h;
            let square = (0..n).fold(u0 * u0, |q, _| q * factor * factor + h);
            (u0 * factor.powi(n), square)
        };
        let [(a, aa), (b, bb), (c, cc), (d, dd)] =
            [projected(h), projected(2.0 * h), euler(h), euler(2.0 * h)];
        means.push(biases(
            "E u",
            &all,
            2,
            &|x| x[0],
            &[(2, a, b), (3, c, d)],
            limit,
        ));
        squares.push(biases(
            "E u²",
            &all,
            2,
            &|x| x[0] * x[0],
            &[(2, aa, bb), (3, cc, dd)],
            limit * limit + spread,
        ));
        if eta == 0.025 {
            // Simulated for the theory, three digits: mean and variance of U, SGD and SGDM. As in the table of distances, half a
            // unit and 4 standard errors of a difference between two samples of our size.
            for (p, mean_there, variance_there) in [(0, 0.767, 0.743), (1, 0.777, 0.779)] {
                let u: Vec<f64> = all.fine[p][1].iter().step_by(2).copied().collect();
                let (m, error) = mean(u.iter().copied());
                let (v, v_error) = mean(u.iter().map(|u| (u - m) * (u - m)));
                assert!((m - mean_there).abs() <= 5e-4 + 4.0 * 2f64.sqrt() * error);
                assert!((v - variance_there).abs() <= 5e-4 + 4.0 * 2f64.sqrt() * v_error);
            }
        }
    }
    vanish("E u", &means, 0.015);
    vanish("E u²", &squares, 0.06);
}

/// E(1 + √h z)/|…| for z standard normal and an independent χ with d − 1 degrees of freedom: what one step of scheme (ii) on
/// the sphere leaves of ⟨X, X_0⟩. Trapezoidal rule in z, Simpson's in ρ.
fn cosine_of_a_step(d: usize, h: f64) -> f64 {
    let root = h.sqrt();
    let (mut sum, mut total) = (0.0, 0.0);
    for i in -180..=180 {
        let z = 0.05 * f64::from(i);
        // The weight of ρ = 0 is 0, for d > 2.
        for j in 1..=1200u32 {
            let rho = 0.01 * f64::from(j);
            let simpson = if j % 2 == 1 { 4.0 } else { 2.0 };
            let weight = simpson * rho.powi(d as i32 - 2) * (-0.5 * (z * z + rho * rho)).exp();
            let along = 1.0 + root * z;
            sum += weight * along / along.hypot(root * rho);
            total += weight;
        }
    }
    sum / total
}

/// Closed form 6: Brownian motion on the sphere, E⟨X_t, X_0⟩ = exp(−½(d−1)t). Scheme (ii) is (X + ΔW)/‖X + ΔW‖, and by symmetry
/// every step multiplies the mean by the same factor; scheme (i) has the drift −½(d−1)hX and only the noise across X.
#[test]
fn spheres_carry_brownian_motion() {
    let h = 0.02;
    for (d, horizon, paths) in [(3, 0.48, 4096), (10, 0.24, 1024)] {
        let mut x0 = vec![0.0; d];
        x0[0] = 1.0;
        let after = |step: &dyn Fn(usize, f64) -> f64, h: f64| step(d, h).powf(horizon / h);
        let exact =
            |p: usize, step: &dyn Fn(usize, f64) -> f64| (p, after(step, h), after(step, 2.0 * h));
        let schemes = [exact(2, &cosine_of_a_step), exact(3, &euler_step)];
        let limit = (-0.5 * (d as f64 - 1.0) * horizon).exp();
        let mut ladder = vec![];
        for (cell, eta) in [0.1, 0.05, 0.025].into_iter().enumerate() {
            let steps = f64::round(horizon / (eta * eta)) as u64;
            let processes = optimizers_and_schemes(eta, horizon);
            let sphere = Sphere::new(d).unwrap();
            let mut e = slow_ensemble(
                sphere,
                isotropic(1.0, d),
                eta,
                &x0,
                stepped(h, eta),
                processes,
                &[0, steps],
            );
            e.key.cell = cell as u64;
            if let Some(slow) = e.slow.as_mut().filter(|_| d > 4) {
                // One by one: the tool's own tolerance for d > 4.
                slow.projection.tolerance = Tolerance::both(1e-6);
            }
            let all = states(&e, paths);
            assert!(all.alive[1].iter().all(|a| *a), "lost paths at η = {eta}");
            ladder.push(biases(
                &format!("⟨X, X₀⟩ in ℝ{d}"),
                &all,
                d,
                &|x| x[0],
                &schemes,
                limit,
            ));
        }
        vanish(&format!("⟨X, X₀⟩ in ℝ{d}"), &ladder, 0.03);
    }
}

/// The same for scheme (i): E a/√(a² + hρ²) with a = 1 − ½(d−1)h.
fn euler_step(d: usize, h: f64) -> f64 {
    let along = 1.0 - 0.5 * (d as f64 - 1.0) * h;
    let (mut sum, mut total) = (0.0, 0.0);
    for j in 0..=12_000u32 {
        let rho = 0.001 * f64::from(j);
        let simpson = if j % 2 == 1 { 4.0 } else { 2.0 };
        let weight = simpson * rho.powi(d as i32 - 2) * (-0.5 * rho * rho).exp();
        sum += weight * along / along.hypot(h.sqrt() * rho);
        total += weight;
    }
    sum / total
}

/// Closed form 5: label noise ±1 on the hyperbola, Σ = ∇²L on Γ: sinh 2s = e^{−t} sinh 2s_0, for every path. With q = x² − y²:
///
/// * SGD multiplies q by 1 − η²r² in every step, where r = xy − 1 ∓ 1 is the noisy residual, and Φ keeps q. In the stationary
///   normal law ρ = xy − 1 has variance ηa/2, a = x² + y²; summing the recursion of ρ² shows that Σ r² = n + ½ηΣa plus a
///   martingale of variance Σ ηa/2. Hence ln(q/q_0) + t + ½η∫a dt is of size η² around 0 with standard deviation
///   η^{3/2}(½∫a dt)^{1/2}: within 6 of them (level 2e-9 per look, 12288 looks) and 10η² (a² t is 30) for every path; and the
///   sample deviation is the one said, within a tenth at the end (its own standard error is below a twentieth).
/// * SGDM keeps q only in the mean of the momentum's memory. Its mean square distance from the curve vanishes.
#[test]
fn with_label_noise_every_path_follows_the_slow_flow() {
    let horizon: f64 = 2.0;
    let hyperbola: Arc<dyn Landscape> = Arc::new(Hyperbola);
    let noise = Arc::new(LabelNoise::new(hyperbola, 1.0, EntryLaw::Rademacher).unwrap());
    let x0 = [3.0, 1.0 / 3.0];
    let q0 = 9.0 - 1.0 / 9.0;
    // q on the curve, and ∫a = ∫√(q² + 4) by the midpoint rule.
    let curve = |t: f64| q0 * (-t).exp();
    let integral = |t: f64| -> f64 {
        let n = 2000;
        let a = |i: i32| (curve(t * (f64::from(i) + 0.5) / f64::from(n)).powi(2) + 4.0).sqrt();
        (0..n).map(a).sum::<f64>() * t / f64::from(n)
    };
    let point = |t: f64| {
        let s = 0.5 * (0.5 * curve(t)).asinh();
        [s.exp(), (-s).exp()]
    };
    let (mut squares, mut farthest) = (vec![], vec![]);
    for (cell, eta) in [0.05, 0.025, 0.0125, 0.00625].into_iter().enumerate() {
        let steps = f64::round(horizon / (eta * eta)) as u64;
        let saves: Vec<u64> = (0..=8).map(|i| i * steps / 8).collect();
        let processes = vec![sgd(eta, horizon), sgdm(0.5, eta, horizon)];
        let mut e = slow_ensemble(
            Hyperbola,
            noise.clone(),
            eta,
            &x0,
            every(1),
            processes,
            &saves,
        );
        e.key.cell = cell as u64;
        let all = states(&e, 512);
        let mut worst = [0.0f64; 2];
        for (save, &k) in saves.iter().enumerate() {
            let t = k as f64 * eta * eta;
            let on = point(t);
            for (worst, points) in worst.iter_mut().zip(&all.fine) {
                for x in points[save].chunks_exact(2) {
                    *worst = worst.max((x[0] - on[0]).hypot(x[1] - on[1]));
                }
            }
            let a = integral(t);
            let deviation = eta.powf(1.5) * (0.5 * a).sqrt();
            let logs = |x: &[f64]| ((x[0] * x[0] - x[1] * x[1]) / q0).ln() + t + 0.5 * eta * a;
            for (path, x) in all.fine[0][save].chunks_exact(2).enumerate() {
                let off = logs(x).abs();
                // Φ is known to 1e-8.
                assert!(
                    off <= 6.0 * deviation + 10.0 * eta * eta + 1e-6,
                    "η = {eta}, t = {t}, path {path}: {off}"
                );
            }
            if save == 8 && eta < 0.02 {
                let (m, _) = mean(all.fine[0][8].chunks_exact(2).map(logs));
                let (v, _) = mean(
                    all.fine[0][8]
                        .chunks_exact(2)
                        .map(|x| (logs(x) - m).powi(2)),
                );
                assert!(
                    (v.sqrt() / deviation - 1.0).abs() < 0.1,
                    "η = {eta}: {} against {deviation}",
                    v.sqrt()
                );
            }
        }
        let end = point(horizon);
        let square = |x: &[f64]| (x[0] - end[0]).powi(2) + (x[1] - end[1]).powi(2);
        squares.push(mean(all.fine[1][8].chunks_exact(2).map(square)));
        farthest.push(worst);
    }
    // Of order η or better, with relative standard errors below a fifteenth.
    for pair in squares.windows(2) {
        assert!(pair[1].0 < 0.6 * pair[0].0, "SGDM: {squares:?}");
    }
    for pair in farthest.windows(2) {
        // SGD's farthest path: the offset ½η∫a, halved with η. SGDM's: fluctuations whose mean square is of order η at least.
        assert!(pair[1][0] < 0.6 * pair[0][0], "SGD: {farthest:?}");
        assert!(pair[1][1] < 0.85 * pair[0][1], "SGDM: {farthest:?}");
    }
}
