//! No text makes the tool panic: random mutations of valid scenarios are refused, or read and run.

use proptest::prelude::*;
use slowsde::ensemble::Control;
use slowsde::report::result::Regime;
use slowsde::scenario::{Overrides, Profile, Scenario, total_work};
use slowsde::schedule::Shape;
use std::path::Path;

/// A scenario that uses most keys of the reference; the alternatives replace its parts.
const BASE: &str = r#"title = "T"
claim = "Theorem 4.5"
about = "text"
[landscape.quadratic]
matrix = [[1.0, 0.3], [0.3, 0.5]]
[noise.gaussian]
factor = { diagonal = [1.0, 0.7] }
[noise_scale]
factor = 1.0
power = -0.5
[start.x0]
at = [1.0, -1.0]
[start.m0]
fixed = [0.1, 0.2]
[schedule]
momentum = { step_decay = { initial = 0.5, factor = 0.5, at = [0.5, 1.0] } }
learning_rate = { warmup = { duration = 0.5, from = 0.1, then = { cosine = { from = 1.0, to = 0.1 } } } }
[compact_set.box]
lower = [-5.0, -5.0]
upper = [5.0, 5.0]
[run]
horizon = 2.0
alphas = [0.0, 0.5]
eta_max = 0.25
etas = 4
sde_etas = 2
times = 4
paths = 100
functions = ["x[1]", "x[1]*x[2]", "loss"]
monitored = ["loss"]
level = 0.99
[profile.quick]
etas = 3
[[compare]]
left = "sgdm"
right = "sgd"
expect = "consistent"
[[compare]]
left = "coupled"
right = "sde"
alphas = [0.25]
expect = "consistent"
"#;

/// The same for the slow regime.
const SLOW: &str = r#"title = "T"
claim = "Theorem 5.5"
regime = "slow"
[landscape.ellipse]
semi_axes = [1.0, 1.4]
[noise.gaussian]
factor = { diagonal = [1.0, 0.7] }
[start]
x0 = { at = [0.8, 0.7] }
m0 = { gaussian = 0.1 }
on_manifold = true
[schedule]
momentum = { step_decay = { initial = 0.8, factor = 0.5, at = [0.1, 0.2] } }
learning_rate = { cosine = { from = 1.0, to = 0.5 } }
[compact_set.ball]
radius = 4.0
[run]
horizon = 0.25
alphas = [0.5, 2.5]
eta_max = 0.15
etas = 3
times = 2
looks = 2
slow_step = 0.5
projection_tolerance = 1e-6
functions = ["x[1]", "x[2]^2", "trace_hessian"]
monitored = ["x[1]"]
[[compare]]
left = "sgdm"
right = "slow_sde"
expect = "consistent"
[[compare]]
left = "sgd"
right = "slow_sde_nearest_point"
expect = "refuted"
[[compare]]
left = "slow_sde_euler_maruyama"
right = "slow_sde_linear_rate"
expect = "refuted"
"#;

/// Old and new parts of the slow scenario.
const SLOW_ALTERNATIVES: [(&str, &str); 9] = [
    (
        "[landscape.ellipse]\nsemi_axes = [1.0, 1.4]",
        "[landscape.sphere]\ndimension = 2",
    ),
    (
        "[landscape.ellipse]\nsemi_axes = [1.0, 1.4]",
        "[landscape.valley]\nsteepness = { exponential = { kappa = 0.5 } }",
    ),
    (
        "[noise.gaussian]\nfactor = { diagonal = [1.0, 0.7] }",
        "[noise.rademacher]\nfactor = { growing = 0.7 }",
    ),
    (
        "[landscape.ellipse]\nsemi_axes = [1.0, 1.4]",
        "[landscape.expression]\nparameters = [\"u\", \"v\"]\nloss = \"0.5*(2 + sin(u))*(v - 0.1*u^2)^2\"",
    ),
    (
        "[landscape.ellipse]\nsemi_axes = [1.0, 1.4]\n[noise.gaussian]\nfactor = { diagonal = [1.0, 0.7] }",
        "[landscape.expression]\nparameters = [\"u\", \"v\"]\nresiduals = [\"u*v - 1\"]\n[noise.gaussian]\nfactor = { expression = [[\"0.4\"], [\"0.1*u\"]] }",
    ),
    ("slow_step = 0.5", "slow_step = 0.01"),
    ("regime = \"slow\"", "regime = \"slow\"\ns = 0.5"),
    ("right = \"slow_sde\"", "right = \"sde\""),
    ("right = \"slow_sde\"", "right = \"closed_form\""),
];

/// Old and new parts.
const ALTERNATIVES: [(&str, &str); 22] = [
    ("matrix = [[1.0, 0.3], [0.3, 0.5]]", "spectrum = [2.0, 1.0]"),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.double_well]\ndimension = 2",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.hyperbola]",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.linear_regression]\ninputs = [[1.0, 2.0], [0.5, 1.0]]\ntargets = [1.0, 0.0]",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.regression]\nloss = \"logistic\"\nfile = \"data/breast_cancer.csv\"\ntarget = \"malignant\"\nfeatures = [\"mean_radius\"]\nrows = 40",
    ),
    ("{ diagonal = [1.0, 0.7] }", "{ matrix = [[1.0], [0.7]] }"),
    ("{ diagonal = [1.0, 0.7] }", "{ growing = 0.5 }"),
    ("[noise.gaussian]", "[noise.rademacher]"),
    ("[noise.gaussian]", "[noise.student]\nfreedom = 5.0"),
    (
        "[noise.gaussian]\nfactor = { diagonal = [1.0, 0.7] }",
        "[noise.minibatch]\nsize = 2",
    ),
    (
        "[noise.gaussian]\nfactor = { diagonal = [1.0, 0.7] }",
        "[noise.label]\ndeviation = 0.5\nlaw = \"rademacher\"",
    ),
    ("power = -0.5", "svag = true"),
    ("right = \"sde\"", "right = \"underdamped_sde\""),
    (
        "[compact_set.box]\nlower = [-5.0, -5.0]\nupper = [5.0, 5.0]",
        "[compact_set.ball]\nradius = 9.0",
    ),
    (
        "{ step_decay = { initial = 0.5, factor = 0.5, at = [0.5, 1.0] } }",
        "{ cycle = [0.5, 0.2] }",
    ),
    (
        "{ step_decay = { initial = 0.5, factor = 0.5, at = [0.5, 1.0] } }",
        "{ table = { times = [0.0, 1.0], values = [0.5, 0.2] } }",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.expression]\nparameters = [\"x\", \"w[1..1]\"]\nconstants = { c = 0.5 }\nloss = \"0.5*(x*w[1] - 1)^2 + c*tanh(x)/(2 + sin(w[1]))\"",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.expression]\nparameters = [\"x\", \"w[1..1]\"]\nconstants = { c = 0.5 }\nresiduals = [\"x*w[1] - 1\", \"exp(c*x) - 2^w[1]\"]",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.expression]\nparameters = [\"x\", \"w[1..1]\"]\nconstants = { c = 0.5 }\nsample_loss = \"softplus(x*bmi + w[1]) - c*s5*(x*bmi + w[1])\"\nfile = \"data/diabetes.csv\"\ncolumns = [\"bmi\", \"s5\"]\nstandardize = true\nrows = 20",
    ),
    (
        "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]",
        "[landscape.expression]\nparameters = [\"x\", \"w[1..1]\"]\nconstants = { c = 0.5 }\nsample_residual = \"x*tanh(w[1]*bmi) - c*s5\"\nfile = \"data/diabetes.csv\"\ncolumns = [\"bmi\", \"s5\"]\nstandardize = true\nrows = 20",
    ),
    (
        "{ diagonal = [1.0, 0.7] }",
        "{ expression = [[\"0.5*sqrt(1 + x[1]^2)\", \"0\"], [\"0.1\", \"exp(-x[2]^2)\"]] }",
    ),
    (
        "[\"x[1]\", \"x[1]*x[2]\", \"loss\"]",
        "[\"tanh(x[1])*x[2]\", \"norm2(x)/(1 + x[1]^2)\", \"loss\"]",
    ),
];

/// What takes the place of a number, a word or a few bytes.
const TOKENS: [&str; 41] = [
    "\"x^2\"",
    "\"w[1]/x\"",
    "\"x*\"",
    "[\"x\", \"w[1..1]\"]",
    "[[\"x\"], [\"1\"]]",
    "^",
    "(",
    "",
    "0",
    "-1",
    "1",
    "2",
    "3",
    "0.0",
    "-0.0",
    "1e308",
    "-1e308",
    "1e-320",
    "nan",
    "inf",
    "-inf",
    "9223372036854775807",
    "-9223372036854775808",
    "1000000000000",
    "[]",
    "[[]]",
    "[0.0]",
    "{}",
    "\"\"",
    "true",
    "\n",
    "=",
    "]",
    "\"x[1]^4\"",
    "\"sde\"",
    "\"é∂\u{0}\"",
    "0.5",
    "[1.0, 2.0, 3.0]",
    "{ constant = 1.0 }",
    "256",
    "4096",
];

#[derive(Clone, Debug)]
enum Mutation {
    /// The n-th number becomes a token.
    Number(usize, usize),
    /// The value of the n-th key becomes a token.
    Value(usize, usize),
    /// The n-th line goes away.
    Drop(usize),
    /// The n-th line stands also at another place.
    Copy(usize, usize),
    /// The n-th character becomes a token.
    Character(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let (n, t) = (0usize..1000, 0..TOKENS.len());
    prop_oneof![
        4 => (n.clone(), t.clone()).prop_map(|(n, t)| Mutation::Number(n, t)),
        4 => (n.clone(), t.clone()).prop_map(|(n, t)| Mutation::Value(n, t)),
        1 => n.clone().prop_map(Mutation::Drop),
        1 => (n.clone(), n.clone()).prop_map(|(a, b)| Mutation::Copy(a, b)),
        1 => (n, t).prop_map(|(n, t)| Mutation::Character(n, t)),
    ]
}

fn numbers(text: &str) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let mut start = None;
    for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_ascii_digit() || "+-.".contains(c), start) {
            (true, None) => start = Some(i),
            (false, Some(s)) => {
                found.push((s, i));
                start = None;
            }
            _ => {}
        }
    }
    found
}

fn apply(text: &str, mutation: &Mutation) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    match *mutation {
        Mutation::Number(n, t) => {
            let places = numbers(text);
            if places.is_empty() {
                return text.to_string();
            }
            let (a, b) = places[n % places.len()];
            format!("{}{}{}", &text[..a], TOKENS[t], &text[b..])
        }
        Mutation::Value(n, t) => {
            let n = n % lines.len();
            let replaced = lines[n]
                .split_once('=')
                .map(|(key, _)| format!("{key}= {}", TOKENS[t]));
            if let Some(line) = &replaced {
                lines[n] = line;
            }
            lines.join("\n")
        }
        Mutation::Drop(n) => {
            lines.remove(n % lines.len());
            lines.join("\n")
        }
        Mutation::Copy(a, b) => {
            let line = lines[a % lines.len()];
            lines.insert(b % lines.len(), line);
            lines.join("\n")
        }
        Mutation::Character(n, t) => {
            let places: Vec<(usize, char)> = text.char_indices().collect();
            let (at, c) = places[n % places.len()];
            format!("{}{}{}", &text[..at], TOKENS[t], &text[at + c.len_utf8()..])
        }
    }
}

fn parse(text: &str, overrides: &Overrides) -> Result<Scenario, slowsde::scenario::ScenarioError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    Scenario::parse(
        text,
        "fuzz.toml",
        "fuzz",
        folder.as_path(),
        Profile::Quick,
        overrides,
    )
}

/// The averaged rates of Eq. (8) take a step of work for every step of a warm-up, also beyond the horizon.
fn slow(shape: &Shape) -> bool {
    match shape {
        Shape::Warmup { duration, then, .. } => *duration > 100.0 || slow(then),
        _ => false,
    }
}

/// What passes the check must also run, whatever the numbers; here with few paths and only where that is quick.
fn run_a_little(mut scenario: Scenario) {
    let finest = scenario.run.etas.last().copied().unwrap_or(1.0);
    let (steps, largest) = match scenario.regime {
        Regime::Fast => (scenario.run.horizon / finest, 1.5),
        Regime::Slow => (scenario.run.horizon / (finest * finest), 4.0),
    };
    let small_gain = scenario.comparisons.iter().any(|c| c.alpha > largest);
    let shapes = [&scenario.learning_rate, &scenario.momentum];
    if steps > 4096.0 || scenario.x0.len() > 64 || small_gain || shapes.iter().any(|s| slow(s)) {
        return;
    }
    (scenario.run.paths, scenario.run.max_paths) = (8, 8);
    if total_work(&scenario) < 50_000 {
        let result = scenario.execute(&Control::default(), &|_| {});
        assert!(result.is_ok_and(|r| r.comparisons.len() == scenario.comparisons.len()));
    }
}

/// The alternatives are valid by themselves, so that mutations of them reach beyond the reader of TOML.
#[test]
fn the_seeds_are_valid() {
    let none = Overrides::default();
    parse(BASE, &none).map(drop).expect("valid");
    let mut refused = vec![];
    for (old, new) in ALTERNATIVES {
        assert!(BASE.contains(old), "{old}");
        if let Err(error) = parse(&BASE.replace(old, new), &none) {
            refused.push(error.to_string());
        }
    }
    parse(SLOW, &none).map(drop).expect("valid");
    for (old, new) in SLOW_ALTERNATIVES {
        assert!(SLOW.contains(old), "{old}");
        if let Err(error) = parse(&SLOW.replace(old, new), &none) {
            // An ellipse has no closed form.
            assert!(new.contains("closed_form"), "{error}");
        }
    }
    // Batches and label noise need data, the SDE a schedule in time: only these three do not fit the quadratic.
    assert_eq!(refused.len(), 3, "{refused:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_are_read_or_refused(
        swaps in proptest::collection::vec(0..ALTERNATIVES.len(), 0..3),
        mutations in proptest::collection::vec(mutation(), 0..4),
        set in proptest::option::of((0usize..6, 0..TOKENS.len())),
    ) {
        let mut text = BASE.to_string();
        for swap in swaps {
            let (old, new) = ALTERNATIVES[swap];
            text = text.replacen(old, new, 1);
        }
        for mutation in &mutations {
            text = apply(&text, mutation);
        }
        let keys = ["run.paths", "compare[1].right", "run.alphas", "schedule.momentum", "", "compare[0].x"];
        let overrides = Overrides {
            assignments: set.iter().map(|(k, t)| format!("{}={}", keys[*k], TOKENS[*t])).collect(),
            seed: None,
        };
        match parse(&text, &overrides) {
            Ok(scenario) => run_a_little(scenario),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_slow_scenarios_are_read_or_refused(
        swaps in proptest::collection::vec(0..SLOW_ALTERNATIVES.len(), 0..3),
        mutations in proptest::collection::vec(mutation(), 0..3),
    ) {
        let mut text = SLOW.to_string();
        for swap in swaps {
            let (old, new) = SLOW_ALTERNATIVES[swap];
            text = text.replacen(old, new, 1);
        }
        for mutation in &mutations {
            text = apply(&text, mutation);
        }
        match parse(&text, &Overrides::default()) {
            Ok(scenario) => run_a_little(scenario),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
