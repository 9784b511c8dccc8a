//! What a run leaves behind: one serialisable result; tables, figures and the page are pure functions of it.

pub mod advice;
pub mod arrays;
pub mod calibration;
pub mod html;
pub mod paper;
#[cfg(feature = "parquet")]
mod parquet;
pub mod plots;
pub mod read;
pub mod result;
pub mod summary;
pub mod tables;
pub mod terminal;
pub mod write;
