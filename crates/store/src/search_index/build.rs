//! Blocks made of messages, and of other blocks.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::{
    ContentId, IndexedMessage,
    block::{Block, BlockRecord, BlockWriter, Entries, zone},
    damaged,
    words::Splitter,
};
use crate::engine::StoreError;

/// New words that a message may bring, in octets.
const MESSAGE_WORDS_BYTES_MAX: usize = 512 * 1024;
/// Memory that the words of a block may take before it is full, roughly; a message more may be added then.
const MEMORY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Of a word beside its own octets.
const WORD_MEMORY_BYTES: usize = 80;
pub const BLOCK_MESSAGES_MAX: u32 = 2048;

/// Makes a block of messages.
#[derive(Debug, Default)]
pub struct BlockBuilder {
    messages: Vec<IndexedMessage>,
    words: HashMap<Box<str>, Vec<u32>>,
    memory_bytes: usize,
}

/// Takes the text of one message.
#[derive(Debug)]
pub struct MessageWords<'a> {
    block: &'a mut BlockBuilder,
    splitter: Splitter,
    message: u32,
    new_bytes: usize,
}

impl BlockBuilder {
    pub fn message(&mut self, content: ContentId) -> MessageWords<'_> {
        let message = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        self.messages.push(IndexedMessage { content, is_opaque: false });
        MessageWords { block: self, splitter: Splitter::default(), message, new_bytes: 0 }
    }

    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    pub fn is_full(&self) -> bool {
        self.messages.len() >= BLOCK_MESSAGES_MAX as usize || self.memory_bytes >= MEMORY_BYTES_MAX
    }

    /// Takes its time; not for a thread on which others wait.
    pub fn finish(self) -> Block {
        let mut words: Vec<(Box<str>, Vec<u32>)> = self.words.into_iter().collect();
        words.sort_unstable();
        let mut writer = BlockWriter::default();
        self.messages.iter().for_each(|message| writer.message(message));
        for (word, zones) in words {
            writer.word(word.as_bytes(), &zones);
        }
        writer.finish()
    }

    fn add(&mut self, word: &str, zone: u32) -> usize {
        if let Some(zones) = self.words.get_mut(word) {
            if zones.last() != Some(&zone) {
                zones.push(zone);
                self.memory_bytes += size_of::<u32>();
            }
            return 0;
        }
        self.words.insert(word.into(), vec![zone]);
        self.memory_bytes += word.len() + WORD_MEMORY_BYTES;
        word.len()
    }
}

impl MessageWords<'_> {
    /// A piece of a text of the header, or of the body: the header comes first, and a text is ended before the next begins.
    pub fn push(&mut self, piece: &str, is_body: bool) {
        if self.new_bytes > MESSAGE_WORDS_BYTES_MAX {
            return;
        }
        let Self { block, splitter, new_bytes, .. } = self;
        let zone = zone(self.message, is_body);
        splitter.push(piece, &mut |word| *new_bytes += block.add(word, zone));
    }

    /// The text that was pushed last is complete.
    pub fn end(&mut self, is_body: bool) {
        let Self { block, splitter, new_bytes, .. } = self;
        let zone = zone(self.message, is_body);
        splitter.end(&mut |word| *new_bytes += block.add(word, zone));
    }

    /// So many different words that the rest is not looked at.
    pub fn is_full(&self) -> bool {
        self.new_bytes > MESSAGE_WORDS_BYTES_MAX
    }

    /// `is_whole`: all of its texts were pushed. Without that, or if it has too many words or too long ones, it is always
    /// scanned.
    pub fn finish(self, is_whole: bool) {
        if is_whole && !self.splitter.is_overlong() && !self.is_full() {
            return;
        }
        if let Some(message) = self.block.messages.last_mut() {
            message.is_opaque = true;
        }
    }
}

/// One block of several, which come with their octets, without the messages that `is_kept` does not know.
pub(super) fn merge(
    blocks: &[(BlockRecord, Bytes)],
    is_kept: impl Fn(ContentId) -> bool,
) -> Result<Block, StoreError> {
    let mut writer = BlockWriter::default();
    let mut inputs = Vec::with_capacity(blocks.len());
    let (mut next, mut known) = (0, BTreeSet::new());
    for (record, octets) in blocks {
        let part = |range: std::ops::Range<u64>| {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            octets.get(range)
        };
        let messages = IndexedMessage::list(part(record.message_list()).ok_or_else(damaged)?)?;
        let mut places = Vec::with_capacity(messages.len());
        for message in &messages {
            let is_kept = is_kept(message.content) && known.insert(message.content);
            places.push(is_kept.then_some(next));
            if is_kept {
                writer.message(message);
                next += 1;
            }
        }
        let words = part(record.words()).ok_or_else(damaged)?;
        inputs.push((Entries::new(words, part(record.postings()).ok_or_else(damaged)?), places));
    }
    while let Some(word) = inputs.iter().filter_map(|(entries, _)| entries.word()).min() {
        let mut zones = Vec::new();
        for (entries, places) in inputs.iter_mut().filter(|(entries, _)| entries.word() == Some(word)) {
            entries.take(&mut |old| {
                let place = places.get(old as usize / 2).copied().flatten();
                zones.extend(place.map(|place| zone(place, old % 2 == 1)));
            })?;
        }
        if !zones.is_empty() {
            writer.word(word, &zones);
        }
    }
    Ok(writer.finish())
}
