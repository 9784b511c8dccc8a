//! The `compare` tables of a scenario: which processes can be set against each other, and whether their schedules exist.

use super::check::{Problem, problem};
use super::raw::RawCompare;
use super::settings::check_alphas;
use super::system::Member;
use super::{Comparison, ProcessKind, Scenario};
use crate::ensemble::{Departure, InitialMomentum, TestFunction};
use crate::projection::Tangent;
use crate::report::result::{Holds, ProcessFamily, Regime};
use crate::schedule::{Schedule, ScheduleError, Shape};
use nalgebra::DVector;

/// ‖PB‖/‖B‖ up to which the diffusion of the slow SDE counts as absent.
const MOST_DIFFUSIVE: f64 = 1e-6;

pub(super) fn comparisons(
    raw: &[RawCompare],
    scenario: &Scenario,
) -> Result<Vec<Comparison>, Problem> {
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
        for (side, kind) in [("left", left), ("right", right)] {
            if !kind.runs_in(scenario.regime) {
                let regime = match scenario.regime {
                    Regime::Fast => "fast",
                    Regime::Slow => "slow",
                };
                let running = ProcessKind::ALL.iter();
                let names: Vec<&str> = running
                    .filter(|p| p.runs_in(scenario.regime))
                    .map(|p| p.key())
                    .collect();
                let names = names.join(", ");
                return problem(
                    format!("{key}.{side}"),
                    format!(
                        "is `{}`, which does not run in the {regime} regime; allowed: {names}",
                        kind.key()
                    ),
                );
            }
        }
        slow_comparison(&key, left, right, c.holds, scenario)?;
        let functions = judged_functions(&key, c, scenario)?;
        exact_comparison(&key, c, scenario)?;
        for (side, kind) in [("left", left), ("right", right)] {
            if kind == ProcessKind::SgdmInertial && alphas.iter().any(|&a| a < 1.0) {
                return problem(
                    format!("{key}.alphas"),
                    "must be at least 1 for `sgdm_inertial`: below, SGDM moves in O(1/η) steps (`sgdm`)",
                );
            }
            if kind == ProcessKind::UnderdampedSde && scenario.m0 == InitialMomentum::Stationary {
                return problem(
                    format!("{key}.{side}"),
                    "is `underdamped_sde`, but start.m0 = \"stationary\" is a law that knows β_0: use another start.m0",
                );
            }
            let started = scenario.m0 != InitialMomentum::Zero;
            if started && [ProcessKind::SgdmInertial, ProcessKind::UndampedSde].contains(&kind) {
                return problem(
                    format!("{key}.{side}"),
                    format!(
                        "is `{}`, whose momentum is measured in another unit than m: start.m0 must be zero",
                        kind.key()
                    ),
                );
            }
        }
        let sde = [left, right]
            .into_iter()
            .find(|p| p.family() == ProcessFamily::Sde);
        if let Some(sde) = sde {
            let times = [
                ("learning_rate", &scenario.learning_rate),
                ("momentum", &scenario.momentum),
            ];
            for (name, shape) in times {
                if shape.limit(0.0, scenario.run.horizon).is_none() {
                    return problem(
                        format!("{key}.{}", if left == sde { "left" } else { "right" }),
                        format!(
                            "the {} needs a schedule that is a function of time, but schedule.{name} changes from step to step: leave out the comparison with `{}`, or use another shape",
                            sde.label(),
                            sde.key()
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
            holds: c.holds,
            functions: functions.clone(),
            exact: c.exact,
            expected: c.expect,
        }));
    }
    Ok(all)
}

/// The functions of the panel that a comparison judges.
fn judged_functions(
    key: &str,
    raw: &RawCompare,
    scenario: &Scenario,
) -> Result<Vec<usize>, Problem> {
    let panel = &scenario.run.functions;
    let chosen: Vec<usize> = match &raw.functions {
        None => (0..panel.len()).collect(),
        Some(names) if names.is_empty() => {
            return problem(
                format!("{key}.functions"),
                "is empty: name at least one of the test functions of the run",
            );
        }
        Some(names) => names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let found = panel.iter().position(|f| f.to_string() == name.trim());
                found.map_or_else(
                    || {
                        problem(
                            format!("{key}.functions[{}]", i + 1),
                            format!("`{name}` is not among the test functions of the run"),
                        )
                    },
                    Ok,
                )
            })
            .collect::<Result<_, _>>()?,
    };
    for h in chosen.iter().map(|&h| panel[h]) {
        for (side, kind) in [("left", raw.left), ("right", raw.right)] {
            if let Some(who) = without(h, kind, scenario) {
                return problem(
                    format!("{key}.{side}"),
                    format!(
                        "is `{}`, but `{h}` is {who} only: name other `functions` in this comparison",
                        kind.key()
                    ),
                );
            }
        }
    }
    Ok(chosen)
}

/// For whom h is, if not for this process.
fn without(h: TestFunction, kind: ProcessKind, scenario: &Scenario) -> Option<&'static str> {
    let rates = kind.rates(scenario.dampening);
    let closed = kind == ProcessKind::ClosedForm;
    let by_steps = kind.family() == ProcessFamily::Coupled && kind != ProcessKind::Coupled;
    let own_gradients = "recorded step by step, for sgd, sgdm and their relatives";
    let slow = scenario.regime == Regime::Slow;
    let limit = matches!(
        kind.family(),
        ProcessFamily::SlowSde | ProcessFamily::SlowControl
    );
    match h {
        h if slow && h.departure().is_some_and(Departure::of_momentum) => {
            let known = closed || limit || rates.is_some_and(|r| r.averages_gradients());
            let who = "of the momentum of Def. 3.3, for sgdm, sgdm_first_gradient and their limits";
            (!known).then_some(who)
        }
        TestFunction::Momentum(_) if !closed && !rates.is_some_and(|r| r.averages_gradients()) => {
            Some("of the momentum of Def. 3.3, for sgdm and sgdm_first_gradient")
        }
        TestFunction::Way(way) if !closed && rates.is_none() => match by_steps {
            true if way.is_of_steps() => None,
            _ => Some(own_gradients),
        },
        _ => None,
    }
}

/// What claims that hold at every η need.
fn exact_comparison(key: &str, raw: &RawCompare, scenario: &Scenario) -> Result<(), Problem> {
    let RawCompare {
        left,
        right,
        holds,
        exact,
        ..
    } = *raw;
    for (side, kind) in [("left", left), ("right", right)] {
        let by_steps = kind.family() == ProcessFamily::Coupled && kind != ProcessKind::Coupled;
        if by_steps && scenario.region.is_some() {
            return problem(
                format!("{key}.{side}"),
                format!(
                    "is `{}`, which goes on where SGDM is stopped: leave out [compact_set]",
                    kind.key()
                ),
            );
        }
    }
    if exact {
        let known = |p: ProcessKind| p.rates(scenario.dampening).is_some() || p == ProcessKind::Sde;
        let why = if scenario.regime == Regime::Slow || scenario.linear_problem().is_none() {
            "is for the fast regime, quadratic losses and additive noise without a compact set, whose moments are known"
        } else if holds != Holds::InTheLimit {
            "is for claims that hold in the limit"
        } else if !(known(left) && known(right)) {
            "is for processes whose moments are known: not the coupled trajectory"
        } else {
            ""
        };
        if !why.is_empty() {
            return problem(format!("{key}.exact"), why);
        }
    }
    let key = format!("{key}.holds");
    match holds {
        Holds::InTheLimit => Ok(()),
        _ if scenario.regime == Regime::Slow => problem(
            key,
            "must be \"in_the_limit\" in the slow regime: Theorem 5.5 is about η → 0",
        ),
        Holds::PathByPath if right == ProcessKind::ClosedForm => problem(
            key,
            "is \"path_by_path\", but a closed form has no paths: use \"at_every_eta\"",
        ),
        Holds::AtEveryEta
            if right == ProcessKind::ClosedForm
                && !scenario.known.knows(left)
                && (scenario.linear_problem().is_none()
                    || left.rates(scenario.dampening).is_none()
                        && left != ProcessKind::CoupledSteps) =>
        {
            problem(
                key,
                format!(
                    "is \"at_every_eta\", but the law of `{}` at finite η is not known: state it under [[known.law]] with `process`",
                    left.key()
                ),
            )
        }
        _ => Ok(()),
    }
}

/// What the processes of Regime II need.
fn slow_comparison(
    key: &str,
    left: ProcessKind,
    right: ProcessKind,
    holds: Holds,
    scenario: &Scenario,
) -> Result<(), Problem> {
    if left == ProcessKind::ClosedForm {
        return problem(
            format!("{key}.left"),
            "is `closed_form`: put the process on the left and the closed form on the right",
        );
    }
    let follows_time = |p: &ProcessKind| p.scheme().is_some() || *p == ProcessKind::SlowFlow;
    let timed = scenario
        .learning_rate
        .limit(0.0, scenario.run.horizon)
        .is_some();
    for (side, kind) in [("left", left), ("right", right)] {
        if (follows_time(&kind) || kind == ProcessKind::ClosedForm) && !timed {
            return problem(
                format!("{key}.{side}"),
                format!(
                    "`{}` needs a learning rate that is a function of time (Assumption 5.3), but schedule.learning_rate changes from step to step",
                    kind.key()
                ),
            );
        }
    }
    let derived = match scenario.regime {
        Regime::Fast => scenario.linear_problem().is_some(),
        Regime::Slow => scenario.slow_law().is_some(),
    };
    let at_every_eta = holds == Holds::AtEveryEta;
    if right == ProcessKind::ClosedForm && !derived && !at_every_eta && !scenario.known.has_laws() {
        let why = match scenario.regime {
            Regime::Slow => {
                "but the slow SDE of this landscape, noise and start has none that is known; there is one for `valley` with exponential walls and isotropic noise, `sphere` with isotropic noise, `hyperbola` with label noise; for any other"
            }
            Regime::Fast => {
                "but the law of the limit (51) is not known (its moments are for quadratic losses with additive noise and no compact set):"
            }
        };
        return problem(
            format!("{key}.right"),
            format!(
                "is `closed_form`, {why} state it under [[known.law]], with `function` and `mean` or `density`"
            ),
        );
    }
    if [left, right].contains(&ProcessKind::SlowFlow)
        && let Some(landing) = &scenario.landing
    {
        let point = DVector::from_column_slice(landing);
        let tangent = Tangent::new(&*scenario.oracle.landscape, &point)
            .or_else(|e| problem("start.x0", e.to_string()))?;
        let factor = scenario.oracle.factor(&point);
        let ratio = tangent.project(&factor).norm() / factor.norm().max(f64::MIN_POSITIVE);
        if ratio > MOST_DIFFUSIVE {
            let side = if left == ProcessKind::SlowFlow {
                "left"
            } else {
                "right"
            };
            return problem(
                format!("{key}.{side}"),
                format!(
                    "is `slow_flow`, but the noise has a tangential part at Φ(x_0) (‖PB‖/‖B‖ = {ratio:.1e}, at most {MOST_DIFFUSIVE:.0e} is a flow): use `slow_sde`, or label noise"
                ),
            );
        }
    }
    Ok(())
}

/// Every schedule of the ladder exists.
pub(super) fn check_schedules(
    scenario: &Scenario,
    comparisons: &[Comparison],
) -> Result<(), Problem> {
    let shapes = [
        ("learning_rate", &scenario.learning_rate),
        ("momentum", &scenario.momentum),
    ];
    for (name, shape) in shapes {
        if let Shape::Warmup { duration, .. } = shape
            && *duration > scenario.run.horizon
        {
            let horizon = scenario.run.horizon;
            return problem(
                format!("schedule.{name}.warmup.duration"),
                format!("is {duration}, but must be at most the horizon {horizon}"),
            );
        }
    }
    let cycles = shapes
        .iter()
        .any(|(_, s)| s.limit(0.0, scenario.run.horizon).is_none());
    let horizon = scenario.horizon();
    for comparison in comparisons {
        for (kind, &eta) in [comparison.left, comparison.right]
            .iter()
            .flat_map(|kind| scenario.run.etas.iter().map(move |eta| (*kind, eta)))
        {
            let family = scenario.member_family(Member {
                kind,
                alpha: comparison.alpha,
            });
            let schedule = Schedule::new(&family, eta, horizon).or_else(|e| {
                let key = match e {
                    ScheduleError::MomentumRange { .. } => "schedule.momentum",
                    _ => "schedule",
                };
                problem(key, e.to_string())
            })?;
            let slowest = schedule.constants().lambda_min * eta.powf(family.alpha);
            if cycles && slowest < 1e-6 {
                return problem(
                    "schedule",
                    format!(
                        "changes from step to step for ever, while 1 − β_k falls to {slowest:.1e} at η = {eta} and α = {}: the averaged rates of Eq. (8) then reach over 45/(1 − β) steps; 1 − β must stay above 1e-6",
                        family.alpha
                    ),
                );
            }
        }
    }
    Ok(())
}
