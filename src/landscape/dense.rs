//! Products of constant row-major matrices with vectors of lanes: the inner loops of quadratic and regression losses.
//!
//! Matrix entries are the same for all paths (broadcast); vectors hold one path a lane. Rows are taken four at a time:
//! four independent sums hide the latency of the fused multiply-add, and every vector entry is loaded once for four rows.

use crate::real::Real;

/// Rows handled together.
pub(super) const BLOCK: usize = 4;

/// The rows of a block: `B` slices of length `d` out of `B`·`d` numbers.
#[inline(always)]
pub(super) fn rows_of<const B: usize>(block: &[f64], d: usize) -> [&[f64]; B] {
    std::array::from_fn(|b| &block[b * d..(b + 1) * d])
}

/// The products rowᵦ · x.
#[inline(always)]
pub(super) fn products<const B: usize, R: Real>(rows: [&[f64]; B], x: &[R]) -> [R; B] {
    // One length for all lets the compiler drop the bounds checks.
    let rows = rows.map(|row| &row[..x.len()]);
    let mut sums = [R::constant(0.0); B];
    for (j, &x) in x.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum = R::constant(row[j]).mul_add(x, *sum);
        }
    }
    sums
}

/// out += Σᵦ weightᵦ · rowᵦ.
#[inline(always)]
pub(super) fn accumulate<const B: usize, R: Real>(
    weights: [R; B],
    rows: [&[f64]; B],
    out: &mut [R],
) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (j, out) in out.iter_mut().enumerate() {
        for (&weight, row) in weights.iter().zip(&rows) {
            *out = R::constant(row[j]).mul_add(weight, *out);
        }
    }
}

/// out += `matrix` · u for a symmetric matrix with d = `out.len()` rows and the vector with entries `u(j)`.
#[inline(always)]
pub(super) fn add_symmetric_product<R: Real>(
    matrix: &[f64],
    u: impl Fn(usize) -> R,
    out: &mut [R],
) {
    let d = out.len();
    // Columns are rows: one accumulation a block instead of d dot products.
    let mut blocks = matrix.chunks_exact(BLOCK * d);
    let mut j = 0;
    for block in &mut blocks {
        let weights: [R; BLOCK] = std::array::from_fn(|b| u(j + b));
        accumulate(weights, rows_of(block, d), out);
        j += BLOCK;
    }
    for row in blocks.remainder().chunks_exact(d) {
        accumulate([u(j)], [row], out);
        j += 1;
    }
}

/// h += weight · row rowᵀ, upper triangle only (h is d × d, row by row).
#[inline(always)]
pub(super) fn add_outer_upper<R: Real>(weight: R, row: &[f64], h: &mut [R]) {
    let d = row.len();
    for (i, (&a, h)) in row.iter().zip(h.chunks_exact_mut(d)).enumerate() {
        let scaled = R::constant(a) * weight;
        for (&b, h) in row[i..].iter().zip(&mut h[i..]) {
            *h = R::constant(b).mul_add(scaled, *h);
        }
    }
}

/// Copies the upper triangle of a d × d matrix to the lower one.
#[inline(always)]
pub(super) fn mirror_upper<R: Copy>(d: usize, h: &mut [R]) {
    for i in 1..d {
        for j in 0..i {
            h[i * d + j] = h[j * d + i];
        }
    }
}
