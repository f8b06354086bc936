//! The colours of a map: a palette, and for each square a place in it.

use crate::dump::map::By;
use crate::map::{Class, FileMap, Square};

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// Steps of a scale.
const STEPS: usize = 64;

/// A palette, and what its colours mean.
#[derive(Debug)]
pub(crate) struct Colours {
    /// At most 256 of them.
    pub(crate) palette: Vec<Colour>,
    /// The places in the palette that a legend names.
    pub(crate) legend: Vec<(usize, String)>,
    by: By,
    /// The births of the map, ascending: those by which it is divided into steps.
    births: Vec<u64>,
}

/// The colour of a class.
pub(crate) fn of_class(class: Class) -> Colour {
    match class {
        Class::Free => [0xee, 0xee, 0xee],
        Class::Blank => [0xfa, 0xfa, 0xfa],
        Class::Reserved => [0xd0, 0xd0, 0xd8],
        Class::Header => [0x22, 0x22, 0x22],
        Class::Space => [0x90, 0x90, 0xa8],
        Class::Run => [0x7f, 0xb8, 0x6f],
        Class::Leaf => [0x4a, 0x90, 0xc8],
        Class::Inner => [0xe0, 0xa0, 0x30],
        Class::Other => [0x80, 0x60, 0x60],
        Class::Lost => [0xb0, 0x50, 0xc0],
        Class::Damaged => [0xd8, 0x10, 0x20],
    }
}

/// The colour of the tree of a number: hues that are far apart follow one another.
pub(crate) fn of_owner(number: usize) -> Colour {
    let hue = (number as f64 * 0.618_034).fract() * 6.0;
    let part = |shift: f64| {
        let distance = ((hue + shift) % 6.0 - 3.0).abs() - 1.0;
        (60.0 + 160.0 * distance.clamp(0.0, 1.0)) as u8
    };
    [part(0.0), part(4.0), part(2.0)]
}

/// The colour of a step of a scale that goes from one colour to another.
fn between(from: Colour, to: Colour, step: usize) -> Colour {
    let mixed = |from: u8, to: u8| {
        let (from, to, step) = (i64::from(from), i64::from(to), step as i64);
        (from + (to - from) * step / (STEPS as i64 - 1)) as u8
    };
    std::array::from_fn(|part| mixed(from[part], to[part]))
}

const OLD: Colour = [0x20, 0x30, 0x70];
const NEW: Colour = [0xf8, 0xd0, 0x30];
const EMPTY: Colour = [0xd8, 0x50, 0x40];
const FULL: Colour = [0x30, 0x98, 0x50];

impl Colours {
    /// The colours in which a map shows this.
    pub(crate) fn of(map: &FileMap, by: By) -> Colours {
        let classes = Class::ALL.map(of_class);
        let mut palette = classes.to_vec();
        let mut legend: Vec<(usize, String)> =
            map.counts().into_iter().map(|(class, _)| (class as usize, class.name().to_owned())).collect();
        let mut births = Vec::new();
        let is_of_a_tree =
            |at: &(usize, String)| !matches!(Class::ALL[at.0], Class::Leaf | Class::Inner | Class::Run);
        match by {
            By::Kind => {}
            By::Table => {
                legend.retain(is_of_a_tree);
                let owners = map.owners.iter().take(256 - palette.len()).enumerate();
                legend.extend(owners.map(|(nth, name)| (classes.len() + nth, name.clone())));
                palette.extend((0..map.owners.len().min(256 - classes.len())).map(of_owner));
            }
            By::Age | By::Fill => {
                legend.retain(is_of_a_tree);
                let (from, to, texts) = match by {
                    By::Age => (OLD, NEW, ["oldest", "newest"]),
                    _ => (EMPTY, FULL, ["empty", "full"]),
                };
                palette.extend((0..STEPS).map(|step| between(from, to, step)));
                let ends = [classes.len(), classes.len() + STEPS - 1];
                legend.extend(ends.into_iter().zip(texts.map(str::to_owned)));
                births =
                    map.squares.iter().filter(|square| square.owner.is_some()).map(|s| s.birth).collect();
                births.sort_unstable();
                births.dedup();
            }
        }
        Colours { palette, legend, by, births }
    }

    /// The place in the palette of a square's colour.
    pub(crate) fn place(&self, square: &Square) -> usize {
        let classes = Class::ALL.len();
        match (self.by, square.owner) {
            (By::Kind, _) | (_, None) => square.class as usize,
            // Those beyond the end of the palette share its last colour.
            (By::Table, Some(owner)) => (classes + usize::from(owner)).min(self.palette.len() - 1),
            (By::Age, Some(_)) => {
                let rank = self.births.partition_point(|birth| *birth < square.birth);
                classes + rank * (STEPS - 1) / self.births.len().saturating_sub(1).max(1)
            }
            (By::Fill, Some(_)) => classes + usize::from(square.fill.min(100)) * (STEPS - 1) / 100,
        }
    }
}

/// A colour as the web writes it.
pub(crate) fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
