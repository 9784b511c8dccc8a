//! The clocks of the paper as types: steps k, fast time kη (Regime I) and slow time kη² (Regime II), or kη^{1+s} between the two.
//!
//! Mixing them is the likeliest silent mistake in this field, so they do not convert into each other without η.

use serde::{Deserialize, Serialize};

/// A number of optimizer steps k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Steps(pub u64);

/// Fast time t = kη, the clock of the limiting SDE (51).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct FastTime(pub f64);

/// Slow time t = kη^{1+s}, the clock of the slow SDE (4): kη² in Regime II ([`SlowClock`]).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SlowTime(pub f64);

impl Steps {
    /// kη.
    pub fn fast(self, eta: f64) -> FastTime {
        FastTime(self.0 as f64 * eta)
    }

    /// kη^{1+s}.
    pub fn slow(self, eta: f64, clock: SlowClock) -> SlowTime {
        clock.at(self.0 as f64, eta)
    }
}

/// A clock t = kη^p in words: `kη`, `kη²`, `kη^1.5`.
pub fn clock_name(exponent: f64) -> String {
    match exponent {
        1.0 => "kη".to_string(),
        2.0 => "kη²".to_string(),
        p => format!("kη^{p}"),
    }
}

/// ⌊t/u⌋, robust against t/u falling a rounding error short of a whole number (0.3/0.1).
fn whole_steps(t: f64, unit: f64) -> Steps {
    let k = t / unit;
    Steps((k * (1.0 + 4.0 * f64::EPSILON)).floor().max(0.0) as u64)
}

impl FastTime {
    /// The last step k with kη ≤ t.
    pub fn steps(self, eta: f64) -> Steps {
        whole_steps(self.0, eta)
    }
}

impl SlowTime {
    /// The last step k with kη^{1+s} ≤ t.
    pub fn steps(self, eta: f64, clock: SlowClock) -> Steps {
        whole_steps(self.0, clock.unit(eta))
    }
}

/// What slow time is: t = kη^{1+s} with 0 < s ≤ 1. At s = 1 it is that of Regime II; s = 0 would be fast time.
///
/// Noise of scale σ moves the iterates along Γ by ησ√k in k steps. With σ = η^{-(1−s)/2} this is √t on this clock: for s = 1 the
/// σ = 1 of Theorem 5.5, and for s → 0 the σ = η^{-1/2} of Theorem 4.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowClock {
    s: f64,
}

impl Default for SlowClock {
    fn default() -> SlowClock {
        SlowClock::REGIME_II
    }
}

impl SlowClock {
    /// t = kη².
    pub const REGIME_II: SlowClock = SlowClock { s: 1.0 };

    /// t = kη^{1+s}; `None` unless 0 < s ≤ 1.
    pub fn new(s: f64) -> Option<SlowClock> {
        (s > 0.0 && s <= 1.0).then_some(SlowClock { s })
    }

    /// s.
    pub fn s(self) -> f64 {
        self.s
    }

    /// 1 + s.
    pub fn exponent(self) -> f64 {
        1.0 + self.s
    }

    /// η^s: a unit of fast time in slow time, and the size of normal variances where σ = η^{-(1−s)/2}.
    pub fn fast_unit(self, eta: f64) -> f64 {
        eta.powf(self.s)
    }

    /// η^{1+s}: a step in slow time.
    pub fn unit(self, eta: f64) -> f64 {
        eta * self.fast_unit(eta)
    }

    /// kη^{1+s}, for the parts of a step as well.
    pub fn at(self, k: f64, eta: f64) -> SlowTime {
        SlowTime(k * eta * self.fast_unit(eta))
    }

    /// −(1−s)/2: the power of η in σ for which paths move along Γ at a pace that does not depend on η.
    pub fn noise_power(self) -> f64 {
        // No −0.
        0.5 * (self.s - 1.0) + 0.0
    }

    /// ησ/√(η^{1+s}): the noise scale of the slow SDE, which is σ in Regime II.
    pub fn noise_scale(self, sigma: f64, eta: f64) -> f64 {
        sigma * (eta / self.unit(eta).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_survive_rounding() {
        assert_eq!(FastTime(0.3).steps(0.1), Steps(3));
        assert_eq!(FastTime(0.299).steps(0.1), Steps(2));
        assert_eq!(SlowTime(1.0).steps(0.1, SlowClock::REGIME_II), Steps(100));
        assert_eq!(Steps(8).fast(0.25), FastTime(2.0));
        assert_eq!(Steps(8).slow(0.5, SlowClock::REGIME_II), SlowTime(2.0));
    }

    /// At s = 1 every number has the bits of kη², σ = 1 and √(η²) = η; steps come back from their times for every s.
    #[test]
    fn the_clock_between_the_regimes() {
        let clocks = [0.25, 0.5, 0.75, 1.0].map(|s| SlowClock::new(s).expect("in range"));
        assert_eq!(clocks[3], SlowClock::default());
        for eta in [0.1, 0.05, 0.0123, 3e-4, 0.7f64.powi(20)] {
            let regime_two = clocks[3];
            assert_eq!(regime_two.unit(eta), eta * eta);
            assert_eq!(regime_two.at(12_345.0, eta).0, 12_345.0 * eta * eta);
            assert_eq!(regime_two.noise_scale(0.3, eta), 0.3);
            for clock in clocks {
                for k in [0, 1, 7, 1000, 123_457] {
                    assert_eq!(Steps(k).slow(eta, clock).steps(eta, clock), Steps(k));
                }
                let sigma = eta.powf(clock.noise_power());
                assert!((clock.noise_scale(sigma, eta) - 1.0).abs() < 1e-14);
            }
        }
        assert_eq!(
            clocks.map(SlowClock::noise_power),
            [-0.375, -0.25, -0.125, 0.0]
        );
        assert!(clocks[3].noise_power().is_sign_positive());
        assert_eq!(clocks[1].unit(0.01), 0.001);
        let names = [1.0, clocks[0].exponent(), clocks[3].exponent()].map(clock_name);
        assert_eq!(names, ["kη", "kη^1.25", "kη²"]);
        for s in [0.0, -0.5, 1.001, f64::NAN, f64::INFINITY] {
            assert_eq!(SlowClock::new(s), None);
        }
    }
}
