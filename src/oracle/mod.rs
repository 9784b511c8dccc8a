//! Noisy gradient oracles with scale (NGOS, Def. 3.1): g = ∇L(x) + σ v with E v = 0 and Cov v = Σ(x).
//!
//! The [`Innovation`] is what is drawn: once per path and step, with a law that does not know x. A [`Noise`] turns it into
//! the gradient noise v at a point. All processes of a path see the same innovation, each at its own point.

mod expression;
mod factor;
mod innovation;
mod label_noise;
mod minibatch;
mod svag;

pub use expression::ExpressionNoise;
pub use factor::{EntryLaw, Factor, FactorNoise};
pub use innovation::Innovation;
pub use label_noise::LabelNoise;
pub use minibatch::{Minibatch, MinibatchFactor};
pub use svag::Svag;

use crate::landscape::{Landscape, broadcast};
use crate::real::{LANES, Lanes};
use crate::slow_law::SlowNoise;
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// The law of the gradient noise v at scale 1.
///
/// Methods act on any number of lane groups, one after the other: `x`, `v` and `g` have d entries per group, innovations and
/// ζ have r. `scratch` has at least [`Noise::scratch`] entries.
pub trait Noise: Send + Sync {
    /// What is drawn once per path and step.
    fn innovation(&self) -> Innovation;

    /// σ v at `x` for given innovations; v has mean 0 and covariance Σ(x).
    ///
    /// v = B(x)ξ unless the law says otherwise: then the innovations have the r entries of [`brownian`](Noise::brownian).
    fn noise(
        &self,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        self.diffuse(sigma, x, innovation, v, scratch);
    }

    /// Number r of independent Brownian motions that drive the SDE with this covariance: as many as innovations, unless the law
    /// says otherwise.
    fn brownian(&self) -> usize {
        self.innovation().entries()
    }

    /// σ B(x) ζ for vectors ζ of length r, where B(x)B(x)ᵀ = Σ(x), d × r.
    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        scratch: &mut [Lanes],
    );

    /// Whether v does not depend on x (then it is computed once for all processes).
    fn additive(&self) -> bool {
        false
    }

    /// The noisy gradient ∇L(x) + σ v.
    fn gradient(
        &self,
        landscape: &dyn Landscape,
        sigma: f64,
        x: &[Lanes],
        innovation: &[Lanes],
        g: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let (v, scratch) = scratch.split_at_mut(x.len());
        landscape.gradients(x, g);
        self.noise(sigma, x, innovation, v, scratch);
        for (g, &v) in g.iter_mut().zip(v.iter()) {
            *g += v;
        }
    }

    /// tr Σ(x) of every lane group into `out`, d entries of `x` each. `scratch` has [`brownian`](Noise::brownian) + d entries more
    /// than [`scratch`](Noise::scratch).
    ///
    /// The squares of the columns of B(x) unless the law says otherwise: r times the work of [`diffuse`](Noise::diffuse).
    fn traces(&self, x: &[Lanes], out: &mut [Lanes], scratch: &mut [Lanes]) {
        let d = x.len() / out.len().max(1);
        let (unit, scratch) = scratch.split_at_mut(self.brownian());
        let (v, scratch) = scratch.split_at_mut(d);
        unit.fill(Lanes::ZERO);
        for (x, out) in x.chunks_exact(d).zip(out) {
            *out = Lanes::ZERO;
            for column in 0..unit.len() {
                unit[column] = Lanes::ONE;
                self.diffuse(1.0, x, unit, v, scratch);
                unit[column] = Lanes::ZERO;
                *out = v.iter().fold(*out, |s, &v| v.mul_add(v, s));
            }
        }
    }

    /// What closed forms of the slow SDE (4) need to know of Σ on Γ.
    fn slow_noise(&self) -> SlowNoise {
        SlowNoise::Other
    }

    /// Entries of scratch that `noise` and `diffuse` need; `gradient` gets as many as `x` has on top.
    fn scratch(&self) -> usize {
        0
    }
}

/// The tuple (L, Σ, Z_σ) of Def. 3.1.
#[derive(Clone)]
pub struct Oracle {
    /// L.
    pub landscape: Arc<dyn Landscape>,
    /// The law Z of v, with covariance Σ.
    pub noise: Arc<dyn Noise>,
}

impl Oracle {
    /// Σ(x) = B(x)B(x)ᵀ, d × d, from the factor that drives the SDE.
    pub fn covariance(&self, x: &DVector<f64>) -> DMatrix<f64> {
        let factor = self.factor(x);
        &factor * factor.transpose()
    }

    /// B(x), d × r, with Σ(x) = B(x)B(x)ᵀ: the factor that drives the SDE.
    pub fn factor(&self, x: &DVector<f64>) -> DMatrix<f64> {
        let (d, r) = (x.len(), self.noise.brownian());
        let point = broadcast(x.as_slice());
        let mut scratch = vec![Lanes::ZERO; self.noise.scratch() + d];
        let mut v = vec![Lanes::ZERO; d];
        let mut factor = DMatrix::zeros(d, r);
        // Another unit vector in every lane.
        let mut unit = vec![Lanes::ZERO; r];
        for start in (0..r).step_by(LANES) {
            let columns = start..r.min(start + LANES);
            unit.fill(Lanes::ZERO);
            for column in columns.clone() {
                unit[column].as_mut_array()[column - start] = 1.0;
            }
            self.noise.diffuse(1.0, &point, &unit, &mut v, &mut scratch);
            for column in columns {
                for (i, v) in v.iter().enumerate() {
                    factor[(i, column)] = v.as_array()[column - start];
                }
            }
        }
        factor
    }

    /// Whether the innovations are the standard normals that drive the SDE: then both share one Brownian path.
    pub fn shares_brownian_path(&self) -> bool {
        // SVAG draws twice as many.
        matches!(self.noise.innovation(), Innovation::Gaussian { entries } if entries == self.noise.brownian())
    }
}
