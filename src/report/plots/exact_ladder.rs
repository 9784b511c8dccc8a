//! Errors by exact moments down to tiny η, and below them their local slopes; one column a comparison.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{
    MOST_FUNCTIONS, base_of, draw_guides, error_label, eta_label, exact_unit, function_entries,
    guide_entries, guides_in_words, slopes_of,
};
use super::frame::Frame;
use super::layout::{Panel, Sheet, Width};
use super::text::Label;
use super::theme::{self, FAINT, QUIET};
use super::{comparison_title, file_names};
use crate::report::result::{Comparison, ExactLadder, ScenarioResult};

/// Columns in one figure.
const MOST_COLUMNS: usize = 4;

/// One figure for up to four comparisons that have exact errors.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let has = |c: &&Comparison| c.exact.iter().any(|l| points(c, l).count() > 1);
    let comparisons: Vec<&Comparison> = result.comparisons.iter().filter(has).collect();
    let chunks: Vec<&[&Comparison]> = comparisons.chunks(MOST_COLUMNS).collect();
    let numbers: Vec<String> = (1..=chunks.len()).map(|n| n.to_string()).collect();
    let files = file_names("exact_ladder", &numbers);
    chunks
        .iter()
        .zip(files)
        .map(|(chunk, file)| sheet(result, chunk, file))
        .collect()
}

/// η and error in units of the function's scale, where both are positive.
fn points<'a>(
    comparison: &Comparison,
    ladder: &'a ExactLadder,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let unit = exact_unit(comparison, ladder);
    let all = ladder
        .etas
        .iter()
        .zip(&ladder.errors)
        .map(move |(&eta, &error)| (eta, error / unit));
    all.filter(|(eta, error)| *eta > 0.0 && eta.is_finite() && *error > 0.0 && error.is_finite())
}

/// Slopes at the geometric mean of neighbouring η.
fn slopes(ladder: &ExactLadder) -> impl Iterator<Item = (f64, f64)> + '_ {
    ladder
        .etas
        .windows(2)
        .zip(&ladder.slopes)
        .map(|(pair, &slope)| ((pair[0] * pair[1]).sqrt(), slope))
}

fn sheet<'a>(
    result: &'a ScenarioResult,
    comparisons: &[&'a Comparison],
    name: String,
) -> Sheet<'a> {
    let ladders = || {
        comparisons
            .iter()
            .flat_map(|&c| c.exact.iter().take(MOST_FUNCTIONS).map(move |l| (c, l)))
    };
    let eta_range = Extent::of_positive(ladders().flat_map(|(c, l)| points(c, l).map(|p| p.0)));
    let mut range = Extent::of_positive(ladders().flat_map(|(c, l)| points(c, l).map(|p| p.1)));
    range.high *= 1.5;
    let mut slope_range = Extent::of(
        ladders()
            .flat_map(|(_, l)| slopes(l).map(|s| s.1))
            .filter(|s| s.abs() < 3.0),
    );
    slope_range.include(0.0);
    for comparison in comparisons {
        slopes_of(comparison)
            .iter()
            .for_each(|s| slope_range.include(s.0));
    }
    let slope_range = slope_range.padded(0.06, 0.1);
    let base = base_of(ladders().flat_map(|(_, l)| l.etas.iter().copied()));
    let columns = comparisons.len();
    let wanted = if columns > 2 { 4 } else { 7 };
    let mut legend = function_entries(result, ladders().map(|(_, l)| l.function));
    legend.extend(guide_entries(comparisons));
    let errors = comparisons.iter().map(|&comparison| Panel {
        title: comparison_title(result, comparison),
        notes: Vec::new(),
        x: Axis::log(eta_range, eta_label(), base, wanted),
        y: Axis::log(range, error_label(), 10, 6),
        isometric: false,
        body: Box::new(move |pen: &mut Pen, frame: &Frame| draw_errors(pen, frame, comparison)),
    });
    let below = comparisons.iter().map(|&comparison| Panel {
        title: Label::default(),
        notes: Vec::new(),
        x: Axis::log(eta_range, eta_label(), base, wanted),
        y: Axis::linear(slope_range, Label::new("local slope"), 4),
        isometric: false,
        body: Box::new(move |pen: &mut Pen, frame: &Frame| draw_slopes(pen, frame, comparison)),
    });
    Sheet {
        name,
        caption: format!(
            "Errors by exact moments (no sampling) against the learning-rate scale η, in units of each test function's \
             natural scale, and their local slopes{}.",
            guides_in_words(comparisons),
        ),
        title: result.scenario.title.clone(),
        remark: Label::new("exact moments"),
        legend,
        panels: errors.chain(below).collect(),
        columns,
        heights: vec![if columns > 2 { 112.0 } else { 124.0 }, 68.0],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    }
}

fn draw_errors(pen: &mut Pen, frame: &Frame, comparison: &Comparison) {
    let all: Vec<(f64, f64)> = comparison
        .exact
        .iter()
        .flat_map(|l| points(comparison, l))
        .collect();
    let etas = Extent::of_positive(all.iter().map(|p| p.0));
    let top = all
        .iter()
        .filter(|p| p.0 == etas.high)
        .map(|p| p.1)
        .fold(0.0, f64::max);
    if top > 0.0 {
        draw_guides(
            pen,
            frame,
            &slopes_of(comparison),
            (etas.high, 1.6 * top),
            etas.low,
        );
    }
    for ladder in comparison.exact.iter().take(MOST_FUNCTIONS) {
        let look = theme::function_look(ladder.function);
        frame.line(
            pen,
            points(comparison, ladder),
            Stroke::solid(look.color, 0.8),
        );
        mark(pen, frame, points(comparison, ladder), ladder.function);
    }
}

fn draw_slopes(pen: &mut Pen, frame: &Frame, comparison: &Comparison) {
    let (low, high) = frame.x.ends();
    frame.line(pen, [(low, 0.0), (high, 0.0)], Stroke::solid(FAINT, 0.6));
    for (slope, dash) in slopes_of(comparison) {
        frame.line(
            pen,
            [(low, slope), (high, slope)],
            Stroke::solid(QUIET, 0.8).dashed(dash),
        );
    }
    for ladder in comparison.exact.iter().take(MOST_FUNCTIONS) {
        let look = theme::function_look(ladder.function);
        frame.line(pen, slopes(ladder), Stroke::solid(look.color, 0.8));
        mark(pen, frame, slopes(ladder), ladder.function);
    }
}

/// Markers on points that are far enough apart to be told apart; each function starts at another point.
fn mark(pen: &mut Pen, frame: &Frame, points: impl Iterator<Item = (f64, f64)>, function: usize) {
    let look = theme::function_look(function);
    let places: Vec<(f64, f64)> = points.filter_map(|(x, y)| frame.inside(x, y)).collect();
    let span = Extent::of(places.iter().map(|p| p.0)).length();
    let gap = span / (places.len().max(2) - 1) as f64;
    let every = (18.0 / gap.max(0.01)).ceil().max(1.0) as usize;
    for place in places
        .iter()
        .skip((function * every.div_ceil(3)) % every)
        .step_by(every)
    {
        pen.marker(*place, look.marker, 1.7, look.color, false);
    }
}
