//! Estimates with intervals, and extrapolation to η → 0.

mod estimate;
mod extrapolation;

pub use estimate::{bonferroni_quantile, normal_quantile, student_widening};
pub use extrapolation::{Extrapolation, PowerSeries};
