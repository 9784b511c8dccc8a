//! Test functions h: the panel on which weak errors are measured (Def. 4.4).

use super::departures::Departure;
use super::momentum::MomentumFunction;
use super::turbulence::Way;
use crate::expression::{ExpressionError, Function, Scope, Values};
use crate::landscape::Landscape;
use crate::oracle::Oracle;
use crate::real::{Lanes, Real};
use nalgebra::{DMatrix, DVector};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// A smooth function of polynomial growth. Indices count from 0; they are written from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestFunction {
    /// xᵢ.
    Coordinate(usize),
    /// xᵢ².
    Square(usize),
    /// xᵢxⱼ.
    Product(usize, usize),
    /// xᵢ⁴.
    Fourth(usize),
    /// cos xᵢ.
    Cosine(usize),
    /// ‖x‖².
    SquaredNorm,
    /// L(x).
    Loss,
    /// tr ∇²L(x).
    TraceHessian,
    /// ‖∇L(x)‖².
    SquaredGradient,
    /// tr Σ(x) of the gradient noise at scale 1.
    TraceCovariance,
    /// ‖θ(x) − θ*‖/‖θ*‖ of the predictor to a planted truth; not smooth at the truth itself.
    Recovery,
    /// What a path did on its way, not where it is.
    Way(Way),
    /// What the raw iterate does around Φ(x), in Regime II.
    Departure(Departure),
    /// What its momentum says, too.
    Momentum(MomentumFunction),
    /// A function written as text.
    Expression(WrittenFunction),
}

/// A test function that is written as text. Equal texts in equal scopes are one function for the life of the program.
#[derive(Clone, Copy)]
pub struct WrittenFunction(&'static Written);

struct Written {
    text: String,
    scope: Scope,
    function: Values,
    /// With derivatives, where the second ones are the same everywhere.
    quadratic: Option<Function>,
}

/// Parameters up to which a written function is asked whether it is quadratic: that takes all its derivatives.
const MOST_ASKED: usize = 512;

impl WrittenFunction {
    fn new(text: &str, scope: &Scope) -> Result<WrittenFunction, ExpressionError> {
        static KNOWN: Mutex<Vec<&'static Written>> = Mutex::new(Vec::new());
        let function = Values::single(text, scope)?;
        let quadratic = (scope.dimension() <= MOST_ASKED)
            .then(|| Function::parse(text, scope))
            .transpose()?
            .filter(Function::is_quadratic);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.iter().find(|w| w.text == text && w.scope == *scope) {
            return Ok(WrittenFunction(same));
        }
        let written: &'static Written = Box::leak(Box::new(Written {
            text: text.to_string(),
            scope: scope.clone(),
            function,
            quadratic,
        }));
        known.push(written);
        Ok(WrittenFunction(written))
    }
}

impl WrittenFunction {
    /// E h(X) for X with the given mean and covariance, where these determine it: for quadratic h.
    pub fn expectation(self, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> Option<f64> {
        let h = self.0.quadratic.as_ref()?;
        let mut form = 0.0;
        h.hessian(
            mean.as_slice(),
            |_| 0.0,
            |a, b, value| {
                let share = if a == b { 0.5 } else { 1.0 };
                form += share * value * covariance[(a, b)];
            },
        );
        Some(h.value(mean.as_slice(), |_| 0.0) + form)
    }

    /// Mean and standard deviation of h(X) for a normal X, where h is affine and h(X) normal.
    pub fn normal_law(self, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> Option<(f64, f64)> {
        let h = self.0.quadratic.as_ref().filter(|h| h.is_affine())?;
        let mut gradient = DVector::zeros(mean.len());
        h.gradient(mean.as_slice(), |_| 0.0, |i, value| gradient[i] = value);
        let variance = gradient.dot(&(covariance * &gradient));
        Some((h.value(mean.as_slice(), |_| 0.0), variance.max(0.0).sqrt()))
    }
}

impl PartialEq for WrittenFunction {
    fn eq(&self, other: &WrittenFunction) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for WrittenFunction {}

impl Hash for WrittenFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Debug for WrittenFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.text)
    }
}

impl TestFunction {
    /// A function by its name, or an expression in the parameters of `scope`.
    ///
    /// # Errors
    /// The mistake in the expression.
    pub fn parse(text: &str, scope: &Scope) -> Result<TestFunction, ExpressionError> {
        match text.parse() {
            Ok(named) => Ok(named),
            Err(UnknownFunction) => WrittenFunction::new(text, scope).map(TestFunction::Expression),
        }
    }

    /// What h says of the way of a path, if it does.
    pub fn way(self) -> Option<Way> {
        match self {
            TestFunction::Way(way) => Some(way),
            _ => None,
        }
    }

    /// What h says of the raw iterate around Φ(x) in Regime II, if it does.
    pub fn departure(self) -> Option<Departure> {
        match self {
            TestFunction::Departure(departure) => Some(departure),
            TestFunction::Momentum(h) => h.departure(),
            _ => None,
        }
    }

    /// What h says of the momentum, if it does.
    pub fn momentum(self) -> Option<MomentumFunction> {
        match self {
            TestFunction::Momentum(h) => Some(h),
            _ => None,
        }
    }

    /// Whether h says more of a process than where its paths are: what they did on their way, or their momentum.
    pub fn is_of_process(self) -> bool {
        matches!(self, TestFunction::Way(_) | TestFunction::Momentum(_))
    }

    /// Whether h is a term of the descent lemma or what is left.
    pub fn is_balance(self) -> bool {
        self.way().is_some_and(Way::is_balance)
    }

    /// Entries of scratch that [`evaluate`](TestFunction::evaluate) needs.
    pub fn scratch(self, oracle: &Oracle) -> usize {
        let d = oracle.landscape.dimension();
        match self {
            TestFunction::SquaredGradient => d,
            TestFunction::Momentum(h) => h.scratch(d),
            TestFunction::TraceCovariance => oracle.noise.brownian() + d + oracle.noise.scratch(),
            _ => 0,
        }
    }

    /// h for every lane group of `x` into `out`; functions of the way have the value of paths that start at `x`, those of the momentum that
    /// of processes without one, and departures that of paths that rest at `x` ∈ Γ: all 0.
    pub fn evaluate(self, oracle: &Oracle, x: &[Lanes], out: &mut [Lanes], scratch: &mut [Lanes]) {
        let landscape = &*oracle.landscape;
        let d = landscape.dimension();
        let groups = x.chunks_exact(d).zip(out.iter_mut());
        match self {
            TestFunction::Coordinate(i) => groups.for_each(|(x, h)| *h = x[i]),
            TestFunction::Square(i) => groups.for_each(|(x, h)| *h = x[i] * x[i]),
            TestFunction::Product(i, j) => groups.for_each(|(x, h)| *h = x[i] * x[j]),
            TestFunction::Fourth(i) => groups.for_each(|(x, h)| *h = x[i].square().square()),
            TestFunction::Cosine(i) => groups.for_each(|(x, h)| *h = Real::cos(x[i])),
            TestFunction::SquaredNorm => groups.for_each(|(x, h)| *h = squared_norm(x)),
            TestFunction::Loss => landscape.values(x, out),
            TestFunction::TraceHessian => landscape.trace_hessians(x, out),
            TestFunction::SquaredGradient => groups.for_each(|(x, h)| {
                let gradient = &mut scratch[..d];
                landscape.gradients(x, gradient);
                *h = squared_norm(gradient);
            }),
            TestFunction::TraceCovariance => oracle.noise.traces(x, out, scratch),
            TestFunction::Recovery => landscape.recovery_errors(x, out),
            TestFunction::Way(_) | TestFunction::Departure(_) | TestFunction::Momentum(_) => {
                out.fill(Lanes::ZERO)
            }
            TestFunction::Expression(written) => {
                let function = &written.0.function;
                groups.for_each(|(x, h)| *h = function.number(x, |_| Lanes::ZERO));
            }
        }
    }

    /// Whether h is defined on this landscape: its coordinates exist, and so does the truth that it needs.
    pub fn available(self, landscape: &dyn Landscape) -> bool {
        match self {
            TestFunction::Recovery => landscape.plants_truth(),
            TestFunction::Expression(written) => {
                written.0.function.dimension() == landscape.dimension()
            }
            _ => self
                .last_coordinate()
                .is_none_or(|last| last < landscape.dimension()),
        }
    }

    /// The largest coordinate index that is used.
    pub fn last_coordinate(self) -> Option<usize> {
        match self {
            TestFunction::Coordinate(i)
            | TestFunction::Square(i)
            | TestFunction::Fourth(i)
            | TestFunction::Cosine(i) => Some(i),
            TestFunction::Product(i, j) => Some(i.max(j)),
            TestFunction::Way(way) => way.coordinate(),
            TestFunction::Departure(departure) => departure.coordinate(),
            TestFunction::Momentum(h) => h.coordinate(),
            TestFunction::SquaredNorm
            | TestFunction::Loss
            | TestFunction::TraceHessian
            | TestFunction::SquaredGradient
            | TestFunction::TraceCovariance
            | TestFunction::Recovery
            | TestFunction::Expression(_) => None,
        }
    }

    /// The default panel in dimension d: coordinates, squares, a product, a fourth power, a cosine and the loss.
    pub fn default_panel(dimension: usize) -> Vec<TestFunction> {
        let shown = dimension.min(2);
        let mut panel: Vec<_> = (0..shown).map(TestFunction::Coordinate).collect();
        panel.extend((0..shown).map(TestFunction::Square));
        if dimension > 1 {
            panel.push(TestFunction::Product(0, 1));
        }
        panel.push(TestFunction::Fourth(0));
        panel.push(TestFunction::Cosine(0));
        if dimension > 2 {
            panel.push(TestFunction::SquaredNorm);
        }
        panel.push(TestFunction::Loss);
        panel
    }

    /// The default panel on a manifold of minimizers, where the loss says nothing: coordinates, squares, a product and a cosine.
    pub fn slow_panel(dimension: usize) -> Vec<TestFunction> {
        let mut panel = TestFunction::default_panel(dimension);
        panel.retain(|h| !matches!(h, TestFunction::Loss | TestFunction::Fourth(_)));
        panel
    }
}

pub(super) fn squared_norm(x: &[Lanes]) -> Lanes {
    x.iter().fold(Lanes::ZERO, |s, &x| x.mul_add(x, s))
}

impl fmt::Display for TestFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TestFunction::Coordinate(i) => write!(f, "x[{}]", i + 1),
            TestFunction::Square(i) => write!(f, "x[{}]^2", i + 1),
            TestFunction::Product(i, j) => write!(f, "x[{}]*x[{}]", i + 1, j + 1),
            TestFunction::Fourth(i) => write!(f, "x[{}]^4", i + 1),
            TestFunction::Cosine(i) => write!(f, "cos(x[{}])", i + 1),
            TestFunction::SquaredNorm => write!(f, "norm2"),
            TestFunction::Loss => write!(f, "loss"),
            TestFunction::TraceHessian => write!(f, "trace_hessian"),
            TestFunction::SquaredGradient => write!(f, "gradient_norm2"),
            TestFunction::TraceCovariance => write!(f, "trace_covariance"),
            TestFunction::Recovery => write!(f, "recovery"),
            TestFunction::Way(way) => write!(f, "{way}"),
            TestFunction::Departure(departure) => write!(f, "{departure}"),
            TestFunction::Momentum(h) => write!(f, "{h}"),
            TestFunction::Expression(written) => write!(f, "{}", written.0.text),
        }
    }
}

/// i of `name[i]`, from 0.
pub(super) fn index_of(text: &str, name: &str) -> Option<usize> {
    let inner = text
        .strip_prefix(name)?
        .strip_prefix('[')?
        .strip_suffix(']')?;
    let digits = inner.bytes().all(|b| b.is_ascii_digit());
    inner
        .parse::<usize>()
        .ok()
        .filter(|_| digits)?
        .checked_sub(1)
}

/// The text is not a test function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a test function; allowed: x[i], x[i]^2, x[i]*x[j], x[i]^4, cos(x[i]), norm2, loss, trace_hessian, gradient_norm2, trace_covariance, recovery, step[i], step[i]^2, step[i]^4, path_length, variation(x[i]), variation(loss), descent, noise_induced, curvature_induced, descent_defect, momentum_norm2, momentum2, lag2, relative_lag2, gradient_lag2, relative_gradient_lag2, gradient_lag[i], distance2, fluctuation2, fluctuation[i]*fluctuation[j], excess_loss, normal_gradient2, momentum[i]*momentum[j], gradient_momentum, projected_gradient2, tangential_gradient2, projected_velocity[i], projected_velocity2, with i, j from 1"
)]
pub struct UnknownFunction;

impl FromStr for TestFunction {
    type Err = UnknownFunction;

    fn from_str(text: &str) -> Result<TestFunction, UnknownFunction> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if let Some(way) = Way::parse(&text) {
            return Ok(TestFunction::Way(way));
        }
        // First: `momentum2` and `lag2` are departures as well.
        if let Some(h) = MomentumFunction::parse(&text) {
            return Ok(TestFunction::Momentum(h));
        }
        if let Some(departure) = Departure::parse(&text) {
            return Ok(TestFunction::Departure(departure));
        }
        let index = |t: &str| index_of(t, "x").ok_or(UnknownFunction);
        match text.as_str() {
            "loss" => return Ok(TestFunction::Loss),
            "norm2" => return Ok(TestFunction::SquaredNorm),
            "trace_hessian" => return Ok(TestFunction::TraceHessian),
            "gradient_norm2" => return Ok(TestFunction::SquaredGradient),
            "trace_covariance" => return Ok(TestFunction::TraceCovariance),
            "recovery" => return Ok(TestFunction::Recovery),
            _ => {}
        }
        if let Some(inner) = text.strip_prefix("cos(").and_then(|t| t.strip_suffix(')')) {
            return Ok(TestFunction::Cosine(index(inner)?));
        }
        if let Some(base) = text.strip_suffix("^2") {
            return Ok(TestFunction::Square(index(base)?));
        }
        if let Some(base) = text.strip_suffix("^4") {
            return Ok(TestFunction::Fourth(index(base)?));
        }
        if let Some((a, b)) = text.split_once('*') {
            return Ok(TestFunction::Product(index(a)?, index(b)?));
        }
        Ok(TestFunction::Coordinate(index(&text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::{
        DesignLaw, DiagonalNetwork, Hyperbola, MatrixSensing, lane_of, set_lane,
    };
    use crate::oracle::{EntryLaw, Factor, FactorNoise};
    use crate::real::LANES;
    use nalgebra::DVector;
    use std::sync::Arc;

    /// An oracle with plain noise.
    fn oracle(landscape: Arc<dyn Landscape>) -> Oracle {
        let d = landscape.dimension();
        let noise = FactorNoise::new(Factor::Isotropic(0.5), EntryLaw::Gaussian, d);
        Oracle {
            landscape,
            noise: Arc::new(noise),
        }
    }

    #[test]
    fn names_round_trip() {
        for d in [1, 2, 7] {
            for h in TestFunction::default_panel(d) {
                assert_eq!(h.to_string().parse(), Ok(h));
            }
        }
        for (name, h) in [
            ("trace_hessian", TestFunction::TraceHessian),
            ("gradient_norm2", TestFunction::SquaredGradient),
            ("trace_covariance", TestFunction::TraceCovariance),
            ("recovery", TestFunction::Recovery),
        ] {
            assert_eq!(h.to_string(), name);
            assert_eq!(name.parse(), Ok(h));
            assert_eq!(h.last_coordinate(), None);
        }
        assert_eq!(" x[ 3 ] ^4".parse(), Ok(TestFunction::Fourth(2)));
        for wrong in [
            "",
            "x",
            "x[0]",
            "x[-1]",
            "x[1]^3",
            "sin(x[1])",
            "x[1]*",
            "x[99999999999999999999]",
            "x[+1]",
            "trace_hessian(x)",
            "Recovery",
        ] {
            assert_eq!(
                wrong.parse::<TestFunction>(),
                Err(UnknownFunction),
                "{wrong}"
            );
        }
    }

    /// A landscape without a truth has no recovery error, and coordinates beyond d do not exist.
    #[test]
    fn availability() -> Result<(), Box<dyn std::error::Error>> {
        let (network, truth) = DiagonalNetwork::sparse(6, 3, 1, DesignLaw::Gaussian, 8)?;
        let inputs = network.inputs();
        let plain = DiagonalNetwork::new(&inputs, network.targets().to_vec())?;
        assert_eq!(network.truth(), Some(truth.as_slice()));
        assert!(TestFunction::Recovery.available(&network));
        assert!(!TestFunction::Recovery.available(&plain));
        assert!(!TestFunction::Recovery.available(&Hyperbola));
        assert!(TestFunction::TraceHessian.available(&Hyperbola));
        assert!(TestFunction::Product(0, 1).available(&Hyperbola));
        assert!(!TestFunction::Product(0, 2).available(&Hyperbola));
        Ok(())
    }

    /// The recovery error is 0 at the truth and 1 at the origin; in between it is what its definition says, in every lane.
    #[test]
    fn recovery_errors() -> Result<(), Box<dyn std::error::Error>> {
        let (network, theta) = DiagonalNetwork::sparse(6, 3, 2, DesignLaw::Gaussian, 8)?;
        let positive = |sign: f64| theta.iter().map(move |t| (t * sign).max(0.0).sqrt());
        let at_truth: Vec<f64> = positive(1.0).chain(positive(-1.0)).collect();
        let (sensing, x_star) = MatrixSensing::gaussian(4, 2, 1, 5, 3)?;
        let eigen = x_star.clone().symmetric_eigen();
        let top = eigen.eigenvalues.imax();
        let root = eigen.eigenvectors.column(top) * eigen.eigenvalues[top].sqrt();
        let factor: Vec<f64> = root.iter().flat_map(|&u| [u, 0.0]).collect();
        type Definition<'a> = &'a dyn Fn(&[f64]) -> f64;
        let by_definition: [Definition; 2] = [
            &|x| {
                let found = DVector::from_vec(network.predictor(x));
                let theta = DVector::from_column_slice(&theta);
                (found - &theta).norm() / theta.norm()
            },
            &|x| (sensing.gram(x) - &x_star).norm() / x_star.norm(),
        ];
        let cases: [(Arc<dyn Landscape>, &[f64]); 2] = [
            (Arc::new(network.clone()), &at_truth),
            (Arc::new(sensing.clone()), &factor),
        ];
        for ((landscape, truth), definition) in cases.into_iter().zip(by_definition) {
            let d = truth.len();
            let mut x = vec![Lanes::ZERO; d];
            let scale = |lane: usize| lane as f64 / 2.0;
            for lane in 0..LANES {
                let scaled: Vec<f64> = truth.iter().map(|t| scale(lane) * t).collect();
                set_lane(&mut x, lane, &scaled);
            }
            let mut out = [Lanes::splat(f64::NAN)];
            TestFunction::Recovery.evaluate(&oracle(landscape), &x, &mut out, &mut []);
            for (lane, error) in out[0].to_array().into_iter().enumerate() {
                // θ is quadratic in x.
                let want = (scale(lane).powi(2) - 1.0).abs();
                assert!(
                    (error - want).abs() < 1e-13 * (1.0 + want),
                    "{lane}: {error}"
                );
                let want = definition(&lane_of(&x, lane));
                assert!(
                    (error - want).abs() < 1e-13 * (1.0 + want),
                    "{lane}: {error}"
                );
            }
        }
        let mut out = [Lanes::ZERO];
        let hyperbola = oracle(Arc::new(Hyperbola));
        TestFunction::Recovery.evaluate(&hyperbola, &[Lanes::ONE; 2], &mut out, &mut []);
        assert!(out[0].to_array().iter().all(|error| error.is_nan()));
        Ok(())
    }
}
