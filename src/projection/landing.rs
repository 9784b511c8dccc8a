//! The last part of the flow near Γ by its asymptotic expansion: Φ(x) = p + Pz + ½∂²Φ\[zzᵀ\] + O(δ³), z = x − p.

use super::spectrum::{SMALL, Spectrum};
use super::tangent::{Covariance, Tangent, linearize, with_gradient_norm};
use super::{ProjectionError, ROUNDING};
use crate::landscape::Landscape;
use nalgebra::{Cholesky, DMatrix, DVector};

/// Off Γ tangent eigenvalues are not zero: the gap there only has to guide Newton's iteration.
const GUIDING_GAP: f64 = 5.0;

/// At distance δ, eigenvalues below the share 8 δ/(1 + ‖x‖) of the largest may be those of tangent directions: third derivatives
/// of a few times the size of the second ones. A wrong guess is found out on Γ.
pub(super) fn guiding_floor(distance: f64, norm: f64) -> f64 {
    (8.0 * distance / (1.0 + norm)).clamp(1e-9, 0.1)
}

/// Newton steps in the normal space.
const NEWTON: usize = 12;

/// A landing from x.
pub(super) struct Attempt {
    /// The estimate of Φ(x), on Γ to rounding.
    pub(super) point: DVector<f64>,
    /// ‖∇L‖ there.
    pub(super) residual: f64,
    /// z = x − p.
    pub(super) offset: DVector<f64>,
    /// The geometry at p.
    pub(super) tangent: Tangent,
    /// ‖z‖ρ².
    pub(super) error: f64,
    /// ρ.
    pub(super) nonlinearity: f64,
}

/// Why a landing from here is not possible (yet).
pub(super) enum Obstacle {
    /// x is too far from Γ for the expansion.
    TooFar,
    /// The landing would have an error of about this, more than it is worth.
    Vain { error: f64 },
    /// If the flow rests here, this is its failure.
    Failure(ProjectionError),
}

/// Counts evaluations.
pub(super) struct Counter<'a> {
    pub(super) landscape: &'a dyn Landscape,
    pub(super) gradients: usize,
    pub(super) hessians: usize,
}

impl Counter<'_> {
    pub(super) fn gradient(&mut self, x: &[f64], g: &mut [f64]) {
        self.gradients += 1;
        self.landscape.gradient_at(x, g);
    }

    pub(super) fn hessian(&mut self, x: &[f64]) -> DMatrix<f64> {
        self.hessians += 1;
        let mut h = DMatrix::zeros(x.len(), x.len());
        self.landscape.hessian_at(x, h.as_mut_slice());
        h
    }
}

/// Newton's iteration p ← p − H†∇L(p) with the pseudo-inverse frozen, until the steps are rounding or stop shrinking.
/// Returns the lengths of the first two steps.
fn descend_normally(
    counter: &mut Counter,
    solve: impl Fn(&DVector<f64>) -> DVector<f64>,
    p: &mut DVector<f64>,
    g: &mut DVector<f64>,
) -> Option<(f64, f64)> {
    let mut lengths = vec![];
    for _ in 0..NEWTON {
        let step = solve(g);
        let length = step.norm();
        if !length.is_finite() {
            return None;
        }
        let last = lengths.last().copied().unwrap_or(f64::INFINITY);
        let small = length <= 1e-11 * (1.0 + p.norm());
        if small && length > 0.5 * last {
            break;
        }
        if length > 0.5 * last {
            return None;
        }
        *p -= step;
        counter.gradient(p.as_slice(), g.as_mut_slice());
        lengths.push(length);
        if length <= f64::EPSILON * p.norm() {
            break;
        }
    }
    let first = lengths.first().copied().unwrap_or(0.0);
    Some((first, lengths.get(1).copied().unwrap_or(0.0)))
}

/// The Gauss–Newton iteration p ← p − J(JᵀJ)⁻¹r(p) with J = J(x) frozen, until the residuals vanish: p and the lengths of the
/// first two steps, which foretell the error: beyond `worth` they are all that is done. None where there are no residuals or their gradients depend on each other.
fn solve_residuals(
    counter: &mut Counter,
    x: &DVector<f64>,
    worth: f64,
) -> Result<Option<(DVector<f64>, f64, f64)>, Obstacle> {
    let Some(residuals) = counter.landscape.residuals() else {
        return Ok(None);
    };
    counter.hessians += 1;
    let (mut r, j) = linearize(residuals, x);
    let Some(gram) = Cholesky::new(j.tr_mul(&j)) else {
        return Ok(None);
    };
    let mut p = x.clone();
    let (mut first, mut second, mut last) = (0.0, 0.0, f64::INFINITY);
    for k in 0..4 * NEWTON {
        gram.solve_mut(&mut r);
        let step = &j * &r;
        let length = step.norm();
        let small = length <= 1e-11 * (1.0 + p.norm());
        if small && length > 0.5 * last {
            break;
        }
        // Written so that NaN fails.
        if !(length <= 0.5 * last && length.is_finite()) {
            return Err(Obstacle::TooFar);
        }
        match k {
            0 => first = length,
            1 => second = length,
            _ => {}
        }
        if k == 1 && second * second > worth * first {
            return Err(Obstacle::Vain {
                error: second * second / first,
            });
        }
        p -= step;
        if length <= f64::EPSILON * p.norm() {
            break;
        }
        residuals.residuals(p.as_slice(), r.as_mut_slice());
        last = length;
    }
    Ok(Some((p, first, second)))
}

/// The landing from `x` with gradient `g`, given up early where its error would exceed `worth`; `guide` is the geometry where an earlier landing ended.
pub(super) fn attempt(
    counter: &mut Counter,
    x: &DVector<f64>,
    g: &DVector<f64>,
    estimated_distance: f64,
    guide: Option<&Tangent>,
    worth: f64,
) -> Result<Attempt, Obstacle> {
    let fail = |error| Obstacle::Failure(with_gradient_norm(error, g.norm()));
    let (mut p, mut slope) = (x.clone(), g.clone());
    let solved = if x.len() > SMALL {
        solve_residuals(counter, x, worth)?
    } else {
        None
    };
    let solved = solved.and_then(|(end, first, second)| {
        let tangent = Tangent::interpolating(counter.landscape, &end)?;
        Some((end, tangent, first, second))
    });
    let (tangent, first, second, slant) = if let Some((end, tangent, first, second)) = solved {
        counter.hessians += 1;
        p = end;
        (tangent, first, second, 0.0)
    } else if let Some(guide) = guide {
        // A frame from a landing further up the flow.
        let (first, second) =
            descend_normally(counter, |g| guide.pseudo_solve(g), &mut p, &mut slope)
                .ok_or(Obstacle::TooFar)?;
        let tangent = Tangent::from_hessian(&p, &counter.hessian(p.as_slice())).map_err(fail)?;
        if tangent.rank() != guide.rank() {
            return Err(Obstacle::TooFar);
        }
        (tangent, first, second, 0.0)
    } else {
        let h = counter.hessian(x.as_slice());
        if h.iter().any(|v| !v.is_finite()) {
            return Err(Obstacle::TooFar);
        }
        let floor = guiding_floor(estimated_distance, x.norm());
        let spectrum = Spectrum::new(&h, floor);
        let (rank, gap) = spectrum.split(floor, GUIDING_GAP).map_err(fail)?;
        let normal = spectrum.vectors.columns(0, rank);
        let curvatures = DVector::from_column_slice(&spectrum.values[..rank]);
        let solve = |g: &DVector<f64>| normal * normal.tr_mul(g).component_div(&curvatures);
        let (first, second) =
            descend_normally(counter, solve, &mut p, &mut slope).ok_or(Obstacle::TooFar)?;
        let tangent = Tangent::from_hessian(&p, &counter.hessian(p.as_slice())).map_err(fail)?;
        if tangent.rank() != rank {
            return Err(Obstacle::TooFar);
        }
        // Tangent eigenvalues at x, as far as they show above the floor.
        let slant = (gap.largest_tangent - floor * spectrum.largest()) / gap.smallest_normal;
        (tangent, first, second, slant)
    };
    let offset = x - &p;
    let distance = offset.norm();
    let mut point = p;
    let (mut error, mut nonlinearity) = (0.0, 0.0f64);
    if distance > ROUNDING * (1.0 + x.norm()) {
        let shift = along(counter.landscape, &tangent, &offset);
        let tilt = tangent.project_vector(&offset) + shift;
        nonlinearity = (tilt.norm() / distance).max(second / first).max(slant);
        error = distance * nonlinearity * nonlinearity;
        point += tilt;
        counter.gradient(point.as_slice(), slope.as_mut_slice());
        descend_normally(counter, |g| tangent.pseudo_solve(g), &mut point, &mut slope)
            .ok_or(Obstacle::TooFar)?;
    }
    Ok(Attempt {
        residual: slope.norm(),
        error: error + first.min(f64::EPSILON * point.norm()),
        point,
        offset,
        tangent,
        nonlinearity,
    })
}

/// The tangential part of ½∂²Φ\[zzᵀ\]: one contraction, the normal part is left to Newton's iteration.
fn along(landscape: &dyn Landscape, tangent: &Tangent, z: &DVector<f64>) -> DVector<f64> {
    let z = DMatrix::from_column_slice(z.len(), 1, z.as_slice());
    tangent.tangential(landscape, Covariance::Factor(&z)) * 0.5
}

/// ∂²Φ\[½(zwᵀ + wzᵀ)\] at the point of `tangent`.
fn second(
    landscape: &dyn Landscape,
    tangent: &Tangent,
    z: &DVector<f64>,
    w: &DVector<f64>,
) -> DVector<f64> {
    let outer = z * w.transpose();
    let s = (&outer + outer.transpose()) * 0.5;
    tangent.second_derivative(landscape, Covariance::Dense(&s))
}

impl Attempt {
    /// ∂Φ(x)V = PV + ∂²Φ_p\[z, V\] + O(ρ²), column by column.
    pub(super) fn derivative(
        &self,
        landscape: &dyn Landscape,
        directions: &DMatrix<f64>,
    ) -> DMatrix<f64> {
        let mut out = self.tangent.project(directions);
        if self.offset.norm() > 0.0 {
            for (mut out, w) in out.column_iter_mut().zip(directions.column_iter()) {
                out += second(landscape, &self.tangent, &self.offset, &w.into_owned());
            }
        }
        out
    }
}
