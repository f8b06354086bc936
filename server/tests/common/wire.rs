//! Frames as they are on the wire, for tests that do what no client does.

/// What a client says first.
pub(crate) const HELLO: &[u8] = b"\x15\0\0\0\x01\0\0\0\0\0\0\0\0DynaMite\x01\0\x01\0";

pub(crate) fn frame(kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    let mut frame = (9 + body.len() as u32).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(id.to_le_bytes());
    frame.extend(body);
    frame
}

pub(crate) fn request(id: u64, body: &[u8]) -> Vec<u8> {
    frame(2, id, body)
}

/// Asks for a scan of the table `things`.
pub(crate) fn scan_request(id: u64) -> Vec<u8> {
    // Operation 13: a selection of the newest state of the table, and nothing else said.
    request(id, &[&[13, 0, 1, 6][..], b"things", &[0, 0, 0, 0, 0, 0, 0]].concat())
}
