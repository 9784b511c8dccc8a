//! Matrix sensing: f = ⟨A, UUᵀ⟩, a low-rank matrix from few linear measurements.

use super::{LandscapeError, Model, SquaredLoss};
use crate::real::Real;
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The model f(A, U) = ⟨A, UUᵀ⟩ for symmetric n × n inputs A (row by row, q = n²) and U ∈ ℝ^{n×k} (x is U row by row,
/// d = nk).
///
/// ∇f = 2AU, ∇²f = 2A ⊗ I_k, no third derivatives. O(n²k).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GramMatrix {
    rows: usize,
    columns: usize,
}

impl GramMatrix {
    /// For U with n = `rows` and k = `columns`.
    pub fn new(rows: usize, columns: usize) -> GramMatrix {
        GramMatrix { rows, columns }
    }
}

/// L(U) = (1/2m) Σᵢ (⟨Aᵢ, UUᵀ⟩ − yᵢ)² with U ∈ ℝ^{n×k}, x = U row by row, d = nk, and m symmetric n × n matrices Aᵢ.
///
/// Γ is the set of U whose Gram matrix UUᵀ agrees with all measurements. It contains with U its orbit UQ under the
/// rotations; U has nk − k(k−1)/2 degrees of freedom beside them. With fewer measurements than that and Aᵢ in general
/// position, ∇²L has rank m on Γ near points where U has full column rank, and dim Γ = d − m; label noise chooses among
/// them. With at least as many, Γ is near the truth its orbit alone, and k must equal its rank for ∇²L to have constant
/// rank. No closed form of Φ.
pub type MatrixSensing = SquaredLoss<GramMatrix>;

/// nk − k(k−1)/2: the dimension of the symmetric positive matrices of rank k.
fn freedom(n: usize, k: usize) -> usize {
    n * k - k * k.saturating_sub(1) / 2
}

impl MatrixSensing {
    /// `measurements`: the matrices Aᵢ, n × n, symmetric; `targets`: yᵢ; k = `columns` between 1 and n.
    ///
    /// # Errors
    /// No measurement, a matrix that is not square or not symmetric, sizes that differ, k out of range, a number that is
    /// not finite.
    pub fn new(
        measurements: &[DMatrix<f64>],
        targets: Vec<f64>,
        columns: usize,
    ) -> Result<MatrixSensing, LandscapeError> {
        const WHAT: &str = "a measurement matrix";
        let Some(first) = measurements.first().filter(|a| !a.is_empty()) else {
            return Err(LandscapeError::Empty {
                what: "the list of measurement matrices",
            });
        };
        let n = first.nrows();
        for a in measurements {
            if a.shape() != (a.nrows(), a.nrows()) {
                return Err(LandscapeError::NotSquare {
                    what: WHAT,
                    rows: a.nrows(),
                    columns: a.ncols(),
                });
            }
            if a.nrows() != n {
                return Err(LandscapeError::Length {
                    what: "a row of a measurement matrix",
                    expected: n,
                    found: a.nrows(),
                });
            }
            for (row, column) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let (entry, mirrored) = (a[(row, column)], a[(column, row)]);
                if entry != mirrored && !(entry.is_nan() && mirrored.is_nan()) {
                    return Err(LandscapeError::NotSymmetric {
                        what: WHAT,
                        row: row + 1,
                        column: column + 1,
                        entry,
                        mirrored,
                    });
                }
            }
        }
        check_columns(columns, n)?;
        let inputs = DMatrix::from_fn(measurements.len(), n * n, |i, j| {
            measurements[i].as_slice()[j]
        });
        SquaredLoss::of_model(GramMatrix::new(n, columns), &inputs, targets)
    }

    /// A random problem of `samples` measurements of a matrix of rank `rank`, and that matrix X* (n × n, n = `size`):
    /// X* = BBᵀ with B ∈ ℝ^{n×rank} of entries N(0, 1/n); Aᵢ symmetric with entries N(0, 1) on and N(0, ½) off the
    /// diagonal, so that ⟨Aᵢ, X⟩ has variance ‖X‖_F². A function of the arguments alone.
    ///
    /// # Errors
    /// `columns` or `rank` not between 1 and n; `rank` > `columns`; no sample; `samples` ≥ nk − k(k−1)/2 with
    /// `columns` > `rank` (then the rank of ∇²L drops on Γ).
    pub fn gaussian(
        size: usize,
        columns: usize,
        rank: usize,
        samples: usize,
        seed: u64,
    ) -> Result<(MatrixSensing, DMatrix<f64>), LandscapeError> {
        check_columns(columns, size)?;
        if rank == 0 || rank > columns {
            return Err(LandscapeError::OutOfRange {
                what: "the rank of the matrix to be sensed",
                value: rank as f64,
                allowed: "1 to the number of columns",
            });
        }
        if columns > rank && samples >= freedom(size, columns) {
            return Err(LandscapeError::NotOverparametrised {
                what: "degrees of freedom, more columns than the rank",
                samples,
                freedom: freedom(size, columns),
            });
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let scale = 1.0 / (size as f64).sqrt();
        let factor = DMatrix::from_fn(size, rank, |_, _| scale * normal());
        let truth = &factor * factor.transpose();
        let measurements: Vec<DMatrix<f64>> = (0..samples)
            .map(|_| {
                let a = DMatrix::from_fn(size, size, |_, _| normal());
                0.5 * (&a + a.transpose())
            })
            .collect();
        let targets = measurements.iter().map(|a| a.dot(&truth)).collect();
        let problem = MatrixSensing::new(&measurements, targets, columns)?;
        Ok((problem.with_truth(truth.as_slice().to_vec()), truth))
    }

    /// The Gram matrix UUᵀ at x = U, n × n. Panics if `x` is shorter than d.
    pub fn gram(&self, x: &[f64]) -> DMatrix<f64> {
        let GramMatrix { rows, columns } = *self.model();
        let u = DMatrix::from_row_slice(rows, columns, &x[..rows * columns]);
        &u * u.transpose()
    }
}

fn check_columns(columns: usize, size: usize) -> Result<(), LandscapeError> {
    if columns == 0 || columns > size {
        return Err(LandscapeError::OutOfRange {
            what: "the number of columns of the factor",
            value: columns as f64,
            allowed: "1 to the number of rows",
        });
    }
    Ok(())
}

impl Model for GramMatrix {
    fn dimension(&self) -> usize {
        self.rows * self.columns
    }

    fn inputs(&self) -> usize {
        self.rows * self.rows
    }

    /// Σ_a A_aa‖u_a‖² + 2 Σ_{a<b} A_ab ⟨u_a, u_b⟩.
    #[inline(always)]
    fn output<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> R {
        let (n, k) = (self.rows, self.columns);
        let mut sum = R::constant(0.0);
        for (a, u) in x.chunks_exact(k).enumerate() {
            for (b, v) in x.chunks_exact(k).enumerate().skip(a) {
                let mut inner = R::constant(0.0);
                for (&u, &v) in u.iter().zip(v) {
                    inner = u.mul_add(v, inner);
                }
                let twice = R::constant(if a == b { 1.0 } else { 2.0 });
                sum = (twice * z(a * n + b)).mul_add(inner, sum);
            }
        }
        sum
    }

    #[inline(always)]
    fn add_gradient<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        weight: impl FnOnce(R) -> R,
        out: &mut [R],
    ) {
        let (n, k) = (self.rows, self.columns);
        let weight = R::constant(2.0) * weight(self.output(&z, x));
        for (a, out) in out.chunks_exact_mut(k).enumerate() {
            for (b, u) in x.chunks_exact(k).enumerate() {
                let scaled = weight * z(a * n + b);
                for (out, &u) in out.iter_mut().zip(u) {
                    *out = scaled.mul_add(u, *out);
                }
            }
        }
    }

    fn add_hessian<R: Real>(&self, z: impl Fn(usize) -> R, _x: &[R], weight: R, h: &mut [R]) {
        let (n, k) = (self.rows, self.columns);
        for a in 0..n {
            for b in a..n {
                let entry = R::constant(2.0) * weight * z(a * n + b);
                for c in 0..k {
                    let place = (a * k + c) * n * k + b * k + c;
                    h[place] = h[place] + entry;
                }
            }
        }
    }

    fn add_curvature<R: Real>(&self, z: impl Fn(usize) -> R, _x: &[R], v: &[R], out: &mut [R]) {
        let (n, k) = (self.rows, self.columns);
        for (a, out) in out.chunks_exact_mut(k).enumerate() {
            for (b, v) in v.chunks_exact(k).enumerate() {
                let twice = R::constant(2.0) * z(a * n + b);
                for (out, &v) in out.iter_mut().zip(v) {
                    *out = twice.mul_add(v, *out);
                }
            }
        }
    }

    fn add_third<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        _x: &[R],
        _residual: R,
        m: &[R],
        v: &[R],
        out: &mut [R],
    ) -> R {
        let (n, k) = (self.rows, self.columns);
        let mut form = R::constant(0.0);
        for a in 0..n {
            for b in 0..n {
                let entry = z(a * n + b);
                for c in 0..k {
                    let (i, j) = (a * k + c, b * k + c);
                    out[i] = (R::constant(4.0) * entry).mul_add(v[j], out[i]);
                    form = entry.mul_add(m[i * n * k + j], form);
                }
            }
        }
        R::constant(2.0) * form
    }

    /// f = ⟨AU, U⟩, ‖∇f‖² = 4‖AU‖², tr ∇²f = 2k tr A.
    fn sizes<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> [R; 3] {
        let (n, k) = (self.rows, self.columns);
        let zero = R::constant(0.0);
        let (mut f, mut square, mut trace) = (zero, zero, zero);
        for a in 0..n {
            for c in 0..k {
                let product = (0..n).fold(zero, |s, b| z(a * n + b).mul_add(x[b * k + c], s));
                f = x[a * k + c].mul_add(product, f);
                square = product.mul_add(product, square);
            }
            trace = trace + z(a * n + a);
        }
        let scale = R::constant(2.0 * k as f64);
        [f, R::constant(4.0) * square, scale * trace]
    }

    /// UUᵀ against the truth, n × n.
    fn squared_distance<R: Real>(&self, truth: &[f64], x: &[R]) -> Option<R> {
        let (n, k) = (self.rows, self.columns);
        let mut sum = R::constant(0.0);
        for (a, u) in x.chunks_exact(k).enumerate() {
            for (b, v) in x.chunks_exact(k).enumerate() {
                let start = R::constant(-truth[a * n + b]);
                let pairs = u.iter().zip(v);
                let error = pairs.fold(start, |s, (&u, &v)| u.mul_add(v, s));
                sum = error.mul_add(error, sum);
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::Landscape;
    use nalgebra::DVector;

    /// At a factor of the truth: no residual, and the rank that is promised, with few and with many measurements.
    #[test]
    fn rank_on_the_manifold() -> Result<(), LandscapeError> {
        for (samples, expected) in [(6, 6), (9, 9), (30, 9)] {
            let (problem, truth) = MatrixSensing::gaussian(5, 2, 2, samples, 7)?;
            let eigen = truth.symmetric_eigen();
            let mut order: Vec<usize> = (0..5).collect();
            order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
            let u = DMatrix::from_fn(5, 2, |a, c| {
                eigen.eigenvectors[(a, order[c])] * eigen.eigenvalues[order[c]].sqrt()
            });
            let x = DVector::from_column_slice(u.transpose().as_slice());
            assert!((problem.gram(x.as_slice()) - &u * u.transpose()).amax() < 1e-14);
            let jet = problem.jet(&x);
            assert!(jet.value < 1e-26, "{samples} samples: L = {:e}", jet.value);
            let spectrum = jet.hessian.symmetric_eigen().eigenvalues;
            let rank = spectrum.iter().filter(|l| **l > 1e-6).count();
            let zeros = spectrum.iter().filter(|l| l.abs() < 1e-12).count();
            assert_eq!((rank, zeros), (expected, 10 - expected), "{spectrum}");
        }
        Ok(())
    }

    #[test]
    fn impossible_problems_are_refused() {
        let build = |n, k, rank, samples| {
            MatrixSensing::gaussian(n, k, rank, samples, 0)
                .map(|_| ())
                .expect_err("must be refused")
        };
        for (k, rank) in [(0, 1), (5, 1), (2, 0), (2, 3)] {
            let refused = build(4, k, rank, 3);
            assert!(matches!(refused, LandscapeError::OutOfRange { .. }));
        }
        assert!(matches!(build(4, 2, 2, 0), LandscapeError::Empty { .. }));
        assert!(matches!(
            build(4, 2, 1, 7),
            LandscapeError::NotOverparametrised { freedom: 7, .. }
        ));
        let skew = DMatrix::from_row_slice(2, 2, &[0.0, 1.0, -1.0, 0.0]);
        let wide = DMatrix::zeros(1, 2);
        let new = |a: DMatrix<f64>| MatrixSensing::new(&[a], vec![0.0], 1);
        assert!(matches!(
            new(skew),
            Err(LandscapeError::NotSymmetric { .. })
        ));
        assert!(matches!(new(wide), Err(LandscapeError::NotSquare { .. })));
        let infinite = new(DMatrix::from_element(2, 2, f64::NAN));
        assert!(matches!(infinite, Err(LandscapeError::NotFinite { .. })));
    }
}
