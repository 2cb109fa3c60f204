//! Dates as IMAP writes them: `26-Nov-2026` and `"26-Nov-2026 09:05:00 +0100"` (RFC 9051 §9).

use std::fmt;

use mail::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MILLIS: i64 = 86_400_000;

/// A day that there is, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// `None` if there is no such day. `year`: 0 to 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        ((1..=days).contains(&day) && year <= 9999).then_some(Self { year, month, day })
    }

    /// Its first moment in UTC.
    pub fn midnight(self) -> Timestamp {
        Timestamp::from_millis(self.days_since_1970() * DAY_MILLIS)
    }

    /// The day in UTC; moments beyond the years 0 to 9999 are the nearest day within.
    pub fn of(moment: Timestamp) -> Self {
        let days = moment.millis().div_euclid(DAY_MILLIS).clamp(-719_528, 2_932_896);
        // Counted from 0000-03-01, so that the leap day ends a year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: u16::try_from(year).unwrap_or(0),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
    }

    fn days_since_1970(self) -> i64 {
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * shifted_month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }

    /// `date-text`: `1-Feb-1994`, the day with one digit or two.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = (1..=2).contains(&day.len()) && year.len() == 4 && parts.next().is_none();
        let month = MONTHS.iter().zip(1..).find(|(name, _)| name.eq_ignore_ascii_case(month))?.1;
        Self::new(digits(year)?, month, digits(day)?).filter(|_| fits)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("Jan");
        write!(f, "{:02}-{month}-{:04}", self.day, self.year)
    }
}

/// `date-time` without its quotes; a day of one digit has a space before it.
pub fn parse_date_time(text: &str) -> Option<Timestamp> {
    let mut words = text.strip_prefix(' ').unwrap_or(text).split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let date = Date::parse(date)?;
    let mut clock = time.split(':');
    let (hour, minute, second) = (pair(clock.next()?)?, pair(clock.next()?)?, pair(clock.next()?)?);
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (zone_hour, zone_minute) = (pair(zone.get(1..3)?)?, pair(zone.get(3..)?)?);
    // RFC 5322 §3.3: a leap second has number 60.
    let in_range = hour < 24 && minute < 60 && second <= 60 && zone_minute < 60;
    if !in_range || words.next().is_some() || clock.next().is_some() {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second - sign * (zone_hour * 60 + zone_minute) * 60;
    Some(Timestamp::from_millis(date.midnight().millis() + seconds * 1000))
}

/// `date-time` with its quotes, in UTC: `"26-Nov-2026 09:05:00 +0000"`.
pub fn format_date_time(moment: Timestamp) -> String {
    let seconds = moment.millis().rem_euclid(DAY_MILLIS) / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("\"{} {hour:02}:{minute:02}:{second:02} +0000\"", Date::of(moment))
}

fn pair(text: &str) -> Option<i64> {
    digits::<u16>(text).map(i64::from).filter(|_| text.len() == 2)
}

fn digits<T: TryFrom<u16>>(text: &str) -> Option<T> {
    let all = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse::<u16>().ok().filter(|_| all).and_then(|number| T::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_as_clients_write_them() {
        assert_eq!(Date::parse("1-Feb-1994"), Date::new(1994, 2, 1));
        assert_eq!(Date::parse("29-feb-2024"), Date::new(2024, 2, 29));
        assert_eq!(Date::parse("01-JAN-0000"), Date::new(0, 1, 1));
        for text in [
            "29-Feb-2023",
            "0-Jan-2024",
            "31-Apr-2024",
            "1-Feb-94",
            "1-Foo-2024",
            "+1-Jan-2024",
            "1-Jan-2024-",
            "-",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn moments_have_a_zone() {
        let millis = |text| parse_date_time(text).map(Timestamp::millis);
        assert_eq!(millis("01-Jan-1970 00:00:00 +0000"), Some(0));
        assert_eq!(millis(" 1-Jan-1970 01:00:00 +0100"), Some(0));
        assert_eq!(millis("31-Dec-1969 19:00:01 -0500"), Some(1000));
        assert_eq!(millis("17-Jul-1996 02:44:25 -0700"), Some(837_596_665_000));
        for text in [
            "17-Jul-1996 02:44:25",
            "17-Jul-1996 24:44:25 +0000",
            "17-Jul-1996 2:44:25 +0000",
            "17-Jul-1996 02:44:25 0000",
            "17-Jul-1996 02:44:25 +00",
            "17-Jul-1996 02:44:25 +ä0",
            "",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(
            format_date_time(Timestamp::from_millis(837_596_665_999)),
            "\"17-Jul-1996 09:44:25 +0000\""
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -62_167_219_200_i64..253_402_300_799) {
            let moment = Timestamp::from_millis(seconds * 1000);
            let text = format_date_time(moment);
            prop_assert_eq!(parse_date_time(text.trim_matches('"')), Some(moment));
        }
    }
}
