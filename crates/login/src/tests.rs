use mail::{Address, Timestamp, scram::ScramHash};
use store::memory::MemoryEngine;
use world::SystemEntropy;

use super::*;

const ANNA: &str = "anna@example.org";
const HERE: Client = client(Service::Submission);

const fn client(service: Service) -> Client {
    Client { ip: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), service }
}

/// `anna@example.org`, whose password is "p\u{e4}ss word", and her door.
async fn house() -> (Directory, Logins) {
    let stores = store::Stores::new(Arc::new(MemoryEngine::new()));
    let directory = stores.directory;
    let now = Timestamp::from_millis(0);
    directory.add_domain(&"example.org".parse().unwrap(), now).await.unwrap();
    let anna: Address = ANNA.parse().unwrap();
    directory.add_account(&anna, "p\u{e4}ss word", None, &SystemEntropy, now).await.unwrap();
    let logins = Logins::new(directory.clone(), &World::system(), Limits::default());
    (directory, logins)
}

fn shown(name: &str, password: &str) -> Credentials {
    Credentials::new(name, password).unwrap()
}

async fn is_let_in(logins: &Logins, client: Client, name: &str, password: &str) -> bool {
    match logins.password(client, &shown(name, password)).await {
        Outcome::Accepted(account) => {
            assert_eq!(account.address.to_string(), ANNA);
            true
        }
        Outcome::Refused { .. } => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn names_and_passwords_are_prepared() {
    let (_, logins) = house().await;
    // RFC 8265: composed or not, wide or not, and whatever the space is.
    for (name, password) in [
        (ANNA, "p\u{e4}ss word"),
        ("ANNA@Example.ORG", "pa\u{308}ss\u{a0}word"),
        ("\u{ff41}nna@example.org", "p\u{e4}ss\u{2003}word"),
    ] {
        assert!(is_let_in(&logins, HERE, name, password).await, "{name} {password}");
    }
    for (name, password) in [
        (ANNA, "P\u{e4}ss word"),
        (ANNA, "p\u{e4}ss\tword"),
        ("anna\n@example.org", "p\u{e4}ss word"),
        (ANNA, "p\u{e4}ss word\n"),
    ] {
        assert!(!is_let_in(&logins, HERE, name, password).await, "{name:?} {password:?}");
    }
}

#[tokio::test]
async fn a_refusal_costs_the_same_whatever_is_wrong() {
    let (directory, logins) = house().await;
    directory
        .add_app_password(
            &ANNA.parse().unwrap(),
            None,
            &[Service::Pop3],
            &SystemEntropy,
            Timestamp::from_millis(0),
        )
        .await
        .unwrap();
    for (name, password) in [
        (ANNA, "wrong"),
        ("nobody@example.org", "wrong"),
        ("nobody@elsewhere.example", "wrong"),
        ("no address", "wrong"),
        ("' OR 1=1--", "x"),
        ("*)(uid=*", "x"),
        (ANNA, "a\u{7}b"),
        ("anna\u{1}@example.org", "p\u{e4}ss word"),
    ] {
        let before = directory.passwords_hashed();
        assert!(!is_let_in(&logins, HERE, name, password).await);
        assert_eq!(directory.passwords_hashed() - before, 1, "{name:?} {password:?}");
    }
}

#[tokio::test]
async fn an_app_password_is_for_its_services_only() {
    let (directory, logins) = house().await;
    let anna: Address = ANNA.parse().unwrap();
    let now = Timestamp::from_millis(0);
    let (_, password) = directory
        .add_app_password(&anna, Some("phone"), &[Service::Pop3], &SystemEntropy, now)
        .await
        .unwrap();
    let pop3 = client(Service::Pop3);
    assert!(is_let_in(&logins, pop3, ANNA, &password).await);
    assert!(is_let_in(&logins, pop3, ANNA, &password.replace('-', " ").to_uppercase()).await);
    assert!(!is_let_in(&logins, HERE, ANNA, &password).await);
    assert!(is_let_in(&logins, HERE, ANNA, "p\u{e4}ss word").await, "the main password stays good for all");
    directory.remove_app_password(&anna, "phone").await.unwrap();
    assert!(!is_let_in(&logins, pop3, ANNA, &password).await);
}

#[tokio::test]
async fn guessing_is_held_and_nothing_is_checked_meanwhile() {
    let (directory, logins) = house().await;
    logins.reload(Limits { attempts: 2, ..Limits::default() }, None);
    for _ in 0..2 {
        assert!(!is_let_in(&logins, HERE, ANNA, "wrong").await);
    }
    let before = directory.passwords_hashed();
    let right = shown(ANNA, "p\u{e4}ss word");
    assert!(matches!(logins.password(HERE, &right).await, Outcome::Held));
    let user = ScramUser {
        hash: ScramHash::Sha256,
        authorization_id: String::new(),
        authentication_id: "ANNA@example.org".to_owned(),
    };
    assert!(matches!(logins.scram_verifier(HERE, &user).await, Err(Outcome::Held)));
    assert!(matches!(logins.finish_scram(HERE, &ScramOutcome { user, proven: true }).await, Outcome::Held));
    assert_eq!(directory.passwords_hashed(), before);
    let elsewhere = Client { ip: "198.51.100.1".parse().unwrap(), ..HERE };
    assert!(matches!(logins.password(elsewhere, &right).await, Outcome::Accepted(_)));
}

#[tokio::test]
async fn nobody_acts_as_another() {
    let (_, logins) = house().await;
    for (acts_as, expected) in
        [("", true), (ANNA, true), ("Anna@EXAMPLE.org", true), ("bob@example.org", false), ("anna", false)]
    {
        let credentials = Credentials::with_authorization(acts_as, ANNA, "p\u{e4}ss word").unwrap();
        let outcome = logins.password(HERE, &credentials).await;
        assert_eq!(matches!(outcome, Outcome::Accepted(_)), expected, "{acts_as:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_certificate_leads_to_one_account_and_its_name_only() {
    let (directory, _) = house().await;
    let bob: Address = "bob@example.org".parse().unwrap();
    let now = Timestamp::from_millis(0);
    directory.add_account(&bob, "secret", None, &SystemEntropy, now).await.unwrap();
    for (addresses, acts_as, is_let_in) in [
        (&[ANNA][..], "", true),
        (&["ANNA@Example.org"], ANNA, true),
        (&["anna@elsewhere.example", ANNA], "", true),
        (&[ANNA, "Anna@example.org"], "Anna@example.org", true),
        (&["anna@elsewhere.example", ANNA], "anna@elsewhere.example", false),
        (&[ANNA], "bob@example.org", false),
        (&[ANNA, "bob@example.org"], "", false),
        (&[ANNA, "bob@example.org"], ANNA, false),
        (&[ANNA; 17], "", false),
        (&["nobody@example.org"], "", false),
        (&["no address"], "", false),
        (&[], "", false),
        (&[], ANNA, false),
    ] {
        // Each at its first attempt.
        let logins = Logins::new(directory.clone(), &World::system(), Limits::default());
        let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        match logins.external(HERE, &addresses, acts_as).await {
            Outcome::Accepted(account) => {
                assert!(is_let_in, "{addresses:?} {acts_as}");
                assert_eq!(account.address.to_string(), ANNA);
            }
            Outcome::Refused { .. } => assert!(!is_let_in, "{addresses:?} {acts_as}"),
            other => panic!("{other:?}"),
        }
    }
}
