//! What the momentum m_k of SGDM says beside x_k: its size, and how far x_k lags behind the coupled trajectory y_k = x_k − w_k m_k,
//! w_k = η̄_k β_k/(1−β_k), in space and in gradients (Lemmas B.5–B.7, B.11).
//!
//! While x stays, m has the covariance (1−β)/(1+β) σ²Σ, of size η^{α−1} at σ = η^{-1/2}, so that ‖x − y‖² is of size η^{1−α}. In units of
//! (1−β_k)/(1+β_k) σ², times w_k² for the last two, ‖m‖², ‖x − y‖² and ‖∇L(x) − ∇L(y)‖² have the limits E tr Σ(X), the same, and
//! E tr(H(X)²Σ(X)) for every α < 1.

use super::departures::Departure;
use super::functions::{index_of, squared_norm};
use crate::landscape::Landscape;
use crate::real::Lanes;
use std::fmt;

/// A function of x_k and m_k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MomentumFunction {
    /// A square, as it is or in units of what it is while x stays.
    Square {
        /// Of what.
        of: MomentumSquare,
        /// In those units.
        relative: bool,
    },
    /// (∇L(x) − ∇L(y))ᵢ.
    GradientLag(usize),
}

/// What is squared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MomentumSquare {
    /// ‖m‖.
    Momentum,
    /// ‖x − y‖.
    Lag,
    /// ‖∇L(x) − ∇L(y)‖.
    GradientLag,
}

/// What the functions need to know of the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MomentumScale {
    /// w_k.
    pub weight: f64,
    /// (1−β_k)/(1+β_k) σ².
    pub unit: f64,
}

impl MomentumScale {
    /// At the coupling w_k, 1 − β_k = `gain` and the noise scale σ.
    pub fn new(weight: f64, gain: f64, sigma: f64) -> MomentumScale {
        MomentumScale {
            weight,
            unit: sigma * sigma * gain / (2.0 - gain),
        }
    }
}

const LAG: &str = "gradient_lag";

impl MomentumFunction {
    const NAMED: [(&'static str, MomentumSquare, bool); 6] = [
        ("momentum_norm2", MomentumSquare::Momentum, false),
        ("momentum2", MomentumSquare::Momentum, true),
        ("lag2", MomentumSquare::Lag, false),
        ("relative_lag2", MomentumSquare::Lag, true),
        ("gradient_lag2", MomentumSquare::GradientLag, false),
        ("relative_gradient_lag2", MomentumSquare::GradientLag, true),
    ];
}

impl MomentumSquare {
    /// What ‖m‖² or, for the gradients, ‖∇L(x) − ∇L(y)‖² is multiplied with.
    pub(crate) fn factor(self, scale: MomentumScale, relative: bool) -> f64 {
        let square = scale.weight * scale.weight;
        let units = match self {
            MomentumSquare::Momentum => scale.unit,
            MomentumSquare::Lag | MomentumSquare::GradientLag => square * scale.unit,
        };
        let own = match self {
            MomentumSquare::Lag => square,
            MomentumSquare::Momentum | MomentumSquare::GradientLag => 1.0,
        };
        match relative {
            false => own,
            true if units == 0.0 => 0.0,
            true => own / units,
        }
    }
}

impl MomentumFunction {
    /// By its name, without spaces.
    pub(super) fn parse(text: &str) -> Option<MomentumFunction> {
        let mut named = MomentumFunction::NAMED.iter();
        if let Some(&(_, of, relative)) = named.find(|(name, ..)| *name == text) {
            return Some(MomentumFunction::Square { of, relative });
        }
        index_of(text, LAG).map(MomentumFunction::GradientLag)
    }

    /// The same in Regime II, where it has a limit on Γ there.
    pub fn departure(self) -> Option<Departure> {
        match self {
            MomentumFunction::Square {
                of: MomentumSquare::Momentum,
                relative: true,
            } => Some(Departure::Momentum2),
            MomentumFunction::Square {
                of: MomentumSquare::Lag,
                relative: false,
            } => Some(Departure::Lag2),
            _ => None,
        }
    }

    /// i, where there is one.
    pub fn coordinate(self) -> Option<usize> {
        match self {
            MomentumFunction::GradientLag(i) => Some(i),
            MomentumFunction::Square { .. } => None,
        }
    }

    /// Whether it is in units that vanish with the noise.
    pub fn is_relative(self) -> bool {
        matches!(self, MomentumFunction::Square { relative: true, .. })
    }

    /// Entries of scratch that [`evaluate`](MomentumFunction::evaluate) needs in dimension d.
    pub(super) fn scratch(self, d: usize) -> usize {
        match self {
            MomentumFunction::Square {
                of: MomentumSquare::Momentum | MomentumSquare::Lag,
                ..
            } => 0,
            _ => 3 * d,
        }
    }

    /// For every lane group of `x` and `m` into `out`.
    pub(super) fn evaluate(
        self,
        landscape: &dyn Landscape,
        scale: MomentumScale,
        (x, m): (&[Lanes], &[Lanes]),
        out: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let d = landscape.dimension();
        let groups = x.chunks_exact(d).zip(m.chunks_exact(d)).zip(out);
        let weight = Lanes::splat(-scale.weight);
        match self {
            MomentumFunction::Square {
                of: of @ (MomentumSquare::Momentum | MomentumSquare::Lag),
                relative,
            } => {
                let factor = Lanes::splat(of.factor(scale, relative));
                groups.for_each(|((_, m), h)| *h = factor * squared_norm(m));
            }
            MomentumFunction::Square { .. } | MomentumFunction::GradientLag(_) => {
                let (y, gradients) = scratch.split_at_mut(d);
                let (here, there) = gradients.split_at_mut(d);
                let there = &mut there[..d];
                for ((x, m), h) in groups {
                    for (y, (&x, &m)) in y.iter_mut().zip(x.iter().zip(m)) {
                        *y = weight.mul_add(m, x);
                    }
                    landscape.gradients(x, here);
                    landscape.gradients(y, there);
                    here.iter_mut().zip(&*there).for_each(|(h, &t)| *h -= t);
                    *h = match self {
                        MomentumFunction::GradientLag(i) => here[i],
                        MomentumFunction::Square { of, relative } => {
                            Lanes::splat(of.factor(scale, relative)) * squared_norm(here)
                        }
                    };
                }
            }
        }
    }
}

impl fmt::Display for MomentumFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MomentumFunction::GradientLag(i) => write!(f, "{LAG}[{}]", i + 1),
            MomentumFunction::Square { of, relative } => {
                let mut named = MomentumFunction::NAMED.iter();
                let own = named.find(|(_, square, r)| square == of && r == relative);
                write!(f, "{}", own.map_or("", |(name, ..)| name))
            }
        }
    }
}
