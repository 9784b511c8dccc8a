//! Minibatch noise: the gradient of B samples drawn with replacement, and its Gaussian twin.

use super::{Innovation, Noise};
use crate::landscape::{FiniteSum, Landscape};
use crate::real::Lanes;
use std::sync::Arc;

/// v = (1/B) Σ_b ∇ℓ_{i_b}(x) − ∇L(x), the i_b uniform with replacement; Σ(x) = Covᵢ(∇ℓᵢ(x))/B.
pub struct Minibatch {
    landscape: Arc<dyn Landscape>,
    batch: usize,
    samples: usize,
}

/// Gaussian noise with the covariance Covᵢ(∇ℓᵢ(x))/B of a minibatch: v = Σ(x)^{1/2} ξ (Cholesky).
pub struct MinibatchFactor(Minibatch);

impl Minibatch {
    /// `None` if the landscape is not a finite sum.
    pub fn new(landscape: Arc<dyn Landscape>, batch: usize) -> Option<Minibatch> {
        let samples = landscape.finite_sum()?.samples();
        Some(Minibatch {
            landscape,
            batch,
            samples,
        })
    }

    /// The Gaussian oracle with the same covariance.
    pub fn gaussian(self) -> MinibatchFactor {
        MinibatchFactor(self)
    }

    /// Σ(x)^{1/2} ζ.
    fn diffuse(&self, x: &[Lanes], zeta: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let d = x.len();
        let (covariance, scratch) = scratch.split_at_mut(d * d);
        sum.gradient_covariance(x, covariance, scratch);
        cholesky(covariance, d);
        let scale = Lanes::splat(1.0 / (self.batch as f64).sqrt());
        for (i, v) in v.iter_mut().enumerate() {
            let row = &covariance[i * d..i * d + i + 1];
            let sum = row
                .iter()
                .zip(zeta)
                .fold(Lanes::ZERO, |s, (&l, &z)| l.mul_add(z, s));
            *v = scale * sum;
        }
    }

    fn scratch(&self) -> usize {
        let d = self.landscape.dimension();
        d * d + 2 * d
    }
}

/// Lower Cholesky factor in place (lower triangle, row by row) of a positive semidefinite matrix in every lane.
///
/// A pivot at rounding level relative to its diagonal entry marks a direction without variance: its column is 0.
fn cholesky(a: &mut [Lanes], d: usize) {
    for j in 0..d {
        let diagonal = a[j * d + j];
        let pivot = (0..j).fold(diagonal, |s, k| s - a[j * d + k] * a[j * d + k]);
        let positive = pivot.simd_gt(diagonal * Lanes::splat(1e-13));
        let root = positive.select(pivot, Lanes::ZERO).sqrt();
        let inverse = positive.select(Lanes::ONE / root, Lanes::ZERO);
        a[j * d + j] = root;
        for i in j + 1..d {
            let entry = (0..j).fold(a[i * d + j], |s, k| s - a[i * d + k] * a[j * d + k]);
            a[i * d + j] = entry * inverse;
        }
    }
}

impl Noise for Minibatch {
    fn innovation(&self) -> Innovation {
        Innovation::Samples {
            entries: self.batch,
            samples: self.samples,
        }
    }

    fn noise(&self, x: &[Lanes], innovation: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let mean = &mut scratch[..x.len()];
        sum.minibatch_gradient(x, innovation, v);
        self.landscape.gradients(x, mean);
        v.iter_mut().zip(mean).for_each(|(v, m)| *v -= *m);
    }

    fn brownian(&self) -> usize {
        self.landscape.dimension()
    }

    fn diffuse(&self, x: &[Lanes], zeta: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        Minibatch::diffuse(self, x, zeta, v, scratch);
    }

    /// At σ = 1 this is the minibatch gradient itself, without a pass over all samples.
    fn gradient(
        &self,
        landscape: &dyn Landscape,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        g: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        sum.minibatch_gradient(x, innovation, g);
        if sigma != 1.0 {
            let mean = &mut scratch[..x.len()];
            landscape.gradients(x, mean);
            let (sigma, rest) = (Lanes::splat(sigma), Lanes::splat(1.0 - sigma));
            for (g, &m) in g.iter_mut().zip(mean.iter()) {
                *g = sigma.mul_add(*g, rest * m);
            }
        }
    }

    fn scratch(&self) -> usize {
        Minibatch::scratch(self)
    }
}

impl Noise for MinibatchFactor {
    fn innovation(&self) -> Innovation {
        Innovation::Gaussian {
            entries: self.brownian(),
        }
    }

    fn noise(&self, x: &[Lanes], innovation: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        self.0.diffuse(x, innovation, v, scratch);
    }

    fn brownian(&self) -> usize {
        self.0.landscape.dimension()
    }

    fn diffuse(&self, x: &[Lanes], zeta: &[Lanes], v: &mut [Lanes], scratch: &mut [Lanes]) {
        self.0.diffuse(x, zeta, v, scratch);
    }

    fn scratch(&self) -> usize {
        self.0.scratch()
    }
}
