use proto::smtp::server::Flavour;

use crate::testing::{Site, config};

#[tokio::test]
async fn mail_for_an_account_is_accepted_and_delivered_with_trace_headers() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: MAIL FROM:<alice@there.example>
         S: 250
         C: RCPT TO:<Bob@here.example>
         S: 250
         C: DATA
         S: 354
         C: Subject: hello
         C: Message-ID: <1@there.example>
         C: 
         C: ..dots
         C: .
         S: 250 2.0.0 accepted as",
    )
    .await;
    let mail = site.mail("bob@here.example", 1).await;
    assert!(mail.starts_with("Return-Path: <alice@there.example>\r\nDelivered-To: "), "{mail}");
    assert!(mail.contains("Received: from client.example"), "{mail}");
    assert!(mail.ends_with("Subject: hello\r\nMessage-ID: <1@there.example>\r\n\r\n.dots\r\n"), "{mail}");
}

/// The message is read once for both, whatever stands in front of it.
#[tokio::test]
async fn each_copy_of_a_message_is_summed_up_as_it_is() {
    let site = Site::new(config(vec![])).await;
    let directory = &site.stores.directory;
    let (entropy, now) = (&*site.mta.world.entropy, site.mta.world.clock.wall());
    let longer = "with-a-longer-name@here.example".parse().unwrap();
    let others = directory.add_account(&longer, "secret", None, entropy, now).await.unwrap();
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: MAIL FROM:<alice@there.example>
         S: 250
         C: RCPT TO:<bob@here.example>
         S: 250
         C: RCPT TO:<with-a-longer-name@here.example>
         S: 250
         C: DATA
         S: 354
         C: Subject: twice
         C: Content-Type: multipart/mixed; boundary=b
         C: 
         C: --b
         C: 
         C: words
         C: --b--
         C: .
         S: 250",
    )
    .await;
    let bob = directory.account(&"bob@here.example".parse().unwrap()).await.unwrap().unwrap();
    let mailboxes = &site.stores.mailboxes;
    for account in [&bob, &others] {
        site.mail(&account.address.to_string(), 1).await;
        let message = mailboxes.messages(account.inbox, store::mailbox::Uid(1), 9).await.unwrap().remove(0);
        let kept = mailboxes.summary(account.inbox, &message).await.unwrap();
        assert_eq!(kept, mailboxes.summarize(&message.record).await.unwrap());
    }
}

#[tokio::test]
async fn strangers_may_not_relay_and_unknown_users_are_refused_at_rcpt() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: MAIL FROM:<alice@there.example>
         S: 250
         C: RCPT TO:<carol@elsewhere.example>
         S: 550 5.7.1
         C: RCPT TO:<nobody@here.example>
         S: 550 5.1.1
         C: RCPT TO:<bob%elsewhere.example@here.example>
         S: 550 5.1.1
         C: RCPT TO:<postmaster>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250",
    )
    .await;
    site.mail("bob@here.example", 1).await;
}

#[tokio::test]
async fn a_trusted_client_relays_by_the_first_route_that_matches() {
    let route =
        crate::route::Route { recipient: "*@held.example".parse().unwrap(), via: crate::route::Via::Hold };
    let site = Site::new(config(vec![route])).await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<alice@there.example>
         S: 250
         C: RCPT TO:<carol@elsewhere.example>
         S: 550 5.4.4
         C: RCPT TO:<carol@held.example>
         S: 250
         C: DATA
         S: 354
         C: x
         C: .
         S: 250",
    )
    .await;
    let entries = site.stores.spool.list(None, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].status, store::spool::EntryStatus::Held);
}

#[tokio::test]
async fn vrfy_tells_strangers_nothing() {
    let site = Site::new(config(vec![])).await;
    let mut stranger = site.connect("192.0.2.1").await;
    stranger.say("VRFY bob").await;
    let known = stranger.expect("252").await;
    stranger.say("VRFY nobody").await;
    assert_eq!(stranger.expect("252").await, known);
    let mut friend = site.connect("127.0.0.1").await;
    friend
        .dialog(
            "C: VRFY bob
             S: 250 2.1.5 <bob@here.example>
             C: VRFY nobody
             S: 550 5.1.1
             C: EXPN bob
             S: 250",
        )
        .await;
}

#[tokio::test]
async fn submission_asks_for_a_login_and_completes_the_header() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example>
         S: 530 5.7.0
         C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 235 2.7.0
         C: MAIL FROM:<alice@there.example>
         S: 550 5.7.1
         C: MAIL FROM:<bob@here.example>
         S: 250
         C: RCPT TO:<bob@here.example>
         S: 250
         C: DATA
         S: 354
         C: Bcc: secret@here.example
         C: Subject: x
         C: 
         C: body
         C: .
         S: 250",
    )
    .await;
    let mail = site.mail("bob@here.example", 1).await;
    assert!(!mail.contains("secret"), "{mail}");
    assert!(mail.contains("\r\nDate: ") && mail.contains("\r\nMessage-ID: <"), "{mail}");
    assert!(mail.ends_with("Subject: x\r\n\r\nbody\r\n"), "{mail}");
}

#[tokio::test]
async fn a_failure_is_reported_to_the_sender_and_a_failed_report_to_nobody() {
    let site = Site::new(config(vec![])).await;
    let stores = &site.stores;
    let now = mail::Timestamp::from_millis(1);
    let gone = vec!["gone@here.example".parse().unwrap(), "bob@here.example".parse().unwrap()];
    stores.directory.add_alias("team@here.example", gone, now).await.unwrap();
    for sender in ["bob@here.example", ""] {
        let mut wire = site.connect("192.0.2.1").await;
        wire.dialog(&format!(
            "C: MAIL FROM:<{sender}>
             S: 250
             C: RCPT TO:<team@here.example>
             S: 250
             C: DATA
             S: 354
             C: Subject: to the team
             C: .
             S: 250"
        ))
        .await;
    }
    let mails = [1, 2, 3].map(|n| site.mail("bob@here.example", n));
    let mut reports = 0;
    for mail in mails {
        let mail = mail.await;
        if mail.starts_with("Return-Path: <>") && mail.contains("multipart/report") {
            assert!(mail.contains("gone@here.example") && mail.contains("5.1.1"), "{mail}");
            reports += 1;
        }
    }
    assert_eq!(reports, 1);
}

/// On whose clock short waits are over at once and long ones never.
struct Hasty;

#[async_trait::async_trait]
impl world::Clock for Hasty {
    fn now(&self) -> std::time::Instant {
        world::SystemClock.now()
    }

    fn wall(&self) -> mail::Timestamp {
        world::SystemClock.wall()
    }

    async fn sleep_until(&self, deadline: std::time::Instant) {
        if deadline > self.now() + std::time::Duration::from_secs(10) {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_no_shutdown() {
    let (_ours, theirs) = tokio::io::duplex(16);
    let mut stream: world::BoxStream = Box::new(theirs);
    let (trigger, mut shutdown) = world::ShutdownTrigger::new();
    let writing =
        tokio::spawn(async move { super::write(&Hasty, &mut stream, &[b'x'; 100], &mut shutdown).await });
    tokio::task::yield_now().await;
    assert!(!writing.is_finished(), "there is no hurry before the shutdown");
    trigger.give();
    assert_eq!(writing.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}
