//! The weak error against η on log-log axes: intervals, noise floor, guaranteed slope, exact curve; one panel a comparison.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width, arrow_down};
use super::text::{self, Label};
use super::theme::{self, Dash, EXACT, FAINT, Look, QUIET, Rgb};
use super::{comparison_title, file_names, function_name, projected};
use crate::report::result::{
    Comparison, ErrorPoint, ExactLadder, FunctionCheck, ScenarioResult, Verdict,
};

/// Panels in one figure.
pub(super) const MOST_PANELS: usize = 6;
/// Test functions in one panel.
pub(super) const MOST_FUNCTIONS: usize = 8;
/// Colour of the region that noise alone would reach.
const FLOOR: Rgb = Rgb(120, 120, 120);

/// One figure for up to six comparisons that have sampled errors.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let with_errors = |c: &&Comparison| c.functions.iter().any(|f| f.errors.iter().any(drawable));
    let comparisons: Vec<&Comparison> = result.comparisons.iter().filter(with_errors).collect();
    let chunks: Vec<&[&Comparison]> = comparisons.chunks(MOST_PANELS).collect();
    let numbers: Vec<String> = (1..=chunks.len()).map(|n| n.to_string()).collect();
    let files = file_names("error_ladder", &numbers);
    chunks
        .iter()
        .zip(files)
        .map(|(chunk, file)| sheet(result, chunk, file))
        .collect()
}

/// Columns for a number of panels: two of three rather than four and two.
pub(super) fn columns_for(panels: usize) -> usize {
    match panels {
        0..=3 => panels.max(1),
        4 => 2,
        _ => 3,
    }
}

/// Height of a panel's frame.
pub(super) fn height_for(columns: usize) -> f64 {
    match columns {
        1 => 148.0,
        2 => 140.0,
        _ => 128.0,
    }
}

/// The unit in which a function's errors are shown: its natural scale.
pub(super) fn unit(check: &FunctionCheck) -> f64 {
    if check.scale.is_finite() && check.scale > 1e-150 {
        check.scale
    } else {
        1.0
    }
}

/// The unit of an exact ladder: that of the sampled check of the same function.
pub(super) fn exact_unit(comparison: &Comparison, ladder: &ExactLadder) -> f64 {
    comparison
        .functions
        .iter()
        .find(|f| f.function == ladder.function)
        .map_or(1.0, unit)
}

/// Base of an axis of η.
pub(super) fn base_of(etas: impl IntoIterator<Item = f64>) -> u32 {
    if etas
        .into_iter()
        .all(|eta| text::binary_exponent(eta).is_some())
    {
        2
    } else {
        10
    }
}

/// Label of an axis of η.
pub(super) fn eta_label() -> Label {
    Label::new("learning-rate scale η")
}

/// Legend entries of the test functions that appear.
pub(super) fn function_entries(
    result: &ScenarioResult,
    functions: impl Iterator<Item = usize>,
) -> Vec<Entry> {
    let mut present: Vec<usize> = functions.collect();
    present.sort_unstable();
    present.dedup();
    let entry = |function: usize| {
        let look = theme::function_look(function);
        let sample = Sample::Marked(Stroke::solid(look.color, 0.8), look.marker, false);
        let name = Label::italic(Label::default(), "h")
            .then(" = ")
            .join(&Label::function(&function_name(result, function)));
        Entry::new(sample, name)
    };
    present.into_iter().map(entry).collect()
}

/// The verdict in words.
pub(super) fn verdict_note(verdict: Verdict) -> Label {
    Label::new(match verdict {
        Verdict::Consistent => "consistent",
        Verdict::Refuted => "refuted",
        Verdict::Inconclusive => "inconclusive",
    })
}

/// Whether a point can stand on a logarithmic axis.
pub(super) fn drawable(point: &ErrorPoint) -> bool {
    point.eta > 0.0 && point.eta.is_finite() && (point.error.value > 0.0 || point.error.upper > 0.0)
}

/// Whether the interval reaches down to 0.
pub(super) fn unresolved(point: &ErrorPoint) -> bool {
    !(point.error.lower > 0.0 && point.error.value > 0.0)
}

fn sheet<'a>(
    result: &'a ScenarioResult,
    comparisons: &[&'a Comparison],
    name: String,
) -> Sheet<'a> {
    let mut etas: Vec<f64> = Vec::new();
    let mut range = Extent::EMPTY;
    for comparison in comparisons {
        for check in comparison.functions.iter().take(MOST_FUNCTIONS) {
            for point in check.errors.iter().filter(|p| drawable(p)) {
                etas.push(point.eta);
                let unit = unit(check);
                let error = point.error;
                let lows = match unresolved(point) {
                    true => [error.value.max(0.15 * error.upper), error.upper],
                    false => [error.lower, error.value],
                };
                range = range.union(Extent::of_positive(lows.map(|v| v / unit)));
                range = range.union(Extent::of_positive([error.upper / unit]));
            }
        }
    }
    let eta_range = Extent::of_positive(etas.iter().copied());
    for comparison in comparisons {
        // The exact curve may lengthen the axis by a little, so that one wild tail does not squeeze the data.
        for ladder in &comparison.exact {
            let here = ladder
                .etas
                .iter()
                .zip(&ladder.errors)
                .filter(|(e, _)| **e >= eta_range.low && **e <= eta_range.high);
            let exact = Extent::of_positive(here.map(|(_, v)| v / exact_unit(comparison, ladder)));
            if !exact.is_empty() {
                range = range.union(Extent {
                    low: exact.low.max(0.1 * range.low),
                    high: exact.high.min(10.0 * range.high),
                });
            }
        }
    }
    range.high *= 1.5;
    let columns = columns_for(comparisons.len());
    let base = base_of(etas);
    let functions = || {
        comparisons
            .iter()
            .flat_map(|c| c.functions.iter().take(MOST_FUNCTIONS))
    };
    let mut legend = function_entries(result, functions().map(|f| f.function));
    let marker = theme::function_look(0).marker;
    let points = || functions().flat_map(|f| &f.errors).filter(|p| drawable(p));
    if points().any(unresolved) {
        legend.push(Entry::new(
            Sample::Bound(QUIET, marker),
            Label::new("interval includes 0"),
        ));
    }
    if points().any(|p| p.noise_floor > 0.0) {
        legend.push(Entry::new(
            Sample::Area(FLOOR, 0.2, Stroke::solid(FLOOR, 0.0).faded(0.0)),
            Label::new("noise floor"),
        ));
    }
    if comparisons.iter().any(|c| !c.exact.is_empty()) {
        legend.push(Entry::guide(
            EXACT,
            0.6,
            Dash::Solid,
            Label::new("exact recursion"),
        ));
    }
    legend.extend(guide_entries(comparisons));
    let panels = comparisons
        .iter()
        .map(|&comparison| Panel {
            title: comparison_title(result, comparison),
            notes: vec![verdict_note(comparison.verdict)],
            x: Axis::log(
                eta_range,
                eta_label(),
                base,
                if columns > 2 { 5 } else { 8 },
            ),
            y: Axis::log(range, error_label(), 10, 6),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, comparison)),
        })
        .collect();
    let level = comparisons.first().map_or(0.95, |c| c.level);
    let omitted = comparisons
        .iter()
        .map(|c| c.functions.len())
        .max()
        .unwrap_or(0)
        .saturating_sub(MOST_FUNCTIONS);
    Sheet {
        name,
        caption: format!(
            "Weak error against the learning-rate scale η, in units of each test function's natural scale, with simultaneous \
             {} % intervals; hollow markers: the interval includes 0; shaded: what noise alone would show{}; ΔE h is E h of \
             the first process minus that of the second{}{}.",
            text::percent(level),
            guides_in_words(comparisons),
            projected(result.scenario.regime),
            if omitted > 0 {
                format!("; {omitted} further functions are not drawn")
            } else {
                String::new()
            },
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels,
        columns,
        heights: vec![height_for(columns)],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    }
}

/// max over t of |E h − E h| in units of the natural scale.
pub(super) fn error_label() -> Label {
    Label::new("max")
        .subscript("t")
        .then(" |ΔE ")
        .italic("h")
        .then("| / scale of ")
        .italic("h")
}

/// The slopes of a comparison that are drawn: (1−α)/2 and 1−α, where positive; none where no order is guaranteed.
pub(super) fn slopes_of(comparison: &Comparison) -> Vec<(f64, Dash)> {
    if !promises_order(comparison) {
        return Vec::new();
    }
    let slopes = [
        (comparison.guaranteed_order, Dash::Short),
        (1.0 - comparison.alpha, Dash::Dotted),
    ];
    slopes
        .into_iter()
        .filter(|(s, _)| s.is_finite() && *s > 1e-9)
        .collect()
}

/// Whether the theorem guarantees an order.
fn promises_order(comparison: &Comparison) -> bool {
    comparison.guaranteed_order.is_finite() && comparison.guaranteed_order > 1e-9
}

/// For captions: what the straight lines are, where there are any.
pub(super) fn guides_in_words(comparisons: &[&Comparison]) -> &'static str {
    if comparisons.iter().any(|c| promises_order(c)) {
        "; straight lines: the guaranteed slope (1−α)/2 and 1−α"
    } else {
        ""
    }
}

/// Legend entries of the slopes that are drawn.
pub(super) fn guide_entries(comparisons: &[&Comparison]) -> Vec<Entry> {
    let has = |dash: Dash| {
        comparisons
            .iter()
            .any(|c| slopes_of(c).iter().any(|s| s.1 == dash))
    };
    let mut entries = Vec::new();
    if has(Dash::Short) {
        entries.push(Entry::guide(
            QUIET,
            0.8,
            Dash::Short,
            Label::new("slope (1−α)/2, guaranteed"),
        ));
    }
    if has(Dash::Dotted) {
        entries.push(Entry::guide(
            QUIET,
            0.8,
            Dash::Dotted,
            Label::new("slope 1−α"),
        ));
    }
    entries
}

/// Lines of the given slopes that fan out from above the largest η.
pub(super) fn draw_guides(
    pen: &mut Pen,
    frame: &Frame,
    slopes: &[(f64, Dash)],
    anchor: (f64, f64),
    smallest: f64,
) {
    for &(slope, dash) in slopes {
        let at = |eta: f64| (eta, anchor.1 * (eta / anchor.0).powf(slope));
        frame.line(
            pen,
            [at(smallest), at(anchor.0)],
            Stroke::solid(QUIET, 0.8).dashed(dash),
        );
    }
}

fn draw(pen: &mut Pen, frame: &Frame, comparison: &Comparison) {
    let checks: Vec<(usize, &FunctionCheck)> = comparison
        .functions
        .iter()
        .take(MOST_FUNCTIONS)
        .enumerate()
        .collect();
    let bottom = frame.y.ends().0;
    for (_, check) in &checks {
        let floor = check.errors.iter().filter(|p| p.noise_floor > 0.0);
        let mut floor: Vec<(f64, f64, f64)> = floor
            .map(|p| (p.eta, bottom, (p.noise_floor / unit(check)).max(bottom)))
            .collect();
        floor.sort_by(|a, b| b.0.total_cmp(&a.0));
        // To the edges of the frame at the level of the outermost points.
        let (left, right) = frame.x.ends();
        if let (Some(&first), Some(&last)) = (floor.first(), floor.last()) {
            floor.insert(0, (right, first.1, first.2));
            floor.push((left, last.1, last.2));
        }
        frame.band(pen, floor, FLOOR, 0.24 / checks.len() as f64);
    }
    let all = checks.iter().flat_map(|(_, c)| {
        c.errors
            .iter()
            .filter(|p| drawable(p))
            .map(|p| (p.eta, p.error.value / unit(c)))
    });
    let points: Vec<(f64, f64)> = all.filter(|p| p.1 > 0.0).collect();
    let etas = Extent::of_positive(points.iter().map(|p| p.0));
    let top = points
        .iter()
        .filter(|p| p.0 == etas.high)
        .map(|p| p.1)
        .fold(0.0, f64::max);
    if top > 0.0 && etas.high > etas.low {
        draw_guides(
            pen,
            frame,
            &slopes_of(comparison),
            (etas.high, 1.35 * top),
            etas.low,
        );
    }
    for ladder in &comparison.exact {
        let unit = exact_unit(comparison, ladder);
        let curve = ladder
            .etas
            .iter()
            .zip(&ladder.errors)
            .map(|(&eta, &error)| (eta, error / unit));
        frame.line(pen, curve, Stroke::solid(EXACT, 0.55));
    }
    for (place, check) in &checks {
        let dodge = 2.4 * (*place as f64 - 0.5 * (checks.len() as f64 - 1.0))
            / (checks.len() as f64).sqrt();
        draw_function(
            pen,
            frame,
            check,
            theme::function_look(check.function),
            dodge,
        );
    }
}

fn draw_function(pen: &mut Pen, frame: &Frame, check: &FunctionCheck, look: Look, dodge: f64) {
    let unit = unit(check);
    let (low, high) = frame.y.ends();
    let mut spots = Vec::new();
    for point in check.errors.iter().filter(|p| drawable(p)) {
        let hollow = unresolved(point);
        let value = if point.error.value > 0.0 {
            point.error.value
        } else {
            point.error.upper
        } / unit;
        let upper = point.error.upper / unit;
        let Some((x, y)) = frame.place(point.eta, value.clamp(low, high)) else {
            continue;
        };
        // A marker below the range stays inside the frame, with room for its arrow.
        let y = if hollow { y.min(frame.bottom - 7.0) } else { y };
        let x = x + dodge;
        let bar = |v: f64| frame.place_y(v.clamp(low, high));
        if let Some(top) = bar(upper).filter(|_| upper.is_finite()) {
            if hollow {
                arrow_down(pen, x, top, (y + 10.0).min(frame.bottom), look.color);
            } else if let Some(bottom) = bar(point.error.lower / unit) {
                pen.line(&[(x, top), (x, bottom)], Stroke::solid(look.color, 0.75));
                for end in [top, bottom] {
                    pen.line(
                        &[(x - 1.3, end), (x + 1.3, end)],
                        Stroke::solid(look.color, 0.75),
                    );
                }
            }
        }
        spots.push(((x, y), hollow));
    }
    for pair in spots.windows(2) {
        let color = if pair[0].1 || pair[1].1 {
            FAINT
        } else {
            look.color
        };
        pen.line(&[pair[0].0, pair[1].0], Stroke::solid(color, 0.6));
    }
    for (at, hollow) in spots {
        pen.marker(at, look.marker, 2.0, look.color, hollow);
    }
}
