//! What is known of a scenario's laws without sampling: exact moments where the loss is quadratic and its covariance constant,
//! the slow SDE's law where that has a closed form.

use super::run::LARGEST_SPECTRUM;
use super::system::{Member, System};
use super::{ProcessKind, Scenario};
use crate::clocks::FastTime;
use crate::ensemble::{InitialMomentum, TestFunction};
use crate::exact_moments::{InitialMoments, MomentState, NoisyQuadratic};
use crate::landscape::QuadraticForm;
use crate::report::result::{ExactLadder, ProcessFamily, Regime};
use crate::schedule::RateKind;
use crate::slow_flow::square_integral;
use crate::slow_law::SlowLaw;
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
    /// `means[cell]`: a function of the panel and its means at the save steps.
    means: Vec<Vec<(TestFunction, Vec<f64>)>>,
    /// The processes that have this law.
    exact: Vec<bool>,
}

impl StatedLaws {
    fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
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
}

/// The smallest exponent of the exact ladder, η = 2⁻³⁰.
const DEEPEST: i32 = -30;

impl ExactMoments {
    /// E h at every save step of a process in a cell.
    pub fn series(&self, cell: usize, process: usize, h: TestFunction) -> Option<Vec<f64>> {
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
            matches!(
                m.kind.family(),
                ProcessFamily::Sde | ProcessFamily::SlowSde | ProcessFamily::ClosedForm
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
        let stated = self.known.has_laws().then(|| StatedLaws {
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
        Some(ExactMoments {
            form,
            gaussian,
            states,
        })
    }

    fn initial_moments(&self, form: &QuadraticForm) -> InitialMoments {
        let x0 = DVector::from_column_slice(&self.x0);
        let d = x0.len();
        let mut initial = InitialMoments::at(x0.clone());
        match &self.m0 {
            InitialMomentum::Zero => {}
            InitialMomentum::Gradient => {
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
        saves: &[crate::clocks::Steps],
    ) -> Option<Vec<MomentState>> {
        match member.kind {
            ProcessKind::Sde | ProcessKind::ClosedForm => {
                let horizon = FastTime(self.run.horizon);
                let times: Vec<FastTime> = saves.iter().map(|k| k.fast(eta)).collect();
                problem
                    .limiting_moments(initial, &self.learning_rate, horizon, eta, &times)
                    .ok()
            }
            ProcessKind::Coupled => None,
            kind => {
                let schedule = self.schedule(member, eta)?;
                problem
                    .moments(initial, &schedule, kind.rates(self.dampening)?, saves)
                    .ok()
            }
        }
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
        let initial = self.initial_moments(&exact.form);
        let covariance = self
            .oracle
            .covariance(&DVector::from_column_slice(&self.x0));
        let columns: Option<Vec<Vec<Option<f64>>>> = etas
            .iter()
            .map(|&eta| {
                let problem =
                    NoisyQuadratic::new(&exact.form, &covariance, self.sigma(eta)).ok()?;
                let (saves, _) = self.saves(eta);
                let l = self.process_moments(&problem, &initial, left, eta, &saves)?;
                let r = self.process_moments(&problem, &initial, right, eta, &saves)?;
                let error = |h: &TestFunction| {
                    l.iter().zip(&r).try_fold(0.0f64, |worst, (l, r)| {
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
