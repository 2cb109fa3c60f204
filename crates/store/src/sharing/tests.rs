use mail::RightsChange;

use super::*;
use crate::{
    Batch, Engine, Stores,
    directory::PasswordCost,
    keys,
    mailbox::{Arrival, FlagChange, FlagChangeKind, FlagMask, Flags, Identifier, Quota, Uid, Who},
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

struct Salt;

impl world::Entropy for Salt {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(7);
    }
}

struct House {
    stores: Stores,
    engine: Arc<dyn Engine>,
    anna: Account,
    bob: Account,
}

impl House {
    async fn new() -> Self {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let stores = Stores::with_password_cost(engine.clone(), PasswordCost::least());
        stores.directory.add_domain(&"example.org".parse().unwrap(), at(0)).await.unwrap();
        let (anna, bob) = (add(&stores, "anna").await, add(&stores, "bob").await);
        Self { stores, engine, anna, bob }
    }

    async fn mailbox(&self, name: &str) -> Mailbox {
        self.stores.mailboxes.create(self.anna.id, name, None, at(1000)).await.unwrap()
    }

    async fn grant(&self, mailbox: &Mailbox, identifier: &Identifier, rights: &str) {
        let change = RightsChange::Replace(Rights::parse(rights).unwrap());
        let mailboxes = &self.stores.mailboxes;
        mailboxes.change_acl(mailbox.id, &self.anna.address, identifier, change).await.unwrap();
    }

    /// What bob may do with a mailbox of that name; `-`: it leads nowhere.
    async fn reached(&self, name: &str) -> String {
        let reached = self.stores.sharing.reach(&self.bob, name).await.unwrap();
        reached.map_or("-".to_owned(), |reached| reached.rights.to_string())
    }

    async fn visible(&self) -> Vec<String> {
        let seen = self.stores.sharing.visible(self.bob.id).await.unwrap();
        seen.iter().map(|(mailbox, rights)| format!("{} {rights}", mailbox.name)).collect()
    }
}

async fn add(stores: &Stores, name: &str) -> Account {
    let address = format!("{name}@example.org").parse().unwrap();
    stores.directory.add_account(&address, "secret", None, &Salt, at(0)).await.unwrap()
}

fn only(account: &Account) -> Identifier {
    Identifier { who: Who::Account { id: account.id, address: account.address.clone() }, negative: false }
}

const ANYONE: Identifier = Identifier { who: Who::Anyone, negative: false };

#[tokio::test]
async fn what_is_shared_is_found_under_its_owners_address() {
    let house = House::new().await;
    let work = house.mailbox("Work").await;
    assert_eq!(house.reached("Other Users/anna@example.org/Work").await, "");
    assert!(house.visible().await.is_empty());
    house.grant(&work, &only(&house.bob), "lrs").await;
    assert_eq!(house.reached("Other Users/anna@example.org/Work").await, "lrs");
    assert_eq!(house.visible().await, ["Other Users/anna@example.org/Work lrs"]);
    assert_eq!(house.reached("Other Users/ANNA@example.org/Work").await, "lrs");
    assert_eq!(house.reached("Other Users/anna@example.org/inbox").await, "");
    assert_eq!(house.reached("Other Users/bob@example.org/inbox").await, Rights::all().to_string());
    assert_eq!(house.reached("inbox").await, Rights::all().to_string());
    for nowhere in [
        "Other Users",
        "Other Users/",
        "Other Users/anna@example.org",
        "Other Users/anna@example.org/",
        "Other Users/nobody@example.org/INBOX",
        "Other Users/anna/Work",
        "Shared/Work",
        "Work",
    ] {
        assert_eq!(house.reached(nowhere).await, "-", "{nowhere}");
    }
}

#[tokio::test]
async fn what_is_taken_away_counts_more_than_what_is_granted() {
    let house = House::new().await;
    let work = house.mailbox("Work").await;
    house.grant(&work, &ANYONE, "lr").await;
    house.grant(&work, &only(&house.bob), "wi").await;
    assert_eq!(house.visible().await, ["Other Users/anna@example.org/Work lrwi"]);
    house.grant(&work, &Identifier { negative: true, ..ANYONE }, "w").await;
    house.grant(&work, &Identifier { negative: true, ..only(&house.bob) }, "l").await;
    assert_eq!(house.reached("Other Users/anna@example.org/Work").await, "ri");
    assert!(house.visible().await.is_empty());
    house.grant(&work, &ANYONE, "").await;
    house.grant(&work, &only(&house.bob), "").await;
    let acl = house.stores.mailboxes.acl(work.id).await.unwrap().unwrap();
    assert_eq!(acl.entries.len(), 2);
    assert_eq!(acl.entries[0].identifier.to_string(), "-anyone");
    assert!(keys(&house.engine, keys::SHARED_MAILBOX).await.is_empty());
}

#[tokio::test]
async fn a_list_is_renamed_and_deleted_with_its_mailbox_and_those_below_inherit_it() {
    let house = House::new().await;
    let (mailboxes, anna) = (&house.stores.mailboxes, house.anna.id);
    let work = house.mailbox("Work").await;
    house.grant(&work, &only(&house.bob), "lrk").await;
    house.mailbox("Work/2026/May").await;
    mailboxes.rename(anna, "Work", "Play", at(0)).await.unwrap();
    assert_eq!(
        house.visible().await,
        ["", "/2026", "/2026/May"].map(|below| format!("Other Users/anna@example.org/Play{below} lrk"))
    );
    let place =
        |name: &'static str| async { house.stores.sharing.place(&house.bob, name).await.unwrap().unwrap() };
    let sharing = &house.stores.sharing;
    let below = place("Other Users/anna@example.org/Play/a/b").await;
    assert!(sharing.may_create(house.bob.id, &below).await.unwrap());
    let beside = place("Other Users/anna@example.org/Other").await;
    assert!(!sharing.may_create(house.bob.id, &beside).await.unwrap());
    for name in ["Play", "Play/2026", "Play/2026/May"] {
        mailboxes.delete(anna, name, at(0)).await.unwrap();
    }
    assert!(house.visible().await.is_empty());
    assert!(keys(&house.engine, keys::MAILBOX_ACL).await.is_empty());
    assert!(keys(&house.engine, keys::SHARED_MAILBOX).await.is_empty());
}

#[tokio::test]
async fn who_gets_the_address_later_inherits_nothing() {
    let house = House::new().await;
    let directory = &house.stores.directory;
    let work = house.mailbox("Work").await;
    house.grant(&work, &only(&house.bob), "lr").await;
    house.stores.mailboxes.make_url_key(house.bob.id, work.id, &Salt).await.unwrap();
    directory.remove_account(&house.bob.address).await.unwrap();
    assert_eq!(house.stores.mailboxes.acl(work.id).await.unwrap(), None);
    let bob = add(&house.stores, "bob").await;
    assert!(house.stores.sharing.visible(bob.id).await.unwrap().is_empty());
    house.grant(&work, &only(&bob), "lr").await;
    directory.remove_account(&house.anna.address).await.unwrap();
    for tag in [keys::MAILBOX_ACL, keys::SHARED_MAILBOX, keys::URL_KEY] {
        assert!(keys(&house.engine, tag).await.is_empty());
    }
}

#[tokio::test]
async fn the_operators_account_has_a_namespace_of_its_own() {
    let house = House::new().await;
    let work = house.mailbox("Work").await;
    house.grant(&work, &ANYONE, "lr").await;
    let shared_account = Some(house.anna.address.clone());
    house.stores.sharing.configure(SharingOptions { shared_account, with_anyone: false });
    assert_eq!(house.visible().await, ["Shared/Work lr"]);
    assert_eq!(house.reached("Shared/Work").await, "lr");
    assert_eq!(house.reached("Shared").await, "-");
    assert_eq!(house.reached("Shared/None").await, "-");
}

#[tokio::test]
async fn what_one_has_of_ones_own_stands_before_what_others_share() {
    let house = House::new().await;
    let work = house.mailbox("Work").await;
    house.grant(&work, &only(&house.bob), "lr").await;
    let name = "Other Users/anna@example.org/Work";
    let own = house.stores.mailboxes.create(house.bob.id, name, None, at(0)).await.unwrap();
    let reached = house.stores.sharing.reach(&house.bob, name).await.unwrap().unwrap();
    assert_eq!(reached.mailbox, own);
}

#[tokio::test]
async fn what_moves_to_another_account_counts_there() {
    let house = House::new().await;
    let (mailboxes, from, to) = (&house.stores.mailboxes, house.bob.inbox, house.anna.inbox);
    for _ in 0..3 {
        let mut batch = Batch::new();
        let blob = add_body(&house.engine, &mut batch, &bytes::Bytes::from_static(b"hello")).await;
        mailboxes.append(&mut batch, from, &record(blob, 5, None));
        house.engine.commit(batch).await.unwrap();
    }
    let all = FlagChange { how: FlagChangeKind::Add, flags: Flags(31), keywords: vec!["word".to_owned()] };
    mailboxes.store_flags(from, &[Uid(1), Uid(2), Uid(3)], &all, None).await.unwrap();
    let used = async |account| mailboxes.usage(account).await.unwrap();
    let (before, octets) = used(house.bob.id).await;
    assert_eq!(before, 3);
    let keeps = FlagMask { flags: Flags::SEEN, keywords: false };
    let arrival =
        |messages| Arrival { quota: Quota { octets: None, messages: Some(messages) }, keeps, now: at(0) };
    assert!(mailboxes.move_as(from, &[Uid(1), Uid(2)], to, arrival(1)).await.is_err());
    mailboxes.move_as(from, &[Uid(1), Uid(2)], to, arrival(2)).await.unwrap();
    assert_eq!(used(house.bob.id).await, (1, octets / 3));
    assert_eq!(used(house.anna.id).await, (2, octets / 3 * 2));
    let moved = mailboxes.message(to, Uid(1)).await.unwrap().unwrap().record;
    assert_eq!((moved.flags, moved.keywords.len()), (Flags::SEEN, 0));
    mailboxes.copy_as(from, &[Uid(3)], to, Arrival { keeps: FlagMask::ALL, ..arrival(3) }).await.unwrap();
    assert_eq!((used(house.bob.id).await.0, used(house.anna.id).await.0), (1, 3));
}

#[tokio::test]
async fn keys_that_sign_urls() {
    let house = House::new().await;
    let (mailboxes, bob, inbox) = (&house.stores.mailboxes, house.bob.id, house.bob.inbox);
    let key = async || mailboxes.url_key(bob, inbox).await.unwrap();
    assert!(key().await.is_none());
    let made = mailboxes.make_url_key(bob, inbox, &Salt).await.unwrap();
    assert_eq!(key().await.unwrap().octets(), made.octets());
    mailboxes.forget_url_keys(bob, Some(house.anna.inbox)).await.unwrap();
    assert!(key().await.is_some());
    mailboxes.forget_url_keys(bob, Some(inbox)).await.unwrap();
    assert!(key().await.is_none());
    mailboxes.make_url_key(bob, inbox, &Salt).await.unwrap();
    mailboxes.forget_url_keys(bob, None).await.unwrap();
    assert!(key().await.is_none());
}
