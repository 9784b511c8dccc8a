//! Losses, noise factors and test functions written as text or as Rust closures, with exact derivatives, at nearly the speed of
//! compiled code.
//!
//! A text goes through four stages, each in a file of its own: tokens, a syntax tree with places, a graph of arithmetic in
//! which equal subexpressions are one node, and a straight-line program on few registers that runs on any
//! [`Real`](crate::real::Real). Derivatives are taken on the graph, so that a gradient shares its subexpressions with the value.
//!
//! **Grammar.** Numbers (`0.5`, `1e-3`), names, `w[3]` and `w[1..20]` (entries of a vector, from 1), `+ - * / ^` and brackets.
//! `^` binds strongest and to the right, then the sign, then `*` and `/`: −x^2 is −(x²), 2^3^2 is 2⁹. Functions: exp, log (natural),
//! sqrt, sin, cos, tanh, sigmoid (1/(1 + e⁻ˣ)), softplus (log(1 + eˣ)); of vectors: `sum(v)`, `dot(a, b)` and `norm2(v)` = ‖v‖² (the
//! *squared* norm). Operators and functions of one argument work on vectors entry by entry. A power with a whole or half exponent up
//! to 1024 is a product; any other, x^y, is exp(y·log(x)) and needs x > 0.
//!
//! **In Rust.** A closure on [`Symbol`]s leaves the same graph: [`Expression::from_fn`](crate::landscape::Expression::from_fn)
//! and [`residuals_from_fn`](crate::landscape::Expression::residuals_from_fn) for losses,
//! [`ExpressionNoise::from_fn`](crate::oracle::ExpressionNoise::from_fn) for noise factors, [`Function::from_fn`] and
//! [`Function::from_fn_of_rows`] for the rest.
//!
//! Every text is answered: with a program, or with an [`ExpressionError`] that has a place. Length, nesting and the number of
//! operations are bounded.

mod error;
mod function;
mod graph;
mod lexer;
mod lower;
mod matrix_product;
mod parser;
mod scope;
mod sum_of_squares;
mod symbol;
mod tape;
mod values;

pub use error::ExpressionError;
pub(crate) use error::{place, snippet};
pub use function::Function;
pub(crate) use matrix_product::MatrixProduct;
pub use scope::Scope;
pub(crate) use sum_of_squares::SumOfSquares;
pub use symbol::{Symbol, TraceError, dot, norm2, sum};
pub use values::Values;
