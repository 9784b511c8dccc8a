//! Histograms of a monitored function at chosen times, all processes overlaid; the exact Gaussian where it is known.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::{self, Label};
use super::theme::{self, Dash, EXACT, Look};
use super::{clock, function_name, monitored_sheets, process_name, projected, quantiles, spread};
use crate::report::result::{Cell, Histogram, ProcessSummary, QuantileBand, ScenarioResult};

/// Times shown in one figure.
const MOST_TIMES: usize = 4;
/// Bins are merged until a histogram has at most about this many, or this many for a cube root of paths.
const MOST_BINS: f64 = 44.0;
const BINS: f64 = 3.0;
/// Share of the mass left out at either end when tails would squeeze the rest.
const TAIL: f64 = 0.002;

/// A density is cut where it is this many times as high as all others, at this share of theirs.
const TOWERING: f64 = 8.0;
const CUT: f64 = 1.7;

/// One figure a monitored function at the smallest η at which all processes run, where the limit shows, and one at the
/// largest, where the processes differ most.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let shown = |p: &ProcessSummary| p.histograms.iter().any(|h| total(h) > 0.0);
    let functions = |p: &ProcessSummary| p.histograms.iter().map(|x| x.function).collect();
    monitored_sheets(result, "distribution", &shown, &functions, sheet)
}

/// A histogram with its look.
struct Shown<'a> {
    histogram: &'a Histogram,
    process: usize,
    look: Look,
    /// Bins merged into one.
    merged: usize,
}

fn sheet<'a>(
    result: &'a ScenarioResult,
    cell: &'a Cell,
    function: usize,
    name: String,
) -> Sheet<'a> {
    let looks = theme::process_looks(&result.processes);
    let symbol = Label::quantity(&function_name(result, function));
    let all: Vec<(usize, &Histogram)> = cell
        .processes
        .iter()
        .enumerate()
        .flat_map(|(index, p)| p.histograms.iter().map(move |h| (index, h)))
        .filter(|(_, h)| h.function == function && total(h) > 0.0 && h.time.is_finite())
        .collect();
    let mut times: Vec<f64> = all.iter().map(|(_, h)| h.time).collect();
    times.sort_by(f64::total_cmp);
    times.dedup_by(|a, b| same_time(*a, *b));
    let times: Vec<f64> = spread(times.len(), MOST_TIMES)
        .into_iter()
        .map(|i| times[i])
        .collect();

    let mut present: Vec<usize> = all.iter().map(|(index, _)| *index).collect();
    present.sort_unstable();
    present.dedup();
    let gaussian = |h: &Histogram| h.gaussian.is_some_and(|(m, s)| m.is_finite() && s > 0.0);
    let law = match (
        all.iter().any(|(_, h)| gaussian(h)),
        all.iter().any(|(_, h)| !h.density.is_empty()),
    ) {
        (_, true) => Some("exact law"),
        (true, false) => Some("exact Gaussian"),
        (false, false) => None,
    };
    let mut legend: Vec<Entry> = Vec::new();
    for &index in &present {
        if let Some(&look) = looks.get(index) {
            let stroke = Stroke::solid(look.color, 1.1).dashed(look.dash);
            legend.push(Entry::new(
                Sample::Line(stroke),
                Label::new(process_name(result, index)),
            ));
        }
    }
    let curves: Vec<Curve> = cell
        .processes
        .iter()
        .enumerate()
        .filter(|(index, _)| !present.contains(index))
        .filter_map(|(index, process)| {
            let mut bands = process.quantiles.iter().filter(|b| b.function == function);
            let band = bands.find(|b| quantiles::is_curve(b))?;
            let look = *looks.get(index)?;
            Some(Curve { band, index, look })
        })
        .collect();
    for curve in &curves {
        let name = Label::new(process_name(result, curve.index));
        legend.push(Entry::new(Sample::Line(curve.stroke()), name));
    }
    if let Some(law) = law {
        legend.push(Entry::guide(EXACT, 0.6, Dash::Solid, Label::new(law)));
    }

    let groups: Vec<Vec<Shown>> = times
        .iter()
        .map(|&time| {
            let here: Vec<_> = all
                .iter()
                .filter(|(_, h)| same_time(h.time, time))
                .collect();
            let shown = here.iter().filter_map(|(index, histogram)| {
                let bins = core(histogram).length() / histogram.width;
                let look = *looks.get(*index)?;
                Some(Shown {
                    histogram,
                    process: *index,
                    look,
                    merged: merging(bins, total(histogram)),
                })
            });
            shown.collect()
        })
        .collect();
    let ranges: Vec<Extent> = groups
        .iter()
        .zip(&times)
        .map(|(g, time)| {
            let values = curves.iter().filter_map(|c| c.value(cell, *time));
            g.iter()
                .fold(Extent::of(values), |e, s| e.union(core(s.histogram)))
        })
        .collect();
    let whole = ranges.iter().fold(Extent::EMPTY, |e, r| e.union(*r));
    let narrowest = ranges
        .iter()
        .map(Extent::length)
        .fold(f64::INFINITY, f64::min);
    let common = narrowest > 0.22 * whole.length();
    let columns = groups.len();
    let wanted = if columns > 2 { 4 } else { 6 };
    let heights: Vec<(f64, Option<(usize, f64)>)> = groups.iter().map(|g| height(g)).collect();
    let peaks: Vec<f64> = heights.iter().map(|h| h.0).collect();
    let any_cut = heights.iter().any(|h| h.1.is_some());
    let highest = peaks.iter().copied().fold(0.0, f64::max);
    let lowest = peaks.iter().copied().fold(f64::INFINITY, f64::min);
    let share_y = columns > 1 && lowest > 0.3 * highest;
    let panels = groups
        .into_iter()
        .zip(ranges)
        .zip(&times)
        .zip(&heights)
        .map(|(((shown, range), time), (peak, cut))| Panel {
            title: Label::italic(Label::default(), "t")
                .then(" = ")
                .join(&text::number(*time)),
            notes: cut
                .iter()
                .map(|(process, height)| {
                    let name = Label::new(process_name(result, *process));
                    name.then(" up to ").join(&text::rounded(*height))
                })
                .collect(),
            x: Axis::linear(
                if common { whole } else { range }.padded(0.03, 0.03),
                symbol.clone(),
                wanted,
            ),
            y: Axis::linear(
                Extent {
                    low: 0.0,
                    high: 1.06 * if share_y { highest } else { *peak },
                },
                Label::new("density"),
                5,
            ),
            isometric: false,
            body: {
                let at = |curve: &Curve| Some((curve.value(cell, *time)?, curve.stroke()));
                let lines: Vec<(f64, Stroke)> = curves.iter().filter_map(at).collect();
                Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, &shown, &lines))
            },
        })
        .collect();
    Sheet {
        name,
        caption: format!(
            "Densities of {} at chosen {}s for η = {} ({} paths): the processes overlaid{}{}{}{}.",
            symbol.plain(),
            clock(result.scenario.regime),
            text::learning_rate(cell.eta).plain(),
            cell.paths,
            match law {
                Some("exact law") => ", with the law of the limit as the scenario states it",
                Some(_) => ", with the exact Gaussian law of each",
                None => "",
            },
            match curves.is_empty() {
                true => String::new(),
                false => format!(
                    "; vertical: {}, which has no noise",
                    curves
                        .iter()
                        .map(|c| process_name(result, c.index))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            },
            if any_cut {
                "; a density far higher than the others is cut"
            } else {
                ""
            },
            projected(result.scenario.regime),
        ),
        title: result.scenario.title.clone(),
        remark: Label::new("η = ").join(&text::learning_rate(cell.eta)),
        legend,
        panels,
        columns: columns.max(1),
        heights: vec![if columns > 2 { 112.0 } else { 128.0 }],
        share_y,
        share_x: false,
        width: Width::Natural,
    }
}

/// A process without noise, whose law is a point.
struct Curve<'a> {
    band: &'a QuantileBand,
    index: usize,
    look: Look,
}

impl Curve<'_> {
    fn stroke(&self) -> Stroke {
        Stroke::solid(self.look.color, 1.1)
    }

    fn value(&self, cell: &Cell, time: f64) -> Option<f64> {
        let at = cell.times.iter().position(|t| same_time(*t, time))?;
        let value = *self.band.values.first()?.get(at)?;
        value.is_finite().then_some(value)
    }
}

/// How high a panel reaches, and the process that is cut there, with its height.
fn height(shown: &[Shown]) -> (f64, Option<(usize, f64)>) {
    let mut peaks: Vec<(f64, usize)> = shown.iter().map(|s| (s.peak(), s.process)).collect();
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    match peaks[..] {
        [] => (0.0, None),
        [first, second, ..] if first.0 > TOWERING * second.0 && second.0 > 0.0 => {
            (CUT * second.0, Some((first.1, first.0)))
        }
        [first, ..] => (first.0, None),
    }
}

/// How many of `bins` bins become one: a power of two, so that histograms of similar width keep the same edges.
fn merging(bins: f64, paths: f64) -> usize {
    let most = MOST_BINS.min(BINS * paths.cbrt());
    let mut merged = 1;
    while bins > most * merged as f64 && merged < 1 << 20 {
        merged *= 2;
    }
    merged
}

fn same_time(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
}

/// Number of paths in the bins; 0 for a histogram that cannot be drawn.
fn total(histogram: &Histogram) -> f64 {
    if !(histogram.width > 0.0 && histogram.width.is_finite() && histogram.origin.is_finite()) {
        return 0.0;
    }
    histogram.counts.iter().map(|&c| c as f64).sum()
}

/// Where the mass is: all of it, or all but the tails where these would squeeze it.
fn core(histogram: &Histogram) -> Extent {
    let whole = total(histogram);
    let edge = |bin: usize| histogram.origin + bin as f64 * histogram.width;
    let mut seen = 0.0;
    let (mut all, mut inner) = (Extent::EMPTY, Extent::EMPTY);
    for (bin, &count) in histogram.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
        let before = seen;
        seen += count as f64;
        let both = Extent {
            low: edge(bin),
            high: edge(bin + 1),
        };
        all = all.union(both);
        if seen > TAIL * whole && before < (1.0 - TAIL) * whole {
            inner = inner.union(both);
        }
    }
    let limit = 1.6 * inner.length();
    if all.length() > limit { inner } else { all }
}

impl Shown<'_> {
    /// Left edge, right edge and density of every merged bin.
    fn bars(&self) -> Vec<(f64, f64, f64)> {
        let h = self.histogram;
        let whole = total(h);
        let width = h.width * self.merged as f64;
        let bars = h.counts.chunks(self.merged).enumerate().map(|(k, counts)| {
            let left = h.origin + k as f64 * width;
            let count: f64 = counts.iter().map(|&c| c as f64).sum();
            (left, left + width, count / (whole * width))
        });
        bars.collect()
    }

    fn peak(&self) -> f64 {
        let bars = self.bars().into_iter().map(|b| b.2).fold(0.0, f64::max);
        let densities = self.histogram.density.iter().map(|p| p.1);
        let stated = densities.filter(|f| f.is_finite()).fold(0.0, f64::max);
        let law = self
            .gaussian()
            .map_or(stated, |(_, s)| 1.0 / (s * std::f64::consts::TAU.sqrt()));
        // A law much narrower than a bin would flatten everything else.
        if law < 1.6 * bars {
            bars.max(law)
        } else {
            bars
        }
    }

    fn gaussian(&self) -> Option<(f64, f64)> {
        self.histogram
            .gaussian
            .filter(|_| self.histogram.density.is_empty())
            .filter(|(m, s)| m.is_finite() && s.is_finite() && *s > 0.0)
    }

    /// The outline as steps from zero to zero.
    fn steps(&self) -> Vec<(f64, f64)> {
        let bars = self.bars();
        let first = bars.iter().position(|b| b.2 > 0.0).unwrap_or(0);
        let last = bars.iter().rposition(|b| b.2 > 0.0).unwrap_or(0);
        let mut steps = Vec::new();
        for &(left, right, density) in bars.get(first..=last).unwrap_or_default() {
            if steps.is_empty() {
                steps.push((left, 0.0));
            }
            steps.push((left, density));
            steps.push((right, density));
        }
        if let Some(&(right, _)) = steps.last() {
            steps.push((right, 0.0));
        }
        steps
    }
}

fn draw(pen: &mut Pen, frame: &Frame, shown: &[Shown], curves: &[(f64, Stroke)]) {
    let (left, right) = frame.x.ends();
    for one in shown {
        let steps = one.steps().into_iter();
        frame.band(
            pen,
            steps.map(|(x, y)| (x.clamp(left, right), 0.0, y)),
            one.look.color,
            0.36 / shown.len().max(4) as f64,
        );
    }
    for one in shown {
        frame.line(
            pen,
            one.steps(),
            Stroke::solid(one.look.color, 1.0).dashed(one.look.dash),
        );
    }
    let (low, high) = frame.y.ends();
    for &(value, stroke) in curves {
        frame.line(pen, [(value, low), (value, high)], stroke);
    }
    let mut drawn: Vec<(f64, f64)> = Vec::new();
    for (mean, deviation) in shown.iter().filter_map(Shown::gaussian) {
        // Laws that would print on top of one another are drawn once.
        let like = |(m, s): &(f64, f64)| {
            (m - mean).abs() < 0.02 * deviation && (s - deviation).abs() < 0.01 * deviation
        };
        if drawn.iter().any(like) {
            continue;
        }
        drawn.push((mean, deviation));
        let curve = (-80..=80).map(|k| {
            let z = f64::from(k) / 16.0;
            let density = (-0.5 * z * z).exp() / (deviation * std::f64::consts::TAU.sqrt());
            (mean + deviation * z, density)
        });
        frame.line(pen, curve, Stroke::solid(EXACT, 0.55));
    }
    let stated = shown.iter().map(|s| &s.histogram.density);
    // One law, sampled over the range of each process: the widest is drawn.
    let length = |d: &[(f64, f64)]| match (d.first(), d.last()) {
        (Some(a), Some(b)) => b.0 - a.0,
        _ => 0.0,
    };
    if let Some(widest) = stated.max_by(|a, b| length(a).total_cmp(&length(b))) {
        frame.line(pen, widest.iter().copied(), Stroke::solid(EXACT, 0.55));
    }
}
