//! All figures of whole results: that they are there, the same twice, and survive broken data.

use std::path::PathBuf;
use std::time::Instant;

use super::fixture::ornstein_uhlenbeck;
use super::slow_fixture::{between, hyperbola};
use super::*;
use crate::report::result::*;

/// Draws the gallery for looking at: `cargo test --release --lib gallery -- --ignored`.
#[test]
#[ignore = "writes figures for the eye"]
fn gallery() {
    let folder = std::env::temp_dir().join("slowsde-gallery");
    for (name, result) in cases() {
        let start = Instant::now();
        let drawn = draw_all(&result, &folder.join(name), &Drawing::default()).expect("figures");
        let drawing = Instant::now();
        let animation = animation::gif(&result).expect("an animation");
        let animation = animation.unwrap_or_default();
        println!(
            "{name}: animation of {} bytes, {:.3} s",
            animation.len(),
            drawing.elapsed().as_secs_f64()
        );
        if !animation.is_empty() {
            still_frames(&animation, &folder.join(name));
        }
        println!(
            "{name}: {} figures, {:.3} s",
            drawn.len(),
            start.elapsed().as_secs_f64()
        );
        for figure in figures(&result, Width::Natural).expect("figures") {
            let grey = export::Parsed::new(&in_grey(&figure.svg)).and_then(|p| p.png());
            let path = folder.join(name).join(format!("{}-grey.png", figure.name));
            fs::write(path, grey.expect("a grey image")).expect("a file");
        }
    }
}

/// The first, second, middle and last frame.
fn still_frames(animation: &[u8], folder: &Path) {
    let frames = animation::played(animation);
    for k in [0, 1, frames.len() / 2, frames.len() - 1] {
        let Some(frame) = frames.get(k) else { continue };
        let height = (frame.len() / 640) as u32;
        let size = resvg::tiny_skia::IntSize::from_wh(640, height).expect("a size");
        let bytes = frame.concat();
        let image = resvg::tiny_skia::Pixmap::from_vec(bytes, size).expect("an image");
        let path = folder.join(format!("cloud-frame-{k}.png"));
        image.save_png(path).expect("a file");
    }
}

/// The drawing as a grey printer shows it.
fn in_grey(svg: &str) -> String {
    let mut out = String::new();
    let mut rest = svg;
    while let Some((before, after)) = rest.split_once('#') {
        out.push_str(before);
        let channel = |k: usize| u8::from_str_radix(after.get(2 * k..2 * k + 2)?, 16).ok();
        if let (Some(r), Some(g), Some(b)) = (channel(0), channel(1), channel(2)) {
            let grey = (255.0 * theme::Rgb(r, g, b).luminance().powf(1.0 / 2.2)).round() as u8;
            out.push_str(&format!("#{grey:02X}{grey:02X}{grey:02X}"));
            rest = &after[6..];
        } else {
            out.push('#');
            rest = after;
        }
    }
    out + rest
}

fn cases() -> Vec<(&'static str, ScenarioResult)> {
    let base = ornstein_uhlenbeck();
    let mut one_eta = base.clone();
    one_eta.cells.truncate(1);
    for check in one_eta
        .comparisons
        .iter_mut()
        .flat_map(|c| &mut c.functions)
    {
        check.errors.truncate(1);
        check.fitted.truncate(1);
    }
    for ladder in one_eta.comparisons.iter_mut().flat_map(|c| &mut c.exact) {
        ladder.etas.truncate(1);
        ladder.errors.truncate(1);
        ladder.slopes.clear();
    }
    let mut one_path = base.clone();
    one_path.comparisons.truncate(1);
    if let Some(paths) = &mut one_path.sample_paths {
        paths.positions.iter_mut().for_each(|p| p.truncate(1));
    }
    for histogram in one_path
        .cells
        .iter_mut()
        .flat_map(|c| &mut c.processes)
        .flat_map(|p| &mut p.histograms)
    {
        histogram.counts = vec![1];
    }
    let mut many_dimensions = base.clone();
    many_dimensions.scenario.dimension = 20;
    many_dimensions.contours = None;
    let mut long = base.clone();
    long.scenario.title =
        "A title that goes on and on about <everything> & the rest, far beyond the column "
            .repeat(3);
    long.scenario.claim = "Theorem 4.5 and several remarks ".repeat(6);
    long.processes.iter_mut().for_each(|p| {
        p.label = format!("{} with a very long description of its schedule", p.label)
    });
    long.functions
        .iter_mut()
        .for_each(|f| *f = format!("exp(-({f})^2/(1+{f}))*tanh({f}) + an even longer tail"));
    let cases = vec![("ou", base.clone()), ("eight", eight_processes(&base))];
    let cases = cases.into_iter().chain([
        ("one_eta", one_eta),
        ("one_path", one_path),
        ("d20", many_dimensions),
        ("slow", hyperbola()),
        ("slow_many", many_distances()),
        ("slow_line", one_comparison()),
        ("between", between()),
        ("flow", flow()),
        ("long", long),
    ]);
    let numbers = [
        ("zeros", 0.0),
        ("nan", f64::NAN),
        ("infinite", f64::INFINITY),
        ("huge", 1e300),
        ("negative", -1.0),
    ];
    let slow = [
        ("slow_zeros", 0.0),
        ("slow_nan", f64::NAN),
        ("slow_infinite", f64::INFINITY),
        ("slow_huge", 1e300),
        ("slow_negative", -1.0),
    ];
    cases
        .chain(numbers.map(|(name, number)| (name, replaced(base.clone(), number))))
        .chain(slow.map(|(name, number)| (name, replaced(between(), number))))
        .collect()
}

/// Twice as many distances as fit into a panel, seven comparisons, long names.
fn many_distances() -> ScenarioResult {
    let mut result = hyperbola();
    let mut comparisons = result.comparisons.clone();
    comparisons.extend(result.comparisons[..2].iter().cloned());
    for comparison in &mut comparisons {
        let mut more = comparison.distances.clone();
        for distance in &mut more {
            distance.name = format!("{} of another coordinate with a long name", distance.name);
            distance.check.coefficients.clear();
        }
        comparison.distances.extend(more);
    }
    result.comparisons = comparisons;
    result
}

/// The right process without noise, as for label noise: one curve, no paths, no histograms.
fn flow() -> ScenarioResult {
    const FLOW: usize = 2;
    let mut result = hyperbola();
    result.functions = ["trace_hessian", "recovery"].map(str::to_owned).to_vec();
    result.processes[FLOW].label = "slow flow (4)".to_owned();
    for cell in &mut result.cells {
        let process = &mut cell.processes[FLOW];
        process.histograms.clear();
        for band in &mut process.quantiles {
            let median = band.values[2].clone();
            band.values.iter_mut().for_each(|v| v.clone_from(&median));
        }
    }
    if let Some(paths) = &mut result.sample_paths {
        paths.positions[FLOW].clear();
    }
    if let Some(clouds) = &mut result.clouds {
        clouds.positions[FLOW].clear();
    }
    result
}

/// One comparison, one η, one time, one path.
fn one_comparison() -> ScenarioResult {
    let mut result = hyperbola();
    result.cells.truncate(1);
    result.comparisons.truncate(1);
    for distance in &mut result.comparisons[0].distances {
        distance.check.errors.truncate(1);
        distance.floor.truncate(1);
    }
    if let Some(clouds) = &mut result.clouds {
        clouds.times.truncate(1);
        for process in &mut clouds.positions {
            process.iter_mut().for_each(|t| t.truncate(1));
        }
    }
    result
}

/// Eight processes and seven comparisons, two monitored functions, decimal η.
fn eight_processes(base: &ScenarioResult) -> ScenarioResult {
    let mut result = base.clone();
    let alphas = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5];
    let families = [0, 1, 1, 2, 2, 3, 3, 4];
    let process = |k: usize| match k {
        0 | 7 => base.processes[families[k]].clone(),
        k => Process {
            label: format!("SGDM α={}", alphas[k - 1]),
            family: ProcessFamily::Sgdm,
            alpha: Some(alphas[k - 1]),
        },
    };
    result.processes = (0..8).map(process).collect();
    for cell in &mut result.cells {
        cell.eta *= 0.8;
        cell.processes = families
            .iter()
            .map(|&f| cell.processes[f].clone())
            .collect();
        for summary in &mut cell.processes {
            let again = summary.quantiles[0].clone();
            summary.quantiles.push(QuantileBand {
                function: 1,
                ..again
            });
        }
    }
    let comparison = |k: usize| {
        let (left, right) = if k == 7 { (0, 7) } else { (k, 0) };
        let mut comparison = base.comparisons[[0, 0, 1, 1, 2, 2, 3][k - 1]].clone();
        (comparison.left, comparison.right) = (left, right);
        for point in comparison
            .functions
            .iter_mut()
            .flat_map(|f| f.errors.iter_mut().chain(&mut f.fitted))
        {
            point.eta *= 0.8;
        }
        comparison
            .exact
            .iter_mut()
            .flat_map(|l| &mut l.etas)
            .for_each(|eta| *eta *= 0.8);
        comparison
    };
    result.comparisons = (1..8).map(comparison).collect();
    if let Some(paths) = &mut result.sample_paths {
        paths.positions = families
            .iter()
            .map(|&f| paths.positions[f].clone())
            .collect();
    }
    result
}

#[test]
fn every_family_is_drawn_in_three_formats() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn =
        draw_all(&ornstein_uhlenbeck(), folder.path(), &Drawing::default()).expect("figures");
    let names: Vec<&str> = drawn.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "error_ladder",
            "limit",
            "limits",
            "exact_ladder",
            "distribution",
            "distribution_coarse",
            "qq",
            "quantiles",
            "quantiles_coarse",
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

/// One panel a process that is set against (51) or (4), its axis from k = η^{−1/2} on; times are on the clock of the scenario.
#[test]
fn the_hand_over_is_drawn_where_both_limits_run() {
    let all = figures(&between(), Width::Natural).expect("figures");
    let figure = all.iter().find(|f| f.name == "hand_over");
    let figure = figure.expect("a figure");
    for word in [
        "SGD",
        "SGDM α=0.5",
        "from SDE (51)",
        "from slow SDE (4)",
        "Regime II",
    ] {
        assert!(figure.svg.contains(word), "{word}");
    }
    assert!(figure.caption.contains("512 paths"), "{}", figure.caption);
    let quantiles = all.iter().find(|f| f.name.starts_with("quantiles"));
    assert!(quantiles.is_some_and(|f| f.svg.contains(">1.5<")));
    let without = figures(&hyperbola(), Width::Natural).expect("figures");
    assert!(without.iter().all(|f| f.name != "hand_over"));
}

#[test]
fn the_slow_regime_has_its_own_figures_and_clock() {
    let folder = tempfile::tempdir().expect("a folder");
    let result = hyperbola();
    let drawn = draw_all(&result, folder.path(), &Drawing::default()).expect("figures");
    let names: Vec<&str> = drawn.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "error_ladder",
            "limit",
            "limits",
            "distances",
            "distribution",
            "distribution_coarse",
            "qq",
            "quantiles",
            "quantiles_coarse",
            "density",
            "paths",
            "cloud"
        ]
    );
    let file = fs::read(folder.path().join("cloud.gif")).expect("an animation");
    assert!(file.starts_with(b"GIF89a"));
    let all = figures(&result, Width::Natural).expect("figures");
    for figure in &all {
        let text = figure.caption.clone() + &figure.svg;
        assert!(figure.caption.ends_with('.'), "{}", figure.caption);
        for word in ["fast time", "guaranteed", "(1−α)/2"] {
            assert!(!text.contains(word), "{} {word}", figure.name);
        }
    }
    let of = |name: &str| all.iter().find(|f| f.name == name).expect("a figure");
    assert!(of("quantiles").svg.contains("slow time"));
    assert!(of("distances").caption.contains("same distance between"));
    assert!(of("cloud").caption.contains("raw iterates"));
    let density = of("density");
    for part in [
        "encloses 50 %",
        "thin line 90 %",
        "along and across the manifold",
        "slow SDE (4): on Γ",
    ] {
        assert!(
            density.caption.contains(part),
            "{part}: {}",
            density.caption
        );
    }
    assert!(density.svg.contains("SGDM α=0.5") && !density.svg.contains("without drift"));
    // A law in closed form has no paths and so no look in the figures of paths.
    assert!(!of("paths").svg.contains("closed form"));
    assert!(!of("cloud").svg.contains("closed form"));
    assert!(of("error_ladder").svg.contains("closed form"));
}

/// Gaussian clouds of the fast regime on one noise: contours of all processes, no animation.
#[test]
fn clouds_of_the_fast_regime_have_contours_alone() {
    let mut result = ornstein_uhlenbeck();
    let mut clouds = hyperbola().clouds.expect("clouds");
    clouds.manifold.clear();
    clouds.positions.truncate(result.processes.len());
    result.scenario.dimension = 2;
    result.clouds = Some(clouds);
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = draw_all(&result, folder.path(), &Drawing::default()).expect("figures");
    let density = drawn
        .iter()
        .find(|f| f.name == "density")
        .expect("contours");
    for process in &result.processes[..3] {
        assert!(density.svg.contains(&process.label), "{}", process.label);
    }
    assert!(density.caption.contains("chosen fast times") && !density.caption.contains('Γ'));
    let slides = density.slides.as_ref().expect("slides");
    assert_eq!(slides.stills.len(), 4);
    assert!(
        drawn
            .iter()
            .all(|f| f.name != "cloud" && f.animation.is_none())
    );
    assert!(!folder.path().join("cloud.gif").exists());
}

#[test]
fn a_process_without_noise_is_a_line() {
    let drawn = figures(&flow(), Width::Natural).expect("figures");
    let of = |name: &str| drawn.iter().find(|f| f.name == name).expect("a figure");
    let distribution = of("distribution");
    assert!(distribution.svg.contains("slow flow (4)"));
    assert!(distribution.caption.contains("slow flow (4)"));
    assert!(of("quantiles").caption.contains("is one curve"));
    for figure in &drawn {
        assert!(!figure.svg.contains("trace_hessian"), "{}", figure.name);
        assert!(!figure.caption.contains("trace_hessian"));
    }
    assert!(of("quantiles").svg.contains("tr ∇²"));
}

#[test]
fn long_names_leave_room_for_limits_and_verdicts() {
    let mut result = hyperbola();
    result.scenario.title = "A title that does not fit into a line of a single column".to_owned();
    result.processes[2].label = "slow SDE by nearest point (4)".to_owned();
    let drawn = figures(&result, Width::Natural).expect("figures");
    let of = |name: &str| drawn.iter().find(|f| f.name == name).expect("a figure");
    assert!(!of("limits").svg.contains('…'));
    for name in ["error_ladder", "limit"] {
        let svg = &of(name).svg;
        let verdicts = svg.matches("consistent").count() + svg.matches("refuted").count();
        assert_eq!(verdicts, result.comparisons.len(), "{name}");
    }
}

#[test]
fn without_clouds_there_is_no_animation() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut result = hyperbola();
    result.scenario.dimension = 3;
    result.cells.clear();
    result.comparisons.clear();
    result.sample_paths = None;
    assert!(
        draw_all(&result, folder.path(), &Drawing::default())
            .expect("no figures")
            .is_empty()
    );
    assert!(!folder.path().join("cloud.gif").exists());
}

#[test]
fn many_distances_are_spread_over_figures() {
    let result = many_distances();
    let drawn = figures(&result, Width::Natural).expect("figures");
    let distances: Vec<&Figure> = drawn
        .iter()
        .filter(|f| f.name.starts_with("distances"))
        .collect();
    assert!(distances.len() > 2);
    for name in ["KS ", "sliced", "max "] {
        assert!(distances[0].svg.contains(name), "{name}");
    }
    let second = |f: &&&Figure| f.svg.contains("of another coordinate");
    assert!(distances.iter().filter(second).count() > 0);
}

#[test]
fn the_same_result_gives_the_same_bytes() {
    let folders = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    for folder in &folders {
        draw_all(&ornstein_uhlenbeck(), folder.path(), &Drawing::default()).expect("figures");
        draw_all(&hyperbola(), folder.path(), &Drawing::default()).expect("figures");
    }
    for entry in fs::read_dir(folders[0].path()).expect("a listing") {
        let name = entry.expect("an entry").file_name();
        let read = |folder: usize| fs::read(folders[folder].path().join(&name)).expect("a file");
        assert!(read(0) == read(1), "{} differs", name.display());
    }
}

#[test]
fn broken_results_are_drawn_as_far_as_they_can_be() {
    cases().into_par_iter().for_each(|(name, result)| {
        for figure in figures(&result, Width::Natural).expect(name) {
            let parsed = export::Parsed::new(&figure.svg).expect(name);
            assert!(
                !figure.svg.contains("NaN") && !figure.svg.contains("inf"),
                "{name} {}",
                figure.name
            );
            // What fails does so at any resolution.
            parsed.raster(200).expect(name);
            parsed.pdf(&figure.caption).expect(name);
        }
    });
}

/// Height of a drawing in inches.
fn height(svg: &str) -> f64 {
    let (_, rest) = svg.split_once("height=\"").expect("a height");
    rest.split_once("in")
        .expect("inches")
        .0
        .parse()
        .expect("a number")
}

#[test]
fn a_single_column_holds_the_same_figures() {
    let wanted = ["ou", "eight", "slow", "slow_many", "flow", "long"];
    let chosen = cases().into_iter().filter(|c| wanted.contains(&c.0));
    for (name, result) in chosen {
        let natural = figures(&result, Width::Natural).expect(name);
        let single = figures(&result, Width::Single).expect(name);
        let names = |all: &[Figure]| all.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&natural), names(&single));
        for (wide, narrow) in natural.iter().zip(&single) {
            assert!(narrow.svg.starts_with("<svg width=\"3.4000in\""));
            // Texts keep their sizes, and every panel is there.
            assert!(narrow.svg.contains("font-size=\"60\"") && narrow.caption == wide.caption);
            export::Parsed::new(&narrow.svg).expect(name);
            // One scale for both axes is kept: two panels in a row become lower as they become narrower.
            if ["cloud", "density"].contains(&wide.name.as_str()) && name == "slow" {
                let [wide, narrow] = [wide, narrow].map(|f| height(&f.svg));
                assert!(narrow < 0.75 * wide, "{narrow} {wide}");
            }
        }
    }
}

#[test]
fn a_result_without_data_has_no_figures() {
    let mut result = ornstein_uhlenbeck();
    result.cells.clear();
    result.comparisons.clear();
    result.sample_paths = None;
    assert!(
        figures(&result, Width::Natural)
            .expect("no figures")
            .is_empty()
    );
}

#[test]
fn indices_out_of_range_are_survived() {
    let mut result = ornstein_uhlenbeck();
    result.processes.truncate(2);
    result.functions.clear();
    for comparison in &mut result.comparisons {
        comparison.left = 77;
    }
    assert!(figures(&result, Width::Natural).expect("figures").len() > 3);
}

#[test]
fn file_names_are_plain_and_distinct() {
    let names = |items: &[&str]| {
        file_names(
            "q",
            &items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(names(&["x[1]"]), ["q"]);
    assert_eq!(
        names(&["x[1]", "x[1]^2", "x(1)"]),
        ["q_x_1", "q_x_1_2", "q_x_1_3"]
    );
}

#[test]
fn times_are_spread_with_both_ends() {
    assert_eq!(spread(3, 4), [0, 1, 2]);
    assert_eq!(spread(9, 4), [0, 3, 5, 8]);
    assert_eq!(spread(0, 4), [0usize; 0]);
}

/// Replaces every number that figures draw.
fn replaced(mut result: ScenarioResult, number: f64) -> ScenarioResult {
    let all = |v: &mut Vec<f64>| v.iter_mut().for_each(|x| *x = number);
    let one = |e: &mut Estimate| {
        *e = Estimate {
            value: number,
            lower: number,
            upper: number,
            ..*e
        }
    };
    for process in result.cells.iter_mut().flat_map(|c| &mut c.processes) {
        process
            .quantiles
            .iter_mut()
            .flat_map(|q| &mut q.values)
            .for_each(all);
        for histogram in &mut process.histograms {
            histogram.gaussian = Some((number, number));
            histogram.origin = number;
        }
    }
    for comparison in &mut result.comparisons {
        one(&mut comparison.limit);
        for check in &mut comparison.functions {
            (check.scale, check.limit_time) = (number, number);
            all(&mut check.coefficients);
            one(&mut check.limit);
            check
                .errors
                .iter_mut()
                .chain(&mut check.fitted)
                .for_each(|p| {
                    one(&mut p.error);
                    p.noise_floor = number;
                });
        }
        for ladder in &mut comparison.exact {
            all(&mut ladder.errors);
            all(&mut ladder.slopes);
        }
    }
    if let Some(paths) = &mut result.sample_paths {
        paths.positions.iter_mut().flatten().flatten().for_each(all);
    }
    let checks = result.comparisons.iter_mut().flat_map(|c| &mut c.distances);
    for distance in checks {
        all(&mut distance.floor);
        let check = &mut distance.check;
        check.scale = number;
        all(&mut check.coefficients);
        one(&mut check.limit);
        check.errors.iter_mut().for_each(|p| one(&mut p.error));
    }
    for pair in result.hand_over.iter_mut().flat_map(|h| &mut h.pairs) {
        let distance = &mut pair.distance;
        for numbers in [
            &mut distance.value,
            &mut distance.lower,
            &mut distance.upper,
        ] {
            all(numbers);
        }
    }
    if let Some(clouds) = &mut result.clouds {
        clouds
            .positions
            .iter_mut()
            .flatten()
            .flatten()
            .for_each(all);
        clouds.manifold.iter_mut().flatten().for_each(all);
    }
    if let Some(grid) = &mut result.contours {
        grid.values.iter_mut().for_each(all);
    }
    result
}
