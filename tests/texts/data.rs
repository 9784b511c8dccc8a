//! The lines of `docs/data.md` that load results, in real Python; without an interpreter or a package its lines are skipped.

use assert_cmd::Command;
use std::fs;

const SCENARIO: &str = include_str!("../common/tiny.toml");

/// What else the loaded data must satisfy.
const CHECKS: &str = r#"
import csv, json, numpy
s = numpy.load("output/quadratic_2d/statistics.npz", allow_pickle=False)
r = json.load(open("output/quadratic_2d/result.json", encoding="utf-8"))
assert list(s["function"]) == r["functions"]
assert list(s["process"]) == [p["label"] for p in r["processes"]]
assert list(s["comparison"]) == [c["id"] for c in r["comparisons"]]
assert s["mean"].shape == (3, 2, 2, s["time"].shape[1])
assert s["mean"].dtype == numpy.float64 and s["paths"].dtype == numpy.uint64
n = len(r["cells"][2]["times"])
assert list(s["mean"][2, 1, 0, :n]) == r["cells"][2]["processes"][1]["means"][0]["value"]
h = r["cells"][0]["processes"][0]["histograms"][1]
assert list(s["histogram_count"][0, 0, 0, 1, :len(h["counts"])]) == h["counts"]
rows = list(csv.DictReader(open("output/quadratic_2d/errors.csv", encoding="utf-8")))
assert [float(x["error"]) for x in rows] == list(s["error"][0].flatten())
laws = list(csv.DictReader(open("output/quadratic_2d/laws.csv", encoding="utf-8")))
assert [float(x["value"]) for x in laws] == list(s["law_distance"].flatten())
assert 0 < min(float(x["p_value"]) for x in laws if x["p_value"]) <= 1
close = list(csv.DictReader(open("output/quadratic_2d/closeness.csv", encoding="utf-8")))
assert [float(x["factor"]) for x in close] == list(s["closeness_factor"].flatten())
assert all(float(x["factor"]) >= 1 for x in close)
# The kept paths are all paths: their means, and the distances between their laws, are those of the statistics.
p = numpy.load("output/quadratic_2d/paths.npz", allow_pickle=False)
assert p["state"].shape == (3, 2, 512, s["time"].shape[1], 1)
assert numpy.array_equal(p["time"], s["time"], equal_nan=True)
assert numpy.allclose(p["state"][:, :, :, :, 0].mean(axis=2), s["mean"][:, :, 0], rtol=1e-12, atol=1e-12, equal_nan=True)
name = list(zip(s["law_kind"], s["law_name"])).index
for e in range(3):
    n = len(r["cells"][e]["times"])
    left, right = (numpy.sort(p["state"][e, k, :, n - 1, 0]) for k in (r["comparisons"][0]["left"], r["comparisons"][0]["right"]))
    everywhere = numpy.concatenate([left, right])
    apart = lambda a, b: numpy.abs(a[:, None] - b[None, :]).mean()
    share = lambda v: numpy.searchsorted(v, everywhere, side="right") / 512
    supremum = numpy.abs(share(left) - share(right)).max()
    energy = 2 * apart(left, right) - apart(left, left) - apart(right, right)
    ratio = (left**2).mean() / (right**2).mean()
    # Bins are at least 256 wide over the range of the values.
    width = (everywhere.max() - everywhere.min()) / 256
    assert supremum - 0.05 <= s["law_distance"][name(("kolmogorov_smirnov", "KS of x[1]")), e] <= supremum + 1e-12
    assert abs(s["law_distance"][name(("wasserstein", "W₁ of x[1]")), e] - numpy.abs(left - right).mean()) <= 2 * width
    assert abs(s["law_distance"][name(("energy", "energy distance of x[1]")), e] ** 2 - energy) <= 4 * width
    assert s["closeness_ratio"][0, e] > 0 and (s["closeness_time"][0, e] < 1 or abs(s["closeness_ratio"][0, e] / ratio - 1) < 1e-9)
"#;

#[test]
fn the_lines_of_the_document_load_the_data() {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("quadratic_2d.toml"), SCENARIO).expect("written");
    Command::cargo_bin("slowsde")
        .expect("built")
        .current_dir(folder.path())
        .args([
            "run",
            "quadratic_2d.toml",
            "-q",
            "--set",
            "run.keep_paths=512",
            "--set",
            r#"run.functions=["x[1]", "norm2"]"#,
            "--set",
            r#"run.monitored=["x[1]"]"#,
        ])
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
    assert!(blocks.len() >= 10);
    let built = |code: &&str| cfg!(feature = "parquet") || !code.contains(".parquet");
    for code in blocks.into_iter().chain([CHECKS]).filter(built) {
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
