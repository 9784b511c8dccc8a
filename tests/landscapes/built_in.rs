//! Every landscape keeps the contract, and the contract refuses wrong landscapes.

use crate::contract::{check_contract, check_outputs, check_steps, points};
use nalgebra::{DMatrix, DVector};
use slowsde::landscape::{
    Activation, Coefficients, DataOptions, DataSet, DerivativeError, DoubleWell, Expression,
    FiniteSum, Formula, Hyperbola, Jet, Landscape, Quadratic, QuadraticForm, Regression,
    RegressionLoss, TwoLayerNetwork, check_derivatives,
};
use slowsde::real::{Lanes, Real};
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

/// Points per landscape: more than the lanes of one group, so that the groups differ.
const POINTS: usize = 11;

/// A full symmetric matrix with entries in (−1, 1).
fn random_matrix(d: usize) -> DMatrix<f64> {
    let a = DMatrix::from_vec(d, d, points(10 + d as u64, 1, d * d, 1.0).remove(0));
    0.5 * (&a + a.transpose())
}

/// A regression on n random samples of d features; targets 0 and 1 in turn.
fn random_regression(
    n: usize,
    d: usize,
    loss: RegressionLoss,
    ridge: f64,
) -> Result<Regression, Box<dyn Error>> {
    let seed = (1000 * n + d) as u64;
    let design = DMatrix::from_vec(n, d, points(seed, 1, n * d, 2.0).remove(0));
    let targets = (0..n).map(|i| (i % 2) as f64).collect();
    Ok(Regression::new(design, targets, loss, ridge)?)
}

/// The file with all columns standardised, and an intercept.
fn shipped(name: &str, target: &str, standardize_target: bool) -> Result<DataSet, Box<dyn Error>> {
    let path = format!("{}/scenarios/data/{name}", env!("CARGO_MANIFEST_DIR"));
    Ok(DataSet::read(
        path,
        DataOptions {
            target: target.into(),
            standardize: true,
            standardize_target,
            intercept: true,
            ..DataOptions::default()
        },
    )?)
}

/// The contract, and the outputs aᵢᵀθ.
fn check_regression(name: &str, regression: &Regression, count: usize) -> Outcome {
    let points = points(5, count, Formula::dimension(regression), 1.0);
    check_contract(name, regression, &points)?;
    let design = regression.design();
    let output = |x: &[f64], i: usize| design.row(i).iter().zip(x).map(|(a, x)| a * x).sum();
    Ok(check_outputs(name, regression, &points, &output)?)
}

#[test]
fn hyperbola() -> Outcome {
    Ok(check_contract(
        "hyperbola",
        &Hyperbola,
        &points(1, POINTS, 2, 2.0),
    )?)
}

/// Dimensions 1–4 run in registers, 5 and above over slices; 4 and 9 fill blocks with and without a remainder.
#[test]
fn quadratics() -> Outcome {
    for d in [1, 2, 3, 4, 5, 7, 8, 9] {
        let points = points(2, POINTS, d, 2.0);
        let center = points[0].iter().map(|x| 1.0 - x).collect();
        let spectrum: Vec<f64> = (0..d).map(|i| 2.0 - i as f64).collect();
        let name = format!("quadratic, d = {d}");
        let full = Quadratic::from_matrix(random_matrix(d))?.with_center(center)?;
        check_contract(&name, &full, &points)?;
        let name = format!("diagonal quadratic, d = {d}");
        let diagonal = Quadratic::from_spectrum(&spectrum)?;
        check_contract(&name, &diagonal, &points)?;
        let moved = diagonal.with_center(vec![0.5; d])?;
        check_contract(&name, &moved, &points)?;
    }
    Ok(())
}

#[test]
fn double_wells() -> Outcome {
    for d in 1..=6 {
        let name = format!("double well, d = {d}");
        check_contract(&name, &DoubleWell::new(d, 1.7)?, &points(3, POINTS, d, 2.0))?;
    }
    Ok(())
}

/// More samples than parameters, fewer (no normal equations from d > 2n on), one; blocks with and without remainder.
#[test]
fn regressions() -> Outcome {
    for loss in [RegressionLoss::LeastSquares, RegressionLoss::Logistic] {
        for (n, d) in [
            (1, 1),
            (20, 1),
            (9, 2),
            (8, 3),
            (13, 4),
            (17, 6),
            (6, 9),
            (3, 10),
            (1, 5),
        ] {
            for ridge in [0.0, 0.3] {
                let name = format!("{loss:?}, n = {n}, d = {d}, ridge {ridge}");
                check_regression(&name, &random_regression(n, d, loss, ridge)?, POINTS)?;
            }
        }
    }
    Ok(())
}

#[test]
fn regressions_on_the_shipped_data() -> Outcome {
    let diabetes = shipped("diabetes.csv", "progression", true)?
        .into_regression(RegressionLoss::LeastSquares, 0.0)?;
    check_regression("diabetes", &diabetes, 3)?;
    let cancer = shipped("breast_cancer.csv", "malignant", false)?
        .into_regression(RegressionLoss::Logistic, 0.01)?;
    check_regression("breast cancer", &cancer, 3)
}

/// The minimizer that the exact moments start from: a zero of the gradient, of least norm where there are many.
#[test]
fn least_squares_minimizers() -> Outcome {
    for (n, d, ridge) in [
        (30, 4, 0.0),
        (30, 4, 0.2),
        (4, 7, 0.0),
        (3, 10, 0.0),
        (3, 10, 0.1),
    ] {
        let regression = random_regression(n, d, RegressionLoss::LeastSquares, ridge)?;
        let form = Landscape::quadratic_form(&regression).ok_or("no quadratic form")?;
        // Gradient entries sum n·d products of size ≤ 4(1 + ‖x*‖): a few hundred units in the last place of that.
        let tolerance = 256.0 * f64::EPSILON * 4.0 * (1.0 + form.center.norm());
        let gradient = regression.jet(&form.center).gradient;
        assert!(
            gradient.amax() < tolerance,
            "n = {n}, d = {d}: gradient {gradient}"
        );
        if n < d && ridge == 0.0 {
            // Least norm: x* is a combination of the rows, x* = A⁺Ax*. Random rows: condition numbers below 10³.
            let design = regression.design();
            let inverse = design.clone().pseudo_inverse(1e-10)?;
            let projected = inverse * (design * &form.center);
            assert!((projected - &form.center).amax() < 1e3 * tolerance);
            // Fewer samples than parameters interpolate.
            assert!(
                form.offset < tolerance * tolerance * 1e6,
                "{:e}",
                form.offset
            );
        }
    }
    Ok(())
}

/// One deliberate mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    GradientSign,
    GradientStale,
    HessianEntry,
    HessianSkew,
    Trace,
    ThirdHalved,
    ThirdUnsymmetric,
    LanesOnly,
    LaneMixing,
    StateMixing,
    Center,
    BatchSum,
    BatchIgnoresIndex,
    CovarianceUncentred,
    CovarianceDivisor,
    Combination,
}

/// A landscape with a mistake in it.
struct Broken<F> {
    inner: F,
    fault: Fault,
}

impl<F: Formula> Broken<F> {
    fn samples_of(&self) -> &dyn FiniteSum {
        Formula::finite_sum(&self.inner).expect("a finite sum")
    }
}

impl<F: Formula> Formula for Broken<F> {
    fn dimension(&self) -> usize {
        Formula::dimension(&self.inner)
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        self.inner.value(x)
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let stale = g[0];
        self.inner.gradient(x, g);
        let on_lanes = size_of::<R>() == size_of::<Lanes>();
        match self.fault {
            Fault::GradientSign => g[0] = -g[0],
            Fault::GradientStale => g[0] = g[0] + R::constant(0.0) * stale,
            Fault::LanesOnly if on_lanes => g[0] = R::constant(1.0 + 1e-9) * g[0],
            _ => (),
        }
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        self.inner.hessian(x, h);
        let d = x.len();
        match self.fault {
            Fault::HessianEntry => h[0] = R::constant(1.0001) * h[0],
            // A rounding error on one side of the diagonal only.
            Fault::HessianSkew => h[d] = R::constant(1.0 + 1e-15) * h[d],
            _ => (),
        }
    }
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let trace = self.inner.trace_hessian(x);
        match self.fault {
            Fault::Trace => R::constant(1.0001) * trace,
            _ => trace,
        }
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        self.inner.third_contraction(x, m, out);
        match self.fault {
            Fault::ThirdHalved => out.iter_mut().for_each(|t| *t = R::constant(0.5) * *t),
            Fault::ThirdUnsymmetric => out[0] = out[0] * m[0],
            _ => (),
        }
    }
    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Formula::finite_sum(&self.inner).map(|_| self as &dyn FiniteSum)
    }
    fn quadratic_form(&self) -> Option<QuadraticForm> {
        let mut form = Formula::quadratic_form(&self.inner)?;
        if self.fault == Fault::Center {
            form.center[0] += 1e-6;
        }
        Some(form)
    }
}

impl<F: Formula> FiniteSum for Broken<F> {
    fn samples(&self) -> usize {
        self.samples_of().samples()
    }
    fn minibatch_gradient(&self, x: &[Lanes], indices: &[Lanes], g: &mut [Lanes]) {
        let same = |i: &Lanes| Lanes::splat(i.to_array()[0]);
        let first: Vec<Lanes> = indices.iter().map(same).collect();
        match self.fault {
            Fault::LaneMixing => self.samples_of().minibatch_gradient(x, &first, g),
            Fault::StateMixing => {
                let x: Vec<Lanes> = x.iter().map(same).collect();
                self.samples_of().minibatch_gradient(&x, indices, g);
            }
            Fault::BatchIgnoresIndex => self.samples_of().minibatch_gradient(x, &indices[..1], g),
            _ => self.samples_of().minibatch_gradient(x, indices, g),
        }
        if self.fault == Fault::BatchSum {
            g.iter_mut()
                .for_each(|g| *g *= Lanes::splat(indices.len() as f64));
        }
    }
    fn gradient_covariance(&self, x: &[Lanes], covariance: &mut [Lanes], scratch: &mut [Lanes]) {
        self.samples_of()
            .gradient_covariance(x, covariance, scratch);
        let n = self.samples() as f64;
        match self.fault {
            Fault::CovarianceUncentred => {
                let mut g = vec![Lanes::ZERO; x.len()];
                self.gradients(x, &mut g);
                covariance[0] += g[0] * g[0];
            }
            Fault::CovarianceDivisor => {
                covariance
                    .iter_mut()
                    .for_each(|c| *c *= Lanes::splat(n / (n - 1.0)));
            }
            _ => (),
        }
    }
    fn output_combination(&self, x: &[Lanes], weights: &[Lanes], out: &mut [Lanes]) {
        self.samples_of().output_combination(x, weights, out);
        if self.fault == Fault::Combination {
            out.iter_mut().for_each(|o| *o = -*o);
        }
    }
    fn constant_output_gradients(&self) -> Option<DMatrix<f64>> {
        self.samples_of().constant_output_gradients()
    }
    fn squared_loss(&self) -> bool {
        self.samples_of().squared_loss()
    }
}

/// `Err` unless the contract names the fault by `expected`.
fn assert_refused<F: Formula>(inner: F, fault: Fault, expected: &str) {
    let d = Formula::dimension(&inner);
    let broken = Broken { inner, fault };
    match check_contract("broken", &broken, &points(7, POINTS, d, 1.0)) {
        Ok(()) => panic!("{fault:?} was not noticed"),
        Err(message) => assert!(
            message.contains(expected),
            "{fault:?} was reported as: {message}"
        ),
    }
}

#[test]
fn wrong_derivatives_are_refused() -> Outcome {
    use Fault::*;
    for (fault, expected) in [
        (GradientSign, ": gradient: entry 0"),
        (GradientStale, ": gradient: entry 0 is NaN"),
        (HessianEntry, ": Hessian: entry 0"),
        (HessianSkew, "Hessian against its transpose"),
        (Trace, "trace of the Hessian: entry 0"),
        (ThirdHalved, "third contraction: entry 0"),
        (ThirdUnsymmetric, "third contraction"),
        (LanesOnly, "gradient on lanes"),
    ] {
        assert_refused(Hyperbola, fault, expected);
        let regression = random_regression(12, 3, RegressionLoss::Logistic, 0.1)?;
        assert_refused(regression, fault, expected);
    }
    let quadratic = Quadratic::from_matrix(random_matrix(3))?;
    assert_refused(quadratic, Center, "quadratic form");
    Ok(())
}

/// The check that users have finds the same mistakes, and passes what is right, without knowing the number types.
#[test]
fn differences_find_wrong_derivatives() -> Outcome {
    use Fault::*;
    let x = [0.7, -0.4, 0.9];
    let regression = || random_regression(12, 3, RegressionLoss::Logistic, 0.1);
    for (fault, expected) in [
        (GradientSign, "∂L/∂x[1] is "),
        (HessianEntry, "∂²L/∂x[1]∂x[1] is "),
        (HessianSkew, "∂²L/∂x[2]∂x[1] is "),
        (ThirdHalved, "entry 1 of ∂²(∇L)[M] is "),
    ] {
        let inner = regression()?;
        let refused = check_derivatives(&Broken { inner, fault }, &x);
        let message = refused.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.starts_with(expected), "{fault:?}: {message}");
    }
    check_derivatives(&regression()?, &x)?;
    check_derivatives(
        &TwoLayerNetwork::new(
            &DMatrix::from_vec(6, 2, points(8, 1, 12, 1.5).remove(0)),
            points(9, 1, 6, 1.0).remove(0),
            2,
            Activation::Softplus,
        )?,
        &points(6, 1, 8, 1.0)[0],
    )?;
    let wrong_length = check_derivatives(&Hyperbola, &x);
    assert_eq!(
        wrong_length.map_err(|e| e.to_string()),
        Err("the point has 3 coordinates, but the landscape has 2 parameters".into())
    );
    // A large constant hides nothing, a kink and the edge of the domain are not judged.
    let far = Expression::from_fn(1, |x| 1e6 + x[0].square())?;
    check_derivatives(&far, &[0.3])?;
    let kink = Expression::from_fn(1, |x| (x[0].square() + 1e-30).sqrt())?;
    for (loss, x) in [
        (&kink, 1e-5),
        (&Expression::from_fn(1, |x| x[0].powf(3.5))?, 1e-9),
    ] {
        let refused = check_derivatives(loss, &[x]);
        assert!(
            matches!(refused, Err(DerivativeError::Unsettled { .. })),
            "{refused:?}"
        );
    }
    let outside = Expression::from_fn(1, |x| x[0].ln())?;
    let refused = check_derivatives(&outside, &[-1.0]);
    assert!(matches!(refused, Err(DerivativeError::NotFinite { .. })));
    Ok(())
}

#[test]
fn wrong_sample_views_are_refused() -> Outcome {
    use Fault::*;
    for loss in [RegressionLoss::LeastSquares, RegressionLoss::Logistic] {
        for (fault, expected) in [
            (LaneMixing, "mean of all single-sample gradients"),
            (StateMixing, "another point in every lane, lane 1"),
            (BatchSum, "minibatch of 5"),
            (BatchIgnoresIndex, "minibatch of 5"),
            (
                CovarianceUncentred,
                "covariance of the sample gradients: entry 0",
            ),
            (
                CovarianceDivisor,
                "covariance of the sample gradients: entry 0",
            ),
            (Combination, "output combination"),
        ] {
            assert_refused(random_regression(12, 3, loss, 0.1)?, fault, expected);
        }
    }
    // A model that is not linear in its parameters.
    for (fault, expected) in [
        (LaneMixing, "mean of all single-sample gradients"),
        (StateMixing, "another point in every lane, lane 1"),
        (BatchSum, "minibatch of 5"),
        (CovarianceUncentred, "covariance of the sample gradients"),
        (ThirdHalved, "third contraction: entry 0"),
        (HessianSkew, "Hessian against its transpose"),
    ] {
        let inputs = DMatrix::from_vec(6, 2, points(8, 1, 12, 1.5).remove(0));
        let targets = points(9, 1, 6, 1.0).remove(0);
        let network = TwoLayerNetwork::new(&inputs, targets, 2, Activation::Tanh)?;
        assert_refused(network, fault, expected);
    }
    let inner = random_regression(12, 3, RegressionLoss::Logistic, 0.0)?;
    let design = inner.design();
    let output = |x: &[f64], i: usize| design.row(i).iter().zip(x).map(|(a, x)| a * x).sum();
    let broken = Broken {
        inner,
        fault: Combination,
    };
    let refused = check_outputs("broken", &broken, &points(7, 2, 3, 1.0), &output);
    assert!(refused.is_err_and(|e| e.contains("output combination")));
    Ok(())
}

/// The wrapper without a mistake passes: it is the mistake that is refused.
#[test]
fn the_wrapper_itself_is_sound() -> Outcome {
    let inner = random_regression(12, 3, RegressionLoss::LeastSquares, 0.1)?;
    let broken = Broken {
        inner,
        fault: Fault::None,
    };
    Ok(check_contract(
        "sound",
        &broken,
        &points(7, POINTS, 3, 1.0),
    )?)
}

/// A hand-written [`Landscape`] whose steps are wrong: `descend` drops the noise, or steps along the old momentum.
struct WrongSteps {
    drops_noise: bool,
}

impl Landscape for WrongSteps {
    fn dimension(&self) -> usize {
        2
    }
    fn values(&self, x: &[Lanes], values: &mut [Lanes]) {
        Hyperbola.values(x, values);
    }
    fn gradients(&self, x: &[Lanes], g: &mut [Lanes]) {
        Hyperbola.gradients(x, g);
    }
    fn descend(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        if self.drops_noise {
            let silence = vec![Lanes::ZERO; noise.len()];
            return Hyperbola.descend(step, &silence, x, m, scratch);
        }
        let old = m.to_vec();
        Hyperbola.descend(step, noise, x, m, scratch);
        for ((x, &new), &old) in x.iter_mut().zip(&*m).zip(&old) {
            *x += Lanes::splat(step.rate) * (new - old);
        }
    }
    fn jet(&self, x: &DVector<f64>) -> Jet {
        Hyperbola.jet(x)
    }
    fn third(&self, x: &DVector<f64>, m: &DMatrix<f64>) -> DVector<f64> {
        Hyperbola.third(x, m)
    }
    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        None
    }
    fn quadratic_form(&self) -> Option<QuadraticForm> {
        None
    }
    fn exact_projection(&self, _x: &DVector<f64>) -> Option<DVector<f64>> {
        None
    }
}

#[test]
fn wrong_steps_are_refused() {
    for (drops_noise, expected) in [
        (true, "descend without momentum, x"),
        (false, "descend with momentum, x"),
    ] {
        let refused = check_steps(&WrongSteps { drops_noise }, &points(7, POINTS, 2, 1.0));
        assert!(refused.is_err_and(|e| e.contains(expected)));
    }
}
