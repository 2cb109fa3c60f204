//! Mailboxes that people share (RFC 4314): under which names others see them, and what they may do there.
//!
//! Whoever is handed a name by a client asks here what it leads to; what it may not be told of is not found.

use std::sync::{Arc, PoisonError, RwLock};

use mail::{Address, Right, Rights};

use crate::{
    Directory, Mailboxes, StoreError,
    directory::Account,
    mailbox::{AccountId, Identifier, Mailbox, MailboxId, Who, canonical_name, parents},
};

/// Above the mailboxes of others, which stand below their addresses (RFC 2342).
pub const OTHER_USERS: &str = "Other Users/";
/// Above the mailboxes of the account that the operator chose.
pub const SHARED: &str = "Shared/";

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sharing {
    directory: Directory,
    mailboxes: Mailboxes,
    options: Arc<RwLock<SharingOptions>>,
}

#[derive(Clone, Debug, Default)]
pub struct SharingOptions {
    /// Whose mailboxes are seen under [`SHARED`].
    pub shared_account: Option<Address>,
    /// Accounts may share with everybody. The operator always may.
    pub with_anyone: bool,
}

/// Where a name leads, whether or not there is a mailbox.
#[derive(Clone, Debug)]
pub struct Place {
    pub owner: Account,
    /// Its name for its owner.
    pub name: String,
}

/// A mailbox that a name led to.
#[derive(Clone, Debug)]
pub struct Reached {
    pub mailbox: Mailbox,
    pub owner: Account,
    /// What whoever named it may do there; none, perhaps.
    pub rights: Rights,
}

enum Way<'a> {
    Own,
    /// Below a namespace, where nothing of one's own is.
    Nowhere,
    Of(Address, &'a str),
}

impl Sharing {
    pub fn new(directory: Directory, mailboxes: Mailboxes) -> Self {
        Self { directory, mailboxes, options: Arc::default() }
    }

    /// From now on.
    pub fn configure(&self, options: SharingOptions) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
    }

    pub fn options(&self) -> SharingOptions {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None`: no account has it. What an account has of its own under a name stands before what others share.
    pub async fn place(&self, account: &Account, name: &str) -> Result<Option<Place>, StoreError> {
        let name = canonical_name(name);
        let own = || Place { owner: account.clone(), name: name.clone().into_owned() };
        let way = self.way(&name);
        if matches!(way, Way::Own) || self.mailboxes.by_name(account.id, &name).await?.is_some() {
            return Ok(Some(own()));
        }
        let Way::Of(address, rest) = way else { return Ok(None) };
        let owner = self.directory.account(&address).await?;
        Ok(owner.map(|owner| Place { owner, name: canonical_name(rest).into_owned() }))
    }

    fn way<'a>(&self, name: &'a str) -> Way<'a> {
        let shared = self.options.read().unwrap_or_else(PoisonError::into_inner).shared_account.clone();
        if let Some(address) = shared
            && below_or_at(name, SHARED)
        {
            return name.strip_prefix(SHARED).map_or(Way::Nowhere, |rest| Way::Of(address, rest));
        }
        if !below_or_at(name, OTHER_USERS) {
            return Way::Own;
        }
        let rest = name.strip_prefix(OTHER_USERS).unwrap_or_default();
        // A local part may have a slash.
        let levels =
            rest.match_indices('/').filter_map(|(at, _)| Some((rest.get(..at)?, rest.get(at + 1..)?)));
        let mut addresses = levels.filter_map(|(address, rest)| Some((address.parse().ok()?, rest)));
        addresses.next().map_or(Way::Nowhere, |(address, rest)| Way::Of(address, rest))
    }

    /// The mailbox of that name, and what the account may do there.
    pub async fn reach(&self, account: &Account, name: &str) -> Result<Option<Reached>, StoreError> {
        let Some(Place { owner, name }) = self.place(account, name).await? else { return Ok(None) };
        let Some(mailbox) = self.mailboxes.by_name(owner.id, &name).await? else { return Ok(None) };
        let rights = self.rights(account.id, mailbox.id).await?;
        Ok(Some(Reached { mailbox, owner, rights }))
    }

    /// What an account may do in a mailbox, now.
    pub async fn rights(&self, account: AccountId, mailbox: MailboxId) -> Result<Rights, StoreError> {
        if mailbox.account() == account {
            return Ok(Rights::all());
        }
        Ok(self.mailboxes.acl(mailbox).await?.map(|acl| acl.rights_of(account)).unwrap_or_default())
    }

    /// Whether the account may make a mailbox there: it needs that right in the next one above (RFC 4314 §4).
    pub async fn may_create(&self, account: AccountId, place: &Place) -> Result<bool, StoreError> {
        if place.owner.id == account {
            return Ok(true);
        }
        let mut above: Vec<&str> = parents(&place.name).collect();
        while let Some(name) = above.pop() {
            if let Some(mailbox) = self.mailboxes.by_name(place.owner.id, name).await? {
                return Ok(self.rights(account, mailbox.id).await?.has(Right::CreateMailboxes));
            }
        }
        Ok(false)
    }

    /// As clients write it: an address, or `anyone`, with `-` for rights that are taken away. `None`: it is nobody's.
    pub async fn identifier(&self, text: &str) -> Result<Option<Identifier>, StoreError> {
        let (negative, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        if name == "anyone" {
            return Ok(Some(Identifier { who: Who::Anyone, negative }));
        }
        let Ok(address) = name.parse() else { return Ok(None) };
        let account = self.directory.account(&address).await?;
        let who = account.map(|account| Who::Account { id: account.id, address: account.address });
        Ok(who.map(|who| Identifier { who, negative }))
    }

    /// What others let the account see, under the names by which it sees them, with what it may do there.
    pub async fn visible(&self, account: AccountId) -> Result<Vec<(Mailbox, Rights)>, StoreError> {
        let shared = self.options().shared_account.map(|address| address.to_lookup());
        let found = self.mailboxes.shared_with(account).await?.into_iter().map(|(mailbox, acl)| {
            let is_shared = shared.as_ref().is_some_and(|shared| *shared == acl.owner.to_lookup());
            let name = if is_shared {
                format!("{SHARED}{}", mailbox.name)
            } else {
                format!("{OTHER_USERS}{}/{}", acl.owner, mailbox.name)
            };
            // What it is used for, and whether it is subscribed, is the owner's.
            let seen = Mailbox { name, special_use: None, subscribed: false, ..mailbox };
            (seen, acl.rights_of(account))
        });
        Ok(found.filter(|(_, rights)| rights.has(Right::Lookup)).collect())
    }
}

/// `namespace`: with its delimiter.
fn below_or_at(name: &str, namespace: &str) -> bool {
    name.starts_with(namespace) || namespace.strip_suffix('/') == Some(name)
}

#[cfg(test)]
mod tests;
