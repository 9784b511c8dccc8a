//! One block of paths: the lock step itself.

mod departures;
mod slow;

use super::turbulence::Record;
use super::{Dynamics, Ensemble, InitialMomentum, MomentumScale, TestFunction, has_memory};
use crate::clocks::Steps;
use crate::landscape::Coefficients;
use crate::random::{LaneRng, Purpose};
use crate::real::{LANES, Lanes};
use crate::region::{all_lanes, bounded};
use crate::schedule::RateStream;
use departures::{Departed, DepartureWork};
use slow::SlowWork;

/// Steps whose coefficients are prepared at a time.
const SEGMENT: usize = 256;

/// Steps between two looks for blow-ups, where save times are farther apart.
const PATROL: u64 = 1024;

/// A coordinate beyond this many times 1 + ‖x_0‖∞ counts as a blow-up.
const BLOW_UP: f64 = 1e8;

/// Receives the states at the save steps.
pub trait Observer {
    /// Called once per block and save step, in order of time.
    fn observe(&mut self, save: usize, view: &BlockView<'_>);

    /// Called once at the end of a block with what went wrong in it.
    fn finish(&mut self, view: &BlockView<'_>);
}

/// What an observer sees.
pub struct BlockView<'a> {
    /// The ensemble.
    pub ensemble: &'a Ensemble,
    /// First path of the block.
    pub first: u64,
    /// Mask of the paths that still count, group by group.
    pub alive: &'a [Lanes],
    step: Steps,
    tracks: &'a [Track],
}

impl<'a> BlockView<'a> {
    /// State of a process, group by group; for the SDEs the finer of their two time steps. In Regime II the state of what does not
    /// run on Γ is Φ(x_k), unless [`SlowRegime::landed`](crate::ensemble::SlowRegime::landed) is off.
    pub fn state(&self, process: usize) -> &'a [Lanes] {
        let track = &self.tracks[process];
        if track.landed.is_empty() {
            &track.x
        } else {
            &track.landed
        }
    }

    /// A test function of a process at every path; `scratch` as for [`TestFunction::evaluate`].
    pub fn evaluate(
        &self,
        h: TestFunction,
        process: usize,
        out: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let track = &self.tracks[process];
        match (h, &track.record, &self.ensemble.processes[process]) {
            (TestFunction::Way(way), Some(record), _) => record.read(way, out),
            (TestFunction::Momentum(h), _, Dynamics::Discrete { schedule, kind })
                if kind.averages_gradients() && self.ensemble.slow.is_none() =>
            {
                let (weight, gain) = (
                    schedule.coupling(self.step),
                    schedule.one_minus_beta(self.step),
                );
                let scale = MomentumScale::new(weight, gain, self.ensemble.sigma);
                let landscape = &*self.ensemble.oracle.landscape;
                h.evaluate(landscape, scale, (&track.x, &track.m), out, scratch);
            }
            _ => self.look_up(h, &track.departed.values, self.state(process), out, scratch),
        }
    }

    /// The same at the coarser time step of an SDE.
    pub fn evaluate_coarse(
        &self,
        h: TestFunction,
        process: usize,
        out: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let departed = &self.tracks[process].departed.coarse;
        self.look_up(h, departed, self.coarse(process), out, scratch);
    }

    /// h from the departures where it is one of them, at the states `x` otherwise.
    fn look_up(
        &self,
        h: TestFunction,
        departed: &[Lanes],
        x: &[Lanes],
        out: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        let slow = self.ensemble.slow.as_ref();
        let place = slow.zip(h.departure()).and_then(|(slow, h)| {
            let mut functions = slow.departures.functions.iter();
            functions.position(|f| *f == h)
        });
        match place {
            Some(f) => {
                let groups = out.len();
                out.copy_from_slice(&departed[f * groups..(f + 1) * groups]);
            }
            None => h.evaluate(&self.ensemble.oracle, x, out, scratch),
        }
    }

    /// An SDE at its coarser time step; empty for other processes.
    pub fn coarse(&self, process: usize) -> &'a [Lanes] {
        let track = &self.tracks[process];
        if track.landed_coarse.is_empty() {
            &track.coarse
        } else {
            &track.landed_coarse
        }
    }

    /// Failures of a process so far.
    pub fn failures(&self, process: usize) -> &'a PathFailures {
        &self.tracks[process].failures
    }
}

/// Paths of a block that did not reach the horizon.
#[derive(Clone, Debug, Default)]
pub struct PathFailures {
    /// Paths that became infinite, not a number, or absurdly large.
    pub blow_ups: u64,
    /// Paths that left the compact set.
    pub exits: u64,
    /// Paths that Φ could not be computed on.
    pub unprojected: u64,
    /// Smallest path number that failed, and the step at which it was noticed.
    pub first: Option<(u64, u64)>,
}

impl PathFailures {
    fn record(&mut self, path: u64, step: u64) {
        let candidate = (path, step);
        self.first = Some(self.first.map_or(candidate, |f| f.min(candidate)));
    }
}

/// State of one process on the paths of the block.
#[derive(Clone, Debug, Default)]
struct Track {
    x: Vec<Lanes>,
    m: Vec<Lanes>,
    coarse: Vec<Lanes>,
    /// The momentum at the coarser step of an SDE that has one.
    coarse_m: Vec<Lanes>,
    /// Φ(x) at the last save step, in Regime II, for what does not run on Γ; and the same at the coarser step of the SDE.
    landed: Vec<Lanes>,
    landed_coarse: Vec<Lanes>,
    coefficients: Vec<Coefficients>,
    /// Lanes that left the compact set, and where they stay.
    stopped: Vec<Lanes>,
    parked: Vec<Lanes>,
    failures: PathFailures,
    record: Option<Record>,
    departed: Departed,
}

/// Working memory of a block, made once and used for many blocks.
pub struct Block {
    groups: usize,
    tracks: Vec<Track>,
    innovations: Vec<LaneRng>,
    brownian: Vec<LaneRng>,
    xi: Vec<Lanes>,
    v: Vec<Lanes>,
    scratch: Vec<Lanes>,
    alive: Vec<Lanes>,
    /// Normals of one group over all sub-steps, and the increments sub-step by sub-step for all groups.
    normals: Vec<Lanes>,
    increments: Vec<Lanes>,
    pair: Vec<Lanes>,
    sde_noise: Vec<Lanes>,
    slow: SlowWork,
    departures: DepartureWork,
}

impl Block {
    /// Working memory for the blocks of an ensemble.
    pub fn new(ensemble: &Ensemble) -> Block {
        let (d, groups) = (ensemble.dimension(), ensemble.groups());
        let noise = &ensemble.oracle.noise;
        let n = d * groups;
        let guard = if ensemble.region.is_some() { 1 } else { 0 };
        let lands = ensemble.slow.as_ref().is_some_and(|s| s.landed);
        let departures = DepartureWork::new(ensemble);
        let tracks = ensemble
            .processes
            .iter()
            .map(|p| Track {
                x: vec![Lanes::ZERO; n],
                m: match p {
                    Dynamics::Discrete { kind, .. } if has_memory(*kind) => vec![Lanes::ZERO; n],
                    Dynamics::InertialSde { .. } => vec![Lanes::ZERO; n],
                    _ => vec![],
                },
                coarse: match p {
                    Dynamics::LimitingSde { .. }
                    | Dynamics::InertialSde { .. }
                    | Dynamics::SlowSde { .. } => {
                        vec![Lanes::ZERO; n]
                    }
                    _ => vec![],
                },
                coarse_m: match p {
                    Dynamics::InertialSde { .. } => vec![Lanes::ZERO; n],
                    _ => vec![],
                },
                landed: match p {
                    Dynamics::Discrete { .. }
                    | Dynamics::Coupled { .. }
                    | Dynamics::LimitingSde { .. }
                        if lands =>
                    {
                        vec![Lanes::ZERO; n]
                    }
                    _ => vec![],
                },
                landed_coarse: match p {
                    Dynamics::LimitingSde { .. } if lands => vec![Lanes::ZERO; n],
                    _ => vec![],
                },
                coefficients: vec![Coefficients::default(); SEGMENT],
                stopped: vec![Lanes::ZERO; groups * guard],
                parked: vec![Lanes::ZERO; n * guard],
                failures: PathFailures::default(),
                record: match p {
                    Dynamics::Discrete { .. } if ensemble.watch.is_on() => {
                        Some(Record::new(ensemble.watch, d, noise.brownian(), groups))
                    }
                    Dynamics::CoupledSteps { .. } if ensemble.watch.of_steps().is_on() => {
                        Some(Record::new(ensemble.watch.of_steps(), d, 0, groups))
                    }
                    _ => None,
                },
                departed: departures.room(ensemble, p),
            })
            .collect();
        let fine = ensemble
            .processes
            .iter()
            .map(|p| match p {
                Dynamics::LimitingSde { substeps, .. } | Dynamics::InertialSde { substeps, .. } => {
                    2 * substeps
                }
                Dynamics::SlowSde { .. } => ensemble.slow.as_ref().map_or(0, |s| s.grid.substeps),
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        let r = noise.brownian();
        Block {
            groups,
            tracks,
            innovations: Vec::with_capacity(groups),
            brownian: Vec::with_capacity(groups),
            xi: vec![Lanes::ZERO; noise.innovation().entries() * groups],
            v: vec![Lanes::ZERO; n],
            scratch: vec![Lanes::ZERO; n + d + noise.scratch()],
            alive: vec![Lanes::ZERO; groups],
            normals: vec![Lanes::ZERO; fine * r],
            increments: vec![Lanes::ZERO; fine * r * groups],
            pair: vec![Lanes::ZERO; r * groups],
            sde_noise: vec![Lanes::ZERO; n],
            slow: SlowWork::new(ensemble),
            departures,
        }
    }

    /// Paths in a full block.
    pub fn paths(&self) -> u64 {
        (self.groups * LANES) as u64
    }

    /// Runs the paths first, …, first + count − 1 (count ≤ [`Block::paths`]) over the whole horizon.
    pub fn run(
        &mut self,
        ensemble: &Ensemble,
        first: u64,
        count: u64,
        observer: &mut dyn Observer,
    ) {
        self.start(ensemble, first, count);
        let mut streams: Vec<Option<RateStream<'_>>> = ensemble
            .processes
            .iter()
            .zip(&ensemble.active)
            .map(|(p, &active)| match p {
                Dynamics::Discrete { schedule, .. } | Dynamics::CoupledSteps { schedule, .. }
                    if active =>
                {
                    Some(schedule.stream())
                }
                _ => None,
            })
            .collect();
        let mut step = 0;
        for (index, &save) in ensemble.save.iter().enumerate() {
            while step < save.0 {
                let end = save.0.min(step + PATROL);
                self.advance(ensemble, &mut streams, first, step, end);
                step = end;
                self.patrol(ensemble, first, step);
            }
            self.couple(ensemble, index);
            for track in &mut self.tracks {
                if let Some(record) = &mut track.record {
                    record.look(&*ensemble.oracle.landscape, &track.x);
                }
            }
            self.show(ensemble, first, index, step);
            self.depart(ensemble, first, index, step);
            let view = BlockView {
                ensemble,
                first,
                alive: &self.alive,
                step: Steps(step),
                tracks: &self.tracks,
            };
            observer.observe(index, &view);
        }
        observer.finish(&BlockView {
            ensemble,
            first,
            alive: &self.alive,
            step: Steps(step),
            tracks: &self.tracks,
        });
    }

    fn start(&mut self, ensemble: &Ensemble, first: u64, count: u64) {
        let d = ensemble.dimension();
        let group_first = |j: usize| first + (j * LANES) as u64;
        self.innovations.clear();
        self.brownian.clear();
        for j in 0..self.groups {
            let rng = |purpose| LaneRng::new(ensemble.key, purpose, group_first(j));
            self.innovations.push(rng(Purpose::Innovation));
            self.brownian.push(rng(Purpose::Brownian));
            let in_use: [f64; LANES] = std::array::from_fn(|l| {
                if ((j * LANES + l) as u64) < count {
                    1.0
                } else {
                    0.0
                }
            });
            self.alive[j] = Lanes::from(in_use).simd_gt(Lanes::ZERO);
        }
        let m0 = match &ensemble.m0 {
            InitialMomentum::Zero | InitialMomentum::Gaussian(_) => vec![0.0; d],
            InitialMomentum::Fixed(m) => m.clone(),
            InitialMomentum::Gradient | InitialMomentum::Stationary => {
                let mut gradient = vec![0.0; d];
                let landscape = &ensemble.oracle.landscape;
                landscape.gradient_at(&ensemble.x0, &mut gradient);
                gradient
            }
        };
        let spread = match ensemble.m0 {
            InitialMomentum::Gaussian(s) => s,
            _ => 0.0,
        };
        for track in &mut self.tracks {
            track.failures = PathFailures::default();
            track.stopped.fill(Lanes::ZERO);
            for (j, x) in track.x.chunks_exact_mut(d).enumerate() {
                for (x, &x0) in x.iter_mut().zip(&ensemble.x0) {
                    *x = Lanes::splat(x0);
                }
                if let Some(m) = track.m.get_mut(j * d..(j + 1) * d) {
                    let mut rng = LaneRng::new(ensemble.key, Purpose::Start, group_first(j));
                    rng.normals(m);
                    for (m, &m0) in m.iter_mut().zip(&m0) {
                        *m = m.mul_add(Lanes::splat(spread), Lanes::splat(m0));
                    }
                }
            }
        }
        for (track, process) in self.tracks.iter_mut().zip(&ensemble.processes) {
            if let (Dynamics::SlowSde { .. }, Some(slow)) = (process, &ensemble.slow) {
                for x in track.x.chunks_exact_mut(d) {
                    for (x, &landing) in x.iter_mut().zip(&slow.landing) {
                        *x = Lanes::splat(landing);
                    }
                }
            }
            let Track {
                x,
                m,
                coarse,
                coarse_m,
                ..
            } = track;
            if !coarse.is_empty() {
                coarse.copy_from_slice(x);
            }
            if !coarse_m.is_empty() {
                coarse_m.copy_from_slice(m);
            }
        }
        if ensemble.m0 == InitialMomentum::Stationary {
            self.stationary_momenta(ensemble, first);
        }
        for (index, process) in ensemble.processes.iter().enumerate() {
            if let Dynamics::CoupledSteps { of, weight, .. } = process {
                self.shift(index, *of, *weight);
            }
        }
        for track in &mut self.tracks {
            let Track { x, record, .. } = track;
            if let Some(record) = record {
                record.restart(&*ensemble.oracle.landscape, x);
            }
        }
        self.slow.restart(ensemble);
    }

    /// Adds √((1−β_0)/(1+β_0)) σB(x_0)ζ with standard normal ζ to the momenta.
    fn stationary_momenta(&mut self, ensemble: &Ensemble, first: u64) {
        let (d, noise) = (ensemble.dimension(), &*ensemble.oracle.noise);
        let mut zeta = vec![Lanes::ZERO; noise.brownian()];
        for (track, process) in self.tracks.iter_mut().zip(&ensemble.processes) {
            let Dynamics::Discrete { schedule, .. } = process else {
                continue;
            };
            let gain = schedule.one_minus_beta(Steps(0));
            let scale = ensemble.sigma * (gain / (2.0 - gain)).sqrt();
            let groups = track.m.chunks_exact_mut(d).zip(track.x.chunks_exact(d));
            for (j, (m, x)) in groups.enumerate() {
                let path = first + (j * LANES) as u64;
                LaneRng::new(ensemble.key, Purpose::Start, path).normals(&mut zeta);
                let v = &mut self.v[..d];
                noise.diffuse(scale, x, &zeta, v, &mut self.scratch);
                m.iter_mut().zip(v).for_each(|(m, v)| *m += *v);
            }
        }
    }

    fn advance(
        &mut self,
        ensemble: &Ensemble,
        streams: &mut [Option<RateStream<'_>>],
        first: u64,
        from: u64,
        to: u64,
    ) {
        let mut start = from;
        while start < to {
            let length = (to - start).min(SEGMENT as u64) as usize;
            let tracks = self.tracks.iter_mut().zip(&ensemble.processes);
            for ((track, process), stream) in tracks.zip(streams.iter_mut()) {
                if let (
                    Dynamics::Discrete { kind, .. } | Dynamics::CoupledSteps { kind, .. },
                    Some(stream),
                ) = (process, stream)
                {
                    stream.fill(*kind, Steps(start), &mut track.coefficients[..length]);
                }
            }
            for offset in 0..length {
                self.step(ensemble, start, offset);
                if let Some(slow) = &ensemble.slow {
                    self.slow_step(ensemble, slow, first, start + offset as u64);
                }
                if ensemble.region.is_some() {
                    self.guard(ensemble, first, start + offset as u64 + 1);
                }
            }
            start += length as u64;
        }
    }

    /// One step of every process on the same innovation.
    #[inline]
    fn step(&mut self, ensemble: &Ensemble, segment: u64, offset: usize) {
        let noise = &*ensemble.oracle.noise;
        let landscape = &*ensemble.oracle.landscape;
        let additive = noise.additive() || ensemble.sigma == 0.0;
        if ensemble.sigma != 0.0 {
            noise.innovation().draw(&mut self.innovations, &mut self.xi);
            if additive {
                // An additive law does not look at the state: any process will do.
                let x = self.tracks.first().map_or(&[][..], |t| &t.x);
                noise.noise(ensemble.sigma, x, &self.xi, &mut self.v, &mut self.scratch);
            }
        }
        // Before x moves: these take the gradient there.
        for (index, process) in ensemble.processes.iter().enumerate() {
            if let Dynamics::CoupledSteps { of, .. } = process
                && ensemble.active[index]
            {
                self.coupled_step(ensemble, index, *of, offset, additive);
            }
        }
        for (index, process) in ensemble.processes.iter().enumerate() {
            match process {
                _ if !ensemble.active[index] => {}
                Dynamics::Discrete { .. } => {
                    let Track {
                        x,
                        m,
                        coefficients,
                        stopped,
                        record,
                        ..
                    } = &mut self.tracks[index];
                    let step = coefficients[offset];
                    if let Some(record) = record {
                        let (oracle, sigma) = (&ensemble.oracle, ensemble.sigma);
                        record.before(oracle, sigma, step, x, m, stopped, &mut self.scratch);
                    }
                    if additive {
                        landscape.descend(step, &self.v, x, m, &mut self.scratch);
                    } else {
                        noise.gradient(
                            landscape,
                            ensemble.sigma,
                            x,
                            &self.xi,
                            &mut self.v,
                            &mut self.scratch,
                        );
                        step.apply(&self.v, x, m);
                    }
                    if let Some(record) = record {
                        record.after(landscape, x, stopped);
                    }
                }
                Dynamics::Coupled { .. }
                | Dynamics::CoupledSteps { .. }
                | Dynamics::SlowSde { .. }
                | Dynamics::Prescribed { .. } => {}
                Dynamics::LimitingSde { lambda, substeps } => {
                    let k = (segment + offset as u64) as f64;
                    let step = |t, h| Coefficients::sgd(h * lambda(t));
                    self.sde_step(ensemble, index, k, &step, 2 * substeps);
                }
                Dynamics::InertialSde {
                    lambda,
                    gamma,
                    damping,
                    substeps,
                } => {
                    let k = (segment + offset as u64) as f64;
                    let step = |t, h| {
                        let gain = h * gamma(t);
                        Coefficients {
                            decay: 1.0 - damping.factor() * gain,
                            gain,
                            rate: h * lambda(t),
                        }
                    };
                    self.sde_step(ensemble, index, k, &step, 2 * substeps);
                }
            }
        }
    }

    /// y ← y − r_k g_k with the noisy gradient g_k at the state of process `of`.
    fn coupled_step(
        &mut self,
        ensemble: &Ensemble,
        index: usize,
        of: usize,
        offset: usize,
        additive: bool,
    ) {
        let (noise, landscape) = (&*ensemble.oracle.noise, &*ensemble.oracle.landscape);
        let (sigma, g) = (ensemble.sigma, &mut self.sde_noise);
        let x = &self.tracks[of].x;
        if additive {
            landscape.gradients(x, g);
            if sigma != 0.0 {
                g.iter_mut().zip(&self.v).for_each(|(g, &v)| *g += v);
            }
        } else {
            noise.gradient(landscape, sigma, x, &self.xi, g, &mut self.scratch);
        }
        let Track {
            x: y,
            coefficients,
            record,
            ..
        } = &mut self.tracks[index];
        let step = coefficients[offset];
        if let Some(record) = record {
            record.before(
                &ensemble.oracle,
                sigma,
                step,
                y,
                &[],
                &[],
                &mut self.scratch,
            );
        }
        let rate = Lanes::splat(-step.rate);
        y.iter_mut()
            .zip(g.iter())
            .for_each(|(y, &g)| *y = rate.mul_add(g, *y));
        if let Some(record) = record {
            record.after(landscape, y, &[]);
        }
    }

    /// Euler–Maruyama over one optimizer step: `fine` steps of η/fine, and half as many of twice the length, on one
    /// Brownian path; `coefficients` are those of a step at time t of length h.
    ///
    /// With Gaussian innovations the increment over the whole step is −√η ξ_k (theory: the minus of the gradient step), and
    /// the sub-increments are its Brownian bridge; the difference w = −ΔW·fine/√η of such a bridge is ξ + √fine (z̄ − z).
    /// Otherwise the path is the SDE's own: w = √fine z.
    fn sde_step(
        &mut self,
        ensemble: &Ensemble,
        index: usize,
        k: f64,
        coefficients: &dyn Fn(f64, f64) -> Coefficients,
        fine: usize,
    ) {
        let noise = &*ensemble.oracle.noise;
        let landscape = &*ensemble.oracle.landscape;
        let (r, groups) = (noise.brownian(), self.groups);
        let diffusive = ensemble.sigma != 0.0 && r > 0;
        if diffusive {
            self.bridge(r, fine, ensemble.oracle.shares_brownian_path());
        }
        let h = ensemble.eta / fine as f64;
        let row = r * groups;
        let Track {
            x,
            m,
            coarse,
            coarse_m,
            ..
        } = &mut self.tracks[index];
        for s in (0..fine).step_by(2) {
            for sub in [s, s + 1] {
                let t = (k + sub as f64 / fine as f64) * ensemble.eta;
                if diffusive {
                    let w = &self.increments[sub * row..(sub + 1) * row];
                    noise.diffuse(ensemble.sigma, x, w, &mut self.sde_noise, &mut self.scratch);
                } else {
                    self.sde_noise.fill(Lanes::ZERO);
                }
                let step = coefficients(t, h);
                landscape.descend(step, &self.sde_noise, x, m, &mut self.scratch);
            }
            if diffusive {
                let (a, b) = self.increments[s * row..(s + 2) * row].split_at(row);
                for (p, (&a, &b)) in self.pair.iter_mut().zip(a.iter().zip(b)) {
                    *p = Lanes::splat(0.5) * (a + b);
                }
                noise.diffuse(
                    ensemble.sigma,
                    coarse,
                    &self.pair,
                    &mut self.sde_noise,
                    &mut self.scratch,
                );
            }
            let t = (k + s as f64 / fine as f64) * ensemble.eta;
            let step = coefficients(t, 2.0 * h);
            landscape.descend(step, &self.sde_noise, coarse, coarse_m, &mut self.scratch);
        }
    }

    /// `fine` increments of a Brownian path over one optimizer step, each times −fine/√η, into `increments`: the bridge through
    /// ξ_k where the path is `shared` with the optimizers.
    fn bridge(&mut self, r: usize, fine: usize, shared: bool) {
        let root = Lanes::splat((fine as f64).sqrt());
        let groups = self.groups;
        for (j, rng) in self.brownian.iter_mut().enumerate() {
            let normals = &mut self.normals[..fine * r];
            rng.normals(normals);
            for i in 0..r {
                let shift = if shared {
                    let sum = normals
                        .iter()
                        .skip(i)
                        .step_by(r)
                        .fold(Lanes::ZERO, |s, &z| s + z);
                    self.xi[j * r + i] + root * sum * Lanes::splat(1.0 / fine as f64)
                } else {
                    Lanes::ZERO
                };
                for s in 0..fine {
                    self.increments[(s * groups + j) * r + i] = shift - root * normals[s * r + i];
                }
            }
        }
    }

    /// Parks the paths that left the compact set where they left it.
    fn guard(&mut self, ensemble: &Ensemble, first: u64, step: u64) {
        let Some(region) = &ensemble.region else {
            return;
        };
        let d = ensemble.dimension();
        for (track, process) in self.tracks.iter_mut().zip(&ensemble.processes) {
            if matches!(
                process,
                Dynamics::Coupled { .. }
                    | Dynamics::CoupledSteps { .. }
                    | Dynamics::Prescribed { .. }
            ) {
                continue;
            }
            for j in 0..self.groups {
                let range = j * d..(j + 1) * d;
                let x = &mut track.x[range.clone()];
                let parked = &mut track.parked[range.clone()];
                let stopped = &mut track.stopped[j];
                let outside = !region.inside(x);
                let fresh = outside & !*stopped & self.alive[j];
                if fresh.any() {
                    for (p, &x) in parked.iter_mut().zip(x.iter()) {
                        *p = fresh.select(x, *p);
                    }
                    *stopped |= fresh;
                    for lane in lanes_of(fresh) {
                        track.failures.exits += 1;
                        track
                            .failures
                            .record(first + (j * LANES + lane) as u64, step);
                    }
                }
                if stopped.any() {
                    for (x, &p) in x.iter_mut().zip(parked.iter()) {
                        *x = stopped.select(p, *x);
                    }
                    if let Some(coarse) = track.coarse.get_mut(range) {
                        for (c, &p) in coarse.iter_mut().zip(parked.iter()) {
                            *c = stopped.select(p, *c);
                        }
                    }
                }
            }
        }
    }

    /// Takes paths that blew up in any process out of the statistics of all of them.
    fn patrol(&mut self, ensemble: &Ensemble, first: u64, step: u64) {
        let d = ensemble.dimension();
        let size = ensemble.x0.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let bound = BLOW_UP * (1.0 + size);
        for j in 0..self.groups {
            let mut healthy = all_lanes();
            for (track, process) in self.tracks.iter_mut().zip(&ensemble.processes) {
                if matches!(process, Dynamics::Prescribed { .. }) {
                    continue;
                }
                let range = j * d..(j + 1) * d;
                let mut fine = bounded(&track.x[range.clone()], bound);
                if let Some(coarse) = track.coarse.get(range) {
                    fine &= bounded(coarse, bound);
                }
                healthy &= fine;
                for lane in lanes_of(!fine & self.alive[j]) {
                    track.failures.blow_ups += 1;
                    track
                        .failures
                        .record(first + (j * LANES + lane) as u64, step);
                }
            }
            self.alive[j] &= healthy;
        }
    }

    /// y = x − w m for the coupled trajectories.
    fn couple(&mut self, ensemble: &Ensemble, save: usize) {
        for (index, process) in ensemble.processes.iter().enumerate() {
            if let Dynamics::Coupled { of, weights } = process {
                self.shift(index, *of, weights[save]);
            }
        }
    }

    /// y = x − w m of the earlier process `of` into process `index`.
    fn shift(&mut self, index: usize, of: usize, weight: f64) {
        let weight = Lanes::splat(-weight);
        let (before, rest) = self.tracks.split_at_mut(index);
        let source = &before[of];
        for (y, (&x, &m)) in rest[0].x.iter_mut().zip(source.x.iter().zip(&source.m)) {
            *y = weight.mul_add(m, x);
        }
    }
}

/// The lanes that are set in a mask.
fn lanes_of(mask: Lanes) -> impl Iterator<Item = usize> {
    let bits = mask.to_bitmask();
    (0..LANES).filter(move |l| (bits >> l) & 1 == 1)
}
