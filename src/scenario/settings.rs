//! The `run` table of a scenario, from what is written to what is run.

use super::check::{Problem, bad_expression, problem, require};
use super::raw::*;
use super::{Profile, RunSettings};
use crate::clocks::{SlowClock, clock_name};
use crate::ensemble::{Departure, MomentumFunction, TestFunction};
use crate::expression::Scope;
use crate::landscape::Landscape;
use crate::report::result::Regime;

/// Parameters up to which the terms of the descent lemma are summed up.
const MOST_BALANCED: usize = 64;

pub(super) fn run_settings(
    raw: RawRun,
    profile: Profile,
    landscape: &dyn Landscape,
    scope: &Scope,
    deterministic: bool,
    regime: Regime,
    clock: SlowClock,
) -> Result<RunSettings, Problem> {
    let d = landscape.dimension();
    let defaults = profile.defaults(regime);
    let Some(horizon) = raw.horizon else {
        let clock = match regime {
            Regime::Fast => "fast time t = kη".to_string(),
            Regime::Slow => format!("slow time t = {}", clock_name(clock.exponent())),
        };
        return problem(
            "run.horizon",
            format!("is missing: the horizon T in {clock}"),
        );
    };
    require("run.horizon", horizon, horizon > 0.0, "a finite time > 0")?;
    let eta_max = raw.eta_max.unwrap_or(1.0 / 16.0);
    // The time of one step.
    let unit = |eta: f64| match regime {
        Regime::Fast => eta,
        Regime::Slow => clock.unit(eta),
    };
    require(
        "run.eta_max",
        eta_max,
        eta_max > 0.0 && unit(eta_max) <= horizon,
        match regime {
            Regime::Fast => "above 0 and at most the horizon",
            Regime::Slow if clock == SlowClock::REGIME_II => {
                "above 0 and at most the square root of the horizon"
            }
            Regime::Slow => "above 0, with η^{1+s} at most the horizon",
        },
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
    if horizon / unit(smallest) > 1e9 {
        return problem(
            "run.etas",
            format!(
                "is {etas}: the smallest η would be {smallest:.3e} and take {:.1e} steps; at most 1e9 are allowed",
                horizon / unit(smallest)
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
    let early_times = raw.early_times.unwrap_or(match regime {
        Regime::Fast => 8,
        Regime::Slow => 0,
    });
    let early_times = count("run.early_times", early_times, 0, 256)?;
    let substeps = count("run.substeps", raw.substeps.unwrap_or(8), 1, 4096)?;
    let looks = count("run.looks", raw.looks.unwrap_or(4), 1, 64)?;
    let slow_step = raw.slow_step.unwrap_or(0.1);
    require(
        "run.slow_step",
        slow_step,
        slow_step > 0.0 && slow_step <= 10.0,
        "above 0 and at most 10: the coarse step of the slow SDE is slow_step · η^s",
    )?;
    let projection_tolerance = raw.projection_tolerance.unwrap_or(1e-6);
    require(
        "run.projection_tolerance",
        projection_tolerance,
        (1e-13..=1e-2).contains(&projection_tolerance),
        "from 1e-13 to 0.01",
    )?;
    if regime == Regime::Slow && horizon / times as f64 / looks as f64 <= unit(eta_max) {
        return problem(
            "run.looks",
            format!(
                "is {looks}, but run.times = {times} times run.looks must be less than the {:.0} steps at η = {eta_max}: use fewer looks, or smaller η",
                horizon / unit(eta_max)
            ),
        );
    }
    let setting = (regime, deterministic);
    let functions = match &raw.functions {
        None if regime == Regime::Slow => TestFunction::slow_panel(d),
        None => TestFunction::default_panel(d),
        Some(names) if names.is_empty() => {
            return problem("run.functions", "is empty: name at least one test function");
        }
        Some(names) => parse_functions("run.functions", names, landscape, scope, setting)?,
    };
    for (i, f) in functions.iter().enumerate() {
        let yardstick = match f.departure() {
            Some(Departure::ProjectedGradient2) => Departure::TangentialGradient2,
            _ => continue,
        };
        if !functions.contains(&TestFunction::Departure(yardstick)) {
            return problem(
                format!("run.functions[{}]", i + 1),
                format!("`{f}` is measured by the size of `{yardstick}`: name it, too"),
            );
        }
    }
    let monitored = match &raw.monitored {
        None => {
            let first = scope.parameters().first();
            let is_first = |f: &TestFunction| {
                *f == TestFunction::Coordinate(0) || Some(&f.to_string()) == first
            };
            let place = |wanted: &dyn Fn(&TestFunction) -> bool| functions.iter().position(wanted);
            let loss = place(&|f| *f == TestFunction::Loss);
            place(&is_first).into_iter().chain(loss).collect()
        }
        Some(names) => {
            let wanted = parse_functions("run.monitored", names, landscape, scope, setting)?;
            let find = |(i, f): (usize, &TestFunction)| {
                if f.departure().is_some() && regime == Regime::Slow {
                    return problem(
                        format!("run.monitored[{}]", i + 1),
                        format!("`{f}` has a limit in the mean, not in law: it is not monitored"),
                    );
                }
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
    let negligible = raw.negligible.unwrap_or(0.1 * tolerance);
    require(
        "run.negligible",
        negligible,
        negligible >= 0.0 && negligible < tolerance,
        "at least 0 and below the tolerance",
    )?;
    if let Some(precision) = raw.precision {
        require(
            "run.precision",
            precision,
            precision > 0.0 && precision < 1.0,
            "above 0 and below 1",
        )?;
    }
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
        looks,
        slow_step,
        projection_tolerance,
        functions,
        monitored,
        level,
        tolerance,
        negligible,
        precision: raw.precision,
        keep_paths: raw.keep_paths.unwrap_or(0),
        seed: raw.seed.unwrap_or(1),
    })
}

pub(super) fn check_alphas(key: &str, alphas: &[f64]) -> Result<(), Problem> {
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

fn parse_functions(
    key: &str,
    names: &[String],
    landscape: &dyn Landscape,
    scope: &Scope,
    (regime, deterministic): (Regime, bool),
) -> Result<Vec<TestFunction>, Problem> {
    let d = landscape.dimension();
    let parse = |(i, name): (usize, &String)| -> Result<TestFunction, Problem> {
        let key = format!("{key}[{}]", i + 1);
        let f = TestFunction::parse(name, scope).or_else(|mut e| {
            if e.message.starts_with("unknown name") {
                e.message += "; by name: norm2, loss, trace_hessian, gradient_norm2, trace_covariance, recovery, step[i], path_length, variation(loss), descent, noise_induced, curvature_induced, descent_defect, momentum_norm2, momentum2, lag2, gradient_lag2, distance2, fluctuation2, excess_loss, normal_gradient2, gradient_momentum, projected_gradient2, tangential_gradient2, projected_velocity2";
            }
            bad_expression(&key, e)
        })?;
        match f.last_coordinate() {
            Some(c) if c >= d => problem(
                key,
                format!(
                    "`{name}` asks for coordinate {}, but the landscape has {d}",
                    c + 1
                ),
            ),
            _ if f.way().is_some() && regime == Regime::Slow => problem(
                key,
                format!("`{name}` is recorded step by step, in the fast regime only"),
            ),
            _ if f.departure().is_some() && f.momentum().is_none() && regime == Regime::Fast => {
                problem(
                    key,
                    format!("`{name}` is about x and Φ(x), in the slow regime only"),
                )
            }
            _ if f.momentum().is_some() && f.departure().is_none() && regime == Regime::Slow => {
                problem(key, format!("`{name}` is for the fast regime only"))
            }
            _ if deterministic
                && (f.departure().is_some_and(Departure::needs_noise)
                    || f.momentum().is_some_and(MomentumFunction::is_relative)) =>
            {
                problem(
                    key,
                    format!("`{name}` is in units of the noise, but noise_scale.factor is 0"),
                )
            }
            _ if f.is_balance() && d > MOST_BALANCED => problem(
                key,
                format!(
                    "`{name}` takes a d × d Hessian in every step: at most {MOST_BALANCED} parameters are allowed, here are {d}"
                ),
            ),
            _ if !f.available(landscape) => problem(
                key,
                format!(
                    "`{name}` needs a landscape with a planted truth: `diagonal_network` with `sparse`, or `matrix_sensing`"
                ),
            ),
            _ => Ok(f),
        }
    };
    names.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Scenario};
    use super::*;

    #[test]
    fn the_first_parameter_is_monitored_by_whatever_name() {
        for (functions, monitored) in [
            (r#"["v", "u", "loss"]"#, vec![1, 2]),
            (r#"["v", "x[1]"]"#, vec![1]),
            (r#"["v", "u + v"]"#, vec![]),
        ] {
            let text = format!(
                r#"
title = "t"
claim = "t"
about = "t"
[landscape.expression]
parameters = ["u", "v"]
loss = "u^2 + v^2"
[noise.gaussian]
factor = {{ isotropic = 1.0 }}
[start]
x0 = {{ at = [1.0, 0.0] }}
[schedule]
momentum = {{ constant = 0.5 }}
[run]
horizon = 1.0
functions = {functions}
[[compare]]
left = "sgd"
right = "sgdm"
expect = "consistent"
"#
            );
            let folder = std::path::Path::new(".");
            let overrides = Overrides::default();
            let scenario =
                Scenario::parse(&text, "t.toml", "t", folder, Profile::Quick, &overrides).unwrap();
            assert_eq!(scenario.run.monitored, monitored, "{functions}");
        }
    }
}
