//! Integrals of a function of one variable.

/// When an integral counts as known: to `absolute` plus `relative` times its modulus.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accuracy {
    pub absolute: f64,
    pub relative: f64,
}

/// Halvings of a panel.
const DEPTH: usize = 40;

/// ∫ f from a to b: Simpson's rule on `panels` ≥ 1 equal panels, each halved until two of its approximations agree (at most
/// [`DEPTH`] times: a jump or an integrable singularity costs some hundred evaluations). f must be finite wherever it is `Ok`.
///
/// # Errors
/// The first one of f.
pub(crate) fn integrate<E>(
    f: impl Fn(f64) -> Result<f64, E>,
    (a, b): (f64, f64),
    panels: usize,
    accuracy: Accuracy,
) -> Result<f64, E> {
    if a == b {
        return Ok(0.0);
    }
    let width = (b - a) / panels as f64;
    let mut sum = 0.0f64;
    // Panels still to do: start, width, values at both ends and in the middle, depth.
    let mut open = vec![];
    for panel in 0..panels {
        let start = a + panel as f64 * width;
        let values = [f(start)?, f(start + 0.5 * width)?, f(start + width)?];
        open.push((start, width, values, 0));
        while let Some((start, width, [f0, f1, f2], depth)) = open.pop() {
            let left = f(start + 0.25 * width)?;
            let right = f(start + 0.75 * width)?;
            let whole = width / 6.0 * (f0 + 4.0 * f1 + f2);
            let halves = width / 12.0 * (f0 + 4.0 * left + 2.0 * f1 + 4.0 * right + f2);
            let size = halves.abs() + sum.abs();
            let allowed = accuracy.absolute + accuracy.relative * size;
            if depth == DEPTH || (halves - whole).abs() <= allowed * (width / (b - a)).abs() {
                sum += halves + (halves - whole) / 15.0;
            } else {
                let half = 0.5 * width;
                open.push((start + half, half, [f1, right, f2], depth + 1));
                open.push((start, half, [f0, left, f1], depth + 1));
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const FINE: Accuracy = Accuracy {
        absolute: 1e-12,
        relative: 0.0,
    };

    fn of(f: impl Fn(f64) -> f64, a: f64, b: f64) -> f64 {
        let f = |x: f64| Ok::<f64, Infallible>(f(x));
        integrate(f, (a, b), 4, FINE).unwrap_or_else(|e| match e {})
    }

    #[test]
    fn integrals_in_closed_form() {
        assert!((of(f64::exp, 0.0, 2.0) - (2f64.exp() - 1.0)).abs() < 1e-11);
        assert!((of(f64::exp, 2.0, 0.0) + (2f64.exp() - 1.0)).abs() < 1e-11);
        assert!((of(|x| (30.0 * x).cos(), 0.0, 1.0) - 30f64.sin() / 30.0).abs() < 1e-11);
        // A jump and a singularity.
        assert!((of(|x| f64::from(x > 0.3), 0.0, 1.0) - 0.7).abs() < 1e-10);
        let root = |x: f64| if x > 0.0 { x.sqrt().recip() } else { 0.0 };
        assert!((of(root, 0.0, 1.0) - 2.0).abs() < 1e-5);
        assert_eq!(of(|_| 1.0, 1.0, 1.0), 0.0);
        let failing = |x: f64| if x > 0.5 { Err(x) } else { Ok(x) };
        assert_eq!(integrate(failing, (0.0, 1.0), 1, FINE), Err(1.0));
    }
}
