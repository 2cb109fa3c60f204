//! RFC 4467: alice signs URLs, and bob reads what they name.

use ::store::sharing::SharingOptions;

use super::*;

const MESSAGE: &[u8] = b"Subject: plan\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n";

async fn signed(client: &mut Client, url: &str) -> String {
    client.say(&format!("g GENURLAUTH \"{url}\" INTERNAL")).await;
    let heard = client.hear().await;
    client.expect("g OK that is all").await;
    let signed = heard.strip_prefix("* GENURLAUTH \"").and_then(|rest| rest.strip_suffix('"'));
    signed.unwrap_or_else(|| panic!("{heard}")).to_owned()
}

/// What a URL gives: the octets of its literal, with the lines' ends as `|`; `-` for nothing.
async fn fetched(client: &mut Client, url: &str) -> String {
    client.say(&format!("u URLFETCH \"{url}\"")).await;
    let heard = client.hear().await;
    let answer = heard.strip_prefix(&format!("* URLFETCH \"{url}\" ")).unwrap_or_else(|| panic!("{heard}"));
    let mut content = String::from("-");
    if answer != "NIL" {
        let octets: usize = answer.trim_matches(['{', '}']).parse().unwrap();
        content.clear();
        while content.len() < octets {
            content.push_str(&client.hear().await);
            content.push_str("\r\n");
        }
        if content.len() == octets {
            client.expect("").await;
        }
        content.truncate(octets);
    }
    client.expect("u OK that is all").await;
    content.replace("\r\n", "|")
}

async fn house() -> (House, Client, Client) {
    let house = House::with_alice().await;
    house.add_account("bob").await;
    house.deliver(MESSAGE).await;
    let (alice, bob) = (house.logged_in().await, house.logged_in_as("bob").await);
    (house, alice, bob)
}

fn url(access: &str) -> String {
    format!("imap://alice%40example.org@mx.example.org/INBOX/;UID=1{access}")
}

#[tokio::test]
async fn a_signed_url_is_for_whom_it_names() {
    let (house, mut alice, mut bob) = house().await;
    house.add_account("carol").await;
    let mut carol = house.logged_in_as("carol").await;
    let one = signed(&mut alice, &url("/;SECTION=1;URLAUTH=user+bob@example.org")).await;
    assert!(one.starts_with(&url("/;SECTION=1;URLAUTH=user+bob@example.org:internal:01")), "{one}");
    assert_eq!(fetched(&mut bob, &one).await, "one");
    assert_eq!(fetched(&mut carol, &one).await, "-");
    assert_eq!(fetched(&mut alice, &one).await, "-");
    for access in ["authuser", "anonymous"] {
        let two = signed(&mut alice, &url(&format!("/;SECTION=2/;PARTIAL=1.1;URLAUTH={access}"))).await;
        assert_eq!(fetched(&mut carol, &two).await, "w");
    }
    let sent = signed(&mut alice, &url(";URLAUTH=submit+bob@example.org")).await;
    assert_eq!(fetched(&mut bob, &sent).await, "-", "it is for submission alone");
    let bob_account =
        house.stores.directory.account(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
    let now = house.clock.wall();
    let content = open_for_submission(&house.stores, &bob_account, &sent, now).await.unwrap();
    assert_eq!(content.octets(), MESSAGE.len() as u64 + 17);
    let stranger = open_for_submission(&house.stores, &house.alice().await, &sent, now).await;
    assert!(matches!(stranger, Err(UrlError::NotAuthorized)));
}

#[tokio::test]
async fn what_was_changed_is_over_or_was_taken_back_gives_nothing() {
    let (house, mut alice, mut bob) = house().await;
    let good = signed(&mut alice, &url("/;SECTION=1;EXPIRE=2999-01-01T00:00:00Z;URLAUTH=authuser")).await;
    assert_eq!(fetched(&mut bob, &good).await, "one");
    for bad in [
        good.replace("SECTION=1", "SECTION=2"),
        good.replace("EXPIRE=2999", "EXPIRE=2998"),
        good.replace("authuser", "anonymous"),
        good.replace("UID=1", "UID=2"),
        good.replace("alice", "bob"),
        good.replace(":01", ":02"),
        good.replace(":internal:", ":xsample:"),
        good.split(":internal").next().unwrap().to_owned(),
        url(""),
        "/INBOX/;UID=1".to_owned(),
        "nonsense".to_owned(),
    ] {
        assert_eq!(fetched(&mut bob, &bad).await, "-", "{bad}");
    }
    let over = signed(&mut alice, &url(";EXPIRE=2001-01-01T00:00:00Z;URLAUTH=authuser")).await;
    assert_eq!(fetched(&mut bob, &over).await, "-");
    let none = signed(&mut alice, &url("/;SECTION=7;URLAUTH=authuser")).await;
    assert_eq!(fetched(&mut bob, &none).await, "-");
    alice.converse("C: a RESETKEY Sent\nS: a OK [URLMECH INTERNAL] what was signed is void").await;
    assert_eq!(fetched(&mut bob, &good).await, "one");
    for reset in ["RESETKEY INBOX INTERNAL", "RESETKEY"] {
        let one = signed(&mut alice, &url("/;SECTION=1;URLAUTH=authuser")).await;
        assert_eq!(fetched(&mut bob, &one).await, "one");
        alice.converse(&format!("C: a {reset}\nS: a OK [URLMECH INTERNAL] what was signed is void")).await;
        assert_eq!(fetched(&mut bob, &one).await, "-");
    }
    drop(house);
}

#[tokio::test]
async fn only_what_one_may_read_is_signed() {
    let (house, mut alice, mut bob) = house().await;
    bob.converse(
        "C: a GENURLAUTH \"imap://alice%40example.org@mx/INBOX/;UID=1;URLAUTH=authuser\" INTERNAL
         S: a NO [CANNOT] the URL has to name you as its user
         C: b GENURLAUTH \"imap://bob%40example.org@mx/Other%20Users/alice@example.org/INBOX/;UID=1;URLAUTH=authuser\" INTERNAL
         S: b NO [NONEXISTENT] there is no such mailbox
         C: c GENURLAUTH \"imap://bob%40example.org@mx/Other%20Users/alice@example.org/None/;UID=1;URLAUTH=authuser\" INTERNAL
         S: c NO [NONEXISTENT] there is no such mailbox
         C: d GENURLAUTH \"imap://bob%40example.org@mx/INBOX/;UID=1;URLAUTH=authuser\" XSAMPLE
         S: d BAD only INTERNAL is known here
         C: e GENURLAUTH \"imap://bob%40example.org@mx/INBOX/;UID=1\" INTERNAL
         S: e BAD that is no URL of a message with ;URLAUTH= and who may use it
         C: f RESETKEY \"Other Users/alice@example.org/INBOX\"
         S: f NO [NONEXISTENT] there is no such mailbox",
    )
    .await;
    // What is shared with its signer can be passed on, for as long as it is shared.
    alice.converse("C: a SETACL INBOX bob@example.org r\nS: a OK so it is").await;
    let shared = "imap://bob%40example.org@mx/Other%20Users/alice@example.org/INBOX/;UID=1/;SECTION=1;URLAUTH=authuser";
    let shared = signed(&mut bob, shared).await;
    assert_eq!(fetched(&mut alice, &shared).await, "one");
    alice.converse("C: a DELETEACL INBOX bob@example.org\nS: a OK so it is").await;
    assert_eq!(fetched(&mut alice, &shared).await, "-");
    let shared_account = Some(house.alice().await.address);
    house.stores.sharing.configure(SharingOptions { shared_account, with_anyone: true });
    alice.converse("C: a SETACL INBOX anyone r\nS: a OK so it is").await;
    let shared =
        signed(&mut bob, "imap://bob%40example.org@mx/Shared/INBOX/;UID=1/;SECTION=1;URLAUTH=authuser").await;
    assert_eq!(fetched(&mut alice, &shared).await, "one");
}

#[tokio::test]
async fn much_is_fetched_piece_by_piece() {
    let (house, mut alice, mut bob) = house().await;
    let line = "0123456789 0123456789 0123456789 0123456789\r\n";
    house.deliver(format!("Subject: big\r\n\r\n{}", line.repeat(8000)).as_bytes()).await;
    let url = url("/;SECTION=TEXT;URLAUTH=authuser").replace("UID=1", "UID=2");
    let url = signed(&mut alice, &url).await;
    assert_eq!(fetched(&mut bob, &url).await.len(), (line.len() - 1) * 8000);
}
