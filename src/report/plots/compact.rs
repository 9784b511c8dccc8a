//! The backend's SVG written shorter, so that a page can hold hundreds of figures: relative paths, one path for neighbouring lines
//! of one style (dashes), one element for a marker and its outline, and nothing said twice.

use std::fmt::Write;

/// What was last drawn and may still be joined by what follows.
#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    /// Opaque lines of one style.
    Lines { style: String, path: String },
    /// One opaque polygon.
    Polygon {
        style: String,
        points: Vec<(i32, i32)>,
    },
    /// Discs of one style.
    Discs { style: String, discs: Vec<String> },
}

/// Shortens the elements of an SVG, one a line; other lines are kept.
pub(super) fn compact(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len() / 2);
    let mut open = Open::default();
    for line in svg.lines() {
        open = next(line, open, &mut out);
    }
    close(open, &mut out);
    out
}

/// Takes a line; what nothing can join any more goes to `out`.
fn next(line: &str, open: Open, out: &mut String) -> Open {
    if let Some((points, style)) = element(line, "polyline").and_then(|s| polygonal(&s)) {
        return match open {
            Open::Lines {
                style: before,
                mut path,
            } if before == style && !style.contains("opacity") => {
                path.push_str(&relative(&points));
                Open::Lines { style, path }
            }
            Open::Polygon {
                style: fill,
                points: inside,
            } if is_outline(&points, &inside) => {
                let stroke = style.replacen(" fill=\"none\"", "", 1);
                let _ = writeln!(out, "<path{fill}{stroke} d=\"{}z\"/>", relative(&inside));
                Open::Nothing
            }
            open => {
                close(open, out);
                Open::Lines {
                    style,
                    path: relative(&points),
                }
            }
        };
    }
    if let Some((points, style)) = element(line, "polygon").and_then(|s| polygonal(&s)) {
        close(open, out);
        if !style.contains("opacity") {
            return Open::Polygon { style, points };
        }
        let _ = writeln!(out, "<path{style} d=\"{}z\"/>", relative(&points));
        return Open::Nothing;
    }
    if let Some((disc, style)) = element(line, "circle").and_then(|s| placed(&s)) {
        return match open {
            Open::Discs {
                style: before,
                mut discs,
            } if before == style => {
                discs.push(disc);
                Open::Discs { style, discs }
            }
            open => {
                close(open, out);
                Open::Discs {
                    style,
                    discs: vec![disc],
                }
            }
        };
    }
    close(open, out);
    out.push_str(line);
    out.push('\n');
    Open::Nothing
}

fn close(open: Open, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match open {
        Open::Nothing => Ok(()),
        Open::Lines { style, path } => writeln!(out, "<path{style} d=\"{path}\"/>"),
        Open::Polygon { style, points } => {
            writeln!(out, "<path{style} d=\"{}z\"/>", relative(&points))
        }
        Open::Discs { style, discs } => match &discs[..] {
            [one] => writeln!(out, "<circle{one}{style}/>"),
            many => {
                let all: String = many.iter().map(|d| format!("<circle{d}/>")).collect();
                writeln!(out, "<g{style}>{all}</g>")
            }
        },
    };
}

/// The attributes of an empty element, with a blank before each.
fn element(line: &str, name: &str) -> Option<String> {
    let attributes = line.strip_prefix('<')?.strip_prefix(name)?;
    Some(attributes.strip_suffix("/>")?.to_owned())
}

/// The value of an attribute, and the attributes without it.
pub(super) fn taken(attributes: &str, name: &str) -> Option<(String, String)> {
    let key = format!(" {name}=\"");
    let start = attributes.find(&key)?;
    let value = &attributes[start + key.len()..];
    let end = value.find('"')?;
    let rest = format!("{}{}", &attributes[..start], &value[end + 1..]);
    Some((value[..end].to_owned(), rest))
}

/// Points and style of a polygon or a polyline.
fn polygonal(attributes: &str) -> Option<(Vec<(i32, i32)>, String)> {
    let (points, style) = taken(attributes, "points")?;
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    };
    let points: Option<Vec<(i32, i32)>> = points.split_whitespace().map(point).collect();
    Some((points.filter(|p| p.len() > 1)?, style))
}

/// Place and radius of a circle, and its style.
fn placed(attributes: &str) -> Option<(String, String)> {
    let (x, rest) = taken(attributes, "cx")?;
    let (y, rest) = taken(&rest, "cy")?;
    let (radius, style) = taken(&rest, "r")?;
    // A group would pass no radius on.
    let style = match taken(&style, "stroke") {
        Some((none, style)) if none == "none" => {
            taken(&style, "stroke-width").map_or(style.clone(), |(_, style)| style)
        }
        _ => style,
    };
    Some((format!(" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""), style))
}

/// Whether a line goes once round a polygon and on to its second corner.
fn is_outline(line: &[(i32, i32)], polygon: &[(i32, i32)]) -> bool {
    let n = polygon.len();
    n > 1 && line.len() == n + 2 && line[..n] == *polygon && line[n..] == polygon[..2]
}

/// A path through points by their differences.
fn relative(points: &[(i32, i32)]) -> String {
    let Some(&(x, y)) = points.first() else {
        return String::new();
    };
    let mut path = format!("M{x} {y}l");
    for (place, pair) in points.windows(2).enumerate() {
        for (k, d) in [pair[1].0 - pair[0].0, pair[1].1 - pair[0].1]
            .into_iter()
            .enumerate()
        {
            if d >= 0 && (place > 0 || k > 0) {
                path.push(' ');
            }
            let _ = write!(path, "{d}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_style_become_one_path() {
        let line = |points: &str| {
            format!(
                "<polyline fill=\"none\" stroke=\"#000000\" stroke-width=\"9\" points=\"{points}\"/>\n"
            )
        };
        let svg = line("1,2 4,1 ") + &line("9,9 8,10 9,10 ");
        assert_eq!(
            compact(&svg),
            "<path fill=\"none\" stroke=\"#000000\" stroke-width=\"9\" d=\"M1 2l3-1M9 9l-1 1 1 0\"/>\n"
        );
        // Two translucent lines that cross are darker where they do: they stay apart.
        let faint = svg.replace(" fill=\"none\"", " fill=\"none\" stroke-opacity=\"0.5\"");
        assert_eq!(compact(&faint).matches("<path").count(), 2);
    }

    #[test]
    fn a_marker_is_one_element() {
        let svg = "<polygon fill=\"#FFFFFF\" points=\"0,0 4,0 4,4 \"/>\n\
                   <polyline fill=\"none\" stroke=\"#000000\" stroke-width=\"6\" points=\"0,0 4,0 4,4 0,0 4,0 \"/>\n";
        assert_eq!(
            compact(svg),
            "<path fill=\"#FFFFFF\" stroke=\"#000000\" stroke-width=\"6\" d=\"M0 0l4 0 0 4z\"/>\n"
        );
    }

    #[test]
    fn discs_share_their_style_and_other_lines_stay() {
        let disc = |x: u32| {
            format!(
                "<circle cx=\"{x}\" cy=\"5\" r=\"8\" fill-opacity=\"0.5\" fill=\"#0072B2\" stroke=\"none\" stroke-width=\"1\"/>\n"
            )
        };
        let svg = disc(1) + &disc(2) + "<text>points=\"1,1\"</text>\n";
        assert_eq!(
            compact(&svg),
            "<g fill-opacity=\"0.5\" fill=\"#0072B2\"><circle cx=\"1\" cy=\"5\" r=\"8\"/><circle cx=\"2\" cy=\"5\" r=\"8\"/></g>\n\
             <text>points=\"1,1\"</text>\n"
        );
        assert_eq!(
            compact("<svg>\n<polyline broken\n"),
            "<svg>\n<polyline broken\n"
        );
    }
}
