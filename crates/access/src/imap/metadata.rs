//! GETMETADATA and SETMETADATA (RFC 5464), and what LIST tells of annotations (RFC 9590).

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::Right;
use proto::imap::{
    command::{Annotation, AnnotationDepth, GetMetadata, MailboxName},
    response::{Code, Data, Status},
};
use store::{
    mailbox::{ANNOTATION_BYTES_MAX, Annotated, MailboxError, MailboxId},
    sharing::Reached,
};

use super::{reach::no_right, refusal::Refusal, session::Session};

impl Session {
    pub(super) async fn get_metadata(&mut self, get: GetMetadata) -> Result<Status, Refusal> {
        let annotations = match &get.mailbox {
            Some(name) => {
                let mailbox = self.find(name, Right::Read).await?.mailbox;
                self.annotations_of(mailbox.id).await?
            }
            None => self.annotations_of_server().await?,
        };
        let (values, longest) = chosen(&get, &annotations);
        self.machine.data(&Data::Metadata { mailbox: get.mailbox, values });
        let status = Status::ok("that is all");
        Ok(match longest {
            // RFC 5464 §4.2.1
            Some(octets) => status.with(Code::MetadataLongEntries(octets)),
            None => status,
        })
    }

    async fn annotations_of(&mut self, mailbox: MailboxId) -> Result<BTreeMap<String, Bytes>, Refusal> {
        let reader = self.account()?.id;
        Ok(self.mailboxes().annotations(Annotated::Mailbox(mailbox), reader).await?)
    }

    async fn annotations_of_server(&mut self) -> Result<BTreeMap<String, Bytes>, Refusal> {
        let account = self.account()?;
        // RFC 5464 §6.2.1: whom to ask. Somebody reads that mailbox (RFC 5321 §4.5.1).
        let admin = format!("mailto:postmaster@{}", account.address.host());
        let reader = account.id;
        let mut annotations = self.mailboxes().annotations(Annotated::Account(reader), reader).await?;
        annotations.insert("/shared/admin".to_owned(), admin.into());
        Ok(annotations)
    }

    /// For LIST: each of the entries, NIL where there is none (RFC 9590 §3).
    pub(super) async fn tell_metadata(
        &mut self,
        name: &MailboxName,
        mailbox: MailboxId,
        entries: &[String],
    ) -> Result<(), Refusal> {
        let annotations = self.annotations_of(mailbox).await?;
        let value = |entry: &String| (entry.clone(), annotations.get(entry).map(|value| value.to_vec()));
        let values = entries.iter().map(value).collect();
        self.machine.data(&Data::Metadata { mailbox: Some(name.clone()), values });
        Ok(())
    }

    pub(super) async fn set_metadata(
        &mut self,
        mailbox: Option<&MailboxName>,
        annotations: Vec<Annotation>,
    ) -> Result<Status, Refusal> {
        let reader = self.account()?.id;
        let of = match mailbox {
            Some(name) => {
                self.leave_outbox_alone(name).await?;
                let Reached { mailbox, rights, .. } = self.find(name, Right::Read).await?;
                // RFC 5464 §3.3; what readers write for themselves takes the owner's room too.
                if !rights.has(Right::Write) {
                    return Err(no_right());
                }
                Annotated::Mailbox(mailbox.id)
            }
            None => Annotated::Account(reader),
        };
        if mailbox.is_none() && annotations.iter().any(|one| one.entry.starts_with("/shared/")) {
            return Err(Refusal::no(Code::NoPerm, "what all users share is the operator's"));
        }
        let is_long =
            |one: &Annotation| one.value.as_ref().is_some_and(|value| value.len() > ANNOTATION_BYTES_MAX);
        if annotations.iter().any(is_long) {
            let max = u32::try_from(ANNOTATION_BYTES_MAX).unwrap_or(u32::MAX);
            return Err(Refusal::no(Code::MetadataMaxSize(max), "a value is too long"));
        }
        let changes = annotations.into_iter().map(|one| (one.entry, one.value.map(Bytes::from))).collect();
        match self.mailboxes().annotate(of, reader, &changes).await {
            Ok(()) => Ok(Status::ok("set")),
            Err(error @ MailboxError::Limit(_)) => {
                Err(Refusal::no(Code::MetadataTooMany, &error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Its name and its value.
type Entry = (String, Option<Vec<u8>>);

/// What is asked for, and the length of the longest value that is left out.
fn chosen(get: &GetMetadata, annotations: &BTreeMap<String, Bytes>) -> (Vec<Entry>, Option<u32>) {
    let mut chosen = BTreeMap::new();
    let mut longest = None;
    for entry in &get.entries {
        let below = annotations.iter().filter(|(name, _)| is_within(name, entry, get.depth));
        for (name, value) in below {
            let octets = u32::try_from(value.len()).unwrap_or(u32::MAX);
            if get.octets_max.is_some_and(|max| octets > max) {
                longest = longest.max(Some(octets));
            } else {
                chosen.insert(name.clone(), Some(value.to_vec()));
            }
        }
        if get.depth == AnnotationDepth::Zero && !annotations.contains_key(entry) {
            chosen.insert(entry.clone(), None);
        }
    }
    (chosen.into_iter().collect(), longest)
}

/// RFC 5464 §4.2.2
fn is_within(name: &str, entry: &str, depth: AnnotationDepth) -> bool {
    let Some(rest) = name.strip_prefix(entry) else { return false };
    match (rest.strip_prefix('/'), depth) {
        (_, _) if rest.is_empty() => true,
        (None, _) | (_, AnnotationDepth::Zero) => false,
        (Some(below), AnnotationDepth::One) => !below.contains('/'),
        (Some(_), AnnotationDepth::Infinity) => true,
    }
}
