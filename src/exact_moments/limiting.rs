//! Moments of the limiting SDE (51) on a quadratic loss: an Ornstein–Uhlenbeck process on the clock Λ_t = ∫₀ᵗ λ.

use super::modes::pairs;
use super::{InitialMoments, MomentError, MomentState, NoisyQuadratic, ordered};
use crate::clocks::FastTime;
use crate::schedule::Shape;
use nalgebra::DVector;

/// Nodes of the Gauss–Legendre rule.
const NODES: usize = 20;

impl NoisyQuadratic {
    /// The moments of X_t at `times` (≥ 0, non-decreasing) for dX = −λ_t ∇L dt + λ_t √η σ Σ^{1/2} dW, X_0 = x_0.
    ///
    /// λ = `learning_rate` on the horizon `[0, horizon]`, η = `eta`; with σ = η^{-1/2} this is (51). With Λ = ∫λ, in the
    /// eigenbasis of A: mean_i = e^{−a_i Λ_t} x_i and
    /// C_ij = e^{−(a_i+a_j)Λ_t} C_ij(0) + ησ²Σ_ij ∫₀ᵗ λ_s² e^{−(a_i+a_j)(Λ_t−Λ_s)} ds. The integral is in closed form for
    /// constant λ, and otherwise by adaptive Gauss–Legendre quadrature between the breakpoints of λ to a relative 10⁻¹².
    /// m_0 is not looked at.
    ///
    /// # Errors
    /// A λ that depends on the step index, η not positive, times out of order or negative, sizes that do not agree.
    pub fn limiting_moments(
        &self,
        initial: &InitialMoments,
        learning_rate: &Shape,
        horizon: FastTime,
        eta: f64,
        times: &[FastTime],
    ) -> Result<Vec<MomentState>, MomentError> {
        ordered(times)?;
        if times.iter().any(|t| !(t.0 >= 0.0 && t.0.is_finite())) {
            return Err(MomentError::Value {
                field: "times",
                allowed: "finite and ≥ 0",
            });
        }
        if !(eta > 0.0 && eta.is_finite()) {
            return Err(MomentError::Value {
                field: "eta",
                allowed: "a finite number > 0",
            });
        }
        let span = horizon.0;
        let rate = Rate {
            shape: learning_rate,
            span,
            constant: learning_rate.constant_value(),
            rule: gauss_legendre(),
        };
        if learning_rate.limit(0.0, span).is_none() {
            return Err(MomentError::NoLimit);
        }
        let mut breaks = learning_rate.breakpoints(span);
        breaks.push(span);

        let start = self.start::<f64>(initial)?;
        let mut covariance: Vec<f64> = start.covariance.iter().map(|c| c[0][0]).collect();
        let mut now = 0.0;
        let mut out = Vec::with_capacity(times.len());
        for &FastTime(t) in times {
            let mut pieces = vec![now];
            pieces.extend(breaks.iter().copied().filter(|&b| now < b && b < t));
            pieces.push(t);
            for piece in pieces.windows(2) {
                let (from, to) = (piece[0], piece[1]);
                let clock = rate.clock(from, to);
                let all = covariance.iter_mut().zip(&self.noise);
                for ((i, j), (c, noise)) in pairs(self.dimension()).zip(all) {
                    let s = self.curvatures[i] + self.curvatures[j];
                    let added = if *noise == 0.0 {
                        0.0
                    } else {
                        eta * noise * rate.noise(from, to, s)
                    };
                    *c = (-s * clock).exp() * *c + added;
                }
            }
            now = t;
            let total = rate.clock(0.0, t);
            let modes = start.mean.iter().zip(&self.curvatures);
            let mean = modes.map(|(x, a)| (-a * total).exp() * x[0]);
            let mean = DVector::from_iterator(self.dimension(), mean);
            out.push(self.in_coordinates(mean, covariance.iter().copied()));
        }
        Ok(out)
    }
}

/// λ, which has a limit.
struct Rate<'a> {
    shape: &'a Shape,
    span: f64,
    constant: Option<f64>,
    rule: [(f64, f64); NODES],
}

impl Rate<'_> {
    /// Λ_to − Λ_from.
    fn clock(&self, from: f64, to: f64) -> f64 {
        match self.constant {
            Some(rate) => rate * (to - from),
            None => self.integral(to) - self.integral(from),
        }
    }

    fn integral(&self, t: f64) -> f64 {
        self.shape.integral(t, self.span).unwrap_or(f64::NAN)
    }

    /// ∫ λ_u² e^{−s(Λ_to−Λ_u)} du over an interval on which λ is analytic.
    fn noise(&self, from: f64, to: f64, s: f64) -> f64 {
        if let Some(rate) = self.constant {
            let z = s * rate * (to - from);
            let shrunk = if z == 0.0 { 1.0 } else { -(-z).exp_m1() / z };
            return rate * rate * (to - from) * shrunk;
        }
        let end = self.integral(to);
        let integrand = |u: f64| {
            let rate = self.shape.limit(u, self.span).unwrap_or(f64::NAN);
            rate * rate * (-s * (end - self.integral(u))).exp()
        };
        let whole = self.apply(&integrand, from, to);
        self.adapt(&integrand, from, to, whole, whole.abs(), 50)
    }

    fn apply(&self, f: &dyn Fn(f64) -> f64, from: f64, to: f64) -> f64 {
        let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
        let terms = self.rule.iter().map(|&(x, w)| w * f(middle + half * x));
        half * terms.sum::<f64>()
    }

    /// Halves the interval until that changes the integral by less than 10⁻¹³ of `scale`, a lower estimate of the whole.
    fn adapt(
        &self,
        f: &dyn Fn(f64) -> f64,
        from: f64,
        to: f64,
        coarse: f64,
        scale: f64,
        depth: u32,
    ) -> f64 {
        let middle = 0.5 * (from + to);
        let (left, right) = (self.apply(f, from, middle), self.apply(f, middle, to));
        let fine = left + right;
        // The integrand is not negative, so estimates of parts only raise that of the whole.
        let scale = scale.max(fine);
        if depth == 0 || (fine - coarse).abs() <= 1e-13 * scale || fine.is_nan() {
            return fine;
        }
        self.adapt(f, from, middle, left, scale, depth - 1)
            + self.adapt(f, middle, to, right, scale, depth - 1)
    }
}

/// Nodes and weights on [−1, 1]: Newton's method on the Legendre polynomial, from Tricomi's estimate of its roots.
pub(super) fn gauss_legendre() -> [(f64, f64); NODES] {
    let n = NODES as f64;
    std::array::from_fn(|i| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..6 {
            let (mut p, mut before) = (x, 1.0);
            for k in 2..=NODES {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = n * (before - x * p) / (1.0 - x * x);
            x -= p / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty nodes integrate polynomials of degree 39.
    #[test]
    fn rule_is_exact_for_polynomials() {
        let rule = gauss_legendre();
        for degree in 0..40 {
            let sum: f64 = rule.iter().map(|&(x, w)| w * x.powi(degree)).sum();
            let exact = f64::from(1 - degree % 2) * 2.0 / f64::from(degree + 1);
            assert!((sum - exact).abs() < 1e-14, "{degree}: {sum} {exact}");
        }
    }
}
