//! Finds the place of a key in a scenario file, so that a message can point at it.

use crate::expression::{ExpressionError, place, snippet};
use toml_edit::{Document, Item, TableLike, Value};

/// Line and column (from 1) of a key path such as `run.etas` or `compare[2].alphas`; the nearest enclosing place if the key
/// is not written.
pub fn locate(text: &str, path: &str) -> Option<(usize, usize)> {
    let document = Document::parse(text).ok()?;
    let mut place = None;
    let mut here = Here::Table(document.as_table());
    for part in path.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Here::Table(table) = here else { break };
        let Some((key, item)) = table.get_key_value(name) else {
            break;
        };
        place = key.span().or_else(|| item.span()).or(place);
        here = step(item);
        if let Some(index) = index {
            let Some((inner, span)) = element(item, index.saturating_sub(1)) else {
                break;
            };
            place = span.or(place);
            here = inner;
        }
    }
    let offset = place?.start.min(text.len());
    let before = text.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    Some((line, column))
}

/// The place of a mistake in the expression that stands at a key, and the line with carets under it: in the file where the
/// text stands there as it is, else (escapes, `--set`) in the expression.
pub fn locate_expression(
    text: &str,
    path: &str,
    error: &ExpressionError,
) -> (Option<(usize, usize)>, String) {
    let start = value_span(text, path).and_then(|span| {
        let within = text.get(span.clone())?.find(&error.text)?;
        Some(span.start + within).filter(|_| !error.text.is_empty())
    });
    match start {
        Some(start) => {
            let span = start + error.span.start..start + error.span.end;
            let (line, column, _) = place(text, span.start);
            let shown = snippet(text, span);
            (Some((line, column)), format!("\n{shown}"))
        }
        None => (locate(text, path), format!("\n{}", error.snippet())),
    }
}

/// The bytes of the value of a key path such as `run.functions[2]` or `known.law[1].mean`.
fn value_span(text: &str, path: &str) -> Option<std::ops::Range<usize>> {
    let document = Document::parse(text).ok()?;
    let mut here: &dyn TableLike = document.as_table();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let mut pieces = part.split('[');
        let item = here.get(pieces.next()?)?;
        let indices: Vec<usize> = pieces
            .map(|i| {
                i.trim_end_matches(']')
                    .parse::<usize>()
                    .ok()?
                    .checked_sub(1)
            })
            .collect::<Option<_>>()?;
        let (table, value): (Option<&dyn TableLike>, Option<&Value>) = match (item, &indices[..]) {
            (Item::ArrayOfTables(tables), [index]) => {
                (tables.get(*index).map(|t| t as &dyn TableLike), None)
            }
            (Item::Value(value), indices) => {
                let mut entry = value;
                for index in indices {
                    entry = entry.as_array()?.get(*index)?;
                }
                let table = entry.as_inline_table().map(|t| t as &dyn TableLike);
                (table, Some(entry))
            }
            (item, []) => (item.as_table_like(), None),
            _ => return None,
        };
        if parts.peek().is_none() {
            return value.and_then(Value::span);
        }
        here = table?;
    }
    None
}

enum Here<'a> {
    Table(&'a dyn TableLike),
    Leaf,
}

fn step(item: &Item) -> Here<'_> {
    item.as_table_like().map_or(Here::Leaf, Here::Table)
}

fn element(item: &Item, index: usize) -> Option<(Here<'_>, Option<std::ops::Range<usize>>)> {
    match item {
        Item::ArrayOfTables(tables) => {
            let table = tables.get(index)?;
            Some((Here::Table(table), table.span()))
        }
        Item::Value(Value::Array(array)) => {
            let value = array.get(index)?;
            let here = match value {
                Value::InlineTable(t) => Here::Table(t),
                _ => Here::Leaf,
            };
            Some((here, value.span()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::locate;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "title = 1\n[run]\n  etas = 3\nalphas = [0.0,\n 2.0]\n[[compare]]\nleft = 1\n[[compare]]\nright = { x = 1 }\n";
        assert_eq!(locate(text, "title"), Some((1, 1)));
        assert_eq!(locate(text, "run.etas"), Some((3, 3)));
        assert_eq!(locate(text, "run.alphas[2]"), Some((5, 2)));
        assert_eq!(locate(text, "compare[2].right.x").map(|p| p.0), Some(9));
        assert_eq!(locate(text, "run.missing"), Some((2, 2)));
        assert_eq!(locate(text, "nothing"), None);
    }
}
