//! Label noise: every step sees all n samples with freshly perturbed targets.

use super::factor::EntryLaw;
use super::{Innovation, Noise};
use crate::landscape::Landscape;
use crate::real::Lanes;
use crate::slow_law::SlowNoise;
use nalgebra::DMatrix;
use std::sync::Arc;

/// v = −(1/n) Σᵢ ξᵢ ∇fᵢ(x), with ξᵢ of mean 0 and standard deviation δ (theory: NGOS; Sec. 5 label-noise examples).
///
/// Σ(x) = (δ²/n²) Σᵢ ∇fᵢ∇fᵢᵀ; where the residuals vanish this is (δ²/n)∇²L.
pub struct LabelNoise {
    landscape: Arc<dyn Landscape>,
    deviation: f64,
    innovation: Innovation,
    /// For models linear in x: a square root of Σ, d × d, so that the SDE and Gaussian labels need d instead of n normals.
    root: Option<DMatrix<f64>>,
}

impl LabelNoise {
    /// `None` if the landscape is not a finite sum of squared losses.
    pub fn new(landscape: Arc<dyn Landscape>, deviation: f64, law: EntryLaw) -> Option<LabelNoise> {
        let sum = landscape.finite_sum().filter(|s| s.squared_loss())?;
        let root = sum.constant_output_gradients().map(|j| {
            let eigen = (&j * j.transpose() * (deviation * deviation)).symmetric_eigen();
            let roots = eigen.eigenvalues.map(|l| l.max(0.0).sqrt());
            &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
        });
        let entries = match (law, &root) {
            // A constant combination of n normals is one of d normals.
            (EntryLaw::Gaussian, Some(root)) => root.ncols(),
            _ => sum.samples(),
        };
        let innovation = law.innovation(entries);
        Some(LabelNoise {
            landscape,
            deviation,
            innovation,
            root,
        })
    }

    fn combine(&self, sigma: f64, x: &[Lanes], weights: &[Lanes], v: &mut [Lanes]) {
        let Some(sum) = self.landscape.finite_sum() else {
            return;
        };
        let d = self.landscape.dimension();
        let groups = x.chunks_exact(d).zip(weights.chunks_exact(sum.samples()));
        for (v, (x, weights)) in v.chunks_exact_mut(d).zip(groups) {
            sum.output_combination(x, weights, v);
        }
        let scale = Lanes::splat(-sigma * self.deviation);
        v.iter_mut().for_each(|v| *v *= scale);
    }
}

impl Noise for LabelNoise {
    fn innovation(&self) -> Innovation {
        self.innovation
    }

    fn noise(
        &self,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        match self.innovation {
            Innovation::Gaussian { .. } => self.diffuse(sigma, x, innovation, v, scratch),
            _ => self.combine(sigma, x, innovation, v),
        }
    }

    fn brownian(&self) -> usize {
        self.root
            .as_ref()
            .map_or(self.innovation.entries(), DMatrix::ncols)
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        _scratch: &mut [Lanes],
    ) {
        let Some(root) = &self.root else {
            return self.combine(sigma, x, zeta, v);
        };
        let r = root.ncols();
        for (v, zeta) in v.chunks_exact_mut(r).zip(zeta.chunks_exact(r)) {
            v.fill(Lanes::ZERO);
            for (column, &z) in root.column_iter().zip(zeta) {
                for (v, &b) in v.iter_mut().zip(column.iter()) {
                    *v = Lanes::splat(sigma * b).mul_add(z, *v);
                }
            }
        }
    }

    /// c = δ²/n, where the residuals vanish.
    fn slow_noise(&self) -> SlowNoise {
        let samples = self.landscape.finite_sum().map_or(1, |s| s.samples());
        SlowNoise::Hessian(self.deviation * self.deviation / samples as f64)
    }

    fn additive(&self) -> bool {
        self.root.is_some()
    }
}
