//! The slow flow of a scenario: integrated once, followed by every path.

use super::Scenario;
use super::system::System;
use crate::ensemble::Dynamics;
use crate::slow_flow::SlowFlow;
use nalgebra::DVector;
use std::sync::Arc;
use std::time::Instant;

/// Local tolerance of the slow flow.
const TOLERANCE: f64 = 1e-8;

impl Scenario {
    /// The curves of the slow flow at the save steps of every rung, and what it took; a reason where it ended early.
    pub(super) fn integrate_slow_flow(&self, systems: &mut [System]) -> Option<String> {
        let flows = |s: &System| {
            let prescribed = |p: &Dynamics| matches!(p, Dynamics::Prescribed { .. });
            s.ensemble.processes.iter().any(prescribed)
        };
        if !systems.iter().any(flows) {
            return None;
        }
        let start = Instant::now();
        let rate = |t: f64| self.learning_rate.limit(t, self.run.horizon).unwrap_or(1.0);
        let sigma = self.noise_factor;
        // Σ scales with σ², as λ² does.
        let scaled = |t: f64| sigma * rate(t);
        let x0 = DVector::from_column_slice(&self.x0);
        let mut times: Vec<f64> = systems
            .iter()
            .flat_map(|s| s.ensemble.save.iter().map(|&k| self.time(k, s.eta)))
            .collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let flow = SlowFlow::new(&self.oracle, &scaled, TOLERANCE);
        let (points, note) = match flow.integrate(&x0, &times) {
            Ok(path) => {
                let note = format!(
                    "The slow flow took {} steps and {} evaluations of its drift, {:.3} s in all.",
                    path.steps,
                    path.drift_evaluations,
                    start.elapsed().as_secs_f64()
                );
                (path.points, note)
            }
            Err(error) => (
                vec![],
                format!("The slow flow could not be integrated: {error}."),
            ),
        };
        let missing = vec![f64::NAN; self.x0.len()];
        for system in systems {
            let states: Vec<Vec<f64>> = system
                .ensemble
                .save
                .iter()
                .map(|&k| {
                    let t = self.time(k, system.eta);
                    let place = times.binary_search_by(|x| x.total_cmp(&t)).ok();
                    let point = place.and_then(|i| points.get(i));
                    point.map_or(missing.clone(), |p| p.as_slice().to_vec())
                })
                .collect();
            let states = Arc::new(states);
            for process in &mut system.ensemble.processes {
                if let Dynamics::Prescribed { states: old } = process {
                    *old = states.clone();
                }
            }
        }
        Some(note)
    }
}
