//! All figures of whole results: that they are there, the same twice, and survive broken data.

use std::path::PathBuf;
use std::time::Instant;

use super::fixture::ornstein_uhlenbeck;
use super::*;
use crate::report::result::*;

/// Draws the gallery for looking at: `cargo test --release --lib gallery -- --ignored`.
#[test]
#[ignore = "writes figures for the eye"]
fn gallery() {
    let folder = std::env::temp_dir().join("slowsde-gallery");
    for (name, result) in cases() {
        let start = Instant::now();
        let drawn = draw_all(&result, &folder.join(name)).expect("figures");
        println!(
            "{name}: {} figures, {:.3} s",
            drawn.len(),
            start.elapsed().as_secs_f64()
        );
    }
}

fn cases() -> Vec<(&'static str, ScenarioResult)> {
    vec![("ou", ornstein_uhlenbeck())]
}

#[test]
fn every_family_is_drawn_in_three_formats() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = draw_all(&ornstein_uhlenbeck(), folder.path()).expect("figures");
    let names: Vec<&str> = drawn.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "error_ladder",
            "limit",
            "exact_ladder",
            "distribution",
            "quantiles",
            "paths"
        ]
    );
    for figure in &drawn {
        assert!(figure.caption.ends_with('.'), "{}", figure.caption);
        for extension in ["svg", "png", "pdf"] {
            let path: PathBuf = folder.path().join(format!("{}.{extension}", figure.name));
            assert!(
                fs::metadata(&path).expect("a file").len() > 2000,
                "{}",
                path.display()
            );
        }
    }
}
