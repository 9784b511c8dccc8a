//! Laws of the processes at chosen times, batch by batch: what distances between laws and their standard errors are made of.
//!
//! Memory depends on the plan alone.

use super::accumulator::Plan;
use super::block::BlockView;
use super::histogram::DyadicHistogram;
use crate::real::Lanes;
use serde::{Deserialize, Serialize};

/// Batches of paths whose laws are kept apart, for jackknife standard errors.
pub const LAW_BATCHES: usize = 16;

/// Whose laws are kept, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LawPlan {
    /// Save steps at which the laws of the monitored functions are kept, increasing.
    pub saves: Vec<usize>,
    /// Those at which the laws of the projections are kept, increasing.
    pub projected: Vec<usize>,
    /// Unit vectors, each of length d, onto which the states are projected for distances in several dimensions.
    pub directions: Vec<Vec<f64>>,
}

/// The laws of one batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// Of the monitored functions, at the plan's saves: `monitored[time][process][function]`. Of an SDE: at its fine step.
    pub monitored: Vec<Vec<Vec<DyadicHistogram>>>,
    /// Of the projections onto the directions, at the plan's projected saves: `projected[time][process][direction]`.
    pub projected: Vec<Vec<Vec<DyadicHistogram>>>,
}

impl Law {
    pub(super) fn empty(plan: &Plan, processes: usize) -> Law {
        let histograms = |times: usize, n: usize| {
            vec![vec![vec![DyadicHistogram::default(); n]; processes]; times]
        };
        let laws = &plan.laws;
        Law {
            monitored: histograms(laws.saves.len(), plan.monitored.len()),
            projected: histograms(laws.projected.len(), laws.directions.len()),
        }
    }

    /// Adds the counts of disjoint paths.
    pub fn merge(&mut self, other: &Law) {
        let sides = [
            (&mut self.monitored, &other.monitored),
            (&mut self.projected, &other.projected),
        ];
        for (a, b) in sides {
            let a = a.iter_mut().flatten().flatten();
            for (a, b) in a.zip(b.iter().flatten().flatten()) {
                a.merge(b);
            }
        }
    }

    /// The law over all batches; `None` without any.
    pub fn whole(batches: &[(usize, Law)]) -> Option<Law> {
        let mut laws = batches.iter().map(|(_, law)| law);
        let mut sum = laws.next()?.clone();
        laws.for_each(|law| sum.merge(law));
        Some(sum)
    }

    /// Adds the values of the monitored functions of one process, `values[function][group]`.
    pub(super) fn observe(
        &mut self,
        plan: &Plan,
        save: usize,
        process: usize,
        values: &[Vec<Lanes>],
        view: &BlockView<'_>,
    ) {
        if let Ok(time) = plan.laws.saves.binary_search(&save) {
            let histograms = self.monitored[time][process].iter_mut();
            for (histogram, &f) in histograms.zip(&plan.monitored) {
                add(histogram, &values[f], view.alive);
            }
        }
    }

    /// Adds the projections of the states of one process; `value` is room for one number a lane.
    pub(super) fn project(
        &mut self,
        plan: &Plan,
        save: usize,
        process: usize,
        view: &BlockView<'_>,
        value: &mut [Lanes],
    ) {
        let Ok(time) = plan.laws.projected.binary_search(&save) else {
            return;
        };
        let d = view.ensemble.dimension();
        for (k, direction) in plan.laws.directions.iter().enumerate() {
            for (out, x) in value.iter_mut().zip(view.state(process).chunks_exact(d)) {
                *out = x
                    .iter()
                    .zip(direction)
                    .fold(Lanes::ZERO, |s, (&x, &u)| x.mul_add(Lanes::splat(u), s));
            }
            add(&mut self.projected[time][process][k], value, view.alive);
        }
    }
}

/// Adds batches of disjoint paths, keeping the batches in order.
pub(super) fn merge(total: &mut Vec<(usize, Law)>, other: &[(usize, Law)]) {
    for (batch, law) in other {
        match total.binary_search_by_key(batch, |(b, _)| *b) {
            Ok(place) => total[place].1.merge(law),
            Err(place) => total.insert(place, (*batch, law.clone())),
        }
    }
}

/// Adds the values of the paths that count.
pub(super) fn add(histogram: &mut DyadicHistogram, values: &[Lanes], alive: &[Lanes]) {
    for (v, alive) in values.iter().zip(alive) {
        let bits = alive.to_bitmask();
        for (lane, x) in v.to_array().into_iter().enumerate() {
            if (bits >> lane) & 1 == 1 {
                histogram.add(x);
            }
        }
    }
}
