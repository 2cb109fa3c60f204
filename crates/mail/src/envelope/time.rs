//! When a message is wanted, and how much it matters: DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710), FUTURERELEASE
//! (RFC 4865).

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::ParameterError;
use crate::Timestamp;

/// RFC 2852 §4 and RFC 4865 §4: digits of a number of seconds.
const SECONDS_DIGITS_MAX: usize = 9;
const SECONDS_MAX: i32 = 999_999_999;

/// RFC 2852 §4: deliver within this time, or else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// What is left of the time. Only with [`ByMode::Notify`] it may be over: zero, or negative.
    pub seconds: i32,
    pub mode: ByMode,
    /// Each relay on the way tells the sender that it passed the message on.
    pub trace: bool,
}

/// What happens to a message whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByMode {
    /// It goes back to the sender.
    Return,
    /// The sender is told, and delivery goes on.
    Notify,
}

impl DeliverBy {
    /// What is left of it at `now`. A second that has begun counts as passed, so that no host promises more than there
    /// was; nothing left of [`ByMode::Return`] is no value to send.
    pub fn until(self, deadline: Timestamp, now: Timestamp) -> Self {
        let seconds = deadline.millis().saturating_sub(now.millis()).div_euclid(1000);
        let seconds = seconds.clamp((-SECONDS_MAX).into(), SECONDS_MAX.into());
        Self { seconds: i32::try_from(seconds).unwrap_or(0), ..self }
    }

    /// When the time is over, for a message that came at `from`.
    pub fn deadline(self, from: Timestamp) -> Timestamp {
        Timestamp::from_millis(from.millis().saturating_add(i64::from(self.seconds) * 1000))
    }
}

/// The value of `BY=`.
impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Return => "R",
            ByMode::Notify => "N",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

impl FromStr for DeliverBy {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (time, how) = text.split_once(';').ok_or(ParameterError)?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        let seconds: i32 = seconds(digits)?;
        let seconds = if time.starts_with('-') { -seconds } else { seconds };
        let (mode, trace) = match how.to_ascii_uppercase().as_str() {
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            _ => return Err(ParameterError),
        };
        // RFC 2852 §4: nobody can return what is over already.
        if mode == ByMode::Return && seconds <= 0 {
            return Err(ParameterError);
        }
        Ok(Self { seconds, mode, trace })
    }
}

fn seconds<T: FromStr>(digits: &str) -> Result<T, ParameterError> {
    let fits = (1..=SECONDS_DIGITS_MAX).contains(&digits.len());
    if !fits || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(ParameterError);
    }
    digits.parse().map_err(|_| ParameterError)
}

/// RFC 6710 §3: from -9, which can wait, to 9, which cannot; 0 is what a message has that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MtPriority(i8);

impl MtPriority {
    pub const NORMAL: Self = Self(0);

    /// None beyond -9 and 9.
    pub const fn new(level: i8) -> Option<Self> {
        if matches!(level, -9..=9) { Some(Self(level)) } else { None }
    }

    pub const fn level(self) -> i8 {
        self.0
    }
}

/// The value of `MT-PRIORITY=`, and of the header field of RFC 6758.
impl fmt::Display for MtPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One digit, or a digit other than zero after a minus sign.
impl FromStr for MtPriority {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let is_number = match text.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [b'-', digit] => matches!(digit, b'1'..=b'9'),
            _ => false,
        };
        let level = text.parse().ok().filter(|_| is_number);
        level.and_then(Self::new).ok_or(ParameterError)
    }
}

/// RFC 4865 §3: not to leave before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// `HOLDFOR=`, seconds from when the message was accepted.
    For(u32),
    /// `HOLDUNTIL=`
    Until(Timestamp),
}

impl Hold {
    /// Reads the value of `HOLDFOR=`.
    pub fn parse_for(text: &str) -> Result<Self, ParameterError> {
        // RFC 4865 §4: the first digit is no zero.
        if text.starts_with('0') { Err(ParameterError) } else { seconds(text).map(Self::For) }
    }

    /// Reads the value of `HOLDUNTIL=` (RFC 3339).
    pub fn parse_until(text: &str) -> Result<Self, ParameterError> {
        Timestamp::parse_rfc3339(text).map(Self::Until).map_err(|_| ParameterError)
    }

    /// When a message that is accepted at `accepted_at` may leave.
    pub fn release_at(self, accepted_at: Timestamp) -> Timestamp {
        match self {
            Self::For(seconds) => accepted_at.plus(Duration::from_secs(seconds.into())),
            Self::Until(at) => at.max(accepted_at),
        }
    }
}

/// The parameter: `HOLDFOR=3600`, `HOLDUNTIL=2026-12-01T10:00:00.000Z`.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Self::Until(at) => write!(f, "HOLDUNTIL={at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliver_by_values() {
        for (text, seconds, mode, trace, written) in [
            ("120;R", 120, ByMode::Return, false, "120;R"),
            ("+3600;n", 3600, ByMode::Notify, false, "3600;N"),
            ("60;rT", 60, ByMode::Return, true, "60;RT"),
            ("-5;N", -5, ByMode::Notify, false, "-5;N"),
            ("0;NT", 0, ByMode::Notify, true, "0;NT"),
            ("-999999999;N", -999_999_999, ByMode::Notify, false, "-999999999;N"),
        ] {
            let by: DeliverBy = text.parse().unwrap();
            assert_eq!(by, DeliverBy { seconds, mode, trace }, "{text}");
            assert_eq!(by.to_string(), written);
        }
        for bad in [
            "",
            "5",
            "x",
            "5;",
            ";R",
            "5;X",
            "5;R;T",
            "5;TR",
            "5;RTT",
            "1234567890;N",
            "-1234567890;N",
            "--5;N",
            "+-5;N",
            "- 5;N",
            "0;R",
            "-5;R",
            "-999999999;R",
            "5,5;N",
            "٥;N",
            "0x5;N",
        ] {
            assert_eq!(bad.parse::<DeliverBy>(), Err(ParameterError), "{bad}");
        }
    }

    #[test]
    fn time_that_passes_is_taken_off_and_none_is_won() {
        let by: DeliverBy = "60;N".parse().unwrap();
        let at = Timestamp::from_millis(1_000_000);
        let deadline = by.deadline(at);
        assert_eq!(deadline, Timestamp::from_millis(1_060_000));
        let left = |millis| by.until(deadline, Timestamp::from_millis(millis)).seconds;
        assert_eq!(left(1_000_000), 60);
        assert_eq!(left(1_000_001), 59);
        assert_eq!(left(1_060_500), -1);
        assert_eq!((left(i64::MAX), left(i64::MIN)), (-SECONDS_MAX, SECONDS_MAX));
        let past: DeliverBy = "-999999999;N".parse().unwrap();
        assert_eq!(past.deadline(Timestamp::from_millis(i64::MIN)), Timestamp::from_millis(i64::MIN));
    }

    #[test]
    fn priorities() {
        for level in -9..=9 {
            let text = level.to_string();
            assert_eq!(text.parse::<MtPriority>().unwrap().level(), level);
            assert_eq!(MtPriority::new(level).unwrap().to_string(), text);
        }
        for bad in ["", "-", "10", "-10", "a", "+3", "-0", "00", "03", "3 ", "٣", "18446744073709551616"] {
            assert_eq!(bad.parse::<MtPriority>(), Err(ParameterError), "{bad}");
        }
        assert_eq!((MtPriority::new(10), MtPriority::new(-10)), (None, None));
    }

    #[test]
    fn holds() {
        let at = Timestamp::from_millis(1_000_000);
        let hold = Hold::parse_for("3600").unwrap();
        assert_eq!(
            (hold.release_at(at), hold.to_string()),
            (Timestamp::from_millis(4_600_000), "HOLDFOR=3600".into())
        );
        for bad in ["", "0", "01", "-1", "+1", "1234567890", "18446744073709551616", "1h", "1.5"] {
            assert_eq!(Hold::parse_for(bad), Err(ParameterError), "{bad}");
        }
        let hold = Hold::parse_until("2026-12-01T11:00:00+01:00").unwrap();
        assert_eq!(hold.to_string(), "HOLDUNTIL=2026-12-01T10:00:00.000Z");
        assert_eq!(hold.release_at(Timestamp::from_millis(i64::MAX)).millis(), i64::MAX, "the past is now");
        for bad in ["", "1795473360", "2026-12-01", "2026-12-01T10:00:00", "2026-13-01T10:00:00Z"] {
            assert_eq!(Hold::parse_until(bad), Err(ParameterError), "{bad}");
        }
    }
}
