//! Losses with a manifold of minimizers, and Φ in closed form where there is one.

use nalgebra::{DMatrix, DVector};
use slowsde::landscape::Formula;
use slowsde::real::Real;

fn c<R: Real>(v: f64) -> R {
    R::constant(v)
}

/// L = ¼(‖x‖² − 1)²; Φ(x) = x/‖x‖.
pub struct Sphere(pub usize);

impl Formula for Sphere {
    fn dimension(&self) -> usize {
        self.0
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        let r = x.iter().fold(c(-1.0), |s: R, &x| x.mul_add(x, s));
        c::<R>(0.25) * r * r
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        let r = x.iter().fold(c(-1.0), |s: R, &x| x.mul_add(x, s));
        for (g, &x) in g.iter_mut().zip(x) {
            *g = r * x;
        }
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let r = x.iter().fold(c(-1.0), |s: R, &x| x.mul_add(x, s));
        for i in 0..x.len() {
            for j in 0..x.len() {
                let twice = c::<R>(2.0) * x[i] * x[j];
                h[i * x.len() + j] = if i == j { twice + r } else { twice };
            }
        }
    }
    /// ∂_abc L = 2(δ_ab x_c + δ_ac x_b + δ_bc x_a).
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let d = x.len();
        let trace = (0..d).fold(c(0.0), |s: R, i| s + m[i * d + i]);
        for a in 0..d {
            let mx = (0..d).fold(c(0.0), |s: R, b| s + m[a * d + b] * x[b]);
            out[a] = c::<R>(4.0) * mx + c::<R>(2.0) * trace * x[a];
        }
    }
}

/// L = ½(αx² + βy² − 1)²; the flow conserves |x|^β/|y|^α.
pub struct Ellipse(pub f64, pub f64);

impl Formula for Ellipse {
    fn dimension(&self) -> usize {
        2
    }
    fn value<R: Real>(&self, p: &[R]) -> R {
        let r = c::<R>(self.0) * p[0] * p[0] + c::<R>(self.1) * p[1] * p[1] - c(1.0);
        c::<R>(0.5) * r * r
    }
    fn gradient<R: Real>(&self, p: &[R], g: &mut [R]) {
        let (a, b) = (c::<R>(self.0) * p[0], c::<R>(self.1) * p[1]);
        let r = c::<R>(2.0) * (a * p[0] + b * p[1] - c(1.0));
        g[0] = r * a;
        g[1] = r * b;
    }
    fn hessian<R: Real>(&self, p: &[R], h: &mut [R]) {
        let (a, b) = (c::<R>(self.0) * p[0], c::<R>(self.1) * p[1]);
        let r = c::<R>(2.0) * (a * p[0] + b * p[1] - c(1.0));
        let four = c::<R>(4.0);
        h[0] = four * a * a + r * c(self.0);
        h[1] = four * a * b;
        h[2] = h[1];
        h[3] = four * b * b + r * c(self.1);
    }
    fn third_contraction<R: Real>(&self, p: &[R], m: &[R], out: &mut [R]) {
        // q = αx² + βy² − 1, L = q²/2: ∂_abc = Σ q_ab q_c over the three pairings, q_ab = 2 diag(α, β).
        let (a, b) = (c::<R>(self.0), c::<R>(self.1));
        let two = c::<R>(2.0);
        let q = [two * a * p[0], two * b * p[1]];
        let trace = two * (a * m[0] + b * m[3]);
        let mq = [m[0] * q[0] + m[1] * q[1], m[2] * q[0] + m[3] * q[1]];
        out[0] = trace * q[0] + two * two * a * mq[0];
        out[1] = trace * q[1] + two * two * b * mq[1];
    }
}

/// L = ½ Σᵢ μᵢ e^{κu²} vᵢ² with x = (u, v): d = 1 + number of μ. Φ(x) = (u e^{−κ‖v‖²/2}, 0), whatever the μ are equal to.
pub struct ExponentialValley {
    pub kappa: f64,
}

/// The steepness a(u) of a valley ½a(u)v² with a = 1 + u²: 2 ln u + u² − v² is conserved.
pub struct QuadraticValley;

/// a, a′, a″, a‴ with L = ½a(u)v².
fn valley<R: Real>(a: [R; 4], v: R, g: Option<&mut [R]>, h: Option<&mut [R]>) -> R {
    let half = c::<R>(0.5);
    if let Some(g) = g {
        g[0] = half * a[1] * v * v;
        g[1] = a[0] * v;
    }
    if let Some(h) = h {
        h[0] = half * a[2] * v * v;
        h[1] = a[1] * v;
        h[2] = a[1] * v;
        h[3] = a[0];
    }
    half * a[0] * v * v
}

fn valley_third<R: Real>(a: [R; 4], v: R, m: &[R], out: &mut [R]) {
    let half = c::<R>(0.5);
    let off = m[1] + m[2];
    out[0] = half * a[3] * v * v * m[0] + a[2] * v * off + a[1] * m[3];
    out[1] = a[2] * v * m[0] + a[1] * off;
}

macro_rules! valley_formula {
    ($name:ty) => {
        impl Formula for $name {
            fn dimension(&self) -> usize {
                2
            }
            fn value<R: Real>(&self, x: &[R]) -> R {
                valley(self.steepness(x[0]), x[1], None, None)
            }
            fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
                valley(self.steepness(x[0]), x[1], Some(g), None);
            }
            fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
                valley(self.steepness(x[0]), x[1], None, Some(h));
            }
            fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
                valley_third(self.steepness(x[0]), x[1], m, out);
            }
        }
    };
}
valley_formula!(ExponentialValley);
valley_formula!(QuadraticValley);

impl ExponentialValley {
    fn steepness<R: Real>(&self, u: R) -> [R; 4] {
        let k = self.kappa;
        let a = (c::<R>(k) * u * u).exp();
        let two = c::<R>(2.0 * k);
        let first = two * u * a;
        let second = two * (a + u * first);
        [a, first, second, two * (first + first + u * second)]
    }
}

impl QuadraticValley {
    fn steepness<R: Real>(&self, u: R) -> [R; 4] {
        [c::<R>(1.0) + u * u, c::<R>(2.0) * u, c(2.0), c(0.0)]
    }
}

/// L = (1/2n) Σᵢ rᵢ², rᵢ = ⟨aᵢ, x⟩ + ½⟨bᵢ, x⟩² − yᵢ: a curved Γ of codimension n in any dimension, with a spread spectrum.
pub struct Bent {
    pub a: DMatrix<f64>,
    pub b: DMatrix<f64>,
    pub y: Vec<f64>,
}

impl Bent {
    /// n samples in d dimensions; row i has length `ratio`^{−i/(2n)}: the condition number of H is about `ratio`.
    pub fn new(n: usize, d: usize, ratio: f64) -> Bent {
        // The phase is quadratic: shifted sine waves would span two dimensions only.
        let wave = |i: usize, j: usize, k: f64| {
            let m = (i * d + j) as f64;
            (1.7 + k * m * (1.0 + 0.061803 * m)).sin()
        };
        let scale = |i: usize| ratio.powf(-(i as f64) / (2.0 * n as f64));
        let norm = 1.0 / (d as f64).sqrt();
        Bent {
            a: DMatrix::from_fn(n, d, |i, j| scale(i) * wave(i, j, 1.37) * norm * 3.0),
            b: DMatrix::from_fn(n, d, |i, j| scale(i) * wave(i, j, 2.11) * norm),
            y: (0..n).map(|i| scale(i) * wave(i, 3, 0.77)).collect(),
        }
    }

    fn rows<R: Real>(&self, x: &[R], mut each: impl FnMut(usize, R, R)) {
        let (n, d) = self.a.shape();
        let (a, b) = (self.a.as_slice(), self.b.as_slice());
        for i in 0..n {
            let (mut s, mut t) = (c::<R>(-self.y[i]), c::<R>(0.0));
            for j in 0..d {
                s = c::<R>(a[j * n + i]).mul_add(x[j], s);
                t = c::<R>(b[j * n + i]).mul_add(x[j], t);
            }
            each(i, s + c::<R>(0.5) * t * t, t);
        }
    }

    fn share<R: Real>(&self) -> R {
        c(1.0 / self.y.len() as f64)
    }
}

impl Formula for Bent {
    fn dimension(&self) -> usize {
        self.a.ncols()
    }
    fn value<R: Real>(&self, x: &[R]) -> R {
        let mut sum = c::<R>(0.0);
        self.rows(x, |_, r, _| sum = r.mul_add(r, sum));
        c::<R>(0.5) * self.share() * sum
    }
    fn gradient<R: Real>(&self, x: &[R], g: &mut [R]) {
        g.fill(c(0.0));
        self.rows(x, |i, r, t| {
            let r = r * self.share();
            for (j, g) in g.iter_mut().enumerate() {
                *g = *g + r * (c::<R>(self.a[(i, j)]) + t * c(self.b[(i, j)]));
            }
        });
    }
    fn hessian<R: Real>(&self, x: &[R], h: &mut [R]) {
        let d = x.len();
        h.fill(c(0.0));
        self.rows(x, |i, r, t| {
            let (r, share) = (r * self.share(), self.share::<R>());
            let slope = |j: usize| c::<R>(self.a[(i, j)]) + t * c(self.b[(i, j)]);
            for k in 0..d {
                let (s, bend) = (slope(k) * share, r * c(self.b[(i, k)]));
                for j in 0..d {
                    h[k * d + j] = h[k * d + j] + s * slope(j) + bend * c(self.b[(i, j)]);
                }
            }
        });
    }
    fn third_contraction<R: Real>(&self, x: &[R], m: &[R], out: &mut [R]) {
        let d = x.len();
        out.fill(c(0.0));
        self.rows(x, |i, _, t| {
            let slope = |j: usize| c::<R>(self.a[(i, j)]) + t * c(self.b[(i, j)]);
            let (mut bmb, mut bms) = (c::<R>(0.0), c::<R>(0.0));
            for k in 0..d {
                let (mut mb, mut ms) = (c::<R>(0.0), c::<R>(0.0));
                for j in 0..d {
                    mb = mb + m[k * d + j] * c(self.b[(i, j)]);
                    ms = ms + m[k * d + j] * slope(j);
                }
                bmb = bmb + mb * c(self.b[(i, k)]);
                bms = bms + ms * c(self.b[(i, k)]);
            }
            let share = self.share::<R>();
            for (j, out) in out.iter_mut().enumerate() {
                *out = *out + share * (c::<R>(2.0) * c(self.b[(i, j)]) * bms + slope(j) * bmb);
            }
        });
    }
}

pub fn vector(x: &[f64]) -> DVector<f64> {
    DVector::from_column_slice(x)
}

/// Closed forms of Φ.
pub mod exact {
    use super::*;

    /// (eˢ, e⁻ˢ) with s = ½ asinh(q/2), q = x² − y², on the branch of x + y.
    pub fn hyperbola(x: &DVector<f64>) -> DVector<f64> {
        let s = 0.5 * (0.5 * (x[0] - x[1]) * (x[0] + x[1])).asinh();
        vector(&[s.exp(), (-s).exp()]) * (x[0] + x[1]).signum()
    }

    pub fn sphere(x: &DVector<f64>) -> DVector<f64> {
        x / x.norm()
    }

    /// v² − (2/κ) ln u is conserved.
    pub fn exponential_valley(x: &DVector<f64>, kappa: f64) -> DVector<f64> {
        vector(&[x[0] * (-0.5 * kappa * x[1] * x[1]).exp(), 0.0])
    }

    /// u²  e^{u²} = u₀² e^{u₀² − v₀²}: Newton on w + ln w with w = u².
    pub fn quadratic_valley(x: &DVector<f64>) -> DVector<f64> {
        let target = 2.0 * x[0].abs().ln() + x[0] * x[0] - x[1] * x[1];
        let mut log = target.min(0.0);
        for _ in 0..100 {
            let w = log.exp();
            log -= (w + log - target) / (w + 1.0);
        }
        vector(&[(0.5 * log).exp() * x[0].signum(), 0.0])
    }

    /// αx² + βy² = 1 and β ln|x| − α ln|y| conserved: bisection on x² = s/α, y² = (1 − s)/β.
    pub fn ellipse(p: &DVector<f64>, a: f64, b: f64) -> DVector<f64> {
        let target = b * p[0].abs().ln() - a * p[1].abs().ln();
        // In s/(1 − s) = e^z, so that both coordinates keep their relative accuracy.
        let coordinates = |z: f64| {
            let log_s = -(-z).exp().ln_1p();
            let log_rest = -z.exp().ln_1p();
            (0.5 * (log_s - a.ln()), 0.5 * (log_rest - b.ln()))
        };
        let (mut low, mut high) = (-100.0, 100.0);
        for _ in 0..200 {
            let z = 0.5 * (low + high);
            let (x, y) = coordinates(z);
            if b * x - a * y < target {
                low = z;
            } else {
                high = z;
            }
        }
        let (x, y) = coordinates(0.5 * (low + high));
        vector(&[x.exp() * p[0].signum(), y.exp() * p[1].signum()])
    }
}
