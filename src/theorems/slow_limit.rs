//! Theorem 5.5: do SGD and SGDM, seen through Φ, converge to the slow SDE (4) over O(1/η²) steps?
//!
//! The theorem is convergence in distribution of whole paths. It is tested from several sides at once, each extrapolated to
//! η → 0 with an interval as in [`weak_approximation`](super::weak_approximation):
//!
//! * expectations E h(Φ(x_k)) − E h(X_t) of the test functions, paired on the shared Brownian path;
//! * path by path: ‖Φ(x_k) − X_{kη²}‖ at the end and its supremum over time, in the mean square (whose expansion has whole
//!   powers of η, and whose root bounds the mean). This is stronger than the theorem, and sharper
//!   than any comparison of histograms: Φ(x_k) − X → 0 holds where W = −η Σ ξ_k drives both;
//! * distances between the laws of functions (Kolmogorov–Smirnov, Wasserstein-1, sliced Wasserstein);
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

/// The outcome for one comparison.
#[derive(Clone, Debug)]
pub struct SlowJudgement {
    /// Verdict, reason, and the checks of the test functions.
    pub judgement: Judgement,
    /// One entry per ladder.
    pub distances: Vec<DistanceCheck>,
}

/// The exponents of η in the error expansions at momentum index α.
///
/// Expectations, from x_0 ∈ Γ: normal fluctuations relax in η^{−1} steps (α < 1) or at the pace of the momentum, in η^{−α}
/// (α > 1), while Γ is explored in η^{−2}: the ratios are η and η^{2−α}, the latter also the delay of the momentum in slow
/// time. The stationary normal variance itself is right up to η whatever α (theory: Sec. 6, closed form 1). The fall from
/// x_0 ∉ Γ follows the gradient flow up to η^{1−α}, the memory of the momentum in fast time. Paths: normal fluctuations of
/// size √η turn the noise by as much, and what the momentum still holds is of size η^{1−α/2}. From α = 2 on nothing vanishes,
/// and any expansion will do.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowClaim {
    /// Of expectations, of path functionals too.
    pub expectations: Claim,
    /// Of distances between laws.
    pub distances: Claim,
    /// Of mean squares of distances between paths.
    pub mean_squares: Claim,
}

impl SlowClaim {
    /// The claim at momentum index α ≥ 0 (0 for SGD), for paths that start on Γ or off it.
    pub fn new(alpha: f64, on_manifold: bool) -> SlowClaim {
        let claim = |mut generators: Vec<f64>| {
            if !on_manifold {
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
        SlowClaim {
            expectations: claim(vec![1.0, 2.0 - alpha]),
            distances: claim(vec![0.5, 1.0 - 0.5 * alpha]),
            mean_squares: claim(vec![1.0, 2.0 - alpha]),
        }
    }
}

/// Judges one comparison. `rungs`, `scales` and `names` are those of the expectations.
pub fn judge_slow(
    claim: &SlowClaim,
    rungs: &[Rung],
    scales: &[f64],
    names: &[String],
    ladders: Vec<Ladder>,
    demands: Demands,
) -> SlowJudgement {
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
            n => student_widening(n as u64, demands.level, 2 * times.unwrap_or(0)),
        };
        let noise = ladder.rungs.iter_mut().flat_map(|r| &mut r.noise);
        noise.flatten().for_each(|s| *s *= widening);
        // Distances between samples are never 0: what the same law reaches is no evidence.
        let floor = ladder.floor.iter().copied().filter(|f| f.is_finite());
        let floor = match ladder.batches {
            0 => 0.0,
            _ => floor.fold(0.0, f64::max) / ladder.scale,
        };
        let squares = ladder.kind.is_mean_square();
        let power = if squares { 2 } else { 1 };
        let demands = Demands {
            tolerance: demands.tolerance.powi(power),
            negligible: demands.negligible.max(floor).powi(power),
            squares,
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
    SlowJudgement {
        judgement: Judgement {
            functions: judgement.functions,
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
