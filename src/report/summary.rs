//! `summary.json`: the verdicts of a whole run in one small file.

use super::advice::advice;
use super::result::{Estimate, ScenarioResult, Verdict};
use serde::{Deserialize, Serialize};

/// Version of the layout of `summary.json`.
pub const SCHEMA: u32 = 3;

/// A run of several scenarios.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of slowsde that wrote the file.
    pub version: String,
    /// `smoke`, `quick` or `full`.
    pub profile: String,
    /// Wall-clock seconds of the whole run, figures included.
    pub seconds: f64,
    /// Path-steps of all completed scenarios.
    pub path_steps: u64,
    /// Whether every verdict of the completed scenarios is acceptable (see [`Row::acceptable`]).
    pub as_expected: bool,
    /// The completed scenarios, in the order in which they ran.
    pub scenarios: Vec<ScenarioRow>,
    /// Scenarios that were to run but did not finish; empty unless the run was interrupted.
    pub interrupted: Vec<String>,
}

/// A completed scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScenarioRow {
    /// Its name, also the folder of its results.
    pub name: String,
    /// One line.
    pub title: String,
    /// The claim that was tested.
    pub claim: String,
    /// The seed it ran with.
    pub seed: u64,
    /// Wall-clock seconds of the simulation.
    pub seconds: f64,
    /// Path-steps over all processes.
    pub path_steps: u64,
    /// Its verdicts.
    pub verdicts: Vec<Row>,
    /// Facts worth a line.
    pub notes: Vec<String>,
}

/// One verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// e.g. `sgdm~sgd α=0.5`.
    pub comparison: String,
    /// Momentum index.
    pub alpha: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// The one that the scenario expects.
    pub expected: Verdict,
    /// Whether they are the same.
    pub as_expected: bool,
    /// Why, with numbers.
    pub reason: String,
    /// What to do next for a verdict, with numbers; `None` where there is one.
    pub next: Option<String>,
    /// Largest limit error in units of its function's scale.
    pub limit: Estimate,
    /// The limit, its interval included, may be this large.
    pub tolerance: f64,
    /// The order that the theorem guarantees.
    pub guaranteed_order: f64,
    /// Least and greatest measured order over all test functions; `None` where too few errors can be told from 0.
    pub orders: Option<(f64, f64)>,
    /// How many times as many paths the widest limit would take without shared noise, where that has a meaning.
    pub speed_up: Option<f64>,
}

impl Row {
    /// As expected; at the smoke profile, which asks only whether everything runs, also inconclusive.
    pub fn acceptable(&self, profile: &str) -> bool {
        self.as_expected || (profile == "smoke" && self.verdict == Verdict::Inconclusive)
    }
}

impl ScenarioRow {
    /// The row of a result.
    pub fn new(result: &ScenarioResult) -> ScenarioRow {
        let row = |c: &super::result::Comparison| {
            let orders = c.functions.iter().filter_map(|f| f.order);
            Row {
                comparison: c.id.clone(),
                alpha: c.alpha,
                verdict: c.verdict,
                expected: c.expected,
                as_expected: c.verdict == c.expected,
                reason: c.reason.clone(),
                next: advice(result, c),
                limit: c.limit,
                tolerance: c.tolerance,
                guaranteed_order: c.guaranteed_order,
                speed_up: c.speed_up,
                orders: orders
                    .map(|order| order.value)
                    .filter(|s| s.is_finite())
                    .fold(None, |range, s| {
                        let (low, high) = range.unwrap_or((s, s));
                        Some((s.min(low), s.max(high)))
                    }),
            }
        };
        ScenarioRow {
            name: result.scenario.name.clone(),
            title: result.scenario.title.clone(),
            claim: result.scenario.claim.clone(),
            seed: result.scenario.seed,
            seconds: result.effort.seconds,
            path_steps: result.effort.path_steps,
            verdicts: result.comparisons.iter().map(row).collect(),
            notes: result.notes.clone(),
        }
    }
}

impl Summary {
    /// The summary of the completed scenarios.
    pub fn new(
        profile: &str,
        seconds: f64,
        scenarios: Vec<ScenarioRow>,
        interrupted: Vec<String>,
    ) -> Summary {
        Summary {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_string(),
            profile: profile.to_string(),
            seconds,
            path_steps: scenarios
                .iter()
                .fold(0, |n, s| n.saturating_add(s.path_steps)),
            as_expected: scenarios
                .iter()
                .flat_map(|s| &s.verdicts)
                .all(|r| r.acceptable(profile)),
            scenarios,
            interrupted,
        }
    }
}
