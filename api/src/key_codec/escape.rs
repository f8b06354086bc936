//! Byte strings of any length in a form that says where it ends: `00` becomes `00 FF`, and `00 00` is the end.
//!
//! The end sorts before whatever could follow instead, so a string comes before all those that begin with it. And what is
//! written for a prefix, without the end, is a prefix of what is written for every string that begins with it.

use super::KeyDamage;

/// What stands behind the last byte.
pub(super) const END: [u8; 2] = [0, 0];

/// What a NUL becomes.
const NUL: [u8; 2] = [0, 0xFF];

/// Appends bytes without the end.
pub(super) fn escape_into(bytes: &[u8], key: &mut Vec<u8>) {
    // Searching for one byte is much faster than splitting.
    if !bytes.contains(&0) {
        key.extend_from_slice(bytes);
        return;
    }
    let mut parts = bytes.split(|&byte| byte == 0);
    key.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        key.extend_from_slice(&NUL);
        key.extend_from_slice(part);
    }
}

/// Reads bytes up to their end, and gives what follows it.
pub(super) fn decode(mut body: &[u8]) -> Result<(Vec<u8>, &[u8]), KeyDamage> {
    let mut bytes = Vec::new();
    loop {
        let (part, is_end, rest) = split(body)?;
        bytes.extend_from_slice(part);
        if is_end {
            return Ok((bytes, rest));
        }
        bytes.push(0);
        body = rest;
    }
}

/// What follows the end, if these bytes stand in front of it.
pub(super) fn strip<'k>(bytes: &[u8], mut body: &'k [u8]) -> Option<&'k [u8]> {
    for (nth, part) in bytes.split(|&byte| byte == 0).enumerate() {
        body = if nth > 0 { body.strip_prefix(&NUL)? } else { body };
        body = body.strip_prefix(part)?;
    }
    body.strip_prefix(&END)
}

/// What follows the end.
pub(super) fn skip(mut body: &[u8]) -> Result<&[u8], KeyDamage> {
    loop {
        let (_, is_end, rest) = split(body)?;
        if is_end {
            return Ok(rest);
        }
        body = rest;
    }
}

/// What comes before the first `00` and its companion, whether these are the end, and what comes behind them.
fn split(body: &[u8]) -> Result<(&[u8], bool, &[u8]), KeyDamage> {
    let place = body.iter().position(|&byte| byte == 0).ok_or(KeyDamage::Short)?;
    match body[place..] {
        [0, 0, ref rest @ ..] => Ok((&body[..place], true, rest)),
        [0, 0xFF, ref rest @ ..] => Ok((&body[..place], false, rest)),
        [0, byte, ..] => Err(KeyDamage::Escape { byte }),
        _ => Err(KeyDamage::Short),
    }
}
