//! The closed form of Φ against the gradient flow itself, integrated step by step.

use slowsde::landscape::Landscape;

/// Local error of a step of the flow, relative to 1 + ‖x‖.
const LOCAL: f64 = 1e-14;

/// Allowed distance of the closed form from the integrated flow, relative to 1 + ‖x‖: some 10³ steps of local error 1e-14,
/// magnified where neighbouring flow lines part (at most tenfold on the points of this suite).
pub const ALLOWED: f64 = 1e-10;

fn slope(formula: &dyn Landscape, x: &[f64]) -> Vec<f64> {
    let mut g = vec![f64::NAN; x.len()];
    formula.gradient_at(x, &mut g);
    g.iter().map(|g| -g).collect()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// One classical Runge–Kutta step of order four.
fn step(formula: &dyn Landscape, x: &[f64], h: f64) -> Vec<f64> {
    let moved =
        |k: &[f64], c: f64| -> Vec<f64> { x.iter().zip(k).map(|(x, k)| x + c * h * k).collect() };
    let k1 = slope(formula, x);
    let k2 = slope(formula, &moved(&k1, 0.5));
    let k3 = slope(formula, &moved(&k2, 0.5));
    let k4 = slope(formula, &moved(&k3, 1.0));
    (0..x.len())
        .map(|i| x[i] + h / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]))
        .collect()
}

/// Where the gradient flow from `x` rests: step doubling with local extrapolation, until ‖∇L‖ < 1e-13.
pub fn integrate(formula: &dyn Landscape, x: &[f64]) -> Result<Vec<f64>, String> {
    let mut x = x.to_vec();
    let mut h = 1e-3;
    for _ in 0..2_000_000 {
        if norm(&slope(formula, &x)) < 1e-13 {
            return Ok(x);
        }
        let whole = step(formula, &x, h);
        let halves = step(formula, &step(formula, &x, 0.5 * h), 0.5 * h);
        let difference: Vec<f64> = halves
            .iter()
            .zip(&whole)
            .map(|(a, b)| (a - b) / 15.0)
            .collect();
        let error = norm(&difference) / (LOCAL * (1.0 + norm(&x)));
        if error <= 1.0 {
            x = halves.iter().zip(&difference).map(|(a, d)| a + d).collect();
        }
        h *= (0.9 * error.max(1e-10).powf(-0.2)).clamp(0.2, 3.0);
    }
    Err(format!("the gradient flow did not come to rest: {x:?}"))
}

/// Compares the closed form of Φ at all points, and checks Φ∘Φ = Φ and that Φ is constant along the flow.
pub fn check_projection(
    name: &str,
    formula: &dyn Landscape,
    points: &[Vec<f64>],
) -> Result<(), String> {
    let exact = |x: &[f64]| -> Result<Vec<f64>, String> {
        let x = nalgebra::DVector::from_column_slice(x);
        let end = formula.exact_projection(&x);
        let end = end.ok_or(format!("{name}: no closed form at {x}"))?;
        Ok(end.as_slice().to_vec())
    };
    for (k, x) in points.iter().enumerate() {
        let end = exact(x)?;
        let flowed = integrate(formula, x)?;
        let later = exact(&step(formula, x, 1e-4))?;
        let again = exact(&end)?;
        for (what, other) in [
            ("the gradient flow", flowed),
            ("its own value further down the flow", later),
            ("its own value at its own value", again),
        ] {
            let difference: Vec<f64> = end.iter().zip(&other).map(|(a, b)| a - b).collect();
            let distance = norm(&difference) / (1.0 + norm(x));
            if distance.is_nan() || distance > ALLOWED {
                return Err(format!(
                    "{name}: point {k}: the projection {end:?} differs from {what}, {other:?}, by {distance:.1e}"
                ));
            }
        }
    }
    Ok(())
}
