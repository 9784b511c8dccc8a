//! Labels with sub- and superscripts: composed from runs, measured with DejaVu, written as SVG `tspan`s.

use plotters::style::{FontDesc, FontFamily, FontStyle};

use super::fonts::{self, FAMILY};

/// Size of sub- and superscripts relative to the line.
const SCRIPT: f64 = 0.72;
/// Rise of a superscript and drop of a subscript, in ems of the line.
const RISE: f64 = 0.36;
const DROP: f64 = 0.17;
/// Longer texts are cut before they are measured.
const LONGEST: usize = 240;
/// How names of path functionals say h(X_{T/2}) h(X_T).
const PRODUCT: &str = " at T/2 times at T";
/// The test function tr ∇²L.
const SHARPNESS: &str = "trace_hessian";
/// plotters measures with the ascent and descent of the font as its unit: 1901 + 483 of 2048 units to the em.
const UNITS_PER_MILLI_EM: f64 = (1901.0 + 483.0) / 2048.0;

/// How one run of a label is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Italic,
    Superscript,
    Subscript,
}

/// A line of text with sub- and superscripts and italics, such as 10⁻³ or *x*₁².
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    runs: Vec<(Kind, String)>,
}

impl Label {
    /// Upright text. Control characters and line breaks become spaces.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::default().then(text)
    }

    /// Appends upright text.
    #[must_use]
    pub fn then(self, text: impl AsRef<str>) -> Self {
        self.push(Kind::Normal, text.as_ref())
    }

    /// Appends italic text: variables.
    #[must_use]
    pub fn italic(self, text: impl AsRef<str>) -> Self {
        self.push(Kind::Italic, text.as_ref())
    }

    /// Appends a superscript.
    #[must_use]
    pub fn superscript(self, text: impl AsRef<str>) -> Self {
        self.push(Kind::Superscript, text.as_ref())
    }

    /// Appends a subscript.
    #[must_use]
    pub fn subscript(self, text: impl AsRef<str>) -> Self {
        self.push(Kind::Subscript, text.as_ref())
    }

    /// Appends another label.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.runs.extend(other.runs.iter().cloned());
        self
    }

    fn push(mut self, kind: Kind, text: &str) -> Self {
        let clean: String = text.chars().take(LONGEST).map(printable).collect();
        if !clean.is_empty() {
            self.runs.push((kind, clean));
        }
        self
    }

    /// A test function as the name of an axis: what [`Label::function`] abbreviates is written out.
    pub fn quantity(name: &str) -> Self {
        match name {
            "recovery" => Self::new("recovery error ‖θ − θ*‖/‖θ*‖"),
            _ => Self::function(name),
        }
    }

    /// A test function by its name: `x[1]^2` becomes *x*₁², `cos(x[1])` cos(*x*₁), `a*b` a·b, `trace_hessian` tr ∇²*L*, `W₁`
    /// W with a subscript, `h at T/2 times at T` h(*T*/2)·h(*T*).
    pub fn function(name: &str) -> Self {
        if let Some(inner) = name.strip_suffix(PRODUCT) {
            let inner = match inner.contains(['*', '+', '-', ' ']) {
                true => Self::new("(").join(&Self::function(inner)).then(")"),
                false => Self::function(inner),
            };
            let first = inner.clone().then("(").italic("T").then("/2) · ");
            return first.join(&inner).then("(").italic("T").then(")");
        }
        if let Some(before) = name.strip_suffix(" at T") {
            return Self::function(before).then(" at ").italic("T");
        }
        if let Some((before, after)) = name.split_once(SHARPNESS) {
            let label = Self::function(before).then("tr ∇²");
            return label.italic("L").join(&Self::function(after));
        }
        let letters: Vec<char> = name.chars().take(LONGEST).collect();
        let mut label = Self::default();
        let mut plain = String::new();
        let mut at = 0;
        while at < letters.len() {
            let c = letters[at];
            let next = letters.get(at + 1).copied();
            let close = |open: char| {
                letters[at..]
                    .iter()
                    .position(|&l| l == open)
                    .map(|n| at + n)
            };
            match c {
                'x' | 'y' | 'z' | 'm' if next == Some('[') => {
                    if let Some(end) = close(']') {
                        label = label.then(std::mem::take(&mut plain)).italic(c.to_string());
                        label = label.subscript(letters[at + 2..end].iter().collect::<String>());
                        at = end + 1;
                        continue;
                    }
                    plain.push(c);
                }
                '^' if next.is_some_and(|n| n.is_ascii_digit()) => {
                    let digits: String = letters[at + 1..]
                        .iter()
                        .take_while(|n| n.is_ascii_digit())
                        .collect();
                    at += 1 + digits.len();
                    label = label.then(std::mem::take(&mut plain)).superscript(digits);
                    continue;
                }
                '₀'..='₉' => {
                    let digit = u32::from(c) - u32::from('₀');
                    label = label.then(std::mem::take(&mut plain));
                    label = label.subscript(digit.to_string());
                }
                '*' => plain.push('·'),
                '-' => plain.push('−'),
                other => plain.push(other),
            }
            at += 1;
        }
        label.then(plain)
    }

    /// base^exponent, e.g. 10⁻³.
    pub fn power(base: u32, exponent: i64) -> Self {
        Self::new(base.to_string()).superscript(minus(&exponent.to_string()))
    }

    /// Whether nothing would be drawn.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The text without its styling, for captions: superscripts keep a `^`, subscripts follow directly.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for (kind, text) in &self.runs {
            if *kind == Kind::Superscript {
                out.push('^');
            }
            out.push_str(text);
        }
        out
    }

    /// Width in points when set at `size` points.
    pub fn width(&self, size: f64, bold: bool) -> f64 {
        let mut milli_ems = 0.0;
        for (kind, text) in &self.runs {
            let scale = if kind.is_script() { SCRIPT } else { 1.0 };
            milli_ems += scale * run_width(text, bold, *kind == Kind::Italic);
        }
        milli_ems * size / 1000.0
    }

    /// The label, cut with an ellipsis where it is wider than `room` points.
    #[must_use]
    pub fn fitted(&self, size: f64, bold: bool, room: f64) -> Self {
        if self.width(size, bold) <= room {
            return self.clone();
        }
        let mut cut = self.clone();
        while let Some((_, text)) = cut.runs.last_mut() {
            if text.pop().is_none() {
                cut.runs.pop();
                continue;
            }
            while text.ends_with(' ') {
                text.pop();
            }
            let shown = cut.clone().then("…");
            if shown.width(size, bold) <= room {
                return shown;
            }
        }
        Self::default()
    }

    /// Plain text broken into lines of at most `rooms` points; what does not fit into the last is cut with an ellipsis.
    pub fn lines(text: &str, size: f64, bold: bool, rooms: &[f64]) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        let mut rest: Vec<&str> = text.split_whitespace().collect();
        for (place, &room) in rooms.iter().enumerate() {
            if rest.is_empty() {
                break;
            }
            let whole = Self::new(rest.join(" "));
            let fits = |words: usize| Self::new(rest[..words].join(" ")).width(size, bold) <= room;
            let words = (1..=rest.len()).take_while(|&n| fits(n)).count();
            if words == rest.len() || words == 0 || place + 1 == rooms.len() {
                lines.push(whole.fitted(size, bold, room));
                break;
            }
            lines.push(Self::new(rest[..words].join(" ")));
            rest.drain(..words);
        }
        lines
    }

    /// The content of an SVG `text` element.
    pub(super) fn xml(&self) -> String {
        let mut out = String::new();
        let mut height = 0.0; // of the current baseline above the line's, in ems of the line
        for (kind, text) in &self.runs {
            let (target, scale) = match kind {
                Kind::Normal | Kind::Italic => (0.0, 1.0),
                Kind::Superscript => (RISE, SCRIPT),
                Kind::Subscript => (-DROP, SCRIPT),
            };
            let shift = (height - target) / scale;
            height = target;
            let mut attributes = String::new();
            if shift != 0.0 {
                attributes.push_str(&format!(" dy=\"{shift:.3}em\""));
            }
            if scale != 1.0 {
                attributes.push_str(&format!(" font-size=\"{:.0}%\"", 100.0 * scale));
            }
            if *kind == Kind::Italic {
                attributes.push_str(" font-style=\"italic\"");
            }
            if attributes.is_empty() {
                out.push_str(&escaped(text));
            } else {
                out.push_str(&format!("<tspan{attributes}>{}</tspan>", escaped(text)));
            }
        }
        out
    }
}

impl Kind {
    fn is_script(self) -> bool {
        matches!(self, Self::Superscript | Self::Subscript)
    }
}

/// Replaces the hyphen of a formatted number by a minus sign.
pub fn minus(number: &str) -> String {
    number.replace('-', "−")
}

/// Three significant digits without trailing zeros: 0.0125, 3.2, 120; powers of ten outside 10⁻³ … 10⁵.
pub fn number(value: f64) -> Label {
    if value == 0.0 || !value.is_finite() {
        return Label::new(minus(&value.to_string()));
    }
    let exponent = value.abs().log10().floor() as i64;
    if (-3..5).contains(&exponent) {
        let decimals = usize::try_from(2 - exponent).unwrap_or(0);
        return Label::new(minus(&trimmed(&format!("{value:.decimals$}"))));
    }
    let mantissa = trimmed(&format!("{:.2}", value / 10f64.powi(exponent as i32)));
    let power = Label::power(10, exponent);
    match mantissa.as_str() {
        "1" => power,
        "-1" => Label::new("−").join(&power),
        other => Label::new(minus(other)).then("×").join(&power),
    }
}

/// A coverage in percent, with as many digits as tell it from 100: 95, 99.9, 99.98.
pub fn percent(level: f64) -> String {
    let missing = -(1.0 - level).log10();
    let decimals = (missing.ceil() - 1.0).clamp(1.0, 9.0) as usize;
    trimmed(&format!("{:.decimals$}", 100.0 * level))
}

/// A number with two significant digits.
pub fn rounded(value: f64) -> Label {
    number(format!("{value:.1e}").parse().unwrap_or(value))
}

/// Removes trailing zeros behind a decimal point.
pub fn trimmed(number: &str) -> String {
    if number.contains('.') {
        number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    } else {
        number.to_owned()
    }
}

/// A learning-rate scale: 2⁻⁷ where it is a power of two, three digits otherwise.
pub fn learning_rate(eta: f64) -> Label {
    match binary_exponent(eta) {
        Some(exponent) => Label::power(2, exponent),
        None => number(eta),
    }
}

/// The exponent of an exact power of two.
pub fn binary_exponent(value: f64) -> Option<i64> {
    if !(value.is_finite() && value > 0.0) {
        return None;
    }
    let exponent = value.log2().round();
    ((value.log2() - exponent).abs() < 1e-9).then_some(exponent as i64)
}

/// Width of one run in thousandths of an em.
fn run_width(text: &str, bold: bool, italic: bool) -> f64 {
    fonts::register();
    let style = match (bold, italic) {
        (true, _) => FontStyle::Bold,
        (false, true) => FontStyle::Italic,
        (false, false) => FontStyle::Normal,
    };
    let font = FontDesc::new(FontFamily::Name(FAMILY), 1000.0 * UNITS_PER_MILLI_EM, style);
    match font.box_size(text) {
        Ok((width, _)) => f64::from(width),
        Err(_) => 620.0 * text.chars().count() as f64,
    }
}

/// Control characters, which XML forbids, become spaces.
fn printable(c: char) -> char {
    if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') {
        ' '
    } else {
        c
    }
}

/// Text for an XML element or attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(printable(other)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_are_typeset() {
        assert_eq!(Label::function("x[1]^2").plain(), "x1^2");
        assert_eq!(Label::function("x[1]^2").runs.len(), 3);
        assert_eq!(Label::function("cos(x[12])").plain(), "cos(x12)");
        assert_eq!(Label::function("x[1]*x[2]").plain(), "x1·x2");
        assert_eq!(Label::function("x[").plain(), "x[");
        assert_eq!(Label::function("a^").plain(), "a^");
        assert!(Label::function("").is_empty());
        assert_eq!(Label::function("trace_hessian").plain(), "tr ∇²L");
        assert_eq!(
            Label::function("W₁ of trace_hessian").plain(),
            "W1 of tr ∇²L"
        );
        assert_eq!(
            Label::function("x[1] at T/2 times at T").plain(),
            "x1(T/2) · x1(T)"
        );
        assert_eq!(Label::function("recovery").plain(), "recovery");
        assert_eq!(
            Label::quantity("recovery").plain(),
            "recovery error ‖θ − θ*‖/‖θ*‖"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.0125).plain(), "0.0125");
        assert_eq!(number(-3.0).plain(), "−3");
        assert_eq!(number(1e-7).plain(), "10^−7");
        assert_eq!(number(2.5e-7).plain(), "2.5×10^−7");
        assert_eq!(learning_rate(1.0 / 128.0).plain(), "2^−7");
        assert_eq!(learning_rate(0.1).plain(), "0.1");
        for (level, shown) in [
            (0.95, "95"),
            (0.999, "99.9"),
            (0.99978, "99.978"),
            (1.0, "100"),
        ] {
            assert_eq!(percent(level), shown);
        }
    }

    #[test]
    fn long_labels_are_cut_to_their_room() {
        let long = Label::new("a very long label ".repeat(20)).superscript("2");
        let cut = long.fitted(7.0, false, 60.0);
        assert!(cut.width(7.0, false) <= 60.0);
        assert!(cut.plain().ends_with('…'));
        assert!(long.fitted(7.0, false, 0.5).is_empty());
    }

    #[test]
    fn markup_in_labels_is_escaped() {
        assert_eq!(
            Label::new("a<b & \"c\"\u{1}").xml(),
            "a&lt;b &amp; &quot;c&quot; "
        );
    }
}
