//! Losses that are sums of squares, as projections onto {all residuals vanish} use them.

/// L = (1/2n) Σᵢ rᵢ² with residuals rᵢ = fᵢ − yᵢ, at one point x of length d.
///
/// Where all residuals vanish ∇²L = JJᵀ/n with J = (∇f₁, …, ∇fₙ), d × n: the geometry of Γ costs O(dn²) instead of O(d³).
pub trait Residuals: Send + Sync {
    /// The number of residuals n.
    fn count(&self) -> usize;

    /// All rᵢ(x), length n.
    fn residuals(&self, x: &[f64], r: &mut [f64]);

    /// All rᵢ(x), length n, and all ∇fᵢ(x), length nd, one after the other.
    fn jacobian(&self, x: &[f64], r: &mut [f64], gradients: &mut [f64]);

    /// `out` = Σᵢ ∇²fᵢ(x) vᵢ for the vectors vᵢ, one after the other in `v` (length nd).
    fn curvature(&self, x: &[f64], v: &[f64], out: &mut [f64]);
}
