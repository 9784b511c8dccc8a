//! Statistics of whole paths, for Theorem 5.5: distances on a shared Brownian path and functionals of the path.
//!
//! Nothing is kept of a single path once its block is done; memory depends on the plan alone.

use super::Ensemble;
use super::accumulator::{Moments, Plan, count, measure};
use super::block::BlockView;
use crate::real::Lanes;
use serde::{Deserialize, Serialize};

/// Functionals of each monitored function: its running maximum, the share of time above its start, and its product at two times.
pub const FUNCTIONALS: usize = 3;

/// Index of the first squared distance.
pub const MEAN_SQUARE: usize = 2;

/// What is measured of whole paths.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPlan {
    /// Save steps at which distances are kept, increasing; the last one is the end.
    pub common: Vec<usize>,
}

/// Everything that is kept of the paths of a range. Those of disjoint ranges merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PathStatistics {
    /// `distance[common][pair]`: ‖left − right‖ and its largest value so far, and from [`MEAN_SQUARE`] on the squares of both.
    pub distance: Vec<Vec<Moments>>,
    /// `step[common][process]`: the same between the two step sizes of an SDE.
    pub step: Vec<Vec<Moments>>,
    /// `spread[common][process]`: ‖X_t − Φ(x_0)‖².
    pub spread: Vec<Vec<Moments>>,
    /// `functionals[process]`: the [`FUNCTIONALS`] of each monitored function.
    pub functionals: Vec<Moments>,
    /// `functional_pairs[pair]`: their paired differences.
    pub functional_pairs: Vec<Moments>,
}

impl PathStatistics {
    /// Adds disjoint paths.
    pub fn merge(&mut self, other: &PathStatistics) {
        let nested = |a: &mut Vec<Vec<Moments>>, b: &Vec<Vec<Moments>>| {
            for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
                a.merge(b);
            }
        };
        nested(&mut self.distance, &other.distance);
        nested(&mut self.step, &other.step);
        nested(&mut self.spread, &other.spread);
        for (a, b) in self.functionals.iter_mut().zip(&other.functionals) {
            a.merge(b);
        }
        let pairs = self.functional_pairs.iter_mut();
        for (a, b) in pairs.zip(&other.functional_pairs) {
            a.merge(b);
        }
    }
}

/// Fills [`PathStatistics`] block by block.
pub(super) struct PathCollector<'a> {
    plan: &'a Plan,
    paths: &'a PathPlan,
    /// The statistics so far.
    pub total: PathStatistics,
    /// `running[pair][group]` and `running_step[process][group]`: largest distances so far.
    running: Vec<Vec<Lanes>>,
    running_step: Vec<Vec<Lanes>>,
    /// `functionals[process][monitored · FUNCTIONALS + kind][group]`.
    functionals: Vec<Vec<Vec<Lanes>>>,
    /// h at Φ(x_0).
    starts: Vec<Vec<Lanes>>,
    /// Where the two times of the product are among the common ones.
    middle: usize,
    value: Vec<Lanes>,
    /// The variables of `distance`.
    near: Vec<Vec<Lanes>>,
    many: Vec<Vec<Lanes>>,
    moments: Moments,
    scratch: Vec<Lanes>,
}

impl<'a> PathCollector<'a> {
    pub fn new(ensemble: &Ensemble, plan: &'a Plan) -> Option<PathCollector<'a>> {
        let (paths, slow) = (plan.paths.as_ref()?, ensemble.slow.as_ref()?);
        let (groups, processes) = (ensemble.groups(), ensemble.processes.len());
        let (times, pairs) = (paths.common.len(), plan.pairs.len());
        let variables = plan.monitored.len() * FUNCTIONALS;
        let lanes = |n: usize| vec![vec![Lanes::ZERO; groups]; n];
        let start: Vec<Lanes> = slow.landing.iter().map(|&v| Lanes::splat(v)).collect();
        let mut scratch = plan.scratch(&ensemble.oracle);
        let starts = plan
            .monitored
            .iter()
            .map(|&f| {
                let mut value = [Lanes::ZERO];
                plan.functions[f].evaluate(&ensemble.oracle, &start, &mut value, &mut scratch);
                vec![value[0]; groups]
            })
            .collect();
        Some(PathCollector {
            plan,
            paths,
            total: PathStatistics {
                distance: vec![vec![Moments::default(); pairs]; times],
                step: vec![vec![Moments::default(); processes]; times],
                spread: vec![vec![Moments::default(); processes]; times],
                functionals: vec![Moments::default(); processes],
                functional_pairs: vec![Moments::default(); pairs],
            },
            running: lanes(pairs),
            running_step: lanes(processes),
            functionals: vec![lanes(variables); processes],
            starts,
            middle: paths.common.len().div_ceil(2).saturating_sub(1),
            value: vec![Lanes::ZERO; groups],
            near: lanes(2 * MEAN_SQUARE),
            many: lanes(variables),
            moments: Moments::default(),
            scratch,
        })
    }

    pub fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let ensemble = view.ensemble;
        let (d, active) = (ensemble.dimension(), &ensemble.active);
        let n = count(view.alive);
        if save == 0 {
            self.restart();
        }
        if self.is_early(save, view) {
            return;
        }
        let common = self.paths.common.binary_search(&save).ok();
        for process in (0..ensemble.processes.len()).filter(|&p| active[p]) {
            self.follow(save, common, process, view);
            let (fine, coarse) = (view.state(process), view.coarse(process));
            let stepped = !coarse.is_empty();
            if stepped {
                let largest = &mut self.running_step[process];
                distances(d, fine, coarse, &mut self.near, largest);
            }
            let Some(time) = common else { continue };
            if stepped {
                measure(&mut self.moments, &self.near, view.alive, n);
                self.total.step[time][process].merge(&self.moments);
            }
            if let Some(slow) = &ensemble.slow {
                for (out, x) in self
                    .value
                    .iter_mut()
                    .zip(view.state(process).chunks_exact(d))
                {
                    *out = x
                        .iter()
                        .zip(&slow.landing)
                        .fold(Lanes::ZERO, |s, (&x, &a)| {
                            let e = x - Lanes::splat(a);
                            e.mul_add(e, s)
                        });
                }
                measure(
                    &mut self.moments,
                    std::slice::from_ref(&self.value),
                    view.alive,
                    n,
                );
                self.total.spread[time][process].merge(&self.moments);
            }
        }
        for (pair, &(left, right)) in self.plan.pairs.iter().enumerate() {
            if !(active[left] && active[right]) {
                continue;
            }
            let (a, b) = (view.state(left), view.state(right));
            distances(d, a, b, &mut self.near, &mut self.running[pair]);
            if let Some(time) = common {
                measure(&mut self.moments, &self.near, view.alive, n);
                self.total.distance[time][pair].merge(&self.moments);
            }
        }
        if save + 1 == ensemble.save.len() {
            self.close(view, n);
        }
    }

    fn restart(&mut self) {
        let zero = |lanes: &mut Vec<Vec<Lanes>>| lanes.iter_mut().for_each(|l| l.fill(Lanes::ZERO));
        zero(&mut self.running);
        zero(&mut self.running_step);
        for functionals in &mut self.functionals {
            zero(functionals);
            for (m, start) in self.starts.iter().enumerate() {
                functionals[m * FUNCTIONALS].copy_from_slice(start);
            }
        }
    }

    fn is_early(&self, save: usize, view: &BlockView<'_>) -> bool {
        let slow = view.ensemble.slow.as_ref();
        slow.is_some_and(|s| s.early.binary_search(&save).is_ok())
    }

    /// Functionals of one process.
    fn follow(&mut self, save: usize, common: Option<usize>, process: usize, view: &BlockView<'_>) {
        let state = view.state(process);
        let early = view.ensemble.slow.as_ref().map_or(0, |s| s.early.len());
        let looks = view.ensemble.save.len() - early;
        let share = Lanes::splat(1.0 / (looks - 1).max(1) as f64);
        for (m, &f) in self.plan.monitored.iter().enumerate() {
            let oracle = &view.ensemble.oracle;
            let function = self.plan.functions[f];
            function.evaluate(oracle, state, &mut self.value, &mut self.scratch);
            let kinds = &mut self.functionals[process][m * FUNCTIONALS..(m + 1) * FUNCTIONALS];
            for (j, &h) in self.value.iter().enumerate() {
                kinds[0][j] = kinds[0][j].max(h);
                if save > 0 {
                    kinds[1][j] += h.simd_gt(self.starts[m][j]).select(share, Lanes::ZERO);
                }
                if common == Some(self.middle) {
                    kinds[2][j] = h;
                }
                if common.is_some_and(|c| c + 1 == self.paths.common.len()) {
                    kinds[2][j] *= h;
                }
            }
        }
    }

    /// The functionals of the finished paths.
    fn close(&mut self, view: &BlockView<'_>, n: u64) {
        let active = &view.ensemble.active;
        for (process, values) in self
            .functionals
            .iter()
            .enumerate()
            .filter(|(p, _)| active[*p])
        {
            measure(&mut self.moments, values, view.alive, n);
            self.total.functionals[process].merge(&self.moments);
        }
        for (pair, &(left, right)) in self.plan.pairs.iter().enumerate() {
            if !(active[left] && active[right]) {
                continue;
            }
            let sides = self.functionals[left].iter().zip(&self.functionals[right]);
            for (out, (l, r)) in self.many.iter_mut().zip(sides) {
                for (o, (&l, &r)) in out.iter_mut().zip(l.iter().zip(r)) {
                    *o = l - r;
                }
            }
            measure(&mut self.moments, &self.many, view.alive, n);
            self.total.functional_pairs[pair].merge(&self.moments);
        }
    }
}

/// ‖a − b‖ of every group, its largest value so far, and the squares of both.
fn distances(d: usize, a: &[Lanes], b: &[Lanes], out: &mut [Vec<Lanes>], largest: &mut [Lanes]) {
    let [distance, supremum, squares, supremum_squares] = out else {
        return;
    };
    let groups = a.chunks_exact(d).zip(b.chunks_exact(d));
    for (j, (a, b)) in groups.enumerate() {
        squares[j] = a.iter().zip(b).fold(Lanes::ZERO, |s, (&a, &b)| {
            let e = a - b;
            e.mul_add(e, s)
        });
        distance[j] = squares[j].sqrt();
        largest[j] = largest[j].max(distance[j]);
        supremum[j] = largest[j];
        supremum_squares[j] = largest[j] * largest[j];
    }
}
