//! The paper item by item: which scenarios test it, with which verdicts, in which figure, and where the code is.
//!
//! The same rows make `docs/paper.md` (`slowsde list --paper`), with the verdicts that the scenarios expect, and the map in the report,
//! with those that were reached.

use super::result::{ProcessFamily, Regime, Verdict};
use super::terminal;
use crate::ensemble::{Departure, TestFunction};
use crate::paper::{ITEMS, Item};
use std::fmt::Write;

/// What a scenario says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The items of the paper that it tests.
    pub paper: Vec<String>,
    /// Whether only `run --all` runs it.
    pub companion: bool,
    /// The figure to look at first, without extension and number.
    pub figure: &'static str,
    /// The verdicts, expected or reached.
    pub verdicts: Vec<Verdict>,
}

impl Entry {
    /// `3 consistent, 1 refuted`.
    pub fn counts(&self) -> String {
        counted(self.verdicts.iter().copied())
    }
}

/// Momentum indices from which on the order against α is the figure to look at first.
const MANY_ALPHAS: usize = 5;

/// The figure of a scenario to look at first: distances in Regime II, those to Γ where they are asked for; what processes do beside being
/// somewhere, or the order against α, where that is the point; how (51) hands over to (4), where both run; errors along the ladder
/// otherwise.
pub fn first_figure<'a>(
    regime: Regime,
    functions: impl Iterator<Item = &'a str>,
    alphas: impl Iterator<Item = f64>,
    families: impl Iterator<Item = ProcessFamily>,
) -> &'static str {
    let way = |name: &str| {
        let h: Result<TestFunction, _> = name.parse();
        h.is_ok_and(|h| h.is_of_process())
    };
    let mut different: Vec<f64> = vec![];
    for alpha in alphas {
        if !different.contains(&alpha) {
            different.push(alpha);
        }
    }
    let mut functions = functions;
    let families: Vec<ProcessFamily> = families.collect();
    let runs = |family| families.contains(&family);
    let both_limits = runs(ProcessFamily::Sde) && runs(ProcessFamily::SlowSde);
    let off_manifold = |name: &str| {
        let h: Result<TestFunction, _> = name.parse();
        let departure = h.ok().and_then(TestFunction::departure);
        departure.is_some_and(Departure::shows_distance)
    };
    match regime {
        Regime::Slow if both_limits => "hand_over",
        Regime::Slow if functions.any(off_manifold) => "collapse",
        Regime::Slow if different.len() >= MANY_ALPHAS => "map",
        Regime::Slow => "distances",
        Regime::Fast if functions.any(way) => "means",
        Regime::Fast if different.len() >= MANY_ALPHAS => "order",
        Regime::Fast => "error_ladder",
    }
}

/// `3 consistent, 1 refuted`.
pub fn counted(verdicts: impl Iterator<Item = Verdict> + Clone) -> String {
    let kinds = [Verdict::Consistent, Verdict::Refuted, Verdict::Inconclusive];
    let counts = kinds.into_iter().filter_map(|verdict| {
        let n = verdicts.clone().filter(|v| *v == verdict).count();
        (n > 0).then(|| format!("{n} {}", terminal::name(verdict)))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// The entries that test an item, in their order.
pub fn entries_of<'a>(
    item: &'a Item,
    entries: &'a [Entry],
) -> impl Iterator<Item = (usize, &'a Entry)> {
    let tests = |e: &Entry| e.paper.iter().any(|p| p == item.name);
    entries.iter().enumerate().filter(move |(_, e)| tests(e))
}

const HEAD: &str = "\
# The paper, item by item

What *The Marginal Value of Momentum for Small Learning Rate SGD* (arXiv 2307.15196) says, which scenarios test it, the figure of each to
look at first (below `output/<scenario>/figures/`, as SVG, PNG and PDF; numbered where there are several), the verdicts that are expected, and where the code is. `slowsde run
<scenario>` runs one of them, `slowsde run` those without a star, `slowsde run --all` all of them.

This page is made from the headers of the scenarios: `slowsde list --paper > docs/paper.md`. `cargo test` compares the two, and asks of every item
for a scenario, a test, or the reason why it has neither, which stands in brackets.

| item | what it says | scenario → figure: verdicts | tests | code |
|---|---|---|---|---|
";

/// The page `docs/paper.md`.
pub fn markdown(entries: &[Entry]) -> String {
    let link = |file: &&str| format!("[{}](../{file})", file.trim_start_matches("src/"));
    let links = |files: &[&str]| files.iter().map(link).collect::<Vec<_>>().join(", ");
    let mut page = HEAD.to_string();
    for item in ITEMS {
        let scenarios = entries_of(item, entries).map(|(_, e)| {
            let star = if e.companion { "*" } else { "" };
            let Entry { name, .. } = e;
            format!(
                "[{name}](../scenarios/{name}.toml){star} → `{}`: {}",
                e.figure,
                e.counts()
            )
        });
        let mut scenarios = scenarios.collect::<Vec<_>>().join("<br>");
        if scenarios.is_empty() && item.tests.is_empty() {
            scenarios = format!("({})", item.reason);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {scenarios} | {} | {} |",
            item.name,
            item.statement.replace('|', "\\|"),
            links(item.tests),
            links(item.code)
        );
    }
    page
}
