//! From the tables of a file to checked types: whatever passes here runs without a panic.

use super::assign::{assign, has_key};
use super::comparisons::{check_schedules, comparisons};
use super::expressions::names;
use super::kept::MOST_KEPT;
use super::known::{Known, known};
use super::landscapes::{landscape, random_point};
use super::locate::{locate, locate_expression};
use super::noises::{check_covariance, noise};
use super::raw::*;
use super::settings::run_settings;
use super::syntax::syntax_error;
use super::{DataFolder, Overrides, Profile, Scenario};
use crate::clocks::SlowClock;
use crate::ensemble::{InitialMomentum, Region};
use crate::expression::{ExpressionError, Scope, Values};
use crate::landscape::{Landscape, broadcast};
use crate::oracle::*;
use crate::paper;
use crate::projection::{ProjectionError, Projector, Settings, Tangent, Tolerance};
use crate::real::Lanes;
use crate::report::result::Regime;
use crate::schedule::{Dampening, Shape};
use nalgebra::{DMatrix, DVector};
use std::path::Path;

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
    /// Neither a file nor a scenario that is known.
    #[error("`{text}` {reason}{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_else(|| " (`slowsde list` shows the bundled ones)".into()))]
    Unknown {
        /// The argument.
        text: String,
        /// Why.
        reason: &'static str,
        /// The bundled scenario with the most similar name.
        nearest: Option<String>,
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

/// Samples of a batch and parameters of a double well: a slip of the keyboard must not eat the memory.
pub(super) const MOST: usize = 100_000;

/// Parameters of a landscape in the slow regime.
const MOST_PROJECTED: usize = 5000;

/// What is wrong with which key.
pub(super) struct Problem {
    key: String,
    message: String,
    /// The mistake in the text that stands at the key.
    expression: Option<ExpressionError>,
}

pub(super) fn problem<T>(key: impl Into<String>, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        key: key.into(),
        message: message.into(),
        expression: None,
    })
}

/// A mistake in the expression at a key.
pub(super) fn bad_expression<T>(
    key: impl Into<String>,
    error: ExpressionError,
) -> Result<T, Problem> {
    Err(Problem {
        key: key.into(),
        message: error.message.clone(),
        expression: Some(error),
    })
}

/// Requires a condition on a number.
pub(super) fn require(key: &str, value: f64, good: bool, allowed: &str) -> Result<(), Problem> {
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

    /// The same from text; `data` is where data files are looked for.
    ///
    /// # Errors
    /// See [`Scenario::read`].
    pub fn parse<'a>(
        text: &str,
        file: &str,
        name: &str,
        data: impl Into<DataFolder<'a>>,
        profile: Profile,
        overrides: &Overrides,
    ) -> Result<Scenario, ScenarioError> {
        Scenario::parse_text(text, file, name, data.into(), profile, overrides)
    }

    fn parse_text(
        text: &str,
        file: &str,
        name: &str,
        data: DataFolder<'_>,
        profile: Profile,
        overrides: &Overrides,
    ) -> Result<Scenario, ScenarioError> {
        let (text, file) = if overrides.assignments.is_empty() {
            (text.to_string(), file.to_string())
        } else {
            (
                assign(text, file, &overrides.assignments)?,
                format!("{file} (with --set)"),
            )
        };
        let mut raw: RawScenario =
            toml::from_str(&text).map_err(|e| syntax_error(&file, &text, &e))?;
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
        check(raw, &text, name, data, profile).map_err(|p| {
            let in_profile = p
                .key
                .strip_prefix("run.")
                .map(|k| format!("profile.{}.{k}", profile.name()));
            // A setting of the profile wins over `run`: point at the one that is in force.
            let key = in_profile.filter(|k| has_key(&text, k)).unwrap_or(p.key);
            let (place, snippet) = match &p.expression {
                Some(error) => locate_expression(&text, &key, error),
                None => (locate(&text, &key), String::new()),
            };
            ScenarioError::Value {
                place,
                file,
                key,
                message: p.message + &snippet,
            }
        })
    }
}

fn check(
    raw: RawScenario,
    text: &str,
    name: &str,
    data: DataFolder<'_>,
    profile: Profile,
) -> Result<Scenario, Problem> {
    check_paper(&raw.paper)?;
    let landscape = landscape(&raw.landscape, data)?;
    let d = landscape.dimension();
    if d > MOST {
        return problem(
            "landscape",
            format!("has {d} parameters; at most {MOST} are allowed"),
        );
    }
    let scope = names(&raw.landscape, d)?;
    let noise = noise(&raw.noise, &landscape, &scope)?;
    let slow_clock = slow_clock(raw.s, raw.regime)?;
    let RawNoiseScale {
        factor,
        power,
        svag,
    } = raw.noise_scale;
    let power = power.unwrap_or(match raw.regime {
        Regime::Fast => 0.0,
        Regime::Slow => slow_clock.noise_power(),
    });
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
    if svag {
        require(
            "noise_scale.power",
            power,
            power == 0.0,
            "0 with SVAG, which makes the noise √ℓ times as large itself",
        )?;
        if raw.regime == Regime::Slow {
            return problem(
                "noise_scale.svag",
                "is true, but the slow regime has σ = 1 at every η (Theorem 5.5): SVAG belongs to the fast regime",
            );
        }
    }
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
    finite_start(&*landscape, &x0)?;
    let oracle = Oracle { landscape, noise };
    check_covariance(&raw.noise, &oracle, &x0, &scope)?;
    let m0 = match raw.start.m0 {
        RawMomentum::Zero => InitialMomentum::Zero,
        RawMomentum::Gradient => InitialMomentum::Gradient,
        RawMomentum::Stationary => InitialMomentum::Stationary,
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
    let region = raw
        .compact_set
        .map(|r| region(r, &x0, &scope))
        .transpose()?;
    let settings = match profile {
        Profile::Smoke => raw.profile.smoke,
        Profile::Quick => raw.profile.quick,
        Profile::Full => raw.profile.full,
    };
    let run = run_settings(
        settings.over(raw.run),
        profile,
        &*oracle.landscape,
        &scope,
        factor == 0.0,
        raw.regime,
        slow_clock,
    )?;
    let landing = match raw.regime {
        Regime::Fast if raw.start.on_manifold => {
            return problem(
                "start.on_manifold",
                "is true, but only the slow regime has a manifold to start on",
            );
        }
        Regime::Fast => None,
        Regime::Slow => {
            let wanted = slow_clock.noise_power();
            let allowed = match slow_clock == SlowClock::REGIME_II {
                true => "0 in the slow regime: Theorem 5.5 has σ = 1".to_string(),
                false => format!(
                    "−(1−s)/2 = {wanted} at s = {}, where noise moves paths along Γ at one pace for all η",
                    slow_clock.s()
                ),
            };
            let good = (power - wanted).abs() < 1e-12;
            require("noise_scale.power", power, good, &allowed)?;
            let landing = landing(&*oracle.landscape, &x0)?;
            if region.as_ref().is_some_and(|r| !r.contains(&landing)) {
                return problem(
                    "compact_set",
                    format!(
                        "does not contain Φ(x_0) = {}, where the slow SDE starts",
                        shown(&landing)
                    ),
                );
            }
            Some(landing)
        }
    };
    let x0 = match &landing {
        Some(landing) if raw.start.on_manifold => landing.clone(),
        _ => x0,
    };
    let learning_rate = shape(&raw.schedule.learning_rate, "schedule.learning_rate")?;
    let momentum = shape(&raw.schedule.momentum, "schedule.momentum")?;
    let dampening = Dampening::new(raw.schedule.dampening)
        .or_else(|e| problem("schedule.dampening", e.to_string()))?;
    let scenario = Scenario {
        name: name.to_string(),
        title: raw.title,
        claim: raw.claim,
        paper: raw.paper,
        suite: raw.suite,
        about: raw.about,
        profile,
        regime: raw.regime,
        slow_clock,
        crossing: landing.as_ref().is_some_and(|l| crosses(&oracle, l)),
        landing,
        slow_noise: oracle.noise.slow_noise().scaled(factor * factor),
        settings: text.to_string(),
        oracle,
        noise_factor: factor,
        noise_power: power,
        svag,
        x0,
        m0,
        region,
        learning_rate,
        momentum,
        dampening,
        known: Known::default(),
        comparisons: vec![],
        run,
    };
    let known = known(&raw.known, &scope, &scenario)?;
    let scenario = Scenario { known, ..scenario };
    let comparisons = comparisons(&raw.compare, &scenario)?;
    check_schedules(&scenario, &comparisons)?;
    let scenario = Scenario {
        comparisons,
        ..scenario
    };
    let kept = scenario.kept_numbers(scenario.members().len());
    if kept > MOST_KEPT {
        return problem(
            "run.keep_paths",
            format!(
                "is {}, which with all processes, times, learning rates and coordinates is {kept} numbers; at most {MOST_KEPT} are kept",
                scenario.run.keep_paths
            ),
        );
    }
    Ok(scenario)
}

/// What slow time is.
fn slow_clock(s: Option<f64>, regime: Regime) -> Result<SlowClock, Problem> {
    let Some(s) = s else {
        return Ok(SlowClock::REGIME_II);
    };
    if regime == Regime::Fast {
        return problem(
            "s",
            format!(
                "is {s}, but only the slow regime has a clock kη^{{1+s}}: set regime = \"slow\", or leave `s` out"
            ),
        );
    }
    SlowClock::new(s).map_or_else(
        || {
            problem(
                "s",
                format!(
                    "is {s}, but must be above 0 and at most 1: t = kη^{{1+s}} (s = 0 is regime = \"fast\", s = 1 the slow regime of Theorem 5.5)"
                ),
            )
        },
        Ok,
    )
}

/// Items of the paper, each once.
fn check_paper(names: &[String]) -> Result<(), Problem> {
    for (i, name) in names.iter().enumerate() {
        let key = format!("paper[{}]", i + 1);
        if names[..i].contains(name) {
            return problem(key, format!("`{name}` is listed already"));
        }
        if paper::find(name).is_none() {
            let hint = paper::nearest(name).map_or_else(
                || " (docs/paper.md lists them)".to_string(),
                |near| format!("; did you mean `{near}`?"),
            );
            return problem(key, format!("`{name}` is no item of the paper{hint}"));
        }
    }
    Ok(())
}

/// L and ∇L must be numbers where the paths start.
fn finite_start(landscape: &dyn Landscape, x0: &[f64]) -> Result<(), Problem> {
    let mut value = [Lanes::ZERO];
    landscape.values(&broadcast(x0), &mut value);
    let value = value[0].to_array()[0];
    if !value.is_finite() {
        return problem(
            "start.x0",
            format!("has loss {value}, but the loss must be finite where the paths start"),
        );
    }
    let mut gradient = vec![0.0; x0.len()];
    landscape.gradient_at(x0, &mut gradient);
    match gradient.iter().position(|g| !g.is_finite()) {
        Some(i) => problem(
            "start.x0",
            format!(
                "has ∂L/∂x[{}] = {}, but the gradient must be finite where the paths start",
                i + 1,
                gradient[i]
            ),
        ),
        None => Ok(()),
    }
}

/// Φ(x_0), where the slow SDE starts.
fn landing(landscape: &dyn Landscape, x0: &[f64]) -> Result<Vec<f64>, Problem> {
    if x0.len() > MOST_PROJECTED {
        return problem(
            "regime",
            format!(
                "is \"slow\", which works with the d × d Hessian: at most {MOST_PROJECTED} parameters are allowed, here are {}",
                x0.len()
            ),
        );
    }
    let settings = Settings {
        tolerance: Tolerance::TIGHT,
        ..Settings::default()
    };
    let projector = Projector::new(landscape, settings.clone());
    let start = DVector::from_column_slice(x0);
    let looser = Projector::new(
        landscape,
        Settings {
            tolerance: Tolerance::default(),
            ..settings
        },
    );
    projector
        .land(&start)
        .or_else(|_| looser.land(&start))
        .map(|l| l.point.as_slice().to_vec())
        .or_else(|e| match e {
            ProjectionError::IsolatedMinimum {
                dimension,
                smallest,
            } => problem(
                "regime",
                format!(
                    "is \"slow\", but the gradient flow from start.x0 ends at an isolated minimum (all {dimension} Hessian eigenvalues are positive, the smallest {smallest:.1e}): Theorem 5.5 needs a manifold of minimizers, a Hessian of rank below {dimension}; choose another landscape, or regime = \"fast\""
                ),
            ),
            e => problem(
                "start.x0",
                format!("is {}, which has no projection Φ(x_0): {e}", shown(x0)),
            ),
        })
}

/// ‖PΣQ‖ relative to ‖Σ‖ from which on noise along Γ counts as correlated with that across it.
const MOST_CROSSING: f64 = 1e-6;

/// Whether Σ couples directions along and across Γ at a point of it.
fn crosses(oracle: &Oracle, point: &[f64]) -> bool {
    let point = DVector::from_column_slice(point);
    let Ok(tangent) = Tangent::new(&*oracle.landscape, &point) else {
        return false;
    };
    let factor = oracle.factor(&point);
    let along = tangent.project(&factor);
    let across = &factor - &along;
    (along * across.transpose()).norm() > MOST_CROSSING * factor.norm_squared()
}

/// A point in a message, to seven digits, cut off where it is long.
pub(super) fn shown(x: &[f64]) -> String {
    let rounded = |v: &f64| format!("{v:.6e}").parse().unwrap_or(*v).to_string();
    let mut numbers: Vec<String> = x.iter().take(4).map(rounded).collect();
    if x.len() > 4 {
        numbers.push("…".to_string());
    }
    format!("[{}]", numbers.join(", "))
}

pub(super) fn vector(key: &str, v: &[f64], d: usize) -> Result<(), Problem> {
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

fn region(raw: RawRegion, x0: &[f64], scope: &Scope) -> Result<Region, Problem> {
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
        RawRegion::Expression(text) => Region::Sublevel(
            Values::single(&text, scope)
                .or_else(|e| bad_expression("compact_set.expression", e))?,
        ),
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
