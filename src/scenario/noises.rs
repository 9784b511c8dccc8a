//! The noise tables of a scenario file, from what is written to what is run.

use super::check::{MOST, Problem, matrix, problem, require, vector};
use super::raw::*;
use crate::landscape::Landscape;
use crate::oracle::*;
use std::sync::Arc;

/// Parameters of a landscape with minibatch noise, whose covariance is d × d for every path.
const MOST_BATCHED: usize = 2000;

pub(super) fn noise(
    raw: &RawNoise,
    landscape: &Arc<dyn Landscape>,
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
            || problem(key, "needs a landscape that averages over samples: `regression`, `linear_regression`, `diagonal_network`, `matrix_sensing` or `two_layer_network`"),
            Ok,
        )
    };
    Ok(match raw {
        RawNoise::Gaussian {
            factor: RawFactor::Minibatch(size),
        } => Arc::new(batch("noise.gaussian.factor.minibatch", *size)?.gaussian()),
        RawNoise::Gaussian { factor } => {
            factor_noise("gaussian", factor, EntryLaw::Gaussian, landscape)?
        }
        RawNoise::Rademacher { factor } => {
            factor_noise("rademacher", factor, EntryLaw::Rademacher, landscape)?
        }
        RawNoise::Student { freedom, factor } => {
            require(
                "noise.student.freedom",
                *freedom,
                *freedom > 2.0,
                "a finite number above 2, so that the variance exists",
            )?;
            factor_noise(
                "student",
                factor,
                EntryLaw::Student { freedom: *freedom },
                landscape,
            )?
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
                        "needs a landscape that averages squared losses: `regression` with loss = \"least_squares\", `linear_regression`, `hyperbola`, `diagonal_network`, `matrix_sensing` or `two_layer_network`",
                    );
                }
            }
        }
        RawNoise::Minibatch { size } => Arc::new(batch("noise.minibatch.size", *size)?),
    })
}

fn factor_noise(
    law_name: &str,
    raw: &RawFactor,
    law: EntryLaw,
    landscape: &Arc<dyn Landscape>,
) -> Result<Arc<dyn Noise>, Problem> {
    let key = format!("noise.{law_name}.factor");
    let d = landscape.dimension();
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
        RawFactor::Minibatch(_) => {
            return problem(
                key,
                "`minibatch` is a factor of Gaussian noise only: use [noise.gaussian] or [noise.minibatch]",
            );
        }
    };
    Ok(Arc::new(FactorNoise::new(factor, law, d)))
}
