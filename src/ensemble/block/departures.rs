//! The departures of a block: what raw iterates do around Φ(x), and the limits of that on Γ, at the looks.

use super::slow::{Place, Use};
use super::{Block, Track};
use crate::clocks::Steps;
use crate::ensemble::{Departure, Dynamics, Ensemble, SlowRegime};
use crate::projection::Batch;
use crate::real::{LANES, Lanes};

/// ∂Φ(x)∇L(x) is the central difference of Φ between x ± s∇L with ‖s∇L‖ this part of ‖x − Φ(x)‖: what it leaves out is
/// ⅙s²‖∂³Φ‖‖∇L‖³, of size (ησ²)^{3/2}.
const DIFFERENCE: f64 = 0.5;

/// The departures of one process: `values[function · groups + group]`; empty where none are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Departed {
    pub values: Vec<Lanes>,
    /// Those of an SDE at its coarser step.
    pub coarse: Vec<Lanes>,
    /// Φ(x) at the last regular look, of an SDE at both its steps.
    before: Vec<Lanes>,
    before_coarse: Vec<Lanes>,
    /// (1+β)/(1−β) and η̄β/(1−β) at the save steps.
    momentum: Vec<[f64; 2]>,
}

/// Working memory of the departures.
pub(super) struct DepartureWork {
    /// Whether gradients, losses, differences of Φ, the look before, and limits with Σ are needed.
    gradients: bool,
    losses: bool,
    differences: bool,
    velocities: bool,
    limits: bool,
    /// The last regular look.
    last: usize,
    /// Φ at the ends of the differences.
    pub batch: Batch,
    gradient: Vec<Lanes>,
    ahead: Vec<Lanes>,
    behind: Vec<Lanes>,
    /// ‖∂Φ∇L‖², L(x) and L(Φ(x)): one for every group.
    slope: Vec<Lanes>,
    loss: Vec<Lanes>,
    floor: Vec<Lanes>,
    /// P∇L, a unit vector, the columns of B, 𝓛_H^{-1}(QΣQ): of one group.
    tangential: Vec<Lanes>,
    unit: Vec<Lanes>,
    columns: Vec<Lanes>,
    covariance: Vec<Lanes>,
}

impl DepartureWork {
    pub fn new(ensemble: &Ensemble) -> DepartureWork {
        let (d, groups) = (ensemble.dimension(), ensemble.groups());
        let r = ensemble.oracle.noise.brownian();
        let slow = ensemble.slow.as_ref();
        let any = |f: fn(Departure) -> bool| slow.is_some_and(|s| s.departures.any(f));
        let gradients = any(|h| {
            matches!(
                h,
                Departure::NormalGradient2
                    | Departure::GradientMomentum
                    | Departure::ProjectedGradient2
                    | Departure::TangentialGradient2
            )
        });
        let losses = any(|h| h == Departure::ExcessLoss);
        let differences = any(|h| h == Departure::ProjectedGradient2);
        let limits = any(Departure::needs_noise);
        let lanes = |on: bool, n: usize| vec![Lanes::ZERO; if on { n } else { 0 }];
        let settings = slow.map(|s| s.difference_projection(unit(ensemble)));
        DepartureWork {
            gradients,
            losses,
            differences,
            velocities: any(Departure::of_velocity),
            limits,
            last: 0,
            batch: Batch::new(settings.unwrap_or_default()),
            gradient: lanes(gradients, d * groups),
            ahead: lanes(differences, d * groups),
            behind: lanes(differences, d * groups),
            slope: lanes(differences, groups),
            loss: lanes(losses, groups),
            floor: lanes(losses, groups),
            tangential: lanes(gradients, d),
            unit: lanes(limits, r),
            columns: lanes(limits, r * d),
            covariance: lanes(limits, d * d),
        }
    }

    /// Room for the departures of a process; what it does not have stays NaN.
    pub fn room(&self, ensemble: &Ensemble, process: &Dynamics) -> Departed {
        let Some(slow) = ensemble.slow.as_ref() else {
            return Departed::default();
        };
        let (functions, groups) = (slow.departures.functions.len(), ensemble.groups());
        let coarse = matches!(
            process,
            Dynamics::SlowSde { .. } | Dynamics::LimitingSde { .. }
        );
        let values =
            |on: bool| vec![Lanes::splat(f64::NAN); if on { functions * groups } else { 0 }];
        let states = |on: bool| {
            let n = ensemble.dimension() * groups;
            vec![Lanes::ZERO; if on && self.velocities { n } else { 0 }]
        };
        let of_momentum = slow.departures.any(Departure::of_momentum);
        let momentum = match process {
            Dynamics::Discrete { schedule, kind } if of_momentum && kind.averages_gradients() => {
                let at = |&k: &Steps| {
                    let gain = schedule.one_minus_beta(k);
                    [(2.0 - gain) / gain, schedule.coupling(k)]
                };
                ensemble.save.iter().map(at).collect()
            }
            _ => vec![],
        };
        Departed {
            values: values(true),
            coarse: values(coarse),
            before: states(true),
            before_coarse: states(coarse),
            momentum,
        }
    }
}

/// ησ².
fn unit(ensemble: &Ensemble) -> f64 {
    ensemble.eta * ensemble.sigma * ensemble.sigma
}

/// Σᵢ f(i).
fn sum(d: usize, f: impl Fn(usize) -> Lanes) -> Lanes {
    (0..d).fold(Lanes::ZERO, |s, i| s + f(i))
}

/// ‖f‖².
fn square(d: usize, f: impl Fn(usize) -> Lanes) -> Lanes {
    sum(d, |i| {
        let f = f(i);
        f * f
    })
}

impl Track {
    /// The finer step of an SDE in place of the coarser one, and the other way round.
    fn exchange(&mut self) {
        std::mem::swap(&mut self.x, &mut self.coarse);
        std::mem::swap(&mut self.landed, &mut self.landed_coarse);
        let departed = &mut self.departed;
        std::mem::swap(&mut departed.values, &mut departed.coarse);
        std::mem::swap(&mut departed.before, &mut departed.before_coarse);
    }
}

impl Block {
    /// The departures at a look, after Φ(x) is known.
    pub(super) fn depart(&mut self, ensemble: &Ensemble, first: u64, save: usize, step: u64) {
        let Some(slow) = &ensemble.slow else { return };
        if slow.departures.functions.is_empty() {
            return;
        }
        for index in (0..self.tracks.len()).filter(|&i| ensemble.active[i]) {
            let place = Place {
                first,
                step,
                process: index,
                of: Use::Difference,
            };
            match &ensemble.processes[index] {
                Dynamics::Discrete { .. } | Dynamics::Coupled { .. } => {
                    self.differentiate(ensemble, slow, place);
                    self.depart_from(ensemble, slow, save, index);
                }
                Dynamics::LimitingSde { .. } => {
                    // At both its steps.
                    for _ in 0..2 {
                        self.differentiate(ensemble, slow, place);
                        self.depart_from(ensemble, slow, save, index);
                        self.tracks[index].exchange();
                    }
                }
                Dynamics::SlowSde { .. } | Dynamics::Prescribed { .. } => {
                    self.depart_in_the_limit(ensemble, slow, save, place);
                }
                _ => {}
            }
        }
        if slow.early.binary_search(&save).is_err() {
            self.departures.last = save;
        }
    }

    /// ∇L(x), and ‖∂Φ(x)∇L(x)‖² by differences, where they are needed.
    fn differentiate(&mut self, ensemble: &Ensemble, slow: &SlowRegime, place: Place) {
        let d = ensemble.dimension();
        let track = &self.tracks[place.process];
        let work = &mut self.departures;
        if work.gradients {
            let landscape = &*ensemble.oracle.landscape;
            landscape.gradients(&track.x, &mut work.gradient);
        }
        if !work.differences {
            return;
        }
        let DepartureWork {
            gradient,
            ahead,
            behind,
            slope,
            ..
        } = work;
        for (j, slope) in slope.iter_mut().enumerate() {
            let (x, p) = (&track.x[j * d..(j + 1) * d], &track.landed[j * d..]);
            let g = &gradient[j * d..(j + 1) * d];
            let steepness = square(d, |i| g[i]).sqrt();
            let distance = square(d, |i| x[i] - p[i]).sqrt();
            let s = Lanes::splat(DIFFERENCE) * distance / steepness;
            // At rest there is nothing to project.
            let s = steepness.simd_gt(Lanes::ZERO).select(s, Lanes::ZERO);
            *slope = s;
            for i in 0..d {
                ahead[j * d + i] = s.mul_add(g[i], x[i]);
                behind[j * d + i] = (-s).mul_add(g[i], x[i]);
            }
        }
        let (mut ahead, mut behind) = (std::mem::take(ahead), std::mem::take(behind));
        self.land(ensemble, slow, place, &mut ahead);
        self.land(ensemble, slow, place, &mut behind);
        let work = &mut self.departures;
        for (j, slope) in work.slope.iter_mut().enumerate() {
            let width = *slope + *slope;
            let change = square(d, |i| ahead[j * d + i] - behind[j * d + i]);
            let rising = width.simd_gt(Lanes::ZERO);
            *slope = rising.select(change / (width * width), Lanes::ZERO);
        }
        (work.ahead, work.behind) = (ahead, behind);
    }

    /// The departures of an optimizer, or of (51).
    fn depart_from(&mut self, ensemble: &Ensemble, slow: &SlowRegime, save: usize, index: usize) {
        let (d, landscape) = (ensemble.dimension(), &*ensemble.oracle.landscape);
        let looks = &mut self.slow.looks;
        let work = &mut self.departures;
        let Track {
            x,
            m,
            landed,
            departed,
            ..
        } = &mut self.tracks[index];
        if landed.is_empty() {
            return;
        }
        if work.losses {
            landscape.values(x, &mut work.loss);
            landscape.values(landed, &mut work.floor);
        }
        let unit = Lanes::splat(1.0 / unit(ensemble));
        let variance = 1.0 / (ensemble.sigma * ensemble.sigma);
        let momentum = departed.momentum.get(save);
        for (f, &h) in slow.departures.functions.iter().enumerate() {
            if h.of_momentum() && momentum.is_none() {
                continue;
            }
            let [spread, weight] = momentum.copied().unwrap_or_default();
            let spread = Lanes::splat(spread * variance);
            for j in 0..self.groups {
                let z = |i: usize| x[j * d + i] - landed[j * d + i];
                let m = |i: usize| m[j * d + i];
                let g = |i: usize| work.gradient[j * d + i];
                let value = match h {
                    Departure::Distance2 => square(d, z),
                    Departure::Fluctuation2 => square(d, z) * unit,
                    Departure::Fluctuation(a, b) => z(a) * z(b) * unit,
                    Departure::ExcessLoss => (work.loss[j] - work.floor[j]) * unit,
                    Departure::NormalGradient2 => square(d, g) * unit,
                    Departure::Momentum2 => square(d, m) * spread,
                    Departure::Momentum(a, b) => m(a) * m(b) * spread,
                    Departure::GradientMomentum => sum(d, |i| g(i) * m(i)) * spread,
                    Departure::Lag2 => square(d, m) * Lanes::splat(weight * weight),
                    Departure::ProjectedGradient2 => work.slope[j] * unit * unit,
                    Departure::TangentialGradient2 => {
                        let range = j * d..(j + 1) * d;
                        let v = &mut work.tangential;
                        v.copy_from_slice(&work.gradient[range.clone()]);
                        looks.tangential(landscape, &landed[range], v);
                        square(d, |i| v[i]) * unit * unit
                    }
                    // Below, with those of X.
                    Departure::Velocity(_) | Departure::Velocity2 => continue,
                };
                departed.values[f * self.groups + j] = value;
            }
        }
        if work.velocities {
            let Departed { values, before, .. } = departed;
            velocities(slow, (work.last, save), d, landed, before, values);
        }
    }

    /// What the departures tend to at the points of Γ where a slow process is, at both of its steps.
    fn depart_in_the_limit(
        &mut self,
        ensemble: &Ensemble,
        slow: &SlowRegime,
        save: usize,
        place: Place,
    ) {
        let (d, noise) = (ensemble.dimension(), &*ensemble.oracle.noise);
        let (landscape, groups) = (&*ensemble.oracle.landscape, self.groups);
        let looks = &mut self.slow.looks;
        let work = &mut self.departures;
        let rate = slow.departures.rates.get(save).copied().unwrap_or(1.0);
        let by = |c: f64, v: Lanes| Lanes::splat(c * rate) * v;
        let track = &mut self.tracks[place.process];
        let Departed {
            values,
            coarse,
            before,
            before_coarse,
            ..
        } = &mut track.departed;
        let sides = [
            (&track.x, values, before),
            (&track.coarse, coarse, before_coarse),
        ];
        for (x, values, before) in sides {
            for (j, x) in x.chunks_exact(d).enumerate() {
                let (mut traces, mut total) = ([Lanes::ZERO; 2], Lanes::ZERO);
                if work.limits {
                    for (i, column) in work.columns.chunks_exact_mut(d).enumerate() {
                        work.unit.fill(Lanes::ZERO);
                        work.unit[i] = Lanes::ONE;
                        noise.diffuse(1.0, x, &work.unit, column, &mut self.scratch);
                    }
                    traces = looks.fluctuation(landscape, x, &work.columns, &mut work.covariance);
                    total = square(work.columns.len(), |i| work.columns[i]);
                }
                let [normal, curved] = traces;
                let (columns, covariance) = (&work.columns, &work.covariance);
                for (f, &h) in slow.departures.functions.iter().enumerate() {
                    let value = match h {
                        Departure::Fluctuation2 => by(1.0, sum(d, |i| covariance[i * d + i])),
                        Departure::Fluctuation(a, b) => by(1.0, covariance[a * d + b]),
                        Departure::ExcessLoss => by(0.25, normal),
                        Departure::NormalGradient2 => by(0.5, curved),
                        Departure::Momentum2 => total,
                        Departure::Momentum(a, b) => sum(columns.len() / d, |c| {
                            columns[c * d + a] * columns[c * d + b]
                        }),
                        Departure::Distance2
                        | Departure::GradientMomentum
                        | Departure::Lag2
                        | Departure::ProjectedGradient2
                        | Departure::TangentialGradient2 => Lanes::ZERO,
                        Departure::Velocity(_) | Departure::Velocity2 => continue,
                    };
                    values[f * groups + j] = value;
                }
            }
            if work.velocities {
                velocities(slow, (work.last, save), d, x, before, values);
            }
        }
        self.lose_undecided(place);
    }

    /// Takes out paths at whose points the tangent space, and with it a limit, is undecided.
    fn lose_undecided(&mut self, place: Place) {
        let track = &mut self.tracks[place.process];
        let groups = self.groups;
        for (i, value) in track.departed.values.iter().enumerate() {
            let lost = value.is_nan() & self.alive[i % groups];
            if !lost.any() {
                continue;
            }
            for lane in (0..LANES).filter(|l| (lost.to_bitmask() >> l) & 1 == 1) {
                let path = place.first + (i % groups * LANES + lane) as u64;
                track.failures.unprojected += 1;
                track.failures.record(path, place.step);
                self.alive[i % groups].as_mut_array()[lane] = 0.0;
            }
        }
    }
}

/// The velocities between the looks `last` and `save` of processes now at `now`, and at the look before at `before`: 0 at the start.
fn velocities(
    slow: &SlowRegime,
    (last, save): (usize, usize),
    d: usize,
    now: &[Lanes],
    before: &mut [Lanes],
    values: &mut [Lanes],
) {
    if save == 0 {
        before.copy_from_slice(now);
    }
    let at = |save: usize| slow.departures.times.get(save).copied().unwrap_or(0.0);
    let share = match at(save) - at(last) {
        time if time > 0.0 => 1.0 / time,
        _ => 0.0,
    };
    let groups = now.len() / d;
    for (f, &h) in slow.departures.functions.iter().enumerate() {
        for j in 0..groups {
            let step = |i: usize| now[j * d + i] - before[j * d + i];
            let value = match h {
                Departure::Velocity(i) => step(i),
                Departure::Velocity2 => square(d, step),
                _ => break,
            };
            values[f * groups + j] = value * Lanes::splat(share);
        }
    }
    if slow.early.binary_search(&save).is_err() {
        before.copy_from_slice(now);
    }
}
