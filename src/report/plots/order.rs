//! The order of the error against the momentum index α: what is measured, the proven (1−α)/2 and the conjectured 1−α.

use super::axes::{Axis, Extent, Tick};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{MOST_FUNCTIONS, columns_for, function_entries};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::process_name;
use super::text::{self, Label};
use super::theme::{self, Dash, EXACT, FAINT, QUIET};
use crate::report::result::{Comparison, Regime, ScenarioResult};

/// Orders whose interval is wider than this say nothing.
const WIDEST: f64 = 0.6;
/// Room of the points of one α, in units of α.
const DODGE: f64 = 0.1;

/// The figure, if some pair of processes was compared at several α.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    if result.scenario.regime == Regime::Slow {
        return Vec::new();
    }
    // Orders that depend on α, as those of Theorem 4.5.
    let depends = |c: &&Comparison| {
        let promised = 0.5 * (1.0 - c.alpha);
        (c.guaranteed_order - promised.max(0.0)).abs() <= 1e-9 && !points(c).is_empty()
    };
    let groups = pairs(result.comparisons.iter().filter(depends));
    if groups.is_empty() {
        return Vec::new();
    }
    vec![sheet(result, &groups)]
}

/// Comparisons of the same two kinds of process at several α.
pub(super) fn pairs<'a>(
    comparisons: impl Iterator<Item = &'a Comparison>,
) -> Vec<(&'a str, Vec<&'a Comparison>)> {
    let mut groups: Vec<(&str, Vec<&Comparison>)> = Vec::new();
    for comparison in comparisons {
        let (pair, _) = comparison
            .id
            .split_once(" α=")
            .unwrap_or((&comparison.id, ""));
        match groups.iter_mut().find(|g| g.0 == pair) {
            Some(group) => group.1.push(comparison),
            None => groups.push((pair, vec![comparison])),
        }
    }
    let several = |g: &(&str, Vec<&Comparison>)| {
        let first = g.1.first().map_or(0.0, |c| c.alpha);
        g.1.iter().any(|c| (c.alpha - first).abs() > 1e-9)
    };
    groups.retain(several);
    groups
}

/// The names of the two processes without their α.
pub(super) fn pair_title(result: &ScenarioResult, comparison: &Comparison) -> Label {
    let name = |index: usize| {
        let name = process_name(result, index);
        name.split(" α=").next().unwrap_or_default().to_owned()
    };
    Label::new(format!(
        "{} vs {}",
        name(comparison.left),
        name(comparison.right)
    ))
}

/// A measured order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    function: usize,
    order: f64,
    lower: f64,
    upper: f64,
    exact: bool,
}

/// Per function the order of the whole ladder where it is known well enough, and the last slope of exact moments.
fn points(comparison: &Comparison) -> Vec<Point> {
    let mut points = Vec::new();
    for check in comparison.functions.iter().take(MOST_FUNCTIONS) {
        let known = check
            .order
            .filter(|o| o.value.abs() < 10.0 && o.upper - o.lower < WIDEST);
        points.extend(known.map(|s| Point {
            function: check.function,
            order: s.value,
            lower: s.lower,
            upper: s.upper,
            exact: false,
        }));
    }
    for ladder in comparison.exact.iter().take(MOST_FUNCTIONS) {
        let last = ladder.slopes.last().copied();
        points.extend(
            last.filter(|s| s.is_finite() && s.abs() < 10.0)
                .map(|s| Point {
                    function: ladder.function,
                    order: s,
                    lower: s,
                    upper: s,
                    exact: true,
                }),
        );
    }
    points
}

fn sheet<'a>(result: &'a ScenarioResult, groups: &[(&str, Vec<&'a Comparison>)]) -> Sheet<'a> {
    let all = || groups.iter().flat_map(|g| &g.1);
    let every = || all().flat_map(|c| points(c));
    let mut across = Extent::of(all().map(|c| c.alpha));
    across.include(0.0);
    across.include(0.55);
    let across = Extent {
        low: across.low - 1.2 * DODGE,
        high: across.high + 1.2 * DODGE,
    };
    let mut range = Extent::of(every().map(|p| p.order));
    range.include(0.0);
    range.include(1.0);
    let range = range.padded(0.05, 0.08);
    let columns = columns_for(groups.len());
    let mut legend = function_entries(result, every().map(|p| p.function));
    legend.push(Entry::guide(
        QUIET,
        1.0,
        Dash::Short,
        Label::new("proven: (1−α)/2"),
    ));
    legend.push(Entry::guide(
        QUIET,
        1.0,
        Dash::Dotted,
        Label::new("conjectured: 1−α"),
    ));
    let exact = every().any(|p| p.exact);
    if exact {
        let marker = theme::function_look(0).marker;
        legend.push(Entry::new(
            Sample::Mark(EXACT, marker),
            Label::new("exact moments"),
        ));
    }
    let mut etas: Vec<f64> = all()
        .flat_map(|c| &c.exact)
        .filter_map(|l| l.etas.last().copied())
        .collect();
    etas.sort_by(f64::total_cmp);
    let panels = groups
        .iter()
        .map(|(_, comparisons)| {
            let comparisons = comparisons.clone();
            let mut alphas: Vec<f64> = comparisons.iter().map(|c| c.alpha).collect();
            alphas.sort_by(f64::total_cmp);
            alphas.dedup();
            let mut x = Axis::linear(across, Label::new("momentum index α"), 5);
            let tick = |&value: &f64| Tick {
                value,
                label: Some(text::number(value)),
            };
            x.ticks = alphas.iter().map(tick).collect();
            Panel {
                title: comparisons
                    .first()
                    .map_or_else(Label::default, |c| pair_title(result, c)),
                notes: Vec::new(),
                x,
                y: Axis::linear(range, Label::new("order of the error in η"), 5),
                isometric: false,
                body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, &comparisons)),
            }
        })
        .collect();
    Sheet {
        name: "order".to_owned(),
        caption: format!(
            "Order of the weak error in η against the momentum index α: hollow, the order as η → 0 from all errors that stand out \
             of the noise, with its 95 % interval (shown where it is known to within {WIDEST}){}; short dashes: the order (1−α)/2 that \
             Theorem 4.5 proves; dots: 1−α. An order below the proven one, which holds for an unknown constant, refutes nothing by itself.",
            match etas.first().filter(|_| exact) {
                Some(eta) => format!(
                    "; filled, black: the local slope of exact moments at η = {}",
                    text::learning_rate(*eta).plain()
                ),
                None => String::new(),
            },
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels,
        columns,
        heights: vec![140.0],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    }
}

fn draw(pen: &mut Pen, frame: &Frame, comparisons: &[&Comparison]) {
    let (left, right) = frame.x.ends();
    frame.line(pen, [(left, 0.0), (right, 0.0)], Stroke::solid(FAINT, 0.6));
    for (factor, dash) in [(0.5, Dash::Short), (1.0, Dash::Dotted)] {
        let ends = [
            (0.0f64.max(left), factor),
            (1.0f64.min(right), factor * (1.0 - 1.0f64.min(right))),
        ];
        frame.line(pen, ends, Stroke::solid(QUIET, 1.0).dashed(dash));
    }
    for comparison in comparisons {
        let points = points(comparison);
        for exact in [false, true] {
            let own: Vec<&Point> = points.iter().filter(|p| p.exact == exact).collect();
            for (place, point) in own.iter().enumerate() {
                let look = theme::function_look(point.function);
                let share = (place as f64 + 0.5) / own.len() as f64 - 0.5;
                let x = comparison.alpha + DODGE * share;
                if exact {
                    if let Some(at) = frame.inside(x, point.order) {
                        pen.speck(at, look.marker, 1.5, EXACT, 1.0);
                    }
                    continue;
                }
                frame.line(
                    pen,
                    [(x, point.lower), (x, point.upper)],
                    Stroke::solid(look.color, 0.75),
                );
                if let Some(at) = frame.inside(x, point.order) {
                    pen.marker(at, look.marker, 1.9, look.color, true);
                }
            }
        }
    }
}
