//! Ensembles: every process of a path in lock step on the same innovations, many paths at once.
//!
//! Eight paths share a register, a few registers form a block, blocks form a chunk, chunks run in parallel. The layout is
//! a function of the problem alone, so the same seed gives the same bits on any number of threads.

mod accumulator;
mod batches;
mod block;
mod departures;
mod functions;
mod histogram;
mod laws;
mod momentum;
mod parallel;
mod path_statistics;
mod slow;
mod turbulence;

pub use crate::region::Region;
pub use accumulator::{Accumulator, CoMoments, Moments, Plan};
pub use batches::{BATCHES, BatchSums};
pub use block::{Block, BlockView, Observer};
pub use departures::{Departure, Departures};
pub use functions::TestFunction;
pub use histogram::{Distances, DyadicHistogram};
pub use laws::{LAW_BATCHES, Law, LawPlan};
pub(crate) use momentum::MomentumScale;
pub use momentum::{MomentumFunction, MomentumSquare};
pub use parallel::{Control, Interrupted};
pub use path_statistics::{FUNCTIONALS, MEAN_SQUARE, PathPlan, PathStatistics};
pub use slow::{SlowGrid, SlowRegime, SlowScheme};
pub use turbulence::{Watch, Way};

use crate::clocks::Steps;
use crate::oracle::Oracle;
use crate::random::StreamKey;
use crate::schedule::{RateKind, Schedule};
use std::sync::Arc;

/// One process of the lock step.
#[derive(Clone)]
pub enum Dynamics {
    /// m ← a m + b g, x ← x − c m: SGD, SGDM and SGD-Standard are all of this form.
    Discrete {
        /// η_k and β_k at this η.
        schedule: Arc<Schedule>,
        /// Which process the schedule drives.
        kind: RateKind,
    },
    /// y_k = x_k − w_k m_k of another process: the coupled trajectory, Eqs. (9)–(11).
    Coupled {
        /// Index of the SGDM process.
        of: usize,
        /// w = η̄_k β_k/(1−β_k) at the save steps.
        weights: Vec<f64>,
    },
    /// y_0 = x_0 − w m_0, y_{k+1} = y_k − r_k g_k with the gradient g_k drawn at the x_k of another process: Eq. (11) step by step.
    CoupledSteps {
        /// Index of the SGDM process.
        of: usize,
        /// w = η̄_0 β_0/(1−β_0).
        weight: f64,
        /// η_k and β_k at this η.
        schedule: Arc<Schedule>,
        /// Which rates r_k: η̄_k, or η_k as a negative control.
        kind: RateKind,
    },
    /// dX = −λ_t ∇L dt + λ_t √η σ Σ^{1/2} dW by Euler–Maruyama at steps η/(2r) and η/r on the same Brownian path.
    /// For σ = η^{-1/2} this is the limiting SDE, Eq. (51); with a smaller σ over a longer time, it is what (51) is between the
    /// regimes.
    LimitingSde {
        /// λ as a function of fast time.
        lambda: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
        /// r: coarse steps per optimizer step.
        substeps: usize,
    },
    /// dX = −λ_t M dt, dM = γ_t (∇L(X) − κM) dt + γ_t √η σ Σ^{1/2} dW from x_0 and m_0, at the same steps on the same path, by the
    /// symplectic Euler scheme M ← M + hγ(∇L + noise − κM), X ← X − hλM. For σ = η^{-1/2} and κ = 1 this is the limit of SGDM at α = 1,
    /// Eqs. (52)–(53).
    InertialSde {
        /// λ as a function of fast time.
        lambda: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
        /// γ as a function of fast time.
        gamma: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
        /// κ.
        damping: Damping,
        /// r: coarse steps per optimizer step.
        substeps: usize,
    },
    /// The slow SDE (4), or a planted mistake, on the grid of the ensemble's [`SlowRegime`].
    SlowSde {
        /// λ as a function of slow time.
        lambda: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
        /// How it advances.
        scheme: SlowScheme,
    },
    /// A curve that is the same for every path: the slow SDE where its diffusion vanishes.
    Prescribed {
        /// The points at the save steps.
        states: Arc<Vec<Vec<f64>>>,
    },
}

/// Whether a momentum that stays is damped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damping {
    /// κ = 1: α = 1.
    Full,
    /// κ = 0: α > 1.
    None,
}

impl Damping {
    /// κ.
    pub fn factor(self) -> f64 {
        match self {
            Damping::Full => 1.0,
            Damping::None => 0.0,
        }
    }
}

/// The law of m_0 (Assumption 4.2 asks for bounded moments).
#[derive(Clone, Debug, PartialEq)]
pub enum InitialMomentum {
    /// m_0 = 0.
    Zero,
    /// m_0 = ∇L(x_0).
    Gradient,
    /// A given vector.
    Fixed(Vec<f64>),
    /// N(0, s² I), the same draw for all processes of a path.
    Gaussian(f64),
    /// N(∇L(x_0), (1−β_0)/(1+β_0) σ²Σ(x_0)): the stationary law while x stays at x_0 (Sec. 4.1), of the same normal draw for all
    /// processes of a path.
    Stationary,
}

/// An ensemble at one η: who runs, from where, on what noise, and when to look.
#[derive(Clone)]
pub struct Ensemble {
    /// (L, Σ, Z).
    pub oracle: Oracle,
    /// Noise scale σ ≥ 0.
    pub sigma: f64,
    /// Learning-rate scale η: one step lasts η in fast time.
    pub eta: f64,
    /// x_0, the same for every path.
    pub x0: Vec<f64>,
    /// Law of m_0.
    pub m0: InitialMomentum,
    /// The processes; a coupled trajectory comes after the process it belongs to.
    pub processes: Vec<Dynamics>,
    /// Which of them run; the others keep their place but cost nothing and leave empty statistics.
    pub active: Vec<bool>,
    /// Increasing steps at which the states are looked at.
    pub save: Vec<Steps>,
    /// Paths are stopped where they leave this set.
    pub region: Option<Region>,
    /// Regime II, and between the regimes: states are shown at Φ(x_k).
    pub slow: Option<SlowRegime>,
    /// What is recorded along the paths of discrete processes; Regime I.
    pub watch: Watch,
    /// Streams of the paths.
    pub key: StreamKey,
}

impl Ensemble {
    /// d.
    pub fn dimension(&self) -> usize {
        self.x0.len()
    }

    /// Lane groups per block: as many as keep the working set near 16 KiB, between 1 and 8.
    pub fn groups(&self) -> usize {
        let d = self.dimension();
        let states: usize = self
            .processes
            .iter()
            .map(|p| match p {
                Dynamics::Discrete { kind, .. } => d * (1 + usize::from(has_memory(*kind))),
                Dynamics::Coupled { .. } | Dynamics::CoupledSteps { .. } => d,
                Dynamics::LimitingSde { .. } => 2 * d,
                Dynamics::InertialSde { .. } => 4 * d,
                Dynamics::SlowSde { .. } | Dynamics::Prescribed { .. } => 0,
            })
            .sum();
        let entries = states + 3 * d + self.oracle.noise.innovation().entries() + 8;
        (256 / entries).clamp(1, 8)
    }

    /// Paths that advance together: [`groups`](Ensemble::groups) times eight.
    pub fn block_paths(&self) -> u64 {
        (self.groups() * crate::real::LANES) as u64
    }

    /// Path-steps of one path over the whole horizon; a sub-step of an SDE counts one.
    pub fn work_per_path(&self) -> u64 {
        let steps = self.save.last().map_or(0, |s| s.0);
        let per_step: u64 =
            self.processes
                .iter()
                .zip(&self.active)
                .map(|(p, &active)| match p {
                    _ if !active => 0,
                    Dynamics::Discrete { .. } | Dynamics::CoupledSteps { .. } => 1,
                    Dynamics::Coupled { .. } => 0,
                    Dynamics::LimitingSde { substeps, .. }
                    | Dynamics::InertialSde { substeps, .. } => 3 * *substeps as u64,
                    Dynamics::SlowSde { .. } | Dynamics::Prescribed { .. } => 0,
                })
                .sum();
        let slow_steps = self.slow.as_ref().map_or(0, |slow| {
            let running = self
                .processes
                .iter()
                .zip(&self.active)
                .filter(|(p, active)| **active && matches!(p, Dynamics::SlowSde { .. }));
            let fine = steps / slow.grid.stride * slow.grid.substeps as u64;
            running.count() as u64 * (fine + fine / 2)
        });
        steps * per_step + slow_steps
    }
}

/// Whether a process keeps a momentum.
fn has_memory(kind: RateKind) -> bool {
    !matches!(
        kind,
        RateKind::SgdAveraged | RateKind::SgdPlain | RateKind::SgdHeavyBallRate
    )
}
