//! Random streams: one xoshiro256++ per path, eight paths per register, and the normals made from them.
//!
//! The stream of a path is a function of (seed, cell, purpose, path) alone. It depends neither on how paths are packed into
//! lanes, groups and chunks, nor on the number of threads, nor on which other processes run beside it.

use crate::real::{LANES, Lanes};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use wide::u64x8;

/// What a stream is used for; streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The innovations ξ_k that every discrete process consumes.
    Innovation,
    /// What a Brownian path needs beyond them: the bridges between steps, or a whole path of its own.
    Brownian,
    /// The initial momentum m_0.
    Start,
    /// Resampling in the statistics.
    Bootstrap,
}

/// Identifies the streams of one ensemble: the user's seed and the index of the ensemble within the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// The user's seed.
    pub seed: u64,
    /// Index of the ensemble (one per η), so that different η use independent noise.
    pub cell: u64,
}

/// A bijection of the 64-bit words with good avalanche (the finalizer of SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl StreamKey {
    /// The state of xoshiro256++ for one path. Never all zero: the four words are images of four different numbers under
    /// one bijection.
    fn state(self, purpose: Purpose, path: u64) -> [u64; 4] {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let tag = mix(self.seed ^ GOLDEN)
            .wrapping_add(mix(self.cell.wrapping_add(1).wrapping_mul(GOLDEN)))
            .wrapping_add(purpose as u64);
        let key = mix(mix(tag).wrapping_add(path.wrapping_mul(GOLDEN)));
        std::array::from_fn(|i| mix(key.wrapping_add((i as u64 + 1).wrapping_mul(GOLDEN))))
    }

    /// The same stream as lane `path % 8` of [`LaneRng::new`], one path at a time.
    pub fn scalar(self, purpose: Purpose, path: u64) -> Xoshiro256PlusPlus {
        let mut seed = [0; 32];
        for (bytes, word) in seed
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .zip(self.state(purpose, path))
        {
            *bytes = word.to_le_bytes();
        }
        Xoshiro256PlusPlus::from_seed(seed)
    }
}

/// Eight xoshiro256++ generators in lock step, one per lane.
#[derive(Clone, Debug)]
pub struct LaneRng {
    s: [u64x8; 4],
}

impl LaneRng {
    /// The streams of paths `first`, …, `first + 7`.
    pub fn new(key: StreamKey, purpose: Purpose, first: u64) -> LaneRng {
        let states: [[u64; 4]; LANES] =
            std::array::from_fn(|lane| key.state(purpose, first + lane as u64));
        LaneRng {
            s: std::array::from_fn(|word| {
                u64x8::from(std::array::from_fn::<u64, LANES, _>(|l| states[l][word]))
            }),
        }
    }

    /// The next 64 random bits of every lane.
    #[inline(always)]
    pub fn next_words(&mut self) -> u64x8 {
        let s = &mut self.s;
        let sum = s[0] + s[3];
        let result = rotate::<23>(sum) + s[0];
        let t = s[1] << 17u32;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate::<45>(s[3]);
        result
    }

    /// Two independent standard normals per lane.
    #[inline(always)]
    pub fn normal_pair(&mut self) -> (Lanes, Lanes) {
        let radius = self.next_words();
        box_muller(radius, self.next_words())
    }

    /// Independent standard normals, one per lane and entry. An odd last entry uses only half of its Box–Muller pair.
    #[inline(always)]
    pub fn normals(&mut self, out: &mut [Lanes]) {
        let mut pairs = out.chunks_exact_mut(2);
        for pair in &mut pairs {
            (pair[0], pair[1]) = self.normal_pair();
        }
        if let [last] = pairs.into_remainder() {
            *last = self.normal_pair().0;
        }
    }

    /// Independent signs ±1; one word serves 64 entries.
    #[inline(always)]
    pub fn signs(&mut self, out: &mut [Lanes]) {
        let sign = u64x8::splat(1 << 63);
        for block in out.chunks_mut(64) {
            let mut word = self.next_words();
            for v in block {
                *v = bytemuck::cast(ONE_BITS | (word & sign));
                word <<= 1u32;
            }
        }
    }

    /// Uniform numbers in [0, 1), multiples of 2⁻⁵².
    #[inline(always)]
    pub fn uniform(&mut self) -> Lanes {
        one_to_two(self.next_words()) - Lanes::ONE
    }
}

const ONE_BITS: u64x8 = u64x8::new([0x3ff0_0000_0000_0000; 8]);

#[inline(always)]
fn rotate<const K: u32>(x: u64x8) -> u64x8 {
    (x << K) | (x >> (64 - K))
}

/// The upper 52 bits as a number in [1, 2).
#[inline(always)]
fn one_to_two(word: u64x8) -> Lanes {
    bytemuck::cast((word >> 12u32) | ONE_BITS)
}

/// Two independent standard normals per lane from two words.
///
/// The first word gives the radius √(−2 ln u), u ∈ (0, 1] a multiple of 2⁻⁵². The second gives an angle in [−π/4, π/4)
/// from its upper bits; three of its low bits reflect the point over the whole circle, which needs no argument reduction.
#[inline(always)]
pub(crate) fn box_muller(radius: u64x8, angle: u64x8) -> (Lanes, Lanes) {
    let u = Lanes::splat(2.0) - one_to_two(radius);
    let r = (Lanes::splat(-2.0) * ln_unit(u)).sqrt();
    let theta = (one_to_two(angle) - Lanes::splat(1.5)) * Lanes::splat(std::f64::consts::FRAC_PI_2);
    let (s, c) = sin_cos_octant(theta);
    let flip_c = (angle << 62u32) & u64x8::splat(1 << 63);
    let flip_s = (angle << 61u32) & u64x8::splat(1 << 63);
    let swap: Lanes = bytemuck::cast((angle & u64x8::splat(1)).simd_eq(u64x8::splat(1)));
    let a = bytemuck::cast::<u64x8, Lanes>(bytemuck::cast::<Lanes, u64x8>(c * r) ^ flip_c);
    let b = bytemuck::cast::<u64x8, Lanes>(bytemuck::cast::<Lanes, u64x8>(s * r) ^ flip_s);
    (swap.select(b, a), swap.select(a, b))
}

/// The scalar twin of the lanes' normals: the definition in plain library functions, for tests and for single paths.
pub fn box_muller_scalar(radius: u64, angle: u64) -> (f64, f64) {
    let unit = |word: u64| f64::from_bits((word >> 12) | 0x3ff0_0000_0000_0000);
    let r = (-2.0 * (2.0 - unit(radius)).ln()).sqrt();
    let (s, c) = ((unit(angle) - 1.5) * std::f64::consts::FRAC_PI_2).sin_cos();
    let sign = |bit: u64| if (angle >> bit) & 1 == 1 { -1.0 } else { 1.0 };
    let (a, b) = (sign(1) * r * c, sign(2) * r * s);
    if angle & 1 == 1 { (b, a) } else { (a, b) }
}

/// Fills `out` with the normals that [`LaneRng::normals`] gives the same path.
pub fn normals_scalar(rng: &mut Xoshiro256PlusPlus, out: &mut [f64]) {
    for pair in out.chunks_mut(2) {
        let (a, b) = box_muller_scalar(rng.next_u64(), rng.next_u64());
        pair[0] = a;
        if let Some(second) = pair.get_mut(1) {
            *second = b;
        }
    }
}

/// ln u for normal u in (0, 1].
///
/// u = 2ᵉ(1+f) with 1+f ∈ [√½, √2); ln(1+f) = f − f²/2 + s(f²/2 + R(s²)), s = f/(2+f), with the minimax polynomial R of
/// fdlibm (error below 2⁻⁵⁸).
#[inline(always)]
fn ln_unit(u: Lanes) -> Lanes {
    let bits: u64x8 = bytemuck::cast(u);
    // Adding the distance from √½ to 1 makes the exponent field change at √½ instead of 1.
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let shifted = bits + u64x8::splat(0x3ff0_0000_0000_0000 - SQRT_HALF);
    let exponent = shifted >> 52u32;
    let mantissa = (shifted & u64x8::splat(0x000f_ffff_ffff_ffff)) + u64x8::splat(SQRT_HALF);
    // 2⁵² + n has the bits of n in its mantissa: an integer conversion that every instruction set has.
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    let e: Lanes = bytemuck::cast::<u64x8, Lanes>(exponent | u64x8::splat(TWO_52))
        - Lanes::splat(4_503_599_627_370_496.0 + 1023.0);
    let f = bytemuck::cast::<u64x8, Lanes>(mantissa) - Lanes::ONE;
    let s = f / (f + Lanes::splat(2.0));
    let z = s * s;
    let mut r = Lanes::splat(1.479_819_860_511_658_6e-1);
    for c in [
        1.531_383_769_920_937_3e-1,
        1.818_357_216_161_805e-1,
        2.222_219_843_214_978_4e-1,
        2.857_142_874_366_239e-1,
        3.999_999_999_940_942e-1,
        6.666_666_666_666_735e-1,
    ] {
        r = r.mul_add(z, Lanes::splat(c));
    }
    let half_square = Lanes::splat(0.5) * f * f;
    let log = f - (half_square - s * (half_square + z * r));
    e.mul_add(Lanes::splat(std::f64::consts::LN_2), log)
}

/// sin and cos for |θ| ≤ π/4, by fdlibm's minimax polynomials (error below 2⁻⁵⁷).
#[inline(always)]
fn sin_cos_octant(theta: Lanes) -> (Lanes, Lanes) {
    let z = theta * theta;
    let mut s = Lanes::splat(1.589_690_995_211_55e-10);
    for c in [
        -2.505_076_025_340_686e-8,
        2.755_731_370_707_006_8e-6,
        -1.984_126_982_985_795e-4,
        8.333_333_333_322_49e-3,
        -1.666_666_666_666_663_2e-1,
    ] {
        s = s.mul_add(z, Lanes::splat(c));
    }
    let sin = (theta * z).mul_add(s, theta);
    let mut c = Lanes::splat(-1.135_964_755_778_819_5e-11);
    for k in [
        2.087_572_321_298_175e-9,
        -2.755_731_435_139_066e-7,
        2.480_158_728_947_673e-5,
        -1.388_888_888_887_411e-3,
        4.166_666_666_666_66e-2,
    ] {
        c = c.mul_add(z, Lanes::splat(k));
    }
    let cos = (z * z).mul_add(c, z.mul_add(Lanes::splat(-0.5), Lanes::ONE));
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    const KEY: StreamKey = StreamKey { seed: 7, cell: 2 };

    #[test]
    fn lanes_run_the_reference_generator() {
        let mut lanes = LaneRng::new(KEY, Purpose::Innovation, 16);
        let mut scalars: Vec<_> = (0..8)
            .map(|l| KEY.scalar(Purpose::Innovation, 16 + l))
            .collect();
        for _ in 0..1000 {
            let words = lanes.next_words().to_array();
            for (l, rng) in scalars.iter_mut().enumerate() {
                assert_eq!(words[l], rng.next_u64());
            }
        }
    }

    /// ln, sin and cos of the lanes against the library; 4 units in the last place of numbers up to 9.
    #[test]
    fn lanes_normals_agree_with_library_functions() {
        for n in [1, 2, 5, 8] {
            let mut lanes = LaneRng::new(KEY, Purpose::Brownian, 0);
            let mut rng = KEY.scalar(Purpose::Brownian, 3);
            let mut out = vec![Lanes::ZERO; n];
            let mut want = vec![0.0; n];
            for _ in 0..20_000 {
                lanes.normals(&mut out);
                normals_scalar(&mut rng, &mut want);
                for (v, w) in out.iter().zip(&want) {
                    let v = v.to_array()[3];
                    assert!((v - w).abs() <= 4e-15, "{v} against {w}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_radius_are_finite() {
        for word in [0, u64::MAX, 1 << 12, 1 << 63] {
            let (a, b) = box_muller(u64x8::splat(word), u64x8::splat(0x1234_5678_9abc_def0));
            assert!(a.to_array()[0].is_finite() && b.to_array()[0].is_finite());
        }
    }

    /// One-sample Kolmogorov–Smirnov at false-alarm level 1e-6 per coordinate (critical value √(ln(2/1e-6)/2) = 2.69), and
    /// correlation between the two normals of a pair, between their squares, and between neighbouring paths: |r|√n is
    /// standard normal; 5 standard errors have level 6e-7.
    #[test]
    fn normals_are_standard_and_independent() {
        let n = 1 << 17;
        let law = Normal::standard();
        let mut rng = LaneRng::new(KEY, Purpose::Innovation, 0);
        let (mut x, mut y) = (vec![], vec![]);
        for _ in 0..n / 8 {
            let mut out = [Lanes::ZERO; 2];
            rng.normals(&mut out);
            x.extend(out[0].to_array());
            y.extend(out[1].to_array());
        }
        let correlation =
            |f: &dyn Fn(usize) -> f64| (0..n - 1).map(f).sum::<f64>() / (n as f64).sqrt();
        assert!(correlation(&|i| x[i] * y[i]).abs() < 5.0);
        assert!(correlation(&|i| x[i] * x[i + 1]).abs() < 5.0);
        assert!(correlation(&|i| (x[i] * x[i] - 1.0) * (y[i] * y[i] - 1.0) / 2.0).abs() < 5.0);
        for mut sample in [x, y] {
            sample.sort_by(f64::total_cmp);
            let d = sample
                .iter()
                .enumerate()
                .map(|(i, &v)| {
                    let f = law.cdf(v);
                    (f - i as f64 / n as f64)
                        .abs()
                        .max((f - (i + 1) as f64 / n as f64).abs())
                })
                .fold(0.0, f64::max);
            assert!(d * (n as f64).sqrt() < 2.69, "KS statistic {d}");
        }
    }

    #[test]
    fn signs_and_uniforms() {
        let mut rng = LaneRng::new(KEY, Purpose::Innovation, 0);
        let mut signs = vec![Lanes::ZERO; 130];
        let mut sum = 0.0;
        for _ in 0..1000 {
            rng.signs(&mut signs);
            for v in &signs {
                for s in v.to_array() {
                    assert!(s == 1.0 || s == -1.0);
                    sum += s;
                }
            }
            let u = rng.uniform().to_array();
            assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
        }
        // 1.04e6 signs: 5 standard errors (level 6e-7).
        assert!(f64::abs(sum) < 5.0 * (8.0 * 130.0 * 1000.0f64).sqrt());
    }

    #[test]
    fn streams_differ_by_seed_cell_purpose_and_path() {
        let word =
            |seed, cell, purpose, path| StreamKey { seed, cell }.scalar(purpose, path).next_u64();
        let base = word(1, 1, Purpose::Innovation, 1);
        for other in [
            word(2, 1, Purpose::Innovation, 1),
            word(1, 2, Purpose::Innovation, 1),
            word(1, 1, Purpose::Brownian, 1),
            word(1, 1, Purpose::Innovation, 2),
        ] {
            assert_ne!(base, other);
        }
    }
}
