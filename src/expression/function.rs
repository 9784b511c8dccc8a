//! A function of the parameters with all the derivatives that the theory needs, ready to run.

use super::ExpressionError;
use super::graph::{Graph, Id};
use super::lower::lower;
use super::scope::Scope;
use super::symbol::{Symbol, TraceError, trace};
use super::tape::{Output, Tape};
use crate::landscape::Coefficients;
use crate::real::{Lanes, Real};
use std::panic::Location;

/// Nodes up to which all second and third derivatives are written out; beyond, they are products with vectors.
const MOST_WRITTEN: usize = 20_000;

/// f(x, z) of d parameters x and q data columns z, with ∂f/∂x, ∂²f/∂x² and ∂²(∇f)\[M\], exact, by symbolic reverse
/// differentiation.
///
/// The gradient costs a small multiple of the value, whatever d. A Hessian is one program of its distinct entries or, where
/// that would be long, d products with unit vectors, each a small multiple of the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    dimension: usize,
    columns: usize,
    value: Tape,
    gradient: Tape,
    /// ∇²f v, with the input v.
    product: Tape,
    second: Second,
}

/// The higher derivatives. Inputs are x, z and what is named.
#[derive(Clone, Debug, PartialEq)]
enum Second {
    /// Every distinct entry.
    Written {
        /// The diagonal and what is above it, row by row.
        hessian: Tape,
        trace: Tape,
        /// ∂²(∇f)\[M\], with the input M.
        third: Tape,
    },
    /// Too many entries: products with vectors only, here ∇(uᵀ∇²f v) with the inputs u, v.
    Products { third: Tape },
}

impl Function {
    /// The function that the text describes.
    ///
    /// # Errors
    /// An [`ExpressionError`] with the place of the mistake and what is allowed.
    pub fn parse(text: &str, scope: &Scope) -> Result<Function, ExpressionError> {
        let mut graph = Graph::default();
        let output = lower(&mut graph, scope, text)?;
        Ok(Function::new(
            &mut graph,
            output,
            scope.dimension(),
            scope.columns(),
        ))
    }

    /// The function of `dimension` parameters that a closure computes.
    ///
    /// # Errors
    /// The operation of the closure that has no meaning, with its place in the Rust source.
    ///
    /// # Example
    /// ```
    /// use slowsde::expression::Function;
    ///
    /// let f = Function::from_fn(2, |x| x[0].exp() * x[1].powi(3))?;
    /// let mut gradient = [0.0; 2];
    /// f.gradient(&[0.0, 2.0], |_| 0.0, |i, entry| gradient[i] = entry);
    /// assert_eq!(gradient, [8.0, 12.0]);
    /// # Ok::<(), slowsde::expression::TraceError>(())
    /// ```
    #[track_caller]
    pub fn from_fn<F>(dimension: usize, f: F) -> Result<Function, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>]) -> Symbol<'g>,
    {
        Function::from_fn_of_rows(dimension, 0, |x, _| f(x))
    }

    /// The function f(x, z) of `dimension` parameters x and a row z of `columns` data columns that a closure computes: the
    /// term of one sample for [`SampleLoss`](crate::landscape::SampleLoss), or its residual for
    /// [`ExpressionModel`](crate::landscape::ExpressionModel).
    ///
    /// # Errors
    /// The operation of the closure that has no meaning, with its place in the Rust source.
    #[track_caller]
    pub fn from_fn_of_rows<F>(
        dimension: usize,
        columns: usize,
        f: F,
    ) -> Result<Function, TraceError>
    where
        F: for<'g> FnOnce(&[Symbol<'g>], &[Symbol<'g>]) -> Symbol<'g>,
    {
        let place = Some(Location::caller());
        if dimension == 0 {
            return Err(TraceError::new(
                place,
                "there must be at least one parameter",
            ));
        }
        let inputs = dimension.saturating_add(columns);
        let (mut graph, outputs) = trace(inputs, place, |inputs| {
            let (x, z) = inputs.split_at(dimension);
            vec![f(x, z)]
        })?;
        match outputs.first() {
            Some(&output) => Ok(Function::new(&mut graph, output, dimension, columns)),
            None => Err(TraceError::new(place, "there is no function")),
        }
    }

    /// The function that a node is, of the first `dimension` inputs as parameters and the next `columns` as data.
    pub(super) fn new(graph: &mut Graph, output: Id, dimension: usize, columns: usize) -> Function {
        let value = Tape::new(graph, &[output]);
        let entries = graph.gradient(output, dimension);
        let gradient = Tape::new(graph, &entries);
        let data = dimension + columns;
        let product = along(graph, &entries, data);
        let product = Tape::new(graph, &product);
        let second = match hessian_entries(graph, &entries) {
            Some(hessian) => Second::written(graph, &hessian, dimension, columns),
            None => {
                let product = along(graph, &entries, data + dimension);
                let third = along(graph, &product, data);
                Second::Products {
                    third: Tape::new(graph, &third),
                }
            }
        };
        Function {
            dimension,
            columns,
            value,
            gradient,
            product,
            second,
        }
    }

    /// The number of parameters d.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of data columns q.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether ∂²f/∂x² vanishes for all x and z.
    pub fn is_affine(&self) -> bool {
        self.product.vanishes()
    }

    /// Whether ∂²f/∂x² is the same for all x.
    pub fn is_quadratic(&self) -> bool {
        match &self.second {
            Second::Written { third, .. } | Second::Products { third } => third.vanishes(),
        }
    }

    /// f(x, z), with `z(k)` for column k.
    #[inline(always)]
    pub fn value<R: Real>(&self, x: &[R], z: impl Fn(usize) -> R) -> R {
        let d = self.dimension;
        self.value.number(|i| if i < d { x[i] } else { z(i - d) })
    }

    /// ∂f/∂xᵢ, handed to `entry` one by one.
    #[inline(always)]
    pub fn gradient<R: Real>(&self, x: &[R], z: impl Fn(usize) -> R, entry: impl FnMut(usize, R)) {
        let d = self.dimension;
        self.gradient
            .evaluate(|i| if i < d { x[i] } else { z(i - d) }, entry);
    }

    /// ∂²f/∂xₐ∂x_b for a ≤ b, handed to `entry` one by one.
    pub fn hessian<R: Real>(
        &self,
        x: &[R],
        z: impl Fn(usize) -> R,
        mut entry: impl FnMut(usize, usize, R),
    ) {
        let (d, q) = (self.dimension, self.columns);
        let input = |i: usize| if i < d { x[i] } else { z(i - d) };
        match &self.second {
            Second::Written { hessian, .. } => {
                let (mut a, mut b) = (0, 0);
                hessian.evaluate(input, |_, value| {
                    entry(a, b, value);
                    b += 1;
                    if b == d {
                        a += 1;
                        b = a;
                    }
                });
            }
            Second::Products { .. } => {
                for a in 0..d {
                    let unit = |i: usize| R::constant(if i == a { 1.0 } else { 0.0 });
                    let input = |i: usize| if i < d + q { input(i) } else { unit(i - d - q) };
                    self.product.evaluate(input, |b, value| {
                        if b >= a {
                            entry(a, b, value);
                        }
                    });
                }
            }
        }
    }

    /// tr ∂²f/∂x².
    pub fn trace<R: Real>(&self, x: &[R], z: impl Fn(usize) -> R) -> R {
        let (d, q) = (self.dimension, self.columns);
        let input = |i: usize| if i < d { x[i] } else { z(i - d) };
        match &self.second {
            Second::Written { trace, .. } => trace.number(input),
            Second::Products { .. } => {
                let mut sum = R::constant(0.0);
                for a in 0..d {
                    let unit = |i: usize| R::constant(if i == a { 1.0 } else { 0.0 });
                    let input = |i: usize| if i < d + q { input(i) } else { unit(i - d - q) };
                    self.product.evaluate(input, |b, value| {
                        if b == a {
                            sum = sum + value;
                        }
                    });
                }
                sum
            }
        }
    }

    /// The entries of ∂²f/∂x² v, handed to `entry` one by one.
    #[inline(always)]
    pub fn product<R: Real>(
        &self,
        x: &[R],
        z: impl Fn(usize) -> R,
        v: &[R],
        entry: impl FnMut(usize, R),
    ) {
        let (d, q) = (self.dimension, self.columns);
        let input = |i: usize| match i.checked_sub(d) {
            None => x[i],
            Some(k) if k < q => z(k),
            Some(k) => v[k - q],
        };
        self.product.evaluate(input, entry);
    }

    /// `out` += `scale` Σ_bc ∂ₐ∂_b∂_c f M_bc for a symmetric M, row by row.
    pub fn add_third<R: Real>(
        &self,
        x: &[R],
        z: impl Fn(usize) -> R,
        scale: R,
        m: &[R],
        out: &mut [R],
    ) {
        let (d, q) = (self.dimension, self.columns);
        let input = |i: usize| if i < d { x[i] } else { z(i - d) };
        match &self.second {
            Second::Written { third, .. } => {
                let input = |i: usize| if i < d + q { input(i) } else { m[i - d - q] };
                third.evaluate(input, |a, value| out[a] = scale.mul_add(value, out[a]));
            }
            Second::Products { third, .. } => {
                for (c, column) in m.chunks_exact(d).enumerate() {
                    let input = |i: usize| match i.checked_sub(d + q) {
                        None => input(i),
                        Some(i) if i < d => R::constant(if i == c { 1.0 } else { 0.0 }),
                        Some(i) => column[i - d],
                    };
                    third.evaluate(input, |a, value| out[a] = scale.mul_add(value, out[a]));
                }
            }
        }
    }

    /// One optimizer step of all groups on ∇f + `noise`, as in [`Landscape::descend`](crate::landscape::Landscape::descend):
    /// several groups to an instruction. Gives back whether it is done.
    pub(crate) fn descend(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
    ) -> bool {
        match self.gradient.registers() {
            0..=4 => self.descend_on::<4, 8>(step, noise, x, m),
            5..=8 => self.descend_on::<8, 8>(step, noise, x, m),
            9..=16 => self.descend_on::<16, 4>(step, noise, x, m),
            17..=32 => self.descend_on::<32, 4>(step, noise, x, m),
            33..=64 => self.descend_on::<64, 4>(step, noise, x, m),
            65..=256 => self.descend_on::<256, 2>(step, noise, x, m),
            _ => return false,
        }
        true
    }

    /// `G` groups to an instruction on `N` registers: together they stay in the first-level cache.
    fn descend_on<const N: usize, const G: usize>(
        &self,
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
    ) {
        let whole = x.len() - x.len() % (G * self.dimension);
        let split = whole.min(m.len());
        let (x, x_rest) = x.split_at_mut(whole);
        let (m, m_rest) = m.split_at_mut(split);
        let (noise, noise_rest) = noise.split_at(whole);
        if !x.is_empty() {
            self.descend_by(&mut [[Lanes::ZERO; G]; N], step, noise, x, m);
        }
        if !x_rest.is_empty() {
            self.descend_by(&mut [[Lanes::ZERO; 1]; N], step, noise_rest, x_rest, m_rest);
        }
    }

    fn descend_by<const G: usize>(
        &self,
        registers: &mut [[Lanes; G]],
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
    ) {
        let part = G * self.dimension;
        if m.is_empty() {
            for (x, noise) in x.chunks_exact_mut(part).zip(noise.chunks_exact(part)) {
                self.descend_groups::<G, false>(registers, step, noise, x, &mut []);
            }
        } else {
            let parts = x.chunks_exact_mut(part).zip(m.chunks_exact_mut(part));
            for ((x, m), noise) in parts.zip(noise.chunks_exact(part)) {
                self.descend_groups::<G, true>(registers, step, noise, x, m);
            }
        }
    }

    /// The operations of [`Coefficients::apply`], in its order.
    #[inline(always)]
    fn descend_groups<const G: usize, const MEMORY: bool>(
        &self,
        registers: &mut [[Lanes; G]],
        step: Coefficients,
        noise: &[Lanes],
        x: &mut [Lanes],
        m: &mut [Lanes],
    ) {
        let d = self.dimension;
        let rate = Lanes::splat(-step.rate);
        let (decay, gain) = (Lanes::splat(step.decay), Lanes::splat(step.gain));
        self.gradient.run(registers, |i, j| x[j * d + i]);
        for (i, place) in self.gradient.outputs().iter().enumerate() {
            let constant;
            let entries = match *place {
                Output::Register(r) => &registers[r as usize],
                Output::Constant(c) => {
                    constant = [Lanes::splat(c); G];
                    &constant
                }
            };
            for (j, &entry) in entries.iter().enumerate() {
                let k = j * d + i;
                let g = entry + noise[k];
                if MEMORY {
                    m[k] = decay.mul_add(m[k], gain * g);
                    x[k] = rate.mul_add(m[k], x[k]);
                } else {
                    x[k] = rate.mul_add(g, x[k]);
                }
            }
        }
    }
}

/// The entries of the Hessian on and above the diagonal, row by row, from those of the gradient; `None` if they are too long.
fn hessian_entries(graph: &mut Graph, gradient: &[Id]) -> Option<Vec<Id>> {
    let (d, limit) = (gradient.len(), graph.len() + MOST_WRITTEN);
    if d * (d + 1) / 2 > MOST_WRITTEN {
        return None;
    }
    let mut entries = vec![];
    for (a, &entry) in gradient.iter().enumerate() {
        let row = graph.gradient(entry, d);
        entries.extend_from_slice(&row[a..]);
        if graph.len() > limit {
            return None;
        }
    }
    Some(entries)
}

impl Second {
    fn written(graph: &mut Graph, entries: &[Id], d: usize, q: usize) -> Second {
        let hessian = Tape::new(graph, entries);
        let (mut diagonal, mut form) = (vec![], vec![]);
        let mut entries = entries.iter();
        for a in 0..d {
            for b in a..d {
                let Some(&entry) = entries.next() else {
                    continue;
                };
                let m = graph.input(d + q + a * d + b);
                let m = if a == b {
                    diagonal.push(entry);
                    m
                } else {
                    let mirrored = graph.input(d + q + b * d + a);
                    graph.add(m, mirrored)
                };
                form.push(graph.multiply(entry, m));
            }
        }
        let trace = graph.sum(diagonal);
        let form = graph.sum(form);
        let third = graph.gradient(form, d);
        Second::Written {
            hessian,
            trace: Tape::new(graph, &[trace]),
            third: Tape::new(graph, &third),
        }
    }
}

/// ∇(vᵀg) for the entries of a gradient g, with the inputs v from index `first` on.
fn along(graph: &mut Graph, gradient: &[Id], first: usize) -> Vec<Id> {
    let terms = gradient
        .iter()
        .enumerate()
        .map(|(a, &entry)| {
            let v = graph.input(first + a);
            graph.multiply(entry, v)
        })
        .collect();
    let derivative = graph.sum(terms);
    graph.gradient(derivative, gradient.len())
}
