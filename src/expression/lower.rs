//! From syntax to arithmetic: names get their meaning, vectors are written out, numbers are computed.

use super::ExpressionError;
use super::graph::{Graph, Id, Unary};
use super::parser::{Binary, Node, Syntax, parse};
use super::scope::{FUNCTIONS, Meaning, Scope};
use std::ops::Range;
use std::rc::Rc;

/// The most operations of an expression, with all vectors written out.
pub(super) const MOST_OPERATIONS: usize = 50_000;

/// Functions that are not smooth, and what to write instead.
const NOT_SMOOTH: [(&str, &str); 14] = [
    ("abs", "`sqrt(x^2 + c^2)` with a small c"),
    ("max", "`softplus(b*(x - y))/b + y` with a large b"),
    ("min", "`x - softplus(b*(x - y))/b` with a large b"),
    ("sign", "`tanh(b*x)` with a large b"),
    ("sgn", "`tanh(b*x)` with a large b"),
    ("step", "`sigmoid(b*x)` with a large b"),
    ("heaviside", "`sigmoid(b*x)` with a large b"),
    ("relu", "`softplus(x)`"),
    ("norm", "`sqrt(norm2(v) + c^2)` with a small c"),
    ("floor", "a smooth function of x"),
    ("ceil", "a smooth function of x"),
    ("round", "a smooth function of x"),
    ("mod", "`sin` or `cos` for a periodic function"),
    ("clamp", "`tanh` or `sigmoid`"),
];

/// Known functions under other names.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("ln", "log(x)"),
    ("pow", "x^y"),
    ("square", "x^2"),
    ("tan", "sin(x)/cos(x)"),
    ("sinh", "(exp(x) - exp(-x))/2"),
    ("cosh", "(exp(x) + exp(-x))/2"),
    ("log10", "log(x)/log(10)"),
];

/// The value of a part of an expression.
#[derive(Clone, Debug)]
enum Value {
    Scalar(Id),
    Vector(Rc<[Id]>),
}

/// Adds an expression with one number as its value to the graph. Input i < d is parameter i, then follow the data columns.
pub(super) fn lower(graph: &mut Graph, scope: &Scope, text: &str) -> Result<Id, ExpressionError> {
    let syntax = parse(text)?;
    let mut lowering = Lowering {
        text,
        scope,
        graph,
        syntax: &syntax,
        values: Vec::with_capacity(syntax.nodes.len()),
        work: 0,
    };
    for (node, span) in &syntax.nodes {
        let value = lowering.node(node, span)?;
        lowering.check_size(&value, span)?;
        lowering.check_number(&value, span)?;
        lowering.values.push(value);
    }
    match lowering.values.pop() {
        Some(Value::Scalar(id)) => Ok(id),
        Some(Value::Vector(v)) => Err(ExpressionError::new(
            text,
            0..text.len(),
            format!(
                "is a vector of length {}, but must be a number; `sum`, `dot` and `norm2` make numbers of vectors",
                v.len()
            ),
        )),
        None => Err(ExpressionError::new(text, 0..0, "the expression is empty")),
    }
}

struct Lowering<'a> {
    text: &'a str,
    scope: &'a Scope,
    graph: &'a mut Graph,
    syntax: &'a Syntax,
    values: Vec<Value>,
    /// Entries written out so far.
    work: usize,
}

type Outcome<T> = Result<T, ExpressionError>;

impl Lowering<'_> {
    fn fail<T>(&self, span: &Range<usize>, message: impl Into<String>) -> Outcome<T> {
        Err(ExpressionError::new(self.text, span.clone(), message))
    }

    fn check_size(&mut self, value: &Value, span: &Range<usize>) -> Outcome<()> {
        self.work += match value {
            Value::Scalar(_) => 1,
            Value::Vector(v) => v.len(),
        };
        if self.work > 4 * MOST_OPERATIONS || self.graph.len() > MOST_OPERATIONS {
            return self.fail(
                span,
                format!("too large: at most {MOST_OPERATIONS} operations are allowed, with all vectors written out"),
            );
        }
        Ok(())
    }

    /// Constants must be finite.
    fn check_number(&self, value: &Value, span: &Range<usize>) -> Outcome<()> {
        let entries = match value {
            Value::Scalar(id) => std::slice::from_ref(id),
            Value::Vector(v) => v,
        };
        let bad = entries.iter().filter_map(|&id| self.graph.number(id));
        match bad.into_iter().find(|x| !x.is_finite()) {
            Some(x) => self.fail(
                span,
                format!("is {x} for all parameters: not a finite number"),
            ),
            None => Ok(()),
        }
    }

    fn node(&mut self, node: &Node, span: &Range<usize>) -> Outcome<Value> {
        Ok(match node {
            Node::Number(value) => Value::Scalar(self.graph.constant(*value)),
            Node::Name(name) => match self.scope.meaning(name) {
                Some(Meaning::Constant(value)) => Value::Scalar(self.graph.constant(value)),
                Some(Meaning::Scalar(input)) => Value::Scalar(self.graph.input(input)),
                Some(Meaning::Vector { first, length }) => self.inputs(first..first + length),
                None => return self.unknown_name(name, span),
            },
            Node::Index {
                name,
                first,
                last,
                range,
            } => self.index(name, *first..*last, *range, span)?,
            Node::Negate(a) => {
                let a = self.values[*a].clone();
                self.map(&a, |graph, a| graph.negate(a))
            }
            Node::Binary(operation, a, b) => self.binary(*operation, *a, *b, span)?,
            Node::Call(name, arguments, place) => self.call(name, arguments, place, span)?,
        })
    }

    fn inputs(&mut self, range: Range<usize>) -> Value {
        Value::Vector(range.map(|i| self.graph.input(i)).collect())
    }

    fn unknown_name<T>(&self, name: &str, span: &Range<usize>) -> Outcome<T> {
        if FUNCTIONS.contains(&name) {
            return self.fail(span, format!("`{name}` is a function; write {name}(…)"));
        }
        let hint = nearest(name, self.scope.names());
        let listed = self.scope.listed().join(", ");
        self.fail(
            span,
            format!("unknown name `{name}`{hint} Names here: {listed}"),
        )
    }

    fn index(
        &mut self,
        name: &str,
        Range { start, end }: Range<usize>,
        range: bool,
        span: &Range<usize>,
    ) -> Outcome<Value> {
        let place = span.start..span.start + name.len();
        let (first, length) = match self.scope.meaning(name) {
            Some(Meaning::Vector { first, length }) => (first, length),
            Some(_) => {
                return self.fail(&place, format!("`{name}` is a number and has no entries"));
            }
            None => return self.unknown_name(name, &place),
        };
        if start > end {
            return self.fail(span, format!("{name}[{start}..{end}] runs backwards"));
        }
        if end > length {
            return self.fail(
                span,
                format!("`{name}` has {length} entries, {name}[1] to {name}[{length}]"),
            );
        }
        Ok(if range {
            self.inputs(first + start - 1..first + end)
        } else {
            Value::Scalar(self.graph.input(first + start - 1))
        })
    }

    fn map(&mut self, value: &Value, mut f: impl FnMut(&mut Graph, Id) -> Id) -> Value {
        match value {
            Value::Scalar(a) => Value::Scalar(f(self.graph, *a)),
            Value::Vector(v) => Value::Vector(v.iter().map(|&a| f(self.graph, a)).collect()),
        }
    }

    fn binary(
        &mut self,
        operation: Binary,
        a: usize,
        b: usize,
        span: &Range<usize>,
    ) -> Outcome<Value> {
        let places = (
            self.syntax.nodes[a].1.clone(),
            self.syntax.nodes[b].1.clone(),
        );
        let (a, b) = (self.values[a].clone(), self.values[b].clone());
        let pairs: Vec<(Id, Id)> = match (&a, &b) {
            (Value::Scalar(a), Value::Scalar(b)) => vec![(*a, *b)],
            (Value::Vector(a), Value::Scalar(b)) => a.iter().map(|&a| (a, *b)).collect(),
            (Value::Scalar(a), Value::Vector(b)) => b.iter().map(|&b| (*a, b)).collect(),
            (Value::Vector(a), Value::Vector(b)) if a.len() == b.len() => {
                a.iter().copied().zip(b.iter().copied()).collect()
            }
            (Value::Vector(a), Value::Vector(b)) => {
                return self.fail(
                    span,
                    format!(
                        "vectors of lengths {} and {}: entry by entry, both must be equally long",
                        a.len(),
                        b.len()
                    ),
                );
            }
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for (x, y) in pairs {
            entries.push(match operation {
                Binary::Add => self.graph.add(x, y),
                Binary::Subtract => self.graph.subtract(x, y),
                Binary::Multiply => self.graph.multiply(x, y),
                Binary::Divide => {
                    if self.graph.number(y) == Some(0.0) {
                        return self.fail(&places.1, "division by zero");
                    }
                    self.graph.divide(x, y)
                }
                Binary::Power => match self.graph.real_power(x, y) {
                    Ok(power) => power,
                    Err(e) => return self.fail(&places.0, e.message()),
                },
            });
        }
        Ok(match (a, b, entries.as_slice()) {
            (Value::Scalar(_), Value::Scalar(_), [id]) => Value::Scalar(*id),
            _ => Value::Vector(entries.into()),
        })
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[usize],
        place: &Range<usize>,
        span: &Range<usize>,
    ) -> Outcome<Value> {
        let values: Vec<Value> = arguments.iter().map(|&i| self.values[i].clone()).collect();
        let expected = if name == "dot" { 2 } else { 1 };
        let wrong_count = values.len() != expected;
        let function = match name {
            "exp" => Unary::Exp,
            "log" => Unary::Log,
            "sqrt" => Unary::Sqrt,
            "sin" => Unary::Sin,
            "cos" => Unary::Cos,
            "tanh" => Unary::Tanh,
            "sigmoid" => Unary::Sigmoid,
            "softplus" => Unary::Softplus,
            "sum" | "norm2" | "dot" => {
                let terms = match (name, values.as_slice()) {
                    ("sum", [Value::Vector(v)]) => v.to_vec(),
                    ("norm2", [Value::Vector(v)]) => {
                        v.iter().map(|&a| self.graph.multiply(a, a)).collect()
                    }
                    ("dot", [Value::Vector(a), Value::Vector(b)]) if a.len() == b.len() => {
                        let pairs = a.iter().zip(b.iter());
                        pairs.map(|(&a, &b)| self.graph.multiply(a, b)).collect()
                    }
                    ("dot", [Value::Vector(a), Value::Vector(b)]) => {
                        let message = format!(
                            "`dot` of vectors of lengths {} and {}: both must be equally long",
                            a.len(),
                            b.len()
                        );
                        return self.fail(span, message);
                    }
                    _ => {
                        let form = if name == "dot" {
                            "two vectors, dot(a, b)".to_string()
                        } else {
                            format!("one vector, {name}(v)")
                        };
                        return self.fail(span, format!("`{name}` takes {form}"));
                    }
                };
                return Ok(Value::Scalar(self.graph.sum(terms)));
            }
            _ => return self.unknown_function(name, place),
        };
        if wrong_count {
            let message = format!(
                "`{name}` takes one argument, {name}(x), but here are {}",
                values.len()
            );
            return self.fail(span, message);
        }
        let check = |x: f64| match function {
            Unary::Log => x > 0.0,
            Unary::Sqrt => x >= 0.0,
            _ => true,
        };
        let entries = match &values[0] {
            Value::Scalar(id) => std::slice::from_ref(id),
            Value::Vector(v) => v,
        };
        let mut numbers = entries.iter().filter_map(|&id| self.graph.number(id));
        if let Some(x) = numbers.find(|&x| !check(x)) {
            return self.fail(span, format!("`{name}` of {x} is not a finite number"));
        }
        Ok(self.map(&values[0], |graph, a| graph.unary(function, a)))
    }

    fn unknown_function<T>(&self, name: &str, place: &Range<usize>) -> Outcome<T> {
        if let Some((_, instead)) = NOT_SMOOTH.iter().find(|(known, _)| *known == name) {
            return self.fail(
                place,
                format!(
                    "`{name}` is not smooth, and the theorems need derivatives; write {instead}"
                ),
            );
        }
        if let Some((_, instead)) = OTHER_NAMES.iter().find(|(known, _)| *known == name) {
            return self.fail(place, format!("unknown function `{name}`; write {instead}"));
        }
        if self.scope.meaning(name).is_some() {
            return self.fail(
                place,
                format!("`{name}` is not a function; a product is written with `*`"),
            );
        }
        let hint = nearest(name, FUNCTIONS.into_iter());
        let listed = FUNCTIONS.join(", ");
        self.fail(
            place,
            format!("unknown function `{name}`{hint} Functions: {listed}"),
        )
    }
}

/// "; did you mean `…`?" where a name is near, "." otherwise.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    known
        .map(|n| (strsim::jaro_winkler(name, n), n))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|n| n.0 > 0.75)
        .map_or_else(
            || ".".to_string(),
            |(_, n)| format!("; did you mean `{n}`?"),
        )
}
