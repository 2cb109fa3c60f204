use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::{
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

/// A next hop that plays a script for each connection: `S: ` lines it says, `C: ` lines it expects to begin so.
pub(super) struct NextHop {
    port: u16,
    pub(super) task: tokio::task::JoinHandle<()>,
}

impl NextHop {
    pub(super) async fn new(scripts: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                play(stream, script).await;
            }
        });
        Self { port, task }
    }

    pub(super) fn route(&self) -> Route {
        route_to(self.port)
    }
}

fn route_to(port: u16) -> Route {
    let smarthost = NextHost {
        host: "127.0.0.1".to_owned(),
        port,
        tls: RouteTls::Opportunistic,
        login: None,
        lmtp: false,
    };
    Route { recipient: "*".parse().unwrap(), via: Via::Smtp(Arc::new(smarthost)) }
}

async fn play(stream: tokio::net::TcpStream, script: &str) {
    let mut stream = BufReader::new(stream);
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        if let Some(said) = line.strip_prefix("S: ") {
            stream.write_all(format!("{said}\r\n").as_bytes()).await.unwrap();
        } else {
            let expected = line.strip_prefix("C: ").unwrap();
            let mut got = String::new();
            stream.read_line(&mut got).await.unwrap();
            while expected == "." && got != ".\r\n" && !got.is_empty() {
                got.clear();
                stream.read_line(&mut got).await.unwrap();
            }
            // `$` asks for the whole line.
            if let Some(whole) = expected.strip_suffix('$') {
                assert_eq!(got.trim_end(), whole);
                continue;
            }
            assert!(got.starts_with(expected), "expected {expected:?}, got {got:?}");
        }
    }
}

pub(super) async fn submit(site: &Site, recipients: &[&str]) {
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: MAIL FROM:<bob@here.example>\nS: 250").await;
    for recipient in recipients {
        wire.dialog(&format!("C: RCPT TO:<{recipient}>\nS: 250")).await;
    }
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: body\nC: .\nS: 250").await;
}

pub(in crate::deliver) async fn queue_is_empty(site: &Site) {
    while !site.stores.spool.list(None, 1).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

const HELLO: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250 PIPELINING
";

#[tokio::test]
async fn a_refused_recipient_is_bounced_and_the_other_delivered() {
    let script: &str = Box::leak(
        format!(
            "{HELLO}C: MAIL FROM:<bob@here.example>
            C: RCPT TO:<no@there.example>
            C: RCPT TO:<yes@there.example>
            C: DATA
            S: 250 ok
            S: 550 5.1.1 no such user
            S: 250 ok
            S: 354 go
            C: .
            S: 250 2.0.0 taken"
        )
        .into_boxed_str(),
    );
    let hop = NextHop::new(vec![script]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    submit(&site, &["no@there.example", "yes@there.example"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Final-Recipient: rfc822; no@there.example"), "{report}");
    assert!(report.contains("550 5.1.1 no such user"), "{report}");
    assert!(!report.contains("Final-Recipient: rfc822; yes@there.example"), "{report}");
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
}

#[tokio::test]
async fn a_full_disk_does_not_send_a_message_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::new(config(vec![route_to(port)])).await;
    submit(&site, &["yes@there.example"]).await;
    site.engine.set_full(true);
    let take = format!(
        "{HELLO}C: MAIL
        C: RCPT
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: .
        S: 250 2.0.0 taken"
    );
    let (stream, _) = listener.accept().await.unwrap();
    play(stream, &take).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(site.stores.spool.list(None, 1).await.unwrap().len(), 1, "it cannot be noted yet");
    site.engine.set_full(false);
    tokio::select! {
        () = queue_is_empty(&site) => {}
        _ = listener.accept() => panic!("the message goes again"),
    }
}

#[tokio::test]
async fn a_greylisted_message_is_tried_again_on_its_schedule() {
    let refuse: &str = Box::leak(
        format!("{HELLO}C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 451 4.7.1 later\nS: 503 no recipients")
            .into_boxed_str(),
    );
    let take: &str = Box::leak(
        format!("{HELLO}C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: .\nS: 250 ok")
            .into_boxed_str(),
    );
    let hop = NextHop::new(vec![refuse, take]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    submit(&site, &["grey@there.example"]).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    let id = site.stores.ledger.find("grey@there.example", 1).await.unwrap()[0];
    let history = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    assert!(history.contains("Deferred") && history.contains("451 4.7.1 later"), "{history}");
    assert!(history.contains("Delivered"), "{history}");
}

#[tokio::test]
async fn a_connection_serves_many_messages_and_its_end_while_idle_harms_none() {
    let message = "C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: .\nS: 250 ok\n";
    let first: &str = Box::leak(format!("{HELLO}{message}{message}").into_boxed_str());
    let second: &str = Box::leak(format!("{HELLO}{message}").into_boxed_str());
    let hop = NextHop::new(vec![first, second]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    for _ in 0..3 {
        submit(&site, &["a@there.example"]).await;
        queue_is_empty(&site).await;
    }
    hop.task.await.unwrap();
}

#[tokio::test]
async fn a_message_goes_where_the_routes_lead_now() {
    let take: &str = Box::leak(
        format!("{HELLO}C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: .\nS: 250 ok")
            .into_boxed_str(),
    );
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let hop = NextHop::new(vec![take]).await;
    let mut dead = hop.route();
    if let Via::Smtp(smarthost) = &mut dead.via {
        *smarthost = Arc::new(NextHost { port: closed, ..(**smarthost).clone() });
    }
    let site = Site::new(config(vec![dead])).await;
    submit(&site, &["a@there.example"]).await;
    site.mta.reload(config(vec![hop.route()]));
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
}
