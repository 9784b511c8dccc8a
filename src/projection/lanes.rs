//! Eight gradient flows side by side in d ≤ 4: Dormand–Prince steps with a step length per lane, and the landing.
#![allow(clippy::needless_range_loop)] // Index notation for small matrices.

use super::batch::Tally;
use super::flow::ALONG;
use super::landing::guiding_floor;
use super::runge_kutta::{ERROR, STAGES};
use super::{REQUIRED_GAP, Settings};
use crate::landscape::Landscape;
use crate::real::{LANES, Lanes};

/// Steps after which a lane is left to the scalar flow.
const PATIENCE: usize = 1000;

/// Share of the tolerance for one step and for the landing, as in the scalar flow.
const SHARE: f64 = 0.1;

/// Jacobi sweeps: quadratic convergence, more than enough for d ≤ 4 (d = 2 needs one rotation).
const SWEEPS: usize = 6;

type Vector<const D: usize> = [Lanes; D];
type Matrix<const D: usize> = [[Lanes; D]; D];

/// Workspace of the kernel: a Hessian.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    square: [Lanes; 4 * 4],
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel {
            square: [Lanes::ZERO; 16],
        }
    }
}

/// The same landing as in `landing.rs`, for eight lanes.
struct Attempt<const D: usize> {
    point: Vector<D>,
    /// Lanes where the spectrum has the same gap at x and on Γ and the iteration converged.
    sound: Lanes,
    /// ‖z‖ρ².
    error: Lanes,
}

fn splat(v: f64) -> Lanes {
    Lanes::splat(v)
}

#[inline(always)]
fn dot<const D: usize>(a: &Vector<D>, b: &Vector<D>) -> Lanes {
    let mut sum = a[0] * b[0];
    for i in 1..D {
        sum = a[i].mul_add(b[i], sum);
    }
    sum
}

#[inline(always)]
fn norm<const D: usize>(a: &Vector<D>) -> Lanes {
    dot(a, a).sqrt()
}

/// Eigenvalues and eigenvectors (columns of the second) of a symmetric matrix by cyclic Jacobi rotations.
#[inline(always)]
fn eigen<const D: usize>(mut a: Matrix<D>) -> (Vector<D>, Matrix<D>) {
    let mut v = [[Lanes::ZERO; D]; D];
    for (i, row) in v.iter_mut().enumerate() {
        row[i] = Lanes::ONE;
    }
    let sweeps = match D {
        1 => 0,
        2 => 1,
        _ => SWEEPS,
    };
    for _ in 0..sweeps {
        for p in 0..D {
            for q in p + 1..D {
                // tan of the angle: t = sign(θ)/(|θ| + √(θ²+1)), θ = (a_qq − a_pp)/(2a_pq), written without dividing by a_pq.
                let (off, gap) = (a[p][q] + a[p][q], a[q][q] - a[p][p]);
                let long = off.mul_add(off, gap * gap).sqrt();
                let signed = gap.simd_lt(Lanes::ZERO).select(-long, long);
                let below = gap + signed;
                let t = below.simd_eq(Lanes::ZERO).select(Lanes::ZERO, off / below);
                let c = Lanes::ONE / t.mul_add(t, Lanes::ONE).sqrt();
                let s = t * c;
                for row in a.iter_mut() {
                    let (x, y) = (row[p], row[q]);
                    row[p] = c * x - s * y;
                    row[q] = s * x + c * y;
                }
                for k in 0..D {
                    let (x, y) = (a[p][k], a[q][k]);
                    a[p][k] = c * x - s * y;
                    a[q][k] = s * x + c * y;
                }
                for row in v.iter_mut() {
                    let (x, y) = (row[p], row[q]);
                    row[p] = c * x - s * y;
                    row[q] = s * x + c * y;
                }
            }
        }
    }
    (std::array::from_fn(|i| a[i][i]), v)
}

/// H = V diag(μ) Vᵀ split into normal and tangent directions.
struct Frame<const D: usize> {
    v: Matrix<D>,
    mu: Vector<D>,
    /// 1/μ in normal directions, 0 in tangent ones.
    inverse: Vector<D>,
    /// 1 in tangent directions, 0 in normal ones.
    tangent: Vector<D>,
    /// The smallest normal and the largest tangent |μ|.
    smallest: Lanes,
    largest: Lanes,
    /// Number of normal directions.
    rank: Lanes,
    /// Lanes with a negative normal eigenvalue.
    saddle: Lanes,
}

impl<const D: usize> Frame<D> {
    /// Normal is |μ| > `floor`·max|μ|.
    #[inline(always)]
    fn new(h: Matrix<D>, floor: Lanes) -> Frame<D> {
        let (mu, v) = eigen(h);
        let top = mu.iter().fold(Lanes::ZERO, |m, mu| m.fast_max(mu.abs()));
        let mut frame = Frame {
            v,
            mu,
            inverse: [Lanes::ZERO; D],
            tangent: [Lanes::ZERO; D],
            smallest: splat(f64::INFINITY),
            largest: Lanes::ZERO,
            rank: Lanes::ZERO,
            saddle: Lanes::ZERO,
        };
        for i in 0..D {
            let size = mu[i].abs();
            let normal = size.simd_gt(floor * top);
            frame.inverse[i] = normal.select(Lanes::ONE / mu[i], Lanes::ZERO);
            frame.tangent[i] = normal.select(Lanes::ZERO, Lanes::ONE);
            frame.smallest = normal.select(frame.smallest.fast_min(size), frame.smallest);
            frame.largest = normal.select(frame.largest, frame.largest.fast_max(size));
            frame.rank += normal.select(Lanes::ONE, Lanes::ZERO);
            frame.saddle |= normal & mu[i].simd_lt(Lanes::ZERO);
        }
        frame
    }

    /// In the eigenbasis, what the tangential part of ∂²Φ\[S\] multiplies the entries of S with: 1/(μ_i + μ_j) in the normal block
    /// (𝓛⁻¹), 1/μ of the normal index in the mixed ones (H†S_⊥∥ and its transpose), 0 in the tangent one.
    #[inline(always)]
    fn regularization(&self) -> Matrix<D> {
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let normal = (Lanes::ONE - self.tangent[i]) * (Lanes::ONE - self.tangent[j]);
                let both = normal
                    .simd_gt(Lanes::ZERO)
                    .select(Lanes::ONE / (self.mu[i] + self.mu[j]), Lanes::ZERO);
                let mixed = self.inverse[i] * self.tangent[j] + self.inverse[j] * self.tangent[i];
                both + mixed
            })
        })
    }

    /// Vᵀx.
    #[inline(always)]
    fn coordinates(&self, x: &Vector<D>) -> Vector<D> {
        let mut c = [Lanes::ZERO; D];
        for (row, &x) in self.v.iter().zip(x) {
            for (c, &v) in c.iter_mut().zip(row) {
                *c = v.mul_add(x, *c);
            }
        }
        c
    }

    /// Vc.
    #[inline(always)]
    fn vector(&self, c: &Vector<D>) -> Vector<D> {
        std::array::from_fn(|i| dot(&self.v[i], c))
    }

    /// BBᵀ in the eigenbasis, for the columns of B one after the other.
    #[inline(always)]
    fn gram(&self, columns: &[Lanes]) -> Matrix<D> {
        let mut s = [[Lanes::ZERO; D]; D];
        for column in columns.chunks_exact(D) {
            let c = self.coordinates(&std::array::from_fn(|i| column[i]));
            for i in 0..D {
                for j in 0..D {
                    s[i][j] = c[i].mul_add(c[j], s[i][j]);
                }
            }
        }
        s
    }

    /// x scaled by `weights` in the eigenbasis: H†x, Px.
    #[inline(always)]
    fn weighted(&self, weights: &Vector<D>, x: &Vector<D>) -> Vector<D> {
        let c = self.coordinates(x);
        self.vector(&std::array::from_fn(|i| weights[i] * c[i]))
    }
}

impl Kernel {
    #[inline(always)]
    fn gradient<const D: usize>(
        &self,
        landscape: &dyn Landscape,
        x: &Vector<D>,
        tally: &mut Tally,
    ) -> Vector<D> {
        tally.gradient_evaluations += 1;
        let mut g = [Lanes::ZERO; D];
        landscape.gradients(x, &mut g);
        g
    }

    #[inline(always)]
    fn frame<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &Vector<D>,
        floor: Lanes,
    ) -> Frame<D> {
        landscape.hessians(x, &mut self.square[..D * D]);
        let square = &self.square;
        Frame::new(
            std::array::from_fn(|i| std::array::from_fn(|j| square[i * D + j])),
            floor,
        )
    }

    /// Φ of one group in place; the mask of lanes that landed (the others are left alone).
    pub(super) fn project<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        settings: &Settings,
        start: &mut [Lanes],
        tally: &mut Tally,
    ) -> u32 {
        let mut x: Vector<D> = std::array::from_fn(|i| start[i]);
        let g = self.gradient(landscape, &x, tally);
        let size = norm(&x);
        let first = norm(&g);
        // Lanes that are not finite, or outside K, never take part.
        let mut active = first.simd_lt(splat(f64::INFINITY)) & size.simd_lt(splat(f64::INFINITY));
        if let Some(region) = &settings.region {
            active &= region.inside(&x);
        }
        for x in x.iter_mut() {
            *x = active.select(*x, Lanes::ZERO);
        }
        let bound = splat(settings.growth) * (size + Lanes::ONE);
        let allowed = |size: Lanes| {
            splat(SHARE * settings.tolerance.relative)
                .mul_add(size, splat(SHARE * settings.tolerance.absolute))
        };

        // Curvature along the gradient: first step and first distance.
        let probe = splat(1e-6) * (size + Lanes::ONE);
        let unit = first
            .simd_gt(Lanes::ZERO)
            .select(probe / first, Lanes::ZERO);
        let ahead: Vector<D> = std::array::from_fn(|i| unit.mul_add(g[i], x[i]));
        let g_ahead = self.gradient(landscape, &ahead, tally);
        let change: Vector<D> = std::array::from_fn(|i| (g_ahead[i] - g[i]) / probe);
        let curvature = dot(&change, &g) / first;
        let mut distance = curvature
            .simd_gt(Lanes::ZERO)
            .select(first / curvature, splat(f64::INFINITY));
        let rounding = splat(16.0 * f64::EPSILON) * norm(&change) * (size + Lanes::ONE);
        distance = first.simd_le(rounding).select(Lanes::ZERO, distance);
        let rate = norm(&change).fast_max(splat(1e-3) * first / (size + Lanes::ONE));
        let mut h = rate
            .simd_gt(Lanes::ZERO)
            .select(splat(0.1) / rate, splat(1e-6));

        let scale = size + Lanes::ONE;
        let budget = allowed(size);
        let cube = |v: Lanes| (splat(1.0 / 3.0) * v.ln()).exp();
        let mut target = splat(0.5) * scale * cube(budget / scale);
        let mut g = g;
        let mut steepness = first;
        let mut landed = Lanes::ZERO;
        for _ in 0..PATIENCE {
            // Lanes near Γ rest until all are: what a lane does never depends on its neighbours.
            let near = active & distance.simd_le(target);
            let mut moving = active ^ near;
            if near.any() && !moving.any() {
                let attempt = self.land(landscape, &x, &g, distance, tally);
                let excess = attempt.error / budget;
                let good = near & attempt.sound & excess.simd_le(Lanes::ONE);
                for (start, &p) in start.iter_mut().zip(&attempt.point) {
                    *start = good.select(p, *start);
                }
                landed |= good;
                let shrink = (splat(0.7) / cube(excess.fast_max(Lanes::ONE)))
                    .fast_max(splat(1e-3))
                    .fast_min(splat(0.5));
                let shrink = attempt.sound.select(shrink, splat(0.2));
                target = near.select(target.fast_min(distance) * shrink, target);
                // Rest without a landing: a failure for the scalar flow to name.
                let lost = distance.simd_le(splat(1e-3) * budget);
                active = (good | lost).select(Lanes::ZERO, active);
                moving = active;
            }
            if !active.any() {
                break;
            }
            tally.steps += 1;
            let (y, new_g, error) = self.step(landscape, &x, &g, h, tally);
            let steep = norm(&new_g);
            // Errors along the flow only shift time: see the scalar flow.
            let along = steep
                .simd_gt(Lanes::ZERO)
                .select(dot(&error, &new_g) / steep, Lanes::ZERO)
                .abs();
            let across = along.mul_add(-along, dot(&error, &error));
            let across = across.fast_max(Lanes::ZERO).sqrt();
            let least = (splat(ALONG) * budget * scale)
                .sqrt()
                .fast_min(splat(ALONG) * h * steepness);
            let ratio = (across / budget).fast_max(along / least);
            let accepted = moving & ratio.simd_le(Lanes::ONE) & steep.simd_lt(splat(f64::INFINITY));
            let safe = ratio
                .simd_lt(splat(1e30))
                .select(ratio.fast_max(splat(1e-6)), splat(1e30));
            let growth = splat(0.9) * (splat(-0.2) * safe.ln()).exp();
            let growth = growth.fast_max(splat(0.1)).fast_min(splat(5.0));
            let folds = steepness / steep;
            // ln r ≥ 1 − 1/r: the distance is not underestimated.
            let near_now = h * steep * folds / (folds - Lanes::ONE);
            let near_now = folds
                .simd_gt(Lanes::ONE)
                .select(near_now, splat(f64::INFINITY));
            let near_now = steep
                .simd_le(splat(1e-16) * first)
                .select(Lanes::ZERO, near_now);
            distance = accepted.select(near_now, distance);
            steepness = accepted.select(steep, steepness);
            h = moving.select(h * growth, h);
            for i in 0..D {
                x[i] = accepted.select(y[i], x[i]);
                g[i] = accepted.select(new_g[i], g[i]);
            }
            let mut kept = norm(&x).simd_le(bound);
            if let Some(region) = &settings.region {
                kept &= region.inside(&x);
            }
            active &= kept;
        }
        let mask = landed.to_bitmask();
        debug_assert!(mask < 1 << LANES);
        mask
    }

    /// One step along −∇L: the new point, its gradient, and the estimated error.
    #[inline(always)]
    fn step<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &Vector<D>,
        g: &Vector<D>,
        h: Lanes,
        tally: &mut Tally,
    ) -> (Vector<D>, Vector<D>, Vector<D>) {
        tally.gradient_evaluations += 6;
        let mut k = [[Lanes::ZERO; D]; 7];
        k[0] = *g;
        let mut y = *x;
        macro_rules! stage {
            ($s:literal) => {
                for i in 0..D {
                    let mut sum = splat(STAGES[$s][0]) * k[0][i];
                    for (j, k) in k.iter().enumerate().take($s + 1).skip(1) {
                        sum = splat(STAGES[$s][j]).mul_add(k[i], sum);
                    }
                    y[i] = (-h).mul_add(sum, x[i]);
                }
                landscape.gradients(&y, &mut k[$s + 1]);
            };
        }
        stage!(0);
        stage!(1);
        stage!(2);
        stage!(3);
        stage!(4);
        stage!(5);
        let error = std::array::from_fn(|i| {
            let mut sum = splat(ERROR[0]) * k[0][i];
            for j in 2..7 {
                sum = splat(ERROR[j]).mul_add(k[j][i], sum);
            }
            h * sum
        });
        (y, k[6], error)
    }

    #[inline(always)]
    fn land<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &Vector<D>,
        gradient: &Vector<D>,
        distance: Lanes,
        tally: &mut Tally,
    ) -> Attempt<D> {
        let size = norm(x);
        let (distances, sizes) = (distance.to_array(), size.to_array());
        let floor = Lanes::new(std::array::from_fn(|l| {
            guiding_floor(distances[l], sizes[l])
        }));
        let guide = self.frame(landscape, x, floor);
        let mut p = *x;
        let mut g = *gradient;
        let mut lengths = [Lanes::ZERO; 2];
        for length in &mut lengths {
            let n = guide.weighted(&guide.inverse, &g);
            *length = norm(&n);
            for i in 0..D {
                p[i] -= n[i];
            }
            g = self.gradient(landscape, &p, tally);
        }
        // On Γ up to the third order of the distance: now with the geometry there.
        let strict = splat(1.0 / REQUIRED_GAP).fast_min(floor);
        let frame = self.frame(landscape, &p, strict);
        let n = frame.weighted(&frame.inverse, &g);
        for i in 0..D {
            p[i] -= n[i];
        }
        let z: Vector<D> = std::array::from_fn(|i| x[i] - p[i]);
        let tilt = self.tilt(landscape, &frame, &p, &z);
        let mut point: Vector<D> = std::array::from_fn(|i| p[i] + tilt[i]);
        let mut last = Lanes::ZERO;
        for _ in 0..2 {
            g = self.gradient(landscape, &point, tally);
            let n = frame.weighted(&frame.inverse, &g);
            last = norm(&n);
            for i in 0..D {
                point[i] -= n[i];
            }
        }
        let length = norm(&z);
        let slant = (guide.largest - floor * guide.smallest).fast_max(Lanes::ZERO) / guide.smallest;
        let rho = (norm(&tilt) / length)
            .fast_max(lengths[1] / lengths[0])
            .fast_max(slant);
        let tiny = length.simd_le(splat(1e-13) * (size + Lanes::ONE));
        let error = tiny.select(Lanes::ZERO, length * rho * rho);
        let manifold = frame.rank.simd_lt(splat(D as f64));
        let gap = (frame.largest * splat(REQUIRED_GAP)).simd_le(frame.smallest);
        let converged = last.simd_le(splat(1e-9) * (size + Lanes::ONE))
            & (tiny | (lengths[1] + lengths[1]).simd_le(lengths[0]));
        let unhealthy = guide.saddle | frame.saddle;
        let sound = unhealthy.select(
            Lanes::ZERO,
            manifold
                & gap
                & converged
                & frame.rank.simd_eq(guide.rank)
                & error.simd_ge(Lanes::ZERO),
        );
        Attempt {
            point,
            sound,
            error,
        }
    }

    /// v ← ∂Φ(x)v = Pv for x ∈ Γ.
    pub(super) fn tangential<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
        v: &mut [Lanes],
    ) {
        let frame = self.frame_on_manifold::<D>(landscape, x);
        let part = frame.weighted(&frame.tangent, &std::array::from_fn(|i| v[i]));
        v.copy_from_slice(&part);
    }

    /// ½∂²Φ(x)\[BBᵀ\] for x ∈ Γ and the columns of B one after the other.
    pub(super) fn drift<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
        columns: &[Lanes],
        out: &mut [Lanes],
    ) {
        let frame = self.frame_on_manifold::<D>(landscape, x);
        let x: Vector<D> = std::array::from_fn(|i| x[i]);
        let s = frame.gram(columns);
        let parallel =
            std::array::from_fn(|i| std::array::from_fn(|j| frame.tangent[i] * frame.tangent[j]));
        let inward = self.contract(landscape, &frame, &x, &s, &parallel);
        let along = self.contract(landscape, &frame, &x, &s, &frame.regularization());
        let normal = frame.weighted(&frame.inverse, &inward);
        let tangential = frame.weighted(&frame.tangent, &along);
        for i in 0..D {
            out[i] = splat(-0.5) * (normal[i] + tangential[i]);
        }
    }

    /// 𝓛_H^{-1}(QΣQ), row by row, with tr(QΣ) and tr(HΣ), for x ∈ Γ, Σ = BBᵀ and the columns of B one after the other.
    pub(super) fn fluctuation<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
        columns: &[Lanes],
        covariance: &mut [Lanes],
    ) -> [Lanes; 2] {
        let frame = self.frame_on_manifold::<D>(landscape, x);
        let mut s = frame.gram(columns);
        let (mut normal, mut curved) = (Lanes::ZERO, Lanes::ZERO);
        for i in 0..D {
            let across = frame.tangent[i].simd_eq(Lanes::ZERO);
            let share = across.select(s[i][i], Lanes::ZERO);
            normal += share;
            curved = frame.mu[i].mul_add(share, curved);
        }
        for i in 0..D {
            for j in 0..D {
                let normal = (frame.tangent[i] + frame.tangent[j]).simd_eq(Lanes::ZERO);
                s[i][j] = normal.select(s[i][j] / (frame.mu[i] + frame.mu[j]), Lanes::ZERO);
            }
        }
        let rows: Matrix<D> = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                (0..D).fold(Lanes::ZERO, |sum, k| frame.v[i][k].mul_add(s[k][j], sum))
            })
        });
        for i in 0..D {
            for j in 0..D {
                covariance[i * D + j] = dot(&rows[i], &frame.v[j]);
            }
        }
        [normal, curved]
    }

    /// The frame at a point of Γ, where normal and tangent eigenvalues are far apart.
    #[inline(always)]
    fn frame_on_manifold<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        x: &[Lanes],
    ) -> Frame<D> {
        let x: Vector<D> = std::array::from_fn(|i| x[i]);
        self.frame(landscape, &x, splat(1.0 / REQUIRED_GAP))
    }

    /// ∂²(∇L)\[M\] at x for the M whose entries in the eigenbasis are those of `s` times `weights`.
    #[inline(always)]
    fn contract<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        frame: &Frame<D>,
        x: &Vector<D>,
        s: &Matrix<D>,
        weights: &Matrix<D>,
    ) -> Vector<D> {
        // V (s∘weights) Vᵀ.
        let rows: Matrix<D> = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                (0..D).fold(Lanes::ZERO, |sum, k| {
                    frame.v[i][k].mul_add(s[k][j] * weights[k][j], sum)
                })
            })
        });
        for i in 0..D {
            for j in 0..D {
                self.square[i * D + j] = dot(&rows[i], &frame.v[j]);
            }
        }
        let mut third = [Lanes::ZERO; D];
        landscape.thirds(x, &self.square[..D * D], &mut third);
        third
    }

    /// Pz and the tangential part of ½∂²Φ\[zzᵀ\] at p.
    #[inline(always)]
    fn tilt<const D: usize>(
        &mut self,
        landscape: &dyn Landscape,
        frame: &Frame<D>,
        p: &Vector<D>,
        z: &Vector<D>,
    ) -> Vector<D> {
        let c = frame.coordinates(z);
        let s = std::array::from_fn(|i| std::array::from_fn(|j| c[i] * c[j]));
        let third = self.contract(landscape, frame, p, &s, &frame.regularization());
        let half: Vector<D> = std::array::from_fn(|i| splat(-0.5).mul_add(third[i], z[i]));
        frame.weighted(&frame.tangent, &half)
    }
}
