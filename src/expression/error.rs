//! What is wrong with an expression, where, and what is allowed.

use std::fmt;
use std::ops::Range;

/// A mistake in an expression, with its place in the text.
///
/// Displayed as `line:column: message` with the line and a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The expression.
    pub text: String,
    /// The bytes of `text` that are wrong.
    pub span: Range<usize>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl ExpressionError {
    pub(super) fn new(
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> ExpressionError {
        ExpressionError {
            text: text.to_string(),
            span,
            message: message.into(),
        }
    }

    /// Line and column of the mistake in the expression, from 1.
    pub fn place(&self) -> (usize, usize) {
        let (line, column, _) = place(&self.text, self.span.start);
        (line, column)
    }

    /// The line of the mistake with its number, and carets under the mistake.
    pub fn snippet(&self) -> String {
        snippet(&self.text, self.span.clone())
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place();
        write!(f, "{line}:{column}: {}\n{}", self.message, self.snippet())
    }
}

impl std::error::Error for ExpressionError {}

/// Line and column (from 1) of a byte of the text, and the line itself.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize, &str) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let column = before[start..].chars().count() + 1;
    let shown = text[start..].lines().next().unwrap_or_default();
    (before.matches('\n').count() + 1, column, shown)
}

/// Letters of a line that are shown.
const MOST_SHOWN: usize = 160;

/// The line of a place with its number, and carets under the place.
pub(crate) fn snippet(text: &str, span: Range<usize>) -> String {
    let (line, column, shown) = place(text, span.start);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    // Of a long line, the part around the place.
    let (mut before, cut) = (column - 1, shown.chars().count() > MOST_SHOWN);
    let shown = if cut {
        let skipped = before.saturating_sub(MOST_SHOWN / 2);
        before -= skipped;
        let part: String = shown.chars().skip(skipped).take(MOST_SHOWN).collect();
        before += 1;
        format!("…{part}…")
    } else {
        shown.to_string()
    };
    let indent = " ".repeat(before);
    let width = text.get(span).map_or(1, |s| {
        s.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            .clamp(1, 80)
    });
    let carets = "^".repeat(width);
    format!("{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}")
}
