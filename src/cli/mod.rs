//! The command `slowsde`: arguments, exit codes, and what each command does.

mod calibrate;
mod new;
mod plot;
mod progress;
mod project;
mod session;

use crate::report::paper::{Entry, counted, first_figure, markdown};
use crate::report::result::Verdict;
use crate::report::terminal::{self, Style};
use crate::scenario::{Overrides, Profile, Scenario, ScenarioError, Source, Suite};
use clap::{Args, Parser, Subcommand, ValueEnum};
use rayon::prelude::*;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ended; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every verdict is the one that its scenario expects (at the smoke profile, or inconclusive).
    AsExpected = 0,
    /// Some verdict is another one.
    Otherwise = 1,
    /// Bad input, or an output folder that cannot be written.
    BadInput = 2,
    /// Stopped by Ctrl-C before all scenarios were done.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Checks the theory of SGD with momentum by simulation: discrete ensembles against their limiting SDEs, on one stream of
/// noise.
///
/// Without a command, runs the bundled scenarios of the suite "core".
#[derive(Debug, Parser)]
#[command(name = "slowsde", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

const AFTER_HELP: &str = "\
Exit codes: 0 every verdict is the one its scenario expects; 1 some verdict is another one; 2 bad input, or the output \
cannot be written; 130 interrupted (Ctrl-C once: the scenarios completed so far are reported; twice: stops at once). \
The smoke profile asks only whether everything runs: there an inconclusive verdict does not fail, a contradicting one does.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: check their claims, write results and figures, print the verdicts
    Run {
        /// Scenario files, or names of bundled scenarios; scenarios/NAME.toml in the current directory wins. Without any: the bundled
        /// ones of the suite "core"
        #[arg(value_name = "FILE")]
        files: Vec<String>,
        /// All bundled scenarios: the whole numerical companion of the paper
        #[arg(long, conflicts_with = "files")]
        all: bool,
    },
    /// Write NAME.toml, a commented scenario to start from: a loss of your own, its noise, test functions, comparisons
    New {
        /// The name of the scenario, with or without .toml; an existing file is never replaced
        #[arg(value_name = "NAME")]
        name: String,
        /// For the slow regime: the slow SDE on a manifold of minimizers, Theorem 5.5
        #[arg(long)]
        slow: bool,
    },
    /// Run scenarios whose truth is known with many seeds: how often is a verdict wrong?
    Calibrate(calibrate::Calibrate),
    /// Redraw figures, tables and the report from stored results, without simulating
    Plot(plot::Plot),
    /// List the bundled scenarios with their claims and expected verdicts; a star marks those that only run --all runs
    List {
        /// The paper item by item with the scenarios that test it, as Markdown: docs/paper.md
        #[arg(long, conflicts_with = "json")]
        paper: bool,
    },
    /// Validate scenario files without running them
    Check {
        /// Scenario files, or names of bundled scenarios
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
    },
    /// Project a point onto the manifold of minimizers by gradient flow: Φ(x), ∂Φ, drift and diffusion of the slow SDE (4)
    Project {
        /// Scenario file, or name of a bundled scenario
        #[arg(value_name = "FILE")]
        file: String,
        /// The point x: as many numbers as the landscape has parameters
        #[arg(long, value_name = "X1,X2,…", required = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = point)]
        at: Vec<f64>,
    },
}

/// Comma-separated numbers.
fn point(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err("must be a finite number; write --at=1.5,-0.2".to_string()),
    }
}

#[derive(Debug, Args)]
struct Options {
    /// How much effort to take: seconds, minutes, or as for a paper
    #[arg(long, global = true, value_name = "PROFILE", value_enum, default_value_t = ProfileName::Quick)]
    profile: ProfileName,
    /// Folder for results, figures and summary.json: `output` if absent. For `plot` the folder for what is redrawn: that of the
    /// stored results if absent
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of all random streams; wins over the scenario's
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    seed: Option<u64>,
    /// Threads; all cores if absent. The numbers do not depend on it
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Change a key of every scenario: run.paths=1000, 'run.alphas=[0.0, 0.5]', compare[1].expect=refuted; can be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print JSON instead of text: `run` the summary (as in summary.json), `calibrate` the rates, `plot` the report's path, `list` and `check` the scenarios
    #[arg(long, global = true)]
    json: bool,
    /// No progress bar and no notes: the verdicts only
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// Seconds: does everything run?
    Smoke,
    /// Minutes for all bundled scenarios: verdicts
    Quick,
    /// Hours: for a paper
    Full,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Profile {
        match name {
            ProfileName::Smoke => Profile::Smoke,
            ProfileName::Quick => Profile::Quick,
            ProfileName::Full => Profile::Full,
        }
    }
}

impl Options {
    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("output"))
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            assignments: self.set.clone(),
            seed: self.seed,
        }
    }
}

/// Messages for the user, one a mistake.
struct BadInput(Vec<String>);

impl<E: std::error::Error> From<E> for BadInput {
    fn from(error: E) -> BadInput {
        BadInput(vec![error.to_string()])
    }
}

/// Runs the command line `arguments`, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => run(&arguments),
        Err(error) => {
            // Also how --help and --version arrive; a closed terminal is nobody to tell.
            let _ = error.print();
            if error.use_stderr() {
                Exit::BadInput.into()
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let options = &arguments.options;
    let outcome = use_threads(options).and_then(|()| match &arguments.command {
        None => session::run(options, Source::bundled(), Some(Suite::Core)),
        Some(Command::Run { files, all }) if files.is_empty() => {
            let suite = (!all).then_some(Suite::Core);
            session::run(options, Source::bundled(), suite)
        }
        Some(Command::Run { files, .. }) => {
            find(files).and_then(|s| session::run(options, s, None))
        }
        Some(Command::New { name, slow }) => create(name, *slow),
        Some(Command::Calibrate(arguments)) => calibrate::calibrate(options, arguments),
        Some(Command::Plot(arguments)) => plot::plot(options, arguments),
        Some(Command::List { paper }) => list(options, *paper),
        Some(Command::Check { files }) => find(files).and_then(|s| check(options, &s)),
        Some(Command::Project { file, at }) => project(options, file, at),
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(BadInput(messages)) => {
            for message in messages {
                complain(&format!("error: {message}"));
            }
            Exit::BadInput.into()
        }
    }
}

/// Makes the threads that all work is shared out to.
fn use_threads(options: &Options) -> Result<(), BadInput> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = options.threads {
        pool = pool.num_threads(threads.into());
    }
    pool.build_global()
        .map_err(|e| BadInput(vec![format!("--threads: {e}")]))
}

/// A line on standard error. Unlike `eprintln!` it survives a closed terminal.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Text on standard output. Unlike `print!` it survives a closed pipe.
fn print(text: &str) {
    let _ = write!(std::io::stdout().lock(), "{text}");
}

/// What standard output can show.
fn style() -> Style {
    let terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let width = comfy_table::Table::new().width().filter(|_| terminal);
    Style {
        colors: terminal && !plain,
        width: width.unwrap_or(Style::PLAIN.width),
    }
}

/// Mistakes that are printed at once; a wrong --set makes one in every scenario.
const SHOWN_MISTAKES: usize = 4;

/// All values, or the messages of all mistakes.
fn all<T>(results: impl Iterator<Item = Result<T, ScenarioError>>) -> Result<Vec<T>, BadInput> {
    let (mut values, mut messages) = (vec![], vec![]);
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => messages.push(error.to_string()),
        }
    }
    if messages.is_empty() {
        Ok(values)
    } else {
        Err(BadInput(worded(messages)))
    }
}

/// The first messages, and how many more there are.
fn worded(mut messages: Vec<String>) -> Vec<String> {
    // The same wrong --set fails in every scenario: say it once.
    messages.dedup();
    let more = messages.len().saturating_sub(SHOWN_MISTAKES);
    if more > 0 {
        messages.truncate(SHOWN_MISTAKES);
        messages.push(format!("… and {more} more scenarios with mistakes"));
    }
    messages
}

fn find(files: &[String]) -> Result<Vec<Source>, BadInput> {
    all(files.iter().map(|f| Source::find(f)))
}

fn read(options: &Options, sources: &[Source]) -> Result<Vec<Scenario>, BadInput> {
    let overrides = options.overrides();
    let read = |s: &Source| s.read(options.profile.into(), &overrides);
    let results: Vec<_> = sources.par_iter().map(read).collect();
    all(results.into_iter())
}

/// Something as JSON on standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), BadInput> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

/// A scenario for `list` and `check`.
#[derive(serde::Serialize)]
struct Listed<'a> {
    name: &'a str,
    claim: &'a str,
    paper: &'a [String],
    suite: Suite,
    title: &'a str,
    expected: Vec<Verdict>,
}

impl<'a> Listed<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Listed {
            name: &scenario.name,
            claim: &scenario.claim,
            paper: &scenario.paper,
            suite: scenario.suite,
            title: &scenario.title,
            expected: scenario.expected().collect(),
        }
    }
}

fn check(options: &Options, sources: &[Source]) -> Result<Exit, BadInput> {
    if options.json {
        let scenarios = read(options, sources)?;
        print_json(&scenarios.iter().map(Listed::new).collect::<Vec<_>>())?;
        return Ok(Exit::AsExpected);
    }
    for scenario in read(options, sources)? {
        print(&format!(
            "{}: valid ({}, {})\n",
            scenario.name,
            scenario.claim,
            verdicts(&scenario)
        ));
    }
    Ok(Exit::AsExpected)
}

fn create(name: &str, slow: bool) -> Result<Exit, BadInput> {
    print(&new::create(name, slow)?);
    Ok(Exit::AsExpected)
}

fn project(options: &Options, file: &str, at: &[f64]) -> Result<Exit, BadInput> {
    if options.json {
        let message =
            "--json: `project` prints text only; allowed with run, calibrate, plot, list and check";
        return Err(BadInput(vec![message.to_string()]));
    }
    let scenario = Source::find(file)?.read(options.profile.into(), &options.overrides())?;
    print(&project::report(&scenario, at)?);
    Ok(Exit::AsExpected)
}

fn list(options: &Options, paper: bool) -> Result<Exit, BadInput> {
    let scenarios = read(options, &Source::bundled())?;
    if paper {
        let entries: Vec<Entry> = scenarios.iter().map(entry).collect();
        print(&markdown(&entries));
        return Ok(Exit::AsExpected);
    }
    if options.json {
        print_json(&scenarios.iter().map(Listed::new).collect::<Vec<_>>())?;
        return Ok(Exit::AsExpected);
    }
    let rows: Vec<_> = scenarios
        .iter()
        .map(|s| {
            let star = match s.suite {
                Suite::Core => "",
                Suite::Companion => " *",
            };
            [
                format!("{}{star}", s.name),
                s.claim.clone(),
                verdicts(s),
                s.title.clone(),
            ]
        })
        .collect();
    print(&terminal::listing(&rows, style()));
    if !options.quiet && scenarios.iter().any(|s| s.suite == Suite::Companion) {
        print("* run --all only\n");
    }
    Ok(Exit::AsExpected)
}

/// A scenario on the map of the paper, with the verdicts that it expects.
fn entry(scenario: &Scenario) -> Entry {
    let functions = scenario.run.functions.iter();
    let functions: Vec<String> = functions.map(|h| h.to_string()).collect();
    let sides = scenario.comparisons.iter().flat_map(|c| [c.left, c.right]);
    Entry {
        name: scenario.name.clone(),
        paper: scenario.paper.clone(),
        companion: scenario.suite == Suite::Companion,
        figure: first_figure(
            scenario.regime,
            functions.iter().map(String::as_str),
            scenario.comparisons.iter().map(|c| c.alpha),
            sides.map(|kind| kind.family()),
        ),
        verdicts: scenario.expected().collect(),
    }
}

/// `3 consistent, 1 refuted`.
fn verdicts(scenario: &Scenario) -> String {
    counted(scenario.expected())
}
