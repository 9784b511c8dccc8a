//! Functions of which only the values are wanted.

use super::ExpressionError;
use super::graph::{Graph, Id};
use super::lower::lower;
use super::scope::Scope;
use super::tape::Tape;
use crate::real::Real;

/// One function or several, f₁(x, z), f₂(x, z), …, of d parameters x and q data columns z, without derivatives; what they share is
/// computed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    dimension: usize,
    columns: usize,
    tape: Tape,
}

impl Values {
    /// The functions that the texts describe.
    ///
    /// # Errors
    /// The index of the text with a mistake, and the mistake.
    pub fn parse<S: AsRef<str>>(
        texts: &[S],
        scope: &Scope,
    ) -> Result<Values, (usize, ExpressionError)> {
        let mut graph = Graph::default();
        let outputs: Vec<Id> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| lower(&mut graph, scope, text.as_ref()).map_err(|e| (i, e)))
            .collect::<Result<_, _>>()?;
        Ok(Values {
            dimension: scope.dimension(),
            columns: scope.columns(),
            tape: Tape::new(&graph, &outputs),
        })
    }

    /// A single function.
    ///
    /// # Errors
    /// The mistake in the text.
    pub fn single(text: &str, scope: &Scope) -> Result<Values, ExpressionError> {
        Values::parse(&[text], scope).map_err(|(_, e)| e)
    }

    /// The number d of parameters.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number q of data columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values, handed to `value` one by one, with `z(k)` for column k.
    #[inline(always)]
    pub fn evaluate<R: Real>(&self, x: &[R], z: impl Fn(usize) -> R, value: impl FnMut(usize, R)) {
        let d = self.dimension;
        self.tape
            .evaluate(|i| if i < d { x[i] } else { z(i - d) }, value);
    }

    /// The last of the values, which is the only one of a [single](Values::single) function.
    #[inline(always)]
    pub fn number<R: Real>(&self, x: &[R], z: impl Fn(usize) -> R) -> R {
        let d = self.dimension;
        self.tape.number(|i| if i < d { x[i] } else { z(i - d) })
    }
}
