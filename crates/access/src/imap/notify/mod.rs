//! NOTIFY (RFC 5465): what a client hears of, unasked.
//!
//! Nothing is queued for a client: what it is told is the difference between the mailboxes as it knows them and as they
//! are, so who reads slowly costs no more.

mod selected;
mod watch;

use std::collections::BTreeMap;

use proto::imap::{
    command::{EventGroup, Events, FetchItem, MailboxFilter, MailboxName, Notify, StatusItem},
    response::{Code, Data, Status},
};
use store::{
    Changes,
    mailbox::{Annotated, Mailbox, MailboxId},
};

use super::{refusal::Refusal, session::Session};
use watch::Known;

/// Mailboxes of an account that has one to hear of; with more it hears of nothing.
const MAILBOXES_MAX: usize = 1000;

/// What a client wants to hear of, and what it knows.
pub(super) struct Notifier {
    groups: Vec<EventGroup>,
    names: Changes,
    messages: Changes,
    annotations: Changes,
    known: BTreeMap<MailboxId, Known>,
    /// A hash of each value; empty if nobody wants to hear of annotations.
    annotated: BTreeMap<(Annotated, String), u64>,
    /// New messages of the selected mailbox of which more is to be told than that they are there.
    arrivals: Vec<u32>,
}

/// RFC 5465 §5
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// MessageNew and MessageExpunge, which come together.
    Messages,
    Flags,
    Name,
    Subscription,
    Metadata,
}

impl Notifier {
    /// RFC 5465 §6: the first group counts that names the mailbox and has such an event, or has none at all.
    fn wants(&self, kind: Kind, mailbox: &Known) -> bool {
        let naming = self.groups.iter().filter(|group| names(&group.mailboxes, mailbox));
        let deciding = |group: &&EventGroup| group.events == Events::default() || has(&group.events, kind);
        naming.into_iter().find(deciding).is_some_and(|group| has(&group.events, kind))
    }

    fn wants_metadata(&self) -> bool {
        let mut events = self.groups.iter().map(|group| &group.events);
        events.any(|events| events.mailbox_metadata_change || events.server_metadata_change)
    }

    /// What is asked for of the mailbox that is selected.
    fn selected(&self) -> Option<&EventGroup> {
        self.groups.iter().find(|group| group.mailboxes.is_selected())
    }

    /// Wakes when something may have happened.
    pub(super) async fn changed(&self) {
        tokio::select! {
            biased;
            () = self.names.changed() => {}
            () = self.messages.changed() => {}
            () = self.annotations.changed(), if self.wants_metadata() => {}
        }
    }
}

fn has(events: &Events, kind: Kind) -> bool {
    match kind {
        Kind::Messages => events.message_new.is_some(),
        Kind::Flags => events.flag_change,
        Kind::Name => events.mailbox_name,
        Kind::Subscription => events.subscription_change,
        Kind::Metadata => events.mailbox_metadata_change,
    }
}

fn names(filter: &MailboxFilter, mailbox: &Known) -> bool {
    let name = mailbox.name.as_str();
    match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed => false,
        // Mail is delivered to INBOX alone.
        MailboxFilter::Inboxes => name == "INBOX",
        MailboxFilter::Personal => true,
        MailboxFilter::Subscribed => mailbox.subscribed,
        MailboxFilter::Subtree(roots) => roots.iter().any(|root| {
            name.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }),
        MailboxFilter::Mailboxes(names) => names.iter().any(|one| one.as_str() == name),
    }
}

/// RFC 5465 §5.2: what is told of a new message does not make it seen.
fn peeking(item: FetchItem) -> Result<FetchItem, Refusal> {
    match item {
        FetchItem::Body { section, partial, .. } => Ok(FetchItem::Body { section, partial, peek: true }),
        FetchItem::Binary { part, partial, .. } => Ok(FetchItem::Binary { part, partial, peek: true }),
        FetchItem::Rfc822 | FetchItem::Rfc822Text => Err(Refusal::bad("ask for BODY.PEEK instead")),
        item => Ok(item),
    }
}

impl Session {
    pub(super) async fn notify(&mut self, notify: Notify) -> Result<Status, Refusal> {
        let Notify::Set { status, mut groups } = notify else {
            self.stop_notifying();
            return Ok(Status::ok("nothing is told unasked"));
        };
        for group in &mut groups {
            if let Some(items) = group.events.message_new.take() {
                let items = items.into_iter().map(peeking).collect::<Result<_, _>>()?;
                group.events.message_new = Some(items);
            }
        }
        let at_once = groups.iter().any(|group| group.mailboxes == MailboxFilter::Selected);
        let notifier = self.notifier_of(groups).await?;
        if status {
            self.tell_statuses(&notifier).await?;
        }
        self.machine.set_expunges_any_time(at_once);
        self.notifier = Some(Box::new(notifier));
        Ok(Status::ok("you will hear of it"))
    }

    pub(super) fn stop_notifying(&mut self) {
        self.notifier = None;
        self.machine.set_expunges_any_time(false);
    }

    async fn notifier_of(&mut self, groups: Vec<EventGroup>) -> Result<Notifier, Refusal> {
        let account = self.account()?.id;
        let mailboxes = self.mailboxes();
        // Watched before it is read, so that nothing comes unseen in between.
        let mut notifier = Notifier {
            groups,
            names: mailboxes.watch_names(account),
            messages: mailboxes.watch_messages(account),
            annotations: mailboxes.watch_annotations(account),
            known: BTreeMap::new(),
            annotated: BTreeMap::new(),
            arrivals: Vec::new(),
        };
        let all = mailboxes.list(account).await?;
        if all.len() > MAILBOXES_MAX {
            return Err(Refusal::no(Code::NotificationOverflow, "there are too many mailboxes to watch"));
        }
        let modseqs = mailboxes.modseqs(account).await?;
        for mailbox in all {
            let status = mailboxes.status(mailbox.id).await?;
            let modseq = modseqs.get(&mailbox.id).copied().unwrap_or(0);
            notifier.known.insert(mailbox.id, Known::new(&mailbox, &status, modseq));
        }
        if notifier.wants_metadata() {
            notifier.annotated = mailboxes.annotation_hashes(account, account).await?;
        }
        Ok(notifier)
    }

    /// RFC 5465 §3.1: of all mailboxes of whose messages the client wants to hear, but for the one that is selected.
    async fn tell_statuses(&mut self, notifier: &Notifier) -> Result<(), Refusal> {
        let account = self.account()?.id;
        for mailbox in self.mailboxes().list(account).await? {
            let is_selected = self.selected.as_ref().is_some_and(|selected| selected.mailbox == mailbox.id);
            let known = notifier.known.get(&mailbox.id);
            if !is_selected && known.is_some_and(|known| notifier.wants(Kind::Messages, known)) {
                let with_flags = known.is_some_and(|known| notifier.wants(Kind::Flags, known));
                self.tell_status(&mailbox, with_flags).await?;
            }
        }
        Ok(())
    }

    async fn tell_status(&mut self, mailbox: &Mailbox, with_flags: bool) -> Result<(), Refusal> {
        let Some(name) = MailboxName::new(&mailbox.name) else { return Ok(()) };
        let mut items =
            vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
        // RFC 5465 §5.1
        if with_flags || self.machine.enabled().condstore {
            items.push(StatusItem::HighestModSeq);
        }
        let items = self.status_items(mailbox, &items).await?;
        self.machine.data(&Data::Status { mailbox: name, items });
        Ok(())
    }
}
