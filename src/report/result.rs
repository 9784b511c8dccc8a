//! The result of one scenario: every number that tables and figures show, serialised to `result.json`.
//!
//! Times are on the clock of the scenario's [`Regime`]: fast t = kη or slow t = kη^{1+s}, kη² in Regime II. Series run over the
//! save times of their cell.

use serde::{Deserialize, Serialize};

/// Version of the layout of `result.json`; raised whenever a field changes its meaning or goes away.
pub const SCHEMA: u32 = 5;

/// A number with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    #[serde(with = "number")]
    pub value: f64,
    /// Its standard error; 0 for exact numbers.
    #[serde(with = "number")]
    pub standard_error: f64,
    /// Lower end of the interval.
    #[serde(with = "number")]
    pub lower: f64,
    /// Upper end of the interval.
    #[serde(with = "number")]
    pub upper: f64,
    /// Coverage of the interval, in (0, 1).
    pub level: f64,
    /// Number of paths behind it; 0 for exact numbers.
    pub n: u64,
}

/// Estimates over the save times of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EstimateSeries {
    /// Point estimates.
    #[serde(with = "number")]
    pub value: Vec<f64>,
    /// Standard errors.
    #[serde(with = "number")]
    pub standard_error: Vec<f64>,
    /// Lower ends.
    #[serde(with = "number")]
    pub lower: Vec<f64>,
    /// Upper ends.
    #[serde(with = "number")]
    pub upper: Vec<f64>,
    /// Coverage of each interval.
    pub level: f64,
    /// Number of paths behind each.
    pub n: u64,
}

/// JSON knows finite numbers only: a value that does not exist (NaN) is `null` in the file, an infinity is the text `"inf"` or
/// `"-inf"`. Every other number comes back with the same bits.
mod number {
    use serde::de::{DeserializeOwned, Error, Unexpected};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// One number as it stands in the file.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub enum Written {
        Number(f64),
        Text(String),
        Missing(()),
    }

    /// Numbers, and lists and pairs of them.
    pub trait Numbers: Sized {
        type Written: Serialize + DeserializeOwned;
        fn write(&self) -> Self::Written;
        fn read(written: Self::Written) -> Option<Self>;
    }

    impl Numbers for f64 {
        type Written = Written;
        fn write(&self) -> Written {
            match *self {
                x if x.is_finite() => Written::Number(x),
                x if x.is_nan() => Written::Missing(()),
                x => Written::Text(x.to_string()),
            }
        }
        fn read(written: Written) -> Option<f64> {
            match written {
                Written::Number(x) => Some(x),
                Written::Missing(()) => Some(f64::NAN),
                Written::Text(t) if t == "inf" => Some(f64::INFINITY),
                Written::Text(t) if t == "-inf" => Some(f64::NEG_INFINITY),
                Written::Text(_) => None,
            }
        }
    }

    impl<T: Numbers> Numbers for Vec<T> {
        type Written = Vec<T::Written>;
        fn write(&self) -> Self::Written {
            self.iter().map(T::write).collect()
        }
        fn read(written: Self::Written) -> Option<Vec<T>> {
            written.into_iter().map(T::read).collect()
        }
    }

    /// A missing list (never a missing number) is `null`.
    impl<T: Numbers> Numbers for Option<Vec<T>> {
        type Written = Option<Vec<T::Written>>;
        fn write(&self) -> Self::Written {
            self.as_ref().map(Vec::write)
        }
        fn read(written: Self::Written) -> Option<Option<Vec<T>>> {
            written.map_or(Some(None), |w| Vec::read(w).map(Some))
        }
    }

    impl Numbers for (f64, f64) {
        type Written = (Written, Written);
        fn write(&self) -> Self::Written {
            (self.0.write(), self.1.write())
        }
        fn read((a, b): Self::Written) -> Option<(f64, f64)> {
            Some((f64::read(a)?, f64::read(b)?))
        }
    }

    impl Numbers for Option<(f64, f64)> {
        type Written = Option<(Written, Written)>;
        fn write(&self) -> Self::Written {
            self.map(|(a, b)| (a.write(), b.write()))
        }
        fn read(written: Self::Written) -> Option<Option<(f64, f64)>> {
            written.map_or(Some(None), |(a, b)| {
                Some(Some((f64::read(a)?, f64::read(b)?)))
            })
        }
    }

    pub fn serialize<T: Numbers, S: Serializer>(x: &T, s: S) -> Result<S::Ok, S::Error> {
        x.write().serialize(s)
    }

    pub fn deserialize<'de, T: Numbers, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        let expected = &"numbers, null, \"inf\" or \"-inf\"";
        T::read(T::Written::deserialize(d)?)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("text"), expected))
    }
}

/// What the evidence says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim passed a test that was sharp enough to fail it.
    Consistent,
    /// The data contradict the claim at the stated level.
    Refuted,
    /// The data cannot tell.
    Inconclusive,
}

/// Where a claim about two processes holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// As η → 0: errors of expectations are extrapolated.
    #[default]
    InTheLimit,
    /// At every η and every time: expectations agree.
    AtEveryEta,
    /// At every η on every path, to rounding.
    PathByPath,
}

/// The clock of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Regime {
    /// Regime I: O(1/η) steps, fast time t = kη (Theorem 4.5).
    #[default]
    Fast,
    /// Regime II: O(1/η²) steps, slow time t = kη² (Theorem 5.5), or O(η^{−1−s}) steps, t = kη^{1+s}, between the regimes. Test
    /// functions are taken at Φ(x_k).
    Slow,
}

/// Everything that one scenario produced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of slowsde that wrote the file.
    pub version: String,
    /// What was run.
    pub scenario: ScenarioInfo,
    /// The processes, in the order of every list of processes below.
    pub processes: Vec<Process>,
    /// Names of the test functions h, e.g. `x[1]`, `x[1]^2`, `cos(x[1])`, `loss`.
    pub functions: Vec<String>,
    /// One entry per learning-rate scale η, largest first.
    pub cells: Vec<Cell>,
    /// One row of the verdict table each.
    pub comparisons: Vec<Comparison>,
    /// A few whole paths, for two-dimensional landscapes also drawn over the contours.
    pub sample_paths: Option<SamplePaths>,
    /// L around the sample paths, for d = 2.
    pub contours: Option<ContourGrid>,
    /// d = 2: many paths at some times, in Regime II with the manifold Γ.
    pub clouds: Option<Clouds>,
    /// Distances of the iterates from (51) and from (4) at some η, where both run in the slow regime; empty elsewhere.
    pub hand_over: Vec<HandOver>,
    /// The gradient flow from x_0, where a scenario of Regime II starts off Γ and asks for distances to it.
    #[serde(default)]
    pub fall: Option<Fall>,
    /// Facts worth a line in the report: constants of the schedule family, assumptions that fail, exits.
    pub notes: Vec<String>,
    /// What it cost.
    pub effort: Effort,
    /// What it ran on.
    pub machine: Machine,
    /// Whole paths, where the scenario keeps some: stored in `paths.npz`, not in `result.json`.
    #[serde(skip)]
    pub kept_paths: Option<KeptPaths>,
}

/// Where the result comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// File name without extension; also the output folder.
    pub name: String,
    /// One line.
    pub title: String,
    /// The claim that is tested, e.g. `Theorem 4.5`.
    pub claim: String,
    /// The items of the paper that it tests, e.g. `Lemma A.2`.
    pub paper: Vec<String>,
    /// What is tested and what would refute it.
    pub about: String,
    /// `smoke`, `quick` or `full`.
    pub profile: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// The scenario after profile and `--set` were applied, as TOML.
    pub settings: String,
    /// Dimension d of the parameters.
    pub dimension: usize,
    /// The clock of all times.
    pub regime: Regime,
    /// p of that clock, t = kη^p: 1 in the fast regime, 1 + s in the slow one, which is 2 in Regime II.
    #[serde(with = "number")]
    pub clock_exponent: f64,
    /// Horizon T.
    pub horizon: f64,
}

/// The kinds of process that run in lock step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessFamily {
    /// SGD (Def. 3.2).
    Sgd,
    /// SGDM (Def. 3.3).
    Sgdm,
    /// SGD-Standard / heavy ball / PyTorch.
    Standard,
    /// The coupled trajectory y of Eqs. (9)–(11).
    Coupled,
    /// The limiting SDE (51).
    Sde,
    /// The slow SDE (4); where its diffusion vanishes, a gradient flow on Γ.
    SlowSde,
    /// The slow SDE with a planted mistake: a negative control.
    SlowControl,
    /// The law of the slow SDE in closed form: it has no paths, only `exact` means.
    ClosedForm,
}

/// One process of the ensemble.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Shown in legends and tables, e.g. `SGDM α=0.5`.
    pub label: String,
    /// Its kind.
    pub family: ProcessFamily,
    /// Momentum index, where the process has one.
    pub alpha: Option<f64>,
}

/// All ensembles at one η.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// Noise scale σ at this η.
    #[serde(with = "number")]
    pub sigma: f64,
    /// Steps k = ⌊T/η⌋.
    pub steps: u64,
    /// Paths that were started.
    pub paths: u64,
    /// Save times t = kη.
    #[serde(with = "number")]
    pub times: Vec<f64>,
    /// Indexed like [`ScenarioResult::processes`].
    pub processes: Vec<ProcessSummary>,
}

/// Statistics of one process at one η; empty where the process does not run at that η.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// E h(x_k), indexed like [`ScenarioResult::functions`]. For the SDE these are extrapolated to time step 0.
    pub means: Vec<EstimateSeries>,
    /// E h in closed form or by the exact moment recursion, where it exists: `exact[function][time]`.
    #[serde(with = "number")]
    pub exact: Option<Vec<Option<Vec<f64>>>>,
    /// Standard deviation of h(x_k): `deviations[function][time]`.
    #[serde(with = "number")]
    pub deviations: Vec<Vec<f64>>,
    /// Correlation matrix of the test functions at the last save time, row by row.
    #[serde(with = "number")]
    pub final_correlation: Vec<f64>,
    /// Smallest h(x_k) over all paths: `least[function][time]`.
    #[serde(with = "number")]
    pub least: Vec<Vec<f64>>,
    /// Largest h(x_k) over all paths: `greatest[function][time]`.
    #[serde(with = "number")]
    pub greatest: Vec<Vec<f64>>,
    /// Quantiles of the monitored functions against time.
    pub quantiles: Vec<QuantileBand>,
    /// Histograms of the monitored functions at the chosen times.
    pub histograms: Vec<Histogram>,
    /// For the SDE: the weak error of its own time stepping, E h(step h) − E h(step h/2), which the extrapolation removed.
    pub step_error: Option<Vec<EstimateSeries>>,
    /// Paths that did not reach the horizon.
    pub failures: Failures,
}

/// Paths that did not reach the horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failures {
    /// Paths that became infinite or not a number; they are left out of every later statistic of all processes.
    pub blow_ups: u64,
    /// Paths that left the compact set and were stopped where they left it.
    pub exits: u64,
    /// Regime II: paths on which Φ could not be computed; left out as those that blew up.
    pub unprojected: u64,
    /// The first failing path and its step, for a rerun.
    pub first: Option<(u64, u64)>,
}

/// Quantiles of one test function against time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuantileBand {
    /// Index into [`ScenarioResult::functions`].
    pub function: usize,
    /// Probabilities, increasing, e.g. 0.05, 0.25, 0.5, 0.75, 0.95.
    pub probabilities: Vec<f64>,
    /// `values[probability][time]`.
    #[serde(with = "number")]
    pub values: Vec<Vec<f64>>,
}

/// Counts of one test function at one time in bins of equal width.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Histogram {
    /// Index into [`ScenarioResult::functions`].
    pub function: usize,
    /// Fast time.
    #[serde(with = "number")]
    pub time: f64,
    /// Left edge of the first bin.
    #[serde(with = "number")]
    pub origin: f64,
    /// Bin width.
    #[serde(with = "number")]
    pub width: f64,
    /// Paths in each bin.
    pub counts: Vec<u64>,
    /// Exact law, where it is known to be Gaussian: mean and standard deviation.
    #[serde(with = "number")]
    pub gaussian: Option<(f64, f64)>,
    /// Points (z, density) of the exact law, where it is known otherwise.
    #[serde(with = "number", default)]
    pub density: Vec<(f64, f64)>,
}

/// "left is a weak approximation of right": one row of the verdict table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// e.g. `sgdm~sgd α=0.5`.
    pub id: String,
    /// Indices into [`ScenarioResult::processes`].
    pub left: usize,
    /// The reference process.
    pub right: usize,
    /// Momentum index α of the claim (0 for SGD against the SDE).
    pub alpha: f64,
    /// Where the claim holds.
    pub holds: Holds,
    /// The verdict that the author of the scenario expects.
    pub expected: Verdict,
    /// The verdict of the data.
    pub verdict: Verdict,
    /// One sentence: why this verdict, with its numbers.
    pub reason: String,
    /// The order that the theorem guarantees: (1−α)/2 (Theorem 4.5).
    pub guaranteed_order: f64,
    /// The regression is in powers of ε = η^p with this p (1−α; 1 where α = 1).
    pub epsilon_power: f64,
    /// Simultaneous coverage of all intervals of this comparison.
    pub level: f64,
    /// The limit, its interval included, may be this large in units of its function's scale: consistent.
    pub tolerance: f64,
    /// A limit away from 0 by less than this, in units of its function's scale, refutes nothing.
    pub negligible: f64,
    /// By how many times the paths would have to grow for a verdict; 1 where there is one, ∞ where more paths do not help.
    #[serde(with = "number")]
    pub paths_factor: f64,
    /// How many times as many paths the widest limit would take if the two sides did not share their noise; none where one side has
    /// no paths or no noise.
    pub speed_up: Option<f64>,
    /// Limits that share the level: test functions times common times.
    pub limits: usize,
    /// How many independent limits these amount to: what the level is split over. In Regime I those of all comparisons together,
    /// divided by their number.
    pub effective_limits: f64,
    /// Largest |limit error| over functions and times, in units of each function's natural scale, with its simultaneous interval.
    pub limit: Estimate,
    /// One entry per test function.
    pub functions: Vec<FunctionCheck>,
    /// Regime II: distances between paths, between laws, and of path functionals.
    pub distances: Vec<DistanceCheck>,
    /// How far apart the laws of the two are at the end; beside the verdict.
    pub laws: Vec<LawDistance>,
    /// C-closeness (Li, Malladi and Arora 2021), for those of its test functions that are in the panel; beside the verdict.
    pub closeness: Vec<Closeness>,
    /// Errors from exact moments alone, without sampling.
    pub exact: Vec<ExactLadder>,
}

/// The error of one test function along the ladder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionCheck {
    /// Index into [`ScenarioResult::functions`].
    pub function: usize,
    /// Natural scale of h: its largest standard deviation plus its largest mean displacement over the horizon.
    #[serde(with = "number")]
    pub scale: f64,
    /// max over save times of |E h(left) − E h(right)|, per η, largest η first.
    pub errors: Vec<ErrorPoint>,
    /// The order as η → 0, from all errors that stand out of the noise; its interval holds sampling noise (bootstrap) and the
    /// largest bias of curves that bend at large η. None with fewer than three such errors.
    pub order: Option<Estimate>,
    /// Local slopes d log error / d log η between neighbouring η.
    pub slopes: Vec<SlopePoint>,
    /// The error extrapolated to η → 0, at the common time where its interval reaches farthest from 0.
    pub limit: Estimate,
    /// Fast time of `limit`.
    #[serde(with = "number")]
    pub limit_time: f64,
    /// Fitted signed error at that time: Σ_j `coefficients[j]` η^`powers[j]`; the first power is 0.
    #[serde(with = "number")]
    pub powers: Vec<f64>,
    /// See `powers`; for drawing.
    #[serde(with = "number")]
    pub coefficients: Vec<f64>,
    /// Signed errors at that time along the ladder: what the fit goes through.
    pub fitted: Vec<ErrorPoint>,
    /// χ² of the fit per degree of freedom.
    #[serde(with = "number")]
    pub reduced_chi_square: f64,
}

/// How two processes are compared beyond expectations at single times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistanceKind {
    /// (E‖Φ(x_k) − X_{kη²}‖²)^{1/2} on the shared Brownian path, at the end.
    Pathwise,
    /// (E sup_t ‖Φ(x_k) − X_{kη²}‖²)^{1/2} over the times that are looked at.
    Supremum,
    /// Kolmogorov–Smirnov distance between the laws of a test function.
    KolmogorovSmirnov,
    /// Wasserstein-1 distance between the laws of a test function.
    Wasserstein,
    /// Mean over directions of the Wasserstein-1 distance between projections of the laws.
    SlicedWasserstein,
    /// Energy distance D between the laws of a test function, or of the states by their projections:
    /// D² = 2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖.
    Energy,
    /// |E F(Φ(x)) − E F(X)| for a functional F of the whole path, or the share of paths below a quantile of a stated law.
    Functional,
}

impl DistanceKind {
    /// Whether laws are compared, not paths or expectations.
    pub fn is_law(self) -> bool {
        matches!(
            self,
            DistanceKind::KolmogorovSmirnov
                | DistanceKind::Wasserstein
                | DistanceKind::SlicedWasserstein
                | DistanceKind::Energy
        )
    }

    /// Whether the distance is the root of a mean square: its fit is that of the square.
    pub fn is_mean_square(self) -> bool {
        matches!(self, DistanceKind::Pathwise | DistanceKind::Supremum)
    }
}

/// One distance along the ladder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DistanceCheck {
    /// What is measured.
    pub kind: DistanceKind,
    /// Name for tables and legends, e.g. `KS x[1]`, `sup ‖Φ(x)−X‖`, `max x[1]`.
    pub name: String,
    /// The ladder and its limit; `check.function` is the index of the test function behind it, where there is one. For a
    /// [root mean square](DistanceKind::is_mean_square) `check.powers` and `check.coefficients` fit its square.
    pub check: FunctionCheck,
    /// Per η: the same distance between two independent ensembles of the right process, as many paths each; NaN where it
    /// has no meaning.
    #[serde(with = "number")]
    pub floor: Vec<f64>,
    /// Per η: the mean E‖left − right‖ beside the root mean square; empty for other kinds.
    #[serde(with = "number")]
    pub mean: Vec<f64>,
}

/// A distance between the laws of two processes at the end, one η after the other.
///
/// Laws at one η differ, as the theorems are about η → 0: these numbers describe by how much, and no verdict uses them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LawDistance {
    /// What is measured: one of the [laws](DistanceKind::is_law).
    pub kind: DistanceKind,
    /// Name for tables, e.g. `KS of x[1]`.
    pub name: String,
    /// Index into [`ScenarioResult::functions`]; `None` for the law of the states, from its projections onto a few directions.
    pub function: Option<usize>,
    /// Natural scale, in the units of the distance.
    #[serde(with = "number")]
    pub scale: f64,
    /// Largest η first.
    pub points: Vec<LawPoint>,
}

/// A distance between two laws at one η.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LawPoint {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// The distance with its jackknife standard error over batches of paths. The interval of Kolmogorov–Smirnov is that of
    /// Dvoretzky, Kiefer, Wolfowitz and Massart, whatever the dependence of the two; the others are Student's.
    pub distance: Estimate,
    /// The same distance between two independent ensembles of the right process, as many paths each.
    #[serde(with = "number")]
    pub floor: f64,
    /// Kolmogorov–Smirnov: p-value for equal laws at this η, as of independent samples; where the two share their noise it is
    /// larger than need be. NaN for other kinds.
    #[serde(with = "number")]
    pub p_value: f64,
}

/// C-closeness in one test function h > 0: how far from 1 the ratio E h(left)/E h(right) gets at the common times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closeness {
    /// Index into [`ScenarioResult::functions`]: ‖x‖², ‖∇L‖² or tr Σ.
    pub function: usize,
    /// Largest η first.
    pub points: Vec<ClosenessPoint>,
}

/// C-closeness at one η.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClosenessPoint {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// The common time at which the ratio is farthest from 1.
    #[serde(with = "number")]
    pub time: f64,
    /// E h(left)/E h(right) at that time, with its interval (delta method on the logarithm) for that time alone.
    pub ratio: Estimate,
    /// The smallest C with 1/C ≤ ratio ≤ C at all common times; its interval holds over them together.
    pub factor: Estimate,
}

/// One point of an error curve.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ErrorPoint {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// The error.
    pub error: Estimate,
    /// Fast time at which the maximum is attained.
    #[serde(with = "number")]
    pub time: f64,
    /// Half-width of the simultaneous band at its widest: smaller errors cannot be told from 0.
    #[serde(with = "number")]
    pub noise_floor: f64,
    /// error / η^(guaranteed order): must stay bounded (Def. 4.4).
    pub constant: Estimate,
}

/// Slope between two neighbouring learning-rate scales.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SlopePoint {
    /// The larger η.
    pub eta_large: f64,
    /// The smaller η.
    pub eta_small: f64,
    /// log(error ratio)/log(η ratio).
    pub slope: Estimate,
}

/// The error of one test function by exact moments, down to tiny η.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExactLadder {
    /// Index into [`ScenarioResult::functions`].
    pub function: usize,
    /// Largest η first.
    #[serde(with = "number")]
    pub etas: Vec<f64>,
    /// max over save times of the exact |difference|.
    #[serde(with = "number")]
    pub errors: Vec<f64>,
    /// Local slopes between neighbours (one fewer than `etas`).
    #[serde(with = "number")]
    pub slopes: Vec<f64>,
}

/// Whole paths of a few ensemble members, every process on the same noise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SamplePaths {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// Fast times.
    #[serde(with = "number")]
    pub times: Vec<f64>,
    /// `positions[process][path][time][coordinate]`; at most the first two coordinates.
    #[serde(with = "number")]
    pub positions: Vec<Vec<Vec<Vec<f64>>>>,
}

/// The states of the first paths of every ensemble at the save times.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptPaths {
    /// Learning-rate scales, largest first.
    pub etas: Vec<f64>,
    /// Save times per η.
    pub times: Vec<Vec<f64>>,
    /// Numbers of η, processes, paths, save times (the most at any η) and coordinates.
    pub shape: [usize; 5],
    /// `states[eta][process][path][time][coordinate]`, one after the other; NaN where a process does not run, a time is not
    /// reached or a path is lost.
    pub states: Vec<f64>,
}

/// L on a grid, for two-dimensional landscapes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContourGrid {
    /// First coordinates.
    #[serde(with = "number")]
    pub x: Vec<f64>,
    /// Second coordinates.
    #[serde(with = "number")]
    pub y: Vec<f64>,
    /// `values[iy][ix]`.
    #[serde(with = "number")]
    pub values: Vec<Vec<f64>>,
}

/// Many paths over the plane: few times in Regime I, in Regime II many, and Γ.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clouds {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// Times, increasing; in Regime II the frames of the animation.
    #[serde(with = "number")]
    pub times: Vec<f64>,
    /// `positions[process][time][path]`: the raw iterate x_k (not Φ(x_k)) or X_t, every process on the same noise;
    /// empty for processes without paths.
    #[serde(with = "number")]
    pub positions: Vec<Vec<Vec<Vec<f64>>>>,
    /// Γ as polylines of points (x₁, x₂) around the paths; empty in Regime I.
    #[serde(with = "number")]
    pub manifold: Vec<Vec<Vec<f64>>>,
}

/// How far apart iterates are at one η, from the first step to the last: what (51) and (4) describe, and from when on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandOver {
    /// Learning-rate scale.
    #[serde(with = "number")]
    pub eta: f64,
    /// Steps k, increasing, about evenly spaced in ln k.
    pub steps: Vec<u64>,
    /// The comparisons of two processes with paths.
    pub pairs: Vec<PairDistance>,
}

/// The distance between two processes on one noise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairDistance {
    /// Left process.
    pub left: usize,
    /// Right process.
    pub right: usize,
    /// (E‖left − right‖²)^{1/2} of the states themselves, not of Φ, at the steps, with pointwise intervals.
    pub distance: EstimateSeries,
}

/// How the gradient flow falls onto Γ: φ̇ = −λ_0∇L(φ) from x_0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fall {
    /// Fast times s = kη, evenly spaced in log s.
    #[serde(with = "number")]
    pub times: Vec<f64>,
    /// ‖φ(s) − Φ(x_0)‖.
    #[serde(with = "number")]
    pub distances: Vec<f64>,
}

/// What the run cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Effort {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Worker threads.
    pub threads: usize,
    /// Path-steps over all processes (one SDE sub-step counts one).
    pub path_steps: u64,
    /// Sampling rounds until every verdict was reached or the budget spent.
    pub rounds: u32,
}

/// What a result was computed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system, e.g. `linux`.
    pub system: String,
    /// Architecture, e.g. `x86_64`.
    pub architecture: String,
    /// Logical processors; 0 where the system does not tell.
    pub processors: usize,
}

impl Machine {
    /// The machine that this program runs on.
    pub fn here() -> Machine {
        Machine {
            system: std::env::consts::OS.to_string(),
            architecture: std::env::consts::ARCH.to_string(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_know_come_back() -> Result<(), serde_json::Error> {
        let estimate = Estimate {
            value: 0.1 + 0.2,
            standard_error: f64::NAN,
            lower: f64::NEG_INFINITY,
            upper: f64::INFINITY,
            level: 0.99,
            n: u64::MAX,
        };
        let text = serde_json::to_string(&estimate)?;
        assert_eq!(
            text,
            r#"{"value":0.30000000000000004,"standard_error":null,"lower":"-inf","upper":"inf","level":0.99,"n":18446744073709551615}"#
        );
        let back: Estimate = serde_json::from_str(&text)?;
        assert!(back.standard_error.is_nan() && back.n == u64::MAX);
        assert_eq!(
            (back.value, back.lower, back.upper),
            (estimate.value, estimate.lower, estimate.upper)
        );
        let summary = ProcessSummary {
            exact: Some(vec![None, Some(vec![f64::NAN, 1.0])]),
            least: vec![vec![f64::INFINITY], vec![]],
            ..ProcessSummary::default()
        };
        let text = serde_json::to_string(&summary)?;
        let back: ProcessSummary = serde_json::from_str(&text)?;
        assert_eq!(serde_json::to_string(&back)?, text);
        assert!(serde_json::from_str::<Estimate>(&text.replace("inf", "many")).is_err());
        Ok(())
    }
}
