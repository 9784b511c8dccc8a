//! Statistics, threads, chunks and failures of slow ensembles.

use super::*;

/// SGD, SGDM and both schemes on the hyperbola, with looks between the common times.
fn hyperbola() -> Ensemble {
    let (eta, horizon) = (0.1, 0.48);
    let schemes = [SlowScheme::Projected, SlowScheme::EulerMaruyama].map(slow_sde);
    let processes = [
        vec![sgd(eta, horizon), sgdm(0.5, eta, horizon)],
        schemes.to_vec(),
    ]
    .concat();
    let saves: Vec<u64> = (0..=8).map(|i| 6 * i).collect();
    let x0 = [0.8f64.exp(), (-0.8f64).exp()];
    slow_ensemble(
        Hyperbola,
        isotropic(1.0, 2),
        eta,
        &x0,
        every(1),
        processes,
        &saves,
    )
}

fn path_plan() -> Plan {
    Plan {
        monitored: vec![0, 2],
        laws: LawPlan {
            saves: vec![2, 4, 6, 8],
            projected: vec![4, 8],
            directions: vec![vec![0.6, 0.8], vec![1.0, 0.0]],
        },
        paths: Some(PathPlan {
            common: vec![2, 4, 6, 8],
        }),
        ..plan(
            &["x[1]", "x[2]^2", "trace_hessian"],
            &[(0, 2), (1, 2), (3, 2)],
        )
    }
}

/// The same seed gives the same bits on 1, 2 and 4 threads, statistics of whole paths included.
#[test]
fn bits_do_not_depend_on_threads() {
    let (e, plan) = (hyperbola(), path_plan());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(&e, &plan, 2000))
    };
    let one = on(1);
    assert!(one.paths.is_some());
    assert_eq!(one, on(2));
    assert_eq!(one, on(4));
}

/// Rounds at the boundaries of chunks are the whole run: bit for bit where the chunks are added in the same order, and otherwise
/// the counts are the same and the moments differ by rounding. Accumulators survive serialisation.
#[test]
fn rounds_merge_to_the_whole() {
    let (e, plan) = (hyperbola(), path_plan());
    let chunk = 2 * e.block_paths();
    let part = |range| e.run(&plan, range, chunk, &Control::default()).unwrap();
    let n = 21 * chunk;
    let whole = part(0..n);
    let merged = |cuts: &[u64]| {
        let mut total = Accumulator::default();
        for pair in cuts.windows(2) {
            let text = serde_json::to_string(&part(pair[0]..pair[1])).unwrap();
            total.merge(&serde_json::from_str(&text).unwrap());
        }
        total
    };
    assert_eq!(merged(&[0, n - chunk, n]), whole);
    let other = merged(&[0, chunk, 3 * chunk, 20 * chunk, n]);
    assert_eq!((other.started, &other.histograms), (n, &whole.histograms));
    assert_eq!(other.laws, whole.laws);
    // More chunks than batches: some batches hold two chunks.
    assert_eq!(other.laws.len(), LAW_BATCHES);
    let (a, b) = (other.paths.unwrap(), whole.paths.unwrap());
    let near = |a: &Moments, b: &Moments| {
        assert_eq!(a.n, b.n);
        for (a, b) in a
            .mean
            .iter()
            .chain(&a.squares)
            .zip(b.mean.iter().chain(&b.squares))
        {
            assert!((a - b).abs() <= 1e-11 * (1.0 + b.abs()), "{a} against {b}");
        }
    };
    let nested = |a: &[Vec<Moments>], b: &[Vec<Moments>]| {
        a.iter()
            .flatten()
            .zip(b.iter().flatten())
            .for_each(|(a, b)| near(a, b));
    };
    nested(&a.distance, &b.distance);
    nested(&a.step, &b.step);
    nested(&a.spread, &b.spread);
    nested(
        &[a.functionals, a.functional_pairs],
        &[b.functionals, b.functional_pairs],
    );
}

/// Everything that is kept of whole paths, against the states of all paths.
#[test]
fn statistics_of_paths_are_those_of_the_states() {
    let (e, plan) = (hyperbola(), path_plan());
    let n = 3 * e.block_paths();
    let total = run(&e, &plan, n);
    let (paths, laws) = (total.paths.unwrap(), total.laws);
    let all = states(&e, n);
    let at = |p: usize, save: usize, path: usize| States::of(&all.fine, p, save, path, 2);
    let far = |a: &[f64], b: &[f64]| (a[0] - b[0]).hypot(a[1] - b[1]);
    // Averages of numbers of size ten at most over a few hundred paths.
    let same = |what: &str, m: &Moments, variable: usize, values: &dyn Fn(usize) -> f64| {
        assert_eq!(m.n, n, "{what}");
        let (want, error) = mean((0..n as usize).map(values));
        let got = (m.mean[variable], m.standard_error(variable));
        assert!(
            (got.0 - want).abs() < 1e-11 && (got.1 - error).abs() < 1e-11,
            "{what} {variable}: {got:?}, {want} ± {error}"
        );
    };
    for (c, &save) in [2usize, 4, 6, 8].iter().enumerate() {
        for (pair, &(left, right)) in plan.pairs.iter().enumerate() {
            let distance = |path: usize| far(at(left, save, path), at(right, save, path));
            let supremum = |path: usize| {
                (0..=save)
                    .map(|s| far(at(left, s, path), at(right, s, path)))
                    .fold(0.0, f64::max)
            };
            let m = &paths.distance[c][pair];
            same("distance", m, 0, &distance);
            same("supremum", m, 1, &supremum);
            same("mean square", m, MEAN_SQUARE, &|p| distance(p).powi(2));
            same("mean square supremum", m, MEAN_SQUARE + 1, &|p| {
                supremum(p).powi(2)
            });
        }
        for p in 0..4 {
            let landing = &e.slow.as_ref().unwrap().landing;
            same("spread", &paths.spread[c][p], 0, &|path| {
                far(at(p, save, path), landing).powi(2)
            });
            if p >= 2 {
                let step = |s: usize, path: usize| {
                    far(at(p, s, path), States::of(&all.coarse, p, s, path, 2))
                };
                same("step", &paths.step[c][p], 0, &|path| step(save, path));
                same("step", &paths.step[c][p], 1, &|path| {
                    (0..=save).map(|s| step(s, path)).fold(0.0, f64::max)
                });
            } else {
                assert_eq!(paths.step[c][p].n, 0);
            }
            let law = |h: &dyn Fn(&[f64]) -> f64| {
                let mut histogram = DyadicHistogram::default();
                (0..n as usize).for_each(|path| histogram.add(h(at(p, save, path))));
                histogram
            };
            let sum = |pick: &dyn Fn(&Law) -> DyadicHistogram| {
                let mut total = DyadicHistogram::default();
                laws.iter().for_each(|(_, l)| total.merge(&pick(l)));
                total
            };
            assert_eq!(sum(&|l| l.monitored[c][p][0].clone()), law(&|x| x[0]));
            if let Some(time) = [4, 8].iter().position(|&projected| projected == save) {
                let sliced = sum(&|l| l.projected[time][p][0].clone());
                let apart = sliced
                    .distances(&law(&|x| 0.6 * x[0] + 0.8 * x[1]))
                    .unwrap()
                    .kolmogorov_smirnov;
                // A fused multiplication may round a value over the edge of a bin.
                assert!(sliced.total() == n && apart <= 1.5 / n as f64, "{apart:?}");
            }
        }
    }
    // tr ∇²L = x² + y² on Γ, and x₁ itself: maximum, share of the looks above the start, product at the middle and the end.
    for p in 0..4 {
        let h: [fn(&[f64]) -> f64; 2] = [|x| x[0], |x| x[0] * x[0] + x[1] * x[1]];
        for (m, h) in h.into_iter().enumerate() {
            let start = h(&e.x0);
            let value = |s: usize, path: usize| h(at(p, s, path));
            let kind = m * FUNCTIONALS;
            let moments = &paths.functionals[p];
            same("maximum", moments, kind, &|path| {
                (0..=8).map(|s| value(s, path)).fold(start, f64::max)
            });
            same("share", moments, kind + 1, &|path| {
                (1..=8).filter(|&s| value(s, path) > start).count() as f64 / 8.0
            });
            same("product", moments, kind + 2, &|path| {
                value(4, path) * value(8, path)
            });
        }
    }
}

/// Φ that fails on a part of the paths — its flow may not leave a ball — takes these paths out of all processes from then on,
/// and counts them where they failed.
#[test]
fn paths_without_a_projection_are_taken_out_everywhere() {
    let mut e = hyperbola();
    if let Some(slow) = &mut e.slow {
        slow.projection.region = Some(Region::Ball {
            center: vec![0.0; 2],
            radius: 2.6,
        });
    }
    let n = 4 * e.block_paths();
    let total = run(&e, &path_plan(), n);
    let lost = |p: usize| total.failures[p].unprojected;
    let all: u64 = (0..4).map(lost).sum();
    // The full noise of scheme (ii) leaves the ball first.
    assert!(
        lost(2) > 0 && lost(3) > 0 && all < n,
        "{:?}",
        total.failures
    );
    assert!(
        total
            .failures
            .iter()
            .all(|f| f.blow_ups == 0 && f.exits == 0)
    );
    for p in 0..4 {
        assert_eq!(total.panel[8][p].n, n - all);
        if lost(p) == 0 {
            continue;
        }
        // A path and its step, for a rerun: it is out at the first look after the step.
        let (path, step) = total.failures[p].first.unwrap();
        assert!(path < n && step > 0 && step <= 48);
        let look = step.div_ceil(6) as usize;
        let out = states(&e, n);
        assert!(out.alive[look - 1][path as usize] && !out.alive[look][path as usize]);
    }
    assert_eq!(total.pairs[8][0].n, n - all);
    let paths = total.paths.unwrap();
    assert_eq!(paths.functionals[0].n, n - all);
    let mut counted = 0;
    for (_, law) in &total.laws {
        counted += law.monitored[3][1][0].total();
    }
    assert_eq!(counted, n - all);
    // Optimizers alone: lost where they are looked at.
    e.active = vec![true, true, false, false];
    let alone = run(&e, &plan(&["x[1]"], &[(0, 1)]), n);
    let lost: Vec<u64> = alone.failures.iter().map(|f| f.unprojected).collect();
    assert!(
        lost[0] > 0 && lost[1] > 0 && lost[2..] == [0, 0],
        "{lost:?}"
    );
    assert_eq!(
        (alone.panel[8][0].n, alone.panel[8][2].n),
        (n - lost[0] - lost[1], 0)
    );
    assert_eq!(alone.pairs[8][0].n, n - lost[0] - lost[1]);
    // Counts only fall, and agree between processes at every look.
    for (save, row) in total.panel.iter().enumerate() {
        assert!(row.iter().all(|m| m.n == row[0].n), "save {save}");
        assert!(save == 0 || row[0].n <= total.panel[save - 1][0].n);
    }
}

/// Huge noise near the origin of the sphere, whose Φ is unknown at the origin alone: whatever happens, every path is either
/// counted as lost or counts in all processes, and what is shown is on Γ.
#[test]
fn wild_paths_are_counted() {
    for (d, scale) in [(2, 30.0), (3, 300.0), (5, 30.0)] {
        let (eta, horizon) = (0.25, 1.0);
        let processes = vec![
            sgd(eta, horizon),
            sgdm(0.5, eta, horizon),
            slow_sde(SlowScheme::Projected),
            slow_sde(SlowScheme::EulerMaruyama),
        ];
        let mut x0 = vec![0.0; d];
        x0[0] = 0.01;
        let e = slow_ensemble(
            Sphere::new(d).unwrap(),
            isotropic(scale, d),
            eta,
            &x0,
            every(1),
            processes,
            &[0, 2, 8, 16],
        );
        let n = 2 * e.block_paths();
        let norm = "norm2";
        let total = run(&e, &plan(&[norm], &[]), n);
        let lost: u64 = total.failures.iter().map(|f| f.unprojected).sum();
        let blown: u64 = total.failures.iter().map(|f| f.blow_ups).sum();
        let left = total.panel[3][0].n;
        assert!(
            total.failures[0].blow_ups + total.failures[0].unprojected > 0,
            "{:?}",
            total.failures
        );
        // One path may blow up in several processes at the same look; projections fail one at a time.
        assert!(
            left + lost + blown >= n && left + lost <= n,
            "{left} left, {:?}",
            total.failures
        );
        for p in 0..4 {
            let m = &total.panel[3][p];
            assert_eq!(m.n, left);
            if left > 0 {
                assert!(
                    (m.least[0] - 1.0).abs() < 1e-6 && (m.greatest[0] - 1.0).abs() < 1e-6,
                    "{m:?}"
                );
            }
        }
    }
}

/// Paths that leave the compact set: counted once per process, stopped where they left, and still in all statistics. The slow
/// processes leave at a slow step; fine and coarse rest at the same point from then on.
#[test]
fn slow_processes_rest_where_they_left() {
    let region = Region::Ball {
        center: vec![0.0; 2],
        radius: 2.6,
    };
    let mut e = hyperbola();
    e.save = (0..=24).map(|i| slowsde::clocks::Steps(2 * i)).collect();
    e.region = Some(region.clone());
    let n = 4 * e.block_paths();
    let total = run(&e, &plan(&["x[1]"], &[]), n);
    let all = states(&e, n);
    assert!(all.alive.iter().flatten().all(|a| *a));
    for p in 0..4 {
        let failures = &total.failures[p];
        assert_eq!((failures.blow_ups, failures.unprojected), (0, 0));
        assert!(
            failures.exits > n / 20 && failures.exits < n,
            "{failures:?}"
        );
        assert_eq!(total.panel[24][p].n, n);
        let mut left = 0;
        for path in 0..n as usize {
            let at = |s: usize| States::of(&all.fine, p, s, path, 2);
            // Optimizers are shown at Φ(x), which may lie inside: only slow processes can be seen to leave.
            let Some(exit) = (0..=24).find(|&s| p >= 2 && !region.contains(at(s))) else {
                continue;
            };
            left += 1;
            for s in exit..=24 {
                assert_eq!(at(s), at(exit), "process {p}, path {path}");
                assert_eq!(
                    States::of(&all.coarse, p, s, path, 2),
                    at(exit),
                    "process {p}, path {path}"
                );
            }
        }
        if p >= 2 {
            assert_eq!(left, failures.exits, "process {p}");
        }
    }
    // x_k itself is stopped too.
    if let Some(slow) = &mut e.slow {
        slow.landed = false;
    }
    let raw = states(&e, n);
    for p in 0..2 {
        let mut left = 0;
        for path in 0..n as usize {
            let at = |s: usize| States::of(&raw.fine, p, s, path, 2);
            if let Some(exit) = (0..=24).find(|&s| !region.contains(at(s))) {
                left += 1;
                assert!((exit..=24).all(|s| at(s) == at(exit)));
            }
        }
        assert_eq!(left, total.failures[p].exits);
    }
}

/// What would have become of a stopped path does not matter: one that rests beyond K cannot lose its projection any more, though
/// the noise that it no longer feels would carry it out of the set in which Φ is computed.
#[test]
fn stopped_paths_are_not_lost() {
    let ball = |radius: f64| Region::Ball {
        center: vec![0.0; 2],
        radius,
    };
    let mut e = hyperbola();
    e.save = (0..=24).map(|i| slowsde::clocks::Steps(2 * i)).collect();
    let inner = ball(2.4);
    e.region = Some(inner.clone());
    e.slow.as_mut().unwrap().projection.region = Some(ball(2.7));
    for process in [2, 3] {
        e.active = (0..4).map(|p| p == process).collect();
        let n = 4 * e.block_paths();
        let all = states(&e, n);
        let mut rested = 0;
        for path in 0..n as usize {
            let at = |s: usize| States::of(&all.fine, process, s, path, 2);
            let exit = (0..=24).find(|&s| all.alive[s][path] && !inner.contains(at(s)));
            if let Some(exit) = exit {
                rested += 1;
                assert!(
                    (exit..=24).all(|s| all.alive[s][path] && at(s) == at(exit)),
                    "process {process}, path {path}"
                );
            }
        }
        assert!(rested > n / 20, "{rested} of {n}");
    }
}
