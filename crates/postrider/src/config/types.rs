//! The kinds of values that options have.

mod choice;

use std::{path::PathBuf, time::Duration};

use toml::{Spanned, de::DeValue};
use world::{ListenAddress, http::HttpUrl};

pub(crate) use choice::choice;
pub use choice::read_choice;

use super::{
    problem::{Place, Problems},
    section::{SectionDoc, Setting, Shown},
};

/// Octets: `"50 MiB"`, `"10 MB"`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A length of time: `"90s"`, `"1h30m"`, `"5d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A value that another crate parses, with the text it came from: a network in CIDR notation, a recipient pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    pub text: String,
    pub value: T,
}

pub type NameServer = Parsed<world::dns::NameServer>;
pub type Network = Parsed<mta::config::Network>;
pub type Pattern = Parsed<mta::route::RecipientPattern>;
pub type Site = Parsed<mta::route::limits::DestinationPattern>;
pub type SourceAddress = Parsed<mta::route::limits::SourceAddress>;
pub type Text = Parsed<mta::route::template::Template>;
pub type Fingerprint = Parsed<world::tls::Fingerprint>;
pub type SolicitationClass = Parsed<mta::config::SolicitationClass>;

impl<T: std::str::FromStr<Err = String>> Parsed<T> {
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(|value| Self { text: text.to_owned(), value })
    }
}

impl<T> std::fmt::Display for Parsed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name that other hosts are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub String);

impl HostName {
    pub fn parse(text: &str) -> Result<Self, String> {
        let domain: Result<mail::Domain, _> = text.parse();
        domain.map(|_| Self(text.to_owned())).map_err(|_| not_a(text, &Self::kind()))
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that mail reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(pub mail::Address);

impl MailAddress {
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| not_a(text, &Self::kind()))
    }
}

impl std::fmt::Display for MailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Size {
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let (digits, unit) = split_number(text);
        let count: u64 = digits.parse().map_err(|_| not_a(text, &Self::kind()))?;
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(format!("{unit:?} is no unit of size; write B, KiB, MiB, GiB, KB, MB or GB")),
        };
        count.checked_mul(factor).map(Self).ok_or_else(|| format!("{text:?} is too large"))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match units.iter().find(|(_, shift)| self.0 > 0 && self.0.trailing_zeros() >= *shift) {
            Some((unit, shift)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Octets of the text of a refusing greeting.
const REFUSAL_BYTES_MAX: usize = 400;

/// Seconds in each unit, the largest first.
const TIME_UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl Span {
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(not_a(text, &Self::kind()));
        }
        while !rest.is_empty() {
            let (digits, after) = split_number(rest);
            let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at_checked(unit_end).unwrap_or((after, ""));
            let count: u64 = digits.parse().map_err(|_| not_a(text, &Self::kind()))?;
            let seconds = TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
            let seconds = seconds.ok_or_else(|| format!("{text:?} needs a unit: s, m, h, d or w"))?;
            total = count
                .checked_mul(seconds)
                .and_then(|more| total.checked_add(more))
                .filter(|total| *total <= 100 * 365 * 86_400)
                .ok_or_else(|| format!("{text:?} is too long"))?;
            rest = next.trim_start();
        }
        Ok(Self::seconds(total))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        let (unit, size) = TIME_UNITS
            .iter()
            .find(|(_, size)| seconds > 0 && seconds.is_multiple_of(*size))
            .unwrap_or(&("s", 1));
        write!(f, "{}{unit}", seconds / size)
    }
}

/// How often: `"600/10m"`, or none at all: `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<mta::policy::limits::Rate>);

impl Rate {
    pub const fn new(count: u32, per: Duration) -> Self {
        Self(Some(mta::policy::limits::Rate::new(count, per)))
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let wrong = || not_a(text, &Self::kind());
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
        let per = Span::parse(per).ok().filter(|per| !per.0.is_zero()).ok_or_else(wrong)?;
        Ok(Self::new(count, per.0))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(rate) => write!(f, "{}/{}", rate.count, Span(rate.per)),
            None => f.write_str("off"),
        }
    }
}

/// The greeting of a host that takes no mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub mail::Reply);

impl Refusal {
    pub fn parse(text: &str) -> Result<Self, String> {
        let (code, words) = text.split_once(' ').unwrap_or((text, ""));
        let code = match code {
            "521" => 521,
            "554" => 554,
            _ => return Err(not_a(text, &Self::kind())),
        };
        if words.is_empty()
            || words.len() > REFUSAL_BYTES_MAX
            || !words.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        {
            return Err(format!(
                "{text:?} needs a text in ASCII behind the code, of {REFUSAL_BYTES_MAX} octets at most"
            ));
        }
        Ok(Self(mail::Reply::plain(code, words.to_owned())))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The leading digits, and what follows them without the space between.
fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (digits, rest.trim_start())
}

fn not_a(text: &str, kind: &str) -> String {
    format!("{text:?} is not a {kind}")
}

pub fn expected(kind: &str, value: &DeValue<'_>) -> String {
    format!("expected a {kind}, found {} {}", article(value.type_str()), value.type_str())
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// A value written as a TOML string: its kind for people, parser and `Display` do the rest.
macro_rules! text_setting {
    ($type:ty, $kind:literal, $parse:expr) => {
        impl $crate::config::section::Setting for $type {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                place: $crate::config::problem::Place<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Option<Self> {
                let parse: fn(&str) -> Result<Self, String> = $parse;
                let result = match value.get_ref() {
                    toml::de::DeValue::String(text) => parse(text),
                    other => Err($crate::config::types::expected($kind, other)),
                };
                result.map_err(|message| problems.add_at(value.span(), place, message)).ok()
            }

            fn shown(&self) -> $crate::config::section::Shown {
                $crate::config::section::Shown::Value($crate::config::types::quoted(&self.to_string()))
            }
        }
    };
}
pub(crate) use text_setting;

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

text_setting!(String, "text", |text| Ok(text.to_owned()));
text_setting!(Span, "time such as \"90s\", \"15m\", \"4h\" or \"5d\"", Span::parse);
text_setting!(NameServer, "DNS server such as \"192.0.2.53\" or \"127.0.0.1:5353\"", NameServer::parse);
text_setting!(Rate, "rate such as \"600/10m\", or \"off\"", Rate::parse);
text_setting!(Refusal, "greeting such as \"521 no mail is taken here\"", Refusal::parse);
text_setting!(Network, "network such as \"10.0.0.0/8\" or \"2001:db8::/32\"", Network::parse);
text_setting!(
    Pattern,
    "address or domain pattern such as \"*@example.org\" or \"example.org\"",
    Pattern::parse
);
text_setting!(
    ListenAddress,
    "listen address such as \"0.0.0.0:25\", \"[::]:25\" or \"unix:/path\"",
    str::parse
);
text_setting!(Site, "site such as \"example.com\" or \"host:*.example.com\"", Site::parse);
text_setting!(SourceAddress, "address such as \"192.0.2.1\" or \"2001:db8::1\"", SourceAddress::parse);
text_setting!(Text, "text, in which ${recipient} and other names may stand", Text::parse);
text_setting!(Fingerprint, "SHA-256 fingerprint of 64 hexadecimal digits", Fingerprint::parse);
text_setting!(SolicitationClass, "class such as \"net.example:ADV\"", SolicitationClass::parse);
text_setting!(HttpUrl, "URL such as \"https://login.example.org/keys\"", str::parse);
text_setting!(MailAddress, "address such as \"postmaster@example.org\"", MailAddress::parse);
text_setting!(HostName, "host name such as \"mx1.example.org\"", HostName::parse);

impl Setting for Size {
    fn kind() -> String {
        "size such as \"50 MiB\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
        let result = match value.get_ref() {
            DeValue::String(text) => Self::parse(text),
            DeValue::Integer(number) => Self::parse(&number.to_string()),
            other => Err(expected(&Self::kind(), other)),
        };
        result.map_err(|message| problems.add_at(value.span(), place, message)).ok()
    }

    fn shown(&self) -> Shown {
        Shown::Value(quoted(&self.to_string()))
    }
}

impl Setting for PathBuf {
    fn kind() -> String {
        "path".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
        String::read(value, place, problems).map(Self::from)
    }

    fn shown(&self) -> Shown {
        Shown::Value(quoted(&self.to_string_lossy()))
    }
}

impl Setting for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
        if let DeValue::Boolean(value) = value.get_ref() {
            return Some(*value);
        }
        let message =
            format!("expected true or false, without quotes, found a {}", value.get_ref().type_str());
        problems.add_at(value.span(), place, message);
        None
    }

    fn shown(&self) -> Shown {
        Shown::Value(self.to_string())
    }
}

macro_rules! number_setting {
    ($($type:ty),+) => { $(
        impl Setting for $type {
            fn kind() -> String {
                format!("number from 1 to {}", <$type>::MAX)
            }

            fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
                let result = match value.get_ref() {
                    DeValue::Integer(number) => <$type>::from_str_radix(number.as_str(), number.radix())
                        .ok()
                        .filter(|number| *number > 0)
                        .ok_or_else(|| not_a(&number.to_string(), &Self::kind())),
                    other => Err(expected(&Self::kind(), other)),
                };
                result.map_err(|message| problems.add_at(value.span(), place, message)).ok()
            }

            fn shown(&self) -> Shown {
                Shown::Value(self.to_string())
            }
        }
    )+ };
}
number_setting!(u16, u32);

impl<T: Setting> Setting for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
        T::read(value, place, problems).map(Some)
    }

    fn shown(&self) -> Shown {
        self.as_ref().map_or(Shown::Unset, Setting::shown)
    }

    fn section() -> Option<SectionDoc> {
        T::section()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn kind() -> String {
        format!("list, each a {}", T::kind())
    }

    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self> {
        if let DeValue::Array(items) = value.get_ref() {
            let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, place, problems)).collect();
            return read.into_iter().collect();
        }
        let how = match T::section() {
            Some(section) => format!("expected sections, each begun by {}", section.heading),
            None => format!("expected a list in [brackets], each a {}", T::kind()),
        };
        problems.add_at(value.span(), place, how);
        None
    }

    fn shown(&self) -> Shown {
        let mut values = Vec::new();
        let mut tables = Vec::new();
        for item in self {
            match item.shown() {
                Shown::Table(table) => tables.push(table),
                Shown::Value(value) => values.push(value),
                Shown::Unset | Shown::Tables(_) => {}
            }
        }
        if T::section().is_some() {
            Shown::Tables(tables)
        } else {
            Shown::Value(format!("[{}]", values.join(", ")))
        }
    }

    fn section() -> Option<SectionDoc> {
        T::section()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("50 MiB", 50 << 20), ("50M", 50 << 20), ("10 KB", 10_000), ("7", 7), ("1GiB", 1 << 30)]
        {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "MiB", "5 apples", "-1", "99999999999 TiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
        assert_eq!(Size(50 << 20).to_string(), "50 MiB");
        assert_eq!(Size(1000).to_string(), "1000 B");
        assert_eq!(Size(0).to_string(), "0 B");
    }

    #[test]
    fn rates() {
        for text in ["600/10m", "1/1s", "off"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "600", "0/1m", "600/0s", "600/", "/1m", "-1/1m", "4294967296/1m", "on"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in ["521 no mail is taken here", "554 not now"] {
            assert_eq!(Refusal::parse(text).unwrap().to_string(), text);
        }
        for text in ["521", "521 ", "220 welcome", "421 later", "521 a\r\nb", "521 nö", "no mail"] {
            assert!(Refusal::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, seconds) in [("90s", 90), ("1m", 60), ("1h30m", 5400), ("5d", 432_000), ("1 w", 604_800)] {
            assert_eq!(Span::parse(text), Ok(Span::seconds(seconds)), "{text}");
        }
        for text in ["", "5", "m", "5 minutes", "1h-3m", "99999999999999999999d", "10000000w"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert_eq!(Span::seconds(90).to_string(), "90s");
        assert_eq!(Span::seconds(432_000).to_string(), "5d");
        assert_eq!(Span::seconds(0).to_string(), "0s");
    }
}
