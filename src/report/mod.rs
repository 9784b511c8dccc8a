//! What a run leaves behind: one serialisable result; tables and figures are pure functions of it.

pub mod plots;
pub mod result;
