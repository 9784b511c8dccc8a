//! L(x) = (x₁² − 1)²/4 + ½c(x₂² + … + x_d²): two minima and a barrier between them.

use super::{Formula, LandscapeError};
use crate::real::Real;

/// L(x) = (x₁² − 1)²/4 + ½c Σ_{i≥2} x_i², with minima at (±1, 0, …, 0) and a barrier of height ¼ at the origin.
///
/// ∇L = (x₁³ − x₁, c x₂, …, c x_d); ∇²L = diag(3x₁² − 1, c, …, c); ∂₁₁₁L = 6x₁, all other third derivatives vanish.
/// With λ = 1 and Σ = s²I the limiting SDE (51) has the stationary density ∝ exp(−2L/s²) (theory: Sec. 6, closed form
/// 2), bimodal in x₁.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleWell {
    dimension: usize,
    curvature: f64,
}

impl Default for DoubleWell {
    /// One dimension (c = 1, without effect there).
    fn default() -> DoubleWell {
        DoubleWell {
            dimension: 1,
            curvature: 1.0,
        }
    }
}

impl DoubleWell {
    /// d = `dimension` ≥ 1 and transverse curvature c = `curvature` > 0.
    ///
    /// # Errors
    /// d = 0, or c not a positive finite number.
    pub fn new(dimension: usize, curvature: f64) -> Result<DoubleWell, LandscapeError> {
        if dimension == 0 {
            return Err(LandscapeError::OutOfRange {
                what: "the dimension of the double well",
                value: 0.0,
                allowed: "1, 2, 3, …",
            });
        }
        if !(curvature.is_finite() && curvature > 0.0) {
            return Err(LandscapeError::OutOfRange {
                what: "the transverse curvature of the double well",
                value: curvature,
                allowed: "a finite number above 0",
            });
        }
        Ok(DoubleWell {
            dimension,
            curvature,
        })
    }

    /// c.
    pub fn curvature(&self) -> f64 {
        self.curvature
    }
}

impl Formula for DoubleWell {
    fn dimension(&self) -> usize {
        self.dimension
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        let mut transverse = R::constant(0.0);
        for &x in &x[1..] {
            transverse = x.mul_add(x, transverse);
        }
        let well = x[0].mul_add(x[0], R::constant(-1.0)).square();
        R::constant(0.25) * well + R::constant(0.5 * self.curvature) * transverse
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        for (g, &x) in g.iter_mut().zip(x) {
            *g = R::constant(self.curvature) * x;
        }
        g[0] = x[0] * x[0].mul_add(x[0], R::constant(-1.0));
    }

    #[inline(always)]
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        h.fill(R::constant(0.0));
        for h in h.iter_mut().step_by(x.len() + 1) {
            *h = R::constant(self.curvature);
        }
        h[0] = (R::constant(3.0) * x[0]).mul_add(x[0], R::constant(-1.0));
    }

    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let others = self.curvature * (x.len() - 1) as f64 - 1.0;
        (R::constant(3.0) * x[0]).mul_add(x[0], R::constant(others))
    }

    #[inline(always)]
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        out.fill(R::constant(0.0));
        out[0] = R::constant(6.0) * x[0] * m[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minima_and_barrier() {
        for d in 1..6 {
            let well = DoubleWell::new(d, 2.0).expect("valid");
            let mut x = vec![0.0; d];
            assert_eq!(well.value(&x), 0.25);
            for side in [-1.0, 1.0] {
                x[0] = side;
                let mut g = vec![f64::NAN; d];
                well.gradient(&x, &mut g);
                assert_eq!(well.value(&x), 0.0);
                assert!(g.iter().all(|&g| g == 0.0), "{g:?}");
            }
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        assert!(DoubleWell::new(0, 1.0).is_err());
        for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(DoubleWell::new(2, c).is_err(), "{c}");
        }
    }
}
