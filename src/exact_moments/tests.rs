//! Tests of exact moments.

use super::*;
use crate::clocks::FastTime;
use crate::schedule::{Horizon, ScheduleFamily, Shape};

fn constant(lambda: f64, mu: f64, alpha: f64, eta: f64, t: f64) -> Schedule {
    let family = ScheduleFamily {
        learning_rate: Shape::Constant(lambda),
        momentum: Shape::Constant(mu),
        alpha,
    };
    Schedule::new(&family, eta, Horizon::Fast(FastTime(t))).unwrap()
}

fn parabola() -> QuadraticForm {
    QuadraticForm {
        hessian: DMatrix::identity(1, 1),
        center: DVector::zeros(1),
        offset: 0.0,
    }
}

fn one(v: f64) -> DMatrix<f64> {
    DMatrix::from_element(1, 1, v)
}

#[test]
fn explore() {
    type H = fn(&MomentState) -> f64;
    let hs: [(&str, H); 4] = [
        ("x", |s| s.coordinate(0)),
        ("x2", |s| s.square(0)),
        ("cos", |s| s.cos_gaussian(0)),
        ("x4", |s| s.fourth_gaussian(0)),
    ];
    for (lambda, mu) in [(0.5, 1.0), (1.0, 0.5), (0.5, 0.5)] {
        for alpha in [0.0, 0.25, 0.5, 0.75, 1.0] {
            for (name, h) in hs {
                for end in [false, true] {
                    let err = |p: i32| {
                        let eta = 2f64.powi(-p);
                        let s = constant(lambda, mu, alpha, eta, 2.0);
                        let q =
                            NoisyQuadratic::new(&parabola(), &one(1.0), eta.powf(-0.5)).unwrap();
                        let n = s.steps().0;
                        let saves: Vec<_> = (0..=256).map(|i| Steps(n * i / 256)).collect();
                        let x0 = InitialMoments::at(DVector::from_element(1, 1.0));
                        let a = q.moments(&x0, &s, RateKind::Sgdm, &saves).unwrap();
                        let b = q.moments(&x0, &s, RateKind::SgdAveraged, &saves).unwrap();
                        let e: Vec<f64> =
                            a.iter().zip(&b).map(|(a, b)| (h(a) - h(b)).abs()).collect();
                        if end {
                            e[256]
                        } else {
                            e.into_iter().fold(0.0, f64::max)
                        }
                    };
                    let e: Vec<f64> = (12..16).map(err).collect();
                    let s: Vec<String> = e
                        .windows(2)
                        .map(|w| format!("{:.4}", (w[0] / w[1]).log2()))
                        .collect();
                    println!("l={lambda} mu={mu} a={alpha} {name} end={end} {s:?}");
                }
            }
        }
    }
}
