//! Sums of two `f64` with about 32 digits: the powers of 2⁻³⁰-sized steps leave differences of 10⁻⁹ to be resolved.

use std::ops::{Add, Mul, Sub};

/// What the moment recursions need of a number.
pub(super) trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + From<f64>
{
    /// The nearest `f64`.
    fn rounded(self) -> f64;
}

impl Number for f64 {
    fn rounded(self) -> f64 {
        self
    }
}

/// high + low with |low| ≤ ½ ulp(high).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DoubleDouble {
    high: f64,
    low: f64,
}

impl DoubleDouble {
    /// a + b exactly, for |a| ≥ |b| (Dekker).
    fn fast(a: f64, b: f64) -> DoubleDouble {
        let high = a + b;
        DoubleDouble {
            high,
            low: b - (high - a),
        }
    }
}

impl From<f64> for DoubleDouble {
    fn from(v: f64) -> DoubleDouble {
        DoubleDouble { high: v, low: 0.0 }
    }
}

impl Number for DoubleDouble {
    fn rounded(self) -> f64 {
        self.high
    }
}

/// a + b exactly (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let kept = sum - a;
    (sum, (a - (sum - kept)) + (b - kept))
}

impl Add for DoubleDouble {
    type Output = DoubleDouble;
    fn add(self, other: DoubleDouble) -> DoubleDouble {
        let (high, low) = two_sum(self.high, other.high);
        let (more, less) = two_sum(self.low, other.low);
        let sum = DoubleDouble::fast(high, low + more);
        DoubleDouble::fast(sum.high, sum.low + less)
    }
}

impl Sub for DoubleDouble {
    type Output = DoubleDouble;
    fn sub(self, other: DoubleDouble) -> DoubleDouble {
        self + DoubleDouble {
            high: -other.high,
            low: -other.low,
        }
    }
}

impl Mul for DoubleDouble {
    type Output = DoubleDouble;
    fn mul(self, other: DoubleDouble) -> DoubleDouble {
        let high = self.high * other.high;
        let error = self.high.mul_add(other.high, -high);
        DoubleDouble::fast(
            high,
            error + (self.high * other.low + self.low * other.high),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10¹⁶ + 1 and its square are not `f64`s.
    #[test]
    fn keeps_what_f64_drops() {
        let big = DoubleDouble::from(1e16);
        let one = DoubleDouble::from(1.0);
        let a = big + one;
        assert_eq!((a - big).rounded(), 1.0);
        let tiny = DoubleDouble::from(2f64.powi(-60));
        assert_eq!((one + tiny - one).rounded(), 2f64.powi(-60));
        // (1 + 2⁻⁴⁰)² = 1 + 2⁻³⁹ + 2⁻⁸⁰.
        let b = one + DoubleDouble::from(2f64.powi(-40));
        let rest = b * b - one - DoubleDouble::from(2f64.powi(-39));
        assert_eq!(rest.rounded(), 2f64.powi(-80));
    }

    /// Relative errors stay near 2⁻¹⁰⁴ over a long product: ((1 + 2⁻³⁰)^(2^10))^−1 by its series.
    #[test]
    fn long_products() {
        let e = DoubleDouble::from(2f64.powi(-30));
        let one = DoubleDouble::from(1.0);
        let (mut up, mut down) = (one, one);
        for _ in 0..1024 {
            up = up * (one + e);
            // 1/(1+e) to e⁴ = 2⁻¹²⁰.
            down = down * (one - e + e * e - e * e * e);
        }
        assert!((up * down - one).rounded().abs() < 1e-28);
    }
}
