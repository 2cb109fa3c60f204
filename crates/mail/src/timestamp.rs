use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime, UtcOffset,
    format_description::{
        StaticFormatDescription,
        well_known::{Rfc2822, Rfc3339},
    },
    macros::format_description,
};

const RFC5322: StaticFormatDescription = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] +0000"
);
const RFC3339_MILLIS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const RFC3339_SECONDS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what both formats can write.
const WRITTEN_MILLIS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// A moment of wall time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

/// Not a date and time of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected one such as 2026-11-23T22:36:00Z")]
pub struct TimestampError;

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 5322 §3.3, in UTC: `Mon, 23 Nov 2026 22:36:00 +0000`.
    pub fn rfc5322(self) -> String {
        self.format(RFC5322)
    }

    /// `2026-11-23T22:36:00.123Z`
    pub fn rfc3339(self) -> String {
        self.format(RFC3339_MILLIS)
    }

    /// `2026-11-23T22:36:00Z`
    pub fn rfc3339_seconds(self) -> String {
        self.format(RFC3339_SECONDS)
    }

    /// Reads a time with any offset; digits beyond milliseconds are dropped.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self).map_err(|_| TimestampError)
    }

    /// Reads a time as header fields have it (RFC 5322 §3.3), with any offset.
    pub fn parse_rfc5322(text: &str) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::parse(text.trim(), &Rfc2822).map_err(|_| TimestampError)?;
        moment.unix_timestamp().checked_mul(1000).map(Self).ok_or(TimestampError)
    }

    /// Times before the year 0 and after 9999 are written as the nearest that can be.
    fn format(self, format: StaticFormatDescription) -> String {
        let millis = self.0.clamp(*WRITTEN_MILLIS.start(), *WRITTEN_MILLIS.end());
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(UtcOffset::UTC)
            .format(format)
            .unwrap_or_default()
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        Self::parse_rfc3339(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn written_forms() {
        let moment = Timestamp::from_millis(1_795_473_360_123);
        assert_eq!(moment.rfc5322(), "Mon, 23 Nov 2026 22:36:00 +0000");
        assert_eq!(moment.rfc3339(), "2026-11-23T22:36:00.123Z");
        assert_eq!(moment.rfc3339_seconds(), "2026-11-23T22:36:00Z");
        assert_eq!(Timestamp::from_millis(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).rfc3339(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(i64::MIN).rfc5322(), "Sat, 01 Jan 0000 00:00:00 +0000");
    }

    #[test]
    fn read_back() {
        let moment = Timestamp::from_millis(1_795_473_360_123);
        assert_eq!("2026-11-23T22:36:00.123Z".parse(), Ok(moment));
        assert_eq!("2026-11-24T00:06:00.1239+01:30".parse(), Ok(moment));
        for bad in ["", "2026-11-23", "2026-11-23T25:00:00Z", "yesterday", "2026-13-01T00:00:00Z"] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimestampError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(millis in WRITTEN_MILLIS) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(moment.rfc3339().parse(), Ok(moment));
        }

        #[test]
        fn writing_never_fails(millis: i64) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(moment.rfc3339().len(), 24);
            prop_assert_eq!(moment.rfc5322().len(), 31);
        }
    }
}
