//! Header fields that ask for something: Require-Recipient-Valid-Since (RFC 7293) and TLS-Required (RFC 8689).

use mail::TlsDemand;

use crate::{
    route::{Route, Via},
    testing::{Site, config},
};

/// A site that keeps mail for others on hold, with old.example as an old domain.
async fn site() -> Site {
    let hold = Route { recipient: "*".parse().unwrap(), via: Via::Hold };
    let site = Site::new(config(vec![hold])).await;
    let early = mail::Timestamp::from_millis(1);
    site.stores.directory.add_domain(&"old.example".parse().unwrap(), early).await.unwrap();
    let world = world::World::system();
    for (address, made) in [("ann@old.example", early), ("new@old.example", world.clock.wall())] {
        let address = address.parse().unwrap();
        site.stores.directory.add_account(&address, "secret", None, &*world.entropy, made).await.unwrap();
    }
    site
}

async fn send(site: &Site, recipients: &[&str], header: &str) {
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: MAIL FROM:<bob@here.example>\nS: 250").await;
    for recipient in recipients {
        wire.dialog(&format!("C: RCPT TO:<{recipient}>\nS: 250")).await;
    }
    wire.dialog(&format!("C: DATA\nS: 354\nC: {header}\nC: Subject: x\nC: \nC: body\nC: .\nS: 250")).await;
}

const FIELD: &str = "Require-Recipient-Valid-Since";
const DATE: &str = "Thu, 3 Apr 2014 23:01:00 +0000";

/// C295: honoured for who is meant, and gone from the message that arrives.
#[tokio::test]
async fn the_field_holds_for_its_recipient_and_is_taken_out() {
    let site = site().await;
    let header = format!("{FIELD}: new@old.example; {DATE}\nC: {FIELD}: ANN@old.example;\nC:  {DATE}");
    send(&site, &["ann@old.example", "new@old.example"], &header).await;
    let mail = site.mail("ann@old.example", 1).await;
    assert!(!mail.contains(FIELD) && mail.ends_with("Subject: x\r\n\r\nbody\r\n"), "{mail}");
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Final-Recipient: rfc822; new@old.example\r\n"), "{report}");
    assert!(report.contains("\r\nStatus: 5.7.17\r\n") && !report.contains("rfc822; ann@"), "{report}");
}

/// C295: what is said of others is left as it is, and so is what is no date.
#[tokio::test]
async fn the_field_of_others_stays() {
    let site = site().await;
    let header = format!("{FIELD}: carol@there.example; {DATE}\nC: {FIELD}: new@old.example; yesterday");
    send(&site, &["new@old.example"], &header).await;
    let mail = site.mail("new@old.example", 1).await;
    assert_eq!(mail.matches(FIELD).count(), 2, "{mail}");
}

/// C295: not for lists.
#[tokio::test]
async fn the_field_does_not_hold_for_lists() {
    let site = site().await;
    let targets = ["ann@old.example", "new@old.example"].map(|target| target.parse().unwrap()).to_vec();
    let now = world::World::system().clock.wall();
    site.stores.directory.add_alias("team@old.example", targets, now).await.unwrap();
    send(&site, &["team@old.example"], &format!("{FIELD}: team@old.example; {DATE}")).await;
    for member in ["ann@old.example", "new@old.example"] {
        assert!(site.mail(member, 1).await.contains(FIELD));
    }
}

/// C289
#[tokio::test]
async fn tls_required_no_counts_once_only() {
    let site = site().await;
    for (header, demand) in [
        ("TLS-Required: no", TlsDemand::Waived),
        ("TLS-Required: No\nC: TLS-Required: No", TlsDemand::Usual),
        ("TLS-Required: Yes", TlsDemand::Usual),
        ("X: TLS-Required: No", TlsDemand::Usual),
    ] {
        send(&site, &["carol@there.example"], header).await;
        let entry = site.stores.spool.list(None, 99).await.unwrap().pop().unwrap();
        assert_eq!(entry.mail.tls, demand, "{header}");
    }
}
