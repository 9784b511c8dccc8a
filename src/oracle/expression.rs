//! Noise v = B(x) ξ with a factor written as text or as a closure, entry by entry.

use super::factor::EntryLaw;
use super::{Innovation, Noise};
use crate::expression::{ExpressionError, MatrixProduct, Scope, Symbol, TraceError};
use crate::real::Lanes;
use std::panic::Location;

/// Noise with the factor B(x), d × r, of expressions, and independent standardised entries ξ.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionNoise {
    factor: MatrixProduct,
    innovation: Innovation,
    dimension: usize,
}

impl ExpressionNoise {
    /// `rows` are the d rows of B, equally long and not empty (the caller has checked this).
    ///
    /// # Errors
    /// Row and column (from 0) of an entry with a mistake, and the mistake.
    pub fn new(
        rows: &[Vec<String>],
        law: EntryLaw,
        scope: &Scope,
    ) -> Result<ExpressionNoise, (usize, usize, ExpressionError)> {
        let factor = MatrixProduct::parse(rows, scope)?;
        Ok(ExpressionNoise::with(factor, law, scope.dimension()))
    }

    /// Noise whose factor B(x) a closure computes, as its d rows of equal length r ≥ 1.
    ///
    /// # Errors
    /// Rows that make no d × r matrix, or the operation of the closure that has no meaning, with its place in the Rust source.
    ///
    /// # Example
    /// ```
    /// use slowsde::oracle::{EntryLaw, ExpressionNoise};
    ///
    /// // Σ(x) = BBᵀ = diag(1 + x₁², 1/4).
    /// let noise = ExpressionNoise::from_fn(2, EntryLaw::Gaussian, |x| {
    ///     let zero = 0.0.into();
    ///     vec![
    ///         vec![(1.0 + x[0].square()).sqrt(), zero],
    ///         vec![zero, 0.5.into()],
    ///     ]
    /// })?;
    /// # Ok::<(), slowsde::expression::TraceError>(())
    /// ```
    #[track_caller]
    pub fn from_fn<F>(
        dimension: usize,
        law: EntryLaw,
        factor: F,
    ) -> Result<ExpressionNoise, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Vec<Vec<Symbol<'g>>>,
    {
        let factor = MatrixProduct::trace(dimension, Some(Location::caller()), factor)?;
        Ok(ExpressionNoise::with(factor, law, dimension))
    }

    fn with(factor: MatrixProduct, law: EntryLaw, dimension: usize) -> ExpressionNoise {
        ExpressionNoise {
            innovation: law.innovation(factor.columns()),
            factor,
            dimension,
        }
    }
}

impl Noise for ExpressionNoise {
    fn innovation(&self) -> Innovation {
        self.innovation
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        _scratch: &mut [Lanes],
    ) {
        let (d, sigma) = (self.dimension, Lanes::splat(sigma));
        let groups = x
            .chunks_exact(d)
            .zip(zeta.chunks_exact(self.factor.columns()));
        for (v, (x, zeta)) in v.chunks_exact_mut(d).zip(groups) {
            self.factor
                .evaluate(x, zeta, |i, value| v[i] = sigma * value);
        }
    }

    fn additive(&self) -> bool {
        self.factor.constant()
    }
}
