//! The elementary inequalities that the proofs of Appendices B and C rest on (Lemmas B.4, B.13, C.10–C.15), on random input. Each holds
//! everywhere, and a tightened version of it fails somewhere: the tests can fail.

use proptest::prelude::*;
use std::cell::Cell;

const SLACK: f64 = 1.0 + 1e-12;

/// Whether `claim(tightened)` holds on random input when it is not tightened, and fails on some of it when it is.
fn holds_and_is_sharp<S: Strategy>(input: S, claim: impl Fn(&S::Value, bool) -> bool)
where
    S::Value: std::fmt::Debug,
{
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    };
    let seed =
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let mut runner = prop::test_runner::TestRunner::new_with_rng(config, seed);
    let failures = Cell::new(0);
    let outcome = runner.run(&input, |value| {
        prop_assert!(claim(&value, false));
        failures.set(failures.get() + u32::from(!claim(&value, true)));
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(failures.get() > 0, "the tightened claim holds, too");
}

fn numbers(range: std::ops::Range<f64>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(range, 1..40)
}

/// Rows of (growth k ≥ 0, forcing g ≥ 0, the share in (0, 1] of the hypothesis that is used).
fn rows() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    prop::collection::vec((0.0..0.5f64, 0.0..2.0f64, 0.2..1.0f64), 1..40)
}

/// Lemma B.4: f_n ≤ g_n + Σ_{s<n} k_s f_s gives f_n ≤ g_n + Σ_{s<n} k_s g_s exp(Σ_{s<r<n} k_r). Tightened: half the exponent.
#[test]
fn gronwall_for_sums() {
    holds_and_is_sharp(rows(), |rows, tightened| {
        let mut f: Vec<f64> = vec![];
        (0..rows.len()).all(|n| {
            let past = |f: &[f64]| rows.iter().zip(f).map(|(row, f)| row.0 * f).sum::<f64>();
            let (_, g, share) = rows[n];
            f.push(share * (g + past(&f)));
            let bound = |s: usize| {
                let between: f64 = rows[s + 1..n].iter().map(|row| row.0).sum();
                let exponent = if tightened { 0.5 * between } else { between };
                rows[s].0 * rows[s].1 * exponent.exp()
            };
            f[n] <= SLACK * (g + (0..n).map(bound).sum::<f64>())
        })
    });
}

/// Lemma C.10: f(t) ≤ C + ∫₀ᵗ f(s−) dg(s) with g non-decreasing, g(0) = 0, gives f(t) ≤ C e^{g(t)}; g jumps. Tightened: C e^{g/2}.
#[test]
fn gronwall_for_growth() {
    holds_and_is_sharp(rows(), |rows, tightened| {
        let constant = rows[0].1;
        let (mut f, mut integral, mut g) = (constant, 0.0, 0.0);
        rows.iter().all(|&(jump, _, share)| {
            integral += f * jump;
            g += jump;
            f = share * (constant + integral);
            f <= SLACK * constant * (if tightened { 0.5 * g } else { g }).exp()
        })
    });
}

/// Lemma C.11 for rates of either sign: f_{n+1} ≤ (1 + r_n) f_n with r_n > −1 gives f_n ≤ f_0 exp(Σr). Tightened: exp(Σr − n/10).
#[test]
fn gronwall_for_decay() {
    holds_and_is_sharp(numbers(-0.9..0.4), |rates, tightened| {
        let (mut f, mut exponent) = (1.0, 0.0);
        rates.iter().all(|r| {
            f *= 1.0 + r;
            exponent += if tightened { r - 0.1 } else { *r };
            f <= SLACK * f64::exp(exponent)
        })
    });
}

/// Lemmas C.12–C.14 in the form that the proof of Lemma C.16 uses, for a process that decays and is driven along the jumps δ ≤ ½ of a clock A:
/// f_{n+1} ≤ (1 − cδ_n) f_n + bδ_n gives f_n ≤ e^{−cA_n} f_0 + b Σ_s e^{−c(A_n − A_{s+1})} δ_s, since 1 − x ≤ e^{−x}; and the sum is at most
/// max cδ / (1 − e^{−c max δ}) times (1 − e^{−cA_n})/c. Tightened: three quarters of either bound.
#[test]
fn gronwall_for_jumps() {
    let input = (1.0..2.0f64, 0.0..2.0f64, 0.0..2.0f64, numbers(0.001..0.5));
    holds_and_is_sharp(input, |(c, b, start, jumps), tightened| {
        let part = if tightened { 0.75 } else { SLACK };
        let (mut f, mut forced, mut clock) = (*start, 0.0, 0.0);
        let largest = c * jumps.iter().copied().fold(0.0, f64::max);
        jumps.iter().all(|jump| {
            f = (1.0 - c * jump) * f + b * jump;
            forced = forced * (-c * jump).exp() + jump;
            clock += jump;
            let faded = (-c * clock).exp();
            let area = largest / -(-largest).exp_m1() * (1.0 - faded) / c;
            f <= part * (faded * start + b * forced) && forced <= part * area
        })
    });
}

/// Lemma C.15 (Doob) on all 2ⁿ paths of a walk whose step at each time depends on the past: P(max|M| ≥ c) ≤ E|M_n|^p/c^p for p ≥ 1, and
/// E max|M|^p ≤ (p/(p−1))^p E|M_n|^p for p > 1. Tightened: half the first bound, and the factor 1 in the second.
#[test]
fn doob() {
    let input = (1usize..11, 1.1..4.0f64, 0.2..3.0f64, 0.0..6.0f64);
    for inequality in [0, 1] {
        holds_and_is_sharp(input.clone(), |&(n, p, level, seed), tightened| {
            let (mut above, mut most, mut last) = (0.0, 0.0, 0.0);
            for path in 0..1u32 << n {
                let (mut m, mut largest) = (0.0f64, 0.0f64);
                for k in 0..n {
                    // Predictable: the sign at k is not in it.
                    let past = path & ((1 << k) - 1);
                    let size = 1.0 + (seed + 1.7 * f64::from(past) + k as f64).sin();
                    m += if path >> k & 1 == 1 { size } else { -size };
                    largest = largest.max(m.abs());
                }
                above += f64::from(u8::from(largest >= level));
                most += largest.powf(p);
                last += m.abs().powf(p);
            }
            let factor = if tightened {
                1.0
            } else {
                (p / (p - 1.0)).powf(p)
            };
            let part = if tightened { 0.5 } else { 1.0 };
            match inequality {
                0 => above <= SLACK * part * last / level.powf(p),
                _ => most <= SLACK * factor * last,
            }
        });
    }
}

/// Lemma B.13 for u = cos(x + φ), whose derivatives are at most 1: steps Δ, Δ̃ with moments up to the third within δ and fourth moments up to ρ
/// change the mean of u by amounts within δ(1 + ½ + ⅙) + 2ρ/24 of each other. Three values with equal weights. Tightened: a fifth of that.
#[test]
fn close_moments_make_close_means() {
    let step = || prop::array::uniform3(-1.0..1.0f64);
    holds_and_is_sharp((step(), step(), 0.0..6.3f64), |(a, b, phase), tightened| {
        let mean =
            |of: &dyn Fn(f64) -> f64, step: &[f64; 3]| step.map(of).iter().sum::<f64>() / 3.0;
        let gap = |n: i32| (mean(&|d| d.powi(n), a) - mean(&|d| d.powi(n), b)).abs();
        let delta = (1..=3).map(gap).fold(0.0, f64::max);
        let fourth = mean(&|d| d.powi(4), a).max(mean(&|d| d.powi(4), b));
        let u = |d: f64| (phase + d).cos();
        let bound = delta * (1.0 + 0.5 + 1.0 / 6.0) + 2.0 * fourth / 24.0;
        let part = if tightened { 0.2 } else { SLACK };
        (mean(&u, a) - mean(&u, b)).abs() <= part * bound
    });
}
