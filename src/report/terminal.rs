//! The verdict table on the terminal.

use super::advice::duration;
use super::calibration::{Calibration, POWER};
use super::result::{Estimate, Verdict};
use super::summary::{Row, Summary};
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

/// What is known of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold text.
    pub colors: bool,
    /// Columns.
    pub width: u16,
}

impl Style {
    /// 80 columns without colours: for files and pipes.
    pub const PLAIN: Style = Style {
        colors: false,
        width: 80,
    };

    fn table(self, preset: comfy_table::TableStyle) -> Table {
        let mut table = Table::new();
        table
            .load_style(preset)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width.max(40));
        if self.colors {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }
}

/// The name of a verdict.
pub fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Consistent => "consistent",
        Verdict::Refuted => "refuted",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The table, the reasons of verdicts that are not as expected, and the totals. `quiet` leaves out the notes.
pub fn render(summary: &Summary, folder: &str, style: Style, quiet: bool) -> String {
    let mut out = String::new();
    if !summary.scenarios.is_empty() {
        out.push_str(&verdicts(summary, style, quiet));
        out.push('\n');
    }
    let rows = || summary.scenarios.iter().flat_map(|s| &s.verdicts);
    for scenario in &summary.scenarios {
        for row in scenario.verdicts.iter().filter(|r| !r.as_expected) {
            let tolerated = if row.acceptable(&summary.profile) {
                " (allowed at smoke)"
            } else {
                ""
            };
            let text = format!(
                "{} {}, {}: {}, expected {}{tolerated}: {}",
                mark(row, &summary.profile),
                scenario.name,
                row.comparison,
                name(row.verdict),
                name(row.expected),
                row.reason
            );
            let next = row.next.as_ref().filter(|_| tolerated.is_empty());
            let next = next.map(|n| format!("; next: {n}")).unwrap_or_default();
            out.push_str(&wrapped(&format!("{text}{next}"), style));
        }
    }
    if !quiet {
        out.push_str(&notes(summary, folder, style));
    }
    let bad = rows().filter(|r| !r.acceptable(&summary.profile)).count();
    let open = rows().filter(|r| !r.as_expected).count() - bad;
    let outcome = match (bad, open) {
        (0, 0) => "all as expected".to_string(),
        (0, _) => format!("{open} inconclusive (allowed at smoke), the others as expected"),
        (_, 0) => format!("{bad} not as expected"),
        _ => format!("{bad} not as expected, {open} inconclusive (allowed at smoke)"),
    };
    let text = format!(
        "{}, {}, {outcome}; {}; report in {folder}report.html",
        count(summary.scenarios.len(), "scenario"),
        count(rows().count(), "verdict"),
        duration(summary.seconds),
    );
    if !summary.scenarios.is_empty() {
        out.push_str(&wrapped(&text, style));
    }
    if !summary.interrupted.is_empty() {
        let completed: Vec<&str> = summary.scenarios.iter().map(|s| s.name.as_str()).collect();
        let completed = if completed.is_empty() {
            "none".to_string()
        } else {
            completed.join(", ")
        };
        let text = format!(
            "Interrupted. Completed: {completed}. Not completed: {}.",
            summary.interrupted.join(", ")
        );
        out.push_str(&wrapped(&text, style));
    }
    out
}

/// The table of a calibration study.
pub fn calibration(study: &Calibration, folder: &str, style: Style) -> String {
    let mut table = style.table(presets::NOTHING);
    let bold = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    table.set_header(
        [
            "scenario, comparison",
            "truth",
            "refuted, %",
            "95 % interval",
            "open",
        ]
        .map(bold),
    );
    for c in &study.comparisons {
        let rate = c.refutation_rate;
        let percent = |x: f64| format!("{:.1}", 100.0 * x);
        let truth = match c.expected {
            Verdict::Consistent => "true",
            Verdict::Refuted => "false",
            Verdict::Inconclusive => "unknown",
        };
        table.add_row(vec![
            format!("{}, {}", c.scenario, c.comparison),
            truth.to_string(),
            format!(
                "{} {}",
                if c.holds { "✓" } else { "✗" },
                percent(rate.value)
            ),
            format!("{} to {}", percent(rate.lower), percent(rate.upper)),
            c.inconclusive.to_string(),
        ]);
    }
    let mut out = format!("{table}\n");
    let wrong = study
        .comparisons
        .iter()
        .filter(|c| !c.contradicting.is_empty());
    for c in wrong {
        let seeds: Vec<String> = c.contradicting.iter().map(u64::to_string).collect();
        let text = format!(
            "{}, {}: contradicted at seeds {}",
            c.scenario,
            c.comparison,
            seeds.join(", ")
        );
        out.push_str(&wrapped(&text, style));
    }
    let bad = study.comparisons.iter().filter(|c| !c.holds).count();
    let outcome = match bad {
        0 => "all error rates are as stated".to_string(),
        n => format!("{} not as stated", count(n, "error rate")),
    };
    out.push_str(&wrapped(
        &format!(
            "{} of {}, {} profile: {outcome}; {}; {folder}calibration.json",
            study.completed,
            count(study.seeds as usize, "seed"),
            study.profile,
            duration(study.seconds)
        ),
        style,
    ));
    let legend = format!(
        "A true claim may be refuted in at most 1 − level of all seeds (level {}; ✗ where the interval lies above that), a false one has to be in {:.0} %. \
         open: seeds without a verdict.",
        study.comparisons.first().map_or(0.99, |c| c.level),
        100.0 * POWER
    );
    out.push_str(&wrapped(&legend, style));
    out
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn mark(row: &Row, profile: &str) -> &'static str {
    match (row.as_expected, row.acceptable(profile)) {
        (true, _) => "✓",
        (_, true) => "?",
        _ => "✗",
    }
}

/// How the columns of the verdict table share the width of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    /// How many of comparison, verdict, limit, measured and proven order there is room for.
    shown: usize,
    /// Blanks between two of them.
    gap: usize,
    /// Width of the first.
    first: usize,
}

/// Blanks before a comparison.
const INDENT: usize = 2;

impl Columns {
    /// `natural`: what every column needs; `least`: what the first can do with when it is broken behind its `~`.
    fn fit(natural: [usize; 5], least: usize, width: usize) -> Columns {
        let choices = [(5, 2), (5, 1), (4, 2), (4, 1), (3, 1)];
        for (shown, gap) in choices {
            let others = INDENT + natural[1..shown].iter().sum::<usize>() + gap * (shown - 1);
            let room = width.saturating_sub(others);
            if room >= least {
                return Columns {
                    shown,
                    gap,
                    first: natural[0].min(room),
                };
            }
        }
        // The comparison on a line of its own.
        Columns {
            shown: 3,
            gap: 1,
            first: INDENT,
        }
    }
}

/// A comparison in one line, or broken behind its `~`.
fn broken(comparison: &str, room: usize) -> Vec<String> {
    match comparison.split_once('~') {
        Some((left, right)) if comparison.chars().count() > room => {
            vec![format!("{left}~"), right.to_owned()]
        }
        _ => vec![comparison.to_owned()],
    }
}

/// One block a scenario, all with the same columns.
fn verdicts(summary: &Summary, style: Style, quiet: bool) -> String {
    let header = ["comparison", "verdict", "limit, %", "order", "proven"].map(str::to_owned);
    let cells = |row: &Row| {
        [
            row.comparison.clone(),
            format!("{} {}", mark(row, &summary.profile), name(row.verdict)),
            limit(row),
            orders(row),
            order(row),
        ]
    };
    let length = |text: &String| text.chars().count();
    let mut natural = header.each_ref().map(length);
    let mut least = natural[0];
    for row in summary.scenarios.iter().flat_map(|s| &s.verdicts) {
        let cells = cells(row);
        for (width, cell) in natural.iter_mut().zip(&cells) {
            *width = length(cell).max(*width);
        }
        let pieces = broken(&cells[0], 0);
        least = pieces.iter().map(length).fold(least, usize::max);
    }
    let columns = Columns::fit(natural, least, usize::from(style.width));
    let painted = |text: &str, code: &str| match style.colors {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    // Colours have no width: cells are filled up before they are painted.
    let line = |cells: &[String], paint: &dyn Fn(usize, &str) -> String| {
        let mut out = " ".repeat(INDENT);
        for (place, cell) in cells.iter().take(columns.shown).enumerate() {
            let width = if place == 0 {
                columns.first
            } else {
                natural[place]
            };
            let last = place + 1 == columns.shown.min(cells.len());
            let fill = if last {
                0
            } else {
                (width + columns.gap).saturating_sub(length(cell))
            };
            out.push_str(&paint(place, cell));
            out.push_str(&" ".repeat(fill));
        }
        out + "\n"
    };
    let mut header = header;
    if columns.first == INDENT {
        header[0].clear();
    }
    let mut out = line(&header, &|_, text| painted(text, "1"));
    for scenario in &summary.scenarios {
        let title = format!("{} ({})", scenario.name, scenario.claim);
        for title in wrapped(&title, style).lines() {
            out.push_str(&painted(title, "1"));
            out.push('\n');
        }
        for row in &scenario.verdicts {
            let color = match (row.as_expected, row.acceptable(&summary.profile)) {
                (true, _) => "32",
                (_, true) => "33",
                _ => "31",
            };
            let mut cells = cells(row);
            let mut pieces = match columns.first {
                INDENT => vec![cells[0].clone(), String::new()],
                room => broken(&cells[0], room),
            };
            let last = pieces.pop().unwrap_or_default();
            for piece in &pieces {
                out.push_str(&line(std::slice::from_ref(piece), &|_, text| {
                    text.to_owned()
                }));
            }
            cells[0] = match (pieces.len(), last.is_empty()) {
                (0, _) | (_, true) => last,
                _ => format!(" {last}"),
            };
            out.push_str(&line(&cells, &|place, text| match place {
                1 => painted(text, color),
                _ => text.to_owned(),
            }));
        }
    }
    let legend = "✓ as the scenario expects. limit: the largest error as η → 0 (every η: at any), in % of its function's scale, with its \
                  simultaneous interval; order: measured along η, least and greatest over the functions; proven: what the theorem guarantees as \
                  η → 0; – where there is none.";
    if !quiet {
        out.push_str(&wrapped(legend, style));
    }
    out
}

/// `0.31 ± 0.42`, or `0.35 (0.00–1.09)` where value and interval do not share a middle; an interval that reaches to infinity is
/// said to do so.
pub(super) fn limit(row: &Row) -> String {
    let l = &row.limit;
    if no_limit(l) {
        return "–".to_string();
    }
    let (below, above) = (l.value - l.lower, l.upper - l.value);
    if (above - below).abs() > 0.02 * (above + below) && l.lower >= 0.0 {
        // Roots of mean squares: no ± tells where the interval ends.
        let ends = [l.value, l.lower, l.upper].map(percent);
        return format!("{} ({}–{})", ends[0], ends[1], ends[2]);
    }
    let half = 0.5 * (l.upper - l.lower);
    format!("{} ± {}", percent(l.value.abs()), percent(half))
}

/// Whether there was nothing to extrapolate.
pub(super) fn no_limit(l: &Estimate) -> bool {
    l.n == 0 && l.standard_error == 0.0 && l.lower == l.upper && l.value == 0.0
}

/// The guaranteed order, where there is one.
pub(super) fn order(row: &Row) -> String {
    if row.guaranteed_order > 0.0 {
        format!("≥ {}", row.guaranteed_order)
    } else {
        "–".to_string()
    }
}

/// A share in percent, with about three digits.
pub(super) fn percent(x: f64) -> String {
    let x = 100.0 * x;
    match x {
        _ if x.is_nan() => "?".to_string(),
        _ if x.is_infinite() => "∞".to_string(),
        _ if x >= 1e4 => format!("{x:.0e}"),
        _ if x >= 99.95 => format!("{x:.0}"),
        _ if x >= 9.995 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}

/// Least and greatest measured order.
pub(super) fn orders(row: &Row) -> String {
    row.orders
        .filter(|(low, high)| low.is_finite() && high.is_finite())
        .map_or("–".to_string(), |(low, high)| {
            format!("{low:.2} to {high:.2}")
        })
}

/// The most notes that a terminal shows.
const SHOWN_NOTES: usize = 8;

/// Notes under the name of their scenario; where there are many, where to read them.
fn notes(summary: &Summary, folder: &str, style: Style) -> String {
    let count: usize = summary.scenarios.iter().map(|s| s.notes.len()).sum();
    if count > SHOWN_NOTES {
        let text =
            format!("{count} notes on schedules, noise and failed paths in {folder}summary.json");
        return wrapped(&text, style);
    }
    let line = |(name, note): (&str, &String)| wrapped(&format!("{name}: {note}"), style);
    let of = |s: &'_ super::summary::ScenarioRow| -> String {
        s.notes.iter().map(|n| line((&s.name, n))).collect()
    };
    summary.scenarios.iter().map(of).collect()
}

/// A paragraph broken at spaces, with a hanging indent.
fn wrapped(text: &str, style: Style) -> String {
    let width = usize::from(style.width.max(40));
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

/// Rows of name, claim, expected verdicts and title.
pub fn listing(rows: &[[String; 4]], style: Style) -> String {
    let mut table = style.table(presets::UTF8_HORIZONTAL_ONLY);
    let bold = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    table.set_header(["scenario", "claim", "expected", "title"].map(bold));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::slow_fixture::hyperbola;
    use crate::report::summary::ScenarioRow;

    fn summary() -> Summary {
        let mut result = hyperbola();
        result.scenario.profile = "quick".to_string();
        result.comparisons[0].id = "slow_sde_euler_maruyama~slow_sde α=0.25".to_string();
        result.comparisons[1].verdict = Verdict::Inconclusive;
        result.comparisons[1].paths_factor = 3.0;
        Summary::new("quick", 1.0, vec![ScenarioRow::new(&result)], vec![])
    }

    fn drawn(width: u16, colors: bool) -> String {
        render(&summary(), "output/", Style { colors, width }, false)
    }

    #[test]
    fn the_table_keeps_to_the_width() {
        for width in [44, 60, 72, 80, 100, 200] {
            let text = drawn(width, false);
            let longest = text.lines().map(|l| l.chars().count()).max();
            assert!(longest <= Some(usize::from(width)), "{width}: {text}");
            assert!(!text.contains('\u{1b}') && text.contains("inconclusive"));
            assert_eq!(text.contains("proven\n"), width >= 72, "{text}");
        }
    }

    #[test]
    fn limits_end_where_their_intervals_end() {
        let mut row = summary().scenarios[0].verdicts[0].clone();
        let mut shown = |value, lower, upper| {
            (row.limit.value, row.limit.lower, row.limit.upper) = (value, lower, upper);
            limit(&row)
        };
        assert_eq!(shown(0.0022, -0.0028, 0.0072), "0.22 ± 0.50");
        assert_eq!(shown(-0.0022, -0.0072, 0.0028), "0.22 ± 0.50");
        assert_eq!(shown(0.0035, 0.0, 0.0109), "0.35 (0.00–1.09)");
        assert_eq!(shown(0.0, f64::NEG_INFINITY, f64::INFINITY), "0.00 ± ∞");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let mut plain = drawn(80, true);
        assert!(plain.contains("\u{1b}[1m") && plain.contains("\u{1b}[3"));
        for code in ["0", "1", "31", "32", "33"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, drawn(80, false));
    }

    #[test]
    fn an_inconclusive_verdict_says_what_to_do_next() {
        let text = drawn(200, false);
        assert!(
            text.contains("; next: ") && text.contains("--set run.max_paths="),
            "{text}"
        );
    }
}
