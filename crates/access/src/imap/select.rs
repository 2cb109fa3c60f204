//! SELECT, EXAMINE, CLOSE (RFC 9051 §6.3.2, §6.3.3, §6.4.1; RFC 7162 §3.2.5).

use std::num::NonZeroU32;

use mail::{Right, Rights};
use proto::imap::{
    command::{Flag, QResync, Select},
    response::{Code, Data, Status},
    sequence::{NumberSet, SequenceSet},
};
use store::{
    mailbox::{FlagMask, Flags, Listing, Mailbox, MailboxId, UidRanges},
    sharing::Reached,
};

use super::{
    flags, outbox,
    reach::{changeable, changing, no_right},
    refusal::Refusal,
    session::{Next, Session},
    urls::MECHANISM,
    view::View,
    watch::Watch,
};
use crate::planted::Planted;

/// The mailbox that a client has open.
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    pub(super) read_only: bool,
    /// What the client may do, as it was when the command under way began.
    pub(super) rights: Rights,
    pub(super) view: View,
    /// Up to which the view is true.
    pub(super) modseq: u64,
    /// What `$` stands for, in UIDs (RFC 5182).
    pub(super) saved: NumberSet,
    /// Those that the client has heard of.
    pub(super) flags: Vec<Flag>,
    /// The command under way names messages by UID.
    pub(super) speaks_uid: bool,
    /// The mailbox was deleted.
    pub(super) is_gone: bool,
    pub(super) watch: Watch,
}

/// What stands behind a mailbox whose client wants to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Stored(MailboxId),
    /// It follows the queue: see [`outbox`].
    Outbox(MailboxId),
}

impl Selected {
    /// The mailbox, if the client may take messages away from it.
    pub(super) fn removable(&self) -> Result<MailboxId, Refusal> {
        match self.open_to_remove()? {
            Open::Stored(mailbox) => Ok(mailbox),
            Open::Outbox(_) => Err(outbox::cannot()),
        }
    }

    /// The mailbox, if anything of it may be changed, with one of these rights.
    pub(super) fn open_to_change(&self, needed: impl Into<Rights>) -> Result<Open, Refusal> {
        if self.read_only {
            return Err(Refusal::no(Code::NoPerm, "the mailbox is open to be read only"));
        }
        if !self.rights.has_any(needed.into()) {
            return Err(no_right());
        }
        Ok(if self.mailbox.is_outbox() { Open::Outbox(self.mailbox) } else { Open::Stored(self.mailbox) })
    }

    /// RFC 6851 §4.2
    pub(super) fn open_to_remove(&self) -> Result<Open, Refusal> {
        self.open_to_change(Right::DeleteMessages)?;
        self.open_to_change(Right::Expunge)
    }

    /// Flags that the client may change.
    pub(super) fn changeable(&self) -> FlagMask {
        if self.read_only {
            return FlagMask { flags: Flags::default(), keywords: false };
        }
        let mask = changeable(self.rights);
        FlagMask { keywords: mask.keywords && !self.mailbox.is_outbox(), ..mask }
    }
}

impl Session {
    pub(super) async fn select(&mut self, select: &Select) -> Result<Next, Refusal> {
        self.selected = None;
        let Reached { mailbox, rights, .. } = self.find(&select.mailbox, Right::Read).await?;
        let mailbox = Mailbox { name: select.mailbox.as_str().to_owned(), ..mailbox };
        let read_only = select.read_only || !rights.has_any(changing());
        // Watched before it is read, so that nothing comes unseen in between.
        let watch = Watch::new(&self.service.stores, &mailbox);
        if mailbox.id.is_outbox() {
            self.follow_queue().await?;
        }
        let listing = self.mailboxes().listing(mailbox.id).await?;
        let resync = select.qresync.as_ref().filter(|known| known.uid_validity.get() == mailbox.uid_validity);
        self.selected = Some(Box::new(Selected {
            mailbox: mailbox.id,
            read_only,
            rights,
            view: View::new(&listing.uids),
            modseq: listing.highest_modseq,
            saved: NumberSet::default(),
            flags: flags::usual(&mailbox),
            speaks_uid: false,
            is_gone: false,
            watch,
        }));
        self.describe(&mailbox, &listing);
        if let Some(known) = resync {
            self.resync(&mailbox, known).await?;
        }
        let status = if read_only {
            Status::ok("to be read only").with(Code::ReadOnly)
        } else {
            Status::ok("opened").with(Code::ReadWrite)
        };
        Ok(Next::Done(status))
    }

    fn describe(&mut self, mailbox: &Mailbox, listing: &Listing) {
        self.note_keywords(&listing.keywords);
        self.tell_flags();
        let count = u32::try_from(listing.messages.len()).unwrap_or(u32::MAX);
        self.machine.data(&Data::Exists(count));
        let rev2 = self.machine.enabled().rev2;
        if !rev2 {
            // RFC 3501 §6.3.1
            self.machine.data(&Data::Recent(0));
            if let Some(number) =
                listing.first_unseen.and_then(|place| NonZeroU32::new(u32::try_from(place + 1).ok()?))
            {
                self.machine.status(&Status::ok("the first that was not read").with(Code::Unseen(number)));
            }
        }
        let codes = [
            NonZeroU32::new(mailbox.uid_validity).map(Code::UidValidity),
            NonZeroU32::new(listing.uid_next.0).map(Code::UidNext),
            // RFC 7162 §3.1.2.1
            Some(Code::HighestModSeq(listing.highest_modseq.max(1))),
            Some(Code::MailboxId(mailbox.id.object_id())),
            // RFC 4467 §8
            Some(Code::UrlMech(vec![MECHANISM.to_owned()])),
        ];
        for code in codes.into_iter().flatten() {
            self.machine.status(&Status::ok("so it is").with(code));
        }
        if rev2 {
            self.machine.data(&Data::List(super::list::selected_entry(mailbox)));
        }
    }

    /// What has changed since the client knew the mailbox; flags are told as news.
    async fn resync(&mut self, mailbox: &Mailbox, known: &QResync) -> Result<(), Refusal> {
        // Of a mailbox in which nothing has happened yet 1 is told, and the first change has it.
        let since = if known.modseq.get() == 1 { 0 } else { known.modseq.get() };
        let changes = self.mailboxes().changes_since(mailbox.id, since).await?;
        let selected = self.selected()?;
        for message in changes.changed {
            if is_known(known, message.uid.0) {
                selected.view.tell(message, false);
            }
        }
        let uids = vanished(&changes.vanished, known.uids.as_ref());
        if self.service.has(Planted::ForgetsVanished) {
            return Ok(());
        }
        // RFC 7162 §3.2.10.1
        self.machine.data(&Data::Vanished { earlier: true, uids });
        Ok(())
    }

    /// What is flagged \Deleted goes, and nobody is told (RFC 9051 §6.4.1).
    pub(super) async fn close(&mut self) -> Result<Next, Refusal> {
        // RFC 4314 §4: without the right nothing is expunged, and that is no mistake.
        let expunges = |selected: &Selected| !selected.read_only && selected.rights.has(Right::Expunge);
        if self.selected.as_deref().is_some_and(expunges) {
            match self.expunge_deleted(None).await {
                // What is on its way and cannot be called off stays as it is; the mailbox is closed all the same.
                Ok(_) | Err(Refusal::Told(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        self.selected = None;
        Ok(Next::Done(Status::ok("the mailbox is closed")))
    }
}

/// RFC 7162 §3.2.5: `uids` are what the client has; without them it may have all.
fn is_known(known: &QResync, uid: u32) -> bool {
    known.uids.as_ref().and_then(|uids| uids.resolve(0)).is_none_or(|uids| uids.contains(uid))
}

fn vanished(vanished: &UidRanges, known: Option<&SequenceSet>) -> NumberSet {
    let known = known.and_then(|known| known.resolve(0));
    let is_known = |uid: &u32| known.as_ref().is_none_or(|known| known.contains(*uid));
    vanished.uids().map(|uid| uid.0).filter(is_known).collect()
}
