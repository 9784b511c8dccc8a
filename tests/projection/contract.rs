//! The contract of a projection onto Γ, for any map that claims to be Φ.

use nalgebra::{DMatrix, DVector};
use slowsde::landscape::Landscape;
use slowsde::projection::{Covariance, Projector, Settings, Tangent, Tolerance};

pub type Map<'a> = &'a dyn Fn(&DVector<f64>) -> Result<DVector<f64>, String>;

/// Allowed, relative to 1 + ‖x‖: the tight tolerance is 1e-11, closed forms are wanted to 1e-10.
const EQUAL: f64 = 1e-10;

/// Step of the differences. Fourth order: the truncation is ε⁴ = 1e-10 times fifth (sixth) derivatives, rounding 1e-12/ε = 3e-10 in
/// first and 1e-12/ε² = 1e-7 in second differences.
const EPSILON: f64 = 3e-3;
const FIRST: f64 = 2e-6;
const SECOND: f64 = 5e-5;

pub fn tight() -> Settings {
    Settings {
        tolerance: Tolerance::TIGHT,
        ..Settings::default()
    }
}

pub fn phi<'a>(
    landscape: &'a dyn Landscape,
) -> impl Fn(&DVector<f64>) -> Result<DVector<f64>, String> + 'a {
    let projector = Projector::new(landscape, tight());
    move |x| {
        let landing = projector.land(x).map_err(|e| e.to_string())?;
        Ok(landing.point)
    }
}

fn gradient(landscape: &dyn Landscape, x: &DVector<f64>) -> DVector<f64> {
    let mut g = DVector::zeros(x.len());
    landscape.gradient_at(x.as_slice(), g.as_mut_slice());
    g
}

/// The flow for time t by classical Runge–Kutta steps: knows nothing of the crate's integrators.
fn flow(landscape: &dyn Landscape, x: &DVector<f64>, t: f64) -> DVector<f64> {
    let stiffness = landscape.jet(x).hessian.amax() * x.len().min(10) as f64;
    let n = (t * stiffness * 60.0).ceil().clamp(100.0, 20_000.0);
    let h = t / n;
    let mut x = x.clone();
    for _ in 0..n as usize {
        let k1 = -gradient(landscape, &x);
        let k2 = -gradient(landscape, &(&x + &k1 * (0.5 * h)));
        let k3 = -gradient(landscape, &(&x + &k2 * (0.5 * h)));
        let k4 = -gradient(landscape, &(&x + &k3 * h));
        x += (k1 + (k2 + k3) * 2.0 + k4) * (h / 6.0);
    }
    x
}

/// Fourth-order central differences of Φ at x along v: first and second derivative.
pub fn differences(
    phi: Map,
    x: &DVector<f64>,
    v: &DVector<f64>,
) -> Result<(DVector<f64>, DVector<f64>), String> {
    let at = |k: f64| phi(&(x + v * (k * EPSILON)));
    let (a, b, c, d) = (at(-2.0)?, at(-1.0)?, at(1.0)?, at(2.0)?);
    let first = ((&c - &b) * 8.0 - (&d - &a)) / (12.0 * EPSILON);
    let middle = phi(x)?;
    let second = ((&b + &c) * 16.0 - (&a + &d) - middle * 30.0) / (12.0 * EPSILON * EPSILON);
    Ok((first, second))
}

fn compare(
    what: &str,
    got: &DVector<f64>,
    want: &DVector<f64>,
    allowed: f64,
) -> Result<(), String> {
    let error = (got - want).norm();
    // Written so that NaN fails.
    if error <= allowed {
        Ok(())
    } else {
        Err(format!("{what}: off by {error:.3e}, allowed {allowed:.1e}"))
    }
}

/// Whether `phi` is the gradient-flow projection of the loss, on the flows from `starts`.
pub fn check_map(
    landscape: &dyn Landscape,
    phi: Map,
    starts: &[DVector<f64>],
) -> Result<(), String> {
    for x in starts {
        let size = 1.0 + x.norm();
        let end = phi(x)?;
        let slope = gradient(landscape, &end).norm();
        let curvature = landscape.jet(&end).hessian.norm();
        if slope.is_nan() || slope > 1e-13 * curvature * size {
            return Err(format!("not on Γ from {x}: gradient norm {slope:.3e}"));
        }
        compare("Φ∘Φ = Φ", &phi(&end)?, &end, EQUAL * size)?;
        let time = 1.0 / curvature;
        for t in [0.1, 0.5, 2.0] {
            let later = phi(&flow(landscape, x, t * time))?;
            compare(
                "Φ constant along the flow",
                &later,
                &end,
                3.0 * EQUAL * size,
            )?;
        }
        let g = gradient(landscape, x);
        if g.norm() > 0.0 {
            let (along, _) = differences(phi, x, &g.normalize())?;
            compare(
                "∂Φ(x)∇L(x) = 0",
                &along,
                &DVector::zeros(x.len()),
                1e-5 * size,
            )?;
        }
    }
    Ok(())
}

/// The derivatives of the crate against differences of its Φ.
pub fn check_derivatives(
    landscape: &dyn Landscape,
    starts: &[DVector<f64>],
    factor: &DMatrix<f64>,
) -> Result<(), String> {
    let phi = phi(landscape);
    let projector = Projector::new(landscape, tight());
    for x in starts {
        let scale = 1.0 + x.norm();
        // Off Γ.
        let g = gradient(landscape, x);
        let mut directions = factor.clone().insert_column(0, 0.0);
        directions.set_column(0, &g);
        let (landing, derivative) = projector
            .derivative(x, &directions)
            .map_err(|e| e.to_string())?;
        let plain = phi(x)?;
        compare(
            "Φ of both integrations",
            &landing.point,
            &plain,
            EQUAL * scale,
        )?;
        compare(
            "∂Φ(x)∇L(x) = 0 (variational)",
            &derivative.column(0).into_owned(),
            &DVector::zeros(x.len()),
            1e-9 * (scale + g.norm()),
        )?;
        for (r, b) in factor.column_iter().enumerate() {
            let (first, _) = differences(&phi, x, &b.into_owned())?;
            let got = derivative.column(1 + r).into_owned();
            compare(
                "∂Φ off Γ",
                &got,
                &first,
                FIRST * scale * (1.0 + first.norm()),
            )?;
        }
        // On Γ.
        let tangent = Tangent::new(landscape, &landing.point).map_err(|e| e.to_string())?;
        let mut sum = DVector::zeros(x.len());
        for b in factor.column_iter() {
            let b = b.into_owned();
            let (first, second) = differences(&phi, &landing.point, &b)?;
            compare(
                "∂Φ = P on Γ",
                &first,
                &tangent.project_vector(&b),
                FIRST * scale,
            )?;
            sum += second;
        }
        let got = tangent.second_derivative(landscape, Covariance::Factor(factor));
        compare("∂²Φ[S]", &got, &sum, SECOND * (1.0 + sum.norm()) * scale)?;
        let s = factor * factor.transpose();
        let dense = tangent.second_derivative(landscape, Covariance::Dense(&s));
        compare("∂²Φ[S], dense", &dense, &got, 1e-11 * (1.0 + got.norm()))?;
        check_frame(landscape, &tangent)?;
        check_label_noise(landscape, &tangent)?;
    }
    Ok(())
}

fn check_frame(landscape: &dyn Landscape, tangent: &Tangent) -> Result<(), String> {
    let d = landscape.dimension();
    let (p, basis) = (tangent.projection(), tangent.basis());
    let h = landscape.jet(tangent.point()).hessian;
    let small = |what: &str, m: DMatrix<f64>, size: f64| {
        let error = m.amax();
        if error <= 1e-9 * size {
            Ok(())
        } else {
            Err(format!("{what}: {error:.3e}"))
        }
    };
    small("P² = P", &p * &p - &p, 1.0)?;
    small("HP = 0", &h * &p, h.amax())?;
    small(
        "I − HH† = P",
        DMatrix::identity(d, d) - tangent.pseudo_inverse(&h) - &p,
        1.0,
    )?;
    small(
        "tangent basis: TTᵀ = P",
        &basis * basis.transpose() - &p,
        1.0,
    )?;
    let s = DMatrix::from_fn(d, d, |i, j| {
        ((i + j) as f64).cos() + (i * j) as f64 / (d * d) as f64
    });
    let x = tangent.lyapunov(Covariance::Dense(&s));
    let q = DMatrix::identity(d, d) - &p;
    small("HX + XH = QSQ", &h * &x + &x * &h - &q * s * &q, d as f64)
}

/// ½∂²Φ[cH] = −¼P∇tr(cH), with ∇tr(H) = ∂²(∇L)[I].
fn check_label_noise(landscape: &dyn Landscape, tangent: &Tangent) -> Result<(), String> {
    let d = landscape.dimension();
    let c = 0.3;
    let h = landscape.jet(tangent.point()).hessian * c;
    let drift = tangent.second_derivative(landscape, Covariance::Dense(&h)) * 0.5;
    let trace = landscape.third(tangent.point(), &DMatrix::identity(d, d)) * c;
    let want = tangent.project_vector(&trace) * -0.25;
    compare("label noise", &drift, &want, 1e-9 * (1.0 + trace.norm()))
}
