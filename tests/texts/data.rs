//! The lines of `docs/data.md` that load results, in real Python; without an interpreter or a package its lines are skipped.

use assert_cmd::Command;
use std::fs;

const SCENARIO: &str = r#"title = "A tiny quadratic"
claim = "Theorem 4.5"
[landscape.quadratic]
spectrum = [1.0]
[noise.gaussian]
factor = { isotropic = 1.0 }
[start.x0]
at = [1.0]
[schedule]
momentum = { constant = 0.5 }
[run]
horizon = 1.0
alphas = [0.0]
eta_max = 0.125
etas = 3
paths = 512
max_paths = 512
functions = ["x[1]"]
monitored = ["x[1]"]
tolerance = 0.9
[[compare]]
left = "sgdm"
right = "sgd"
expect = "consistent"
"#;

/// What else the loaded data must satisfy.
const CHECKS: &str = r#"
import csv, json, numpy
s = numpy.load("output/quadratic_2d/statistics.npz", allow_pickle=False)
r = json.load(open("output/quadratic_2d/result.json", encoding="utf-8"))
assert list(s["function"]) == r["functions"]
assert list(s["process"]) == [p["label"] for p in r["processes"]]
assert list(s["comparison"]) == [c["id"] for c in r["comparisons"]]
assert s["mean"].shape == (3, 2, 1, s["time"].shape[1])
assert s["mean"].dtype == numpy.float64 and s["paths"].dtype == numpy.uint64
n = len(r["cells"][2]["times"])
assert list(s["mean"][2, 1, 0, :n]) == r["cells"][2]["processes"][1]["means"][0]["value"]
h = r["cells"][0]["processes"][0]["histograms"][1]
assert list(s["histogram_count"][0, 0, 0, 1, :len(h["counts"])]) == h["counts"]
rows = list(csv.DictReader(open("output/quadratic_2d/errors.csv", encoding="utf-8")))
assert [float(x["error"]) for x in rows] == list(s["error"][0, 0])
"#;

#[test]
fn the_lines_of_the_document_load_the_data() {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("quadratic_2d.toml"), SCENARIO).expect("written");
    Command::cargo_bin("slowsde")
        .expect("built")
        .current_dir(folder.path())
        .args(["run", "quadratic_2d.toml", "-q"])
        .assert()
        .code(0);
    let python = |code: &str| {
        std::process::Command::new("python3")
            .current_dir(folder.path())
            .args(["-c", code])
            .output()
    };
    let document = include_str!("../../docs/data.md");
    let blocks = document.split("```python\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|b| b.split("```").next()).collect();
    assert!(blocks.len() >= 5);
    for code in blocks.into_iter().chain([CHECKS]) {
        let Some(import) = code.lines().find(|l| l.starts_with("import ")) else {
            panic!("no import in {code}");
        };
        let import = import.split(';').next().unwrap_or(import);
        match python(import) {
            Ok(there) if there.status.success() => {}
            _ => {
                eprintln!("skipped, for want of Python or a package: {import}");
                continue;
            }
        }
        let output = python(code).expect("started");
        assert!(
            output.status.success(),
            "{code}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
