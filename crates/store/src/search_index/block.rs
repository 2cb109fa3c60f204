//! A block: the words of some messages, sorted, and for each in which zones it is. The octets are those of the messages,
//! of the words, of every [`SAMPLE_WORDS`]th word's place, and of the lists of zones.

use std::ops::Range;

use memchr::{memchr_iter, memmem};
use serde::{Deserialize, Serialize};

use super::{ContentId, damaged, postings, words::GAP};
use crate::{engine::StoreError, value::Value};

/// Rises when blocks look otherwise, or when another text is made of a message, or split otherwise.
const FORMAT: u8 = 1;
/// Words from one whose place is kept to the next.
const SAMPLE_WORDS: usize = 64;
const MESSAGE_BYTES: usize = 17;
const SAMPLE_BYTES: usize = 8;
/// Words that a pattern may match; one that matches more says too little.
const MATCHES_MAX: usize = 4096;

/// What is kept of a block beside its octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    format: u8,
    /// What is a letter, and which is its lower case.
    unicode: (u8, u8, u8),
    pub messages: u32,
    words_bytes: u32,
    samples: u32,
    postings_bytes: u32,
}

impl Value for BlockRecord {
    const NAME: &'static str = "block of the search index";
    const VERSION: u8 = 1;
}

impl BlockRecord {
    pub(super) fn is_current(&self) -> bool {
        (self.format, self.unicode) == (FORMAT, char::UNICODE_VERSION)
    }

    pub fn octets(&self) -> u64 {
        self.postings().end
    }

    /// What is read for a search at least.
    pub fn words_bytes(&self) -> u64 {
        u64::from(self.words_bytes)
    }

    pub(super) fn message_list(&self) -> Range<u64> {
        0..u64::from(self.messages) * MESSAGE_BYTES as u64
    }

    pub(super) fn words(&self) -> Range<u64> {
        let start = self.message_list().end;
        start..start + u64::from(self.words_bytes)
    }

    pub(super) fn samples(&self) -> Range<u64> {
        let start = self.words().end;
        start..start + u64::from(self.samples) * SAMPLE_BYTES as u64
    }

    pub(super) fn postings(&self) -> Range<u64> {
        let start = self.samples().end;
        start..start + u64::from(self.postings_bytes)
    }
}

/// A message of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedMessage {
    pub content: ContentId,
    /// Not all of its words are known.
    pub is_opaque: bool,
}

impl IndexedMessage {
    pub(super) fn list(octets: &[u8]) -> Result<Vec<Self>, StoreError> {
        let mut messages = Vec::with_capacity(octets.len() / MESSAGE_BYTES);
        let mut rest = octets;
        while !rest.is_empty() {
            let (blob, after) = rest.split_first_chunk().ok_or_else(damaged)?;
            let (around, after) = after.split_first_chunk().ok_or_else(damaged)?;
            let (is_opaque, after) = after.split_first().ok_or_else(damaged)?;
            let content = ContentId { blob: u64::from_le_bytes(*blob), around: u64::from_le_bytes(*around) };
            messages.push(Self { content, is_opaque: *is_opaque != 0 });
            rest = after;
        }
        Ok(messages)
    }
}

/// Where a word may be: the header and the body of each message, in their order.
pub(super) fn zone(message: u32, is_body: bool) -> u32 {
    message.saturating_mul(2).saturating_add(u32::from(is_body))
}

/// A finished block.
#[derive(Debug)]
pub struct Block {
    pub(super) record: BlockRecord,
    pub(super) parts: [Vec<u8>; 4],
}

impl Block {
    pub fn octets(&self) -> u64 {
        self.record.octets()
    }

    pub fn messages(&self) -> u32 {
        self.record.messages
    }
}

/// Puts a block together, its words in ascending order.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    messages: u32,
    message_list: Vec<u8>,
    words: Vec<u8>,
    word_count: usize,
    samples: Vec<u8>,
    postings: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn message(&mut self, message: &IndexedMessage) {
        self.messages += 1;
        self.message_list.extend_from_slice(&message.content.blob.to_le_bytes());
        self.message_list.extend_from_slice(&message.content.around.to_le_bytes());
        self.message_list.push(u8::from(message.is_opaque));
    }

    pub(super) fn word(&mut self, word: &[u8], zones: &[u32]) {
        if self.words.is_empty() {
            self.words.push(GAP);
        }
        if self.word_count.is_multiple_of(SAMPLE_WORDS) {
            self.samples.extend_from_slice(&length(&self.words).to_le_bytes());
            self.samples.extend_from_slice(&length(&self.postings).to_le_bytes());
        }
        self.word_count += 1;
        self.words.extend_from_slice(word);
        self.words.push(GAP);
        postings::encode(zones, &mut self.postings);
    }

    pub(super) fn finish(self) -> Block {
        let record = BlockRecord {
            format: FORMAT,
            unicode: char::UNICODE_VERSION,
            messages: self.messages,
            words_bytes: length(&self.words),
            samples: u32::try_from(self.samples.len() / SAMPLE_BYTES).unwrap_or(u32::MAX),
            postings_bytes: length(&self.postings),
        };
        Block { record, parts: [self.message_list, self.words, self.samples, self.postings] }
    }
}

/// Blocks are some MiB at most.
fn length(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).unwrap_or(u32::MAX)
}

/// The words of a block, with the places of some.
pub(super) struct WordList {
    words: bytes::Bytes,
    /// Where a word is among the words, and where its list is among the lists.
    samples: Vec<(usize, u64)>,
}

/// Words of one sample that match, by their place from it on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matches {
    pub(super) lists: Range<u64>,
    pub(super) places: Vec<usize>,
}

impl WordList {
    pub(super) fn new(words: bytes::Bytes, samples: &[u8]) -> Result<Self, StoreError> {
        let (pairs, rest) = samples.as_chunks::<SAMPLE_BYTES>();
        if !rest.is_empty() {
            return Err(damaged());
        }
        let pair = |[a, b, c, d, e, f, g, h]: &[u8; SAMPLE_BYTES]| {
            let (word, list) = (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
            (word as usize, u64::from(list))
        };
        Ok(Self { words, samples: pairs.iter().map(pair).collect() })
    }

    /// `None`: too many.
    pub(super) fn find(&self, pattern: &[u8], lists_end: u64) -> Option<Vec<Matches>> {
        let mut found: Vec<Matches> = Vec::new();
        let (mut sample, mut count) = (usize::MAX, 0);
        let in_word = usize::from(pattern.first() == Some(&GAP));
        for at in memmem::find_iter(&self.words, pattern) {
            let at = at + in_word;
            let next = self.samples.partition_point(|(word, _)| *word <= at);
            let Some((word, list)) = next.checked_sub(1).and_then(|sample| self.samples.get(sample)) else {
                continue;
            };
            let place = memchr_iter(GAP, self.words.get(*word..at).unwrap_or_default()).count();
            if sample != next {
                sample = next;
                let end = self.samples.get(next).map_or(lists_end, |(_, list)| *list);
                found.push(Matches { lists: *list..end.max(*list), places: Vec::new() });
            }
            let Some(matches) = found.last_mut() else { continue };
            if matches.places.last() != Some(&place) {
                matches.places.push(place);
                count += 1;
                if count > MATCHES_MAX {
                    return None;
                }
            }
        }
        Some(found)
    }
}

impl Matches {
    /// `lists`: those from its sample on.
    pub(super) fn decode(&self, lists: &[u8], sink: &mut impl FnMut(u32)) -> Result<(), StoreError> {
        let (mut rest, mut place) = (lists, 0);
        for wanted in &self.places {
            while place < *wanted {
                postings::next(&mut rest)?;
                place += 1;
            }
            postings::next(&mut rest)?.decode(sink)?;
            place += 1;
        }
        Ok(())
    }
}

/// The words of a block one after the other, each with its zones.
pub(super) struct Entries<'a> {
    words: &'a [u8],
    lists: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(super) fn new(words: &'a [u8], lists: &'a [u8]) -> Self {
        Self { words: words.get(1..).unwrap_or_default(), lists }
    }

    /// The next word, which stays the next.
    pub(super) fn word(&self) -> Option<&'a [u8]> {
        let end = memchr::memchr(GAP, self.words)?;
        self.words.get(..end)
    }

    pub(super) fn take(&mut self, sink: &mut impl FnMut(u32)) -> Result<(), StoreError> {
        let word = self.word().ok_or_else(damaged)?;
        self.words = self.words.get(word.len() + 1..).unwrap_or_default();
        postings::next(&mut self.lists)?.decode(sink)
    }
}
