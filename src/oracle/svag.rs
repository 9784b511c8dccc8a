//! SVAG (Def. 6.1): two independent noisy gradients, mixed so that the mean stays and the covariance is ℓ times as large.

use super::{Innovation, Noise};
use crate::landscape::Landscape;
use crate::real::Lanes;
use crate::slow_law::SlowNoise;
use std::sync::Arc;

/// The law of v where g = ∇L + σv is r₁g₁ + r₂g₂ of Def. 6.1: g₁ and g₂ are independent answers of the oracle behind it at noise
/// scale σ/√ℓ, and r₁,₂ = ½(1 ± √(2ℓ−1)).
///
/// As r₁ + r₂ = 1 and r₁² + r₂² = ℓ, v = (r₁v₁ + r₂v₂)/√ℓ has mean 0 and the covariance Σ of the law behind it; its higher
/// cumulants differ. So SVAG of an oracle of scale σ₀ is this law at σ = √ℓ σ₀. At ℓ = 1 it is the oracle itself, on the first of
/// the two draws.
pub struct Svag {
    base: Arc<dyn Noise>,
    dimension: usize,
    /// √ℓ.
    root: f64,
    weights: [f64; 2],
}

impl Svag {
    /// SVAG with multiplier `ell` of an oracle on ℝᵈ, d = `dimension`; `None` unless ℓ is finite and at least 1.
    pub fn new(base: Arc<dyn Noise>, dimension: usize, ell: f64) -> Option<Svag> {
        let apart = (2.0 * ell - 1.0).sqrt();
        (ell >= 1.0 && ell.is_finite()).then(|| Svag {
            base,
            dimension,
            root: ell.sqrt(),
            weights: [0.5 * (1.0 + apart), 0.5 * (1.0 - apart)],
        })
    }

    /// r₁ and r₂ times what `ask` makes of the two halves of the innovations, group by group: `ask` gets x, the half, where its
    /// answer goes, and scratch.
    fn mix(
        &self,
        x: &[Lanes],
        innovation: &[Lanes],
        out: &mut [Lanes],
        scratch: &mut [Lanes],
        ask: impl Fn(&[Lanes], &[Lanes], &mut [Lanes], &mut [Lanes]),
    ) {
        let (d, r) = (self.dimension, self.base.innovation().entries());
        let (second, scratch) = scratch.split_at_mut(d);
        let [first_weight, second_weight] = self.weights.map(Lanes::splat);
        for (j, out) in out.chunks_exact_mut(d).enumerate() {
            // An additive law does not look at x, which may be empty.
            let x = x.get(j * d..(j + 1) * d).unwrap_or(&[]);
            let (a, b) = innovation[2 * r * j..2 * r * (j + 1)].split_at(r);
            ask(x, a, out, scratch);
            ask(x, b, second, scratch);
            for (g, &s) in out.iter_mut().zip(second.iter()) {
                *g = first_weight.mul_add(*g, second_weight * s);
            }
        }
    }
}

impl Noise for Svag {
    fn innovation(&self) -> Innovation {
        self.base.innovation().twice()
    }

    fn noise(
        &self,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let base = sigma / self.root;
        self.mix(x, innovation, v, scratch, |x, half, v, scratch| {
            self.base.noise(base, x, half, v, scratch);
        });
    }

    fn brownian(&self) -> usize {
        self.base.brownian()
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        self.base.diffuse(sigma, x, zeta, v, scratch);
    }

    fn additive(&self) -> bool {
        self.base.additive()
    }

    fn gradient(
        &self,
        landscape: &dyn Landscape,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        g: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let base = sigma / self.root;
        self.mix(x, innovation, g, scratch, |x, half, g, scratch| {
            self.base.gradient(landscape, base, x, half, g, scratch);
        });
    }

    fn traces(&self, x: &[Lanes], out: &mut [Lanes], scratch: &mut [Lanes]) {
        self.base.traces(x, out, scratch);
    }

    fn slow_noise(&self) -> SlowNoise {
        self.base.slow_noise()
    }

    fn scratch(&self) -> usize {
        self.dimension + self.base.scratch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::{Regression, RegressionLoss, broadcast};
    use crate::oracle::{EntryLaw, Factor, FactorNoise, Minibatch, Oracle};
    use crate::random::{LaneRng, Purpose, StreamKey};
    use nalgebra::{DMatrix, DVector};

    const SAMPLES: usize = 5;

    fn regression() -> Arc<dyn Landscape> {
        let inputs = DMatrix::from_fn(SAMPLES, 2, |i, j| ((3 * i + 2 * j) % 7) as f64 - 2.5);
        let targets = (0..SAMPLES).map(|i| (i * i % 3) as f64).collect();
        Arc::new(Regression::new(inputs, targets, RegressionLoss::LeastSquares, 0.1).unwrap())
    }

    /// The answer of a law at σ on given draws (one for all lanes).
    fn answer(
        noise: &dyn Noise,
        landscape: &dyn Landscape,
        sigma: f64,
        x: &[f64],
        draws: &[f64],
    ) -> DVector<f64> {
        let x = broadcast(x);
        let draws: Vec<Lanes> = draws.iter().map(|&i| Lanes::splat(i)).collect();
        let mut g = vec![Lanes::ZERO; x.len()];
        let mut scratch = vec![Lanes::ZERO; x.len() + noise.scratch()];
        noise.gradient(landscape, sigma, &x, &draws, &mut g, &mut scratch);
        DVector::from_iterator(x.len(), g.iter().map(|g| g.to_array()[0]))
    }

    /// All pairs of samples, one by one: the mean is ∇L, the covariance ℓσ₀² times that of one sample. Nothing is drawn.
    #[test]
    fn every_pair_of_samples_has_the_mean_and_covariance_of_the_definition() {
        let landscape = regression();
        let x = [0.7, -1.3];
        let base: Arc<dyn Noise> = Arc::new(Minibatch::new(landscape.clone(), 1).unwrap());
        let mut gradient = vec![0.0; 2];
        landscape.gradient_at(&x, &mut gradient);
        let gradient = DVector::from_vec(gradient);
        let single: Vec<DVector<f64>> = (0..SAMPLES)
            .map(|i| answer(&*base, &*landscape, 1.0, &x, &[i as f64]) - &gradient)
            .collect();
        let outer = |v: &DVector<f64>| v * v.transpose();
        let covariance = single.iter().map(outer).sum::<DMatrix<f64>>() / SAMPLES as f64;
        for ell in [1.0, 2.0, 4.0, 7.5, 64.0] {
            for base_scale in [1.0, 0.3] {
                let svag = Svag::new(base.clone(), 2, ell).unwrap();
                let sigma = ell.sqrt() * base_scale;
                let mut mean = DVector::zeros(2);
                let mut second = DMatrix::zeros(2, 2);
                for i in 0..SAMPLES {
                    for j in 0..SAMPLES {
                        let draws = [i as f64, j as f64];
                        let v = answer(&svag, &*landscape, sigma, &x, &draws) - &gradient;
                        second += outer(&v) / (SAMPLES * SAMPLES) as f64;
                        mean += v / (SAMPLES * SAMPLES) as f64;
                    }
                }
                let wanted = &covariance * (ell * base_scale * base_scale);
                assert!(mean.amax() < 1e-12 * wanted.amax().sqrt(), "{ell}: {mean}");
                assert!((&second - &wanted).amax() < 1e-12 * wanted.amax(), "{ell}");
            }
        }
        let oracle = |noise: Arc<dyn Noise>| Oracle {
            landscape: landscape.clone(),
            noise,
        };
        let point = DVector::from_row_slice(&x);
        let driven = oracle(Arc::new(Svag::new(base.clone(), 2, 4.0).unwrap())).covariance(&point);
        assert!((driven - &covariance).amax() < 1e-12 * covariance.amax());
        assert!(Svag::new(base.clone(), 2, 0.99).is_none());
        assert!(Svag::new(base, 2, f64::NAN).is_none());
    }

    /// ℓ = 1 is the oracle itself bit for bit, on the first draw, whatever the second is; several groups keep to themselves.
    #[test]
    fn one_is_the_oracle_itself() {
        let landscape = regression();
        let groups = 3;
        for law in [EntryLaw::Gaussian, EntryLaw::Student { freedom: 5.0 }] {
            let factor = Factor::Matrix(DMatrix::from_row_slice(2, 3, &[1., 0., 2., -1., 0.5, 0.]));
            let base: Arc<dyn Noise> = Arc::new(FactorNoise::new(factor, law, 2));
            let svag = Svag::new(base.clone(), 2, 1.0).unwrap();
            let key = StreamKey { seed: 9, cell: 0 };
            let mut rngs: Vec<LaneRng> = (0..groups)
                .map(|j| LaneRng::new(key, Purpose::Innovation, j * 8))
                .collect();
            let mut both = vec![Lanes::ZERO; svag.innovation().entries() * groups as usize];
            svag.innovation().draw(&mut rngs, &mut both);
            let first: Vec<Lanes> = both.chunks(6).flat_map(|c| c[..3].to_vec()).collect();
            let x: Vec<Lanes> = both.chunks(6).flat_map(|c| c[4..].to_vec()).collect();
            let ask = |noise: &dyn Noise, draws: &[Lanes]| {
                let mut g = vec![Lanes::ZERO; x.len()];
                let mut scratch = vec![Lanes::ZERO; x.len() + noise.scratch()];
                noise.gradient(&*landscape, 1.7, &x, draws, &mut g, &mut scratch);
                let numbers = g.iter().flat_map(|g| g.to_array().map(f64::to_bits));
                numbers.collect::<Vec<u64>>()
            };
            assert_eq!(ask(&svag, &both), ask(&*base, &first));
        }
    }
}
