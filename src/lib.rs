//! slowsde (crate documentation to come)
pub mod cli;
pub mod clocks;
pub mod ensemble;
pub mod exact_moments;
pub mod landscape;
pub mod oracle;
pub mod random;
pub mod real;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod statistics;
pub mod theorems;
