//! The checks: one theorem a file. Each turns ensembles into a three-valued verdict with its reason.

pub mod everywhere;
pub mod slow_limit;
pub mod weak_approximation;
