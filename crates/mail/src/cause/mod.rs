//! Why mail was not delivered: one answer for histories, reports and the suppression list, read from what a host said.
//!
//! Hosts use codes freely (5.7.1 stands for anything), so what they say in words counts first, then the enhanced status
//! (RFC 3463, RFC 5248), then the code.

#[cfg(test)]
mod tests;
mod texts;
mod words;

use serde::{Deserialize, Serialize};

use crate::EnhancedStatus;

/// Why a recipient was not delivered to. Stored by its place: a new one joins at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// There is no such mailbox.
    NoSuchUser,
    /// There is no such domain, or it takes no mail (RFC 7505).
    NoSuchDomain,
    /// What stands for the recipient or sender is no address.
    BadAddress,
    /// The mailbox exists, and takes no mail.
    MailboxDisabled,
    MailboxFull,
    TooBig,
    Spam,
    Virus,
    /// Refused by a rule that is not told.
    Policy,
    /// The sender's host or address has a bad name.
    Reputation,
    /// SPF, DKIM, DMARC or the reverse name do not show who sends.
    SenderUnproven,
    /// The host wants a login, or does not relay for us.
    NotPermitted,
    Greylisted,
    RateLimited,
    /// No connection to the host, or it broke.
    Unreachable,
    /// Names could not be resolved.
    Dns,
    /// No TLS as good as was asked for.
    TlsPolicy,
    Expired,
    Loop,
    /// The form of the message.
    Content,
    /// The host lacks an extension that the message needs.
    Unsupported,
    /// Trouble within the host.
    HostTrouble,
    /// An operator's doing.
    Operator,
    Unknown,
}

/// What a host said, classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    pub cause: Cause,
    /// By the code; without one by the status.
    pub permanent: bool,
}

/// What a reply says. The text may come from anywhere; of it the first 4 KiB count.
pub fn classify(code: Option<u16>, status: Option<EnhancedStatus>, text: &str) -> Classified {
    let class = code.map(|code| code / 100).or(status.map(|status| u16::from(status.class)));
    let cause = texts::cause(text, class)
        .or_else(|| status.and_then(of_status))
        .or_else(|| code.and_then(of_code))
        .unwrap_or(Cause::Unknown);
    Classified { cause, permanent: class == Some(5) }
}

/// As [`classify`], for a reply as it was noted: `550 5.1.1 no such user`, or `550-5.1.1 no such` and more lines. What
/// stands in front of the code is passed over. `None` if no reply is in it.
pub fn classify_noted(text: &str) -> Option<Classified> {
    let (code, rest) = find_code(text)?;
    let status = EnhancedStatus::parse_prefix(rest).map(|(status, _)| status);
    Some(classify(Some(code), status, rest))
}

/// The first code of a reply in a text, and what follows it.
pub(crate) fn find_code(text: &str) -> Option<(u16, &str)> {
    let mut at = 0;
    for word in text.split_inclusive([' ', '\n', ':', '(', '<', '"']) {
        let digits = word.get(..3).filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
        let is_alone =
            word.as_bytes().get(3).is_none_or(|octet| matches!(octet, b' ' | b'-' | b'\n' | b'\r'));
        if let Some(code) = digits.and_then(|digits| digits.parse().ok()).filter(|_| is_alone)
            && (400..600).contains(&code)
        {
            return Some((code, text.get(at + 4..).unwrap_or_default()));
        }
        at += word.len();
    }
    None
}

/// RFC 3463 §3, and the registry that RFC 5248 began.
fn of_status(status: EnhancedStatus) -> Option<Cause> {
    let is_permanent = status.class == 5;
    Some(match (status.subject, status.detail) {
        (1, 1 | 6) => Cause::NoSuchUser,
        // Exchange says 5.4.1 for recipients that its directory does not know.
        (4, 1) | (5, 4) if is_permanent => Cause::NoSuchUser,
        (1, 2 | 10) => Cause::NoSuchDomain,
        (4, 4) if is_permanent => Cause::NoSuchDomain,
        (1, 3 | 4 | 7) => Cause::BadAddress,
        (2, 1) => Cause::MailboxDisabled,
        (2, 2) => Cause::MailboxFull,
        (2 | 3, 3 | 4) => Cause::TooBig,
        (3, 0 | 1 | 2 | 5) => Cause::HostTrouble,
        (4, 1 | 2) => Cause::Unreachable,
        (4, 3 | 4) => Cause::Dns,
        (4, 5) | (5, 3) => Cause::RateLimited,
        (4, 6) => Cause::Loop,
        (4, 7) => Cause::Expired,
        (6, 7) => Cause::Unsupported,
        (6, _) => Cause::Content,
        (7, 4 | 5 | 10 | 11 | 30) => Cause::TlsPolicy,
        (7, 8 | 9 | 14) => Cause::NotPermitted,
        (1, 8) | (7, 20..=29 | 515) => Cause::SenderUnproven,
        (7, _) => Cause::Policy,
        _ => return None,
    })
}

fn of_code(code: u16) -> Option<Cause> {
    Some(match code {
        421 | 452 => Cause::HostTrouble,
        450 => Cause::Greylisted,
        454 | 530 | 534 | 535 | 538 => Cause::NotPermitted,
        521 | 556 => Cause::NoSuchDomain,
        550 | 551 => Cause::NoSuchUser,
        552 => Cause::MailboxFull,
        553 => Cause::BadAddress,
        555 => Cause::Unsupported,
        _ => return None,
    })
}

impl Cause {
    /// The address will not begin to work by itself, so that nothing more should go there.
    pub fn is_hard(self) -> bool {
        matches!(self, Self::NoSuchUser | Self::NoSuchDomain)
    }
}
