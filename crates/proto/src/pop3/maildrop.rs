//! What a session sees of a mailbox: fixed at login, with marks for what is to be deleted (RFC 1939 §5).

use std::fmt::Write;

/// A maildrop as it was at login, in the order of its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaildropListing {
    /// Part of every unique-id: UIDs of another UIDVALIDITY are other messages.
    pub uid_validity: u32,
    /// At most [`MAILDROP_MESSAGES_MAX`](super::MAILDROP_MESSAGES_MAX).
    pub entries: Vec<MaildropEntry>,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaildropEntry {
    /// As they will be sent, dot-stuffing not counted.
    pub octets: u64,
    pub uid: u32,
}

/// A listing with the deletions of this session.
#[derive(Debug)]
pub(super) struct Maildrop {
    uid_validity: u32,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    octets: u64,
    uid: u32,
    deleted: bool,
}

/// Which of the two listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// LIST
    Octets,
    /// UIDL
    UniqueId,
}

/// Why there is no such message; the words go to the client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoMessage {
    #[error("no such message")]
    Number,
    #[error("message {0} is deleted")]
    Deleted(u32),
}

impl Maildrop {
    pub(super) fn new(listing: &MaildropListing) -> Self {
        let message =
            |entry: &MaildropEntry| Message { octets: entry.octets, uid: entry.uid, deleted: false };
        let messages = listing.entries.iter().take(super::MAILDROP_MESSAGES_MAX).map(message).collect();
        Self { uid_validity: listing.uid_validity, messages }
    }

    /// How many messages there are and their octets, without those marked as deleted.
    pub(super) fn count_and_octets(&self) -> (usize, u64) {
        let present = self.messages.iter().filter(|message| !message.deleted);
        present.fold((0, 0), |(count, octets): (usize, u64), message| {
            (count.saturating_add(1), octets.saturating_add(message.octets))
        })
    }

    /// UID and octets of message `number`, counted from one.
    pub(super) fn get(&self, number: u32) -> Result<MaildropEntry, NoMessage> {
        let message = index(number).and_then(|index| self.messages.get(index)).ok_or(NoMessage::Number)?;
        if message.deleted {
            return Err(NoMessage::Deleted(number));
        }
        Ok(MaildropEntry { octets: message.octets, uid: message.uid })
    }

    pub(super) fn delete(&mut self, number: u32) -> Result<(), NoMessage> {
        self.get(number)?;
        if let Some(message) = index(number).and_then(|index| self.messages.get_mut(index)) {
            message.deleted = true;
        }
        Ok(())
    }

    pub(super) fn undelete_all(&mut self) {
        for message in &mut self.messages {
            message.deleted = false;
        }
    }

    /// UIDs of the messages marked as deleted.
    pub(super) fn deleted(&self) -> Vec<u32> {
        self.messages.iter().filter(|message| message.deleted).map(|message| message.uid).collect()
    }

    /// The line about message `number`, without its CRLF: `2 120` or `2 1700000000.7`.
    pub(super) fn line(&self, number: u32, column: Column) -> Result<String, NoMessage> {
        let entry = self.get(number)?;
        let mut line = number.to_string();
        // Writing to a String does not fail.
        let _ = match column {
            Column::Octets => write!(line, " {}", entry.octets),
            // RFC 1939 §7: 1 to 70 octets of 0x21 to 0x7E, the same in every session.
            Column::UniqueId => write!(line, " {}.{}", self.uid_validity, entry.uid),
        };
        Ok(line)
    }

    /// Whether there is no message of this number or above.
    pub(super) fn ends_before(&self, number: u32) -> bool {
        index(number).is_none_or(|index| index >= self.messages.len())
    }
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop() -> Maildrop {
        let entries = vec![MaildropEntry { octets: 120, uid: 4 }, MaildropEntry { octets: 200, uid: 9 }];
        Maildrop::new(&MaildropListing { uid_validity: 77, entries })
    }

    #[test]
    fn numbers_start_at_one_and_stay() {
        let mut maildrop = maildrop();
        assert_eq!(maildrop.get(0), Err(NoMessage::Number));
        assert_eq!(maildrop.get(3), Err(NoMessage::Number));
        maildrop.delete(1).unwrap();
        assert_eq!(maildrop.delete(1), Err(NoMessage::Deleted(1)));
        assert_eq!(maildrop.get(2).unwrap().uid, 9);
        assert_eq!(maildrop.count_and_octets(), (1, 200));
        assert_eq!(maildrop.deleted(), [4]);
        maildrop.undelete_all();
        assert_eq!(maildrop.count_and_octets(), (2, 320));
    }

    #[test]
    fn lines_of_both_listings() {
        let maildrop = maildrop();
        assert_eq!(maildrop.line(2, Column::Octets).unwrap(), "2 200");
        assert_eq!(maildrop.line(2, Column::UniqueId).unwrap(), "2 77.9");
        assert!(!maildrop.ends_before(2));
        assert!(maildrop.ends_before(3));
    }
}
