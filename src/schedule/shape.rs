//! Shapes: the rescaled schedules λ and μ of Def. 4.1, as functions of time or of the step index.

use super::Horizon;
use crate::clocks::Steps;
use std::f64::consts::PI;
use thiserror::Error;

/// A non-negative function on [0, T], where time t is kη (Regime I) or kη^{1+s} (kη² in Regime II), see [`Horizon`].
///
/// Past T every shape of time keeps its value at T; [`Steps`](Shape::Steps) keeps its last value and
/// [`Cycle`](Shape::Cycle) goes on periodically. The constructors ([`Shape::constant`], …) check their arguments;
/// [`Schedule::new`](super::Schedule::new) checks again, so that a shape written out by hand cannot slip through.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// The same value always.
    Constant(f64),
    /// initial · factor^n, where n is the number of entries of `at` that are ≤ t.
    StepDecay {
        /// Value before the first drop.
        initial: f64,
        /// Factor at each drop.
        factor: f64,
        /// Times of the drops, increasing.
        at: Vec<f64>,
    },
    /// to + (from − to)(1 + cos(πt/T))/2.
    Cosine {
        /// Value at 0.
        from: f64,
        /// Value at T.
        to: f64,
    },
    /// Linear from `from` at 0 to the initial value of `then` at `duration`; afterwards `then`, whose clock starts at
    /// `duration` (for shapes of the step index: at the first step at or after it) and whose horizon is T − `duration`.
    Warmup {
        /// Length of the linear part, in the units of t.
        duration: f64,
        /// Value at 0.
        from: f64,
        /// What follows.
        then: Box<Shape>,
    },
    /// Piecewise linear through (times, values); constant before the first and after the last time.
    Table {
        /// Increasing times.
        times: Vec<f64>,
        /// As many values.
        values: Vec<f64>,
    },
    /// `values[k]` at step k, the last value from there on.
    Steps {
        /// One value a step.
        values: Vec<f64>,
    },
    /// `values[k mod n]` at step k.
    Cycle {
        /// One period, one value a step.
        values: Vec<f64>,
    },
}

/// An argument of a [`Shape`] outside its range.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("`{field}` is {value}, but must be {allowed}")]
pub struct ShapeError {
    /// The field, with its path and entries counted from 1: `then.initial`, `values[3]`.
    pub field: String,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

const NON_NEGATIVE: &str = "a finite number ≥ 0";
const POSITIVE: &str = "a finite number > 0";
const INCREASING: &str = "a finite number ≥ 0, greater than the entry before it";
const NOT_EMPTY: &str = "a list of at least one number";

impl Shape {
    /// [`Shape::Constant`]: `value` finite, ≥ 0.
    pub fn constant(value: f64) -> Result<Shape, ShapeError> {
        Shape::Constant(value).checked()
    }

    /// [`Shape::StepDecay`]: `initial` ≥ 0, `factor` > 0, `at` ≥ 0 and strictly increasing.
    pub fn step_decay(initial: f64, factor: f64, at: Vec<f64>) -> Result<Shape, ShapeError> {
        Shape::StepDecay {
            initial,
            factor,
            at,
        }
        .checked()
    }

    /// [`Shape::Cosine`]: both ≥ 0.
    pub fn cosine(from: f64, to: f64) -> Result<Shape, ShapeError> {
        Shape::Cosine { from, to }.checked()
    }

    /// [`Shape::Warmup`]: `duration` > 0, `from` ≥ 0.
    pub fn warmup(duration: f64, from: f64, then: Shape) -> Result<Shape, ShapeError> {
        Shape::Warmup {
            duration,
            from,
            then: Box::new(then),
        }
        .checked()
    }

    /// [`Shape::Table`]: `times` ≥ 0 and strictly increasing, `values` ≥ 0, as many of them and at least one.
    pub fn table(times: Vec<f64>, values: Vec<f64>) -> Result<Shape, ShapeError> {
        Shape::Table { times, values }.checked()
    }

    /// [`Shape::Steps`]: at least one value, all ≥ 0.
    pub fn steps(values: Vec<f64>) -> Result<Shape, ShapeError> {
        Shape::Steps { values }.checked()
    }

    /// [`Shape::Cycle`]: at least one value, all ≥ 0.
    pub fn cycle(values: Vec<f64>) -> Result<Shape, ShapeError> {
        Shape::Cycle { values }.checked()
    }

    fn checked(self) -> Result<Shape, ShapeError> {
        self.validate()?;
        Ok(self)
    }

    /// The checks of the constructors, for a shape written out by hand.
    pub fn validate(&self) -> Result<(), ShapeError> {
        match self {
            Shape::Constant(v) => number("value", *v, *v >= 0.0, NON_NEGATIVE),
            Shape::StepDecay {
                initial,
                factor,
                at,
            } => {
                number("initial", *initial, *initial >= 0.0, NON_NEGATIVE)?;
                number("factor", *factor, *factor > 0.0, POSITIVE)?;
                increasing("at", at)
            }
            Shape::Cosine { from, to } => {
                number("from", *from, *from >= 0.0, NON_NEGATIVE)?;
                number("to", *to, *to >= 0.0, NON_NEGATIVE)
            }
            Shape::Warmup {
                duration,
                from,
                then,
            } => {
                number("duration", *duration, *duration > 0.0, POSITIVE)?;
                number("from", *from, *from >= 0.0, NON_NEGATIVE)?;
                then.validate().map_err(|e| ShapeError {
                    field: format!("then.{}", e.field),
                    ..e
                })
            }
            Shape::Table { times, values } => {
                list(values)?;
                increasing("times", times)?;
                if times.len() == values.len() {
                    Ok(())
                } else {
                    Err(ShapeError {
                        field: "times".into(),
                        value: format!("a list of {} for {} values", times.len(), values.len()),
                        allowed: "as long as `values`",
                    })
                }
            }
            Shape::Steps { values } | Shape::Cycle { values } => list(values),
        }
    }

    /// The value at step k. Allocates nothing.
    pub fn at(&self, k: Steps, eta: f64, horizon: Horizon) -> f64 {
        let unit = horizon.unit(eta);
        self.eval(k.0, k.0 as f64 * unit, unit, horizon.time())
    }

    /// The value at time t in the limit η → 0, on the horizon `[0, span]`; `None` for shapes of the step index, which
    /// are no functions of time (unless all their values agree).
    pub fn limit(&self, t: f64, span: f64) -> Option<f64> {
        if let Some(v) = self.constant_value() {
            return Some(v);
        }
        self.is_timed().then(|| self.eval(0, t, 1.0, span))
    }

    /// ∫₀ᵗ of the shape in closed form, on the horizon `[0, span]`; `None` where [`limit`](Shape::limit) is.
    pub fn integral(&self, t: f64, span: f64) -> Option<f64> {
        if let Some(v) = self.constant_value() {
            return Some(v * t);
        }
        if t > span {
            return Some(self.integral(span, span)? + self.limit(span, span)? * (t - span));
        }
        match self {
            Shape::Constant(v) => Some(v * t),
            Shape::StepDecay {
                initial,
                factor,
                at,
            } => {
                let (mut sum, mut start, mut v) = (0.0, 0.0, *initial);
                for &next in at.iter().take_while(|&&a| a < t) {
                    sum += v * (next - start);
                    start = next;
                    v *= factor;
                }
                Some(sum + v * (t - start))
            }
            Shape::Cosine { from, to } => {
                if span <= 0.0 {
                    return Some(from * t);
                }
                let wave = t + span / PI * (PI * t / span).sin();
                Some(to * t + 0.5 * (from - to) * wave)
            }
            Shape::Warmup {
                duration,
                from,
                then,
            } => {
                let slope = (then.initial() - from) / duration;
                let linear = t.min(*duration);
                let ramp = linear * (from + 0.5 * slope * linear);
                if t <= *duration {
                    // Only shapes of time may be integrated, even before `then` starts.
                    return then.limit(0.0, 0.0).map(|_| ramp);
                }
                Some(ramp + then.integral(t - duration, (span - duration).max(0.0))?)
            }
            Shape::Table { times, values } => {
                let mut sum = 0.0;
                let (mut start, mut left) = (0.0, *values.first()?);
                for (&next, &right) in times.iter().zip(values) {
                    if next >= t {
                        break;
                    }
                    sum += 0.5 * (left + right) * (next - start);
                    (start, left) = (next, right);
                }
                Some(sum + 0.5 * (left + self.eval(0, t, 1.0, span)) * (t - start))
            }
            Shape::Steps { .. } | Shape::Cycle { .. } => None,
        }
    }

    /// The times in (0, `span`) at which the shape jumps or bends, increasing: between them it is analytic.
    pub fn breakpoints(&self, span: f64) -> Vec<f64> {
        let mut points = match self {
            Shape::StepDecay { at, .. } => at.clone(),
            Shape::Table { times, .. } => times.clone(),
            Shape::Warmup { duration, then, .. } => {
                let rest = then.breakpoints((span - duration).max(0.0));
                let mut points = vec![*duration];
                points.extend(rest.into_iter().map(|t| t + duration));
                points
            }
            _ => Vec::new(),
        };
        points.retain(|&t| t > 0.0 && t < span);
        points
    }

    /// The least and the greatest value on the horizon `[0, span]` and, for shapes of the step index, over all steps.
    ///
    /// They hold for every k, continuation included.
    pub fn bounds(&self, span: f64) -> (f64, f64) {
        let hull = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
                (lo.min(v), hi.max(v))
            })
        };
        match self {
            Shape::Constant(v) => (*v, *v),
            Shape::Cosine { from, to } => (from.min(*to), from.max(*to)),
            // Monotone.
            Shape::StepDecay { initial, .. } => {
                let last = self.eval(0, span, 1.0, span);
                (initial.min(last), initial.max(last))
            }
            Shape::Warmup {
                duration,
                from,
                then,
            } => {
                if span < *duration {
                    let last = self.eval(0, span, 1.0, span);
                    return (from.min(last), from.max(last));
                }
                let (lo, hi) = then.bounds(span - duration);
                (from.min(lo), from.max(hi))
            }
            Shape::Table { times, values } => {
                let ends = [0.0, span].map(|t| self.eval(0, t, 1.0, span));
                let inside = times.iter().zip(values).filter(|(t, _)| **t <= span);
                hull(&mut inside.map(|(_, &v)| v).chain(ends))
            }
            Shape::Steps { values } | Shape::Cycle { values } => hull(&mut values.iter().copied()),
        }
    }

    /// The common value of a shape that never changes.
    pub fn constant_value(&self) -> Option<f64> {
        match self {
            Shape::Constant(v) => Some(*v),
            Shape::StepDecay {
                initial,
                factor,
                at,
            } => (*factor == 1.0 || at.is_empty()).then_some(*initial),
            Shape::Cosine { from, to } => (from == to).then_some(*from),
            Shape::Warmup { from, then, .. } => then.constant_value().filter(|v| v == from),
            Shape::Table { values, .. } | Shape::Steps { values } | Shape::Cycle { values } => {
                let first = *values.first()?;
                values.iter().all(|&v| v == first).then_some(first)
            }
        }
    }

    /// Whether the shape is a function of time (not of the step index).
    fn is_timed(&self) -> bool {
        match self {
            Shape::Steps { .. } | Shape::Cycle { .. } => false,
            Shape::Warmup { then, .. } => then.limit(0.0, 0.0).is_some(),
            _ => true,
        }
    }

    /// From which step on the shape is constant (`false`) or periodic (`true`).
    pub(super) fn settles(&self, eta: f64, horizon: Horizon) -> (u64, bool) {
        let past = horizon.steps(eta).0 + 1;
        if self.constant_value().is_some() {
            return (0, false);
        }
        match self {
            Shape::Steps { values } => (values.len() as u64 - 1, false),
            Shape::Cycle { .. } => (0, true),
            Shape::Warmup { duration, then, .. } => {
                if then.is_timed() {
                    // Past T every shape of time keeps its value at T.
                    return (past, false);
                }
                let (start, cycles) = then.settles(eta, horizon);
                let shift = first_step(*duration, horizon.unit(eta));
                (past.max(start.saturating_add(shift)), cycles)
            }
            _ => (past, false),
        }
    }

    /// The value at t = 0, k = 0.
    fn initial(&self) -> f64 {
        self.eval(0, 0.0, 1.0, 0.0)
    }

    /// The value at local step k and local time t (t = k·unit up to the clock's shift) on the local horizon `span`.
    fn eval(&self, k: u64, t: f64, unit: f64, span: f64) -> f64 {
        match self {
            Shape::Constant(v) => *v,
            Shape::StepDecay {
                initial,
                factor,
                at,
            } => {
                let t = t.min(span);
                let drops = at.partition_point(|&a| reached(t, a));
                initial * factor.powi(drops as i32)
            }
            Shape::Cosine { from, to } => {
                if t <= 0.0 || span <= 0.0 {
                    return *from;
                }
                if t >= span {
                    return *to;
                }
                to + 0.5 * (from - to) * (1.0 + (PI * t / span).cos())
            }
            Shape::Warmup {
                duration,
                from,
                then,
            } => {
                let now = t.min(span);
                if !reached(now, *duration) {
                    return from + (then.initial() - from) * (now / duration);
                }
                let k = k.saturating_sub(first_step(*duration, unit));
                let t = (t - duration).max(0.0);
                then.eval(k, t, unit, (span - duration).max(0.0))
            }
            Shape::Table { times, values } => {
                let t = t.min(span);
                let right = times.partition_point(|&s| s <= t);
                match (right.checked_sub(1), times.get(right)) {
                    (Some(left), Some(end)) => {
                        let (start, v) = (times[left], values[left]);
                        v + (values[right] - v) * ((t - start) / (end - start))
                    }
                    (Some(last), None) => values[last],
                    (None, _) => values.first().copied().unwrap_or(f64::NAN),
                }
            }
            Shape::Steps { values } => {
                let i = k.min(values.len().saturating_sub(1) as u64) as usize;
                values.get(i).copied().unwrap_or(f64::NAN)
            }
            Shape::Cycle { values } => {
                let i = k.checked_rem(values.len() as u64).unwrap_or(0) as usize;
                values.get(i).copied().unwrap_or(f64::NAN)
            }
        }
    }
}

/// t ≥ `at`, where t = k·unit may have been rounded down by a few last places.
fn reached(t: f64, at: f64) -> bool {
    t * (1.0 + 4.0 * f64::EPSILON) >= at
}

/// The first step k with k·unit ≥ t, in the sense of [`reached`].
fn first_step(t: f64, unit: f64) -> u64 {
    (t / unit * (1.0 - 4.0 * f64::EPSILON)).ceil() as u64
}

fn number(field: &str, v: f64, good: bool, allowed: &'static str) -> Result<(), ShapeError> {
    if good && v.is_finite() {
        return Ok(());
    }
    Err(ShapeError {
        field: field.into(),
        value: v.to_string(),
        allowed,
    })
}

fn list(values: &[f64]) -> Result<(), ShapeError> {
    if values.is_empty() {
        return Err(ShapeError {
            field: "values".into(),
            value: "empty".into(),
            allowed: NOT_EMPTY,
        });
    }
    for (i, &v) in values.iter().enumerate() {
        number(&format!("values[{}]", i + 1), v, v >= 0.0, NON_NEGATIVE)?;
    }
    Ok(())
}

fn increasing(field: &str, times: &[f64]) -> Result<(), ShapeError> {
    let mut before = f64::NEG_INFINITY;
    for (i, &t) in times.iter().enumerate() {
        number(
            &format!("{field}[{}]", i + 1),
            t,
            t >= 0.0 && t > before,
            INCREASING,
        )?;
        before = t;
    }
    Ok(())
}
