//! The `compare` tables of a scenario: which processes can be set against each other, and whether their schedules exist.

use super::check::{Problem, problem};
use super::raw::RawCompare;
use super::settings::check_alphas;
use super::{Comparison, ProcessKind, Scenario};
use crate::projection::Tangent;
use crate::report::result::Regime;
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
        slow_comparison(&key, left, right, scenario)?;
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

/// What the processes of Regime II need.
fn slow_comparison(
    key: &str,
    left: ProcessKind,
    right: ProcessKind,
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
    let derived = scenario.regime == Regime::Slow && scenario.slow_law().is_some();
    if right == ProcessKind::ClosedForm && !derived && !scenario.known.has_laws() {
        let why = match scenario.regime {
            Regime::Slow => {
                "but the slow SDE of this landscape, noise and start has none that is known; there is one for `valley` with exponential walls and isotropic noise, `sphere` with isotropic noise, `hyperbola` with label noise; for any other"
            }
            Regime::Fast => "but the law of the limit (51) is not known:",
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
        let sides = [comparison.left, comparison.right];
        let momentum = sides.iter().any(|p| scenario.depends_on_alpha(*p));
        let family = scenario.family(momentum.then_some(comparison.alpha));
        for &eta in &scenario.run.etas {
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
