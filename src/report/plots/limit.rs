//! The extrapolation behind a verdict: signed error against ε = η^p, its polynomial down to ε = 0, the intercept's interval.

use super::axes::{Axis, Extent, Tick};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{
    MOST_FUNCTIONS, MOST_PANELS, columns_for, function_entries, height_for, unit, verdict_note,
};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::{self, Label};
use super::theme::{self, Dash, FAINT, INK, LABEL_SIZE, QUIET, TICK_SIZE};
use super::{comparison_title, file_names, projected};
use crate::report::result::{Comparison, ErrorPoint, FunctionCheck, ScenarioResult};

/// The extrapolations, up to six comparisons a figure, and the limits of all comparisons side by side.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    extrapolations(result)
        .into_iter()
        .chain(limits(result))
        .collect()
}

fn extrapolations(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let has = |c: &&Comparison| {
        c.functions
            .iter()
            .any(|f| f.fitted.iter().any(|p| drawable(c, p)))
    };
    let comparisons: Vec<&Comparison> = result.comparisons.iter().filter(has).collect();
    let chunks: Vec<&[&Comparison]> = comparisons.chunks(MOST_PANELS).collect();
    let numbers: Vec<String> = (1..=chunks.len()).map(|n| n.to_string()).collect();
    let files = file_names("limit", &numbers);
    chunks
        .iter()
        .zip(files)
        .map(|(chunk, file)| sheet(result, chunk, file))
        .collect()
}

fn epsilon(comparison: &Comparison, eta: f64) -> f64 {
    eta.powf(comparison.epsilon_power)
}

fn drawable(comparison: &Comparison, point: &ErrorPoint) -> bool {
    let epsilon = epsilon(comparison, point.eta);
    epsilon.is_finite() && epsilon > 0.0 && point.error.value.is_finite()
}

/// The fitted curve Σ_j c_j η^{p_j} at ε = η^`epsilon_power`.
fn fit(check: &FunctionCheck, epsilon_power: f64, epsilon: f64) -> f64 {
    let terms = check.coefficients.iter().zip(&check.powers);
    terms
        .map(|(c, p)| c * epsilon.powf(p / epsilon_power))
        .sum()
}

/// Comparisons in one figure of limits.
const MOST_ROWS: usize = 20;
/// Room for the names of rows and of the axis in a single column, and for the longest name in a double column, in points.
const NARROW: f64 = 225.0;
const LONGEST: f64 = 260.0;
/// The share of the axis left of ε = 0, where the intercepts stand.
const LEFT: f64 = 0.12;

fn sheet<'a>(
    result: &'a ScenarioResult,
    comparisons: &[&'a Comparison],
    name: String,
) -> Sheet<'a> {
    let columns = columns_for(comparisons.len());
    let functions = comparisons
        .iter()
        .flat_map(|c| c.functions.iter().take(MOST_FUNCTIONS))
        .map(|f| f.function);
    let mut legend = function_entries(result, functions);
    legend.push(Entry::new(
        Sample::Bar(QUIET, theme::function_look(0).marker),
        Label::new("limit ε → 0 with its interval"),
    ));
    let panels = comparisons
        .iter()
        .map(|&comparison| panel(result, comparison, columns))
        .collect();
    let level = comparisons.first().map_or(0.95, |c| c.level);
    Sheet {
        name,
        caption: format!(
            "Signed weak error at each function's worst time against ε = η^p, in units of the function's natural scale, with \
             the fitted polynomial and its limit ε → 0 (simultaneous {} % intervals); ΔE h is E h of the first process minus that \
             of the second; |limit|: the largest of all limits of a comparison{}{}.",
            text::percent(level),
            match comparisons.iter().any(|c| !c.distances.is_empty()) {
                true => ", those of its distances among them",
                false => "",
            },
            projected(result.scenario.regime),
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels,
        columns,
        heights: vec![height_for(columns)],
        share_y: false,
        share_x: false,
        width: Width::Natural,
    }
}

/// The limits of all functions of all comparisons with their intervals: what is away from 0 refutes.
fn limits(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let finite = |f: &FunctionCheck| f.limit.value.is_finite();
    let has = |c: &&Comparison| c.functions.iter().take(MOST_FUNCTIONS).any(finite);
    let comparisons: Vec<&Comparison> = result.comparisons.iter().filter(has).collect();
    let chunks: Vec<&[&Comparison]> = comparisons.chunks(MOST_ROWS).collect();
    let numbers: Vec<String> = (1..=chunks.len()).map(|n| n.to_string()).collect();
    let files = file_names("limits", &numbers);
    let sheets = chunks.iter().zip(files);
    sheets
        .map(|(rows, file)| limits_sheet(result, rows.to_vec(), file))
        .collect()
}

fn limits_sheet<'a>(
    result: &'a ScenarioResult,
    rows: Vec<&'a Comparison>,
    name: String,
) -> Sheet<'a> {
    let finite = |f: &&FunctionCheck| f.limit.value.is_finite();
    let checks = || {
        rows.iter()
            .flat_map(|c| c.functions.iter().take(MOST_FUNCTIONS))
            .filter(finite)
    };
    let mut marks = Extent::of(checks().map(|f| f.limit.value / unit(f)));
    marks.include(0.0);
    let mut range = marks;
    for check in checks() {
        range.include(check.limit.lower / unit(check));
        range.include(check.limit.upper / unit(check));
    }
    let deepest =
        checks().count().min(rows.len() * MOST_FUNCTIONS) as f64 / rows.len().max(1) as f64;
    let names: Vec<Label> = rows.iter().map(|c| comparison_title(result, c)).collect();
    let longest = names.iter().map(|n| n.width(TICK_SIZE, false));
    let longest = longest.fold(0.0, f64::max);
    let mut y = Axis::linear(
        Extent {
            low: -(rows.len() as f64),
            high: 0.0,
        },
        Label::default(),
        1,
    );
    let mut halves: Vec<f64> = checks()
        .map(|f| 0.5 * (f.limit.upper - f.limit.lower) / unit(f))
        .filter(|w| w.is_finite() && *w > 0.0)
        .collect();
    halves.sort_by(f64::total_cmp);
    let typical = halves.get(halves.len() / 2).copied().unwrap_or(0.0);
    let label = Label::new("limit of ΔE ")
        .italic("h")
        .then(" as η → 0 / scale of ")
        .italic("h");
    // One limit far from 0 must not hide the intervals of the others.
    let stretched = typical > 0.0 && range.low.abs().max(range.high.abs()) > 25.0 * typical;
    let axis = |wanted: usize| match stretched {
        true => Axis::signed_log(range, label.clone(), 2.0 * typical),
        false => Axis::linear(range.padded(0.06, 0.06), label.clone(), wanted),
    };
    let x = axis(4);
    let factor = x.factor.as_ref();
    let factor = factor.map_or(0.0, |f| f.width(TICK_SIZE, false) + 6.0);
    let wide = longest + x.label.width(LABEL_SIZE, false) + 2.0 * factor > NARROW;
    let x = if wide { axis(8) } else { x };
    let room = if wide { LONGEST } else { longest };
    let ticks = names.iter().enumerate();
    y.ticks = ticks
        .map(|(row, name)| Tick {
            value: -(row as f64 + 0.5),
            label: Some(name.fitted(TICK_SIZE, false, room)),
        })
        .collect();
    let level = rows.first().map_or(0.95, |c| c.level);
    let percent = text::percent(level);
    Sheet {
        name,
        caption: format!(
            "The error's limit as η → 0 for every comparison and test function, in units of the function's natural scale, with \
             simultaneous {percent} % intervals; filled markers: the interval excludes 0{}{}.",
            projected(result.scenario.regime),
            if stretched {
                "; the axis is linear near 0 and logarithmic beyond"
            } else {
                ""
            },
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend: function_entries(result, checks().map(|f| f.function)),
        columns: 1,
        heights: vec![rows.len() as f64 * (6.0 + 6.5 * deepest.max(1.0))],
        share_y: false,
        share_x: false,
        width: if wide { Width::Double } else { Width::Natural },
        panels: vec![Panel {
            title: Label::default(),
            notes: Vec::new(),
            x,
            y,
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| draw_limits(pen, frame, &rows)),
        }],
    }
}

fn draw_limits(pen: &mut Pen, frame: &Frame, rows: &[&Comparison]) {
    let (left, right) = frame.x.ends();
    frame.line(
        pen,
        [(0.0, 0.0), (0.0, -(rows.len() as f64))],
        Stroke::solid(INK, 0.5),
    );
    for (row, comparison) in rows.iter().enumerate() {
        if row > 0 {
            let edge = -(row as f64);
            frame.line(
                pen,
                [(left, edge), (right, edge)],
                Stroke::solid(FAINT, 0.4),
            );
        }
        let checks: Vec<&FunctionCheck> =
            comparison.functions.iter().take(MOST_FUNCTIONS).collect();
        for (place, check) in checks.iter().enumerate() {
            let look = theme::function_look(check.function);
            let share = (place as f64 + 0.7) / (checks.len() as f64 + 0.4);
            let y = -(row as f64 + share);
            let (limit, unit) = (check.limit, unit(check));
            let ends = [limit.lower, limit.upper].map(|v| (v / unit, y));
            frame.line(pen, ends, Stroke::solid(look.color, 1.3));
            if let Some(at) = frame.inside(limit.value / unit, y) {
                pen.marker(
                    at,
                    look.marker,
                    1.9,
                    look.color,
                    limit.lower <= 0.0 && limit.upper >= 0.0,
                );
            }
        }
    }
}

fn panel<'a>(result: &'a ScenarioResult, comparison: &'a Comparison, columns: usize) -> Panel<'a> {
    let checks: Vec<&FunctionCheck> = comparison.functions.iter().take(MOST_FUNCTIONS).collect();
    let mut across = Extent {
        low: 0.0,
        high: 0.0,
    };
    let mut range = Extent {
        low: 0.0,
        high: 0.0,
    };
    let mut marks = Extent {
        low: 0.0,
        high: 0.0,
    };
    for check in &checks {
        let unit = unit(check);
        for point in check.fitted.iter().filter(|p| drawable(comparison, p)) {
            across.include(epsilon(comparison, point.eta));
            marks.include(point.error.value / unit);
            [point.error.lower, point.error.upper]
                .iter()
                .for_each(|v| range.include(v / unit));
        }
        if check.limit.value.is_finite() {
            marks.include(check.limit.value / unit);
            [check.limit.lower, check.limit.upper]
                .iter()
                .for_each(|v| range.include(v / unit));
        }
    }
    // Intervals far longer than the data are cut at the frame.
    let size = marks.length().max(1e-140);
    let range = marks.union(Extent {
        low: range.low.max(marks.low - 2.0 * size),
        high: range.high.min(marks.high + 2.0 * size),
    });
    let across = across.padded(LEFT, 0.05);
    let across = Extent {
        low: across.low.min(-LEFT * across.high.abs()),
        ..across
    };
    let power = comparison.epsilon_power;
    let symbol = match power {
        1.0 => Label::new("ε = η"),
        p => Label::new("ε = η").superscript(text::trimmed(&format!("{p:.3}"))),
    };
    let mut x = Axis::linear(across, symbol, if columns > 2 { 4 } else { 6 });
    x.ticks.retain(|t| t.value >= -1e-12 * across.high.abs());
    Panel {
        title: comparison_title(result, comparison),
        notes: notes(comparison),
        x,
        y: Axis::linear(
            range.padded(0.08, 0.08),
            Label::new("ΔE ")
                .italic("h")
                .then(" at the worst time / scale of ")
                .italic("h"),
            6,
        ),
        isometric: false,
        body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, comparison, &checks)),
    }
}

/// The verdict with the interval it rests on, or alone.
fn notes(comparison: &Comparison) -> Vec<Label> {
    let verdict = verdict_note(comparison.verdict);
    let limit = comparison.limit;
    if !(limit.lower.is_finite() && limit.upper.is_finite()) {
        return vec![verdict];
    }
    let interval = Label::new("|limit| in [").join(&text::rounded(limit.lower.max(0.0)));
    let interval = interval
        .then(", ")
        .join(&text::rounded(limit.upper))
        .then("]");
    vec![interval.then(", ").join(&verdict), verdict]
}

fn draw(pen: &mut Pen, frame: &Frame, comparison: &Comparison, checks: &[&FunctionCheck]) {
    let (left, right) = frame.x.ends();
    let (low, high) = frame.y.ends();
    frame.line(pen, [(left, 0.0), (right, 0.0)], Stroke::solid(INK, 0.5));
    frame.line(
        pen,
        [(0.0, low), (0.0, high)],
        Stroke::solid(QUIET, 0.5).dashed(Dash::Dotted),
    );
    let vertical = |pen: &mut Pen, x: f64, from: f64, to: f64, stroke: Stroke| {
        let (Some(a), Some(b)) = (
            frame.place_y(from.clamp(low, high)),
            frame.place_y(to.clamp(low, high)),
        ) else {
            return;
        };
        pen.line(&[(x, a), (x, b)], stroke);
    };
    let zero = frame.place_x(0.0).unwrap_or(frame.left);
    let count = checks.len() as f64;
    for (place, check) in checks.iter().enumerate() {
        let look = theme::function_look(check.function);
        let unit = unit(check);
        let points: Vec<&ErrorPoint> = check
            .fitted
            .iter()
            .filter(|p| drawable(comparison, p))
            .collect();
        let end = points
            .iter()
            .map(|p| epsilon(comparison, p.eta))
            .fold(0.0, f64::max);
        let curve = (0..=80)
            .map(|k| end * f64::from(k) / 80.0)
            .map(|e| (e, fit(check, comparison.epsilon_power, e) / unit));
        frame.line(pen, curve, Stroke::solid(look.color, 0.9));
        for point in points {
            let Some((x, y)) =
                frame.inside(epsilon(comparison, point.eta), point.error.value / unit)
            else {
                continue;
            };
            let (from, to) = (point.error.lower / unit, point.error.upper / unit);
            vertical(pen, x, from, to, Stroke::solid(look.color, 0.75));
            pen.marker((x, y), look.marker, 1.8, look.color, false);
        }
        // The intercepts stand side by side left of ε = 0.
        let room = (zero - frame.left).max(4.0);
        let x = zero - room * (0.1 + 0.8 * (place as f64 + 0.5) / count);
        let limit = check.limit;
        if let Some(y) = frame
            .place_y(limit.value / unit)
            .filter(|_| frame.y.holds(limit.value / unit))
        {
            let stroke = Stroke::solid(look.color, (0.6 * room / count).clamp(0.8, 1.8));
            vertical(pen, x, limit.lower / unit, limit.upper / unit, stroke);
            pen.marker((x, y), look.marker, 1.6, look.color, true);
        }
    }
}
