//! The arithmetic of expressions: a graph in which equal subexpressions are one node, simplified while it is built, and its
//! exact derivatives by the reverse mode.

use std::collections::HashMap;

/// A node of a [`Graph`]; operands have smaller numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub u32);

/// A smooth function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unary {
    Negate,
    Exp,
    Log,
    Sqrt,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Softplus,
}

/// What a node computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// A number, by its bits.
    Constant(u64),
    /// An input, by its index.
    Input(u32),
    Unary(Unary, Id),
    Add(Id, Id),
    Subtract(Id, Id),
    Multiply(Id, Id),
    Divide(Id, Id),
}

use Operation::{Add, Constant, Divide, Input, Multiply, Subtract};

/// Why a power of a number is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPower {
    DivisionByZero,
    BaseNotPositive,
}

impl BadPower {
    pub fn message(self) -> &'static str {
        match self {
            BadPower::DivisionByZero => "division by zero: a negative power of zero",
            BadPower::BaseNotPositive => {
                "the base of a power with this exponent must be positive: x^y is exp(y*log(x))"
            }
        }
    }
}

/// Expressions in common inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Operation>,
    known: HashMap<Operation, Id>,
}

/// The most nodes of a graph; the largest gradients of allowed expressions stay below.
const MOST_NODES: usize = 1 << 26;

impl Graph {
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn operation(&self, id: Id) -> Operation {
        self.nodes[id.0 as usize]
    }

    fn node(&mut self, operation: Operation) -> Id {
        let nodes = &mut self.nodes;
        *self.known.entry(operation).or_insert_with(|| {
            debug_assert!(nodes.len() < MOST_NODES);
            nodes.push(operation);
            Id(nodes.len() as u32 - 1)
        })
    }

    pub fn constant(&mut self, value: f64) -> Id {
        // One zero only.
        let value = if value == 0.0 { 0.0 } else { value };
        self.node(Constant(value.to_bits()))
    }

    pub fn input(&mut self, index: usize) -> Id {
        self.node(Input(index as u32))
    }

    /// The number, where a node is one.
    pub fn number(&self, id: Id) -> Option<f64> {
        match self.operation(id) {
            Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// k and b of a node k·b.
    fn scaled(&self, id: Id) -> Option<(f64, Id)> {
        match self.operation(id) {
            Multiply(k, b) => self.number(k).map(|k| (k, b)),
            _ => None,
        }
    }

    fn negated(&self, id: Id) -> Option<Id> {
        match self.operation(id) {
            Operation::Unary(Unary::Negate, a) => Some(a),
            _ => None,
        }
    }

    pub fn negate(&mut self, a: Id) -> Id {
        if let Some(value) = self.number(a) {
            return self.constant(-value);
        }
        match self.operation(a) {
            Operation::Unary(Unary::Negate, a) => a,
            Subtract(a, b) => self.subtract(b, a),
            Multiply(k, b) if self.number(k).is_some() => {
                let k = self.negate(k);
                self.multiply(k, b)
            }
            _ => self.node(Operation::Unary(Unary::Negate, a)),
        }
    }

    pub fn add(&mut self, a: Id, b: Id) -> Id {
        match (self.number(a), self.number(b)) {
            (Some(x), Some(y)) => return self.constant(x + y),
            (Some(0.0), _) => return b,
            (_, Some(0.0)) => return a,
            (None, Some(_)) => return self.add(b, a),
            (Some(x), None) => match self.operation(b) {
                Add(c, rest) if self.number(c).is_some() => {
                    let c = self.constant(x + self.number(c).unwrap_or_default());
                    return self.add(c, rest);
                }
                Operation::Unary(Unary::Negate, b) => return self.subtract(a, b),
                _ => return self.node(Add(a, b)),
            },
            (None, None) => (),
        }
        if let Some(b) = self.negated(b) {
            return self.subtract(a, b);
        }
        if let Some(a) = self.negated(a) {
            return self.subtract(b, a);
        }
        // k·c + l·c = (k + l)·c.
        let (k, c) = self.scaled(a).unwrap_or((1.0, a));
        let (l, e) = self.scaled(b).unwrap_or((1.0, b));
        if c == e {
            let k = self.constant(k + l);
            return self.multiply(k, c);
        }
        self.node(Add(a.min(b), a.max(b)))
    }

    pub fn subtract(&mut self, a: Id, b: Id) -> Id {
        if a == b {
            return self.constant(0.0);
        }
        if let Some(value) = self.number(b) {
            let c = self.constant(-value);
            return self.add(c, a);
        }
        if let Some(b) = self.negated(b) {
            return self.add(a, b);
        }
        if self.number(a) == Some(0.0) {
            return self.negate(b);
        }
        // x − (c + b) = (x − c) − b for numbers x, c.
        if let (Some(x), Add(c, rest)) = (self.number(a), self.operation(b))
            && let Some(c) = self.number(c)
        {
            let c = self.constant(x - c);
            return self.subtract(c, rest);
        }
        // k·c − l·c = (k − l)·c.
        let (k, c) = self.scaled(a).unwrap_or((1.0, a));
        let (l, e) = self.scaled(b).unwrap_or((1.0, b));
        if c == e {
            let k = self.constant(k - l);
            return self.multiply(k, c);
        }
        self.node(Subtract(a, b))
    }

    pub fn multiply(&mut self, a: Id, b: Id) -> Id {
        match (self.number(a), self.number(b)) {
            (Some(x), Some(y)) => return self.constant(x * y),
            (None, Some(_)) => return self.multiply(b, a),
            (Some(0.0), _) => return a,
            (Some(1.0), _) => return b,
            (Some(-1.0), _) => return self.negate(b),
            (Some(x), None) => {
                return match self.operation(b) {
                    Multiply(c, rest) if self.number(c).is_some() => {
                        let c = self.constant(x * self.number(c).unwrap_or_default());
                        self.multiply(c, rest)
                    }
                    Operation::Unary(Unary::Negate, b) => {
                        let c = self.constant(-x);
                        self.multiply(c, b)
                    }
                    _ => self.node(Multiply(a, b)),
                };
            }
            (None, None) => (),
        }
        // Numbers and signs move to the front, where they meet others.
        if let Some(a) = self.negated(a) {
            let product = self.multiply(a, b);
            return self.negate(product);
        }
        if let Some(b) = self.negated(b) {
            let product = self.multiply(a, b);
            return self.negate(product);
        }
        if let Some((k, a)) = self.scaled(a) {
            let (k, product) = (self.constant(k), self.multiply(a, b));
            return self.multiply(k, product);
        }
        if let Some((k, b)) = self.scaled(b) {
            let (k, product) = (self.constant(k), self.multiply(a, b));
            return self.multiply(k, product);
        }
        self.node(Multiply(a.min(b), a.max(b)))
    }

    /// The caller has made sure that `b` is not the number zero.
    pub fn divide(&mut self, a: Id, b: Id) -> Id {
        match (self.number(a), self.number(b)) {
            (Some(x), Some(y)) => return self.constant(x / y),
            (Some(0.0), _) => return a,
            (_, Some(y)) if y.recip().is_normal() => {
                let inverse = self.constant(y.recip());
                return self.multiply(inverse, a);
            }
            _ => (),
        }
        if let Some(a) = self.negated(a) {
            let quotient = self.divide(a, b);
            return self.negate(quotient);
        }
        if let Some(b) = self.negated(b) {
            let quotient = self.divide(a, b);
            return self.negate(quotient);
        }
        if let Some((k, a)) = self.scaled(a) {
            let (k, quotient) = (self.constant(k), self.divide(a, b));
            return self.multiply(k, quotient);
        }
        self.node(Divide(a, b))
    }

    pub fn unary(&mut self, function: Unary, a: Id) -> Id {
        if function == Unary::Negate {
            return self.negate(a);
        }
        match self.number(a) {
            Some(x) => self.constant(function.of(x)),
            None => self.node(Operation::Unary(function, a)),
        }
    }

    /// aⁿ by repeated squaring.
    pub fn power(&mut self, a: Id, n: u32) -> Id {
        let mut result = self.constant(1.0);
        let (mut square, mut rest) = (a, n);
        while rest > 0 {
            if rest % 2 == 1 {
                result = self.multiply(result, square);
            }
            rest /= 2;
            if rest > 0 {
                square = self.multiply(square, square);
            }
        }
        result
    }

    /// xʸ: whole exponents by multiplication, half exponents with a square root, both up to 1024; others as exp(y log x).
    pub fn real_power(&mut self, x: Id, y: Id) -> Result<Id, BadPower> {
        if let Some(exponent) = self.number(y) {
            let doubled = 2.0 * exponent.abs();
            if doubled.fract() == 0.0 && doubled <= 2048.0 {
                if exponent < 0.0 && self.number(x) == Some(0.0) {
                    return Err(BadPower::DivisionByZero);
                }
                let whole = self.power(x, doubled as u32 / 2);
                let power = if doubled as u32 % 2 == 1 {
                    let root = self.unary(Unary::Sqrt, x);
                    self.multiply(whole, root)
                } else {
                    whole
                };
                if exponent >= 0.0 {
                    return Ok(power);
                }
                let one = self.constant(1.0);
                return Ok(self.divide(one, power));
            }
        }
        if self.number(x).is_some_and(|x| x <= 0.0) {
            return Err(BadPower::BaseNotPositive);
        }
        let log = self.unary(Unary::Log, x);
        let product = self.multiply(y, log);
        Ok(self.unary(Unary::Exp, product))
    }

    /// The sum of all terms, added in pairs.
    pub fn sum(&mut self, mut terms: Vec<Id>) -> Id {
        while terms.len() > 1 {
            terms = terms
                .chunks(2)
                .map(|pair| match *pair {
                    [a, b] => self.add(a, b),
                    _ => pair[0],
                })
                .collect();
        }
        match terms.first() {
            Some(&sum) => sum,
            None => self.constant(0.0),
        }
    }

    /// ∂`output`/∂(input i) for the inputs i < `count`, by one backward pass: at most a few nodes for each node of `output`.
    pub fn gradient(&mut self, output: Id, count: usize) -> Vec<Id> {
        let zero = self.constant(0.0);
        let mut entries = vec![zero; count];
        let last = output.0 as usize;
        let mut adjoints: Vec<Option<Id>> = vec![None; last + 1];
        adjoints[last] = Some(self.constant(1.0));
        for k in (0..=last).rev() {
            let Some(adjoint) = adjoints[k] else { continue };
            let y = Id(k as u32);
            match self.nodes[k] {
                Constant(_) => (),
                Input(i) => {
                    if let Some(entry) = entries.get_mut(i as usize) {
                        *entry = adjoint;
                    }
                }
                Operation::Unary(function, a) => {
                    let part = self.unary_adjoint(function, a, y, adjoint);
                    self.accumulate(&mut adjoints, a, part);
                }
                Add(a, b) => {
                    self.accumulate(&mut adjoints, a, adjoint);
                    self.accumulate(&mut adjoints, b, adjoint);
                }
                Subtract(a, b) => {
                    self.accumulate(&mut adjoints, a, adjoint);
                    let part = self.negate(adjoint);
                    self.accumulate(&mut adjoints, b, part);
                }
                Multiply(a, b) if a == b => {
                    let two = self.constant(2.0);
                    let part = self.multiply(adjoint, a);
                    let part = self.multiply(two, part);
                    self.accumulate(&mut adjoints, a, part);
                }
                Multiply(a, b) => {
                    if self.number(a).is_none() {
                        let part = self.multiply(adjoint, b);
                        self.accumulate(&mut adjoints, a, part);
                    }
                    let part = self.multiply(adjoint, a);
                    self.accumulate(&mut adjoints, b, part);
                }
                Divide(a, b) => {
                    let part = self.divide(adjoint, b);
                    self.accumulate(&mut adjoints, a, part);
                    let part = self.multiply(part, y);
                    let part = self.negate(part);
                    self.accumulate(&mut adjoints, b, part);
                }
            }
        }
        entries
    }

    fn accumulate(&mut self, adjoints: &mut [Option<Id>], to: Id, part: Id) {
        let slot = to.0 as usize;
        let sum = match adjoints[slot] {
            Some(sum) => self.add(sum, part),
            None => part,
        };
        adjoints[slot] = Some(sum);
    }

    /// `adjoint` · f′(a), where y = f(a).
    fn unary_adjoint(&mut self, function: Unary, a: Id, y: Id, adjoint: Id) -> Id {
        match function {
            Unary::Negate => self.negate(adjoint),
            Unary::Exp => self.multiply(adjoint, y),
            Unary::Log => self.divide(adjoint, a),
            Unary::Sqrt => {
                let half = self.constant(0.5);
                let scaled = self.multiply(half, adjoint);
                self.divide(scaled, y)
            }
            Unary::Sin => {
                let cos = self.unary(Unary::Cos, a);
                self.multiply(adjoint, cos)
            }
            Unary::Cos => {
                let sin = self.unary(Unary::Sin, a);
                let part = self.multiply(adjoint, sin);
                self.negate(part)
            }
            Unary::Tanh => {
                let (one, square) = (self.constant(1.0), self.multiply(y, y));
                let slope = self.subtract(one, square);
                self.multiply(adjoint, slope)
            }
            Unary::Sigmoid => {
                let one = self.constant(1.0);
                let rest = self.subtract(one, y);
                let slope = self.multiply(y, rest);
                self.multiply(adjoint, slope)
            }
            Unary::Softplus => {
                let slope = self.unary(Unary::Sigmoid, a);
                self.multiply(adjoint, slope)
            }
        }
    }
}

impl Unary {
    /// f(x).
    fn of(self, x: f64) -> f64 {
        use crate::real::Real;
        match self {
            Unary::Negate => -x,
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Sqrt => x.sqrt(),
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => Real::sigmoid(x),
            Unary::Softplus => x.softplus(),
        }
    }
}
