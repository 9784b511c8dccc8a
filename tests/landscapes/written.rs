//! Losses written as text or as closures: the contract of a landscape, the built-in landscapes as oracles, messages, and random
//! expressions. `tests/fuzz.rs` has random texts.

use crate::contract::{check_contract, check_outputs, points};
use proptest::prelude::*;
use slowsde::ensemble::Control;
use slowsde::expression::{Function, Scope, Symbol, dot, norm2, sum};
use slowsde::landscape::{
    Activation, DiagonalNetwork, DoubleWell, Ellipse, Expression, ExpressionModel, Formula,
    Hyperbola, Landscape, MatrixFactorization, Quadratic, QuadraticForm, Regression,
    RegressionLoss, SampleLoss, Sphere, Steepness, TwoLayerNetwork, Valley, broadcast,
};
use slowsde::oracle::{EntryLaw, ExpressionNoise, Noise};
use slowsde::real::Lanes;
use slowsde::scenario::{Overrides, Profile, Scenario};
use std::error::Error;
use std::path::Path;

type Outcome = Result<(), Box<dyn Error>>;

fn scope(parameters: &[&str]) -> Scope {
    Scope::new(parameters).expect("valid parameters")
}

fn loss(parameters: &[&str], text: &str) -> Expression {
    Expression::of_loss(text, &scope(parameters)).unwrap_or_else(|e| panic!("{e}"))
}

fn residuals(parameters: &[&str], texts: &[&str]) -> Expression {
    let texts: Vec<String> = texts.iter().map(|t| t.to_string()).collect();
    Expression::of_residuals(&texts, &scope(parameters)).unwrap_or_else(|(i, e)| panic!("{i}: {e}"))
}

/// Every function and operator, small and large dimensions, written-out and product Hessians.
#[test]
fn losses_keep_the_contract() -> Outcome {
    let cases: &[(&[&str], &str)] = &[
        (&["x"], "x"),
        (&["x"], "3"),
        (&["x"], "x^4/4 - x^2/2"),
        (&["x", "y"], "0.5*(x*y - 1)^2"),
        (&["u", "v"], "0.5*exp(0.3*u^2)*v^2 + 0.1*u"),
        (&["x", "y"], "-x^2 - -y^3 + 2^-1*x - 2^x"),
        (&["x", "y"], "log(1 + x^2) + sqrt(2 + sin(x)*cos(y))"),
        (&["x", "y"], "tanh(x*y) + sigmoid(2*x - y) + softplus(-3*x)"),
        (
            &["x", "y"],
            "(2 + x/3)^(1 + y/9) + (3 + x)^1.5 + (4 + y)^-2 + (5 - x)^0.5",
        ),
        (
            &["x", "y", "z"],
            "0.5*(x*y*z - 1)^2 + 1/(3 + x^2) - (x - y)/(y^2 + 2)",
        ),
        (
            &["x", "y", "z", "t"],
            "x*y*z*t - (x + y)*(z - t)^3 + pi*x - e*y",
        ),
        (
            &["w[1..7]"],
            "(norm2(w) - 1)^2/4 + sum(w^3) + dot(w[1..3], w[5..7])*w[4]",
        ),
        (
            &["a", "w[1..3]", "b"],
            "softplus(a + b*sum(tanh(w)))^2 + norm2(w - a)/2",
        ),
    ];
    for (parameters, text) in cases {
        let landscape = loss(parameters, text);
        let d = Formula::dimension(&landscape);
        check_contract(text, &landscape, &points(3, 11, d, 1.5))?;
    }
    // Too many distinct second derivatives to write out: 200 fully coupled parameters.
    let coupled = loss(
        &["w[1..200]"],
        "exp(norm2(w)/200)*(1 + sum(w)/50) + sum(sin(w))",
    );
    check_contract("coupled", &coupled, &points(4, 2, 200, 1.0))?;
    Ok(())
}

#[test]
fn residuals_keep_the_contract() -> Outcome {
    let cases: &[(&[&str], &[&str])] = &[
        (&["x", "y"], &["x*y - 1"]),
        (&["x", "y", "z"], &["x*y*z - 1"]),
        (&["x", "y", "z"], &["x*y - 1", "tanh(y + z)"]),
        (&["x", "y"], &["x - 1", "2*x + y", "x - y + 3", "y/2"]),
        (
            &["u[1..4]", "w[1..4]"],
            &["dot(u, w) - 1", "norm2(u) - 2", "sum(u*w^2)"],
        ),
    ];
    for (parameters, texts) in cases {
        let landscape = residuals(parameters, texts);
        let d = Formula::dimension(&landscape);
        let points = points(5, 11, d, 1.5);
        let name = texts.join(", ");
        check_contract(&name, &landscape, &points)?;
        let scope = scope(parameters);
        let outputs: Vec<Function> = texts
            .iter()
            .map(|text| Function::parse(text, &scope))
            .collect::<Result<_, _>>()?;
        let sum = Landscape::finite_sum(&landscape).ok_or("no finite sum")?;
        check_outputs(&name, sum, &points, &|x, i| outputs[i].value(x, |_| 0.0))?;
    }
    Ok(())
}

/// Losses over the rows of a data set, against the built-in regression too.
#[test]
fn sampled_losses_keep_the_contract() -> Outcome {
    let data = nalgebra::DMatrix::from_fn(13, 3, |i, k| match k {
        2 => (i % 2) as f64,
        k => (1.0 + (3 * i + 5 * k) as f64).sin(),
    });
    let mut scope = scope(&["a", "w[1..2]"]);
    for column in ["s", "t", "y"] {
        scope.column(column)?;
    }
    let points = points(8, 11, 3, 1.5);
    let text = "a*tanh(w[1]*s + w[2]*t) - y";
    let squared = ExpressionModel::squared_loss(Function::parse(text, &scope)?, &data)?;
    check_contract(text, &squared, &points)?;
    let text = "softplus(a + w[1]*s + w[2]*t) - y*(a + w[1]*s + w[2]*t)";
    let logistic = SampleLoss::new(Function::parse(text, &scope)?, &data)?;
    check_contract(text, &logistic, &points)?;
    let design = nalgebra::DMatrix::from_fn(13, 3, |i, k| [1.0, data[(i, 0)], data[(i, 1)]][k]);
    let targets: Vec<f64> = data.column(2).iter().copied().collect();
    let regression = Regression::new(design, targets, RegressionLoss::Logistic, 0.0)?;
    agree("logistic regression", &logistic, &regression);
    Ok(())
}

/// Value, gradient, Hessian and third contraction of the two, within some units in the last place of the largest term.
fn agree(name: &str, a: &dyn Landscape, b: &dyn Landscape) {
    let d = a.dimension();
    assert_eq!(d, b.dimension(), "{name}");
    let all = |f: &dyn Landscape, x: &[f64], m: &nalgebra::DMatrix<f64>| {
        let x = nalgebra::DVector::from_column_slice(x);
        let jet = f.jet(&x);
        let mut all = vec![jet.value];
        all.extend_from_slice(jet.gradient.as_slice());
        all.extend_from_slice(jet.hessian.as_slice());
        all.extend_from_slice(f.third(&x, m).as_slice());
        all
    };
    let m = nalgebra::DMatrix::from_fn(d, d, |i, j| 0.3 + (i + j) as f64 - (i * j) as f64);
    for x in points(9, 50, d, 2.0) {
        let (ours, theirs) = (all(a, &x, &m), all(b, &x, &m));
        let size = theirs.iter().fold(1.0, |s: f64, t| s.max(t.abs()));
        for (k, (p, q)) in ours.iter().zip(&theirs).enumerate() {
            // Some twenty operations, each with a rounding error of the largest intermediate number.
            assert!(
                (p - q).abs() <= 64.0 * f64::EPSILON * size,
                "{name}, entry {k} at {x:?}: {p:e} and {q:e}"
            );
        }
    }
}

#[test]
fn built_in_landscapes_as_expressions() -> Outcome {
    let xy = ["x", "y"];
    agree("hyperbola", &loss(&xy, "0.5*(x*y - 1)^2"), &Hyperbola);
    agree("hyperbola", &residuals(&xy, &["x*y - 1"]), &Hyperbola);
    let valley = |steepness| Valley::new(steepness);
    agree(
        "valley",
        &loss(&["u", "v"], "0.5*exp(0.5*u^2)*v^2"),
        &valley(Steepness::Exponential { kappa: 0.5 })?,
    );
    agree(
        "quadratic valley",
        &loss(&["u", "v"], "0.5*(1 + u^2)*v^2"),
        &valley(Steepness::Quadratic)?,
    );
    agree(
        "double well",
        &loss(&xy, "(x^2 - 1)^2/4 + 0.5*1.7*y^2"),
        &DoubleWell::new(2, 1.7)?,
    );
    agree(
        "sphere",
        &loss(&["w[1..2]"], "0.25*(norm2(w) - 1)^2"),
        &Sphere::new(2)?,
    );
    agree(
        "ellipse",
        &loss(&xy, "0.25*((x/2)^2 + (y/0.5)^2 - 1)^2"),
        &Ellipse::new(&[2.0, 0.5])?,
    );
    let matrix = nalgebra::DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5]);
    agree(
        "quadratic",
        &loss(&xy, "0.5*((x - 1)^2 + 0.6*(x - 1)*(y + 2) + 0.5*(y + 2)^2)"),
        &Quadratic::from_matrix(matrix)?.with_center(vec![1.0, -2.0])?,
    );
    Ok(())
}

/// Losses with a constant Hessian are known as such, however they are written, and their form is that of the built-in landscape;
/// no other loss is.
#[test]
fn quadratic_losses_have_exact_moments() -> Outcome {
    let matrix = nalgebra::DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5]);
    let built_in = Quadratic::from_matrix(matrix)?.with_center(vec![1.0, -2.0])?;
    let xy = ["x", "y"];
    let same = |name: &str, form: Option<QuadraticForm>, want: &QuadraticForm| -> Outcome {
        let form = form.ok_or_else(|| format!("{name}: no form"))?;
        let worst = (&form.hessian - &want.hessian).amax();
        assert!(worst < 1e-14, "{name}: {worst:e}");
        let worst = (&form.center - &want.center).amax();
        assert!(worst < 1e-12, "{name}: {worst:e}");
        assert!((form.offset - want.offset).abs() < 1e-13, "{name}");
        Ok(())
    };
    let want = Landscape::quadratic_form(&built_in).ok_or("no form")?;
    for text in [
        "0.5*((x - 1)^2 + 0.6*(x - 1)*(y + 2) + 0.5*(y + 2)^2)",
        "x*x/2 + 0.3*x*y + y^2/4 - 0.4*x + 0.7*y + 0.9",
    ] {
        same(text, Formula::quadratic_form(&loss(&xy, text)), &want)?;
    }
    // 200 coupled parameters, whose second derivatives are not written out.
    let text = "norm2(w) + sum(w)^2/200 - 2*sum(w)";
    let form = Formula::quadratic_form(&loss(&["w[1..200]"], text));
    let mut hessian = nalgebra::DMatrix::from_element(200, 200, 0.01);
    hessian.fill_diagonal(2.01);
    // 2w + sum(w)/100 = 2 in every entry: w = 1/2.
    let want = QuadraticForm {
        hessian,
        center: nalgebra::DVector::from_element(200, 0.5),
        offset: 50.0 + 50.0 - 200.0,
    };
    same(text, form, &want)?;

    // Least squares on data, written as residuals and as losses of a row.
    let data = nalgebra::DMatrix::from_fn(13, 2, |i, k| (1.0 + (3 * i + 5 * k) as f64).sin());
    let design = nalgebra::DMatrix::from_fn(13, 2, |i, k| [1.0, data[(i, 0)]][k]);
    let targets: Vec<f64> = data.column(1).iter().copied().collect();
    let regression = Regression::new(design, targets, RegressionLoss::LeastSquares, 0.0)?;
    let want = Landscape::quadratic_form(&regression).ok_or("no form")?;
    let mut names = scope(&["a", "b"]);
    for column in ["s", "y"] {
        names.column(column)?;
    }
    let residual = Function::parse("a + b*s - y", &names)?;
    let squared = ExpressionModel::squared_loss(residual, &data)?;
    same("residuals", Landscape::quadratic_form(&squared), &want)?;
    let row = Function::parse("0.5*(a + b*s - y)^2", &names)?;
    let rows = SampleLoss::new(row, &data)?;
    same("rows", Formula::quadratic_form(&rows), &want)?;
    let gradients = |landscape: &dyn Landscape| {
        let sum = landscape.finite_sum()?;
        sum.constant_output_gradients()
    };
    let (ours, theirs) = (gradients(&squared), gradients(&regression));
    let difference = ours.ok_or("not constant")? - theirs.ok_or("not constant")?;
    assert!(difference.amax() < 1e-15);

    for text in [
        "0.5*(x*y - 1)^2",
        "x^2 + y",
        "x",
        "exp(x)",
        "x^2 + sin(y)^2",
    ] {
        assert_eq!(Formula::quadratic_form(&loss(&xy, text)), None, "{text}");
    }
    Ok(())
}

/// Precedence and associativity, as documented.
#[test]
fn operators_bind_as_in_mathematics() {
    for (text, value) in [
        ("-x^2", -9.0),
        ("2^3^2 + 0*x", 512.0),
        ("2^-1*x", 1.5),
        ("x - 1 - 1", 1.0),
        ("x/2/2", 0.75),
        ("2*-x", -6.0),
        ("- -x", 3.0),
        ("+x", 3.0),
        ("-x*y", -12.0),
        ("x + y*2", 11.0),
        ("(x + y)*2", 14.0),
        ("1e1*x", 30.0),
        (".5*x + 2.*y", 9.5),
        ("x^0", 1.0),
        ("x^-2", 1.0 / 9.0),
        ("y^0.5", 2.0),
        ("y^-1.5", 0.125),
        ("norm2(w[1..2]) + dot(w, w) + sum(2*w/4)", 6.5),
        ("sum(w^2) - w[2]", 2.0),
        ("log(e) + cos(pi) + x", 3.0),
    ] {
        let function = Function::parse(text, &scope(&["x", "y", "w[1..3]"]));
        let function = function.unwrap_or_else(|e| panic!("{e}"));
        let found = function.value(&[3.0, 4.0, 1.0, 1.0, 1.0], |_| 0.0);
        assert!((found - value).abs() < 1e-14, "{text}: {found}");
    }
}

/// The message of a text that must be refused, in the scope of x, y, w[1..3] and the constant a = 2.
fn refusal(text: &str) -> String {
    let mut scope = scope(&["x", "y", "w[1..3]"]);
    scope.constant("a", 2.0).expect("a valid constant");
    match Function::parse(text, &scope) {
        Ok(_) => panic!("`{text}` was accepted"),
        Err(error) => error.to_string(),
    }
}

/// Place, carets, what is wrong and what is allowed.
#[test]
fn mistakes_are_named() {
    let cases = [
        (
            "0.5*(x*z - 1)^2",
            "1:8: unknown name `z`. Names here: x, y, w[1..3], a, e, pi\n  |\n1 | 0.5*(x*z - 1)^2\n  |        ^",
        ),
        (
            "x +\n  ww[1]",
            "2:3: unknown name `ww`; did you mean `w`? Names here: x, y, w[1..3], a, e, pi\n  |\n2 |   ww[1]\n  |   ^^",
        ),
        (
            "abs(x)",
            "1:1: `abs` is not smooth, and the theorems need derivatives; write `sqrt(x^2 + c^2)` with a small c\n  |\n1 | abs(x)\n  | ^^^",
        ),
        (
            "relu(x)",
            "`relu` is not smooth, and the theorems need derivatives; write `softplus(x)`",
        ),
        (
            "max(x, y)",
            "`max` is not smooth, and the theorems need derivatives; write `softplus(b*(x - y))/b + y` with a large b",
        ),
        ("floor(x)", "`floor` is not smooth"),
        (
            "sign(x)",
            "`sign` is not smooth, and the theorems need derivatives; write `tanh(b*x)` with a large b",
        ),
        (
            "norm(w)",
            "`norm` is not smooth, and the theorems need derivatives; write `sqrt(norm2(v) + c^2)`",
        ),
        ("ln(x)", "1:1: unknown function `ln`; write log(x)"),
        ("pow(x, 2)", "unknown function `pow`; write x^y"),
        (
            "tahn(x)",
            "1:1: unknown function `tahn`; did you mean `tanh`? Functions: exp, log, sqrt, sin, cos, tanh, sigmoid, softplus, sum, dot, norm2",
        ),
        (
            "x(y + 1)",
            "1:1: `x` is not a function; a product is written with `*`",
        ),
        ("exp + 1", "1:1: `exp` is a function; write exp(…)"),
        (
            "2x",
            "1:2: expected an operator (+ - * / ^) or the end; a product is written with `*`, as in 2*x",
        ),
        ("x**2", "1:2: unknown operator `**`; did you mean `^`?"),
        ("x − y", "1:3: unexpected `−`; did you mean `-`?"),
        (
            "x < y",
            "1:3: unexpected `<`; comparisons make a loss that is not smooth",
        ),
        (
            "x $ y",
            "1:3: unexpected `$`; allowed: numbers, names, + - * / ^ ( ) [ ] ,",
        ),
        (
            "",
            "1:1: the expression is empty; for example 0.5*(x*y - 1)^2",
        ),
        (
            "x +",
            "1:4: the expression ends here, but a number, a name, a function or `(` must follow",
        ),
        (
            "x + * y",
            "1:5: expected a number, a name, a function or `(`",
        ),
        ("(x + y", "1:1: this bracket is not closed; `)` is missing"),
        ("exp(x", "1:4: this bracket is not closed; `)` is missing"),
        ("w[1", "1:2: this bracket is not closed; `]` is missing"),
        ("(x + y]", "1:7: expected an operator (+ - * / ^) or `)`"),
        ("x)", "1:2: this `)` closes nothing"),
        (
            "x, y",
            "1:2: a comma stands between the arguments of a function only",
        ),
        (
            "w[0]",
            "1:3: an index is a whole number from 1, as in w[3] or w[1..20]",
        ),
        (
            "w[1.5]",
            "1:3: an index is a whole number from 1, as in w[3] or w[1..20]",
        ),
        (
            "w[x]",
            "1:3: an index is a whole number from 1, as in w[3] or w[1..20]",
        ),
        (
            "w[1, 2]",
            "1:4: expected `]`: an index is a whole number, as in w[3] or w[1..20]",
        ),
        ("w[4]", "1:1: `w` has 3 entries, w[1] to w[3]"),
        ("sum(w[3..2])", "1:5: w[3..2] runs backwards"),
        ("x[1]", "1:1: `x` is a number and has no entries"),
        (
            "w",
            "1:1: is a vector of length 3, but must be a number; `sum`, `dot` and `norm2` make numbers of vectors",
        ),
        (
            "sum(w + w[1..2])",
            "1:5: vectors of lengths 3 and 2: entry by entry, both must be equally long",
        ),
        (
            "dot(w, w[2..3])",
            "1:1: `dot` of vectors of lengths 3 and 2: both must be equally long",
        ),
        ("dot(w)", "1:1: `dot` takes two vectors, dot(a, b)"),
        ("sum(x)", "1:1: `sum` takes one vector, sum(v)"),
        ("norm2(x, y)", "1:1: `norm2` takes one vector, norm2(v)"),
        (
            "exp(x, y)",
            "1:1: `exp` takes one argument, exp(x), but here are 2",
        ),
        (
            "exp()",
            "1:1: `exp` takes one argument, exp(x), but here are 0",
        ),
        ("x/0", "1:3: division by zero\n  |\n1 | x/0\n  |   ^"),
        (
            "x/(a - 2)",
            "1:3: division by zero\n  |\n1 | x/(a - 2)\n  |   ^^^^^^^",
        ),
        ("x/(y - y)", "1:3: division by zero"),
        (
            "(a - 2)^-1",
            "1:1: division by zero: a negative power of zero",
        ),
        (
            "(-2)^x",
            "1:1: the base of a power with this exponent must be positive: x^y is exp(y*log(x))",
        ),
        ("log(0)", "1:1: `log` of 0 is not a finite number"),
        ("sqrt(-a)", "1:1: `sqrt` of -2 is not a finite number"),
        (
            "exp(1e9) + x",
            "1:1: is inf for all parameters: not a finite number",
        ),
        (
            "1e308*10*x",
            "1:1: is inf for all parameters: not a finite number",
        ),
        (
            "1e999",
            "1:1: the number 1e999 is not finite; the largest is 1.8e308",
        ),
        (
            "x + .",
            "1:5: unexpected `.`; a number needs a digit beside its point",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(
            message.contains(expected),
            "`{text}`: {message}\n  should contain\n{expected}"
        );
    }
}

#[test]
fn declarations_are_checked() {
    for (parameters, expected) in [
        (&["x", "x"][..], "1:1: `x` is declared twice"),
        (&["pi"], "`pi` is a known number; take another name"),
        (&["exp"], "`exp` is a function; take another name"),
        (
            &["2*x"],
            "is not a parameter; allowed: a name such as `x`, or a vector such as `w[1..20]`, counted from 1",
        ),
        (&["w[2..4]"], "is not a parameter"),
        (&["w[3]"], "is not a parameter"),
        (&["w[1..100000]"], "more than 10000 parameters"),
        (&["x y"], "expected an operator"),
    ] {
        let (index, error) = Scope::new(parameters).expect_err("must be refused");
        assert_eq!(index, parameters.len() - 1);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut scope = scope(&["x", "w[1..2]"]);
    assert_eq!(scope.parameters(), ["x", "w[1]", "w[2]"]);
    for (name, value, expected) in [
        ("x", 1.0, "`x` is declared twice"),
        ("b", f64::NAN, "is NaN, but must be a finite number"),
        ("1b", 1.0, "`1b` is not a name"),
        ("", 1.0, "`` is not a name"),
    ] {
        let error = scope.constant(name, value).expect_err("must be refused");
        assert!(error.contains(expected), "{error}");
    }
}

/// Texts that break parsers: long, deep, or short for something large.
#[test]
fn hostile_texts_are_refused() {
    let deep = "nested too deeply: at most 128 levels are allowed";
    let large = "too large: at most 50000 operations are allowed";
    let scope = scope(&["x", "w[1..9000]"]);
    let doubling = format!("sum({})", vec!["w"; 20_000].join("*"));
    for (text, expected) in [
        ("(".repeat(60_000), deep),
        ("-".repeat(60_000), deep),
        ("+".repeat(60_000), deep),
        ("x^".repeat(30_000), deep),
        ("exp(".repeat(15_000), deep),
        (
            "x ".repeat(40_000),
            "the expression has 80000 bytes; at most 65536 are allowed",
        ),
        (doubling, large),
        ("sum(exp(w)*sin(w)+cos(w)^w*tanh(w))".into(), large),
    ] {
        let error = Function::parse(&text, &scope).expect_err("must be refused");
        assert!(error.to_string().contains(expected), "{}", error.message);
    }
    // Long but harmless.
    let text = vec!["x"; 20_000].join("+");
    let function = Function::parse(&text, &scope).expect("a sum");
    assert_eq!(function.value(&vec![1.0; 9001], |_| 0.0), 20_000.0);
}

/// A random smooth expression, as text and as a function.
#[derive(Clone, Debug)]
enum Tree {
    X,
    Y,
    Number(i32),
    Add(Box<Tree>, Box<Tree>),
    Subtract(Box<Tree>, Box<Tree>),
    Multiply(Box<Tree>, Box<Tree>),
    Divide(Box<Tree>, Box<Tree>),
    Negate(Box<Tree>),
    /// tanh(t)^n.
    Power(Box<Tree>, i32),
    Call(&'static str, Box<Tree>),
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Tree::X => "x".into(),
            Tree::Y => "y".into(),
            Tree::Number(k) => format!("({})", f64::from(*k) / 4.0),
            Tree::Add(a, b) => format!("({} + {})", a.text(), b.text()),
            Tree::Subtract(a, b) => format!("({} - {})", a.text(), b.text()),
            Tree::Multiply(a, b) => format!("{}*{}", a.text(), b.text()),
            // Away from poles.
            Tree::Divide(a, b) => format!("{}/(2 + sin({}))", a.text(), b.text()),
            Tree::Negate(a) => format!("(-{})", a.text()),
            Tree::Power(a, n) => format!("tanh({})^{n}", a.text()),
            Tree::Call(name, a) => match *name {
                "exp" => format!("exp(tanh({}))", a.text()),
                "log" => format!("log(2 + cos({}))", a.text()),
                "sqrt" => format!("sqrt(1 + ({})^2)", a.text()),
                name => format!("{name}({})", a.text()),
            },
        }
    }

    fn value(&self, x: f64, y: f64) -> f64 {
        let v = |t: &Tree| t.value(x, y);
        match self {
            Tree::X => x,
            Tree::Y => y,
            Tree::Number(k) => f64::from(*k) / 4.0,
            Tree::Add(a, b) => v(a) + v(b),
            Tree::Subtract(a, b) => v(a) - v(b),
            Tree::Multiply(a, b) => v(a) * v(b),
            Tree::Divide(a, b) => v(a) / (2.0 + v(b).sin()),
            Tree::Negate(a) => -v(a),
            Tree::Power(a, n) => v(a).tanh().powi(*n),
            Tree::Call(name, a) => match *name {
                "exp" => v(a).tanh().exp(),
                "log" => (2.0 + v(a).cos()).ln(),
                "sqrt" => v(a).hypot(1.0),
                "sin" => v(a).sin(),
                "cos" => v(a).cos(),
                "tanh" => v(a).tanh(),
                "sigmoid" => 1.0 / (1.0 + (-v(a)).exp()),
                _ => v(a).max(0.0) + (-v(a).abs()).exp().ln_1p(),
            },
        }
    }
}

const NAMES: &[&str] = &[
    "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus",
];

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        3 => Just(Tree::X),
        3 => Just(Tree::Y),
        1 => (-9..9).prop_map(Tree::Number),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let two = (one.clone(), one.clone());
        prop_oneof![
            2 => two.clone().prop_map(|(a, b)| Tree::Add(a, b)),
            2 => two.clone().prop_map(|(a, b)| Tree::Subtract(a, b)),
            3 => two.clone().prop_map(|(a, b)| Tree::Multiply(a, b)),
            1 => two.prop_map(|(a, b)| Tree::Divide(a, b)),
            1 => one.clone().prop_map(Tree::Negate),
            1 => (one.clone(), 2..6).prop_map(|(a, n)| Tree::Power(a, n)),
            4 => (prop::sample::select(NAMES), one).prop_map(|(name, a)| Tree::Call(name, a)),
        ]
    })
}

impl Tree {
    /// The same as [`Tree::text`], on symbols.
    fn symbol<'g>(&self, x: Symbol<'g>, y: Symbol<'g>) -> Symbol<'g> {
        let v = |t: &Tree| t.symbol(x, y);
        match self {
            Tree::X => x,
            Tree::Y => y,
            Tree::Number(k) => (f64::from(*k) / 4.0).into(),
            Tree::Add(a, b) => v(a) + v(b),
            Tree::Subtract(a, b) => v(a) - v(b),
            Tree::Multiply(a, b) => v(a) * v(b),
            Tree::Divide(a, b) => v(a) / (2.0 + v(b).sin()),
            Tree::Negate(a) => -v(a),
            Tree::Power(a, n) => v(a).tanh().powi(*n),
            Tree::Call(name, a) => match *name {
                "exp" => v(a).tanh().exp(),
                "log" => (2.0 + v(a).cos()).ln(),
                "sqrt" => (1.0 + v(a).powf(2.0)).sqrt(),
                "sin" => v(a).sin(),
                "cos" => v(a).cos(),
                "tanh" => v(a).tanh(),
                "sigmoid" => v(a).sigmoid(),
                _ => v(a).softplus(),
            },
        }
    }
}

/// All that a formula says at some points, bit by bit.
fn bits<F: Formula>(formula: &F) -> Vec<u64> {
    let d = Formula::dimension(formula);
    let m = nalgebra::DMatrix::from_fn(d, d, |i, j| 0.3 + (i + j) as f64 - (i * j) as f64);
    let mut bits = vec![];
    for x in points(17, 20, d, 1.0) {
        let vector = nalgebra::DVector::from_column_slice(&x);
        let jet = formula.jet(&vector);
        let third = formula.third(&vector, &m);
        let lanes = broadcast(&x);
        let mut on_lanes = vec![Lanes::ZERO; d + 1];
        formula.gradients(&lanes, &mut on_lanes[..d]);
        formula.values(&lanes, &mut on_lanes[d..]);
        let on_lanes = on_lanes.iter().map(|v| v.to_array()[3]);
        bits.push(jet.value.to_bits());
        bits.extend(jet.gradient.iter().map(|v| v.to_bits()));
        bits.extend(jet.hessian.iter().map(|v| v.to_bits()));
        bits.extend(third.iter().map(|v| v.to_bits()));
        bits.extend(on_lanes.map(f64::to_bits));
    }
    bits
}

/// A loss in Rust, and the same as a text in x\[1..d\].
type Pair = (usize, &'static str, for<'g> fn(&[Symbol<'g>]) -> Symbol<'g>);

/// The same operations in the same order: value and derivatives have the same bits, on one path and on eight.
#[test]
fn closures_have_the_bits_of_their_texts() -> Outcome {
    let pairs: &[Pair] = &[
        (2, "0.5*(x[1]*x[2] - 1)^2", |x| {
            0.5 * (x[0] * x[1] - 1.0).square()
        }),
        (2, "(x[1] - 2)*(3/x[2]) + 4 - -x[1]/2", |x| {
            (x[0] - 2.0) * (3.0 / x[1]) + 4.0 - -x[0] / 2.0
        }),
        (
            1,
            "exp(x[1]) + log(x[1] + 3) + sqrt(x[1] + 3) + sin(x[1])",
            |x| x[0].exp() + (x[0] + 3.0).ln() + (x[0] + 3.0).sqrt() + x[0].sin(),
        ),
        (
            1,
            "cos(x[1])*tanh(x[1])*sigmoid(x[1])*softplus(x[1])",
            |x| x[0].cos() * x[0].tanh() * x[0].sigmoid() * x[0].softplus(),
        ),
        (1, "x[1]^5 + x[1]^-3 + (x[1] + 3)^1.5 + 2^x[1]", |x| {
            x[0].powi(5) + x[0].powi(-3) + (x[0] + 3.0).powf(1.5) + Symbol::from(2.0).powf(x[0])
        }),
        (2, "(3 + x[1])^x[2] + (3 + x[1])^0.3", |x| {
            (3.0 + x[0]).powf(x[1]) + (3.0 + x[0]).powf(0.3)
        }),
        (
            7,
            "(norm2(x) - 1)^2/4 + sum(x^3) + dot(x[1..3], x[5..7])*x[4]",
            |x| {
                let cubes: Vec<Symbol> = x.iter().map(|x| x.powi(3)).collect();
                (norm2(x) - 1.0).square() / 4.0 + sum(&cubes) + dot(&x[..3], &x[4..]) * x[3]
            },
        ),
        (4, "sum(x*x) + 1/(3 + sum(x))", |x| {
            x.iter().map(|x| x * x).sum::<Symbol>() + (3.0 + x.iter().sum::<Symbol>()).recip()
        }),
        (2, "7", |_| 7.0.into()),
        (2, "x[1] - x[1]", |x| x[0] - x[0]),
    ];
    for (d, text, closure) in pairs {
        let written =
            Expression::of_loss(text, &Scope::of_dimension(*d)).map_err(|e| e.to_string())?;
        let traced = Expression::from_fn(*d, closure)?;
        assert_eq!(bits(&traced), bits(&written), "{text}");
        check_contract(
            text,
            &Expression::from_fn(*d, closure)?,
            &points(3, 11, *d, 1.0),
        )?;
    }
    // Assignments, products and references: other orders, the same function.
    let loss = Expression::from_fn(3, |x| {
        let mut loss = Symbol::from(1.0);
        loss += x[0];
        loss *= &x[1];
        loss -= 2.0;
        loss /= 4.0;
        let product: Symbol = x.iter().product();
        let twice: Symbol = x.iter().copied().map(|x| 2.0 * x).product();
        loss * -&x[2] + dot(x, &[1.0, 2.0, 3.0]) + product + &twice * 0.5 + 3.0 / &(x[0] + 5.0)
    })?;
    let text =
        "-x[3]*((1 + x[1])*x[2] - 2)/4 + x[1] + 2*x[2] + 3*x[3] + 5*x[1]*x[2]*x[3] + 3/(x[1] + 5)";
    let written = Expression::of_loss(text, &Scope::of_dimension(3))?;
    agree(text, &loss, &written);
    Ok(())
}

/// Only the value of a built-in landscape is run on symbols; its derivatives are compared with those written by hand.
#[test]
fn derivatives_of_values_are_those_written_by_hand() -> Outcome {
    fn traced<F: Formula>(name: &str, formula: F) -> Outcome {
        let traced = Expression::from_fn(formula.dimension(), |x| formula.value(x))?;
        agree(name, &traced, &formula);
        Ok(())
    }
    let entries = |rows, columns| {
        nalgebra::DMatrix::from_fn(rows, columns, |i, k| (1.0 + (3 * i + 5 * k) as f64).sin())
    };
    traced("hyperbola", Hyperbola)?;
    traced("double well", DoubleWell::new(3, 1.7)?)?;
    traced("sphere", Sphere::new(3)?)?;
    traced("ellipse", Ellipse::new(&[2.0, 0.5])?)?;
    traced(
        "valley",
        Valley::new(Steepness::Exponential { kappa: 0.5 })?,
    )?;
    traced("quadratic", Quadratic::from_spectrum(&[2.0, 0.5, 1.0])?)?;
    traced("factorization", MatrixFactorization::new(&entries(3, 2))?)?;
    traced(
        "diagonal network",
        DiagonalNetwork::new(&entries(2, 3), vec![1.0, -0.5])?,
    )?;
    let targets = |i| f64::from(u8::try_from(i % 2).unwrap_or_default());
    for loss in [RegressionLoss::LeastSquares, RegressionLoss::Logistic] {
        let regression = Regression::new(entries(9, 3), (0..9).map(targets).collect(), loss, 0.1)?;
        traced("regression", regression)?;
    }
    for activation in [Activation::Tanh, Activation::Softplus] {
        let targets = (0..5).map(targets).collect();
        traced(
            "network",
            TwoLayerNetwork::new(&entries(5, 2), targets, 2, activation)?,
        )?;
    }
    Ok(())
}

#[test]
fn closures_of_residuals_noise_and_rows() -> Outcome {
    let names = Scope::of_dimension(3);
    let texts = ["x[1]*x[2] - 1".to_string(), "tanh(x[2] + x[3])".into()];
    let written = Expression::of_residuals(&texts, &names).map_err(|(_, e)| e)?;
    let residuals =
        Expression::residuals_from_fn(3, |x| vec![x[0] * x[1] - 1.0, (x[1] + x[2]).tanh()])?;
    assert_eq!(bits(&residuals), bits(&written));
    check_contract("residuals", &residuals, &points(5, 11, 3, 1.5))?;

    let rows = [["0.5*x[1]", "0"], ["1", "exp(x[2])"], ["0", "x[1]*x[3]"]];
    let rows: Vec<Vec<String>> = rows.iter().map(|r| r.map(str::to_owned).to_vec()).collect();
    let law = EntryLaw::Student { freedom: 5.0 };
    let written = ExpressionNoise::new(&rows, law, &names).map_err(|(_, _, e)| e)?;
    let noise = ExpressionNoise::from_fn(3, law, |x| {
        let zero = Symbol::from(0.0);
        vec![
            vec![0.5 * x[0], zero],
            vec![1.0.into(), x[1].exp()],
            vec![zero, x[0] * x[2]],
        ]
    })?;
    assert!(!noise.additive() && noise.innovation() == written.innovation());
    let (x, zeta) = (broadcast(&[0.3, -0.7, 1.1]), broadcast(&[0.9, -1.3]));
    let [ours, theirs] = [&noise, &written].map(|noise| {
        let mut v = [Lanes::ZERO; 3];
        noise.diffuse(0.7, &x, &zeta, &mut v, &mut []);
        v.map(|v| v.to_array()[0])
    });
    assert_eq!(ours, theirs);
    // B(x)ζ with B = ((x₁/2, 0), (1, exp x₂), (0, x₁x₃)).
    let expected = [0.15 * 0.9, 0.9 - 1.3 * (-0.7f64).exp(), -1.3 * 0.33];
    for (found, expected) in ours.iter().zip(expected) {
        assert!(
            (found - 0.7 * expected).abs() < 1e-15,
            "{found}, {expected}"
        );
    }
    let constant = ExpressionNoise::from_fn(1, EntryLaw::Gaussian, |_| vec![vec![2.0.into()]])?;
    assert!(constant.additive());

    let mut names = Scope::of_dimension(2);
    names.column("s")?;
    names.column("y")?;
    let written = Function::parse("softplus(x[1] + x[2]*s) - y*x[1]", &names)?;
    let function =
        Function::from_fn_of_rows(2, 2, |x, z| (x[0] + x[1] * z[0]).softplus() - z[1] * x[0])?;
    let x = [0.4, -1.2];
    let all = |f: &Function| {
        let z = |k: usize| [0.7, 1.0][k];
        let mut all = vec![f.value(&x, z)];
        f.gradient(&x, z, |_, v| all.push(v));
        f.hessian(&x, z, |_, _, v| all.push(v));
        all
    };
    assert_eq!(all(&function), all(&written));
    assert_eq!((function.dimension(), function.columns()), (2, 2));
    Ok(())
}

/// The file, line and column of the operation in the Rust source, what is wrong, and what is allowed.
#[test]
fn mistakes_in_closures_are_named() {
    let one = |f: for<'g> fn(&[Symbol<'g>]) -> Symbol<'g>| {
        let error = Expression::from_fn(2, f).err();
        error.unwrap_or_else(|| panic!("accepted"))
    };
    let line = line!() + 1;
    let error = one(|x| x[0] / (x[1] - x[1]) + 1.0);
    let place = error.place.unwrap_or_else(|| panic!("no place"));
    assert_eq!((place.file(), place.line()), (file!(), line));
    let column = place.column();
    assert_eq!(column, 25);
    let place = format!("{}:{line}:{column}", file!());
    assert_eq!(error.to_string(), format!("{place}: division by zero"));
    for (f, expected) in [
        (
            (|x| x[0] / 0.0) as for<'g> fn(&[Symbol<'g>]) -> Symbol<'g>,
            "division by zero",
        ),
        (|x| x[0] * f64::NAN, "the number NaN is not finite"),
        (
            |x| x[0] + Symbol::from(1.0) / 0.0,
            "the number NaN is not finite",
        ),
        (|_| f64::INFINITY.into(), "the number inf is not finite"),
        (
            |x| (x[0] - x[0]).ln() + x[1],
            "is -inf for all parameters: not a finite number",
        ),
        (
            |x| (x[0] - x[0] - 2.0).powf(x[1]),
            "the base of a power with this exponent must be positive",
        ),
        (
            |x| (x[0] - x[0]).powf(-1.0),
            "division by zero: a negative power of zero",
        ),
        (|x| (x[0] - x[0]).powi(-2), "division by zero"),
        (
            |x| dot(x, &x[..1]),
            "`dot` of vectors of lengths 2 and 1: both must be equally long",
        ),
        (
            |x| (0..40_000).fold(x[0], |sum, _| sum.sin() + x[1]),
            "too large: at most 50000 operations are allowed",
        ),
    ] {
        let message = one(f).to_string();
        assert!(
            message.contains(file!()) && message.contains(expected),
            "{message}"
        );
    }
    for (error, expected) in [
        (
            Expression::from_fn(0, |_| 1.0.into()).err(),
            "there must be at least one parameter",
        ),
        (
            Expression::from_fn(10_001, |x| x[0]).err(),
            "10001 parameters, but there must be from 1 to 10000",
        ),
        (
            Expression::residuals_from_fn(2, |_| vec![]).err(),
            "0 residuals of 2 parameters",
        ),
        (
            Expression::residuals_from_fn(10_000, |x| vec![x[0]; 21]).err(),
            "21 residuals of 10000 parameters",
        ),
        (
            ExpressionNoise::from_fn(2, EntryLaw::Gaussian, |x| vec![vec![x[0]]]).err(),
            "rows of lengths [1], but there must be 2, one for each parameter",
        ),
        (
            ExpressionNoise::from_fn(2, EntryLaw::Gaussian, |x| vec![vec![x[0]], vec![]]).err(),
            "rows of lengths [1, 0]",
        ),
    ] {
        let message = error.map(|e| e.to_string()).unwrap_or_default();
        assert!(
            message.contains(expected) && message.contains(file!()),
            "{message}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The value is that of the tree; every derivative is that of the next lower one, by dual numbers.
    #[test]
    fn random_expressions_keep_the_contract(tree in trees()) {
        let text = tree.text();
        let landscape = loss(&["x", "y"], &text);
        let points = points(6, 9, 2, 1.0);
        for p in &points {
            let (found, expected) = (Formula::value(&landscape, p.as_slice()), tree.value(p[0], p[1]));
            // Up to 40 operations on numbers that are mostly below 10³.
            prop_assert!((found - expected).abs() <= 1e-11 * (1.0 + expected.abs()), "{text}: {found:e}, {expected:e}");
        }
        // On symbols: the same operations, but for their order.
        match Expression::from_fn(2, |x| tree.symbol(x[0], x[1])) {
            Ok(closure) => {
                let [ours, theirs] = [&closure, &landscape].map(|f| {
                    bits(f).into_iter().map(f64::from_bits).collect::<Vec<_>>()
                });
                let size = theirs.iter().fold(1.0, |s: f64, t| s.max(t.abs()));
                for (p, q) in ours.iter().zip(&theirs) {
                    prop_assert!((p - q).abs() <= 1e-11 * size, "{text}: {p:e}, {q:e}");
                }
            }
            Err(error) => prop_assert!(false, "{text}: {error}"),
        }
        if let Err(message) = check_contract(&text, &landscape, &points) {
            prop_assert!(false, "{message}");
        }
    }
}

/// A scenario with this landscape and noise, and these test functions.
fn text(landscape: &str, noise: &str, x0: &str, functions: &str) -> String {
    format!(
        "title = \"T\"\nclaim = \"Theorem 4.5\"\n{landscape}\n{noise}\n[start]\nx0 = {{ at = {x0} }}\n[run]\nhorizon = 1.0\nalphas = [0.0]\neta_max = 0.0625\netas = 3\npaths = 256\nmax_paths = 256\nfunctions = {functions}\n[[compare]]\nleft = \"sgdm\"\nright = \"sgd\"\nexpect = \"consistent\"\n"
    )
}

fn read(text: &str, overrides: &Overrides) -> Result<Scenario, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let folder = folder.as_path();
    Scenario::parse(text, "t.toml", "t", folder, Profile::Smoke, overrides)
        .map_err(|e| e.to_string())
}

const GAUSSIAN: &str = "[noise.gaussian]\nfactor = { isotropic = 0.5 }";
const LABEL: &str = "[noise.label]\ndeviation = 0.5\nlaw = \"rademacher\"";
const BATCH: &str = "[noise.minibatch]\nsize = 2";

/// All numbers of two results, in order; those of the second may differ by rounding.
fn numbers(value: &serde_json::Value, into: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(n) => into.extend(n.as_f64()),
        serde_json::Value::Array(all) => all.iter().for_each(|v| numbers(v, into)),
        serde_json::Value::Object(all) => all.values().for_each(|v| numbers(v, into)),
        _ => (),
    }
}

/// The same noise drives both: the same verdicts, and the same numbers within rounding.
#[test]
fn scenarios_agree_with_the_built_in_landscapes() -> Outcome {
    let written = |keys: &str| format!("[landscape.expression]\n{keys}");
    let panel = "[\"x[1]\", \"x[1]*x[2]\", \"loss\", \"trace_hessian\", \"cos(x[1])\"]";
    let growing = "[noise.gaussian]\nfactor = { growing = 0.3 }";
    let growing_text = "[noise.gaussian]\nfactor = { expression = [[\"0.3*sqrt(1 + x^2 + y^2)\", \"0\"], [\"0\", \"0.3*sqrt(1 + x^2 + y^2)\"]] }";
    let xy = "parameters = [\"x\", \"y\"]\n";
    let w = "parameters = [\"w[1..2]\"]\n";
    let panel_xy = "[\"x\", \"y*x\", \"loss\", \"trace_hessian\", \"cos(x) + 0*y\"]";
    let regression = "[landscape.regression]\nloss = \"logistic\"\nfile = \"data/breast_cancer.csv\"\ntarget = \"malignant\"\nfeatures = [\"mean_radius\"]\nrows = 40";
    // Standardised columns have mean 0 and variance 1 in both; the target stays 0 or 1 only without it, so neither is scaled.
    let regression = format!("{regression}\nstandardize = false");
    let sampled = "parameters = [\"b\", \"c\"]\nfile = \"data/breast_cancer.csv\"\ncolumns = [\"mean_radius\", \"malignant\"]\nrows = 40\nsample_loss = \"softplus(b*mean_radius + c) - malignant*(b*mean_radius + c)\"";
    let cases = [
        (
            "[landscape.hyperbola]".to_string(),
            written(&format!("{xy}loss = \"0.5*(x*y - 1)^2\"")),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel_xy],
        ),
        (
            "[landscape.hyperbola]".into(),
            written(&format!("{xy}residuals = [\"x*y - 1\"]")),
            [LABEL, LABEL],
            [panel, panel],
        ),
        (
            "[landscape.hyperbola]".into(),
            written(&format!("{xy}residuals = [\"x*y - 1\"]")),
            [growing, growing_text],
            [panel, panel],
        ),
        (
            "[landscape.valley.steepness.exponential]\nkappa = 0.5".into(),
            written(
                "parameters = [\"u\", \"v\"]\nconstants = { k = 0.5 }\nloss = \"0.5*exp(k*u^2)*v^2\"",
            ),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.sphere]\ndimension = 2".into(),
            written(&format!("{w}loss = \"0.25*(norm2(w) - 1)^2\"")),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.valley]\nsteepness = { quadratic = {} }".into(),
            written("parameters = [\"u\", \"v\"]\nloss = \"0.5*(1 + u^2)*v^2\""),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.ellipse]\nsemi_axes = [2.0, 0.5]".into(),
            written(&format!("{xy}loss = \"0.25*((x/2)^2 + (y/0.5)^2 - 1)^2\"")),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.double_well]\ndimension = 2\ncurvature = 1.7".into(),
            written(&format!("{xy}loss = \"(x^2 - 1)^2/4 + 0.85*y^2\"")),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]\ncenter = [1.0, -2.0]".into(),
            written(&format!(
                "{xy}loss = \"0.5*((x - 1)^2 + 0.6*(x - 1)*(y + 2) + 0.5*(y + 2)^2)\""
            )),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (
            "[landscape.matrix_factorization]\nfactor = [[0.8], [0.3]]".into(),
            written(&format!(
                "{xy}loss = \"0.25*((x^2 - 0.64)^2 + 2*(x*y - 0.24)^2 + (y^2 - 0.09)^2)\""
            )),
            [GAUSSIAN, GAUSSIAN],
            [panel, panel],
        ),
        (regression, written(sampled), [BATCH, BATCH], [panel, panel]),
    ];
    for (built_in, expression, noises, panels) in cases {
        let run = |landscape: &str, noise: &str, panel: &str| -> Result<_, Box<dyn Error>> {
            let scenario = read(
                // Of the panel both know the loss by the same name.
                &text(landscape, noise, "[0.5, 0.25]", panel)
                    .replace("[[compare]]", "monitored = [\"loss\"]\n[[compare]]"),
                &Overrides::default(),
            )?;
            let result = scenario.execute(&Control::default(), &|_| {})?;
            let verdicts: Vec<_> = result.comparisons.iter().map(|c| c.verdict).collect();
            let mut all = vec![];
            numbers(&serde_json::to_value(&result.comparisons)?, &mut all);
            Ok((verdicts, all))
        };
        let (verdicts, ours) = run(&expression, noises[1], panels[1])?;
        let (expected, theirs) = run(&built_in, noises[0], panels[0])?;
        assert_eq!(verdicts, expected, "{expression}");
        assert_eq!(ours.len(), theirs.len(), "{expression}");
        for (a, b) in ours.iter().zip(&theirs) {
            // Rounding errors of 1e-16 a step, divided by differences of processes of some 1e-3.
            assert!(
                (a - b).abs() <= 1e-7 * (1.0 + a.abs()),
                "{expression}: {a:e}, {b:e}"
            );
        }
    }
    Ok(())
}

/// File, line, column and caret: where the mistake stands in the file.
#[test]
fn scenario_mistakes_are_named() {
    let xy = |keys: &str| format!("[landscape.expression]\nparameters = [\"x\", \"y\"]\n{keys}");
    let panel = "[\"x[1]\"]";
    let good = "loss = \"(x*y - 1)^2\"";
    let sampled = |keys: &str| {
        xy(&format!(
            "sample_residual = \"x*bmi + y - progression\"\n{keys}"
        ))
    };
    let factor = |rows: &str| format!("[noise.gaussian]\nfactor = {{ expression = {rows} }}");
    let cases = [
        (
            xy("loss = \"(x*z - 1)^2\""),
            GAUSSIAN.to_string(),
            "[1.0, 1.0]",
            panel,
            "t.toml:5:12: `landscape.expression.loss`: unknown name `z`. Names here: x, y, e, pi\n  |\n5 | loss = \"(x*z - 1)^2\"\n  |            ^",
        ),
        (
            xy("residuals = [\"x - 1\", \"relu(y)\"]"),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:5:24: `landscape.expression.residuals[2]`: `relu` is not smooth, and the theorems need derivatives; write `softplus(x)`\n  |\n5 | residuals = [\"x - 1\", \"relu(y)\"]\n  |                        ^^^^",
        ),
        (
            xy("loss = \"\"\"\nx^2 +\n  y^\"\"\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:7:5: `landscape.expression.loss`: the expression ends here",
        ),
        (
            xy("loss = \"x \\u002B z\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:5:1: `landscape.expression.loss`: unknown name `z`. Names here: x, y, e, pi\n  |\n1 | x + z\n  |     ^",
        ),
        (
            xy("constants = { a = nan }\nloss = \"x\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "`landscape.expression.constants.a`: is NaN, but must be a finite number",
        ),
        (
            xy("constants = { x = 1.0 }\nloss = \"x\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "`landscape.expression.constants.x`: `x` is declared twice",
        ),
        (
            xy("loss = \"x\"\nresiduals = [\"x\"]"),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:3:12: `landscape.expression`: needs exactly one of `loss`, `residuals`, `sample_loss` and `sample_residual`",
        ),
        (
            xy(""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "needs exactly one of",
        ),
        (
            xy("residuals = []"),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:5:1: `landscape.expression.residuals`: is empty; write at least one residual",
        ),
        (
            xy("los = \"x\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "unknown key `los`; did you mean `loss`?",
        ),
        (
            "[landscape.expression]\nparameters = []\nloss = \"1\"".into(),
            GAUSSIAN.into(),
            "[]",
            panel,
            "t.toml:4:1: `landscape.expression.parameters`: is empty; write [\"x\", \"y\"] or [\"w[1..20]\"]",
        ),
        (
            "[landscape.expression]\nparameters = [\"x\", \"sin\"]\nloss = \"x\"".into(),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:4:21: `landscape.expression.parameters[2]`: `sin` is a function; take another name\n  |\n4 | parameters = [\"x\", \"sin\"]\n  |                     ^^^",
        ),
        (
            xy("loss = \"log(x) + y\""),
            GAUSSIAN.into(),
            "[0.0, 1.0]",
            panel,
            "`start.x0`: has loss -inf, but the loss must be finite where the paths start",
        ),
        (
            xy("loss = \"log(x) + y\""),
            GAUSSIAN.into(),
            "[-1.0, 1.0]",
            panel,
            "`start.x0`: has loss NaN, but the loss must be finite where the paths start",
        ),
        (
            xy("loss = \"sqrt(x) + y\""),
            GAUSSIAN.into(),
            "[0.0, 1.0]",
            panel,
            "`start.x0`: has ∂L/∂x[1] = inf, but the gradient must be finite where the paths start",
        ),
        (
            xy(good),
            LABEL.into(),
            "[1.0, 1.0]",
            panel,
            "`noise.label`: needs a landscape that averages squared losses",
        ),
        (
            xy(good),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "`noise.minibatch.size`: needs a landscape that averages over samples",
        ),
        (
            xy("loss = \"x\"\nfile = \"data/diabetes.csv\""),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            panel,
            "`landscape.expression.file`: is for losses over the rows of a file: write `sample_loss` or `sample_residual`",
        ),
        (
            sampled(""),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "t.toml:5:1: `landscape.expression.sample_residual`: needs `file`, a CSV file with a header, and `columns`",
        ),
        (
            sampled("file = \"data/none.csv\"\ncolumns = [\"bmi\", \"progression\"]"),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "data/none.csv: cannot be read",
        ),
        (
            sampled("file = \"data/diabetes.csv\"\ncolumns = [\"bmj\", \"progression\"]"),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "unknown name `bmi`; did you mean `bmj`?",
        ),
        (
            xy(
                "sample_residual = \"x*bmj + y\"\nfile = \"data/diabetes.csv\"\ncolumns = [\"bmj\"]",
            ),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "no column `bmj`; did you mean `bmi`?",
        ),
        (
            sampled("file = \"data/diabetes.csv\"\ncolumns = [\"bmi\", \"x\"]"),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "`landscape.expression.columns[2]`: `x` is declared twice",
        ),
        (
            sampled("file = \"data/diabetes.csv\"\ncolumns = []"),
            BATCH.into(),
            "[1.0, 1.0]",
            panel,
            "`landscape.expression.columns`: is empty; name at least one column",
        ),
        (
            xy(good),
            factor("[[\"x\"]]"),
            "[1.0, 1.0]",
            panel,
            "`noise.gaussian.factor.expression`: has 1 rows, but must have 2, one for each parameter, with at least one entry",
        ),
        (
            xy(good),
            factor("[[\"x\"], [\"1\", \"2\"]]"),
            "[1.0, 1.0]",
            panel,
            "`noise.gaussian.factor.expression[2]`: has 2 entries, but row 1 has 1",
        ),
        (
            xy(good),
            factor("[[\"x\", \"0\"], [\"1\", \"x/0\"]]"),
            "[1.0, 1.0]",
            panel,
            "t.toml:7:47: `noise.gaussian.factor.expression[2][2]`: division by zero",
        ),
        (
            xy(good),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            "[\"x[1]\", \"sin(x) + yy\"]",
            "t.toml:17:32: `run.functions[2]`: unknown name `yy`; did you mean `y`? Names here: x, y, e, pi; by name: norm2, loss, trace_hessian, gradient_norm2, trace_covariance, recovery, step[i], path_length, variation(loss), descent, noise_induced, curvature_induced, descent_defect, momentum_norm2, momentum2, lag2, gradient_lag2, distance2, fluctuation2, excess_loss, normal_gradient2, gradient_momentum, projected_gradient2, tangential_gradient2, projected_velocity2\n   |\n17 | functions = [\"x[1]\", \"sin(x) + yy\"]\n   |                                ^^",
        ),
        (
            "[landscape.hyperbola]".into(),
            GAUSSIAN.into(),
            "[1.0, 1.0]",
            "[\"sin(x[3])\"]",
            "`run.functions[1]`: `x` has 2 entries, x[1] to x[2]",
        ),
    ];
    let mut wrong = vec![];
    for (landscape, noise, x0, functions, expected) in cases {
        let text = text(&landscape, &noise, x0, functions);
        let message = read(&text, &Overrides::default()).err();
        let message = message.unwrap_or_else(|| "accepted".into());
        if !message.contains(expected) {
            wrong.push(format!("{message}\n  should contain\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let overrides = Overrides {
        assignments: vec!["landscape.expression.loss=\"x*(y\"".into()],
        seed: None,
    };
    let message = read(&text(&xy(good), GAUSSIAN, "[1.0, 1.0]", panel), &overrides).err();
    let message = message.unwrap_or_default();
    assert!(
        message.contains(
            "t.toml (with --set):5:11: `landscape.expression.loss`: this bracket is not closed"
        ),
        "{message}"
    );
}

/// Written test functions run beside named ones, under their own text.
#[test]
fn written_test_functions() -> Outcome {
    let functions = "[\"x\", \"exp(-norm2(w))\", \"loss\"]";
    let landscape = "[landscape.expression]\nparameters = [\"x\", \"w[1..3]\"]\nloss = \"0.5*x^2 + 0.5*norm2(w)\"";
    let scenario = read(
        &text(landscape, GAUSSIAN, "[1.0, 0.0, 1.0, -1.0]", functions),
        &Overrides::default(),
    )?;
    let result = scenario.execute(&Control::default(), &|_| {})?;
    assert_eq!(result.functions, ["x", "exp(-norm2(w))", "loss"]);
    Ok(())
}

/// Gaussian noise of unit variance on x²/2 in the fast regime: (51) is an Ornstein–Uhlenbeck process, normal with mean x e^{−t} and
/// variance (1 − e^{−2t})/2.
fn ornstein_uhlenbeck(law: &str, expect: &str) -> String {
    format!(
        r#"
title = "t"
claim = "c"
[landscape.expression]
parameters = ["x"]
loss = "0.5*x^2"
[noise.gaussian]
covariance = {{ matrix = [[1.0]] }}
[noise_scale]
power = -0.5
[start]
x0 = {{ at = [1.0] }}
[run]
horizon = 1.0
eta_max = 0.0625
etas = 7
times = 2
early_times = 0
paths = 40000
max_paths = 40000
tolerance = 0.1
functions = ["x", "x^2"]
monitored = ["x"]
{law}
[[compare]]
left = "sgdm"
right = "closed_form"
expect = "{expect}"
"#
    )
}

/// The law of the limit as the scenario states it is what SGDM is compared with; a law that is a little off is refuted, by its
/// mean or by its density. Level 0.99, one seed each.
#[test]
fn stated_laws_are_tested() -> Outcome {
    let normal = |mean: &str, variance: &str| {
        format!("exp(-(z - {mean})^2/(2*({variance})))/sqrt(2*pi*({variance}))")
    };
    let (mean, variance) = ("x*exp(-t)", "(1 - exp(-2*t))/2");
    let law = |mean: Option<&str>, density: Option<String>| {
        let mean = mean.map_or(String::new(), |m| format!("mean = \"{m}\"\n"));
        let density = density.map_or(String::new(), |d| format!("density = \"{d}\"\n"));
        format!("[[known.law]]\nfunction = \"x\"\n{mean}{density}")
    };
    let square =
        "[[known.law]]\nfunction = \"x^2\"\nmean = \"x^2*exp(-2*t) + (1 - exp(-2*t))/2\"\n";
    let right = law(Some(mean), Some(normal(mean, variance)));
    let cases = [
        // The moments of a quadratic problem are known anyway.
        (String::new(), "consistent"),
        (format!("{right}{square}"), "consistent"),
        (law(None, Some(normal(mean, variance))), "consistent"),
        (law(Some("x*exp(-0.6*t)"), None), "refuted"),
        // The mean is right, the variance is not.
        (
            law(Some(mean), Some(normal(mean, "0.3*(1 - exp(-2*t))"))),
            "refuted",
        ),
        // A normal law in place of a shifted one.
        (
            law(None, Some(normal("0.6*x*exp(-t)", variance))),
            "refuted",
        ),
    ];
    for (law, expect) in cases {
        let text = ornstein_uhlenbeck(&law, expect);
        let scenario = read(&text, &Overrides::default())?;
        let result = scenario.execute(&Control::default(), &|_| {})?;
        let comparison = &result.comparisons[0];
        let verdict = format!("{:?}", comparison.verdict).to_lowercase();
        assert_eq!(verdict, expect, "{law}: {}", comparison.reason);
        let drawn = result.cells.iter().flat_map(|c| &c.processes);
        let densities = drawn.flat_map(|p| &p.histograms);
        let drawn = densities.filter(|h| !h.density.is_empty()).count();
        assert_eq!(drawn > 0, law.contains("density"), "{law}");
    }
    Ok(())
}

/// A closed form that is none is refused, with the place and with what is wrong.
#[test]
fn closed_forms_are_checked() {
    let refused = |law: &str| match read(
        &ornstein_uhlenbeck(law, "consistent"),
        &Overrides::default(),
    ) {
        Ok(_) => panic!("accepted: {law}"),
        Err(message) => message,
    };
    let law = |keys: &str| format!("[[known.law]]\nfunction = \"x\"\n{keys}");
    let gauss = "exp(-z^2/2)/sqrt(2*pi)";
    for (law, expected) in [
        (
            law(&format!("density = \"1.1*{gauss}\"")),
            "`known.law[1].density`: integrates to 1.100000 at t = 0.5, eta = 0.0625, but must integrate to 1",
        ),
        (
            law(&format!("mean = \"x\"\ndensity = \"{gauss}\"")),
            "`known.law[1].density`: has the mean 0.000000 at t = 0.5, eta = 0.0625, but `mean` says 1.000000",
        ),
        (
            law(&format!(
                "density = \"1.5*{gauss} - 0.5*exp(-z^2/8)/sqrt(8*pi)\""
            )),
            "`known.law[1].density`: is -",
        ),
        (
            law("mean = \"log(t - 2)\""),
            "`known.law[1].mean`: is NaN at t = 0.5",
        ),
        (
            law("mean = \"x*exp(-tau)\""),
            "26:16: `known.law[1].mean`: unknown name `tau`; did you mean `t`? Names here: x, t, eta, e, pi\n   |\n26 | mean = \"x*exp(-tau)\"\n   |                ^^^",
        ),
        (law(""), "`known.law[1]`: needs `mean`, `density` or both"),
        (
            "[[known.law]]\nfunction = \"x^3\"\nmean = \"x\"".into(),
            "`known.law[1].function`: is `x^3`, which is not among the test functions of the run: `x`, `x^2`",
        ),
        (
            format!("{0}{0}", law("mean = \"x\"\n")),
            "`known.law[2].function`: `x` has a law already",
        ),
        (
            "[known]\nprojection = [\"x\"]".into(),
            "`known.projection`: is for regime = \"slow\"",
        ),
    ] {
        let message = refused(&law);
        assert!(message.contains(expected), "{law}: {message}");
    }
    // The name of the time is taken.
    let text = ornstein_uhlenbeck(&law("mean = \"1\""), "consistent");
    let clash = text
        .replace("parameters = [\"x\"]", "parameters = [\"t\"]")
        .replace("0.5*x^2", "0.5*t^2")
        .replace("\"x\"", "\"t\"")
        .replace("\"x^2\"", "\"t^2\"");
    let message = read(&clash, &Overrides::default())
        .err()
        .unwrap_or_default();
    assert!(
        message.contains("needs the name `t` for itself"),
        "{message}"
    );
}

/// Φ of the valley exp(ku²)v²/2: (u e^{−kv²/2}, 0). The right one is taken and noted, a wrong one refused.
#[test]
fn stated_projections_are_compared_with_the_flow() -> Outcome {
    let text = |projection: &str| {
        let landscape = "[landscape.expression]\nparameters = [\"u\", \"v\"]\nconstants = { k = 0.5 }\nloss = \"0.5*exp(k*u^2)*v^2\"";
        let known = format!("[known]\nprojection = {projection}\n");
        slow_text(landscape, GAUSSIAN, &known)
    };
    let right = text("[\"u*exp(-k*v^2/2)\", \"0\"]");
    let scenario = read(&right, &Overrides::default())?;
    let result = scenario.execute(&Control::default(), &|_| {})?;
    let note = result.notes.iter().find(|n| n.contains("known Φ agrees"));
    assert!(
        note.is_some_and(|n| n.contains("at 17 points")),
        "{:?}",
        result.notes
    );
    for (projection, expected) in [
        ("[\"u\", \"0\"]", "`known.projection[1]`: is "),
        (
            "[\"u*exp(-k*v^2/2)\", \"0.1*v\"]",
            "`known.projection[2]`: is ",
        ),
        (
            "[\"u\"]",
            "`known.projection`: has 1 entries, but the landscape has 2 parameters",
        ),
    ] {
        let message = read(&text(projection), &Overrides::default())
            .err()
            .unwrap_or_default();
        assert!(message.contains(expected), "{projection}: {message}");
    }
    Ok(())
}

fn slow_text(landscape: &str, noise: &str, more: &str) -> String {
    format!(
        "title = \"t\"\nclaim = \"c\"\nregime = \"slow\"\n{landscape}\n{noise}\n[start]\nx0 = {{ at = [1.0, 0.5] }}\n[run]\nhorizon = 0.1\neta_max = 0.05\netas = 3\npaths = 64\nmax_paths = 64\ntimes = 1\nlooks = 1\n{more}[[compare]]\nleft = \"sgd\"\nright = \"slow_sde\"\nexpect = \"inconclusive\"\n"
    )
}

/// A covariance stands for its root, and beside a factor it must be BBᵀ.
#[test]
fn covariances() -> Outcome {
    let landscape = "[landscape.expression]\nparameters = [\"x\", \"y\"]\nloss = \"0.5*x^2 + y^2\"";
    let with = |noise: &str| {
        read(
            &text(
                landscape,
                &format!("[noise.gaussian]\n{noise}"),
                "[0.5, 0.25]",
                "[\"x\"]",
            ),
            &Overrides::default(),
        )
    };
    let sigma = with("covariance = { matrix = [[2.0, 0.6], [0.6, 0.5]] }")?;
    let x = nalgebra::DVector::from_vec(vec![0.3, -0.2]);
    let want = nalgebra::DMatrix::from_row_slice(2, 2, &[2.0, 0.6, 0.6, 0.5]);
    assert!((sigma.oracle.covariance(&x) - want).amax() < 1e-14);
    with(
        "factor = { expression = [[\"x\", \"1\"], [\"0\", \"y\"]] }\ncovariance = { expression = [[\"x^2 + 1\", \"y\"], [\"y\", \"y^2\"]] }",
    )?;
    with("factor = { isotropic = 2.0 }\ncovariance = { matrix = [[4.0, 0.0], [0.0, 4.0]] }")?;
    for (noise, expected) in [
        (
            "covariance = { matrix = [[1.0, 0.5], [0.4, 1.0]] }",
            "covariance.matrix[2]`: entry 1 is 0.4, but row 1 has 0.5: a covariance is symmetric",
        ),
        (
            "covariance = { matrix = [[1.0, 2.0], [2.0, 1.0]] }",
            "covariance.matrix`: has the eigenvalue -1.000e0",
        ),
        (
            "covariance = { matrix = [[1.0]] }",
            "covariance.matrix`: is 1 × 1, but must be 2 × 2",
        ),
        (
            "covariance = { expression = [[\"1\", \"0\"], [\"0\", \"1\"]] }",
            "covariance.expression`: stands beside a factor and checks it",
        ),
        ("", "`noise.gaussian`: needs `factor`"),
        (
            "factor = { isotropic = 2.0 }\ncovariance = { matrix = [[4.0, 0.0], [0.0, 2.0]] }",
            "covariance.matrix[2]`: entry 2 is 2.000000 at x = [0.5, 0.25], but the factor gives (BBᵀ)[2, 2] = 4.000000",
        ),
        // Equal at x_0 only.
        (
            "factor = { expression = [[\"x\", \"0\"], [\"0\", \"1\"]] }\ncovariance = { expression = [[\"x/2\", \"0\"], [\"0\", \"1\"]] }",
            "covariance.expression[1]`: entry 1 is ",
        ),
        (
            "factor = { isotropic = 2.0 }\ncovariance = { expression = [[\"4\", \"0\"], [\"0\", \"q\"]] }",
            "covariance.expression[2][2]`: unknown name `q`",
        ),
    ] {
        let message = with(noise).err().unwrap_or_default();
        assert!(message.contains(expected), "{noise}: {message}");
    }
    Ok(())
}

/// A ball written as f(x) ≤ 0 stops the same paths at the same steps.
#[test]
fn compact_sets_as_expressions() -> Outcome {
    let run = |set: &str| -> Result<_, Box<dyn Error>> {
        let text = text(
            "[landscape.hyperbola]",
            GAUSSIAN,
            "[0.5, 0.25]",
            "[\"x[1]\"]",
        );
        let text = text.replace("[run]", &format!("{set}\n[run]"));
        let scenario = read(&text, &Overrides::default())?;
        let result = scenario.execute(&Control::default(), &|_| {})?;
        let processes = result.cells.iter().flat_map(|c| &c.processes);
        let failures: Vec<_> = processes
            .map(|p| (p.failures.exits, p.failures.first))
            .collect();
        Ok((failures, result.comparisons[0].limit.value))
    };
    let ball = run("[compact_set.ball]\nradius = 1.0")?;
    assert!(ball.0.iter().any(|(exits, _)| *exits > 0));
    assert_eq!(run("[compact_set]\nexpression = \"norm2(x) - 1\"")?, ball);
    let text = text(
        "[landscape.hyperbola]",
        GAUSSIAN,
        "[0.5, 0.25]",
        "[\"x[1]\"]",
    );
    let outside = text.replace(
        "[run]",
        "[compact_set]\nexpression = \"norm2(x) - 0.1\"\n[run]",
    );
    let message = read(&outside, &Overrides::default())
        .err()
        .unwrap_or_default();
    assert!(
        message.contains("`compact_set`: does not contain start.x0"),
        "{message}"
    );
    Ok(())
}

/// Exact moments of a written quadratic problem are those of the built-in one, for written test functions too: named, quadratic, and
/// mixed ones.
#[test]
fn exact_moments_of_written_functions() -> Outcome {
    let exact = |landscape: &str, panel: &str| -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let text = text(landscape, GAUSSIAN, "[0.5, 0.25]", panel);
        let scenario = read(&text, &Overrides::default())?;
        let result = scenario.execute(&Control::default(), &|_| {})?;
        let mut all = vec![];
        for cell in &result.cells {
            for process in &cell.processes {
                let exact = process.exact.as_ref().ok_or("no exact moments")?;
                for series in exact {
                    all.push(series.clone().ok_or("a function without moments")?);
                }
            }
        }
        Ok(all)
    };
    let built_in = "[landscape.quadratic]\nmatrix = [[1.0, 0.3], [0.3, 0.5]]\ncenter = [1.0, -2.0]";
    let written = "[landscape.expression]\nparameters = [\"x\", \"y\"]\nloss = \"0.5*((x - 1)^2 + 0.6*(x - 1)*(y + 2) + 0.5*(y + 2)^2)\"";
    let want = exact(built_in, "[\"x[1]\", \"x[2]^2\", \"x[1]*x[2]\"]")?;
    let found = exact(written, "[\"x\", \"y^2\", \"x*y\"]")?;
    assert_eq!(found.len(), want.len());
    for (a, b) in found.iter().flatten().zip(want.iter().flatten()) {
        assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
    }
    // E (x + 2y − 3)² from the moments of its terms.
    let mixed = exact(written, "[\"(x + 2*y - 3)^2\"]")?;
    let terms = exact(written, "[\"x^2\", \"y^2\", \"x*y\", \"x\", \"y\"]")?;
    assert_eq!(terms.len(), 5 * mixed.len());
    for (mixed, terms) in mixed.iter().zip(terms.chunks_exact(5)) {
        for (j, found) in mixed.iter().enumerate() {
            let [xx, yy, xy, x, y] = [0, 1, 2, 3, 4].map(|k: usize| terms[k][j]);
            let want = xx + 4.0 * yy + 4.0 * xy - 6.0 * x - 12.0 * y + 9.0;
            assert!(
                (found - want).abs() < 1e-11 * (1.0 + want.abs()),
                "{found} {want}"
            );
        }
    }
    Ok(())
}
