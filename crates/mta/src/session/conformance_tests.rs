//! Cases of docs/conformance.md that need policy, directory and mailbox; the numbers are that table's.

use proto::smtp::server::Flavour;

use crate::{
    route::{NextHost, Route, RouteTls, Via},
    testing::{Names, Site, config},
};

const BOB: &str = "bob@here.example";
/// The usual content.
const CONTENT: &str = "C: DATA\nS: 354\nC: Subject: x\nC: \nC: text\nC: .\nS: 250";

async fn site() -> Site {
    Site::new(config(vec![])).await
}

/// Keeps what is for others in the queue.
async fn holding() -> Site {
    Site::new(config(vec![Route { recipient: "*".parse().unwrap(), via: Via::Hold }])).await
}

fn field<'a>(mail: &'a str, name: &str) -> Vec<&'a str> {
    let header = mail.split("\r\n\r\n").next().unwrap();
    let mut fields = Vec::new();
    let mut start = 0;
    while start < header.len() {
        let rest = &header[start..];
        let mut end = 0;
        loop {
            end += rest[end..].find("\r\n").map_or(rest.len() - end, |at| at + 2);
            if end >= rest.len() || !rest[end..].starts_with([' ', '\t']) {
                break;
            }
        }
        fields.push(rest[..end].trim_end());
        start += end;
    }
    fields.retain(|field| field.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase())));
    fields
}

/// C010: RFC 5321 §4.1.4
#[tokio::test]
async fn a_name_that_leads_nowhere_is_taken() {
    let site = site().await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!(
        "C: EHLO does-not-resolve.invalid\nS: 250\nC: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250"
    ))
    .await;
}

/// C020, C033, C034
#[tokio::test]
async fn the_null_sender_reaches_postmaster_in_every_spelling() {
    let site = site().await;
    let spellings =
        ["postmaster", "Postmaster", "POSTMASTER", "postmaster@here.example", "PostMaster@HERE.example"];
    for (spelling, n) in spellings.iter().zip(1..) {
        let mut wire = site.connect("192.0.2.1").await;
        wire.dialog(&format!("C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<{spelling}>\nS: 250\n{CONTENT}")).await;
        let mail = site.mail(BOB, n).await;
        assert!(mail.starts_with("Return-Path: <>\r\n"), "{mail}");
    }
}

/// C031: what the directory cannot say now is never a "no".
#[tokio::test]
async fn a_directory_that_cannot_be_read_is_no_reason_to_refuse_for_good() {
    let site = site().await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog("C: MAIL FROM:<a@b.example>\nS: 250").await;
    drop(site.engine.crash());
    wire.dialog(&format!("C: RCPT TO:<{BOB}>\nS: 451 4.3.0")).await;
}

/// C035, C123
#[tokio::test]
async fn envelopes_keep_the_case_and_lose_the_route() {
    let site = holding().await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!(
        "C: MAIL FROM:<@a.example:u@b.example>
         S: 250
         C: RCPT TO:<Joe.Smith@There.example>
         S: 250
         {CONTENT}"
    ))
    .await;
    let entries = site.stores.spool.list(None, 10).await.unwrap();
    assert_eq!(entries[0].reverse_path.to_string(), "u@b.example");
    assert_eq!(entries[0].recipients[0].address.to_string(), "Joe.Smith@There.example");
}

/// C037
#[tokio::test]
async fn a_mailbox_gets_one_copy_however_often_it_is_named() {
    let site = site().await;
    let now = mail::Timestamp::from_millis(1);
    site.stores.directory.add_alias("team@here.example", vec![BOB.parse().unwrap()], now).await.unwrap();
    let mut wire = site.connect("192.0.2.1").await;
    let thrice = format!(
        "C: MAIL FROM:<a@b.example>
         S: 250
         C: RCPT TO:<{BOB}>
         S: 250 2.1.5
         C: RCPT TO:<bob@HERE.example>
         S: 250 2.1.5
         C: RCPT TO:<team@here.example>
         S: 250 2.1.5
         {CONTENT}"
    );
    wire.dialog(&thrice).await;
    wire.dialog(&thrice.replace("a@b.example", "second@b.example")).await;
    assert!(site.mail(BOB, 1).await.contains("<a@b.example>"));
    assert!(site.mail(BOB, 2).await.contains("<second@b.example>"));
}

/// C047
#[tokio::test]
async fn a_client_that_leaves_after_250_has_sent_its_message() {
    let site = site().await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!("C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\n{CONTENT}")).await;
    drop(wire);
    site.mail(BOB, 1).await;
}

/// C052, C054
#[tokio::test]
async fn a_list_is_shown_to_those_we_trust() {
    let site = site().await;
    let members = vec![BOB.parse().unwrap(), "carol@there.example".parse().unwrap()];
    let now = mail::Timestamp::from_millis(1);
    site.stores.directory.add_alias("team@here.example", members, now).await.unwrap();
    let mut friend = site.connect("127.0.0.1").await;
    friend.say("EHLO client.example").await;
    assert!(friend.expect("250").await.contains("EXPN\r\n"));
    friend.say("EXPN team").await;
    let said = friend.expect("250-2.1.5 <").await;
    assert!(said.contains("<bob@here.example>\r\n") && said.contains("<carol@there.example>\r\n"), "{said}");
    let mut stranger = site.connect("192.0.2.1").await;
    stranger.say("EHLO client.example").await;
    assert!(!stranger.expect("250").await.contains("EXPN"));
    stranger.dialog("C: EXPN team\nS: 502 5.5.1").await;
}

/// C052: RFC 5321 §3.5.1, RFC 6531 §3.7.4.2
#[tokio::test]
async fn vrfy_tells_friends_names_and_possibilities() {
    let site = site().await;
    let (entropy, now) = (world::SystemEntropy, mail::Timestamp::from_millis(1));
    let directory = &site.stores.directory;
    for (address, name) in [
        (BOB, "Bob Smith"),
        ("ann@here.example", "Ann Smith"),
        ("eve@here.example", "Eve \"250 OK\" <x>"),
        ("zoe@here.example", "Zoë Ångström"),
    ] {
        let address = address.parse().unwrap();
        if directory.account(&address).await.unwrap().is_none() {
            directory.add_account(&address, "secret", None, &entropy, now).await.unwrap();
        }
        directory.set_full_name(&address, Some(name.parse().unwrap())).await.unwrap();
    }
    let mut friend = site.connect("127.0.0.1").await;
    friend
        .dialog(
            r#"C: VRFY bob
             S: 250 2.1.5 Bob Smith <bob@here.example>
             C: VRFY Bob Smith
             S: 250 2.1.5 Bob Smith <bob@here.example>
             C: VRFY Robert <bob@here.example>
             S: 250 2.1.5 Bob Smith <bob@here.example>
             C: VRFY eve
             S: 250 2.1.5 "Eve \"250 OK\" <x>" <eve@here.example>
             C: VRFY zoe
             S: 250 2.1.5 <zoe@here.example>
             C: VRFY zoe SMTPUTF8
             S: 250 2.1.5 Zoë Ångström <zoe@here.example>
             C: VRFY Jones
             S: 550 5.1.1
             C: EXPN bob
             S: 250 2.1.5 Bob Smith <bob@here.example>
             C: VRFY smit"#,
        )
        .await;
    let said = friend.expect("553-5.1.4 ").await;
    assert!(
        said.ends_with(
            "553-5.1.4 Ann Smith <ann@here.example>\r\n553 5.1.4 Bob Smith <bob@here.example>\r\n"
        ),
        "{said}"
    );
    let mut stranger = site.connect("192.0.2.1").await;
    stranger.dialog("C: VRFY Smith\nS: 252 2.5.2 cannot verify the user").await;
}

/// C054
#[tokio::test]
async fn the_members_of_a_mailing_list_are_shown_while_they_are_few() {
    let site = site().await;
    let (directory, now) = (&site.stores.directory, mail::Timestamp::from_millis(1));
    let club = "club@here.example".parse().unwrap();
    directory.add_list(&club, store::directory::ListChange::default(), now).await.unwrap();
    let mut friend = site.connect("127.0.0.1").await;
    friend.dialog("C: EXPN club\nS: 252 2.5.2 the list has no members\nC: VRFY club\nS: 252 2.5.2").await;
    directory
        .subscribe(&club, &[BOB.parse().unwrap(), "carol@there.example".parse().unwrap()], now)
        .await
        .unwrap();
    let name = "Bob Smith".parse().unwrap();
    directory.set_full_name(&BOB.parse().unwrap(), Some(name)).await.unwrap();
    friend.say("EXPN <Club@here.example>").await;
    let said =
        friend.expect("250-2.1.5 Bob Smith <bob@here.example>\r\n250 2.1.5 <carol@there.example>\r\n").await;
    assert_eq!(said.lines().count(), 2);
    friend.dialog("C: EXPN club-request\nS: 550 5.1.1").await;
    let many: Vec<mail::Address> =
        (0..2001).map(|n| format!("m{n}@there.example").parse().unwrap()).collect();
    for page in many.chunks(500) {
        directory.subscribe(&club, page, now).await.unwrap();
    }
    friend.dialog("C: EXPN club\nS: 252 2.5.2 the list has 2003 members, too many to show").await;
}

/// C114, C115, C122
#[tokio::test]
async fn spellings_of_a_mailbox() {
    let site = site().await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        r#"C: MAIL FROM:<a@b.example>
         S: 250
         C: RCPT TO:<""@here.example>
         S: 550 5.1.1
         C: RCPT TO:<" "@here.example>
         S: 550 5.1.1
         C: RCPT TO:<@here.example:v@there.example>
         S: 550 5.7.1
         C: RCPT TO:<"bob"@here.example>
         S: 250
         C: RCPT TO:<"b\ob"@here.example>
         S: 250
         C: RCPT TO:<@a.example,@b.example:bob@here.example>
         S: 250"#,
    )
    .await;
    wire.dialog(CONTENT).await;
    site.mail(BOB, 1).await;
}

/// C140, C142, C150: with two recipients the header names neither.
#[tokio::test]
async fn received_names_the_recipient_when_there_is_one() {
    let site = site().await;
    let bob = BOB.parse().unwrap();
    let now = mail::Timestamp::from_millis(1);
    site.stores.directory.add_alias("hidden@here.example", vec![bob], now).await.unwrap();
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!("C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\n{CONTENT}")).await;
    let mail = site.mail(BOB, 1).await;
    let received = field(&mail, "Received");
    assert_eq!(received.len(), 1);
    assert!(received[0].contains("for <bob@here.example>;"), "{mail}");

    wire.dialog(&format!(
        "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\nC: RCPT TO:<postmaster>\nS: 250\n{CONTENT}"
    ))
    .await;
    let mail = site.mail(BOB, 2).await;
    assert!(!field(&mail, "Received")[0].contains("for <"), "{mail}");
    let names: Vec<_> = mail.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    assert!(!names.contains(&"Apparently-To") && !mail.contains("postmaster"), "{mail}");
}

/// C145: RFC 5321 §3.7.2
#[tokio::test]
async fn received_lines_of_others_stay_as_they_are_however_odd() {
    let site = site().await;
    let odd = format!(
        "Received: {}\r\nReceived:\r\n\tfrom a\r\n  by b ;\r\nReceived: nonsense \u{fc}\r\nSubject: x\r\n\r\ntext\r\n",
        "x".repeat(10_000)
    );
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!("C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\nC: DATA\nS: 354"))
        .await;
    wire.say(&format!("{odd}.")).await;
    wire.expect("250").await;
    assert!(site.mail(BOB, 1).await.ends_with(&odd));
}

/// C147, C324, C326
#[tokio::test]
async fn submission_takes_out_what_is_not_for_others_and_leaves_the_rest() {
    let site = site().await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog(&format!(
        "C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 235
         C: MAIL FROM:<{BOB}>
         S: 250
         C: RCPT TO:<{BOB}>
         S: 250
         C: DATA
         S: 354"
    ))
    .await;
    let kept = "Date: Tue, 03 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@c.example>\r\n";
    let folded = "Bcc: secret@there.example,\r\n\tsecret2@there.example\r\nBCC: secret3@there.example\r\n";
    wire.say(&format!("Return-Path: <forged@there.example>\r\n{kept}{folded}Subject: x\r\n\r\ntext\r\n."))
        .await;
    wire.expect("250").await;
    let mail = site.mail(BOB, 1).await;
    assert!(mail.ends_with(&format!("{kept}Subject: x\r\n\r\ntext\r\n")), "{mail}");
    assert!(!mail.contains("secret"), "{mail}");
    assert_eq!(field(&mail, "Return-Path"), ["Return-Path: <bob@here.example>"]);
}

/// C255: a password that cannot be looked at is not a wrong one.
#[tokio::test]
async fn a_login_that_cannot_be_checked_may_be_tried_again() {
    let site = site().await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    drop(site.engine.crash());
    wire.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 454 4.7.0").await;
}

/// C258: RFC 4616 §2
#[tokio::test]
async fn nobody_acts_as_another() {
    let site = site().await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    // carol@here.example NUL bob@here.example NUL secret
    wire.dialog(
        "C: AUTH PLAIN Y2Fyb2xAaGVyZS5leGFtcGxlAGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 535 5.7.8
         C: MAIL FROM:<bob@here.example>
         S: 530 5.7.0",
    )
    .await;
}

/// C254, C320, C331: no password goes in clear, and the relay port takes none at all.
#[tokio::test]
async fn passwords_are_not_asked_for_in_clear() {
    let site = site().await;
    let mut wire = site.connect_to("192.0.2.1", Flavour::Submission).await;
    wire.say("EHLO client.example").await;
    let announced = wire.expect("250").await;
    // SCRAM shows no password, so it may be had in clear.
    assert!(announced.contains("AUTH SCRAM-SHA-256"), "{announced}");
    assert!(!announced.contains("PLAIN") && !announced.contains("LOGIN"), "{announced}");
    wire.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 538 5.7.11").await;
    let mut relay = site.connect("127.0.0.1").await;
    relay.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 502 5.5.1").await;
}

/// C110: RFC 5321 §6.1. Nothing that a stranger can slow down stands between the last dot and its 250: the next host's
/// name server never answers here, and that is the delivery's concern.
#[tokio::test]
async fn the_last_dot_waits_for_the_store_alone() {
    let silent = NextHost {
        host: "silent.example".to_owned(),
        port: 25,
        tls: RouteTls::None,
        login: None,
        lmtp: false,
    };
    let route = Route { recipient: "*".parse().unwrap(), via: Via::Smtp(silent.into()) };
    let names = std::sync::Arc::new(Names::new("silent.example IS SILENT"));
    let world = world::World { dns: names.clone(), ..world::World::system() };
    let site = Site::in_world(config(vec![route]), world).await;
    let mut wire = site.connect("127.0.0.1").await;
    for _ in 0..2 {
        wire.dialog(&format!(
            "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<c@d.example>\nS: 250\n{CONTENT}"
        ))
        .await;
    }
    while names.asked().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(site.stores.spool.list(None, 10).await.unwrap().len(), 2, "both wait for the name server");
}
