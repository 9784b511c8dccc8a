//! Between the regimes: the clock kη^{1+s} with σ = η^{-(1−s)/2}, against exact moments.

use super::*;
use slowsde::clocks::Steps;

const PATHS: u64 = 8192;

/// Standard errors allowed for one number: false alarms 6e-7 each.
const SIGMAS: f64 = 5.0;

/// SGD, SGDM (α = ½), (51) and both schemes of (4) on a valley, in steps of whole slow steps up to T; x itself or Φ(x) is seen.
fn between(kappa: f64, s: f64, eta: f64, stride: u64, x0: [f64; 2], landed: bool) -> Ensemble {
    let clock = SlowClock::new(s).unwrap();
    let one = || Shape::Constant(1.0);
    let rates = |alpha: f64, kind: RateKind| {
        let family = ScheduleFamily {
            learning_rate: one(),
            momentum: one(),
            alpha,
        };
        let horizon = Horizon::Slow(SlowTime(1.0), clock);
        process(
            &Arc::new(Schedule::new(&family, eta, horizon).unwrap()),
            kind,
        )
    };
    let processes = vec![
        rates(0.0, RateKind::SgdPlain),
        rates(0.5, RateKind::Sgdm),
        sde(1),
        slow_sde(SlowScheme::Projected),
        slow_sde(SlowScheme::EulerMaruyama),
    ];
    let valley = Valley::new(Steepness::Exponential { kappa }).unwrap();
    let steps = (1.0 / clock.unit(eta)) as u64 / (2 * stride) * (2 * stride);
    let save = [0, 2 * stride, steps];
    let mut e = slow_ensemble(
        valley,
        isotropic(1.0, 2),
        eta,
        &x0,
        every(stride),
        processes,
        &save,
    );
    e.sigma = eta.powf(clock.noise_power());
    let slow = e.slow.as_mut().unwrap();
    (slow.clock, slow.landed) = (clock, landed);
    e
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let m = mean(values.clone()).0;
    mean(values.map(|v| (v - m) * (v - m)))
}

fn within(what: &str, (value, error): (f64, f64), exact: f64) {
    let off = (value - exact).abs();
    assert!(
        off <= SIGMAS * error,
        "{what}: {value} ± {error}, exactly {exact}"
    );
}

/// κ = 0: along Γ everything is the same random walk, u = u_0 − ησ Σ ξ_k, of variance kη^{1+s}. SGD, (51) and (4) agree on every
/// path to rounding at both steps; SGDM lags behind by what its momentum holds.
#[test]
fn on_a_flat_valley_all_walk_alike() {
    for (s, eta) in [(0.25, 0.004), (0.5, 0.01), (0.75, 0.02), (1.0, 0.04)] {
        let e = between(0.0, s, eta, 4, [0.3, 0.0], true);
        let all = states(&e, PATHS);
        let steps = e.save[2].0;
        for path in 0..PATHS as usize {
            let [sgd, sde, i, ii] = [0, 2, 3, 4].map(|p| States::of(&all.fine, p, 2, path, 2));
            let coarse = [2, 3, 4].map(|p| States::of(&all.coarse, p, 2, path, 2));
            for other in [sde, i, ii].into_iter().chain(coarse) {
                assert!(
                    (sgd[0] - other[0]).abs() < 1e-10 && other[1].abs() < 1e-7,
                    "s = {s}, path {path}: {sgd:?} {other:?}"
                );
            }
        }
        let u = |p: usize| {
            let states = all.fine[p][2].iter();
            states.step_by(2).copied()
        };
        let unit = SlowClock::new(s).unwrap().unit(eta);
        within("E u", mean(u(0)), 0.3);
        within("Var u", variance(u(0)), steps as f64 * unit);
        // m_0 = 0: x_k = x_0 − ησ Σ_j (1 − β^{k−j}) ξ_j.
        let beta = 1.0 - eta.sqrt();
        let held: f64 = (1..=steps)
            .map(|j| (1.0 - beta.powf(j as f64)).powi(2))
            .sum();
        within("Var u of SGDM", variance(u(1)), unit * held);
    }
}

/// κ = 0, the iterates themselves: v is linear, v ← (1−η)v − ησξ for SGD, and (51) takes two steps of η/2 for each; mean and
/// variance by recursion, from v_0 = 1 early and at the end, where the variance is η^s/2 up to the step.
#[test]
fn normal_fluctuations_are_those_of_the_recursion() {
    for (s, eta) in [(0.25, 0.004), (0.5, 0.01), (0.75, 0.02)] {
        let e = between(0.0, s, eta, 4, [0.3, 1.0], false);
        let all = states(&e, PATHS);
        let noise = eta * e.sigma;
        let recursion = |h: f64, share: f64, steps: u64| {
            let (mut m, mut q) = (1.0, 0.0);
            for _ in 0..steps {
                m *= 1.0 - h;
                q = q * (1.0 - h).powi(2) + noise * noise * share;
            }
            (m, q)
        };
        for save in [1, 2] {
            let k = e.save[save].0;
            let processes = [
                (0, &all.fine, recursion(eta, 1.0, k)),
                (2, &all.fine, recursion(0.5 * eta, 0.5, 2 * k)),
                (2, &all.coarse, recursion(eta, 1.0, k)),
            ];
            for (p, states, (m, q)) in processes {
                let v = states[p][save].iter().skip(1).step_by(2).copied();
                within("E v", mean(v.clone()), m);
                within("Var v", variance(v), q);
                if save == 2 {
                    assert!((q / (0.5 * eta.powf(s)) - 1.0).abs() < eta, "s = {s}: {q}");
                }
            }
        }
    }
}

/// κ = ½, s = ½: both schemes of (4) have the moments of their affine recursions ([`laws`]) at noise scale 1 and step h, though
/// σ = η^{-1/4}; and those, extrapolated in h, are of the Ornstein–Uhlenbeck process. SGD, SGDM and (51) have its mean and
/// variance up to O(η^s).
#[test]
fn the_valley_is_an_ornstein_uhlenbeck_process_between_the_regimes() {
    let (kappa, s, eta, stride): (f64, f64, f64, u64) = (0.5, 0.5, 1.0 / 256.0, 32);
    let e = between(kappa, s, eta, stride, [1.0, 0.0], true);
    let all = states(&e, PATHS);
    let unit = SlowClock::new(s).unwrap().unit(eta);
    let t = e.save[2].0 as f64 * unit;
    assert_eq!(e.save[2], Steps(4096));
    let limit = (-0.5 * kappa * t).exp();
    let spread = -(-kappa * t).exp_m1() / kappa;
    let projected = |h: f64| {
        let n = (t / h).round() as i32;
        let square = (0..n).fold(1.0, |q: f64, _| (q + h) / (1.0 + 2.0 * kappa * h).sqrt());
        ((1.0 + kappa * h).powf(-0.5 * f64::from(n)), square)
    };
    let euler = |h: f64| {
        let n = (t / h).round() as i32;
        let factor = 1.0 - 0.5 * kappa * h;
        let square = (0..n).fold(1.0, |q: f64, _| q * factor * factor + h);
        (factor.powi(n), square)
    };
    let u = |states: &Vec<Vec<Vec<f64>>>, p: usize| {
        let states = states[p][2].clone().into_iter();
        states.step_by(2)
    };
    let h = stride as f64 * unit;
    for (p, exact) in [(3, &projected as &dyn Fn(f64) -> (f64, f64)), (4, &euler)] {
        for (states, h) in [(&all.fine, h), (&all.coarse, 2.0 * h)] {
            let (m, square) = exact(h);
            within("E u", mean(u(states, p)), m);
            within("E u²", mean(u(states, p).map(|u| u * u)), square);
        }
        // Two orders of h removed.
        let (one, two) = (exact(h), exact(2.0 * h));
        let (m, square) = (2.0 * one.0 - two.0, 2.0 * one.1 - two.1);
        assert!((m - limit).abs() < h * h && (square - limit * limit - spread).abs() < 2.0 * h * h);
    }
    // κη^s/2 is what v² may reach, and with it the relative error of the drift: a few times that.
    let slack = kappa * eta.powf(s);
    for p in 0..3 {
        let (m, error) = mean(u(&all.fine, p));
        assert!(
            (m - limit).abs() < SIGMAS * error + slack * limit,
            "{p}: {m}"
        );
        let (v, error) = variance(u(&all.fine, p));
        assert!(
            (v - spread).abs() < SIGMAS * error + slack * spread,
            "{p}: {v}"
        );
    }
}
