//! Members of mailing lists, one key each, so that a list of any length costs no long value.

use mail::{Address, QueueId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Directory, DirectoryError, ListId, MailingList, list_key};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{DISTRIBUTION, KeyBuilder, LIST_MEMBER, counter},
    value::Value,
};

/// Members read, added or removed at once.
pub const MEMBERS_PAGE_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub address: Address,
    pub since: Timestamp,
    /// Of late; see [`Member::bounced`].
    pub bounces: u32,
    pub bounced_at: Option<Timestamp>,
    /// Gets nothing from then on.
    pub suspended_at: Option<Timestamp>,
}

/// How far a message to a list has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    pub list: ListId,
    /// Lookup form of the last member who has a copy.
    pub after: Option<String>,
    /// Members who have one.
    pub copies: u64,
}

impl Value for Member {
    const NAME: &'static str = "list member";
    const VERSION: u8 = 1;
}

impl Value for Distribution {
    const NAME: &'static str = "list distribution";
    const VERSION: u8 = 1;
}

impl Member {
    /// Bounces that lie further apart than this are forgotten.
    const BOUNCE_MEMORY_MS: i64 = 7 * 86_400_000;
    /// So many suspend a member.
    pub const BOUNCES_MAX: u32 = 5;

    fn new(address: Address, now: Timestamp) -> Self {
        Self { address, since: now, bounces: 0, bounced_at: None, suspended_at: None }
    }

    /// The member after one more bounce.
    #[must_use]
    pub fn bounced(&self, now: Timestamp) -> Self {
        let is_recent = |at: Timestamp| now.millis().saturating_sub(at.millis()) <= Self::BOUNCE_MEMORY_MS;
        let before = if self.bounced_at.is_some_and(is_recent) { self.bounces } else { 0 };
        let bounces = before.saturating_add(1);
        let suspended_at = self.suspended_at.or_else(|| (bounces >= Self::BOUNCES_MAX).then_some(now));
        Self { bounces, bounced_at: Some(now), suspended_at, ..self.clone() }
    }
}

impl Directory {
    /// Members after `after` (a lookup form) in order of their lookup forms.
    pub async fn members(
        &self,
        list: ListId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let mut range = KeyRange::prefix(&members_prefix(list).octets());
        if let Some(after) = after {
            range.start = member_key(list, after).successor();
        }
        self.read_members(range, limit).await
    }

    /// Members whose lookup form begins with `prefix`.
    pub async fn members_like(
        &self,
        list: ListId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.read_members(KeyRange::prefix(&members_prefix(list).text(prefix).octets()), limit).await
    }

    pub async fn member(&self, list: ListId, address: &Address) -> Result<Option<Member>, StoreError> {
        self.read(&member_key(list, &address.to_lookup())).await
    }

    pub async fn member_count(&self, list: ListId) -> Result<u64, StoreError> {
        let stored = self.engine.get(&counter_key(list)).await?;
        crate::apply::counter_value(stored.as_ref())
    }

    /// Adds members, and lets go on who was suspended; at most [`MEMBERS_PAGE_MAX`], in one batch. Returns who was
    /// neither member nor twice in `addresses`.
    pub async fn subscribe(
        &self,
        list: &Address,
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Address>, DirectoryError> {
        for _ in 0..CONFLICTS_MAX {
            let list = self.must_be_list(list).await?;
            let mut batch = Batch::new();
            let new = self.stage_subscription(&mut batch, &list, addresses, now).await?;
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(new),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(list_key(&list.to_lookup())).into())
    }

    /// As [`subscribe`](Self::subscribe) within a batch, which conflicts if the list or one of them changed.
    pub async fn stage_subscription(
        &self,
        batch: &mut Batch,
        list: &MailingList,
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Address>, DirectoryError> {
        let own = list.address.to_lookup();
        batch.check(list_key(&own), Expect::Equals(list.encode().into()));
        let mut new = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for address in addresses {
            let lookup = address.to_lookup();
            if lookup == own {
                return Err(DirectoryError::Invalid(format!("{address} cannot be a member of itself")));
            }
            if !seen.insert(lookup.clone()) {
                continue;
            }
            let key = member_key(list.id, &lookup);
            match self.read::<Member>(&key).await? {
                None => {
                    batch.check(key.clone(), Expect::Absent);
                    batch.put(key, Member::new(address.clone(), now).encode());
                    new.push(address.clone());
                }
                Some(member) if member.bounces > 0 || member.suspended_at.is_some() => {
                    let fresh = Member { since: member.since, ..Member::new(member.address.clone(), now) };
                    self.stage_member(batch, list.id, &member, &fresh);
                }
                Some(_) => {}
            }
        }
        batch.add(counter_key(list.id), i64::try_from(new.len()).unwrap_or(0));
        Ok(new)
    }

    /// Takes members out, at most [`MEMBERS_PAGE_MAX`], in one batch. Returns who was one.
    pub async fn unsubscribe(
        &self,
        list: &Address,
        addresses: &[Address],
    ) -> Result<Vec<Address>, DirectoryError> {
        for _ in 0..CONFLICTS_MAX {
            let list = self.must_be_list(list).await?;
            let mut batch = Batch::new();
            let gone = self.stage_leave(&mut batch, list.id, addresses).await?;
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(gone),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(list_key(&list.to_lookup())).into())
    }

    /// As [`unsubscribe`](Self::unsubscribe) within a batch, which conflicts if one of them changed.
    pub async fn stage_leave(
        &self,
        batch: &mut Batch,
        list: ListId,
        addresses: &[Address],
    ) -> Result<Vec<Address>, StoreError> {
        let mut gone: Vec<Member> = Vec::new();
        for address in addresses {
            if gone.iter().any(|member| member.address.to_lookup() == address.to_lookup()) {
                continue;
            }
            if let Some(member) = self.member(list, address).await? {
                stage_removal(batch, list, &member);
                gone.push(member);
            }
        }
        Ok(gone.into_iter().map(|member| member.address).collect())
    }

    /// Replaces a member's record; the batch conflicts if it is not `old` any more.
    pub fn stage_member(&self, batch: &mut Batch, list: ListId, old: &Member, new: &Member) {
        let key = member_key(list, &old.address.to_lookup());
        batch.check(key.clone(), Expect::Equals(old.encode().into()));
        batch.put(key, new.encode());
    }

    pub async fn distribution(&self, id: QueueId) -> Result<Option<Distribution>, StoreError> {
        self.read(&distribution_key(id)).await
    }

    /// Replaces how far a message has got; the batch conflicts if that is not `old` any more.
    pub fn stage_distribution(
        &self,
        batch: &mut Batch,
        id: QueueId,
        old: Option<&Distribution>,
        new: Option<&Distribution>,
    ) {
        let key = distribution_key(id);
        let expected = old.map_or(Expect::Absent, |old| Expect::Equals(old.encode().into()));
        batch.check(key.clone(), expected);
        match new {
            Some(new) => batch.put(key, new.encode()),
            None => batch.delete(key),
        }
    }

    /// For an operator who takes the message out of the queue.
    pub fn forget_distribution(&self, batch: &mut Batch, id: QueueId) {
        batch.delete(distribution_key(id));
    }

    async fn read_members(&self, range: KeyRange, limit: usize) -> Result<Vec<Member>, StoreError> {
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(_, value)| Member::decode(value)).collect()
    }
}

pub(super) fn stage_removal(batch: &mut Batch, list: ListId, member: &Member) {
    let key = member_key(list, &member.address.to_lookup());
    batch.check(key.clone(), Expect::Equals(member.encode().into()));
    batch.delete(key);
    batch.add(counter_key(list), -1);
}

pub(super) fn counter_key(list: ListId) -> Key {
    KeyBuilder::counter(counter::LIST_MEMBERS).u64(list.0).key()
}

fn members_prefix(list: ListId) -> KeyBuilder {
    KeyBuilder::new(LIST_MEMBER).u64(list.0)
}

fn member_key(list: ListId, lookup: &str) -> Key {
    members_prefix(list).text(lookup).key()
}

fn distribution_key(id: QueueId) -> Key {
    KeyBuilder::new(DISTRIBUTION).id(id).key()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounces_add_up_within_a_week_and_are_forgotten_after() {
        let at = |days: i64| Timestamp::from_millis(days * 86_400_000);
        let mut member = Member::new("ann@x.example".parse().unwrap(), at(0));
        for day in 0..4 {
            member = member.bounced(at(day * 6));
        }
        assert_eq!((member.bounces, member.suspended_at), (4, None));
        member = member.bounced(at(26));
        assert_eq!((member.bounces, member.suspended_at), (1, None), "8 days later");
        for _ in 0..4 {
            member = member.bounced(at(27));
        }
        assert_eq!((member.bounces, member.suspended_at), (5, Some(at(27))));
        assert_eq!(member.bounced(at(60)).suspended_at, Some(at(27)));
    }
}
