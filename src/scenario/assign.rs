//! `--set key=value`: assignments written into the text of a scenario.

use super::check::ScenarioError;
use super::syntax::syntax_error;

/// Whether the text has a key such as `profile.quick.etas`.
pub(super) fn has_key(text: &str, path: &str) -> bool {
    let Ok(document) = toml_edit::Document::parse(text) else {
        return false;
    };
    let mut item = document.as_item();
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or(part);
        match item.as_table_like().and_then(|t| t.get(name)) {
            Some(inner) => item = inner,
            None => return false,
        }
    }
    true
}

/// Writes `key.path=value` assignments into the text.
pub(super) fn assign(
    text: &str,
    file: &str,
    assignments: &[String],
) -> Result<String, ScenarioError> {
    // The two readers refuse the same texts; the first one's messages are those of a file without --set.
    toml::from_str::<toml::Table>(text).map_err(|e| syntax_error(file, text, &e))?;
    let mut document: toml_edit::DocumentMut =
        text.parse()
            .map_err(|e: toml_edit::TomlError| ScenarioError::Syntax {
                file: file.to_string(),
                message: e.to_string().trim_end().to_string(),
            })?;
    for text in assignments {
        let bad = |message: &str| ScenarioError::Set {
            text: text.clone(),
            message: message.to_string(),
        };
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| bad("write it as key=value, for example run.paths=1000"))?;
        let value = value.trim();
        // A bare word is a text; a broken list or table is a mistake.
        let word = value.starts_with(|c: char| c.is_alphanumeric() || "_./".contains(c));
        let value: toml_edit::Value = match value.parse() {
            Ok(value) => value,
            Err(_) if word => value.into(),
            Err(_) => {
                return Err(bad(
                    "the value is not TOML: a number, true, false, a word, \"text\", [list] or { table }",
                ));
            }
        };
        let parts: Vec<&str> = path.split('.').map(str::trim).collect();
        let Some((last, parents)) = parts
            .split_last()
            .filter(|_| parts.iter().all(|p| !p.is_empty()))
        else {
            return Err(bad("the key has an empty part"));
        };
        let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
        for part in parents {
            let (name, index) = match part.strip_suffix(']').and_then(|p| p.split_once('[')) {
                Some((name, index)) => (name, Some(index)),
                None => (*part, None),
            };
            let item = table.entry(name).or_insert(toml_edit::table());
            let inner: Option<&mut dyn toml_edit::TableLike> = match (index, item) {
                (None, item) => item.as_table_like_mut(),
                (Some(index), item) => item.as_array_of_tables_mut().and_then(|tables| {
                    let index = index.parse::<usize>().ok()?.checked_sub(1)?;
                    Some(tables.get_mut(index)? as &mut dyn toml_edit::TableLike)
                }),
            };
            table =
                inner.ok_or_else(|| bad(&format!("`{part}` is not a table of the scenario")))?;
        }
        table.insert(last, toml_edit::value(value));
    }
    Ok(document.to_string())
}
