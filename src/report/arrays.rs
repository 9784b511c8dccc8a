//! The statistics of a result as arrays with named axes: `statistics.npz` for NumPy and whatever reads its files.
//!
//! `docs/data.md` lists the arrays; a test keeps it true. What does not exist is NaN, 0 for counts and an empty text.

use super::result::*;
use npyz::{DType, WriteOptions, WriterBuilder};
use serde::Serialize;
use std::io::{self, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// File name.
pub const ARRAYS: &str = "statistics.npz";

/// File name of the kept paths.
pub const PATHS: &str = "paths.npz";

/// Numbers, counts or texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `float64`
    Numbers(Vec<f64>),
    /// `uint64`
    Counts(Vec<u64>),
    /// Unicode
    Texts(Vec<String>),
}

/// An array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name in the file.
    pub name: &'static str,
    /// Names of its axes; one of the same name goes the same way in every array.
    pub axes: &'static [&'static str],
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// The entries.
    pub data: Data,
}

/// Lengths of all axes.
struct Axes<'a> {
    result: &'a ScenarioResult,
    monitored: Vec<usize>,
    distances: Vec<(usize, &'a DistanceCheck)>,
    laws: Vec<(usize, &'a LawDistance)>,
    closeness: Vec<(usize, &'a Closeness)>,
    lengths: Vec<(&'static str, usize)>,
}

impl<'a> Axes<'a> {
    fn new(result: &'a ScenarioResult) -> Self {
        let summaries = || result.cells.iter().flat_map(|c| &c.processes);
        let bands = || summaries().flat_map(|p| &p.quantiles);
        let histograms = || summaries().flat_map(|p| &p.histograms);
        let mut monitored: Vec<usize> = bands().map(|b| b.function).collect();
        monitored.extend(histograms().map(|h| h.function));
        monitored.sort_unstable();
        monitored.dedup();
        let of =
            |p: &ProcessSummary, f: usize| p.histograms.iter().filter(|h| h.function == f).count();
        let shown = summaries().flat_map(|p| monitored.iter().map(move |&f| of(p, f)));
        let distances = numbered(result, |c| &c.distances);
        let laws = numbered(result, |c| &c.laws);
        let closeness = numbered(result, |c| &c.closeness);
        let ladders = || result.comparisons.iter().flat_map(|c| &c.exact);
        let lengths = vec![
            ("eta", result.cells.len()),
            ("process", result.processes.len()),
            ("function", result.functions.len()),
            ("monitored", monitored.len()),
            (
                "time",
                result
                    .cells
                    .iter()
                    .map(|c| c.times.len())
                    .max()
                    .unwrap_or(0),
            ),
            (
                "probability",
                bands().map(|b| b.probabilities.len()).max().unwrap_or(0),
            ),
            ("shown", shown.max().unwrap_or(0)),
            (
                "bin",
                histograms().map(|h| h.counts.len()).max().unwrap_or(0),
            ),
            ("comparison", result.comparisons.len()),
            ("step", result.cells.len().saturating_sub(1)),
            ("distance", distances.len()),
            ("law", laws.len()),
            ("closeness", closeness.len()),
            (
                "exact_eta",
                ladders().map(|l| l.etas.len()).max().unwrap_or(0),
            ),
            (
                "exact_step",
                ladders().map(|l| l.slopes.len()).max().unwrap_or(0),
            ),
        ];
        Axes {
            result,
            monitored,
            distances,
            laws,
            closeness,
            lengths,
        }
    }

    fn shape(&self, axes: &[&str]) -> Vec<usize> {
        let length = |axis: &&str| {
            self.lengths
                .iter()
                .find(|(name, _)| name == axis)
                .map_or(0, |l| l.1)
        };
        axes.iter().map(length).collect()
    }

    fn numbers(
        &self,
        name: &'static str,
        axes: &'static [&'static str],
        at: impl Fn(&[usize]) -> Option<f64>,
    ) -> Array {
        let shape = self.shape(axes);
        let data = indices(&shape)
            .map(|i| at(&i).unwrap_or(f64::NAN))
            .collect();
        Array {
            name,
            axes,
            shape,
            data: Data::Numbers(data),
        }
    }

    fn counts(
        &self,
        name: &'static str,
        axes: &'static [&'static str],
        at: impl Fn(&[usize]) -> Option<u64>,
    ) -> Array {
        let shape = self.shape(axes);
        let data = indices(&shape).map(|i| at(&i).unwrap_or(0)).collect();
        Array {
            name,
            axes,
            shape,
            data: Data::Counts(data),
        }
    }

    fn texts(
        &self,
        name: &'static str,
        axes: &'static [&'static str],
        at: impl Fn(usize) -> Option<String>,
    ) -> Array {
        let shape = self.shape(axes);
        let data = indices(&shape)
            .map(|i| at(i[0]).unwrap_or_default())
            .collect();
        Array {
            name,
            axes,
            shape,
            data: Data::Texts(data),
        }
    }

    fn process(&self, cell: usize, process: usize) -> Option<&'a ProcessSummary> {
        self.result.cells.get(cell)?.processes.get(process)
    }

    fn band(&self, cell: usize, process: usize, monitored: usize) -> Option<&'a QuantileBand> {
        let function = *self.monitored.get(monitored)?;
        let mut bands = self.process(cell, process)?.quantiles.iter();
        bands.find(|b| b.function == function)
    }

    fn histogram(&self, i: &[usize]) -> Option<&'a Histogram> {
        let function = *self.monitored.get(i[2])?;
        let all = self.process(i[0], i[1])?.histograms.iter();
        all.filter(|h| h.function == function).nth(i[3])
    }

    fn check(&self, comparison: usize, function: usize) -> Option<&'a FunctionCheck> {
        let mut checks = self.result.comparisons.get(comparison)?.functions.iter();
        checks.find(|f| f.function == function)
    }

    /// The point of a ladder at the η of a cell; ladders may leave out cells.
    fn point(&self, points: &'a [ErrorPoint], cell: usize) -> Option<&'a ErrorPoint> {
        let eta = self.result.cells.get(cell)?.eta;
        points.iter().find(|p| same(p.eta, eta))
    }

    fn slope(&self, i: &[usize]) -> Option<&'a SlopePoint> {
        let (large, small) = (
            self.result.cells.get(i[2])?.eta,
            self.result.cells.get(i[2] + 1)?.eta,
        );
        let mut slopes = self.check(i[0], i[1])?.slopes.iter();
        slopes.find(|s| same(s.eta_large, large) && same(s.eta_small, small))
    }

    fn exact(&self, comparison: usize, function: usize) -> Option<&'a ExactLadder> {
        let mut ladders = self.result.comparisons.get(comparison)?.exact.iter();
        ladders.find(|l| l.function == function)
    }
}

/// What the comparisons have of a kind, one comparison after the other, each with its place.
fn numbered<T>(result: &ScenarioResult, of: fn(&Comparison) -> &Vec<T>) -> Vec<(usize, &T)> {
    let comparisons = result.comparisons.iter().enumerate();
    comparisons
        .flat_map(|(c, comparison)| of(comparison).iter().map(move |x| (c, x)))
        .collect()
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs()
}

/// All indices of an array, the last axis fastest.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let total: usize = shape.iter().product();
    (0..total).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for (place, &length) in index.iter_mut().zip(&shape).rev() {
            *place = flat % length;
            flat /= length;
        }
        index
    })
}

/// The text of an enumeration, as in `result.json`.
fn written(value: impl Serialize) -> Option<String> {
    serde_json::to_value(value)
        .ok()?
        .as_str()
        .map(str::to_owned)
}

/// All arrays of a result.
pub fn arrays(result: &ScenarioResult) -> Vec<Array> {
    let axes = Axes::new(result);
    let a = &axes;
    let mut all = coordinates(a);
    all.extend(moments(a));
    all.extend(laws(a));
    all.extend(errors(a));
    all.extend(distances(a));
    all.extend(beside_the_verdict(a));
    all
}

fn coordinates(a: &Axes) -> Vec<Array> {
    let r = a.result;
    let cell = |i: &[usize]| r.cells.get(i[0]);
    vec![
        a.numbers("eta", &["eta"], |i| Some(cell(i)?.eta)),
        a.numbers("sigma", &["eta"], |i| Some(cell(i)?.sigma)),
        a.counts("steps", &["eta"], |i| Some(cell(i)?.steps)),
        a.counts("paths", &["eta"], |i| Some(cell(i)?.paths)),
        a.numbers("time", &["eta", "time"], |i| {
            cell(i)?.times.get(i[1]).copied()
        }),
        a.texts("process", &["process"], |i| {
            Some(r.processes.get(i)?.label.clone())
        }),
        a.texts("family", &["process"], |i| {
            written(r.processes.get(i)?.family)
        }),
        a.numbers("process_alpha", &["process"], |i| {
            r.processes.get(i[0])?.alpha
        }),
        a.texts("function", &["function"], |i| r.functions.get(i).cloned()),
        a.texts("monitored", &["monitored"], |i| {
            r.functions.get(*a.monitored.get(i)?).cloned()
        }),
    ]
}

fn moments(a: &Axes) -> Vec<Array> {
    const AXES: &[&str] = &["eta", "process", "function", "time"];
    let series = |name, of: fn(&EstimateSeries) -> &Vec<f64>| {
        a.numbers(name, AXES, move |i| {
            of(a.process(i[0], i[1])?.means.get(i[2])?)
                .get(i[3])
                .copied()
        })
    };
    let plain = |name, of: fn(&ProcessSummary) -> &Vec<Vec<f64>>| {
        a.numbers(name, AXES, move |i| {
            of(a.process(i[0], i[1])?).get(i[2])?.get(i[3]).copied()
        })
    };
    vec![
        a.counts("n", &["eta", "process"], |i| {
            Some(a.process(i[0], i[1])?.means.first()?.n)
        }),
        series("mean", |s| &s.value),
        series("mean_standard_error", |s| &s.standard_error),
        series("mean_lower", |s| &s.lower),
        series("mean_upper", |s| &s.upper),
        a.numbers("mean_exact", AXES, |i| {
            a.process(i[0], i[1])?
                .exact
                .as_ref()?
                .get(i[2])?
                .as_ref()?
                .get(i[3])
                .copied()
        }),
        plain("deviation", |p| &p.deviations),
        plain("least", |p| &p.least),
        plain("greatest", |p| &p.greatest),
        a.numbers("step_error", AXES, |i| {
            let series = a.process(i[0], i[1])?.step_error.as_ref()?.get(i[2])?;
            series.value.get(i[3]).copied()
        }),
    ]
}

fn laws(a: &Axes) -> Vec<Array> {
    const SHOWN: &[&str] = &["eta", "process", "monitored", "shown"];
    vec![
        a.numbers("probability", &["probability"], |i| {
            let summaries = a.result.cells.iter().flat_map(|c| &c.processes);
            let mut bands = summaries.flat_map(|p| &p.quantiles);
            bands.find_map(|b| b.probabilities.get(i[0]).copied())
        }),
        a.numbers(
            "quantile",
            &["eta", "process", "monitored", "probability", "time"],
            |i| {
                a.band(i[0], i[1], i[2])?
                    .values
                    .get(i[3])?
                    .get(i[4])
                    .copied()
            },
        ),
        a.numbers("histogram_time", SHOWN, |i| Some(a.histogram(i)?.time)),
        a.numbers("histogram_origin", SHOWN, |i| Some(a.histogram(i)?.origin)),
        a.numbers("histogram_width", SHOWN, |i| Some(a.histogram(i)?.width)),
        a.numbers("histogram_gaussian_mean", SHOWN, |i| {
            Some(a.histogram(i)?.gaussian?.0)
        }),
        a.numbers("histogram_gaussian_deviation", SHOWN, |i| {
            Some(a.histogram(i)?.gaussian?.1)
        }),
        a.counts(
            "histogram_count",
            &["eta", "process", "monitored", "shown", "bin"],
            |i| a.histogram(&i[..4])?.counts.get(i[4]).copied(),
        ),
    ]
}

fn errors(a: &Axes) -> Vec<Array> {
    const LADDER: &[&str] = &["comparison", "function", "eta"];
    const SLOPES: &[&str] = &["comparison", "function", "step"];
    const CHECKS: &[&str] = &["comparison", "function"];
    let r = a.result;
    let comparison = |i: &[usize]| r.comparisons.get(i[0]);
    let error = |name, of: fn(&ErrorPoint) -> f64| {
        a.numbers(name, LADDER, move |i| {
            Some(of(a.point(&a.check(i[0], i[1])?.errors, i[2])?))
        })
    };
    let slope = |name, of: fn(&Estimate) -> f64| {
        a.numbers(name, SLOPES, move |i| Some(of(&a.slope(i)?.slope)))
    };
    let check = |name, of: fn(&FunctionCheck) -> f64| {
        a.numbers(name, CHECKS, move |i| Some(of(a.check(i[0], i[1])?)))
    };
    let order = |name, of: fn(&Estimate) -> f64| {
        a.numbers(name, CHECKS, move |i| {
            a.check(i[0], i[1])?.order.as_ref().map(of)
        })
    };
    let process = |i: usize| Some(r.processes.get(i)?.label.clone());
    vec![
        a.texts("comparison", &["comparison"], |i| {
            Some(r.comparisons.get(i)?.id.clone())
        }),
        a.texts("left", &["comparison"], |i| {
            process(r.comparisons.get(i)?.left)
        }),
        a.texts("right", &["comparison"], |i| {
            process(r.comparisons.get(i)?.right)
        }),
        a.numbers("alpha", &["comparison"], |i| Some(comparison(i)?.alpha)),
        a.numbers("guaranteed_order", &["comparison"], |i| {
            Some(comparison(i)?.guaranteed_order)
        }),
        a.texts("verdict", &["comparison"], |i| {
            written(r.comparisons.get(i)?.verdict)
        }),
        a.texts("expected", &["comparison"], |i| {
            written(r.comparisons.get(i)?.expected)
        }),
        a.numbers("tolerance", &["comparison"], |i| {
            Some(comparison(i)?.tolerance)
        }),
        a.numbers("speed_up", &["comparison"], |i| comparison(i)?.speed_up),
        a.counts("limits", &["comparison"], |i| {
            Some(comparison(i)?.limits as u64)
        }),
        a.numbers("effective_limits", &["comparison"], |i| {
            Some(comparison(i)?.effective_limits)
        }),
        a.numbers("worst_limit", &["comparison"], |i| {
            Some(comparison(i)?.limit.value)
        }),
        a.numbers("worst_limit_lower", &["comparison"], |i| {
            Some(comparison(i)?.limit.lower)
        }),
        a.numbers("worst_limit_upper", &["comparison"], |i| {
            Some(comparison(i)?.limit.upper)
        }),
        error("error", |p| p.error.value),
        error("error_standard_error", |p| p.error.standard_error),
        error("error_lower", |p| p.error.lower),
        error("error_upper", |p| p.error.upper),
        error("error_time", |p| p.time),
        error("error_noise_floor", |p| p.noise_floor),
        error("error_constant", |p| p.constant.value),
        slope("slope", |s| s.value),
        slope("slope_standard_error", |s| s.standard_error),
        slope("slope_lower", |s| s.lower),
        slope("slope_upper", |s| s.upper),
        order("order", |o| o.value),
        order("order_standard_error", |o| o.standard_error),
        order("order_lower", |o| o.lower),
        order("order_upper", |o| o.upper),
        check("scale", |c| c.scale),
        check("limit", |c| c.limit.value),
        check("limit_standard_error", |c| c.limit.standard_error),
        check("limit_lower", |c| c.limit.lower),
        check("limit_upper", |c| c.limit.upper),
        check("limit_time", |c| c.limit_time),
        a.numbers("exact_eta", &["exact_eta"], |i| {
            let ladders = || r.comparisons.iter().flat_map(|c| &c.exact);
            let longest = ladders().max_by_key(|l| l.etas.len())?;
            longest.etas.get(i[0]).copied()
        }),
        a.numbers(
            "exact_error",
            &["comparison", "function", "exact_eta"],
            |i| a.exact(i[0], i[1])?.errors.get(i[2]).copied(),
        ),
        a.numbers(
            "exact_slope",
            &["comparison", "function", "exact_step"],
            |i| a.exact(i[0], i[1])?.slopes.get(i[2]).copied(),
        ),
    ]
}

fn distances(a: &Axes) -> Vec<Array> {
    const LADDER: &[&str] = &["distance", "eta"];
    let of = |i: &[usize]| a.distances.get(i[0]).map(|d| d.1);
    // Floors and means stand beside the errors.
    let beside = |i: &[usize], list: fn(&DistanceCheck) -> &Vec<f64>| -> Option<f64> {
        let d = of(i)?;
        let eta = a.result.cells.get(i[1])?.eta;
        let place = d.check.errors.iter().position(|p| same(p.eta, eta))?;
        list(d).get(place).copied()
    };
    let error = |name, value: fn(&Estimate) -> f64| {
        a.numbers(name, LADDER, move |i| {
            Some(value(&a.point(&of(i)?.check.errors, i[1])?.error))
        })
    };
    let limit = |name, value: fn(&Estimate) -> f64| {
        a.numbers(name, &["distance"], move |i| {
            Some(value(&of(i)?.check.limit))
        })
    };
    vec![
        a.texts("distance_name", &["distance"], |i| {
            Some(a.distances.get(i)?.1.name.clone())
        }),
        a.texts("distance_kind", &["distance"], |i| {
            written(a.distances.get(i)?.1.kind)
        }),
        a.counts("distance_comparison", &["distance"], |i| {
            a.distances.get(i[0]).map(|d| d.0 as u64)
        }),
        error("distance", |e| e.value),
        error("distance_lower", |e| e.lower),
        error("distance_upper", |e| e.upper),
        a.numbers("distance_floor", LADDER, |i| beside(i, |d| &d.floor)),
        a.numbers("distance_mean", LADDER, |i| beside(i, |d| &d.mean)),
        a.numbers("distance_scale", &["distance"], |i| {
            Some(of(i)?.check.scale)
        }),
        limit("distance_limit", |e| e.value),
        limit("distance_limit_lower", |e| e.lower),
        limit("distance_limit_upper", |e| e.upper),
    ]
}

/// Distances between laws, and C-closeness.
fn beside_the_verdict(a: &Axes) -> Vec<Array> {
    let eta = |cell: usize| Some(a.result.cells.get(cell)?.eta);
    let law = |name, value: fn(&LawPoint) -> f64| {
        a.numbers(name, &["law", "eta"], move |i| {
            let (eta, points) = (eta(i[1])?, &a.laws.get(i[0])?.1.points);
            Some(value(points.iter().find(|p| same(p.eta, eta))?))
        })
    };
    let close = |name, value: fn(&ClosenessPoint) -> f64| {
        a.numbers(name, &["closeness", "eta"], move |i| {
            let (eta, points) = (eta(i[1])?, &a.closeness.get(i[0])?.1.points);
            Some(value(points.iter().find(|p| same(p.eta, eta))?))
        })
    };
    vec![
        a.texts("law_name", &["law"], |i| {
            Some(a.laws.get(i)?.1.name.clone())
        }),
        a.texts("law_kind", &["law"], |i| written(a.laws.get(i)?.1.kind)),
        a.counts("law_comparison", &["law"], |i| {
            Some(a.laws.get(i[0])?.0 as u64)
        }),
        a.numbers("law_scale", &["law"], |i| Some(a.laws.get(i[0])?.1.scale)),
        law("law_distance", |p| p.distance.value),
        law("law_distance_standard_error", |p| p.distance.standard_error),
        law("law_distance_lower", |p| p.distance.lower),
        law("law_distance_upper", |p| p.distance.upper),
        law("law_floor", |p| p.floor),
        law("law_p_value", |p| p.p_value),
        a.texts("closeness_function", &["closeness"], |i| {
            let function = a.closeness.get(i)?.1.function;
            a.result.functions.get(function).cloned()
        }),
        a.counts("closeness_comparison", &["closeness"], |i| {
            Some(a.closeness.get(i[0])?.0 as u64)
        }),
        close("closeness_time", |p| p.time),
        close("closeness_ratio", |p| p.ratio.value),
        close("closeness_ratio_lower", |p| p.ratio.lower),
        close("closeness_ratio_upper", |p| p.ratio.upper),
        close("closeness_factor", |p| p.factor.value),
        close("closeness_factor_lower", |p| p.factor.lower),
        close("closeness_factor_upper", |p| p.factor.upper),
    ]
}

/// Writes all arrays of a result as an `.npz` file, uncompressed. The same result gives the same bytes.
///
/// # Errors
/// The writer's.
pub fn write(result: &ScenarioResult, to: impl Write + Seek) -> io::Result<()> {
    let mut archive = ZipWriter::new(to);
    for array in arrays(result) {
        start(&mut archive, array.name)?;
        write_array(&array, &mut archive)?;
    }
    archive.finish()?;
    Ok(())
}

/// The axes of the states of kept paths.
pub const STATE_AXES: [&str; 5] = ["eta", "process", "path", "time", "coordinate"];

/// What stands beside the states of kept paths: their coordinates, named as in `statistics.npz`.
pub fn path_coordinates(result: &ScenarioResult, kept: &KeptPaths) -> Vec<Array> {
    let labels = result.processes.iter().map(|p| p.label.clone());
    let time = |i: Vec<usize>| kept.times.get(i[0])?.get(i[1]).copied();
    let grid = [kept.shape[0], kept.shape[3]];
    let numbers = |name, axes, shape: &[usize], values: Vec<f64>| Array {
        name,
        axes,
        shape: shape.to_vec(),
        data: Data::Numbers(values),
    };
    vec![
        numbers("eta", &["eta"], &grid[..1], kept.etas.clone()),
        numbers(
            "time",
            &["eta", "time"],
            &grid,
            indices(&grid)
                .map(|i| time(i).unwrap_or(f64::NAN))
                .collect(),
        ),
        Array {
            name: "process",
            axes: &["process"],
            shape: vec![result.processes.len()],
            data: Data::Texts(labels.collect()),
        },
    ]
}

/// Writes the kept paths as an `.npz` file: `state` and its coordinates.
///
/// # Errors
/// The writer's.
pub fn write_paths(
    result: &ScenarioResult,
    kept: &KeptPaths,
    to: impl Write + Seek,
) -> io::Result<()> {
    let mut archive = ZipWriter::new(to);
    for array in path_coordinates(result, kept) {
        start(&mut archive, array.name)?;
        write_array(&array, &mut archive)?;
    }
    start(&mut archive, "state")?;
    write_numbers(&kept.shape, &kept.states, &mut archive)?;
    archive.finish()?;
    Ok(())
}

fn start(archive: &mut ZipWriter<impl Write + Seek>, name: &str) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(false);
    Ok(archive.start_file(format!("{name}.npy"), options)?)
}

fn write_numbers(shape: &[usize], values: &[f64], to: &mut impl Write) -> io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let options = WriteOptions::new().default_dtype().shape(&shape);
    let mut file = options.writer(to).begin_nd()?;
    file.extend(values)?;
    file.finish()
}

fn write_array(array: &Array, to: &mut impl Write) -> io::Result<()> {
    let shape: Vec<u64> = array.shape.iter().map(|&n| n as u64).collect();
    match &array.data {
        Data::Numbers(values) => write_numbers(&array.shape, values, to),
        Data::Counts(values) => {
            let options = WriteOptions::new().default_dtype().shape(&shape);
            let mut file = options.writer(to).begin_nd()?;
            file.extend(values)?;
            file.finish()
        }
        Data::Texts(values) => {
            let longest = values.iter().map(|v| v.chars().count()).max().unwrap_or(0);
            let kind = format!("<U{}", longest.max(1));
            let kind = kind.parse().map_err(io::Error::other)?;
            let options = WriteOptions::new().dtype(DType::Plain(kind)).shape(&shape);
            let mut file = options.writer(to).begin_nd()?;
            file.extend(values)?;
            file.finish()
        }
    }
}

#[cfg(test)]
mod tests;
