//! Theorem 4.5: are two processes weak approximations of each other (Def. 4.4)?
//!
//! The theorem bounds max_k |E h(x_k) − E h(z_k)| by C η^{(1−α)/2}; it says nothing about the slope that a finite ladder
//! shows, which may lie below the guaranteed order for all η within reach (theory §4). What it does say is that the error
//! vanishes as η → 0. So the check extrapolates the signed error of every test function at every common time to η → 0 and
//! asks whether the limits are 0. Their intervals hold together, at the quantile of the largest of all their errors (a
//! max-statistic), whose joint law is known from batches of paths:
//!
//! * **refuted** — some limit differs from 0 by more than its simultaneous interval and by more than a negligible part of
//!   the function's natural scale;
//! * **consistent** — every limit lies within the tolerance, its whole interval included;
//! * **inconclusive** — anything else: wide intervals, blow-ups, too few learning rates, or a limit that hangs on the
//!   largest η: one that does not stand without the coarsest one and two rungs, or an error that still falls faster and
//!   faster along the ladder. Extrapolating that would call a limit what is only a late start.

use crate::ensemble::BATCHES;
use crate::report::result::{ErrorPoint, Estimate, FunctionCheck, SlopePoint, Verdict};
use crate::statistics::{
    ErrorColumn, PowerSeries, bonferroni_quantile, effective_tests, normal_quantile, order,
    student_widening,
};

/// Paths from which on normal intervals are trusted.
pub const NORMAL_PATHS: u64 = 100;

/// Factor on the paths where a limit stands on the whole ladder but not yet without its largest η.
const FRAGILE_FACTOR: f64 = 4.0;

/// What is asked of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demands {
    /// Simultaneous coverage of the intervals of one comparison, e.g. 0.998.
    pub level: f64,
    /// Limits within this part of a function's natural scale pass.
    pub tolerance: f64,
    /// Limits below this part of the scale do not refute, however precisely they are known.
    pub negligible: f64,
    /// Whether the errors are mean squares: scales, tolerance and negligible part are squares too, and limit and reason are
    /// given as roots.
    pub squares: bool,
    /// Paths below which there is no verdict. Below [`NORMAL_PATHS`] intervals are widened to Student's.
    pub fewest_paths: u64,
    /// The [effective number](effective_limits) of limits that share the level, where it is known from several comparisons: theirs
    /// together, per comparison.
    pub limits: Option<f64>,
    /// Sampling goes on until it contributes at most this much, in units of the scale, to the half-width of every limit.
    pub precision: Option<f64>,
}

impl Demands {
    /// The farthest that an interval reaches from 0; squares are not negative.
    fn reach(self, e: Estimate) -> f64 {
        if self.squares {
            e.upper.max(0.0)
        } else {
            e.value.abs() + (e.upper - e.value)
        }
    }

    /// A part of the scale as it is shown.
    fn shown(self, part: f64) -> f64 {
        if self.squares {
            part.signum() * part.abs().sqrt()
        } else {
            part
        }
    }
}

/// The claim that `left` and `right` have the same limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Order that the theorem guarantees, e.g. (1−α)/2.
    pub guaranteed_order: f64,
    /// Exponents whose products make up the error expansion: 1 − α, and 1 where a time step of η plays a part.
    pub generators: Vec<f64>,
}

/// Paired errors at one η.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Learning-rate scale.
    pub eta: f64,
    /// Paths.
    pub n: u64,
    /// Fast times of all save steps.
    pub times: Vec<f64>,
    /// `errors[time][function]`: E h(left) − E h(right).
    pub errors: Vec<Vec<f64>>,
    /// Their standard errors.
    pub noise: Vec<Vec<f64>>,
    /// What they would be with independent noise on the two sides; empty where one side is exact.
    pub unpaired: Vec<Vec<f64>>,
    /// `influence[time][function]`: what each batch of paths contributes to the error; empty where that is not known.
    pub influence: Vec<Vec<Vec<f64>>>,
    /// Indices into `times` of the common times, on which the limit is taken; as many on every rung.
    pub common: Vec<usize>,
    /// Whether there is noise: without it one path is enough.
    pub stochastic: bool,
    /// Paths lost in either process, to blow-ups or (Regime II) failed projections.
    pub lost: u64,
}

impl Rung {
    /// The errors of these functions alone.
    pub fn only(mut self, functions: &[usize]) -> Rung {
        let numbers = self.errors.iter_mut().chain(&mut self.noise);
        for row in numbers.chain(&mut self.unpaired) {
            *row = functions.iter().map(|&h| row[h]).collect();
        }
        for row in &mut self.influence {
            *row = functions.iter().map(|&h| row[h].clone()).collect();
        }
        self
    }

    /// Of one error; empty where it is not known.
    fn influence(&self, time: usize, function: usize) -> &[f64] {
        let row = self.influence.get(time).and_then(|r| r.get(function));
        row.map_or(&[], |d| d)
    }
}

/// The outcome for one comparison.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, with numbers.
    pub reason: String,
    /// The largest limit in units of its scale.
    pub limit: Estimate,
    /// One entry per test function.
    pub functions: Vec<FunctionCheck>,
    /// By how many times the paths would have to grow for a verdict; 1 when there is one, ∞ where paths do not help.
    pub paths_factor: f64,
    /// The same for the precision that was asked for; 1 where it is reached.
    pub precision_factor: f64,
    /// How many times as many paths the widest limit would take with independent noise on the two sides.
    pub speed_up: Option<f64>,
    /// How many independent limits those of this comparison amount to, where all share the level.
    pub effective_limits: f64,
}

/// How many independent limits the limits of some comparisons amount to, all functions and common times together, where one of them
/// exceeds its bound with probability `tail`: see [`effective_tests`]. Rungs at one η share their paths, others are independent.
pub fn effective_limits(parts: &[(&Claim, &[Rung])], tail: f64) -> f64 {
    let mut ladder: Vec<f64> = parts.iter().flat_map(|p| p.1).map(|r| r.eta).collect();
    ladder.sort_by(f64::total_cmp);
    ladder.dedup();
    let mut errors: Vec<Vec<f64>> = vec![];
    let mut unknown = 0;
    for (claim, rungs) in parts {
        let etas: Vec<f64> = rungs.iter().map(|r| r.eta).collect();
        let series = PowerSeries::new(&claim.generators, &etas);
        let times = rungs.iter().map(|r| r.common.len()).min().unwrap_or(0);
        let functions = rungs.first().and_then(|r| r.errors.first());
        let functions = functions.map_or(0, Vec::len);
        for (h, c) in (0..functions).flat_map(|h| (0..times).map(move |c| (h, c))) {
            let (signed, noise) = at_common_time(rungs, h, c);
            let Some(fit) = series.extrapolate(&signed, &noise, magnitude(rungs, h)) else {
                continue;
            };
            let known = |r: &Rung| !r.influence(r.common[c], h).is_empty();
            if rungs.iter().zip(&noise).any(|(r, s)| *s > 0.0 && !known(r)) {
                unknown += 1;
                continue;
            }
            let mut error = vec![0.0; ladder.len() * BATCHES];
            for (rung, weight) in rungs.iter().zip(&fit.weights) {
                let place = ladder.partition_point(|eta| *eta < rung.eta) * BATCHES;
                let influence = rung.influence(rung.common[c], h);
                for (e, d) in error[place..].iter_mut().zip(influence) {
                    *e = weight * d;
                }
            }
            errors.push(error);
        }
    }
    effective_tests(&errors, tail) + f64::from(unknown)
}

/// Errors and standard errors of a function along the ladder at a common time.
fn at_common_time(rungs: &[Rung], h: usize, c: usize) -> (Vec<f64>, Vec<f64>) {
    let at = |r: &Rung| (r.errors[r.common[c]][h], r.noise[r.common[c]][h]);
    rungs.iter().map(at).unzip()
}

/// The largest |error| of a function at the common times.
fn magnitude(rungs: &[Rung], h: usize) -> f64 {
    let common = rungs
        .iter()
        .flat_map(|r| r.common.iter().map(|&j| &r.errors[j]));
    common.map(|e| e[h].abs()).fold(0.0, f64::max)
}

impl Judgement {
    /// The judgement of some functions of a panel, with their places in it.
    pub fn of(mut self, functions: &[usize]) -> Judgement {
        for check in &mut self.functions {
            check.function = functions[check.function];
        }
        self
    }
}

/// Judges a ladder; rungs from the largest η to the smallest. `scales[h]` are the natural scales (> 0) of the functions and
/// `names[h]` their names for the reason.
pub fn judge(
    claim: &Claim,
    rungs: &[Rung],
    scales: &[f64],
    names: &[String],
    demands: Demands,
) -> Judgement {
    let etas: Vec<f64> = rungs.iter().map(|r| r.eta).collect();
    let series = PowerSeries::new(&claim.generators, &etas);
    let times = rungs.iter().map(|r| r.common.len()).min().unwrap_or(0);
    // Half of the level's complement goes to the limits, half to the error curves.
    let tail = 0.5 * (1.0 - demands.level);
    let limits = demands
        .limits
        .unwrap_or_else(|| effective_limits(&[(claim, rungs)], tail));
    let z_limit = bonferroni_quantile(demands.level, 2.0 * limits);
    let points: usize = rungs.iter().map(|r| r.times.len()).sum();
    let z_curve = bonferroni_quantile(demands.level, 2.0 * (points * scales.len()) as f64);
    // Means over few paths: Student's quantile in place of the normal one.
    let fewest = rungs.iter().filter(|r| r.stochastic).map(|r| r.n).min();
    let widening = match fewest {
        Some(n) if n < NORMAL_PATHS => student_widening(n, demands.level, 2.0 * limits),
        _ => 1.0,
    };
    let (z_limit, z_curve) = (widening * z_limit, widening * z_curve);
    let mut functions = vec![];
    let mut evidence = Evidence::default();
    for (h, &scale) in scales.iter().enumerate() {
        let mut check = error_curve(claim, rungs, h, scale, demands.level, z_curve);
        check.slopes = local_slopes(&check.errors);
        check.order = measured_order(claim, rungs, h, &check.errors);
        let magnitude = magnitude(rungs, h);
        for c in 0..times {
            let (errors, noise) = at_common_time(rungs, h, c);
            let Some(fit) = series.extrapolate(&errors, &noise, magnitude) else {
                evidence.unfit += 1;
                continue;
            };
            let half = fit.half_width(z_limit);
            let limit = Estimate {
                value: fit.limit,
                standard_error: fit.standard_error,
                lower: fit.limit - half,
                upper: fit.limit + half,
                level: demands.level,
                n: rungs.iter().map(|r| r.n).min().unwrap_or(0),
            };
            if check.coefficients.is_empty() || demands.reach(limit) > demands.reach(check.limit) {
                check.limit = limit;
                check.limit_time = rungs[0].times[rungs[0].common[c]];
                check.coefficients = fit.coefficients.clone();
                check.powers = std::iter::once(0.0)
                    .chain(series.powers().iter().copied())
                    .collect();
                check.reduced_chi_square = fit.reduced_chi_square;
                check.fitted = rungs
                    .iter()
                    .map(|r| {
                        let j = r.common[c];
                        let order = r.eta.powf(claim.guaranteed_order);
                        let (e, s) = (r.errors[j][h], r.noise[j][h]);
                        let error = Estimate::with_quantile(e, s, z_curve, demands.level, r.n);
                        ErrorPoint {
                            eta: r.eta,
                            error,
                            time: r.times[j],
                            noise_floor: z_curve * r.noise[j][h],
                            constant: error.scaled(1.0 / order),
                        }
                    })
                    .collect();
            }
            let relative = limit.scaled(1.0 / scale);
            let noise_share = z_limit * fit.standard_error / scale;
            evidence.noisiest = evidence.noisiest.max(noise_share);
            if evidence
                .widest
                .is_none_or(|(_, w)| demands.reach(relative) > demands.reach(w))
            {
                evidence.widest = Some((h, relative));
                evidence.noise_share = noise_share;
                evidence.speed_up = speed_up(rungs, &fit.weights, h, c);
                let bias = half / scale - evidence.noise_share;
                let value = if demands.squares {
                    relative.value
                } else {
                    relative.value.abs()
                };
                evidence.room = demands.tolerance - bias - value;
            }
            let leads = evidence
                .refuting
                .is_none_or(|(_, r)| excess(relative) > excess(r));
            if excess(relative) > demands.negligible && leads {
                let stands = |skip: usize| {
                    let series = PowerSeries::new(&claim.generators, &etas[skip..]);
                    let largest = errors[skip..].iter().fold(0.0f64, |m, e| m.max(e.abs()));
                    series
                        .extrapolate(
                            &errors[skip..],
                            &noise[skip..],
                            magnitude.min(2.0 * largest),
                        )
                        .is_some_and(|f| f.limit.abs() > f.half_width(z_limit))
                };
                let robust = (1..=2).all(|skip| etas.len() < skip + 3 || stands(skip));
                if still_bending(&etas, &errors, &noise) {
                    evidence.bending = Some(h);
                } else if !robust {
                    evidence.fragile = Some(h);
                } else {
                    evidence.refuting = Some((h, relative));
                }
            }
        }
        functions.push(check);
    }
    let (verdict, reason, paths_factor) = evidence.decide(rungs, names, demands);
    let shown = match verdict {
        Verdict::Refuted => evidence.refuting,
        _ => evidence.widest,
    };
    Judgement {
        verdict,
        reason,
        limit: shown.map_or(nothing(demands.level), |(_, limit)| {
            if demands.squares { limit.root() } else { limit }
        }),
        functions,
        paths_factor,
        precision_factor: demands.precision.map_or(1.0, |p| {
            (evidence.noisiest / p).powi(2).clamp(1.0, f64::MAX)
        }),
        speed_up: evidence.speed_up,
        effective_limits: limits,
    }
}

/// The variance of a limit with independent noise on the two sides over that on paired paths.
fn speed_up(rungs: &[Rung], weights: &[f64], h: usize, c: usize) -> Option<f64> {
    let (mut paired, mut unpaired) = (0.0, 0.0);
    for (rung, w) in rungs.iter().zip(weights) {
        let j = rung.common[c];
        paired += (w * rung.noise[j][h]).powi(2);
        unpaired += (w * rung.unpaired.get(j)?.get(h)?).powi(2);
    }
    Some(unpaired / paired).filter(|s| s.is_finite())
}

/// By how much an interval stays away from 0; negative if it contains 0.
fn excess(e: Estimate) -> f64 {
    e.value.abs() - (e.upper - e.value)
}

/// The estimate of nothing.
fn nothing(level: f64) -> Estimate {
    Estimate {
        value: 0.0,
        standard_error: 0.0,
        lower: 0.0,
        upper: 0.0,
        level,
        n: 0,
    }
}

/// What the limits of a comparison say together; functions by index, limits in units of their scales.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    /// The limit whose interval reaches farthest from 0.
    widest: Option<(usize, Estimate)>,
    /// The limit that is farthest from 0, if any is.
    refuting: Option<(usize, Estimate)>,
    /// A function whose limit would refute, but whose error still falls faster and faster.
    bending: Option<usize>,
    /// A function whose limit would refute, but not without the largest η.
    fragile: Option<usize>,
    /// Errors without a limit.
    unfit: usize,
    /// Half-width of the widest limit due to sampling, and the part of the tolerance left for it.
    noise_share: f64,
    room: f64,
    /// Largest half-width of any limit due to sampling.
    noisiest: f64,
    /// Of the widest limit.
    speed_up: Option<f64>,
}

impl Evidence {
    /// Verdict, reason, and the factor on the number of paths that would help.
    fn decide(&self, rungs: &[Rung], names: &[String], demands: Demands) -> (Verdict, String, f64) {
        let percent = |x: f64| format!("{:.2} %", 100.0 * demands.shown(x));
        let unknown = |reason: String| (Verdict::Inconclusive, reason, f64::INFINITY);
        let lost: u64 = rungs.iter().map(|r| r.lost).sum();
        let fewest = rungs.iter().filter(|r| r.stochastic).map(|r| r.n).min();
        if lost > 0 {
            return unknown(format!(
                "{lost} paths were lost (the notes say to what), so the expectations are not known; declare a compact set or use smaller η"
            ));
        }
        if rungs.len() < 3 {
            return unknown(
                "a limit needs at least three learning rates, small enough to be stable"
                    .to_string(),
            );
        }
        let least = demands.fewest_paths;
        if let Some(n) = fewest.filter(|&n| n < least) {
            let reason = format!("fewer than {least} paths: intervals cannot be trusted");
            let factor = least as f64 / n.max(1) as f64;
            return (Verdict::Inconclusive, reason, factor);
        }
        if let Some((h, r)) = self.refuting {
            let reason = format!(
                "as η → 0 the error of {} stays at {} ± {} of its scale",
                names[h],
                percent(r.value.abs()),
                format_args!(
                    "{:.2} %",
                    100.0 * (demands.shown(demands.reach(r)) - demands.shown(r.value.abs()))
                )
            );
            return (Verdict::Refuted, reason, 1.0);
        }
        if let Some(h) = self.fragile {
            let reason = format!(
                "the limit of {} hangs on the largest η of the ladder; more paths or smaller η would decide",
                names[h]
            );
            return (Verdict::Inconclusive, reason, FRAGILE_FACTOR);
        }
        if let Some(h) = self.bending {
            return unknown(format!(
                "the error of {} falls faster and faster along the ladder: it is not asymptotic yet, add smaller η",
                names[h]
            ));
        }
        if self.unfit > 0 {
            return unknown(format!(
                "{} errors are not finite or could not be extrapolated",
                self.unfit
            ));
        }
        let Some((h, w)) = self.widest else {
            return unknown("there is no common time and function to extrapolate".to_string());
        };
        let (far, tolerance) = (percent(demands.reach(w)), percent(demands.tolerance));
        let name = &names[h];
        if demands.reach(w) <= demands.tolerance {
            let reason = format!(
                "as η → 0 every error vanishes to within {far} of its scale ({name} the widest; tolerance {tolerance})"
            );
            return (Verdict::Consistent, reason, 1.0);
        }
        let known = format!(
            "the limit of {name} is only known to {far} of its scale (tolerance {tolerance})"
        );
        if self.room > 0.0 {
            let factor = (self.noise_share / self.room).powi(2);
            let times = factor.ceil().max(2.0);
            let reason = format!("{known}; about {times:.0} times the paths would decide");
            (Verdict::Inconclusive, reason, factor)
        } else {
            unknown(format!(
                "{known}; more paths alone will not decide: add smaller η"
            ))
        }
    }
}

/// Whether |error| falls with η, and significantly faster (3 standard errors) in the finer half of the ladder than in the
/// coarser: the mark of the pre-asymptotic range. An error with a limit other than 0 flattens out instead.
fn still_bending(etas: &[f64], errors: &[f64], noise: &[f64]) -> bool {
    let n = etas.len();
    if n < 3 {
        return false;
    }
    let middle = n / 2;
    let log = |i: usize| errors[i].abs().ln();
    let slope = |a: usize, b: usize| (log(a) - log(b)) / (etas[a] / etas[b]).ln();
    let (coarse, fine) = (slope(0, middle), slope(middle, n - 1));
    // The middle point enters both slopes with opposite signs.
    let weight = |a: usize, b: usize| 1.0 / (etas[a] / etas[b]).ln();
    let (wc, wf) = (weight(0, middle), weight(middle, n - 1));
    let relative = |i: usize| noise[i] / errors[i].abs();
    let deviation = (wc * relative(0))
        .hypot(wf * relative(n - 1))
        .hypot((wc + wf) * relative(middle));
    fine > 0.0 && fine - coarse > 3.0 * deviation + 1e-9
}

/// max over times of |error| along the ladder with simultaneous intervals; nothing yet of what the ladder tends to.
pub(super) fn error_curve(
    claim: &Claim,
    rungs: &[Rung],
    h: usize,
    scale: f64,
    level: f64,
    z: f64,
) -> FunctionCheck {
    let errors: Vec<ErrorPoint> = rungs
        .iter()
        .map(|r| {
            let points = || {
                r.errors
                    .iter()
                    .zip(&r.noise)
                    .map(|(e, s)| (e[h].abs(), s[h]))
            };
            let (at, (value, noise)) = points()
                .enumerate()
                .max_by(|a, b| a.1.0.total_cmp(&b.1.0))
                .unwrap_or((0, (0.0, 0.0)));
            // The maximum of |true errors| is at least every lower end and at most the largest upper end.
            let lower = points().map(|(e, s)| e - z * s).fold(0.0, f64::max);
            let upper = points().map(|(e, s)| e + z * s).fold(0.0, f64::max);
            let error = Estimate {
                value,
                standard_error: noise,
                lower,
                upper,
                level,
                n: r.n,
            };
            ErrorPoint {
                eta: r.eta,
                error,
                time: r.times.get(at).copied().unwrap_or(0.0),
                noise_floor: z * points().map(|p| p.1).fold(0.0, f64::max),
                constant: error.scaled(r.eta.powf(-claim.guaranteed_order)),
            }
        })
        .collect();
    FunctionCheck {
        function: h,
        scale,
        errors,
        order: None,
        slopes: vec![],
        limit: nothing(level),
        limit_time: 0.0,
        powers: vec![],
        coefficients: vec![],
        fitted: vec![],
        reduced_chi_square: 0.0,
    }
}

/// Slopes between neighbouring errors that can be told from 0.
fn local_slopes(errors: &[ErrorPoint]) -> Vec<SlopePoint> {
    errors
        .windows(2)
        .filter(|w| w.iter().all(|p| p.error.lower > 0.0))
        .map(|w| {
            let (a, b) = (&w[0], &w[1]);
            let octaves = (a.eta / b.eta).ln();
            let slope = (a.error.value / b.error.value).ln() / octaves;
            let relative = |p: &ErrorPoint| p.error.standard_error / p.error.value;
            let noise = relative(a).hypot(relative(b)) / octaves;
            SlopePoint {
                eta_large: a.eta,
                eta_small: b.eta,
                slope: Estimate::with_quantile(
                    slope,
                    noise,
                    normal_quantile(0.95),
                    0.95,
                    a.error.n.min(b.error.n),
                ),
            }
        })
        .collect()
}

/// The [order] of the errors of a function that stand out of the noise; others measure noise.
fn measured_order(
    claim: &Claim,
    rungs: &[Rung],
    h: usize,
    errors: &[ErrorPoint],
) -> Option<Estimate> {
    // Terms of the expansion behind the first, relative to it.
    let series = PowerSeries::new(&claim.generators, &[]);
    let relative = series.powers().windows(2).scan(0.0, |sum, p| {
        *sum += p[1] - p[0];
        Some(*sum)
    });
    let corrections: Vec<f64> = relative.collect();
    let columns: Vec<ErrorColumn> = rungs
        .iter()
        .zip(errors)
        .filter(|(_, p)| p.error.lower > 0.0)
        .map(|(r, _)| {
            let column = |rows: &[Vec<f64>]| rows.iter().map(|row| row[h]).collect();
            let influence = (0..r.times.len()).map(|j| r.influence(j, h));
            ErrorColumn {
                eta: r.eta,
                errors: column(&r.errors),
                noise: column(&r.noise),
                influence: influence.collect(),
                n: r.n,
            }
        })
        .collect();
    order(&columns, &corrections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    use rand_xoshiro::Xoshiro256PlusPlus;

    const DEMANDS: Demands = Demands {
        level: 0.95,
        tolerance: 0.05,
        negligible: 0.002,
        squares: false,
        fewest_paths: NORMAL_PATHS,
        limits: None,
        precision: None,
    };

    /// A ladder of seven η with three functions at eight times; `truth(ε, t)` is the error, `noise` its standard error.
    fn ladder(
        seed: u64,
        alpha: f64,
        noise: f64,
        truth: impl Fn(f64, f64) -> f64,
    ) -> (Claim, Vec<Rung>) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let claim = Claim {
            guaranteed_order: 0.5 * (1.0 - alpha),
            generators: vec![1.0 - alpha, 1.0],
        };
        let times: Vec<f64> = (1..=8).map(|i| 0.25 * f64::from(i)).collect();
        let rungs = (4..11)
            .map(|k| {
                let eta = f64::from(-k).exp2();
                let epsilon = eta.powf(if alpha < 1.0 { 1.0 - alpha } else { 1.0 });
                let row = |t: &f64| -> Vec<f64> {
                    (0..3)
                        .map(|h| truth(epsilon, *t) * f64::from(h + 1))
                        .collect()
                };
                let errors: Vec<Vec<f64>> = times.iter().map(row).collect();
                let errors = errors
                    .iter()
                    .map(|e| {
                        e.iter()
                            .map(|e| e + noise * rng.sample::<f64, _>(StandardNormal))
                            .collect()
                    })
                    .collect();
                Rung {
                    eta,
                    n: 10_000,
                    times: times.clone(),
                    errors,
                    noise: vec![vec![noise; 3]; 8],
                    unpaired: vec![],
                    influence: vec![],
                    common: (0..8).collect(),
                    stochastic: true,
                    lost: 0,
                }
            })
            .collect();
        (claim, rungs)
    }

    fn verdict(claim: &Claim, rungs: &[Rung]) -> Verdict {
        let names: Vec<String> = (0..3).map(|h| format!("h{h}")).collect();
        judge(claim, rungs, &[1.0; 3], &names, DEMANDS).verdict
    }

    /// Over 400 noisy ladders whose error vanishes, refutations stay at the stated level (5 %: more than 36 of 400 have
    /// probability 3e-4 under it), and every ladder with a limit of 10 % of the scale is refuted.
    #[test]
    fn error_rates_are_as_stated() {
        for alpha in [0.0, 0.25, 0.5] {
            let smooth = |e: f64, t: f64| 0.3 * e * t * (-t).exp() / (1.0 + e);
            let mut refuted = 0;
            let mut missed = 0;
            for seed in 0..400 {
                let (claim, rungs) = ladder(seed, alpha, 2e-3, smooth);
                refuted += usize::from(verdict(&claim, &rungs) == Verdict::Refuted);
                let (claim, rungs) = ladder(seed, alpha, 2e-3, |e, t| smooth(e, t) + 0.1);
                missed += usize::from(verdict(&claim, &rungs) != Verdict::Refuted);
            }
            assert!(refuted <= 36, "α = {alpha}: {refuted} of 400 refuted");
            assert_eq!(missed, 0, "α = {alpha}: {missed} of 400 limits missed");
        }
    }

    /// Errors that are the same at all times count once a function, in one comparison and in two on the same paths; where nothing is
    /// known of their joint law every limit counts. The intervals shrink accordingly, and nothing else changes.
    #[test]
    fn dependent_limits_share_the_level() {
        let (claim, rungs) = ladder(1, 0.0, 2e-3, |e, t| 0.2 * e * t);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let known: Vec<Rung> = rungs
            .iter()
            .map(|r| {
                let mut batches = || -> Vec<f64> {
                    let draw = |_| rng.sample::<f64, _>(StandardNormal);
                    let d: Vec<f64> = (0..BATCHES).map(draw).collect();
                    let norm = d.iter().map(|x| x * x).sum::<f64>().sqrt();
                    d.iter().map(|x| 2e-3 * x / norm).collect()
                };
                let row: Vec<Vec<f64>> = (0..3).map(|_| batches()).collect();
                Rung {
                    influence: vec![row; 8],
                    ..r.clone()
                }
            })
            .collect();
        let tail = 0.001;
        let count = |parts: &[(&Claim, &[Rung])]| effective_limits(parts, tail);
        assert_eq!(count(&[(&claim, &rungs)]), 24.0);
        let one = count(&[(&claim, &known)]);
        assert!((one - 3.0).abs() < 0.1, "{one}");
        let two = count(&[(&claim, &known), (&claim, &known)]);
        assert!((two - 3.0).abs() < 0.1, "{two}");
        let names: Vec<String> = (0..3).map(|h| format!("h{h}")).collect();
        let judged = |rungs: &[Rung]| judge(&claim, rungs, &[1.0; 3], &names, DEMANDS);
        let (wide, narrow) = (judged(&rungs), judged(&known));
        assert_eq!(wide.limit.value, narrow.limit.value);
        let width = |j: &Judgement| j.limit.upper - j.limit.value;
        assert!(width(&narrow) < width(&wide) && width(&narrow) > 0.7 * width(&wide));
    }

    /// The precision that is asked for is a half-width, and takes paths in its square; the gain by shared noise is a ratio of
    /// variances.
    #[test]
    fn precision_and_gain_are_ratios_of_variances() {
        let (claim, rungs) = ladder(1, 0.0, 2e-3, |e, t| 0.2 * e * t);
        let unpaired: Vec<Rung> = rungs
            .iter()
            .map(|r| Rung {
                unpaired: vec![vec![0.06; 3]; 8],
                ..r.clone()
            })
            .collect();
        let names: Vec<String> = (0..3).map(|h| format!("h{h}")).collect();
        let judged = |precision| {
            let demands = Demands {
                precision: Some(precision),
                ..DEMANDS
            };
            judge(&claim, &unpaired, &[1.0; 3], &names, demands)
        };
        let fine = judged(1e-4).precision_factor;
        assert!(fine > 1.0 && (fine / judged(2e-4).precision_factor - 4.0).abs() < 1e-9);
        assert_eq!(judged(0.9).precision_factor, 1.0);
        assert!((judged(0.9).speed_up.expect("both sides have paths") - 900.0).abs() < 1e-6);
        assert_eq!(
            judge(&claim, &rungs, &[1.0; 3], &names, DEMANDS).speed_up,
            None
        );
    }

    /// The pre-asymptotic trap: a slope below the guaranteed order all along the ladder does not refute.
    #[test]
    fn a_low_slope_alone_does_not_refute() {
        let f = |e: f64, t: f64| 0.2 * t * e / (e + 0.05);
        let (claim, rungs) = ladder(1, 0.75, 1e-4, f);
        let slope = (f(rungs[5].eta.powf(0.25), 1.0) / f(rungs[6].eta.powf(0.25), 1.0)).log2();
        assert!(slope < 0.125, "slope {slope}");
        assert_ne!(verdict(&claim, &rungs), Verdict::Refuted);
    }

    #[test]
    fn what_cannot_be_judged_is_inconclusive() {
        let vanish = |e: f64, t: f64| 0.2 * e * t;
        let (claim, rungs) = ladder(1, 0.0, 1e-4, vanish);
        assert_eq!(verdict(&claim, &rungs), Verdict::Consistent);
        assert_eq!(verdict(&claim, &rungs[..2]), Verdict::Inconclusive);
        assert_eq!(verdict(&claim, &[]), Verdict::Inconclusive);
        let (claim, rungs) = ladder(1, 0.0, 0.5, vanish);
        assert_eq!(verdict(&claim, &rungs), Verdict::Inconclusive);
        let (claim, mut rungs) = ladder(1, 0.0, 1e-4, vanish);
        rungs[2].lost = 1;
        assert_eq!(verdict(&claim, &rungs), Verdict::Inconclusive);
        rungs[2].lost = 0;
        rungs[2].errors[1][1] = f64::NAN;
        assert_eq!(verdict(&claim, &rungs), Verdict::Inconclusive);
        let (claim, mut rungs) = ladder(1, 0.0, 1e-4, vanish);
        rungs.iter_mut().for_each(|r| r.n = 50);
        assert_eq!(verdict(&claim, &rungs), Verdict::Inconclusive);
        // One path has no standard error; its error of 10 % must not refute anything.
        let (claim, mut rungs) = ladder(1, 0.0, 0.0, |_, _| 0.1);
        rungs.iter_mut().for_each(|r| r.n = 1);
        assert_eq!(verdict(&claim, &rungs), Verdict::Inconclusive);
    }

    /// α = 1: the error does not depend on η, and is refuted.
    #[test]
    fn an_error_that_stays_is_refuted() {
        let (claim, rungs) = ladder(1, 1.0, 1e-3, |e, t| 0.1 * t + 0.05 * e);
        assert_eq!(verdict(&claim, &rungs), Verdict::Refuted);
    }
}
