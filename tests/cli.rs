//! The command line: exit codes, messages, what is written, and what an interrupted run leaves.

use assert_cmd::Command;
use insta::assert_snapshot;
use predicates::prelude::*;
use slowsde::report::calibration::Calibration;
use slowsde::report::result::{ScenarioResult, Verdict};
use slowsde::report::summary::Summary;
use slowsde::scenario::Source;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A scenario of a few milliseconds. Its verdict is consistent for every seed: the limit of E x₁ is 0 (Theorem 4.5) and the
/// tolerance is 0.9 of the scale, more than the interval of 512 paths by far.
const TINY: &str = include_str!("common/tiny.toml");

/// Regression on `data.csv` beside it.
const REGRESSION: &str = r#"title = "Regression"
claim = "Theorem 4.5"
[landscape.regression]
loss = "least_squares"
file = "data.csv"
target = "y"
[noise.minibatch]
size = 1
[start.x0]
everywhere = 0.0
[run]
horizon = 1.0
[[compare]]
left = "sgdm"
right = "sgd"
expect = "consistent"
"#;

/// A scenario of Regime II that takes less than a second.
const SLOW: &str = r#"title = "A short slow run"
claim = "Theorem 5.5"
regime = "slow"

[landscape.hyperbola]

[noise.gaussian]
factor = { isotropic = 1.0 }

[start]
x0 = { at = [2.0, 0.5] }

[schedule]
momentum = { constant = 1.0 }

[run]
horizon = 0.25
alphas = [0.5]
eta_max = 0.05
etas = 3
paths = 128
max_paths = 128
times = 2
looks = 2
functions = ["x[1]"]
tolerance = 0.9

[[compare]]
left = "sgd"
right = "slow_sde"
expect = "consistent"
"#;

/// The command in a folder of its own that holds `tiny.toml`.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk {
            folder: tempfile::tempdir().expect("temporary folder"),
        };
        desk.file("tiny.toml", TINY);
        desk
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("slowsde").expect("built");
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// The message for bad arguments, which exit with 2 and write nothing but it.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self
            .command(arguments)
            .assert()
            .code(2)
            .get_output()
            .clone();
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!self.path("output").exists(), "nothing may be written");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    /// The message for `TINY` with one text replaced.
    fn mistake(&self, old: &str, new: &str) -> String {
        self.mistake_in(TINY, old, new)
    }

    /// The message for a scenario with one text replaced.
    fn mistake_in(&self, text: &str, old: &str, new: &str) -> String {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        self.file("bad.toml", &text.replace(old, new));
        let message = self.refusal(&["run", "bad.toml"]);
        assert_eq!(message, self.refusal(&["check", "bad.toml"]));
        message
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable");
    let mut names: Vec<String> = entries
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn wrong_keys_and_types() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake("horizon", "horizn"), @"
    error: bad.toml:17:1: unknown key `horizn`; did you mean `horizon`? Allowed: `horizon`, `alphas`, `eta_max`, `etas`, `sde_etas`, `paths`, `max_paths`, `times`, `early_times`, `substeps`, `looks`, `slow_step`, `projection_tolerance`, `functions`, `monitored`, `level`, `tolerance`, `negligible`, `precision`, `keep_paths`, `seed`
       |
    17 | horizn = 1.0
       | ^
    ");
    assert_snapshot!(desk.mistake("etas = 3", "etas = \"three\""), @r#"
    error: bad.toml:20:8: invalid type: string "three", expected a whole number ≥ 0
       |
    20 | etas = "three"
       |        ^
    "#);
    assert_snapshot!(desk.mistake("right = \"sgd\"", "right = \"adam\""), @r#"
    error: bad.toml:28:9: unknown value `adam`; allowed: `sgd`, `sgd_plain`, `sgd_gamma`, `sgdm`, `heavy_ball`, `pytorch`, `coupled`, `coupled_steps`, `coupled_steps_plain`, `sgdm_first_gradient`, `heavy_ball_unconverted`, `sgdm_inertial`, `sde`, `underdamped_sde`, `undamped_sde`, `slow_sde`, `slow_sde_euler_maruyama`, `slow_flow`, `slow_sde_without_drift`, `slow_sde_linear_rate`, `slow_sde_nearest_point`, `closed_form`
       |
    28 | right = "adam"
       |         ^
    "#);
    assert_snapshot!(desk.mistake("claim = \"Theorem 4.5\"\n", ""), @"error: bad.toml: missing key `claim`");
    assert_snapshot!(desk.mistake("at = [1.0]", "at = [1.0"), @"
    error: bad.toml:13:1: missing comma between array elements, expected `,`
       |
    13 | [schedule]
       | ^
    ");
}

#[test]
fn numbers_out_of_range() {
    let desk = Desk::new();
    let eta = |text: &str| desk.mistake("eta_max = 0.125", &format!("eta_max = {text}"));
    assert_snapshot!(eta("-0.125"), @"error: bad.toml:19:1: `run.eta_max`: is -0.125, but must be above 0 and at most the horizon");
    assert_snapshot!(eta("nan"), @"error: bad.toml:19:1: `run.eta_max`: is NaN, but must be above 0 and at most the horizon");
    assert_snapshot!(desk.mistake("[schedule]", "[schedule]\nlearning_rate = { constant = -1.0 }"), @"error: bad.toml:14:1: `schedule.learning_rate`: `value` is -1, but must be a finite number ≥ 0");
    assert_snapshot!(desk.mistake("constant = 0.5", "constant = 1.5"), @"error: bad.toml:14:1: `schedule.momentum`: 1 − β_k = η^α μ reaches 1.5 at scale η = 0.125 with α = 0 and μ = 1.5, but must stay in (0, 1]: at this η the shape `momentum` may lie between 0 (excluded) and 1");
    assert_snapshot!(desk.mistake("alphas = [0.0]", "alphas = [0.0, -0.5]"), @"error: bad.toml:18:16: `run.alphas[2]`: is -0.5, but must be from 0 to 4");
    assert_snapshot!(desk.mistake("alphas = [0.0]", "alphas = []"), @"error: bad.toml:18:1: `run.alphas`: is empty: name at least one momentum index α");
    assert_snapshot!(desk.mistake("etas = 3", "etas = 0"), @"error: bad.toml:20:1: `run.etas`: is 0, but must be a whole number from 1 to 24");
    assert_snapshot!(desk.mistake("at = [1.0]", "at = [nan]"), @"error: bad.toml:11:7: `start.x0.at[1]`: is NaN, but must be a finite number");
    assert_snapshot!(desk.mistake("at = [1.0]", "at = [1.0, 2.0]"), @"error: bad.toml:11:1: `start.x0.at`: has 2 entries, but the landscape has 1 parameters");
    assert_snapshot!(desk.mistake("\"x[1]\"", "\"x[2]\""), @"error: bad.toml:23:14: `run.functions[1]`: `x[2]` asks for coordinate 2, but the landscape has 1");
}

#[test]
fn comparisons_that_make_no_sense() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake("right = \"sgd\"", "right = \"sgdm\""), @"error: bad.toml:28:1: `compare[1].right`: is the same process as `left`: nothing to compare");
    let text = TINY
        .replace("constant = 0.5", "cycle = [0.2, 0.8]")
        .replace("right = \"sgd\"", "right = \"sde\"");
    desk.file("cycle.toml", &text);
    assert_snapshot!(desk.refusal(&["run", "cycle.toml"]), @"error: cycle.toml:28:1: `compare[1].right`: the SDE (51) needs a schedule that is a function of time, but schedule.momentum changes from step to step: leave out the comparison with `sde`, or use another shape");
    desk.file(
        "tiny1.toml",
        &TINY.replace("alphas = [0.0]", "alphas = [1.0]"),
    );
    desk.command(&["check", "tiny1.toml"]).assert().success();
    let inertial = "left = \"sgdm_inertial\"";
    assert_snapshot!(desk.mistake("left = \"sgdm\"", inertial), @"error: bad.toml:26:1: `compare[1].alphas`: must be at least 1 for `sgdm_inertial`: below, SGDM moves in O(1/η) steps (`sgdm`)");
    let text = TINY
        .replace("right = \"sgd\"", "right = \"undamped_sde\"")
        .replace("at = [1.0]", "at = [1.0]\n[start.m0]\ngaussian = 0.5");
    desk.file("started.toml", &text);
    assert_snapshot!(desk.refusal(&["run", "started.toml"]), @"error: started.toml:30:1: `compare[1].right`: is `undamped_sde`, whose momentum is measured in another unit than m: start.m0 must be zero");
    let stationary = text
        .replace("undamped_sde", "underdamped_sde")
        .replace("[start.m0]\ngaussian = 0.5", "[start]\nm0 = \"stationary\"");
    desk.file("stationary.toml", &stationary);
    let refused = desk.refusal(&["run", "stationary.toml"]);
    assert!(refused.contains("knows β_0"), "{refused}");
    let svag = |more: &str| {
        desk.mistake(
            "[start.x0]",
            &format!("[noise_scale]\nsvag = true\n{more}[start.x0]"),
        )
    };
    assert_snapshot!(svag("power = -0.5\n"), @"error: bad.toml:12:1: `noise_scale.power`: is -0.5, but must be 0 with SVAG, which makes the noise √ℓ times as large itself");
}

/// What the paper's items, laws of processes and claims at every η are refused for.
#[test]
fn claims_that_cannot_be_tested() {
    let desk = Desk::new();
    let has = |old: &str, new: &str, parts: &[&str]| {
        let message = desk.mistake(old, new);
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    let title = "title = \"A tiny quadratic\"";
    let with = |line: &str| format!("{title}\n{line}");
    let paper = ["`paper[1]`", "did you mean `Lemma A.2`?"];
    has(title, &with("paper = [\"Lemma A2\"]"), &paper);
    let twice = "paper = [\"Lemma A.2\", \"Lemma A.2\"]";
    has(title, &with(twice), &["`paper[2]`", "listed already"]);
    let suite = ["`core` or `companion`"];
    has(title, &with("suite = \"all\""), &suite);
    let compare = "left = \"sgdm\"";
    let keys = |line: &str| format!("{compare}\n{line}");
    let functions = ["`compare[1].functions[1]`", "not among"];
    has(compare, &keys("functions = [\"x[1]^3\"]"), &functions);
    has(
        "right = \"sgd\"",
        "right = \"closed_form\"\nholds = \"path_by_path\"",
        &["a closed form has no paths"],
    );
    let exact = keys("exact = true\nholds = \"at_every_eta\"");
    has(compare, &exact, &["claims that hold in the limit"]);
    let law = "[[known.law]]\nprocess = \"sde\"\nfunction = \"x[1]\"\nmean = \"0\"\n[run]";
    has(
        "[run]",
        law,
        &["`known.law[1].process`", "only discrete processes"],
    );
    let law = "[[known.law]]\nprocess = \"sgdm\"\nfunction = \"x[1]\"\nmean = \"log(-k)\"\n[run]";
    has(
        "[run]",
        law,
        &["`known.law[1].mean`", "must be a finite number"],
    );
    let panel = |names: &str| format!("functions = [{names}]\ntolerance = 0.9");
    let momentum = [
        "`compare[1].right`",
        "is `sgd`, but `lag2` is of the momentum",
    ];
    let old = "functions = [\"x[1]\"]\ntolerance = 0.9";
    has(old, &panel("\"lag2\""), &momentum);
    let coordinate = ["`run.functions[1]`", "coordinate 2"];
    has(old, &panel("\"gradient_lag[2]\""), &coordinate);
    let of_steps = "left = \"coupled_steps\"\nfunctions = [\"descent\"]";
    let text = TINY.replace(old, &panel("\"descent\", \"step[1]^4\""));
    let refused = desk.mistake_in(&text, compare, of_steps);
    assert!(
        refused.contains("is `coupled_steps`, but `descent` is recorded"),
        "{refused}"
    );
    let quiet = TINY.replace(old, &panel("\"momentum2\""));
    let refused = desk.mistake_in(
        &quiet,
        "[start.x0]",
        "[noise_scale]\nfactor = 0.0\n[start.x0]",
    );
    assert!(refused.contains("in units of the noise"), "{refused}");
    let slow = SLOW.replace("functions = [\"x[1]\"]", "functions = [\"relative_lag2\"]");
    desk.file("lag.toml", &slow);
    assert!(
        desk.refusal(&["check", "lag.toml"])
            .contains("fast regime only")
    );
}

/// Regime II: what does not exist in a regime, on a landscape or with a noise is refused where it is written.
#[test]
fn mistakes_in_the_slow_regime() {
    let desk = Desk::new();
    desk.file("slow.toml", SLOW);
    desk.command(&["check", "slow.toml"]).assert().success();
    let slow = |old: &str, new: &str| desk.mistake_in(SLOW, old, new);
    let svag = slow("[start]", "[noise_scale]\nsvag = true\n[start]");
    assert!(svag.contains("SVAG belongs to the fast regime"), "{svag}");
    assert!(
        slow("\"slow_sde\"", "\"underdamped_sde\"").contains("does not run in the slow regime")
    );
    let right = |name: &str| slow("\"slow_sde\"", &format!("\"{name}\""));
    assert_snapshot!(slow("\"slow\"", "\"medium\""), @r#"
    error: bad.toml:3:10: unknown value `medium`; allowed: `fast` or `slow`
      |
    3 | regime = "medium"
      |          ^
    "#);
    assert_snapshot!(slow("\"slow\"", "\"fast\""), @"error: bad.toml:30:1: `compare[1].right`: is `slow_sde`, which does not run in the fast regime; allowed: sgd, sgd_plain, sgd_gamma, sgdm, sgdm_first_gradient, heavy_ball, heavy_ball_unconverted, pytorch, coupled, coupled_steps, coupled_steps_plain, sgdm_inertial, sde, underdamped_sde, undamped_sde, closed_form");
    let well = TINY.replace(
        "[landscape.quadratic]\nspectrum = [1.0]",
        "[landscape.double_well]",
    );
    assert_snapshot!(desk.mistake_in(&well, "right = \"sgd\"", "right = \"closed_form\""), @"error: bad.toml:27:1: `compare[1].right`: is `closed_form`, but the law of the limit (51) is not known (its moments are for quadratic losses with additive noise and no compact set): state it under [[known.law]], with `function` and `mean` or `density`");
    assert_snapshot!(right("undamped_sde"), @"error: bad.toml:30:1: `compare[1].right`: is `undamped_sde`, which does not run in the slow regime; allowed: sgd, sgd_plain, sgd_gamma, sgdm, sgdm_first_gradient, heavy_ball, heavy_ball_unconverted, pytorch, coupled, sde, slow_flow, slow_sde, slow_sde_euler_maruyama, slow_sde_without_drift, slow_sde_linear_rate, slow_sde_nearest_point, closed_form");
    assert_snapshot!(right("closed_form"), @"error: bad.toml:30:1: `compare[1].right`: is `closed_form`, but the slow SDE of this landscape, noise and start has none that is known; there is one for `valley` with exponential walls and isotropic noise, `sphere` with isotropic noise, `hyperbola` with label noise; for any other state it under [[known.law]], with `function` and `mean` or `density`");
    assert_snapshot!(slow("\"sgd\"", "\"closed_form\""), @"error: bad.toml:29:1: `compare[1].left`: is `closed_form`: put the process on the left and the closed form on the right");
    assert_snapshot!(right("slow_flow"), @"error: bad.toml:30:1: `compare[1].right`: is `slow_flow`, but the noise has a tangential part at Φ(x_0) (‖PB‖/‖B‖ = 7.1e-1, at most 1e-6 is a flow): use `slow_sde`, or label noise");
    assert_snapshot!(slow("[schedule]", "[noise_scale]\npower = -0.5\n[schedule]"), @"error: bad.toml:14:1: `noise_scale.power`: is -0.5, but must be 0 in the slow regime: Theorem 5.5 has σ = 1");
    let between = |s: &str| slow("regime = \"slow\"", &format!("regime = \"slow\"\ns = {s}"));
    assert_snapshot!(between("1.5"), @"error: bad.toml:4:1: `s`: is 1.5, but must be above 0 and at most 1: t = kη^{1+s} (s = 0 is regime = \"fast\", s = 1 the slow regime of Theorem 5.5)");
    assert_snapshot!(between("0"), @"error: bad.toml:4:1: `s`: is 0, but must be above 0 and at most 1: t = kη^{1+s} (s = 0 is regime = \"fast\", s = 1 the slow regime of Theorem 5.5)");
    assert_snapshot!(between("nan"), @"error: bad.toml:4:1: `s`: is NaN, but must be above 0 and at most 1: t = kη^{1+s} (s = 0 is regime = \"fast\", s = 1 the slow regime of Theorem 5.5)");
    assert_snapshot!(between("0.5\nnoise_scale = { power = -0.5 }"), @"error: bad.toml:5:17: `noise_scale.power`: is -0.5, but must be −(1−s)/2 = -0.25 at s = 0.5, where noise moves paths along Γ at one pace for all η");
    assert_snapshot!(between("\"half\""), @r#"
    error: bad.toml:4:5: invalid type: string "half", expected a number
      |
    4 | s = "half"
      |     ^
    "#);
    assert_snapshot!(desk.mistake_in(TINY, "claim =", "s = 0.5\nclaim ="), @"error: bad.toml:2:1: `s`: is 0.5, but only the slow regime has a clock kη^{1+s}: set regime = \"slow\", or leave `s` out");
    assert_snapshot!(slow("[schedule]", "[schedule]\nlearning_rate = { cycle = [0.5, 1.0] }"), @"error: bad.toml:31:1: `compare[1].right`: `slow_sde` needs a learning rate that is a function of time (Assumption 5.3), but schedule.learning_rate changes from step to step");
}

/// Where there is no Φ(x_0), or nothing to be Γ.
#[test]
fn starts_without_a_manifold() {
    let desk = Desk::new();
    let start = |new: &str| desk.mistake_in(SLOW, "at = [2.0, 0.5]", new);
    let landscape = |new: &str| desk.mistake_in(SLOW, "[landscape.hyperbola]", new);
    // The saddle's stable manifold; the size of the gradient at its end is rounding.
    let saddle = start("at = [1.0, -1.0]");
    assert!(
        saddle.starts_with("error: bad.toml:11:1: `start.x0`: is [1, -1], which has no projection Φ(x_0): the gradient flow ended at a saddle: Hessian eigenvalue -1.000e0 (largest 1.000e0) at gradient norm ")
            && saddle.ends_with("; move the start off the saddle's stable manifold\n"),
        "{saddle}"
    );
    assert_snapshot!(landscape("[landscape.double_well]\ndimension = 2"), @r#"error: bad.toml:3:1: `regime`: is "slow", but the gradient flow from start.x0 ends at an isolated minimum (all 2 Hessian eigenvalues are positive, the smallest 1.0e0): Theorem 5.5 needs a manifold of minimizers, a Hessian of rank below 2; choose another landscape, or regime = "fast""#);
    assert_snapshot!(landscape("[landscape.quadratic]\nspectrum = [1.0, 2.0]"), @r#"error: bad.toml:3:1: `regime`: is "slow", but the gradient flow from start.x0 ends at an isolated minimum (all 2 Hessian eigenvalues are positive, the smallest 1.0e0): Theorem 5.5 needs a manifold of minimizers, a Hessian of rank below 2; choose another landscape, or regime = "fast""#);
    // x_0 inside, Φ(x_0) outside: q = x² − y² = 0, so that Φ = (1, 1).
    let outside = SLOW.replace("[2.0, 0.5]", "[2.0, 2.0]");
    assert_snapshot!(desk.mistake_in(&outside, "[schedule]", "[compact_set.ball]\ncenter = [2.0, 2.0]\nradius = 1.0\n[schedule]"), @"error: bad.toml:13:2: `compact_set`: does not contain Φ(x_0) = [1, 1], where the slow SDE starts");
    assert_snapshot!(desk.mistake("[start.x0]\nat = [1.0]", "[start]\nx0 = { at = [1.0] }\non_manifold = true"), @"error: bad.toml:12:1: `start.on_manifold`: is true, but only the slow regime has a manifold to start on");
}

/// The settings that only Regime II has.
#[test]
fn settings_of_the_slow_regime() {
    let desk = Desk::new();
    let looks = |new: &str| desk.mistake_in(SLOW, "looks = 2", new);
    assert_snapshot!(looks("looks = 64"), @"error: bad.toml:24:1: `run.looks`: is 64, but run.times = 2 times run.looks must be less than the 100 steps at η = 0.05: use fewer looks, or smaller η");
    assert_snapshot!(looks("looks = 65"), @"error: bad.toml:24:1: `run.looks`: is 65, but must be a whole number from 1 to 64");
    assert_snapshot!(looks("looks = 2\nslow_step = -1"), @"error: bad.toml:25:1: `run.slow_step`: is -1, but must be above 0 and at most 10: the coarse step of the slow SDE is slow_step · η^s");
    assert_snapshot!(looks("looks = 2\nprojection_tolerance = 1.0"), @"error: bad.toml:25:1: `run.projection_tolerance`: is 1, but must be from 1e-13 to 0.01");
    assert_snapshot!(desk.mistake_in(SLOW, "[\"x[1]\"]", "[\"x[1]\", \"recovery\"]"), @"error: bad.toml:25:22: `run.functions[2]`: `recovery` needs a landscape with a planted truth: `diagonal_network` with `sparse`, or `matrix_sensing`");
    assert_snapshot!(desk.mistake_in(SLOW, "eta_max = 0.05", "eta_max = 1.0"), @"error: bad.toml:19:1: `run.eta_max`: is 1, but must be above 0 and at most the square root of the horizon");
    assert_snapshot!(desk.mistake_in(SLOW, "etas = 3", "etas = 24"), @"error: bad.toml:20:1: `run.etas`: is 24: the smallest η would be 5.960e-9 and take 7.0e15 steps; at most 1e9 are allowed");
    assert_snapshot!(desk.mistake_in(SLOW, "horizon = 0.25\n", ""), @"error: bad.toml:16:2: `run.horizon`: is missing: the horizon T in slow time t = kη²");
}

#[test]
fn files_that_are_not_there() {
    let desk = Desk::new();
    assert_snapshot!(desk.refusal(&["run", "nothing.toml"]), @"error: `nothing.toml` is neither a file nor the name of a scenario (`slowsde list` shows the bundled ones)");
    assert_snapshot!(desk.refusal(&["run", "quadratic2d"]), @"error: `quadratic2d` is neither a file nor the name of a scenario; did you mean `quadratic_2d`?");
    assert_snapshot!(desk.refusal(&["check", "."]), @"error: `.` is a folder, not a scenario file (`slowsde list` shows the bundled ones)");
    assert_snapshot!(desk.refusal(&["run", "tiny.toml", "./tiny.toml"]), @"error: tiny.toml and ./tiny.toml have the same name `tiny`, so that the results of one would replace those of the other: rename one of the files, or run them with different --out");
    fs::write(desk.path("bytes.toml"), [0xff, 0xfe]).expect("written");
    assert_snapshot!(desk.refusal(&["check", "bytes.toml"]), @"error: bytes.toml: cannot be read: stream did not contain valid UTF-8");
}

#[test]
fn data_that_cannot_be_used() {
    let desk = Desk::new();
    desk.file("data.toml", REGRESSION);
    let missing = desk.refusal(&["run", "data.toml"]);
    assert!(
        missing.starts_with(
            "error: data.toml:5:1: `landscape.regression.file`: data.csv: cannot be read: "
        ),
        "{missing}"
    );
    desk.file("data.csv", "x,y\n1,2\n3,oops\n");
    assert_snapshot!(desk.refusal(&["run", "data.toml"]), @"error: data.toml:5:1: `landscape.regression.file`: data.csv: row 3, column `y`: `oops` is not a number");
    desk.file("data.csv", "x,y\n1,2\n3,4\n5,5\n");
    desk.command(&["check", "data.toml"]).assert().success();
}

/// A scenario with a loss, a noise factor and a test function of its own.
const OWN: &str = r#"title = "A loss of one's own"
claim = "Theorem 4.5"

[landscape.expression]
parameters = ["x", "w[1..2]"]
constants = { c = 1.0 }
loss = "0.5*(x*w[1] - c)^2 + w[2]^2"

[noise.gaussian]
factor = { expression = [["0.5"], ["0.1*x"], ["w[2]"]] }

[start]
x0 = { at = [1.0, 0.5, 0.0] }

[run]
horizon = 1.0
functions = ["x", "norm2(w)"]

[[compare]]
left = "sgdm"
right = "sgd"
expect = "consistent"
"#;

/// The line of its loss.
const LOSS: &str = r#"loss = "0.5*(x*w[1] - c)^2 + w[2]^2""#;

impl Desk {
    /// The message for `OWN` with texts replaced, beside two data files of which one has a bad cell.
    fn mistake_of_own(&self, changes: &[(&str, &str)]) -> String {
        self.file("data.csv", "s,y\n1,2\n3,oops\n");
        self.file("good.csv", "s,y,mean radius\n1,2,1\n3,4,1\n");
        let mut text = OWN.to_string();
        for (old, new) in changes {
            assert_eq!(text.matches(old).count(), 1, "{old}");
            text = text.replace(old, new);
        }
        self.file("bad.toml", &text);
        self.refusal(&["check", "bad.toml"])
    }
}

/// What is not an expression, or names nothing: the place in the file, with carets, and what is allowed.
#[test]
fn mistakes_of_spelling() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake_of_own(&[("2 + w[2]^2", "2 + w[2]^2)")]), @r#"
    error: bad.toml:7:36: `landscape.expression.loss`: this `)` closes nothing
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + w[2]^2)"
      |                                    ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("x*w[1]", "2x*w[1]")]), @r#"
    error: bad.toml:7:15: `landscape.expression.loss`: expected an operator (+ - * / ^) or `)`
      |
    7 | loss = "0.5*(2x*w[1] - c)^2 + w[2]^2"
      |               ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("- c)^2", "- c^2")]), @r#"
    error: bad.toml:7:13: `landscape.expression.loss`: this bracket is not closed; `)` is missing
      |
    7 | loss = "0.5*(x*w[1] - c^2 + w[2]^2"
      |             ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "loss = \"\"\"\n0.5*(x*w[1] - c)^2\n  + w[2]^2 + q\"\"\"")]), @r#"
    error: bad.toml:9:14: `landscape.expression.loss`: unknown name `q`. Names here: x, w[1..2], c, e, pi
      |
    9 |   + w[2]^2 + q"""
      |              ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "− w[2]²")]), @r#"
    error: bad.toml:7:28: `landscape.expression.loss`: unexpected `−`; did you mean `-`?
      |
    7 | loss = "0.5*(x*w[1] - c)^2 − w[2]²"
      |                            ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ tagret")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: unknown name `tagret`. Names here: x, w[1..2], c, e, pi
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + tagret"
      |                              ^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("{ c = 1.0 }", "{ target = 1.0 }"), ("- c)", "- tarket)")]), @r#"
    error: bad.toml:7:23: `landscape.expression.loss`: unknown name `tarket`; did you mean `target`? Names here: x, w[1..2], e, pi, target
      |
    7 | loss = "0.5*(x*w[1] - tarket)^2 + w[2]^2"
      |                       ^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ tahn(w[2])")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: unknown function `tahn`; did you mean `tanh`? Functions: exp, log, sqrt, sin, cos, tanh, sigmoid, softplus, sum, dot, norm2
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + tahn(w[2])"
      |                              ^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ abs(w[2])")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: `abs` is not smooth, and the theorems need derivatives; write `sqrt(x^2 + c^2)` with a small c
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + abs(w[2])"
      |                              ^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ w[3]^2")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: `w` has 2 entries, w[1] to w[2]
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + w[3]^2"
      |                              ^^^^
    "#);
}

/// Vectors where a number must be, and numbers that are none.
#[test]
fn expressions_that_are_no_numbers() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ w")]), @r#"
    error: bad.toml:7:9: `landscape.expression.loss`: is a vector of length 2, but must be a number; `sum`, `dot` and `norm2` make numbers of vectors
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + w"
      |         ^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ dot(w, w[1..1])")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: `dot` of vectors of lengths 2 and 1: both must be equally long
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + dot(w, w[1..1])"
      |                              ^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ x/(c - 1)")]), @r#"
    error: bad.toml:7:32: `landscape.expression.loss`: division by zero
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + x/(c - 1)"
      |                                ^^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ exp(1e9)")]), @r#"
    error: bad.toml:7:30: `landscape.expression.loss`: is inf for all parameters: not a finite number
      |
    7 | loss = "0.5*(x*w[1] - c)^2 + exp(1e9)"
      |                              ^^^^^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "loss = 3")]), @"
    error: bad.toml:7:8: invalid type: integer `3`, expected a text in quotes
      |
    7 | loss = 3
      |        ^
    ");
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ log(w[2])")]), @"error: bad.toml:13:1: `start.x0`: has loss -inf, but the loss must be finite where the paths start");
    assert_snapshot!(desk.mistake_of_own(&[("+ w[2]^2", "+ sqrt(w[2])")]), @"error: bad.toml:13:1: `start.x0`: has ∂L/∂x[3] = inf, but the gradient must be finite where the paths start");
    assert_snapshot!(desk.mistake_of_own(&[("[1.0, 0.5, 0.0]", "[1.0, 0.5]")]), @"error: bad.toml:13:8: `start.x0.at`: has 2 entries, but the landscape has 3 parameters");
}

/// Parameters, constants and the four forms of a loss.
#[test]
fn declarations_that_do_not_fit() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake_of_own(&[("\"w[1..2]\"", "\"w[2]\"")]), @r#"
    error: bad.toml:5:21: `landscape.expression.parameters[2]`: is not a parameter; allowed: a name such as `x`, or a vector such as `w[1..20]`, counted from 1
      |
    5 | parameters = ["x", "w[2]"]
      |                     ^^^^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("\"w[1..2]\"", "\"x\"")]), @r#"
    error: bad.toml:5:21: `landscape.expression.parameters[2]`: `x` is declared twice
      |
    5 | parameters = ["x", "x"]
      |                     ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("{ c = 1.0 }", "{ c = nan }")]), @"error: bad.toml:6:15: `landscape.expression.constants.c`: is NaN, but must be a finite number");
    assert_snapshot!(desk.mistake_of_own(&[("{ c = 1.0 }", "{ exp = 1.0 }")]), @"error: bad.toml:6:15: `landscape.expression.constants.exp`: `exp` is a function; take another name");
    assert_snapshot!(desk.mistake_of_own(&[("{ c = 1.0 }", "{ c = \"1\" }")]), @r#"
    error: bad.toml:6:19: invalid type: string "1", expected a number
      |
    6 | constants = { c = "1" }
      |                   ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "loss = \"0.5*(x*w[1] - c)^2 + w[2]^2\"\nresiduals = [\"x\"]")]), @"error: bad.toml:4:12: `landscape.expression`: needs exactly one of `loss`, `residuals`, `sample_loss` and `sample_residual`");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "")]), @"error: bad.toml:4:12: `landscape.expression`: needs exactly one of `loss`, `residuals`, `sample_loss` and `sample_residual`");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "residuals = [\"x - 1\", \"x*z\"]")]), @r#"
    error: bad.toml:7:26: `landscape.expression.residuals[2]`: unknown name `z`. Names here: x, w[1..2], c, e, pi
      |
    7 | residuals = ["x - 1", "x*z"]
      |                          ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "residuals = []")]), @"error: bad.toml:7:1: `landscape.expression.residuals`: is empty; write at least one residual");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "loss = \"0.5*(x*w[1] - c)^2 + w[2]^2\"\nfile = \"good.csv\"")]), @"error: bad.toml:8:1: `landscape.expression.file`: is for losses over the rows of a file: write `sample_loss` or `sample_residual`");
    assert_snapshot!(desk.mistake_of_own(&[("[noise.gaussian]\nfactor = { expression = [[\"0.5\"], [\"0.1*x\"], [\"w[2]\"]] }", "[noise.label]\ndeviation = 0.5\nlaw = \"gaussian\"")]), @r#"error: bad.toml:9:8: `noise.label`: needs a landscape that averages squared losses: `regression` with loss = "least_squares", `linear_regression`, `hyperbola`, `diagonal_network`, `matrix_sensing`, `two_layer_network`, or `expression` with `residuals` or `sample_residual`"#);
}

/// Files, columns, rows and cells, at the key that asks for them.
#[test]
fn data_for_expressions() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_loss = \"x*s - w[1]*y\"")]), @"error: bad.toml:7:1: `landscape.expression.sample_loss`: needs `file`, a CSV file with a header, and `columns`, the names in it that the text uses");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s - w[1]*y\"\nfile = \"data.csv\"\ncolumns = [\"s\", \"y\"]")]), @"error: bad.toml:8:1: `landscape.expression.file`: data.csv: row 3, column `y`: `oops` is not a number");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s - w[1]*z\"\nfile = \"good.csv\"\ncolumns = [\"s\", \"z\"]")]), @"error: bad.toml:9:17: `landscape.expression.columns[2]`: good.csv: no column `z`; did you mean `s`? Columns: s, y, mean radius");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s - w[1]*y\"\nfile = \"good.csv\"\ncolumns = [\"s\"]")]), @r#"
    error: bad.toml:7:31: `landscape.expression.sample_residual`: unknown name `y`. Names here: x, w[1..2], s, c, e, pi
      |
    7 | sample_residual = "x*s - w[1]*y"
      |                               ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s - w[1]*y\"\nfile = \"good.csv\"\ncolumns = [\"s\", \"y\", \"x\"]")]), @"error: bad.toml:9:22: `landscape.expression.columns[3]`: `x` is declared twice");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s\"\nfile = \"good.csv\"\ncolumns = [\"s\", \"mean radius\"]")]), @"error: bad.toml:9:17: `landscape.expression.columns[2]`: `mean radius` is not a name; a name has letters a–z, digits and _, and does not start with a digit; rename the column in the header of the file");
    assert_snapshot!(desk.mistake_of_own(&[(LOSS, "sample_residual = \"x*s - w[1]*y\"\nfile = \"good.csv\"\ncolumns = [\"s\", \"y\"]\nrows = 9")]), @"error: bad.toml:10:1: `landscape.expression.rows`: good.csv: `rows` asks for 9, allowed: 1 to 2");
    let missing = desk.mistake_of_own(&[(
        LOSS,
        "sample_residual = \"x*s - w[1]*y\"\nfile = \"none.csv\"\ncolumns = [\"s\", \"y\"]",
    )]);
    assert!(
        missing.starts_with(
            "error: bad.toml:8:1: `landscape.expression.file`: none.csv: cannot be read: "
        ),
        "{missing}"
    );
}

/// Noise factors of a wrong shape or with a mistake in an entry; test functions.
#[test]
fn factors_and_functions_that_do_not_fit() {
    let desk = Desk::new();
    assert_snapshot!(desk.mistake_of_own(&[("[[\"0.5\"], [\"0.1*x\"], [\"w[2]\"]]", "[[\"0.5\"], [\"0.1*x\"]]")]), @"error: bad.toml:10:12: `noise.gaussian.factor.expression`: has 2 rows, but must have 3, one for each parameter, with at least one entry");
    assert_snapshot!(desk.mistake_of_own(&[("[\"0.1*x\"]", "[\"0.1*x\", \"1\"]")]), @"error: bad.toml:10:35: `noise.gaussian.factor.expression[2]`: has 2 entries, but row 1 has 1");
    assert_snapshot!(desk.mistake_of_own(&[("\"0.1*x\"", "\"0.1*z\"")]), @r#"
    error: bad.toml:10:41: `noise.gaussian.factor.expression[2][1]`: unknown name `z`. Names here: x, w[1..2], c, e, pi
       |
    10 | factor = { expression = [["0.5"], ["0.1*z"], ["w[2]"]] }
       |                                         ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("[[\"0.5\"], [\"0.1*x\"], [\"w[2]\"]]", "[]")]), @"error: bad.toml:10:12: `noise.gaussian.factor.expression`: has 0 rows, but must have 3, one for each parameter, with at least one entry");
    assert_snapshot!(desk.mistake_of_own(&[("\"0.1*x\"", "0.1")]), @r#"
    error: bad.toml:10:36: invalid type: floating point `0.1`, expected a text in quotes
       |
    10 | factor = { expression = [["0.5"], [0.1], ["w[2]"]] }
       |                                    ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("\"norm2(w)\"", "\"norm2(v)\"")]), @r#"
    error: bad.toml:17:26: `run.functions[2]`: unknown name `v`. Names here: x, w[1..2], c, e, pi; by name: norm2, loss, trace_hessian, gradient_norm2, trace_covariance, recovery, step[i], path_length, variation(loss), descent, noise_induced, curvature_induced, descent_defect, momentum_norm2, momentum2, lag2, gradient_lag2, distance2, fluctuation2, excess_loss, normal_gradient2, gradient_momentum, projected_gradient2, tangential_gradient2, projected_velocity2
       |
    17 | functions = ["x", "norm2(v)"]
       |                          ^
    "#);
    assert_snapshot!(desk.mistake_of_own(&[("\"norm2(w)\"", "\"max(x, w[1])\"")]), @r#"
    error: bad.toml:17:20: `run.functions[2]`: `max` is not smooth, and the theorems need derivatives; write `softplus(b*(x - y))/b + y` with a large b
       |
    17 | functions = ["x", "max(x, w[1])"]
       |                    ^^^
    "#);
}

#[test]
fn changes_from_the_command_line() {
    let desk = Desk::new();
    let set = |text: &str| desk.refusal(&["run", "tiny.toml", "--set", text]);
    assert_snapshot!(set("run.paths"), @"error: --set run.paths: write it as key=value, for example run.paths=1000");
    assert_snapshot!(set(".paths=1"), @"error: --set .paths=1: the key has an empty part");
    assert_snapshot!(set("run.alphas=[0.1"), @r#"error: --set run.alphas=[0.1: the value is not TOML: a number, true, false, a word, "text", [list] or { table }"#);
    assert_snapshot!(set("run.paths.x=1"), @"error: --set run.paths.x=1: `paths` is not a table of the scenario");
    assert_snapshot!(set("compare[2].expect=refuted"), @"error: --set compare[2].expect=refuted: `compare[2]` is not a table of the scenario");
    assert_snapshot!(set("run.etas=99"), @"error: tiny.toml (with --set):20:1: `run.etas`: is 99, but must be a whole number from 1 to 24");
    assert_snapshot!(set("run.paths=abc"), @r#"
    error: tiny.toml (with --set):21:9: invalid type: string "abc", expected a whole number ≥ 0
       |
    21 | paths = "abc"
       |         ^
    "#);
    for arguments in [
        ["--threads", "0"],
        ["--seed", "-1"],
        ["--profile", "quik"],
        ["--speed", "1"],
    ] {
        let message = desk.refusal(&["run", "tiny.toml", arguments[0], arguments[1]]);
        assert!(
            message.starts_with("error: ") && message.contains(arguments[0]),
            "{message}"
        );
    }
    let check = desk.refusal(&["check"]);
    assert!(check.contains("<FILE>"), "{check}");
    let both = desk.refusal(&["run", "tiny.toml", "--all"]);
    assert!(both.contains("cannot be used with"), "{both}");
}

/// A file where a folder should be: refused for every user, root included, before anything is simulated.
#[test]
fn output_folders_that_cannot_be_written() {
    let desk = Desk::new();
    desk.file("taken", "a file");
    // Hours of simulation, were it to start.
    let long = [
        "run",
        "tiny.toml",
        "--set",
        "run.paths=10000000000",
        "--out",
    ];
    let refused = |out: &str| {
        let mut arguments = long.to_vec();
        arguments.push(out);
        desk.refusal(&arguments)
    };
    let message = refused("taken");
    assert!(
        message.starts_with("error: output folder: taken: cannot be created: "),
        "{message}"
    );
    fs::create_dir_all(desk.path("mine/tiny")).expect("created");
    desk.file("mine/tiny/precious", "data");
    assert_snapshot!(refused("mine"), @"error: output folder: mine/tiny: is not a folder of slowsde results (it has no result.json) and will not be replaced; choose another folder with --out");
    assert_eq!(names(&desk.path("mine/tiny")), ["precious"]);
}

#[cfg(unix)]
#[test]
fn read_only_output_folders() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let folder = desk.path("locked");
    fs::create_dir(&folder).expect("created");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("set");
    if fs::write(folder.join("probe"), "").is_ok() {
        return; // Permissions do not bind root; the test above covers it.
    }
    let message = desk.refusal(&["run", "tiny.toml", "--out", "locked"]);
    assert!(
        message.contains("locked: cannot be written to: "),
        "{message}"
    );
}

#[test]
fn a_run_writes_everything_and_exits_with_0() {
    let desk = Desk::new();
    for _again in 0..2 {
        desk.command(&["run", "tiny.toml", "--threads", "2", "--seed", "7"])
            .assert()
            .code(0)
            .stdout(
                predicate::str::contains("sgdm~sgd α=0  ✓ consistent")
                    .and(predicate::str::contains(
                        "1 scenario, 1 verdict, all as expected; ",
                    ))
                    .and(predicate::str::contains("report in output/"))
                    .and(predicate::str::contains("\u{1b}").not()),
            )
            .stderr("");
        assert_eq!(
            names(&desk.path("output")),
            [".slowsde.lock", "report.html", "summary.json", "tiny"]
        );
        assert_eq!(
            names(&desk.path("output/tiny")),
            [
                "errors.csv",
                "exact.csv",
                "figures",
                "laws.csv",
                "limits.csv",
                "moments.csv",
                "orders.csv",
                "quantiles.csv",
                "result.json",
                "slopes.csv",
                "statistics.npz"
            ]
        );
    }
    let text = fs::read_to_string(desk.path("output/tiny/result.json")).expect("read");
    let result: ScenarioResult = serde_json::from_str(&text).expect("result");
    assert_eq!(serde_json::to_string(&result).expect("written"), text);
    assert_eq!(
        (result.scenario.seed, result.scenario.profile.as_str()),
        (7, "quick")
    );

    let text = fs::read_to_string(desk.path("output/summary.json")).expect("read");
    let summary: Summary = serde_json::from_str(&text).expect("summary");
    assert!(summary.as_expected && summary.interrupted.is_empty());
    assert_eq!(summary.profile, "quick");
    assert_eq!(summary.scenarios[0].seed, 7);
    assert_eq!(summary.scenarios[0].path_steps, result.effort.path_steps);
    assert_eq!(
        summary.scenarios[0].verdicts[0].limit,
        result.comparisons[0].limit
    );

    // Tables hold the numbers of the result, digit for digit.
    let mut errors = csv::Reader::from_path(desk.path("output/tiny/errors.csv")).expect("read");
    let points = &result.comparisons[0].functions[0].errors;
    let rows: Vec<csv::StringRecord> = errors.records().collect::<Result<_, _>>().expect("rows");
    assert_eq!(rows.len(), points.len());
    for (row, point) in rows.iter().zip(points) {
        assert_eq!(row[0], *"sgdm~sgd α=0");
        assert_eq!(row[3].parse(), Ok(point.eta));
        assert_eq!(row[4].parse(), Ok(point.error.value));
    }
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            let inner = files(&path).into_iter();
            all.extend(inner.map(|(n, bytes)| (format!("{name}/{n}"), bytes)));
        } else {
            all.push((name, fs::read(path).expect("read")));
        }
    }
    all
}

/// Figures, tables and the report are pure functions of the stored result.
#[test]
fn plotting_again_gives_the_same_bytes() {
    let desk = Desk::new();
    desk.file(
        "other.toml",
        &SLOW.replace("A short slow run", "Another <one> & 'more'"),
    );
    desk.command(&["run", "tiny.toml", "other.toml", "-q"])
        .assert()
        .code(predicate::in_iter([0, 1]));
    let run = files(&desk.path("output"));
    assert!(
        run.iter()
            .any(|(name, _)| name == "other/figures/cloud.gif")
    );
    let spoilt = [
        "output/tiny/figures/limits.svg",
        "output/tiny/errors.csv",
        "output/report.html",
    ];
    let again = |arguments: &[&str]| {
        for path in spoilt {
            fs::write(desk.path(path), "spoilt").expect("written");
        }
        desk.command(arguments)
            .assert()
            .code(0)
            .stdout(predicate::str::contains("report in output/report.html"))
            .stderr("");
        let now = files(&desk.path("output"));
        let names = |all: &[(String, Vec<u8>)]| all.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&now), names(&run));
        for ((name, before), (_, after)) in run.iter().zip(&now) {
            assert!(before == after, "{name} differs");
        }
    };
    // One scenario: the report still shows the whole run.
    again(&["plot", "output/tiny"]);
    again(&[
        "plot",
        "output/tiny/result.json",
        "output/tiny/",
        "--threads",
        "1",
    ]);
    again(&["plot", "output"]);
}

/// Elsewhere: nothing beside the stored results changes, and the new folder can be plotted itself.
#[test]
fn plotting_to_another_folder() {
    let desk = Desk::new();
    desk.command(&["run", "tiny.toml", "-q"])
        .assert()
        .code(predicate::in_iter([0, 1]));
    let run = files(&desk.path("output"));
    desk.command(&[
        "plot",
        "output/tiny",
        "--out",
        "paper",
        "--format=svg",
        "--width=single",
    ])
    .assert()
    .code(0)
    .stdout(predicate::str::contains("report in paper/report.html"))
    .stderr("");
    assert!(
        run == files(&desk.path("output")),
        "the stored results changed"
    );
    let stored = |folder: &str| fs::read(desk.path(folder).join("tiny/result.json")).expect("read");
    assert!(stored("paper") == stored("output"));
    let paper = files(&desk.path("paper"));
    let has = |ending: &str| paper.iter().any(|(name, _)| name.ends_with(ending));
    assert!(has("tiny/figures/limits.svg") && has("tiny/errors.csv") && !has(".png"));
    let report = |folder: &str| fs::read(desk.path(folder).join("report.html")).expect("read");
    assert!(report("paper") == report("output"));
    desk.command(&["plot", "paper", "-q"]).assert().code(0);
    desk.command(&["plot", "output", "paper", "--out", "both"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "output/tiny and paper/tiny have the same name",
        ));
    assert!(!desk.path("both").exists());
}

/// For programs: JSON alone on standard output.
#[test]
fn json_for_programs() {
    let desk = Desk::new();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = desk
            .command(arguments)
            .assert()
            .code(0)
            .get_output()
            .clone();
        serde_json::from_slice(&output.stdout).expect("JSON alone")
    };
    let summary = json(&["run", "tiny.toml", "--json"]);
    let stored = fs::read(desk.path("output/summary.json")).expect("read");
    let stored: serde_json::Value = serde_json::from_slice(&stored).expect("JSON");
    assert_eq!(summary, stored);
    assert_eq!(
        summary["scenarios"][0]["verdicts"][0]["verdict"],
        "consistent"
    );
    let plotted = json(&["plot", "output/tiny", "--json", "--format=svg"]);
    assert_eq!(plotted[0]["report"], "output/report.html");
    assert_eq!(plotted[0]["scenarios"][0], "tiny");
    let checked = json(&["check", "tiny.toml", "--json"]);
    assert_eq!(checked[0]["expected"][0], "consistent");
    assert_eq!(
        json(&["list", "--json"]).as_array().map(Vec::len),
        Some(Source::bundled_names().len())
    );
    let refused = Desk::new().refusal(&["project", "hyperbola", "--at=1,1", "--json"]);
    assert!(
        refused.contains("allowed with run, calibrate, plot, list and check"),
        "{refused}"
    );
}

/// A small calibration study at the quick profile, seeds 1 to 12: true claims beside a control. With a false refutation in 1 % of all
/// seeds at most, more than two in 12 would come once in 5000 studies; a control that is refuted in 95 % fails more than three times
/// once in 450. The seeds are fixed.
#[test]
fn verdicts_are_calibrated() {
    let desk = Desk::new();
    let arguments = [
        "calibrate",
        "control_plain_rates",
        "control_alpha_one",
        "--seeds",
        "12",
        "--json",
        "-q",
    ];
    let output = desk.command(&arguments).assert().get_output().clone();
    let study: Calibration = serde_json::from_slice(&output.stdout).expect("JSON alone");
    let stored = fs::read(desk.path("output/calibration.json")).expect("read");
    let stored: serde_json::Value = serde_json::from_slice(&stored).expect("JSON");
    assert_eq!(serde_json::to_value(&study).expect("JSON"), stored);
    assert_eq!((study.seeds, study.completed), (12, 12));
    assert_eq!(study.comparisons.len(), 5);
    for rates in &study.comparisons {
        assert_eq!(rates.seeds(), 12);
        match rates.expected {
            Verdict::Refuted => assert!(rates.refuted >= 9, "{rates:?}"),
            _ => assert!(rates.refuted <= 2, "{rates:?}"),
        }
    }
    // Expecting the opposite is found out, and the seeds are named.
    let wrong = [
        "calibrate",
        "control_alpha_one",
        "--seeds",
        "2",
        "--set",
        "compare[1].expect=consistent",
    ];
    let table = desk.command(&wrong).assert().code(1).get_output().clone();
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("contradicted at seeds 1, 2"), "{table}");
    assert!(table.contains("✗ 100.0"), "{table}");
    let refused = Desk::new().refusal(&["calibrate", "--seed", "3"]);
    assert_snapshot!(refused.trim_end(), @"error: --seed: `calibrate` runs the seeds 1 to N of --seeds N");
}

#[test]
fn figures_come_in_formats_and_widths() {
    let desk = Desk::new();
    desk.command(&["run", "tiny.toml", "-q"]).assert().code(0);
    let figures = || names(&desk.path("output/tiny/figures"));
    let all = figures();
    desk.command(&["plot", "output/tiny", "--format", "svg,pdf", "-q"])
        .assert()
        .code(0)
        .stdout("");
    assert!(
        figures()
            .iter()
            .all(|n| n.ends_with(".svg") || n.ends_with(".pdf"))
    );
    let png = all.iter().filter(|n| n.ends_with(".png")).count();
    assert_eq!(figures().len(), all.len() - png);
    for (width, inches) in [("single", "3.4000in"), ("double", "7.0000in")] {
        desk.command(&["plot", "output/tiny", "--format=svg", "--width", width])
            .assert()
            .code(0);
        for name in figures() {
            let path = desk.path("output/tiny/figures").join(&name);
            let svg = fs::read_to_string(path).expect("read");
            assert!(
                svg.starts_with(&format!("<svg width=\"{inches}\"")),
                "{name}"
            );
        }
    }
}

#[test]
fn results_that_cannot_be_plotted() {
    let desk = Desk::new();
    assert_snapshot!(desk.refusal(&["plot", "nothing"]), @"error: `nothing`: has no result.json: name the folder of a scenario (output/quadratic_2d) or an output folder (output)");
    let refused = |text: &str| {
        fs::create_dir_all(desk.path("old/tiny")).expect("created");
        fs::write(desk.path("old/tiny/result.json"), text).expect("written");
        let message = desk.refusal(&["plot", "old/tiny"]);
        assert_eq!(names(&desk.path("old")), ["tiny"], "nothing may be written");
        let root = desk.folder.path().canonicalize().expect("a path");
        message.replace(&format!("{}/", root.display()), "")
    };
    assert_snapshot!(refused(r#"{"schema":2,"version":"0.0.9","scenario":{}}"#), @"error: old/tiny/result.json: has schema 2, written by slowsde 0.0.9; this slowsde 0.1.0 reads schema 5: run the scenario again");
    assert_snapshot!(refused(r#"{"schema":5,"version":"0.1.0","scen"#), @"error: old/tiny/result.json: is not a result of slowsde: EOF while parsing a string at line 1 column 35; run the scenario again");
    assert_snapshot!(refused(r#"{"schema":5,"version":"0.1.0"}"#), @"error: old/tiny/result.json: is not a result of slowsde: missing field `scenario` at line 1 column 30; run the scenario again");
    let format = desk.refusal(&["plot", "old/tiny", "--format", "jpg"]);
    assert!(
        format.contains("possible values: svg, png, pdf, gif"),
        "{format}"
    );
}

#[test]
fn the_numbers_do_not_depend_on_the_threads_but_on_the_seed() {
    let desk = Desk::new();
    let numbers = |threads: &str, seed: &str| {
        desk.command(&[
            "run",
            "tiny.toml",
            "-q",
            "--threads",
            threads,
            "--seed",
            seed,
        ])
        .assert()
        .code(0);
        fs::read_to_string(desk.path("output/tiny/moments.csv")).expect("read")
    };
    let one = numbers("1", "5");
    assert_eq!(one, numbers("3", "5"));
    assert_ne!(one, numbers("1", "6"));
}

/// Regime II from the file to the result, whatever the verdict: three learning rates and 128 paths need not decide.
#[test]
fn a_slow_scenario_runs_alike_on_any_number_of_threads() {
    let desk = Desk::new();
    desk.file("slow.toml", SLOW);
    let result = |threads: &str| -> ScenarioResult {
        desk.command(&["run", "slow.toml", "-q", "--threads", threads])
            .assert()
            .code(predicate::in_iter([0, 1]));
        let text = fs::read_to_string(desk.path("output/slow/result.json")).expect("read");
        let result = serde_json::from_str(&text).expect("result");
        assert_eq!(serde_json::to_string(&result).expect("written"), text);
        result
    };
    let (one, three) = (result("1"), result("3"));
    assert!(!one.comparisons[0].distances.is_empty());
    let numbers = |r: &ScenarioResult| serde_json::to_string(&r.comparisons).expect("written");
    assert_eq!(numbers(&one), numbers(&three));
}

#[test]
fn an_unexpected_verdict_exits_with_1_and_gives_its_reason() {
    let desk = Desk::new();
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "tiny.toml", "--quiet"];
        arguments.extend(more);
        desk.command(&arguments)
    };
    let contradicting = ["--set", "compare[1].expect=refuted"];
    for profile in ["quick", "smoke"] {
        let mut arguments = contradicting.to_vec();
        arguments.extend(["--profile", profile]);
        run(&arguments).assert().code(1).stdout(
            predicate::str::contains(
                "✗ tiny, sgdm~sgd α=0: consistent, expected refuted: as η → 0",
            )
            .and(predicate::str::contains("1 not as expected")),
        );
    }
    // Two learning rates have no limit: inconclusive, which smoke allows.
    let open = ["--set", "run.etas=2"];
    run(&open).assert().code(1);
    let mut arguments = open.to_vec();
    arguments.extend(["--profile", "smoke"]);
    run(&arguments)
        .assert()
        .code(0)
        .stdout(predicate::str::contains(
            "1 inconclusive (allowed at smoke)",
        ));
    let text = fs::read_to_string(desk.path("output/summary.json")).expect("read");
    let summary: Summary = serde_json::from_str(&text).expect("summary");
    assert!(summary.as_expected && !summary.scenarios[0].verdicts[0].as_expected);
}

/// Without noise the statistics have no spread and some numbers do not exist: they must come back all the same.
#[test]
fn results_without_noise_come_back_too() {
    let desk = Desk::new();
    desk.command(&["run", "tiny.toml", "--set", "noise_scale.factor=0.0", "-q"])
        .assert()
        .code(predicate::in_iter([0, 1]));
    let text = fs::read_to_string(desk.path("output/tiny/result.json")).expect("read");
    let result: ScenarioResult = serde_json::from_str(&text).expect("result");
    assert_eq!(serde_json::to_string(&result).expect("written"), text);
}

#[test]
fn every_bundled_scenario_is_valid_and_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files: Vec<String> = names(&folder)
        .into_iter()
        .filter(|n| n.ends_with(".toml"))
        .collect();
    let bundled: Vec<String> = Source::bundled_names()
        .iter()
        .map(|n| format!("{n}.toml"))
        .collect();
    assert_eq!(
        files, bundled,
        "the binary must hold the folder's scenarios"
    );
    // From a folder without scenarios: the embedded ones, the same texts as the files, which are read in the source tree.
    let desk = Desk::new();
    for (profile, here) in [
        ("smoke", None),
        ("quick", None),
        ("full", None),
        ("quick", Some(env!("CARGO_MANIFEST_DIR"))),
    ] {
        let mut arguments = vec!["check", "--profile", profile];
        arguments.extend(files.iter().map(String::as_str));
        let mut command = desk.command(&arguments);
        if let Some(folder) = here {
            command.current_dir(folder);
        }
        command.assert().code(0);
    }
    let list = desk
        .command(&["list"])
        .assert()
        .code(0)
        .get_output()
        .clone();
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    for name in Source::bundled_names() {
        assert!(list.contains(&name[..name.len().min(8)]), "{name}: {list}");
    }
}

/// A run without files leaves the companion out, `--all` does not; here with quick scenarios in place of the bundled ones.
#[test]
fn the_companion_runs_on_demand() {
    let desk = Desk::new();
    fs::create_dir(desk.path("scenarios")).expect("created");
    let companion = TINY.replacen("title", "suite = \"companion\"\ntitle", 1);
    let bundled = Source::bundled_names();
    for (i, name) in bundled.iter().enumerate() {
        let text = if i < 2 { TINY } else { &companion };
        desk.file(&format!("scenarios/{name}.toml"), text);
    }
    for arguments in [vec![], vec!["run"]] {
        let mut short = arguments.clone();
        short.extend(["--profile", "smoke", "-q", "--set", "run.early_times=0"]);
        desk.command(&short).assert().code(0);
        let mut folders = names(&desk.path("output"));
        folders.retain(|n| !n.contains('.'));
        assert_eq!(folders, bundled[..2], "{arguments:?}");
    }
    // What cannot be written is refused before anything runs: only `--all` and the name itself want this place.
    desk.file(&format!("output/{}", bundled[2]), "taken");
    for arguments in [["run", "--all"], ["run", bundled[2]]] {
        let output = desk.command(&arguments).assert().code(2);
        let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(message.contains(bundled[2]), "{message}");
    }
    let list = desk.command(&["list"]).output().expect("listed");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(list.ends_with("* run --all only\n"), "{list}");
}

/// `docs/paper.md` is what the scenarios' headers make, and every scenario stands in it.
#[test]
fn the_map_of_the_paper_is_current() {
    let desk = Desk::new();
    let output = desk.command(&["list", "--paper"]).assert().code(0);
    let map = String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8");
    let stored = include_str!("../docs/paper.md");
    assert!(
        map == stored,
        "docs/paper.md is stale: cargo run --release -- list --paper > docs/paper.md"
    );
    for name in Source::bundled_names() {
        let link = format!("[{name}](../scenarios/{name}.toml)");
        assert!(map.contains(&link), "{name} names no item of the paper");
    }
}

#[test]
fn an_edited_copy_in_the_scenarios_folder_wins() {
    let desk = Desk::new();
    let name = Source::bundled_names()[0];
    fs::create_dir(desk.path("scenarios")).expect("created");
    desk.file(&format!("scenarios/{name}.toml"), "title = 1");
    assert_snapshot!(desk.refusal(&["check", name]).replace(name, "NAME"), @"
    error: scenarios/NAME.toml:1:9: invalid type: integer `1`, expected a text in quotes
      |
    1 | title = 1
      |         ^
    ");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_reports_what_it_completed_and_leaves_no_partial_folder() {
    let desk = Desk::new();
    desk.file("later.toml", TINY);
    desk.file(
        "endless.toml",
        &TINY.replace("paths = 512\nmax_paths = 512", "paths = 100000000000"),
    );
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("slowsde"))
        .current_dir(desk.folder.path())
        .args(["run", "tiny.toml", "endless.toml", "later.toml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !desk.path("output/tiny/result.json").exists() {
        assert!(Instant::now() < deadline, "the first scenario must end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .expect("sent");
    assert!(killed.success());
    // A run that did not stop would go on for days.
    while child.try_wait().expect("watched").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
            panic!("the run must stop at the next block");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("ended");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        text.contains("Interrupted. Completed: tiny. Not completed: endless, later."),
        "{text}"
    );
    assert_eq!(
        names(&desk.path("output")),
        [".slowsde.lock", "report.html", "summary.json", "tiny"]
    );
    let page = fs::read_to_string(desk.path("output/report.html")).expect("read");
    assert!(page.contains("Not completed: endless, later.") && page.contains("A tiny quadratic"));
    let text = fs::read_to_string(desk.path("output/summary.json")).expect("read");
    let summary: Summary = serde_json::from_str(&text).expect("summary");
    assert_eq!(summary.interrupted, ["endless", "later"]);
    assert_eq!(summary.scenarios.len(), 1);
}

/// `slowsde new`: the file is there, valid at every profile, and its verdicts at smoke are those it expects.
#[test]
fn new_scenarios_are_written_and_hold() {
    let desk = Desk::new();
    fs::remove_file(desk.path("tiny.toml")).expect("removed");
    let output = desk.command(&["new", "mine"]).assert().code(0).stderr("");
    assert_snapshot!(String::from_utf8_lossy(&output.get_output().stdout), @"
    mine.toml: written. Next:
      edit it: the loss, its noise, the test functions
      slowsde check mine.toml
      slowsde run mine.toml --profile smoke
      slowsde run mine.toml
    ");
    desk.command(&["new", "my slow loss.toml", "--slow"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains(
            "  slowsde check \"my slow loss.toml\"\n",
        ));
    let files = ["mine.toml", "my slow loss.toml"];
    assert_eq!(names(desk.folder.path()), files);
    for profile in ["smoke", "quick", "full"] {
        desk.command(&["check", files[0], files[1], "--profile", profile])
            .assert()
            .code(0);
    }
    desk.command(&["run", files[0], files[1], "--profile", "smoke"])
        .assert()
        .code(0);
    let text = fs::read_to_string(desk.path("output/summary.json")).expect("read");
    let summary: Summary = serde_json::from_str(&text).expect("summary");
    for scenario in &summary.scenarios {
        for verdict in &scenario.verdicts {
            assert!(verdict.as_expected, "{}: {}", scenario.name, verdict.reason);
        }
    }
    assert_eq!(summary.scenarios.len(), 2);
}

#[test]
fn new_refuses_what_would_do_harm() {
    let desk = Desk::new();
    assert_snapshot!(desk.refusal(&["new", "tiny"]), @"error: tiny.toml: exists already and will not be replaced; take another name, or move the file away");
    assert_eq!(
        fs::read_to_string(desk.path("tiny.toml")).expect("read"),
        TINY
    );
    assert_snapshot!(desk.refusal(&["new", "folder/mine"]), @"error: `folder/mine` has a path in it, but `new` writes into the current directory: go to the folder first, and give a name only");
    assert_snapshot!(desk.refusal(&["new", "..\\mine.toml"]), @r"error: `..\mine.toml` has a path in it, but `new` writes into the current directory: go to the folder first, and give a name only");
    for name in [
        "", ".toml", ".hidden", "a\"b", "a\nb", "mine.", "--", "mine ",
    ] {
        let message = desk.refusal(&["new", "--", name]);
        assert!(
            message.contains("cannot be the name of a scenario; allowed: letters"),
            "{message}"
        );
    }
    assert_snapshot!(desk.refusal(&["new", "hyperbola"]), @"error: `hyperbola` is the name of a bundled scenario, whose results it would replace; take another name");
    assert_eq!(names(desk.folder.path()), ["tiny.toml"]);
}

#[cfg(unix)]
#[test]
fn new_in_a_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let folder = desk.path("locked");
    fs::create_dir(&folder).expect("created");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("set");
    if fs::write(folder.join("probe"), "").is_ok() {
        return; // Permissions do not bind root.
    }
    let mut command = desk.command(&["new", "mine"]);
    let output = command.current_dir(&folder).assert().code(2);
    let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        message.starts_with("error: mine.toml: cannot be written in the current directory: "),
        "{message}"
    );
}

/// The lines of a template that begin with `#` and no space, in groups, each with the comment before it.
fn alternatives(text: &str) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = vec![];
    let mut comment = String::new();
    let mut open = false;
    for (i, line) in text.lines().enumerate() {
        let commented = line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
        match (commented, open) {
            (true, true) => groups.last_mut().expect("a group").1.push(i),
            (true, false) => groups.push((std::mem::take(&mut comment), vec![i])),
            (false, _) => comment = line.strip_prefix("# ").unwrap_or_default().to_string(),
        }
        open = commented;
    }
    groups
}

/// Takes the `#` from a group and puts one before what its comment says that it replaces, and the groups that it needs.
fn with_alternative(text: &str, groups: &[(String, Vec<usize>)], chosen: usize) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let quoted = |part: &str| -> Vec<String> {
        let names = part.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    let mut wanted = vec![chosen];
    let (comment, _) = &groups[chosen];
    if let Some((_, needs)) = comment.split_once(", for ") {
        for name in quoted(needs.split(':').next().unwrap_or_default()) {
            let needed = groups.iter().position(|(_, at)| {
                text.lines().nth(at[0]).unwrap_or_default()[1..].starts_with(&name)
            });
            wanted.push(needed.expect("the alternative that is needed"));
        }
    }
    for group in wanted {
        let (comment, at) = &groups[group];
        let replaced = comment.strip_prefix("Instead of ").unwrap_or_default();
        let replaced = replaced.split([',', ':']).next().unwrap_or_default();
        for name in quoted(replaced) {
            // A table goes with its keys, up to a comment or an empty line.
            let active = |l: &String| {
                l.starts_with(&name) && (name.starts_with('[') || l[name.len()..].starts_with(" ="))
            };
            // The nearest: other tables may have the same key.
            let start = (0..at[0])
                .rev()
                .find(|&i| active(&lines[i]))
                .expect("what is replaced");
            lines[start].insert(0, '#');
            if name.starts_with('[') {
                for line in &mut lines[start + 1..] {
                    if line.starts_with('#') || line.is_empty() {
                        break;
                    }
                    line.insert(0, '#');
                }
            }
        }
        for &i in at {
            lines[i].remove(0);
        }
    }
    lines.join("\n")
}

/// Every alternative of a new scenario is accepted where its comment says that it goes.
#[test]
fn alternatives_of_new_scenarios_are_accepted() {
    for (slow, expected) in [(false, 16), (true, 10)] {
        let desk = Desk::new();
        let arguments = ["new", "mine", "--slow"];
        desk.command(&arguments[..if slow { 3 } else { 2 }])
            .assert()
            .code(0);
        let text = fs::read_to_string(desk.path("mine.toml")).expect("read");
        desk.file("data.csv", "s,y\n-1.0,-0.5\n0.5,0.3\n2.0,0.8\n");
        let groups = alternatives(&text);
        assert_eq!(groups.len(), expected, "{groups:#?}");
        let plain = toml::from_str::<toml::Table>(&text).expect("TOML");
        for chosen in 0..groups.len() {
            let changed = with_alternative(&text, &groups, chosen);
            let table = toml::from_str::<toml::Table>(&changed)
                .unwrap_or_else(|e| panic!("{:?}: {e}\n{changed}", groups[chosen]));
            assert_ne!(table, plain, "{:?} changes nothing", groups[chosen]);
            desk.file("changed.toml", &changed);
            desk.command(&["check", "changed.toml"]).assert().code(0);
        }
    }
}

/// Φ(x) with its record, the geometry of Γ and the coefficients of the slow SDE; refusals name what is wrong.
#[test]
fn a_point_is_projected() {
    let desk = Desk::new();
    let output = desk
        .command(&["project", "hyperbola", "--at=2.5,1.0"])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    // Closed form: s = ½ asinh((x² − y²)/2), Φ = (eˢ, e⁻ˢ).
    let s = 0.5 * (0.5f64 * (6.25 - 1.0)).asinh();
    let line = text.lines().find(|l| l.starts_with("Φ(x)")).expect("Φ");
    let numbers: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    assert!(
        (numbers[0] - s.exp()).abs() < 1e-6 && (numbers[1] - (-s).exp()).abs() < 1e-6,
        "{line}"
    );
    for part in [
        "rank",
        "spectral gap",
        "tangent basis",
        "∂Φ (2 × 2)",
        "drift",
        "diffusion",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let saddle = desk.refusal(&["project", "hyperbola", "--at=0,0"]);
    assert!(saddle.contains("ended at a saddle"), "{saddle}");
    let isolated = desk.refusal(&["project", "quadratic_1d", "--at=1"]);
    assert!(isolated.contains("isolated"), "{isolated}");
    let length = desk.refusal(&["project", "hyperbola", "--at=1"]);
    assert!(
        length.contains("--at has 1 numbers, but `hyperbola` has 2 parameters"),
        "{length}"
    );
    assert!(
        desk.refusal(&["project", "hyperbola", "--at=1,x"])
            .contains("must be a finite number")
    );
}
