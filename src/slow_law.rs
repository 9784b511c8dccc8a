//! Laws of the slow SDE (4) in closed form, where the landscape and the noise have one (theory: Sec. 6, closed forms 4–6).
//!
//! λ enters (4) only as a change of time: with the clock τ = ∫₀ᵗ λ² the law is that of dX = ∂Φ Σ^{1/2} dW + ½∂²Φ\[Σ\] dτ.

use crate::ensemble::TestFunction;
use nalgebra::DVector;

/// The gradient noise, as far as closed forms of (4) can tell it apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SlowNoise {
    /// Σ = s²I, with the number s².
    Isotropic(f64),
    /// Σ = c∇²L on Γ, with the number c: label noise where the residuals vanish.
    Hessian(f64),
    /// Any other.
    Other,
}

impl SlowNoise {
    /// The same noise with its covariance times `factor` ≥ 0.
    pub fn scaled(self, factor: f64) -> SlowNoise {
        match self {
            SlowNoise::Isotropic(s) => SlowNoise::Isotropic(factor * s),
            SlowNoise::Hessian(c) => SlowNoise::Hessian(factor * c),
            SlowNoise::Other => SlowNoise::Other,
        }
    }
}

/// The law of X_τ with X_0 = Φ(x_0), at noise scale σ = 1: see
/// [`Landscape::slow_law`](crate::landscape::Landscape::slow_law).
#[derive(Clone, Debug, PartialEq)]
pub enum SlowLaw {
    /// Valley ½e^{κu²}v² under Σ = s²I: X = (U, 0), dU = s dW − ½s²κU dτ. Gaussian with mean u e^{−s²κτ/2} and variance
    /// (1 − e^{−s²κτ})/κ (s²τ for κ = 0).
    OrnsteinUhlenbeck {
        /// U_0.
        start: f64,
        /// κ.
        kappa: f64,
        /// s².
        variance: f64,
    },
    /// Valley ½(1 + u²)v² under Σ = c∇²L: the curve (u e^{−cτ/2}, 0).
    ValleyCurve {
        /// u at τ = 0.
        start: f64,
        /// c.
        rate: f64,
    },
    /// ½(xy − 1)² under Σ = c∇²L: the curve ±(eˢ, e⁻ˢ) with sinh 2s = e^{−cτ} sinh 2s_0.
    HyperbolaCurve {
        /// sinh 2s_0.
        sinh: f64,
        /// +1 or −1: the branch.
        sign: f64,
        /// c.
        rate: f64,
    },
    /// All points of Γ are equally flat and the diffusion vanishes: X_τ = X_0.
    Rest {
        /// X_0.
        point: DVector<f64>,
        /// tr ∇²L(X_0).
        trace: f64,
    },
    /// Unit sphere in ℝᵈ under Σ = s²I: Brownian motion of variance s². A spherical harmonic of degree l decays like
    /// exp(−½ l(l + d − 2) s²τ).
    SphereBrownian {
        /// X_0, of norm one.
        start: DVector<f64>,
        /// s².
        variance: f64,
    },
}

/// Terms of the Taylor series of the cosine: the first one left out is below 1/24! = 2e-24.
const COSINE_TERMS: u32 = 12;

impl SlowLaw {
    /// E h(X) at `clock` = ∫₀ᵗ λ² ≥ 0; `None` where no closed form is known or the expectation is infinite.
    pub fn expectation(&self, h: TestFunction, clock: f64) -> Option<f64> {
        match self {
            SlowLaw::OrnsteinUhlenbeck { kappa, .. } => {
                let (mean, deviation) = self.normal(clock)?;
                valley_expectation(mean, deviation * deviation, *kappa, h)
            }
            SlowLaw::SphereBrownian { start, variance } => {
                sphere_expectation(start, variance * clock, h)
            }
            SlowLaw::ValleyCurve { .. } | SlowLaw::HyperbolaCurve { .. } | SlowLaw::Rest { .. } => {
                self.value(h, clock)
            }
        }
    }

    /// Mean and standard deviation of h(X) at `clock` = ∫₀ᵗ λ², where h(X) is Gaussian (a constant counts, with deviation 0).
    pub fn gaussian(&self, h: TestFunction, clock: f64) -> Option<(f64, f64)> {
        match (self, h) {
            (SlowLaw::OrnsteinUhlenbeck { .. }, TestFunction::Coordinate(0)) => self.normal(clock),
            // The other coordinate and the loss are constant on Γ.
            (
                SlowLaw::OrnsteinUhlenbeck { .. },
                TestFunction::Coordinate(1)
                | TestFunction::Square(1)
                | TestFunction::Fourth(1)
                | TestFunction::Cosine(1)
                | TestFunction::Product(0, 1)
                | TestFunction::Product(1, 0)
                | TestFunction::Product(1, 1)
                | TestFunction::Loss,
            )
            | (
                SlowLaw::SphereBrownian { .. },
                TestFunction::SquaredNorm | TestFunction::Loss | TestFunction::TraceHessian,
            ) => Some((self.expectation(h, clock)?, 0.0)),
            (SlowLaw::OrnsteinUhlenbeck { .. } | SlowLaw::SphereBrownian { .. }, _) => None,
            _ => Some((self.value(h, clock)?, 0.0)),
        }
    }

    /// The point X_τ, where it is not random.
    pub fn point(&self, clock: f64) -> Option<DVector<f64>> {
        match self {
            SlowLaw::ValleyCurve { start, rate } => {
                let u = start * (-0.5 * rate * clock).exp();
                Some(DVector::from_column_slice(&[u, 0.0]))
            }
            SlowLaw::HyperbolaCurve { sinh, sign, rate } => {
                let s = 0.5 * (sinh * (-rate * clock).exp()).asinh();
                Some(DVector::from_column_slice(&[
                    sign * s.exp(),
                    sign * (-s).exp(),
                ]))
            }
            SlowLaw::Rest { point, .. } => Some(point.clone()),
            SlowLaw::OrnsteinUhlenbeck { .. } | SlowLaw::SphereBrownian { .. } => None,
        }
    }

    /// Mean and standard deviation of U.
    fn normal(&self, clock: f64) -> Option<(f64, f64)> {
        let SlowLaw::OrnsteinUhlenbeck {
            start,
            kappa,
            variance,
        } = self
        else {
            return None;
        };
        let decay = kappa * variance * clock;
        // (1 − e^{−κs²τ})/κ, continuous at κ = 0.
        let spread = if decay == 0.0 {
            variance * clock
        } else {
            -(-decay).exp_m1() / kappa
        };
        Some((start * (-0.5 * decay).exp(), spread.max(0.0).sqrt()))
    }

    /// h on a curve.
    fn value(&self, h: TestFunction, clock: f64) -> Option<f64> {
        let x = self.point(clock)?;
        let at = |i: usize| x.get(i).copied();
        Some(match h {
            TestFunction::Coordinate(i) => at(i)?,
            TestFunction::Square(i) => at(i)?.powi(2),
            TestFunction::Product(i, j) => at(i)? * at(j)?,
            TestFunction::Fourth(i) => at(i)?.powi(4),
            TestFunction::Cosine(i) => at(i)?.cos(),
            TestFunction::SquaredNorm => x.norm_squared(),
            TestFunction::Loss => 0.0,
            TestFunction::TraceHessian => match self {
                SlowLaw::ValleyCurve { .. } => 1.0 + x[0] * x[0],
                SlowLaw::HyperbolaCurve { .. } => x.norm_squared(),
                SlowLaw::Rest { trace, .. } => *trace,
                SlowLaw::OrnsteinUhlenbeck { .. } | SlowLaw::SphereBrownian { .. } => return None,
            },
            TestFunction::SquaredGradient
            | TestFunction::TraceCovariance
            | TestFunction::Recovery
            | TestFunction::Way(_)
            | TestFunction::Departure(_)
            | TestFunction::Momentum(_)
            | TestFunction::Expression(_) => return None,
        })
    }
}

/// E h(U, 0) for U Gaussian.
fn valley_expectation(mean: f64, variance: f64, kappa: f64, h: TestFunction) -> Option<f64> {
    let square = mean * mean + variance;
    Some(match h {
        TestFunction::Coordinate(0) => mean,
        TestFunction::Square(0) | TestFunction::Product(0, 0) | TestFunction::SquaredNorm => square,
        TestFunction::Fourth(0) => {
            mean.powi(4) + 6.0 * mean * mean * variance + 3.0 * variance * variance
        }
        TestFunction::Cosine(0) => (-0.5 * variance).exp() * mean.cos(),
        TestFunction::Cosine(1) => 1.0,
        // E e^{κU²}, infinite for wide laws.
        TestFunction::TraceHessian => {
            let left = 1.0 - 2.0 * kappa * variance;
            if left <= 0.0 {
                return None;
            }
            (kappa * mean * mean / left).exp() / left.sqrt()
        }
        TestFunction::Coordinate(1)
        | TestFunction::Square(1)
        | TestFunction::Fourth(1)
        | TestFunction::Product(0 | 1, 0 | 1)
        | TestFunction::Loss => 0.0,
        _ => return None,
    })
}

/// E h(X) for Brownian motion on the unit sphere at s²τ = `time`.
fn sphere_expectation(start: &DVector<f64>, time: f64, h: TestFunction) -> Option<f64> {
    let d = start.len();
    let at = |i: usize| start.get(i).copied();
    Some(match h {
        TestFunction::Coordinate(i) => sphere_moment(d, at(i)?, time, 1),
        TestFunction::Square(i) => sphere_moment(d, at(i)?, time, 2),
        TestFunction::Product(i, j) if i == j => sphere_moment(d, at(i)?, time, 2),
        // A harmonic of degree two.
        TestFunction::Product(i, j) => at(i)? * at(j)? * (-(d as f64) * time).exp(),
        TestFunction::Fourth(i) => sphere_moment(d, at(i)?, time, 4),
        TestFunction::Cosine(i) => {
            let start = at(i)?;
            let (mut sum, mut factor) = (0.0, 1.0);
            for k in 0..COSINE_TERMS {
                sum += factor * sphere_moment(d, start, time, 2 * k);
                factor /= -f64::from((2 * k + 1) * (2 * k + 2));
            }
            sum
        }
        TestFunction::SquaredNorm => 1.0,
        TestFunction::Loss => 0.0,
        TestFunction::TraceHessian => 2.0,
        TestFunction::SquaredGradient
        | TestFunction::TraceCovariance
        | TestFunction::Recovery
        | TestFunction::Way(_)
        | TestFunction::Departure(_)
        | TestFunction::Momentum(_)
        | TestFunction::Expression(_) => return None,
    })
}

/// E tⁿ for a coordinate t of Brownian motion on the unit sphere of ℝᵈ, n = `degree`.
///
/// The generator maps tⁿ to ½n(n−1)tⁿ⁻² − ½n(n+d−2)tⁿ: the moments of one parity obey a triangular linear system, so that
/// E tⁿ = Σ_l b_{n,l} e^{−λ_l τ} over l = n, n−2, … with (λ_n − λ_l) b_{n,l} = ½n(n−1) b_{n−2,l} for l < n.
fn sphere_moment(d: usize, start: f64, time: f64, degree: u32) -> f64 {
    let rate = |l: u32| 0.5 * f64::from(l) * (f64::from(l) + d as f64 - 2.0);
    let parity = degree % 2;
    let mut weights = [0.0; COSINE_TERMS as usize];
    let count = ((degree - parity) / 2 + 1) as usize;
    for (i, n) in (parity..=degree).step_by(2).enumerate() {
        let source = 0.5 * f64::from(n) * (f64::from(n) - 1.0);
        let mut known = 0.0;
        for (weight, l) in weights[..i].iter_mut().zip((parity..n).step_by(2)) {
            *weight *= source / (rate(n) - rate(l));
            known += *weight;
        }
        weights[i] = start.powi(n as i32) - known;
    }
    let degrees = (parity..=degree).step_by(2);
    weights[..count]
        .iter()
        .zip(degrees)
        .map(|(b, l)| b * (-rate(l) * time).exp())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::{Hyperbola, Landscape, Sphere, Steepness, Valley};
    use crate::oracle::{EntryLaw, Factor, FactorNoise, Oracle};
    use nalgebra::DMatrix;
    use std::sync::Arc;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn panel(d: usize) -> Vec<TestFunction> {
        let mut panel = vec![
            TestFunction::SquaredNorm,
            TestFunction::Loss,
            TestFunction::TraceHessian,
        ];
        for i in 0..d {
            panel.extend([
                TestFunction::Coordinate(i),
                TestFunction::Square(i),
                TestFunction::Fourth(i),
                TestFunction::Cosine(i),
            ]);
            panel.extend((0..d).map(|j| TestFunction::Product(i, j)));
        }
        panel
    }

    /// h(x) itself, at a point of Γ.
    fn value(landscape: &Arc<dyn Landscape>, h: TestFunction, x: &DVector<f64>) -> f64 {
        let oracle = Oracle {
            landscape: landscape.clone(),
            noise: Arc::new(FactorNoise::new(
                Factor::Isotropic(1.0),
                EntryLaw::Gaussian,
                x.len(),
            )),
        };
        let x = crate::landscape::broadcast(x.as_slice());
        let mut out = [crate::real::Lanes::ZERO];
        h.evaluate(&oracle, &x, &mut out, &mut []);
        out[0].to_array()[0]
    }

    /// Kolmogorov's backward equation. X solves (4) = dΦ(noise), so u(τ, x) = E h(X_τ) with X_0 = Φ(x) obeys
    /// ∂_τ u = ½ Σ_r D²u[b_r, b_r] on Γ, with the columns b_r of a factor of Σ and second differences *across* Γ: the whole of
    /// ½∂²Φ[Σ] enters through Φ alone. Together with u(0, x) = h(Φ(x)) this determines the law.
    fn check(
        name: &str,
        landscape: impl Landscape + 'static,
        noise: SlowNoise,
        x0: &[f64],
    ) -> Outcome {
        let landscape: Arc<dyn Landscape> = Arc::new(landscape);
        let x0 = DVector::from_column_slice(x0);
        let d = x0.len();
        let point = landscape.exact_projection(&x0).ok_or("no Φ")?;
        let factor = match noise {
            SlowNoise::Isotropic(s2) => DMatrix::identity(d, d) * s2.sqrt(),
            SlowNoise::Hessian(c) => {
                let eigen = landscape.jet(&point).hessian.symmetric_eigen();
                let roots = eigen.eigenvalues.map(|l| (c * l.max(0.0)).sqrt());
                eigen.eigenvectors * DMatrix::from_diagonal(&roots)
            }
            SlowNoise::Other => return Err("no factor".into()),
        };
        let law = |x: &DVector<f64>| landscape.slow_law(&noise, x).ok_or("no law");
        // Fourth-order differences: truncation ε⁴ = 1e-8 of sixth derivatives of size some tens, rounding 1e-15/ε² = 1e-11.
        let epsilon = 1e-2;
        let mut known = 0;
        for h in panel(d) {
            let what = format!("{name}, {noise:?}, {h}");
            let Some(start) = law(&x0)?.expectation(h, 0.0) else {
                continue;
            };
            known += 1;
            assert!(
                (start - value(&landscape, h, &point)).abs() < 1e-13 * (1.0 + start.abs()),
                "{what}: {start} at time 0"
            );
            for tau in [0.1, 0.7] {
                let u = |k: f64, b: &DVector<f64>, tau: f64| -> Result<f64, &'static str> {
                    law(&(&point + b * (k * epsilon)))?
                        .expectation(h, tau)
                        .ok_or("lost")
                };
                let zero = DVector::zeros(d);
                let center = u(0.0, &zero, tau)?;
                let mut generator = 0.0;
                for b in factor.column_iter() {
                    let b = b.into_owned();
                    let (a, b1, c, e) = (
                        u(-2.0, &b, tau)?,
                        u(-1.0, &b, tau)?,
                        u(1.0, &b, tau)?,
                        u(2.0, &b, tau)?,
                    );
                    let second = (16.0 * (b1 + c) - (a + e) - 30.0 * center) / 12.0;
                    generator += 0.5 * second / (epsilon * epsilon);
                }
                let t = |k: f64| u(0.0, &zero, tau + k * epsilon);
                let slope = (8.0 * (t(1.0)? - t(-1.0)?) - (t(2.0)? - t(-2.0)?)) / (12.0 * epsilon);
                let size = 1.0 + center.abs() + slope.abs();
                assert!(
                    (slope - generator).abs() < 2e-5 * size,
                    "{what} at {tau}: {slope} against {generator}"
                );
            }
            // A Gaussian h(X) has the expectation as its mean, and its variance where the square is known.
            if let Some((mean, deviation)) = law(&x0)?.gaussian(h, 0.4) {
                let law = law(&x0)?;
                assert_eq!(Some(mean), law.expectation(h, 0.4), "{what}");
                if let TestFunction::Coordinate(i) = h {
                    let square = law
                        .expectation(TestFunction::Square(i), 0.4)
                        .ok_or("lost")?;
                    assert!((square - mean * mean - deviation * deviation).abs() < 1e-13);
                }
            }
        }
        assert!(known >= 3, "{name}: only {known} functions");
        Ok(())
    }

    #[test]
    fn laws_obey_the_backward_equation() -> Outcome {
        use SlowNoise::{Hessian, Isotropic};
        for kappa in [0.5, 0.0, -0.3] {
            let valley = Valley::new(Steepness::Exponential { kappa })?;
            check("valley", valley, Isotropic(0.8), &[0.9, 0.3])?;
        }
        let valley = Valley::new(Steepness::Quadratic)?;
        check("valley, 1 + u²", valley, Hessian(0.7), &[0.9, 0.4])?;
        check("hyperbola", Hyperbola, Hessian(0.6), &[1.8, 0.7])?;
        check("hyperbola, left", Hyperbola, Hessian(0.6), &[-0.5, -1.7])?;
        for d in [2, 3, 5] {
            let x: Vec<f64> = (0..d).map(|i| 0.7 - 0.4 * i as f64).collect();
            check("sphere", Sphere::new(d)?, Isotropic(0.5), &x)?;
            check("sphere", Sphere::new(d)?, Hessian(0.5), &x)?;
        }
        Ok(())
    }

    /// Theory, Sec. 6, closed form 4: s = 1, κ = ½, T = 1, u_0 = 1; closed forms 5 and 6 as they are written there.
    #[test]
    fn numbers_of_the_theory() -> Outcome {
        let valley = Valley::new(Steepness::Exponential { kappa: 0.5 })?;
        let start = DVector::from_column_slice(&[1.0, 0.0]);
        let law = valley.slow_law(&SlowNoise::Isotropic(1.0), &start);
        let (mean, deviation) = law
            .and_then(|l| l.gaussian(TestFunction::Coordinate(0), 1.0))
            .ok_or("no law")?;
        assert!((mean - 0.7788).abs() < 5e-5 && (deviation.powi(2) - 0.7869).abs() < 5e-5);

        let start = DVector::from_column_slice(&[0.8f64.exp(), (-0.8f64).exp()]);
        let law = Hyperbola
            .slow_law(&SlowNoise::Hessian(0.3), &start)
            .ok_or("no law")?;
        let point = law.point(2.0).ok_or("no point")?;
        let s = point[0].ln();
        assert!(((2.0 * s).sinh() - (-0.6f64).exp() * 1.6f64.sinh()).abs() < 1e-13);

        // E⟨X_t, X_0⟩, and the fourth power in the limit: 3/(d(d+2)).
        let start = DVector::from_column_slice(&[0.6, 0.0, -0.8, 0.0]);
        let law = Sphere::new(4)?
            .slow_law(&SlowNoise::Isotropic(0.5), &start)
            .ok_or("no law")?;
        let expectation = |h, t| law.expectation(h, t).ok_or("no expectation");
        let product: f64 = [0, 2]
            .iter()
            .map(|&i| Ok(start[i] * expectation(TestFunction::Coordinate(i), 1.5)?))
            .sum::<Result<f64, &str>>()?;
        assert!((product - (-3.0f64 * 0.5 * 1.5 / 2.0).exp()).abs() < 1e-14);
        let fourth = expectation(TestFunction::Fourth(1), 100.0)?;
        assert!((fourth - 3.0 / 24.0).abs() < 1e-14);
        Ok(())
    }

    /// The angle on the circle is N(θ_0, s²t), wrapped: E cos(cos θ) by quadrature over the normal law.
    #[test]
    fn cosine_on_the_circle() -> Outcome {
        let (angle, time) = (0.4f64, 0.7f64);
        let start = DVector::from_column_slice(&[angle.cos(), angle.sin()]);
        let law = Sphere::new(2)?
            .slow_law(&SlowNoise::Isotropic(time), &start)
            .ok_or("no law")?;
        let found = law
            .expectation(TestFunction::Cosine(0), 1.0)
            .ok_or("no expectation")?;
        // The trapezoidal rule converges beyond all powers: step 0.1 deviations over ±9.
        let (mut sum, mut total) = (0.0, 0.0);
        for k in -90..=90 {
            let z = 0.1 * f64::from(k);
            let weight = (-0.5 * z * z).exp();
            sum += weight * (angle + time.sqrt() * z).cos().cos();
            total += weight;
        }
        assert!((found - sum / total).abs() < 1e-14, "{found}");
        Ok(())
    }

    #[test]
    fn unknown_laws_are_not_invented() -> Outcome {
        let x = DVector::from_column_slice(&[0.9, 0.3]);
        let quadratic = Valley::new(Steepness::Quadratic)?;
        let exponential = Valley::new(Steepness::Exponential { kappa: 0.5 })?;
        let isotropic = SlowNoise::Isotropic(1.0);
        assert_eq!(quadratic.slow_law(&isotropic, &x), None);
        assert_eq!(exponential.slow_law(&SlowNoise::Hessian(1.0), &x), None);
        assert_eq!(Hyperbola.slow_law(&isotropic, &x), None);
        assert_eq!(Sphere::new(2)?.slow_law(&SlowNoise::Other, &x), None);
        let law = exponential.slow_law(&isotropic, &x).ok_or("no law")?;
        assert_eq!(law.expectation(TestFunction::Coordinate(2), 1.0), None);
        assert_eq!(law.gaussian(TestFunction::Square(0), 1.0), None);
        Ok(())
    }
}
