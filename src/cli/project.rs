//! `slowsde project`: Φ(x), the geometry of Γ there, and the coefficients of the slow SDE (4).

use super::BadInput;
use crate::projection::{Projector, Settings, Tolerance};
use crate::scenario::Scenario;
use nalgebra::{DMatrix, DVector};
use std::fmt::Write;

/// Parameters of a landscape whose points are projected.
const MOST: usize = 5000;

/// Rows and columns of a matrix that are printed.
const SHOWN: usize = 8;

/// The report for the point `at`; the scenario gives the loss, the noise, λ at time 0 and the compact set.
pub(super) fn report(scenario: &Scenario, at: &[f64]) -> Result<String, BadInput> {
    let d = scenario.x0.len();
    if at.len() != d {
        return Err(BadInput(vec![format!(
            "--at has {} numbers, but `{}` has {d} parameters",
            at.len(),
            scenario.name
        )]));
    }
    if d > MOST {
        return Err(BadInput(vec![format!(
            "`{}` has {d} parameters; `project` forms d × d matrices and takes at most {MOST}",
            scenario.name
        )]));
    }
    let landscape = &*scenario.oracle.landscape;
    let settings = Settings {
        tolerance: Tolerance::TIGHT,
        region: scenario.region.clone(),
        ..Settings::default()
    };
    let x = DVector::from_column_slice(at);
    let (landing, tangent) = Projector::new(landscape, settings).tangent(&x)?;
    let horizon = scenario.run.horizon;
    let lambda = scenario.learning_rate.limit(0.0, horizon).unwrap_or(1.0);
    let factor = scenario.oracle.factor(&landing.point);
    let slow = tangent.slow_coefficients(landscape, lambda, &factor);
    let gap = tangent.gap();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<28}{value}");
    };
    line("x", vector(&x));
    line("Φ(x)", vector(&landing.point));
    line("flow time", format!("{:.6}", landing.flow_time));
    line("steps", landing.steps.to_string());
    line(
        "gradient evaluations",
        landing.gradient_evaluations.to_string(),
    );
    line(
        "Hessian evaluations",
        landing.hessian_evaluations.to_string(),
    );
    line("‖∇L(Φ(x))‖", format!("{:.2e}", landing.residual));
    line("error estimate", format!("{:.2e}", landing.error_estimate));
    line(
        "rank of ∇²L(Φ(x))",
        format!(
            "{} of {d}: Γ has dimension {}",
            tangent.rank(),
            d - tangent.rank()
        ),
    );
    line(
        "spectral gap",
        format!(
            "{:.2e} (smallest normal {:.3e}, largest tangent {:.3e})",
            gap.ratio, gap.smallest_normal, gap.largest_tangent
        ),
    );
    line("curvatures", vector(tangent.curvatures()));
    line("λ at t = 0", format!("{lambda}"));
    line("drift ½λ²∂²Φ[Σ]", vector(&slow.drift));
    line(
        "  tangential part",
        vector(&tangent.project_vector(&slow.drift)),
    );
    for (name, m) in [
        ("tangent basis", tangent.basis()),
        ("∂Φ", tangent.projection()),
        ("diffusion λ∂ΦΣ^½", slow.diffusion),
    ] {
        let _ = write!(
            text,
            "{name} ({} × {})\n{}",
            m.nrows(),
            m.ncols(),
            matrix(&m)
        );
    }
    Ok(text)
}

fn number(x: f64) -> String {
    format!("{x:>13.6}")
}

/// The first entries, and how many follow.
fn vector(v: &DVector<f64>) -> String {
    let shown: Vec<String> = v.iter().take(SHOWN).map(|&x| number(x)).collect();
    let more = v.len().saturating_sub(SHOWN);
    let tail = if more > 0 {
        format!("  … {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join(" "))
}

/// The upper left corner.
fn matrix(m: &DMatrix<f64>) -> String {
    let mut text = String::new();
    for row in m.row_iter().take(SHOWN) {
        let row: DVector<f64> = row.transpose();
        let _ = writeln!(text, "    {}", vector(&row));
    }
    let more = m.nrows().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(text, "    … {more} more rows");
    }
    text
}
