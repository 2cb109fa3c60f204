//! The texts of a message, as they are searched and indexed: in lower case, decoded, in pieces.

use bytes::Bytes;
use mail::{
    charset::{CharsetDecoder, decode_words},
    header,
    mime::{Kind, Part, Structure, TransferEncoding},
};
use store::{
    Mailboxes, StoreError,
    mailbox::{MailboxId, StoredMessage},
    search_index::MessageWords,
};

use super::super::fetch::{Form, Stream};

/// Of a header section; what is beyond is not searched.
const HEADER_BYTES_MAX: u64 = 256 * 1024;
const HEADER_BYTES_TYPICAL: u64 = 16 * 1024;

/// As much as is searched.
pub(super) async fn read_header(mailboxes: &Mailboxes, message: &StoredMessage) -> Result<Bytes, StoreError> {
    let mut wanted = HEADER_BYTES_TYPICAL;
    loop {
        let octets = mailboxes.read(&message.record, 0..wanted).await?;
        let end = header::body_start(&octets);
        if end < octets.len() || octets.len() as u64 >= HEADER_BYTES_MAX.min(message.record.octets()) {
            return Ok(octets.slice(..end.min(octets.len())));
        }
        wanted = HEADER_BYTES_MAX;
    }
}

/// Of a header, or of the value of a field.
pub(super) fn header_text(octets: &[u8]) -> String {
    decode_words(&String::from_utf8_lossy(octets)).to_lowercase()
}

pub(super) fn text_parts(structure: &Structure) -> impl Iterator<Item = &Part> {
    let is_text =
        |part: &&Part| part.kind == Kind::Leaf && part.content.media_type.eq_ignore_ascii_case("text");
    structure.parts().iter().filter(is_text)
}

/// The text of a part on its way.
pub(super) struct PartText {
    stream: Stream,
    decoder: CharsetDecoder,
    is_complete: bool,
}

impl PartText {
    /// `None`: nobody here can decode it.
    pub(super) fn new(message: &StoredMessage, part: &Part) -> Option<Self> {
        let encoding = match part.content.encoding.as_deref() {
            Some(name) => TransferEncoding::of(name)?,
            None => TransferEncoding::Identity,
        };
        let stream = Stream::new(&message.record, part.body(), &Form::Decoded(encoding), u64::MAX, None);
        Some(Self { stream, decoder: CharsetDecoder::new(charset(part)), is_complete: false })
    }

    /// `None` at the end.
    pub(super) async fn next(&mut self, mailboxes: &Mailboxes) -> Result<Option<String>, StoreError> {
        if self.is_complete {
            return Ok(None);
        }
        let chunk = self.stream.next(mailboxes).await?;
        self.is_complete = chunk.is_none();
        let mut text = String::new();
        self.decoder.push(chunk.as_deref().unwrap_or_default(), self.is_complete, &mut text);
        Ok(Some(text.to_lowercase()))
    }
}

fn charset(part: &Part) -> &str {
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("charset");
    part.content.parameters.iter().find(named).map_or("utf-8", |(_, charset)| charset)
}

/// Everything that a search can find in a message. Whoever changes what that is raises the format of the index's blocks.
pub(super) async fn index_texts(
    mailboxes: &Mailboxes,
    mailbox: MailboxId,
    message: &StoredMessage,
    words: &mut MessageWords<'_>,
) -> Result<(), StoreError> {
    let header = read_header(mailboxes, message).await?;
    // A field by itself may read otherwise than among the others: encoded words begin and end elsewhere.
    let values = header::all_values(&header).map(|value| header_text(&value));
    for text in [header_text(&header)].into_iter().chain(values) {
        words.push(&text, false);
        words.end(false);
    }
    let summary = mailboxes.summary(mailbox, message).await?;
    for part in text_parts(&summary.structure) {
        let Some(mut text) = PartText::new(message, part) else { continue };
        while let Some(piece) = text.next(mailboxes).await? {
            words.push(&piece, true);
            if words.is_full() {
                return Ok(());
            }
        }
        words.end(true);
    }
    Ok(())
}
