//! The names that an expression may use: parameters, constants and columns of data.

use super::ExpressionError;
use super::parser::{Node, parse};
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Constant(f64),
    Scalar(usize),
    Vector { first: usize, length: usize },
}

/// The parameters, constants and data columns of an expression.
///
/// The constants `pi` and `e` are always there.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    names: BTreeMap<String, Meaning>,
    parameters: Vec<String>,
    columns: usize,
}

/// The most parameters of an expression.
pub(super) const MOST_PARAMETERS: usize = 10_000;

/// The functions that are known, with their arguments.
pub(super) const FUNCTIONS: [&str; 11] = [
    "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "sum", "dot", "norm2",
];

impl Default for Scope {
    fn default() -> Scope {
        let constants = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];
        Scope {
            names: constants
                .map(|(name, value)| (name.to_string(), Meaning::Constant(value)))
                .into(),
            parameters: vec![],
            columns: 0,
        }
    }
}

impl Scope {
    /// Parameters such as `x` (a number) or `w[1..20]` (a vector), in the order of the coordinates.
    ///
    /// # Errors
    /// The index of the declaration that cannot be used, and why.
    pub fn new<S: AsRef<str>>(parameters: &[S]) -> Result<Scope, (usize, ExpressionError)> {
        let mut scope = Scope::default();
        for (i, text) in parameters.iter().enumerate() {
            scope.declare(text.as_ref()).map_err(|e| (i, e))?;
        }
        Ok(scope)
    }

    /// The vector x\[1..d\]: the names of the parameters of a landscape that has none of its own.
    pub fn of_dimension(dimension: usize) -> Scope {
        let mut scope = Scope::default();
        let meaning = Meaning::Vector {
            first: 0,
            length: dimension,
        };
        scope.names.insert("x".into(), meaning);
        scope.parameters = (1..=dimension).map(|i| format!("x[{i}]")).collect();
        scope
    }

    fn declare(&mut self, text: &str) -> Result<(), ExpressionError> {
        let syntax = parse(text)?;
        let first = self.parameters.len();
        let (name, meaning) = match syntax.nodes.as_slice() {
            [(Node::Name(name), _)] => {
                self.parameters.push(name.clone());
                (name, Meaning::Scalar(first))
            }
            [
                (
                    Node::Index {
                        name,
                        first: 1,
                        last,
                        range: true,
                    },
                    _,
                ),
            ] => {
                let length = *last;
                if first + length > MOST_PARAMETERS {
                    let message = format!("more than {MOST_PARAMETERS} parameters");
                    return Err(ExpressionError::new(text, 0..text.len(), message));
                }
                self.parameters
                    .extend((1..=length).map(|i| format!("{name}[{i}]")));
                (name, Meaning::Vector { first, length })
            }
            _ => {
                return Err(ExpressionError::new(
                    text,
                    0..text.len(),
                    "is not a parameter; allowed: a name such as `x`, or a vector such as `w[1..20]`, counted from 1",
                ));
            }
        };
        self.add(name, meaning)
            .map_err(|message| ExpressionError::new(text, 0..name.len(), message))
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// A name that is taken or not a name, or a number that is not finite.
    pub fn constant(&mut self, name: &str, value: f64) -> Result<(), String> {
        if !value.is_finite() {
            return Err(format!("is {value}, but must be a finite number"));
        }
        self.add(name, Meaning::Constant(value))
    }

    /// Adds a data column; its number changes from sample to sample.
    ///
    /// # Errors
    /// A name that is taken or not a name.
    pub fn column(&mut self, name: &str) -> Result<(), String> {
        let input = self.dimension() + self.columns;
        self.add(name, Meaning::Scalar(input))?;
        self.columns += 1;
        Ok(())
    }

    fn add(&mut self, name: &str, meaning: Meaning) -> Result<(), String> {
        let mut letters = name.chars();
        let starts = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !starts || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!(
                "`{name}` is not a name; a name has letters a–z, digits and _, and does not start with a digit"
            ));
        }
        if FUNCTIONS.contains(&name) {
            return Err(format!("`{name}` is a function; take another name"));
        }
        match self.names.get(name) {
            Some(Meaning::Constant(_)) if name == "pi" || name == "e" => {
                Err(format!("`{name}` is a known number; take another name"))
            }
            Some(_) => Err(format!("`{name}` is declared twice")),
            None => {
                self.names.insert(name.to_string(), meaning);
                Ok(())
            }
        }
    }

    /// The number d of parameters.
    pub fn dimension(&self) -> usize {
        self.parameters.len()
    }

    /// The number of data columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The parameters coordinate by coordinate, a vector as w\[1\], w\[2\], ….
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    pub(super) fn meaning(&self, name: &str) -> Option<Meaning> {
        self.names.get(name).copied()
    }

    /// All names but those of functions, vectors as w\[1..20\].
    pub(super) fn listed(&self) -> Vec<String> {
        let mut listed: Vec<(usize, String)> = self
            .names
            .iter()
            .map(|(name, meaning)| match meaning {
                Meaning::Constant(_) => (usize::MAX, name.clone()),
                Meaning::Scalar(input) => (*input, name.clone()),
                Meaning::Vector { first, length } => (*first, format!("{name}[1..{length}]")),
            })
            .collect();
        listed.sort();
        listed.into_iter().map(|(_, name)| name).collect()
    }

    /// The names themselves.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}
