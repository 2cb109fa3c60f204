//! The content on its way into the store: trace headers go in front, submissions are completed, the rest streams.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use mail::{
    Address, MtPriority, QueueId, Timestamp,
    address_list::{self, OriginatorError},
    header,
    limits::RECEIVED_HEADERS_MAX,
};
use store::{BlobWriter, PendingBlob, StoreError};

use super::asked;

/// A header section longer than this is passed through as it stands.
const HEADER_BYTES_MAX: usize = 256 * 1024;

/// RFC 6758: for hosts that have no MT-PRIORITY. It is for the next host alone, so it goes no further than to us.
const PRIORITY: &str = "MT-Priority";

/// Writes one message to its blob.
pub(super) struct Content {
    writer: Box<dyn BlobWriter>,
    /// The header section so far; none once it was complete.
    header: Option<BytesMut>,
    completion: Option<Completion>,
    /// The header's octets that go in front.
    received: Vec<u8>,
    /// Recipients whose mailboxes are here, in lookup form.
    mailboxes: HashSet<String>,
    pub(super) facts: Facts,
}

/// What submission adds to an incomplete header section (RFC 6409 §8).
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) hostname: std::sync::Arc<str>,
    pub(super) queue_id: QueueId,
    pub(super) at: Timestamp,
    /// Who wrote it if From is missing; none adds no From.
    pub(super) author: Option<Address>,
}

/// What the header section told.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) message_id: Option<String>,
    /// Received lines.
    pub(super) hops: usize,
    /// The addresses of Delivered-To, in the form they are looked up by.
    pub(super) delivered_to: Vec<String>,
    /// RFC 3834 §5
    pub(super) automatic: bool,
    /// The addresses of From and Sender, as submission wants to know them; none was asked for.
    pub(super) originators: Option<Result<Vec<Address>, OriginatorError>>,
    /// RFC 6758
    pub(super) priority: Option<MtPriority>,
    /// `TLS-Required: No` (RFC 8689 §3)
    pub(super) tls_waived: bool,
    /// Require-Recipient-Valid-Since, for mailboxes here (RFC 7293 §3.1).
    pub(super) valid_since: Vec<(Address, Timestamp)>,
}

impl Content {
    /// `received` goes in front of everything. What the header says of the owners of `mailboxes` becomes one of the facts
    /// and is taken out.
    pub(super) fn new(
        writer: Box<dyn BlobWriter>,
        received: Vec<u8>,
        completion: Option<Completion>,
        mailboxes: HashSet<String>,
    ) -> Self {
        let header = Some(BytesMut::new());
        Self { writer, header, completion, received, mailboxes, facts: Facts::default() }
    }

    pub(super) async fn push(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let Some(header) = &mut self.header else { return self.writer.write(chunk).await };
        // The empty line may begin in octets already seen.
        let seen = header.len().saturating_sub(3);
        header.extend_from_slice(&chunk);
        if header.len() > HEADER_BYTES_MAX || ends_header(header, seen) {
            self.end_header().await?;
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<(PendingBlob, Facts), StoreError> {
        self.end_header().await?;
        Ok((self.writer.finish().await?, self.facts))
    }

    async fn end_header(&mut self) -> Result<(), StoreError> {
        let Some(mut start) = self.header.take() else { return Ok(()) };
        let is_cut = start.len() > HEADER_BYTES_MAX;
        self.facts = Facts {
            message_id: header::message_id(&start),
            hops: header::count(&start, "Received"),
            delivered_to: delivered_to(&start),
            automatic: mail::list::is_automatic(&start),
            originators: self.completion.is_some().then(|| {
                if is_cut { Err(OriginatorError::TooLong) } else { address_list::originators(&start) }
            }),
            priority: priority(&start),
            tls_waived: asked::is_tls_waived(&start),
            valid_since: asked::take_valid_since(&mut start, &self.mailboxes),
        };
        let mut out = std::mem::take(&mut self.received);
        match &self.completion {
            Some(completion) => completion.complete(&start, &mut self.facts, &mut out),
            None if header::count(&start, PRIORITY) == 0 => out.extend_from_slice(&start),
            None => out.extend_from_slice(&header::without_fields(&start, &[PRIORITY])),
        }
        self.writer.write(out.into()).await
    }
}

/// RFC 9228 §2: one address a field.
fn delivered_to(header: &[u8]) -> Vec<String> {
    let values = header::values(header, "Delivered-To").take(RECEIVED_HEADERS_MAX);
    let text = |value: Vec<u8>| String::from_utf8(value.trim_ascii().to_vec()).ok();
    values.filter_map(text).filter_map(|text| Some(text.parse::<Address>().ok()?.to_lookup())).collect()
}

/// RFC 6758 §4: what stands in front of a comment; nothing if the field stands there twice, or says nothing we know.
fn priority(start: &[u8]) -> Option<MtPriority> {
    let value = header::value(start, PRIORITY).filter(|_| header::count(start, PRIORITY) == 1)?;
    let text = std::str::from_utf8(&value).ok()?;
    text.split([' ', '\t', '(']).next()?.parse().ok()
}

fn ends_header(octets: &[u8], from: usize) -> bool {
    octets.starts_with(b"\r\n")
        || octets.get(from..).is_some_and(|new| memchr::memmem::find(new, b"\r\n\r\n").is_some())
}

impl Completion {
    /// RFC 6409 §8.1, §8.2: Date, From and Message-ID if missing. RFC 5322 §3.6.3: Bcc is for the submitter alone. RFC 5321
    /// §4.4: a message that sets out has no Return-Path.
    fn complete(&self, start: &[u8], facts: &mut Facts, out: &mut Vec<u8>) {
        let is_section = header::fields(start).next().is_some();
        if header::count(start, "Date") == 0 {
            out.extend_from_slice(format!("Date: {}\r\n", self.at.rfc5322()).as_bytes());
        }
        // RFC 5322 §3.6: Date and From are what every message has.
        if let Some(author) = &self.author
            && header::count(start, "From") == 0
        {
            out.extend_from_slice(format!("From: {author}\r\n").as_bytes());
        }
        if header::count(start, "Message-ID") == 0 {
            let made = format!("{}@{}", self.queue_id, self.hostname);
            out.extend_from_slice(format!("Message-ID: <{made}>\r\n").as_bytes());
            facts.message_id = Some(made);
        }
        if !is_section && !start.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&header::without_fields(start, &["Bcc", "Return-Path", PRIORITY]));
    }
}
