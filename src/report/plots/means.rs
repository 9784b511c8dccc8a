//! Means at the end of the run against η with their closed forms, where a scenario records what paths do on their way (steps, lengths,
//! the terms of the descent lemma) or looks at the momentum. How each scales with η is its slope.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::error_ladder::{base_of, columns_for, eta_label, height_for};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::text::Label;
use super::theme::{self, Dash, EXACT, Look};
use super::{file_names, function_name, process_name};
use crate::ensemble::TestFunction;
use crate::report::result::ScenarioResult;

/// Panels in one figure.
const MOST_PANELS: usize = 6;

/// One figure for up to six functions, if any of them says more than where paths are.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let of_process = |name: &String| {
        let h: Result<TestFunction, _> = name.parse();
        h.is_ok_and(|h| h.is_of_process())
    };
    if !result.functions.iter().any(of_process) {
        return vec![];
    }
    let drawable = |h: &usize| {
        let processes = 0..result.processes.len();
        processes.flat_map(|p| points(result, p, *h)).count() > 1
    };
    let functions: Vec<usize> = (0..result.functions.len()).filter(drawable).collect();
    let chunks: Vec<&[usize]> = functions.chunks(MOST_PANELS).collect();
    let numbers: Vec<String> = (1..=chunks.len()).map(|n| n.to_string()).collect();
    let files = file_names("means", &numbers);
    let sheets = chunks.iter().zip(files);
    sheets
        .map(|(chunk, file)| sheet(result, chunk, file))
        .collect()
}

/// η, |E h| at the end and the ends of its interval, where they can stand on a logarithmic axis.
fn points(
    result: &ScenarioResult,
    process: usize,
    function: usize,
) -> impl Iterator<Item = (f64, f64, [f64; 2])> + '_ {
    result.cells.iter().filter_map(move |cell| {
        let means = cell.processes.get(process)?.means.get(function)?;
        let last = means.value.len().checked_sub(1)?;
        let value = means.value[last];
        let (low, high) = (means.lower[last], means.upper[last]);
        let ends = match value < 0.0 {
            true => [-high, -low],
            false => [low, high],
        };
        (value.abs() > 1e-150 && value.is_finite()).then_some((cell.eta, value.abs(), ends))
    })
}

/// η and |E h| at the end in closed form.
fn exact(
    result: &ScenarioResult,
    process: usize,
    function: usize,
) -> impl Iterator<Item = (f64, f64)> + '_ {
    result.cells.iter().filter_map(move |cell| {
        let exact = cell.processes.get(process)?.exact.as_ref()?;
        let value = exact.get(function)?.as_ref()?.last()?.abs();
        (value > 1e-150 && value.is_finite()).then_some((cell.eta, value))
    })
}

fn sheet<'a>(result: &'a ScenarioResult, functions: &[usize], name: String) -> Sheet<'a> {
    let looks = theme::process_looks(&result.processes);
    let processes = || 0..result.processes.len();
    let every = |h: usize| processes().flat_map(move |p| points(result, p, h));
    let etas = || functions.iter().flat_map(|&h| every(h)).map(|p| p.0);
    let across = Extent::of_positive(etas());
    let base = base_of(etas());
    let columns = columns_for(functions.len());
    let panels = functions.iter().map(|&h| {
        let mut range = Extent::of_positive(every(h).map(|p| p.1));
        let closed = processes().flat_map(|p| exact(result, p, h));
        range = range.union(Extent::of_positive(closed.map(|p| p.1)));
        (range.low, range.high) = (range.low / 1.5, range.high * 1.5);
        let looks = looks.clone();
        let mean = Label::new("|E ").italic("h").then("|");
        Panel {
            title: Label::default()
                .italic("h")
                .then(" = ")
                .join(&Label::function(&function_name(result, h))),
            notes: vec![],
            x: Axis::log(across, eta_label(), base, if columns > 2 { 5 } else { 8 }),
            y: Axis::log(range, mean, 10, 5),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| draw(pen, frame, result, h, &looks)),
        }
    });
    let shown = |p: &usize| {
        functions
            .iter()
            .any(|&h| points(result, *p, h).next().is_some())
    };
    let mut legend: Vec<Entry> = processes()
        .filter(shown)
        .map(|p| {
            let stroke = Stroke::solid(looks[p].color, 0.8);
            let sample = Sample::Marked(stroke, looks[p].marker, true);
            Entry::new(sample, Label::new(process_name(result, p)))
        })
        .collect();
    let known = |&h: &usize| processes().any(|p| exact(result, p, h).next().is_some());
    if functions.iter().any(known) {
        let label = Label::new("closed form");
        legend.push(Entry::guide(EXACT, 0.6, Dash::Solid, label));
    }
    Sheet {
        name,
        caption: "Means at the end of the run against the learning-rate scale η, with pointwise 95 % intervals; black: closed forms. \
                  A straight line is a power of η."
            .to_string(),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels: panels.collect(),
        columns,
        heights: vec![height_for(columns)],
        share_y: false,
        share_x: true,
        width: Width::Natural,
    }
}

fn draw(pen: &mut Pen, frame: &Frame, result: &ScenarioResult, function: usize, looks: &[Look]) {
    for (process, look) in looks.iter().enumerate() {
        let line = points(result, process, function).map(|p| (p.0, p.1));
        frame.line(pen, line, Stroke::solid(look.color, 0.8).faded(0.5));
        frame.line(
            pen,
            exact(result, process, function),
            Stroke::solid(EXACT, 0.6),
        );
    }
    let (bottom, top) = frame.y.ends();
    for (process, look) in looks.iter().enumerate() {
        for (eta, value, [low, high]) in points(result, process, function) {
            let ends = [low, high].map(|v| frame.place(eta, v.clamp(bottom, top)));
            if let [Some(low), Some(high)] = ends {
                pen.line(&[low, high], Stroke::solid(look.color, 0.8));
            }
            if let Some(place) = frame.inside(eta, value) {
                pen.marker(place, look.marker, 1.8, look.color, true);
            }
        }
    }
}
