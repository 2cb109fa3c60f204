//! FETCH of nothing but what the changes of a mailbox tell: UIDs, flags, mod-sequences. No record is read for it.

use std::vec;

use proto::imap::{command::FetchItem, response::FetchData};
use store::mailbox::ListedMessage;

use super::{
    super::{
        flags,
        refusal::Refusal,
        session::{OUTPUT_BYTES_MAX, Session},
    },
    FetchWork,
};

/// To list a mailbox costs what is in it, unless it was listed lately; so of fewer messages, or of a smaller share, the
/// records are read.
const MESSAGES_MIN: usize = 50;
const SHARE_MIN: usize = 8;

/// What is left to be told of.
pub(super) struct Listed(vec::IntoIter<ListedMessage>);

impl Listed {
    pub(super) fn new(messages: Vec<ListedMessage>) -> Self {
        Self(messages.into_iter())
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

/// Whether that is all that is asked for.
pub(super) fn suffices(items: &[FetchItem]) -> bool {
    items.iter().all(|item| matches!(item, FetchItem::Uid | FetchItem::Flags | FetchItem::ModSeq))
}

impl Session {
    /// As many of these messages as are there, if it is worth while.
    pub(super) async fn list_for_fetch(&mut self, uids: &[u32]) -> Result<Option<Listed>, Refusal> {
        let selected = self.selected()?;
        let (mailbox, count) = (selected.mailbox, selected.view.count());
        let is_few = uids.len() < MESSAGES_MIN
            || uids.len().saturating_mul(SHARE_MIN) < usize::try_from(count).unwrap_or(usize::MAX);
        if is_few {
            return Ok(None);
        }
        let listing = self.mailboxes().listing(mailbox).await?;
        Ok(Some(Listed::new(listing.among(uids).cloned().collect())))
    }

    /// Writes what there is room for; true at the end.
    pub(super) fn tell_listed(&mut self, work: &mut FetchWork) -> Result<bool, Refusal> {
        while self.machine.output_len() < OUTPUT_BYTES_MAX {
            let Some(message) = work.listed.as_mut().and_then(|listed| listed.0.next()) else {
                return Ok(true);
            };
            let Some(number) = self.selected()?.view.number(message.uid.0) else { continue };
            self.tell_keywords(&message.keywords);
            self.machine.start_fetch(number);
            for item in &*work.items {
                match item {
                    FetchItem::Uid => self.machine.fetch_item(&FetchData::Uid(message.uid.0)),
                    FetchItem::ModSeq => self.machine.fetch_item(&FetchData::ModSeq(message.modseq)),
                    _ => {
                        let flags = flags::written(message.flags, &message.keywords);
                        self.machine.fetch_item(&FetchData::Flags { flags: &flags, recent: false });
                    }
                }
            }
            self.machine.end_fetch();
        }
        Ok(false)
    }
}
