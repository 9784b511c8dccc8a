//! slowsde (crate documentation to come)
pub mod clocks;
pub mod exact_moments;
pub mod landscape;
pub mod real;
pub mod report;
pub mod schedule;
