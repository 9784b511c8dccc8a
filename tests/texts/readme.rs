//! The README's scenario is a scenario.

use slowsde::scenario::{Overrides, Profile, Scenario};
use std::path::Path;

#[test]
fn the_scenario_of_the_readme_is_accepted() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!blocks.is_empty());
    for text in blocks {
        for profile in [Profile::Smoke, Profile::Quick, Profile::Full] {
            let overrides = Overrides::default();
            let scenario = Scenario::parse(
                text,
                "README.md",
                "readme",
                Path::new("."),
                profile,
                &overrides,
            );
            if let Err(e) = scenario {
                panic!("{e}");
            }
        }
    }
}
