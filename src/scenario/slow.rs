//! From the statistics of a ladder to the evidence on Theorem 5.5, and in both regimes on closed forms.

use super::exact::Exact;
use super::known::{PROBABILITIES, Shares};
use super::laws::{Laws, Selected};
use super::run::{limit_scales, natural_scales, rung};
use super::system::{Member, SLICED, System};
use super::{Comparison, ProcessKind, Scenario};
use crate::ensemble::{Accumulator, Dynamics, FUNCTIONALS, Law, MEAN_SQUARE, Moments};
use crate::report::result::{DistanceKind, Holds, ProcessFamily, Regime};
use crate::theorems::everywhere::{Kind, ROUNDING, judge_everywhere};
use crate::theorems::slow_limit::{Claims, Findings, Ladder, SlowPair, judge_all};
use crate::theorems::weak_approximation::{Demands, Rung};

/// Functions that vary less than this part of their size along Γ are constant there, and are not judged.
pub(super) const CONSTANT: f64 = 1e-6;

/// ‖x_0 − Φ(x_0)‖ relative to ‖Φ(x_0)‖ up to which a start counts as one on Γ.
const ON_MANIFOLD: f64 = 1e-6;

/// Paths that are enough where the limit is a curve: Student's intervals of nearly normal deviations.
const FEWEST_NEAR_A_CURVE: u64 = 8;

/// A rung of the ladder as far as one comparison sees it.
pub(super) struct View<'a> {
    cell: usize,
    pub system: &'a System,
    pub total: &'a Accumulator,
    /// The left process, and the right one if it has paths.
    pub left: usize,
    pub right: Option<usize>,
    pub pair: Option<usize>,
}

impl<'a> View<'a> {
    /// The laws of the two processes; `wholes` has those over all batches, by cell.
    pub fn laws(&self, wholes: &'a [Option<Law>]) -> Option<Laws<'a>> {
        Some(Laws {
            whole: wholes.get(self.cell)?.as_ref()?,
            batches: &self.total.laws,
            sides: (self.left, self.right?),
        })
    }

    pub fn is_stochastic(&self) -> bool {
        self.system.ensemble.sigma > 0.0
    }

    pub fn is_prescribed(&self) -> bool {
        [Some(self.left), self.right]
            .into_iter()
            .flatten()
            .any(|p| {
                matches!(
                    self.system.ensemble.processes[p],
                    Dynamics::Prescribed { .. }
                )
            })
    }

    fn lost(&self) -> u64 {
        let processes = [Some(self.left), self.right];
        let failures = processes
            .into_iter()
            .flatten()
            .map(|p| &self.total.failures[p]);
        failures.map(|f| f.blow_ups + f.unprojected).sum()
    }

    /// A rung of one statistic at the common times.
    fn rung(&self, scenario: &Scenario, times: &[usize], values: &[(f64, f64)]) -> Rung {
        let ensemble = &self.system.ensemble;
        let save = |c: &usize| scenario.time(ensemble.save[self.system.common[*c]], ensemble.eta);
        Rung {
            eta: self.system.eta,
            n: self.total.started,
            times: times.iter().map(save).collect(),
            errors: values.iter().map(|v| vec![v.0]).collect(),
            noise: values.iter().map(|v| vec![v.1]).collect(),
            unpaired: vec![],
            influence: vec![],
            common: (0..times.len()).collect(),
            stochastic: self.is_stochastic(),
            lost: self.lost(),
        }
    }
}

impl Scenario {
    /// Whether x_0 ∈ Γ: then nothing falls.
    pub(super) fn starts_on_manifold(&self) -> bool {
        let Some(landing) = &self.landing else {
            return false;
        };
        let pairs = self.x0.iter().zip(landing);
        let (distance, size) = pairs.fold((0.0f64, 1.0f64), |(d, s), (x, l)| {
            (d.hypot(x - l), s.hypot(*l))
        });
        distance <= ON_MANIFOLD * size
    }

    /// What is expected of a pair on the slow clock.
    pub(super) fn slow_claims(&self, comparison: &Comparison, alpha: f64) -> Claims {
        let limit = |kind: ProcessKind| {
            use ProcessFamily::{ClosedForm, SlowControl, SlowSde};
            matches!(kind.family(), SlowSde | SlowControl | ClosedForm)
        };
        Claims::slow(SlowPair {
            s: self.slow_clock.s(),
            alpha,
            on_manifold: self.starts_on_manifold(),
            crossing: self.crossing,
            limit: limit(comparison.left) || limit(comparison.right),
        })
    }

    pub(super) fn judge_slow(
        &self,
        members: &[Member],
        systems: &[System],
        totals: &[Accumulator],
        exact: Option<&Exact>,
        demands: Demands,
    ) -> Vec<Findings> {
        let laws = whole_laws(totals);
        let closed = self.closed_form(members, exact);
        let judge = |(index, comparison): (usize, &Comparison)| {
            let views = self.views(index, members, systems, totals);
            self.judge_views(comparison, &views, &laws, closed, demands)
        };
        self.comparisons.iter().enumerate().map(judge).collect()
    }

    /// The closed form of the limit, by its index among the processes, where it is asked for.
    pub(super) fn closed_form<'a>(
        &self,
        members: &[Member],
        exact: Option<&'a Exact>,
    ) -> Option<(usize, &'a Exact)> {
        let closed = self.member(ProcessKind::ClosedForm, 0.0);
        members.iter().position(|m| *m == closed).zip(exact)
    }

    /// The rungs on which both processes of a comparison are known.
    pub(super) fn views<'a>(
        &self,
        comparison: usize,
        members: &[Member],
        systems: &'a [System],
        totals: &'a [Accumulator],
    ) -> Vec<View<'a>> {
        let stable = self.largest_stable_eta();
        let Comparison {
            left, right, alpha, ..
        } = self.comparisons[comparison];
        let place = |kind| {
            let member = self.member(kind, alpha);
            members.iter().position(|m| *m == member)
        };
        let view = |(cell, (system, total)): (usize, (&'a System, &'a Accumulator))| {
            let right_process = system.processes[place(right)?];
            if right_process.is_none() && right != ProcessKind::ClosedForm {
                return None;
            }
            Some(View {
                cell,
                system,
                total,
                left: system.processes[place(left)?]?,
                right: right_process,
                pair: system.pairs[comparison],
            })
        };
        let cells = systems.iter().zip(totals).enumerate();
        cells
            .filter(|(_, (s, _))| s.eta <= stable)
            .filter_map(view)
            .collect()
    }

    /// Evidence on one comparison; `laws` has the laws of every cell in Regime II.
    pub(super) fn judge_views(
        &self,
        comparison: &Comparison,
        views: &[View],
        laws: &[Option<Law>],
        closed: Option<(usize, &Exact)>,
        demands: Demands,
    ) -> Findings {
        let alpha = match self.depends_on_alpha(comparison.left) {
            true => comparison.alpha,
            false if self.depends_on_alpha(comparison.right) => comparison.alpha,
            false => 0.0,
        };
        let scales = views.last().map_or(vec![], |v| {
            let right = v.right.unwrap_or(v.left);
            limit_scales(v.system, v.total, (v.left, right))
        });
        let size = |h: usize| {
            let panel = views
                .last()
                .map(|v| v.total.panel.iter().map(|p| &p[v.left]));
            let sizes = panel.into_iter().flatten().filter(|m| m.n > 0);
            sizes.map(|m| m.mean[h].abs()).fold(0.0, f64::max)
        };
        let known = |h: usize| {
            let Some((process, exact)) =
                closed.filter(|_| comparison.right == ProcessKind::ClosedForm)
            else {
                return true;
            };
            exact.series(0, process, self.run.functions[h]).is_some()
        };
        let judged: Vec<usize> = (0..scales.len())
            .filter(|h| comparison.functions.contains(h))
            .filter(|&h| scales[h] > CONSTANT * (1.0 + size(h)) && known(h))
            .collect();
        let rungs: Vec<Rung> = views
            .iter()
            .map(|v| match v.pair {
                Some(pair) => rung(self, v.system, v.total, pair),
                None => self.closed_rung(v, closed),
            })
            .zip(views)
            .map(|(r, v)| Rung {
                lost: v.lost(),
                ..self.after_the_fall(r).only(&judged)
            })
            .collect();
        let names: Vec<String> = judged
            .iter()
            .map(|&h| self.run.functions[h].to_string())
            .collect();
        let chosen: Vec<f64> = judged.iter().map(|&h| scales[h]).collect();
        let mut ladders = vec![];
        // The law of a curve is a point, and all paths are near it: a few of them say how near.
        let prescribed = views.iter().any(View::is_prescribed);
        let demands = Demands {
            fewest_paths: if prescribed {
                FEWEST_NEAR_A_CURVE
            } else {
                demands.fewest_paths
            },
            ..demands
        };
        if !views.is_empty() && views.iter().all(|v| v.pair.is_some()) {
            ladders.extend(self.path_ladders(views));
            if !prescribed {
                ladders.extend(self.law_ladders(views, laws, &scales));
            }
            ladders.extend(self.functional_ladders(views, &scales));
        }
        let claims = match self.regime {
            Regime::Fast => Claims::uniform(self.claim(comparison)),
            Regime::Slow => self.slow_claims(comparison, alpha),
        };
        if comparison.right == ProcessKind::ClosedForm {
            ladders.extend(self.density_ladders(views));
        }
        let outcome = judge_all(&claims, &rungs, &chosen, &names, ladders, demands);
        Findings {
            judgement: outcome.judgement.of(&judged),
            ..outcome
        }
    }

    /// Departures are compared when the fall onto Γ is over, from the first common time on.
    fn after_the_fall(&self, mut rung: Rung) -> Rung {
        let first = rung.common.first().copied().unwrap_or(0);
        let functions = self.run.functions.iter().enumerate();
        for (h, _) in functions.filter(|(_, f)| f.departure().is_some()) {
            let numbers = [&mut rung.errors, &mut rung.noise, &mut rung.unpaired];
            for row in numbers
                .into_iter()
                .flat_map(|rows| rows.iter_mut().take(first))
            {
                row[h] = 0.0;
            }
        }
        rung
    }

    /// Evidence on a claim that holds at every η: expectations of two processes or of one and its law, or whole paths. Errors are in units
    /// of the natural scale at their η; at the start there are none.
    pub(super) fn judge_everywhere(
        &self,
        comparison: &Comparison,
        views: &[View],
        members: &[Member],
        exact: Option<&Exact>,
        demands: Demands,
    ) -> Findings {
        let left = self.member(comparison.left, comparison.alpha);
        let own = members.iter().position(|m| *m == left).zip(exact);
        let known = |h: usize| match (comparison.right, own) {
            (ProcessKind::ClosedForm, Some((process, exact))) => {
                exact.series(0, process, self.run.functions[h]).is_some()
            }
            (ProcessKind::ClosedForm, None) => false,
            _ => true,
        };
        let chosen = comparison.functions.iter().copied();
        let judged: Vec<usize> = chosen.filter(|&h| known(h)).collect();
        let (kind, demands) = match comparison.holds {
            Holds::PathByPath => {
                let rounding = Demands {
                    tolerance: ROUNDING,
                    negligible: ROUNDING,
                    ..demands
                };
                (Kind::Paths, rounding)
            }
            _ => (Kind::Expectations, demands),
        };
        let rungs: Vec<Rung> = views
            .iter()
            .map(|v| {
                let right = v.right.unwrap_or(v.left);
                let scales = natural_scales(v.system, v.total, (v.left, right));
                let mut r = match (v.pair, kind) {
                    (None, _) => self.closed_rung(v, own),
                    (Some(pair), Kind::Expectations) => rung(self, v.system, v.total, pair),
                    (Some(pair), Kind::Paths) => {
                        let r = rung(self, v.system, v.total, pair);
                        let mean_square = |m: &Moments, h: usize| match m.n {
                            0 => f64::NAN,
                            n => m.mean[h].powi(2) + m.squares[h] / n as f64,
                        };
                        let rows = v.total.pairs.iter().map(|p| {
                            let root = |h| mean_square(&p[pair], h).sqrt();
                            (0..scales.len()).map(root).collect()
                        });
                        let noise = vec![vec![0.0; scales.len()]; r.noise.len()];
                        Rung {
                            errors: rows.collect(),
                            noise,
                            ..r
                        }
                    }
                };
                for row in r.errors.iter_mut().chain(&mut r.noise) {
                    row.iter_mut().zip(&scales).for_each(|(e, s)| *e /= s);
                }
                let later: Vec<usize> = (0..r.times.len()).filter(|&j| r.times[j] > 0.0).collect();
                let rows = |all: &[Vec<f64>]| later.iter().map(|&j| all[j].clone()).collect();
                Rung {
                    times: later.iter().map(|&j| r.times[j]).collect(),
                    errors: rows(&r.errors),
                    noise: rows(&r.noise),
                    unpaired: vec![],
                    influence: vec![],
                    common: vec![],
                    lost: v.lost(),
                    ..r
                }
                .only(&judged)
            })
            .collect();
        let name = |&h: &usize| self.run.functions[h].to_string();
        let names: Vec<String> = judged.iter().map(name).collect();
        Findings {
            judgement: judge_everywhere(kind, &rungs, &names, demands).of(&judged),
            distances: vec![],
        }
    }

    /// Errors of means against the closed form.
    fn closed_rung(&self, view: &View, closed: Option<(usize, &Exact)>) -> Rung {
        let system = view.system;
        let series: Vec<Option<Vec<f64>>> = self
            .run
            .functions
            .iter()
            .map(|&h| closed.and_then(|(process, exact)| exact.series(view.cell, process, h)))
            .collect();
        let panel: Vec<_> = view.total.panel.iter().map(|p| &p[view.left]).collect();
        let row = |save: usize, f: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let exact = |s: &Option<Vec<f64>>| s.as_ref().map_or(f64::NAN, |s| s[save]);
            match panel[save].n {
                0 => vec![f64::NAN; series.len()],
                _ => series
                    .iter()
                    .enumerate()
                    .map(|(h, s)| f(h, exact(s)))
                    .collect(),
            }
        };
        let saves = 0..panel.len();
        Rung {
            eta: system.eta,
            n: panel.last().map_or(0, |m| m.n),
            times: system
                .ensemble
                .save
                .iter()
                .map(|&k| self.time(k, system.eta))
                .collect(),
            errors: saves
                .clone()
                .map(|j| row(j, &|h, e| panel[j].mean[h] - e))
                .collect(),
            noise: saves
                .map(|j| row(j, &|h, _| panel[j].standard_error(h)))
                .collect(),
            unpaired: vec![],
            influence: vec![],
            common: system.common.clone(),
            stochastic: system.ensemble.sigma > 0.0,
            lost: view.lost(),
        }
    }

    /// ‖left − right‖ at the end and its supremum, where both follow one Brownian path or a curve.
    fn path_ladders(&self, views: &[View]) -> Vec<Ladder> {
        let coupled = self.oracle.shares_brownian_path() || views.iter().all(View::is_prescribed);
        if !coupled {
            return vec![];
        }
        let scale = views.last().and_then(|v| {
            let paths = v.total.paths.as_ref()?;
            let spread = paths.spread.iter().filter_map(|s| s[v.right?].mean.first());
            Some(spread.copied().fold(0.0, f64::max).sqrt())
        });
        let end = |v: &View| v.system.common.len() - 1;
        let read = |moments: Option<&Moments>, variable: usize| {
            let moments = moments.filter(|m| m.n > 0);
            moments.map_or((f64::NAN, f64::NAN), |m| {
                (m.mean[variable], m.standard_error(variable))
            })
        };
        let distance = |v: &View, variable: usize| {
            let paths = v.total.paths.as_ref().zip(v.pair);
            read(paths.map(|(p, pair)| &p.distance[end(v)][pair]), variable)
        };
        // What the slow process's own step contributes.
        let step = |v: &View, variable: usize| {
            let paths = v.total.paths.as_ref().zip(v.right);
            read(paths.map(|(p, right)| &p.step[end(v)][right]), variable)
        };
        let kinds = [
            (DistanceKind::Pathwise, "RMS ‖left − right‖ at T"),
            (DistanceKind::Supremum, "RMS sup ‖left − right‖"),
        ];
        let ladder = |(i, (kind, name)): (usize, (DistanceKind, &str))| Ladder {
            kind,
            name: name.to_string(),
            function: 0,
            scale: scale.unwrap_or(1.0).max(f64::MIN_POSITIVE.sqrt()),
            floor: views
                .iter()
                .map(|v| step(v, MEAN_SQUARE + i).0.sqrt())
                .collect(),
            rungs: views
                .iter()
                .map(|v| v.rung(self, &[end(v)], &[distance(v, MEAN_SQUARE + i)]))
                .collect(),
            mean: views.iter().map(|v| distance(v, i).0).collect(),
            batches: 0,
        };
        kinds.into_iter().enumerate().map(ladder).collect()
    }

    /// The densities that the scenario states, at five of their quantiles: the share of paths below each.
    fn density_ladders(&self, views: &[View]) -> Vec<Ladder> {
        let mut ladders = vec![];
        for (m, &h) in self.run.monitored.iter().enumerate() {
            let function = self.run.functions[h];
            let Some(law) = self.known.law(function).filter(|l| l.has_density()) else {
                continue;
            };
            let shares: Vec<Vec<_>> = views
                .iter()
                .map(|v| {
                    let at = |&save: &usize| {
                        let t = self.time(v.system.ensemble.save[save], v.system.eta);
                        law.shares(t, v.system.eta, &v.total.histograms[save][v.left][m])
                    };
                    v.system.common.iter().map(at).collect()
                })
                .collect();
            for (k, p) in PROBABILITIES.into_iter().enumerate() {
                let rung = |(v, shares): (&View, &Vec<Option<Shares>>)| {
                    let times: Vec<usize> = (0..v.system.common.len()).collect();
                    let value = |s: &Option<Shares>| s.map_or((f64::NAN, f64::NAN), |s| s[k]);
                    v.rung(self, &times, &shares.iter().map(value).collect::<Vec<_>>())
                };
                ladders.push(Ladder {
                    kind: DistanceKind::Functional,
                    name: format!("share of {function} below its {:.0} % quantile", 100.0 * p),
                    function: h,
                    scale: 1.0,
                    floor: vec![f64::NAN; views.len()],
                    rungs: views.iter().zip(&shares).map(rung).collect(),
                    mean: vec![],
                    batches: 0,
                });
            }
        }
        ladders
    }

    /// Distances between laws: Kolmogorov–Smirnov and Wasserstein-1 of every monitored function, and the sliced one.
    fn law_ladders(&self, views: &[View], laws: &[Option<Law>], scales: &[f64]) -> Vec<Ladder> {
        let mut ladders = vec![];
        for (m, &h) in self.run.monitored.iter().enumerate() {
            if scales[h] <= CONSTANT {
                continue;
            }
            let name = &self.run.functions[h];
            let kinds = [
                (
                    DistanceKind::KolmogorovSmirnov,
                    format!("KS of {name}"),
                    1.0,
                ),
                (
                    DistanceKind::Wasserstein,
                    format!("W₁ of {name}"),
                    scales[h],
                ),
            ];
            for (kind, name, scale) in kinds {
                let value = |law: &Selected, time: usize| {
                    let distances = law.monitored(time, m)?;
                    Some(match kind {
                        DistanceKind::KolmogorovSmirnov => distances.kolmogorov_smirnov,
                        _ => distances.wasserstein,
                    })
                };
                ladders.push(self.law_ladder(views, laws, kind, name, scale, h, &value));
            }
        }
        if self.x0.len() >= SLICED {
            let spread = views.last().and_then(|v| {
                let spread = &v.total.paths.as_ref()?.spread;
                let last = spread.iter().filter_map(|s| s[v.right?].mean.first());
                Some(last.copied().fold(0.0, f64::max))
            });
            // The root mean square displacement along one direction.
            let scale = (spread.unwrap_or(1.0) / self.x0.len() as f64).sqrt();
            let value = |law: &Selected, time: usize| law.projected(time, |d| d.wasserstein);
            ladders.push(self.law_ladder(
                views,
                laws,
                DistanceKind::SlicedWasserstein,
                "sliced W₁".to_string(),
                scale.max(f64::MIN_POSITIVE),
                0,
                &value,
            ));
        }
        ladders
    }

    #[allow(clippy::too_many_arguments)]
    fn law_ladder(
        &self,
        views: &[View],
        laws: &[Option<Law>],
        kind: DistanceKind,
        name: String,
        scale: f64,
        function: usize,
        value: &dyn Fn(&Selected, usize) -> Option<f64>,
    ) -> Ladder {
        let batches = |v: &View| v.total.laws.len();
        let (mut rungs, mut floor) = (vec![], vec![]);
        for v in views {
            let times: Vec<usize> = (0..v.system.common.len()).collect();
            let Some(laws) = v.laws(laws) else {
                continue;
            };
            let point = |&time: &usize| laws.estimate(&|s| value(s, time));
            let values: Vec<(f64, f64)> = times.iter().map(point).collect();
            rungs.push(v.rung(self, &times, &values));
            let last = times.len() - 1;
            floor.push(laws.floor(&|s| value(s, last), false));
        }
        Ladder {
            kind,
            name,
            function,
            scale,
            floor,
            rungs,
            mean: vec![],
            batches: views.iter().map(batches).min().unwrap_or(0),
        }
    }

    /// Paired differences of the path functionals.
    fn functional_ladders(&self, views: &[View], scales: &[f64]) -> Vec<Ladder> {
        let mut ladders = vec![];
        for (m, &h) in self.run.monitored.iter().enumerate() {
            if scales[h] <= CONSTANT {
                continue;
            }
            let f = &self.run.functions[h];
            let largest = views.last().map_or(0.0, |v| {
                let panel = v.total.panel.iter().map(|p| &p[v.left]).filter(|m| m.n > 0);
                panel.map(|m| m.mean[h].abs()).fold(0.0, f64::max)
            });
            let kinds = [
                (format!("max of {f}"), scales[h]),
                (format!("share of time with {f} above its start"), 1.0),
                (
                    format!("{f} at T/2 times at T"),
                    scales[h] * (largest + scales[h]),
                ),
            ];
            for (kind, (name, scale)) in kinds.into_iter().enumerate() {
                let variable = m * FUNCTIONALS + kind;
                let value = |v: &View| {
                    let moments = v.total.paths.as_ref().zip(v.pair);
                    let moments = moments.map(|(p, pair)| &p.functional_pairs[pair]);
                    moments
                        .filter(|m| m.n > 0)
                        .map_or((f64::NAN, f64::NAN), |m| {
                            (m.mean[variable], m.standard_error(variable))
                        })
                };
                ladders.push(Ladder {
                    kind: DistanceKind::Functional,
                    name,
                    function: h,
                    scale,
                    floor: vec![f64::NAN; views.len()],
                    rungs: views
                        .iter()
                        .map(|v| v.rung(self, &[v.system.common.len() - 1], &[value(v)]))
                        .collect(),
                    mean: vec![],
                    batches: 0,
                });
            }
        }
        ladders
    }
}

/// The laws over all batches of every cell.
pub(super) fn whole_laws(totals: &[Accumulator]) -> Vec<Option<Law>> {
    totals.iter().map(|t| Law::whole(&t.laws)).collect()
}
