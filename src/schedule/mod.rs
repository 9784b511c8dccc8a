//! Schedules: η_k and β_k of a scaled family (Def. 4.1), the averaged rates of Eq. (8), and the coefficients of every step.

mod averaged;
mod convention;
mod shape;

pub use convention::{
    AveragedRate, AveragedStep, BufferStart, ConversionError, Dampening, HeavyBallRate,
    StandardStep, averaged_steps,
};
pub use shape::{Shape, ShapeError};

use crate::clocks::{FastTime, SlowClock, SlowTime, Steps};
use crate::landscape::Coefficients;
use averaged::{Checkpoints, Sum};
use std::sync::OnceLock;
use thiserror::Error;

/// How long a schedule runs, and on which clock its shapes are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Horizon {
    /// Regime I: λ and μ are functions of t = kη.
    Fast(FastTime),
    /// Regime II, and between the regimes: λ and μ are functions of t = kη^{1+s}, kη² in Regime II.
    Slow(SlowTime, SlowClock),
}

impl Horizon {
    /// T.
    pub fn time(self) -> f64 {
        match self {
            Horizon::Fast(t) => t.0,
            Horizon::Slow(t, _) => t.0,
        }
    }

    /// The time of one step: η or η^{1+s}.
    pub fn unit(self, eta: f64) -> f64 {
        match self {
            Horizon::Fast(_) => eta,
            Horizon::Slow(_, clock) => clock.unit(eta),
        }
    }

    /// The number of steps ⌊T/η⌋ or ⌊T/η^{1+s}⌋.
    pub fn steps(self, eta: f64) -> Steps {
        match self {
            Horizon::Fast(t) => t.steps(eta),
            Horizon::Slow(t, clock) => t.steps(eta, clock),
        }
    }
}

/// A family of schedules with one member for each scale η (Def. 4.1): η_k = η λ(t), 1 − β_k = η^α μ(t), where t is kη or
/// kη^{1+s} (see [`Horizon`]).
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleFamily {
    /// λ.
    pub learning_rate: Shape,
    /// μ, the rate at which momentum decays.
    pub momentum: Shape,
    /// The momentum index α ≥ 0.
    pub alpha: f64,
}

/// A schedule that cannot be.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ScheduleError {
    /// A shape with a bad argument.
    #[error("{shape}: {source}")]
    Shape {
        /// `learning_rate` or `momentum`.
        shape: &'static str,
        /// What is wrong with it.
        source: ShapeError,
    },
    /// A number out of range.
    #[error("`{field}` is {value}, but must be {allowed}")]
    Number {
        /// Its name.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// 1 − β_k leaves (0, 1].
    #[error(
        "1 − β_k = η^α μ reaches {value} at scale η = {eta} with α = {alpha} and μ = {mu}, but must stay in (0, 1]: \
         at this η the shape `momentum` may lie between 0 (excluded) and {largest}"
    )]
    MomentumRange {
        /// η.
        eta: f64,
        /// α.
        alpha: f64,
        /// The offending value of μ.
        mu: f64,
        /// The offending value of 1 − β.
        value: f64,
        /// η^{−α}.
        largest: f64,
    },
}

/// The constants of Def. 4.1: 0 ≤ η_k ≤ η·`eta_max` and `lambda_min`·η^α ≤ 1 − β_k ≤ `lambda_max`·η^α for all k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScalingConstants {
    /// η_max.
    pub eta_max: f64,
    /// λ_min.
    pub lambda_min: f64,
    /// λ_max.
    pub lambda_max: f64,
}

/// The variation sums of Assumption 5.4 over the steps of the horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variation {
    /// Σ_{0<k<N} |η_k − η_{k−1}|.
    pub learning_rate: f64,
    /// Σ_{0<k<N} |β_k − β_{k−1}|.
    pub momentum: f64,
    /// The least Q of the assumption: the greater of the two sums divided by η and by η^α.
    pub constant: f64,
}

/// Which process a schedule drives. All of them take steps of the form of [`Coefficients`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateKind {
    /// SGD at η̄_k of Eq. (8): the partner of SGDM in Theorem 4.5.
    SgdAveraged,
    /// SGD at η_k: the partner in Theorem 5.5.
    SgdPlain,
    /// SGD at γ_k = η_k(1−β_k), as if the heavy ball's rate were the rate of SGD: a negative control.
    SgdHeavyBallRate,
    /// SGDM (Def. 3.3) at (η_k, β_k).
    Sgdm,
    /// SGDM on the clock on which it moves at α ≥ 1. With the scale η of the schedule one step lasts η, and SGDM runs at the
    /// learning-rate scale s = η^{2/(1+α)}: η_k = sλ, 1 − β_k = s^α μ, so that t = k s^{(1+α)/2} = kη. The family's own index is 2α/(1+α),
    /// as s^α = η^{2α/(1+α)} ([`inertial_index`]). At α = 1 this is `Sgdm`.
    SgdmInertialClock,
    /// SGD-Standard (Def. A.1) with the constant dampening τ, and μ_k, γ_k such that it *is* SGDM by Lemma A.2, with the
    /// same m_0: c_0 = 1, c_{k+1} = (1−τ)/(1−β_k), μ_k = β_k c_{k+1}/c_k, γ_k = η_k/c_{k+1}.
    ///
    /// For constant β this is μ_k = β and γ_k = η(1−β)/(1−τ) from k = 1 on; only μ_0 differs, because the buffer starts
    /// at m_0 and not at the size c_1 m_0 that it has later.
    Standard {
        /// τ.
        dampening: Dampening,
        /// Whether the buffer starts at the first gradient, undamped (c_0 = 0, c_1 = 1), as PyTorch's does. m_0 is then
        /// ignored and x is that of SGDM with β_0 = 0.
        pytorch_first_step: bool,
    },
    /// SGDM that starts at the first gradient: β_0 = 0, whatever the schedule says. What PyTorch's first step is by Lemma A.2.
    SgdmFirstGradient,
    /// SGD-Standard with μ_k = β_k and γ_k = η_k(1−β_k)/(1−τ), the conversion of a constant β, whatever the schedule: a negative
    /// control.
    StandardUnconverted {
        /// τ.
        dampening: Dampening,
    },
}

impl RateKind {
    /// Whether the process is SGDM of Def. 3.3 on its own clock, so that its momentum is the m_k of Eqs. (9)–(11).
    pub fn averages_gradients(self) -> bool {
        matches!(self, RateKind::Sgdm | RateKind::SgdmFirstGradient)
    }
}

/// The index 2α/(1+α) of the family that [`RateKind::SgdmInertialClock`] reads for SGDM with momentum index α.
pub fn inertial_index(alpha: f64) -> f64 {
    2.0 * alpha / (1.0 + alpha)
}

/// η_k and 1 − β_k.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rates {
    eta: f64,
    gain: f64,
}

/// One member of a [`ScheduleFamily`]: a schedule at scale η on a horizon. It is shared between threads.
///
/// Beyond its horizon it continues as its shapes do ([`Shape`]): by last values, cycles periodically. This is the
/// continuation that the infinite sum in Eq. (8) is taken over.
#[derive(Debug)]
pub struct Schedule {
    family: ScheduleFamily,
    eta: f64,
    /// η^α.
    momentum_scale: f64,
    horizon: Horizon,
    steps: Steps,
    constants: ScalingConstants,
    constant: Option<Rates>,
    /// Made at the first use of η̄ of a schedule that moves: N steps of work, about √N numbers.
    checkpoints: OnceLock<Checkpoints>,
}

impl Schedule {
    /// The member of `family` at scale `eta` > 0.
    ///
    /// # Errors
    /// A bad shape, η or T not positive, α negative, or 1 − β_k outside (0, 1] somewhere.
    pub fn new(
        family: &ScheduleFamily,
        eta: f64,
        horizon: Horizon,
    ) -> Result<Schedule, ScheduleError> {
        let number = |field, value: f64, good, allowed| {
            if good && value.is_finite() {
                Ok(())
            } else {
                Err(ScheduleError::Number {
                    field,
                    value,
                    allowed,
                })
            }
        };
        let valid = |shape: &Shape, name| {
            shape.validate().map_err(|source| ScheduleError::Shape {
                shape: name,
                source,
            })
        };
        valid(&family.learning_rate, "learning_rate")?;
        valid(&family.momentum, "momentum")?;
        number("eta", eta, eta > 0.0, "a finite number > 0")?;
        let (alpha, span) = (family.alpha, horizon.time());
        number("alpha", alpha, alpha >= 0.0, "a finite number ≥ 0")?;
        number("horizon", span, span > 0.0, "a finite time > 0")?;

        let momentum_scale = eta.powf(alpha);
        let (lambda_min, lambda_max) = family.momentum.bounds(span);
        for mu in [lambda_min, lambda_max] {
            let value = momentum_scale * mu;
            // η^α may be rounded up; the gain itself is capped at 1.
            if !(value > 0.0 && value <= 1.0 + 4.0 * f64::EPSILON) {
                return Err(ScheduleError::MomentumRange {
                    eta,
                    alpha,
                    mu,
                    value,
                    largest: eta.powf(-alpha),
                });
            }
        }
        let mut schedule = Schedule {
            constants: ScalingConstants {
                eta_max: family.learning_rate.bounds(span).1,
                lambda_min,
                lambda_max,
            },
            family: family.clone(),
            eta,
            momentum_scale,
            horizon,
            steps: horizon.steps(eta),
            constant: None,
            checkpoints: OnceLock::new(),
        };
        let shapes = [&family.learning_rate, &family.momentum];
        if shapes.iter().all(|s| s.constant_value().is_some()) {
            schedule.constant = Some(schedule.rates(0));
        }
        Ok(schedule)
    }

    /// The family that this is a member of.
    pub fn family(&self) -> &ScheduleFamily {
        &self.family
    }

    /// η.
    pub fn eta(&self) -> f64 {
        self.eta
    }

    /// T and its clock.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// N, the number of steps in the horizon: k = 0, …, N−1 are taken.
    pub fn steps(&self) -> Steps {
        self.steps
    }

    /// η_max, λ_min and λ_max of Def. 4.1.
    pub fn constants(&self) -> ScalingConstants {
        self.constants
    }

    /// η_k.
    pub fn learning_rate(&self, k: Steps) -> f64 {
        self.rates(k.0).eta
    }

    /// 1 − β_k, accurate however small.
    pub fn one_minus_beta(&self, k: Steps) -> f64 {
        self.rates(k.0).gain
    }

    /// η̄_k of Eq. (8). About √N steps of work at a random k; a [`stream`](Schedule::stream) costs one a step.
    pub fn averaged_rate(&self, k: Steps) -> f64 {
        match self.constant {
            Some(rates) => rates.eta,
            None => self.sum(k.0).times(self.rates(k.0).gain),
        }
    }

    /// η̄_k β_k/(1−β_k), the factor of m_k in the coupled trajectory y_k of Eq. (9). Work as for
    /// [`averaged_rate`](Schedule::averaged_rate).
    pub fn coupling(&self, k: Steps) -> f64 {
        let rates = self.rates(k.0);
        let sum = match self.constant {
            Some(_) => Sum::forever(rates),
            None => self.sum(k.0),
        };
        sum.times(1.0 - rates.gain)
    }

    /// The sums of Assumption 5.4; N steps of work.
    pub fn variation(&self) -> Variation {
        let (mut learning_rate, mut momentum) = (0.0, 0.0);
        if self.constant.is_none() {
            let mut old = self.rates(0);
            for k in 1..self.steps.0 {
                let new = self.rates(k);
                learning_rate += (new.eta - old.eta).abs();
                momentum += (new.gain - old.gain).abs();
                old = new;
            }
        }
        let scaled = (momentum / self.momentum_scale).max(learning_rate / self.eta);
        Variation {
            learning_rate,
            momentum,
            constant: scaled,
        }
    }

    /// The step from which on the coefficients of `kind` no longer depend on k; `None` if the schedule moves.
    pub fn constant_from(&self, kind: RateKind) -> Option<Steps> {
        self.constant.map(|_| match kind {
            RateKind::Standard {
                pytorch_first_step, ..
            } => Steps(1 + u64::from(pytorch_first_step)),
            RateKind::SgdmFirstGradient => Steps(1),
            _ => Steps(0),
        })
    }

    /// A reader of coefficients, one for each thread. For kinds of one schedule read in step, the schedule is evaluated
    /// once.
    pub fn stream(&self) -> RateStream<'_> {
        RateStream {
            schedule: self,
            start: 0,
            block: Vec::new(),
        }
    }

    fn rates(&self, k: u64) -> Rates {
        if let Some(rates) = self.constant {
            return rates;
        }
        let k = Steps(k);
        let lambda = self.family.learning_rate.at(k, self.eta, self.horizon);
        let mu = self.family.momentum.at(k, self.eta, self.horizon);
        Rates {
            eta: self.eta * lambda,
            gain: (self.momentum_scale * mu).min(1.0),
        }
    }
}

/// Coefficients of successive steps of one [`Schedule`], computed block by block of about √N steps.
///
/// Reading forward costs one evaluation of the shapes a step, whatever the number of kinds read; jumping is allowed and
/// costs one block. The first read of a moving schedule, by any stream and of any kind, first walks once through all of
/// its steps to lay the checkpoints, which all streams share. Memory is allocated at the first read and when the block grows, never later.
#[derive(Debug)]
pub struct RateStream<'a> {
    schedule: &'a Schedule,
    /// The step of the first entry of `block`.
    start: u64,
    block: Vec<(Rates, Sum)>,
}

impl RateStream<'_> {
    /// The schedule that is read.
    pub fn schedule(&self) -> &Schedule {
        self.schedule
    }

    /// The coefficients of steps `first`, `first`+1, … into `out`.
    pub fn fill(&mut self, kind: RateKind, first: Steps, out: &mut [Coefficients]) {
        // 1 − β of the step before, for SGD-Standard.
        let mut before = match (kind, first.0.checked_sub(1)) {
            (RateKind::Standard { .. }, Some(k)) => Some(self.schedule.rates(k).gain),
            _ => None,
        };
        // s/η on the clock kη: s = η^{2/(1+α)}, and the family's index is 2 − 2/(1+α).
        let stretch = match kind {
            RateKind::SgdmInertialClock => self.schedule.eta.powf(1.0 - self.schedule.family.alpha),
            _ => 1.0,
        };
        for (k, out) in (first.0..).zip(out) {
            let (rates, sum) = self.entry(k);
            let Rates { eta, gain } = rates;
            *out = match kind {
                RateKind::SgdPlain => Coefficients::sgd(eta),
                RateKind::SgdHeavyBallRate => {
                    Coefficients::sgd(AveragedRate(eta).heavy_ball(gain).0)
                }
                RateKind::SgdAveraged if self.schedule.constant.is_some() => Coefficients::sgd(eta),
                RateKind::SgdAveraged => Coefficients::sgd(sum.times(gain)),
                RateKind::SgdmFirstGradient if k == 0 => Coefficients::sgd(eta),
                RateKind::Sgdm | RateKind::SgdmFirstGradient | RateKind::SgdmInertialClock => {
                    Coefficients {
                        decay: 1.0 - gain,
                        gain,
                        rate: eta * stretch,
                    }
                }
                RateKind::StandardUnconverted { dampening } => {
                    let kept = 1.0 - dampening.value();
                    Coefficients {
                        decay: 1.0 - gain,
                        gain: kept,
                        rate: AveragedRate(eta).heavy_ball(gain).0 / kept,
                    }
                }
                RateKind::Standard {
                    dampening,
                    pytorch_first_step,
                } => convention::standard(k, rates, before, dampening, pytorch_first_step),
            };
            before = Some(gain);
        }
    }

    /// η̄_k β_k/(1−β_k) of Eq. (9) for k = `first`, `first`+1, … into `out`.
    pub fn coupling(&mut self, first: Steps, out: &mut [f64]) {
        for (k, out) in (first.0..).zip(out) {
            let (rates, sum) = self.entry(k);
            *out = sum.times(1.0 - rates.gain);
        }
    }

    /// η_k, 1 − β_k and S_k = Σ_{τ≥k} η_τ Π_{r=k+1}^τ β_r.
    #[inline]
    fn entry(&mut self, k: u64) -> (Rates, Sum) {
        if let Some(rates) = self.schedule.constant {
            return (rates, Sum::forever(rates));
        }
        let inside = |s: &Self| k.checked_sub(s.start).map(|i| i as usize);
        if let Some(&entry) = inside(self).and_then(|i| self.block.get(i)) {
            return entry;
        }
        self.start = self.schedule.load_block(k, &mut self.block);
        let i = (k - self.start) as usize;
        self.block[i]
    }
}

#[cfg(test)]
mod tests;
