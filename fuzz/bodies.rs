//! What is fuzzed: no input makes the program panic, overflow its stack or run for long.
//!
//! Both the fuzz targets beside this file and `tests/texts/fuzz.rs` run these functions.

use slowsde::expression::{ExpressionError, Function, Scope};
use slowsde::landscape::{Expression, Landscape};
use slowsde::oracle::{EntryLaw, ExpressionNoise, Noise};
use slowsde::real::Lanes;
use slowsde::scenario::{DataFolder, Overrides, Profile, Scenario};

/// The names that an expression may use: 5 parameters, a constant and a data column.
fn scope() -> Scope {
    let mut scope = Scope::new(&["x", "y", "w[1..3]"]).unwrap_or_default();
    let declared = scope.constant("a", 2.0).and_then(|()| scope.column("s"));
    assert_eq!((declared, scope.dimension()), (Ok(()), 5));
    scope
}

/// A message has a place in the text that was given, whatever is in that text.
fn is_told(text: &str, error: &ExpressionError) {
    let shown = error.to_string();
    assert!(shown.contains(&error.message) && !error.message.is_empty());
    let (line, column) = error.place();
    assert!(line >= 1 && column >= 1 && line <= text.lines().count().max(1) + 1);
    assert!(error.text.is_empty() || (error.text == text && error.span.end <= text.len()));
}

/// The text as an expression: it is refused with a place, or its value and all derivatives can be computed. Also as a residual, as an
/// entry of a noise factor, and as the declaration of a parameter.
pub fn expression(text: &str) {
    let scope = scope();
    match Function::parse(text, &scope) {
        Err(error) => is_told(text, &error),
        Ok(f) => {
            let (x, m) = ([0.3, -0.7, 1.0, 0.0, 2.0], [0.5; 25]);
            let value = f.value(&x, |_| 0.5);
            let (mut entries, mut third) = (0, [0.0; 5]);
            f.gradient(&x, |_| 0.5, |_, _| entries += 1);
            f.product(&x, |_| 0.5, &x, |_, _| entries += 1);
            f.hessian(&x, |_| 0.5, |_, _, _| entries += 1);
            f.add_third(&x, |_| 0.5, 1.0, &m, &mut third);
            f.trace(&x, |_| 0.5);
            assert_eq!(entries, 5 + 5 + 15);
            // Eight paths to an instruction are as finite as one, but for numbers that overflow on the way.
            let lanes = f.value(&x.map(Lanes::splat), |_| Lanes::splat(0.5));
            let lane = lanes.to_array()[7];
            let close = (lane - value).abs() <= 1e-6 * (1.0 + value.abs());
            assert!(
                close
                    || !value.is_finite()
                    || !lane.is_finite()
                    || value.abs() > 1e100
                    || wild(text)
            );
        }
    }
    let no_data = Scope::new(&["x", "y", "w[1..3]"]).unwrap_or_default();
    match Expression::of_residuals(&[text.to_string(), "x - 1".into()], &no_data) {
        Err((index, error)) => {
            assert_eq!(index, 0);
            is_told(text, &error);
        }
        Ok(loss) => {
            let mut g = [0.0; 5];
            loss.gradient_at(&[0.3, -0.7, 1.0, 0.0, 2.0], &mut g);
        }
    }
    let rows = vec![vec![text.to_string()]; 5];
    match ExpressionNoise::new(&rows, EntryLaw::Gaussian, &no_data) {
        Err((row, column, error)) => {
            assert_eq!((row, column), (0, 0));
            is_told(text, &error);
        }
        Ok(noise) => {
            let mut v = [Lanes::ZERO; 5];
            noise.diffuse(1.0, &[Lanes::ONE; 5], &[Lanes::ONE], &mut v, &mut []);
        }
    }
    if let Err((index, error)) = Scope::new(&[text]) {
        assert_eq!(index, 0);
        is_told(text, &error);
    }
}

/// Functions that magnify rounding without bound: sines of huge numbers, and powers.
fn wild(text: &str) -> bool {
    ["sin", "cos", "exp", "^"].iter().any(|f| text.contains(f))
}

/// The text as a scenario, at a profile that depends on it: it is refused with a message, or accepted.
pub fn scenario(text: &str) -> Option<Scenario> {
    let profiles = [Profile::Smoke, Profile::Quick, Profile::Full];
    let profile = profiles[text.len() % 3];
    let overrides = Overrides::default();
    match Scenario::parse(
        text,
        "fuzz.toml",
        "fuzz",
        DataFolder::Bundled,
        profile,
        &overrides,
    ) {
        Ok(scenario) => {
            assert!(!scenario.comparisons.is_empty() && !scenario.run.etas.is_empty());
            assert_eq!(scenario.x0.len(), scenario.oracle.landscape.dimension());
            Some(scenario)
        }
        Err(error) => {
            assert!(error.to_string().contains("fuzz.toml"), "{error}");
            None
        }
    }
}
