//! The messages of a FETCH, read from the store a few at a time.

use std::{collections::VecDeque, iter, sync::Arc};

use mail::Right;
use store::mailbox::{FlagChange, FlagChangeKind, Flags, StoredMessage, Summary, Uid};

use super::{
    super::{refusal::Refusal, session::Session},
    FetchWork, Needs,
};

const PAGE_MESSAGES: usize = 200;
/// Where \Seen is set, it is set for so many at once.
const SEEN_MESSAGES: usize = 16;
/// Summaries in memory; some are large.
const SUMMARIES: usize = 32;

pub(super) struct Pages {
    uids: VecDeque<u32>,
    needs: Needs,
    loaded: VecDeque<Loaded>,
}

/// A message as it was read from the store.
pub(super) struct Loaded {
    pub(super) message: StoredMessage,
    /// If it was wanted, and there is one.
    pub(super) summary: Option<Arc<Summary>>,
    /// \Seen was set just now.
    pub(super) newly_seen: bool,
}

impl Pages {
    pub(super) fn new(uids: Vec<u32>, needs: Needs) -> Self {
        Self { uids: uids.into(), needs, loaded: VecDeque::new() }
    }

    /// Messages that are not read yet.
    pub(super) fn left(&self) -> usize {
        self.uids.len()
    }

    fn size(&self) -> usize {
        match self.needs {
            Needs { seen: true, .. } => SEEN_MESSAGES,
            Needs { summary: true, .. } => SUMMARIES,
            _ => PAGE_MESSAGES,
        }
    }
}

impl Session {
    pub(super) async fn next_message(&mut self, work: &mut FetchWork) -> Result<Option<Loaded>, Refusal> {
        while work.pages.loaded.is_empty() && !work.pages.uids.is_empty() {
            let count = work.pages.uids.len().min(work.pages.size());
            let wanted: Vec<u32> = work.pages.uids.drain(..count).collect();
            let found = self.load(&wanted).await?;
            work.missing |= found.len() < wanted.len();
            let mut page = self.with_summaries(found, work.pages.needs).await?;
            if work.pages.needs.seen {
                self.set_seen(&mut page).await?;
            }
            work.pages.loaded = page;
        }
        Ok(work.pages.loaded.pop_front())
    }

    async fn with_summaries(
        &mut self,
        found: Vec<StoredMessage>,
        needs: Needs,
    ) -> Result<VecDeque<Loaded>, Refusal> {
        let kept = if needs.summary {
            let mailbox = self.selected()?.mailbox;
            self.mailboxes().kept_summaries(mailbox, &found).await?
        } else {
            Vec::new()
        };
        let kept = kept.into_iter().map(|summary| summary.map(Arc::new)).chain(iter::repeat(None));
        let loaded = |(message, summary)| Loaded { message, summary, newly_seen: false };
        Ok(found.into_iter().zip(kept).map(loaded).collect())
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

    async fn set_seen(&mut self, page: &mut VecDeque<Loaded>) -> Result<(), Refusal> {
        let selected = self.selected()?;
        let mailbox = selected.mailbox;
        let unseen: Vec<Uid> = page
            .iter()
            .map(|loaded| &loaded.message)
            .filter(|message| !message.record.flags.has(Flags::SEEN))
            .map(|message| message.uid)
            .collect();
        let may = !selected.read_only && selected.rights.has(Right::KeepSeen);
        if !may || unseen.is_empty() {
            return Ok(());
        }
        let change = FlagChange { how: FlagChangeKind::Add, flags: Flags::SEEN, keywords: Vec::new() };
        let stored = self.mailboxes().store_flags(mailbox, &unseen, &change, None).await?;
        let view = &mut self.selected()?.view;
        for now in stored.messages {
            view.knows(now.uid.0, now.modseq);
            if let Some(loaded) = page.iter_mut().find(|loaded| loaded.message.uid == now.uid) {
                loaded.message.modseq = now.modseq;
                loaded.message.record.flags = now.flags;
                loaded.message.record.keywords = now.keywords;
                loaded.newly_seen = true;
            }
        }
        Ok(())
    }
}
