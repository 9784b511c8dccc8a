//! A panel's frame: places data on its axes, cuts lines and bands at its edges, draws box, ticks and tick labels.

use super::axes::Axis;
use super::canvas::{Anchor, Pen, Stroke, Type};
use super::theme::{self, INK, LABEL_SIZE, Rgb, TICK_SIZE};

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
    use crate::report::plots::axes::Extent;
    use crate::report::plots::text::Label;

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
