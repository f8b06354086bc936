//! The one place that writes the stored form. It counts the size and checks the limits while it writes.
//!
//! Every value is written with the level that it is on; level 0 is the item itself, which only a map can be.

use std::ops::Range;

use super::cursor::{Cursor, ascends};
use super::layout::{self, NumberBody, put_header, put_varint, tag};
use crate::limits::{
    self, CONTAINER_SIZE, ELEMENT_SIZE, MAX_ITEM_SIZE, MAX_LEVELS, MAX_NAME_LEN, ValueError,
};
use crate::number::Number;
use crate::value::AttributeType;

/// Appends what `write` writes to a buffer, and returns the size of it as DynamoDB counts it. After an error the buffer
/// is as it was.
#[inline]
pub(super) fn encode_with(
    buffer: &mut Vec<u8>,
    write: impl FnOnce(&mut Encoder<'_>) -> Result<(), ValueError>,
) -> Result<usize, ValueError> {
    let start = buffer.len();
    let mut encoder = Encoder { buffer, size: 0 };
    match write(&mut encoder) {
        Ok(()) => Ok(encoder.size),
        Err(error) => {
            buffer.truncate(start);
            Err(error)
        }
    }
}

/// Appends values to a buffer.
pub(super) struct Encoder<'b> {
    buffer: &'b mut Vec<u8>,
    size: usize,
}

/// A map whose entries are being written. They may come in any order.
#[derive(Debug)]
pub(super) struct OpenMap {
    level: u32,
    /// Where the tag is to stand; in an item, the version.
    header: usize,
    /// Where the entries begin.
    body: usize,
    /// The last name: where it is in the buffer.
    name: (usize, usize),
    /// Whether each name was above the one before it.
    ascending: bool,
}

/// A list or set that is being written.
#[derive(Debug)]
pub(super) struct OpenList {
    tag: u8,
    level: u32,
    header: usize,
    /// The last member of a set: where it is in the buffer.
    member: (usize, usize),
}

/// Bytes that are kept free for the header of a body whose length is not known yet: most have 12 to 255 bytes.
const RESERVED_HEADER: usize = 2;

impl OpenMap {
    /// The level of the values in it.
    #[inline]
    pub(super) fn inner_level(&self) -> u32 {
        self.level + 1
    }
}

impl OpenList {
    /// The level of the values in it.
    #[inline]
    pub(super) fn inner_level(&self) -> u32 {
        self.level + 1
    }
}

impl<'b> Encoder<'b> {
    /// Goes on where an encoder of the same buffer had counted `size`.
    pub(super) fn resume(buffer: &'b mut Vec<u8>, size: usize) -> Self {
        Encoder { buffer, size }
    }

    /// The size so far, as DynamoDB counts it.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    pub(super) fn null(&mut self, level: u32) -> Result<(), ValueError> {
        check_level(level, AttributeType::Null)?;
        self.count(1)?;
        self.buffer.push(tag::NULL);
        Ok(())
    }

    #[inline]
    pub(super) fn boolean(&mut self, level: u32, value: bool) -> Result<(), ValueError> {
        check_level(level, AttributeType::Bool)?;
        self.count(1)?;
        self.buffer.push(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    #[inline]
    pub(super) fn string(&mut self, level: u32, text: &str) -> Result<(), ValueError> {
        check_level(level, AttributeType::S)?;
        self.encoded(tag::S, text.as_bytes(), text.len())
    }

    #[inline]
    pub(super) fn binary(&mut self, level: u32, bytes: &[u8]) -> Result<(), ValueError> {
        check_level(level, AttributeType::B)?;
        self.encoded(tag::B, bytes, bytes.len())
    }

    #[inline]
    pub(super) fn number(&mut self, level: u32, number: &Number) -> Result<(), ValueError> {
        check_level(level, AttributeType::N)?;
        let body = NumberBody::of(number);
        self.encoded(tag::N, body.as_bytes(), limits::number_size(number))
    }

    /// A value in its stored form: its tag and its body, which is known to be sound, and its size.
    #[inline]
    pub(super) fn encoded(&mut self, tag: u8, body: &[u8], size: usize) -> Result<(), ValueError> {
        self.count(size)?;
        put_header(self.buffer, tag, body.len());
        self.buffer.extend_from_slice(body);
        Ok(())
    }

    #[inline]
    pub(super) fn begin_map(&mut self, level: u32) -> Result<OpenMap, ValueError> {
        let header = self.buffer.len();
        if level == 0 {
            self.buffer.push(layout::VERSION);
        } else {
            check_level(level, AttributeType::M)?;
            self.count(CONTAINER_SIZE)?;
            self.buffer.extend_from_slice(&[0; RESERVED_HEADER]);
        }
        let body = self.buffer.len();
        Ok(OpenMap { level, header, body, name: (body, body), ascending: true })
    }

    /// The name of an entry, whose value is to be written next.
    #[inline]
    pub(super) fn name(&mut self, map: &mut OpenMap, name: &str) -> Result<(), ValueError> {
        if name.is_empty() {
            return Err(ValueError::EmptyName);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(ValueError::NameTooLong { len: name.len() });
        }
        self.count(name.len() + if map.level == 0 { 0 } else { ELEMENT_SIZE })?;
        map.ascending &= ascends(&self.buffer[map.name.0..map.name.1], name.as_bytes());
        put_varint(self.buffer, name.len());
        let start = self.buffer.len();
        self.buffer.extend_from_slice(name.as_bytes());
        map.name = (start, self.buffer.len());
        Ok(())
    }

    #[inline]
    pub(super) fn end_map(&mut self, map: OpenMap) -> Result<(), ValueError> {
        if !map.ascending {
            self.sort_entries(map.body)?;
        }
        if map.level > 0 {
            self.put_reserved_header(tag::M, map.header);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn begin_list(&mut self, level: u32) -> Result<OpenList, ValueError> {
        check_level(level, AttributeType::L)?;
        self.count(CONTAINER_SIZE)?;
        Ok(self.open_list(tag::L, level))
    }

    /// Announces that an element of a list is to be written next.
    #[inline]
    pub(super) fn element(&mut self) -> Result<(), ValueError> {
        self.count(ELEMENT_SIZE)
    }

    #[inline]
    pub(super) fn end_list(&mut self, list: OpenList) {
        self.put_reserved_header(list.tag, list.header);
    }

    /// Begins a set, whose tag says what its members are.
    pub(super) fn begin_set(&mut self, level: u32, tag: u8) -> Result<OpenList, ValueError> {
        check_level(level, set_type(tag))?;
        Ok(self.open_list(tag, level))
    }

    /// A member of a set of strings or binaries. Says whether it is above the one before it, as it must be.
    pub(super) fn member(&mut self, set: &mut OpenList, bytes: &[u8]) -> Result<bool, ValueError> {
        self.count(bytes.len())?;
        let before = &self.buffer[set.member.0..set.member.1];
        let above = self.is_empty(set) || before < bytes;
        self.put_member(set, bytes);
        Ok(above)
    }

    /// A member of a set of numbers. Says whether it is above the one before it, as it must be.
    pub(super) fn number_member(&mut self, set: &mut OpenList, number: &Number) -> Result<bool, ValueError> {
        self.count(limits::number_size(number))?;
        let before = layout::number(&self.buffer[set.member.0..set.member.1]);
        let above = self.is_empty(set) || before.is_some_and(|before| before < *number);
        self.put_member(set, NumberBody::of(number).as_bytes());
        Ok(above)
    }

    pub(super) fn end_set(&mut self, set: OpenList) -> Result<(), ValueError> {
        if self.is_empty(&set) {
            return Err(ValueError::EmptySet { set: set_type(set.tag) });
        }
        self.put_reserved_header(set.tag, set.header);
        Ok(())
    }

    #[inline]
    fn count(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.size += bytes;
        if self.size <= MAX_ITEM_SIZE { Ok(()) } else { Err(ValueError::ItemTooLarge { size: self.size }) }
    }

    #[inline]
    fn open_list(&mut self, tag: u8, level: u32) -> OpenList {
        let header = self.buffer.len();
        self.buffer.extend_from_slice(&[0; RESERVED_HEADER]);
        OpenList { tag, level, header, member: (header, header) }
    }

    fn is_empty(&self, list: &OpenList) -> bool {
        self.buffer.len() == list.header + RESERVED_HEADER
    }

    fn put_member(&mut self, set: &mut OpenList, bytes: &[u8]) {
        put_varint(self.buffer, bytes.len());
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        set.member = (start, self.buffer.len());
    }

    /// Writes the header of a body that is complete and goes to the end of the buffer.
    #[inline]
    fn put_reserved_header(&mut self, tag: u8, header: usize) {
        let len = self.buffer.len() - header - RESERVED_HEADER;
        if (layout::MAX_SHORT + 1..=0xFF).contains(&len) {
            self.buffer[header] = tag | layout::LENGTH_1;
            self.buffer[header + 1] = len as u8;
        } else {
            self.move_body(tag, header, len);
        }
    }

    /// The same, where the header does not have the length that was kept free for it.
    fn move_body(&mut self, tag: u8, header: usize, len: usize) {
        let body = header + RESERVED_HEADER;
        if len <= layout::MAX_SHORT {
            self.buffer.copy_within(body.., header + 1);
            self.buffer.truncate(header + 1 + len);
            self.buffer[header] = tag | len as u8;
            return;
        }
        let (low, more): (u8, &[u8]) =
            if len <= 0xFFFF { (layout::LENGTH_2, &[0]) } else { (layout::LENGTH_3, &[0, 0]) };
        self.buffer.extend_from_slice(more);
        self.buffer.copy_within(body..body + len, body + more.len());
        self.buffer[header] = tag | low;
        self.buffer[header + 1..body + more.len()].copy_from_slice(&len.to_le_bytes()[..1 + more.len()]);
    }

    /// Brings the entries from `body` to the end of the buffer into the order of their names.
    fn sort_entries(&mut self, body: usize) -> Result<(), ValueError> {
        let unsorted = &self.buffer[body..];
        let mut entries = Vec::with_capacity(16);
        let mut cursor = Cursor::new(unsorted, unsorted.len());
        while !cursor.is_empty() {
            let start = cursor.offset();
            let name = cursor.name_bytes().expect("the encoder wrote a name");
            let prefix = prefix(name, &unsorted[cursor.offset() - name.len()..]);
            cursor.value().expect("the encoder wrote a value");
            entries.push(Entry { prefix, start: start as u32, end: cursor.offset() as u32 });
        }

        let name = |entry: &Entry| {
            let bytes = &unsorted[entry.range()];
            Cursor::new(bytes, bytes.len()).name_bytes().expect("the encoder wrote a name")
        };
        entries.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| name(a).cmp(name(b))));
        for [a, b] in entries.array_windows() {
            if a.prefix == b.prefix && name(a) == name(b) {
                let name = String::from_utf8_lossy(name(a)).into_owned();
                return Err(ValueError::DuplicateName { name });
            }
        }

        // Behind themselves in order, and then over themselves.
        let end = self.buffer.len();
        for entry in &entries {
            let range = entry.range();
            self.buffer.extend_from_within(body + range.start..body + range.end);
        }
        self.buffer.copy_within(end.., body);
        self.buffer.truncate(end);
        Ok(())
    }
}

/// An entry that is to be sorted.
struct Entry {
    prefix: u64,
    /// Where it is in the body of its map, which has less than 2^21 bytes, or is a row of some such parts.
    start: u32,
    end: u32,
}

impl Entry {
    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The first 8 bytes of a name as a number that orders most names, with zeros where the name is shorter. `bytes` begin
/// with the name.
#[inline]
fn prefix(name: &[u8], bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), name.len()) {
        (Some(chunk), 8..) => u64::from_be_bytes(*chunk),
        (Some(chunk), len) => u64::from_be_bytes(*chunk) & !(u64::MAX >> (8 * len)),
        (None, _) => {
            name.iter().fold(0, |prefix, byte| prefix << 8 | u64::from(*byte)) << (64 - 8 * name.len())
        }
    }
}

/// Checks the level of a value that is about to be written.
#[inline]
pub(super) fn check_level(level: u32, found: AttributeType) -> Result<(), ValueError> {
    if level.wrapping_sub(1) < MAX_LEVELS { Ok(()) } else { Err(refused_level(level, found)) }
}

#[cold]
fn refused_level(level: u32, found: AttributeType) -> ValueError {
    if level == 0 { ValueError::NotAnItem { found } } else { ValueError::NestingTooDeep }
}

fn set_type(tag: u8) -> AttributeType {
    layout::attribute_type(tag).expect("the tag of a set")
}
