//! Figures for papers, drawn from the result alone: SVG, PNG at 300 dpi and PDF with selectable text.

pub mod animation;
pub mod axes;
pub mod canvas;
pub mod clouds;
pub mod collapse;
mod compact;
mod contours;
pub mod density;
pub mod distances;
pub mod distribution;
pub mod error_ladder;
pub mod exact_ladder;
pub mod export;
#[cfg(test)]
pub(in crate::report) mod fixture;
pub mod fonts;
pub mod frame;
pub mod hand_over;
mod kernel;
pub mod layout;
pub mod limit;
pub mod map;
pub mod means;
pub mod order;
pub mod paths;
pub mod qq;
pub mod quantiles;
#[cfg(test)]
pub(in crate::report) mod slow_fixture;
#[cfg(test)]
mod tests;
pub mod text;
pub mod theme;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::report::result::{
    Cell, Comparison, ProcessSummary, Regime, ScenarioInfo, ScenarioResult,
};
use layout::{Sheet, Width};
use text::Label;

/// Why a figure could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// Drawing or converting failed.
    #[error("figure cannot be drawn: {0}")]
    Draw(String),
    /// A file could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The cell with the smallest η at which every process that runs anywhere runs, and the one with the largest η if it is
/// another.
fn shown_cells<'a>(
    result: &'a ScenarioResult,
    shown: &dyn Fn(&ProcessSummary) -> bool,
) -> [Option<&'a Cell>; 2] {
    let running = |c: &Cell| c.processes.iter().filter(|p| shown(p)).count();
    let most = result.cells.iter().map(running).max().unwrap_or(0);
    let mut cells: Vec<&Cell> = result
        .cells
        .iter()
        .filter(|c| most > 0 && running(c) == most)
        .collect();
    cells.sort_by(|a, b| a.eta.total_cmp(&b.eta));
    let fine = cells.first().copied();
    [fine, cells.last().copied().filter(|_| cells.len() > 1)]
}

/// One sheet a monitored function in each of the [`shown_cells`], drawn by `sheet`; `functions` lists those of a process.
fn monitored_sheets<'a>(
    result: &'a ScenarioResult,
    prefix: &str,
    shown: &dyn Fn(&ProcessSummary) -> bool,
    functions: &dyn Fn(&ProcessSummary) -> Vec<usize>,
    sheet: impl Fn(&'a ScenarioResult, &'a Cell, usize, String) -> Sheet<'a>,
) -> Vec<Sheet<'a>> {
    let prefixes = [prefix.to_string(), format!("{prefix}_coarse")];
    let mut sheets = vec![];
    for (cell, prefix) in shown_cells(result, shown).into_iter().zip(prefixes) {
        let Some(cell) = cell else { continue };
        let mut wanted: Vec<usize> = cell.processes.iter().flat_map(functions).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let names: Vec<String> = wanted.iter().map(|&f| function_name(result, f)).collect();
        let files = file_names(&prefix, &names);
        sheets.extend(
            wanted
                .into_iter()
                .zip(files)
                .map(|(function, file)| sheet(result, cell, function, file)),
        );
    }
    sheets.retain(|s| !s.panels.is_empty());
    sheets
}

/// A figure in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// File name without extension.
    pub name: String,
    /// One sentence.
    pub caption: String,
    /// The drawing.
    pub svg: String,
    /// The panels one by one, where each is a time; at [`Width::Natural`] only.
    pub slides: Option<Slides>,
    /// The same moving, as a GIF, where there is one.
    pub animation: Option<Vec<u8>>,
}

/// The panels of a figure one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slides {
    /// The legend of all panels.
    pub legend: String,
    /// Title and drawing of each.
    pub stills: Vec<(String, String)>,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Vector graphics for the web.
    Svg,
    /// Pixels, 300 dpi.
    Png,
    /// Vector graphics for papers.
    Pdf,
    /// The animation of the clouds.
    Gif,
}

/// How the figures of a result are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Files that are written.
    pub formats: Vec<Format>,
    /// How wide.
    pub width: Width,
}

impl Default for Drawing {
    /// All formats; wide figures for several panels in a row.
    fn default() -> Self {
        Self {
            formats: vec![Format::Svg, Format::Png, Format::Pdf, Format::Gif],
            width: Width::Natural,
        }
    }
}

/// All figures of a result as SVG, in the order of the report; figures without data are left out.
///
/// # Errors
/// [`FigureError::Draw`] when the canvas fails.
pub fn figures(result: &ScenarioResult, width: Width) -> Result<Vec<Figure>, FigureError> {
    type Family = fn(&ScenarioResult) -> Vec<Sheet<'_>>;
    // With whether every panel is a time.
    let families: [(Family, bool); 15] = [
        (error_ladder::sheets, false),
        (limit::sheets, false),
        (distances::sheets, false),
        (hand_over::sheets, false),
        (exact_ladder::sheets, false),
        (order::sheets, false),
        (map::sheets, false),
        (collapse::sheets, false),
        (means::sheets, false),
        (distribution::sheets, true),
        (qq::sheets, false),
        (quantiles::sheets, false),
        (density::sheets, true),
        (paths::sheets, false),
        (clouds::sheets, false),
    ];
    let drawn: Vec<Result<Option<Figure>, FigureError>> = families
        .par_iter()
        .flat_map(|(family, timed)| {
            let sheets = family(result).into_par_iter();
            sheets.map(|sheet| (sheet, *timed && width == Width::Natural))
        })
        .map(|(sheet, timed)| {
            let slides = if timed { sheet.slides()? } else { None };
            let figure = sheet.at_width(width).draw()?;
            Ok(figure.map(|figure| Figure { slides, ..figure }))
        })
        .collect();
    drawn.into_iter().filter_map(Result::transpose).collect()
}

/// All [`figures`] of a result, that of the clouds with its animation.
///
/// # Errors
/// [`FigureError::Draw`] when the canvas or the animation fails.
pub fn animated(result: &ScenarioResult, width: Width) -> Result<Vec<Figure>, FigureError> {
    let (figures, animation) = rayon::join(|| figures(result, width), || animation::gif(result));
    let (mut figures, animation) = (figures?, animation?);
    let cloud = figures.iter_mut().find(|f| f.name == clouds::NAME);
    if let Some(figure) = cloud {
        figure.animation = animation;
    }
    Ok(figures)
}

/// Draws all figures of a result and writes each into `directory`, which is made if missing, as `<name>.svg`, `<name>.png` and
/// `<name>.pdf`; clouds also as the animation `cloud.gif`. Returns the figures.
///
/// The same result gives the same bytes.
///
/// # Errors
/// [`FigureError::Draw`] when drawing or converting fails, [`FigureError::Write`] when a file cannot be written.
pub fn draw_all(
    result: &ScenarioResult,
    directory: &Path,
    drawing: &Drawing,
) -> Result<Vec<Figure>, FigureError> {
    fs::create_dir_all(directory).map_err(|source| FigureError::Write {
        path: directory.to_owned(),
        source,
    })?;
    let wants = |format: Format| drawing.formats.contains(&format);
    let write = |name: &str, extension: &str, bytes: &[u8]| {
        let path = directory.join(format!("{name}.{extension}"));
        fs::write(&path, bytes).map_err(|source| FigureError::Write { path, source })
    };
    let figures = animated(result, drawing.width)?;
    for figure in &figures {
        if let Some(bytes) = figure.animation.as_ref().filter(|_| wants(Format::Gif)) {
            write(&figure.name, "gif", bytes)?;
        }
    }
    figures.par_iter().try_for_each(|figure| {
        let name = &figure.name;
        if wants(Format::Svg) {
            write(name, "svg", figure.svg.as_bytes())?;
        }
        if !wants(Format::Png) && !wants(Format::Pdf) {
            return Ok(());
        }
        let parsed = export::Parsed::new(&figure.svg)?;
        let png = || match wants(Format::Png) {
            true => write(name, "png", &parsed.png()?),
            false => Ok(()),
        };
        let pdf = || match wants(Format::Pdf) {
            true => write(name, "pdf", &parsed.pdf(&figure.caption)?),
            false => Ok(()),
        };
        let (png, pdf) = rayon::join(png, pdf);
        png.and(pdf)
    })?;
    Ok(figures)
}

/// The name of a process, or its number.
fn process_name(result: &ScenarioResult, index: usize) -> String {
    result
        .processes
        .get(index)
        .map_or_else(|| format!("process {index}"), |p| p.label.clone())
}

/// The name of a test function, or its number.
fn function_name(result: &ScenarioResult, index: usize) -> String {
    result
        .functions
        .get(index)
        .cloned()
        .unwrap_or_else(|| format!("h{index}"))
}

/// The clock of all times in words.
pub fn clock(regime: Regime) -> &'static str {
    match regime {
        Regime::Fast => "fast time",
        Regime::Slow => "slow time",
    }
}

/// Label of an axis of time: fast time *t* = *k*η or slow time *t* = *k*η², between the regimes *t* = *k*η¹⁺ˢ.
pub fn time_label(info: &ScenarioInfo) -> Label {
    let label = Label::new(clock(info.regime)).then(" ").italic("t");
    let label = label.then(" = ").italic("k").then("η");
    match info.regime {
        Regime::Fast => label,
        Regime::Slow => label.superscript(info.clock_exponent.to_string()),
    }
}

/// For captions: where the test functions of Regime II are taken.
fn projected(regime: Regime) -> &'static str {
    match regime {
        Regime::Fast => "",
        Regime::Slow => "; test functions of the state are taken at Φ(x)",
    }
}

/// "left vs right" of a comparison.
fn comparison_title(result: &ScenarioResult, comparison: &Comparison) -> Label {
    Label::new(format!(
        "{} vs {}",
        process_name(result, comparison.left),
        process_name(result, comparison.right)
    ))
}

/// `base` alone for one item; with an item's name as suffix otherwise, and a number where two suffixes agree.
fn file_names(base: &str, items: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    let alone = items.len() == 1;
    let mut names = Vec::new();
    for item in items {
        let mut suffix = String::new();
        for c in item.chars().take(40) {
            if c.is_ascii_alphanumeric() {
                suffix.push(c.to_ascii_lowercase());
            } else if !suffix.is_empty() && !suffix.ends_with('_') {
                suffix.push('_');
            }
        }
        let suffix = suffix.trim_end_matches('_');
        let wished = if alone {
            base.to_owned()
        } else {
            format!("{base}_{suffix}")
        };
        let numbered = (2..).map(|n| format!("{wished}_{n}"));
        let name = std::iter::once(wished.clone())
            .chain(numbered)
            .find(|n| !taken.contains(n))
            .unwrap_or(wished);
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// `count` of `0..length`, spread evenly with both ends.
fn spread(length: usize, count: usize) -> Vec<usize> {
    if length <= count {
        return (0..length).collect();
    }
    if count < 2 {
        return (0..length.min(count)).collect();
    }
    (0..count)
        .map(|k| (k * (length - 1) + (count - 1) / 2) / (count - 1))
        .collect()
}
