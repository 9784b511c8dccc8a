//! Axes: ranges from data, ticks (linear, base 2, base 10), and the frame that maps, clips and draws.

use super::canvas::{Anchor, Pen, Stroke, Type};
use super::text::{Label, minus, trimmed};
use super::theme::{self, INK, LABEL_SIZE, Rgb, TICK_SIZE};

/// Numbers beyond this are not drawn.
const HUGE: f64 = 1e150;

/// The range of some data; empty until a finite number is included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Smallest number.
    pub low: f64,
    /// Largest number.
    pub high: f64,
}

impl Extent {
    /// No data.
    pub const EMPTY: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
    };

    /// The range of the finite numbers among `values`.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut extent = Self::EMPTY;
        values.into_iter().for_each(|v| extent.include(v));
        extent
    }

    /// The range of the positive finite numbers among `values`.
    pub fn of_positive(values: impl IntoIterator<Item = f64>) -> Self {
        Self::of(values.into_iter().filter(|v| *v > 1e-150))
    }

    /// Widens the range to include `value`, unless it is not finite.
    pub fn include(&mut self, value: f64) {
        if value.abs() < HUGE {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// Whether nothing was included.
    pub fn is_empty(&self) -> bool {
        self.low > self.high
    }

    /// Length; 0 when empty.
    pub fn length(&self) -> f64 {
        (self.high - self.low).max(0.0)
    }

    /// The range widened by shares of its length below and above; a single point gets room around it.
    #[must_use]
    pub fn padded(self, below: f64, above: f64) -> Self {
        if self.is_empty() {
            return Self {
                low: 0.0,
                high: 1.0,
            };
        }
        let size = self.low.abs().max(self.high.abs());
        if self.length() <= 1e-12 * size || self.length() < 1e-140 {
            let room = if size > 1e-140 { 0.5 * size } else { 1.0 };
            return Self {
                low: self.low - room,
                high: self.high + room,
            };
        }
        Self {
            low: self.low - below * self.length(),
            high: self.high + above * self.length(),
        }
    }
}

/// A tick; minor ones have no label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// What it says.
    pub label: Option<Label>,
}

/// One axis: its range, its ticks and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Symbol and unit.
    pub label: Label,
    /// Ticks in increasing order.
    pub ticks: Vec<Tick>,
    /// A power of ten that all tick labels share.
    pub factor: Option<Label>,
    /// Range; of logarithms on a log axis.
    range: Extent,
    log: bool,
}

impl Axis {
    /// A linear axis over exactly `range`, with about `wanted` ticks.
    pub fn linear(range: Extent, label: Label, wanted: usize) -> Self {
        let range = if range.length() > 0.0 {
            range
        } else {
            range.padded(0.0, 0.0)
        };
        let step = nice_step(range.length() / wanted.max(1) as f64);
        let size = range.low.abs().max(range.high.abs());
        let exponent = if size >= 1e4 || size < 2e-2 {
            size.log10().floor()
        } else {
            0.0
        };
        let unit = 10f64.powf(exponent);
        let decimals = decimals_of(step / unit);
        let first = (range.low / step - 1e-9).ceil();
        let ticks = (0..200)
            .map(|k| (first + f64::from(k)) * step)
            .take_while(|&v| v <= range.high + 1e-9 * step)
            .map(|value| {
                let shown = format!("{:.decimals$}", value / unit);
                let shown = if shown.trim_matches(['-', '0', '.']).is_empty() {
                    "0".to_owned()
                } else {
                    shown
                };
                Tick {
                    value,
                    label: Some(Label::new(minus(&shown))),
                }
            })
            .collect();
        let factor =
            (exponent != 0.0).then(|| Label::new("×").join(&Label::power(10, exponent as i64)));
        Self {
            label,
            ticks,
            factor,
            range,
            log: false,
        }
    }

    /// A logarithmic axis that holds `range`, widened so that no tick lies on its end, with at most about `wanted` labels.
    pub fn log(range: Extent, label: Label, base: u32, wanted: usize) -> Self {
        let range = if range.is_empty() || range.low <= 0.0 {
            Extent {
                low: 0.1,
                high: 1.0,
            }
        } else {
            range
        };
        let unit = f64::from(base).log10();
        let (low, high) = (range.low.log10() / unit, range.high.log10() / unit);
        let least = if base == 2 { 2.4 } else { 0.7 };
        let room = (0.06 * (high - low))
            .max(0.5 * (least - (high - low)))
            .max(if base == 2 { 0.25 } else { 0.05 });
        let (low, high) = (low - room, high + room);
        let powers = |exponent: f64| 10f64.powf(exponent * unit);
        let (first, last) = (low.ceil() as i64, high.floor() as i64);
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        let mut ticks = Vec::new();
        if base == 2 || count >= 2 {
            let stride = [1, 2, 3, 5, 10, 20, 50, 100]
                .into_iter()
                .find(|s| count <= wanted.max(2) * s);
            let stride = stride.unwrap_or(200) as i64;
            for exponent in first..=last {
                let label =
                    (exponent.rem_euclid(stride) == 0).then(|| Label::power(base, exponent));
                ticks.push(Tick {
                    value: powers(exponent as f64),
                    label,
                });
            }
            if base == 10 && stride == 1 {
                for exponent in first - 1..=last {
                    ticks.extend((2..10).map(|m| Tick {
                        value: f64::from(m) * powers(exponent as f64),
                        label: None,
                    }));
                }
            }
        } else {
            for exponent in low.floor() as i64..=last {
                for mantissa in 1..10u32 {
                    let label = [1, 2, 5]
                        .contains(&mantissa)
                        .then(|| multiple(mantissa, exponent));
                    ticks.push(Tick {
                        value: f64::from(mantissa) * powers(exponent as f64),
                        label,
                    });
                }
            }
        }
        let mut axis = Self {
            label,
            ticks: Vec::new(),
            factor: None,
            range: Extent {
                low: low * unit,
                high: high * unit,
            },
            log: true,
        };
        ticks.retain(|t| {
            axis.share(t.value)
                .is_some_and(|s| (0.0..=1.0).contains(&s))
        });
        ticks.sort_by(|a, b| a.value.total_cmp(&b.value));
        axis.ticks = ticks;
        axis
    }

    /// Where a value lies: 0 at the low end, 1 at the high end; none for what the axis cannot show.
    pub fn share(&self, value: f64) -> Option<f64> {
        let value = if self.log {
            (value > 0.0).then(|| value.log10())?
        } else {
            value
        };
        let share = (value - self.range.low) / (self.range.high - self.range.low);
        share.is_finite().then_some(share.clamp(-1e4, 1e4))
    }

    /// Whether the value is within the range.
    pub fn holds(&self, value: f64) -> bool {
        self.share(value)
            .is_some_and(|s| (-1e-9..=1.0 + 1e-9).contains(&s))
    }

    /// The low and high end as values.
    pub fn ends(&self) -> (f64, f64) {
        if self.log {
            (10f64.powf(self.range.low), 10f64.powf(self.range.high))
        } else {
            (self.range.low, self.range.high)
        }
    }

    /// Width of the widest tick label.
    pub fn label_room(&self) -> f64 {
        let ticks = self.ticks.iter().filter_map(|t| t.label.as_ref());
        ticks
            .chain(&self.factor)
            .map(|l| l.width(TICK_SIZE, false))
            .fold(0.0, f64::max)
    }
}

/// m·10^e: a plain decimal near 1.
fn multiple(mantissa: u32, exponent: i64) -> Label {
    if (-3..4).contains(&exponent) {
        let value = f64::from(mantissa) * 10f64.powi(exponent as i32);
        let decimals = usize::try_from(-exponent).unwrap_or(0);
        return Label::new(trimmed(&format!("{value:.decimals$}")));
    }
    match mantissa {
        1 => Label::power(10, exponent),
        m => Label::new(format!("{m}×")).join(&Label::power(10, exponent)),
    }
}

/// The nearest of 1, 2, 2.5, 5 times a power of ten that is at least `step`.
fn nice_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let unit = 10f64.powf(step.log10().floor());
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|n| n * unit >= step * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * unit
}

/// Decimals that tell multiples of `step` apart.
fn decimals_of(step: f64) -> usize {
    (0..12)
        .find(|&d| {
            let scaled = step * 10f64.powi(d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled && scaled.round() >= 1.0
        })
        .unwrap_or(3) as usize
}

/// A panel's drawing area with its two axes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Left edge in points.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
    /// Horizontal axis.
    pub x: &'a Axis,
    /// Vertical axis.
    pub y: &'a Axis,
}

impl Frame<'_> {
    /// Where a point falls, perhaps outside the frame; none for what the axes cannot show.
    pub fn place(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((self.place_x(x)?, self.place_y(y)?))
    }

    /// Where an x falls.
    pub fn place_x(&self, x: f64) -> Option<f64> {
        Some(self.left + self.x.share(x)? * (self.right - self.left))
    }

    /// Where a y falls.
    pub fn place_y(&self, y: f64) -> Option<f64> {
        Some(self.bottom - self.y.share(y)? * (self.bottom - self.top))
    }

    /// Where a point falls, when it is inside the frame.
    pub fn inside(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        if self.x.holds(x) && self.y.holds(y) {
            self.place(x, y)
        } else {
            None
        }
    }

    /// A line through data points, broken at what cannot be shown and cut at the frame.
    pub fn line(
        &self,
        pen: &mut Pen,
        points: impl IntoIterator<Item = (f64, f64)>,
        stroke: Stroke,
    ) {
        let mut run: Vec<(f64, f64)> = Vec::new();
        let mut last: Option<(f64, f64)> = None;
        for (x, y) in points {
            let here = self.place(x, y);
            if let (Some(from), Some(to)) = (last, here)
                && let Some((start, end)) = self.cut(from, to)
            {
                if run.last() != Some(&start) {
                    pen.line(&run, stroke);
                    run = vec![start];
                }
                run.push(end);
            }
            last = here;
        }
        pen.line(&run, stroke);
    }

    /// The part of a segment inside the frame (Liang–Barsky).
    fn cut(&self, from: (f64, f64), to: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        for (step, room) in [
            (-dx, from.0 - self.left),
            (dx, self.right - from.0),
            (-dy, from.1 - self.top),
            (dy, self.bottom - from.1),
        ] {
            if step == 0.0 {
                if room < -1e-9 {
                    return None;
                }
            } else if step < 0.0 {
                enter = enter.max(room / step);
            } else {
                leave = leave.min(room / step);
            }
        }
        let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
        let start = if enter > 0.0 { at(enter) } else { from };
        let end = if leave < 1.0 { at(leave) } else { to };
        (enter <= leave).then_some((start, end))
    }

    /// A filled band between two curves over the same x; broken where one is missing, cut at the frame.
    pub fn band(
        &self,
        pen: &mut Pen,
        points: impl IntoIterator<Item = (f64, f64, f64)>,
        color: Rgb,
        alpha: f64,
    ) {
        let mut upper: Vec<(f64, f64)> = Vec::new();
        let mut lower: Vec<(f64, f64)> = Vec::new();
        let close = |pen: &mut Pen, upper: &mut Vec<(f64, f64)>, lower: &mut Vec<(f64, f64)>| {
            let outline: Vec<(f64, f64)> = upper.drain(..).chain(lower.drain(..).rev()).collect();
            pen.polygon(&outline, color, alpha);
        };
        for (x, low, high) in points {
            let inner = |y: f64| y.clamp(self.top, self.bottom);
            let x = self
                .place_x(x)
                .filter(|x| (self.left - 1e-6..=self.right + 1e-6).contains(x));
            match (x, self.place_y(low), self.place_y(high)) {
                (Some(x), Some(low), Some(high)) => {
                    upper.push((x, inner(high)));
                    lower.push((x, inner(low)));
                }
                _ => close(pen, &mut upper, &mut lower),
            }
        }
        close(pen, &mut upper, &mut lower);
    }

    /// Box, ticks and tick labels; `x_labels` and `y_labels` say which sides are labelled.
    pub fn furnish(&self, pen: &mut Pen, x_labels: bool, y_labels: bool) {
        const MAJOR: f64 = 3.0;
        const MINOR: f64 = 1.6;
        let axis = Stroke::solid(INK, 0.6);
        for tick in &self.x.ticks {
            let Some(x) = self.place_x(tick.value) else {
                continue;
            };
            let length = if tick.label.is_some() { MAJOR } else { MINOR };
            pen.line(&[(x, self.bottom), (x, self.bottom - length)], axis);
            if let Some(label) = tick.label.as_ref().filter(|_| x_labels) {
                pen.text(
                    (x, self.bottom + TICK_SIZE + 2.0),
                    label,
                    Type::new(TICK_SIZE, Anchor::Middle),
                );
            }
        }
        for tick in &self.y.ticks {
            let Some(y) = self.place_y(tick.value) else {
                continue;
            };
            let length = if tick.label.is_some() { MAJOR } else { MINOR };
            pen.line(&[(self.left, y), (self.left + length, y)], axis);
            if let Some(label) = tick.label.as_ref().filter(|_| y_labels) {
                let at = (self.left - 3.0, y + 0.36 * TICK_SIZE);
                pen.text(at, label, Type::new(TICK_SIZE, Anchor::End));
            }
        }
        if let Some(factor) = self.x.factor.as_ref().filter(|_| x_labels) {
            let at = (self.right, self.bottom + TICK_SIZE + LABEL_SIZE + 5.0);
            pen.text(
                at,
                factor,
                Type::new(TICK_SIZE, Anchor::End).color(theme::QUIET),
            );
        }
        if let Some(factor) = self.y.factor.as_ref().filter(|_| y_labels) {
            pen.text(
                (self.left - 3.0, self.top - 3.5),
                factor,
                Type::new(TICK_SIZE, Anchor::End).color(theme::QUIET),
            );
        }
        let (l, t, r, b) = (self.left, self.top, self.right, self.bottom);
        pen.line(&[(l, t), (r, t), (r, b), (l, b), (l, t), (r, t)], axis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks
            .iter()
            .filter_map(|t| t.label.as_ref())
            .map(Label::plain)
            .collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let axis = Axis::linear(
            Extent {
                low: -0.1,
                high: 1.1,
            },
            Label::default(),
            4,
        );
        assert_eq!(
            labels(&axis),
            ["0.0", "0.5", "1.0"].map(|s| if s == "0.0" { "0" } else { s })
        );
        let small = Axis::linear(
            Extent {
                low: 0.0,
                high: 0.004,
            },
            Label::default(),
            4,
        );
        assert_eq!(labels(&small), ["0", "1", "2", "3", "4"]);
        assert_eq!(small.factor.map(|f| f.plain()).as_deref(), Some("×10^−3"));
    }

    #[test]
    fn log_axes_keep_the_ticks_at_their_ends() {
        let eta = Axis::log(
            Extent {
                low: 2f64.powi(-9),
                high: 2f64.powi(-3),
            },
            Label::default(),
            2,
            8,
        );
        assert_eq!(labels(&eta).first().map(String::as_str), Some("2^−9"));
        assert_eq!(labels(&eta).last().map(String::as_str), Some("2^−3"));
        let error = Axis::log(
            Extent {
                low: 1e-3,
                high: 1e-1,
            },
            Label::default(),
            10,
            5,
        );
        assert_eq!(labels(&error), ["10^−3", "10^−2", "10^−1"]);
        assert!(error.ticks.len() > 15, "minor ticks");
        let wide = Axis::log(
            Extent {
                low: 2f64.powi(-30),
                high: 0.5,
            },
            Label::default(),
            2,
            6,
        );
        assert_eq!(
            labels(&wide),
            ["2^−30", "2^−25", "2^−20", "2^−15", "2^−10", "2^−5"]
        );
    }

    #[test]
    fn every_range_has_two_labels() {
        for (low, high) in [
            (1.0, 1.05),
            (3.0, 8.0),
            (0.0123, 0.0124),
            (5e-9, 6e-9),
            (1e-140, 1e140),
            (0.2, 2.0),
        ] {
            for base in [2, 10] {
                let axis = Axis::log(Extent { low, high }, Label::default(), base, 5);
                let n = labels(&axis).len();
                assert!((2..=10).contains(&n), "{low} {high} {base}: {n}");
                assert!(axis.holds(low) && axis.holds(high));
            }
            let n = labels(&Axis::linear(Extent { low, high }, Label::default(), 5)).len();
            assert!((2..=9).contains(&n), "{low} {high}: {n}");
        }
    }

    #[test]
    fn nonsense_ranges_are_survived() {
        for range in [
            Extent::EMPTY,
            Extent::of([f64::NAN]),
            Extent::of([0.0]),
            Extent::of([-2.0, -2.0]),
        ] {
            assert!(!labels(&Axis::linear(range.padded(0.1, 0.1), Label::default(), 4)).is_empty());
            assert!(!labels(&Axis::log(range, Label::default(), 10, 4)).is_empty());
        }
        assert_eq!(
            Axis::log(Extent::EMPTY, Label::default(), 10, 4).share(-1.0),
            None
        );
    }

    #[test]
    fn lines_are_cut_at_the_frame() {
        let x = Axis::linear(
            Extent {
                low: 0.0,
                high: 1.0,
            },
            Label::default(),
            4,
        );
        let frame = Frame {
            left: 0.0,
            top: 0.0,
            right: 10.0,
            bottom: 10.0,
            x: &x,
            y: &x,
        };
        assert_eq!(
            frame.cut((-5.0, 5.0), (15.0, 5.0)),
            Some(((0.0, 5.0), (10.0, 5.0)))
        );
        assert_eq!(frame.cut((-5.0, -5.0), (-1.0, 15.0)), None);
        assert_eq!(
            frame.cut((2.0, 2.0), (3.0, 3.0)),
            Some(((2.0, 2.0), (3.0, 3.0)))
        );
        assert_eq!(frame.inside(1.5, 0.5), None);
    }
}
