//! Data sets from CSV files: a design matrix, targets, and messages that name the file, row and column of a mistake.

use super::{DataError, LandscapeError, Regression, RegressionLoss};
use nalgebra::DMatrix;
use std::path::{Path, PathBuf};

/// What to take from a CSV file, and how to scale it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataOptions {
    /// The column of the targets y.
    pub target: String,
    /// The feature columns in the order of the parameters; `None` for every column but the target.
    pub features: Option<Vec<String>>,
    /// Shift and scale every feature to mean 0 and variance 1 (divisor n) over the rows read.
    pub standardize: bool,
    /// The same for the targets.
    pub standardize_target: bool,
    /// Append a column of ones *after* the features (not standardised); the bias is then the last parameter.
    pub intercept: bool,
    /// Read only this many rows, from the top; `None` for all.
    pub rows: Option<usize>,
}

/// A design matrix and targets, as read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// The file.
    pub path: PathBuf,
    /// A, n × d: features in the order of `columns`, the column of ones last.
    pub design: DMatrix<f64>,
    /// y, length n.
    pub targets: Vec<f64>,
    /// The names of the d columns of `design`; the column of ones is called `intercept`.
    pub columns: Vec<String>,
    /// The name of the target column.
    pub target: String,
    /// The line of each sample in the file, length n.
    pub lines: Vec<u64>,
}

impl DataSet {
    /// Reads the columns that `options` names from the CSV file `path`: comma-separated, a header line, decimal numbers;
    /// white space around cells is ignored. Columns that are not used need not hold numbers.
    ///
    /// # Errors
    /// See [`DataError`].
    pub fn read(path: impl AsRef<Path>, options: DataOptions) -> Result<DataSet, DataError> {
        let path = path.as_ref();
        let file = std::fs::File::open(path).map_err(|source| DataError::Unreadable {
            path: path.into(),
            source,
        })?;
        DataSet::from_reader(file, path, options)
    }

    /// The same from text that is already at hand; `path` is what messages call it.
    ///
    /// # Errors
    /// See [`DataError`].
    pub fn from_reader(
        text: impl std::io::Read,
        path: impl AsRef<Path>,
        options: DataOptions,
    ) -> Result<DataSet, DataError> {
        let path = path.as_ref();
        let failed = |source: csv::Error| {
            let reason = source.to_string();
            match source.into_kind() {
                csv::ErrorKind::Io(source) => DataError::Unreadable {
                    path: path.into(),
                    source,
                },
                _ => DataError::Malformed {
                    path: path.into(),
                    reason,
                },
            }
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text);
        let header: Vec<String> = reader
            .headers()
            .map_err(failed)?
            .iter()
            .map(String::from)
            .collect();
        let empty = || DataError::Empty { path: path.into() };
        if header.is_empty() {
            return Err(empty());
        }
        let chosen = Columns::choose(path, &header, &options)?;

        let limit = options.rows.unwrap_or(usize::MAX);
        let (mut features, mut targets, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = 0;
        for record in reader.records() {
            let record = record.map_err(failed)?;
            found += 1;
            if found > limit {
                break;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let number = |column: usize| {
                let text = record.get(column).unwrap_or_default();
                parse(path, line, &header[column], text)
            };
            for &column in &chosen.features {
                features.push(number(column)?);
            }
            targets.push(number(chosen.target)?);
            lines.push(line);
        }
        if found == 0 {
            return Err(empty());
        }
        if let Some(asked) = options.rows
            && (asked == 0 || asked > found)
        {
            // Zero rows asked: one row was seen, count the others.
            let found = if asked == 0 {
                1 + reader.records().count()
            } else {
                found
            };
            return Err(DataError::Rows {
                path: path.into(),
                asked,
                found,
            });
        }

        let mut design = DMatrix::from_row_slice(targets.len(), chosen.features.len(), &features);
        let constant = |column: &str, value: f64| DataError::ConstantColumn {
            path: path.into(),
            column: column.into(),
            value,
        };
        if options.standardize {
            for (mut values, &column) in design.column_iter_mut().zip(&chosen.features) {
                standardize(values.as_mut_slice())
                    .map_err(|value| constant(&header[column], value))?;
            }
        }
        if options.standardize_target {
            standardize(&mut targets).map_err(|value| constant(&options.target, value))?;
        }
        let mut columns: Vec<String> = chosen.features.iter().map(|&c| header[c].clone()).collect();
        if options.intercept {
            let last = design.ncols();
            design = design.insert_column(last, 1.0);
            columns.push("intercept".into());
        }
        Ok(DataSet {
            path: path.into(),
            design,
            targets,
            columns,
            target: options.target,
            lines,
        })
    }

    /// The regression of the targets on the design matrix, with ridge ρ = `ridge` ≥ 0 on all parameters, the intercept
    /// included.
    ///
    /// # Errors
    /// Logistic regression with a target other than 0 and 1; a ridge that is negative or not finite.
    pub fn into_regression(
        self,
        loss: RegressionLoss,
        ridge: f64,
    ) -> Result<Regression, DataError> {
        let DataSet {
            path,
            design,
            targets,
            target,
            lines,
            ..
        } = self;
        Regression::new(design, targets, loss, ridge).map_err(|source| match source {
            LandscapeError::NotBinary { sample, value } => DataError::NotBinary {
                path,
                row: lines.get(sample - 1).copied().unwrap_or(0),
                column: target,
                value,
            },
            source => DataError::Landscape { path, source },
        })
    }
}

/// The places of the columns in the file.
struct Columns {
    features: Vec<usize>,
    target: usize,
}

impl Columns {
    fn choose(path: &Path, header: &[String], options: &DataOptions) -> Result<Columns, DataError> {
        for (i, column) in header.iter().enumerate() {
            if header[..i].contains(column) {
                return Err(DataError::DuplicateColumn {
                    path: path.into(),
                    column: column.clone(),
                });
            }
        }
        let place = |column: &String| {
            header
                .iter()
                .position(|name| name == column)
                .ok_or_else(|| {
                    let nearest = header.iter().min_by_key(|name| edit_distance(name, column));
                    DataError::NoSuchColumn {
                        path: path.into(),
                        column: column.clone(),
                        nearest: nearest.cloned().unwrap_or_default(),
                        allowed: header.to_vec(),
                    }
                })
        };
        let target = place(&options.target)?;
        let mut features = Vec::new();
        match &options.features {
            None => features.extend((0..header.len()).filter(|&c| c != target)),
            Some(names) => {
                for name in names {
                    let column = place(name)?;
                    let already = if column == target {
                        "the target"
                    } else if features.contains(&column) {
                        "a feature"
                    } else {
                        features.push(column);
                        continue;
                    };
                    return Err(DataError::RepeatedFeature {
                        path: path.into(),
                        column: name.clone(),
                        already,
                    });
                }
            }
        }
        if features.is_empty() && !options.intercept {
            return Err(DataError::NoFeatures { path: path.into() });
        }
        Ok(Columns { features, target })
    }
}

/// One finite number.
fn parse(path: &Path, row: u64, column: &str, text: &str) -> Result<f64, DataError> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(DataError::NotFinite {
            path: path.into(),
            row,
            column: column.into(),
            text: text.into(),
        }),
        Err(_) => Err(DataError::BadCell {
            path: path.into(),
            row,
            column: column.into(),
            text: text.into(),
        }),
    }
}

/// Shifts to mean 0 and scales to variance 1 (divisor n); gives back the only value of a constant column.
fn standardize(values: &mut [f64]) -> Result<(), f64> {
    let n = values.len() as f64;
    let first = values.first().copied().unwrap_or(0.0);
    if values.iter().all(|&v| v == first) {
        return Err(first);
    }
    let mean = values.iter().map(|v| v / n).sum::<f64>();
    // Scaled by the largest deviation, so that no square overflows or vanishes.
    let largest = values.iter().map(|v| (v - mean).abs()).fold(0.0, f64::max);
    let variance = values
        .iter()
        .map(|v| ((v - mean) / largest).powi(2))
        .sum::<f64>()
        / n;
    let deviation = largest * variance.sqrt();
    for v in values {
        *v = (*v - mean) / deviation;
    }
    Ok(())
}

/// The least number of insertions, deletions and replacements of characters between two names (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn shipped(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios/data")
            .join(name)
    }

    fn options(target: &str) -> DataOptions {
        DataOptions {
            target: target.into(),
            ..DataOptions::default()
        }
    }

    /// The message for a file with this text, without the file's name.
    fn refusal(text: &str, options: DataOptions) -> String {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let error = DataSet::read(file.path(), options).expect_err("must be refused");
        let name = file.path().display().to_string();
        let message = error.to_string();
        let rest = message
            .strip_prefix(&name)
            .expect("the message names the file");
        rest.trim_start_matches(": ").to_owned()
    }

    #[test]
    fn shipped_files_have_their_published_sizes() -> Result<(), DataError> {
        let all = DataSet::read(shipped("diabetes.csv"), options("progression"))?;
        assert_eq!(all.design.shape(), (442, 10));
        assert_eq!(all.columns[2], "bmi");
        // The first sample as published: age 59, progression 151, on the second line.
        assert_eq!(
            (all.design[(0, 0)], all.targets[0], all.lines[0]),
            (59.0, 151.0, 2)
        );
        let some = DataSet::read(
            shipped("breast_cancer.csv"),
            DataOptions {
                features: Some(vec!["mean_texture".into(), "mean_radius".into()]),
                intercept: true,
                rows: Some(100),
                ..options("malignant")
            },
        )?;
        assert_eq!(some.design.shape(), (100, 3));
        assert_eq!(some.columns, ["mean_texture", "mean_radius", "intercept"]);
        let first: Vec<f64> = some.design.row(0).iter().copied().collect();
        assert_eq!(first, [10.38, 17.99, 1.0]);
        Ok(())
    }

    #[test]
    fn standardised_columns_have_mean_zero_and_variance_one() -> Result<(), DataError> {
        let data = DataSet::read(
            shipped("breast_cancer.csv"),
            DataOptions {
                standardize: true,
                standardize_target: true,
                intercept: true,
                ..options("malignant")
            },
        )?;
        let n = data.targets.len() as f64;
        let features = data.design.columns(0, 30);
        let columns = features.column_iter().map(|c| c.iter().copied().collect());
        for column in columns.chain([data.targets.clone()]) {
            let column: Vec<f64> = column;
            let mean = column.iter().sum::<f64>() / n;
            let variance = column.iter().map(|v| v * v).sum::<f64>() / n;
            // Rounding: n terms of size one and, before scaling, |mean|/deviation ≤ 10 of relative rounding.
            let tolerance = 16.0 * n * f64::EPSILON;
            assert!(mean.abs() < tolerance, "{mean:e}");
            assert!((variance - 1.0).abs() < tolerance, "{variance}");
        }
        assert!(data.design.column(30).iter().all(|&v| v == 1.0));
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        let table = "a,b,y\n1,5,0\n2,5,1\n3,x1,0\n4,inf,1\n";
        let with = |features: &[&str]| DataOptions {
            features: Some(features.iter().map(|&f| f.into()).collect()),
            ..options("y")
        };
        assert_eq!(
            refusal(table, options("yy")),
            "no column `yy`; did you mean `y`? Columns: a, b, y"
        );
        assert_eq!(
            refusal(table, options("y")),
            "row 4, column `b`: `x1` is not a number"
        );
        assert_eq!(
            refusal("a,y\n1,2\ninf,1\n", options("y")),
            "row 3, column `a`: `inf` is not a finite number"
        );
        assert_eq!(
            refusal("a,y\n1,2\n,1\n", options("y")),
            "row 3, column `a`: `` is not a number"
        );
        assert_eq!(
            refusal(table, with(&["a", "y"])),
            "`features` lists `y`, which is already the target"
        );
        assert_eq!(
            refusal(table, with(&["a", "a"])),
            "`features` lists `a`, which is already a feature"
        );
        assert_eq!(
            refusal(table, with(&[])),
            "no feature column is left; list at least one in `features` or set `intercept`"
        );
        let constant = DataOptions {
            standardize: true,
            rows: Some(2),
            ..options("y")
        };
        assert_eq!(
            refusal(table, constant),
            "column `b` is 5 in every row read and cannot be standardised: leave it out, or do not standardise"
        );
        for asked in [0, 5] {
            let rows = DataOptions {
                rows: Some(asked),
                ..with(&["a"])
            };
            assert_eq!(
                refusal(table, rows),
                format!("`rows` asks for {asked}, allowed: 1 to 4")
            );
        }
        for text in ["", "a,y\n"] {
            assert_eq!(
                refusal(text, options("y")),
                "empty: a header line and at least one row are needed"
            );
        }
        assert_eq!(
            refusal("a,a,y\n1,2,3\n", options("y")),
            "the header names column `a` twice: names must differ"
        );
        assert!(refusal("a,y\n1,2\n3\n", options("y")).contains("line: 3"));
        let missing = DataSet::read("no/such/file.csv", options("y")).expect_err("missing");
        assert!(
            missing
                .to_string()
                .starts_with("no/such/file.csv: cannot be read")
        );
    }

    #[test]
    fn logistic_targets_are_checked_against_the_file() {
        let data = DataSet::read(shipped("diabetes.csv"), options("progression")).expect("valid");
        let path = shipped("diabetes.csv").display().to_string();
        let error = data
            .into_regression(RegressionLoss::Logistic, 0.0)
            .expect_err("not binary");
        assert_eq!(
            error.to_string(),
            format!(
                "{path}: row 2, column `progression`: logistic regression needs targets 0 or 1 (not standardised), \
                 found 151"
            )
        );
    }

    #[test]
    fn edit_distances() {
        for (a, b, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("bmi", "bmi", 0)] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
