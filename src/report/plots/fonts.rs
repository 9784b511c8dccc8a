//! The DejaVu faces, compiled in: for measuring (plotters) and for PNG and PDF (resvg, krilla). No system font is read.

use std::sync::{Arc, OnceLock};

use plotters::style::{FontStyle, register_font};
use resvg::usvg::fontdb::{Database, Source};

/// The `font-family` of every text. Bitstream Vera is DejaVu's parent and Verdana has nearly its widths.
pub const FAMILY: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, Arial, sans-serif";

/// Registers the faces with plotters under [`FAMILY`]; cheap after the first call.
pub fn register() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        for (style, face) in [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Italic, dejavu::sans::oblique()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ] {
            // A face that could not be read leaves labels measured by their number of letters.
            let _ = register_font(FAMILY, style, face);
        }
    });
}

/// The faces as a database for resvg.
pub fn database() -> Arc<Database> {
    static DATABASE: OnceLock<Arc<Database>> = OnceLock::new();
    Arc::clone(DATABASE.get_or_init(|| {
        let mut faces = Database::new();
        for face in [
            dejavu::sans::regular(),
            dejavu::sans::oblique(),
            dejavu::sans::bold(),
        ] {
            faces.load_font_source(Source::Binary(Arc::new(face)));
        }
        faces.set_sans_serif_family("DejaVu Sans");
        Arc::new(faces)
    }))
}
