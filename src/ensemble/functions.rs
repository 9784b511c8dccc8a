//! Test functions h: the panel on which weak errors are measured (Def. 4.4).

use crate::landscape::Landscape;
use crate::real::{Lanes, Real};
use std::fmt;
use std::str::FromStr;

/// A smooth function of polynomial growth. Indices count from 0; they are written from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestFunction {
    /// xᵢ.
    Coordinate(usize),
    /// xᵢ².
    Square(usize),
    /// xᵢxⱼ.
    Product(usize, usize),
    /// xᵢ⁴.
    Fourth(usize),
    /// cos xᵢ.
    Cosine(usize),
    /// ‖x‖².
    SquaredNorm,
    /// L(x).
    Loss,
}

impl TestFunction {
    /// h for every lane group of `x` into `out`.
    pub fn evaluate(self, landscape: &dyn Landscape, x: &[Lanes], out: &mut [Lanes]) {
        let d = landscape.dimension();
        let groups = x.chunks_exact(d).zip(out.iter_mut());
        match self {
            TestFunction::Coordinate(i) => groups.for_each(|(x, h)| *h = x[i]),
            TestFunction::Square(i) => groups.for_each(|(x, h)| *h = x[i] * x[i]),
            TestFunction::Product(i, j) => groups.for_each(|(x, h)| *h = x[i] * x[j]),
            TestFunction::Fourth(i) => groups.for_each(|(x, h)| *h = x[i].square().square()),
            TestFunction::Cosine(i) => groups.for_each(|(x, h)| *h = Real::cos(x[i])),
            TestFunction::SquaredNorm => groups.for_each(|(x, h)| {
                *h = x.iter().fold(Lanes::ZERO, |s, &x| x.mul_add(x, s));
            }),
            TestFunction::Loss => landscape.values(x, out),
        }
    }

    /// The largest coordinate index that is used.
    pub fn last_coordinate(self) -> Option<usize> {
        match self {
            TestFunction::Coordinate(i)
            | TestFunction::Square(i)
            | TestFunction::Fourth(i)
            | TestFunction::Cosine(i) => Some(i),
            TestFunction::Product(i, j) => Some(i.max(j)),
            TestFunction::SquaredNorm | TestFunction::Loss => None,
        }
    }

    /// The default panel in dimension d: coordinates, squares, a product, a fourth power, a cosine and the loss.
    pub fn default_panel(dimension: usize) -> Vec<TestFunction> {
        let shown = dimension.min(2);
        let mut panel: Vec<_> = (0..shown).map(TestFunction::Coordinate).collect();
        panel.extend((0..shown).map(TestFunction::Square));
        if dimension > 1 {
            panel.push(TestFunction::Product(0, 1));
        }
        panel.push(TestFunction::Fourth(0));
        panel.push(TestFunction::Cosine(0));
        if dimension > 2 {
            panel.push(TestFunction::SquaredNorm);
        }
        panel.push(TestFunction::Loss);
        panel
    }

    /// The default panel on a manifold of minimizers, where the loss says nothing: coordinates, squares, a product and a cosine.
    pub fn slow_panel(dimension: usize) -> Vec<TestFunction> {
        let mut panel = TestFunction::default_panel(dimension);
        panel.retain(|h| !matches!(h, TestFunction::Loss | TestFunction::Fourth(_)));
        panel
    }
}

impl fmt::Display for TestFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TestFunction::Coordinate(i) => write!(f, "x[{}]", i + 1),
            TestFunction::Square(i) => write!(f, "x[{}]^2", i + 1),
            TestFunction::Product(i, j) => write!(f, "x[{}]*x[{}]", i + 1, j + 1),
            TestFunction::Fourth(i) => write!(f, "x[{}]^4", i + 1),
            TestFunction::Cosine(i) => write!(f, "cos(x[{}])", i + 1),
            TestFunction::SquaredNorm => write!(f, "norm2"),
            TestFunction::Loss => write!(f, "loss"),
        }
    }
}

/// The text is not a test function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a test function; allowed: x[i], x[i]^2, x[i]*x[j], x[i]^4, cos(x[i]), norm2, loss, with i, j from 1"
)]
pub struct UnknownFunction;

impl FromStr for TestFunction {
    type Err = UnknownFunction;

    fn from_str(text: &str) -> Result<TestFunction, UnknownFunction> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let index = |t: &str| -> Result<usize, UnknownFunction> {
            let inner = t.strip_prefix("x[").and_then(|t| t.strip_suffix(']'));
            let number: usize = inner
                .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|t| t.parse().ok())
                .ok_or(UnknownFunction)?;
            number.checked_sub(1).ok_or(UnknownFunction)
        };
        match text.as_str() {
            "loss" => return Ok(TestFunction::Loss),
            "norm2" => return Ok(TestFunction::SquaredNorm),
            _ => {}
        }
        if let Some(inner) = text.strip_prefix("cos(").and_then(|t| t.strip_suffix(')')) {
            return Ok(TestFunction::Cosine(index(inner)?));
        }
        if let Some(base) = text.strip_suffix("^2") {
            return Ok(TestFunction::Square(index(base)?));
        }
        if let Some(base) = text.strip_suffix("^4") {
            return Ok(TestFunction::Fourth(index(base)?));
        }
        if let Some((a, b)) = text.split_once('*') {
            return Ok(TestFunction::Product(index(a)?, index(b)?));
        }
        Ok(TestFunction::Coordinate(index(&text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for d in [1, 2, 7] {
            for h in TestFunction::default_panel(d) {
                assert_eq!(h.to_string().parse(), Ok(h));
            }
        }
        assert_eq!(" x[ 3 ] ^4".parse(), Ok(TestFunction::Fourth(2)));
        for wrong in [
            "",
            "x",
            "x[0]",
            "x[-1]",
            "x[1]^3",
            "sin(x[1])",
            "x[1]*",
            "x[99999999999999999999]",
            "x[+1]",
        ] {
            assert_eq!(
                wrong.parse::<TestFunction>(),
                Err(UnknownFunction),
                "{wrong}"
            );
        }
    }
}
