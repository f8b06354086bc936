//! A map as a picture of points: indexed colours, one byte a point.
//!
//! What a PNG file must hold is little: a header, the palette, the points behind a filter byte for each row, in a
//! zlib stream, which may hold them as they are, and a checksum for each part. A crate that compresses would bring more code than there is here.

use crate::map::FileMap;
use crate::map::colours::Colours;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
/// The width that a picture has at least.
const WIDTH: usize = 512;
/// Bytes of a block of a zlib stream that is not compressed, at the most.
const BLOCK: usize = 0xffff;

/// Draws it.
pub(crate) fn draw(map: &FileMap, colours: &Colours) -> Vec<u8> {
    let columns = map.width();
    let rows = map.squares.len().div_ceil(columns);
    let side = WIDTH.div_ceil(columns).max(1);
    let free = 0;
    let mut points = Vec::with_capacity((columns * side + 1) * rows * side);
    for squares in map.squares.chunks(columns) {
        let mut row = vec![0];
        for place in 0..columns {
            let colour = squares.get(place).map_or(free, |square| colours.place(square));
            row.extend(std::iter::repeat_n(colour as u8, side));
        }
        (0..side).for_each(|_| points.extend_from_slice(&row));
    }
    encode(columns * side, rows * side, &colours.palette, &points)
}

fn encode(width: usize, height: usize, palette: &[[u8; 3]], points: &[u8]) -> Vec<u8> {
    let mut png = SIGNATURE.to_vec();
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    // 8 bits, indexed; the only compression, the only filters, no interlacing.
    header.extend([8, 3, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"PLTE", &palette.concat());
    chunk(&mut png, b"IDAT", &stored(points));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let from = png.len();
    png.extend(kind);
    png.extend(data);
    let checksum = crc32fast::hash(&png[from..]);
    png.extend(checksum.to_be_bytes());
}

/// A zlib stream that holds bytes as they are.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        let len = block.len() as u16;
        stream.extend(len.to_le_bytes());
        stream.extend((!len).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(bytes).to_be_bytes());
    stream
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // So many sums of bytes stay below 2^32.
    const SUMMED: usize = 5_552;
    let (mut a, mut b) = (1, 0);
    for bytes in bytes.chunks(SUMMED) {
        for byte in bytes {
            a += u32::from(*byte);
            b += a;
        }
        (a, b) = (a % MODULUS, b % MODULUS);
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 100_000]), {
            let (mut a, mut b) = (1_u64, 0_u64);
            for _ in 0..100_000 {
                a = (a + 255) % 65_521;
                b = (b + a) % 65_521;
            }
            (b << 16 | a) as u32
        });
    }
}
