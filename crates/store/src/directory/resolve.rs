//! Where mail to an address goes.

use std::collections::HashSet;

use mail::{Address, Domain};

use super::{
    Account, Alias, Directory, ListAddress, ListRole, Resolution, Target, Tenure, account_key,
    aliases::catch_all, domain_key,
};
use crate::{
    engine::{KeyRange, Order, StoreError},
    keys::DOMAIN,
    value::Value,
};

/// Aliases that lead to aliases, this many times.
const ALIAS_DEPTH_MAX: usize = 10;
/// Addresses that one address may lead to, on the way too; more is refused as a loop is.
const ALIAS_EXPANSION_MAX: usize = 10_000;
/// Domains searched for one with a postmaster.
const POSTMASTER_DOMAINS_MAX: usize = 100;

/// What an address of ours is.
enum Found {
    Account(Box<Account>),
    Alias(Alias),
    List(Box<ListAddress>),
    Nobody,
    NotHosted,
}

/// An address on the way, and where it came from.
struct Node {
    address: Address,
    lookup: String,
    parent: Option<usize>,
    depth: usize,
}

/// Aliases being followed: `nodes` from `next` on are still to be looked at.
#[derive(Default)]
struct Expansion {
    nodes: Vec<Node>,
    next: usize,
    seen: HashSet<String>,
    targets: Vec<Target>,
}

impl Directory {
    /// Where mail to this address goes: exact account or alias, then `user+detail`, then the catch-all;
    /// `postmaster@` any hosted domain leads to the domain's first account if there is none (RFC 5321 §4.5.1).
    pub async fn resolve(&self, address: &Address) -> Result<Resolution, StoreError> {
        let alias = match self.find(address).await? {
            Found::NotHosted => return Ok(Resolution::NotHosted),
            Found::Nobody => return Ok(Resolution::UnknownUser),
            Found::Account(account) => return Ok(Resolution::Targets(vec![Target::Account(account)])),
            Found::List(list) => return Ok(Resolution::Targets(vec![Target::List(list)])),
            Found::Alias(alias) => alias,
        };
        self.expand(address, alias).await
    }

    /// As [`resolve`](Self::resolve) for `<postmaster>` without a domain: the postmaster of the oldest domain that has
    /// one.
    pub async fn resolve_postmaster(&self) -> Result<Resolution, StoreError> {
        let range = KeyRange::prefix(&[DOMAIN]);
        let found = self.engine.scan(range, Order::Ascending, POSTMASTER_DOMAINS_MAX).await?;
        let mut domains = Vec::with_capacity(found.len());
        for (_, value) in found {
            domains.push(super::DomainRecord::decode(&value)?);
        }
        domains.sort_by_key(|domain| domain.created_at);
        for domain in domains {
            let Ok(address) = format!("postmaster@{}", domain.name).parse() else { continue };
            match self.resolve(&address).await? {
                Resolution::UnknownUser | Resolution::NotHosted => {}
                found => return Ok(found),
            }
        }
        Ok(Resolution::UnknownUser)
    }

    /// The list that this address belongs to, unless it is its owners'.
    pub async fn list_address(&self, address: &Address) -> Result<Option<ListAddress>, StoreError> {
        Ok(match self.find(address).await? {
            Found::List(list) => Some(*list),
            _ => None,
        })
    }

    /// Since when an address of ours has had its owner: none if it is not ours or nobody's.
    pub async fn tenure(&self, address: &Address) -> Result<Option<Tenure>, StoreError> {
        let Some(domain) = address.domain() else { return Ok(None) };
        let Some(record) = self.domain(&domain.to_lookup()).await? else { return Ok(None) };
        let owner = match self.find(address).await? {
            Found::Account(account) => Some(account.created_at),
            // Whoever writes to a catch-all may mean anybody.
            Found::Alias(alias) => (!alias.address.starts_with('@')).then_some(alias.created_at),
            // RFC 7293 §9.1: members come and go.
            Found::List(_) => None,
            Found::Nobody | Found::NotHosted => return Ok(None),
        };
        Ok(Some(Tenure { domain: record.created_at, owner }))
    }

    async fn expand(&self, address: &Address, alias: Alias) -> Result<Resolution, StoreError> {
        let mut expansion = Expansion::default();
        expansion.push(address.clone(), None, 0);
        let mut found = Found::Alias(alias);
        loop {
            if !expansion.take(found) {
                return Ok(Resolution::Loop);
            }
            match expansion.current() {
                Some(node) => found = self.find(&node.address).await?,
                None => break,
            }
        }
        if expansion.targets.is_empty() {
            return Ok(Resolution::Loop);
        }
        let is_lost = expansion.targets.iter().all(|target| matches!(target, Target::Unknown(_)));
        Ok(if is_lost { Resolution::UnknownUser } else { Resolution::Targets(expansion.targets) })
    }

    async fn find(&self, address: &Address) -> Result<Found, StoreError> {
        let Some(domain) = address.domain() else { return Ok(Found::NotHosted) };
        let domain_name = domain.to_lookup();
        let Some(octets) = self.engine.get(&domain_key(&domain_name)).await? else {
            return Ok(Found::NotHosted);
        };
        let exact = self.find_exact(address).await?;
        if !matches!(exact, Found::Nobody) {
            return Ok(exact);
        }
        if let Some(found) = self.find_list_role(address, domain).await? {
            return Ok(found);
        }
        if let Some(base) = without_detail(address, domain) {
            let found = self.find_exact(&base).await?;
            if !matches!(found, Found::Nobody) {
                return Ok(found);
            }
        }
        if let Some(alias) = self.alias(&catch_all(&domain_name)).await? {
            return Ok(Found::Alias(alias));
        }
        // RFC 5321 §4.5.1
        if address.local_part().eq_ignore_ascii_case("postmaster")
            && let Some(first) = super::DomainRecord::decode(&octets)?.first_account
            && let Some(account) = self.account(&first).await?
        {
            return Ok(Found::Account(Box::new(account)));
        }
        Ok(Found::Nobody)
    }

    async fn find_exact(&self, address: &Address) -> Result<Found, StoreError> {
        let lookup = &address.to_lookup();
        if let Some(account) = self.read(&account_key(lookup)).await? {
            return Ok(Found::Account(Box::new(account)));
        }
        if let Some(alias) = self.alias(lookup).await? {
            return Ok(Found::Alias(alias));
        }
        let list = self.list_by_lookup(lookup).await?;
        let found = |list: super::MailingList| ListAddress {
            address: list.address.clone(),
            role: ListRole::Post,
            list,
        };
        Ok(list.map_or(Found::Nobody, |list| Found::List(Box::new(found(list)))))
    }

    /// `list-request`, `list-bounces+whose`, … of a list; its owners are found as an alias would be.
    async fn find_list_role(&self, address: &Address, domain: &Domain) -> Result<Option<Found>, StoreError> {
        let Some((name, role)) = ListRole::of(address.local_part()) else { return Ok(None) };
        let Ok(base) = Address::new(name, domain.clone()) else { return Ok(None) };
        let Some(list) = self.list_by_lookup(&base.to_lookup()).await? else { return Ok(None) };
        if role != ListRole::Owner {
            return Ok(Some(Found::List(Box::new(ListAddress { address: address.clone(), role, list }))));
        }
        let mut targets = list.owners;
        if targets.is_empty() {
            targets.extend(Address::new("postmaster", domain.clone()));
        }
        Ok(Some(Found::Alias(Alias { address: address.to_lookup(), targets, created_at: list.created_at })))
    }
}

/// RFC 5233 §1: `user` of `user+detail`.
fn without_detail(address: &Address, domain: &Domain) -> Option<Address> {
    let (user, _) = address.local_part().split_once('+')?;
    Address::new(user, domain.clone()).ok()
}

impl Expansion {
    fn current(&self) -> Option<&Node> {
        self.nodes.get(self.next)
    }

    /// Moves past the current node, which is `found`. False if that leads in a circle or too far.
    fn take(&mut self, found: Found) -> bool {
        let at = self.next;
        let Some(node) = self.nodes.get(at) else { return true };
        self.next += 1;
        match found {
            Found::Account(account) => {
                // The same account may be reached by several addresses: with a detail, as postmaster.
                if self.seen.insert(format!("account {}", account.id.0)) {
                    self.targets.push(Target::Account(account));
                }
            }
            Found::List(list) => {
                if self.seen.insert(format!("list {}", list.address.to_lookup())) {
                    self.targets.push(Target::List(list));
                }
            }
            Found::NotHosted => self.targets.push(Target::Foreign(node.address.clone())),
            Found::Nobody => self.targets.push(Target::Unknown(node.address.clone())),
            Found::Alias(alias) => {
                let depth = node.depth + 1;
                return depth <= ALIAS_DEPTH_MAX
                    && alias.targets.into_iter().all(|target| self.push(target, Some(at), depth));
            }
        }
        true
    }

    /// False if the address is among its own ancestors, or there are too many.
    fn push(&mut self, address: Address, parent: Option<usize>, depth: usize) -> bool {
        let lookup = address.to_lookup();
        if self.descends_from(parent, &lookup) || self.nodes.len() >= ALIAS_EXPANSION_MAX {
            return false;
        }
        if self.seen.insert(lookup.clone()) {
            self.nodes.push(Node { address, lookup, parent, depth });
        }
        true
    }

    fn descends_from(&self, mut parent: Option<usize>, lookup: &str) -> bool {
        while let Some(node) = parent.and_then(|at| self.nodes.get(at)) {
            if node.lookup == lookup {
                return true;
            }
            parent = node.parent;
        }
        false
    }
}
