//! L(x) = ¼(‖x‖² − 1)²: the unit sphere as manifold of minimizers, the same in every direction.

use super::{Formula, LandscapeError};
use crate::real::Real;
use crate::slow_law::{SlowLaw, SlowNoise};
use nalgebra::DVector;

/// L(x) = ¼(‖x‖² − 1)², d ≥ 2 (d = 2: the circle). Γ = {‖x‖ = 1}; on it ∇²L = 2xxᵀ: rank 1, the normal curvature 2
/// everywhere.
///
/// With ρ = ‖x‖²: ∇L = (ρ − 1)x, ∇²L = (ρ − 1)I + 2xxᵀ, ∂²(∇L)\[M\] = 4Mx + 2(tr M)x. Isotropic noise Σ = s²I drives
/// Brownian motion on the sphere, E⟨X_t, X_0⟩ = e^{−(d−1)s²t/2} (theory: Sec. 6, closed form 6).
///
/// **Closed form of Φ.** The flow is radial: Φ(x) = x/‖x‖, for x ≠ 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sphere {
    dimension: usize,
}

impl Sphere {
    /// d = `dimension` ≥ 2.
    ///
    /// # Errors
    /// d < 2: two points are no manifold.
    pub fn new(dimension: usize) -> Result<Sphere, LandscapeError> {
        if dimension < 2 {
            return Err(LandscapeError::OutOfRange {
                what: "the dimension of the sphere's space",
                value: dimension as f64,
                allowed: "2, 3, 4, …",
            });
        }
        Ok(Sphere { dimension })
    }
}

#[inline(always)]
fn squared_norm<R: Real>(x: &[R]) -> R {
    x.iter().fold(R::constant(0.0), |s, &x| x.mul_add(x, s))
}

impl Formula for Sphere {
    fn dimension(&self) -> usize {
        self.dimension
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        R::constant(0.25) * (squared_norm(x) - R::constant(1.0)).square()
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let excess = squared_norm(x) - R::constant(1.0);
        for (g, &x) in g.iter_mut().zip(x) {
            *g = excess * x;
        }
    }

    #[inline(always)]
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let excess = squared_norm(x) - R::constant(1.0);
        for (i, row) in h.chunks_exact_mut(x.len()).enumerate() {
            for (h, &b) in row.iter_mut().zip(x) {
                *h = R::constant(2.0) * (x[i] * b);
            }
            row[i] = row[i] + excess;
        }
    }

    #[inline(always)]
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let d = x.len();
        let trace = m
            .iter()
            .step_by(d + 1)
            .fold(R::constant(0.0), |s, &m| s + m);
        for ((out, row), &x_a) in out.iter_mut().zip(m.chunks_exact(d)).zip(x) {
            let product = row
                .iter()
                .zip(x)
                .fold(R::constant(0.0), |s, (&m, &x)| m.mul_add(x, s));
            *out = R::constant(4.0) * product + R::constant(2.0) * trace * x_a;
        }
    }

    #[inline(always)]
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let (d, square) = (R::constant(x.len() as f64), squared_norm(x));
        d.mul_add(square - R::constant(1.0), R::constant(2.0) * square)
    }

    /// Everywhere but at the centre, which is a maximum.
    fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>> {
        x.clone().try_normalize(0.0)
    }

    /// Σ = s²I: Brownian motion. Σ = c∇²L: at rest, since tr ∇²L = 2 everywhere on Γ.
    fn slow_law(&self, noise: &SlowNoise, x: &DVector<f64>) -> Option<SlowLaw> {
        let start = Formula::exact_projection(self, x)?;
        match *noise {
            SlowNoise::Isotropic(variance) => Some(SlowLaw::SphereBrownian { start, variance }),
            SlowNoise::Hessian(_) => Some(SlowLaw::Rest {
                point: start,
                trace: 2.0,
            }),
            SlowNoise::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_refused() {
        for d in [0, 1] {
            let refused = Sphere::new(d);
            assert!(matches!(refused, Err(LandscapeError::OutOfRange { .. })));
        }
    }

    #[test]
    fn the_centre_has_no_projection() -> Result<(), LandscapeError> {
        assert_eq!(Sphere::new(3)?.exact_projection(&DVector::zeros(3)), None);
        Ok(())
    }
}
