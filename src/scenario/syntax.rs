//! Messages about text that is not TOML, or has a wrong key or type: in the words of the scenario reference.

use super::ScenarioError;

/// The message of the TOML reader as `line:column: what: allowed`, with the line and a caret below.
pub(super) fn syntax_error(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let missing = error.message().starts_with("missing field");
    let message = reword(error.message());
    // A missing key has no place but that of its table, and the file has none at all.
    let span = error.span().filter(|s| !missing || s.start > 0);
    let Some((line, column, shown)) = span.and_then(|s| place(text, s.start)) else {
        return ScenarioError::Syntax {
            file: file.to_string(),
            message,
        };
    };
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let caret = " ".repeat(column - 1);
    ScenarioError::Syntax {
        file: format!("{file}:{line}:{column}"),
        message: if missing {
            message
        } else {
            format!("{message}\n{margin} |\n{number} | {shown}\n{margin} | {caret}^")
        },
    }
}

/// Line and column from 1, and the line itself.
fn place(text: &str, offset: usize) -> Option<(usize, usize, &str)> {
    let before = text.get(..offset)?;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let column = before[start..].chars().count() + 1;
    let shown = text[start..].lines().next().unwrap_or_default();
    Some((before.matches('\n').count() + 1, column, shown))
}

fn reword(message: &str) -> String {
    let message = message.trim_end();
    for (theirs, ours) in [
        ("unknown field ", "unknown key "),
        ("unknown variant ", "unknown value "),
    ] {
        if let Some(rest) = message.strip_prefix(theirs) {
            return ours.to_string() + &suggest(rest);
        }
    }
    let message = message.replace("missing field", "missing key");
    // The names of Rust's types, at the end of "invalid type: string \"many\", expected u64".
    let Some((head, expected)) = message.rsplit_once("expected ") else {
        return message;
    };
    let expected = match expected {
        "u64" | "usize" => "a whole number ≥ 0",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        other => other,
    };
    format!("{head}expected {expected}")
}

/// "`horizn`, expected one of `horizon`, …" with the nearest of the allowed names.
fn suggest(rest: &str) -> String {
    let Some((wrong, allowed)) = rest.split_once(", expected ") else {
        return rest.to_string();
    };
    let allowed = allowed.strip_prefix("one of ").unwrap_or(allowed);
    let mut names = allowed.split('`').skip(1).step_by(2);
    let bare = wrong.trim_matches('`');
    let nearest = names
        .clone()
        .map(|n| (strsim::jaro_winkler(bare, n), n))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|n| n.0 > 0.8 && names.by_ref().count() > 1);
    let hint = nearest.map_or(String::new(), |(_, n)| format!("; did you mean `{n}`?"));
    format!("{wrong}{hint} Allowed: {allowed}").replacen("` Allowed", "`; allowed", 1)
}

#[cfg(test)]
mod tests {
    use super::reword;

    #[test]
    fn messages_speak_of_keys_and_values() {
        for (theirs, ours) in [
            (
                "unknown field `horizn`, expected one of `horizon`, `etas`",
                "unknown key `horizn`; did you mean `horizon`? Allowed: `horizon`, `etas`",
            ),
            (
                "unknown variant `adam`, expected one of `sgd`, `sde`",
                "unknown value `adam`; allowed: `sgd`, `sde`",
            ),
            (
                "unknown field `x`, expected `at`",
                "unknown key `x`; allowed: `at`",
            ),
            ("missing field `claim`", "missing key `claim`"),
            (
                "invalid type: string \"many\", expected u64",
                "invalid type: string \"many\", expected a whole number ≥ 0",
            ),
            ("anything else", "anything else"),
        ] {
            assert_eq!(reword(theirs), ours);
        }
    }
}
