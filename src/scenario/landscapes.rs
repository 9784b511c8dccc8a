//! The landscape tables of a scenario file, from what is written to what is run.

use super::DataFolder;
use super::check::{MOST, Problem, matrix, problem};
use super::expressions::expression;
use super::raw::*;
use crate::landscape::*;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// Entries of the design of a seeded problem.
const MOST_ENTRIES: usize = 100_000_000;

fn too_large<T>(key: &str) -> Result<T, Problem> {
    problem(
        key,
        format!("is more than {MOST}, the largest that is allowed"),
    )
}

/// A mistake of a data file, at the key that it belongs to: a column by its name, the number of rows, or the file. `columns` are the
/// keys below `table` with the columns that they ask for.
pub(super) fn data_problem<T>(
    table: &str,
    columns: &[(String, &String)],
    error: DataError,
) -> Result<T, Problem> {
    let key = match &error {
        DataError::NoSuchColumn { column, .. }
        | DataError::RepeatedFeature { column, .. }
        | DataError::ConstantColumn { column, .. }
        | DataError::NotBinary { column, .. } => {
            let asked = columns.iter().rfind(|(_, name)| *name == column);
            asked.map(|(key, _)| format!("{table}.{key}"))
        }
        DataError::Rows { .. } => Some(format!("{table}.rows")),
        DataError::NoFeatures { .. } | DataError::Landscape { .. } => None,
        _ => Some(format!("{table}.file")),
    };
    problem(key.unwrap_or_else(|| table.to_string()), error.to_string())
}

/// The keys `target` and `features` with their columns.
fn asked<'a>(target: &'a String, features: &'a Option<Vec<String>>) -> Vec<(String, &'a String)> {
    let features = features.iter().flatten().enumerate();
    let features = features.map(|(i, name)| (format!("features[{}]", i + 1), name));
    std::iter::once(("target".to_string(), target))
        .chain(features)
        .collect()
}

/// The landscape that the table asks for, with its data from `data`.
pub(super) fn landscape(
    raw: &RawLandscape,
    data: DataFolder<'_>,
) -> Result<Arc<dyn Landscape>, Problem> {
    Ok(match raw {
        RawLandscape::Quadratic {
            spectrum,
            matrix: a,
            center,
        } => {
            let key = "landscape.quadratic";
            let quadratic = match (spectrum, a) {
                (Some(s), None) => Quadratic::from_spectrum(s)
                    .or_else(|e| problem(format!("{key}.spectrum"), e.to_string()))?,
                (None, Some(rows)) => {
                    let key = format!("{key}.matrix");
                    Quadratic::from_matrix(matrix(&key, rows)?)
                        .or_else(|e| problem(key, e.to_string()))?
                }
                _ => return problem(key, "needs exactly one of `spectrum` and `matrix`"),
            };
            match center {
                Some(c) => Arc::new(
                    quadratic
                        .with_center(c.clone())
                        .or_else(|e| problem(format!("{key}.center"), e.to_string()))?,
                ),
                None => Arc::new(quadratic),
            }
        }
        RawLandscape::DoubleWell {
            dimension: Some(d), ..
        } if *d > MOST => return too_large("landscape.double_well.dimension"),
        RawLandscape::Sphere { dimension } if *dimension > MOST => {
            return too_large("landscape.sphere.dimension");
        }
        RawLandscape::DoubleWell {
            dimension,
            curvature,
        } => Arc::new(
            DoubleWell::new(dimension.unwrap_or(1), curvature.unwrap_or(1.0))
                .or_else(|e| problem("landscape.double_well", e.to_string()))?,
        ),
        RawLandscape::Hyperbola {} => Arc::new(Hyperbola),
        RawLandscape::Expression(raw) => expression(raw, data)?,
        RawLandscape::Regression {
            loss,
            file,
            target,
            features,
            standardize,
            standardize_target,
            intercept,
            rows,
            ridge,
        } => {
            let key = "landscape.regression";
            let options = DataOptions {
                target: target.clone(),
                features: features.clone(),
                standardize: *standardize,
                standardize_target: *standardize_target,
                intercept: *intercept,
                rows: *rows,
            };
            let columns = asked(target, features);
            let data = data
                .read(file, options)
                .or_else(|e| data_problem(key, &columns, e))?;
            let loss = match loss {
                RawLoss::LeastSquares => RegressionLoss::LeastSquares,
                RawLoss::Logistic => RegressionLoss::Logistic,
            };
            Arc::new(
                data.into_regression(loss, *ridge)
                    .or_else(|e| data_problem(key, &columns, e))?,
            )
        }
        RawLandscape::LinearRegression {
            inputs,
            targets,
            ridge,
        } => {
            let key = "landscape.linear_regression";
            let rows = matrix(&format!("{key}.inputs"), inputs)?;
            Arc::new(
                Regression::new(rows, targets.clone(), RegressionLoss::LeastSquares, *ridge)
                    .or_else(|e| problem(key, e.to_string()))?,
            )
        }
        RawLandscape::Valley { steepness } => {
            let (key, steepness) = match steepness {
                RawSteepness::Exponential { kappa } => (
                    ".steepness.exponential.kappa",
                    Steepness::Exponential { kappa: *kappa },
                ),
                RawSteepness::Quadratic {} => ("", Steepness::Quadratic),
            };
            let key = format!("landscape.valley{key}");
            Arc::new(Valley::new(steepness).or_else(|e| problem(key, e.to_string()))?)
        }
        RawLandscape::Sphere { dimension } => Arc::new(
            Sphere::new(*dimension)
                .or_else(|e| problem("landscape.sphere.dimension", e.to_string()))?,
        ),
        RawLandscape::Ellipse { semi_axes } => Arc::new(
            Ellipse::new(semi_axes)
                .or_else(|e| problem("landscape.ellipse.semi_axes", e.to_string()))?,
        ),
        RawLandscape::DiagonalNetwork {
            inputs,
            targets,
            sparse,
        } => {
            let key = "landscape.diagonal_network";
            let network = match (inputs, targets, sparse) {
                (Some(rows), Some(targets), None) => {
                    let rows = matrix(&format!("{key}.inputs"), rows)?;
                    DiagonalNetwork::new(&rows, targets.clone())
                        .or_else(|e| problem(key, e.to_string()))?
                }
                (None, None, Some(raw)) => {
                    if raw.features.saturating_mul(raw.samples) > MOST_ENTRIES {
                        return problem(
                            format!("{key}.sparse"),
                            format!(
                                "features × samples is more than {MOST_ENTRIES}, the most that is allowed"
                            ),
                        );
                    }
                    let law = match raw.design {
                        RawDesign::Gaussian => DesignLaw::Gaussian,
                        RawDesign::Rademacher => DesignLaw::Rademacher,
                    };
                    DiagonalNetwork::sparse(raw.features, raw.samples, raw.support, law, raw.seed)
                        .or_else(|e| problem(format!("{key}.sparse"), e.to_string()))?
                        .0
                }
                _ => return problem(key, "needs either `inputs` and `targets`, or `sparse`"),
            };
            Arc::new(network)
        }
        RawLandscape::MatrixFactorization { factor } => {
            let key = "landscape.matrix_factorization.factor";
            Arc::new(
                MatrixFactorization::new(&matrix(key, factor)?)
                    .or_else(|e| problem(key, e.to_string()))?,
            )
        }
        RawLandscape::MatrixSensing { size, samples, .. }
            if size.saturating_mul(*size).saturating_mul(*samples) > MOST_ENTRIES =>
        {
            return problem(
                "landscape.matrix_sensing",
                format!("size² × samples is more than {MOST_ENTRIES}, the most that is allowed"),
            );
        }
        RawLandscape::MatrixSensing {
            size,
            columns,
            rank,
            samples,
            seed,
        } => Arc::new(
            MatrixSensing::gaussian(*size, columns.unwrap_or(*rank), *rank, *samples, *seed)
                .or_else(|e| problem("landscape.matrix_sensing", e.to_string()))?
                .0,
        ),
        RawLandscape::TwoLayerNetwork {
            file,
            target,
            features,
            standardize,
            standardize_target,
            rows,
            units,
            activation,
        } => {
            let key = "landscape.two_layer_network";
            let options = DataOptions {
                target: target.clone(),
                features: features.clone(),
                standardize: *standardize,
                standardize_target: *standardize_target,
                intercept: false,
                rows: *rows,
            };
            let activation = match activation {
                RawActivation::Tanh => Activation::Tanh,
                RawActivation::Softplus => Activation::Softplus,
            };
            Arc::new(
                data.read(file, options)
                    .and_then(|data| data.into_two_layer_network(*units, activation))
                    .or_else(|e| data_problem(key, &asked(target, features), e))?,
            )
        }
    })
}

/// A random point: independent normals of deviation `scale`. A function of the arguments alone.
/// x and `count` points around it, at about a tenth of 1 + max |xᵢ| in every coordinate: where what a scenario states is compared
/// with what the program computes.
pub(super) fn points_around(x: &[f64], count: u64) -> impl Iterator<Item = Vec<f64>> {
    let size = 0.1 * (1.0 + x.iter().fold(0.0, |m: f64, x| m.max(x.abs())));
    (0..=count).map(move |point| match point {
        0 => x.to_vec(),
        seed => {
            let step = random_point(x.len(), size, seed);
            x.iter().zip(step).map(|(x, s)| x + s).collect()
        }
    })
}

pub(super) fn random_point(dimension: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..dimension)
        .map(|_| {
            let normal: f64 = StandardNormal.sample(&mut random);
            scale * normal
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Profile, Scenario};
    use std::path::Path;

    /// A scenario with this landscape table, noise and start.
    fn scenario(landscape: &str, noise: &str, x0: &str) -> Result<Scenario, String> {
        let text = format!(
            "title = \"t\"\nclaim = \"Theorem 4.5\"\n{landscape}\n{noise}\n[start]\nx0 = {{ {x0} }}\n[run]\nhorizon = 1.0\nalphas = [0.5]\n\n[[compare]]\nleft = \"sgdm\"\nright = \"sgd\"\nexpect = \"consistent\"\n"
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let overrides = Overrides::default();
        Scenario::parse(
            &text,
            "t.toml",
            "t",
            folder.as_path(),
            Profile::Smoke,
            &overrides,
        )
        .map_err(|e| e.to_string())
    }

    const GAUSSIAN: &str = "[noise.gaussian]\nfactor = { isotropic = 0.5 }";
    const LABEL: &str = "[noise.label]\ndeviation = 0.1\nlaw = \"rademacher\"";
    const BATCH: &str = "[noise.minibatch]\nsize = 2";
    const DIABETES: &str = "[landscape.two_layer_network]\nfile = \"data/diabetes.csv\"\ntarget = \"progression\"\nstandardize_target = true";

    #[test]
    fn landscapes_with_a_manifold_are_accepted() {
        let network = format!("{DIABETES}\nrows = 30\nunits = 25\nactivation = \"tanh\"");
        let sums = [LABEL, BATCH, GAUSSIAN];
        for (landscape, noises, d) in [
            (
                "[landscape.valley.steepness.exponential]\nkappa = 0.5",
                &sums[2..],
                2,
            ),
            (
                "[landscape.valley]\nsteepness = { quadratic = {} }",
                &sums[2..],
                2,
            ),
            ("[landscape.sphere]\ndimension = 3", &sums[2..], 3),
            ("[landscape.ellipse]\nsemi_axes = [2.0, 1.0]", &sums[2..], 2),
            (
                "[landscape.diagonal_network.sparse]\nfeatures = 60\nsamples = 25\nsupport = 4\ndesign = \"gaussian\"\nseed = 1",
                &sums[..],
                120,
            ),
            (
                "[landscape.diagonal_network]\ninputs = [[1.0, 2.0]]\ntargets = [1.0]",
                &sums[..],
                4,
            ),
            (
                "[landscape.matrix_factorization]\nfactor = [[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]]",
                &sums[2..],
                6,
            ),
            (
                "[landscape.matrix_sensing]\nsize = 5\nrank = 2\nsamples = 7\nseed = 1",
                &sums[..],
                10,
            ),
            (&network, &sums[..], 300),
        ] {
            for noise in noises {
                match scenario(landscape, noise, "random = { scale = 0.5, seed = 3 }") {
                    Ok(s) => assert_eq!(s.x0.len(), d, "{landscape}"),
                    Err(e) => panic!("{landscape}: {e}"),
                }
            }
        }
    }

    /// The key, with its line, and what is allowed.
    #[test]
    fn mistakes_are_named() {
        let network = format!("{DIABETES}\nrows = 30\nunits = 2\nactivation = \"tanh\"");
        let typo = format!("{DIABETES}\nunits = 2\nactivation = \"relu\"");
        let start = "everywhere = 0.5";
        for (landscape, x0, expected) in [
            (
                "[landscape.valley.steepness.exponential]\nkappa = nan",
                start,
                "t.toml:4:1: `landscape.valley.steepness.exponential.kappa`: the exponent kappa of the valley is NaN, allowed: a finite number",
            ),
            (
                "[landscape.sphere]\ndimension = 1",
                start,
                "t.toml:4:1: `landscape.sphere.dimension`: ",
            ),
            (
                "[landscape.ellipse]\nsemi_axes = [1.0, -1.0]",
                start,
                "`landscape.ellipse.semi_axes`: a semi-axis",
            ),
            (
                "[landscape.diagonal_network]\ntargets = [1.0]",
                start,
                "`landscape.diagonal_network`: needs either `inputs` and `targets`, or `sparse`",
            ),
            (
                "[landscape.diagonal_network]\ninputs = [[1.0], [2.0]]\ntargets = [1.0, 2.0]",
                start,
                "2 samples for 1 features: needs fewer samples",
            ),
            (
                "[landscape.matrix_factorization]\nfactor = [[1.0, 1.0]]",
                start,
                "`landscape.matrix_factorization.factor`: the factor of the matrix to factorise must have full column rank",
            ),
            (
                "[landscape.matrix_sensing]\nsize = 4\ncolumns = 2\nrank = 1\nsamples = 9\nseed = 1",
                start,
                "`landscape.matrix_sensing`: 9 samples for 7 degrees of freedom",
            ),
            (
                &network,
                start,
                "30 samples for 24 parameters: needs fewer samples",
            ),
            (
                &typo,
                start,
                "unknown value `relu`; allowed: `tanh` or `softplus`",
            ),
            (
                "[landscape.sphere]\ndimension = 3",
                "random = { scale = 0.0, seed = 1 }",
                "`start.x0.random.scale`: is 0, but must be a finite number > 0",
            ),
        ] {
            match scenario(landscape, GAUSSIAN, x0) {
                Ok(_) => panic!("{landscape} was accepted"),
                Err(e) => assert!(e.contains(expected), "{e}\n  should contain\n{expected}"),
            }
        }
        let valley = "[landscape.valley]\nsteepness = { quadratic = {} }";
        let refused = scenario(valley, LABEL, start).err().unwrap_or_default();
        assert!(refused.contains("`noise.label`: needs a landscape that averages squared losses"));
    }
}
