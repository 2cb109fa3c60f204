//! FETCH (RFC 9051 §6.4.5): messages one after the other, and of each what is asked for; as much at a time as the client
//! takes.

mod content;
mod items;
mod listed;
mod pages;

use std::sync::Arc;

use proto::imap::{
    command::{Fetch, FetchItem, SectionText},
    response::{Code, Data, FetchData, Status},
    sequence::SequenceSet,
};
use store::{
    StoreError,
    mailbox::{ListedMessage, StoredMessage, Summary},
};

pub(super) use content::{Form, Stream, measure};
pub(super) use items::{form, place};
use listed::Listed;
use pages::{Loaded, Pages};

use super::{
    refusal::Refusal,
    session::{Next, OUTPUT_BYTES_MAX, Session},
};

/// A FETCH under way, or what STORE tells of.
pub(super) struct FetchWork {
    items: Arc<[FetchItem]>,
    pages: Pages,
    /// Where it is all that is asked for.
    listed: Option<Listed>,
    current: Option<Current>,
    by_uid: bool,
    /// Some of the messages are gone.
    missing: bool,
    /// How it went so far.
    status: Status,
}

/// What is read of each message besides its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    /// To read a body sets \\Seen.
    seen: bool,
    summary: bool,
}

/// A message that is being told of.
struct Current {
    message: StoredMessage,
    summary: Option<Arc<Summary>>,
    /// Of the items, the next.
    next: usize,
    stream: Option<Stream>,
    /// \Seen was set for this.
    newly_seen: bool,
}

impl FetchWork {
    /// `uids`: those to tell of, ascending. By UID it is no mistake to name messages that are not there.
    pub(super) fn new(uids: Vec<u32>, items: Vec<FetchItem>, by_uid: bool) -> Self {
        let needs = Needs { seen: items.iter().any(sets_seen), summary: items.iter().any(needs_summary) };
        Self {
            items: items.into(),
            pages: Pages::new(uids, needs),
            listed: None,
            current: None,
            by_uid,
            missing: false,
            status: Status::ok("fetched"),
        }
    }

    fn with_listed(self, listed: Listed) -> Self {
        let missing = self.pages.left() > listed.left();
        Self { listed: Some(listed), missing, ..self }
    }

    fn end(&self) -> Status {
        if self.missing && !self.by_uid { gone() } else { self.status.clone() }
    }
}

/// RFC 5530 §3: the client should look what is new.
pub(super) fn gone() -> Status {
    Status::no(Code::ExpungeIssued, "some of the messages are not there any more")
}

/// RFC 9051 §6.4.5: to read a body sets \Seen.
fn sets_seen(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body { peek, .. } | FetchItem::Binary { peek, .. } => !peek,
        FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
        _ => false,
    }
}

/// Whether what is kept of the message answers it.
fn needs_summary(item: &FetchItem) -> bool {
    match item {
        FetchItem::Envelope
        | FetchItem::BodyShort
        | FetchItem::BodyStructure
        | FetchItem::Preview { .. }
        | FetchItem::ThreadId
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Text => true,
        FetchItem::Body { section, .. } => !section.part.is_empty() || section.text != SectionText::All,
        FetchItem::Binary { part, .. } | FetchItem::BinarySize(part) => !part.is_empty(),
        _ => false,
    }
}

/// What a response has besides what was asked for: the UID where the client speaks in UIDs.
fn with_uid(mut items: Vec<FetchItem>, by_uid: bool) -> Vec<FetchItem> {
    if by_uid && !items.contains(&FetchItem::Uid) {
        items.insert(0, FetchItem::Uid);
    }
    items
}

impl Session {
    pub(super) async fn fetch(&mut self, by_uid: bool, fetch: Fetch) -> Result<Next, Refusal> {
        let Fetch { messages, items, modifiers } = fetch;
        let mut uids = self.resolve(&messages, by_uid)?;
        if let Some(range) = modifiers.partial {
            // RFC 9394 §3.3
            uids = super::search::part(range, &uids).to_vec();
        }
        let mut items = with_uid(items, by_uid);
        let mut listed = None;
        if let Some(modseq) = modifiers.changed_since {
            let vanished = modifiers.vanished.then_some(&messages);
            let changed = self.only_changed(&uids, modseq, vanished).await?;
            uids = changed.iter().map(|message| message.uid.0).collect();
            if !items.contains(&FetchItem::ModSeq) {
                items.push(FetchItem::ModSeq);
            }
            listed = listed::suffices(&items).then(|| Listed::new(changed));
        } else if listed::suffices(&items) {
            listed = self.list_for_fetch(&uids).await?;
        }
        let work = FetchWork::new(uids, items, by_uid);
        Ok(Next::Fetch(Box::new(match listed {
            Some(listed) => work.with_listed(listed),
            None => work,
        })))
    }

    /// RFC 7162 §3.1.4.1, §3.2.6. `vanished`: of these UIDs, those that are gone since are told.
    async fn only_changed(
        &mut self,
        uids: &[u32],
        since: u64,
        vanished: Option<&SequenceSet>,
    ) -> Result<Vec<ListedMessage>, Refusal> {
        let selected = self.selected()?;
        let (mailbox, last) = (selected.mailbox, selected.view.last_uid());
        let changes = self.mailboxes().changes_since(mailbox, since).await?;
        if let Some(asked) = vanished.and_then(|asked| asked.resolve(last)) {
            let gone = changes.vanished.uids().map(|uid| uid.0).filter(|uid| asked.contains(*uid));
            self.machine.data(&Data::Vanished { earlier: true, uids: gone.collect() });
        }
        let mut changed = changes.changed;
        changed.retain(|message| uids.binary_search(&message.uid.0).is_ok());
        Ok(changed)
    }

    /// Writes what there is room for. The status at the end.
    pub(super) async fn fetch_on(&mut self, work: &mut FetchWork) -> Result<Option<Status>, Refusal> {
        if work.listed.is_some() {
            return Ok(self.tell_listed(work)?.then(|| work.end()));
        }
        while self.machine.output_len() < OUTPUT_BYTES_MAX {
            if let Some(current) = &mut work.current {
                if self.fetch_piece(current, &work.items, &mut work.status).await? {
                    continue;
                }
                self.machine.end_fetch();
                work.current = None;
            }
            let Some(loaded) = self.next_message(work).await? else {
                return Ok(Some(work.end()));
            };
            let Loaded { message, summary, newly_seen } = loaded;
            let Some(number) = self.selected()?.view.number(message.uid.0) else { continue };
            self.tell_keywords(&message.record.keywords);
            self.machine.start_fetch(number);
            work.current = Some(Current { message, summary, next: 0, stream: None, newly_seen });
        }
        Ok(None)
    }

    /// False once all is told of the message.
    async fn fetch_piece(
        &mut self,
        current: &mut Current,
        items: &[FetchItem],
        status: &mut Status,
    ) -> Result<bool, Refusal> {
        if let Some(stream) = &mut current.stream {
            match stream.next(&self.service.stores.mailboxes).await? {
                Some(chunk) => self.machine.content(&chunk),
                None => current.stream = None,
            }
            return Ok(true);
        }
        let Some(item) = items.get(current.next) else {
            self.tell_seen(current, items);
            return Ok(false);
        };
        current.next += 1;
        match self.fetch_item(current, item, status).await {
            // Its last reference went between the look-up and now.
            Err(StoreError::NotFound) => {
                current.next = items.len();
                *status = gone();
            }
            outcome => outcome?,
        }
        Ok(true)
    }

    /// RFC 9051 §6.4.5: that \Seen was set is part of the response.
    fn tell_seen(&mut self, current: &mut Current, items: &[FetchItem]) {
        if !std::mem::take(&mut current.newly_seen) {
            return;
        }
        if !items.contains(&FetchItem::Flags) {
            self.write_flags(&current.message);
        }
        if self.machine.enabled().condstore && !items.contains(&FetchItem::ModSeq) {
            self.machine.fetch_item(&FetchData::ModSeq(current.message.modseq));
        }
    }
}
