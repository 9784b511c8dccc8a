//! The scenario file as it is written: TOML tables with unknown keys refused.
//!
//! Alternatives are tables with one key that names the choice (`landscape.quadratic`, `noise.gaussian`, …), so that a wrong
//! key inside them is reported with its line.

use super::{ProcessKind, Suite};
use crate::report::result::{Holds, Regime, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScenario {
    /// One line for tables and figures.
    pub title: String,
    /// The claim under test, e.g. `Theorem 4.5`.
    pub claim: String,
    /// The items of the paper that it tests, e.g. `Lemma A.2`.
    #[serde(default)]
    pub paper: Vec<String>,
    /// Which runs it belongs to.
    #[serde(default)]
    pub suite: Suite,
    /// What is tested and what would refute it.
    #[serde(default)]
    pub about: String,
    /// The clock: `fast` (O(1/η) steps) or `slow` (O(1/η²) steps on the manifold of minimizers).
    #[serde(default)]
    pub regime: Regime,
    /// Slow regime: t = kη^{1+s}.
    pub s: Option<f64>,
    /// The loss L.
    pub landscape: RawLandscape,
    /// The law of the gradient noise v.
    pub noise: RawNoise,
    /// The noise scale σ(η).
    #[serde(default)]
    pub noise_scale: RawNoiseScale,
    /// Where the paths start.
    pub start: RawStart,
    /// The family of schedules (Def. 4.1).
    #[serde(default)]
    pub schedule: RawSchedule,
    /// Paths are stopped where they leave this set.
    pub compact_set: Option<RawRegion>,
    /// How the check is run.
    pub run: RawRun,
    /// What is compared, and the verdict that the author expects.
    pub compare: Vec<RawCompare>,
    /// What is known in closed form.
    #[serde(default)]
    pub known: RawKnown,
    /// Changes to `run` for each profile.
    #[serde(default)]
    pub profile: RawProfiles,
}

/// The loss.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawLandscape {
    /// ½(x−x*)ᵀA(x−x*).
    Quadratic {
        /// Eigenvalues of a diagonal A.
        spectrum: Option<Vec<f64>>,
        /// A, row by row.
        matrix: Option<Vec<Vec<f64>>>,
        /// x*; the origin if absent.
        center: Option<Vec<f64>>,
    },
    /// (x₁²−1)²/4 + ½cΣ xᵢ².
    DoubleWell {
        /// d; 1 if absent.
        dimension: Option<usize>,
        /// c; 1 if absent.
        curvature: Option<f64>,
    },
    /// ½(xy−1)².
    Hyperbola {},
    /// A loss written as text.
    Expression(RawExpression),
    /// Least squares or logistic regression on a CSV file.
    Regression {
        /// `least_squares` or `logistic`.
        loss: RawLoss,
        /// The CSV file, relative to the scenario file.
        file: String,
        /// Target column.
        target: String,
        /// Feature columns; all others if absent.
        features: Option<Vec<String>>,
        /// Features to mean 0 and variance 1.
        #[serde(default = "yes")]
        standardize: bool,
        /// Targets to mean 0 and variance 1.
        #[serde(default)]
        standardize_target: bool,
        /// Adds a column of ones.
        #[serde(default = "yes")]
        intercept: bool,
        /// Rows from the top of the file; all if absent.
        rows: Option<usize>,
        /// ρ of ½ρ‖θ‖².
        #[serde(default)]
        ridge: f64,
    },
    /// One-sample linear regression on inline data.
    LinearRegression {
        /// Inputs, one row a sample.
        inputs: Vec<Vec<f64>>,
        /// Targets.
        targets: Vec<f64>,
        /// ρ of ½ρ‖θ‖².
        #[serde(default)]
        ridge: f64,
    },
    /// ½a(u)v².
    Valley {
        /// a.
        steepness: RawSteepness,
    },
    /// ¼(‖x‖²−1)².
    Sphere {
        /// d ≥ 2.
        dimension: usize,
    },
    /// ¼(Σ(xᵢ/aᵢ)²−1)².
    Ellipse {
        /// aᵢ.
        semi_axes: Vec<f64>,
    },
    /// Least squares of ⟨a, u⊙u − w⊙w⟩, on inline data or on a random sparse problem.
    DiagonalNetwork {
        /// Inputs, one row a sample.
        inputs: Option<Vec<Vec<f64>>>,
        /// Targets.
        targets: Option<Vec<f64>>,
        /// Instead of inputs and targets.
        sparse: Option<RawSparse>,
    },
    /// ¼‖UUᵀ − BBᵀ‖².
    MatrixFactorization {
        /// B, row by row.
        factor: Vec<Vec<f64>>,
    },
    /// Least squares of ⟨A, UUᵀ⟩ on random measurements.
    MatrixSensing {
        /// n.
        size: usize,
        /// Columns k of U; the rank if absent.
        columns: Option<usize>,
        /// Rank of the matrix that is measured.
        rank: usize,
        /// Number of measurements.
        samples: usize,
        /// Of the measurements and of the matrix.
        seed: u64,
    },
    /// Least squares of Σⱼ cⱼφ(wⱼᵀz + bⱼ) on a CSV file.
    TwoLayerNetwork {
        /// The CSV file, relative to the scenario file.
        file: String,
        /// Target column.
        target: String,
        /// Feature columns; all others if absent.
        features: Option<Vec<String>>,
        /// Features to mean 0 and variance 1.
        #[serde(default = "yes")]
        standardize: bool,
        /// Targets to mean 0 and variance 1.
        #[serde(default)]
        standardize_target: bool,
        /// Rows from the top of the file; all if absent.
        rows: Option<usize>,
        /// Hidden units.
        units: usize,
        /// φ.
        activation: RawActivation,
    },
}

/// A loss written as text: exactly one of `loss`, `residuals`, `sample_loss` and `sample_residual`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExpression {
    /// Names such as `x`, and vectors such as `w[1..20]`.
    pub parameters: Vec<String>,
    /// Named numbers.
    #[serde(default)]
    pub constants: BTreeMap<String, f64>,
    /// L.
    pub loss: Option<String>,
    /// rᵢ of L = (1/2n)Σ rᵢ².
    pub residuals: Option<Vec<String>>,
    /// ℓ of L = (1/n)Σ ℓ(zᵢ, x) over the rows zᵢ of a file.
    pub sample_loss: Option<String>,
    /// r of L = (1/2n)Σ r(zᵢ, x)².
    pub sample_residual: Option<String>,
    /// The CSV file, relative to the scenario file.
    pub file: Option<String>,
    /// The columns of the file that the text uses by their names.
    pub columns: Option<Vec<String>>,
    /// Columns to mean 0 and variance 1.
    #[serde(default)]
    pub standardize: bool,
    /// Rows from the top of the file; all if absent.
    pub rows: Option<usize>,
}

/// The walls of a valley.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawSteepness {
    /// e^{κu²}.
    Exponential { kappa: f64 },
    /// 1 + u².
    Quadratic {},
}

/// A random problem with a sparse truth.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSparse {
    /// p.
    pub features: usize,
    /// n < p.
    pub samples: usize,
    /// Entries of the truth that are not zero.
    pub support: usize,
    /// The law of the entries of the design matrix.
    pub design: RawDesign,
    /// Of design and truth.
    pub seed: u64,
}

/// The law of the entries of a design matrix.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawDesign {
    Gaussian,
    Rademacher,
}

/// The activation of hidden units.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawActivation {
    Tanh,
    Softplus,
}

fn yes() -> bool {
    true
}

/// The loss of a regression.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawLoss {
    LeastSquares,
    Logistic,
}

/// The law of the gradient noise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawNoise {
    /// Normal with a given factor or covariance.
    Gaussian {
        factor: Option<RawFactor>,
        covariance: Option<RawCovariance>,
    },
    /// Random signs with a given factor or covariance.
    Rademacher {
        factor: Option<RawFactor>,
        covariance: Option<RawCovariance>,
    },
    /// Standardised Student's t with a given factor or covariance.
    Student {
        freedom: f64,
        factor: Option<RawFactor>,
        covariance: Option<RawCovariance>,
    },
    /// Fresh label errors on all samples.
    Label { deviation: f64, law: RawLabelLaw },
    /// B samples with replacement.
    Minibatch { size: usize },
}

/// The factor B(x) of Σ = BBᵀ.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawFactor {
    /// s·I.
    Isotropic(f64),
    /// diag(s₁, …).
    Diagonal(Vec<f64>),
    /// d × r, row by row.
    Matrix(Vec<Vec<f64>>),
    /// s·diag(x).
    Multiplicative(f64),
    /// s·√(1+‖x‖²)·I.
    Growing(f64),
    /// d × r expressions, row by row.
    Expression(Vec<Vec<String>>),
    /// That of a minibatch of this size (Gaussian only).
    Minibatch(usize),
}

/// The covariance Σ(x): instead of the factor where it is constant; beside a factor, what BBᵀ must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawCovariance {
    /// d × d, row by row.
    Matrix(Vec<Vec<f64>>),
    /// d × d expressions, row by row; beside a factor only.
    Expression(Vec<Vec<String>>),
}

/// The law of label errors.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawLabelLaw {
    Gaussian,
    Rademacher,
}

/// σ = factor · η^power.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNoiseScale {
    #[serde(default = "one")]
    pub factor: f64,
    /// 0 if absent; in the slow regime −(1−s)/2.
    pub power: Option<f64>,
    /// σ = factor · √ℓ by SVAG with ℓ = η_max/η.
    #[serde(default)]
    pub svag: bool,
}

fn one() -> f64 {
    1.0
}

impl Default for RawNoiseScale {
    fn default() -> RawNoiseScale {
        RawNoiseScale {
            factor: 1.0,
            power: None,
            svag: false,
        }
    }
}

/// Initial conditions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStart {
    /// x_0.
    pub x0: RawPoint,
    /// Slow regime: start at Φ(x_0) instead.
    #[serde(default)]
    pub on_manifold: bool,
    /// m_0; zero if absent.
    #[serde(default)]
    pub m0: RawMomentum,
}

/// x_0 as a list, the same number in every coordinate, or independent normals from a seed of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawPoint {
    At(Vec<f64>),
    Everywhere(f64),
    Random { scale: f64, seed: u64 },
}

/// The law of m_0.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawMomentum {
    #[default]
    Zero,
    Gradient,
    Stationary,
    Fixed(Vec<f64>),
    Gaussian(f64),
}

/// λ and μ: η_k = η λ, 1 − β_k = η^α μ.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSchedule {
    #[serde(default = "unit_shape")]
    pub learning_rate: RawShape,
    #[serde(default = "half_shape")]
    pub momentum: RawShape,
    /// Dampening τ of the `heavy_ball` process.
    #[serde(default)]
    pub dampening: f64,
}

fn unit_shape() -> RawShape {
    RawShape::Constant(1.0)
}

fn half_shape() -> RawShape {
    RawShape::Constant(0.5)
}

impl Default for RawSchedule {
    fn default() -> RawSchedule {
        RawSchedule {
            learning_rate: unit_shape(),
            momentum: half_shape(),
            dampening: 0.0,
        }
    }
}

/// A function of fast time, or of the step index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawShape {
    Constant(f64),
    StepDecay {
        initial: f64,
        factor: f64,
        at: Vec<f64>,
    },
    Cosine {
        from: f64,
        to: f64,
    },
    Warmup {
        duration: f64,
        from: f64,
        then: Box<RawShape>,
    },
    Table {
        times: Vec<f64>,
        values: Vec<f64>,
    },
    Steps(Vec<f64>),
    Cycle(Vec<f64>),
}

/// The compact set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawRegion {
    Ball {
        radius: f64,
        center: Option<Vec<f64>>,
    },
    Box {
        lower: Vec<f64>,
        upper: Vec<f64>,
    },
    /// f of f(x) ≤ 0.
    Expression(String),
}

/// What the author knows in closed form, in the names of the parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawKnown {
    /// Slow regime: the entries of Φ(x).
    pub projection: Option<Vec<String>>,
    /// Laws of the limit: of (51) in the fast regime, of (4) in the slow one.
    #[serde(default)]
    pub law: Vec<RawLaw>,
}

/// The law of a test function along the limit, which starts at the parameters: x_0 in the fast regime, Φ(x_0) in the slow one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLaw {
    /// One of the test functions of the run.
    pub function: String,
    /// Fast regime: the process whose law it is, at every η; the limit if absent.
    pub process: Option<ProcessKind>,
    /// E h at time `t`, at learning-rate scale `eta`.
    pub mean: Option<String>,
    /// The density of h at `z`.
    pub density: Option<String>,
}

/// How the check is run. Every key may also stand in `[profile.smoke]`, `[profile.quick]` and `[profile.full]`, which win.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRun {
    /// T: fast time kη, or slow time kη^{1+s} where regime = "slow".
    pub horizon: Option<f64>,
    /// Momentum indices α.
    pub alphas: Option<Vec<f64>>,
    /// The largest learning-rate scale.
    pub eta_max: Option<f64>,
    /// Number of scales, each half of the one before.
    pub etas: Option<usize>,
    /// Number of scales, from the largest, on which the SDE runs.
    pub sde_etas: Option<usize>,
    /// Paths in the first round.
    pub paths: Option<u64>,
    /// Budget of paths: rounds double until the verdict or the budget.
    pub max_paths: Option<u64>,
    /// Common save times, evenly spaced up to T.
    pub times: Option<usize>,
    /// Additional save times before the first common one, evenly spaced in log k.
    pub early_times: Option<usize>,
    /// r: SDE steps per optimizer step.
    pub substeps: Option<usize>,
    /// Slow regime: looks at the paths between two common times.
    pub looks: Option<usize>,
    /// Slow regime: the coarse step of the slow SDE as a multiple of η^s, in slow time.
    pub slow_step: Option<f64>,
    /// Slow regime: tolerance of Φ, absolute and relative.
    pub projection_tolerance: Option<f64>,
    /// Test functions; a default panel if absent.
    pub functions: Option<Vec<String>>,
    /// Test functions whose distribution is kept.
    pub monitored: Option<Vec<String>>,
    /// Coverage of all intervals of the scenario together.
    pub level: Option<f64>,
    /// Limits within this part of a function's scale pass.
    pub tolerance: Option<f64>,
    /// Limits below this part of the scale do not refute; a tenth of the tolerance if absent.
    pub negligible: Option<f64>,
    /// Sampling goes on until it contributes at most this part of the scale to the half-width of every limit.
    pub precision: Option<f64>,
    /// Paths whose states at the save times are kept in `paths.npz`.
    pub keep_paths: Option<u64>,
    /// Seed of all random streams.
    pub seed: Option<u64>,
}

impl RawRun {
    /// These settings where they are given, those of `base` elsewhere.
    pub fn over(self, base: RawRun) -> RawRun {
        RawRun {
            horizon: self.horizon.or(base.horizon),
            alphas: self.alphas.or(base.alphas),
            eta_max: self.eta_max.or(base.eta_max),
            etas: self.etas.or(base.etas),
            sde_etas: self.sde_etas.or(base.sde_etas),
            paths: self.paths.or(base.paths),
            max_paths: self.max_paths.or(base.max_paths),
            times: self.times.or(base.times),
            early_times: self.early_times.or(base.early_times),
            substeps: self.substeps.or(base.substeps),
            looks: self.looks.or(base.looks),
            slow_step: self.slow_step.or(base.slow_step),
            projection_tolerance: self.projection_tolerance.or(base.projection_tolerance),
            functions: self.functions.or(base.functions),
            monitored: self.monitored.or(base.monitored),
            level: self.level.or(base.level),
            tolerance: self.tolerance.or(base.tolerance),
            negligible: self.negligible.or(base.negligible),
            precision: self.precision.or(base.precision),
            keep_paths: self.keep_paths.or(base.keep_paths),
            seed: self.seed.or(base.seed),
        }
    }
}

/// Changes to `run` by profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfiles {
    #[serde(default)]
    pub smoke: RawRun,
    #[serde(default)]
    pub quick: RawRun,
    #[serde(default)]
    pub full: RawRun,
}

/// "left is a weak approximation of right."
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCompare {
    pub left: ProcessKind,
    pub right: ProcessKind,
    /// The momentum indices; those of `run` if absent.
    pub alphas: Option<Vec<f64>>,
    /// Where the claim holds.
    #[serde(default)]
    pub holds: Holds,
    /// The test functions that are judged; all if absent.
    pub functions: Option<Vec<String>>,
    /// Whether exact moments are judged in place of samples.
    #[serde(default)]
    pub exact: bool,
    /// The verdict that the author expects.
    pub expect: Verdict,
}
