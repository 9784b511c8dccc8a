//! What a path does on its way, beside where it is: its steps, its length, how much its loss moves (Sec. 4.1), and the three terms of
//! the descent lemma (Lemma 3.4; with momentum Sec. A.2).
//!
//! A step of any process is m⁺ = a m + b g, x⁺ = x − c m⁺. With u = a m + b ∇L(x), the mean of m⁺, the loss changes on average by
//!
//! E\[L(x⁺)|x, m\] − L(x) = −c ∇Lᵀu + ½c²b²σ² tr(HΣ) + ½c² uᵀHu + higher order:
//!
//! the descent force, the noise-induced and the curvature-induced term. They are summed up along the path, so that their sum can be
//! set against L(x_k) − L(x_0). For quadratic losses nothing of higher order is left.

use super::functions::index_of;
use crate::landscape::{Coefficients, Landscape};
use crate::oracle::Oracle;
use crate::real::{Lanes, Real};
use std::fmt;

/// What a path did on its way up to step k: 0 at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The last step, (x_k − x_{k−1})ᵢ.
    Step(usize),
    /// Its square.
    StepSquare(usize),
    /// Its fourth power.
    StepFourth(usize),
    /// Σ‖x_j − x_{j−1}‖.
    PathLength,
    /// Σ|(x_j − x_{j−1})ᵢ|.
    Variation(usize),
    /// Σ|L(x_j) − L(x_{j−1})|.
    LossVariation,
    /// The sum of the descent forces.
    Descent,
    /// The sum of the noise-induced terms.
    NoiseInduced,
    /// The sum of the curvature-induced terms.
    CurvatureInduced,
    /// L(x_k) − L(x_0) minus the three sums: on average what is of higher order.
    DescentDefect,
}

impl Way {
    /// Those without an index.
    const NAMED: [(&'static str, Way); 6] = [
        ("path_length", Way::PathLength),
        ("variation(loss)", Way::LossVariation),
        ("descent", Way::Descent),
        ("noise_induced", Way::NoiseInduced),
        ("curvature_induced", Way::CurvatureInduced),
        ("descent_defect", Way::DescentDefect),
    ];

    /// By its name, without spaces.
    pub(super) fn parse(text: &str) -> Option<Way> {
        if let Some((_, way)) = Way::NAMED.iter().find(|(name, _)| *name == text) {
            return Some(*way);
        }
        let inner = text.strip_prefix("variation(");
        if let Some(inner) = inner.and_then(|t| t.strip_suffix(')')) {
            return index_of(inner, "x").map(Way::Variation);
        }
        let (base, way): (&str, fn(usize) -> Way) = match text.rsplit_once('^') {
            Some((base, "2")) => (base, Way::StepSquare),
            Some((base, "4")) => (base, Way::StepFourth),
            _ => (text, Way::Step),
        };
        index_of(base, "step").map(way)
    }

    /// Whether it is a term of the descent lemma or what is left.
    pub fn is_balance(self) -> bool {
        matches!(
            self,
            Way::Descent | Way::NoiseInduced | Way::CurvatureInduced | Way::DescentDefect
        )
    }

    /// Whether steps alone are enough for it.
    pub fn is_of_steps(self) -> bool {
        !self.is_balance() && self != Way::LossVariation
    }

    /// i, where there is one.
    pub fn coordinate(self) -> Option<usize> {
        match self {
            Way::Step(i) | Way::StepSquare(i) | Way::StepFourth(i) | Way::Variation(i) => Some(i),
            _ => None,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Step(i) => write!(f, "step[{}]", i + 1),
            Way::StepSquare(i) => write!(f, "step[{}]^2", i + 1),
            Way::StepFourth(i) => write!(f, "step[{}]^4", i + 1),
            Way::Variation(i) => write!(f, "variation(x[{}])", i + 1),
            way => {
                let named = Way::NAMED.iter().find(|(_, w)| w == way);
                write!(f, "{}", named.map_or("", |(name, _)| name))
            }
        }
    }
}

/// What is recorded along the paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Steps, and the lengths of paths.
    pub steps: bool,
    /// The variation of the loss.
    pub loss: bool,
    /// The terms of the descent lemma.
    pub balance: bool,
}

impl Watch {
    /// What is needed for these.
    pub fn of(ways: impl Iterator<Item = Way>) -> Watch {
        let mut watch = Watch::default();
        for way in ways {
            match way {
                way if way.is_of_steps() => watch.steps = true,
                Way::LossVariation => watch.loss = true,
                _ => watch.balance = true,
            }
        }
        watch
    }

    /// What of it is recorded of a trajectory that takes its gradients elsewhere.
    pub(super) fn of_steps(self) -> Watch {
        Watch {
            steps: self.steps,
            ..Watch::default()
        }
    }

    /// Whether this is recorded.
    fn covers(self, way: Way) -> bool {
        match way {
            way if way.is_of_steps() => self.steps,
            Way::LossVariation => self.loss,
            _ => self.balance,
        }
    }

    /// Whether there is anything to record.
    pub fn is_on(self) -> bool {
        self != Watch::default()
    }
}

/// The record of one process on the paths of a block; group by group.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    watch: Watch,
    before: Vec<Lanes>,
    /// x_k − x_{k−1} of the last step, Σ|x_k − x_{k−1}| by coordinates, Σ‖x_k − x_{k−1}‖.
    step: Vec<Lanes>,
    variation: Vec<Lanes>,
    length: Vec<Lanes>,
    /// L at the start, now, and Σ|L(x_k) − L(x_{k−1})|.
    start: Vec<Lanes>,
    loss: Vec<Lanes>,
    loss_variation: Vec<Lanes>,
    /// Sums of the three terms.
    descent: Vec<Lanes>,
    noise: Vec<Lanes>,
    curvature: Vec<Lanes>,
    /// ∇L, u, a column of σB, the Hessians, a unit vector for every group.
    gradient: Vec<Lanes>,
    mean: Vec<Lanes>,
    column: Vec<Lanes>,
    hessian: Vec<Lanes>,
    unit: Vec<Lanes>,
}

impl Record {
    /// Room for `groups` groups of paths in dimension `d` under noise with `r` columns; none where nothing is watched.
    pub fn new(watch: Watch, d: usize, r: usize, groups: usize) -> Record {
        let lanes = |on: bool, n: usize| vec![Lanes::ZERO; if on { n * groups } else { 0 }];
        let losses = watch.loss || watch.balance;
        Record {
            watch,
            before: lanes(watch.is_on(), d),
            step: lanes(watch.steps, d),
            variation: lanes(watch.steps, d),
            length: lanes(watch.steps, 1),
            start: lanes(losses, 1),
            loss: lanes(losses, 1),
            loss_variation: lanes(watch.loss, 1),
            descent: lanes(watch.balance, 1),
            noise: lanes(watch.balance, 1),
            curvature: lanes(watch.balance, 1),
            gradient: lanes(watch.balance, d),
            mean: lanes(watch.balance, d),
            column: lanes(watch.balance, d),
            hessian: lanes(watch.balance, d * d),
            unit: lanes(watch.balance, r),
        }
    }

    /// Begins with paths at `x`.
    pub fn restart(&mut self, landscape: &dyn Landscape, x: &[Lanes]) {
        let Record {
            step,
            variation,
            length,
            loss_variation,
            descent,
            noise,
            curvature,
            ..
        } = self;
        for sum in [
            step,
            variation,
            length,
            loss_variation,
            descent,
            noise,
            curvature,
        ] {
            sum.fill(Lanes::ZERO);
        }
        if !self.start.is_empty() {
            landscape.values(x, &mut self.start);
            self.loss.copy_from_slice(&self.start);
        }
    }

    /// Before a step with these coefficients. `stopped` masks the lanes that no longer move; it may be empty.
    #[allow(clippy::too_many_arguments)]
    pub fn before(
        &mut self,
        oracle: &Oracle,
        sigma: f64,
        step: Coefficients,
        x: &[Lanes],
        m: &[Lanes],
        stopped: &[Lanes],
        scratch: &mut [Lanes],
    ) {
        self.before.copy_from_slice(x);
        if !self.watch.balance {
            return;
        }
        let (landscape, noise) = (&*oracle.landscape, &*oracle.noise);
        let (d, r) = (landscape.dimension(), noise.brownian());
        landscape.gradients(x, &mut self.gradient);
        landscape.hessians(x, &mut self.hessian);
        let (a, b) = (Lanes::splat(step.decay), Lanes::splat(step.gain));
        for (i, (u, &g)) in self.mean.iter_mut().zip(&self.gradient).enumerate() {
            let kept = m.get(i).map_or(Lanes::ZERO, |&m| a * m);
            *u = b.mul_add(g, kept);
        }
        let c = step.rate;
        let half_square = Lanes::splat(0.5 * c * c);
        let moving = |j: usize, v: Lanes| stopped.get(j).map_or(v, |s| s.select(Lanes::ZERO, v));
        let hessian = &self.hessian;
        let quadratic = |j: usize, v: &[Lanes]| -> Lanes {
            let (h, v) = (&hessian[j * d * d..(j + 1) * d * d], &v[j * d..(j + 1) * d]);
            let rows = h.chunks_exact(d).zip(v);
            rows.fold(Lanes::ZERO, |sum, (row, &va)| {
                let image = row
                    .iter()
                    .zip(v)
                    .fold(Lanes::ZERO, |s, (&h, &v)| h.mul_add(v, s));
                va.mul_add(image, sum)
            })
        };
        for (j, descent) in self.descent.iter_mut().enumerate() {
            let range = j * d..(j + 1) * d;
            let pairs = self.gradient[range.clone()].iter().zip(&self.mean[range]);
            let product = pairs.fold(Lanes::ZERO, |s, (&g, &u)| g.mul_add(u, s));
            *descent -= moving(j, Lanes::splat(c) * product);
        }
        for (j, curvature) in self.curvature.iter_mut().enumerate() {
            *curvature += moving(j, half_square * quadratic(j, &self.mean));
        }
        if sigma == 0.0 {
            return;
        }
        // tr(HΣ) column by column of B.
        let gain = step.gain * sigma;
        for k in 0..r {
            self.unit.fill(Lanes::ZERO);
            self.unit
                .iter_mut()
                .skip(k)
                .step_by(r)
                .for_each(|e| *e = Lanes::ONE);
            noise.diffuse(gain, x, &self.unit, &mut self.column, scratch);
            for (j, sum) in self.noise.iter_mut().enumerate() {
                *sum += moving(j, half_square * quadratic(j, &self.column));
            }
        }
    }

    /// After the step.
    pub fn after(&mut self, landscape: &dyn Landscape, x: &[Lanes], stopped: &[Lanes]) {
        let d = landscape.dimension();
        let moving = |j: usize, v: Lanes| stopped.get(j).map_or(v, |s| s.select(Lanes::ZERO, v));
        if self.watch.steps {
            for (j, length) in self.length.iter_mut().enumerate() {
                let mut square = Lanes::ZERO;
                let range = j * d..(j + 1) * d;
                let ends = x[range.clone()].iter().zip(&self.before[range.clone()]);
                let sums = self.step[range.clone()]
                    .iter_mut()
                    .zip(&mut self.variation[range]);
                for ((step, variation), (&new, &old)) in sums.zip(ends) {
                    *step = moving(j, new - old);
                    *variation += step.abs();
                    square = step.mul_add(*step, square);
                }
                *length += square.sqrt();
            }
        }
        if self.watch.loss {
            // The losses before stand in `loss`, those after take their place.
            let old = &mut self.before[..self.loss.len()];
            old.copy_from_slice(&self.loss);
            landscape.values(x, &mut self.loss);
            let pairs = self.loss.iter().zip(old);
            for (j, (sum, (&new, old))) in self.loss_variation.iter_mut().zip(pairs).enumerate() {
                *sum += moving(j, (new - *old).abs());
            }
        }
    }

    /// Before the states `x` are looked at.
    pub fn look(&mut self, landscape: &dyn Landscape, x: &[Lanes]) {
        if self.watch.balance {
            landscape.values(x, &mut self.loss);
        }
    }

    /// What the paths did so far; 0 where that is not recorded.
    pub fn read(&self, way: Way, out: &mut [Lanes]) {
        if !self.watch.covers(way) {
            out.fill(Lanes::ZERO);
            return;
        }
        let d = self.before.len() / out.len().max(1);
        let coordinate = |of: &[Lanes], i: usize, out: &mut [Lanes]| {
            let entries = of.iter().skip(i).step_by(d.max(1));
            out.iter_mut().zip(entries).for_each(|(o, &e)| *o = e);
        };
        match way {
            Way::Step(i) => coordinate(&self.step, i, out),
            Way::StepSquare(i) => {
                coordinate(&self.step, i, out);
                out.iter_mut().for_each(|o| *o = *o * *o);
            }
            Way::StepFourth(i) => {
                coordinate(&self.step, i, out);
                out.iter_mut().for_each(|o| *o = o.square().square());
            }
            Way::Variation(i) => coordinate(&self.variation, i, out),
            Way::PathLength => out.copy_from_slice(&self.length),
            Way::LossVariation => out.copy_from_slice(&self.loss_variation),
            Way::Descent => out.copy_from_slice(&self.descent),
            Way::NoiseInduced => out.copy_from_slice(&self.noise),
            Way::CurvatureInduced => out.copy_from_slice(&self.curvature),
            Way::DescentDefect => {
                for (j, o) in out.iter_mut().enumerate() {
                    let terms = self.descent[j] + self.noise[j] + self.curvature[j];
                    *o = self.loss[j] - self.start[j] - terms;
                }
            }
        }
    }
}
