//! Small ensembles for the tests of the engine.

#![allow(dead_code)]

use slowsde::clocks::{FastTime, Steps};
use slowsde::ensemble::{
    Accumulator, Control, Damping, Dynamics, Ensemble, InitialMomentum, LawPlan, Plan,
    TestFunction, Watch,
};
use slowsde::landscape::Landscape;
use slowsde::oracle::{EntryLaw, Factor, FactorNoise, Noise, Oracle};
use slowsde::random::StreamKey;
use slowsde::schedule::{Horizon, RateKind, Schedule, ScheduleFamily, Shape};
use std::sync::Arc;

pub fn schedule(
    learning_rate: Shape,
    momentum: Shape,
    alpha: f64,
    eta: f64,
    t: f64,
) -> Arc<Schedule> {
    let family = ScheduleFamily {
        learning_rate,
        momentum,
        alpha,
    };
    Arc::new(Schedule::new(&family, eta, Horizon::Fast(FastTime(t))).unwrap())
}

pub fn constant(mu: f64, alpha: f64, eta: f64, t: f64) -> Arc<Schedule> {
    schedule(Shape::Constant(1.0), Shape::Constant(mu), alpha, eta, t)
}

pub fn process(schedule: &Arc<Schedule>, kind: RateKind) -> Dynamics {
    Dynamics::Discrete {
        schedule: schedule.clone(),
        kind,
    }
}

pub fn sde(substeps: usize) -> Dynamics {
    Dynamics::LimitingSde {
        lambda: Arc::new(|_| 1.0),
        substeps,
    }
}

pub fn inertial_sde(gamma: f64, damping: Damping, substeps: usize) -> Dynamics {
    Dynamics::InertialSde {
        lambda: Arc::new(|_| 1.0),
        gamma: Arc::new(move |_| gamma),
        damping,
        substeps,
    }
}

pub fn gaussian(factor: Factor, d: usize) -> Arc<dyn Noise> {
    Arc::new(FactorNoise::new(factor, EntryLaw::Gaussian, d))
}

pub fn ensemble(
    landscape: Arc<dyn Landscape>,
    noise: Arc<dyn Noise>,
    sigma: f64,
    eta: f64,
    x0: &[f64],
    processes: Vec<Dynamics>,
    save: &[u64],
) -> Ensemble {
    Ensemble {
        oracle: Oracle { landscape, noise },
        sigma,
        eta,
        x0: x0.to_vec(),
        m0: InitialMomentum::Zero,
        active: vec![true; processes.len()],
        processes,
        save: save.iter().map(|&k| Steps(k)).collect(),
        region: None,
        slow: None,
        watch: Watch::default(),
        key: StreamKey { seed: 11, cell: 0 },
    }
}

pub fn plan(functions: &[&str], pairs: &[(usize, usize)]) -> Plan {
    Plan {
        functions: functions
            .iter()
            .map(|f| f.parse::<TestFunction>().unwrap())
            .collect(),
        monitored: vec![0],
        pairs: pairs.to_vec(),
        laws: LawPlan::default(),
        paths: None,
    }
}

pub fn run(ensemble: &Ensemble, plan: &Plan, paths: u64) -> Accumulator {
    ensemble
        .run(plan, 0..paths, 64, &Control::default())
        .unwrap()
}
