//! From accumulators to the result that is stored.

use super::exact::Exact;
use super::slow::whole_laws;
use super::system::{Member, System};
use super::{ProcessKind, Scenario};
use crate::clocks::clock_name;
use crate::ensemble::{Accumulator, CoMoments, Dynamics};
use crate::report::result::*;
use crate::theorems::everywhere::ROUNDING;
use crate::theorems::slow_limit::Findings;

/// Coverage of the pointwise intervals of means.
const POINTWISE: f64 = 0.95;

/// Steps of a schedule over which the variation of Assumption 5.4 is summed up.
const MOST_VARIED: u64 = 20_000_000;

/// Probabilities of the quantile bands.
const PROBABILITIES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

impl Scenario {
    pub(super) fn summarize(
        &self,
        members: &[Member],
        systems: &[System],
        totals: &[Accumulator],
        exact: &Option<Exact>,
        outcomes: Vec<Findings>,
        effort: Effort,
    ) -> ScenarioResult {
        let cells = systems
            .iter()
            .zip(totals)
            .enumerate()
            .map(|(c, (s, t))| self.cell(c, members, s, t, exact.as_ref()))
            .collect();
        let laws = whole_laws(totals);
        let comparisons: Vec<Comparison> = self
            .comparisons
            .iter()
            .zip(outcomes)
            .enumerate()
            .map(
                |(
                    index,
                    (
                        c,
                        Findings {
                            judgement: j,
                            distances,
                        },
                    ),
                )| {
                    let views = self.views(index, members, systems, totals);
                    let (left, right) =
                        (self.member(c.left, c.alpha), self.member(c.right, c.alpha));
                    let claim = self.claim(c);
                    let place = |m| members.iter().position(|x| *x == m).unwrap_or(0);
                    let depends = self.depends_on_alpha(c.left) || self.depends_on_alpha(c.right);
                    let mut id = format!("{}~{}", c.left.key(), c.right.key());
                    if depends {
                        id += &format!(" α={}", c.alpha);
                    }
                    id += &self.scope_of(c);
                    Comparison {
                        id,
                        left: place(left),
                        right: place(right),
                        alpha: c.alpha,
                        holds: c.holds,
                        expected: c.expected,
                        verdict: j.verdict,
                        reason: j.reason,
                        guaranteed_order: claim.guaranteed_order,
                        epsilon_power: claim
                            .generators
                            .iter()
                            .copied()
                            .find(|g| *g > 0.0)
                            .unwrap_or(1.0),
                        level: j.limit.level,
                        tolerance: match c.holds {
                            Holds::PathByPath => ROUNDING,
                            _ => self.run.tolerance,
                        },
                        negligible: match c.holds {
                            Holds::PathByPath => ROUNDING,
                            _ => self.run.negligible,
                        },
                        paths_factor: j.paths_factor,
                        speed_up: j.speed_up,
                        limits: j.functions.len() * self.run.times,
                        effective_limits: j.effective_limits,
                        limit: j.limit,
                        functions: j.functions,
                        distances,
                        laws: self.law_distances(&views, &laws),
                        closeness: self.closeness(&views),
                        exact: exact
                            .as_ref()
                            .filter(|_| c.holds == Holds::InTheLimit)
                            .map_or(vec![], |e| self.exact_ladder(left, right, e)),
                    }
                },
            )
            .collect();
        let paths = systems
            .iter()
            .rev()
            .find(|s| s.processes.iter().all(Option::is_some))
            .or(systems.last())
            .map(|s| self.sample_paths(s));
        let clouds = systems
            // Large enough an η for the fluctuations around Γ, and the differences of processes, to be seen.
            .get(systems.len().saturating_sub(1).min(1))
            .filter(|_| self.x0.len() == 2)
            .map(|s| self.clouds(s));
        let contours = paths
            .as_ref()
            .and_then(|p| self.contours(&p.positions, &clouds));
        let mut notes: Vec<String> = comparisons.iter().filter_map(exact_note).collect();
        notes.extend(comparisons.iter().filter_map(|c| self.closeness_note(c)));
        notes.extend(self.notes(members, totals, systems));
        ScenarioResult {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_string(),
            scenario: ScenarioInfo {
                name: self.name.clone(),
                title: self.title.clone(),
                claim: self.claim.clone(),
                paper: self.paper.clone(),
                about: self.about.trim().to_string(),
                profile: self.profile.name().to_string(),
                seed: self.run.seed,
                settings: self.settings.clone(),
                dimension: self.x0.len(),
                regime: self.regime,
                clock_exponent: match self.regime {
                    Regime::Fast => 1.0,
                    Regime::Slow => self.slow_clock.exponent(),
                },
                horizon: self.run.horizon,
            },
            processes: members.iter().map(|m| self.describe(*m)).collect(),
            functions: self.run.functions.iter().map(|f| f.to_string()).collect(),
            cells,
            comparisons,
            sample_paths: paths,
            contours,
            clouds,
            hand_over: self.hand_over(members, systems),
            fall: self.fall(),
            notes,
            effort,
            machine: Machine::here(),
            kept_paths: None,
        }
    }

    /// What sets a comparison apart from others of the same pair: where it holds, and the functions if they are not all.
    fn scope_of(&self, c: &super::Comparison) -> String {
        let mut scope = match c.holds {
            Holds::InTheLimit => "",
            Holds::AtEveryEta => ", every η",
            Holds::PathByPath => ", path by path",
        }
        .to_string();
        if c.functions.len() < self.run.functions.len() {
            let names = c
                .functions
                .iter()
                .map(|&h| self.run.functions[h].to_string());
            scope += &format!(", {}", names.collect::<Vec<_>>().join(", "));
        }
        if c.exact {
            scope += ", exact moments";
        }
        scope
    }

    fn cell(
        &self,
        index: usize,
        members: &[Member],
        system: &System,
        total: &Accumulator,
        exact: Option<&Exact>,
    ) -> Cell {
        let times: Vec<f64> = system
            .ensemble
            .save
            .iter()
            .map(|&k| self.time(k, system.eta))
            .collect();
        let processes = system
            .processes
            .iter()
            .zip(members)
            .enumerate()
            .map(|(global, (local, member))| match local {
                Some(local) => {
                    let places = (index, global, *local);
                    self.process(places, member.kind, system, total, &times, exact)
                }
                None => self.without_paths(index, global, exact),
            })
            .collect();
        Cell {
            eta: system.eta,
            sigma: system.ensemble.sigma,
            steps: system.ensemble.save.last().map_or(0, |k| k.0),
            paths: total.started,
            times,
            processes,
        }
    }

    /// Whether a density that the scenario states is drawn with the histograms of a process: with the SDE's, or where that does
    /// not run with those that are compared with the law.
    fn shows_stated_law(&self, kind: ProcessKind) -> bool {
        let is_limit = |k: ProcessKind| match self.regime {
            Regime::Fast => k == ProcessKind::Sde,
            Regime::Slow => k.family() == ProcessFamily::SlowSde,
        };
        let runs = |c: &&super::Comparison| is_limit(c.left) || is_limit(c.right);
        match self.comparisons.iter().find(runs) {
            Some(_) => is_limit(kind),
            None => self
                .comparisons
                .iter()
                .any(|c| c.left == kind && c.right == ProcessKind::ClosedForm),
        }
    }

    /// A process that does not run at this η, or is known in closed form only.
    fn without_paths(&self, cell: usize, global: usize, exact: Option<&Exact>) -> ProcessSummary {
        let series = |e: &Exact| -> Vec<Option<Vec<f64>>> {
            let functions = self.run.functions.iter();
            functions.map(|&h| e.series(cell, global, h)).collect()
        };
        ProcessSummary {
            exact: exact.map(series).filter(|s| s.iter().any(Option::is_some)),
            ..ProcessSummary::default()
        }
    }

    fn process(
        &self,
        (cell, global, local): (usize, usize, usize),
        kind: ProcessKind,
        system: &System,
        total: &Accumulator,
        times: &[f64],
        exact: Option<&Exact>,
    ) -> ProcessSummary {
        let functions = &self.run.functions;
        let panel: Vec<&CoMoments> = total.panel.iter().map(|p| &p[local]).collect();
        let n = panel.last().map_or(0, |m| m.n);
        let column = |f: &dyn Fn(&CoMoments) -> f64| -> Vec<f64> {
            panel
                .iter()
                .map(|m| if m.n == 0 { f64::NAN } else { f(m) })
                .collect()
        };
        let all = 0..functions.len();
        let means = all
            .clone()
            .map(|h| {
                let value = column(&|m| m.mean[h]);
                EstimateSeries::normal(value, column(&|m| m.standard_error(h)), POINTWISE, n)
            })
            .collect();
        let is_sde = matches!(
            system.ensemble.processes[local],
            Dynamics::LimitingSde { .. } | Dynamics::InertialSde { .. } | Dynamics::SlowSde { .. }
        );
        let step_error = is_sde.then(|| {
            let moments: Vec<_> = total.step_error.iter().map(|s| &s[local]).collect();
            let column = |f: &dyn Fn(&crate::ensemble::Moments) -> f64| -> Vec<f64> {
                moments
                    .iter()
                    .map(|m| if m.n == 0 { f64::NAN } else { f(m) })
                    .collect()
            };
            all.clone()
                .map(|h| {
                    let value = column(&|m| m.mean[h]);
                    EstimateSeries::normal(value, column(&|m| m.standard_error(h)), POINTWISE, n)
                })
                .collect()
        });
        let shown = shown_times(&system.common);
        let mut quantiles = vec![];
        let mut histograms = vec![];
        for (m, &h) in self.run.monitored.iter().enumerate() {
            let at = |save: usize| &total.histograms[save][local][m];
            let band = |p: f64| {
                (0..times.len())
                    .map(|j| at(j).quantile(p).unwrap_or(f64::NAN))
                    .collect()
            };
            quantiles.push(QuantileBand {
                function: h,
                probabilities: PROBABILITIES.to_vec(),
                values: PROBABILITIES.iter().map(|&p| band(p)).collect(),
            });
            // The law of a prescribed curve is a point: there is no density to draw.
            let random = !matches!(
                system.ensemble.processes[local],
                Dynamics::Prescribed { .. }
            );
            for &save in shown.iter().filter(|_| random) {
                let (origin, width, counts) = at(save).bins();
                histograms.push(Histogram {
                    function: h,
                    time: times[save],
                    origin,
                    width,
                    counts: counts.to_vec(),
                    gaussian: exact.and_then(|e| e.gaussian_law(cell, global, save, functions[h])),
                    density: match self.shows_stated_law(kind) {
                        true => self
                            .known
                            .law(functions[h])
                            .map_or(vec![], |law| law.curve(times[save], system.eta, at(save))),
                        false => vec![],
                    },
                });
            }
        }
        let last = panel.last();
        ProcessSummary {
            means,
            exact: exact.map(|e| {
                functions
                    .iter()
                    .map(|&h| e.series(cell, global, h))
                    .collect()
            }),
            deviations: all
                .clone()
                .map(|h| column(&|m| m.covariance(h, h).sqrt()))
                .collect(),
            final_correlation: last.filter(|m| m.n > 1).map_or(vec![], |m| correlation(m)),
            least: all.clone().map(|h| column(&|m| m.least[h])).collect(),
            greatest: all.map(|h| column(&|m| m.greatest[h])).collect(),
            quantiles,
            histograms,
            step_error,
            failures: total.failures.get(local).copied().unwrap_or_default(),
        }
    }

    /// The largest C of C-closeness at the smallest η.
    fn closeness_note(&self, comparison: &Comparison) -> Option<String> {
        let last = |c: &Closeness| Some((c.function, *c.points.last()?));
        let ends: Vec<_> = comparison.closeness.iter().filter_map(last).collect();
        let (function, point) = ends
            .iter()
            .max_by(|a, b| a.1.factor.value.total_cmp(&b.1.factor.value))?;
        let names: Vec<String> = ends
            .iter()
            .map(|(h, _)| self.run.functions[*h].to_string())
            .collect();
        Some(format!(
            "{}: C-close in {} with C = {:.4} ({:.4} to {:.4}, in {} at t = {:.3}) at η = {}.",
            comparison.id,
            names.join(", "),
            point.factor.value,
            point.factor.lower,
            point.factor.upper,
            self.run.functions[*function],
            point.time,
            point.eta
        ))
    }

    /// What Assumptions 5.3 and 5.4 come to at the ends of the ladder.
    fn slow_assumptions(&self, member: Member) -> String {
        let timed = self.learning_rate.limit(0.0, self.run.horizon).is_some();
        let etas = [self.run.etas.first(), self.run.etas.last()];
        let variation = |eta: &f64| {
            let schedule = self.schedule(member, *eta)?;
            let steps = schedule.steps().0;
            (steps <= MOST_VARIED).then(|| (*eta, schedule.variation().constant))
        };
        let constants: Vec<String> = etas
            .into_iter()
            .flatten()
            .filter_map(variation)
            .map(|(eta, q)| format!("{q:.3} at η = {eta}"))
            .collect();
        format!(
            "Assumptions at α = {}: 5.3 {}; 5.4 holds with Q = {}.",
            member.alpha,
            match timed {
                true => format!(
                    "holds, since η_k = η λ at slow time {}",
                    clock_name(self.slow_clock.exponent())
                ),
                false => "fails, since η_k is not a function of slow time".to_string(),
            },
            constants.join(" and ")
        )
    }

    fn notes(&self, members: &[Member], totals: &[Accumulator], systems: &[System]) -> Vec<String> {
        let mut notes: Vec<String> = self.known.note().into_iter().collect();
        // One member for each momentum index.
        let mut families: Vec<Member> = members
            .iter()
            .filter(|m| m.kind.rates(self.dampening).is_some() && self.depends_on_alpha(m.kind))
            .copied()
            .collect();
        families.sort_by(|a, b| a.alpha.total_cmp(&b.alpha));
        families.dedup_by_key(|m| (m.alpha.to_bits(), m.kind == ProcessKind::SgdmInertial));
        for member in families {
            let Some(schedule) = self.schedule(member, self.run.etas[0]) else {
                continue;
            };
            let alpha = member.alpha;
            if member.kind == ProcessKind::SgdmInertial {
                notes.push(format!(
                    "SGDM at α = {alpha} on the clock on which it moves: with s = η^{{2/(1+α)}}, η_k = s λ, 1 − β_k = s^α μ and t = k s^{{(1+α)/2}} = kη; \
                     σ = η^{{-1/2}} is s^{{-(1+α)/4}}."
                ));
                continue;
            }
            if self.regime == Regime::Slow {
                notes.push(self.slow_assumptions(member));
            }
            let c = schedule.constants();
            notes.push(format!(
                "Schedule family at α = {alpha} (Def. 4.1): 0 ≤ η_k ≤ {}·η and {}·η^α ≤ 1 − β_k ≤ {}·η^α.",
                c.eta_max, c.lambda_min, c.lambda_max
            ));
        }
        let stable = self.largest_stable_eta();
        if self.run.etas[0] > stable {
            notes.push(format!(
                "η above {stable:.3e} is shown but not judged: there ηλ‖∇²L(x_0)‖ > 1, outside the regime of small learning rates."
            ));
        }
        if let crate::oracle::Innovation::Student { freedom, .. } = self.oracle.noise.innovation() {
            notes.push(format!(
                "Assumption 4.3 asks for all moments of the noise; Student's t with ν = {freedom} has only those of order below ν."
            ));
        }
        if self.svag {
            let largest = self.svag_multiplier(self.run.etas[self.run.etas.len() - 1]);
            notes.push(format!(
                "SVAG (Def. 6.1): ℓ = {}/η runs from 1 to {largest}; at ℓ a step is taken at the ℓ-th part of the largest learning rate, there \
                 are ℓ times as many, and the noise is √ℓ times as large.",
                self.run.etas[0]
            ));
        }
        let shared = self.oracle_at(self.run.etas[0]).shares_brownian_path();
        if !shared
            && members
                .iter()
                .any(|m| m.kind.family() == ProcessFamily::Sde)
        {
            let why = match self.svag {
                true => "SVAG mixes two draws",
                false => "The noise is not Gaussian",
            };
            notes.push(format!(
                "{why}: the SDE runs on a Brownian path of its own, and its comparisons are between independent ensembles."
            ));
        }
        for (index, member) in members.iter().enumerate() {
            // One line a process: its worst η.
            let worst = systems
                .iter()
                .zip(totals)
                .filter_map(|(s, t)| Some((s, t, t.failures.get(s.processes[index]?)?)))
                .max_by_key(|(_, _, f)| f.exits + f.blow_ups + f.unprojected);
            let lost = |f: &Failures| f.exits + f.blow_ups + f.unprojected > 0;
            if let Some((system, total, f)) = worst.filter(|(_, _, f)| lost(f)) {
                let unprojected = match f.unprojected {
                    0 => String::new(),
                    n => format!(", {n} could not be projected onto Γ"),
                };
                let (path, step) = f.first.unwrap_or_default();
                notes.push(format!(
                    "{}: at most {} of {} paths left the compact set and {} blew up{unprojected} at one η (η = {}; first path {path} by step {step}).",
                    self.describe(*member).label,
                    f.exits,
                    total.started,
                    f.blow_ups,
                    system.eta
                ));
            }
        }
        notes
    }
}

/// What exact moments say of a comparison at the smallest η, without sampling.
fn exact_note(comparison: &Comparison) -> Option<String> {
    let eta = *comparison.exact.first()?.etas.last()?;
    let scale = |function: usize| comparison.functions.iter().find(|f| f.function == function);
    let (mut error, mut slow, mut fast) = (0.0f64, f64::INFINITY, f64::NEG_INFINITY);
    for ladder in &comparison.exact {
        let last = *ladder.errors.last()?;
        error = error.max(last / scale(ladder.function)?.scale);
        if let Some(&slope) = ladder.slopes.last().filter(|_| last > 0.0) {
            slow = slow.min(slope);
            fast = fast.max(slope);
        }
    }
    let orders = if slow <= fast {
        // No "-0.000".
        let tidy = |x: f64| (1000.0 * x).round() / 1000.0 + 0.0;
        format!(", with local orders {:.3} to {:.3}", tidy(slow), tidy(fast))
    } else {
        String::new()
    };
    Some(format!(
        "{}: by exact moments alone every error at η = 2^{:.0} is at most {error:.1e} of its scale{orders} (guaranteed: {}).",
        comparison.id,
        eta.log2(),
        comparison.guaranteed_order
    ))
}

/// A third, two thirds and the end of the common times.
fn shown_times(common: &[usize]) -> Vec<usize> {
    let n = common.len();
    let mut shown: Vec<usize> = [n.div_ceil(4), n.div_ceil(2), n]
        .into_iter()
        .filter_map(|c| common.get(c.checked_sub(1)?).copied())
        .collect();
    shown.dedup();
    shown
}

fn correlation(m: &CoMoments) -> Vec<f64> {
    let size = m.mean.len();
    let deviation = |i: usize| m.covariance(i, i).sqrt();
    (0..size * size)
        .map(|k| {
            let (i, j) = (k / size, k % size);
            let scale = deviation(i) * deviation(j);
            if scale > 0.0 {
                m.covariance(i, j) / scale
            } else {
                0.0
            }
        })
        .collect()
}
