//! From the tables of a file to checked types: whatever passes here runs without a panic.

use super::landscapes::{landscape, random_point};
use super::locate::locate;
use super::raw::*;
use super::{Comparison, Overrides, ProcessKind, Profile, RunSettings, Scenario};
use crate::clocks::FastTime;
use crate::ensemble::{InitialMomentum, Region, TestFunction};
use crate::landscape::*;
use crate::oracle::*;
use crate::schedule::{Dampening, Horizon, Schedule, ScheduleFamily, Shape};
use nalgebra::DMatrix;
use std::path::Path;
use std::sync::Arc;

/// A scenario that cannot be run, and where the mistake is.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key or value is not one that is allowed.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, column, caret and the allowed keys or values.
        message: String,
    },
    /// A value that cannot be used.
    #[error("{file}{}: `{key}`: {message}", place.map(|(l, c)| format!(":{l}:{c}")).unwrap_or_default())]
    Value {
        /// The file.
        file: String,
        /// Line and column.
        place: Option<(usize, usize)>,
        /// The path of the key, e.g. `run.etas`.
        key: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// A `--set` that is not of the form key=value.
    #[error("--set {text}: {message}")]
    Set {
        /// The argument.
        text: String,
        /// What is wrong.
        message: String,
    },
}

/// What is wrong with which key.
pub(super) struct Problem {
    key: String,
    message: String,
}

pub(super) fn problem<T>(key: impl Into<String>, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        key: key.into(),
        message: message.into(),
    })
}

/// Requires a condition on a number.
fn require(key: &str, value: f64, good: bool, allowed: &str) -> Result<(), Problem> {
    if good && value.is_finite() {
        Ok(())
    } else {
        problem(key, format!("is {value}, but must be {allowed}"))
    }
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// A [`ScenarioError`] that names file, line, key, value and what is allowed.
    pub fn read(
        path: &Path,
        profile: Profile,
        overrides: &Overrides,
    ) -> Result<Scenario, ScenarioError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
            file: file.clone(),
            source,
        })?;
        let name = path.file_stem().map_or_else(
            || "scenario".to_string(),
            |s| s.to_string_lossy().into_owned(),
        );
        let folder = path.parent().unwrap_or(Path::new("."));
        Scenario::parse(&text, &file, &name, folder, profile, overrides)
    }

    /// The same from text; `folder` is where data files are looked for.
    ///
    /// # Errors
    /// See [`Scenario::read`].
    pub fn parse(
        text: &str,
        file: &str,
        name: &str,
        folder: &Path,
        profile: Profile,
        overrides: &Overrides,
    ) -> Result<Scenario, ScenarioError> {
        let (text, file) = if overrides.assignments.is_empty() {
            (text.to_string(), file.to_string())
        } else {
            (
                assign(text, file, &overrides.assignments)?,
                format!("{file} with --set"),
            )
        };
        let mut raw: RawScenario = toml::from_str(&text).map_err(|e| ScenarioError::Syntax {
            file: file.clone(),
            message: e.to_string().trim_end().to_string(),
        })?;
        if let Some(seed) = overrides.seed {
            raw.run.seed = Some(seed);
            raw.profile = RawProfiles {
                smoke: RawRun {
                    seed: None,
                    ..raw.profile.smoke
                },
                quick: RawRun {
                    seed: None,
                    ..raw.profile.quick
                },
                full: RawRun {
                    seed: None,
                    ..raw.profile.full
                },
            };
        }
        check(raw, &text, name, folder, profile).map_err(|p| {
            let in_profile = p
                .key
                .strip_prefix("run.")
                .map(|k| format!("profile.{}.{k}", profile.name()));
            // A setting of the profile wins over `run`: point at the one that is in force.
            let key = in_profile.filter(|k| has_key(&text, k)).unwrap_or(p.key);
            ScenarioError::Value {
                place: locate(&text, &key),
                file,
                key,
                message: p.message,
            }
        })
    }
}

fn has_key(text: &str, path: &str) -> bool {
    let Ok(document) = toml_edit::Document::parse(text) else {
        return false;
    };
    let mut item = document.as_item();
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or(part);
        match item.as_table_like().and_then(|t| t.get(name)) {
            Some(inner) => item = inner,
            None => return false,
        }
    }
    true
}

/// Writes `key.path=value` assignments into the text.
fn assign(text: &str, file: &str, assignments: &[String]) -> Result<String, ScenarioError> {
    let mut document: toml_edit::DocumentMut =
        text.parse()
            .map_err(|e: toml_edit::TomlError| ScenarioError::Syntax {
                file: file.to_string(),
                message: e.to_string().trim_end().to_string(),
            })?;
    for text in assignments {
        let bad = |message: &str| ScenarioError::Set {
            text: text.clone(),
            message: message.to_string(),
        };
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| bad("write it as key=value, for example run.paths=1000"))?;
        let value = value.trim();
        let value: toml_edit::Value = value
            .parse()
            .or_else(|_| format!("{value:?}").parse())
            .map_err(|_| bad("the value is not TOML"))?;
        let parts: Vec<&str> = path.split('.').map(str::trim).collect();
        let Some((last, parents)) = parts
            .split_last()
            .filter(|_| parts.iter().all(|p| !p.is_empty()))
        else {
            return Err(bad("the key has an empty part"));
        };
        let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
        for part in parents {
            table = table
                .entry(part)
                .or_insert(toml_edit::table())
                .as_table_like_mut()
                .ok_or_else(|| bad(&format!("`{part}` is not a table")))?;
        }
        table.insert(last, toml_edit::value(value));
    }
    Ok(document.to_string())
}

fn check(
    raw: RawScenario,
    text: &str,
    name: &str,
    folder: &Path,
    profile: Profile,
) -> Result<Scenario, Problem> {
    let landscape = landscape(&raw.landscape, folder)?;
    let d = landscape.dimension();
    let noise = noise(&raw.noise, &landscape)?;
    let RawNoiseScale { factor, power } = raw.noise_scale;
    require(
        "noise_scale.factor",
        factor,
        factor >= 0.0,
        "a finite number ≥ 0",
    )?;
    require(
        "noise_scale.power",
        power,
        power >= -0.5,
        "at least −0.5: Theorem 4.5 asks for σ ≤ η^{-1/2}",
    )?;
    let x0 = match raw.start.x0 {
        RawPoint::At(x) => x,
        RawPoint::Everywhere(v) => vec![v; d],
        RawPoint::Random { scale, seed } => {
            require(
                "start.x0.random.scale",
                scale,
                scale > 0.0,
                "a finite number > 0",
            )?;
            random_point(d, scale, seed)
        }
    };
    vector("start.x0.at", &x0, d)?;
    let m0 = match raw.start.m0 {
        RawMomentum::Zero => InitialMomentum::Zero,
        RawMomentum::Gradient => InitialMomentum::Gradient,
        RawMomentum::Fixed(m) => {
            vector("start.m0.fixed", &m, d)?;
            InitialMomentum::Fixed(m)
        }
        RawMomentum::Gaussian(s) => {
            require(
                "start.m0.gaussian",
                s,
                s >= 0.0,
                "a finite standard deviation ≥ 0",
            )?;
            InitialMomentum::Gaussian(s)
        }
    };
    let region = raw.compact_set.map(|r| region(r, &x0)).transpose()?;
    let settings = match profile {
        Profile::Smoke => raw.profile.smoke,
        Profile::Quick => raw.profile.quick,
        Profile::Full => raw.profile.full,
    };
    let run = run_settings(settings.over(raw.run), profile, d, factor == 0.0)?;
    let learning_rate = shape(&raw.schedule.learning_rate, "schedule.learning_rate")?;
    let momentum = shape(&raw.schedule.momentum, "schedule.momentum")?;
    let dampening = Dampening::new(raw.schedule.dampening)
        .or_else(|e| problem("schedule.dampening", e.to_string()))?;
    let scenario = Scenario {
        name: name.to_string(),
        title: raw.title,
        claim: raw.claim,
        about: raw.about,
        profile,
        settings: text.to_string(),
        oracle: Oracle { landscape, noise },
        noise_factor: factor,
        noise_power: power,
        x0,
        m0,
        region,
        learning_rate,
        momentum,
        dampening,
        comparisons: vec![],
        run,
    };
    let comparisons = comparisons(&raw.compare, &scenario)?;
    check_schedules(&scenario, &comparisons)?;
    Ok(Scenario {
        comparisons,
        ..scenario
    })
}

fn vector(key: &str, v: &[f64], d: usize) -> Result<(), Problem> {
    if v.len() != d {
        return problem(
            key,
            format!(
                "has {} entries, but the landscape has {d} parameters",
                v.len()
            ),
        );
    }
    match v.iter().position(|x| !x.is_finite()) {
        Some(i) => problem(
            format!("{key}[{}]", i + 1),
            format!("is {}, but must be a finite number", v[i]),
        ),
        None => Ok(()),
    }
}

pub(super) fn matrix(key: &str, rows: &[Vec<f64>]) -> Result<DMatrix<f64>, Problem> {
    let columns = rows.first().map_or(0, Vec::len);
    if columns == 0 {
        return problem(key, "is empty, but must be a list of rows of numbers");
    }
    for (i, row) in rows.iter().enumerate() {
        if row.len() != columns {
            return problem(
                format!("{key}[{}]", i + 1),
                format!("has {} entries, but row 1 has {columns}", row.len()),
            );
        }
        if let Some(j) = row.iter().position(|x| !x.is_finite()) {
            return problem(
                format!("{key}[{}]", i + 1),
                format!("entry {} is {}, but must be a finite number", j + 1, row[j]),
            );
        }
    }
    Ok(DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]))
}

fn noise(raw: &RawNoise, landscape: &Arc<dyn Landscape>) -> Result<Arc<dyn Noise>, Problem> {
    let batch = |key: &str, size: usize| -> Result<Minibatch, Problem> {
        if size == 0 {
            return problem(key, "is 0, but a batch needs at least one sample");
        }
        Minibatch::new(landscape.clone(), size).map_or_else(
            || problem(key, "needs a landscape that averages over samples: `regression`, `linear_regression`, `diagonal_network`, `matrix_sensing` or `two_layer_network`"),
            Ok,
        )
    };
    Ok(match raw {
        RawNoise::Gaussian {
            factor: RawFactor::Minibatch(size),
        } => Arc::new(batch("noise.gaussian.factor.minibatch", *size)?.gaussian()),
        RawNoise::Gaussian { factor } => {
            factor_noise("gaussian", factor, EntryLaw::Gaussian, landscape)?
        }
        RawNoise::Rademacher { factor } => {
            factor_noise("rademacher", factor, EntryLaw::Rademacher, landscape)?
        }
        RawNoise::Student { freedom, factor } => {
            require(
                "noise.student.freedom",
                *freedom,
                *freedom > 2.0,
                "a finite number above 2, so that the variance exists",
            )?;
            factor_noise(
                "student",
                factor,
                EntryLaw::Student { freedom: *freedom },
                landscape,
            )?
        }
        RawNoise::Label { deviation, law } => {
            require(
                "noise.label.deviation",
                *deviation,
                *deviation >= 0.0,
                "a finite number ≥ 0",
            )?;
            let law = match law {
                RawLabelLaw::Gaussian => EntryLaw::Gaussian,
                RawLabelLaw::Rademacher => EntryLaw::Rademacher,
            };
            match LabelNoise::new(landscape.clone(), *deviation, law) {
                Some(noise) => Arc::new(noise),
                None => {
                    return problem(
                        "noise.label",
                        "needs a landscape that averages squared losses: `regression` with loss = \"least_squares\", `linear_regression`, `diagonal_network`, `matrix_sensing` or `two_layer_network`",
                    );
                }
            }
        }
        RawNoise::Minibatch { size } => Arc::new(batch("noise.minibatch.size", *size)?),
    })
}

fn factor_noise(
    law_name: &str,
    raw: &RawFactor,
    law: EntryLaw,
    landscape: &Arc<dyn Landscape>,
) -> Result<Arc<dyn Noise>, Problem> {
    let key = format!("noise.{law_name}.factor");
    let d = landscape.dimension();
    let scale =
        |name: &str, s: f64| require(&format!("{key}.{name}"), s, s >= 0.0, "a finite number ≥ 0");
    let factor = match raw {
        RawFactor::Isotropic(s) => {
            scale("isotropic", *s)?;
            Factor::Isotropic(*s)
        }
        RawFactor::Diagonal(s) => {
            vector(&format!("{key}.diagonal"), s, d)?;
            Factor::Diagonal(s.clone())
        }
        RawFactor::Matrix(rows) => {
            let m = matrix(&format!("{key}.matrix"), rows)?;
            if m.nrows() != d {
                return problem(
                    format!("{key}.matrix"),
                    format!(
                        "has {} rows, but the landscape has {d} parameters",
                        m.nrows()
                    ),
                );
            }
            Factor::Matrix(m)
        }
        RawFactor::Multiplicative(s) => {
            scale("multiplicative", *s)?;
            Factor::Multiplicative(*s)
        }
        RawFactor::Growing(s) => {
            scale("growing", *s)?;
            Factor::Growing(*s)
        }
        RawFactor::Minibatch(_) => {
            return problem(
                key,
                "`minibatch` is a factor of Gaussian noise only: use [noise.gaussian] or [noise.minibatch]",
            );
        }
    };
    Ok(Arc::new(FactorNoise::new(factor, law, d)))
}

fn region(raw: RawRegion, x0: &[f64]) -> Result<Region, Problem> {
    let d = x0.len();
    let region = match raw {
        RawRegion::Ball { radius, center } => {
            require(
                "compact_set.ball.radius",
                radius,
                radius > 0.0,
                "a finite number > 0",
            )?;
            let center = center.unwrap_or_else(|| vec![0.0; d]);
            vector("compact_set.ball.center", &center, d)?;
            Region::Ball { center, radius }
        }
        RawRegion::Box { lower, upper } => {
            vector("compact_set.box.lower", &lower, d)?;
            vector("compact_set.box.upper", &upper, d)?;
            Region::Box { lower, upper }
        }
    };
    if !region.contains(x0) {
        return problem("compact_set", "does not contain start.x0");
    }
    Ok(region)
}

fn shape(raw: &RawShape, key: &str) -> Result<Shape, Problem> {
    let result = match raw {
        RawShape::Constant(v) => Shape::constant(*v),
        RawShape::StepDecay {
            initial,
            factor,
            at,
        } => Shape::step_decay(*initial, *factor, at.clone()),
        RawShape::Cosine { from, to } => Shape::cosine(*from, *to),
        RawShape::Warmup {
            duration,
            from,
            then,
        } => Shape::warmup(
            *duration,
            *from,
            shape(then, &format!("{key}.warmup.then"))?,
        ),
        RawShape::Table { times, values } => Shape::table(times.clone(), values.clone()),
        RawShape::Steps(values) => Shape::steps(values.clone()),
        RawShape::Cycle(values) => Shape::cycle(values.clone()),
    };
    result.or_else(|e| problem(key, e.to_string()))
}

fn run_settings(
    raw: RawRun,
    profile: Profile,
    d: usize,
    deterministic: bool,
) -> Result<RunSettings, Problem> {
    let defaults = profile.defaults();
    let Some(horizon) = raw.horizon else {
        return problem(
            "run.horizon",
            "is missing: the horizon T in fast time t = kη",
        );
    };
    require("run.horizon", horizon, horizon > 0.0, "a finite time > 0")?;
    let eta_max = raw.eta_max.unwrap_or(1.0 / 16.0);
    require(
        "run.eta_max",
        eta_max,
        eta_max > 0.0 && eta_max <= horizon,
        "above 0 and at most the horizon",
    )?;
    let count = |key: &str, value: usize, low: usize, high: usize| -> Result<usize, Problem> {
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            problem(
                key,
                format!("is {value}, but must be a whole number from {low} to {high}"),
            )
        }
    };
    let etas = count("run.etas", raw.etas.unwrap_or(defaults.etas), 1, 24)?;
    let smallest = eta_max * (1.0 - etas as f64).exp2();
    if horizon / smallest > 1e9 {
        return problem(
            "run.etas",
            format!(
                "is {etas}: the smallest η would be {smallest:.3e} and take {:.1e} steps; at most 1e9 are allowed",
                horizon / smallest
            ),
        );
    }
    let sde_etas = count(
        "run.sde_etas",
        raw.sde_etas
            .unwrap_or(etas.min(defaults.sde_etas))
            .min(etas),
        0,
        etas,
    )?;
    let alphas = raw.alphas.unwrap_or_else(|| vec![0.0]);
    check_alphas("run.alphas", &alphas)?;
    let paths = raw.paths.unwrap_or(defaults.paths);
    let max_paths = raw
        .max_paths
        .unwrap_or(defaults.max_paths.max(paths))
        .max(paths);
    for (key, value) in [("run.paths", paths), ("run.max_paths", max_paths)] {
        if !(1..=1_000_000_000_000).contains(&value) {
            return problem(
                key,
                format!("is {value}, but must be a whole number from 1 to 10¹²"),
            );
        }
    }
    let times = count("run.times", raw.times.unwrap_or(8), 1, 256)?;
    let early_times = count("run.early_times", raw.early_times.unwrap_or(8), 0, 256)?;
    let substeps = count("run.substeps", raw.substeps.unwrap_or(8), 1, 4096)?;
    let functions = match &raw.functions {
        None => TestFunction::default_panel(d),
        Some(names) if names.is_empty() => {
            return problem("run.functions", "is empty: name at least one test function");
        }
        Some(names) => parse_functions("run.functions", names, d)?,
    };
    let monitored = match &raw.monitored {
        None => [TestFunction::Coordinate(0), TestFunction::Loss]
            .into_iter()
            .filter_map(|f| functions.iter().position(|g| *g == f))
            .collect(),
        Some(names) => {
            let wanted = parse_functions("run.monitored", names, d)?;
            let find = |(i, f): (usize, &TestFunction)| {
                functions.iter().position(|g| g == f).map_or_else(
                    || {
                        problem(
                            format!("run.monitored[{}]", i + 1),
                            format!("`{f}` is not among the test functions of the run"),
                        )
                    },
                    Ok,
                )
            };
            wanted
                .iter()
                .enumerate()
                .map(find)
                .collect::<Result<_, _>>()?
        }
    };
    let level = raw.level.unwrap_or(0.99);
    require(
        "run.level",
        level,
        level > 0.5 && level < 1.0,
        "above 0.5 and below 1",
    )?;
    let tolerance = raw.tolerance.unwrap_or(defaults.tolerance);
    require(
        "run.tolerance",
        tolerance,
        tolerance > 0.0 && tolerance < 1.0,
        "above 0 and below 1",
    )?;
    let negligible = raw.negligible.unwrap_or(0.002);
    require(
        "run.negligible",
        negligible,
        negligible >= 0.0 && negligible < tolerance,
        "at least 0 and below the tolerance",
    )?;
    Ok(RunSettings {
        horizon,
        alphas,
        etas: (0..etas).map(|i| eta_max * (-(i as f64)).exp2()).collect(),
        sde_etas,
        // Without noise all paths are the same one.
        paths: if deterministic { 1 } else { paths },
        max_paths: if deterministic { 1 } else { max_paths },
        times,
        early_times,
        substeps,
        functions,
        monitored,
        level,
        tolerance,
        negligible,
        seed: raw.seed.unwrap_or(1),
    })
}

fn check_alphas(key: &str, alphas: &[f64]) -> Result<(), Problem> {
    if alphas.is_empty() {
        return problem(key, "is empty: name at least one momentum index α");
    }
    for (i, &a) in alphas.iter().enumerate() {
        require(
            &format!("{key}[{}]", i + 1),
            a,
            (0.0..=4.0).contains(&a),
            "from 0 to 4",
        )?;
    }
    Ok(())
}

fn parse_functions(key: &str, names: &[String], d: usize) -> Result<Vec<TestFunction>, Problem> {
    let parse = |(i, name): (usize, &String)| -> Result<TestFunction, Problem> {
        let key = format!("{key}[{}]", i + 1);
        let f: TestFunction = name
            .parse()
            .or_else(|e| problem(&key, format!("`{name}` is {e}")))?;
        match f.last_coordinate() {
            Some(c) if c >= d => problem(
                key,
                format!(
                    "`{name}` asks for coordinate {}, but the landscape has {d}",
                    c + 1
                ),
            ),
            _ => Ok(f),
        }
    };
    names.iter().enumerate().map(parse).collect()
}

fn comparisons(raw: &[RawCompare], scenario: &Scenario) -> Result<Vec<Comparison>, Problem> {
    if raw.is_empty() {
        return problem(
            "compare",
            "is empty: a scenario needs at least one [[compare]]",
        );
    }
    let mut all = vec![];
    for (i, c) in raw.iter().enumerate() {
        let key = format!("compare[{}]", i + 1);
        let alphas = c.alphas.as_ref().unwrap_or(&scenario.run.alphas);
        check_alphas(&format!("{key}.alphas"), alphas)?;
        let (left, right) = (c.left, c.right);
        if left == right {
            return problem(
                format!("{key}.right"),
                "is the same process as `left`: nothing to compare",
            );
        }
        if [left, right].contains(&ProcessKind::Sde) {
            let times = [
                ("learning_rate", &scenario.learning_rate),
                ("momentum", &scenario.momentum),
            ];
            for (name, shape) in times {
                if shape.limit(0.0, scenario.run.horizon).is_none() {
                    return problem(
                        format!(
                            "{key}.{}",
                            if left == ProcessKind::Sde {
                                "left"
                            } else {
                                "right"
                            }
                        ),
                        format!(
                            "the SDE (51) needs a schedule that is a function of time, but schedule.{name} changes from step to step: leave out the comparison with `sde`, or use another shape"
                        ),
                    );
                }
            }
            if scenario.run.sde_etas < 1 {
                return problem("run.sde_etas", "is 0, but a comparison asks for the SDE");
            }
        }
        let moves = [left, right].iter().any(|p| scenario.depends_on_alpha(*p));
        let alphas = if moves { alphas.clone() } else { vec![0.0] };
        all.extend(alphas.into_iter().map(|alpha| Comparison {
            left,
            right,
            alpha,
            expected: c.expect,
        }));
    }
    Ok(all)
}

/// Every schedule of the ladder exists.
fn check_schedules(scenario: &Scenario, comparisons: &[Comparison]) -> Result<(), Problem> {
    let horizon = Horizon::Fast(FastTime(scenario.run.horizon));
    for comparison in comparisons {
        let family = ScheduleFamily {
            learning_rate: scenario.learning_rate.clone(),
            momentum: scenario.momentum.clone(),
            alpha: comparison.alpha,
        };
        for &eta in &scenario.run.etas {
            Schedule::new(&family, eta, horizon).or_else(|e| problem("schedule", e.to_string()))?;
        }
    }
    Ok(())
}
