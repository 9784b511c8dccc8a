//! Derivatives against differences: a check for losses of one's own.

use super::{Landscape, broadcast};
use crate::real::{LANES, Lanes};
use nalgebra::{DMatrix, DVector};

/// A derivative of a landscape that is not the derivative of what stands before it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DerivativeError {
    /// A point of the wrong length.
    #[error("the point has {found} coordinates, but the landscape has {expected} parameters")]
    Length {
        /// d.
        expected: usize,
        /// The length of the point.
        found: usize,
    },
    /// A number that is none.
    #[error("{what} is {value}, but must be finite at the point where derivatives are checked")]
    NotFinite {
        /// The quantity and its entry, counted from 1.
        what: String,
        /// NaN or ±∞.
        value: f64,
    },
    /// Two that should be the same.
    #[error(
        "{what} is {found:e}, but {reference} is {expected:e} (allowed difference {allowed:.1e})"
    )]
    Differs {
        /// The quantity and its entry, counted from 1.
        what: String,
        /// What the landscape says.
        found: f64,
        /// What it is compared with.
        reference: &'static str,
        /// The number that it is compared with.
        expected: f64,
        /// The largest difference that passes.
        allowed: f64,
    },
    /// Differences that do not settle: a kink, a wild function, or a point at the edge of the domain.
    #[error(
        "{what}: {reference} does not settle as the step shrinks (uncertain by {uncertainty:.1e}, allowed {allowed:.1e}); the function may not be smooth here, choose another point"
    )]
    Unsettled {
        /// The quantity and its entry, counted from 1.
        what: String,
        /// What was differenced.
        reference: &'static str,
        /// The estimated error of the difference quotient.
        uncertainty: f64,
        /// The largest that can be judged.
        allowed: f64,
    },
}

/// The first step of the differences, relative to 1 + |xᵢ|; it is halved seven times.
const STEP: f64 = 1.0 / 64.0;

/// Halvings of the step.
const HALVINGS: usize = 7;

/// Errors below this share of the largest number that enters pass, and no less certain difference is judged.
const SHARE: f64 = 1e-7;

/// Checks ∇L, ∇²L and ∂²(∇L)\[M\] of a landscape at the point `x` against central differences of what stands before them: of L, of
/// ∇L, and of the sum Σ_bc M_bc ∂_b∂_c L for a full symmetric M; that ∇²L is symmetric; and that eight paths to a register give
/// what one gives.
///
/// Differences are extrapolated to step 0 (Richardson, in even powers of the step), with an estimate of their error. A derivative
/// passes within that estimate, which must itself be below 10⁻⁷ of the largest entry of the derivative and of what is differenced:
/// a mistake of a millionth of the largest entry is found, whatever the size of L. The cost is some 16d Hessians.
///
/// # Errors
/// The first entry that is wrong, with both numbers; a point where differences cannot judge.
///
/// # Example
/// ```
/// use slowsde::landscape::{Expression, check_derivatives};
///
/// let loss = Expression::from_fn(2, |x| x[0].sin() * x[1].exp() + x[1].powi(4))?;
/// check_derivatives(&loss, &[0.3, -0.7])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_derivatives(landscape: &dyn Landscape, x: &[f64]) -> Result<(), DerivativeError> {
    let d = landscape.dimension();
    if x.len() != d {
        return Err(DerivativeError::Length {
            expected: d,
            found: x.len(),
        });
    }
    let jet = landscape.jet(&DVector::from_column_slice(x));
    let hessian = row_by_row(&jet.hessian);
    finite(|_| "L".to_string(), &[jet.value])?;
    finite(gradient_entry, jet.gradient.as_slice())?;
    finite(|k| hessian_entry(d, k), &hessian)?;

    for a in 0..d {
        for b in 0..a {
            let (found, expected) = (hessian[a * d + b], hessian[b * d + a]);
            if found != expected {
                return Err(DerivativeError::Differs {
                    what: hessian_entry(d, a * d + b),
                    found,
                    reference: "the entry across the diagonal",
                    expected,
                    allowed: 0.0,
                });
            }
        }
    }
    // Full, symmetric, with entries of order one of both signs.
    let m = DMatrix::from_fn(d, d, |b, c| {
        (1.0 + (b + c) as f64 + 0.7 * (b * c) as f64).cos()
    });
    let third = landscape.third(&DVector::from_column_slice(x), &m);
    finite(third_entry, third.as_slice())?;

    let value = |x: &[f64], out: &mut [f64]| out[0] = value_at(landscape, x);
    let gradient = |x: &[f64], out: &mut [f64]| landscape.gradient_at(x, out);
    let form = |x: &[f64], out: &mut [f64]| {
        let jet = landscape.jet(&DVector::from_column_slice(x));
        out[0] = jet.hessian.dot(&m);
    };
    for a in 0..d {
        let what = |_| gradient_entry(a);
        compare(
            &what,
            &jet.gradient.as_slice()[a..=a],
            "the difference of L",
            x,
            a,
            &value,
        )?;
        let what = |b| hessian_entry(d, a * d + b);
        let row = &hessian[a * d..(a + 1) * d];
        compare(&what, row, "the difference of ∇L", x, a, &gradient)?;
        let what = |_| third_entry(a);
        let reference = "the difference of Σ M_bc ∂_b∂_c L";
        compare(&what, &third.as_slice()[a..=a], reference, x, a, &form)?;
    }
    check_lanes(landscape, x, &jet.gradient, &hessian)
}

fn gradient_entry(a: usize) -> String {
    format!("∂L/∂x[{}]", a + 1)
}

fn hessian_entry(d: usize, k: usize) -> String {
    format!("∂²L/∂x[{}]∂x[{}]", k / d + 1, k % d + 1)
}

fn third_entry(a: usize) -> String {
    format!("entry {} of ∂²(∇L)[M]", a + 1)
}

fn row_by_row(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

fn value_at(landscape: &dyn Landscape, x: &[f64]) -> f64 {
    let mut value = [Lanes::ZERO];
    landscape.values(&broadcast(x), &mut value);
    value[0].to_array()[0]
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

fn finite(what: impl Fn(usize) -> String, values: &[f64]) -> Result<(), DerivativeError> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(k) => Err(DerivativeError::NotFinite {
            what: what(k),
            value: values[k],
        }),
    }
}

/// Compares `found` with the derivative along coordinate `a` of the function that `at` evaluates, entry by entry.
fn compare(
    what: &dyn Fn(usize) -> String,
    found: &[f64],
    reference: &'static str,
    x: &[f64],
    a: usize,
    at: &dyn Fn(&[f64], &mut [f64]),
) -> Result<(), DerivativeError> {
    let mut here = vec![0.0; found.len()];
    at(x, &mut here);
    let (derivatives, uncertainties) = differences(x, a, found.len(), at);
    let size = largest(found).max(largest(&here)).max(f64::MIN_POSITIVE);
    for (k, &found) in found.iter().enumerate() {
        let (expected, uncertainty) = (derivatives[k], uncertainties[k]);
        let allowed = SHARE * size.max(expected.abs());
        if uncertainty > allowed {
            return Err(DerivativeError::Unsettled {
                what: what(k),
                reference,
                uncertainty,
                allowed,
            });
        }
        let allowed = allowed + 10.0 * uncertainty;
        if (found - expected).abs() > allowed {
            return Err(DerivativeError::Differs {
                what: what(k),
                found,
                reference,
                expected,
                allowed,
            });
        }
    }
    Ok(())
}

/// ∂f/∂xₐ and an estimate of its error for the `entries` entries of f: the entry of Neville's table of difference quotients with the
/// smallest estimate (Ridders).
fn differences(
    x: &[f64],
    a: usize,
    entries: usize,
    at: &dyn Fn(&[f64], &mut [f64]),
) -> (Vec<f64>, Vec<f64>) {
    let (mut best, mut errors) = (vec![f64::NAN; entries], vec![f64::INFINITY; entries]);
    let (mut plus, mut minus) = (vec![0.0; entries], vec![0.0; entries]);
    let mut before: Vec<Vec<f64>> = vec![];
    for level in 0..=HALVINGS {
        let step = STEP * (1.0 + x[a].abs()) * (-(level as f64)).exp2();
        let mut moved = x.to_vec();
        moved[a] = x[a] + step;
        at(&moved, &mut plus);
        let right = moved[a];
        moved[a] = x[a] - step;
        at(&moved, &mut minus);
        let width = right - moved[a];
        let quotient = |(p, m): (&f64, &f64)| (p - m) / width;
        let mut row: Vec<Vec<f64>> = vec![plus.iter().zip(&minus).map(quotient).collect()];
        let mut factor = 1.0;
        for (order, old) in before.iter().enumerate() {
            factor *= 4.0;
            let mut next = vec![0.0; entries];
            for k in 0..entries {
                let last = row[order][k];
                next[k] = last + (last - old[k]) / (factor - 1.0);
                let error = (next[k] - last).abs().max((next[k] - old[k]).abs());
                if error < errors[k] {
                    (best[k], errors[k]) = (next[k], error);
                }
            }
            row.push(next);
        }
        before = row;
    }
    (best, errors)
}

/// The functions of eight paths, all at `x`, against those of one.
fn check_lanes(
    landscape: &dyn Landscape,
    x: &[f64],
    gradient: &DVector<f64>,
    hessian: &[f64],
) -> Result<(), DerivativeError> {
    let (d, lanes) = (x.len(), broadcast(x));
    let (mut g, mut h) = (vec![Lanes::ZERO; d], vec![Lanes::ZERO; d * d]);
    landscape.gradients(&lanes, &mut g);
    landscape.hessians(&lanes, &mut h);
    let size = 1.0 + largest(gradient.as_slice()).max(largest(hessian));
    let agree = |what: String, found: Lanes, expected: f64| {
        let allowed = SHARE * size;
        let wrong = |f: &f64| f.is_nan() || (f - expected).abs() > allowed;
        match found.to_array()[..LANES].iter().copied().find(wrong) {
            None => Ok(()),
            Some(found) => Err(DerivativeError::Differs {
                what,
                found,
                reference: "on one path alone it",
                expected,
                allowed,
            }),
        }
    };
    for a in 0..d {
        agree(format!("{} on lanes", gradient_entry(a)), g[a], gradient[a])?;
    }
    for (k, &expected) in hessian.iter().enumerate() {
        agree(format!("{} on lanes", hessian_entry(d, k)), h[k], expected)?;
    }
    Ok(())
}
