//! L(x) = ¼(Σ (xᵢ/aᵢ)² − 1)²: an ellipse (ellipsoid) of minimizers, without a symmetry to hide behind.

use super::{Formula, LandscapeError, check_finite_vector};
use crate::real::Real;
use nalgebra::DVector;

/// L(x) = ¼q² with q = Σᵢ (xᵢ/aᵢ)² − 1 and semi-axes aᵢ > 0, d ≥ 2. Γ = {q = 0}; on it ∇²L = 2ssᵀ with
/// s = (xᵢ/aᵢ²): rank 1, and the curvature 2‖s‖² changes along Γ unless all axes are equal.
///
/// With D = diag(aᵢ⁻²) and s = Dx: ∇L = qs, ∇²L = qD + 2ssᵀ, ∂²(∇L)\[M\] = 4DMs + 2⟨D, M⟩s.
///
/// **Closed form of Φ.** Along the gradient flow ẋᵢ = −q xᵢ/aᵢ², so every coordinate is xᵢ e^{−τ/aᵢ²} with one common
/// τ = ∫ q dt; Φ(x) is the point of this curve with Σ (xᵢ/aᵢ)² e^{−2τ/aᵢ²} = 1, a convex decreasing function of τ: one
/// root, for x ≠ 0. The nearest point of Γ is another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Ellipse {
    /// aᵢ⁻².
    inverse_squares: Vec<f64>,
}

impl Ellipse {
    /// The semi-axes a₁, …, a_d, all positive and finite.
    ///
    /// # Errors
    /// Fewer than two semi-axes, or one that is not a positive finite number (or whose square over- or underflows).
    pub fn new(semi_axes: &[f64]) -> Result<Ellipse, LandscapeError> {
        if semi_axes.len() < 2 {
            return Err(LandscapeError::OutOfRange {
                what: "the number of semi-axes of the ellipse",
                value: semi_axes.len() as f64,
                allowed: "2, 3, 4, …",
            });
        }
        check_finite_vector("the semi-axes of the ellipse", semi_axes)?;
        let inverse_squares: Vec<f64> = semi_axes.iter().map(|a| 1.0 / (a * a)).collect();
        for (&a, inverse) in semi_axes.iter().zip(&inverse_squares) {
            if a <= 0.0 || !inverse.is_normal() {
                return Err(LandscapeError::OutOfRange {
                    what: "a semi-axis of the ellipse",
                    value: a,
                    allowed: "a number between 1e-150 and 1e150",
                });
            }
        }
        Ok(Ellipse { inverse_squares })
    }

    /// q.
    #[inline(always)]
    fn excess<R: Real>(&self, x: &[R]) -> R {
        let terms = x.iter().zip(&self.inverse_squares);
        terms.fold(R::constant(-1.0), |s, (&x, &c)| {
            (R::constant(c) * x).mul_add(x, s)
        })
    }
}

impl Formula for Ellipse {
    fn dimension(&self) -> usize {
        self.inverse_squares.len()
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        R::constant(0.25) * self.excess(x).square()
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let q = self.excess(x);
        for ((g, &x), &c) in g.iter_mut().zip(x).zip(&self.inverse_squares) {
            *g = q * (R::constant(c) * x);
        }
    }

    #[inline(always)]
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let q = self.excess(x);
        let d = x.len();
        for (i, row) in h.chunks_exact_mut(d).enumerate() {
            let c = self.inverse_squares[i];
            for (j, h) in row.iter_mut().enumerate() {
                // The product of the two constants first: exactly symmetric.
                let weight = R::constant(2.0 * (c * self.inverse_squares[j]));
                *h = weight * (x[i] * x[j]);
            }
            row[i] = row[i] + R::constant(c) * q;
        }
    }

    #[inline(always)]
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let d = x.len();
        let mut trace = R::constant(0.0);
        for (i, &c) in self.inverse_squares.iter().enumerate() {
            trace = R::constant(c).mul_add(m[i * d + i], trace);
        }
        for (i, out) in out.iter_mut().enumerate() {
            let mut product = R::constant(0.0);
            for (j, &c) in self.inverse_squares.iter().enumerate() {
                product = (R::constant(c) * x[j]).mul_add(m[i * d + j], product);
            }
            let c = R::constant(self.inverse_squares[i]);
            *out = c * (R::constant(4.0) * product + R::constant(2.0) * trace * x[i]);
        }
    }

    #[inline(always)]
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let (mut trace, mut square) = (R::constant(0.0), R::constant(0.0));
        for (&x, &c) in x.iter().zip(&self.inverse_squares) {
            let s = R::constant(c) * x;
            trace = trace + R::constant(c);
            square = s.mul_add(s, square);
        }
        self.excess(x).mul_add(trace, R::constant(2.0) * square)
    }

    /// Everywhere but at the centre. One root of a convex function by Newton's method, to rounding.
    fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>> {
        let terms = || x.iter().zip(&self.inverse_squares);
        // Start where the last coordinate to shrink (or the first to grow) makes up all of Γ's equation alone: there
        // 0 ≤ q ≤ d − 1, left of the root, and Newton's method on a convex decreasing function increases to it.
        let alone = terms().map(|(x, c)| (x.abs().ln() + 0.5 * c.ln()) / c);
        let mut tau = alone.fold(f64::NEG_INFINITY, f64::max);
        if !tau.is_finite() {
            return None;
        }
        let moved = |tau: f64| terms().map(move |(x, c)| (x * (-tau * c).exp(), c));
        // Sums of d terms below one are known to about dε.
        let rounding = 4.0 * f64::EPSILON * x.len() as f64;
        for _ in 0..64 {
            let (q, slope) = moved(tau).fold((-1.0, 0.0), |(q, s), (x, c)| {
                let term = c * x * x;
                (q + term, s - 2.0 * c * term)
            });
            tau -= q / slope;
            if q.abs() <= rounding {
                break;
            }
        }
        Some(DVector::from_iterator(x.len(), moved(tau).map(|(x, _)| x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_semi_axes_are_refused() {
        assert!(Ellipse::new(&[1.0]).is_err());
        for a in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-170, 1e170] {
            assert!(Ellipse::new(&[1.0, a]).is_err(), "{a}");
        }
    }

    /// Far in, far out, and on an axis; Φ lies on Γ and keeps the ratio of coordinates that the flow dictates.
    #[test]
    fn projections_lie_on_the_ellipse() -> Result<(), LandscapeError> {
        let ellipse = Ellipse::new(&[2.0, 0.5, 1.0])?;
        for scale in [1e-8, 1e-3, 0.5, 1.0, 3.0, 50.0] {
            for direction in [[1.0, -0.7, 0.4], [0.0, 1.0, 0.0], [-0.1, 0.0, 2.0]] {
                let x = DVector::from_column_slice(&direction) * scale;
                let Some(end) = ellipse.exact_projection(&x) else {
                    panic!("no projection of {x}");
                };
                let q = ellipse.excess(end.as_slice());
                assert!(q.abs() < 1e-13, "{x}: q = {q:e}");
                // e^{−τ/aᵢ²}: the logarithms of the ratios are as 1/4 : 4 : 1.
                let tau: Vec<f64> = (0..3)
                    .filter(|&i| x[i] != 0.0)
                    .map(|i| -(end[i] / x[i]).ln() / ellipse.inverse_squares[i])
                    .collect();
                for t in &tau {
                    assert!((t - tau[0]).abs() <= 1e-11 * (1.0 + t.abs()), "{tau:?}");
                }
            }
        }
        assert_eq!(ellipse.exact_projection(&DVector::zeros(3)), None);
        Ok(())
    }
}
