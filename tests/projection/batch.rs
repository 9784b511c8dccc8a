//! Batches: every lane as the scalar projection, whatever its neighbours are.

use crate::contract::tight;
use crate::losses::*;
use nalgebra::{DMatrix, DVector};
use slowsde::landscape::{
    Coefficients, FiniteSum, Hyperbola, Jet, Landscape, Quadratic, QuadraticForm, lane_of, set_lane,
};
use slowsde::projection::{Batch, Outcome, Projector, Settings};
use slowsde::real::{LANES, Lanes};

/// Points between 1e-10 and 3 away from `center`, in all directions.
fn spread(center: &[f64], groups: usize) -> (Vec<Lanes>, Vec<DVector<f64>>) {
    let d = center.len();
    let mut x = vec![Lanes::ZERO; groups * d];
    let mut points = vec![];
    for k in 0..groups * LANES {
        let far = 3.0 * 10f64.powf(-10.0 * (k % 11) as f64 / 10.0);
        let point = DVector::from_fn(d, |i, _| {
            center[i] + far * ((k * 7 + i * 5) as f64 * 1.1).sin()
        });
        let group = &mut x[k / LANES * d..][..d];
        set_lane(group, k % LANES, point.as_slice());
        points.push(point);
    }
    (x, points)
}

#[test]
fn lanes_agree_with_single_points() {
    let bent = Bent::new(2, 4, 5.0);
    let origin = Projector::new(&bent, tight())
        .land(&DVector::from_element(4, 0.3))
        .expect("Γ");
    let large = Bent::new(2, 6, 5.0);
    let cases: [(&dyn Landscape, Vec<f64>); 6] = [
        (&Hyperbola, vec![1.5, 1.0 / 1.5]),
        (&Sphere(3), vec![0.6, 0.0, 0.8]),
        (&Ellipse(1.0, 0.3), vec![0.6, (0.64f64 / 0.3).sqrt()]),
        (&ExponentialValley { kappa: 0.5 }, vec![0.9, 0.0]),
        (&bent, origin.point.as_slice().to_vec()),
        (&large, vec![0.3; 6]),
    ];
    for (case, (landscape, center)) in cases.into_iter().enumerate() {
        for (settings, allowed) in [(Settings::default(), 1e-7), (tight(), 1e-10)] {
            let d = center.len();
            let (mut x, points) = spread(&center, 11);
            let mut outcomes = vec![[Outcome::Diverged; LANES]; 11];
            let tally = Batch::new(settings.clone()).project(landscape, &mut x, &mut outcomes);
            println!("{case}: {tally:?}");
            let projector = Projector::new(landscape, tight());
            for (k, point) in points.iter().enumerate() {
                let got = DVector::from_vec(lane_of(&x[k / LANES * d..][..d], k % LANES));
                let outcome = outcomes[k / LANES][k % LANES];
                match projector.land(point) {
                    Ok(want) => {
                        let error = (&got - &want.point).norm();
                        assert_eq!(outcome, Outcome::Landed, "{case}, {k}: {point}");
                        assert!(
                            error <= allowed * (1.0 + want.point.norm()),
                            "{case}, {k}: {error:e} from {point}"
                        );
                    }
                    Err(error) => assert_eq!(outcome, error.outcome(), "{case}, {k}"),
                }
            }
            assert_eq!(tally.landed + tally.failed, 11 * LANES);
            // Failures and at most a few slow lanes apart, the kernel does it all.
            if d <= 4 {
                assert!(tally.alone <= 4, "{case}: {tally:?}");
            }
        }
    }
}

/// The result of a lane is the same bit for bit alone and among others that are far, lost or failing.
#[test]
fn neighbours_do_not_matter() {
    let mut batch = Batch::new(tight());
    let mut outcomes = [[Outcome::Diverged; LANES]];
    let mut alone = vec![Lanes::splat(1.3), Lanes::splat(0.9)];
    batch.project(&Hyperbola, &mut alone, &mut outcomes);
    assert_eq!(outcomes[0], [Outcome::Landed; LANES]);
    let mut mixed = vec![
        Lanes::new([1.3, f64::NAN, 30.0, 1.0, f64::INFINITY, 0.5, 0.0, -4.0]),
        Lanes::new([0.9, 1.0, 20.0, -1.0, 1.0, 2.0, 0.0, -1.0]),
    ];
    batch.project(&Hyperbola, &mut mixed, &mut outcomes);
    for i in 0..2 {
        assert_eq!(mixed[i].to_array()[0], alone[i].to_array()[0]);
    }
    use Outcome::{Landed, NotFinite, Saddle};
    assert_eq!(
        outcomes[0],
        [
            Landed, NotFinite, Landed, Saddle, NotFinite, Landed, Saddle, Landed
        ]
    );
}

#[test]
fn failures_keep_their_point_and_have_codes() {
    let bowl = Quadratic::from_spectrum(&[1.0, 2.0]).expect("valid");
    let mut x = vec![Lanes::splat(0.5), Lanes::splat(0.25)];
    let before = x.clone();
    let mut outcomes = [[Outcome::Landed; LANES]];
    let tally = Batch::new(Settings::default()).project(&bowl, &mut x, &mut outcomes);
    assert_eq!(outcomes[0], [Outcome::IsolatedMinimum; LANES]);
    assert_eq!((tally.failed, x), (LANES, before));
}

/// A landscape that was written without a formula: everything that has a default uses it.
struct Plain;

impl Landscape for Plain {
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
        Hyperbola.descend(step, noise, x, m, scratch);
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

/// The default `gradient_at`, `hessian_at`, `hessians` and `thirds` agree with those of a formula.
#[test]
fn a_landscape_without_a_formula_is_projected_alike() {
    let (start, points) = spread(&[1.5, 1.0 / 1.5], 3);
    let mut outcomes = vec![[Outcome::Diverged; LANES]; 3];
    let mut batch = Batch::new(tight());
    let (mut plain, mut formula) = (start.clone(), start);
    batch.project(&Plain, &mut plain, &mut outcomes);
    let tally = batch.project(&Hyperbola, &mut formula, &mut outcomes);
    assert_eq!(plain, formula);
    assert_eq!(tally.landed, 3 * LANES);
    for x in points {
        let land = |l: &dyn Landscape| Projector::new(l, tight()).land(&x);
        assert_eq!(land(&Plain), land(&Hyperbola));
    }
}
