//! The flow φ̇ = −∇L(φ), with or without its variational equation, until a landing is accurate enough.

use super::exponential::Exponential;
use super::landing::{Attempt, Counter, Obstacle, attempt};
use super::runge_kutta::{ERROR, STABILITY, STAGES, combine};
use super::spectrum::SMALL;
use super::tangent::linearize;
use super::{Landing, ProjectionError, Settings, Tangent};
use crate::landscape::Landscape;
use nalgebra::{DMatrix, DVector};

/// Share of the tolerance that one step, or the landing, may use.
const SHARE: f64 = 0.1;

/// Share of the step, and of √(tolerance · scale) squared, that an error along the flow may have.
pub(super) const ALONG: f64 = 0.05;

/// Ratio of normal eigenvalues from which exponential steps are cheaper from the start: explicit ones are about as many.
const STIFF: f64 = 60.0;

/// Steps at the limit of stability after which the flow counts as stiff, plus one for every parameter: eigenvectors cost d³.
const PATIENCE: usize = 15;

/// Consecutive easy steps that clear the suspicion.
const RELIEF: usize = 6;

/// Steps after which a frozen Hessian that no longer lets steps grow is renewed; doubled whenever that did not help.
const AGE: usize = 6;

/// The state (φ, V), d × (1 + k), on its way.
pub(super) struct Flow<'a> {
    counter: Counter<'a>,
    settings: &'a Settings,
    y: DMatrix<f64>,
    rates: DMatrix<f64>,
    /// Norms of the columns at the start: the scale of the derivative's errors.
    start: Vec<f64>,
    time: f64,
    steps: usize,
    error: f64,
    next: f64,
    /// Estimated distance to Γ.
    distance: f64,
    /// Largest ‖∇L‖ seen.
    steepest: f64,
    last_ratio: f64,
    stiff: Stiffness,
    /// Residuals make Jacobians, bases and landings cheap: a landing is tried at once, and stiff flows are stiff from the start.
    eager: bool,
}

#[derive(Default)]
struct Stiffness {
    hard: usize,
    easy: usize,
    basis: Option<Exponential>,
    /// Age at which the basis is renewed, and the step length when it last was.
    patience: usize,
    length: f64,
}

/// The end of the flow.
pub(super) struct End {
    pub(super) landing: Landing,
    /// ∂Φ(x)V, d × k.
    pub(super) derivative: DMatrix<f64>,
}

/// −∇L and −HV at `y`.
fn rates(counter: &mut Counter, y: &[f64], d: usize, out: &mut [f64]) {
    let (first, rest) = out.split_at_mut(d);
    counter.gradient(&y[..d], first);
    first.iter_mut().for_each(|g| *g = -*g);
    if !rest.is_empty() {
        let h = counter.hessian(&y[..d]);
        let v = DMatrix::from_column_slice(d, rest.len() / d, &y[d..]);
        rest.copy_from_slice((h * v * -1.0).as_slice());
    }
}

/// One step, tried.
struct Trial {
    y: DMatrix<f64>,
    rates: DMatrix<f64>,
    /// Estimated local error of the point, and in units of what is allowed (all columns).
    error: f64,
    ratio: f64,
    /// Whether stability, not accuracy, limits the step.
    hard: bool,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        landscape: &'a dyn Landscape,
        settings: &'a Settings,
        x: &DVector<f64>,
        directions: Option<&DMatrix<f64>>,
    ) -> Flow<'a> {
        let d = x.len();
        let k = directions.map_or(0, |v| v.ncols());
        let mut y = DMatrix::zeros(d, 1 + k);
        y.set_column(0, x);
        if let Some(v) = directions {
            y.columns_mut(1, k).copy_from(v);
        }
        let start = y.column_iter().map(|c| c.norm()).collect();
        Flow {
            counter: Counter {
                landscape,
                gradients: 0,
                hessians: 0,
            },
            settings,
            rates: y.clone(),
            y,
            start,
            time: 0.0,
            steps: 0,
            error: 0.0,
            next: 0.0,
            distance: f64::INFINITY,
            steepest: 0.0,
            last_ratio: 1.0,
            stiff: Stiffness::default(),
            eager: k == 0 && d > SMALL && landscape.residuals().is_some(),
        }
    }

    fn point(&self) -> DVector<f64> {
        self.y.column(0).into_owned()
    }

    /// What one step may be wrong by.
    fn allowed(&self) -> f64 {
        SHARE * self.settings.tolerance.at(self.y.column(0).norm())
    }

    pub(super) fn run(mut self) -> Result<End, ProjectionError> {
        self.begin()?;
        let tolerance = self.settings.tolerance.at(self.y.column(0).norm());
        // Where ‖z‖ρ² with ρ ~ ‖z‖/(1 + ‖x‖) meets the tolerance.
        let scale = 1.0 + self.y.column(0).norm();
        let exponent = if self.start.len() > 1 { 0.5 } else { 1.0 / 3.0 };
        // Where Hessians are dear an attempt should not be in vain.
        let caution = if self.y.nrows() > 24 { 0.05 } else { 0.5 };
        let mut target = caution * scale * (SHARE * tolerance / scale).powf(exponent);
        let mut guide: Option<Tangent> = None;
        let mut worth = f64::INFINITY;
        if self.eager {
            // A landing in vain costs little.
            (target, worth) = (f64::INFINITY, self.allowed());
            self.begin_stiff();
        }
        loop {
            if self.distance <= target {
                let (x, g) = (self.point(), -self.rates.column(0));
                match attempt(
                    &mut self.counter,
                    &x,
                    &g,
                    self.distance,
                    guide.as_ref(),
                    worth,
                ) {
                    Ok(landing) => match self.shortfall(&landing) {
                        excess if excess <= 1.0 => return self.finish(landing),
                        excess => {
                            guide = Some(landing.tangent);
                            target = target.min(self.distance)
                                * (0.7 * excess.powf(-exponent)).clamp(1e-3, 0.5)
                        }
                    },
                    Err(Obstacle::Vain { error }) => {
                        target = target.min(self.distance)
                            * (0.7 * (error / worth).powf(-exponent)).clamp(0.05, 0.5);
                    }
                    Err(obstacle) => {
                        guide = None;
                        if self.distance <= 1e-3 * self.allowed() {
                            return Err(self.surrender(obstacle));
                        }
                        // Two Hessians an attempt: fewer attempts where they are dear.
                        let shrink = match (self.eager, self.y.nrows() > 24) {
                            (true, _) => 0.5,
                            (false, true) => 0.05,
                            (false, false) => 0.2,
                        };
                        target = shrink * target.min(self.distance);
                    }
                }
            }
            if self.steps >= self.settings.max_steps {
                return Err(self.exhausted());
            }
            self.advance()?;
        }
    }

    /// Exponential steps from the start, if the spectrum of JJᵀ/n says that explicit ones would be many.
    fn begin_stiff(&mut self) {
        self.renew();
        let basis = self.stiff.basis.take();
        self.stiff.basis = basis.filter(|basis| basis.condition() > STIFF);
        if let Some(basis) = &self.stiff.basis {
            self.next = basis.fastest().recip();
        }
    }

    /// How much too large the landing's error is; at most one is fine.
    fn shortfall(&self, landing: &Attempt) -> f64 {
        let mut excess = landing.error / self.allowed();
        if self.start.len() > 1 {
            let rho = landing.nonlinearity;
            excess = excess.max(rho * rho / (SHARE * self.settings.tolerance.relative));
        }
        excess
    }

    fn exhausted(&self) -> ProjectionError {
        ProjectionError::DidNotConverge {
            steps: self.steps,
            time: self.time,
            gradient_norm: self.rates.column(0).norm(),
        }
    }

    fn surrender(&self, obstacle: Obstacle) -> ProjectionError {
        match obstacle {
            Obstacle::TooFar | Obstacle::Vain { .. } => self.exhausted(),
            Obstacle::Failure(error) => error,
        }
    }

    /// First rates, first step length, and the first guess of the distance from the curvature along the gradient.
    fn begin(&mut self) -> Result<(), ProjectionError> {
        let d = self.y.nrows();
        let (y, mut f) = (self.y.clone(), self.rates.clone());
        rates(&mut self.counter, y.as_slice(), d, f.as_mut_slice());
        self.rates = f;
        self.inside()?;
        let g = -self.rates.column(0);
        let norm = g.norm();
        if !self.rates.iter().all(|v| v.is_finite()) {
            return Err(ProjectionError::NotFinite);
        }
        self.steepest = norm;
        if norm == 0.0 {
            self.distance = 0.0;
            return Ok(());
        }
        let x = self.point();
        let probe = 1e-6 * (1.0 + x.norm());
        let mut ahead = DVector::zeros(d);
        let shifted = &x + &g * (probe / norm);
        self.counter
            .gradient(shifted.as_slice(), ahead.as_mut_slice());
        let change = (ahead - &g) / probe;
        let curvature = change.dot(&g) / norm;
        if curvature > 0.0 {
            self.distance = norm / curvature;
        }
        // Rounding of a gradient at ‖x‖ with this curvature: x rests on a critical point.
        if norm <= 16.0 * f64::EPSILON * change.norm() * (1.0 + x.norm()) {
            self.distance = 0.0;
        }
        let rate = change.norm().max(1e-3 * norm / (1.0 + x.norm()));
        self.next = if rate.is_finite() && rate > 0.0 {
            0.1 / rate
        } else {
            1e-6
        };
        Ok(())
    }

    fn inside(&self) -> Result<(), ProjectionError> {
        let x = self.y.column(0);
        match &self.settings.region {
            Some(region) if !region.contains(x.into_owned().as_slice()) => {
                Err(ProjectionError::LeftRegion {
                    time: self.time,
                    norm: x.norm(),
                })
            }
            _ => Ok(()),
        }
    }

    fn runge_kutta(&mut self, h: f64) -> Trial {
        let (d, n) = (self.y.nrows(), self.y.len());
        let mut k = vec![0.0; 7 * n];
        k[..n].copy_from_slice(self.rates.as_slice());
        let (mut y, mut before) = (self.y.clone(), self.y.clone());
        for (s, row) in STAGES.iter().enumerate() {
            std::mem::swap(&mut y, &mut before);
            let (known, new) = k.split_at_mut((s + 1) * n);
            combine(self.y.as_slice(), h, row, known, y.as_mut_slice());
            rates(&mut self.counter, y.as_slice(), d, &mut new[..n]);
        }
        // The last two stages are at the same time: their slopes differ by the Jacobian times their difference.
        let (sixth, last) = (&k[5 * n..5 * n + d], &k[6 * n..6 * n + d]);
        let slopes: f64 = sixth.iter().zip(last).map(|(a, b)| (a - b).powi(2)).sum();
        let points = (y.column(0) - before.column(0)).norm_squared();
        let hard = h * h * slopes > (0.9 * STABILITY).powi(2) * points;
        let mut error = DMatrix::zeros(d, n / d);
        for (i, e) in error.iter_mut().enumerate() {
            *e = h * (0..7).map(|j| ERROR[j] * k[j * n + i]).sum::<f64>();
        }
        let rates = DMatrix::from_column_slice(d, n / d, &k[6 * n..]);
        self.judge(h, y, rates, &error, hard)
    }

    /// Weighs the local error `e` of a step of length `h`.
    ///
    /// An error along the flow only shifts time: ∂Φ∇L = 0 (Lemma C.1). It enters Φ by its square, so that its square root is what
    /// the tolerance bounds; and it may not exceed a share of the step, for stability. The derivative has no such freedom.
    fn judge(
        &self,
        h: f64,
        y: DMatrix<f64>,
        rates: DMatrix<f64>,
        e: &DMatrix<f64>,
        hard: bool,
    ) -> Trial {
        let (whole, slope) = (e.column(0), rates.column(0));
        let mut allowed = self.allowed();
        if self.stiff.basis.is_some() && !self.eager {
            // The exponential method's estimate is that of its third-order companion: far above the error.
            allowed /= SHARE;
        }
        let scale = 1.0 + self.y.column(0).norm();
        let along = if self.start.len() == 1 && slope.norm() > 0.0 {
            (whole.dot(&slope) / slope.norm()).abs()
        } else {
            0.0
        };
        let across = (whole.norm_squared() - along * along).max(0.0).sqrt();
        let moved = h * self.rates.column(0).norm();
        let error = across + along * along / scale;
        let mut ratio = (across / allowed)
            .max(along / (ALONG * allowed * scale).sqrt())
            .max(along / (ALONG * moved));
        for (c, start) in self.start.iter().enumerate().skip(1) {
            let allowed = SHARE * self.settings.tolerance.relative * start.max(f64::MIN_POSITIVE);
            ratio = ratio.max(e.column(c).norm() / allowed);
        }
        // A number beyond the range of the arithmetic is no error of 0: `max` passes over NaN.
        let measured = slope.norm().is_finite() && whole.norm_squared().is_finite();
        if !(measured && along.is_finite() && y.iter().chain(rates.iter()).all(|v| v.is_finite())) {
            ratio = f64::INFINITY;
        }
        Trial {
            y,
            rates,
            error,
            ratio,
            hard,
        }
    }

    fn exponential(&mut self, h: f64) -> Trial {
        let d = self.y.nrows();
        let basis = match self.stiff.basis.take() {
            Some(basis) => basis,
            None => Exponential::new(&self.counter.hessian(&self.y.as_slice()[..d])),
        };
        let counter = &mut self.counter;
        let mut evaluate = |y: &DMatrix<f64>| {
            let mut f = y.clone();
            rates(counter, y.as_slice(), d, f.as_mut_slice());
            f
        };
        let (y, error) = basis.step(h, &self.y, &self.rates, &mut evaluate);
        let f = evaluate(&y);
        self.stiff.basis = Some(basis);
        self.judge(h, y, f, &error, false)
    }

    /// One step, accepted or rejected.
    fn advance(&mut self) -> Result<(), ProjectionError> {
        let h = self.next;
        let stiff = self.stiff.basis.is_some();
        let (trial, order) = if stiff {
            (self.exponential(h), 4.0)
        } else {
            (self.runge_kutta(h), 5.0)
        };
        self.steps += 1;
        let ratio = if trial.ratio.is_nan() {
            f64::INFINITY
        } else {
            trial.ratio.max(1e-10)
        };
        let growth =
            0.9 * ratio.powf(-0.7 / order) * self.last_ratio.powf(0.3 / order).clamp(0.2, 2.0);
        if ratio > 1.0 {
            if let Some(basis) = &self.stiff.basis
                && basis.age >= self.stiff.patience
            {
                // A fresh Hessian first, the same step again.
                self.renew();
                return Ok(());
            }
            self.next = h * (0.9 * ratio.powf(-1.0 / order)).clamp(0.1, 0.9);
            if self.next < f64::MIN_POSITIVE.max(1e-15 * self.time) {
                return Err(self.diverged(f64::NAN));
            }
            return Ok(());
        }
        self.last_ratio = ratio;
        self.next = h * growth.clamp(0.2, if stiff { 8.0 } else { 5.0 });
        let (old, new) = (self.rates.column(0).norm(), trial.rates.column(0).norm());
        self.time += h;
        self.error += trial.error;
        self.y = trial.y;
        self.rates = trial.rates;
        self.steepest = self.steepest.max(new);
        let folds = (old / new).ln();
        self.distance = if new <= 1e-16 * self.steepest {
            0.0
        } else if folds > 0.0 {
            h * new / folds
        } else {
            f64::INFINITY
        };
        self.inside()?;
        let norm = self.y.column(0).norm();
        if norm > self.settings.growth * (1.0 + self.start[0]) {
            return Err(self.diverged(norm));
        }
        self.watch_stiffness(trial.hard, growth);
        Ok(())
    }

    fn diverged(&self, norm: f64) -> ProjectionError {
        ProjectionError::Diverged {
            time: self.time,
            norm,
            bound: self.settings.growth * (1.0 + self.start[0]),
        }
    }

    fn renew(&mut self) {
        let d = self.y.nrows();
        let residuals = self.counter.landscape.residuals();
        if let Some(residuals) = residuals.filter(|_| self.eager) {
            self.counter.hessians += 1;
            let (_, j) = linearize(residuals, &self.point());
            if j.iter().all(|v| v.is_finite()) {
                self.stiff.basis = Some(Exponential::of_factor(&j));
            }
        } else {
            let h = self.counter.hessian(&self.y.as_slice()[..d]);
            if h.iter().all(|v| v.is_finite()) {
                self.stiff.basis = Some(Exponential::new(&h));
            }
        }
        let state = &mut self.stiff;
        // A decomposition costs as much as about d/4 steps.
        let longest = if self.eager { AGE } else { AGE + d / 4 };
        state.patience = if self.next > 2.0 * state.length {
            AGE
        } else {
            (2 * state.patience).min(longest)
        };
        state.length = self.next;
    }

    fn watch_stiffness(&mut self, hard: bool, growth: f64) {
        let state = &mut self.stiff;
        if let Some(basis) = &mut state.basis {
            basis.age += 1;
            if basis.age >= state.patience && growth < 1.2 {
                self.renew();
            }
            return;
        }
        if hard {
            state.hard += 1;
            state.easy = 0;
        } else {
            state.easy += 1;
            if state.easy >= RELIEF {
                state.hard = 0;
            }
        }
        if state.hard >= PATIENCE + self.y.nrows() {
            self.renew();
        }
    }

    fn finish(self, landing: Attempt) -> Result<End, ProjectionError> {
        let d = self.y.nrows();
        let rank = landing.tangent.rank();
        if self.settings.manifold && rank == d {
            return Err(ProjectionError::IsolatedMinimum {
                dimension: d,
                smallest: landing.tangent.curvatures().min(),
            });
        }
        let k = self.y.ncols() - 1;
        let v = self.y.columns(1, k).into_owned();
        Ok(End {
            derivative: landing.derivative(self.counter.landscape, &v),
            landing: Landing {
                flow_time: self.time,
                steps: self.steps,
                gradient_evaluations: self.counter.gradients,
                hessian_evaluations: self.counter.hessians,
                residual: landing.residual,
                error_estimate: self.error + landing.error + f64::EPSILON * landing.point.norm(),
                rank,
                point: landing.point,
            },
        })
    }
}
