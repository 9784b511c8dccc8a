//! The three clocks of the paper as types: steps k, fast time kη (Regime I) and slow time kη² (Regime II).
//!
//! Mixing them is the likeliest silent mistake in this field, so they do not convert into each other without η.

use serde::{Deserialize, Serialize};

/// A number of optimizer steps k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Steps(pub u64);

/// Fast time t = kη, the clock of the limiting SDE (51).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct FastTime(pub f64);

/// Slow time t = kη², the clock of the slow SDE (4).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SlowTime(pub f64);

impl Steps {
    /// kη.
    pub fn fast(self, eta: f64) -> FastTime {
        FastTime(self.0 as f64 * eta)
    }

    /// kη².
    pub fn slow(self, eta: f64) -> SlowTime {
        SlowTime(self.0 as f64 * eta * eta)
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
    /// The last step k with kη² ≤ t.
    pub fn steps(self, eta: f64) -> Steps {
        whole_steps(self.0, eta * eta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_survive_rounding() {
        assert_eq!(FastTime(0.3).steps(0.1), Steps(3));
        assert_eq!(FastTime(0.299).steps(0.1), Steps(2));
        assert_eq!(SlowTime(1.0).steps(0.1), Steps(100));
        assert_eq!(Steps(8).fast(0.25), FastTime(2.0));
        assert_eq!(Steps(8).slow(0.5), SlowTime(2.0));
    }
}
