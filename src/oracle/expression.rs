//! Noise v = B(x) ξ with a factor written as text, entry by entry.

use super::factor::EntryLaw;
use super::{Innovation, Noise};
use crate::expression::{ExpressionError, MatrixProduct, Scope};
use crate::real::Lanes;

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
        let innovation = law.innovation(factor.columns());
        Ok(ExpressionNoise {
            factor,
            innovation,
            dimension: scope.dimension(),
        })
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
