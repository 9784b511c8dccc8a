//! The processes of a scenario, and their ensemble at each η.

use super::{ProcessKind, Scenario};
use crate::clocks::{FastTime, Steps};
use crate::ensemble::{Dynamics, Ensemble, LawPlan, PathPlan, Plan, SlowGrid, SlowRegime, Watch};
use crate::projection::{Settings, Tolerance};
use crate::random::StreamKey;
use crate::report::result::{Process, ProcessFamily, Regime};
use crate::schedule::{RateKind, Schedule, ScheduleFamily, Shape, inertial_index};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// Directions of distances between laws in several dimensions.
const DIRECTIONS: usize = 8;

/// Dimensions from which on verdicts use the sliced distance; in the plane the test functions say it all.
pub(super) const SLICED: usize = 3;

/// One process of the scenario: a kind at a momentum index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub kind: ProcessKind,
    pub alpha: f64,
}

/// Who runs at one η, and how the global lists of processes and comparisons map to it.
pub(super) struct System {
    pub eta: f64,
    pub ensemble: Ensemble,
    pub plan: Plan,
    /// Global process → process of the ensemble.
    pub processes: Vec<Option<usize>>,
    /// Comparison → pair of the plan.
    pub pairs: Vec<Option<usize>>,
    /// Comparison → processes of the ensemble that it needs.
    pub runs: Vec<Vec<usize>>,
    /// Indices of the common times among the save steps.
    pub common: Vec<usize>,
}

impl System {
    /// Runs only what the given comparisons need.
    pub fn focus(&mut self, wanted: &[bool]) {
        self.ensemble.active.fill(false);
        let wanted = self.runs.iter().zip(wanted).filter(|(_, w)| **w);
        for &process in wanted.flat_map(|(processes, _)| processes) {
            self.ensemble.active[process] = true;
            if let Dynamics::Coupled { of, .. } | Dynamics::CoupledSteps { of, .. } =
                self.ensemble.processes[process]
            {
                self.ensemble.active[of] = true;
            }
        }
    }
}

impl Scenario {
    /// All processes in the order in which they run: SGD, its momentum relatives, the coupled trajectory after its SGDM,
    /// the SDE.
    pub(super) fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = vec![];
        let mut add = |m: Member| {
            if !members.contains(&m) {
                members.push(m);
            }
        };
        for c in &self.comparisons {
            for kind in [c.left, c.right] {
                if kind.family() == ProcessFamily::Coupled {
                    add(Member {
                        kind: ProcessKind::Sgdm,
                        alpha: c.alpha,
                    });
                }
                add(self.member(kind, c.alpha));
            }
        }
        let rank = |m: &Member| ProcessKind::ALL.iter().position(|k| *k == m.kind);
        members.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.alpha.total_cmp(&b.alpha)));
        members
    }

    /// The process of a kind at α; those that do not depend on α are one process.
    pub(super) fn member(&self, kind: ProcessKind, alpha: f64) -> Member {
        let alpha = if self.depends_on_alpha(kind) {
            alpha
        } else {
            0.0
        };
        Member { kind, alpha }
    }

    /// The step coefficients of a discrete process in the scenario's regime.
    pub(super) fn rates(&self, kind: ProcessKind) -> Option<RateKind> {
        match (kind, self.regime) {
            (ProcessKind::Sgd, Regime::Slow) => Some(RateKind::SgdPlain),
            _ => kind.rates(self.dampening),
        }
    }

    /// How Φ is computed along the paths.
    pub(super) fn projection(&self) -> Settings {
        Settings {
            tolerance: Tolerance::both(self.run.projection_tolerance),
            ..Settings::default()
        }
    }

    /// How a process is shown.
    pub(super) fn describe(&self, member: Member) -> Process {
        let alpha = self.depends_on_alpha(member.kind).then_some(member.alpha);
        let label = match alpha {
            Some(a) => format!("{} α={a}", member.kind.label()),
            None => member.kind.label().to_string(),
        };
        Process {
            label,
            family: member.kind.family(),
            alpha,
        }
    }

    /// The family of schedules at α; without α, for processes that have no momentum, 1 − β_k = 1.
    pub(super) fn family(&self, alpha: Option<f64>) -> ScheduleFamily {
        let none = || Shape::Constant(1.0);
        ScheduleFamily {
            learning_rate: self.learning_rate.clone(),
            momentum: alpha.map_or_else(none, |_| self.momentum.clone()),
            alpha: alpha.unwrap_or(0.0),
        }
    }

    /// The family of schedules that a process reads.
    pub(super) fn member_family(&self, member: Member) -> ScheduleFamily {
        let alpha = self.depends_on_alpha(member.kind).then_some(member.alpha);
        self.family(match member.kind {
            ProcessKind::SgdmInertial => alpha.map(inertial_index),
            _ => alpha,
        })
    }

    /// η_k and β_k of a process at scale η.
    pub(super) fn schedule(&self, member: Member, eta: f64) -> Option<Arc<Schedule>> {
        // The scenario was checked: the schedules of its ladder exist.
        Schedule::new(&self.member_family(member), eta, self.horizon())
            .ok()
            .map(Arc::new)
    }

    /// A shape as a function of time. Checked: it is one wherever an SDE is asked for.
    fn timed(&self, shape: &Shape) -> Arc<dyn Fn(f64) -> f64 + Send + Sync> {
        let (shape, horizon) = (shape.clone(), self.run.horizon);
        Arc::new(move |t| shape.limit(t, horizon).unwrap_or(1.0))
    }

    /// λ as a function of fast time.
    fn fast_rate(&self, eta: f64) -> Arc<dyn Fn(f64) -> f64 + Send + Sync> {
        let rate = self.timed(&self.learning_rate);
        match self.regime {
            Regime::Fast => rate,
            Regime::Slow => {
                let unit = self.slow_clock.fast_unit(eta);
                Arc::new(move |t| rate(t * unit))
            }
        }
    }

    /// The step of the slow processes at η.
    pub(super) fn slow_grid(&self, eta: f64) -> SlowGrid {
        let (run, clock) = (&self.run, self.slow_clock);
        let steps = run.horizon / clock.unit(eta);
        let times = run.times as f64;
        let fine = 0.5 * run.slow_step * clock.fast_unit(eta);
        SlowGrid::near(
            fine,
            clock.unit(eta),
            steps / (times * run.looks as f64),
            steps / times,
        )
    }

    /// The save steps at η in Regime II: the common times, and looks between them, at whole slow steps.
    fn slow_saves(&self, eta: f64) -> (Vec<Steps>, Vec<usize>) {
        let run = &self.run;
        let period = self.slow_grid(eta).period();
        let steps = run.horizon / self.slow_clock.unit(eta);
        let looks = run.times * run.looks;
        let last = ((steps * (1.0 + 1e-12)) as u64 / period).max(1);
        let saves: Vec<Steps> = (0..=looks)
            .map(|i| {
                let ideal = steps * i as f64 / looks as f64 / period as f64;
                Steps((ideal.round() as u64).min(last) * period)
            })
            .collect();
        (saves, (1..=run.times).map(|c| c * run.looks).collect())
    }

    /// Unit vectors over which distances are averaged: none on the line, evenly spaced ones in the plane, else drawn at random.
    fn directions(&self) -> Vec<Vec<f64>> {
        let d = self.x0.len();
        if d == 1 {
            return vec![];
        }
        if d == 2 {
            let angle = |k: usize| std::f64::consts::PI * k as f64 / DIRECTIONS as f64;
            let direction = |k| vec![angle(k).cos(), angle(k).sin()];
            return (0..DIRECTIONS).map(direction).collect();
        }
        let key = StreamKey {
            seed: self.run.seed,
            cell: u64::MAX,
        };
        (0..DIRECTIONS as u64)
            .map(|k| {
                let mut rng = key.scalar(crate::random::Purpose::Bootstrap, k);
                let v: Vec<f64> = (0..d).map(|_| rng.sample(StandardNormal)).collect();
                let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                v.into_iter().map(|x| x / norm).collect()
            })
            .collect()
    }

    /// Laws that are kept: at the end, and where verdicts use them at all common times.
    fn law_plan(&self, common: &[usize]) -> LawPlan {
        let end = &common[common.len().saturating_sub(1)..];
        let judged = self.regime == Regime::Slow;
        LawPlan {
            saves: if judged { common } else { end }.to_vec(),
            projected: match judged && self.x0.len() >= SLICED {
                true => common.to_vec(),
                false => end.to_vec(),
            },
            directions: self.directions(),
        }
    }

    /// The save steps at η, and where the common times stand among them.
    pub(super) fn saves(&self, eta: f64) -> (Vec<Steps>, Vec<usize>) {
        if self.regime == Regime::Slow {
            return self.slow_saves(eta);
        }
        let run = &self.run;
        let fraction = |c: usize| FastTime(run.horizon * c as f64 / run.times as f64).steps(eta);
        let common: Vec<Steps> = (1..=run.times).map(fraction).collect();
        let mut saves = vec![Steps(0)];
        let first = common[0].0.max(1) as f64;
        for i in 0..run.early_times {
            let k = first.powf(i as f64 / run.early_times as f64);
            saves.push(Steps(k.round() as u64));
        }
        saves.extend(&common);
        saves.sort();
        saves.dedup();
        let places = common
            .iter()
            .filter_map(|c| saves.binary_search(c).ok())
            .collect();
        (saves, places)
    }

    /// The ensembles of the whole ladder. All common times must be at least one step: the caller has checked the ladder.
    pub(super) fn systems(&self, members: &[Member]) -> Vec<System> {
        let rungs = self.run.etas.iter().enumerate();
        rungs
            .filter_map(|(cell, &eta)| self.system(members, cell, eta))
            .collect()
    }

    fn system(&self, members: &[Member], cell: usize, eta: f64) -> Option<System> {
        let (save, common) = self.saves(eta);
        let mut processes = vec![None; members.len()];
        let mut dynamics = vec![];
        for (index, member) in members.iter().enumerate() {
            let schedule = self.schedule(*member, eta)?;
            let process = match member.kind {
                kind if kind.family() == ProcessFamily::Sde && cell >= self.run.sde_etas => {
                    continue;
                }
                ProcessKind::ClosedForm => continue,
                ProcessKind::SlowFlow => Dynamics::Prescribed {
                    states: Arc::default(),
                },
                ProcessKind::Sde => Dynamics::LimitingSde {
                    lambda: self.fast_rate(eta),
                    substeps: self.run.substeps,
                },
                ProcessKind::Coupled
                | ProcessKind::CoupledSteps
                | ProcessKind::CoupledStepsPlain => {
                    let partner = self.member(ProcessKind::Sgdm, member.alpha);
                    let of = members.iter().position(|m| *m == partner)?;
                    let of = processes[of]?;
                    let steps = |kind| Dynamics::CoupledSteps {
                        of,
                        weight: schedule.coupling(Steps(0)),
                        schedule: schedule.clone(),
                        kind,
                    };
                    match member.kind {
                        ProcessKind::CoupledSteps => steps(RateKind::SgdAveraged),
                        ProcessKind::CoupledStepsPlain => steps(RateKind::SgdPlain),
                        _ => Dynamics::Coupled {
                            of,
                            weights: save.iter().map(|&k| schedule.coupling(k)).collect(),
                        },
                    }
                }
                kind => match (kind.scheme(), kind.damping()) {
                    (Some(scheme), _) => Dynamics::SlowSde {
                        lambda: self.timed(&self.learning_rate),
                        scheme,
                    },
                    (None, Some(damping)) => Dynamics::InertialSde {
                        lambda: self.timed(&self.learning_rate),
                        gamma: self.timed(&self.momentum),
                        damping,
                        substeps: self.run.substeps,
                    },
                    (None, None) => Dynamics::Discrete {
                        schedule,
                        kind: self.rates(kind)?,
                    },
                },
            };
            processes[index] = Some(dynamics.len());
            dynamics.push(process);
        }
        let mut pairs = vec![];
        let place = |kind, alpha| {
            let member = self.member(kind, alpha);
            members.iter().position(|m| *m == member)
        };
        let mut runs = vec![];
        for c in &self.comparisons {
            let side = |kind| place(kind, c.alpha).and_then(|p| processes[p]);
            runs.push(match (side(c.left), side(c.right)) {
                (Some(left), Some(right)) => vec![left, right],
                (Some(left), None) if c.right == ProcessKind::ClosedForm => vec![left],
                _ => vec![],
            });
        }
        let links = self
            .comparisons
            .iter()
            .map(|c| {
                let left = processes[place(c.left, c.alpha)?]?;
                let right = processes[place(c.right, c.alpha)?]?;
                pairs.push((left, right));
                Some(pairs.len() - 1)
            })
            .collect();
        Some(System {
            eta,
            plan: Plan {
                functions: self.run.functions.clone(),
                monitored: self.run.monitored.clone(),
                pairs,
                laws: self.law_plan(&common),
                paths: (self.regime == Regime::Slow).then(|| PathPlan {
                    common: common.clone(),
                }),
            },
            processes,
            pairs: links,
            runs,
            common,
            ensemble: Ensemble {
                oracle: self.oracle_at(eta),
                sigma: self.sigma(eta),
                eta,
                x0: self.x0.clone(),
                m0: self.m0.clone(),
                watch: Watch::of(self.run.functions.iter().filter_map(|h| h.way())),
                active: vec![true; dynamics.len()],
                processes: dynamics,
                save,
                region: self.region.clone(),
                slow: self.landing.as_ref().map(|landing| SlowRegime {
                    clock: self.slow_clock,
                    grid: self.slow_grid(eta),
                    landing: landing.clone(),
                    projection: self.projection(),
                    landed: true,
                }),
                key: StreamKey {
                    seed: self.run.seed,
                    cell: cell as u64,
                },
            },
        })
    }
}
