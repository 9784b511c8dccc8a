//! Quadratic losses, for which every moment is known exactly.

use super::dense::add_symmetric_product;
use super::{Formula, LandscapeError, check_finite, check_finite_vector};
use crate::real::Real;
use nalgebra::{DMatrix, DVector};

/// L(x) = ½(x − x*)ᵀA(x − x*) + c.
#[derive(Clone, Debug, PartialEq)]
pub struct QuadraticForm {
    /// A, symmetric, d × d.
    pub hessian: DMatrix<f64>,
    /// x*.
    pub center: DVector<f64>,
    /// c = L(x*).
    pub offset: f64,
}

/// ‖∇L(x*)‖ relative to ‖∇L(0)‖ + ‖A‖ up to which x* counts as a stationary point.
const STATIONARY: f64 = 1e-9;

impl QuadraticForm {
    /// The form of a loss whose Hessian is the same everywhere, with the stationary point of least norm; `None` where there is
    /// none, as for a loss that is linear along some direction. O(d³).
    pub(super) fn of(loss: &impl Formula) -> Option<QuadraticForm> {
        let d = loss.dimension();
        let mut h = vec![0.0; d * d];
        loss.hessian(&vec![0.0; d], &mut h);
        let hessian = DMatrix::from_vec(d, d, h);
        if hessian.iter().any(|h| !h.is_finite()) {
            return None;
        }
        let gradient = |x: &DVector<f64>| {
            let mut g = DVector::zeros(d);
            loss.gradient(x.as_slice(), g.as_mut_slice());
            g
        };
        let solve = least_norm_solver(&hessian);
        let start = gradient(&DVector::zeros(d));
        let mut center = -solve(&start);
        // A second Newton step removes the rounding of the first.
        center -= solve(&gradient(&center));
        let left = gradient(&center).norm();
        (left <= STATIONARY * (start.norm() + hessian.norm())).then(|| QuadraticForm {
            offset: loss.value(center.as_slice()),
            hessian,
            center,
        })
    }
}

/// b ↦ the solution x of least norm of Ax = b, for a symmetric A; no component along eigenvalues below the rounding of the
/// largest.
pub(super) fn least_norm_solver(
    a: &DMatrix<f64>,
) -> impl Fn(&DVector<f64>) -> DVector<f64> + use<> {
    let eigen = a.clone().symmetric_eigen();
    let cutoff = a.nrows() as f64 * f64::EPSILON * eigen.eigenvalues.amax();
    move |b| {
        let mut coordinates = eigen.eigenvectors.tr_mul(b);
        for (c, &value) in coordinates.iter_mut().zip(&eigen.eigenvalues) {
            *c = if value.abs() > cutoff {
                *c / value
            } else {
                0.0
            };
        }
        &eigen.eigenvectors * coordinates
    }
}

/// L(x) = ½(x − x*)ᵀA(x − x*) with a symmetric A, which need not be positive semidefinite.
///
/// ∇L = A(x − x*), ∇²L = A, third derivatives vanish. The exact moments of SGD, SGDM and of the limiting SDE (51) are
/// known for it (theory: Sec. 4 and 6, closed form 1). A diagonal A costs O(d) a gradient, any other O(d²).
#[derive(Clone, Debug, PartialEq)]
pub struct Quadratic {
    matrix: Curvature,
    center: Vec<f64>,
}

/// A: its diagonal (length d), or all of it (d × d, row by row).
#[derive(Clone, Debug, PartialEq)]
enum Curvature {
    Diagonal(Vec<f64>),
    Dense(Vec<f64>),
}

impl Quadratic {
    /// |a_ij − a_ji| allowed, relative to the largest |entry|.
    const ASYMMETRY: f64 = 1e-12;

    /// A given in full; its minimizer is 0. A matrix that is symmetric to 1e-12 of its largest entry is replaced by its
    /// symmetric part; a diagonal one takes the fast path.
    ///
    /// # Errors
    /// `A` empty, not square, not symmetric, or with an entry that is not finite.
    pub fn from_matrix(a: DMatrix<f64>) -> Result<Quadratic, LandscapeError> {
        const WHAT: &str = "the matrix A of the quadratic";
        let d = a.nrows();
        if d != a.ncols() {
            return Err(LandscapeError::NotSquare {
                what: WHAT,
                rows: d,
                columns: a.ncols(),
            });
        }
        if d == 0 {
            return Err(LandscapeError::Empty { what: WHAT });
        }
        check_finite(WHAT, &a)?;
        let tolerance = Self::ASYMMETRY * a.amax();
        let mut rows = vec![0.0; d * d];
        let mut diagonal = true;
        for i in 0..d {
            rows[i * d + i] = a[(i, i)];
            for j in i + 1..d {
                let (entry, mirrored) = (a[(i, j)], a[(j, i)]);
                // Halved so that the difference of two huge entries cannot overflow.
                if (0.5 * entry - 0.5 * mirrored).abs() > 0.5 * tolerance {
                    return Err(LandscapeError::NotSymmetric {
                        what: WHAT,
                        row: i + 1,
                        column: j + 1,
                        entry,
                        mirrored,
                    });
                }
                let mean = 0.5 * entry + 0.5 * mirrored;
                rows[i * d + j] = mean;
                rows[j * d + i] = mean;
                diagonal &= mean == 0.0;
            }
        }
        let matrix = if diagonal {
            Curvature::Diagonal((0..d).map(|i| a[(i, i)]).collect())
        } else {
            Curvature::Dense(rows)
        };
        Ok(Quadratic {
            matrix,
            center: vec![0.0; d],
        })
    }

    /// A = diag(`spectrum`), minimizer 0.
    ///
    /// # Errors
    /// No eigenvalue, or one that is not finite.
    pub fn from_spectrum(spectrum: &[f64]) -> Result<Quadratic, LandscapeError> {
        const WHAT: &str = "the spectrum of the quadratic";
        if spectrum.is_empty() {
            return Err(LandscapeError::Empty { what: WHAT });
        }
        check_finite_vector(WHAT, spectrum)?;
        Ok(Quadratic {
            matrix: Curvature::Diagonal(spectrum.to_vec()),
            center: vec![0.0; spectrum.len()],
        })
    }

    /// The same loss moved to the centre x* = `center` (length d).
    ///
    /// # Errors
    /// A wrong length or an entry that is not finite.
    pub fn with_center(self, center: Vec<f64>) -> Result<Quadratic, LandscapeError> {
        const WHAT: &str = "the centre of the quadratic";
        if center.len() != self.center.len() {
            return Err(LandscapeError::Length {
                what: WHAT,
                expected: self.center.len(),
                found: center.len(),
            });
        }
        check_finite_vector(WHAT, &center)?;
        Ok(Quadratic {
            matrix: self.matrix,
            center,
        })
    }

    /// A, d × d.
    pub fn matrix(&self) -> DMatrix<f64> {
        let d = self.center.len();
        match &self.matrix {
            Curvature::Diagonal(a) => DMatrix::from_diagonal(&DVector::from_column_slice(a)),
            Curvature::Dense(a) => DMatrix::from_row_slice(d, d, a),
        }
    }

    /// x*, length d.
    pub fn center(&self) -> &[f64] {
        &self.center
    }

    /// The smallest eigenvalue of A: negative means that x* is a saddle, and SGD runs away from it. O(d³).
    pub fn min_eigenvalue(&self) -> f64 {
        let smallest = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        match &self.matrix {
            Curvature::Diagonal(a) => smallest(a),
            Curvature::Dense(_) => smallest(self.matrix().symmetric_eigenvalues().as_slice()),
        }
    }
}

impl Formula for Quadratic {
    fn dimension(&self) -> usize {
        self.center.len()
    }

    #[inline(always)]
    fn value<R: Real>(&self, x: &[R]) -> R {
        let mut twice = R::constant(0.0);
        match &self.matrix {
            Curvature::Diagonal(a) => {
                for ((&x, &a), &c) in x.iter().zip(a).zip(&self.center) {
                    let u = x - R::constant(c);
                    twice = (R::constant(a) * u).mul_add(u, twice);
                }
            }
            Curvature::Dense(a) => {
                for ((&x_i, &c_i), row) in x.iter().zip(&self.center).zip(a.chunks_exact(x.len())) {
                    let mut product = R::constant(0.0);
                    for ((&x, &c), &a) in x.iter().zip(&self.center).zip(row) {
                        product = R::constant(a).mul_add(x - R::constant(c), product);
                    }
                    twice = product.mul_add(x_i - R::constant(c_i), twice);
                }
            }
        }
        R::constant(0.5) * twice
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        match &self.matrix {
            Curvature::Diagonal(a) => {
                // Slices of the length of x: for d ≤ 4 that is known at compile time, and the loop unrolls.
                let (a, center) = (&a[..x.len()], &self.center[..x.len()]);
                for (((g, &x), &a), &c) in g[..x.len()].iter_mut().zip(x).zip(a).zip(center) {
                    *g = R::constant(a) * (x - R::constant(c));
                }
            }
            Curvature::Dense(a) => {
                g.fill(R::constant(0.0));
                let (a, center) = (&a[..x.len() * x.len()], &self.center[..x.len()]);
                add_symmetric_product(a, |j| x[j] - R::constant(center[j]), g);
            }
        }
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        match &self.matrix {
            Curvature::Diagonal(a) => {
                h.fill(R::constant(0.0));
                for (h, &a) in h.iter_mut().step_by(x.len() + 1).zip(a) {
                    *h = R::constant(a);
                }
            }
            Curvature::Dense(a) => {
                for (h, &a) in h.iter_mut().zip(a) {
                    *h = R::constant(a);
                }
            }
        }
    }

    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        R::constant(match &self.matrix {
            Curvature::Diagonal(a) => a.iter().sum(),
            Curvature::Dense(a) => a.iter().step_by(x.len() + 1).sum(),
        })
    }

    fn third_contraction<R: Real>(&self, _x: &[R], _m: &[R], out: &mut [R]) {
        out.fill(R::constant(0.0));
    }

    fn quadratic_form(&self) -> Option<QuadraticForm> {
        Some(QuadraticForm {
            hessian: self.matrix(),
            center: DVector::from_column_slice(&self.center),
            offset: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_matrices_are_refused_with_their_place() {
        let error = |a: DMatrix<f64>| Quadratic::from_matrix(a).expect_err("must be refused");
        assert!(matches!(
            error(DMatrix::zeros(2, 3)),
            LandscapeError::NotSquare { .. }
        ));
        assert!(matches!(
            error(DMatrix::zeros(0, 0)),
            LandscapeError::Empty { .. }
        ));
        let skew = error(DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.25, 1.0]));
        assert_eq!(
            skew.to_string(),
            "the matrix A of the quadratic must be symmetric: entry (1, 2) is 0.5 but (2, 1) is 0.25 (counted from 1)"
        );
        let nan = error(DMatrix::from_row_slice(2, 2, &[1.0, 0.0, f64::NAN, 1.0]));
        assert_eq!(
            nan.to_string(),
            "the matrix A of the quadratic, row 2, column 1 (counted from 1): NaN is not finite"
        );
        assert!(Quadratic::from_spectrum(&[]).is_err());
        assert!(Quadratic::from_spectrum(&[1.0, f64::INFINITY]).is_err());
        let wrong_center =
            Quadratic::from_spectrum(&[1.0, 2.0]).and_then(|q| q.with_center(vec![1.0]));
        assert!(wrong_center.is_err());
    }

    #[test]
    fn rounding_asymmetry_is_averaged_away() {
        let a = DMatrix::from_row_slice(2, 2, &[1.0, 0.5 + 1e-13, 0.5, 1.0]);
        let matrix = Quadratic::from_matrix(a)
            .expect("symmetric enough")
            .matrix();
        assert_eq!(matrix[(0, 1)], matrix[(1, 0)]);
    }

    #[test]
    fn a_diagonal_matrix_is_recognised() -> Result<(), LandscapeError> {
        let spectrum = [0.5, -1.0, 3.0];
        let full =
            Quadratic::from_matrix(DMatrix::from_diagonal(&DVector::from_row_slice(&spectrum)))?;
        assert_eq!(full, Quadratic::from_spectrum(&spectrum)?);
        assert_eq!(full.min_eigenvalue(), -1.0);
        Ok(())
    }

    #[test]
    fn smallest_eigenvalue_of_a_full_matrix() -> Result<(), LandscapeError> {
        // Eigenvalues 1 ± 2; a symmetric 2 × 2 solve is accurate to a few units in the last place of ‖A‖ = 3.
        let a = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]);
        let smallest = Quadratic::from_matrix(a)?.min_eigenvalue();
        assert!(
            (smallest + 1.0).abs() < 16.0 * 3.0 * f64::EPSILON,
            "{smallest}"
        );
        Ok(())
    }
}
