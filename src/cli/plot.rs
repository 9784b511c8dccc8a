//! `slowsde plot`: tables, figures and the report from stored results, without simulating; in their place or in another folder.

use super::{BadInput, Exit, Options, complain, print, print_json, worded};
use crate::report::html::{self, Section};
use crate::report::plots::layout::Width;
use crate::report::plots::{Drawing, Figure, Format, animated};
use crate::report::read;
use crate::report::result::ScenarioResult;
use crate::report::summary::Summary;
use crate::report::write::{OutputFolder, WriteError};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug, Args)]
pub(super) struct Plot {
    /// Folders of scenarios (output/quadratic_2d), or output folders with all scenarios in them (output)
    #[arg(value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// File formats of the figures, which replace those in figures/
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', default_values_t = FormatName::ALL)]
    format: Vec<FormatName>,
    /// Width of the figures: one or two columns of a journal (86 mm, 178 mm); texts keep their size. Without it: two for several
    /// panels in a row
    #[arg(long, value_name = "WIDTH", value_enum)]
    width: Option<WidthName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Vector graphics for the web
    Svg,
    /// 300 dpi
    Png,
    /// Vector graphics for papers
    Pdf,
    /// The animation of clouds
    Gif,
}

impl FormatName {
    const ALL: [FormatName; 4] = [
        FormatName::Svg,
        FormatName::Png,
        FormatName::Pdf,
        FormatName::Gif,
    ];
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Format {
        match name {
            FormatName::Svg => Format::Svg,
            FormatName::Png => Format::Png,
            FormatName::Pdf => Format::Pdf,
            FormatName::Gif => Format::Gif,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WidthName {
    /// 86 mm
    Single,
    /// 178 mm
    Double,
}

impl Plot {
    fn drawing(&self) -> Drawing {
        Drawing {
            formats: self.format.iter().map(|&f| f.into()).collect(),
            width: match self.width {
                None => Width::Natural,
                Some(WidthName::Single) => Width::Single,
                Some(WidthName::Double) => Width::Double,
            },
        }
    }
}

/// A result with its folder and the name of that.
struct Stored {
    name: String,
    folder: PathBuf,
    result: ScenarioResult,
}

/// Redraws what is named; every result is read before anything is written.
pub(super) fn plot(options: &Options, arguments: &Plot) -> Result<Exit, BadInput> {
    let start = Instant::now();
    let mut roots: BTreeMap<PathBuf, Vec<Stored>> = BTreeMap::new();
    let mut mistakes = vec![];
    for path in &arguments.folders {
        match read::folders(path) {
            Ok(folders) => {
                for folder in folders {
                    match stored(&folder) {
                        Ok((root, one)) => {
                            let root = options.out.clone().unwrap_or(root);
                            let known = roots.entry(root).or_default();
                            match known.iter().find(|s| s.name == one.name) {
                                None => known.push(one),
                                Some(same) if same.folder == one.folder => {}
                                Some(other) => mistakes.push(format!(
                                    "{} and {} have the same name, so that in --out one would replace the other: plot them one by \
                                     one, with different --out",
                                    shown(&other.folder),
                                    shown(&one.folder)
                                )),
                            }
                        }
                        Err(error) => mistakes.push(error.to_string()),
                    }
                }
            }
            Err(error) => mistakes.push(error.to_string()),
        }
    }
    if !mistakes.is_empty() {
        return Err(BadInput(worded(mistakes)));
    }
    let mut done = vec![];
    for (root, results) in roots {
        done.push(redraw(
            options,
            &root,
            results,
            &arguments.drawing(),
            start,
        )?);
    }
    if options.json {
        print_json(&done)?;
    }
    Ok(Exit::AsExpected)
}

/// What was redrawn in one output folder.
#[derive(serde::Serialize)]
struct Redrawn {
    report: String,
    scenarios: Vec<String>,
}

fn stored(folder: &Path) -> Result<(PathBuf, Stored), read::ReadError> {
    let missing = || read::ReadError::Missing {
        path: folder.to_owned(),
    };
    let root = folder.parent().ok_or_else(missing)?.to_owned();
    let name = folder.file_name().ok_or_else(missing)?;
    let name = name.to_string_lossy().into_owned();
    let result = read::result(folder)?;
    let folder = folder.to_owned();
    Ok((
        root,
        Stored {
            name,
            folder,
            result,
        },
    ))
}

/// The page has room for figures of any width.
fn page_figures(result: &ScenarioResult) -> Result<Vec<Figure>, WriteError> {
    animated(result, Width::Natural).map_err(|source| WriteError::Figure {
        scenario: result.scenario.name.clone(),
        source,
    })
}

/// A path as it is named from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let near = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    near.as_deref().unwrap_or(path).display().to_string()
}

/// The results of one output folder; the report also shows what else the last run put there.
fn redraw(
    options: &Options,
    root: &Path,
    results: Vec<Stored>,
    drawing: &Drawing,
    start: Instant,
) -> Result<Redrawn, BadInput> {
    let names: Vec<&str> = results.iter().map(|s| s.name.as_str()).collect();
    let output = OutputFolder::prepare(root, &names)?;
    let summary: Option<Summary> = output.summary();
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    for Stored {
        name,
        folder,
        result,
    } in &results
    {
        let mut drawn = output.redraw(name, folder, result, drawing)?;
        if drawing.width != Width::Natural {
            drawn = page_figures(result)?;
        }
        let section = html::section(result, &drawn).map_err(WriteError::from)?;
        sections.insert(name.clone(), section);
    }
    let run = summary.as_ref().map_or(&[][..], |s| &s.scenarios);
    for name in run.iter().map(|r| &r.name) {
        if sections.contains_key(name) {
            continue;
        }
        let outcome = read::result(&root.join(name)).map_err(|e| e.to_string());
        let outcome = outcome.and_then(|result| {
            let drawn = page_figures(&result).map_err(|e| e.to_string())?;
            html::section(&result, &drawn).map_err(|e| e.to_string())
        });
        match outcome {
            Ok(section) => {
                sections.insert(name.clone(), section);
            }
            Err(error) => complain(&format!("note: left out of the report: {error}")),
        }
    }
    // In the order of the run, then by name.
    let place = |name: &str| run.iter().position(|r| r.name == name).unwrap_or(run.len());
    let mut ordered: Vec<(String, Section)> = sections.into_iter().collect();
    ordered.sort_by_key(|(name, _)| place(name));
    let ordered: Vec<Section> = ordered.into_iter().map(|(_, section)| section).collect();
    let interrupted = summary.as_ref().map_or(&[][..], |s| &s.interrupted);
    let page = html::page(&ordered, interrupted).map_err(WriteError::from)?;
    let report = output.write_report(&page)?;
    if !options.quiet && !options.json {
        let n = results.len();
        print(&format!(
            "{n} scenario{} redrawn in {:.1} s; report in {}\n",
            if n == 1 { "" } else { "s" },
            start.elapsed().as_secs_f64(),
            shown(&report)
        ));
    }
    Ok(Redrawn {
        report: shown(&report),
        scenarios: results.into_iter().map(|s| s.name).collect(),
    })
}
