//! What a run leaves behind: one serialisable result; tables and figures are pure functions of it.

pub mod plots;
pub mod result;
pub mod summary;
pub mod tables;
pub mod terminal;
pub mod write;
