//! A map as a page of HTML that needs nothing else: each square tells what it is when it is pointed at, and the colours can be chosen.

use serde_json::json;

use crate::map::colours::{hex, of_class, of_owner};
use crate::map::svg::escaped;
use crate::map::{Class, FileMap};

const PAGE: &str = include_str!("map.html");

/// Draws it.
pub(crate) fn draw(map: &FileMap, title: &str) -> String {
    let classes: Vec<_> = Class::ALL
        .iter()
        .map(|class| json!({"name": class.name(), "colour": hex(of_class(*class))}))
        .collect();
    let owners: Vec<_> = map
        .owners
        .iter()
        .enumerate()
        .map(|(nth, name)| json!({"name": name, "colour": hex(of_owner(nth))}))
        .collect();
    // Squares as columns, which take a third of the room that objects would.
    let data = json!({
        "title": title,
        "pages": map.page_count,
        "per_square": map.pages_per_square,
        "width": map.width(),
        "classes": classes,
        "owners": owners,
        "class": map.squares.iter().map(|square| square.class as u8).collect::<Vec<_>>(),
        "owner": map.squares.iter().map(|square| square.owner.map_or(-1, i64::from)).collect::<Vec<_>>(),
        "birth": map.squares.iter().map(|square| square.birth).collect::<Vec<_>>(),
        "fill": map.squares.iter().map(|square| square.fill).collect::<Vec<_>>(),
    });
    // A name must not end the script that it stands in.
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replace("{{title}}", &escaped(title)).replace("{{data}}", &data)
}
