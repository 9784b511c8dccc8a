//! What a scenario writes as expressions, from text to what is run.

use super::DataFolder;
use super::check::{Problem, bad_expression, problem};
use super::landscapes::data_problem;
use super::raw::{RawExpression, RawLandscape};
use crate::expression::{Function, Scope};
use crate::landscape::{DataOptions, Expression, ExpressionModel, Landscape, SampleLoss};
use crate::oracle::{EntryLaw, ExpressionNoise, Noise};
use nalgebra::DMatrix;
use std::sync::Arc;

const KEY: &str = "landscape.expression";

/// The names that the tables declare.
fn scope(raw: &RawExpression) -> Result<Scope, Problem> {
    if raw.parameters.is_empty() {
        return problem(
            format!("{KEY}.parameters"),
            "is empty; write [\"x\", \"y\"] or [\"w[1..20]\"]",
        );
    }
    let mut scope = Scope::new(&raw.parameters)
        .or_else(|(i, e)| bad_expression(format!("{KEY}.parameters[{}]", i + 1), e))?;
    for (name, &value) in &raw.constants {
        scope
            .constant(name, value)
            .or_else(|e| problem(format!("{KEY}.constants.{name}"), e))?;
    }
    Ok(scope)
}

/// The names that noise and test functions may use: those of the landscape, or x\[1..d\].
pub(super) fn names(raw: &RawLandscape, dimension: usize) -> Result<Scope, Problem> {
    match raw {
        RawLandscape::Expression(raw) => scope(raw),
        _ => Ok(Scope::of_dimension(dimension)),
    }
}

/// Noise with the factor that is written as text at `key`.
pub(super) fn expression_noise(
    key: &str,
    rows: &[Vec<String>],
    law: EntryLaw,
    scope: &Scope,
) -> Result<Arc<dyn Noise>, Problem> {
    let (d, r) = (scope.dimension(), rows.first().map_or(0, Vec::len));
    if rows.len() != d || r == 0 {
        return problem(
            key,
            format!(
                "has {} rows, but must have {d}, one for each parameter, with at least one entry",
                rows.len()
            ),
        );
    }
    if let Some(i) = rows.iter().position(|row| row.len() != r) {
        return problem(
            format!("{key}[{}]", i + 1),
            format!("has {} entries, but row 1 has {r}", rows[i].len()),
        );
    }
    match ExpressionNoise::new(rows, law, scope) {
        Ok(noise) => Ok(Arc::new(noise)),
        Err((i, j, e)) => bad_expression(format!("{key}[{}][{}]", i + 1, j + 1), e),
    }
}

/// The landscape that is written as text.
pub(super) fn expression(
    raw: &RawExpression,
    data: DataFolder<'_>,
) -> Result<Arc<dyn Landscape>, Problem> {
    let scope = scope(raw)?;
    let from_data = raw.sample_loss.is_some() || raw.sample_residual.is_some();
    let keys = [
        ("file", raw.file.is_some()),
        ("columns", raw.columns.is_some()),
        ("rows", raw.rows.is_some()),
        ("standardize", raw.standardize),
    ];
    if let Some((key, _)) = keys.iter().find(|(_, given)| *given && !from_data) {
        return problem(
            format!("{KEY}.{key}"),
            "is for losses over the rows of a file: write `sample_loss` or `sample_residual`",
        );
    }
    match (
        &raw.loss,
        &raw.residuals,
        &raw.sample_loss,
        &raw.sample_residual,
    ) {
        (Some(text), None, None, None) => Ok(Arc::new(
            Expression::of_loss(text, &scope)
                .or_else(|e| bad_expression(format!("{KEY}.loss"), e))?,
        )),
        (None, Some(texts), None, None) => residuals(texts, &scope),
        (None, None, Some(text), None) => {
            let (loss, data) = sampled("sample_loss", text, raw, scope, data)?;
            Ok(Arc::new(
                SampleLoss::new(loss, &data).or_else(|e| problem(KEY, e.to_string()))?,
            ))
        }
        (None, None, None, Some(text)) => {
            let (residual, data) = sampled("sample_residual", text, raw, scope, data)?;
            Ok(Arc::new(
                ExpressionModel::squared_loss(residual, &data)
                    .or_else(|e| problem(KEY, e.to_string()))?,
            ))
        }
        _ => problem(
            KEY,
            "needs exactly one of `loss`, `residuals`, `sample_loss` and `sample_residual`",
        ),
    }
}

fn residuals(texts: &[String], scope: &Scope) -> Result<Arc<dyn Landscape>, Problem> {
    let key = format!("{KEY}.residuals");
    if texts.is_empty() {
        return problem(key, "is empty; write at least one residual");
    }
    let (n, d) = (texts.len(), scope.dimension());
    if n.saturating_mul(d) > Expression::MOST_ENTRIES {
        let most = Expression::MOST_ENTRIES;
        return problem(
            key,
            format!("{n} residuals of {d} parameters: their product must be at most {most}"),
        );
    }
    Ok(Arc::new(Expression::of_residuals(texts, scope).or_else(
        |(i, e)| bad_expression(format!("{key}[{}]", i + 1), e),
    )?))
}

/// A function of parameters and data columns, and the rows of those columns.
fn sampled(
    name: &str,
    text: &str,
    raw: &RawExpression,
    mut scope: Scope,
    data: DataFolder<'_>,
) -> Result<(Function, DMatrix<f64>), Problem> {
    let (Some(file), Some(columns)) = (&raw.file, &raw.columns) else {
        return problem(
            format!("{KEY}.{name}"),
            "needs `file`, a CSV file with a header, and `columns`, the names in it that the text uses",
        );
    };
    for (i, column) in columns.iter().enumerate() {
        scope.column(column).or_else(|mut e| {
            if e.contains("is not a name") {
                e += "; rename the column in the header of the file";
            }
            problem(format!("{KEY}.columns[{}]", i + 1), e)
        })?;
    }
    let Some((target, features)) = columns.split_last() else {
        return problem(
            format!("{KEY}.columns"),
            "is empty; name at least one column",
        );
    };
    let function =
        Function::parse(text, &scope).or_else(|e| bad_expression(format!("{KEY}.{name}"), e))?;
    let asked: Vec<(String, &String)> = columns
        .iter()
        .enumerate()
        .map(|(i, name)| (format!("columns[{}]", i + 1), name))
        .collect();
    let options = DataOptions {
        target: target.clone(),
        features: Some(features.to_vec()),
        standardize: raw.standardize,
        standardize_target: raw.standardize,
        // There may be no feature beside the last column.
        intercept: true,
        rows: raw.rows,
    };
    let data = data
        .read(file, options)
        .or_else(|e| data_problem(KEY, &asked, e))?;
    let (n, q) = (data.targets.len(), columns.len());
    let rows = DMatrix::from_fn(n, q, |i, k| {
        if k + 1 == q {
            data.targets[i]
        } else {
            data.design[(i, k)]
        }
    });
    Ok((function, rows))
}
