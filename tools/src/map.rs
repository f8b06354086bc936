//! A map of a file: what is known of each page, in squares.
//!
//! A file of many pages would make a picture that nobody can look at; then a square stands for several pages next to one another, and shows
//! the most remarkable of them. So memory is bounded, whatever the size of the file.

pub(crate) mod colours;
pub(crate) mod html;
pub(crate) mod png;
pub(crate) mod svg;

use std::collections::BTreeMap;

use dynamite_pager::{PAGE_SIZE, Page, PageId, PageKind, Problem};
use dynamite_txn::verify::Owner;

use crate::survey::Survey;

/// Squares of a map, at the most.
const SQUARES: u64 = 1 << 18;
/// Squares in a line of a text.
const TEXT_WIDTH: usize = 64;

/// What a page is. Of several in a square the last of these is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Free,
    Blank,
    Reserved,
    Header,
    Space,
    Run,
    Leaf,
    Inner,
    Other,
    Lost,
    Damaged,
}

impl Class {
    pub(crate) const ALL: [Class; 11] = [
        Class::Free,
        Class::Blank,
        Class::Reserved,
        Class::Header,
        Class::Space,
        Class::Run,
        Class::Leaf,
        Class::Inner,
        Class::Other,
        Class::Lost,
        Class::Damaged,
    ];

    /// What a page says of itself.
    pub(crate) fn of(page: &Page) -> Class {
        match page.kind() {
            PageKind::HEADER => Class::Header,
            PageKind::SPACE_ROOT | PageKind::SPACE_MAP => Class::Space,
            kind => match dynamite_bptree::kind_name(kind) {
                Some("leaf") => Class::Leaf,
                Some("inner node") => Class::Inner,
                Some(_) => Class::Run,
                None => Class::Other,
            },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Free => "free",
            Class::Blank => "blank",
            Class::Reserved => "space map, or kept for it",
            Class::Header => "header",
            Class::Space => "free space",
            Class::Run => "overflow",
            Class::Leaf => "leaf",
            Class::Inner => "inner node",
            Class::Other => "unknown",
            Class::Lost => "lost",
            Class::Damaged => "damaged",
        }
    }

    pub(crate) fn letter(self) -> char {
        match self {
            Class::Free => '.',
            Class::Blank => '_',
            Class::Reserved => ',',
            Class::Header => 'H',
            Class::Space => 'S',
            Class::Run => 'o',
            Class::Leaf => 'l',
            Class::Inner => 'i',
            Class::Other => '?',
            Class::Lost => 'x',
            Class::Damaged => '!',
        }
    }
}

/// A square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Square {
    pub(crate) class: Class,
    /// Which of the map's owners it belongs to, if to any.
    pub(crate) owner: Option<u16>,
    pub(crate) birth: u64,
    /// Per cent of its bytes that are used.
    pub(crate) fill: u8,
}

/// What is known of each page.
#[derive(Debug)]
pub(crate) struct FileMap {
    pub(crate) page_count: u64,
    /// Pages for which a square stands.
    pub(crate) pages_per_square: u64,
    pub(crate) squares: Vec<Square>,
    /// The trees, by the numbers in the squares, with their names.
    pub(crate) owners: Vec<String>,
    numbers: BTreeMap<Owner, u16>,
    counts: [u64; Class::ALL.len()],
}

impl FileMap {
    /// A map on which nothing is known.
    pub(crate) fn new(page_count: u64) -> FileMap {
        let pages_per_square = page_count.div_ceil(SQUARES).max(1);
        let nothing = Square { class: Class::Free, owner: None, birth: 0, fill: 0 };
        let squares = vec![nothing; page_count.div_ceil(pages_per_square) as usize];
        let (owners, numbers) = (Vec::new(), BTreeMap::new());
        FileMap { page_count, pages_per_square, squares, owners, numbers, counts: [0; Class::ALL.len()] }
    }

    /// A page of a tree.
    pub(crate) fn page(&mut self, owner: Owner, page: &Page, used: usize) {
        // More trees than that are not told apart by colour anyway.
        let next = self.numbers.len().min(u16::MAX.into()) as u16;
        let number = *self.numbers.entry(owner).or_insert(next);
        let fill = (used * 100 / PAGE_SIZE) as u8;
        let square = Square { class: Class::of(page), owner: Some(number), birth: page.birth().0, fill };
        self.put(page.id(), square);
    }

    /// A page by itself.
    pub(crate) fn alone(&mut self, id: PageId, class: Class, page: &Page) {
        self.put(id, Square { class, owner: None, birth: page.birth().0, fill: 100 });
    }

    fn put(&mut self, id: PageId, square: Square) {
        if u64::from(id.0) >= self.page_count {
            return;
        }
        self.counts[square.class as usize] += 1;
        let at = &mut self.squares[(u64::from(id.0) / self.pages_per_square) as usize];
        if square.class >= at.class {
            *at = square;
        }
    }

    /// Adds what is known of the other pages when all trees have been walked: headers, free ones, lost and damaged ones.
    pub(crate) fn complete(&mut self, survey: &Survey) {
        let plain = |class| Square { class, owner: None, birth: 0, fill: 100 };
        (0..2).for_each(|id| self.put(PageId(id), plain(Class::Header)));
        for extent in &survey.free {
            extent.pages().for_each(|id| self.put(id, Square { fill: 0, ..plain(Class::Free) }));
        }
        for found in &survey.found {
            let class =
                if matches!(found.finding.problem, Problem::Lost) { Class::Lost } else { Class::Damaged };
            let pages = found.finding.pages.into_iter().flat_map(|extent| extent.pages());
            // Where several things are wrong with a page it counts once.
            for id in pages {
                let at = (u64::from(id.0) / self.pages_per_square) as usize;
                if self.squares.get(at).is_some_and(|square| square.class != class) {
                    self.put(id, plain(class));
                }
            }
        }
        let rest = self.page_count.saturating_sub(self.counts.iter().sum());
        // What belongs to nobody and is not lost are the places of the space map, and its root.
        self.counts[Class::Reserved as usize] += rest;
        if self.pages_per_square == 1 {
            let free: std::collections::HashSet<u64> =
                survey.free.iter().flat_map(|extent| extent.pages()).map(|id| u64::from(id.0)).collect();
            for (id, square) in (0..).zip(&mut self.squares) {
                if square.class == Class::Free && !free.contains(&id) {
                    *square = plain(Class::Reserved);
                }
            }
        }
        self.owners = vec![String::new(); self.numbers.len()];
        for (owner, number) in &self.numbers {
            self.owners[usize::from(*number)] = survey.name(*owner);
        }
    }

    /// The classes that there are, and how many pages are of each.
    pub(crate) fn counts(&self) -> Vec<(Class, u64)> {
        let counts = Class::ALL.into_iter().zip(self.counts);
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// A letter for each square, in lines that begin with the number of their first page.
    pub(crate) fn text(&self) -> Vec<String> {
        let lines = self.squares.chunks(TEXT_WIDTH).zip((0..).step_by(TEXT_WIDTH));
        lines
            .map(|(squares, first)| {
                let letters: String = squares.iter().map(|square| square.class.letter()).collect();
                format!("{:>10}  {letters}", first as u64 * self.pages_per_square)
            })
            .collect()
    }

    /// Squares in a row of a picture: about as many as there are rows.
    pub(crate) fn width(&self) -> usize {
        let side = (self.squares.len() as f64).sqrt().ceil() as usize;
        side.next_multiple_of(16).max(16)
    }
}
