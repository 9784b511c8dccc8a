//! `slowsde calibrate`: the error rates of verdicts, over many seeds, on scenarios whose truth is known.

use super::progress::Progress;
use super::session::{names_differ, stop_on_interrupt};
use super::{BadInput, Exit, Options, print, print_json, read, style};
use crate::ensemble::Control;
use crate::report::calibration::{Calibration, ComparisonRates};
use crate::report::terminal;
use crate::report::write::OutputFolder;
use crate::scenario::{Comparison, Profile, Scenario, total_work};
use clap::Args;
use std::sync::Arc;
use std::time::Instant;

/// Scenarios whose truth is known: by exact moments or a closed form, and negative controls, whose limits are known not to vanish.
const KNOWN: [&str; 8] = [
    "quadratic_1d",
    "quadratic_2d",
    "rademacher",
    "control_alpha_one",
    "control_heavy_ball_rate",
    "control_plain_rates",
    "slow_valley",
    "slow_controls",
];

#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// Scenario files, or names of bundled scenarios; those whose truth is known if absent
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Seeds 1 to N
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
}

/// Runs every scenario with every seed and reports on standard output.
pub(super) fn calibrate(options: &Options, arguments: &Calibrate) -> Result<Exit, BadInput> {
    let start = Instant::now();
    if options.seed.is_some() {
        let message = "--seed: `calibrate` runs the seeds 1 to N of --seeds N";
        return Err(BadInput(vec![message.to_string()]));
    }
    let names: Vec<String> = match arguments.files.is_empty() {
        true => KNOWN.iter().map(|n| n.to_string()).collect(),
        false => arguments.files.clone(),
    };
    let sources = super::find(&names)?;
    let scenarios = read(options, &sources)?;
    names_differ(&scenarios, &sources)?;
    let output = OutputFolder::prepare(options.out(), &[])?;
    let control = Arc::new(Control::default());
    stop_on_interrupt(control.clone());

    let once = scenarios.iter().map(total_work);
    let total = once
        .fold(0, u64::saturating_add)
        .saturating_mul(arguments.seeds);
    let progress = Progress::new(total, control.clone(), options.quiet);
    let mut rates: Vec<Vec<ComparisonRates>> = scenarios
        .iter()
        .map(|s| {
            let rates = |c: &Comparison| ComparisonRates::new(&s.name, c.expected, s.run.level);
            s.comparisons.iter().map(rates).collect()
        })
        .collect();
    // Seed by seed, so that what an interruption leaves is as many seeds of every scenario.
    let mut done = 0;
    'seeds: for seed in 1..=arguments.seeds {
        let mut found = vec![];
        for scenario in &scenarios {
            progress.show(format!("seed {seed}: {}", scenario.name));
            let scenario = with_seed(scenario, seed);
            match scenario.execute(&control, &|work| progress.more(work)) {
                Ok(result) => found.push(result),
                Err(_) => break 'seeds,
            }
        }
        for (rates, result) in rates.iter_mut().zip(&found) {
            for (rate, comparison) in rates.iter_mut().zip(&result.comparisons) {
                rate.count(seed, comparison);
            }
        }
        done = seed;
    }
    drop(progress);
    let calibration = Calibration::new(
        Profile::from(options.profile).name(),
        arguments.seeds,
        done,
        start.elapsed().as_secs_f64(),
        rates.into_iter().flatten().collect(),
    );
    output.write_calibration(&calibration)?;
    if options.json {
        print_json(&calibration)?;
    } else {
        let folder = format!("{}/", options.out().display());
        print(&terminal::calibration(&calibration, &folder, style()));
    }
    Ok(match () {
        () if done < arguments.seeds => Exit::Interrupted,
        () if calibration.holds => Exit::AsExpected,
        () => Exit::Otherwise,
    })
}

fn with_seed(scenario: &Scenario, seed: u64) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.run.seed = seed;
    scenario
}
