//! Quantile bands against time, one panel a comparison: the right process filled, the left one in outline.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::{self, Label};
use super::theme::{self, Dash, Look, QUIET};
use super::{clock, function_name, monitored_sheets, process_name, projected, time_label};
use crate::report::result::{Cell, ProcessSummary, QuantileBand, ScenarioResult};

/// Panels in one figure.
const MOST_PANELS: usize = 24;

/// One figure a monitored function at the smallest η at which all processes run, where the limit shows, and one at the
/// largest, where the processes differ most.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let shown = |p: &ProcessSummary| p.quantiles.iter().any(drawable);
    let functions = |p: &ProcessSummary| p.quantiles.iter().map(|x| x.function).collect();
    monitored_sheets(result, "quantiles", &shown, &functions, sheet)
}

/// Width of the median of the process below, and of that above.
const BELOW: f64 = 3.2;
const ABOVE: f64 = 0.9;
/// Room that two lines need to be told apart, as a share of the height of a frame.
const LINE: f64 = 0.02;

/// The median of the process below: wide and pale, so that what lies on it does not hide it.
fn below_median(look: &Look) -> Stroke {
    Stroke::solid(look.color.paled(), BELOW)
}

/// A band, with its look, over the cell's times.
struct Shown<'a> {
    times: &'a [f64],
    band: &'a QuantileBand,
    look: Look,
    /// Pairs of quantiles that are wider apart than a line, outermost first.
    wide: usize,
}

fn drawable(band: &QuantileBand) -> bool {
    band.values.iter().flatten().any(|v| v.is_finite())
        && band.values.len() == band.probabilities.len()
}

/// Whether the law is a point at every time: the process is one curve.
pub(super) fn is_curve(band: &QuantileBand) -> bool {
    let spread = |at: usize| Extent::of(band.values.iter().filter_map(|v| v.get(at).copied()));
    let size = Extent::of(band.values.iter().flatten().copied());
    let size = size.low.abs().max(size.high.abs());
    let times = band.values.first().map_or(0, Vec::len);
    times > 0 && (0..times).all(|at| spread(at).length() <= 1e-9 * size)
}

/// How many pairs of quantiles, outermost first, are somewhere farther apart than `least`.
fn wide_pairs(band: &QuantileBand, least: f64) -> usize {
    let n = band.values.len();
    let wide = |pair: &usize| {
        let mut edges = band.values[*pair].iter().zip(&band.values[n - 1 - pair]);
        edges.any(|(low, high)| high - low > least)
    };
    (0..n / 2).take_while(wide).count()
}

fn sheet<'a>(
    result: &'a ScenarioResult,
    cell: &'a Cell,
    function: usize,
    name: String,
) -> Sheet<'a> {
    let looks = theme::process_looks(&result.processes);
    let band = |process: usize| -> Option<Shown<'a>> {
        let bands = &cell.processes.get(process)?.quantiles;
        let band = bands
            .iter()
            .find(|b| b.function == function && drawable(b))?;
        Some(Shown {
            times: &cell.times,
            band,
            look: *looks.get(process)?,
            wide: band.values.len() / 2,
        })
    };
    let mut pairs: Vec<(usize, usize)> = result
        .comparisons
        .iter()
        .map(|c| (c.left, c.right))
        .collect();
    if pairs.is_empty() {
        pairs = (1..result.processes.len()).map(|left| (left, 0)).collect();
    }
    if pairs.is_empty() {
        pairs.push((0, 0));
    }
    let mut seen = Vec::new();
    // A law in closed form has no band; its pairs are shown only where there is nothing else.
    let whole = |pair: &(usize, usize)| band(pair.0).is_some() && band(pair.1).is_some();
    let any_whole = pairs.iter().any(whole);
    pairs.retain(|pair| {
        let shown = match any_whole {
            true => whole(pair),
            false => band(pair.0).is_some() || band(pair.1).is_some(),
        };
        let new = !seen.contains(pair) && shown;
        seen.push(*pair);
        new
    });
    let omitted = pairs.len().saturating_sub(MOST_PANELS);
    pairs.truncate(MOST_PANELS);
    let mut shown: Vec<_> = pairs
        .iter()
        .map(|&(left, right)| (left, right, band(left), band(right)))
        .collect();
    let values = shown.iter().flat_map(|(_, _, l, r)| [l, r]).flatten();
    let range =
        Extent::of(values.flat_map(|s| s.band.values.iter().flatten().copied())).padded(0.05, 0.05);
    let mut narrow = false;
    let all = shown.iter_mut().flat_map(|(_, _, l, r)| [l, r]).flatten();
    for one in all {
        let pairs = one.wide;
        one.wide = wide_pairs(one.band, LINE * range.length());
        narrow |= one.wide < pairs && !is_curve(one.band);
    }
    let span = Extent::of(cell.times.iter().copied()).padded(0.0, 0.0);
    let columns = match shown.len() {
        4 => 2,
        7 | 8 => 4,
        n => n.min(3),
    };
    let symbol = Label::quantity(&function_name(result, function));

    let mut present: Vec<usize> = pairs.iter().flat_map(|&(l, r)| [l, r]).collect();
    present.sort_unstable();
    present.dedup();
    let mut legend: Vec<Entry> = Vec::new();
    let mut bands: Option<&QuantileBand> = None;
    for index in present {
        let (Some(look), Some(own)) = (looks.get(index), band(index)) else {
            continue;
        };
        let below = pairs.iter().any(|pair| pair.1 == index);
        let curve = is_curve(own.band);
        if !curve {
            bands = Some(own.band);
        }
        let sample = match (below, curve) {
            (true, false) => Sample::Area(look.color, 0.3, below_median(look)),
            (true, true) => Sample::Line(below_median(look)),
            (false, _) => Sample::Line(Stroke::solid(look.color, ABOVE)),
        };
        legend.push(Entry::new(sample, Label::new(process_name(result, index))));
    }
    legend.extend(bands.map(explanation).unwrap_or_default());
    let curves = shown.iter().flat_map(|s| [&s.2, &s.3]).flatten();
    let curves = curves.into_iter().any(|s| is_curve(s.band));
    let panels = shown
        .into_iter()
        .map(|(left, right, front, back)| Panel {
            title: Label::new(match left == right {
                true => process_name(result, left),
                false => format!(
                    "{} over {}",
                    process_name(result, left),
                    process_name(result, right)
                ),
            }),
            notes: Vec::new(),
            x: Axis::linear(span, time_label(&result.scenario), 5),
            y: Axis::linear(range, symbol.clone(), 5),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                if let Some(back) = &back {
                    filled(pen, frame, back);
                }
                if let Some(front) = front.as_ref().filter(|_| left != right) {
                    outlined(pen, frame, front);
                }
            }),
        })
        .collect();
    Sheet {
        name,
        caption: format!(
            "Quantiles of {} against {} for η = {} ({} paths); in each panel the second process is filled, with a \
             wide pale median, the first drawn as lines{}{}{}{}.",
            symbol.plain(),
            clock(result.scenario.regime),
            text::learning_rate(cell.eta).plain(),
            cell.paths,
            if curves {
                "; a process without noise is one curve"
            } else {
                ""
            },
            if narrow {
                "; quantiles too close to one another to be told apart are not drawn"
            } else {
                ""
            },
            projected(result.scenario.regime),
            match omitted {
                0 => String::new(),
                n => format!("; {n} further pairs are not drawn"),
            }
        ),
        title: result.scenario.title.clone(),
        remark: Label::new("η = ").join(&text::learning_rate(cell.eta)),
        legend,
        panels,
        columns: columns.max(1),
        heights: vec![if columns > 2 { 112.0 } else { 128.0 }],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    }
}

/// How the quantiles are drawn, outermost first.
fn explanation(band: &QuantileBand) -> Vec<Entry> {
    let n = band.probabilities.len();
    let percent = |p: f64| text::trimmed(&format!("{:.1}", 100.0 * p));
    let mut entries = Vec::new();
    for pair in 0..n / 2 {
        let (low, high) = (band.probabilities[pair], band.probabilities[n - 1 - pair]);
        let label = Label::new(format!("{}–{} %", percent(low), percent(high)));
        let sample = Sample::Area(
            QUIET,
            0.18 * (pair + 1) as f64,
            Stroke::solid(QUIET, 0.7).dashed(line_dash(pair)),
        );
        entries.push(Entry::new(sample, label));
    }
    if n % 2 == 1 {
        let label = Label::new(match band.probabilities[n / 2] {
            0.5 => "median".to_owned(),
            p => format!("{} %", percent(p)),
        });
        entries.push(Entry::new(Sample::Line(Stroke::solid(QUIET, 1.3)), label));
    }
    entries
}

/// Dashes of the lines: dots outermost, then dashes.
fn line_dash(pair: usize) -> Dash {
    if pair == 0 { Dash::Dotted } else { Dash::Short }
}

fn filled(pen: &mut Pen, frame: &Frame, shown: &Shown) {
    let values = &shown.band.values;
    let n = values.len();
    for pair in 0..shown.wide {
        let edges = values[pair].iter().zip(&values[n - 1 - pair]);
        let points = shown
            .times
            .iter()
            .zip(edges)
            .map(|(&t, (&low, &high))| (t, low, high));
        frame.band(pen, points, shown.look.color, 0.2);
        for edge in [pair, n - 1 - pair] {
            frame.line(
                pen,
                curve(shown, edge),
                Stroke::solid(shown.look.color, 0.35).faded(0.7),
            );
        }
    }
    if n % 2 == 1 || (shown.wide == 0 && n > 0) {
        frame.line(pen, curve(shown, n / 2), below_median(&shown.look));
    }
}

fn outlined(pen: &mut Pen, frame: &Frame, shown: &Shown) {
    let n = shown.band.values.len();
    for pair in 0..shown.wide {
        for edge in [pair, n - 1 - pair] {
            let stroke = Stroke::solid(shown.look.color, ABOVE).dashed(line_dash(pair));
            frame.line(pen, curve(shown, edge), stroke);
        }
    }
    if n % 2 == 1 || (shown.wide == 0 && n > 0) {
        frame.line(
            pen,
            curve(shown, n / 2),
            Stroke::solid(shown.look.color, ABOVE),
        );
    }
}

fn curve<'a>(shown: &'a Shown, quantile: usize) -> impl Iterator<Item = (f64, f64)> + 'a {
    shown
        .times
        .iter()
        .copied()
        .zip(shown.band.values[quantile].iter().copied())
}
