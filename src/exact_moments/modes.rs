//! One optimizer step on the eigenmodes of a quadratic loss, and its powers.
//!
//! In the eigenbasis of A every mode i carries its own state (x_i, m_i) and the covariances of two modes i, j obey
//! C_ij ← F_i C_ij F_jᵀ + Σ_ij b bᵀ, 2 × 2 matrices all. F is stored as E = F − I and squared as E ← 2E + E², so that a
//! small step keeps its digits.

use super::double_double::Number;
use crate::landscape::Coefficients;

/// A 2 × 2 matrix: rows and columns (x, m).
type Square<T> = [[T; 2]; 2];

fn product<T: Number>(a: &Square<T>, b: &Square<T>) -> Square<T> {
    let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

fn plus<T: Number>(a: &Square<T>, b: &Square<T>) -> Square<T> {
    let entry = |i: usize, j: usize| a[i][j] + b[i][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

fn transposed<T: Number>(a: &Square<T>) -> Square<T> {
    [[a[0][0], a[1][0]], [a[0][1], a[1][1]]]
}

/// (I+e) c (I+f)ᵀ.
fn conjugated<T: Number>(e: &Square<T>, c: &Square<T>, f: &Square<T>) -> Square<T> {
    let half = plus(c, &product(e, c));
    plus(&half, &product(&half, &transposed(f)))
}

/// (I+e)(I+f) − I.
fn composed<T: Number>(e: &Square<T>, f: &Square<T>) -> Square<T> {
    plus(&plus(e, f), &product(e, f))
}

/// The pairs (i, j), i ≤ j, in storage order.
pub(super) fn pairs(d: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..d).flat_map(move |i| (i..d).map(move |j| (i, j)))
}

/// Means and covariances of (x − x*, m) in the eigenbasis of A.
#[derive(Clone, Debug)]
pub(super) struct ModeState<T> {
    pub(super) mean: Vec<[T; 2]>,
    /// One for each of [`pairs`].
    pub(super) covariance: Vec<Square<T>>,
}

/// The affine map of a number of steps: s ← (I+E)s, C_ij ← (I+E_i) C_ij (I+E_j)ᵀ + N_ij.
#[derive(Clone, Debug)]
pub(super) struct ModeMap<T> {
    shift: Vec<Square<T>>,
    noise: Vec<Square<T>>,
}

impl<T: Number> ModeMap<T> {
    /// One step, for modes of curvature `curvatures` and noise covariance `noise` (one for each of [`pairs`]).
    pub(super) fn step(step: Coefficients, curvatures: &[f64], noise: &[f64]) -> ModeMap<T> {
        let mut map = ModeMap {
            shift: Vec::with_capacity(curvatures.len()),
            noise: Vec::with_capacity(noise.len()),
        };
        map.set(step, curvatures, noise);
        map
    }

    /// [`step`](ModeMap::step) in place.
    ///
    /// m⁺ = p m + q(a x + v), x⁺ = x − r m⁺, with (p, q, r) = (decay, gain, rate). Where the decay is the rounding of
    /// 1 − gain (SGD, SGDM), it is taken to be 1 − gain exactly.
    pub(super) fn set(&mut self, step: Coefficients, curvatures: &[f64], noise: &[f64]) {
        let (q, r) = (T::from(step.gain), T::from(step.rate));
        let (zero, one) = (T::from(0.0), T::from(1.0));
        let less = if step.decay == 1.0 - step.gain {
            zero - q
        } else {
            T::from(step.decay) - one
        };
        let minus_rp = zero - r * (one + less);
        self.shift.clear();
        self.shift.extend(curvatures.iter().map(|&a| {
            let qa = q * T::from(a);
            [[zero - r * qa, minus_rp], [qa, less]]
        }));
        let b = [zero - r * q, q];
        let outer = b.map(|u| b.map(|v| u * v));
        self.noise.clear();
        self.noise.extend(noise.iter().map(|&s| {
            let s = T::from(s);
            outer.map(|row| row.map(|v| v * s))
        }));
    }

    /// `self` after `first`.
    fn after(&self, first: &ModeMap<T>) -> ModeMap<T> {
        let shift = self.shift.iter().zip(&first.shift);
        let noise = pairs(self.shift.len()).zip(self.noise.iter().zip(&first.noise));
        ModeMap {
            shift: shift.map(|(e, f)| composed(e, f)).collect(),
            noise: noise
                .map(|((i, j), (own, old))| {
                    plus(own, &conjugated(&self.shift[i], old, &self.shift[j]))
                })
                .collect(),
        }
    }

    /// The map of `n` ≥ 1 such steps, by repeated squaring.
    pub(super) fn power(&self, n: u64) -> ModeMap<T> {
        let mut map = self.clone();
        for bit in (0..n.max(1).ilog2()).rev() {
            map = map.after(&map);
            if n >> bit & 1 == 1 {
                map = self.after(&map);
            }
        }
        map
    }

    /// Moves a state.
    pub(super) fn apply(&self, state: &mut ModeState<T>) {
        for (s, e) in state.mean.iter_mut().zip(&self.shift) {
            let [x, m] = *s;
            *s = [x + e[0][0] * x + e[0][1] * m, m + e[1][0] * x + e[1][1] * m];
        }
        let all = state.covariance.iter_mut().zip(&self.noise);
        for ((i, j), (c, n)) in pairs(self.shift.len()).zip(all) {
            *c = plus(&conjugated(&self.shift[i], c, &self.shift[j]), n);
        }
    }
}
