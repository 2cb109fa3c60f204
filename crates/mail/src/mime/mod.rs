//! The structure of a message as IMAP shows it (RFC 9051 §7.5.2): envelopes, parts, and where they stand. Made once,
//! as the message comes in, so that nobody has to read the body to tell what is in it.
//!
//! Made to be right for what people's programs see: a bare LF ends a line as CRLF does. Whatever the message is like,
//! the structure is one that IMAP can write: a multipart has parts, a message within a message has an envelope.

mod addresses;
mod builder;
mod content;
mod fields;
mod head;
mod preview;
mod section;
#[cfg(test)]
mod tests;
mod transfer;

use std::ops::Range;

pub use builder::Builder;
pub use fields::HeaderFilter;
pub use head::{AddressHead, EnvelopeHead, StructureHead};
pub use preview::{PREVIEW_CHARS_MAX, PREVIEW_SOURCE_BYTES_MAX};
pub use section::SectionPart;
use serde::{Deserialize, Serialize};
pub use transfer::{TransferDecoder, TransferEncoding};

/// Multiparts and messages within each other; what is deeper is one part.
pub const DEPTH_MAX: usize = 100;
/// Parts of a message; octets beyond are in none but those around them.
pub const PARTS_MAX: usize = 10_000;
/// What is kept of all headers together, in octets; parts beyond it have no names, descriptions or envelopes.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Addresses of one field; others are left out.
pub const ADDRESSES_MAX: usize = 2000;

/// A message taken apart. Compact when serialised; never without a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Each before those within it; the first is the message itself.
    parts: Vec<Part>,
}

/// A message, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where the header starts, in octets from the start of the outermost message.
    header_start: u64,
    /// Where the header ends, its empty line included.
    body_start: u64,
    body_end: u64,
    /// Lines of the body.
    pub lines: u64,
    /// How many parts are within, at any depth.
    descendants: u32,
    pub kind: Kind,
    pub content: Content,
    /// Of a message, outermost or within another; boxed, as few parts are messages.
    pub envelope: Option<Box<Envelope>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Leaf,
    /// With one part or more.
    Multipart,
    /// `message/rfc822`, `message/global`: with one part, the message.
    Message,
}

/// What the header of a part says of its body. All text is UTF-8; octets that were not are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// `text` of `text/plain`, in the case it was written.
    pub media_type: String,
    pub subtype: String,
    pub parameters: Parameters,
    pub id: Option<String>,
    pub description: Option<String>,
    /// `None`: 7bit.
    pub encoding: Option<String>,
    pub md5: Option<String>,
    pub disposition: Option<(String, Parameters)>,
    pub languages: Vec<String>,
    pub location: Option<String>,
}

/// Names and values, as they were written (RFC 2231 is the reader's).
pub type Parameters = Vec<(String, String)>;

impl Default for Content {
    /// RFC 2045 §5.2
    fn default() -> Self {
        Self {
            media_type: "text".to_owned(),
            subtype: "plain".to_owned(),
            parameters: vec![("charset".to_owned(), "us-ascii".to_owned())],
            id: None,
            description: None,
            encoding: None,
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
        }
    }
}

impl Content {
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

/// Values as they were written, unfolded; encoded words are the reader's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub date: Option<String>,
    pub subject: Option<String>,
    pub from: Vec<EnvelopeAddress>,
    /// Empty: the same as `from`, as with `reply_to` (RFC 9051 §7.5.2).
    pub sender: Vec<EnvelopeAddress>,
    pub reply_to: Vec<EnvelopeAddress>,
    pub to: Vec<EnvelopeAddress>,
    pub cc: Vec<EnvelopeAddress>,
    pub bcc: Vec<EnvelopeAddress>,
    pub in_reply_to: Option<String>,
    pub message_id: Option<String>,
    /// No part of what IMAP calls ENVELOPE; tells which messages belong together.
    pub references: Option<String>,
}

/// An address, or where a group begins or ends. Nobody has looked whether mail can be sent there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopeAddress {
    Mailbox {
        name: Option<String>,
        /// The source route, obsolete: `@a,@b`.
        route: Option<String>,
        /// Without quotes.
        local_part: String,
        /// Empty if there is none.
        host: String,
    },
    GroupStart(String),
    GroupEnd,
}

impl Structure {
    /// Of a message that is in memory as a whole.
    pub fn of(message: &[u8]) -> Self {
        let mut builder = Builder::new();
        builder.push(message);
        builder.finish()
    }

    /// Each before those within it; the first is the message itself.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// As it is with so many octets of header fields in front of the message.
    pub fn behind(mut self, prefix_bytes: u64) -> Self {
        for (place, part) in self.parts.iter_mut().enumerate() {
            part.header_start += if place == 0 { 0 } else { prefix_bytes };
            part.body_start += prefix_bytes;
            part.body_end += prefix_bytes;
        }
        self
    }

    /// Octets of the message.
    pub fn octets(&self) -> u64 {
        self.parts.first().map_or(0, |message| message.body_end)
    }

    /// The parts directly within the one at this place in [`parts`](Self::parts), by their places.
    pub fn children(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let descendants = |place: usize| self.parts.get(place).map_or(0, Part::descendants);
        let end = place + descendants(place) + 1;
        let mut next = place + 1;
        std::iter::from_fn(move || {
            let child = next;
            next += descendants(child) + 1;
            (child < end).then_some(child)
        })
    }
}

impl Part {
    /// The header with its empty line.
    pub fn header(&self) -> Range<u64> {
        self.header_start..self.body_start
    }

    pub fn body(&self) -> Range<u64> {
        self.body_start..self.body_end
    }

    fn descendants(&self) -> usize {
        usize::try_from(self.descendants).unwrap_or(usize::MAX)
    }
}
