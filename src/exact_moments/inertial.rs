//! Moments of the limits in which momentum stays, Eqs. (52)–(53) and without damping, on a quadratic loss.

use super::limiting::gauss_legendre;
use super::modes::pairs;
use super::{InitialMoments, MomentError, MomentState, NoisyQuadratic, ordered};
use crate::clocks::FastTime;
use crate::ensemble::Damping;
use nalgebra::{DVector, Matrix2, Vector2};

impl NoisyQuadratic {
    /// The moments of X_t at `times` (≥ 0, non-decreasing) for dX = −λM dt, dM = γ(∇L(X) − κM) dt + γ√η σ Σ^{1/2} dW from x_0 and
    /// m_0, where κ is 1 with damping and 0 without; λ = `learning_rate`, γ = `momentum`, η = `eta`. With σ = η^{-1/2} and κ = 1 these
    /// are (52)–(53).
    ///
    /// In the eigenbasis of A a mode of curvature a has s = (x, m) with ds = G s dt + b dW, G = [[0, −λ], [γa, −κγ]], b = (0, γ). So
    /// E s_t = e^{Gt} E s_0 and C_ij(t) = e^{G_i t} C_ij(0) e^{G_jᵀt} + ησ²Σ_ij ∫₀ᵗ (e^{G_i u}b)(e^{G_j u}b)ᵀ du, by 20 Gauss–Legendre nodes on
    /// pieces no longer than 1/‖G‖: to rounding.
    ///
    /// # Errors
    /// λ, γ or η not positive, times out of order or negative, sizes that do not agree.
    pub fn inertial_moments(
        &self,
        initial: &InitialMoments,
        (learning_rate, momentum): (f64, f64),
        damping: Damping,
        eta: f64,
        times: &[FastTime],
    ) -> Result<Vec<MomentState>, MomentError> {
        ordered(times)?;
        let numbers = [
            ("learning_rate", learning_rate),
            ("momentum", momentum),
            ("eta", eta),
        ];
        if let Some((field, _)) = numbers.iter().find(|(_, v)| !(*v > 0.0 && v.is_finite())) {
            return Err(MomentError::Value {
                field,
                allowed: "a finite number > 0",
            });
        }
        if times.iter().any(|t| !(t.0 >= 0.0 && t.0.is_finite())) {
            return Err(MomentError::Value {
                field: "times",
                allowed: "finite and ≥ 0",
            });
        }
        let start = self.start::<f64>(initial)?;
        let mut means: Vec<Vector2<f64>> = start.mean.iter().map(|&s| s.into()).collect();
        let square = |c: &[[f64; 2]; 2]| Matrix2::new(c[0][0], c[0][1], c[1][0], c[1][1]);
        let mut covariances: Vec<Matrix2<f64>> = start.covariance.iter().map(square).collect();
        let loss = damping.factor() * momentum;
        let generator = |&a: &f64| Matrix2::new(0.0, -learning_rate, momentum * a, -loss);
        let generators: Vec<Matrix2<f64>> = self.curvatures.iter().map(generator).collect();
        let size = generators.iter().map(Matrix2::norm).fold(0.0, f64::max);
        let kick = Vector2::new(0.0, momentum);
        let rule = gauss_legendre();
        let mut now = 0.0;
        let mut out = Vec::with_capacity(times.len());
        for &FastTime(t) in times {
            let span = t - now;
            let pieces = (span * size).ceil().max(1.0);
            let half = 0.5 * span / pieces;
            let nodes: Vec<(f64, f64)> = (0..pieces as u64)
                .flat_map(|p| rule.map(|(x, w)| (half * (2.0 * p as f64 + 1.0 + x), half * w)))
                .collect();
            let flows: Vec<Matrix2<f64>> = generators.iter().map(|g| (g * span).exp()).collect();
            let kicks: Vec<Vec<Vector2<f64>>> = generators
                .iter()
                .map(|g| nodes.iter().map(|(u, _)| (g * *u).exp() * kick).collect())
                .collect();
            let all = covariances.iter_mut().zip(&self.noise);
            for ((i, j), (c, noise)) in pairs(self.dimension()).zip(all) {
                let terms = nodes.iter().zip(kicks[i].iter().zip(&kicks[j]));
                let added: Matrix2<f64> =
                    terms.map(|((_, w), (a, b))| a * b.transpose() * *w).sum();
                *c = flows[i] * *c * flows[j].transpose() + added * (eta * noise);
            }
            for (mean, flow) in means.iter_mut().zip(&flows) {
                *mean = flow * *mean;
            }
            now = t;
            let mean = DVector::from_iterator(self.dimension(), means.iter().map(|s| s[0]));
            out.push(self.in_coordinates(mean, covariances.iter().map(|c| c[(0, 0)])));
        }
        Ok(out)
    }
}
