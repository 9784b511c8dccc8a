//! Landscapes with a manifold of minimizers: the contract, closed forms of Φ, and the rank of the Hessian on Γ.

use crate::contract::projection::{check_projection, integrate};
use crate::contract::{check_contract, check_outputs, points};
use nalgebra::{DMatrix, DVector};
use slowsde::landscape::{
    Activation, DataOptions, DataSet, DesignLaw, DiagonalNetwork, Ellipse, FiniteSum, Formula,
    Hyperbola, Landscape, LandscapeError, MatrixFactorization, MatrixSensing, Sphere, Steepness,
    TwoLayerNetwork, Valley, broadcast, lane_of,
};
use slowsde::real::{Lanes, Real};
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

/// Points per landscape: more than the lanes of one group, so that the groups differ.
const POINTS: usize = 11;

/// The number of eigenvalues above 1e-8 of the largest, and the largest of the others relative to it.
fn rank(landscape: &dyn Landscape, x: &[f64]) -> (usize, f64) {
    let hessian = landscape.jet(&DVector::from_column_slice(x)).hessian;
    let spectrum = hessian.symmetric_eigen().eigenvalues.abs();
    let largest = spectrum.max();
    let small = |l: &&f64| **l <= 1e-8 * largest;
    let rest = spectrum.iter().filter(small).fold(0.0, |m, l| l.max(m)) / largest;
    (spectrum.len() - spectrum.iter().filter(small).count(), rest)
}

#[test]
fn hyperbola() -> Outcome {
    Ok(check_projection(
        "hyperbola",
        &Hyperbola,
        &points(11, POINTS, 2, 2.0),
    )?)
}

#[test]
fn valleys() -> Outcome {
    for steepness in [
        Steepness::Exponential { kappa: 0.5 },
        Steepness::Exponential { kappa: -0.4 },
        Steepness::Exponential { kappa: 0.0 },
        Steepness::Quadratic,
    ] {
        let name = format!("valley, {steepness:?}");
        let valley = Valley::new(steepness)?;
        let points = points(12, POINTS, 2, 1.5);
        check_contract(&name, &valley, &points)?;
        check_projection(&name, &valley, &points)?;
        check_projection(&name, &valley, &[vec![0.0, 1.0], vec![-1.2, 0.0]])?;
    }
    Ok(())
}

/// Registers (d ≤ 4) and slices.
#[test]
fn spheres_and_ellipses() -> Outcome {
    for d in [2, 3, 4, 7] {
        let points = points(13, POINTS, d, 1.3);
        let name = format!("sphere, d = {d}");
        let sphere = Sphere::new(d)?;
        check_contract(&name, &sphere, &points)?;
        check_projection(&name, &sphere, &points)?;
        let name = format!("ellipse, d = {d}");
        let axes: Vec<f64> = (0..d).map(|i| 0.6 + 0.45 * i as f64).collect();
        let ellipse = Ellipse::new(&axes)?;
        check_contract(&name, &ellipse, &points)?;
        check_projection(&name, &ellipse, &points)?;
        let round = Ellipse::new(&vec![1.0; d])?;
        for x in &points {
            let (mut a, mut b) = (vec![0.0; d], vec![0.0; d]);
            round.gradient(x, &mut a);
            sphere.gradient(x, &mut b);
            let difference = DVector::from_vec(a) - DVector::from_vec(b);
            assert!(difference.amax() < 1e-14, "equal axes are the sphere");
        }
    }
    Ok(())
}

/// A projection to the nearest point is refused, and so is one that moves along Γ by more than rounding.
#[test]
fn wrong_projections_are_refused() -> Outcome {
    struct Wrong<F> {
        inner: F,
        nearest: bool,
    }
    impl<F: Formula> Formula for Wrong<F> {
        fn dimension(&self) -> usize {
            Formula::dimension(&self.inner)
        }
        fn value<R: Real>(&self, x: &[R]) -> R {
            self.inner.value(x)
        }
        fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
            self.inner.gradient(x, g);
        }
        fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
            self.inner.hessian(x, h);
        }
        fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
            self.inner.third_contraction(x, m, out);
        }
        fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>> {
            if self.nearest {
                return Some(DVector::from_column_slice(&[x[0], 0.0]));
            }
            let mut moved = x.clone();
            moved[0] *= 1.0 + 1e-9;
            Formula::exact_projection(&self.inner, &moved)
        }
    }
    for nearest in [true, false] {
        let inner = Valley::new(Steepness::Exponential { kappa: 0.5 })?;
        let wrong = Wrong { inner, nearest };
        let refused = check_projection("wrong", &wrong, &points(12, 3, 2, 1.5));
        assert!(refused.is_err_and(|e| e.contains("differs from the gradient flow")));
    }
    Ok(())
}

/// With and without a remainder of the blocks of four samples; one sample.
#[test]
fn diagonal_networks() -> Outcome {
    for (p, n, law) in [
        (2, 1, DesignLaw::Gaussian),
        (7, 4, DesignLaw::Rademacher),
        (9, 6, DesignLaw::Gaussian),
    ] {
        let name = format!("diagonal network, p = {p}, n = {n}");
        let (network, _) = DiagonalNetwork::sparse(p, n, 1, law, 4)?;
        let points = points(14, POINTS, 2 * p, 1.0);
        check_contract(&name, &network, &points)?;
        let design = network.inputs();
        let output = |x: &[f64], i: usize| -> f64 {
            (0..p)
                .map(|j| design[(i, j)] * (x[j].powi(2) - x[p + j].powi(2)))
                .sum()
        };
        check_outputs(&name, &network, &points, &output)?;
    }
    // The size that is run: d = 120.
    let (network, _) = DiagonalNetwork::sparse(60, 25, 4, DesignLaw::Gaussian, 5)?;
    Ok(check_contract(
        "diagonal network, d = 120",
        &network,
        &points(15, 2, 120, 0.5),
    )?)
}

/// On Γ the Hessian has rank n, and its trace is 4(‖u‖² + ‖w‖²); at the sparse truth itself the rank drops to the support.
#[test]
fn diagonal_networks_on_their_manifold() -> Outcome {
    let (p, n, support) = (60, 25, 4);
    let (network, truth) = DiagonalNetwork::sparse(p, n, support, DesignLaw::Gaussian, 5)?;
    for (floor, expected) in [(0.3, n), (0.0, support)] {
        let part = |sign: f64| {
            truth
                .iter()
                .map(move |t| ((t * sign).max(0.0) + floor).sqrt())
        };
        let x: Vec<f64> = part(1.0).chain(part(-1.0)).collect();
        let (rank, rest) = rank(&network, &x);
        assert_eq!(rank, expected);
        assert!(rest < 1e-13, "{rest:e}");
        let jet = network.jet(&DVector::from_column_slice(&x));
        assert!(jet.value < 1e-26);
        let trace = 4.0 * x.iter().map(|x| x * x).sum::<f64>();
        assert!((jet.hessian.trace() / trace - 1.0).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn matrix_factorizations() -> Outcome {
    for (n, k) in [(1, 1), (3, 1), (2, 2), (4, 2), (5, 3)] {
        let factor = DMatrix::from_vec(n, k, points(16, 1, n * k, 1.0).remove(0));
        let problem = MatrixFactorization::new(&factor)?;
        let name = format!("matrix factorization, {n} × {k}");
        check_contract(&name, &problem, &points(17, POINTS, n * k, 1.2))?;
    }
    Ok(())
}

#[test]
fn matrix_sensing() -> Outcome {
    for (n, k, rank, samples) in [(1, 1, 1, 2), (3, 1, 1, 4), (4, 2, 2, 9), (5, 3, 1, 8)] {
        let (problem, _) = MatrixSensing::gaussian(n, k, rank, samples, 6)?;
        let name = format!("matrix sensing, {n} × {k}, {samples} measurements");
        let points = points(18, POINTS, n * k, 1.0);
        check_contract(&name, &problem, &points)?;
        let inputs = problem.inputs();
        let output = |x: &[f64], i: usize| -> f64 {
            let u = DMatrix::from_row_slice(n, k, x);
            let a = DMatrix::from_row_slice(n, n, inputs.row(i).transpose().as_slice());
            (a * &u * u.transpose()).trace()
        };
        check_outputs(&name, &problem, &points, &output)?;
    }
    Ok(())
}

/// The contract, and the outputs written out once more.
fn check_network(name: &str, network: &TwoLayerNetwork, points: &[Vec<f64>]) -> Outcome {
    check_contract(name, network, points)?;
    let (inputs, layer) = (network.inputs(), *network.model());
    let q = layer.inputs();
    let output = |x: &[f64], i: usize| -> f64 {
        let unit = |unit: &[f64]| {
            let a: f64 = unit[q] + (0..q).map(|k| unit[k] * inputs[(i, k)]).sum::<f64>();
            unit[q + 1]
                * match layer.activation() {
                    Activation::Tanh => a.tanh(),
                    Activation::Softplus => a.exp().ln_1p(),
                }
        };
        x.chunks(q + 2).map(unit).sum()
    };
    Ok(check_outputs(name, network, points, &output)?)
}

#[test]
fn two_layer_networks() -> Outcome {
    for activation in [Activation::Tanh, Activation::Softplus] {
        for (n, q, units) in [(2, 1, 1), (7, 2, 3), (5, 4, 2)] {
            let inputs = DMatrix::from_vec(n, q, points(19, 1, n * q, 1.5).remove(0));
            let targets = points(20, 1, n, 1.0).remove(0);
            let network = TwoLayerNetwork::new(&inputs, targets, units, activation)?;
            let name = format!("{activation:?} network, n = {n}, q = {q}, h = {units}");
            let points = points(21, POINTS, units * (q + 2), 1.0);
            check_network(&name, &network, &points)?;
        }
    }
    Ok(())
}

/// The first `rows` patients, standardised, on `units` units.
fn diabetes(rows: usize, units: usize) -> Result<TwoLayerNetwork, Box<dyn Error>> {
    let path = format!("{}/scenarios/data/diabetes.csv", env!("CARGO_MANIFEST_DIR"));
    let options = DataOptions {
        target: "progression".into(),
        standardize: true,
        standardize_target: true,
        rows: Some(rows),
        ..DataOptions::default()
    };
    let data = DataSet::read(path, options)?;
    Ok(data.into_two_layer_network(units, Activation::Tanh)?)
}

/// Real data, more parameters than samples: the contract, and rank n on Γ.
#[test]
fn two_layer_network_on_diabetes() -> Outcome {
    let network = diabetes(20, 8)?;
    let x = network.model().random_parameters(1.0, 3);
    assert_eq!(x.len(), 96);
    check_network(
        "diabetes network, d = 96",
        &network,
        std::slice::from_ref(&x),
    )?;

    let network = diabetes(12, 16)?;
    let x = network.model().random_parameters(1.0, 3);
    let end = interpolate(&network, x)?;
    let (rank, rest) = rank(&network, &end);
    assert_eq!(rank, 12);
    assert!(rest < 1e-9, "{rest:e}");
    let refused = diabetes(96, 8).err().ok_or("accepted")?.to_string();
    assert!(
        refused.ends_with("96 samples for 96 parameters: needs fewer samples, so that the minimizers form a manifold"),
        "{refused}"
    );
    Ok(())
}

/// Damped Gauss–Newton steps of least norm: a point of Γ near x, for tests that need any point of it.
fn interpolate(network: &TwoLayerNetwork, x: Vec<f64>) -> Result<Vec<f64>, Box<dyn Error>> {
    let n = network.targets().len();
    let mut x = DVector::from_vec(x);
    for _ in 0..100 {
        let outputs = DVector::from_vec(network.outputs(x.as_slice()));
        let residual = outputs - DVector::from_column_slice(network.targets());
        if residual.amax() < 1e-13 {
            return Ok(x.as_slice().to_vec());
        }
        let mut jacobian = DMatrix::zeros(x.len(), n);
        for (i, mut column) in jacobian.column_iter_mut().enumerate() {
            let mut weights = vec![Lanes::ZERO; n];
            weights[i] = Lanes::splat(n as f64);
            let mut out = vec![Lanes::ZERO; x.len()];
            network.output_combination(&broadcast(x.as_slice()), &weights, &mut out);
            column.copy_from_slice(&lane_of(&out, 0));
        }
        let damping = DMatrix::identity(n, n) * residual.norm_squared();
        let gram = jacobian.tr_mul(&jacobian) + damping;
        let multipliers = gram
            .cholesky()
            .ok_or("dependent gradients")?
            .solve(&residual);
        x -= jacobian * multipliers;
    }
    Err("no point of the manifold was found".into())
}

/// The flow keeps what the documentation says it conserves.
#[test]
fn conserved_quantities() -> Result<(), Box<dyn Error>> {
    let (network, _) = DiagonalNetwork::sparse(6, 3, 1, DesignLaw::Gaussian, 8)?;
    let x: Vec<f64> = points(22, 1, 12, 0.5)
        .remove(0)
        .iter()
        .map(|x| x + 1.0)
        .collect();
    let end = integrate(&network, &x)?;
    for j in 0..6 {
        assert!((x[j] * x[6 + j] - end[j] * end[6 + j]).abs() < 1e-10);
    }
    let factor = DMatrix::from_row_slice(3, 2, &[1.0, 0.2, -0.3, 0.9, 0.5, -0.4]);
    let problem = MatrixFactorization::new(&factor)?;
    let x = [1.2, 0.1, -0.2, 0.8, 0.3, -0.1];
    let end = integrate(&problem, &x)?;
    let gram = |x: &[f64]| {
        let u = DMatrix::from_row_slice(3, 2, x);
        &u * u.transpose()
    };
    assert!((gram(&end) - gram(factor.transpose().as_slice())).amax() < 1e-11);
    Ok(())
}

#[test]
fn errors_name_the_numbers() {
    let refused = Valley::new(Steepness::Exponential { kappa: f64::NAN });
    assert_eq!(
        refused
            .err()
            .map(|e: LandscapeError| e.to_string())
            .as_deref(),
        Some("the exponent kappa of the valley is NaN, allowed: a finite number")
    );
    assert_eq!(
        Sphere::new(1).err().map(|e| e.to_string()).as_deref(),
        Some("the dimension of the sphere's space is 1, allowed: 2, 3, 4, …")
    );
}
