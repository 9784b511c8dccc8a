//! The engine against independent evidence: exact moments, a scalar reference, algebraic identities, other thread counts.

mod common;

use common::*;
use nalgebra::{DMatrix, DVector};
use rand_xoshiro::rand_core::Rng;
use slowsde::clocks::{FastTime, Steps};
use slowsde::ensemble::*;
use slowsde::exact_moments::{InitialMoments, MomentState, NoisyQuadratic};
use slowsde::landscape::*;
use slowsde::oracle::*;
use slowsde::random::{Purpose, normals_scalar};
use slowsde::real::{LANES, Lanes};
use slowsde::schedule::{Dampening, RateKind, Shape};
use std::sync::Arc;

const SAVES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 96, 128];

fn spd(d: usize) -> DMatrix<f64> {
    let r = DMatrix::from_fn(d, d, |i, j| (((3 * i + 7 * j) % 5) as f64 - 2.0) / 3.0);
    let m = &r * r.transpose() / d as f64;
    m + DMatrix::identity(d, d) * 0.3
}

/// SGD, SGDM at two α and the SDE on quadratics in d = 1, 2 and 20 agree with the exact moments within 4 standard errors
/// at every save time. With the fixed seed this either holds or not; for a random one the family of about 9·4·7 correlated
/// tests per dimension has false-alarm level below 252·6.3e-5 = 1.6 %.
#[test]
fn monte_carlo_agrees_with_exact_moments() {
    for d in [1, 2, 20] {
        let eta: f64 = 1.0 / 64.0;
        let horizon = 2.0;
        let landscape = Quadratic::from_matrix(spd(d)).unwrap();
        let form = Landscape::quadratic_form(&landscape).unwrap();
        let factor = DMatrix::from_fn(d, d, |i, j| if i == j { 1.0 } else { 0.1 });
        let sigma = eta.powf(-0.5);
        let x0: Vec<f64> = (0..d).map(|i| 1.0 - 0.2 * (i % 4) as f64).collect();
        let schedules = [0.0, 0.5].map(|alpha| constant(0.5, alpha, eta, horizon));
        let processes = vec![
            process(&schedules[0], RateKind::SgdAveraged),
            process(&schedules[0], RateKind::Sgdm),
            process(&schedules[1], RateKind::Sgdm),
            sde(8),
        ];
        let e = ensemble(
            Arc::new(landscape),
            gaussian(Factor::Matrix(factor.clone()), d),
            sigma,
            eta,
            &x0,
            processes,
            &SAVES,
        );
        let last = format!("x[{d}]");
        let names = [
            "x[1]",
            "x[1]^2",
            "x[1]^4",
            "cos(x[1])",
            &last,
            "norm2",
            "loss",
        ];
        let total = run(&e, &plan(&names, &[]), 20_000);
        let problem = NoisyQuadratic::new(&form, &(&factor * factor.transpose()), sigma).unwrap();
        let initial = InitialMoments::at(DVector::from_column_slice(&x0));
        let saves: Vec<Steps> = SAVES.iter().map(|&k| Steps(k)).collect();
        let times: Vec<FastTime> = saves.iter().map(|k| k.fast(eta)).collect();
        let discrete = |s: usize, kind| {
            problem
                .moments(&initial, &schedules[s], kind, &saves)
                .unwrap()
        };
        let exact: [Vec<MomentState>; 4] = [
            discrete(0, RateKind::SgdAveraged),
            discrete(0, RateKind::Sgdm),
            discrete(1, RateKind::Sgdm),
            problem
                .limiting_moments(
                    &initial,
                    &Shape::Constant(1.0),
                    FastTime(horizon),
                    eta,
                    &times,
                )
                .unwrap(),
        ];
        for (p, states) in exact.iter().enumerate() {
            for (j, s) in states.iter().enumerate() {
                let want = [
                    s.coordinate(0),
                    s.square(0),
                    s.fourth_gaussian(0),
                    s.cos_gaussian(0),
                    s.coordinate(d - 1),
                    s.norm_squared(),
                    s.quadratic_loss(&form),
                ];
                let m = &total.panel[j][p];
                for (h, want) in want.into_iter().enumerate() {
                    let deviation = (m.mean[h] - want) / m.standard_error(h).max(1e-12);
                    assert!(
                        deviation.abs() <= 4.0,
                        "d = {d}, process {p}, step {}, {}: {} against {want}, {deviation:.2} standard errors",
                        SAVES[j],
                        names[h],
                        m.mean[h]
                    );
                }
            }
        }
    }
}

/// SVAG with ℓ = 5 in the lock step, of signs behind a factor: SGD and SGDM have the moments of noise of scale σ (no moment beyond the
/// second is asked for), at every save time within 4 standard errors (2·9·4 correlated tests: false-alarm level below 0.5 %). With d = 2
/// a block has several groups of lanes.
#[test]
fn svag_has_the_moments_of_its_scale() {
    let (d, eta, ell): (usize, f64, f64) = (2, 1.0 / 64.0, 5.0);
    let landscape = Quadratic::from_matrix(spd(d)).unwrap();
    let form = Landscape::quadratic_form(&landscape).unwrap();
    let factor = DMatrix::from_row_slice(2, 3, &[1.0, 0.2, 0.0, 0.1, 0.7, -0.4]);
    let base = FactorNoise::new(Factor::Matrix(factor.clone()), EntryLaw::Rademacher, d);
    let svag = Svag::new(Arc::new(base), d, ell).unwrap();
    let sigma = 1.7 * ell.sqrt();
    let schedule = constant(0.5, 0.0, eta, 2.0);
    let kinds = [RateKind::SgdPlain, RateKind::Sgdm];
    let e = ensemble(
        Arc::new(landscape),
        Arc::new(svag),
        sigma,
        eta,
        &[1.0, 0.8],
        kinds.map(|k| process(&schedule, k)).to_vec(),
        &SAVES,
    );
    assert!(e.groups() > 1);
    let total = run(&e, &plan(&["x[1]", "x[1]^2", "x[2]", "norm2"], &[]), 20_000);
    let problem = NoisyQuadratic::new(&form, &(&factor * factor.transpose()), sigma).unwrap();
    let initial = InitialMoments::at(DVector::from_row_slice(&[1.0, 0.8]));
    let saves = SAVES.map(Steps);
    for (p, kind) in kinds.into_iter().enumerate() {
        let exact = problem.moments(&initial, &schedule, kind, &saves).unwrap();
        for (j, s) in exact.iter().enumerate() {
            let want = [
                s.coordinate(0),
                s.square(0),
                s.coordinate(1),
                s.norm_squared(),
            ];
            let m = &total.panel[j][p];
            for (h, want) in want.into_iter().enumerate() {
                let deviation = (m.mean[h] - want) / m.standard_error(h).max(1e-12);
                assert!(
                    deviation.abs() <= 4.0,
                    "{kind:?}, save {j}, {h}: {deviation:.2}"
                );
            }
        }
    }
}

/// The SDEs with momentum, damped and not, against their exact moments: the paths within 4 standard errors, as above (2·9·5
/// correlated tests, false-alarm level below 0.6 %); and one path without noise, whose step error is of first order, within what is left
/// of it after extrapolation.
#[test]
fn sdes_with_momentum_have_their_moments() {
    let eta: f64 = 1.0 / 64.0;
    let (d, gamma, horizon) = (2, 1.3, 2.0);
    let landscape = Arc::new(Quadratic::from_matrix(spd(d)).unwrap());
    let form = Landscape::quadratic_form(&*landscape).unwrap();
    let factor = DMatrix::from_fn(d, d, |i, j| if i == j { 1.0 } else { 0.1 });
    let x0 = [1.0, 0.8];
    let kinds = [Damping::Full, Damping::None];
    let initial = InitialMoments::at(DVector::from_column_slice(&x0));
    let times: Vec<FastTime> = SAVES.iter().map(|&k| Steps(k).fast(eta)).collect();
    let names = ["x[1]", "x[1]^2", "x[2]", "norm2", "loss"];
    let schedule = constant(gamma, 1.0, eta, horizon);
    for sigma in [eta.powf(-0.5), 0.0] {
        let mut processes = kinds.map(|k| inertial_sde(gamma, k, 8)).to_vec();
        processes.push(process(&schedule, RateKind::Sgdm));
        let e = ensemble(
            landscape.clone(),
            gaussian(Factor::Matrix(factor.clone()), d),
            sigma,
            eta,
            &x0,
            processes,
            &SAVES,
        );
        let paths = if sigma > 0.0 { 20_000 } else { 8 };
        let total = run(&e, &plan(&names, &[(2, 0), (2, 1)]), paths);
        let problem = NoisyQuadratic::new(&form, &(&factor * factor.transpose()), sigma).unwrap();
        for (p, damping) in kinds.into_iter().enumerate() {
            let exact = problem
                .inertial_moments(&initial, (1.0, gamma), damping, eta, &times)
                .unwrap();
            for (j, s) in exact.iter().enumerate() {
                let want = [
                    s.coordinate(0),
                    s.square(0),
                    s.coordinate(1),
                    s.norm_squared(),
                    s.quadratic_loss(&form),
                ];
                let m = &total.panel[j][p];
                for (h, want) in want.into_iter().enumerate() {
                    let error = m.mean[h] - want;
                    let allowed = if sigma > 0.0 {
                        4.0 * m.standard_error(h)
                    } else {
                        // c(2h) − c(h) is the step error; what is left is of second order.
                        let step = total.step_error[j][p].mean[h];
                        assert!(step.abs() < 5e-3);
                        2e-5
                    };
                    let name = names[h];
                    assert!(error.abs() <= allowed, "{damping:?} {j} {name}: {error}");
                }
            }
        }
        if sigma > 0.0 {
            // On one Brownian path SGDM at α = 1 is close to (52)–(53), path by path; to the undamped one it is not.
            let spread = |pair: usize| total.pairs[8][pair].standard_error(0);
            assert!(20.0 * spread(0) < total.panel[8][2].standard_error(0));
            assert!(spread(1) > 5.0 * spread(0));
        }
    }
}

/// The same seed gives the same bits on 1, 2 and 8 threads, and whatever else runs beside a process.
#[test]
fn bits_do_not_depend_on_threads_or_company() {
    let eta = 1.0 / 32.0;
    let s = constant(0.5, 0.5, eta, 2.0);
    let lone = vec![
        process(&s, RateKind::SgdAveraged),
        process(&s, RateKind::Sgdm),
    ];
    let full = [lone.clone(), vec![sde(4)]].concat();
    let make = |processes| {
        ensemble(
            Arc::new(Hyperbola),
            gaussian(Factor::Isotropic(0.5), 2),
            2.0,
            eta,
            &[1.5, 0.5],
            processes,
            &[1, 8, 64],
        )
    };
    let plan = plan(&["x[1]", "x[2]^2", "loss"], &[(0, 1)]);
    let on = |threads: usize, e: &Ensemble| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(e, &plan, 3000))
    };
    let e = make(full);
    let one = on(1, &e);
    assert_eq!(one, on(2, &e));
    assert_eq!(one, on(8, &e));
    // Without the SDE the discrete processes see the same innovations; blocks are larger, so only sums may round apart.
    let alone = on(2, &make(lone));
    for (a, b) in one.panel.iter().zip(&alone.panel) {
        for p in 0..2 {
            for h in 0..3 {
                assert!((a[p].mean[h] - b[p].mean[h]).abs() <= 1e-12 * a[p].mean[h].abs().max(1.0));
                assert_eq!(a[p].least[h].to_bits(), b[p].least[h].to_bits());
                assert_eq!(a[p].greatest[h].to_bits(), b[p].greatest[h].to_bits());
            }
        }
    }
}

/// Accumulators of disjoint ranges merge to the accumulator of the whole; they survive serialisation.
#[test]
fn disjoint_ranges_merge() {
    let eta = 1.0 / 16.0;
    let s = constant(0.5, 0.0, eta, 1.0);
    let e = ensemble(
        Arc::new(DoubleWell::default()),
        gaussian(Factor::Isotropic(1.0), 1),
        2.0,
        eta,
        &[0.3],
        vec![process(&s, RateKind::Sgdm), sde(8)],
        &[4, 16],
    );
    let plan = plan(&["x[1]", "x[1]^2"], &[(0, 1)]);
    let part = |range| e.run(&plan, range, 64, &Control::default()).unwrap();
    let whole = part(0..1000);
    let mut merged = Accumulator::default();
    for range in [0..320, 320..321, 321..1000] {
        let text = serde_json::to_string(&part(range)).unwrap();
        merged.merge(&serde_json::from_str(&text).unwrap());
    }
    assert_eq!(merged.started, whole.started);
    assert_eq!(merged.histograms, whole.histograms);
    for (a, b) in merged
        .panel
        .iter()
        .flatten()
        .zip(whole.panel.iter().flatten())
    {
        assert_eq!((a.n, &a.least, &a.greatest), (b.n, &b.least, &b.greatest));
        for i in 0..2 {
            assert!((a.mean[i] - b.mean[i]).abs() < 1e-13);
            for j in 0..2 {
                assert!((a.covariance(i, j) - b.covariance(i, j)).abs() < 1e-12);
            }
        }
    }
}

struct States(Vec<Vec<Vec<f64>>>);

impl Observer for States {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        for (p, rows) in self.0.iter_mut().enumerate() {
            assert_eq!(rows.len(), save);
            let x = view.state(p);
            rows.push(x.iter().flat_map(|v| v.to_array()).collect());
        }
    }
    fn finish(&mut self, _view: &BlockView<'_>) {}
}

/// All states of the first block: `[process][save][number]`.
fn states(e: &Ensemble) -> Vec<Vec<Vec<f64>>> {
    let mut states = States(vec![vec![]; e.processes.len()]);
    let mut block = Block::new(e);
    block.run(e, 0, block.paths(), &mut states);
    states.0
}

/// SGDM with β = 0 is SGD bit for bit; SGD-Standard with Lemma A.2's conversion is SGDM to rounding; with PyTorch's first
/// step it is SGDM with β_0 = 0.
#[test]
fn conventions_agree_path_by_path() {
    let eta = 1.0 / 32.0;
    let saves: Vec<u64> = (1..=64).collect();
    let make = |processes| {
        ensemble(
            Arc::new(Hyperbola),
            gaussian(Factor::Growing(0.3), 2),
            1.5,
            eta,
            &[1.5, 0.5],
            processes,
            &saves,
        )
    };
    let none = constant(1.0, 0.0, eta, 2.0);
    let x = states(&make(vec![
        process(&none, RateKind::SgdAveraged),
        process(&none, RateKind::Sgdm),
    ]));
    assert_eq!(x[0], x[1]);
    let moving = schedule(
        Shape::cosine(1.0, 0.1).unwrap(),
        Shape::table(vec![0.0, 1.0, 2.0], vec![0.9, 0.2, 0.6]).unwrap(),
        0.25,
        eta,
        2.0,
    );
    for tau in [0.0, 0.4] {
        let dampening = Dampening::new(tau).unwrap();
        let standard = |pytorch_first_step| RateKind::Standard {
            dampening,
            pytorch_first_step,
        };
        let mut e = make(vec![
            process(&moving, RateKind::Sgdm),
            process(&moving, standard(false)),
            process(&moving, standard(true)),
        ]);
        e.m0 = InitialMomentum::Fixed(vec![0.5, -0.2]);
        let x = states(&e);
        let gap = |a: &Vec<Vec<f64>>, b: &Vec<Vec<f64>>| {
            a.iter()
                .flatten()
                .zip(b.iter().flatten())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max)
        };
        // 64 steps of a few roundings each on numbers of size 1.
        assert!(
            gap(&x[0], &x[1]) < 1e-12,
            "τ = {tau}: {:e}",
            gap(&x[0], &x[1])
        );
        assert!(gap(&x[0], &x[2]) > 1e-3);
    }
}

/// The lanes against the definitions in scalar code with library functions: Defs. 3.2 and 3.3, one path at a time.
#[test]
fn lanes_agree_with_a_scalar_reference() {
    let eta = 1.0 / 64.0;
    let sigma = 3.0;
    let moving = schedule(
        Shape::warmup(0.5, 0.2, Shape::cosine(1.0, 0.3).unwrap()).unwrap(),
        Shape::constant(0.7).unwrap(),
        0.5,
        eta,
        2.0,
    );
    let saves: Vec<u64> = (1..=128).collect();
    let e = ensemble(
        Arc::new(Hyperbola),
        gaussian(Factor::Diagonal(vec![0.2, 0.4]), 2),
        sigma,
        eta,
        &[1.5, 0.5],
        vec![
            process(&moving, RateKind::SgdAveraged),
            process(&moving, RateKind::Sgdm),
        ],
        &saves,
    );
    let x = states(&e);
    for path in [0usize, 5, 13] {
        let mut rng = e.key.scalar(Purpose::Innovation, path as u64);
        let (mut z, mut w, mut m) = ([1.5, 0.5], [1.5, 0.5], [0.0f64; 2]);
        for k in 0..128u64 {
            let mut xi = [0.0; 2];
            normals_scalar(&mut rng, &mut xi);
            let gradient = |p: [f64; 2]| {
                let r = p[0] * p[1] - 1.0;
                [
                    r * p[1] + sigma * 0.2 * xi[0],
                    r * p[0] + sigma * 0.4 * xi[1],
                ]
            };
            let (gz, gw) = (gradient(z), gradient(w));
            let gain = moving.one_minus_beta(Steps(k));
            for i in 0..2 {
                z[i] -= moving.averaged_rate(Steps(k)) * gz[i];
                m[i] = (1.0 - gain) * m[i] + gain * gw[i];
                w[i] -= moving.learning_rate(Steps(k)) * m[i];
            }
            for (p, reference) in [z, w].iter().enumerate() {
                for i in 0..2 {
                    // Group path/8, coordinate i, lane path%8.
                    let lane = x[p][k as usize][(path / 8 * 2 + i) * 8 + path % 8];
                    assert!(
                        (lane - reference[i]).abs() < 1e-12,
                        "path {path}, step {k}, process {p}"
                    );
                }
            }
        }
    }
}

/// y_{k+1} = y_k − η̄_k g_k: the coupled trajectory is SGD at the averaged rates on the gradients of SGDM (Eqs. 9–11). On a
/// constant gradient field plus additive noise it is SGD itself.
#[test]
fn the_coupled_trajectory_is_sgd_on_the_same_gradients() {
    let eta = 1.0 / 32.0;
    let s = schedule(
        Shape::cycle(vec![0.5, 1.5, 1.0]).unwrap(),
        Shape::cycle(vec![0.9, 0.1]).unwrap(),
        0.0,
        eta,
        4.0,
    );
    let saves: Vec<u64> = (0..=128).collect();
    let weights = saves.iter().map(|&k| s.coupling(Steps(k))).collect();
    let e = ensemble(
        Arc::new(Quadratic::from_spectrum(&[0.0, 0.0]).unwrap()),
        gaussian(Factor::Isotropic(1.0), 2),
        1.0,
        eta,
        &[1.0, 2.0],
        vec![
            process(&s, RateKind::SgdAveraged),
            process(&s, RateKind::Sgdm),
            Dynamics::Coupled { of: 1, weights },
        ],
        &saves,
    );
    let x = states(&e);
    for (z, y) in x[0].iter().flatten().zip(x[2].iter().flatten()) {
        assert!((z - y).abs() < 1e-13);
    }
}

/// Eq. (11) step by step is Eq. (9) from x_k and m_k, to rounding, on a curved loss with noise that depends on x and a schedule that
/// moves; with η_k in place of η̄_k it is not.
#[test]
fn the_coupled_trajectory_obeys_its_own_steps() {
    let eta = 1.0 / 32.0;
    let s = schedule(
        Shape::cycle(vec![0.5, 1.5, 1.0]).unwrap(),
        Shape::cycle(vec![0.9, 0.1]).unwrap(),
        0.25,
        eta,
        2.0,
    );
    let saves: Vec<u64> = (0..=64).collect();
    let steps = |kind| Dynamics::CoupledSteps {
        of: 0,
        weight: s.coupling(Steps(0)),
        schedule: s.clone(),
        kind,
    };
    let weights = saves.iter().map(|&k| s.coupling(Steps(k))).collect();
    let mut e = ensemble(
        Arc::new(Hyperbola),
        gaussian(Factor::Growing(0.3), 2),
        1.5,
        eta,
        &[1.5, 0.5],
        vec![
            process(&s, RateKind::Sgdm),
            Dynamics::Coupled { of: 0, weights },
            steps(RateKind::SgdAveraged),
            steps(RateKind::SgdPlain),
        ],
        &saves,
    );
    e.m0 = InitialMomentum::Fixed(vec![0.4, -0.3]);
    let x = states(&e);
    let farthest = |a: usize, b: usize| {
        let pairs = x[a].iter().flatten().zip(x[b].iter().flatten());
        pairs.fold(0.0f64, |far, (a, b)| far.max((a - b).abs()))
    };
    assert!(farthest(1, 2) < 1e-12, "{:e}", farthest(1, 2));
    assert!(farthest(1, 3) > 0.05 && farthest(0, 1) > 0.01);
}

/// Every step of one process on a block: positions, and what is said of it beside.
#[derive(Default)]
struct Ways {
    process: usize,
    ways: Vec<TestFunction>,
    /// `[save][path][coordinate]`, and `[save][function][path]`.
    states: Vec<Vec<Vec<f64>>>,
    values: Vec<Vec<Vec<f64>>>,
}

impl Observer for Ways {
    fn observe(&mut self, _save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        let mut out = vec![Lanes::ZERO; view.alive.len()];
        let flat = |out: &[Lanes]| out.iter().flat_map(|v| v.to_array()).collect::<Vec<f64>>();
        let groups = view.state(self.process).chunks_exact(d);
        let lanes = groups.flat_map(|x| (0..LANES).map(|l| lane_of(x, l)).collect::<Vec<_>>());
        self.states.push(lanes.collect());
        let value = |h: &TestFunction| {
            let mut scratch = vec![Lanes::ZERO; h.scratch(&view.ensemble.oracle)];
            view.evaluate(*h, self.process, &mut out, &mut scratch);
            flat(&out)
        };
        self.values.push(self.ways.iter().map(value).collect());
    }
    fn finish(&mut self, _view: &BlockView<'_>) {}
}

/// Steps, lengths and the terms of the descent lemma from the positions alone, in plain arithmetic: m_{k+1} = (x_k − x_{k+1})/η_k, the
/// gradient and the Hessian of ½(xy−1)² by hand, tr(HΣ) with Σ = BBᵀ. SGD and SGDM, with a momentum that moves and does not start at 0.
#[test]
fn what_paths_do_on_their_way_is_recorded() {
    let eta = 1.0 / 16.0;
    let (b, sigma) = ([[0.5, 0.1], [0.0, 0.4]], 1.3);
    let s = schedule(
        Shape::cosine(1.0, 0.3).unwrap(),
        Shape::table(vec![0.0, 1.0, 2.0], vec![0.9, 0.3, 0.6]).unwrap(),
        0.25,
        eta,
        2.0,
    );
    let names = [
        "step[2]",
        "step[1]^2",
        "path_length",
        "variation(x[1])",
        "variation(loss)",
        "descent",
        "noise_induced",
        "curvature_induced",
        "descent_defect",
    ];
    let ways: Vec<TestFunction> = names.iter().map(|n| n.parse().unwrap()).collect();
    let m0 = [0.4, -0.3];
    let loss = |x: &[f64]| 0.5 * (x[0] * x[1] - 1.0).powi(2);
    for kind in [RateKind::SgdPlain, RateKind::Sgdm] {
        let factor = DMatrix::from_fn(2, 2, |i, j| b[i][j]);
        let mut e = ensemble(
            Arc::new(Hyperbola),
            gaussian(Factor::Matrix(factor.clone()), 2),
            sigma,
            eta,
            &[1.5, 0.5],
            vec![process(&s, kind)],
            &(0..=32).collect::<Vec<u64>>(),
        );
        e.m0 = InitialMomentum::Fixed(m0.to_vec());
        e.watch = Watch::of(ways.iter().filter_map(|h| h.way()));
        let mut seen = Ways {
            ways: ways.clone(),
            ..Ways::default()
        };
        let mut block = Block::new(&e);
        block.run(&e, 0, block.paths(), &mut seen);
        let covariance = &factor * factor.transpose() * (sigma * sigma);
        for path in [0, 5, 11] {
            let x = |k: usize| &seen.states[k][path];
            let mut sums = [0.0; 6];
            let mut m = m0;
            for k in 0..=32usize {
                let start = |i: usize| seen.values[k][i][path];
                if k == 0 {
                    assert!((0..names.len()).all(|i| start(i) == 0.0));
                    continue;
                }
                let (old, new) = (x(k - 1), x(k));
                let step = [new[0] - old[0], new[1] - old[1]];
                let rate = s.learning_rate(Steps(k as u64 - 1));
                let gain = match kind {
                    RateKind::Sgdm => s.one_minus_beta(Steps(k as u64 - 1)),
                    _ => 1.0,
                };
                let r = old[0] * old[1] - 1.0;
                let gradient = [r * old[1], r * old[0]];
                let cross = 2.0 * old[0] * old[1] - 1.0;
                let hessian = [[old[1] * old[1], cross], [cross, old[0] * old[0]]];
                let u = [0, 1].map(|i| (1.0 - gain) * m[i] + gain * gradient[i]);
                let half = 0.5 * rate * rate;
                for i in 0..2 {
                    sums[3] -= rate * gradient[i] * u[i];
                    for j in 0..2 {
                        sums[4] += half * gain * gain * hessian[i][j] * covariance[(j, i)];
                        sums[5] += half * u[i] * hessian[i][j] * u[j];
                    }
                }
                m = step.map(|d| -d / rate);
                sums[0] += step[0].hypot(step[1]);
                sums[1] += step[0].abs();
                sums[2] += (loss(new) - loss(old)).abs();
                let change = loss(new) - loss(x(0));
                let defect = change - sums[3] - sums[4] - sums[5];
                let expected = [&[step[1], step[0] * step[0]], &sums[..], &[defect]].concat();
                for (i, want) in expected.iter().enumerate() {
                    let found = start(i);
                    let scale = 1.0 + want.abs();
                    assert!(
                        (found - want).abs() < 1e-12 * scale,
                        "{kind:?} {} at {k}: {found} {want}",
                        names[i]
                    );
                }
            }
        }
    }
}

/// The momentum's size, the distance of y = x − wm, the gap of the gradients (those of ½(xy−1)² by hand) and fourth powers of steps, from the
/// positions alone: m_k = (x_{k−1} − x_k)/η_{k−1}, which is Lemma C.17's ‖x_k − x_{k−1}‖ = η_{k−1}‖m_k‖. Learning rate and momentum move. And the
/// steps of y, of which alone steps are recorded.
#[test]
fn what_the_momentum_says_is_exact() {
    let eta = 1.0 / 16.0;
    let sigma = 1.3;
    let s = schedule(
        Shape::cosine(1.0, 0.3).unwrap(),
        Shape::table(vec![0.0, 1.0, 2.0], vec![0.9, 0.3, 0.6]).unwrap(),
        0.25,
        eta,
        2.0,
    );
    let functions = |names: &[&str]| -> Vec<TestFunction> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    };
    let names = [
        "momentum_norm2",
        "lag2",
        "gradient_lag2",
        "momentum2",
        "relative_lag2",
        "relative_gradient_lag2",
        "gradient_lag[2]",
        "step[2]^4",
    ];
    let m0 = [0.4, -0.3];
    let mut e = ensemble(
        Arc::new(Hyperbola),
        gaussian(Factor::Isotropic(0.5), 2),
        sigma,
        eta,
        &[1.5, 0.5],
        vec![
            process(&s, RateKind::Sgdm),
            Dynamics::CoupledSteps {
                of: 0,
                weight: s.coupling(Steps(0)),
                schedule: s.clone(),
                kind: RateKind::SgdAveraged,
            },
            process(&s, RateKind::SgdAveraged),
        ],
        &(0..=32).collect::<Vec<u64>>(),
    );
    e.m0 = InitialMomentum::Fixed(m0.to_vec());
    let of_steps = [
        "step[1]",
        "step[1]^4",
        "path_length",
        "descent",
        "variation(loss)",
    ];
    let all = functions(&names).into_iter().chain(functions(&of_steps));
    e.watch = Watch::of(all.filter_map(|h| h.way()));
    let mut block = Block::new(&e);
    let mut see = |process: usize, names: &[&str]| {
        let mut seen = Ways {
            process,
            ways: functions(names),
            ..Ways::default()
        };
        block.run(&e, 0, block.paths(), &mut seen);
        seen
    };
    let close = |found: f64, want: f64, what: &str| {
        let scale = 1.0 + want.abs();
        assert!(
            (found - want).abs() < 1e-11 * scale,
            "{what}: {found} {want}"
        );
    };
    let gradient = |x: [f64; 2]| {
        let r = x[0] * x[1] - 1.0;
        [r * x[1], r * x[0]]
    };
    let square = |v: [f64; 2]| v[0] * v[0] + v[1] * v[1];
    let seen = see(0, &names);
    for path in [0, 5, 11] {
        for k in 0..=32u64 {
            let x = |k: u64| [0, 1].map(|i| seen.states[k as usize][path][i]);
            let (m, step) = match k.checked_sub(1) {
                None => (m0, [0.0; 2]),
                Some(before) => {
                    let step = [0, 1].map(|i| x(k)[i] - x(before)[i]);
                    (step.map(|d| -d / s.learning_rate(Steps(before))), step)
                }
            };
            let (w, gain) = (s.coupling(Steps(k)), s.one_minus_beta(Steps(k)));
            let unit = gain / (2.0 - gain) * sigma * sigma;
            let there = gradient([0, 1].map(|i| x(k)[i] - w * m[i]));
            let gap = [0, 1].map(|i| gradient(x(k))[i] - there[i]);
            let squares = [square(m), w * w * square(m), square(gap)];
            let units = [unit, w * w * unit, w * w * unit];
            let relative = [0, 1, 2].map(|i| squares[i] / units[i]);
            let expected = [&squares[..], &relative, &[gap[1], step[1].powi(4)]].concat();
            for (i, want) in expected.into_iter().enumerate() {
                close(seen.values[k as usize][i][path], want, names[i]);
            }
        }
    }
    let seen = see(1, &of_steps);
    let mut length = 0.0;
    for k in 1..=32 {
        let step = [0, 1].map(|i| seen.states[k][7][i] - seen.states[k - 1][7][i]);
        length += square(step).sqrt();
        let expected = [step[0], step[0].powi(4), length, 0.0, 0.0];
        for (i, want) in expected.into_iter().enumerate() {
            close(seen.values[k][i][7], want, of_steps[i]);
        }
    }
    // SGD has no momentum.
    let seen = see(2, &names[..7]);
    let mut values = seen.values.iter().flatten().flatten();
    assert!(values.all(|v| *v == 0.0));
}

/// m_0 = ∇L(x_0) + √((1−β)/(1+β)) σBζ: while gradients are independent of x, mean and variance of the step stay what they are at first,
/// (1−β)/(1+β) of SGD's variance. 4000 paths; mean and variance at five steps within 4.5 standard errors.
#[test]
fn stationary_momenta_stay_stationary() {
    let eta = 1.0 / 8.0;
    let s = constant(0.2, 0.0, eta, 8.0);
    let mut e = ensemble(
        Arc::new(Quadratic::from_spectrum(&[0.0, 0.0]).unwrap()),
        gaussian(Factor::Diagonal(vec![1.0, 2.0]), 2),
        3.0,
        eta,
        &[1.0, -1.0],
        vec![process(&s, RateKind::Sgdm)],
        &[1, 2, 8, 32, 64],
    );
    e.m0 = InitialMomentum::Stationary;
    e.watch = Watch::of([Way::Step(0)].into_iter());
    let total = run(&e, &plan(&["step[1]", "step[2]"], &[]), 4000);
    for panel in &total.panel {
        for (i, b) in [1.0, 2.0f64].into_iter().enumerate() {
            let want = (eta * 3.0 * b).powi(2) * 0.2 / 1.8;
            let found = panel[0].covariance(i, i);
            assert!(
                (found / want - 1.0).abs() < 4.5 * (2.0f64 / 4000.0).sqrt(),
                "{found} {want}"
            );
            assert!(panel[0].mean[i].abs() < 4.5 * (want / 4000.0).sqrt());
        }
    }
}

/// On the one-dimensional quadratic with h = x², α = 0, η = 2⁻⁶ the variance of the paired difference is at least 50 times
/// smaller than for independent ensembles.
#[test]
fn common_random_numbers_pay() {
    let eta = 1.0 / 64.0;
    let s = constant(0.5, 0.0, eta, 2.0);
    let e = ensemble(
        Arc::new(Quadratic::from_spectrum(&[1.0]).unwrap()),
        gaussian(Factor::Isotropic(1.0), 1),
        8.0,
        eta,
        &[1.0],
        vec![
            process(&s, RateKind::SgdAveraged),
            process(&s, RateKind::Sgdm),
        ],
        &[128],
    );
    let total = run(&e, &plan(&["x[1]^2"], &[(0, 1)]), 20_000);
    let independent: f64 = (0..2).map(|p| total.panel[0][p].covariance(0, 0)).sum();
    let ratio = independent / total.pairs[0][0].variance(0);
    assert!(ratio >= 50.0, "ratio {ratio}");
}

/// The measured step error of the SDE is that of Euler–Maruyama, and the extrapolation removes it to leading order.
#[test]
fn the_step_error_of_the_sde_is_measured_and_removed() {
    let eta = 0.25;
    for (substeps, factor) in [(2, 1.0), (4, 0.5)] {
        let e = ensemble(
            Arc::new(Quadratic::from_spectrum(&[1.0]).unwrap()),
            gaussian(Factor::Isotropic(0.0), 1),
            1.0,
            eta,
            &[1.0],
            vec![sde(substeps)],
            &[8],
        );
        let total = run(&e, &plan(&["x[1]"], &[]), 8);
        // Deterministic: coarse = (1−h)^{2/h}, h = η/r.
        let h = eta / substeps as f64;
        let coarse = (1.0 - h).powf(2.0 / h);
        let fine = (1.0 - 0.5 * h).powf(4.0 / h);
        assert!((total.step_error[0][0].mean[0] - (coarse - fine)).abs() < 1e-14);
        let exact = (-2.0f64).exp();
        let left = (total.panel[0][0].mean[0] - exact).abs();
        assert!(
            left < 0.1 * factor * (fine - exact).abs(),
            "extrapolated {left:e}, fine {:e}",
            fine - exact
        );
    }
}

/// Exits stop a path where it left; blow-ups are counted and leave the statistics; both name the first path.
#[test]
fn failed_paths_are_counted() {
    let eta = 0.25;
    let s = constant(1.0, 0.0, eta, 64.0);
    let mut e = ensemble(
        Arc::new(Quadratic::from_spectrum(&[-1.0]).unwrap()),
        gaussian(Factor::Isotropic(1.0), 1),
        1.0,
        eta,
        &[0.0],
        vec![
            process(&s, RateKind::SgdAveraged),
            process(&s, RateKind::Sgdm),
        ],
        &[1, 256],
    );
    let total = run(&e, &plan(&["x[1]"], &[(0, 1)]), 500);
    // 1.25^256 ≈ 6e24: every path blows up.
    assert_eq!(total.failures[0].blow_ups, 500);
    assert_eq!(total.failures[0].first.unwrap().0, 0);
    assert_eq!(total.panel[1][0].n, 0);
    e.region = Some(Region::Ball {
        center: vec![0.0],
        radius: 2.0,
    });
    let total = run(&e, &plan(&["x[1]"], &[(0, 1)]), 500);
    assert_eq!(total.failures[0].blow_ups, 0);
    assert_eq!(total.failures[0].exits, 500);
    assert_eq!(total.panel[1][0].n, 500);
    let (least, greatest) = (total.panel[1][0].least[0], total.panel[1][0].greatest[0]);
    assert!(least < -2.0 && greatest > 2.0 && least > -5.0 && greatest < 5.0);
}

/// An interrupted ensemble returns an error and no statistics.
#[test]
fn a_stopped_run_ends() {
    let s = constant(0.5, 0.0, 0.01, 1.0);
    let e = ensemble(
        Arc::new(Hyperbola),
        gaussian(Factor::Isotropic(1.0), 2),
        1.0,
        0.01,
        &[1.0, 1.0],
        vec![process(&s, RateKind::Sgdm)],
        &[100],
    );
    let control = Control::default();
    control
        .stop
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(e.run(&plan(&["x[1]"], &[]), 0..100, 64, &control).is_err());
}

/// Mean 0 and covariance Σ(x) of every oracle, from samples of v: entries of the mean at 6 standard errors and of the
/// covariance at 6 standard errors of the product (level 2e-9 each, fewer than 200 entries). The SDE's factor gives the
/// same Σ(x) as the formula.
#[test]
fn oracles_have_their_covariance() {
    let rows = DMatrix::from_fn(7, 3, |i, j| ((i * 5 + j * 3) % 7) as f64 / 3.0 - 1.0);
    let targets: Vec<f64> = (0..7).map(|i| (i % 3) as f64 - 0.5).collect();
    let least: Arc<dyn Landscape> = Arc::new(
        Regression::new(rows.clone(), targets, RegressionLoss::LeastSquares, 0.1).unwrap(),
    );
    let binary: Vec<f64> = (0..7).map(|i| (i % 2) as f64).collect();
    let logistic: Arc<dyn Landscape> =
        Arc::new(Regression::new(rows, binary, RegressionLoss::Logistic, 0.0).unwrap());
    let wide = DMatrix::from_fn(3, 5, |i, j| (i as f64 - 0.7 * j as f64) / 3.0);
    let entry =
        |law, factor: Factor| -> Arc<dyn Noise> { Arc::new(FactorNoise::new(factor, law, 3)) };
    let student = EntryLaw::Student { freedom: 9.0 };
    let label =
        |law| -> Arc<dyn Noise> { Arc::new(LabelNoise::new(least.clone(), 0.6, law).unwrap()) };
    type Case = (&'static str, Arc<dyn Landscape>, Arc<dyn Noise>);
    let oracles: Vec<Case> = vec![
        (
            "gaussian",
            least.clone(),
            entry(EntryLaw::Gaussian, Factor::Matrix(wide.clone())),
        ),
        (
            "isotropic",
            least.clone(),
            entry(EntryLaw::Gaussian, Factor::Isotropic(0.7)),
        ),
        (
            "rademacher",
            least.clone(),
            entry(EntryLaw::Rademacher, Factor::Diagonal(vec![0.5, 1.0, 2.0])),
        ),
        (
            "student",
            least.clone(),
            entry(student, Factor::Matrix(wide)),
        ),
        (
            "multiplicative",
            least.clone(),
            entry(EntryLaw::Gaussian, Factor::Multiplicative(0.4)),
        ),
        (
            "growing",
            least.clone(),
            entry(EntryLaw::Rademacher, Factor::Growing(0.4)),
        ),
        ("label gaussian", least.clone(), label(EntryLaw::Gaussian)),
        (
            "label rademacher",
            least.clone(),
            label(EntryLaw::Rademacher),
        ),
        (
            "minibatch 1",
            logistic.clone(),
            Arc::new(Minibatch::new(logistic.clone(), 1).unwrap()),
        ),
        (
            "minibatch 3",
            least.clone(),
            Arc::new(Minibatch::new(least.clone(), 3).unwrap()),
        ),
        (
            "minibatch factor",
            logistic.clone(),
            Arc::new(Minibatch::new(logistic.clone(), 2).unwrap().gaussian()),
        ),
    ];
    let point = [0.8, -0.5, 0.3];
    let x = broadcast(&point);
    let key = slowsde::random::StreamKey { seed: 5, cell: 0 };
    for (name, landscape, noise) in oracles {
        let oracle = Oracle {
            landscape: landscape.clone(),
            noise: noise.clone(),
        };
        let sigma = oracle.covariance(&DVector::from_column_slice(&point));
        let mut rngs = [slowsde::random::LaneRng::new(key, Purpose::Innovation, 0)];
        let mut xi = vec![slowsde::real::Lanes::ZERO; noise.innovation().entries()];
        let zero = slowsde::real::Lanes::ZERO;
        // tr Σ and ‖∇L‖² as test functions, at another point in every lane of two groups, against Σ and ∇L themselves.
        let away = |lane: usize| -> Vec<f64> {
            let factor = 0.5 + lane as f64 / 8.0;
            point.iter().map(|x| x * factor).collect()
        };
        let mut places = vec![zero; 6];
        for lane in 0..16 {
            set_lane(&mut places[lane / 8 * 3..][..3], lane % 8, &away(lane));
        }
        for h in [TestFunction::TraceCovariance, TestFunction::SquaredGradient] {
            let mut values = [zero; 2];
            let mut scratch = vec![zero; h.scratch(&oracle)];
            h.evaluate(&oracle, &places, &mut values, &mut scratch);
            for lane in 0..16 {
                let x = DVector::from_vec(away(lane));
                let want = match h {
                    TestFunction::TraceCovariance => oracle.covariance(&x).trace(),
                    _ => landscape.jet(&x).gradient.norm_squared(),
                };
                let got = values[lane / 8].to_array()[lane % 8];
                assert!(
                    want > 0.0 && (got / want - 1.0).abs() < 1e-12,
                    "{name}: {h} is {got}, not {want}"
                );
            }
        }
        let (mut v, mut g) = ([zero; 3], [zero; 3]);
        let mut scratch = vec![zero; noise.scratch() + 3];
        let n = 40_000;
        let mut samples = vec![];
        for _ in 0..n / 8 {
            noise.innovation().draw(&mut rngs, &mut xi);
            noise.noise(1.0, &x, &xi, &mut v, &mut scratch);
            // g = ∇L + σ v for σ other than 1.
            noise.gradient(&*landscape, 2.5, &x, &xi, &mut g, &mut scratch);
            let mut full = [zero; 3];
            landscape.gradients(&x, &mut full);
            for lane in 0..8 {
                let sample: Vec<f64> = lane_of(&v, lane);
                for i in 0..3 {
                    let want = full[i].to_array()[lane] + 2.5 * sample[i];
                    assert!(
                        (g[i].to_array()[lane] - want).abs() < 1e-12,
                        "{name}: gradient"
                    );
                }
                samples.push(sample);
            }
        }
        let mean = |f: &dyn Fn(&[f64]) -> f64| -> (f64, f64) {
            let m = samples.iter().map(|s| f(s)).sum::<f64>() / n as f64;
            let s2 = samples.iter().map(|s| (f(s) - m).powi(2)).sum::<f64>() / n as f64;
            (m, (s2 / n as f64).sqrt())
        };
        for i in 0..3 {
            let (m, s) = mean(&|v| v[i]);
            assert!(m.abs() <= 6.0 * s + 1e-13, "{name}: mean {i} is {m} ± {s}");
            for j in 0..=i {
                let (c, s) = mean(&|v| v[i] * v[j]);
                let want = sigma[(i, j)];
                assert!(
                    (c - want).abs() <= 6.0 * s + 1e-12,
                    "{name}: Σ[{i}][{j}] is {c} ± {s}, factor says {want}"
                );
            }
        }
    }
}

/// Streams of different paths are what the scalar generator says, however the ensemble is laid out.
#[test]
fn words_of_a_path_do_not_depend_on_its_lane() {
    let key = slowsde::random::StreamKey { seed: 1, cell: 3 };
    let mut a = slowsde::random::LaneRng::new(key, Purpose::Brownian, 8);
    let mut b = slowsde::random::LaneRng::new(key, Purpose::Brownian, 5);
    let (wa, wb) = (a.next_words().to_array(), b.next_words().to_array());
    assert_eq!(wa[1], wb[4]);
    assert_eq!(wa[1], key.scalar(Purpose::Brownian, 9).next_u64());
}
