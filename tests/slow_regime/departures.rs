//! What raw iterates do around Φ(x): against the definitions, from states seen one by one, and limits against dense linear algebra.
#![allow(clippy::needless_range_loop)] // Index notation.

use super::*;
use nalgebra::{DMatrix, DVector};
use slowsde::projection::{Batch, Projector, Tangent};
use slowsde::real::Lanes;

fn departures(names: &[&str], times: Vec<f64>, rates: Vec<f64>) -> Departures {
    let functions = names.iter().map(|n| n.parse::<TestFunction>().unwrap());
    Departures {
        functions: functions.map(|h| h.departure().unwrap()).collect(),
        times,
        rates,
    }
}

/// Every value that an observer sees: `fine[process][function][save][path]`.
struct Values {
    functions: Vec<TestFunction>,
    fine: Vec<Vec<Vec<Vec<f64>>>>,
    coarse: Vec<Vec<Vec<Vec<f64>>>>,
}

impl Observer for Values {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let n = view.ensemble.processes.len();
        let groups = view.alive.len();
        for list in [&mut self.fine, &mut self.coarse] {
            list.resize(n, vec![vec![]; self.functions.len()]);
        }
        let mut out = vec![Lanes::ZERO; groups];
        for p in 0..n {
            for (f, &h) in self.functions.iter().enumerate() {
                view.evaluate(h, p, &mut out, &mut []);
                let all = |out: &[Lanes]| out.iter().flat_map(|o| o.to_array()).collect();
                assert_eq!(self.fine[p][f].len(), save);
                self.fine[p][f].push(all(&out));
                if !view.coarse(p).is_empty() {
                    view.evaluate_coarse(h, p, &mut out, &mut []);
                    self.coarse[p][f].push(all(&out));
                }
            }
        }
    }
    fn finish(&mut self, _view: &BlockView<'_>) {}
}

fn values(e: &Ensemble) -> Values {
    let slow = e.slow.as_ref().unwrap();
    let functions = slow.departures.functions.iter();
    let mut values = Values {
        functions: functions.map(|h| TestFunction::Departure(*h)).collect(),
        fine: vec![],
        coarse: vec![],
    };
    let mut block = Block::new(e);
    block.run(e, 0, block.paths(), &mut values);
    values
}

fn close(a: f64, b: f64, tolerance: f64, what: &str) {
    assert!(
        (a - b).abs() <= tolerance * (1.0 + b.abs()),
        "{what}: {a} for {b}"
    );
}

/// SGD and SGDM on the hyperbola, looked at after every step: x, m = (x_{k−1} − x_k)/(λη) and Φ(x) are seen one by one, and every
/// function is what its definition says. ∂Φ(x)∇L(x), by differences, is small beside the tangential part of ∇L.
#[test]
fn departures_are_what_their_definitions_say() {
    let (eta, sigma, horizon, mu) = (0.05, 1.5, 1.0, 0.6);
    let lambda = 0.8;
    let shapes = || (Shape::Constant(lambda), Shape::Constant(mu));
    let schedule = |alpha| slow_schedule(shapes().0, shapes().1, alpha, eta, horizon);
    let processes = vec![
        process(&schedule(0.0), RateKind::SgdPlain),
        process(&schedule(0.5), RateKind::Sgdm),
    ];
    let saves: Vec<u64> = (0..=40).collect();
    let x0 = [1.6, 0.9];
    let factor = DMatrix::from_row_slice(2, 2, &[0.7, 0.0, 0.3, 0.5]);
    let noise = gaussian(Factor::Matrix(factor), 2);
    let names = [
        "distance2",
        "fluctuation2",
        "fluctuation[1]*fluctuation[2]",
        "excess_loss",
        "normal_gradient2",
        "momentum2",
        "momentum[2]*momentum[1]",
        "gradient_momentum",
        "lag2",
        "projected_gradient2",
        "tangential_gradient2",
        "projected_velocity[2]",
        "projected_velocity2",
    ];
    let make = |landed: bool| {
        let mut e = slow_ensemble(
            Hyperbola,
            noise.clone(),
            eta,
            &x0,
            every(1),
            processes.clone(),
            &saves,
        );
        e.sigma = sigma;
        let slow = e.slow.as_mut().unwrap();
        slow.landed = landed;
        let times = saves.iter().map(|&k| k as f64 * eta * eta).collect();
        if landed {
            slow.departures = departures(&names, times, vec![lambda; saves.len()]);
        }
        e
    };
    let (raw, seen) = (states(&make(false), 8), values(&make(true)));
    let unit = eta * sigma * sigma;
    let landscape: &dyn Landscape = &Hyperbola;
    let gain = eta.powf(0.5) * mu;
    let spread = (2.0 - gain) / gain / (sigma * sigma);
    let vector = |x: &[f64]| DVector::from_column_slice(x);
    let mut straight = 0.0f64;
    for p in 0..2 {
        for path in 0..8 {
            let mut before = vector(&x0);
            let mut old = landscape.exact_projection(&before).unwrap();
            for save in 1..saves.len() {
                let x = vector(States::of(&raw.fine, p, save, path, 2));
                let point = landscape.exact_projection(&x).unwrap();
                let m = (&before - &x) / (lambda * eta);
                let z = &x - &point;
                let mut g = DVector::zeros(2);
                landscape.gradient_at(x.as_slice(), g.as_mut_slice());
                let loss = 0.5 * (x[0] * x[1] - 1.0).powi(2);
                let along = Tangent::new(landscape, &point).unwrap().project_vector(&g);
                let step = &point - &old;
                let time = eta * eta;
                let wanted = [
                    z.norm_squared(),
                    z.norm_squared() / unit,
                    z[0] * z[1] / unit,
                    loss / unit,
                    g.norm_squared() / unit,
                    m.norm_squared() * spread,
                    m[0] * m[1] * spread,
                    g.dot(&m) * spread,
                    (lambda * eta * (1.0 - gain) / gain).powi(2) * m.norm_squared(),
                    0.0,
                    along.norm_squared() / unit.powi(2),
                    step[1] / time,
                    step.norm_squared() / time,
                ];
                for (f, (name, want)) in names.iter().zip(wanted).enumerate() {
                    let got = seen.fine[p][f][save][path];
                    let of_momentum = (5..=8).contains(&f);
                    if of_momentum && p == 0 {
                        assert!(got.is_nan(), "SGD has no momentum: {name} {got}");
                        continue;
                    }
                    let tolerance = match f {
                        // Φ to 1e-8 over a step of 1/400.
                        11 | 12 => 1e-4,
                        9 => {
                            straight = straight.max(got);
                            1e-4
                        }
                        _ => 1e-5,
                    };
                    close(got, want, tolerance, &format!("{name} at {save} of {path}"));
                }
                // Nothing is asked of the differences that the variational equation does not say.
                if save % 20 == 0 {
                    let settings = Settings {
                        tolerance: Tolerance::TIGHT,
                        ..Settings::default()
                    };
                    let directions = DMatrix::from_column_slice(2, 1, g.as_slice());
                    let exact = Projector::new(landscape, settings).derivative(&x, &directions);
                    let exact = exact.unwrap().1.norm_squared() / unit.powi(2);
                    assert!(exact < 1e-8, "{exact}");
                }
                (before, old) = (x, point);
            }
        }
    }
    let bent = seen.fine[0][10]
        .iter()
        .flatten()
        .fold(0.0f64, |m, v| m.max(*v));
    assert!(bent > 0.1, "{bent}");
    assert!(straight < 1e-3 * bent, "{straight} beside {bent}");
}

/// (H⊗I + I⊗H)X = QΣQ by the pseudoinverse of the whole d² × d² matrix: the least solution is that in the normal space.
fn dense(h: &DMatrix<f64>, sigma: &DMatrix<f64>) -> (DMatrix<f64>, f64, f64) {
    let d = h.nrows();
    let identity = DMatrix::<f64>::identity(d, d);
    let inverse = h.clone().pseudo_inverse(1e-9 * h.norm()).unwrap();
    let q = h * inverse;
    let inner = &q * sigma * q.transpose();
    let whole = h.kronecker(&identity) + identity.kronecker(h);
    let inverse = whole.pseudo_inverse(1e-9 * h.norm()).unwrap();
    let x = inverse * DVector::from_column_slice(inner.as_slice());
    let x = DMatrix::from_column_slice(d, d, x.as_slice());
    (x, inner.trace(), (h * sigma).trace())
}

/// The stationary covariance 𝓛_H^{-1}(QΣQ), tr(QΣ) and tr(HΣ) at points of Γ, for Σ that commutes with nothing: in the plane, in space,
/// with two normal directions, and above four dimensions. Its trace is ½ tr(H†Σ).
#[test]
fn stationary_covariances_are_those_of_dense_algebra() {
    let design = DMatrix::from_row_slice(2, 3, &[1.0, 0.5, -0.3, 0.2, -1.0, 0.7]);
    let network = DiagonalNetwork::new(&design, vec![0.6, -0.4]).unwrap();
    let factor = DMatrix::from_row_slice(2, 2, &[1.0, 0.3, -0.2, 0.8]);
    let factorization = MatrixFactorization::new(&factor).unwrap();
    let cases: Vec<(Arc<dyn Landscape>, Vec<f64>)> = vec![
        (Arc::new(Hyperbola), vec![1.8, 0.6]),
        (Arc::new(Sphere::new(3).unwrap()), vec![0.4, 1.0, -0.5]),
        (Arc::new(factorization), vec![0.9, -0.1, 0.4, 0.7]),
        (Arc::new(network), vec![0.9, 0.4, 0.7, 0.3, 0.8, 0.5]),
    ];
    let mut codimensions = vec![];
    for (landscape, start) in cases {
        let d = start.len();
        let settings = Settings {
            tolerance: Tolerance::TIGHT,
            ..Settings::default()
        };
        let projector = Projector::new(&*landscape, settings.clone());
        let landing = projector.land(&DVector::from_vec(start)).unwrap();
        codimensions.push((d, landing.rank));
        let factor = DMatrix::from_fn(d, d, |i, j| ((3 * i + 5 * j) as f64).sin() + 0.2);
        let sigma = &factor * factor.transpose();
        let mut h = DMatrix::zeros(d, d);
        landscape.hessian_at(landing.point.as_slice(), h.as_mut_slice());
        let (wanted, normal, curved) = dense(&h, &sigma);
        let mut batch = Batch::new(settings);
        let x = slowsde::landscape::broadcast(landing.point.as_slice());
        let columns = slowsde::landscape::broadcast(factor.as_slice());
        let mut found = vec![Lanes::ZERO; d * d];
        let traces = batch.fluctuation(&*landscape, &x, &columns, &mut found);
        for lane in [0, 7] {
            let [n, c] = traces.map(|t| t.to_array()[lane]);
            close(n, normal, 1e-8, "tr QΣ");
            close(c, curved, 1e-8, "tr HΣ");
            let found = lane_of(&found, lane);
            for (got, want) in found.iter().zip(wanted.iter()) {
                close(*got, *want, 1e-8, "covariance");
            }
            let trace: f64 = (0..d).map(|i| found[i * d + i]).sum();
            let inverse = h.clone().pseudo_inverse(1e-9 * h.norm()).unwrap();
            close(trace, 0.5 * (inverse * &sigma).trace(), 1e-8, "½ tr(H†Σ)");
        }
    }
    assert_eq!(codimensions, [(2, 1), (3, 1), (4, 3), (6, 2)]);
}

/// The slow SDE shows the limits at its own points, at both of its steps, with λ of the look and Σ at scale 1; what vanishes is 0.
#[test]
fn limits_are_taken_where_the_slow_sde_is() {
    let (eta, sigma) = (0.1, 2.0);
    let names = [
        "fluctuation2",
        "fluctuation[1]*fluctuation[2]",
        "excess_loss",
        "normal_gradient2",
        "momentum2",
        "momentum[1]*momentum[2]",
        "distance2",
        "tangential_gradient2",
    ];
    let factor = DMatrix::from_row_slice(2, 2, &[0.7, 0.0, 0.3, 0.5]);
    let noise = gaussian(Factor::Matrix(factor.clone()), 2);
    let saves = [0, 2, 4, 8];
    let x0 = [1.25, 0.8];
    let processes = vec![slow_sde(SlowScheme::Projected)];
    let mut e = slow_ensemble(Hyperbola, noise, eta, &x0, every(1), processes, &saves);
    e.sigma = sigma;
    let rates = vec![1.0, 0.9, 0.5, 0.25];
    let slow = e.slow.as_mut().unwrap();
    slow.departures = departures(&names, vec![0.0; 4], rates.clone());
    let (points, seen) = (states(&e, 8), values(&e));
    let covariance = &factor * factor.transpose();
    for (points, seen) in [(&points.fine, &seen.fine), (&points.coarse, &seen.coarse)] {
        for (save, &rate) in rates.iter().enumerate() {
            for path in 0..8 {
                let x = States::of(points, 0, save, path, 2);
                let mut h = DMatrix::zeros(2, 2);
                Hyperbola.hessian_at(x, h.as_mut_slice());
                let (cov, normal, curved) = dense(&h, &covariance);
                let wanted = [
                    rate * cov.trace(),
                    rate * cov[(0, 1)],
                    0.25 * rate * normal,
                    0.5 * rate * curved,
                    covariance.trace(),
                    covariance[(0, 1)],
                    0.0,
                    0.0,
                ];
                for (f, want) in wanted.into_iter().enumerate() {
                    close(seen[0][f][save][path], want, 1e-6, names[f]);
                }
            }
        }
    }
}

/// Velocities are taken between regular looks: an early one sees that since the last of them, and starts nothing anew.
#[test]
fn velocities_are_taken_between_regular_looks() {
    let (eta, horizon) = (0.1, 0.2);
    let processes = vec![sgd(eta, horizon), slow_sde(SlowScheme::Projected)];
    let saves = [0, 2, 6, 8, 12, 20];
    let early = vec![1, 3];
    let x0 = [1.25, 0.8];
    let mut e = slow_ensemble(
        Hyperbola,
        isotropic(1.0, 2),
        eta,
        &x0,
        every(1),
        processes,
        &saves,
    );
    let slow = e.slow.as_mut().unwrap();
    let times: Vec<f64> = saves.iter().map(|&k| k as f64 * eta * eta).collect();
    slow.early = early.clone();
    let names = ["projected_velocity[1]", "projected_velocity2"];
    slow.departures = departures(&names, times.clone(), vec![1.0; saves.len()]);
    let (points, seen) = (states(&e, 8), values(&e));
    for process in 0..2 {
        for path in 0..8 {
            let mut last = 0;
            for save in 0..saves.len() {
                let at = |s: usize| {
                    DVector::from_column_slice(States::of(&points.fine, process, s, path, 2))
                };
                let (step, time) = (at(save) - at(last), times[save] - times[last]);
                let share = if time > 0.0 { 1.0 / time } else { 0.0 };
                let wanted = [step[0] * share, step.norm_squared() * share];
                for (f, want) in wanted.into_iter().enumerate() {
                    let got = seen.fine[process][f][save][path];
                    close(got, want, 1e-12, &format!("{} at {save}", names[f]));
                }
                if !early.contains(&save) {
                    last = save;
                }
            }
        }
    }
    assert!(seen.coarse[1][0].iter().flatten().any(|v| *v != 0.0));
}

/// Departures cost nothing of what is seen without them: statistics of other functions are the same bits.
#[test]
fn departures_do_not_disturb() {
    let (eta, horizon) = (0.1, 0.4);
    let processes = || {
        vec![
            sgd(eta, horizon),
            sgdm(0.5, eta, horizon),
            slow_sde(SlowScheme::Projected),
        ]
    };
    let saves = [0, 8, 16, 40];
    let x0 = [1.4, 0.9];
    let make = || {
        slow_ensemble(
            Hyperbola,
            isotropic(1.0, 2),
            eta,
            &x0,
            every(1),
            processes(),
            &saves,
        )
    };
    let plain = run(&make(), &plan(&["x[1]", "x[2]^2"], &[(0, 2)]), 640);
    let mut with = make();
    let names = ["fluctuation2", "projected_gradient2", "projected_velocity2"];
    let times = saves.iter().map(|&k| k as f64 * eta * eta).collect();
    with.slow.as_mut().unwrap().departures = departures(&names, times, vec![1.0; 4]);
    let all = [&["x[1]", "x[2]^2"][..], &names[..]].concat();
    let with = run(&with, &plan(&all, &[(0, 2)]), 640);
    for (a, b) in plain
        .panel
        .iter()
        .flatten()
        .zip(with.panel.iter().flatten())
    {
        assert_eq!(a.mean[..], b.mean[..2]);
    }
    assert_eq!(plain.failures, with.failures);
    assert!(
        with.panel[3][0].mean[2..]
            .iter()
            .all(|m| m.is_finite() && *m > 0.0)
    );
}

/// (51) departs as an optimizer does, at both of its steps; it has no momentum to speak of.
#[test]
fn the_limiting_sde_departs_at_both_of_its_steps() {
    let (eta, saves, x0) = (0.05, [0u64, 6, 10, 20], [1.6, 0.9]);
    let names = [
        "distance2",
        "excess_loss",
        "normal_gradient2",
        "projected_velocity2",
        "momentum2",
    ];
    let times: Vec<f64> = saves.iter().map(|&k| k as f64 * eta * eta).collect();
    let make = |landed: bool| {
        let noise = isotropic(0.6, 2);
        let mut e = slow_ensemble(Hyperbola, noise, eta, &x0, every(1), vec![sde(2)], &saves);
        let slow = e.slow.as_mut().unwrap();
        slow.landed = landed;
        if landed {
            slow.departures = departures(&names, times.clone(), vec![1.0; saves.len()]);
        }
        e
    };
    let (raw, seen) = (states(&make(false), 8), values(&make(true)));
    for (what, list, values) in [
        ("fine", &raw.fine, &seen.fine[0]),
        ("coarse", &raw.coarse, &seen.coarse[0]),
    ] {
        for path in 0..8 {
            let start = DVector::from_column_slice(&x0);
            let mut old = Landscape::exact_projection(&Hyperbola, &start).unwrap();
            for save in 1..saves.len() {
                let x = DVector::from_column_slice(States::of(list, 0, save, path, 2));
                let point = Landscape::exact_projection(&Hyperbola, &x).unwrap();
                let mut g = DVector::zeros(2);
                Hyperbola.gradient_at(x.as_slice(), g.as_mut_slice());
                let wanted = [
                    (&x - &point).norm_squared(),
                    0.5 * (x[0] * x[1] - 1.0).powi(2) / eta,
                    g.norm_squared() / eta,
                    (&point - &old).norm_squared() / (times[save] - times[save - 1]),
                ];
                for (f, wanted) in wanted.into_iter().enumerate() {
                    let name = format!("{} at the {what} step, save {save}", names[f]);
                    close(values[f][save][path], wanted, 1e-6, &name);
                }
                assert!(values[4][save][path].is_nan());
                old = point;
            }
        }
    }
    assert_ne!(seen.fine[0][0], seen.coarse[0][0]);
}
