//! Where the state comes from that a backup is taken of.

use std::ops::Range;

use bytes::Bytes;
use store::{BlobId, Body, Key, KeyRange, Snapshot, keys::ENGINE_FIRST};

use crate::error::Error;

/// Pairs asked for in one go; of values that strangers can make long, so not many.
const PAIRS: usize = 200;
const BODIES: usize = 2000;

/// Octets of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub id: BlobId,
    pub range: Range<u64>,
}

/// One state of a store.
#[async_trait::async_trait]
pub trait Source: Send {
    /// Pairs with keys from `from` on; none at the end.
    async fn pairs(&mut self, from: &Key) -> Result<Vec<(Key, Bytes)>, Error>;
    /// Bodies with numbers above `after`; none at the end.
    async fn bodies(&mut self, after: Option<BlobId>) -> Result<Vec<Body>, Error>;
    /// One answer for each part; what cannot be read is told in words.
    async fn parts(&mut self, parts: &[Part]) -> Result<Vec<Result<Bytes, String>>, Error>;
}

#[async_trait::async_trait]
impl Source for Box<dyn Snapshot> {
    async fn pairs(&mut self, from: &Key) -> Result<Vec<(Key, Bytes)>, Error> {
        let range = KeyRange { start: from.clone(), end: vec![ENGINE_FIRST].into() };
        Ok(self.scan(range, PAIRS).await?)
    }

    async fn bodies(&mut self, after: Option<BlobId>) -> Result<Vec<Body>, Error> {
        Ok((**self).bodies(after, BODIES).await?)
    }

    async fn parts(&mut self, parts: &[Part]) -> Result<Vec<Result<Bytes, String>>, Error> {
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let octets = self.blob_read(part.id, part.range.clone()).await;
            read.push(octets.map_err(|error| error.to_string()));
        }
        Ok(read)
    }
}
