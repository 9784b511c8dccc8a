//! Every failure of Φ, with its text.

use crate::losses::*;
use nalgebra::DMatrix;
use nalgebra::DVector;
use slowsde::landscape::{DoubleWell, Formula, Hyperbola, Landscape, Quadratic};
use slowsde::projection::{Outcome, ProjectionError, Projector, Settings, Tangent};
use slowsde::real::Real;
use slowsde::region::Region;

fn failure(landscape: &dyn Landscape, settings: Settings, x: &[f64]) -> ProjectionError {
    Projector::new(landscape, settings)
        .land(&vector(x))
        .expect_err("must fail")
}

/// The message contains all of `parts`.
fn says(error: &ProjectionError, parts: &[&str]) {
    let text = error.to_string();
    println!("{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn wrong_starts() {
    let short = failure(&Hyperbola, Settings::default(), &[1.0]);
    insta::assert_snapshot!(short, @"the start has 1 coordinates, the loss has 2 parameters: give 2 numbers");
    let lost = failure(&Hyperbola, Settings::default(), &[1.0, f64::NAN]);
    insta::assert_snapshot!(lost, @"the start or the gradient there is not finite: start closer to the minimizers");
}

#[test]
fn diverged() {
    let slide = Quadratic::from_spectrum(&[1.0, -1.0]).expect("valid");
    let error = failure(&slide, Settings::default(), &[1.0, 1.0]);
    assert!(matches!(error, ProjectionError::Diverged { norm, bound, .. } if norm > bound));
    says(&error, &["diverged", "bounded below"]);
}

/// L = x⁴ + y²…: the flow slows down like a power of time.
struct Quartic;

impl Formula for Quartic {
    fn dimension(&self) -> usize {
        1
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        R::constant(0.25) * x[0].square().square()
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        g[0] = x[0] * x[0] * x[0];
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        h[0] = R::constant(3.0) * x[0] * x[0];
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        out[0] = R::constant(6.0) * x[0] * m[0];
    }
}

#[test]
fn did_not_converge() {
    let settings = Settings {
        max_steps: 5,
        ..Settings::default()
    };
    let error = failure(&Hyperbola, settings, &[3.0, 0.1]);
    assert!(matches!(
        error,
        ProjectionError::DidNotConverge { steps: 5, .. }
    ));
    says(&error, &["did not converge in 5 steps", "raise the limit"]);
    let error = failure(&Quartic, Settings::default(), &[1.0]);
    println!("{error:?}");
    says(&error, &["degenerate"]);
}

#[test]
fn left_region() {
    let settings = Settings {
        region: Some(Region::Box {
            lower: vec![0.0, 0.0],
            upper: vec![2.0, 0.6],
        }),
        ..Settings::default()
    };
    let error = failure(&Hyperbola, settings.clone(), &[1.0, 0.5]);
    assert!(matches!(error, ProjectionError::LeftRegion { time, .. } if time > 0.0));
    says(&error, &["left the compact set", "enlarge"]);
    let error = failure(&Hyperbola, settings, &[3.0, 0.5]);
    assert!(matches!(error, ProjectionError::LeftRegion { time, .. } if time == 0.0));
}

#[test]
fn saddle() {
    // On x = −y the flow ends at the origin.
    for x in [[1.0, -1.0], [0.0, 0.0]] {
        let error = failure(&Hyperbola, Settings::default(), &x);
        assert!(
            matches!(error, ProjectionError::Saddle { eigenvalue, .. } if (eigenvalue + 1.0).abs() < 1e-6),
            "{error:?}"
        );
        says(&error, &["ended at a saddle", "stable manifold"]);
    }
    let error = Tangent::new(&Hyperbola, &vector(&[0.0, 0.0])).expect_err("a saddle");
    assert!(matches!(error, ProjectionError::Saddle { gradient_norm, .. } if gradient_norm == 0.0));
}

#[test]
fn isolated_minimum() {
    let well = DoubleWell::new(2, 1.0).expect("valid");
    let error = failure(&well, Settings::default(), &[0.3, 1.0]);
    assert!(matches!(
        error,
        ProjectionError::IsolatedMinimum { dimension: 2, .. }
    ));
    says(&error, &["isolated minimum", "rank below 2"]);
    // Allowed if asked for: Φ is the minimum of the basin.
    let settings = Settings {
        manifold: false,
        ..Settings::default()
    };
    let landing = Projector::new(&well, settings)
        .land(&vector(&[0.3, 1.0]))
        .expect("a minimum");
    assert!((landing.point - vector(&[1.0, 0.0])).norm() < 1e-12);
}

#[test]
fn no_gap() {
    let spectrum: Vec<f64> = (0..14).map(|i| 10f64.powi(-i)).collect();
    let steady = Quadratic::from_spectrum(&spectrum).expect("valid");
    let error = Tangent::new(&steady, &DVector::zeros(14)).expect_err("no gap");
    assert!(matches!(error, ProjectionError::NoGap { .. }), "{error:?}");
    says(&error, &["no gap", "undecided"]);
    let error = failure(&steady, Settings::default(), &[0.0; 14]);
    assert!(matches!(error, ProjectionError::NoGap { .. }), "{error:?}");
}

/// On the sphere of minimizers the curvature along the gradient vanishes at ‖x‖ = 1/√3. The first step length, from that
/// curvature, is then so large that the step ends where squares overflow: it must be rejected, not pass for exact.
#[test]
fn starts_without_curvature_along_the_gradient_land() {
    for d in [2, 5, 10] {
        let sphere = Sphere(d);
        let projector = Projector::new(&sphere, Settings::default());
        for k in -200..=200 {
            let radius = (1.0f64 / 3.0).sqrt() + 1e-4 * f64::from(k) * (0.1 * f64::from(k)).cos();
            let x = DVector::from_fn(d, |i, _| (1.0 + 3.0 * i as f64).sin()).normalize();
            let landing = projector.land(&(&x * radius)).expect("lands");
            assert!(
                (landing.point - &x).norm() < 2e-8,
                "d = {d}, ‖x‖ = {radius}"
            );
        }
    }
}

/// Directions of another length than the start.
#[test]
fn wrong_directions() {
    let error = Projector::new(&Hyperbola, Settings::default())
        .derivative(&vector(&[1.0, 2.0]), &DMatrix::zeros(3, 1))
        .expect_err("three rows in two dimensions");
    assert_eq!(
        error,
        ProjectionError::Length {
            expected: 2,
            found: 3
        }
    );
    assert_eq!(error.outcome(), Outcome::NotFinite);
}

/// Every kind has its code.
#[test]
fn outcomes() {
    let lost = failure(&Hyperbola, Settings::default(), &[f64::NAN, 1.0]);
    assert_eq!(lost.outcome(), Outcome::NotFinite);
    let slide = Quadratic::from_spectrum(&[1.0, -1.0]).expect("valid");
    let error = failure(&slide, Settings::default(), &[1.0, 1.0]);
    assert_eq!(error.outcome(), Outcome::Diverged);
    let short = Settings {
        max_steps: 5,
        ..Settings::default()
    };
    let error = failure(&Hyperbola, short, &[3.0, 0.1]);
    assert_eq!(error.outcome(), Outcome::DidNotConverge);
    let ball = Settings {
        region: Some(Region::Box {
            lower: vec![0.0, 0.0],
            upper: vec![2.0, 0.6],
        }),
        ..Settings::default()
    };
    let error = failure(&Hyperbola, ball, &[1.0, 0.5]);
    assert_eq!(error.outcome(), Outcome::LeftRegion);
    let error = failure(&Hyperbola, Settings::default(), &[1.0, -1.0]);
    assert_eq!(error.outcome(), Outcome::Saddle);
    let well = DoubleWell::new(2, 1.0).expect("valid");
    let error = failure(&well, Settings::default(), &[0.3, 1.0]);
    assert_eq!(error.outcome(), Outcome::IsolatedMinimum);
    let spectrum: Vec<f64> = (0..14).map(|i| 10f64.powi(-i)).collect();
    let steady = Quadratic::from_spectrum(&spectrum).expect("valid");
    let error = failure(&steady, Settings::default(), &[0.0; 14]);
    assert_eq!(error.outcome(), Outcome::NoGap);
}
