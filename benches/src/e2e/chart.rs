//! A bar for each server, in SVG.

use std::path::Path;

use plotters::{
    prelude::{Color, EmptyElement, IntoDrawingArea, RGBColor, Rectangle, SVGBackend, Text},
    style::{IntoFont, TextStyle},
};
use tower_callback::BoxError;

use crate::table::count;

const OURS: RGBColor = RGBColor(0xd9, 0x5f, 0x02);
const OTHERS: RGBColor = RGBColor(0x75, 0x70, 0xb3);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);

const WIDTH: i32 = 760;
const ROW: i32 = 26;
const LABELS: i32 = 230;
const NUMBERS: i32 = 70;
const TOP: i32 = 44;

/// Draws names and values from top to bottom.
pub(crate) fn draw(path: &Path, title: &str, bars: &[(&str, f64)]) -> Result<(), BoxError> {
    let rows = i32::try_from(bars.len())?;
    let size = (u32::try_from(WIDTH)?, u32::try_from(TOP + ROW * rows + 12)?);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&plotters::style::WHITE)?;
    let large = TextStyle::from(("sans-serif", 17).into_font()).color(&INK);
    let small = TextStyle::from(("sans-serif", 14).into_font()).color(&INK);
    area.draw(&Text::new(title.to_owned(), (12, 12), large))?;
    let most = bars.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let room = f64::from(WIDTH - LABELS - NUMBERS);
    for (row, (name, value)) in (0..).zip(bars) {
        let top = TOP + ROW * row;
        let end = LABELS + (value / most * room) as i32;
        let color = if name.starts_with("ours") {
            OURS
        } else {
            OTHERS
        };
        let bar = Rectangle::new([(LABELS, top), (end, top + ROW - 8)], color.filled());
        area.draw(&bar)?;
        let texts = EmptyElement::at((0, top + 2))
            + Text::new(name.replace('`', ""), (12, 0), small.clone())
            + Text::new(count(*value), (end + 8, 0), small.clone());
        area.draw(&texts)?;
    }
    area.present()?;
    Ok(())
}
