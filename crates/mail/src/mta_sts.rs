//! MTA-STS (RFC 8461): what a domain says of the hosts that take its mail, in its record and in its policy.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Domain;

/// Octets of a policy that are looked at (RFC 8461 §3.3).
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Hosts that a policy may name.
const HOSTS_MAX: usize = 200;
/// RFC 8461 §3.2: about a year.
const MAX_AGE_SECONDS_MAX: u32 = 31_557_600;
const ID_BYTES_MAX: usize = 32;
const VERSION: &str = "STSv1";

/// The TXT record at `_mta-sts.` that says that there is a policy, and by a new ID that it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsRecord {
    pub id: String,
}

impl StsRecord {
    /// RFC 8461 §3.1: of all TXT records there, those of another kind are left out; then there must be one.
    pub fn among(records: &[Vec<u8>]) -> Option<Self> {
        let mut of_kind = records.iter().filter(|record| record.starts_with(b"v=STSv1;"));
        let (Some(only), None) = (of_kind.next(), of_kind.next()) else { return None };
        Self::parse(std::str::from_utf8(only).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut id = None;
        let text = text.trim_end_matches([' ', '\t']);
        let fields = text.strip_suffix(';').unwrap_or(text).split(';').skip(1);
        for field in fields {
            let (name, value) = field.trim_matches([' ', '\t']).split_once('=')?;
            if !is_extension_name(name) || value.is_empty() || !value.bytes().all(is_extension_octet) {
                return None;
            }
            if name == "id" && id.is_none() {
                let is_id =
                    value.len() <= ID_BYTES_MAX && value.bytes().all(|octet| octet.is_ascii_alphanumeric());
                id = Some(is_id.then(|| value.to_owned())?);
            }
        }
        id.map(|id| Self { id })
    }
}

fn is_extension_name(name: &str) -> bool {
    let mut octets = name.bytes();
    octets.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() <= 32
        && octets.all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.'))
}

fn is_extension_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'=' | b';')
}

/// What the domain says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsPolicy {
    pub mode: StsMode,
    /// How long it holds from when it was fetched.
    pub max_age_seconds: u32,
    pub hosts: Vec<HostPattern>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StsMode {
    /// Hosts that fail get no mail.
    Enforce,
    /// They get it, and the failure is reported.
    Testing,
    /// As if there were no policy.
    None,
}

impl fmt::Display for StsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

/// A host, or `*.` and what one more label stands in front of. Lower case, A-labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPattern(String);

impl HostPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 8461 §4.1: a star is one label, never none and never two.
    fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(rest) => host
                .split_once('.')
                .is_some_and(|(label, others)| !label.is_empty() && others.eq_ignore_ascii_case(rest)),
            None => host.eq_ignore_ascii_case(&self.0),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostPattern {
    type Err = StsError;

    fn from_str(text: &str) -> Result<Self, StsError> {
        let (star, name) = text.strip_prefix("*.").map_or(("", text), |rest| ("*.", rest));
        let name: Domain = name.parse().map_err(|_| StsError::Value("mx"))?;
        Ok(Self(format!("{star}{}", name.to_lookup())))
    }
}

/// Why a policy is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    #[error("it is not UTF-8 of {POLICY_BYTES_MAX} octets at most")]
    Text,
    #[error("a line in it has no colon")]
    Line,
    #[error("its {0} is missing")]
    Missing(&'static str),
    #[error("its {0} is not one")]
    Value(&'static str),
    #[error("it names more than {HOSTS_MAX} hosts")]
    TooManyHosts,
}

impl StsPolicy {
    /// RFC 8461 §3.2
    pub fn parse(octets: &[u8]) -> Result<Self, StsError> {
        let text = (octets.len() <= POLICY_BYTES_MAX).then_some(octets).ok_or(StsError::Text)?;
        let text = std::str::from_utf8(text).map_err(|_| StsError::Text)?;
        let (mut version, mut mode, mut max_age, mut hosts) = (None, None, None, Vec::new());
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if line.trim().is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(StsError::Line)?;
            let value = value.trim_matches([' ', '\t']);
            match key {
                // Of what stands there twice the first counts.
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if hosts.len() == HOSTS_MAX => return Err(StsError::TooManyHosts),
                "mx" => hosts.push(value.parse()?),
                // What later versions may add.
                _ => {}
            }
        }
        if version.ok_or(StsError::Missing("version"))? != VERSION {
            return Err(StsError::Value("version"));
        }
        let mode = match mode.ok_or(StsError::Missing("mode"))? {
            "enforce" => StsMode::Enforce,
            "testing" => StsMode::Testing,
            "none" => StsMode::None,
            _ => return Err(StsError::Value("mode")),
        };
        let max_age_seconds = seconds(max_age.ok_or(StsError::Missing("max_age"))?)?;
        if hosts.is_empty() && mode != StsMode::None {
            return Err(StsError::Missing("mx"));
        }
        Ok(Self { mode, max_age_seconds, hosts })
    }

    /// The pattern that a host of this name matches.
    pub fn pattern_of(&self, host: &str) -> Option<&HostPattern> {
        self.hosts.iter().find(|pattern| pattern.matches(host))
    }
}

fn seconds(text: &str) -> Result<u32, StsError> {
    let is_number = !text.is_empty() && text.len() <= 10 && text.bytes().all(|octet| octet.is_ascii_digit());
    let number: Option<u64> = if is_number { text.parse().ok() } else { None };
    let number = number.ok_or(StsError::Value("max_age"))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX).min(MAX_AGE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(records: &[&str]) -> Option<String> {
        let records: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        StsRecord::among(&records).map(|record| record.id)
    }

    /// C386
    #[test]
    fn there_is_one_record_or_none() {
        let good = "v=STSv1; id=20260101T000000;";
        for one in [&[good][..], &["v=spf1 -all", good], &["v=STSv1;id=20260101T000000 ; later=x"]] {
            assert_eq!(id(one).as_deref(), Some("20260101T000000"), "{one:?}");
        }
        let too_long = format!("v=STSv1; id={}", "x".repeat(33));
        for none in [
            &[][..],
            &[good, good],
            &[good, "v=STSv1; id="],
            &["v=STSv2; id=1"],
            &["v=STSv1"],
            &["v=STSv1;"],
            &["v=STSv1; id=a-b"],
            &["v=STSv1; id=1; broken"],
            &["v=STSv1; id=1; a=b=c"],
            &[" v=STSv1; id=1"],
            &[&too_long],
        ] {
            assert_eq!(id(none), None, "{none:?}");
        }
    }

    fn policy(text: &str) -> Result<StsPolicy, StsError> {
        StsPolicy::parse(text.as_bytes())
    }

    #[test]
    fn a_policy_is_read() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: MX1.example.org\r\nmx:*.example.net \r\nmax_age: 604800\r\n";
        let read = policy(text).unwrap();
        assert_eq!((read.mode, read.max_age_seconds), (StsMode::Enforce, 604_800));
        let hosts: Vec<&str> = read.hosts.iter().map(HostPattern::as_str).collect();
        assert_eq!(hosts, ["mx1.example.org", "*.example.net"]);
        assert_eq!(policy(&text.replace("\r\n", "\n")).unwrap(), read);
        let later = format!("{text}mode: none\r\nmax_age: 1\r\nnew_in_v2: yes\r\n");
        assert_eq!(policy(&later).unwrap(), read, "the first counts, and what is unknown does not");
        let none = policy("version: STSv1\nmode: none\nmax_age: 99999999999").unwrap_err();
        assert_eq!(none, StsError::Value("max_age"));
        let none = policy("version: STSv1\nmode: none\nmax_age: 4294967295").unwrap();
        assert_eq!((none.mode, none.max_age_seconds), (StsMode::None, MAX_AGE_SECONDS_MAX));
    }

    #[test]
    fn what_is_no_policy() {
        let good = "version: STSv1\nmode: testing\nmx: mx.example\nmax_age: 60\n";
        assert!(policy(good).is_ok());
        for (from, to, error) in [
            ("version: STSv1\n", "", StsError::Missing("version")),
            ("STSv1", "STSv2", StsError::Value("version")),
            ("mode: testing\n", "", StsError::Missing("mode")),
            ("testing", "Testing", StsError::Value("mode")),
            ("mx: mx.example\n", "", StsError::Missing("mx")),
            ("mx.example", "mx..example", StsError::Value("mx")),
            ("mx.example", "a.*.example", StsError::Value("mx")),
            ("mx.example", "*", StsError::Value("mx")),
            ("max_age: 60\n", "", StsError::Missing("max_age")),
            ("60", "-60", StsError::Value("max_age")),
            ("60", "", StsError::Value("max_age")),
            ("mode: testing", "<html>", StsError::Line),
        ] {
            assert_eq!(policy(&good.replace(from, to)), Err(error), "{from:?} → {to:?}");
        }
        assert_eq!(StsPolicy::parse(&[0xFF, 0xFE]), Err(StsError::Text));
        assert_eq!(StsPolicy::parse(&vec![b' '; POLICY_BYTES_MAX + 1]), Err(StsError::Text));
        assert_eq!(
            policy(&good.replace("mx: mx.example\n", &"mx: m.x\n".repeat(201))),
            Err(StsError::TooManyHosts)
        );
    }

    /// C388
    #[test]
    fn a_star_is_one_label() {
        let policy =
            policy("version: STSv1\nmode: enforce\nmx: *.example.com\nmx: mx.example.net\nmax_age: 60")
                .unwrap();
        for matching in ["mx.example.com", "MX.Example.COM", "mx.example.net"] {
            assert!(policy.pattern_of(matching).is_some(), "{matching}");
        }
        for other in
            ["example.com", "a.b.example.com", ".example.com", "mxexample.com", "a.mx.example.net", ""]
        {
            assert!(policy.pattern_of(other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_brings_the_parsers_down(octets in prop::collection::vec(any::<u8>(), 0..300), lines in ".{0,200}") {
            let _ = StsPolicy::parse(&octets);
            let _ = StsPolicy::parse(format!("version: STSv1\nmode: none\n{lines}").as_bytes());
            let _ = StsRecord::among(&[octets, format!("v=STSv1;{lines}").into_bytes()]);
        }
    }
}
