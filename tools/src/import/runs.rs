//! Items out of order, more than the memory holds: sorted runs in files, which are merged when all of them are there.
//!
//! # A record
//!
//! Integers are little-endian. The files are read by the import that wrote them, or by the one that goes on with it.
//!
//! ```text
//! size  field      meaning
//! ----  ---------  -----------------------------------------
//!    4  order_len  bytes of the item's place in the order
//!    4  item_len   bytes of the item
//!    4  file       which file of the input it is from
//!    8  line       the line that it begins on
//!       order, item
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use dynamite_core::api::EncodedItem;

use crate::import::parse::Entry;
use crate::transfer::error::{Result, TransferError};

const HEADER_LEN: usize = 20;

/// Bytes of a file that are read at a time.
const READ_LEN: usize = 128 << 10;

/// The files of the runs, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    paths: Vec<PathBuf>,
}

impl Runs {
    /// Runs that were written before.
    pub(crate) fn restored(paths: Vec<PathBuf>) -> Runs {
        Runs { paths }
    }

    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Writes entries that are in order as one more run, which is on the disk then. `beside` is what its name begins with.
    pub(crate) fn add(&mut self, beside: &Path, entries: &[Entry]) -> Result<()> {
        let path = path_of(beside, self.paths.len());
        let write = || {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            entries.iter().try_for_each(|entry| write_record(&mut file, entry))?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        };
        write().map_err(TransferError::io("writing", &path))?;
        self.paths.push(path);
        Ok(())
    }

    /// The entries of all runs in order, from behind a place in it on; those of one place in the order of the runs.
    pub(crate) fn merged(&self, after: Option<Vec<u8>>) -> Result<Merged<'_>> {
        let mut merged = Merged { runs: Vec::new(), heads: BinaryHeap::new(), after };
        for (nth, path) in self.paths.iter().enumerate() {
            let file = File::open(path).map_err(TransferError::io("opening", path))?;
            merged.runs.push((path, BufReader::with_capacity(READ_LEN, file)));
            merged.advance(nth)?;
        }
        Ok(merged)
    }

    /// Removes what lies behind these: what another import has left, or one that was ended before it could say that it was there, or was not needed
    /// any more.
    pub(crate) fn remove_strays(&self, beside: &Path) -> Result<()> {
        let paths = (self.len()..).map(|nth| path_of(beside, nth)).take_while(|path| path.exists());
        Runs { paths: paths.collect() }.remove()
    }

    /// Removes the files.
    pub(crate) fn remove(&mut self) -> Result<()> {
        for path in self.paths.drain(..) {
            fs::remove_file(&path).map_err(TransferError::io("removing", &path))?;
        }
        Ok(())
    }
}

fn path_of(beside: &Path, nth: usize) -> PathBuf {
    let mut name = beside.as_os_str().to_owned();
    name.push(format!(".run-{nth}"));
    name.into()
}

/// Entries of several runs, in order.
pub(crate) struct Merged<'r> {
    runs: Vec<(&'r Path, BufReader<File>)>,
    heads: BinaryHeap<Reverse<Head>>,
    after: Option<Vec<u8>>,
}

/// The next entry of a run.
struct Head {
    entry: Entry,
    run: usize,
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        (&self.entry.order, self.run).cmp(&(&other.entry.order, other.run))
    }
}

impl Merged<'_> {
    /// The place of the next entry.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|Reverse(head)| &head.entry.order[..])
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let Some(Reverse(Head { entry, run })) = self.heads.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(entry))
    }

    /// Reads the next entry of a run that is wanted.
    fn advance(&mut self, run: usize) -> Result<()> {
        let (path, file) = &mut self.runs[run];
        loop {
            let record = read_record(file).map_err(TransferError::io("reading", path))?;
            let Some(entry) = record else { return Ok(()) };
            if self.after.as_ref().is_none_or(|after| entry.order > *after) {
                self.heads.push(Reverse(Head { entry, run }));
                return Ok(());
            }
        }
    }
}

fn write_record(file: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let Entry { item, order, file: number, line } = entry;
    let len = |len: usize| u32::try_from(len).map_err(io::Error::other);
    file.write_all(&len(order.len())?.to_le_bytes())?;
    file.write_all(&len(item.as_bytes().len())?.to_le_bytes())?;
    file.write_all(&len(*number)?.to_le_bytes())?;
    file.write_all(&line.to_le_bytes())?;
    file.write_all(order)?;
    file.write_all(item.as_bytes())
}

/// The next record of a file, or `None` at its end.
fn read_record(file: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut header = [0; HEADER_LEN];
    let mut filled = 0;
    while filled < HEADER_LEN {
        match file.read(&mut header[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => filled += len,
        }
    }
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("it has four bytes"));
    let line = u64::from_le_bytes(header[12..].try_into().expect("it has eight bytes"));
    let bytes = |file: &mut dyn Read, len: u32| {
        let mut bytes = Vec::new();
        file.take(u64::from(len)).read_to_end(&mut bytes)?;
        if bytes.len() == len as usize {
            Ok(bytes)
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        }
    };
    let order = bytes(file, number(0))?;
    let item = EncodedItem::new(bytes(file, number(4))?).map_err(io::Error::other)?;
    Ok(Some(Entry { item, order, file: number(8) as usize, line }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(order: u8, line: u64) -> Entry {
        let item = EncodedItem::of(json!({"id": order, "line": line})).expect("it is an item");
        Entry { item, order: vec![order], file: 3, line }
    }

    #[test]
    fn runs_come_back_merged_and_in_the_order_of_the_input() {
        let directory = tempfile::tempdir().expect("a directory");
        let beside = directory.path().join("input");
        let mut runs = Runs::default();
        for entries in [vec![entry(1, 1), entry(5, 2)], vec![], vec![entry(0, 3), entry(1, 4), entry(9, 5)]] {
            runs.add(&beside, &entries).expect("there is room");
        }
        let all = |runs: &Runs, after: Option<Vec<u8>>| {
            let mut merged = runs.merged(after).expect("they can be read");
            let mut found = Vec::new();
            while let Some(entry) = merged.next().expect("they can be read") {
                assert_eq!(
                    (entry.file, entry.item.clone()),
                    (3, self::entry(entry.order[0], entry.line).item)
                );
                found.push((entry.order[0], entry.line));
            }
            found
        };
        assert_eq!(all(&runs, None), [(0, 3), (1, 1), (1, 4), (5, 2), (9, 5)]);
        assert_eq!(all(&runs, Some(vec![1])), [(5, 2), (9, 5)]);
        let restored = Runs::restored(runs.paths().to_vec());
        assert_eq!(all(&restored, Some(vec![5])), [(9, 5)]);
        // A file that is cut is no end.
        let last = &runs.paths()[2];
        let len = fs::metadata(last).expect("it is there").len();
        File::options().write(true).open(last).and_then(|file| file.set_len(len - 1)).expect("it can be cut");
        assert!(runs.merged(Some(vec![5])).is_err());
        runs.remove().expect("they are there");
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
    }
}
