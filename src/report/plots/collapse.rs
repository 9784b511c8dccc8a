//! Katzenberger's picture in Regime II: the distance to Γ against time, which falls as that of the gradient flow does and then stays at
//! √η times a level that the slow SDE knows.

use super::axes::{Axis, Extent};
use super::canvas::{Pen, Stroke};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sheet, Width};
use super::text::{self, Label};
use super::theme::{self, Dash, EXACT, Look, QUIET};
use super::{process_name, spread, time_label};
use crate::ensemble::{Departure, TestFunction};
use crate::report::result::{Cell, ProcessFamily, Regime, ScenarioResult};

/// Learning rates shown: the largest, the smallest, and one between.
const MOST_CELLS: usize = 3;

/// How the flow and the level are drawn.
const FLOW: (f64, Dash) = (0.9, Dash::Dashed);
const LEVEL: f64 = 0.6;

/// The figure, where a scenario of Regime II asks for the distance to Γ.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    if result.scenario.regime != Regime::Slow {
        return vec![];
    }
    sheet(result).into_iter().collect()
}

/// Where a departure is among the functions.
fn place(result: &ScenarioResult, departure: Departure) -> Option<usize> {
    let wanted = TestFunction::Departure(departure);
    let mut functions = result.functions.iter();
    functions.position(|name| name.parse() == Ok(wanted))
}

/// Times and root mean squares of the distance of a process to Γ.
fn distances(result: &ScenarioResult, cell: &Cell, process: usize) -> Vec<(f64, f64)> {
    let squared = place(result, Departure::Distance2).map(|h| (h, 1.0));
    let unit = cell.eta * cell.sigma * cell.sigma;
    let of_units = || place(result, Departure::Fluctuation2).map(|h| (h, unit));
    squared
        .or_else(of_units)
        .map_or(vec![], |(h, unit)| roots(cell, process, h, unit))
}

/// The level of the fluctuations on Γ: by the slow SDE's own mean of their limit.
fn level(result: &ScenarioResult, cell: &Cell) -> Vec<(f64, f64)> {
    let slow = |p: &usize| result.processes[*p].family == ProcessFamily::SlowSde;
    let first = (0..result.processes.len()).find(slow);
    let h = place(result, Departure::Fluctuation2);
    let unit = cell.eta * cell.sigma * cell.sigma;
    first
        .zip(h)
        .map_or(vec![], |(process, h)| roots(cell, process, h, unit))
}

fn roots(cell: &Cell, process: usize, function: usize, unit: f64) -> Vec<(f64, f64)> {
    let means = cell.processes.get(process);
    let means = means.and_then(|p| p.means.get(function));
    let values = means.map_or(&[][..], |m| &m.value);
    let points = cell.times.iter().zip(values);
    points
        .filter(|(t, v)| **t > 0.0 && **v > 0.0)
        .map(|(&t, &v)| (t, (unit * v).sqrt()))
        .collect()
}

/// The gradient flow's distance on the clock of a cell, on which fast time is η times as slow.
fn flow(result: &ScenarioResult, cell: &Cell) -> Vec<(f64, f64)> {
    let fall = result.fall.iter();
    let points = fall.flat_map(|f| f.times.iter().zip(&f.distances));
    let unit = cell.times.last().copied().unwrap_or(0.0) / cell.steps.max(1) as f64;
    // From the first step on.
    points
        .filter(|(s, _)| **s >= cell.eta)
        .map(|(&s, &distance)| (s / cell.eta * unit, distance))
        .collect()
}

/// Processes whose distance is drawn: those that are not on Γ by construction.
fn leaves(family: ProcessFamily) -> bool {
    use ProcessFamily::*;
    !matches!(family, SlowSde | SlowControl | ClosedForm)
}

fn sheet(result: &ScenarioResult) -> Option<Sheet<'_>> {
    let looks = theme::process_looks(&result.processes);
    let drawn: Vec<usize> = (0..result.processes.len())
        .filter(|&p| leaves(result.processes[p].family))
        .filter(|&p| {
            result
                .cells
                .iter()
                .any(|c| distances(result, c, p).len() > 1)
        })
        .collect();
    let cells: Vec<&Cell> = spread(result.cells.len(), MOST_CELLS)
        .into_iter()
        .map(|i| &result.cells[i])
        .filter(|c| drawn.iter().any(|&p| distances(result, c, p).len() > 1))
        .collect();
    if cells.is_empty() {
        return None;
    }
    let all = || {
        let of = |c: &&Cell| -> Vec<(f64, f64)> {
            let lines = drawn.iter().flat_map(|&p| distances(result, c, p));
            lines.chain(level(result, c)).collect()
        };
        cells.iter().flat_map(of)
    };
    let across = Extent::of_positive(all().map(|p| p.0));
    let mut up = Extent::of_positive(all().map(|p| p.1));
    (up.low, up.high) = (up.low / 1.6, up.high * 1.4);
    let columns = cells.len();
    let panels = cells.iter().map(|&cell| {
        let (drawn, looks) = (drawn.clone(), looks.clone());
        let wanted = if columns > 1 { 4 } else { 6 };
        Panel {
            title: Label::new("η = ").join(&text::learning_rate(cell.eta)),
            notes: vec![],
            x: Axis::log(across, time_label(&result.scenario), 10, wanted),
            y: Axis::log(up, distance_label(), 10, 5),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| {
                draw(pen, frame, result, cell, &drawn, &looks);
            }),
        }
    });
    let entry = |&p: &usize| Entry::line(looks[p], 1.0, Label::new(process_name(result, p)));
    let mut legend: Vec<Entry> = drawn.iter().map(entry).collect();
    let falls = cells.iter().any(|c| flow(result, c).len() > 1);
    if falls {
        let label = Label::new("gradient flow");
        legend.push(Entry::guide(EXACT, FLOW.0, FLOW.1, label));
    }
    let levelled = cells.iter().any(|c| level(result, c).len() > 1);
    if levelled {
        legend.push(Entry::guide(QUIET, LEVEL, Dash::Solid, level_label()));
    }
    Some(Sheet {
        name: "collapse".to_string(),
        caption: format!(
            "Root mean square distance of iterates to Γ against slow time{}, at {}{}{}.",
            match falls {
                true => ", from the first steps on",
                false => "",
            },
            match columns {
                1 => "one learning-rate scale η",
                2 => "two learning-rate scales η",
                _ => "the largest, a middle and the smallest learning-rate scale η",
            },
            match falls {
                true => "; dashed: the gradient flow from the same start",
                false => "",
            },
            match levelled {
                true =>
                    "; thin: √(½ηλσ² tr(H†Σ)), the level of stationary fluctuations, from the slow SDE",
                false => "",
            },
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels: panels.collect(),
        columns,
        heights: vec![if columns > 1 { 128.0 } else { 150.0 }],
        share_y: columns > 1,
        share_x: true,
        width: Width::Natural,
    })
}

/// (E‖x_k − Φ(x_k)‖²)^½.
fn distance_label() -> Label {
    let label = Label::new("RMS ‖").italic("x").subscript("k").then(" − Φ(");
    label.italic("x").subscript("k").then(")‖")
}

fn level_label() -> Label {
    let label = Label::new("(½ηλσ").superscript("2").then(" tr ");
    label.italic("H").then("†Σ)").superscript("1/2")
}

fn draw(
    pen: &mut Pen,
    frame: &Frame,
    result: &ScenarioResult,
    cell: &Cell,
    drawn: &[usize],
    looks: &[Look],
) {
    frame.line(pen, level(result, cell), Stroke::solid(QUIET, LEVEL));
    let dashed = Stroke::solid(EXACT, FLOW.0).dashed(FLOW.1);
    for &p in drawn {
        let line = distances(result, cell, p);
        let stroke = Stroke::solid(looks[p].color, 1.0).dashed(looks[p].dash);
        frame.line(pen, line, stroke);
    }
    frame.line(pen, flow(result, cell), dashed);
}

#[cfg(test)]
mod tests {
    use super::super::slow_fixture::hyperbola;
    use super::*;
    use crate::report::result::{EstimateSeries, Fall};

    /// The fixture, with squared distances e^{−2t/η}/4 + η/2, in either unit.
    fn falling(names: &[&str]) -> ScenarioResult {
        let mut result = hyperbola();
        result.functions = names.iter().map(|n| n.to_string()).collect();
        for cell in &mut result.cells {
            cell.sigma = 1.0;
            cell.steps = (cell.times[cell.times.len() - 1] / cell.eta.powi(2)).round() as u64;
            let (eta, times) = (cell.eta, cell.times.clone());
            for (process, described) in cell.processes.iter_mut().zip(&result.processes) {
                let on = !leaves(described.family);
                let mean = |name: &&str| {
                    let value = |&t: &f64| match (*name, on) {
                        ("distance2", true) => 0.0,
                        ("distance2", false) => 0.25 * (-2.0 * t / eta).exp() + 0.5 * eta,
                        (_, true) => 0.5,
                        (_, false) => 0.25 * (-2.0 * t / eta).exp() / eta + 0.5,
                    };
                    let values: Vec<f64> = times.iter().map(value).collect();
                    let errors = vec![0.0; values.len()];
                    EstimateSeries::normal(values, errors, 0.95, 1000)
                };
                if !process.means.is_empty() {
                    process.means = names.iter().map(mean).collect();
                }
            }
        }
        result.fall = Some(Fall {
            times: vec![0.01, 1.0, 4.0],
            distances: vec![0.495, 0.5 * (-1.0f64).exp(), 0.5 * (-4.0f64).exp()],
        });
        result
    }

    /// One panel for the largest, a middle and the smallest η; the distances are the same whichever of the two functions is there, the
    /// level needs `fluctuation2`, and the flow is on the clock of the panel.
    #[test]
    fn distances_levels_and_the_flow() {
        let both = falling(&["distance2", "fluctuation2"]);
        let sheets = sheets(&both);
        assert_eq!(sheets.len(), 1);
        assert_eq!(sheets[0].panels.len(), both.cells.len().min(3));
        let words = ["gradient flow", "level of stationary", "first steps"];
        for word in words {
            assert!(sheets[0].caption.contains(word), "{}", sheets[0].caption);
        }
        let other = falling(&["fluctuation2"]);
        let sgd = (both.processes.iter()).position(|p| p.family == ProcessFamily::Sgd);
        let sgd = sgd.expect("SGD");
        for (a, b) in both.cells.iter().zip(&other.cells) {
            let (near, same) = (distances(&both, a, sgd), distances(&other, b, sgd));
            assert!(near.len() > 1 && near.len() == same.len());
            for ((t, d), (s, e)) in near.iter().zip(&same) {
                assert!(t == s && (d - e).abs() < 1e-12, "{t}: {d} {e}");
            }
            let levels = level(&both, a);
            assert!(
                levels
                    .iter()
                    .all(|p| (p.1 - (0.5 * a.eta).sqrt()).abs() < 1e-12)
            );
            let falling = flow(&both, a);
            assert!(falling.iter().all(|p| p.0 > 0.99 * a.eta * a.eta));
            let near = |p: &&(f64, f64)| (p.0 - a.eta).abs() < 1e-3 * a.eta;
            let at_one = falling.iter().find(near).expect("fast time 1");
            assert!((at_one.1 - 0.5 * (-1.0f64).exp()).abs() < 1e-12);
        }
        let alone = falling(&["distance2"]);
        assert!(level(&alone, &alone.cells[0]).is_empty());
        assert!(sheet(&hyperbola()).is_none());
        let figure = super::sheets(&both).remove(0).draw();
        let figure = figure.expect("drawn").expect("a figure");
        assert!(figure.caption.ends_with('.') && figure.svg.len() > 5000);
    }
}
