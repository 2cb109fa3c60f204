//! Reports of others: what became of the recipients they tell of, and of which message.
//!
//! Read are `message/delivery-status` (RFC 3464) and its global kind (RFC 6533), wherever in the message it stands, and
//! the texts that qmail, Exim and older systems write instead.

mod parts;
mod status;
#[cfg(test)]
mod tests;
mod texts;

use std::str::FromStr;

use super::Action;
use crate::{
    Address, EnhancedStatus,
    cause::{Classified, classify, find_code},
    header,
};
use parts::Leaf;

/// Recipients of one report that are read.
pub const RECIPIENTS_MAX: usize = 100;
/// Octets of a message that are worth reading: what follows them is the returned message, not the report.
pub const READ_BYTES_MAX: u64 = 256 * 1024;

/// What a report tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounce {
    /// At least one, at most [`RECIPIENTS_MAX`].
    pub recipients: Vec<Outcome>,
    /// Of the message reported on, without angle brackets.
    pub message_id: Option<String>,
    pub envid: Option<String>,
}

/// What a report says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// To whom it was to be delivered there.
    pub recipient: Option<Address>,
    /// Whom its sender named.
    pub original: Option<Address>,
    pub action: Action,
    pub status: Option<EnhancedStatus>,
    /// What some host said, cleaned.
    pub diagnostic: Option<String>,
}

impl FromStr for Action {
    type Err = ();

    /// RFC 3464 §2.3.3
    fn from_str(text: &str) -> Result<Self, ()> {
        let known = [
            ("failed", Self::Failed),
            ("delayed", Self::Delayed),
            ("delivered", Self::Delivered),
            ("relayed", Self::Relayed),
            ("expanded", Self::Expanded),
        ];
        known
            .into_iter()
            .find(|(word, _)| text.eq_ignore_ascii_case(word))
            .map(|(_, action)| action)
            .ok_or(())
    }
}

impl Outcome {
    /// Why. Permanent if it failed, whatever the code: nobody there tries any more.
    pub fn classified(&self) -> Classified {
        let text = self.diagnostic.as_deref().unwrap_or_default();
        let (code, rest) = find_code(text).map_or((None, text), |(code, rest)| (Some(code), rest));
        // RFC 3463 §2: what says nothing but the class is less than what the host said.
        let said = EnhancedStatus::parse_prefix(rest).map(|(status, _)| status);
        let status = self.status.filter(|status| (status.subject, status.detail) != (0, 0)).or(said);
        Classified {
            permanent: self.action == Action::Failed,
            ..classify(code, status.or(self.status), rest)
        }
    }
}

/// `None`: the message is no report of a form that is known, or tells of nobody. Costs time linear in its length.
pub fn read(message: &[u8]) -> Option<Bounce> {
    let leaves = parts::leaves(message);
    let section = message.get(..header::body_start(message)).unwrap_or(message);
    let told = leaves.iter().find(|leaf| leaf.is_status()).map(|leaf| status::read(&leaf.content()));
    let mut bounce = told.filter(|bounce| !bounce.recipients.is_empty()).unwrap_or_default();
    let text = leaves.first().filter(|leaf| leaf.is_text()).map(Leaf::content);
    let found = text.as_deref().filter(|_| bounce.recipients.is_empty());
    let (mut copied, mut texts) = (None, Vec::new());
    if let Some(text) = found {
        (texts, copied) = texts::read(section, text);
    }
    bounce.recipients.append(&mut texts);
    if bounce.recipients.is_empty() {
        return None;
    }
    let returned = leaves.iter().find(|leaf| leaf.is_returned());
    bounce.message_id = returned
        .and_then(|leaf| header::message_id(&leaf.content()))
        .or(copied)
        .or_else(|| answered(section));
    Some(bounce)
}

/// What the report calls the message that it answers.
fn answered(section: &[u8]) -> Option<String> {
    let value = header::value(section, "In-Reply-To")?;
    header::message_id(&[b"Message-ID: ", value.as_slice(), b"\r\n"].concat())
}
