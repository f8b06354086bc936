//! What is imported: a file, the standard input, or the data files of an export of DynamoDB's.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::import::Arguments;
use crate::transfer::chunk::{Chunk, Place, cut_lines, cut_records, read_headings};
use crate::transfer::columns::Columns;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::format::Format;
use crate::transfer::s3_export::{self, DataFile};

/// The files, one after the other.
pub(crate) struct Input {
    format: Format,
    types: Vec<String>,
    files: Vec<Source>,
}

struct Source {
    /// `None` is the standard input.
    path: Option<PathBuf>,
    /// Bytes, if that is known.
    len: Option<u64>,
    /// What its export says of it.
    described: Option<DataFile>,
}

/// A place in the input: a file, counted from 0, and a place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) file: usize,
    pub(crate) place: Place,
}

/// A piece of a file.
pub(crate) struct Piece {
    pub(crate) file: usize,
    pub(crate) chunk: Chunk,
}

impl Input {
    pub(crate) fn open(arguments: &Arguments, format: Format) -> Result<Input> {
        let path = &arguments.input;
        let files = if path == Path::new("-") {
            vec![Source { path: None, len: None, described: None }]
        } else if path.is_dir() {
            if format != Format::Dynamodb {
                return Err(TransferError::Refused(format!("{} is a directory", path.display())));
            }
            let manifest = s3_export::read(path)?;
            let counted: u64 = manifest.files.iter().map(|file| file.item_count).sum();
            if counted != manifest.item_count {
                let reason =
                    format!("the files have {counted} items, the summary says {}", manifest.item_count);
                return Err(TransferError::Input { place: path.display().to_string(), reason });
            }
            manifest.files.into_iter().map(described).collect::<Result<Vec<_>>>()?
        } else {
            let len = std::fs::metadata(path).map_err(TransferError::io("opening", path))?.len();
            vec![Source { path: Some(path.clone()), len: Some(len), described: None }]
        };
        Ok(Input { format, types: arguments.types.clone(), files })
    }

    /// What a place is called in messages.
    pub(crate) fn name(&self, file: usize) -> String {
        let path = self.files.get(file).and_then(|source| source.path.as_ref());
        path.map_or_else(|| "the standard input".to_owned(), |path| path.display().to_string())
    }

    /// Bytes of all files, if that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.files.iter().map(|source| source.len).sum()
    }

    /// About so many of these bytes stand before a place.
    pub(crate) fn len_before(&self, at: At) -> u64 {
        let before: u64 = self.files.iter().take(at.file).filter_map(|source| source.len).sum();
        let Some(source) = self.files.get(at.file) else { return before };
        // Of a compressed file nobody knows.
        let within =
            if source.is_compressed() { 0 } else { at.place.offset.min(source.len.unwrap_or(u64::MAX)) };
        before + within
    }

    /// Cuts the files into pieces, from a place on.
    pub(crate) fn cut(&self, start: At, mut push: impl FnMut(Piece) -> bool) -> Result<()> {
        for (file, source) in self.files.iter().enumerate().skip(start.file) {
            let place = if file == start.file { start.place } else { Place::default() };
            let name = self.name(file);
            if let Some(described) = source.described.as_ref().filter(|_| place == Place::default())
                && s3_export::md5_of(&described.path)? != described.md5
            {
                let reason = "its MD5 is not the one that the manifest says".to_owned();
                return Err(TransferError::Input { place: name, reason });
            }
            let mut wanted = true;
            let mut hand_on = |chunk| {
                wanted = push(Piece { file, chunk });
                wanted
            };
            self.cut_file(source, place, &mut hand_on).map_err(|error| match error {
                CutError::Headings(reason) => {
                    TransferError::Input { place: format!("{name}, line 1"), reason }
                }
                CutError::Io(error) => TransferError::Io {
                    what: "reading",
                    path: source.path.clone().unwrap_or_else(|| "the standard input".into()),
                    source: error,
                },
            })?;
            if !wanted {
                return Ok(());
            }
        }
        Ok(())
    }

    fn cut_file(
        &self,
        source: &Source,
        place: Place,
        push: &mut dyn FnMut(Chunk) -> bool,
    ) -> Result<(), CutError> {
        if self.format != Format::Csv {
            return Ok(cut_lines(source.open_at(place.offset)?, place, push)?);
        }
        let mut input = BufReader::new(source.open_at(0)?);
        let (headings, first) = read_headings(&mut input)?;
        let columns = Arc::new(Columns::of_headings(&headings, &self.types).map_err(CutError::Headings)?);
        if place.offset <= first.offset {
            return Ok(cut_records(input, &columns, first, push)?);
        }
        Ok(cut_records(source.open_at(place.offset)?, &columns, place, push)?)
    }
}

enum CutError {
    Headings(String),
    Io(io::Error),
}

impl From<io::Error> for CutError {
    fn from(error: io::Error) -> CutError {
        CutError::Io(error)
    }
}

fn described(file: DataFile) -> Result<Source> {
    let len = std::fs::metadata(&file.path).map_err(TransferError::io("opening", &file.path))?.len();
    Ok(Source { path: Some(file.path.clone()), len: Some(len), described: Some(file) })
}

impl Source {
    fn is_compressed(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.extension().is_some_and(|extension| extension == "gz"))
    }

    /// The file's content, behind so many bytes of it.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read>> {
        let Some(path) = &self.path else {
            let mut input = io::stdin().lock();
            skip(&mut input, offset)?;
            return Ok(Box::new(input));
        };
        let mut file = File::open(path)?;
        if self.is_compressed() {
            let mut content = MultiGzDecoder::new(BufReader::with_capacity(256 << 10, file));
            skip(&mut content, offset)?;
            return Ok(Box::new(BufReader::with_capacity(256 << 10, content)));
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

fn skip(input: &mut impl Read, len: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.by_ref().take(len), &mut io::sink())?;
    if skipped == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
