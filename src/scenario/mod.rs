//! Scenarios: TOML → checked types → ensembles → result.

mod assign;
mod check;
mod comparisons;
mod drawings;
mod exact;
mod expressions;
mod flow;
mod hand_over;
mod kept;
mod known;
mod landscapes;
mod laws;
mod locate;
mod noises;
mod raw;
#[cfg(test)]
mod reference;
mod run;
mod settings;
mod slow;
mod source;
mod summary;
mod syntax;
mod system;

pub use check::ScenarioError;
pub use known::Known;
pub use run::total_work;
pub use source::{DataFolder, Source};

use crate::clocks::{FastTime, SlowClock, SlowTime, Steps};
use crate::ensemble::{Damping, InitialMomentum, Region, SlowScheme, TestFunction};
use crate::oracle::{Oracle, Svag};
use crate::report::result::{Holds, ProcessFamily, Regime, Verdict};
use crate::schedule::{Dampening, Horizon, RateKind, Shape};
use crate::slow_law::SlowNoise;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How much effort a run may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Seconds: does everything run?
    Smoke,
    /// The default: verdicts.
    #[default]
    Quick,
    /// For a paper.
    Full,
}

/// What a profile sets where the scenario does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub etas: usize,
    pub sde_etas: usize,
    pub paths: u64,
    pub max_paths: u64,
    pub tolerance: f64,
}

impl Profile {
    /// `smoke`, `quick` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Smoke => "smoke",
            Profile::Quick => "quick",
            Profile::Full => "full",
        }
    }

    fn defaults(self, regime: Regime) -> Defaults {
        let fast = self.fast_defaults();
        match regime {
            Regime::Fast => fast,
            // Steps grow like η^{−1−s}, and every path costs projections: shorter ladders, fewer paths.
            Regime::Slow => Defaults {
                etas: fast.etas - 1,
                paths: fast.paths / 4,
                max_paths: fast.max_paths / 8,
                ..fast
            },
        }
    }

    fn fast_defaults(self) -> Defaults {
        match self {
            Profile::Smoke => Defaults {
                etas: 5,
                sde_etas: 4,
                paths: 1024,
                max_paths: 4096,
                tolerance: 0.25,
            },
            Profile::Quick => Defaults {
                etas: 7,
                sde_etas: 5,
                paths: 8192,
                max_paths: 131_072,
                tolerance: 0.05,
            },
            Profile::Full => Defaults {
                etas: 9,
                sde_etas: 6,
                paths: 65_536,
                max_paths: 2_097_152,
                tolerance: 0.02,
            },
        }
    }
}

/// Which runs of all bundled scenarios a scenario belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suite {
    /// Every run: a claim of the paper, a kind of problem, or a control that a short run must show.
    #[default]
    Core,
    /// `run --all` only: one more item of the paper, or one more case of it.
    Companion,
}

impl Suite {
    /// The name in scenario files.
    pub fn key(self) -> &'static str {
        match self {
            Suite::Core => "core",
            Suite::Companion => "companion",
        }
    }
}

/// Changes from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `key=value` with a dotted key.
    pub assignments: Vec<String>,
    /// Seed that wins over the file's.
    pub seed: Option<u64>,
}

/// The processes that can be compared, by their names in scenario files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// SGD: at the averaged rates η̄_k of Eq. (8) in Regime I (Theorem 4.5), at η_k in Regime II (Theorem 5.5).
    Sgd,
    /// SGD at η_k.
    SgdPlain,
    /// SGD at γ_k = η_k(1−β_k).
    SgdGamma,
    /// SGDM (Def. 3.3).
    Sgdm,
    /// SGD-Standard (Def. A.1) with Lemma A.2's conversion.
    HeavyBall,
    /// The same with PyTorch's first step.
    Pytorch,
    /// The coupled trajectory y_k, Eqs. (9) and (10), from x_k and m_k.
    Coupled,
    /// The same step by step, Eq. (11): y_{k+1} = y_k − η̄_k g_k.
    CoupledSteps,
    /// Negative control: Eq. (11) with η_k in place of η̄_k.
    CoupledStepsPlain,
    /// SGDM with β_0 = 0: PyTorch's by Lemma A.2.
    SgdmFirstGradient,
    /// Negative control: SGD-Standard with the conversion of a constant β.
    HeavyBallUnconverted,
    /// SGDM on the clock on which it moves at α ≥ 1: t = k s^{(1+α)/2} at learning-rate scale s, where η is the time of a step.
    SgdmInertial,
    /// The limiting SDE, Eq. (51).
    Sde,
    /// The limit at α = 1, Eqs. (52)–(53).
    UnderdampedSde,
    /// The limit at α > 1 on its own clock: (52)–(53) without damping.
    UndampedSde,
    /// The slow SDE (4) by scheme (ii): Φ of a step with the full noise.
    SlowSde,
    /// The slow SDE by scheme (i): Euler–Maruyama, then Φ.
    SlowSdeEulerMaruyama,
    /// The slow SDE where its diffusion vanishes: a gradient flow on Γ, integrated as an ODE.
    SlowFlow,
    /// Negative control: the slow SDE without its drift.
    SlowSdeWithoutDrift,
    /// Negative control: λ in place of λ² in the drift.
    SlowSdeLinearRate,
    /// Negative control: the nearest point of Γ in place of Φ.
    SlowSdeNearestPoint,
    /// The law of the limit, (51) or (4), in closed form.
    ClosedForm,
}

impl ProcessKind {
    /// All of them, in the order in which they run.
    pub const ALL: [ProcessKind; 22] = [
        ProcessKind::Sgd,
        ProcessKind::SgdPlain,
        ProcessKind::SgdGamma,
        ProcessKind::Sgdm,
        ProcessKind::SgdmFirstGradient,
        ProcessKind::HeavyBall,
        ProcessKind::HeavyBallUnconverted,
        ProcessKind::Pytorch,
        ProcessKind::Coupled,
        ProcessKind::CoupledSteps,
        ProcessKind::CoupledStepsPlain,
        ProcessKind::SgdmInertial,
        ProcessKind::Sde,
        ProcessKind::UnderdampedSde,
        ProcessKind::UndampedSde,
        ProcessKind::SlowFlow,
        ProcessKind::SlowSde,
        ProcessKind::SlowSdeEulerMaruyama,
        ProcessKind::SlowSdeWithoutDrift,
        ProcessKind::SlowSdeLinearRate,
        ProcessKind::SlowSdeNearestPoint,
        ProcessKind::ClosedForm,
    ];

    /// Whether the process exists in a regime.
    pub fn runs_in(self, regime: Regime) -> bool {
        match self.family() {
            ProcessFamily::Coupled if self != ProcessKind::Coupled => regime == Regime::Fast,
            ProcessFamily::Sde => regime == Regime::Fast || self == ProcessKind::Sde,
            ProcessFamily::SlowSde | ProcessFamily::SlowControl => regime == Regime::Slow,
            _ => regime == Regime::Fast || self != ProcessKind::SgdmInertial,
        }
    }

    /// Whether momentum stays in the limit: κ of the inertial SDEs.
    pub(crate) fn damping(self) -> Option<Damping> {
        match self {
            ProcessKind::UnderdampedSde => Some(Damping::Full),
            ProcessKind::UndampedSde => Some(Damping::None),
            _ => None,
        }
    }

    /// The scheme of the slow SDE's relatives.
    pub(crate) fn scheme(self) -> Option<SlowScheme> {
        Some(match self {
            ProcessKind::SlowSde => SlowScheme::Projected,
            ProcessKind::SlowSdeEulerMaruyama => SlowScheme::EulerMaruyama,
            ProcessKind::SlowSdeWithoutDrift => SlowScheme::WithoutDrift,
            ProcessKind::SlowSdeLinearRate => SlowScheme::LinearRate,
            ProcessKind::SlowSdeNearestPoint => SlowScheme::Nearest,
            _ => return None,
        })
    }

    /// The name in scenario files.
    pub fn key(self) -> &'static str {
        match self {
            ProcessKind::Sgd => "sgd",
            ProcessKind::SgdPlain => "sgd_plain",
            ProcessKind::SgdGamma => "sgd_gamma",
            ProcessKind::Sgdm => "sgdm",
            ProcessKind::HeavyBall => "heavy_ball",
            ProcessKind::Pytorch => "pytorch",
            ProcessKind::Coupled => "coupled",
            ProcessKind::CoupledSteps => "coupled_steps",
            ProcessKind::CoupledStepsPlain => "coupled_steps_plain",
            ProcessKind::SgdmFirstGradient => "sgdm_first_gradient",
            ProcessKind::HeavyBallUnconverted => "heavy_ball_unconverted",
            ProcessKind::SgdmInertial => "sgdm_inertial",
            ProcessKind::Sde => "sde",
            ProcessKind::UnderdampedSde => "underdamped_sde",
            ProcessKind::UndampedSde => "undamped_sde",
            ProcessKind::SlowSde => "slow_sde",
            ProcessKind::SlowSdeEulerMaruyama => "slow_sde_euler_maruyama",
            ProcessKind::SlowFlow => "slow_flow",
            ProcessKind::SlowSdeWithoutDrift => "slow_sde_without_drift",
            ProcessKind::SlowSdeLinearRate => "slow_sde_linear_rate",
            ProcessKind::SlowSdeNearestPoint => "slow_sde_nearest_point",
            ProcessKind::ClosedForm => "closed_form",
        }
    }

    /// The name in legends and tables.
    pub fn label(self) -> &'static str {
        match self {
            ProcessKind::Sgd => "SGD",
            ProcessKind::SgdPlain => "SGD at ηₖ",
            ProcessKind::SgdGamma => "SGD at γₖ",
            ProcessKind::Sgdm => "SGDM",
            ProcessKind::HeavyBall => "heavy ball",
            ProcessKind::Pytorch => "PyTorch SGD",
            ProcessKind::Coupled => "coupled y",
            ProcessKind::CoupledSteps => "coupled y by steps",
            ProcessKind::CoupledStepsPlain => "coupled y at ηₖ",
            ProcessKind::SgdmFirstGradient => "SGDM with β₀ = 0",
            ProcessKind::HeavyBallUnconverted => "heavy ball, unconverted",
            ProcessKind::SgdmInertial => "SGDM, inertial clock",
            ProcessKind::Sde => "SDE (51)",
            ProcessKind::UnderdampedSde => "SDE (52)–(53)",
            ProcessKind::UndampedSde => "undamped SDE",
            ProcessKind::SlowSde => "slow SDE (4)",
            ProcessKind::SlowSdeEulerMaruyama => "slow SDE, scheme (i)",
            ProcessKind::SlowFlow => "slow flow (4)",
            ProcessKind::SlowSdeWithoutDrift => "slow SDE without drift",
            ProcessKind::SlowSdeLinearRate => "slow SDE with λ for λ²",
            ProcessKind::SlowSdeNearestPoint => "slow SDE by nearest point",
            ProcessKind::ClosedForm => "closed form",
        }
    }

    /// Its family in the result.
    pub fn family(self) -> ProcessFamily {
        match self {
            ProcessKind::Sgd | ProcessKind::SgdPlain | ProcessKind::SgdGamma => ProcessFamily::Sgd,
            ProcessKind::Sgdm | ProcessKind::SgdmFirstGradient | ProcessKind::SgdmInertial => {
                ProcessFamily::Sgdm
            }
            ProcessKind::HeavyBall | ProcessKind::HeavyBallUnconverted | ProcessKind::Pytorch => {
                ProcessFamily::Standard
            }
            ProcessKind::Coupled | ProcessKind::CoupledSteps | ProcessKind::CoupledStepsPlain => {
                ProcessFamily::Coupled
            }
            ProcessKind::Sde | ProcessKind::UnderdampedSde | ProcessKind::UndampedSde => {
                ProcessFamily::Sde
            }
            ProcessKind::SlowSde | ProcessKind::SlowSdeEulerMaruyama | ProcessKind::SlowFlow => {
                ProcessFamily::SlowSde
            }
            ProcessKind::SlowSdeWithoutDrift
            | ProcessKind::SlowSdeLinearRate
            | ProcessKind::SlowSdeNearestPoint => ProcessFamily::SlowControl,
            ProcessKind::ClosedForm => ProcessFamily::ClosedForm,
        }
    }

    /// The step coefficients, for discrete processes.
    pub(crate) fn rates(self, dampening: Dampening) -> Option<RateKind> {
        Some(match self {
            ProcessKind::Sgd => RateKind::SgdAveraged,
            ProcessKind::SgdPlain => RateKind::SgdPlain,
            ProcessKind::SgdGamma => RateKind::SgdHeavyBallRate,
            ProcessKind::Sgdm => RateKind::Sgdm,
            ProcessKind::SgdmFirstGradient => RateKind::SgdmFirstGradient,
            ProcessKind::HeavyBallUnconverted => RateKind::StandardUnconverted { dampening },
            ProcessKind::SgdmInertial => RateKind::SgdmInertialClock,
            ProcessKind::HeavyBall => RateKind::Standard {
                dampening,
                pytorch_first_step: false,
            },
            ProcessKind::Pytorch => RateKind::Standard {
                dampening,
                pytorch_first_step: true,
            },
            _ => return None,
        })
    }
}

/// One claim "left is a weak approximation of right" at one α, or "left and right agree" at every η.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Left process.
    pub left: ProcessKind,
    /// Right process.
    pub right: ProcessKind,
    /// Momentum index.
    pub alpha: f64,
    /// Where the claim holds.
    pub holds: Holds,
    /// The functions of the panel that are judged.
    pub functions: Vec<usize>,
    /// Whether exact moments are judged, down to η = 2⁻³⁰, in place of samples.
    pub exact: bool,
    /// The verdict that the author of the scenario expects.
    pub expected: Verdict,
}

/// Checked settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// T, on the clock of the regime.
    pub horizon: f64,
    /// Momentum indices.
    pub alphas: Vec<f64>,
    /// Learning-rate scales, largest first.
    pub etas: Vec<f64>,
    /// How many of them, from the largest, run the SDE.
    pub sde_etas: usize,
    /// Paths in the first round.
    pub paths: u64,
    /// Budget of paths.
    pub max_paths: u64,
    /// Common save times.
    pub times: usize,
    /// Early save times.
    pub early_times: usize,
    /// r of the SDE.
    pub substeps: usize,
    /// Regime II: looks at the paths between two common times, for suprema and path functionals.
    pub looks: usize,
    /// Regime II: the coarse step of the slow SDE is this times η^s, in slow time.
    pub slow_step: f64,
    /// Regime II: tolerance of Φ.
    pub projection_tolerance: f64,
    /// The panel.
    pub functions: Vec<TestFunction>,
    /// Indices into the panel.
    pub monitored: Vec<usize>,
    /// Coverage of all intervals of the scenario together.
    pub level: f64,
    /// See [`Demands`](crate::theorems::weak_approximation::Demands).
    pub tolerance: f64,
    /// See [`Demands`](crate::theorems::weak_approximation::Demands).
    pub negligible: f64,
    /// Sampling goes on, within `max_paths`, until it contributes at most this part of the scale to the half-width of every limit
    /// of an expectation.
    pub precision: Option<f64>,
    /// Paths whose states are kept whole.
    pub keep_paths: u64,
    /// Seed.
    pub seed: u64,
}

/// A checked scenario: everything in it fits together.
#[derive(Clone)]
pub struct Scenario {
    /// File name without extension.
    pub name: String,
    /// One line.
    pub title: String,
    /// The claim under test.
    pub claim: String,
    /// The items of the paper that it tests, as in [`ITEMS`](crate::paper::ITEMS).
    pub paper: Vec<String>,
    /// Which runs it belongs to.
    pub suite: Suite,
    /// What is tested and what would refute it.
    pub about: String,
    /// The profile it was read with.
    pub profile: Profile,
    /// The clock.
    pub regime: Regime,
    /// What slow time is, in Regime II and between the regimes.
    pub slow_clock: SlowClock,
    /// Φ(x_0), in Regime II.
    pub landing: Option<Vec<f64>>,
    /// Whether Σ couples directions along and across Γ at Φ(x_0).
    pub crossing: bool,
    /// What is known of Σ on Γ, for closed forms.
    pub slow_noise: SlowNoise,
    /// The text of the file, `--set` applied.
    pub settings: String,
    /// (L, Σ, Z).
    pub oracle: Oracle,
    /// σ = factor · η^power.
    pub noise_factor: f64,
    /// See `noise_factor`.
    pub noise_power: f64,
    /// σ = factor · √ℓ by SVAG (Def. 6.1) with ℓ = η_max/η, in place of the power of η.
    pub svag: bool,
    /// x_0.
    pub x0: Vec<f64>,
    /// Law of m_0.
    pub m0: InitialMomentum,
    /// Compact set.
    pub region: Option<Region>,
    /// λ.
    pub learning_rate: Shape,
    /// μ.
    pub momentum: Shape,
    /// τ of SGD-Standard.
    pub dampening: Dampening,
    /// What the author knows in closed form.
    pub known: Known,
    /// The claims.
    pub comparisons: Vec<Comparison>,
    /// How it is run.
    pub run: RunSettings,
}

impl Scenario {
    /// The verdicts that are expected, comparison by comparison.
    pub fn expected(&self) -> impl Iterator<Item = Verdict> + Clone {
        self.comparisons.iter().map(|c| c.expected)
    }

    /// σ at scale η.
    pub fn sigma(&self, eta: f64) -> f64 {
        if self.noise_factor == 0.0 {
            0.0
        } else if self.svag {
            self.noise_factor * self.svag_multiplier(eta).sqrt()
        } else {
            self.noise_factor * eta.powf(self.noise_power)
        }
    }

    /// ℓ = η_max/η of SVAG: ℓ steps at η for one at the largest η.
    pub(crate) fn svag_multiplier(&self, eta: f64) -> f64 {
        self.run.etas[0] / eta
    }

    /// The oracle that is asked at scale η: with SVAG, that of Def. 6.1.
    pub(crate) fn oracle_at(&self, eta: f64) -> Oracle {
        let Oracle { landscape, noise } = &self.oracle;
        let ell = self.svag_multiplier(eta);
        let svag = match self.svag {
            true => Svag::new(noise.clone(), self.x0.len(), ell),
            false => None,
        };
        Oracle {
            landscape: landscape.clone(),
            noise: svag.map_or_else(|| noise.clone(), |s| Arc::new(s)),
        }
    }

    /// T with its clock.
    pub fn horizon(&self) -> Horizon {
        match self.regime {
            Regime::Fast => Horizon::Fast(FastTime(self.run.horizon)),
            Regime::Slow => Horizon::Slow(SlowTime(self.run.horizon), self.slow_clock),
        }
    }

    /// The time of step k at η, on the clock of the regime.
    pub(crate) fn time(&self, k: Steps, eta: f64) -> f64 {
        match self.regime {
            Regime::Fast => k.fast(eta).0,
            Regime::Slow => k.slow(eta, self.slow_clock).0,
        }
    }

    /// Whether a process is a different one for different α.
    pub fn depends_on_alpha(&self, process: ProcessKind) -> bool {
        match process {
            ProcessKind::Sgd if self.regime == Regime::Slow => false,
            // η̄_k = η_k where nothing moves.
            ProcessKind::Sgd => {
                self.learning_rate.constant_value().is_none()
                    || self.momentum.constant_value().is_none()
            }
            ProcessKind::SgdPlain | ProcessKind::ClosedForm | ProcessKind::SlowFlow => false,
            other => other.family() != ProcessFamily::Sde && other.scheme().is_none(),
        }
    }
}
