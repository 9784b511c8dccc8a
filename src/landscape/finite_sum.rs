//! Losses that average over samples: what minibatch and label noise need to know of them.

use crate::real::Lanes;

/// L = (1/n) Σᵢ ℓᵢ (+ a regularizer common to all samples), with ℓᵢ a function of a model output fᵢ(x).
///
/// All methods act on one lane group: `x` has d entries.
pub trait FiniteSum: Send + Sync {
    /// The number of samples n.
    fn samples(&self) -> usize;

    /// (1/B) Σ_b ∇ℓ_{i_b}(x) into `g`, for `indices` of B entries, each lane with its own samples (whole numbers below
    /// n, stored as floating point). The regularizer is part of every ∇ℓᵢ.
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]);

    /// Covᵢ(∇ℓᵢ(x)) (divisor n), d × d, into `covariance`; `scratch` has length ≥ 2d.
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]);

    /// (1/n) Σᵢ wᵢ ∇fᵢ(x) into `out`, for weights of length n.
    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]);

    /// The factor J/n (d × n, columns ∇fᵢ/n) when it does not depend on x, that is, for models linear in x.
    fn constant_output_gradients(&self) -> Option<nalgebra::DMatrix<f64>>;

    /// Whether ℓᵢ = ½(fᵢ − yᵢ)²: label noise is defined for squared losses.
    fn squared_loss(&self) -> bool;
}
