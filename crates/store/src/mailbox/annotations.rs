//! Annotations of mailboxes, and of accounts (RFC 5464): `/shared/…` for all who see the mailbox, `/private/…` for one
//! reader. They go with their mailbox, and are counted: what an account may keep of them is bounded.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    AccountId, MailboxError, MailboxId, Mailboxes,
    keyspace::{account_counter, mailbox_key, space},
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    changes::Changes,
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{ANNOTATION, KeyBuilder, KeyReader, counter},
    value::Value,
};

/// The longest value, in octets.
pub const ANNOTATION_BYTES_MAX: usize = 32 * 1024;
/// What an account may keep of annotations: names, values, and something for each.
pub const ANNOTATIONS_OCTETS_MAX: u64 = 1024 * 1024;
const OVERHEAD_OCTETS: u64 = 64;

/// What an annotation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Annotated {
    /// The server, as this account sees it.
    Account(AccountId),
    Mailbox(MailboxId),
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Annotation {
    value: Bytes,
}

impl Value for Annotation {
    const NAME: &'static str = "annotation";
    const VERSION: u8 = 1;
}

/// For all who see the mailbox.
const SHARED: AccountId = AccountId(0);
const SHARED_PREFIX: &str = "/shared";
const PRIVATE_PREFIX: &str = "/private";

impl Annotated {
    /// No mailbox gets so far as to have the number that stands for its account.
    fn number(self) -> MailboxId {
        match self {
            Self::Account(account) => MailboxId((account.0 << 32) | u64::from(u32::MAX)),
            Self::Mailbox(mailbox) => mailbox,
        }
    }

    fn of(number: MailboxId) -> Self {
        let account = number.account();
        if Self::Account(account).number() == number { Self::Account(account) } else { Self::Mailbox(number) }
    }
}

/// Where an entry of that name stands. `None`: it begins as no entry does.
fn annotation_key(of: Annotated, reader: AccountId, entry: &str) -> Option<Key> {
    let (reader, rest) = match entry.strip_prefix(SHARED_PREFIX) {
        Some(rest) => (SHARED, rest),
        None => (reader, entry.strip_prefix(PRIVATE_PREFIX)?),
    };
    Some(KeyBuilder::new(ANNOTATION).u64(of.number().0).u64(reader.0).text(rest).key())
}

/// Of what it is, whose, and its name without the prefix.
fn parts(key: &Key) -> Result<(Annotated, AccountId, &str), StoreError> {
    let mut reader = KeyReader::new(key)?;
    let of = Annotated::of(MailboxId(reader.u64()?));
    Ok((of, AccountId(reader.u64()?), reader.text()?))
}

/// Whose share it is counted in, and how much it takes.
fn cost(key: &Key, stored: &Bytes) -> Result<(AccountId, i64), StoreError> {
    let (of, reader, _) = parts(key)?;
    let payer = if reader == SHARED { of.number().account() } else { reader };
    let octets = (key.as_slice().len() + stored.len()) as u64 + OVERHEAD_OCTETS;
    Ok((payer, i64::try_from(octets).unwrap_or(i64::MAX)))
}

impl Mailboxes {
    /// Those that the reader sees, by name.
    pub async fn annotations(
        &self,
        of: Annotated,
        reader: AccountId,
    ) -> Result<BTreeMap<String, Bytes>, StoreError> {
        let mut found = BTreeMap::new();
        for whose in [SHARED, reader] {
            let prefix = KeyBuilder::new(ANNOTATION).u64(of.number().0).u64(whose.0).octets();
            for (key, value) in
                self.engine.scan(KeyRange::prefix(&prefix), Order::Ascending, usize::MAX).await?
            {
                found.insert(entry_name(&key)?, Annotation::decode(&value)?.value);
            }
        }
        Ok(found)
    }

    /// All that the reader sees of an owner's mailboxes, and of the server if they are the reader's own; each with a hash of
    /// its value.
    pub async fn annotation_hashes(
        &self,
        owner: AccountId,
        reader: AccountId,
    ) -> Result<BTreeMap<(Annotated, String), u64>, StoreError> {
        let mut hashes = BTreeMap::new();
        let range = KeyRange::prefix(&owner_prefix(owner));
        for (key, value) in self.engine.scan(range, Order::Ascending, usize::MAX).await? {
            let (of, whose, _) = parts(&key)?;
            if whose == SHARED || whose == reader {
                hashes.insert((of, entry_name(&key)?), xxhash_rust::xxh3::xxh3_64(&value));
            }
        }
        Ok(hashes)
    }

    /// Wakes after each commit that changes annotations of the account's mailboxes.
    pub fn watch_annotations(&self, account: AccountId) -> Changes {
        self.engine.changes(owner_prefix(account).into())
    }

    /// All of the changes, or none; `None` removes an entry. Names are in lower case and begin with `/shared/` or
    /// `/private/`; values have at most [`ANNOTATION_BYTES_MAX`] octets. [`MailboxError::Limit`] if that is more than
    /// [`ANNOTATIONS_OCTETS_MAX`].
    pub async fn annotate(
        &self,
        of: Annotated,
        reader: AccountId,
        changes: &BTreeMap<String, Option<Bytes>>,
    ) -> Result<(), MailboxError> {
        let mut conflict = owner_prefix(reader).into();
        for _ in 0..CONFLICTS_MAX {
            let mut batch = Batch::new();
            let mut costs: HashMap<AccountId, i64> = HashMap::new();
            for (entry, value) in changes {
                let key = annotation_key(of, reader, entry).ok_or(MailboxError::Name("it is no entry"))?;
                let before = self.engine.get(&key).await?;
                if let Some(before) = &before {
                    let (payer, octets) = cost(&key, before)?;
                    *costs.entry(payer).or_default() -= octets;
                }
                batch.check(key.clone(), before.map_or(Expect::Absent, Expect::Equals));
                let Some(value) = value else {
                    batch.delete(key);
                    continue;
                };
                let stored = Annotation { value: value.clone() }.encode();
                let (payer, octets) = cost(&key, &Bytes::copy_from_slice(&stored))?;
                *costs.entry(payer).or_default() += octets;
                batch.put(key, stored);
            }
            if let Annotated::Mailbox(mailbox) = of {
                batch.check(mailbox_key(mailbox), Expect::Present);
            }
            for (payer, delta) in costs.iter().filter(|(_, delta)| **delta != 0) {
                batch.add_within(octets_counter(*payer), *delta, Some(ANNOTATIONS_OCTETS_MAX));
            }
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(at)) if costs.keys().any(|payer| at == octets_counter(*payer)) => {
                    return Err(MailboxError::Limit("there is no room for more annotations"));
                }
                Err(CommitError::Conflict(at)) if of == Annotated::Account(reader) => conflict = at,
                Err(CommitError::Conflict(at)) => {
                    if self.engine.get(&mailbox_key(of.number())).await?.is_none() {
                        return Err(MailboxError::NotFound);
                    }
                    conflict = at;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(conflict).into())
    }

    /// What was annotated goes, whoever did it.
    pub(super) async fn clear_annotations(&self, of: Annotated) -> Result<(), CommitError> {
        while let Some(page) = self.page(&space(ANNOTATION, of.number())).await? {
            let mut batch = Batch::new();
            for (key, stored) in page {
                let (payer, octets) = cost(&key, &stored)?;
                batch.check(key.clone(), Expect::Equals(stored));
                batch.delete(key);
                batch.add(octets_counter(payer), -octets);
            }
            match self.engine.commit(batch).await {
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn owner_prefix(account: AccountId) -> Vec<u8> {
    let [.., a, b, c, d] = account.0.to_be_bytes();
    vec![ANNOTATION, a, b, c, d]
}

fn octets_counter(account: AccountId) -> Key {
    account_counter(counter::ANNOTATION_OCTETS, account)
}

fn entry_name(key: &Key) -> Result<String, StoreError> {
    let (_, reader, rest) = parts(key)?;
    let prefix = if reader == SHARED { SHARED_PREFIX } else { PRIVATE_PREFIX };
    Ok(format!("{prefix}{rest}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::Engine,
        memory::MemoryEngine,
        testing::{at, keys},
    };

    const ALICE: AccountId = AccountId(7);
    const BOB: AccountId = AccountId(8);

    fn change(entry: &str, value: Option<&[u8]>) -> BTreeMap<String, Option<Bytes>> {
        [(entry.to_owned(), value.map(Bytes::copy_from_slice))].into()
    }

    async fn with_box() -> (Mailboxes, Arc<dyn Engine>, Annotated) {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let mailboxes = Mailboxes::new(engine.clone());
        let id = mailboxes.create(ALICE, "box", None, at(0)).await.unwrap().id;
        (mailboxes, engine, Annotated::Mailbox(id))
    }

    #[tokio::test]
    async fn everybody_sees_what_is_shared_and_nobody_what_is_anothers() {
        let (mailboxes, _, of) = with_box().await;
        for (reader, entry, value) in [
            (ALICE, "/shared/comment", "for all"),
            (ALICE, "/private/comment", "a"),
            (BOB, "/private/comment", "b"),
        ] {
            mailboxes.annotate(of, reader, &change(entry, Some(value.as_bytes()))).await.unwrap();
        }
        let seen = mailboxes.annotations(of, BOB).await.unwrap();
        let seen: Vec<_> = seen.iter().map(|(entry, value)| (entry.as_str(), value.as_ref())).collect();
        assert_eq!(seen, [("/private/comment", &b"b"[..]), ("/shared/comment", b"for all")]);
        assert_eq!(mailboxes.annotation_hashes(ALICE, BOB).await.unwrap().len(), 2);
        assert!(mailboxes.annotations(Annotated::Account(ALICE), ALICE).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn they_are_renamed_and_deleted_with_their_mailbox() {
        let (mailboxes, engine, of) = with_box().await;
        mailboxes.annotate(of, ALICE, &change("/private/a", Some(b"1"))).await.unwrap();
        mailboxes.annotate(of, BOB, &change("/shared/a", Some(b"2"))).await.unwrap();
        mailboxes.annotate(of, ALICE, &change("/private/a", None)).await.unwrap();
        mailboxes.rename(ALICE, "box", "new", at(0)).await.unwrap();
        assert_eq!(mailboxes.annotations(of, ALICE).await.unwrap().len(), 1);
        mailboxes.delete(ALICE, "new", at(0)).await.unwrap();
        assert!(mailboxes.annotations(of, ALICE).await.unwrap().is_empty());
        let late = mailboxes.annotate(of, ALICE, &change("/private/a", Some(b"1"))).await;
        assert!(matches!(late, Err(MailboxError::NotFound)), "{late:?}");
        let kept = engine.get(&octets_counter(ALICE)).await.unwrap();
        assert_eq!(crate::apply::counter_value(kept.as_ref()).unwrap(), 0);
        assert!(keys(&engine, ANNOTATION).await.is_empty());
    }

    #[tokio::test]
    async fn an_account_may_keep_so_much_and_what_was_removed_counts_no_more() {
        let (mailboxes, _, of) = with_box().await;
        let much = vec![b'x'; ANNOTATION_BYTES_MAX];
        let entry = |number: usize| format!("/private/{number}");
        let fits = 1024 * 1024 / (ANNOTATION_BYTES_MAX + 100);
        for number in 0..fits {
            mailboxes.annotate(of, ALICE, &change(&entry(number), Some(&much))).await.unwrap();
        }
        let more = mailboxes.annotate(of, ALICE, &change("/private/more", Some(&much))).await;
        assert!(matches!(more, Err(MailboxError::Limit(_))), "{more:?}");
        mailboxes.annotate(of, ALICE, &change(&entry(0), Some(&much))).await.unwrap();
        mailboxes.annotate(of, BOB, &change("/private/more", Some(&much))).await.unwrap();
        mailboxes.annotate(of, ALICE, &change(&entry(0), None)).await.unwrap();
        mailboxes.annotate(of, ALICE, &change("/private/more", Some(&much))).await.unwrap();
    }
}
