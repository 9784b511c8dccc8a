//! Intervals that hold together although their errors depend on each other.

use crate::random::{Purpose, StreamKey};
use nalgebra::{Cholesky, DMatrix, DVector};
use rand::RngExt;
use rand_distr::{Open01, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal};

/// Draws of an estimate; its relative error is below 1 %.
const DRAWS: usize = 2048;

/// Passes of the fixed point of quantile and effective number.
const PASSES: usize = 4;

/// Added to the diagonal of correlation matrices, which are singular where one error is a function of others.
const RIDGE: f64 = 1e-6;

/// How many independent normal errors exceed a common bound as often as these: m with P(max_i |Z_i| > z) = m P(|Z| > z), at the z
/// where that is `tail`.
///
/// `errors[i]` are coordinates of the i-th error in independent directions, so that their products are covariances; zero
/// vectors never exceed anything. The union's probability is m₀ P(|Z| > z) E\[1/N | Z_I exceeds\], where I is one of the m₀ errors at
/// random and N the number that exceed (Naiman and Priebe 2001): a mean of numbers between 1/m₀ and 1 however small the tail.
/// It is estimated with a fixed stream, so equal errors have equal numbers. The result is between 0 (no error at all) and m₀.
pub fn effective_tests(errors: &[Vec<f64>], tail: f64) -> f64 {
    let norm = |e: &[f64]| e.iter().map(|x| x * x).sum::<f64>().sqrt();
    let units: Vec<DVector<f64>> = errors
        .iter()
        .filter(|e| norm(e) > 0.0)
        .map(|e| DVector::from_column_slice(e) / norm(e))
        .collect();
    let m = units.len();
    if m < 2 {
        return m as f64;
    }
    let mut correlation = DMatrix::from_fn(
        m,
        m,
        |i, j| {
            if j > i { 0.0 } else { units[i].dot(&units[j]) }
        },
    );
    correlation.fill_upper_triangle_with_lower_triangle();
    for i in 0..m {
        correlation[(i, i)] = 1.0 + RIDGE;
    }
    let Some(factor) = Cholesky::new(correlation.clone()) else {
        return m as f64;
    };
    let key = StreamKey { seed: 0, cell: 0 };
    let mut rng = key.scalar(Purpose::Bootstrap, 0);
    let draws = DRAWS.next_multiple_of(m);
    let free = factor.l_dirty().lower_triangle()
        * DMatrix::<f64>::from_fn(m, draws, |_, _| rng.sample(StandardNormal));
    let shares: Vec<f64> = (0..draws).map(|_| rng.sample(Open01)).collect();
    let normal = Normal::standard();
    let mut tests = m as f64;
    for _ in 0..PASSES {
        let below = 0.5 * tail / tests;
        let z = -normal.inverse_cdf(below);
        let exceedances = |k: usize| {
            // Z_I beyond z; the rest of the vector is independent of it but for its correlation with it.
            let i = k % m;
            let far = -normal.inverse_cdf(shares[k] * below);
            let column = free.column(k);
            let move_by = far - column[i];
            let row = correlation.column(i);
            let others = column.iter().zip(row.iter()).enumerate();
            let beyond =
                |(j, (w, r)): &(usize, (&f64, &f64))| *j != i && (*w + *r * move_by).abs() > z;
            1 + others.filter(beyond).count()
        };
        let mean: f64 = (0..draws).map(|k| 1.0 / exceedances(k) as f64).sum::<f64>() / draws as f64;
        tests = m as f64 * mean;
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::super::bonferroni_quantile;
    use super::*;

    fn unit(m: usize, i: usize) -> Vec<f64> {
        (0..m).map(|j| f64::from(u8::from(i == j))).collect()
    }

    /// Independent errors count one each (but for those that exceed together), equal and opposite ones once, zeros not at all.
    #[test]
    fn independent_and_equal_errors() {
        let independent: Vec<Vec<f64>> = (0..10).map(|i| unit(10, i)).collect();
        for tail in [0.05f64, 1e-3, 1e-6] {
            // 1 − (1 − p)^10 = tail.
            let p = 1.0 - (1.0 - tail).powf(0.1);
            let tests = effective_tests(&independent, tail);
            assert!((tests / (tail / p) - 1.0).abs() < 0.02, "{tail}: {tests}");
        }
        let equal = vec![
            vec![0.3, 0.1],
            vec![3.0, 1.0],
            vec![-0.6, -0.2],
            vec![0.0, 0.0],
        ];
        assert!((effective_tests(&equal, 1e-3) - 1.0).abs() < 0.02);
        assert_eq!(effective_tests(&[vec![0.0]], 1e-3), 0.0);
        assert_eq!(effective_tests(&[], 1e-3), 0.0);
    }

    /// Equicorrelated and autoregressive errors: the quantile against 10⁵ draws of the maximum. At a tail of 2 % the number
    /// beyond has a standard deviation of 44; five of them (probability 6e-7) and 2 % for the estimate are admitted.
    #[test]
    fn the_quantile_is_that_of_the_maximum() {
        let (m, n, tail) = (12, 100_000, 0.02);
        let root = |rho: f64| (1.0 - rho * rho).sqrt();
        let together: Vec<Vec<f64>> = (0..m)
            .map(|i| {
                let mut e = unit(m + 1, i);
                e.iter_mut().for_each(|x| *x *= root(0.9));
                e[m] = 0.9;
                e
            })
            .collect();
        let mut chain: Vec<Vec<f64>> = vec![unit(m, 0)];
        for i in 1..m {
            let next = chain[i - 1].iter().zip(unit(m, i));
            let next = next.map(|(a, b)| 0.95 * a + root(0.95) * b);
            chain.push(next.collect());
        }
        for errors in [together, chain] {
            let tests = effective_tests(&errors, tail);
            assert!(tests > 2.0 && tests < 8.0, "{tests}");
            let z = bonferroni_quantile(1.0 - tail, tests);
            let mut rng = StreamKey { seed: 1, cell: 1 }.scalar(Purpose::Bootstrap, 1);
            let mut beyond = 0;
            for _ in 0..n {
                let g: Vec<f64> = errors[0]
                    .iter()
                    .map(|_| rng.sample(StandardNormal))
                    .collect();
                let value = |e: &Vec<f64>| e.iter().zip(&g).map(|(a, b)| a * b).sum::<f64>();
                beyond += usize::from(errors.iter().any(|e| value(e).abs() > z));
            }
            let expected = tail * n as f64;
            assert!(
                (beyond as f64 - expected).abs() < 5.0 * 44.0 + 0.02 * expected,
                "{beyond} beyond"
            );
        }
    }
}
