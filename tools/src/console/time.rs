//! Times as people write them: in UTC, `2026-11-26T18:30:00Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use dynamite_core::calendar;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A time, to the second.
pub(crate) fn format(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format_ms(since.as_secs().saturating_mul(1000))
}

/// Milliseconds since 1970 as a time, to the millisecond if it is not on the second.
pub(crate) fn format_ms(ms: u64) -> String {
    let (year, month, day) = calendar::date_of(ms / DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
    let fraction = match ms % 1000 {
        0 => String::new(),
        fraction => format!(".{fraction:03}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Milliseconds since 1970. A date alone is its midnight; the `Z` may be left out.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.strip_suffix('Z').unwrap_or(time)),
        None => (text, "00:00:00"),
    };
    let number = |digits: &str, len: usize| -> Option<u64> {
        let is_one = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| digits.parse().ok()).flatten()
    };
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = time.split(':');
    let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let second = clock.next().map_or(Some(0), |second| number(second, 2))?;
    let ms = number(&format!("{fraction:0<3}"), 3)?;
    if parts.next().is_some() || clock.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = (year, month, day);
    let days = calendar::days_of(year, month, day).filter(|&days| calendar::date_of(days) == date)?;
    Some(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_and_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1999-12-31T23:59:59Z", 946_684_799_000),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-11-26T18:30:00.250Z", 1_795_717_800_250),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(format_ms(ms), text);
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
        assert_eq!(parse_ms("2026-11-26"), parse_ms("2026-11-26T00:00"));
        assert_eq!(parse_ms("2026-11-26 18:30:00.25"), Some(1_795_717_800_250));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-29",
            "2100-02-29",
            "2026-11-31",
            "2026-1-1",
            "1969-12-31",
            "2026-11-26T24:00",
            "2026-11-26T12:60",
            "2026-11-26T12:00:61",
            "2026-11-26T12",
            "2026-11-26T12:00:00.1234",
            "2026-00-10",
            "2026-11-00",
            "2026-11-26-01",
            "+026-11-26",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
