//! An input, cut into pieces for workers: whole lines, or whole records of CSV.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use crate::transfer::columns::Columns;

/// Bytes of a piece, about.
const CHUNK_LEN: usize = 512 << 10;

/// Bytes of the longest line: more than the largest item has in any form.
const MAX_LINE: usize = 16 << 20;

/// A place in an input: behind whole lines or records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes before it, as they are read: of a compressed file, those that come out.
    pub(crate) offset: u64,
    /// Lines before it.
    pub(crate) line: u64,
}

/// A piece of an input.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) content: Content,
    /// Lines before it.
    pub(crate) line: u64,
    /// Where it ends.
    pub(crate) end: Place,
}

#[derive(Debug)]
pub(crate) enum Content {
    Lines(Vec<u8>),
    /// Each with the line that it begins on. Whether it is text is not known.
    Records {
        columns: Arc<Columns>,
        records: Vec<(u64, ByteRecord)>,
    },
}

/// Cuts an input into whole lines, from a place at which it stands already. Ends early if nobody wants more.
pub(crate) fn cut_lines(
    mut input: impl Read,
    mut place: Place,
    mut push: impl FnMut(Chunk) -> bool,
) -> io::Result<()> {
    let mut rest = Vec::new();
    loop {
        let mut text = std::mem::take(&mut rest);
        let begin = text.len();
        let is_end = input.by_ref().take(CHUNK_LEN as u64).read_to_end(&mut text)? < CHUNK_LEN;
        let whole = match text[begin..].iter().rposition(|&byte| byte == b'\n') {
            _ if is_end => text.len(),
            Some(at) => begin + at + 1,
            None => 0,
        };
        rest = text.split_off(whole);
        if rest.len() > MAX_LINE {
            let reason = format!("line {} has more than {MAX_LINE} bytes", place.line + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let line = place.line;
        place.offset += text.len() as u64;
        place.line += text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if !text.is_empty() && !push(Chunk { content: Content::Lines(text), line, end: place }) {
            return Ok(());
        }
        if is_end {
            return Ok(());
        }
    }
}

/// Reads the line of headings that CSV begins with. Returns it, and the place behind it.
pub(crate) fn read_headings(input: &mut impl BufRead) -> io::Result<(StringRecord, Place)> {
    // One record, and not a byte more: what follows is read by others.
    let text = read_record_text(input)?;
    let text = String::from_utf8(text).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "the headings are no UTF-8; convert the file to that")
    })?;
    let mut headings = StringRecord::new();
    let mut reader =
        ReaderBuilder::new().has_headers(false).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    reader.read_record(&mut headings)?;
    let line = text.lines().count() as u64;
    Ok((headings, Place { offset: text.len() as u64, line }))
}

/// Reads up to the end of a record, in any of its forms: `\n`, `\r\n`, or `\r` alone. Within quotes there may be some, too.
fn read_record_text(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let (mut text, mut is_quoted) = (Vec::new(), false);
    let mut is_end = |byte: &u8| {
        is_quoted ^= *byte == b'"';
        !is_quoted && matches!(byte, b'\n' | b'\r')
    };
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(&mut is_end);
        let len = end.map_or(bytes.len(), |at| at + 1);
        text.extend_from_slice(&bytes[..len]);
        input.consume(len);
        if end.is_some() || len == 0 {
            break;
        }
    }
    if text.ends_with(b"\r") && input.fill_buf()?.starts_with(b"\n") {
        text.push(b'\n');
        input.consume(1);
    }
    Ok(text)
}

/// Cuts CSV into whole records, from a place behind its headings at which it stands already.
pub(crate) fn cut_records(
    input: impl Read,
    columns: &Arc<Columns>,
    place: Place,
    mut push: impl FnMut(Chunk) -> bool,
) -> io::Result<()> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut line = place.line;
    loop {
        let (mut records, mut len) = (Vec::new(), 0);
        let first_line = line;
        while len < CHUNK_LEN {
            let mut record = ByteRecord::new();
            if !reader.read_byte_record(&mut record)? {
                break;
            }
            len += record.as_slice().len() + record.len();
            let begin = record.position().map_or(0, csv::Position::line);
            records.push((place.line + begin, record));
        }
        let position = reader.position();
        line = place.line + position.line() - 1;
        let end = Place { offset: place.offset + position.byte(), line };
        let is_end = len < CHUNK_LEN;
        let content = Content::Records { columns: columns.clone(), records };
        if !push(Chunk { content, line: first_line, end }) || is_end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long lines, short ones, an empty one and a last one without its end: together they are the input.
    #[test]
    fn lines_are_whole_and_none_is_lost() {
        let mut text = String::new();
        for number in 0..30_000 {
            text += &format!("{{\"line\": {number}, \"text\": \"{}\"}}\n", "x".repeat(number % 97));
        }
        text += &"y".repeat(3 * CHUNK_LEN);
        text += "\n\nlast";
        let (mut found, mut chunks, mut lines) = (Vec::new(), 0, 0);
        cut_lines(text.as_bytes(), Place::default(), |chunk| {
            let Content::Lines(bytes) = chunk.content else { panic!("these are lines") };
            assert_eq!(chunk.line, lines);
            assert!(bytes.ends_with(b"\n") || bytes.ends_with(b"last"));
            found.extend(bytes);
            (chunks, lines) = (chunks + 1, chunk.end.line);
            assert_eq!(chunk.end.offset, found.len() as u64);
            true
        })
        .expect("a text can be read");
        assert!(found == text.as_bytes() && chunks > 3, "{chunks}");
        assert_eq!(lines, 30_002);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let refused = cut_lines(io::repeat(b'x'), Place::default(), |_| true).expect_err("it does not end");
        assert!(refused.to_string().contains("line 1 has more than"), "{refused}");
    }

    /// Each byte comes by itself, so that none is taken of what follows.
    #[test]
    fn headings_end_with_their_line_whatever_ends_it() {
        for (end, rest) in [("\n", "x"), ("\r\n", "x"), ("\r", "x"), ("\r", "\rx"), ("\r\n", "\nx"), ("", "")]
        {
            for heading in ["id:S,b:N", "id:S,\"a\r\nb:N\""] {
                let text = format!("{heading}{end}{rest}");
                let mut input = io::BufReader::with_capacity(1, text.as_bytes());
                let (headings, place) = read_headings(&mut input).expect("it can be read");
                assert_eq!(
                    (headings.len(), place.offset),
                    (2, (heading.len() + end.len()) as u64),
                    "{text:?}"
                );
                let mut left = String::new();
                input.read_to_string(&mut left).expect("it can be read");
                assert_eq!(left, rest, "{text:?}");
            }
        }
    }

    #[test]
    fn records_begin_where_their_lines_do() {
        let text = "id:S,\"a\nb:N\"\nx,1\n\"two\nlines\",2\ny,3\n";
        let mut input = text.as_bytes();
        let (headings, place) = read_headings(&mut input).expect("it can be read");
        assert_eq!(headings, StringRecord::from(vec!["id:S", "a\nb:N"]));
        assert_eq!(place, Place { offset: 13, line: 2 });
        let columns = Arc::new(Columns::of_headings(&headings, &[]).expect("they are headings"));
        cut_records(input, &columns, place, |chunk| {
            let Content::Records { records, .. } = chunk.content else { panic!("these are records") };
            let begins: Vec<u64> = records.iter().map(|(line, _)| *line).collect();
            assert_eq!(begins, [3, 4, 6]);
            assert_eq!(chunk.end, Place { offset: text.len() as u64, line: 6 });
            true
        })
        .expect("it can be read");
    }
}
