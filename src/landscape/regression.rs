//! Linear and logistic regression: averages over samples of losses of a linear output fᵢ = aᵢᵀθ.

use super::dense::{
    BLOCK, accumulate, add_outer_upper, add_symmetric_product, mirror_upper, products, rows_of,
};
use super::quadratic::least_norm_solver;
use super::{FiniteSum, Formula, LandscapeError, QuadraticForm, check_finite, check_finite_vector};
use crate::real::{LANES, Lanes, Real};
use nalgebra::{DMatrix, DVector};

/// The loss φ(z, y) of one sample with output z = aᵢᵀθ and target y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegressionLoss {
    /// φ = ½(z − y)².
    LeastSquares,
    /// φ = log(1 + eᶻ) − yz, for y ∈ {0, 1}: the negative log-likelihood of logistic regression.
    Logistic,
}

impl RegressionLoss {
    // With s = 1 − 2y the logistic loss is log(1 + e^{sz}): nothing cancels when a sample is fitted well.

    /// φ.
    #[inline(always)]
    fn value<R: Real>(self, z: R, y: f64) -> R {
        match self {
            Self::LeastSquares => R::constant(0.5) * (z - R::constant(y)).square(),
            Self::Logistic => (R::constant(1.0 - 2.0 * y) * z).softplus(),
        }
    }

    /// ∂φ/∂z, for a target that may differ from lane to lane.
    #[inline(always)]
    fn slope<R: Real>(self, z: R, y: R) -> R {
        match self {
            Self::LeastSquares => z - y,
            Self::Logistic => {
                let s = R::constant(-2.0).mul_add(y, R::constant(1.0));
                s * (s * z).sigmoid()
            }
        }
    }

    /// ∂²φ/∂z², which does not depend on y.
    #[inline(always)]
    fn curvature<R: Real>(self, z: R) -> R {
        match self {
            Self::LeastSquares => R::constant(1.0),
            Self::Logistic => {
                let p = z.sigmoid();
                p * (R::constant(1.0) - p)
            }
        }
    }

    /// ∂³φ/∂z³.
    #[inline(always)]
    fn third<R: Real>(self, z: R) -> R {
        match self {
            Self::LeastSquares => R::constant(0.0),
            Self::Logistic => {
                let p = z.sigmoid();
                p * (R::constant(1.0) - p) * R::constant(-2.0).mul_add(p, R::constant(1.0))
            }
        }
    }
}

/// L(θ) = (1/n) Σᵢ φ(aᵢᵀθ, yᵢ) + ½ρ‖θ‖², with rows aᵢ of an n × d design matrix.
///
/// ∇L = (1/n) Σᵢ φ′ aᵢ + ρθ, ∇²L = (1/n) Σᵢ φ″ aᵢaᵢᵀ + ρI, ∂²(∇L)\[M\] = (1/n) Σᵢ φ‴ (aᵢᵀMaᵢ) aᵢ; derivatives of φ
/// in its first argument. The ridge ρ acts on every parameter: a column of ones is shrunk like any other.
///
/// A gradient costs O(nd). Least squares with d ≤ 2n instead multiplies by the d × d matrix AᵀA/n, formed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// A, row by row.
    rows: Vec<f64>,
    targets: Vec<f64>,
    dimension: usize,
    loss: RegressionLoss,
    ridge: f64,
    /// Least squares only, where it is the cheaper way to the gradient.
    normal: Option<NormalEquations>,
}

/// ∇L = Gθ − b with G = AᵀA/n + ρI (row by row) and b = Aᵀy/n.
#[derive(Clone, Debug, PartialEq)]
struct NormalEquations {
    matrix: Vec<f64>,
    right: Vec<f64>,
}

impl Regression {
    /// `rows`: the design matrix n × d (with its column of ones, if the model has an intercept); `targets`: y, length n;
    /// `ridge`: ρ ≥ 0.
    ///
    /// # Errors
    /// No sample or no parameter, a number that is not finite, lengths that differ, a negative ridge, or logistic
    /// targets other than 0 and 1.
    pub fn new(
        rows: DMatrix<f64>,
        targets: Vec<f64>,
        loss: RegressionLoss,
        ridge: f64,
    ) -> Result<Regression, LandscapeError> {
        const DESIGN: &str = "the design matrix";
        const TARGETS: &str = "the vector of targets";
        let (n, dimension) = rows.shape();
        if n == 0 || dimension == 0 {
            return Err(LandscapeError::Empty { what: DESIGN });
        }
        if targets.len() != n {
            return Err(LandscapeError::Length {
                what: TARGETS,
                expected: n,
                found: targets.len(),
            });
        }
        check_finite(DESIGN, &rows)?;
        check_finite_vector(TARGETS, &targets)?;
        if !(ridge.is_finite() && ridge >= 0.0) {
            return Err(LandscapeError::OutOfRange {
                what: "the ridge",
                value: ridge,
                allowed: "0 or a finite number above",
            });
        }
        if loss == RegressionLoss::Logistic
            && let Some(i) = targets.iter().position(|&y| y != 0.0 && y != 1.0)
        {
            return Err(LandscapeError::NotBinary {
                sample: i + 1,
                value: targets[i],
            });
        }
        let mut regression = Regression {
            // Column by column of the transpose is row by row of the matrix.
            rows: rows.transpose().as_slice().to_vec(),
            targets,
            dimension,
            loss,
            ridge,
            normal: None,
        };
        // d² multiplications a gradient against 2nd.
        if loss == RegressionLoss::LeastSquares && dimension <= 2 * n {
            regression.normal = Some(regression.normal_equations());
        }
        Ok(regression)
    }

    /// The design matrix A, n × d.
    pub fn design(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.targets.len(), self.dimension, &self.rows)
    }

    /// y, length n.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// φ.
    pub fn loss(&self) -> RegressionLoss {
        self.loss
    }

    /// ρ.
    pub fn ridge(&self) -> f64 {
        self.ridge
    }

    /// 1/n.
    fn share(&self) -> f64 {
        1.0 / self.targets.len() as f64
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.dimension..(i + 1) * self.dimension]
    }

    fn normal_equations(&self) -> NormalEquations {
        let mut matrix = vec![0.0; self.dimension * self.dimension];
        self.hessian_by_samples(&vec![0.0; self.dimension], &mut matrix);
        let mut right = vec![0.0; self.dimension];
        for (row, &y) in self.rows.chunks_exact(self.dimension).zip(&self.targets) {
            accumulate([y * self.share()], [row], &mut right);
        }
        NormalEquations { matrix, right }
    }

    /// (1/n) Σᵢ φ′ aᵢ into `g`, without the ridge.
    #[inline(always)]
    fn data_gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let d = x.len();
        g.fill(R::constant(0.0));
        let mut blocks = self.rows.chunks_exact(BLOCK * d);
        let (targets, last_targets) = self.targets.as_chunks::<BLOCK>();
        for (y, block) in targets.iter().zip(&mut blocks) {
            let rows: [&[f64]; BLOCK] = rows_of(block, d);
            let z = products(rows, x);
            let slopes = std::array::from_fn(|b| self.loss.slope(z[b], R::constant(y[b])));
            accumulate::<BLOCK, R>(slopes, rows, g);
        }
        let rest = self.rows.chunks_exact(BLOCK * d).remainder();
        for (row, &y) in rest.chunks_exact(d).zip(last_targets) {
            let [z] = products([row], x);
            accumulate([self.loss.slope(z, R::constant(y))], [row], g);
        }
        let share = R::constant(self.share());
        for g in g {
            *g = share * *g;
        }
    }

    /// ∇L as a sum over the samples into `g`.
    #[inline(always)]
    fn gradient_by_samples<R: Real>(&self, x: &[R], g: &mut [R]) {
        self.data_gradient(x, g);
        self.add_ridge_gradient(x, g);
    }

    /// g += ρθ.
    #[inline(always)]
    fn add_ridge_gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        if self.ridge != 0.0 {
            for (g, &x) in g.iter_mut().zip(x) {
                *g = R::constant(self.ridge).mul_add(x, *g);
            }
        }
    }

    fn hessian_by_samples<R: Real>(&self, x: &[R], h: &mut [R]) {
        let d = x.len();
        h.fill(R::constant(0.0));
        for row in self.rows.chunks_exact(d) {
            let [z] = products([row], x);
            let weight = R::constant(self.share()) * self.loss.curvature(z);
            add_outer_upper(weight, row, h);
        }
        mirror_upper(d, h);
        for h in h.iter_mut().step_by(d + 1) {
            *h = *h + R::constant(self.ridge);
        }
    }

    /// covariance += (1/n) Σᵦ cᵦcᵦᵀ with the deviations cᵦ = φ′ᵦ aᵦ − `mean` of `B` samples, upper triangle only.
    ///
    /// The deviations are formed again in every row of the sum: a multiplication is cheaper than going through the
    /// matrix once a sample.
    #[inline(always)]
    fn add_deviations<const B: usize>(
        &self,
        rows: [&[f64]; B],
        targets: [f64; B],
        x: &[Lanes],
        mean: &[Lanes],
        covariance: &mut [Lanes],
    ) {
        let z = products(rows, x);
        let slopes: [Lanes; B] =
            std::array::from_fn(|b| self.loss.slope(z[b], Lanes::splat(targets[b])));
        let deviation = |b: usize, j: usize| Lanes::splat(rows[b][j]).mul_add(slopes[b], -mean[j]);
        let share = Lanes::splat(self.share());
        for (i, out) in covariance.chunks_exact_mut(x.len()).enumerate() {
            let scaled: [Lanes; B] = std::array::from_fn(|b| share * deviation(b, i));
            for (j, out) in out.iter_mut().enumerate().skip(i) {
                for (b, &scaled) in scaled.iter().enumerate() {
                    *out = deviation(b, j).mul_add(scaled, *out);
                }
            }
        }
    }

    /// The rows that the eight lanes ask for, and their targets.
    #[inline(always)]
    fn gather(&self, indices: Lanes) -> ([&[f64]; LANES], Lanes) {
        let indices = indices.to_array().map(|i| i as usize);
        let targets = Lanes::new(indices.map(|i| self.targets[i]));
        (indices.map(|i| self.row(i)), targets)
    }
}

impl Formula for Regression {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn value<R: Real>(&self, x: &[R]) -> R {
        let d = x.len();
        let mut sum = R::constant(0.0);
        let (targets, last_targets) = self.targets.as_chunks::<BLOCK>();
        let blocks = self.rows.chunks_exact(BLOCK * d);
        let rest = blocks.remainder();
        for (y, block) in targets.iter().zip(blocks) {
            let z: [R; BLOCK] = products(rows_of(block, d), x);
            for (z, &y) in z.into_iter().zip(y) {
                sum = sum + self.loss.value(z, y);
            }
        }
        for (row, &y) in rest.chunks_exact(d).zip(last_targets) {
            let [z] = products([row], x);
            sum = sum + self.loss.value(z, y);
        }
        let mut squares = R::constant(0.0);
        for &x in x {
            squares = x.mul_add(x, squares);
        }
        R::constant(self.share()) * sum + R::constant(0.5 * self.ridge) * squares
    }

    #[inline(always)]
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        match &self.normal {
            Some(normal) => {
                for (g, &b) in g.iter_mut().zip(&normal.right) {
                    *g = R::constant(-b);
                }
                add_symmetric_product(&normal.matrix, |j| x[j], g);
            }
            None => self.gradient_by_samples(x, g),
        }
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        match &self.normal {
            Some(normal) => {
                for (h, &a) in h.iter_mut().zip(&normal.matrix) {
                    *h = R::constant(a);
                }
            }
            None => self.hessian_by_samples(x, h),
        }
    }

    /// (1/n) Σᵢ φ″ᵢ‖aᵢ‖² + ρd.
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let d = x.len();
        if let Some(normal) = &self.normal {
            return R::constant(normal.matrix.iter().step_by(d + 1).sum());
        }
        let sum = self.rows.chunks_exact(d).fold(R::constant(0.0), |s, row| {
            let [z] = products([row], x);
            let square: f64 = row.iter().map(|a| a * a).sum();
            self.loss.curvature(z).mul_add(R::constant(square), s)
        });
        let ridge = R::constant(self.ridge * d as f64);
        R::constant(self.share()).mul_add(sum, ridge)
    }

    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let d = x.len();
        out.fill(R::constant(0.0));
        if self.loss == RegressionLoss::LeastSquares {
            return;
        }
        for row in self.rows.chunks_exact(d) {
            let [z] = products([row], x);
            let mut form = R::constant(0.0);
            for (&a, m) in row.iter().zip(m.chunks_exact(d)) {
                let [inner] = products([row], m);
                form = R::constant(a).mul_add(inner, form);
            }
            let weight = R::constant(self.share()) * self.loss.third(z) * form;
            accumulate([weight], [row], out);
        }
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Some(self)
    }

    /// Least squares only: A = AᵀA/n + ρI, and x* the minimizer of least norm. O(d³).
    fn quadratic_form(&self) -> Option<QuadraticForm> {
        if self.loss != RegressionLoss::LeastSquares {
            return None;
        }
        let d = self.dimension;
        let NormalEquations { matrix, right } = match &self.normal {
            Some(normal) => normal.clone(),
            None => self.normal_equations(),
        };
        let hessian = DMatrix::from_row_slice(d, d, &matrix);
        let solve = least_norm_solver(&hessian);
        let mut center = solve(&DVector::from_vec(right));
        // One Newton step on the gradient summed over the samples removes the rounding that AᵀA brought in.
        let mut g = DVector::zeros(d);
        self.gradient_by_samples(center.as_slice(), g.as_mut_slice());
        center -= solve(&g);
        let offset = self.value(center.as_slice());
        Some(QuadraticForm {
            hessian,
            center,
            offset,
        })
    }
}

impl FiniteSum for Regression {
    fn samples(&self) -> usize {
        self.targets.len()
    }

    /// Panics on an index ≥ n.
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]) {
        debug_assert!(!indices.is_empty(), "an empty minibatch");
        g.fill(Lanes::ZERO);
        for &indices in indices {
            let (rows, y) = self.gather(indices);
            // Gathered again for the second use: keeping the columns was measured to be slower.
            let rows = rows.map(|row| &row[..x.len()]);
            let mut z = Lanes::ZERO;
            for (j, &x) in x.iter().enumerate() {
                z = Lanes::new(rows.map(|row| row[j])).mul_add(x, z);
            }
            let slope = self.loss.slope(z, y);
            for (j, g) in g[..x.len()].iter_mut().enumerate() {
                *g = Lanes::new(rows.map(|row| row[j])).mul_add(slope, *g);
            }
        }
        let share = Lanes::splat(1.0 / indices.len() as f64);
        for g in g.iter_mut() {
            *g *= share;
        }
        self.add_ridge_gradient(x, g);
    }

    /// The ridge, common to all samples, cancels. Two passes: the mean first, so that nothing cancels far from it.
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]) {
        let d = x.len();
        let mean = &mut scratch[..d];
        self.data_gradient(x, mean);
        covariance.fill(Lanes::ZERO);
        let (targets, last_targets) = self.targets.as_chunks::<BLOCK>();
        let blocks = self.rows.chunks_exact(BLOCK * d);
        let rest = blocks.remainder();
        for (&y, block) in targets.iter().zip(blocks) {
            self.add_deviations::<BLOCK>(rows_of(block, d), y, x, mean, covariance);
        }
        for (row, &y) in rest.chunks_exact(d).zip(last_targets) {
            self.add_deviations([row], [y], x, mean, covariance);
        }
        mirror_upper(d, covariance);
    }

    /// (1/n) Aᵀw, for every x.
    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        let d = x.len();
        out.fill(Lanes::ZERO);
        let (blocks, last_weights) = weights[..self.targets.len()].as_chunks::<BLOCK>();
        for (&w, block) in blocks.iter().zip(self.rows.chunks_exact(BLOCK * d)) {
            accumulate(w, rows_of(block, d), out);
        }
        let rest = self.rows.chunks_exact(BLOCK * d).remainder();
        for (row, &w) in rest.chunks_exact(d).zip(last_weights) {
            accumulate([w], [row], out);
        }
        let share = Lanes::splat(self.share());
        for out in out {
            *out *= share;
        }
    }

    /// Aᵀ/n.
    fn constant_output_gradients(&self) -> Option<DMatrix<f64>> {
        let transposed = DMatrix::from_column_slice(self.dimension, self.samples(), &self.rows);
        Some(transposed * self.share())
    }

    fn squared_loss(&self) -> bool {
        self.loss == RegressionLoss::LeastSquares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample of one feature: L = ½(aθ − y)² (theory: Sec. 6, closed form 3).
    #[test]
    fn scalar_regression_by_hand() -> Result<(), LandscapeError> {
        let regression = Regression::new(
            DMatrix::from_row_slice(2, 1, &[1.0, 3.0]),
            vec![2.0, 1.0],
            RegressionLoss::LeastSquares,
            0.5,
        )?;
        // θ = 1: residuals −1 and 2; all numbers below are exact in binary.
        assert_eq!(regression.value(&[1.0]), 0.25 * (1.0 + 4.0) + 0.25);
        let mut g = [f64::NAN];
        regression.gradient(&[1.0], &mut g);
        assert_eq!(g, [0.5 * (-1.0 + 6.0) + 0.5]);
        let mut covariance = [Lanes::ZERO];
        let mut scratch = [Lanes::ZERO; 2];
        regression.gradient_covariance(&[Lanes::ONE], &mut covariance, &mut scratch);
        // Per-sample gradients −1 and 6: mean 5/2, variance 49/4.
        assert_eq!(covariance[0].to_array(), [12.25; LANES]);
        Ok(())
    }

    /// y ∈ {0, 1} far out: φ → 0 on the right side and |z| on the wrong one, without overflow.
    #[test]
    fn logistic_tails() {
        let loss = RegressionLoss::Logistic;
        for (z, y, value, slope) in [
            (800.0, 1.0, 0.0, 0.0),
            (-800.0, 1.0, 800.0, -1.0),
            (800.0, 0.0, 800.0, 1.0),
            (-800.0, 0.0, 0.0, 0.0),
        ] {
            assert_eq!(loss.value(z, y), value);
            assert_eq!(loss.slope(z, y), slope);
            assert_eq!(loss.curvature(z), 0.0);
        }
    }

    #[test]
    fn bad_input_is_refused() {
        let build = |n: usize, d: usize, targets: &[f64], loss, ridge| {
            Regression::new(
                DMatrix::from_element(n, d, 1.0),
                targets.to_vec(),
                loss,
                ridge,
            )
            .expect_err("must be refused")
        };
        use RegressionLoss::{LeastSquares, Logistic};
        assert!(matches!(
            build(0, 2, &[], LeastSquares, 0.0),
            LandscapeError::Empty { .. }
        ));
        assert!(matches!(
            build(2, 0, &[0.0, 1.0], LeastSquares, 0.0),
            LandscapeError::Empty { .. }
        ));
        assert!(matches!(
            build(2, 1, &[0.0], LeastSquares, 0.0),
            LandscapeError::Length { .. }
        ));
        assert!(matches!(
            build(1, 1, &[f64::NAN], LeastSquares, 0.0),
            LandscapeError::NotFinite { .. }
        ));
        for ridge in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                build(1, 1, &[1.0], LeastSquares, ridge),
                LandscapeError::OutOfRange { .. }
            ));
        }
        assert_eq!(
            build(2, 1, &[1.0, -1.0], Logistic, 0.0).to_string(),
            "target 2 (counted from 1) is -1: logistic regression allows only 0 and 1"
        );
    }
}
