//! Stored results: `result.json` back into its types.

use super::result::{SCHEMA, ScenarioResult};
use super::write::RESULT;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A stored result cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing to read.
    #[error(
        "`{}`: has no {RESULT}: name the folder of a scenario (output/quadratic_2d) or an output folder (output)", path.display()
    )]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not a result.
    #[error("{}: is not a result of slowsde: {source}; run the scenario again", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
    /// Another version wrote the file.
    #[error(
        "{}: has schema {found}, written by slowsde {version}; this slowsde {} reads schema {SCHEMA}: run the scenario again",
        path.display(),
        env!("CARGO_PKG_VERSION")
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Who wrote it.
        version: String,
    },
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
    version: String,
}

/// Reads the result in the folder of a scenario.
///
/// # Errors
/// See [`ReadError`].
pub fn result(folder: &Path) -> Result<ScenarioResult, ReadError> {
    let path = folder.join(RESULT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    let broken = |source| ReadError::Broken {
        path: path.clone(),
        source,
    };
    let head: Head = serde_json::from_str(&text).map_err(broken)?;
    if head.schema != SCHEMA {
        return Err(ReadError::Schema {
            path,
            found: head.schema,
            version: head.version,
        });
    }
    serde_json::from_str(&text).map_err(broken)
}

/// The folders of results that a path names: itself, or those in it, by name.
///
/// # Errors
/// [`ReadError::Missing`] where there is none, [`ReadError::Io`] where the folder cannot be read.
pub fn folders(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let io = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let missing = || ReadError::Missing {
        path: path.to_owned(),
    };
    if path.is_file() && path.file_name().is_some_and(|n| n == RESULT) {
        let whole = path.canonicalize().map_err(io)?;
        return whole
            .parent()
            .map(|folder| vec![folder.to_owned()])
            .ok_or_else(missing);
    }
    if path.join(RESULT).is_file() {
        return Ok(vec![path.canonicalize().map_err(io)?]);
    }
    if !path.is_dir() {
        return Err(missing());
    }
    let mut found = vec![];
    for entry in fs::read_dir(path.canonicalize().map_err(io)?).map_err(io)? {
        let entry = entry.map_err(io)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().join(RESULT).is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(missing());
    }
    Ok(found)
}
