//! L(u, v) = ½ a(u) v²: a straight valley floor Γ = {v = 0} with walls whose steepness changes along it.

use super::{Formula, LandscapeError};
use crate::real::Real;
use crate::slow_law::{SlowLaw, SlowNoise};
use nalgebra::DVector;

/// How steep the walls are: the function a(u) > 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steepness {
    /// a(u) = e^{κu²}.
    Exponential {
        /// κ: positive for walls that are flattest at u = 0, negative for steepest.
        kappa: f64,
    },
    /// a(u) = 1 + u².
    Quadratic,
}

impl Steepness {
    /// a, a′, a″, a‴ at u.
    #[inline(always)]
    fn derivatives<R: Real>(self, u: R) -> [R; 4] {
        match self {
            Self::Exponential { kappa } => {
                // With w = 2κu: a′ = wa, a″ = (2κ + w²)a, a‴ = w(6κ + w²)a.
                let w = R::constant(2.0 * kappa) * u;
                let a = (R::constant(kappa) * u * u).exp();
                let second = w.mul_add(w, R::constant(2.0 * kappa));
                let third = w * w.mul_add(w, R::constant(6.0 * kappa));
                [a, w * a, second * a, third * a]
            }
            Self::Quadratic => {
                let (one, two) = (R::constant(1.0), R::constant(2.0));
                [u.mul_add(u, one), two * u, two, R::constant(0.0)]
            }
        }
    }
}

/// L(u, v) = ½ a(u) v², d = 2, x = (u, v). Γ = {v = 0}, a straight line on which ∇²L = diag(0, a(u)): rank 1.
///
/// ∇L = (½a′v², av); ∇²L = [[½a″v², a′v], [a′v, a]]. Isotropic noise Σ = s²I drives the slow SDE
/// dU = s dW − (s²/4)(log a)′(U) dt (theory: Sec. 6, closed form 4): towards flat walls, although every point of Γ is a
/// minimum.
///
/// **Closed form of Φ.** Along the gradient flow u̇ = −½a′v², v̇ = −av, so d(v²)/du = 4a/a′: the flow conserves
/// v² − ∫ 4a/a′ du.
/// * Exponential, 4a/a′ = 2/(κu): Φ(u, v) = (u e^{−κv²/2}, 0).
/// * Quadratic, 4a/a′ = 2/u + 2u: Φ(u, v) = (±√w, 0) with the sign of u and w + ln w = u² + ln u² − v².
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Valley {
    steepness: Steepness,
}

impl Valley {
    /// # Errors
    /// κ is not finite.
    pub fn new(steepness: Steepness) -> Result<Valley, LandscapeError> {
        match steepness {
            Steepness::Exponential { kappa } if !kappa.is_finite() => {
                Err(LandscapeError::OutOfRange {
                    what: "the exponent kappa of the valley",
                    value: kappa,
                    allowed: "a finite number",
                })
            }
            _ => Ok(Valley { steepness }),
        }
    }

    /// a.
    pub fn steepness(&self) -> Steepness {
        self.steepness
    }
}

/// The solution w > 0 of w + ln w = `c`, to rounding.
fn solve_plus_log(c: f64) -> f64 {
    // For c ≪ 0 the logarithm dominates, w = eᶜ; for c ≫ 0 the linear term, w = c − ln c. The function is concave: from
    // either side Newton's second iterate lies below the solution, and the iterates then increase to it.
    let mut w = if c < 1.0 { c.exp() } else { c - 0.5 * c.ln() };
    if w == 0.0 {
        return 0.0;
    }
    for _ in 0..64 {
        // w ← w − (w + ln w − c)·w/(1 + w) = w(1 + c − ln w)/(1 + w).
        let next = w * (1.0 + c - w.ln()) / (1.0 + w);
        let settled = (next - w).abs() <= f64::EPSILON * w;
        w = next;
        if settled {
            break;
        }
    }
    w
}

impl Formula for Valley {
    fn dimension(&self) -> usize {
        2
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        let [a, ..] = self.steepness.derivatives(x[0]);
        R::constant(0.5) * a * x[1].square()
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let v = x[1];
        let [a, slope, ..] = self.steepness.derivatives(x[0]);
        g[0] = R::constant(0.5) * slope * v * v;
        g[1] = a * v;
    }

    #[inline(always)]
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let v = x[1];
        let [a, slope, second, _] = self.steepness.derivatives(x[0]);
        h[0] = R::constant(0.5) * second * v * v;
        h[1] = slope * v;
        h[2] = h[1];
        h[3] = a;
    }

    #[inline(always)]
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        // ∂uuu = ½a‴v², ∂uuv = a″v, ∂uvv = a′, ∂vvv = 0.
        let v = x[1];
        let [_, slope, second, third] = self.steepness.derivatives(x[0]);
        let off = m[1] + m[2];
        out[0] = R::constant(0.5) * third * v * v * m[0] + second * v * off + slope * m[3];
        out[1] = second * v * m[0] + slope * off;
    }

    /// Everywhere.
    fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>> {
        let (u, v) = (x[0], x[1]);
        let end = match self.steepness {
            Steepness::Exponential { kappa } => u * (-0.5 * kappa * v * v).exp(),
            Steepness::Quadratic if u == 0.0 => u,
            Steepness::Quadratic => {
                let w = solve_plus_log(u * u + 2.0 * u.abs().ln() - v * v);
                w.sqrt().copysign(u)
            }
        };
        Some(DVector::from_column_slice(&[end, 0.0]))
    }

    /// Exponential walls under Σ = s²I: Ornstein–Uhlenbeck. Walls 1 + u² under Σ = c∇²L: u̇ = −½cu.
    fn slow_law(&self, noise: &SlowNoise, x: &DVector<f64>) -> Option<SlowLaw> {
        let start = Formula::exact_projection(self, x)?[0];
        match (self.steepness, *noise) {
            (Steepness::Exponential { kappa }, SlowNoise::Isotropic(variance)) => {
                Some(SlowLaw::OrnsteinUhlenbeck {
                    start,
                    kappa,
                    variance,
                })
            }
            (Steepness::Quadratic, SlowNoise::Hessian(rate)) => {
                Some(SlowLaw::ValleyCurve { start, rate })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The equation that defines w, from deep in the exponential tail to far in the linear one.
    #[test]
    fn plus_log_is_solved() {
        for k in -300..=300 {
            let c = f64::from(k);
            let w = solve_plus_log(c);
            // Rounding of c, w and ln w; the error in w itself is at most w/(1+w) times the residual.
            let residual = (w + w.ln() - c).abs();
            assert!(residual <= 8.0 * f64::EPSILON * (1.0 + c.abs()), "c = {c}");
        }
        assert_eq!(solve_plus_log(-1e4), 0.0);
    }

    #[test]
    fn bad_exponents_are_refused() {
        for kappa in [f64::NAN, f64::INFINITY] {
            let refused = Valley::new(Steepness::Exponential { kappa });
            assert!(matches!(refused, Err(LandscapeError::OutOfRange { .. })));
        }
    }
}
