//! The CSV tables of a result: one row a number, with its uncertainty.

use super::result::{
    Comparison, DistanceKind, Estimate, EstimateSeries, ExactLadder, ScenarioResult,
};
use std::io::Write;

/// A table: its file name, its columns, and what writes its rows.
pub struct Table {
    /// File name.
    pub name: &'static str,
    /// Header.
    pub columns: &'static [&'static str],
    rows: fn(&ScenarioResult, &mut dyn FnMut(Row)),
}

/// One entry of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A name; empty where there is none.
    Text(String),
    /// NaN is a number that does not exist.
    Number(f64),
    /// A number of paths.
    Count(u64),
}

type Row = Vec<Cell>;

/// All tables of a scenario.
pub const TABLES: [Table; 10] = [
    Table {
        name: "errors.csv",
        columns: &[
            "comparison",
            "alpha",
            "function",
            "eta",
            "error",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
            "time",
            "noise_floor",
            "constant",
        ],
        rows: errors,
    },
    Table {
        name: "slopes.csv",
        columns: &[
            "comparison",
            "alpha",
            "function",
            "eta_large",
            "eta_small",
            "slope",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
            "guaranteed_order",
        ],
        rows: slopes,
    },
    Table {
        name: "orders.csv",
        columns: &[
            "comparison",
            "alpha",
            "function",
            "order",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
            "guaranteed_order",
        ],
        rows: orders,
    },
    Table {
        name: "limits.csv",
        columns: &[
            "comparison",
            "alpha",
            "function",
            "scale",
            "limit",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
            "time",
            "reduced_chi_square",
        ],
        rows: limits,
    },
    Table {
        name: "moments.csv",
        columns: &[
            "process",
            "eta",
            "function",
            "time",
            "mean",
            "standard_error",
            "lower",
            "upper",
            "level",
            "exact",
            "deviation",
            "n",
        ],
        rows: moments,
    },
    Table {
        name: "quantiles.csv",
        columns: &[
            "process",
            "eta",
            "function",
            "time",
            "probability",
            "quantile",
        ],
        rows: quantiles,
    },
    Table {
        name: "exact.csv",
        columns: &["comparison", "alpha", "function", "eta", "error", "slope"],
        rows: exact,
    },
    Table {
        name: "distances.csv",
        columns: &[
            "comparison",
            "kind",
            "name",
            "eta",
            "value",
            "standard_error",
            "lower",
            "upper",
            "floor",
            "scale",
            "limit",
            "limit_lower",
            "limit_upper",
        ],
        rows: distances,
    },
    Table {
        name: "laws.csv",
        columns: &[
            "comparison",
            "kind",
            "name",
            "function",
            "eta",
            "value",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
            "floor",
            "scale",
            "p_value",
        ],
        rows: laws,
    },
    Table {
        name: "closeness.csv",
        columns: &[
            "comparison",
            "alpha",
            "function",
            "eta",
            "time",
            "ratio",
            "ratio_standard_error",
            "ratio_lower",
            "ratio_upper",
            "factor",
            "standard_error",
            "lower",
            "upper",
            "level",
            "paths",
        ],
        rows: closeness,
    },
];

impl Table {
    /// Whether the result has what the table is about; distances and C-closeness are not in every result.
    pub fn applies(&self, result: &ScenarioResult) -> bool {
        let any = |has: fn(&Comparison) -> bool| result.comparisons.iter().any(has);
        match self.name {
            "distances.csv" => any(|c| !c.distances.is_empty()),
            "laws.csv" => any(|c| !c.laws.is_empty()),
            "closeness.csv" => any(|c| !c.closeness.is_empty()),
            _ => true,
        }
    }

    /// Hands over the rows, each as long as the header.
    pub fn rows(&self, result: &ScenarioResult, add: &mut dyn FnMut(Vec<Cell>)) {
        (self.rows)(result, add);
    }

    /// Writes the table. Numbers keep all their digits; an empty cell is a number that does not exist.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, result: &ScenarioResult, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(self.columns)?;
        let mut outcome = Ok(());
        (self.rows)(result, &mut |row| {
            if outcome.is_ok() {
                outcome = writer.write_record(row.into_iter().map(Cell::written));
            }
        });
        outcome?;
        writer.flush()
    }
}

impl Cell {
    /// As in the CSV file.
    fn written(self) -> String {
        match self {
            Cell::Text(text) => text,
            Cell::Number(x) if x.is_nan() => String::new(),
            Cell::Number(x) => x.to_string(),
            Cell::Count(n) => n.to_string(),
        }
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// value, standard_error, lower, upper, level, paths.
fn estimate(e: &Estimate) -> [Cell; 6] {
    let numbers = [e.value, e.standard_error, e.lower, e.upper, e.level];
    let [value, error, lower, upper, level] = numbers.map(Cell::Number);
    [value, error, lower, upper, level, Cell::Count(e.n)]
}

fn function(result: &ScenarioResult, index: usize) -> Cell {
    text(result.functions.get(index).cloned().unwrap_or_default())
}

fn errors(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            for p in &f.errors {
                let mut row = vec![text(&c.id), Cell::Number(c.alpha)];
                row.extend([function(result, f.function), Cell::Number(p.eta)]);
                row.extend(estimate(&p.error));
                row.extend([p.time, p.noise_floor, p.constant.value].map(Cell::Number));
                add(row);
            }
        }
    }
}

fn slopes(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            for p in &f.slopes {
                let mut row = vec![text(&c.id), Cell::Number(c.alpha)];
                row.push(function(result, f.function));
                row.extend([p.eta_large, p.eta_small].map(Cell::Number));
                row.extend(estimate(&p.slope));
                row.push(guaranteed_order(c));
                add(row);
            }
        }
    }
}

/// Empty where the theorem names none.
fn guaranteed_order(c: &Comparison) -> Cell {
    Cell::Number(match c.guaranteed_order {
        order if order > 0.0 => order,
        _ => f64::NAN,
    })
}

fn orders(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            let Some(order) = &f.order else { continue };
            let mut row = vec![text(&c.id), Cell::Number(c.alpha)];
            row.push(function(result, f.function));
            row.extend(estimate(order));
            row.push(guaranteed_order(c));
            add(row);
        }
    }
}

fn limits(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            let mut row = vec![text(&c.id), Cell::Number(c.alpha)];
            row.extend([function(result, f.function), Cell::Number(f.scale)]);
            row.extend(estimate(&f.limit));
            row.extend([f.limit_time, f.reduced_chi_square].map(Cell::Number));
            add(row);
        }
    }
}

fn moments(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    let nothing = EstimateSeries {
        level: f64::NAN,
        ..EstimateSeries::default()
    };
    for cell in &result.cells {
        for (process, summary) in result.processes.iter().zip(&cell.processes) {
            // A law in closed form has exact means and no others.
            let laws = summary.exact.as_ref().map_or(0, Vec::len);
            for h in 0..summary.means.len().max(laws) {
                let exact = summary.exact.as_ref().and_then(|e| e.get(h)?.as_ref());
                let series = match (summary.means.get(h), exact) {
                    (Some(series), _) => series,
                    (None, Some(_)) => &nothing,
                    (None, None) => continue,
                };
                for (j, &time) in cell.times.iter().enumerate() {
                    let at = |list: &[f64]| Cell::Number(list.get(j).copied().unwrap_or(f64::NAN));
                    let missing = || Cell::Number(f64::NAN);
                    add(vec![
                        text(&process.label),
                        Cell::Number(cell.eta),
                        function(result, h),
                        Cell::Number(time),
                        at(&series.value),
                        at(&series.standard_error),
                        at(&series.lower),
                        at(&series.upper),
                        Cell::Number(series.level),
                        exact.map_or_else(missing, |e| at(e)),
                        summary.deviations.get(h).map_or_else(missing, |d| at(d)),
                        Cell::Count(series.n),
                    ]);
                }
            }
        }
    }
}

fn quantiles(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for cell in &result.cells {
        for (process, summary) in result.processes.iter().zip(&cell.processes) {
            for band in &summary.quantiles {
                for (p, values) in band.probabilities.iter().zip(&band.values) {
                    for (&time, &value) in cell.times.iter().zip(values) {
                        add(vec![
                            text(&process.label),
                            Cell::Number(cell.eta),
                            function(result, band.function),
                            Cell::Number(time),
                            Cell::Number(*p),
                            Cell::Number(value),
                        ]);
                    }
                }
            }
        }
    }
}

fn exact(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for ExactLadder {
            function: h,
            etas,
            errors,
            slopes,
        } in &c.exact
        {
            for (i, (&eta, &error)) in etas.iter().zip(errors).enumerate() {
                // The slope from the η before, which is twice as large.
                let slope = i.checked_sub(1).and_then(|i| slopes.get(i).copied());
                add(vec![
                    text(&c.id),
                    Cell::Number(c.alpha),
                    function(result, *h),
                    Cell::Number(eta),
                    Cell::Number(error),
                    Cell::Number(slope.unwrap_or(f64::NAN)),
                ]);
            }
        }
    }
}

/// The name of a kind, as in `result.json`.
fn kind(kind: DistanceKind) -> &'static str {
    match kind {
        DistanceKind::Pathwise => "pathwise",
        DistanceKind::Supremum => "supremum",
        DistanceKind::KolmogorovSmirnov => "kolmogorov_smirnov",
        DistanceKind::Wasserstein => "wasserstein",
        DistanceKind::SlicedWasserstein => "sliced_wasserstein",
        DistanceKind::Energy => "energy",
        DistanceKind::Functional => "functional",
    }
}

fn distances(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for d in &c.distances {
            let limit = d.check.limit;
            for (i, p) in d.check.errors.iter().enumerate() {
                let mut row = vec![text(&c.id), text(kind(d.kind)), text(&d.name)];
                let e = p.error;
                let floor = d.floor.get(i).copied().unwrap_or(f64::NAN);
                row.extend([p.eta, e.value, e.standard_error, e.lower, e.upper].map(Cell::Number));
                row.extend([floor, d.check.scale].map(Cell::Number));
                row.extend([limit.value, limit.lower, limit.upper].map(Cell::Number));
                add(row);
            }
        }
    }
}

fn laws(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for d in &c.laws {
            let h = d.function.map_or(text(""), |h| function(result, h));
            for p in &d.points {
                let mut row = vec![text(&c.id), text(kind(d.kind)), text(&d.name), h.clone()];
                row.push(Cell::Number(p.eta));
                row.extend(estimate(&p.distance));
                row.extend([p.floor, d.scale, p.p_value].map(Cell::Number));
                add(row);
            }
        }
    }
}

fn closeness(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for d in &c.closeness {
            for p in &d.points {
                let mut row = vec![text(&c.id), Cell::Number(c.alpha)];
                row.push(function(result, d.function));
                row.extend([p.eta, p.time].map(Cell::Number));
                row.extend(estimate(&p.ratio).into_iter().take(4));
                row.extend(estimate(&p.factor));
                add(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::fixture::ornstein_uhlenbeck;
    use crate::report::plots::slow_fixture::hyperbola;

    fn lines(name: &str, result: &ScenarioResult) -> Vec<String> {
        let table = TABLES.iter().find(|t| t.name == name).expect("a table");
        let mut file = Vec::new();
        table.write(result, &mut file).expect("written");
        let text = String::from_utf8(file).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn distances_have_a_row_for_every_eta() {
        let mut result = hyperbola();
        let lines = lines("distances.csv", &result);
        let all = || result.comparisons.iter().flat_map(|c| &c.distances);
        let rows: usize = all().map(|d| d.check.errors.len()).sum();
        assert_eq!(lines.len(), 1 + rows);
        assert!(lines[1].starts_with("0~2,pathwise,‖Φ(x)−X‖ at the end,0.125,"));
        let columns = TABLES.iter().find(|t| t.name == "distances.csv");
        let columns = columns.map_or(0, |t| t.columns.len());
        assert!(lines.iter().all(|l| l.split(',').count() == columns));
        let applies = |result: &ScenarioResult| TABLES.iter().filter(|t| t.applies(result)).count();
        assert_eq!(applies(&result), TABLES.len());
        result
            .comparisons
            .iter_mut()
            .for_each(|c| c.distances.clear());
        assert_eq!(applies(&result), TABLES.len() - 1);
    }

    #[test]
    fn laws_and_closeness_have_a_row_for_every_eta() {
        let mut result = hyperbola();
        for (name, first) in [
            (
                "laws.csv",
                "0~2,kolmogorov_smirnov,KS of log(x[1]),log(x[1]),0.125,",
            ),
            ("closeness.csv", "0~2,0,x[1],0.125,1,0.99"),
        ] {
            let lines = lines(name, &result);
            let points = |c: &Comparison| -> usize {
                match name {
                    "laws.csv" => c.laws.iter().map(|d| d.points.len()).sum(),
                    _ => c.closeness.iter().map(|d| d.points.len()).sum(),
                }
            };
            let rows: usize = result.comparisons.iter().map(points).sum();
            assert_eq!(lines.len(), 1 + rows);
            assert!(lines[1].starts_with(first), "{}", lines[1]);
        }
        // The p-value is that of Kolmogorov–Smirnov alone; the law of the states is that of no function.
        let laws = lines("laws.csv", &result);
        let energy = laws.iter().find(|l| l.contains("energy")).expect("a row");
        assert!(energy.starts_with("0~2,energy,energy distance,,0.125,") && energy.ends_with(','));
        for c in &mut result.comparisons {
            c.laws.clear();
            c.closeness.clear();
        }
        let applies = TABLES.iter().filter(|t| t.applies(&result)).count();
        assert_eq!(applies, TABLES.len() - 2);
    }

    /// Rows are as long as their header, and every column is of one kind.
    #[test]
    fn columns_are_of_one_kind() {
        for result in [hyperbola(), ornstein_uhlenbeck()] {
            for table in &TABLES {
                let mut kinds: Vec<Option<std::mem::Discriminant<Cell>>> =
                    vec![None; table.columns.len()];
                table.rows(&result, &mut |row| {
                    assert_eq!(row.len(), table.columns.len(), "{}", table.name);
                    for (i, cell) in row.iter().enumerate() {
                        let kind = std::mem::discriminant(cell);
                        let known = *kinds[i].get_or_insert(kind);
                        assert_eq!(known, kind, "{} {}", table.name, table.columns[i]);
                    }
                });
            }
        }
    }

    #[test]
    fn a_law_in_closed_form_has_exact_moments_alone() {
        let lines = lines("moments.csv", &hyperbola());
        let law: Vec<&String> = lines
            .iter()
            .filter(|l| l.starts_with("closed form"))
            .collect();
        assert_eq!(law.len(), 5 * 2 * 17);
        assert!(law[0].starts_with("closed form,0.125,log(x[1]),0,,,,,,0.9"));
    }

    #[test]
    fn no_order_is_an_empty_cell() {
        let mut result = hyperbola();
        let estimate = result.comparisons[0].limit;
        result.comparisons[0].functions[0]
            .slopes
            .push(crate::report::result::SlopePoint {
                eta_large: 0.5,
                eta_small: 0.25,
                slope: estimate,
            });
        let lines = lines("slopes.csv", &result);
        assert!(lines.len() == 2 && lines[1].ends_with(','));
    }
}
