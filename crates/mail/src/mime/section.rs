//! Where the sections of IMAP stand: `BODY[1.2.MIME]` (RFC 9051 §6.4.5.1).

use std::ops::Range;

use super::{Kind, Part, Structure};

/// What of a part is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionPart {
    All,
    /// Of the message, or of the message that the part is.
    Header,
    Text,
    /// The header of the part itself.
    Mime,
}

impl Structure {
    /// Octets from the start of the message; `None`: there is no such section. `path`: empty for the message.
    pub fn section(&self, path: &[u32], which: SectionPart) -> Option<Range<u64>> {
        if path.is_empty() {
            let message = self.parts().first()?;
            return Some(match which {
                SectionPart::All => message.header().start..message.body().end,
                SectionPart::Header | SectionPart::Mime => message.header(),
                SectionPart::Text => message.body(),
            });
        }
        let place = self.place(path)?;
        let part = self.parts().get(place)?;
        let message = || self.parts().get(place + 1).filter(|_| part.kind == Kind::Message);
        match which {
            SectionPart::All => Some(part.body()),
            SectionPart::Mime => Some(part.header()),
            SectionPart::Header => message().map(Part::header),
            SectionPart::Text => message().map(Part::body),
        }
    }

    /// The part with this number, as BODYSTRUCTURE counts; it may be the message itself, if that has one part.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.parts().get(if path.is_empty() { 0 } else { self.place(path)? })
    }

    fn place(&self, path: &[u32]) -> Option<usize> {
        let mut place = 0;
        // A number counts the parts of a message, or those of the multipart that the number before it names.
        let mut is_message = true;
        for &number in path {
            let kind = self.parts().get(place)?.kind;
            if !is_message && kind == Kind::Message {
                place += 1;
                is_message = true;
            }
            let index = usize::try_from(number).ok()?.checked_sub(1)?;
            if self.parts().get(place)?.kind == Kind::Multipart {
                place = self.children(place).nth(index)?;
            } else if !is_message || index != 0 {
                return None;
            }
            is_message = false;
        }
        Some(place)
    }
}
