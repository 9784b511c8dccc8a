//! The compact set K that paths are stopped on leaving, and the guard against blow-ups.

use crate::expression::Values;
use crate::real::Lanes;

/// A compact set K.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// ‖x − c‖ ≤ r.
    Ball {
        /// c, length d.
        center: Vec<f64>,
        /// r > 0.
        radius: f64,
    },
    /// lowerᵢ ≤ xᵢ ≤ upperᵢ.
    Box {
        /// Lower ends, length d.
        lower: Vec<f64>,
        /// Upper ends, length d.
        upper: Vec<f64>,
    },
    /// f(x) ≤ 0, for a function of d parameters.
    Sublevel(Values),
}

impl Region {
    /// Mask of the lanes that are inside; not-a-number is outside. `x` is one group.
    #[inline]
    pub fn inside(&self, x: &[Lanes]) -> Lanes {
        match self {
            Region::Ball { center, radius } => {
                let square = x.iter().zip(center).fold(Lanes::ZERO, |s, (&x, &c)| {
                    let e = x - Lanes::splat(c);
                    e.mul_add(e, s)
                });
                square.simd_le(Lanes::splat(radius * radius))
            }
            Region::Box { lower, upper } => {
                let ends = lower.iter().zip(upper);
                x.iter()
                    .zip(ends)
                    .fold(all_lanes(), |mask, (&x, (&l, &u))| {
                        mask & x.simd_ge(Lanes::splat(l)) & x.simd_le(Lanes::splat(u))
                    })
            }
            Region::Sublevel(f) => at_most_zero(f, x),
        }
    }

    /// Whether a single point is inside.
    pub fn contains(&self, x: &[f64]) -> bool {
        let lanes: Vec<Lanes> = x.iter().map(|&v| Lanes::splat(v)).collect();
        self.inside(&lanes).all()
    }
}

/// Not inlined: its registers would make room on the stack in every call for a ball or a box too.
#[inline(never)]
fn at_most_zero(f: &Values, x: &[Lanes]) -> Lanes {
    f.number(x, |_| Lanes::ZERO).simd_le(Lanes::ZERO)
}

/// A mask with every lane set.
#[inline(always)]
pub(crate) fn all_lanes() -> Lanes {
    Lanes::ZERO.simd_eq(Lanes::ZERO)
}

/// Mask of the lanes whose coordinates are all numbers of modulus ≤ `bound`.
#[inline]
pub(crate) fn bounded(x: &[Lanes], bound: f64) -> Lanes {
    let bound = Lanes::splat(bound);
    x.iter()
        .fold(all_lanes(), |mask, x| mask & x.abs().simd_le(bound))
}
