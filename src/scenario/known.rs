//! What the author of a scenario knows in closed form: Φ, and the law of the limit.
//!
//! Nothing of it is believed. A known Φ is compared with the gradient flow from x_0 and from points around it when the scenario is
//! read; a density must be one, and fit the mean; and the laws are what `closed_form` stands for in comparisons.

use super::check::{Problem, bad_expression, problem, shown};
use super::landscapes::points_around;
use super::raw::{RawKnown, RawLaw};
use super::{ProcessKind, Scenario};
use crate::ensemble::{DyadicHistogram, TestFunction};
use crate::expression::{Scope, Values};
use crate::landscape::broadcast;
use crate::oracle::Oracle;
use crate::projection::{Projector, Settings, Tolerance};
use crate::quadrature::{Accuracy, integrate};
use crate::real::Lanes;
use crate::report::result::Regime;
use nalgebra::DVector;
use std::convert::Infallible;

/// Points around x_0 at which a known Φ is compared with the flow.
const POINTS: u64 = 16;

/// How far a known Φ may be from the computed one, relative to 1 + ‖Φ‖.
const PROJECTION: f64 = 1e-5;

/// Tolerance of the flow that it is compared with.
const FLOW: f64 = 1e-8;

/// How far the mass of a density may be from 1, and its mean from the known one relative to the spread.
const MASS: f64 = 1e-5;

/// Densities are integrated in u of z = c + s·sinh u, |u| ≤ 14: out to a million times s.
const REACH: f64 = 14.0;
const PANELS: usize = 1024;
const ACCURACY: Accuracy = Accuracy {
    absolute: 1e-9,
    relative: 0.0,
};

/// Where the distribution function of a density is tested.
pub(super) const PROBABILITIES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The errors of such shares, with their standard errors.
pub(super) type Shares = [(f64, f64); PROBABILITIES.len()];

/// How far the law may be from such a probability at the edge of a bin, relative to the smaller tail.
const NEAR: f64 = 0.5;

/// Points of a density that are kept for drawing.
const DRAWN: usize = 161;

/// Closed forms that a scenario states.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// How far the known Φ was from the computed one, and at how many points.
    agreement: Option<(f64, usize)>,
    laws: Vec<KnownLaw>,
    of_processes: Vec<ProcessLaw>,
}

/// E h(x_k) of a discrete process, at every η.
#[derive(Clone, Debug)]
pub(super) struct ProcessLaw {
    pub process: ProcessKind,
    pub function: TestFunction,
    /// x_0.
    start: Vec<f64>,
    /// With the columns of [`Moment::COLUMNS`].
    mean: Values,
}

/// What the law of a process may depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub t: f64,
    pub eta: f64,
    pub k: f64,
    /// β, the same in every step; not a number where it moves.
    pub beta: f64,
    pub sigma: f64,
}

impl Moment {
    const COLUMNS: [&str; 5] = ["t", "eta", "k", "beta", "sigma"];
}

impl ProcessLaw {
    /// E h.
    pub fn mean(&self, at: Moment) -> f64 {
        let values = [at.t, at.eta, at.k, at.beta, at.sigma];
        self.mean.number(&self.start, |c| values[c])
    }
}

/// The law of h(X) where X is the limit: of (51) in the fast regime, of (4) in the slow one.
#[derive(Clone, Debug)]
pub struct KnownLaw {
    function: TestFunction,
    /// Where X starts.
    start: Vec<f64>,
    /// h there.
    center: f64,
    /// E h(X), with the columns t, eta.
    mean: Option<Values>,
    /// The density of h(X), with the columns t, eta, z.
    density: Option<Values>,
}

impl Known {
    /// The law of h, if it is known.
    pub(super) fn law(&self, h: TestFunction) -> Option<&KnownLaw> {
        self.laws.iter().find(|law| law.function == h)
    }

    /// Whether there is any law of the limit.
    pub(super) fn has_laws(&self) -> bool {
        !self.laws.is_empty()
    }

    /// The laws of processes at finite η.
    pub(super) fn of_processes(&self) -> &[ProcessLaw] {
        &self.of_processes
    }

    /// Whether any law of a process at finite η is known.
    pub(super) fn knows(&self, process: ProcessKind) -> bool {
        self.of_processes.iter().any(|l| l.process == process)
    }

    /// What the comparison of the known Φ with the computed one came to.
    pub(super) fn note(&self) -> Option<String> {
        let (worst, points) = self.agreement?;
        Some(format!(
            "The known Φ agrees with the gradient flow to {worst:.1e} (relative to 1 + ‖Φ‖) at {points} points: x_0 and around it."
        ))
    }
}

impl KnownLaw {
    /// E h(X) at time t; not a number where the density alone is known, and so narrow that its mass is missed.
    pub(super) fn mean(&self, t: f64, eta: f64) -> Option<f64> {
        match (&self.mean, &self.density) {
            (Some(mean), _) => Some(mean.number(&self.start, |k| [t, eta][k])),
            // A point has no density.
            (None, Some(_)) if t == 0.0 => Some(self.center),
            (None, Some(_)) => {
                let (mass, mean) = self.moments(t, eta, self.center);
                Some(if (mass - 1.0).abs() <= MASS {
                    mean
                } else {
                    f64::NAN
                })
            }
            (None, None) => None,
        }
    }

    /// Whether the density is known.
    pub(super) fn has_density(&self) -> bool {
        self.density.is_some()
    }

    /// The density at z, 0 where the formula is not a number; `None` if it is not known.
    fn density(&self, t: f64, eta: f64) -> Option<impl Fn(f64) -> f64> {
        let density = self.density.as_ref()?;
        Some(move |z: f64| {
            let value = density.number(&self.start, |k| [t, eta, z][k]);
            if value.is_finite() { value } else { 0.0 }
        })
    }

    /// ∫ zᵏ f of the density f, k = `power`, from −∞ to `end`, which may be ∞. The mass is looked for around `center`.
    fn integral(&self, t: f64, eta: f64, center: f64, power: i32, end: f64) -> f64 {
        let Some(density) = self.density(t, eta) else {
            return f64::NAN;
        };
        let scale = 0.1 * (1.0 + center.abs());
        let last = ((end - center) / scale).asinh().clamp(-REACH, REACH);
        let f = |u: f64| {
            let z = center + scale * u.sinh();
            z.powi(power) * density(z) * scale * u.cosh()
        };
        sure_integral(f, (-REACH, last), PANELS)
    }

    /// Mass and mean of the density.
    fn moments(&self, t: f64, eta: f64, center: f64) -> (f64, f64) {
        let all = |power| self.integral(t, eta, center, power, f64::INFINITY);
        (all(0), all(1))
    }

    /// The share of a sample below the [`PROBABILITIES`]-quantiles of the law, minus that of the law, and its standard error. The
    /// shares are exact: the places are the edges of the sample's bins that are nearest to the quantiles. `None` without a density,
    /// without a sample, or where a bin is so wide that an edge is far from its quantile.
    pub(super) fn shares(&self, t: f64, eta: f64, sample: &DyadicHistogram) -> Option<Shares> {
        let density = self.density(t, eta)?;
        let n = sample.total();
        if n == 0 {
            return None;
        }
        let (origin, width, counts) = sample.bins();
        let mut law = self.integral(t, eta, self.mean(t, eta)?, 0, origin);
        let mut below = 0;
        // The distribution functions of the law and of the sample at the edge nearest to each quantile.
        let mut nearest = [(f64::INFINITY, 0.0); PROBABILITIES.len()];
        for (i, &count) in counts.iter().enumerate() {
            let start = origin + i as f64 * width;
            law += sure_integral(&density, (start, start + width), 1);
            below += count;
            for (near, p) in nearest.iter_mut().zip(PROBABILITIES) {
                if (law - p).abs() < (near.0 - p).abs() {
                    *near = (law, below as f64 / n as f64);
                }
            }
        }
        let found = nearest.iter().zip(PROBABILITIES);
        let mut all = found.map(|((law, _), p)| (law - p).abs() <= NEAR * p.min(1.0 - p));
        all.all(|near| near).then(|| {
            nearest.map(|(law, share)| (share - law, (law * (1.0 - law) / n as f64).sqrt()))
        })
    }

    /// Points (z, density) over the range of a sample, for drawing; empty without a density.
    pub(super) fn curve(&self, t: f64, eta: f64, sample: &DyadicHistogram) -> Vec<(f64, f64)> {
        let Some(density) = self.density(t, eta) else {
            return vec![];
        };
        let (origin, width, counts) = sample.bins();
        let step = width * counts.len() as f64 / (DRAWN - 1) as f64;
        let points = (0..DRAWN).map(|i| origin + step * i as f64);
        points.map(|z| (z, density(z))).collect()
    }

    /// A density has no negative values, the mass 1, and the known mean.
    fn check(&self, key: &str, times: &[f64], etas: &[f64]) -> Result<(), Problem> {
        for &eta in etas {
            for &t in times {
                let at = format!("at t = {t}, eta = {eta}");
                let known = self
                    .mean
                    .as_ref()
                    .map(|m| m.number(&self.start, |k| [t, eta][k]));
                if let Some(mean) = known.filter(|m| !m.is_finite()) {
                    return problem(
                        format!("{key}.mean"),
                        format!("is {mean} {at}, but must be a finite number"),
                    );
                }
                let Some(density) = &self.density else {
                    continue;
                };
                let center = known.unwrap_or(self.center);
                let key = format!("{key}.density");
                let (mass, mean) = self.moments(t, eta, center);
                if (mass - 1.0).abs() > MASS || mass.is_nan() {
                    return problem(
                        key,
                        format!(
                            "integrates to {mass:.6} {at}, but must integrate to 1 over all z (where it is not a number it counts as 0)"
                        ),
                    );
                }
                let low = (-400..=400)
                    .map(|k| {
                        let z = center + (f64::from(k) * 0.02).sinh();
                        (z, density.number(&self.start, |k| [t, eta, z][k]))
                    })
                    .find(|(_, f)| *f < -1e-12);
                if let Some((z, f)) = low {
                    return problem(
                        key,
                        format!("is {f:.3e} at z = {z:.4}, {at}, but must not be negative"),
                    );
                }
                if let Some(known) = known
                    && (mean - known).abs() > 10.0 * MASS * (1.0 + known.abs())
                {
                    return problem(
                        key,
                        format!(
                            "has the mean {:.6} {at}, but `mean` says {known:.6}",
                            // No −0.000000.
                            (mean * 1e6).round() / 1e6 + 0.0
                        ),
                    );
                }
            }
        }
        Ok(())
    }
}

/// The integral of a function that cannot fail.
fn sure_integral(f: impl Fn(f64) -> f64, ends: (f64, f64), panels: usize) -> f64 {
    let f = |z: f64| Ok::<f64, Infallible>(f(z));
    match integrate(f, ends, panels, ACCURACY) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// h(x).
fn value(oracle: &Oracle, h: TestFunction, x: &[f64]) -> f64 {
    let mut out = [Lanes::ZERO];
    let mut scratch = vec![Lanes::ZERO; h.scratch(oracle)];
    h.evaluate(oracle, &broadcast(x), &mut out, &mut scratch);
    out[0].to_array()[0]
}

/// The closed forms of a checked scenario, tested as far as they can be before it runs.
pub(super) fn known(raw: &RawKnown, scope: &Scope, scenario: &Scenario) -> Result<Known, Problem> {
    let mut known = Known::default();
    if let Some(texts) = &raw.projection {
        known.agreement = Some(compare_projection(texts, scope, scenario)?);
    }
    let run = &scenario.run;
    let names = scope.clone();
    for (i, law) in raw.law.iter().enumerate() {
        let key = format!("known.law[{}]", i + 1);
        let found = run
            .functions
            .iter()
            .find(|f| f.to_string() == law.function.trim());
        let Some(&function) = found else {
            let names: Vec<String> = run.functions.iter().map(|f| format!("`{f}`")).collect();
            return problem(
                format!("{key}.function"),
                format!(
                    "is `{}`, which is not among the test functions of the run: {}",
                    law.function,
                    names.join(", ")
                ),
            );
        };
        let taken = match law.process {
            None => known.law(function).is_some(),
            Some(process) => {
                let mut laws = known.of_processes.iter();
                laws.any(|l| l.process == process && l.function == function)
            }
        };
        if taken {
            return problem(
                format!("{key}.function"),
                format!("`{function}` has a law already"),
            );
        }
        if law.mean.is_none() && law.density.is_none() {
            return problem(key, "needs `mean`, `density` or both");
        }
        let parse = |name: &str, text: &Option<String>, columns: &[&str]| {
            let Some(text) = text else { return Ok(None) };
            let mut names = names.clone();
            for column in columns {
                names.column(column).or_else(|e| {
                    problem(
                        format!("{key}.{name}"),
                        format!(
                            "needs the name `{column}` for itself (t: time, eta: learning-rate scale, z: value of the function; for a process also k: steps, beta, sigma): {e}"
                        ),
                    )
                })?;
            }
            Values::single(text, &names)
                .map(Some)
                .or_else(|e| bad_expression(format!("{key}.{name}"), e))
        };
        if let Some(process) = law.process {
            let mean = parse("mean", &law.mean, &Moment::COLUMNS)?;
            let found = process_law(&key, law, process, function, mean, scenario)?;
            known.of_processes.push(found);
            continue;
        }
        let start = scenario.landing.as_ref().unwrap_or(&scenario.x0).clone();
        let law = KnownLaw {
            center: value(&scenario.oracle, function, &start),
            function,
            start,
            mean: parse("mean", &law.mean, &["t", "eta"])?,
            density: parse("density", &law.density, &["t", "eta", "z"])?,
        };
        let times: Vec<f64> = (1..=run.times)
            .map(|i| run.horizon * i as f64 / run.times as f64)
            .collect();
        let ends: Vec<f64> = [run.etas.first(), run.etas.last()]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        law.check(&key, &times, &ends)?;
        known.laws.push(law);
    }
    Ok(known)
}

/// The law of a process at finite η, if it has numbers on the whole ladder.
fn process_law(
    key: &str,
    raw: &RawLaw,
    process: ProcessKind,
    function: TestFunction,
    mean: Option<Values>,
    scenario: &Scenario,
) -> Result<ProcessLaw, Problem> {
    let of = process.key();
    if scenario.regime == Regime::Slow || process.rates(scenario.dampening).is_none() {
        return problem(
            format!("{key}.process"),
            format!(
                "is `{of}`, but only discrete processes of the fast regime have a law of their own here; leave `process` out for that of the limit"
            ),
        );
    }
    if raw.density.is_some() {
        return problem(
            format!("{key}.density"),
            "is for the limit: the law of a process at finite η is stated by `mean`",
        );
    }
    let Some(mean) = mean else {
        return problem(format!("{key}.mean"), "is missing");
    };
    let law = ProcessLaw {
        process,
        function,
        start: scenario.x0.clone(),
        mean,
    };
    for &alpha in &scenario.run.alphas {
        let member = scenario.member(process, alpha);
        for &eta in &scenario.run.etas {
            // A schedule that cannot be is refused later, with its key.
            let Some(schedule) = scenario.schedule(member, eta) else {
                continue;
            };
            let (saves, _) = scenario.saves(eta);
            for &k in saves.iter().filter(|k| k.0 > 0) {
                let value = law.mean(scenario.moment(&schedule, k, eta));
                if !value.is_finite() {
                    return problem(
                        format!("{key}.mean"),
                        format!(
                            "is {value} for `{of}` at k = {}, eta = {eta}, alpha = {alpha}, but must be a finite number (`beta` is one only where the schedule is constant)",
                            k.0
                        ),
                    );
                }
            }
        }
    }
    Ok(law)
}

/// How far a known Φ is from the gradient flow, and at how many points.
fn compare_projection(
    texts: &[String],
    scope: &Scope,
    scenario: &Scenario,
) -> Result<(f64, usize), Problem> {
    const KEY: &str = "known.projection";
    let d = scope.dimension();
    if scenario.regime == Regime::Fast {
        return problem(
            KEY,
            "is for regime = \"slow\": the fast regime does not use Φ",
        );
    }
    if texts.len() != d {
        return problem(
            KEY,
            format!(
                "has {} entries, but the landscape has {d} parameters",
                texts.len()
            ),
        );
    }
    let known = Values::parse(texts, scope)
        .or_else(|(i, e)| bad_expression(format!("{KEY}[{}]", i + 1), e))?;
    let landscape = &*scenario.oracle.landscape;
    let settings = Settings {
        tolerance: Tolerance::both(scenario.run.projection_tolerance.min(FLOW)),
        ..Settings::default()
    };
    let projector = Projector::new(landscape, settings);
    let (mut worst, mut points) = (0.0f64, 0);
    for x in points_around(&scenario.x0, POINTS) {
        if scenario.region.as_ref().is_some_and(|r| !r.contains(&x)) {
            continue;
        }
        // Where the flow finds no minimizer there is nothing to compare with; from x_0 it does.
        let Ok(computed) = projector.land(&DVector::from_column_slice(&x)) else {
            continue;
        };
        let mut stated = DVector::zeros(d);
        known.evaluate(&x, |_| 0.0, |i, v| stated[i] = v);
        let error = (&stated - &computed.point).norm() / (1.0 + computed.point.norm());
        if error > PROJECTION || error.is_nan() {
            let i = (&stated - &computed.point)
                .iter()
                .map(|e| if e.is_nan() { f64::INFINITY } else { e.abs() })
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(0, |(i, _)| i);
            return problem(
                format!("{KEY}[{}]", i + 1),
                format!(
                    "is {:.6} at x = {}, but the gradient flow from there ends at {:.6}",
                    stated[i],
                    shown(&x),
                    computed.point[i]
                ),
            );
        }
        worst = worst.max(error);
        points += 1;
    }
    Ok((worst, points))
}
