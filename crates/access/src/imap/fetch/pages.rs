//! The messages of a FETCH, read from the store a few at a time.

use std::collections::VecDeque;

use store::mailbox::{FlagChange, FlagChangeKind, Flags, StoredMessage, Uid};

use super::{
    super::{refusal::Refusal, session::Session},
    FetchWork,
};

const PAGE_MESSAGES: usize = 200;
/// Where \Seen is set, it is set for so many at once.
const SEEN_MESSAGES: usize = 16;

pub(super) struct Pages {
    uids: VecDeque<u32>,
    sets_seen: bool,
    /// With whether \Seen was set just now.
    loaded: VecDeque<(StoredMessage, bool)>,
}

impl Pages {
    pub(super) fn new(uids: Vec<u32>, sets_seen: bool) -> Self {
        Self { uids: uids.into(), sets_seen, loaded: VecDeque::new() }
    }
}

impl Session {
    pub(super) async fn next_message(
        &mut self,
        work: &mut FetchWork,
    ) -> Result<Option<(StoredMessage, bool)>, Refusal> {
        while work.pages.loaded.is_empty() && !work.pages.uids.is_empty() {
            let limit = if work.pages.sets_seen { SEEN_MESSAGES } else { PAGE_MESSAGES };
            let count = work.pages.uids.len().min(limit);
            let wanted: Vec<u32> = work.pages.uids.drain(..count).collect();
            let found = self.load(&wanted).await?;
            work.missing |= found.len() < wanted.len();
            let mut page: VecDeque<_> = found.into_iter().map(|message| (message, false)).collect();
            if work.pages.sets_seen {
                self.set_seen(&mut page).await?;
            }
            work.pages.loaded = page;
        }
        Ok(work.pages.loaded.pop_front())
    }

    /// Those that are there still, in order of their UIDs. `uids`: ascending.
    pub(in super::super) async fn load(&mut self, uids: &[u32]) -> Result<Vec<StoredMessage>, Refusal> {
        let mailbox = self.selected()?.mailbox;
        let (Some(first), Some(last)) = (uids.first().copied(), uids.last().copied()) else {
            return Ok(Vec::new());
        };
        let span = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
        let mut found = Vec::with_capacity(uids.len());
        if span <= uids.len().saturating_mul(4) {
            // They are close together: one scan.
            found = self.mailboxes().messages(mailbox, Uid(first), span).await?;
            found.retain(|message| uids.binary_search(&message.uid.0).is_ok());
        } else {
            for uid in uids {
                found.extend(self.mailboxes().message(mailbox, Uid(*uid)).await?);
            }
        }
        Ok(found)
    }

    async fn set_seen(&mut self, page: &mut VecDeque<(StoredMessage, bool)>) -> Result<(), Refusal> {
        let selected = self.selected()?;
        let mailbox = selected.mailbox;
        let unseen: Vec<Uid> = page
            .iter()
            .filter(|(message, _)| !message.record.flags.has(Flags::SEEN))
            .map(|(message, _)| message.uid)
            .collect();
        if selected.read_only || unseen.is_empty() {
            return Ok(());
        }
        let change = FlagChange { how: FlagChangeKind::Add, flags: Flags::SEEN, keywords: Vec::new() };
        let stored = self.mailboxes().store_flags(mailbox, &unseen, &change, None).await?;
        let view = &mut self.selected()?.view;
        for now in stored.messages {
            view.knows(now.uid.0, now.modseq);
            if let Some((message, newly)) = page.iter_mut().find(|(message, _)| message.uid == now.uid) {
                message.modseq = now.modseq;
                message.record.flags = now.flags;
                message.record.keywords = now.keywords;
                *newly = true;
            }
        }
        Ok(())
    }
}
