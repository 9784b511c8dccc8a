//! Numbers that a formula can be evaluated on: one `f64`, or eight paths at once.
//!
//! Every landscape is written once, generically over [`Real`], and is then run on [`Lanes`] in the hot loops, on `f64`
//! for single points, and (in the tests) on dual numbers for automatic differentiation.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Eight paths side by side, one path per lane: the unit in which ensembles advance.
///
/// The width is eight in every build, whatever the processor; on AVX-512 it is one register, on AVX2 two, on SSE2 and
/// NEON four. Results therefore do not depend on the register width.
pub type Lanes = wide::f64x8;

/// The number of paths in one [`Lanes`].
pub const LANES: usize = 8;

/// A real number on which smooth formulas can be evaluated.
pub trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The constant `c`, the same in every lane.
    fn constant(c: f64) -> Self;
    /// `self · a + b`, fused where the processor fuses it.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// Natural logarithm, for x > 0.
    fn ln(self) -> Self;
    /// √x.
    fn sqrt(self) -> Self;
    /// sin x.
    fn sin(self) -> Self;
    /// cos x.
    fn cos(self) -> Self;
    /// tanh x.
    fn tanh(self) -> Self;

    /// log(1 + eˣ) without overflow.
    fn softplus(self) -> Self;

    /// 1/(1 + e⁻ˣ).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let half = Self::constant(0.5);
        half * ((half * self).tanh() + Self::constant(1.0))
    }

    /// x².
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
}

impl Real for f64 {
    #[inline(always)]
    fn constant(c: f64) -> f64 {
        c
    }
    #[inline(always)]
    fn mul_add(self, a: f64, b: f64) -> f64 {
        // Without the instruction `f64::mul_add` is a slow library call; the lanes do the same.
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            f64::mul_add(self, a, b)
        } else {
            self * a + b
        }
    }
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn sin(self) -> f64 {
        f64::sin(self)
    }
    fn cos(self) -> f64 {
        f64::cos(self)
    }
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
    fn softplus(self) -> f64 {
        self.max(0.0) + (-self.abs()).exp().ln_1p()
    }
}

impl Real for Lanes {
    #[inline(always)]
    fn constant(c: f64) -> Lanes {
        Lanes::splat(c)
    }
    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes) -> Lanes {
        wide::f64x8::mul_add(self, a, b)
    }
    #[inline(always)]
    fn exp(self) -> Lanes {
        wide::f64x8::exp(self)
    }
    #[inline(always)]
    fn ln(self) -> Lanes {
        wide::f64x8::ln(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Lanes {
        wide::f64x8::sqrt(self)
    }
    #[inline(always)]
    fn sin(self) -> Lanes {
        self.sin_cos().0
    }
    #[inline(always)]
    fn cos(self) -> Lanes {
        self.sin_cos().1
    }
    #[inline(always)]
    fn tanh(self) -> Lanes {
        wide::f64x8::tanh(self)
    }
    #[inline(always)]
    fn softplus(self) -> Lanes {
        self.max(Lanes::ZERO) + (-self.abs()).exp().ln_1p()
    }
    /// One exponential instead of a tanh; safe at both ends since e⁻|x| ≤ 1.
    #[inline(always)]
    fn sigmoid(self) -> Lanes {
        let e = (-self.abs()).exp();
        let s = Lanes::ONE / (Lanes::ONE + e);
        self.simd_lt(Lanes::ZERO).select(e * s, s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every lane function against the standard library, over the range that losses use.
    #[test]
    fn lanes_agree_with_scalars() {
        type Twins = (&'static str, fn(f64) -> f64, fn(Lanes) -> Lanes);
        let f: [Twins; 6] = [
            ("exp", f64::exp, <Lanes as Real>::exp),
            ("sin", f64::sin, <Lanes as Real>::sin),
            ("cos", f64::cos, <Lanes as Real>::cos),
            ("tanh", f64::tanh, <Lanes as Real>::tanh),
            (
                "softplus",
                <f64 as Real>::softplus,
                <Lanes as Real>::softplus,
            ),
            ("sigmoid", <f64 as Real>::sigmoid, <Lanes as Real>::sigmoid),
        ];
        for (name, scalar, lanes) in f {
            for k in -400..=400 {
                let x = 0.05 * f64::from(k) + 1e-3;
                let want = scalar(x);
                let got = lanes(Lanes::splat(x)).to_array()[3];
                // A few units in the last place, relative to max(|f|, 1e-3): sin and cos lose relative accuracy at zeros.
                assert!(
                    (got - want).abs() <= 2e-15 * want.abs().max(1e-1),
                    "{name}({x}): lanes {got:e}, scalar {want:e}"
                );
            }
        }
        for k in 1..400 {
            let x = 0.013 * f64::from(k);
            let got = <Lanes as Real>::ln(Lanes::splat(x)).to_array()[0];
            assert!(
                (got - x.ln()).abs() <= 2e-15 * x.ln().abs().max(0.1),
                "ln({x})"
            );
        }
    }
}
