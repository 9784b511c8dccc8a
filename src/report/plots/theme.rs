//! Colours, dashes, markers and sizes: colour-blind-safe (Okabe–Ito, extended by Tol's muted set) and told apart in grey.

use plotters::style::RGBAColor;

use crate::report::result::{Process, ProcessFamily};

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    pub(super) fn plotters(self, alpha: f64) -> RGBAColor {
        RGBAColor(self.0, self.1, self.2, alpha)
    }

    /// The colour mixed with `share` of white.
    #[must_use]
    pub fn tinted(self, share: f64) -> Self {
        let mix =
            |c: u8| (f64::from(c) + share.clamp(0.0, 1.0) * (255.0 - f64::from(c))).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    /// The colour for a wide line below others: lighter, unless it is light.
    #[must_use]
    pub fn paled(self) -> Self {
        match self.luminance() < 0.4 {
            true => self.tinted(0.35),
            false => self,
        }
    }

    /// The colour mixed with `share` of black.
    #[must_use]
    pub fn shaded(self, share: f64) -> Self {
        let mix = |c: u8| (f64::from(c) * (1.0 - share.clamp(0.0, 1.0))).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    /// Relative luminance, 0 to 1: what a grey print keeps.
    pub fn luminance(self) -> f64 {
        let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

/// Background.
pub const PAPER: Rgb = Rgb(255, 255, 255);
/// Text, axes.
pub const INK: Rgb = Rgb(26, 26, 26);
/// Secondary text and guides.
pub const QUIET: Rgb = Rgb(96, 96, 96);
/// Faint lines: zero lines, contours.
pub const FAINT: Rgb = Rgb(190, 190, 190);
/// Exact curves.
pub const EXACT: Rgb = Rgb(0, 0, 0);

/// Tick labels, in points.
pub const TICK_SIZE: f64 = 7.0;
/// Axis labels, legends and panel titles.
pub const LABEL_SIZE: f64 = 7.5;
/// The scenario's title.
pub const TITLE_SIZE: f64 = 8.0;

/// Dash patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Short dashes.
    Short,
    /// Dots.
    Dotted,
    /// Dash, dot.
    DashDot,
    /// Dash, dot, dot.
    DashDotDot,
    /// Very long dashes.
    Long,
}

impl Dash {
    /// Lengths on, off, on, off … in points; empty for an unbroken line.
    pub const fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[4.2, 1.8],
            Self::Short => &[2.2, 1.4],
            Self::Dotted => &[1.0, 1.3],
            Self::DashDot => &[4.6, 1.3, 1.1, 1.3],
            Self::DashDotDot => &[4.6, 1.2, 1.0, 1.2, 1.0, 1.2],
            Self::Long => &[7.0, 1.6],
        }
    }
}

/// Marker shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Up,
    /// ◆
    Diamond,
    /// ▼
    Down,
    /// ✚
    Plus,
    /// ★
    Star,
    /// Hexagon
    Hexagon,
}

impl Marker {
    /// Corners for a marker of unit radius, of about equal area.
    pub fn outline(self) -> Vec<(f64, f64)> {
        let ring = |corners: u32, radius: f64, turn: f64| -> Vec<(f64, f64)> {
            (0..corners)
                .map(|k| {
                    let angle = std::f64::consts::TAU * (f64::from(k) / f64::from(corners) + turn);
                    (radius * angle.sin(), -radius * angle.cos())
                })
                .collect()
        };
        match self {
            Self::Circle => ring(24, 1.0, 0.0),
            Self::Square => ring(4, 1.25, 0.125),
            Self::Up => ring(3, 1.4, 0.0),
            Self::Diamond => ring(4, 1.35, 0.0),
            Self::Down => ring(3, 1.4, 0.5),
            Self::Hexagon => ring(6, 1.1, 0.0),
            Self::Plus => {
                let (a, b) = (0.42, 1.25);
                vec![
                    (-a, -b),
                    (a, -b),
                    (a, -a),
                    (b, -a),
                    (b, a),
                    (a, a),
                    (a, b),
                    (-a, b),
                    (-a, a),
                    (-b, a),
                    (-b, -a),
                    (-a, -a),
                ]
            }
            Self::Star => {
                let (outer, inner) = (ring(5, 1.5, 0.0), ring(5, 0.65, 0.1));
                outer
                    .into_iter()
                    .zip(inner)
                    .flat_map(|(o, i)| [o, i])
                    .collect()
            }
        }
    }
}

/// The look of one process or one test function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colour.
    pub color: Rgb,
    /// Dash pattern.
    pub dash: Dash,
    /// Marker.
    pub marker: Marker,
}

const fn look(color: Rgb, dash: Dash, marker: Marker) -> Look {
    Look {
        color,
        dash,
        marker,
    }
}

/// SGD.
pub const SGD: Look = look(Rgb(0, 114, 178), Dash::Solid, Marker::Circle);
/// The limiting SDE.
pub const SDE: Look = look(Rgb(0, 158, 115), Dash::Dotted, Marker::Diamond);
/// SGD-Standard.
pub const STANDARD: Look = look(Rgb(86, 180, 233), Dash::Long, Marker::Hexagon);
/// The coupled trajectory y.
pub const COUPLED: Look = look(Rgb(90, 90, 90), Dash::Long, Marker::Plus);

/// A law in closed form.
pub const EXACT_LAW: Look = look(EXACT, Dash::Long, Marker::Plus);

/// SGDM by momentum index: darker as α grows.
pub const SGDM: [(f64, Look); 6] = [
    (0.0, look(Rgb(230, 159, 0), Dash::Dashed, Marker::Square)),
    (0.25, look(Rgb(204, 121, 167), Dash::DashDot, Marker::Plus)),
    (0.5, look(Rgb(213, 94, 0), Dash::Short, Marker::Up)),
    (
        0.75,
        look(Rgb(170, 68, 153), Dash::DashDotDot, Marker::Down),
    ),
    (1.0, look(Rgb(136, 34, 85), Dash::Dashed, Marker::Star)),
    (1.5, look(Rgb(90, 45, 20), Dash::DashDot, Marker::Hexagon)),
];

/// Further looks when one is taken: more processes of a family than it has looks.
const SPARE: [Look; 6] = [
    look(Rgb(51, 34, 136), Dash::Dashed, Marker::Star),
    look(Rgb(153, 153, 51), Dash::Short, Marker::Down),
    look(Rgb(136, 204, 238), Dash::DashDot, Marker::Square),
    look(Rgb(17, 119, 51), Dash::Long, Marker::Up),
    look(Rgb(204, 102, 119), Dash::DashDotDot, Marker::Diamond),
    look(Rgb(70, 70, 70), Dash::Dotted, Marker::Circle),
];

/// Test functions: hues that no process has, told apart by markers.
pub const FUNCTIONS: [Look; 8] = [
    look(Rgb(51, 34, 136), Dash::Solid, Marker::Circle),
    look(Rgb(204, 102, 119), Dash::Solid, Marker::Square),
    look(Rgb(68, 170, 153), Dash::Solid, Marker::Up),
    look(Rgb(153, 153, 51), Dash::Solid, Marker::Diamond),
    look(Rgb(136, 34, 85), Dash::Solid, Marker::Down),
    look(Rgb(100, 160, 220), Dash::Solid, Marker::Star),
    look(Rgb(17, 119, 51), Dash::Solid, Marker::Plus),
    look(Rgb(120, 120, 120), Dash::Solid, Marker::Hexagon),
];

/// The look of a test function by its index in the result.
pub fn function_look(index: usize) -> Look {
    FUNCTIONS[index % FUNCTIONS.len()]
}

/// Distances by kind: pathwise, supremum, Kolmogorov–Smirnov, Wasserstein, sliced Wasserstein, functionals.
pub const DISTANCES: [Look; 6] = [
    look(Rgb(51, 34, 136), Dash::Solid, Marker::Circle),
    look(Rgb(100, 160, 220), Dash::Solid, Marker::Square),
    look(Rgb(204, 102, 119), Dash::Solid, Marker::Up),
    look(Rgb(153, 143, 30), Dash::Solid, Marker::Diamond),
    look(Rgb(17, 119, 51), Dash::Solid, Marker::Star),
    look(Rgb(125, 70, 40), Dash::Solid, Marker::Down),
];

/// The look of the `place`-th distance of a kind: the kind's marker, its hue darker and lighter in turn.
pub fn distance_look(kind: usize, place: usize) -> Look {
    let base = DISTANCES[kind % DISTANCES.len()];
    let color = match place % 4 {
        0 => base.color,
        1 => base.color.shaded(0.45),
        2 => base.color.tinted(0.45),
        _ => base.color.shaded(0.7),
    };
    Look { color, ..base }
}

/// The look of every process, the same in all figures of a result: by family and α, spares where two would be alike.
pub fn process_looks(processes: &[Process]) -> Vec<Look> {
    let mut taken: Vec<Look> = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        let wished = match process.family {
            ProcessFamily::Sgd => SGD,
            ProcessFamily::Sde | ProcessFamily::SlowSde => SDE,
            ProcessFamily::SlowControl => SPARE[0],
            ProcessFamily::ClosedForm => EXACT_LAW,
            ProcessFamily::Standard => STANDARD,
            ProcessFamily::Coupled => COUPLED,
            ProcessFamily::Sgdm => nearest(process.alpha),
        };
        let free = |look: &Look| taken.iter().all(|t| t.color != look.color);
        let siblings = SGDM
            .iter()
            .map(|&(_, look)| look)
            .filter(|_| process.family == ProcessFamily::Sgdm);
        let chosen = std::iter::once(wished)
            .chain(siblings)
            .chain(SPARE)
            .find(free);
        taken.push(chosen.unwrap_or(SPARE[index % SPARE.len()]));
    }
    taken
}

/// The look of SGDM for the nearest index of the table.
fn nearest(alpha: Option<f64>) -> Look {
    let alpha = alpha.filter(|a| a.is_finite()).unwrap_or(0.0);
    let mut best = SGDM[0];
    for entry in SGDM {
        if (entry.0 - alpha).abs() < (best.0 - alpha).abs() {
            best = entry;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(family: ProcessFamily, alpha: Option<f64>) -> Process {
        Process {
            label: String::new(),
            family,
            alpha,
        }
    }

    #[test]
    fn a_process_keeps_its_look_whatever_its_place() {
        let sgd = process(ProcessFamily::Sgd, None);
        let half = process(ProcessFamily::Sgdm, Some(0.5));
        let there = process_looks(&[sgd.clone(), half.clone()]);
        let back = process_looks(&[half, sgd]);
        assert_eq!(there[0], back[1]);
        assert_eq!(there[1], back[0]);
    }

    #[test]
    fn no_two_of_eight_processes_are_alike() {
        let many: Vec<Process> = (0..8)
            .map(|_| process(ProcessFamily::Sgdm, Some(0.5)))
            .collect();
        let looks = process_looks(&many);
        for (i, a) in looks.iter().enumerate() {
            for b in &looks[..i] {
                assert_ne!(a.color, b.color);
            }
        }
    }

    #[test]
    fn looks_differ_in_grey_or_in_dash_and_marker() {
        let all: Vec<Look> = [SGD, SDE, STANDARD, COUPLED]
            .into_iter()
            .chain(SGDM.map(|s| s.1))
            .collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                let grey = (a.color.luminance() - b.color.luminance()).abs() > 0.05;
                assert!(
                    grey || (a.dash != b.dash && a.marker != b.marker),
                    "{a:?} {b:?}"
                );
            }
        }
    }
}
