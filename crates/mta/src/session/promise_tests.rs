//! DELIVERBY, MT-PRIORITY and FUTURERELEASE as a session grants them; the numbers are those of docs/conformance.md.

use std::time::Duration;

use mail::{MtPriority, Timestamp};
use proto::smtp::server::Flavour;
use store::spool::QueueEntry;

use crate::{
    Config,
    queue::{Done, Operation},
    route::{Route, Via},
    scheduler::Item,
    testing::{Site, Wire, config},
};

const CONTENT: &str = "C: DATA\nS: 354\nC: Subject: x\nC: \nC: text\nC: .\nS: 250";

/// Keeps what is for others in the queue.
fn holding() -> Config {
    config(vec![Route { recipient: "*@there.example".parse().unwrap(), via: Via::Hold }])
}

async fn submission(site: &Site) -> Wire {
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 235").await;
    wire
}

async fn entries(site: &Site) -> Vec<QueueEntry> {
    site.stores.spool.list(None, 100).await.unwrap()
}

fn in_seconds(seconds: u64) -> Timestamp {
    world::World::system().clock.wall().plus(Duration::from_secs(seconds))
}

/// C277, C280, C284: what EHLO tells on which port.
#[tokio::test]
async fn only_submission_announces_that_it_holds_messages() {
    let mut config = holding();
    config.deliver_by_min = Duration::from_secs(30);
    let site = Site::new(config).await;
    for (flavour, holds) in [(Flavour::Smtp, false), (Flavour::Submission, true), (Flavour::Lmtp, false)] {
        let mut wire = site.connect_to("127.0.0.1", flavour).await;
        wire.say(if flavour == Flavour::Lmtp { "LHLO c.example" } else { "EHLO c.example" }).await;
        let said = wire.expect("250").await;
        assert!(said.contains("DELIVERBY 30\r\n") && said.contains("MT-PRIORITY MIXER\r\n"), "{said}");
        assert_eq!(said.contains("FUTURERELEASE 86400 20"), holds, "{said}");
    }
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example> HOLDFOR=60
         S: 555 5.5.4
         C: MAIL FROM:<bob@here.example> BY=29;R
         S: 555 5.4.7",
    )
    .await;
}

/// C284, C285
#[tokio::test]
async fn messages_are_held_within_bounds() {
    let site = Site::new(holding()).await;
    let mut wire = submission(&site).await;
    let until = |seconds| in_seconds(seconds).rfc3339_seconds();
    for (parameters, reply) in [
        ("HOLDFOR=86401".to_owned(), "501 5.5.4 a message is not held for so long"),
        (format!("HOLDUNTIL={}", until(100_000)), "501 5.5.4 a message is not held for so long"),
        ("HOLDUNTIL=2001-01-01T00:00:00Z".to_owned(), "501 5.5.4 the time to hold"),
        ("HOLDFOR=60 BY=60;R".to_owned(), "501 5.5.4 the message is to be delivered before"),
        ("HOLDFOR=-1".to_owned(), "501 5.5.4"),
        ("HOLDFOR=60 BY=3600;R".to_owned(), "250"),
        ("HOLDFOR=86400".to_owned(), "250"),
        (format!("HOLDUNTIL={}", until(600)), "250"),
    ] {
        wire.dialog(&format!("C: MAIL FROM:<bob@here.example> {parameters}\nS: {reply}\nC: RSET\nS: 250"))
            .await;
    }
    let mut off = holding();
    off.hold_max = Duration::ZERO;
    site.mta.reload(off);
    wire.say("EHLO c.example").await;
    assert!(!wire.expect("250").await.contains("FUTURERELEASE"));
    wire.dialog("C: MAIL FROM:<bob@here.example> HOLDFOR=60\nS: 555 5.5.4").await;
}

/// C286: not before its time, whoever looks; freed by hand, or in time.
#[tokio::test]
async fn a_held_message_leaves_when_its_time_comes_or_an_operator_says_so() {
    let site = Site::new(config(vec![])).await;
    let mut wire = submission(&site).await;
    for seconds in [3600, 1800, 1] {
        let dialog = format!(
            "C: MAIL FROM:<bob@here.example> HOLDFOR={seconds}\nS: 250\nC: RCPT TO:<bob@here.example>\nS: 250\n{CONTENT}"
        );
        wire.dialog(&dialog).await;
    }
    site.mail("bob@here.example", 1).await;
    let held = entries(&site).await;
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|entry| entry.attempts == 0 && entry.is_ahead_of_time(in_seconds(60))));
    let operate = async |index: usize, operation: Operation| {
        site.mta.operate(held[index].id(), &operation.into()).await.unwrap()
    };
    assert_eq!(operate(0, Operation::Retry).await, Done::Unchanged, "a try is no release");
    // Neither does a lane that is looked at, as at a restart, nor an entry in hand that a clock set back makes early.
    site.mta.dispatcher.tell(&site.mta, |lanes| lanes.handle_kick(&held[0].lane));
    let in_hand = Item { id: held[0].id(), priority: MtPriority::NORMAL, entry: None };
    site.mta.dispatcher.added(&site.mta, &held[0].lane, in_hand);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(entries(&site).await.len(), 2);
    let Done::Changed { entry: released, .. } = operate(0, Operation::Release).await else { panic!() };
    assert!(released.release_at < held[0].release_at, "its time counts from here");
    site.mail("bob@here.example", 2).await;
    assert!(matches!(operate(1, Operation::Delete).await, Done::Changed { .. }));
    assert!(entries(&site).await.is_empty());
}

/// C281: strangers do not push ahead, and are told.
#[tokio::test]
async fn strangers_get_no_priority() {
    let site = Site::new(config(vec![Route { recipient: "*".parse().unwrap(), via: Via::Hold }])).await;
    let alias = vec!["carol@there.example".parse().unwrap()];
    site.stores.directory.add_alias("away@here.example", alias, Timestamp::from_millis(1)).await.unwrap();
    for (ip, asked, reply, granted) in [
        ("192.0.2.1", 9, "250 2.3.6 0 is the new priority", 0),
        ("192.0.2.1", 0, "250 2.1.0", 0),
        ("192.0.2.1", -4, "250 2.1.0", -4),
        ("127.0.0.1", 9, "250 2.1.0", 9),
    ] {
        let mut wire = site.connect(ip).await;
        wire.dialog(&format!(
            "C: MAIL FROM:<a@b.example> MT-PRIORITY={asked}\nS: {reply}\nC: RCPT TO:<away@here.example>\nS: 250\n{CONTENT}"
        ))
        .await;
        let entry = entries(&site).await.pop().unwrap();
        assert_eq!(entry.mail.priority, MtPriority::new(granted), "{ip} {asked}");
        let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
        let history = format!("{events:?}");
        assert!(
            history.contains(&format!("(\"asked\", \"{asked}\"), (\"granted\", \"{granted}\")")),
            "{history}"
        );
    }
}

/// C281: RFC 6758
#[tokio::test]
async fn the_header_field_counts_from_those_we_trust_and_goes_no_further() {
    let site = Site::new(config(vec![Route { recipient: "*".parse().unwrap(), via: Via::Hold }])).await;
    let alias = vec!["carol@there.example".parse().unwrap()];
    site.stores.directory.add_alias("away@here.example", alias, Timestamp::from_millis(1)).await.unwrap();
    for (ip, parameter, fields, priority) in [
        ("127.0.0.1", "", "MT-Priority: 3 (urgent)", Some(3)),
        ("127.0.0.1", "", "mt-priority:\r\n -2", Some(-2)),
        ("127.0.0.1", " MT-PRIORITY=1", "MT-Priority: 3", Some(1)),
        ("127.0.0.1", "", "MT-Priority: 3\r\nMT-Priority: 3", None),
        ("127.0.0.1", "", "MT-Priority: 10", None),
        ("127.0.0.1", "", "MT-Priority:", None),
        ("192.0.2.1", "", "MT-Priority: 3", None),
        ("192.0.2.1", "", "MT-Priority: -3", None),
    ] {
        let mut wire = site.connect(ip).await;
        wire.dialog(&format!(
            "C: MAIL FROM:<a@b.example>{parameter}\nS: 250\nC: RCPT TO:<away@here.example>\nS: 250\nC: DATA\nS: 354"
        ))
        .await;
        wire.say(&format!("Subject: x\r\n{fields}\r\nTo: y\r\n\r\nMT-Priority: text\r\n.")).await;
        wire.expect("250").await;
        let entry = entries(&site).await.pop().unwrap();
        assert_eq!(entry.mail.priority.map(MtPriority::level), priority, "{ip} {fields}");
        let body = site.stores.engine.blob_read(entry.blob, 0..9999).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.ends_with("Subject: x\r\nTo: y\r\n\r\nMT-Priority: text\r\n"), "{body}");
        // RFC 6710 §4.1: Received keeps what MAIL said.
        assert_eq!(body.contains("PRIORITY 1;"), !parameter.is_empty(), "{body}");
    }
}

/// C277: the deadline counts from MAIL, and what was over before it came is not told again.
#[tokio::test]
async fn deadlines_are_kept_with_the_entry() {
    let site = Site::new(holding()).await;
    let mut wire = site.connect("127.0.0.1").await;
    for (by, told) in [("120;R", false), ("60;NT", false), ("0;N", true), ("-5;N", true)] {
        let from = in_seconds(0);
        wire.dialog(&format!(
            "C: MAIL FROM:<a@b.example> BY={by}\nS: 250\nC: RCPT TO:<carol@there.example>\nS: 250\n{CONTENT}"
        ))
        .await;
        let entry = entries(&site).await.pop().unwrap();
        let seconds: i64 = by.split(';').next().unwrap().parse().unwrap();
        let deadline = entry.deadline.unwrap();
        assert_eq!(deadline.told, told, "{by}");
        let off = deadline.at.millis() - (from.millis() + seconds * 1000);
        assert!((-1000..60_000).contains(&off), "{by}: {off}");
    }
}
