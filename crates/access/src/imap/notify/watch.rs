//! Other mailboxes than the selected one: what has happened to them since the client heard of them.

use std::{collections::BTreeMap, io};

use proto::imap::{
    command::MailboxName,
    response::{Code, Data, ListAttribute, ListEntry, Status},
};
use store::mailbox::{Annotated, Mailbox, MailboxId, MailboxStatus};

use super::{
    super::{
        commands::DELIMITER,
        refusal::Refusal,
        session::{OUTPUT_BYTES_MAX, Session},
    },
    Kind, MAILBOXES_MAX, Notifier,
};

/// A mailbox as the client knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) subscribed: bool,
    /// 0: it never had a message.
    modseq: u64,
    uid_next: u32,
    messages: u64,
}

impl Known {
    pub(super) fn new(mailbox: &Mailbox, status: &MailboxStatus, modseq: u64) -> Self {
        Self {
            name: mailbox.name.clone(),
            subscribed: mailbox.subscribed,
            modseq,
            uid_next: status.uid_next.0,
            messages: status.messages,
        }
    }

    /// One that was just made.
    fn empty(mailbox: &Mailbox) -> Self {
        Self {
            name: mailbox.name.clone(),
            subscribed: mailbox.subscribed,
            modseq: 0,
            uid_next: 1,
            messages: 0,
        }
    }
}

/// Why nothing is told any more.
enum Stop {
    TooMany,
    Broken(Refusal),
    Gone(io::Error),
}

impl<E: Into<Refusal>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl Session {
    /// Tells what has happened; if that cannot be found out, the client hears that it hears no more (RFC 5465 §5.8).
    pub(in super::super) async fn look_around(&mut self) -> io::Result<()> {
        let Some(mut notifier) = self.notifier.take() else { return Ok(()) };
        match self.compare(&mut notifier).await {
            Ok(()) => {
                self.notifier = Some(notifier);
                return self.write_out().await;
            }
            Err(Stop::Gone(error)) => return Err(error),
            Err(Stop::TooMany) => {}
            Err(Stop::Broken(refusal)) => tracing::error!(?refusal, "mailboxes could not be watched"),
        }
        self.stop_notifying();
        let text = "that is too much; look yourself, and ask again";
        self.machine.status(&Status::ok(text).with(Code::NotificationOverflow));
        Ok(())
    }

    async fn compare(&mut self, notifier: &mut Notifier) -> Result<(), Stop> {
        let account = self.account()?.id;
        let now: BTreeMap<MailboxId, Mailbox> =
            self.mailboxes().list(account).await?.into_iter().map(|mailbox| (mailbox.id, mailbox)).collect();
        let modseqs = self.mailboxes().modseqs(account).await?;
        if now.len() > MAILBOXES_MAX {
            return Err(Stop::TooMany);
        }
        let gone: Vec<MailboxId> =
            notifier.known.keys().filter(|id| !now.contains_key(id)).copied().collect();
        for id in gone {
            if let Some(known) = notifier.known.remove(&id)
                && notifier.wants(Kind::Name, &known)
            {
                // RFC 5465 §5.4
                self.tell_name(&known.name, vec![ListAttribute::NonExistent], None);
            }
        }
        for (id, mailbox) in &now {
            self.compare_name(notifier, mailbox);
            let modseq = modseqs.get(id).copied().unwrap_or(0);
            self.compare_messages(notifier, mailbox, modseq).await?;
            self.write_if_much().await.map_err(Stop::Gone)?;
        }
        if notifier.wants_metadata() {
            let hashes = self.mailboxes().annotation_hashes(account, account).await?;
            self.compare_annotations(notifier, hashes);
        }
        Ok(())
    }

    fn compare_name(&mut self, notifier: &mut Notifier, mailbox: &Mailbox) {
        let before = notifier.known.get(&mailbox.id).cloned();
        let mut known = before.clone().unwrap_or_else(|| Known::empty(mailbox));
        (known.name, known.subscribed) = (mailbox.name.clone(), mailbox.subscribed);
        let either = |kind, old| [&known, old].into_iter().any(|one| notifier.wants(kind, one));
        let told = match &before {
            // It is subscribed as it is made.
            None => {
                let kinds = [Kind::Name, Kind::Subscription];
                kinds.into_iter().any(|kind| notifier.wants(kind, &known)).then_some(None)
            }
            Some(old) if old.name != mailbox.name => {
                either(Kind::Name, old).then(|| MailboxName::new(&old.name))
            }
            Some(old) if old.subscribed != mailbox.subscribed => {
                either(Kind::Subscription, old).then_some(None)
            }
            Some(_) => None,
        };
        if let Some(old_name) = told {
            let attributes = if mailbox.subscribed { vec![ListAttribute::Subscribed] } else { Vec::new() };
            self.tell_name(&mailbox.name, attributes, old_name);
        }
        notifier.known.insert(mailbox.id, known);
    }

    async fn compare_messages(
        &mut self,
        notifier: &mut Notifier,
        mailbox: &Mailbox,
        modseq: u64,
    ) -> Result<(), Refusal> {
        let Some(known) = notifier.known.get(&mailbox.id).filter(|known| known.modseq != modseq) else {
            return Ok(());
        };
        let (messages, flags) = (notifier.wants(Kind::Messages, known), notifier.wants(Kind::Flags, known));
        let is_selected = self.selected.as_ref().is_some_and(|selected| selected.mailbox == mailbox.id);
        let status = self.mailboxes().status(mailbox.id).await?;
        let new = Known::new(mailbox, &status, modseq);
        // No flag has changed if nothing but the counts has; what else has moved on is a flag.
        let counts = (new.uid_next, new.messages) != (known.uid_next, known.messages);
        notifier.known.insert(mailbox.id, new);
        // RFC 5465 §6: of the selected mailbox its own group tells.
        if !is_selected && (flags || (messages && counts)) {
            self.tell_status(mailbox, flags).await?;
        }
        Ok(())
    }

    fn compare_annotations(&mut self, notifier: &mut Notifier, now: BTreeMap<(Annotated, String), u64>) {
        let mut changed: BTreeMap<Annotated, Vec<String>> = BTreeMap::new();
        let before = std::mem::replace(&mut notifier.annotated, now);
        let is_new = notifier.annotated.iter().filter(|(place, hash)| before.get(place) != Some(hash));
        let is_gone = before.iter().filter(|(place, _)| !notifier.annotated.contains_key(place));
        for ((of, entry), _) in is_new.chain(is_gone) {
            changed.entry(*of).or_default().push(entry.clone());
        }
        for (of, entries) in changed {
            let (wanted, mailbox) = match of {
                Annotated::Account(_) => {
                    (notifier.groups.iter().any(|group| group.events.server_metadata_change), None)
                }
                Annotated::Mailbox(id) => {
                    let Some(known) = notifier.known.get(&id) else { continue };
                    let Some(name) = MailboxName::new(&known.name) else { continue };
                    (notifier.wants(Kind::Metadata, known), Some(name))
                }
            };
            if wanted {
                self.machine.data(&Data::MetadataChanged { mailbox, entries });
            }
        }
    }

    fn tell_name(&mut self, name: &str, attributes: Vec<ListAttribute>, old_name: Option<MailboxName>) {
        self.machine.data(&Data::List(ListEntry {
            attributes,
            delimiter: Some(DELIMITER),
            name: name.to_owned(),
            child_info: false,
            old_name,
            my_rights: None,
        }));
    }

    async fn write_if_much(&mut self) -> io::Result<()> {
        if self.machine.output_len() < OUTPUT_BYTES_MAX { Ok(()) } else { self.write_out().await }
    }

    /// What is told between commands goes out before another command is read: nothing may come in between.
    pub(super) async fn write_out(&mut self) -> io::Result<()> {
        let octets = self.machine.take_output();
        if octets.is_empty() { Ok(()) } else { Box::pin(self.connection.write(&octets)).await }
    }
}
