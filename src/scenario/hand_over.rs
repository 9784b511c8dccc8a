//! How far the iterates themselves are from (51) and from (4), from the first steps to the end: where one limit hands over to the
//! other.

use super::Scenario;
use super::system::{Member, System};
use crate::clocks::Steps;
use crate::ensemble::{Block, BlockView, Departures, Dynamics, Ensemble, Observer};
use crate::real::{LANES, Lanes};
use crate::report::result::{
    Estimate, EstimateSeries, HandOver, PairDistance, ProcessFamily, Regime,
};
use rayon::prelude::*;

/// Paths, and looks at them, evenly spaced in ln k.
const PATHS: u64 = 512;
const LOOKS: u32 = 48;

/// Learning rates that are looked at: both ends of the ladder and the middle.
const RATES: usize = 3;

const LEVEL: f64 = 0.95;

/// Sums over paths, of ‖left − right‖² and of its square: `sums[pair][look]`.
struct Collector<'a> {
    pairs: &'a [(usize, usize)],
    count: u64,
    sums: Vec<Vec<[f64; 2]>>,
    alive: Vec<u64>,
}

impl Observer for Collector<'_> {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        for (&(left, right), sums) in self.pairs.iter().zip(&mut self.sums) {
            let groups = view.state(left).chunks_exact(d);
            let groups = groups.zip(view.state(right).chunks_exact(d));
            for (j, ((a, b), alive)) in groups.zip(view.alive).enumerate() {
                let square = a.iter().zip(b).fold(Lanes::ZERO, |s, (&a, &b)| {
                    let e = a - b;
                    e.mul_add(e, s)
                });
                let square = alive.select(square, Lanes::ZERO).to_array();
                let used = (self.count as usize).saturating_sub(j * LANES).min(LANES);
                for s in &square[..used] {
                    sums[save][0] += s;
                    sums[save][1] += s * s;
                }
            }
        }
        let alive = view.alive.iter().map(|a| a.to_bitmask().count_ones());
        self.alive[save] = u64::from(alive.sum::<u32>());
    }

    fn finish(&mut self, _view: &BlockView<'_>) {}
}

impl Scenario {
    /// Distances of the iterates at both ends and in the middle of the ladder, where (51) and (4) both run.
    pub(super) fn hand_over(&self, members: &[Member], systems: &[System]) -> Vec<HandOver> {
        let runs = |family| members.iter().any(|m| m.kind.family() == family);
        let both = runs(ProcessFamily::Sde) && runs(ProcessFamily::SlowSde);
        if self.regime == Regime::Fast || !both {
            return vec![];
        }
        let whole: Vec<&System> = systems
            .iter()
            .filter(|s| s.pairs.iter().zip(&self.comparisons).all(known))
            .collect();
        let last = whole.len().saturating_sub(1);
        let mut chosen: Vec<usize> = (0..RATES).map(|i| i * last / (RATES - 1)).collect();
        chosen.dedup();
        let chosen = chosen.into_iter().filter_map(|i| whole.get(i));
        chosen.map(|s| self.hand_over_at(s)).collect()
    }

    fn hand_over_at(&self, system: &System) -> HandOver {
        let mut ensemble = system.ensemble.clone();
        ensemble.save = looks(&ensemble);
        if let Some(slow) = &mut ensemble.slow {
            slow.landed = false;
            (slow.early, slow.departures) = (vec![], Departures::default());
        }
        // The coupled trajectory has weights for the old save steps only, a prescribed curve its points: they are left out.
        let stays =
            |p: &Dynamics| !matches!(p, Dynamics::Coupled { .. } | Dynamics::Prescribed { .. });
        let all = &system.ensemble.processes;
        let kept: Vec<usize> = (0..all.len()).filter(|&p| stays(&all[p])).collect();
        ensemble.processes.retain(stays);
        ensemble.active = vec![true; kept.len()];
        let place = |process: usize| kept.iter().position(|k| *k == process);
        let pairs = system.plan.pairs.iter();
        let local: Vec<(usize, usize)> = pairs
            .filter_map(|&(left, right)| Some((place(left)?, place(right)?)))
            .collect();
        let block = ensemble.block_paths();
        let paths = PATHS.min(self.run.max_paths);
        let parts: Vec<Collector> = (0..paths.div_ceil(block))
            .into_par_iter()
            .map(|b| {
                let count = block.min(paths - b * block);
                let looks = ensemble.save.len();
                let mut collector = Collector {
                    pairs: &local,
                    count,
                    sums: vec![vec![[0.0; 2]; looks]; local.len()],
                    alive: vec![0; looks],
                };
                Block::new(&ensemble).run(&ensemble, b * block, count, &mut collector);
                collector
            })
            .collect();
        let global = |local: usize| {
            let mut places = system.processes.iter();
            places.position(|p| *p == Some(kept[local])).unwrap_or(0)
        };
        let n = |look: usize| parts.iter().map(|p| p.alive[look]).sum::<u64>();
        let distance = |pair: usize, look: usize| {
            let sum = |k: usize| parts.iter().map(|p| p.sums[pair][look][k]).sum::<f64>();
            let n = n(look);
            let mean = sum(0) / n as f64;
            let variance = (sum(1) / n as f64 - mean * mean).max(0.0);
            Estimate::normal(mean, (variance / n as f64).sqrt(), LEVEL, n).root()
        };
        let pairs = local.iter().enumerate().map(|(pair, &(left, right))| {
            let points: Vec<Estimate> = (0..ensemble.save.len())
                .map(|look| distance(pair, look))
                .collect();
            let every = |f: fn(&Estimate) -> f64| points.iter().map(f).collect();
            PairDistance {
                left: global(left),
                right: global(right),
                distance: EstimateSeries {
                    value: every(|p| p.value),
                    standard_error: every(|p| p.standard_error),
                    lower: every(|p| p.lower),
                    upper: every(|p| p.upper),
                    level: LEVEL,
                    n: points.iter().map(|p| p.n).min().unwrap_or(0),
                },
            }
        });
        HandOver {
            eta: system.eta,
            steps: ensemble.save.iter().map(|k| k.0).collect(),
            pairs: pairs.collect(),
        }
    }
}

/// Whether both sides of a comparison run, where they have paths at all.
fn known((pair, comparison): (&Option<usize>, &super::Comparison)) -> bool {
    pair.is_some() || comparison.right == super::ProcessKind::ClosedForm
}

/// Steps from 1 to the end, evenly spaced in ln k; whole periods of the slow grid from the first one on. Before it (4) has not
/// yet moved.
fn looks(ensemble: &Ensemble) -> Vec<Steps> {
    let last = ensemble.save.last().map_or(1, |k| k.0).max(1);
    let period = ensemble.slow.as_ref().map_or(1, |s| s.grid.period());
    let mut steps: Vec<Steps> = (0..=LOOKS)
        .map(|i| {
            let k = (last as f64).powf(f64::from(i) / f64::from(LOOKS));
            let whole = (k / period as f64).round() as u64 * period;
            let k = if whole == 0 { k.round() as u64 } else { whole };
            Steps(k.min(last))
        })
        .collect();
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::Control;
    use crate::scenario::{Overrides, Profile};
    use std::path::Path;

    /// A flat valley, where u is the same for all and v is linear.
    const FLAT: &str = r#"
title = "T"
claim = "C"
regime = "slow"
s = 0.5
[landscape.valley]
steepness = { exponential = { kappa = 0.0 } }
[noise.gaussian]
factor = { isotropic = 1.0 }
[start]
x0 = { at = [0.5, 1.0] }
[schedule]
learning_rate = { table = { times = [0.0, 1.0], values = [1.0, 0.5] } }
[run]
horizon = 1.0
eta_max = 0.0625
etas = 5
sde_etas = 5
times = 2
looks = 1
substeps = 1
slow_step = 0.5
paths = 256
max_paths = 256
functions = ["x[1]"]
[[compare]]
left = "sgd"
right = "slow_sde"
expect = "consistent"
[[compare]]
left = "sgd"
right = "sde"
expect = "consistent"
"#;

    fn scenario(text: &str) -> Scenario {
        let overrides = Overrides::default();
        let folder = Path::new(".");
        Scenario::parse(text, "t", "t", folder, Profile::Smoke, &overrides).expect("valid")
    }

    /// SGD against (4): the mean square of v, whose recursion is known; u is as far apart as the steps that (4) has not yet
    /// taken. Within 5 standard errors (false alarms below 1e-6 a number). SGD against (51): nearer, by a factor of the order of
    /// η.
    #[test]
    fn distances_are_those_of_the_recursion() {
        let scenario = scenario(FLAT);
        let result = scenario
            .execute(&Control::default(), &|_| ())
            .expect("runs");
        let etas: Vec<f64> = result.hand_over.iter().map(|h| h.eta).collect();
        assert_eq!(etas, [0.0625, 0.015625, 0.00390625]);
        for rung in &result.hand_over {
            let eta = rung.eta;
            let clock = scenario.slow_clock;
            let last = clock.unit(eta).recip().round() as u64;
            assert_eq!((rung.steps[0], rung.steps.last()), (1, Some(&last)));
            assert!(rung.steps.windows(2).all(|k| k[0] < k[1]));
            let period = scenario.slow_grid(eta).period();
            let whole = |k: u64| k < period || k.is_multiple_of(period);
            assert!(rung.steps.iter().all(|&k| whole(k)), "{:?}", rung.steps);
            let noise = eta * scenario.sigma(eta);
            let [slow, limiting] = &rung.pairs[..] else {
                panic!("two pairs")
            };
            let (mut m, mut q, mut moved, mut look) = (1.0f64, 0.0f64, 0.0f64, 0);
            for k in 1..=last {
                let rate = 1.0 - 0.5 * clock.at((k - 1) as f64, eta).0;
                m *= 1.0 - rate * eta;
                q = q * (1.0 - rate * eta).powi(2) + (rate * noise).powi(2);
                moved += (rate * noise).powi(2);
                if k != rung.steps[look] {
                    continue;
                }
                // At whole steps (4) has λ at their start, SGD that of every step: they differ by at most ½ · 1/16, on average by
                // half that.
                let (low, high) = match k < period {
                    true => (moved, moved),
                    false => (0.0, 1e-3 * moved),
                };
                let (low, high) = (m * m + q + low, m * m + q + high);
                let d = &slow.distance;
                let error = SIGMAS * d.standard_error[look];
                let value = d.value[look];
                assert!(
                    value > low.sqrt() - error && value < high.sqrt() + error,
                    "η = {eta}, k = {k}: {value} against {} to {}",
                    low.sqrt(),
                    high.sqrt()
                );
                assert!(limiting.distance.value[look] < 2.0 * eta, "k = {k}");
                look += 1;
            }
            assert_eq!(look, rung.steps.len());
        }
    }

    const SIGMAS: f64 = 5.0;

    /// Nothing to hand over: not without (51), not in the fast regime; and curves and coupled trajectories are left out.
    #[test]
    fn only_where_both_limits_run() {
        let without = FLAT.replace("right = \"sde\"", "right = \"slow_sde_euler_maruyama\"");
        let result = scenario(&without).execute(&Control::default(), &|_| ());
        assert!(result.expect("runs").hand_over.is_empty());
        let more =
            "[[compare]]\nleft = \"coupled\"\nright = \"slow_sde\"\nexpect = \"consistent\"\n";
        let constant = FLAT.replace(
            "learning_rate = { table = { times = [0.0, 1.0], values = [1.0, 0.5] } }",
            "momentum = { constant = 1.0 }",
        );
        let result = scenario(&(constant + more)).execute(&Control::default(), &|_| ());
        let result = result.expect("runs");
        let labels =
            |p: &PairDistance| [p.left, p.right].map(|i| result.processes[i].label.clone());
        let pairs: Vec<[String; 2]> = result.hand_over[0].pairs.iter().map(labels).collect();
        assert_eq!(
            pairs,
            [["SGD", "slow SDE (4)"], ["SGD", "SDE (51)"]].map(|p| p.map(String::from))
        );
    }

    /// Σ = diag couples directions along and across a hyperbola, isotropic noise couples none, and none couples anything in a
    /// valley whose walls it runs along.
    #[test]
    fn noise_that_crosses_is_told_apart() {
        let valley = "[landscape.valley]\nsteepness = { exponential = { kappa = 0.0 } }";
        let hyperbola = FLAT.replace(valley, "[landscape.hyperbola]");
        let diagonal = |text: &str| text.replace("isotropic = 1.0", "diagonal = [0.3, 1.0]");
        assert!(scenario(&diagonal(&hyperbola)).crossing);
        assert!(!scenario(&hyperbola).crossing);
        assert!(!scenario(&diagonal(FLAT)).crossing);
    }

    /// λ of (51) is read on the slow clock, though its own time is fast.
    #[test]
    fn the_rate_of_the_limiting_sde_is_that_of_slow_time() {
        let scenario = scenario(FLAT);
        let systems = scenario.systems(&scenario.members());
        for system in &systems {
            let lambda = system.ensemble.processes.iter().find_map(|p| match p {
                Dynamics::LimitingSde { lambda, .. } => Some(lambda),
                _ => None,
            });
            let lambda = lambda.expect("runs");
            // Slow time ½ is fast time ½η^{−½}.
            assert!((lambda(0.5 * system.eta.powf(-0.5)) - 0.75).abs() < 1e-12);
        }
    }
}
