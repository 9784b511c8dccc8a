//! Noise that couples directions along and across Γ: the momentum holds back a part of the drift along it, of relative size
//! η^{1−α}.
//!
//! On ½(xy−1)² let q = x² − y², which Φ keeps. Along SGDM's coupled trajectory y = x − δ, δ = wm with w = ηβ/(1−β), a step
//! changes the mean of q by η²(Σ₁₁ − Σ₂₂) + 2η E r(δ₁x₂ − δ₂x₁) with the residual r. In (1, 1), where the curvature is 2, r and
//! the momentum along Γ have the covariance −η(Σ₁₁ − Σ₂₂)/(2 + 2ε) with ε = η/(1−β), so that the drift is that of SGD over 1 + ε.

use super::*;

#[test]
fn momentum_slows_the_drift_where_noise_couples_along_and_across() {
    let (alpha, eta, paths) = (0.5, 0.01, 16384);
    let epsilon = f64::powf(eta, 1.0 - alpha);
    // Past the fall of the correlations, within an eighth of a unit of slow time: Γ is nearly straight.
    let save = [250, 1250];
    let slowed = |diagonal: [f64; 2]| {
        let e = slow_ensemble(
            Hyperbola,
            gaussian(Factor::Diagonal(diagonal.to_vec()), 2),
            eta,
            &[1.0, 1.0],
            every(125),
            vec![sgd(eta, 1.0), sgdm(alpha, eta, 1.0)],
            &save,
        );
        let all = states(&e, paths);
        let q = |p: usize, save: usize| {
            let points = all.fine[p][save].chunks_exact(2);
            points.map(|x| x[0] * x[0] - x[1] * x[1])
        };
        let change = |p: usize| q(p, 1).zip(q(p, 0)).map(|(b, a)| b - a);
        mean(change(1).zip(change(0)).map(|(m, s)| m - s))
    };
    let t = f64::from(1250 - 250) * eta * eta;
    let (coupled, error) = slowed([0.3, 1.0]);
    let expected = -(0.3 * 0.3 - 1.0) * t * epsilon / (1.0 + epsilon);
    // 4 standard errors (level 6e-5), and a fifth for the curvature, which is 2 only in (1, 1), and terms of order η.
    assert!(
        (coupled - expected).abs() < 4.0 * error + 0.2 * expected,
        "{coupled} ± {error}, expected {expected}"
    );
    assert!(coupled > 8.0 * error, "{coupled} ± {error}");
    // Isotropic noise couples nothing.
    let (isotropic, error) = slowed([1.0, 1.0]);
    assert!(isotropic.abs() < 4.0 * error, "{isotropic} ± {error}");
}
