//! Iso-lines of a loss on a grid: marching squares, chained into long lines.

use std::collections::HashMap;

use crate::report::result::ContourGrid;

/// A line through grid coordinates.
pub type Line = Vec<(f64, f64)>;

/// An edge of the grid: its lower-left node and whether it runs along x.
type Edge = (usize, usize, bool);

/// Whether the grid has at least 2 × 2 nodes and as many values as nodes.
pub fn usable(grid: &ContourGrid) -> bool {
    let (nx, ny) = (grid.x.len(), grid.y.len());
    let finite = grid.x.iter().chain(&grid.y).all(|v| v.is_finite());
    nx > 1
        && ny > 1
        && finite
        && grid.values.len() == ny
        && grid.values.iter().all(|row| row.len() == nx)
}

/// `count` levels above the smallest value, evenly spaced in the logarithm of the height above it.
///
/// The lowest is 3·10⁻⁴ of the range above the minimum, or higher where that would enclose too few nodes to look round.
pub fn levels(grid: &ContourGrid, count: usize) -> Vec<f64> {
    let mut heights: Vec<f64> = grid
        .values
        .iter()
        .flatten()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    heights.sort_by(f64::total_cmp);
    let (Some(&lowest), Some(&highest)) = (heights.first(), heights.last()) else {
        return Vec::new();
    };
    let range = highest - lowest;
    if !(range > 0.0 && range.is_finite()) || count == 0 {
        return Vec::new();
    }
    let first = heights
        .iter()
        .map(|h| h - lowest)
        .filter(|h| *h > 0.0)
        .nth(12)
        .unwrap_or(range)
        .max(3e-4 * range);
    let ratio = (range / first).ln() / count as f64;
    (0..count)
        .map(|k| lowest + first * (ratio * k as f64).exp())
        .collect()
}

/// The lines on which the grid's interpolation equals `level`.
pub fn lines(grid: &ContourGrid, level: f64) -> Vec<Line> {
    if !usable(grid) {
        return Vec::new();
    }
    let value = |ix: usize, iy: usize| grid.values[iy][ix] - level;
    let mut segments: Vec<(Edge, Edge)> = Vec::new();
    for iy in 0..grid.y.len() - 1 {
        for ix in 0..grid.x.len() - 1 {
            let corners = [
                value(ix, iy),
                value(ix + 1, iy),
                value(ix + 1, iy + 1),
                value(ix, iy + 1),
            ];
            if corners.iter().any(|c| !c.is_finite()) {
                continue;
            }
            // Edges in the order bottom, right, top, left.
            let edges = [
                (ix, iy, true),
                (ix + 1, iy, false),
                (ix, iy + 1, true),
                (ix, iy, false),
            ];
            let crossed: Vec<Edge> = (0..4)
                .filter(|&e| (corners[e] < 0.0) != (corners[(e + 1) % 4] < 0.0))
                .map(|e| edges[e])
                .collect();
            match crossed[..] {
                [a, b] => segments.push((a, b)),
                [bottom, right, top, left] => {
                    // A saddle: the centre decides which corners are joined.
                    let centre_low = corners.iter().sum::<f64>() < 0.0;
                    if centre_low == (corners[0] < 0.0) {
                        segments.extend([(bottom, right), (top, left)]);
                    } else {
                        segments.extend([(bottom, left), (right, top)]);
                    }
                }
                _ => {}
            }
        }
    }
    chained(&segments)
        .into_iter()
        .map(|edges| {
            edges
                .into_iter()
                .map(|e| crossing(grid, level, e))
                .collect()
        })
        .collect()
}

/// Where the level crosses an edge.
fn crossing(grid: &ContourGrid, level: f64, (ix, iy, along_x): Edge) -> (f64, f64) {
    let (jx, jy) = if along_x { (ix + 1, iy) } else { (ix, iy + 1) };
    let (from, to) = (grid.values[iy][ix] - level, grid.values[jy][jx] - level);
    let share = if to == from {
        0.5
    } else {
        (-from / (to - from)).clamp(0.0, 1.0)
    };
    (
        grid.x[ix] + share * (grid.x[jx] - grid.x[ix]),
        grid.y[iy] + share * (grid.y[jy] - grid.y[iy]),
    )
}

/// Joins segments that share an edge into lines; closed ones end where they began.
fn chained(segments: &[(Edge, Edge)]) -> Vec<Vec<Edge>> {
    let mut at: HashMap<Edge, Vec<usize>> = HashMap::new();
    for (index, (a, b)) in segments.iter().enumerate() {
        at.entry(*a).or_default().push(index);
        at.entry(*b).or_default().push(index);
    }
    let mut used = vec![false; segments.len()];
    let mut lines = Vec::new();
    // Open lines first, from their ends; then the closed ones.
    for ends_only in [true, false] {
        for (index, &(a, b)) in segments.iter().enumerate() {
            let single = |edge: &Edge| at.get(edge).is_some_and(|s| s.len() == 1);
            let start = match (single(&a), single(&b)) {
                _ if used[index] => continue,
                (true, _) => a,
                (_, true) => b,
                _ if ends_only => continue,
                _ => a,
            };
            let mut line = vec![start];
            let mut here = start;
            while let Some(&next) = at.get(&here).and_then(|s| s.iter().find(|&&i| !used[i])) {
                used[next] = true;
                let (from, to) = segments[next];
                here = if from == here { to } else { from };
                line.push(here);
            }
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(f: impl Fn(f64, f64) -> f64) -> ContourGrid {
        let axis: Vec<f64> = (0..=40).map(|k| -2.0 + 0.1 * f64::from(k)).collect();
        let values = axis
            .iter()
            .map(|&y| axis.iter().map(|&x| f(x, y)).collect())
            .collect();
        ContourGrid {
            x: axis.clone(),
            y: axis,
            values,
        }
    }

    #[test]
    fn a_circle_is_one_closed_line() {
        let lines = lines(&grid(|x, y| x * x + y * y), 1.0);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        assert!(
            lines[0]
                .iter()
                .all(|(x, y)| (x.hypot(*y) - 1.0).abs() < 0.01)
        );
    }

    #[test]
    fn hyperbolas_are_two_open_lines() {
        let lines = lines(&grid(|x, y| x * y), 0.55);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| l.first() != l.last()));
    }

    #[test]
    fn broken_grids_have_no_lines() {
        assert!(lines(&grid(|_, _| f64::NAN), 0.5).is_empty());
        assert!(levels(&grid(|_, _| 3.0), 8).is_empty());
        let ragged = ContourGrid {
            x: vec![0.0, 1.0],
            y: vec![0.0, 1.0],
            values: vec![vec![0.0]],
        };
        assert!(lines(&ragged, 0.5).is_empty());
    }

    #[test]
    fn levels_are_geometric_above_the_minimum() {
        let levels = levels(&grid(|x, y| x * x + y * y - 7.0), 8);
        assert_eq!(levels.len(), 8);
        let ratio = |k: usize| (levels[k + 1] + 7.0) / (levels[k] + 7.0);
        assert!((ratio(0) - ratio(6)).abs() < 1e-6);
    }
}
