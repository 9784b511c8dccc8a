//! An exponential Runge–Kutta step of stiff order 4 (Hochbruck and Ostermann 2005, five stages) for flows that are stiff.

use super::spectrum::Spectrum;
use nalgebra::{DMatrix, DVector};

/// ẏ = −Hy + N(y), column by column, with H = V diag(μ) Vᵀ frozen: the part −Hy is integrated exactly.
pub(super) struct Exponential {
    /// μ, length d; with fewer vectors, one for each and a zero for all other directions.
    values: DVector<f64>,
    /// V, d × d or fewer columns.
    vectors: DMatrix<f64>,
    /// Steps since the Hessian was renewed.
    pub(super) age: usize,
}

/// φ₁, φ₂, φ₃ at z, where φ_k(z) = ∫₀¹ e^{(1−s)z} s^{k−1}/(k−1)! ds.
fn phi(z: f64) -> [f64; 3] {
    if z.abs() < 0.5 {
        // φ₃ = Σ zᵏ/(k+3)!: fourteen terms leave 0.5¹⁴/17! < 2e-19.
        let mut third = 0.0;
        for k in (0..14).rev() {
            third = 1.0 / f64::from(k + 3) * (if k == 0 { 0.5 } else { 1.0 }) * (1.0 + z * third);
        }
        let second = 0.5 + z * third;
        [1.0 + z * second, second, third]
    } else {
        let first = z.exp_m1() / z;
        let second = (first - 1.0) / z;
        [first, second, (second - 0.5) / z]
    }
}

/// rows of `m` scaled by `c`.
fn scaled(c: &[f64], m: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(m.nrows(), m.ncols(), |i, j| c[i] * m[(i, j)])
}

impl Exponential {
    pub(super) fn new(h: &DMatrix<f64>) -> Exponential {
        let eigen = h.clone().symmetric_eigen();
        Exponential {
            values: eigen.eigenvalues,
            vectors: eigen.eigenvectors,
            age: 0,
        }
    }

    /// H = JJᵀ/n for a d × n matrix J, n < d: O(dn²).
    pub(super) fn of_factor(j: &DMatrix<f64>) -> Exponential {
        let spectrum = Spectrum::of_factor(j);
        // Fainter ones decay in no step that is made, and their vectors are not accurate.
        let floor = 1e-9 * spectrum.largest();
        let count = spectrum.values.iter().take_while(|v| **v > floor).count();
        let values = spectrum.values[..count].iter().copied();
        Exponential {
            values: DVector::from_iterator(count + 1, values.chain([0.0])),
            vectors: spectrum.vectors.columns(0, count).into_owned(),
            age: 0,
        }
    }

    /// The largest eigenvalue.
    pub(super) fn fastest(&self) -> f64 {
        self.values.max()
    }

    /// The largest by the smallest eigenvalue that is not zero.
    pub(super) fn condition(&self) -> f64 {
        let values = self.values.iter().filter(|v| **v > 0.0);
        self.fastest() / values.fold(f64::INFINITY, |m, v| m.min(*v))
    }

    /// The place of mode i in `values`.
    fn place(&self, i: usize) -> usize {
        i.min(self.values.len() - 1)
    }

    /// Vᵀf, and below it what the vectors do not span.
    fn modes(&self, f: &DMatrix<f64>) -> DMatrix<f64> {
        let modes = self.vectors.tr_mul(f);
        let (m, d) = (modes.nrows(), f.nrows());
        if self.values.len() == m {
            return modes;
        }
        let mut all = DMatrix::zeros(m + d, f.ncols());
        all.rows_mut(m, d).copy_from(&(f - &self.vectors * &modes));
        all.rows_mut(0, m).copy_from(&modes);
        all
    }

    /// The vector with the given modes.
    fn vector(&self, u: &DMatrix<f64>) -> DMatrix<f64> {
        let (d, m) = self.vectors.shape();
        let spanned = &self.vectors * u.rows(0, m);
        if u.nrows() == m {
            spanned
        } else {
            spanned + u.rows(m, d)
        }
    }

    /// One step of length `h` from `y` with rates `f`; `rates` evaluates them. Returns the new state and the estimated error,
    /// its components in fast directions weighted by 1/(1 + hμ).
    pub(super) fn step(
        &self,
        h: f64,
        y: &DMatrix<f64>,
        f: &DMatrix<f64>,
        mut rates: impl FnMut(&DMatrix<f64>) -> DMatrix<f64>,
    ) -> (DMatrix<f64>, DMatrix<f64>) {
        let f0 = self.modes(f);
        let table = |c: f64| -> [Vec<f64>; 3] {
            let all: Vec<[f64; 3]> = self.values.iter().map(|mu| phi(-c * h * mu)).collect();
            let places = || (0..f0.nrows()).map(|i| all[self.place(i)]);
            [0, 1, 2].map(|k| places().map(|p| p[k]).collect())
        };
        let ([p1, p2, p3], [q1, q2, q3]) = (table(0.5), table(1.0));
        let mix = |w: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..f0.nrows()).map(w).collect() };
        let values = mix(&|i| self.values[self.place(i)]);
        // N at the increment `u` (eigenbasis), minus N at the start.
        let mut excess = |u: &DMatrix<f64>| -> DMatrix<f64> {
            let f = rates(&(y + self.vector(u)));
            self.modes(&f) - &f0 + scaled(&values, u)
        };
        let half = scaled(&mix(&|i| 0.5 * h * p1[i]), &f0);
        let full = scaled(&mix(&|i| h * q1[i]), &f0);
        let d2 = excess(&half);
        let d3 = excess(&(&half + scaled(&mix(&|i| h * p2[i]), &d2)));
        let both = &d2 + &d3;
        let d4 = excess(&(&full + scaled(&mix(&|i| h * q2[i]), &both)));
        let inner = |i: usize| 0.5 * p2[i] - q3[i] + 0.25 * q2[i] - 0.5 * p3[i];
        let d5 = excess(
            &(&half
                + scaled(&mix(&|i| h * inner(i)), &both)
                + scaled(&mix(&|i| h * (0.25 * p2[i] - inner(i))), &d4)),
        );
        let middle = mix(&|i| h * (4.0 * q2[i] - 8.0 * q3[i]));
        let u = full + scaled(&mix(&|i| h * (4.0 * q3[i] - q2[i])), &d4) + scaled(&middle, &d5);
        // Filtered: what decays within the step does not reach Γ.
        let filter = mix(&|i| middle[i] / (1.0 + h * values[i].max(0.0)));
        let error = scaled(&filter, &(d5 - d3));
        (y + self.vector(&u), self.vector(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_functions_are_accurate_on_both_branches() {
        // φ₁, φ₂, φ₃ from their definition in 60-digit decimal arithmetic.
        for (z, want) in [
            (
                -0.49,
                [0.7905583792154774, 0.4274318791520869, 0.1480982058120675],
            ),
            (
                -2.0,
                [
                    0.43233235838169365,
                    0.28383382080915315,
                    0.10808308959542341,
                ],
            ),
            (
                -0.5,
                [0.7869386805747332, 0.4261226388505337, 0.1477547222989326],
            ),
            (-40.0, [0.025, 0.024375, 0.011890625]),
            (0.0, [1.0, 0.5, 1.0 / 6.0]),
        ] {
            for (got, want) in phi(z).iter().zip(want) {
                assert!((got - want).abs() < 1e-14, "{z}: {got} {want}");
            }
        }
        // The branches meet.
        let (a, b) = (phi(0.5 - 1e-15), phi(0.5));
        for k in 0..3 {
            assert!((a[k] - b[k]).abs() < 1e-14);
        }
    }

    /// H = JJᵀ/n by its factor: the same step as by the full matrix.
    #[test]
    fn low_rank_agrees_with_the_full_decomposition() {
        let j = DMatrix::from_fn(7, 2, |i, k| ((3 * i + 5 * k) as f64).sin() * [4.0, 0.3][k]);
        let h0 = &j * j.transpose() / 2.0;
        let y = DMatrix::from_fn(7, 1, |i, _| (i as f64).cos());
        let rates = |y: &DMatrix<f64>| -(&h0 * y) + y.map(|y| 0.2 * y * y);
        let f = rates(&y);
        let (full, error) = Exponential::new(&h0).step(0.7, &y, &f, rates);
        let (low, low_error) = Exponential::of_factor(&j).step(0.7, &y, &f, rates);
        assert!((full - low).amax() < 1e-13 && (error - low_error).amax() < 1e-13);
    }

    /// A stiff non-linear system with a known solution: order 4 uniformly in the stiffness.
    #[test]
    fn order_four_on_a_stiff_system() {
        // u' = −½u, v' = −μ(v − u²) − u² (so that v = u² is a solution).
        let mu = 1e6;
        let h0 = DMatrix::from_diagonal(&DVector::from_vec(vec![0.4, mu]));
        let method = Exponential::new(&h0);
        let rates = |y: &DMatrix<f64>| {
            let (u, v) = (y[0], y[1]);
            DMatrix::from_vec(2, 1, vec![-0.5 * u, -mu * (v - u * u) - u * u])
        };
        let error = |n: usize| {
            let mut y = DMatrix::from_vec(2, 1, vec![1.0, 1.0]);
            for _ in 0..n {
                let f = rates(&y);
                y = method.step(2.0 / n as f64, &y, &f, rates).0;
            }
            (y[0] - (-1.0f64).exp()).abs()
        };
        let (coarse, fine) = (error(4), error(8));
        assert!(coarse < 1e-4 && coarse / fine > 12.0, "{coarse:e} {fine:e}");
    }
}
