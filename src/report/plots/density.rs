//! Contours of the density over the plane at a few times: the smallest regions that hold half and nine tenths of the paths.
//!
//! Around a curve Γ of minimizers the density is that of the coordinates along and across Γ, so that contours follow it; what runs
//! on Γ has no density over the plane, and is shown by the parts of Γ that hold half and nine tenths of its paths. Beside Γ lines show
//! those of the other processes: a region in the plane reaches farther along Γ than the part of Γ that holds as many paths.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::clouds::{self, draw_manifold, height, manifold_entry, points, shown_processes};
use super::contours::Line;
use super::frame::Frame;
use super::kernel::{Density, LineDensity};
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::paths::plane_ranges;
use super::text::{self, Label};
use super::theme::{Dash, Look, QUIET};
use super::{clock, process_name, spread};
use crate::report::result::{Clouds, ScenarioResult};

/// Times shown.
const MOST_TIMES: usize = 4;
/// Shares of the paths that regions hold, with the widths of their lines and of the bars on Γ.
const REGIONS: [(f64, f64, f64); 2] = [(0.5, 1.2, 4.2), (0.9, 0.6, 2.0)];
/// Widths of the lines beside Γ, and their distance from one another as a share of the size of the figure.
const BESIDE: [f64; 2] = [1.8, 0.7];
const APART: f64 = 0.028;
/// Points along a bar.
const BAR_POINTS: usize = 60;

/// The figure, if there are clouds over the plane that have a density.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let clouds = result.clouds.as_ref();
    let plane = clouds.filter(|_| result.scenario.dimension == 2);
    plane
        .and_then(|clouds| sheet(result, clouds))
        .into_iter()
        .collect()
}

/// The regions of one process at one time, the smaller one first.
struct Shape {
    look: Look,
    /// Whether they are parts of Γ.
    bars: bool,
    regions: Vec<Vec<Line>>,
    /// How far they reach from Γ, and the parts of Γ that hold as much: the intervals of lengths.
    reach: f64,
    parts: Vec<Vec<(f64, f64)>>,
    /// These parts, moved away from Γ.
    beside: Vec<Vec<Line>>,
}

impl Shape {
    fn new(
        points: &[(f64, f64)],
        look: Look,
        curve: Option<&Curve>,
        on_curve: bool,
    ) -> Option<Self> {
        let masses = || REGIONS.iter().map(|r| r.0);
        let mut shape = Self {
            look,
            bars: false,
            regions: Vec::new(),
            reach: 0.0,
            parts: Vec::new(),
            beside: Vec::new(),
        };
        if let Some(curve) = curve {
            let along: Vec<(f64, f64)> = points.iter().map(|&p| curve.locate(p)).collect();
            let places: Vec<f64> = along.iter().map(|p| p.0).collect();
            let density = LineDensity::new(&places)?;
            shape.parts = masses().map(|mass| density.region(mass)).collect();
            if on_curve {
                shape.bars = true;
                shape.regions = curve.beside(&shape.parts, 0.0);
            } else {
                let density = Density::new(&along)?;
                let regions: Vec<Vec<Line>> = masses().map(|mass| density.region(mass)).collect();
                let across = regions.iter().flatten().flatten().map(|p| p.1.abs());
                shape.reach = across.fold(0.0, f64::max);
                let back = |line: &Line| line.iter().map(|&p| curve.place(p)).collect();
                shape.regions = regions
                    .iter()
                    .map(|lines| lines.iter().map(back).collect())
                    .collect();
            }
        } else {
            let density = Density::new(points)?;
            shape.regions = masses().map(|mass| density.region(mass)).collect();
        }
        let drawn = shape.regions.iter().flatten().any(|line| line.len() > 1);
        drawn.then_some(shape)
    }

    fn extents(&self) -> [Extent; 2] {
        let points = || self.regions.iter().chain(&self.beside).flatten().flatten();
        [
            Extent::of(points().map(|p| p.0)),
            Extent::of(points().map(|p| p.1)),
        ]
    }

    fn draw(&self, pen: &mut Pen, frame: &Frame) {
        for (lines, (_, width, bar)) in self.regions.iter().zip(REGIONS) {
            let stroke = match self.bars {
                true => Stroke::solid(self.look.color, bar).faded(0.55),
                false => Stroke::solid(self.look.color, width).dashed(self.look.dash),
            };
            for line in lines {
                frame.line(pen, line.iter().copied(), stroke);
            }
        }
        for (lines, width) in self.beside.iter().zip(BESIDE) {
            for line in lines {
                let stroke = Stroke::solid(self.look.color, width).dashed(self.look.dash);
                frame.line(pen, line.iter().copied(), stroke);
            }
        }
    }
}

/// Puts the parts of Γ of the iterates beside their regions, each process in a lane of its own.
fn set_beside(groups: &mut [Vec<Shape>], curve: &Curve) {
    let extents = || groups.iter().flatten().map(Shape::extents);
    let whole = extents().fold([Extent::EMPTY; 2], joined);
    let apart = APART * whole[0].length().max(whole[1].length());
    let reach = groups.iter().flatten().map(|s| s.reach).fold(0.0, f64::max);
    for group in groups {
        let raw = group.iter_mut().filter(|s| !s.bars);
        for (lane, shape) in raw.enumerate() {
            shape.beside = curve.beside(&shape.parts, reach + apart * (lane as f64 + 0.8));
        }
    }
}

fn sheet<'a>(result: &'a ScenarioResult, clouds: &'a Clouds) -> Option<Sheet<'a>> {
    let (order, hides) = shown_processes(result, clouds);
    let curve = Curve::new(clouds);
    let times: Vec<usize> = (0..clouds.times.len())
        .filter(|&t| clouds.times[t] > 0.0 && clouds.times[t].is_finite())
        .collect();
    let times: Vec<usize> = spread(times.len(), MOST_TIMES)
        .into_iter()
        .map(|k| times[k])
        .collect();
    let mut present: Vec<(usize, Look, bool)> = Vec::new();
    let groups: Vec<Vec<Shape>> = times
        .iter()
        .map(|&time| {
            let shapes = order.iter().filter_map(|&(index, look)| {
                let own: Vec<(f64, f64)> = points(clouds, index, time).collect();
                let on_curve = height(result.processes[index].family) > 0;
                let shape = Shape::new(&own, look, curve.as_ref(), on_curve)?;
                if !present.iter().any(|p| p.0 == index) {
                    present.push((index, look, shape.bars));
                }
                Some(shape)
            });
            shapes.collect()
        })
        .collect();
    let (mut groups, times): (Vec<Vec<Shape>>, Vec<usize>) = groups
        .into_iter()
        .zip(times)
        .filter(|(group, _)| !group.is_empty())
        .unzip();
    if groups.is_empty() {
        return None;
    }
    present.sort_by_key(|p| p.0);
    if let Some(curve) = curve.as_ref().filter(|_| present.iter().any(|p| p.2)) {
        set_beside(&mut groups, curve);
    }
    let extents: Vec<[Extent; 2]> = groups
        .iter()
        .map(|group| {
            let empty = [Extent::EMPTY; 2];
            group.iter().map(Shape::extents).fold(empty, joined)
        })
        .collect();
    let whole = extents.iter().copied().fold([Extent::EMPTY; 2], joined);
    // One pair of axes, unless the regions wander too far for their size.
    let share = |e: &[Extent; 2]| {
        let shares = [0, 1].map(|k| e[k].length() / whole[k].length());
        shares[0].max(shares[1])
    };
    let common = curve.is_some() || extents.iter().all(|e| share(e) > 0.25);
    let ranges: Vec<(Extent, Extent)> = extents
        .iter()
        .map(|own| {
            let [x, y] = if common { whole } else { *own };
            plane_ranges(x, y)
        })
        .collect();
    let flat = |(x, y): &(Extent, Extent)| (0.4..2.5).contains(&(x.length() / y.length()));
    let isometric = ranges.iter().all(flat);
    let manifold = curve.is_some();
    let mut legend: Vec<Entry> = present.iter().map(|p| entry(result, *p)).collect();
    let lines = present.iter().any(|p| !p.2);
    for (mass, width, _) in REGIONS.iter().filter(|_| lines) {
        let name = Label::new(format!("{} % of paths", text::percent(*mass)));
        legend.push(Entry::guide(QUIET, *width, Dash::Solid, name));
    }
    if manifold {
        legend.push(manifold_entry());
    }
    let count = groups.len();
    let panels = groups
        .into_iter()
        .zip(ranges)
        .zip(times)
        .map(|((shapes, (x, y)), time)| Panel {
            title: clouds::time_title(&text::number(clouds.times[time])),
            notes: Vec::new(),
            x: Axis::linear(x, Label::function("x[1]"), 5),
            y: Axis::linear(y, Label::function("x[2]"), 5),
            isometric,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                if manifold {
                    draw_manifold(pen, frame, &clouds.manifold);
                }
                shapes.iter().for_each(|shape| shape.draw(pen, frame));
            }),
        })
        .collect();
    let lengthy = whole[0].length() > 1.4 * whole[1].length();
    let (columns, height) = match count {
        1 => (1, 205.0),
        4 if common && !lengthy => (4, 125.0),
        2 | 4 => (2, if isometric { 190.0 } else { 150.0 }),
        _ => (3, 150.0),
    };
    Some(Sheet {
        name: "density".to_owned(),
        caption: caption(result, clouds, &present, manifold, hides),
        title: result.scenario.title.clone(),
        remark: Label::new("η = ").join(&text::learning_rate(clouds.eta)),
        legend,
        panels,
        columns,
        heights: vec![height],
        share_y: common && columns > 1,
        share_x: common,
        width: Width::Natural,
    })
}

fn joined(a: [Extent; 2], b: [Extent; 2]) -> [Extent; 2] {
    [a[0].union(b[0]), a[1].union(b[1])]
}

fn entry(result: &ScenarioResult, (index, look, bars): (usize, Look, bool)) -> Entry {
    let name = Label::new(process_name(result, index));
    match bars {
        true => Entry::new(
            Sample::Line(Stroke::solid(look.color, 4.2).faded(0.55)),
            name,
        ),
        false => Entry::line(look, 0.9, name),
    }
}

fn caption(
    result: &ScenarioResult,
    clouds: &Clouds,
    present: &[(usize, Look, bool)],
    manifold: bool,
    hides: bool,
) -> String {
    let paths = clouds.positions.iter().flatten().map(Vec::len).max();
    let names: Vec<String> = present
        .iter()
        .filter(|p| p.2)
        .map(|p| process_name(result, p.0))
        .collect();
    format!(
        "Contours of the density over the plane at chosen {}s for η = {}: the inner, thick line of a process encloses {} % of its {} \
         paths, the outer, thin line {} %; every process on the same noise; highest-density regions of a Gaussian kernel density{} with \
         the normal-reference bandwidth n^(−1/6) standard deviations{}{}.",
        clock(result.scenario.regime),
        text::learning_rate(clouds.eta).plain(),
        text::percent(REGIONS[0].0),
        paths.unwrap_or(0),
        text::percent(REGIONS[1].0),
        match manifold {
            true => " in the coordinates along and across the manifold Γ of minimizers (dark line)",
            false => "",
        },
        match names.is_empty() {
            true => String::new(),
            false => format!(
                "; {}: on Γ, where the wide bar holds {} % and the narrow one {} % of the paths; lines beside Γ: the parts along it that \
                 hold as much of the iterates",
                names.join(", "),
                text::percent(REGIONS[0].0),
                text::percent(REGIONS[1].0)
            ),
        },
        match hides {
            true => "; controls, which run on Γ too, are not drawn",
            false => "",
        },
    )
}

/// Γ as a curve with the coordinates along and across it.
#[derive(Clone, Debug)]
struct Curve {
    points: Vec<[f64; 2]>,
    /// Length from the first point to each.
    lengths: Vec<f64>,
    /// Unit vectors across the curve at its points.
    normals: Vec<[f64; 2]>,
}

impl Curve {
    /// Γ, if it is one curve; a closed one is cut far from the paths.
    fn new(clouds: &Clouds) -> Option<Self> {
        let [line] = &clouds.manifold[..] else {
            return None;
        };
        let points: Option<Vec<[f64; 2]>> = line
            .iter()
            .map(|p| match p[..] {
                [x, y] if x.is_finite() && y.is_finite() => Some([x, y]),
                _ => None,
            })
            .collect();
        let mut points = points?;
        points.dedup();
        let (first, last) = (*points.first()?, *points.last()?);
        let length: f64 = points.windows(2).map(|w| distance(w[0], w[1])).sum();
        if points.len() < 3 || !length.is_finite() {
            return None;
        }
        if distance(first, last) < 2.0 * length / points.len() as f64 {
            let all = clouds.positions.iter().flatten().flatten();
            let (mut sum, mut n) = ([0.0; 2], 0.0);
            for p in all.filter(|p| p.len() > 1 && p.iter().all(|x| x.is_finite())) {
                sum = [sum[0] + p[0], sum[1] + p[1]];
                n += 1.0;
            }
            let mean = sum.map(|s| s / n);
            let far = |k: &usize| distance(points[*k], mean);
            let cut = (0..points.len()).max_by(|a, b| far(a).total_cmp(&far(b)))?;
            points.rotate_left(cut);
        }
        let mut lengths = vec![0.0];
        for pair in points.windows(2) {
            let so_far = lengths.last().copied().unwrap_or(0.0);
            lengths.push(so_far + distance(pair[0], pair[1]));
        }
        let normals = (0..points.len())
            .map(|k| {
                let (a, b) = (
                    points[k.saturating_sub(1)],
                    points[(k + 1).min(points.len() - 1)],
                );
                let length = distance(a, b).max(f64::MIN_POSITIVE);
                [(a[1] - b[1]) / length, (b[0] - a[0]) / length]
            })
            .collect();
        Some(Self {
            points,
            lengths,
            normals,
        })
    }

    /// How far a point's nearest place on the curve is along it, and how far the point is to its left. The ends go on straight.
    fn locate(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let last = self.points.len() - 2;
        let mut best = (f64::INFINITY, (0.0, 0.0));
        for (k, pair) in self.points.windows(2).enumerate() {
            let length = self.lengths[k + 1] - self.lengths[k];
            let along = [
                (pair[1][0] - pair[0][0]) / length,
                (pair[1][1] - pair[0][1]) / length,
            ];
            let from = [x - pair[0][0], y - pair[0][1]];
            let forward = from[0] * along[0] + from[1] * along[1];
            let low = if k == 0 { f64::NEG_INFINITY } else { 0.0 };
            let high = if k == last { f64::INFINITY } else { length };
            let held = forward.clamp(low, high);
            let gap = (from[0] - held * along[0]).hypot(from[1] - held * along[1]);
            if gap < best.0 {
                let left = along[0] * from[1] - along[1] * from[0];
                best = (gap, (self.lengths[k] + held, gap.copysign(left)));
            }
        }
        best.1
    }

    /// The point with these coordinates.
    fn place(&self, (along, across): (f64, f64)) -> (f64, f64) {
        let last = self.points.len() - 2;
        let k = self
            .lengths
            .partition_point(|l| *l <= along)
            .clamp(1, last + 1)
            - 1;
        let share = (along - self.lengths[k]) / (self.lengths[k + 1] - self.lengths[k]);
        let [(a, b), (n, m)] = [
            (self.points[k], self.points[k + 1]),
            (self.normals[k], self.normals[k + 1]),
        ];
        let near = share.clamp(0.0, 1.0);
        let at = |i: usize| {
            let normal = (1.0 - near) * n[i] + near * m[i];
            a[i] + share * (b[i] - a[i]) + across * normal
        };
        (at(0), at(1))
    }

    /// Parts of the curve between two lengths, moved to its left.
    fn beside(&self, parts: &[Vec<(f64, f64)>], across: f64) -> Vec<Vec<Line>> {
        let part = |&(from, to): &(f64, f64)| -> Line {
            let step = (to - from) / BAR_POINTS as f64;
            let lengths = (0..=BAR_POINTS).map(|k| from + step * k as f64);
            lengths.map(|along| self.place((along, across))).collect()
        };
        parts
            .iter()
            .map(|own| own.iter().map(part).collect())
            .collect()
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A circle of radius 2 with 200 points, traced as a run does it: from (2, 0), the last point near the first.
    fn circle() -> Clouds {
        let points = (0..200).map(|k| {
            let angle = std::f64::consts::TAU * f64::from(k) / 200.0;
            vec![2.0 * angle.cos(), 2.0 * angle.sin()]
        });
        Clouds {
            eta: 0.1,
            times: vec![0.0, 1.0],
            positions: vec![vec![vec![vec![2.0, 0.1]; 3]; 2]],
            manifold: vec![points.collect()],
        }
    }

    #[test]
    fn coordinates_along_a_circle_are_arcs_and_radii() {
        let curve = Curve::new(&circle()).expect("a curve");
        let polar = |angle: f64, radius: f64| (radius * angle.cos(), radius * angle.sin());
        // The cut is at the far side, so that arcs around the paths join.
        let (a, n) = curve.locate(polar(-0.4, 2.3));
        let (b, m) = curve.locate(polar(0.7, 1.9));
        // Across a corner the foot on the line stays behind by half its angle for every unit of distance.
        let corner = 0.5 * std::f64::consts::TAU / 200.0;
        assert!((b - a - 2.0 * 1.1).abs() < 0.4 * corner, "{a} {b}");
        assert!((n + 0.3).abs() < 1e-3 && (m - 0.1).abs() < 1e-3, "{n} {m}");
        for (angle, radius) in [(0.3, 2.4), (-1.2, 1.5), (2.0, 2.0)] {
            let (x, y) = polar(angle, radius);
            let back = curve.place(curve.locate((x, y)));
            assert!((back.0 - x).hypot(back.1 - y) < 1e-2, "{back:?} {x} {y}");
        }
    }

    #[test]
    fn what_is_no_curve_has_no_coordinates() {
        let mut clouds = circle();
        clouds.manifold[0].truncate(2);
        assert!(Curve::new(&clouds).is_none());
        clouds.manifold[0] = vec![vec![f64::NAN, 0.0]; 9];
        assert!(Curve::new(&clouds).is_none());
        clouds.manifold.clear();
        assert!(Curve::new(&clouds).is_none());
    }
}
