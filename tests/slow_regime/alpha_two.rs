//! α = 2, where 1 − β = γη² and the slow SDE (4) no longer describes SGDM: what does.
//!
//! In slow time the momentum p = m/η obeys dx = −p dt, dp = γ(∇L/η − p) dt + γΣ^{1/2} dW: motion across Γ oscillates at a rate
//! η^{−1/2}, and neither friction nor noise can bring it to rest faster than x moves along Γ. What is left as η → 0 is the motion
//! averaged over the oscillations. In the valley ½a(u)v² with a = e^{κu²}, let q be the momentum of v; the amplitudes of
//! √γa v/√η and q turn into each other, and their slow parts a₁, a₂ have the energy e = a₁² + a₂², of which one half is kinetic:
//!
//!   dU = −P dt,   dP = (κUe − γP) dt + γs_u dW,   da_i = (−½γ + ½κU·U′) a_i dt + ½γs_v dB_i,
//!
//! for a slowly growing frequency carries its energy along (e/√a is an adiabatic invariant). At rest e = ½γs_v² and P = ½κs_v²U:
//! the drift of the slow SDE.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

const KAPPA: f64 = 0.5;
const GAMMA: f64 = 0.75;
const ACROSS: f64 = 1.0;
const ALONG: f64 = 0.5;
const U0: f64 = 1.0;
const HORIZON: f64 = 2.0;

/// Values of U_T of the averaged motion by Euler's scheme, from rest in (1, 0).
fn averaged(paths: usize, step: f64) -> Vec<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(22);
    let root = step.sqrt();
    let steps = (HORIZON / step).round() as usize;
    (0..paths)
        .map(|_| {
            let (mut u, mut p, mut a) = (U0, 0.0, [0.0; 2]);
            for _ in 0..steps {
                let mut normal = || root * rng.sample::<f64, _>(StandardNormal);
                let energy = a[0] * a[0] + a[1] * a[1];
                let rate = -0.5 * GAMMA - 0.5 * KAPPA * u * p;
                for a in &mut a {
                    *a += step * rate * *a + 0.5 * GAMMA * ACROSS * normal();
                }
                let next = p + step * (KAPPA * u * energy - GAMMA * p) + GAMMA * ALONG * normal();
                u -= step * p;
                p = next;
            }
            u
        })
        .collect()
}

/// Mean and mean square of u at t = 2: SGDM at η = 1/80 against the averaged motion, and far from the slow SDE, e^{−½κs_v²t}.
/// Allowed are 4 standard errors of each (level 1e-4) and η, for what oscillates is averaged up to the square of its period, η/γ;
/// halving the step of the averaged motion moves its mean by 1e-4.
#[test]
fn at_alpha_two_sgdm_follows_the_averaged_motion() {
    let (eta, paths) = (0.0125, 16384);
    let steps = (HORIZON / (eta * eta)).round() as u64;
    let valley = Valley::new(Steepness::Exponential { kappa: KAPPA }).unwrap();
    let one = Shape::Constant(1.0);
    let schedule = slow_schedule(one, Shape::Constant(GAMMA), 2.0, eta, HORIZON);
    let e = slow_ensemble(
        valley,
        gaussian(Factor::Diagonal(vec![ALONG, ACROSS]), 2),
        eta,
        &[U0, 0.0],
        every(64),
        vec![process(&schedule, RateKind::Sgdm)],
        &[steps],
    );
    let all = states(&e, paths);
    let sgdm: Vec<f64> = all.fine[0][0].chunks_exact(2).map(|x| x[0]).collect();
    let limit = averaged(40_000, 0.005);
    let slow = U0 * (-0.5 * KAPPA * ACROSS * ACROSS * HORIZON).exp();
    for power in [1, 2] {
        let moment = |values: &[f64]| mean(values.iter().map(|u| u.powi(power)));
        let ((found, a), (wanted, b)) = (moment(&sgdm), moment(&limit));
        let allowed = eta + 4.0 * a.hypot(b);
        assert!(
            (found - wanted).abs() <= allowed,
            "E u^{power}: {found} ± {a} instead of {wanted} ± {b}"
        );
        if power == 1 {
            assert!((found - slow).abs() > 10.0 * allowed, "{found}, {slow}");
        }
    }
}
