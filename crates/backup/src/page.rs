//! Pages of pairs, cut where the keys say so.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use store::Key;
use xxhash_rust::xxh3::xxh3_64;

/// A page is not cut before it is as long, and not left to grow beyond.
const PAGE_BYTES_MIN: usize = 8 * 1024;
const PAGE_BYTES_MAX: usize = 128 * 1024;
/// Of so many keys one ends a page.
const CUT_ONE_IN: u64 = 64;

/// SHA-256: parts of values come from strangers, who could make two pages with one weaker sum.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest_of(content: &[u8]) -> Digest {
    <Digest>::try_from(digest(&SHA256, content).as_ref()).unwrap_or_default()
}

/// Appends a pair: length and octets of the key, length and octets of the value.
pub fn encode_pair(page: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for octets in [key, value] {
        // Neither is as long as that: a batch is not.
        page.extend_from_slice(&u32::try_from(octets.len()).unwrap_or(u32::MAX).to_le_bytes());
        page.extend_from_slice(octets);
    }
}

/// None if it is not a run of pairs.
pub fn decode_pairs(page: &Bytes) -> Option<Vec<(Key, Bytes)>> {
    let mut rest = page.clone();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let key = take(&mut rest)?;
        pairs.push((Key(key), take(&mut rest)?));
    }
    Some(pairs)
}

pub(crate) fn take(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk::<4>()?)).ok()?;
    if rest.len() - 4 < length {
        return None;
    }
    let _ = rest.split_to(4);
    Some(rest.split_to(length))
}

/// A page that is whole.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) first: Key,
    pub(crate) pairs: u32,
    pub(crate) content: Vec<u8>,
}

/// Takes pairs in order. Where a page ends depends on the keys near its end alone, so that a change moves no cut far away.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    first: Option<Key>,
    pairs: u32,
    content: Vec<u8>,
}

impl Cutter {
    /// The page that this pair ends.
    pub(crate) fn push(&mut self, key: Key, value: &[u8]) -> Option<Page> {
        encode_pair(&mut self.content, key.as_slice(), value);
        self.pairs += 1;
        let ends = xxh3_64(key.as_slice()).is_multiple_of(CUT_ONE_IN);
        self.first.get_or_insert(key);
        let length = self.content.len();
        ((ends && length >= PAGE_BYTES_MIN) || length >= PAGE_BYTES_MAX).then(|| self.cut()).flatten()
    }

    /// What is left.
    pub(crate) fn cut(&mut self) -> Option<Page> {
        let first = self.first.take()?;
        let (pairs, content) = (std::mem::take(&mut self.pairs), std::mem::take(&mut self.content));
        Some(Page { first, pairs, content })
    }
}
