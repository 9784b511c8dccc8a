//! Why Φ(x) or the tangent space could not be computed.

/// A failed projection: every kind with its numbers and a remedy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProjectionError {
    /// The start has the wrong length.
    #[error(
        "the start has {found} coordinates, the loss has {expected} parameters: give {expected} numbers"
    )]
    Length {
        /// d.
        expected: usize,
        /// Entries given.
        found: usize,
    },
    /// NaN or infinite entries in the start, or no finite gradient there.
    #[error("the start or the gradient there is not finite: start closer to the minimizers")]
    NotFinite,
    /// The flow runs away.
    #[error(
        "the gradient flow diverged: |x| = {norm:.3e} at flow time {time:.3e}, beyond the bound {bound:.3e}; start closer to the \
         minimizers, or check that the loss is bounded below"
    )]
    Diverged {
        /// Flow time.
        time: f64,
        /// ‖φ‖ there (infinite or NaN if the arithmetic overflowed).
        norm: f64,
        /// What it was compared with.
        bound: f64,
    },
    /// The budget of steps is spent.
    #[error(
        "the gradient flow did not converge in {steps} steps (flow time {time:.3e}, gradient norm {gradient_norm:.3e}): raise \
         the limit of steps or loosen the tolerance; if the gradient norm falls only like a power of time, the minimum is degenerate \
         and Assumption 5.1 fails"
    )]
    DidNotConverge {
        /// Steps done.
        steps: usize,
        /// Flow time reached.
        time: f64,
        /// ‖∇L‖ there.
        gradient_norm: f64,
    },
    /// The flow leaves the compact set K.
    #[error(
        "the gradient flow left the compact set at flow time {time:.3e}, at |x| = {norm:.3e}: enlarge the set or start inside its basin"
    )]
    LeftRegion {
        /// Flow time.
        time: f64,
        /// ‖φ‖ there.
        norm: f64,
    },
    /// The flow rests where the loss has a descent direction.
    #[error(
        "the gradient flow ended at a saddle: Hessian eigenvalue {eigenvalue:.3e} (largest {largest:.3e}) at gradient norm \
         {gradient_norm:.3e}; move the start off the saddle's stable manifold"
    )]
    Saddle {
        /// The most negative eigenvalue of H.
        eigenvalue: f64,
        /// The eigenvalue of largest modulus, as modulus.
        largest: f64,
        /// ‖∇L‖ there.
        gradient_norm: f64,
    },
    /// The Hessian has full rank: no manifold.
    #[error(
        "the gradient flow ended at an isolated minimum: all {dimension} Hessian eigenvalues are positive, the smallest {smallest:.3e}; \
         a manifold of minimizers needs a Hessian of rank below {dimension}: choose another loss, or allow isolated minima"
    )]
    IsolatedMinimum {
        /// d.
        dimension: usize,
        /// The smallest eigenvalue.
        smallest: f64,
    },
    /// The spectrum does not say which directions are normal.
    #[error(
        "the Hessian's spectrum has no gap: the widest is between |eigenvalue| {above:.3e} (rank {rank}) and {below:.3e}, a factor {ratio:.1e} \
         where {required:.0e} is required; the rank, hence the tangent space, is undecided: move to a point where the loss is less degenerate"
    )]
    NoGap {
        /// The best candidate for the rank M.
        rank: usize,
        /// |μ_M|.
        above: f64,
        /// |μ_{M+1}| or the rounding level, whichever is larger.
        below: f64,
        /// Their ratio.
        ratio: f64,
        /// The smallest ratio accepted.
        required: f64,
    },
}

/// The kind of a [`ProjectionError`], or success: what a batch keeps for each path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Φ(x) was found to the tolerance.
    #[default]
    Landed,
    /// The start (or the gradient there) is not finite.
    NotFinite,
    /// See [`ProjectionError::Diverged`].
    Diverged,
    /// See [`ProjectionError::DidNotConverge`].
    DidNotConverge,
    /// See [`ProjectionError::LeftRegion`].
    LeftRegion,
    /// See [`ProjectionError::Saddle`].
    Saddle,
    /// See [`ProjectionError::IsolatedMinimum`].
    IsolatedMinimum,
    /// See [`ProjectionError::NoGap`].
    NoGap,
}

impl ProjectionError {
    /// The kind, without the numbers.
    pub fn outcome(&self) -> Outcome {
        match self {
            ProjectionError::Length { .. } | ProjectionError::NotFinite => Outcome::NotFinite,
            ProjectionError::Diverged { .. } => Outcome::Diverged,
            ProjectionError::DidNotConverge { .. } => Outcome::DidNotConverge,
            ProjectionError::LeftRegion { .. } => Outcome::LeftRegion,
            ProjectionError::Saddle { .. } => Outcome::Saddle,
            ProjectionError::IsolatedMinimum { .. } => Outcome::IsolatedMinimum,
            ProjectionError::NoGap { .. } => Outcome::NoGap,
        }
    }
}
