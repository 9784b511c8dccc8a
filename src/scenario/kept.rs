//! Sample paths that are kept whole, by `run.keep_paths`: the states of the first paths at all save times.

use super::Scenario;
use super::system::System;
use crate::ensemble::{Block, BlockView, Observer};
use crate::real::LANES;
use crate::report::result::KeptPaths;
use rayon::prelude::*;

/// Numbers that may be kept: 256 MiB of them.
pub(super) const MOST_KEPT: u64 = 1 << 25;

/// The states of the paths of one block, `states[process][path][save][coordinate]`, NaN where a path is lost.
struct Keeper {
    paths: usize,
    saves: usize,
    states: Vec<f64>,
}

impl Observer for Keeper {
    fn observe(&mut self, save: usize, view: &BlockView<'_>) {
        let d = view.ensemble.dimension();
        for process in 0..view.ensemble.processes.len() {
            let state = view.state(process);
            for path in 0..self.paths {
                let (group, lane) = (path / LANES, path % LANES);
                if (view.alive[group].to_bitmask() >> lane) & 1 == 0 {
                    continue;
                }
                let start = ((process * self.paths + path) * self.saves + save) * d;
                let coordinates = &state[group * d..(group + 1) * d];
                for (out, x) in self.states[start..start + d].iter_mut().zip(coordinates) {
                    *out = x.as_array()[lane];
                }
            }
        }
    }

    fn finish(&mut self, _view: &BlockView<'_>) {}
}

impl Scenario {
    /// Numbers that the kept paths of some processes take.
    pub(super) fn kept_numbers(&self, processes: usize) -> u64 {
        if self.run.keep_paths == 0 {
            return 0;
        }
        let longest = self.run.etas.iter().map(|&eta| self.saves(eta).0.len());
        let row = longest.max().unwrap_or(0) * self.run.etas.len() * processes * self.x0.len();
        (row as u64).saturating_mul(self.run.keep_paths)
    }

    /// Runs the first paths of every ensemble once more and keeps their states at the save times: those that the statistics are
    /// made of, but for the SDE, of which they see an extrapolation. `None` where none are asked for.
    pub(super) fn keep_paths(&self, systems: &[System]) -> Option<KeptPaths> {
        let paths = self.run.keep_paths.min(self.run.paths);
        if paths == 0 {
            return None;
        }
        let times: Vec<Vec<f64>> = systems
            .iter()
            .map(|s| {
                let saves = s.ensemble.save.iter();
                saves.map(|&k| self.time(k, s.eta)).collect()
            })
            .collect();
        let longest = times.iter().map(Vec::len).max().unwrap_or(0);
        let processes = systems.first().map_or(0, |s| s.processes.len());
        let shape = [
            systems.len(),
            processes,
            paths as usize,
            longest,
            self.x0.len(),
        ];
        let mut states = vec![f64::NAN; shape.iter().product()];
        let cell = states.len() / systems.len().max(1);
        for (system, states) in systems.iter().zip(states.chunks_exact_mut(cell.max(1))) {
            keep(system, paths, longest, states);
        }
        Some(KeptPaths {
            etas: systems.iter().map(|s| s.eta).collect(),
            times,
            shape,
            states,
        })
    }
}

/// The paths of one η, into `states[process][path][save][coordinate]` with room for `longest` saves.
fn keep(system: &System, paths: u64, longest: usize, states: &mut [f64]) {
    let mut ensemble = system.ensemble.clone();
    ensemble.active.fill(true);
    let (d, saves) = (ensemble.dimension(), ensemble.save.len());
    let block = ensemble.block_paths();
    let parts: Vec<Keeper> = (0..paths.div_ceil(block))
        .into_par_iter()
        .map(|b| {
            let count = block.min(paths - b * block);
            let numbers = ensemble.processes.len() * count as usize * saves * d;
            let mut keeper = Keeper {
                paths: count as usize,
                saves,
                states: vec![f64::NAN; numbers],
            };
            Block::new(&ensemble).run(&ensemble, b * block, count, &mut keeper);
            keeper
        })
        .collect();
    let row = saves * d;
    for (process, local) in system.processes.iter().enumerate() {
        let Some(local) = local else { continue };
        let rows = parts.iter().flat_map(|part| {
            let of_process = local * part.paths * row;
            part.states[of_process..of_process + part.paths * row].chunks_exact(row)
        });
        for (path, from) in rows.enumerate() {
            let start = (process * paths as usize + path) * longest * d;
            states[start..start + row].copy_from_slice(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Profile};
    use super::*;
    use crate::ensemble::Control;
    use crate::report::result::ScenarioResult;
    use std::path::Path;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const FAST: &str = r#"
title = "t"
claim = "Theorem 4.5"
[landscape.quadratic]
spectrum = [1.0, 0.5]
[noise.gaussian]
factor = { growing = 0.5 }
[start]
x0 = { at = [1.0, -0.5] }
[schedule]
momentum = { constant = 0.5 }
[compact_set.ball]
radius = 2.0
[run]
horizon = 1.0
eta_max = 0.125
etas = 3
sde_etas = 2
paths = 100
max_paths = 100
functions = ["x[1]", "x[2]"]
keep_paths = 100
[[compare]]
left = "coupled"
right = "sgd"
expect = "consistent"
[[compare]]
left = "sgd"
right = "sde"
expect = "consistent"
"#;

    const SLOW: &str = r#"
title = "t"
claim = "Theorem 5.5"
regime = "slow"
[landscape.hyperbola]
[noise.gaussian]
factor = { isotropic = 0.5 }
[start]
x0 = { at = [1.5, 1.0] }
[schedule]
momentum = { constant = 1.0 }
[run]
horizon = 0.2
eta_max = 0.05
etas = 2
paths = 40
max_paths = 40
functions = ["x[1]", "x[2]"]
keep_paths = 40
[[compare]]
left = "sgdm"
right = "slow_sde"
expect = "consistent"
"#;

    fn parse(text: &str) -> Result<Scenario, crate::scenario::ScenarioError> {
        let overrides = Overrides::default();
        Scenario::parse(
            text,
            "t.toml",
            "t",
            Path::new("."),
            Profile::Quick,
            &overrides,
        )
    }

    fn run(text: &str) -> Result<ScenarioResult, Box<dyn std::error::Error>> {
        Ok(parse(text)?.execute(&Control::default(), &|_| {})?)
    }

    /// With all paths kept, their means are those of the result, for every process but the SDEs (whose means are extrapolated), at
    /// every time and η: the same paths. A part of them is the beginning of the whole.
    #[test]
    fn kept_paths_are_those_of_the_statistics() -> Outcome {
        for (text, sdes, part) in [
            (FAST, vec![3], "keep_paths = 13"),
            (SLOW, vec![1], "keep_paths = 13"),
        ] {
            let result = run(text)?;
            let kept = result.kept_paths.as_ref().ok_or("no paths")?;
            let [cells, processes, paths, longest, d] = kept.shape;
            assert_eq!((cells, d), (result.cells.len(), 2));
            assert_eq!(processes, result.processes.len());
            let at = |kept: &KeptPaths, i: [usize; 5]| {
                let flat = i
                    .iter()
                    .zip(&kept.shape)
                    .fold(0, |flat, (i, n)| flat * n + i);
                kept.states[flat]
            };
            for (c, cell) in result.cells.iter().enumerate() {
                assert_eq!(kept.times[c], cell.times);
                for (p, process) in cell.processes.iter().enumerate() {
                    for (h, series) in process.means.iter().enumerate() {
                        for (t, &mean) in series.value.iter().enumerate() {
                            let sum: f64 = (0..paths).map(|i| at(kept, [c, p, i, t, h])).sum();
                            let own = sum / paths as f64;
                            let near = (own - mean).abs() < 1e-12 * (1.0 + mean.abs());
                            assert!(near || sdes.contains(&p), "{c} {p} {t} {h}: {own} {mean}");
                            // Extrapolated means differ, but by no more than the step error.
                            assert!((own - mean).abs() < 0.1, "{c} {p} {t} {h}: {own} {mean}");
                        }
                    }
                    if process.means.is_empty() {
                        assert!(at(kept, [c, p, 0, 0, 0]).is_nan());
                    }
                }
                if cell.times.len() < longest {
                    assert!(at(kept, [c, 0, 0, longest - 1, 0]).is_nan());
                }
            }
            let line = text
                .lines()
                .find(|l| l.starts_with("keep_paths"))
                .ok_or("no line")?;
            let some = run(&text.replace(line, part))?
                .kept_paths
                .ok_or("no paths")?;
            assert_eq!(some.shape[2], 13);
            for (c, p, i, t, h) in [(0, 0, 12, 3, 1), (1, 1, 7, 5, 0)] {
                let (a, b) = (at(&some, [c, p, i, t, h]), at(kept, [c, p, i, t, h]));
                assert_eq!(a.to_bits(), b.to_bits());
            }
            assert!(run(&text.replace(line, ""))?.kept_paths.is_none());
        }
        Ok(())
    }

    #[test]
    fn too_many_numbers_are_refused() {
        let text = FAST.replace("keep_paths = 100", "keep_paths = 1000000");
        let message = parse(&text)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(
            message.contains("run.keep_paths") && message.contains("33554432"),
            "{message}"
        );
    }
}
