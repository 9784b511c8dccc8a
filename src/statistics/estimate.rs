//! Point estimates with normal intervals.

use crate::report::result::{Estimate, EstimateSeries};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The z with P(|N(0,1)| ≤ z) = `level`, for a level in [0, 1).
pub fn normal_quantile(level: f64) -> f64 {
    Normal::standard().inverse_cdf(0.5 + 0.5 * level.clamp(0.0, 1.0 - 1e-15))
}

/// The z for which `family` two-sided intervals hold together with probability ≥ `level`, whatever their dependence; of dependent
/// ones the [effective number](super::effective_tests) is enough.
pub fn bonferroni_quantile(level: f64, family: f64) -> f64 {
    normal_quantile(1.0 - (1.0 - level) / family.max(1.0))
}

/// The factor by which Student's quantile for the mean of `n` numbers exceeds [`bonferroni_quantile`]; 1 below two numbers, where
/// there is no standard error.
pub fn student_widening(n: u64, level: f64, family: f64) -> f64 {
    if n < 2 {
        return 1.0;
    }
    let tail = 0.5 * (1.0 - level) / family.max(1.0);
    let student = StudentsT::new(0.0, 1.0, (n - 1) as f64)
        .map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - tail.max(1e-15)));
    (student / bonferroni_quantile(level, family)).max(1.0)
}

impl Estimate {
    /// value ± z · standard error, the interval claimed at `level`.
    pub fn with_quantile(value: f64, standard_error: f64, z: f64, level: f64, n: u64) -> Estimate {
        Estimate {
            value,
            standard_error,
            lower: value - z * standard_error,
            upper: value + z * standard_error,
            level,
            n,
        }
    }

    /// A normal interval for one number.
    pub fn normal(value: f64, standard_error: f64, level: f64, n: u64) -> Estimate {
        Estimate::with_quantile(value, standard_error, normal_quantile(level), level, n)
    }

    /// The root of a mean square: every end by its root, numbers below 0 as 0.
    pub fn root(self) -> Estimate {
        let root = |x: f64| x.max(0.0).sqrt();
        let value = root(self.value);
        Estimate {
            value,
            standard_error: if value > 0.0 {
                0.5 * self.standard_error / value
            } else {
                root(self.standard_error)
            },
            lower: root(self.lower),
            upper: root(self.upper),
            ..self
        }
    }

    /// The same number in other units: every field times `factor` > 0.
    pub fn scaled(self, factor: f64) -> Estimate {
        Estimate {
            value: self.value * factor,
            standard_error: self.standard_error * factor,
            lower: self.lower * factor,
            upper: self.upper * factor,
            ..self
        }
    }
}

impl EstimateSeries {
    /// Pointwise normal intervals.
    pub fn normal(value: Vec<f64>, standard_error: Vec<f64>, level: f64, n: u64) -> EstimateSeries {
        let z = normal_quantile(level);
        let ends = |sign: f64| {
            let pairs = value.iter().zip(&standard_error);
            pairs.map(|(v, s)| v + sign * z * s).collect()
        };
        EstimateSeries {
            lower: ends(-1.0),
            upper: ends(1.0),
            value,
            standard_error,
            level,
            n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_table() {
        assert!((normal_quantile(0.95) - 1.959_963_985).abs() < 1e-8);
        assert!((bonferroni_quantile(0.95, 10.0) - normal_quantile(0.995)).abs() < 1e-12);
    }
}
