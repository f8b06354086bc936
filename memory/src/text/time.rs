//! Times, as people and programs write them.

use dynamite_core::calendar;

use crate::error::{MemoryError, Result};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The longest time to live: ten years.
const LONGEST_MS: u64 = 3653 * DAY_MS;

/// A time to live in milliseconds: a number and `m`, `h`, `d` or `w`.
///
/// # Errors
///
/// [`MemoryError::Invalid`].
pub fn parse_ttl(text: &str) -> Result<u64> {
    let refused = || {
        MemoryError::Invalid(format!(
            "ttl {:?} must be a number and m, h, d or w, up to ten years, like 24h, 7d or 2w",
            crate::key::shortened(text)
        ))
    };
    let text = text.trim();
    let unit = text.chars().last().ok_or_else(refused)?;
    let unit_ms = match unit {
        'm' => DAY_MS / 1440,
        'h' => DAY_MS / 24,
        'd' => DAY_MS,
        'w' => 7 * DAY_MS,
        _ => return Err(refused()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| refused())?;
    count.checked_mul(unit_ms).filter(|ms| (1..=LONGEST_MS).contains(ms)).ok_or_else(refused)
}

/// A moment in UTC, to the second: `2026-11-26T06:20:37Z`.
pub fn rfc3339(ms: u64) -> String {
    let (year, month, day) = calendar::date_of(ms / DAY_MS);
    let seconds = ms % DAY_MS / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The day of a moment in UTC: `2026-11-26`.
pub fn date(ms: u64) -> String {
    let (year, month, day) = calendar::date_of(ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The moment that [`rfc3339`] or [`date`] wrote, if it is one.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let time = match text.len() {
        10 => 0,
        _ => (number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?) * 1000,
    };
    Some(calendar::days_of(year, month, day)? * DAY_MS + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696_000, "2000-02-29T12:34:56Z"),
            (1_795_674_037_000, "2026-11-26T06:20:37Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Some(ms));
        }
        assert_eq!(parse_rfc3339("2026-11-26"), Some(1_795_651_200_000));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_time_to_live_has_a_unit() {
        assert_eq!(parse_ttl("24h"), Ok(DAY_MS));
        assert_eq!(parse_ttl("7d"), Ok(7 * DAY_MS));
        assert_eq!(parse_ttl("2w"), Ok(14 * DAY_MS));
        for wrong in ["", "7", "d", "0d", "-1d", "1y", "9999999999w", "1.5h", "7 日"] {
            assert!(parse_ttl(wrong).is_err(), "{wrong}");
        }
    }
}
