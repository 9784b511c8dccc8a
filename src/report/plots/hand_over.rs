//! Where (51) hands over to (4): root mean square distances of the iterates from both, at the steps *k* = η^{−1−s} against *s*;
//! one panel a process.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{columns_for, height_for};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sheet, Width};
use super::process_name;
use super::text::{self, Label};
use super::theme::{Dash, QUIET, Rgb};
use crate::report::result::{HandOver, PairDistance, ProcessFamily, ScenarioResult};

/// Distances from (51) and from (4).
const LIMITING: Rgb = Rgb(0, 158, 115);
const SLOW: Rgb = Rgb(213, 94, 0);

/// Where the axis begins: k = η^{−1/2}.
const EARLIEST: f64 = -0.5;

/// The figure, if (51) and (4) both run.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    sheet(result).into_iter().collect()
}

/// Whether a process is one of the two limits, and its color.
fn color(result: &ScenarioResult, process: usize) -> Option<Rgb> {
    match result.processes.get(process)?.family {
        ProcessFamily::Sde => Some(LIMITING),
        ProcessFamily::SlowSde => Some(SLOW),
        _ => None,
    }
}

/// s of the step k = η^{−1−s}, and the ends of an interval at it.
fn points<'a>(
    rung: &'a HandOver,
    pair: &'a PairDistance,
) -> impl Iterator<Item = (f64, [f64; 3])> + 'a {
    let s = |&k: &u64| -(k as f64 * rung.eta).ln() / rung.eta.ln();
    let distance = &pair.distance;
    let values = distance.value.iter().zip(&distance.lower);
    let values = values.zip(&distance.upper).map(|((v, l), u)| [*l, *v, *u]);
    let all = rung.steps.iter().map(s).zip(values);
    all.filter(|(s, d)| *s >= EARLIEST && d[1] > 0.0)
}

/// A line of one η: the smallest is the darkest and full.
fn stroke(color: Rgb, place: usize, rungs: usize) -> Stroke {
    let dash = [Dash::Solid, Dash::Dashed, Dash::Dotted];
    let from_last = rungs - 1 - place;
    let color = color.tinted(0.25 * from_last as f64);
    Stroke::solid(color, 1.0).dashed(dash[from_last % dash.len()])
}

fn sheet(result: &ScenarioResult) -> Option<Sheet<'_>> {
    let rungs = &result.hand_over;
    let first = rungs.first()?;
    let shown = |pair: &&PairDistance| color(result, pair.right).is_some();
    let mut lefts: Vec<usize> = first.pairs.iter().filter(shown).map(|p| p.left).collect();
    lefts.sort_unstable();
    lefts.dedup();
    let of = move |left: usize| {
        let pairs = rungs.iter().enumerate().flat_map(move |(place, rung)| {
            let pairs = rung.pairs.iter().filter(move |p| p.left == left);
            pairs.map(move |pair| (place, rung, pair))
        });
        pairs
            .filter_map(|(place, rung, pair)| Some((place, rung, pair, color(result, pair.right)?)))
    };
    let every = || {
        let pairs = lefts.iter().flat_map(|&left| of(left));
        pairs.flat_map(|(_, rung, pair, _)| points(rung, pair))
    };
    let across = Extent::of(every().map(|p| p.0));
    let up = Extent::of_positive(every().map(|p| p.1[1]));
    let columns = columns_for(lefts.len());
    let panels = lefts.iter().map(|&left| Panel {
        title: Label::new(process_name(result, left)),
        notes: vec![],
        x: Axis::linear(
            across.padded(0.0, 0.02),
            Label::italic(Label::default(), "s")
                .then(", at step ")
                .italic("k")
                .then(" = η")
                .superscript("−1−s"),
            5,
        ),
        y: Axis::log(up, Label::new("RMS distance of iterates"), 10, 5),
        isometric: false,
        body: Box::new(move |pen: &mut Pen, frame: &Frame| {
            for regime in [0.0, 1.0] {
                let ends = [frame.bottom, frame.top];
                if let Some(x) = frame.place_x(regime).filter(|_| frame.x.holds(regime)) {
                    let line = ends.map(|y| (x, y));
                    pen.line(&line, Stroke::solid(QUIET, 0.5).dashed(Dash::Short));
                }
            }
            for (place, rung, pair, color) in of(left) {
                let line = stroke(color, place, rungs.len());
                let band: Vec<(f64, [f64; 3])> = points(rung, pair).collect();
                let edges = band.iter().map(|&(s, [low, _, high])| (s, low, high));
                frame.band(pen, edges, line.color, 0.2);
                frame.line(pen, band.iter().map(|&(s, d)| (s, d[1])), line);
            }
        }),
    });
    let mut legend: Vec<Entry> = [(LIMITING, "from SDE (51)"), (SLOW, "from slow SDE (4)")]
        .into_iter()
        .map(|(color, name)| Entry::guide(color, 1.4, Dash::Solid, Label::new(name)))
        .collect();
    legend.extend(rungs.iter().enumerate().rev().map(|(place, rung)| {
        let line = stroke(QUIET, place, rungs.len());
        let label = Label::new("η = ").join(&text::learning_rate(rung.eta));
        Entry::guide(line.color, line.width, line.dash, label)
    }));
    let regimes = Label::new("s = 0 is Regime I, s = 1 Regime II");
    legend.push(Entry::guide(QUIET, 0.5, Dash::Short, regimes));
    let n = first.pairs.iter().map(|p| p.distance.n).min().unwrap_or(0);
    Some(Sheet {
        name: "hand_over".to_string(),
        caption: format!(
            "Root mean square distance of the iterates, not projected onto Γ, from the limiting SDE (51) and from the slow SDE (4) on the same \
             Brownian path, at the steps k = η^(−1−s); {n} paths, bands: pointwise 95 % intervals."
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels: panels.collect(),
        columns,
        heights: vec![height_for(columns)],
        share_y: true,
        share_x: true,
        width: Width::Natural,
    })
}
