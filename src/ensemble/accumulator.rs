//! Statistics on the fly: what is kept of an ensemble, whatever its number of paths and steps.

use super::batches::BatchSums;
use super::block::{BlockView, Observer, PathFailures};
use super::histogram::DyadicHistogram;
use super::laws::{self, Law, LawPlan};
use super::path_statistics::{PathCollector, PathPlan, PathStatistics};
use super::{Dynamics, Ensemble, TestFunction};
use crate::oracle::Oracle;
use crate::real::Lanes;
use serde::{Deserialize, Serialize};

/// What is measured at the save steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The panel of test functions h.
    pub functions: Vec<TestFunction>,
    /// Indices into `functions`: those whose distribution is kept.
    pub monitored: Vec<usize>,
    /// Pairs of processes whose paired difference h(left) − h(right) is kept.
    pub pairs: Vec<(usize, usize)>,
    /// Laws that are kept batch by batch.
    pub laws: LawPlan,
    /// Regime II: what is kept of whole paths.
    pub paths: Option<PathPlan>,
}

impl Plan {
    /// Room for what evaluating the panel needs.
    pub(super) fn scratch(&self, oracle: &Oracle) -> Vec<Lanes> {
        let sizes = self.functions.iter().map(|h| h.scratch(oracle));
        vec![Lanes::ZERO; sizes.max().unwrap_or(0)]
    }
}

/// Mean and sum of squared deviations of several variables side by side (Welford; merged by Chan's formula).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Number of paths.
    pub n: u64,
    /// Means.
    pub mean: Vec<f64>,
    /// Sums of squared deviations from the mean.
    pub squares: Vec<f64>,
}

/// Means, co-moments and extrema of the panel for one process at one save step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoMoments {
    /// Number of paths.
    pub n: u64,
    /// Means.
    pub mean: Vec<f64>,
    /// Sums of products of deviations, row by row.
    pub products: Vec<f64>,
    /// Smallest values.
    pub least: Vec<f64>,
    /// Largest values.
    pub greatest: Vec<f64>,
}

impl Moments {
    /// Variance of variable `i` (divisor n − 1); 0 below two paths.
    pub fn variance(&self, i: usize) -> f64 {
        if self.n < 2 {
            0.0
        } else {
            self.squares[i] / (self.n - 1) as f64
        }
    }

    /// Standard error of the mean of variable `i`.
    pub fn standard_error(&self, i: usize) -> f64 {
        (self.variance(i) / self.n.max(1) as f64).sqrt()
    }

    /// Adds disjoint paths.
    pub fn merge(&mut self, other: &Moments) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            self.clone_from(other);
            return;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let n = a + b;
        for i in 0..self.mean.len() {
            let delta = other.mean[i] - self.mean[i];
            self.squares[i] += other.squares[i] + delta * delta * (a * b / n);
            self.mean[i] += delta * (b / n);
        }
        self.n += other.n;
    }
}

impl CoMoments {
    /// Covariance of variables `i` and `j` (divisor n − 1); 0 below two paths.
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        if self.n < 2 {
            0.0
        } else {
            self.products[i * self.mean.len() + j] / (self.n - 1) as f64
        }
    }

    /// Standard error of the mean of variable `i`.
    pub fn standard_error(&self, i: usize) -> f64 {
        (self.covariance(i, i) / self.n.max(1) as f64).sqrt()
    }

    /// Adds disjoint paths.
    pub fn merge(&mut self, other: &CoMoments) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            self.clone_from(other);
            return;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let (n, size) = (a + b, self.mean.len());
        for i in 0..size {
            let di = other.mean[i] - self.mean[i];
            for j in 0..size {
                let dj = other.mean[j] - self.mean[j];
                let k = i * size + j;
                self.products[k] += other.products[k] + di * dj * (a * b / n);
            }
        }
        for i in 0..size {
            self.mean[i] += (other.mean[i] - self.mean[i]) * (b / n);
            self.least[i] = self.least[i].min(other.least[i]);
            self.greatest[i] = self.greatest[i].max(other.greatest[i]);
        }
        self.n += other.n;
    }
}

/// Everything that is kept of a range of paths. Accumulators of disjoint ranges merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accumulator {
    /// Paths that were started.
    pub started: u64,
    /// `panel[save][process]`. For the SDE: the extrapolated values 2h(fine) − h(coarse).
    pub panel: Vec<Vec<CoMoments>>,
    /// `pairs[save][pair]`: paired differences of the panel.
    pub pairs: Vec<Vec<Moments>>,
    /// `batches[save][pair]`: the same, batch by batch.
    pub batches: Vec<Vec<BatchSums>>,
    /// `step_error[save][process]`: h(coarse) − h(fine) of the SDE; empty for other processes.
    pub step_error: Vec<Vec<Moments>>,
    /// `histograms[save][process][monitored]`.
    pub histograms: Vec<Vec<Vec<DyadicHistogram>>>,
    /// Per process.
    pub failures: Vec<crate::report::result::Failures>,
    /// The laws of the plan by batch, in increasing order of the batch.
    pub laws: Vec<(usize, Law)>,
    /// Regime II: whole paths.
    pub paths: Option<PathStatistics>,
}

impl Accumulator {
    /// Adds disjoint paths, in any grouping but always in the order of the paths where bits matter.
    pub fn merge(&mut self, other: &Accumulator) {
        if other.started == 0 {
            return;
        }
        if self.started == 0 {
            self.clone_from(other);
            return;
        }
        self.started += other.started;
        for (a, b) in self
            .panel
            .iter_mut()
            .flatten()
            .zip(other.panel.iter().flatten())
        {
            a.merge(b);
        }
        for (a, b) in self
            .pairs
            .iter_mut()
            .flatten()
            .zip(other.pairs.iter().flatten())
        {
            a.merge(b);
        }
        let batches = self.batches.iter_mut().flatten();
        for (a, b) in batches.zip(other.batches.iter().flatten()) {
            a.merge(b);
        }
        let errors = self.step_error.iter_mut().flatten();
        for (a, b) in errors.zip(other.step_error.iter().flatten()) {
            a.merge(b);
        }
        let histograms = self.histograms.iter_mut().flatten().flatten();
        for (a, b) in histograms.zip(other.histograms.iter().flatten().flatten()) {
            a.merge(b);
        }
        for (a, b) in self.failures.iter_mut().zip(&other.failures) {
            a.blow_ups += b.blow_ups;
            a.exits += b.exits;
            a.unprojected += b.unprojected;
            a.first = [a.first, b.first].into_iter().flatten().min();
        }
        laws::merge(&mut self.laws, &other.laws);
        if let (Some(a), Some(b)) = (&mut self.paths, &other.paths) {
            a.merge(b);
        }
    }
}

/// Fills an [`Accumulator`] block by block.
pub struct Collector<'a> {
    plan: &'a Plan,
    /// The statistics so far.
    pub total: Accumulator,
    /// `values[process][function][group]`, and the same at the SDE's coarse step.
    values: Vec<Vec<Vec<Lanes>>>,
    coarse: Vec<Lanes>,
    deviations: Vec<Vec<Lanes>>,
    errors: Vec<Vec<Lanes>>,
    /// Moments of one block on their way into the total.
    moments: Moments,
    joint: CoMoments,
    scratch: Vec<Lanes>,
    paths: Option<PathCollector<'a>>,
}

impl<'a> Collector<'a> {
    /// An empty collector for paths of one batch of an ensemble.
    pub fn new(ensemble: &Ensemble, plan: &'a Plan, batch: usize) -> Collector<'a> {
        let (saves, processes) = (ensemble.save.len(), ensemble.processes.len());
        let (functions, groups) = (plan.functions.len(), ensemble.groups());
        let lanes = vec![vec![Lanes::ZERO; groups]; functions];
        Collector {
            plan,
            total: Accumulator {
                started: 0,
                panel: vec![vec![CoMoments::default(); processes]; saves],
                pairs: vec![vec![Moments::default(); plan.pairs.len()]; saves],
                batches: vec![vec![BatchSums::default(); plan.pairs.len()]; saves],
                step_error: vec![vec![Moments::default(); processes]; saves],
                histograms: vec![
                    vec![
                        vec![DyadicHistogram::default(); plan.monitored.len()];
                        processes
                    ];
                    saves
                ],
                failures: vec![Default::default(); processes],
                laws: vec![(batch, Law::empty(plan, processes))],
                paths: None,
            },
            values: vec![lanes.clone(); processes],
            coarse: vec![Lanes::ZERO; groups],
            deviations: lanes.clone(),
            errors: lanes,
            moments: Moments {
                n: 0,
                mean: vec![0.0; functions],
                squares: vec![0.0; functions],
            },
            joint: CoMoments {
                n: 0,
                mean: vec![0.0; functions],
                products: vec![0.0; functions * functions],
                least: vec![0.0; functions],
                greatest: vec![0.0; functions],
            },
            scratch: plan.scratch(&ensemble.oracle),
            paths: PathCollector::new(ensemble, plan),
        }
    }

    /// The statistics.
    pub fn finish(mut self) -> Accumulator {
        self.total.paths = self.paths.map(|p| p.total);
        self.total
    }
}

impl Observer for Collector<'_> {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let n = count(view.alive);
        let active = &view.ensemble.active;
        for (process, dynamics) in view.ensemble.processes.iter().enumerate() {
            if !active[process] {
                continue;
            }
            let values = &mut self.values[process];
            for (h, out) in self.plan.functions.iter().zip(values.iter_mut()) {
                view.evaluate(*h, process, out, &mut self.scratch);
            }
            let histograms = &mut self.total.histograms[save][process];
            for (&f, histogram) in self.plan.monitored.iter().zip(histograms) {
                laws::add(histogram, &values[f], view.alive);
            }
            let law = &mut self.total.laws[0].1;
            law.observe(self.plan, save, process, values, view);
            law.project(self.plan, save, process, view, &mut self.coarse);
            if matches!(
                dynamics,
                Dynamics::LimitingSde { .. }
                    | Dynamics::InertialSde { .. }
                    | Dynamics::SlowSde { .. }
            ) {
                // Talay–Tubaro: E h(step h) = E h(X) + ch + O(h²), so 2h(fine) − h(coarse) has bias O(h²).
                let columns = values.iter_mut().zip(&mut self.errors);
                for (h, (fine, error)) in self.plan.functions.iter().zip(columns) {
                    view.evaluate_coarse(*h, process, &mut self.coarse, &mut self.scratch);
                    for ((f, e), &c) in fine.iter_mut().zip(error).zip(&self.coarse) {
                        *e = c - *f;
                        *f -= *e;
                    }
                }
                measure(&mut self.moments, &self.errors, view.alive, n);
                self.total.step_error[save][process].merge(&self.moments);
            }
            let values = &self.values[process];
            measure_jointly(&mut self.joint, values, &mut self.deviations, view.alive, n);
            self.total.panel[save][process].merge(&self.joint);
        }
        for (pair, &(left, right)) in self.plan.pairs.iter().enumerate() {
            if !(active[left] && active[right]) {
                continue;
            }
            let sides = self.values[left].iter().zip(&self.values[right]);
            for (out, (l, r)) in self.errors.iter_mut().zip(sides) {
                for (o, (&l, &r)) in out.iter_mut().zip(l.iter().zip(r)) {
                    *o = l - r;
                }
            }
            measure(&mut self.moments, &self.errors, view.alive, n);
            self.total.pairs[save][pair].merge(&self.moments);
            self.total.batches[save][pair].add(&self.errors, view);
        }
        if let Some(paths) = &mut self.paths {
            paths.observe(save, view);
        }
    }

    fn finish(&mut self, view: &BlockView<'_>) {
        for (process, total) in self.total.failures.iter_mut().enumerate() {
            let PathFailures {
                blow_ups,
                exits,
                unprojected,
                first,
            } = *view.failures(process);
            total.blow_ups += blow_ups;
            total.exits += exits;
            total.unprojected += unprojected;
            total.first = [total.first, first].into_iter().flatten().min();
        }
    }
}

pub(super) fn count(alive: &[Lanes]) -> u64 {
    alive
        .iter()
        .map(|m| u64::from(m.to_bitmask().count_ones()))
        .sum()
}

/// Mean over the paths that count.
fn mean(values: &[Lanes], alive: &[Lanes], n: u64) -> f64 {
    let sum = values
        .iter()
        .zip(alive)
        .fold(Lanes::ZERO, |s, (&v, a)| s + a.select(v, Lanes::ZERO));
    sum.reduce_add() / n as f64
}

/// The moments of every variable over the block.
pub(super) fn measure(block: &mut Moments, values: &[Vec<Lanes>], alive: &[Lanes], n: u64) {
    block.n = n;
    block.mean.resize(values.len(), 0.0);
    block.squares.resize(values.len(), 0.0);
    if n == 0 {
        return;
    }
    for (i, values) in values.iter().enumerate() {
        let centre = mean(values, alive, n);
        let squares = values.iter().zip(alive).fold(Lanes::ZERO, |s, (&v, a)| {
            let e = a.select(v - Lanes::splat(centre), Lanes::ZERO);
            e.mul_add(e, s)
        });
        block.mean[i] = centre;
        block.squares[i] = squares.reduce_add();
    }
}

/// The means, co-moments and extrema over the block.
fn measure_jointly(
    block: &mut CoMoments,
    values: &[Vec<Lanes>],
    deviations: &mut [Vec<Lanes>],
    alive: &[Lanes],
    n: u64,
) {
    block.n = n;
    if n == 0 {
        return;
    }
    let size = values.len();
    for i in 0..size {
        block.mean[i] = mean(&values[i], alive, n);
        let centre = Lanes::splat(block.mean[i]);
        let mut least = Lanes::splat(f64::INFINITY);
        let mut greatest = Lanes::splat(f64::NEG_INFINITY);
        for ((d, &v), a) in deviations[i].iter_mut().zip(&values[i]).zip(alive) {
            *d = a.select(v - centre, Lanes::ZERO);
            least = least.min(a.select(v, least));
            greatest = greatest.max(a.select(v, greatest));
        }
        block.least[i] = least.to_array().into_iter().fold(f64::INFINITY, f64::min);
        block.greatest[i] = greatest
            .to_array()
            .into_iter()
            .fold(f64::NEG_INFINITY, f64::max);
        for j in 0..=i {
            let pairs = deviations[i].iter().zip(&deviations[j]);
            let product = pairs
                .fold(Lanes::ZERO, |s, (&a, &b)| a.mul_add(b, s))
                .reduce_add();
            block.products[i * size + j] = product;
            block.products[j * size + i] = product;
        }
    }
}
