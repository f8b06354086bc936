//! The medium of the simulated disk: what is flushed, what is only written, and what a power cut makes of that.
//!
//! What is visible is the flushed image plus all unflushed changes in order. What survives a power cut is the flushed
//! image plus a subset of the unflushed changes, each write torn into pieces of 8 bytes. Where several unflushed
//! writes hit one page, each of its pieces may come from any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::PageId;

/// What the medium keeps or loses as a whole.
const PIECE_SIZE: usize = 8;
const PIECES: usize = PAGE_SIZE / PIECE_SIZE;

/// What a power cut does to one unflushed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// As if it had never been made.
    Lost,
    /// It is on the medium.
    Kept,
    /// Of a write, each piece of 8 bytes is kept or lost; the seed says which. A change of the file's length is either
    /// kept or lost.
    Torn(u64),
}

/// Something that was done to the file and is durable only once flushed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(PageId, Arc<Page>),
    /// The file is at least this many bytes long.
    Grow(u64),
    /// The file is at most this many bytes long.
    Cut(u64),
}

/// What is known of a change that is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// The next flush makes it durable.
    Completed,
    /// It was under way when the machine stopped.
    InFlight,
    /// A flush of it failed, so no later one vouches for it.
    Unknown,
}

/// A file's length and contents. Pages that were never written are zeros.
#[derive(Clone, Default)]
struct Image {
    len_bytes: u64,
    pages: BTreeMap<u32, Arc<Page>>,
}

impl Image {
    fn holds(&self, id: PageId) -> bool {
        id.offset() + PAGE_SIZE as u64 <= self.len_bytes
    }

    fn page(&self, id: PageId) -> Page {
        self.pages.get(&id.0).map_or_else(Page::zeroed, |page| Page::clone(page))
    }

    fn apply(&mut self, change: &Change, fate: Fate) {
        match (change, fate) {
            (_, Fate::Lost) => {}
            (Change::Write(id, page), Fate::Kept) => {
                self.pages.insert(id.0, page.clone());
            }
            (Change::Write(id, page), _) => {
                let mut mixed = self.page(*id);
                fate.tear(&mut mixed, page);
                self.pages.insert(id.0, Arc::new(mixed));
            }
            (Change::Grow(bytes), _) if fate.keeps(0) => self.len_bytes = self.len_bytes.max(*bytes),
            (Change::Cut(bytes), _) if fate.keeps(0) => self.cut(*bytes),
            (Change::Grow(_) | Change::Cut(_), _) => {}
        }
    }

    fn cut(&mut self, bytes: u64) {
        self.len_bytes = self.len_bytes.min(bytes);
        self.pages.retain(|id, _| PageId(*id).offset() < self.len_bytes);
    }

    /// Forgets pages whose growth did not survive.
    fn cut_to_length(mut self) -> Image {
        self.cut(self.len_bytes);
        self
    }
}

/// A medium and what is on its way to it.
#[derive(Clone, Default)]
pub(crate) struct Medium {
    durable: Image,
    unflushed: Vec<(Change, Certainty)>,
    visible: Image,
}

impl Medium {
    fn of(image: Image) -> Medium {
        Medium { visible: image.clone(), durable: image, unflushed: Vec::new() }
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.visible.len_bytes
    }

    /// The page as a read would return it, unless it lies beyond the end.
    pub(crate) fn page(&self, id: PageId) -> Option<Page> {
        self.visible.holds(id).then(|| self.visible.page(id))
    }

    /// A change that has completed.
    pub(crate) fn make(&mut self, change: Change) {
        self.push(change, Certainty::Completed);
    }

    /// A change that was under way when the machine stopped.
    pub(crate) fn begin(&mut self, change: Change) {
        self.push(change, Certainty::InFlight);
    }

    /// A write that failed: what is there now is a matter of the seed.
    pub(crate) fn make_partly(&mut self, id: PageId, page: &Page, seed: u64) {
        let mut mixed = self.visible.page(id);
        Fate::of_any_kind(&mut Random(seed)).tear(&mut mixed, page);
        self.make(Change::Write(id, Arc::new(mixed)));
    }

    fn push(&mut self, change: Change, certainty: Certainty) {
        if let Change::Write(id, _) = &change
            && !self.visible.holds(*id)
        {
            self.push(Change::Grow(id.offset() + PAGE_SIZE as u64), certainty);
        }
        if certainty == Certainty::Completed {
            self.visible.apply(&change, Fate::Kept);
        }
        self.unflushed.push((change, certainty));
    }

    pub(crate) fn flush(&mut self) {
        let mut unknown: Vec<(Change, Certainty)> = Vec::new();
        for (change, certainty) in self.unflushed.drain(..) {
            if certainty != Certainty::Completed {
                unknown.push((change, certainty));
                continue;
            }
            // What is durable now lies on top of whatever became of earlier changes in the same place.
            unknown.retain(|(earlier, _)| match (earlier, &change) {
                (Change::Write(earlier, _), Change::Write(later, _)) => earlier != later,
                (Change::Write(..), _) | (_, Change::Write(..)) => true,
                _ => false,
            });
            self.durable.apply(&change, Fate::Kept);
        }
        self.unflushed = unknown;
    }

    /// From now on nothing is known of the changes that should have been flushed.
    pub(crate) fn fail_flush(&mut self) {
        for (_, certainty) in &mut self.unflushed {
            *certainty = Certainty::Unknown;
        }
    }

    /// Shows what became of changes whose flush failed.
    pub(crate) fn drop_cache(&mut self, seed: u64) {
        let mut random = Random(seed);
        for (change, certainty) in std::mem::take(&mut self.unflushed) {
            match certainty {
                Certainty::Unknown => self.durable.apply(&change, Fate::of_any_kind(&mut random)),
                _ => self.unflushed.push((change, certainty)),
            }
        }
        let all = vec![Fate::Kept; self.unflushed.len()];
        self.durable = std::mem::take(&mut self.durable).cut_to_length();
        self.visible = self.survivors(&all);
    }

    /// Changes that a power cut may undo.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed.len()
    }

    /// The medium after a power cut with the given outcome.
    pub(crate) fn after(&self, survivals: &[Survival]) -> Medium {
        assert_eq!(survivals.len(), self.unflushed.len(), "one outcome per unflushed change");
        Medium::of(self.survivors(&survivals.iter().copied().map(Fate::from).collect::<Vec<_>>()))
    }

    /// The medium after a power cut whose outcome the seed chooses; see [`Fate::of_all`].
    pub(crate) fn after_power_loss(&self, seed: u64) -> Medium {
        Medium::of(self.survivors(&Fate::of_all(self.unflushed.len(), seed)))
    }

    fn survivors(&self, fates: &[Fate]) -> Image {
        let mut image = self.durable.clone();
        for ((change, _), fate) in self.unflushed.iter().zip(fates) {
            image.apply(change, *fate);
        }
        image.cut_to_length()
    }

    /// The medium after the process died: what was in flight completes or not, and nothing is flushed.
    pub(crate) fn after_kill(&self, seed: u64) -> Medium {
        let mut random = Random(seed);
        let mut medium =
            Medium { durable: self.durable.clone(), visible: self.visible.clone(), unflushed: Vec::new() };
        for (change, certainty) in self.unflushed.iter().cloned() {
            match certainty {
                Certainty::InFlight if random.below(2) == 0 => {}
                Certainty::InFlight => medium.make(change),
                _ => medium.unflushed.push((change, certainty)),
            }
        }
        medium.visible = medium.visible.cut_to_length();
        medium
    }

    /// Every copy of the page, however durable.
    fn copies(&mut self, id: PageId) -> impl Iterator<Item = &mut Arc<Page>> {
        let unflushed = self.unflushed.iter_mut().filter_map(move |(change, _)| match change {
            Change::Write(place, page) if *place == id => Some(page),
            _ => None,
        });
        let images = [&mut self.durable, &mut self.visible];
        images
            .into_iter()
            .map(move |image| image.pages.entry(id.0).or_insert_with(|| Arc::new(Page::zeroed())))
            .chain(unflushed)
    }

    /// Lets a bit rot, wherever the page stands.
    pub(crate) fn flip_bit(&mut self, id: PageId, bit: usize) {
        for copy in self.copies(id) {
            Arc::make_mut(copy).bytes_mut()[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Puts other bytes there, durably.
    pub(crate) fn set_page(&mut self, id: PageId, page: &Page) {
        let page = Arc::new(page.clone());
        for copy in self.copies(id) {
            *copy = page.clone();
        }
    }

    /// Makes the file so long, durably.
    pub(crate) fn set_len_bytes(&mut self, bytes: u64) {
        self.unflushed.retain(|(change, _)| match change {
            Change::Write(id, _) => id.offset() < bytes,
            Change::Grow(_) | Change::Cut(_) => false,
        });
        for image in [&mut self.durable, &mut self.visible] {
            image.cut(bytes);
            image.len_bytes = bytes;
        }
    }
}

/// Which pieces of a change survive.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Kept,
    /// Pieces by chance.
    Torn(u64),
    /// The pieces before this one.
    Prefix(usize),
    /// This piece and those after it.
    Suffix(usize),
}

impl From<Survival> for Fate {
    fn from(survival: Survival) -> Fate {
        match survival {
            Survival::Lost => Fate::Lost,
            Survival::Kept => Fate::Kept,
            Survival::Torn(seed) => Fate::Torn(seed),
        }
    }
}

impl Fate {
    /// The outcome of a power cut for many changes. The seeds below 8 see each style once; the others go on without
    /// the first two, which have but one outcome.
    fn of_all(count: usize, seed: u64) -> Vec<Fate> {
        let mut random = Random(seed);
        let chosen = random.below(count.max(1));
        let style = if seed < 2 { seed } else { 2 + (seed - 2) % 6 };
        let fate = |index: usize| match style {
            0 => Fate::Lost,
            1 => Fate::Kept,
            2 => [Fate::Lost, Fate::Kept][random.below(2)],
            3 => Fate::Torn(random.next()),
            4 => [Fate::Prefix(random.below(PIECES)), Fate::Suffix(random.below(PIECES))][random.below(2)],
            5 if index == chosen => Fate::Lost,
            5 => Fate::Kept,
            6 if index == chosen => Fate::Kept,
            6 => Fate::Lost,
            _ => Fate::of_any_kind(&mut random),
        };
        (0..count).map(fate).collect()
    }

    fn of_any_kind(random: &mut Random) -> Fate {
        let piece = random.below(PIECES);
        [Fate::Lost, Fate::Kept, Fate::Torn(random.next()), Fate::Prefix(piece), Fate::Suffix(piece)]
            [random.below(5)]
    }

    /// Whether the piece survives. A change of length is a piece 0.
    fn keeps(self, piece: usize) -> bool {
        match self {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Torn(seed) => {
                // A half, or all but a few, or only a few: a check that misses one field shows in the second only.
                let kept_of_256 = [128, 254, 2][Random(seed).below(3)];
                Random(seed ^ ((piece as u64 + 1) << 32)).below(256) < kept_of_256
            }
            Fate::Prefix(end) => piece < end,
            Fate::Suffix(start) => piece >= start,
        }
    }

    /// Overwrites those pieces of `page` that survive with those of `written`.
    fn tear(self, page: &mut Page, written: &Page) {
        let pieces =
            page.bytes_mut().chunks_exact_mut(PIECE_SIZE).zip(written.bytes().chunks_exact(PIECE_SIZE));
        for (index, (piece, written)) in pieces.enumerate() {
            if self.keeps(index) {
                piece.copy_from_slice(written);
            }
        }
    }
}

/// SplitMix64: small, seeded, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
