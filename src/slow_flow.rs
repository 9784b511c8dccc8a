//! The slow SDE (4) where its diffusion vanishes: a deterministic flow along Γ, integrated in a few dozen steps.
//!
//! With label noise, Σ = cH on Γ, the noise is normal to Γ (PB = 0) and (4) is the equation Ẋ = ½λ_t²∂²Φ\[Σ(X)\], there the Riemannian
//! gradient flow −(c/4)λ_t² P∇tr H.
//!
//! # Method
//! λ is a change of time: in the clock τ = ∫₀ᵗ λ² (adaptive Simpson rule) the flow is autonomous, whatever the schedule jumps.
//! Dormand–Prince 5(4) steps with the tangential part of the drift; every accepted point is brought back to Γ along the normal
//! space of the step's start, which keeps the order. Two ways to the drift:
//! * *Vanishing residuals* ([`Residuals`]): the level sets of all residuals carry the same geometry as Γ, so that the drift is smooth
//!   off Γ and stages need not return to it. Everything comes from the n gradients ∇fᵢ: O(dn²), no Hessian.
//! * *Any other loss*: stages are brought back to Γ; [`Tangent`] there, O(d³).

use crate::landscape::{Landscape, Residuals};
use crate::oracle::Oracle;
use crate::projection::{
    Covariance, ERROR, ProjectionError, Projector, STAGES, Settings, Tangent, Tolerance, combine,
    linearize,
};
use crate::quadrature::{Accuracy, integrate};
use crate::slow_law::SlowNoise;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// ‖PB‖/‖B‖ above which the noise counts as diffusing along Γ.
const NORMAL: f64 = 1e-6;

/// Smallest ratio of squared Cholesky pivots that a Gram matrix may have.
const CONDITION: f64 = 1e-12;

/// Newton steps back to Γ.
const NEWTON: usize = 60;

/// Steps shorter than this share of the horizon are given up.
const SHORTEST: f64 = 1e-10;

/// The flow of one oracle.
pub struct SlowFlow<'a> {
    oracle: &'a Oracle,
    lambda: &'a dyn Fn(f64) -> f64,
    tolerance: f64,
    max_steps: usize,
}

/// The flow at the times asked for, and its effort.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowTrajectory {
    /// X_t, length d, one for every time; on Γ to rounding.
    pub points: Vec<DVector<f64>>,
    /// Accepted steps.
    pub steps: usize,
    /// Rejected steps.
    pub rejected: usize,
    /// Evaluations of the drift.
    pub drift_evaluations: usize,
    /// Sum of the estimated local errors along Γ: an estimate of the global error, up to the growth of the flow.
    pub error_estimate: f64,
}

/// Why there is no slow flow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SlowFlowError {
    /// The times are not times.
    #[error(
        "time {index} (counted from 1) is {value}: give finite times from 0 on, in rising order"
    )]
    Times {
        /// Place, from 1.
        index: usize,
        /// The number given.
        value: f64,
    },
    /// λ is not a rate.
    #[error("the shape of the learning rate is {value} at slow time {time:.3e}: give finite rates")]
    Shape {
        /// Slow time.
        time: f64,
        /// λ there.
        value: f64,
    },
    /// No Φ(x_0).
    #[error("the start cannot be projected onto the manifold of minimizers: {source}")]
    Start {
        /// Why.
        source: ProjectionError,
    },
    /// No tangent space.
    #[error(
        "the tangent space was lost at slow time {time:.3e}: {source}; stop earlier: the manifold of minimizers ends or changes its \
         dimension there"
    )]
    Lost {
        /// Slow time.
        time: f64,
        /// Why.
        source: ProjectionError,
    },
    /// The gradients of the residuals depend on each other: the rank of H drops.
    #[error(
        "the Hessian's rank drops at slow time {time:.3e}: its smallest normal eigenvalue is {smallest:.3e}, its largest {largest:.3e}; \
         stop earlier: the manifold of minimizers changes its dimension there"
    )]
    RankDropped {
        /// Slow time.
        time: f64,
        /// The smallest normal eigenvalue of H.
        smallest: f64,
        /// The largest eigenvalue.
        largest: f64,
    },
    /// No way back to Γ.
    #[error(
        "the flow left the manifold of minimizers at slow time {time:.3e} (gradient norm {gradient_norm:.3e}) and Newton's method \
         does not lead back: tighten the tolerance or stop earlier"
    )]
    LeftManifold {
        /// Slow time.
        time: f64,
        /// ‖∇L‖ there.
        gradient_norm: f64,
    },
    /// (4) is a genuine SDE.
    #[error(
        "the noise moves along the manifold: its tangential share is {share:.3e} at slow time {time:.3e}, at most {allowed:.0e} is a \
         deterministic flow; simulate the slow SDE instead, or use label noise"
    )]
    Diffusive {
        /// Slow time.
        time: f64,
        /// ‖PB‖/‖B‖ (Frobenius).
        share: f64,
        /// The largest share that is ignored.
        allowed: f64,
    },
    /// The budget of steps is spent.
    #[error(
        "the slow flow reached time {time:.3e} of {horizon:.3e} in {steps} steps: loosen the tolerance, raise the limit of steps or stop \
         earlier"
    )]
    TooManySteps {
        /// Steps tried.
        steps: usize,
        /// Slow time reached.
        time: f64,
        /// The last time asked for.
        horizon: f64,
    },
}

impl<'a> SlowFlow<'a> {
    /// For the noise of `oracle` at scale 1 and the shape λ of the learning rate, as a function of slow time.
    ///
    /// `tolerance`: allowed local errors along Γ, summed over the whole horizon, relative to 1 + ‖X‖ (raised to 1e-13).
    pub fn new(oracle: &'a Oracle, lambda: &'a dyn Fn(f64) -> f64, tolerance: f64) -> SlowFlow<'a> {
        SlowFlow {
            oracle,
            lambda,
            tolerance: tolerance.max(1e-13),
            max_steps: 20_000,
        }
    }

    /// With another limit of steps than 20000.
    pub fn with_max_steps(mut self, max_steps: usize) -> SlowFlow<'a> {
        self.max_steps = max_steps;
        self
    }

    /// X at `times` (slow time, rising, from 0 on), with X_0 = Φ(x_0).
    ///
    /// # Errors
    /// See [`SlowFlowError`].
    pub fn integrate(
        &self,
        x0: &DVector<f64>,
        times: &[f64],
    ) -> Result<SlowTrajectory, SlowFlowError> {
        let clocks = self.clocks(times)?;
        let settings = Settings {
            tolerance: Tolerance::TIGHT,
            ..Settings::default()
        };
        let landscape = self.oracle.landscape.as_ref();
        let landing = Projector::new(landscape, settings)
            .land(x0)
            .map_err(|source| SlowFlowError::Start { source })?;
        let horizon = clocks.last().copied().unwrap_or(0.0);
        let time = |clock: f64| time_of(times, &clocks, clock);
        let mut field = Field::new(self.oracle, &landing.point);
        let mut state = field
            .state(landing.point)
            .map_err(|failure| failure.at(0.0))?;
        state.check(0.0)?;
        let mut out = SlowTrajectory {
            points: Vec::with_capacity(times.len()),
            steps: 0,
            rejected: 0,
            drift_evaluations: 0,
            error_estimate: 0.0,
        };
        out.points.extend(
            clocks
                .iter()
                .filter(|c| **c == 0.0)
                .map(|_| state.x.clone()),
        );
        let mut clock = 0.0;
        let scale = 1.0 + state.x.norm();
        let mut h = 0.1 * self.tolerance.powf(0.2) * scale / state.drift.norm();
        while clock < horizon {
            if out.steps + out.rejected >= self.max_steps {
                return Err(SlowFlowError::TooManySteps {
                    steps: out.steps + out.rejected,
                    time: time(clock),
                    horizon: times.last().copied().unwrap_or(0.0),
                });
            }
            let rest = horizon - clock;
            h = if h < 0.99 * rest { h } else { rest };
            match field.step(&state, h) {
                Ok(step) => {
                    let allowed = self.tolerance * (1.0 + state.x.norm()) * h / horizon;
                    let ratio = step.error / allowed;
                    // The error estimate is of order h⁵, and h⁴ for a unit of time.
                    let growth = (0.9 * ratio.powf(-0.25)).clamp(0.2, 5.0);
                    if ratio <= 1.0 {
                        let end = if h == rest { horizon } else { clock + h };
                        let asked = clocks[out.points.len()..].iter();
                        for &at in asked.take_while(|at| **at <= end) {
                            let point = if at == end {
                                Ok(step.end.x.clone())
                            } else {
                                field.between(&state, &step, (at - clock) / h)
                            };
                            out.points.push(point.map_err(|f| f.at(time(at)))?);
                        }
                        clock = end;
                        step.end.check(time(clock))?;
                        state = step.end;
                        out.steps += 1;
                        out.error_estimate += step.error;
                    } else {
                        out.rejected += 1;
                    }
                    h *= if ratio.is_nan() { 0.2 } else { growth };
                }
                Err(failure) => {
                    out.rejected += 1;
                    h *= 0.25;
                    if h < SHORTEST * horizon {
                        return Err(failure.at(time(clock)));
                    }
                }
            }
            if h < SHORTEST * horizon {
                return Err(SlowFlowError::TooManySteps {
                    steps: out.steps + out.rejected,
                    time: time(clock),
                    horizon: times.last().copied().unwrap_or(0.0),
                });
            }
        }
        out.drift_evaluations = field.evaluations;
        Ok(out)
    }

    /// ∫₀ᵗ λ² at all times.
    fn clocks(&self, times: &[f64]) -> Result<Vec<f64>, SlowFlowError> {
        let mut clocks = Vec::with_capacity(times.len());
        let (mut before, mut clock) = (0.0, 0.0);
        for (i, &t) in times.iter().enumerate() {
            if !(t.is_finite() && t >= before) {
                return Err(SlowFlowError::Times {
                    index: i + 1,
                    value: t,
                });
            }
            clock += square_integral(self.lambda, before, t)?;
            clocks.push(clock);
            before = t;
        }
        Ok(clocks)
    }
}

/// ∫ λ² from a to b, the clock of (4), to 1e-12 of the whole.
pub(crate) fn square_integral(
    lambda: &dyn Fn(f64) -> f64,
    a: f64,
    b: f64,
) -> Result<f64, SlowFlowError> {
    let square = |t: f64| {
        let value = lambda(t);
        let square = value * value;
        if square.is_finite() {
            Ok(square)
        } else {
            Err(SlowFlowError::Shape { time: t, value })
        }
    };
    let accuracy = Accuracy {
        absolute: 0.0,
        relative: 1e-12,
    };
    integrate(square, (a, b), 8, accuracy)
}

/// The slow time at `clock`: linear between the times asked for.
fn time_of(times: &[f64], clocks: &[f64], clock: f64) -> f64 {
    let (mut t0, mut c0) = (0.0, 0.0);
    for (&t, &c) in times.iter().zip(clocks) {
        if c >= clock {
            return if c > c0 {
                t0 + (t - t0) * (clock - c0) / (c - c0)
            } else {
                t
            };
        }
        (t0, c0) = (t, c);
    }
    t0
}

/// Why a stage or a return to Γ failed; the step is then shortened.
enum Failure {
    Tangent(ProjectionError),
    OffManifold { gradient_norm: f64 },
    Dependent { smallest: f64, largest: f64 },
}

impl Failure {
    fn at(self, time: f64) -> SlowFlowError {
        match self {
            Failure::Tangent(source) => SlowFlowError::Lost { time, source },
            Failure::OffManifold { gradient_norm } => SlowFlowError::LeftManifold {
                time,
                gradient_norm,
            },
            Failure::Dependent { smallest, largest } => SlowFlowError::RankDropped {
                time,
                smallest,
                largest,
            },
        }
    }
}

/// The normal space at a point.
enum Frame {
    /// J (d × n) and the Cholesky factor of JᵀJ.
    Gram(DMatrix<f64>, Cholesky<f64, Dyn>),
    Spectral(Tangent),
}

/// A point, its drift ½P∂²Φ\[Σ\], and the normal space there.
struct State {
    x: DVector<f64>,
    drift: DVector<f64>,
    frame: Frame,
    /// ‖PB‖/‖B‖.
    share: f64,
}

/// One step, not yet judged.
struct Step {
    end: State,
    /// The seven slopes, one after the other.
    slopes: Vec<f64>,
    /// The end before its return to Γ.
    raw: DVector<f64>,
    h: f64,
    /// Length of the tangential part of the estimated local error.
    error: f64,
}

impl State {
    fn check(&self, time: f64) -> Result<(), SlowFlowError> {
        if self.share > NORMAL {
            return Err(SlowFlowError::Diffusive {
                time,
                share: self.share,
                allowed: NORMAL,
            });
        }
        Ok(())
    }
}

impl Frame {
    /// Pv.
    fn project(&self, v: &DVector<f64>) -> DVector<f64> {
        match self {
            Frame::Gram(j, gram) => v - j * gram.solve(&j.tr_mul(v)),
            Frame::Spectral(tangent) => tangent.project_vector(v),
        }
    }
}

/// The drift as a function of the point.
struct Field<'a> {
    landscape: &'a dyn Landscape,
    oracle: &'a Oracle,
    /// Where the residuals vanish on Γ.
    residuals: Option<&'a dyn Residuals>,
    /// c, where besides Σ = cH.
    share: Option<f64>,
    evaluations: usize,
}

impl<'a> Field<'a> {
    fn new(oracle: &'a Oracle, start: &DVector<f64>) -> Field<'a> {
        let landscape = oracle.landscape.as_ref();
        let residuals = landscape.residuals().filter(|residuals| {
            let (r, j) = linearize(*residuals, start);
            let steepest = j.column_iter().fold(0.0f64, |m, c| m.max(c.norm()));
            r.amax() <= 1e-9 * steepest * (1.0 + start.norm()) && gram(&j).is_some()
        });
        let share = match (residuals, oracle.noise.slow_noise()) {
            (Some(_), SlowNoise::Hessian(c)) => Some(c),
            _ => None,
        };
        Field {
            landscape,
            oracle,
            residuals,
            share,
            evaluations: 0,
        }
    }

    /// The drift at x: on Γ, or anywhere near it where the residuals vanish on Γ.
    fn state(&mut self, x: DVector<f64>) -> Result<State, Failure> {
        self.evaluations += 1;
        let (d, mut share) = (x.len(), 0.0);
        let (drift, frame) = match (self.residuals, self.share) {
            (Some(residuals), Some(c)) => {
                // ½P∂²Φ[cH] = −(c/4)P∇tr H with P∇tr H = (2/n)P Σᵢ ∇²fᵢ∇fᵢ.
                let (_, j) = linearize(residuals, &x);
                let factor = gram(&j).ok_or_else(|| dependent(&j))?;
                let mut sum = DVector::zeros(d);
                residuals.curvature(x.as_slice(), j.as_slice(), sum.as_mut_slice());
                let scale = -0.5 * c / j.ncols() as f64;
                let frame = Frame::Gram(j, factor);
                (frame.project(&sum) * scale, frame)
            }
            (residuals, _) => {
                let tangent = match residuals {
                    Some(residuals) => Tangent::gauss_newton(&x, linearize(residuals, &x).1),
                    None => Tangent::new(self.landscape, &x),
                };
                let tangent = tangent.map_err(Failure::Tangent)?;
                let b = self.oracle.factor(&x);
                let size = b.norm();
                if size > 0.0 {
                    share = tangent.project(&b).norm() / size;
                }
                let drift = tangent.tangential(self.landscape, Covariance::Factor(&b)) * 0.5;
                (drift, Frame::Spectral(tangent))
            }
        };
        if drift.iter().any(|v| !v.is_finite()) {
            return Err(Failure::Tangent(ProjectionError::NotFinite));
        }
        Ok(State {
            x,
            drift,
            frame,
            share,
        })
    }

    /// Newton's iteration x ← x − J(JᵀJ)⁻¹r, or x ← x − H†∇L, in the frozen `frame`, until its steps are rounding.
    fn retract(&self, frame: &Frame, mut x: DVector<f64>) -> Result<DVector<f64>, Failure> {
        let mut last = f64::INFINITY;
        let mut g = DVector::zeros(x.len());
        for _ in 0..NEWTON {
            let step = match (frame, self.residuals) {
                (Frame::Gram(j, gram), Some(residuals)) => {
                    let mut r = DVector::zeros(j.ncols());
                    residuals.residuals(x.as_slice(), r.as_mut_slice());
                    gram.solve_mut(&mut r);
                    j * r
                }
                (Frame::Spectral(tangent), _) => {
                    self.landscape.gradient_at(x.as_slice(), g.as_mut_slice());
                    tangent.pseudo_solve(&g)
                }
                (Frame::Gram(..), None) => return Ok(x),
            };
            let length = step.norm();
            let small = length <= 1e-11 * (1.0 + x.norm());
            // Written so that NaN fails.
            if !(small || length <= 0.5 * last) {
                break;
            }
            x -= step;
            if length <= f64::EPSILON * (1.0 + x.norm()) || (small && length > 0.5 * last) {
                return Ok(x);
            }
            last = length;
        }
        self.landscape.gradient_at(x.as_slice(), g.as_mut_slice());
        Err(Failure::OffManifold {
            gradient_norm: g.norm(),
        })
    }

    /// A step of length `h`.
    fn step(&mut self, start: &State, h: f64) -> Result<Step, Failure> {
        let d = start.x.len();
        let mut slopes = vec![0.0; 7 * d];
        slopes[..d].copy_from_slice(start.drift.as_slice());
        let mut raw = start.x.clone();
        let mut end = None;
        for (s, row) in STAGES.iter().enumerate() {
            let (known, new) = slopes.split_at_mut((s + 1) * d);
            combine(start.x.as_slice(), h, row, known, raw.as_mut_slice());
            let last = s + 1 == STAGES.len();
            // Off Γ the drift is smooth only where the residuals vanish on Γ.
            let at = if self.residuals.is_none() {
                self.retract(&start.frame, raw.clone())?
            } else {
                raw.clone()
            };
            let state = self.state(at)?;
            new[..d].copy_from_slice(state.drift.as_slice());
            if last {
                end = Some(state);
            }
        }
        let Some(mut end) = end else {
            return Err(Failure::Tangent(ProjectionError::NotFinite));
        };
        if self.residuals.is_some() {
            end.x = self.retract(&start.frame, end.x)?;
        }
        let error = DVector::from_fn(d, |i, _| {
            h * (0..7).map(|k| ERROR[k] * slopes[k * d + i]).sum::<f64>()
        });
        Ok(Step {
            error: start.frame.project(&error).norm(),
            end,
            slopes,
            raw,
            h,
        })
    }

    /// The point at the share θ of a step: the continuous extension of order 4 (Hairer, Nørsett and Wanner 1993, Sec. II.6), on Γ.
    fn between(&self, start: &State, step: &Step, theta: f64) -> Result<DVector<f64>, Failure> {
        const DENSE: [f64; 7] = [
            -12715105075.0 / 11282082432.0,
            0.0,
            87487479700.0 / 32700410799.0,
            -10690763975.0 / 1880347072.0,
            701980252875.0 / 199316789632.0,
            -1453857185.0 / 822651844.0,
            69997945.0 / 29380423.0,
        ];
        let (d, h, rest) = (start.x.len(), step.h, 1.0 - theta);
        let point = DVector::from_fn(d, |i, _| {
            let k = |s: usize| step.slopes[s * d + i];
            let rise = step.raw[i] - start.x[i];
            let bend = h * k(0) - rise;
            let twist = rise - h * k(6) - bend;
            let dense = h * (0..7).map(|s| DENSE[s] * k(s)).sum::<f64>();
            start.x[i] + theta * (rise + rest * (bend + theta * (twist + rest * dense)))
        });
        self.retract(&start.frame, point)
    }
}

/// The Cholesky factor of JᵀJ, if its condition allows.
fn gram(j: &DMatrix<f64>) -> Option<Cholesky<f64, Dyn>> {
    let factor = Cholesky::new(j.tr_mul(j))?;
    let pivots = factor.l_dirty().diagonal();
    (pivots.min().powi(2) > CONDITION * pivots.max().powi(2)).then_some(factor)
}

/// No Cholesky factor: how far the gradients ∇fᵢ are from dependent.
fn dependent(j: &DMatrix<f64>) -> Failure {
    if j.iter().any(|v| !v.is_finite()) {
        return Failure::Tangent(ProjectionError::NotFinite);
    }
    let values = (j.tr_mul(j) / j.ncols() as f64).symmetric_eigenvalues();
    Failure::Dependent {
        smallest: values.min(),
        largest: values.max(),
    }
}

#[cfg(test)]
mod tests;
