//! The canvas: plotters' SVG backend in eighths of a point, so that its whole-pixel coordinates are fine enough for print.
//!
//! All lengths are points (1/72 in), y downwards. Whatever is not finite is left out.

use plotters::prelude::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle};

use super::compact::{compact, taken};
use super::fonts::{self, FAMILY};
use super::text::{Label, escaped};
use super::theme::{Dash, Marker, Rgb};
use super::{FigureError, theme};

/// Backend pixels per point.
const FINE: f64 = 8.0;
/// plotters divides font sizes by this before it writes them.
const PLOTTERS_FONT: f64 = 1.24;
/// plotters' `dy` of top-anchored text: the baseline lies this many ems below the anchor.
const TOP_ANCHOR: f64 = 0.76;
/// Private-use characters around the index of a label in the raw SVG.
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Width of a single-column figure: 3.4 in.
pub const SINGLE_COLUMN: f64 = 3.4 * 72.0;
/// Width of a double-column figure: 7.0 in.
pub const DOUBLE_COLUMN: f64 = 7.0 * 72.0;

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub color: Rgb,
    /// Width in points.
    pub width: f64,
    /// Opacity, 0 to 1.
    pub alpha: f64,
    /// Dash pattern.
    pub dash: Dash,
}

impl Stroke {
    /// A solid opaque line.
    pub const fn solid(color: Rgb, width: f64) -> Self {
        Self {
            color,
            width,
            alpha: 1.0,
            dash: Dash::Solid,
        }
    }

    /// The same line with another dash pattern.
    #[must_use]
    pub const fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    /// The same line with another opacity.
    #[must_use]
    pub const fn faded(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

/// Which point of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The left end of the baseline.
    Start,
    /// The middle of the baseline.
    Middle,
    /// The right end of the baseline.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Type {
    /// Size in points.
    pub size: f64,
    /// Bold face.
    pub bold: bool,
    /// Colour.
    pub color: Rgb,
    /// Which point the position names.
    pub anchor: Anchor,
    /// Reading upwards.
    pub upwards: bool,
}

impl Type {
    /// Upright text in the ink colour.
    pub const fn new(size: f64, anchor: Anchor) -> Self {
        Self {
            size,
            bold: false,
            color: theme::INK,
            anchor,
            upwards: false,
        }
    }

    /// The same in bold.
    #[must_use]
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same in another colour.
    #[must_use]
    pub const fn color(self, color: Rgb) -> Self {
        Self { color, ..self }
    }

    /// The same reading upwards.
    #[must_use]
    pub const fn upwards(self) -> Self {
        Self {
            upwards: true,
            ..self
        }
    }
}

/// Draws on the canvas. The first error is kept and reported by [`draw`].
pub struct Pen<'a> {
    backend: SVGBackend<'a>,
    labels: Vec<String>,
    failure: Option<String>,
}

/// Draws an SVG of `width` × `height` points; `title` is its description for screen readers.
///
/// # Errors
/// [`FigureError::Draw`] when the backend fails.
pub fn draw(
    width: f64,
    height: f64,
    title: &str,
    content: impl FnOnce(&mut Pen),
) -> Result<String, FigureError> {
    fonts::register();
    let mut raw = String::new();
    let pixels = |points: f64| fine(points).unsigned_abs().max(1);
    let (labels, failure) = {
        let backend = SVGBackend::with_string(&mut raw, (pixels(width), pixels(height)));
        let mut pen = Pen {
            backend,
            labels: Vec::new(),
            failure: None,
        };
        content(&mut pen);
        let presented = pen.backend.present();
        pen.check(presented);
        (pen.labels, pen.failure)
    };
    match failure {
        Some(reason) => Err(FigureError::Draw(reason)),
        None => Ok(finished(&raw, &labels, width, height, title)),
    }
}

/// The raw SVG with its physical size, and with the labels put in for their indices.
fn finished(raw: &str, labels: &[String], width: f64, height: f64, title: &str) -> String {
    let body = raw.split_once('\n').map_or("", |(_, body)| body);
    let mut svg = format!(
        "<svg width=\"{:.4}in\" height=\"{:.4}in\" viewBox=\"0 0 {:.1} {:.1}\" xmlns=\"http://www.w3.org/2000/svg\" \
         stroke-linejoin=\"round\" font-family=\"{FAMILY}\">\n<title>{}</title>\n",
        width / 72.0,
        height / 72.0,
        width * FINE,
        height * FINE,
        escaped(title)
    );
    let mut rest = body;
    while let Some((before, after)) = rest.split_once(OPEN) {
        svg.push_str(before.strip_suffix('\n').unwrap_or(before));
        let (index, tail) = after.split_once(CLOSE).unwrap_or(("", after));
        if let Some(label) = index.parse::<usize>().ok().and_then(|i| labels.get(i)) {
            svg.push_str(label);
        }
        rest = tail.strip_prefix('\n').unwrap_or(tail);
    }
    svg.push_str(rest);
    let lines: String = svg.lines().map(inked).collect();
    compact(&lines)
}

/// A line of the SVG with the opacity of its fill or stroke for that of a group, which every reader would draw apart.
fn inked(line: &str) -> String {
    if let Some(text) = set(line) {
        return text;
    }
    let line = line.replace(" opacity=\"1\"", "") + "\n";
    if line.starts_with("<polygon") || line.contains(" stroke=\"none\"") {
        line.replacen(" opacity=", " fill-opacity=", 1)
    } else if line.contains(" fill=\"none\"") {
        line.replacen(" opacity=", " stroke-opacity=", 1)
    } else {
        line
    }
}

/// A text element without what the whole drawing says or what is said by default, with its baseline as y.
fn set(line: &str) -> Option<String> {
    let (attributes, content) = line.strip_prefix("<text")?.split_once('>')?;
    let (y, rest) = taken(attributes, "y")?;
    let (drop, rest) = taken(&rest, "dy")?;
    let (size, rest) = taken(&rest, "font-size")?;
    let (anchor, rest) = taken(&rest, "text-anchor")?;
    let (_family, rest) = taken(&rest, "font-family")?;
    let size: f64 = size.parse().ok()?;
    let drop: f64 = drop.strip_suffix("em")?.parse().ok()?;
    let y = y.parse::<f64>().ok()? + drop * size;
    let (x, rest) = taken(&rest, "x")?;
    let rest = rest.replace(" opacity=\"1\"", "");
    let anchor = match anchor.as_str() {
        "start" => String::new(),
        other => format!(" text-anchor=\"{other}\""),
    };
    Some(format!(
        "<text x=\"{x}\" y=\"{:.0}\" font-size=\"{}\"{anchor}{rest}>{content}\n",
        y,
        (100.0 * size).round() / 100.0
    ))
}

impl Pen<'_> {
    fn check<E: std::fmt::Display>(&mut self, outcome: Result<(), E>) {
        if let (Err(error), None) = (outcome, &self.failure) {
            self.failure = Some(error.to_string());
        }
    }

    /// The paper of a canvas of this size; without it the drawing is transparent.
    pub fn paper(&mut self, width: f64, height: f64) {
        self.rectangle(0.0, 0.0, width, height, theme::PAPER, 1.0);
    }

    /// A line through points; dashes are cut here because the backend has none.
    pub fn line(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let pattern = stroke.dash.pattern();
        if pattern.is_empty() {
            self.solid(points, stroke);
            return;
        }
        for piece in dashes(points, pattern) {
            self.solid(&piece, stroke);
        }
    }

    fn solid(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let path = pixels(points);
        if path.len() < 2 {
            return;
        }
        let style = ShapeStyle {
            color: stroke.color.plotters(stroke.alpha),
            filled: false,
            stroke_width: fine(stroke.width).unsigned_abs().max(1),
        };
        let drawn = self.backend.draw_path(path, &style);
        self.check(drawn);
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[(f64, f64)], color: Rgb, alpha: f64) {
        let path = pixels(points);
        if path.len() < 3 {
            return;
        }
        let drawn = self.backend.fill_polygon(path, &color.plotters(alpha));
        self.check(drawn);
    }

    /// A filled rectangle by two opposite corners.
    pub fn rectangle(&mut self, x0: f64, y0: f64, x1: f64, y1: f64, color: Rgb, alpha: f64) {
        self.polygon(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, alpha);
    }

    /// Parallel lines that rise to the right over the rectangle between two corners.
    pub fn hatch(&mut self, (left, top): (f64, f64), (right, bottom): (f64, f64), stroke: Stroke) {
        const APART: f64 = 3.2;
        let (wide, high) = (right - left, bottom - top);
        if !(wide > 0.0 && high > 0.0 && wide + high < 1e5) {
            return;
        }
        for k in 1..((wide + high) / APART) as usize + 1 {
            // From the left or lower side to the upper or right one.
            let reach = APART * k as f64;
            let (from, to) = ((reach - high).max(0.0), reach.min(wide));
            let at = |x: f64| (left + x, top + reach - x);
            if to > from {
                self.line(&[at(from), at(to)], stroke);
            }
        }
    }

    /// A marker; hollow ones are filled with paper.
    pub fn marker(&mut self, at: (f64, f64), marker: Marker, size: f64, color: Rgb, hollow: bool) {
        let outline: Vec<(f64, f64)> = marker
            .outline()
            .iter()
            .map(|&(x, y)| (at.0 + size * x, at.1 + size * y))
            .collect();
        self.polygon(&outline, if hollow { theme::PAPER } else { color }, 1.0);
        let mut closed = outline;
        closed.extend(closed.first().copied());
        closed.extend(closed.get(1).copied());
        self.solid(&closed, Stroke::solid(color, 0.75));
    }

    /// A small marker without an outline, for clouds of points.
    pub fn speck(&mut self, at: (f64, f64), marker: Marker, size: f64, color: Rgb, alpha: f64) {
        if !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        if marker == Marker::Circle {
            let radius = fine(size).unsigned_abs().max(1);
            let style = ShapeStyle {
                color: color.plotters(alpha),
                filled: true,
                stroke_width: 0,
            };
            let centre = (fine(at.0), fine(at.1));
            let drawn = self.backend.draw_circle(centre, radius, &style, true);
            self.check(drawn);
            return;
        }
        let corners = marker.outline().into_iter();
        let outline: Vec<(f64, f64)> = corners
            .map(|(x, y)| (at.0 + size * x, at.1 + size * y))
            .collect();
        self.polygon(&outline, color, alpha);
    }

    /// A label with its baseline at `at`.
    pub fn text(&mut self, at: (f64, f64), label: &Label, set: Type) {
        if label.is_empty() || !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        let rise = TOP_ANCHOR * set.size;
        let (x, y) = if set.upwards {
            (at.0 - rise, at.1)
        } else {
            (at.0, at.1 - rise)
        };
        let h_pos = match set.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let font = plotters::style::FontDesc::new(
            FontFamily::Name(FAMILY),
            set.size * FINE * PLOTTERS_FONT,
            if set.bold {
                FontStyle::Bold
            } else {
                FontStyle::Normal
            },
        );
        let font = if set.upwards {
            font.transform(FontTransform::Rotate270)
        } else {
            font
        };
        let Rgb(r, g, b) = set.color;
        let ink = RGBColor(r, g, b);
        let style = TextStyle::from(font)
            .color(&ink)
            .pos(Pos::new(h_pos, VPos::Top));
        let placeholder = format!("{OPEN}{}{CLOSE}", self.labels.len());
        self.labels.push(label.xml());
        let drawn = self
            .backend
            .draw_text(&placeholder, &style, (fine(x), fine(y)));
        self.check(drawn);
    }
}

/// Points to backend pixels.
fn fine(points: f64) -> i32 {
    (points * FINE).round() as i32
}

/// Finite points as backend pixels, without repetitions.
fn pixels(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut path: Vec<(i32, i32)> = points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|&(x, y)| (fine(x), fine(y)))
        .collect();
    path.dedup();
    path
}

/// Cuts a line into dashes by lengths on, off, on, off …
fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    let (mut phase, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        if !length.is_finite() || length > 1e5 {
            return vec![points.to_vec()];
        }
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let at = (
                from.0 + share * (to.0 - from.0),
                from.1 + share * (to.1 - from.1),
            );
            if phase % 2 == 0 {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase].max(0.1);
        }
        left -= length - done;
        if phase % 2 == 0 {
            piece.push(to);
        }
    }
    if phase % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_dashes() {
        let pieces = dashes(&[(0.0, 0.0), (10.0, 0.0)], &[3.0, 2.0]);
        assert_eq!(
            pieces,
            [vec![(0.0, 0.0), (3.0, 0.0)], vec![(5.0, 0.0), (8.0, 0.0)]]
        );
    }

    #[test]
    fn dashes_go_round_corners() {
        let pieces = dashes(&[(0.0, 0.0), (2.0, 0.0), (2.0, 4.0)], &[3.0, 1.0]);
        assert_eq!(pieces[0], [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0)]);
        assert_eq!(pieces[1], [(2.0, 2.0), (2.0, 4.0)]);
    }

    #[test]
    fn a_hatch_stays_inside_its_rectangle() {
        let svg = draw(100.0, 100.0, "", |pen| {
            pen.hatch((10.0, 20.0), (40.0, 30.0), Stroke::solid(theme::INK, 0.5));
        })
        .expect("drawn");
        let parsed = crate::report::plots::export::Parsed::new(&svg).expect("parsed");
        let image = parsed.raster(200).expect("an image");
        let dark = |(k, p): (usize, [u8; 3])| (p[0] < 200).then_some((k % 200, k / 200));
        let inked: Vec<(usize, usize)> = image.pixels().enumerate().filter_map(dark).collect();
        assert!(inked.len() > 100);
        for (x, y) in inked {
            assert!((19..=81).contains(&x) && (39..=61).contains(&y), "{x} {y}");
        }
    }

    #[test]
    fn labels_and_sizes_reach_the_svg() {
        let svg = draw(SINGLE_COLUMN, 72.0, "a < b", |pen| {
            pen.text(
                (10.0, 20.0),
                &Label::power(10, -3),
                Type::new(7.0, Anchor::Start),
            );
            pen.line(
                &[(f64::NAN, 0.0), (1.0, 1.0)],
                Stroke::solid(theme::INK, 1.0),
            );
        })
        .expect("drawn");
        assert!(svg.starts_with(
            "<svg width=\"3.4000in\" height=\"1.0000in\" viewBox=\"0 0 1958.4 576.0\""
        ));
        assert!(
            svg.contains(">10<tspan dy=\"-0.500em\" font-size=\"72%\">−3</tspan></text>"),
            "{svg}"
        );
        assert!(svg.contains("<title>a &lt; b</title>"));
        assert!(!svg.contains("polyline") && !svg.contains(OPEN));
        assert!(svg.contains("font-size=\"56\""));
    }
}
