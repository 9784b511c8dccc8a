//! slowsde (crate documentation to come)
pub mod clocks;
pub mod landscape;
pub mod real;
pub mod report;
pub mod schedule;
