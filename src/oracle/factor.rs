//! Noise v = B(x) ξ with independent standardised entries ξ: Gaussian, Rademacher or Student-t.

use super::{Innovation, Noise};
use crate::real::Lanes;
use crate::slow_law::SlowNoise;
use nalgebra::DMatrix;

/// The factor B(x), d × r, with Σ(x) = B(x)B(x)ᵀ.
#[derive(Clone, Debug, PartialEq)]
pub enum Factor {
    /// B = s·I.
    Isotropic(f64),
    /// B = diag(s₁, …, s_d).
    Diagonal(Vec<f64>),
    /// A constant d × r matrix.
    Matrix(DMatrix<f64>),
    /// B(x) = s·diag(x₁, …, x_d): noise proportional to the parameters, as in regression without label error.
    Multiplicative(f64),
    /// B(x) = s·√(1 + ‖x‖²)·I: grows with the distance from the origin, but smooth and bounded below.
    Growing(f64),
}

/// Noise with a given factor and law of the innovation.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorNoise {
    factor: Factor,
    innovation: Innovation,
    /// Columns of the matrix, if any, one after the other.
    columns: Vec<f64>,
    dimension: usize,
}

/// The law of the entries of ξ; each has mean 0 and variance 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EntryLaw {
    /// Standard normal.
    Gaussian,
    /// ±1.
    Rademacher,
    /// Student's t with ν > 2 degrees of freedom, standardised.
    Student {
        /// ν.
        freedom: f64,
    },
}

impl EntryLaw {
    /// A vector of independent entries.
    pub(super) fn innovation(self, entries: usize) -> Innovation {
        match self {
            EntryLaw::Gaussian => Innovation::Gaussian { entries },
            EntryLaw::Rademacher => Innovation::Rademacher { entries },
            EntryLaw::Student { freedom } => Innovation::Student { entries, freedom },
        }
    }
}

impl FactorNoise {
    /// `dimension` is d; a matrix must have d rows and a diagonal d entries (the caller has checked this).
    pub fn new(factor: Factor, law: EntryLaw, dimension: usize) -> FactorNoise {
        let entries = match &factor {
            Factor::Matrix(m) => m.ncols(),
            _ => dimension,
        };
        let innovation = law.innovation(entries);
        let columns = match &factor {
            Factor::Matrix(m) => m.as_slice().to_vec(),
            _ => vec![],
        };
        FactorNoise {
            factor,
            innovation,
            columns,
            dimension,
        }
    }
}

impl Noise for FactorNoise {
    fn innovation(&self) -> Innovation {
        self.innovation
    }

    fn diffuse(
        &self,
        sigma: f64,
        x: &[Lanes],
        zeta: &[Lanes],
        v: &mut [Lanes],
        _scratch: &mut [Lanes],
    ) {
        let (d, r) = (self.dimension, self.innovation.entries());
        match &self.factor {
            Factor::Isotropic(s) => {
                let s = Lanes::splat(sigma * s);
                v.iter_mut().zip(zeta).for_each(|(v, &z)| *v = s * z);
            }
            Factor::Diagonal(s) => {
                for (v, zeta) in v.chunks_exact_mut(d).zip(zeta.chunks_exact(d)) {
                    for ((v, &z), &s) in v.iter_mut().zip(zeta).zip(s) {
                        *v = Lanes::splat(sigma * s) * z;
                    }
                }
            }
            Factor::Matrix(_) => {
                for (v, zeta) in v.chunks_exact_mut(d).zip(zeta.chunks_exact(r)) {
                    v.fill(Lanes::ZERO);
                    for (column, &z) in self.columns.chunks_exact(d).zip(zeta) {
                        for (v, &b) in v.iter_mut().zip(column) {
                            *v = Lanes::splat(sigma * b).mul_add(z, *v);
                        }
                    }
                }
            }
            Factor::Multiplicative(s) => {
                let s = Lanes::splat(sigma * s);
                for ((v, &z), &x) in v.iter_mut().zip(zeta).zip(x) {
                    *v = s * x * z;
                }
            }
            Factor::Growing(s) => {
                let groups = x.chunks_exact(d).zip(zeta.chunks_exact(d));
                for (v, (x, zeta)) in v.chunks_exact_mut(d).zip(groups) {
                    let square = x.iter().fold(Lanes::ONE, |sum, &x| x.mul_add(x, sum));
                    let s = Lanes::splat(sigma * s) * square.sqrt();
                    v.iter_mut().zip(zeta).for_each(|(v, &z)| *v = s * z);
                }
            }
        }
    }

    fn slow_noise(&self) -> SlowNoise {
        match &self.factor {
            Factor::Isotropic(s) => SlowNoise::Isotropic(s * s),
            _ => SlowNoise::Other,
        }
    }

    fn additive(&self) -> bool {
        !matches!(self.factor, Factor::Multiplicative(_) | Factor::Growing(_))
    }
}
