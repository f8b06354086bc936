//! A map as a vector graphic: a rectangle for each row of squares of one colour, and a legend.

use std::fmt::Write;

use crate::map::FileMap;
use crate::map::colours::{Colours, hex};

/// The side of a square.
const SIDE: usize = 8;
/// The height of a line of the legend.
const LINE: usize = 18;

/// Draws it.
pub(crate) fn draw(map: &FileMap, colours: &Colours, title: &str) -> String {
    let columns = map.width();
    let rows = map.squares.len().div_ceil(columns);
    let (width, height) = (columns * SIDE, rows * SIDE + LINE * (colours.legend.len() + 2));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n",
        escaped(title)
    );
    for (row, squares) in map.squares.chunks(columns).enumerate() {
        let mut column = 0;
        for run in squares.chunk_by(|a, b| colours.place(a) == colours.place(b)) {
            let colour = hex(colours.palette[colours.place(&run[0])]);
            let (x, y, width) = (column * SIDE, row * SIDE, run.len() * SIDE);
            // Writing to a string does not fail.
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{SIDE}\" fill=\"{colour}\"/>"
            );
            column += run.len();
        }
    }
    let mut y = rows * SIDE + LINE;
    let pages = match map.pages_per_square {
        1 => "a square is a page".to_owned(),
        several => format!("a square is {several} pages"),
    };
    let _ =
        writeln!(svg, "<text x=\"4\" y=\"{y}\">{}: {} pages, {pages}</text>", escaped(title), map.page_count);
    for (place, name) in &colours.legend {
        y += LINE;
        let colour = hex(colours.palette[*place]);
        let (top, name) = (y - 10, escaped(name));
        let _ = writeln!(
            svg,
            "<rect x=\"4\" y=\"{top}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"22\" y=\"{y}\">{name}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text, as it may stand in XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
