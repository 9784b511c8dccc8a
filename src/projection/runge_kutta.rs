//! Dormand–Prince 5(4) for an autonomous equation, on numbers or lanes.

use crate::real::Real;

/// Rows of the tableau; the last is the solution of order 5, whose slope starts the next step.
pub(crate) const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19372.0 / 6561.0,
        -25360.0 / 2187.0,
        64448.0 / 6561.0,
        -212.0 / 729.0,
    ],
    &[
        9017.0 / 3168.0,
        -355.0 / 33.0,
        46732.0 / 5247.0,
        49.0 / 176.0,
        -5103.0 / 18656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
    ],
];

/// Solution of order 5 minus that of order 4.
pub(crate) const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// h·|μ| beyond which real negative eigenvalues make the method unstable.
pub(super) const STABILITY: f64 = 3.3;

/// out ← x + h Σ_j a_j k_j, with k_j = `k[j*n..]`.
#[inline(always)]
pub(crate) fn combine<R: Real>(x: &[R], h: R, a: &[f64], k: &[R], out: &mut [R]) {
    let n = x.len();
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = R::constant(a[0]) * k[i];
        for (j, &a) in a.iter().enumerate().skip(1) {
            if a != 0.0 {
                sum = R::constant(a).mul_add(k[j * n + i], sum);
            }
        }
        *out = h.mul_add(sum, x[i]);
    }
}
