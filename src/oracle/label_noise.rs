//! Label noise: every step sees all n samples with freshly perturbed targets.

use super::factor::EntryLaw;
use super::{Innovation, Noise};
use crate::landscape::Landscape;
use crate::real::Lanes;
use nalgebra::DMatrix;
use std::sync::Arc;

/// v = −(1/n) Σᵢ ξᵢ ∇fᵢ(x), with ξᵢ of mean 0 and standard deviation δ (theory: NGOS; Sec. 5 label-noise examples).
///
/// Σ(x) = (δ²/n²) Σᵢ ∇fᵢ∇fᵢᵀ; where the residuals vanish this is (δ²/n)∇²L.
pub struct LabelNoise {
    landscape: Arc<dyn Landscape>,
    deviation: f64,
    innovation: Innovation,
    /// For models linear in x: a square root of Σ, d × d, so that the SDE needs d instead of n Brownian motions.
    root: Option<DMatrix<f64>>,
}

impl LabelNoise {
    /// `None` if the landscape is not a finite sum of squared losses.
    pub fn new(landscape: Arc<dyn Landscape>, deviation: f64, law: EntryLaw) -> Option<LabelNoise> {
        let sum = landscape.finite_sum().filter(|s| s.squared_loss())?;
        let entries = sum.samples();
        let innovation = match law {
            EntryLaw::Gaussian => Innovation::Gaussian { entries },
            EntryLaw::Rademacher => Innovation::Rademacher { entries },
            EntryLaw::Student { freedom } => Innovation::Student { entries, freedom },
        };
        let root = sum.constant_output_gradients().map(|j| {
            let eigen = (&j * j.transpose() * (deviation * deviation)).symmetric_eigen();
            let roots = eigen.eigenvalues.map(|l| l.max(0.0).sqrt());
            &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
        });
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
        _scratch: &mut [Lanes],
    ) {
        self.combine(sigma, x, innovation, v);
    }

    fn brownian(&self) -> usize {
        // Shared with the discrete run where the labels are Gaussian; else the smaller factor serves.
        match (&self.root, self.innovation) {
            (Some(root), Innovation::Rademacher { .. } | Innovation::Student { .. }) => {
                root.ncols()
            }
            _ => self.innovation.entries(),
        }
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        _scratch: &mut [Lanes],
    ) {
        let r = self.brownian();
        match &self.root {
            Some(root) if r == root.ncols() => {
                for (v, zeta) in v.chunks_exact_mut(r).zip(zeta.chunks_exact(r)) {
                    v.fill(Lanes::ZERO);
                    for (column, &z) in root.column_iter().zip(zeta) {
                        for (v, &b) in v.iter_mut().zip(column.iter()) {
                            *v = Lanes::splat(sigma * b).mul_add(z, *v);
                        }
                    }
                }
            }
            _ => self.combine(sigma, x, zeta, v),
        }
    }

    fn additive(&self) -> bool {
        self.root.is_some()
    }
}
