//! Estimates with intervals, alone and together, orders, and extrapolation to η → 0.

mod estimate;
mod extrapolation;
mod order;
mod simultaneous;

pub use estimate::{bonferroni_quantile, normal_quantile, student_widening};
pub use extrapolation::{Extrapolation, PowerSeries};
pub use order::{ErrorColumn, order};
pub use simultaneous::effective_tests;
