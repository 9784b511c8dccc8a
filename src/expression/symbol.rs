//! Functions written in Rust: a closure runs once, on symbols instead of numbers, and leaves the graph of its arithmetic.

use super::graph::{Graph, Id, Unary};
use super::lower::MOST_OPERATIONS;
use super::scope::MOST_PARAMETERS;
use crate::real::Real;
use std::cell::RefCell;
use std::fmt;
use std::iter::{Product, Sum};
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};
use std::panic::Location;

/// A number that depends on the parameters: what closures such as those of
/// [`Expression::from_fn`](crate::landscape::Expression::from_fn) calculate with.
///
/// Symbols are added, subtracted, multiplied, divided and summed like `f64`, also with `f64` on either side, and have the
/// smooth functions of `f64` under the same names, together with [`square`](Symbol::square), [`sigmoid`](Symbol::sigmoid)
/// and [`softplus`](Symbol::softplus); of vectors there are [`sum`], [`dot`] and [`norm2`]. They are also
/// [`Real`] numbers, so that a formula that is generic over [`Real`] runs on them as it is.
///
/// A symbol has no value, and cannot be compared: a formula is the same for all parameters, and smooth. Loops and branches on
/// anything else are free; the closure runs once, and what it computed is replayed for every point.
///
/// A symbol lives inside its closure and mixes with no other's:
/// ```compile_fail
/// use slowsde::landscape::Expression;
///
/// let mut kept = None;
/// let loss = Expression::from_fn(1, |x| {
///     kept = Some(x[0]);
///     x[0]
/// });
/// ```
#[derive(Clone, Copy)]
pub struct Symbol<'g> {
    part: Part<'g>,
    /// Invariant: the symbols of two closures have different types.
    brand: PhantomData<fn(&'g ()) -> &'g ()>,
}

#[derive(Clone, Copy)]
enum Part<'g> {
    Number(f64),
    Node(&'g Tracer, Id),
}

/// What is wrong with a function that is written in Rust, and where.
///
/// Displayed as `file:line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The operation, or the call that the closure was given to; `None` for a sum or product over an iterator.
    pub place: Option<Location<'static>>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => write!(f, "{}", self.message),
        }
    }
}

impl std::error::Error for TraceError {}

pub(super) type Place = Option<&'static Location<'static>>;

impl TraceError {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> TraceError {
        TraceError {
            place: place.copied(),
            message: message.into(),
        }
    }
}

/// The graph that a closure draws, and the first mistake in it.
#[derive(Default)]
struct Tracer(RefCell<State>);

#[derive(Default)]
struct State {
    graph: Graph,
    fault: Option<TraceError>,
}

/// Runs the closure on `inputs` symbols and gives back the graph with the nodes of its outputs.
pub(super) fn trace<F>(
    inputs: usize,
    place: Place,
    outputs: F,
) -> Result<(Graph, Vec<Id>), TraceError>
where
    F: for<'g> FnOnce(&[Symbol<'g>]) -> Vec<Symbol<'g>>,
{
    if !(1..=MOST_PARAMETERS).contains(&inputs) {
        return Err(TraceError::new(
            place,
            format!("{inputs} parameters, but there must be from 1 to {MOST_PARAMETERS}"),
        ));
    }
    let tracer = Tracer::default();
    let symbols: Vec<Symbol<'_>> = (0..inputs)
        .map(|i| tracer.record(place, |graph| Ok(graph.input(i))))
        .collect();
    let mut ids = vec![];
    for output in outputs(&symbols) {
        // Also where the output is a plain number: it must be finite.
        let output = tracer.record(place, |graph| output.id(graph));
        if let Part::Node(_, id) = output.part {
            ids.push(id);
        }
    }
    let State { graph, fault } = tracer.0.take();
    match fault {
        Some(fault) => Err(fault),
        None => Ok((graph, ids)),
    }
}

/// A mistake in an operation.
type Outcome = Result<Id, String>;

impl Tracer {
    /// The result of an operation; after a mistake nothing is recorded any more, and everything is zero.
    fn record<'g>(
        &'g self,
        place: Place,
        operation: impl FnOnce(&mut Graph) -> Outcome,
    ) -> Symbol<'g> {
        let mut state = self.0.borrow_mut();
        if state.fault.is_some() {
            return Symbol::from(0.0);
        }
        let graph = &mut state.graph;
        let outcome = operation(graph).and_then(|id| match graph.number(id) {
            Some(x) if !x.is_finite() => Err(format!(
                "is {x} for all parameters: not a finite number"
            )),
            _ if graph.len() > MOST_OPERATIONS => Err(format!(
                "too large: at most {MOST_OPERATIONS} operations are allowed; a mean over many samples is a loss over the rows of a matrix, `Function::from_fn_of_rows`"
            )),
            _ => Ok(id),
        });
        match outcome {
            Ok(id) => Symbol::new(Part::Node(self, id)),
            Err(message) => {
                state.fault = Some(TraceError::new(place, message));
                Symbol::from(0.0)
            }
        }
    }
}

impl<'g> Symbol<'g> {
    fn new(part: Part<'g>) -> Symbol<'g> {
        Symbol {
            part,
            brand: PhantomData,
        }
    }

    fn tracer(self) -> Option<&'g Tracer> {
        match self.part {
            Part::Number(_) => None,
            Part::Node(tracer, _) => Some(tracer),
        }
    }

    /// The node of the symbol; a number must be finite.
    fn id(self, graph: &mut Graph) -> Outcome {
        match self.part {
            Part::Number(x) if x.is_finite() => Ok(graph.constant(x)),
            Part::Number(x) => Err(format!("the number {x} is not finite")),
            Part::Node(_, id) => Ok(id),
        }
    }

    /// The result of an operation on symbols, in their graph, or on numbers alone.
    fn operation(
        place: Place,
        operands: &[Symbol<'g>],
        operation: impl FnOnce(&mut Graph, &[Id]) -> Outcome,
    ) -> Symbol<'g> {
        let run = |graph: &mut Graph| {
            let ids = operands.iter().map(|s| s.id(graph));
            let ids: Vec<Id> = ids.collect::<Result<_, _>>()?;
            operation(graph, &ids)
        };
        match operands.iter().find_map(|s| s.tracer()) {
            Some(tracer) => tracer.record(place, run),
            None => {
                // A mistake is named where the number meets a symbol.
                let mut graph = Graph::default();
                let number = run(&mut graph).ok().and_then(|id| graph.number(id));
                Symbol::from(number.unwrap_or(f64::NAN))
            }
        }
    }

    #[track_caller]
    fn unary(self, function: Unary) -> Symbol<'g> {
        let place = Some(Location::caller());
        Symbol::operation(place, &[self], |graph, ids| {
            Ok(graph.unary(function, ids[0]))
        })
    }

    /// eˣ.
    #[must_use]
    #[track_caller]
    pub fn exp(self) -> Symbol<'g> {
        self.unary(Unary::Exp)
    }

    /// The natural logarithm, for x > 0.
    #[must_use]
    #[track_caller]
    pub fn ln(self) -> Symbol<'g> {
        self.unary(Unary::Log)
    }

    /// √x, for x ≥ 0; smooth for x > 0.
    #[must_use]
    #[track_caller]
    pub fn sqrt(self) -> Symbol<'g> {
        self.unary(Unary::Sqrt)
    }

    /// sin x.
    #[must_use]
    #[track_caller]
    pub fn sin(self) -> Symbol<'g> {
        self.unary(Unary::Sin)
    }

    /// cos x.
    #[must_use]
    #[track_caller]
    pub fn cos(self) -> Symbol<'g> {
        self.unary(Unary::Cos)
    }

    /// tanh x.
    #[must_use]
    #[track_caller]
    pub fn tanh(self) -> Symbol<'g> {
        self.unary(Unary::Tanh)
    }

    /// 1/(1 + e⁻ˣ).
    #[must_use]
    #[track_caller]
    pub fn sigmoid(self) -> Symbol<'g> {
        self.unary(Unary::Sigmoid)
    }

    /// log(1 + eˣ), without overflow.
    #[must_use]
    #[track_caller]
    pub fn softplus(self) -> Symbol<'g> {
        self.unary(Unary::Softplus)
    }

    /// x².
    #[must_use]
    #[track_caller]
    pub fn square(self) -> Symbol<'g> {
        self * self
    }

    /// 1/x.
    #[must_use]
    #[track_caller]
    pub fn recip(self) -> Symbol<'g> {
        1.0 / self
    }

    /// xⁿ by multiplication, for any x; for n < 0 where x ≠ 0.
    #[must_use]
    #[track_caller]
    pub fn powi(self, n: i32) -> Symbol<'g> {
        let place = Some(Location::caller());
        let power = Symbol::operation(place, &[self], |graph, ids| {
            Ok(graph.power(ids[0], n.unsigned_abs()))
        });
        if n < 0 { power.recip() } else { power }
    }

    /// xʸ. A number y that is whole or half, up to 1024, makes products and a square root; any other, and any symbol, makes
    /// exp(y·ln x), which needs x > 0.
    #[must_use]
    #[track_caller]
    pub fn powf(self, y: impl Into<Symbol<'g>>) -> Symbol<'g> {
        let place = Some(Location::caller());
        Symbol::operation(place, &[self, y.into()], |graph, ids| {
            graph
                .real_power(ids[0], ids[1])
                .map_err(|e| e.message().to_string())
        })
    }
}

impl From<f64> for Symbol<'_> {
    fn from(x: f64) -> Self {
        Symbol::new(Part::Number(x))
    }
}

impl fmt::Debug for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Number(x) => write!(f, "{x:?}"),
            Part::Node(_, id) => write!(f, "#{}", id.0),
        }
    }
}

impl<'g> Neg for Symbol<'g> {
    type Output = Symbol<'g>;
    #[track_caller]
    fn neg(self) -> Symbol<'g> {
        self.unary(Unary::Negate)
    }
}

impl<'g> Neg for &Symbol<'g> {
    type Output = Symbol<'g>;
    #[track_caller]
    fn neg(self) -> Symbol<'g> {
        -*self
    }
}

fn divide(graph: &mut Graph, a: Id, b: Id) -> Outcome {
    if graph.number(b) == Some(0.0) {
        return Err("division by zero".to_string());
    }
    Ok(graph.divide(a, b))
}

/// An operator between symbols, numbers and references to symbols, and its assignment.
macro_rules! operator {
    ($trait:ident $name:ident, $assign:ident $assign_name:ident, $operation:expr) => {
        impl<'g> $trait for Symbol<'g> {
            type Output = Symbol<'g>;
            #[track_caller]
            fn $name(self, other: Symbol<'g>) -> Symbol<'g> {
                let place = Some(Location::caller());
                Symbol::operation(place, &[self, other], |graph, ids| {
                    $operation(graph, ids[0], ids[1])
                })
            }
        }
        operator!(mixed $trait $name, Symbol<'g>, f64, |a, b| (a, Symbol::from(b)));
        operator!(mixed $trait $name, f64, Symbol<'g>, |a, b| (Symbol::from(a), b));
        operator!(mixed $trait $name, &Symbol<'g>, f64, |a: &Symbol<'g>, b| (*a, Symbol::from(b)));
        operator!(mixed $trait $name, f64, &Symbol<'g>, |a, b: &Symbol<'g>| (Symbol::from(a), *b));
        operator!(mixed $trait $name, &Symbol<'g>, Symbol<'g>, |a: &Symbol<'g>, b| (*a, b));
        operator!(mixed $trait $name, Symbol<'g>, &Symbol<'g>, |a, b: &Symbol<'g>| (a, *b));
        operator!(mixed $trait $name, &Symbol<'g>, &Symbol<'g>, |a: &Symbol<'g>, b: &Symbol<'g>| (*a, *b));
        impl<'g, T> $assign<T> for Symbol<'g>
        where
            Symbol<'g>: $trait<T, Output = Symbol<'g>>,
        {
            #[track_caller]
            fn $assign_name(&mut self, other: T) {
                *self = $trait::$name(*self, other);
            }
        }
    };
    (mixed $trait:ident $name:ident, $left:ty, $right:ty, $symbols:expr) => {
        impl<'g> $trait<$right> for $left {
            type Output = Symbol<'g>;
            #[track_caller]
            fn $name(self, other: $right) -> Symbol<'g> {
                let (a, b): (Symbol<'g>, Symbol<'g>) = ($symbols)(self, other);
                $trait::$name(a, b)
            }
        }
    };
}

operator!(Add add, AddAssign add_assign, |g: &mut Graph, a, b| Ok(g.add(a, b)));
operator!(Sub sub, SubAssign sub_assign, |g: &mut Graph, a, b| Ok(g.subtract(a, b)));
operator!(Mul mul, MulAssign mul_assign, |g: &mut Graph, a, b| Ok(g.multiply(a, b)));
operator!(Div div, DivAssign div_assign, divide);

/// The terms are added in pairs; no term makes 0.
impl<'g> Sum for Symbol<'g> {
    fn sum<I: Iterator<Item = Symbol<'g>>>(terms: I) -> Symbol<'g> {
        // Outside of the operation: the iterator computes, too.
        let terms: Vec<Symbol<'g>> = terms.collect();
        total(None, &terms)
    }
}

impl<'a, 'g> Sum<&'a Symbol<'g>> for Symbol<'g> {
    fn sum<I: Iterator<Item = &'a Symbol<'g>>>(terms: I) -> Symbol<'g> {
        terms.copied().sum()
    }
}

/// No factor makes 1.
impl<'g> Product for Symbol<'g> {
    fn product<I: Iterator<Item = Symbol<'g>>>(factors: I) -> Symbol<'g> {
        factors.fold(Symbol::from(1.0), |product, factor| product * factor)
    }
}

impl<'a, 'g> Product<&'a Symbol<'g>> for Symbol<'g> {
    fn product<I: Iterator<Item = &'a Symbol<'g>>>(factors: I) -> Symbol<'g> {
        factors.copied().product()
    }
}

fn total<'g>(place: Place, terms: &[Symbol<'g>]) -> Symbol<'g> {
    Symbol::operation(place, terms, |graph, ids| Ok(graph.sum(ids.to_vec())))
}

/// Σ vᵢ; 0 for no entries.
#[must_use]
#[track_caller]
pub fn sum<'g>(v: &[Symbol<'g>]) -> Symbol<'g> {
    total(Some(Location::caller()), v)
}

/// Σ aᵢbᵢ of two equally long vectors; the entries of either may be numbers or symbols.
///
/// Vectors of different lengths are a mistake, which the function that runs the closure gives back.
#[must_use]
#[track_caller]
pub fn dot<'g, A, B>(a: &[A], b: &[B]) -> Symbol<'g>
where
    A: Copy + Into<Symbol<'g>>,
    B: Copy + Into<Symbol<'g>>,
{
    let place = Some(Location::caller());
    let (a, b) = (symbols(a), symbols(b));
    let all: Vec<Symbol<'g>> = a.iter().chain(&b).copied().collect();
    Symbol::operation(place, &all, |graph, ids| {
        if a.len() != b.len() {
            return Err(format!(
                "`dot` of vectors of lengths {} and {}: both must be equally long",
                a.len(),
                b.len()
            ));
        }
        let pairs = ids[..a.len()].iter().zip(&ids[a.len()..]);
        let terms = pairs.map(|(&a, &b)| graph.multiply(a, b)).collect();
        Ok(graph.sum(terms))
    })
}

fn symbols<'g, T: Copy + Into<Symbol<'g>>>(v: &[T]) -> Vec<Symbol<'g>> {
    v.iter().map(|&entry| entry.into()).collect()
}

/// ‖v‖² = Σ vᵢ², the *squared* Euclidean norm.
#[must_use]
#[track_caller]
pub fn norm2<'g>(v: &[Symbol<'g>]) -> Symbol<'g> {
    dot(v, v)
}

/// A formula that is generic over [`Real`] runs on symbols.
impl Real for Symbol<'_> {
    fn constant(c: f64) -> Self {
        Symbol::from(c)
    }
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    #[track_caller]
    fn exp(self) -> Self {
        self.unary(Unary::Exp)
    }
    #[track_caller]
    fn ln(self) -> Self {
        self.unary(Unary::Log)
    }
    #[track_caller]
    fn sqrt(self) -> Self {
        self.unary(Unary::Sqrt)
    }
    #[track_caller]
    fn sin(self) -> Self {
        self.unary(Unary::Sin)
    }
    #[track_caller]
    fn cos(self) -> Self {
        self.unary(Unary::Cos)
    }
    #[track_caller]
    fn tanh(self) -> Self {
        self.unary(Unary::Tanh)
    }
    #[track_caller]
    fn softplus(self) -> Self {
        self.unary(Unary::Softplus)
    }
    #[track_caller]
    fn sigmoid(self) -> Self {
        self.unary(Unary::Sigmoid)
    }
}
