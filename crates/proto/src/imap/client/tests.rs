use std::time::{Duration, Instant};

use super::{Client, Config, Event, Fetched, Listed, TlsUse};
use crate::{
    machine::{Machine, Step},
    sasl::Credentials,
};

const MESSAGE_BYTES_MAX: usize = 100_000;

fn config(tls: TlsUse) -> Config {
    Config {
        credentials: Credentials::new("ann", "se \"cret").unwrap(),
        nonce: [7; _],
        tls,
        plaintext_login: tls == TlsUse::Never,
        message_bytes_max: MESSAGE_BYTES_MAX,
        patience: Duration::from_mins(1),
    }
}

/// Says the lines that begin with `S: ` in pieces of this size, and expects those that begin with `C: `; gives a command
/// for each line that begins with `!`. Everything that was told comes back.
fn play(client: &mut Client, script: &str, piece: usize) -> Vec<Event> {
    let (mut told, mut written) = (Vec::new(), Vec::new());
    settle(client, &mut told, &mut written);
    for line in script.lines().map(str::trim_start) {
        match line.split_at(line.len().min(3)) {
            ("S: ", said) => {
                for piece in format!("{said}\r\n").as_bytes().chunks(piece) {
                    client.push(piece);
                    settle(client, &mut told, &mut written);
                }
            }
            ("C: ", wanted) => {
                let line = format!("{wanted}\r\n");
                let said = String::from_utf8_lossy(&written);
                assert!(said.starts_with(&line), "{wanted}: {said}");
                written.drain(..line.len());
            }
            _ => give(client, line),
        }
        settle(client, &mut told, &mut written);
    }
    assert!(written.is_empty(), "{}", String::from_utf8_lossy(&written));
    told
}

fn settle(client: &mut Client, told: &mut Vec<Event>, written: &mut Vec<u8>) {
    loop {
        match client.poll(Instant::now()) {
            Step::Event(event) => told.push(event),
            Step::Write(octets) => written.extend(octets),
            Step::StartTls => client.handle_tls_established(),
            Step::NeedInput | Step::Close => return,
        }
    }
}

fn give(client: &mut Client, command: &str) {
    match command {
        "!list" => client.list(),
        "!open" => client.open(b"Sent"),
        "!open odd" => client.open(b"a\"b\r\nc"),
        "!summaries" => client.fetch_summaries(1, 2),
        "!bodies" => client.fetch_bodies(&[5, 9]),
        "!logout" => client.log_out(),
        other => panic!("{other}"),
    }
}

fn in_every_split(tls: TlsUse, script: &str) -> Vec<Event> {
    let told = play(&mut Client::new(config(tls)), script, usize::MAX);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(play(&mut Client::new(config(tls)), script, piece), told, "in pieces of {piece}");
    }
    told
}

fn listed(wire_name: &str, name: &str, special_use: Option<&str>, subscribed: bool) -> Event {
    let special_use = special_use.map(str::to_owned);
    let (wire_name, name) = (wire_name.as_bytes().to_vec(), name.to_owned());
    Event::Listed(Listed { wire_name, name, special_use, subscribed, selectable: true })
}

#[test]
fn an_old_server_is_asked_in_the_old_way() {
    let told = in_every_split(
        TlsUse::Never,
        r#"S: * OK ready
           C: a1 CAPABILITY
           S: * CAPABILITY IMAP4rev1
           S: a1 OK done
           C: a2 LOGIN {3}
           S: + go on
           C: ann {8}
           S: + go on
           C: se "cret
           S: a2 OK in
           !list
           C: a3 LIST "" "*"
           S: * LIST () "." "INBOX"
           S: * LIST (\HasNoChildren \Sent) "." INBOX.Sent
           S: * LIST (\Noselect) "." "a/b"
           S: * LIST () "." {10}
           S: &AOQ-.b\"c
           S: a3 OK done
           C: a4 LSUB "" "*"
           S: * LSUB () "." INBOX.Sent
           S: a4 OK done"#,
    );
    let nowhere = Listed {
        wire_name: b"a/b".to_vec(),
        name: "a_b".to_owned(),
        special_use: None,
        subscribed: false,
        selectable: false,
    };
    assert_eq!(
        told,
        [
            Event::Ready,
            listed("INBOX", "INBOX", None, false),
            listed("INBOX.Sent", "INBOX/Sent", Some("\\Sent"), true),
            Event::Listed(nowhere),
            listed("&AOQ-.b\\\"c", "ä/b\\\"c", None, false),
            Event::Done,
        ]
    );
}

#[test]
fn a_new_server_begins_tls_first_and_messages_are_fetched() {
    let told = in_every_split(
        TlsUse::Starttls,
        r#"S: * OK [CAPABILITY IMAP4rev2 STARTTLS LOGINDISABLED AUTH=XYZ] ready
           C: a1 STARTTLS
           S: a1 OK begin
           C: a2 CAPABILITY
           S: * CAPABILITY IMAP4rev2 AUTH=PLAIN SASL-IR
           S: a2 OK done
           C: a3 AUTHENTICATE PLAIN AGFubgBzZSAiY3JldA==
           S: a3 OK [CAPABILITY IMAP4rev2] in
           !list
           C: a4 LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)
           S: * LIST (\Subscribed) "/" inbox
           S: a4 OK done
           !open
           C: a5 EXAMINE "Sent"
           S: * FLAGS (\Seen)
           S: * 2 EXISTS
           S: * OK [UIDVALIDITY 77] it is
           S: a5 OK [READ-ONLY] open
           !summaries
           C: a6 FETCH 1:2 (UID RFC822.SIZE INTERNALDATE FLAGS)
           S: * 1 FETCH (UID 5 RFC822.SIZE 12 INTERNALDATE "26-Nov-2026 09:05:00 +0000" FLAGS (\Seen \Recent work))
           S: * 3 EXISTS
           S: * 2 FETCH (FLAGS () UID 9 X-OTHER (a (b "c)")) RFC822.SIZE 3)
           S: a6 OK done
           !bodies
           C: a7 UID FETCH 5,9 (UID BODY.PEEK[])
           S: * 1 FETCH (UID 5 BODY[] {14}
           S: Subject: x
           S: 
           S: )
           S: * 2 FETCH (BODY[] "abc" UID 9)
           S: a7 OK done
           !logout
           C: a8 LOGOUT
           S: * BYE till then
           S: a8 OK gone"#,
    );
    let first = Fetched {
        uid: 5,
        octets: Some(12),
        internal_date: crate::imap::date::parse_date_time("26-Nov-2026 09:05:00 +0000"),
        flags: vec!["\\Seen".to_owned(), "work".to_owned()],
        body: None,
    };
    let second = Fetched { uid: 9, octets: Some(3), ..Fetched::default() };
    let body = |uid, text: &'static [u8]| Fetched { uid, body: Some(text.into()), ..Fetched::default() };
    assert_eq!(
        told,
        [
            Event::Ready,
            listed("inbox", "INBOX", None, true),
            Event::Done,
            Event::Opened { messages: 2, uid_validity: 77 },
            Event::Done,
            Event::Fetched(first),
            Event::Fetched(second),
            Event::Done,
            Event::Fetched(body(5, b"Subject: x\r\n\r\n")),
            Event::Fetched(body(9, b"abc")),
            Event::Done,
        ]
    );
}

#[test]
fn passwords_are_not_shown_where_they_must_not_be() {
    let refused = |tls, script| match in_every_split(tls, script).pop() {
        Some(Event::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    let offer = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready";
    assert!(refused(TlsUse::Starttls, offer).contains("no STARTTLS"));
    assert!(refused(TlsUse::Starttls, "S: * PREAUTH welcome").contains("does not begin TLS"));
    let mut shy = Client::new(Config { plaintext_login: false, ..config(TlsUse::Never) });
    let told = play(&mut shy, offer, usize::MAX);
    assert!(matches!(&told[..], [Event::Failed(why)] if why.contains("without TLS")), "{told:?}");
    // A server that only pretends to know the password.
    let told = refused(
        TlsUse::Active,
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] ready
         C: a1 AUTHENTICATE SCRAM-SHA-256
         S: a1 OK in",
    );
    assert!(told.contains("did not prove"), "{told}");
}

#[test]
fn names_that_no_quotes_can_hold_wait_for_the_continuation() {
    let script = "S: * PREAUTH in
         !open odd
         C: a1 EXAMINE {6}
         S: + go on
         C: a\"b";
    // The line end in the name makes it two lines of the script.
    let mut client = Client::new(config(TlsUse::Active));
    let told =
        play(&mut client, &format!("{script}\n         C: c\n         S: a1 NO there is none"), usize::MAX);
    assert_eq!(told, [Event::Ready, Event::Refused("there is none".to_owned())]);
}

#[test]
fn whatever_a_server_sends_memory_and_time_are_bounded() {
    let failed = |said: &[u8], times: usize| {
        let mut client = Client::new(config(TlsUse::Active));
        play(&mut client, "S: * PREAUTH in", usize::MAX);
        client.list();
        let now = Instant::now();
        for _ in 0..times {
            client.push(said);
            loop {
                match client.poll(now) {
                    Step::Event(Event::Failed(why)) => return Some(why),
                    Step::Event(_) | Step::Write(_) => {}
                    _ => break,
                }
            }
        }
        None
    };
    let long = vec![b'x'; 65_536];
    assert!(failed(&long, 40).unwrap().contains("more than"));
    assert!(failed(b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n", 1).unwrap().contains("more than"));
    assert!(failed(b"* 1 FETCH (UID 1 BODY[] {1200000}\r\n", 1).unwrap().contains("more than"));
    assert!(failed(&b"* OK hm\r\n".repeat(1000), 200).unwrap().contains("without end"));
    assert!(failed(&b"* LIST () \"/\" x\r\n".repeat(1000), 20).unwrap().contains("too many mailboxes"));
    assert!(failed(b"a77 OK done\r\n", 1).unwrap().contains("nobody asked"));
    assert!(failed(b"* BYE too busy\r\n", 1).unwrap().contains("too busy"));
    let deep = format!("* 1 FETCH (UID 1 X {}\r\n", "(".repeat(60_000));
    assert_eq!(failed(deep.as_bytes(), 1), None, "it is passed over");
    let mut silent = Client::new(config(TlsUse::Active));
    assert_eq!(silent.poll(Instant::now()), Step::NeedInput);
    let later = silent.deadline().unwrap();
    assert!(matches!(silent.poll(later), Step::Event(Event::Failed(why)) if why.contains("says nothing")));
    assert_eq!(silent.poll(later), Step::Close);
}
