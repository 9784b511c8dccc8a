//! The verdict table on the terminal.

use super::advice::duration;
use super::result::{Estimate, Verdict};
use super::summary::{Row, Summary};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, Width};
use comfy_table::{ColumnConstraint, presets};
use std::fmt::Write;

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
            out.push_str(&wrapped(&text, style));
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
        "{}, {}, {outcome}; {}; report in {folder}",
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

/// One block a scenario, all with the same columns.
fn verdicts(summary: &Summary, style: Style, quiet: bool) -> String {
    let header = ["", "comparison", "verdict", "limit, %", "slopes", "order"];
    let cells = |row: &Row| {
        [
            String::new(),
            row.comparison.clone(),
            format!("{} {}", mark(row, &summary.profile), name(row.verdict)),
            limit(row),
            slopes(row),
            order(row),
        ]
    };
    let mut widths = header.map(|text| text.chars().count());
    let rows = || summary.scenarios.iter().flat_map(|s| &s.verdicts);
    for row in rows() {
        for (width, cell) in widths.iter_mut().zip(cells(row)) {
            *width = cell.chars().count().max(*width);
        }
    }
    let block = |rows: Vec<Vec<Cell>>| {
        let mut table = style.table(presets::NOTHING);
        table.add_rows(rows);
        for (column, width) in table.column_iter_mut().zip(widths) {
            // Two columns between cells.
            let width = u16::try_from(width + 2).unwrap_or(u16::MAX);
            column
                .set_padding((0, 2))
                .set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
        // Cells are padded to the right: no blanks at the ends of lines.
        let lines = table.lines().map(|l| l.trim_end().to_string() + "\n");
        lines.collect::<String>()
    };
    let bold = |text: &&str| Cell::new(text).add_attribute(Attribute::Bold);
    let mut out = block(vec![header.iter().map(bold).collect()]);
    for scenario in &summary.scenarios {
        let title = format!("{} ({})", scenario.name, scenario.claim);
        if style.colors {
            let _ = writeln!(out, "\u{1b}[1m{title}\u{1b}[0m");
        } else {
            let _ = writeln!(out, "{title}");
        }
        let row = |row: &Row| {
            let color = match (row.as_expected, row.acceptable(&summary.profile)) {
                (true, _) => Color::Green,
                (_, true) => Color::Yellow,
                _ => Color::Red,
            };
            let cell = |(i, text): (usize, String)| {
                let cell = Cell::new(text);
                if i == 2 { cell.fg(color) } else { cell }
            };
            cells(row).into_iter().enumerate().map(cell).collect()
        };
        out.push_str(&block(scenario.verdicts.iter().map(row).collect()));
    }
    let legend = "✓ as the scenario expects. limit: the largest error as η → 0, in % of its function's scale, with its \
                  simultaneous interval; slopes: local orders measured along η; order: what the theorem guarantees as η → 0, – where it names none.";
    if !quiet {
        out.push_str(&wrapped(legend, style));
    }
    out
}

/// `0.31 ± 0.42`; an interval that reaches to infinity is said to do so.
pub(super) fn limit(row: &Row) -> String {
    let l = &row.limit;
    if no_limit(l) {
        return "–".to_string();
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

/// Least and greatest local slope.
pub(super) fn slopes(row: &Row) -> String {
    row.slopes
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
