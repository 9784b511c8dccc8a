//! What can be wrong with a data file, each with the place and with what is allowed.

use super::LandscapeError;
use std::path::PathBuf;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Rows of different lengths, text that is not UTF-8.
    #[error("{}: not a CSV table: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reader's reason, with the row.
        reason: String,
    },
    /// Two columns of one name.
    #[error("{}: the header names column `{column}` twice: names must differ", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A name that the header does not have.
    #[error(
        "{}: no column `{column}`; did you mean `{nearest}`? Columns: {}", path.display(), allowed.join(", ")
    )]
    NoSuchColumn {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        column: String,
        /// The name in the header that differs least.
        nearest: String,
        /// All names in the header.
        allowed: Vec<String>,
    },
    /// A feature asked for twice, or the target among the features.
    #[error("{}: `features` lists `{column}`, which is already {already}", path.display())]
    RepeatedFeature {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it is already.
        already: &'static str,
    },
    /// No feature and no intercept: no parameter.
    #[error("{}: no feature column is left; list at least one in `features` or set `intercept`", path.display())]
    NoFeatures {
        /// The file.
        path: PathBuf,
    },
    /// A cell that is not a number.
    #[error("{}: row {row}, column `{column}`: `{text}` is not a number", path.display())]
    BadCell {
        /// The file.
        path: PathBuf,
        /// The line in the file (the header is line 1).
        row: u64,
        /// The column.
        column: String,
        /// The text found.
        text: String,
    },
    /// NaN, an infinity, or a number too large for a double.
    #[error("{}: row {row}, column `{column}`: `{text}` is not a finite number", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The line in the file (the header is line 1).
        row: u64,
        /// The column.
        column: String,
        /// The text found.
        text: String,
    },
    /// A column without spread cannot be scaled to variance 1.
    #[error(
        "{}: column `{column}` is {value} in every row read and cannot be standardised: leave it out, or do not standardise", path.display()
    )]
    ConstantColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its only value.
        value: f64,
    },
    /// A file without a header or without a row.
    #[error("{}: empty: a header line and at least one row are needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// `rows` exceeds the file, or is 0.
    #[error("{}: `rows` asks for {asked}, allowed: 1 to {found}", path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// The number asked for.
        asked: usize,
        /// The number of rows in the file.
        found: usize,
    },
    /// Logistic regression on targets other than 0 and 1.
    #[error(
        "{}: row {row}, column `{column}`: logistic regression needs targets 0 or 1 (not standardised), found {value}", path.display()
    )]
    NotBinary {
        /// The file.
        path: PathBuf,
        /// The line in the file (the header is line 1).
        row: u64,
        /// The target column.
        column: String,
        /// The target.
        value: f64,
    },
    /// Numbers that no regression accepts.
    #[error("{}: {source}", path.display())]
    Landscape {
        /// The file.
        path: PathBuf,
        /// The landscape's reason.
        source: LandscapeError,
    },
}
