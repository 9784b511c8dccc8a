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

type Row = Vec<String>;

/// All tables of a scenario.
pub const TABLES: [Table; 8] = [
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
];

impl Table {
    /// Whether the result has what the table is about; only distances are not in every result.
    pub fn applies(&self, result: &ScenarioResult) -> bool {
        self.name != "distances.csv" || result.comparisons.iter().any(|c| !c.distances.is_empty())
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
                outcome = writer.write_record(row);
            }
        });
        outcome?;
        writer.flush()
    }
}

fn number(x: f64) -> String {
    if x.is_nan() {
        String::new()
    } else {
        x.to_string()
    }
}

/// value, standard_error, lower, upper, level, paths.
fn estimate(e: &Estimate) -> [String; 6] {
    let [value, error, lower, upper, level] =
        [e.value, e.standard_error, e.lower, e.upper, e.level].map(number);
    [value, error, lower, upper, level, e.n.to_string()]
}

fn function(result: &ScenarioResult, index: usize) -> String {
    result.functions.get(index).cloned().unwrap_or_default()
}

fn errors(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            for p in &f.errors {
                let mut row = vec![c.id.clone(), number(c.alpha)];
                row.extend([function(result, f.function), number(p.eta)]);
                row.extend(estimate(&p.error));
                row.extend([p.time, p.noise_floor, p.constant.value].map(number));
                add(row);
            }
        }
    }
}

fn slopes(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            for p in &f.slopes {
                let mut row = vec![c.id.clone(), number(c.alpha)];
                row.push(function(result, f.function));
                row.extend([p.eta_large, p.eta_small].map(number));
                row.extend(estimate(&p.slope));
                row.push(guaranteed_order(c));
                add(row);
            }
        }
    }
}

/// Empty where the theorem names none.
fn guaranteed_order(c: &Comparison) -> String {
    number(match c.guaranteed_order {
        order if order > 0.0 => order,
        _ => f64::NAN,
    })
}

fn orders(result: &ScenarioResult, add: &mut dyn FnMut(Row)) {
    for c in &result.comparisons {
        for f in &c.functions {
            let Some(order) = &f.order else { continue };
            let mut row = vec![c.id.clone(), number(c.alpha)];
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
            let mut row = vec![c.id.clone(), number(c.alpha)];
            row.extend([function(result, f.function), number(f.scale)]);
            row.extend(estimate(&f.limit));
            row.extend([f.limit_time, f.reduced_chi_square].map(number));
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
                    let at = |list: &[f64]| number(list.get(j).copied().unwrap_or(f64::NAN));
                    add(vec![
                        process.label.clone(),
                        number(cell.eta),
                        function(result, h),
                        number(time),
                        at(&series.value),
                        at(&series.standard_error),
                        at(&series.lower),
                        at(&series.upper),
                        number(series.level),
                        exact.map_or_else(String::new, |e| at(e)),
                        summary
                            .deviations
                            .get(h)
                            .map_or_else(String::new, |d| at(d)),
                        series.n.to_string(),
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
                            process.label.clone(),
                            number(cell.eta),
                            function(result, band.function),
                            number(time),
                            number(*p),
                            number(value),
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
                    c.id.clone(),
                    number(c.alpha),
                    function(result, *h),
                    number(eta),
                    number(error),
                    number(slope.unwrap_or(f64::NAN)),
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
                let mut row = vec![c.id.clone(), kind(d.kind).to_string(), d.name.clone()];
                let e = p.error;
                let floor = d.floor.get(i).copied().unwrap_or(f64::NAN);
                row.extend([p.eta, e.value, e.standard_error, e.lower, e.upper].map(number));
                row.extend([floor, d.check.scale].map(number));
                row.extend([limit.value, limit.lower, limit.upper].map(number));
                add(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
