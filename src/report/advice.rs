//! What to do next where the data cannot tell: with numbers, as far as the result holds them.

use super::result::{Comparison, ScenarioResult, Verdict};

/// Learning rates that a limit needs at least.
const FEWEST_RATES: usize = 3;

/// One sentence for an inconclusive comparison; none for the others.
pub fn advice(result: &ScenarioResult, comparison: &Comparison) -> Option<String> {
    if comparison.verdict != Verdict::Inconclusive {
        return None;
    }
    if result.scenario.profile == "smoke" {
        return Some(
            "run it at the quick profile; smoke only asks whether everything runs".to_string(),
        );
    }
    let seconds = result.effort.seconds;
    let paths = result.cells.iter().map(|c| c.paths).max().unwrap_or(0);
    let factor = comparison.paths_factor;
    if factor.is_finite() && factor > 1.0 && paths > 0 {
        let wanted = rounded_up(paths as f64 * factor);
        return Some(format!(
            "{wanted:.0} paths at each η, {factor:.1} times as many: --set run.paths={wanted:.0} --set run.max_paths={wanted:.0}, \
             roughly {} on this machine",
            duration(seconds * factor)
        ));
    }
    let lost = |process: usize| {
        let cells = result.cells.iter().filter_map(|c| c.processes.get(process));
        cells
            .map(|p| p.failures.blow_ups + p.failures.unprojected)
            .sum::<u64>()
    };
    let largest = result.cells.first().map(|c| c.eta);
    if let Some(eta) = largest.filter(|_| lost(comparison.left) + lost(comparison.right) > 0) {
        return Some(format!(
            "a [compact_set] in the scenario, or half the learning rates: --set run.eta_max={}, at most about {} on this machine",
            0.5 * eta,
            duration(seconds * growth(result))
        ));
    }
    // Half the smallest η takes as many path-steps as the whole ladder before it (2^{1+s} − 1 times as many in slow time).
    let ladder = comparison.functions.iter().map(|f| f.errors.len()).max();
    let ladder = ladder.unwrap_or(0).max(FEWEST_RATES - 1);
    let key = if ladder < result.cells.len() {
        "sde_etas"
    } else {
        "etas"
    };
    Some(format!(
        "a smaller η: --set run.{key}={}, at most about {} on this machine",
        ladder + 1,
        duration(seconds * growth(result))
    ))
}

/// How many times as long a ladder takes that reaches down to half its smallest η.
fn growth(result: &ScenarioResult) -> f64 {
    result.scenario.clock_exponent.exp2()
}

/// The next number with two significant digits.
fn rounded_up(x: f64) -> f64 {
    let unit = 10f64.powf((x.max(1.0).log10().floor() - 1.0).max(0.0));
    (x / unit).ceil() * unit
}

/// `3.1 s`, `42 s`, `12 min`, `5.2 h`, `3.4 days`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s.is_nan() => "an unknown time".to_string(),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::slow_fixture::hyperbola;

    fn said(change: impl FnOnce(&mut ScenarioResult)) -> Option<String> {
        let mut result = hyperbola();
        result.scenario.profile = "quick".to_string();
        result.effort.seconds = 100.0;
        result.comparisons[0].verdict = Verdict::Inconclusive;
        change(&mut result);
        advice(&result, &result.comparisons[0])
    }

    #[test]
    fn paths_where_paths_help() {
        let text = said(|r| {
            r.comparisons[0].paths_factor = 3.12;
            r.cells.iter_mut().for_each(|c| c.paths = 1000);
        });
        let text = text.expect("advice");
        assert!(
            text.contains("run.paths=3200 --set run.max_paths=3200"),
            "{text}"
        );
        assert!(text.contains("roughly 312 s"), "{text}");
    }

    #[test]
    fn smaller_learning_rates_where_they_do_not() {
        let text = said(|r| r.comparisons[0].paths_factor = f64::INFINITY).expect("advice");
        assert!(
            text.contains("run.etas=6") && text.contains("about 400 s"),
            "{text}"
        );
        let lost = said(|r| {
            r.comparisons[0].paths_factor = f64::INFINITY;
            r.cells[0].processes[0].failures.blow_ups = 1;
        });
        assert!(lost.is_some_and(|t| t.contains("run.eta_max=")));
    }

    #[test]
    fn nothing_where_there_is_a_verdict() {
        assert!(said(|r| r.comparisons[0].verdict = Verdict::Refuted).is_none());
    }

    #[test]
    fn durations_have_sensible_units() {
        let all = [1.0, 42.4, 1000.0, 10_000.0, 1e6].map(duration);
        assert_eq!(all, ["1.0 s", "42 s", "17 min", "2.8 h", "11.6 days"]);
    }
}
