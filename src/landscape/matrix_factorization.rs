//! L(U) = ¼‖UUᵀ − M‖_F²: a manifold of minimizers of dimension k(k−1)/2, the orbit of the rotations.

use super::{Formula, LandscapeError, check_finite};
use crate::real::Real;
use nalgebra::DMatrix;

/// L(U) = ¼‖UUᵀ − M‖_F² with U ∈ ℝ^{n×k} (x is U row by row, d = nk) and M = BBᵀ of rank k.
///
/// Γ = {BQ : Q orthogonal}, two components (det Q = ±1) of dimension k(k−1)/2, on which the rank of ∇²L is
/// nk − k(k−1)/2. For k = 1 these are the two isolated points ±B.
///
/// With R = UUᵀ − M, G = UᵀU and rows u_a of U: ∇L = RU;
/// ∂_{ac}∂_{be} L = R_ab δ_ce + δ_ab G_ce + u_ae u_bc; for a symmetric C (indices (a,c) as in x)
/// ∂²(∇L)\[C\]_ac = 2 Σ_be (C_{bc,ae} u_be + C_{bc,be} u_ae + C_{ae,be} u_bc). Gradient O(n²k), contraction O(d²).
///
/// L and Σ = cI are invariant under U → UQ: all points of Γ are equally flat. UᵀU̇ is symmetric along the gradient flow. No
/// closed form of Φ.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixFactorization {
    rows: usize,
    columns: usize,
    /// M, row by row.
    target: Vec<f64>,
}

impl MatrixFactorization {
    /// M = BBᵀ for an n × k `factor` B of full column rank.
    ///
    /// # Errors
    /// B is empty, not finite, or its smallest singular value is below 10⁻⁸ of the largest (M would then be of rank below
    /// k to rounding, and the rank of ∇²L would drop on Γ).
    pub fn new(factor: &DMatrix<f64>) -> Result<MatrixFactorization, LandscapeError> {
        const FACTOR: &str = "the factor of the matrix to factorise";
        if factor.is_empty() {
            return Err(LandscapeError::Empty { what: FACTOR });
        }
        check_finite(FACTOR, factor)?;
        let (rows, columns) = factor.shape();
        let values = factor.singular_values();
        let largest = values.max();
        // More columns than rows: the missing singular values are zeros.
        let smallest = if columns > rows { 0.0 } else { values.min() };
        if smallest <= 1e-8 * largest {
            return Err(LandscapeError::RankDeficient {
                what: FACTOR,
                smallest,
                largest,
            });
        }
        let product = factor * factor.transpose();
        Ok(MatrixFactorization {
            rows,
            columns,
            // Exactly symmetric, whatever the order of summation was.
            target: (0..rows * rows)
                .map(|i| (i / rows, i % rows))
                .map(|(a, b)| product[(a.min(b), a.max(b))])
                .collect(),
        })
    }

    /// (n, k): the shape of U.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// R_ab.
    #[inline(always)]
    fn residual<R: Real>(&self, x: &[R], a: usize, b: usize) -> R {
        let k = self.columns;
        let (u_a, u_b) = (&x[a * k..(a + 1) * k], &x[b * k..(b + 1) * k]);
        let start = R::constant(-self.target[a * self.rows + b]);
        u_a.iter()
            .zip(u_b)
            .fold(start, |s, (&u, &v)| u.mul_add(v, s))
    }
}

impl Formula for MatrixFactorization {
    fn dimension(&self) -> usize {
        self.rows * self.columns
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        let mut sum = R::constant(0.0);
        for a in 0..self.rows {
            let r = self.residual(x, a, a);
            sum = (R::constant(0.25) * r).mul_add(r, sum);
            for b in a + 1..self.rows {
                let r = self.residual(x, a, b);
                sum = (R::constant(0.5) * r).mul_add(r, sum);
            }
        }
        sum
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let k = self.columns;
        for (a, g) in g.chunks_exact_mut(k).enumerate() {
            g.fill(R::constant(0.0));
            for (b, u) in x.chunks_exact(k).enumerate() {
                let r = self.residual(x, a, b);
                for (g, &u) in g.iter_mut().zip(u) {
                    *g = r.mul_add(u, *g);
                }
            }
        }
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let (n, k, d) = (self.rows, self.columns, x.len());
        for a in 0..n {
            for b in a..n {
                let r = self.residual(x, a, b);
                for c in 0..k {
                    for e in 0..k {
                        let (i, j) = (a * k + c, b * k + e);
                        let mut entry = x[a * k + e] * x[b * k + c];
                        if c == e {
                            entry = entry + r;
                        }
                        if a == b {
                            let u = x.chunks_exact(k);
                            entry = u.fold(entry, |s, u| u[c].mul_add(u[e], s));
                        }
                        h[i * d + j] = entry;
                        h[j * d + i] = entry;
                    }
                }
            }
        }
    }

    /// (n + k + 1)‖U‖² − k tr M.
    #[inline(always)]
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let (n, k) = (self.rows, self.columns);
        let square = x.iter().fold(R::constant(0.0), |s, &u| u.mul_add(u, s));
        let target: f64 = self.target.iter().step_by(n + 1).sum();
        let constant = R::constant(-(k as f64) * target);
        square.mul_add(R::constant((n + k + 1) as f64), constant)
    }

    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let (n, k, d) = (self.rows, self.columns, x.len());
        for a in 0..n {
            for c in 0..k {
                let mut sum = R::constant(0.0);
                for b in 0..n {
                    let (bc, u_bc) = (b * k + c, x[b * k + c]);
                    for e in 0..k {
                        let (ae, be) = (a * k + e, b * k + e);
                        sum = m[bc * d + ae].mul_add(x[be], sum);
                        sum = m[bc * d + be].mul_add(x[ae], sum);
                        sum = m[ae * d + be].mul_add(u_bc, sum);
                    }
                }
                out[a * k + c] = R::constant(2.0) * sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::Landscape;
    use nalgebra::DVector;

    /// On Γ: no loss, no gradient, and a Hessian whose kernel is the tangent space of the rotations.
    #[test]
    fn rank_on_the_manifold() -> Result<(), LandscapeError> {
        for (n, k) in [(3, 1), (4, 2), (6, 3), (3, 3)] {
            let factor =
                DMatrix::from_fn(n, k, |i, j| (((i + 1) * (j + 2) * (j + 2)) as f64).sin());
            let problem = MatrixFactorization::new(&factor)?;
            assert_eq!(problem.shape(), (n, k));
            let x = DVector::from_column_slice(factor.transpose().as_slice());
            let jet = problem.jet(&x);
            assert!(jet.value < 1e-28 && jet.gradient.amax() < 1e-13);
            let spectrum = jet.hessian.symmetric_eigen().eigenvalues;
            let rank = spectrum.iter().filter(|l| **l > 1e-6).count();
            let zeros = spectrum.iter().filter(|l| l.abs() < 1e-13).count();
            assert_eq!((rank, zeros), (n * k - k * (k - 1) / 2, k * (k - 1) / 2));
        }
        Ok(())
    }

    #[test]
    fn dependent_columns_are_refused() {
        let dependent = DMatrix::from_row_slice(3, 2, &[1.0, 2.0, 2.0, 4.0, -1.0, -2.0]);
        let wide = DMatrix::from_element(1, 2, 1.0);
        for factor in [dependent, wide, DMatrix::zeros(2, 1)] {
            let refused = MatrixFactorization::new(&factor);
            assert!(matches!(refused, Err(LandscapeError::RankDeficient { .. })));
        }
        let empty = MatrixFactorization::new(&DMatrix::zeros(0, 1));
        assert!(matches!(empty, Err(LandscapeError::Empty { .. })));
        let infinite = MatrixFactorization::new(&DMatrix::from_element(1, 1, f64::INFINITY));
        assert!(matches!(infinite, Err(LandscapeError::NotFinite { .. })));
    }
}
