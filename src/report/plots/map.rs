//! A map over (α, η): the largest error or distance of every pair of processes that is compared at several α.

use super::axes::{Axis, Extent, Tick};
use super::canvas::{Anchor, Pen, Stroke, Type};
use super::error_ladder::{eta_label, unit, unresolved};
use super::frame::Frame;
use super::layout::{Entry, Panel, Sample, Sheet, Width};
use super::order::{pair_title, pairs};
use super::text::{self, Label};
use super::theme::{INK, PAPER, QUIET, Rgb};
use crate::report::result::{Comparison, DistanceKind, Regime, ScenarioResult};

/// Heights of a row of cells, of all rows at least, and of the colour bar, in points.
const ROW: f64 = 24.0;
const LEAST: f64 = 66.0;
const BAR: f64 = 8.0;
/// Room between cells and frame for ticks, in cells.
const ROOM: f64 = 0.1;
/// Colours reach down to this share of the largest value.
const DEEPEST: f64 = 1e-4;
/// Size of the numbers in the cells.
const NUMBER_SIZE: f64 = 6.5;
/// Colours along the bar.
const SHADES: usize = 96;

/// The figure, if some pair of processes was compared at several α.
pub fn sheets(result: &ScenarioResult) -> Vec<Sheet<'_>> {
    let maps = maps(result);
    match maps.is_empty() {
        true => Vec::new(),
        false => vec![sheet(result, maps)],
    }
}

/// What a map shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// The largest weak error over test functions and times.
    Error,
    /// The largest distance of a kind.
    Distance(DistanceKind),
}

impl Quantity {
    /// Name of the colour bar; values are in percent of natural scales.
    fn label(self) -> Label {
        let relative = |name: &str| Label::new(name).then(" / scale (%)");
        match self {
            Self::Error => Label::new("largest |ΔE ").italic("h").then("| / scale (%)"),
            Self::Distance(DistanceKind::Supremum) => relative("RMS sup ‖Φ(x)−X‖"),
            Self::Distance(DistanceKind::Pathwise) => relative("RMS ‖Φ(x)−X‖"),
            Self::Distance(DistanceKind::KolmogorovSmirnov) => {
                Label::new("largest KS distance (%)")
            }
            Self::Distance(DistanceKind::Wasserstein) => {
                Label::new("largest W").subscript("1").then(" / scale (%)")
            }
            Self::Distance(DistanceKind::SlicedWasserstein) => {
                Label::new("sliced W").subscript("1").then(" / scale (%)")
            }
            Self::Distance(_) => relative("largest |ΔE F|"),
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Error => "the largest weak error over test functions and times",
            Self::Distance(DistanceKind::Supremum) => {
                "the root mean square of the largest distance of two paths on one stream of noise"
            }
            Self::Distance(DistanceKind::Pathwise) => {
                "the root mean square distance of two paths on one stream of noise at the end"
            }
            Self::Distance(DistanceKind::KolmogorovSmirnov) => {
                "the largest Kolmogorov–Smirnov distance of the laws of test functions"
            }
            Self::Distance(DistanceKind::Wasserstein) => {
                "the largest Wasserstein-1 distance of the laws of test functions"
            }
            Self::Distance(DistanceKind::SlicedWasserstein) => {
                "the sliced Wasserstein-1 distance of the laws"
            }
            Self::Distance(_) => "the largest difference of path functionals",
        }
    }

    /// The largest value per η, in units of the scale, and whether it is no more than noise.
    fn values(self, comparison: &Comparison) -> Vec<Measured> {
        let mut values: Vec<Measured> = Vec::new();
        let mut add = |eta: f64, value: f64, noise: bool| {
            if !(eta > 0.0 && eta.is_finite() && value > 0.0 && value.is_finite()) {
                return;
            }
            match values.iter_mut().find(|v| v.0 == eta) {
                Some(known) if value > known.1 => *known = (eta, value, noise),
                Some(_) => {}
                None => values.push((eta, value, noise)),
            }
        };
        match self {
            Self::Error => {
                for check in &comparison.functions {
                    for point in &check.errors {
                        add(
                            point.eta,
                            point.error.value / unit(check),
                            unresolved(point),
                        );
                    }
                }
            }
            Self::Distance(kind) => {
                for distance in comparison.distances.iter().filter(|d| d.kind == kind) {
                    for (at, point) in distance.check.errors.iter().enumerate() {
                        let floor = distance.floor.get(at).copied().unwrap_or(f64::NAN);
                        // Independent ensembles of one law differ more than two processes on one noise: no floor for those.
                        let step = kind.is_mean_square() && point.error.lower <= floor;
                        let value = point.error.value / unit(&distance.check);
                        add(point.eta, value, unresolved(point) || step);
                    }
                }
            }
        }
        values
    }
}

/// η, a value, and whether it is no more than noise.
type Measured = (f64, f64, bool);

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    row: usize,
    column: usize,
    /// In percent.
    value: f64,
    /// No more than noise.
    noise: bool,
}

/// One map.
#[derive(Clone, Debug)]
struct Map {
    title: Label,
    quantity: Quantity,
    alphas: Vec<f64>,
    etas: Vec<f64>,
    cells: Vec<Cell>,
}

/// In the fast regime the largest weak error of every pair; in the slow one the distance of paths and that of laws.
fn maps(result: &ScenarioResult) -> Vec<Map> {
    use DistanceKind::*;
    let groups = pairs(result.comparisons.iter());
    let mut maps = Vec::new();
    for (_, comparisons) in &groups {
        let first = |kinds: &[DistanceKind]| {
            let measured = |kind: &DistanceKind| {
                let quantity = Quantity::Distance(*kind);
                comparisons.iter().any(|c| !quantity.values(c).is_empty())
            };
            kinds.iter().copied().find(measured).map(Quantity::Distance)
        };
        let quantities: Vec<Quantity> = match result.scenario.regime {
            Regime::Fast => vec![Quantity::Error],
            Regime::Slow => {
                let kinds: [&[DistanceKind]; 2] = [
                    &[Supremum, Pathwise],
                    &[KolmogorovSmirnov, Wasserstein, SlicedWasserstein],
                ];
                let found: Vec<Quantity> = kinds.into_iter().filter_map(first).collect();
                match found.is_empty() {
                    true => vec![Quantity::Error],
                    false => found,
                }
            }
        };
        for quantity in quantities {
            maps.extend(Map::new(result, comparisons, quantity));
        }
    }
    maps
}

impl Map {
    fn new(
        result: &ScenarioResult,
        comparisons: &[&Comparison],
        quantity: Quantity,
    ) -> Option<Self> {
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        let measured: Vec<(f64, Vec<Measured>)> = comparisons
            .iter()
            .map(|c| (c.alpha, quantity.values(c)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let alphas = sorted(measured.iter().map(|m| m.0).collect());
        let etas = measured.iter().flat_map(|m| &m.1);
        let etas = sorted(etas.map(|v| v.0).collect());
        if alphas.len() < 2 {
            return None;
        }
        let mut cells: Vec<Cell> = Vec::new();
        for (alpha, values) in &measured {
            for &(eta, value, noise) in values {
                let row = alphas.iter().position(|a| a == alpha)?;
                let column = etas.iter().position(|e| *e == eta)?;
                if !cells.iter().any(|c| c.row == row && c.column == column) {
                    let value = 100.0 * value;
                    cells.push(Cell {
                        row,
                        column,
                        value,
                        noise,
                    });
                }
            }
        }
        let title = comparisons
            .first()
            .map_or_else(Label::default, |c| pair_title(result, c));
        Some(Self {
            title,
            quantity,
            alphas,
            etas,
            cells,
        })
    }

    /// A panel of the map and one of its colour bar.
    fn panels<'a>(self, range: Extent) -> [Panel<'a>; 2] {
        let places = |labels: Vec<Label>| -> Vec<Tick> {
            let at = |(k, label)| Tick {
                value: k as f64 + 0.5,
                label: Some(label),
            };
            labels.into_iter().enumerate().map(at).collect()
        };
        let axis = |count: usize, label: Label, labels: Vec<Label>| {
            let range = Extent {
                low: -ROOM,
                high: count as f64 + ROOM,
            };
            let mut axis = Axis::linear(range, label, 3);
            axis.ticks = places(labels);
            axis
        };
        let etas = self
            .etas
            .iter()
            .map(|&eta| text::learning_rate(eta))
            .collect();
        let alphas = self
            .alphas
            .iter()
            .map(|&alpha| text::number(alpha))
            .collect();
        let scale = Axis::log(range, self.quantity.label(), 10, 6);
        let bar = Panel {
            title: Label::default(),
            notes: Vec::new(),
            x: scale.clone(),
            y: axis(1, Label::default(), Vec::new()),
            isometric: false,
            body: Box::new(draw_bar),
        };
        let map = Panel {
            title: self.title.clone(),
            notes: Vec::new(),
            x: axis(self.etas.len(), eta_label(), etas),
            y: axis(self.alphas.len(), Label::new("momentum index α"), alphas),
            isometric: false,
            body: Box::new(move |pen: &mut Pen, frame: &Frame| self.draw(pen, frame, &scale)),
        };
        [map, bar]
    }

    fn draw(&self, pen: &mut Pen, frame: &Frame, scale: &Axis) {
        for cell in &self.cells {
            let (x, y) = (cell.column as f64, cell.row as f64);
            let corners = (frame.place(x, y + 1.0), frame.place(x + 1.0, y));
            let (Some((left, top)), Some((right, bottom))) = corners else {
                continue;
            };
            let color = shade(scale.share(cell.value).unwrap_or(0.0));
            let ink = if color.luminance() > 0.3 { INK } else { PAPER };
            pen.rectangle(left, top, right, bottom, color, 1.0);
            if cell.noise {
                pen.hatch(
                    (left, top),
                    (right, bottom),
                    Stroke::solid(ink, 0.35).faded(0.8),
                );
            }
            let label = percent(cell.value);
            let wide = label.width(NUMBER_SIZE, false);
            let (across, up) = (0.5 * (left + right), 0.5 * (top + bottom));
            if wide + 1.5 > right - left {
                continue;
            }
            if cell.noise {
                let (w, h) = (0.5 * wide + 1.2, 0.55 * NUMBER_SIZE);
                pen.rectangle(across - w, up - h, across + w, up + h, color, 1.0);
            }
            let at = (across, up + 0.36 * NUMBER_SIZE);
            pen.text(
                at,
                &label,
                Type::new(NUMBER_SIZE, Anchor::Middle).color(ink),
            );
        }
        let (columns, rows) = (self.etas.len(), self.alphas.len());
        let thin = Stroke::solid(PAPER, 0.5);
        for k in 1..columns {
            frame.line(pen, [(k as f64, 0.0), (k as f64, rows as f64)], thin);
        }
        for k in 1..rows {
            frame.line(pen, [(0.0, k as f64), (columns as f64, k as f64)], thin);
        }
    }
}

/// Two digits: 12, 3.0, 0.42, 0.031, 2×10⁻⁴.
fn percent(value: f64) -> Label {
    let value: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    if !(1e-2..1e4).contains(&value) {
        let exponent = value.log10().floor();
        let mantissa = (value / 10f64.powf(exponent)).round();
        let power = Label::power(10, exponent as i64);
        return match mantissa as i64 {
            1 => power,
            m => Label::new(format!("{m}×")).join(&power),
        };
    }
    let decimals = (1.0 - value.log10().floor()).clamp(0.0, 3.0) as usize;
    Label::new(format!("{value:.decimals$}"))
}

/// Pale to dark: cividis backwards, even in lightness, for every kind of colour vision.
const CIVIDIS: [Rgb; 12] = [
    Rgb(0, 32, 77),
    Rgb(0, 48, 111),
    Rgb(42, 64, 108),
    Rgb(72, 82, 107),
    Rgb(94, 98, 110),
    Rgb(114, 115, 116),
    Rgb(135, 132, 121),
    Rgb(158, 150, 119),
    Rgb(182, 169, 113),
    Rgb(208, 190, 103),
    Rgb(234, 211, 87),
    Rgb(255, 234, 70),
];

/// The colour of a share of the scale, dark for large.
fn shade(share: f64) -> Rgb {
    let last = CIVIDIS.len() - 1;
    let place = (1.0 - share.clamp(0.0, 1.0)) * last as f64;
    let below = (place as usize).min(last - 1);
    let near = place - below as f64;
    let (a, b) = (CIVIDIS[below], CIVIDIS[below + 1]);
    let mix = |a: u8, b: u8| (f64::from(a) + near * (f64::from(b) - f64::from(a))).round() as u8;
    Rgb(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

fn draw_bar(pen: &mut Pen, frame: &Frame) {
    let step = (frame.right - frame.left) / SHADES as f64;
    for k in 0..SHADES {
        let left = frame.left + step * k as f64;
        // A little over the next one, so that no seam shows.
        let right = (left + 1.5 * step).min(frame.right);
        let color = shade((k as f64 + 0.5) / SHADES as f64);
        pen.rectangle(left, frame.top, right, frame.bottom, color, 1.0);
    }
}

fn sheet<'a>(result: &'a ScenarioResult, maps: Vec<Map>) -> Sheet<'a> {
    let columns = match maps.len() {
        1..=3 => maps.len(),
        n if n % 3 == 0 => 3,
        n if n % 2 == 0 => 2,
        _ => 1,
    };
    let mut quantities: Vec<Quantity> = Vec::new();
    for map in &maps {
        if !quantities.contains(&map.quantity) {
            quantities.push(map.quantity);
        }
    }
    // One scale of colours for all maps of a quantity.
    let range = |quantity: Quantity| {
        let own = maps.iter().filter(|m| m.quantity == quantity);
        let all = Extent::of_positive(own.flat_map(|m| &m.cells).map(|c| c.value));
        Extent {
            low: all.low.max(DEEPEST * all.high),
            high: all.high,
        }
    };
    let ranges: Vec<(Quantity, Extent)> = quantities.iter().map(|q| (*q, range(*q))).collect();
    let noise = maps.iter().flat_map(|m| &m.cells).any(|c| c.noise);
    let mean_square = |q: &Quantity| matches!(q, Quantity::Distance(kind) if kind.is_mean_square());
    let paths = quantities.iter().any(mean_square);
    let rows = maps.iter().map(|m| m.alphas.len()).max().unwrap_or(2);
    let mut legend = Vec::new();
    if noise {
        let name = Label::new("no more than noise");
        legend.push(Entry::new(Sample::Hatched(QUIET), name));
    }
    let mut panels = Vec::new();
    let mut heights = Vec::new();
    let mut maps = maps.into_iter().peekable();
    while maps.peek().is_some() {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for map in maps.by_ref().take(columns) {
            let known = ranges.iter().find(|r| r.0 == map.quantity);
            let [map, bar] = map.panels(known.map_or(Extent::EMPTY, |r| r.1));
            above.push(map);
            below.push(bar);
        }
        panels.extend(above);
        panels.extend(below);
        heights.extend([(ROW * rows as f64).max(LEAST), BAR]);
    }
    Sheet {
        name: "map".to_owned(),
        caption: format!(
            "Map over the momentum index α and the learning-rate scale η: {}, in percent of the natural scale; the darker, the \
             larger, on a logarithmic scale{}{}.",
            quantities
                .iter()
                .map(|q| q.in_words())
                .collect::<Vec<_>>()
                .join("; "),
            match noise {
                true if paths => {
                    "; hatched: the interval of that value includes 0, or what the right process at two step sizes differs by"
                }
                true => "; hatched: the interval of that value includes 0",
                false => "",
            },
            super::projected(result.scenario.regime),
        ),
        title: result.scenario.title.clone(),
        remark: Label::new(&result.scenario.claim),
        legend,
        panels,
        columns,
        heights,
        share_y: false,
        share_x: false,
        width: Width::Natural,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::fixture::ornstein_uhlenbeck;
    use crate::report::plots::slow_fixture::hyperbola;

    /// The first comparison also at α = ½, with doubled errors.
    fn two_alphas(mut result: ScenarioResult) -> ScenarioResult {
        let mut other = result.comparisons[0].clone();
        result.comparisons[0].id = "pair α=0".to_owned();
        result.comparisons[0].alpha = 0.0;
        (other.id, other.alpha) = ("pair α=0.5".to_owned(), 0.5);
        let checks = other.functions.iter_mut();
        for check in checks.chain(other.distances.iter_mut().map(|d| &mut d.check)) {
            for point in &mut check.errors {
                point.error.value *= 2.0;
            }
        }
        result.comparisons.insert(1, other);
        result
    }

    #[test]
    fn a_cell_is_the_largest_error_of_its_alpha_and_eta() {
        let result = two_alphas(ornstein_uhlenbeck());
        let maps = maps(&result);
        assert_eq!(maps.len(), 1);
        let map = &maps[0];
        assert_eq!(map.alphas, [0.0, 0.5]);
        assert!(map.etas.is_sorted() && map.cells.len() == 2 * map.etas.len());
        let eta = map.etas[2];
        let errors = result.comparisons[0].functions.iter().flat_map(|f| {
            let own = f.errors.iter().filter(|p| p.eta == eta);
            own.map(|p| 100.0 * p.error.value / f.scale)
        });
        let largest = errors.fold(0.0, f64::max);
        let at = |row: usize| map.cells.iter().find(|c| c.row == row && c.column == 2);
        let (low, high) = (at(0).expect("a cell"), at(1).expect("a cell"));
        assert!(largest > 0.0 && (low.value - largest).abs() < 1e-12 * largest);
        assert!((high.value - 2.0 * largest).abs() < 1e-12 * largest);
    }

    #[test]
    fn noise_is_marked() {
        let mut result = two_alphas(ornstein_uhlenbeck());
        for check in &mut result.comparisons[1].functions {
            check.errors.iter_mut().for_each(|p| p.error.lower = 0.0);
        }
        for check in &mut result.comparisons[0].functions {
            check
                .errors
                .iter_mut()
                .for_each(|p| p.error.lower = 0.5 * p.error.value);
        }
        let maps = maps(&result);
        assert!(maps[0].cells.iter().all(|c| c.noise == (c.row == 1)));
        let caption = &sheets(&result)[0].caption;
        assert!(caption.contains("hatched"), "{caption}");
    }

    #[test]
    fn the_slow_regime_maps_paths_and_laws() {
        let mut result = two_alphas(hyperbola());
        for comparison in &mut result.comparisons {
            for distance in &mut comparison.distances {
                // The floor is that of the step for paths, and says nothing of laws on one noise.
                distance.floor.fill(0.1);
                let resolved = comparison.alpha > 0.0;
                let lower = match distance.kind.is_mean_square() {
                    true => {
                        if resolved {
                            0.15
                        } else {
                            0.05
                        }
                    }
                    false => {
                        if resolved {
                            0.01
                        } else {
                            0.0
                        }
                    }
                };
                for point in &mut distance.check.errors {
                    (point.error.value, point.error.lower) = (0.2, lower);
                }
            }
        }
        let maps = maps(&result);
        let kinds: Vec<Quantity> = maps.iter().map(|m| m.quantity).collect();
        let wanted = [DistanceKind::Supremum, DistanceKind::KolmogorovSmirnov];
        assert_eq!(kinds, wanted.map(Quantity::Distance));
        for map in &maps {
            assert!(map.cells.iter().all(|c| c.noise == (c.row == 0)), "{map:?}");
        }
    }

    #[test]
    fn one_alpha_has_no_map() {
        assert!(sheets(&hyperbola()).is_empty());
    }

    #[test]
    fn shades_grow_darker_evenly() {
        // Lightness L* of CIE 1976.
        let lightness = |share: f64| 116.0 * shade(share).luminance().cbrt() - 16.0;
        let all: Vec<f64> = (0..=20).map(|k| lightness(f64::from(k) / 20.0)).collect();
        let mean = (all[0] - all[20]) / 20.0;
        assert!(mean > 3.0, "{all:?}");
        for pair in all.windows(2) {
            let step = pair[0] - pair[1];
            assert!((0.5 * mean..1.6 * mean).contains(&step), "{step} {mean}");
        }
    }

    #[test]
    fn numbers_in_cells_are_short() {
        let shown = |v: f64| percent(v).plain();
        let all = [123.4, 12.34, 1.0, 0.1234, 0.0567, 0.000_31, 1e-6].map(shown);
        assert_eq!(
            all,
            ["120", "12", "1.0", "0.12", "0.057", "3×10^−4", "10^−6"]
        );
    }
}
