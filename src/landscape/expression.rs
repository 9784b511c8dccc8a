//! A loss written as text or as a closure, or the residuals of a sum of squares.

use super::{Coefficients, FiniteSum, Formula, QuadraticForm, Residuals};
use crate::expression::{ExpressionError, Function, Scope, SumOfSquares, Symbol, TraceError};
use crate::real::{Lanes, Real};
use nalgebra::DMatrix;
use std::panic::Location;

/// L(x) from its formula, with exact derivatives ([`expression`](crate::expression) says what may be written).
///
/// A loss given by residuals, L = (1/2n) Σ rᵢ², is a finite sum with the outputs fᵢ = rᵢ (targets 0): minibatch and label
/// noise are defined for it. No method allocates where the programs need at most 4096 registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    loss: Function,
    residuals: Option<SumOfSquares>,
    scope: Scope,
}

impl Expression {
    /// The most entries n·d of the Jacobian of the residuals.
    pub const MOST_ENTRIES: usize = 200_000;

    /// L is the text.
    ///
    /// # Errors
    /// The mistake in the text, its place, and what is allowed.
    ///
    /// # Example
    /// ```
    /// use slowsde::expression::Scope;
    /// use slowsde::landscape::{Expression, Formula};
    ///
    /// let scope = Scope::new(&["x", "y"]).map_err(|(_, error)| error)?;
    /// let hyperbola = Expression::of_loss("0.5*(x*y - 1)^2", &scope)?;
    /// let mut gradient = [0.0; 2];
    /// hyperbola.gradient(&[2.0, 1.0], &mut gradient);
    /// assert_eq!(gradient, [1.0, 2.0]);
    /// # Ok::<(), slowsde::expression::ExpressionError>(())
    /// ```
    pub fn of_loss(text: &str, scope: &Scope) -> Result<Expression, ExpressionError> {
        Ok(Expression {
            loss: Function::parse(text, scope)?,
            residuals: None,
            scope: scope.clone(),
        })
    }

    /// L = (1/2n) Σ rᵢ² of the n ≥ 1 texts rᵢ, with n·d ≤ [`MOST_ENTRIES`](Self::MOST_ENTRIES).
    ///
    /// # Errors
    /// The index of the residual with a mistake, and the mistake.
    pub fn of_residuals(
        residuals: &[String],
        scope: &Scope,
    ) -> Result<Expression, (usize, ExpressionError)> {
        let (loss, residuals) = SumOfSquares::parse(residuals, scope)?;
        Ok(Expression {
            loss,
            residuals: Some(residuals),
            scope: scope.clone(),
        })
    }

    /// L is what the closure computes of the `dimension` parameters; derivatives up to the third are exact.
    ///
    /// The closure runs once, on [`Symbol`]s; see there what it may do.
    ///
    /// # Errors
    /// The operation of the closure that has no meaning, with its place in the Rust source.
    ///
    /// # Example
    /// ```
    /// use slowsde::landscape::{Expression, Formula};
    ///
    /// let hyperbola = Expression::from_fn(2, |x| 0.5 * (x[0] * x[1] - 1.0).square())?;
    /// let mut gradient = [0.0; 2];
    /// hyperbola.gradient(&[2.0, 1.0], &mut gradient);
    /// assert_eq!(gradient, [1.0, 2.0]);
    /// # Ok::<(), slowsde::expression::TraceError>(())
    /// ```
    #[track_caller]
    pub fn from_fn<F>(dimension: usize, loss: F) -> Result<Expression, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Symbol<'g>,
    {
        Ok(Expression {
            loss: Function::from_fn(dimension, loss)?,
            residuals: None,
            scope: Scope::of_dimension(dimension),
        })
    }

    /// L = (1/2n) Σ rᵢ² of the residuals r₁, …, rₙ that the closure computes; n ≥ 1 and
    /// n·d ≤ [`MOST_ENTRIES`](Self::MOST_ENTRIES). Label noise and minibatches are defined for it.
    ///
    /// # Errors
    /// As for [`from_fn`](Self::from_fn); too few or too many residuals.
    #[track_caller]
    pub fn residuals_from_fn<F>(dimension: usize, residuals: F) -> Result<Expression, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Vec<Symbol<'g>>,
    {
        let (loss, residuals) =
            SumOfSquares::trace(dimension, Some(Location::caller()), residuals)?;
        Ok(Expression {
            loss,
            residuals: Some(residuals),
            scope: Scope::of_dimension(dimension),
        })
    }

    /// The names of the parameters; x\[1\], …, x\[d\] where the loss is a closure.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// There are no data columns.
fn none<R: Real>(_: usize) -> R {
    R::constant(0.0)
}

impl Formula for Expression {
    fn dimension(&self) -> usize {
        self.loss.dimension()
    }

    fn value<R: Real>(&self, x: &[R]) -> R {
        self.loss.value(x, none)
    }

    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        self.loss.gradient(x, none, |i, value| g[i] = value);
    }

    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let d = self.loss.dimension();
        self.loss.hessian(x, none, |a, b, value| {
            h[a * d + b] = value;
            h[b * d + a] = value;
        });
    }

    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        out.fill(R::constant(0.0));
        self.loss.add_third(x, none, R::constant(1.0), m, out);
    }

    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        self.loss.trace(x, none)
    }

    fn descend_groups(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
    ) -> bool {
        self.loss.descend(step, noise, x, m)
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        self.residuals.as_ref().map(|_| self as &dyn FiniteSum)
    }

    fn residuals(&self) -> Option<&dyn Residuals> {
        let n = self.residuals.as_ref()?.count();
        (n < self.loss.dimension()).then_some(self as &dyn Residuals)
    }

    fn quadratic_form(&self) -> Option<QuadraticForm> {
        self.loss.is_quadratic().then(|| QuadraticForm::of(self))?
    }
}

/// Only landscapes of residuals hand out this view.
impl Residuals for Expression {
    fn count(&self) -> usize {
        self.residuals.as_ref().map_or(0, SumOfSquares::count)
    }

    fn residuals(&self, x: &[f64], r: &mut [f64]) {
        self.jacobian(x, r, &mut []);
    }

    fn jacobian(&self, x: &[f64], r: &mut [f64], gradients: &mut [f64]) {
        if let Some(sum) = &self.residuals {
            let n = sum.count();
            sum.jacobian(x, |k, value| {
                if k < n {
                    r[k] = value;
                } else if let Some(entry) = gradients.get_mut(k - n) {
                    *entry = value;
                }
            });
        }
    }

    fn curvature(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        if let Some(sum) = &self.residuals {
            sum.curvature(x, v, |i, value| out[i] = value);
        }
    }
}

/// Only landscapes of residuals hand out this view.
impl FiniteSum for Expression {
    fn samples(&self) -> usize {
        Residuals::count(self)
    }

    /// Every sample is weighted by how often the batch has it.
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]) {
        if let Some(sum) = &self.residuals {
            let share = Lanes::splat(sum.count() as f64 / indices.len() as f64);
            let weight = |i: usize| {
                let sample = Lanes::splat(i as f64);
                indices.iter().fold(Lanes::ZERO, |sum, index| {
                    sum + index.simd_eq(sample).select(share, Lanes::ZERO)
                })
            };
            sum.weighted(x, weight, |i, value| g[i] = value);
        }
    }

    /// Two passes: the mean first, so that nothing cancels far from it.
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]) {
        let d = x.len();
        let (mean, deviation) = scratch.split_at_mut(d);
        self.gradient(x, mean);
        covariance.fill(Lanes::ZERO);
        let Some(sum) = &self.residuals else { return };
        let n = sum.count();
        let share = Lanes::splat(1.0 / n as f64);
        for sample in 0..n {
            let weight = |i: usize| Lanes::splat(if i == sample { n as f64 } else { 0.0 });
            sum.weighted(x, weight, |i, value| deviation[i] = value - mean[i]);
            for (a, row) in covariance.chunks_exact_mut(d).enumerate() {
                for (entry, &other) in row.iter_mut().zip(deviation.iter()) {
                    *entry = (share * deviation[a]).mul_add(other, *entry);
                }
            }
        }
    }

    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        if let Some(sum) = &self.residuals {
            sum.combination(x, weights, |i, value| out[i] = value);
        }
    }

    fn constant_output_gradients(&self) -> Option<DMatrix<f64>> {
        let sum = self.residuals.as_ref()?;
        let n = sum.count();
        let gradients = sum.constant_gradients()?;
        Some(DMatrix::from_vec(self.loss.dimension(), n, gradients) / n as f64)
    }

    fn squared_loss(&self) -> bool {
        true
    }
}
