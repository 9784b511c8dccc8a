//! `slowsde new`: a commented scenario to start from.

use super::BadInput;
use crate::scenario::Source;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The templates; `NAME` in them stands for the name of the scenario.
const FAST: &str = include_str!("templates/fast.toml");
const SLOW: &str = include_str!("templates/slow.toml");

/// Writes `name`.toml into the current directory and says what to do next. `name` may end in `.toml`.
pub(super) fn create(name: &str, slow: bool) -> Result<String, BadInput> {
    let name = checked(name).map_err(|reason| BadInput(vec![reason]))?;
    let file = format!("{name}.toml");
    let template = if slow { SLOW } else { FAST };
    write_new(Path::new(&file), &template.replace("NAME", name)).map_err(|error| {
        BadInput(vec![if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{file}: exists already and will not be replaced; take another name, or move the file away")
        } else {
            format!("{file}: cannot be written in the current directory: {error}")
        }])
    })?;
    // A file name with a space needs quotes.
    let shown = if file.contains(' ') {
        format!("\"{file}\"")
    } else {
        file.clone()
    };
    Ok(format!(
        "{file}: written. Next:\n  edit it: the loss, its noise, the test functions\n  slowsde check {shown}\n  slowsde run {shown} --profile smoke\n  slowsde run {shown}\n"
    ))
}

/// The name without `.toml`, if it can be that of a scenario.
fn checked(text: &str) -> Result<&str, String> {
    let name = text.strip_suffix(".toml").unwrap_or(text);
    let refuse = |reason: &str| Err(format!("`{text}` {reason}"));
    if name.contains(['/', '\\']) {
        return refuse(
            "has a path in it, but `new` writes into the current directory: go to the folder first, and give a name only",
        );
    }
    let allowed = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    let starts = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if !starts || !name.chars().all(allowed) || name.ends_with(['.', ' ']) {
        return refuse(
            "cannot be the name of a scenario; allowed: letters, digits, `_`, `-`, `.` and spaces, beginning with a letter, a digit or `_`, for example my_loss",
        );
    }
    if Source::bundled_names().contains(&name) {
        return refuse(
            "is the name of a bundled scenario, whose results it would replace; take another name",
        );
    }
    Ok(name)
}

/// Writes a file that does not exist yet: beside its place first, and then there whole.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let partial = PathBuf::from(format!(
        ".{}.{}.slowsde-partial",
        path.display(),
        std::process::id()
    ));
    let outcome = fill(&partial, text).and_then(|()| match fs::hard_link(&partial, path) {
        // Unlike a move, a link never replaces a file that came in the meantime.
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links.
        Err(_) => fill(path, text),
    });
    // The outcome is what counts; a hidden file that cannot be removed does no harm.
    let _ = fs::remove_file(&partial);
    outcome
}

fn fill(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}
