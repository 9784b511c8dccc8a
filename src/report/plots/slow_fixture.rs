//! A realistic result of Regime II without a run: the hyperbola x₁x₂ = 1, along which s = log x₁ is an Ornstein–Uhlenbeck
//! process; iterates lie around it, and their laws differ from the slow SDE's by terms in η.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::report::result::*;

const HORIZON: f64 = 1.0;
const PATHS: u64 = 20_000;
const START: f64 = 0.9;
const RATE: f64 = 1.2;
const NOISE: f64 = 0.45;
const LEVEL: f64 = 0.99;

/// Drift and relative bias of a process per √η.
#[derive(Clone, Copy)]
struct Kind {
    label: &'static str,
    family: ProcessFamily,
    alpha: Option<f64>,
    rate: f64,
    bias: f64,
}

const KINDS: [Kind; 5] = [
    Kind {
        label: "SGD",
        family: ProcessFamily::Sgd,
        alpha: None,
        rate: RATE,
        bias: 0.22,
    },
    Kind {
        label: "SGDM α=0.5",
        family: ProcessFamily::Sgdm,
        alpha: Some(0.5),
        rate: RATE,
        bias: 0.35,
    },
    Kind {
        label: "slow SDE (4)",
        family: ProcessFamily::SlowSde,
        alpha: None,
        rate: RATE,
        bias: 0.0,
    },
    Kind {
        label: "slow SDE without drift",
        family: ProcessFamily::SlowControl,
        alpha: None,
        rate: 0.0,
        bias: 0.0,
    },
    Kind {
        label: "closed form",
        family: ProcessFamily::ClosedForm,
        alpha: None,
        rate: RATE,
        bias: 0.0,
    },
];

/// Mean and standard deviation of s.
fn law(kind: Kind, eta: f64, time: f64) -> (f64, f64) {
    let mean = START * (-kind.rate * time).exp() + kind.bias * eta * time;
    let variance = match kind.rate {
        0.0 => NOISE * NOISE * time,
        rate => NOISE * NOISE * (1.0 - (-2.0 * rate * time).exp()) / (2.0 * rate),
    };
    (mean, variance.sqrt() * (1.0 + kind.bias * eta))
}

/// E h for h = log x₁ and x₁.
fn expectations((mean, deviation): (f64, f64)) -> [f64; 2] {
    [mean, (mean + 0.5 * deviation * deviation).exp()]
}

fn estimate(value: f64, error: f64) -> Estimate {
    Estimate {
        value,
        standard_error: error,
        lower: value - 3.0 * error,
        upper: value + 3.0 * error,
        level: LEVEL,
        n: PATHS,
    }
}

fn summary(kind: Kind, eta: f64, times: &[f64]) -> ProcessSummary {
    let exact = |h: usize| {
        times
            .iter()
            .map(move |&t| expectations(law(kind, eta, t))[h])
    };
    if kind.family == ProcessFamily::ClosedForm {
        return ProcessSummary {
            exact: Some((0..2).map(|h| Some(exact(h).collect())).collect()),
            ..ProcessSummary::default()
        };
    }
    let normal = |t: f64| {
        let (mean, deviation) = law(kind, eta, t);
        Normal::new(mean, deviation.max(1e-9)).expect("a normal law")
    };
    let probabilities = vec![0.05, 0.25, 0.5, 0.75, 0.95];
    let values = probabilities
        .iter()
        .map(|&p| times.iter().map(|&t| normal(t).inverse_cdf(p)).collect())
        .collect();
    let histogram = |share: usize| {
        let time = times[(times.len() - 1) * share / 4];
        let (origin, width) = (-2.0, 0.02);
        let counts = (0..250).map(|k| {
            let left = origin + width * f64::from(k);
            let mass = normal(time).cdf(left + width) - normal(time).cdf(left);
            (PATHS as f64 * mass).round() as u64
        });
        Histogram {
            function: 0,
            time,
            origin,
            width,
            counts: counts.collect(),
            gaussian: Some(law(kind, eta, time)).filter(|_| kind.bias > 0.0),
            density: vec![],
        }
    };
    let mean = |h: usize| EstimateSeries {
        value: exact(h).collect(),
        standard_error: vec![1e-3; times.len()],
        lower: exact(h).map(|v| v - 3e-3).collect(),
        upper: exact(h).map(|v| v + 3e-3).collect(),
        level: LEVEL,
        n: PATHS,
    };
    ProcessSummary {
        means: (0..2).map(mean).collect(),
        quantiles: vec![QuantileBand {
            function: 0,
            probabilities,
            values,
        }],
        histograms: (1..5).map(histogram).collect(),
        ..ProcessSummary::default()
    }
}

/// A curve c₀ + c₁η^½ + c₂η through noisy points.
fn check(
    function: usize,
    scale: f64,
    curve: [f64; 3],
    error: f64,
    etas: &[f64],
    normal: &mut impl FnMut() -> f64,
) -> FunctionCheck {
    let at = |eta: f64| curve[0] + curve[1] * eta.sqrt() + curve[2] * eta;
    let points: Vec<ErrorPoint> = etas
        .iter()
        .map(|&eta| {
            let error = estimate((at(eta) + error * normal()).abs(), error);
            ErrorPoint {
                eta,
                error,
                time: HORIZON,
                noise_floor: 3.0 * error.standard_error,
                constant: error,
            }
        })
        .collect();
    FunctionCheck {
        function,
        scale,
        errors: points.clone(),
        order: None,
        slopes: Vec::new(),
        limit: estimate(curve[0] + 0.7 * error * normal(), 1.6 * error),
        limit_time: HORIZON,
        powers: vec![0.0, 0.5, 1.0],
        coefficients: curve.to_vec(),
        fitted: points,
        reduced_chi_square: 1.0,
    }
}

/// Kind, name, curve, scale, standard error, floor.
type Invented = (DistanceKind, &'static str, [f64; 3], f64, f64, f64);

/// The distances of a pair: `gap` stays as η → 0, `coupled` pairs share their noise.
fn distances(
    gap: f64,
    bias: f64,
    coupled: bool,
    etas: &[f64],
    normal: &mut impl FnMut() -> f64,
) -> Vec<DistanceCheck> {
    use DistanceKind::*;
    let all: [Invented; 8] = [
        (
            Pathwise,
            "‖Φ(x)−X‖ at the end",
            [1.1, 0.9, 0.5],
            1.4,
            2e-3,
            f64::NAN,
        ),
        (
            Supremum,
            "sup ‖Φ(x)−X‖",
            [1.3, 1.3, 0.8],
            1.4,
            2.5e-3,
            f64::NAN,
        ),
        (
            KolmogorovSmirnov,
            "KS x[1]",
            [0.8, 0.05, 0.55],
            1.0,
            3e-3,
            6e-3,
        ),
        (
            KolmogorovSmirnov,
            "KS x[2]",
            [0.7, 0.03, 0.4],
            1.0,
            3e-3,
            6.2e-3,
        ),
        (Wasserstein, "W₁ x[1]", [0.9, 0.02, 0.7], 0.8, 2.5e-3, 4e-3),
        (
            Wasserstein,
            "W₁ x[2]",
            [0.6, 0.02, 0.5],
            0.5,
            2.5e-3,
            3.1e-3,
        ),
        (
            SlicedWasserstein,
            "sliced W₁",
            [0.85, 0.02, 0.6],
            0.7,
            2e-3,
            3.6e-3,
        ),
        (Functional, "max x[1]", [0.6, 0.0, 0.3], 1.2, 4e-3, f64::NAN),
    ];
    all.into_iter()
        .filter(|(kind, ..)| coupled || !matches!(kind, Pathwise | Supremum))
        .map(|(kind, name, [stays, root, linear], scale, error, floor)| {
            let curve = [gap * stays, bias * root, bias * linear];
            DistanceCheck {
                kind,
                name: name.to_owned(),
                check: check(0, scale, curve, error, etas, normal),
                floor: etas
                    .iter()
                    .map(|_| floor * (1.0 + 0.1 * normal().tanh()))
                    .collect(),
                mean: Vec::new(),
            }
        })
        .collect()
}

/// Laws that differ as the distances above do.
fn laws(gap: f64, bias: f64, etas: &[f64]) -> Vec<LawDistance> {
    let law = |kind: DistanceKind, name: &str, function: Option<usize>| LawDistance {
        kind,
        name: name.to_owned(),
        function,
        scale: 0.8,
        points: etas
            .iter()
            .map(|&eta| {
                let distance = estimate(0.5 * (gap + bias * eta.sqrt()), 3e-3);
                LawPoint {
                    eta,
                    distance,
                    floor: 4e-3,
                    p_value: match kind {
                        DistanceKind::KolmogorovSmirnov => (-distance.value * 20.0).exp(),
                        _ => f64::NAN,
                    },
                }
            })
            .collect(),
    };
    vec![
        law(DistanceKind::KolmogorovSmirnov, "KS of log(x[1])", Some(0)),
        law(DistanceKind::Energy, "energy distance", None),
    ]
}

/// The ratio of E x₁ along the ladder.
fn closeness(bias: f64, etas: &[f64]) -> Vec<Closeness> {
    let point = |&eta: &f64| ClosenessPoint {
        eta,
        time: HORIZON,
        ratio: estimate(1.0 - 0.1 * bias * eta, 1e-3),
        factor: estimate(1.0 / (1.0 - 0.1 * bias * eta), 1e-3),
    };
    vec![Closeness {
        function: 1,
        points: etas.iter().map(point).collect(),
    }]
}

/// Paths of all processes that have paths on one noise: s along Γ and the distance r from Γ.
fn clouds(eta: f64, paths: usize, normal: &mut impl FnMut() -> f64) -> Clouds {
    let frames = 48;
    let times: Vec<f64> = (0..frames)
        .map(|k| HORIZON * k as f64 / (frames - 1) as f64)
        .collect();
    let step = times[1];
    let noise: Vec<Vec<[f64; 2]>> = (0..paths)
        .map(|_| times.iter().map(|_| [normal(), normal()]).collect())
        .collect();
    let positions = KINDS.map(|kind| {
        if kind.family == ProcessFamily::ClosedForm {
            return Vec::new();
        }
        let spread = match kind.family {
            ProcessFamily::Sgd => 0.5 * eta.sqrt(),
            ProcessFamily::Sgdm => 0.56 * eta.sqrt(),
            _ => 0.0,
        };
        let mut at: Vec<[f64; 2]> = vec![[START, 0.0]; paths];
        let mut positions = Vec::new();
        for time in 0..times.len() {
            let here = at.iter().map(|&[s, r]| {
                let (across, up) = ((-s).exp(), s.exp());
                let length = across.hypot(up);
                vec![s.exp() + r * across / length, (-s).exp() + r * up / length]
            });
            positions.push(here.collect());
            for (place, path) in at.iter_mut().zip(&noise) {
                let [along, across] = path[time];
                place[0] += -kind.rate * place[0] * step + NOISE * step.sqrt() * along;
                place[0] += kind.bias * eta * step;
                place[1] = 0.4 * place[1] + spread * 0.9 * across;
            }
        }
        positions
    });
    let manifold = (0..=160)
        .map(|k| -2.5 + 5.0 * f64::from(k) / 160.0)
        .map(|s: f64| vec![s.exp(), (-s).exp()]);
    Clouds {
        eta,
        times,
        positions: positions.to_vec(),
        manifold: vec![manifold.collect()],
    }
}

/// The result of SGD and SGDM on L = (x₁x₂ − 1)²/2 against the slow SDE, a control without drift, and the law in closed form.
pub fn hyperbola() -> ScenarioResult {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut normal = || StandardNormal.sample(&mut rng);
    let etas: Vec<f64> = (3..=7).map(|k| 2f64.powi(-k)).collect();
    let times: Vec<f64> = (0..=16).map(|k| f64::from(k) * HORIZON / 16.0).collect();
    let cell = |eta: f64| Cell {
        eta,
        sigma: 1.0,
        steps: (HORIZON / (eta * eta)) as u64,
        paths: PATHS,
        times: times.clone(),
        processes: KINDS.iter().map(|&k| summary(k, eta, &times)).collect(),
    };
    let pairs: [(usize, usize, f64, f64, Verdict); 5] = [
        (0, 2, 0.0, 0.22, Verdict::Consistent),
        (1, 2, 0.0, 0.35, Verdict::Consistent),
        (1, 0, 0.0, 0.15, Verdict::Consistent),
        (0, 3, 0.4, 0.22, Verdict::Refuted),
        (0, 4, 0.0, 0.22, Verdict::Consistent),
    ];
    let comparisons = pairs.map(|(left, right, gap, bias, verdict)| {
        let mut function = |h: usize| check(h, 1.0, [gap, 0.0, bias], 2e-3, &etas, &mut normal);
        let functions: Vec<FunctionCheck> = (0..2).map(&mut function).collect();
        Comparison {
            holds: crate::report::result::Holds::InTheLimit,
            id: format!("{left}~{right}"),
            left,
            right,
            alpha: KINDS[left].alpha.unwrap_or(0.0),
            expected: verdict,
            verdict,
            reason: String::new(),
            guaranteed_order: 0.0,
            epsilon_power: 0.5,
            level: LEVEL,
            tolerance: 0.05,
            negligible: 0.005,
            paths_factor: 1.0,
            speed_up: None,
            limits: 24,
            effective_limits: 8.0,
            limit: functions[0].limit,
            functions,
            distances: distances(gap, bias, right < 4, &etas, &mut normal),
            laws: laws(gap, bias, &etas),
            closeness: closeness(bias, &etas),
            exact: Vec::new(),
        }
    });
    let clouds = clouds(1.0 / 32.0, 400, &mut normal);
    let sample = |path: usize| {
        move |frames: &Vec<Vec<Vec<f64>>>| -> Vec<Vec<f64>> {
            frames.iter().map(|f| f[path].clone()).collect()
        }
    };
    let sample_paths = SamplePaths {
        eta: clouds.eta,
        times: clouds.times.clone(),
        positions: clouds
            .positions
            .iter()
            .map(|p| match p.is_empty() {
                true => Vec::new(),
                false => (0..3).map(|path| sample(path)(p)).collect(),
            })
            .collect(),
    };
    let axis: Vec<f64> = (0..=120)
        .map(|k| -0.5 + 6.0 * f64::from(k) / 120.0)
        .collect();
    let loss = |x: f64, y: f64| 0.5 * (x * y - 1.0) * (x * y - 1.0);
    let values = axis
        .iter()
        .map(|&y| axis.iter().map(|&x| loss(x, y)).collect())
        .collect();
    ScenarioResult {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        scenario: ScenarioInfo {
            name: "hyperbola".to_owned(),
            title: "Hyperbola, label noise".to_owned(),
            claim: "Theorem 5.5".to_owned(),
            paper: vec!["Theorem 5.5".to_owned()],
            about: String::new(),
            profile: "quick".to_owned(),
            seed: 11,
            settings: String::new(),
            dimension: 2,
            regime: Regime::Slow,
            clock_exponent: 2.0,
            horizon: HORIZON,
        },
        processes: KINDS
            .iter()
            .map(|k| Process {
                label: k.label.to_owned(),
                family: k.family,
                alpha: k.alpha,
            })
            .collect(),
        functions: ["log(x[1])", "x[1]"].map(str::to_owned).to_vec(),
        cells: etas.iter().map(|&eta| cell(eta)).collect(),
        comparisons: comparisons.to_vec(),
        sample_paths: Some(sample_paths),
        contours: Some(ContourGrid {
            x: axis.clone(),
            y: axis,
            values,
        }),
        clouds: Some(clouds),
        hand_over: vec![],
        fall: None,
        notes: Vec::new(),
        effort: Effort::default(),
        machine: Machine::default(),
        kept_paths: None,
    }
}

/// The same between the regimes, at s = ½, beside the limiting SDE: iterates fall onto Γ in fast time.
pub fn between() -> ScenarioResult {
    let mut result = hyperbola();
    result.scenario.clock_exponent = 1.5;
    result.processes[3].label = "SDE (51)".to_owned();
    result.processes[3].family = ProcessFamily::Sde;
    let rung = |place: i32| {
        let eta = 2f64.powi(-4 - 2 * place);
        let last = eta.powf(-1.5);
        let steps: Vec<u64> = (0..=20)
            .map(|i| last.powf(f64::from(i) / 20.0).round() as u64)
            .collect();
        let pair = |left: usize, right: usize, fall: f64, rest: f64| {
            let distance = |&k: &u64| (fall * (-(k as f64) * eta).exp()).hypot(rest);
            let value: Vec<f64> = steps.iter().map(distance).collect();
            let error = value.iter().map(|v| 0.03 * v).collect();
            PairDistance {
                left,
                right,
                distance: EstimateSeries::normal(value, error, 0.95, 512),
            }
        };
        HandOver {
            eta,
            steps: steps.clone(),
            pairs: vec![
                pair(0, 2, 1.0, eta.powf(0.25)),
                pair(1, 2, 1.0, 1.2 * eta.powf(0.25)),
                pair(3, 2, 1.0, eta.powf(0.25)),
                pair(0, 3, 0.0, eta),
                pair(1, 3, eta.sqrt(), 0.5 * eta.sqrt()),
                pair(1, 0, eta.sqrt(), 0.5 * eta.sqrt()),
            ],
        }
    };
    result.hand_over = (0..3).map(rung).collect();
    result
}
