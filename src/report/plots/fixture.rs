//! A realistic result without a run: an Ornstein–Uhlenbeck problem from exact moments with sampling noise added.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::report::result::*;

const LAMBDA: f64 = 0.5;
const HORIZON: f64 = 2.0;
const PATHS: u64 = 40_000;
const START: [f64; 2] = [1.6, 1.1];
const CURVATURE: [f64; 2] = [1.0, 3.0];

/// Mean and variance of a coordinate at the save times; `alpha` none: SGD, or the SDE for `sde`.
fn moments(alpha: Option<f64>, sde: bool, eta: f64, times: &[f64]) -> Vec<(f64, f64)> {
    if sde {
        let decay = |t: f64| (-t).exp();
        return times
            .iter()
            .map(|&t| (START[0] * decay(t), 0.5 * (1.0 - decay(2.0 * t))))
            .collect();
    }
    let beta = alpha.map_or(0.0, |a| 1.0 - LAMBDA * eta.powf(a));
    let f = [[1.0 - eta * (1.0 - beta), -eta * beta], [1.0 - beta, beta]];
    let b = [
        -(eta * (1.0 - beta)) / eta.sqrt(),
        (1.0 - beta) / eta.sqrt(),
    ];
    let (mut m, mut c) = ([START[0], 0.0], [0.0, 0.0, 0.0]); // covariance xx, xm, mm
    let mut k = 0u64;
    let mut out = Vec::new();
    for &t in times {
        while k < (t / eta + 1e-9).floor() as u64 {
            m = [
                f[0][0] * m[0] + f[0][1] * m[1],
                f[1][0] * m[0] + f[1][1] * m[1],
            ];
            let row = |i: usize| {
                [
                    f[i][0] * c[0] + f[i][1] * c[1],
                    f[i][0] * c[1] + f[i][1] * c[2],
                ]
            };
            let (p, q) = (row(0), row(1));
            c = [
                p[0] * f[0][0] + p[1] * f[0][1] + b[0] * b[0],
                p[0] * f[1][0] + p[1] * f[1][1] + b[0] * b[1],
                q[0] * f[1][0] + q[1] * f[1][1] + b[1] * b[1],
            ];
            k += 1;
        }
        out.push((m[0], c[0]));
    }
    out
}

/// E h for h = x, x², cos x.
fn expectations((mean, variance): (f64, f64)) -> [f64; 3] {
    [
        mean,
        mean * mean + variance,
        mean.cos() * (-0.5 * variance).exp(),
    ]
}

fn estimate(value: f64, error: f64) -> Estimate {
    let (lower, upper) = (value - 2.6 * error, value + 2.6 * error);
    Estimate {
        value,
        standard_error: error,
        lower,
        upper,
        level: 0.99,
        n: PATHS,
    }
}

fn summary(
    alpha: Option<f64>,
    sde: bool,
    eta: f64,
    times: &[f64],
    normal: &mut impl FnMut() -> f64,
) -> ProcessSummary {
    let moments = moments(alpha, sde, eta, times);
    let law =
        |t: usize| Normal::new(moments[t].0, moments[t].1.max(1e-12).sqrt()).expect("a normal law");
    let probabilities = vec![0.05, 0.25, 0.5, 0.75, 0.95];
    let values = probabilities
        .iter()
        .map(|&p| (0..times.len()).map(|t| law(t).inverse_cdf(p)).collect())
        .collect();
    let histograms = [
        times.len() / 8,
        times.len() / 4,
        times.len() / 2,
        times.len() - 1,
    ]
    .map(|t| {
        let (origin, width) = (-3.0, 0.02);
        let counts = (0..300).map(|k| {
            let left = origin + width * f64::from(k);
            let expected = PATHS as f64 * (law(t).cdf(left + width) - law(t).cdf(left));
            (expected + expected.sqrt() * normal()).round().max(0.0) as u64
        });
        let gaussian = Some((moments[t].0, moments[t].1.sqrt()));
        Histogram {
            function: 0,
            time: times[t],
            origin,
            width,
            counts: counts.collect(),
            gaussian,
            density: vec![],
        }
    });
    ProcessSummary {
        means: Vec::new(),
        exact: None,
        deviations: Vec::new(),
        final_correlation: Vec::new(),
        least: Vec::new(),
        greatest: Vec::new(),
        quantiles: vec![QuantileBand {
            function: 0,
            probabilities,
            values,
        }],
        histograms: histograms.to_vec(),
        step_error: None,
        failures: Failures::default(),
    }
}

/// Largest error over times of each function, with its sign and time.
fn errors(left: &[(f64, f64)], right: &[(f64, f64)], times: &[f64]) -> [(f64, f64); 3] {
    let mut worst = [(0.0f64, 0.0f64); 3];
    for ((l, r), &t) in left.iter().zip(right).zip(times) {
        let (l, r) = (expectations(*l), expectations(*r));
        for f in 0..3 {
            if (l[f] - r[f]).abs() > worst[f].0.abs() {
                worst[f] = (l[f] - r[f], t);
            }
        }
    }
    worst
}

fn comparison(
    (left, right, alpha): (usize, usize, f64),
    process: &dyn Fn(usize, f64) -> Vec<(f64, f64)>,
    times: &[f64],
    etas: &[f64],
    normal: &mut impl FnMut() -> f64,
) -> Comparison {
    let power = if alpha < 1.0 { 1.0 - alpha } else { 1.0 };
    let guaranteed = (1.0 - alpha) / 2.0;
    let scales = [1.9, 3.1, 1.2];
    let noise = [2.4e-3, 5e-3, 1.6e-3];
    let tiny: Vec<f64> = (3..=15).map(|k| 2f64.powi(-k)).collect();
    let along = |ladder: &[f64]| -> Vec<[(f64, f64); 3]> {
        ladder
            .iter()
            .map(|&eta| errors(&process(left, eta), &process(right, eta), times))
            .collect()
    };
    let (sampled, exact) = (along(etas), along(&tiny));
    let functions = (0..3).map(|f| {
        let points: Vec<ErrorPoint> = etas
            .iter()
            .zip(&sampled)
            .map(|(&eta, worst)| {
                let error = estimate(worst[f].0 + noise[f] * normal(), noise[f]);
                ErrorPoint {
                    eta,
                    error,
                    time: worst[f].1,
                    noise_floor: 2.0 * noise[f],
                    constant: error,
                }
            })
            .collect();
        // A parabola through all points by least squares.
        let mut normal_matrix = nalgebra::Matrix3::<f64>::zeros();
        let mut right_side = nalgebra::Vector3::<f64>::zeros();
        for point in &points {
            let epsilon = point.eta.powf(power);
            let row = nalgebra::Vector3::new(1.0, epsilon, epsilon * epsilon);
            normal_matrix += row * row.transpose();
            right_side += point.error.value * row;
        }
        let inverse = normal_matrix.try_inverse().expect("invertible");
        let fit = inverse * right_side;
        let limit = estimate(fit[0], noise[f] * inverse[(0, 0)].sqrt());
        let absolute = points.iter().map(|p| {
            let e = p.error;
            let error = if e.value < 0.0 {
                Estimate {
                    value: -e.value,
                    lower: -e.upper,
                    upper: -e.lower,
                    ..e
                }
            } else {
                e
            };
            ErrorPoint { error, ..*p }
        });
        FunctionCheck {
            function: f,
            scale: scales[f],
            errors: absolute.collect(),
            order: Some(Estimate {
                value: power,
                standard_error: 0.02,
                lower: power - 0.04,
                upper: power + 0.04,
                level: 0.95,
                n: 4096,
            }),
            slopes: Vec::new(),
            limit,
            limit_time: 0.5,
            powers: (0..fit.len()).map(|j| j as f64 * power).collect(),
            coefficients: fit.as_slice().to_vec(),
            fitted: points,
            reduced_chi_square: 1.0,
        }
    });
    let functions: Vec<FunctionCheck> = functions.collect();
    let exact = (0..3).map(|f| {
        let errors: Vec<f64> = exact.iter().map(|w| w[f].0.abs()).collect();
        let slopes = errors.windows(2).map(|p| (p[0] / p[1]).log2()).collect();
        ExactLadder {
            function: f,
            etas: tiny.clone(),
            errors,
            slopes,
        }
    });
    Comparison {
        id: format!("{left}~{right}"),
        left,
        right,
        alpha,
        holds: crate::report::result::Holds::InTheLimit,
        expected: Verdict::Consistent,
        verdict: if alpha < 1.0 {
            Verdict::Consistent
        } else {
            Verdict::Refuted
        },
        reason: String::new(),
        guaranteed_order: guaranteed,
        epsilon_power: power,
        level: 0.99,
        tolerance: 0.05,
        negligible: 0.005,
        paths_factor: 1.0,
        speed_up: None,
        limits: 24,
        effective_limits: 8.0,
        limit: functions[0].limit,
        functions,
        distances: Vec::new(),
        laws: Vec::new(),
        closeness: Vec::new(),
        exact: exact.collect(),
    }
}

/// Paths of all processes on one noise.
fn sample_paths(
    processes: &[(Option<f64>, bool)],
    eta: f64,
    members: usize,
    normal: &mut impl FnMut() -> f64,
) -> SamplePaths {
    let steps = (HORIZON / eta) as usize;
    let times: Vec<f64> = (0..=steps).map(|k| k as f64 * eta).collect();
    let mut positions = vec![Vec::new(); processes.len()];
    for _ in 0..members {
        let noise: Vec<[f64; 2]> = (0..steps)
            .map(|_| [0.6 * normal(), 0.6 * normal()])
            .collect();
        for ((alpha, sde), out) in processes.iter().zip(&mut positions) {
            let beta = if *sde {
                0.0
            } else {
                alpha.map_or(0.0, |a| 1.0 - LAMBDA * eta.powf(a))
            };
            let (mut x, mut m) = (START, [0.0; 2]);
            let mut path = vec![x.to_vec()];
            for v in &noise {
                for i in 0..2 {
                    let gradient = CURVATURE[i] * x[i] + v[i] / eta.sqrt();
                    m[i] = beta * m[i] + (1.0 - beta) * gradient;
                    x[i] = match sde {
                        true => {
                            (x[i] - eta.sqrt() * v[i] * (1.0 - 0.5 * eta * CURVATURE[i]))
                                * (-CURVATURE[i] * eta).exp()
                        }
                        false => x[i] - eta * m[i],
                    };
                }
                path.push(x.to_vec());
            }
            out.push(path);
        }
    }
    SamplePaths {
        eta,
        times,
        positions,
    }
}

/// The result of a problem with SGD, SGDM α = 0, ½ (and 1), and the SDE.
pub fn ornstein_uhlenbeck() -> ScenarioResult {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut normal = || StandardNormal.sample(&mut rng);
    let kinds: [(Option<f64>, bool); 5] = [
        (None, false),
        (Some(0.0), false),
        (Some(0.5), false),
        (Some(1.0), false),
        (None, true),
    ];
    let processes = kinds.iter().map(|&(alpha, sde)| Process {
        label: match (alpha, sde) {
            (Some(a), _) => format!("SGDM α={a}"),
            (None, true) => "SDE (51)".to_owned(),
            (None, false) => "SGD".to_owned(),
        },
        family: match (alpha, sde) {
            (Some(_), _) => ProcessFamily::Sgdm,
            (None, true) => ProcessFamily::Sde,
            (None, false) => ProcessFamily::Sgd,
        },
        alpha,
    });
    let processes: Vec<Process> = processes.collect();
    let etas: Vec<f64> = (3..=9).map(|k| 2f64.powi(-k)).collect();
    let times: Vec<f64> = (0..=16).map(|k| f64::from(k) * HORIZON / 16.0).collect();
    let cells = etas.iter().map(|&eta| Cell {
        eta,
        sigma: eta.powf(-0.5),
        steps: (HORIZON / eta) as u64,
        paths: PATHS,
        times: times.clone(),
        processes: kinds
            .iter()
            .map(|&(a, sde)| summary(a, sde, eta, &times, &mut normal))
            .collect(),
    });
    let cells = cells.collect();
    let process = |index: usize, eta: f64| moments(kinds[index].0, kinds[index].1, eta, &times);
    let pairs = [(1, 0, 0.0), (2, 0, 0.5), (3, 0, 1.0), (0, 4, 0.0)];
    let comparisons = pairs
        .map(|pair| comparison(pair, &process, &times, &etas, &mut normal))
        .to_vec();
    let axis = |low: f64, high: f64| -> Vec<f64> {
        (0..=80)
            .map(|k| low + (high - low) * f64::from(k) / 80.0)
            .collect()
    };
    let (x, y) = (axis(-1.5, 2.5), axis(-1.5, 2.0));
    let loss = |x: f64, y: f64| 0.5 * (CURVATURE[0] * x * x + CURVATURE[1] * y * y);
    let values = y
        .iter()
        .map(|&y| x.iter().map(|&x| loss(x, y)).collect())
        .collect();
    ScenarioResult {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        scenario: ScenarioInfo {
            name: "ou".to_owned(),
            title: "Quadratic loss, Gaussian noise".to_owned(),
            claim: "Theorem 4.5".to_owned(),
            paper: vec!["Theorem 4.5".to_owned()],
            about: String::new(),
            profile: "quick".to_owned(),
            seed: 7,
            settings: String::new(),
            dimension: 2,
            regime: Regime::Fast,
            clock_exponent: 1.0,
            horizon: HORIZON,
        },
        processes,
        functions: ["x[1]", "x[1]^2", "cos(x[1])"].map(str::to_owned).to_vec(),
        cells,
        comparisons,
        sample_paths: Some(sample_paths(&kinds, 1.0 / 64.0, 3, &mut normal)),
        contours: Some(ContourGrid { x, y, values }),
        clouds: None,
        hand_over: vec![],
        fall: None,
        notes: Vec::new(),
        effort: Effort::default(),
        machine: Machine::default(),
        kept_paths: None,
    }
}
