//! Tests of schedules: Eq. (8) against its double sum, Eq. (9)–(11), Lemma A.2, streaming, shapes and refusals.

use super::*;
use proptest::prelude::*;

fn fast(t: f64) -> Horizon {
    Horizon::Fast(FastTime(t))
}

fn family(learning_rate: Shape, momentum: Shape, alpha: f64) -> ScheduleFamily {
    ScheduleFamily {
        learning_rate,
        momentum,
        alpha,
    }
}

/// Shapes of every kind on [0, T], with values in [0.1, 1].
fn any_shape(span: f64) -> impl Strategy<Value = Shape> {
    let v = || 0.1..1.0f64;
    let values = || prop::collection::vec(0.1..1.0f64, 1..20);
    let leaf = prop_oneof![
        v().prop_map(Shape::Constant),
        (v(), 0.0..span).prop_map(move |(initial, t)| Shape::StepDecay {
            initial,
            factor: 0.5,
            at: vec![t, t + 0.3 * span]
        }),
        (v(), v()).prop_map(|(from, to)| Shape::Cosine { from, to }),
        values().prop_map(move |values| Shape::Table {
            times: (0..values.len()).map(|i| 0.07 * span * i as f64).collect(),
            values
        }),
        values().prop_map(|values| Shape::Steps { values }),
        values().prop_map(|values| Shape::Cycle { values }),
    ];
    (leaf, prop::option::of((0.01 * span..span, v()))).prop_map(|(then, ramp)| match ramp {
        None => then,
        Some((duration, from)) => Shape::Warmup {
            duration,
            from,
            then: Box::new(then),
        },
    })
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    (any_shape(2.0), any_shape(2.0), 0.0..1.2f64, 0.003..0.1f64).prop_map(
        |(learning_rate, momentum, alpha, eta)| {
            Schedule::new(&family(learning_rate, momentum, alpha), eta, fast(2.0)).unwrap()
        },
    )
}

/// Eq. (8) as it is written, until the products underflow.
fn double_sum(s: &Schedule, k: u64) -> f64 {
    let (mut sum, mut product, mut tau) = (0.0, 1.0, k);
    while product > 1e-22 {
        sum += s.learning_rate(Steps(tau)) * product;
        tau += 1;
        product *= 1.0 - s.one_minus_beta(Steps(tau));
    }
    s.one_minus_beta(Steps(k)) * sum
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// A cheap stream of numbers in (−1, 1).
fn gradients() -> impl Iterator<Item = f64> {
    (1..).scan(0.5f64, |x, k| {
        *x = (*x * 997.0 + f64::from(k) * 0.618_033_988_75).fract();
        Some(2.0 * *x - 1.0)
    })
}

fn coefficients(s: &Schedule, kind: RateKind, n: usize) -> Vec<Coefficients> {
    let mut out = vec![Coefficients::default(); n];
    s.stream().fill(kind, Steps(0), &mut out);
    out
}

/// x after each step, from x_0 = 1 and m_0.
fn drive(steps: &[Coefficients], mut m: f64) -> Vec<f64> {
    let mut x = 1.0;
    let path = steps.iter().zip(gradients()).map(|(c, g)| {
        m = c.decay * m + c.gain * g;
        x -= c.rate * m;
        x
    });
    path.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // The double sum has 1/(1−β) ≤ 10⁴ significant terms and rounds its product at each: 1e-11.
    #[test]
    fn recursion_is_the_double_sum(s in any_schedule(), extra in 0u64..50) {
        let n = s.steps().0;
        for k in [0, 1, n / 3, n - 1, n, n + extra] {
            let (fast, slow) = (s.averaged_rate(Steps(k)), double_sum(&s, k));
            prop_assert!(close(fast, slow, 1e-11), "{k}: {fast} {slow}");
        }
    }

    #[test]
    fn streams_agree_with_random_access(s in any_schedule(), length in 1usize..90) {
        let n = s.steps().0 + 40;
        let (mut stream, mut averaged, mut sgdm, mut coupling) = (
            s.stream(),
            vec![Coefficients::default(); length],
            vec![Coefficients::default(); length],
            vec![0.0; length],
        );
        let mut first = 0;
        while first < n {
            stream.fill(RateKind::SgdAveraged, Steps(first), &mut averaged);
            stream.fill(RateKind::Sgdm, Steps(first), &mut sgdm);
            stream.coupling(Steps(first), &mut coupling);
            for i in 0..length {
                let k = Steps(first + i as u64);
                let gain = s.one_minus_beta(k);
                prop_assert_eq!(averaged[i], Coefficients::sgd(s.averaged_rate(k)));
                let rate = s.learning_rate(k);
                prop_assert_eq!(sgdm[i], Coefficients { decay: 1.0 - gain, gain, rate });
                prop_assert_eq!(coupling[i], s.coupling(k));
            }
            first += length as u64;
        }
    }

    // y_{k+1} = y_k − η̄_k g_k: the rounding of β against 1−β weighs c_k = η̄_k β_k/(1−β_k) < 10³.
    #[test]
    fn coupled_trajectory_is_sgd_on_its_gradients(s in any_schedule(), m0 in -1.0..1.0f64) {
        let n = s.steps().0 as usize;
        let (mut x, mut m) = (1.0, m0);
        let mut y = x - s.coupling(Steps(0)) * m;
        let mut c = vec![0.0; n + 1];
        s.stream().coupling(Steps(0), &mut c);
        for ((k, step), g) in coefficients(&s, RateKind::Sgdm, n).iter().enumerate().zip(gradients()) {
            m = step.decay * m + step.gain * g;
            x -= step.rate * m;
            let next = x - c[k + 1] * m;
            let sgd = y - s.averaged_rate(Steps(k as u64)) * g;
            prop_assert!((next - sgd).abs() < 1e-12, "{k}: {next} {sgd}");
            y = next;
        }
    }

    // Lemma B.1: m_k = Πβ m_0 + Σ_s (1−β_s) Π_{r>s} β_r g_s and x_k = x_0 − Σ_τ η_τ m_{τ+1}, as they are written.
    #[test]
    fn expansion_in_the_gradients(s in any_schedule(), m0 in -1.0..1.0f64, part in 0.0..1.0f64) {
        let n = 1 + (part * (s.steps().0 as f64 - 1.0)) as usize;
        let beta = |from: usize, to: usize| {
            (from..to).map(|r| 1.0 - s.one_minus_beta(Steps(r as u64))).product::<f64>()
        };
        let g: Vec<f64> = gradients().take(n).collect();
        let momentum = |k: usize| {
            let sum = (0..k).map(|i| s.one_minus_beta(Steps(i as u64)) * beta(i + 1, k) * g[i]);
            beta(0, k) * m0 + sum.sum::<f64>()
        };
        let moved = (0..n).map(|k| s.learning_rate(Steps(k as u64)) * momentum(k + 1));
        let x = 1.0 - moved.sum::<f64>();
        let steps = coefficients(&s, RateKind::Sgdm, n);
        let m = steps.iter().zip(&g).fold(m0, |m, (c, g)| c.decay * m + c.gain * g);
        prop_assert!((m - momentum(n)).abs() < 1e-12, "{m}");
        prop_assert!((drive(&steps, m0)[n - 1] - x).abs() < 1e-11, "{x}");
    }

    // Lemma B.2: with a ≤ 1 − β_τ ≤ b from k on, Σ_τ Πβ lies between 1/b and 1/a, and η̄_k between (1−β_k)/b times the smallest and (1−β_k)/a
    // times the largest rate. Rounding as for the double sum.
    #[test]
    fn averaged_rates_obey_bounds(s in any_schedule()) {
        let n = s.steps().0;
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::MAX, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
        };
        for k in [0, 1, n / 3, n - 1] {
            let rates = range(&mut (k..3 * n).map(|j| s.learning_rate(Steps(j))));
            let gains = range(&mut (k..3 * n).map(|j| s.one_minus_beta(Steps(j))));
            let (averaged, gain) = (s.averaged_rate(Steps(k)), s.one_minus_beta(Steps(k)));
            prop_assert!(gain / gains.1 * rates.0 * (1.0 - 1e-11) <= averaged);
            prop_assert!(averaged <= gain / gains.0 * rates.1 * (1.0 + 1e-11));
        }
    }

    #[test]
    fn standard_is_sgdm(s in any_schedule(), tau in 0.0..0.95f64, m0 in -1.0..1.0f64) {
        let n = s.steps().0 as usize;
        let dampening = Dampening::new(tau).unwrap();
        let mut sgdm = coefficients(&s, RateKind::Sgdm, n);
        for pytorch_first_step in [false, true] {
            let kind = RateKind::Standard { dampening, pytorch_first_step };
            if pytorch_first_step {
                sgdm[0] = Coefficients::sgd(sgdm[0].rate);
            }
            for (a, b) in drive(&coefficients(&s, kind, n), m0).iter().zip(drive(&sgdm, m0)) {
                prop_assert!((a - b).abs() < 1e-12, "{pytorch_first_step}: {a} {b}");
            }
        }
    }

    #[test]
    fn lemma_a2_on_any_sequence(
        steps in prop::collection::vec((0.0..1.1f64, -0.5..0.95f64, 0.001..0.1f64), 1..60),
        m0 in -1.0..1.0f64,
    ) {
        let steps: Vec<_> = steps.iter().map(|&(momentum, dampening, rate)| {
            StandardStep { momentum, dampening, rate: HeavyBallRate(rate) }
        }).collect();
        for start in [BufferStart::Given, BufferStart::FirstGradient] {
            let mut standard: Vec<_> = steps.iter().map(|s| {
                Coefficients { decay: s.momentum, gain: 1.0 - s.dampening, rate: s.rate.0 }
            }).collect();
            if start == BufferStart::FirstGradient {
                (standard[0].decay, standard[0].gain) = (0.0, 1.0);
            }
            let averaged = averaged_steps(&steps, start).unwrap();
            let sgdm: Vec<_> = averaged.iter().map(|s| {
                Coefficients { decay: s.beta, gain: s.one_minus_beta, rate: s.rate.0 }
            }).collect();
            for (a, b) in drive(&standard, m0).iter().zip(drive(&sgdm, m0)) {
                // γ c grows like 1.1^60 ≈ 300 at worst.
                prop_assert!((a - b).abs() < 1e-9 * a.abs().max(1.0), "{start:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn bounds_hold_and_shapes_are_positive(shape in any_shape(2.0), eta in 0.003..0.1f64) {
        let (lo, hi) = shape.bounds(2.0);
        for k in 0..=fast(2.0).steps(eta).0 + 30 {
            let v = shape.at(Steps(k), eta, fast(2.0));
            prop_assert!(lo * (1.0 - 1e-15) <= v && v <= hi * (1.0 + 1e-15), "{lo} {v} {hi}");
        }
    }

    // Midpoint sums of step 10⁻⁴ miss each of at most 20 jumps by 10⁻⁴ and bends by far less.
    #[test]
    fn integrals_are_areas(shape in any_shape(2.0), t in 0.1..2.5f64) {
        if let Some(area) = shape.integral(t, 2.0) {
            let n = (t / 1e-4) as usize;
            let h = t / n as f64;
            let mid = |i: usize| shape.limit((i as f64 + 0.5) * h, 2.0).unwrap();
            let sum: f64 = (0..n).map(mid).sum::<f64>() * h;
            prop_assert!((sum - area).abs() < 2e-4, "{sum} {area}");
        }
    }
}

#[test]
fn constant_schedules_average_to_eta_bit_for_bit() {
    let shapes = family(Shape::Constant(0.3), Shape::Constant(0.7), 0.4);
    let s = Schedule::new(&shapes, 0.013, fast(1e7)).unwrap();
    let eta = 0.013 * 0.3;
    assert_eq!(s.averaged_rate(Steps(12345)), eta);
    let steps = coefficients(&s, RateKind::SgdAveraged, 10);
    assert!(steps.iter().all(|&c| c == Coefficients::sgd(eta)));
    let gamma = coefficients(&s, RateKind::SgdHeavyBallRate, 1)[0].rate;
    assert_eq!(gamma, eta * s.one_minus_beta(Steps(0)));
    assert!(s.checkpoints.get().is_none());
}

/// Without the factor λ_max/λ_min Lemma B.2 would be wrong: where 1 − β falls from ½ to ⅒ at a constant η, η̄_0 is ½·(1 + 0.9 + 0.9² + …) η = 5η.
#[test]
fn averaged_rates_exceed_all_rates_where_momentum_grows() {
    let falling = Shape::steps(vec![0.5, 0.1]).unwrap();
    let shapes = family(Shape::Constant(1.0), falling, 0.0);
    let s = Schedule::new(&shapes, 0.01, fast(1.0)).unwrap();
    assert!(close(s.averaged_rate(Steps(0)), 0.05, 1e-13));
    assert!(close(s.averaged_rate(Steps(1)), 0.01, 1e-13));
}

/// With 1/(1−β) = 10⁶, sums carried in one `f64` are off by 10⁻¹³ after as many steps.
#[test]
fn slow_momentum_costs_no_accuracy() {
    let drop = Shape::step_decay(1.0, 0.3, vec![20.0]).unwrap();
    let shapes = family(drop, Shape::Constant(1e-6), 0.0);
    let s = Schedule::new(&shapes, 1e-5, fast(30.0)).unwrap();
    let settled = 1e-5 * 0.3;
    for k in [2_000_000, 2_000_001, 2_500_000, 3_000_000] {
        assert!(close(s.averaged_rate(Steps(k)), settled, 1e-15), "{k}");
    }
    // Before the drop at step 2·10⁶: (1−q)·η + q·0.3η with q = β^{2·10⁶−k}.
    for k in [0, 500_000, 1_000_000, 1_999_000] {
        let q = ((2e6 - k as f64) * (-1e-6f64).ln_1p()).exp();
        let direct = 1e-5 * (1.0 - q) + settled * q;
        assert!(close(s.averaged_rate(Steps(k)), direct, 2e-15), "{k}");
    }
}

#[test]
fn memory_grows_like_the_root_of_the_number_of_steps() {
    let cosine = Shape::cosine(1.0, 0.0).unwrap();
    let shapes = family(cosine, Shape::Constant(0.1), 0.0);
    for (eta, bound) in [(1e-2, 32), (1e-4, 102), (1e-6, 1002)] {
        let s = Schedule::new(&shapes, eta, fast(1.0)).unwrap();
        assert!(s.checkpoints().len() <= bound);
        let mut stream = s.stream();
        stream.fill(
            RateKind::SgdAveraged,
            Steps(7),
            &mut [Coefficients::default(); 40],
        );
        assert!(stream.block.capacity() <= 2 * bound.max(32));
    }
}

#[test]
fn values_of_the_shapes() {
    let at = |shape: &Shape, k| shape.at(Steps(k), 0.1, fast(1.0));
    let cosine = Shape::cosine(1.0, 0.2).unwrap();
    assert_eq!(at(&cosine, 0), 1.0);
    assert!((at(&cosine, 5) - 0.6).abs() < 1e-15);
    assert_eq!(at(&cosine, 10), 0.2);
    assert_eq!(at(&cosine, 1000), 0.2);

    // Cosine on the remaining 0.6: its middle is at t = 0.7.
    let warm = Shape::warmup(0.4, 0.0, cosine).unwrap();
    assert_eq!(at(&warm, 0), 0.0);
    assert!((at(&warm, 2) - 0.5).abs() < 1e-15);
    assert_eq!(at(&warm, 4), 1.0);
    assert!((at(&warm, 7) - 0.6).abs() < 1e-15);
    assert_eq!(at(&warm, 10), 0.2);

    // 3·0.3 rounds below 0.9: the drop is at step 3 all the same, not one later.
    let early = Shape::step_decay(1.0, 0.5, vec![0.9]).unwrap();
    let ramp = Shape::warmup(0.9, 0.0, Shape::cycle(vec![3.0, 2.0]).unwrap()).unwrap();
    for (shape, value) in [(early, 0.5), (ramp, 3.0)] {
        assert_eq!(shape.at(Steps(3), 0.3, fast(9.0)), value);
    }
    let drop = Shape::step_decay(1.0, 0.5, vec![0.3, 0.7]).unwrap();
    let values: Vec<_> = (0..9).map(|k| at(&drop, k)).collect();
    assert_eq!(values, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]);

    let table = Shape::table(vec![0.2, 0.4, 0.6], vec![1.0, 2.0, 0.5]).unwrap();
    assert_eq!(at(&table, 1), 1.0);
    assert!((at(&table, 3) - 1.5).abs() < 1e-14);
    assert_eq!(at(&table, 9), 0.5);

    let list = Shape::steps(vec![3.0, 2.0, 1.0]).unwrap();
    assert_eq!((at(&list, 1), at(&list, 7)), (2.0, 1.0));
    let cycle = Shape::warmup(0.25, 0.0, Shape::cycle(vec![3.0, 2.0]).unwrap()).unwrap();
    assert_eq!(
        (at(&cycle, 3), at(&cycle, 4), at(&cycle, 25)),
        (3.0, 2.0, 3.0)
    );
    assert_eq!(cycle.limit(0.1, 1.0), None);
    assert_eq!(cycle.integral(0.1, 1.0), None);

    // On the slow clock one step lasts η².
    let slow = Horizon::Slow(SlowTime(1.0), crate::clocks::SlowClock::REGIME_II);
    let shapes = family(warm, Shape::Constant(1.0), 0.5);
    let s = Schedule::new(&shapes, 0.1, slow).unwrap();
    assert_eq!(s.steps(), Steps(100));
    assert!(close(s.learning_rate(Steps(20)), 0.05, 1e-14));
}

#[test]
fn constants_and_variation() {
    let shapes = family(
        Shape::step_decay(2.0, 0.5, vec![0.5]).unwrap(),
        Shape::cycle(vec![0.25, 0.5]).unwrap(),
        0.5,
    );
    let s = Schedule::new(&shapes, 0.01, fast(1.0)).unwrap();
    let ScalingConstants {
        eta_max,
        lambda_min,
        lambda_max,
    } = s.constants();
    assert_eq!((eta_max, lambda_min, lambda_max), (2.0, 0.25, 0.5));
    let v = s.variation();
    assert!(close(v.learning_rate, 0.01, 1e-12));
    assert!(close(v.momentum, 99.0 * 0.25 * 0.1, 1e-12));
    assert!(close(v.constant, 99.0 * 0.25, 1e-12));
}

#[test]
fn refusals_name_what_is_wrong() {
    let message = |r: Result<Shape, ShapeError>| r.unwrap_err().to_string();
    assert_eq!(
        message(Shape::constant(-1.0)),
        "`value` is -1, but must be a finite number ≥ 0"
    );
    assert_eq!(
        message(Shape::warmup(1.0, 0.0, Shape::Steps { values: vec![] })),
        "`then.values` is empty, but must be a list of at least one number"
    );
    assert_eq!(
        message(Shape::table(vec![0.0, 1.0, 1.0], vec![1.0; 3])),
        "`times[3]` is 1, but must be a finite number ≥ 0, greater than the entry before it"
    );
    assert_eq!(
        message(Shape::table(vec![0.0], vec![1.0; 3])),
        "`times` is a list of 1 for 3 values, but must be as long as `values`"
    );
    let refuse = |shapes: &ScheduleFamily, eta| {
        let refused = Schedule::new(shapes, eta, fast(1.0));
        refused.unwrap_err().to_string()
    };
    let good = family(Shape::Constant(1.0), Shape::Constant(2.0), 0.5);
    assert_eq!(
        refuse(&good, 0.64),
        "1 − β_k = η^α μ reaches 1.6 at scale η = 0.64 with α = 0.5 and μ = 2, but must stay in (0, 1]: \
         at this η the shape `momentum` may lie between 0 (excluded) and 1.25"
    );
    let frozen = family(
        Shape::Constant(1.0),
        Shape::Cosine { from: 1.0, to: 0.0 },
        0.5,
    );
    assert!(refuse(&frozen, 0.1).contains("reaches 0 "));
    let bad = family(Shape::Constant(f64::NAN), Shape::Constant(1.0), 0.5);
    assert!(refuse(&bad, 0.1).starts_with("learning_rate: `value` is NaN"));
    assert_eq!(
        refuse(&good, 0.0),
        "`eta` is 0, but must be a finite number > 0"
    );
    assert!(Dampening::new(1.0).is_err());
    let step = StandardStep {
        momentum: 0.9,
        dampening: 1.0,
        rate: HeavyBallRate(0.1),
    };
    assert_eq!(
        averaged_steps(&[step], BufferStart::Given).unwrap_err(),
        ConversionError::StepDampening {
            step: 0,
            value: 1.0
        }
    );
}

/// Sec. 4.1 with x_0 = 0, σ = 1: by brute force over the weight of each independent draw in x_k.
#[test]
fn warm_up_variance() {
    let (eta, beta, n) = (0.1f64, 0.8f64, 30usize);
    let shapes = family(Shape::Constant(1.0), Shape::Constant(1.0 - beta), 0.0);
    let s = Schedule::new(&shapes, eta, fast(3.0)).unwrap();
    let steps = coefficients(&s, RateKind::Sgdm, n);
    let response = |draw: usize, m0: f64| {
        let mut m = m0;
        steps.iter().enumerate().fold(0.0, |x, (k, c)| {
            m = c.decay * m + c.gain * f64::from(u8::from(k == draw));
            x - c.rate * m
        })
    };
    let start = response(n, 1.0).powi(2) * (1.0 - beta) / (1.0 + beta);
    let variance = start + (0..n).map(|k| response(k, 0.0).powi(2)).sum::<f64>();
    let formula = n as f64 - 2.0 * beta * (1.0 - beta.powi(n as i32)) / (1.0 - beta * beta);
    assert!(close(variance, formula * eta * eta, 1e-13));
}
