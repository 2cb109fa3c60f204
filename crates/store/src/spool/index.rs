//! What entries are found by besides their ID and lane: recipient, sender, being held. Written with the entry, in the same
//! batch.

use mail::{Address, Domain, Host, ReversePath};
use xxhash_rust::xxh3::xxh3_64;

use super::{EntryId, EntryStatus, LaneId, QueueEntry};
use crate::{
    batch::Batch,
    engine::{Key, StoreError},
    keys::{KeyBuilder, KeyReader, QUEUE_HELD, QUEUE_RECIPIENT, QUEUE_SENDER, QUEUE_SUBMITTER},
    mailbox::AccountId,
};

/// An octet of recipients' keys: what waits here to go to another host stands in front of the rest.
const WAITS_ABROAD: u8 = 0;
const WAITS_OTHERWISE: u8 = 1;

impl LaneId {
    /// Its entries go to other hosts, so that ETRN can ask for them.
    pub fn leads_abroad(&self) -> bool {
        matches!(self.0.split_once(':'), Some(("smtp" | "mx" | "domain", _)))
    }
}

/// Brings the indexes from what stood there to what stands there now.
pub(super) fn update(batch: &mut Batch, old: Option<&QueueEntry>, new: Option<&QueueEntry>) {
    if let (Some(_), Some(new)) = (old, new)
        && let Some(account) = new.submitter
    {
        // Nothing new, but whoever watches the account's mail on its way hears of it.
        put(batch, submitter_prefix(account).id(new.queue_id).u16(new.part).key());
    }
    match (old, new) {
        (Some(old), Some(new)) if looks_the_same(old, new) => {}
        (Some(old), Some(new)) => {
            let (mut before, mut after) = (keys(old), keys(new));
            before.sort_unstable();
            after.sort_unstable();
            before
                .iter()
                .filter(|key| after.binary_search(key).is_err())
                .for_each(|key| batch.delete(key.clone()));
            after
                .into_iter()
                .filter(|key| before.binary_search(key).is_err())
                .for_each(|key| put(batch, key));
        }
        (Some(old), None) => keys(old).into_iter().for_each(|key| batch.delete(key)),
        (None, Some(new)) => keys(new).into_iter().for_each(|key| put(batch, key)),
        (None, None) => {}
    }
}

fn put(batch: &mut Batch, key: Key) {
    batch.put(key, Vec::new());
}

/// A retry changes nothing that entries are found by.
fn looks_the_same(old: &QueueEntry, new: &QueueEntry) -> bool {
    old.status == new.status
        && old.lane == new.lane
        && old.release_at == new.release_at
        && old.reverse_path == new.reverse_path
        && old.recipients.len() == new.recipients.len()
        && old.recipients.iter().zip(&new.recipients).all(|(old, new)| old.address == new.address)
}

pub(super) fn keys(entry: &QueueEntry) -> Vec<Key> {
    let state = if entry.status == EntryStatus::Waiting && entry.lane.leads_abroad() {
        WAITS_ABROAD
    } else {
        WAITS_OTHERWISE
    };
    let end = |key: KeyBuilder| key.id(entry.queue_id).u16(entry.part).key();
    let mut keys = Vec::with_capacity(entry.recipients.len() + 2);
    for recipient in &entry.recipients {
        let key = recipient_prefix(recipient.address.host()).octet(0).octet(state);
        keys.push(end(key.u32(short_hash(&recipient.address.to_lookup()))));
    }
    keys.push(end(sender_prefix(&entry.reverse_path)));
    keys.extend(entry.submitter.map(|account| end(submitter_prefix(account))));
    if is_held_by_someone(entry) {
        keys.push(end(held_prefix(&entry.lane)));
    }
    keys
}

/// By an operator, or by its sender at first (RFC 4865); whether that is over depends on the time.
fn is_held_by_someone(entry: &QueueEntry) -> bool {
    entry.status == EntryStatus::Held || entry.release_at > entry.accepted_at
}

/// Labels from the right, so that what is below a domain stands behind it.
pub(super) fn domain_prefix(domain: &Domain) -> KeyBuilder {
    let lookup = domain.to_lookup();
    let labels: Vec<&str> = lookup.rsplit('.').collect();
    KeyBuilder::new(QUEUE_RECIPIENT).text(&labels.join("."))
}

fn recipient_prefix(host: &Host) -> KeyBuilder {
    match host {
        Host::Domain(domain) => domain_prefix(domain),
        literal => KeyBuilder::new(QUEUE_RECIPIENT).text(&literal.to_string()),
    }
}

/// Entries with this recipient: those that wait to go abroad, and the others.
pub(super) fn recipient_prefixes(address: &Address) -> [KeyBuilder; 2] {
    let hash = short_hash(&address.to_lookup());
    [WAITS_ABROAD, WAITS_OTHERWISE]
        .map(|state| recipient_prefix(address.host()).octet(0).octet(state).u32(hash))
}

pub(super) fn abroad_prefix(domain: &Domain) -> KeyBuilder {
    domain_prefix(domain).octet(0).octet(WAITS_ABROAD)
}

pub(super) fn sender_prefix(path: &ReversePath) -> KeyBuilder {
    match path {
        ReversePath::Null => sender_host_prefix("").u32(short_hash("")),
        ReversePath::Address(address) => {
            let host = match address.host() {
                Host::Domain(domain) => domain.to_lookup(),
                literal => literal.to_string(),
            };
            sender_host_prefix(&host).u32(short_hash(&address.to_lookup()))
        }
    }
}

/// Senders of a domain, in its lookup form.
pub(super) fn sender_host_prefix(host: &str) -> KeyBuilder {
    KeyBuilder::new(QUEUE_SENDER).u32(short_hash(host))
}

pub(super) fn submitter_prefix(account: AccountId) -> KeyBuilder {
    KeyBuilder::new(QUEUE_SUBMITTER).u64(account.0)
}

pub(super) fn held_prefix(lane: &LaneId) -> KeyBuilder {
    KeyBuilder::new(QUEUE_HELD).text(&lane.0).octet(0)
}

/// Whoever finds an entry by it looks whether it is meant. Stored: never to be changed.
fn short_hash(text: &str) -> u32 {
    (xxh3_64(text.as_bytes()) >> 32) as u32
}

/// The entry that a key of these spaces names, and whether it waits to go abroad by a recipient's key.
pub(super) fn read_recipient_key(key: &Key) -> Result<(EntryId, bool), StoreError> {
    let mut reader = KeyReader::new(key)?;
    reader.text_to_nul()?;
    let abroad = reader.u8()? == WAITS_ABROAD;
    reader.u32()?;
    Ok((EntryId { queue_id: reader.id()?, part: reader.u16()? }, abroad))
}

/// The entry that a key of any index ends with.
pub(super) fn entry_at_end(key: &Key) -> Result<EntryId, StoreError> {
    let mut reader = KeyReader::end_of(key, size_of::<u64>() + size_of::<u16>())?;
    Ok(EntryId { queue_id: reader.id()?, part: reader.u16()? })
}
