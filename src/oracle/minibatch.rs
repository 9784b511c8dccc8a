//! Minibatch noise: the gradient of B samples drawn with replacement, and its Gaussian twin.

use super::{Innovation, Noise};
use crate::landscape::Landscape;
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

    /// `sigma` times the minibatch gradients minus `shift` times the full gradients.
    fn blend(
        &self,
        sigma: f64,
        shift: f64,
        x: &[Lanes],
        indices: &[Lanes],
        g: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let d = self.landscape.dimension();
        let mean = &mut scratch[..d];
        let (scale, weight) = (Lanes::splat(sigma), Lanes::splat(-shift));
        let groups = x.chunks_exact(d).zip(indices.chunks_exact(self.batch));
        for (g, (x, indices)) in g.chunks_exact_mut(d).zip(groups) {
            sum.minibatch_gradient(x, indices, g);
            if shift != 0.0 {
                self.landscape.gradients(x, mean);
                for (g, &m) in g.iter_mut().zip(mean.iter()) {
                    *g = scale.mul_add(*g, weight * m);
                }
            }
        }
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

    fn noise(
        &self,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        if sigma == 0.0 {
            v.fill(Lanes::ZERO);
        } else {
            self.blend(sigma, sigma, x, innovation, v, scratch);
        }
    }

    fn brownian(&self) -> usize {
        self.landscape.dimension()
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let d = self.landscape.dimension();
        let (covariance, scratch) = scratch.split_at_mut(d * d);
        let scale = Lanes::splat(sigma / (self.batch as f64).sqrt());
        let groups = x.chunks_exact(d).zip(zeta.chunks_exact(d));
        for (v, (x, zeta)) in v.chunks_exact_mut(d).zip(groups) {
            sum.gradient_covariance(x, covariance, scratch);
            cholesky(covariance, d);
            for (i, v) in v.iter_mut().enumerate() {
                let row = &covariance[i * d..i * d + i + 1];
                let sum = row
                    .iter()
                    .zip(zeta)
                    .fold(Lanes::ZERO, |s, (&l, &z)| l.mul_add(z, s));
                *v = scale * sum;
            }
        }
    }

    /// At σ = 1 this is the minibatch gradient itself, without a pass over all samples.
    fn gradient(
        &self,
        _landscape: &dyn Landscape,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        g: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        self.blend(sigma, sigma - 1.0, x, innovation, g, scratch);
    }

    fn traces(&self, x: &[Lanes], out: &mut [Lanes], scratch: &mut [Lanes]) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let d = self.landscape.dimension();
        let (covariance, scratch) = scratch.split_at_mut(d * d);
        let inverse = Lanes::splat(1.0 / self.batch as f64);
        for (x, out) in x.chunks_exact(d).zip(out) {
            sum.gradient_covariance(x, covariance, scratch);
            let diagonal = covariance.iter().step_by(d + 1);
            *out = diagonal.fold(Lanes::ZERO, |s, &c| s + c) * inverse;
        }
    }

    fn scratch(&self) -> usize {
        let d = self.landscape.dimension();
        d * d + 2 * d
    }
}

impl Noise for MinibatchFactor {
    fn innovation(&self) -> Innovation {
        Innovation::Gaussian {
            entries: self.0.brownian(),
        }
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        self.0.diffuse(sigma, x, zeta, v, scratch);
    }

    fn traces(&self, x: &[Lanes], out: &mut [Lanes], scratch: &mut [Lanes]) {
        self.0.traces(x, out, scratch);
    }

    fn scratch(&self) -> usize {
        self.0.scratch()
    }
}
