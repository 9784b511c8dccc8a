//! Quadratic losses, for which every moment is known exactly.

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
