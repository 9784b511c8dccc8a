//! From text to tokens: numbers, names and operators, each with its place.

use super::ExpressionError;
use std::ops::Range;

/// The longest text that is read, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 16;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    Name(&'a str),
    /// One of `+ - * / ^ ( ) [ ] ,`.
    Symbol(char),
    /// `..`.
    Range,
    End,
}

/// All tokens and their places; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, ExpressionError> {
    if text.len() > MOST_BYTES {
        return Err(ExpressionError::new(
            "",
            0..0,
            format!(
                "the expression has {} bytes; at most {MOST_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    let bytes = text.as_bytes();
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        let token = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '0'..='9' => number(text, &mut at)?,
            '.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => number(text, &mut at)?,
            '.' if bytes.get(at + 1) == Some(&b'.') => {
                at += 2;
                Token::Range
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                at += bytes[at..].iter().take_while(|b| is_name(b)).count();
                Token::Name(&text[start..at])
            }
            '*' if bytes.get(at + 1) == Some(&b'*') => {
                let message = "unknown operator `**`; did you mean `^`?";
                return Err(ExpressionError::new(text, at..at + 2, message));
            }
            '+' | '-' | '*' | '/' | '^' | '(' | ')' | '[' | ']' | ',' => {
                at += 1;
                Token::Symbol(c)
            }
            other => {
                let hint = match other {
                    '−' | '–' => "; did you mean `-`?",
                    '·' | '×' => "; did you mean `*`?",
                    '²' => "; did you mean `^2`?",
                    'π' => "; did you mean `pi`?",
                    '.' => "; a number needs a digit beside its point",
                    '<' | '>' | '=' | '!' | '&' | '|' | '?' => {
                        "; comparisons make a loss that is not smooth"
                    }
                    _ => "; allowed: numbers, names, + - * / ^ ( ) [ ] ,",
                };
                return Err(ExpressionError::new(
                    text,
                    at..at + other.len_utf8(),
                    format!("unexpected `{}`{hint}", other.escape_debug()),
                ));
            }
        };
        tokens.push((token, start..at));
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

/// A decimal number such as `12`, `0.5`, `.5`, `2.` or `1e-3`; `1..20` is a number, a range and a number.
fn number<'a>(text: &'a str, at: &mut usize) -> Result<Token<'a>, ExpressionError> {
    let (bytes, start) = (text.as_bytes(), *at);
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    *at += digits(*at);
    if bytes.get(*at) == Some(&b'.') && bytes.get(*at + 1) != Some(&b'.') {
        *at += 1;
        *at += digits(*at);
    }
    if matches!(bytes.get(*at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(*at + 1), Some(b'+' | b'-')));
        let exponent = digits((*at + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            *at += 1 + sign + exponent;
        }
    }
    let written = &text[start..*at];
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Token::Number(value)),
        _ => Err(ExpressionError::new(
            text,
            start..*at,
            format!("the number {written} is not finite; the largest is 1.8e308"),
        )),
    }
}
