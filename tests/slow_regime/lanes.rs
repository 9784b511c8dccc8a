//! ∂Φ and ½∂²Φ\[Σ\] of eight lanes against those of single points.

use nalgebra::{DMatrix, DVector};
use slowsde::landscape::*;
use slowsde::projection::{Batch, Covariance, Settings, Tangent};
use slowsde::real::{LANES, Lanes};

/// On Γ the lanes for d ≤ 4 have their own eigenvectors and contractions; above, they use [`Tangent`] lane by lane. Both
/// agree with it: rounding times the condition of the spectra (below 10²) for numbers of size one.
#[test]
fn drift_and_tangent_agree_with_single_points() {
    let exponential = Steepness::Exponential { kappa: 0.5 };
    let cases: Vec<(&str, Box<dyn Landscape>)> = vec![
        ("hyperbola", Box::new(Hyperbola)),
        ("valley", Box::new(Valley::new(exponential).unwrap())),
        (
            "valley, 1 + u²",
            Box::new(Valley::new(Steepness::Quadratic).unwrap()),
        ),
        ("ellipse", Box::new(Ellipse::new(&[1.0, 1.7]).unwrap())),
        (
            "ellipsoid",
            Box::new(Ellipse::new(&[1.0, 1.3, 0.8]).unwrap()),
        ),
        ("sphere", Box::new(Sphere::new(3).unwrap())),
        ("sphere, 4 d", Box::new(Sphere::new(4).unwrap())),
        ("sphere, 10 d", Box::new(Sphere::new(10).unwrap())),
        (
            "ellipsoid, 6 d",
            Box::new(Ellipse::new(&[1.0, 1.3, 0.8, 1.1, 0.9, 1.6]).unwrap()),
        ),
    ];
    for (name, landscape) in cases {
        let landscape = &*landscape;
        let d = landscape.dimension();
        // One column fewer and one more than d: Σ singular, and Σ with a factor that is not square.
        for r in [1, d, d + 1] {
            let mut batch = Batch::new(Settings::default());
            let mut x = vec![Lanes::ZERO; d];
            let mut columns = vec![Lanes::ZERO; d * r];
            let mut v = vec![Lanes::ZERO; d];
            let mut cases = vec![];
            for lane in 0..LANES {
                let wave = |i: usize, s: f64| ((7 * lane + 3 * i + 2) as f64 * s).sin();
                let start = DVector::from_fn(d, |i, _| 0.9 + 0.6 * wave(i, 1.3));
                let point = landscape.exact_projection(&start).unwrap();
                let factor = DMatrix::from_fn(d, r, |i, j| wave(i + 5 * j, 0.7));
                let vector = DVector::from_fn(d, |i, _| wave(i, 2.1));
                set_lane(&mut x, lane, point.as_slice());
                set_lane(&mut columns, lane, factor.as_slice());
                set_lane(&mut v, lane, vector.as_slice());
                cases.push((point, factor, vector));
            }
            let mut drift = vec![Lanes::ZERO; d];
            batch.drift(landscape, &x, &columns, &mut drift);
            batch.tangential(landscape, &x, &mut v);
            for (lane, (point, factor, vector)) in cases.iter().enumerate() {
                let tangent = Tangent::new(landscape, point).unwrap();
                let want = 0.5 * tangent.second_derivative(landscape, Covariance::Factor(factor));
                let got = DVector::from_vec(lane_of(&drift, lane));
                let error = (&got - &want).norm();
                assert!(
                    error < 1e-12 * (1.0 + want.norm()),
                    "{name}, r = {r}, lane {lane}: drift off by {error:e}"
                );
                let part = DVector::from_vec(lane_of(&v, lane));
                let error = (part - tangent.project_vector(vector)).norm();
                assert!(
                    error < 1e-13 * (1.0 + vector.norm()),
                    "{name}, r = {r}, lane {lane}: tangent off by {error:e}"
                );
                // Not only the same, but right: second differences of the closed form of Φ along the columns.
                let epsilon = 1e-3;
                let mut second = DVector::zeros(d);
                for b in factor.column_iter() {
                    let phi = |k: f64| {
                        landscape
                            .exact_projection(&(point + b * (k * epsilon)))
                            .unwrap()
                    };
                    let stencil =
                        (16.0 * (phi(1.0) + phi(-1.0)) - (phi(2.0) + phi(-2.0)) - 30.0 * phi(0.0))
                            / 12.0;
                    second += 0.5 * stencil / (epsilon * epsilon);
                }
                // Rounding 1e-16/ε² = 1e-10 a column, truncation ε⁴ = 1e-12 times sixth derivatives.
                let error = (&got - &second).norm();
                assert!(
                    error < 3e-8 * (1.0 + want.norm()),
                    "{name}, r = {r}, lane {lane}: {error:e} from the differences of Φ"
                );
            }
        }
    }
}

/// Where the tangent space is undecided, every lane says so and no lane disturbs the others.
#[test]
fn undecided_tangent_spaces_are_not_numbers() {
    let sphere = Sphere::new(10).unwrap();
    let mut batch = Batch::new(Settings::default());
    let mut x = vec![Lanes::ZERO; 10];
    let mut v = vec![Lanes::ONE; 10];
    let mut on = [0.0; 10];
    on[3] = 1.0;
    (0..LANES).for_each(|lane| set_lane(&mut x, lane, &on));
    // The origin is a maximum: no minimizer.
    set_lane(&mut x, 2, &[0.0; 10]);
    batch.tangential(&sphere, &x, &mut v);
    for lane in 0..LANES {
        let v = lane_of(&v, lane);
        if lane == 2 {
            assert!(v.iter().all(|v| v.is_nan()), "{v:?}");
        } else {
            assert!(
                v.iter()
                    .enumerate()
                    .all(|(i, v)| (v - if i == 3 { 0.0 } else { 1.0 }).abs() < 1e-14),
                "{v:?}"
            );
        }
    }
}
