//! What is known of a scenario's laws without sampling: exact moments where the loss is quadratic and its covariance constant,
//! the slow SDE's law where that has a closed form.

use super::known::Moment;
use super::run::LARGEST_SPECTRUM;
use super::system::{Member, System};
use super::{ProcessKind, Scenario};
use crate::clocks::{FastTime, Steps};
use crate::ensemble::{
    InitialMomentum, MomentumFunction, MomentumScale, MomentumSquare, TestFunction, Way,
};
use crate::exact_moments::{InitialMoments, MomentState, NoisyQuadratic};
use crate::landscape::{Coefficients, QuadraticForm};
use crate::report::result::{ExactLadder, ProcessFamily, Regime};
use crate::schedule::{RateKind, Schedule};
use crate::slow_flow::square_integral;
use crate::slow_law::SlowLaw;
use crate::theorems::weak_approximation::Rung;
use nalgebra::{DMatrix, DVector};

/// What is known exactly.
pub(super) struct Exact {
    /// From the problem itself.
    derived: Option<Derived>,
    /// From the author of the scenario, which comes first.
    stated: Option<StatedLaws>,
}

/// What follows from the problem.
enum Derived {
    /// Regime I.
    Moments(ExactMoments),
    /// Regime II: the law of the slow SDE.
    Slow(ExactLaw),
}

impl Exact {
    /// E h at every save step of a process in a cell.
    pub fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
        let stated = self.stated.as_ref();
        stated
            .and_then(|s| s.series(cell, process, h))
            .or_else(|| match self.derived.as_ref()? {
                Derived::Moments(moments) => moments.series(cell, process, h),
                Derived::Slow(law) => law.series(cell, process, h),
            })
    }

    /// Mean and standard deviation of h, if it is Gaussian.
    pub fn gaussian_law(
        &self,
        cell: usize,
        process: usize,
        save: usize,
        h: TestFunction,
    ) -> Option<(f64, f64)> {
        match self.derived.as_ref()? {
            Derived::Moments(moments) => moments.gaussian_law(cell, process, save, h),
            Derived::Slow(law) => law.gaussian_law(cell, process, save, h),
        }
    }
}

/// The laws that the scenario states, on the ladder.
struct StatedLaws {
    /// `own[cell]`: a process, a function and its means at the save steps, at this η itself.
    own: Vec<Vec<(usize, TestFunction, Vec<f64>)>>,
    /// `means[cell]`: a function of the panel and its means at the save steps.
    means: Vec<Vec<(TestFunction, Vec<f64>)>>,
    /// The processes that have this law.
    exact: Vec<bool>,
}

impl StatedLaws {
    fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
        let mut own = self.own.get(cell)?.iter();
        if let Some((_, _, series)) = own.find(|(p, f, _)| *p == process && *f == h) {
            return Some(series.clone());
        }
        let mut means = self.means.get(cell)?.iter();
        let (_, series) = means.find(|(f, _)| *f == h)?;
        self.exact[process].then(|| series.clone())
    }
}

/// The law of the slow SDE on the ladder.
pub(super) struct ExactLaw {
    law: SlowLaw,
    /// `clocks[cell][save]`: ∫₀ᵗ λ².
    clocks: Vec<Vec<f64>>,
    /// The processes that have this law.
    exact: Vec<bool>,
}

impl ExactLaw {
    fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
        if !self.exact[process] {
            return None;
        }
        let clocks = self.clocks.get(cell)?.iter();
        clocks.map(|&c| self.law.expectation(h, c)).collect()
    }

    fn gaussian_law(
        &self,
        cell: usize,
        process: usize,
        save: usize,
        h: TestFunction,
    ) -> Option<(f64, f64)> {
        let clock = *self.clocks.get(cell)?.get(save)?;
        let law = self.law.gaussian(h, clock).filter(|_| self.exact[process]);
        law.filter(|(_, deviation)| *deviation > 0.0)
    }
}

/// Exact moments of a quadratic problem.
pub(super) struct ExactMoments {
    form: QuadraticForm,
    /// Whether all laws are Gaussian, so that fourth powers and cosines are known too.
    gaussian: bool,
    /// `states[cell][process][save]`; empty where nothing is known.
    states: Vec<Vec<Vec<MomentState>>>,
    /// The same of the momenta of discrete processes, where a function of the panel asks for them.
    momenta: Vec<Vec<Vec<MomentumMoments>>>,
}

/// The moments of m_k, and what steps and the coupled trajectory make of it.
struct MomentumMoments {
    momentum: MomentState,
    /// r of x_k − x_{k−1} = −r m_k; at the start no step has been taken.
    rate: Option<f64>,
    /// Where m_k is the momentum of SGDM.
    scale: Option<MomentumScale>,
}

/// The smallest exponent of the exact ladder, η = 2⁻³⁰.
const DEEPEST: i32 = -30;

impl ExactMoments {
    /// E h at every save step of a process in a cell.
    pub fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
        if h.is_of_process() {
            let momenta = self.momenta.get(cell)?.get(process)?;
            let series: Option<Vec<f64>> = momenta
                .iter()
                .map(|m| self.expect_of_process(m, h))
                .collect();
            return series.filter(|s| !s.is_empty());
        }
        let states = self.states.get(cell)?.get(process)?;
        if states.is_empty() {
            return None;
        }
        states.iter().map(|s| self.expect(s, h)).collect()
    }

    /// Mean and standard deviation of a coordinate, if it is Gaussian.
    pub fn gaussian_law(
        &self,
        cell: usize,
        process: usize,
        save: usize,
        h: TestFunction,
    ) -> Option<(f64, f64)> {
        let state = self.states.get(cell)?.get(process)?.get(save)?;
        match h {
            TestFunction::Coordinate(i) if self.gaussian => {
                Some((state.mean[i], state.covariance[(i, i)].max(0.0).sqrt()))
            }
            TestFunction::Expression(h) if self.gaussian => {
                h.normal_law(&state.mean, &state.covariance)
            }
            _ => None,
        }
    }

    fn expect_of_process(&self, m: &MomentumMoments, h: TestFunction) -> Option<f64> {
        let momentum = &m.momentum;
        let step = |of: f64, power: i32| m.rate.map_or(0.0, |rate| (-rate).powi(power) * of);
        // ∇L(x) − ∇L(y) = w A m.
        let gap = || QuadraticForm {
            center: DVector::zeros(momentum.mean.len()),
            ..self.form.clone()
        };
        Some(match h {
            TestFunction::Way(Way::Step(i)) => step(momentum.coordinate(i), 1),
            TestFunction::Way(Way::StepSquare(i)) => step(momentum.square(i), 2),
            TestFunction::Way(Way::StepFourth(i)) if self.gaussian => {
                step(momentum.fourth_gaussian(i), 4)
            }
            TestFunction::Momentum(MomentumFunction::GradientLag(i)) => {
                m.scale?.weight * (&self.form.hessian * &momentum.mean)[i]
            }
            TestFunction::Momentum(MomentumFunction::Square { of, relative }) => {
                let scale = m.scale?;
                let square = match of {
                    MomentumSquare::Momentum | MomentumSquare::Lag => momentum.norm_squared(),
                    MomentumSquare::GradientLag => {
                        scale.weight.powi(2) * momentum.squared_gradient(&gap())
                    }
                };
                of.factor(scale, relative) * square
            }
            _ => return None,
        })
    }

    fn expect(&self, s: &MomentState, h: TestFunction) -> Option<f64> {
        Some(match h {
            TestFunction::Coordinate(i) => s.coordinate(i),
            TestFunction::Square(i) => s.square(i),
            TestFunction::Product(i, j) => s.product(i, j),
            TestFunction::SquaredNorm => s.norm_squared(),
            TestFunction::Loss => s.quadratic_loss(&self.form),
            TestFunction::SquaredGradient => s.squared_gradient(&self.form),
            TestFunction::Fourth(i) if self.gaussian => s.fourth_gaussian(i),
            TestFunction::Cosine(i) if self.gaussian => s.cos_gaussian(i),
            TestFunction::Expression(h) => h.expectation(&s.mean, &s.covariance)?,
            _ => return None,
        })
    }
}

impl Scenario {
    /// What is known of the processes on the ladder; `None` if that is nothing.
    pub(super) fn exact(&self, members: &[Member], systems: &[System]) -> Option<Exact> {
        let is_limit = |m: &Member| {
            (m.kind == ProcessKind::Sde && self.regime == Regime::Fast)
                || matches!(
                    m.kind.family(),
                    ProcessFamily::SlowSde | ProcessFamily::ClosedForm
                )
        };
        let exact: Vec<bool> = members.iter().map(is_limit).collect();
        let derived = match self.regime {
            Regime::Fast => self.exact_moments(members, systems).map(Derived::Moments),
            Regime::Slow => self.slow_law().map(|law| {
                Derived::Slow(ExactLaw {
                    law,
                    clocks: systems.iter().map(|s| self.slow_clocks(s)).collect(),
                    exact: exact.clone(),
                })
            }),
        };
        let any = self.known.has_laws() || !self.known.of_processes().is_empty();
        let stated = any.then(|| StatedLaws {
            own: systems.iter().map(|s| self.own_means(members, s)).collect(),
            means: systems.iter().map(|s| self.stated_means(s)).collect(),
            exact,
        });
        (derived.is_some() || stated.is_some()).then_some(Exact { derived, stated })
    }

    /// The means that the scenario states, at the save steps.
    fn stated_means(&self, system: &System) -> Vec<(TestFunction, Vec<f64>)> {
        let save = &system.ensemble.save;
        let times = save.iter().map(|&k| self.time(k, system.eta));
        self.run
            .functions
            .iter()
            .filter_map(|&h| {
                let law = self.known.law(h)?;
                let mean = |t| law.mean(t, system.eta).unwrap_or(f64::NAN);
                Some((h, times.clone().map(mean).collect()))
            })
            .collect()
    }

    /// The means of processes at finite η that the scenario states, at the save steps.
    fn own_means(
        &self,
        members: &[Member],
        system: &System,
    ) -> Vec<(usize, TestFunction, Vec<f64>)> {
        let mut means = vec![];
        for law in self.known.of_processes() {
            let of_kind = |(_, m): &(usize, &Member)| m.kind == law.process;
            for (place, member) in members.iter().enumerate().filter(of_kind) {
                let Some(schedule) = self.schedule(*member, system.eta) else {
                    continue;
                };
                let mean = |&k: &Steps| law.mean(self.moment(&schedule, k, system.eta));
                let series = system.ensemble.save.iter().map(mean).collect();
                means.push((place, law.function, series));
            }
        }
        means
    }

    /// What the law of a process at step k may depend on.
    pub(super) fn moment(&self, schedule: &Schedule, k: Steps, eta: f64) -> Moment {
        let constant = schedule.constant_from(RateKind::Sgdm).is_some();
        Moment {
            t: self.time(k, eta),
            eta,
            k: k.0 as f64,
            beta: match constant {
                true => 1.0 - schedule.one_minus_beta(Steps(0)),
                false => f64::NAN,
            },
            sigma: self.sigma(eta),
        }
    }

    /// The law of the slow SDE from x_0, where it has a closed form. Paths stopped at the edge of a compact set follow it as long
    /// as few of them are.
    pub(super) fn slow_law(&self) -> Option<SlowLaw> {
        let landscape = &self.oracle.landscape;
        landscape.slow_law(&self.slow_noise, &DVector::from_column_slice(&self.x0))
    }

    /// ∫₀ᵗ λ² at the save steps.
    fn slow_clocks(&self, system: &System) -> Vec<f64> {
        let times = system
            .ensemble
            .save
            .iter()
            .map(|&k| self.time(k, system.eta));
        if let Some(rate) = self.learning_rate.constant_value() {
            return times.map(|t| rate * rate * t).collect();
        }
        let rate = |t: f64| self.learning_rate.limit(t, self.run.horizon).unwrap_or(1.0);
        let (mut clock, mut before) = (0.0, 0.0);
        times
            .map(|t| {
                // Checked: λ is finite. What is not a number would be no closed form.
                clock += square_integral(&rate, before, t).unwrap_or(f64::NAN);
                before = t;
                clock
            })
            .collect()
    }

    /// The loss of a problem whose moments are known: quadratic, with additive noise, on the whole space.
    pub(super) fn linear_problem(&self) -> Option<QuadraticForm> {
        let additive = self.oracle.noise.additive() || self.noise_factor == 0.0;
        if self.x0.len() > LARGEST_SPECTRUM || self.region.is_some() || !additive {
            return None;
        }
        self.oracle.landscape.quadratic_form()
    }

    /// Exact moments of all processes on the ladder; `None` if the problem has none.
    fn exact_moments(&self, members: &[Member], systems: &[System]) -> Option<ExactMoments> {
        let form = self.linear_problem()?;
        let gaussian = self.oracle.shares_brownian_path() || self.noise_factor == 0.0;
        let initial = self.initial_moments(&form);
        let covariance = self
            .oracle
            .covariance(&DVector::from_column_slice(&self.x0));
        let cell = |s: &System| -> Option<Vec<Vec<MomentState>>> {
            let problem = NoisyQuadratic::new(&form, &covariance, s.ensemble.sigma).ok()?;
            let process = |m: &Member| -> Vec<MomentState> {
                self.process_moments(&problem, &initial, *m, s.eta, &s.ensemble.save)
                    .unwrap_or_default()
            };
            Some(members.iter().map(process).collect())
        };
        let states = systems
            .iter()
            .map(|s| cell(s).unwrap_or_default())
            .collect();
        let asked = self.run.functions.iter().any(|h| h.is_of_process());
        let momenta = |s: &System| -> Option<Vec<Vec<MomentumMoments>>> {
            let problem = NoisyQuadratic::new(&form, &covariance, s.ensemble.sigma).ok()?;
            let process = |m: &Member| {
                let own = self.momentum_moments(&problem, &initial, *m, s.eta, &s.ensemble.save);
                own.unwrap_or_default()
            };
            Some(members.iter().map(process).collect())
        };
        let asking = systems.iter().filter(|_| asked);
        let momenta = asking.map(|s| momenta(s).unwrap_or_default()).collect();
        Some(ExactMoments {
            form,
            gaussian,
            states,
            momenta,
        })
    }

    /// The moments of m_k at the save steps of a discrete process.
    fn momentum_moments(
        &self,
        problem: &NoisyQuadratic,
        initial: &InitialMoments,
        member: Member,
        eta: f64,
        saves: &[Steps],
    ) -> Option<Vec<MomentumMoments>> {
        let schedule = self.schedule(member, eta)?;
        let initial = self.started(initial, &schedule, eta);
        let Some(kind) = self.rates(member.kind) else {
            return self.coupled_gradients(problem, &initial, member, &schedule, saves);
        };
        let momenta = problem
            .momentum_moments(&initial, &schedule, kind, saves)
            .ok()?;
        let mut stream = schedule.stream();
        let mut rate = |k: Steps| {
            let mut step = [Coefficients::default()];
            let before = Steps(k.0.checked_sub(1)?);
            stream.fill(kind, before, &mut step);
            Some(step[0].rate)
        };
        let scale = |k: Steps| {
            let (weight, gain) = (schedule.coupling(k), schedule.one_minus_beta(k));
            MomentumScale::new(weight, gain, self.sigma(eta))
        };
        let at = |(momentum, &k): (MomentState, &Steps)| MomentumMoments {
            momentum,
            rate: rate(k),
            scale: kind.averages_gradients().then(|| scale(k)),
        };
        Some(momenta.into_iter().zip(saves).map(at).collect())
    }

    /// The moments of the gradients g_{k−1} at x_{k−1} of which y takes its steps, y_k = y_{k−1} − η̄_{k−1} g_{k−1}.
    fn coupled_gradients(
        &self,
        problem: &NoisyQuadratic,
        initial: &InitialMoments,
        member: Member,
        schedule: &Schedule,
        saves: &[Steps],
    ) -> Option<Vec<MomentumMoments>> {
        if member.kind != ProcessKind::CoupledSteps {
            return None;
        }
        let before: Vec<Steps> = saves.iter().map(|k| Steps(k.0.saturating_sub(1))).collect();
        let positions = problem
            .moments(initial, schedule, RateKind::Sgdm, &before)
            .ok()?;
        let at = |(x, (&k, &before)): (MomentState, (&Steps, &Steps))| MomentumMoments {
            momentum: problem.gradient_moments(&x),
            rate: (k.0 > 0).then(|| schedule.averaged_rate(before)),
            scale: None,
        };
        let steps = saves.iter().zip(&before);
        Some(positions.into_iter().zip(steps).map(at).collect())
    }

    /// The moments at the start under this schedule, which a stationary momentum depends on.
    fn started(&self, initial: &InitialMoments, schedule: &Schedule, eta: f64) -> InitialMoments {
        let mut initial = initial.clone();
        if self.m0 == InitialMomentum::Stationary {
            let x0 = DVector::from_column_slice(&self.x0);
            let gain = schedule.one_minus_beta(Steps(0));
            let scale = self.sigma(eta).powi(2) * gain / (2.0 - gain);
            initial.momentum.covariance = self.oracle.covariance(&x0) * scale;
        }
        initial
    }

    fn initial_moments(&self, form: &QuadraticForm) -> InitialMoments {
        let x0 = DVector::from_column_slice(&self.x0);
        let d = x0.len();
        let mut initial = InitialMoments::at(x0.clone());
        match &self.m0 {
            InitialMomentum::Zero => {}
            InitialMomentum::Gradient | InitialMomentum::Stationary => {
                initial.momentum.mean = &form.hessian * (x0 - &form.center)
            }
            InitialMomentum::Fixed(m) => initial.momentum.mean = DVector::from_column_slice(m),
            InitialMomentum::Gaussian(s) => {
                initial.momentum.covariance = DMatrix::identity(d, d) * (s * s);
            }
        }
        initial
    }

    fn process_moments(
        &self,
        problem: &NoisyQuadratic,
        initial: &InitialMoments,
        member: Member,
        eta: f64,
        saves: &[Steps],
    ) -> Option<Vec<MomentState>> {
        match member.kind {
            ProcessKind::Sde | ProcessKind::ClosedForm => {
                let horizon = FastTime(self.run.horizon);
                let times: Vec<FastTime> = saves.iter().map(|k| k.fast(eta)).collect();
                problem
                    .limiting_moments(initial, &self.learning_rate, horizon, eta, &times)
                    .ok()
            }
            ProcessKind::UnderdampedSde | ProcessKind::UndampedSde => {
                let rates = (
                    self.learning_rate.constant_value()?,
                    self.momentum.constant_value()?,
                );
                let times: Vec<FastTime> = saves.iter().map(|k| k.fast(eta)).collect();
                problem
                    .inertial_moments(initial, rates, member.kind.damping()?, eta, &times)
                    .ok()
            }
            ProcessKind::Coupled => None,
            kind => {
                let schedule = self.schedule(member, eta)?;
                let initial = self.started(initial, &schedule, eta);
                problem
                    .moments(&initial, &schedule, kind.rates(self.dampening)?, saves)
                    .ok()
            }
        }
    }

    /// The scales η of exact ladders: those of the run, and for constant schedules on to 2⁻³⁰.
    fn exact_etas(&self, left: Member) -> Vec<f64> {
        let constant = self
            .schedule(left, self.run.etas[0])
            .is_some_and(|s| s.constant_from(RateKind::Sgdm).is_some());
        let mut etas = self.run.etas.clone();
        while constant
            && etas
                .last()
                .is_some_and(|e| e * 0.5 >= f64::from(DEEPEST).exp2())
        {
            etas.push(etas[etas.len() - 1] * 0.5);
        }
        etas
    }

    /// The moments of both sides of a comparison at the save steps of one η.
    fn exact_pair(
        &self,
        (left, right): (Member, Member),
        exact: &ExactMoments,
        eta: f64,
    ) -> Option<Vec<(MomentState, MomentState)>> {
        let x0 = DVector::from_column_slice(&self.x0);
        let covariance = self.oracle.covariance(&x0);
        let problem = NoisyQuadratic::new(&exact.form, &covariance, self.sigma(eta)).ok()?;
        let initial = self.initial_moments(&exact.form);
        let (saves, _) = self.saves(eta);
        let l = self.process_moments(&problem, &initial, left, eta, &saves)?;
        let r = self.process_moments(&problem, &initial, right, eta, &saves)?;
        Some(l.into_iter().zip(r).collect())
    }

    /// The errors of one comparison by exact moments, with their signs, on the exact ladder; those of unknown expectations are not
    /// numbers. Empty where there are no exact moments.
    pub(super) fn exact_rungs(&self, left: Member, right: Member, exact: &Exact) -> Vec<Rung> {
        let Some(Derived::Moments(exact)) = &exact.derived else {
            return vec![];
        };
        let stable = self.largest_stable_eta();
        let etas = self.exact_etas(left).into_iter().filter(|e| *e <= stable);
        let rung = |eta: f64| {
            let pairs = self.exact_pair((left, right), exact, eta)?;
            let (saves, common) = self.saves(eta);
            let error = |l: &MomentState, r: &MomentState, h: TestFunction| {
                Some(exact.expect(l, h)? - exact.expect(r, h)?)
            };
            let row = |(l, r): &(MomentState, MomentState)| -> Vec<f64> {
                let functions = self.run.functions.iter();
                functions
                    .map(|&h| error(l, r, h).unwrap_or(f64::NAN))
                    .collect()
            };
            Some(Rung {
                eta,
                n: 0,
                times: saves.iter().map(|&k| self.time(k, eta)).collect(),
                errors: pairs.iter().map(row).collect(),
                noise: vec![vec![0.0; self.run.functions.len()]; saves.len()],
                unpaired: vec![],
                influence: vec![],
                common,
                stochastic: false,
                lost: 0,
            })
        };
        etas.filter_map(rung).collect()
    }

    /// The errors of one comparison by exact moments alone: the ladder of the run, and for constant schedules on to 2⁻³⁰.
    pub(super) fn exact_ladder(
        &self,
        left: Member,
        right: Member,
        exact: &Exact,
    ) -> Vec<ExactLadder> {
        let Some(Derived::Moments(exact)) = &exact.derived else {
            return vec![];
        };
        let etas = self.exact_etas(left);
        let columns: Option<Vec<Vec<Option<f64>>>> = etas
            .iter()
            .map(|&eta| {
                let pairs = self.exact_pair((left, right), exact, eta)?;
                let error = |h: &TestFunction| {
                    pairs.iter().try_fold(0.0f64, |worst, (l, r)| {
                        Some(worst.max((exact.expect(l, *h)? - exact.expect(r, *h)?).abs()))
                    })
                };
                Some(self.run.functions.iter().map(error).collect())
            })
            .collect();
        let Some(columns) = columns else {
            return vec![];
        };
        (0..self.run.functions.len())
            .filter_map(|h| {
                let errors: Vec<f64> = columns.iter().map(|c| c[h]).collect::<Option<_>>()?;
                let slopes = errors
                    .windows(2)
                    .map(|w| {
                        if w[0] > 0.0 && w[1] > 0.0 {
                            (w[0] / w[1]).log2()
                        } else {
                            0.0
                        }
                    })
                    .collect();
                Some(ExactLadder {
                    function: h,
                    etas: etas.clone(),
                    errors,
                    slopes,
                })
            })
            .collect()
    }
}
