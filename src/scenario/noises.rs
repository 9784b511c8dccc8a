//! The noise tables of a scenario file, from what is written to what is run.

use super::check::{MOST, Problem, bad_expression, matrix, problem, require, shown, vector};
use super::expressions::expression_noise;
use super::landscapes::points_around;
use super::raw::*;
use crate::expression::{Scope, Values};
use crate::landscape::Landscape;
use crate::oracle::*;
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// Rounding of covariances that users write, relative to the largest entry.
const ROUNDING: f64 = 1e-12;

/// How far a declared covariance may be from that of the factor, relative to the largest entry.
const AGREEMENT: f64 = 1e-8;

/// Points around x_0 at which the two are compared.
const POINTS: u64 = 8;

/// Parameters of a landscape with minibatch noise, whose covariance is d × d for every path.
const MOST_BATCHED: usize = 2000;

pub(super) fn noise(
    raw: &RawNoise,
    landscape: &Arc<dyn Landscape>,
    scope: &Scope,
) -> Result<Arc<dyn Noise>, Problem> {
    let batch = |key: &str, size: usize| -> Result<Minibatch, Problem> {
        if !(1..=MOST).contains(&size) {
            return problem(
                key,
                format!("is {size}, but must be a whole number from 1 to {MOST}"),
            );
        }
        let d = landscape.dimension();
        if d > MOST_BATCHED {
            return problem(
                key,
                format!(
                    "works with the d × d covariance: at most {MOST_BATCHED} parameters are allowed, here are {d}"
                ),
            );
        }
        Minibatch::new(landscape.clone(), size).map_or_else(
            || problem(key, "needs a landscape that averages over samples: `regression`, `linear_regression`, `diagonal_network`, `matrix_sensing`, `two_layer_network`, or `expression` with `residuals`, `sample_loss` or `sample_residual`"),
            Ok,
        )
    };
    Ok(match raw {
        RawNoise::Gaussian {
            factor: Some(RawFactor::Minibatch(size)),
            ..
        } => Arc::new(batch("noise.gaussian.factor.minibatch", *size)?.gaussian()),
        RawNoise::Gaussian { factor, covariance } => {
            entry_noise("gaussian", factor, covariance, EntryLaw::Gaussian, scope)?
        }
        RawNoise::Rademacher { factor, covariance } => entry_noise(
            "rademacher",
            factor,
            covariance,
            EntryLaw::Rademacher,
            scope,
        )?,
        RawNoise::Student {
            freedom,
            factor,
            covariance,
        } => {
            require(
                "noise.student.freedom",
                *freedom,
                *freedom > 2.0,
                "a finite number above 2, so that the variance exists",
            )?;
            let law = EntryLaw::Student { freedom: *freedom };
            entry_noise("student", factor, covariance, law, scope)?
        }
        RawNoise::Label { deviation, law } => {
            require(
                "noise.label.deviation",
                *deviation,
                *deviation >= 0.0,
                "a finite number ≥ 0",
            )?;
            let law = match law {
                RawLabelLaw::Gaussian => EntryLaw::Gaussian,
                RawLabelLaw::Rademacher => EntryLaw::Rademacher,
            };
            match LabelNoise::new(landscape.clone(), *deviation, law) {
                Some(noise) => Arc::new(noise),
                None => {
                    return problem(
                        "noise.label",
                        "needs a landscape that averages squared losses: `regression` with loss = \"least_squares\", `linear_regression`, `hyperbola`, `diagonal_network`, `matrix_sensing`, `two_layer_network`, or `expression` with `residuals` or `sample_residual`",
                    );
                }
            }
        }
        RawNoise::Minibatch { size } => Arc::new(batch("noise.minibatch.size", *size)?),
    })
}

/// Noise from its factor or, where that is absent, from a constant covariance.
fn entry_noise(
    law_name: &str,
    factor: &Option<RawFactor>,
    covariance: &Option<RawCovariance>,
    law: EntryLaw,
    scope: &Scope,
) -> Result<Arc<dyn Noise>, Problem> {
    let key = format!("noise.{law_name}");
    match (factor, covariance) {
        (Some(factor), _) => factor_noise(law_name, factor, law, scope),
        (None, Some(RawCovariance::Matrix(rows))) => {
            let d = scope.dimension();
            let factor = root(&format!("{key}.covariance.matrix"), rows, d)?;
            Ok(Arc::new(FactorNoise::new(factor, law, d)))
        }
        (None, Some(RawCovariance::Expression(_))) => problem(
            format!("{key}.covariance.expression"),
            "stands beside a factor and checks it: write `factor = { expression = [[…]] }`, the B(x) of Σ = BBᵀ, too",
        ),
        (None, None) => problem(
            key,
            "needs `factor`, the B of Σ = BBᵀ, or `covariance = { matrix = [[…]] }`, a constant Σ",
        ),
    }
}

/// The symmetric square root of a covariance.
fn root(key: &str, rows: &[Vec<f64>], d: usize) -> Result<Factor, Problem> {
    let sigma = matrix(key, rows)?;
    if (sigma.nrows(), sigma.ncols()) != (d, d) {
        return problem(
            key,
            format!(
                "is {} × {}, but must be {d} × {d}, as the landscape has {d} parameters",
                sigma.nrows(),
                sigma.ncols()
            ),
        );
    }
    let largest = sigma.amax();
    for i in 0..d {
        for j in 0..i {
            let (a, b) = (sigma[(i, j)], sigma[(j, i)]);
            if (a - b).abs() > ROUNDING * largest {
                return problem(
                    format!("{key}[{}]", i + 1),
                    format!(
                        "entry {} is {a}, but row {} has {b}: a covariance is symmetric",
                        j + 1,
                        j + 1
                    ),
                );
            }
        }
    }
    let diagonal = sigma.diagonal();
    if sigma == DMatrix::from_diagonal(&diagonal) && diagonal.min() >= 0.0 {
        let first = diagonal[0];
        return Ok(match diagonal.iter().all(|s| *s == first) {
            true => Factor::Isotropic(first.sqrt()),
            false => Factor::Diagonal(diagonal.iter().map(|s| s.sqrt()).collect()),
        });
    }
    let eigen = sigma.symmetric_eigen();
    let least = eigen.eigenvalues.min();
    if least < -ROUNDING * largest {
        return problem(
            key,
            format!("has the eigenvalue {least:.3e}: a covariance has none below 0"),
        );
    }
    let roots = DMatrix::from_diagonal(&eigen.eigenvalues.map(|s| s.max(0.0).sqrt()));
    let vectors = eigen.eigenvectors;
    Ok(Factor::Matrix(&vectors * roots * vectors.transpose()))
}

/// A covariance that is declared beside a factor must be BBᵀ: at x_0, and at points around it.
pub(super) fn check_covariance(
    raw: &RawNoise,
    oracle: &Oracle,
    x0: &[f64],
    scope: &Scope,
) -> Result<(), Problem> {
    let (name, covariance) = match raw {
        RawNoise::Gaussian {
            factor: Some(_),
            covariance: Some(covariance),
        } => ("gaussian", covariance),
        RawNoise::Rademacher {
            factor: Some(_),
            covariance: Some(covariance),
        } => ("rademacher", covariance),
        RawNoise::Student {
            factor: Some(_),
            covariance: Some(covariance),
            ..
        } => ("student", covariance),
        _ => return Ok(()),
    };
    let d = x0.len();
    let texts: Vec<Vec<String>>;
    let (key, rows) = match covariance {
        RawCovariance::Matrix(rows) => {
            // Numbers are expressions.
            let text = |row: &Vec<f64>| row.iter().map(|s| format!("{s:?}")).collect();
            let key = format!("noise.{name}.covariance.matrix");
            matrix(&key, rows)?;
            texts = rows.iter().map(text).collect();
            (key, &texts)
        }
        RawCovariance::Expression(rows) => (format!("noise.{name}.covariance.expression"), rows),
    };
    if rows.len() != d || rows.iter().any(|row| row.len() != d) {
        return problem(
            key,
            format!("must have {d} rows of {d} entries, one for each parameter"),
        );
    }
    let flat: Vec<&String> = rows.iter().flatten().collect();
    let declared = Values::parse(&flat, scope)
        .or_else(|(k, e)| bad_expression(format!("{key}[{}][{}]", k / d + 1, k % d + 1), e))?;
    for (point, x) in points_around(x0, POINTS).enumerate() {
        let actual = oracle.covariance(&DVector::from_column_slice(&x));
        let mut found = DMatrix::zeros(d, d);
        declared.evaluate(&x, |_| 0.0, |k, v| found[(k / d, k % d)] = v);
        let allowed = AGREEMENT * actual.amax();
        for i in 0..d {
            for j in 0..d {
                let (a, b) = (found[(i, j)], actual[(i, j)]);
                // Around x_0 neither need be defined.
                let defined = point == 0 || a.is_finite() && b.is_finite();
                if defined && ((a - b).abs() > allowed || (a - b).is_nan()) {
                    return problem(
                        format!("{key}[{}]", i + 1),
                        format!(
                            "entry {} is {a:.6} at x = {}, but the factor gives (BBᵀ)[{}, {}] = {b:.6}",
                            j + 1,
                            shown(&x),
                            i + 1,
                            j + 1
                        ),
                    );
                }
            }
        }
    }
    Ok(())
}

fn factor_noise(
    law_name: &str,
    raw: &RawFactor,
    law: EntryLaw,
    scope: &Scope,
) -> Result<Arc<dyn Noise>, Problem> {
    let key = format!("noise.{law_name}.factor");
    let d = scope.dimension();
    let scale =
        |name: &str, s: f64| require(&format!("{key}.{name}"), s, s >= 0.0, "a finite number ≥ 0");
    let factor = match raw {
        RawFactor::Isotropic(s) => {
            scale("isotropic", *s)?;
            Factor::Isotropic(*s)
        }
        RawFactor::Diagonal(s) => {
            vector(&format!("{key}.diagonal"), s, d)?;
            Factor::Diagonal(s.clone())
        }
        RawFactor::Matrix(rows) => {
            let m = matrix(&format!("{key}.matrix"), rows)?;
            if m.nrows() != d {
                return problem(
                    format!("{key}.matrix"),
                    format!(
                        "has {} rows, but the landscape has {d} parameters",
                        m.nrows()
                    ),
                );
            }
            Factor::Matrix(m)
        }
        RawFactor::Multiplicative(s) => {
            scale("multiplicative", *s)?;
            Factor::Multiplicative(*s)
        }
        RawFactor::Growing(s) => {
            scale("growing", *s)?;
            Factor::Growing(*s)
        }
        RawFactor::Expression(rows) => {
            return expression_noise(&format!("{key}.expression"), rows, law, scope);
        }
        RawFactor::Minibatch(_) => {
            return problem(
                key,
                "`minibatch` is a factor of Gaussian noise only: use [noise.gaussian] or [noise.minibatch]",
            );
        }
    };
    Ok(Arc::new(FactorNoise::new(factor, law, d)))
}
