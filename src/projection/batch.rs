//! Φ for many paths at once: eight to a register for d ≤ 4, one after the other above.

use super::lanes::Kernel;
use super::{Outcome, Projector, Settings};
use crate::landscape::{Landscape, lane_of, set_lane};
use crate::real::{LANES, Lanes};
use nalgebra::DVector;

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
