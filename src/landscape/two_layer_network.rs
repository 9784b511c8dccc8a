//! Two-layer network f(z) = Σⱼ cⱼ φ(wⱼᵀz + bⱼ) with a smooth activation, on real data.

use super::{DataError, DataSet, LandscapeError, Model, SquaredLoss};
use crate::real::Real;
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The most hidden units of a [`HiddenLayer`]: gradients keep the activations on the stack.
const MAX_UNITS: usize = 64;

/// The activation φ of the hidden units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// tanh z.
    Tanh,
    /// log(1 + eᶻ).
    Softplus,
}

impl Activation {
    #[inline(always)]
    fn value<R: Real>(self, z: R) -> R {
        match self {
            Self::Tanh => z.tanh(),
            Self::Softplus => z.softplus(),
        }
    }

    /// φ and φ′.
    #[inline(always)]
    fn slope<R: Real>(self, z: R) -> (R, R) {
        let one = R::constant(1.0);
        match self {
            Self::Tanh => {
                let t = z.tanh();
                (t, (one - t) * (one + t))
            }
            Self::Softplus => (z.softplus(), z.sigmoid()),
        }
    }

    /// φ′, φ″, φ‴.
    #[inline(always)]
    fn derivatives<R: Real>(self, z: R) -> (R, R, R) {
        let (one, two) = (R::constant(1.0), R::constant(2.0));
        match self {
            Self::Tanh => {
                let t = z.tanh();
                let first = (one - t) * (one + t);
                let third = R::constant(6.0) * t * t - two;
                (first, -(two * t * first), third * first)
            }
            Self::Softplus => {
                let s = z.sigmoid();
                let second = s * (one - s);
                (s, second, second * (one - two * s))
            }
        }
    }
}

/// The model f(z, x) = Σⱼ cⱼ φ(wⱼᵀz + bⱼ) with h hidden units and q inputs.
///
/// Parameters unit by unit: x = (w₁, b₁, c₁, w₂, b₂, c₂, …), d = h(q + 2). With z̃ = (z, 1) and w̃ⱼ = (wⱼ, bⱼ), unit j
/// has ∂f/∂w̃ⱼ = cⱼφ′z̃ and ∂f/∂cⱼ = φ; ∇²f has one block a unit, (cⱼφ″z̃z̃ᵀ, φ′z̃; φ′z̃ᵀ, 0). All derivatives cost
/// O(d) or, for ∇²f and contractions with it, O(d(q + 2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenLayer {
    inputs: usize,
    units: usize,
    activation: Activation,
}

impl HiddenLayer {
    /// q = `inputs` ≥ 1, h = `units` between 1 and 64.
    ///
    /// # Errors
    /// q or h out of range.
    pub fn new(
        inputs: usize,
        units: usize,
        activation: Activation,
    ) -> Result<HiddenLayer, LandscapeError> {
        if inputs == 0 {
            return Err(LandscapeError::Empty {
                what: "the input of the network",
            });
        }
        if units == 0 || units > MAX_UNITS {
            return Err(LandscapeError::OutOfRange {
                what: "the number of hidden units",
                value: units as f64,
                allowed: "1 to 64",
            });
        }
        Ok(HiddenLayer {
            inputs,
            units,
            activation,
        })
    }

    /// q.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// h.
    pub fn units(&self) -> usize {
        self.units
    }

    /// φ.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Random parameters: the weights w with entries N(0, 1/q), biases N(0, 1), c with N(0, 1/h), all times `scale`:
    /// outputs of order one for standardised inputs. A function of the arguments alone.
    pub fn random_parameters(&self, scale: f64, seed: u64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let inner = 1.0 / (self.inputs as f64).sqrt();
        let outer = 1.0 / (self.units as f64).sqrt();
        let deviation = |i: usize| match i % (self.inputs + 2) {
            i if i < self.inputs => inner,
            i if i == self.inputs => 1.0,
            _ => outer,
        };
        (0..self.dimension())
            .map(|i| {
                let normal: f64 = StandardNormal.sample(&mut random);
                scale * deviation(i) * normal
            })
            .collect()
    }

    /// wᵀz + b of one unit with parameters `unit`.
    #[inline(always)]
    fn preactivation<R: Real>(&self, z: &impl Fn(usize) -> R, unit: &[R]) -> R {
        let (weights, rest) = unit.split_at(self.inputs);
        let weights = weights.iter().enumerate();
        weights.fold(rest[0], |s, (k, &w)| z(k).mul_add(w, s))
    }

    /// z̃ₖ: the input, then the one of the bias.
    #[inline(always)]
    fn extended<R: Real>(&self, z: &impl Fn(usize) -> R, k: usize) -> R {
        if k < self.inputs {
            z(k)
        } else {
            R::constant(1.0)
        }
    }
}

/// L(x) = (1/2n) Σᵢ (f(zᵢ, x) − yᵢ)² for the network of [`HiddenLayer`], with more parameters than samples, d > n.
///
/// Γ = {f(zᵢ, x) = yᵢ for all i}: where the gradients ∇fᵢ are linearly independent it is a manifold of dimension d − n, on
/// which ∇²L has rank n. Independence holds almost everywhere for distinct inputs and enough units, and fails where units
/// coincide or die (cⱼ = 0 and wⱼ = 0): do not start with all units equal. No closed form of Φ.
pub type TwoLayerNetwork = SquaredLoss<HiddenLayer>;

impl TwoLayerNetwork {
    /// `inputs`: zᵢ, n × q; `targets`: y, length n; `units`: h hidden units with h(q + 2) > n.
    ///
    /// # Errors
    /// d ≤ n, more than 64 units, no sample, lengths that differ, a number that is not finite.
    pub fn new(
        inputs: &DMatrix<f64>,
        targets: Vec<f64>,
        units: usize,
        activation: Activation,
    ) -> Result<TwoLayerNetwork, LandscapeError> {
        let model = HiddenLayer::new(inputs.ncols(), units, activation)?;
        if inputs.nrows() >= model.dimension() {
            return Err(LandscapeError::NotOverparametrised {
                what: "parameters",
                samples: inputs.nrows(),
                freedom: model.dimension(),
            });
        }
        SquaredLoss::of_model(model, inputs, targets)
    }
}

impl DataSet {
    /// The two-layer network with `units` hidden units on these rows. The network has its own biases: read the data
    /// without an intercept.
    ///
    /// # Errors
    /// See [`TwoLayerNetwork::new`].
    pub fn into_two_layer_network(
        self,
        units: usize,
        activation: Activation,
    ) -> Result<TwoLayerNetwork, DataError> {
        let path = self.path;
        TwoLayerNetwork::new(&self.design, self.targets, units, activation)
            .map_err(|source| DataError::Landscape { path, source })
    }
}

impl Model for HiddenLayer {
    fn dimension(&self) -> usize {
        self.units * (self.inputs + 2)
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    #[inline(always)]
    fn output<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> R {
        let mut sum = R::constant(0.0);
        for unit in x.chunks_exact(self.inputs + 2) {
            let c = unit[self.inputs + 1];
            sum = c.mul_add(self.activation.value(self.preactivation(&z, unit)), sum);
        }
        sum
    }

    #[inline(always)]
    fn add_gradient<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        weight: impl FnOnce(R) -> R,
        out: &mut [R],
    ) {
        let q = self.inputs;
        let zero = R::constant(0.0);
        let mut activations = [(zero, zero); MAX_UNITS];
        let mut sum = zero;
        for (unit, kept) in x.chunks_exact(q + 2).zip(&mut activations) {
            *kept = self.activation.slope(self.preactivation(&z, unit));
            sum = unit[q + 1].mul_add(kept.0, sum);
        }
        let weight = weight(sum);
        let units = x.chunks_exact(q + 2).zip(out.chunks_exact_mut(q + 2));
        for ((unit, out), &(value, slope)) in units.zip(&activations) {
            let pull = weight * unit[q + 1] * slope;
            let (weights, rest) = out.split_at_mut(q);
            for (k, out) in weights.iter_mut().enumerate() {
                *out = pull.mul_add(z(k), *out);
            }
            rest[0] = rest[0] + pull;
            rest[1] = weight.mul_add(value, rest[1]);
        }
    }

    fn add_hessian<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], weight: R, h: &mut [R]) {
        let (q, d) = (self.inputs, x.len());
        for (j, unit) in x.chunks_exact(q + 2).enumerate() {
            let (first, second, _) = self.activation.derivatives(self.preactivation(&z, unit));
            let (slope, bend) = (weight * first, weight * unit[q + 1] * second);
            let start = j * (q + 2);
            for k in 0..=q {
                let z_k = self.extended(&z, k);
                let row = &mut h[(start + k) * d + start..][..q + 2];
                for (l, h) in row[..=q].iter_mut().enumerate().skip(k) {
                    *h = (bend * z_k).mul_add(self.extended(&z, l), *h);
                }
                row[q + 1] = slope.mul_add(z_k, row[q + 1]);
            }
        }
    }

    fn add_curvature<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R], v: &[R], out: &mut [R]) {
        let q = self.inputs;
        let units = x.chunks_exact(q + 2).zip(v.chunks_exact(q + 2));
        for ((unit, v), out) in units.zip(out.chunks_exact_mut(q + 2)) {
            let (first, second, _) = self.activation.derivatives(self.preactivation(&z, unit));
            let along = (0..q).fold(v[q], |s, k| z(k).mul_add(v[k], s));
            let pull = unit[q + 1] * second * along + first * v[q + 1];
            for (k, out) in out[..=q].iter_mut().enumerate() {
                *out = pull.mul_add(self.extended(&z, k), *out);
            }
            out[q + 1] = first.mul_add(along, out[q + 1]);
        }
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
        let (q, d, two) = (self.inputs, x.len(), R::constant(2.0));
        let zero = R::constant(0.0);
        let mut total = zero;
        for (j, unit) in x.chunks_exact(q + 2).enumerate() {
            let (first, second, third) = self.activation.derivatives(self.preactivation(&z, unit));
            let c = unit[q + 1];
            let start = j * (q + 2);
            // The block of M: z̃ᵀ M_w̃w̃ z̃ and z̃ᵀ M_w̃c; and z̃ᵀ v_w̃.
            let (mut form, mut mixed, mut along) = (zero, zero, zero);
            for k in 0..=q {
                let z_k = self.extended(&z, k);
                let row = &m[(start + k) * d + start..][..q + 2];
                let mut inner = zero;
                for (l, &m) in row[..=q].iter().enumerate() {
                    inner = self.extended(&z, l).mul_add(m, inner);
                }
                form = z_k.mul_add(inner, form);
                mixed = z_k.mul_add(row[q + 1], mixed);
                along = z_k.mul_add(v[start + k], along);
            }
            let v_c = v[start + q + 1];
            let pull = residual * (c * third * form + two * second * mixed)
                + two * (c * second * along + first * v_c);
            for k in 0..=q {
                let out = &mut out[start + k];
                *out = pull.mul_add(self.extended(&z, k), *out);
            }
            let out = &mut out[start + q + 1];
            *out = *out + residual * second * form + two * first * along;
            total = total + c * second * form + two * first * mixed;
        }
        total
    }

    /// With z̃ = (z, 1): ‖∇f‖² = Σⱼ (cⱼ²φ′²‖z̃‖² + φ²), tr ∇²f = Σⱼ cⱼφ″‖z̃‖².
    #[inline(always)]
    fn sizes<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> [R; 3] {
        let (q, zero) = (self.inputs, R::constant(0.0));
        let length = (0..q).fold(R::constant(1.0), |s, k| z(k).mul_add(z(k), s));
        let (mut f, mut square, mut trace) = (zero, zero, zero);
        for unit in x.chunks_exact(q + 2) {
            let (c, a) = (unit[q + 1], self.preactivation(&z, unit));
            let (value, slope) = self.activation.slope(a);
            let (_, second, _) = self.activation.derivatives(a);
            f = c.mul_add(value, f);
            square = square + (c * slope).square() * length + value * value;
            trace = (c * second).mul_add(length, trace);
        }
        [f, square, trace]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_networks_are_refused() {
        let build = |n: usize, q: usize, units: usize| {
            let inputs = DMatrix::from_element(n, q, 1.0);
            TwoLayerNetwork::new(&inputs, vec![0.0; n], units, Activation::Tanh)
                .expect_err("must be refused")
        };
        for units in [0, 65] {
            let refused = build(3, 2, units);
            assert!(matches!(refused, LandscapeError::OutOfRange { .. }));
        }
        assert!(matches!(build(3, 0, 2), LandscapeError::Empty { .. }));
        assert!(matches!(
            build(12, 2, 3),
            LandscapeError::NotOverparametrised { freedom: 12, .. }
        ));
        assert!(matches!(build(0, 2, 3), LandscapeError::Empty { .. }));
    }

    /// Scales as documented; the same seed, the same parameters.
    #[test]
    fn random_parameters_have_their_scales() -> Result<(), LandscapeError> {
        let layer = HiddenLayer::new(100, 64, Activation::Softplus)?;
        let x = layer.random_parameters(2.0, 5);
        assert_eq!(x, layer.random_parameters(2.0, 5));
        let mean_square = |range: std::ops::Range<usize>| {
            let chosen = x
                .iter()
                .enumerate()
                .filter(|(i, _)| range.contains(&(i % 102)));
            let (sum, count) = chosen.fold((0.0, 0.0), |(s, n), (_, x)| (s + x * x, n + 1.0));
            sum / count
        };
        // χ² with 64 degrees of freedom: deviation √(2/64) = 0.18 of the mean; six of them.
        for (range, expected) in [(0..100, 0.04), (100..101, 4.0), (101..102, 4.0 / 64.0)] {
            let found = mean_square(range);
            assert!(
                (found / expected - 1.0).abs() < 1.1,
                "{found} for {expected}"
            );
        }
        Ok(())
    }
}
