//! Sheets: a small title, a legend that never covers data, and a grid of panels with aligned frames.

use super::axes::Axis;
use super::canvas::{self, Anchor, DOUBLE_COLUMN, Pen, SINGLE_COLUMN, Stroke, Type};
use super::frame::Frame;
use super::text::Label;
use super::theme::{Dash, LABEL_SIZE, Look, Marker, QUIET, Rgb, TICK_SIZE, TITLE_SIZE};
use super::{Figure, FigureError, Slides};

const MARGIN: f64 = 4.0;
const SAMPLE: f64 = 17.0;
const GAP: f64 = 9.0;
/// Height of a line of the title.
const TITLE_LINE: f64 = TITLE_SIZE + 2.0;
/// Height of a line of notes below the title of a panel.
const NOTE_LINE: f64 = TICK_SIZE + 1.5;

/// Least height of a panel that is shown alone.
const SLIDE: f64 = 150.0;

/// What stands before a legend's text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// A line.
    Line(Stroke),
    /// A line with a marker on it.
    Marked(Stroke, Marker, bool),
    /// A filled area with its outline.
    Area(Rgb, f64, Stroke),
    /// A marker with an arrow down: an upper bound.
    Bound(Rgb, Marker),
    /// A vertical bar with a marker: a point with its interval.
    Bar(Rgb, Marker),
    /// A marker alone.
    Mark(Rgb, Marker),
    /// A hatched cell.
    Hatched(Rgb),
}

impl Sample {
    fn draw(self, pen: &mut Pen, x: f64, y: f64) {
        let ends = |width: f64| {
            [
                (x + 0.5 * (SAMPLE - width), y),
                (x + 0.5 * (SAMPLE + width), y),
            ]
        };
        let centre = (x + 0.5 * SAMPLE, y);
        match self {
            Self::Line(stroke) => pen.line(&ends(SAMPLE), stroke),
            Self::Marked(stroke, marker, hollow) => {
                pen.line(&ends(SAMPLE), stroke);
                pen.marker(centre, marker, 2.2, stroke.color, hollow);
            }
            Self::Area(color, alpha, stroke) => {
                pen.rectangle(x, y - 2.8, x + SAMPLE, y + 2.8, color, alpha);
                pen.line(&ends(SAMPLE), stroke);
            }
            Self::Bound(color, marker) => {
                arrow_down(pen, centre.0, y - 4.0, y + 5.0, color);
                pen.marker((centre.0, y - 1.5), marker, 2.0, color, true);
            }
            Self::Bar(color, marker) => {
                pen.line(
                    &[(centre.0, y - 4.5), (centre.0, y + 4.5)],
                    Stroke::solid(color, 1.2),
                );
                pen.marker(centre, marker, 1.7, color, true);
            }
            Self::Mark(color, marker) => pen.speck(centre, marker, 2.2, color, 1.0),
            Self::Hatched(color) => {
                let (low, high) = ((x, y - 3.6), (x + SAMPLE, y + 3.6));
                let stroke = Stroke::solid(color, 0.4);
                pen.hatch(low, high, stroke);
                let corners = [low, (high.0, low.1), high, (low.0, high.1), low];
                pen.line(&corners, stroke);
            }
        }
    }
}

/// A vertical bar that ends in an arrowhead below.
pub fn arrow_down(pen: &mut Pen, x: f64, top: f64, bottom: f64, color: Rgb) {
    pen.line(&[(x, top), (x, bottom - 1.0)], Stroke::solid(color, 0.75));
    pen.polygon(
        &[
            (x - 1.6, bottom - 2.8),
            (x + 1.6, bottom - 2.8),
            (x, bottom),
        ],
        color,
        1.0,
    );
}

/// One line of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The drawing.
    pub sample: Sample,
    /// Its meaning.
    pub label: Label,
}

impl Entry {
    /// An entry.
    pub fn new(sample: Sample, label: Label) -> Self {
        Self { sample, label }
    }

    /// The line of a process or function.
    pub fn line(look: Look, width: f64, label: Label) -> Self {
        Self::new(
            Sample::Line(Stroke::solid(look.color, width).dashed(look.dash)),
            label,
        )
    }

    /// A guide or theoretical line.
    pub fn guide(color: Rgb, width: f64, dash: Dash, label: Label) -> Self {
        Self::new(
            Sample::Line(Stroke::solid(color, width).dashed(dash)),
            label,
        )
    }
}

/// What draws the inside of a panel.
pub type Body<'a> = Box<dyn Fn(&mut Pen, &Frame) + Send + Sync + 'a>;

/// One panel.
pub struct Panel<'a> {
    /// Above the frame, on the left.
    pub title: Label,
    /// Above the frame, in grey, the longest first. On the right of the title where the first has room in every panel,
    /// below the title otherwise.
    pub notes: Vec<Label>,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The same length for a unit of x and of y.
    pub isometric: bool,
    /// The data.
    pub body: Body<'a>,
}

/// What of a sheet is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layers {
    /// All of it.
    #[default]
    All,
    /// Paper and the insides of the panels.
    Ground,
    /// All but the paper, for drawing over a ground.
    Above,
}

/// A figure before it is laid out.
pub struct Sheet<'a> {
    /// File name without extension.
    pub name: String,
    /// One sentence.
    pub caption: String,
    /// The scenario's title.
    pub title: String,
    /// What all panels have in common, e.g. the learning rate; on the right of the title.
    pub remark: Label,
    /// Shown above the panels.
    pub legend: Vec<Entry>,
    /// Row by row.
    pub panels: Vec<Panel<'a>>,
    /// Panels in a row.
    pub columns: usize,
    /// Heights of the frames, one a row; the last is repeated.
    pub heights: Vec<f64>,
    /// Whether tick labels of y are only at the left: all panels of a row have one y axis.
    pub share_y: bool,
    /// Whether tick labels of x are only at the bottom: all panels of a column have one x axis.
    pub share_x: bool,
    /// How wide it is printed.
    pub width: Width,
}

/// How wide a sheet is printed; texts keep their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// Double column for several panels in a row, single column otherwise.
    #[default]
    Natural,
    /// One column of a journal, [`SINGLE_COLUMN`].
    Single,
    /// Two columns, [`DOUBLE_COLUMN`].
    Double,
}

impl Width {
    /// In points.
    pub fn points(self, columns: usize) -> f64 {
        match self {
            Width::Natural if columns > 1 => DOUBLE_COLUMN,
            Width::Natural | Width::Single => SINGLE_COLUMN,
            Width::Double => DOUBLE_COLUMN,
        }
    }
}

/// Where a sheet's rows lie.
struct Grid {
    /// Left, top, right and bottom edge of every frame.
    frames: Vec<[f64; 4]>,
    /// Whether notes stand below titles.
    below: bool,
    /// Height of the sheet.
    height: f64,
}

impl Panel<'_> {
    /// Whether the first note has room on the right of the title.
    fn has_room_beside(&self, room: f64) -> bool {
        let title = self.title.width(LABEL_SIZE, false);
        let first = self.notes.first();
        first.is_none_or(|note| title + note.width(TICK_SIZE, false) + 6.0 <= room)
    }

    fn frame(&self, &[left, top, right, bottom]: &[f64; 4]) -> Frame<'_> {
        Frame {
            left,
            top,
            right,
            bottom,
            x: &self.x,
            y: &self.y,
        }
    }
}

impl Sheet<'_> {
    /// The sheet at another width: in a single column fewer panels stand in a row, and fewer ticks are labelled.
    #[must_use]
    pub fn at_width(mut self, width: Width) -> Self {
        if width == Width::Natural {
            return self;
        }
        self.width = width;
        if width == Width::Single {
            self.narrow();
        }
        self
    }

    fn narrow(&mut self) {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let rows = self.heights.len();
        let common = self.share_x && self.share_y;
        let square = self.panels.iter().all(|p| p.isometric);
        let fewer = match columns {
            2.. if rows == 1 && self.panels.len() > 3 && (common || square) => 2,
            4.. if rows > 1 && columns.is_multiple_of(2) && common => 2,
            _ => 1,
        };
        if columns > fewer && rows > 1 {
            // Rows of several kinds: what stood below one another stays together.
            let all = std::mem::take(&mut self.panels);
            let mut panels: Vec<Option<Panel>> = all.into_iter().map(Some).collect();
            let mut heights = Vec::new();
            for first in (0..columns).step_by(fewer) {
                for row in 0..panels.len().div_ceil(columns) {
                    heights.extend(self.heights.get(row).or(self.heights.last()));
                    let places = (first..first + fewer).map(|column| row * columns + column);
                    let taken = places.filter_map(|p| panels.get_mut(p).and_then(Option::take));
                    self.panels.extend(taken);
                }
            }
            self.heights = heights;
            self.share_x = false;
        }
        self.columns = columns.min(fewer);
        if square {
            // As much lower as narrower.
            let before = Width::Natural.points(columns) / columns as f64;
            let narrower = SINGLE_COLUMN / self.columns as f64 / before;
            self.heights
                .iter_mut()
                .for_each(|h| *h *= narrower.min(1.0));
        }
        let name_room = 0.5 * SINGLE_COLUMN;
        for panel in &mut self.panels {
            panel.y.cut_labels(name_room);
            let names = panel.y.label_room();
            let frame = SINGLE_COLUMN / self.columns as f64 - names.min(name_room) - 20.0;
            panel.x.thin_labels(frame);
        }
    }

    /// Lays the sheet out and draws it; none without panels.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the canvas fails.
    pub fn draw(self) -> Result<Option<Figure>, FigureError> {
        self.draw_layers(Layers::All)
    }

    /// Lays the sheet out and draws some of it, at the places where [`Sheet::draw`] draws it.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the canvas fails.
    pub fn draw_layers(self, layers: Layers) -> Result<Option<Figure>, FigureError> {
        if self.panels.is_empty() {
            return Ok(None);
        }
        let columns = self.columns.clamp(1, self.panels.len());
        let width = self.width.points(columns);
        let (spots, legend_height) = self.legend_spots(width);
        let title = self.title_lines(width);
        let title_height = match title.len() {
            0 if self.remark.is_empty() => 0.0,
            lines => TITLE_LINE * lines.max(1) as f64 + 2.0,
        };
        let grid_top = MARGIN + title_height + legend_height;
        let grid = self.grid(columns, width, grid_top);
        let (frames, height) = (&grid.frames, grid.height);
        let svg = canvas::draw(width, height, &self.caption, |pen| {
            if layers != Layers::Above {
                pen.paper(width, height);
            }
            if layers == Layers::Ground {
                for (panel, place) in self.panels.iter().zip(frames) {
                    (panel.body)(pen, &panel.frame(place));
                }
                return;
            }
            self.draw_title(pen, width, &title);
            self.draw_legend(pen, width, MARGIN + title_height, &spots);
            for (index, (panel, place)) in self.panels.iter().zip(frames).enumerate() {
                self.draw_panel(pen, panel, place, (index, columns), grid.below);
            }
        })?;
        Ok(Some(Figure {
            name: self.name,
            caption: self.caption,
            svg,
            slides: None,
            animation: None,
        }))
    }

    /// The panels one by one in a single column, for a page that shows one at a time; none of a single panel.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the canvas fails.
    pub fn slides(&self) -> Result<Option<Slides>, FigureError> {
        if self.panels.len() < 2 {
            return Ok(None);
        }
        let (spots, height) = self.legend_spots(SINGLE_COLUMN);
        let height = MARGIN + height;
        let legend = canvas::draw(SINGLE_COLUMN, height, &self.caption, |pen| {
            pen.paper(SINGLE_COLUMN, height);
            self.draw_legend(pen, SINGLE_COLUMN, MARGIN, &spots);
        })?;
        let mut stills = Vec::new();
        for (index, panel) in self.panels.iter().enumerate() {
            let row = index / self.columns.max(1);
            let height = self.heights.get(row).or(self.heights.last());
            let alone = Sheet {
                name: self.name.clone(),
                caption: self.caption.clone(),
                title: String::new(),
                remark: Label::default(),
                legend: Vec::new(),
                panels: vec![Panel {
                    title: panel.title.clone(),
                    notes: match panel.notes.is_empty() {
                        true => vec![self.remark.clone()],
                        false => panel.notes.clone(),
                    },
                    x: panel.x.clone(),
                    y: panel.y.clone(),
                    isometric: panel.isometric,
                    body: Box::new(|pen: &mut Pen, frame: &Frame| (panel.body)(pen, frame)),
                }],
                columns: 1,
                heights: vec![height.map_or(SLIDE, |h| h.max(SLIDE))],
                share_y: false,
                share_x: false,
                width: Width::Single,
            };
            let drawn = alone.draw()?.map(|figure| figure.svg);
            stills.extend(drawn.map(|svg| (panel.title.plain(), svg)));
        }
        Ok(Some(Slides { legend, stills }))
    }

    /// The legend below `top`.
    fn draw_legend(&self, pen: &mut Pen, width: f64, top: f64, spots: &[(f64, f64)]) {
        for (entry, (x, y)) in self.legend.iter().zip(spots) {
            entry.sample.draw(pen, *x, top + y);
            let room = width - MARGIN - x - SAMPLE - 3.0;
            let at = (x + SAMPLE + 3.0, top + y + 0.36 * LABEL_SIZE);
            let label = entry.label.fitted(LABEL_SIZE, false, room);
            pen.text(at, &label, Type::new(LABEL_SIZE, Anchor::Start));
        }
    }

    /// Positions of the legend's entries below the title, and the legend's height.
    fn legend_spots(&self, width: f64) -> (Vec<(f64, f64)>, f64) {
        const LINE: f64 = LABEL_SIZE + 3.5;
        let (mut x, mut row) = (MARGIN, 0.0);
        let mut spots = Vec::new();
        for entry in &self.legend {
            let wide = SAMPLE + 3.0 + entry.label.width(LABEL_SIZE, false);
            if x > MARGIN && x + wide > width - MARGIN {
                x = MARGIN;
                row += 1.0;
            }
            spots.push((x, row * LINE + 0.5 * LINE));
            x += wide + GAP;
        }
        let height = if spots.is_empty() {
            0.0
        } else {
            (row + 1.0) * LINE + 1.0
        };
        (spots, height)
    }

    /// Places the frames below `top`.
    fn grid(&self, columns: usize, width: f64, top: f64) -> Grid {
        let lefts: Vec<f64> = (0..columns)
            .map(|column| {
                let own = self.panels.iter().skip(column).step_by(columns);
                let labelled = column == 0 || !self.share_y;
                let ticks = own.clone().map(|p| p.y.label_room()).fold(0.0, f64::max);
                let named = own
                    .enumerate()
                    .any(|(row, _)| self.names_y(row * columns + column, columns));
                let ticks = if labelled { ticks + 4.0 } else { 0.0 };
                let name = if named { LABEL_SIZE + 3.0 } else { 0.0 };
                // Where nothing stands left of the frame, half a tick label of x still needs its place.
                let overhang = self.overhang(column, columns, false);
                MARGIN + (ticks + name).max(overhang)
            })
            .collect();
        let rights: Vec<f64> = (0..columns)
            .map(|column| 1.0 + self.overhang(column, columns, true))
            .collect();
        let taken = MARGIN + lefts.iter().chain(&rights).sum::<f64>();
        let frame_width = ((width - taken) / columns as f64).max(20.0);
        let mut frames = Vec::new();
        let below = !self.panels.iter().all(|p| p.has_room_beside(frame_width));
        let mut y = top;
        for (row, panels) in self.panels.chunks(columns).enumerate() {
            let head = if panels
                .iter()
                .all(|p| p.title.is_empty() && p.y.factor.is_none())
            {
                2.5
            } else {
                LABEL_SIZE + 5.0
            };
            let head = if below { head + NOTE_LINE } else { head };
            let height = self
                .heights
                .get(row)
                .or(self.heights.last())
                .copied()
                .unwrap_or(120.0);
            let flat = |p: &Panel| isometric([0.0, 0.0, frame_width, height], p);
            let height = match panels.iter().all(|p| p.isometric) {
                true => panels
                    .iter()
                    .map(|p| height - flat(p)[1])
                    .fold(0.0, f64::max),
                false => height,
            };
            let mut x = 0.0;
            let mut foot: f64 = 4.0;
            for (column, panel) in panels.iter().enumerate() {
                let index = row * columns + column;
                x += lefts[column];
                let mut edges = [x, y + head, x + frame_width, y + head + height];
                if panel.isometric {
                    edges = isometric(edges, panel);
                }
                frames.push(edges);
                x += frame_width + rights[column];
                if self.numbers_x(index, columns) {
                    foot = foot.max(TICK_SIZE + 5.0);
                }
                if self.names_x(index, columns) {
                    foot = foot.max(TICK_SIZE + LABEL_SIZE + 8.0);
                }
            }
            y += head + height + foot;
        }
        Grid {
            frames,
            below,
            height: y + MARGIN - 1.0,
        }
    }

    /// Whether tick labels stand under the panel.
    fn numbers_x(&self, index: usize, columns: usize) -> bool {
        // Where the row below is shorter, the whole row is numbered.
        let row = index / columns * columns;
        !self.share_x || row + 2 * columns > self.panels.len()
    }

    /// Whether the x axis is named under the panel: something below a panel of its row does not say the same.
    fn names_x(&self, index: usize, columns: usize) -> bool {
        let label = |i: usize| self.panels.get(i).map(|p| &p.x.label);
        let differs = |i: usize| {
            label(i + columns) != label(i)
                || self.panels.get(i).is_some_and(|p| p.x.factor.is_some())
        };
        let row = index / columns * columns;
        (row..(row + columns).min(self.panels.len())).any(differs)
    }

    /// How far tick labels of x reach beyond a column's frames, on the left or on the right.
    fn overhang(&self, column: usize, columns: usize, right: bool) -> f64 {
        let frame = 0.7 * self.width.points(columns) / columns as f64;
        let own = self.panels.iter().skip(column).step_by(columns);
        let ticks = own.flat_map(|p| p.x.ticks.iter().map(move |t| (p, t)));
        let beyond = ticks.filter_map(|(panel, tick)| {
            let share = panel.x.share(tick.value)?;
            let half = 0.5 * tick.label.as_ref()?.width(TICK_SIZE, false);
            Some(half - frame * if right { 1.0 - share } else { share })
        });
        beyond.fold(2.0, f64::max)
    }

    /// Whether the y axis is named beside the panel: nothing to its left says the same.
    fn names_y(&self, index: usize, columns: usize) -> bool {
        let label = |i: usize| self.panels.get(i).map(|p| &p.y.label);
        index.is_multiple_of(columns) || label(index - 1) != label(index)
    }

    /// Room for the first line of the title beside the remark.
    fn title_room(&self, width: f64) -> f64 {
        let room = width - 2.0 * MARGIN;
        match self.remark.is_empty() {
            true => room,
            false => room - self.fitted_remark(width).width(LABEL_SIZE, false) - 10.0,
        }
    }

    fn fitted_remark(&self, width: f64) -> Label {
        let room = 0.45 * (width - 2.0 * MARGIN);
        self.remark.fitted(LABEL_SIZE, false, room)
    }

    /// The title in one line or two.
    fn title_lines(&self, width: f64) -> Vec<Label> {
        let rooms = [self.title_room(width), width - 2.0 * MARGIN];
        Label::lines(&self.title, TITLE_SIZE, true, &rooms)
    }

    fn draw_title(&self, pen: &mut Pen, width: f64, title: &[Label]) {
        let base = MARGIN + TITLE_SIZE - 1.0;
        for (row, line) in title.iter().enumerate() {
            pen.text(
                (MARGIN, base + TITLE_LINE * row as f64),
                line,
                Type::new(TITLE_SIZE, Anchor::Start).bold(),
            );
        }
        pen.text(
            (width - MARGIN, base),
            &self.fitted_remark(width),
            Type::new(LABEL_SIZE, Anchor::End).color(QUIET),
        );
    }

    fn draw_panel(
        &self,
        pen: &mut Pen,
        panel: &Panel,
        edges: &[f64; 4],
        (index, columns): (usize, usize),
        below: bool,
    ) {
        let [left, top, right, bottom] = *edges;
        let frame = panel.frame(edges);
        (panel.body)(pen, &frame);
        let y_numbers = !self.share_y || index.is_multiple_of(columns);
        frame.furnish(pen, self.numbers_x(index, columns), y_numbers);
        let room = right - left;
        // A title that is a little too long is set smaller, a longer one cut.
        let whole = panel.title.width(LABEL_SIZE, false);
        let size = LABEL_SIZE * (0.995 * room / whole.max(1.0)).clamp(0.8, 1.0);
        let title = panel.title.fitted(size, false, room);
        let base = top - 3.5;
        let rise = if below { NOTE_LINE } else { 0.0 };
        pen.text((left, base - rise), &title, Type::new(size, Anchor::Start));
        let fits = |note: &&Label| note.width(TICK_SIZE, false) <= room;
        if let Some(note) = panel.notes.iter().find(fits).or(panel.notes.last()) {
            let note = note.fitted(TICK_SIZE, false, room);
            let (x, anchor) = match below {
                true => (left, Anchor::Start),
                false => (right, Anchor::End),
            };
            pen.text((x, base), &note, Type::new(TICK_SIZE, anchor).color(QUIET));
        }
        if self.names_x(index, columns) {
            let factor = panel
                .x
                .factor
                .as_ref()
                .map_or(0.0, |f| f.width(TICK_SIZE, false) + 6.0);
            let label = panel
                .x
                .label
                .fitted(LABEL_SIZE, false, room + 10.0 - 2.0 * factor);
            let at = (0.5 * (left + right), bottom + TICK_SIZE + LABEL_SIZE + 4.5);
            pen.text(at, &label, Type::new(LABEL_SIZE, Anchor::Middle));
        }
        if self.names_y(index, columns) {
            let ticks = if y_numbers {
                self.tick_room(index % columns, columns) + 4.0
            } else {
                0.0
            };
            let label = panel.y.label.fitted(LABEL_SIZE, false, bottom - top + 16.0);
            let at = (left - ticks - 4.0, 0.5 * (top + bottom));
            pen.text(at, &label, Type::new(LABEL_SIZE, Anchor::Middle).upwards());
        }
    }

    /// Room of the widest y tick label in a column.
    fn tick_room(&self, column: usize, columns: usize) -> f64 {
        self.panels
            .iter()
            .skip(column)
            .step_by(columns)
            .map(|p| p.y.label_room())
            .fold(0.0, f64::max)
    }
}

/// The largest frame inside `edges` with one scale for both axes.
fn isometric(edges: [f64; 4], panel: &Panel) -> [f64; 4] {
    let [left, top, right, bottom] = edges;
    let (x, y) = (panel.x.ends(), panel.y.ends());
    let (wide, high) = (x.1 - x.0, y.1 - y.0);
    let scale = ((right - left) / wide).min((bottom - top) / high);
    if !(scale.is_finite() && scale > 0.0) {
        return edges;
    }
    let (spare_x, spare_y) = (right - left - scale * wide, bottom - top - scale * high);
    if spare_x > 0.6 * (right - left) || spare_y > 0.6 * (bottom - top) {
        return edges; // a very long strip reads better stretched
    }
    [
        left + 0.5 * spare_x,
        top + spare_y,
        right - 0.5 * spare_x,
        bottom,
    ]
}
