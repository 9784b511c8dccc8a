//! Extrapolation of an error curve to η → 0 with an interval that admits what the model leaves out.
//!
//! The error is modelled as e(η) = c₀ + Σ_k c_k η^{p_k}. A fit of fixed degree is either too stiff (its intercept is biased
//! where the ladder is not yet asymptotic) or too loose. Here the curve belongs to a class instead: the k-th term may be as
//! large at η_max as |c_k| η_max^{p_k} ≤ A·2^{p_k/p_1}, where A is the largest error seen. That is a power series in η^{p_1}
//! whose radius of convergence may be as small as half of η_max^{p_1}. The linear estimate of c₀ that suits the class is
//! generalised least squares with the c_k as random effects; its interval is sampling noise plus the worst bias in the class
//! (bias-aware inference, Armstrong and Kolesár 2018). Noisy points, exact points and pre-asymptotic points are all handled
//! by the same formula, without choosing a degree or dropping points.

use nalgebra::{DMatrix, DVector};

/// The exponents p_k of an error expansion and the ladder it is fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerSeries {
    powers: Vec<f64>,
    etas: Vec<f64>,
}

/// A limit with what is needed to draw and to judge it.
#[derive(Clone, Debug, PartialEq)]
pub struct Extrapolation {
    /// Estimate of c₀ = lim e(η).
    pub limit: f64,
    /// Its sampling standard error.
    pub standard_error: f64,
    /// `limit` as a sum of errors: one weight per η.
    pub weights: Vec<f64>,
    /// Largest bias over the class of curves.
    pub bias: f64,
    /// χ² of the points around the fitted class, per degree of freedom (points − 1).
    pub reduced_chi_square: f64,
    /// c₀, c₁, … of a smooth curve through the limit and near the points, for drawing only.
    pub coefficients: Vec<f64>,
}

impl Extrapolation {
    /// Half-width of the interval at `z` standard errors: noise and bias, enlarged where the points do not fit the class.
    pub fn half_width(&self, z: f64) -> f64 {
        self.reduced_chi_square.max(1.0).sqrt() * (z * self.standard_error + self.bias)
    }
}

/// How fast the terms of the drawn curve fall off at η_max, and how close it comes to the points (in units of A).
const DRAWN_DECAY: f64 = 0.5;
const DRAWN_SLACK: f64 = 2e-3;

/// Terms of the expansion that are carried.
const TERMS: usize = 10;

impl PowerSeries {
    /// Expansion in all products of the given exponents (each > 0) on a ladder of η: for one exponent p its multiples; for
    /// 1 − α and 1 also the mixed powers.
    pub fn new(generators: &[f64], etas: &[f64]) -> PowerSeries {
        let mut powers: Vec<f64> = vec![0.0];
        for &g in generators.iter().filter(|&&g| g > 0.0) {
            let multiples: Vec<f64> = (0..=TERMS).map(|k| k as f64 * g).collect();
            let sums = powers
                .iter()
                .flat_map(|p| multiples.iter().map(move |m| p + m));
            powers = sums.collect();
            powers.sort_by(f64::total_cmp);
            powers.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
            // The least sums of all come from the least ones so far.
            powers.truncate(TERMS + 1);
        }
        PowerSeries {
            powers: powers.split_off(1.min(powers.len())),
            etas: etas.to_vec(),
        }
    }

    /// p₁, p₂, ….
    pub fn powers(&self) -> &[f64] {
        &self.powers
    }

    /// Extrapolates `errors` with standard errors `noise` (0 for exact numbers); `magnitude` is A > 0.
    ///
    /// `None` with fewer than two points, without a term in the expansion, or when a number is not finite.
    pub fn extrapolate(
        &self,
        errors: &[f64],
        noise: &[f64],
        magnitude: f64,
    ) -> Option<Extrapolation> {
        let n = self.etas.len();
        let largest = self.etas.iter().fold(0.0f64, |m, &e| m.max(e));
        let first = *self.powers.first()?;
        if n < 2 || errors.len() != n || noise.len() != n {
            return None;
        }
        if magnitude == 0.0 && noise.iter().all(|&s| s == 0.0) {
            // Nothing differs anywhere: the limit is 0 exactly.
            let coefficients = vec![0.0; self.powers.len() + 1];
            return errors.iter().all(|&e| e == 0.0).then_some(Extrapolation {
                limit: 0.0,
                standard_error: 0.0,
                weights: vec![0.0; n],
                bias: 0.0,
                reduced_chi_square: 0.0,
                coefficients,
            });
        }
        let k = self.powers.len();
        // Rounding errors of the data themselves.
        let noise: Vec<f64> = noise.iter().map(|s| s.hypot(1e-13 * magnitude)).collect();
        // Least squares for (c₀, u) with e_i = c₀ + Σ_k terms_ik u_k + noise_i and u_k ~ (0, 1); QR keeps its accuracy
        // where the normal equations would not.
        let terms = DMatrix::from_fn(n, k, |i, j| {
            let p = self.powers[j];
            magnitude * (p / first).exp2() * (self.etas[i] / largest).powf(p)
        });
        let stacked = DMatrix::from_fn(n + k, k + 1, |i, j| match (i < n, j) {
            (true, 0) => 1.0 / noise[i],
            (true, j) => terms[(i, j - 1)] / noise[i],
            (false, j) => f64::from(u8::from(i - n + 1 == j)),
        });
        let right = DVector::from_fn(n + k, |i, _| if i < n { errors[i] / noise[i] } else { 0.0 });
        let qr = stacked.qr();
        let (q, r) = (qr.q(), qr.r());
        let mut first_unit = DVector::zeros(k + 1);
        first_unit[0] = 1.0;
        let row = &q * r.transpose().solve_lower_triangular(&first_unit)?;
        let weights = DVector::from_fn(n, |i, _| row[i] / noise[i]);
        let y = DVector::from_column_slice(errors);
        let limit = weights.dot(&y);
        let chi_square = (&right - &q * (q.transpose() * &right)).norm_squared();
        let distance = y.add_scalar(-limit);
        let sampling: f64 = weights.iter().zip(&noise).map(|(w, s)| w * w * s * s).sum();
        let bias: f64 = (terms.transpose() * &weights).iter().map(|b| b.abs()).sum();
        let result = Extrapolation {
            limit,
            standard_error: sampling.sqrt(),
            weights: weights.iter().copied().collect(),
            bias,
            reduced_chi_square: chi_square / (n - 1) as f64,
            coefficients: self.curve(limit, &distance, &noise, magnitude),
        };
        (limit.is_finite() && bias.is_finite() && sampling.is_finite()).then_some(result)
    }

    /// The interval admits curves that wiggle between the points; the curve that is drawn should not. It is the ridge
    /// regression whose k-th term is held near A·2^{−p_k/p_1} at η_max, which lets the low orders do the work.
    fn curve(
        &self,
        limit: f64,
        distance: &DVector<f64>,
        noise: &[f64],
        magnitude: f64,
    ) -> Vec<f64> {
        let largest = self.etas.iter().fold(0.0f64, |m, &e| m.max(e));
        let first = self.powers.first().copied().unwrap_or(1.0);
        let size = |p: f64| magnitude * DRAWN_DECAY.powf(p / first);
        let terms = DMatrix::from_fn(self.etas.len(), self.powers.len(), |i, k| {
            size(self.powers[k]) * (self.etas[i] / largest).powf(self.powers[k])
        });
        let mut covariance = &terms * terms.transpose();
        for (i, s) in noise.iter().enumerate() {
            covariance[(i, i)] += s * s + (DRAWN_SLACK * magnitude).powi(2);
        }
        let weights = covariance
            .cholesky()
            .map_or(DVector::zeros(self.powers.len()), |c| {
                terms.transpose() * c.solve(distance)
            });
        let orders = self.powers.iter().zip(weights.iter());
        std::iter::once(limit)
            .chain(orders.map(|(&p, w)| w * size(p) / largest.powf(p)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAS: [f64; 7] = [
        0.125,
        0.0625,
        0.03125,
        0.015625,
        0.0078125,
        0.00390625,
        0.001953125,
    ];

    fn curve(f: impl Fn(f64) -> f64) -> Vec<f64> {
        ETAS.iter().map(|&e| f(e)).collect()
    }

    #[test]
    fn powers_are_the_products_of_the_generators() {
        let p = PowerSeries::new(&[0.5, 1.0], &ETAS);
        assert_eq!(&p.powers()[..4], &[0.5, 1.0, 1.5, 2.0]);
        let p = PowerSeries::new(&[0.75, 1.0], &ETAS);
        assert_eq!(&p.powers()[..5], &[0.75, 1.0, 1.5, 1.75, 2.0]);
        let many: Vec<f64> = (1..20).map(f64::from).collect();
        assert_eq!(PowerSeries::new(&many, &ETAS).powers(), &many[..10]);
    }

    /// Smooth curves of the class: the interval contains the limit and shrinks with the data's precision.
    #[test]
    fn exact_curves_are_extrapolated_within_the_stated_bias() {
        for p in [1.0, 0.75, 0.5] {
            let series = PowerSeries::new(&[p], &ETAS);
            for limit in [0.0, 0.3] {
                for f in [
                    |x: f64| 1.0 / (1.0 + x) - 1.0,
                    |x: f64| (-x).exp_m1() + x * x,
                    |x: f64| (2.0 * x).sin(),
                ] {
                    let y = curve(|e| limit + f(e.powf(p)));
                    let a = y.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                    let fit = series.extrapolate(&y, &[0.0; 7], a).unwrap();
                    let width = fit.half_width(0.0);
                    assert!((fit.limit - limit).abs() <= width, "{fit:?}");
                    // The ladder spans 2⁶ in η but only 2³ in √η: the class is that much wider there.
                    let sharpness = if p == 0.5 { 0.04 } else { 0.01 };
                    assert!(width < sharpness * a, "p = {p}: half-width {width} of {a}");
                }
            }
        }
    }

    /// A limit that is not there is not invented, and one that is there is not missed: with noise 1e-3 of the error's size
    /// the interval at 4 standard errors separates 0 from a limit of a tenth of the error.
    #[test]
    fn noise_widens_the_interval() {
        let series = PowerSeries::new(&[0.5], &ETAS);
        let noise = [1e-3; 7];
        for limit in [0.0, 0.1] {
            let y = curve(|e| limit + e.sqrt() - 0.7 * e);
            let fit = series.extrapolate(&y, &noise, 0.35).unwrap();
            let width = fit.half_width(4.0);
            assert!((fit.limit - limit).abs() < width);
            assert!(width < 0.09, "half-width {width}");
        }
    }

    /// Long noise-free ladders, on which the normal equations lose all digits.
    #[test]
    fn long_exact_ladders_are_extrapolated() {
        for length in [10, 14, 20, 27] {
            for p in [1.0, 0.75, 0.5] {
                let etas: Vec<f64> = (0..length).map(|i| f64::from(-4 - i).exp2()).collect();
                let series = PowerSeries::new(&[p, 1.0], &etas);
                let y: Vec<f64> = etas.iter().map(|e| (-e.powf(p)).exp_m1()).collect();
                let zero = vec![0.0; etas.len()];
                let fit = series.extrapolate(&y, &zero, y[0].abs()).unwrap();
                let width = fit.half_width(4.0);
                assert!(
                    fit.limit.abs() <= width && width < 1e-3,
                    "{length}, {p}: {} ± {width}",
                    fit.limit
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let series = PowerSeries::new(&[1.0], &ETAS[..1]);
        assert_eq!(series.extrapolate(&[1.0], &[0.1], 1.0), None);
        let series = PowerSeries::new(&[1.0], &ETAS);
        assert_eq!(series.extrapolate(&[f64::NAN; 7], &[0.1; 7], 1.0), None);
        let zero = series.extrapolate(&[0.0; 7], &[0.0; 7], 0.0).unwrap();
        assert_eq!((zero.limit, zero.half_width(4.0)), (0.0, 0.0));
    }
}
