//! What stands beside the verdicts: distances between laws and C-closeness, at the largest and the smallest η.

use super::number;
use crate::report::result::{ClosenessPoint, Estimate, LawPoint, ScenarioResult};
use askama::Template;

#[derive(Template)]
#[template(path = "beside.html")]
struct Beside<'a> {
    name: &'a str,
    laws: Vec<LawLine>,
    closeness: Vec<ClosenessLine>,
}

struct LawLine {
    comparison: String,
    name: String,
    eta: String,
    value: String,
    interval: String,
    floor: String,
    scale: String,
    p_value: String,
}

struct ClosenessLine {
    comparison: String,
    function: String,
    eta: String,
    factor: String,
    interval: String,
    ratio: String,
    time: String,
}

/// The tables of one result; empty where there is nothing.
pub(super) fn tables(result: &ScenarioResult) -> askama::Result<String> {
    let (mut laws, mut closeness) = (vec![], vec![]);
    for c in &result.comparisons {
        for d in &c.laws {
            laws.extend(ends(&d.points).map(|p: &LawPoint| LawLine {
                comparison: c.id.clone(),
                name: d.name.clone(),
                eta: number(p.eta),
                value: format!(
                    "{} ± {}",
                    digits(p.distance.value),
                    digits(p.distance.standard_error)
                ),
                interval: interval(&p.distance),
                floor: digits(p.floor),
                scale: digits(d.scale),
                p_value: digits(p.p_value),
            }));
        }
        for d in &c.closeness {
            closeness.extend(ends(&d.points).map(|p: &ClosenessPoint| {
                ClosenessLine {
                    comparison: c.id.clone(),
                    function: result
                        .functions
                        .get(d.function)
                        .cloned()
                        .unwrap_or_default(),
                    eta: number(p.eta),
                    factor: places(p.factor.value),
                    interval: format!("{} to {}", places(p.factor.lower), places(p.factor.upper)),
                    ratio: places(p.ratio.value),
                    time: digits(p.time),
                }
            }));
        }
    }
    Beside {
        name: &result.scenario.name,
        laws,
        closeness,
    }
    .render()
}

/// The first and the last.
fn ends<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let last = points.last().filter(|_| points.len() > 1);
    points.first().into_iter().chain(last)
}

fn interval(e: &Estimate) -> String {
    format!("{} to {}", digits(e.lower), digits(e.upper))
}

/// Two significant digits, or nothing for a number that does not exist.
fn digits(x: f64) -> String {
    match x {
        x if x.is_nan() => String::new(),
        x if x.is_infinite() => "∞".to_owned(),
        x => {
            let shown = format!("{x:.1e}").parse::<f64>().unwrap_or(x);
            match shown.abs() {
                0.0 => "0".to_owned(),
                size if (1e-4..1e4).contains(&size) => shown.to_string(),
                _ => format!("{shown:e}"),
            }
        }
    }
}

/// Four places, for factors near 1.
fn places(x: f64) -> String {
    match x {
        x if x.is_nan() => String::new(),
        x if x.is_infinite() => "∞".to_owned(),
        x => format!("{x:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::slow_fixture::hyperbola;

    #[test]
    fn both_ends_of_every_ladder_are_shown() {
        let mut result = hyperbola();
        let html = tables(&result).expect("rendered");
        let laws: usize = result.comparisons.iter().map(|c| c.laws.len()).sum();
        let closeness: usize = result.comparisons.iter().map(|c| c.closeness.len()).sum();
        assert_eq!(
            html.matches("<tr><th scope=\"row\">").count(),
            2 * (laws + closeness)
        );
        let first = &result.comparisons[0].laws[0].points[0];
        let p_value = format!("data-label=\"p\">{}<", digits(first.p_value));
        assert!(html.contains(&p_value), "{p_value}");
        for c in &mut result.comparisons {
            c.laws.clear();
            c.closeness.clear();
        }
        assert_eq!(tables(&result).expect("rendered").trim(), "");
    }

    #[test]
    fn numbers_are_short() {
        for (x, shown) in [
            (0.0, "0"),
            (0.012_345, "0.012"),
            (3.21e-7, "3.2e-7"),
            (12_345.0, "1.2e4"),
            (f64::NAN, ""),
            (f64::INFINITY, "∞"),
        ] {
            assert_eq!(digits(x), shown);
        }
        assert_eq!(
            (places(1.03), places(f64::NAN)),
            ("1.0300".to_owned(), String::new())
        );
    }
}
