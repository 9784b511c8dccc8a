//! Claims that hold at every η and not only as η → 0: laws at finite η (Sec. 4.1), conversions and identities (Lemma A.2, Eq. (11)).
//!
//! Nothing is extrapolated. All errors at all η and all times, in units of the function's scale at that η, are judged together:
//!
//! * **refuted** — some error differs from 0 by more than its simultaneous interval and by more than a negligible part of the scale;
//! * **consistent** — every error lies within the tolerance, its whole interval included;
//! * **inconclusive** — anything else: wide intervals or lost paths.

use super::weak_approximation::{Claim, Demands, Judgement, Rung, error_curve};
use crate::report::result::{Estimate, Verdict};
use crate::statistics::bonferroni_quantile;

/// How far two processes that are the same may be from each other, in units of the scale: what rounding may add up to over 10⁵ steps of
/// a problem that amplifies it a thousandfold is below 10⁻⁸.
pub const ROUNDING: f64 = 1e-8;

/// What an error of this kind is called in reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Differences of expectations.
    Expectations,
    /// Root mean square differences of the functions on the same path.
    Paths,
}

/// Judges the errors of all rungs at all their times; `names[h]` are the functions.
pub fn judge_everywhere(
    kind: Kind,
    rungs: &[Rung],
    names: &[String],
    demands: Demands,
) -> Judgement {
    let points: usize = rungs.iter().map(|r| r.times.len()).sum();
    let z = bonferroni_quantile(demands.level, (points.max(1) * names.len().max(1)) as f64);
    let claim = Claim {
        guaranteed_order: 0.0,
        generators: vec![1.0],
    };
    let mut functions = vec![];
    // The error that reaches farthest, and the one that is farthest away from 0.
    let (mut widest, mut refuting): (Option<Place>, Option<Place>) = (None, None);
    let mut unknown = 0;
    for h in 0..names.len() {
        let mut check = error_curve(&claim, rungs, h, 1.0, demands.level, z);
        let mut own: Option<Place> = None;
        for rung in rungs {
            for (j, &time) in rung.times.iter().enumerate() {
                let (e, s) = (rung.errors[j][h], rung.noise[j][h]);
                if !e.is_finite() || !s.is_finite() {
                    unknown += 1;
                    continue;
                }
                let error = Estimate::with_quantile(e, s, z, demands.level, rung.n);
                let place = Place {
                    function: h,
                    eta: rung.eta,
                    time,
                    error,
                };
                let farther = |p: &Option<Place>| p.is_none_or(|p| place.reach() > p.reach());
                if farther(&own) {
                    own = Some(place);
                }
                if farther(&widest) {
                    widest = Some(place);
                }
                let away = place.excess() > demands.negligible;
                if away && refuting.is_none_or(|p| place.excess() > p.excess()) {
                    refuting = Some(place);
                }
            }
        }
        if let Some(place) = own {
            check.limit = place.error;
            check.limit_time = place.time;
        }
        functions.push(check);
    }
    let (verdict, reason, paths_factor) =
        decide(kind, rungs, names, demands, (widest, refuting), unknown);
    let shown = match verdict {
        Verdict::Refuted => refuting,
        _ => widest,
    };
    Judgement {
        verdict,
        reason,
        limit: shown.map_or(
            Estimate::with_quantile(0.0, 0.0, z, demands.level, 0),
            |p| p.error,
        ),
        functions,
        paths_factor,
        precision_factor: 1.0,
        speed_up: None,
        effective_limits: (points * names.len()) as f64,
    }
}

/// An error and where it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    function: usize,
    eta: f64,
    time: f64,
    error: Estimate,
}

impl Place {
    fn half(&self) -> f64 {
        self.error.upper - self.error.value
    }

    fn reach(&self) -> f64 {
        self.error.value.abs() + self.half()
    }

    fn excess(&self) -> f64 {
        self.error.value.abs() - self.half()
    }
}

fn decide(
    kind: Kind,
    rungs: &[Rung],
    names: &[String],
    demands: Demands,
    (widest, refuting): (Option<Place>, Option<Place>),
    unknown: usize,
) -> (Verdict, String, f64) {
    let open = |reason: String| (Verdict::Inconclusive, reason, f64::INFINITY);
    let part = |x: f64| match kind {
        Kind::Expectations => format!("{:.2} %", 100.0 * x),
        Kind::Paths => format!("{x:.1e}"),
    };
    let lost: u64 = rungs.iter().map(|r| r.lost).sum();
    if lost > 0 {
        return open(format!(
            "{lost} paths were lost (the notes say to what), so the expectations are not known; declare a compact set or use smaller η"
        ));
    }
    let fewest = rungs.iter().filter(|r| r.stochastic).map(|r| r.n).min();
    let least = demands.fewest_paths;
    if let Some(n) = fewest.filter(|&n| n < least && kind == Kind::Expectations) {
        let reason = format!("fewer than {least} paths: intervals cannot be trusted");
        return (
            Verdict::Inconclusive,
            reason,
            least as f64 / n.max(1) as f64,
        );
    }
    if let Some(p) = refuting {
        let error = match kind {
            Kind::Expectations => format!("{} ± {}", part(p.error.value.abs()), part(p.half())),
            Kind::Paths => part(p.error.value),
        };
        let reason = format!(
            "at η = {} and t = {} the error of {} is {error} of its scale",
            p.eta,
            short(p.time),
            names[p.function]
        );
        return (Verdict::Refuted, reason, 1.0);
    }
    if unknown > 0 {
        return open(format!("{unknown} errors are not finite"));
    }
    let Some(w) = widest else {
        return open("there is no function to compare".to_string());
    };
    let (far, name) = (part(w.reach()), &names[w.function]);
    let tolerance = part(demands.tolerance);
    if w.reach() <= demands.tolerance {
        let what = match kind {
            Kind::Expectations => "every error is 0",
            Kind::Paths => "all paths agree",
        };
        let reason = format!(
            "at every η and every time {what} to within {far} of its scale ({name} the widest; tolerance {tolerance})"
        );
        return (Verdict::Consistent, reason, 1.0);
    }
    let room = demands.tolerance - w.error.value.abs();
    let known = format!(
        "the error of {name} is only known to {far} of its scale (tolerance {tolerance}) at η = {}",
        w.eta
    );
    if room > 0.0 {
        (Verdict::Inconclusive, known, (w.half() / room).powi(2))
    } else {
        // More paths decide whether the error is there.
        let factor = (w.half() / w.error.value.abs()).powi(2).max(1.0) * 2.0;
        (Verdict::Inconclusive, known, factor)
    }
}

/// A time in a sentence.
fn short(t: f64) -> String {
    format!("{t:.3e}")
        .parse::<f64>()
        .map_or_else(|_| t.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theorems::weak_approximation::NORMAL_PATHS;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    use rand_xoshiro::Xoshiro256PlusPlus;

    const DEMANDS: Demands = Demands {
        level: 0.99,
        tolerance: 0.05,
        negligible: 0.005,
        squares: false,
        fewest_paths: NORMAL_PATHS,
        limits: None,
        precision: None,
    };

    /// Five rungs of three times and two functions with noise `s` around `f(eta, t, h)`.
    fn ladder(seed: u64, s: f64, f: impl Fn(f64, f64, usize) -> f64) -> Vec<Rung> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let times = [0.5, 1.0, 2.0];
        let rung = |i: i32| {
            let eta = 0.5f64.powi(4 + i);
            let mut error = |t: f64, h: usize| {
                let z: f64 = rng.sample(StandardNormal);
                f(eta, t, h) + s * z
            };
            Rung {
                eta,
                n: 1000,
                times: times.to_vec(),
                errors: times.map(|t| vec![error(t, 0), error(t, 1)]).to_vec(),
                noise: vec![vec![s; 2]; 3],
                unpaired: vec![],
                influence: vec![],
                common: vec![0, 1, 2],
                stochastic: true,
                lost: 0,
            }
        };
        (0..5).map(rung).collect()
    }

    fn judged(kind: Kind, rungs: &[Rung], demands: Demands) -> Judgement {
        judge_everywhere(kind, rungs, &["a".to_string(), "b".to_string()], demands)
    }

    /// At level 0.99 a true claim is refuted at most once in a hundred seeds: more than 8 of 300 has probability 0.4 %. An error of
    /// one rung alone, at one time and in one function, has to be found always; the seeds are fixed.
    #[test]
    fn true_claims_stand_and_single_errors_are_found() {
        let mut refuted = 0;
        for seed in 0..300 {
            let fine = ladder(seed, 0.004, |_, _, _| 0.0);
            let verdict = judged(Kind::Expectations, &fine, DEMANDS).verdict;
            refuted += u32::from(verdict == Verdict::Refuted);
            let spike = |eta: f64, t: f64, h: usize| match (eta == 0.5f64.powi(7), t == 1.0, h) {
                (true, true, 1) => 0.06,
                _ => 0.0,
            };
            let wrong = judged(Kind::Expectations, &ladder(seed, 0.004, spike), DEMANDS);
            assert_eq!(wrong.verdict, Verdict::Refuted, "{seed}");
            assert!(wrong.reason.contains("error of b"), "{}", wrong.reason);
        }
        assert!(refuted <= 8, "{refuted}");
        let fine = judged(
            Kind::Expectations,
            &ladder(1, 0.004, |_, _, _| 0.0),
            DEMANDS,
        );
        assert_eq!(fine.verdict, Verdict::Consistent, "{}", fine.reason);
    }

    #[test]
    fn wide_intervals_and_lost_paths_are_no_pass() {
        let wide = judged(Kind::Expectations, &ladder(1, 0.05, |_, _, _| 0.0), DEMANDS);
        assert_eq!(wide.verdict, Verdict::Inconclusive);
        assert!(wide.paths_factor > 1.0 && wide.paths_factor.is_finite());
        let mut lost = ladder(1, 0.001, |_, _, _| 0.0);
        lost[2].lost = 1;
        assert_eq!(
            judged(Kind::Expectations, &lost, DEMANDS).verdict,
            Verdict::Inconclusive
        );
        let mut missing = ladder(1, 0.001, |_, _, _| 0.0);
        missing[2].errors[1][1] = f64::NAN;
        assert_eq!(
            judged(Kind::Expectations, &missing, DEMANDS).verdict,
            Verdict::Inconclusive
        );
        assert_eq!(
            judged(Kind::Expectations, &[], DEMANDS).verdict,
            Verdict::Inconclusive
        );
    }

    #[test]
    fn paths_agree_to_rounding_or_not() {
        let demands = Demands {
            tolerance: ROUNDING,
            negligible: ROUNDING,
            ..DEMANDS
        };
        let rounding = judged(Kind::Paths, &ladder(1, 0.0, |_, _, _| 3e-14), demands);
        assert_eq!(rounding.verdict, Verdict::Consistent, "{}", rounding.reason);
        // An error of O(η) at the smallest η alone is still one.
        let wrong = judged(
            Kind::Paths,
            &ladder(1, 0.0, |eta, _, _| 1e-4 * eta),
            demands,
        );
        assert_eq!(wrong.verdict, Verdict::Refuted);
    }
}
