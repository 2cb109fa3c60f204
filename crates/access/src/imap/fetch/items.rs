//! One item of one message.

use std::{ops::Range, sync::Arc};

use mail::mime::{Kind, SectionPart, TransferEncoding};
use proto::imap::{
    command::{FetchItem, Partial, Section, SectionText},
    response::{Code, ContentName, FetchData, Status},
};
use store::{
    StoreError,
    mailbox::{StoredMessage, Summary},
};

use super::{
    super::{flags, session::Session},
    Current, Form, Stream, measure,
};

impl Session {
    pub(super) async fn fetch_item(
        &mut self,
        current: &mut Current,
        item: &FetchItem,
        status: &mut Status,
    ) -> Result<(), StoreError> {
        let message = &current.message;
        match item {
            FetchItem::Uid => self.machine.fetch_item(&FetchData::Uid(message.uid.0)),
            FetchItem::Flags => self.write_flags(message),
            FetchItem::InternalDate => {
                self.machine.fetch_item(&FetchData::InternalDate(message.record.internal_date));
            }
            FetchItem::Rfc822Size => self.machine.fetch_item(&FetchData::Rfc822Size(message.record.octets())),
            FetchItem::ModSeq => self.machine.fetch_item(&FetchData::ModSeq(message.modseq)),
            FetchItem::Envelope | FetchItem::BodyShort | FetchItem::BodyStructure => {
                self.fetch_structure(current, item).await?;
            }
            FetchItem::Body { section, partial, .. } => {
                let name = ContentName::Body { section, origin: partial.map(|partial| partial.offset) };
                self.fetch_section(current, section, *partial, &name).await?;
            }
            FetchItem::Rfc822 => self.fetch_whole(current, SectionText::All, &ContentName::Rfc822).await?,
            FetchItem::Rfc822Header => {
                self.fetch_whole(current, SectionText::Header, &ContentName::Rfc822Header).await?;
            }
            FetchItem::Rfc822Text => {
                self.fetch_whole(current, SectionText::Text, &ContentName::Rfc822Text).await?;
            }
            FetchItem::Binary { part, partial, .. } => {
                self.fetch_binary(current, part, *partial, status).await?;
            }
            FetchItem::BinarySize(part) => self.fetch_binary_size(current, part, status).await?,
            FetchItem::EmailId => {
                self.machine.fetch_item(&FetchData::EmailId(&message.record.email_id()));
            }
            FetchItem::ThreadId => {
                let thread = self.summary(current).await?.thread_id();
                self.machine.fetch_item(&FetchData::ThreadId(thread.as_deref()));
            }
            FetchItem::SaveDate => {
                self.machine.fetch_item(&FetchData::SaveDate(Some(message.record.saved_at)));
            }
            FetchItem::Preview { .. } => {
                let preview = match self.waits_for(&current.message).await? {
                    Some(sentence) => sentence,
                    None => self.summary(current).await?.preview.clone(),
                };
                self.machine.fetch_item(&FetchData::Preview(Some(&preview)));
            }
        }
        Ok(())
    }

    pub(super) fn write_flags(&mut self, message: &StoredMessage) {
        let flags = flags::written(message.record.flags, &message.record.keywords);
        self.machine.fetch_item(&FetchData::Flags { flags: &flags, recent: false });
    }

    /// What is kept of the message: nobody reads its body for that.
    async fn summary(&mut self, current: &mut Current) -> Result<Arc<Summary>, StoreError> {
        if let Some(summary) = &current.summary {
            return Ok(summary.clone());
        }
        let Some(mailbox) = self.selected.as_ref().map(|selected| selected.mailbox) else {
            return Err(StoreError::NotFound);
        };
        let summary = Arc::new(self.mailboxes().summary(mailbox, &current.message).await?);
        current.summary = Some(summary.clone());
        Ok(summary)
    }

    async fn fetch_structure(&mut self, current: &mut Current, item: &FetchItem) -> Result<(), StoreError> {
        let structure = &self.summary(current).await?.structure;
        let message = structure.parts().first();
        match (item, message.and_then(|message| message.envelope.as_deref())) {
            (FetchItem::Envelope, Some(envelope)) => self.machine.fetch_item(&FetchData::Envelope(envelope)),
            (FetchItem::BodyShort, _) => self.machine.fetch_item(&FetchData::Body(structure)),
            _ => self.machine.fetch_item(&FetchData::BodyStructure(structure)),
        }
        Ok(())
    }

    async fn fetch_whole(
        &mut self,
        current: &mut Current,
        text: SectionText,
        name: &ContentName<'_>,
    ) -> Result<(), StoreError> {
        let section = Section { part: Vec::new(), text };
        self.fetch_section(current, &section, None, name).await
    }

    async fn fetch_section(
        &mut self,
        current: &mut Current,
        section: &Section,
        partial: Option<Partial>,
        name: &ContentName<'_>,
    ) -> Result<(), StoreError> {
        let range = match (&section.text, section.part.as_slice()) {
            (SectionText::All, []) => Some(0..current.message.record.octets()),
            (text, part) => self.summary(current).await?.structure.section(part, place(text)),
        };
        let form = form(&section.text);
        let Some(range) = range else {
            self.machine.fetch_item(&FetchData::NoContent(*name));
            return Ok(());
        };
        self.start_content(current, range, &form, partial, name).await
    }

    /// The first octets are read before the client is promised any.
    async fn start_content(
        &mut self,
        current: &mut Current,
        range: Range<u64>,
        form: &Form,
        partial: Option<Partial>,
        name: &ContentName<'_>,
    ) -> Result<(), StoreError> {
        let mailboxes = &self.service.stores.mailboxes;
        let record = &current.message.record;
        let measured = measure(mailboxes, record, range.clone(), form).await?;
        let mut stream = Stream::new(record, range, form, measured.octets, partial);
        let octets = stream.left();
        let first = stream.next(mailboxes).await?;
        self.machine.start_content(name, octets, measured.has_nul);
        self.machine.content(&first.unwrap_or_default());
        current.stream = Some(stream);
        Ok(())
    }

    /// Where the octets of a part are, and how they are written (RFC 3516).
    async fn binary(
        &mut self,
        current: &mut Current,
        part: &[u32],
    ) -> Result<Option<(Range<u64>, Result<Form, UnknownEncoding>)>, StoreError> {
        if part.is_empty() {
            let whole = 0..current.message.record.octets();
            return Ok(Some((whole, Ok(Form::Decoded(TransferEncoding::Identity)))));
        }
        let structure = &self.summary(current).await?.structure;
        let Some(range) = structure.section(part, SectionPart::All) else { return Ok(None) };
        let leaf = structure.part(part).filter(|part| part.kind == Kind::Leaf);
        let encoding = leaf.and_then(|part| part.content.encoding.as_deref());
        let encoding = encoding.map_or(Some(TransferEncoding::Identity), TransferEncoding::of);
        Ok(Some((range, encoding.map(Form::Decoded).ok_or(UnknownEncoding))))
    }

    async fn fetch_binary(
        &mut self,
        current: &mut Current,
        part: &[u32],
        partial: Option<Partial>,
        status: &mut Status,
    ) -> Result<(), StoreError> {
        let name = ContentName::Binary { part, origin: partial.map(|partial| partial.offset) };
        match self.binary(current, part).await? {
            Some((range, Ok(form))) => {
                return self.start_content(current, range, &form, partial, &name).await;
            }
            Some((_, Err(UnknownEncoding))) => *status = unknown_encoding(),
            None => {}
        }
        self.machine.fetch_item(&FetchData::NoContent(name));
        Ok(())
    }

    async fn fetch_binary_size(
        &mut self,
        current: &mut Current,
        part: &[u32],
        status: &mut Status,
    ) -> Result<(), StoreError> {
        let octets = match self.binary(current, part).await? {
            Some((range, Ok(form))) => {
                let record = &current.message.record;
                measure(&self.service.stores.mailboxes, record, range, &form).await?.octets
            }
            Some((_, Err(UnknownEncoding))) => {
                *status = unknown_encoding();
                0
            }
            None => 0,
        };
        self.machine.fetch_item(&FetchData::BinarySize { part, octets });
        Ok(())
    }
}

/// A Content-Transfer-Encoding that nobody here knows.
struct UnknownEncoding;

fn unknown_encoding() -> Status {
    Status::no(Code::UnknownCte, "a part is encoded in a way that is not known here")
}

pub(in super::super) fn form(text: &SectionText) -> Form {
    match text {
        SectionText::HeaderFields(names) => Form::Fields { names: names.clone(), others: false },
        SectionText::HeaderFieldsNot(names) => Form::Fields { names: names.clone(), others: true },
        SectionText::All | SectionText::Header | SectionText::Text | SectionText::Mime => Form::Plain,
    }
}

pub(in super::super) fn place(text: &SectionText) -> SectionPart {
    match text {
        SectionText::All => SectionPart::All,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            SectionPart::Header
        }
        SectionText::Text => SectionPart::Text,
        SectionText::Mime => SectionPart::Mime,
    }
}
