use std::{sync::Arc, time::Duration};

use proto::smtp::server::Flavour;
use store::spool::{LaneId, QueueEntry};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::{
    Config,
    config::Audience,
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, Wire, config},
};

const LOG_IN: &str = "C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 235 2.7.0
";
/// What bob says and hears as the server of one message.
const TAKE: &str = "S: MAIL FROM:<alice@there.example>
         S: RCPT TO:<
         S: DATA
         C: 250 OK
         C: 250 OK
         C: 354 go on
";
const GREET: &str = "C: 220 bobs.example ESMTP
         S: EHLO mx.here.example
         C: 250-bobs.example
         C: 250 PIPELINING
";

/// A site where bob fetches mail for `bobs.example` and `bob.example`, and carol for `carols.example`.
async fn odmr_site(config: Config) -> Site {
    let site = Site::new(config).await;
    let (directory, entropy) = (&site.stores.directory, &*world::World::system().entropy);
    let (bob, carol) = ("bob@here.example".parse().unwrap(), "carol@here.example".parse().unwrap());
    let now = mail::Timestamp::from_millis(1);
    directory.add_account(&carol, "secret", None, entropy, now).await.unwrap();
    for (account, domain) in [(&bob, "bobs.example"), (&bob, "bob.example"), (&carol, "carols.example")] {
        directory.add_turn_domain(account, &domain.parse().unwrap(), now).await.unwrap();
    }
    site
}

async fn submit(site: &Site, from_ip: &str, to: &str) {
    let mut wire = site.connect(from_ip).await;
    wire.dialog(&format!(
        "C: MAIL FROM:<alice@there.example>
         S: 250
         C: RCPT TO:<{to}>
         S: 250
         C: DATA
         S: 354
         C: Subject: to {to}
         C: 
         C: body
         C: .
         S: 250"
    ))
    .await;
}

async fn queue(site: &Site) -> Vec<QueueEntry> {
    site.stores.spool.list(None, 100).await.unwrap()
}

async fn queue_of(site: &Site, count: usize) -> Vec<QueueEntry> {
    loop {
        let entries = queue(site).await;
        if entries.len() == count {
            return entries;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn logged_in(site: &Site) -> Wire {
    let mut wire = site.connect_to("127.0.0.1", Flavour::Odmr).await;
    wire.dialog(LOG_IN).await;
    wire
}

/// C070
#[tokio::test]
async fn mail_to_be_fetched_is_taken_from_anybody_and_waits_without_attempts() {
    let site = odmr_site(config(vec![])).await;
    submit(&site, "192.0.2.1", "x@Bobs.example").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let entries = queue(&site).await;
    assert_eq!((&*entries[0].lane.0, entries[0].attempts), ("odmr:bobs.example", 0));
    assert_eq!(entries[0].last_error, None, "nothing was tried");
    let mut wire = site.connect_to("127.0.0.1", Flavour::Odmr).await;
    wire.dialog(&format!(
        "C: ATRN bobs.example
         S: 530 5.7.0
         {LOG_IN}
         C: ATRN carols.example
         S: 450 4.7.1
         C: ATRN bobs.example,carols.example
         S: 450 4.7.1
         C: ATRN nobodys.example
         S: 450 4.7.1
         C: ATRN bob.example
         S: 453 4.2.0
         C: MAIL FROM:<a@b.example>
         S: 502
         C: ATRN bobs.example
         S: 250 2.0.0"
    ))
    .await;
}

/// C071
#[tokio::test]
async fn after_atrn_the_customer_is_the_server_and_gets_its_mail_and_no_other() {
    let site = odmr_site(config(vec![])).await;
    for to in ["x@bobs.example", "x@carols.example", "y@bob.example"] {
        submit(&site, "192.0.2.1", to).await;
    }
    let mut wire = logged_in(&site).await;
    wire.dialog("C: ATRN\nS: 250 2.0.0").await;
    wire.reversed(GREET).await;
    for subject in ["Subject: to y@bob.example", "Subject: to x@bobs.example"] {
        wire.reversed(TAKE).await;
        let content = wire.content().await;
        assert!(content.contains(subject), "{content}");
        wire.say("250 2.0.0 taken").await;
    }
    wire.reversed("S: QUIT\nC: 221 bye").await;
    let left = queue_of(&site, 1).await;
    assert_eq!(left[0].lane.0.as_ref(), "odmr:carols.example");
    let id = site.stores.ledger.find("x@bobs.example", 1).await.unwrap()[0];
    let history = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    assert!(history.contains("Delivered") && history.contains("bobs.example[127.0.0.1]:1234"), "{history}");
}

/// C071
#[tokio::test]
async fn a_customer_that_talks_on_as_a_client_is_cut_off() {
    let site = odmr_site(config(vec![])).await;
    submit(&site, "192.0.2.1", "x@bobs.example").await;
    for talk in ["NOOP", "MAIL FROM:<a@b.example>", "554 no service", "QUIT"] {
        let mut wire = logged_in(&site).await;
        wire.dialog("C: ATRN\nS: 250 2.0.0").await;
        wire.say(talk).await;
        let rest = wire.rest().await;
        assert!(rest.is_empty() || rest == "QUIT\r\n" || rest.starts_with("EHLO"), "{talk}: {rest}");
    }
    assert_eq!(queue(&site).await[0].attempts, 0);
}

/// C072
#[tokio::test]
async fn a_lost_connection_loses_and_doubles_nothing() {
    let site = odmr_site(config(vec![])).await;
    for _ in 0..3 {
        submit(&site, "192.0.2.1", "x@bobs.example").await;
    }
    let mut wire = logged_in(&site).await;
    wire.dialog("C: ATRN\nS: 250 2.0.0").await;
    wire.reversed(GREET).await;
    wire.reversed(TAKE).await;
    wire.content().await;
    wire.say("250 2.0.0 taken").await;
    wire.reversed(TAKE).await;
    wire.content().await;
    drop(wire);
    queue_of(&site, 2).await;
    let mut wire = call_again(&site).await;
    wire.reversed(GREET).await;
    for _ in 0..2 {
        wire.reversed(TAKE).await;
        wire.content().await;
        wire.say("250 2.0.0 taken").await;
    }
    wire.reversed("S: QUIT\nC: 221 bye").await;
    queue_of(&site, 0).await;
}

/// Until the site has noticed that the last call ended.
async fn call_again(site: &Site) -> Wire {
    let mut wire = logged_in(site).await;
    loop {
        wire.say("ATRN").await;
        if wire.reply().await.starts_with("250") {
            return wire;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn two_calls_for_one_domain_do_not_get_the_same_mail() {
    let site = odmr_site(config(vec![])).await;
    submit(&site, "192.0.2.1", "x@bobs.example").await;
    let mut first = logged_in(&site).await;
    first.dialog("C: ATRN\nS: 250 2.0.0").await;
    let mut second = logged_in(&site).await;
    second.dialog("C: ATRN bobs.example\nS: 451 4.3.2").await;
    first.reversed(GREET).await;
    second.dialog("C: ATRN bobs.example\nS: 451 4.3.2").await;
    first.reversed(TAKE).await;
    first.content().await;
    first.say("250 2.0.0 taken").await;
    first.reversed("S: QUIT\nC: 221 bye").await;
    queue_of(&site, 0).await;
}

#[tokio::test]
async fn a_refusal_of_the_customer_is_reported_and_a_delay_waits_for_the_next_call() {
    let site = odmr_site(config(vec![])).await;
    for to in ["no@bobs.example", "later@bobs.example"] {
        let mut wire = site.connect("127.0.0.1").await;
        wire.dialog(&format!(
            "C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<{to}>\nS: 250\nC: DATA\nS: 354\nC: x\nC: .\nS: 250"
        ))
        .await;
    }
    let mut wire = logged_in(&site).await;
    wire.dialog("C: ATRN\nS: 250 2.0.0").await;
    wire.reversed(GREET).await;
    for refusal in ["550 5.1.1 no such user", "450 4.2.1 later"] {
        wire.reversed(&format!("S: MAIL\nS: RCPT\nS: DATA\nC: 250 OK\nC: {refusal}\nC: 503 no recipients"))
            .await;
        if refusal.starts_with("550") {
            // RFC 2920 §3.1: the next transaction starts clean.
            wire.reversed("S: RSET\nC: 250 OK").await;
        }
    }
    wire.reversed("S: QUIT\nC: 221 bye").await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Final-Recipient: rfc822; no@bobs.example"), "{report}");
    let left = queue_of(&site, 1).await;
    assert_eq!(
        (left[0].attempts, left[0].recipients[0].address.to_string().as_str()),
        (1, "later@bobs.example")
    );
    assert!(left[0].due.since(left[0].accepted_at) >= Duration::from_mins(30), "no try of our own");
}

#[tokio::test]
async fn what_is_not_fetched_is_told_late_and_returned_in_the_end() {
    let mut hasty = config(vec![]);
    hasty.delay_notice_after = Duration::from_millis(300);
    hasty.expire_after = Duration::from_millis(900);
    let site = odmr_site(hasty).await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<x@bobs.example>\nS: 250").await;
    wire.dialog("C: DATA\nS: 354\nC: x\nC: .\nS: 250").await;
    let delayed = site.mail("bob@here.example", 1).await;
    assert!(delayed.contains("Action: delayed") && delayed.contains("picked up by ATRN from"), "{delayed}");
    let failed = site.mail("bob@here.example", 2).await;
    assert!(failed.contains("Action: failed"), "{failed}");
    queue_of(&site, 0).await;
}

/// C062
#[tokio::test]
async fn turn_is_for_nobody_unless_switched_on_and_then_not_in_clear() {
    for (on, refusal) in [(false, "502"), (true, "503")] {
        let site = odmr_site(Config { turn: on, ..config(vec![]) }).await;
        submit(&site, "192.0.2.1", "x@bobs.example").await;
        for flavour in [Flavour::Smtp, Flavour::Submission] {
            let mut wire = site.connect_to("127.0.0.1", flavour).await;
            wire.dialog(&format!("C: TURN\nS: {refusal}")).await;
        }
        let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
        wire.dialog(&format!("{LOG_IN}\nC: TURN\nS: {refusal}")).await;
    }
}

/// A route to a host whose listener is `port`, or to one that is not there.
fn route_to(recipient: &str, port: u16) -> Route {
    let host = "127.0.0.1".to_owned();
    let smarthost = NextHost { host, port, tls: RouteTls::None, login: None, lmtp: false };
    Route { recipient: recipient.parse().unwrap(), via: Via::Smtp(Arc::new(smarthost)) }
}

async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// The port of a host that takes no mail now.
async fn busy_host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 far.example\r\n").await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                    let reply = if line.starts_with("EHLO") { "250 hello" } else { "451 4.2.0 later" };
                    stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
                    line.clear();
                }
            });
        }
    });
    port
}

fn patient(port: u16) -> Config {
    let mut patient = config(vec![route_to("*@far.example", port), route_to("*@*.far.example", port)]);
    patient.retry_delays = vec![Duration::from_mins(30)];
    patient
}

/// Two messages for `far.example` and one below it, each tried once in vain and due much later.
async fn stuck_site() -> Site {
    let site = Site::new(patient(busy_host().await)).await;
    for to in ["a@far.example", "b@far.example", "c@sub.far.example"] {
        submit(&site, "127.0.0.1", to).await;
    }
    while queue(&site).await.iter().any(|entry| entry.attempts == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site
}

async fn attempts_of(site: &Site, wanted: &[u32]) {
    loop {
        let attempts: Vec<u32> = queue(site).await.iter().map(|entry| entry.attempts).collect();
        if attempts == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// C066, C067
#[tokio::test]
async fn etrn_makes_what_waits_for_the_node_due() {
    let site = stuck_site().await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: ETRN FAR.example
         S: 253 2.0.0 OK, 2 pending",
    )
    .await;
    attempts_of(&site, &[2, 2, 1]).await;
    wire.dialog("C: ETRN @far.example\nS: 253 2.0.0 OK, 3 pending").await;
    attempts_of(&site, &[3, 3, 2]).await;
    let lane: LaneId = queue(&site).await[0].lane.clone();
    wire.dialog(&format!("C: ETRN #{}\nS: 253 2.0.0 OK, 3 pending", lane.0)).await;
    attempts_of(&site, &[4, 4, 3]).await;
    wire.dialog(
        "C: ETRN other.sub.far.example
         S: 251
         C: ETRN here.example
         S: 459 4.7.1
         C: ETRN elsewhere.example
         S: 459 4.7.1
         C: ETRN #nowhere
         S: 459 4.7.1
         C: ETRN #local
         S: 459 4.7.1
         C: ETRN *)(uid=*
         S: 501 5.5.4
         C: ETRN #' OR 1=1--
         S: 459 4.7.1",
    )
    .await;
}

/// C068
#[tokio::test]
async fn etrn_again_and_again_is_no_lever() {
    let site = stuck_site().await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: ETRN far.example\nS: 253").await;
    attempts_of(&site, &[2, 2, 1]).await;
    let scans = site.engine.scans();
    for _ in 0..9_000 {
        wire.dialog("C: ETRN far.example\nS: 250 2.0.0 OK, queuing").await;
    }
    // What the deliveries still look for, and nothing for each command.
    assert!(site.engine.scans() - scans < 50, "{}", site.engine.scans() - scans);
    attempts_of(&site, &[2, 2, 1]).await;
}

/// C068, and the host could not be reached before: it is tried at once, for mail that waited untried too.
#[tokio::test]
async fn etrn_delivers_on_a_new_connection_to_the_route() {
    let port = closed_port().await;
    let site = Site::new(patient(port)).await;
    submit(&site, "127.0.0.1", "a@far.example").await;
    attempts_of(&site, &[1]).await;
    submit(&site, "127.0.0.1", "c@sub.far.example").await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: ETRN sub.far.example\nS: 253").await;
    listener.accept().await.unwrap();
    wire.dialog("C: NOOP\nS: 250").await;
}

#[tokio::test]
async fn etrn_is_for_those_we_know_unless_anyone_may() {
    let site = stuck_site().await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog("C: ETRN far.example\nS: 459 4.7.1\nC: ETRN here.example\nS: 459 4.7.1").await;
    let mut open = (*site.mta.config()).clone();
    open.etrn = Audience::Anyone;
    site.mta.reload(open.clone());
    let mut wire = site.connect("192.0.2.1").await;
    // How much waits for whom is not for strangers.
    wire.dialog("C: ETRN far.example\nS: 250 2.0.0\nC: ETRN x.far.example\nS: 250 2.0.0").await;
    attempts_of(&site, &[2, 2, 1]).await;
    site.mta.reload(Config { etrn: Audience::Never, ..open });
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: ETRN far.example\nS: 502").await;
}
