//! Landscapes: the loss L and the derivatives that the paper's formulas need.
//!
//! A landscape is written once as a [`Formula`], generic over the number type. The blanket implementation turns it into
//! the object-safe [`Landscape`] that ensembles run: the step loop is compiled together with the gradient, and the state
//! of small problems (d ≤ 4) stays in registers.

mod data;
mod data_error;
mod dense;
mod derivatives;
mod diagonal_network;
mod double_well;
mod ellipse;
mod expression;
mod finite_sum;
mod hyperbola;
mod matrix_factorization;
mod matrix_sensing;
mod quadratic;
mod regression;
mod residuals;
mod sampled_expression;
mod sphere;
mod squared_loss;
mod two_layer_network;
mod valley;

pub use data::{DataOptions, DataSet};
pub use data_error::DataError;
pub use derivatives::{DerivativeError, check_derivatives};
pub use diagonal_network::{DesignLaw, DiagonalNetwork, SquaredParameters};
pub use double_well::DoubleWell;
pub use ellipse::Ellipse;
pub use expression::Expression;
pub use finite_sum::FiniteSum;
pub use hyperbola::Hyperbola;
pub use matrix_factorization::MatrixFactorization;
pub use matrix_sensing::{GramMatrix, MatrixSensing};
pub use quadratic::{Quadratic, QuadraticForm};
pub use regression::{Regression, RegressionLoss};
pub use residuals::Residuals;
pub use sampled_expression::{ExpressionModel, SampleLoss};
pub use sphere::Sphere;
pub use squared_loss::{Model, SquaredLoss};
pub use two_layer_network::{Activation, HiddenLayer, TwoLayerNetwork};
pub use valley::{Steepness, Valley};

use crate::real::{LANES, Lanes, Real};
use crate::slow_law::{SlowLaw, SlowNoise};
use nalgebra::{DMatrix, DVector};

/// A loss and its derivatives, written once for every number type.
///
/// Shapes: `x`, gradients and contractions have length d = [`dimension`](Formula::dimension); matrices are d × d, row by
/// row, symmetric. Outputs are overwritten. Nothing may panic for finite `x`. `value` and `gradient` run in hot loops and must
/// not allocate; `hessian` and `third_contraction` may take scratch memory that is small beside their d² outputs and inputs.
pub trait Formula: Send + Sync {
    /// The number of parameters d ≥ 1.
    fn dimension(&self) -> usize;

    /// L(x).
    fn value<R: Real>(&self, x: &[R]) -> R;

    /// ∇L(x) into `g`.
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]);

    /// ∇²L(x) into `h` (length d², row by row).
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]);

    /// ∂²(∇L)(x)\[M\]: the vector with entries Σ_bc ∂_a∂_b∂_c L(x) M_bc, for a symmetric d × d matrix `m`.
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]);

    /// tr ∇²L(x), the flatness that label noise minimizes along Γ. A hot loop; without a cheap formula the whole Hessian is
    /// computed (and, for d > 4, allocated).
    fn trace_hessian<R: Real>(&self, x: &[R]) -> R {
        let (d, zero) = (x.len(), R::constant(0.0));
        let trace = |h: &mut [R]| {
            self.hessian(x, h);
            h.iter().step_by(d + 1).fold(zero, |s, &h| s + h)
        };
        if d <= 4 {
            trace(&mut [zero; 16][..d * d])
        } else {
            trace(&mut vec![zero; d * d])
        }
    }

    /// ‖θ(x) − θ*‖/‖θ*‖ (Euclidean) of the predictor θ to the planted truth θ*, where there is one: `None` for all x or for none.
    fn recovery_error<R: Real>(&self, _x: &[R]) -> Option<R> {
        None
    }

    /// [`Landscape::descend`] for formulas that would rather see all groups at once; gives back whether it is done.
    #[inline(always)]
    fn descend_groups(
        &self,
        _step: Coefficients,
        _noise: &[Lanes],
        _x: &mut [Lanes],
        _m: &mut [Lanes],
    ) -> bool {
        false
    }

    /// The per-sample view, for losses that are averages over samples.
    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        None
    }

    /// The residuals, for losses that are sums of squares with fewer terms than parameters, n < d.
    fn residuals(&self) -> Option<&dyn Residuals> {
        None
    }

    /// A and x* for losses ½(x−x*)ᵀA(x−x*) + c: exact moments exist for them.
    fn quadratic_form(&self) -> Option<QuadraticForm> {
        None
    }

    /// Φ(x) = lim φ(x, t), the end of the gradient flow φ̇ = −∇L(φ) from x (theory: Sec. 5), where a closed form exists and
    /// the flow from x ends on Γ.
    fn exact_projection(&self, _x: &DVector<f64>) -> Option<DVector<f64>> {
        None
    }

    /// The law of the slow SDE (4) under `noise`, started at Φ(x), where a closed form exists.
    fn slow_law(&self, _noise: &SlowNoise, _x: &DVector<f64>) -> Option<SlowLaw> {
        None
    }
}

/// Why a landscape cannot be built from the given numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LandscapeError {
    /// d = 0 or n = 0.
    #[error("{what} is empty: at least one entry is needed")]
    Empty {
        /// What was given.
        what: &'static str,
    },
    /// A parameter outside its range.
    #[error("{what} is {value}, allowed: {allowed}")]
    OutOfRange {
        /// The parameter.
        what: &'static str,
        /// The number given.
        value: f64,
        /// The allowed range in words.
        allowed: &'static str,
    },
    /// NaN or infinite entry.
    #[error("{what}, row {row}, column {column} (counted from 1): {value} is not finite")]
    NotFinite {
        /// The matrix or vector (a vector has one column).
        what: &'static str,
        /// Row, from 1.
        row: usize,
        /// Column, from 1.
        column: usize,
        /// NaN or ±∞.
        value: f64,
    },
    /// A rectangular matrix where a square one is needed.
    #[error("{what} must be square, found {rows} × {columns}")]
    NotSquare {
        /// The matrix.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// a_ij ≠ a_ji.
    #[error(
        "{what} must be symmetric: entry ({row}, {column}) is {entry} but ({column}, {row}) is {mirrored} (counted from 1)"
    )]
    NotSymmetric {
        /// The matrix.
        what: &'static str,
        /// Row of the entry, from 1.
        row: usize,
        /// Column of the entry, from 1.
        column: usize,
        /// a_ij.
        entry: f64,
        /// a_ji.
        mirrored: f64,
    },
    /// Two inputs that do not fit together.
    #[error("{what} has {found} entries, expected {expected}")]
    Length {
        /// The vector.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// The length given.
        found: usize,
    },
    /// A model that cannot fit every sample exactly has no manifold of minimizers.
    #[error(
        "{samples} samples for {freedom} {what}: needs fewer samples, so that the minimizers form a manifold"
    )]
    NotOverparametrised {
        /// What the samples are compared with.
        what: &'static str,
        /// n.
        samples: usize,
        /// The number that n must stay below.
        freedom: usize,
    },
    /// Columns that depend on each other.
    #[error(
        "{what} must have full column rank: its smallest singular value is {smallest:e}, its largest {largest:e}"
    )]
    RankDeficient {
        /// The matrix.
        what: &'static str,
        /// Its smallest singular value.
        smallest: f64,
        /// Its largest singular value.
        largest: f64,
    },
    /// Logistic regression classifies into two classes.
    #[error("target {sample} (counted from 1) is {value}: logistic regression allows only 0 and 1")]
    NotBinary {
        /// The sample, from 1.
        sample: usize,
        /// Its target.
        value: f64,
    },
}

/// Refuses a matrix with a NaN or infinite entry, naming the first.
fn check_finite(what: &'static str, matrix: &DMatrix<f64>) -> Result<(), LandscapeError> {
    for row in 0..matrix.nrows() {
        for column in 0..matrix.ncols() {
            let value = matrix[(row, column)];
            if !value.is_finite() {
                return Err(LandscapeError::NotFinite {
                    what,
                    row: row + 1,
                    column: column + 1,
                    value,
                });
            }
        }
    }
    Ok(())
}

/// Refuses a vector with a NaN or infinite entry, naming the first.
fn check_finite_vector(what: &'static str, vector: &[f64]) -> Result<(), LandscapeError> {
    match vector.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(LandscapeError::NotFinite {
            what,
            row: i + 1,
            column: 1,
            value: vector[i],
        }),
    }
}

/// The coefficients of one step of any process of the paper:
/// m ← `decay`·m + `gain`·g, x ← x − `rate`·m.
///
/// SGD: (0, 1, η_k). SGDM (Def. 3.3): (β_k, 1−β_k, η_k). SGD-Standard (Def. A.1): (μ_k, 1−τ_k, γ_k).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// Factor on the old momentum.
    pub decay: f64,
    /// Factor on the new gradient.
    pub gain: f64,
    /// Learning rate on the new momentum.
    pub rate: f64,
}

/// A loss as ensembles use it. Implement [`Formula`] instead: this trait follows from it.
///
/// States of several lane groups lie one after the other: coordinate i of group j is `x[j*d + i]`.
pub trait Landscape: Send + Sync {
    /// The number of parameters d.
    fn dimension(&self) -> usize;

    /// L at every path: `values[j]` for group j.
    fn values(&self, x: &[Lanes], values: &mut [Lanes]);

    /// ∇L at every path, in the layout of `x`.
    fn gradients(&self, x: &[Lanes], g: &mut [Lanes]);

    /// One optimizer step of every path on the gradient ∇L(x) + `noise` (layout of `x`).
    ///
    /// `m` is the momentum in the layout of `x`; empty for processes without memory (`decay` = 0, `gain` = 1).
    /// `scratch` has length ≥ d.
    fn descend(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
        scratch: &mut [Lanes],
    );

    /// L, ∇L and ∇²L at one point.
    fn jet(&self, x: &DVector<f64>) -> Jet;

    /// ∇L at one point, into `g` (length d): without the Hessian that [`jet`](Landscape::jet) computes.
    fn gradient_at(&self, x: &[f64], g: &mut [f64]) {
        let jet = self.jet(&DVector::from_column_slice(x));
        g.copy_from_slice(jet.gradient.as_slice());
    }

    /// ∇²L at one point, into `h` (length d²).
    fn hessian_at(&self, x: &[f64], h: &mut [f64]) {
        let jet = self.jet(&DVector::from_column_slice(x));
        h.copy_from_slice(jet.hessian.as_slice());
    }

    /// ∇²L at every path: entry (a, b) of group j is `h[(j*d + a)*d + b]`.
    fn hessians(&self, x: &[Lanes], h: &mut [Lanes]) {
        let d = self.dimension();
        for (x, h) in x.chunks_exact(d).zip(h.chunks_exact_mut(d * d)) {
            for lane in 0..LANES {
                let jet = self.jet(&DVector::from_vec(lane_of(x, lane)));
                set_lane(h, lane, jet.hessian.as_slice());
            }
        }
    }

    /// ∂²(∇L)\[M\] at every path, with `m` in the layout of [`hessians`](Landscape::hessians) and symmetric, into `out` in
    /// the layout of `x`.
    fn thirds(&self, x: &[Lanes], m: &[Lanes], out: &mut [Lanes]) {
        let d = self.dimension();
        let groups = x.chunks_exact(d).zip(m.chunks_exact(d * d));
        for (out, (x, m)) in out.chunks_exact_mut(d).zip(groups) {
            for lane in 0..LANES {
                let m = DMatrix::from_vec(d, d, lane_of(m, lane));
                let third = self.third(&DVector::from_vec(lane_of(x, lane)), &m);
                set_lane(out, lane, third.as_slice());
            }
        }
    }

    /// tr ∇²L at every path: `traces[j]` for group j.
    fn trace_hessians(&self, x: &[Lanes], traces: &mut [Lanes]) {
        let d = self.dimension();
        for (x, out) in x.chunks_exact(d).zip(traces) {
            for lane in 0..LANES {
                let jet = self.jet(&DVector::from_vec(lane_of(x, lane)));
                out.as_mut_array()[lane] = jet.hessian.trace();
            }
        }
    }

    /// Whether there is a planted truth to recover.
    fn plants_truth(&self) -> bool {
        false
    }

    /// ‖θ(x) − θ*‖/‖θ*‖ at every path: `errors[j]` for group j; NaN without a planted truth.
    fn recovery_errors(&self, _x: &[Lanes], errors: &mut [Lanes]) {
        errors.fill(Lanes::splat(f64::NAN));
    }

    /// ∂²(∇L)(x)\[M\] at one point, M symmetric.
    fn third(&self, x: &DVector<f64>, m: &DMatrix<f64>) -> DVector<f64>;

    /// See [`Formula::finite_sum`].
    fn finite_sum(&self) -> Option<&dyn FiniteSum>;

    /// See [`Formula::residuals`].
    fn residuals(&self) -> Option<&dyn Residuals> {
        None
    }

    /// See [`Formula::quadratic_form`].
    fn quadratic_form(&self) -> Option<QuadraticForm>;

    /// See [`Formula::exact_projection`].
    fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>>;

    /// See [`Formula::slow_law`].
    fn slow_law(&self, _noise: &SlowNoise, _x: &DVector<f64>) -> Option<SlowLaw> {
        None
    }
}

/// L, ∇L and ∇²L at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Jet {
    /// L(x).
    pub value: f64,
    /// ∇L(x), length d.
    pub gradient: DVector<f64>,
    /// ∇²L(x), d × d.
    pub hessian: DMatrix<f64>,
}

impl<F: Formula> Landscape for F {
    fn dimension(&self) -> usize {
        Formula::dimension(self)
    }

    fn values(&self, x: &[Lanes], values: &mut [Lanes]) {
        let d = Formula::dimension(self);
        for (x, v) in x.chunks_exact(d).zip(values) {
            *v = self.value(x);
        }
    }

    fn gradients(&self, x: &[Lanes], g: &mut [Lanes]) {
        let d = Formula::dimension(self);
        for (x, g) in x.chunks_exact(d).zip(g.chunks_exact_mut(d)) {
            self.gradient(x, g);
        }
    }

    fn descend(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
        scratch: &mut [Lanes],
    ) {
        if self.descend_groups(step, noise, x, m) {
            return;
        }
        match (Formula::dimension(self), m.is_empty()) {
            (1, true) => forget::<1, F>(self, step, noise, x),
            (2, true) => forget::<2, F>(self, step, noise, x),
            (3, true) => forget::<3, F>(self, step, noise, x),
            (4, true) => forget::<4, F>(self, step, noise, x),
            (1, false) => remember::<1, F>(self, step, noise, x, m),
            (2, false) => remember::<2, F>(self, step, noise, x, m),
            (3, false) => remember::<3, F>(self, step, noise, x, m),
            (4, false) => remember::<4, F>(self, step, noise, x, m),
            (d, _) => {
                let g = &mut scratch[..d];
                for (j, x) in x.chunks_exact_mut(d).enumerate() {
                    self.gradient(x, g);
                    for (g, &v) in g.iter_mut().zip(&noise[j * d..]) {
                        *g += v;
                    }
                    let m = if m.is_empty() {
                        &mut []
                    } else {
                        &mut m[j * d..(j + 1) * d]
                    };
                    step.apply(g, x, m);
                }
            }
        }
    }

    fn jet(&self, x: &DVector<f64>) -> Jet {
        let d = Formula::dimension(self);
        let mut gradient = DVector::zeros(d);
        let mut hessian = DMatrix::zeros(d, d);
        self.gradient(x.as_slice(), gradient.as_mut_slice());
        // Row by row and column by column are the same for a symmetric matrix.
        Formula::hessian(self, x.as_slice(), hessian.as_mut_slice());
        Jet {
            value: self.value(x.as_slice()),
            gradient,
            hessian,
        }
    }

    fn gradient_at(&self, x: &[f64], g: &mut [f64]) {
        self.gradient(x, g);
    }

    fn hessian_at(&self, x: &[f64], h: &mut [f64]) {
        self.hessian(x, h);
    }

    fn hessians(&self, x: &[Lanes], h: &mut [Lanes]) {
        let d = Formula::dimension(self);
        for (x, h) in x.chunks_exact(d).zip(h.chunks_exact_mut(d * d)) {
            self.hessian(x, h);
        }
    }

    fn thirds(&self, x: &[Lanes], m: &[Lanes], out: &mut [Lanes]) {
        let d = Formula::dimension(self);
        let groups = x.chunks_exact(d).zip(m.chunks_exact(d * d));
        for (out, (x, m)) in out.chunks_exact_mut(d).zip(groups) {
            self.third_contraction(x, m, out);
        }
    }

    fn trace_hessians(&self, x: &[Lanes], traces: &mut [Lanes]) {
        let d = Formula::dimension(self);
        for (x, out) in x.chunks_exact(d).zip(traces) {
            *out = self.trace_hessian(x);
        }
    }

    fn plants_truth(&self) -> bool {
        self.recovery_error(&vec![0.0; Formula::dimension(self)])
            .is_some()
    }

    fn recovery_errors(&self, x: &[Lanes], errors: &mut [Lanes]) {
        let d = Formula::dimension(self);
        for (x, out) in x.chunks_exact(d).zip(errors) {
            *out = self.recovery_error(x).unwrap_or(Lanes::splat(f64::NAN));
        }
    }

    fn third(&self, x: &DVector<f64>, m: &DMatrix<f64>) -> DVector<f64> {
        let mut out = DVector::zeros(Formula::dimension(self));
        self.third_contraction(x.as_slice(), m.as_slice(), out.as_mut_slice());
        out
    }

    fn finite_sum(&self) -> Option<&dyn FiniteSum> {
        Formula::finite_sum(self)
    }

    fn residuals(&self) -> Option<&dyn Residuals> {
        Formula::residuals(self)
    }

    fn quadratic_form(&self) -> Option<QuadraticForm> {
        Formula::quadratic_form(self)
    }

    fn exact_projection(&self, x: &DVector<f64>) -> Option<DVector<f64>> {
        Formula::exact_projection(self, x)
    }

    fn slow_law(&self, noise: &SlowNoise, x: &DVector<f64>) -> Option<SlowLaw> {
        Formula::slow_law(self, noise, x)
    }
}

impl Coefficients {
    /// The plain SGD step x ← x − rate·g.
    pub fn sgd(rate: f64) -> Coefficients {
        Coefficients {
            decay: 0.0,
            gain: 1.0,
            rate,
        }
    }

    /// Moves one or several groups by the given gradients; `m` empty means no memory.
    #[inline(always)]
    pub fn apply(self, g: &[Lanes], x: &mut [Lanes], m: &mut [Lanes]) {
        let rate = Lanes::splat(-self.rate);
        if m.is_empty() {
            for (x, &g) in x.iter_mut().zip(g) {
                *x = rate.mul_add(g, *x);
            }
        } else {
            let (decay, gain) = (Lanes::splat(self.decay), Lanes::splat(self.gain));
            for ((x, &g), m) in x.iter_mut().zip(g).zip(m) {
                *m = decay.mul_add(*m, gain * g);
                *x = rate.mul_add(*m, *x);
            }
        }
    }
}

/// [`Landscape::descend`] without memory for a fixed small dimension: everything in registers.
fn forget<const D: usize, F: Formula>(
    formula: &F,
    step: Coefficients,
    noise: &[Lanes],
    x: &mut [Lanes],
) {
    let (x, _) = x.as_chunks_mut::<D>();
    let (noise, _) = noise.as_chunks::<D>();
    for (x, v) in x.iter_mut().zip(noise) {
        let mut g = [Lanes::ZERO; D];
        formula.gradient(x.as_slice(), g.as_mut_slice());
        for i in 0..D {
            g[i] += v[i];
        }
        step.apply(&g, x, &mut []);
    }
}

/// [`Landscape::descend`] with momentum for a fixed small dimension.
fn remember<const D: usize, F: Formula>(
    formula: &F,
    step: Coefficients,
    noise: &[Lanes],
    x: &mut [Lanes],
    m: &mut [Lanes],
) {
    let (x, _) = x.as_chunks_mut::<D>();
    let (m, _) = m.as_chunks_mut::<D>();
    let (noise, _) = noise.as_chunks::<D>();
    for ((x, m), v) in x.iter_mut().zip(m).zip(noise) {
        let mut g = [Lanes::ZERO; D];
        formula.gradient(x.as_slice(), g.as_mut_slice());
        for i in 0..D {
            g[i] += v[i];
        }
        step.apply(&g, x, m);
    }
}

/// The same point in every lane.
pub fn broadcast(x: &[f64]) -> Vec<Lanes> {
    x.iter().map(|&c| Lanes::splat(c)).collect()
}

/// Coordinate-by-coordinate copy of lane `lane` of one group.
pub fn lane_of(x: &[Lanes], lane: usize) -> Vec<f64> {
    debug_assert!(lane < LANES);
    x.iter().map(|v| v.to_array()[lane]).collect()
}

/// Writes `values` into lane `lane`, coordinate by coordinate.
pub fn set_lane(x: &mut [Lanes], lane: usize, values: &[f64]) {
    debug_assert!(lane < LANES);
    for (x, &value) in x.iter_mut().zip(values) {
        x.as_mut_array()[lane] = value;
    }
}
