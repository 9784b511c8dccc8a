//! From tokens to a syntax tree, by precedence climbing with a bounded depth.
//!
//! | binding | operators |
//! |---|---|
//! | weakest | `a + b`, `a - b` (to the left) |
//! | | `a * b`, `a / b` (to the left) |
//! | | `-a`, `+a` |
//! | strongest | `a ^ b` (to the right; the exponent may have a sign: `2^-x`) |

use super::ExpressionError;
use super::lexer::{Token, tokens};
use std::ops::Range;

/// The deepest nesting of brackets, signs and exponents.
pub(super) const MOST_NESTED: usize = 128;

/// A place in [`Syntax::nodes`].
pub(super) type NodeIndex = usize;

/// A binary operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Name(String),
    /// `name[first..last]`, from 1; `first` = `last` and `range` false for one element.
    Index {
        name: String,
        first: usize,
        last: usize,
        range: bool,
    },
    Negate(NodeIndex),
    Binary(Binary, NodeIndex, NodeIndex),
    /// A function and its arguments; the place is that of its name.
    Call(String, Vec<NodeIndex>, Range<usize>),
}

/// An expression as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Syntax {
    /// Every node after its operands, the whole expression last; each with its place in the text.
    pub nodes: Vec<(Node, Range<usize>)>,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Syntax, ExpressionError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        nodes: vec![],
    };
    if parser.peek() == Token::End {
        return Err(ExpressionError::new(
            text,
            0..text.len(),
            "the expression is empty; for example 0.5*(x*y - 1)^2",
        ));
    }
    parser.sum()?;
    match parser.peek() {
        Token::End => Ok(Syntax {
            nodes: parser.nodes,
        }),
        Token::Symbol(')') => parser.fail("this `)` closes nothing"),
        Token::Symbol(']') => parser.fail("this `]` closes nothing"),
        Token::Symbol(',') => {
            parser.fail("a comma stands between the arguments of a function only")
        }
        _ => parser.fail(
            "expected an operator (+ - * / ^) or the end; a product is written with `*`, as in 2*x",
        ),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token<'a>, Range<usize>)>,
    at: usize,
    depth: usize,
    nodes: Vec<(Node, Range<usize>)>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).map_or(Token::End, |t| t.0)
    }

    fn span(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens
            .get(self.at)
            .map_or(end..end, |(_, span)| span.clone())
    }

    /// Passes over the symbol if it is next.
    fn eat(&mut self, symbol: char) -> bool {
        let found = self.peek() == Token::Symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, ExpressionError> {
        Err(ExpressionError::new(self.text, self.span(), message))
    }

    fn push(&mut self, node: Node, span: Range<usize>) -> NodeIndex {
        self.nodes.push((node, span));
        self.nodes.len() - 1
    }

    fn join(&mut self, operation: Binary, a: NodeIndex, b: NodeIndex) -> NodeIndex {
        let span = self.nodes[a].1.start..self.nodes[b].1.end;
        self.push(Node::Binary(operation, a, b), span)
    }

    /// Runs `part` one level deeper.
    fn nested(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<NodeIndex, ExpressionError>,
    ) -> Result<NodeIndex, ExpressionError> {
        if self.depth == MOST_NESTED {
            return self.fail(format!(
                "nested too deeply: at most {MOST_NESTED} levels are allowed"
            ));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<NodeIndex, ExpressionError> {
        let mut left = self.product()?;
        loop {
            let operation = match self.peek() {
                Token::Symbol('+') => Binary::Add,
                Token::Symbol('-') => Binary::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.product()?;
            left = self.join(operation, left, right);
        }
    }

    fn product(&mut self) -> Result<NodeIndex, ExpressionError> {
        let mut left = self.signed()?;
        loop {
            let operation = match self.peek() {
                Token::Symbol('*') => Binary::Multiply,
                Token::Symbol('/') => Binary::Divide,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.signed()?;
            left = self.join(operation, left, right);
        }
    }

    fn signed(&mut self) -> Result<NodeIndex, ExpressionError> {
        let start = self.span().start;
        if self.eat('-') {
            let inner = self.nested(Self::signed)?;
            let span = start..self.nodes[inner].1.end;
            Ok(self.push(Node::Negate(inner), span))
        } else if self.eat('+') {
            self.nested(Self::signed)
        } else {
            self.power()
        }
    }

    fn power(&mut self) -> Result<NodeIndex, ExpressionError> {
        let base = self.atom()?;
        if !self.eat('^') {
            return Ok(base);
        }
        let exponent = self.nested(Self::signed)?;
        Ok(self.join(Binary::Power, base, exponent))
    }

    fn atom(&mut self) -> Result<NodeIndex, ExpressionError> {
        let span = self.span();
        match self.peek() {
            Token::Number(value) => {
                self.at += 1;
                Ok(self.push(Node::Number(value), span))
            }
            Token::Name(name) => {
                self.at += 1;
                match self.peek() {
                    Token::Symbol('(') => self.call(name, span),
                    Token::Symbol('[') => self.index(name, span),
                    _ => Ok(self.push(Node::Name(name.to_string()), span)),
                }
            }
            Token::Symbol('(') => {
                self.at += 1;
                let inner = self.nested(Self::sum)?;
                let end = self.span().end;
                self.close(')', span.clone())?;
                // The place of a bracketed part includes its brackets.
                self.nodes[inner].1 = span.start..end;
                Ok(inner)
            }
            Token::End => self.fail(
                "the expression ends here, but a number, a name, a function or `(` must follow",
            ),
            _ => self.fail("expected a number, a name, a function or `(`"),
        }
    }

    /// Requires the closing bracket of the one at `open`.
    fn close(&mut self, symbol: char, open: Range<usize>) -> Result<(), ExpressionError> {
        if self.eat(symbol) {
            return Ok(());
        }
        if self.peek() == Token::End {
            let message = format!("this bracket is not closed; `{symbol}` is missing");
            return Err(ExpressionError::new(self.text, open, message));
        }
        self.fail(format!("expected an operator (+ - * / ^) or `{symbol}`"))
    }

    fn call(&mut self, name: &str, span: Range<usize>) -> Result<NodeIndex, ExpressionError> {
        let open = self.span();
        self.at += 1;
        let mut arguments = vec![];
        if self.peek() != Token::Symbol(')') {
            loop {
                arguments.push(self.nested(Self::sum)?);
                if !self.eat(',') {
                    break;
                }
            }
        }
        let end = self.span().end;
        self.close(')', open)?;
        let node = Node::Call(name.to_string(), arguments, span.clone());
        Ok(self.push(node, span.start..end))
    }

    fn index(&mut self, name: &str, span: Range<usize>) -> Result<NodeIndex, ExpressionError> {
        let open = self.span();
        self.at += 1;
        let first = self.whole()?;
        let range = self.peek() == Token::Range;
        let last = if range {
            self.at += 1;
            self.whole()?
        } else {
            first
        };
        let end = self.span().end;
        if !self.eat(']') {
            if self.peek() == Token::End {
                return self.close(']', open).map(|()| 0);
            }
            return self.fail("expected `]`: an index is a whole number, as in w[3] or w[1..20]");
        }
        let node = Node::Index {
            name: name.to_string(),
            first,
            last,
            range,
        };
        Ok(self.push(node, span.start..end))
    }

    /// A whole number from 1.
    fn whole(&mut self) -> Result<usize, ExpressionError> {
        match self.peek() {
            Token::Number(value) if (1.0..=1e9).contains(&value) && value.fract() == 0.0 => {
                self.at += 1;
                Ok(value as usize)
            }
            _ => self.fail("an index is a whole number from 1, as in w[3] or w[1..20]"),
        }
    }
}
