//! Φ, ∂Φ and ∂²Φ: the contract on every loss with a manifold, closed forms, batches, failures.

mod batch;
mod contract;
mod failures;
mod losses;

use contract::{check_derivatives, check_map, phi, tight};
use losses::*;
use nalgebra::{DMatrix, DVector};
use slowsde::landscape::{self, Hyperbola, Landscape};
use slowsde::projection::{Covariance, Projector, Settings, Tangent, Tolerance};

type Outcome = Result<(), Box<dyn std::error::Error>>;
/// Name, loss, Φ, starts.
type Closed<'a> = (&'a str, &'a dyn Landscape, Exact<'a>, Vec<Vec<f64>>);
type Exact<'a> = &'a dyn Fn(&DVector<f64>) -> DVector<f64>;

fn hyperbola_starts() -> Vec<DVector<f64>> {
    [
        [2.0, 0.4],
        [0.3, 0.7],
        [-1.0, -2.0],
        [1.05, 0.9],
        [2.5, -1.0],
        [0.02, 0.01],
    ]
    .iter()
    .map(|x| vector(x))
    .collect()
}

/// Full rank, not symmetric.
fn factor(d: usize, r: usize) -> DMatrix<f64> {
    DMatrix::from_fn(d, r, |i, j| {
        (1.0 + i as f64 * 1.3 + j as f64 * 2.1).sin() / (d as f64).sqrt()
    })
}

#[test]
fn every_loss_keeps_the_contract() -> Outcome {
    let ring: Vec<DVector<f64>> = [[1.3, 0.6], [-0.2, 0.4], [0.5, -1.8]]
        .iter()
        .map(|x| vector(x))
        .collect();
    let ball: Vec<DVector<f64>> = [[1.0, 1.0, -0.4], [0.1, 0.2, 0.05]]
        .iter()
        .map(|x| vector(x))
        .collect();
    let bent = |n, d, ratio| {
        let start = DVector::from_fn(d, |i, _| (i as f64 * 0.9).cos());
        (Bent::new(n, d, ratio), vec![start.clone(), start * 0.4])
    };
    let (small, small_starts) = bent(2, 4, 5.0);
    let (medium, medium_starts) = bent(6, 40, 30.0);
    let cases: [(&str, &dyn Landscape, Vec<DVector<f64>>); 7] = [
        ("hyperbola", &Hyperbola, hyperbola_starts()),
        ("circle", &Sphere(2), ring.clone()),
        ("sphere", &Sphere(3), ball),
        ("ellipse", &Ellipse(1.0, 0.3), ring.clone()),
        ("valley", &ExponentialValley { kappa: 0.5 }, ring),
        ("bent, d = 4", &small, small_starts),
        ("bent, d = 40", &medium, medium_starts),
    ];
    for (name, landscape, starts) in cases {
        let d = landscape.dimension();
        check_map(landscape, &phi(landscape), &starts).map_err(|e| format!("{name}: {e}"))?;
        check_derivatives(landscape, &starts, &factor(d, 2)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// The nearest point of Γ is not Φ, and the contract notices.
#[test]
fn a_wrong_projection_is_refused() {
    // Gauss–Newton onto the curve along its own normal, iterated to the nearest point.
    fn nearest(landscape: &dyn Landscape, x: &DVector<f64>) -> Result<DVector<f64>, String> {
        let mut p = Projector::new(landscape, tight())
            .land(x)
            .map_err(|e| e.to_string())?
            .point;
        for _ in 0..2000 {
            let tangent = Tangent::new(landscape, &p).map_err(|e| e.to_string())?;
            let step = tangent.project_vector(&(x - &p)) * 0.3;
            if step.norm() < 1e-15 {
                break;
            }
            p = Projector::new(landscape, tight())
                .land(&(p + step))
                .map_err(|e| e.to_string())?
                .point;
        }
        Ok(p)
    }
    let start = vec![vector(&[1.25, 0.95])];
    for landscape in [&Hyperbola as &dyn Landscape, &Ellipse(1.0, 0.3)] {
        let wrong = |x: &DVector<f64>| nearest(landscape, x);
        let refused = check_map(landscape, &wrong, &start);
        assert!(
            refused
                .as_ref()
                .is_err_and(|e| e.contains("constant along the flow")),
            "{refused:?}"
        );
    }
    // On the circle the two coincide: the control is about the map, not about the iteration.
    let wrong = |x: &DVector<f64>| nearest(&Sphere(2), x);
    assert_eq!(check_map(&Sphere(2), &wrong, &start), Ok(()));
}

/// To 1e-10 relative at the tight tolerance, and to 1e-7 at the default one, near and far.
#[test]
fn closed_forms() -> Outcome {
    let valley = ExponentialValley { kappa: 0.5 };
    let cases: [Closed; 6] = [
        (
            "hyperbola",
            &Hyperbola,
            &exact::hyperbola,
            vec![
                vec![1.0 + 1e-9, 1.0],
                vec![1.2, 0.8],
                vec![8.0, 0.5],
                vec![-4.0, -9.0],
                vec![30.0, 20.0],
                vec![3.0, -2.9],
                vec![1e-3, 2e-3],
            ],
        ),
        (
            "sphere",
            &Sphere(5),
            &exact::sphere,
            vec![
                vec![0.1, 0.2, -0.3, 0.0, 0.1],
                vec![9.0, -7.0, 3.0, 30.0, 1.0],
                vec![1e-3; 5],
            ],
        ),
        (
            "valley, exponential",
            &valley,
            &|x| exact::exponential_valley(x, 0.5),
            vec![vec![1.0, 0.05], vec![-0.7, 2.0], vec![1.5, -3.0]],
        ),
        (
            "valley, 1 + u²",
            &QuadraticValley,
            &exact::quadratic_valley,
            vec![vec![1.0, 0.05], vec![-0.7, 2.0], vec![3.0, 4.0]],
        ),
        (
            "ellipse",
            &Ellipse(1.0, 0.3),
            &|x| exact::ellipse(x, 1.0, 0.3),
            vec![vec![1.0, 0.5], vec![0.02, -0.1], vec![-9.0, 12.0]],
        ),
        (
            "ellipse, flat",
            &Ellipse(4.0, 0.04),
            &|x| exact::ellipse(x, 4.0, 0.04),
            vec![vec![1.0, 0.5], vec![2.0, -8.0], vec![0.01, 0.1]],
        ),
    ];
    for (name, landscape, exact, starts) in cases {
        for start in starts {
            let x = vector(&start);
            let want = exact(&x);
            for (settings, allowed) in [(tight(), 1e-10), (Settings::default(), 1e-7)] {
                let landing = Projector::new(landscape, settings).land(&x)?;
                let error = (&landing.point - &want).norm() / want.norm();
                println!(
                    "{name} {start:?}: error {error:.1e}, estimate {:.1e}, steps {}, gradients {}, Hessians {}",
                    landing.error_estimate,
                    landing.steps,
                    landing.gradient_evaluations,
                    landing.hessian_evaluations
                );
                assert!(error <= allowed, "{name} {start:?}: {error:e}\n{landing:?}");
                // The estimate is an honest upper guess, up to rounding.
                assert!(
                    error * want.norm() <= 10.0 * landing.error_estimate + 1e-14 * x.norm(),
                    "{name} {start:?}: {error:e}\n{landing:?}"
                );
            }
        }
    }
    Ok(())
}

/// κ(H) = 1e6 on Γ: the flow turns stiff, the exponential steps take over, effort and error stay bounded.
#[test]
fn stiff_flows() -> Outcome {
    let bent = Bent::new(4, 12, 1e6);
    let x = DVector::from_fn(12, |i, _| (i as f64 * 0.9).cos());
    let loose = Projector::new(&bent, Settings::default()).land(&x)?;
    let fine = Projector::new(&bent, tight()).land(&x)?;
    println!("{loose:?}\n{fine:?}");
    assert!((&loose.point - &fine.point).norm() < 1e-6 * x.norm());
    // Explicit steps alone would need about κ·ln(1/δ)/3 = 3e6.
    assert!(loose.steps < 1500, "{}", loose.steps);
    assert_eq!(loose.rank, 4);
    Ok(())
}

/// d = 1000: nothing of size d³ is formed, and the identities hold.
#[test]
fn a_thousand_parameters() -> Outcome {
    let d = 1000;
    let bent = Bent::new(12, d, 10.0);
    let x = DVector::from_fn(d, |i, _| (i as f64 * 0.9).cos());
    let (landing, tangent) = Projector::new(&bent, Settings::default()).tangent(&x)?;
    assert_eq!((landing.rank, tangent.rank()), (12, 12));
    let b = factor(d, 3);
    let got = tangent.second_derivative(&bent, Covariance::Factor(&b));
    assert_eq!(got.len(), d);
    // Label noise: ½∂²Φ[H] = −¼P∇tr H, through the factor H = BBᵀ.
    let mut root = tangent.normal().clone();
    for (mut column, mu) in root.column_iter_mut().zip(tangent.curvatures().iter()) {
        column *= mu.sqrt();
    }
    let drift = tangent.slow_coefficients(&bent, 2.0, &root);
    let trace = bent.third(tangent.point(), &DMatrix::identity(d, d));
    let want = tangent.project_vector(&trace) * (-0.25 * 4.0);
    assert!((drift.drift - &want).norm() < 1e-10 * want.norm());
    assert!(drift.diffusion.amax() < 1e-12);
    Ok(())
}

/// Valley: drift −(Σ_vv/4)(log a)′(u) along u (theory: Sec. 6, closed form 4), and λ² in the drift, λ in the diffusion.
#[test]
fn slow_coefficients_of_the_valley() -> Outcome {
    let valley = ExponentialValley { kappa: 0.5 };
    let tangent = Tangent::new(&valley, &vector(&[0.8, 0.0]))?;
    let b = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, 3.0]);
    let slow = tangent.slow_coefficients(&valley, 2.0, &b);
    assert!((slow.drift[0] + 4.0 * 9.0 / 4.0 * 2.0 * 0.5 * 0.8).abs() < 1e-13);
    assert!(slow.drift[1].abs() < 1e-13);
    assert!((slow.diffusion[(0, 0)] - 2.0).abs() < 1e-13 && slow.diffusion[(1, 1)].abs() < 1e-13);
    Ok(())
}

/// Every landscape with a manifold of minimizers; above 24 parameters by Jacobians where there are residuals.
#[test]
fn every_landscape_keeps_the_contract() -> Outcome {
    let wave = |d: usize, center: f64, size: f64| {
        let at = move |k: usize| {
            DVector::from_fn(d, |i, _| {
                center + size * (1.3 + (i * i + 5 * k) as f64 * 0.7).sin()
            })
        };
        vec![at(0), at(1)]
    };
    let steep = |steepness| landscape::Valley::new(steepness);
    let inputs = |n: usize, q: usize| {
        DMatrix::from_fn(n, q, |i, j| (1.0 + 1.7 * i as f64 + 2.9 * j as f64).sin())
    };
    let targets = |n: usize| (0..n).map(|i| (1.1 * i as f64).cos()).collect::<Vec<_>>();
    let tanh = landscape::Activation::Tanh;
    let small_net = landscape::TwoLayerNetwork::new(&inputs(3, 2), targets(3), 3, tanh)?;
    let large_net = landscape::TwoLayerNetwork::new(&inputs(5, 2), targets(5), 8, tanh)?;
    let random = |net: &landscape::TwoLayerNetwork| {
        vec![DVector::from_vec(net.model().random_parameters(1.0, 3))]
    };
    let nets = [random(&small_net), random(&large_net)];
    let gaussian = landscape::DesignLaw::Gaussian;
    let diagonal = |p, n| landscape::DiagonalNetwork::sparse(p, n, 1, gaussian, 8);
    let (narrow, wide) = (diagonal(5, 3)?.0, diagonal(14, 4)?.0);
    let factor_matrix = DMatrix::from_row_slice(3, 2, &[1.0, 0.2, -0.3, 0.9, 0.5, -0.4]);
    let near = DVector::from_column_slice(factor_matrix.transpose().as_slice());
    let factorization = landscape::MatrixFactorization::new(&factor_matrix)?;
    let (sensing, _) = landscape::MatrixSensing::gaussian(4, 2, 2, 4, 3)?;
    let (large_sensing, _) = landscape::MatrixSensing::gaussian(13, 2, 2, 5, 3)?;
    let exponential = steep(landscape::Steepness::Exponential { kappa: 0.5 })?;
    let quadratic = steep(landscape::Steepness::Quadratic)?;
    let (circle, sphere) = (landscape::Sphere::new(2)?, landscape::Sphere::new(3)?);
    let sphere10 = landscape::Sphere::new(10)?;
    let ellipse = landscape::Ellipse::new(&[1.0, 0.6])?;
    let ellipsoid = landscape::Ellipse::new(&[1.0, 0.6, 1.4])?;
    let [small_start, large_start] = nets;
    let cases: [(&str, &dyn Landscape, Vec<DVector<f64>>); 14] = [
        ("valley, e^{κu²}", &exponential, wave(2, 0.7, 0.4)),
        ("valley, 1 + u²", &quadratic, wave(2, 0.7, 0.4)),
        ("circle", &circle, wave(2, 0.5, 0.4)),
        ("sphere, d = 3", &sphere, wave(3, 0.5, 0.4)),
        ("sphere, d = 10", &sphere10, wave(10, 0.3, 0.2)),
        ("ellipse", &ellipse, wave(2, 0.6, 0.3)),
        ("ellipsoid", &ellipsoid, wave(3, 0.6, 0.3)),
        ("diagonal network, d = 10", &narrow, wave(10, 0.8, 0.3)),
        ("diagonal network, d = 28", &wide, wave(28, 0.8, 0.3)),
        (
            "matrix factorization",
            &factorization,
            vec![near.map(|x| 1.1 * x + 0.05)],
        ),
        ("matrix sensing, d = 8", &sensing, wave(8, 0.5, 0.4)),
        ("matrix sensing, d = 26", &large_sensing, wave(26, 0.3, 0.3)),
        ("two-layer network, d = 12", &small_net, small_start),
        ("two-layer network, d = 32", &large_net, large_start),
    ];
    for (name, landscape, starts) in cases {
        let d = landscape.dimension();
        check_map(landscape, &phi(landscape), &starts).map_err(|e| format!("{name}: {e}"))?;
        check_derivatives(landscape, &starts, &factor(d, 2)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// At loose and tight tolerances, near and far, flows that are stiff and that are not: what was asked for, and an estimate that says
/// so.
#[test]
fn landings_by_residuals_keep_their_tolerance() -> Outcome {
    let law = landscape::DesignLaw::Gaussian;
    let (network, _) = landscape::DiagonalNetwork::sparse(60, 25, 4, law, 5)?;
    keeps_its_tolerance(&network, DVector::from_element(120, 0.5))?;
    let inputs = DMatrix::from_fn(8, 3, |i, j| (1.0 + 1.7 * i as f64 + 2.9 * j as f64).sin());
    let targets = (0..8).map(|i| (1.1 * i as f64).cos()).collect();
    let tanh = landscape::Activation::Tanh;
    let network = landscape::TwoLayerNetwork::new(&inputs, targets, 8, tanh)?;
    let start = DVector::from_vec(network.model().random_parameters(1.0, 3));
    keeps_its_tolerance(&network, start)
}

fn keeps_its_tolerance(landscape: &dyn Landscape, start: DVector<f64>) -> Outcome {
    let (landing, tangent) = Projector::new(landscape, tight()).tangent(&start)?;
    let spread = tangent.curvatures().max() / tangent.curvatures().min();
    println!("d = {}, eigenvalues spread by {spread:.0}", start.len());
    for distance in [0.02, 0.1, 0.5] {
        let weights = DVector::from_fn(tangent.rank(), |i, _| (1.3 + (i * i) as f64).sin());
        let normal = (tangent.normal() * weights).normalize();
        let x = &landing.point + normal * distance;
        let fine = Projector::new(landscape, tight()).land(&x)?;
        for tolerance in [1e-3, 1e-5, 1e-7, 1e-9] {
            let tolerance = Tolerance::both(tolerance);
            let settings = Settings {
                tolerance,
                ..Settings::default()
            };
            let found = Projector::new(landscape, settings).land(&x)?;
            let error = (&found.point - &fine.point).norm();
            let allowed = tolerance.absolute * (1.0 + fine.point.norm());
            println!(
                "{distance}: error {error:.1e} of {allowed:.1e}, {} steps",
                found.steps
            );
            assert!(error <= allowed, "{distance}, {tolerance:?}: {error:e}");
            assert!(
                error <= 10.0 * found.error_estimate,
                "{distance}: {error:e}"
            );
            assert_eq!(found.rank, tangent.rank());
        }
    }
    Ok(())
}
