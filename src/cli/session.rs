//! A run: read everything, make sure that it can be written, simulate one scenario after the other, report.

use super::progress::Progress;
use super::{BadInput, Exit, Options, complain, print, print_json, read, style};
use crate::ensemble::Control;
use crate::report::html::{self, Section};
use crate::report::plots::Drawing;
use crate::report::summary::{ScenarioRow, Summary};
use crate::report::terminal;
use crate::report::write::{OutputFolder, WriteError};
use crate::scenario::{Profile, Scenario, Source, Suite, total_work};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Runs the scenarios, those of one suite or all, and reports on standard output.
pub(super) fn run(
    options: &Options,
    sources: Vec<Source>,
    suite: Option<Suite>,
) -> Result<Exit, BadInput> {
    let start = Instant::now();
    let scenarios = read(options, &sources)?;
    let chosen = scenarios.into_iter().zip(sources);
    let chosen = chosen.filter(|(s, _)| suite.is_none_or(|suite| s.suite == suite));
    let (scenarios, sources): (Vec<_>, Vec<_>) = chosen.unzip();
    names_differ(&scenarios, &sources)?;
    let names: Vec<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    let output = OutputFolder::prepare(options.out(), &names)?;

    let control = Arc::new(Control::default());
    stop_on_interrupt(control.clone());
    let Found {
        rows,
        sections,
        interrupted,
    } = simulate(options, &scenarios, &control, &output)?;
    let page = html::page(&sections, &interrupted).map_err(WriteError::from)?;
    output.write_report(&page)?;
    let profile = Profile::from(options.profile).name();
    let summary = Summary::new(profile, start.elapsed().as_secs_f64(), rows, interrupted);
    output.write_summary(&summary)?;
    let folder = format!("{}/", options.out().display());
    if options.json {
        print_json(&summary)?;
    } else {
        print(&terminal::render(&summary, &folder, style(), options.quiet));
    }
    Ok(if !summary.interrupted.is_empty() {
        Exit::Interrupted
    } else if summary.as_expected {
        Exit::AsExpected
    } else {
        Exit::Otherwise
    })
}

/// Tables and figures of a scenario on the progress bar: as many path-steps as a run of all scenarios takes meanwhile.
const DRAWING: u64 = 200_000_000;

/// What a run has found.
#[derive(Default)]
struct Found {
    rows: Vec<ScenarioRow>,
    sections: Vec<Section>,
    interrupted: Vec<String>,
}

/// The completed scenarios, and the names of the others.
fn simulate(
    options: &Options,
    scenarios: &[Scenario],
    control: &Arc<Control>,
    output: &OutputFolder,
) -> Result<Found, BadInput> {
    let total = scenarios
        .iter()
        .map(|s| total_work(s).saturating_add(DRAWING))
        .fold(0, u64::saturating_add);
    let progress = Progress::new(total, control.clone(), options.quiet);
    let mut found = Found::default();
    for scenario in scenarios {
        progress.show(format!("{} ({})", scenario.name, scenario.claim));
        let result = control
            .check()
            .and_then(|()| scenario.execute(control, &|work| progress.more(work)));
        match result {
            Ok(result) => {
                progress.show(format!("{} (figures)", scenario.name));
                let drawn = output.write(&result, &Drawing::default())?;
                let section = html::section(&result, &drawn).map_err(WriteError::from)?;
                found.rows.push(ScenarioRow::new(&result));
                found.sections.push(section);
                control.done.fetch_add(DRAWING, Ordering::Relaxed);
            }
            Err(_) => found.interrupted.push(scenario.name.clone()),
        }
    }
    Ok(found)
}

/// Results are filed by the names of scenarios.
pub(super) fn names_differ(scenarios: &[Scenario], sources: &[Source]) -> Result<(), BadInput> {
    for (i, scenario) in scenarios.iter().enumerate() {
        if let Some(j) = scenarios[..i].iter().position(|s| s.name == scenario.name) {
            let place = |i: usize| match sources.get(i) {
                Some(Source::File(path)) => path.display().to_string(),
                _ => "the bundled one".to_string(),
            };
            return Err(BadInput(vec![format!(
                "{} and {} have the same name `{}`, so that the results of one would replace those of the other: rename one \
                 of the files, or run them with different --out",
                place(j),
                place(i),
                scenario.name
            )]));
        }
    }
    Ok(())
}

/// The first Ctrl-C stops the run at the next block of paths, the second one at once.
pub(super) fn stop_on_interrupt(control: Arc<Control>) {
    let outcome = ctrlc::set_handler(move || {
        if control.stop.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        complain("\ninterrupted: stopping cleanly (Ctrl-C again to stop at once)");
    });
    if let Err(error) = outcome {
        complain(&format!(
            "note: Ctrl-C will end the run without a report: {error}"
        ));
    }
}
