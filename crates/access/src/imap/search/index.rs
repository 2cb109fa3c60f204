//! Asks the index which messages cannot hold what is looked for. It is asked where many would have to be read, and where
//! its words are less to read than they.

use std::ops::Range;

use store::{
    SearchIndex, StoreError,
    mailbox::{AccountId, StoredMessage},
    search_index::{BlockInfo, ContentId, Query},
};

use super::text::{Needle, RULED_OUT_MAX};

/// Fewer messages are read at once.
const MESSAGES_MIN: usize = 16;
/// So many that were in no block are to be indexed soon.
const WANTED_MIN: usize = 64;
/// Octets of a block's words that are looked through while one of a message is read and decoded.
const WORDS_FACTOR: u64 = 4;

/// A message whose text decides.
#[derive(Debug)]
pub(super) struct Undecided {
    pub(super) uid: u32,
    content: ContentId,
    octets: u64,
    /// By their places, the needles that are not in it.
    pub(super) ruled_out: u64,
    is_indexed: bool,
}

impl Undecided {
    pub(super) fn new(message: &StoredMessage) -> Self {
        let record = &message.record;
        let (content, octets) = (ContentId::of(record), record.octets());
        Self { uid: message.uid.0, content, octets, ruled_out: 0, is_indexed: false }
    }
}

/// A needle as the index knows it.
pub(super) struct Wanted {
    place: usize,
    query: Query,
    in_header: bool,
    in_body: bool,
}

/// Of those needles that the index can rule out.
pub(super) fn queries(needles: &[Needle]) -> Vec<Wanted> {
    let of_one = |(place, needle): (usize, &Needle)| {
        let (query, in_header, in_body) = needle.query()?;
        Some(Wanted { place, query, in_header, in_body })
    };
    needles.iter().enumerate().take(RULED_OUT_MAX).filter_map(of_one).collect()
}

pub(super) async fn rule_out(
    index: &SearchIndex,
    account: AccountId,
    queries: &[Wanted],
    undecided: &mut [Undecided],
) -> Result<(), StoreError> {
    if undecided.len() < MESSAGES_MIN || queries.is_empty() {
        return Ok(());
    }
    let mut order: Vec<usize> = (0..undecided.len()).collect();
    let content = |undecided: &[Undecided], place: usize| undecided.get(place).map(|one| one.content);
    order.sort_unstable_by_key(|place| content(undecided, *place));
    for block in index.blocks(account).await? {
        match consult(index, &block, queries, undecided, &order).await {
            // It became part of another: its messages are read this once.
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(StoreError::Damaged(reason)) => {
                tracing::warn!(reason, "a block of the search index is damaged and is made anew");
                discard(index, account, &block).await;
            }
            // The messages themselves may be readable.
            Err(error) => tracing::warn!(%error, "a block of the search index cannot be read"),
        }
    }
    if undecided.iter().filter(|one| !one.is_indexed).count() >= WANTED_MIN {
        index.want(account);
    }
    Ok(())
}

async fn discard(index: &SearchIndex, account: AccountId, block: &BlockInfo) {
    let dropped = async {
        let revision = index.revision(account).await?;
        index.drop_some(account, revision, &[block.blob]).await
    };
    match dropped.await {
        Ok(_) => index.want(account),
        Err(error) => tracing::debug!(%error, "the damaged block stays for now"),
    }
}

/// `order`: places in `undecided`, by content.
async fn consult(
    index: &SearchIndex,
    block: &BlockInfo,
    queries: &[Wanted],
    undecided: &mut [Undecided],
    order: &[usize],
) -> Result<(), StoreError> {
    let (mut covered, mut octets) = (Vec::new(), 0_u64);
    for (message, indexed) in index.messages(block).await?.iter().enumerate() {
        for place in order.get(of_content(undecided, order, indexed.content)).unwrap_or_default() {
            let Some(one) = undecided.get_mut(*place) else { continue };
            one.is_indexed = true;
            if !indexed.is_opaque {
                covered.push((message, *place));
                octets = octets.saturating_add(one.octets);
            }
        }
    }
    if covered.len() < MESSAGES_MIN || octets.saturating_mul(WORDS_FACTOR) < block.record.words_bytes() {
        return Ok(());
    }
    let asked: Vec<Query> = queries.iter().map(|wanted| wanted.query.clone()).collect();
    let found = index.find(block, &asked).await?;
    for (wanted, zones) in queries.iter().zip(&found) {
        for (message, place) in &covered {
            let may =
                wanted.in_header && zones.in_header(*message) || wanted.in_body && zones.in_body(*message);
            if let Some(one) = undecided.get_mut(*place).filter(|_| !may) {
                one.ruled_out |= 1 << wanted.place;
            }
        }
    }
    // Others want to go on too.
    tokio::task::yield_now().await;
    Ok(())
}

fn of_content(undecided: &[Undecided], order: &[usize], content: ContentId) -> Range<usize> {
    let of = |place: &usize| undecided.get(*place).map(|one| one.content);
    let start = order.partition_point(|place| of(place) < Some(content));
    let alike = order.get(start..).unwrap_or_default().iter().take_while(|place| of(place) == Some(content));
    start..start + alike.count()
}
