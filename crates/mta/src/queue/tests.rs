use std::{sync::Arc, time::Duration};

use store::spool::{EntryStatus, LaneId, QueueEntry};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    Config,
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

pub(super) fn held() -> Config {
    config(vec![Route { recipient: "*".parse().unwrap(), via: Via::Hold }])
}

pub(super) fn routed_to(port: u16) -> Config {
    let host = NextHost {
        host: "127.0.0.1".to_owned(),
        port,
        tls: RouteTls::Opportunistic,
        login: None,
        lmtp: false,
    };
    let route = Route { recipient: "*".parse().unwrap(), via: Via::Smtp(Arc::new(host)) };
    // A deferred entry stays where it is.
    Config { retry_delays: vec![Duration::from_hours(1)], ..config(vec![route]) }
}

pub(super) async fn send(site: &Site, from: &str, to: &str) -> QueueEntry {
    send_asking(site, from, to, "").await
}

async fn send_asking(site: &Site, from: &str, to: &str, parameters: &str) -> QueueEntry {
    let mut wire = site.connect("127.0.0.1").await;
    let dialog = format!(
        "C: MAIL FROM:<{from}>\nS: 250\nC: RCPT TO:<{to}>{parameters}\nS: 250\nC: DATA\nS: 354\nC: Subject: x\nC: \nC: body\nC: .\nS: 250"
    );
    wire.dialog(&dialog).await;
    entries(site).await.pop().unwrap()
}

pub(super) async fn entries(site: &Site) -> Vec<QueueEntry> {
    site.stores.spool.list(None, 9).await.unwrap()
}

async fn operate(site: &Site, entry: &QueueEntry, operation: Operation, reason: Option<&str>) -> Done {
    let order = Order { operation, reason: reason.map(str::to_owned) };
    site.mta.operate(entry.id(), &order).await.unwrap()
}

pub(super) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A host that takes one message as far as its final dot.
pub(super) struct Host {
    stream: BufReader<TcpStream>,
}

impl Host {
    pub(super) async fn take(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut host = Self { stream: BufReader::new(stream) };
        host.say("220 next.example").await;
        for reply in ["250 next.example", "250 ok", "250 ok", "354 go"] {
            host.line().await;
            host.say(reply).await;
        }
        while host.line().await != ".\r\n" {}
        host
    }

    pub(super) async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line
    }
}

pub(super) async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_bounced_message_goes_back_with_the_operators_reason() {
    let site = Site::new(held()).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let done = operate(&site, &entry, Operation::Bounce, Some("this host takes no newsletters")).await;
    assert!(matches!(done, Done::Changed { told: true, .. }), "{done:?}");
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Action: failed\r\nStatus: 5.7.1\r\n"), "{report}");
    assert!(report.replace("\r\n", " ").contains("this host takes no newsletters"), "{report}");
    assert_eq!(entries(&site).await, []);
    let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
    let [.., (_, Event::Operator { action, reason, .. }), (_, Event::Bounced { report: Some(_), .. })] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&**action, reason.as_deref()), ("bounce", Some("this host takes no newsletters")));
    assert_eq!(operate(&site, &entry, Operation::Bounce, None).await, Done::Unchanged, "once");
}

/// RFC 5321 §4.5.5, RFC 3461 §4.1: nobody is told about a report, nor who wants none.
#[tokio::test]
async fn a_bounced_report_is_only_removed() {
    let site = Site::new(held()).await;
    let entry = send(&site, "", "carol@there.example").await;
    let done = operate(&site, &entry, Operation::Bounce, None).await;
    assert!(matches!(done, Done::Changed { told: false, .. }), "{done:?}");
    assert_eq!(entries(&site).await, []);
}

#[tokio::test]
async fn a_message_in_delivery_is_not_returned_nor_sent_elsewhere() {
    let (listener, port) = listener().await;
    let site = Site::new(routed_to(port)).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let mut host = Host::take(&listener).await;
    let elsewhere = Operation::Reroute(Some(LaneId("smtp:127.0.0.1:9".into())));
    for operation in [Operation::Bounce, elsewhere] {
        assert_eq!(operate(&site, &entry, operation.clone(), None).await, Done::Busy, "{operation:?}");
    }
    host.say("250 taken").await;
    let gone = until(async || entries(&site).await.is_empty().then_some(()));
    gone.await;
    assert_eq!(operate(&site, &entry, Operation::Bounce, None).await, Done::Unchanged, "it was delivered");
}

#[tokio::test]
async fn a_message_held_in_delivery_stays_once_that_fails() {
    let (listener, port) = listener().await;
    let site = Site::new(routed_to(port)).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let mut host = Host::take(&listener).await;
    assert!(matches!(operate(&site, &entry, Operation::Hold, None).await, Done::Changed { .. }));
    host.say("451 not now").await;
    let tried = until(async || entries(&site).await.pop().filter(|entry| entry.attempts == 1)).await;
    assert_eq!(tried.status, EntryStatus::Held);
    assert!(matches!(
        operate(&site, &tried, Operation::Bounce, None).await,
        Done::Changed { told: true, .. }
    ));
}

#[tokio::test]
async fn a_message_deleted_in_delivery_is_not_tried_again() {
    // RFC 3461: with SUCCESS a report would quote the body, which goes with the entry.
    for notify in ["", " NOTIFY=SUCCESS"] {
        let (listener, port) = listener().await;
        let site = Site::new(routed_to(port)).await;
        let entry = send_asking(&site, "bob@here.example", "carol@there.example", notify).await;
        let mut host = Host::take(&listener).await;
        assert!(matches!(operate(&site, &entry, Operation::Delete, None).await, Done::Changed { .. }));
        host.say("250 taken").await;
        // It went all the same, and the history says so.
        let delivered = until(async || {
            let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
            events.iter().any(|(_, event)| matches!(event, Event::Delivered { .. })).then_some(())
        });
        delivered.await;
        assert_eq!(entries(&site).await, []);
    }
}

fn taken(lanes: &mut crate::scheduler::Lanes, lane: &LaneId) -> Option<crate::scheduler::Item> {
    match lanes.take(lane) {
        crate::scheduler::Turn::Item(item) => Some(item),
        _ => None,
    }
}

#[tokio::test]
async fn what_waits_for_a_worker_is_returned_and_never_sent() {
    let site = Site::new(held()).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let lane = LaneId("smtp:127.0.0.1:9".into());
    let waiting = QueueEntry { status: EntryStatus::Waiting, lane: lane.clone(), ..entry.clone() };
    let mut batch = Batch::new();
    site.stores.spool.replace(&mut batch, &entry, &waiting);
    site.stores.engine.commit(batch).await.unwrap();
    // In memory, as after its accept; no worker has come for it yet.
    let item = crate::scheduler::Item {
        id: waiting.id(),
        priority: waiting.priority(),
        entry: Some(Arc::new(waiting.clone())),
    };
    let mut lanes = crate::scheduler::Lanes::new(10);
    lanes.handle_added(&lane, item.clone());
    assert!(lanes.handle_claim(&lane, waiting.id()));
    assert!(!lanes.handle_claim(&lane, waiting.id()), "one hand at a time");
    assert!(taken(&mut lanes, &lane).is_none());
    lanes.handle_loaded(&lane, vec![item.clone()], true, None);
    lanes.handle_added(&lane, item.clone());
    assert!(taken(&mut lanes, &lane).is_none(), "neither a load nor a late hand-over brings it back");
    lanes.handle_put_back(&lane, waiting.id());
    lanes.handle_loaded(&lane, vec![item.clone()], true, None);
    assert!(taken(&mut lanes, &lane).is_some());
    assert!(!lanes.handle_claim(&lane, waiting.id()), "a worker has it");
    let late = crate::scheduler::Item { id: EntryId { part: 7, ..item.id }, ..item };
    let other = LaneId("smtp:127.0.0.1:10".into());
    lanes.handle_added(&other, late);
    assert!(
        taken(&mut lanes, &other).unwrap().entry.is_none(),
        "what may have changed since its accept is read again"
    );
}

#[tokio::test]
async fn a_rerouted_message_goes_to_the_host_named_and_after_a_reset_along_its_route() {
    let ((routed, port), (other, other_port)) = (listener().await, listener().await);
    let site = Site::new(routed_to(port)).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    Host::take(&routed).await.say("451 not now").await;
    let tried = until(async || entries(&site).await.pop().filter(|entry| entry.attempts == 1)).await;
    let lane = LaneId(format!("smtp:127.0.0.1:{other_port}").into());
    let done = operate(&site, &tried, Operation::Reroute(Some(lane.clone())), None).await;
    assert!(matches!(done, Done::Changed { .. }));
    Host::take(&other).await.say("451 not here either").await;
    let tried = until(async || entries(&site).await.pop().filter(|entry| entry.attempts == 2)).await;
    assert!(tried.rerouted && tried.lane == lane, "until it is settled, or reset");
    assert!(matches!(operate(&site, &tried, Operation::Reroute(None), None).await, Done::Changed { .. }));
    Host::take(&routed).await.say("250 taken").await;
    until(async || entries(&site).await.is_empty().then_some(())).await;
    let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
    let words = events.iter().filter_map(|(_, event)| match event {
        Event::Operator { action, .. } => Some(action.clone()),
        _ => None,
    });
    assert_eq!(
        words.collect::<Vec<_>>(),
        [format!("reroute to {}", lane.0), "reroute back to its routes".to_owned()]
    );
}

#[tokio::test]
async fn without_a_server_an_operation_does_the_same_and_delivers_nothing() {
    let site = Site::new(held()).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let at_rest = Mta::at_rest(held(), site.stores.clone(), world::World::system());
    let done = at_rest.operate(entry.id(), &Order::from(Operation::Bounce)).await.unwrap();
    assert!(matches!(done, Done::Changed { told: true, .. }));
    let [report] = &entries(&site).await[..] else { panic!("the report waits for the server") };
    assert!(report.reverse_path == mail::ReversePath::Null && *report.lane.0 == *route::LOCAL_LANE);
}

#[test]
fn a_lane_of_one_host_names_it() {
    let host = |lane: &str| route::host_of(&[], &LaneId(lane.into()));
    for lane in ["smtp:relay.example:25", "smtp:[::1]:2525", "lmtp:127.0.0.1:24", "lmtp:unix:/run/lmtp"] {
        assert_eq!(&*host(lane).unwrap().lane().0, lane);
    }
    for lane in
        ["local", "mx:relay.example", "smtp:relay.example", "smtp::25", "smtp:a b:25", "smtp:a:0", "list"]
    {
        assert_eq!(host(lane), None, "{lane}");
    }
}
