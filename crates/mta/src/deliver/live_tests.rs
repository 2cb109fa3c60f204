//! SEND, SOML and SAML from the wire to terminals and mailboxes (RFC 821 §3.4, RFC 5321 app. F.6).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use proto::smtp::server::Flavour;
use store::mailbox::Uid;
use world::{Clock, SystemClock, Ttys, World};

use crate::{
    config::Audience,
    route::{Route, Via},
    terminals::{AttachError, Attachment, Showing},
    testing::{Site, Wire, config},
};

const BOB: &str = "bob@here.example";

/// The usual transaction with this verb.
fn script(verb: &str) -> String {
    format!(
        "C: {verb} FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\nC: DATA\nS: 354\nC: From: Bob \x1b[2J<bob@here.example>\n\
         C: Subject: {verb}\nC: \nC: now\nC: .\nS: 250"
    )
}

async fn site() -> Site {
    Site::new(config(vec![Route { recipient: "*".parse().unwrap(), via: Via::Hold }])).await
}

async fn attach(site: &Site) -> Attachment {
    site.mta.attach(&BOB.parse().unwrap()).await.unwrap()
}

async fn friend(site: &Site) -> Wire {
    site.connect("127.0.0.1").await
}

async fn next(attachment: &mut Attachment) -> Showing {
    attachment.next().await.unwrap()
}

async fn mail_count(site: &Site) -> usize {
    let account = site.stores.directory.account(&BOB.parse().unwrap()).await.unwrap().unwrap();
    site.stores.mailboxes.messages(account.inbox, Uid(1), 100).await.unwrap().len()
}

/// Waits until nothing is on its way.
async fn settled(site: &Site) {
    for _ in 0..1000 {
        if site.stores.spool.list(None, 10).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("something stays in the queue: {:?}", site.stores.spool.list(None, 10).await);
}

/// C065
#[tokio::test]
async fn send_goes_to_a_terminal_and_to_no_mailbox() {
    let site = site().await;
    let mut wire = friend(&site).await;
    wire.dialog(&format!(
        "C: SEND FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 450 4.2.1\nC: RCPT TO:<nobody@here.example>\n\
         S: 550 5.1.1\nC: RCPT TO:<carol@there.example>\nS: 550 5.3.3\nC: DATA\nS: 503\nC: RSET\nS: 250"
    ))
    .await;
    let mut attachment = attach(&site).await;
    wire.dialog(&script("SEND")).await;
    let showing = next(&mut attachment).await;
    assert_eq!(showing.notice.from, "Bob <bob@here.example>");
    assert_eq!((showing.notice.subject.as_str(), showing.notice.text.as_str()), ("SEND", "now\n"));
    attachment.handle_shown(showing);
    settled(&site).await;
    assert_eq!(mail_count(&site).await, 0);
    drop(attachment);
    wire.dialog(&format!("C: SEND FROM:<>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 450 4.2.1")).await;
}

/// C065: RFC 5321 §4.4: the failure is told with MAIL, from the null reverse-path.
#[tokio::test]
async fn a_terminal_that_goes_away_before_delivery_is_a_failure_of_send() {
    let site = site().await;
    let mut attachment = attach(&site).await;
    let mut wire = friend(&site).await;
    wire.dialog(&script("SEND")).await;
    drop(next(&mut attachment).await);
    let report = site.mail(BOB, 1).await;
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    assert!(report.contains("Status: 5.2.1") && report.contains("is at no\r\nterminal"), "{report}");
    settled(&site).await;
}

/// C065
#[tokio::test]
async fn soml_goes_to_the_terminal_or_else_to_the_mailbox() {
    let site = site().await;
    let mut wire = friend(&site).await;
    wire.dialog(&script("SOML")).await;
    assert!(site.mail(BOB, 1).await.contains("Subject: SOML\r\n"));
    let mut attachment = attach(&site).await;
    wire.dialog(&script("SOML")).await;
    let showing = next(&mut attachment).await;
    attachment.handle_shown(showing);
    settled(&site).await;
    assert_eq!(mail_count(&site).await, 1, "the terminal has it");
    wire.dialog(&script("SOML")).await;
    drop(next(&mut attachment).await);
    site.mail(BOB, 2).await;
}

/// C065
#[tokio::test]
async fn saml_goes_to_both() {
    let site = site().await;
    let mut attachment = attach(&site).await;
    let mut wire = friend(&site).await;
    wire.dialog(&script("SAML")).await;
    let showing = next(&mut attachment).await;
    assert_eq!(showing.notice.subject, "SAML");
    attachment.handle_shown(showing);
    site.mail(BOB, 1).await;
    drop(attachment);
    wire.dialog(&script("SAML")).await;
    site.mail(BOB, 2).await;
}

/// RFC 5321 app. F.6: other hosts get MAIL.
#[tokio::test]
async fn soml_and_saml_to_other_hosts_are_mail() {
    let site = site().await;
    let mut wire = friend(&site).await;
    for verb in ["SOML", "SAML"] {
        wire.dialog(&script(verb).replace(BOB, "carol@there.example")).await;
    }
    let entries = site.stores.spool.list(None, 10).await.unwrap();
    assert!(entries.len() == 2 && entries.iter().all(|entry| &*entry.lane.0 == "hold"), "{entries:?}");
}

/// What a terminal cannot show whole is not lost.
#[tokio::test]
async fn what_a_terminal_shows_in_part_is_in_the_mailbox_or_goes_back() {
    let site = site().await;
    let mut attachment = attach(&site).await;
    let mut wire = friend(&site).await;
    let with_picture = |verb: &str| {
        script(verb).replace(
            "C: Subject",
            "C: MIME-Version: 1.0\nC: Content-Type: image/png; name=cat.png\nC: Subject",
        )
    };
    wire.dialog(&with_picture("SOML")).await;
    let showing = next(&mut attachment).await;
    assert_eq!(showing.notice.left_out, ["cat.png"]);
    attachment.handle_shown(showing);
    assert!(site.mail(BOB, 1).await.contains("image/png"));
    wire.dialog(&with_picture("SEND")).await;
    assert!(site.mail(BOB, 2).await.contains("Status: 5.6.3"));
    wire.dialog("C: SEND FROM:<bob@here.example> SIZE=65537\nS: 552 5.3.4").await;
    let long = script("SEND").replace("C: now", &"C: more and more and more and more\n".repeat(2200));
    wire.dialog(&long.replace("C: .\nS: 250", "C: .\nS: 552 5.3.4")).await;
}

/// A terminal that does not say that it has shown a message is not waited for at each one.
#[tokio::test]
async fn a_stopped_terminal_is_left_alone_until_it_catches_up() {
    let mut world = World::system();
    world.clock = Arc::new(Hasty);
    let site = Site::in_world(config(vec![]), world).await;
    let mut attachment = attach(&site).await;
    let mut wire = friend(&site).await;
    wire.dialog(&script("SOML")).await;
    let late = next(&mut attachment).await;
    site.mail(BOB, 1).await;
    assert!(!late.is_wanted());
    wire.dialog(&format!("C: SEND FROM:<>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 450 4.2.1\nC: RSET\nS: 250")).await;
    attachment.handle_shown(late);
    wire.dialog(&format!("C: SEND FROM:<>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250")).await;
}

/// What waits in the queue when the server stops knows where it was to go.
#[tokio::test]
async fn the_verb_outlives_a_restart() {
    let site = site().await;
    let mut attachment = attach(&site).await;
    let mut wire = friend(&site).await;
    for verb in ["SOML", "SEND"] {
        wire.dialog(&script(verb)).await;
    }
    let _held = (next(&mut attachment).await, next(&mut attachment).await);
    let after = site.restarted().await;
    let both = [after.mail(BOB, 1).await, after.mail(BOB, 2).await].concat();
    assert!(both.contains("Subject: SOML\r\n") && both.contains("Status: 5.2.1"), "{both}");
}

#[tokio::test]
async fn who_may_use_them_is_configured() {
    let site = site().await;
    let mut stranger = site.connect("192.0.2.1").await;
    stranger.dialog("C: SEND FROM:<a@b.example>\nS: 502 5.5.1\nC: HELP SOML\nS: 504").await;
    let mut login = site.connect_to("127.0.0.1", Flavour::Submission).await;
    login
        .dialog(
            "C: EHLO c.example\nS: 250\nC: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 235\n\
             C: SAML FROM:<bob@here.example>\nS: 250",
        )
        .await;
    let never = Site::new(crate::Config { send: Audience::Never, ..config(vec![]) }).await;
    let mut wire = friend(&never).await;
    wire.dialog("C: SOML FROM:<a@b.example>\nS: 502 5.5.1").await;
    let mut lmtp = site.connect_to("127.0.0.1", Flavour::Lmtp).await;
    lmtp.dialog("C: SEND FROM:<a@b.example>\nS: 502 5.5.1").await;
    let unknown = site.mta.attach(&"nobody@here.example".parse().unwrap()).await;
    assert!(matches!(unknown, Err(AttachError::AccountUnknown(_))));
    let mut all = Vec::new();
    let refusal = loop {
        match site.mta.attach(&BOB.parse().unwrap()).await {
            Ok(attachment) => all.push(attachment),
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, AttachError::TooMany) && all.len() == 16);
}

/// For whom every wait is over soon.
struct Hasty;

#[async_trait::async_trait]
impl Clock for Hasty {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> mail::Timestamp {
        SystemClock.wall()
    }

    async fn sleep_until(&self, _: Instant) {
        SystemClock.sleep_until(SystemClock.now() + Duration::from_millis(50)).await;
    }
}

/// Logins that a test makes up.
#[derive(Default)]
struct Logins {
    written: Mutex<Vec<(PathBuf, String)>>,
}

#[async_trait::async_trait]
impl Ttys for Logins {
    fn of_login(&self, login: &str) -> io::Result<Vec<PathBuf>> {
        Ok(if login == "bob" { vec!["/dev/pts/stopped".into(), "/dev/pts/7".into()] } else { vec![] })
    }

    async fn write(&self, tty: &Path, text: &str, _: Instant) -> io::Result<()> {
        if tty.ends_with("stopped") {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.written.lock().unwrap().push((tty.to_owned(), text.to_owned()));
        Ok(())
    }
}

#[tokio::test]
async fn logins_of_this_machine_are_written_to_where_that_is_configured() {
    for send_to_ttys in [true, false] {
        let logins = Arc::new(Logins::default());
        let mut world = World::system();
        world.ttys = logins.clone();
        let site = Site::in_world(crate::Config { send_to_ttys, ..config(vec![]) }, world).await;
        let mut wire = friend(&site).await;
        if send_to_ttys {
            wire.dialog(&script("SEND")).await;
            settled(&site).await;
            let written = logins.written.lock().unwrap().clone();
            let [(tty, text)] = written.as_slice() else { panic!("{written:?}") };
            assert_eq!(tty, Path::new("/dev/pts/7"));
            assert!(
                text.starts_with("\n\u{7}Message from Bob <bob@here.example>\nSubject: SEND\n| now\n"),
                "{text}"
            );
        } else {
            wire.dialog(&format!("C: SEND FROM:<>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 450")).await;
        }
    }
}
