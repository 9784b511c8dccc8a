//! On Γ: tangent and normal space, ∂Φ = P = I − HH†, ∂²Φ\[S\], and the coefficients of the slow SDE (4).

use super::spectrum::{Gap, SMALL, Spectrum};
use super::{ProjectionError, ROUNDING};
use crate::landscape::{Landscape, Residuals};
use nalgebra::{DMatrix, DVector};

/// Smallest ratio between the last normal and the first tangent eigenvalue that decides the rank.
pub const REQUIRED_GAP: f64 = 1e4;

/// The geometry of Γ at one of its points, from H = ∇²L there: H = U diag(μ) Uᵀ with U (d × M) spanning the normal space.
///
/// The rank M is read off the spectrum: it maximizes |μ_M| / max(|μ_{M+1}|, f) over M, where f = 8dε|μ₁| (at least 1e-13|μ₁|) is
/// the rounding level, and the ratio must reach [`REQUIRED_GAP`]. The point must lie on Γ to rounding, as those of
/// [`Projector::land`](super::Projector::land) do: at distance δ the tangent eigenvalues are of size δ.
#[derive(Clone, Debug)]
pub struct Tangent {
    point: DVector<f64>,
    normal: DMatrix<f64>,
    curvatures: DVector<f64>,
    gap: Gap,
    /// J, d × n, where H = JJᵀ/n.
    jacobian: Option<DMatrix<f64>>,
}

/// A symmetric positive semidefinite matrix S, d × d.
#[derive(Clone, Copy, Debug)]
pub enum Covariance<'a> {
    /// S itself, d × d (any symmetric matrix).
    Dense(&'a DMatrix<f64>),
    /// B with S = BBᵀ, d × r.
    Factor(&'a DMatrix<f64>),
}

/// The coefficients of the slow SDE (4) at a point of Γ: dX = `diffusion` dW + `drift` dt.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowCoefficients {
    /// ½λ²∂²Φ\[Σ\], length d: normal and tangential part together.
    pub drift: DVector<f64>,
    /// λ∂Φ B, d × r.
    pub diffusion: DMatrix<f64>,
}

/// Curvature, relative to the largest, below which Gram matrices are not trusted.
const FAINT: f64 = 1e-7;

/// All residuals and their gradients (d × n) at x.
pub(crate) fn linearize(
    residuals: &dyn Residuals,
    x: &DVector<f64>,
) -> (DVector<f64>, DMatrix<f64>) {
    let n = residuals.count();
    let (mut r, mut j) = (DVector::zeros(n), DMatrix::zeros(x.len(), n));
    residuals.jacobian(x.as_slice(), r.as_mut_slice(), j.as_mut_slice());
    (r, j)
}

/// The rounding level of eigenvalues, relative to the largest.
pub(super) fn level(d: usize) -> f64 {
    (8.0 * d as f64 * f64::EPSILON).max(ROUNDING)
}

impl Tangent {
    /// At `point`, which must lie on Γ. O(d³); for d > 24 O(dM²) if M < ⅔d, beside the Hessian, and O(dn²) without a Hessian for
    /// [`Residuals`] that vanish.
    ///
    /// # Errors
    /// No gap in the spectrum, a negative eigenvalue of normal size, or a wrong length.
    pub fn new(
        landscape: &dyn Landscape,
        point: &DVector<f64>,
    ) -> Result<Tangent, ProjectionError> {
        let d = landscape.dimension();
        if point.len() != d {
            return Err(ProjectionError::Length {
                expected: d,
                found: point.len(),
            });
        }
        if d > SMALL
            && let Some(tangent) = Tangent::interpolating(landscape, point)
        {
            return Ok(tangent);
        }
        let mut h = DMatrix::zeros(d, d);
        landscape.hessian_at(point.as_slice(), h.as_mut_slice());
        if h.iter().any(|v| !v.is_finite()) {
            return Err(ProjectionError::NotFinite);
        }
        Tangent::from_hessian(point, &h).map_err(|error| {
            let mut g = DVector::zeros(d);
            landscape.gradient_at(point.as_slice(), g.as_mut_slice());
            with_gradient_norm(error, g.norm())
        })
    }

    /// From the residuals, if they vanish at `point` and their gradients decide the rank beyond doubt.
    pub(super) fn interpolating(
        landscape: &dyn Landscape,
        point: &DVector<f64>,
    ) -> Option<Tangent> {
        let (r, jacobian) = linearize(landscape.residuals()?, point);
        let steepest = jacobian.column_iter().fold(0.0f64, |m, c| m.max(c.norm()));
        if r.amax() > 1e-11 * steepest * (1.0 + point.norm()) {
            return None;
        }
        let tangent = Tangent::gauss_newton(point, jacobian).ok()?;
        let (largest, smallest) = (tangent.curvatures.max(), tangent.curvatures.min());
        (smallest > FAINT * largest).then_some(tangent)
    }

    /// With JJᵀ/n in place of H: the geometry of the level set of the residuals through any point, on Γ and off it.
    pub(crate) fn gauss_newton(
        point: &DVector<f64>,
        jacobian: DMatrix<f64>,
    ) -> Result<Tangent, ProjectionError> {
        if jacobian.iter().any(|v| !v.is_finite()) {
            return Err(ProjectionError::NotFinite);
        }
        let spectrum = Spectrum::of_factor(&jacobian);
        let (rank, gap) = spectrum.split(level(point.len()), REQUIRED_GAP)?;
        Ok(Tangent {
            point: point.clone(),
            normal: spectrum.vectors.columns(0, rank).into_owned(),
            curvatures: DVector::from_column_slice(&spectrum.values[..rank]),
            gap,
            jacobian: Some(jacobian),
        })
    }

    pub(super) fn from_hessian(
        point: &DVector<f64>,
        h: &DMatrix<f64>,
    ) -> Result<Tangent, ProjectionError> {
        let level = level(h.nrows());
        let spectrum = Spectrum::new(h, level);
        let (rank, gap) = spectrum.split(level, REQUIRED_GAP)?;
        Ok(Tangent {
            point: point.clone(),
            normal: spectrum.vectors.columns(0, rank).into_owned(),
            curvatures: DVector::from_column_slice(&spectrum.values[..rank]),
            gap,
            jacobian: None,
        })
    }

    /// The point of Γ.
    pub fn point(&self) -> &DVector<f64> {
        &self.point
    }

    /// M = rank H; Γ has dimension d − M.
    pub fn rank(&self) -> usize {
        self.curvatures.len()
    }

    /// The gap that decided the rank.
    pub fn gap(&self) -> Gap {
        self.gap
    }

    /// The M positive eigenvalues of H, falling.
    pub fn curvatures(&self) -> &DVector<f64> {
        &self.curvatures
    }

    /// Orthonormal basis of the normal space, d × M: the eigenvectors to [`curvatures`](Tangent::curvatures).
    pub fn normal(&self) -> &DMatrix<f64> {
        &self.normal
    }

    /// An orthonormal basis of the tangent space, d × (d−M). O(d³).
    pub fn basis(&self) -> DMatrix<f64> {
        let (d, rank) = (self.point.len(), self.rank());
        // Householder reflections of (U, 0): their product is orthogonal and starts with ±U.
        let mut padded = DMatrix::zeros(d, d);
        padded.columns_mut(0, rank).copy_from(&self.normal);
        let q = padded.qr().q();
        // One more projection removes the rounding.
        self.project(&q.columns(rank, d - rank).into_owned())
    }

    /// P Y, column by column: the tangential part. O(dM) a column.
    pub fn project(&self, y: &DMatrix<f64>) -> DMatrix<f64> {
        y - &self.normal * self.normal.tr_mul(y)
    }

    /// P v.
    pub fn project_vector(&self, v: &DVector<f64>) -> DVector<f64> {
        v - &self.normal * self.normal.tr_mul(v)
    }

    /// P = ∂Φ = I − HH†, d × d.
    pub fn projection(&self) -> DMatrix<f64> {
        let d = self.point.len();
        DMatrix::identity(d, d) - &self.normal * self.normal.transpose()
    }

    /// H†Y, column by column.
    pub fn pseudo_inverse(&self, y: &DMatrix<f64>) -> DMatrix<f64> {
        let mut c = self.normal.tr_mul(y);
        for (mut row, &mu) in c.row_iter_mut().zip(self.curvatures.iter()) {
            row /= mu;
        }
        &self.normal * c
    }

    /// H†v.
    pub fn pseudo_solve(&self, v: &DVector<f64>) -> DVector<f64> {
        &self.normal * self.normal.tr_mul(v).component_div(&self.curvatures)
    }

    /// 𝓛_H^{-1}(QSQ): the X in the normal space with HX + XH = QSQ, Q = I − P. In the eigenbasis X_ij = S_ij/(μ_i + μ_j).
    pub fn lyapunov(&self, s: Covariance) -> DMatrix<f64> {
        let mut core = match s {
            Covariance::Dense(s) => self.normal.tr_mul(&(s * &self.normal)),
            Covariance::Factor(b) => {
                let c = self.normal.tr_mul(b);
                &c * c.transpose()
            }
        };
        self.divide(&mut core);
        &self.normal * core * self.normal.transpose()
    }

    /// ∂²Φ\[S\] = −H†∂²(∇L)\[S_∥\] − P(2∂²(∇L)\[H†S_⊥∥\] + ∂²(∇L)\[𝓛_H^{-1}(S_⊥)\]) (Li, Wang, Arora 2021, Theorem 4.6): length d.
    ///
    /// Two contractions of third derivatives with d × d matrices, one where PSP vanishes; memory O(d²).
    pub fn second_derivative(&self, landscape: &dyn Landscape, s: Covariance) -> DVector<f64> {
        // S_∥ = PSP.
        let parallel = match s {
            Covariance::Dense(s) => self.project(&self.project(s).transpose()),
            Covariance::Factor(b) => {
                let tangential = self.project(b);
                if tangential.amax() <= 1e-9 * b.amax() {
                    // Rounding squared.
                    return self.tangential(landscape, s);
                }
                &tangential * tangential.transpose()
            }
        };
        let tangential = self.tangential(landscape, s);
        let first = landscape.third(&self.point, &symmetric(parallel));
        tangential - self.pseudo_solve(&first)
    }

    /// P∂²Φ\[S\], the implicit regularization: one contraction, and none with a d × d matrix where the residuals vanish.
    pub fn tangential(&self, landscape: &dyn Landscape, s: Covariance) -> DVector<f64> {
        if let (Some(jacobian), Some(residuals)) = (&self.jacobian, landscape.residuals()) {
            return self.bend(residuals, jacobian, s);
        }
        // C = H†SP; its symmetric part is all that the contraction sees.
        let cross = match s {
            Covariance::Dense(s) => self.pseudo_inverse(&self.project(s).transpose()),
            Covariance::Factor(b) => self.pseudo_inverse(b) * self.project(b).transpose(),
        };
        let mut inner = self.lyapunov(s);
        inner += &cross;
        inner += cross.transpose();
        let second = landscape.third(&self.point, &symmetric(inner));
        -self.project_vector(&second)
    }

    /// P∂²Φ\[S\] where H = JJᵀ/n: the residuals vanish and so does P∇fᵢ, so that with M = 𝓛_H^{-1}(S_⊥) + C + Cᵀ, C = H†SP, it is
    /// −(2/n) P Σᵢ ∇²fᵢ M∇fᵢ, and CᵀJ = PSH†J, CJ = 0. Nothing of size d × d but S.
    fn bend(
        &self,
        residuals: &dyn Residuals,
        jacobian: &DMatrix<f64>,
        s: Covariance,
    ) -> DVector<f64> {
        let modes = self.normal.tr_mul(jacobian);
        let mut scaled = modes.clone();
        for (mut row, &mu) in scaled.row_iter_mut().zip(self.curvatures.iter()) {
            row /= mu;
        }
        let (mut core, cross) = match s {
            Covariance::Dense(s) => {
                let sn = s * &self.normal;
                (self.normal.tr_mul(&sn), self.project(&sn) * scaled)
            }
            Covariance::Factor(b) => {
                let c = self.normal.tr_mul(b);
                let tangential = b - &self.normal * &c;
                (&c * c.transpose(), tangential * c.tr_mul(&scaled))
            }
        };
        self.divide(&mut core);
        let vectors = &self.normal * (core * modes) + cross;
        let mut out = DVector::zeros(self.point.len());
        residuals.curvature(
            self.point.as_slice(),
            vectors.as_slice(),
            out.as_mut_slice(),
        );
        self.project_vector(&out) * (-2.0 / jacobian.ncols() as f64)
    }

    /// S_ij ← S_ij/(μ_i + μ_j).
    fn divide(&self, core: &mut DMatrix<f64>) {
        for j in 0..self.rank() {
            for i in 0..self.rank() {
                core[(i, j)] /= self.curvatures[i] + self.curvatures[j];
            }
        }
    }

    /// The coefficients of the slow SDE (4) for the shape λ of the learning rate and Σ = BBᵀ, B d × r.
    pub fn slow_coefficients(
        &self,
        landscape: &dyn Landscape,
        lambda: f64,
        b: &DMatrix<f64>,
    ) -> SlowCoefficients {
        SlowCoefficients {
            drift: self.second_derivative(landscape, Covariance::Factor(b))
                * (0.5 * lambda * lambda),
            diffusion: self.project(b) * lambda,
        }
    }
}

/// The exactly symmetric part.
fn symmetric(mut m: DMatrix<f64>) -> DMatrix<f64> {
    for i in 0..m.nrows() {
        for j in 0..i {
            let mean = 0.5 * (m[(i, j)] + m[(j, i)]);
            m[(i, j)] = mean;
            m[(j, i)] = mean;
        }
    }
    m
}

/// The same error, a saddle with its gradient norm.
pub(super) fn with_gradient_norm(error: ProjectionError, norm: f64) -> ProjectionError {
    match error {
        ProjectionError::Saddle {
            eigenvalue,
            largest,
            ..
        } => ProjectionError::Saddle {
            eigenvalue,
            largest,
            gradient_norm: norm,
        },
        other => other,
    }
}
