//! Distances between paths, between laws and of path functionals against η on log-log axes: intervals, same-law floors,
//! fitted curves and their limits; one panel a comparison.

use std::collections::HashMap;

use super::axes::{Axis, Extent, Tick};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{
    MOST_PANELS, base_of, columns_for, drawable, eta_label, height_for, unit, unresolved,
    verdict_note,
};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width, arrow_down};
use super::text::{self, Label};
use super::theme::{self, Dash, Look, QUIET};
use super::{comparison_title, file_names};
use crate::report::result::{
    Comparison, DistanceCheck, DistanceKind, FunctionCheck, Regime, ScenarioResult,
};

/// Distances in one panel; where there are more, this many a panel.
const MOST_DISTANCES: usize = 8;
const PORTION: usize = 6;
/// Room at the left for the limits, as a share of the length of the axis.
const LEFT: f64 = 0.13;
/// Room beside the outermost points, as a share of the distance between neighbouring η.
const BESIDE: f64 = 0.5;

/// One figure for up to six comparisons that have distances; what does not fit into a panel follows in further figures.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let looks = looks(result);
    let parts: Vec<(&Comparison, Vec<Vec<&DistanceCheck>>)> = result
        .comparisons
        .iter()
        .map(|c| (c, parts(c)))
        .filter(|(_, p)| !p.is_empty())
        .collect();
    let deepest = parts.iter().map(|(_, p)| p.len()).max().unwrap_or(0);
    let mut pages: Vec<Vec<Shown>> = Vec::new();
    for depth in 0..deepest {
        let here: Vec<Shown> = parts
            .iter()
            .filter_map(|(comparison, p)| {
                let distances = p.get(depth)?.iter();
                Some(Shown {
                    comparison,
                    distances: distances
                        .map(|&d| (d, looks.get(&key(d)).copied().unwrap_or(first_look(d.kind))))
                        .collect(),
                })
            })
            .collect();
        pages.extend(here.chunks(MOST_PANELS).map(<[Shown]>::to_vec));
    }
    let numbers: Vec<String> = (1..=pages.len()).map(|n| n.to_string()).collect();
    let files = file_names("distances", &numbers);
    pages
        .into_iter()
        .zip(files)
        .map(|(page, file)| sheet(result, page, file))
        .collect()
}

/// What one panel shows.
#[derive(Clone)]
struct Shown<'a> {
    comparison: &'a Comparison,
    distances: Vec<(&'a DistanceCheck, Look)>,
}

/// What the floors are, for captions.
const LAWS: &str = "; short dashes: the same distance between two independent ensembles of the right process, as many paths each";
const PATHS: &str = "; dashes and dots: the same distance between the right process at its two step sizes on one stream of noise";

/// Dashes of the floors of distances between paths and of the others.
fn floor_dash(paths: bool) -> Dash {
    match paths {
        true => Dash::DashDot,
        false => Dash::Short,
    }
}

/// Every kind in the order of legends.
const KINDS: [DistanceKind; 7] = [
    DistanceKind::Pathwise,
    DistanceKind::Supremum,
    DistanceKind::KolmogorovSmirnov,
    DistanceKind::Wasserstein,
    DistanceKind::SlicedWasserstein,
    DistanceKind::Functional,
    DistanceKind::Energy,
];

fn rank(kind: DistanceKind) -> usize {
    KINDS.iter().position(|k| *k == kind).unwrap_or(KINDS.len())
}

fn first_look(kind: DistanceKind) -> Look {
    theme::distance_look(rank(kind), 0)
}

type Key = (DistanceKind, String);

fn key(distance: &DistanceCheck) -> Key {
    (distance.kind, distance.name.clone())
}

/// One look a distance, the same in all figures of a result: marker and hue by kind, tint by its place among its kind.
fn looks(result: &ScenarioResult) -> HashMap<Key, Look> {
    let mut looks = HashMap::new();
    let mut seen = [0; KINDS.len() + 1];
    for distance in result.comparisons.iter().flat_map(|c| &c.distances) {
        let place = rank(distance.kind);
        looks.entry(key(distance)).or_insert_with(|| {
            let look = theme::distance_look(place, seen[place]);
            seen[place] += 1;
            look
        });
    }
    looks
}

/// The distances of a comparison that can be drawn, in portions for one panel each. Where there are many, the first portion
/// has the first of every kind, then the second …
fn parts(comparison: &Comparison) -> Vec<Vec<&DistanceCheck>> {
    let can = |d: &&DistanceCheck| d.check.errors.iter().any(drawable);
    let all: Vec<&DistanceCheck> = comparison.distances.iter().filter(can).collect();
    let mut counts = [0usize; KINDS.len() + 1];
    let mut ranked: Vec<(usize, usize, &DistanceCheck)> = Vec::new();
    for distance in all {
        let kind = rank(distance.kind);
        ranked.push((counts[kind], kind, distance));
        counts[kind] += 1;
    }
    let portion = if ranked.len() > MOST_DISTANCES {
        ranked.sort_by_key(|&(place, kind, _)| (place, kind));
        PORTION
    } else {
        MOST_DISTANCES
    };
    let mut parts: Vec<Vec<(usize, usize, &DistanceCheck)>> =
        ranked.chunks(portion).map(<[_]>::to_vec).collect();
    for part in &mut parts {
        part.sort_by_key(|&(place, kind, _)| (kind, place));
    }
    parts
        .into_iter()
        .map(|part| part.into_iter().map(|(_, _, d)| d).collect())
        .collect()
}

/// A distance's name as a label: `x[1]` becomes *x*₁.
fn label(distance: &DistanceCheck) -> Label {
    Label::function(&distance.name)
}

/// The fitted curve at η: for a root mean square the root of that of the square.
fn fit(distance: &DistanceCheck, eta: f64) -> f64 {
    let check = &distance.check;
    let terms = check.coefficients.iter().zip(&check.powers);
    let sum: f64 = terms.map(|(c, p)| c * eta.powf(*p)).sum();
    if distance.kind.is_mean_square() {
        sum.max(0.0).sqrt()
    } else {
        sum
    }
}

fn has_fit(check: &FunctionCheck) -> bool {
    !check.coefficients.is_empty() && check.coefficients.iter().all(|c| c.is_finite())
}

/// η and floor in units of the distance's scale.
fn floors(distance: &DistanceCheck) -> impl Iterator<Item = (f64, f64)> + '_ {
    let unit = unit(&distance.check);
    let all = distance.check.errors.iter().zip(&distance.floor);
    all.map(move |(p, floor)| (p.eta, floor / unit))
        .filter(|(eta, floor)| *eta > 0.0 && *floor > 0.0 && floor.is_finite())
}

/// The axis of η with room at its left for the limits, and the value at which that room ends. Between there and the
/// outermost points is room for points side by side.
fn axis(etas: &[f64], base: u32, wanted: usize) -> (Axis, f64) {
    let range = Extent::of_positive(etas.iter().copied());
    let mut sorted: Vec<f64> = etas.iter().copied().filter(|eta| *eta > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let ratios = sorted.windows(2).map(|pair| pair[1] / pair[0]);
    let step = ratios
        .filter(|ratio| *ratio > 1.01)
        .fold(f64::INFINITY, f64::min)
        .min(range.high / range.low);
    let step = if step.is_finite() && step > 1.01 {
        step
    } else {
        2.0
    };
    let (low, high) = (
        range.low * step.powf(-BESIDE),
        range.high * step.powf(0.5 * BESIDE),
    );
    let room = (high / low).powf(LEFT);
    let room = Extent {
        low: low / room,
        high,
    };
    let mut axis = Axis::log(room, eta_label(), base, wanted);
    let (edge, _) = axis.ends();
    axis.ticks.retain(|t| t.value > low);
    axis.ticks.insert(
        0,
        Tick {
            value: (edge * low).sqrt(),
            label: Some(Label::new("→0")),
        },
    );
    (axis, low)
}

fn sheet<'a>(result: &'a ScenarioResult, shown: Vec<Shown<'a>>, name: String) -> Sheet<'a> {
    let all = || shown.iter().flat_map(|s| &s.distances).map(|(d, _)| *d);
    let points = || {
        all().flat_map(|d| {
            let unit = unit(&d.check);
            let points = d.check.errors.iter().filter(|p| drawable(p));
            points.map(move |p| (p, unit))
        })
    };
    let mut range = Extent::EMPTY;
    for (point, unit) in points() {
        let error = point.error;
        let lows = match unresolved(point) {
            true => [error.value.max(0.15 * error.upper), error.upper],
            false => [error.lower.max(0.15 * error.value), error.value],
        };
        range = range.union(Extent::of_positive(lows.map(|v| v / unit)));
        range = range.union(Extent::of_positive([error.upper / unit]));
    }
    // Floors and limits may lengthen the axis by a little.
    let data = range;
    let mut widen = |value: f64, reach: f64| {
        if value > 0.0 && !data.is_empty() {
            range.include(value.clamp(data.low / reach, data.high * reach));
        }
    };
    for distance in all() {
        floors(distance).for_each(|(_, floor)| widen(floor, 3.0));
        let unit = unit(&distance.check);
        let limit = distance.check.limit;
        for end in [limit.value.abs(), limit.upper.abs().max(limit.lower.abs())] {
            widen(end / unit, 3.0);
        }
    }
    range.high *= 1.15;
    let columns = columns_for(shown.len());
    let etas: Vec<f64> = points().map(|(p, _)| p.eta).collect();
    let base = base_of(etas.iter().copied());
    let (x, border) = axis(&etas, base, if columns > 2 { 7 } else { 10 });
    let y = Axis::log(range, Label::new("distance / scale"), 10, 6);

    let mut legend = Vec::new();
    let mut present: Vec<(usize, Key)> = Vec::new();
    for (distance, look) in shown.iter().flat_map(|s| &s.distances) {
        let entry = (rank(distance.kind), key(distance));
        if !present.contains(&entry) {
            let sample = Sample::Marked(Stroke::solid(look.color, 0.8), look.marker, false);
            legend.push((entry.0, Entry::new(sample, label(distance))));
            present.push(entry);
        }
    }
    legend.sort_by_key(|(rank, _)| *rank);
    let mut legend: Vec<Entry> = legend.into_iter().map(|(_, entry)| entry).collect();
    let marker = theme::distance_look(0, 0).marker;
    let hollow = points().any(|(p, _)| unresolved(p));
    if hollow {
        legend.push(Entry::new(
            Sample::Bound(QUIET, marker),
            Label::new("interval includes 0"),
        ));
    }
    let floored =
        |paths: bool| all().any(|d| d.kind.is_mean_square() == paths && floors(d).next().is_some());
    let [laws, paths] = [false, true].map(floored);
    let floor =
        |paths: bool, name: &str| Entry::guide(QUIET, 0.7, floor_dash(paths), Label::new(name));
    if laws {
        legend.push(floor(false, "same-law floor"));
    }
    if paths {
        legend.push(floor(true, "right at two step sizes"));
    }
    let limited = all().any(|d| d.check.limit.value.is_finite());
    if limited {
        legend.push(Entry::new(
            Sample::Bar(QUIET, marker),
            Label::new("limit η → 0 with its interval"),
        ));
    }
    let level = shown.first().map_or(0.95, |s| s.comparison.level);
    let kinds: Vec<DistanceKind> = KINDS
        .into_iter()
        .filter(|k| all().any(|d| d.kind == *k))
        .collect();
    let caption = format!(
        "Distances between the two processes of each panel (left vs right) against the learning-rate scale η, each in units of its natural \
         scale, with simultaneous {} % intervals, side by side at each η: {}{}{}{}{}{}.",
        text::percent(level),
        kinds
            .iter()
            .map(|k| meaning(*k))
            .collect::<Vec<_>>()
            .join("; "),
        if all().any(|d| has_fit(&d.check)) {
            "; lines: fitted curves, where more than one point is resolved"
        } else {
            ""
        },
        match (laws, paths) {
            (true, true) => format!("{LAWS}{PATHS}"),
            (true, false) => LAWS.to_owned(),
            (false, true) => PATHS.to_owned(),
            (false, false) => String::new(),
        },
        if limited {
            "; left of the dotted line: limit η → 0 with its interval"
        } else {
            ""
        },
        if hollow || limited {
            "; hollow markers: the interval includes 0"
        } else {
            ""
        },
        match result.scenario.regime {
            Regime::Fast => "",
            Regime::Slow => "; the iterates x are taken at Φ(x)",
        },
    );
    let panels = shown
        .into_iter()
        .map(|shown| Panel {
            title: comparison_title(result, shown.comparison),
            notes: vec![verdict_note(shown.comparison.verdict)],
            x: x.clone(),
            y: y.clone(),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, &shown, border)),
        })
        .collect();
    Sheet {
        name,
        caption,
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels,
        columns,
        heights: vec![1.25 * height_for(columns)],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    }
}

/// A kind of distance in words.
fn meaning(kind: DistanceKind) -> &'static str {
    match kind {
        DistanceKind::Pathwise => {
            "RMS, root mean square of ‖left − right‖ at the end, on one stream of noise"
        }
        DistanceKind::Supremum => "RMS sup, that of its largest value over the times",
        DistanceKind::KolmogorovSmirnov => "KS, Kolmogorov–Smirnov distance of the laws",
        DistanceKind::Wasserstein => "W₁, Wasserstein-1 distance of the laws",
        DistanceKind::SlicedWasserstein => {
            "sliced W₁, Wasserstein-1 distance of projections of the laws, averaged over directions"
        }
        DistanceKind::Energy => "energy distance of the laws",
        DistanceKind::Functional => "functionals F of the path, |E F(left) − E F(right)|",
    }
}

fn draw(pen: &mut Pen, frame: &Frame, shown: &Shown, border: f64) {
    let (low, high) = frame.y.ends();
    frame.line(
        pen,
        [(border, low), (border, high)],
        Stroke::solid(QUIET, 0.5).dashed(Dash::Dotted),
    );
    let count = shown.distances.len() as f64;
    let edge = frame.place_x(border).unwrap_or(frame.left);
    let room = (edge - frame.left).max(4.0);
    let apart = (0.62 * gap(frame, shown) / count).min(2.2);
    // Whole distances stand side by side, so that their points stay on their curves.
    let beside: Vec<Frame> = (0..shown.distances.len())
        .map(|place| {
            let shift = apart * (place as f64 - 0.5 * (count - 1.0));
            Frame {
                left: frame.left + shift,
                right: frame.right + shift,
                ..*frame
            }
        })
        .collect();
    let all = || shown.distances.iter().zip(&beside);
    for ((distance, look), frame) in all() {
        let mut floor: Vec<(f64, f64)> = floors(distance).collect();
        floor.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A single floor is as wide as the data.
        if let [(eta, value)] = floor[..] {
            floor = vec![(eta / 1.2, value), (eta * 1.2, value)];
        }
        let dash = floor_dash(distance.kind.is_mean_square());
        let stroke = Stroke::solid(look.color.tinted(0.2), 0.6).dashed(dash);
        frame.line(pen, floor, stroke);
    }
    for ((distance, look), frame) in all() {
        draw_fit(pen, frame, distance, *look);
    }
    for (place, ((distance, look), beside)) in all().enumerate() {
        draw_points(pen, beside, &distance.check, *look);
        let x = frame.left + room * (place as f64 + 0.9) / (count + 0.8);
        let width = (0.4 * room / count).clamp(0.7, 1.0);
        draw_limit(pen, frame, &distance.check, *look, (x, width));
    }
}

/// The least distance between neighbouring η on paper.
fn gap(frame: &Frame, shown: &Shown) -> f64 {
    let points = shown.distances.iter().flat_map(|(d, _)| &d.check.errors);
    let mut places: Vec<f64> = points
        .filter(|p| drawable(p))
        .filter_map(|p| frame.place_x(p.eta))
        .collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.filter(|gap| *gap > 0.5).fold(30.0, f64::min)
}

/// The curve where it is positive and more than noise, and a straight line between points that have none.
fn draw_fit(pen: &mut Pen, frame: &Frame, distance: &DistanceCheck, look: Look) {
    let check = &distance.check;
    let unit = unit(check);
    let points = check.errors.iter().filter(|p| drawable(p));
    let stroke = Stroke::solid(look.color, 0.6);
    let all = check.errors.iter().filter(|p| drawable(p)).count();
    let noise = points.clone().filter(|p| unresolved(p)).count();
    if all > 1 && noise + 1 >= all {
        return;
    }
    if has_fit(check) {
        let etas = Extent::of_positive(points.map(|p| p.eta));
        let (from, to) = (etas.low, etas.high);
        let curve = (0..=96).map(|k| {
            let eta = from * (to / from).powf(f64::from(k) / 96.0);
            (eta, fit(distance, eta).abs() / unit)
        });
        frame.line(pen, curve, stroke);
    } else {
        let resolved = points.filter(|p| p.error.value > 0.0);
        let points: Vec<_> = resolved.map(|p| (p.eta, p.error.value / unit)).collect();
        frame.line(pen, points, stroke);
    }
}

fn draw_points(pen: &mut Pen, frame: &Frame, check: &FunctionCheck, look: Look) {
    let unit = unit(check);
    let (low, high) = frame.y.ends();
    for point in check.errors.iter().filter(|p| drawable(p)) {
        let hollow = unresolved(point);
        let e = point.error;
        let value = if e.value > 0.0 { e.value } else { e.upper } / unit;
        let Some((x, y)) = frame.place(point.eta, value.clamp(low, high)) else {
            continue;
        };
        let y = if hollow { y.min(frame.bottom - 7.0) } else { y };
        let lower = if hollow { 0.0 } else { e.lower / unit };
        // What noise could be steps back.
        let quiet = Look {
            color: look.color.tinted(if hollow { 0.4 } else { 0.0 }),
            ..look
        };
        interval(pen, frame, (x, y), (lower, e.upper / unit), quiet, 0.7);
        pen.marker((x, y), look.marker, 1.8, quiet.color, hollow);
    }
}

/// A bar from `ends.0` to `ends.1`; an arrow below the marker at (x, y) where it reaches down to 0.
fn interval(
    pen: &mut Pen,
    frame: &Frame,
    (x, y): (f64, f64),
    ends: (f64, f64),
    look: Look,
    width: f64,
) {
    let (low, high) = frame.y.ends();
    if !ends.1.is_finite() {
        return;
    }
    let Some(top) = frame.place_y(ends.1.clamp(low, high)) else {
        return;
    };
    if ends.0 > 0.0 {
        if let Some(bottom) = frame.place_y(ends.0.clamp(low, high)) {
            pen.line(&[(x, top), (x, bottom)], Stroke::solid(look.color, width));
        }
    } else {
        let bottom = (y + 9.0).min(frame.bottom);
        pen.line(
            &[(x, top), (x, bottom - 2.0)],
            Stroke::solid(look.color, width),
        );
        arrow_down(pen, x, bottom - 3.0, bottom, look.color);
    }
}

/// The limit at the left edge: its absolute value with its interval.
fn draw_limit(pen: &mut Pen, frame: &Frame, check: &FunctionCheck, look: Look, at: (f64, f64)) {
    let (x, width) = at;
    let unit = unit(check);
    let limit = check.limit;
    let value = limit.value.abs() / unit;
    let upper = limit.upper.abs().max(limit.lower.abs()) / unit;
    if !(value.is_finite() && upper.is_finite() && upper > 0.0) {
        return;
    }
    let hollow = !(limit.lower > 0.0 || limit.upper < 0.0);
    let lower = match hollow {
        true => 0.0,
        false => limit.lower.abs().min(limit.upper.abs()) / unit,
    };
    let (low, high) = frame.y.ends();
    // A limit below the frame leaves its arrow at the bottom edge.
    let Some(y) = frame.place_y(value.max(1e-150).clamp(low, high)) else {
        return;
    };
    let y = y.min(frame.bottom - 7.0);
    interval(pen, frame, (x, y), (lower, upper), look, width);
    pen.marker((x, y), look.marker, 1.6, look.color, hollow);
}
