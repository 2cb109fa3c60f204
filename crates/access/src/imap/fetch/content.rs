//! Octets of a message, and what is made of them, in pieces: nothing long is in memory as a whole.

use std::ops::Range;

use bytes::Bytes;
use mail::mime::{HeaderFilter, TransferDecoder, TransferEncoding};
use proto::imap::command::Partial;
use store::{Mailboxes, StoreError, mailbox::MessageRecord};

/// Read in one go.
const CHUNK_BYTES: u64 = 64 * 1024;

/// What is made of the octets.
#[derive(Clone, Debug)]
pub(in super::super) enum Form {
    Plain,
    /// Header fields by name; `others`: all but those.
    Fields {
        names: Vec<String>,
        others: bool,
    },
    Decoded(TransferEncoding),
}

/// Content on its way, of which so many octets are wanted.
pub(in super::super) struct Stream {
    source: Source,
    skip: u64,
    left: u64,
}

/// The form of a range of a message, piece by piece.
struct Source {
    record: MessageRecord,
    range: Range<u64>,
    maker: Maker,
}

enum Maker {
    Plain,
    Fields(HeaderFilter),
    Decoded(TransferDecoder),
    Finished,
}

/// What there is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Measure {
    pub(in super::super) octets: u64,
    pub(in super::super) has_nul: bool,
}

impl Source {
    fn new(record: &MessageRecord, range: Range<u64>, form: &Form) -> Self {
        let maker = match form {
            Form::Plain => Maker::Plain,
            Form::Fields { names, others } => Maker::Fields(HeaderFilter::new(names.clone(), *others)),
            Form::Decoded(encoding) => Maker::Decoded(TransferDecoder::new(*encoding)),
        };
        Self { record: record.clone(), range, maker }
    }

    /// The next octets, maybe none; `None` at the end. A message that ends too soon is an error.
    async fn next(&mut self, mailboxes: &Mailboxes) -> Result<Option<Bytes>, StoreError> {
        if self.range.start >= self.range.end {
            let mut last = Vec::new();
            match std::mem::replace(&mut self.maker, Maker::Finished) {
                Maker::Plain | Maker::Finished => return Ok(None),
                Maker::Fields(filter) => filter.finish(&mut last),
                Maker::Decoded(decoder) => decoder.finish(&mut last),
            }
            return Ok(Some(last.into()));
        }
        let end = self.range.start.saturating_add(CHUNK_BYTES).min(self.range.end);
        let chunk = mailboxes.read(&self.record, self.range.start..end).await?;
        if chunk.is_empty() {
            return Err(StoreError::Damaged("a message is shorter than its record says".to_owned()));
        }
        self.range.start = self.range.start.saturating_add(chunk.len() as u64);
        let mut made = Vec::new();
        match &mut self.maker {
            Maker::Plain => return Ok(Some(chunk)),
            Maker::Fields(filter) => filter.push(&chunk, &mut made),
            Maker::Decoded(decoder) => decoder.push(&chunk, &mut made),
            Maker::Finished => {}
        }
        Ok(Some(made.into()))
    }
}

/// How long the content is; made of other octets, it is made once for this.
pub(in super::super) async fn measure(
    mailboxes: &Mailboxes,
    record: &MessageRecord,
    range: Range<u64>,
    form: &Form,
) -> Result<Measure, StoreError> {
    if matches!(form, Form::Plain) {
        return Ok(Measure { octets: range.end.saturating_sub(range.start), has_nul: false });
    }
    let mut source = Source::new(record, range, form);
    let mut measure = Measure { octets: 0, has_nul: false };
    while let Some(chunk) = source.next(mailboxes).await? {
        measure.octets = measure.octets.saturating_add(chunk.len() as u64);
        measure.has_nul |= memchr::memchr(0, &chunk).is_some();
    }
    Ok(measure)
}

impl Stream {
    /// `octets`: of the whole content. What is beyond its end is empty (RFC 9051 §6.4.5).
    pub(in super::super) fn new(
        record: &MessageRecord,
        range: Range<u64>,
        form: &Form,
        octets: u64,
        partial: Option<Partial>,
    ) -> Self {
        let (offset, wanted) = partial.map_or((0, u64::MAX), |partial| (partial.offset, partial.octets));
        let skip = offset.min(octets);
        let left = wanted.min(octets - skip);
        let plain = matches!(form, Form::Plain);
        let start = if plain { range.start.saturating_add(skip) } else { range.start };
        let source = Source::new(record, start..range.end, form);
        Self { source, skip: if plain { 0 } else { skip }, left }
    }

    pub(in super::super) fn left(&self) -> u64 {
        self.left
    }

    /// The next octets, maybe none; `None` once all are there.
    pub(in super::super) async fn next(
        &mut self,
        mailboxes: &Mailboxes,
    ) -> Result<Option<Bytes>, StoreError> {
        if self.left == 0 {
            return Ok(None);
        }
        if matches!(self.source.maker, Maker::Plain) {
            // Not more than is wanted is read.
            self.source.range.end =
                self.source.range.end.min(self.source.range.start.saturating_add(self.left));
        }
        let Some(mut chunk) = self.source.next(mailboxes).await? else { return Ok(None) };
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        self.skip -= skipped as u64;
        let mut wanted = chunk.split_off(skipped);
        wanted.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= wanted.len() as u64;
        Ok(Some(wanted))
    }
}
