//! Where scenarios come from: files, a `scenarios/` folder here, or the copies inside the binary.

use super::{Overrides, Profile, Scenario, ScenarioError};
use crate::landscape::{DataError, DataOptions, DataSet};
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};

/// The folder `scenarios/` of the source tree, data files included.
static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// The folder of scenarios, in the source tree and wherever a user keeps edited copies.
const FOLDER: &str = "scenarios";

/// Where the data files of a scenario are looked for.
#[derive(Clone, Copy, Debug)]
pub enum DataFolder<'a> {
    /// In this folder.
    Disk(&'a Path),
    /// Among the bundled data, and then in the current directory.
    Bundled,
}

impl<'a> From<&'a Path> for DataFolder<'a> {
    fn from(folder: &'a Path) -> DataFolder<'a> {
        DataFolder::Disk(folder)
    }
}

impl DataFolder<'_> {
    /// Reads a data file named by a scenario.
    pub(super) fn read(self, file: &str, options: DataOptions) -> Result<DataSet, DataError> {
        match self {
            DataFolder::Disk(folder) => DataSet::read(folder.join(file), options),
            DataFolder::Bundled => match BUNDLED.get_file(file) {
                Some(data) => {
                    DataSet::from_reader(data.contents(), Path::new(FOLDER).join(file), options)
                }
                None => DataSet::read(file, options),
            },
        }
    }
}

/// A scenario that has been found but not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A copy inside the binary, by its name.
    Bundled(&'static str),
}

impl Source {
    /// The names of the bundled scenarios, sorted.
    pub fn bundled_names() -> Vec<&'static str> {
        let mut names: Vec<&str> = BUNDLED
            .files()
            .filter(|f| f.path().extension().is_some_and(|e| e == "toml"))
            .filter_map(|f| f.path().file_stem()?.to_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// All bundled scenarios; an edited copy in `scenarios/` of the current directory wins.
    pub fn bundled() -> Vec<Source> {
        let edited = |name: &str| Some(in_folder(name)).filter(|p| p.is_file());
        Source::bundled_names()
            .into_iter()
            .map(|name| edited(name).map_or(Source::Bundled(name), Source::File))
            .collect()
    }

    /// A file by its path, or a scenario by its name: first in `scenarios/` of the current directory, then in the binary.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`] with the nearest bundled name.
    pub fn find(text: &str) -> Result<Source, ScenarioError> {
        let path = Path::new(text);
        if path.is_file() {
            return Ok(Source::File(path.to_path_buf()));
        }
        let name = text.strip_suffix(".toml").unwrap_or(text);
        let bare = path.components().count() == 1;
        if bare && in_folder(name).is_file() {
            return Ok(Source::File(in_folder(name)));
        }
        let names = Source::bundled_names();
        // `scenarios/name.toml` names a bundled scenario from any folder, too.
        let asked = match path.strip_prefix(FOLDER) {
            Ok(rest) => rest.to_str().and_then(|r| r.strip_suffix(".toml")),
            Err(_) => bare.then_some(name),
        };
        if let Some(&name) = names.iter().find(|n| Some(**n) == asked) {
            return Ok(Source::Bundled(name));
        }
        let wanted = path.file_stem().and_then(|s| s.to_str()).unwrap_or(name);
        let nearest = names
            .iter()
            .map(|n| (strsim::jaro_winkler(wanted, n), *n))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|n| n.0 > 0.7)
            .map(|n| n.1.to_string());
        Err(ScenarioError::Unknown {
            text: text.to_string(),
            reason: if path.is_dir() {
                "is a folder, not a scenario file"
            } else {
                "is neither a file nor the name of a scenario"
            },
            nearest,
        })
    }

    /// Reads and checks the scenario.
    ///
    /// # Errors
    /// See [`Scenario::read`].
    pub fn read(&self, profile: Profile, overrides: &Overrides) -> Result<Scenario, ScenarioError> {
        match self {
            Source::File(path) => Scenario::read(path, profile, overrides),
            Source::Bundled(name) => {
                let file = format!("bundled {}", in_folder(name).display());
                let text = BUNDLED
                    .get_file(format!("{name}.toml"))
                    .and_then(|f| f.contents_utf8())
                    .unwrap_or_default();
                Scenario::parse(text, &file, name, DataFolder::Bundled, profile, overrides)
            }
        }
    }
}

fn in_folder(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{name}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_scenarios_and_their_data_need_no_folder() -> Result<(), ScenarioError> {
        for name in Source::bundled_names() {
            Source::Bundled(name).read(Profile::Smoke, &Overrides::default())?;
        }
        let options = DataOptions {
            target: "progression".into(),
            ..DataOptions::default()
        };
        let data = DataFolder::Bundled.read("data/diabetes.csv", options);
        assert_eq!(data.map(|d| d.design.nrows()).ok(), Some(442));
        Ok(())
    }
}
