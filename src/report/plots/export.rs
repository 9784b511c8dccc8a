//! From SVG to PNG (resvg, 300 dpi) and PDF (krilla, selectable text), with the compiled-in fonts alone.

use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::{FigureError, fonts};

/// Resolution of PNG files in dots per inch.
pub const DPI: f64 = 300.0;
/// CSS pixels per inch, the unit of a parsed SVG.
const CSS_DPI: f64 = 96.0;

/// A figure ready for export.
pub struct Parsed(Tree);

/// An image of opaque pixels.
pub struct Raster(Pixmap);

impl Raster {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// Red, green and blue, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = [u8; 3]> + '_ {
        let pixels = self.0.pixels().iter();
        pixels.map(|p| [p.red(), p.green(), p.blue()])
    }
}

impl Parsed {
    /// Parses an SVG.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when it is not valid.
    pub fn new(svg: &str) -> Result<Self, FigureError> {
        let options = Options {
            fontdb: fonts::database(),
            font_family: "DejaVu Sans".to_owned(),
            ..Options::default()
        };
        Tree::from_str(svg, &options)
            .map(Self)
            .map_err(|error| FigureError::Draw(error.to_string()))
    }

    /// Renders a PNG at [`DPI`] on white.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the image cannot be made.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        let scale = DPI / CSS_DPI;
        let pixels = |length: f32| (f64::from(length) * scale).round().max(1.0) as u32;
        let size = self.0.size();
        let mut image = Pixmap::new(pixels(size.width()), pixels(size.height()))
            .ok_or_else(|| FigureError::Draw("the image is empty or too large".to_owned()))?;
        image.fill(Color::WHITE);
        resvg::render(
            &self.0,
            Transform::from_scale(scale as f32, scale as f32),
            &mut image.as_mut(),
        );
        let png = image
            .encode_png()
            .map_err(|error| FigureError::Draw(error.to_string()))?;
        Ok(with_resolution(png))
    }

    /// Renders on white at a width in pixels.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the image cannot be made.
    pub fn raster(&self, width: u32) -> Result<Raster, FigureError> {
        let size = self.0.size();
        let scale = f64::from(width) / f64::from(size.width());
        let height = (f64::from(size.height()) * scale).round().max(1.0) as u32;
        let mut image = Pixmap::new(width, height)
            .ok_or_else(|| FigureError::Draw("the image is empty or too large".to_owned()))?;
        image.fill(Color::WHITE);
        let ground = Raster(image);
        Ok(self.over(&ground))
    }

    /// Renders over a ground of the same proportions.
    pub fn over(&self, ground: &Raster) -> Raster {
        let mut image = ground.0.clone();
        let scale = image.width() as f32 / self.0.size().width();
        let transform = Transform::from_scale(scale, scale);
        resvg::render(&self.0, transform, &mut image.as_mut());
        Raster(image)
    }

    /// Writes a one-page PDF of the figure's size.
    ///
    /// # Errors
    /// [`FigureError::Draw`] when the page cannot be written.
    pub fn pdf(&self, title: &str) -> Result<Vec<u8>, FigureError> {
        let fail = |reason: &str| FigureError::Draw(reason.to_owned());
        let points = (72.0 / CSS_DPI) as f32;
        let (width, height) = (
            self.0.size().width() * points,
            self.0.size().height() * points,
        );
        let settings =
            PageSettings::from_wh(width, height).ok_or_else(|| fail("the page is empty"))?;
        let size = Size::from_wh(width, height).ok_or_else(|| fail("the page is empty"))?;
        let mut document = krilla::Document::new();
        document.set_metadata(
            Metadata::new()
                .title(title.to_owned())
                .creator("slowsde".to_owned()),
        );
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        surface
            .draw_svg(&self.0, size, SvgSettings::default())
            .ok_or_else(|| fail("the page cannot be drawn"))?;
        surface.finish();
        page.finish();
        document
            .finish()
            .map_err(|error| FigureError::Draw(format!("{error:?}")))
    }
}

/// Adds the `pHYs` chunk, so that programs place the image at its printed size.
fn with_resolution(png: Vec<u8>) -> Vec<u8> {
    const HEADER_END: usize = 8 + 25; // signature and IHDR
    if png.len() < HEADER_END {
        return png;
    }
    let per_metre = (DPI / 0.0254).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend(per_metre.to_be_bytes());
    chunk.extend(per_metre.to_be_bytes());
    chunk.push(1); // per metre
    let sum = crc32(&chunk);
    let mut out = png[..HEADER_END].to_vec();
    out.extend(9u32.to_be_bytes());
    out.extend(chunk);
    out.extend(sum.to_be_bytes());
    out.extend(&png[HEADER_END..]);
    out
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use resvg::usvg::Node;

    use super::*;
    use crate::report::plots::canvas::{self, Anchor, Type};
    use crate::report::plots::text::Label;

    #[test]
    fn the_checksum_is_pngs() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
    }

    #[test]
    fn the_png_has_the_printed_size() {
        let svg = canvas::draw(canvas::DOUBLE_COLUMN, 72.0, "", |_| {}).expect("drawn");
        let png = Parsed::new(&svg).expect("parsed").png().expect("rendered");
        assert_eq!(png[16..20], 2100u32.to_be_bytes());
        assert_eq!(png[20..24], 300u32.to_be_bytes());
        assert_eq!(&png[37..41], b"pHYs");
        let pdf = Parsed::new(&svg)
            .expect("parsed")
            .pdf("t")
            .expect("written");
        assert!(pdf.starts_with(b"%PDF"));
    }

    #[test]
    fn text_in_the_pdf_can_be_selected() {
        let draw = |pen: &mut canvas::Pen| {
            let set = Type::new(8.0, Anchor::Start);
            pen.text((9.0, 40.0), &Label::new("η = ").superscript("−3"), set);
        };
        let svg = canvas::draw(canvas::SINGLE_COLUMN, 72.0, "", draw).expect("drawn");
        let pdf = Parsed::new(&svg)
            .expect("parsed")
            .pdf("t")
            .expect("written");
        let has = |word: &[u8]| pdf.windows(word.len()).any(|w| w == word);
        assert!(has(b"/ToUnicode") && has(b"DejaVuSans"));
    }

    #[test]
    fn labels_are_as_wide_as_they_are_measured() {
        let label = Label::new("fast time ")
            .italic("t")
            .then(" = kη, Wägung")
            .superscript("−12");
        for bold in [false, true] {
            let set = Type {
                bold,
                ..Type::new(20.0, Anchor::Start)
            };
            let svg = canvas::draw(400.0, 60.0, "", |pen| pen.text((50.0, 40.0), &label, set))
                .expect("drawn");
            let parsed = Parsed::new(&svg).expect("parsed");
            let mut image = parsed.0.root().abs_bounding_box();
            let mut group = parsed.0.root();
            while let Some(node) = group.children().last() {
                image = node.abs_bounding_box();
                let Node::Group(inner) = node else { break };
                group = inner;
            }
            let drawn = f64::from(image.width()) * 72.0 / CSS_DPI;
            let measured = label.width(20.0, bold);
            assert!(
                (drawn - measured).abs() < 0.05 * measured,
                "{drawn} {measured}"
            );
            assert!((f64::from(image.x()) * 72.0 / CSS_DPI - 50.0).abs() < 2.0);
        }
    }
}
