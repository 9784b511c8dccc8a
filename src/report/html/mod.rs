//! `report.html`: everything that a run found on one page that needs no other file and no network.
//!
//! A [`Section`] is made of one result and its figures; the page puts sections behind an overview of all verdicts. Texts are escaped
//! by the template engine; only the figures, whose labels the canvas escapes, are put in as they are.

mod beside;

use super::advice::duration;
use super::paper::{Entry, entries_of, first_figure};
use super::plots::Figure;
use super::plots::text::percent as coverage;
use super::result::{Holds, Regime, ScenarioResult, Verdict};
use super::summary::{Row, ScenarioRow};
use super::terminal;
use crate::clocks::clock_name;
use crate::paper::{ITEMS, Item};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// The page could not be put together.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ReportError(#[from] askama::Error);

/// One scenario on the page.
#[derive(Clone, Debug)]
pub struct Section {
    anchor: String,
    row: ScenarioRow,
    profile: String,
    html: String,
    entry: Entry,
    /// The target of the figure to look at first.
    figure: Option<String>,
}

/// The faces of the figures: DejaVu Sans with the letters and signs that labels use.
const FACES: [(&str, &str, &[u8]); 3] = [
    ("normal", "400", include_bytes!("fonts/DejaVuSans.woff2")),
    (
        "italic",
        "400",
        include_bytes!("fonts/DejaVuSans-Oblique.woff2"),
    ),
    (
        "normal",
        "700",
        include_bytes!("fonts/DejaVuSans-Bold.woff2"),
    ),
];

/// Backend pixels of a figure per point, and CSS pixels on the page.
const FINE: f64 = 8.0;
const ON_PAGE: f64 = 1.8;
/// Figures wider than this many points are scrolled on a phone rather than shrunk.
const WIDE: f64 = 300.0;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    fonts: Vec<Face>,
    version: &'static str,
    scenarios: String,
    verdicts: usize,
    counts: Vec<(&'static str, usize)>,
    unexpected: usize,
    open: usize,
    smoke: bool,
    time: String,
    steps: String,
    interrupted: String,
    sections: Vec<Overview<'a>>,
    items: Vec<Mapped<'a>>,
    untested: usize,
}

/// An item of the paper and the sections that test it.
struct Mapped<'a> {
    item: &'static Item,
    tested: Vec<Tested<'a>>,
}

/// A section that tests an item.
struct Tested<'a> {
    anchor: &'a str,
    name: &'a str,
    verdicts: String,
    figure: Option<&'a str>,
}

struct Face {
    style: &'static str,
    weight: &'static str,
    data: String,
}

struct Overview<'a> {
    anchor: &'a str,
    name: &'a str,
    claim: &'a str,
    rows: Vec<Line>,
    html: &'a str,
}

/// One comparison in a table.
struct Line {
    comparison: String,
    verdict: &'static str,
    mark: &'static str,
    expected: &'static str,
    as_expected: bool,
    control: bool,
    limit: String,
    bound: String,
    tolerance: String,
    orders: String,
    proven: String,
    reason: String,
    next: String,
}

#[derive(Template)]
#[template(path = "scenario.html")]
struct Scenario<'a> {
    anchor: &'a str,
    name: &'a str,
    title: &'a str,
    claim: &'a str,
    about: &'a str,
    controls: usize,
    comparisons: usize,
    refutation: String,
    rows: Vec<Line>,
    groups: Vec<Group>,
    beside: String,
    notes: &'a [String],
    facts: Vec<(&'static str, String)>,
    settings: &'a str,
}

struct Group {
    title: &'static str,
    reading: &'static str,
    figures: Vec<Shown>,
}

struct Shown {
    id: String,
    caption: String,
    reading: &'static str,
    svg: String,
    slides: Vec<Slide>,
    wide: bool,
    animation: Option<String>,
}

/// One of several drawings of which the reader chooses one.
struct Slide {
    title: String,
    svg: String,
    chosen: bool,
}

/// The part of a page that shows one result with its figures.
///
/// # Errors
/// [`ReportError`] when the template fails.
pub fn section(result: &ScenarioResult, figures: &[Figure]) -> Result<Section, ReportError> {
    let info = &result.scenario;
    let row = ScenarioRow::new(result);
    let anchor = anchor(&info.name);
    let controls = result.comparisons.iter();
    let controls = controls.filter(|c| c.expected == Verdict::Refuted).count();
    let html = Scenario {
        anchor: &anchor,
        name: &info.name,
        title: &info.title,
        claim: &info.claim,
        about: &info.about,
        controls,
        comparisons: result.comparisons.len(),
        refutation: refutation(result),
        rows: row.verdicts.iter().map(line).collect(),
        groups: groups(&anchor, figures),
        beside: beside::tables(result)?,
        notes: &result.notes,
        facts: facts(result),
        settings: &info.settings,
    }
    .render()?;
    let entry = Entry {
        name: info.name.clone(),
        paper: info.paper.clone(),
        companion: false,
        figure: first_figure(
            info.regime,
            result.functions.iter().map(String::as_str),
            result.comparisons.iter().map(|c| c.alpha),
            result.processes.iter().map(|p| p.family),
        ),
        verdicts: result.comparisons.iter().map(|c| c.verdict).collect(),
    };
    let first = figures.iter().find(|f| f.name.starts_with(entry.figure));
    Ok(Section {
        profile: info.profile.clone(),
        figure: first.map(|f| figure_id(&anchor, f)),
        anchor,
        row,
        html,
        entry,
    })
}

/// The page of some sections; `interrupted` names the scenarios of the run that did not finish.
///
/// # Errors
/// [`ReportError`] when the template fails.
pub fn page(sections: &[Section], interrupted: &[String]) -> Result<String, ReportError> {
    let rows = || sections.iter().flat_map(|s| &s.row.verdicts);
    let count = |verdict: Verdict| rows().filter(|r| r.verdict == verdict).count();
    let kinds = [Verdict::Consistent, Verdict::Refuted, Verdict::Inconclusive];
    let smoke = sections.iter().any(|s| s.profile == "smoke");
    let acceptable = |s: &Section| {
        let profile = s.profile.clone();
        move |r: &&Row| r.acceptable(&profile)
    };
    let unexpected = rows().filter(|r| !r.as_expected).count();
    let fine: usize = sections
        .iter()
        .map(|s| s.row.verdicts.iter().filter(acceptable(s)).count())
        .sum();
    let bad = rows().count() - fine;
    let seconds: f64 = sections.iter().map(|s| s.row.seconds).sum();
    let steps: u64 = sections.iter().map(|s| s.row.path_steps).sum();
    let overview = sections.iter().map(|s| Overview {
        anchor: &s.anchor,
        name: &s.row.name,
        claim: &s.row.claim,
        rows: s.row.verdicts.iter().map(line).collect(),
        html: &s.html,
    });
    let entries: Vec<Entry> = sections.iter().map(|s| s.entry.clone()).collect();
    let tested = |item: &'static Item| {
        let tested = entries_of(item, &entries).map(|(i, entry)| Tested {
            anchor: &sections[i].anchor,
            name: &sections[i].row.name,
            verdicts: entry.counts(),
            figure: sections[i].figure.as_deref(),
        });
        tested.collect::<Vec<_>>()
    };
    let items = ITEMS.iter().map(|item| Mapped {
        item,
        tested: tested(item),
    });
    let items: Vec<Mapped> = items.filter(|m| !m.tested.is_empty()).collect();
    let page = Page {
        fonts: FACES
            .iter()
            .map(|(style, weight, bytes)| Face {
                style,
                weight,
                data: STANDARD.encode(bytes),
            })
            .collect(),
        version: env!("CARGO_PKG_VERSION"),
        scenarios: count_of(sections.len(), "scenario"),
        verdicts: rows().count(),
        counts: kinds.map(|v| (terminal::name(v), count(v))).to_vec(),
        unexpected: bad,
        open: unexpected - bad.min(unexpected),
        smoke,
        time: duration(seconds),
        steps: short(steps as f64),
        interrupted: interrupted.join(", "),
        sections: overview.collect(),
        untested: ITEMS.len() - items.len(),
        items,
    };
    Ok(page.render()?)
}

fn count_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A name as the target of a link: names of scenarios are file names and may hold anything.
fn anchor(name: &str) -> String {
    let mut out = "s-".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
            other => {
                // Writing to a string cannot fail.
                let _ = write!(out, "-{other:02x}");
            }
        }
    }
    out
}

fn line(row: &Row) -> Line {
    let limit = &row.limit;
    let (low, high) = (limit.lower, limit.upper);
    let nearest = match low <= 0.0 && high >= 0.0 {
        true => 0.0,
        false => low.abs().min(high.abs()),
    };
    let bound = match row.verdict {
        _ if terminal::no_limit(limit) => "–".to_owned(),
        Verdict::Refuted => format!("≥ {}\u{a0}%", terminal::percent(nearest)),
        _ => format!("≤ {}\u{a0}%", terminal::percent(low.abs().max(high.abs()))),
    };
    let limit = terminal::limit(row);
    Line {
        comparison: row.comparison.clone(),
        verdict: terminal::name(row.verdict),
        mark: match row.verdict {
            Verdict::Consistent => "✓",
            Verdict::Refuted => "✗",
            Verdict::Inconclusive => "?",
        },
        expected: terminal::name(row.expected),
        as_expected: row.as_expected,
        control: row.expected == Verdict::Refuted,
        limit: match limit.as_str() {
            "–" => limit,
            _ => format!("{limit}\u{a0}%"),
        },
        bound,
        tolerance: format!("{}\u{a0}%", terminal::percent(row.tolerance)),
        orders: terminal::orders(row),
        proven: terminal::order(row),
        reason: row.reason.clone(),
        next: row.next.clone().unwrap_or_default(),
    }
}

/// What would have refuted the claim.
fn refutation(result: &ScenarioResult) -> String {
    let mut sentences = vec![];
    let of = |holds: Holds| result.comparisons.iter().find(|c| c.holds == holds);
    if let Some(first) = of(Holds::InTheLimit) {
        sentences.push(format!(
            "A limit as η → 0 whose simultaneous {}\u{a0}% interval keeps away from 0, by more than {}\u{a0}% of its function’s natural \
             scale, and still does without the largest and without the two largest η.",
            coverage(first.level),
            terminal::percent(first.negligible)
        ));
    }
    if let Some(first) = of(Holds::AtEveryEta) {
        sentences.push(format!(
            "Where a claim holds at every η: a difference at any η and any time whose simultaneous {}\u{a0}% interval keeps away from 0, by \
             more than {}\u{a0}% of its function’s natural scale there.",
            coverage(first.level),
            terminal::percent(first.negligible)
        ));
    }
    if let Some(first) = of(Holds::PathByPath) {
        sentences.push(format!(
            "Where it holds path by path: a root mean square difference at any η and any time above {:.0e} of the scale, which is more \
             than rounding.",
            first.negligible
        ));
    }
    sentences.join(" ")
}

/// How to read the figures whose names begin so.
const READINGS: [(&str, &str); 16] = [
    (
        "error_ladder",
        "Follow a curve to the left, to smaller η: under the claim it goes down, and stays below a line of the guaranteed slope \
         where there is one. A curve that stayed level above the grey floor would speak against the claim.",
    ),
    (
        "limit",
        "What counts is where a curve ends at the left edge, η → 0: an interval that holds 0 and lies within the tolerance is \
         consistent with the claim, one that keeps away from 0 refutes it.",
    ),
    (
        "limits",
        "The vertical line is 0, no error left as η → 0: an interval across it that lies within the tolerance is consistent with the \
         claim, one that keeps away from it refutes it.",
    ),
    (
        "distances",
        "As for errors: under the claim curves go down to the left until they reach their floors, below which there is only noise, and \
         the limits at the left edge reach down to 0.",
    ),
    (
        "exact_ladder",
        "No sampling here: the slope of a curve at its left end is the true order of the error.",
    ),
    (
        "order",
        "Orders on or above the short dashes are what the theorem proves as η → 0, orders near the dots what one may hope for; at \
         finite η a lower one refutes nothing.",
    ),
    (
        "map",
        "Under the claim every row grows paler to the left, where η is smaller, until it is hatched, which means that only noise is \
         left; a row that stayed dark would speak against the claim. Upper rows have more momentum.",
    ),
    (
        "hand_over",
        "Where a green line is far below the orange one of the same dash, (51) describes the process and (4) does not: before it has \
         fallen onto Γ, and as far as its fluctuations around Γ are asked for. Where they meet, (51) has handed over to (4): for SGDM it is \
         its momentum that parts it from both.",
    ),
    (
        "collapse",
        "Two pictures in one: first iterates fall as the gradient flow does, within O(1/η) steps, then they stay at the thin line. From panel \
         to panel the fall moves to the left and the line down: a curve that stayed above its line would speak against the claim.",
    ),
    (
        "means",
        "Markers on the black lines agree with the closed forms. A level line keeps its size as η → 0, a slope is a power of η: what \
         falls to the left vanishes.",
    ),
    (
        "distribution",
        "Processes of equal law lie on one another. Choose a time; in the coarse figures, at the largest η, they differ most.",
    ),
    (
        "qq",
        "Equal laws lie on the diagonal. Where a curve lies above it the first process is larger; where it is steeper, the first has the \
         wider law.",
    ),
    (
        "quantiles",
        "The second process is filled, the first is drawn as lines over it: under the claim the lines run along the edges of the fill.",
    ),
    (
        "density",
        "Processes of equal law have the same contours. They are drawn on one noise: what lies apart is a difference of the processes, \
         not of samples. Along Γ compare the lines beside it with the bars on it: under the claim they begin and end together.",
    ),
    (
        "paths",
        "A few paths, every process on the same noise: not evidence, but a look at what runs. Under the claim they stay together.",
    ),
    (
        "cloud",
        "Not evidence, but a look: iterates scatter around Γ in a band that shrinks with η, and drift along it as the slow SDE does on it.",
    ),
];

/// The family of a figure: the longest name with which its own begins.
fn family(figure: &Figure) -> (&'static str, &'static str) {
    let own = READINGS
        .into_iter()
        .filter(|r| figure.name.starts_with(r.0));
    own.max_by_key(|r| r.0.len()).unwrap_or_default()
}

fn groups(anchor: &str, figures: &[Figure]) -> Vec<Group> {
    type Kind = (&'static str, &'static str, &'static [&'static str]);
    const KINDS: [Kind; 6] = [
        (
            "Errors and their limits",
            "Every error is in units of its function’s natural scale. Hollow markers and arrows are upper bounds: the interval reaches 0.",
            &[
                "error_ladder",
                "limit",
                "limits",
                "distances",
                "hand_over",
                "exact_ladder",
                "order",
                "map",
            ],
        ),
        (
            "What paths do on their way",
            "Means at the end of the run; on these axes a power of η is a straight line. Black: closed forms.",
            &["means"],
        ),
        (
            "The distance to Γ",
            "Test functions are taken at Φ(x); this is how far x itself is from there.",
            &["collapse"],
        ),
        (
            "Laws at chosen times",
            "The same test functions, but their whole laws.",
            &["distribution", "density", "qq"],
        ),
        (
            "Quantiles against time",
            "From the start to the horizon.",
            &["quantiles"],
        ),
        (
            "Paths",
            "Single members of the ensemble.",
            &["paths", "cloud"],
        ),
    ];
    let of = |families: &[&str]| -> Vec<Shown> {
        let own = figures.iter().filter(|f| families.contains(&family(f).0));
        own.map(|f| shown(anchor, f)).collect()
    };
    KINDS
        .iter()
        .map(|(title, reading, families)| Group {
            title,
            reading,
            figures: of(families),
        })
        .filter(|g| !g.figures.is_empty())
        .collect()
}

/// The name of a figure as the target of a link.
fn figure_id(anchor: &str, figure: &Figure) -> String {
    format!("{anchor}--{}", figure.name)
}

/// A drawing for the middle of a page, without a size and a namespace of its own, named by the caption `id`; and its width in points.
fn inline(drawing: &str, id: &str) -> (String, f64) {
    let (root, rest) = drawing.split_once(">\n").unwrap_or(("", drawing));
    let attribute = |name: &str| {
        let (_, value) = root.split_once(&format!(" {name}=\""))?;
        Some(value.split_once('"')?.0)
    };
    let view = attribute("viewBox").unwrap_or("0 0 1 1");
    let points = view.split(' ').nth(2).and_then(|w| w.parse::<f64>().ok());
    let points = points.unwrap_or(0.0) / FINE;
    // The caption stands below; as a title it would hang at the pointer all the time.
    let drawing = match rest.strip_prefix("<title>") {
        Some(titled) => titled.split_once("</title>\n").map_or("", |(_, d)| d),
        None => rest,
    };
    let svg = format!(
        "<svg viewBox=\"{view}\" style=\"--w:{:.0}px\" stroke-linejoin=\"round\" role=\"img\" aria-labelledby=\"{id}\">\n{drawing}",
        ON_PAGE * points
    );
    (svg, points)
}

/// A figure for the page: as slides, where it has some.
fn shown(anchor: &str, figure: &Figure) -> Shown {
    let id = figure_id(anchor, figure);
    let slides = figure.slides.as_ref();
    let whole = slides.map_or(&figure.svg, |s| &s.legend);
    let (svg, points) = inline(whole, &id);
    let stills = slides.map_or(&[][..], |s| &s.stills);
    let slides = stills
        .iter()
        .enumerate()
        .map(|(place, (title, still))| Slide {
            title: title.clone(),
            svg: inline(still, &id).0,
            // Where the processes had most time to part.
            chosen: place + 1 == stills.len(),
        });
    Shown {
        svg,
        slides: slides.collect(),
        caption: figure.caption.clone(),
        reading: family(figure).1,
        wide: points > WIDE,
        animation: figure
            .animation
            .as_ref()
            .map(|bytes| STANDARD.encode(bytes)),
        id,
    }
}

/// Numbers of the run.
fn facts(result: &ScenarioResult) -> Vec<(&'static str, String)> {
    let (info, effort, machine) = (&result.scenario, &result.effort, &result.machine);
    let etas: Vec<f64> = result.cells.iter().map(|c| c.eta).collect();
    let paths = || result.cells.iter().map(|c| c.paths);
    let (fewest, most) = (paths().min().unwrap_or(0), paths().max().unwrap_or(0));
    let steps = result.cells.iter().map(|c| c.steps).max().unwrap_or(0);
    let mut facts = vec![
        (
            "Regime",
            match info.regime {
                Regime::Fast => format!("fast time t = kη up to T = {}", info.horizon),
                Regime::Slow => format!(
                    "slow time t = {} up to T = {}",
                    clock_name(info.clock_exponent),
                    info.horizon
                ),
            },
        ),
        ("Dimension", info.dimension.to_string()),
    ];
    if let (Some(first), Some(last)) = (etas.first(), etas.last()) {
        facts.push((
            "Learning rates η",
            format!(
                "{} from {} down to {} ({} steps)",
                etas.len(),
                number(*first),
                number(*last),
                short(steps as f64)
            ),
        ));
    }
    let rounds = count_of(effort.rounds as usize, "round");
    facts.extend([
        (
            "Paths at each η",
            match fewest == most {
                true => format!("{} in {rounds}", grouped(most)),
                false => format!("{} to {} in {rounds}", grouped(fewest), grouped(most)),
            },
        ),
        ("Level", level(result)),
        ("Gain by shared noise", gain(result)),
        ("Path-steps", short(effort.path_steps as f64)),
        ("Run time", duration(effort.seconds)),
        (
            "Machine",
            format!(
                "{} {}, {}, {}",
                machine.system,
                machine.architecture,
                count_of(machine.processors, "processor"),
                count_of(effort.threads, "thread")
            ),
        ),
        ("Profile", info.profile.clone()),
        ("Seed", info.seed.to_string()),
        ("Version", format!("slowsde {}", result.version)),
        ("Files", format!("{}/", info.name)),
    ]);
    facts
}

/// What the level is split over.
fn level(result: &ScenarioResult) -> String {
    let comparisons = &result.comparisons;
    let Some(first) = comparisons.first() else {
        return "–".to_owned();
    };
    let limits: usize = comparisons.iter().map(|c| c.limits).sum();
    let effective: f64 = comparisons.iter().map(|c| c.effective_limits).sum();
    format!(
        "{}\u{a0}% for each comparison; its {} limits of expectations, by their correlations, count as {} independent ones",
        coverage(first.level),
        grouped((limits as f64 / comparisons.len() as f64).round() as u64),
        number(effective / comparisons.len() as f64)
    )
}

/// How many times as many paths independent noise would take.
fn gain(result: &ScenarioResult) -> String {
    let gains = result.comparisons.iter().filter_map(|c| c.speed_up);
    let (least, most) = gains.fold((f64::INFINITY, 0.0f64), |(a, b), g| (a.min(g), b.max(g)));
    let shown = |g: f64| match g {
        g if g < 99.5 => format!("{g:.1}"),
        g => short(g.round()),
    };
    match (shown(least), shown(most)) {
        _ if least > most => "–".to_owned(),
        (a, b) if a == b => format!("effective speed-up ×{a}"),
        (a, b) => format!("effective speed-up ×{a} to ×{b}"),
    }
}

/// Four significant digits.
fn number(x: f64) -> String {
    let shown = format!("{x:.3e}").parse::<f64>().unwrap_or(x);
    format!("{shown}")
}

/// `12 345`, with narrow no-break spaces.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `3.2 billion`, `14.1 million`, or the number.
fn short(x: f64) -> String {
    match x {
        x if x >= 9.995e9 => format!("{:.0} billion", x / 1e9),
        x if x >= 9.995e8 => format!("{:.1} billion", x / 1e9),
        x if x >= 1e6 => format!("{:.1} million", x / 1e6),
        x => grouped(x as u64),
    }
}

#[cfg(test)]
mod tests;
