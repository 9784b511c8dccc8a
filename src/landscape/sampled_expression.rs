//! A loss over the rows of a data set, with the term of one row written as text.

use super::dense::mirror_upper;
use super::{FiniteSum, Formula, LandscapeError, Model, QuadraticForm, SquaredLoss, check_finite};
use crate::expression::Function;
use crate::real::{LANES, Lanes, Real};
use nalgebra::DMatrix;

/// A model output written as text: f(z, x) of the data columns z and the parameters x.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionModel(Function);

impl ExpressionModel {
    /// L = (1/2n) Σ r(zᵢ, x)² over the rows zᵢ of `data`, n × q, for a residual r.
    ///
    /// # Errors
    /// No row, a width other than q, a number that is not finite.
    pub fn squared_loss(
        residual: Function,
        data: &DMatrix<f64>,
    ) -> Result<SquaredLoss<ExpressionModel>, LandscapeError> {
        SquaredLoss::of_model(ExpressionModel(residual), data, vec![0.0; data.nrows()])
    }
}

impl Model for ExpressionModel {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn inputs(&self) -> usize {
        self.0.columns()
    }

    fn output<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> R {
        self.0.value(x, z)
    }

    fn affine(&self) -> bool {
        self.0.is_affine()
    }

    fn add_gradient<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        weight: impl FnOnce(R) -> R,
        out: &mut [R],
    ) {
        let weight = weight(self.0.value(x, &z));
        self.0
            .gradient(x, z, |i, g| out[i] = weight.mul_add(g, out[i]));
    }

    fn add_hessian<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], weight: R, h: &mut [R]) {
        let d = x.len();
        self.0.hessian(x, z, |a, b, value| {
            h[a * d + b] = weight.mul_add(value, h[a * d + b]);
        });
    }

    fn add_curvature<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], v: &[R], out: &mut [R]) {
        self.0.product(x, z, v, |i, value| out[i] = out[i] + value);
    }

    fn add_third<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        residual: R,
        m: &[R],
        v: &[R],
        out: &mut [R],
    ) -> R {
        let (d, two) = (x.len(), R::constant(2.0));
        self.0.add_third(x, &z, residual, m, out);
        self.0
            .product(x, &z, v, |i, value| out[i] = two.mul_add(value, out[i]));
        let mut form = R::constant(0.0);
        self.0.hessian(x, z, |a, b, value| {
            let m = if a == b {
                m[a * d + a]
            } else {
                m[a * d + b] + m[b * d + a]
            };
            form = value.mul_add(m, form);
        });
        form
    }

    fn sizes<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> [R; 3] {
        let mut square = R::constant(0.0);
        self.0.gradient(x, &z, |_, g| square = g.mul_add(g, square));
        [self.0.value(x, &z), square, self.0.trace(x, z)]
    }
}

/// L(x) = (1/n) Σ ℓ(zᵢ, x) over the rows zᵢ of a data set: minibatch noise is defined for it.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLoss {
    loss: Function,
    /// zᵢ, row by row.
    rows: Vec<f64>,
    samples: usize,
}

impl SampleLoss {
    /// `loss` is ℓ of q ≥ 1 columns, `data` has a sample in each row, n × q.
    ///
    /// # Errors
    /// No row, a width other than q, a number that is not finite.
    pub fn new(loss: Function, data: &DMatrix<f64>) -> Result<SampleLoss, LandscapeError> {
        const DATA: &str = "the matrix of data";
        if data.is_empty() {
            return Err(LandscapeError::Empty { what: DATA });
        }
        if data.ncols() != loss.columns() {
            return Err(LandscapeError::Length {
                what: "a row of the matrix of data",
                expected: loss.columns(),
                found: data.ncols(),
            });
        }
        check_finite(DATA, data)?;
        Ok(SampleLoss {
            loss,
            rows: data.transpose().as_slice().to_vec(),
            samples: data.nrows(),
        })
    }

    fn each(&self) -> impl Iterator<Item = &[f64]> {
        self.rows.chunks_exact(self.loss.columns())
    }

    fn share<R: Real>(&self) -> R {
        R::constant(1.0 / self.samples as f64)
    }

    fn scale<R: Real>(&self, entries: &mut [R]) {
        let share = self.share::<R>();
        for entry in entries {
            *entry = share * *entry;
        }
    }
}

impl Formula for SampleLoss {
    fn dimension(&self) -> usize {
        self.loss.dimension()
    }

    fn value<R: Real>(&self, x: &[R]) -> R {
        let terms = self
            .each()
            .map(|row| self.loss.value(x, |k| R::constant(row[k])));
        self.share::<R>() * terms.fold(R::constant(0.0), |s, term| s + term)
    }

    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        g.fill(R::constant(0.0));
        for row in self.each() {
            self.loss
                .gradient(x, |k| R::constant(row[k]), |i, v| g[i] = g[i] + v);
        }
        self.scale(g);
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let d = x.len();
        h.fill(R::constant(0.0));
        for row in self.each() {
            self.loss.hessian(
                x,
                |k| R::constant(row[k]),
                |a, b, v| h[a * d + b] = h[a * d + b] + v,
            );
        }
        self.scale(h);
        mirror_upper(d, h);
    }

    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        out.fill(R::constant(0.0));
        for row in self.each() {
            self.loss
                .add_third(x, |k| R::constant(row[k]), R::constant(1.0), m, out);
        }
        self.scale(out);
    }

    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let terms = self
            .each()
            .map(|row| self.loss.trace(x, |k| R::constant(row[k])));
        self.share::<R>() * terms.fold(R::constant(0.0), |s, term| s + term)
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Some(self)
    }

    fn quadratic_form(&self) -> Option<QuadraticForm> {
        self.loss.is_quadratic().then(|| QuadraticForm::of(self))?
    }
}

impl FiniteSum for SampleLoss {
    fn samples(&self) -> usize {
        self.samples
    }

    /// Panics on an index ≥ n.
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]) {
        let q = self.loss.columns();
        g.fill(Lanes::ZERO);
        for indices in indices {
            let rows: [&[f64]; LANES] = indices.to_array().map(|i| {
                let start = i as usize * q;
                &self.rows[start..start + q]
            });
            let z = |k: usize| Lanes::new(rows.map(|row| row[k]));
            self.loss.gradient(x, z, |i, v| g[i] += v);
        }
        let share = Lanes::splat(1.0 / indices.len() as f64);
        g.iter_mut().for_each(|g| *g *= share);
    }

    /// Two passes: the mean first, so that nothing cancels far from it.
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]) {
        let d = x.len();
        let (mean, deviation) = scratch.split_at_mut(d);
        self.gradient(x, mean);
        covariance.fill(Lanes::ZERO);
        let share: Lanes = self.share();
        for row in self.each() {
            self.loss.gradient(
                x,
                |k| Lanes::splat(row[k]),
                |i, v| deviation[i] = v - mean[i],
            );
            for (a, out) in covariance.chunks_exact_mut(d).enumerate() {
                let weight = share * deviation[a];
                for (out, &other) in out.iter_mut().zip(deviation.iter()) {
                    *out = weight.mul_add(other, *out);
                }
            }
        }
    }

    /// The output of a sample is its loss.
    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        let share: Lanes = self.share();
        out.fill(Lanes::ZERO);
        for (row, &weight) in self.each().zip(weights) {
            let weight = share * weight;
            self.loss.gradient(
                x,
                |k| Lanes::splat(row[k]),
                |i, v| out[i] = weight.mul_add(v, out[i]),
            );
        }
    }

    fn constant_output_gradients(&self) -> Option<DMatrix<f64>> {
        None
    }

    fn squared_loss(&self) -> bool {
        false
    }
}
