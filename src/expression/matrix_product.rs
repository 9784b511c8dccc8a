//! B(x)ζ for a matrix of expressions.

use super::ExpressionError;
use super::graph::{Graph, Id};
use super::lower::lower;
use super::scope::Scope;
use super::symbol::{Place, Symbol, TraceError, trace};
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
        let mut graph = Graph::default();
        let mut entries = vec![];
        for (i, row) in rows.iter().enumerate() {
            for (j, text) in row.iter().enumerate() {
                entries.push(lower(&mut graph, scope, text).map_err(|e| (i, j, e))?);
            }
        }
        let columns = rows.first().map_or(0, Vec::len);
        Ok(MatrixProduct::new(
            graph,
            &entries,
            columns,
            scope.dimension(),
        ))
    }

    /// The same for the d rows that a closure computes.
    pub fn trace<F>(dimension: usize, place: Place, rows: F) -> Result<MatrixProduct, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Vec<Vec<Symbol<'g>>>,
    {
        let mut lengths: Vec<usize> = vec![];
        let (graph, entries) = trace(dimension, place, |x| {
            let rows = rows(x);
            lengths.extend(rows.iter().map(Vec::len));
            rows.concat()
        })?;
        let columns = lengths.first().copied().unwrap_or(0);
        if lengths.len() != dimension || columns == 0 || lengths.iter().any(|&n| n != columns) {
            return Err(TraceError::new(
                place,
                format!(
                    "rows of lengths {lengths:?}, but there must be {dimension}, one for each parameter, all equally long and not empty"
                ),
            ));
        }
        Ok(MatrixProduct::new(graph, &entries, columns, dimension))
    }

    /// The matrix of `entries`, row by row, as a function of the first `dimension` inputs.
    fn new(mut graph: Graph, entries: &[Id], columns: usize, dimension: usize) -> MatrixProduct {
        let constant = entries.iter().all(|&entry| graph.number(entry).is_some());
        let mut outputs = vec![];
        for row in entries.chunks(columns.max(1)) {
            let mut terms = vec![];
            for (j, &entry) in row.iter().enumerate() {
                let zeta = graph.input(dimension + j);
                terms.push(graph.multiply(entry, zeta));
            }
            outputs.push(graph.sum(terms));
        }
        MatrixProduct {
            dimension,
            columns,
            constant,
            tape: Tape::new(&graph, &outputs),
        }
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
