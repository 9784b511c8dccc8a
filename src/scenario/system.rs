//! The processes of a scenario, and their ensemble at each η.

use super::{ProcessKind, Scenario};
use crate::clocks::{FastTime, Steps};
use crate::ensemble::{
    Departures, Dynamics, Ensemble, LawPlan, PathPlan, Plan, SlowGrid, SlowRegime, Watch,
};
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

    /// The regular looks at η in Regime II: the start, the common times, and what is between them, at whole slow steps.
    fn regular_looks(&self, eta: f64) -> Vec<Steps> {
        let run = &self.run;
        let period = self.slow_grid(eta).period();
        let steps = run.horizon / self.slow_clock.unit(eta);
        let looks = run.times * run.looks;
        let last = ((steps * (1.0 + 1e-12)) as u64 / period).max(1);
        (0..=looks)
            .map(|i| {
                let ideal = steps * i as f64 / looks as f64 / period as f64;
                Steps((ideal.round() as u64).min(last) * period)
            })
            .collect()
    }

    /// Early looks in Regime II, evenly spaced in log k before the step `first`: any step before the first slow step is done, whole
    /// slow steps from there on.
    fn early_looks(&self, eta: f64, first: Steps) -> Vec<Steps> {
        let grid = self.slow_grid(eta);
        let (n, period) = (self.run.early_times, grid.period());
        let place = |i: usize| {
            let k = (first.0 as f64).powf(i as f64 / n as f64).round();
            if (k as u64) < grid.stride {
                return Steps(k as u64);
            }
            Steps((k / period as f64).round().max(1.0) as u64 * period)
        };
        (0..n).map(place).filter(|k| *k < first).collect()
    }

    /// The save steps at η in Regime II, and where the common times stand among them.
    fn slow_saves(&self, eta: f64) -> (Vec<Steps>, Vec<usize>) {
        let run = &self.run;
        let mut saves = self.regular_looks(eta);
        let common: Vec<usize> = (1..=run.times).map(|c| c * run.looks).collect();
        if run.early_times == 0 {
            return (saves, common);
        }
        let common: Vec<Steps> = common.into_iter().map(|c| saves[c]).collect();
        saves.extend(self.early_looks(eta, common[0]));
        saves.sort();
        saves.dedup();
        let places = common.iter().map(|c| saves.partition_point(|k| k < c));
        let places = places.collect();
        (saves, places)
    }

    /// Which of the save steps in Regime II are early looks.
    fn early_saves(&self, eta: f64, saves: &[Steps]) -> Vec<usize> {
        let regular = self.regular_looks(eta);
        let early = |i: &usize| regular.binary_search(&saves[*i]).is_err();
        (0..saves.len()).filter(early).collect()
    }

    /// What is computed of raw iterates at the save steps.
    fn departures(&self, eta: f64, saves: &[Steps]) -> Departures {
        let functions = self.run.functions.iter();
        let times: Vec<f64> = saves.iter().map(|&k| self.time(k, eta)).collect();
        let lambda = self.timed(&self.learning_rate);
        Departures {
            functions: functions.filter_map(|h| h.departure()).collect(),
            rates: times.iter().map(|&t| lambda(t)).collect(),
            times,
        }
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
        let slow = self.landing.as_ref().map(|landing| SlowRegime {
            clock: self.slow_clock,
            grid: self.slow_grid(eta),
            landing: landing.clone(),
            projection: self.projection(),
            landed: true,
            early: self.early_saves(eta, &save),
            departures: self.departures(eta, &save),
        });
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
                slow,
                key: StreamKey {
                    seed: self.run.seed,
                    cell: cell as u64,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Profile};
    use super::*;
    use crate::ensemble::Control;
    use std::path::Path;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// SGD and SGDM from above the valley; `run` stands at the end of its table.
    fn valley(run: &str) -> Result<Scenario, super::super::ScenarioError> {
        read(&text(run))
    }

    fn text(run: &str) -> String {
        format!(
            r#"
title = "t"
claim = "Theorem 5.5"
regime = "slow"
[landscape.valley]
steepness = {{ exponential = {{ kappa = 0.5 }} }}
[noise.gaussian]
factor = {{ isotropic = 0.5 }}
[start]
x0 = {{ at = [1.0, 0.5] }}
[schedule]
momentum = {{ constant = 0.5 }}
[run]
horizon = 0.5
alphas = [0.0]
eta_max = 0.05
etas = 3
times = 2
looks = 4
paths = 128
max_paths = 128
monitored = ["x[1]"]
{run}
[[compare]]
left = "sgd"
right = "slow_sde"
expect = "consistent"
[[compare]]
left = "sgdm"
right = "slow_sde"
expect = "consistent"
"#
        )
    }

    fn read(text: &str) -> Result<Scenario, super::super::ScenarioError> {
        Scenario::parse(
            text,
            "t.toml",
            "t",
            Path::new("."),
            Profile::Quick,
            &Overrides::default(),
        )
    }

    /// Early looks come before the first common time, evenly in log k, at any step before the first slow step is done and at whole slow
    /// steps afterwards; the regular looks stay where they are.
    #[test]
    fn early_looks_do_not_disturb_slow_steps() -> Outcome {
        let (plain, early) = (valley("")?, valley("early_times = 12")?);
        assert_eq!((plain.run.early_times, early.run.early_times), (0, 12));
        for (slow_step, substeps) in [(0.1, false), (1e-4, true)] {
            let with = |s: &Scenario| {
                let mut s = s.clone();
                s.run.slow_step = slow_step;
                s
            };
            let (plain, early) = (with(&plain), with(&early));
            for &eta in &plain.run.etas {
                let grid = plain.slow_grid(eta);
                assert_eq!(grid.substeps > 1, substeps, "{grid:?}");
                let (regular, places) = plain.saves(eta);
                let (saves, common) = early.saves(eta);
                let marked = early.early_saves(eta, &saves);
                assert!(plain.early_saves(eta, &regular).is_empty());
                assert!(saves.windows(2).all(|w| w[0] < w[1]), "{saves:?}");
                let others = (0..saves.len()).filter(|i| !marked.contains(i));
                assert_eq!(others.map(|i| saves[i]).collect::<Vec<_>>(), regular);
                let at = |saves: &[Steps], places: &[usize]| -> Vec<Steps> {
                    places.iter().map(|&c| saves[c]).collect()
                };
                assert_eq!(at(&saves, &common), at(&regular, &places));
                let first = saves[common[0]].0;
                let steps: Vec<u64> = marked.iter().map(|&i| saves[i].0).collect();
                // Where the coarse slow step is two optimizer steps, nothing fits before it.
                let earliest = if grid.period() == 2 { 2 } else { 1 };
                assert!(steps.len() >= 5 && steps[0] == earliest, "{steps:?}");
                for k in steps {
                    assert!(0 < k && k < first);
                    assert!(k < grid.stride || k.is_multiple_of(grid.period()), "{k}");
                }
            }
        }
        Ok(())
    }

    /// Nothing that is judged knows of the early looks: verdicts, limits and path statistics are the same bit for bit.
    #[test]
    fn early_looks_are_shown_and_not_judged() -> Outcome {
        let run = |text: &str| -> Result<_, Box<dyn std::error::Error>> {
            Ok(valley(text)?.execute(&Control::default(), &|_| {})?)
        };
        let (plain, early) = (run("")?, run("early_times = 6")?);
        for (a, b) in plain.comparisons.iter().zip(&early.comparisons) {
            assert_eq!((a.verdict, a.limit), (b.verdict, b.limit));
            for (a, b) in a.functions.iter().zip(&b.functions) {
                assert_eq!((a.scale, a.limit), (b.scale, b.limit));
            }
            assert!(!a.distances.is_empty());
            for (a, b) in a.distances.iter().zip(&b.distances) {
                assert_eq!((&a.name, a.check.limit), (&b.name, b.check.limit));
            }
        }
        for (a, b) in plain.cells.iter().zip(&early.cells) {
            assert!(b.times.len() > a.times.len());
            // Φ(x_k) does not wait for Γ: the first coordinate is where the flow ends from the first step on.
            let place = |t: f64| b.times.iter().position(|s| *s == t);
            for (p, q) in a.processes.iter().zip(&b.processes) {
                for (j, &t) in a.times.iter().enumerate() {
                    let k = place(t).ok_or("a look is missing")?;
                    assert_eq!(p.means[0].value[j], q.means[0].value[k]);
                }
            }
        }
        Ok(())
    }

    /// What a departure needs, and what it is not for.
    #[test]
    fn departures_are_refused_where_they_do_not_exist() -> Outcome {
        let message = |edit: &dyn Fn(String) -> String, run: &str| -> Result<String, String> {
            match read(&edit(text(run))) {
                Ok(_) => Err(format!("{run} is read")),
                Err(e) => Ok(e.to_string()),
            }
        };
        let same = |t: String| t;
        let fast = |t: String| {
            t.replace("regime = \"slow\"\n", "")
                .replace("slow_sde", "sde")
        };
        let silent = |t: String| t + "[noise_scale]\nfactor = 0.0\n";
        type Row<'a> = (&'a dyn Fn(String) -> String, &'a str, &'a str);
        let rows: [Row; 7] = [
            (
                &fast,
                r#"functions = ["x[1]", "distance2"]"#,
                "slow regime only",
            ),
            (
                &silent,
                r#"functions = ["x[1]", "fluctuation2"]"#,
                "noise_scale.factor is 0",
            ),
            (
                &same,
                r#"functions = ["x[1]", "projected_gradient2"]"#,
                "name it, too",
            ),
            (
                &same,
                r#"functions = ["x[1]", "momentum2"]"#,
                "for sgdm, sgdm_first_gradient and their limits",
            ),
            (
                &same,
                r#"functions = ["x[1]", "lag2"]"#,
                "name other `functions`",
            ),
            (
                &same,
                r#"functions = ["x[1]", "fluctuation[1]*fluctuation[3]"]"#,
                "asks for coordinate 3",
            ),
            (
                &same,
                r#"functions = ["x[1]", "projected_velocity[0]"]"#,
                "projected_velocity",
            ),
        ];
        for (edit, run, wanted) in rows {
            let found = message(edit, run)?;
            assert!(found.contains(wanted), "{run}: {found}");
        }
        let monitored =
            |t: String| t.replace(r#"monitored = ["x[1]"]"#, r#"monitored = ["distance2"]"#);
        let found = message(&monitored, r#"functions = ["x[1]", "distance2"]"#)?;
        assert!(found.contains("not monitored"), "{found}");
        // With a momentum on both sides there is nothing to refuse, and without noise distances are still there.
        read(
            &text(r#"functions = ["x[1]", "momentum2"]"#)
                .replace("left = \"sgd\"", "left = \"slow_sde_euler_maruyama\""),
        )?;
        read(&silent(text(
            r#"functions = ["x[1]", "distance2", "projected_velocity2"]"#,
        )))?;
        Ok(())
    }
}
