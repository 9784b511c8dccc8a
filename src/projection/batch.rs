//! Φ for many paths at once: eight to a register for d ≤ 4, one after the other above.

use super::lanes::Kernel;
use super::{Covariance, Outcome, Projector, Settings, Tangent};
use crate::landscape::{Landscape, lane_of, set_lane};
use crate::real::{LANES, Lanes};
use nalgebra::{DMatrix, DVector};

/// Φ for lane groups in the layout of [`Landscape::gradients`].
///
/// For d ≤ 4 every lane has its own step length and tolerance; lanes that the kernel does not bring to Γ — failures, and
/// flows stiffer than explicit steps manage — are done again by [`Projector`], which names the failure. For d > 4 all lanes are.
/// The kernel allocates nothing; [`Projector`] does.
#[derive(Clone, Debug)]
pub struct Batch {
    settings: Settings,
    kernel: Kernel,
}

/// What a call of [`Batch::project`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lanes that landed.
    pub landed: usize,
    /// Lanes that failed.
    pub failed: usize,
    /// Lanes that were done one by one.
    pub alone: usize,
    /// Steps that the kernel made, over all groups.
    pub steps: usize,
    /// Gradients of lane groups that the kernel evaluated.
    pub gradient_evaluations: usize,
}

impl Batch {
    /// For any landscape.
    pub fn new(settings: Settings) -> Batch {
        Batch {
            kernel: Kernel::default(),
            settings,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// x ← Φ(x) in every lane; lanes that fail keep their x. `outcomes[j][lane]` says which.
    ///
    /// `x` has d entries for each of the groups, `outcomes` one for each group. A lane does not depend on its neighbours.
    pub fn project(
        &mut self,
        landscape: &dyn Landscape,
        x: &mut [Lanes],
        outcomes: &mut [[Outcome; LANES]],
    ) -> Tally {
        let d = landscape.dimension();
        let mut tally = Tally::default();
        for (x, outcomes) in x.chunks_exact_mut(d).zip(outcomes) {
            let done = match d {
                1 => self
                    .kernel
                    .project::<1>(landscape, &self.settings, x, &mut tally),
                2 => self
                    .kernel
                    .project::<2>(landscape, &self.settings, x, &mut tally),
                3 => self
                    .kernel
                    .project::<3>(landscape, &self.settings, x, &mut tally),
                4 => self
                    .kernel
                    .project::<4>(landscape, &self.settings, x, &mut tally),
                _ => 0,
            };
            for (lane, outcome) in outcomes.iter_mut().enumerate() {
                *outcome = if done >> lane & 1 == 1 {
                    Outcome::Landed
                } else {
                    tally.alone += 1;
                    self.alone(landscape, x, lane)
                };
                match outcome {
                    Outcome::Landed => tally.landed += 1,
                    _ => tally.failed += 1,
                }
            }
        }
        tally
    }

    /// v ← ∂Φ(x)v = Pv on one group of points x ∈ Γ; NaN where the tangent space is undecided.
    pub fn tangential(&mut self, landscape: &dyn Landscape, x: &[Lanes], v: &mut [Lanes]) {
        let kernel = &mut self.kernel;
        match x.len() {
            1 => kernel.tangential::<1>(landscape, x, v),
            2 => kernel.tangential::<2>(landscape, x, v),
            3 => kernel.tangential::<3>(landscape, x, v),
            4 => kernel.tangential::<4>(landscape, x, v),
            _ => on_manifold(landscape, x, v, |tangent, lane, v| {
                let part = DVector::from_vec(lane_of(v, lane));
                tangent.project_vector(&part)
            }),
        }
    }

    /// ½∂²Φ(x)\[Σ\] with Σ = BBᵀ on one group of points x ∈ Γ: the drift of (4) at λ = 1, its normal and its tangential part.
    ///
    /// `columns` holds the columns of B one after the other, each of length d. NaN where the tangent space is undecided.
    pub fn drift(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
        columns: &[Lanes],
        drift: &mut [Lanes],
    ) {
        let kernel = &mut self.kernel;
        match x.len() {
            1 => kernel.drift::<1>(landscape, x, columns, drift),
            2 => kernel.drift::<2>(landscape, x, columns, drift),
            3 => kernel.drift::<3>(landscape, x, columns, drift),
            4 => kernel.drift::<4>(landscape, x, columns, drift),
            d => on_manifold(landscape, x, drift, |tangent, lane, _| {
                let factor = lane_of(columns, lane);
                let factor = DMatrix::from_vec(d, factor.len() / d, factor);
                0.5 * tangent.second_derivative(landscape, Covariance::Factor(&factor))
            }),
        }
    }

    /// The stationary covariance 𝓛_H^{-1}(QΣQ) of the distance to Γ, d × d row by row, with tr(QΣ) and tr(HΣ), for Σ = BBᵀ on one group
    /// of points x ∈ Γ; `columns` as for [`drift`](Batch::drift). NaN where the tangent space is undecided, for d > 4.
    pub fn fluctuation(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
        columns: &[Lanes],
        covariance: &mut [Lanes],
    ) -> [Lanes; 2] {
        let kernel = &mut self.kernel;
        match x.len() {
            1 => kernel.fluctuation::<1>(landscape, x, columns, covariance),
            2 => kernel.fluctuation::<2>(landscape, x, columns, covariance),
            3 => kernel.fluctuation::<3>(landscape, x, columns, covariance),
            4 => kernel.fluctuation::<4>(landscape, x, columns, covariance),
            d => {
                let [mut normal, mut curved] = [[f64::NAN; LANES]; 2];
                let traces = normal.iter_mut().zip(&mut curved);
                for (lane, (normal, curved)) in traces.enumerate() {
                    let point = DVector::from_vec(lane_of(x, lane));
                    let Ok(tangent) = Tangent::new(landscape, &point) else {
                        set_lane(covariance, lane, &vec![f64::NAN; d * d]);
                        continue;
                    };
                    let factor = lane_of(columns, lane);
                    let factor = DMatrix::from_vec(d, factor.len() / d, factor);
                    let all = tangent.lyapunov(Covariance::Factor(&factor));
                    set_lane(covariance, lane, all.as_slice());
                    let shares = tangent.normal().tr_mul(&factor);
                    let shares = shares.row_iter().map(|row| row.norm_squared());
                    let pairs = shares.zip(tangent.curvatures().iter());
                    (*normal, *curved) =
                        pairs.fold((0.0, 0.0), |(n, c), (s, mu)| (n + s, c + mu * s));
                }
                [normal, curved].map(Lanes::from)
            }
        }
    }

    fn alone(&self, landscape: &dyn Landscape, x: &mut [Lanes], lane: usize) -> Outcome {
        let start = DVector::from_vec(lane_of(x, lane));
        match Projector::new(landscape, self.settings.clone()).land(&start) {
            Ok(landing) => {
                set_lane(x, lane, landing.point.as_slice());
                Outcome::Landed
            }
            Err(error) => error.outcome(),
        }
    }
}

/// Lane by lane: `out` ← `f` with the tangent space at the lane's point.
fn on_manifold(
    landscape: &dyn Landscape,
    x: &[Lanes],
    out: &mut [Lanes],
    f: impl Fn(&Tangent, usize, &[Lanes]) -> DVector<f64>,
) {
    for lane in 0..LANES {
        let point = DVector::from_vec(lane_of(x, lane));
        let value = match Tangent::new(landscape, &point) {
            Ok(tangent) => f(&tangent, lane, out),
            Err(_) => DVector::from_element(x.len(), f64::NAN),
        };
        set_lane(out, lane, value.as_slice());
    }
}
