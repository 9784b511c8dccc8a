//! What label noise, minibatches and projections need of a loss (1/2n) Σ rᵢ² with residuals that are expressions.

use super::ExpressionError;
use super::function::Function;
use super::graph::{Graph, Id};
use super::lower::lower;
use super::scope::Scope;
use super::symbol::{Place, Symbol, TraceError, trace};
use super::tape::Tape;
use crate::landscape::Expression;
use crate::real::Real;

/// Programs for residuals r₁, …, rₙ. Inputs are x and what is named.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SumOfSquares {
    dimension: usize,
    count: usize,
    /// (1/n) Σ wᵢ rᵢ ∇rᵢ, with the inputs wᵢ.
    weighted: Tape,
    /// (1/n) Σ wᵢ ∇rᵢ, with the inputs wᵢ.
    combination: Tape,
    /// All rᵢ, then all ∇rᵢ.
    jacobian: Tape,
    /// Σ ∇²rᵢ vᵢ, with the inputs vᵢ.
    curvature: Tape,
}

impl SumOfSquares {
    /// The loss and its residuals.
    ///
    /// # Errors
    /// The index of the residual that cannot be read, and why.
    pub fn parse(
        residuals: &[String],
        scope: &Scope,
    ) -> Result<(Function, SumOfSquares), (usize, ExpressionError)> {
        let (mut graph, d) = (Graph::default(), scope.dimension());
        let r: Vec<Id> = residuals
            .iter()
            .enumerate()
            .map(|(i, text)| lower(&mut graph, scope, text).map_err(|e| (i, e)))
            .collect::<Result<_, _>>()?;
        Ok(SumOfSquares::new(graph, &r, d))
    }

    /// The same for residuals that a closure computes of `dimension` parameters.
    pub fn trace<F>(
        dimension: usize,
        place: Place,
        residuals: F,
    ) -> Result<(Function, SumOfSquares), TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Vec<Symbol<'g>>,
    {
        let (graph, r) = trace(dimension, place, residuals)?;
        let most = Expression::MOST_ENTRIES;
        if r.is_empty() || r.len().saturating_mul(dimension) > most {
            return Err(TraceError::new(
                place,
                format!(
                    "{} residuals of {dimension} parameters: there must be at least one, and their product must be at most {most}",
                    r.len()
                ),
            ));
        }
        Ok(SumOfSquares::new(graph, &r, dimension))
    }

    /// The loss and its residuals `r`, at least one.
    fn new(mut graph: Graph, r: &[Id], d: usize) -> (Function, SumOfSquares) {
        let n = r.len();
        let share = 1.0 / n as f64;
        let squares = r.iter().map(|&r| graph.multiply(r, r)).collect();
        let loss = scaled_sum(&mut graph, 0.5 * share, squares);
        let weights: Vec<Id> = (0..n).map(|i| graph.input(d + i)).collect();

        let weighted = r
            .iter()
            .zip(&weights)
            .map(|(&r, &w)| {
                let square = graph.multiply(r, r);
                graph.multiply(w, square)
            })
            .collect();
        let weighted = scaled_sum(&mut graph, 0.5 * share, weighted);
        let weighted = graph.gradient(weighted, d);

        let combination = r
            .iter()
            .zip(&weights)
            .map(|(&r, &w)| graph.multiply(w, r))
            .collect();
        let combination = scaled_sum(&mut graph, share, combination);
        let combination = graph.gradient(combination, d);

        let gradients: Vec<Id> = r.iter().flat_map(|&r| graph.gradient(r, d)).collect();
        let terms = gradients
            .iter()
            .enumerate()
            .map(|(k, &entry)| {
                let v = graph.input(d + k);
                graph.multiply(entry, v)
            })
            .collect();
        let derivative = graph.sum(terms);
        let curvature = graph.gradient(derivative, d);
        let jacobian: Vec<Id> = r.iter().copied().chain(gradients).collect();

        let parts = SumOfSquares {
            dimension: d,
            count: n,
            weighted: Tape::new(&graph, &weighted),
            combination: Tape::new(&graph, &combination),
            jacobian: Tape::new(&graph, &jacobian),
            curvature: Tape::new(&graph, &curvature),
        };
        (Function::new(&mut graph, loss, d, 0), parts)
    }

    /// n.
    pub fn count(&self) -> usize {
        self.count
    }

    /// (1/n) Σ wᵢ rᵢ ∇rᵢ, entry by entry.
    #[inline(always)]
    pub fn weighted<R: Real>(
        &self,
        x: &[R],
        weight: impl Fn(usize) -> R,
        entry: impl FnMut(usize, R),
    ) {
        let d = self.dimension;
        self.weighted
            .evaluate(|i| if i < d { x[i] } else { weight(i - d) }, entry);
    }

    /// (1/n) Σ wᵢ ∇rᵢ, entry by entry.
    #[inline(always)]
    pub fn combination<R: Real>(&self, x: &[R], weights: &[R], entry: impl FnMut(usize, R)) {
        let d = self.dimension;
        self.combination
            .evaluate(|i| if i < d { x[i] } else { weights[i - d] }, entry);
    }

    /// All rᵢ, then all entries of ∇r₁, of ∇r₂, ….
    pub fn jacobian<R: Real>(&self, x: &[R], entry: impl FnMut(usize, R)) {
        self.jacobian.evaluate(|i| x[i], entry);
    }

    /// Σ ∇²rᵢ vᵢ, entry by entry.
    pub fn curvature<R: Real>(&self, x: &[R], v: &[R], entry: impl FnMut(usize, R)) {
        let d = self.dimension;
        self.curvature
            .evaluate(|i| if i < d { x[i] } else { v[i - d] }, entry);
    }

    /// ∇r₁, ∇r₂, …, where they are the same everywhere.
    pub fn constant_gradients(&self) -> Option<Vec<f64>> {
        self.jacobian.constants_from(self.count)
    }
}

fn scaled_sum(graph: &mut Graph, scale: f64, terms: Vec<Id>) -> Id {
    let (scale, sum) = (graph.constant(scale), graph.sum(terms));
    graph.multiply(scale, sum)
}
