//! The output folder: every result is written beside its place and then moved there whole.

use super::arrays::{self, ARRAYS, PATHS};
use super::calibration::Calibration;
use super::plots::{Drawing, Figure, FigureError, draw_all};
use super::result::ScenarioResult;
use super::summary::Summary;
use super::tables::TABLES;
use serde::Serialize;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system refused.
    #[error("output folder: {}: cannot be {action}: {source}; choose another folder with --out", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The folder of a scenario holds something else, which must not be replaced.
    #[error(
        "output folder: {}: is not a folder of slowsde results (it has no result.json) and will not be replaced; \
         choose another folder with --out", path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A scenario whose name cannot be that of an output folder.
    #[error("scenario name `{name}`: cannot be the name of an output folder; rename its file")]
    Name {
        /// The name.
        name: String,
    },
    /// Another run writes there.
    #[error("output folder: {}: another run is writing to it; wait for it, or choose another folder with --out", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A figure could not be drawn.
    #[error("figures of {scenario}: {source}")]
    Figure {
        /// The scenario.
        scenario: String,
        /// The reason.
        source: FigureError,
    },
    /// The report could not be put together.
    #[error("report: {0}")]
    Report(#[from] super::html::ReportError),
}

fn io_error<'a>(
    path: &'a Path,
    action: &'static str,
) -> impl Fn(io::Error) -> WriteError + use<'a> {
    move |source| WriteError::Io {
        path: path.to_path_buf(),
        action,
        source,
    }
}

/// Hidden beside the results while a run writes: held locked, and released by the system however the run ends.
const LOCK: &str = ".slowsde.lock";
const SUMMARY: &str = "summary.json";
const CALIBRATION: &str = "calibration.json";
const REPORT: &str = "report.html";
/// The stored result of a scenario, in its folder.
pub const RESULT: &str = "result.json";
/// Suffixes of hidden folders: results that are not complete, and results that are about to be replaced.
const PARTIAL: &str = ".slowsde-partial";
const OLD: &str = ".slowsde-old";

/// An output folder that this run alone writes to.
#[derive(Debug)]
pub struct OutputFolder {
    root: PathBuf,
    _lock: File,
}

impl OutputFolder {
    /// Makes the folder, locks it, clears what a crashed run left behind, and makes sure that the scenarios can be written.
    ///
    /// # Errors
    /// The folder cannot be written, another run uses it, or a scenario's place is taken by something else.
    pub fn prepare(root: &Path, scenarios: &[&str]) -> Result<OutputFolder, WriteError> {
        fs::create_dir_all(root).map_err(io_error(root, "created"))?;
        let lock_path = root.join(LOCK);
        let lock = File::create(&lock_path).map_err(io_error(root, "written to"))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            // Other failures mean that the file system has no locks: go on without.
            return Err(WriteError::Busy { path: root.into() });
        }
        let folder = OutputFolder {
            root: root.to_path_buf(),
            _lock: lock,
        };
        folder.clear()?;
        for name in scenarios {
            if name.is_empty()
                || name.starts_with('.')
                || [SUMMARY, REPORT, CALIBRATION].contains(name)
            {
                return Err(WriteError::Name {
                    name: name.to_string(),
                });
            }
            let path = root.join(name);
            let ours = match path.symlink_metadata() {
                Err(_) => true,
                Ok(m) if m.is_dir() => {
                    path.join(RESULT).is_file()
                        || fs::read_dir(&path)
                            .map_err(io_error(&path, "read"))?
                            .next()
                            .is_none()
                }
                Ok(_) => false,
            };
            if !ours {
                return Err(WriteError::Foreign { path });
            }
        }
        Ok(folder)
    }

    /// Removes partial results of crashed runs; an old result whose replacement never came is put back.
    fn clear(&self) -> Result<(), WriteError> {
        let entries = fs::read_dir(&self.root).map_err(io_error(&self.root, "read"))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            if let Some(name) = hidden(name, OLD) {
                let place = self.root.join(name);
                if !place.exists() {
                    fs::rename(&path, &place).map_err(io_error(&place, "restored"))?;
                    continue;
                }
            } else if hidden(name, PARTIAL).is_none() {
                continue;
            }
            fs::remove_dir_all(&path).map_err(io_error(&path, "removed"))?;
        }
        Ok(())
    }

    /// Writes everything about a result into the folder of its scenario, replacing what an earlier run wrote there. Returns the
    /// figures.
    ///
    /// # Errors
    /// See [`WriteError`]; the folder of the scenario is then as it was.
    pub fn write(
        &self,
        result: &ScenarioResult,
        drawing: &Drawing,
    ) -> Result<Vec<Figure>, WriteError> {
        self.fill_and_replace(&result.scenario.name, &|folder| {
            write_json(result, &folder.join(RESULT))?;
            fill(result, folder, drawing)
        })
    }

    /// Writes tables and figures of the result stored in the folder `from` to the folder `name`, which may be the same; the stored
    /// result itself is kept byte for byte. Returns the figures.
    ///
    /// # Errors
    /// See [`WriteError`]; the folder is then as it was.
    pub fn redraw(
        &self,
        name: &str,
        from: &Path,
        result: &ScenarioResult,
        drawing: &Drawing,
    ) -> Result<Vec<Figure>, WriteError> {
        self.fill_and_replace(name, &|folder| {
            let (from, to) = (from.join(RESULT), folder.join(RESULT));
            fs::copy(&from, &to).map_err(io_error(&to, "written"))?;
            // Kept paths are in no other file.
            let (from, to) = (self.root.join(name).join(PATHS), folder.join(PATHS));
            if from.is_file() {
                fs::copy(&from, &to).map_err(io_error(&to, "written"))?;
            }
            fill(result, folder, drawing)
        })
    }

    fn fill_and_replace(
        &self,
        name: &str,
        fill: &dyn Fn(&Path) -> Result<Vec<Figure>, WriteError>,
    ) -> Result<Vec<Figure>, WriteError> {
        let partial = self.root.join(format!(".{name}{PARTIAL}"));
        let created = fs::create_dir(&partial).map_err(io_error(&partial, "created"));
        let filled = created.and_then(|()| fill(&partial));
        let outcome = filled.and_then(|figures| self.replace(name, &partial).map(|()| figures));
        if outcome.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&partial);
        }
        outcome
    }

    fn replace(&self, name: &str, partial: &Path) -> Result<(), WriteError> {
        let (place, old) = (
            self.root.join(name),
            self.root.join(format!(".{name}{OLD}")),
        );
        let replaces = place.exists();
        if replaces {
            fs::rename(&place, &old).map_err(io_error(&place, "replaced"))?;
        }
        if let Err(error) = fs::rename(partial, &place) {
            if replaces {
                let _ = fs::rename(&old, &place);
            }
            return Err(io_error(&place, "written")(error));
        }
        if replaces {
            fs::remove_dir_all(&old).map_err(io_error(&old, "removed"))?;
        }
        Ok(())
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write_report(&self, page: &str) -> Result<PathBuf, WriteError> {
        self.replace_file(REPORT, |partial| {
            fs::write(partial, page).map_err(io_error(partial, "written"))
        })
    }

    /// The summary of the last run, if there is one that this version can read.
    pub fn summary(&self) -> Option<Summary> {
        let text = fs::read_to_string(self.root.join(SUMMARY)).ok()?;
        let summary: Summary = serde_json::from_str(&text).ok()?;
        (summary.schema == super::summary::SCHEMA).then_some(summary)
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write_summary(&self, summary: &Summary) -> Result<PathBuf, WriteError> {
        self.replace_file(SUMMARY, |partial| write_json(summary, partial))
    }

    /// Writes `calibration.json` and says where it is.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write_calibration(&self, calibration: &Calibration) -> Result<PathBuf, WriteError> {
        self.replace_file(CALIBRATION, |partial| write_json(calibration, partial))
    }

    /// Writes a file beside its place and moves it there.
    fn replace_file(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), WriteError>,
    ) -> Result<PathBuf, WriteError> {
        let place = self.root.join(name);
        let partial = self.root.join(format!(".{name}"));
        write(&partial)?;
        fs::rename(&partial, &place).map_err(io_error(&place, "written"))?;
        Ok(place)
    }
}

/// The name inside `.name-suffix`.
fn hidden<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_prefix('.')?
        .strip_suffix(suffix)
        .filter(|n| !n.is_empty())
}

/// Tables, arrays and figures.
fn fill(
    result: &ScenarioResult,
    folder: &Path,
    drawing: &Drawing,
) -> Result<Vec<Figure>, WriteError> {
    for table in TABLES.iter().filter(|t| t.applies(result)) {
        let path = folder.join(table.name);
        create(&path, |file| table.write(result, file))?;
        #[cfg(feature = "parquet")]
        create(&super::parquet::beside(&path), |file| {
            super::parquet::write(table, result, file)
        })?;
    }
    create(&folder.join(ARRAYS), |file| arrays::write(result, file))?;
    if let Some(kept) = &result.kept_paths {
        create(&folder.join(PATHS), |file| {
            arrays::write_paths(result, kept, file)
        })?;
    }
    draw_all(result, &folder.join("figures"), drawing).map_err(|source| WriteError::Figure {
        scenario: result.scenario.name.clone(),
        source,
    })
}

/// A new file and what is in it.
fn create(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let failed = io_error(path, "written");
    let mut file = BufWriter::new(File::create(path).map_err(&failed)?);
    write(&mut file).map_err(&failed)?;
    file.flush().map_err(&failed)
}

fn write_json(value: &impl Serialize, path: &Path) -> Result<(), WriteError> {
    create(path, |file| Ok(serde_json::to_writer(file, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crashed_runs_left_is_cleared_and_nothing_foreign_is_touched() {
        let root = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| root.path().join(name);
        for name in [
            ".a.slowsde-partial",
            ".b.slowsde-old",
            ".c.slowsde-old",
            "c",
            "mine",
            ".mine",
        ] {
            fs::create_dir(path(name)).expect("created");
            fs::write(path(name).join("file"), name).expect("written");
        }
        let folder = OutputFolder::prepare(root.path(), &["a", "new"]).expect("prepared");
        assert!(!path(".a.slowsde-partial").exists());
        assert!(!path(".c.slowsde-old").exists());
        let text = |name: &str| fs::read_to_string(path(name).join("file")).ok();
        assert_eq!(text("b").as_deref(), Some(".b.slowsde-old"));
        assert_eq!(text("c").as_deref(), Some("c"));
        assert_eq!(text(".mine").as_deref(), Some(".mine"));
        let busy = OutputFolder::prepare(root.path(), &[]);
        assert!(matches!(busy, Err(WriteError::Busy { .. })), "{busy:?}");
        drop(folder);
        let foreign = OutputFolder::prepare(root.path(), &["mine"]);
        assert!(
            matches!(foreign, Err(WriteError::Foreign { .. })),
            "{foreign:?}"
        );
        for name in ["..", ".", "", SUMMARY, REPORT] {
            let refused = OutputFolder::prepare(root.path(), &[name]);
            assert!(
                matches!(refused, Err(WriteError::Name { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(text("mine").as_deref(), Some("mine"));
    }
}
