//! Distances between the laws of two processes, their standard errors over batches of paths, and what they reach between two
//! ensembles of one law; C-closeness.
//!
//! At a single η laws may differ, as the theorems are about η → 0. Verdicts in Regime II extrapolate the Kolmogorov–Smirnov and the
//! Wasserstein distances. What else is here describes: Theorem 4.5 is about expectations, and the energy distance, whose square
//! D² = 2∫(F − G)² ≤ 2 sup|F − G| ∫|F − G| vanishes with the other two, would take its share of the level and say nothing new.

use super::Scenario;
use super::run::natural_scales;
use super::slow::{CONSTANT, View};
use crate::ensemble::{CoMoments, Distances, DyadicHistogram, Law, Moments, TestFunction};
use crate::report::result::{
    Closeness, ClosenessPoint, DistanceKind, Estimate, LawDistance, LawPoint, Regime,
};
use crate::statistics::{
    bonferroni_quantile, kolmogorov_smirnov_margin, kolmogorov_smirnov_p_value, mean_projection,
    normal_quantile, student_widening,
};
use std::f64::consts::FRAC_1_SQRT_2;

/// Coverage of the intervals at one η.
const LEVEL: f64 = 0.95;

/// Two laws: of two processes, with a batch left out, or of one process in two halves.
#[derive(Clone, Copy)]
pub(super) struct Selected<'a> {
    laws: (&'a Law, &'a Law),
    sides: (usize, usize),
    without: Option<&'a Law>,
}

impl Selected<'_> {
    /// The distances between the laws of a monitored function at one of the times of the plan.
    pub fn monitored(&self, time: usize, m: usize) -> Option<Distances> {
        self.distances(&|law, process| &law.monitored[time][process][m])
    }

    /// The mean over the directions of a distance between projections, at one of the projected times of the plan.
    pub fn projected(&self, time: usize, of: fn(&Distances) -> f64) -> Option<f64> {
        let directions = self.laws.0.projected[time][self.sides.0].len();
        let along = |k: usize| {
            let distances = self.distances(&|law, process| &law.projected[time][process][k])?;
            Some(of(&distances))
        };
        let sum: f64 = (0..directions)
            .map(along)
            .collect::<Option<Vec<f64>>>()?
            .iter()
            .sum();
        Some(sum / directions as f64)
    }

    fn distances<'b>(
        &'b self,
        of: &dyn Fn(&'b Law, usize) -> &'b DyadicHistogram,
    ) -> Option<Distances> {
        let ((left, right), (law, other)) = (self.sides, self.laws);
        let (a, b) = (of(law, left), of(other, right));
        match self.without {
            None => a.distances(b),
            Some(batch) => a
                .without(of(batch, left))
                .distances(&b.without(of(batch, right))),
        }
    }
}

/// The laws of two processes at one η.
#[derive(Clone, Copy)]
pub(super) struct Laws<'a> {
    /// Over all batches.
    pub whole: &'a Law,
    /// By batch.
    pub batches: &'a [(usize, Law)],
    /// The left and the right process.
    pub sides: (usize, usize),
}

impl<'a> Laws<'a> {
    fn both(&self) -> Selected<'a> {
        Selected {
            laws: (self.whole, self.whole),
            sides: self.sides,
            without: None,
        }
    }

    /// A distance between the two laws, and its jackknife standard error over the batches: right whatever the noise that the two
    /// share. Numbers that do not exist are NaN.
    pub fn estimate(&self, value: &dyn Fn(&Selected) -> Option<f64>) -> (f64, f64) {
        let both = self.both();
        let Some(center) = value(&both) else {
            return (f64::NAN, f64::NAN);
        };
        let without = |(_, batch): &'a (usize, Law)| {
            value(&Selected {
                without: Some(batch),
                ..both
            })
        };
        let parts: Vec<f64> = self.batches.iter().filter_map(without).collect();
        let n = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / n;
        let squares: f64 = parts.iter().map(|p| (p - mean).powi(2)).sum();
        (center, ((n - 1.0) / n * squares).sqrt())
    }

    /// The mean of a distance between half of the right ensemble and the other half over four splits, times what a distance between
    /// ensembles of n paths is to one between halves of them: 1/√2, or for squares of distances 1/2.
    pub fn floor(&self, value: &dyn Fn(&Selected) -> Option<f64>, squared: bool) -> f64 {
        let right = self.sides.1;
        let split = |bit: u32| {
            let half = |side: u32| {
                let mut chosen = self
                    .batches
                    .iter()
                    .filter(|(b, _)| (*b as u32 >> bit) & 1 == side);
                let mut sum = chosen.next()?.1.clone();
                chosen.for_each(|(_, law)| sum.merge(law));
                Some(sum)
            };
            let (a, b) = (half(0)?, half(1)?);
            value(&Selected {
                laws: (&a, &b),
                sides: (right, right),
                without: None,
            })
        };
        let splits: Vec<f64> = (0..4).filter_map(split).collect();
        let mean = splits.iter().sum::<f64>() / splits.len() as f64;
        mean * if squared { 0.5 } else { FRAC_1_SQRT_2 }
    }
}

/// Number of values on either side.
fn counts(laws: &Laws, of: &dyn Fn(&Law, usize) -> u64) -> (u64, u64) {
    (of(laws.whole, laws.sides.0), of(laws.whole, laws.sides.1))
}

/// One distance: what is measured of whom.
struct Measure<'a> {
    kind: DistanceKind,
    name: String,
    function: Option<usize>,
    scale: f64,
    /// The distance, its square for [`DistanceKind::Energy`].
    value: &'a dyn Fn(&Selected) -> Option<f64>,
}

impl Measure<'_> {
    fn of(&self, points: Vec<LawPoint>) -> LawDistance {
        LawDistance {
            kind: self.kind,
            name: self.name.clone(),
            function: self.function,
            scale: self.scale,
            points,
        }
    }

    fn point(&self, eta: f64, laws: &Laws, (n, m): (u64, u64), at_most: Option<f64>) -> LawPoint {
        let squared = self.kind == DistanceKind::Energy;
        let (value, error) = laws.estimate(self.value);
        let floor = laws.floor(self.value, squared);
        let paths = n.min(m);
        let mut distance = match at_most {
            Some(at_most) => {
                let margin = kolmogorov_smirnov_margin(LEVEL, n, m);
                Estimate {
                    value,
                    standard_error: error,
                    lower: (value - margin).max(0.0),
                    upper: (at_most + margin).min(1.0),
                    level: LEVEL,
                    n: paths,
                }
            }
            None => {
                let batches = laws.batches.len() as u64;
                let z = normal_quantile(LEVEL) * student_widening(batches, LEVEL, 1.0);
                let estimate = Estimate::with_quantile(value, error, z, LEVEL, paths);
                Estimate {
                    lower: estimate.lower.max(0.0),
                    ..estimate
                }
            }
        };
        if squared {
            distance = distance.root();
        }
        LawPoint {
            eta,
            distance,
            floor: if squared { floor.sqrt() } else { floor },
            p_value: match at_most {
                Some(_) => kolmogorov_smirnov_p_value(value, n, m),
                None => f64::NAN,
            },
        }
    }
}

impl Scenario {
    /// How far apart the laws of the two processes are at the end of every rung.
    pub(super) fn law_distances(&self, views: &[View], wholes: &[Option<Law>]) -> Vec<LawDistance> {
        // A law that is a point has no interesting distance, and without noise all laws are points.
        if views
            .iter()
            .any(|v| v.is_prescribed() || !v.is_stochastic())
        {
            return vec![];
        }
        let rungs: Vec<(&View, Laws)> = views
            .iter()
            .filter_map(|v| Some((v, v.laws(wholes)?)))
            .filter(|(_, laws)| laws.batches.len() > 1)
            .collect();
        let Some((last, laws)) = rungs.last() else {
            return vec![];
        };
        let scales = natural_scales(last.system, last.total, laws.sides);
        let mut all = vec![];
        for (m, &h) in self.run.monitored.iter().enumerate() {
            if scales[h] <= CONSTANT {
                continue;
            }
            let name = &self.run.functions[h];
            let end = laws.whole.monitored.len() - 1;
            let distances = move |s: &Selected| s.monitored(end, m);
            let size = move |law: &Law, p: usize| law.monitored[end][p][m].total();
            let measures = [
                Measure {
                    kind: DistanceKind::KolmogorovSmirnov,
                    name: format!("KS of {name}"),
                    function: Some(h),
                    scale: 1.0,
                    value: &|s| Some(distances(s)?.kolmogorov_smirnov),
                },
                Measure {
                    kind: DistanceKind::Wasserstein,
                    name: format!("W₁ of {name}"),
                    function: Some(h),
                    scale: scales[h],
                    value: &|s| Some(distances(s)?.wasserstein),
                },
                Measure {
                    kind: DistanceKind::Energy,
                    name: format!("energy distance of {name}"),
                    function: Some(h),
                    scale: scales[h].sqrt(),
                    value: &|s| Some(distances(s)?.energy),
                },
            ];
            all.extend(measures.into_iter().map(|measure| {
                let points = rungs.iter().map(|(v, laws)| {
                    let tested = measure.kind == DistanceKind::KolmogorovSmirnov;
                    let at_most = tested
                        .then(|| Some(distances(&laws.both())?.kolmogorov_smirnov_at_most))
                        .flatten();
                    measure.point(v.system.eta, laws, counts(laws, &size), at_most)
                });
                measure.of(points.collect())
            }));
        }
        let Some(end) = laws.whole.projected.len().checked_sub(1) else {
            return all;
        };
        let directions = laws.whole.projected[end][laws.sides.1].len();
        if directions == 0 {
            return all;
        }
        let start = self.landing.as_ref().unwrap_or(&self.x0);
        let squares: f64 = last
            .system
            .plan
            .laws
            .directions
            .iter()
            .zip(&laws.whole.projected[end][laws.sides.1])
            .filter_map(|(u, law)| {
                law.mean_square_about(u.iter().zip(start).map(|(u, x)| u * x).sum())
            })
            .sum();
        // The root mean square displacement along one direction.
        let scale = (squares / directions as f64).sqrt().max(f64::MIN_POSITIVE);
        let d = self.x0.len();
        let constant = mean_projection(d);
        let measures = [
            Measure {
                kind: DistanceKind::SlicedWasserstein,
                name: "sliced W₁".to_string(),
                function: None,
                scale,
                value: &|s| s.projected(end, |d| d.wasserstein),
            },
            Measure {
                kind: DistanceKind::Energy,
                name: "energy distance of the states".to_string(),
                function: None,
                scale: (scale * (d as f64).sqrt()).sqrt(),
                value: &|s| Some(s.projected(end, |d| d.energy)? / constant),
            },
        ];
        let size = |law: &Law, p: usize| law.projected[end][p][0].total();
        all.extend(measures.into_iter().map(|measure| {
            let point = |(v, laws): &(&View, Laws)| {
                measure.point(v.system.eta, laws, counts(laws, &size), None)
            };
            let points = rungs.iter().map(point).collect();
            measure.of(points)
        }));
        all
    }

    /// C-closeness (Li, Malladi and Arora 2021) in those of its test functions that the panel has. On Γ the gradient vanishes, so
    /// that in Regime II there is nothing to compare in its norm.
    pub(super) fn closeness(&self, views: &[View]) -> Vec<Closeness> {
        let compared = |h: TestFunction| match h {
            TestFunction::SquaredNorm | TestFunction::TraceCovariance => true,
            TestFunction::SquaredGradient => self.regime == Regime::Fast,
            _ => false,
        };
        let panel = self.run.functions.iter().enumerate();
        panel
            .filter(|(_, h)| compared(**h))
            .map(|(h, _)| Closeness {
                function: h,
                points: views
                    .iter()
                    .filter_map(|v| self.closeness_point(v, h))
                    .collect(),
            })
            .filter(|c| !c.points.is_empty())
            .collect()
    }

    fn closeness_point(&self, view: &View, h: usize) -> Option<ClosenessPoint> {
        let (right, pair, total) = (view.right?, view.pair?, view.total);
        let common = &view.system.common;
        let logarithms: Vec<(f64, f64)> = common
            .iter()
            .map(|&save| {
                let panel = &total.panel[save];
                log_ratio(
                    &panel[view.left],
                    &panel[right],
                    &total.pairs[save][pair],
                    h,
                )
            })
            .collect();
        let z = bonferroni_quantile(LEVEL, logarithms.len() as f64);
        let reach = |sign: f64| {
            let ends = logarithms.iter().map(|(l, s)| l.abs() + sign * z * s);
            // What does not exist at one time does not exist.
            ends.fold(0.0, |most: f64, end| match most.is_nan() || end.is_nan() {
                true => f64::NAN,
                false => most.max(end),
            })
        };
        let farthest = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| {
            a.1.0.abs().total_cmp(&b.1.0.abs())
        };
        let (place, &(log, error)) = logarithms.iter().enumerate().max_by(farthest)?;
        let n = total.pairs[common[place]][pair].n;
        let estimate = |log: f64, lower: f64, upper: f64| Estimate {
            value: log.exp(),
            standard_error: log.exp() * error,
            lower: lower.exp(),
            upper: upper.exp(),
            level: LEVEL,
            n,
        };
        let alone = normal_quantile(LEVEL) * error;
        let save = view.system.ensemble.save[common[place]];
        Some(ClosenessPoint {
            eta: view.system.eta,
            time: self.time(save, view.system.eta),
            ratio: estimate(log, log - alone, log + alone),
            factor: estimate(log.abs(), reach(-1.0), reach(1.0)),
        })
    }
}

/// log(E h(left)/E h(right)) and its standard error by the delta method; the covariance of the two means is that of the paths
/// that they share, by the variance of the paired differences. NaN where a mean is not positive.
fn log_ratio(left: &CoMoments, right: &CoMoments, pair: &Moments, h: usize) -> (f64, f64) {
    if left.n == 0 || right.n == 0 || !(left.mean[h] > 0.0 && right.mean[h] > 0.0) {
        return (f64::NAN, f64::NAN);
    }
    let (a, b) = (left.mean[h], right.mean[h]);
    let (variance, other) = (left.covariance(h, h), right.covariance(h, h));
    let (n, m) = (left.n as f64, right.n as f64);
    let together = match pair.n {
        0 | 1 => 0.0,
        shared => 0.5 * (variance + other - pair.variance(h)) * shared as f64 / (n * m),
    };
    let square = variance / (n * a * a) + other / (m * b * b) - 2.0 * together / (a * b);
    ((a / b).ln(), square.max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Profile};
    use super::*;
    use crate::ensemble::Control;
    use crate::report::result::{KeptPaths, ScenarioResult};
    use std::path::Path;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const PATHS: usize = 640;

    /// Two processes that differ much at the largest η, on noise that they share, or one of two laws that hardly differ on noises of
    /// their own.
    fn run(
        left: &str,
        right: &str,
        law: &str,
    ) -> Result<ScenarioResult, Box<dyn std::error::Error>> {
        let text = format!(
            r#"
title = "t"
claim = "Theorem 4.5"
[landscape.quadratic]
spectrum = [1.5, 0.5]
[noise.{law}]
factor = {{ growing = 0.4 }}
[start]
x0 = {{ at = [1.0, -0.5] }}
[schedule]
momentum = {{ constant = 0.5 }}
[run]
horizon = 1.0
eta_max = 0.125
etas = 4
paths = {PATHS}
max_paths = {PATHS}
times = 4
functions = ["x[1]", "norm2", "gradient_norm2", "trace_covariance"]
monitored = ["x[1]"]
keep_paths = {PATHS}
[[compare]]
left = "{left}"
right = "{right}"
expect = "consistent"
"#
        );
        let scenario = Scenario::parse(
            &text,
            "t.toml",
            "t",
            Path::new("."),
            Profile::Quick,
            &Overrides::default(),
        )?;
        Ok(scenario.execute(&Control::default(), &|_| {})?)
    }

    /// The states of a process at a save time.
    fn states(kept: &KeptPaths, eta: usize, process: usize, time: usize) -> Vec<[f64; 2]> {
        let [_, processes, paths, times, d] = kept.shape;
        (0..paths)
            .map(|path| {
                let start = (((eta * processes + process) * paths + path) * times + time) * d;
                [kept.states[start], kept.states[start + 1]]
            })
            .collect()
    }

    /// 2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖ over all pairs.
    fn energy<T>(x: &[T], y: &[T], distance: impl Fn(&T, &T) -> f64) -> f64 {
        let apart = |a: &[T], b: &[T]| {
            let sum: f64 = a
                .iter()
                .flat_map(|p| b.iter().map(|q| distance(p, q)).collect::<Vec<_>>())
                .sum();
            sum / (a.len() * b.len()) as f64
        };
        2.0 * apart(x, y) - apart(x, x) - apart(y, y)
    }

    /// SGDM and SGD, which come together as η → 0.
    #[test]
    fn distances_are_those_of_the_paths() -> Outcome {
        let result = run("sgdm", "sgd", "gaussian")?;
        against_the_paths(&result)?;
        for law in &result.comparisons[0].laws {
            let (first, last) = (&law.points[0], &law.points[3]);
            assert!(first.distance.value > 1.5 * last.distance.value, "{law:?}");
        }
        Ok(())
    }

    /// SGD at half its rate stays far away by any measure.
    #[test]
    fn far_laws_are_told_apart() -> Outcome {
        let result = run("sgd_gamma", "sgd", "gaussian")?;
        against_the_paths(&result)?;
        for law in &result.comparisons[0].laws {
            for point in &law.points {
                assert!(point.distance.value > 3.0 * point.floor, "{law:?}");
                assert!(point.distance.lower > 0.0, "{law:?}");
                assert!(point.p_value.is_nan() || point.p_value < 1e-6, "{law:?}");
            }
        }
        Ok(())
    }

    /// Every distance at the end, against its definition on the kept paths, which are all paths.
    fn against_the_paths(result: &ScenarioResult) -> Outcome {
        let kept = result.kept_paths.as_ref().ok_or("no paths")?;
        let comparison = &result.comparisons[0];
        assert_eq!(comparison.laws.len(), 5);
        for (c, eta) in kept.etas.iter().enumerate() {
            let last = kept.times[c].len() - 1;
            let [left, right] =
                [comparison.left, comparison.right].map(|p| states(kept, c, p, last));
            let first = |s: &[[f64; 2]]| -> Vec<f64> {
                let mut all: Vec<f64> = s.iter().map(|x| x[0]).collect();
                all.sort_by(f64::total_cmp);
                all
            };
            let (a, b) = (first(&left), first(&right));
            let share = |v: &[f64], x: f64| v.partition_point(|y| *y <= x) as f64 / v.len() as f64;
            let gaps = a
                .iter()
                .chain(&b)
                .map(|&x| (share(&a, x) - share(&b, x)).abs());
            let supremum = gaps.fold(0.0, f64::max);
            let area = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).sum::<f64>() / PATHS as f64;
            let (low, high) = (a[0].min(b[0]), a[PATHS - 1].max(b[PATHS - 1]));
            // 256 bins at least over the range of either; it is a little wider for both.
            let width = (high - low) / 128.0;
            let point = |kind: DistanceKind, function: Option<usize>| {
                let mut laws = comparison.laws.iter();
                let law = laws.find(|l| l.kind == kind && l.function == function);
                let point = law.map(|l| l.points[c]).expect("a distance");
                assert!((point.eta - eta).abs() < 1e-15 && point.distance.n == PATHS as u64);
                assert!(point.distance.standard_error > 0.0 && point.floor > 0.0);
                assert_eq!(
                    point.p_value.is_nan(),
                    kind != DistanceKind::KolmogorovSmirnov
                );
                point
            };
            let ks = point(DistanceKind::KolmogorovSmirnov, Some(0));
            assert!(ks.distance.value <= supremum + 1e-12);
            assert!(supremum <= ks.distance.value + 0.05, "{supremum} {ks:?}");
            let margin = kolmogorov_smirnov_margin(0.95, PATHS as u64, PATHS as u64);
            assert!(ks.distance.upper >= (supremum + margin).min(1.0) - 1e-12);
            assert_eq!(ks.distance.lower, (ks.distance.value - margin).max(0.0));
            let w = point(DistanceKind::Wasserstein, Some(0)).distance.value;
            assert!((w - area).abs() <= width, "{w} against {area}");
            let d = point(DistanceKind::Energy, Some(0)).distance.value;
            let by_pairs = energy(&a, &b, |x, y| (x - y).abs());
            assert!(
                (d * d - by_pairs).abs() <= 4.0 * width,
                "{d} against {by_pairs}"
            );
            // In the plane: eight directions miss less than 3 % of it where the laws are far apart.
            let d = point(DistanceKind::Energy, None).distance.value;
            let by_pairs = energy(&left, &right, |x, y| (x[0] - y[0]).hypot(x[1] - y[1]));
            let error = (d * d - by_pairs).abs();
            assert!(
                error <= 0.03 * by_pairs + 2e-3 * width,
                "{d} against {by_pairs}"
            );
        }
        Ok(())
    }

    /// Two laws that differ by O(η) only, on noises of their own: distances are near what the same law reaches, the test of
    /// equal laws is passed (level 1e-4), and the interval holds 0.
    #[test]
    fn close_laws_are_near_the_floor() -> Outcome {
        let result = run("sgd", "sde", "rademacher")?;
        for law in &result.comparisons[0].laws {
            let point = law.points.last().ok_or("no point")?;
            let ratio = point.distance.value / point.floor;
            assert!((0.3..3.0).contains(&ratio), "{}: {point:?}", law.name);
            assert!(point.p_value.is_nan() || point.p_value > 1e-4, "{point:?}");
            if law.kind == DistanceKind::KolmogorovSmirnov {
                assert!(point.distance.lower == 0.0 && point.distance.upper > 0.05);
            }
        }
        Ok(())
    }

    /// Ratios, their largest over the times, and the standard error of the logarithm, from the kept paths: the delta method on paired
    /// samples is the deviation of h(left)/E h(left) − h(right)/E h(right).
    #[test]
    fn closeness_is_that_of_the_paths() -> Outcome {
        let result = run("sgdm", "sgd", "gaussian")?;
        let kept = result.kept_paths.as_ref().ok_or("no paths")?;
        let comparison = &result.comparisons[0];
        let functions: [fn(&[f64; 2]) -> f64; 3] = [
            |x| x[0] * x[0] + x[1] * x[1],
            |x| (1.5 * x[0]).powi(2) + (0.5 * x[1]).powi(2),
            |x| 2.0 * 0.16 * (1.0 + x[0] * x[0] + x[1] * x[1]),
        ];
        assert_eq!(comparison.closeness.len(), 3);
        for (closeness, h) in comparison.closeness.iter().zip(functions) {
            for (c, point) in closeness.points.iter().enumerate() {
                let common = [0.25, 0.5, 0.75, 1.0];
                let mut farthest = (0.0, f64::NAN, f64::NAN, f64::NAN);
                for time in common {
                    let mut times = kept.times[c].iter();
                    let save = times
                        .position(|t| (t - time).abs() < 1e-12)
                        .ok_or("no time")?;
                    let [left, right] = [comparison.left, comparison.right].map(|p| {
                        let all = states(kept, c, p, save);
                        all.iter().map(h).collect::<Vec<f64>>()
                    });
                    let n = PATHS as f64;
                    let (a, b) = (left.iter().sum::<f64>() / n, right.iter().sum::<f64>() / n);
                    let squares = left
                        .iter()
                        .zip(&right)
                        .map(|(x, y)| (x / a - y / b).powi(2));
                    let error = (squares.sum::<f64>() / (n * (n - 1.0))).sqrt();
                    let log = (a / b).ln();
                    if log.abs() > farthest.0 {
                        farthest = (log.abs(), log, error, time);
                    }
                }
                let (size, log, error, time) = farthest;
                let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs();
                assert!(near(point.factor.value, size.exp()), "{point:?}");
                assert!(near(point.ratio.value, log.exp()) && near(point.time, time));
                assert!(
                    near(point.ratio.standard_error, error * log.exp()),
                    "{point:?} {error}"
                );
                let alone = 1.959_963_984_540_054 * error;
                assert!(near(point.ratio.upper, (log + alone).exp()));
                let factor = point.factor;
                assert!(1.0 <= factor.lower && factor.lower <= factor.value);
                // Over four times together.
                let together = 2.497_705_474_412_06 * error;
                assert!(factor.upper >= (size + together).exp() * (1.0 - 1e-9));
                assert!(factor.value > 1.0 && factor.upper < 2.0, "{point:?}");
            }
        }
        Ok(())
    }
}
