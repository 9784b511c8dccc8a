//! B(x)ζ for a matrix of expressions.

use super::ExpressionError;
use super::graph::{Graph, Id};
use super::lower::lower;
use super::scope::Scope;
use super::tape::Tape;
use crate::real::Real;

/// The product of a d × r matrix B(x) with a vector ζ; entries that are zero cost nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MatrixProduct {
    dimension: usize,
    columns: usize,
    constant: bool,
    tape: Tape,
}

impl MatrixProduct {
    /// `rows` are equally long.
    ///
    /// # Errors
    /// Row and column (from 0) of the entry that cannot be read, and why.
    pub fn parse(
        rows: &[Vec<String>],
        scope: &Scope,
    ) -> Result<MatrixProduct, (usize, usize, ExpressionError)> {
        let (mut graph, d) = (Graph::default(), scope.dimension());
        let (mut outputs, mut constant): (Vec<Id>, bool) = (vec![], true);
        for (i, row) in rows.iter().enumerate() {
            let mut terms = vec![];
            for (j, text) in row.iter().enumerate() {
                let entry = lower(&mut graph, scope, text).map_err(|e| (i, j, e))?;
                constant &= graph.number(entry).is_some();
                let zeta = graph.input(d + j);
                terms.push(graph.multiply(entry, zeta));
            }
            outputs.push(graph.sum(terms));
        }
        Ok(MatrixProduct {
            dimension: d,
            columns: rows.first().map_or(0, Vec::len),
            constant,
            tape: Tape::new(&graph, &outputs),
        })
    }

    /// r.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether B is the same for all x.
    pub fn constant(&self) -> bool {
        self.constant
    }

    /// The entries of B(x)ζ, handed to `entry` one by one.
    #[inline(always)]
    pub fn evaluate<R: Real>(&self, x: &[R], zeta: &[R], entry: impl FnMut(usize, R)) {
        let d = self.dimension;
        self.tape
            .evaluate(|i| if i < d { x[i] } else { zeta[i - d] }, entry);
    }
}
