//! Compressed bodies: which encoding an answer is to have, and what is inside a request.
//!
//! The rules for `Accept-Encoding` are the service's: large answers are compressed if they may be, and `identity` says nothing.

use std::io::Read;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::{GzEncoder, MultiGzDecoder, ZlibEncoder};
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

/// How large an answer must be for that it is compressed.
pub(crate) const LEAST_BYTES: usize = 4096;

/// A form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        }
    }

    /// The one that answers are to have; of a header that is there twice, the last counts.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Encoding> {
        Encoding::of_list(headers.get_all(ACCEPT_ENCODING).iter().next_back()?.to_str().ok()?)
    }

    /// The one that a list prefers: the greatest weight, then one that has its name in it, then the first.
    fn of_list(list: &str) -> Option<Encoding> {
        let mut best: Option<(f32, bool, Encoding)> = None;
        let mut consider = |weight: f32, is_named: bool, encoding| {
            let is_better = best
                .is_none_or(|(than, was_named, _)| weight > than || weight == than && is_named && !was_named);
            if weight > 0.0 && is_better {
                best = Some((weight, is_named, encoding));
            }
        };
        let entries = || list.split(',').map(|entry| weighted(entry.trim()));
        let is_named =
            |encoding: Encoding| entries().any(|(name, _)| name.eq_ignore_ascii_case(encoding.name()));
        for (name, weight) in entries() {
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                if name.eq_ignore_ascii_case(encoding.name()) {
                    consider(weight, true, encoding);
                } else if name == "*" && !is_named(encoding) {
                    consider(weight, false, encoding);
                }
            }
        }
        best.map(|(.., encoding)| encoding)
    }

    /// A body in this form.
    pub(crate) fn encode(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut encoded = Vec::with_capacity(body.len() / 4);
        let level = Compression::fast();
        match self {
            Encoding::Gzip => GzEncoder::new(body, level).read_to_end(&mut encoded)?,
            Encoding::Deflate => ZlibEncoder::new(body, level).read_to_end(&mut encoded)?,
        };
        Ok(encoded)
    }
}

/// The name and the weight of an entry of a list. A weight that is no number is none.
fn weighted(entry: &str) -> (&str, f32) {
    let mut parts = entry.split(';');
    let name = parts.next().unwrap_or_default().trim();
    let weight = parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.trim() == "q");
    let weight = weight.and_then(|(_, value)| value.trim().parse::<f32>().ok()).unwrap_or(1.0);
    (name, weight.clamp(0.0, 1.0))
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecoded {
    /// It has more bytes than are taken.
    TooLarge,
    /// It is not in the form that it says, or that form is not known.
    Broken,
}

/// What is in the body of a request: of so many bytes at the most.
pub(crate) fn decode(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Undecoded> {
    match headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().trim_ascii().to_ascii_lowercase())
    {
        None => Ok(body),
        Some(encoding) if encoding.is_empty() || encoding == b"identity" => Ok(body),
        Some(encoding) if encoding == b"gzip" && !body.is_empty() => {
            let mut decoded = Vec::new();
            // One byte more tells a body that fits from one that does not.
            let most = limit as u64 + 1;
            let read = MultiGzDecoder::new(&*body).take(most).read_to_end(&mut decoded);
            read.map_err(|_| Undecoded::Broken)?;
            if decoded.len() > limit { Err(Undecoded::TooLarge) } else { Ok(decoded.into()) }
        }
        Some(_) => Err(Undecoded::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the service does was recorded by others.
    #[test]
    fn the_encoding_of_an_answer_is_the_one_that_the_service_chooses() {
        let (gzip, deflate) = (Some(Encoding::Gzip), Some(Encoding::Deflate));
        for (list, expected) in [
            ("gzip", gzip),
            ("deflate", deflate),
            ("identity", None),
            ("", None),
            ("br", None),
            ("x-gzip", None),
            ("gzip, deflate", gzip),
            ("br, identity, deflate, gzip", deflate),
            ("GZIP, identity", gzip),
            ("dog, gzip ,, cat", gzip),
            ("gzip;q=0.8, deflate;q=0.5", gzip),
            ("br, gzip;q=0, deflate; q = 0.5 , identity;q=0", deflate),
            ("*", gzip),
            ("*, deflate;q=0.5", gzip),
            ("*, deflate", deflate),
            ("*, identity", gzip),
            ("*, gzip;q=0.5", deflate),
            ("gzip ;q=0", None),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("*;q=0.5,identity", gzip),
            ("gzip;q=0.5,identity;q=0.8", gzip),
            ("br;q=0.8,identity;q=0.5,*;q=0", None),
            ("\"gzip\"", None),
            ("gzip br", None),
            ("gzip:q=1", None),
            ("deflate;q=0.5, gzip;q=31", gzip),
            ("gzip;q=31,deflate;q=51", gzip),
            ("deflate;q=0.5, gzip;q=0.2", deflate),
            ("deflate;q=0.5, gzip;q=1;q=0.2", gzip),
            ("deflate;q=0.5,gzip;q=0.", deflate),
            ("deflate;q=0.5,gzip;q=0.x", gzip),
            ("deflate;q=-0.5,gzip;q=0.2", gzip),
            ("gzip;nq=1;q=0 ", None),
            ("gzip;q=0, gzip;q=1, gzip;q=0", gzip),
            ("br,identity;q=0.5,gzip;q=0.0001", gzip),
            ("gzip;q=nan", None),
        ] {
            assert_eq!(Encoding::of_list(list), expected, "{list}");
        }
    }

    #[test]
    fn what_is_decoded_is_bounded() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        let encoded = |len: usize| Bytes::from(Encoding::Gzip.encode(&vec![b' '; len]).unwrap());
        assert_eq!(decode(&headers, encoded(1000), 1000), Ok(Bytes::from(vec![b' '; 1000])));
        assert_eq!(decode(&headers, encoded(1001), 1000), Err(Undecoded::TooLarge));
        assert_eq!(decode(&headers, encoded(64 << 20), 1000), Err(Undecoded::TooLarge));
        let two = [encoded(3), encoded(4)].concat();
        assert_eq!(decode(&headers, two.into(), 1000), Ok(Bytes::from(vec![b' '; 7])));
        let whole = encoded(1000);
        for broken in [
            Bytes::new(),
            whole.slice(..whole.len() - 1),
            Bytes::from_static(b"{}"),
            [&*whole, b"junk"].concat().into(),
        ] {
            assert_eq!(decode(&headers, broken, 1000), Err(Undecoded::Broken));
        }
        headers.insert(CONTENT_ENCODING, "br".parse().unwrap());
        assert_eq!(decode(&headers, whole, 1000), Err(Undecoded::Broken));
    }
}
