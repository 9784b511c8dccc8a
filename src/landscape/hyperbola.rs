//! L(x, y) = ½(xy − 1)²: the smallest over-parametrised model, with Γ = {xy = 1}.

use super::{FiniteSum, Formula};
use crate::real::{Lanes, Real};
use crate::slow_law::{SlowLaw, SlowNoise};
use nalgebra::DVector;

/// L(x, y) = ½(xy − 1)², d = 2. Γ = {xy = 1}, two branches; on it ∇²L = (y, x)(y, x)ᵀ: rank 1. ∇L = (xy − 1)(y, x).
///
/// Under Σ = c∇²L the slow SDE (4) is the curve sinh 2s(τ) = e^{−cτ} sinh 2s_0 towards the flattest point ±(1, 1).
///
/// **Closed form of Φ** (theory: Sec. 6, closed form 5). The gradient flow conserves x² − y², and the sign of x + y (the
/// line x + y = 0 runs into the saddle at the origin): Φ = ±(eˢ, e⁻ˢ) with s = ½ asinh((x² − y²)/2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Hyperbola;

impl Formula for Hyperbola {
    fn dimension(&self) -> usize {
        2
    }

    #[inline(always)]
    fn value<R: Real>(&self, p: &[R]) -> R {
        R::constant(0.5) * (p[0] * p[1] - R::constant(1.0)).square()
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, p: &[R], g: &mut [R]) {
        let (x, y) = (p[0], p[1]);
        let r = x.mul_add(y, R::constant(-1.0));
        g[0] = r * y;
        g[1] = r * x;
    }

    #[inline(always)]
    fn hessian<R: Real>(&self, p: &[R], h: &mut [R]) {
        let (x, y) = (p[0], p[1]);
        let off = R::constant(2.0) * x * y - R::constant(1.0);
        h[0] = y * y;
        h[1] = off;
        h[2] = off;
        h[3] = x * x;
    }

    #[inline(always)]
    fn third_contraction<R: Real>(&self, p: &[R], m: &[R], out: &mut [R]) {
        // ∂xxy L = 2y, ∂xyy L = 2x, all others vanish.
        let (x, y) = (p[0], p[1]);
        let two = R::constant(2.0);
        let off = m[1] + m[2];
        out[0] = two * (y * off + x * m[3]);
        out[1] = two * (y * m[0] + x * off);
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Some(self)
    }

    /// Everywhere but on the line x + y = 0.
    fn exact_projection(&self, p: &DVector<f64>) -> Option<DVector<f64>> {
        let (sum, difference) = (p[0] + p[1], p[0] - p[1]);
        if sum == 0.0 {
            return None;
        }
        // The product of sum and difference keeps the digits that x² − y² would lose.
        let s = 0.5 * (0.5 * sum * difference).asinh();
        let end = [s.exp().copysign(sum), (-s).exp().copysign(sum)];
        Some(DVector::from_column_slice(&end))
    }

    /// Σ = c∇²L: sinh 2s = ½(x² − y²) decays like e^{−cτ}.
    fn slow_law(&self, noise: &SlowNoise, p: &DVector<f64>) -> Option<SlowLaw> {
        let (sum, difference) = (p[0] + p[1], p[0] - p[1]);
        match *noise {
            SlowNoise::Hessian(rate) if sum != 0.0 => Some(SlowLaw::HyperbolaCurve {
                sinh: 0.5 * sum * difference,
                sign: sum.signum(),
                rate,
            }),
            _ => None,
        }
    }
}

/// One sample with the output f = xy and the target 1.
impl FiniteSum for Hyperbola {
    fn samples(&self) -> usize {
        1
    }

    fn minibatch_gradient(&self, x: &[Lanes], _indices: &[Lanes], g: &mut [Lanes]) {
        self.gradient(x, g);
    }

    fn gradient_covariance(&self, _x: &[Lanes], covariance: &mut [Lanes], _scratch: &mut [Lanes]) {
        covariance.fill(Lanes::ZERO);
    }

    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        out[0] = weights[0] * x[1];
        out[1] = weights[0] * x[0];
    }

    fn constant_output_gradients(&self) -> Option<nalgebra::DMatrix<f64>> {
        None
    }

    fn squared_loss(&self) -> bool {
        true
    }
}
