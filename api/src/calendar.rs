//! The calendar: dates of days, for whoever writes or reads a time in UTC.
//!
//! Days are counted from 1970-01-01. Years begin in March here and come in eras of 400, so that a leap day is the last of its year and
//! no table of months is needed; see Howard Hinnant, `chrono`-compatible low-level date algorithms.
//!
//! ```
//! use dynamite_core::calendar;
//!
//! assert_eq!(calendar::date_of(11_016), (2000, 2, 29));
//! assert_eq!(calendar::days_of(2000, 2, 29), Some(11_016));
//! assert_eq!(calendar::days_of(1969, 12, 31), None);
//! ```

/// Days of 400 years.
const ERA: u64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const BEFORE_1970: u64 = 719_468;

/// The year, month and day of a day.
pub fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + BEFORE_1970;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

/// The day of a date. A day beyond the end of its month is one of the next; `None` if there is no such month, before 1970, and for
/// day 0.
pub fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || year < 1970 {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * ERA + day_of_era).checked_sub(BEFORE_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Day for day, over the leap years of four centuries.
    #[test]
    fn every_day_has_one_date() {
        let mut before = (1969, 12, 31);
        for days in 0..146_097 {
            let date = date_of(days);
            assert!(date > before, "{days}");
            assert_eq!(days_of(date.0, date.1, date.2), Some(days));
            before = date;
        }
        assert_eq!(before, (2369, 12, 31));
    }
}
