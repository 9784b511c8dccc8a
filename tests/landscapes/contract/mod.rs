//! The contract of a landscape: every derivative, lane path and per-sample view agrees with every other.
//!
//! [`check_contract`] takes any [`Formula`], as a [`Checked`], and returns what is wrong with it. Derivatives are compared with exact
//! automatic differentiation of the next lower one, so that an error in any of them shows up; nothing is differenced
//! except model outputs, which only the caller of [`check_outputs`] knows.

pub mod projection;

use num_dual::{Dual64, DualNum};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use slowsde::landscape::{
    Coefficients, DerivativeError, FiniteSum, Formula, Landscape, Residuals, broadcast,
    check_derivatives as check_differences, lane_of,
};
use slowsde::real::{LANES, Lanes, Real};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Rounding allowed, relative to the scale of a point (see [`scale`]): 4096 units in the last place, 9e-13.
///
/// Both sides of every comparison are finite formulas evaluated in double precision. A sum of N terms of size one has a
/// rounding error of about √N ε, at most Nε; here N ≤ n·d ≤ 2e4 and the typical error is some 100 ε. The lane functions
/// add a few ε each. A wrong formula is off by a share of order one of one entry: on the points of this suite, whose
/// entries are of order one, at least 1e9 times more than what is allowed.
const ROUNDING: f64 = 4096.0 * f64::EPSILON;

/// A number with a derivative along one direction: [`Real`] on num-dual's dual numbers.
#[derive(Clone, Copy, Debug)]
pub struct Ad(Dual64);

macro_rules! arithmetic {
    ($($trait:ident $name:ident $op:tt),*) => {$(
        impl $trait for Ad {
            type Output = Ad;
            fn $name(self, other: Ad) -> Ad {
                Ad(self.0 $op other.0)
            }
        }
    )*};
}
arithmetic!(Add add +, Sub sub -, Mul mul *, Div div /);

impl Neg for Ad {
    type Output = Ad;
    fn neg(self) -> Ad {
        Ad(-self.0)
    }
}

impl Real for Ad {
    fn constant(c: f64) -> Ad {
        Ad(Dual64::from_re(c))
    }
    fn mul_add(self, a: Ad, b: Ad) -> Ad {
        self * a + b
    }
    fn exp(self) -> Ad {
        Ad(self.0.exp())
    }
    fn ln(self) -> Ad {
        Ad(self.0.ln())
    }
    fn sqrt(self) -> Ad {
        Ad(self.0.sqrt())
    }
    fn sin(self) -> Ad {
        Ad(self.0.sin())
    }
    fn cos(self) -> Ad {
        Ad(self.0.cos())
    }
    fn tanh(self) -> Ad {
        Ad(self.0.tanh())
    }
    fn softplus(self) -> Ad {
        // The derivative of log(1 + eˣ) is 1/(1 + e⁻ˣ), written down here and not taken from the library under test.
        let x = self.0.re;
        let value = x.max(0.0) + (-x.abs()).exp().ln_1p();
        Ad(Dual64::new(value, self.0.eps / (1.0 + (-x).exp())))
    }
}

/// `x` with a unit derivative in coordinate `along`.
fn seeded(x: &[f64], along: usize) -> Vec<Ad> {
    let derivative = |i| if i == along { 1.0 } else { 0.0 };
    x.iter()
        .enumerate()
        .map(|(i, &x)| Ad(Dual64::new(x, derivative(i))))
        .collect()
}

fn constants(x: &[f64]) -> Vec<Ad> {
    x.iter().map(|&x| Ad::constant(x)).collect()
}

/// Uniform numbers in (−1, 1).
fn uniform(random: &mut Xoshiro256PlusPlus, length: usize) -> Vec<f64> {
    (0..length)
        .map(|_| (random.next_u64() >> 11) as f64 * 2.0 / (1u64 << 53) as f64 - 1.0)
        .collect()
}

/// `count` points with entries uniform in (−`radius`, `radius`).
pub fn points(seed: u64, count: usize, d: usize, radius: f64) -> Vec<Vec<f64>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count)
        .map(|_| uniform(&mut random, d).iter().map(|u| radius * u).collect())
        .collect()
}

/// A symmetric matrix with entries in (−1, 1), row by row.
fn symmetric(random: &mut Xoshiro256PlusPlus, d: usize) -> Vec<f64> {
    let a = uniform(random, d * d);
    (0..d * d)
        .map(|k| 0.5 * (a[k] + a[(k % d) * d + k / d]))
        .collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Refuses the first entry where the two differ by more than `tolerance`; NaN differs from everything.
fn compare(what: &str, found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "{what}: {} entries, expected {}",
            found.len(),
            expected.len()
        ));
    }
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let close = (f - e).abs() <= tolerance;
        if !close {
            return Err(format!(
                "{what}: entry {i} is {f:e}, expected {e:e} (difference {:.1e}, allowed {tolerance:.1e})",
                (f - e).abs()
            ));
        }
    }
    Ok(())
}

/// A [`Formula`] on the numbers of the checks, as a trait object: compiled once, not once for every formula.
pub trait Checked: Landscape {
    /// All that the formula says about one point, with ∂²(∇L)\[`m`\].
    fn derivatives(&self, x: &[f64], m: &[f64]) -> Derivatives;
    fn value(&self, x: &[Ad]) -> Ad;
    fn gradient(&self, x: &[Ad], g: &mut [Ad]);
    fn hessian(&self, x: &[Ad], h: &mut [Ad]);
    /// tr ∇²L on doubles and on a lane.
    fn traces(&self, x: &[f64]) -> [f64; 2];
    /// What users have: differences.
    fn differences(&self, x: &[f64]) -> Result<(), DerivativeError>;
}

impl<F: Formula> Checked for F {
    fn derivatives(&self, x: &[f64], m: &[f64]) -> Derivatives {
        let d = x.len();
        let mut all = Derivatives {
            value: Formula::value(self, x),
            gradient: vec![f64::NAN; d],
            hessian: vec![f64::NAN; d * d],
            third: vec![f64::NAN; d],
        };
        Formula::gradient(self, x, &mut all.gradient);
        Formula::hessian(self, x, &mut all.hessian);
        Formula::third_contraction(self, x, m, &mut all.third);
        all
    }
    fn value(&self, x: &[Ad]) -> Ad {
        Formula::value(self, x)
    }
    fn gradient(&self, x: &[Ad], g: &mut [Ad]) {
        Formula::gradient(self, x, g);
    }
    fn hessian(&self, x: &[Ad], h: &mut [Ad]) {
        Formula::hessian(self, x, h);
    }
    fn traces(&self, x: &[f64]) -> [f64; 2] {
        let lanes = Formula::trace_hessian(self, &broadcast(x));
        [Formula::trace_hessian(self, x), lanes.to_array()[5]]
    }
    fn differences(&self, x: &[f64]) -> Result<(), DerivativeError> {
        check_differences(self, x)
    }
}

/// All that a formula says about one point, in double precision. Outputs start as NaN: they must be overwritten.
pub struct Derivatives {
    value: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
    third: Vec<f64>,
}

impl Derivatives {
    /// The size of the numbers that enter: all derivatives, and what a relative perturbation of x changes in them (a
    /// backward-stable evaluation is exact for an x perturbed by a few units in the last place).
    fn scale(&self, x: &[f64]) -> f64 {
        let size = self.value.abs()
            + largest(&self.gradient)
            + largest(&self.hessian)
            + largest(&self.third);
        (1.0 + size) * (1.0 + x.iter().map(|x| x.abs()).sum::<f64>())
    }
}

/// Checks `formula` at `points` (each of length d, entries of order one; at least one point).
///
/// # Errors
/// The first disagreement: what, where, and by how much.
pub fn check_contract(
    name: &str,
    formula: &dyn Checked,
    points: &[Vec<f64>],
) -> Result<(), String> {
    let named = |error: String| format!("{name}: {error}");
    if points.is_empty() {
        return Err(named("no points to check".into()));
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for (k, x) in points.iter().enumerate() {
        let at = |error: String| named(format!("point {k}: {error}"));
        check_derivatives(formula, x, &mut random).map_err(at)?;
        check_quadratic_form(formula, x).map_err(at)?;
        if let Some(residuals) = formula.residuals() {
            check_residuals(formula, residuals, x, &mut random).map_err(at)?;
        }
    }
    check_lanes(formula, points).map_err(named)?;
    // Differences cannot judge every random function, and cost 16d Hessians.
    if points[0].len() <= 32 {
        match formula.differences(&points[0]) {
            Ok(()) | Err(DerivativeError::Unsettled { .. }) => (),
            Err(error) => return Err(named(format!("differences: {error}"))),
        }
    }
    if let Some(sum) = formula.finite_sum() {
        for (k, x) in points.iter().enumerate() {
            check_finite_sum(formula, sum, x, &mut random)
                .map_err(|error| named(format!("point {k}: {error}")))?;
        }
        check_sum_lanes(sum, points).map_err(named)?;
    }
    Ok(())
}

/// L, ∇L and ∇²L from the residuals; the curvatures ∇²fᵢ one by one against differences of ∇fᵢ.
fn check_residuals(
    formula: &dyn Checked,
    residuals: &dyn Residuals,
    x: &[f64],
    random: &mut Xoshiro256PlusPlus,
) -> Result<(), String> {
    let (d, n) = (x.len(), residuals.count());
    if n >= d {
        return Err(format!("{n} residuals of {d} parameters"));
    }
    let full = formula.derivatives(x, &vec![0.0; d * d]);
    let tolerance = ROUNDING * full.scale(x) * d as f64;
    let (mut r, mut again) = (vec![f64::NAN; n], vec![f64::NAN; n]);
    let mut j = vec![f64::NAN; n * d];
    residuals.jacobian(x, &mut r, &mut j);
    residuals.residuals(x, &mut again);
    compare(
        "residuals, with and without gradients",
        &again,
        &r,
        tolerance,
    )?;
    let share = 1.0 / n as f64;
    let value = 0.5 * share * r.iter().map(|r| r * r).sum::<f64>();
    compare("L of the residuals", &[value], &[full.value], tolerance)?;
    let combine = |weights: &[f64]| -> Vec<f64> {
        let entry = |a: usize| (0..n).map(|i| share * weights[i] * j[i * d + a]).sum();
        (0..d).map(entry).collect()
    };
    compare(
        "∇L of the residuals",
        &combine(&r),
        &full.gradient,
        tolerance,
    )?;

    let v = uniform(random, d);
    let along: Vec<f64> = j
        .chunks(d)
        .map(|g| g.iter().zip(&v).map(|(g, v)| g * v).sum())
        .collect();
    let scaled: Vec<f64> = r
        .iter()
        .flat_map(|r| v.iter().map(move |v| r * v))
        .collect();
    let mut bent = vec![f64::NAN; d];
    residuals.curvature(x, &scaled, &mut bent);
    let found: Vec<f64> = combine(&along)
        .iter()
        .zip(&bent)
        .map(|(a, b)| a + share * b)
        .collect();
    let expected: Vec<f64> = full
        .hessian
        .chunks(d)
        .map(|row| row.iter().zip(&v).map(|(h, v)| h * v).sum())
        .collect();
    compare("∇²L v of the residuals", &found, &expected, tolerance)?;

    // Another vector for every residual. One Richardson step, as in `check_outputs`.
    let all = uniform(random, n * d);
    residuals.curvature(x, &all, &mut bent);
    let difference = |i: usize, h: f64| -> Vec<f64> {
        let at = |h: f64| {
            let moved: Vec<f64> = (0..d).map(|a| x[a] + h * all[i * d + a]).collect();
            let (mut r, mut j) = (vec![f64::NAN; n], vec![f64::NAN; n * d]);
            residuals.jacobian(&moved, &mut r, &mut j);
            j[i * d..(i + 1) * d].to_vec()
        };
        let (plus, minus) = (at(h), at(-h));
        (0..d).map(|a| (plus[a] - minus[a]) / (2.0 * h)).collect()
    };
    let h = 0.1 * f64::EPSILON.powf(0.2);
    let mut expected = vec![0.0; d];
    for i in 0..n {
        let (fine, coarse) = (difference(i, h), difference(i, 2.0 * h));
        for a in 0..d {
            expected[a] += (4.0 * fine[a] - coarse[a]) / 3.0;
        }
    }
    let size = largest(&j) * n as f64 * d as f64;
    compare("Σ ∇²fᵢ vᵢ", &bent, &expected, 1e-9 * (1.0 + size))
}

/// Gradient against value, Hessian against gradient, third contraction against Hessian; symmetry; linearity in M.
fn check_derivatives(
    formula: &dyn Checked,
    x: &[f64],
    random: &mut Xoshiro256PlusPlus,
) -> Result<(), String> {
    let d = formula.dimension();
    if x.len() != d {
        return Err(format!(
            "the point has {} entries, the dimension is {d}",
            x.len()
        ));
    }
    let (m, other) = (symmetric(random, d), symmetric(random, d));
    let found = formula.derivatives(x, &m);
    let tolerance = ROUNDING * found.scale(x);

    let (mut gradient, mut hessian, mut third) = (vec![0.0; d], vec![0.0; d * d], vec![0.0; d]);
    for a in 0..d {
        let x = seeded(x, a);
        gradient[a] = formula.value(&x).0.eps;
        let mut g = constants(&vec![f64::NAN; d]);
        formula.gradient(&x, &mut g);
        for (b, g) in g.iter().enumerate() {
            hessian[a * d + b] = g.0.eps;
        }
        let mut h = constants(&vec![f64::NAN; d * d]);
        formula.hessian(&x, &mut h);
        // Σ_bc ∂_a H_bc M_bc.
        third[a] = h.iter().zip(&m).map(|(h, m)| h.0.eps * m).sum();
    }
    compare("gradient", &found.gradient, &gradient, tolerance)?;
    compare("Hessian", &found.hessian, &hessian, tolerance)?;
    let trace: f64 = found.hessian.iter().step_by(d + 1).sum();
    compare(
        "trace of the Hessian",
        &formula.traces(x),
        &[trace; 2],
        d as f64 * tolerance,
    )?;
    // M has d² entries below one: at most d² rounding errors more.
    let third_tolerance = tolerance * (d * d) as f64;
    compare("third contraction", &found.third, &third, third_tolerance)?;

    let transposed: Vec<f64> = (0..d * d)
        .map(|k| found.hessian[(k % d) * d + k / d])
        .collect();
    // Exactly: solvers read one triangle only.
    compare(
        "Hessian against its transpose",
        &found.hessian,
        &transposed,
        0.0,
    )?;

    let combined: Vec<f64> = m
        .iter()
        .zip(&other)
        .map(|(m, o)| 2.0 * m - 3.0 * o)
        .collect();
    let second = formula.derivatives(x, &other).third;
    let expected: Vec<f64> = found
        .third
        .iter()
        .zip(&second)
        .map(|(m, o)| 2.0 * m - 3.0 * o)
        .collect();
    let linear = formula.derivatives(x, &combined).third;
    // Factors 2 and 3: five times the size.
    compare(
        "third contraction, linearity in M",
        &linear,
        &expected,
        5.0 * third_tolerance,
    )
}

/// L(x) = ½(x−x*)ᵀA(x−x*) + c and ∇L(x) = A(x−x*), where promised.
fn check_quadratic_form(formula: &dyn Checked, x: &[f64]) -> Result<(), String> {
    let d = x.len();
    let Some(form) = formula.quadratic_form() else {
        return Ok(());
    };
    let found = formula.derivatives(x, &vec![0.0; d * d]);
    let u = nalgebra::DVector::from_column_slice(x) - &form.center;
    let gradient = &form.hessian * &u;
    let value = 0.5 * u.dot(&gradient) + form.offset;
    // x − x* is evaluated at the scale of both, and squared; the value at the scale of the offset too.
    let size = 1.0 + form.center.amax();
    let tolerance = ROUNDING * (found.scale(x) + form.offset.abs()) * size * size * d as f64;
    compare("quadratic form, value", &[value], &[found.value], tolerance)?;
    compare(
        "quadratic form, gradient",
        gradient.as_slice(),
        &found.gradient,
        tolerance,
    )?;
    compare(
        "quadratic form, A",
        form.hessian.as_slice(),
        &found.hessian,
        tolerance,
    )
}

/// Groups of lanes, each lane at another of the points.
fn lane_points(points: &[Vec<f64>], groups: usize) -> Vec<Lanes> {
    let d = points[0].len();
    let mut x = Vec::new();
    for group in 0..groups {
        for i in 0..d {
            let point = |lane| &points[(group * LANES + lane) % points.len()];
            x.push(Lanes::new(std::array::from_fn(|lane| point(lane)[i])));
        }
    }
    x
}

/// `values` and `gradients` of several groups against the scalar path, then [`check_steps`].
fn check_lanes(formula: &dyn Checked, points: &[Vec<f64>]) -> Result<(), String> {
    const GROUPS: usize = 3;
    let d = formula.dimension();
    let x = lane_points(points, GROUPS);
    let mut values = vec![Lanes::splat(f64::NAN); GROUPS];
    let mut gradients = vec![Lanes::splat(f64::NAN); GROUPS * d];
    formula.values(&x, &mut values);
    formula.gradients(&x, &mut gradients);
    for group in 0..GROUPS {
        for lane in 0..LANES {
            let point = &points[(group * LANES + lane) % points.len()];
            let scalar = formula.derivatives(point, &vec![0.0; d * d]);
            let tolerance = ROUNDING * scalar.scale(point);
            let place = |what: &str| format!("{what} on lanes, group {group}, lane {lane}");
            let value = values[group].to_array()[lane];
            compare(&place("value"), &[value], &[scalar.value], tolerance)?;
            let g = lane_of(&gradients[group * d..(group + 1) * d], lane);
            compare(&place("gradient"), &g, &scalar.gradient, tolerance)?;
        }
    }
    check_steps(formula, points)
}

/// `descend` against `gradients` and [`Coefficients::apply`]: the same operations in the same order, hence the same bits.
pub fn check_steps(landscape: &dyn Landscape, points: &[Vec<f64>]) -> Result<(), String> {
    const GROUPS: usize = 3;
    let d = landscape.dimension();
    let x0 = lane_points(points, GROUPS);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let lanes = |random: &mut Xoshiro256PlusPlus| -> Vec<Lanes> {
        (0..GROUPS * d)
            .map(|_| Lanes::new(std::array::from_fn(|_| uniform(random, 1)[0])))
            .collect()
    };
    let (noise, m0) = (lanes(&mut random), lanes(&mut random));
    let mut g = vec![Lanes::splat(f64::NAN); GROUPS * d];
    landscape.gradients(&x0, &mut g);
    for (g, &v) in g.iter_mut().zip(&noise) {
        *g += v;
    }
    let momentum = Coefficients {
        decay: 0.75,
        gain: 0.3,
        rate: 0.05,
    };
    for (what, step, m0) in [
        (
            "descend without momentum",
            Coefficients::sgd(0.05),
            &m0[..0],
        ),
        ("descend with momentum", momentum, &m0[..]),
    ] {
        let (mut x, mut m) = (x0.clone(), m0.to_vec());
        let mut scratch = vec![Lanes::splat(f64::NAN); d];
        landscape.descend(step, &noise, &mut x, &mut m, &mut scratch);
        let (mut expected_x, mut expected_m) = (x0.clone(), m0.to_vec());
        step.apply(&g, &mut expected_x, &mut expected_m);
        for lane in 0..LANES {
            let (x, expected) = (lane_of(&x, lane), lane_of(&expected_x, lane));
            compare(&format!("{what}, x, lane {lane}"), &x, &expected, 0.0)?;
            let (m, expected) = (lane_of(&m, lane), lane_of(&expected_m, lane));
            compare(&format!("{what}, m, lane {lane}"), &m, &expected, 0.0)?;
        }
    }
    Ok(())
}

/// The per-sample view against the loss, and its methods against each other.
fn check_finite_sum(
    formula: &dyn Checked,
    sum: &dyn FiniteSum,
    x: &[f64],
    random: &mut Xoshiro256PlusPlus,
) -> Result<(), String> {
    let (d, n) = (x.len(), sum.samples());
    if n == 0 {
        return Err("finite sum: no samples".into());
    }
    let full = formula.derivatives(x, &vec![0.0; d * d]);
    let lanes = broadcast(x);
    let nan = || vec![Lanes::splat(f64::NAN); d];

    // Every sample alone; lane l asks for sample i + l, so that lanes must not mix.
    let mut each = vec![Vec::new(); n];
    let mut g = nan();
    for i in (0..n).step_by(LANES) {
        let index = Lanes::new(std::array::from_fn(|lane| ((i + lane) % n) as f64));
        sum.minibatch_gradient(&lanes, &[index], &mut g);
        for lane in 0..LANES.min(n - i) {
            each[i + lane] = lane_of(&g, lane);
        }
    }
    // Sample gradients can be far larger than their mean.
    let size = each.iter().map(|g| largest(g)).fold(0.0, f64::max);
    let tolerance = ROUNDING * (full.scale(x) + size);
    let mean: Vec<f64> = (0..d)
        .map(|a| each.iter().map(|g| g[a]).sum::<f64>() / n as f64)
        .collect();
    compare(
        "mean of all single-sample gradients",
        &mean,
        &full.gradient,
        tolerance,
    )?;

    let batch: Vec<Lanes> = (0..5)
        .map(|_| {
            Lanes::new(std::array::from_fn(|_| {
                (random.next_u64() % n as u64) as f64
            }))
        })
        .collect();
    sum.minibatch_gradient(&lanes, &batch, &mut g);
    for lane in 0..LANES {
        let expected: Vec<f64> = (0..d)
            .map(|a| {
                let members = batch.iter().map(|i| each[i.to_array()[lane] as usize][a]);
                members.sum::<f64>() / batch.len() as f64
            })
            .collect();
        let what = format!("minibatch of 5, lane {lane}");
        compare(&what, &lane_of(&g, lane), &expected, tolerance)?;
    }

    let mut expected = vec![0.0; d * d];
    for g in &each {
        for (k, entry) in expected.iter_mut().enumerate() {
            *entry += (g[k / d] - mean[k / d]) * (g[k % d] - mean[k % d]) / n as f64;
        }
    }
    let mut covariance = vec![Lanes::splat(f64::NAN); d * d];
    let mut scratch = vec![Lanes::splat(f64::NAN); 2 * d];
    sum.gradient_covariance(&lanes, &mut covariance, &mut scratch);
    // A product of two deviations, each known to `tolerance` and of size at most 2 `size`.
    let squared = tolerance * (1.0 + 4.0 * size);
    for lane in [0, LANES - 1] {
        let found = lane_of(&covariance, lane);
        compare(
            "covariance of the sample gradients",
            &found,
            &expected,
            squared,
        )?;
    }

    // Different weights in every lane.
    let weights: Vec<Vec<f64>> = (0..LANES).map(|_| uniform(random, n)).collect();
    let weight_lanes: Vec<Lanes> = (0..n)
        .map(|i| Lanes::new(std::array::from_fn(|lane| weights[lane][i])))
        .collect();
    let mut out = nan();
    sum.output_combination(&lanes, &weight_lanes, &mut out);
    if let Some(factor) = sum.constant_output_gradients() {
        if factor.shape() != (d, n) {
            return Err(format!(
                "output gradients: {:?}, expected {:?}",
                factor.shape(),
                (d, n)
            ));
        }
        for (lane, weights) in weights.iter().enumerate() {
            let expected = &factor * nalgebra::DVector::from_column_slice(weights);
            let tolerance = ROUNDING * (1.0 + n as f64 * factor.amax());
            let what = "output combination against the constant output gradients";
            compare(what, &lane_of(&out, lane), expected.as_slice(), tolerance)?;
        }
    }
    Ok(())
}

/// The per-sample view with another point in every lane against one point at a time: the same bits, since lanes are
/// independent.
fn check_sum_lanes(sum: &dyn FiniteSum, points: &[Vec<f64>]) -> Result<(), String> {
    let (d, n) = (points[0].len(), sum.samples());
    let indices: Vec<Lanes> = (0..3)
        .map(|b| Lanes::splat(((2 * b + 1) % n) as f64))
        .collect();
    let weights: Vec<Lanes> = (0..n).map(|i| Lanes::splat(1.0 / (1 + i) as f64)).collect();
    let all = |x: &[Lanes]| {
        let mut out = vec![Lanes::splat(f64::NAN); 2 * d + d * d];
        let (g, rest) = out.split_at_mut(d);
        let (combination, covariance) = rest.split_at_mut(d);
        sum.minibatch_gradient(x, &indices, g);
        sum.output_combination(x, &weights, combination);
        let mut scratch = vec![Lanes::splat(f64::NAN); 2 * d];
        sum.gradient_covariance(x, covariance, &mut scratch);
        out
    };
    let together = all(&lane_points(points, 1));
    for lane in 0..LANES {
        let alone = lane_of(&all(&broadcast(&points[lane % points.len()])), 0);
        let what = format!("finite sum with another point in every lane, lane {lane}");
        compare(&what, &lane_of(&together, lane), &alone, 0.0)?;
    }
    Ok(())
}

/// `output_combination` against central differences of (1/n) Σᵢ wᵢ fᵢ, for the model outputs `output(x, i)`.
///
/// One Richardson step: with h = ε^{1/5} the truncation h⁴ and the rounding ε/h of a smooth function of order one are
/// both ε^{4/5} ≈ 3e-13; 1e-10 of the size leaves room for fifth derivatives of some hundreds.
pub fn check_outputs(
    name: &str,
    sum: &dyn FiniteSum,
    points: &[Vec<f64>],
    output: &dyn Fn(&[f64], usize) -> f64,
) -> Result<(), String> {
    let n = sum.samples();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    for x in points {
        let weights = uniform(&mut random, n);
        let combined = |x: &[f64]| -> (f64, f64) {
            let terms = weights.iter().enumerate().map(|(i, w)| w * output(x, i));
            let (sum, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()));
            (sum / n as f64, size / n as f64)
        };
        let mut out = vec![Lanes::splat(f64::NAN); x.len()];
        sum.output_combination(&broadcast(x), &broadcast(&weights), &mut out);
        let h = f64::EPSILON.powf(0.2);
        let difference = |a: usize, h: f64| {
            let moved = |h: f64| {
                let mut x = x.clone();
                x[a] += h;
                combined(&x).0
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        };
        let expected: Vec<f64> = (0..x.len())
            .map(|a| (4.0 * difference(a, h) - difference(a, 2.0 * h)) / 3.0)
            .collect();
        let tolerance = 1e-10 * (1.0 + combined(x).1);
        let what = format!("{name}: output combination against differences");
        compare(&what, &lane_of(&out, 3), &expected, tolerance)?;
    }
    Ok(())
}
