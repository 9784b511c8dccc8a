//! Sample paths on one noise: over the contours of a two-dimensional loss, or coordinate 1 against time; in Regime II both.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::contours;
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::{self, Label};
use super::theme::{self, FAINT, INK, Look, Marker, Rgb};
use super::{clock, clouds, process_name, quantiles, time_label};
use crate::report::result::{ContourGrid, ProcessFamily, Regime, SamplePaths, ScenarioResult};

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

/// Width against time of all but the first process on Γ.
const NARROW: f64 = 1.5;

/// One process along one path.
#[derive(Clone, Copy)]
struct Track<'a> {
    /// Over the plane, and against time.
    stroke: Stroke,
    in_time: Stroke,
    look: Look,
    positions: &'a [Vec<f64>],
}

/// Against time what runs on Γ is wide and pale.
fn stroke_in_time(regime: Regime, family: ProcessFamily, look: Look) -> Stroke {
    match (regime, clouds::height(family)) {
        (Regime::Slow, 2..) => wide(look),
        (Regime::Slow, 0) => Stroke {
            width: 0.6,
            ..stroke(regime, family, look).dashed(look.dash)
        },
        _ => stroke(regime, family, look),
    }
}

fn wide(look: Look) -> Stroke {
    Stroke::solid(look.color.paled(), 2.6)
}

/// In Regime II the iterates are scribbles: thin and pale, and what runs on Γ is drawn over them.
fn stroke(regime: Regime, family: ProcessFamily, look: Look) -> Stroke {
    match (regime, clouds::height(family)) {
        (Regime::Fast, _) => Stroke::solid(look.color, 0.8).dashed(look.dash),
        (Regime::Slow, 0) => Stroke::solid(look.color.tinted(0.25), 0.45),
        (Regime::Slow, 1) => Stroke::solid(look.color, 0.8).dashed(look.dash),
        (Regime::Slow, _) => Stroke::solid(look.color.shaded(0.25), 1.0),
    }
}

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
    let mut order: Vec<usize> = (0..paths.positions.len().min(looks.len())).collect();
    if regime == Regime::Slow {
        order.sort_by_key(|&index| clouds::height(result.processes[index].family));
    }
    // Of several processes on Γ the later ones are narrower.
    let in_time_of = |index: usize| {
        let family = result.processes[index].family;
        let stroke = stroke_in_time(regime, family, looks[index]);
        let mut before = result.processes.iter().take(index);
        match before.any(|p| clouds::height(p.family) == 2) && stroke.width > NARROW {
            true => Stroke {
                width: NARROW,
                ..stroke
            },
            false => stroke,
        }
    };
    let tracks = |member: usize| -> Vec<Track<'a>> {
        let all = order.iter().filter_map(|&index| {
            let look = looks[index];
            let family = result.processes[index].family;
            Some(Track {
                stroke: stroke(regime, family, look),
                in_time: in_time_of(index),
                look,
                positions: paths.positions[index].get(member)?.as_slice(),
            })
        });
        all.filter(|t| t.positions.iter().flatten().any(|x| x.is_finite()))
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
                .flat_map(|t| t.positions)
                .filter_map(|p| p.get(k).copied()),
        )
    };
    let columns = shown.len();
    let wanted = if columns > 2 { 4 } else { 6 };
    let contours = result
        .contours
        .as_ref()
        .filter(|grid| plane && contours::usable(grid));
    let mut span = Extent::of(paths.times.iter().copied());
    if regime == Regime::Slow && result.scenario.horizon < 1.05 * span.high {
        span.include(result.scenario.horizon);
    }
    let in_time = (
        Axis::linear(span.padded(0.0, 0.0), time_label(&result.scenario), wanted),
        Axis::linear(coordinate(0).padded(0.05, 0.05), Label::function("x[1]"), 5),
    );
    let in_plane = plane.then(|| {
        let cores = [coordinate(0), coordinate(1)];
        let (mut across, mut up) = plane_ranges(cores[0], cores[1]);
        if let (Some(grid), Regime::Slow) = (contours, regime) {
            across = clouds::within(across, cores[0], &grid.x);
            up = clouds::within(up, cores[1], &grid.y);
        }
        (
            Axis::linear(across, Label::function("x[1]"), wanted),
            Axis::linear(up, Label::function("x[2]"), 5),
        )
    });
    // Along Γ paths go to and fro over themselves: against time they can be told apart.
    let timed = !plane || regime == Regime::Slow;
    let manifold = result.clouds.as_ref().filter(|_| plane);
    let manifold = manifold.map_or(&[][..], |c| &c.manifold);
    let has_manifold = manifold.iter().any(|line| line.len() > 1);
    let tracked = |index: usize| paths.positions.get(index).is_some_and(|p| !p.is_empty());
    let legend = looks
        .iter()
        .enumerate()
        .filter(|(index, _)| tracked(*index));
    let mut legend: Vec<Entry> = legend
        .map(|(index, &look)| {
            let family = result.processes[index].family;
            let stroke = match plane {
                true => stroke(regime, family, look),
                false => in_time_of(index),
            };
            let stroke = Stroke {
                width: stroke.width.max(0.8),
                ..stroke
            };
            let sample = if plane {
                Sample::Marked(stroke, look.marker, false)
            } else {
                Sample::Line(stroke)
            };
            Entry::new(sample, Label::new(process_name(result, index)))
        })
        .collect();
    let curves = curves(result, paths);
    let on_gamma = |index: usize| {
        result
            .processes
            .get(index)
            .map(|p| clouds::height(p.family))
    };
    let wide_in_time = regime == Regime::Slow
        && plane
        && ((0..looks.len()).any(|i| tracked(i) && on_gamma(i) == Some(2)) || !curves.is_empty());
    if timed {
        for (index, _) in &curves {
            let name = Label::new(process_name(result, *index));
            legend.push(Entry::new(Sample::Line(wide(looks[*index])), name));
        }
    }
    if has_manifold {
        legend.push(clouds::manifold_entry());
    }
    let curves: Vec<(Stroke, Vec<(f64, f64)>)> = curves
        .into_iter()
        .map(|(index, points)| (wide(looks[index]), points))
        .collect();
    let isometric = in_plane.as_ref().is_some_and(|(x, y)| {
        let ((a, b), (c, d)) = (x.ends(), y.ends());
        let ratio = (b - a) / (d - c);
        (0.4..2.5).contains(&ratio)
    });
    let plane_height = match (columns, isometric) {
        (1 | 2, true) => 205.0,
        (_, true) => 142.0,
        (1 | 2, false) => 140.0,
        _ => 124.0,
    };
    let time_height = match (columns, plane) {
        (_, true) => 100.0,
        (1 | 2, false) => 140.0,
        _ => 124.0,
    };
    let mut panels: Vec<Panel<'a>> = Vec::new();
    let mut heights = Vec::new();
    let title = |member: usize| match columns > 1 {
        true => Label::new(format!("path {}", member + 1)),
        false => Label::default(),
    };
    if let Some((x, y)) = in_plane {
        heights.push(plane_height);
        panels.extend(
            shown
                .iter()
                .cloned()
                .enumerate()
                .map(|(member, tracks)| Panel {
                    title: title(member),
                    notes: Vec::new(),
                    x: x.clone(),
                    y: y.clone(),
                    isometric,
                    body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                        draw_plane(pen, frame, contours, manifold, &tracks);
                    }),
                }),
        );
    }
    if timed {
        heights.push(time_height);
        let (x, y) = in_time;
        let curves = std::sync::Arc::new(curves);
        panels.extend(shown.into_iter().enumerate().map(|(member, tracks)| Panel {
            title: match plane {
                true => Label::default(),
                false => title(member),
            },
            notes: Vec::new(),
            x: x.clone(),
            y: y.clone(),
            isometric: false,
            body: {
                let curves = curves.clone();
                Box::new(move |pen: &mut Pen, frame: &Frame| {
                    draw_times(pen, frame, &paths.times, &tracks, &curves);
                })
            },
        }));
    }
    let words = [
        match (plane, timed) {
            (true, false) => "Sample paths".to_owned(),
            (true, true) => format!(
                "Sample paths in the plane and their first coordinate against {}",
                clock(regime)
            ),
            _ => format!("First coordinate of sample paths against {}", clock(regime)),
        },
        format!(
            " for η = {}; all processes of a panel run on the same noise",
            text::learning_rate(paths.eta).plain()
        ),
        match regime {
            Regime::Fast => String::new(),
            Regime::Slow => "; the iterates x are raw, not projected onto Γ".to_owned(),
        },
        match (contours.is_some(), plane) {
            (true, _) => {
                "; circle: start, large markers: end, grey: contours of the loss at log-spaced levels"
            }
            (false, true) => "; circle: start, large markers: end",
            (false, false) => "",
        }
        .to_owned(),
        match wide_in_time {
            true => format!("; against {}, what runs on Γ is wide and pale", clock(regime)),
            false => String::new(),
        },
        match has_manifold {
            true => "; dark line: the manifold Γ of minimizers".to_owned(),
            false => String::new(),
        },
    ];
    Some(Sheet {
        name: "paths".to_owned(),
        caption: words.concat() + ".",
        title: result.scenario.title.clone(),
        remark: Label::new("η = ").join(&text::learning_rate(paths.eta)),
        legend,
        panels,
        columns,
        heights,
        share_y: columns > 1,
        share_x: false,
        width: Width::Natural,
    })
}

/// *x*₁ against time of processes without noise, where it is monitored: they have no paths.
fn curves(result: &ScenarioResult, paths: &SamplePaths) -> Vec<(usize, Vec<(f64, f64)>)> {
    let mut cells = result.cells.iter();
    let cell = cells.find(|c| (c.eta - paths.eta).abs() <= 1e-9 * paths.eta);
    let function = result.functions.iter().position(|f| f == "x[1]");
    let (Some(cell), Some(function)) = (cell, function) else {
        return Vec::new();
    };
    let without = |index: &usize| paths.positions.get(*index).is_none_or(Vec::is_empty);
    let known = 0..cell.processes.len().min(result.processes.len());
    known
        .filter(without)
        .filter_map(|index| {
            let mut bands = cell.processes[index].quantiles.iter();
            let band = bands.find(|b| b.function == function && quantiles::is_curve(b))?;
            let values = band.values.first()?.iter().copied();
            Some((index, cell.times.iter().copied().zip(values).collect()))
        })
        .collect()
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

fn draw_plane(
    pen: &mut Pen,
    frame: &Frame,
    grid: Option<&ContourGrid>,
    manifold: &[Vec<Vec<f64>>],
    tracks: &[Track],
) {
    if let Some(grid) = grid {
        let levels = contours::levels(grid, LEVELS);
        for (index, level) in levels.iter().enumerate() {
            let shade = 150 + (75 * index / LEVELS.max(1)) as u8;
            for line in contours::lines(grid, *level) {
                frame.line(pen, line, Stroke::solid(Rgb(shade, shade, shade), 0.5));
            }
        }
    }
    clouds::draw_manifold(pen, frame, manifold);
    let point = |p: &Vec<f64>| Some((*p.first()?, *p.get(1)?));
    for track in tracks {
        let points = track.positions.iter();
        let points = points.map(|p| point(p).unwrap_or((f64::NAN, f64::NAN)));
        frame.line(pen, points, track.stroke);
    }
    let start = tracks
        .iter()
        .find_map(|t| point(t.positions.first()?))
        .and_then(|(x, y)| frame.inside(x, y));
    for track in tracks {
        let end = track
            .positions
            .iter()
            .rev()
            .filter_map(point)
            .find(|(x, y)| x.is_finite() && y.is_finite());
        if let Some(place) = end.and_then(|(x, y)| frame.inside(x, y)) {
            pen.marker(place, track.look.marker, 3.1, theme::PAPER, false);
            pen.marker(place, track.look.marker, 2.3, track.look.color, false);
        }
    }
    if let Some(place) = start {
        pen.marker(place, Marker::Circle, 2.4, INK, true);
    }
}

fn draw_times(
    pen: &mut Pen,
    frame: &Frame,
    times: &[f64],
    tracks: &[Track],
    curves: &[(Stroke, Vec<(f64, f64)>)],
) {
    let (low, high) = frame.x.ends();
    frame.line(pen, [(low, 0.0), (high, 0.0)], Stroke::solid(FAINT, 0.5));
    for (stroke, points) in curves {
        frame.line(pen, points.iter().copied(), *stroke);
    }
    // What lies on top in the plane lies below here: wide and pale it shows beside the others.
    let mut tracks: Vec<&Track> = tracks.iter().collect();
    tracks.sort_by(|a, b| b.in_time.width.total_cmp(&a.in_time.width));
    for track in tracks {
        let curve = times
            .iter()
            .zip(track.positions)
            .map(|(&t, p)| (t, p.first().copied().unwrap_or(f64::NAN)));
        frame.line(pen, curve, track.in_time);
    }
}
