//! The gradient-flow projection Φ onto the manifold Γ of minimizers, its derivatives, and the geometry of Γ (theory: Sec. 5).
//!
//! Φ(x) = lim φ(x, t) for φ̇ = −∇L(φ), φ(x, 0) = x. [`Projector::land`] computes it for one point, [`Projector::derivative`]
//! ∂Φ off Γ, [`Tangent`] everything that the Hessian and the third derivatives say on Γ, [`Batch`] Φ for many paths at once.
//!
//! # Method
//! 1. *Far from Γ*: Dormand–Prince 5(4), adaptive, gradients only. An error along the flow only shifts time, since ∂Φ∇L = 0
//!    (Lemma C.1): the step size controls the part across the flow and the square of the part along it. It also says when it is held back by stability and
//!    not by accuracy; then
//! 2. *stiff flow*: an exponential Runge–Kutta method of stiff order 4 in the eigenbasis of a Hessian that is renewed when it
//!    has aged. The linear decay towards Γ is exact however fast it is.
//! 3. *Landing*: at distance δ, Newton's iteration in the normal space finds a p ∈ Γ near x; with z = x − p,
//!    Φ(x) = p + Pz + ½∂²Φ\[zzᵀ\] + O(δ³). The tangential part of ½∂²Φ\[zzᵀ\] is what the flow still has to drift along Γ, in closed
//!    form by the Lyapunov inverse; its normal part is replaced by a last Newton iteration, so that the point is on Γ to
//!    rounding. The remainder is estimated by ‖z‖ρ², where ρ ~ δ is the largest of three measured ratios: second to first Newton step,
//!    ‖Pz + ½P∂²Φ\[zzᵀ\]‖/‖z‖, and tangent to normal eigenvalue at x. The flow goes on until that is small enough.
//!
//! For d > 24 and losses with [`Residuals`](crate::landscape::Residuals) all of it is done with Jacobians, O(dn²): p by the Gauss–Newton
//! iteration, a landing tried before the first step and given up early where its first two iterations show that it would miss the
//! tolerance, and for stiff flows exponential steps from the start in the basis of JJᵀ/n.

mod batch;
mod error;
mod exponential;
mod flow;
mod landing;
mod lanes;
mod runge_kutta;
mod spectrum;
mod tangent;

pub use batch::{Batch, Tally};
pub use error::{Outcome, ProjectionError};
pub(crate) use runge_kutta::{ERROR, STAGES, combine};
pub use spectrum::Gap;
pub(crate) use tangent::linearize;
pub use tangent::{Covariance, REQUIRED_GAP, SlowCoefficients, Tangent};

use crate::landscape::Landscape;
use crate::region::Region;
use nalgebra::{DMatrix, DVector};

/// Relative size below which eigenvalues and corrections count as rounding.
const ROUNDING: f64 = 1e-13;

/// How accurate Φ must be: ‖error‖ ≤ `absolute` + `relative`·‖Φ(x)‖ (Euclidean norms).
///
/// Every explicit step is held to a tenth of it, and so is the landing; an exponential step, whose estimate is one order
/// pessimistic, to all of it. Local errors add up over the steps and the flow may
/// amplify them on ridges: [`Landing::error_estimate`] is their sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Share of ‖Φ(x)‖.
    pub relative: f64,
    /// In the units of x.
    pub absolute: f64,
}

impl Default for Tolerance {
    /// 1e-8, relative and absolute.
    fn default() -> Tolerance {
        Tolerance::both(1e-8)
    }
}

impl Tolerance {
    /// The smallest tolerance that arithmetic allows.
    pub const LEAST: f64 = ROUNDING;

    /// 1e-11, relative and absolute: closed forms are met to 1e-10.
    pub const TIGHT: Tolerance = Tolerance::both(1e-11);

    /// The same number, relative and absolute. Values below 1e-13 are raised to it: rounding.
    pub const fn both(tolerance: f64) -> Tolerance {
        let tolerance = if tolerance > ROUNDING {
            tolerance
        } else {
            ROUNDING
        };
        Tolerance {
            relative: tolerance,
            absolute: tolerance,
        }
    }

    /// The error allowed at a point of the given norm.
    fn at(self, norm: f64) -> f64 {
        (self.absolute + self.relative * norm).max(f64::MIN_POSITIVE)
    }
}

/// What a projection may do and what it must find.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The accuracy of Φ.
    pub tolerance: Tolerance,
    /// Steps after which the flow is given up.
    pub max_steps: usize,
    /// ‖φ‖ beyond which the flow counts as diverged, in units of 1 + ‖x‖.
    pub growth: f64,
    /// The compact set K that the flow must not leave (seen at the ends of the steps).
    pub region: Option<Region>,
    /// Whether minimizers form a manifold; then an isolated minimum is an error.
    pub manifold: bool,
}

impl Default for Settings {
    /// Tolerance 1e-8, 20000 steps, growth by 1e8, no compact set, a manifold.
    fn default() -> Settings {
        Settings {
            tolerance: Tolerance::default(),
            max_steps: 20_000,
            growth: 1e8,
            region: None,
            manifold: true,
        }
    }
}

/// Φ(x) and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Landing {
    /// Φ(x), length d.
    pub point: DVector<f64>,
    /// The time t that the flow was integrated for before the landing.
    pub flow_time: f64,
    /// Steps accepted and rejected.
    pub steps: usize,
    /// Evaluations of ∇L, those of the landing included.
    pub gradient_evaluations: usize,
    /// Evaluations of ∇²L, or of all ∇fᵢ in its place ([`Residuals`](crate::landscape::Residuals)).
    pub hessian_evaluations: usize,
    /// ‖∇L(Φ(x))‖.
    pub residual: f64,
    /// Sum of the local error estimates of the steps and that of the landing: an upper guess for ‖error‖.
    pub error_estimate: f64,
    /// M = rank ∇²L(Φ(x)).
    pub rank: usize,
}

/// Φ and ∂Φ of one landscape, one point at a time.
#[derive(Clone)]
pub struct Projector<'a> {
    landscape: &'a dyn Landscape,
    settings: Settings,
}

impl<'a> Projector<'a> {
    /// For a landscape of any dimension.
    pub fn new(landscape: &'a dyn Landscape, settings: Settings) -> Projector<'a> {
        Projector {
            landscape,
            settings,
        }
    }

    /// Φ(x).
    ///
    /// # Errors
    /// See [`ProjectionError`].
    pub fn land(&self, x: &DVector<f64>) -> Result<Landing, ProjectionError> {
        self.check(x)?;
        let end = flow::Flow::new(self.landscape, &self.settings, x, None).run()?;
        Ok(end.landing)
    }

    /// Φ(x) and ∂Φ(x)V for the directions V (d × k): the flow together with its variational equation V̇ = −∇²L(φ)V.
    ///
    /// ∂Φ(x)V is accurate to the tolerance relative to its columns. On Γ it is PV; everywhere ∂Φ(x)∇L(x) = 0 (Lemma C.1). Every
    /// stage evaluates a Hessian.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    pub fn derivative(
        &self,
        x: &DVector<f64>,
        directions: &DMatrix<f64>,
    ) -> Result<(Landing, DMatrix<f64>), ProjectionError> {
        self.check(x)?;
        if directions.nrows() != x.len() {
            return Err(ProjectionError::Length {
                expected: x.len(),
                found: directions.nrows(),
            });
        }
        let end = flow::Flow::new(self.landscape, &self.settings, x, Some(directions)).run()?;
        Ok((end.landing, end.derivative))
    }

    /// The geometry of Γ at Φ(x), with the record of the flow.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    pub fn tangent(&self, x: &DVector<f64>) -> Result<(Landing, Tangent), ProjectionError> {
        let landing = self.land(x)?;
        let tangent = Tangent::new(self.landscape, &landing.point)?;
        Ok((landing, tangent))
    }

    fn check(&self, x: &DVector<f64>) -> Result<(), ProjectionError> {
        let expected = self.landscape.dimension();
        if x.len() != expected {
            return Err(ProjectionError::Length {
                expected,
                found: x.len(),
            });
        }
        if x.iter().any(|v| !v.is_finite()) {
            return Err(ProjectionError::NotFinite);
        }
        Ok(())
    }
}
