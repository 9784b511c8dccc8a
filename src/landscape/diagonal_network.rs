//! Diagonal linear network: f = ⟨a, u⊙u − w⊙w⟩, linear regression in parameters that are squared.

use super::dense::{BLOCK, accumulate, products, rows_of};
use super::{LandscapeError, Model, SquaredLoss};
use crate::real::Real;
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The model f(a, x) = Σⱼ aⱼ (uⱼ² − wⱼ²) with x = (u, w), d = 2p.
///
/// ∇f = 2(a⊙u, −a⊙w), ∇²f = 2 diag(a, −a), no third derivatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquaredParameters {
    features: usize,
}

impl SquaredParameters {
    /// For p = `features` features.
    pub fn new(features: usize) -> SquaredParameters {
        SquaredParameters { features }
    }
}

/// L(x) = (1/2n) Σᵢ (⟨aᵢ, u⊙u − w⊙w⟩ − yᵢ)², x = (u₁, …, u_p, w₁, …, w_p), d = 2p, with fewer samples than features.
///
/// The network computes the linear predictor θ = u⊙u − w⊙w; Γ = {Aθ = y}. ∇²L on Γ is (4/n)·BᵀB with
/// B = (A diag u, −A diag w): of rank n wherever A restricted to the features with (uⱼ, wⱼ) ≠ 0 has rank n. *At* a
/// sparse interpolator with uⱼ = wⱼ = 0 off its support the rank drops: there Γ is not a manifold, and the slow flow
/// approaches such a point only in the limit. With standardised features ((1/n)Σᵢaᵢⱼ² = 1) tr ∇²L = 4(‖u‖² + ‖w‖²) on Γ:
/// label noise, which decreases the trace, minimizes ‖θ‖₁ (theory: Sec. 6, closed form 7).
///
/// The gradient flow conserves every uⱼwⱼ. No closed form of Φ.
pub type DiagonalNetwork = SquaredLoss<SquaredParameters>;

/// The law of the entries of a random design matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesignLaw {
    /// Standard normal; every column is then scaled to (1/n)Σᵢaᵢⱼ² = 1.
    Gaussian,
    /// ±1 with equal probability.
    Rademacher,
}

impl DiagonalNetwork {
    /// `design`: A, n × p with n < p; `targets`: y, length n.
    ///
    /// # Errors
    /// n ≥ p, no sample, lengths that differ, a number that is not finite.
    pub fn new(
        design: &DMatrix<f64>,
        targets: Vec<f64>,
    ) -> Result<DiagonalNetwork, LandscapeError> {
        let (samples, features) = design.shape();
        if samples >= features && !design.is_empty() {
            return Err(LandscapeError::NotOverparametrised {
                what: "features",
                samples,
                freedom: features,
            });
        }
        SquaredLoss::of_model(SquaredParameters { features }, design, targets)
    }

    /// A random problem with a sparse truth, and that truth θ* (length `features`): `support` entries ±1 at random
    /// places, 0 elsewhere, y = Aθ*. A function of the arguments alone.
    ///
    /// # Errors
    /// `samples` not between 1 and `features` − 1; `support` not between 1 and `samples`.
    pub fn sparse(
        features: usize,
        samples: usize,
        support: usize,
        law: DesignLaw,
        seed: u64,
    ) -> Result<(DiagonalNetwork, Vec<f64>), LandscapeError> {
        if samples >= features {
            return Err(LandscapeError::NotOverparametrised {
                what: "features",
                samples,
                freedom: features,
            });
        }
        if samples == 0 {
            return Err(LandscapeError::Empty {
                what: "the sample of the diagonal network",
            });
        }
        if support == 0 || support > samples {
            return Err(LandscapeError::OutOfRange {
                what: "the support of the sparse truth",
                value: support as f64,
                allowed: "1 to the number of samples",
            });
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let sign = |random: &mut Xoshiro256PlusPlus| {
            if random.next_u64() >> 63 == 0 {
                1.0
            } else {
                -1.0
            }
        };
        let mut design = DMatrix::from_fn(samples, features, |_, _| match law {
            DesignLaw::Gaussian => StandardNormal.sample(&mut random),
            DesignLaw::Rademacher => sign(&mut random),
        });
        if law == DesignLaw::Gaussian {
            for mut column in design.column_iter_mut() {
                // Never zero: a column of normals vanishes with probability zero.
                let scale = (samples as f64).sqrt() / column.norm();
                column *= scale;
            }
        }
        // The first places of a random permutation (Fisher–Yates).
        let mut places: Vec<usize> = (0..features).collect();
        let mut truth = vec![0.0; features];
        for i in 0..support {
            // The bias of the remainder is below features/2⁶⁴.
            let j = i + (random.next_u64() % (features - i) as u64) as usize;
            places.swap(i, j);
            truth[places[i]] = sign(&mut random);
        }
        let targets = &design * nalgebra::DVector::from_column_slice(&truth);
        let network = DiagonalNetwork::new(&design, targets.as_slice().to_vec())?;
        Ok((network.with_truth(truth.clone()), truth))
    }

    /// The linear predictor θ = u⊙u − w⊙w at x = (u, w), length p.
    pub fn predictor(&self, x: &[f64]) -> Vec<f64> {
        let (u, w) = x.split_at(self.model().features.min(x.len()));
        u.iter().zip(w).map(|(u, w)| (u + w) * (u - w)).collect()
    }
}

impl Model for SquaredParameters {
    fn dimension(&self) -> usize {
        2 * self.features
    }

    fn inputs(&self) -> usize {
        self.features
    }

    #[inline(always)]
    fn output<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> R {
        let (u, w) = x.split_at(self.features);
        let mut sum = R::constant(0.0);
        for (j, (&u, &w)) in u.iter().zip(w).enumerate() {
            sum = z(j).mul_add((u + w) * (u - w), sum);
        }
        sum
    }

    #[inline(always)]
    fn add_gradient<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        x: &[R],
        weight: impl FnOnce(R) -> R,
        out: &mut [R],
    ) {
        let weight = R::constant(2.0) * weight(self.output(&z, x));
        let ((u, w), (out_u, out_w)) = (x.split_at(self.features), out.split_at_mut(self.features));
        for (j, (&u, out)) in u.iter().zip(out_u).enumerate() {
            *out = (weight * z(j)).mul_add(u, *out);
        }
        for (j, (&w, out)) in w.iter().zip(out_w).enumerate() {
            *out = (-(weight * z(j))).mul_add(w, *out);
        }
    }

    fn add_hessian<R: Real>(&self, z: impl Fn(usize) -> R, _x: &[R], weight: R, h: &mut [R]) {
        let (p, d) = (self.features, 2 * self.features);
        for j in 0..p {
            let entry = R::constant(2.0) * weight * z(j);
            let (u, w) = (j * (d + 1), (p + j) * (d + 1));
            h[u] = h[u] + entry;
            h[w] = h[w] - entry;
        }
    }

    fn add_curvature<R: Real>(&self, z: impl Fn(usize) -> R, _x: &[R], v: &[R], out: &mut [R]) {
        let p = self.features;
        for j in 0..p {
            let twice = R::constant(2.0) * z(j);
            out[j] = twice.mul_add(v[j], out[j]);
            out[p + j] = (-twice).mul_add(v[p + j], out[p + j]);
        }
    }

    fn add_third<R: Real>(
        &self,
        z: impl Fn(usize) -> R,
        _x: &[R],
        _residual: R,
        m: &[R],
        v: &[R],
        out: &mut [R],
    ) -> R {
        let (p, d) = (self.features, 2 * self.features);
        let mut form = R::constant(0.0);
        for j in 0..p {
            let a = z(j);
            let four = R::constant(4.0) * a;
            out[j] = out[j] + four * v[j];
            out[p + j] = out[p + j] - four * v[p + j];
            form = a.mul_add(m[j * (d + 1)] - m[(p + j) * (d + 1)], form);
        }
        R::constant(2.0) * form
    }

    /// ‖∇f‖² = 4 Σⱼ aⱼ²(uⱼ² + wⱼ²); tr ∇²f = 0.
    #[inline(always)]
    fn sizes<R: Real>(&self, z: impl Fn(usize) -> R, x: &[R]) -> [R; 3] {
        let (u, w) = x.split_at(self.features);
        let zero = R::constant(0.0);
        let (mut f, mut square) = (zero, zero);
        for (j, (&u, &w)) in u.iter().zip(w).enumerate() {
            let (a, u, w) = (z(j), u * u, w * w);
            f = a.mul_add(u - w, f);
            square = (a * a).mul_add(u + w, square);
        }
        [f, R::constant(4.0) * square, zero]
    }

    /// θ = u⊙u − w⊙w.
    #[inline(always)]
    fn squared_distance<R: Real>(&self, truth: &[f64], x: &[R]) -> Option<R> {
        let (u, w) = x.split_at(self.features);
        let terms = u.iter().zip(w).zip(truth);
        Some(terms.fold(R::constant(0.0), |sum, ((&u, &w), &t)| {
            let error = (u + w).mul_add(u - w, R::constant(-t));
            error.mul_add(error, sum)
        }))
    }

    /// The predictor θ once for all samples, then two products with the design matrix. `out` holds θ and Σᵢ wᵢaᵢ on the
    /// way.
    #[inline(always)]
    fn sum_gradients<R: Real>(
        &self,
        rows: &[f64],
        x: &[R],
        weight: impl Fn(usize, R) -> R,
        out: &mut [R],
    ) {
        let p = self.features;
        let (u, w) = x.split_at(p);
        let (theta, sum) = out.split_at_mut(p);
        for ((theta, &u), &w) in theta.iter_mut().zip(u).zip(w) {
            *theta = (u + w) * (u - w);
        }
        sum.fill(R::constant(0.0));
        let mut i = 0;
        let blocks = rows.chunks_exact(BLOCK * p);
        let rest = blocks.remainder();
        for block in blocks {
            let rows: [&[f64]; BLOCK] = rows_of(block, p);
            let outputs = products(rows, theta);
            let weights: [R; BLOCK] = std::array::from_fn(|b| weight(i + b, outputs[b]));
            accumulate(weights, rows, sum);
            i += BLOCK;
        }
        for row in rest.chunks_exact(p) {
            let [output] = products([row], theta);
            accumulate([weight(i, output)], [row], sum);
            i += 1;
        }
        for j in 0..p {
            let twice = R::constant(2.0) * sum[j];
            theta[j] = twice * u[j];
            sum[j] = -(twice * w[j]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The truth interpolates, the columns are standardised, and the same seed gives the same problem.
    #[test]
    fn sparse_problems_are_as_promised() -> Result<(), LandscapeError> {
        for law in [DesignLaw::Gaussian, DesignLaw::Rademacher] {
            let (network, truth) = DiagonalNetwork::sparse(60, 25, 4, law, 3)?;
            assert_eq!(truth.iter().filter(|t| **t != 0.0).count(), 4);
            assert_eq!(truth.iter().map(|t| t.abs()).sum::<f64>(), 4.0);
            for column in network.inputs().column_iter() {
                assert!((column.norm_squared() / 25.0 - 1.0).abs() < 1e-13);
            }
            let part = |sign: f64| truth.iter().map(move |t| f64::from(t * sign > 0.0));
            let x: Vec<f64> = part(1.0).chain(part(-1.0)).collect();
            assert_eq!(network.predictor(&x), truth);
            for (f, y) in network.outputs(&x).iter().zip(network.targets()) {
                assert!((f - y).abs() < 1e-13);
            }
            assert_eq!(DiagonalNetwork::sparse(60, 25, 4, law, 3)?.0, network);
            assert_ne!(DiagonalNetwork::sparse(60, 25, 4, law, 4)?.0, network);
        }
        Ok(())
    }

    #[test]
    fn impossible_problems_are_refused() {
        let sparse = |p, n, support| {
            DiagonalNetwork::sparse(p, n, support, DesignLaw::Gaussian, 0)
                .map(|_| ())
                .expect_err("must be refused")
        };
        assert_eq!(
            sparse(5, 5, 1).to_string(),
            "5 samples for 5 features: needs fewer samples, so that the minimizers form a manifold"
        );
        assert!(matches!(sparse(5, 0, 1), LandscapeError::Empty { .. }));
        for support in [0, 4] {
            let refused = sparse(5, 3, support);
            assert!(matches!(refused, LandscapeError::OutOfRange { .. }));
        }
        let square = DiagonalNetwork::new(&DMatrix::from_element(3, 3, 1.0), vec![0.0; 3]);
        assert!(matches!(
            square,
            Err(LandscapeError::NotOverparametrised { .. })
        ));
    }
}
