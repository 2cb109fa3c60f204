//! What a sender wants promised: TLS all the way (RFC 8689), a mailbox that did not change hands (RFC 7293), no
//! solicitation (RFC 3865), a trail to ask for (RFC 3885).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::ParameterError;
use crate::Timestamp;

/// RFC 3865 §2: octets of the value of `SOLICIT=`.
const SOLICITATION_BYTES_MAX: usize = 1000;
/// Octets of a certifier in base64; the hash that it is meant to be needs 28.
const CERTIFIER_BYTES_MAX: usize = 128;

/// RFC 8689: what the connections that a message goes over have to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsDemand {
    /// What the policies of both sides say.
    #[default]
    Usual,
    /// REQUIRETLS: under TLS, to an authenticated host that keeps to it too, or not at all.
    Required,
    /// A report on such a message (§5): the same where it can be had.
    Preferred,
    /// `TLS-Required: No`: to arrive is worth more than what the recipient's domain says of TLS.
    Waived,
}

/// The value of `RRVS=` (RFC 7293 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidSince {
    /// The mailbox must have had one owner from then on.
    pub since: Timestamp,
    /// Where nobody can tell, the message goes on; else it is refused.
    pub or_continue: bool,
}

/// A list of solicitation classes, `net.example:ADV,org.example:ADV:ADLT`; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solicitation(Vec<Box<str>>);

/// The value of `MTRK=` (RFC 3885 §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// Base64.
    pub certifier: String,
    /// How long the trail is wanted.
    pub seconds: Option<u32>,
}

impl fmt::Display for ValidSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.rfc3339().replace(".000Z", "Z");
        write!(f, "{since};{}", if self.or_continue { 'C' } else { 'R' })
    }
}

/// A date and time of RFC 3339, then `;C` or `;R`. Without either, to refuse is the safe side.
impl FromStr for ValidSince {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (since, action) = text.split_once(';').unwrap_or((text, "R"));
        let or_continue = match action {
            "C" | "c" => true,
            "R" | "r" => false,
            _ => return Err(ParameterError),
        };
        Ok(Self { since: since.parse().map_err(|_| ParameterError)?, or_continue })
    }
}

impl Solicitation {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// They have a class in common. Classes count in any case.
    pub fn meets(&self, others: &Self) -> bool {
        self.0.iter().any(|class| others.0.iter().any(|other| class.eq_ignore_ascii_case(other)))
    }

    fn is_class(word: &str) -> bool {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_:".contains(&octet))
    }
}

impl fmt::Display for Solicitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl FromStr for Solicitation {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let well_formed = text.len() <= SOLICITATION_BYTES_MAX && text.split(',').all(Self::is_class);
        well_formed.then(|| Self(text.split(',').map(Into::into).collect())).ok_or(ParameterError)
    }
}

impl fmt::Display for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.certifier)?;
        self.seconds.map_or(Ok(()), |seconds| write!(f, ":{seconds}"))
    }
}

/// Base64, then a colon and up to nine digits, or nothing.
impl FromStr for Tracking {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (certifier, seconds) = match text.split_once(':') {
            Some((certifier, seconds)) => (certifier, Some(seconds)),
            None => (text, None),
        };
        let fits = !certifier.is_empty() && certifier.len() <= CERTIFIER_BYTES_MAX;
        if !fits || STANDARD.decode(certifier).is_err() {
            return Err(ParameterError);
        }
        let digits = |text: &str| text.len() <= 9 && text.bytes().all(|octet| octet.is_ascii_digit());
        let seconds = match seconds {
            Some(text) if digits(text) => Some(text.parse().map_err(|_| ParameterError)?),
            Some(_) => return Err(ParameterError),
            None => None,
        };
        Ok(Self { certifier: certifier.to_owned(), seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_ownership() {
        let read = |text: &str| text.parse::<ValidSince>();
        let plain = read("2014-04-03T23:01:00Z").unwrap();
        assert_eq!(
            plain,
            ValidSince { since: Timestamp::from_millis(1_396_566_060_000), or_continue: false }
        );
        assert_eq!(plain.to_string(), "2014-04-03T23:01:00Z;R");
        assert_eq!(read("2014-04-04T01:01:00+02:00;c").unwrap().to_string(), "2014-04-03T23:01:00Z;C");
        for bad in
            ["", ";C", "2014-04-03", "2014-04-03T23:01:00", "2014-04-03T23:01:00Z;", "2014-04-03T23:01:00Z;X"]
        {
            assert_eq!(read(bad), Err(ParameterError), "{bad}");
        }
    }

    #[test]
    fn solicitation_classes() {
        let read = |text: &str| text.parse::<Solicitation>();
        let ours = read("net.example:ADV,org.example:ADV:ADLT").unwrap();
        assert_eq!(ours.to_string(), "net.example:ADV,org.example:ADV:ADLT");
        assert!(ours.meets(&read("com.example:X,NET.example:adv").unwrap()));
        assert!(!ours.meets(&read("net.example").unwrap()) && !ours.meets(&Solicitation::default()));
        let long = format!("a{}", "b".repeat(SOLICITATION_BYTES_MAX));
        for bad in ["", ",", "a,", "1a", "a b", ":a", "a;b", &long] {
            assert_eq!(read(bad), Err(ParameterError), "{bad}");
        }
    }

    #[test]
    fn tracking_certifiers() {
        let read = |text: &str| text.parse::<Tracking>();
        for good in ["MDEyMzQ1Njc4OWFiY2RlZmdoaWo=", "QUJD:86400", "QUJD:0"] {
            assert_eq!(read(good).unwrap().to_string(), good);
        }
        for bad in ["", ":5", "QUJ", "QUJD:", "QUJD:x", "QUJD:1234567890", "QU-D", "QUJD:5:5", "QUJD:-1"] {
            assert_eq!(read(bad), Err(ParameterError), "{bad}");
        }
    }
}
