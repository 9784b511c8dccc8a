//! Theorem 5.5: do SGD and SGDM, seen through Φ, converge to the slow SDE (4) over O(1/η²) steps?
//!
//! The theorem is convergence in distribution of whole paths. It is tested from several sides at once, each extrapolated to
//! η → 0 with an interval as in [`weak_approximation`](super::weak_approximation):
//!
//! * expectations E h(Φ(x_k)) − E h(X_t) of the test functions, paired on the shared Brownian path;
//! * path by path: ‖Φ(x_k) − X_{kη²}‖ at the end and its supremum over time, in the mean square (whose expansion has whole
//!   powers of η, and whose root bounds the mean). This is stronger than the theorem, and sharper
//!   than any comparison of histograms: Φ(x_k) − X → 0 holds where W = −η Σ ξ_k drives both;
//! * distances between the laws of functions (Kolmogorov–Smirnov, Wasserstein-1, sliced Wasserstein); the square of the energy
//!   distance is at most twice the product of the first two, vanishes at twice their order, and is reported beside the verdict;
//! * expectations of path functionals: running maximum, share of time in a set, product at two times.
//!
//! The claim is consistent when all of them vanish within the tolerance, refuted when one of them has a limit away from zero
//! at a level that is split over all of them.

use super::weak_approximation::{Claim, Demands, Judgement, Rung, judge};
use crate::report::result::{DistanceCheck, DistanceKind, Estimate, FunctionCheck, Verdict};
use crate::statistics::student_widening;

/// One distance along the ladder: rungs with a single function each.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// What is measured.
    pub kind: DistanceKind,
    /// Its name in tables.
    pub name: String,
    /// The test function behind it, by index; 0 where there is none.
    pub function: usize,
    /// Its natural scale, > 0.
    pub scale: f64,
    /// The same distance between two independent ensembles of one law, per rung; NaN where that has no meaning.
    pub floor: Vec<f64>,
    /// The distances, their squares for [mean squares](DistanceKind::is_mean_square), largest η first.
    pub rungs: Vec<Rung>,
    /// E‖left − right‖ per rung beside the mean square; empty for other kinds.
    pub mean: Vec<f64>,
    /// Batches behind the standard errors; 0 for those of means over paths.
    pub batches: usize,
}

/// The outcome for one comparison, in either regime.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Verdict, reason, and the checks of the test functions.
    pub judgement: Judgement,
    /// One entry per ladder.
    pub distances: Vec<DistanceCheck>,
}

/// The exponents of η in the error expansions.
///
/// On the clock t = kη^{1+s} with σ = η^{-(1−s)/2} (s = 1 is Regime II), at momentum index α: expectations against (4), from x_0
/// ∈ Γ: normal fluctuations of variance O(η^s) relax in η^{−1} steps (α < 1) or at the pace of the momentum, in η^{−α} (α > 1),
/// while Γ is explored in η^{−1−s}: the ratios are η^s and η^{1+s−α}, the latter also the delay of the momentum in slow time. The
/// stationary normal variance itself is right up to a factor 1 + O(η) whatever α (theory: Sec. 6, closed form 1). The fall from
/// x_0 ∉ Γ follows the gradient flow up to η^{1−α}, the memory of the momentum in fast time. Where Σ couples directions along and
/// across Γ, the drift along Γ is off by as much: with ε = η^{1−α} and curvature h, a normal fluctuation x_⊥ meets the momentum
/// along Γ with E x_⊥m_∥ = −ησ²Σ_⊥∥/(2 + εh), where without momentum they would not meet. Paths: normal fluctuations of size
/// η^{s/2} turn the noise by as much, and what the momentum still holds is of size η^{(1+s−α)/2}. From α = 1 + s on nothing
/// vanishes, and any expansion will do.
///
/// SGD, SGDM and (51) among themselves fluctuate alike, so that η^s is not among their errors: what is left is the step, η, the
/// delay of the momentum, and the fall. Hence (51) hands over to (4) where η^s is no more than these: for SGDM that falls onto Γ
/// at s = 1 − α, for SGD only at s = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// Of expectations, of path functionals too.
    pub expectations: Claim,
    /// Of distances between laws.
    pub distances: Claim,
    /// Of mean squares of distances between paths.
    pub mean_squares: Claim,
}

impl Claims {
    /// One expansion for everything: Regime I, where the laws have smooth densities.
    pub fn uniform(claim: Claim) -> Claims {
        Claims {
            expectations: claim.clone(),
            distances: claim.clone(),
            mean_squares: claim,
        }
    }

    /// The claim about two processes in Regime II, or between the regimes.
    pub fn slow(pair: SlowPair) -> Claims {
        let SlowPair { s, alpha, .. } = pair;
        let claim = |part: f64| {
            let mut generators = vec![part, part * (1.0 + s - alpha)];
            if pair.limit {
                generators.push(part * s);
            }
            if !pair.on_manifold || pair.crossing {
                generators.push(1.0 - alpha);
            }
            generators.retain(|g| *g > 1e-9);
            generators.sort_by(f64::total_cmp);
            generators.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
            Claim {
                guaranteed_order: 0.0,
                generators,
            }
        };
        Claims {
            expectations: claim(1.0),
            distances: claim(0.5),
            mean_squares: claim(1.0),
        }
    }
}

/// What the errors of two processes on the slow clock depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowPair {
    /// s of the clock t = kη^{1+s}.
    pub s: f64,
    /// The momentum index α ≥ 0; 0 where neither has momentum.
    pub alpha: f64,
    /// Whether x_0 ∈ Γ.
    pub on_manifold: bool,
    /// Whether Σ couples directions along and across Γ.
    pub crossing: bool,
    /// Whether one of them is the slow SDE (4).
    pub limit: bool,
}

/// Judges one comparison. `rungs`, `scales` and `names` are those of the expectations.
pub fn judge_all(
    claim: &Claims,
    rungs: &[Rung],
    scales: &[f64],
    names: &[String],
    ladders: Vec<Ladder>,
    demands: Demands,
) -> Findings {
    let families = 1 + ladders.len();
    let demands = Demands {
        level: 1.0 - (1.0 - demands.level) / families as f64,
        ..demands
    };
    let judgement = judge(&claim.expectations, rungs, scales, names, demands);
    let mut parts = vec![(None, judgement.clone())];
    let mut distances = vec![];
    for mut ladder in ladders {
        let times = ladder.rungs.iter().map(|r| r.common.len()).min();
        let widening = match ladder.batches {
            0 => 1.0,
            n => student_widening(n as u64, demands.level, 2.0 * times.unwrap_or(0) as f64),
        };
        let noise = ladder.rungs.iter_mut().flat_map(|r| &mut r.noise);
        noise.flatten().for_each(|s| *s *= widening);
        // Distances between samples are never 0: what the same law reaches is no evidence.
        let floor = ladder.floor.iter().copied().filter(|f| f.is_finite());
        let floor = match ladder.kind.is_law() {
            true => floor.fold(0.0, f64::max) / ladder.scale,
            false => 0.0,
        };
        let squares = ladder.kind.is_mean_square();
        let power = if squares { 2 } else { 1 };
        let demands = Demands {
            tolerance: demands.tolerance.powi(power),
            negligible: demands.negligible.max(floor).powi(power),
            squares,
            precision: None,
            ..demands
        };
        let names = [ladder.name.clone()];
        let scales = [ladder.scale.powi(power)];
        let claim = match ladder.kind {
            DistanceKind::Functional => &claim.expectations,
            _ if squares => &claim.mean_squares,
            _ => &claim.distances,
        };
        let part = judge(claim, &ladder.rungs, &scales, &names, demands);
        if let Some(mut check) = part.functions.first().cloned() {
            check.function = ladder.function;
            if squares {
                root(&mut check);
            }
            distances.push(DistanceCheck {
                kind: ladder.kind,
                name: ladder.name,
                check,
                floor: ladder.floor,
                mean: ladder.mean,
            });
        }
        parts.push((Some(ladder.kind), part));
    }
    Findings {
        judgement: Judgement {
            functions: judgement.functions,
            precision_factor: judgement.precision_factor,
            speed_up: judgement.speed_up,
            effective_limits: judgement.effective_limits,
            ..together(&parts, demands)
        },
        distances,
    }
}

/// From mean squares to their roots. The fitted curve stays that of the square.
fn root(check: &mut FunctionCheck) {
    check.scale = check.scale.sqrt();
    check.limit = check.limit.root();
    for point in check.errors.iter_mut().chain(&mut check.fitted) {
        point.error = point.error.root();
        point.constant = point.constant.root();
        point.noise_floor = point.noise_floor.sqrt();
    }
    for slope in &mut check.slopes {
        slope.slope = slope.slope.scaled(0.5);
    }
    check.order = check.order.map(|o| o.scaled(0.5));
}

/// One verdict from those of the families.
fn together(parts: &[(Option<DistanceKind>, Judgement)], demands: Demands) -> Judgement {
    let far = |e: &Estimate| e.value.abs() + (e.upper - e.value);
    let of = |verdict: Verdict| parts.iter().filter(move |(_, j)| j.verdict == verdict);
    let farthest = |verdict: Verdict| {
        of(verdict)
            .map(|(_, j)| j)
            .max_by(|a, b| far(&a.limit).total_cmp(&far(&b.limit)))
    };
    if let Some(refuting) = farthest(Verdict::Refuted) {
        let others = match of(Verdict::Refuted).count() {
            1 => String::new(),
            n => format!(" ({n} of {} statistics refute)", parts.len()),
        };
        return Judgement {
            reason: format!("{}{others}", refuting.reason),
            paths_factor: 1.0,
            ..refuting.clone()
        };
    }
    if let Some((_, first)) = of(Verdict::Inconclusive).next() {
        let factors = of(Verdict::Inconclusive).map(|(_, j)| j.paths_factor);
        return Judgement {
            paths_factor: factors.fold(1.0, f64::max),
            ..first.clone()
        };
    }
    let share = |name: &str, kinds: &[Option<DistanceKind>]| {
        let limits = parts.iter().filter(|(k, _)| kinds.contains(k));
        let widest = limits.map(|(_, j)| far(&j.limit)).max_by(f64::total_cmp)?;
        Some(format!("{name} {:.2} %", 100.0 * widest))
    };
    use DistanceKind::*;
    let shares = [
        share("expectations", &[None]),
        share("paths", &[Some(Pathwise), Some(Supremum)]),
        share(
            "laws",
            &[
                Some(KolmogorovSmirnov),
                Some(Wasserstein),
                Some(SlicedWasserstein),
            ],
        ),
        share("path functionals", &[Some(Functional)]),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    Judgement {
        reason: format!(
            "as η → 0 all differences vanish to within: {} of their scales (tolerance {:.2} %)",
            shares.join(", "),
            100.0 * demands.tolerance
        ),
        ..farthest(Verdict::Consistent).unwrap_or(&parts[0].1).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::weak_approximation::NORMAL_PATHS;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_distr::{ChiSquared, StandardNormal};
    use rand_xoshiro::Xoshiro256PlusPlus;

    const DEMANDS: Demands = Demands {
        level: 0.95,
        tolerance: 0.05,
        negligible: 0.005,
        squares: false,
        fewest_paths: NORMAL_PATHS,
        limits: None,
        precision: None,
    };

    /// A process of Regime II and the slow SDE.
    fn regime_two(alpha: f64, on_manifold: bool) -> SlowPair {
        SlowPair {
            s: 1.0,
            alpha,
            on_manifold,
            crossing: false,
            limit: true,
        }
    }

    /// Batches of the laws, as in a run.
    const BATCHES: usize = 16;

    /// Which statistic has a limit of a tenth of its scale.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Planted {
        Nothing,
        Mean,
        MeanSquare,
        Law,
        Functional,
    }

    fn rung(eta: f64, n: u64, errors: Vec<Vec<f64>>, noise: Vec<Vec<f64>>) -> Rung {
        let times = 1..=errors.len();
        Rung {
            eta,
            n,
            times: times.map(|t| t as f64 / errors.len() as f64).collect(),
            common: (0..errors.len()).collect(),
            errors,
            noise,
            unpaired: vec![],
            influence: vec![],
            stochastic: true,
            lost: 0,
        }
    }

    /// A ladder of six η at α = ½ from Γ, with the expansions that the claim allows: three functions at four times, mean squares
    /// of two path distances, two laws and a functional. Scales are 2.
    fn judged(seed: u64, planted: Planted) -> Findings {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let etas: Vec<f64> = (0..6).map(|i| 0.05 * f64::from(-i).exp2()).collect();
        let scale = 2.0;
        let offset = |p: Planted| if p == planted { 0.1 } else { 0.0 };
        let expansion = |eta: f64| 2.0 * eta - 5.0 * eta.powf(1.5) + 8.0 * eta * eta;
        let noise = 2e-3 * scale;
        let mut around =
            |value: f64, noise: f64| value + noise * rng.sample::<f64, _>(StandardNormal);
        let rungs: Vec<Rung> = etas
            .iter()
            .map(|&eta| {
                let row = |t: i32| -> Vec<f64> {
                    let truth = |h: i32| f64::from(t * h) / 12.0 * expansion(eta);
                    let far = |h: i32| if h == 2 { offset(Planted::Mean) } else { 0.0 };
                    (1..=3).map(|h| scale * (truth(h) + far(h))).collect()
                };
                let mut errors: Vec<Vec<f64>> = (1..=4).map(row).collect();
                errors
                    .iter_mut()
                    .flatten()
                    .for_each(|e| *e = around(*e, noise));
                rung(eta, 10_000, errors, vec![vec![noise; 3]; 4])
            })
            .collect();
        let mut ladder =
            |kind: DistanceKind, truth: &dyn Fn(f64) -> f64, relative: f64, batches: usize| {
                let rungs = etas.iter().map(|&eta| {
                    let value = truth(eta);
                    let noise = relative * if kind.is_mean_square() { value } else { scale };
                    let error = around(value, noise);
                    // A standard error from batches is itself random: Student's law with one degree of freedom fewer.
                    let known = match batches {
                        0 => noise,
                        n => {
                            let freedom = (n - 1) as f64;
                            let chi = ChiSquared::new(freedom).expect("valid");
                            let seed = (1e12 * error.abs()) as u64;
                            let square: f64 = Xoshiro256PlusPlus::seed_from_u64(seed).sample(chi);
                            noise * (square / freedom).sqrt()
                        }
                    };
                    rung(eta, 10_000, vec![vec![error]], vec![vec![known]])
                });
                Ladder {
                    kind,
                    name: format!("{kind:?}"),
                    function: 0,
                    scale,
                    floor: vec![0.002 * scale; 6],
                    rungs: rungs.collect(),
                    mean: vec![],
                    batches,
                }
            };
        let square = |eta: f64| {
            scale * scale * (0.5 * eta + 0.4 * eta.powf(1.5) + offset(Planted::MeanSquare).powi(2))
        };
        let law =
            |eta: f64| scale * (0.3 * eta.sqrt() - 0.2 * eta.powf(0.75) + offset(Planted::Law));
        let functional = |eta: f64| scale * (expansion(eta) + offset(Planted::Functional));
        let ladders = vec![
            ladder(DistanceKind::Pathwise, &square, 0.02, 0),
            ladder(DistanceKind::Supremum, &|eta| 1.7 * square(eta), 0.02, 0),
            ladder(DistanceKind::KolmogorovSmirnov, &law, 2e-3, BATCHES),
            ladder(DistanceKind::SlicedWasserstein, &law, 2e-3, BATCHES),
            ladder(DistanceKind::Functional, &functional, 2e-3, 0),
        ];
        let names: Vec<String> = (0..3).map(|h| format!("h{h}")).collect();
        let claim = Claims::slow(regime_two(0.5, true));
        judge_all(&claim, &rungs, &[scale; 3], &names, ladders, DEMANDS)
    }

    /// Over 200 ladders whose every difference vanishes, refutations stay at the stated level (5 %: more than 21 of 200 have
    /// probability 5e-4 under it), and most are found consistent. A limit of a tenth of the scale in any one statistic is never
    /// called consistent, and but for the laws it is refuted on nearly every ladder.
    #[test]
    fn error_rates_are_as_stated() {
        let count = |planted: Planted, verdict: Verdict| {
            let hits = (0..200).filter(|&seed| judged(seed, planted).judgement.verdict == verdict);
            hits.count()
        };
        let refuted = count(Planted::Nothing, Verdict::Refuted);
        let consistent = count(Planted::Nothing, Verdict::Consistent);
        assert!(refuted <= 21, "{refuted} of 200 refuted");
        assert!(
            consistent >= 100,
            "{consistent} of 200 consistent, {refuted} refuted: {}",
            judged(0, Planted::Nothing).judgement.reason
        );
        for planted in [
            Planted::Mean,
            Planted::MeanSquare,
            Planted::Law,
            Planted::Functional,
        ] {
            let refuted = count(planted, Verdict::Refuted);
            let reason = judged(0, planted).judgement.reason;
            // Distances between laws fall with √η: on six η the rest without the largest leaves open whether they vanish.
            let least = if planted == Planted::Law { 0 } else { 190 };
            assert!(refuted >= least, "{planted:?}: {refuted} of 200: {reason}");
            assert_eq!(count(planted, Verdict::Consistent), 0, "{planted:?}");
        }
    }

    /// The limit of a mean square is shown as its root, in the units of the distance, and so are its points.
    #[test]
    fn mean_squares_are_shown_as_roots() {
        for (planted, root) in [(Planted::Nothing, 0.0), (Planted::MeanSquare, 0.2)] {
            let judgement = judged(3, planted);
            assert_eq!(judgement.distances.len(), 5);
            let path = &judgement.distances[0];
            assert_eq!((path.kind, path.check.scale), (DistanceKind::Pathwise, 2.0));
            let limit = path.check.limit;
            assert!(limit.lower <= root && root <= limit.upper, "{limit:?}");
            let first = path.check.errors[0].error.value;
            let square = 4.0 * (0.5f64 * 0.05 + 0.4 * 0.05f64.powf(1.5) + 0.25 * root * root);
            // 5 standard errors of 1 % (half of 2 %).
            assert!((first / square.sqrt() - 1.0).abs() < 0.05, "{first}");
        }
        // The reason names the farther one of the two: the supremum, as a share of the scale.
        let refuted = judged(3, Planted::MeanSquare).judgement;
        let limit = refuted.limit;
        let planted = 0.1 * 1.7f64.sqrt();
        assert!(limit.lower < planted && planted < limit.upper, "{limit:?}");
        assert!(refuted.reason.contains("Supremum"), "{}", refuted.reason);
    }

    /// Twelve paths near a curve: means and standard errors of few numbers. Student's quantiles keep refutations at the stated
    /// level (more than 36 of 400 have probability 3e-4 under 5 %), and widen every interval by what they are wider.
    #[test]
    fn few_paths_are_judged_by_students_law() {
        let paths = 12;
        let demands = Demands {
            fewest_paths: 8,
            ..DEMANDS
        };
        let claim = Claims::slow(regime_two(0.0, true));
        let names = ["h".to_string()];
        let ladder = |seed: u64, limit: f64| -> Vec<Rung> {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            (0..6)
                .map(|i| {
                    let eta = 0.05 * f64::from(-i).exp2();
                    let mut row = || {
                        let draw =
                            |_| limit + 0.6 * eta + 0.01 * rng.sample::<f64, _>(StandardNormal);
                        let x: Vec<f64> = (0..paths).map(draw).collect();
                        let mean = x.iter().sum::<f64>() / f64::from(paths);
                        let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
                        (mean, (squares / f64::from(paths * (paths - 1))).sqrt())
                    };
                    let rows: Vec<(f64, f64)> = (0..4).map(|_| row()).collect();
                    let (errors, noise): (Vec<_>, Vec<_>) =
                        rows.into_iter().map(|(e, s)| (vec![e], vec![s])).unzip();
                    rung(eta, paths as u64, errors, noise)
                })
                .collect()
        };
        let verdict = |rungs: &[Rung]| judge_all(&claim, rungs, &[1.0], &names, vec![], demands);
        let (mut refuted, mut missed) = (0, 0);
        for seed in 0..400 {
            refuted +=
                usize::from(verdict(&ladder(seed, 0.0)).judgement.verdict == Verdict::Refuted);
            missed +=
                usize::from(verdict(&ladder(seed, 0.1)).judgement.verdict == Verdict::Consistent);
        }
        assert!(refuted <= 36, "{refuted} of 400 refuted");
        assert_eq!(missed, 0, "{missed} of 400 limits called consistent");
        let few = ladder(1, 0.0);
        let many: Vec<Rung> = few
            .iter()
            .map(|r| Rung {
                n: 10_000,
                ..r.clone()
            })
            .collect();
        let noise_width = |rungs: &[Rung]| {
            let errors = &verdict(rungs).judgement.functions[0].fitted[0].error;
            (errors.upper - errors.value) / errors.standard_error
        };
        let wider = noise_width(&few) / noise_width(&many);
        let student = student_widening(paths as u64, demands.level, 2.0 * 4.0);
        assert!(
            student > 1.2 && (wider - student).abs() < 1e-9,
            "{wider} against {student}"
        );
        // Fewer than asked for: no verdict.
        let too_few: Vec<Rung> = few.iter().map(|r| Rung { n: 7, ..r.clone() }).collect();
        assert_eq!(verdict(&too_few).judgement.verdict, Verdict::Inconclusive);
    }

    /// A path lost to a blow-up, or a number that is not there, in any ladder: no verdict.
    #[test]
    fn what_is_lost_is_not_judged() {
        let claim = Claims::slow(regime_two(0.5, true));
        let whole = |lost: u64, error: f64| {
            let rungs: Vec<Rung> = (0..6)
                .map(|i| {
                    let eta = 0.05 * f64::from(-i).exp2();
                    rung(eta, 10_000, vec![vec![0.1 * eta]], vec![vec![1e-5]])
                })
                .collect();
            let mut ladder = rungs.clone();
            ladder[3].lost = lost;
            ladder[3].errors[0][0] += error;
            let ladder = Ladder {
                kind: DistanceKind::Functional,
                name: "max h".into(),
                function: 0,
                scale: 1.0,
                floor: vec![f64::NAN; 6],
                rungs: ladder,
                mean: vec![],
                batches: 0,
            };
            let names = ["h".to_string()];
            judge_all(&claim, &rungs, &[1.0], &names, vec![ladder], DEMANDS)
                .judgement
                .verdict
        };
        assert_eq!(whole(0, 0.0), Verdict::Consistent);
        assert_eq!(whole(1, 0.0), Verdict::Inconclusive);
        assert_eq!(whole(0, f64::NAN), Verdict::Inconclusive);
    }

    /// The exponents at the edges of α: the momentum's delay η^{2−α} drops out at α = 0 and α = 1, and nothing is left to vanish
    /// from α = 2 on but the powers of η.
    #[test]
    fn exponents_of_the_claim() {
        let of = |alpha: f64, on: bool| {
            let claim = Claims::slow(regime_two(alpha, on));
            (claim.expectations.generators, claim.distances.generators)
        };
        assert_eq!(of(0.0, true), (vec![1.0, 2.0], vec![0.5, 1.0]));
        assert_eq!(of(0.5, true), (vec![1.0, 1.5], vec![0.5, 0.75]));
        assert_eq!(of(0.5, false), (vec![0.5, 1.0, 1.5], vec![0.5, 0.75]));
        assert_eq!(of(1.0, false), (vec![1.0], vec![0.5]));
        assert_eq!(of(1.5, true), (vec![0.5, 1.0], vec![0.25, 0.5]));
        assert_eq!(of(2.0, true), (vec![1.0], vec![0.5]));
    }

    /// Between the regimes: η^s is an error of (4) alone, the fall costs what uses momentum η^{1−α}, and at s = 1 (4) is no worse
    /// than (51).
    #[test]
    fn exponents_between_the_regimes() {
        let of = |s: f64, alpha: f64, on_manifold: bool, limit: bool| {
            let claim = Claims::slow(SlowPair {
                s,
                alpha,
                on_manifold,
                crossing: false,
                limit,
            });
            (
                claim.expectations.generators,
                claim.distances.generators,
                claim.mean_squares.generators,
            )
        };
        let (expectations, distances, squares) = of(0.5, 0.0, true, true);
        assert_eq!(expectations, [0.5, 1.0, 1.5]);
        assert_eq!(distances, [0.25, 0.5, 0.75]);
        assert_eq!(squares, expectations);
        assert_eq!(of(0.5, 0.0, true, false).0, [1.0, 1.5]);
        assert_eq!(of(0.5, 0.75, false, true).0, [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(of(0.5, 0.75, false, false).0, [0.25, 0.75, 1.0]);
        assert_eq!(of(0.5, 0.75, true, false).0, [0.75, 1.0]);
        for (alpha, on) in [(0.0, true), (0.5, false), (0.75, true), (1.5, false)] {
            assert_eq!(of(1.0, alpha, on, true), of(1.0, alpha, on, false));
        }
        let crossing = Claims::slow(SlowPair {
            crossing: true,
            ..regime_two(0.75, true)
        });
        assert_eq!(crossing, Claims::slow(regime_two(0.75, false)));
        // The hand-over: least exponents of (4) and of (51) for SGDM that falls.
        let least = |s: f64, alpha: f64, limit: bool| of(s, alpha, false, limit).0[0];
        for alpha in [0.25, 0.5, 0.75] {
            for s in [0.125, 0.25, 0.5, 0.75, 1.0] {
                let as_good = least(s, alpha, true) >= least(s, alpha, false);
                assert_eq!(as_good, s >= 1.0 - alpha, "s = {s}, α = {alpha}");
            }
        }
    }
}
