//! Two samples: the Kolmogorov–Smirnov test and interval, and the sphere average behind distances in several dimensions.

use statrs::function::gamma::ln_gamma;
use std::f64::consts::{PI, TAU};

/// P(K > t) of Kolmogorov's law, t ≥ 0: 2 Σ_{k≥1} (−1)^{k−1} exp(−2k²t²), summed below t = 1 by the theta function's other
/// series, 1 − (√(2π)/t) Σ_{k≥1} exp(−(2k−1)²π²/(8t²)). Error below 1e-15.
fn kolmogorov_tail(t: f64) -> f64 {
    if t < 1.0 {
        let term = |k: f64| (-(k * PI / t).powi(2) / 8.0).exp();
        // The terms beyond are below exp(−9 · π² · (25/9 − 1)/8) of the sum.
        let sum: f64 = [1.0, 3.0, 5.0, 7.0].into_iter().map(term).sum();
        if t > 0.0 {
            1.0 - TAU.sqrt() / t * sum
        } else {
            1.0
        }
    } else {
        let term = |k: f64| (-2.0 * (k * t).powi(2)).exp();
        let signs = [(1.0, 1.0), (2.0, -1.0), (3.0, 1.0), (4.0, -1.0), (5.0, 1.0)];
        2.0 * signs
            .into_iter()
            .map(|(k, sign)| sign * term(k))
            .sum::<f64>()
    }
    .clamp(0.0, 1.0)
}

/// The p-value of the two-sample Kolmogorov–Smirnov test at distance sup |F_n − G_m|, from its asymptotic law: that of
/// √(nm/(n+m)) sup |F_n − G_m| is Kolmogorov's (Kolmogorov 1933, Smirnov 1939) for independent samples of one continuous law.
/// Ties, and samples that go together as paths on shared noise do, make it larger than need be: the test is then conservative.
/// NaN without samples.
pub fn kolmogorov_smirnov_p_value(distance: f64, n: u64, m: u64) -> f64 {
    if n == 0 || m == 0 || distance.is_nan() {
        return f64::NAN;
    }
    let (n, m) = (n as f64, m as f64);
    kolmogorov_tail(distance.max(0.0) * (n * m / (n + m)).sqrt())
}

/// How far sup |F_n − G_m| can be from sup |F − G| at a level, however the two samples go together: the sum of the two
/// Dvoretzky–Kiefer–Wolfowitz bounds √(ln(2/δ)/(2n)) with Massart's constant, each at half of δ = 1 − level. Holds for every n.
pub fn kolmogorov_smirnov_margin(level: f64, n: u64, m: u64) -> f64 {
    let delta = 0.5 * (1.0 - level);
    let bound = |n: u64| ((2.0 / delta).ln() / (2.0 * n as f64)).sqrt();
    bound(n) + bound(m)
}

/// E|u·θ| for a unit vector u and θ uniform on the sphere in d ≥ 1 dimensions: Γ(d/2)/(√π Γ((d+1)/2)). The mean over θ of |x·θ|
/// is ‖x‖ times this, and so is that of a one-dimensional energy distance of projections to that of the laws themselves.
pub fn mean_projection(dimension: usize) -> f64 {
    let d = dimension as f64;
    (ln_gamma(0.5 * d) - ln_gamma(0.5 * (d + 1.0))).exp() / PI.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use statrs::distribution::Uniform;
    use statrs::stats_tests::NaNPolicy;
    use statrs::stats_tests::ks_test::{
        KSOneSampleAlternativeMethod, KSTwoSampleAlternativeMethod, ks_onesample, ks_twosample,
    };

    fn normals(rng: &mut Xoshiro256PlusPlus, n: usize) -> Vec<f64> {
        (0..n).map(|_| rng.sample(StandardNormal)).collect()
    }

    /// Where both series converge they agree; tabulated quantiles; the statistic and p-value of another implementation.
    #[test]
    fn kolmogorovs_law() {
        for t in [0.95, 0.999_999_999, 1.0, 1.05] {
            let small = 1.0
                - TAU.sqrt() / t
                    * (0..20)
                        .map(|k| (-(f64::from(2 * k + 1) * PI / t).powi(2) / 8.0).exp())
                        .sum::<f64>();
            assert!((kolmogorov_tail(t) - small).abs() < 1e-14, "{t}");
        }
        // Smirnov 1948: 10 %, 5 %, 1 %, 0.1 %.
        for (t, p) in [
            (1.223_848, 0.1),
            (1.358_099, 0.05),
            (1.627_624, 0.01),
            (1.949_475, 0.001),
        ] {
            assert!((kolmogorov_tail(t) / p - 1.0).abs() < 1e-5, "{t}");
        }
        assert_eq!((kolmogorov_tail(0.0), kolmogorov_tail(1e-3)), (1.0, 1.0));
        assert!(kolmogorov_tail(40.0) == 0.0);
        assert!(kolmogorov_smirnov_p_value(0.1, 0, 9).is_nan());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        for (n, m, shift) in [(300, 200, 0.0), (400, 400, 0.1), (150, 900, 0.3)] {
            let (a, mut b) = (normals(&mut rng, n), normals(&mut rng, m));
            b.iter_mut().for_each(|x| *x += shift);
            let method = KSTwoSampleAlternativeMethod::TwoSidedAsymptotic;
            let (distance, p) = ks_twosample(a, b, method, NaNPolicy::Error).expect("samples");
            let own = kolmogorov_smirnov_p_value(distance, n as u64, m as u64);
            assert!((own - p).abs() < 1e-9, "{own} against {p}");
        }
    }

    /// p-values of independent samples of one law are uniform: a one-sample test of 2000 of them at level 1e-4. With a shift that is
    /// a fifth of the deviation they are not.
    #[test]
    fn p_values_are_uniform_under_the_null() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(17);
        let mut uniform = |shift: f64| {
            let p_values = (0..2000).map(|_| {
                let (a, b) = (normals(&mut rng, 500), normals(&mut rng, 700));
                let b: Vec<f64> = b.into_iter().map(|x| x + shift).collect();
                let method = KSTwoSampleAlternativeMethod::TwoSidedAsymptotic;
                let (distance, _) = ks_twosample(a, b, method, NaNPolicy::Error).expect("samples");
                kolmogorov_smirnov_p_value(distance, 500, 700)
            });
            let law = Uniform::new(0.0, 1.0).expect("a law");
            let method = KSOneSampleAlternativeMethod::TwoSidedAsymptotic;
            ks_onesample(p_values.collect(), &law, method, NaNPolicy::Error)
                .map(|(_, p)| p)
                .expect("p-values")
        };
        let null = uniform(0.0);
        assert!(null > 1e-4, "{null}");
        assert!(uniform(0.2) < 1e-4);
    }

    /// The margin holds the true distance of two normal laws a deviation apart, 2Φ(½) − 1, in the stated share of samples at least:
    /// under a coverage of 90 %, fewer than 336 of 400 have probability 1e-4. A quarter of it does not.
    #[test]
    fn the_margin_covers() {
        let truth = 0.382_924_922_548_026;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(23);
        let margin = kolmogorov_smirnov_margin(0.9, 200, 300);
        // √(ln 40/400) + √(ln 40/600).
        assert!((margin - 0.174_442_307).abs() < 1e-8, "{margin}");
        let mut errors = || {
            let (a, b) = (normals(&mut rng, 200), normals(&mut rng, 300));
            let b: Vec<f64> = b.into_iter().map(|x| x + 1.0).collect();
            let method = KSTwoSampleAlternativeMethod::TwoSidedAsymptotic;
            let (distance, _) = ks_twosample(a, b, method, NaNPolicy::Error).expect("samples");
            (distance - truth).abs()
        };
        let errors: Vec<f64> = (0..400).map(|_| errors()).collect();
        let within = |margin: f64| errors.iter().filter(|e| **e <= margin).count();
        assert!(within(margin) >= 336, "{} of 400", within(margin));
        assert!(within(0.25 * margin) < 336);
    }

    /// The constant in closed form, 1, 2/π, 1/2, and against the mean over directions drawn at random (five standard errors); and with
    /// it the energy distance of two clouds in space, over all pairs, from those of their projections.
    #[test]
    fn energies_of_projections_are_those_of_the_cloud() {
        for (d, want) in [(1, 1.0), (2, 2.0 / PI), (3, 0.5), (5, 3.0 / 8.0)] {
            assert!((mean_projection(d) - want).abs() < 1e-14, "{d}");
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(31);
        let d = 4;
        let cloud = |rng: &mut Xoshiro256PlusPlus, shift: f64| -> Vec<Vec<f64>> {
            let point = |_| normals(rng, d).into_iter().map(|x| x + shift).collect();
            (0..40).map(point).collect()
        };
        let (x, y) = (cloud(&mut rng, 0.0), cloud(&mut rng, 0.5));
        let energy = |distance: &dyn Fn(&[f64], &[f64]) -> f64| {
            let apart = |a: &[Vec<f64>], b: &[Vec<f64>]| {
                let all = a.iter().flat_map(|p| b.iter().map(move |q| (p, q)));
                all.map(|(p, q)| distance(p, q)).sum::<f64>() / (a.len() * b.len()) as f64
            };
            2.0 * apart(&x, &y) - apart(&x, &x) - apart(&y, &y)
        };
        let whole = energy(&|p, q| {
            p.iter()
                .zip(q)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>()
                .sqrt()
        });
        let directions = 2000;
        let projected: Vec<f64> = (0..directions)
            .map(|_| {
                let v = normals(&mut rng, d);
                let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                let along = |p: &[f64]| p.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() / norm;
                energy(&|p, q| (along(p) - along(q)).abs())
            })
            .collect();
        let n = f64::from(directions);
        let mean = projected.iter().sum::<f64>() / n;
        let variance = projected.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let (value, error) = (
            mean / mean_projection(d),
            (variance / n).sqrt() / mean_projection(d),
        );
        assert!(
            (value - whole).abs() < 5.0 * error,
            "{value} ± {error} against {whole}"
        );
        assert!(error < 0.02 * whole);
    }
}
