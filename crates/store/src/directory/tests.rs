use super::*;
use crate::{
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

/// Counts, so that no two salts are alike.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU8);

impl world::Entropy for Counting {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

async fn fixture() -> (Directory, Arc<dyn Engine>) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let directory = Directory::new(engine.clone());
    directory.add_domain(&domain("Example.org"), at(1000)).await.unwrap();
    (directory, engine)
}

async fn add(directory: &Directory, text: &str) -> Account {
    directory.add_account(&address(text), "secret", None, &Counting::default(), at(2000)).await.unwrap()
}

async fn alias(directory: &Directory, from: &str, to: &[&str]) {
    directory.add_alias(from, to.iter().map(|text| address(text)).collect(), at(3000)).await.unwrap();
}

/// `-` not hosted, `?` unknown, `@` loop, else what it leads to.
async fn leads(directory: &Directory, text: &str) -> String {
    told(directory.resolve(&address(text)).await.unwrap())
}

fn told(resolution: Resolution) -> String {
    match resolution {
        Resolution::NotHosted => "-".to_owned(),
        Resolution::UnknownUser => "?".to_owned(),
        Resolution::Loop => "@".to_owned(),
        Resolution::Targets(targets) => {
            let told = targets.into_iter().map(|target| match target {
                Target::Account(account) => account.address.to_string(),
                Target::Foreign(address) => format!("foreign {address}"),
                Target::Unknown(address) => format!("unknown {address}"),
                Target::List(list) => format!("{:?} of list {}", list.role, list.list.address),
            });
            told.collect::<Vec<_>>().join(", ")
        }
    }
}

#[tokio::test]
async fn domains_come_and_go() {
    let (directory, _) = fixture().await;
    assert!(directory.hosts(&domain("EXAMPLE.org")).await.unwrap());
    assert!(!directory.hosts(&domain("example.net")).await.unwrap());
    let again = directory.add_domain(&domain("EXAMPLE.ORG"), at(0)).await;
    assert!(matches!(again, Err(DirectoryError::DomainExists(_))));
    add(&directory, "ann@example.org").await;
    alias(&directory, "@example.org", &["ann@example.org"]).await;
    let in_use = |result| matches!(result, Err(DirectoryError::DomainInUse(_)));
    assert!(in_use(directory.remove_domain(&domain("example.org")).await));
    directory.remove_account(&address("ann@example.org")).await.unwrap();
    assert!(in_use(directory.remove_domain(&domain("example.org")).await));
    directory.remove_alias("@example.org").await.unwrap();
    directory.remove_domain(&domain("example.org")).await.unwrap();
    assert!(directory.domains().await.unwrap().is_empty());
    let unknown = directory.remove_domain(&domain("example.org")).await;
    assert!(matches!(unknown, Err(DirectoryError::DomainUnknown(_))));
}

#[tokio::test]
async fn an_account_comes_with_its_mailboxes() {
    let (directory, _) = fixture().await;
    let account = add(&directory, "Ann@Example.org").await;
    assert_eq!(directory.account(&address("ann@example.ORG")).await.unwrap(), Some(account.clone()));
    let mailboxes = directory.mailboxes.list(account.id).await.unwrap();
    let told: Vec<_> = mailboxes.iter().map(|it| (&*it.name, it.special_use.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("INBOX", None),
            ("Sent", Some("\\Sent")),
            ("Drafts", Some("\\Drafts")),
            ("Trash", Some("\\Trash")),
            ("Junk", Some("\\Junk")),
            ("Archive", Some("\\Archive"))
        ]
    );
    assert_eq!((mailboxes[0].id, mailboxes[0].uid_validity), (account.inbox, account.inbox_uid_validity));
}

#[tokio::test]
async fn accounts_need_a_hosted_domain_and_a_free_address() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    alias(&directory, "info@example.org", &["ann@example.org"]).await;
    let add = async |text: &str, password: &str| {
        directory.add_account(&address(text), password, None, &Counting::default(), at(0)).await.unwrap_err()
    };
    assert!(matches!(add("ann@EXAMPLE.org", "x").await, DirectoryError::AddressTaken(_)));
    assert!(matches!(add("Info@example.org", "x").await, DirectoryError::AddressTaken(_)));
    assert!(matches!(add("ann@example.net", "x").await, DirectoryError::DomainUnknown(_)));
    assert!(matches!(add("ann@[192.0.2.1]", "x").await, DirectoryError::Invalid(_)));
    assert!(matches!(add("bob@example.org", "").await, DirectoryError::Invalid(_)));
    let taken = directory.add_alias("ann@example.org", vec![address("x@y.example")], at(0)).await;
    assert!(matches!(taken, Err(DirectoryError::AddressTaken(_))));
    let unknown = directory.add_alias("@example.net", vec![address("x@y.example")], at(0)).await;
    assert!(matches!(unknown, Err(DirectoryError::DomainUnknown(_))));
    let empty = directory.add_alias("x@example.org", vec![], at(0)).await;
    assert!(matches!(empty, Err(DirectoryError::Invalid(_))));
    assert!(matches!(directory.remove_alias("x@example.org").await, Err(DirectoryError::AliasUnknown(_))));
}

#[tokio::test]
async fn accounts_made_at_once_do_not_collide() {
    let (directory, _) = fixture().await;
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let directory = directory.clone();
            tokio::spawn(async move { add(&directory, &format!("user{number}@example.org")).await.id })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.sort();
    assert_eq!(ids, [1, 2, 3, 4].map(AccountId));
    assert_eq!(directory.accounts().await.unwrap().len(), 4);
}

#[tokio::test]
async fn passwords_are_argon2id_and_only_the_right_one_opens() {
    let (directory, _) = fixture().await;
    let account = add(&directory, "ann@example.org").await;
    assert!(account.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let opens = async |login: &str, password: &str| {
        directory.authenticate(login, password).await.unwrap().map(|account| account.id)
    };
    assert_eq!(opens("Ann@example.org", "secret").await, Some(account.id));
    assert_eq!(opens("ann@example.org", "Secret").await, None);
    assert_eq!(opens("ann@example.org", "").await, None);
    assert_eq!(opens("bob@example.org", "secret").await, None);
    assert_eq!(opens("not an address", "secret").await, None);
    directory.set_password(&address("ann@example.org"), "other", &Counting::default()).await.unwrap();
    assert_eq!(opens("ann@example.org", "secret").await, None);
    assert_eq!(opens("ann@example.org", "other").await, Some(account.id));
    let unknown = directory.set_password(&address("bob@example.org"), "x", &Counting::default()).await;
    assert!(matches!(unknown, Err(DirectoryError::AccountUnknown(_))));
}

#[tokio::test]
async fn a_removed_account_leaves_nothing_and_a_new_one_of_its_name_is_another() {
    let (directory, engine) = fixture().await;
    let old = add(&directory, "ann@example.org").await;
    let mut batch = Batch::new();
    let blob = add_body(&engine, &mut batch, &bytes::Bytes::from_static(b"body")).await;
    directory.mailboxes.append(&mut batch, old.inbox, &record(blob, 4, None));
    engine.commit(batch).await.unwrap();
    let mut late = Batch::new();
    let late_blob = add_body(&engine, &mut late, &bytes::Bytes::from_static(b"late")).await;
    directory.mailboxes.append(&mut late, old.inbox, &record(late_blob, 4, None));
    directory.remove_account(&old.address).await.unwrap();
    // What was just being delivered brings nothing back.
    assert!(matches!(engine.commit(late).await, Err(crate::CommitError::Conflict(_))));
    assert!(matches!(engine.blob_read(blob, 0..1).await, Err(StoreError::NotFound)));
    for tag in [ACCOUNT, crate::keys::MAILBOX, crate::keys::MAILBOX_MESSAGE, crate::keys::MAILBOX_NAME] {
        assert!(keys(&engine, tag).await.is_empty());
    }
    let new = add(&directory, "ann@example.org").await;
    assert!(new.id != old.id && new.inbox != old.inbox);
    assert!(new.inbox_uid_validity > old.inbox_uid_validity);
    let unknown = directory.remove_account(&address("bob@example.org")).await;
    assert!(matches!(unknown, Err(DirectoryError::AccountUnknown(_))));
}

#[tokio::test]
async fn addresses_lead_to_accounts_aliases_details_and_catch_alls_in_that_order() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    add(&directory, "ann+private@example.org").await;
    alias(&directory, "info@example.org", &["ann@example.org", "x@example.net", "ANN@example.org"]).await;
    assert_eq!(leads(&directory, "ann@example.net").await, "-");
    assert_eq!(leads(&directory, "ann@[192.0.2.1]").await, "-");
    assert_eq!(leads(&directory, "bob@example.org").await, "?");
    assert_eq!(leads(&directory, "ANN@Example.ORG").await, "ann@example.org");
    assert_eq!(leads(&directory, "ann+private@example.org").await, "ann+private@example.org");
    assert_eq!(leads(&directory, "ann+shop@example.org").await, "ann@example.org");
    assert_eq!(leads(&directory, "bob+shop@example.org").await, "?");
    assert_eq!(leads(&directory, "info@example.org").await, "ann@example.org, foreign x@example.net");
    assert_eq!(leads(&directory, "info+x@example.org").await, "ann@example.org, foreign x@example.net");
    alias(&directory, "@example.org", &["ann+private@example.org"]).await;
    assert_eq!(leads(&directory, "bob+shop@example.org").await, "ann+private@example.org");
    assert_eq!(leads(&directory, "ann+shop@example.org").await, "ann@example.org");
}

#[tokio::test]
async fn aliases_are_followed_and_each_target_comes_once() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    alias(&directory, "a@example.org", &["b@example.org", "c@example.org"]).await;
    alias(&directory, "b@example.org", &["c@example.org", "ann+b@example.org"]).await;
    alias(&directory, "c@example.org", &["ann@example.org", "x@example.net"]).await;
    assert_eq!(leads(&directory, "a@example.org").await, "ann@example.org, foreign x@example.net");
}

#[tokio::test]
async fn an_alias_with_a_dead_target_still_leads_to_the_others() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    alias(&directory, "a@example.org", &["gone@example.org", "ann@example.org"]).await;
    alias(&directory, "dead@example.org", &["gone@example.org"]).await;
    assert_eq!(leads(&directory, "a@example.org").await, "unknown gone@example.org, ann@example.org");
    assert_eq!(leads(&directory, "dead@example.org").await, "?");
}

#[tokio::test]
async fn circles_and_long_chains_of_aliases_are_refused() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    alias(&directory, "self@example.org", &["SELF@example.org"]).await;
    alias(&directory, "ping@example.org", &["ann@example.org", "pong@example.org"]).await;
    alias(&directory, "pong@example.org", &["ping@example.org"]).await;
    for circle in ["self@example.org", "self+x@example.org", "ping@example.org", "pong@example.org"] {
        assert_eq!(leads(&directory, circle).await, "@", "{circle}");
    }
    for step in 0..12 {
        let next =
            if step == 11 { "ann@example.org".to_owned() } else { format!("s{}@example.org", step + 1) };
        alias(&directory, &format!("s{step}@example.org"), &[&next]).await;
    }
    assert_eq!(leads(&directory, "s2@example.org").await, "ann@example.org", "ten steps are followed");
    assert_eq!(leads(&directory, "s1@example.org").await, "@");
}

// RFC 5321 §4.5.1
#[tokio::test]
async fn postmaster_of_every_domain_is_somebody() {
    let (directory, _) = fixture().await;
    assert_eq!(leads(&directory, "postmaster@example.org").await, "?");
    add(&directory, "zoe@example.org").await;
    add(&directory, "ann@example.org").await;
    assert_eq!(
        leads(&directory, "PostMaster@example.org").await,
        "zoe@example.org",
        "the first account made"
    );
    directory.remove_account(&address("zoe@example.org")).await.unwrap();
    assert_eq!(leads(&directory, "postmaster@example.org").await, "ann@example.org");
    alias(&directory, "postmaster@example.org", &["boss@example.net"]).await;
    assert_eq!(leads(&directory, "postmaster@example.org").await, "foreign boss@example.net");
}

// RFC 5321 §4.5.1
#[tokio::test]
async fn postmaster_without_a_domain_is_the_oldest_domains() {
    let (directory, _) = fixture().await;
    directory.add_domain(&domain("a.example"), at(5000)).await.unwrap();
    let postmaster = async || told(directory.resolve_postmaster().await.unwrap());
    assert_eq!(postmaster().await, "?");
    add(&directory, "ann@a.example").await;
    assert_eq!(postmaster().await, "ann@a.example");
    add(&directory, "bob@example.org").await;
    assert_eq!(postmaster().await, "bob@example.org");
}

#[tokio::test]
async fn full_names_are_kept_and_found() {
    let (directory, _) = fixture().await;
    for user in ["ann", "bea", "cy"] {
        add(&directory, &format!("{user}@example.org")).await;
    }
    let name = |user: &str, name: &str| {
        let (address, name) = (address(&format!("{user}@example.org")), name.parse().unwrap());
        let directory = directory.clone();
        async move { directory.set_full_name(&address, Some(name)).await.unwrap() }
    };
    let found = async |text: &str| {
        let found = directory.accounts_by_name(text, 10).await.unwrap();
        found.iter().map(|account| account.address.local_part().to_owned()).collect::<Vec<_>>().join(" ")
    };
    name("ann", "Ann Smith").await;
    name("bea", "Bea Ann Smith-Jones").await;
    name("cy", "Cy Änderson").await;
    assert_eq!(found("smith").await, "ann bea");
    assert_eq!(found("ANN SMITH").await, "ann", "the whole name goes before a part of one");
    assert_eq!(found("jon be").await, "bea");
    assert_eq!(found("ÄNDERS").await, "cy");
    assert_eq!(found("mith").await, "");
    for nothing in ["", "\"", "smith\r\n", "smith cy"] {
        assert_eq!(found(nothing).await, "", "{nothing:?}");
    }
    name("ann", "Ann Miller").await;
    assert_eq!(found("smith").await, "bea");
    directory.set_full_name(&address("ann@example.org"), None).await.unwrap();
    assert_eq!(found("ann").await, "bea");
    directory.remove_account(&address("bea@example.org")).await.unwrap();
    assert_eq!(found("ann").await, "");
    let unknown = directory.set_full_name(&address("bea@example.org"), None).await;
    assert!(matches!(unknown, Err(DirectoryError::AccountUnknown(_))));
}

#[tokio::test]
async fn accounts_of_earlier_versions_are_read_and_changed() {
    let (directory, engine) = fixture().await;
    let account = add(&directory, "ann@example.org").await;
    let octets = account.encode();
    for (version, ending) in [(2, 1), (1, 2)] {
        let (octets, left_out) = octets.split_at(octets.len() - ending);
        assert!(left_out.iter().all(|octet| *octet == 0), "full_name and quota_messages stand last");
        let mut octets = octets.to_vec();
        octets[0] = version;
        let mut batch = Batch::new();
        batch.put(account_key("ann@example.org"), octets);
        engine.commit(batch).await.unwrap();
        assert_eq!(directory.account(&account.address).await.unwrap(), Some(account.clone()));
    }
    directory.set_password(&account.address, "new", &Counting::default()).await.unwrap();
    assert!(directory.authenticate("ann@example.org", "new").await.unwrap().is_some());
    directory.set_full_name(&account.address, Some("Ann".parse().unwrap())).await.unwrap();
    assert_eq!(directory.accounts_by_name("ann", 5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_turn_domain_is_fetched_by_one_account_and_is_not_hosted() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    add(&directory, "bob@example.org").await;
    let (ann, bob) = (address("ann@example.org"), address("bob@example.org"));
    for name in ["far.example", "A.example"] {
        directory.add_turn_domain(&ann, &domain(name), at(1)).await.unwrap();
    }
    let refused = async |who, name| directory.add_turn_domain(who, &domain(name), at(1)).await.unwrap_err();
    assert!(matches!(refused(&bob, "FAR.example").await, DirectoryError::TurnDomainTaken(..)));
    assert!(matches!(refused(&bob, "example.org").await, DirectoryError::DomainExists(_)));
    let nobody = address("nobody@example.org");
    assert!(matches!(refused(&nobody, "b.example").await, DirectoryError::AccountUnknown(_)));
    let hosted = directory.add_domain(&domain("far.example"), at(1)).await.unwrap_err();
    assert!(matches!(hosted, DirectoryError::TurnDomainTaken(..)), "{hosted}");
    let account = directory.account(&ann).await.unwrap().unwrap();
    let names: Vec<_> = directory.turn_domains_of(&account).await.unwrap();
    assert_eq!(names, [domain("a.example"), domain("far.example")]);
    assert_eq!(directory.turn_domain(&domain("far.EXAMPLE")).await.unwrap().unwrap().address, ann);
}

#[tokio::test]
async fn an_account_that_fetches_for_others_stays() {
    let (directory, _) = fixture().await;
    add(&directory, "ann@example.org").await;
    let ann = address("ann@example.org");
    directory.add_turn_domain(&ann, &domain("far.example"), at(1)).await.unwrap();
    let refused = directory.remove_account(&ann).await.unwrap_err();
    assert!(matches!(refused, DirectoryError::AccountFetches(_)), "{refused}");
    directory.remove_turn_domain(&domain("far.example")).await.unwrap();
    let unknown = directory.remove_turn_domain(&domain("far.example")).await.unwrap_err();
    assert!(matches!(unknown, DirectoryError::TurnDomainUnknown(_)), "{unknown}");
    directory.remove_account(&ann).await.unwrap();
    directory.add_domain(&domain("far.example"), at(1)).await.unwrap();
}
