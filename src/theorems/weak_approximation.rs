//! Theorem 4.5: are two processes weak approximations of each other (Def. 4.4)?
//!
//! The theorem bounds max_k |E h(x_k) − E h(z_k)| by C η^{(1−α)/2}; it says nothing about the slope that a finite ladder
//! shows, which may lie below the guaranteed order for all η within reach (theory §4). What it does say is that the error
//! vanishes as η → 0. So the check extrapolates the signed error of every test function at every common time to η → 0 and
//! asks whether the limits are 0:
//!
//! * **refuted** — some limit differs from 0 by more than its simultaneous interval and by more than a negligible part of
//!   the function's natural scale;
//! * **consistent** — every limit lies within the tolerance, its whole interval included;
//! * **inconclusive** — anything else: wide intervals, blow-ups, too few learning rates.

use crate::report::result::{ErrorPoint, Estimate, FunctionCheck, SlopePoint, Verdict};
use crate::statistics::{PowerSeries, bonferroni_quantile, normal_quantile};

/// What is asked of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demands {
    /// Simultaneous coverage of the intervals of one comparison, e.g. 0.998.
    pub level: f64,
    /// Limits within this part of a function's natural scale pass.
    pub tolerance: f64,
    /// Limits below this part of the scale do not refute, however precisely they are known.
    pub negligible: f64,
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
    /// Indices into `times` of the common times, on which the limit is taken; as many on every rung.
    pub common: Vec<usize>,
    /// Paths lost to blow-ups in either process.
    pub lost: u64,
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
    /// By how many times the paths would have to grow for the intervals to fit the tolerance; 1 when they do.
    pub paths_factor: f64,
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
    let z_limit = bonferroni_quantile(demands.level, times * scales.len());
    let mut functions = vec![];
    let mut worst: Option<(usize, Estimate)> = None;
    let mut refuting: Option<(usize, Estimate)> = None;
    let mut noise_share = 0.0f64;
    let mut room = f64::INFINITY;
    for (h, &scale) in scales.iter().enumerate() {
        let mut check = error_curve(claim, rungs, h, scale, demands.level);
        let magnitude = rungs
            .iter()
            .flat_map(|r| r.common.iter().map(|&j| r.errors[j][h].abs()))
            .fold(0.0, f64::max);
        for c in 0..times {
            let column = |f: &dyn Fn(&Rung, usize) -> f64| -> Vec<f64> {
                rungs.iter().map(|r| f(r, r.common[c])).collect()
            };
            let errors = column(&|r, j| r.errors[j][h]);
            let noise = column(&|r, j| r.noise[j][h]);
            let Some(fit) = series.extrapolate(&errors, &noise, magnitude) else {
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
            let reach = limit.value.abs() + half;
            if check.coefficients.is_empty()
                || reach > check.limit.value.abs() + (check.limit.upper - check.limit.value)
            {
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
                        let error =
                            Estimate::normal(r.errors[j][h], r.noise[j][h], demands.level, r.n);
                        ErrorPoint {
                            eta: r.eta,
                            error,
                            time: r.times[j],
                            noise_floor: z_limit * r.noise[j][h],
                            constant: error.scaled(1.0 / order),
                        }
                    })
                    .collect();
            }
            let relative = limit.scaled(1.0 / scale);
            if worst.as_ref().is_none_or(|(_, w)| {
                relative.value.abs() + half / scale > w.value.abs() + (w.upper - w.value)
            }) {
                worst = Some((h, relative));
                noise_share = z_limit * fit.standard_error / scale;
                room = demands.tolerance - (half / scale - noise_share) - relative.value.abs();
            }
            let excess = (limit.value.abs() - half) / scale;
            let leads = refuting
                .as_ref()
                .is_none_or(|(_, r)| excess > r.value.abs() - (r.upper - r.value));
            if excess > demands.negligible && leads {
                refuting = Some((h, relative));
            }
        }
        functions.push(check);
    }
    let lost: u64 = rungs.iter().map(|r| r.lost).sum();
    let nothing = Estimate {
        value: 0.0,
        standard_error: 0.0,
        lower: 0.0,
        upper: 0.0,
        level: demands.level,
        n: 0,
    };
    let percent = |x: f64| format!("{:.2} %", 100.0 * x);
    let (verdict, reason, limit, paths_factor) = match (lost, refuting, worst) {
        (1.., _, w) => (
            Verdict::Inconclusive,
            format!(
                "{lost} paths blew up, so the expectations are not known; declare a compact set or use smaller η"
            ),
            w.map_or(nothing, |w| w.1),
            1.0,
        ),
        (0, Some((h, r)), _) => (
            Verdict::Refuted,
            format!(
                "as η → 0 the error of {} stays at {} ± {} of its scale",
                names[h],
                percent(r.value.abs()),
                percent(r.upper - r.value)
            ),
            r,
            1.0,
        ),
        (0, None, Some((h, w))) => {
            let reach = w.value.abs() + (w.upper - w.value);
            if etas.len() < 3 {
                let reason = "a limit needs at least three learning rates".to_string();
                (Verdict::Inconclusive, reason, w, 1.0)
            } else if reach <= demands.tolerance {
                (
                    Verdict::Consistent,
                    format!(
                        "as η → 0 every error vanishes to within {} of its scale ({} the widest; tolerance {})",
                        percent(reach),
                        names[h],
                        percent(demands.tolerance)
                    ),
                    w,
                    1.0,
                )
            } else {
                let factor = if room > 0.0 {
                    (noise_share / room).powi(2)
                } else {
                    f64::INFINITY
                };
                let hint = if factor.is_finite() {
                    format!(
                        "about {:.0} times the paths would decide",
                        factor.ceil().max(2.0)
                    )
                } else {
                    "more paths alone will not decide: add smaller η".to_string()
                };
                (
                    Verdict::Inconclusive,
                    format!(
                        "the limit of {} is only known to {} of its scale (tolerance {}); {hint}",
                        names[h],
                        percent(reach),
                        percent(demands.tolerance)
                    ),
                    w,
                    factor,
                )
            }
        }
        (0, None, None) => (
            Verdict::Inconclusive,
            "no common times or no finite errors to extrapolate".to_string(),
            nothing,
            1.0,
        ),
    };
    Judgement {
        verdict,
        reason,
        limit,
        functions,
        paths_factor,
    }
}

/// max over times of |error| along the ladder with simultaneous intervals, and the local slopes.
fn error_curve(claim: &Claim, rungs: &[Rung], h: usize, scale: f64, level: f64) -> FunctionCheck {
    let errors: Vec<ErrorPoint> = rungs
        .iter()
        .map(|r| {
            let z = bonferroni_quantile(level, r.times.len());
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
    let slopes = errors
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
        .collect();
    FunctionCheck {
        function: h,
        scale,
        errors,
        slopes,
        limit: Estimate {
            value: 0.0,
            standard_error: 0.0,
            lower: 0.0,
            upper: 0.0,
            level,
            n: 0,
        },
        limit_time: 0.0,
        powers: vec![],
        coefficients: vec![],
        fitted: vec![],
        reduced_chi_square: 0.0,
    }
}
