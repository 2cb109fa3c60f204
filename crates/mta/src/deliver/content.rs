//! The content of one message for one host: as it stands, or converted for what the host lacks.
//!
//! It is read as often as is needed: to see what it demands, for a conversion to plan and to measure it, and to send it.
//! No more than a piece of it is in memory.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    Body, MtPriority,
    convert::{Converter, Plan, Scan, Survey, Target, Unconvertible},
};
use proto::smtp::client::Capabilities;
use store::{StoreError, spool::QueueEntry};

use super::list::leaving;
use crate::{
    Mta,
    outcome::{Fate, Trouble},
};

/// Octets of content in one piece; what frames a chunk of this size is a ten-thousandth of it.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

pub(super) struct Content {
    source: Source,
    /// How it is to be declared.
    pub(super) body: Body,
    /// Octets, as they are sent.
    pub(super) bytes: u64,
    pub(super) header_is_ascii: bool,
    conversion: Option<Plan>,
    position: u64,
    /// Under way, if there is a conversion.
    converter: Option<Converter>,
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error("the message cannot be read: {0}")]
    Unreadable(#[from] StoreError),
    #[error("takes no {lacks}, and the message cannot be converted: {why}")]
    Unconvertible { lacks: &'static str, why: Unconvertible },
}

impl Unsent {
    pub(super) fn fate(&self, host: &str) -> Fate {
        match self {
            Self::Unreadable(_) => Fate::Deferred(Trouble::new((4, 3, 0), self.to_string())),
            // RFC 3463 §3.7: conversion required but not supported.
            Self::Unconvertible { .. } => {
                Fate::Failed(Trouble::new((5, 6, 3), format!("the host {host} {self}")))
            }
        }
    }
}

/// The stored body behind what this host is told in front of it; the first piece is kept, which is all there is of most
/// messages.
struct Source {
    mta: Arc<Mta>,
    blob: store::engine::BlobId,
    /// Octets that go in front.
    prefix_bytes: u64,
    /// With those.
    bytes: u64,
    first: Bytes,
}

impl Source {
    async fn open(mta: &Arc<Mta>, entry: &QueueEntry, prefix: Vec<u8>) -> Result<Self, StoreError> {
        let prefix_bytes = prefix.len() as u64;
        let first = mta.stores.engine.blob_read(entry.blob, 0..PIECE_BYTES_MAX).await?;
        let first = if prefix.is_empty() { first } else { [prefix, first.to_vec()].concat().into() };
        let bytes = entry.blob_bytes + prefix_bytes;
        Ok(Self { mta: mta.clone(), blob: entry.blob, prefix_bytes, bytes, first })
    }

    async fn piece(&self, position: u64) -> Result<Option<Bytes>, StoreError> {
        if position >= self.bytes {
            return Ok(None);
        }
        if position == 0 {
            return Ok(Some(self.first.clone()).filter(|first| !first.is_empty()));
        }
        let start = position.saturating_sub(self.prefix_bytes);
        let range = start..start + PIECE_BYTES_MAX;
        let piece = self.mta.stores.engine.blob_read(self.blob, range).await?;
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// What it demands, and how long it is if it goes through a conversion.
    async fn scan(&self, conversion: Option<&Plan>) -> Result<(Scan, u64), Unsent> {
        let (mut scan, mut bytes, mut position) = (Scan::new(), 0, 0);
        let mut converter = conversion.map(Converter::new);
        let mut converted = Vec::new();
        loop {
            let piece = self.piece(position).await?;
            position += piece.as_ref().map_or(0, Bytes::len) as u64;
            let octets = match converter.take() {
                None => piece.as_deref().unwrap_or_default(),
                Some(under_way) => {
                    converted.clear();
                    converter = advance(under_way, piece.as_deref(), &mut converted)?;
                    &converted
                }
            };
            scan.push(octets);
            bytes += octets.len() as u64;
            if piece.is_none() {
                return Ok((scan.finish(), bytes));
            }
        }
    }

    async fn plan(&self, target: Target, lacks: &'static str) -> Result<Plan, Unsent> {
        let unconvertible = |why| Unsent::Unconvertible { lacks, why };
        let (mut survey, mut position) = (Survey::new(target), 0);
        while let Some(piece) = self.piece(position).await? {
            position += piece.len() as u64;
            survey.push(&piece).map_err(unconvertible)?;
        }
        survey.finish().map_err(unconvertible)
    }
}

/// What a member of a list is told in front of its copy, and RFC 6758 §3: the priority, for a host that does not take it
/// with MAIL. No such field came in with the message.
async fn prefix(mta: &Mta, entry: &QueueEntry, host: &Capabilities) -> Result<Vec<u8>, StoreError> {
    let mut fields = leaving::fields(mta, &mta.config(), entry).await?;
    let priority = entry.priority();
    if !host.mt_priority && priority != MtPriority::NORMAL {
        fields.extend_from_slice(format!("MT-Priority: {priority}\r\n").as_bytes());
    }
    Ok(fields)
}

/// Converts one more piece, or the end; returns the converter if there is more to come.
fn advance(
    mut converter: Converter,
    piece: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<Option<Converter>, StoreError> {
    // It was planned from the very same octets.
    let changed = |_| StoreError::Damaged("it changed while it was read".to_owned());
    match piece {
        Some(piece) => converter.push(piece, out).map(|()| Some(converter)).map_err(changed),
        None => converter.finish(out).map(|()| None).map_err(changed),
    }
}

impl Content {
    /// `chunking`: whether BDAT may be used where it is announced.
    pub(super) async fn prepare(
        mta: &Arc<Mta>,
        entry: &QueueEntry,
        host: &Capabilities,
        chunking: bool,
    ) -> Result<Self, Unsent> {
        let source = Source::open(mta, entry, prefix(mta, entry, host).await?).await?;
        let (scan, bytes) = source.scan(None).await?;
        let section = source.first.get(..mail::header::body_start(&source.first));
        let header_is_ascii = section.is_some_and(<[u8]>::is_ascii);
        let mut content = Self {
            source,
            body: entry.mail.body,
            bytes,
            header_is_ascii,
            conversion: None,
            position: 0,
            converter: None,
        };
        if entry.mail.smtputf8 && !header_is_ascii && !host.smtputf8 {
            // RFC 6531 §3.6: this header goes nowhere, whatever becomes of the body.
            return Ok(content);
        }
        match demanded(&scan, entry.mail.body, host, chunking) {
            Ok(body) => content.body = body,
            Err((target, lacks)) => {
                let plan = content.source.plan(target, lacks).await?;
                let (scan, bytes) = content.source.scan(Some(&plan)).await?;
                content.bytes = bytes;
                content.body = if scan.eight_bit { Body::EightBitMime } else { Body::SevenBit };
                content.conversion = Some(plan);
            }
        }
        Ok(content)
    }

    /// To the beginning, for another transaction.
    pub(super) fn restart(&mut self) {
        self.position = 0;
        self.converter = self.conversion.as_ref().map(Converter::new);
    }

    /// The next piece, of up to 1 MiB if it is converted; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut converted = Vec::new();
        loop {
            let piece = self.source.piece(self.position).await?;
            self.position += piece.as_ref().map_or(0, Bytes::len) as u64;
            let Some(converter) = self.converter.take() else {
                return Ok(piece);
            };
            self.converter = advance(converter, piece.as_deref(), &mut converted)?;
            if !converted.is_empty() {
                return Ok(Some(converted.into()));
            }
        }
    }

    /// For the history: what was done to it.
    pub(super) fn note(&self) -> Option<String> {
        let parts = self.conversion.as_ref()?.encoded_parts();
        let parts = if parts == 1 { "1 part".to_owned() } else { format!("{parts} parts") };
        let width = if self.body == Body::SevenBit { "7-bit" } else { "8-bit" };
        Some(format!("converted to {width} content, {parts} encoded"))
    }
}

/// How the content is declared to this host; an error says what it has to become, and for want of what.
fn demanded(
    scan: &Scan,
    declared: Body,
    host: &Capabilities,
    chunking: bool,
) -> Result<Body, (Target, &'static str)> {
    let chunking = chunking && host.chunking;
    // RFC 3030 §3: without BINARYMIME there are lines, each ends with CRLF, and the last one too.
    let is_binary = declared == Body::BinaryMime && (scan.binary || scan.long_line || !scan.ended);
    if is_binary && chunking && host.binary_mime {
        return Ok(Body::BinaryMime);
    }
    let target = if host.eight_bit_mime { Target::EightBit } else { Target::SevenBit };
    if is_binary {
        return Err((target, "binary content (BINARYMIME)"));
    }
    // RFC 6152 §3: never sent as it is.
    if scan.eight_bit && !host.eight_bit_mime {
        return Err((target, "8-bit content (8BITMIME)"));
    }
    // RFC 5321 §4.5.3.1.6: chunks have no lines.
    if scan.long_line && !chunking {
        return Err((target, "lines of more than 998 octets (CHUNKING)"));
    }
    Ok(if scan.eight_bit { Body::EightBitMime } else { Body::SevenBit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(octets: &[u8]) -> Scan {
        let mut scan = Scan::new();
        scan.push(octets);
        scan.finish()
    }

    fn host(announced: &str) -> Capabilities {
        let has = |keyword: &str| announced.split(' ').any(|word| word == keyword);
        Capabilities {
            eight_bit_mime: has("8BITMIME"),
            chunking: has("CHUNKING"),
            binary_mime: has("BINARYMIME"),
            ..Capabilities::default()
        }
    }

    #[test]
    fn what_the_host_lacks_decides() {
        let long = [b'x'; 1000];
        for (octets, declared, announced, expected) in [
            (b"a\r\n".as_slice(), Body::EightBitMime, "", Ok(Body::SevenBit)),
            (b"a\r\n", Body::BinaryMime, "", Ok(Body::SevenBit)),
            (b"\xe4\r\n", Body::SevenBit, "8BITMIME", Ok(Body::EightBitMime)),
            (b"\xe4\r\n", Body::SevenBit, "", Err(Target::SevenBit)),
            (b"\xe4\r\n", Body::BinaryMime, "8BITMIME", Ok(Body::EightBitMime)),
            (b"\0", Body::BinaryMime, "8BITMIME CHUNKING BINARYMIME", Ok(Body::BinaryMime)),
            (b"\0", Body::BinaryMime, "8BITMIME BINARYMIME", Err(Target::EightBit)),
            (b"\0", Body::BinaryMime, "CHUNKING", Err(Target::SevenBit)),
            (&long, Body::SevenBit, "8BITMIME", Err(Target::EightBit)),
            (&long, Body::SevenBit, "CHUNKING", Ok(Body::SevenBit)),
        ] {
            let decided = demanded(&scan(octets), declared, &host(announced), true);
            let decided = decided.map_err(|(target, _)| target);
            assert_eq!(decided, expected, "{} for {announced:?}", octets.escape_ascii());
        }
        let all = host("8BITMIME CHUNKING BINARYMIME");
        assert!(demanded(&scan(b"\0"), Body::BinaryMime, &all, false).is_err());
    }
}
