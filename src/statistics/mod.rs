//! Estimates with intervals, alone and together, orders, two-sample tests, and extrapolation to η → 0.

mod estimate;
mod extrapolation;
mod order;
mod simultaneous;
mod two_sample;

pub use estimate::{bonferroni_quantile, normal_quantile, student_widening};
pub use extrapolation::{Extrapolation, PowerSeries};
pub use order::{ErrorColumn, order};
pub use simultaneous::effective_tests;
pub use two_sample::{kolmogorov_smirnov_margin, kolmogorov_smirnov_p_value, mean_projection};
