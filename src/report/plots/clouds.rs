//! The clouds of Regime II: many paths of every process over the plane at a few slow times, with Γ and the contours of the
//! loss.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::contours;
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::paths::plane_ranges;
use super::text::{self, Label};
use super::theme::{self, Dash, INK, Look, Rgb};
use super::{clock, process_name, spread};
use crate::report::result::{Clouds, ContourGrid, ProcessFamily, Regime, ScenarioResult};

/// Name of the figure and of its animation.
pub const NAME: &str = "cloud";
/// Times shown.
const MOST_TIMES: usize = 4;
/// Points of one process in one panel.
const MOST_POINTS: usize = 300;
/// Iso-lines.
const LEVELS: usize = 11;
/// Share of the points that the frame may leave out at either end.
const TAIL: f64 = 0.002;

/// The figure, if there are clouds over the plane.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    Scene::new(result).map(Scene::sheet).into_iter().collect()
}

/// What all panels and all frames of the animation have in common.
#[derive(Clone)]
pub struct Scene<'a> {
    result: &'a ScenarioResult,
    clouds: &'a Clouds,
    contours: Option<&'a ContourGrid>,
    /// Processes that have points, the ones below first.
    order: Vec<(usize, Look)>,
    /// Whether controls are left out.
    hides: bool,
    x: Axis,
    y: Axis,
    isometric: bool,
}

/// What of a scene is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Contours and Γ, the same at all times.
    Still,
    /// The points.
    Moving,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grain {
    /// Radius of a point, in points.
    pub radius: f64,
    /// Opacity of a point.
    pub alpha: f64,
    /// Points of one process.
    pub most: usize,
}

impl<'a> Scene<'a> {
    /// The scene, if there are clouds over the plane.
    pub fn new(result: &'a ScenarioResult) -> Option<Self> {
        let clouds = result
            .clouds
            .as_ref()
            .filter(|_| result.scenario.dimension == 2 && result.scenario.regime == Regime::Slow)?;
        let (order, hides) = shown_processes(result, clouds);
        let everything = || {
            order.iter().flat_map(|(index, _)| {
                (0..clouds.times.len()).flat_map(|t| points(clouds, *index, t))
            })
        };
        everything().next()?;
        let cores = [
            core(everything().map(|p| p.0).collect()),
            core(everything().map(|p| p.1).collect()),
        ];
        let contours = result.contours.as_ref().filter(|g| contours::usable(g));
        let (mut across, mut up) = plane_ranges(cores[0], cores[1]);
        if let Some(grid) = contours {
            across = within(across, cores[0], &grid.x);
            up = within(up, cores[1], &grid.y);
        }
        let x = Axis::linear(across, Label::function("x[1]"), 6);
        let y = Axis::linear(up, Label::function("x[2]"), 5);
        let ((a, b), (c, d)) = (x.ends(), y.ends());
        let isometric = (0.4..2.5).contains(&((b - a) / (d - c)));
        Some(Self {
            result,
            clouds,
            contours,
            order,
            hides,
            x,
            y,
            isometric,
        })
    }

    /// Indices of the times at which there are points.
    pub fn times(&self) -> Vec<usize> {
        let any = |&t: &usize| {
            let mut of = self.order.iter();
            self.clouds.times[t].is_finite()
                && of.any(|(index, _)| points(self.clouds, *index, t).next().is_some())
        };
        (0..self.clouds.times.len()).filter(any).collect()
    }

    /// Slow time of an index.
    pub fn time(&self, index: usize) -> f64 {
        self.clouds.times.get(index).copied().unwrap_or(f64::NAN)
    }

    /// One panel of a time.
    pub fn panel(&self, time: usize, title: Label, grain: Grain, part: Part) -> Panel<'a> {
        let scene = self.clone();
        Panel {
            title,
            notes: Vec::new(),
            x: self.x.clone(),
            y: self.y.clone(),
            isometric: self.isometric,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                if part != Part::Moving {
                    scene.draw_still(pen, frame);
                }
                if part != Part::Still {
                    scene.draw_points(pen, frame, time, grain);
                }
            }),
        }
    }

    /// A sheet around panels.
    pub fn around(&self, panels: Vec<Panel<'a>>, columns: usize, height: f64) -> Sheet<'a> {
        Sheet {
            name: NAME.to_owned(),
            caption: self.caption(),
            title: self.result.scenario.title.clone(),
            remark: Label::new("η = ").join(&text::learning_rate(self.clouds.eta)),
            legend: self.legend(),
            panels,
            columns,
            heights: vec![height],
            share_y: columns > 1,
            share_x: true,
            width: Width::Natural,
        }
    }

    fn sheet(self) -> Sheet<'a> {
        let after: Vec<usize> = self
            .times()
            .into_iter()
            .filter(|&t| self.time(t) > 0.0)
            .collect();
        let chosen = match after.is_empty() {
            true => self.times(),
            false => after,
        };
        let chosen = spread(chosen.len(), MOST_TIMES)
            .into_iter()
            .map(|i| chosen[i]);
        let grain = Grain {
            radius: 1.05,
            alpha: 0.5,
            most: MOST_POINTS,
        };
        let panels: Vec<Panel<'a>> = chosen
            .map(|t| {
                self.panel(
                    t,
                    time_title(&text::number(self.time(t))),
                    grain,
                    Part::Whole,
                )
            })
            .collect();
        let (columns, height) = match panels.len() {
            1 => (1, 205.0),
            2 | 4 => (2, if self.isometric { 190.0 } else { 150.0 }),
            _ => (3, 150.0),
        };
        self.around(panels, columns, height)
    }

    fn legend(&self) -> Vec<Entry> {
        let mut legend: Vec<(usize, Entry)> = self
            .order
            .iter()
            .map(|&(index, look)| {
                let sample = Sample::Mark(look.color, look.marker);
                let label = Label::new(process_name(self.result, index));
                (index, Entry::new(sample, label))
            })
            .collect();
        legend.sort_by_key(|(index, _)| *index);
        let mut legend: Vec<Entry> = legend.into_iter().map(|(_, entry)| entry).collect();
        if self.clouds.manifold.iter().any(|line| line.len() > 1) {
            legend.push(manifold_entry());
        }
        legend
    }

    fn caption(&self) -> String {
        let mut names = self
            .order
            .iter()
            .map(|(index, _)| *index)
            .collect::<Vec<_>>();
        names.sort_unstable();
        names.retain(|&index| self.is_raw(index));
        let names: Vec<String> = names
            .into_iter()
            .map(|index| process_name(self.result, index))
            .collect();
        format!(
            "Clouds of paths at chosen {}s for η = {}{}{}{}{}.",
            clock(self.result.scenario.regime),
            text::learning_rate(self.clouds.eta).plain(),
            match names.len() {
                0 => String::new(),
                1 => format!("; {}: the raw iterates x, not projected onto Γ", names[0]),
                _ => format!(
                    "; {}: the raw iterates x, not projected onto Γ, each process on paths of its own",
                    names.join(", ")
                ),
            },
            match self.hides {
                true => "; controls, which run on Γ too, are not drawn",
                false => "",
            },
            match self.clouds.manifold.is_empty() {
                true => "",
                false => "; dark line: the manifold Γ of minimizers",
            },
            match self.contours.is_some() {
                true => "; grey: contours of the loss at log-spaced levels",
                false => "",
            },
        )
    }

    fn draw_still(&self, pen: &mut Pen, frame: &Frame) {
        if let Some(grid) = self.contours {
            for (index, level) in contours::levels(grid, LEVELS).iter().enumerate() {
                let shade = 165 + (65 * index / LEVELS.max(1)) as u8;
                for line in contours::lines(grid, *level) {
                    frame.line(pen, line, Stroke::solid(Rgb(shade, shade, shade), 0.4));
                }
            }
        }
        draw_manifold(pen, frame, &self.clouds.manifold);
    }

    fn draw_points(&self, pen: &mut Pen, frame: &Frame, time: usize, grain: Grain) {
        // The iterates lie among one another, then what runs on Γ process by process.
        let raw = self.order.iter().filter(|o| self.is_raw(o.0)).count();
        let (raw, projected) = self.order.split_at(raw);
        let mut turns: Vec<(usize, Look, (f64, f64))> = Vec::new();
        for (place, &(index, look)) in raw.iter().enumerate() {
            let own = self.own_paths(index, time, grain, place, raw.len());
            turns.extend(own.map(|(path, at)| (path, look, at)));
        }
        turns.sort_by_key(|(path, ..)| *path);
        for &(index, look) in projected {
            let own = self.own_paths(index, time, grain, 0, 1);
            turns.extend(own.map(|(path, at)| (path, look, at)));
        }
        for (_, look, (x, y)) in turns {
            if let Some(at) = frame.inside(x, y) {
                pen.speck(at, look.marker, grain.radius, look.color, grain.alpha);
            }
        }
    }

    /// Every `of`-th path: processes on one noise would cover one another point by point.
    fn own_paths(
        &self,
        process: usize,
        time: usize,
        grain: Grain,
        first: usize,
        of: usize,
    ) -> impl Iterator<Item = (usize, (f64, f64))> + use<'a> {
        let here = self.clouds.positions.get(process).and_then(|p| p.get(time));
        let paths = here.map_or(&[][..], Vec::as_slice);
        let stride = of.max(1);
        let own = paths.len().saturating_sub(first).div_ceil(stride);
        let places = spread(own, grain.most).into_iter();
        places.filter_map(move |k| {
            let path = first + k * stride;
            Some((path, pair(paths.get(path)?)?))
        })
    }

    fn is_raw(&self, process: usize) -> bool {
        let family = self.result.processes.get(process).map(|p| p.family);
        family.is_some_and(|f| height(f) == 0)
    }
}

/// Processes that have points, the ones below first, and whether controls are left out: they run on Γ like the slow SDE and would
/// lie below its points.
pub(super) fn shown_processes(
    result: &ScenarioResult,
    clouds: &Clouds,
) -> (Vec<(usize, Look)>, bool) {
    let looks = theme::process_looks(&result.processes);
    let has_points = |index: usize| {
        let mut times = 0..clouds.times.len();
        times.any(|t| points(clouds, index, t).next().is_some())
    };
    let mut order: Vec<(usize, Look)> = looks
        .into_iter()
        .enumerate()
        .filter(|(index, _)| has_points(*index))
        .collect();
    let height = |index: usize| height(result.processes[index].family);
    order.sort_by_key(|o| height(o.0));
    let has = |wanted: u8| order.iter().any(|o| height(o.0) == wanted);
    let hides = has(1) && has(2);
    if hides {
        order.retain(|o| height(o.0) != 1);
    }
    (order, hides)
}

/// The lines of Γ.
pub(super) fn draw_manifold(pen: &mut Pen, frame: &Frame, manifold: &[Vec<Vec<f64>>]) {
    for line in manifold {
        let points = line.iter().map(|p| pair(p).unwrap_or((f64::NAN, f64::NAN)));
        frame.line(pen, points, Stroke::solid(INK, 0.7));
    }
}

/// The legend's entry of Γ.
pub(super) fn manifold_entry() -> Entry {
    Entry::guide(INK, 0.8, Dash::Solid, Label::new("minimizers Γ"))
}

/// *t* = …
pub fn time_title(time: &Label) -> Label {
    Label::italic(Label::default(), "t").then(" = ").join(time)
}

/// What lies on top: the slow SDE over its control over the iterates.
pub(super) fn height(family: ProcessFamily) -> u8 {
    match family {
        ProcessFamily::SlowSde => 2,
        ProcessFamily::SlowControl => 1,
        _ => 0,
    }
}

fn pair(point: &[f64]) -> Option<(f64, f64)> {
    let (x, y) = (*point.first()?, *point.get(1)?);
    (x.is_finite() && y.is_finite()).then_some((x, y))
}

/// The points of a process at a time.
pub(super) fn points(
    clouds: &Clouds,
    process: usize,
    time: usize,
) -> impl Iterator<Item = (f64, f64)> + '_ {
    let here = clouds.positions.get(process).and_then(|p| p.get(time));
    here.into_iter().flatten().filter_map(|p| pair(p))
}

/// The range cut where the grid of the loss ends, as far as the grid holds the points.
pub(super) fn within(range: Extent, core: Extent, grid: &[f64]) -> Extent {
    let grid = Extent::of(grid.iter().copied());
    Extent {
        low: match grid.low <= core.low {
            true => range.low.max(grid.low),
            false => range.low,
        },
        high: match grid.high >= core.high {
            true => range.high.min(grid.high),
            false => range.high,
        },
    }
}

/// The range of all but the outermost values.
fn core(mut values: Vec<f64>) -> Extent {
    values.sort_by(f64::total_cmp);
    let left_out = (TAIL * values.len() as f64) as usize;
    let kept = values.len() - left_out;
    Extent::of(
        values
            .get(left_out..kept)
            .unwrap_or_default()
            .iter()
            .copied(),
    )
}
