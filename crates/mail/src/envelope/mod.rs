//! What MAIL and RCPT say, with a file for the parameters of each family of extensions.

mod dsn;
mod promise;
mod time;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    dsn::{Notify, OriginalRecipient, Return},
    promise::{Solicitation, TlsDemand, Tracking, ValidSince},
    time::{ByMode, DeliverBy, Hold, MtPriority},
};
use crate::{ForwardPath, ReversePath};

/// What MAIL and RCPT said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub reverse_path: ReversePath,
    pub mail: MailParameters,
    pub recipients: Vec<Recipient>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub forward_path: ForwardPath,
    pub rcpt: RcptParameters,
}

/// Parameters of MAIL. More join as extensions do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailParameters {
    /// RFC 1870, octets.
    pub size: Option<u64>,
    pub body: Body,
    pub smtputf8: bool,
    /// RFC 3461 §4.3
    pub ret: Option<Return>,
    /// RFC 3461 §4.4, xtext decoded.
    pub envid: Option<String>,
    /// RFC 2852
    pub deliver_by: Option<DeliverBy>,
    /// RFC 6710
    pub priority: Option<MtPriority>,
    /// RFC 4865
    pub hold: Option<Hold>,
    /// RFC 8689
    pub tls: TlsDemand,
    /// RFC 3865
    pub solicit: Option<Solicitation>,
    /// RFC 3885
    pub tracking: Option<Tracking>,
}

/// Parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RcptParameters {
    pub notify: Option<Notify>,
    pub orcpt: Option<OriginalRecipient>,
    /// RFC 7293
    pub valid_since: Option<ValidSince>,
}

/// RFC 6152, RFC 3030
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    #[default]
    SevenBit,
    EightBitMime,
    BinaryMime,
}

/// Not a value of that parameter of MAIL or RCPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of the parameter is not valid")]
pub struct ParameterError;

/// The value of `BODY=`.
impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        })
    }
}

impl FromStr for Body {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let all = [Self::SevenBit, Self::EightBitMime, Self::BinaryMime];
        all.into_iter().find(|body| text.eq_ignore_ascii_case(&body.to_string())).ok_or(ParameterError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_values() {
        assert_eq!("8bitmime".parse(), Ok(Body::EightBitMime));
        assert_eq!("9BIT".parse::<Body>(), Err(ParameterError));
    }
}
