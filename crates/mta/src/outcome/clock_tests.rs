//! C181: the wall clock is set by a day while mail waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use mail::Timestamp;
use store::spool::QueueEntry;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use world::{Clock, SystemClock, World};

use crate::{
    Config,
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const HOUR: Duration = Duration::from_hours(1);

/// The system's clock, set by so many milliseconds.
#[derive(Default)]
struct Set(AtomicI64);

#[async_trait::async_trait]
impl Clock for Set {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.wall().millis() + self.0.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, deadline: Instant) {
        SystemClock.sleep_until(deadline).await;
    }
}

/// Refuses every recipient for now.
async fn greylist(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut stream = BufReader::new(stream);
        let mut reply = "220 next.example";
        loop {
            let mut line = String::new();
            if stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err()
                || stream.read_line(&mut line).await.unwrap_or(0) == 0
            {
                break;
            }
            reply = if line.starts_with("RCPT") { "451 not now" } else { "250 ok" };
        }
    }
}

/// A message that was tried once and is to be tried again in an hour.
async fn deferred() -> (Site, Arc<Set>, QueueEntry) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(greylist(listener));
    let host = NextHost { host: "127.0.0.1".to_owned(), port, tls: RouteTls::None, login: None, lmtp: false };
    let route = Route { recipient: "*".parse().unwrap(), via: Via::Smtp(Arc::new(host)) };
    let (expire_after, delay_notice_after) = (12 * HOUR, 6 * HOUR);
    let config = Config { retry_delays: vec![HOUR], expire_after, delay_notice_after, ..config(vec![route]) };
    let clock = Arc::new(Set::default());
    let site = Site::in_world(config, World { clock: clock.clone(), ..World::system() }).await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<carol@there.example>\nS: 250\nC: DATA\nS: 354\n\
         C: Subject: x\nC: \nC: body\nC: .\nS: 250",
    )
    .await;
    let entry = once(&site, |entry| entry.attempts == 1).await;
    (site, clock, entry)
}

#[track_caller]
fn once(site: &Site, ready: impl Fn(&QueueEntry) -> bool) -> impl Future<Output = QueueEntry> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..4000 {
            let [entry] = &site.stores.spool.list(None, 9).await.unwrap()[..] else {
                panic!("one message, and no report")
            };
            if ready(entry) {
                return entry.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let entries = site.stores.spool.list(None, 9).await.unwrap();
        panic!("{caller}: the queue does not become so: {entries:?}, now {:?}", site.mta.world.clock.wall());
    }
}

fn is_in_an_hour(due: Timestamp, clock: &Set) -> bool {
    due > clock.wall().plus(HOUR / 2) && due < clock.wall().plus(2 * HOUR)
}

#[tokio::test]
async fn a_clock_set_forward_by_a_day_brings_one_try_and_no_expiry() {
    let (site, clock, _) = deferred().await;
    clock.0.store(DAY_MS, Ordering::Relaxed);
    site.mta.dispatcher.tell(&site.mta, crate::scheduler::Lanes::handle_time);
    let tried = once(&site, |entry| entry.attempts == 2).await;
    assert!(is_in_an_hour(tried.due, &clock) && !tried.delay_told);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(once(&site, |_| true).await.attempts, 2, "no storm");
}

#[tokio::test]
async fn a_clock_set_back_by_a_day_delays_nothing_by_a_day() {
    let (site, clock, entry) = deferred().await;
    clock.0.store(-DAY_MS, Ordering::Relaxed);
    assert!(!is_in_an_hour(entry.due, &clock));
    site.mta.wall();
    let moved = once(&site, |entry| is_in_an_hour(entry.due, &clock)).await;
    assert_eq!(moved.attempts, 1, "it is not tried for that");
    clock.0.store(0, Ordering::Relaxed);
    site.mta.wall();
    site.mta.dispatcher.tell(&site.mta, crate::scheduler::Lanes::handle_time);
    once(&site, |entry| entry.attempts == 2 && is_in_an_hour(entry.due, &clock)).await;
}

#[tokio::test]
async fn a_clock_set_back_by_a_day_does_not_hold_what_was_to_go_at_once() {
    let (site, clock, _) = deferred().await;
    clock.0.store(-DAY_MS, Ordering::Relaxed);
    site.mta.wall();
    let moved = once(&site, |entry| entry.release_at <= clock.wall()).await;
    assert!(!moved.is_ahead_of_time(clock.wall()) && moved.accepted_at > clock.wall());
}
