//! Sample paths on one noise: over the contours of a two-dimensional loss, or coordinate 1 against time.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::contours;
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet};
use super::text::{self, Label};
use super::theme::{self, FAINT, INK, Look, Marker, Rgb};
use super::{clock, process_name, time_label};
use crate::report::result::{ContourGrid, SamplePaths, ScenarioResult};

/// Ensemble members shown, one a panel.
const MOST_PATHS: usize = 3;
/// Iso-lines.
const LEVELS: usize = 11;

/// The figure, if there are sample paths.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    result
        .sample_paths
        .as_ref()
        .and_then(|paths| sheet(result, paths))
        .into_iter()
        .collect()
}

/// One process's positions along one path.
type Track<'a> = (Look, &'a [Vec<f64>]);

fn sheet<'a>(result: &'a ScenarioResult, paths: &'a SamplePaths) -> Option<Sheet<'a>> {
    let looks = theme::process_looks(&result.processes);
    let plane = result.scenario.dimension == 2;
    let regime = result.scenario.regime;
    let members = paths
        .positions
        .iter()
        .map(Vec::len)
        .max()
        .unwrap_or(0)
        .min(MOST_PATHS);
    let tracks = |member: usize| -> Vec<Track<'a>> {
        let all = paths
            .positions
            .iter()
            .zip(&looks)
            .filter_map(|(p, look)| Some((*look, p.get(member)?.as_slice())));
        all.filter(|(_, track)| track.iter().flatten().any(|x| x.is_finite()))
            .collect()
    };
    let shown: Vec<Vec<Track>> = (0..members).map(tracks).filter(|t| !t.is_empty()).collect();
    if shown.is_empty() {
        return None;
    }
    let coordinate = |k: usize| {
        Extent::of(
            shown
                .iter()
                .flatten()
                .flat_map(|t| t.1)
                .filter_map(|p| p.get(k).copied()),
        )
    };
    let columns = shown.len();
    let wanted = if columns > 2 { 4 } else { 6 };
    let (x, y) = if plane {
        let (across, up) = plane_ranges(coordinate(0), coordinate(1));
        (
            Axis::linear(across, Label::function("x[1]"), wanted),
            Axis::linear(up, Label::function("x[2]"), 5),
        )
    } else {
        (
            Axis::linear(
                Extent::of(paths.times.iter().copied()).padded(0.0, 0.0),
                time_label(regime),
                wanted,
            ),
            Axis::linear(coordinate(0).padded(0.05, 0.05), Label::function("x[1]"), 5),
        )
    };
    let contours = result
        .contours
        .as_ref()
        .filter(|grid| plane && contours::usable(grid));
    let tracked = |index: usize| paths.positions.get(index).is_some_and(|p| !p.is_empty());
    let legend = looks
        .iter()
        .enumerate()
        .filter(|(index, _)| tracked(*index));
    let legend: Vec<Entry> = legend
        .map(|(index, &look)| {
            let stroke = Stroke::solid(look.color, 1.1).dashed(look.dash);
            let sample = if plane {
                Sample::Marked(stroke, look.marker, false)
            } else {
                Sample::Line(stroke)
            };
            Entry::new(sample, Label::new(process_name(result, index)))
        })
        .collect();
    let isometric = plane && {
        let ((a, b), (c, d)) = (x.ends(), y.ends());
        let ratio = (b - a) / (d - c);
        (0.4..2.5).contains(&ratio)
    };
    let height = match (columns, isometric) {
        (1, true) => 205.0,
        (2, true) => 205.0,
        (_, true) => 142.0,
        (1 | 2, false) => 140.0,
        _ => 124.0,
    };
    let panels = shown
        .into_iter()
        .enumerate()
        .map(|(member, tracks)| Panel {
            title: Label::new(if columns > 1 {
                format!("path {}", member + 1)
            } else {
                String::new()
            }),
            notes: Vec::new(),
            x: x.clone(),
            y: y.clone(),
            isometric,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                if plane {
                    draw_plane(pen, frame, contours, &tracks);
                } else {
                    draw_times(pen, frame, &paths.times, &tracks);
                }
            }),
        })
        .collect();
    Some(Sheet {
        name: "paths".to_owned(),
        caption: format!(
            "{} for η = {}; all processes of a panel run on the same noise{}.",
            if plane {
                "Sample paths".to_owned()
            } else {
                format!("First coordinate of sample paths against {}", clock(regime))
            },
            text::learning_rate(paths.eta).plain(),
            match (contours.is_some(), plane) {
                (true, _) =>
                    "; circle: start, large markers: end, grey: contours of the loss at log-spaced levels",
                (false, true) => "; circle: start, large markers: end",
                (false, false) => "",
            }
        ),
        title: result.scenario.title.clone(),
        remark: Label::new("η = ").join(&text::learning_rate(paths.eta)),
        legend,
        panels,
        columns,
        heights: vec![height],
        share_y: columns > 1,
        share_x: false,
    })
}

/// Ranges around the paths, not much thinner one way than the other.
pub(super) fn plane_ranges(x: Extent, y: Extent) -> (Extent, Extent) {
    let (x, y) = (x.padded(0.08, 0.08), y.padded(0.08, 0.08));
    let least = 0.45 * x.length().max(y.length());
    let widened = |e: Extent, other: Extent| {
        let missing = 0.5 * (least - e.length()).max(0.0);
        // Very different scales are kept apart rather than one of them flattened.
        if e.length() < 0.04 * other.length() {
            e
        } else {
            Extent {
                low: e.low - missing,
                high: e.high + missing,
            }
        }
    };
    (widened(x, y), widened(y, x))
}

fn draw_plane(pen: &mut Pen, frame: &Frame, grid: Option<&ContourGrid>, tracks: &[Track]) {
    if let Some(grid) = grid {
        let levels = contours::levels(grid, LEVELS);
        for (index, level) in levels.iter().enumerate() {
            let shade = 150 + (75 * index / LEVELS.max(1)) as u8;
            for line in contours::lines(grid, *level) {
                frame.line(pen, line, Stroke::solid(Rgb(shade, shade, shade), 0.5));
            }
        }
    }
    let point = |p: &Vec<f64>| Some((*p.first()?, *p.get(1)?));
    for (look, track) in tracks {
        let stroke = Stroke::solid(look.color, 0.8).dashed(look.dash);
        frame.line(
            pen,
            track
                .iter()
                .map(|p| point(p).unwrap_or((f64::NAN, f64::NAN))),
            stroke,
        );
    }
    let start = tracks
        .iter()
        .find_map(|t| point(t.1.first()?))
        .and_then(|(x, y)| frame.inside(x, y));
    for (look, track) in tracks {
        let end = track
            .iter()
            .rev()
            .filter_map(point)
            .find(|(x, y)| x.is_finite() && y.is_finite());
        if let Some(place) = end.and_then(|(x, y)| frame.inside(x, y)) {
            pen.marker(place, look.marker, 3.1, theme::PAPER, false);
            pen.marker(place, look.marker, 2.3, look.color, false);
        }
    }
    if let Some(place) = start {
        pen.marker(place, Marker::Circle, 2.8, INK, true);
    }
}

fn draw_times(pen: &mut Pen, frame: &Frame, times: &[f64], tracks: &[Track]) {
    let (low, high) = frame.x.ends();
    frame.line(pen, [(low, 0.0), (high, 0.0)], Stroke::solid(FAINT, 0.5));
    for (look, track) in tracks {
        let curve = times
            .iter()
            .zip(*track)
            .map(|(&t, p)| (t, p.first().copied().unwrap_or(f64::NAN)));
        frame.line(pen, curve, Stroke::solid(look.color, 0.8).dashed(look.dash));
    }
}
