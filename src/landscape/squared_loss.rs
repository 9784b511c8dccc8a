//! Mean squared error of any model: value, gradient, Hessian, third contraction and per-sample view, in one place.

use super::dense::mirror_upper;
use super::{
    FiniteSum, Formula, LandscapeError, QuadraticForm, Residuals, check_finite, check_finite_vector,
};
use crate::real::{LANES, Lanes, Real};
use nalgebra::DMatrix;

/// A model output f(z, x): a number for an input vector z of one sample and parameters x, with its derivatives in x.
///
/// The input is read through a function of the index (0 ≤ index < [`inputs`](Model::inputs)), so that the eight lanes may
/// look at eight different samples. Matrices are d × d, row by row. Nothing may panic for finite numbers; `output` and
/// the gradients must not allocate.
pub trait Model: Send + Sync {
    /// The number of parameters d.
    fn dimension(&self) -> usize;

    /// The number q of entries of an input vector.
    fn inputs(&self) -> usize;

    /// f(z, x).
    fn output<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> R;

    /// Whether f is affine in x for every z, and L quadratic.
    fn affine(&self) -> bool {
        false
    }

    /// `out` += w ∇f(z, x), with the weight w = `weight`(f(z, x)).
    fn add_gradient<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        weight: impl FnOnce(R) -> R,
        out: &mut [R],
    );

    /// `h` += `weight` ∇²f(z, x): the diagonal and what is above it (what is below is ignored).
    fn add_hessian<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], weight: R, h: &mut [R]);

    /// `out` += ∇²f(z, x) `v`. Must not allocate.
    fn add_curvature<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], v: &[R], out: &mut [R]);

    /// `out` += `residual` ∂²(∇f)\[M\] + 2 ∇²f `v`; gives back ⟨∇²f, M⟩ = Σ ∂_b∂_c f M_bc. M is symmetric.
    fn add_third<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        residual: R,
        m: &[R],
        v: &[R],
        out: &mut [R],
    ) -> R;

    /// f, ‖∇f‖² and tr ∇²f at (z, x). Must not allocate.
    fn sizes<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> [R; 3];

    /// ‖θ(x) − θ*‖² of what the model computes, θ(x), to a `truth` θ* of the same shape. `None` for models without a single
    /// predictor.
    fn squared_distance<R: Real>(&self, _truth: &[f64], _x: &[R]) -> Option<R> {
        None
    }

    /// `out` = Σᵢ wᵢ ∇f(zᵢ, x) over the rows zᵢ of `rows` (row by row), with wᵢ = `weight`(i, f(zᵢ, x)).
    ///
    /// For models that can share work between samples.
    #[inline(always)]
    fn sum_gradients<R: Real>(
        &self,
        rows: &[f64],
        x: &[R],
        weight: impl Fn(usize, R) -> R,
        out: &mut [R],
    ) {
        out.fill(R::constant(0.0));
        for (i, row) in rows.chunks_exact(self.inputs()).enumerate() {
            self.add_gradient(|k| R::constant(row[k]), x, |f| weight(i, f), out);
        }
    }
}

/// L(x) = (1/2n) Σᵢ (f(zᵢ, x) − yᵢ)² for any [`Model`] f. With residuals rᵢ = f(zᵢ, x) − yᵢ and fᵢ = f(zᵢ, ·):
///
/// * ∇L = (1/n) Σᵢ rᵢ ∇fᵢ
/// * ∇²L = (1/n) Σᵢ (∇fᵢ∇fᵢᵀ + rᵢ ∇²fᵢ)
/// * ∂²(∇L)\[M\] = (1/n) Σᵢ (rᵢ ∂²(∇fᵢ)\[M\] + 2 ∇²fᵢ M ∇fᵢ + ⟨∇²fᵢ, M⟩ ∇fᵢ)
///
/// Where all residuals vanish, ∇²L = JᵀJ/n with the rows ∇fᵢᵀ of J, and label noise of deviation δ has Σ = (δ²/n)∇²L.
///
/// A gradient costs n evaluations of the model, a Hessian or a third contraction O(nd²) (M is dense) and n·d or 2n·d
/// numbers of scratch memory.
#[derive(Clone, Debug, PartialEq)]
pub struct SquaredLoss<M> {
    model: M,
    /// zᵢ, row by row.
    rows: Vec<f64>,
    targets: Vec<f64>,
    truth: Option<Truth>,
}

/// What the targets were made from.
#[derive(Clone, Debug, PartialEq)]
struct Truth {
    /// θ*.
    predictor: Vec<f64>,
    /// ‖θ*‖⁻¹.
    inverse_norm: f64,
}

impl<M: Model> SquaredLoss<M> {
    /// `inputs`: n × q, one sample a row; `targets`: y, length n.
    ///
    /// # Errors
    /// No sample, a width other than the model's q, lengths that differ, a number that is not finite.
    pub fn of_model(
        model: M,
        inputs: &DMatrix<f64>,
        targets: Vec<f64>,
    ) -> Result<SquaredLoss<M>, LandscapeError> {
        const INPUTS: &str = "the matrix of inputs";
        const TARGETS: &str = "the vector of targets";
        if inputs.is_empty() {
            return Err(LandscapeError::Empty { what: INPUTS });
        }
        if inputs.ncols() != model.inputs() {
            return Err(LandscapeError::Length {
                what: "a row of the matrix of inputs",
                expected: model.inputs(),
                found: inputs.ncols(),
            });
        }
        if targets.len() != inputs.nrows() {
            return Err(LandscapeError::Length {
                what: TARGETS,
                expected: inputs.nrows(),
                found: targets.len(),
            });
        }
        check_finite(INPUTS, inputs)?;
        check_finite_vector(TARGETS, &targets)?;
        Ok(SquaredLoss {
            model,
            // Column by column of the transpose is row by row of the matrix.
            rows: inputs.transpose().as_slice().to_vec(),
            targets,
            truth: None,
        })
    }

    /// The same loss, with the predictor θ* ≠ 0 that its targets were made from.
    pub(super) fn with_truth(mut self, predictor: Vec<f64>) -> SquaredLoss<M> {
        let square: f64 = predictor.iter().map(|t| t * t).sum();
        self.truth = Some(Truth {
            predictor,
            inverse_norm: square.sqrt().recip(),
        });
        self
    }

    /// The planted truth θ*, if there is one.
    pub fn truth(&self) -> Option<&[f64]> {
        Some(&self.truth.as_ref()?.predictor)
    }

    /// f.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The inputs zᵢ, n × q.
    pub fn inputs(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.targets.len(), self.model.inputs(), &self.rows)
    }

    /// y, length n.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// All fᵢ(x), length n. Panics if `x` is shorter than d.
    pub fn outputs(&self, x: &[f64]) -> Vec<f64> {
        let output = |(row, _): (&[f64], f64)| self.model.output(|k| row[k], x);
        self.each().map(output).collect()
    }

    /// The samples: zᵢ and yᵢ.
    fn each(&self) -> impl Iterator<Item = (&[f64], f64)> {
        let rows = self.rows.chunks_exact(self.model.inputs());
        rows.zip(self.targets.iter().copied())
    }

    fn share<R: Real>(&self) -> R {
        R::constant(1.0 / self.targets.len() as f64)
    }

    /// All ∇fᵢ(x), one after the other, and all residuals.
    fn jacobian<R: Real>(&self, x: &[R]) -> (Vec<R>, Vec<R>) {
        let zero = R::constant(0.0);
        let mut gradients = vec![zero; self.targets.len() * x.len()];
        let mut residuals = vec![zero; self.targets.len()];
        let outputs = gradients.chunks_exact_mut(x.len()).zip(&mut residuals);
        for ((row, y), (gradient, residual)) in self.each().zip(outputs) {
            let weight = |f: R| {
                *residual = f - R::constant(y);
                R::constant(1.0)
            };
            self.model
                .add_gradient(|k| R::constant(row[k]), x, weight, gradient);
        }
        (gradients, residuals)
    }

    /// The inputs that the eight lanes ask for, and their targets.
    #[inline(always)]
    fn gather(&self, indices: Lanes) -> ([&[f64]; LANES], Lanes) {
        let q = self.model.inputs();
        let indices = indices.to_array().map(|i| i as usize);
        let targets = Lanes::new(indices.map(|i| self.targets[i]));
        (indices.map(|i| &self.rows[i * q..(i + 1) * q]), targets)
    }
}

impl<M: Model> Formula for SquaredLoss<M> {
    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn value<R: Real>(&self, x: &[R]) -> R {
        let half = R::constant(0.5) * self.share::<R>();
        let squares = self.each().map(|(row, y)| {
            let output = self.model.output(|k| R::constant(row[k]), x);
            (output - R::constant(y)).square()
        });
        half * squares.fold(R::constant(0.0), |s, r| s + r)
    }

    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let share: R = self.share();
        let weight = |i: usize, f: R| share * (f - R::constant(self.targets[i]));
        self.model.sum_gradients(&self.rows, x, weight, g);
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let d = x.len();
        let share: R = self.share();
        let (gradients, residuals) = self.jacobian(x);
        h.fill(R::constant(0.0));
        // Row by row of h, so that h goes through the cache once and the (smaller) Jacobian stays in it.
        for (a, h) in h.chunks_exact_mut(d).enumerate() {
            for gradient in gradients.chunks_exact(d) {
                let weight = share * gradient[a];
                for (h, &g) in h[a..].iter_mut().zip(&gradient[a..]) {
                    *h = weight.mul_add(g, *h);
                }
            }
        }
        for ((row, _), &residual) in self.each().zip(&residuals) {
            let weight = share * residual;
            self.model
                .add_hessian(|k| R::constant(row[k]), x, weight, h);
        }
        mirror_upper(d, h);
    }

    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let (d, zero) = (x.len(), R::constant(0.0));
        let (gradients, residuals) = self.jacobian(x);
        // M ∇fᵢ for all samples: the symmetric M is read once, row for column.
        let mut products = vec![zero; gradients.len()];
        for (a, m) in m.chunks_exact(d).enumerate() {
            let samples = gradients.chunks_exact(d).zip(products.chunks_exact_mut(d));
            for (gradient, product) in samples {
                for (p, &m) in product.iter_mut().zip(m) {
                    *p = gradient[a].mul_add(m, *p);
                }
            }
        }
        out.fill(zero);
        let samples = gradients.chunks_exact(d).zip(products.chunks_exact(d));
        for (((row, _), &residual), (gradient, product)) in self.each().zip(&residuals).zip(samples)
        {
            let z = |k: usize| R::constant(row[k]);
            let form = self.model.add_third(z, x, residual, m, product, out);
            for (out, &g) in out.iter_mut().zip(gradient) {
                *out = form.mul_add(g, *out);
            }
        }
        let share: R = self.share();
        for out in out {
            *out = share * *out;
        }
    }

    /// (1/n) Σᵢ (‖∇fᵢ‖² + rᵢ tr ∇²fᵢ): as dear as a gradient.
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let sum = self.each().fold(R::constant(0.0), |sum, (row, y)| {
            let [f, square, trace] = self.model.sizes(|k| R::constant(row[k]), x);
            sum + (f - R::constant(y)).mul_add(trace, square)
        });
        self.share::<R>() * sum
    }

    fn recovery_error<R: Real>(&self, x: &[R]) -> Option<R> {
        let truth = self.truth.as_ref()?;
        let square = self.model.squared_distance(&truth.predictor, x)?;
        Some(R::constant(truth.inverse_norm) * square.sqrt())
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Some(self)
    }

    fn residuals(&self) -> Option<&dyn Residuals> {
        (self.targets.len() < self.model.dimension()).then_some(self as &dyn Residuals)
    }

    fn quadratic_form(&self) -> Option<QuadraticForm> {
        self.model.affine().then(|| QuadraticForm::of(self))?
    }
}

impl<M: Model> Residuals for SquaredLoss<M> {
    fn count(&self) -> usize {
        self.targets.len()
    }

    fn residuals(&self, x: &[f64], r: &mut [f64]) {
        for (r, (row, y)) in r.iter_mut().zip(self.each()) {
            *r = self.model.output(|k| row[k], x) - y;
        }
    }

    fn jacobian(&self, x: &[f64], r: &mut [f64], gradients: &mut [f64]) {
        gradients.fill(0.0);
        let outputs = gradients.chunks_exact_mut(x.len()).zip(r);
        for ((row, y), (gradient, residual)) in self.each().zip(outputs) {
            let weight = |f: f64| {
                *residual = f - y;
                1.0
            };
            self.model.add_gradient(|k| row[k], x, weight, gradient);
        }
    }

    fn curvature(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for ((row, _), v) in self.each().zip(v.chunks_exact(x.len())) {
            self.model.add_curvature(|k| row[k], x, v, out);
        }
    }
}

impl<M: Model> FiniteSum for SquaredLoss<M> {
    fn samples(&self) -> usize {
        self.targets.len()
    }

    /// Panics on an index ≥ n.
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]) {
        debug_assert!(!indices.is_empty(), "an empty minibatch");
        let share = Lanes::splat(1.0 / indices.len() as f64);
        g.fill(Lanes::ZERO);
        for &indices in indices {
            let (rows, y) = self.gather(indices);
            let z = |k: usize| Lanes::new(rows.map(|row| row[k]));
            self.model.add_gradient(z, x, |f| share * (f - y), g);
        }
    }

    /// Two passes: the mean first, so that nothing cancels far from it.
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]) {
        let d = x.len();
        let (mean, deviation) = scratch.split_at_mut(d);
        let deviation = &mut deviation[..d];
        self.gradient(x, mean);
        covariance.fill(Lanes::ZERO);
        let share: Lanes = self.share();
        for (row, y) in self.each() {
            for (deviation, &mean) in deviation.iter_mut().zip(mean.iter()) {
                *deviation = -mean;
            }
            let z = |k: usize| Lanes::splat(row[k]);
            self.model
                .add_gradient(z, x, |f| f - Lanes::splat(y), deviation);
            for (a, out) in covariance.chunks_exact_mut(d).enumerate() {
                let weight = share * deviation[a];
                for (out, &c) in out[a..].iter_mut().zip(&deviation[a..]) {
                    *out = weight.mul_add(c, *out);
                }
            }
        }
        mirror_upper(d, covariance);
    }

    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        let share: Lanes = self.share();
        self.model
            .sum_gradients(&self.rows, x, |i, _| share * weights[i], out);
    }

    fn constant_output_gradients(&self) -> Option<DMatrix<f64>> {
        if !self.model.affine() {
            return None;
        }
        let (d, n) = (self.model.dimension(), self.targets.len());
        let (gradients, _) = self.jacobian(&vec![0.0; d]);
        Some(DMatrix::from_vec(d, n, gradients) / n as f64)
    }

    fn squared_loss(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::SquaredParameters;
    use super::*;

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let build = |n: usize, q: usize, targets: &[f64]| {
            let inputs = DMatrix::from_element(n, q, 1.0);
            SquaredLoss::of_model(SquaredParameters::new(3), &inputs, targets.to_vec())
                .expect_err("must be refused")
        };
        assert!(matches!(build(0, 3, &[]), LandscapeError::Empty { .. }));
        let width = build(2, 4, &[0.0, 1.0]);
        assert!(matches!(
            width,
            LandscapeError::Length {
                expected: 3,
                found: 4,
                ..
            }
        ));
        let length = build(2, 3, &[0.0]);
        assert!(matches!(
            length,
            LandscapeError::Length {
                expected: 2,
                found: 1,
                ..
            }
        ));
        let number = build(1, 3, &[f64::NAN]);
        assert!(matches!(number, LandscapeError::NotFinite { .. }));
    }
}
