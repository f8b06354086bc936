//! The manifest: the list, inside a header, of the pages that its commit wrote.
//!
//! A single-flush commit issues its pages and its header together, so after a power cut the header may have
//! survived without some of the pages. The manifest lets the next open find out: it names every page of the
//! commit and the hash of what must stand there.
//!
//! The hash of an extent is xxHash64, seeded with the commit number, over the stored checksums (8 bytes each,
//! little-endian) of its pages in order. Together with checking each page against its own checksum that is as
//! strong as hashing the pages again, and commits hash each page once instead of twice.
//!
//! ```text
//! offset  size  field   meaning
//! ------  ----  ------  --------------------------------------
//!      0     4  first   page id of the extent's first page
//!      4     4  count   pages in the extent, at least 1
//!      8     8  hash    see above
//! ```

use xxhash_rust::xxh64::Xxh64;

use crate::disk::{Disk, PageRead};
use crate::error::{Corruption, IoOperation};
use crate::format::checksum::DatabaseSeed;
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId};

/// The most pages that a manifest names, and so the most that a single-flush commit writes (without the header).
/// Bounds what an open after a power cut has to read.
pub const MANIFEST_PAGES: usize = 240;

/// Bytes of an extent in the header.
pub(crate) const MANIFEST_ENTRY_SIZE: usize = 16;

/// Room for the extents of a small commit.
const EXTENTS_EXPECTED: usize = 8;

/// One extent of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ManifestEntry {
    pub(crate) extent: Extent,
    pub(crate) hash: u64,
}

/// What a commit wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest(Vec<ManifestEntry>);

impl Manifest {
    /// Lists the pages of a commit, at most [`MANIFEST_PAGES`]. They come in the order of their ids, finished: each says
    /// where it belongs, and its checksum is stamped.
    pub(crate) fn of<'a>(commit: Birth, pages: impl Iterator<Item = &'a Page>) -> Manifest {
        let mut manifest = Manifest(Vec::with_capacity(EXTENTS_EXPECTED));
        let mut rest = pages.peekable();
        let mut listed = 0;
        while let Some(first) = rest.peek().map(|page| page.id()) {
            let mut count = 0;
            let run = std::iter::from_fn(|| {
                let page =
                    rest.next_if(|page| u64::from(page.id().0) == u64::from(first.0) + u64::from(count))?;
                count += 1;
                Some(page)
            });
            let hash = hash(commit, run);
            listed += count as usize;
            manifest.0.push(ManifestEntry { extent: Extent { first, count }, hash });
        }
        assert!(listed <= MANIFEST_PAGES, "a single-flush commit of {listed} pages");
        manifest
    }

    /// Decodes the entries of a header whose checksum holds, and checks that they are possible.
    pub(crate) fn decode(entries: &[u8], page_count: u64) -> Result<Manifest, Corruption> {
        let impossible = |value: u64| Corruption::HeaderField { field: "manifest", value };
        let mut pages = 0;
        let mut end = 0;
        let mut manifest = Manifest::default();
        for entry in entries.chunks_exact(MANIFEST_ENTRY_SIZE) {
            let first = u32::from_le_bytes(entry[..4].try_into().expect("4 bytes"));
            let count = u32::from_le_bytes(entry[4..8].try_into().expect("4 bytes"));
            let hash = u64::from_le_bytes(entry[8..].try_into().expect("8 bytes"));
            let extent = Extent { first: PageId(first), count };
            pages += u64::from(count);
            if count == 0 || pages > MANIFEST_PAGES as u64 {
                return Err(impossible(u64::from(count)));
            }
            if first < 2 || u64::from(first) < end || extent.end() > page_count {
                return Err(impossible(u64::from(first)));
            }
            end = extent.end();
            manifest.0.push(ManifestEntry { extent, hash });
        }
        Ok(manifest)
    }

    /// The form in the header.
    pub(crate) fn encode(&self, into: &mut [u8]) {
        for (entry, bytes) in self.0.iter().zip(into.chunks_exact_mut(MANIFEST_ENTRY_SIZE)) {
            bytes[..4].copy_from_slice(&entry.extent.first.0.to_le_bytes());
            bytes[4..8].copy_from_slice(&entry.extent.count.to_le_bytes());
            bytes[8..].copy_from_slice(&entry.hash.to_le_bytes());
        }
    }

    /// Number of extents.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads every page of the commit and says which extent, if any, is not what the commit wrote.
    ///
    /// A page beyond the `file_pages` that the file has counts as not written: the length of the file is as volatile as
    /// its contents. Every failing read is returned, also one that ends early, since rolling back on it would
    /// undo an acknowledged commit.
    pub(crate) fn verify(
        &self,
        commit: Birth,
        seed: DatabaseSeed,
        disk: &dyn Disk,
        file_pages: u64,
    ) -> Result<Result<(), Corruption>, (IoOperation, std::io::Error)> {
        if let Some(entry) = self.0.iter().find(|entry| entry.extent.end() > file_pages) {
            return Ok(Err(Corruption::Manifest { commit, first: entry.extent.first }));
        }
        let ids: Vec<PageId> = self.0.iter().flat_map(|entry| entry.extent.pages()).collect();
        let mut pages = vec![Page::zeroed(); ids.len()];
        let mut reads: Vec<PageRead<'_>> =
            ids.iter().zip(&mut pages).map(|(&id, page)| PageRead { id, page, result: Ok(()) }).collect();
        disk.read_batch(&mut reads);
        for read in reads {
            read.result.map_err(|error| (IoOperation::Read(read.id), error))?;
        }
        let mut pages = pages.iter();
        for entry in &self.0 {
            let extent: Vec<&Page> = pages.by_ref().take(entry.extent.count as usize).collect();
            let whole =
                entry.extent.pages().zip(&extent).all(|(id, page)| seed.check_place(page, id).is_ok());
            if !whole || hash(commit, extent.into_iter()) != entry.hash {
                return Ok(Err(Corruption::Manifest { commit, first: entry.extent.first }));
            }
        }
        Ok(Ok(()))
    }
}

fn hash<'a>(commit: Birth, pages: impl Iterator<Item = &'a Page>) -> u64 {
    let mut hasher = Xxh64::new(commit.0);
    for page in pages {
        hasher.update(&page.checksum().to_le_bytes());
    }
    hasher.digest()
}
