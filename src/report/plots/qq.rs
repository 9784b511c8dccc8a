//! Quantiles of the left process against those of the right one at the end, one panel a comparison: equal laws lie on the diagonal.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::error_ladder::columns_for;
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::{self, Label};
use super::theme::{Dash, FAINT, INK, Marker, QUIET, Rgb};
use super::{comparison_title, file_names, function_name, process_name, projected, shown_cells};
use crate::report::result::{Cell, Histogram, ProcessSummary, ScenarioResult};

/// Panels in one figure.
const MOST_PANELS: usize = 9;
/// Points of one curve.
const POINTS: usize = 60;
/// Quantiles with fewer paths beyond them are not shown.
const BEYOND: f64 = 4.0;
/// Share of samples of one law that keep within the band at all quantiles together.
const LEVEL: f64 = 0.95;
/// The smallest η, and the largest.
const FINE: (Rgb, Marker) = (Rgb(51, 34, 136), Marker::Circle);
const COARSE: (Rgb, Marker) = (Rgb(204, 102, 119), Marker::Diamond);

/// One figure for a monitored function and up to nine comparisons.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let shown = |p: &ProcessSummary| p.histograms.iter().any(usable);
    let cells = shown_cells(result, &shown);
    let summaries = || cells.iter().flatten().flat_map(|c| &c.processes);
    let mut functions: Vec<usize> = summaries()
        .flat_map(|p| &p.histograms)
        .filter(|h| usable(h))
        .map(|h| h.function)
        .collect();
    functions.sort_unstable();
    functions.dedup();
    let mut parts: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
    for function in functions {
        let has = |process: usize| {
            cells
                .iter()
                .flatten()
                .any(|c| last(c, process, function).is_some())
        };
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for comparison in &result.comparisons {
            let pair = (comparison.left, comparison.right);
            if !pairs.contains(&pair) && has(pair.0) && has(pair.1) {
                pairs.push(pair);
            }
        }
        parts.extend(
            pairs
                .chunks(MOST_PANELS)
                .map(|chunk| (function, chunk.to_vec())),
        );
    }
    let names: Vec<String> = parts
        .iter()
        .map(|(f, _)| function_name(result, *f))
        .collect();
    let files = file_names("qq", &names);
    let parts = parts.into_iter().zip(files);
    parts
        .map(|((function, pairs), file)| sheet(result, &cells, function, &pairs, file))
        .filter(|s| !s.panels.is_empty())
        .collect()
}

fn usable(histogram: &Histogram) -> bool {
    total(histogram) > 2.0 * BEYOND
        && histogram.width > 0.0
        && histogram.width < 1e150
        && histogram.origin.abs() < 1e150
}

fn total(histogram: &Histogram) -> f64 {
    histogram.counts.iter().map(|&c| c as f64).sum()
}

/// The latest histogram of a function.
fn last(cell: &Cell, process: usize, function: usize) -> Option<&Histogram> {
    let all = cell.processes.get(process)?.histograms.iter();
    all.filter(|h| h.function == function && usable(h) && h.time.is_finite())
        .max_by(|a, b| a.time.total_cmp(&b.time))
}

/// The quantile of a histogram, linear within bins.
fn quantile(histogram: &Histogram, probability: f64) -> f64 {
    let wanted = probability.clamp(0.0, 1.0) * total(histogram);
    let mut below = 0.0;
    for (bin, &count) in histogram.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
        let count = count as f64;
        if below + count >= wanted {
            let share = (wanted - below) / count;
            return histogram.origin + (bin as f64 + share) * histogram.width;
        }
        below += count;
    }
    f64::NAN
}

/// What one panel shows of one η.
struct Curve {
    look: (Rgb, Marker),
    /// Right and left quantiles.
    points: Vec<(f64, f64)>,
    /// For a right quantile: where the left one lies if the laws are one.
    band: Vec<(f64, f64, f64)>,
}

/// Probabilities whose quantiles have paths beyond them, closer at the ends.
fn probabilities(paths: f64) -> impl Iterator<Item = f64> {
    let least = (BEYOND / paths).min(0.25);
    // Even on the logit scale.
    let reach = (1.0 / least - 1.0).ln();
    (0..POINTS).map(move |k| {
        let logit = reach * (2.0 * k as f64 / (POINTS - 1) as f64 - 1.0);
        1.0 / (1.0 + (-logit).exp())
    })
}

fn curve(left: &Histogram, right: &Histogram, look: (Rgb, Marker)) -> Curve {
    let (n, m) = (total(left), total(right));
    // Two-sample Dvoretzky–Kiefer–Wolfowitz.
    let reach = (0.5 * (2.0 / (1.0 - LEVEL)).ln() * (n + m) / (n * m)).sqrt();
    let all = || probabilities(n.min(m));
    Curve {
        look,
        points: all()
            .map(|p| (quantile(right, p), quantile(left, p)))
            .collect(),
        band: all()
            .map(|p| {
                (
                    quantile(right, p),
                    quantile(right, p - reach),
                    quantile(right, p + reach),
                )
            })
            .collect(),
    }
}

fn sheet<'a>(
    result: &'a ScenarioResult,
    cells: &[Option<&'a Cell>; 2],
    function: usize,
    pairs: &[(usize, usize)],
    name: String,
) -> Sheet<'a> {
    let [fine, coarse] = cells;
    let symbol = Label::function(&function_name(result, function));
    let columns = columns_for(pairs.len());
    let mut time = f64::NAN;
    let mut panels: Vec<Panel<'a>> = Vec::new();
    for &(left, right) in pairs {
        let mut curves = Vec::new();
        for (cell, look) in [(coarse, COARSE), (fine, FINE)] {
            let Some(cell) = cell else { continue };
            if let (Some(l), Some(r)) = (last(cell, left, function), last(cell, right, function)) {
                curves.push(curve(l, r, look));
                time = l.time;
            }
        }
        let values = curves
            .iter()
            .flat_map(|c| &c.points)
            .flat_map(|p| [p.0, p.1]);
        let range = Extent::of(values).padded(0.05, 0.05);
        let wanted = if columns > 2 { 4 } else { 5 };
        let comparison = result
            .comparisons
            .iter()
            .find(|c| (c.left, c.right) == (left, right));
        panels.push(Panel {
            title: comparison.map_or_else(Label::default, |c| comparison_title(result, c)),
            notes: Vec::new(),
            x: Axis::linear(range, symbol.clone().then(" of the second"), wanted),
            y: Axis::linear(range, symbol.clone().then(" of the first"), wanted),
            isometric: true,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, &curves)),
        });
    }
    let eta = |cell: &Cell| Label::new("η = ").join(&text::learning_rate(cell.eta));
    let mut legend = Vec::new();
    for (cell, (color, marker)) in [(fine, FINE), (coarse, COARSE)] {
        if let Some(cell) = cell {
            let stroke = Stroke::solid(color, 0.8);
            legend.push(Entry::new(Sample::Marked(stroke, marker, true), eta(cell)));
        }
    }
    legend.push(Entry::guide(
        INK,
        0.6,
        Dash::Solid,
        Label::new("equal laws"),
    ));
    let percent = text::percent(LEVEL);
    legend.push(Entry::new(
        Sample::Area(FAINT, 0.5, Stroke::solid(QUIET, 0.0).faded(0.0)),
        Label::new(format!("sampling noise ({percent} %)")),
    ));
    let first = pairs.first().map_or(0, |p| p.0);
    Sheet {
        name,
        caption: format!(
            "Quantile–quantile plots of {} at t = {}: quantiles of the first process ({}, …) against those of the second, from the \
             {} outermost paths at either end inwards, at the smallest and the largest η at which all processes run; on the diagonal \
             the laws are equal, and curves of two independent samples of one law, as many paths each, stay within the shaded band at \
             the smallest η with probability {percent} %{}.",
            symbol.plain(),
            text::number(time).plain(),
            process_name(result, first),
            BEYOND,
            projected(result.scenario.regime),
        ),
        title: result.scenario.title.clone(),
        remark: Label::italic(Label::default(), "t")
            .then(" = ")
            .join(&text::number(time)),
        legend,
        panels,
        columns,
        heights: vec![if columns > 2 { 128.0 } else { 190.0 }],
        share_y: false,
        share_x: false,
        width: Width::Natural,
    }
}

fn draw(pen: &mut Pen, frame: &Frame, curves: &[Curve]) {
    if let Some(fine) = curves.last() {
        frame.band(pen, fine.band.iter().copied(), FAINT, 0.5);
    }
    let (low, high) = frame.x.ends();
    frame.line(pen, [(low, low), (high, high)], Stroke::solid(INK, 0.5));
    for curve in curves {
        let (color, marker) = curve.look;
        frame.line(pen, curve.points.iter().copied(), Stroke::solid(color, 0.7));
        let mut drawn: Option<(f64, f64)> = None;
        for &(x, y) in &curve.points {
            let Some(at) = frame.inside(x, y) else {
                continue;
            };
            // Markers that can be told apart.
            if drawn.is_none_or(|d| (d.0 - at.0).hypot(d.1 - at.1) > 5.0) {
                pen.marker(at, marker, 1.4, color, true);
                drawn = Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_histograms_are_linear_within_bins() {
        let histogram = Histogram {
            function: 0,
            time: 1.0,
            origin: -1.0,
            width: 0.5,
            counts: vec![0, 10, 0, 30],
            gaussian: None,
            density: vec![],
        };
        assert_eq!(quantile(&histogram, 0.125), -0.25);
        assert_eq!(quantile(&histogram, 0.25), 0.0);
        assert_eq!(quantile(&histogram, 0.625), 0.75);
        assert_eq!(quantile(&histogram, 1.0), 1.0);
        let all: Vec<f64> = probabilities(1000.0).collect();
        assert!((all[0] - 0.004).abs() < 1e-12 && (all[POINTS - 1] - 0.996).abs() < 1e-12);
    }
}
