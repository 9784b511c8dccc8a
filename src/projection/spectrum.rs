//! The eigenvalues of a Hessian that matter, and the rule that tells normal directions from tangent ones.

use super::ProjectionError;
use nalgebra::{DMatrix, DVector};

/// Below this dimension a full eigendecomposition is the cheapest way.
pub(super) const SMALL: usize = 24;

/// The resolved part of the spectrum of a symmetric matrix, largest modulus first.
///
/// All d eigenpairs, or, for a large positive semidefinite matrix of low rank, the k that stand out of the floor: pivoted
/// Cholesky H ≈ LLᵀ costs O(dk²), and the eigenpairs of LLᵀ follow from a k × k problem.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    pub(super) values: Vec<f64>,
    /// d × k.
    pub(super) vectors: DMatrix<f64>,
    /// Bound on the modulus of the eigenvalues that are left out.
    rest: f64,
}

/// Where the spectrum was cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// The smallest eigenvalue counted as normal, μ_M.
    pub smallest_normal: f64,
    /// The largest modulus counted as tangent (zero), or the rounding level if that is larger.
    pub largest_tangent: f64,
    /// Their ratio.
    pub ratio: f64,
}

impl Spectrum {
    /// Eigenvalues of modulus below `floor` × the largest diagonal entry of `h` may be left out.
    pub(super) fn new(h: &DMatrix<f64>, floor: f64) -> Spectrum {
        if h.nrows() > SMALL
            && let Some(low_rank) = Spectrum::low_rank(h, floor)
        {
            return low_rank;
        }
        let eigen = h.clone().symmetric_eigen();
        let (values, vectors) = sorted(&eigen.eigenvalues, &eigen.eigenvectors);
        Spectrum {
            values,
            vectors,
            rest: 0.0,
        }
    }

    /// Of JJᵀ/n for a d × n matrix J, n ≤ d, by the Gram matrix JᵀJ/n: O(dn²). Vectors to eigenvalues below about 1e-8 of the
    /// largest are not accurate.
    pub(super) fn of_factor(j: &DMatrix<f64>) -> Spectrum {
        let n = j.ncols();
        let eigen = (j.tr_mul(j) / n as f64).symmetric_eigen();
        let (values, weights) = sorted(&eigen.eigenvalues, &eigen.eigenvectors);
        let mut vectors = j * weights;
        for (mut column, &value) in vectors.column_iter_mut().zip(&values) {
            if value > 0.0 {
                column /= (n as f64 * value).sqrt();
            }
        }
        Spectrum {
            values,
            vectors,
            rest: 0.0,
        }
    }

    /// None if `h` is not positive semidefinite to the floor, or has no low rank.
    fn low_rank(h: &DMatrix<f64>, floor: f64) -> Option<Spectrum> {
        let d = h.nrows();
        let mut diagonal: Vec<f64> = (0..d).map(|i| h[(i, i)]).collect();
        let level = floor * diagonal.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let limit = d * 2 / 3;
        let mut columns: Vec<DVector<f64>> = vec![];
        loop {
            if diagonal.iter().any(|&v| v < -level || !v.is_finite()) {
                return None;
            }
            let (pivot, &largest) = diagonal
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))?;
            if largest <= level {
                break;
            }
            if columns.len() == limit {
                return None;
            }
            let mut column: DVector<f64> = h.column(pivot).into_owned();
            for earlier in &columns {
                column.axpy(-earlier[pivot], earlier, 1.0);
            }
            column /= largest.sqrt();
            for (v, &c) in diagonal.iter_mut().zip(column.iter()) {
                *v -= c * c;
            }
            diagonal[pivot] = 0.0;
            columns.push(column);
        }
        if columns.is_empty() {
            return None;
        }
        let qr = DMatrix::from_columns(&columns).qr();
        let r = qr.r();
        let eigen = (&r * r.transpose()).symmetric_eigen();
        let vectors = qr.q() * &eigen.eigenvectors;
        let (values, vectors) = sorted(&eigen.eigenvalues, &vectors);
        Some(Spectrum {
            values,
            vectors,
            // The trace of the positive semidefinite remainder.
            rest: diagonal.iter().map(|v| v.abs()).sum(),
        })
    }

    pub(super) fn largest(&self) -> f64 {
        self.values.first().map_or(0.0, |v| v.abs())
    }

    /// The rank M and the gap below μ_M.
    ///
    /// Rule: with |μ₁| ≥ |μ₂| ≥ … and the rounding level f = `floor`·|μ₁|, M maximizes |μ_M| / max(|μ_{M+1}|, f). The ratio
    /// must reach `required`, and μ₁ … μ_M must be positive.
    ///
    /// # Errors
    /// [`ProjectionError::NoGap`], [`ProjectionError::Saddle`] (its gradient norm is to be filled in by the caller).
    pub(super) fn split(&self, floor: f64, required: f64) -> Result<(usize, Gap), ProjectionError> {
        let d = self.vectors.nrows();
        let level = (floor * self.largest()).max(f64::MIN_POSITIVE);
        let (mut rank, mut gap) = (
            0,
            Gap {
                smallest_normal: 0.0,
                largest_tangent: level,
                ratio: 0.0,
            },
        );
        for (i, value) in self.values.iter().enumerate() {
            let below = match self.values.get(i + 1) {
                Some(next) => next.abs().max(level),
                None if i + 1 < d => self.rest.max(level),
                None => level,
            };
            let ratio = value.abs() / below;
            if ratio > gap.ratio {
                rank = i + 1;
                gap = Gap {
                    smallest_normal: value.abs(),
                    largest_tangent: below,
                    ratio,
                };
            }
        }
        if gap.ratio.is_nan() || gap.ratio < required {
            return Err(ProjectionError::NoGap {
                rank,
                above: gap.smallest_normal,
                below: gap.largest_tangent,
                ratio: gap.ratio,
                required,
            });
        }
        let eigenvalue = self.values[..rank].iter().fold(0.0f64, |m, &v| m.min(v));
        if eigenvalue < 0.0 {
            return Err(ProjectionError::Saddle {
                eigenvalue,
                largest: self.largest(),
                gradient_norm: f64::NAN,
            });
        }
        Ok((rank, gap))
    }
}

/// Eigenpairs by falling modulus.
fn sorted(values: &DVector<f64>, vectors: &DMatrix<f64>) -> (Vec<f64>, DMatrix<f64>) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
    let picked = order.iter().map(|&i| values[i]).collect();
    (picked, vectors.select_columns(&order))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(values: &[f64]) -> DMatrix<f64> {
        let d = values.len();
        let q = DMatrix::from_fn(d, d, |i, j| ((i * 7 + j * 3 + i * j) as f64).sin())
            .qr()
            .q();
        &q * DMatrix::from_diagonal(&DVector::from_column_slice(values)) * q.transpose()
    }

    /// Both ways to the spectrum give the same rank, eigenvalues and range.
    #[test]
    fn low_rank_agrees_with_the_full_decomposition() {
        for rank in [1, 3, 20] {
            let mut values = vec![0.0; 60];
            for (i, v) in values[..rank].iter_mut().enumerate() {
                *v = 10f64.powf(-3.0 * i as f64 / rank as f64);
            }
            let h = rotated(&values);
            let low = Spectrum::low_rank(&h, 1e-13).expect("positive semidefinite of low rank");
            let (found, gap) = low.split(1e-12, 1e4).expect("a gap");
            assert_eq!(found, rank);
            assert!(gap.ratio > 1e7, "{gap:?}");
            for (i, &value) in values[..rank].iter().enumerate() {
                assert!((low.values[i] - value).abs() < 1e-12);
                let v = low.vectors.column(i).into_owned();
                assert!((&h * &v - &v * value).norm() < 1e-12);
            }
        }
    }

    #[test]
    fn the_rank_rule() {
        let split = |values: &[f64]| Spectrum::new(&rotated(values), 1e-13).split(1e-13, 1e4);
        assert_eq!(split(&[2.0, 1.0, 1e-14]).map(|s| s.0), Ok(2));
        assert_eq!(split(&[1.0, 1e-5, 1e-15]).map(|s| s.0), Ok(2));
        assert_eq!(split(&[1.0, 0.5, 0.1]).map(|s| s.0), Ok(3));
        assert!(
            matches!(split(&[1.0, -0.5, 0.0]), Err(ProjectionError::Saddle { eigenvalue, .. }) if (eigenvalue + 0.5).abs() < 1e-12)
        );
        let steady: Vec<f64> = (0..14).map(|i| 10f64.powi(-i)).collect();
        assert!(matches!(split(&steady), Err(ProjectionError::NoGap { .. })));
        assert!(matches!(
            split(&[0.0, 0.0]),
            Err(ProjectionError::NoGap { rank: 0, .. })
        ));
    }
}
