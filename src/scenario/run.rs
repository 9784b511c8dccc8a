//! Runs a scenario: rounds of sampling on the whole ladder until every verdict is reached or the budget is spent.

use super::exact::Exact;
use super::system::{Member, System};
use super::{Comparison, ProcessKind, Scenario};
use crate::ensemble::{
    Accumulator, CoMoments, Control, Departure, Interrupted, Moments, MomentumFunction,
    MomentumSquare, TestFunction,
};
use crate::report::result::{Effort, Holds, Regime, ScenarioResult, Verdict};
use crate::theorems::slow_limit::Findings;
use crate::theorems::weak_approximation::{
    Claim, Demands, NORMAL_PATHS, Rung, effective_limits, judge,
};
use nalgebra::DMatrix;
use rayon::prelude::*;
use std::time::Instant;

/// Dimensions up to which d × d matrices are formed for a note or a drawing beside the simulation.
pub(super) const LARGEST_SPECTRUM: usize = 2000;

/// Batches of paths from which on their spread tells how errors depend on each other.
const FEWEST_BATCHES: usize = 32;

/// Path-steps of the first round: what a progress bar can count on.
pub fn total_work(scenario: &Scenario) -> u64 {
    let systems = scenario.systems(&scenario.members());
    systems
        .iter()
        .map(|s| {
            s.ensemble
                .work_per_path()
                .saturating_mul(scenario.run.paths)
        })
        .fold(0, u64::saturating_add)
}

impl Scenario {
    /// Runs the scenario. `more` is told the path-steps of every round after the first before it starts.
    ///
    /// # Errors
    /// [`Interrupted`] when `control` was told to stop.
    pub fn execute(
        &self,
        control: &Control,
        more: &dyn Fn(u64),
    ) -> Result<ScenarioResult, Interrupted> {
        let start = Instant::now();
        let members = self.members();
        let mut systems = self.systems(&members);
        let flow = self.integrate_slow_flow(&mut systems);
        let exact = self.exact(&members, &systems);
        let rounds = self.rounds();
        let mut totals = vec![Accumulator::default(); systems.len()];
        let (mut sampled, mut path_steps, mut round) = (0, 0, 0);
        let mut target = self.run.paths;
        // Chunks are a function of the first round alone, so that the bits do not depend on how the rounds went.
        let chunk = (self.run.paths / 256).clamp(8, 4096);
        let outcomes = loop {
            for (system, total) in systems.iter().zip(&mut totals) {
                let part = system
                    .ensemble
                    .run(&system.plan, sampled..target, chunk, control)?;
                total.merge(&part);
                path_steps += system.ensemble.work_per_path() * (target - sampled);
            }
            sampled = target;
            round += 1;
            let outcomes = self.judge(&members, &systems, &totals, exact.as_ref(), rounds);
            // More paths only for what more paths can decide, or make as precise as was asked for.
            let factor = |o: &Findings| {
                let j = &o.judgement;
                let verdict = match j.verdict {
                    Verdict::Inconclusive if j.paths_factor.is_finite() => j.paths_factor,
                    _ => 1.0,
                };
                verdict.max(j.precision_factor)
            };
            let factors: Vec<f64> = outcomes.iter().map(factor).collect();
            let wanted = factors.iter().copied().fold(1.0, f64::max);
            if wanted <= 1.0 || sampled >= self.run.max_paths || round >= rounds {
                break outcomes;
            }
            let factor = (1.25 * wanted).clamp(2.0, 8.0);
            // The last round spends what is left: there is no other chance.
            target = if round + 1 >= rounds {
                self.run.max_paths
            } else {
                ((sampled as f64 * factor) as u64).min(self.run.max_paths)
            };
            // Laws are compared over the same paths: in Regime II everything runs on.
            if self.regime == Regime::Fast {
                let wanted: Vec<bool> = factors.iter().map(|f| *f > 1.0).collect();
                systems.iter_mut().for_each(|s| s.focus(&wanted));
            }
            let work: u64 = systems.iter().map(|s| s.ensemble.work_per_path()).sum();
            more(work.saturating_mul(target - sampled));
        };
        let effort = Effort {
            seconds: start.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads(),
            path_steps,
            rounds: round,
        };
        let shortfall = self.shortfall(&outcomes, sampled);
        let mut result = self.summarize(&members, &systems, &totals, &exact, outcomes, effort);
        result.notes.extend(flow);
        result.notes.extend(shortfall);
        result.kept_paths = self.keep_paths(&systems);
        Ok(result)
    }

    /// What is missing to the precision that was asked for.
    fn shortfall(&self, outcomes: &[Findings], paths: u64) -> Option<String> {
        let precision = self.run.precision?;
        let factors = outcomes.iter().map(|o| o.judgement.precision_factor);
        let factor = factors.fold(1.0, f64::max);
        (factor > 1.0).then(|| {
            format!(
                "sampling noise contributes up to {:.2} % of a scale to the half-width of a limit; {:.2} % was asked for and would take \
                 about {:.1e} paths (run.max_paths is {})",
                100.0 * precision * factor.sqrt(),
                100.0 * precision,
                factor * paths as f64,
                self.run.max_paths
            )
        })
    }

    /// The largest number of rounds; the level is split over them.
    fn rounds(&self) -> u32 {
        let growth = self.run.max_paths as f64 / self.run.paths as f64;
        1 + (growth.log2() / 2.0).ceil().max(0.0) as u32
    }

    /// The η up to which ηλ‖∇²L(x_0)‖ ≤ 1: theorems about small learning rates are not judged beyond.
    ///
    /// In more than [`LARGEST_SPECTRUM`] dimensions the spectrum is not computed, and nothing is excluded.
    pub(super) fn largest_stable_eta(&self) -> f64 {
        if self.x0.len() > LARGEST_SPECTRUM {
            return f64::INFINITY;
        }
        let d = self.x0.len();
        let mut hessian = DMatrix::zeros(d, d);
        let landscape = &self.oracle.landscape;
        landscape.hessian_at(&self.x0, hessian.as_mut_slice());
        let sharpness = hessian.symmetric_eigenvalues().amax();
        let rate = self.learning_rate.bounds(self.run.horizon).1;
        let eta = 1.0 / (sharpness * rate);
        if eta.is_nan() { f64::INFINITY } else { eta }
    }

    /// What the theorem promises of a pair.
    pub(super) fn claim(&self, comparison: &Comparison) -> Claim {
        if self.regime == Regime::Slow {
            return self.slow_claims(comparison, comparison.alpha).expectations;
        }
        let Comparison {
            left, right, alpha, ..
        } = *comparison;
        if comparison.holds != Holds::InTheLimit {
            return Claim {
                guaranteed_order: 0.0,
                generators: vec![1.0],
            };
        }
        let sides = [left, right];
        if sides == [ProcessKind::Sgdm, ProcessKind::UnderdampedSde] && alpha == 1.0 {
            // SGDM is Euler's scheme for (52)–(53), of weak order 1.
            return Claim {
                guaranteed_order: 1.0,
                generators: vec![1.0],
            };
        }
        if sides.contains(&ProcessKind::SgdmInertial) {
            // What the limit leaves out is the damping, of size η^{(α−1)/(α+1)}.
            let damping = (alpha - 1.0) / (alpha + 1.0);
            return Claim {
                guaranteed_order: damping,
                generators: vec![damping, 1.0],
            };
        }
        if sides.iter().any(|p| p.damping().is_some()) {
            // No theorem says that a momentum that stays has the same limit as anything else.
            return Claim {
                guaranteed_order: 0.0,
                generators: vec![1.0],
            };
        }
        // SGD at the averaged rates of a schedule that moves knows β_k, and so α.
        if [left, right].iter().any(|p| self.depends_on_alpha(*p)) {
            Claim {
                guaranteed_order: (0.5 * (1.0 - alpha)).max(0.0),
                generators: vec![1.0 - alpha, 1.0],
            }
        } else {
            // SGD against (51): weak order 1 (Li, Tai and E 2019).
            Claim {
                guaranteed_order: 1.0,
                generators: vec![1.0],
            }
        }
    }

    fn judge(
        &self,
        members: &[Member],
        systems: &[System],
        totals: &[Accumulator],
        exact: Option<&Exact>,
        rounds: u32,
    ) -> Vec<Findings> {
        let names: Vec<String> = self.run.functions.iter().map(|f| f.to_string()).collect();
        let tests = self.comparisons.len() as f64 * f64::from(rounds);
        let stable = self.largest_stable_eta();
        let demands = Demands {
            level: 1.0 - (1.0 - self.run.level) / tests,
            tolerance: self.run.tolerance,
            negligible: self.run.negligible,
            squares: false,
            fewest_paths: NORMAL_PATHS,
            limits: None,
            precision: self.run.precision,
        };
        if self.regime == Regime::Slow {
            return self.judge_slow(members, systems, totals, exact, demands);
        }
        // A closed form is one side of several statistics, as in Regime II; all others are paired expectations.
        let paired: Vec<Option<Paired>> = (0..self.comparisons.len())
            .map(|c| self.paired(c, systems, totals, exact, stable))
            .collect();
        let parts: Vec<(&Claim, &[Rung])> = paired
            .iter()
            .flatten()
            .map(|p| (&p.claim, &p.rungs[..]))
            .collect();
        let share = parts.len().max(1) as f64;
        let tail = 0.5 * (1.0 - demands.level) * share;
        let demands = Demands {
            limits: Some(effective_limits(&parts, tail) / share),
            ..demands
        };
        (0..self.comparisons.len())
            .into_par_iter()
            .map(|index| match &paired[index] {
                Some(Paired {
                    claim,
                    rungs,
                    scales,
                    functions,
                }) => {
                    let names: Vec<String> = functions.iter().map(|&h| names[h].clone()).collect();
                    Findings {
                        judgement: judge(claim, rungs, scales, &names, demands).of(functions),
                        distances: vec![],
                    }
                }
                None => {
                    let comparison = &self.comparisons[index];
                    let views = self.views(index, members, systems, totals);
                    let demands = Demands {
                        limits: None,
                        ..demands
                    };
                    if comparison.holds != Holds::InTheLimit {
                        return self.judge_everywhere(comparison, &views, members, exact, demands);
                    }
                    let closed = self.closed_form(members, exact);
                    self.judge_views(comparison, &views, &[], closed, demands)
                }
            })
            .collect()
    }

    /// The paired errors of a comparison at all stable η, sampled or by exact moments; none against a closed form, and none where nothing
    /// is extrapolated.
    fn paired(
        &self,
        index: usize,
        systems: &[System],
        totals: &[Accumulator],
        exact: Option<&Exact>,
        stable: f64,
    ) -> Option<Paired> {
        let comparison = &self.comparisons[index];
        let computed = exact.filter(|_| comparison.exact);
        let closed = comparison.right == ProcessKind::ClosedForm;
        if closed || comparison.holds != Holds::InTheLimit {
            return None;
        }
        let cells: Vec<_> = systems
            .iter()
            .zip(totals)
            .filter(|(s, _)| s.eta <= stable)
            .filter_map(|(s, t)| Some((s, t, s.pairs[index]?)))
            .collect();
        let rungs: Vec<Rung> = match computed {
            Some(exact) => {
                let side = |kind| self.member(kind, comparison.alpha);
                self.exact_rungs(side(comparison.left), side(comparison.right), exact)
            }
            None => cells
                .iter()
                .map(|(s, t, pair)| rung(self, s, t, *pair))
                .collect(),
        };
        // Exact moments do not say everything: the expectation of a written function, say.
        let known = |h: &usize| {
            let mut errors = rungs.iter().flat_map(|r| &r.errors);
            computed.is_none() || errors.all(|e| e[*h].is_finite())
        };
        let functions: Vec<usize> = comparison.functions.iter().copied().filter(known).collect();
        let scales = cells.last().map_or(vec![], |(s, t, pair)| {
            let all = limit_scales(s, t, s.plan.pairs[*pair]);
            functions.iter().map(|&h| all[h]).collect()
        });
        Some(Paired {
            claim: self.claim(comparison),
            rungs: rungs.into_iter().map(|r| r.only(&functions)).collect(),
            scales,
            functions,
        })
    }
}

/// One comparison of two processes with paths.
struct Paired {
    claim: Claim,
    rungs: Vec<Rung>,
    scales: Vec<f64>,
    /// The functions that are judged.
    functions: Vec<usize>,
}

/// The paired errors of the panel at one η.
pub(super) fn rung(scenario: &Scenario, system: &System, total: &Accumulator, pair: usize) -> Rung {
    let functions = system.plan.functions.len();
    let series = |f: &dyn Fn(&Moments, usize) -> f64| -> Vec<Vec<f64>> {
        total
            .pairs
            .iter()
            .map(|pairs| {
                let moments = &pairs[pair];
                (0..functions)
                    .map(|h| {
                        if moments.n == 0 {
                            f64::NAN
                        } else {
                            f(moments, h)
                        }
                    })
                    .collect()
            })
            .collect()
    };
    let (left, right) = system.plan.pairs[pair];
    let rows = |save: usize| -> Vec<Vec<f64>> {
        let batches = &total.batches[save][pair];
        (0..functions)
            .map(|h| batches.influence(h, FEWEST_BATCHES))
            .collect()
    };
    let unpaired = |(panel, pairs): (&Vec<CoMoments>, &Vec<Moments>)| -> Vec<f64> {
        let variance = |h: usize| panel[left].covariance(h, h) + panel[right].covariance(h, h);
        (0..functions)
            .map(|h| (variance(h) / pairs[pair].n.max(1) as f64).sqrt())
            .collect()
    };
    Rung {
        unpaired: total.panel.iter().zip(&total.pairs).map(unpaired).collect(),
        influence: (0..total.batches.len()).map(rows).collect(),
        eta: system.eta,
        n: total.pairs.last().map_or(0, |p| p[pair].n),
        times: system
            .ensemble
            .save
            .iter()
            .map(|&k| scenario.time(k, system.eta))
            .collect(),
        errors: series(&|m, h| m.mean[h]),
        noise: series(&|m, h| m.standard_error(h)),
        common: system.common.clone(),
        stochastic: system.ensemble.sigma > 0.0,
        lost: total.failures[left].blow_ups + total.failures[right].blow_ups,
    }
}

/// The scales for claims as η → 0. What vanishes is measured by what stays, where that is in the panel, too: the distance of the coupled
/// trajectory by ‖x‖², the gap of the gradients by ‖∇L‖², its entries by the root of that.
pub(super) fn limit_scales(
    system: &System,
    total: &Accumulator,
    sides: (usize, usize),
) -> Vec<f64> {
    use MomentumSquare::{GradientLag, Lag};
    let functions = &system.plan.functions;
    let own = natural_scales(system, total, sides);
    let of = |h: TestFunction| functions.iter().position(|f| *f == h).map(|h| own[h]);
    let measure = |h: &TestFunction| match h.momentum()? {
        MomentumFunction::GradientLag(_) => of(TestFunction::SquaredGradient).map(f64::sqrt),
        MomentumFunction::Square { relative: true, .. } => None,
        MomentumFunction::Square { of: square, .. } => match square {
            Lag => of(TestFunction::SquaredNorm),
            GradientLag => of(TestFunction::SquaredGradient),
            MomentumSquare::Momentum => None,
        },
    };
    let scales = functions.iter().zip(&own);
    scales.map(|(h, own)| measure(h).unwrap_or(*own)).collect()
}

/// The largest standard deviation plus the largest mean displacement of h over the horizon, in the livelier of the two
/// processes.
pub(super) fn natural_scales(
    system: &System,
    total: &Accumulator,
    (left, right): (usize, usize),
) -> Vec<f64> {
    let functions = &system.plan.functions;
    let scale = |process: usize, h: usize| {
        let panel = || {
            let saves = total.panel.iter().map(|p| &p[process]);
            saves.filter(|m| m.n > 0)
        };
        let start = panel().next().map_or(0.0, |m| m.mean[h]);
        let spread = panel()
            .map(|m| m.covariance(h, h).sqrt())
            .fold(0.0, f64::max);
        let shift = panel()
            .map(|m| (m.mean[h] - start).abs())
            .fold(0.0, f64::max);
        spread + shift
    };
    let departure = |h: usize| {
        let slow = system.ensemble.slow.is_some();
        functions[h].departure().filter(|_| slow)
    };
    let of_process = |process: usize, h: usize| match departure(h) {
        Some(departure) => departure_scale(system, total, process, (h, departure)),
        None => scale(process, h),
    };
    let mut scales: Vec<f64> = (0..functions.len())
        .map(|h| {
            let scale = of_process(left, h).max(of_process(right, h));
            scale.max(f64::MIN_POSITIVE)
        })
        .collect();
    // What vanishes is measured by another term of its balance.
    for h in 0..functions.len() {
        let yardstick = departure(h).and_then(Departure::yardstick);
        let place = |d| functions.iter().position(|f| f.departure() == Some(d));
        if let Some(other) = yardstick.and_then(place) {
            scales[h] = scales[h].max(scales[other]);
        }
    }
    // The terms of one balance are measured by the largest of them, or by the loss.
    if functions.iter().any(|h| h.is_balance()) {
        let member = |h: &TestFunction| h.is_balance() || *h == TestFunction::Loss;
        let paired = functions.iter().zip(&scales).filter(|(h, _)| member(h));
        let largest = paired.map(|(_, s)| *s).fold(0.0, f64::max);
        let own = functions.iter().zip(&mut scales).filter(|(h, _)| member(h));
        own.for_each(|(_, s)| *s = largest);
    }
    scales
}

/// The natural scale of a departure: largest standard deviation plus largest mean at the common times, when the fall onto Γ is over; for
/// squared distances also the mean square of how far the paths go.
fn departure_scale(
    system: &System,
    total: &Accumulator,
    process: usize,
    (h, departure): (usize, Departure),
) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let panel = || system.common.iter().map(|&c| &total.panel[c][process]);
    let panel = || panel().filter(|m| m.n > 0);
    let own = largest(&mut panel().map(|m| m.covariance(h, h).sqrt()))
        + largest(&mut panel().map(|m| m.mean[h].abs()));
    if !departure.is_distance() {
        return own;
    }
    let spread = total.paths.iter().flat_map(|p| &p.spread);
    let mut spread = spread.filter_map(|s| s.get(process)?.mean.first().copied());
    let ensemble = &system.ensemble;
    let landing = ensemble.slow.iter().flat_map(|s| &s.landing);
    let pairs = landing.zip(&ensemble.x0);
    own + largest(&mut spread) + pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
}
