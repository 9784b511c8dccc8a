//! From accumulators to the result that is stored.

use super::exact::Exact;
use super::system::{Member, System};
use super::{ProcessKind, Scenario};
use crate::clocks::Steps;
use crate::ensemble::{Accumulator, Block, BlockView, CoMoments, Dynamics, Observer};
use crate::landscape::broadcast;
use crate::projection::{Projector, Tangent};
use crate::real::{LANES, Lanes};
use crate::report::result::*;
use crate::theorems::slow_limit::SlowJudgement;
use nalgebra::DVector;
use rayon::prelude::*;

/// Coverage of the pointwise intervals of means.
const POINTWISE: f64 = 0.95;

/// Whole paths that are drawn, and at most how many points of each.
const SAMPLE_PATHS: u64 = 4;
const SAMPLE_POINTS: u64 = 400;

/// Paths and frames of a cloud, and steps across the window in which Γ is traced.
const CLOUD_PATHS: u64 = 256;
const CLOUD_FRAMES: u64 = 48;
const TRACE_STEPS: f64 = 200.0;

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
        outcomes: Vec<SlowJudgement>,
        effort: Effort,
    ) -> ScenarioResult {
        let cells = systems
            .iter()
            .zip(totals)
            .enumerate()
            .map(|(c, (s, t))| self.cell(c, s, t, exact.as_ref()))
            .collect();
        let comparisons: Vec<Comparison> = self
            .comparisons
            .iter()
            .zip(outcomes)
            .map(
                |(
                    c,
                    SlowJudgement {
                        judgement: j,
                        distances,
                    },
                )| {
                    let (left, right) =
                        (self.member(c.left, c.alpha), self.member(c.right, c.alpha));
                    let claim = self.claim(c);
                    let place = |m| members.iter().position(|x| *x == m).unwrap_or(0);
                    let depends = self.depends_on_alpha(c.left) || self.depends_on_alpha(c.right);
                    let suffix = if depends {
                        format!(" α={}", c.alpha)
                    } else {
                        String::new()
                    };
                    Comparison {
                        id: format!("{}~{}{suffix}", c.left.key(), c.right.key()),
                        left: place(left),
                        right: place(right),
                        alpha: c.alpha,
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
                        limit: j.limit,
                        functions: j.functions,
                        distances,
                        exact: exact
                            .as_ref()
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
            // Large enough an η for the fluctuations around Γ to be seen.
            .get(systems.len().saturating_sub(1).min(1))
            .filter(|_| self.regime == Regime::Slow && self.x0.len() == 2)
            .map(|s| self.clouds(s));
        let contours = paths
            .as_ref()
            .and_then(|p| self.contours(&p.positions, &clouds));
        let mut notes: Vec<String> = comparisons.iter().filter_map(exact_note).collect();
        notes.extend(self.notes(members, totals, systems));
        ScenarioResult {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_string(),
            scenario: ScenarioInfo {
                name: self.name.clone(),
                title: self.title.clone(),
                claim: self.claim.clone(),
                about: self.about.trim().to_string(),
                profile: self.profile.name().to_string(),
                seed: self.run.seed,
                settings: self.settings.clone(),
                dimension: self.x0.len(),
                regime: self.regime,
                horizon: self.run.horizon,
            },
            processes: members.iter().map(|m| self.describe(*m)).collect(),
            functions: self.run.functions.iter().map(|f| f.to_string()).collect(),
            cells,
            comparisons,
            sample_paths: paths,
            contours,
            clouds,
            notes,
            effort,
        }
    }

    fn cell(
        &self,
        index: usize,
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
            .enumerate()
            .map(|(global, local)| match local {
                Some(local) => self.process(index, global, *local, system, total, &times, exact),
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

    #[allow(clippy::too_many_arguments)]
    fn process(
        &self,
        cell: usize,
        global: usize,
        local: usize,
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
            Dynamics::LimitingSde { .. } | Dynamics::SlowSde { .. }
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

    /// L on a grid around the sample paths and clouds, in two dimensions.
    fn contours(
        &self,
        paths: &[Vec<Vec<Vec<f64>>>],
        clouds: &Option<Clouds>,
    ) -> Option<ContourGrid> {
        if self.x0.len() != 2 {
            return None;
        }
        let clouds = clouds.iter().flat_map(|c| &c.positions);
        let points: Vec<&Vec<f64>> = paths.iter().chain(clouds).flatten().flatten().collect();
        let axis = |i: usize| -> Option<Vec<f64>> {
            let (low, high) = window(points.iter().map(|p| p[i]))?;
            let pad = 0.12 * (high - low).max(1e-3);
            let n = 121;
            let step = (high - low + 2.0 * pad) / (n - 1) as f64;
            Some((0..n).map(|k| low - pad + step * k as f64).collect())
        };
        let (x, y) = (axis(0)?, axis(1)?);
        let value = |point: [f64; 2]| {
            let mut out = [Lanes::ZERO];
            self.oracle.landscape.values(&broadcast(&point), &mut out);
            out[0].to_array()[0]
        };
        let values = y
            .iter()
            .map(|&b| x.iter().map(|&a| value([a, b])).collect())
            .collect();
        Some(ContourGrid { x, y, values })
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
                true => "holds, since η_k = η λ at slow time kη²",
                false => "fails, since η_k is not a function of slow time",
            },
            constants.join(" and ")
        )
    }

    fn notes(&self, members: &[Member], totals: &[Accumulator], systems: &[System]) -> Vec<String> {
        let mut notes = vec![];
        // One member for each momentum index.
        let mut families: Vec<Member> = members
            .iter()
            .filter(|m| m.kind.rates(self.dampening).is_some() && self.depends_on_alpha(m.kind))
            .copied()
            .collect();
        families.sort_by(|a, b| a.alpha.total_cmp(&b.alpha));
        families.dedup_by_key(|m| m.alpha);
        for member in families {
            let Some(schedule) = self.schedule(member, self.run.etas[0]) else {
                continue;
            };
            let alpha = member.alpha;
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
        if !self.oracle.shares_brownian_path() && members.iter().any(|m| m.kind == ProcessKind::Sde)
        {
            notes.push(
                "The noise is not Gaussian: the SDE runs on a Brownian path of its own, and its comparisons are between independent ensembles.".to_string(),
            );
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

/// The ends of the finite values.
fn window(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    (low <= high).then_some((low, high))
}

/// The first coordinates of a few paths: `positions[process][path][time]`.
type Positions = Vec<Vec<Vec<Vec<f64>>>>;

/// Keeps those of the first paths of a block.
struct Recorder {
    paths: usize,
    positions: Positions,
}

impl Observer for Recorder {
    fn observe(&mut self, _save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        for (process, paths) in self.positions.iter_mut().enumerate() {
            let state = view.state(process);
            paths.resize(self.paths, vec![]);
            for (i, path) in paths.iter_mut().enumerate() {
                let group = &state[i / LANES * d..(i / LANES + 1) * d];
                path.push(
                    group
                        .iter()
                        .take(2)
                        .map(|x| x.to_array()[i % LANES])
                        .collect(),
                );
            }
        }
    }

    fn finish(&mut self, _view: &BlockView<'_>) {}
}

impl Scenario {
    /// Runs the paths first, …, first + count − 1 of the ensemble once more, at most one block of them, and looks at the
    /// iterates themselves at the given number of evenly spaced steps: the steps, and `positions[process][path][time]`.
    fn record(
        &self,
        system: &System,
        first: u64,
        count: u64,
        points: u64,
    ) -> (Vec<f64>, Positions) {
        let mut ensemble = system.ensemble.clone();
        let steps = ensemble.save.last().map_or(0, |k| k.0);
        let mut period = 1;
        if let Some(slow) = &mut ensemble.slow {
            slow.landed = false;
            period = slow.grid.period();
        }
        // Whole periods, from the start to the end.
        let periods = steps / period;
        let points = points.min(periods).max(1);
        let at = |i: u64| Steps((2 * i * periods + points) / (2 * points) * period);
        ensemble.save = (0..=points).map(at).collect();
        let times = ensemble
            .save
            .iter()
            .map(|&k| self.time(k, system.eta))
            .collect();
        // The coupled trajectory has weights for the old save steps only, a prescribed curve its points: they are left out.
        let drawn =
            |p: &Dynamics| !matches!(p, Dynamics::Coupled { .. } | Dynamics::Prescribed { .. });
        ensemble.processes.retain(drawn);
        ensemble.active = vec![true; ensemble.processes.len()];
        let mut block = Block::new(&ensemble);
        let count = count.min(block.paths());
        let mut recorder = Recorder {
            paths: count as usize,
            positions: vec![vec![]; ensemble.processes.len()],
        };
        block.run(&ensemble, first, count, &mut recorder);
        let mut recorded = recorder.positions.into_iter();
        let positions = system.processes.iter().map(|local| {
            local
                .filter(|&l| drawn(&system.ensemble.processes[l]))
                .and_then(|_| recorded.next())
                .unwrap_or_default()
        });
        (times, positions.collect())
    }

    /// The first paths with many save times.
    fn sample_paths(&self, system: &System) -> SamplePaths {
        let (times, positions) = self.record(system, 0, SAMPLE_PATHS, SAMPLE_POINTS);
        SamplePaths {
            eta: system.eta,
            times,
            positions,
        }
    }

    /// Many paths with few save times, and Γ around them.
    fn clouds(&self, system: &System) -> Clouds {
        let block = system.ensemble.block_paths();
        let blocks = CLOUD_PATHS.div_ceil(block);
        let parts: Vec<_> = (0..blocks)
            .into_par_iter()
            .map(|b| self.record(system, b * block, block, CLOUD_FRAMES))
            .collect();
        let times = parts.first().map_or(vec![], |p| p.0.clone());
        // Figures need five digits.
        let rounded = |x: f64| (1e5 * x).round() / 1e5;
        let processes = 0..system.processes.len();
        let positions: Positions = processes
            .map(|process| {
                let paths = || parts.iter().flat_map(|p| &p.1[process]);
                if paths().next().is_none() {
                    return vec![];
                }
                let at = |j: usize| -> Vec<Vec<f64>> {
                    let points = paths().take(CLOUD_PATHS as usize).map(|p| &p[j]);
                    points
                        .map(|p| p.iter().map(|&x| rounded(x)).collect())
                        .collect()
                };
                (0..times.len()).map(at).collect()
            })
            .collect();
        let axis = |i: usize| window(positions.iter().flatten().flatten().map(|p| p[i]));
        let manifold = match (axis(0), axis(1), &self.landing) {
            (Some(x), Some(y), Some(landing)) => self.trace(landing, [x, y]),
            _ => vec![],
        };
        Clouds {
            eta: system.eta,
            times,
            positions,
            manifold,
        }
    }

    /// The connected part of a one-dimensional Γ through a point, as far as a window and a margin around it reach.
    fn trace(&self, start: &[f64], window: [(f64, f64); 2]) -> Vec<Vec<Vec<f64>>> {
        let landscape = &*self.oracle.landscape;
        let projector = Projector::new(landscape, self.projection());
        let size = window.iter().map(|(l, h)| h - l).fold(1e-3, f64::max);
        let inside = |p: &DVector<f64>| {
            let margin = 0.15 * size;
            window
                .iter()
                .zip(p.iter())
                .all(|((l, h), x)| *x >= l - margin && *x <= h + margin)
        };
        let start = DVector::from_column_slice(start);
        let step = size / TRACE_STEPS;
        let walk = |sign: f64| -> (Vec<DVector<f64>>, bool) {
            let mut points = vec![];
            let (mut p, mut before): (_, Option<DVector<f64>>) = (start.clone(), None);
            for i in 0..(20.0 * TRACE_STEPS) as usize {
                let Some(direction) = Tangent::new(landscape, &p)
                    .ok()
                    .filter(|t| t.rank() == 1)
                    .map(|t| t.basis().column(0).into_owned())
                else {
                    break;
                };
                let along = before.as_ref().map_or(sign, |b| b.dot(&direction).signum());
                let direction = direction * along;
                let Ok(landing) = projector.land(&(&p + &direction * step)) else {
                    break;
                };
                p = landing.point;
                before = Some(direction);
                if !inside(&p) {
                    break;
                }
                points.push(p.clone());
                if i > 3 && (&p - &start).norm() < 0.6 * step {
                    return (points, true);
                }
            }
            (points, false)
        };
        let (forward, closed) = walk(1.0);
        let mut line: Vec<DVector<f64>> = vec![];
        if !closed {
            line.extend(walk(-1.0).0.into_iter().rev());
        }
        line.push(start.clone());
        line.extend(forward);
        vec![line.iter().map(|p| p.as_slice().to_vec()).collect()]
    }
}
