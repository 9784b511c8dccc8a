//! The functions that are fuzzed, on random inputs, on inputs from a grammar, and on those that break parsers; each in bounded time.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Far more than any input takes, on a machine that does other things, too.
const LONG: Duration = Duration::from_secs(30);

fn in_time(text: &str, body: impl FnOnce(&str)) {
    let start = Instant::now();
    body(text);
    let shown: String = text.chars().take(400).collect();
    assert!(start.elapsed() < LONG, "{:?} for {shown}", start.elapsed());
}

fn expression(text: &str) {
    in_time(text, bodies::expression);
}

fn scenario(text: &str) {
    in_time(text, |text| {
        bodies::scenario(text);
    });
}

/// Texts that are long, deep, or short for something large.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "w[1..1000000000]",
        "w[1..99999999999999999999]",
        "w[1..1e9]",
        "sum(w[2..1])",
        "x^1000000000",
        "x^-1000000000",
        "x^1e300",
        "x^1024^1024",
        "x^1000^1000^1000",
        "(x^1024)^1024",
        "((x^1000)^1000)^1000",
        "2^2^2^2^2^2^2^2^2*x",
        "w^w^w^w^w*w",
        "1e-320/x/1e-320",
        "x/1e-320 + y*1e308*1e308",
        "1e400",
        "0.1e-999999999999",
        "1e+",
        "1..2..3",
        "x\u{0}y",
        "\u{0}",
        "x + \u{202e}y",
        "é + ∂·x²",
        "x +\r\n\t y",
        "\u{feff}x",
        "𝑥 + 🦀",
        "x -\u{2212} y",
        "exp(exp(exp(exp(x))))",
        "log(log(log(x)))",
        "sqrt(-x^2)",
        "softplus(1e308*x)^2",
        "sigmoid(-1e308*x)/sigmoid(-1e308*x)",
        "0/0*x",
        "x - x + y/(x - x)",
    ]
    .map(str::to_owned)
    .to_vec();
    for (part, count) in [
        ("(", 60_000),
        ("-", 65_000),
        ("+", 65_000),
        ("x^", 30_000),
        ("x^-", 20_000),
        ("exp(", 15_000),
        ("dot(w,", 10_000),
        ("[", 65_000),
        ("w[", 30_000),
        ("x+", 32_000),
        ("x*", 32_000),
        ("x*y+", 16_000),
        ("x/y-", 16_000),
        ("sin(x)*", 9_000),
        ("w+", 30_000),
        ("sum(w)*", 9_000),
        ("\u{0}", 65_000),
        ("é", 30_000),
        ("x\n", 30_000),
        ("9", 65_000),
    ] {
        texts.push(part.repeat(count));
        texts.push(format!("{}x", part.repeat(count)));
        texts.push(format!("({}x)", part.repeat(100)) + &")".repeat(100));
    }
    // A product of many factors that all differ, and a sum that all derivatives reach.
    let factors: Vec<String> = (1..3_000).map(|k| format!("(x+{k}*y)")).collect();
    texts.push(factors.join("*"));
    let terms: Vec<String> = (1..2_000)
        .map(|k| format!("tanh({k}*x+w[1])*w[2]"))
        .collect();
    texts.push(terms.join("+"));
    texts.push("x".repeat(70_000));
    texts
}

/// Parts of expressions, in any order.
const PARTS: &[&str] = &[
    "x",
    "y",
    "w",
    "w[1]",
    "w[1..3]",
    "a",
    "s",
    "pi",
    "e",
    "0",
    "1",
    "1e308",
    "1e-320",
    ".5",
    "2.",
    "1e",
    "..",
    "(",
    ")",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "^",
    "**",
    " ",
    "\n",
    "exp(",
    "log(",
    "sqrt(",
    "softplus(",
    "sum(",
    "dot(",
    "norm2(",
    "abs(",
    "é",
    "∂",
    "\u{0}",
    "^-1",
    "^1000",
    "^0.5",
    "^x",
    "w[1..1000000000]",
    "\r",
    "\"",
    "#",
];

fn soup() -> impl Strategy<Value = String> {
    let part = prop::sample::select(PARTS).prop_map(str::to_owned);
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

/// Sentences of the grammar: they parse, and have a meaning but for lengths of vectors, numbers that are not finite and sizes.
fn sentences() -> impl Strategy<Value = String> {
    let leaves = [
        "x",
        "y",
        "w[2]",
        "a",
        "s",
        "pi",
        "0",
        "1",
        "0.5",
        "3",
        "1e-3",
        "1e9",
        "sum(w)",
        "norm2(w)",
        "dot(w, w)",
        "w",
    ];
    let leaf = prop::sample::select(leaves.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(8, 60, 2, |inner| {
        let names = ["exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "sum", "norm2"];
        let powers = ["2", "-1", "0.5", "-1.5", "0", "7", "1024", "0.3", "(1e9)", "x", "-x"];
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            4 => (pair, prop::sample::select(vec!["+", "-", "*", "/", " + ", "*-"])).prop_map(|((a, b), o)| format!("{a}{o}{b}")),
            2 => inner.clone().prop_map(|a| format!("({a})")),
            1 => inner.clone().prop_map(|a| format!("-{a}")),
            2 => (inner.clone(), prop::sample::select(powers.to_vec())).prop_map(|(a, n)| format!("({a})^{n}")),
            4 => (prop::sample::select(names.to_vec()), inner).prop_map(|(f, a)| format!("{f}({a})")),
        ]
    })
}

/// A table of a scenario, `{}` in it an expression.
const LANDSCAPES: &[&str] = &[
    "parameters = [\"x\", \"y\", \"w[1..3]\"]\nconstants = { a = 2.0, s = 0.5 }\nloss = {}",
    "parameters = [\"x\", \"y\", \"w[1..3]\"]\nconstants = { a = 2.0, s = 0.5 }\nresiduals = [{}, \"x - y\"]",
    "parameters = [\"x\", \"y\", \"w[1..3]\"]\nconstants = { a = 2.0 }\nsample_loss = {}\nfile = \"data/diabetes.csv\"\ncolumns = [\"s1\", \"bmi\"]\nrows = 5",
    "parameters = [\"x\", \"y\", \"w[1..3]\"]\nconstants = { a = 2.0, s = 0.1 }\nsample_residual = {}\nfile = \"data/diabetes.csv\"\ncolumns = [\"bmi\"]\nstandardize = true\nrows = 5",
    "parameters = [\"x\", {}, \"w[1..3]\"]\nloss = \"x^2\"",
];

const NOISES: &[&str] = &[
    "[noise.gaussian]\nfactor = { isotropic = 0.5 }",
    "[noise.rademacher]\nfactor = { expression = [[{}], [\"x\"], [\"0\"], [\"1\"], [{}]] }",
    "[noise.student]\nfreedom = 5\nfactor = { expression = [[{}, \"0\"], [\"x\", \"y\"], [\"0\"], [\"1\"], [{}]] }",
    "[noise.label]\ndeviation = 0.5\nlaw = \"rademacher\"",
    "[noise.minibatch]\nsize = 1",
];

/// Scenarios of a loss of one's own, with expressions wherever there may be some.
fn scenarios() -> impl Strategy<Value = String> {
    let text = prop_oneof![4 => sentences(), 1 => soup()];
    let texts = prop::collection::vec(text, 5);
    let tables = (
        prop::sample::select(LANDSCAPES),
        prop::sample::select(NOISES),
    );
    (tables, texts, any::<bool>()).prop_map(|((landscape, noise), texts, slow)| {
        let regime = if slow { "regime = \"slow\"\n" } else { "" };
        let mut text = format!(
            "title = \"T\"\nclaim = \"C\"\n{regime}[landscape.expression]\n{landscape}\n{noise}\n[start]\nx0 = {{ everywhere = 0.5 }}\n[run]\nhorizon = 1.0\nfunctions = [\"x\", {{}}]\n[[compare]]\nleft = \"sgdm\"\nright = \"sgd\"\nexpect = \"consistent\"\n"
        );
        for expression in texts {
            let quoted = toml::Value::String(expression).to_string();
            text = text.replacen("{}", &quoted, 1);
        }
        text
    })
}

/// The generators reach what they are for: many sentences are functions, and some scenarios are accepted.
#[test]
fn the_grammar_makes_sense() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut scope = slowsde::expression::Scope::new(&["x", "y", "w[1..3]"]).expect("names");
    scope.constant("a", 2.0).expect("a constant");
    scope.column("s").expect("a column");
    let mut good = 0;
    for _ in 0..200 {
        let text = sentences()
            .new_tree(&mut runner)
            .expect("a sentence")
            .current();
        good += usize::from(slowsde::expression::Function::parse(&text, &scope).is_ok());
    }
    assert!(good >= 60, "{good} of 200 sentences are functions");
    let (mut fast, mut slow) = (0, 0);
    for _ in 0..400 {
        let text = scenarios()
            .new_tree(&mut runner)
            .expect("a scenario")
            .current();
        match bodies::scenario(&text) {
            Some(s) if s.landing.is_some() => slow += 1,
            Some(_) => fast += 1,
            None => (),
        }
    }
    assert!(
        fast >= 8,
        "{fast} of 400 scenarios in the fast regime are accepted, {slow} in the slow one"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_texts(text in any::<String>()) {
        expression(&text);
        scenario(&text);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        expression(&text);
        scenario(&text);
    }

    #[test]
    fn random_parts(text in soup()) {
        expression(&text);
        scenario(&scenario_around(&text));
    }

    #[test]
    fn random_sentences(text in sentences()) {
        expression(&text);
    }

    #[test]
    fn random_scenarios(text in scenarios()) {
        scenario(&text);
    }
}

#[test]
fn hostile_expressions() {
    for text in hostile() {
        expression(&text);
    }
}

/// A scenario with the loss, a noise factor and a test function of this text, also where TOML reads it.
fn scenario_around(text: &str) -> String {
    let quoted = toml::Value::String(text.to_string());
    format!(
        "title = \"T\"\nclaim = \"C\"\n[landscape.expression]\nparameters = [\"x\", \"y\", \"w[1..3]\"]\nloss = {quoted}\n[noise.gaussian]\nfactor = {{ expression = [[{quoted}], [\"0\"], [\"1\"], [\"x\"], [\"0\"]] }}\n[start]\nx0 = {{ everywhere = 0.5 }}\n[run]\nhorizon = 1.0\nfunctions = [\"x\", {quoted}]\n[[compare]]\nleft = \"sgdm\"\nright = \"sgd\"\nexpect = \"consistent\"\n"
    )
}

#[test]
fn hostile_scenarios() {
    for text in hostile() {
        scenario(&text);
        scenario(&scenario_around(&text));
    }
    let good = scenario_around("x^2 + y^2 + norm2(w)");
    assert!(bodies::scenario(&good).is_some());
    for (old, new) in [
        ("\"w[1..3]\"", "\"w[1..1000000000]\"".to_string()),
        ("\"w[1..3]\"", "\"w[1..9990]\"".to_string()),
        ("\"w[1..3]\"", format!("\"{}\"", "w".repeat(70_000))),
        ("title = \"T\"", format!("title = \"{}\"", "\\u0000".repeat(10_000))),
        ("title = \"T\"", format!("title = {}1", "[".repeat(50_000))),
        ("title = \"T\"", format!("title = {}", "{ a = ".repeat(20_000))),
        ("title = \"T\"", format!("{}t = 1", "t.".repeat(30_000))),
        ("title = \"T\"", format!("{}\n", "[[a]]\n".repeat(20_000))),
        ("[start]", format!("[{}]\n[start]", "a.".repeat(20_000) + "a")),
        ("horizon = 1.0", "horizon = 1e300".into()),
        ("horizon = 1.0", "horizon = 1e-300\neta_max = 1e-301".into()),
        ("horizon = 1.0", "horizon = 1e5\neta_max = 1e-3".into()),
        ("horizon = 1.0", "horizon = 1.0\netas = 18446744073709551615".into()),
        ("horizon = 1.0", format!("horizon = 1.0\nalphas = [{}]", "0.5, ".repeat(5_000))),
        ("[start]", "[schedule]\nlearning_rate = { warmup = { duration = 1.0, from = 0.0, then = { cycle = [0.0, 1.0] } } }\n[start]".into()),
        ("[start]", format!("[schedule]\nmomentum = {}{{ constant = 1.0 }}{}\n[start]", "{ warmup = { duration = 0.1, from = 0.5, then = ".repeat(100), " } }".repeat(100))),
    ] {
        assert!(good.contains(old), "{old}");
        scenario(&good.replacen(old, &new, 1));
    }
    // As many residuals as are allowed, of many parameters.
    let residuals = |n: usize, text: &str| {
        let list = format!("[{}]", vec![format!("\"{text}\""); n].join(", "));
        let quoted = "loss = \"x^2 + y^2 + norm2(w)\"";
        good.replacen(quoted, &format!("residuals = {list}"), 1)
            .replacen("[\"0\"]] }", "[\"0\"]] } # ", 1)
    };
    assert!(bodies::scenario(&residuals(3, "x*y - w[1]")).is_some());
    scenario(&residuals(40_000, "x*y - w[1]"));
    scenario(&residuals(10_000, "tanh(x*w[1] + y*w[2]) - sin(w[3])"));
    let distinct: Vec<String> = (1..10_000)
        .map(|k| format!("\"tanh(x*{k} + y*w[2]) - sin(w[3]*{k})\""))
        .collect();
    let text = good.replacen(
        "loss = \"x^2 + y^2 + norm2(w)\"",
        &format!("residuals = [{}]", distinct.join(", ")),
        1,
    );
    scenario(&text);
}
