//! Axes: ranges from data and ticks (linear, base 2, base 10).

use super::text::{Label, minus, trimmed};
use super::theme::TICK_SIZE;

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
    /// Range in the scale's own coordinate.
    range: Extent,
    scale: Scale,
}

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    /// log₁₀.
    Log,
    /// asinh(v / width): linear within ± width, logarithmic beyond.
    SignedLog(f64),
}

impl Scale {
    fn forward(self, value: f64) -> Option<f64> {
        match self {
            Self::Linear => Some(value),
            Self::Log => (value > 0.0).then(|| value.log10()),
            Self::SignedLog(width) => Some((value / width).asinh()),
        }
    }

    fn back(self, coordinate: f64) -> f64 {
        match self {
            Self::Linear => coordinate,
            Self::Log => 10f64.powf(coordinate),
            Self::SignedLog(width) => width * coordinate.sinh(),
        }
    }
}

impl Axis {
    /// A linear axis over exactly `range`, with about `wanted` ticks.
    pub fn linear(range: Extent, label: Label, wanted: usize) -> Self {
        let range = if range.length() > 0.0 {
            range
        } else {
            range.padded(0.0, 0.0)
        };
        let held =
            |step: f64| (range.high / step + 1e-9).floor() - (range.low / step - 1e-9).ceil() + 1.0;
        let wanted = wanted.max(1);
        let step = (wanted..wanted + 3)
            .map(|n| nice_step(range.length() / n as f64))
            .find(|&step| held(step) >= 3.0)
            .unwrap_or(nice_step(range.length() / wanted as f64));
        let size = range.low.abs().max(range.high.abs());
        let exponent = if !(1e-2..1e4).contains(&size) {
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
            scale: Scale::Linear,
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
            .min(0.8)
            .max(0.5 * (least - (high - low)))
            .max(if base == 2 { 0.25 } else { 0.05 });
        let (low, high) = (low - room, high + room);
        let powers = |exponent: f64| 10f64.powf(exponent * unit);
        let (first, last) = (low.ceil() as i64, high.floor() as i64);
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        let mut ticks = Vec::new();
        let (decade_first, decade_last) = (low.floor() as i64, high.floor() as i64);
        let halves = (decade_first..=decade_last)
            .take(5)
            .flat_map(|e| [1, 2, 5].map(|m| f64::from(m).log10() + e as f64));
        let fine = halves.filter(|v| (low..=high).contains(v)).count();
        if base == 2 || (count >= 2 && (count > 3 || fine > wanted)) {
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
            for exponent in decade_first..=decade_last {
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
            scale: Scale::Log,
        };
        ticks.retain(|t| {
            axis.share(t.value)
                .is_some_and(|s| (0.0..=1.0).contains(&s))
        });
        ticks.sort_by(|a, b| a.value.total_cmp(&b.value));
        axis.ticks = ticks;
        axis
    }

    /// An axis through 0 that is linear within about ± `width` and logarithmic beyond, with ticks at powers of ten.
    pub fn signed_log(range: Extent, label: Label, width: f64) -> Self {
        let size = range.low.abs().max(range.high.abs());
        if !(width > 0.0 && size > width && size < HUGE) {
            return Self::linear(range.padded(0.06, 0.06), label, 5);
        }
        let scale = Scale::SignedLog(width);
        let ends = [range.low.min(0.0), range.high.max(0.0)].map(|v| (v / width).asinh());
        let range = Extent {
            low: ends[0],
            high: ends[1],
        }
        .padded(0.06, 0.06);
        let (first, last) = (width.log10().ceil() as i64, size.log10().floor() as i64 + 1);
        let stride = ((last - first) / 3).max(1);
        let mut axis = Self {
            label,
            ticks: Vec::new(),
            factor: None,
            range,
            scale,
        };
        axis.ticks.push(Tick {
            value: 0.0,
            label: Some(Label::new("0")),
        });
        for exponent in first - 1..=last {
            let named = exponent >= first && (exponent - first) % stride == 0;
            for sign in [1.0, -1.0] {
                let power = Label::power(10, exponent);
                let power = if sign < 0.0 {
                    Label::new("−").join(&power)
                } else {
                    power
                };
                let value = sign * 10f64.powi(exponent as i32);
                axis.ticks.push(Tick {
                    value,
                    label: named.then_some(power),
                });
                let minor = (2..10).map(|m| Tick {
                    value: f64::from(m) * value,
                    label: None,
                });
                axis.ticks.extend(minor);
            }
        }
        let shares: Vec<bool> = axis.ticks.iter().map(|t| axis.holds(t.value)).collect();
        let mut held = shares.into_iter();
        axis.ticks.retain(|_| held.next().unwrap_or(false));
        axis
    }

    /// Leaves out labels until neighbours have room on an axis of `length` points.
    pub fn thin_labels(&mut self, length: f64) {
        let labelled: Vec<usize> = (0..self.ticks.len())
            .filter(|&i| self.ticks[i].label.is_some())
            .collect();
        let ends = |i: usize| {
            let tick = &self.ticks[i];
            let half = 0.5 * tick.label.as_ref()?.width(TICK_SIZE, false);
            let at = length * self.share(tick.value)?;
            Some((at - half, at + half))
        };
        let fits = |stride: usize| {
            let kept: Vec<(f64, f64)> = labelled
                .iter()
                .step_by(stride)
                .filter_map(|&i| ends(i))
                .collect();
            kept.windows(2).all(|p| p[1].0 - p[0].1 > 3.0)
        };
        let stride = (1..labelled.len()).find(|&s| fits(s)).unwrap_or(1);
        let dropped = labelled.iter().enumerate().filter(|(k, _)| k % stride > 0);
        let dropped: Vec<usize> = dropped.map(|(_, &i)| i).collect();
        for i in dropped {
            self.ticks[i].label = None;
        }
    }

    /// Cuts labels to `room` points.
    pub fn cut_labels(&mut self, room: f64) {
        for label in self.ticks.iter_mut().filter_map(|t| t.label.as_mut()) {
            *label = label.fitted(TICK_SIZE, false, room);
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end; none for what the axis cannot show.
    pub fn share(&self, value: f64) -> Option<f64> {
        let value = self.scale.forward(value)?;
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
        (
            self.scale.back(self.range.low),
            self.scale.back(self.range.high),
        )
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
            7,
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
    fn signed_log_axes_are_symmetric() {
        let axis = Axis::signed_log(
            Extent {
                low: -0.4,
                high: 0.4,
            },
            Label::default(),
            0.002,
        );
        assert!(
            labels(&axis).contains(&"−10^−1".to_owned()) && labels(&axis).contains(&"0".to_owned())
        );
        assert!((axis.share(0.0).unwrap_or(0.0) - 0.5).abs() < 1e-12);
        assert!(axis.holds(-0.4) && !axis.holds(-0.9));
        assert!((axis.ends().0 + axis.ends().1).abs() < 1e-12);
        assert!(!labels(&Axis::signed_log(Extent::EMPTY, Label::default(), f64::NAN)).is_empty());
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
}
